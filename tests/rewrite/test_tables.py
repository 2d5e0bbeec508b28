"""Every row of the tables of factors and of products: it fires with any argument and beside other factors, a
near-miss does not fire it, and the digits are there where the formula has none."""

import importlib.util
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symprop.graph.evaluate import evaluate
from symprop.rewrite import optimise
from symprop.rewrite.exact_arguments import exact_arguments
from symprop.rewrite.factoring import FACTORS
from symprop.rewrite.matching import show
from symprop.rewrite.products import PRODUCTS
from symprop.rewrite.simplify import simplify
from symprop.rewrite.stable import stable_forms

ROWS = {f.before: f for f in FACTORS}


def inner(bench):
    """An argument that is no symbol."""
    x, y = bench.scalars("x y")
    return bench.table.mul(bench.table.constant(3), x, y)


def polynomial(bench, factor, coefficients):
    """c*(a0 + a1 f + ...) multiplied out over another factor c, f of an inner expression."""
    t = bench.table
    (c,) = bench.scalars("c:1")
    f = t.call(factor.op, inner(bench))
    terms = [t.mul(t.constant(a), t.pow(f, k), c) for k, a in enumerate(coefficients) if a]
    return t.add(*terms)


@pytest.mark.parametrize("name", ROWS)
def test_a_factor_fires_multiplied_out_and_its_near_miss_does_not(bench, name):
    factor = ROWS[name]
    (start,), _ = bench.run(simplify, polynomial(bench, factor, factor.polynomial))
    _, fired = bench.run(stable_forms, start)
    assert name in fired
    _, fired = bench.run(stable_forms, start, accuracy="as_written")
    assert not fired
    other = (*factor.polynomial[:-1], 7 * factor.polynomial[-1])
    (start,), _ = bench.run(simplify, polynomial(bench, factor, other))
    _, fired = bench.run(stable_forms, start)
    assert name not in fired


@pytest.mark.parametrize("shape", [None, (2, 3)])
@pytest.mark.parametrize("name", ROWS)
def test_a_factor_keeps_its_digits(bench, name, shape):
    """Next to the place where the polynomial vanishes, near a limit or a value of the function."""
    factor, t = ROWS[name], bench.table
    x = bench.scalars("x")[0] if shape is None else bench.matrix("x", *shape)
    f = t.call(factor.op, x)
    terms = [t.mul(t.constant(a), t.pow(f, k)) for k, a in enumerate(factor.polynomial) if a]
    node = t.add(*[a if a.shape == x.shape else t.broadcast(a, x.shape) for a in terms])
    (after,), _ = optimise(t, [node])
    lost = 0.0
    for at in (1e-9, -1e-9, 3e-5, 22.0, -22.0, 5.5, -5.5, 1.0, 1.5707963, 3.14159265, 39.0, -39.0):
        value = at if shape is None else np.full(shape, at)
        with mp.workdps(400):
            exact = np.ravel(evaluate([node], {x.attrs[0]: value}, exact=True)[0])[0]
            if abs(exact) < 1e-300:
                continue
            found = np.ravel(evaluate([after], {x.attrs[0]: value})[0])[0]
            plain = np.ravel(evaluate([node], {x.attrs[0]: value})[0])[0]
            # the reference of the normal distribution rounds x/sqrt(2)
            bound = 4e-15 * (1 + at**2 if factor.op == "normal_cdf" else 1)
            assert abs(mp.mpf(float(found)) - exact) <= bound * abs(exact), (at, found)
            lost = max(lost, float(abs(mp.mpf(float(plain)) - exact) / abs(exact)))
    assert lost > 1e-10


