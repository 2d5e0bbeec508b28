"""Whole numbers as real ones: integers of 64 bits serve as labels and positions, values are computed in the
floating-point type.

A product of integers may be beyond 64 bits, where it would wrap round in silence: 2**40 by itself is 0 there.
"""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import OPERATIONS, Node, NodeTable
from symprop.rewrite.context import Context

__all__ = ["whole_numbers"]


def whole_numbers(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """The roots with every sum and product of integers on the way to a real number in real arithmetic; roots
    that are integers stay such.
    """
    if all(node.kind != "integer" for node in context.order(roots)[0]):
        return list(roots)
    same: dict[int, Node] = {}  # each node, with its values in real arithmetic
    real: dict[int, Node] = {}  # integers as real numbers

    def as_real(node: Node) -> Node:
        return real[node.serial] if node.kind == "integer" else same[node.serial]

    for node in context.order(roots)[0]:
        elementwise = OPERATIONS[node.op].elementwise
        if node.kind == "integer":
            same[node.serial] = node
            real[node.serial] = (
                table.make(node.op, [as_real(a) for a in node.args], node.attrs)
                if elementwise
                else table.make("real", (node,))
            )
            continue
        # an integer that stands beside no other is converted where it is used; labels are compared as such
        several = sum(a.kind == "integer" or a.op == "constant" for a in node.args) > 1
        kept = not several or node.kind == "boolean"
        args = [
            as_real(a) if elementwise and not (kept and a.op == "symbol") else same[a.serial]
            for a in node.args
        ]
        changed = any(new is not old for new, old in zip(args, node.args, strict=True))
        same[node.serial] = table.make(node.op, args, node.attrs) if changed else node
        if changed:
            context.fired["integers as real numbers"] += 1
    return [same[root.serial] for root in roots]
