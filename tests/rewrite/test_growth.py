"""Formulas of the sciences, far out: an exponential overflows in a slope where another factor vanishes."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop

x, t, a, b, c, d, k, r, u, v, w, y, z = sp.symbols("x t a b c d k r u v w y z", real=True)
E = sp.exp
FAR = [-1e4, -800.0, -300.5, -30.25, -2.5, 0.3, 2.5, 30.25, 300.5, 800.0, 1e4]
TINY, HUGE = np.finfo(float).tiny, np.finfo(float).max
GROWTH = "growths of exponentials taken together"
ROOT = "growth of a sum of exponentials taken out of its power"
SUM = "exponentials over a common denominator"

# formula, the symbol that goes far out, the others, what fires
FORMULAS = {
    "growth to a capacity": (k / (1 + (k - a) / a * E(-r * t)), t, {k: 10.0, a: 0.5, r: 1.3}, GROWTH),
    "growth with a factor": (k / (1 + a * E(-r * t)), t, {k: 10.0, a: 2.5, r: 1.3}, GROWTH),
    "saturation": (b * a / (b + E(a / c)), a, {b: 1.7, c: 0.9}, GROWTH),
    "odds with a weight": (a * E(x) / (1 + a * E(x)), x, {a: 2.5}, GROWTH),
    "levels of degeneracy": (d * a * E(-d / t) / (1 + a * E(-d / t)), d, {a: 3.0, t: 1.2}, GROWTH),
    "growth between levels": (
        a + (k - a) / (c + b * E(-r * t)),
        t,
        {a: 0.3, k: 3.0, c: 1.2, b: 0.8, r: 0.9},
        GROWTH,
    ),
    "tunnelling": (1 / (1 + a**2 * sp.sinh(k) ** 2), k, {a: 0.8}, GROWTH),
    "a root": (1 / sp.sqrt(1 + a * E(x)), x, {a: 2.5}, ROOT),
    "a quotient with weights": (
        (a * E(x) + b * E(y)) / (u * E(x) + v * E(y)),
        x,
        {y: 0.3, a: 1.0, b: 2.0, u: 1.5, v: 0.7},
        SUM,
    ),
    "a mean energy": (
        (a * E(-a * b) + c * E(-c * b) + d * E(-d * b)) / (E(-a * b) + E(-c * b) + E(-d * b)),
        b,
        {a: 1.2, c: 2.0, d: 3.7},
        SUM,
    ),
    "a power of two times its argument": (x * 2**x / (1 + 2**x), x, {}, "constant condition"),
    "the largest of three multiples": (E(3 * x) / (E(x) + E(2 * x) + E(3 * x)), x, {}, None),
    "a product with other uses": (
        E(-(x - a) / b) / (b * (1 + E(-(x - a) / b)) ** 2),
        x,
        {a: -0.2, b: 1.3},
        None,
    ),
    "a logarithm with a weight": (
        sp.log(1 + a * E(-r * t)),
        t,
        {a: 2.5, r: 1.3},
        "log of exponentials",
    ),
    "a symbolic power": (
        k * (1 + a * E(-r * t)) ** (-1 / v),
        t,
        {k: 3.0, a: 0.8, r: 0.9, v: 1.7},
        "nested condition",
    ),
    "levels of one distance": (
        (a * E(-a * b) + 2 * a * E(-2 * a * b)) / (1 + E(-a * b) + E(-2 * a * b)),
        b,
        {a: 1.2},
        "common factor of exponentials",
    ),
}


def exact(expressions, symbols, at):
    """Values where two precisions agree."""
    function, last = sp.lambdify(symbols, expressions, "mpmath", cse=True), None
    for digits in (60, 400, 1500, 10000):
        with mp.workdps(digits):
            found = function(*[mp.mpf(at[s]) for s in symbols])
        with mp.workdps(40):
            if last and all(
                abs(p - q) <= abs(q) * mp.mpf(10) ** -25 for p, q in zip(last, found, strict=True)
            ):
                break
        last = found
    return found


def errors(expression, swept, others, points=FAR):
    """Order, place, and the units in the last place beyond what a change of the inputs by half a unit is
    worth, of the value, its slopes and the slopes of the printed slope; NaN for what should be a number."""
    symbols = sorted(expression.free_symbols, key=str)
    first = symprop.grad(expression, [swept])[0]
    f, g = (symprop.compile(e, args=symbols, wrt=symbols) for e in (expression, first))
    slopes = [sp.diff(expression, s) for s in symbols]
    wanted = [expression, *slopes, *[sp.diff(expression, swept, s) for s in symbols]]
    for far in points:
        at = {**others, swept: far}
        truth = exact(wanted, symbols, at)
        with mp.workdps(40):
            near = [{**at, s: mp.mpf(at[s]) * (1 + mp.mpf(2) ** -53)} for s in symbols]
        moved = [exact(wanted, symbols, p) for p in near]
        value, grads = f.value_and_grad(*[at[s] for s in symbols])
        found = [value, *grads, *g.value_and_grad(*[at[s] for s in symbols])[1]]
        for n, now in enumerate(found):
            if abs(truth[n]) > HUGE or 0 < abs(truth[n]) < TINY:
                continue
            unit = max(abs(truth[n]), TINY) * mp.mpf(2) ** -52
            allowed = sum(abs(m[n] - truth[n]) for m in moved) / unit
            order = 0 if not n else 1 if n <= len(symbols) else 2
            yield order, (n, far), float(abs(mp.mpf(float(now)) - truth[n]) / unit / (1 + allowed))


@pytest.mark.parametrize("name", FORMULAS)
def test_slopes_far_out(name):
    expression, swept, others, rule = FORMULAS[name]
    for order, at, error in errors(expression, swept, others):
        if name == "a symbolic power" and order == 2:
            continue
        assert error <= (4, 24, 64)[order], (order, at, error)
    symbols = sorted(expression.free_symbols, key=str)
    for e in (expression, symprop.grad(expression, [swept])[0]) if rule else ():
        if rule in symprop.compile(e, args=symbols, wrt=symbols).report.fired:
            break
    else:
        assert rule is None


@pytest.mark.parametrize(
    "expression",
    [
        a * E(x) / (1 + b * E(-x)),  # both overflow, or both vanish
        a * E(-(x**2)) / (1 + b * E(-(x**2))),  # at most one
        (1 + a * E(x)) ** 2 * E(x),
        1 / (a + b * E(x)),
        a / (b + E(x)) + c / (d + E(x)),  # nothing cancels
        a / (b + E(x)) + c,
        a / (b + E(x)) + c / (b + E(x)) ** 2,
    ],
)
def test_what_neither_overflows_nor_cancels_stays(expression):
    symbols = sorted(expression.free_symbols, key=str)
    fired = symprop.compile(expression, args=symbols, wrt=[]).report.fired
    assert not {GROWTH, ROOT, SUM} & set(fired)


def test_nan_and_infinity_go_through():
    f = symprop.compile(k / (1 + a * E(-r * t)), args=[k, a, r, t], wrt=[k, a, r, t])
    value, slopes = f.value_and_grad(10.0, 2.5, 1.3, np.inf)
    assert value == 10.0 and slopes[1] == 0
    for at in [(10.0, 2.5, 1.3, np.nan), (10.0, np.nan, 1.3, 0.1), (np.nan, 2.5, 1.3, 0.1)]:
        value, slopes = f.value_and_grad(*at)
        assert np.isnan(value) and np.isnan(slopes[1 if at[0] == at[0] else 3])
