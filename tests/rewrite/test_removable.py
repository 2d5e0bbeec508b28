"""Formulas that are smooth where they lose digits: values, first and second derivatives next to the place."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.rewrite import optimise

x, y, m, p = sp.symbols("x y m p", real=True)
FIRED = "smooth where digits are lost"
SIZES = [1e-280, 1e-140, 1e-60, 1e-20, 1e-9, 1e-4, 0.01, 0.11, 0.23]
ZERO = [s * v for v in SIZES for s in (1, -1)]
ONE = [1 + s * v for v in SIZES if v > 1e-10 for s in (1, -1)]
FURTHER = np.concatenate([np.geomspace(0.02, 0.97, 60), np.geomspace(1.02, 12, 40)])

# formula, variable, points, values of the others
FORMULAS = {
    "sin(x)/x": (sp.sin(x) / x, x, ZERO, {}),
    "(1 - cos(x))/x**2": ((1 - sp.cos(x)) / x**2, x, ZERO, {}),
    "erf(x)/x": (sp.erf(x) / x, x, ZERO, {}),
    "erf(0.7*x)/x": (sp.erf(0.7 * x) / x, x, ZERO, {}),
    "sin(pi*x)/(pi*x)": (sp.sin(sp.pi * x) / (sp.pi * x), x, ZERO, {}),
    "asinh(x)/x": (sp.asinh(x) / x, x, ZERO, {}),
    "3*(sin(x) - x*cos(x))/x**3": (3 * (sp.sin(x) - x * sp.cos(x)) / x**3, x, ZERO, {}),
    "(log(1 + x) - x)/x**2": ((sp.log(1 + x) - x) / x**2, x, ZERO, {}),
    "(sqrt(1 + x) - 1)/x": ((sp.sqrt(1 + x) - 1) / x, x, ZERO, {}),
    "(exp(x) - 1 - x)/x**2": ((sp.exp(x) - 1 - x) / x**2, x, ZERO, {}),
    "x/sinh(x)": (x / sp.sinh(x), x, ZERO, {}),
    "log(sinh(x)/x)": (sp.log(sp.sinh(x) / x), x, ZERO, {}),
    "log(cosh(x))/x**2": (sp.log(sp.cosh(x)) / x**2, x, ZERO, {}),
    "log(cos(x))/x**2": (sp.log(sp.cos(x)) / x**2, x, ZERO, {}),
    "sin(sinh(x))/x": (sp.sin(sp.sinh(x)) / x, x, ZERO, {}),
    "1 - tanh(x)/x": (1 - sp.tanh(x) / x, x, ZERO, {}),
    "(sin(x)/x)**2": ((sp.sin(x) / x) ** 2, x, ZERO, {}),
    "sin(x*y)/x": (sp.sin(x * y) / x, x, ZERO, {y: 1.7}),
    "(exp(p*x) - 1)/p": ((sp.exp(p * x) - 1) / p, p, ZERO, {x: 1.7}),
    "log(1 + p*x)/p": (sp.log(1 + p * x) / p, p, ZERO, {x: 0.7}),
    "(x**p - 1)/p": ((x**p - 1) / p, p, ZERO, {x: 1.7}),
    "x*log(x) - x + 1": (x * sp.log(x) - x + 1, x, ONE, {}),
    "x - 1 - log(x)": (x - 1 - sp.log(x), x, ONE, {}),
    "log(x)/(x - 1)": (sp.log(x) / (x - 1), x, ONE, {}),
    "x*log(x/m) - (x - m)": (x * sp.log(x / m) - (x - m), x, [3 * v for v in ONE], {m: 3.0}),
    "the same, in m": (x * sp.log(x / m) - (x - m), m, [3 * v for v in ONE], {x: 3.0}),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_slopes_keep_their_digits(name):
    formula, v, points, others = FORMULAS[name]
    args = [v, *others]
    second = symprop.grad(symprop.grad(formula, v), v)
    f = symprop.compile(formula, args=args, batch=args, wrt=[v])
    g = symprop.compile(second, args=args, batch=args, wrt=[])
    at = [points, *[np.full(len(points), c) for c in others.values()]]
    value, (slope,) = f.value_and_grad(*at)
    for order, found in enumerate((value, slope, g(*at))):
        exact, slope_of_it = (sp.lambdify(args, sp.diff(formula, v, k), "mpmath") for k in (order, order + 1))
        for point, number in zip(points, found, strict=True):
            with mp.workdps(60 - int(14 * np.log10(abs(point)) if abs(point) < 1 else 0) + 160):
                here = mp.mpf(float(point)), *map(mp.mpf, others.values())
                truth = exact(*here)
                if abs(truth) < 1e-290:
                    continue
                error = float(abs(mp.mpf(float(number)) - truth) / np.spacing(abs(float(truth))))
                # what a change of the argument by half a unit is worth
                moved = float(abs(here[0] * slope_of_it(*here) / truth))
            assert error <= (8 if order < 2 else 24) * (1 + moved), (order, point, number, error)
    fired = [f.report.fired, g.report.fired]
    assert any(FIRED in names for names in fired)
    assert FIRED not in symprop.compile(second, args=args, wrt=[], accuracy="as_written").report.fired


@pytest.mark.parametrize(
    "formula",
    [sp.sin(x) / x, (1 - sp.cos(x)) / x**2, (x - sp.sin(x)) / x**3, 3 * (sp.sin(x) - x * sp.cos(x)) / x**3,
     (sp.sin(x) - x + x**3 / 6) / x**5, (sp.exp(x) - 1 - x) / x**2, sp.log(1 + x) / x, sp.asin(x) / x,
     (sp.log(1 + x) - x) / x**2, (x - (1 + x) * sp.log(1 + x)) / x**2, (x - sp.atan(x)) / x**3,
     (sp.sqrt(1 + x) - 1) / x, x / sp.sinh(x), sp.erf(x) / x, sp.asinh(x) / x, sp.tanh(x) / x,
     sp.log(sp.cosh(x)) / x**2, x**2 * sp.exp(x) / (sp.exp(x) - 1) ** 2],
    ids=str,
)  # fmt: skip
def test_further_out_no_more_is_lost_than_far_away(formula):
    """Where a polynomial ends another begins, or the formula loses little: before, up to 1,600 units."""
    second = symprop.grad(symprop.grad(formula, x), x)
    f = symprop.compile(formula, args=[x], batch=[x], wrt=[x])
    g = symprop.compile(second, args=[x], batch=[x], wrt=[])
    points = np.concatenate([FURTHER, -FURTHER])
    value, (slope,) = f.value_and_grad(points)
    for order, found in enumerate((value, slope, g(points))):
        exact, slope_of_it = (sp.lambdify(x, sp.diff(formula, x, k), "mpmath") for k in (order, order + 1))
        errors = []
        for point, number in zip(points, found, strict=True):
            with mp.workdps(60):
                here = mp.mpf(float(point))
                truth, moved = exact(here), slope_of_it(here)
                if isinstance(truth, mp.mpf) and abs(here * moved / truth) < 8:  # real, and next to no zero
                    errors.append(float(abs(float(number) - truth) / np.spacing(abs(float(truth)))))
        # the slopes of logarithms and exponentials lose some where they stay as they are
        assert max(errors) <= (5, 10, 32)[order], (order, max(errors))


@pytest.mark.parametrize(
    "formula",
    [sp.sin(x) / y, x - sp.atan(y), sp.cos(x) - sp.sin(x), 1 - sp.cos(x), (sp.exp(x) - 1) / x, sp.sin(x) / x,
     1 / x - 1 / x**2, sp.cosh(x) / x, sp.Abs(x) - sp.sin(x), 1 / (1 + sp.exp(-x)), x * sp.log(y) - x + 1,
     x / sp.sqrt(x**2 + y**2)],
    ids=str,
)  # fmt: skip
def test_what_loses_nothing_or_is_not_smooth_stays(formula):
    assert FIRED not in symprop.compile(formula, args=[x, y], wrt=[]).report.fired


def test_the_value_at_the_place_is_the_limit():
    f = symprop.compile(sp.sin(x * y) / x, args=[x, y], wrt=[x])
    slope = f.grad(0.0, 3.0)[0]
    assert slope == 0.0
    g = symprop.compile(symprop.grad((x**p - 1) / p, p), args=[x, p], wrt=[])
    assert abs(g(2.5, 0.0) - np.log(2.5) ** 2 / 2) < 1e-15
    assert np.isnan(g(-1.0, 0.3))


def test_entries_of_a_matrix_and_other_terms(bench):
    """In a sum with other terms, entry by entry, with another factor."""
    t = bench.table
    a, b, w = (bench.matrix(n, 2, 3) for n in "abw")
    node = t.add(t.mul(w, t.sub(a, t.call("sin", a))), b)
    (after,), report = optimise(t, [node])
    assert report.fired[FIRED] == 1
    values = {a.attrs[0]: np.full((2, 3), 1e-3), w.attrs[0]: np.full((2, 3), -2.0)}
    values[b.attrs[0]] = np.zeros((2, 3))
    from symprop.graph.evaluate import evaluate

    found = evaluate([after], values)[0]
    np.testing.assert_allclose(found, -2.0 * (1e-9 / 6 * (1 - 1e-6 / 20 + 1e-12 / 840)), rtol=1e-15)


q, w = sp.symbols("q w", positive=True)
z = q * x
# of several values: terms whose other factors differ are infinite at the place, and their sum is none
SUMS = {
    "Debye-Waller": w * sp.exp(-(x**2) * w / 3) * sp.sin(z) / z,
    "Debye scattering": 2 * w * (sp.exp(-(z**2)) + z**2 - 1) / z**4,
    "form factor": w * (3 * (sp.sin(z) - z * sp.cos(z)) / z**3) ** 2,
    "Scharfetter-Gummel": q * x / (sp.exp(x) - 1) + w * x / (1 - sp.exp(-x)),
    "Pareto": -(1 + 1 / x) * sp.log(1 + x * q / w),
    "extreme values": (1 + x * (q - m) / w) ** (-1 / x),
    "two scales": w * sp.exp(-x) * (sp.sin(z) / z) ** 2 + (1 - sp.cos(x * w)) / (x * w) ** 2 / q,
    "a sum of two poles": w * (1 / sp.sinh(z**2) - z**-2) * sp.exp(-w * x) + x**3 / q**2,
    "Tsallis": (1 + (1 - x) * q) ** (1 / (1 - x)),
}


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("size", [1e-12, 1e-7, 1e-4, 0.03, 0.4])
def test_sums_with_other_factors(name, size):
    """Values, slopes and second slopes in x near the place, where they were wrong from the first digit on."""
    formula = SUMS[name]
    point = {x: 1 - size if name == "Tsallis" else size, q: 0.8125, w: 1.375, m: 0.25}
    args = [v for v in point if formula.has(v)]
    slope = symprop.grad(formula, x)
    f = symprop.compile(formula, args=args, wrt=[x])
    g = symprop.compile([slope, symprop.grad(slope, x)], args=args, wrt=[])
    at = [point[v] for v in args]
    value, (joint,) = f.value_and_grad(*at)
    alone, second = g(*at)
    with mp.workdps(200):
        exact = sp.lambdify(args, [sp.diff(formula, x, k) for k in range(3)], "mpmath")(*map(mp.mpf, at))
        for found, truth, bound in zip(
            (value, joint, alone, second),
            (exact[0], exact[1], exact[1], exact[2]),
            (8, 24, 24, 64),
            strict=True,
        ):
            assert abs(mp.mpf(float(found)) - truth) <= bound * np.spacing(abs(float(truth))), (found, truth)


def test_a_term_of_two_groups_is_taken_once():
    """The one of exp(x) - 1 and of 1/sqrt(1 + y) - 1."""
    f = symprop.compile(sp.exp(x) - 1 + 1 / sp.sqrt(1 + y) + sp.sin(y) / x, args=[x, y], wrt=[])
    for at in ((1e-3, 0.5), (3.0, 1e-9), (0.25, 4.0)):
        truth = mp.exp(at[0]) - 1 + 1 / mp.sqrt(1 + mp.mpf(at[1])) + mp.sin(at[1]) / at[0]
        assert abs(f(*at) - truth) <= 4e-16 * abs(truth)


def test_a_sum_that_is_infinite_stays():
    for formula in (sp.cos(z) / x + w / x**2, sp.log(1 + z) / x**2 + w, 1 / x + w * sp.sin(z) / x**2):
        f = symprop.compile(formula, args=[x, q, w], wrt=[])
        for at in (1e-9, 0.3):
            with mp.workdps(60):
                truth = sp.lambdify([x, q, w], formula, "mpmath")(mp.mpf(at), mp.mpf(0.5), mp.mpf(1.5))
                assert abs(f(at, 0.5, 1.5) - truth) <= 4e-16 * abs(truth)


def test_other_operations_are_not_looked_into_far():
    """A long chain costs little: what is inside one value is left alone."""
    previous, equations = x, []
    for k in range(60):
        name = sp.Symbol(f"v{k}", real=True)
        equations.append((name, sp.sin(previous) * p + previous))
        previous = name
    assert FIRED not in symprop.compile(symprop.Graph(equations)).report.fired


def test_a_formula_is_found_in_a_large_network():
    """Among 3,000 nodes, and where its value is one of a long chain."""
    previous, equations = x, []
    for k in range(1000):
        name = sp.Symbol(f"v{k}", real=True)
        equations.append((name, sp.sin(previous) * sp.Symbol(f"w{k}", real=True) + previous))
        previous = name
    loss = previous + 3 * (sp.sin(y * p) - y * p * sp.cos(y * p)) / (y * p) ** 3
    f = symprop.compile(symprop.Graph([*equations, (m, loss)]), wrt=[y])
    assert f.report.fired[FIRED] == 2
    values = {s.name: 0.0 for s in f.graph.inputs} | {"y": 2e-3, "p": 3e-3}
    u, slope = 6e-6, f.grad(**values)[0]
    assert abs(slope / (-u / 5 * (1 - u**2 / 14) * values["p"]) - 1) < 1e-15


@pytest.mark.parametrize(
    "formula",
    [
        (1 - sp.cos(x)) / x**2,
        sp.log(sp.sinh(x) / x),
        (sp.exp(x) - 1) / x,
        sp.log(sp.cosh(x)) / x**2,
        x / sp.tanh(x),
    ],
    ids=str,
)
def test_squares_underflow_sooner_in_single_precision(formula):
    f = symprop.compile(formula, args=[x], batch=[x], wrt=[x], dtype="float32")
    points = np.array([-1e-20, 3e-17, 2e-13, -1e-10, 1e-7], np.float32)
    value, (slope,) = f.value_and_grad(points)
    for order, found in enumerate((value, slope)):
        exact = sp.lambdify(x, sp.diff(formula, x, order), "mpmath")
        for point, number in zip(points, found, strict=True):
            with mp.workdps(200):
                truth = float(exact(mp.mpf(float(point))))
            if abs(truth) > 1e-37:
                assert abs(float(number) - truth) <= 4e-7 * abs(truth), (order, point)
