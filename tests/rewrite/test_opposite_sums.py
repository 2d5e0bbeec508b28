"""Sums that stand with both signs."""

from __future__ import annotations

import mpmath as mp
import pytest
import sympy as sp

import symprop
from symprop.rewrite.opposite_sums import opposite_sums

V, a, k, m = sp.symbols("V a k m", real=True)
RATE = a * (V + m) / (1 - sp.exp(-(V + m) / k))
AT = [(-40 + e, 0.1, 40.0, 10.0) for e in (1e-12, 1e-9, 1e-6, 1e-3, 0.1, 3.0, 40.0)]


@pytest.mark.parametrize("formula", [RATE, (V + m) / (1 - sp.exp(-(V + m)))], ids=str)
def test_rates_of_hodgkin_and_huxley(formula):
    """The slope by V was wrong in its third digit at a distance of 1e-12 from the root."""
    args = [s for s in (V, a, m, k) if formula.has(s)]
    f = symprop.compile(formula, args=args)
    exact = [sp.lambdify(args, e, "mpmath") for e in (formula, *[sp.diff(formula, s) for s in args])]
    for p in AT:
        at = [v for v, s in zip(p, (V, a, m, k), strict=True) if s in args]
        value, slopes = f.value_and_grad(*at)
        with mp.workdps(80):
            for found, function in zip((value, *slopes), exact, strict=True):
                right = function(*map(mp.mpf, at))
                assert abs(found - right) <= 1e-15 * abs(right), (at, found, right)


def test_one_of_both_stays(bench):
    t = bench.table
    x, y = bench.scalars("x y")
    first, second = t.add(x, t.mul(t.constant(-2), y)), t.add(t.mul(t.constant(2), y), t.neg(x))
    after, fired = bench.run(opposite_sums, t.mul(first, t.call("exp", second)), t.call("sin", second))
    assert fired == {"opposite sum": 1}
    sums = {n.serial for n in t.needed(after) if n.op == "add"}
    assert len(sums) == 1


def test_near_misses(bench):
    t = bench.table
    x, y, z = bench.scalars("x y z")
    others = [t.add(y, t.mul(t.constant(-2), x)), t.add(x, y), t.add(t.neg(x), y, z), t.neg(x)]
    roots = [t.mul(t.add(x, t.neg(y)), t.call("exp", v)) for v in others]
    after, fired = bench.run(opposite_sums, *roots)
    assert not fired and after == roots
