"""Sums of sums in which terms cancel: `(a - b) - (a + b) --> -2*b`, as in the slope of `(a - b)*(a + b)`."""

from __future__ import annotations

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep

__all__ = ["sum_of_sums"]

MOST = 12  # terms after the sums have been opened


def sum_of_sums(node: Node, sweep: Sweep) -> Node | None:
    """The sum with its sums opened, those with other uses too, where a term vanishes; or None."""
    context, table = sweep.context, sweep.table
    if not any(a.op == "add" or (a.op == "mul" and a.args[-1].op == "add") for a in node.args):
        return None  # as in most sums
    opened = [_terms(a, context) for a in node.args]
    if sum(map(len, opened)) > MOST:
        return None
    totals: dict[tuple[int, ...], tuple[Number, tuple[Node, ...]]] = {}
    for number, factors in (term for terms in opened for term in terms):
        key = tuple([f.serial for f in factors])
        totals[key] = totals.get(key, (0, factors))[0] + number, factors
    left = [context.times(c, f) if f else context.constant(c) for c, f in totals.values() if c]
    if len(left) == len(totals):
        return None
    sweep.fire("sum of sums")
    return table.broadcast(table.add(*left), node.shape) if left else table.full(0, node.shape)


def _terms(a: Node, context: Context) -> list[tuple[Number, tuple[Node, ...]]]:
    """A term, or the terms of the sum that it is a multiple of."""
    value = context.number(a)
    if value is not None:
        return [(value, ())]
    number, factors = context.split(a)
    if len(factors) != 1 or factors[0].op != "add":
        return [(number, factors)]
    found: list[tuple[Number, tuple[Node, ...]]] = []
    for term in factors[0].args:
        value = context.number(term)
        c, rest = context.split(term) if value is None else (value, ())
        found.append((number * c, rest))
    return found
