"""Programs of very many nests: those of one form over other buffers are one function."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

CALLS, WRITTEN = "call void @symprop.nests", "define internal void @symprop.nests"


def arrays(shapes, seed=0):
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, shape) for shape in shapes]


@pytest.mark.parametrize(("count", "size"), [(12, 9), (90, 3)])  # addresses stored one by one, and by a loop
def test_a_product_of_many_matrices_is_few_functions(count, size):
    symbols = [sp.MatrixSymbol(f"M{k}", size, size) for k in range(count)]
    f = symprop.compile(sp.Trace(sp.MatMul(*symbols)))
    given = arrays([(size, size)] * count)
    value, grads = f.value_and_grad(*given)
    before = [np.eye(size), *given]
    for k in range(1, count + 1):
        before[k] = before[k - 1] @ given[k - 1]
    assert value == pytest.approx(np.trace(before[count]), rel=1e-12)
    for k in (0, 1, count // 2, count - 1):
        rest = reduce(np.matmul, [*given[k + 1 :], before[k]], np.eye(size))
        np.testing.assert_allclose(grads[k], rest.T, rtol=1e-10, atol=1e-14)
    text = f.llvm_ir
    assert text.count(CALLS) > 2 * count - 8
    assert text.count(WRITTEN) < 12


def layers(sizes):
    x, equations = sp.MatrixSymbol("x", sizes[0], 1), []
    params, below = [], x
    for k, (a, b) in enumerate(pairwise(sizes)):
        w, c, h = (
            sp.MatrixSymbol(f"W{k}", b, a),
            sp.MatrixSymbol(f"c{k}", b, 1),
            sp.MatrixSymbol(f"h{k}", b, 1),
        )
        equations.append((h, nn.tanh(w * below + c)))
        params += [w, c]
        below = h
    return symprop.Graph([*equations, (sp.Symbol("L"), symprop.scalar(below.T * below))]), params, x


@pytest.mark.parametrize("reduction", ["mean", None])
def test_layers_of_two_sizes_over_a_batch(reduction):
    """Repeated layers among others, temporaries with a sample axis, the last one of its own form."""
    sizes = [16, *[20, 12] * 16, 5]
    graph, params, x = layers(sizes)
    f = symprop.compile(graph, args=[*params, x], wrt=params, batch=[x], reduce=reduction)
    *weights, data = arrays([*[p.shape for p in params], (7, 16)], seed=1)
    weights = [w / 2 for w in weights]
    value, grads = f.value_and_grad(*weights, data)
    states = [data]
    for w, c in zip(weights[::2], weights[1::2], strict=True):
        states.append(np.tanh(states[-1] @ w.T + c[:, 0]))
    per_sample = np.sum(states[-1] ** 2, axis=1)
    np.testing.assert_allclose(value, per_sample.mean() if reduction else per_sample, rtol=1e-12)
    adjoint = 2 * states[-1]
    for k in reversed(range(len(sizes) - 1)):
        adjoint = adjoint * (1 - states[k + 1] ** 2)
        expected = np.einsum("ni,nj->nij", adjoint, states[k])
        expected = expected.mean(axis=0) if reduction else expected
        np.testing.assert_allclose(grads[2 * k], expected, rtol=1e-9, atol=1e-15)
        adjoint = adjoint @ weights[2 * k]
    text = f.llvm_ir
    assert text.count(CALLS) > 60 > 3 * text.count(WRITTEN)


def test_every_product_is_noted():
    graph, params, x = layers([16, *[12] * 20])
    f = symprop.compile(graph, args=[*params, x], wrt=params, batch=[x], reduce="mean")
    f(*arrays([*[p.shape for p in params], (4, 16)]))
    text = str(f.schedule)
    for k in range(1, 20):
        assert f"W{k} * " in text or f" * W{k}" in text


def test_threads_give_the_same_bits():
    graph, params, x = layers([24, *[40] * 20])
    given = arrays([*[p.shape for p in params], (300, 24)], seed=2)
    found = []
    for threads in (1, 2):
        f = symprop.compile(graph, args=[*params, x], wrt=params, batch=[x], reduce="sum", threads=threads)
        found.append(f.value_and_grad(*given))
    assert found[0][0] == found[1][0]
    assert all((a == b).all() for a, b in zip(found[0][1], found[1][1], strict=True))
