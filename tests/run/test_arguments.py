"""Conversion of arguments, one at a time."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symprop.errors import ArgumentError, ShapeError
from symprop.run.arguments import Argument, address, bind_sizes, sample_count

F8, I8 = np.dtype(np.float64), np.dtype(np.int64)


def argument(shape, name="v", integer=False, batched=False):
    return Argument(sp.Symbol(name), name, shape, integer, batched, I8 if integer else F8)


def test_an_array_that_fits_is_passed_on_itself():
    a = np.arange(6.0).reshape(2, 3)
    assert argument((2, 3)).array(a) is a


@pytest.mark.parametrize(
    ("value", "found", "advice"),
    [
        (None, "found None,", "pass a number"),
        (Decimal("1.5"), "found Decimal Decimal('1.5'),", "pass float(value)"),
        ((k for k in range(3)), "found generator", "pass list(values)"),
        (map(float, "123"), "found map", "pass list(values)"),
        ({1, 2, 3}, "found set {1, 2, 3},", "pass a list"),
        ({"a": 1}, "found dict {'a': 1},", "pass a list"),
        (sp.Matrix([1, 2]), "found MutableDenseMatrix Matrix([ [1], [2]]),", "np.array(matrix, dtype=float)"),
        (sp.Symbol("q") + 1, "found Add q + 1,", "substitute numbers"),
        ([1, None, 2], "found None in entry 1 of the list,", "makes NaN of None"),
        ([[1, 2], [Decimal(1), 2]], "found Decimal Decimal('1') in entry [1, 0] of the list,", "np.asarray("),
        (np.array([1, None], dtype=object), "found Python objects (object),", ".astype(float)"),
    ],
)
def test_what_is_no_number_is_named(value, found, advice):
    with pytest.raises(ArgumentError) as error:
        argument((3,)).array(value)
    assert str(error.value).startswith(f"argument v: {found}")
    assert advice in str(error.value).partition(", expected real numbers; ")[2]


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0)[::-1].reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.arange(12.0).reshape(2, 6)[:, ::2],
        np.frombuffer(b"\0" + np.arange(6.0).tobytes(), float, 6, 1).reshape(2, 3),
        np.broadcast_to(np.arange(3.0), (2, 3)),
        [[True, False, True], [1, 2.5, 3]],
        np.arange(6, dtype=np.float16).reshape(2, 3),
    ],
)
def test_everything_else_becomes_plain(value):
    made = argument((2, 3)).array(value)
    assert made.dtype == F8
    assert made.flags.c_contiguous
    assert made.flags.aligned
    assert np.array_equal(made, np.asarray(value, float))


def test_zero_dimensional_values_stay_so():
    for value in (
        2,
        2.0,
        np.float32(2),
        np.array(2),
        Fraction(4, 2),
        sp.Integer(2),
        np.array(2, ">f4"),
        True + 1,
    ):
        made = argument(()).array(value)
        assert made.shape == ()
        assert made == 2.0
    assert argument(()).array(sp.pi) == np.pi
    assert argument(()).array(10**400 // 10**100) == 1e300


def test_numbers_too_large_for_any_float():
    with pytest.raises(ArgumentError, match="argument v"):
        argument(()).array(10**400)


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("needs .detach()")


def test_the_reason_of_another_library_is_told():
    with pytest.raises(ArgumentError, match=r"argument v: found Broken.*needs \.detach\(\)"):
        argument((3, 1)).array(Broken())


@pytest.mark.parametrize("shape,passed,inner", [
    ((), (), ()),
    ((3, 1), (3,), (3, 1)),
    ((3, 1), (3, 1), (3, 1)),
    ((1, 1), (), (1, 1)),
    ((1, 1), (1,), (1, 1)),
    ((2, 3), (2, 3), (2, 3)),
])  # fmt: skip
def test_shapes_that_fit(shape, passed, inner):
    assert argument(shape).entry(passed) == inner
    argument(shape).fit(passed)
    assert argument(shape, batched=True).entry((7, *passed)) == inner
    assert passed in argument(shape).shapes()


@pytest.mark.parametrize("shape,passed", [
    ((), (1,)),
    ((3, 1), ()),
    ((3, 1), (4,)),
    ((3, 1), (1, 3)),
    ((3, 1), (3, 1, 1)),
    ((1, 3), (3,)),
    ((2, 3), (3, 2)),
    ((2, 3), (6,)),
])  # fmt: skip
def test_shapes_that_do_not(shape, passed):
    with pytest.raises(ShapeError, match="argument v: expected"):
        argument(shape).fit(passed)
    assert passed not in argument(shape).shapes()


def test_sample_count():
    x, y, w = argument((3, 1), "x", batched=True), argument((), "y", True, True), argument((2, 2), "w")
    assert sample_count([w, x, y], [(2, 2), (5, 3), (5,)]) == 5
    assert sample_count([w], [(2, 2)]) == 1
    with pytest.raises(ArgumentError, match="x and y have unequal numbers of samples: 5 and 6"):
        sample_count([w, x, y], [(2, 2), (5, 3), (6,)])


def test_bind_sizes():
    n, m = sp.symbols("n m", integer=True)
    a, b, c = argument((n, m), "a"), argument((m, 1), "b"), argument((2 * n, m + 1), "c", batched=True)
    assert bind_sizes([a, b, c], [(2, 3), (3,), (9, 4, 4)], {}) == {n: 2, m: 3}
    assert bind_sizes([c], [(9, 4, 4)], {}) == {n: 2, m: 3}
    with pytest.raises(ShapeError, match="size m is 3 in argument a but 5 in argument b"):
        bind_sizes([a, b], [(2, 3), (5, 1)], {})
    with pytest.raises(ShapeError, match=r"argument c: .*2\*n"):
        bind_sizes([a, c], [(2, 3), (1, 5, 4)], {})
    with pytest.raises(ShapeError, match=r"argument c"):
        bind_sizes([c], [(1, 5, 4)], {})
    with pytest.raises(ShapeError, match="size n is 7"):
        bind_sizes([a], [(2, 3)], {n: 7})


def test_labels():
    i = argument((), "i", integer=True, batched=True)
    for kind in (np.int8, np.uint16, np.uint64, np.float32, bool):
        made = i.array(np.array([0, 1, 1], kind))
        assert made.dtype == I8
        assert made.tolist() == [0, 1, 1]
    with pytest.raises(ArgumentError, match=r"a whole number of at most 64 bits .*; declare i without"):
        i.array(np.array([0, 2**64 - 1], np.uint64))
    with pytest.raises(ArgumentError, match=r"argument i: found 0\.5 in row 1, expected a whole number"):
        i.array([0.0, 0.5])
    with pytest.raises(ArgumentError, match=r"found 1e\+300 in row 0"):
        i.array([1e300])


def test_addresses():
    whole = np.arange(12.0).reshape(3, 4)
    for a in (
        whole,
        whole[1:],
        whole[:, 2:],
        whole.T,
        np.array(2.0),
        np.empty((0, 3)),
        np.zeros(3, np.float32),
    ):
        assert address(a) == a.__array_interface__["data"][0]
