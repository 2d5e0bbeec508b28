"""Algebra that never changes a value beyond rounding, on scalars and arrays alike."""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import Node, NodeTable
from symprop.rewrite.arithmetic import elementwise_rules
from symprop.rewrite.context import Context, Sweep
from symprop.rewrite.structure import structure_rules

__all__ = ["simplify"]

MOST_ROUNDS = (
    6  # a round sees the use counts that the one before it left; two are enough for nearly every graph
)


def simplify(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`2*(3*x) --> 6*x`, `sum(broadcast(x)) --> size * x`, `diag(v) * B --> v o B` ...: every rule of
    `arithmetic.py` and `structure.py`, until none applies."""
    current = list(roots)
    if context.simplified == tuple(current):
        return current
    order, _ = context.order(roots)
    shaped = any(node.shape for node in order)
    rules = {**elementwise_rules(shaped), **structure_rules()}
    for _ in range(MOST_ROUNDS):
        sweep = Sweep(context, current, rules)
        before, current = current, sweep.run()
        if before == current or not sweep.freed(current):
            break
    context.simplified = tuple(current)
    return current
