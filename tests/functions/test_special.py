"""Functions of sympy with a real numeric meaning, compiled: values and derivatives against mpmath."""

import itertools

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from sympy.codegen import cfunctions, numpy_nodes, scipy_nodes

import symprop
from symprop import nn

x, y, z, t = sp.symbols("x y z t")
HALVES = np.array([-3.3, -1.7, -0.6, -0.25, 0.1, 0.6, 1.4, 2.5, 3.7, 9.3])
POSITIVE = np.array([1e-3, 0.2, 0.7, 1.0, 1.4616321449683623, 2.0, 3.5, 7.9, 8.1, 25.0, 140.0])
SMALL = np.array([0.0, 1e-200, 1e-8, -1e-4, 0.02, -0.5, 1.4, 1.6, 2.4, -3.1, 5.5, 9.0, 14.9, 100.3])
INSIDE = np.array([-0.9, -0.3, 0.2, 0.7])
BEYOND = np.array([-3.2, -1.4, 1.1, 2.3, 9.0])

# expression, the same with mpmath, points
FUNCTIONS = {
    "sec": (sp.sec(x), mp.sec, HALVES),
    "csc": (sp.csc(x), mp.csc, HALVES),
    "cot": (sp.cot(x), mp.cot, HALVES),
    "asec": (sp.asec(x), mp.asec, BEYOND),
    "acsc": (sp.acsc(x), mp.acsc, BEYOND),
    "acot": (sp.acot(x), mp.acot, HALVES),
    "sech": (sp.sech(x), mp.sech, HALVES),
    "csch": (sp.csch(x), mp.csch, HALVES),
    "coth": (sp.coth(x), mp.coth, HALVES),
    "asech": (sp.asech(x), mp.asech, INSIDE[2:]),
    "acsch": (sp.acsch(x), mp.acsch, HALVES),
    "acoth": (sp.acoth(x), mp.acoth, BEYOND),
    "asin": (sp.asin(x), mp.asin, INSIDE),
    "acos": (sp.acos(x), mp.acos, INSIDE),
    "atanh": (sp.atanh(x), mp.atanh, INSIDE),
    "acosh": (sp.acosh(x), mp.acosh, BEYOND[2:]),
    "erf": (sp.erf(x), mp.erf, HALVES),
    "erfc": (sp.erfc(x), mp.erfc, HALVES),
    "gamma": (sp.gamma(x), mp.gamma, np.concatenate([HALVES, POSITIVE])),
    "loggamma": (sp.loggamma(x), lambda v: mp.log(abs(mp.gamma(v))), np.concatenate([HALVES, POSITIVE])),
    "digamma": (sp.digamma(x), mp.digamma, np.concatenate([HALVES, POSITIVE])),
    "trigamma": (sp.polygamma(1, x), lambda v: mp.polygamma(1, v), np.concatenate([HALVES, POSITIVE])),
    "polygamma 2": (sp.polygamma(2, x), lambda v: mp.polygamma(2, v), np.concatenate([HALVES, POSITIVE])),
    "factorial": (sp.factorial(x), mp.factorial, POSITIVE),
    "harmonic": (sp.harmonic(x), mp.harmonic, POSITIVE),
    "binomial": (sp.binomial(x, 3), lambda v: mp.binomial(v, 3), POSITIVE),
    "rising": (sp.RisingFactorial(x, t).subs(t, sp.Rational(5, 2)), lambda v: mp.rf(v, 2.5), POSITIVE),
    "falling": (sp.FallingFactorial(x, sp.Rational(1, 2)), lambda v: mp.ff(v, 0.5), POSITIVE),
    "besselj 0": (sp.besselj(0, x), lambda v: mp.besselj(0, v), SMALL),
    "besselj 1": (sp.besselj(1, x), lambda v: mp.besselj(1, v), SMALL),
    "besselj 2": (sp.besselj(2, x), lambda v: mp.besselj(2, v), SMALL),
    "besselj 5": (sp.besselj(5, x), lambda v: mp.besselj(5, v), SMALL),
    "besselj -1": (sp.besselj(-1, x), lambda v: mp.besselj(-1, v), SMALL),
    "sinc": (sp.sinc(x), mp.sinc, SMALL),
    "jn 3": (
        sp.jn(3, x),
        lambda v: v**3 * mp.hyp0f1(4.5, -v * v / 4) / 105,
        SMALL,
    ),
    "cbrt": (sp.cbrt(x), mp.cbrt, POSITIVE),
    "real_root": (sp.real_root(x, 3), lambda v: mp.sign(v) * mp.cbrt(abs(v)), HALVES),
    "log base 3": (sp.log(x, 3), lambda v: mp.log(v, 3), POSITIVE),
    "log2": (cfunctions.log2(x), lambda v: mp.log(v, 2), POSITIVE),
    "log10": (cfunctions.log10(x), mp.log10, POSITIVE),
    "exp2": (cfunctions.exp2(x), lambda v: mp.power(2, v), HALVES),
    "expm1": (cfunctions.expm1(x), mp.expm1, HALVES),
    "log1p": (cfunctions.log1p(x), mp.log1p, POSITIVE),
    "hypot": (cfunctions.hypot(x, 3), lambda v: mp.hypot(v, 3), HALVES),
    "root of a square": (sp.sqrt(x**2), abs, HALVES),
    "size of a size": (sp.sqrt(x**2 * (1 + x**2)), lambda v: abs(v) * mp.sqrt(1 + v * v), HALVES),
    "power of a square": ((x**4) ** sp.Rational(3, 4), lambda v: abs(v) ** 3, HALVES),
    "frac": (sp.frac(x), lambda v: v - mp.floor(v), HALVES),
    "Mod": (sp.Mod(x, sp.Rational(9, 8)), lambda v: v - mp.mpf(1.125) * mp.floor(v / 1.125), HALVES),
    "floor": (sp.floor(x) + sp.ceiling(x / 2), lambda v: mp.floor(v) + mp.ceil(v / 2), HALVES),
    "Heaviside": (sp.Heaviside(x), lambda v: mp.mpf(v > 0), HALVES),
    "legendre": (sp.legendre(4, x), lambda v: mp.legendre(4, v), INSIDE),
}


