"""Composite operations become primitives: what is named for reading is written out for computing."""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import OPERATIONS, Node, NodeTable
from symprop.rewrite.context import Context, Sweep

__all__ = ["definitions"]


def definitions(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`f(x) --> the definition of f`, until only primitives are left; equal parts of definitions are
    shared."""
    rules = {name: _write_out for name, declared in OPERATIONS.items() if declared.expand is not None}
    return Sweep(context, roots, rules).run()


def _write_out(node: Node, sweep: Sweep) -> Node | None:
    expand = OPERATIONS[node.op].expand
    assert expand is not None
    sweep.fire(node.op)
    return expand(sweep.table, node)
