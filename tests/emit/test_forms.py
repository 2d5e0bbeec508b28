"""The native code of the forms that keep digits, against mpmath, with special values."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import ulp_sweep as sweep

from symprop.emit.math.forms import FORMS
from symprop.graph import OPERATIONS

NAMES = [n for n in FORMS if n != "exp_rest"]  # no value of its own: tests/pipeline/test_exact_arguments.py
LIMITS = {"tanh_gap": 2.5, "exp_product": 1.1, "exp_sum": 1.1, "exp_gap": 1.0, "root_of_squares": 0.6}
LIMITS |= {name: 1.6 for name in FORMS if name.endswith("_near")}
OPERANDS = {"tanh_gap": 1, "exp_product": 2, "exp_sum": 2, "exp_gap": 2, "root_of_squares": 2}
OPERANDS |= {name: 2 for name in FORMS if name.endswith("_near")}
REACH = {"erfc_near": 26.0, "normal_cdf_near": 37.0}  # where the value is a normal number


def with_nothing_before(function):
    """exp_product of a first term that is 0."""
    return lambda b, x, y: function(b, b.const(0.0, x.type), x, y)


FUNCTIONS = {n: with_nothing_before(FORMS[n]) if n == "exp_product" else FORMS[n] for n in NAMES}


@functools.cache
def library(target, element):
    machine = sweep.make_target(target)
    pairs = [n for n in NAMES if OPERANDS[n] == 2]
    return sweep.Library(machine, element, machine.lanes(element), functions=FUNCTIONS, pairs=pairs)


def exact(name, *args):
    values = [mp.mpf(float(a)) for a in args]
    if name == "exp_product":
        values.insert(0, mp.mpf(0))
    with mp.workdps(700 if name == "tanh_gap" and abs(args[0]) < 1e-20 else 400):
        return OPERATIONS[name].exact((), *values)


def points(name, element, count):
    random = np.random.default_rng(5)
    double = element == "double"
    top = 740.0 if double else 100.0
    if name == "tanh_gap":
        sizes = np.exp(random.uniform(-60 if double else -25, 6, count))
        return sizes * np.sign(random.normal(size=count)), None
    if name == "exp_product":
        x = np.exp(random.uniform(-5, 5, count))
        return x, random.uniform(-1, 1, count) * top / x
    if name == "exp_gap":
        x = random.uniform(-1e3, 1e3, count)
        apart = random.uniform(-1, 1, count) * np.where(np.arange(count) % 2, top, 1e-3)
        apart[::2] = random.uniform(*((709, 745) if double else (88, 103)), count)[::2]  # subnormal results
        return x, x + apart
    if name == "exp_sum":
        x = random.uniform(-1e3, 1e3, count)
        return x, random.uniform(-1, 1, count) * top - x
    if name.endswith("_near"):
        reach = REACH.get(name, 700.0) if double else REACH.get(name, 300.0) / 3.6
        reach = reach / 2 if name == "tanh_prime_near" else reach
        x = random.uniform(-reach, reach, count).astype(np.float64 if double else np.float32)
        return x, random.uniform(-0.5, 0.5, count) * np.spacing(x)
    e = random.uniform(-300, 300, count) if double else random.uniform(-35, 35, count)
    return 10**e * random.normal(size=count), 10 ** np.clip(e + random.uniform(-10, 10, count), -300, 307)


@pytest.mark.parametrize("element", ["double", "float"])
@pytest.mark.parametrize("target", sweep.runnable(["host", "sse2"]))
@pytest.mark.parametrize("name", NAMES)
def test_accuracy(name, target, element):
    kind = np.float64 if element == "double" else np.float32
    with np.errstate(over="ignore"):
        x, y = (None if v is None else v.astype(kind) for v in points(name, element, 250))
    found = library(target, element)(name, x, y)
    worst = 0.0
    for k in range(len(x)):
        args = (x[k],) if y is None else (x[k], y[k])
        if np.all(np.isfinite(args)):
            worst = max(worst, sweep.ulp_error(found[k], exact(name, *args), element))
    assert worst <= LIMITS[name] * (1.1 if target == "sse2" else 1.0)


@pytest.mark.parametrize("element", ["double", "float"])
@pytest.mark.parametrize(
    ("name", "x", "y", "right"),
    [
        ("tanh_gap", [0.0, -0.0, np.inf, -np.inf, np.nan], None, [0.0, -0.0, np.inf, -np.inf, np.nan]),
        (
            "exp_product",
            [np.inf, 0.0, np.inf, np.nan, 1e30],
            [-1, 5, 0, 1, 1e30],
            [0, 1, np.nan, np.nan, np.inf],
        ),
        (
            "exp_sum",
            [np.inf, -np.inf, np.inf, np.nan, 1e30],
            [1, 2, -np.inf, 1, -1e30],
            [np.inf, 0, np.nan, np.nan, 1],
        ),
        (
            "exp_gap",
            [np.inf, -np.inf, np.inf, np.nan, 1e30, 0.0, -np.inf, 3e38],
            [1, -np.inf, np.inf, 1, -1e30, -0.0, np.inf, -3e38],
            [0, 1, 1, np.nan, 0, 1, 0, 0],
        ),
        (
            "exp_near",
            [np.inf, -np.inf, 0, np.nan, 1e3],
            [np.nan, 3e30, 0, 0, np.nan],
            [np.inf, 0, 1, np.nan, np.inf],
        ),
        (
            "sigmoid_near",
            [np.inf, -np.inf, 0, np.nan, 1e3],
            [np.nan, 3e30, 0, 0, np.nan],
            [1, 0, 0.5, np.nan, 1],
        ),
        ("root_of_squares", [0, np.inf, -3, np.nan, 3e37], [0, 1, 4, 1, 4e37], [0, np.inf, 5, np.nan, 5e37]),
    ],
)
def test_special_values(name, x, y, right, element):
    kind = np.float64 if element == "double" else np.float32
    found = library("host", element)(name, np.array(x, kind), None if y is None else np.array(y, kind))
    np.testing.assert_array_equal(found, np.array(right, kind))
    np.testing.assert_array_equal(np.signbit(found)[:2], np.signbit(np.array(right, kind))[:2])


@pytest.mark.parametrize("element", ["double", "float"])
def test_a_root_of_squares_of_subnormal_numbers(element):
    kind = np.float64 if element == "double" else np.float32
    least = float(np.finfo(kind).smallest_subnormal)
    x, y = np.array([3, 0, 1, 30, 5e6], kind) * kind(least), np.array([4, 1, 0, 40, 12e6], kind) * kind(least)
    found = library("host", element)("root_of_squares", x, y)
    np.testing.assert_array_equal(found, np.array([5, 1, 1, 50, 13e6], kind) * kind(least))