def derivative_of(function, point, order):
    """The derivative by differences at 80 digits; of order 0 the value."""
    with mp.workdps(80):
        v = mp.mpf(float(point))
        if order == 0:
            return mp.mpf(mp.re(function(v)))
        h = mp.mpf(10) ** -14 * max(abs(v), mp.mpf(1) / 100)
        weights = {1: (-1, 8, 0, -8, 1), 2: (-1, 16, -30, 16, -1)}[order]
        total = mp.fsum(w * mp.re(function(v + (2 - k) * h)) for k, w in enumerate(weights))
        return total / (12 * h**order)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_and_two_derivatives(name):
    expression, function, points = FUNCTIONS[name]
    first = symprop.grad(expression, x, as_graph=True)
    compiled = symprop.compile(expression, [x], batch=[x], wrt=[x])
    slope = symprop.compile(first, [x], batch=[x], wrt=[x])
    value, (by_x,) = compiled.value_and_grad(points)
    (second,) = slope.grad(points)
    for order, found in enumerate((value, by_x, second)):
        right = [float(derivative_of(function, p, order)) for p in points]
        np.testing.assert_allclose(
            found, right, rtol=LOOSE.get(name, (2e-14, 2e-13, 2e-12)[order]), atol=1e-15
        )


LOOSE = {"rising": 1e-9, "falling": 1e-9}  # differences of digamma at 140, differentiated once more


