"""`(w.T*x)[0, 0]`, which sympy writes out, is the product of columns again."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from symprop.declare import Graph, as_graph
from symprop.declare.printing import text
from symprop.differentiate import backprop, hessian
from symprop.graph.evaluate import evaluate

w, x, h = (sp.MatrixSymbol(name, 3, 1) for name in "wxh")
A = sp.MatrixSymbol("A", 3, 3)
b, L = sp.symbols("b L")
NUMBERS = np.random.default_rng(8).normal(size=(3, 3, 1))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ((w.T * x)[0, 0], "w.T*x"),
        (b - 2 * (w.T * x)[0, 0], "b - 2*(w.T*x)"),
        ((x.T * x)[0, 0] / 3 + (h.T * w)[0, 0] + h[0, 0] * h[1, 0], "h[0, 0]*h[1, 0] + x.T*x/3 + h.T*w"),
        (w[0, 0] * x[0, 0] + w[1, 0] * x[1, 0], "w[0, 0]*x[0, 0] + w[1, 0]*x[1, 0]"),
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
def test_whole_columns_only(written, shown):
    graph = as_graph(written)
    node = graph.nodes[graph.outputs[0]]
    assert text(node) == shown
    at = dict(zip((w, x, h), NUMBERS, strict=True)) | {b: 0.7}
    entries = {m[i, 0]: at[m][i, 0] for m in (w, x, h) for i in range(3)} | {b: 0.7}
    np.testing.assert_allclose(evaluate([node], at)[0], float(written.subs(entries)), rtol=1e-14)


def test_gradients_are_columns():
    found = backprop(Graph([(h, A * x - w), (L, (h.T * h)[0, 0] / 2)]), [A, x])
    assert str(found) == "h = A*x - w\nL = h.T*h/2\nd_h = h\nd_A = h*x.T\nd_x = A.T*h"
    assert text(hessian(sp.exp((w.T * x)[0, 0]), w)) == "exp(w.T*x)*x*x.T"


def test_a_term_that_is_there_twice_stays():
    terms = [w[i, 0] * x[i, 0] for i in (0, 1, 1, 2)]
    assert text(sp.Add(*terms, evaluate=False)) == "w[1, 0]*x[1, 0] + w.T*x"
