"""Differences of rounded products and quotients: determinants, discriminants, reactances."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from mpmath_checks import check_slopes

import symprop

a, b, c, d, x = sp.symbols("a b c d x", real=True)
NEAR = [
    (p, q, p * (1 + e), q * (1 - e * (1 + 1e-5)))
    for p in (0.3, 7.7, 1e5)
    for q in (1.1, 331.7)
    for e in (1e-9, 0.3)
]
CIRCLE = [(math.cos(t) * (1 + e), math.sin(t)) for t in (0.3, 0.7, 1.2) for e in (-1e-12, -1e-6, -0.1)]
ROOTS = [
    (p, 2 * math.sqrt(p * q) * (1 + e), q)
    for p in (0.3, 7.1)
    for q in (1.3, 77.0)
    for e in (1e-12, 1e-7, 0.1)
]
RESONANCE = [(r, 1e-3, 1e-9, 1e6 * (1 + e)) for r in (0.1, 1e3) for e in (1e-9, 1e-5, -0.9)]

LOST = {
    "determinant": (a * b - c * d, [a, b, c, d], NEAR),
    "determinant and a term": (a * b - c * d + x, [a, b, c, d, x], [(*p, 1e-3) for p in NEAR]),
    "norm of a cross product": (sp.sqrt((a * b - c * d) ** 2 + (a * d - b * c) ** 2), [a, b, c, d], NEAR),
    "discriminant": ((sp.sqrt(b**2 - 4 * a * c) - b) / (2 * a), [a, b, c], ROOTS),
    "impedance": (sp.sqrt(a**2 + (b * d - 1 / (c * d)) ** 2), [a, b, c, d], RESONANCE),
    "half a sphere": (sp.sqrt(1 - a**2 - b**2), [a, b], CIRCLE),
    "circle": (a**2 + b**2 - 1, [a, b], CIRCLE),
    "monkey saddle": (
        a**3 - 3 * a * b**2,
        [a, b],
        [(math.sqrt(3) * 7 * (1 + e), 7.0) for e in (1e-14, 1e-3)],
    ),
    "numbers": (a / 10 - 3 * b / 10, [a, b], [(21 * (1 + e), 7.0) for e in (1e-14, 1e-3)]),
}


@pytest.mark.parametrize("name", LOST)
def test_differences_of_products_are_exact(name):
    """A thousand units to all digits were lost, and in slopes too where a root is taken of them."""
    formula, args, points = LOST[name]
    f = symprop.compile(formula, args=args)
    assert f.report.fired["difference of exact products"] >= 1
    check_slopes(f, formula, args, points, 1.2e-15)


def test_what_overflows_and_what_is_no_number():
    f = symprop.compile(a * b - c * d, args=[a, b, c, d], batch=[a, b, c, d], wrt=[])
    rows = np.array(
        [(1e200, 1e200, 1, 1), (np.inf, 1, 1, 1), (np.nan, 1, 1, 1), (1e-300, 1e-300, 1e-300, 1e-300)]
    )
    np.testing.assert_array_equal(f(*rows.T), [np.inf, np.inf, np.nan, 0.0])


@pytest.mark.parametrize("function", ["sinh", "cos", "exp"])
def test_beside_functions_that_take_what_was_lost(function):
    """The value that goes with its rest stays the rounded one: nothing is added twice."""
    f = symprop.compile(getattr(sp, function)(1 - a**2 - b * c), args=[a, b, c], wrt=[])
    with mp.workdps(60):
        for p in ((3.1, 1.7, -2.3), (0.7, 0.3, 1.1), (2.3, -2.9, 1.3)):
            right = getattr(mp, function)(1 - mp.mpf(p[0]) ** 2 - mp.mpf(p[1]) * p[2])
            assert abs(f(*p) - right) <= 3e-16 * abs(right)


@pytest.mark.parametrize(
    "formula",
    [
        a * b + c * d,  # nothing says that they cancel
        a * b - c,  # one operation, rounded once
        a * sp.tanh(b) - c * sp.tanh(d),  # values that have lost as much before
        4 * a - 2 * b,
        a * b - c * d + a * c - b * d,
    ],
)
def test_near_misses(formula):
    args = sorted(formula.free_symbols, key=str)
    fired = symprop.compile(formula, args=args, wrt=[]).report.fired
    assert "difference of exact products" not in fired
    fired = symprop.compile(a * b - c * d, args=[a, b, c, d], wrt=[], accuracy="fast").report.fired
    assert "difference of exact products" not in fired
