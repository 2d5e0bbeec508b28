"""Logarithms of norms next to the unit circle, divergences of near distributions."""

from __future__ import annotations

import math

import mpmath as mp
import pytest
import sympy as sp

import symprop

a, p, q, x, y, z = sp.symbols("a p q x y z", real=True)
CIRCLE = [
    (math.cos(t) * (1 + e), math.sin(t) * (1 + e))
    for t in (0.3, 0.7, 1.2, 3.0)
    for e in (0, -1e-12, 1e-6, -0.1, 0.7, 30.0, -0.9)
]
NEAR = [(v, v * (1 + s * e)) for v in (0.01, 0.2, 0.9) for e in (2.0**-50, 1e-9, 1e-3, 0.09) for s in (1, -1)]
APART = [(0.9, 1e-40), (0.001, 0.93), (0.5, 0.1)]


def worst(formula, args, points, fired):
    """The largest relative error, which also knows that the rule has fired."""
    f = symprop.compile(formula, args=args)
    assert f.report.fired[fired] >= 1
    exact, largest = sp.lambdify(args, formula, "mpmath"), 0.0
    with mp.workdps(90):
        for at in points:
            right = exact(*map(mp.mpf, at))
            largest = max(largest, float(abs((f(*at) - right) / right)))
    return largest


@pytest.mark.parametrize(
    "formula", [sp.log(sp.sqrt(x**2 + y**2)), sp.log(x**2 + y**2) / 2, 3 * sp.log(x**2 + y**2)]
)
def test_norms_next_to_one(formula):
    """0 for 2.8e-17 before."""
    assert worst(formula, [x, y], CIRCLE, "logarithm of a norm near one") < 5e-16


def test_norms_out_of_range():
    f = symprop.compile(sp.log(sp.sqrt(x**2 + y**2)), args=[x, y], wrt=[])
    for at in ((1e200, 1e190), (1e-200, 1e-210), (0.0, 3.0)):
        assert f(*at) == pytest.approx(math.log(math.hypot(*at)), rel=1e-15)
    assert f(0.0, 0.0) == -math.inf


JENSEN_SHANNON = p * sp.log(2 * p / (p + q)) / 2 + q * sp.log(2 * q / (p + q)) / 2
OTHER = (1 - p) * sp.log(2 * (1 - p) / (2 - p - q)) / 2 + (1 - q) * sp.log(2 * (1 - q) / (2 - p - q)) / 2


@pytest.mark.parametrize(
    "formula",
    [
        JENSEN_SHANNON,
        JENSEN_SHANNON + OTHER,
        3 * p * sp.log(p / ((p + q) / 2)) + 3 * q * sp.log(q / ((p + q) / 2)),
    ],
)
def test_divergences_of_near_distributions(formula):
    """Noise of any sign of 1e-17 before, where the value is 1e-32."""
    assert worst(formula, [p, q], NEAR + APART, "divergence of near values") < 4e-15


@pytest.mark.parametrize(
    "formula",
    [
        p * sp.log(2 * p / (p + q)) - q * sp.log(2 * q / (p + q)),
        p * sp.log(3 * p / (p + q)) + q * sp.log(3 * q / (p + q)),
        p * sp.log(2 * p / (p + q)) + q * sp.log(2 * a / (p + q)),
        sp.log(1 + x**2),
        sp.log(x**2 + y**2 + z**2),
        sp.log(x**2 + y),
    ],
)
def test_near_misses(formula):
    fired = symprop.compile(formula, args=sorted(formula.free_symbols, key=str), wrt=[]).report.fired
    assert not {"divergence of near values", "logarithm of a norm near one"} & set(fired)
