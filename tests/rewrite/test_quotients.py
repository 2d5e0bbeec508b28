"""Rational functions of an exponential, roots less their limits, sums that cancel at zero: all digits."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.rewrite.stable import stable_forms

x, y = sp.symbols("x y", real=True)
E = sp.exp
FAR = [-1200.0, -705.0, -300.5, -40.25, -2.5, -0.3, -1e-9, 1e-9, 0.3, 2.5, 40.25, 300.5, 705.0, 1200.0]
NEAR = [-3.1, -0.9, -0.37, -0.02, -1e-5, -1e-12, 1e-12, 1e-5, 0.02, 0.37, 0.9, 3.1]
TINY = np.finfo(float).tiny

# name: (formula, what fires in it or its derivatives)
QUOTIENTS = {
    "a weighted log-sum-exp": (sp.log(E(x) / 5 + 3 * E(-x / 2)), "log of exponentials"),
    "sinh over cosh, written out": (
        (E(3 * x) - E(-3 * x)) / (E(3 * x) + E(-3 * x)),
        "quotient of sums of exponentials",
    ),
    "one minus a quotient": (1 - 2 / (E(x) + 1), "1 - 2*sigmoid(x)"),
    "the weight of one of two": (E(x / 2) / (E(x / 2) + E(-x / 2)), "quotient of sums of exponentials"),
    "a gate times its argument": (x * E(2 * x) / (E(2 * x) + 1), "quotient of sums of exponentials"),
    "hyperbolic secant": (2 / (E(x) + E(-x)), "sums of exponentials joined"),
    "tanh of a softplus": (
        x * (E(2 * x) + 2 * E(x)) / (E(2 * x) + 2 * E(x) + 2),
        "quotient of polynomials in an exponential",
    ),
    "occupation": (E(-x) / (3 + E(-x)), "quotient of polynomials in an exponential"),
    "cross-entropy of a soft target": (
        -(3 * sp.log(1 / (1 + E(-x))) + 7 * sp.log(1 - 1 / (1 + E(-x)))) / 10,
        "1 - sigmoid(x)",
    ),
    "a focal loss": (
        -((1 - 1 / (1 + E(-x))) ** 2) * sp.log(1 / (1 + E(-x))),
        "exponentials taken into a sum",
    ),
    "sigmoid from tanh": (sp.log((1 + sp.tanh(x / 2)) / 2), "quotient of sums of exponentials"),
    "one less a square": (
        1 - ((E(x) - E(-x)) / (E(x) + E(-x))) ** 2,
        "quotient of sums of exponentials",
    ),
    "one less a quotient": (sp.log(1 - E(x) / (1 + E(x))), "1 - sigmoid(x)"),
    "a squared quotient": ((E(x) / (1 + E(x))) ** 2 / 2, "sigmoid(x) - sigmoid(x)**2"),
    "a quotient less one, squared": ((E(x) / (1 + E(x)) - 1) ** 2 / 2, "1 - sigmoid(x)"),
    "softplus of base two": (sp.log(1 + 2**x), "power of a number"),
    "sigmoid of base ten": (10**x / (1 + 10**x), "power of a number"),
    "log of cosh, written out": (sp.log(E(2 * x) + E(-2 * x)) - sp.log(2), "sums of exponentials joined"),
}
SERIES = {
    "sin(x)/x": sp.sin(x) / x,
    "(exp(x) - 1)/x": (E(x) - 1) / x,
    "x/(exp(x) - 1)": x / (E(x) - 1),
    "x - asinh(x)": x - sp.asinh(x),
    "log(1 + x) - x": sp.log(1 + x) - x,
    "(1 - cos(x))/x": (1 - sp.cos(x)) / x,
    "atan(2*x) - 2*x": sp.atan(2 * x) - 2 * x,
    "(exp(x) - 1 - x)/x**2": (E(x) - 1 - x) / x**2,
    "exp(x**2) - 1 - x**2": E(x**2) - 1 - x**2,
}


def exact(expression, at):
    """The value where two precisions agree."""
    function, last = sp.lambdify(x, expression, "mpmath"), None
    for digits in (450, 1200, 2500):
        with mp.workdps(digits):
            try:
                value = function(mp.mpf(at))
            except ZeroDivisionError:  # more digits are needed
                continue
        if last is not None and value and abs(value - last) <= abs(value) * mp.mpf(10) ** -25:
            return value
        last = value
    return mp.mpf(0)


def errors(expression, points):
    """Units in the last place of value, first and second derivative; the second of the printed first one."""
    first = symprop.grad(expression, [x])[0]
    f, g = (symprop.compile(e, args=[x], batch=[x], wrt=[x]) for e in (expression, first))
    value, (slope,) = f.value_and_grad(points)
    _, (second,) = g.value_and_grad(points)
    for order, found in enumerate((value, slope, second)):
        derivative = sp.diff(expression, x, order)
        for at, v in zip(points, found, strict=True):
            truth = exact(derivative, at)
            if abs(truth) > mp.mpf(1.7e308):
                continue
            assert np.isfinite(v), (order, at)
            size = np.spacing(max(abs(float(truth)), TINY))
            yield order, at, float(abs(mp.mpf(float(v)) - truth) / size)


@pytest.mark.parametrize("name", QUOTIENTS)
def test_a_quotient_of_exponentials_keeps_its_digits(name):
    expression, rule = QUOTIENTS[name]
    for order, at, error in errors(expression, FAR):
        # the rounding of 2*x, 3*x costs nothing; an inner root of a slope is where the rest may cancel
        assert error <= (16 if order < 2 else 64), (order, at, error)
    f = symprop.compile(expression, args=[x], wrt=[x])
    assert rule in f.report.fired
    assert not symprop.compile(expression, args=[x], wrt=[x], accuracy="as_written").report.fired.get(rule)


def test_a_power_below_a_series_meets_its_power():
    """x**2 underflows where the quotient is 1/2."""
    for expression, expected in (((E(x) - 1 - x) / x**2, 1 / 2), ((x - sp.sin(x)) / x**3, 1 / 6)):
        f = symprop.compile(expression, args=[x], wrt=[])
        assert "smooth where digits are lost" in f.report.fired
        for at in (1e-200, -1e-120, 1e-9):
            assert abs(f(at) - expected) <= 1e-8 * expected


@pytest.mark.parametrize("name", SERIES)
def test_a_sum_that_cancels_at_zero_keeps_its_digits(name):
    points = [p for p in NEAR if p > -0.45 or "log" not in name]
    for order, at, error in errors(SERIES[name], points):
        assert error <= (24 if order < 2 else 64), (order, at, error)
    first = symprop.grad(SERIES[name], [x])[0]
    fired = [symprop.compile(e, args=[x], wrt=[x]).report.fired for e in (SERIES[name], first)]
    assert any("smooth where digits are lost" in names for names in fired)
    plain = symprop.compile(first, args=[x], wrt=[x], accuracy="as_written").report.fired
    assert "smooth where digits are lost" not in plain


ROOTS = {
    "2*sqrt(1 + x**2) - 2": 2 * sp.sqrt(1 + x**2) - 2,
    "1 - 3/sqrt(9 + x**2)": 1 - 3 / sp.sqrt(9 + x**2),
    "sqrt(4 + x) - 2": sp.sqrt(4 + x) - 2,
    "1/sqrt(1 - x) - 1": 1 / sp.sqrt(1 - x) - 1,
    "(x + sqrt(x**2 + 4))/2": (x + sp.sqrt(x**2 + 4)) / 2,
    "y*sqrt(x**2 + 1) - x*y": sp.pi * sp.sqrt(x**2 + 1) - sp.pi * x,
    "1/(1 + x) - 1": 1 / (1 + x) - 1,
}


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_less_its_limit_keeps_its_digits(name):
    points = [*NEAR, -1e6, 1e6, 1e-100] if "**2" in name else [p for p in NEAR if abs(p) < 0.95]
    for order, at, error in errors(ROOTS[name], points):
        if order < 2:
            assert error <= 16, (order, at, error)
    f = symprop.compile(ROOTS[name], args=[x], wrt=[])
    assert {"root less its limit", "common denominator", "power less one"} & set(f.report.fired)
    assert not symprop.compile(ROOTS[name], args=[x], wrt=[], accuracy="as_written").report.fired.get(
        "root less its limit"
    )


SOFTPLUS = {
    "log(1 + exp(x)) - x": sp.log(1 + E(x)) - x,
    "3*x - 3*log(1 + exp(x))": 3 * x - 3 * sp.log(1 + E(x)),
    "log(1 + exp(2*x)) - x - log(2)": sp.log(1 + E(2 * x)) - x - sp.log(2),
    "abs(x) + log(1 + exp(-2*abs(x))) - log(2)": sp.Abs(x) + sp.log(1 + E(-2 * sp.Abs(x))) - sp.log(2),
    "log(1 + exp(x)) - log(1 + exp(-x))": sp.log(1 + E(x)) - sp.log(1 + E(-x)),
    "log(1 + exp(x)) - x/(1 + exp(-x))": sp.log(1 + E(x)) - x / (1 + E(-x)),
    "2*x*sigmoid(2*x) - log(1 + exp(2*x))": 2 * x / (1 + E(-2 * x)) - sp.log(1 + E(2 * x)),
}


@pytest.mark.parametrize("name", SOFTPLUS)
def test_softplus_and_its_argument(name):
    f = symprop.compile(SOFTPLUS[name], args=[x], batch=[x], wrt=[x])
    points = [p for p in (*NEAR, *FAR) if abs(p) < 700]
    for at, v in zip(points, f(points), strict=True):
        truth = exact(SOFTPLUS[name], at)
        assert abs(mp.mpf(float(v)) - truth) <= 4e-15 * abs(truth), at
    assert "softplus and its argument" in f.report.fired
    plain = symprop.compile(SOFTPLUS[name], args=[x], wrt=[x], accuracy="as_written")
    assert "softplus and its argument" not in plain.report.fired


def test_slopes_of_softplus_by_its_steepness():
    """log(1 + exp(b*x))/b by b, whose second slope has three terms in two sums."""
    b = sp.Symbol("b", real=True)
    target = sp.log(1 + E(b * x)) / b
    slopes = [symprop.grad(target, b), symprop.grad(symprop.grad(target, b), b)]
    f = symprop.compile(slopes, args=[b, x], wrt=[])
    assert f.report.fired["softplus and its argument"] == 2
    for at in ((9.98, 25.6), (0.5, -3.0), (2.0, -300.0), (1e-3, 4.0)):
        with mp.workdps(400):
            for k, found in enumerate(f(*at)):
                truth = sp.lambdify([b, x], sp.diff(target, b, k + 1), "mpmath")(*map(mp.mpf, at))
                assert abs(mp.mpf(float(found)) - truth) <= 2e-15 * abs(truth), (at, k)


@pytest.mark.parametrize(
    "expression",
    [sp.log(1 + E(x)) - y, sp.log(1 + E(x)) + x, sp.log(1 + E(3 * x)) - x,
     sp.log(1 + E(x)) + x / (1 + E(-x)), sp.log(1 + E(x)) - y / (1 + E(-x))],
)  # fmt: skip
def test_softplus_and_something_else(expression):
    assert "softplus and its argument" not in symprop.compile(expression, args=[x, y], wrt=[]).report.fired


@pytest.mark.parametrize("expression", [sp.sqrt(2 + x) - 1, sp.sqrt(x**2 + 1) - y, sp.sqrt(x**2 + y**2) + 1])
def test_a_root_less_something_else_stays(expression):
    assert "root less its limit" not in symprop.compile(expression, args=[x, y], wrt=[]).report.fired


@pytest.mark.parametrize(
    "expression",
    [E(x) / (1 + E(y)), E(x) + E(2 * x), 1 + E(x) + E(-x) * y, x * E(-x), sp.cosh(x) * sp.sinh(y),
     sp.sin(x) / y, x - sp.atan(y), sp.cos(x) - sp.sin(x), x + sp.tanh(x)],
    ids=str,
)  # fmt: skip
def test_near_misses_stay_as_they_are(expression):
    f = symprop.compile(expression, args=[x, y], wrt=[])
    assert not {"sums of exponentials joined", "smooth where digits are lost"} & set(f.report.fired)


def test_rules_that_make_each_other_end(bench):
    """A node among what its rule makes of it stays as it is."""
    t = bench.table
    (s,) = bench.scalars("x:1")
    power = t.add(t.pow(t.add(t.constant(1), t.call("exp", s)), 2), t.constant(1))
    node = t.mul(t.call("exp", s), t.pow(power, -2), t.add(t.pow(power, -1), t.mul(s, t.pow(power, -2))))
    bench.run(stable_forms, node)


def test_a_product_is_multiplied_out_for_a_sum_that_joins():
    """`a*(b + c) + d` of functions of one exponential: the whole sum, or nothing is multiplied out."""
    s = 1 / (1 + E(-x))
    joined = s**2 * (1 - s) * (3 / (1 + E(x)) - 2) + s * (1 - s) * (2 - E(x)) / (1 + E(x))
    for form, fires in ((joined, True), (s * (1 - s) * (3 / (1 + E(x)) - 2 + y), False)):
        report = symprop.compile(form, args=[x, y], wrt=[]).report
        assert ("sums of exponentials joined" in report.fired) is fires


@pytest.mark.parametrize("weights", [(sp.Rational(3, 10), sp.Rational(7, 10)), (1, 1)])
def test_second_derivatives_of_a_mixture_are_numbers_far_out(weights):
    """A sum with all exponentials of a sum below the line is one of weights, inside other sums too: there
    every exponential is 0."""
    m, v = sp.symbols("m v", real=True)
    mixture = sp.log(weights[0] * E(-2 * (x - m) ** 2) + weights[1] * E(-((x - v) ** 2) / 2))
    curvatures = [symprop.grad(symprop.grad(mixture, p), q) for p, q in ((x, x), (m, m), (m, v), (x, v))]
    assert (
        "exponentials over a common denominator"
        in symprop.compile(curvatures[0], args=[x, m, v], wrt=[]).report.fired
    )
    f = symprop.compile(curvatures, args=[x, m, v], batch=[x], wrt=[])
    points = np.array([-200.0, -45.0, -3.5, -0.5, 0.25, 4.0, 31.0, 150.0])
    found = f(points, 1.0, -2.0)
    with mp.workdps(60):
        for values, (p, q) in zip(found, ((x, x), (m, m), (m, v), (x, v)), strict=True):
            exact = sp.lambdify((x, m, v), sp.diff(mixture, p, q), "mpmath")
            right = [float(exact(mp.mpf(at), mp.mpf(1), mp.mpf(-2))) for at in points]
            scale = 1 + 32 * points**2  # terms of that size cancel
            np.testing.assert_allclose(values / scale, right / scale, rtol=0, atol=1e-15)
