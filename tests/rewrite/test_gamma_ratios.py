"""Quotients of gamma functions, and differences of their logarithms and slopes."""

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
            bounds = [2e-15, 3e-15, 5e-15, 2e-15]
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
    assert f.report.fired["difference of the gamma family"] >= 2  # of the value and of its slope
    for at, freedom in ((0.5, 8609.75), (2.0, 1e5), (0.25, 30.5), (1.5, 4.0)):
        value, (_, slope) = f.value_and_grad(at, freedom)
        with mp.workdps(60):
            exact = sp.lambdify([x, n], [density, sp.diff(density, n)], "mpmath")
            right, change = exact(mp.mpf(at), mp.mpf(freedom))
            assert abs(value - right) <= 4e-15 * abs(right)
            assert abs(slope - change) <= 1e-15 / freedom


def _worst(formula, args, points, exact):
    """The largest relative error of the value and both slopes."""
    f = symprop.compile(formula, args=args)
    worst = 0.0
    for at in points:
        value, slopes = f.value_and_grad(*at)
        with mp.workdps(60):
            p = [mp.mpf(v) for v in at]
            right = [exact(*p), *[mp.diff(exact, p, n) for n in ((1, 0), (0, 1))]]
            worst = max(worst, *[float(abs(v / r - 1)) for v, r in zip((value, *slopes), right, strict=True)])
    return worst, set(f.report.fired)


FAR = [(a, b) for a in (0.3, 3.4, 77.7, 301.0, 1e5) for b in (0.2, 3.3, 60.1)]


@pytest.mark.parametrize(
    ("formula", "exact"),
    [
        (sp.gamma(x + y) / sp.gamma(x), lambda a, b: mp.gammaprod([a + b], [a])),
        (sp.gamma(x) * sp.gamma(y) / sp.gamma(x + y), mp.beta),
        (sp.gamma(x + y) / (sp.gamma(x) * sp.gamma(y + 1)), lambda a, b: 1 / (b * mp.beta(a, b))),
        (sp.beta(x, y), mp.beta),
        (sp.RisingFactorial(x, y), mp.rf),
    ],
)
def test_quotients_of_gammas(formula, exact):
    """Infinity over infinity before, and slopes that lost the digits of x."""
    worst, _ = _worst(formula, [x, y], FAR, exact)
    assert worst < 2e-15


@pytest.mark.parametrize("shift", [0, 1, -1])
def test_logarithms_of_beta_functions(shift):
    """loggamma(x) + loggamma(y) - loggamma(x + y) and next to it: 2000 units before at x = 164."""
    formula = sp.loggamma(x) + sp.loggamma(y) - sp.loggamma(x + y + shift)

    def exact(a, b):
        return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b + shift)

    points = [(a, b) for a, b in FAR if shift >= 0 or a + b > 1]
    worst, fired = _worst(formula, [x, y], points, exact)
    assert worst < 1e-14 and "difference of the gamma family" in fired


def test_slopes_of_the_density_of_student():
    """The digits that both digammas share were lost: 1e-5 off at a hundred thousand degrees of freedom."""
    half = sp.Rational(1, 2)
    density = (
        sp.gamma((x + 1) / 2) / sp.gamma(x / 2) / sp.sqrt(sp.pi * x) * (1 + y**2 / x) ** (-half * (x + 1))
    )

    def exact(n, t):
        front = mp.gammaprod([(n + 1) / 2], [n / 2]) / mp.sqrt(mp.pi * n)
        return front * (1 + t * t / n) ** (-(n + 1) / 2)

    worst, fired = _worst(density, [x, y], [(4.0, 0.3), (1e3, 1.3), (1e5, -0.6)], exact)
    assert worst < 1e-10 and "ratio of gammas" in fired


def test_digammas_less_their_logarithms():
    """The equation of the shape of a gamma distribution, its slope for Newton's method, with a factor."""
    shape = y * sp.log(x) - y * sp.digamma(x) + 3
    f = symprop.compile([shape, symprop.grad(shape, x)], args=[x, y], wrt=[])
    assert f.report.fired["difference of the gamma family"] >= 2  # of the value and of its slope
    for at in (0.01, 0.7, 6.5, 40.0, 1e4, 1e9, 1e15):
        value, slope = f(at, 2.5)
        with mp.workdps(80):
            a = mp.mpf(at)
            right = 2.5 * (mp.log(a) - mp.digamma(a)) + 3, 2.5 * (1 / a - mp.polygamma(1, a))
        assert abs(value - right[0]) <= 1e-15 * abs(right[0])
        assert abs(slope - right[1]) <= 1e-15 * abs(right[1])


def test_near_misses():
    """No terms in common."""
    for formula in (
        sp.gamma(y) / sp.gamma(x),
        sp.gamma(2 * x) / sp.gamma(x),
        sp.gamma(x) * sp.gamma(y) / sp.gamma(x * y),
        sp.loggamma(x) - sp.loggamma(y),
        sp.digamma(x) - sp.log(y) + 1 / x,
        sp.digamma(x) - 2 * sp.log(x),
    ):
        fired = symprop.compile(formula, args=[x, y], wrt=[]).report.fired
        assert not {"ratio of gammas", "difference of the gamma family"} & set(fired)
