"""The native way of calling gives what the general path gives, and hands over what it does not know."""

import sys

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import ArgumentError, ShapeError, nn

W, x, s = sp.MatrixSymbol("W", 2, 3), sp.MatrixSymbol("x", 3, 1), sp.Symbol("s")
y = sp.Symbol("y", integer=True)


def both(f):
    """The general method and the native function that takes its place."""
    arguments = (np.ones((2, 3)), np.ones(3), 1.5)
    for _ in range(4):
        f.value_and_grad(*arguments)
    native = f.value_and_grad
    assert "built-in" in repr(native)
    return f._value_and_grad, native


@pytest.fixture
def f():
    return symprop.compile(symprop.scalar(x.T * W.T * W * x) * sp.sin(s), args=[W, x, s])


def same(a, b):
    assert a[0] == b[0]
    assert type(a[0]) is type(b[0])
    assert type(a[1]) is type(b[1])
    for g, h in zip(a[1], b[1], strict=True):
        assert np.shape(g) == np.shape(h)
        assert type(g) is type(h)
        np.testing.assert_array_equal(g, h)


def test_arguments_that_fit(f):
    general, native = both(f)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=3)
    for arguments in ((a, b, 0.5), (a, b[:, None], np.float64(2.0)), (a, b, float("nan"))):
        np.testing.assert_equal(native(*arguments), general(*arguments))
    same(native(a, b, 0.5), general(a, b, 0.5))
    same(native(a, b[:, None], 0.5), general(a, b[:, None], 0.5))


def test_everything_else_goes_the_general_way(f):
    general, native = both(f)
    a, b = np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0, 3.0])
    for arguments in (
        (a.tolist(), b, 1),
        (np.asfortranarray(a), b[::-1], np.array(0.3)),
        (a.astype(np.float32), b.astype(">f8"), True),
        (a.astype(int), b, np.int8(2)),
        (np.frombuffer(b"\0" + a.tobytes(), float, 6, 1).reshape(2, 3), b, 0.1),
    ):
        same(native(*arguments), general(*arguments))
    same(native(a, s=1.0, x=b), general(a, b, 1.0))


def test_errors_are_those_of_the_general_path(f):
    _, native = both(f)
    a, b = np.ones((2, 3)), np.ones(3)
    with pytest.raises(ShapeError, match="argument W"):
        native(a.T.copy(), b, 1.0)
    with pytest.raises(ShapeError, match="argument x"):
        native(a, np.ones((1, 3)), 1.0)
    with pytest.raises(ArgumentError, match="missing"):
        native(a, b)
    with pytest.raises(ArgumentError, match="velocity"):
        native(a, b, 1.0, velocity=2)
    with pytest.raises(ArgumentError, match="complex"):
        native(a, b, 1j)


def test_batches_and_labels():
    f = symprop.compile(nn.cross_entropy(W * x, y), args=[W, x, y], batch=[x, y], reduce="mean", wrt=W)
    a, b, labels = np.ones((2, 3)), np.arange(12.0).reshape(4, 3), np.array([0, 1, 1, 0])
    expected = f.value_and_grad(a, b, labels)
    for _ in range(4):
        value, gradient = f.value_and_grad(a, b, labels)
    assert "built-in" in repr(f.value_and_grad)
    assert value == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])
    np.testing.assert_array_equal(f.value_and_grad(a, b[:, :, None], labels)[1], expected[1])
    assert np.isnan(f.value_and_grad(a, b[:0], labels[:0])[0])
    with pytest.raises(ArgumentError, match="index 2 in row 3"):
        f.value_and_grad(a, b, np.array([0, 1, 1, 2]))
    with pytest.raises(ArgumentError, match="unequal"):
        f.value_and_grad(a, b, labels[:3])


def test_results_are_new_arrays_and_no_reference_is_lost(f):
    _, native = both(f)
    a, b = np.ones((2, 3)), np.ones(3)
    first, second = native(a, b, 1.0), native(a, b, 2.0)
    assert not np.shares_memory(first[1][0], second[1][0])
    counts = [sys.getrefcount(v) for v in (a, b, np.float64, np.dtype(float))]
    for _ in range(1000):
        native(a, b, 1.0)
    after = [sys.getrefcount(v) for v in (a, b, np.float64, np.dtype(float))]
    assert all(abs(p - q) < 50 for p, q in zip(counts, after, strict=True))
    assert sys.getrefcount(first[1][0]) == sys.getrefcount(np.ones(3)) + 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_workspace_of_any_size(dtype):
    A, b = sp.MatrixSymbol("A", 30, 40), sp.MatrixSymbol("b", 30, 1)
    u = sp.MatrixSymbol("u", 40, 1)
    loss = nn.cross_entropy(nn.tanh(A * u + b), y)
    f = symprop.compile(loss, args=[A, b, u, y], batch=[u, y], reduce="mean", dtype=dtype)
    assert f.schedule.mode == "loops"
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(30, 40)).astype(dtype), rng.normal(size=30).astype(dtype)
    for samples in (3, 3, 3, 64, 1000, 20_000, 0):  # on the stack or not, too large, none
        rows, labels = rng.normal(size=(samples, 40)).astype(dtype), rng.integers(0, 30, samples)
        found = f.value_and_grad(weights, bias, rows, labels)
        expected = f._value_and_grad(weights, bias, rows, labels)
        np.testing.assert_equal(found, expected)
    assert "built-in" in repr(f.value_and_grad)


@pytest.mark.parametrize("reduce", [None, "sum"])
def test_the_value_alone(reduce):
    batch = None if reduce is None else [x]
    f = symprop.compile(
        symprop.scalar(x.T * W.T * W * x) * sp.sin(s), args=[W, x, s], batch=batch, reduce=reduce
    )
    a, b = np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0, 3.0])
    b = b if reduce is None else np.stack([b, 2 * b])
    expected = f._value(a, b, 0.5)
    for _ in range(5):
        assert f(a, b, 0.5) == f(a.tolist(), b, s=np.array(0.5)) == expected
    assert "built-in" in repr(f._quick_value)
    assert type(f(a, b, 0.5)) is type(expected)
    with pytest.raises(ArgumentError):
        f(a, b)
    with pytest.raises(ShapeError):
        f(a, b, b)


def test_a_method_that_was_kept_becomes_quick_too(f):
    kept = f.value_and_grad
    a, b = np.ones((2, 3)), np.ones(3)
    expected = kept(a, b, 0.5)
    both(f)
    calls = f._calls
    same(kept(a, b, 0.5), expected)
    same(kept(W=a, x=b, s=0.5), expected)
    kept(a, b, 0.5)
    assert f._calls == calls + 1  # of the one by name