def test_two_operands():
    rng = np.random.default_rng(0)
    u, v = rng.uniform(0.3, 6, 12), rng.uniform(0.3, 6, 12)
    cases = {
        sp.beta(x, y): mp.beta,
        sp.binomial(x, y): mp.binomial,
        sp.atan2(x, y): mp.atan2,
        sp.erf2(x, y): lambda a, b: mp.erf(b) - mp.erf(a),
        sp.log(x, y): mp.log,
        x**y: mp.power,
        cfunctions.hypot(x, y): mp.hypot,
        sp.RisingFactorial(x, y): mp.rf,
        sp.Mod(x, y): lambda a, b: a - b * mp.floor(a / b),
        cfunctions.fma(x, y, x): lambda a, b: a * b + a,
        numpy_nodes.logaddexp(x, y): lambda a, b: mp.log(mp.exp(a) + mp.exp(b)),
        numpy_nodes.logaddexp2(x, y): lambda a, b: mp.log(mp.power(2, a) + mp.power(2, b), 2),
        scipy_nodes.powm1(x, y): lambda a, b: mp.power(a, b) - 1,
        scipy_nodes.cosm1(x) + y: lambda a, b: mp.cos(a) - 1 + b,
    }
    for expression, function in cases.items():
        compiled = symprop.compile(expression, [x, y], batch=[x, y], wrt=[x, y])
        value, slopes = compiled.value_and_grad(u, v)
        for k in range(len(u)):
            a, b = mp.mpf(u[k]), mp.mpf(v[k])
            assert value[k] == pytest.approx(float(function(a, b)), rel=3e-14, abs=1e-15), expression
            by = mp.diff(function, (a, b), (1, 0)), mp.diff(function, (a, b), (0, 1))
            for slope, right in zip(slopes, by, strict=True):
                assert slope[k] == pytest.approx(float(right), rel=1e-12, abs=1e-13), expression


AT_POLES = {
    sp.RisingFactorial(x, y): (mp.rf, [(-3, 2), (0, 0), (-5, 3), (-8, 11), (-4, -2), (-2, 1), (0, 4)]),
    sp.FallingFactorial(x, y): (mp.ff, [(2, 11), (5, 5), (5, 6), (-2, 3), (4, 2)]),
    sp.binomial(x, y): (
        mp.binomial,
        [(2, 11), (3, 4), (5, 5), (0, 0), (-3, 2), (-3, 1), (6.5, -1), (6.5, -3)],
    ),
}


@pytest.mark.parametrize("expression", AT_POLES, ids=lambda e: type(e).__name__)
def test_quotients_of_poles_of_gamma(expression):
    function, points = AT_POLES[expression]
    f = symprop.compile(expression, [x, y])
    for point in points:
        assert f(*point) == pytest.approx(float(function(*point)), rel=1e-14, abs=1e-300), point
        by_x = mp.diff(function, tuple(map(mp.mpf, point)), (1, 0))
        assert f.grad(*point)[0] == pytest.approx(float(by_x), rel=1e-12, abs=1e-14), point


def test_erf2_of_arguments_where_erf_is_all_but_one():
    f = symprop.compile(sp.erf2(x, y), [x, y])
    for a, b in [(3.0, 7.5), (-7.5, -3.0), (9.0, 5.0), (-6.0, 6.0), (20.0, 21.0)]:
        right = (
            mp.erfc(a) - mp.erfc(b)
            if a > 0
            else mp.erfc(-b) - mp.erfc(-a)
            if b < 0
            else mp.erf(b) - mp.erf(a)
        )
        assert f(a, b) == pytest.approx(float(right), rel=1e-14)


def test_the_slope_of_a_power_of_a_size_at_zero():
    for e in (sp.Rational(3, 2), sp.Float(1.25), 3):
        f = symprop.compile(sp.Abs(x) ** e, [x])
        assert f.grad(0.0) == (0.0,)
        for v in (-2.0, 0.5):
            assert f.grad(v)[0] == pytest.approx(np.sign(v) * float(e) * abs(v) ** (float(e) - 1), rel=1e-15)


