"""Every code block of the README: Python runs and prints what is shown, commands exist and agree with CI.

python tests/test_readme.py        # writes the outputs of the blocks and their drawings anew
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from emit.counts import TARGETS
from llvmlite import binding as llvm
from show.pictures import faults

from symprop.emit.program import emit
from symprop.rewrite.pipeline import PASSES
from symprop.run.engine import assembly

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PICTURES = DOCS / "pictures"
DOCUMENTS = [
    README,
    DOCS / "how-it-works.md",
    DOCS / "index.md",
    DOCS / "extending.md",
    *sorted(p for p in (DOCS / "tasks").glob("*.md") if p.name != "index.md"),
]


def blocks(document: Path) -> list[tuple[str, str]]:
    """(language, text) of every fenced block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(), flags=re.M | re.S)


def examples(document: Path) -> list[tuple[str, str | None]]:
    """Blocks of Python, each with the output that follows it."""
    found: list[tuple[str, str | None]] = []
    listed = blocks(document)
    for k, (language, text) in enumerate(listed):
        if language == "python":
            shown = listed[k + 1][1] if k + 1 < len(listed) and listed[k + 1][0] == "text" else None
            found.append((text, shown))
    return found


def commands() -> list[str]:
    return [
        line for language, text in blocks(README) if language == "sh" for line in text.strip().splitlines()
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_every_block_is_of_a_kind_that_is_tested(document: Path) -> None:
    listed = blocks(document)
    assert {language for language, _ in listed} <= {"python", "text", "sh", "asm", "diff"}
    outputs = sum(language == "text" for language, _ in listed)
    assert outputs == sum(shown is not None for _, shown in examples(document)) > 0
    assert len(re.findall("^```", document.read_text(), flags=re.M)) == 2 * len(listed)


def printed_by(text: str, session: dict[str, Any]) -> str:
    """What a block prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, "README.md", "exec"), session)
    return printed.getvalue()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_python_prints_and_draws_what_is_shown(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All blocks in one session, in order, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    session: dict[str, Any] = {"__name__": "readme"}
    for text, shown in examples(document):
        assert printed_by(text, session) == (shown or "")
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.svg")}
    assert set(drawn) == set(re.findall(r"!\[[^\]]+\]\((?:\S*/)?pictures/(\S+)\)", document.read_text()))
    for name, svg in drawn.items():
        assert faults(svg) == []
        assert svg == (PICTURES / name).read_text(encoding="utf-8"), f"{name}: python tests/test_readme.py"


def test_the_assembly_that_is_shown_is_made() -> None:
    """Every instruction of the excerpt, in the code for the processor that the page names."""
    (excerpt,) = [text for language, text in blocks(DOCS / "how-it-works.md") if language == "asm"]
    session: dict[str, Any] = {"__name__": "readme"}
    for text, _ in examples(DOCS / "how-it-works.md"):
        printed_by(text, session)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = TARGETS["x86-64-v4"]
    code, _ = emit(session["f"].schedule, "double", target)
    made = [line.split() for line in assembly(code, target, 2).splitlines() if line.split()]
    assert {line.split()[0] for line in excerpt.splitlines()} <= {words[0] for words in made}
    called = {words[1] for words in made if words[0].startswith("call")}
    assert not [name for name in called if not re.match(r"symprop\.|mem(cpy|set)", name)]


ADDED = """
import importlib
import sympy as sp, symprop
from symprop.rewrite import stable
from symprop.rewrite.rules import roots
for name, code in additions:
    exec(code if "rules" not in name else f"ROOTS += ({code})", vars(importlib.import_module(name)))
stable.STABLE = (*stable.STABLE, roots.ROOTS[-1])
x = sp.Symbol("x")
squareplus = importlib.import_module("symprop.nn.activations").squareplus
print(symprop.compile(squareplus(x) ** 2, args=[x]).verify(0.7).passed)
for formula in (sp.acosh(1 + x), sp.acosh(2 + x)):
    report = symprop.compile(formula, args=[x], wrt=[]).report
    print(any(roots.ROOTS[-1].name in done.fired for done in report.passes))
"""


def test_the_additions_that_are_shown_are_all_it_takes() -> None:
    """In a process of its own: the function is verified, the rule fires on its formula alone."""
    additions = []
    for language, text in blocks(DOCS / "extending.md"):
        if language == "diff":
            head, *lines = text.splitlines()
            assert all(line.startswith("+") for line in lines)
            module = head.removeprefix("# ").removesuffix(".py").replace("/", ".")
            assert (ROOT / head.removeprefix("# ")).exists()
            additions.append((module, "\n".join(line[1:] for line in lines)))
    code = f"additions = {additions!r}\n{ADDED}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True", "False"], done.stderr


def test_every_picture_is_shown() -> None:
    shown = "".join(document.read_text() for document in DOCUMENTS)
    assert {path.name for path in PICTURES.iterdir()} == set(re.findall(r"pictures/([\w-]+\.svg)\)", shown))


def test_the_first_example_is_short() -> None:
    code = [line for line in examples(README)[0][0].splitlines() if line.strip()]
    assert len(code) <= 11


@pytest.mark.parametrize("command", commands())
def test_commands_name_what_exists(command: str) -> None:
    """Extras, scripts and modules; a script says how it is used."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in re.findall(r'-e "\.\[(\w+)\]"', command):
        assert name in extras
    last = command.split("&&")[-1].split()
    assert last[0].endswith("python")
    if last[1] == "-m":
        assert last[2] == "pytest"
        return
    done = subprocess.run(
        [sys.executable, str(ROOT / last[1]), "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "usage" in done.stdout


def test_ci_runs_the_test_command() -> None:
    """The expression by which .ci/run finds the command, on this text."""
    found = [c for c in commands() if re.search(r"bin/python -m pytest", c)]
    assert len(found) == 1
    assert r"s/^.*bin\/python \(-m pytest.*\)$/\1/p" in (ROOT / ".ci" / "run").read_text()


def test_how_it_works_names_every_pass() -> None:
    for name, _ in PASSES:
        assert f"| {name.removesuffix(' again')} |" in DOCUMENTS[1].read_text()


@pytest.mark.parametrize("document", sorted([README, *DOCS.rglob("*.md")]), ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert target.startswith("https://") or (document.parent / target).exists(), target


def update(document: Path) -> None:
    """Write what the blocks print into a document, and what they draw beside it."""
    text, session = document.read_text(), {"__name__": "readme"}
    for code, shown in examples(document):
        with contextlib.chdir(PICTURES):
            printed = printed_by(code, session)
        if shown is not None:
            old = f"```python\n{code}```\n\n```text\n{shown}```"
            assert text.count(old) == 1
            text = text.replace(old, f"```python\n{code}```\n\n```text\n{printed}```")
    document.write_text(text)


if __name__ == "__main__":
    for one in DOCUMENTS:
        update(one)
