"""`nn.plot`: the curves are the function and its derivative."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


def curves(ax):
    found = [line for line in ax.lines if len(line.get_xdata()) > 10]
    assert [line.get_label()[:1] != "_" for line in found] == [True, True]
    return np.asarray(found[0].get_xdata()), *(unbroken(line) for line in found)


def unbroken(line):
    """The ordinates of a curve without the gaps at its jumps."""
    values = np.asarray(line.get_ydata())
    return values[~np.isnan(np.asarray(line.get_xdata()))]


def test_tanh():
    x, y, d = curves(nn.plot(nn.tanh, -3, 3))
    np.testing.assert_allclose(y, np.tanh(x), rtol=1e-12)
    np.testing.assert_allclose(d, 1 / np.cosh(x) ** 2, rtol=1e-12)
    assert x[0] == -3 and x[-1] == 3


def test_functions_with_parameters_expressions_and_axes():
    x, y, d = curves(nn.plot(lambda v: nn.leaky_relu(v, 0.2)))
    np.testing.assert_allclose(y, np.where(x > 0, x, 0.2 * x), atol=1e-15)
    np.testing.assert_allclose(d, np.where(x > 0, 1, 0.2))
    axes = matplotlib.figure.Figure().subplots()
    assert nn.plot(sp.Symbol("z") ** 2, ax=axes) is axes
    assert axes.get_xlabel() == "z"


def test_a_jump_is_a_gap_and_a_steep_slope_is_none():
    for activation, gaps in ((nn.relu, 1), (nn.relu6, 1), (sp.sign, 0), (nn.tanh, 0), (sp.log, 0)):
        derivative = nn.plot(activation, -5, 5).lines[-1]
        assert np.isnan(np.asarray(derivative.get_xdata())).sum() == gaps, activation
    value = nn.plot(lambda v: sp.sign(v - 0.01), -5, 5).lines[-2]
    assert np.isnan(np.asarray(value.get_xdata())).sum() > 0
    slope = nn.plot(lambda v: nn.sigmoid(300 * v), -5, 5).lines[-2]
    assert not np.isnan(np.asarray(slope.get_xdata())).any()
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("name", ["relu", "gelu", "selu", "mish", "hardswish", "softplus", "silu", "elu"])
def test_derivatives_are_slopes(name):
    x, y, d = curves(nn.plot(getattr(nn, name)))
    matplotlib.pyplot.close("all")
    slopes = (y[2:] - y[:-2]) / (x[2:] - x[:-2])
    smooth = np.abs(np.diff(d, 2)) < 1e-2  # away from kinks
    assert smooth.sum() > 380
    np.testing.assert_allclose(slopes[smooth], d[1:-1][smooth], atol=2e-3)


def test_errors(monkeypatch):
    with pytest.raises(symprop.ArgumentError, match="symbols a, b"):
        nn.plot(sp.Symbol("a") * sp.Symbol("b"))
    with pytest.raises(symprop.ArgumentError, match="not below"):
        nn.plot(nn.relu, 1, 1)
    with pytest.raises(symprop.ArgumentError, match="found 3"):
        nn.plot(3)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"symprop\[plot\]"):
        nn.plot(nn.relu)
