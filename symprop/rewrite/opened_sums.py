"""Sums of multiples of sums in which terms cancel: `(a - b) - (a + b) --> -2*b`, the slope of
`(a - b)*(a + b)`, and `e*c - c*(1 + s)*e --> -c*s*e`, that of `(1 + s)*exp(-s)`."""

from __future__ import annotations

from symprop.graph import Node
from symprop.rewrite.context import Sweep
from symprop.rewrite.pairs import have_one_sign, like_terms, opened_term

__all__ = ["sum_of_sums"]

MOST = 12  # terms after the sums have been opened


def sum_of_sums(node: Node, sweep: Sweep) -> Node | None:
    """The sum with the sums among its factors opened, those with other uses too, where a term vanishes."""
    context, table = sweep.context, sweep.table
    if len(node.args) > MOST:
        return None
    factors = [f for a in node.args for f in (a.args if a.op == "mul" else (a,))]
    if not any(f.op in ("add", "mul") for f in factors):
        return None  # as in most sums
    if any(f.op == "add" and len(f.args) > MOST for f in factors) or have_one_sign(node, context):
        return None
    opened = [opened_term(a, context) for a in node.args]
    count = sum(map(len, opened))
    if not len(opened) < count <= MOST:
        return None
    totals = like_terms([term for terms in opened for term in terms])
    left = [term for term in totals if term.number]
    if len(left) == len(totals):
        return None
    sweep.fire("sum of sums")
    made = [term.built(context) for term in left]
    return table.broadcast(table.add(*made), node.shape) if made else table.full(0, node.shape)
