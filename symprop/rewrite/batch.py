"""Sums over the samples of a batched call move inwards past all that is the same for every sample."""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Sweep

__all__ = ["batch_sums"]

_MOVES = frozenset({"transpose", "reshape", "broadcast", "pad", "place", "diag"})


def batch_sums(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`batch_sum(c * x) --> c * batch_sum(x)`, `batch_sum(x.T) --> batch_sum(x).T`, `batch_sum(c) -->
    batch_size * c`, `batch_sum(W * x) --> W * batch_sum(x)` for unbatched c, W, and `batch_sum(A*B + e)
    --> batch_sum(A*B) + batch_sum(e)`, so that the sum over samples of a product becomes one matrix
    product over all samples.

    Sums of other terms stay together: the sample's `a - b` may be tiny beside a and b, and the difference
    of two sums over samples would lose its digits.
    """
    return Sweep(context, roots, {"batch_sum": _batch_sum}).run()


def _batch_sum(node: Node, sweep: Sweep) -> Node | None:
    table, context = sweep.table, sweep.context
    (u,) = node.args

    def total(x: Node) -> Node:
        return table.make("batch_sum", (x,))

    def per_sample(x: Node) -> bool:
        return context.is_batched(x)

    if not per_sample(u):
        sweep.fire("sum of what is the same for every sample")
        return table.broadcast(table.mul(table.make("batch_size"), u), u.shape)
    if u.op in _MOVES:
        sweep.fire(f"sum of {u.op}")
        return table.make(u.op, [total(a) for a in u.args], u.attrs)
    if u.op == "mul":
        fixed = [f for f in u.args if not per_sample(f)]
        rest = [f for f in u.args if per_sample(f)]
        if not fixed:
            return None
        sweep.fire("factor out of a sum")
        inner = rest[0] if len(rest) == 1 else table.make("mul", rest)
        return table.broadcast(table.make("mul", [*fixed, total(inner)]), u.shape)
    if u.op == "matmul":
        a, b = u.args
        if per_sample(a) and per_sample(b):
            return None
        sweep.fire("sum before a product")
        return table.matmul(total(a), b) if per_sample(a) else table.matmul(a, total(b))
    if u.op == "add":
        apart = [t for t in u.args if _is_product(t, context)]
        if not apart or len(u.args) == 1:
            return None
        together = [t for t in u.args if not _is_product(t, context)]
        parts = [total(t) for t in apart]
        if together:
            parts.append(
                total(
                    table.broadcast(
                        together[0] if len(together) == 1 else table.make("add", together), u.shape
                    )
                )
            )
        sweep.fire("sums of products apart")
        return table.broadcast(table.make("add", parts), u.shape)
    return None


def _is_product(term: Node, context: Context) -> bool:
    """True for a matrix product of two batched factors, transposed or times what is the same for every
    sample."""
    while True:
        if term.op in ("transpose", "reshape"):
            term = term.args[0]
        elif term.op == "mul":
            rest = [f for f in term.args if context.is_batched(f)]
            if len(rest) != 1 or rest[0].shape != term.shape:
                return False
            term = rest[0]
        else:
            return term.op == "matmul" and all(context.is_batched(a) for a in term.args)
