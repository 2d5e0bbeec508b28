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

from collections.abc import Iterable, Sequence

from symprop.differentiate.accumulate import add_terms, times_partial
from symprop.differentiate.forward import tangents
from symprop.differentiate.reverse import adjoints, between
from symprop.errors import UnsupportedExpressionError
from symprop.functions.linear import kronecker
from symprop.graph import OPERATIONS, Dim, Node, NodeTable
from symprop.graph.nodes import constant_value

__all__ = ["jacobian_entries", "jacobian_node"]

_PATHS = 500  # paths down into a matrix: beyond them the Jacobian is put together column by column


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
        rows, columns = _size(target), _size(x)
        if isinstance(rows, int) and isinstance(columns, int) and rows < columns:
            return _by_rows(table, target, x)
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
    return _stack(table, rows, (m, n), 0)


# a Jacobian as the sum of DiagMatrix(scale)*base: base, and the scale as a column, a scalar, or None for one
Term = tuple[Node, "Node | None"]
Terms = dict[int, Term]


def _carry(table: NodeTable, target: Node, x: Node) -> Node | None:
    """The Jacobian of the target, None where it is zero."""
    found: dict[int, Terms] = {}
    wide: set[int] = set()  # the matrices in between
    for node in between([target], [x]):
        if node.serial == x.serial:
            found[node.serial] = _single(table, [table.make("eye", (), (_size(x), _size(x)))])
            continue
        if _is_wide(node):
            wide.add(node.serial)
            continue
        if any(a.serial in wide for a in node.args):
            terms: Terms | None = _of_matrices(table, node, x, found, wide)
        else:
            terms = _rule(table, node, [found.get(a.serial) for a in node.args])
        if terms:
            found[node.serial] = terms
    if target.serial in wide:
        raise _NoMatrixForm
    return _whole(table, found[target.serial]) if target.serial in found else None


def _is_wide(node: Node) -> bool:
    return len(node.shape) == 2 and 1 not in node.shape


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
    if node.op == "kronecker" and node.shape[1] == 1:
        (a, b), (ja, jb) = node.args, arriving
        parts = [kronecker(table, _whole(table, ja), b)] if ja is not None else []
        return _single(table, [*parts, *([kronecker(table, a, _whole(table, jb))] if jb is not None else [])])
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


# -- through matrices -------------------------------------------------------------------------------------


def _of_matrices(table: NodeTable, node: Node, x: Node, found: dict[int, Terms], wide: set[int]) -> Terms:
    """The Jacobian of a scalar or a line that is made of matrices that depend on x."""
    if _size(node) == 1:
        adjoint = adjoints(table, node, [x])[x.serial]
        return {} if adjoint is None else _single(table, [table.transpose(adjoint, free=True)])
    following = _Following(table, x, found, wide)
    if node.op == "transpose":
        raise _NoMatrixForm
    if node.op == "matmul":
        a, b = node.args
        matrix, line, turned = (a, b, False) if a.serial in wide else (b, table.transpose(a), True)
        following.follow(matrix, line, turned)
        if line.serial in found or (turned and a.serial in found):
            factor = table.transpose(matrix) if turned else matrix
            part = found[a.serial if turned else b.serial]
            following.parts.append(table.matmul(factor, _whole(table, part)))
    elif node.op == "sum" and node.attrs[0] in ((0,), (1,)):
        matrix = node.args[0]
        turned = node.attrs[0] == (0,)
        following.follow(matrix, table.full(1, (matrix.shape[0 if turned else 1], 1)), turned)
    elif node.op == "diagonal":
        following.follow_diagonal(node.args[0])
    else:
        raise _NoMatrixForm
    return _single(table, following.parts)


