"""Forward mode: its rules against reverse mode, its treatment of definitions and missing rules."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from symprop.differentiate import tangents
from symprop.errors import UnsupportedExpressionError
from symprop.graph import OPERATIONS, NodeTable, Operation, topological
from symprop.graph.evaluate import evaluate

x, y = sp.symbols("x y")
X = sp.MatrixSymbol("X", 2, 3)
V = sp.MatrixSymbol("V", 2, 3)


def test_tangents_of_several_targets_in_one_pass():
    t = NodeTable()
    a, b = t.symbol(x), t.symbol(y)
    one = t.mul(a, b)
    two = t.make("sin", (one,))
    found = tangents(t, [one, two, b], {a.serial: t.constant(1)})
    assert found[one.serial] is b
    assert found[two.serial] is t.mul(t.make("cos", (one,)), b)
    assert found[b.serial] is None


def test_a_matrix_tangent():
    t = NodeTable()
    a, v = t.symbol(X), t.symbol(V)
    product = t.matmul(a, t.transpose(a))
    found = tangents(t, [product], {a.serial: v})[product.serial]
    at = {X: np.arange(6.0).reshape(2, 3), V: np.ones((2, 3))}
    expected = at[V] @ at[X].T + at[X] @ at[V].T
    assert np.array_equal(evaluate([found], at)[0], expected)


def test_a_scalar_tangent_spreads_over_a_matrix():
    t = NodeTable()
    s, m = t.symbol(x), t.symbol(X)
    node = t.add(s, m)
    found = tangents(t, [node], {s.serial: t.constant(1)})[node.serial]
    assert np.array_equal(evaluate([found], {})[0], np.ones((2, 3)))


def test_a_choice_takes_the_tangent_of_its_branch():
    t = NodeTable()
    a = t.symbol(x)
    zero = t.constant(0)
    node = t.select(t.make("less", (zero, a)), t.pow(a, sp.Rational(1, 2)), t.mul(a, a))
    found = tangents(t, [node], {a.serial: t.constant(1)})[node.serial]
    assert found.op == "select"
    assert evaluate([found], {x: 4.0})[0] == 0.25
    assert evaluate([found], {x: 0.0})[0] == 0
    assert evaluate([found], {x: -1.0})[0] == -2


def test_through_a_definition(monkeypatch):
    declared = Operation(
        name="cubed",
        infer=lambda args, attrs: (args[0].shape, "real"),
        expand=lambda t, node: t.mul(node.args[0], t.pow(node.args[0], 2)),
    )
    monkeypatch.setitem(OPERATIONS, "cubed", declared)
    t = NodeTable()
    a = t.symbol(x)
    node = t.make("cubed", (t.make("sin", (a,)),))
    found = tangents(t, [node], {a.serial: t.constant(1)})[node.serial]
    assert evaluate([found], {x: 0.3})[0] == pytest.approx(3 * np.sin(0.3) ** 2 * np.cos(0.3))


def test_an_operation_without_rule_is_named(monkeypatch):
    declared = Operation(name="cubed", infer=lambda args, attrs: (args[0].shape, "real"))
    monkeypatch.setitem(OPERATIONS, "cubed", declared)
    t = NodeTable()
    a = t.symbol(x)
    with pytest.raises(UnsupportedExpressionError, match="cubed has no derivative in forward mode"):
        tangents(t, [t.make("cubed", (a,))], {a.serial: t.constant(1)})


def test_a_long_chain_is_linear():
    t = NodeTable()
    a = node = t.symbol(x)
    for k in range(20_000):
        node = t.make("sin", (node,)) if k % 2 else t.mul(node, a)
    before = len(t.nodes)
    found = tangents(t, [node], {a.serial: t.constant(1)})[node.serial]
    assert len(t.nodes) - before < 4 * 20_000
    assert len(topological([found])) > 20_000
