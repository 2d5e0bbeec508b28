"""Jacobians as matrix expressions: one matrix is carried forward, from the identity at the variable to the
target.

The Jacobian of a node with k entries by a column of n is a (k, n) matrix: `A*J` for a product with a constant
matrix, `DiagMatrix(f'(u))*J` for a function of every entry, `p*J` for a scalar. It is kept as a sum of
`DiagMatrix(scale)*base`, so that derivatives of one entry multiply and add up as columns. Where a node has no
such form the Jacobian is put together column by column from directional derivatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symprop.differentiate.accumulate import add_terms, times_partial
from symprop.differentiate.forward import tangents
from symprop.differentiate.reverse import adjoints, between
from symprop.errors import UnsupportedExpressionError
from symprop.graph import OPERATIONS, Dim, Node, NodeTable
from symprop.graph.nodes import constant_value

__all__ = ["jacobian_entries", "jacobian_node"]


class _NoMatrixForm(Exception):  # noqa: N818 - a signal, not an error
    """A node between variable and target whose Jacobian has no simple matrix form."""


def jacobian_node(table: NodeTable, target: Node, x: Node) -> Node:
    """The Jacobian of a column (m, 1) or scalar by a column (n, 1): (m, n); by a scalar: of the shape of the
    target.
    """
    if not x.shape:
        found = tangents(table, [target], {x.serial: table.constant(1)})[target.serial]
        return table.full(0, target.shape) if found is None else found
    try:
        jacobian = _carry(table, target, x)
        return table.full(0, (_size(target), _size(x))) if jacobian is None else jacobian
    except _NoMatrixForm:
        return _by_columns(table, target, x)


def jacobian_entries(table: NodeTable, rows: Sequence[Node], columns: Sequence[Node]) -> Node:
    """The Jacobian of scalars (or one column) by scalars (or one column), put together from its entries."""
    shape = (sum(map(_number, rows)), sum(map(_number, columns)))
    if len(columns) == 1 and columns[0].shape:
        return _stack(table, [jacobian_node(table, row, columns[0]) for row in rows], shape, 0)
    if len(rows) == 1 and rows[0].shape:
        return _stack(table, [jacobian_node(table, rows[0], c) for c in columns], shape, 1)
    entries: dict[tuple[int, int], Node | None] = {}
    if len(rows) < len(columns):
        for i, row in enumerate(rows):
            adjoint = adjoints(table, row, columns)
            entries.update({(i, j): adjoint[c.serial] for j, c in enumerate(columns)})
    else:
        for j, c in enumerate(columns):
            tangent = tangents(table, rows, {c.serial: table.constant(1)})
            entries.update({(i, j): tangent[row.serial] for i, row in enumerate(rows)})
    zero = table.constant(0)
    placed = {position: zero if v is None else v for position, v in sorted(entries.items())}
    return table.make("place", tuple(placed.values()), (shape, tuple(placed)))


def _size(node: Node) -> Dim:
    size: Dim = 1
    for d in node.shape:
        size = size * d
    return size


def _number(node: Node) -> int:
    """The number of entries, where it is a number."""
    size = _size(node)
    if isinstance(size, int):
        return size
    raise UnsupportedExpressionError(
        f"a Jacobian of this form is put together entry by entry and needs numbers as sizes, found {size} "
        "entries in "
        f"{node!r}; use jvp or vjp, or declare the symbols with numbers as sizes"
    )


def _stack(table: NodeTable, blocks: Sequence[Node], shape: tuple[int, int], axis: int) -> Node:
    """Rows (axis 0) or columns (axis 1) as one matrix."""
    terms, start = [], 0
    entries: dict[tuple[int, int], Node] = {}
    for block in blocks:
        if block.op == "place":
            for (i, j), value in zip(block.attrs[1], block.args, strict=True):  # type: ignore[call-overload]
                if constant_value(value) != 0:
                    entries[(i + start, j) if axis == 0 else (i, j + start)] = value
        elif constant_value(block) != 0:
            terms.append(table.make("pad", (block,), (shape, (start, 0) if axis == 0 else (0, start))))
        start += int(block.shape[axis])
    if entries:
        ordered = dict(sorted(entries.items()))
        terms.append(table.make("place", tuple(ordered.values()), (shape, tuple(ordered))))
    return table.add(*terms) if terms else table.full(0, shape)


def _by_columns(table: NodeTable, target: Node, x: Node) -> Node:
    """Column j is the derivative in the direction of the j-th unit vector."""
    m, n = _number(target), _number(x)
    columns = []
    for j in range(n):
        unit = table.make("place", (table.constant(1),), (x.shape, ((j, 0),)))
        found = tangents(table, [target], {x.serial: unit})[target.serial]
        columns.append(table.full(0, (m, 1)) if found is None else table.reshape(found, (m, 1)))
    return _stack(table, columns, (m, n), 1)


# a Jacobian as the sum of DiagMatrix(scale)*base: base, and the scale as a column, a scalar, or None for one
Term = tuple[Node, "Node | None"]
Terms = dict[int, Term]


def _carry(table: NodeTable, target: Node, x: Node) -> Node | None:
    """The Jacobian of the target, None where it is zero."""
    found: dict[int, Terms] = {}
    for node in between([target], [x]):
        if node.serial == x.serial:
            found[node.serial] = _single(table, [table.make("eye", (), (_size(x), _size(x)))])
            continue
        terms = _rule(table, node, [found.get(a.serial) for a in node.args])
        if terms:
            found[node.serial] = terms
    return _whole(table, found[target.serial]) if target.serial in found else None


def _collect(table: NodeTable, terms: Iterable[Term]) -> Terms:
    """Terms of one base become one, their scales added."""
    scales: dict[int, tuple[Node, list[Node]]] = {}
    for base, scale in terms:
        scales.setdefault(base.serial, (base, []))[1].append(table.constant(1) if scale is None else scale)
    result: Terms = {}
    for serial, (base, parts) in scales.items():
        column = next((p.shape for p in parts if p.shape), ())
        scale = add_terms(table, [table.broadcast(p, column) for p in parts])
        if scale is not None and constant_value(scale) != 0:
            result[serial] = (base, None if constant_value(scale) == 1 else scale)
    return result


def _whole(table: NodeTable, terms: Terms) -> Node:
    """The Jacobian as one node."""
    parts = []
    for base, scale in terms.values():
        if scale is None:
            parts.append(base)
        elif not scale.shape:
            parts.append(times_partial(table, base, scale))
        else:
            parts.append(table.matmul(table.make("diag", (scale,)), base))
    return table.add(*parts)


def _rule(table: NodeTable, node: Node, arriving: list[Terms | None]) -> Terms | None:
    """The Jacobian of one node from those of its arguments."""
    if all(j is None for j in arriving):
        return None
    if len(node.shape) == 2 and 1 not in node.shape:
        raise _NoMatrixForm
    first = arriving[0]
    if node.op in ("reshape", "transpose", "trace") and first is not None:
        return first
    if node.op == "sum" and _size(node) == 1 and first is not None:
        return _single(table, [_row_times(table, table.full(1, (1, _size(node.args[0]))), first)])
    if node.op == "broadcast" and not node.args[0].shape and first is not None:
        return _single(table, [table.matmul(table.full(1, (_size(node), 1)), _whole(table, first))])
    if node.op == "index" and first is not None:
        row = max(node.attrs[0])  # type: ignore[call-overload]
        matrix = _whole(table, first)
        return _single(table, [table.make("slice", (matrix,), (((row, row + 1), (0, matrix.shape[1])),))])
    if node.op == "matmul":
        return _product(table, node, arriving)
    declared = OPERATIONS[node.op]
    if node.op != "select" and declared.partials is not None:
        terms: list[Term] = []
        for arg, j, partial in zip(node.args, arriving, declared.partials(table, node), strict=True):
            if j is not None and partial is not None:
                terms.extend(_scaled(table, node, arg, j, partial))
        return _collect(table, terms)
    raise _NoMatrixForm


def _single(table: NodeTable, parts: Sequence[Node]) -> Terms:
    return _collect(table, [(part, None) for part in parts])


def _scaled(table: NodeTable, node: Node, arg: Node, jacobian: Terms, partial: Node) -> list[Term]:
    """partial * jacobian, entry by entry of the node."""
    while partial.op == "broadcast" and not partial.args[0].shape:
        partial = partial.args[0]
    if node.shape and not arg.shape:  # a scalar that every entry takes: a column times a row
        column = table.reshape(table.broadcast(partial, node.shape), (_size(node), 1))
        return [(table.matmul(column, _whole(table, jacobian)), None)]
    if partial.shape:
        partial = table.reshape(partial, (_size(node), 1))
    return [
        (base, partial if scale is None else times_partial(table, *_spread(table, scale, partial)))
        for base, scale in jacobian.values()
    ]


def _spread(table: NodeTable, a: Node, b: Node) -> tuple[Node, Node]:
    """Both with the shape of the one that is a column."""
    shape = a.shape or b.shape
    return table.broadcast(a, shape), b


def _row_times(table: NodeTable, row: Node, jacobian: Terms) -> Node:
    """row * J, where a scale joins the row: (row . scale.T)*base."""
    parts = []
    for base, scale in jacobian.values():
        scaled = row
        if scale is not None:
            scaled = table.mul(row, table.transpose(scale) if scale.shape else scale)
        parts.append(table.matmul(scaled, base))
    return table.add(*parts)


def _product(table: NodeTable, node: Node, arriving: list[Terms | None]) -> Terms:
    """d(a b) of products whose variable factors are a row on the left or a column on the right."""
    (a, b), (ja, jb) = node.args, arriving
    terms: list[Term] = []
    if ja is not None:
        if a.shape[0] == 1 and b.shape[1] == 1:
            terms.append((_row_times(table, table.transpose(b), ja), None))
        elif a.shape[0] == 1:
            terms.append((table.matmul(table.transpose(b), _whole(table, ja)), None))
        elif b.shape == (1, 1):
            terms.extend(_scaled(table, node, a, ja, table.reshape(b, ())))
        else:
            raise _NoMatrixForm
    if jb is not None:
        if a.shape[0] == 1 and b.shape[1] == 1:
            terms.append((_row_times(table, a, jb), None))
        elif b.shape[1] == 1:
            terms.append((table.matmul(a, _whole(table, jb)), None))
        elif a.shape == (1, 1):
            terms.extend(_scaled(table, node, b, jb, table.reshape(a, ())))
        else:
            raise _NoMatrixForm
    return _collect(table, terms)
