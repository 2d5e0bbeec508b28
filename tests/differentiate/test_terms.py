"""Sums of terms: multiples of one product are collected, and the sum keeps its value."""

import random

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.differentiate.accumulate import add_terms
from symprop.graph import Node, NodeTable
from symprop.graph.evaluate import evaluate

A, B = sp.MatrixSymbol("A", 2, 2), sp.MatrixSymbol("B", 2, 2)
S, R = sp.symbols("s r")
VALUES = {A: np.array([[0.7, -1.2], [0.4, 1.9]]), B: np.array([[-0.3, 0.8], [1.1, 0.6]]), S: 0.37, R: -1.3}


def random_term(rng: random.Random, t: NodeTable, depth: int) -> Node:
    """A product of matrices, numbers and scalars, bracketed and transposed anyhow."""
    leaves = [t.symbol(A), t.symbol(B), t.make("inverse", (t.symbol(A),))]
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(leaves)

    def below() -> Node:
        return random_term(rng, t, depth - 1)

    number = t.constant(rng.choice([-1, 2, sp.Rational(1, 2), -3]))
    kinds = {
        "matmul": lambda: t.matmul(below(), below()),
        "multiple": lambda: t.mul(number, below()),
        "multiple as it stands": lambda: t.make("mul", (number, below())),
        "scaled": lambda: t.mul(t.symbol(rng.choice([S, R])), below()),
        "transpose": lambda: t.transpose(below()),
        "transpose as it stands": lambda: t.make("transpose", (below(),), ((1, 0),)),
        "entries": lambda: t.mul(below(), below()),
        "sum": lambda: t.add(below(), below()),
    }
    weights = (5, 3, 2, 2, 2, 1, 1, 1)
    return kinds[rng.choices(list(kinds), weights)[0]]()


@pytest.mark.parametrize("first", range(0, 900, 100))
def test_a_sum_keeps_its_value(first: int) -> None:
    for seed in range(first, first + 100):
        rng, table = random.Random(seed), NodeTable()
        terms = [random_term(rng, table, rng.randint(1, 4)) for _ in range(rng.randint(2, 5))]
        terms.append(table.mul(table.constant(rng.choice([-1, 2])), rng.choice(terms)))
        found = add_terms(table, terms)
        *parts, value = evaluate([*terms, table.full(0, (2, 2)) if found is None else found], VALUES)
        assert np.abs(sum(parts) - value).max() <= 1e-12 * sum(np.abs(p) for p in parts).max(), seed


def test_a_sign_inside_a_nested_product_is_counted_once() -> None:
    """The second derivative of x.T*(A + r*I)**-1*x by r is 2 x.T*(A + r*I)**-3*x, whatever the order."""
    x = sp.MatrixSymbol("x", 2, 1)
    target = symprop.scalar(x.T * sp.Inverse(A + R * sp.Identity(2)) * x)
    twice = target
    for _ in range(2):
        twice = symprop.jvp(twice, [R], [S], as_graph=True)
    at = np.array([1.3, -0.4])
    inverse = np.linalg.inv(VALUES[A] + VALUES[R] * np.eye(2))
    expected = 2 * VALUES[S] ** 2 * at @ inverse @ inverse @ inverse @ at
    found = symprop.compile(twice, args=[A, x, R, S], wrt=[])(VALUES[A], at, VALUES[R], VALUES[S])
    assert found == pytest.approx(expected, rel=1e-13)
