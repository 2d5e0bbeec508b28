"""Sums over features, samples and of matrix products, against exact rational sums.

The bound is the classical one of blocked summation (Higham, Accuracy and Stability of Numerical Algorithms,
4.2): |error| <= gamma(d) * (the sum of the sizes of the terms), gamma(d) = d u/(1 - d u), where d is the
length of the longest chain of additions that one term goes through, and one more for the product. Chains hold
blocks of at most 1024 terms, in lanes or of an entry of a product, then one addition for each block, then the
tree over the lanes: for n terms d = min(n, 1024) + ceil(n/512) + 16 bounds every order that the compiler
chooses, far below n for long sums.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
import sympy as sp

import symprop

UNIT = {"float64": Fraction(1, 2**53), "float32": Fraction(1, 2**24)}
k = sp.Symbol("k", integer=True)


def bound(count, dtype):
    """gamma(d) for a sum of so many terms."""
    steps = (min(count, 1024) + ceil(count / 512) + 16) * UNIT[dtype]
    return steps / (1 - steps)


def numbers(shape, dtype, seed):
    """Numbers of both signs and of very different sizes: their sums cancel."""
    random = np.random.default_rng(seed)
    values = random.normal(size=shape) * 10.0 ** random.uniform(-6, 6, shape)
    return values.astype(dtype)


def exact(values):
    """Every number as a fraction."""
    return [Fraction(float(v)) for v in np.ravel(values)]


def check(found, terms, dtype):
    """The sum of exact terms, within the bound and within what a plain loop is allowed."""
    total, size = sum(terms), sum(abs(t) for t in terms)
    assert abs(Fraction(float(found)) - total) <= bound(len(terms), dtype) * size + UNIT[dtype] * abs(total)


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize("count", [1, 3, 17, 700, 5000])
def test_a_sum_over_features(count, dtype):
    v = sp.MatrixSymbol("v", count, 1)
    f = symprop.compile(sp.Sum(v[k, 0], (k, 0, count - 1)), args=[v], dtype=dtype)
    values = numbers((count, 1), dtype, count)
    check(f(values), exact(values), dtype)


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize("count", [1, 5, 1000, 4099, 40000])
def test_a_sum_over_samples(count, dtype):
    x, y = sp.symbols("x y")
    f = symprop.compile(x * y, args=[x, y], batch=[x, y], reduce="sum", dtype=dtype)
    a, b = numbers(count, dtype, count), numbers(count, dtype, count + 1)
    terms = [p * q for p, q in zip(exact(a), exact(b), strict=True)]
    check(f(a, b), terms, dtype)


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 9, 1), (3, 40, 2), (24, 700, 20), (8, 3000, 5)])
def test_matrix_products(rows, inner, columns, dtype):
    A, B = sp.MatrixSymbol("A", rows, inner), sp.MatrixSymbol("B", inner, columns)
    a, b = numbers((rows, inner), dtype, 1), numbers((inner, columns), dtype, 2)
    found = symprop.compile(A * B, args=[A, B], dtype=dtype)(a, b)
    for i, j in {(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)}:
        terms = [p * q for p, q in zip(exact(a[i]), exact(b[:, j]), strict=True)]
        check(np.reshape(found, (rows, columns))[i, j], terms, dtype)


@pytest.mark.parametrize("dtype", UNIT)
def test_a_gradient_over_samples_is_a_matrix_product(dtype):
    """The gradient with respect to a weight matrix: products summed over the samples."""
    w, x, t = sp.MatrixSymbol("w", 2, 3), sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("t", 2, 1)
    f = symprop.compile(
        symprop.scalar(t.T * w * x), args=[w, x, t], batch=[x, t], reduce="sum", wrt=[w], dtype=dtype
    )
    xs, ts = numbers((3000, 3, 1), dtype, 3), numbers((3000, 2, 1), dtype, 4)
    _, (gradient,) = f.value_and_grad(np.ones((2, 3), dtype), xs, ts)
    terms = [p * q for p, q in zip(exact(ts[:, 1, 0]), exact(xs[:, 2, 0]), strict=True)]
    check(gradient[1, 2], terms, dtype)


def test_the_bound_is_tighter_than_that_of_a_plain_loop():
    """A loop that adds a million equal numbers in float32 one after the other leaves the bound."""
    count = 1_000_000
    plain = np.float32(0)
    for _ in range(20):  # twenty blocks of a running sum, by NumPy's cumulative sum in single precision
        plain = np.cumsum(np.concatenate([[plain], np.full(count // 20, np.float32(0.1))]), dtype=np.float32)[
            -1
        ]
    term = Fraction(float(np.float32(0.1)))
    allowed = bound(count, "float32") * count * term
    assert abs(Fraction(float(plain)) - count * term) > allowed
    x = sp.Symbol("x")
    f = symprop.compile(x, args=[x], batch=[x], reduce="sum", dtype="float32")
    assert abs(Fraction(float(f(np.full(count, np.float32(0.1))))) - count * term) <= allowed


def test_the_error_does_not_grow_with_the_depth():
    """One chain over 20,000 equal numbers is 2e-4 off in single precision, one over a million 1%."""
    v, w = (sp.MatrixSymbol(name, 20000, 1) for name in "vw")
    A, B = (sp.MatrixSymbol(name, 20000, 40) for name in "AB")
    C = sp.MatrixSymbol("C", 40, 20000)
    i = sp.Symbol("i", integer=True)
    for expression, left, right in (
        (symprop.scalar(v.T * w), v, w),
        (A.T * v, A, v),
        (C * v, C, v),
        (C * A, C, A),
        (A.T * B, A, B),
        (v.T * A, v, A),
        (sp.Sum(A[k, i] * C[i, k], (k, 0, 19999), (i, 0, 39)), A, C),
    ):
        f = symprop.compile(expression, args=[left, right], dtype="float32")
        found = f(np.full(left.shape, np.float32(0.1)), np.ones(right.shape, np.float32))
        count = 20000 * (40 if isinstance(expression, sp.Sum) else 1)
        np.testing.assert_allclose(found, float(np.float32(0.1)) * count, rtol=3e-5)
    many = sp.MatrixSymbol("m", 3_000_000, 1)
    f = symprop.compile(sp.Sum(many[k, 0], (k, 0, 2_999_999)), args=[many], dtype="float32")
    np.testing.assert_allclose(f(np.full(3_000_000, np.float32(0.1))), 3e5, rtol=3e-5)


def test_the_gradient_of_a_matrix_over_many_samples_is_summed_in_blocks():
    W, x, t = sp.MatrixSymbol("W", 64, 128), sp.MatrixSymbol("x", 128, 1), sp.MatrixSymbol("t", 64, 1)
    f = symprop.compile(
        symprop.scalar(t.T * W * x), args=[W, x, t], batch=[x, t], reduce="sum", wrt=W, dtype="float32"
    )
    for count in (0, 1, 513, 1025, 20000):
        xs, ts = np.full((count, 128), np.float32(0.1)), np.ones((count, 64), np.float32)
        gradient = f.grad(np.ones((64, 128), np.float32), xs, ts)
        np.testing.assert_allclose(gradient, float(np.float32(0.1)) * count, rtol=1e-5)


def test_the_error_does_not_grow_with_the_number_of_blocks():
    """What the additions of many blocks lose is added at the end: without it the mean of four million equal
    numbers is 4e-5 off, with it what one block of 1,024 in lanes loses is left.
    """
    count = 4_000_000
    x = sp.Symbol("x")
    f = symprop.compile(x, args=[x], batch=[x], reduce="mean", dtype="float32")
    values = np.full(count, np.float32(0.1))
    assert abs(float(f(values)) / float(np.float32(0.1)) - 1) <= 1e-5
    values[7] = np.inf
    assert f(values) == np.inf
    values[8] = -np.inf
    assert np.isnan(f(values))
