"""An oracle that knows no derivative rule: central differences of the forward value at 50 digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symprop.declare import as_graph
from symprop.differentiate import tangents, value_and_gradients
from symprop.graph import Node
from symprop.graph.evaluate import evaluate

DIGITS = 50
STEP = "1e-12"  # error of the fourth-order difference about 1e-48, rounding 1e-38


def exact(value):
    """Floats as an object array of mpf, of at most two axes."""
    return np.array(np.frompyfunc(lambda v: mp.mpf(float(v)), 1, 1)(np.asarray(value, float)), object)


def differences(root: Node, at, symbol):
    """The gradient of a scalar node with respect to one symbol, entry by entry."""
    base = {s: v if getattr(s, "is_integer", False) else exact(v) for s, v in at.items()}
    h = mp.mpf(STEP)
    result = np.zeros(np.shape(base[symbol]), object)
    for position in np.ndindex(np.shape(base[symbol])):
        moved = {}
        for k in (-2, -1, 1, 2):
            shifted = base[symbol].copy()
            shifted[position] += k * h
            moved[k] = evaluate([root], {**base, symbol: shifted}, exact=True)[0][()]
        result[position] = (8 * (moved[1] - moved[-1]) - (moved[2] - moved[-2])) / (12 * h)
    return result


def random_values(symbols, seed=0, low=0.3, high=1.7):
    """Seeded values between `low` and `high` for every symbol, of its shape."""
    rng = np.random.default_rng(seed)
    values = {}
    for s in symbols:
        if getattr(s, "is_integer", False) and not getattr(s, "is_Matrix", False):
            values[s] = 1
        else:
            shape = tuple(int(d) for d in s.shape) if getattr(s, "is_Matrix", False) else ()
            values[s] = rng.uniform(low, high, shape)
    return values


def worst(found, expected):
    """The largest difference relative to the largest entry."""
    found, expected = np.ravel(np.asarray(found, object)), np.ravel(np.asarray(expected, object))
    assert found.shape == expected.shape
    scale = max([mp.mpf(1), *map(abs, expected)])
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) / scale


@pytest.fixture
def check():
    """`check(target, wrt=None, at=None)` compares reverse and forward mode with central differences."""

    def run(target, wrt=None, at=None, seed=0, tolerance=1e-30):
        graph = as_graph(target)
        wrt = [s for s in graph.inputs if not getattr(s, "is_integer", False)] if wrt is None else wrt
        at = random_values(graph.inputs, seed) if at is None else at
        value, gradients = value_and_gradients(graph, graph.outputs[0], wrt)
        with mp.workdps(DIGITS):
            found = evaluate(
                gradients, {s: v if _integer(s) else exact(v) for s, v in at.items()}, exact=True
            )
            for symbol, gradient, node in zip(wrt, found, gradients, strict=True):
                assert node.shape == graph.nodes[symbol].shape, symbol
                expected = differences(value, at, symbol)
                assert worst(gradient, expected) < tolerance, f"reverse mode, {symbol}: {gradient} {expected}"
            _forward_agrees(graph, value, wrt, gradients, at, seed, tolerance)

    return run


def _integer(s):
    return getattr(s, "is_integer", False) and not getattr(s, "is_Matrix", False)


def _forward_agrees(graph, value, wrt, gradients, at, seed, tolerance):
    """<gradient, v> = tangent in the direction v."""
    rng = np.random.default_rng(seed + 1)
    table, seeds, expected, directions = graph.table, {}, mp.mpf(0), {}
    inputs = {s: v if _integer(s) else exact(v) for s, v in at.items()}
    values = evaluate(gradients, inputs, exact=True)
    for k, (symbol, gradient) in enumerate(zip(wrt, values, strict=True)):
        node = graph.nodes[symbol]
        name = sp.MatrixSymbol(f"direction{k}", *node.shape) if node.shape else sp.Symbol(f"direction{k}")
        directions[name] = exact(rng.normal(size=node.shape))
        seeds[node.serial] = table.symbol(name)
        expected += sum(np.ravel(gradient * directions[name]), mp.mpf(0))
    tangent = tangents(table, [value], seeds)[value.serial]
    found = mp.mpf(0) if tangent is None else evaluate([tangent], {**inputs, **directions}, exact=True)[0][()]
    assert abs(found - expected) <= tolerance * max(1, abs(expected)), f"forward mode: {found} {expected}"
