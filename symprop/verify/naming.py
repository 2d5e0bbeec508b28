"""Short names of nodes and entries for the rows of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from symprop.graph import Node

__all__ = ["entry_name", "node_name"]

_DEPTH = 3  # operations shown of an unnamed node; deeper ones become dots
_LONGEST = 16  # characters of a constant
_INFIX = {"add": " + ", "mul": "*", "matmul": "*", "less": " < ", "less_equal": " <= ", "equal": " == "}


def node_name(node: Node, names: Mapping[int, str], depth: int = _DEPTH, outer: bool = True) -> str:
    """A node in a few characters: its name in the graph, or its operation with short arguments.

    Bounded in depth, so that deep graphs cost nothing.
    """
    if node.serial in names and not outer:
        return names[node.serial]
    if node.op == "symbol":
        return str(node.attrs[0])
    if node.op == "constant":
        return _short(node.attrs[0])
    if not depth:
        return "..."
    if node.op in ("broadcast", "reshape"):
        return node_name(node.args[0], names, depth, False)
    args = [node_name(a, names, depth - 1, False) for a in node.args[:4]] + ["..."] * (len(node.args) > 4)
    if node.op == "transpose":
        return f"{args[0]}.T"
    if node.op == "pow":
        return f"{args[0]}**{args[1]}" if args[0].isidentifier() else f"({args[0]})**{args[1]}"
    if node.op in _INFIX:
        if node.op in ("mul", "matmul"):
            args = [f"({a})" if " + " in a else a for a in args]
        text = _INFIX[node.op].join(args).replace("-1*", "-").replace(" + -", " - ")
        return text
    return f"{node.op}({', '.join(args)})"


def _short(number: Any) -> str:
    """A constant; one of many digits by its first."""
    text = str(number)
    return text if len(text) <= _LONGEST else str(sp.N(number, 4))


def entry_name(shape: Sequence[int], flat: int) -> str:
    """The place of an entry: nothing for a scalar, `[2]` for a column, `[2, 0]` for a matrix."""
    if not shape:
        return ""
    place = np.unravel_index(flat, tuple(shape))
    if len(shape) == 2 and shape[1] == 1:
        place = place[:1]
    return "[" + ", ".join(str(int(k)) for k in place) + "]"
