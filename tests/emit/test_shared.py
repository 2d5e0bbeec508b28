"""What functions of one argument share, and functions packed side by side: less code, the same bits."""

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.emit.builder import F64, Builder, Module, Value, vector
from symprop.emit.math import CALLS
from symprop.emit.target import host

POINTS = np.concatenate([np.linspace(-40, 40, 97), [0.0, -0.0, 1e-300, 400.0, -800.0, np.inf, -np.inf]])


def written(*calls):
    """The lines of functions of x or -x, one after the other."""
    b = Builder(Module(host()))
    x = Value("%a0", vector("double", 4))
    negative = b.fneg(x)
    for name, sign in calls:
        CALLS[name](b, x if sign > 0 else negative)
    return b.lines


def divisions(lines):
    return sum("fdiv" in line for line in lines)


@pytest.mark.parametrize(
    ("calls", "count"),
    [
        ([("tanh", 1), ("tanh_prime", 1)], 1),
        ([("tanh", 1), ("tanh_prime", -1)], 1),
        ([("sigmoid", 1), ("sigmoid_prime", 1), ("sigmoid", -1)], 1),
        ([("sigmoid", 1), ("softplus", 1)], 2),  # the logarithm has one of its own
        ([("tanh", 1), ("sigmoid", 1)], 2),  # not of the same exponential
    ],
)
def test_one_exponential_and_one_division_for_all(calls, count):
    together = written(*calls)
    assert divisions(together) == count
    assert len(together) < sum(len(written(call)) for call in calls) or calls[0][0] != calls[1][0]


def test_the_scale_of_an_argument_counts_and_its_sign_does_not():
    b = Builder(Module(host()))
    x = Value("%a0", F64)
    made = []
    for factor in (1.5, -1.5, 2.5):
        scaled = b.fmul(b.const(factor, F64), x)
        b.once("some", scaled, lambda s=scaled: made.append(s), even=True)
    assert len(made) == 2
    b.once("some", b.fneg(x), lambda: made.append(x))
    b.once("some", x, lambda: made.append(x))
    assert len(made) == 4  # a function that is not even shares nothing with -x


@pytest.mark.parametrize(("name", "factor"), [("erfc", None), ("normal_cdf", -0.5)])
def test_a_tail_and_its_slope_share_the_exponential(name, factor):
    def lines(*names):
        b = Builder(Module(host()))
        x = Value("%a0", vector("double", 4))
        zero = b.const(0.0, x.type)
        first = b.fneg(x) if factor is None else b.const(factor, x.type)
        more = [] if factor is None else [x]
        for each in names:
            args = [zero, first, x, *more] if each == "exp_product" else [x]
            CALLS[each](b, *args)
        return len(b.lines)

    both, alone = lines(name, "exp_product"), [lines(name), lines("exp_product")]
    assert both - alone[0] < alone[1] / 3


def test_sine_and_cosine_share_the_reduction():
    calls = [
        sum("@reduce_huge" in line for line in written(*names))
        for names in ([("sin", 1)], [("sin", 1), ("cos", 1)], [("cos", 1), ("sin", -1)])
    ]
    assert calls == [1, 1, 2]


def test_nothing_is_shared_beyond_a_block():
    b = Builder(Module(host()))
    x, made = Value("%a0", F64), []
    b.once("some", x, lambda: made.append(1))
    b.start(b.label("next"))
    b.once("some", x, lambda: made.append(2))
    assert made == [1, 2]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_shared_functions_have_the_bits_of_single_ones(dtype):
    x = sp.Symbol("x")
    points = POINTS.astype(dtype)
    forms = [sp.tanh(x), nn.sigmoid(x), nn.softplus(x), nn.gelu(x), sp.sin(x), sp.cos(x)]
    joined = symprop.compile(forms, args=[x], batch=[x], wrt=[], dtype=dtype)(points)
    for form, values in zip(forms, joined, strict=True):
        alone = symprop.compile(form, args=[x], batch=[x], wrt=[], dtype=dtype)(points)
        np.testing.assert_array_equal(alone.view(np.uint8), np.ascontiguousarray(values).view(np.uint8))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_packed_functions_have_the_bits_of_single_ones(count):
    names = sp.symbols(f"x:{count}")
    rows = np.random.default_rng(count).normal(size=(count, 11)) * 3
    packed = symprop.compile([sp.tanh(s) for s in names], args=list(names), batch=list(names), wrt=[])
    found = packed(*rows)
    one = symprop.compile(sp.tanh(names[0]), args=[names[0]], batch=[names[0]], wrt=[])
    for values, row in zip(found if count > 1 else [found], rows, strict=True):
        np.testing.assert_array_equal(values, one(row))
        np.testing.assert_array_equal(values[:1], one(row[:1]))
