"""The layout of the project: imports in one direction, short files, complete tables of operations."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from symprop.emit.table import _LOGIC, NATIVE
from symprop.graph import OPERATIONS, Operation
from symprop.schedule.lower import FORMULAS, KERNELS, REDUCTIONS, STORED, VIEWS

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "symprop").rglob("*.py"))
LONGEST = 620

# a package may import from those in a line above its own
ORDER = [
    {"errors"},
    {"graph"},
    {"functions"},
    {"declare"},
    {"differentiate"},
    {"rewrite"},
    {"schedule"},
    {"emit"},
    {"run"},
    {"verify", "nn", "optim", "show"},
    {"api"},
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}


def unit_of(path: Path) -> str:
    """The package or module directly under symprop/ that a file belongs to."""
    parts = path.relative_to(ROOT / "symprop").with_suffix("").parts
    return parts[0]


def imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """(line, unit) of every import from symprop, those inside functions too.

    Imports under `if TYPE_CHECKING` are not run and do not count.
    """
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            modules = [f"{module}.{alias.name}" if module == "symprop" else module for alias in node.names]
        for name in modules:
            parts = name.split(".")
            if parts[0] == "symprop":
                yield node.lineno, parts[1] if len(parts) > 1 else "__init__"  # type: ignore[attr-defined]


def violations(tree: ast.AST, unit: str, package: tuple[str, ...] = ("symprop",)) -> list[str]:
    """What a file of `unit` imports although it stands below or beside it."""
    return [
        f"{line}: {unit} imports {other}"
        for line, other in imported(tree, package)
        if other != unit and not (other in LEVEL and LEVEL[other] < LEVEL[unit])
    ]


def test_every_package_has_a_place_in_the_order() -> None:
    assert {unit_of(p) for p in SOURCES} - {"__init__"} <= set(LEVEL)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    unit = unit_of(path)
    if unit == "__init__":
        return
    package = path.relative_to(ROOT).parts[:-1]
    assert violations(ast.parse(path.read_text()), unit, package) == []


@pytest.mark.parametrize(
    ("text", "unit", "count"),
    [
        ("from symprop.run import build", "graph", 1),
        ("def f():\n    import symprop.api.compile", "verify", 1),
        ("import symprop", "declare", 1),
        ("from symprop import nn", "verify", 1),
        ("from ..emit import table", "schedule", 1),
        ("from symprop.graph import Node\nfrom symprop.run.engine import x", "run", 0),
        ("if TYPE_CHECKING:\n    from symprop.api import Function", "verify", 0),
    ],
)
def test_a_wrong_import_is_seen(text: str, unit: str, count: int) -> None:
    assert len(violations(ast.parse(text), unit, ("symprop", unit))) == count


def test_files_are_short() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in SOURCES}
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


def test_no_derivative_is_taken_by_sympy_and_no_text_is_evaluated() -> None:
    """No call of `diff`, whatever it belongs to; none of `eval`, `exec`, `lambdify`."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                f = node.func
                name = f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""
                if name in ("diff", "eval", "exec", "lambdify", "autowrap"):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")
            if isinstance(node, ast.FunctionDef) and node.name == "diff":
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: def diff")
    assert found == []


def test_only_three_packages_are_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[^\w-]", line, maxsplit=1)[0] for line in project["dependencies"]}
    assert needed == {"sympy", "numpy", "llvmlite"}
    allowed = {*needed, "mpmath", "symprop", "__future__"}  # sympy brings mpmath
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                assert top in allowed or top in sys.stdlib_module_names, f"{path}: {name}"


# -- the tables of operations ----------------------------------------------------------------------------

PRIMITIVES = [o for o in OPERATIONS.values() if o.expand is None]
# operations without native code, each with the reason that the user is given: none for now
REFUSED: dict[str, str] = {}
# what the rewriting always makes other operations of: uses of one factorisation
REPLACED = {"inverse", "determinant", "log_determinant"}
# what only a call knows: the input, and the samples of a batch
OF_THE_CALL = {"symbol", "batch_size", "batch_sum"}
# native functions that no operation asks for by its name: derivatives that share a call with their function
WITHOUT_OPERATION = {"tanh_prime", "sigmoid_prime"}


@pytest.mark.parametrize("declared", PRIMITIVES, ids=lambda o: o.name)
def test_every_primitive_has_native_code(declared: Operation) -> None:
    if declared.elementwise:
        native = declared.name in NATIVE or declared.name in _LOGIC or declared.name == "select"
    else:
        native = declared.name in REPLACED | VIEWS | FORMULAS | STORED | REDUCTIONS | KERNELS | {"symbol"}
    assert native != (declared.name in REFUSED)


def test_every_native_function_has_an_operation() -> None:
    assert set(NATIVE) - set(OPERATIONS) <= WITHOUT_OPERATION


@pytest.mark.parametrize("declared", list(OPERATIONS.values()), ids=lambda o: o.name)
def test_every_operation_has_a_value(declared: Operation) -> None:
    """A definition over other operations, or a reference with NumPy and one with mpmath."""
    if declared.name not in OF_THE_CALL:
        assert declared.expand is not None or (declared.reference is not None and declared.exact is not None)


@pytest.mark.parametrize("declared", list(OPERATIONS.values()), ids=lambda o: o.name)
def test_every_operation_that_users_reach_has_a_derivative(declared: Operation) -> None:
    """A rule of its own or a definition; conditions have none, and the forms of code generation need none."""
    conditions = {"less", "less_equal", "equal", "not_equal", "and", "or", "not"}
    if declared.lowered or declared.name in conditions or declared.name == "batch_sum":
        return
    reverse = declared.partials is not None or declared.vjp is not None or declared.expand is not None
    forward = declared.partials is not None or declared.jvp is not None or declared.expand is not None
    assert reverse and forward
