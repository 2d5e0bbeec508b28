"""Powers beside what vanishes first, and formulas in other spellings, against mpmath: values and slopes."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from sympy.codegen.cfunctions import log1p

import symprop
from symprop import nn

x = sp.Symbol("x", real=True)
u, v = sp.symbols("u v")
E, L, R = sp.exp, sp.log, sp.Rational
SMALLEST, SPACING = float(np.finfo(float).tiny), float(np.finfo(float).eps)
POINTS = (-1e300, -1e160, -800.0, -38.5, -3.0, -0.4, 1e-9, 0.7, 1.5, 30.0, 400.0, 1e160, 1e300)


def tail(z):
    """mpmath without gmpy2 takes the argument of erfc as a float."""
    return mp.erfc(z) if abs(z) < 10**6 else mp.mpf(0 if z > 0 else 2)


OWN = {"log1p": lambda z: mp.log(1 + z), "erfc": tail}


def check(target, formula=None, points=POINTS, most=4):
    """Value and slope of a target within some ULP where the truth is a normal number, else small."""
    f = symprop.compile(target, args=[x], batch=[x], wrt=[x])
    value, (slope,) = f.value_and_grad(np.array(points))
    formula = target if formula is None else formula
    for found, expression in ((value, formula), (slope, sp.diff(formula, x))):
        exact = sp.lambdify([x], expression, [OWN, "mpmath"])
        for at, here in zip(points, found, strict=True):
            with mp.workdps(900):
                try:
                    true = exact(mp.mpf(at))
                except ZeroDivisionError:  # 0/0 in the plain formula
                    continue
            nearest = float(true)
            if np.isfinite(nearest):
                size = abs(nearest) if abs(nearest) >= SMALLEST else SMALLEST / SPACING
                bound = most * SPACING * mp.mpf(size)
                assert abs(mp.mpf(float(here)) - true) <= bound, (expression, at, here)
    return f


@pytest.mark.parametrize(
    "formula",
    [
        x**2 * E(-(x**2)),
        x**3 * E(-(x**2) / 2),
        (x**2 - 1) * E(-(x**2) / 2),
        (x**3 - 3 * x) * E(-(x**2) / 2) / sp.sqrt(2 * sp.pi),
        x**4 * E(-2 * x**2 + 3 * x),
        x**2 * E(-x),
        (x**2 + x + 1) * E(x / 3),
        x**2 * E(-sp.Abs(x)),
        x * E(-(x**4)),
        (x - 2) ** 2 * E(-((x - 2) ** 2) / 2),
        x**2 / (1 + E(x)),
        x**2 * (1 - sp.tanh(x) ** 2),
        x**3 / (E(x) - 1),
        x**2 * E(x) / (E(x) - 1) ** 2,
        x**2 / sp.cosh(x),
        x**2 * sp.erfc(x),
    ],
    ids=str,
)
def test_powers_beside_what_vanishes(formula):
    check(formula, most=64)


def test_the_bound_is_above_all_that_counts():
    """A slow decay has a far bound, and a decay with a factor that is not known has none."""
    y = sp.Symbol("y")
    formula = x**2 * E(-(x**2) / 10**6)
    f = check(formula, points=(1.1e3, 1.2e4, 2e4, 2.5e4, 1e160), most=64)
    assert "powers beside a decay" in f.report.fired
    for other in (x**2 * E(-y * x**2), x**2 * E(y - x), x**2 * E(y * x), x * E(-(x**2)), y**2 * E(-(x**2))):
        assert "powers beside a decay" not in symprop.compile(other, wrt=[]).report.fired


def test_matrices_and_second_derivatives_of_gelu():
    X = sp.MatrixSymbol("X", 2, 2)
    at = np.array([[-1e200, 1e300], [-3.0, 0.5]])
    (found,) = (symprop.compile(symprop.grad(sp.Trace(nn.gelu(X) * X.T), [X], as_graph=True), wrt=[])(at),)
    assert np.isfinite(found).all()
    second = symprop.compile(symprop.hessian(nn.gelu(x), [x], as_graph=True), args=[x], batch=[x], wrt=[])
    np.testing.assert_array_equal(np.ravel(second(at[0])), [0, 0])


@pytest.mark.parametrize(
    ("spelling", "formula"),
    [
        (log1p(E(x)), L(1 + E(x))),
        (log1p(E(-x)), L(1 + E(-x))),
        (log1p(-nn.sigmoid(x)), L(1 - 1 / (1 + E(-x)))),
        (log1p(-1 / (1 + E(x))), L(1 - 1 / (1 + E(x)))),
        (log1p(-E(-E(x))), L(1 - E(-E(x)))),
        (L(2 * nn.sigmoid(x)), L(2 / (1 + E(-x)))),
        (L(1 + sp.tanh(x)), None),
        (L(1 - sp.tanh(x)), None),
        (L(3 * nn.sigmoid(x)), L(3 / (1 + E(-x)))),
        (L(sp.erfc(x) / 2), None),
        (L(sp.erfc(-x) / 2), None),
        (L(3 * sp.erfc(x)), None),
        (L(sp.sinh(x) / x), None),
        (L(x / sp.sinh(x)), None),
        (L(2 + 2 * E(x)) - L(2), L(1 + E(x))),
        (sp.sqrt(E(x)), E(x / 2)),
    ],
    ids=str,
)
def test_other_spellings(spelling, formula):
    points = [p for p in POINTS if abs(p) < 1e4]
    check(spelling, formula, points, most=8)


def test_binary_cross_entropy_of_a_sigmoid_keeps_its_digits():
    f = symprop.compile(nn.binary_cross_entropy(nn.sigmoid(x), sp.S.Zero), args=[x], wrt=[])
    assert [f(at) for at in (39.0, 90.0, 200.0)] == [39.0, 90.0, 100.0]  # torch limits each logarithm


def test_a_quotient_that_is_divided_by():
    inverse = symprop.Graph([(u, 1 / x), (v, 1 / u)])
    f = symprop.compile(inverse, args=[x], wrt=[x])
    assert [f(at) for at in (1e-310, -0.0, 1e300, -np.inf)] == [1e-310, 0.0, 1e300, -np.inf]
    assert f.grad(1e200) == (1.0,)
    logarithm = symprop.Graph([(u, 1 / x), (v, -L(u))])
    f = symprop.compile(logarithm, args=[x], wrt=[x])
    for at in (1e300, 1e-300):
        assert f.value_and_grad(at) == (np.log(at), (1 / at,))
    plain = symprop.compile(inverse, args=[x], wrt=[], accuracy="as_written")
    with np.errstate(over="ignore"):
        assert plain(1e-310) == 1 / (1 / np.float64(1e-310)) == 0


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_exponentials_shifted_by_the_user(count):
    """m + log(sum(exp(z - m))), m the maximum of scalars: a small rest keeps its digits."""
    z = sp.symbols(f"z:{count}")
    target = symprop.Graph([(u, sp.Max(*z)), (v, u + L(sum(E(a - u) for a in z)))])
    f = symprop.compile(target, args=z, wrt=[])
    assert "log of shifted scalars" in f.report.fired
    at = [-40.0 - k for k in range(count - 1)] + [0.0]
    with mp.workdps(60):
        exact = mp.log(mp.fsum(mp.exp(a) for a in at))
    assert abs(f(*at) - exact) <= 2e-15 * exact
    other = symprop.Graph([(u, sp.Max(*z)), (v, L(sum(E(a - u) for a in z[1:]) + E(z[0])))])
    assert "log of shifted scalars" not in symprop.compile(other, args=z, wrt=[]).report.fired


@pytest.mark.parametrize(
    "formula",
    [
        (E(x) - E(u)) / (E(x) + E(u)),
        x * (2 * E(u) - 2 * E(x)) / (E(x) + E(u)),
        sp.sqrt(E(x) + E(u)),
        (E(x) + 3 * E(u)) ** R(1, 3),
        1 / sp.sqrt(1 + E(x) + E(u)),
    ],
    ids=str,
)
def test_ratios_and_roots_of_sums_of_exponentials(formula):
    f = symprop.compile(formula, args=[x, u], wrt=[x, u])
    for at in (
        (800.0, -900.0),
        (-800.0, -900.0),
        (3.0, 3.0 + 1e-9),
        (0.3, -0.8),
        (750.0, 751.0),
        (-0.2, 19.0),
    ):
        value, slopes = f.value_and_grad(*at)
        for found, expression in (
            (value, formula),
            *zip(slopes, (formula.diff(x), formula.diff(u)), strict=True),
        ):
            with mp.workdps(1200):
                exact = sp.lambdify([x, u], expression, "mpmath")(*map(mp.mpf, at))
            if np.isfinite(float(exact)):
                assert abs(found - exact) <= 4e-15 * abs(exact) + 1e-307, (expression, at)


def test_one_less_all_other_weights():
    """The slope by a of a + log(1 + exp(b - a) + exp(c - a)), 1 - (exp(b - a) + exp(c - a))/(1 + ...)."""
    a, b, c = sp.symbols("a b c")
    f = symprop.compile(a + L(1 + E(b - a) + E(c - a)), args=[a, b, c], wrt=[a])
    for at in ((-100.0, 1.0, 2.0), (-40.0, -3.0, 30.0), (2.0, 1.0, 0.5)):
        with mp.workdps(120):
            low, *_ = exact = [mp.exp(mp.mpf(p)) for p in at]
            exact = low / mp.fsum(exact)
        assert abs(f.grad(*at)[0] - exact) <= 1e-14 * exact


def test_a_product_beside_a_number_over_itself():
    """The slope of log(1 + exp(s*X))/s has s*s**-1 beside exp(s*X)/(1 + exp(s*X))."""
    X, s = sp.MatrixSymbol("X", 2, 2), sp.Symbol("s")
    total = sp.OneMatrix(1, 2) * (sp.OneMatrix(2, 2) + (s * X).applyfunc(E)).applyfunc(L) * sp.OneMatrix(2, 1)
    f = symprop.compile(symprop.scalar(total) / s, args=[X, s], wrt=[X])
    (slope,) = f.grad(np.array([[-800.0, 800.0], [0.0, 1e5]]), 2.0)
    np.testing.assert_array_equal(slope, [[0, 1], [0.5, 1]])


def test_a_share_of_a_softmax():
    """-log((exp(a) + exp(b))/(exp(a) + exp(b) + exp(c))), of which the slopes are products of two weights."""
    z = sp.symbols("a b c")
    some, everything = sum(E(v) for v in z[:2]), sum(E(v) for v in z)
    f = symprop.compile(-L(some / everything), args=z, wrt=z)
    for at in ((32.0, 1049.0, 1245.0), (900.0, 1.0, -900.0), (0.5, 0.25, -40.0), (-3.0, 1.0, 0.5)):
        with mp.workdps(1200):
            a, b, c = (mp.exp(mp.mpf(v)) for v in at)
            exact = [mp.log((a + b + c) / (a + b))]
            exact += [-v * c / ((a + b) * (a + b + c)) for v in (a, b)] + [c / (a + b + c)]
        value, slopes = f.value_and_grad(*at)
        for found, true in zip((value, *slopes), exact, strict=True):
            assert abs(found - float(true)) <= 8 * np.spacing(abs(float(true))), at
