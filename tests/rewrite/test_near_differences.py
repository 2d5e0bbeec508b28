"""Differences of one function at two near values, sums of sums, rounded arguments of angles and powers."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.rewrite import optimise

a, b, x, n = sp.symbols("a b x n", real=True)
NEAR = [
    (3.0, 3.0000000000000004),
    (1e-7, 1.00001e-7),
    (700.25, 700.2500001),
    (2.0, 2.5),
    (5.0, 0.125),
    (1e9, 1e-9),
]
PAIRS = [NEAR[0], *NEAR, (0.75, 0.75000001)]
LARGE = [1e-9, 0.25, 1.0, 2.5, 60.0, 12345.678, 1e9, 3e14]

DIFFERENCES = {
    "roots": sp.sqrt(a) - sp.sqrt(b),
    "inverse roots": 3 * x / sp.sqrt(a) - 3 * x / sp.sqrt(b),
    "inverses": 1 / a - 1 / b,
    "cubes": a**3 - b**3,
    "inverse squares": a**-2 - b**-2,
    "powers": a**n - b**n,
    "cube roots": a ** sp.Rational(1, 3) - b ** sp.Rational(1, 3),
    "exponentials": sp.exp(a) - sp.exp(b),
    "logarithms": sp.log(a) - sp.log(b),
    "logarithm of a ratio": x * sp.log(a / b),
    "arctangents": sp.atan(a) - sp.atan(b),
}
OF_ONE = {
    "roots": sp.sqrt(x + 1) - sp.sqrt(x),
    "inverse roots": 1 / sp.sqrt(x) - 1 / sp.sqrt(x + 1),
    "inverses": 1 / (x + 1) - 1 / x,
    "inverses, one more": 1 / (x + 2) - 1 / (x + 3),
    "logarithms": sp.log(x + 1) - sp.log(x),
    "arctangents": sp.atan(x + 1) - sp.atan(x),
    "cube roots": sp.cbrt(x + 1) - sp.cbrt(x),
    "a power less one": (1 + x) ** sp.Rational(1, 2) - 1,
}


def units(found, exact):
    """The error in units of the last place of the exact value."""
    return float(abs(mp.mpf(float(found)) - exact) / mp.mpf(float(np.spacing(abs(float(exact))))))


def worst(expression, symbols, points, order=0):
    """The largest error of the value and of all slopes, and the rewrites that fired."""
    slopes = symbols if order else []
    targets = [expression, *[sp.diff(expression, s) for s in slopes]]
    derived = [expression, *[symprop.grad(expression, s) for s in slopes]]
    f = symprop.compile(derived, args=symbols, batch=symbols, wrt=[])
    found = f(*np.array(points).T)
    found = found if slopes else [found]
    lost = 0.0
    with mp.workdps(700):
        for target, values in zip(targets, found, strict=True):
            exact = sp.lambdify(symbols, target, "mpmath")
            for point, value in zip(points, values, strict=True):
                truth = exact(*[mp.mpf(p) for p in point])
                if 1e-300 < abs(truth) < 1e300:
                    lost = max(lost, units(value, truth))
    return lost, f.report.fired


@pytest.mark.parametrize("name", DIFFERENCES)
def test_two_values(name):
    symbols = [s for s in (a, b, x, n) if DIFFERENCES[name].has(s)]
    points = [(*pair, 0.75)[: len(symbols)] for pair in PAIRS]
    if name == "exponentials":
        points = [p for p in points if max(p) < 709]
    lost, fired = worst(DIFFERENCES[name], symbols, points)
    assert fired.get("difference of near values", 0) + fired.get("logarithm of a ratio", 0) >= 1
    assert lost <= 6


@pytest.mark.parametrize("name", OF_ONE)
def test_a_step(name):
    """f(x + 1) - f(x) and its slope, where x has no digits left for the one."""
    lost, _ = worst(OF_ONE[name], [x], [(v,) for v in LARGE], 1)
    assert lost <= 12


@pytest.mark.parametrize("function", [sp.sin, sp.cos, sp.tan])
def test_angles(function):
    """Of which the step is known exactly, though not the sum."""
    points = [(v, h) for v in (0.25, 1.5, 4000.125, -3e5) for h in (1e-12, -1e-5, 0.03, 0.4)]
    lost, fired = worst(function(a + b) - function(a), [a, b], points, 1)
    assert fired["difference of near values"] >= 1
    assert lost <= 8


def test_near_misses(bench):
    t = bench.table
    f, g, y = bench.scalars("f g y")
    root, other = (t.pow(v, sp.Rational(1, 2)) for v in (f, g))
    third = t.pow(g, sp.Rational(1, 3))
    sines = t.sub(t.call("sin", f), t.call("sin", g))  # of unknown angles nothing would be gained
    for node in (t.add(root, other), t.sub(root, third), t.sub(t.mul(y, root), other), sines):
        _, report = optimise(t, [node])
        assert "difference of near values" not in report.fired, node
    _, report = optimise(t, [t.sub(root, other)], accuracy="as_written")
    assert "difference of near values" not in report.fired


def test_infinities_and_nan_stay():
    """As the difference as it is written has them."""
    f = symprop.compile(
        [sp.sqrt(a) - sp.sqrt(b), 1 / a - 1 / b, sp.log(a / b), sp.log(a) - sp.log(b), sp.exp(a) - sp.exp(b)],
        args=[a, b],
        batch=[a, b],
        wrt=[],
    )
    p, q = np.array(
        [[np.inf, 1], [1, np.inf], [0, 0], [0, 1], [1, 0], [-1, -2], [np.nan, 1], [np.inf, np.inf]]
    ).T
    with np.errstate(all="ignore"):
        plain = [
            np.sqrt(p) - np.sqrt(q),
            1 / p - 1 / q,
            np.log(p / q),
            np.log(p) - np.log(q),
            np.exp(p) - np.exp(q),
        ]
    for found, expected in zip(f(p, q), plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_sums_of_sums():
    """The slope of (a - b)*(a + b) by b is (a - b) - (a + b)."""
    f = symprop.compile((a - b) * (a + b), args=[a, b])
    assert f.report.fired["sum of sums"] == 1
    _, (_, slope) = f.value_and_grad(1e9, 1e-9)
    assert slope == -2e-9


@pytest.mark.parametrize("point", [(2e-9, 3e8, 1e-12), (5.0, -2.0, 1e-3), (0.3, 7e5, 0.125)])
def test_roots_of_a_quadratic(point):
    c = sp.Symbol("c", real=True)
    for sign in (1, -1):
        root = (-b + sign * sp.sqrt(b**2 - 4 * a * c)) / (2 * a)
        lost, _ = worst(root, [a, b, c], [point])
        assert lost <= 4


@pytest.mark.parametrize("name", ["haversine", "acos"])
def test_inverse_functions_near_one(name):
    expression = {"haversine": 2 * sp.asin(sp.sqrt(x)), "acos": sp.acos(1 - x)}[name]
    lost, _ = worst(expression, [x], [(v,) for v in (1e-14, 0.3, 0.9999, 1 - 1e-15)], 1)
    assert lost <= 4


def test_angles_of_rounded_arguments():
    """sin(pi*x) near whole x, after many periods, and its slope."""
    points = [(v,) for v in (1.0 + 1e-15, 7.0000001, 123456.000001, -31.5, 0.25)]
    for function in (sp.sin, sp.cos, sp.tan):
        lost, fired = worst(function(sp.pi * x), [x], points, 1)
        assert fired["argument with what it lost"] >= 1
        assert lost <= 4
    found = symprop.compile(sp.sin(x / a), args=[x, a])(1.0, np.inf)
    assert found == 0


@pytest.mark.parametrize(
    "phase", [a * x + b, b * x - a * n + 1, sp.pi * (x / a - n / b), a * x + b * sp.sin(n)]
)
def test_phases_of_waves(phase):
    """cos(w*t + p) after many periods, next to its zeros: a million units were lost at 28,000."""
    points = [
        tuple(v if s is not x else 90.1 for s, v in zip((a, b, x, n), p, strict=True))
        for p in [(312.7, 1.1, 0, 0.3), (31.3, 0.3, 0, 47.7), (1.7, 17.9, 0, 5.5), (0.7, 0.3, 0, 1234.5)]
    ]
    used = [k for k, s in enumerate((a, b, x, n)) if phase.has(s)]
    for function in (sp.sin, sp.cos, sp.tan):
        lost, fired = worst(
            function(phase), [(a, b, x, n)[k] for k in used], [[p[k] for k in used] for p in points], 1
        )
        assert fired["argument with what it lost"] >= 1
        assert lost <= 8
    network = sp.sin(a * sp.tanh(x) + b)  # the value of a layer has lost as much itself
    assert "argument with what it lost" not in symprop.compile(network, args=[a, b, x]).report.fired


def test_powers_of_rounded_sums():
    points = [(0.05, 1e12), (-3.0, 3.0000001), (2.0, 700.0), (1e-3, 1e5)]
    lost, fired = worst((1 + x / n) ** n, [x, n], points)
    assert fired["argument with what it lost"] >= 1
    assert lost <= 6


@pytest.mark.parametrize("expression", [x * (1 - a / b), 1 / sp.sqrt(1 - a**2 / b**2), 3 - 3 * a / b])
def test_one_less_a_ratio(expression):
    symbols = [s for s in (a, b, x) if expression.has(s)]
    pairs = [(3.0, 3.0000000000000004), (-699.99, 700.0), (1e200, 1.5e200), (0.25, 1e9)]
    lost, fired = worst(expression, symbols, [(*p, 0.7)[: len(symbols)] for p in pairs])
    assert fired["one less a ratio"] == 1
    assert lost <= 5
    f = symprop.compile(1 - a / b, args=[a, b])
    assert f.report.fired["one less a ratio"] and f(1.0, np.inf) == 1 and np.isnan(f(np.inf, np.inf))


@pytest.mark.parametrize("expression", [sp.log(1 - a / b), -x * b**2 / 2 * sp.log(1 - (a / b) ** 2)])
def test_logarithm_of_one_less_a_ratio(expression):
    """log1p of a small ratio, which 1 less it would round; the logarithm of (b - a)/b of one near 1."""
    symbols = [s for s in (a, b, x) if expression.has(s)]
    pairs = [(3.0, 3.0000000000000004), (2e-9, 700.0), (0.5, 1.0), (1e-200, 1e-188), (0.3, 0.7)]
    lost, fired = worst(expression, symbols, [(*p, 0.7)[: len(symbols)] for p in pairs], 1)
    assert fired["one less a ratio"] >= 1 and fired["log1p"] >= 1
    assert lost <= 5


def test_functions_beside_shared_products():
    """The slopes of s**n/(k**n + s**n) by n and of exp(b*x) - exp((b - 1)*x) by b, whose other factors are
    products that have other uses."""
    s, k = sp.symbols("s k", positive=True)
    points = [(3.0, 3.0000000001, 2.5), (0.5, 0.5 + 1e-12, 7.0), (1e-3, 1.1e-3, 0.3), (2.0, 40.0, 3.0)]
    lost, fired = worst(s**n / (k**n + s**n), [s, k, n], points, 1)
    assert fired["difference of near values"] == 1
    assert lost <= 8
    points = [(0.4, 1e-9), (0.6, -3e-5), (0.3, 0.7)]
    lost, fired = worst(sp.exp(b * x) - sp.exp((b - 1) * x), [b, x], points, 1)
    assert fired["difference of near values"] == 2
    assert lost <= 4


def test_other_sums_with_ratios_stay():
    for expression in (1 + a / b, 1 - a * x / b, 2 - a / b, x - a / b):
        assert "one less a ratio" not in symprop.compile(expression, wrt=[]).report.fired, expression


def test_a_common_factor_is_known():
    """cos(a*x) - cos(b*x): the step is (a - b)*x."""
    points = [(3.0, 3.0000000001, 700.0), (0.5, 0.5 + 1e-12, 1e-3), (2.0, 1.9, 1.0)]
    for function in (sp.cos, sp.sin, sp.exp):
        lost, fired = worst(function(-a * x) - function(-b * x), [a, b, x], points)
        assert fired["difference of near values"] == 1
        assert lost <= 4


def test_distances():
    """Differences of distances, and of potentials, far away."""
    r, s = (sp.sqrt((x - v) ** 2 + n**2) for v in (a, b))
    points = [(0.5, -0.5, 1e9, 3e8), (0.5, 0.500001, 1.0, 2.0), (1.0, 30.0, 0.5, 1e-3)]
    for expression in (r - s, 1 / r - 1 / s):
        lost, fired = worst(expression, [a, b, x, n], points)
        assert fired["difference of near values"] >= 1
        assert lost <= 6


def test_softplus():
    lost, fired = worst(sp.log(1 + sp.exp(a)) - sp.log(1 + sp.exp(b)), [a, b], [*NEAR[:4], (-30.0, -30.0001)])
    assert fired["difference of near values"] == 1
    assert lost <= 4


def test_the_slope_of_a_matern_kernel():
    """(1 + s)*exp(-s) has the slope -s*exp(-s)."""
    s = sp.sqrt(3) * x / a
    lost, fired = worst((1 + s) * sp.exp(-s), [a, x], [(1.5, 1e-9), (2.0, 0.25), (0.75, 30.0)], 1)
    assert fired["sum of sums"] >= 1
    assert lost <= 6


@pytest.mark.parametrize(
    ("expression", "points"),
    [
        (a - sp.sqrt(a**2 - b**2), [(3.0, 1e-7), (700.0, 2.0), (-3.0, 0.1)]),
        (((a + b + n) - sp.sqrt((a + b + n) ** 2 - 4 * a * b)) / 2, [(1e-6, 3.0, 2.0), (5.0, 1e-9, 0.01)]),
        (1 / sp.sqrt(1 - a**2 / b**2) - 1, [(1e-9, 2.0), (0.125, 3e5), (0.999999999, 1.0)]),
        (sp.log(sp.tan(sp.pi / 4 + x / 2)), [(1e-10,), (-0.75,), (1.5,)]),
    ],
)
def test_textbook_formulas(expression, points):
    """Height of an arc, two that bind each other, kinetic energy, latitude of a map."""
    symbols = [s for s in (a, b, x, n) if expression.has(s)]
    lost, _ = worst(expression, symbols, points)
    assert lost <= 6
