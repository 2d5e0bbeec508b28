"""Where a NaN comes from: the equations of a network, in order, on the batch that brought it forth."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symprop.api.declaration import declare, name_of
from symprop.api.function import Function
from symprop.declare import Export, Graph
from symprop.errors import SympropError
from symprop.graph import topological
from symprop.graph.evaluate import node_value

__all__ = ["Finding", "diagnose"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Finding:
    """Where it first appeared, in words and as a symbol, and in which row of the data."""

    text: str
    node: sp.Basic | None
    row: int | None = None


def diagnose(
    graph: Graph,
    params: Sequence[sp.Basic],
    inputs: Sequence[sp.Basic],
    values: Sequence[Array],
    batch: Sequence[Array],
    rows: Array,
    dtype: str,
) -> Finding | None:
    """The first value that is not finite: of a parameter, of an equation, else of a gradient.

    `values` are those of the parameters before the step, `batch` the arrays of the inputs, `rows` their
    numbers in the data. None where everything is finite.
    """
    for symbol, value in zip(params, values, strict=True):
        if not np.isfinite(value).all():
            return Finding(f"the parameter {name_of(symbol)} is not finite before the step", symbol)
    options = ("mean", dtype, 1, "first", "precise", "trace")
    function = Function(declare(graph, [*params, *inputs], None, list(inputs), *options))
    trace = function.trace(*values, *batch)
    symbol, row, infinite = _forward(graph, trace, function, rows)
    if symbol is not None:
        place = int(np.flatnonzero(rows == row)[0]) if row is not None else 0
        at = dict(zip(params, values, strict=True))
        at.update({s: a[place] for s, a in zip(inputs, batch, strict=True)})
        sample = "" if row is None else f", for row {row} of the data"
        text = f"{'' if infinite is None else infinite + ', then '}NaN in {_line(graph, symbol)}"
        return Finding(text + sample + _inside(graph, symbol, at), symbol, row)
    for symbol in [*reversed(graph.names), *params]:
        gradient = trace[symbol].gradient
        if gradient is not None and not np.isfinite(gradient).all():
            what = "NaN" if np.isnan(gradient).any() else "infinite"
            row = _row(gradient, function._source.is_batched(function._source.nodes[symbol]), rows)
            sample = "" if row is None else f", for row {row} of the data"
            name = name_of(symbol)
            text = f"{infinite or 'all values are finite'}, and the gradient by {name} is {what}{sample}"
            return Finding(f"{text} ({_line(graph, symbol)})" if symbol in graph else text, symbol, row)
    return None


def _forward(
    graph: Graph, trace: Any, function: Function, rows: Array
) -> tuple[sp.Basic | None, int | None, str | None]:
    """The first equation whose value is NaN (None: there is none), the row, and what was infinite before."""
    infinite = None
    for symbol in graph.names:
        value = np.asarray(trace[symbol].value)
        sampled = function._source.is_batched(function._source.nodes[symbol])
        if np.isnan(value).any():
            return symbol, _row(value, sampled, rows), infinite
        if infinite is None and np.isinf(value).any():
            infinite = f"{name_of(symbol)} is infinite"
    return None, None, infinite


def _row(value: Any, sampled: bool, rows: Array) -> int | None:
    """The first row of the data whose value is not finite; None where the value is not one per sample."""
    array = np.asarray(value)
    if not sampled or not array.ndim or len(array) != len(rows):
        return None
    bad = np.isnan(array) if np.isnan(array).any() else ~np.isfinite(array)
    return int(rows[np.argwhere(bad)[0][0]])


def _line(graph: Graph, symbol: sp.Basic) -> str:
    """The equation of a name as it prints."""
    start = f"{name_of(symbol)} = "
    line = next((line for line in str(graph).splitlines() if line.startswith(start)), name_of(symbol))
    return line if len(line) <= 200 else line[:197] + "..."


def _inside(graph: Graph, symbol: sp.Basic, at: dict[sp.Basic, Any]) -> str:
    """Which term of the equation is the first NaN, and of what, by evaluating it node by node."""
    done: dict[int, Any] = {}
    names = {graph.nodes[s].serial: s for s in reversed([*graph.inputs, *graph.names]) if s != symbol}
    with suppress(SympropError, KeyError, ValueError, TypeError), np.errstate(all="ignore"):
        for node in topological([graph.nodes[symbol]]):
            if node.kind == "integer" and node.op == "symbol":
                done[node.serial] = np.asarray(at[node.attrs[0]]).astype(np.int64)
                continue
            done[node.serial] = value = node_value(node, [done[a.serial] for a in node.args], at, False)
            if node.args and value.dtype.kind == "f" and np.isnan(value).any():
                if node is graph.nodes[symbol]:
                    return _operands(node, done, names)
                export = Export(dict(names))
                return f": the term {_short(export.expression(node))}{_operands(node, done, names)}"
    return ""


def _operands(node: Any, done: dict[int, Any], names: dict[int, sp.Basic]) -> str:
    told = []
    for arg in node.args[:4]:
        value = done[arg.serial]
        if arg.op == "constant" or not np.size(value):
            continue
        shown = _short(Export(dict(names)).expression(arg))
        if np.size(value) == 1:
            told.append(f"{shown} = {np.ravel(value)[0]:.6g}")
        else:
            told.append(f"{shown} from {np.min(value):.6g} to {np.max(value):.6g}")
    return f" ({', '.join(told)})" if told else ""


def _short(expression: Any) -> str:
    text = str(expression)
    return text if len(text) <= 80 else text[:77] + "..."
