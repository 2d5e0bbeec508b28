"""Sums and products over counted indices, against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

i, j, k, y = (sp.Symbol(name, integer=True) for name in "ijky")
n = sp.Symbol("n", integer=True, positive=True)
x = sp.Symbol("x")
z, v = sp.MatrixSymbol("z", 5, 1), sp.MatrixSymbol("v", 5, 1)
M, N, A = sp.MatrixSymbol("M", 4, 5), sp.MatrixSymbol("N", 5, 3), sp.MatrixSymbol("A", 4, 4)
u, X, S = sp.MatrixSymbol("u", n, 1), sp.MatrixSymbol("X", n, 3), sp.MatrixSymbol("S", n, n)

rng = np.random.default_rng(5)
AT = {a: rng.normal(size=a.shape[:1] if a.shape[1] == 1 else a.shape) for a in (z, v, M, N, A)}
AT |= {u: rng.normal(size=6), X: rng.normal(size=(6, 3)), x: 0.7, y: 2}
n_z, n_v, n_m, n_n, n_a, n_u, n_x = (AT[a] for a in (z, v, M, N, A, u, X))

CASES = {
    "exponentials": (sp.Sum(sp.exp(z[i, 0]), (i, 0, 4)), np.exp(n_z).sum()),
    "softmax at a label": (
        sp.exp(z[y, 0]) / sp.Sum(sp.exp(z[i, 0]), (i, 0, 4)),
        np.exp(n_z)[2] / np.exp(n_z).sum(),
    ),
    "any length": (sp.log(sp.Sum(sp.exp(u[i, 0]), (i, 0, n - 1))), np.log(np.exp(n_u).sum())),
    "inner product": (sp.Sum(z[i, 0] * v[i, 0], (i, 0, 4)), n_z @ n_v),
    "shifted": (sp.Sum(z[i, 0] * v[i + 1, 0], (i, 0, 3)), n_z[:4] @ n_v[1:]),
    "reversed": (sp.Sum(z[i, 0] * v[4 - i, 0], (i, 0, 4)), n_z @ n_v[::-1]),
    "every second": (sp.Sum(z[2 * i, 0], (i, 0, 2)), n_z[::2].sum()),
    "none": (sp.Sum(z[i, 0], (i, 3, 2)), 0.0),
    "matrix": (sp.Sum(M[i, j] ** 2, (i, 0, 3), (j, 0, 4)), (n_m**2).sum()),
    "the index as a number": (
        sp.Sum(M[j, i] ** 2 * i, (i, 0, 4), (j, 0, 3)),
        (n_m**2 * np.arange(5)).sum(),
    ),
    "layer": (
        sp.Sum(sp.tanh(sp.Sum(M[i, j] * z[j, 0], (j, 0, 4))), (i, 0, 3)),
        np.tanh(n_m @ n_z).sum(),
    ),
    "log-sum-exp of rows": (
        sp.Sum(sp.log(sp.Sum(sp.exp(M[i, j]), (j, 0, 4))), (i, 0, 3)),
        np.log(np.exp(n_m).sum(1)).sum(),
    ),
    "three indices": (
        sp.Sum(M[i, j] * N[j, k] * v[k, 0], (i, 0, 3), (j, 0, 4), (k, 0, 2)),
        (n_m @ n_n @ n_v[:3]).sum(),
    ),
    "power series": (
        sp.Sum(x**i / sp.factorial(i), (i, 0, 10)),
        sum(0.7**q / math.factorial(q) for q in range(11)),
    ),
    "product": (sp.Product(x + i, (i, 1, 4)), np.prod(0.7 + np.arange(1, 5))),
    "sum of products": (sp.Sum(sp.Product(M[i, j], (j, 0, 4)), (i, 0, 3)), n_m.prod(1).sum()),
    "product of sums": (sp.Product(sp.Sum(M[i, j], (j, 0, 4)), (i, 0, 3)), n_m.sum(1).prod()),
    "trace": (sp.Sum(A[i, i], (i, 0, 3)), np.trace(n_a)),
    "beside the diagonal": (sp.Sum(A[i, i + 1], (i, 0, 2)), np.trace(n_a, 1)),
    "triangle": (sp.Sum(A[i, j], (j, 0, i), (i, 0, 3)), np.tril(n_a).sum()),
    "without the diagonal": (
        sp.Sum(sp.Piecewise((M[i, j], sp.Ne(i, j)), (0, True)), (i, 0, 3), (j, 0, 4)),
        (n_m * (1 - np.eye(4, 5))).sum(),
    ),
    "convolution": (
        sp.Sum(z[i - j, 0] * v[j, 0], (j, 0, i), (i, 0, 4)),
        np.convolve(n_z, n_v)[:5].sum(),
    ),
    "columns of any length": (sp.Sum(X[i, 0] * X[i, 1], (i, 0, n - 1)), n_x[:, 0] @ n_x[:, 1]),
    "entries of a product": (sp.Sum((X * N[:3, :])[i, 1], (i, 0, n - 1)), (n_x @ n_n[:3])[:, 1].sum()),
    "named function": (sp.Sum(nn.relu(z[i, 0]), (i, 1, 3)) + 1, np.maximum(n_z[1:4], 0).sum() + 1),
    "row of a label": (sp.Sum(M[y, i] * z[i, 0], (i, 0, 4)), n_m[2] @ n_z),
    "entries of a function": (sp.Sum(z.applyfunc(sp.sin)[i, 0], (i, 0, 4)), np.sin(n_z).sum()),
    "constant terms": (sp.Sum(sp.Sum(x, (j, 0, 4)) * z[i, 0], (i, 0, 4)), 5 * 0.7 * n_z.sum()),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    expression, expected = CASES[name]
    f = symprop.compile(expression)
    given = {str(symbol): AT[symbol] for symbol in f.graph.inputs}
    assert f(**given) == pytest.approx(expected, rel=1e-13)
    if given:
        f.verify(**given).raise_if_failed()


def test_a_gradient_is_a_matrix_formula():
    assert str(symprop.grad(CASES["layer"][0], z)) == "M.T*(-HadamardPower(tanh(M*z), 2) + 1)"
    assert str(symprop.grad(CASES["inner product"][0], z)) == "v"
    assert str(symprop.grad(CASES["trace"][0], A)) == "I"


def test_a_long_sum_is_one_operation():
    long = sp.MatrixSymbol("long", 100_000, 1)
    graph = symprop.Graph([(x, sp.Sum(sp.exp(long[i, 0]) ** 2, (i, 0, 99_999)))])
    assert len(graph.table.nodes) < 20


@pytest.mark.parametrize(
    ("expression", "kind", "says"),
    [
        (sp.Sum(z[i, 0], (i, 0, 5)), symprop.ShapeError, "the index runs from 0 to 5 along the rows"),
        (sp.Sum(z[i - 1, 0], (i, 0, 4)), symprop.ShapeError, "from -1 to 3"),
        (sp.Sum(x**i, (i, 0, sp.oo)), symprop.UnsupportedExpressionError, "whole numbers"),
        (sp.Sum(x**i, (i, 0, y)), symprop.UnsupportedExpressionError, "stands in M"),
        (sp.Product(x + i, (i, 0, n)), symprop.UnsupportedExpressionError, "a number up to"),
        (sp.Sum(i * u[i, 0], (i, 0, n - 1)), symprop.UnsupportedExpressionError, "stands in M"),
        (
            sp.Sum(A[i, j], (i, 0, 3), (j, 0, i)),
            symprop.UnsupportedExpressionError,
            "j depend on i, which is",
        ),
        (sp.Sum(A[i, j], (j, 0, n), (i, 0, 3)), symprop.ShapeError, "a symbol as the number of values is a"),
        (
            sp.Sum(S[i, j], (j, 0, i), (i, 0, n - 1)),
            symprop.UnsupportedExpressionError,
            "value by value, as the limit i depends on it",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused(expression, kind, says):
    with pytest.raises(kind, match=says):
        symprop.Graph([(sp.Symbol("L"), expression)])


def test_a_sum_inside_another_may_use_the_same_index():
    """Inside the inner sum it is that of the inner sum, as in sympy."""
    z, t = sp.MatrixSymbol("z", 3, 1), sp.MatrixSymbol("t", 3, 1)
    i = sp.Symbol("i", integer=True)
    total = sp.Sum(sp.exp(z[i, 0]), (i, 0, 2))
    at, by = np.array([0.5, -1.0, 2.0]), np.array([1.0, 3.0, -2.0])
    e = np.exp(at)
    cases = {
        sp.Sum(t[i, 0] * total, (i, 0, 2)): by.sum() * e.sum(),
        sp.Sum(t[i, 0] * sp.exp(z[i, 0]) / total, (i, 0, 2)): (by * e).sum() / e.sum(),
        sp.Sum(t[i, 0] + sp.Sum(z[i, 0] * t[i, 0], (i, 0, 2)), (i, 0, 2)): by.sum() + 3 * at @ by,
    }
    for expression, expected in cases.items():
        f = symprop.compile(expression, args=[z, t], wrt=[])
        assert abs(f(at, by) - expected) < 1e-12 * abs(expected)


def test_an_inner_sum_has_an_axis_for_its_own():
    """Where it does not depend on both indices around it, nothing is written out value by value."""
    A, B = sp.MatrixSymbol("A", 3, 4), sp.MatrixSymbol("B", 3, 4)
    i, j, k = sp.symbols("i j k", integer=True)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    rows, columns = sp.Sum(A[i, k] ** 2, (k, 0, 3)), sp.Sum(A[k, j] ** 2, (k, 0, 2))
    for inner, expected in (
        (rows, (b.sum(1) * (a**2).sum(1)).sum()),
        (columns, (b.sum(0) * (a**2).sum(0)).sum()),
    ):
        for limits in (((i, 0, 2), (j, 0, 3)), ((j, 0, 3), (i, 0, 2))):
            f = symprop.compile(sp.Sum(B[i, j] * inner, *limits), args=[A, B], wrt=[])
            assert abs(f(a, b) - expected) < 1e-12 * abs(expected)
            assert "[:" not in str(f.program)