class _Following:
    """Collects the parts of the Jacobian of `M*w` (of `M.T*w` where turned) with the column w held fixed."""

    def __init__(self, table: NodeTable, x: Node, found: dict[int, Terms], wide: set[int]) -> None:
        self.table = table
        self.x = x
        self.found = found
        self.wide = wide
        self.parts: list[Node] = []
        self.todo: list[tuple[Node, Node, bool, Node | None]] = []

    def follow(self, matrix: Node, column: Node, turned: bool) -> None:
        """Add the parts: one for each path down into the matrix, behind what stands left of it."""
        self.todo.append((matrix, column, turned, None))
        steps = 0
        while self.todo:
            steps += 1
            if steps > _PATHS:
                raise _NoMatrixForm
            node, w, turned, left = self.todo.pop()
            if node.serial in self.wide:
                self._down(node, w, turned, left)
            elif node.serial in self.found:
                self._add(left, self._line(node, w, turned))

    def _add(self, left: Node | None, part: Node) -> None:
        self.parts.append(part if left is None else _times(self.table, left, part))

    def _line(self, node: Node, w: Node, turned: bool) -> Node:
        """A column c or row r as the matrix: c*w is a multiple of c, r*w is w.T times its Jacobian."""
        terms = self.found[node.serial]
        if w.shape == (1, 1):
            return times_partial(self.table, _whole(self.table, terms), self.table.reshape(w, ()))
        return _row_times(self.table, self.table.transpose(w), terms)

    def _scalar(self, node: Node) -> Node | None:
        """The row of a scalar that depends on x."""
        if node.serial in self.found:
            return _whole(self.table, self.found[node.serial])
        adjoint = adjoints(self.table, node, [self.x])[self.x.serial]
        return None if adjoint is None else self.table.transpose(adjoint, free=True)

    def _down(self, node: Node, w: Node, turned: bool, left: Node | None) -> None:
        table, todo = self.table, self.todo

        def towards(matrix: Node) -> Node:
            return table.transpose(matrix) if turned else matrix

        if node.op == "matmul":
            first, last = node.args[::-1] if turned else node.args
            todo.append((last, w, turned, _behind(table, left, towards(first))))
            todo.append((first, _times(table, towards(last), w), turned, left))
        elif node.op == "transpose":
            todo.append((node.args[0], w, not turned, left))
        elif node.op == "add" and all(a.shape for a in node.args):
            todo.extend((a, w, turned, left) for a in reversed(node.args))
        elif node.op == "inverse":
            own = towards(node)
            todo.append((node.args[0], table.matmul(own, w), turned, _behind(table, left, table.neg(own))))
        elif node.op == "diag" and node.args[0].serial in self.found:
            terms = self.found[node.args[0].serial].values()
            scaled = [(base, w if s is None else table.mul(w, s)) for base, s in terms]
            self._add(left, _whole(table, _collect(table, scaled)))
        elif node.op == "mul":
            self._product(node, w, turned, left)
        elif node.op == "cofactor":
            self._cofactor(node, w, turned, left)
        elif node.op == "broadcast" and not node.args[0].shape:
            row = self._scalar(node.args[0])
            if row is not None:
                column = table.broadcast(table.sum(w), (node.shape[1 if turned else 0], 1))
                self._add(left, table.matmul(column, row))
        else:
            raise _NoMatrixForm

    def _product(self, node: Node, w: Node, turned: bool, left: Node | None) -> None:
        """s*M for scalars s: s*(dM w) + (M w)*ds."""
        table = self.table
        scalars = [a for a in node.args if not a.shape]
        matrices = [a for a in node.args if a.shape]
        if len(matrices) != 1:
            raise _NoMatrixForm
        matrix = matrices[0]
        todo_left = table.mul(*scalars, left) if left is not None else None
        if todo_left is None:
            size = node.shape[1 if turned else 0]
            todo_left = table.mul(*scalars, table.make("eye", (), (size, size)))
        self.todo.append((matrix, w, turned, todo_left))
        column = table.matmul(table.transpose(matrix) if turned else matrix, w)
        for k, scalar in enumerate(scalars):
            row = None if scalar.op == "constant" else self._scalar(scalar)
            if row is not None:
                others = [*scalars[:k], *scalars[k + 1 :]]
                self._add(left, table.matmul(table.mul(*others, column), row))

    def follow_diagonal(self, matrix: Node) -> None:
        """Add the parts of the Jacobian of the diagonal: each path leads to the diagonal of L*dN*R, which for
        a diagonal matrix N of the column u is (L o R.T)*du.
        """
        table = self.table
        size = matrix.shape[0]
        eye = table.make("eye", (), (size, size))
        todo = [(matrix, eye, eye)]
        steps = 0
        while todo:
            steps += 1
            if steps > _PATHS:
                raise _NoMatrixForm
            node, left, right = todo.pop()
            if node.serial in self.found:
                jacobian = _whole(table, self.found[node.serial])
                line = table.transpose(right) if node.shape[1] == 1 else left
                moved = left if node.shape[1] == 1 else table.transpose(right)
                self.parts.append(table.matmul(table.make("diag", (line,)), table.matmul(moved, jacobian)))
            elif node.serial not in self.wide:
                continue
            elif node.op == "matmul":
                a, b = node.args
                todo.append((b, table.matmul(left, a), right))
                todo.append((a, left, table.matmul(b, right)))
            elif node.op == "transpose":
                todo.append((node.args[0], table.transpose(right), table.transpose(left)))
            elif node.op == "add" and all(a.shape for a in node.args):
                todo.extend((a, left, right) for a in reversed(node.args))
            elif node.op == "inverse":
                inside = table.neg(table.matmul(left, node))
                todo.append((node.args[0], inside, table.matmul(node, right)))
            elif node.op == "diag" and node.args[0].serial in self.found:
                jacobian = _whole(table, self.found[node.args[0].serial])
                self.parts.append(table.matmul(table.mul(left, table.transpose(right)), jacobian))
            elif node.op == "mul" and sum(bool(a.shape) for a in node.args) == 1:
                scalars = [a for a in node.args if not a.shape]
                inner = next(a for a in node.args if a.shape)
                todo.append((inner, table.mul(*scalars, left), right))
                column = table.make("diagonal", (table.matmul(table.matmul(left, inner), right),))
                for k, scalar in enumerate(scalars):
                    row = None if scalar.op == "constant" else self._scalar(scalar)
                    if row is not None:
                        others = [*scalars[:k], *scalars[k + 1 :]]
                        self.parts.append(table.matmul(table.mul(*others, column), row))
            else:
                raise _NoMatrixForm

    def _cofactor(self, node: Node, w: Node, turned: bool, left: Node | None) -> None:
        """d cof(A) = cof(A) tr(A**-1 dA) - cof(A) dA.T A**-T, for a regular matrix."""
        table = self.table
        (a,) = node.args
        row = self._scalar(table.make("log_determinant", (a,), ("abs",)))
        own = table.transpose(node) if turned else node
        if row is not None:
            self._add(left, table.matmul(table.matmul(own, w), row))
        inverse = table.make("inverse", (a,))
        inner = table.matmul(inverse if turned else table.transpose(inverse), w)
        self.todo.append((a, inner, not turned, _behind(table, left, table.neg(own))))


def _behind(table: NodeTable, left: Node | None, factor: Node) -> Node:
    return factor if left is None else _times(table, left, factor)


def _times(table: NodeTable, a: Node, b: Node) -> Node:
    """a*b, where a factor of one entry is a number."""
    for one, other in ((a, b), (b, a)):
        if one.shape == (1, 1):
            return times_partial(table, other, table.reshape(one, ()))
    return table.matmul(a, b)
