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