def test_higher_derivatives_of_a_sigmoid_are_products(bench):
    """s (1 - s) (1 - 2 s) multiplied out, with sigmoid(-x) among it, and s (1 - s) (2 - 3 s) in part."""
    t = bench.table
    (x,) = bench.scalars("x:1")
    s, low = t.call("sigmoid", x), t.call("sigmoid", t.neg(x))
    two = t.constant(2)
    multiplied = t.add(s, t.mul(t.constant(-3), t.pow(s, 2)), t.mul(two, t.pow(s, 3)))
    mixed = t.sub(t.mul(s, t.pow(low, 2)), t.mul(t.pow(s, 2), low))
    inner = t.add(t.mul(t.constant(3), s), t.constant(-2))
    in_part = t.add(t.mul(t.pow(s, 2), inner), t.mul(two, s), t.mul(t.constant(-3), t.pow(s, 2)))
    for node in (multiplied, mixed, in_part):
        (start,), _ = bench.run(simplify, node)
        (after,), _ = bench.run(stable_forms, start)
        for at in (-600.0, -40.0, 1e-9, 40.0, 600.0):
            with mp.workdps(700):
                exact = evaluate([node], {x.attrs[0]: at}, exact=True)[0]
                assert abs(float(evaluate([after], {x.attrs[0]: at})[0]) - exact) <= 4e-15 * abs(exact)


def test_a_sum_in_a_term_stays_where_nothing_divides(bench):
    t = bench.table
    x, y = bench.scalars("x:1 y:1")
    s = t.call("sigmoid", x)
    inner = t.add(t.mul(t.constant(3), s), t.constant(-2))
    for rest in (t.mul(t.constant(5), s), t.mul(y, t.pow(s, 2))):
        (start,), _ = bench.run(simplify, t.add(t.mul(t.pow(s, 3), inner), rest))
        assert bench.run(stable_forms, start) == ([start], {})


# -- products -------------------------------------------------------------------------------------------

P = {rule.name: rule for rule in PRODUCTS}


def exp(t, a):
    return t.call("exp", a)


