"""The native code of digamma(x) - log(x) and trigamma(x) - 1/x, against mpmath, with special values."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import ulp_sweep as sweep

from symprop.emit.math.gamma_rest import RESTS

POINTS = np.concatenate([10 ** np.random.default_rng(5).uniform(-12, 18, 300), np.linspace(0.05, 9, 180)])


@functools.cache
def library(target, element):
    machine = sweep.make_target(target)
    return sweep.Library(machine, element, machine.lanes(element), functions=RESTS)


def exact(name, x):
    with mp.workdps(90):
        return mp.digamma(x) - mp.log(x) if name == "digamma_rest" else mp.polygamma(1, x) - 1 / x


@pytest.mark.parametrize("element", ["double", "float"])
@pytest.mark.parametrize("target", sweep.runnable(["host", "sse2"]))
@pytest.mark.parametrize("name", list(RESTS))
def test_accuracy(name, target, element):
    x = POINTS.astype(np.float64 if element == "double" else np.float32)
    found = library(target, element)(name, x)
    assert (
        max(sweep.ulp_error(f, exact(name, mp.mpf(float(v))), element) for f, v in zip(found, x, strict=True))
        < 2.5
    )


@pytest.mark.parametrize(
    ("name", "x", "right"),
    [
        ("digamma_rest", [np.nan, 1e-300, -1.5, 1e300], [np.nan, -1e300, np.nan, -5e-301]),
        ("trigamma_rest", [np.nan, 1e-100, -0.5, 1e150], [np.nan, 1e200, 10.934802201, 5e-301]),
    ],
)
def test_special_values(name, x, right):
    np.testing.assert_allclose(library("host", "double")(name, np.array(x)), right, rtol=1e-9)
