"""Quotients that cancel in the chain rule: what is written, and what it is worth far out."""

import mpmath
import pytest
import sympy as sp

import symprop
from symprop.declare.printing import text

t, u, v, w, z = sp.symbols("t u v w z")
A, x, y = sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("y", 3, 1)


def logistic(q):
    return 1 / (1 + sp.exp(-q))


def entropy(p, label):
    return -label * sp.log(p) - (1 - label) * sp.log(1 - p)


def share(*exponents):
    """The negative logarithm of the first exponential over the sum."""
    return -sp.log(sp.exp(exponents[0]) / sp.Add(*map(sp.exp, exponents)))


FORMS = [  # formula, variable, gradient as it is written
    (sp.log(u * v), u, "1/u"),
    (sp.log(sp.sin(u) / v), v, "-1/v"),
    (sp.log(sp.sin(u) / v), u, "cos(u)/sin(u)"),
    (share(u, v), u, "exp(u)/(exp(v) + exp(u)) - 1"),
    (share(u, v), v, "exp(v)/(exp(u) + exp(v))"),
    (share(u, v, w), u, "exp(u)/(exp(v) + exp(w) + exp(u)) - 1"),
    (entropy(logistic(z), t), z, "1/(exp(-z) + 1) - t"),
    (entropy(logistic(symprop.scalar(x.T * y)), t), x, "(1/(exp(-x.T*y) + 1) - t)*y"),
    # near misses: a slope alone is as in textbooks, a term that has nothing to cancel keeps the sum whole
    (logistic(z), z, "exp(-z)/(exp(-z) + 1)**2"),
    (logistic(z) ** 2 / 2, z, "exp(-z)/(exp(-z) + 1)**3"),
    (sp.exp(z) * (u + v), z, "exp(z)*(u + v)"),
]


@pytest.mark.parametrize(("formula", "variable", "written"), FORMS)
def test_what_cancels_is_not_written(formula, variable, written):
    found = text(symprop.grad(formula, variable))
    assert sorted(found) == sorted(written), found  # the order of terms is that of sympy


def test_a_sum_with_a_term_that_does_not_cancel_stays_whole():
    """Of the three terms that meet at the sigmoid only two have a quotient."""
    p = sp.Symbol("p")
    loss = symprop.Graph([(p, logistic(z)), (sp.Symbol("L"), entropy(p, t) + w * p)])
    assert "exp(-z)" in text(symprop.grad(entropy(logistic(z), t) + w * logistic(z), z))
    f = symprop.compile(loss, [z, t, w], wrt=[z])
    mpmath.mp.dps = 30
    at = mpmath.mpf("0.7")
    right = mpmath.diff(
        lambda q: (
            -0.25 * mpmath.log(1 / (1 + mpmath.exp(-q)))
            - 0.75 * mpmath.log(1 - 1 / (1 + mpmath.exp(-q)))
            + 2 / (1 + mpmath.exp(-q))
        ),
        at,
    )
    assert f.grad(0.7, 0.25, 2.0)[0] == pytest.approx(float(right), rel=1e-14)


def test_columns():
    """A sigmoid of a column, written out, in a cross-entropy: as with the named function."""
    q, ones = sp.Symbol("q"), sp.OneMatrix(3, 1)
    p = (A * x).applyfunc(sp.Lambda(q, logistic(q)))
    loss = symprop.scalar(-y.T * p.applyfunc(sp.log) - (ones - y).T * (ones - p).applyfunc(sp.log))
    assert text(symprop.grad(loss, x)) == "A.T*(1⊘(exp(-A*x) + 1) - y)"


@pytest.mark.parametrize("formula", [share(u, v), share(u, v, w), entropy(logistic(u), v)])
def test_gradients_are_right_far_out(formula):
    """Also as an expression that is taken in again: no quotient of an infinity by another."""
    symbols = sorted(formula.free_symbols, key=str)
    value = sp.lambdify(symbols, formula, "mpmath")
    f = symprop.compile(formula, symbols)
    g = symprop.compile(symprop.grad(formula, symbols), symbols, wrt=[])
    with mpmath.workdps(800):
        for at in [(0.3, 0.25, 2.0), (30.0, 0.5, -1.0), (-40.0, 0.125, 3.0), (600.0, 0.75, 0.0)]:
            at = at[: len(symbols)]
            for k, (one, other) in enumerate(zip(f.grad(*at), g(*at), strict=True)):
                orders = tuple(int(i == k) for i in range(len(at)))
                right = float(mpmath.diff(value, tuple(map(mpmath.mpf, at)), orders))
                assert one == pytest.approx(right, rel=1e-12, abs=1e-300)
                assert other == pytest.approx(right, rel=1e-12, abs=1e-300)
