"""The short forms of the node table: what they fold, and near misses that they must leave alone."""

from __future__ import annotations

import numpy as np
import sympy as sp

from symprop.graph import NodeTable
from symprop.graph.evaluate import evaluate
from symprop.graph.nodes import constant_value

x, y = sp.symbols("x y")
A, u = sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("u", 3, 1)


def test_equal_nodes_are_one():
    t = NodeTable()
    a, b = t.symbol(x), t.symbol(y)
    assert t.add(a, b) is t.add(b, a)
    assert t.mul(a, b, a) is t.mul(b, a, a)
    assert t.make("less", (a, b)) is not t.make("less", (b, a))
    assert t.constant(2) is t.constant(sp.Integer(2))
    assert t.find("add", (b, a)) is t.add(a, b)
    assert t.find("add", (a, a)) is None


def test_zeros_and_ones():
    t = NodeTable()
    a, m = t.symbol(x), t.symbol(A)
    one, zero = t.constant(1), t.constant(0)
    assert t.mul(a, one) is a and t.add(a, zero) is a and t.pow(a, 1) is a
    assert t.mul(m, zero) is t.full(0, (3, 3))
    assert t.mul(t.full(1, (3, 3)), m) is m
    assert t.mul(a, t.full(1, (3, 3))) is t.broadcast(a, (3, 3))
    assert constant_value(t.pow(m, 0)) == 1


def test_numbers_of_nested_products_join_while_they_are_short():
    t = NodeTable()
    a = t.symbol(x)
    assert t.mul(t.constant(-1), t.mul(t.constant(3), a)) is t.mul(t.constant(-3), a)
    assert t.mul(t.constant(sp.Rational(1, 2)), t.mul(t.constant(2), a)) is a
    big = t.mul(t.constant(2**50), a)
    assert t.mul(t.constant(2**50), big).args[1] is big  # not 2**100
    rooted = t.mul(t.constant(sp.sqrt(2)), a)
    assert t.mul(t.constant(sp.pi), rooted).args[1] is rooted


def test_repeated_scalars_multiply_as_scalars():
    t = NodeTable()
    a, m = t.symbol(x), t.symbol(A)
    assert t.mul(t.broadcast(a, (3, 3)), m) is t.mul(a, m)


def test_matrix_products():
    t = NodeTable()
    a, m, c = t.symbol(x), t.symbol(A), t.symbol(u)
    eye = t.make("eye", (), (3, 3))
    assert t.matmul(eye, m) is m and t.matmul(m, eye) is m
    assert t.matmul(t.mul(a, eye), c) is t.mul(a, c)
    wide = t.make("eye", (), (3, 5))
    assert t.matmul(m, wide).op == "matmul"
    assert t.matmul(t.make("diag", (c,)), t.make("diag", (c,))) is t.make("diag", (t.mul(c, c),))
    product = t.matmul(t.full(2, (3, 4)), t.broadcast(a, (4, 1)))
    assert np.array_equal(evaluate([product], {x: 3.0})[0], np.full((3, 1), 24.0))


def test_entries():
    t = NodeTable()
    a, b, m = t.symbol(x), t.symbol(y), t.symbol(A)
    placed = t.make("place", (a, b), ((3, 3), ((0, 1), (2, 0))))
    assert t.index(placed, (2, 0)) is b
    assert t.index(placed, (0, 0)) is t.constant(0)
    assert t.index(t.broadcast(a, (3, 3)), (1, 1)) is a
    assert t.index(m, (0, 1)).op == "index"


def test_sums_over_axes_of_size_one():
    t = NodeTable()
    c = t.symbol(u)
    assert t.sum(c, (1,), True) is c
    assert t.sum(c, (1,)).shape == (3,)
    assert t.sum(c).op == "sum"


def test_masks_stay_outside_of_products():
    t = NodeTable()
    a, b = t.symbol(x), t.symbol(y)
    zero, one = t.constant(0), t.constant(1)
    first, second = t.make("less", (zero, a)), t.make("less", (zero, b))
    once = t.chain(b, t.select(first, one, zero))
    assert once is t.select(first, b, zero)
    twice = t.chain(once, t.select(second, a, zero))
    assert twice.op == "select" and twice.args[0].op == "and"
    assert evaluate([twice], {x: 2.0, y: 3.0})[0] == 6
    assert evaluate([twice], {x: 2.0, y: -3.0})[0] == 0
    turned = t.chain(b, t.select(first, zero, one))
    assert evaluate([turned, turned], {x: 2.0, y: 3.0})[0] == 0
