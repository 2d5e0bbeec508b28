"""Functions of multiples, quotients and sums of inputs, against mpmath: their arguments are not rounded."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop

x = sp.Symbol("x")
E = sp.exp
SMALLEST_NORMAL = np.finfo(float).tiny


def sigmoid_exact(v):
    """A sigmoid of v at any precision, and its slope."""
    s = 1 / (1 + mp.exp(-v))
    return s, s / (1 + mp.exp(v))


ARGUMENTS = {
    "a multiple": (3 * x, lambda v: 3 * v, 3),
    "a quotient": (x / 3, lambda v: v / 3, mp.mpf(1) / 3),
    "an irrational multiple": (sp.sqrt(2) * x, lambda v: mp.sqrt(2) * v, mp.sqrt(2)),
    "affine": (3 * x + 2, lambda v: 3 * v + 2, 3),
    "a difference over a number": (
        (x - sp.Rational(1, 3)) / 7,
        lambda v: (v - mp.mpf(1) / 3) / 7,
        mp.mpf(1) / 7,
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_are_not_rounded(name):
    """Of a sigmoid, a softplus and a sine of hyperbolic kind: within 3 ULP out to the ends of the range."""
    expression, inner, rate = ARGUMENTS[name]
    points = np.random.default_rng(1).uniform(-700, 700, 300)
    for function, exact in (
        (lambda v: 1 / (1 + E(-v)), sigmoid_exact),
        (lambda v: sp.log(1 + E(v)), lambda v: (mp.log1p(mp.exp(v)), sigmoid_exact(v)[0])),
        (sp.sinh, lambda v: (mp.sinh(v), mp.cosh(v))),
    ):
        f = symprop.compile(function(expression), args=[x], batch=[x], wrt=[x])
        value, (slope,) = f.value_and_grad(points)
        with mp.workdps(40):
            for k, point in enumerate(points):
                right, right_slope = exact(inner(mp.mpf(point)))
                for found, true in ((value[k], right), (slope[k], right_slope * rate)):
                    if SMALLEST_NORMAL < abs(true) < mp.mpf(2) ** 1023:
                        assert abs(mp.mpf(float(found)) - true) <= 3 * np.spacing(abs(float(true)))
