"""Logarithms of the normal distribution and of erfc with their derivatives, in both tails."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop

x, y = sp.symbols("x y", real=True)
ROOT = sp.sqrt(2)
PHI = (1 + sp.erf(x / ROOT)) / 2
DENSITY = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)
AT = [-36.5, -27.3, -8.25, -1.5, -1.0, -0.3, -1e-9, 0.0, 1e-9, 0.2, 0.69, 0.75, 2.5, 8.5, 27.3, 36.5]
# name: (formula, derivatives that are looked at)
FORMULAS = {
    "probit": (-sp.log(PHI), 2),
    "probit of the other class": (-sp.log(1 - PHI), 2),
    "probit of a shifted and scaled value": (sp.log(PHI.subs(x, (3 * x + 1) / 2)), 2),
    "log of erfc": (sp.log(sp.erfc(x)), 2),
    "log of 1 + erf": (sp.log(1 + sp.erf(x)), 2),
    "log of 1 - erf": (sp.log(1 - sp.erf(x)), 2),
    "hazard": (DENSITY / (1 - PHI), 1),
    "inverse Mills ratio": (DENSITY / PHI, 1),
    "scaled erfc": (sp.exp(x**2) * sp.erfc(x), 0),
}


def exact(function, at):
    with mp.workdps(1500):  # erfc(36.5*1.5) is 1e-1304
        return function(mp.mpf(at))


@pytest.mark.parametrize("name", FORMULAS)
def test_the_tails_keep_their_digits(name):
    expression, count = FORMULAS[name]
    targets = [expression]
    for _ in range(count):
        targets.append(symprop.grad(targets[-1], x))
    f = symprop.compile(targets, args=[x], batch=[x], wrt=[])
    points = np.array([a for a in AT if name != "scaled erfc" or a > -20])
    found = f(points)
    for order, values in enumerate(found if count else (found,)):
        derivative = sp.lambdify(x, sp.diff(expression, x, order), "mpmath")
        for at, value in zip(points, values, strict=True):
            truth = exact(derivative, at)
            if abs(truth) < mp.mpf(2) ** -1022:
                assert abs(value) < 1e-307, (order, at)
                continue
            error = abs(mp.mpf(float(value)) - truth) / np.spacing(abs(float(truth)))
            assert error <= 8, (order, at, float(error))


def test_other_sums_of_slopes_stay():
    """Not with another factor, nor with the argument of another distribution."""
    slope = DENSITY / PHI
    for sum_ in (3 * x * slope + slope**2, y * slope + slope**2):
        f = symprop.compile(sum_, args=[x, y], wrt=[])
        assert "slope of a log-probability and its argument" not in f.report.fired
    f = symprop.compile(x * slope + slope**2, args=[x, y], wrt=[])
    assert "slope of a log-probability and its argument" in f.report.fired


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        (sp.exp(x**2) * sp.erfc(x), "scaled erfc"),
        (sp.exp(x**2) * sp.erfc(x), "slope of a scaled erfc"),
        (sp.exp(-(x**2)) / sp.erfc(x), "slope of a log-probability and its argument"),
    ],
)
def test_slopes_of_scaled_tails(formula, name):
    """The slopes are numbers where the parts overflow or vanish; each step is taken once."""
    f = symprop.compile(formula, args=[x], batch=[x], wrt=[x])
    assert f.report.fired[name] == 1
    points = np.array([-5.0, -0.3, 0.3, 2.5, 30.0, 800.0, 1e4])
    value, (slope,) = f.value_and_grad(points)
    with mp.workdps(60):
        for at, v, s in zip(points, value, slope, strict=True):
            at = mp.mpf(float(at))
            power, tail = mp.exp(at**2), mp.erfc(at)
            scaled = power * tail
            exact, rate = scaled, 2 * at * scaled - 2 / mp.sqrt(mp.pi)
            if formula.is_Mul and formula.has(1 / sp.erfc(x)):
                exact, rate = 1 / scaled, -rate / scaled**2
            assert abs(v - exact) <= 2e-15 * (1 + at**2 * (at < 0)) * abs(exact)
            assert abs(s - rate) <= 4e-15 * (1 + at**2 * (at < 0)) * abs(rate)


def test_slopes_of_other_products_with_erfc_stay():
    for formula in (sp.exp(x**2) * sp.erfc(2 * x), 3 * x * sp.exp(x**2) * sp.erfc(x) - 2):
        fired = symprop.compile(formula, args=[x], wrt=[]).report.fired
        assert "slope of a scaled erfc" not in fired
