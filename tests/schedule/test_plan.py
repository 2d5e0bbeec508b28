"""Which programs are written out, and which run in loops."""

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn


def network(sizes, batched=False):
    x, y = sp.MatrixSymbol("x", sizes[0], 1), sp.Symbol("y", integer=True)
    below, equations, params = x, [], []
    for layer, (a, b) in enumerate(pairwise(sizes)):
        w, h = sp.MatrixSymbol(f"w{layer}", b, a), sp.MatrixSymbol(f"h{layer}", b, 1)
        equations.append((h, w * below if layer == len(sizes) - 2 else nn.tanh(w * below)))
        params.append(w)
        below = h
    equations.append((sp.Symbol("L"), nn.cross_entropy(below, y)))
    batch = [x, y] if batched else []
    reduce = "sum" if batched else None
    graph = symprop.Graph(equations)
    return symprop.compile(graph, args=[*params, x, y], wrt=params, batch=batch, reduce=reduce), params


@pytest.mark.parametrize(
    ("sizes", "batched", "mode"),
    [
        ([3, 4, 4, 2], False, "unrolled"),
        ([8, 16, 16, 4], False, "loops"),  # vectors along rows beat what is written out for one sample
        ([8, 12, 12, 4], True, "unrolled"),  # samples fill the vectors
        ([8, 16, 16, 4], True, "loops"),  # 1216 multiplications in products: as good for many samples
        ([16, 32, 32, 4], True, "loops"),
        ([9] * 6, True, "unrolled"),  # 1134, in narrow layers
    ],
)
def test_mode_of_networks(sizes, batched, mode):
    f, _ = network(sizes, batched)
    assert f.schedule.mode == mode


@pytest.mark.parametrize(
    ("rows", "columns", "followed", "mode"),
    [
        (20, 10, False, "loops"),
        (33, 17, False, "loops"),
        (19, 10, False, "unrolled"),  # fewer multiplications
        (20, 10, True, "unrolled"),  # as much else to do
        (30, 30, True, "loops"),
    ],
)
def test_mode_of_a_layer(rows, columns, followed, mode):
    w, x = sp.MatrixSymbol("w", rows, columns), sp.MatrixSymbol("x", columns, 1)
    layer = nn.tanh(w * x) + nn.softplus(w * x) if followed else w * x
    f = symprop.compile(layer, args=[w, x], wrt=[], batch=[x])
    assert f.schedule.mode == mode
    weights, samples = np.random.default_rng(1).normal(size=(rows, columns)), np.ones((70, columns))
    sums = samples @ weights.T
    right = np.tanh(sums) + np.logaddexp(sums, 0) if followed else sums
    np.testing.assert_allclose(f(weights, samples), right, rtol=1e-13, atol=1e-13)


def test_mode_of_a_layer_with_its_gradient():
    w, x, y = sp.MatrixSymbol("w", 16, 16), sp.MatrixSymbol("x", 16, 1), sp.MatrixSymbol("y", 16, 1)
    options = {"args": [w, x, y], "wrt": [w], "batch": [x, y], "reduce": "sum"}
    f = symprop.compile(nn.squared_error(w * x, y), **options)
    assert f.schedule.mode == "loops"  # what is done with the sums is done once a call
    rng = np.random.default_rng(2)
    weights, inputs, outputs = rng.normal(size=(16, 16)), rng.normal(size=(40, 16)), rng.normal(size=(40, 16))
    _, (slope,) = f.value_and_grad(weights, inputs, outputs)
    gaps = inputs @ weights.T - outputs
    factor = (slope * (gaps.T @ inputs)).sum() / (gaps.T @ inputs).ravel().dot((gaps.T @ inputs).ravel())
    np.testing.assert_allclose(slope, factor * gaps.T @ inputs, rtol=1e-11, atol=1e-11)


def test_scalars_are_written_out_where_loops_are_no_shorter():
    names = sp.symbols("v:40")
    total = sum(sp.sin(a) * b for a in names for b in names if a is not b)
    f = symprop.compile(total, args=list(names))
    assert f.schedule.work() > 1500
    assert f.schedule.mode == "unrolled"


def test_loops_and_written_code_agree():
    alone, params = network([8, 12, 12, 4])
    batched, _ = network([8, 12, 12, 4], batched=True)
    assert (alone.schedule.mode, batched.schedule.mode) == ("loops", "unrolled")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=w.shape) * 0.4 for w in params]
    x, y = rng.normal(size=(8, 1)), 2
    value, slopes = alone.value_and_grad(*weights, x, y)
    other, others = batched.value_and_grad(*weights, x[None], np.array([y]))
    np.testing.assert_allclose(value, other, rtol=1e-13)
    for a, b in zip(slopes, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
