"""Values of nodes without compiling: with NumPy in float64, or with mpmath at the current precision.

The reference that compiled code and derivatives are compared with: one operation after the other, as
declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.errors import UnsupportedExpressionError
from symprop.graph.nodes import Node, topological
from symprop.graph.operations import OPERATIONS

__all__ = ["evaluate", "node_value"]


def evaluate(roots: Sequence[Node], values: Mapping[sp.Basic, Any], exact: bool = False) -> list[Any]:
    """The values of `roots` as arrays of the shapes of the nodes, given the values of the input symbols.

    With `exact` every number is an `mpmath.mpf` (object arrays) at the precision of the caller's
    `mp.workdps`; else float64. Composite operations are evaluated through their definition where they have no
    reference of their own.
    """
    done: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        for node in topological(roots):
            done[node.serial] = node_value(node, [done[a.serial] for a in node.args], values, exact)
    return [done[root.serial] for root in roots]


def node_value(node: Node, args: list[Any], values: Mapping[sp.Basic, Any], exact: bool) -> Any:
    """The value of one node, given those of its arguments; `values` are those of the input symbols."""
    declared = OPERATIONS[node.op]
    if node.op == "symbol":
        return _input(values[node.attrs[0]], node, exact)
    if node.op == "constant":
        number = sp.N(node.attrs[0], mp.mp.dps + 5 if exact else 30)
        if exact:
            return np.array(mp.mpf(number._to_mpmath(mp.mp.prec)), dtype=object)
        return np.array(float(number))
    if exact and node.op == "eye":
        rows, columns = node.attrs
        return np.eye(rows, columns).astype(object) * mp.mpf(1)  # type: ignore[call-overload]
    if declared.elementwise and exact and len(args) <= 32:  # NumPy makes no function of more than 63 operands
        function = declared.exact
        if function is not None:
            result = np.frompyfunc(lambda *v: function(node.attrs, *v), len(args), 1)(*args)
            return np.array(result, object)
    elif declared.reference is not None:
        return np.asarray(declared.reference(node.attrs, *args))
    if declared.expand is not None:
        return _through_definition(node, args, exact)
    raise UnsupportedExpressionError(f"{node.op} has no reference value")


def _through_definition(node: Node, args: list[Any], exact: bool) -> Any:
    """The value by the operation's definition, on fresh symbols of the shapes of the arguments."""
    from symprop.graph.nodes import NodeTable

    table = NodeTable()
    symbols = [
        sp.MatrixSymbol(f"a{k}", *a.shape)
        if len(a.shape) == 2
        else sp.Symbol(f"a{k}", integer=a.kind == "integer")
        for k, a in enumerate(node.args)
    ]
    inner = table.make(
        node.op,
        [  # a number stays one: it may be a class index
            table.constant(a.attrs[0]) if a.op == "constant" else table.symbol(s)
            for a, s in zip(node.args, symbols, strict=True)
        ],
        node.attrs,
    )
    expand = OPERATIONS[node.op].expand
    assert expand is not None
    return evaluate([expand(table, inner)], dict(zip(symbols, args, strict=True)), exact)[0]


def _input(value: Any, node: Node, exact: bool) -> Any:
    if node.kind == "integer":
        return np.asarray(value)
    if not exact:
        array = np.asarray(value, float)
    else:
        array = np.asarray(value)
        if array.dtype != object:
            array = np.frompyfunc(lambda v: mp.mpf(float(v)), 1, 1)(array)
        array = np.array(array, object)
    return array.reshape(node.shape)