# name: (fires, near-miss, where the plain formula fails)
CASES = {
    "density over distribution": (
        lambda t, x, y: t.mul(
            y, exp(t, t.mul(t.constant(sp.Rational(-1, 2)), t.pow(x, 2))), t.pow(t.call("normal_cdf", x), -1)
        ),
        lambda t, x, y: t.mul(
            y, exp(t, t.mul(t.constant(sp.Rational(-1, 3)), t.pow(x, 2))), t.pow(t.call("normal_cdf", x), -1)
        ),
        -60.0,
    ),
    "density over erfc": (
        lambda t, x, y: t.mul(
            y, exp(t, t.mul(t.constant(-1), t.pow(x, 2))), t.pow(t.call("erfc", t.neg(x)), -1)
        ),
        lambda t, x, y: t.mul(
            y, exp(t, t.mul(t.constant(sp.Rational(-1, 2)), t.pow(x, 2))), t.pow(t.call("erfc", t.neg(x)), -1)
        ),
        -60.0,
    ),
    "scaled erfc": (
        lambda t, x, y: t.mul(y, exp(t, t.pow(x, 2)), t.call("erfc", t.neg(x))),
        lambda t, x, y: t.mul(y, exp(t, t.mul(t.constant(2), t.pow(x, 2))), t.call("erfc", x)),
        -60.0,
    ),
    "sigmoid over softplus": (
        lambda t, x, y: t.mul(y, t.call("sigmoid", x), t.pow(t.call("softplus", x), -1)),
        lambda t, x, y: t.mul(y, t.call("sigmoid", y), t.pow(t.call("softplus", x), -1)),
        -800.0,
    ),
    "beside a double exponential": (
        lambda t, x, y: t.mul(t.call("expm1", x), exp(t, t.sub(y, exp(t, x)))),
        lambda t, x, y: t.mul(t.call("expm1", y), exp(t, t.sub(y, exp(t, x)))),
        None,
    ),
    "powers beside a decay": (
        lambda t, x, y: t.mul(y, t.pow(x, 2), exp(t, t.mul(t.constant(sp.Rational(-1, 2)), t.pow(x, 2)))),
        lambda t, x, y: t.mul(t.pow(x, 2), exp(t, t.mul(t.constant(-1), t.pow(y, 2)))),
        None,
    ),
    "ratio of gammas": (
        lambda t, x, y: t.mul(
            y, t.call("gamma", t.add(x, t.constant(sp.Rational(1, 2)))), t.pow(t.call("gamma", x), -1)
        ),
        lambda t, x, y: t.mul(y, t.call("gamma", t.mul(x, y)), t.pow(t.call("gamma", x), -1)),
        200.0,
    ),
    "odds": (
        lambda t, x, y: t.mul(y, t.call("sigmoid", x), t.pow(t.call("sigmoid", t.neg(x)), -1)),
        lambda t, x, y: t.mul(y, t.call("sigmoid", x), t.pow(t.call("sigmoid", t.neg(y)), -1)),
        None,
    ),
    "exponential over its gap": (
        lambda t, x, y: t.mul(y, exp(t, x), t.pow(t.call("expm1", exp(t, x)), -1)),
        lambda t, x, y: t.mul(y, exp(t, x), t.pow(t.call("expm1", exp(t, y)), -1)),
        -800.0,
    ),
    "slope over a difference of sigmoids": (
        lambda t, x, y: t.mul(
            t.call("sigmoid_prime", x), t.pow(t.sub(t.call("sigmoid", x), t.call("sigmoid", y)), -1)
        ),
        lambda t, x, y: t.mul(
            t.call("sigmoid_prime", t.mul(x, y)), t.pow(t.sub(t.call("sigmoid", x), t.call("sigmoid", y)), -1)
        ),
        None,
    ),
    "weights in a sum": (
        lambda t, x, y: t.mul(
            t.add(t.mul(y, exp(t, x), exp(t, y)), t.pow(exp(t, y), 2)), t.pow(t.add(exp(t, x), exp(t, y)), -2)
        ),
        lambda t, x, y: t.mul(
            t.add(t.mul(y, exp(t, x), exp(t, y)), exp(t, y)), t.pow(t.add(exp(t, x), exp(t, y)), -2)
        ),
        None,
    ),
    "weights among exponentials": (
        lambda t, x, y: t.mul(exp(t, x), exp(t, y), t.pow(t.add(exp(t, x), exp(t, y)), -2), y),
        lambda t, x, y: t.mul(exp(t, t.neg(x)), exp(t, t.neg(y)), t.pow(t.add(exp(t, x), exp(t, y)), -2), y),
        None,
    ),
    "positive factors cancel": (
        lambda t, x, y: t.mul(t.call("normal_cdf", x), t.pow(t.call("normal_cdf", x), -1), y),
        lambda t, x, y: t.mul(t.sub(x, y), t.pow(t.sub(x, y), -1), y),
        -800.0,
    ),
    "size and sign": (
        lambda t, x, y: t.mul(x, t.call("sign", x), y),
        lambda t, x, y: t.mul(x, t.call("sign", y)),
        None,
    ),
    "sigmoid from its quotient": (
        lambda t, x, y: t.mul(exp(t, t.mul(t.constant(2), x)), t.pow(t.add(t.constant(1), exp(t, x)), -2), y),
        lambda t, x, y: t.mul(exp(t, y), t.pow(t.add(t.constant(1), exp(t, x)), -1)),
        800.0,
    ),
    "slope of sigmoid": (
        lambda t, x, y: t.mul(t.call("sigmoid", x), y, t.call("sigmoid", t.neg(x))),
        lambda t, x, y: t.mul(t.call("sigmoid", x), t.call("sigmoid", y)),
        None,
    ),
    "slope of tanh from cosh": (
        lambda t, x, y: t.mul(y, t.pow(t.call("cosh", x), -3)),
        lambda t, x, y: t.mul(y, t.pow(t.call("cosh", x), -1)),
        None,
    ),
    "side over root": (
        lambda t, x, y: t.mul(t.pow(x, 2), t.pow(t.add(t.pow(x, 2), t.pow(y, 2)), sp.Rational(-3, 2))),
        lambda t, x, y: t.mul(x, t.pow(t.add(x, t.pow(y, 2)), sp.Rational(-1, 2))),
        1e180,
    ),
    "quotient of exponentials": (
        lambda t, x, y: t.mul(exp(t, x), t.pow(exp(t, t.mul(y, x)), -1)),
        lambda t, x, y: t.mul(exp(t, x), exp(t, y)),
        800.0,
    ),
}


