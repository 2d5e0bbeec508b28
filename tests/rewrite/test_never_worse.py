"""Random formulas before the stable forms, and the native code of them after it, against mpmath: the error
never grows much."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop.functions  # noqa: F401  (fills the registry)
from symprop.graph import NodeTable
from symprop.graph.evaluate import evaluate
from symprop.rewrite import optimise
from symprop.run import build

FUNCTIONS = ("exp", "tanh", "sigmoid", "erf", "cos", "sin", "cosh", "sinh", "log", "abs", "sign", "softplus")
UNIT = 2.0**-53


def formula(seed):
    """A sum of products of functions of the same few arguments, squares, quotients and signs among them."""
    random = np.random.default_rng(seed)
    t = NodeTable()
    x, y = (t.symbol(s) for s in sp.symbols("x y"))
    arguments = [x, y, t.mul(t.constant(2), x), t.neg(x), t.add(x, y), t.mul(x, y)]
    values = [t.constant(1), x, y]
    for _ in range(int(random.integers(2, 6))):
        argument = arguments[random.integers(len(arguments) if random.random() < 0.4 else 1)]
        values.append(t.call(str(random.choice(FUNCTIONS)), argument))
    for _ in range(int(random.integers(2, 7))):
        a, b = (values[random.integers(len(values))] for _ in range(2))
        kind = random.integers(6)
        if kind < 2:
            made = t.add(a, b) if kind else t.sub(a, b)
        elif kind == 2:
            made = t.mul(a, b)
        elif kind == 3:
            made = t.pow(a, int(random.choice([2, 3, -1, -2])))
        elif kind == 4:
            made = t.pow(t.add(t.pow(a, 2), t.pow(b, 2)), sp.Rational(1, 2))
        else:
            made = t.call("log", t.add(t.constant(1), t.pow(a, 2)))
        values.append(made)
    return t, values[-1], (x, y), random


def error(value, exact):
    value = float(np.ravel(value)[0])
    if not np.isfinite(value):
        return np.inf
    return float(abs(mp.mpf(value) - exact))


def native(node, points):
    """Values at the points, each a mapping from symbols to numbers."""
    names = list(points[0])
    made = build([node], names, batched=names)
    arrays = [np.array([at[n] for at in points]) for n in names]
    buffer, view = made.allocate(0, len(points))
    made.run([a.ctypes.data for a in arrays], [buffer.ctypes.data], len(points))
    return np.broadcast_to(np.array(view).ravel(), len(points))  # of a constant there is one


@pytest.mark.parametrize("block", range(6))
def test_random_formulas_do_not_lose_digits(block):
    """At most the error of the formula as written, forty units of the result, or what a change of the inputs
    by one unit in the last place is worth."""
    tested = 0
    for seed in range(40 * block, 40 * block + 40):
        t, node, inputs, random = formula(seed)
        (before,), _ = optimise(t, [node], accuracy="as_written")
        symbols = [n.attrs[0] for n in inputs]
        (after,), report = optimise(t, [node], batched=frozenset(symbols))
        points = [{s: float(random.normal() * scale) for s in symbols} for scale in (1e-7, 1.0, 3.0, 30.0)]
        for at, found in zip(points, native(after, points), strict=True):
            with mp.workdps(120):
                exact = np.ravel(evaluate([node], at, exact=True)[0])[0]
                if not mp.isfinite(exact) or abs(exact) > 1e300 or abs(exact) < 1e-300:
                    continue
                moved = 0
                for n in inputs:
                    near = {**at, n.attrs[0]: mp.mpf(at[n.attrs[0]]) * (1 + mp.mpf(2) ** -53)}
                    moved += abs(np.ravel(evaluate([node], near, exact=True)[0])[0] - exact)
                with np.errstate(all="ignore"):
                    plain = error(evaluate([before], at)[0], exact)
                ours = error(found, exact)
                allowed = 4 * plain + 40 * UNIT * float(abs(exact)) + 20 * float(moved)
                assert ours <= allowed, (seed, at, report.fired)
                tested += 1
    assert tested > 60
