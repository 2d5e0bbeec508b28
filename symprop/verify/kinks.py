"""Where derivatives jump: the kinks that the operations of a graph declare, and those that a step has met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np

from symprop.graph import OPERATIONS, Node
from symprop.verify.exact import Definitions, Exact
from symprop.verify.naming import entry_name, node_name

__all__ = ["Crossing", "Kink", "crossings", "find_kinks"]

_COMPARISONS = ("less", "less_equal", "equal", "not_equal")


@dataclass(frozen=True)
class Kink:
    """A node whose derivative jumps where `expression` is zero."""

    owner: Node
    expression: Node


@dataclass(frozen=True)
class Crossing:
    """An entry of a kink that changed its sign (or left zero) within a step, with its value at the point."""

    kink: Kink
    flat: int
    value: Any

    def text(self, names: Mapping[int, str]) -> str:
        """Which operation, which entry, and how far from the point."""
        where = node_name(self.kink.owner, names) + entry_name(self.kink.expression.shape, self.flat)
        quantity = node_name(self.kink.expression, names)
        return f"{where} at {quantity} = {mp.nstr(self.value, 3)}"


def find_kinks(definitions: Definitions, roots: Sequence[Node]) -> list[Kink]:
    """The kinks that the operations of a graph declare; a composite names those of its definition."""
    table = definitions.table
    found: list[Kink] = []
    seen: set[int] = set()
    for node in reversed(definitions.order(roots)):  # a composite comes before its definition
        declared = OPERATIONS[node.op]
        expressions: Sequence[Node] = ()
        if declared.kinks is not None:
            expressions = declared.kinks(table, node)
        elif node.op in _COMPARISONS and all(a.kind == "real" for a in node.args):
            expressions = [table.sub(*node.args)]
        for expression in expressions:
            # a - b and b - a are one kink
            same = {expression.serial, table.neg(expression).serial, _swapped(definitions, expression)}
            if seen.isdisjoint(same):
                found.append(Kink(node, expression))
                seen |= same
    return found


def _swapped(definitions: Definitions, expression: Node) -> int:
    table = definitions.table
    if expression.op == "add" and len(expression.args) == 2:
        a, b = expression.args
        return table.add(table.neg(a), table.neg(b)).serial
    return expression.serial


def crossings(
    exact: Exact, kinks: Sequence[Kink], changes: Callable[[Any], Mapping[int, Any]], step: Any
) -> list[Crossing]:
    """The entries of kinks that change sign between the two ends of a step, or are zero at its middle and
    leave it.

    `changes(t)` gives the changed nodes at distance t.
    """
    if not kinks:
        return []
    roots = [k.expression for k in kinks]
    middle = exact(*roots)
    ends = [exact.changed(changes(t), *roots) for t in (-step, step)]
    found = []
    with mp.workdps(exact.digits):
        for kink, centre, left, right in zip(kinks, middle, *ends, strict=True):
            entries = zip(*(np.asarray(v, object).flat for v in (centre, left, right)), strict=True)
            for flat, (c, a, b) in enumerate(entries):
                if mp.sign(a) != mp.sign(b) or (c == 0 and (a != 0 or b != 0)):
                    found.append(Crossing(kink, flat, c))
    return found