def test_every_product_rule_has_a_case():
    assert set(CASES) == set(P)
    assert all(rule.why and "-->" in str(rule) for rule in PRODUCTS)
    assert all(f.why and "-->" in str(f) and show((f.op, "x")) in f.before for f in FACTORS)


@pytest.mark.parametrize("name", CASES)
def test_a_product_fires_and_its_near_miss_does_not(bench, name):
    fires, near_miss, at = CASES[name]
    x, y = bench.scalars("x y")
    node = fires(bench.table, x, y)
    (start,), _ = bench.run(simplify, node)
    _, fired = bench.run(stable_forms, start)
    assert name in fired
    _, fired = bench.run(stable_forms, start, accuracy="as_written")
    assert not fired
    (start,), _ = bench.run(simplify, near_miss(bench.table, x, y))
    _, fired = bench.run(stable_forms, start)
    assert name not in fired
    if at is not None:
        values = {x.attrs[0]: at, y.attrs[0]: 1.0078125}
        with mp.workdps(900):
            exact = evaluate([node], values, exact=True)[0]
        assert not np.isfinite(float(evaluate([node], values)[0]))
        (final,), _ = optimise(bench.table, [node])
        assert abs(float(evaluate([final], values)[0]) - exact) <= 1e-14 * abs(exact)


# -- denominators, exponents, distribution ---------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
def test_a_common_denominator(bench, half):
    """1/b - a/b**2 with b = 1 + a, and 1/r - x**2/r**3."""
    t = bench.table
    x, y = bench.scalars("x y")
    if half:
        total, top = t.add(t.pow(x, 2), t.constant(1)), t.pow(x, 2)
        powers = sp.Rational(-1, 2), sp.Rational(-3, 2)
    else:
        top = t.call("abs", x)
        total, powers = t.add(top, t.constant(1)), (-1, -2)
    node = t.sub(t.mul(y, t.pow(total, powers[0])), t.mul(y, top, t.pow(total, powers[1])))
    (after,), fired = bench.run(stable_forms, node)
    assert "common denominator" in fired
    values = {x.attrs[0]: 1e12, y.attrs[0]: 1.5}
    with mp.workdps(100):
        exact = evaluate([node], values, exact=True)[0]
    assert abs(float(evaluate([after], values)[0]) - exact) <= 2e-15 * abs(exact)
    other = t.sub(t.mul(y, t.pow(total, powers[0])), t.mul(y, t.pow(total, powers[1])))
    if not half:
        other = t.sub(t.mul(y, t.pow(t.sub(top, t.constant(1)), -1)), t.mul(y, t.pow(total, -2)))
        _, fired = bench.run(stable_forms, other)
        assert "common denominator" not in fired


def test_divisors_are_taken_into_a_sum(bench):
    """The gradient of -t log(s) - (1 - t) log(1 - s): 1/s is infinite where s is 0."""
    t = bench.table
    x, y = bench.scalars("x y")
    s = t.call("sigmoid", x)
    one = t.constant(1)
    low = t.sub(one, s)
    inside = t.sub(t.mul(t.sub(one, y), t.pow(low, -1)), t.mul(y, t.pow(s, -1)))
    node = t.mul(inside, s, low)
    (after,), fired = bench.run(stable_forms, node)
    assert "divisors taken into a sum" in fired
    for at, target in ((-800.0, 1.0), (800.0, 0.0), (60.0, 1.0)):
        values = {x.attrs[0]: at, y.attrs[0]: target}
        with mp.workdps(900):
            exact = evaluate([node], values, exact=True)[0]
        assert abs(float(evaluate([after], values)[0]) - exact) <= 1e-15 * abs(exact)


