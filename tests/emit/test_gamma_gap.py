"""The native code of differences of the gamma family, against mpmath, with special values."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import ulp_sweep as sweep

from symprop.emit.math.gamma_gap import GAPS

ORDER = {"loggamma_gap": -1, "digamma_gap": 0, "trigamma_gap": 1, "polygamma_2_gap": 2, "polygamma_3_gap": 3}
inf, nan = np.inf, np.nan


def of_two(function):
    """The distance is the difference of the two."""
    return lambda b, x, y: function(b, x, y, b.fsub(x, y))


FUNCTIONS = {name: of_two(function) if name in ORDER else function for name, function in GAPS.items()}


@functools.cache
def library(target, element):
    machine = sweep.make_target(target)
    return sweep.Library(machine, element, machine.lanes(element), functions=FUNCTIONS, pairs=FUNCTIONS)


def exact(name, x, y):
    a, b = mp.mpf(float(x)), mp.mpf(float(y))
    with mp.workdps(90):
        if name == "log_beta":
            return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
        if name == "loggamma_gap":
            return mp.loggamma(a) - mp.loggamma(b)
        return mp.polygamma(ORDER[name], a) - mp.polygamma(ORDER[name], b)


def points(name, count):
    """Any two, and two as near each other as 1e-14."""
    random = np.random.default_rng(5)
    y = 10 ** random.uniform(-6, 6, count)
    x = 10 ** random.uniform(-6, 6, count)
    near = y * (1 + random.choice([-1, 1], count) * 10 ** random.uniform(-14, -0.01, count))
    return np.where(np.arange(count) % 3 == 0 if name != "log_beta" else True, x, near), y


@pytest.mark.parametrize("element", ["double", "float"])
@pytest.mark.parametrize("target", sweep.runnable(["host", "sse2"]))
@pytest.mark.parametrize("name", list(GAPS))
def test_accuracy(name, target, element):
    """A few units; next to the least value of gamma at 1.46 what is left of log gamma is of no sign."""
    kind = np.float64 if element == "double" else np.float32
    x, y = (v.astype(kind) for v in points(name, 250))
    found = library(target, element)(name, x, y)
    limit = {"log_beta": 1.5}.get(name, 8.0)
    for value, a, b in zip(found, x, y, strict=True):
        right = exact(name, a, b)
        size = abs(right)
        if name == "loggamma_gap":
            size = max(size, abs(float(a) - float(b)) / max(float(a), float(b)))
        if size < (1e-300 if element == "double" else 1e-35) or size > (
            1e300 if element == "double" else 1e37
        ):
            continue
        assert abs(value - right) <= limit * np.finfo(kind).eps * size, (a, b, value, right)


@pytest.mark.parametrize(
    ("name", "x", "y", "right"),
    [
        ("digamma_gap", [3.0, nan, 1.0], [3.0, 1.0, nan], [0.0, nan, nan]),
        ("trigamma_gap", [-0.5, 1.0], [1.5, -2.5], [8.0, -7.89431258]),
        ("loggamma_gap", [-0.5, 1e-300, 2.0], [1.5, 1e300, 1.0], [np.log(4), -6.89775527898e302, 0.0]),
        (
            "log_beta",
            [1e-300, 0.0, nan, 1e5, -0.5],
            [2.0, 2.0, 1.0, 1e5, 2.25],
            [690.775527898, inf, nan, -138633.927061, 1.474784959],
        ),
    ],
)
def test_special_values(name, x, y, right):
    """Negative arguments by the two values."""
    found = library("host", "double")(name, np.array(x), np.array(y))
    np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-15)
