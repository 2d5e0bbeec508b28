"""Calls: every layout and dtype of arguments, shapes of results, batches, aliasing."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import ArgumentError, ShapeError


def close(found, right, tolerance=1e-12):
    found, right = np.asarray(found), np.asarray(right)
    assert found.shape == right.shape
    np.testing.assert_allclose(found, right, rtol=tolerance, atol=tolerance)


def strided(a):
    wide = np.full([2 * n + 1 for n in a.shape], np.nan)
    view = wide[tuple(slice(0, 2 * n, 2) for n in a.shape)]
    view[...] = a
    return view


def frozen(a):
    a = a.copy()
    a.flags.writeable = False
    return a


class Foreign:
    """What another library's array looks like."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return self.a if dtype is None else self.a.astype(dtype)


class Subclass(np.ndarray):
    """An array of another class."""


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": strided,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "read-only": frozen,
    "big-endian": lambda a: a.astype(">f8"),
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(map(tuple, a.tolist())),
    "unaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), np.float64, a.size, 1).reshape(a.shape),
    "__array__": Foreign,
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "long double": lambda a: a.astype(np.longdouble),
    "subclass": lambda a: a.view(Subclass),
    "int8": lambda a: np.round(a).astype(np.int8),
    "uint16": lambda a: np.abs(np.round(a)).astype(np.uint16),
    "bool": lambda a: a > 0,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(net, mean, layout):
    arguments = [LAYOUTS[layout](a) for a in net.fresh()]
    before = [np.array(a, copy=True) for a in arguments]
    plain = [np.array(a, np.float64) for a in arguments]
    value, grads = mean.value_and_grad(*arguments)
    right, right_grads = mean.value_and_grad(*plain)
    assert value == right
    assert all(np.array_equal(p, q) for p, q in zip(grads, right_grads, strict=True))
    losses, their = net.reference(plain)
    close(value, losses.mean())
    for found, expected in zip(grads, their, strict=False):
        close(found, expected.mean(0))
    assert all(np.array_equal(p, q) for p, q in zip(before, arguments, strict=True))
    for k in range(len(arguments)):
        mixed = list(plain)
        mixed[k] = arguments[k]
        assert mean.value_and_grad(*mixed)[0] == right


def test_layouts_of_labels():
    m, i = sp.MatrixSymbol("m", 4, 1), sp.Symbol("i", integer=True)
    f = symprop.compile(m[i, 0] ** 2, args=[m, i], batch=[i])
    values, labels = np.array([1.0, -2.0, 3.0, 5.0]), np.array([3, 0, 1, 1, 2])
    for kind in (np.int8, np.uint8, np.int64, np.uint64, ">i4", np.float32, np.float64, np.float16):
        close(f(values, labels.astype(kind)), values[labels] ** 2)
    close(f(values, labels[::-1]), values[labels[::-1]] ** 2)
    close(f(values, labels.tolist()), values[labels] ** 2)
    close(f(values, labels > 1), values[(labels > 1).astype(int)] ** 2)
    one = symprop.compile(m[i, 0] ** 2, args=[m, i])
    for label in (2, 2.0, np.int8(2), np.array(2), np.array(2.0), np.uint64(2)):
        assert one(values, label) == 9.0
    assert one(values, True) == 4.0


@pytest.mark.parametrize("name", ["positional", "named", "mixed"])
def test_names_of_arguments(net, mean, name):
    arguments = net.fresh()
    named = dict(zip(["W1", "b1", "W2", "b2", "x", "t"], arguments, strict=True))
    right = mean(*arguments)
    if name == "named":
        assert mean(**dict(reversed(named.items()))) == right
    elif name == "mixed":
        assert mean(*arguments[:2], **{k: named[k] for k in ("t", "x", "b2", "W2")}) == right
    else:
        assert right == pytest.approx(net.reference(arguments)[0].mean(), rel=1e-13)


def test_scalars():
    a, b = sp.symbols("a b")
    f = symprop.compile(a * b + sp.sin(a), args=[a, b])
    right = 6.0 + np.sin(2.0)
    kinds = [
        (2.0, 3.0),
        (2, 3),
        (np.array(2.0), np.array(3.0)),
        (np.int8(2), np.int8(3)),
        (np.float32(2), np.float16(3)),
        (np.array(2, ">f8"), np.array(3, ">i4")),
        (sp.Integer(2), sp.Rational(6, 2)),
        (Foreign(np.array(2.0)), Foreign(np.array(3))),
    ]
    for two, three in kinds:
        value, grads = f.value_and_grad(two, three)
        assert abs(value - right) < 1e-15
        assert isinstance(value, float)
        assert isinstance(grads, tuple)
        close(grads, [3 + np.cos(2.0), 2.0], 1e-15)
    assert f(True, False) == np.sin(1.0)
    with pytest.raises(ArgumentError, match="argument b"):
        f(1.0, 10**400)
    assert f(10**30, 1) == pytest.approx(1e30 + np.sin(1e30))