def test_acot_has_a_derivative_at_zero():
    f = symprop.compile(sp.acot(x), [x])
    assert f.value_and_grad(0.0) == (np.pi / 2, (-1.0,))
    for v in (1e-300, -1e-9, 0.999, 1.0, -1.0, 1e17):
        assert f(v) == pytest.approx(float(mp.acot(v)), rel=3e-16)
        assert f.grad(v)[0] == pytest.approx(float(-1 / (1 + mp.mpf(v) ** 2)), rel=1e-15)


def test_beta_beyond_the_range_of_gamma():
    f = symprop.compile(sp.beta(x, y), [x, y])
    for a, b in [(300.0, 2.5), (100.0, 90.0), (500.25, -3.5), (-200.5, 170.25)]:
        assert f(a, b) == pytest.approx(float(mp.beta(a, b)), rel=1e-11)


def test_hypot_and_remainder_at_the_ends():
    f = symprop.compile(cfunctions.hypot(x, y), [x, y])
    assert f(3e200, 4e200) == pytest.approx(5e200, rel=1e-15)
    assert f(3e-200, 4e-200) == pytest.approx(5e-200, rel=1e-15)
    assert f(0.0, 0.0) == 0 and f.grad(0.0, 0.0) == (0, 0)
    assert f(np.inf, 1.0) == np.inf and np.isnan(f(np.nan, 1.0))
    m = symprop.compile(sp.Mod(x, y), [x, y])
    for a, b in [(5.0, 0.1), (-5.0, 0.1), (5.5, -2.0), (-5.5, -2.0), (6.0, 2.0), (-6.0, 2.0), (1e15, 0.7)]:
        assert m(a, b) == pytest.approx(np.mod(a, b), rel=1e-15, abs=0), (a, b)
    assert m.grad(5.3, 2.0) == (1, -2)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        (sp.sinc(x), (1, 0, -1 / 3, 0, 1 / 5)),
        (sp.besselj(0, x), (1, 0, -1 / 2, 0, 3 / 8)),
        (sp.besselj(1, x), (0, 1 / 2, 0, -3 / 8, 0)),
        (sp.besselj(2, x), (0, 0, 1 / 4, 0, -1 / 4)),
    ],
    ids=str,
)
def test_derivatives_of_every_order_at_zero(expression, values):
    for order, right in enumerate(values):
        graph = symprop.Graph([(sp.Symbol("q"), expression)])
        for _ in range(order):
            graph = symprop.grad(graph, x, as_graph=True)
        found = symprop.compile(graph, [x])(0.0)
        assert found == pytest.approx(right, abs=1e-15), order


def test_where_the_derivatives_of_gamma_end():
    graph = symprop.grad(sp.polygamma(3, x), x, as_graph=True)
    assert symprop.compile(graph, [x])(1.3) == pytest.approx(float(mp.polygamma(4, 1.3)), rel=1e-14)
    with pytest.raises(symprop.UnsupportedExpressionError, match=r"polygamma\(5, x\)"):
        symprop.grad(graph, x)


def test_exported_forms_are_those_of_sympy():
    gradient = symprop.grad(sp.loggamma(x) + sp.besselj(0, x) + sp.gamma(y) ** 2, [x, y])
    assert gradient[0] == sp.polygamma(0, x) - sp.besselj(1, x)
    assert gradient[1] == 2 * sp.gamma(y) ** 2 * sp.polygamma(0, y)
    graph = symprop.Graph([(t, sp.beta(x, y) + sp.sinc(z) + sp.Mod(x, y))])
    assert "beta(x, y)" in str(graph)
    assert symprop.compile(graph.equations[0][1], [x, y, z])(1.5, 2.0, 0.0) == symprop.compile(
        graph, [x, y, z]
    )(1.5, 2.0, 0.0)


