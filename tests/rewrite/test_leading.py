"""Formulas of polynomials where powers of their arguments overflow: value, slope and second derivative."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop

x, m, s = sp.symbols("x m s", real=True)
HALF = sp.Rational(1, 2)
SIZES = 10.0 ** np.array([-250, -3, 0.3, 5, 9, 12, 18.5, 40, 76, 155, 180, 250, 308])
TINY = np.finfo(float).tiny
# name: (formula, what fires in the value, the slope or its slope)
CASES = {
    "Cauchy loss": (sp.log(1 + x**2), "leading terms in a logarithm"),
    "of another sum": (sp.log(7 + x**2), "leading terms in a logarithm"),
    "log-likelihood of Student's t": (-3 * sp.log(1 + x**2 / 5), "leading terms in a logarithm"),
    "a fourth power": (sp.log(1 + x**4 / 3), "leading terms in a logarithm"),
    "of a standardised value": (sp.log(1 + ((x - 2) / 7) ** 2), "leading terms in a logarithm"),
    "odd powers": (x / (3 + x**2), "leading terms in a quotient"),
    "a limit of one": (x**2 / (1 + x**2), "leading terms in a quotient"),
    "both sides": ((x**2 - 1) / (x**2 + 1), "leading terms in a quotient"),
    "a higher power": (x / (1 + x**2) ** 3, "leading terms in a quotient"),
    "Student's density": ((1 + x**2 / 4) ** (-5 * HALF), "leading terms in a quotient"),
    "a root that is no norm": (sp.sqrt(x**2 + x + 1), "leading terms in a root"),
    "a root of a fraction": (2 * (sp.sqrt(1 + x**2 / 2) - 1), "root of squares"),
}
NEAR_MISSES = {
    "no square": sp.log(3 + x) + x / (1 + x),
    "a bounded square": sp.log(1 + sp.sin(x) ** 2) + sp.tanh(x) / (2 + sp.tanh(x) ** 2),
    "no power of the variable above the line": 1 / (1 + x**2) ** 2,
    "two variables": sp.log(1 + x**2 + m * x) + x / (1 + x**2 + m * x),
    "a power that is all": 1 / (1 + x**m),
    "terms that still count where powers overflow": x / (sp.Integer(2) ** 900 + x**20),
}


def truth(functions, at):
    """Value, slope, slope of the slope, at as many digits as powers of the argument have."""
    with mp.workdps(60 + int(4 * abs(np.log10(abs(at))))):
        return [function(mp.mpf(float(at))) for function in functions]


@pytest.mark.parametrize("name", CASES)
def test_wide_arguments(name):
    expression, _ = CASES[name]
    points = np.concatenate([SIZES, -SIZES])
    f = symprop.compile(expression, args=[x], batch=[x], wrt=[x])
    again = symprop.compile(symprop.grad(expression, [x]), args=[x], batch=[x], wrt=[x])
    value, (slope,) = f.value_and_grad(points)
    _, (second,) = again.value_and_grad(points)
    functions = [sp.lambdify(x, expression.diff(x, order), "mpmath", cse=True) for order in range(3)]
    for k, point in enumerate(points):
        for found, exact, most in zip(
            (value, slope, second), truth(functions, point), (4, 8, 64), strict=True
        ):
            if abs(exact) < mp.mpf(2) ** 1024:
                unit = max(abs(exact) * mp.mpf(2) ** -52, TINY)
                assert abs(mp.mpf(float(found[k])) - exact) <= most * unit, (point, most)


def test_infinities_and_nan():
    """A quotient comes to its limit; NaN stays NaN."""
    f = symprop.compile([sp.log(1 + x**2), x / (1 + x**2), x**2 / (1 + x**2)], args=[x], batch=[x], wrt=[])
    found = np.stack(f(np.array([np.inf, -np.inf, np.nan, -0.0])))
    np.testing.assert_array_equal(found, [[np.inf, np.inf, np.nan, 0], [0, 0, np.nan, 0], [1, 1, np.nan, 0]])
    assert np.signbit(found[1]).tolist() == [False, True, np.signbit(found[1, 2]), True]


def test_parameters_in_the_variable():
    """The log-likelihood of a Cauchy distribution with a place and a width, far from both, in float32 too."""
    likelihood = -sp.log(1 + ((x - m) / s) ** 2) - sp.log(s)
    for dtype, far, rtol in (("float64", 3e180, 1e-14), ("float32", 3e25, 1e-6)):
        f = symprop.compile(likelihood, args=[x, m, s], wrt=[x, m, s], dtype=dtype)
        value, slopes = f.value_and_grad(far, 1.5, 0.25)
        assert value == pytest.approx(-2 * np.log(far) + np.log(0.25), rel=rtol)
        np.testing.assert_allclose(slopes, [-2 / far, 2 / far, 1 / 0.25], rtol=rtol)


@pytest.mark.parametrize("form", ["product", "sum"])
def test_norms(form):
    """sqrt(z.T*z), z/sqrt(z.T*z) and their slopes, where the squares overflow and where they vanish."""
    z, k = sp.MatrixSymbol("z", 3, 1), sp.Symbol("k", integer=True)
    norm = sp.sqrt(symprop.scalar(z.T * z) if form == "product" else sp.Sum(z[k, 0] ** 2, (k, 0, 2)))
    v = np.array([1.0, -2.0, 3.0])
    length = symprop.compile(norm, args=[z], wrt=[z])
    assert sum(n for rule, n in length.report.fired.items() if rule.startswith("norm")) <= 2
    for scale in (1e-300, 1e-200, 1.0, 1e200, 1e300):
        value, (slope,) = length.value_and_grad(v * scale)
        assert value == pytest.approx(np.sqrt(14) * scale, rel=1e-15)
        np.testing.assert_allclose(slope, v / np.sqrt(14), rtol=1e-15)
    part = symprop.compile(z[1, 0] / norm, args=[z], wrt=[z])
    for scale in (1e-140, 1.0, 1e140):
        value, (slope,) = part.value_and_grad(v * scale)
        assert value == pytest.approx(-2 / np.sqrt(14), rel=1e-15)
        right = (np.array([0.0, 1.0, 0.0]) + v * 2 / 14) / np.sqrt(14) / scale
        np.testing.assert_allclose(slope, right, rtol=1e-14)


a, b, c, d, n = sp.symbols("a b c d n", positive=True)
POWERS = {
    "four parameters": d + (a - d) / (1 + (x / c) ** b),
    "Hill": c * (x / s) ** b / (1 + (x / s) ** b),
    "a logarithm": sp.log(1 + (x / c) ** b),
    "another one": sp.log(3 + 2 * (x / c) ** b),
}


@pytest.mark.parametrize("name", POWERS)
def test_powers_of_unknown_exponents(name):
    """(x/c)**b is infinite, the formula and its slopes are not: infinity over infinity before."""
    formula = POWERS[name]
    args = sorted(formula.free_symbols, key=str)
    f = symprop.compile(formula, args=args)
    assert any(rule.startswith("leading terms") for rule in f.report.fired)
    exact = [sp.lambdify(args, e, "mpmath") for e in (formula, *[sp.diff(formula, v) for v in args])]
    for size in (1e-30, 0.7, 40.0, 1e5, 1e60, 1e100):
        for power in (0.5, 2.0, 9.25):
            at = [{x: size, b: power, a: 0.25, d: 2.0, c: 3.0, s: 0.5}[v] for v in args]
            value, slopes = f.value_and_grad(*at)
            with mp.workdps(350):
                for found, function in zip((value, *slopes), exact, strict=True):
                    right = function(*map(mp.mpf, at))
                    # the exponent b - 1 is rounded, which counts log(x) times
                    assert abs(found - right) <= 1e-13 * abs(right) + TINY, (at, found, right)


def fired(expression):
    names: set[str] = set()
    for e in (expression, symprop.grad(expression, x)):
        names.update(symprop.compile(e, args=[x, m, s], wrt=[x]).report.fired)
    return names


@pytest.mark.parametrize("name", CASES)
def test_what_fires(name):
    expression, rule = CASES[name]
    assert rule in fired(expression)


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_does_not(name):
    report = symprop.compile(NEAR_MISSES[name], args=[x, m], wrt=[]).report
    assert not any(rule.startswith("leading terms") for rule in report.fired)