@pytest.mark.parametrize("wrong", [np.ones(1), [2.0], np.ones((1, 1)), np.ones(3)])
def test_a_scalar_takes_no_axes(wrong):
    a = sp.Symbol("alpha")
    with pytest.raises(ShapeError, match=r"alpha: expected a number, found shape.*batch"):
        symprop.compile(a**2)(wrong)


def test_columns_and_one_by_one():
    v, s = sp.MatrixSymbol("v", 3, 1), sp.MatrixSymbol("s", 1, 1)
    f = symprop.compile([s * v.T * v, v * s], args=[v, s])
    x = np.array([1.0, 2.0, 3.0])
    for column in (x, x[:, None]):
        for one in (2.0, np.array([2.0]), np.array([[2.0]]), [[2]]):
            (value, doubled), (d_v, d_s) = f.value_and_grad(column, one)
            assert np.shape(value) == ()
            assert value == 28.0
            close(doubled, 2 * column)  # a column comes in the form in which the columns were passed
            close(d_v, 4 * column)
            close(d_s, np.full(np.shape(one), 14.0))


def test_columns_of_mixed_forms_give_flat_ones():
    v, w = sp.MatrixSymbol("v", 3, 1), sp.MatrixSymbol("w", 3, 1)
    f = symprop.compile(v + w, args=[v, w])
    x = np.array([1.0, 2.0, 3.0])
    close(f(x, x), 2 * x)
    close(f(x[:, None], x), 2 * x)
    close(f(x[:, None], x[:, None]), 2 * x[:, None])
    batch = symprop.compile(v + w, args=[v, w], batch=[v])
    close(batch(np.stack([x, x]), x), 2 * np.stack([x, x]))
    close(batch(np.stack([x, x])[..., None], x[:, None]), 2 * np.stack([x, x])[..., None])


def test_a_row_stays_a_row():
    v = sp.MatrixSymbol("v", 3, 1)
    f = symprop.compile(2 * v.T, args=[v])
    close(f([1, 2, 3]), [[2.0, 4.0, 6.0]])


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 16, 29])
def test_batches(net, mean, each, n):
    arguments = net.fresh(n)
    losses, grads = net.reference(arguments)
    value, found = each.value_and_grad(*arguments)
    close(value, losses)
    for f, g in zip(found, grads, strict=False):
        close(f, g)
    close(each(*arguments), losses)
    total = symprop.compile(net.graph, args=net.args, batch=[net.x, net.t], reduce="sum")
    value, found = total.value_and_grad(*arguments)
    close(value, losses.sum())
    for f, g in zip(found, grads, strict=False):
        close(f, g.sum(0))
    value, found = mean.value_and_grad(*arguments)
    if n:
        close(value, losses.mean())
        for f, g in zip(found, grads, strict=False):
            close(f, g.mean(0))
    else:
        assert np.isnan(value)


def test_batched_columns_with_their_axis(net, each):
    arguments = net.fresh(5)
    columns = [*arguments[:-2], arguments[-2][:, :, None], arguments[-1][:, :, None]]
    close(each(*columns), net.reference(arguments)[0])


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
@pytest.mark.parametrize("axis", [False, True])
def test_gradient_of_a_batched_argument(net, reduce, axis):
    """It stays one per sample, in the shape that was passed; the mean divides it by N."""
    f = symprop.compile(net.graph, args=net.args, batch=[net.x, net.t], reduce=reduce, wrt=net.x)
    arguments = net.fresh(6)
    right = net.reference(arguments)[1][4] / (6 if reduce == "mean" else 1)
    if axis:
        arguments[4] = arguments[4][:, :, None]
        right = right[:, :, None]
    close(f.grad(*arguments), right)
    value, grad = f.value_and_grad(*arguments)
    close(grad, right)
    assert np.shape(value) == ((6,) if reduce is None else ())


def test_batched_scalars():
    a, x = sp.symbols("a x")
    f = symprop.compile(a * x**2, args=[a, x], batch=[x], wrt=[a, x])
    x_values = np.array([1.0, -2.0, 3.0])
    value, (d_a, d_x) = f.value_and_grad(2.0, x_values)
    close(value, 2 * x_values**2)
    close(d_a, x_values**2)
    close(d_x, 4 * x_values)
    with pytest.raises(ShapeError, match=r"argument x: expected .*\(N,\).*found shape \(3, 1\)"):
        f(2.0, x_values[:, None])


