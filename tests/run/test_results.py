"""Memory of large results: used again when it is free, and only then."""

import pickle
import threading

import numpy as np
import sympy as sp

import symprop
from symprop import nn
from symprop.run import results


def compiled():
    w, x = sp.MatrixSymbol("w", 3, 1), sp.MatrixSymbol("x", 3, 1)
    f = symprop.compile(sp.exp(symprop.scalar(w.T * x)), args=[w, x], batch=[x], wrt=[w])
    return f, np.random.default_rng(0).normal(size=(20_000, 3))


def right(w, x):
    value = np.exp(x @ w)
    return value, value[:, None] * x


def test_results_that_are_kept_stay_as_they_were():
    f, x = compiled()
    arguments = [np.array([0.1 * k, 0.2, -0.3]) for k in range(6)]
    kept = [f.value_and_grad(w, x) for w in arguments]
    views = [f.grad(w, x)[0][5:9, 1] for w in arguments]  # of a result that is dropped
    for w, (value, (gradient,)), view in zip(arguments, kept, views, strict=True):
        expected = right(w, x)
        np.testing.assert_allclose(value, expected[0], rtol=1e-14)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-14)
        np.testing.assert_allclose(view, expected[1][5:9, 1], rtol=1e-14)


def test_what_was_dropped_is_used_again():
    f, x = compiled()
    w = np.array([0.1, 0.2, 0.3])
    places = {f.grad(w, x)[0].ctypes.data for _ in range(6)}
    assert len(places) == 1


def test_a_view_of_a_view_keeps_its_memory():
    size = results.LARGE
    view = results.memory(size)[7:].view(np.int8)[:9].reshape(3, 3).T
    view[...] = 5
    again = [results.memory(size) for _ in range(3)]
    for piece in again:
        piece[...] = 0
    assert (view == 5).all()


def test_sizes_that_are_not_kept():
    results._free.clear()
    for size in (0, 1, results.LARGE - 1, results.KEPT + 1):
        assert results.memory(size).size == size
    assert not results._free


def test_no_more_is_kept_than_said():
    results._free.clear()
    held = [results.memory(results.KEPT // 3) for _ in range(5)]
    assert not results._free
    held.append(results.memory(results.KEPT))
    assert len({piece.ctypes.data for piece in held}) == 6
    held.clear()
    assert 0 < sum(piece.size for piece in results._free) <= results.KEPT


def test_threads_never_share_a_result():
    f, x = compiled()
    wrong = []

    def work(number):
        for k in range(20):
            w = np.array([0.01 * number, 0.02 * k, 0.1])
            (gradient,) = f.grad(w, x)
            if not np.allclose(gradient, right(w, x)[1], rtol=1e-13):
                wrong.append((number, k))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_native_code_writes_begins_at_lines_of_the_cache():
    x, w = sp.MatrixSymbol("x", 40, 1), sp.MatrixSymbol("w", 50, 40)
    loss = nn.squared_error(w * x, sp.ZeroMatrix(50, 1))
    data, start = np.ones((3, 40)), np.ones((50, 40))
    for count in range(4):  # a different part of the heap each time
        step = symprop.compile(loss, args=[w, x], batch=[x], wrt=[w], reduce="sum").bind(start, data)
        held = [np.empty(8 * count + 3), step]  # noqa: F841
        assert step.grads[0].ctypes.data % 64 == 0
        train = symprop.compile_step(
            loss, args=[x, w], params=[w], batch=[x], reduce="sum", optimizer=symprop.optim.Adam()
        )
        state = train.init({w: start})
        assert state.params[w] is not start
        for one in (state, state.copy(), pickle.loads(pickle.dumps(state))):
            arrays = [one.params[w], *(slot[w] for slot in one.slots.values())]
            places = [a.ctypes.data for a in arrays]
            assert all(place % 64 == 0 for place in places)
            # rows of a page would else take the same places of the cache in all three
            assert len({place % 4096 // 1024 for place in places}) == 3
            assert all((a == right).all() for a, right in zip(arrays, (start, 0, 0), strict=True))
