"""Stable forms: each rule fires on its formula, not on the near-miss, and keeps the digits that the
formula loses."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symprop.differentiate import adjoints
from symprop.graph import topological
from symprop.graph.evaluate import evaluate
from symprop.rewrite import count_operations, optimise
from symprop.rewrite.rules import STABLE
from symprop.rewrite.simplify import simplify
from symprop.rewrite.stable import stable_forms


class Formulas:
    """Short forms to write formulas as nodes."""

    def __init__(self, bench):
        self.t = bench.table
        self.x, self.y, self.z, self.w = bench.scalars("x y z w")
        self.u, self.v, self.A = bench.matrix("u", 4, 1), bench.matrix("v", 4, 1), bench.matrix("A", 3, 4)
        self.over_pi = self.t.constant(1 / sp.pi)
        self.one, self.half = self.t.constant(1), sp.Rational(1, 2)

    def exp(self, a):
        return self.t.call("exp", a)

    def log(self, a):
        return self.t.call("log", a)

    def sigmoid(self, a):
        return self.t.call("sigmoid", a)

    def part(self, a):
        return self.t.mul(self.t.constant(sp.Rational(1, 2)), a)

    def total(self, a, axes=None, keep=False):
        return self.t.sum(self.exp(a), axes, keep)


# name of the rule: (formula that fires it, formula that must not, where the plain formula fails)
CASES = {
    "softplus": (
        lambda f: f.log(f.t.add(f.one, f.exp(f.x))),
        lambda f: f.log(f.t.add(f.t.constant(2), f.exp(f.x))),
        800,
    ),
    "log of sigmoid": (lambda f: f.log(f.sigmoid(f.x)), lambda f: f.log(f.t.call("tanh", f.x)), -800),
    "sigmoid": (
        lambda f: f.t.mul(f.y, f.t.pow(f.t.add(f.one, f.exp(f.t.neg(f.x))), -1)),
        lambda f: f.t.pow(f.t.add(f.one, f.exp(f.x)), 2),
        None,
    ),
    "log of a sum of exponentials": (
        lambda f: f.log(f.total(f.v)),
        lambda f: f.log(f.t.sum(f.t.call("cosh", f.v))),
        900,
    ),
    "log of shifted exponentials": (
        lambda f: f.log(f.t.sum(f.exp(f.t.sub(f.u, f.t.make("reduce_max", (f.u,), ((0, 1), False)))))),
        lambda f: f.log(f.t.sum(f.exp(f.t.sub(f.u, f.t.make("reduce_max", (f.v,), ((0, 1), False)))))),
        None,
    ),
    "softmax": (
        lambda f: f.t.mul(f.exp(f.v), f.t.pow(f.total(f.v), -1)),
        lambda f: f.t.mul(f.exp(f.t.neg(f.v)), f.t.pow(f.total(f.v), -1)),
        900,
    ),
    "softmax of rows or columns": (
        lambda f: f.t.mul(f.exp(f.A), f.t.broadcast(f.t.pow(f.total(f.A, (1,), True), -1), (3, 4))),
        lambda f: f.t.mul(f.exp(f.A), f.t.broadcast(f.t.pow(f.t.sum(f.A, (1,), True), -1), (3, 4))),
        900,
    ),
    "log of exponentials": (
        lambda f: f.log(f.t.add(f.exp(f.x), f.exp(f.y), f.one)),
        lambda f: f.log(f.t.add(f.exp(f.x), f.y)),
        800,
    ),
    "log of shifted scalars": (
        lambda f: f.log(f.t.mul(f.exp(f.x), f.t.pow(f.t.add(f.exp(f.x), f.exp(f.y)), -1))),
        lambda f: f.log(f.t.mul(f.exp(f.x), f.t.pow(f.t.add(f.exp(f.x), f.y), -1))),
        None,
    ),
    "weight among exponentials": (
        lambda f: f.t.mul(f.exp(f.x), f.t.pow(f.t.add(f.exp(f.x), f.exp(f.y)), -1)),
        lambda f: f.t.mul(f.exp(f.z), f.t.pow(f.t.add(f.exp(f.x), f.exp(f.y)), -1)),
        800,
    ),
    "log1p": (
        lambda f: f.log(f.t.add(f.one, f.t.mul(f.x, f.y))),
        lambda f: f.log(f.t.add(f.t.constant(2), f.x)),
        1e-25,
    ),
    "sigmoid less its target": (
        lambda f: f.t.sub(f.sigmoid(f.x), f.w),
        lambda f: f.t.sub(f.sigmoid(f.x), f.exp(f.w)),
        50,
    ),
    "target less its sigmoid": (
        lambda f: f.t.sub(f.w, f.sigmoid(f.x)),
        lambda f: f.t.add(f.w, f.sigmoid(f.x)),
        50,
    ),
    "log of a power": (
        lambda f: f.log(f.t.pow(f.x, -2)),
        lambda f: f.log(f.t.pow(f.x, f.y)),
        1e-200,
    ),
    "log of a product with exp": (
        lambda f: f.log(f.t.mul(f.exp(f.x), f.sigmoid(f.y))),
        lambda f: f.log(f.t.mul(f.exp(f.x), f.y)),
        -800,
    ),
    "log of a mean with an exponential": (
        lambda f: f.log(f.t.add(f.part(f.one), f.part(f.exp(f.x)))),
        lambda f: f.log(f.t.add(f.t.constant(2), f.part(f.exp(f.x)))),
        1e-25,
    ),
    "difference of exponentials": (
        lambda f: f.t.sub(f.exp(f.t.add(f.x, f.y)), f.exp(f.y)),
        lambda f: f.t.sub(f.exp(f.t.add(f.x, f.y)), f.exp(f.z)),
        1e-25,
    ),
    "power less one": (
        lambda f: f.t.add(f.t.pow(f.t.add(f.one, f.x), 10), f.t.constant(-1)),
        lambda f: f.t.add(f.t.pow(f.t.add(f.t.constant(2), f.x), 10), f.t.constant(-1)),
        1e-25,
    ),
    "one less a power": (
        lambda f: f.t.sub(f.one, f.t.pow(f.t.add(f.one, f.x), sp.Rational(-5, 3))),
        lambda f: f.t.sub(f.one, f.t.pow(f.t.add(f.one, f.x), f.y)),
        1e-25,
    ),
    "log of exp": (lambda f: f.log(f.exp(f.x)), lambda f: f.log(f.t.call("expm1", f.x)), -800),
    "log of a multiple of exponentials": (
        lambda f: f.log(f.t.mul(f.t.constant(sp.Rational(1, 3)), f.t.add(f.exp(f.x), f.exp(f.y)))),
        lambda f: f.log(f.t.mul(f.t.constant(sp.Rational(1, 3)), f.t.add(f.exp(f.x), f.y))),
        800,
    ),
    "log of cosh": (lambda f: f.log(f.t.call("cosh", f.x)), lambda f: f.log(f.t.call("sinh", f.x)), 1e-12),
    "log of a multiple of cosh": (
        lambda f: f.log(f.t.mul(f.t.constant(3), f.t.call("cosh", f.x))),
        lambda f: f.log(f.t.mul(f.t.constant(3), f.t.call("sinh", f.x))),
        800,
    ),
    "log of the slope of tanh": (
        lambda f: f.log(f.t.sub(f.one, f.t.pow(f.t.call("tanh", f.x), 2))),
        lambda f: f.log(f.t.add(f.one, f.t.pow(f.t.call("tanh", f.x), 2))),
        400,
    ),
    "log of the slope of sigmoid": (
        lambda f: f.log(f.t.mul(f.sigmoid(f.x), f.t.sub(f.one, f.sigmoid(f.x)))),
        lambda f: f.log(f.t.mul(f.sigmoid(f.x), f.t.add(f.one, f.sigmoid(f.x)))),
        800,
    ),
    "log of 1 - exp": (
        lambda f: f.log(f.t.sub(f.one, f.exp(f.t.neg(f.x)))),
        lambda f: f.log(f.t.sub(f.t.constant(2), f.exp(f.t.neg(f.x)))),
        50,
    ),
    "log of exp - 1": (
        lambda f: f.log(f.t.sub(f.exp(f.x), f.one)),
        lambda f: f.log(f.t.sub(f.exp(f.x), f.t.constant(2))),
        800,
    ),
    "normal distribution": (
        lambda f: f.t.add(f.one, f.t.call("erf", f.t.mul(f.t.constant(1 / sp.sqrt(2)), f.x, f.y))),
        lambda f: f.t.add(f.one, f.t.call("erf", f.t.mul(f.t.constant(1 / sp.sqrt(3)), f.x, f.y))),
        -5,
    ),
    "root of squares": (
        lambda f: f.t.pow(f.t.add(f.t.pow(f.x, 2), f.t.mul(f.t.constant(4), f.t.pow(f.y, 2))), f.half),
        lambda f: f.t.pow(f.t.add(f.t.pow(f.x, 3), f.t.pow(f.y, 2)), f.half),
        1e200,
    ),
    "norm": (
        lambda f: f.t.pow(f.t.sum(f.t.pow(f.v, 2)), -f.half),
        lambda f: f.t.pow(f.t.sum(f.t.pow(f.v, 3)), -f.half),
        1e200,
    ),
    "norm of a column": (
        lambda f: f.t.pow(f.t.reshape(f.t.matmul(f.t.transpose(f.v), f.v), ()), -f.half),
        lambda f: f.t.pow(f.t.reshape(f.t.matmul(f.t.transpose(f.v), f.u), ()), -f.half),
        1e200,
    ),
    "difference of roots": (
        lambda f: f.t.sub(f.t.pow(f.t.add(f.x, f.one), f.half), f.t.pow(f.x, f.half)),
        lambda f: f.t.sub(f.t.pow(f.t.add(f.x, f.y), f.half), f.t.pow(f.x, f.half)),
        1e20,
    ),
    "difference of squares": (
        lambda f: f.t.sub(f.t.pow(f.x, 2), f.t.pow(f.y, 2)),
        lambda f: f.t.sub(f.t.pow(f.x, 2), f.t.constant(2)),
        1.5 + 2**-52,
    ),
    "x - tanh(x)": (
        lambda f: f.t.sub(f.t.mul(f.t.constant(2), f.x), f.t.call("tanh", f.t.mul(f.t.constant(2), f.x))),
        lambda f: f.t.sub(f.x, f.t.call("tanh", f.y)),
        1e-6,
    ),
    "tanh(x) - x": (
        lambda f: f.t.add(f.y, f.t.sub(f.t.call("tanh", f.x), f.x)),
        lambda f: f.t.sub(f.t.call("tanh", f.x), f.y),
        None,
    ),
    "asinh from its logarithm": (
        lambda f: f.log(f.t.add(f.x, f.t.pow(f.t.add(f.one, f.t.pow(f.x, 2)), f.half))),
        lambda f: f.log(f.t.add(f.x, f.t.pow(f.t.add(f.one, f.t.pow(f.y, 2)), f.half))),
        -1e9,
    ),
    "acosh from its logarithm": (
        lambda f: f.log(f.t.add(f.x, f.t.pow(f.t.sub(f.t.pow(f.x, 2), f.one), f.half))),
        lambda f: f.log(
            f.t.add(f.x, f.t.pow(f.t.sub(f.t.pow(f.x, 2), f.t.constant(sp.Rational(1, 99))), f.half))
        ),
        1e200,
    ),
    "arcsine of a root": (
        lambda f: f.t.call("asin", f.t.pow(f.part(f.x), f.half)),
        lambda f: f.t.call("asin", f.t.pow(f.part(f.x), sp.Rational(1, 3))),
        None,
    ),
    "slope of the arcsine of a root": (
        lambda f: f.t.pow(f.t.sub(f.one, f.t.pow(f.t.pow(f.part(f.x), f.half), 2)), -f.half),
        lambda f: f.t.pow(f.t.sub(f.one, f.t.pow(f.part(f.x), 2)), -f.half),
        None,
    ),
    "latitude of a map": (
        lambda f: f.log(f.t.call("tan", f.t.add(f.t.constant(sp.pi / 4), f.part(f.x)))),
        lambda f: f.log(f.t.call("tan", f.t.add(f.t.constant(sp.pi / 6), f.part(f.x)))),
        1e-20,
    ),
    "arccosine near one": (
        lambda f: f.t.call("acos", f.t.sub(f.one, f.x)),
        lambda f: f.t.call("acos", f.t.sub(f.t.constant(2), f.x)),
        1e-20,
    ),
    "atanh from its logarithms": (
        lambda f: f.t.sub(f.log(f.t.add(f.one, f.part(f.x))), f.log(f.t.sub(f.one, f.part(f.x)))),
        lambda f: f.t.sub(f.log(f.t.add(f.one, f.part(f.x))), f.log(f.t.sub(f.one, f.part(f.y)))),
        1e-25,
    ),
    "atanh from the logarithm of a quotient": (
        lambda f: f.log(f.t.mul(f.t.add(f.one, f.part(f.x)), f.t.pow(f.t.sub(f.one, f.part(f.x)), -1))),
        lambda f: f.log(f.t.mul(f.t.add(f.one, f.part(f.x)), f.t.pow(f.t.sub(f.one, f.part(f.y)), -1))),
        1e-25,
    ),
    "softplus of a power": (
        lambda f: f.log(f.t.add(f.one, f.t.pow(f.t.constant(10), f.x))),
        lambda f: f.log(f.t.add(f.one, f.t.pow(f.y, f.x))),
        400,
    ),
    "sigmoid of a power": (
        lambda f: f.t.pow(f.t.add(f.one, f.t.pow(f.t.constant(10), f.x)), -1),
        lambda f: f.t.pow(f.t.add(f.one, f.t.pow(f.y, f.x)), -1),
        None,
    ),
    "expm1 of a power": (
        lambda f: f.t.sub(f.t.pow(f.t.constant(sp.Rational(11, 10)), f.x), f.one),
        lambda f: f.t.sub(f.t.pow(f.y, f.x), f.one),
        1e-25,
    ),
    "log of the normal distribution": (
        lambda f: f.log(f.t.call("normal_cdf", f.x)),
        lambda f: f.log(f.t.sub(f.t.constant(2), f.t.call("normal_cdf", f.x))),
        -60,
    ),
    "log of a multiple of the normal distribution": (
        lambda f: f.log(f.t.call("erfc", f.t.mul(f.t.constant(-1 / sp.sqrt(2)), f.x))),
        lambda f: f.log(f.t.call("erfc", f.t.mul(f.t.constant(-1 / sp.sqrt(3)), f.x))),
        -60,
    ),
    "log of softplus": (
        lambda f: f.log(f.t.call("softplus", f.x)),
        lambda f: f.log(f.t.mul(f.y, f.t.call("softplus", f.x))),
        -800,
    ),
    "log of tanh": (
        lambda f: f.log(f.t.call("tanh", f.x)),
        lambda f: f.log(f.t.add(f.one, f.t.call("tanh", f.x))),
        40,
    ),
    "log of fractions": (
        lambda f: f.log(f.t.mul(f.over_pi, f.sigmoid(f.y), f.t.pow(f.t.call("cosh", f.x), -1))),
        lambda f: f.log(f.t.mul(f.z, f.sigmoid(f.y), f.t.pow(f.t.call("cosh", f.x), -1))),
        800,
    ),
    "log of twice sigmoid": (
        lambda f: f.log(f.t.mul(f.t.constant(2), f.sigmoid(f.x))),
        lambda f: f.log(f.t.mul(f.t.constant(3), f.sigmoid(f.x))),
        -800,
    ),
    "log of a multiple of erfc": (
        lambda f: f.log(f.part(f.t.call("erfc", f.t.neg(f.x)))),
        lambda f: f.log(f.t.mul(f.y, f.t.call("erfc", f.x))),
        -30,
    ),
    "log of sinh": (
        lambda f: f.log(f.t.call("sinh", f.x)),
        lambda f: f.log(f.t.call("asinh", f.x)),
        800,
    ),
    "log of a product with sinh": (
        lambda f: f.log(f.t.mul(f.y, f.t.call("sinh", f.x))),
        lambda f: f.log(f.t.mul(f.y, f.t.call("asinh", f.x))),
        800,
    ),
    "root of the slope of tanh": (
        lambda f: f.t.pow(f.t.call("tanh_prime", f.x), f.half),
        lambda f: f.t.pow(f.t.call("tanh_prime", f.x), 2),
        500,
    ),
    "root of the slope of sigmoid": (
        lambda f: f.t.pow(f.t.call("sigmoid_prime", f.x), f.half),
        lambda f: f.t.pow(f.t.call("sigmoid_prime", f.x), 2),
        800,
    ),
    "power of a sum of exponentials": (
        lambda f: f.t.pow(f.t.add(f.exp(f.x), f.exp(f.y)), f.half),
        lambda f: f.t.pow(f.t.add(f.exp(f.x), f.exp(f.y)), 2),
        1000,
    ),
    "power of an exponential": (
        lambda f: f.t.pow(f.exp(f.x), f.half),
        lambda f: f.t.pow(f.exp(f.x), 2),
        800,
    ),
    "log of 1 - exp(-exp)": (
        lambda f: f.log(f.t.sub(f.one, f.exp(f.t.neg(f.exp(f.x))))),
        lambda f: f.log(f.t.sub(f.one, f.exp(f.t.neg(f.sigmoid(f.x))))),
        -800,
    ),
    "square of an inverse of erf": (
        lambda f: f.exp(f.t.mul(f.t.constant(2), f.t.pow(f.t.call("erfcinv", f.sigmoid(f.x)), 2))),
        lambda f: f.exp(
            f.t.mul(f.t.constant(sp.Rational(1, 2)), f.t.pow(f.t.call("erfinv", f.sigmoid(f.x)), 2))
        ),
        None,
    ),
    "log of erfc": (
        lambda f: f.log(f.t.call("erfc", f.t.neg(f.x))),
        lambda f: f.log(f.t.add(f.one, f.t.call("erfc", f.x))),
        -30,
    ),
    "-expm1 of a power": (
        lambda f: f.t.sub(f.one, f.t.pow(f.t.constant(sp.Rational(9, 10)), f.x)),
        lambda f: f.t.add(f.one, f.t.pow(f.t.constant(sp.Rational(9, 10)), f.x)),
        1e-25,
    ),
}


def test_every_rule_has_a_case():
    assert set(CASES) == {rule.name for rule in STABLE}
    assert all(rule.why and "-->" in str(rule) for rule in STABLE)


@pytest.mark.parametrize("name", CASES)
def test_fires(bench, name):
    (start,), _ = bench.run(simplify, CASES[name][0](Formulas(bench)))
    _, fired = bench.run(stable_forms, start)
    assert name in fired
    _, fired = bench.run(stable_forms, start, accuracy="as_written")
    assert not fired


@pytest.mark.parametrize("name", CASES)
def test_near_miss(bench, name):
    (start,), _ = bench.run(simplify, CASES[name][1](Formulas(bench)))
    _, fired = bench.run(stable_forms, start)
    assert name not in fired


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case[2] is not None])
def test_digits_are_kept_where_the_formula_loses_them(bench, name):
    formula, _, at = CASES[name]
    node = formula(Formulas(bench))
    after, _ = optimise(bench.table, [node])
    values = {
        s: np.full(np.shape(v), float(at)) if getattr(s, "is_Matrix", False) else float(at)
        for s, v in bench.values([node]).items()
    }
    for s in values:
        if getattr(s, "name", "") in ("y", "z", "w"):
            values[s] = 1.0 if s.name == "w" else 1.5
    with mp.workdps(800):
        exact = np.vectorize(float, otypes=[float])(evaluate([node], values, exact=True)[0])
    np.testing.assert_allclose(evaluate(after, values)[0], exact, rtol=1e-14)
    plain = evaluate([node], values)[0]
    assert not np.allclose(plain, exact, rtol=1e-6, atol=0)


def test_infinite_exponents(bench):
    f = Formulas(bench)
    (after,), _ = optimise(bench.table, [f.log(f.total(f.v))])
    symbol = f.v.attrs[0]
    for value in (np.inf, -np.inf):
        assert evaluate([after], {symbol: np.full((4, 1), value)})[0] == value


def test_an_exponent_that_is_shifted_already_stays(bench):
    f, t = Formulas(bench), bench.table
    lse = t.make("logsumexp", (f.v,), (None,))
    _, report = optimise(t, [lse])
    assert "log of a sum of exponentials" not in report.fired
    assert "logsumexp" in report.fired


def test_negative_terms_move_their_sign_into_the_sigmoid(bench, ops):
    """1/(1 + exp(-(w*x) - b)) is the neuron sigmoid(w*x + b), without a negation."""
    f, t = Formulas(bench), bench.table
    inner = t.add(t.mul(t.constant(-1), f.x, f.y), t.neg(f.z))
    after, _ = optimise(t, [t.pow(t.add(f.one, f.exp(inner)), -1)])
    assert ops(after) == ["fma", "sigmoid"]


def test_the_textbook_gradient_of_a_sigmoid(bench):
    """exp(-x)/(1 + exp(-x))**2, as differentiating the quotient gives it, far out in both tails."""
    f, t = Formulas(bench), bench.table
    node = t.mul(f.exp(f.t.neg(f.x)), t.pow(t.add(f.one, f.exp(t.neg(f.x))), -2))
    after, _ = optimise(t, [node])
    for x in (-700.0, -40.0, 0.5, 40.0, 700.0):
        with mp.workdps(700):
            exact = mp.exp(-mp.mpf(x)) / (1 + mp.exp(-mp.mpf(x))) ** 2
        value = float(evaluate(after, {sp.Symbol("x"): x})[0])
        assert abs(value - exact) <= 1e-14 * exact


@pytest.mark.parametrize("rows", [None, 1])
def test_the_derived_gradient_of_a_sum_of_exponentials_is_stable_too(bench, rows):
    """Behind an upstream adjoint the quotient 1/s stands in a product that all entries share."""
    f, t = Formulas(bench), bench.table
    if rows is None:
        s = t.add(f.exp(f.x), f.exp(f.y), f.exp(f.z))
        target, inputs = t.mul(t.constant(3), t.pow(f.log(s), 2)), [f.x, f.y, f.z]
    else:
        target, inputs = t.sum(t.pow(f.log(f.total(f.A, (1,), True)), 2)), [f.A]
    found = adjoints(t, target, inputs)
    roots = [target, *[found[n.serial] for n in inputs]]
    after, _ = optimise(t, roots)
    bench.same(roots, after)
    values = {n.attrs[0]: np.full(n.shape, 900.0) for n in inputs}
    with mp.workdps(900):
        exact = evaluate(roots, values, exact=True)
    for a, b in zip(exact, evaluate(after, values), strict=True):
        np.testing.assert_allclose(b, np.vectorize(float, otypes=[float])(a), rtol=1e-14)


def test_the_derived_gradient_of_a_textbook_neuron_is_stable_too(bench):
    f, t = Formulas(bench), bench.table
    target = t.pow(t.sub(t.pow(t.add(f.one, f.exp(t.neg(t.mul(f.x, f.y)))), -1), f.one), 2)
    found = adjoints(t, target, [f.x, f.y])
    roots = [target, found[f.x.serial], found[f.y.serial]]
    after, _ = optimise(t, roots)
    bench.same(roots, after)
    for x in (-700.0, -50.0, 30.0, 700.0):
        values = {sp.Symbol("x"): x, sp.Symbol("y"): 1.0}
        with mp.workdps(900):
            exact = [float(v) for v in evaluate(roots, values, exact=True)]
        np.testing.assert_allclose([float(v) for v in evaluate(after, values)], exact, rtol=1e-13)


def test_a_softmax_of_many_scalars_takes_linear_work(bench):
    t = bench.table
    xs = bench.scalars("x:300")
    s = t.add(*[t.call("exp", x) for x in xs])
    roots = [t.mul(t.call("exp", x), t.pow(s, -1)) for x in xs]
    after, report = optimise(t, roots)
    assert report.fired["weight among exponentials"] == 300
    assert count_operations(topological(after)).transcendental == 300


@pytest.mark.parametrize("n", [-10, -3, -1, 2, 7, 10, 360, sp.Rational(1, 3)])
@pytest.mark.parametrize("at", [1e-20, -1e-9, 0.05, 3.0, 1e200])
def test_powers_less_one(bench, n, at):
    """The growth of a sum at a rate, close to zero, and where the power overflows or vanishes."""
    f, t = Formulas(bench), bench.table
    after, _ = optimise(t, [t.add(t.pow(t.add(f.one, f.x), n), t.constant(-1))])
    with np.errstate(over="ignore"):
        found = float(evaluate(after, {sp.Symbol("x"): at})[0])
    with mp.workdps(60):
        power = mp.mpf(n.p) / n.q if isinstance(n, sp.Rational) else mp.mpf(n)
        right = (1 + mp.mpf(at)) ** power - 1
    units = 8 + 2 * abs(float(power * mp.log1p(at)))  # an exponent of that size is rounded
    assert found == float(right) or abs(found - right) <= units * np.spacing(abs(float(right)))