def test_what_does_not_depend_on_the_samples_is_given_for_each():
    a, x = sp.symbols("a x")
    arguments = (3.0, np.arange(4.0))
    f = symprop.compile([a**2, a * x], args=[a, x], batch=[x], wrt=[a, x])
    (square, product), (d_a, d_x) = f.value_and_grad(*arguments)
    close(square, np.full(4, 9.0))
    close(product, 3 * np.arange(4.0))
    close(d_a, np.full(4, 6.0))
    close(d_x, np.zeros(4))
    square[0] = 1.0  # an array of its own, that can be written
    for reduce, factor in (("sum", 4), ("mean", 1)):
        g = symprop.compile([a**2, a * x], args=[a, x], batch=[x], wrt=[a, x], reduce=reduce)
        (square, product), (d_a, d_x) = g.value_and_grad(*arguments)
        close(square, 9.0 * factor)
        close(product, 18.0 * factor / 4)
        close(d_a, 6.0 * factor)
        close(d_x, np.zeros(4))


def test_penalty_beside_a_batched_loss():
    """A term without samples counts once for each sample in the sum, once in the mean."""
    w, x = sp.MatrixSymbol("w", 3, 1), sp.MatrixSymbol("x", 3, 1)
    target = symprop.scalar(w.T * x) ** 2 + symprop.scalar(w.T * w)
    rng = np.random.default_rng(5)
    w_value, x_value = rng.normal(size=3), rng.normal(size=(7, 3))
    products = x_value @ w_value
    for reduce, divide in (("sum", 1), ("mean", 7)):
        f = symprop.compile(target, args=[w, x], batch=[x], reduce=reduce)
        value, (d_w,) = f.value_and_grad(w_value, x_value)
        close(value, ((products**2).sum() + 7 * w_value @ w_value) / divide)
        close(d_w, (2 * products @ x_value + 14 * w_value) / divide)


def test_float32(net):
    f = symprop.compile(net.graph, args=net.args, batch=[net.x, net.t], reduce="mean", dtype="float32")
    arguments = net.fresh()
    value, grads = f.value_and_grad(*arguments)  # float64 arrays go into a float32 function
    losses, right = net.reference(arguments)
    assert value.dtype == np.float32
    close(value, losses.mean(), 1e-5)
    for g, r in zip(grads, right, strict=False):
        assert g.dtype == np.float32
        close(g, r.mean(0), 1e-5)
    assert f(*[a.astype(np.float32) for a in arguments]) == value
    arguments[0][:] = 1e300  # becomes infinite without a warning
    with np.errstate(all="raise"):
        f(*arguments)


def test_nan_is_a_number(mean, net):
    arguments = net.fresh()
    arguments[4][3, 1] = np.nan
    assert np.isnan(mean(*arguments))


def test_nothing_is_aliased(net, mean):
    arguments = net.fresh()
    _, first = mean.value_and_grad(*arguments)
    kept = [g.copy() for g in first]
    arguments[0] += 1
    mean.value_and_grad(*arguments)
    assert all(np.array_equal(p, q) for p, q in zip(kept, first, strict=True))
    assert not any(np.shares_memory(g, a) for g in first for a in arguments)
    m = sp.MatrixSymbol("m", 2, 2)
    same = symprop.compile([m, m], args=[m])
    a = np.arange(4.0).reshape(2, 2)
    out, twin = same(a)
    assert np.array_equal(out, a)
    assert np.array_equal(twin, a)
    assert not np.shares_memory(out, a)
    assert not np.shares_memory(out, twin)
    out[:] = 7
    assert np.array_equal(same(a)[0], a)


def test_the_same_array_twice():
    u, v = sp.MatrixSymbol("u", 3, 1), sp.MatrixSymbol("v", 3, 1)
    f = symprop.compile(u.T * v, args=[u, v])
    a = np.array([1.0, 2.0, 3.0])
    value, (d_u, d_v) = f.value_and_grad(a, a)
    assert value == 14.0
    assert np.array_equal(d_u, a)
    assert np.array_equal(d_v, a)


def test_several_outputs(net):
    extra = symprop.Graph(net.graph.equations, outputs=[sp.Symbol("L"), net.z, net.h])
    f = symprop.compile(extra, args=net.args, batch=[net.x, net.t])
    arguments = net.fresh(4)
    (losses, z, h), grads = f.value_and_grad(*arguments)
    right, right_grads = net.reference(arguments)
    close(losses, right)
    close(h, np.tanh(arguments[4] @ arguments[0].T + arguments[1][:, 0]))
    close(z, h @ arguments[2].T + arguments[3][:, 0])
    close(grads[2], right_grads[2])
    assert len(f(*arguments)) == 3


def test_errors_of_batches(net, each):
    arguments = net.fresh(5)
    with pytest.raises(ArgumentError, match=r"x and t have unequal numbers of samples: 5 and 4"):
        each(*arguments[:-1], arguments[-1][:4])
    with pytest.raises(
        ShapeError, match=r"argument x: expected .*\(N, 3\) or \(N, 3, 1\), found shape \(3,\)"
    ):
        each(*arguments[:4], arguments[4][0], arguments[5])
    with pytest.raises(ShapeError, match=r"argument x: expected an array of shape \(N, 3\)"):
        each(*arguments[:4], 1.0, arguments[5])