# -- branches that are not taken -------------------------------------------------

BRANCHES = {
    "root": (
        sp.Piecewise((sp.sqrt(x), x > 0), (0, True)),
        {-1.0: (0, 0, 0), 0.0: (0, 0, 0), 4.0: (2, 0.25, -1 / 32)},
    ),
    "log": (
        sp.Piecewise((x**2 * sp.log(x), x > 0), (0, True)),
        {-1.0: (0, 0, 0), 0.0: (0, 0, 0), 1.0: (0, 1, 3)},
    ),
    "size": (sp.Abs(x), {0.0: (0, 0, 0), -2.0: (2, -1, 0)}),
    "root of a square": (sp.sqrt(x**2), {0.0: (0, 0, 0), -2.0: (2, -1, 0)}),
    "products of squares": (
        sp.sqrt(x**2 * (x - 1) ** 4),
        {0.0: (0, 0, 0), 1.0: (0, 0, 2), -1.0: (4, -8, 10)},
    ),
    "nested": (
        sp.Piecewise(
            (sp.Piecewise((1 / x, x > 1), (sp.log(x), x > sp.Rational(1, 2)), (x, True)), x < 5), (7, True)
        ),
        {0.0: (0, 1, 0), 0.25: (0.25, 1, 0), 1.0: (0, 1, -1), 2.0: (0.5, -0.25, 0.25), 6.0: (7, 0, 0)},
    ),
    "maximum": (sp.Max(sp.sqrt(x), 1), {0.0: (1, 0, 0), 4.0: (2, 0.25, -1 / 32)}),
    "maximum of a log": (sp.Max(sp.log(x), -5), {0.0: (-5, 0, 0), 1.0: (0, 1, -1)}),
    "inside": (sp.exp(sp.Piecewise((x * sp.log(x), x > 0), (x, True))) * x, {0.0: (0, 1, 2)}),
    "otherwise": (sp.Piecewise((0, x <= 0), (1 / x, True)), {0.0: (0, 0, 0), 2.0: (0.5, -0.25, 0.25)}),
    "a third power of the size": (sp.Abs(x) ** 3, {0.0: (0, 0, 0), -1.0: (1, -3, 6)}),
}


@pytest.mark.parametrize("name", BRANCHES)
@pytest.mark.parametrize("batched", [False, True])
def test_a_branch_not_taken_brings_no_nan(name, batched):
    expression, cases = BRANCHES[name]
    batch = {"batch": [x], "wrt": [x]} if batched else {}
    first = symprop.compile(expression, [x], **batch)
    second = symprop.compile(symprop.grad(expression, x, as_graph=True), [x], **batch)
    points = [np.array(list(cases))] if batched else list(cases)
    found = []
    for point in points:
        value, (slope,) = first.value_and_grad(point)
        (curvature,) = second.grad(point)
        found.append(np.array([value, slope, curvature]).T)
    np.testing.assert_allclose(np.reshape(found, (-1, 3)), list(cases.values()), rtol=1e-14, atol=1e-15)


def test_conditions_of_every_kind():
    p = sp.Piecewise(
        (x, sp.And(x > 0, y > 0)),
        (y**2, sp.Or(x < -1, z > 2)),
        (z**3, sp.And(sp.Not(sp.Eq(z, 0)), sp.Ne(x, y))),
        (sp.log(z), sp.ITE(x > -1, y > 0, z > 0)),
        (x * y * z, True),
    )
    f = symprop.compile(p, [x, y, z])

    def right(a, b, c):
        if a > 0 and b > 0:
            return a, (1, 0, 0)
        if a < -1 or c > 2:
            return b**2, (0, 2 * b, 0)
        if c != 0 and a != b:
            return c**3, (0, 0, 3 * c**2)
        if (b > 0) if a > -1 else (c > 0):
            return np.log(c), (0, 0, 1 / c)
        return a * b * c, (b * c, a * c, a * b)

    for point in itertools.product((-2.0, -1.0, 0.0, 1.5), (-1.0, 0.0, 0.5), (-1.0, 0.0, 1.0, 3.0)):
        with np.errstate(all="ignore"):
            expected = right(*map(np.float64, point))
        value, grads = f.value_and_grad(*point)
        np.testing.assert_allclose(
            [value, *grads], [expected[0], *expected[1]], rtol=1e-15, err_msg=str(point)
        )