@pytest.mark.parametrize(
    ("make", "fires"),
    [
        (lambda t, x, y: t.mul(t.constant(sp.Rational(-1, 2)), t.pow(x, 2)), True),
        (lambda t, x, y: t.mul(t.constant(sp.Rational(1, 3)), x), True),
        (lambda t, x, y: t.mul(x, y), True),
        (lambda t, x, y: t.sub(x, y), True),
        (lambda t, x, y: t.add(t.mul(x, y), x), True),
        (lambda t, x, y: t.div(t.sub(x, y), y), True),
        (lambda t, x, y: t.mul(t.constant(-2), x), False),
        (lambda t, x, y: t.add(*[t.pow(x, k) for k in range(2, 6)]), False),
    ],
)
def test_exponents_of_products_and_sums_are_exact(bench, make, fires):
    t = bench.table
    x, y = bench.scalars("x y")
    _, fired = bench.run(exact_arguments, t.call("exp", make(t, x, y)))
    assert bool(fired) is fires
    _, fired = bench.run(exact_arguments, t.call("exp", make(t, x, y)), accuracy="as_written")
    assert not fired


@pytest.mark.parametrize(
    ("function", "make", "fires"),
    [
        ("sigmoid", lambda t, x, y: t.mul(t.constant(3), x), True),
        ("softplus", lambda t, x, y: t.mul(x, y), True),
        ("normal_cdf", lambda t, x, y: t.div(t.sub(x, y), t.constant(3)), True),
        ("sinh", lambda t, x, y: t.add(t.mul(t.constant(3), x), t.constant(2)), True),
        ("sigmoid", lambda t, x, y: t.mul(t.constant(2), x), False),
        ("sigmoid", lambda t, x, y: t.mul(t.constant(3), t.call("tanh", x)), False),
        ("sigmoid", lambda t, x, y: t.add(t.mul(x, y), t.constant(3)), False),
        ("sigmoid", lambda t, x, y: t.add(t.mul(t.constant(3), x), y, t.constant(2)), False),
        ("tanh", lambda t, x, y: t.mul(t.constant(3), x), False),
    ],
)
def test_arguments_keep_what_they_lost(bench, function, make, fires):
    """Of short formulas of inputs and numbers; values of a network, and neurons, stay as they are."""
    t = bench.table
    x, y = bench.scalars("x y")
    root = t.call(function, make(t, x, y))
    for accuracy in ("precise", "fast", "as_written"):
        _, fired = bench.run(exact_arguments, root, accuracy=accuracy)
        assert bool(fired) is (fires and accuracy == "precise")


def test_rules_that_undo_each_other_end(bench):
    """A chain of factors of every kind: the number of changes stays linear."""
    t = bench.table
    xs = bench.scalars("x:40")
    node = t.constant(1)
    for k, x in enumerate(xs):
        s = t.call(("sigmoid", "tanh", "exp", "erf", "cos")[k % 5], t.mul(x, node))
        node = t.sub(t.mul(node, s), t.mul(node, t.pow(s, 2)))
    _, report = optimise(t, [node])
    assert sum(report.fired.values()) < 100 * len(xs)


def test_the_page_holds_every_rule():
    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location(
        "stable_table", root / "tests" / "tools" / "stable_table.py"
    )
    stable_table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stable_table)
    page = (root / "docs" / "accuracy.md").read_text(encoding="utf-8")
    assert stable_table.section().strip() in page, "run python tests/tools/stable_table.py docs/accuracy.md"
