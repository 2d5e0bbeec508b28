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


def test_exponentials_in_exponents():
    """Gumbel's distribution and its density, where the inner exponential is large and where it overflows."""
    f = symprop.compile(E(-E(-x)), args=[x], batch=[x], wrt=[x])
    # the last two are zero: that is not left to mpmath, which takes a million digits for exp(exp(1e6))
    points = np.concatenate([np.random.default_rng(2).uniform(-6.5, 40, 300), [800.0, -800.0, -1e6]])
    value, (slope,) = f.value_and_grad(points)
    assert not value[-2:].any() and not slope[-2:].any()
    with mp.workdps(40):
        for point, *pair in zip(points[:-2], value, slope, strict=False):
            right = mp.exp(-mp.exp(-mp.mpf(point)))
            for found, true in zip(pair, (right, right * mp.exp(-mp.mpf(point))), strict=True):
                if true > SMALLEST_NORMAL:
                    assert abs(mp.mpf(float(found)) - true) <= 32 * np.spacing(float(true))


Z, H = sp.MatrixSymbol("z", 4, 1), sp.MatrixSymbol("t", 4, 1)
k, i = sp.symbols("k i", integer=True)
TOTAL = sp.Sum(E(Z[k, 0]), (k, 0, 3))
THIRDS = sp.Sum(E(Z[k, 0] / 3), (k, 0, 3))
LOG_SUMS = {
    "a logarithm less an exponent": (sp.log(TOTAL) - Z[2, 0], 1),
    "of a quotient": (-sp.log(E(Z[2, 0]) / TOTAL), 1),
    "with a temperature": (-3 * sp.log(E(Z[2, 0] / 3) / THIRDS), 3),
    "in a sum over targets": (-sp.Sum(H[i, 0] * (Z[i, 0] - sp.log(TOTAL)), (i, 0, 3)), 1),
}


@pytest.mark.parametrize("name", LOG_SUMS)
def test_log_sums_less_an_exponent(name):
    """T log(sum(exp(z/T))) - z[2] and its gradient, where the result is as small as the rest of the sum."""
    expression, temperature = LOG_SUMS[name]
    random = np.random.default_rng(4)
    points = np.concatenate([random.normal(size=(40, 4)) * scale for scale in (1, 10, 100)])
    points[::2, 2] += 60
    f = symprop.compile(expression, args=[Z, H], batch=[Z], wrt=[Z])
    value, (slope,) = f.value_and_grad(points, [0, 0, 1, 0])
    with mp.workdps(300):
        for row in range(len(points)):
            powers = [mp.exp((mp.mpf(v) - mp.mpf(points[row, 2])) / temperature) for v in points[row]]
            total = sum(powers)
            pairs = [(value[row], temperature * mp.log(total))]
            for j, power in enumerate(powers):
                right = power / total - (sum(powers[:2]) + powers[2] + powers[3] == 0)
                right = -(total - power) / total if j == 2 else right
                pairs.append((slope[row, j], right))
            for found, true in pairs:
                if abs(true) > SMALLEST_NORMAL:
                    assert abs(mp.mpf(float(found)) - true) <= 4 * np.spacing(abs(float(true)))
