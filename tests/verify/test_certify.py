"""Enclosures by ball arithmetic: against mpmath for every operation, planted errors, kinks, batches, size."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.declare import Graph, as_graph
from symprop.errors import MissingExtraError, UnsupportedExpressionError
from symprop.graph import OPERATIONS, NodeTable
from symprop.verify import balls, verify
from symprop.verify.certify import Enclosures
from symprop.verify.exact import Definitions, Exact

from .networks import Reference, network, rows

pytest.importorskip("flint")
x, y = sp.symbols("x y")


def certified(report: Any) -> list[Any]:
    """The rows of the certificates."""
    return rows(report, "certified")


def test_every_operation_has_a_rule_a_definition_or_a_refusal() -> None:
    known = balls.Balls()
    for name, declared in OPERATIONS.items():
        defined = declared.expand is not None and not (declared.elementwise and declared.exact is not None)
        assert known.has(name) or defined or name in balls.REFUSED or declared.lowered, name


@pytest.mark.parametrize("name", sorted(balls.REFUSED))
def test_what_has_no_rule_is_refused_by_name(name: str) -> None:
    table = NodeTable()
    node = table.make("batch_sum", (table.constant(1),))
    if name != "batch_sum":
        node.op = name
    with pytest.raises(UnsupportedExpressionError, match=f"{name} has no enclosure by balls: "):
        balls.Balls().apply(node, [])


ELEMENTWISE = [
    name
    for name, o in OPERATIONS.items()
    if o.elementwise and o.exact is not None and balls.Balls().has(name)
    if name not in ("and", "or", "not", "select", "add", "mul")
]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_balls_hold_the_values_of_mpmath(name: str) -> None:
    points = [0.3, 1.75, -0.6, 12.5, 1e-9, -2.25, 40.0, 1e5, -1e4]
    count = {"fma": 3}.get(name, 2 if name in TWO else 1)
    compared = 0
    for first in points:
        table = NodeTable()
        symbols = [table.symbol(sp.Symbol(f"a{k}")) for k in range(count)]
        node = table.make(name, symbols, (2,) if name in ("spherical_ratio", "bessel_ratio") else ())
        inputs = {s.serial: v for s, v in zip(symbols, (first, 2.5, -0.125), strict=False)}
        definitions = Definitions(table)
        with mp.workdps(60):
            expected = Exact(definitions, inputs, 60)(node)[0][()]
            (ball,) = Enclosures(definitions, inputs)([node], 256)
        if node.kind == "boolean":
            assert bool(ball[()]) == bool(expected)
            compared += 1
        elif mp.isfinite(expected):
            with mp.workdps(60):
                middle, radius = _ends(ball)
                assert abs(middle - expected) <= radius + abs(expected) * mp.mpf(10) ** -50
            compared += 1
    assert compared >= 3


TWO = {
    *(
        "pow",
        "less",
        "less_equal",
        "equal",
        "not_equal",
        "maximum",
        "minimum",
        "atan2",
        "sub",
        "div",
        "hypot",
    ),
    *("mod", "beta", "rising", "shared_maximum", "shared_minimum"),
}


def _ends(ball: Any) -> tuple[Any, Any]:
    """Middle and radius of a ball of no axes."""
    from symprop.verify.certify import _mpf

    one = ball[()]
    return _mpf(one.mid()), _mpf(one.rad())


def test_compiled_values_are_proved_to_be_within_an_ulp() -> None:
    f = symprop.compile(sp.exp(x) * sp.sin(y), args=[x, y])
    report = f.verify(1.0, 2.0, certify=True)
    assert report.passed, str(report)
    assert [row.name for row in certified(report)] == ["out", "d/dx", "d/dy"]
    with mp.workdps(40):
        exact = mp.exp(1) * mp.sin(2)
        by_x, _ = f.grad(1.0, 2.0)
        certificate = report.certificates["d/dx"]
        assert certificate.proved and certificate.lower[()] <= exact <= certificate.upper[()]
        assert abs(mp.mpf(float(by_x)) - exact) <= certificate.error[()] <= 4.5e-16
        assert certificate.error[()] <= abs(mp.mpf(float(by_x)) - exact) * (1 + mp.mpf(10) ** -9)
    assert "the error is at most" in str(report) or "its error is at most" in str(report)
    assert "out: 2.47" in str(report.certificates["out"])


def test_a_planted_error_is_not_proved() -> None:
    graph, at = network([3, 4, 2])
    wrt = [s for s in graph.inputs if s.name[0] == "W"]

    def tamper(results: list[Any]) -> None:
        results[1][2, 1] *= 1 + 1e-6

    at = {s: np.reshape(v, getattr(s, "shape", ())) for s, v in at.items()}
    report = verify(graph, at, wrt=wrt, function=Reference(graph, wrt, tamper=tamper), certify=True)
    (failed,) = [row for row in certified(report) if not row.passed]
    assert (failed.name, failed.entry, failed.verdict) == (f"d/d{wrt[0]}", "[2, 1]", "FAILED")
    assert report.certificates[f"d/d{wrt[0]}"].ulps[2, 1] > 1e8


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_batches_are_certified(reduce: str | None, dtype: str) -> None:
    W, v = sp.MatrixSymbol("W", 2, 3), sp.MatrixSymbol("v", 3, 1)
    loss = nn.squared_error(nn.gelu(W * v), sp.OneMatrix(2, 1))
    f = symprop.compile(loss, args=[W, v], batch=[v], reduce=reduce, dtype=dtype)
    random = np.random.default_rng(1)
    report = f.verify(random.standard_normal((2, 3)), random.standard_normal((4, 3)), certify=True)
    assert report.passed, str(report)
    certificate = report.certificates["d/dW"]
    assert certificate.error.shape == ((2, 3) if reduce else (4, 2, 3))
    assert certificate.ulps.max() < 40


def test_a_tie_of_exact_numbers_is_decided() -> None:
    f = symprop.compile(nn.relu(x - y) * sp.cos(x), args=[x, y])
    report = f.verify(1.0, 1.0, certify=True)
    assert report.passed, str(report)


def test_a_kink_that_no_precision_decides_has_no_bound_and_says_so() -> None:
    f = symprop.compile(nn.relu(sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1), args=[x])
    report = f.verify(1.3, certify=True)
    row = next(r for r in certified(report) if r.name == "d/dx")
    assert row.verdict == "no bound" and not report.passed
    assert "kink undecidable: `0 < -1" in report.certificates["d/dx"].why[0]
    assert "1 without bound" in str(report)
    assert next(r for r in certified(report) if r.name == "out").passed  # the value is zero on both sides


def test_a_value_that_is_none_has_no_bound() -> None:
    report = symprop.compile(sp.log(x), args=[x]).verify(-1.0, certify=True)
    assert "`log(x)` is not finite" in report.certificates["out"].why[0]


def test_without_a_function_the_values_at_50_digits_are_enclosed() -> None:
    report = verify(sp.exp(x) * sp.sin(y), {x: 1.0, y: 2.0}, certify=True)
    assert report.passed and len(rows(report, "enclosed")) == 3
    assert report.certificates["d/dy"].error.max() < 1e-30


def test_numbers_that_cancel_take_more_bits() -> None:
    graph = as_graph(sp.exp(x) - 1 - x - x**2 / 2)
    report = verify(graph, {x: 1e-40}, certify=True)
    assert report.passed, str(report)
    assert report.certificates["out"].bits > 128


def test_a_network_of_two_thousand_parameters() -> None:
    net = nn.mlp([40, 44, 5], activation=nn.tanh)
    label, loss = sp.Symbol("y", integer=True), sp.Symbol("L")
    graph = Graph([*net.graph.equations, (loss, nn.cross_entropy(net.graph.outputs[0], label))])
    params = net.init(0)
    data = next(s for s in net.inputs if s not in params)
    f = symprop.compile(graph, args=[*net.params, data, label], wrt=list(net.params))
    values = [params[p] for p in net.params]
    report = f.verify(*values, np.random.default_rng(0).standard_normal(40), 3, certify=True, budget=1e3)
    assert report.passed, str(report)
    proved = [report.certificates[row.name] for row in certified(report)]
    assert sum(c.error.size for c in proved) > 2000 and all(c.proved and not c.why for c in proved)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(balls.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'symprop\[certify\]'"):
        verify(x**2, {x: 1.0}, certify=True)
