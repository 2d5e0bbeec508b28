"""Programs written out without loops, whose samples lie in lanes."""

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.emit.builder import F32, F64, PTR, Builder, Module, Value
from symprop.emit.columns import load_columns
from symprop.emit.streaming import LARGE
from symprop.emit.target import host


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("entries", [2, 3, 4, 5, 6, 7, 8, 9, 12, 17])
def test_each_entry_of_a_row_comes_to_its_sample(entries, dtype):
    # sizes below and above the lanes of a vector, odd and even, are taken apart in different ways
    x = sp.MatrixSymbol("x", entries, 1)
    f = symprop.compile(2 * x, args=[x], batch=[x], wrt=[], dtype=dtype)
    rows = np.arange(45 * entries, dtype=dtype).reshape(45, entries)
    assert f.schedule.mode == "unrolled"
    np.testing.assert_array_equal(f(rows), 2 * rows)


@pytest.mark.parametrize("kind", [F64, F32])
def test_no_entry_behind_a_row_is_read(kind):
    lanes = 2 * host().lanes(kind.element)
    for entries in range(2, 20):
        for wanted in range(entries):
            b = Builder(Module(host()))
            columns = load_columns(b, Value("%rows", PTR), kind, entries, wanted, lanes)
            assert {wanted} <= columns.keys() <= set(range(entries))
            assert all(column.type.lanes == lanes for column in columns.values())


def test_samples_that_fill_up_a_block_do_not_count():
    # the log of a sample that is not there would be infinite
    w, x, y = sp.symbols("w x y")
    f = symprop.compile(w * sp.log(x) * y, args=[w, x, y], batch=[x, y], reduce="sum")
    rng = np.random.default_rng(0)
    for samples in [*range(1, 40), 1025, 2049]:
        a, b = rng.uniform(0.5, 2, samples), rng.normal(size=samples)
        value, (slope,) = f.value_and_grad(0.5, a, b)
        expected = np.sum(np.log(a) * b)
        np.testing.assert_allclose([value, slope], [0.5 * expected, expected], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_outputs_larger_than_a_cache_have_the_same_bits(dtype):
    x, w = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("w", 4, 3)
    f = symprop.compile(symprop.scalar((w * x).T * (w * x)), args=[w, x], batch=[x], dtype=dtype)
    samples = LARGE // (13 * 4) + 7
    rng = np.random.default_rng(0)
    weights, rows = rng.normal(size=(4, 3)).astype(dtype), rng.normal(size=(samples, 3)).astype(dtype)
    value, (slope,) = f.value_and_grad(weights, rows)
    for start in range(0, samples, 20_000):  # parts of it are stored directly
        part = slice(start, start + 20_000)
        few, (less,) = f.value_and_grad(weights, rows[part])
        np.testing.assert_array_equal(value[part], few)
        np.testing.assert_array_equal(slope[part], less)


@pytest.mark.parametrize("count", [5, 6, 16, 21, 37])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_lanes_side_by_side_have_the_bits_of_those_alone(count, dtype):
    w, x = sp.symbols(f"w:{count}"), sp.symbols(f"x:{count}")
    loss = sp.tanh(sum(a * b for a, b in zip(w, x, strict=True)))
    options = {"args": [*w, *x], "batch": x, "reduce": "sum", "dtype": dtype}
    together = symprop.compile(loss, wrt=w, **options)
    assert together.schedule.mode == "unrolled"
    rng = np.random.default_rng(4)
    for samples in (1, 40, 3000, 9000):
        weights, data = rng.normal(size=count), rng.normal(size=(count, samples))
        _, slopes = together.value_and_grad(*weights, *data)
        for k in (0, count // 2, count - 1):
            alone = symprop.compile(loss, wrt=[w[k]], **options)
            assert alone.value_and_grad(*weights, *data)[1][0] == slopes[k]
        right = (data / np.cosh(weights @ data) ** 2).sum(1)
        tolerance = 1e-13 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(slopes, right, rtol=0, atol=tolerance * np.abs(data).sum(1).max())
