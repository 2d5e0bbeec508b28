"""Sums of fractions in one variable over their common denominator."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import symprop

a, x, y = sp.symbols("a x y", real=True)
FAR = [s * v for v in (1e-9, 1e-3, 0.37, 2.9, 41.0, 7.7e5, 3.3e11) for s in (1.0, -1.0)]
SUMS = {
    "second difference": 1 / (x + 1) - 2 / x + 1 / (x - 1),
    "two quotients": x / (x + 1) - (x + 1) / (x - 1),
    "what is left of a series": 1 / (1 + x) - 1 / (1 - x) + 2 * x,
    "squares": 1 / (x**2 + 1) - 1 / (x**2 - 1),
    "odd": 1 / (2 * x + 1) + 1 / (2 * x - 1) - 1 / x,
}


@pytest.mark.parametrize("name", SUMS)
def test_values_and_slopes(name):
    """Against exact fractions: all digits were lost from 1e5 on, or next to zero."""
    formula = SUMS[name]
    f = symprop.compile(formula, args=[x])
    assert f.report.fired["fractions over one denominator"] >= 1
    exact = [sp.lambdify([x], sp.together(e)) for e in (formula, sp.diff(formula, x))]
    for at in FAR:
        value, (slope,) = f.value_and_grad(at)
        for found, function in zip((value, slope), exact, strict=True):
            right = function(Fraction(at))
            assert abs(Fraction(float(found)) - right) <= Fraction(2, 10**15) * abs(right), (
                at,
                found,
                float(right),
            )


def test_of_ratios_with_a_factor():
    formula = y * a / (x / y + 1) - 2 * y * a / (x / y + 2) + y**2 * a / x
    f = symprop.compile(formula, args=[a, x, y], wrt=[])
    assert f.report.fired["fractions over one denominator"] == 1
    for at in [(1.3, 2.9e5, 3.0), (-0.7, 1e-4, 7.0), (2.0, 3e9, -0.3)]:
        p, q, r = map(Fraction, at)
        u = q / r
        right = r * p * (1 / (u + 1) - 2 / (u + 2) + 1 / u)
        assert abs(Fraction(float(f(*at))) - right) <= abs(right) / 10**15


def test_powers_that_overflow():
    """2/x**3 from x = 1e160 on, where x**3 is infinite and its inverse zero; the slope was NaN."""
    f = symprop.compile(SUMS["two quotients"], args=[x])
    for at in (1e120, -1e160, 1e250):
        value, (slope,) = f.value_and_grad(at)
        np.testing.assert_allclose([value, slope], [-3 / at, 3 / at / at], rtol=1e-15)


@pytest.mark.parametrize(
    "formula",
    [
        1 / (x + 1) + 1 / (x + 2),  # nothing cancels
        x / (x + a) - (x + a) / x,  # two variables
        1 / (x + sp.pi) - 1 / (x + sp.E) + 1 / (x + 2),
        (x - 1) ** 4 / (x + 1) ** 4 - 1 + 8 / x,  # multiplied out it would lose digits next to 1
    ],
)
def test_near_misses(formula):
    fired = symprop.compile(formula, args=sorted(formula.free_symbols, key=str), wrt=[]).report.fired
    assert "fractions over one denominator" not in fired
