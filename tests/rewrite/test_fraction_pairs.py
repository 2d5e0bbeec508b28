"""Differences of two fractions over both denominators, and of logits."""

from __future__ import annotations

import mpmath as mp
import pytest
import sympy as sp

import symprop

a, p, q, x, y = sp.symbols("a p q x y", real=True)
NEAR = [(v, v * (1 + s * e)) for v in (0.01, 0.2, 0.9) for e in (2.0**-50, 1e-9, 1e-3, 0.09) for s in (1, -1)]
APART = [(0.9, 1e-30), (0.001, 0.93), (0.5, 0.1)]
FORMULAS = {
    "odds": p / (1 - p) - q / (1 - q),
    "Michaelis and Menten": p / (3 + p) - q / (3 + q),
    "inverses of sums": 1 / (2 + p) - 1 / (2 + q),
    "logits": sp.log(p / (1 - p)) - sp.log(q / (1 - q)),
    "with a factor": 5 * a * p / (1 - p) - 5 * a * q / (1 - q),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_near_values(name):
    """The digits that both fractions share were lost: all of them at a relative distance of 1e-15."""
    formula = FORMULAS[name]
    args = [s for s in (p, q, a) if formula.has(s)]
    f = symprop.compile(formula, args=args)
    exact = [sp.lambdify(args, e, "mpmath") for e in (formula, *[sp.diff(formula, s) for s in args])]
    for at in NEAR + APART:
        at = [*at, 0.7][: len(args)]
        value, slopes = f.value_and_grad(*at)
        with mp.workdps(80):
            for found, function in zip((value, *slopes), exact, strict=True):
                right = function(*map(mp.mpf, at))
                assert abs(found - right) <= 2e-15 * abs(right), (at, found, right)


def test_what_fires():
    for name, formula in FORMULAS.items():
        args = sorted(formula.free_symbols, key=str)
        fired = symprop.compile(formula, args=args, wrt=[]).report.fired
        assert ("difference of fractions" in fired) is (name != "logits")


@pytest.mark.parametrize(
    "formula",
    [
        p / (1 - p) + q / (1 - q),
        p / (1 - p) - 2 * q / (1 - q),
        x / (1 + p) - y / (1 + q),  # nothing cancels
        p / (1 + sp.tanh(p)) - q / (2 + sp.tanh(q)),
    ],
)
def test_near_misses(formula):
    fired = symprop.compile(formula, args=sorted(formula.free_symbols, key=str), wrt=[]).report.fired
    assert "difference of fractions" not in fired
