"""A picture of an activation: the function and its derivative."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from symprop.declare import as_graph
from symprop.differentiate import adjoints
from symprop.errors import ArgumentError, MissingExtraError
from symprop.graph.evaluate import evaluate

__all__ = ["plot"]

_POINTS = 401
_POLE, _FEW = 4, 0.1  # a pole: less than a tenth of the places is higher than four times the width


def plot(
    activation: Callable[[Any], Any] | sp.Expr, low: float = -5.0, high: float = 5.0, *, ax: Any = None
) -> Any:
    """Plot an activation and its derivative between `low` and `high`; returns the axes of matplotlib.

    `activation` is a function of one scalar (`nn.gelu`, `sympy.tanh`, `lambda x: nn.leaky_relu(x, 0.2)`) or
    an expression in one symbol; `ax` are axes to draw on (default: new ones). Needs the extra `plot`.

    >>> from symprop import nn
    >>> axes = plot(nn.sigmoid)  # doctest: +SKIP
    """
    x, expression, name = _function(activation)
    if not low < high:
        raise ArgumentError(f"nn.plot: low={low} is not below high={high}")
    graph = as_graph(expression)
    node = graph.nodes[graph.outputs[0]]
    if node.shape:
        raise ArgumentError(f"nn.plot: {name} of a scalar has shape {node.shape}; expected a scalar function")
    point = graph.table.symbol(x)
    derivative = adjoints(graph.table, node, [point]).get(point.serial) or graph.table.constant(0)
    places = np.linspace(low, high, _POINTS)
    values = np.array([[float(v) for v in evaluate([node, derivative], {x: p})] for p in places])
    values[np.isnan(values[:, 0]), 1] = np.nan  # no slope where there is no value
    try:
        pyplot: Any = importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise MissingExtraError(
            "nn.plot needs matplotlib, which is not installed: pip install 'symprop[plot]'"
        ) from error
    if ax is None:
        ax = pyplot.subplots(figsize=(5.0, 3.4), layout="constrained")[1]
    ax.axhline(0, color="0.7", linewidth=0.8)
    ax.axvline(0, color="0.7", linewidth=0.8)
    for curve, label, style in (
        (values[:, 0], f"{name}({x})", {"color": "#15803d", "linewidth": 2}),
        (values[:, 1], f"{name}'({x})", {"color": "#b91c1c", "linewidth": 1.6, "linestyle": "--"}),
    ):
        ax.plot(*broken(places, curve), label=label, **style)
    high_up = np.abs(values) > _POLE * (high - low)
    if high_up.any() and high_up.any(axis=1).mean() < _FEW:
        ax.set_ylim(low - high, high - low)
    ax.set_xlabel(str(x))
    ax.set_title(name)
    ax.legend(frameon=False)
    ax.margins(x=0)
    return ax


def broken(places: Any, curve: Any) -> tuple[Any, Any]:
    """A curve with a gap where it jumps: a step much larger than those beside it."""
    with np.errstate(invalid="ignore"):
        steps = np.abs(curve[1:] - curve[:-1])
        beside = np.maximum(np.append(steps[1:], 0.0), np.append(0.0, steps[:-1]))
    finite = curve[np.isfinite(curve)]
    height = np.ptp(finite) if finite.size else 0.0
    jumps = np.flatnonzero((steps > 0.02 * height) & (steps > 10 * beside)) + 1
    return np.insert(places, jumps, np.nan), np.insert(curve, jumps, np.nan)


def _function(activation: Any) -> tuple[Any, Any, str]:
    """The symbol, the expression, and a name."""
    if isinstance(activation, sp.Expr):
        symbols = [s for s in as_graph(activation).inputs if isinstance(s, sp.Symbol)]
        if len(symbols) != 1:
            found = ", ".join(map(str, symbols)) or "none"
            raise ArgumentError(f"nn.plot: the expression has the symbols {found}; expected one")
        return symbols[0], activation, "f"
    if not callable(activation):
        raise ArgumentError(
            "nn.plot takes a function such as nn.gelu, or an expression in one symbol, found "
            f"{activation!r:.60}"
        )
    x = sp.Symbol("x")
    name = getattr(activation, "__name__", "f")
    return x, activation(x), "f" if name == "<lambda>" else str(name)
