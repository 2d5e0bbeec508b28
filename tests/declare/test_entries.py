"""`(w.T*x)[0, 0]` and `(x.T*A*x)[0, 0]`, which sympy writes out, are products again."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.declare import Graph, as_graph
from symprop.declare.printing import text
from symprop.differentiate import backprop, hessian
from symprop.graph.evaluate import evaluate

w, x, h = (sp.MatrixSymbol(name, 3, 1) for name in "wxh")
A, B, C = sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("B", 3, 2), sp.MatrixSymbol("C", 3, 3)
y = sp.MatrixSymbol("y", 2, 1)
b, L = sp.symbols("b L")
RANDOM = np.random.default_rng(8)
AT = {m: RANDOM.normal(size=m.shape) for m in (w, x, h, A, B, C, y)} | {b: 0.7}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ((w.T * x)[0, 0], "w.T*x"),
        (b - 2 * (w.T * x)[0, 0], "b - 2*(w.T*x)"),
        ((x.T * x)[0, 0] / 3 + (h.T * w)[0, 0] + h[0, 0] * h[1, 0], "h[0, 0]*h[1, 0] + x.T*x/3 + h.T*w"),
        (w[0, 0] * x[0, 0] + w[1, 0] * x[1, 0], "w[0, 0]*x[0, 0] + w[1, 0]*x[1, 0]"),
        ((w.T * A * x)[0, 0], "w.T*A*x"),
        (3 * (x.T * A.T * x)[0, 0] - (x.T * x)[0, 0], "3*(x.T*A*x) - x.T*x"),
        (b * (w.T * B * y)[0, 0] ** 2, "b*(w.T*B*y)**2"),
        ((w.T * B * B.T * A * x)[0, 0], "w.T*B*B.T*A*x"),
        (((x - w).T * A * (x - w))[0, 0] / 2, "(x - w).T*A*(x - w)/2"),
        (((B * y - x).T * (B * y - x))[0, 0], "(B*y - x).T*(B*y - x)"),
        ((x.T * (A + 2 * C) * h)[0, 0], "x.T*(2*C + A)*h"),
        ((A * x)[1, 0], "A[1, 0]*x[0, 0] + A[1, 1]*x[1, 0] + A[1, 2]*x[2, 0]"),
        ((w.T * x)[0, 0] + (A * x)[0, 0], "A[0, 0]*x[0, 0] + A[0, 1]*x[1, 0] + A[0, 2]*x[2, 0] + w.T*x"),
        (
            (A[0, 0] * x[0, 0] + A[1, 0] * x[1, 0]) * w[0, 0]
            + (A[0, 1] * x[0, 0] + A[1, 1] * x[1, 0]) * w[1, 0],
            "w[0, 0]*(A[0, 0]*x[0, 0] + A[1, 0]*x[1, 0]) + w[1, 0]*(x[0, 0]*A[0, 1] + x[1, 0]*A[1, 1])",
        ),
        (
            w[0, 0] * x[0, 0] + w[1, 0] * x[1, 0] + 2 * w[2, 0] * x[2, 0],
            "w[0, 0]*x[0, 0] + w[1, 0]*x[1, 0] + 2*w[2, 0]*x[2, 0]",
        ),
        (
            w[0, 0] * x[1, 0] + w[1, 0] * x[2, 0] + w[2, 0] * x[0, 0],
            "w[0, 0]*x[1, 0] + w[1, 0]*x[2, 0] + w[2, 0]*x[0, 0]",
        ),
    ],
)
def test_whole_products_only(written, shown):
    graph = as_graph(written)
    node = graph.nodes[graph.outputs[0]]
    assert text(node) == shown
    entries = {m[i]: AT[m][i] for m in AT if m != b for i in np.ndindex(*m.shape)} | {b: AT[b]}
    np.testing.assert_allclose(evaluate([node], AT)[0], float(written.subs(entries)), rtol=1e-13)


def test_gradients_are_columns():
    found = backprop(Graph([(h, A * x - w), (L, (h.T * h)[0, 0] / 2)]), [A, x])
    assert str(found) == "h = A*x - w\nL = h.T*h/2\nd_h = h\nd_A = h*x.T\nd_x = A.T*h"
    assert text(symprop.grad(((A * x - w).T * (A * x - w))[0, 0], x)) == "2*A.T*(A*x - w)"
    assert text(hessian((x.T * A * x)[0, 0], x)) == "A + A.T"
    assert text(hessian(sp.exp((w.T * x)[0, 0]), w)) == "exp(w.T*x)*x*x.T"


def test_columns_of_numbers():
    """sympy writes the transpose of a Matrix out: both are one node."""
    numbers = sp.Matrix([1, 2, 3])
    assert text(symprop.grad((A * x - numbers).T * (A * x - numbers), x)) == (
        "2*A.T*(A*x + Matrix([[-1], [-2], [-3]]))"
    )
    n = sp.Symbol("n")
    M, u = sp.MatrixSymbol("M", n, n), sp.MatrixSymbol("u", n, 1)
    assert text(symprop.grad((u.T * M * u)[0, 0], u)) == "M*u + M.T*u"


def test_a_term_that_is_there_twice_stays():
    terms = [w[i, 0] * x[i, 0] for i in (0, 1, 1, 2)]
    assert text(sp.Add(*terms, evaluate=False)) == "w[1, 0]*x[1, 0] + w.T*x"
