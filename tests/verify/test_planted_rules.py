"""Wrong derivative rules, planted in the registry or in a user's class: caught, with the operation named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sympy as sp

from symprop.declare import Graph
from symprop.differentiate.accumulate import Contributions
from symprop.functions.symbols import named
from symprop.graph import OPERATIONS
from symprop.verify import verify

from .networks import failures, network, rows

Plant = Callable[..., None]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Replaces rules of an operation for one test."""

    def do(name: str, **rules: Any) -> None:
        monkeypatch.setitem(OPERATIONS, name, replace(OPERATIONS[name], **rules))

    return do


def _scaled(name: str, factor: Any) -> Callable[[Any, Any], Any]:
    partials = OPERATIONS[name].partials
    assert partials is not None
    return lambda t, y: [None if d is None else t.mul(t.constant(factor), d) for d in partials(t, y)]


@pytest.mark.parametrize("factor", [-1, 2, 1 + sp.Rational(1, 10**6)])
def test_a_wrong_elementwise_rule_is_named(plant: Plant, factor: Any) -> None:
    plant("tanh", partials=_scaled("tanh", factor))
    report = verify(*network([3, 4, 4, 2]))
    found = failures(report)
    assert ("rule", "tanh") in found
    assert {name for method, name in found if method.startswith("rule")} == {"tanh"}
    # what lies behind the layer is wrong, what lies before it is not
    assert ("finite differences", "d/dW2") in found
    assert ("finite differences", "d/dW3") not in found
    # both modes take the same wrong rule: only differences can see it
    assert ("forward mode", "d/dW2") not in found
    (row,) = [r for r in rows(report, "rule") if r.name == "tanh"]
    assert "tanh(" in row.entry


def test_a_wrong_transpose_is_named(plant: Plant) -> None:
    def vjp(t: Any, node: Any, upstream: Any) -> list[Any]:
        a, b = node.args
        return [
            t.matmul(upstream, t.transpose(b)),
            t.matmul(a if a.shape[0] == a.shape[1] else t.transpose(a), upstream),
        ]

    plant("matmul", vjp=vjp)
    report = verify(*network([3, 4, 4, 2]))
    found = failures(report)
    assert ("rule", "matmul") in found
    assert ("finite differences", "d/dW1") in found and ("forward mode", "d/dW1") in found
    assert ("finite differences", "d/dW2") not in found
    (row,) = [r for r in rows(report, "rule") if r.name == "matmul"]
    assert row.entry == "W2*h1 argument 2"


def test_a_wrong_rule_of_forward_mode_is_named(plant: Plant) -> None:
    plant(
        "matmul",
        jvp=lambda t, node, tangents: None if tangents[1] is None else t.matmul(node.args[0], tangents[1]),
    )
    found = failures(verify(*network([3, 4, 2])))
    assert ("rule, forward", "matmul") in found
    assert ("forward mode", "d/dW1") in found
    assert not any(method == "finite differences" for method, _ in found)


def test_a_missing_path_is_caught(plant: Plant) -> None:
    # the sum of two paths that meet loses one of them
    plant("add", partials=lambda t, y: [t.constant(1), *[None] * (len(y.args) - 1)])
    x = sp.Symbol("x")
    report = verify(sp.sin(x) + sp.exp(x), {x: 0.3})
    assert failures(report) >= {("finite differences", "d/dx"), ("rule", "add")}


def test_a_lost_path_of_the_engine_is_located(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Contributions.sum

    def lossy(self: Contributions, table: Any, shape: Any) -> Any:
        del self.whole[1:]  # where paths meet, only the first one counts
        return whole(self, table, shape)

    x, y, p, q, r = sp.symbols("x y p q r")
    graph = Graph([(p, sp.exp(x * y)), (q, sp.sin(p)), (r, q * p + x)])
    at = {x: 0.3, y: 0.7}
    assert verify(graph, at).passed
    monkeypatch.setattr(Contributions, "sum", lossy)
    report = verify(graph, at)
    assert ("finite differences", "d/dy") in failures(report)
    assert all(row.passed for row in rows(report, "rule"))
    (row,) = rows(report, "adjoint")
    assert row.name == "d/dp" and "first wrong adjoint on the way back" in row.note


def test_a_wrong_value_at_a_kink_is_named(plant: Plant) -> None:
    x = sp.Symbol("x")
    one, two = sp.Integer(1), sp.Integer(2)

    def partials(t: Any, y: Any) -> list[Any]:
        zero = t.constant(0)
        at_zero = t.select(t.call("equal", y.args[0], zero), t.constant(two), zero)
        return [t.select(t.call("less", zero, y.args[0]), t.constant(one), at_zero)]

    plant("relu", partials=partials)
    assert verify(named("relu", [x]), {x: 0.5}).passed
    found = failures(verify(named("relu", [x]), {x: 0.0}))
    assert ("kink", "d/dx") in found and ("rule", "relu") in found


def test_a_kink_at_the_wrong_place_is_named(plant: Plant) -> None:
    x = sp.Symbol("x")
    plant(
        "relu",
        partials=lambda t, y: [
            t.select(t.call("less", t.constant(sp.Rational(1, 2)), y.args[0]), t.constant(1), t.constant(0))
        ],
    )
    found = failures(verify(named("relu", [x]), {x: 0.25}))
    assert found >= {("finite differences", "d/dx"), ("rule", "relu")}


def test_a_wrong_loss_rule_is_named(plant: Plant) -> None:
    vjp = OPERATIONS["cross_entropy"].vjp
    assert vjp is not None
    plant(
        "cross_entropy",
        vjp=lambda t, node, up: [
            None if v is None else t.mul(t.constant(sp.Rational(9, 10)), v) for v in vjp(t, node, up)
        ],
    )
    found = failures(verify(*network([3, 4, 2])))
    assert ("rule", "cross_entropy") in found
    assert {name for method, name in found if method.startswith("rule")} == {"cross_entropy"}


class Cube(sp.Function):  # type: ignore[misc]
    """x**3 with a derivative that is right."""

    def doit(self, **hints: Any) -> Any:
        return self.args[0] ** 3

    def fdiff(self, argindex: int = 1) -> Any:
        return 3 * self.args[0] ** 2


class WrongCube(Cube):
    def fdiff(self, argindex: int = 1) -> Any:
        return 3 * self.args[0]


def test_a_wrong_fdiff_of_a_user_is_named() -> None:
    x, y = sp.symbols("x y")
    assert verify(Cube(x * y) + sp.sin(x), {x: 0.5, y: -1.5}).passed
    report = verify(WrongCube(x * y) + sp.sin(x), {x: 0.5, y: -1.5})
    assert ("rule", "WrongCube") in failures(report)
    assert {name for method, name in failures(report) if method == "rule"} == {"WrongCube"}


def test_every_operation_with_a_scalar_rule_passes_its_own_check() -> None:
    x, y = sp.symbols("x y")
    scalars = [
        n for n, o in OPERATIONS.items() if o.elementwise and o.partials and not o.lowered and n != "user"
    ]
    unary = [
        n
        for n in scalars
        if n
        in [
            "exp",
            "sin",
            "cos",
            "tanh",
            "sigmoid",
            "softplus",
            "erf",
            "atan",
            "asinh",
            "cbrt",
            "expm1",
            "log1p",
        ]
    ]
    assert len(unary) == 12
    for name in unary:
        report = verify(named(name, [x * y]), {x: 0.6, y: 0.7})
        assert report.passed, f"{name}\n{report}"
