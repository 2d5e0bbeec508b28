"""Inverses and determinants become uses of one factorisation of their matrix; products with an inverse become
solves."""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Sweep

__all__ = ["linear_systems"]


def linear_systems(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`A**-1 * B --> lu_solve(lu(A), B)`, `A**-T * B --> lu_solve(lu(A), B, turned)`, `B * A**-1 -->
    (A**-T * B.T).T`, `det(A) --> lu_determinant(lu(A))`, `log(det(A)) --> sum(log|diagonal(lu(A))|)`, NaN
    where the determinant is negative. A matrix is factorised once, for its transpose too; an inverse is
    formed only where its entries are wanted."""
    return Sweep(context, roots, _RULES).run()


def _flip(table: NodeTable, a: Node) -> Node:
    return a.args[0] if a.op == "transpose" else table.transpose(a)


def _factors(table: NodeTable, a: Node) -> tuple[Node, bool]:
    """The factorisation that serves `a`, and whether `a` is the transpose of what was factorised."""
    return table.make("lu", (_flip(table, a),) if a.op == "transpose" else (a,)), a.op == "transpose"


def _is_inverse(node: Node) -> bool:
    return node.op == "lu_solve" and node.args[1].op == "eye"


def _inverse(node: Node, sweep: Sweep) -> Node:
    """`inverse(diag(v)) --> diag(1/v)`, any other a solve with the identity."""
    table = sweep.table
    (a,) = node.args
    if a.op == "diag":
        sweep.fire("inverse of a diagonal matrix")
        return table.make("diag", (table.pow(a.args[0], -1),))
    factors, turned = _factors(table, a)
    return table.make("lu_solve", (factors, table.make("eye", (), a.shape)), (turned,))


def _determinant(node: Node, sweep: Sweep) -> Node:
    return sweep.table.make("lu_determinant", (_factors(sweep.table, node.args[0])[0],))


def _log_determinant(node: Node, sweep: Sweep) -> Node:
    factors = _factors(sweep.table, node.args[0])[0]
    return _log_of(sweep.table, factors, bool(node.attrs))


def _log(node: Node, sweep: Sweep) -> Node | None:
    """`log(det(A))` and `log|det(A)|` where the determinant has a name of its own, or came about later."""
    (a,) = node.args
    magnitude = a.op == "abs"
    inner = a.args[0] if magnitude else a
    if inner.op != "lu_determinant" or inner.attrs:
        return None
    sweep.fire("logarithm of a determinant")
    return _log_of(sweep.table, inner.args[0], magnitude)


def _log_of(table: NodeTable, factors: Node, magnitude: bool) -> Node:
    size = factors.shape[1]
    square = table.make("slice", (factors,), (((0, size), (0, size)),))
    pivots = table.make("abs", (table.make("diagonal", (square,)),))
    total = table.sum(table.make("log", (pivots,)))
    if magnitude:
        return total
    sign = table.make("lu_determinant", (factors,), ("sign",))
    negative = table.make("less", (sign, table.constant(0)))
    return table.make("select", (negative, table.constant("nan"), total))


def _transpose(node: Node, sweep: Sweep) -> Node | None:
    """`(A**-1).T --> lu_solve(lu(A), I, turned)`"""
    (a,) = node.args
    if not _is_inverse(a):
        return None
    return sweep.table.make("lu_solve", a.args, (not a.attrs[0],))


def _matmul(node: Node, sweep: Sweep) -> Node | None:
    """`A**-1 * B --> lu_solve(lu(A), B)`; scalar factors and the terms of a sum apart."""
    table = sweep.table
    a, b = node.args
    if _is_inverse(a):
        sweep.fire("product with an inverse")
        return table.make("lu_solve", (a.args[0], b), a.attrs)
    if _is_inverse(b):
        sweep.fire("product with an inverse")
        solved = table.make("lu_solve", (b.args[0], _flip(table, a)), (not b.attrs[0],))
        return table.transpose(solved)
    for k, factor in enumerate((a, b)):
        other = (b, a)[k]
        narrow = _fewer(other, factor, 1 - k)
        if factor.op == "mul" and sum(bool(f.shape) for f in factor.args) == 1:
            inner = next(f for f in factor.args if f.shape)
            if _is_inverse(inner):
                product = table.matmul(inner, b) if k == 0 else table.matmul(a, inner)
                return table.mul(*[f for f in factor.args if not f.shape], product)
        if factor.op == "add" and narrow and any(map(_holds_inverse, factor.args)):
            sweep.fire("sum of inverses times a few columns")
            terms = [table.broadcast(t, factor.shape) for t in factor.args]
            return table.add(*[table.matmul(t, b) if k == 0 else table.matmul(a, t) for t in terms])
    return None


def _holds_inverse(term: Node) -> bool:
    return _is_inverse(term) or (term.op == "mul" and any(map(_is_inverse, term.args)))


def _fewer(other: Node, factor: Node, axis: int) -> bool:
    """True for fewer columns (axis 1) or rows than the square matrix has, both known."""
    count, size = other.shape[axis], factor.shape[0]
    return isinstance(count, int) and isinstance(size, int) and count < size


_RULES = {
    "inverse": _inverse,
    "determinant": _determinant,
    "log_determinant": _log_determinant,
    "log": _log,
    "transpose": _transpose,
    "matmul": _matmul,
}
