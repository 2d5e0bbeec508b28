"""Update equations as nodes, joined to the nodes of the gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from symprop.declare import Intake
from symprop.graph import Node, NodeTable
from symprop.graph.evaluate import evaluate
from symprop.optim.equations import Equations, g, norm, p, step, symbols_in

__all__ = ["starts", "updates"]


def updates(
    table: NodeTable,
    equations: Equations,
    params: Sequence[Node],
    gradients: Sequence[Node],
    states: Sequence[Mapping[sp.Symbol, Node]],
    count: Node,
) -> list[dict[sp.Symbol, Node]]:
    """What the equations assign, for every parameter: symbol -> node, of the shape of the parameter for `p`
    and the states.

    `count` is the number of this step, from 1; `states` holds the nodes of the state before the step.
    """
    common: dict[Any, Node] = {step: count}
    schedule = Intake(table, common)
    rates = {symbol: schedule.node(value) for symbol, value in equations.hyper.items()}
    common |= rates
    names: list[dict[Any, Node]] = [
        {**common, p: param, g: gradient, **state}
        for param, gradient, state in zip(params, gradients, states, strict=True)
    ]
    lasting = {p, g, *equations.state}
    for left, right in equations.equations:
        if norm in symbols_in(right):
            length = _norm(table, [known[g] for known in names])
            for known in names:
                known[norm] = length
        for known in names:
            value = Intake(table, known).node(right)
            known[left] = table.broadcast(value, known[p].shape) if left in lasting else value
    return names


def _norm(table: NodeTable, gradients: Sequence[Node]) -> Node:
    squares = [table.sum(table.mul(x, x)) for x in gradients]
    return table.pow(table.add(*squares), sp.S.Half)


def starts(
    equations: Equations, param: np.ndarray[Any, Any]
) -> dict[sp.Symbol, np.ndarray[Any, np.dtype[Any]]]:
    """The state before the first step, of the shape and dtype of a parameter."""
    result = {}
    for symbol, start in equations.state.items():
        value: Any = start
        if symbols_in(start):
            table = NodeTable()
            entry = sp.MatrixSymbol("entries", param.size, 1)
            names: dict[Any, Node] = {p: table.symbol(entry)}
            at_first = Intake(table, {step: table.constant(1)})
            names |= {s: at_first.node(rate) for s, rate in equations.hyper.items()}
            node = Intake(table, names).node(start)
            entries = evaluate([node], {entry: param.reshape(-1, 1)})[0]
            value = entries.reshape(param.shape) if node.shape else entries
        result[symbol] = np.array(np.broadcast_to(np.asarray(value, param.dtype), param.shape))
    return result