def test_no_piece_that_holds_is_nan():
    f = symprop.compile(sp.Piecewise((x**2, x > 0)), [x])
    assert np.isnan(f(-1.0)) and f(2.0) == 4


# -- maxima and minima of many ---------------------------------------------------


@pytest.mark.parametrize("kind", [sp.Max, sp.Min])
def test_ties_are_shared_evenly(kind):
    symbols = sp.symbols("a:e")
    f = symprop.compile(kind(*symbols), symbols, ties="split")
    sign = 1 if kind is sp.Max else -1
    for count in range(1, 6):
        for chosen in itertools.combinations(range(5), count):
            at = [sign * 2.0 if k in chosen else sign * (0.5 - k) for k in range(5)]
            value, grads = f.value_and_grad(*at)
            assert value == sign * 2.0
            np.testing.assert_allclose(grads, [1 / count if k in chosen else 0 for k in range(5)], rtol=1e-15)
    first = symprop.compile(kind(*symbols), symbols)
    assert sum(first.grad(1.0, 1.0, 1.0, 1.0, 1.0)) == 1


def test_nested_maxima_of_matrices_are_shared_evenly():
    P, Q, R = (sp.MatrixSymbol(k, 2, 1) for k in "PQR")
    total = symprop.scalar(sp.OneMatrix(1, 2) * nn.maximum(nn.maximum(P, Q), R))
    at = np.array([1.0, 3.0]), np.array([1.0, 5.0]), np.array([1.0, 5.0])
    for target, options in (
        (total, {"ties": "split"}),
        (symprop.scalar(sp.OneMatrix(1, 2) * nn.maxout(P, Q, R, ties="split")), {}),
    ):
        grads = symprop.compile(target, [P, Q, R], **options).grad(*at)
        np.testing.assert_allclose(grads, [[1 / 3, 0], [1 / 3, 0.5], [1 / 3, 0.5]], rtol=1e-15)
    np.testing.assert_array_equal(symprop.compile(total, [P, Q, R]).grad(*at), [[1, 0], [0, 1], [0, 0]])
    assert symprop.compile(nn.relu(x), [x], ties="split").grad(0.0) == (0,)


def test_a_nan_among_the_operands_is_the_maximum():
    f = symprop.compile(sp.Max(x, y, z), [x, y, z], ties="split")
    for at in itertools.permutations((1.0, 2.0, np.nan)):
        assert np.isnan(f(*at))


def test_slopes_of_large_binomials():
    """NaN from 1e154 on, where the square of the value is infinite; in single precision from 1e19 on."""
    for dtype, bound, points in [
        ("float64", 1e-14, [(1000.0, 500.25), (600.0, 300.5), (900.0, 250.0)]),
        ("float32", 3e-5, [(10000.0, 5.25), (80.0, 40.5)]),
    ]:
        f = symprop.compile(sp.binomial(x, y), args=[x, y], dtype=dtype)
        for n, k in points:
            value, slopes = f.value_and_grad(n, k)
            with mp.workdps(40):
                right = mp.binomial(n, k)
                at = mp.digamma(n + 1), mp.digamma(k + 1), mp.digamma(n - k + 1)
                exact = right, right * (at[0] - at[2]), right * (at[2] - at[1])
                for found, e in zip((value, *slopes), exact, strict=True):
                    assert abs(found - e) <= bound * max(abs(e), right / 10)
