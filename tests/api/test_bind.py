"""Bound steps: the same numbers as a call, arrays read where they are, strict arguments."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import ArgumentError, ShapeError


def test_a_step_gives_what_a_call_gives(net, mean):
    arguments = net.fresh()
    step = mean.bind(*arguments)
    assert step() is None
    value, grads = mean.value_and_grad(*arguments)
    assert step.value == value
    assert isinstance(step.value, float)
    assert all(np.array_equal(p, q) for p, q in zip(step.grads, grads, strict=True))
    assert [g.shape for g in step.grads] == [a.shape for a in arguments[:4]]


def test_changes_in_place_are_seen(net, mean):
    arguments = net.fresh()
    step = mean.bind(*arguments)
    step()
    kept = step.grads
    for k in range(3):
        arguments[0] -= 0.1 * step.grads[0]
        arguments[4][k] = k
        step()
        assert step.value == mean.value_and_grad(*arguments)[0]
        assert np.array_equal(kept[0], mean.grad(*arguments)[0])  # the same buffers


def test_per_sample(net, each):
    arguments = net.fresh(9)
    step = each.bind(*arguments)
    step()
    losses, grads = net.reference(arguments)
    np.testing.assert_allclose(step.value, losses, rtol=1e-12)
    for found, right in zip(step.grads, grads, strict=False):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)
    first = step.value
    arguments[5] += 1.0
    step()
    np.testing.assert_allclose(first, net.reference(arguments)[0], rtol=1e-12)


def test_shapes_follow_the_arrays():
    v, s, a = sp.MatrixSymbol("v", 3, 1), sp.MatrixSymbol("s", 1, 1), sp.Symbol("a")
    f = symprop.compile(symprop.scalar(s * v.T * v) * a, args=[v, s, a])
    for column, one in (
        (np.ones(3), np.ones((1, 1))),
        (np.ones((3, 1)), np.ones(1)),
        (np.ones(3), np.ones(())),
    ):
        number = np.array(2.0)
        step = f.bind(column, one, number)
        step()
        assert step.value == 6.0
        assert [np.shape(g) for g in step.grads] == [column.shape, one.shape, ()]
        number[...] = 3.0
        one[...] = 2.0
        step()
        assert step.value == 18.0
        assert step.grads[2] == 6.0
        np.testing.assert_allclose(step.grads[0], 12.0)


def test_numbers_are_copied():
    a, b = sp.symbols("a b")
    f = symprop.compile(a * b, args=[a, b], wrt=a)
    for b_value in (3, 3.0, np.float32(3), True + 2):
        step = f.bind(2, b_value)
        step()
        assert step.value == 6.0
        assert step.grads == 3.0


def test_labels_of_any_width_are_read_anew():
    m, i = sp.MatrixSymbol("m", 4, 1), sp.Symbol("i", integer=True)
    f = symprop.compile(m[i, 0] ** 2, args=[m, i], batch=[i], reduce="sum")
    values = np.array([1.0, 2.0, 3.0, 4.0])
    for kind in (np.int64, np.int32, np.uint8, np.uint64):
        labels = np.array([0, 1], kind)
        step = f.bind(values, labels)
        step()
        assert step.value == 5.0
        labels[:] = 3
        step()
        assert step.value == 32.0
        labels[1] = 4
        with pytest.raises(ArgumentError, match=r"i.* 4 .*row 1.*0 to 3"):
            step()
        labels[1] = 2
        step()
        assert step.value == 25.0


def test_a_label_out_of_range_leaves_the_results(net):
    m, i = sp.MatrixSymbol("m", 4, 1), sp.Symbol("i", integer=True)
    f = symprop.compile(m[i, 0] ** 2, args=[m, i], batch=[i])
    labels = np.array([0, 1, 2])
    step = f.bind(np.array([1.0, 2.0, 3.0, 4.0]), labels)
    step()
    before = step.value.copy(), step.grads[0].copy()
    labels[:] = [1, 2, -1]
    with pytest.raises(ArgumentError, match=r"i.* -1 .*row 2"):
        step()
    assert np.array_equal(step.value, before[0])
    assert np.array_equal(step.grads[0], before[1])


def frozen(a):
    a = a.copy()
    a.flags.writeable = False
    return a


REFUSED = {
    "float32": (lambda a: a.astype(np.float32), "found float32"),
    "integers": (lambda a: a.astype(int), "found int64"),
    "big-endian": (lambda a: a.astype(">f8"), "found >f8"),
    "Fortran": (np.asfortranarray, "C-contiguous"),
    "strided": (lambda a: np.repeat(a, 2, 1)[:, ::2], "C-contiguous"),
    "list": (lambda a: a.tolist(), "found list"),
    "masked": (np.ma.masked_array, "found MaskedArray"),
    "complex": (lambda a: a * 1j, "found complex128"),
    "unaligned": (
        lambda a: np.frombuffer(b"\0" + a.tobytes(), float, a.size, 1).reshape(a.shape),
        "unaligned",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(net, mean, kind):
    change, words = REFUSED[kind]
    arguments = net.fresh()
    arguments[2] = change(arguments[2])
    with pytest.raises(ArgumentError, match=f"argument W2: .*{words}"):
        mean.bind(*arguments)


def test_refused_shapes_and_names(net, mean):
    arguments = net.fresh()
    with pytest.raises(ShapeError, match="argument W1"):
        mean.bind(np.ones((3, 4)), *arguments[1:])
    with pytest.raises(ArgumentError, match="x and t"):
        mean.bind(*arguments[:-1], arguments[-1][:3].copy())
    with pytest.raises(ArgumentError, match="missing argument t"):
        mean.bind(*arguments[:-1])
    read_only = [frozen(a) for a in arguments]
    step = mean.bind(*read_only)
    step()
    assert step.value == mean.value_and_grad(*arguments)[0]


def test_without_gradients(net):
    f = symprop.compile(net.graph, args=net.args, batch=[net.x, net.t], wrt=[])
    step = f.bind(*net.fresh())
    step()
    np.testing.assert_allclose(step.value, net.reference(net.fresh())[0], rtol=1e-12)
    assert step.grads == ()
    g = symprop.compile(2 * net.z, args=[net.z])
    step = g.bind(np.ones(2))
    step()
    assert np.array_equal(step.value, [2.0, 2.0])
    with pytest.raises(ShapeError, match="scalar"):
        _ = step.grads


def test_a_step_outlives_everything_else(net):
    f = symprop.compile(net.graph, args=net.args, batch=[net.x, net.t], reduce="mean")
    right = f.value_and_grad(*net.fresh())[0]
    step = f.bind(*net.fresh())
    del f
    junk = [np.full(1000, np.nan) for _ in range(100)]
    step()
    assert step.value == right
    del junk
    with pytest.raises(TypeError, match="pickle the Function"):
        pickle.dumps(step)
