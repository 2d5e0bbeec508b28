"""Parts of matrices, where the form of a matrix tells what they are: blocks of blocks, diagonals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy as sp

if TYPE_CHECKING:
    from symprop.graph.nodes import Node, NodeTable

__all__ = ["block", "diagonal", "entry", "multiplied"]

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
        return table.transpose(table.slice(a.args[0], pairs[::-1]))
    if a.op == "eye" and all(isinstance(v, int) for p in pairs for v in p):
        return _block_of_identity(table, pairs)
    if a.op == "matmul":
        left, right = a.args
        inner = (0, right.shape[0])
        blocky = [
            f for f, p, d in ((left, pairs[0], a.shape[0]), (right, pairs[1], a.shape[1])) if p != (0, d)
        ]
        if all(_pieces(table, factor) is None for factor in blocky):
            return None
        return multiplied(
            table, _part(table, left, (pairs[0], inner)), _part(table, right, (inner, pairs[1]))
        )
    if a.op == "mul":
        matrices = [f for f in a.args if f.shape]
        found = block(table, matrices[0], pairs) if len(matrices) == 1 else None
        return None if found is None else table.mul(*[f for f in a.args if not f.shape], found)
    terms = a.args if a.op == "add" else (a,)
    if not all(t.op == "pad" and t.shape == a.shape for t in terms):
        if any(_is_product_of_blocks(table, t) for t in terms):
            return _added(
                table, [_part(table, t, pairs) if t.op == "add" else table.slice(t, pairs) for t in terms]
            )
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


def _added(table: NodeTable, parts: list[Node]) -> Node:
    """The sum, the terms of sums among the parts apart and equal ones counted."""
    counts: dict[int, tuple[Node, int]] = {}
    for part in parts:
        for term in (
            part.args if part.op == "add" and all(t.shape == part.shape for t in part.args) else (part,)
        ):
            counts[term.serial] = term, counts.get(term.serial, (term, 0))[1] + 1
    return table.add(*[t if n == 1 else table.mul(table.constant(n), t) for t, n in counts.values()])


def _is_product_of_blocks(table: NodeTable, a: Node) -> bool:
    """True where both factors, of the product or of what is transposed, are matrices of blocks."""
    product = a.args[0] if a.op == "transpose" else a
    return product.op == "matmul" and all(_pieces(table, factor) is not None for factor in product.args)


def _part(table: NodeTable, term: Node, pairs: Pairs) -> Node:
    """The block of a factor or term; products and sums in it are not followed, so that this does not nest."""
    whole = all(p == (0, d) for p, d in zip(pairs, term.shape, strict=True))
    if whole or not (term.op == "matmul" or (term.op == "add" and _pieces(table, term) is None)):
        return table.slice(term, pairs)
    return table.make("slice", (term,), (pairs,))


Piece = tuple["Node", tuple[Any, ...]]


def _pieces(table: NodeTable, a: Node) -> list[Piece] | None:
    """The blocks of a matrix of blocks among zeros, and where each begins; None for other matrices."""
    if a.op == "transpose" and len(a.shape) == 2:
        found = _pieces(table, a.args[0])
        return None if found is None else [(table.transpose(p), starts[::-1]) for p, starts in found]
    terms = a.args if a.op == "add" else (a,)
    if not all(t.op == "pad" and t.shape == a.shape and len(t.shape) == 2 for t in terms):
        return None
    return [(t.args[0], t.attrs[1]) for t in terms]  # type: ignore[misc]


def multiplied(table: NodeTable, a: Node, b: Node) -> Node:
    """a*b, of two matrices of blocks that fit the products of the blocks:
    [A, B]*[C; D] --> A*C + B*D
    """
    left, right = _pieces(table, a), _pieces(table, b)
    if left is None or right is None:
        return table.matmul(a, b)
    shape = a.shape[0], b.shape[1]
    terms: list[Node] = []
    for p, (row, at) in left:
        for q, (start, column) in right:
            if (at, p.shape[1]) == (start, q.shape[0]):
                term = table.matmul(p, q)
                whole = term.shape == shape
                terms.append(term if whole else table.make("pad", (term,), (shape, (row, column))))
            elif not _are_apart((at, p.shape[1]), (start, q.shape[0])):
                return table.matmul(a, b)
    return table.add(*terms) if terms else table.full(0, shape)


def _are_apart(first: tuple[Any, Any], second: tuple[Any, Any]) -> bool:
    """True for ranges (start, length) that have nothing in common, as far as can be seen."""
    (a, m), (b, n) = first, second
    if all(isinstance(v, int) for v in (a, m, b, n)):
        return bool(a + m <= b or b + n <= a)
    return bool(a + m == b or b + n == a)


def _block_of_identity(table: NodeTable, pairs: Pairs) -> Node | None:
    """Zeros, or an identity with zeros around it."""
    shape = tuple(stop - start for start, stop in pairs)
    first, last = max(start for start, _ in pairs), min(stop for _, stop in pairs)
    if first >= last:
        return table.full(0, shape)
    inner = table.make("eye", (), (last - first, last - first))
    starts = tuple(first - start for start, _ in pairs)
    return inner if inner.shape == shape else table.make("pad", (inner,), (shape, starts))


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
    if a.op == "transpose":
        return table.diagonal(a.args[0])
    if a.op == "matmul" and a.args[1].shape[0] == 1:  # a column times a row
        return table.mul(a.args[0], table.transpose(a.args[1]))
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
