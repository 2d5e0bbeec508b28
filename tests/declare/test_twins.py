"""Terms that are written twice, once as their transpose."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.graph import topological

n = sp.Symbol("n", integer=True, positive=True)
A, B, C, X = (sp.MatrixSymbol(s, 3, 3) for s in "ABCX")
x, y, a = (sp.MatrixSymbol(s, 3, 1) for s in "xya")
U, V, D, W = (
    *(sp.MatrixSymbol(s, 3, 2) for s in "UV"),
    sp.MatrixSymbol("D", n, 3),
    sp.MatrixSymbol("W", 3, 3),
)
s, L = sp.symbols("s L")
M = sp.MatrixSymbol("M", 3, 3)
tr = sp.Trace


def line(*equations):
    return str(symprop.Graph([*equations])).splitlines()[-1]


def squared(m):
    return tr(m.T * m)


@pytest.mark.parametrize(
    ("formula", "written"),
    [
        (squared(A * X + X * B - C), "L = trace((A*X + X*B - C).T*(A*X + X*B - C))"),
        (symprop.scalar((A * x - y).T * (A * x - y)), "L = (A*x - y).T*(A*x - y)"),
        (
            symprop.scalar(((W + s * U * V.T) * x - y).T * ((W + s * U * V.T) * x - y)),
            "L = ((s*U*V.T + W)*x - y).T*((s*U*V.T + W)*x - y)",
        ),
        (
            squared(D - sp.OneMatrix(n, n) * D / n),
            "L = trace((D - ones(n, n)*D/n).T*(D - ones(n, n)*D/n))",
        ),
        # near misses: the transpose of a factor alone, and another sum
        (tr(X.T * A * X), "L = trace(X.T*A*X)"),
        (tr((A + B).T * (A - B)), "L = trace((A.T + B.T)*(A - B))"),
        (symprop.scalar(x.T * A.T * y + y.T * B * x), "L = x.T*A.T*y + y.T*B*x"),
    ],
)
def test_one_value_for_a_term_and_its_transpose(formula, written):
    assert line((L, formula)) == written


def test_across_equations_the_name_counts():
    """What an equation has named is what later ones use."""
    assert line((M, A * X - B), (L, tr((X.T * A.T - B.T) * C))) == "L = trace(M.T*C)"


def test_the_equations_of_the_user_stay_as_they_are():
    formula = squared(A * X - C)
    assert symprop.Graph([(L, formula)]).equations == ((L, formula),)


def test_a_low_rank_adapter_reads_as_in_the_paper():
    change = (W + s * U * V.T) * x - y
    back = str(symprop.backprop(symprop.scalar(change.T * change) / 2, [U, V, W])).splitlines()
    assert back == [
        "a3 = (s*U*V.T + W)*x - y",
        "out = a3.T*a3/2",
        "d_a2 = a3*x.T",
        "d_a = s*d_a2",
        "d_U = d_a*V",
        "d_V = d_a.T*U",
        "d_W = d_a2",
    ]


def test_adjoints_use_the_term_that_is_there():
    half = symprop.scalar(x.T * (W.T + s * V * U.T) * (W + s * U * V.T) * x)
    back = str(symprop.backprop(half, [x])).splitlines()
    assert back == ["a = s*U*V.T + W", "out = x.T*a.T*a*x", "d_x = 2*a.T*a*x"]


def test_nothing_is_computed_twice():
    """Products and functions of matrices in the compiled program of a tied autoencoder."""
    q = sp.MatrixSymbol("q", 5, 3)
    error = nn.tanh(q * U) * U.T - q
    program = symprop.compile(squared(error), [q, U], wrt=[]).program
    nodes = topological([program.nodes[o] for o in program.outputs])
    assert sum(node.op == "matmul" for node in nodes) == 2
    assert sum(node.op == "tanh" for node in nodes) == 1


def test_values_and_gradients():
    rng = np.random.default_rng(2)
    ones = sp.OneMatrix(n, n)
    centred = D - ones * D / n
    formula = tr((centred * W).T * (centred * W)) + squared(A * X + X * B - C) + tr(centred.T * centred * C.T)
    f = symprop.compile(formula, [D, W, A, X, B, C], wrt=[D, W, X])
    at = [rng.normal(size=(5, 3)), *(rng.normal(size=(3, 3)) for _ in range(5))]

    def value(d, w, a_, x_, b_, c_):
        z = d - d.sum(0) / 5
        m = a_ @ x_ + x_ @ b_ - c_
        return np.sum((z @ w) ** 2) + np.sum(m**2) + np.trace(z.T @ z @ c_.T)

    found, grads = f.value_and_grad(*at)
    assert found == pytest.approx(value(*at), rel=1e-13)
    for k, gradient in zip((0, 1, 3), grads, strict=True):
        for place in np.ndindex(*at[k].shape):
            moved = [v.astype(complex) for v in at]
            moved[k][place] += 1e-25j
            z = moved[0] - moved[0].sum(0) / 5
            m = moved[2] @ moved[3] + moved[3] @ moved[4] - moved[5]
            right = np.sum((z @ moved[1]) ** 2) + np.sum(m**2) + np.trace(z.T @ z @ moved[5].T)
            assert gradient[place] == pytest.approx(right.imag / 1e-25, rel=1e-11, abs=1e-12)
