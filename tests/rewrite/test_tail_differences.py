"""Differences of sigmoid, tanh, the normal distribution and the error function where both are in one tail."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.graph.evaluate import evaluate
from symprop.rewrite import optimise

PAIRS = [(-700.0, -701.5), (-45.0, -43.0), (-30.0, -31.0), (-3.0, -3.5), (0.25, -0.5), (9.0, 8.0)]
PAIRS += [(-8.0, -9.0), (41.0, 39.0), (300.0, 299.0), (-50.0, 50.0), (700.0, 699.25)]


@pytest.mark.parametrize("shape", [None, (2, 3)])
@pytest.mark.parametrize("op", ["erf", "normal_cdf", "sigmoid", "tanh"])
def test_a_difference_keeps_its_digits(bench, op, shape):
    """Beside other factors and with a number in front, at a - x and b - x as in an ordered model."""
    t = bench.table
    a, b, x = bench.scalars("a b x") if shape is None else [bench.matrix(n, *shape) for n in "abx"]
    f, g = (t.call(op, t.sub(v, x)) for v in (a, b))
    node = t.sub(t.mul(t.constant(3), x, f), t.mul(t.constant(3), x, g))
    (after,), report = optimise(t, [node])
    assert report.fired["difference in a tail"] == 1
    lost = 0.0
    for first, second in PAIRS:
        values = {a.attrs[0]: first, b.attrs[0]: second, x.attrs[0]: 0.25}
        if shape is not None:
            values = {k: np.full(shape, v) for k, v in values.items()}
        with mp.workdps(900):
            exact = np.ravel(evaluate([node], values, exact=True)[0])[0]
        if abs(exact) < 1e-300:
            continue
        found, plain = (np.ravel(evaluate([n], values)[0])[0] for n in (after, node))
        # the reference of the normal distribution rounds x/sqrt(2)
        bound = 4e-15 * (1 + first**2 if op in ("normal_cdf", "erf") else 1)
        assert abs(mp.mpf(float(found)) - exact) <= bound * abs(exact), (first, second, found)
        lost = max(lost, float(abs(mp.mpf(float(plain)) - exact) / abs(exact)))
    assert lost > 1e-10


def test_near_misses(bench):
    t = bench.table
    a, b, y = bench.scalars("a b y")
    f, g, h = t.call("sigmoid", a), t.call("sigmoid", b), t.call("tanh", b)
    for node in (t.add(f, g), t.sub(f, h), t.sub(t.mul(y, f), g), t.sub(f, t.mul(t.constant(2), g))):
        _, report = optimise(t, [node])
        assert "difference in a tail" not in report.fired, node
    (after,), report = optimise(t, [t.sub(f, g)], accuracy="as_written")
    assert after.op == "sub" and "difference in a tail" not in report.fired


@pytest.mark.parametrize("at", [-600.0, -50.0, 0.5, 50.0, 600.0])
def test_an_ordered_logit_and_its_slopes(at):
    """log(sigmoid(a - x) - sigmoid(b - x)), where the probability underflows and rounds to zero."""
    a, b, x = sp.symbols("a b x", real=True)
    s = [1 / (1 + sp.exp(-(v - x))) for v in (a, b)]
    loss = -sp.log(s[0] - s[1])
    f = symprop.compile([loss, *[symprop.grad(loss, v) for v in (a, b)]], args=[a, b, x], wrt=[])
    found = f(0.75, -0.5, at)
    with mp.workdps(700):
        p, q = (1 / (1 + mp.exp(at - v)) for v in (mp.mpf(0.75), mp.mpf(-0.5)))
        exact = [-mp.log(p - q), -p * (1 - p) / (p - q), q * (1 - q) / (p - q)]
    np.testing.assert_allclose(found, [float(v) for v in exact], rtol=4e-15)


@pytest.mark.parametrize("function", [lambda u: 1 / (1 + sp.exp(-u)), sp.tanh])
def test_slopes_over_a_difference_are_numbers_in_both_tails(function):
    """Zero over zero where both are beyond 745 on one side."""
    u, v = sp.symbols("u v", real=True)
    f = symprop.compile(sp.log(function(u) - function(v)), args=[u, v], wrt=[u, v])
    g = symprop.compile(sp.log(function(u + v) - function(u - v)), args=[u, v], wrt=[u, v])
    assert "slope over a difference of sigmoids" in f.report.fired
    scale = 2 if function is sp.tanh else 1
    with mp.workdps(60):
        for p, q in [(-800.0, -1000.5), (1e4, 801.25), (800.5, 800.0), (2.5, -0.3), (900.0, -900.0)]:
            gap = mp.expm1(-scale * mp.mpf(p - q))
            slopes = []
            for w, o, sign in ((-p, -q, -1), (q, p, 1)):  # sigmoid(w)/sigmoid(o)
                ratio = (1 + mp.exp(-scale * mp.mpf(o))) / (1 + mp.exp(-scale * mp.mpf(w)))
                slopes.append(scale * sign * ratio / gap)
            for found, exact in zip(f.value_and_grad(p, q)[1], slopes, strict=True):
                assert abs(found - exact) <= 4e-15 * abs(exact) or abs(exact) < 1e-307
            middle, half = (p + q) / 2, (p - q) / 2  # exact
            sums = (slopes[0] + slopes[1], slopes[0] - slopes[1])
            for found, exact in zip(g.value_and_grad(middle, half)[1], sums, strict=True):
                assert abs(found - exact) <= 4e-15 * max(map(abs, slopes)) + mp.mpf(10) ** -300
