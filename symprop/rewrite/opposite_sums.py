"""Sums that stand with both signs: `exp(-V - m)*(V + m)` has one sum and its negative.

sympy multiplies a sign into a sum, so that `(V + m)/(1 - exp(-(V + m)/k))` comes as a function of two values.
As one value it is known to be smooth where it is zero.
"""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Number

__all__ = ["opposite_sums"]

LONGEST = 8  # terms of a sum
Key = tuple[tuple[tuple[int, ...], Number], ...]


def opposite_sums(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`-x - y --> -(x + y)` where x + y stands beside it."""
    order, _ = context.order(roots)
    sums = {n.serial: _key(n, context) for n in order if n.op == "add" and len(n.args) <= LONGEST}
    known = {key: table.nodes[s] for s, key in sums.items()}
    turned: dict[int, Node] = {}
    for serial, key in sums.items():
        # the one of the two that has the positive first term stays
        other = known.get(tuple((f, -c) for f, c in key))
        if other is not None and key[0][1] < 0 and other.shape == table.nodes[serial].shape:
            turned[serial] = other
    if not turned:
        return list(roots)
    context.fired["opposite sum"] += len(turned)
    done: dict[int, Node] = {}
    for node in table.needed([*roots, *turned.values()]):
        args = [done[a.serial] for a in node.args]
        same = all(a is b for a, b in zip(args, node.args, strict=True))
        done[node.serial] = node if same else table.make(node.op, args, node.attrs)
        if node.serial in turned:
            done[node.serial] = context.times(-1, (turned[node.serial],))
    return [done[root.serial] for root in roots]


def _key(node: Node, context: Context) -> Key:
    terms: list[tuple[tuple[int, ...], Number]] = []
    for a in node.args:
        value = context.number(a)
        number, factors = (value, ()) if value is not None else context.split(a)
        terms.append((tuple(sorted(f.serial for f in factors)), number))
    return tuple(sorted(terms))
