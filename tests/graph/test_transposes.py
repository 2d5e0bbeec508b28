"""Transposes inside sums and products: where they are pushed down, and where they stay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from symprop.graph import NodeTable, topological
from symprop.graph.evaluate import evaluate

SHAPES = {"A": (3, 3), "B": (3, 3), "C": (3, 3), "u": (3, 1), "v": (3, 1), "s": ()}
SYMBOLS = {n: sp.MatrixSymbol(n, *shape) if shape else sp.Symbol(n) for n, shape in SHAPES.items()}


@pytest.fixture
def t():
    return NodeTable()


@pytest.fixture
def leaves(t):
    return [t.symbol(SYMBOLS[n]) for n in SHAPES]


def test_a_transpose_of_a_transpose_cancels(t, leaves):
    a = leaves[0]
    assert t.transpose(t.transpose(a)) is a


def test_pushed_where_fewer_or_as_few_remain(t, leaves):
    a, b, c, u, _, _ = leaves
    turn = t.transpose
    # before --> after
    assert turn(t.matmul(turn(u), a)) is t.matmul(turn(a), u)
    assert turn(t.matmul(turn(a), turn(b))) is t.matmul(b, a)
    assert turn(t.add(t.matmul(turn(b), turn(a)), turn(c))) is t.add(t.matmul(a, b), c)
    assert turn(t.mul(t.constant(2), turn(a))) is t.mul(t.constant(2), a)
    assert turn(t.make("tanh", (turn(a),))) is t.make("tanh", (a,))


def test_left_where_more_would_appear(t, leaves):
    a, b, _, u, _, _ = leaves
    for node in (t.matmul(a, b), t.add(a, b), t.make("tanh", (t.matmul(a, u),)), t.mul(a, b)):
        assert t.transpose(node).op == "transpose"


def test_pushed_where_the_terms_exist_already(t, leaves):
    a, b, *_ = leaves
    known = t.add(t.transpose(a), t.transpose(b))
    assert t.transpose(t.add(a, b)) is known


def test_free_terms_take_the_form_with_as_few(t, leaves):
    a, b, c, *_ = leaves
    node = t.matmul(t.matmul(b, t.transpose(c)), a)
    assert t.transpose(node).op == "transpose"
    assert t.transpose(node, free=True) is t.matmul(t.transpose(a), t.matmul(c, t.transpose(b)))


def test_symmetric_nodes(t, leaves):
    a, _, _, u, _, s = leaves
    assert t.transpose(t.make("eye", (), (3, 3))) is t.make("eye", (), (3, 3))
    diagonal = t.make("diag", (u,))
    assert t.transpose(t.matmul(t.transpose(a), diagonal)) is t.matmul(diagonal, a)
    assert t.transpose(t.full(2, (3, 1))) is t.full(2, (1, 3))
    assert t.transpose(t.broadcast(s, (3, 1))) is t.broadcast(s, (1, 3))


def test_values_are_those_of_the_transpose(t, leaves):
    a, b, c, u, v, s = leaves
    rng = np.random.default_rng(0)
    at = {SYMBOLS[n]: rng.normal(size=shape) for n, shape in SHAPES.items()}
    turn = t.transpose
    nodes = [
        t.matmul(turn(u), t.matmul(a, turn(b))),
        t.add(t.mul(s, turn(a)), t.matmul(turn(b), t.make("sin", (turn(c),)))),
        t.select(t.make("less", (turn(a), s)), turn(b), turn(c)),
        t.matmul(t.add(turn(u), turn(v)), t.make("diag", (u,))),
        t.mul(turn(a), turn(a), b),
    ]
    for node in nodes:
        for free in (False, True):
            value, turned = evaluate([node, t.transpose(node, free=free)], at)
            assert np.allclose(turned, value.T, rtol=1e-14)


def test_a_long_product_of_transposes_is_linear(t, leaves):
    a, b, *_ = leaves
    node = t.transpose(a)
    for k in range(2000):
        node = t.matmul(node, t.transpose(b if k % 2 else a))
    before = len(t.nodes)
    turned = t.transpose(node)
    assert len(t.nodes) - before < 3 * 2000
    assert len(topological([turned])) > 2000 or turned.op == "transpose"


def test_what_is_taken_for_symmetric_is_symmetric(t, leaves):
    """Products of up to five factors, symmetric and not, scaled and added: no false finds, and some true."""
    a, b, _, u, v, s = leaves
    regular = t.add(t.matmul(a, t.transpose(a)), t.make("eye", (), (3, 3)))
    inverse, apart = t.make("inverse", (regular,)), t.sub(u, v)
    apart_turned = t.add(t.neg(t.transpose(v)), t.transpose(u))
    factors = [a, b, t.transpose(a), t.transpose(b), regular, inverse, t.make("cofactor", (regular,))]
    factors += [t.matmul(u, t.transpose(v)), t.matmul(apart, apart_turned), t.mul(s, a), t.mul(s, inverse)]
    rng = np.random.default_rng(3)
    at = {SYMBOLS[n]: rng.normal(size=shape) for n, shape in SHAPES.items()}
    nodes = []
    for _ in range(400):
        half = [factors[k] for k in rng.integers(len(factors), size=rng.integers(1, 3))]
        middle = [factors[rng.integers(len(factors))]] if rng.random() < 0.7 else []
        behind = [t.transpose(f) for f in reversed(half)]
        if rng.random() < 0.4:
            behind[0] = factors[rng.integers(len(factors))]
        product = half[0]
        for factor in (*half[1:], *middle, *behind):
            product = t.matmul(product, factor)
        nodes.append(product)
    nodes += [t.sub(p, t.mul(s, q)) for p, q in pairwise(nodes)]
    found = [node for node in nodes if t.is_symmetric(node)]
    assert 50 < len(found) < len(nodes) // 2
    for node, value in zip(found, evaluate(found, at), strict=True):
        assert np.allclose(value, value.T, rtol=1e-11, atol=1e-11 * np.abs(value).max()), node


def test_a_pair_of_symmetric_factors_around_any_other_is_not_symmetric(t, leaves):
    a, b, *_ = leaves
    outer = t.matmul(a, t.transpose(a))
    product = t.matmul(t.matmul(outer, b), outer)
    assert not t.is_symmetric(product)
    assert t.is_symmetric(t.matmul(t.matmul(outer, t.matmul(b, t.transpose(b))), outer))


def test_a_matrix_written_entry_by_entry_is_turned_entry_by_entry(t):
    """A row and a column always, a larger one where the table holds it."""
    column = t.make("place", [t.constant(k) for k in (1, 2)], ((3, 1), ((0, 0), (2, 0))))
    row = t.transpose(column)
    assert (row.op, row.shape, row.attrs[1]) == ("place", (1, 3), ((0, 0), (0, 2)))
    assert t.transpose(row) is column
    numbers = {(i, j): t.constant(3 * i + j + 1) for i in range(2) for j in range(3)}
    square = t.make("place", list(numbers.values()), ((2, 3), tuple(numbers)))
    assert t.transpose(square).op == "transpose"
    turned = {(j, i): numbers[i, j] for j in range(3) for i in range(2)}
    other = t.make("place", list(turned.values()), ((3, 2), tuple(turned)))
    assert t.transpose(square) is other
    assert np.array_equal(evaluate([other], {})[0], evaluate([square], {})[0].T)
