"""Parts of matrices, where the form of a matrix tells what they are: blocks of blocks, diagonals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy as sp

if TYPE_CHECKING:
    from symprop.graph.nodes import Node, NodeTable

__all__ = ["block", "diagonal", "entry"]

Pairs = tuple[tuple[Any, Any], ...]


def block(table: NodeTable, a: Node, pairs: Pairs) -> Node | None:
    """The block of a matrix, one (start, stop) for each axis, where it is found in the form of the matrix:
    all of it, a block of zeros and blocks, that of a multiple or a transpose; None for others.
    """
    if all(p == (0, d) for p, d in zip(pairs, a.shape, strict=True)):
        return a
    shape = tuple(stop - start for start, stop in pairs)
    if a.op == "broadcast" and not a.args[0].shape:
        return table.broadcast(a.args[0], shape)
    if a.op == "transpose" and len(a.shape) == 2:
        found = block(table, a.args[0], pairs[::-1])
        return None if found is None else table.transpose(found)
    if a.op == "mul":
        matrices = [f for f in a.args if f.shape]
        found = block(table, matrices[0], pairs) if len(matrices) == 1 else None
        return None if found is None else table.mul(*[f for f in a.args if not f.shape], found)
    terms = a.args if a.op == "add" else (a,)
    if not all(t.op == "pad" and t.shape == a.shape for t in terms):
        return None
    inside: list[Node] = []
    for term in terms:
        cut = _cut(term, pairs)
        if cut is None:
            return None
        if cut:
            own, starts = cut
            part = term.args[0]
            if own != tuple((0, d) for d in part.shape):
                part = table.make("slice", (part,), (own,))
            inside.append(part if part.shape == shape else table.make("pad", (part,), (shape, starts)))
    return table.add(*inside) if inside else table.full(0, shape)


def _cut(term: Node, pairs: Pairs) -> tuple[Pairs, tuple[Any, ...]] | tuple[()] | None:
    """What lies of a block among zeros inside other bounds: its own bounds there, and where it then begins;
    () where nothing does, None where symbolic sizes leave it open.
    """
    own, starts = [], []
    for (start, stop), at, size in zip(pairs, term.attrs[1], term.args[0].shape, strict=True):  # type: ignore[call-overload]
        end = at + size
        if at == stop or end == start:
            return ()
        if (at, end) == (start, stop):
            own.append((0, size))
            starts.append(0)
            continue
        if not all(isinstance(v, int) for v in (start, stop, at, size)):
            return None
        first, last = max(start, at), min(stop, end)
        if first >= last:
            return ()
        own.append((first - at, last - at))
        starts.append(first - start)
    return tuple(own), tuple(starts)


def diagonal(table: NodeTable, a: Node) -> Node | None:
    """The diagonal of a square matrix as a column where it is plain; None for others."""
    size = a.shape[0]
    if a.op == "eye":
        return table.full(1, (size, 1))
    if a.op == "diag":
        return a.args[0]
    if a.op == "broadcast" and not a.args[0].shape:
        return table.broadcast(a.args[0], (size, 1))
    if a.op == "mul":
        matrices = [f for f in a.args if f.shape]
        found = diagonal(table, matrices[0]) if len(matrices) == 1 else None
        return None if found is None else table.mul(*[f for f in a.args if not f.shape], found)
    return None


def entry(a: Node, position: tuple[int, ...]) -> sp.Expr | None:
    """The number at a place of the identity; None for other matrices."""
    return sp.Integer(int(len(set(position)) == 1)) if a.op == "eye" else None
