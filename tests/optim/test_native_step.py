"""Steps of a state that has been stepped often go straight to native code: the same bits, the same errors."""

import copy
import gc
import sys

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import ArgumentError, ShapeError, nn, optim


@pytest.fixture(params=[("float64", 3), ("float32", 64)], ids=["written out", "loops"])
def training(request):
    dtype, size = request.param
    W, b = sp.MatrixSymbol("W", 5, size), sp.MatrixSymbol("b", 5, 1)
    x, y = sp.MatrixSymbol("x", size, 1), sp.Symbol("y", integer=True)
    graph = symprop.Graph([(sp.Symbol("L"), nn.cross_entropy(nn.tanh(W * x + b), y))])
    step = symprop.compile_step(
        graph, args=[x, y, W, b], params=[W, b], batch=[x, y], optimizer=optim.Adam(lr=0.01), dtype=dtype
    )
    rng = np.random.default_rng(0)
    start = {W: rng.normal(size=(5, size)), b: rng.normal(size=5)}
    data = [(rng.normal(size=(n, size)).astype(dtype), rng.integers(0, 5, n)) for n in (7, 40, 1, 300)]
    return step, start, data


def stepped(step, start, data):
    state = step.init(start)
    for _ in range(5):
        step(state, *data[0])
    assert "built-in" in repr(state.quick[1])
    return state


def test_the_same_bits(training):
    step, start, data = training
    native, general = stepped(step, start, data), step.init(start)
    for _ in range(5):
        step._general(general, *data[0])
    general.quick = None
    for x, y in [
        *data,
        (data[0][0].tolist(), data[0][1].astype(np.int8)),
        (data[1][0][::2], data[1][1][::2]),
    ]:
        first, second = step(native, x, y), step._general(general, x, y)
        assert type(first) is type(second)
        assert first == second
    assert native.step == general.step == 11
    for symbol in step.params:
        np.testing.assert_array_equal(native.params[symbol], general.params[symbol])


def test_errors_come_before_anything_is_changed(training):
    step, start, data = training
    state = stepped(step, start, data)
    before = state.copy()
    x, y = data[0]
    for arguments, error in [
        ((x, np.where(y == y[0], 9, y)), ArgumentError),
        ((x[:0], y[:0]), ArgumentError),
        ((x, y[:3]), ArgumentError),
        ((x[:, :2], y), ShapeError),
        ((x,), ArgumentError),
        ((x, y, y), ArgumentError),
    ]:
        with pytest.raises(error):
            step(state, *arguments)
    assert state.step == before.step
    for symbol in step.params:
        np.testing.assert_array_equal(state.params[symbol], before.params[symbol])
    assert step(state, y=y, x=x) == step._general(before, x, y)


def test_a_copy_is_a_state_of_its_own(training):
    step, start, data = training
    state = stepped(step, start, data)
    other = copy.copy(state)
    step(other, *data[1])
    assert (state.step, other.step) == (5, 6)
    assert not np.array_equal(state.params["W"], other.params["W"])


def test_no_reference_is_lost(training):
    step, start, data = training
    state = stepped(step, start, data)
    x, y = data[0]
    kept = [sys.getrefcount(o) for o in (x, y, state)]
    for _ in range(100):
        step(state, x, y)
    assert [sys.getrefcount(o) for o in (x, y, state)] == kept
    alive = sys.getrefcount(step)
    del state
    gc.collect()
    assert sys.getrefcount(step) < alive
