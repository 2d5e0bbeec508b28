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
    return np.asarray(found[0].get_xdata()), *(np.asarray(line.get_ydata()) for line in found)


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
