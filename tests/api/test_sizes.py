"""Symbolic sizes: bound by the arrays of a call, compiled once for each set."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import ArgumentError, ShapeError

n, m = sp.symbols("n m", integer=True, positive=True)
A, v = sp.MatrixSymbol("A", n, m), sp.MatrixSymbol("v", m, 1)


@pytest.fixture(scope="module")
def f():
    return symprop.compile((A * v).T * (A * v), args=[A, v])


@pytest.mark.parametrize("size", [(3, 2), (1, 1), (5, 4), (3, 2), (2, 7)])
def test_sizes_of_each_call(f, size):
    rng = np.random.default_rng(sum(size))
    a, x = rng.normal(size=size), rng.normal(size=size[1])
    value, (d_a, d_v) = f.value_and_grad(a, x)
    np.testing.assert_allclose(value, (a @ x) @ (a @ x), rtol=1e-13)
    np.testing.assert_allclose(d_a, 2 * np.outer(a @ x, x), rtol=1e-12)
    np.testing.assert_allclose(d_v, 2 * a.T @ (a @ x), rtol=1e-12)
    assert d_v.shape == x.shape
    assert f.grad(a, x[:, None])[1].shape == (size[1], 1)


def test_one_size_bound_twice(f):
    with pytest.raises(ShapeError, match=r"size m is 3 in argument A but 2 in argument v.*agree in m"):
        f(np.ones((4, 3)), np.ones(2))
    with pytest.raises(
        ShapeError, match=r"argument A: expected an array of shape \(n, m\), found shape \(4,\)"
    ):
        f(np.ones(4), np.ones(2))


def test_code_is_kept_for_sizes_seen_before(f):
    step = f.bind(np.ones((3, 2)), np.ones(2))
    step()
    assert step.value == 12.0
    family = f._joint
    first = family.entry((np.ones((3, 2)), np.ones(2)))
    f.value_and_grad(np.ones((2, 2)), np.ones(2))
    assert family.entry((np.ones((3, 2)), np.ones(2))) is first


def test_before_the_first_call():
    g = symprop.compile(v.T * v, args=[v])
    with pytest.raises(ArgumentError, match="m not known yet"):
        _ = g.llvm_ir
    assert "v" in str(g.program)
    assert g([1, 2, 3]) == 14.0
    g.grad([1, 2, 3])
    assert "define" in g.llvm_ir
    assert g.cost.bytes == 8 * (3 + 1 + 3)
    assert repr(g) == "<Function (v: (m,)) -> out: scalar; gradient by v; float64>"


def test_a_size_inside_the_formula():
    """The mean over n entries: n is a number of the formula too."""
    g = symprop.compile(sp.Trace(sp.OneMatrix(1, m) * v) / m, args=[v])
    value, (grad,) = g.value_and_grad([1.0, 2.0, 6.0])
    assert value == 3.0
    np.testing.assert_allclose(grad, np.full(3, 1 / 3), rtol=1e-15)


def test_a_size_as_argument():
    g = symprop.compile(sp.Trace(sp.OneMatrix(1, m) * v) / m, args=[m, v])
    assert g.wrt == (v,)
    assert g(3, [1.0, 2.0, 6.0]) == 3.0
    with pytest.raises(ShapeError, match=r"size m is 4 in argument m .*but 3 in argument v"):
        g(4, [1.0, 2.0, 6.0])


def test_sizes_that_are_formulas():
    w = sp.MatrixSymbol("w", n + 1, 1)
    g = symprop.compile(w.T * w, args=[w])
    assert g([1, 2, 3]) == 14.0
    u = sp.MatrixSymbol("u", n, 1)
    h = symprop.compile(symprop.scalar(w.T * w) + symprop.scalar(u.T * u), args=[w, u])
    assert h([1, 2, 3], [1, 1]) == 16.0
    with pytest.raises(ShapeError, match=r"argument w: expected .*n \+ 1"):
        h([1, 2, 3], [1, 1, 1])


def test_samples_beside_symbolic_sizes():
    x = sp.MatrixSymbol("x", m, 1)
    g = symprop.compile(v.T * x, args=[v, x], batch=[x], reduce="sum")
    rng = np.random.default_rng(3)
    for samples, size in ((5, 3), (0, 3), (4, 6)):
        xs, vs = rng.normal(size=(samples, size)), rng.normal(size=size)
        value, (d_v,) = g.value_and_grad(vs, xs)
        np.testing.assert_allclose(value, (xs @ vs).sum(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(d_v, xs.sum(0), rtol=1e-12, atol=1e-14)


def test_pickle(f):
    twin = pickle.loads(pickle.dumps(f))
    arguments = np.arange(6.0).reshape(3, 2), np.array([0.1, 0.7])
    assert twin(*arguments) == f(*arguments)
