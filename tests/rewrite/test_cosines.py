"""The law of cosines, and slopes of it."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from mpmath_checks import check_slopes

import symprop

a, b, c, d, r = sp.symbols("a b c d r", real=True)
SIDES = [(3.3, 3.3 * (1 + e), g) for e in (1e-15, 1e-9, 1e-3, 0.5) for g in (1e-9, 1e-3, 0.3, 2.0)]
FORMULAS = {
    "distance": (sp.sqrt(a**2 + b**2 - 2 * a * b * sp.cos(c)), [a, b, c], SIDES),
    "potential": (
        3 / sp.sqrt(a**2 + b**2 - 2 * a * b * sp.cos(c - d)),
        [a, b, c, d],
        [(p, q, 1.1 + g, 1.1) for p, q, g in SIDES],
    ),
    "one side is one": (
        sp.log(1 - 2 * r * sp.cos(c) + r**2),
        [r, c],
        [(0.999, 1e-7), (0.5, 2.0), (1.0, 1e-9)],
    ),
    "a multiple": (
        sp.sqrt(5 * d * a**2 - 10 * d * a * b * sp.cos(c) + 5 * d * b**2),
        [a, b, c, d],
        [(*p, 0.7) for p in SIDES],
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_slopes(name):
    """0 with slopes of NaN for sides of 3.3 and an angle of 1e-9."""
    formula, args, points = FORMULAS[name]
    f = symprop.compile(formula, args=args)
    assert f.report.fired["law of cosines"] >= 2
    check_slopes(f, formula, args, points, 2e-15)


def test_of_columns():
    x, y = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("y", 3, 1)
    f = symprop.compile(
        sp.HadamardPower(x, 2)
        + sp.HadamardPower(y, 2)
        - 2 * sp.HadamardProduct(x, y, (x - y).applyfunc(sp.cos)),
        args=[x, y],
        wrt=[],
    )
    u, v = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0000001, 0.5])
    with mp.workdps(60):
        for found, p, q in zip(f(u, v), map(mp.mpf, u), map(mp.mpf, v), strict=True):
            right = p**2 + q**2 - 2 * p * q * mp.cos(p - q)
            assert abs(found - right) <= 1e-15 * abs(right)


@pytest.mark.parametrize(
    "formula",
    [
        a**2 + b**2 - a * b * sp.cos(c),
        a**2 + b**2 + 2 * a * b * sp.cos(c),
        a**2 + 2 * b**2 - 2 * a * b * sp.cos(c),
        a**2 + b**2 - 2 * a * d * sp.cos(c),
        a - b * sp.cos(c),  # of no law that was seen
    ],
)
def test_near_misses(formula):
    assert "law of cosines" not in symprop.compile(formula, wrt=[]).report.fired
