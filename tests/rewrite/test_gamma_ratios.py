"""Quotients of gamma functions a number apart, and differences of their logarithms and slopes."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop

x, y = sp.symbols("x y", real=True)
POINTS = [0.3, 1.75, 7.5, 9.0, 23.5, 25.0, 60.0, 170.5, 400.25, 1e5, 3e9]


@pytest.mark.parametrize("r", [3, -2, sp.Rational(1, 2), sp.Rational(-1, 3), sp.Rational(7, 2)])
def test_values_and_slopes(r):
    """A quotient and its slope, the difference of the logarithms and its slope."""
    ratio, log = sp.gamma(x + r) / sp.gamma(x), sp.loggamma(x + r) - sp.loggamma(x)
    f = symprop.compile(
        [ratio, symprop.grad(ratio, x), log, symprop.grad(log, x)], args=[x], batch=[x], wrt=[]
    )
    assert {"ratio of gammas", "difference of the gamma family"} <= set(f.report.fired)
    points = np.array([p for p in POINTS if p + r > 0])
    found = f(points)
    with mp.workdps(60):
        for k, at in enumerate(points):
            b, a = (
                mp.mpf(at),
                mp.mpf(at) + mp.mpf(r.p) / r.q if isinstance(r, sp.Rational) else mp.mpf(at) + r,
            )
            quotient, change = mp.gammaprod([a], [b]), mp.digamma(a) - mp.digamma(b)
            exact = [quotient, quotient * change, mp.loggamma(a) - mp.loggamma(b), change]
            bounds = [4e-15, 4e-14, 4e-15 * (1 + abs(mp.loggamma(b)) if at < 24 else 1), 4e-14]
            for values, right, bound in zip(found, exact, bounds, strict=True):
                assert abs(values[k] - right) <= bound * max(abs(right), 1e-300), (at, values[k], right)


def test_among_other_terms():
    """The log density of Student's t and its slope by the degrees of freedom n, whose terms of 1/n cancel."""
    n = sp.Symbol("n", real=True)
    density = (
        sp.loggamma((n + 1) / 2)
        - sp.loggamma(n / 2)
        - sp.log(n * sp.pi) / 2
        - (n + 1) / 2 * sp.log(1 + x**2 / n)
    )
    f = symprop.compile(density, args=[x, n])
    assert f.report.fired["difference of the gamma family"] == 2
    for at, freedom in ((0.5, 8609.75), (2.0, 1e5), (0.25, 30.5), (1.5, 4.0)):
        value, (_, slope) = f.value_and_grad(at, freedom)
        with mp.workdps(60):
            exact = sp.lambdify([x, n], [density, sp.diff(density, n)], "mpmath")
            right, change = exact(mp.mpf(at), mp.mpf(freedom))
            assert abs(value - right) <= 4e-15 * abs(right)
            assert abs(slope - change) <= 1e-15 / freedom


def test_near_misses():
    for formula in (
        sp.gamma(x + y) / sp.gamma(x),
        sp.gamma(2 * x) / sp.gamma(x),
        sp.gamma(x + 40) / sp.gamma(x),
    ):
        assert "ratio of gammas" not in symprop.compile(formula, args=[x, y], wrt=[]).report.fired
