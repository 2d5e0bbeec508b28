"""Jacobians as matrix expressions: one matrix is carried forward, from the identity at the variable to the
target.

The Jacobian of a node with k entries by a column of n is a (k, n) matrix: `A*J` for a product with a constant
matrix, `DiagMatrix(f'(u))*J` for a function of every entry, `p*J` for a scalar. It is kept as a sum of
`DiagMatrix(scale)*base`, so that derivatives of one entry multiply and add up as columns. Where a node has no
such form the Jacobian is put together from directional derivatives, one for each column, or from
gradients, one for each row, whichever are fewer.

Matrices in between (an inverse, an outer product) have no Jacobian of this kind, but a column `M*w` has one:
with w held fixed it is followed down into M, `d(P*Q) w = dP (Q w) + P dQ w` and `d(M**-1) w = -M**-1 dM M**-1
w`. A scalar of such matrices (a trace, a determinant) has the row that reverse mode gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from symprop.differentiate.accumulate import times_partial
from symprop.differentiate.following import of_matrices
from symprop.differentiate.forward import tangents
from symprop.differentiate.reverse import adjoints, between
from symprop.differentiate.terms import (
    NoMatrixForm,
    Term,
    Terms,
    collect,
    is_outer,
    is_wide,
    row_times,
    rows_of,
    scaled,
    single,
    size_of,
    spread,
    whole,
)
from symprop.errors import UnsupportedExpressionError
from symprop.functions.linear import kronecker
from symprop.graph import OPERATIONS, Dim, Node, NodeTable
from symprop.graph.nodes import constant_value

__all__ = ["jacobian_entries", "jacobian_node"]


def jacobian_node(table: NodeTable, target: Node, x: Node) -> Node:
    """The Jacobian of a column (m, 1) or scalar by a column (n, 1): (m, n); by a scalar: of the shape of the
    target.
    """
    if not x.shape:
        found = tangents(table, [target], {x.serial: table.constant(1)})[target.serial]
        return table.full(0, target.shape) if found is None else found
    try:
        jacobian = _carry(table, target, x)
        if not jacobian:
            return table.full(0, (size_of(target), size_of(x)))
        return whole(table, jacobian)
    except NoMatrixForm:
        rows, columns = size_of(target), size_of(x)
        if isinstance(rows, int) and isinstance(columns, int) and rows < columns:
            return _by_rows(table, target, x)
        return _by_columns(table, target, x)


def jacobian_entries(table: NodeTable, rows: Sequence[Node], columns: Sequence[Node]) -> Node:
    """The Jacobian of scalars and columns by scalars and columns, one below and beside the other."""
    if len(rows) == 1 and len(columns) == 1 and columns[0].shape:
        return jacobian_node(table, rows[0], columns[0])
    if any(node.shape for node in [*rows, *columns]):
        blocks: list[Block] = []
        below: Dim = 0
        for row in rows:
            beside: Dim = 0
            for column in columns:
                blocks.append((_block(table, row, column), (below, beside)))
                beside = beside + size_of(column)
            below = below + size_of(row)
        return _placed(table, blocks, (below, beside))
    shape = len(rows), len(columns)
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


def _number(node: Node) -> int:
    """The number of entries, where it is a number."""
    size = size_of(node)
    if isinstance(size, int):
        return size
    raise UnsupportedExpressionError(
        f"a Jacobian of this form is put together entry by entry and needs numbers as sizes, found {size} "
        "entries in "
        f"{node!r}; use jvp or vjp, or declare the symbols with numbers as sizes"
    )


def _block(table: NodeTable, row: Node, column: Node) -> Node:
    """The Jacobian of one by the other; of a scalar that takes single entries of a column, these entries."""
    if not row.shape and column.shape and isinstance(column.shape[0], int):
        found = adjoints(table, row, [column])[column.serial]
        if found is None:
            return table.full(0, (1, size_of(column)))
        if found.op == "place":
            places = tuple((j, i) for i, j in found.attrs[1])  # type: ignore[attr-defined]
            return table.make("place", found.args, ((1, size_of(column)), places))
    return jacobian_node(table, row, column)


Block = tuple[Node, tuple[Dim, Dim]]


def _placed(table: NodeTable, blocks: Sequence[Block], shape: tuple[Dim, Dim]) -> Node:
    """One matrix of blocks, each with the place of its first entry."""
    terms = []
    entries: dict[tuple[int, int], Node] = {}
    known = all(isinstance(d, int) for d in shape)
    single = known and all(_is_of_entries(block) for block, _ in blocks)
    for block, (below, beside) in blocks:
        if constant_value(block) == 0:
            continue
        if block.op == "place" and isinstance(below, int) and isinstance(beside, int) and known:
            for (i, j), value in zip(block.attrs[1], block.args, strict=True):  # type: ignore[call-overload]
                if constant_value(value) != 0:
                    entries[i + below, j + beside] = value
        elif single and isinstance(below, int) and isinstance(beside, int):
            entries[below, beside] = table.reshape(block, ())
        else:
            block = block if block.shape else table.reshape(block, (1, 1))
            terms.append(table.make("pad", (block,), (shape, (below, beside))))
    if entries:
        ordered = dict(sorted(entries.items()))
        terms.append(table.make("place", tuple(ordered.values()), (shape, tuple(ordered))))
    return table.add(*terms) if terms else table.full(0, shape)


def _is_of_entries(block: Node) -> bool:
    return block.op == "place" or block.shape in ((), (1, 1)) or constant_value(block) == 0


def _by_columns(table: NodeTable, target: Node, x: Node) -> Node:
    """Column j is the derivative in the direction of the j-th unit vector."""
    m, n = _number(target), _number(x)
    columns = []
    for j in range(n):
        unit = table.make("place", (table.constant(1),), (x.shape, ((j, 0),)))
        found = tangents(table, [target], {x.serial: unit})[target.serial]
        columns.append(table.full(0, (m, 1)) if found is None else table.reshape(found, (m, 1)))
    return _placed(table, [(c, (0, j)) for j, c in enumerate(columns)], (m, n))


def _by_rows(table: NodeTable, target: Node, x: Node) -> Node:
    """Row i is the gradient of entry i."""
    m, n = _number(target), _number(x)
    rows = []
    for i in range(m):
        unit = table.constant(1)
        if target.shape:
            unit = table.make("place", (unit,), (target.shape, ((i, 0),)))
        found = adjoints(table, target, [x], unit)[x.serial]
        rows.append(table.full(0, (1, n)) if found is None else table.transpose(found))
    return _placed(table, [(r, (i, 0)) for i, r in enumerate(rows)], (m, n))


def _carry(table: NodeTable, target: Node, x: Node) -> Terms | None:
    """The Jacobian of the target by x, None where it is zero."""
    seed = {x.serial: single(table, [table.make("eye", (), (size_of(x), size_of(x)))])}
    return _onwards(table, target, [x], seed, x)


def _onwards(
    table: NodeTable, target: Node, sources: Sequence[Node], seeds: dict[int, Terms], x: Node
) -> Terms | None:
    """The Jacobian of the target by x, given those of the nodes that x reaches it by."""
    found: dict[int, Terms] = dict(seeds)
    wide: set[int] = set()  # the matrices in between
    for node in between([target], sources, frozenset(seeds)):
        if node.serial in seeds:
            continue
        if is_wide(node):
            wide.add(node.serial)
            continue
        if any(a.serial in wide for a in node.args):
            terms: Terms | None = of_matrices(table, node, x, found, wide)
        else:
            terms = _rule(table, node, [found.get(a.serial) for a in node.args], x)
        if terms:
            found[node.serial] = terms
    if target.serial in wide:
        raise NoMatrixForm
    return found.get(target.serial)


def _rule(table: NodeTable, node: Node, arriving: list[Terms | None], x: Node) -> Terms | None:
    """The Jacobian of one node from those of its arguments."""
    if all(j is None for j in arriving):
        return None
    first = arriving[0]
    if node.op in ("reshape", "transpose", "trace") and first is not None:
        return first
    if node.op in _MOVES and first is not None:
        return _moved(table, node, first)
    if node.op == "sum" and size_of(node) == 1 and first is not None:
        return single(table, [row_times(table, table.full(1, (1, size_of(node.args[0]))), first)])
    if node.op == "broadcast" and not node.args[0].shape and first is not None:
        return collect(table, scaled(table, node, node.args[0], first, table.constant(1)))
    if node.op == "matmul":
        return _product(table, node, arriving)
    if node.op == "kronecker" and node.shape[1] == 1:
        (a, b), (ja, jb) = node.args, arriving
        parts = [kronecker(table, whole(table, ja), b)] if ja is not None else []
        return single(table, [*parts, *([kronecker(table, a, whole(table, jb))] if jb is not None else [])])
    if node.op == "select":
        return _choice(table, node, arriving, x)
    declared = OPERATIONS[node.op]
    if declared.partials is not None:
        terms: list[Term] = []
        for arg, j, partial in zip(node.args, arriving, declared.partials(table, node), strict=True):
            if j is not None and partial is not None:
                terms.extend(scaled(table, node, arg, j, partial))
        return collect(table, terms)
    composed = _composed(table, node, arriving) if declared.jvp is not None else None
    if composed is not None:
        return composed
    if declared.expand is not None:
        known = {a.serial: j for a, j in zip(node.args, arriving, strict=True) if j is not None}
        sources = [a for a in node.args if a.serial in known]
        return _onwards(table, declared.expand(table, node), sources, known, x)
    raise NoMatrixForm


_MOVES = frozenset(("index", "slice", "pad"))


def _moved(table: NodeTable, node: Node, terms: Terms) -> Terms:
    """Entries of a line taken, or zeros put around it: rows of the Jacobian."""
    matrix = whole(table, terms)
    size = size_of(node)
    along = 0 if node.args[0].shape[0] != 1 or (node.op == "pad" and node.shape[0] != 1) else 1
    if node.op == "pad":
        start = node.attrs[1][along]  # type: ignore[index]
        return single(table, [table.make("pad", (matrix,), ((size, matrix.shape[1]), (start, 0)))])
    start, stop = node.attrs[0][along] if node.op == "slice" else (max(node.attrs[0]), None)  # type: ignore[index,call-overload]
    return single(table, [rows_of(table, matrix, start, start + 1 if stop is None else stop)])


def _choice(table: NodeTable, node: Node, arriving: list[Terms | None], x: Node) -> Terms:
    """The scales of each branch where it is taken. A base that depends on x may be infinite or NaN where the
    branch is not taken: it must be one of both branches.
    """
    condition = node.args[0]
    if condition.shape and size_of(node) != condition.shape[0]:
        condition = table.transpose(condition)
    zero = table.constant(0)
    bases: dict[int, tuple[Node, list[Node]]] = {}
    for k, arg in ((0, node.args[1]), (1, node.args[2])):
        branch = arriving[1 + k] or {}
        if branch and not arg.shape and node.shape:
            raise NoMatrixForm
        for serial, (base, scale) in branch.items():
            bases.setdefault(serial, (base, [zero, zero]))[1][k] = (
                table.constant(1) if scale is None else scale
            )
    terms: list[Term] = []
    for base, scales in bases.values():
        if any(constant_value(s) == 0 for s in scales) and between([base], [x]):
            raise NoMatrixForm
        terms.append((base, table.select(condition, scales[0], scales[1])))
    return collect(table, terms)


def _composed(table: NodeTable, node: Node, arriving: list[Terms | None]) -> Terms | None:
    """The Jacobian of a function with a rule of its own: its rule is linear in the direction, and has itself
    a Jacobian by the direction, which stands before those of the arguments. None where the rule is the
    operation itself, of the direction.
    """
    jvp = OPERATIONS[node.op].jvp
    assert jvp is not None
    terms: list[Term] = []
    for k, (arg, jacobian) in enumerate(zip(node.args, arriving, strict=True)):
        if jacobian is None:
            continue
        name = f"_direction{len(table.nodes)}"
        direction = table.symbol(sp.MatrixSymbol(name, *arg.shape) if arg.shape else sp.Symbol(name))
        tangent = jvp(table, node, [direction if i == k else None for i in range(len(node.args))])
        if tangent is not None and any(n.op == node.op for n in between([tangent], [direction])):
            return None
        local = None if tangent is None else _carry(table, tangent, direction)
        for base, scale in (local or {}).values():
            terms.extend(_after(table, base, scale, jacobian))
    return collect(table, terms)


def _after(table: NodeTable, base: Node, scale: Node | None, jacobian: Terms) -> list[Term]:
    """DiagMatrix(scale)*base*jacobian."""
    if base.op != "eye":
        left, right = base.args if is_outer(base) else (None, base)
        product = row_times(table, right, jacobian) if right.shape[0] == 1 else None
        if product is None:
            product = table.matmul(right, whole(table, jacobian))
        return [(product if left is None else table.matmul(left, product), scale)]
    if scale is None:
        return list(jacobian.values())
    return [
        (inner, scale if s is None else times_partial(table, *spread(table, s, scale)))
        for inner, s in jacobian.values()
    ]


def _product(table: NodeTable, node: Node, arriving: list[Terms | None]) -> Terms:
    """d(a b) of products whose variable factors are a row on the left or a column on the right."""
    (a, b), (ja, jb) = node.args, arriving
    terms: list[Term] = []
    if ja is not None:
        if a.shape[0] == 1 and b.shape[1] == 1:
            terms.append((row_times(table, table.transpose(b), ja), None))
        elif a.shape[0] == 1:
            terms.extend(_behind(table, table.transpose(b), ja))
        elif b.shape == (1, 1):
            terms.extend(scaled(table, node, a, ja, table.reshape(b, ())))
        else:
            raise NoMatrixForm
    if jb is not None:
        if a.shape[0] == 1 and b.shape[1] == 1:
            terms.append((row_times(table, a, jb), None))
        elif b.shape[1] == 1:
            terms.extend(_behind(table, a, jb))
        elif a.shape == (1, 1):
            terms.extend(scaled(table, node, b, jb, table.reshape(a, ())))
        else:
            raise NoMatrixForm
    return collect(table, terms)


def _behind(table: NodeTable, matrix: Node, jacobian: Terms) -> list[Term]:
    """matrix * jacobian; term by term where that costs no further product of matrices."""
    cheap = all(
        (scale is None or not scale.shape) and (base.op == "eye" or is_outer(base))
        for base, scale in jacobian.values()
    )
    if not cheap or len(jacobian) == 1:
        return [(table.matmul(matrix, whole(table, jacobian)), None)]
    terms: list[Term] = []
    for base, scale in jacobian.values():
        if is_outer(base):
            column, row = base.args
            terms.append((table.matmul(table.matmul(matrix, column), row), scale))
        else:
            terms.append((table.matmul(matrix, base), scale))
    return terms
