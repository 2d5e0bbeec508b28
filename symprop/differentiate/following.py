"""Jacobians through matrices that depend on the variable: `M*w` with w held fixed is followed down into M.

`d(P*Q) w = dP (Q w) + P dQ w`, `d(M**-1) w = -M**-1 dM M**-1 w`. A function of every entry weights what is
below it: `d f(N) w = (f'(N) o dN) w`, and for a product of lines `N = c*r` that is
`DiagMatrix(P*(r.T o w))*dc + DiagMatrix(c)*P*DiagMatrix(w)*dr.T` with `P = f'(N)`.
"""

from __future__ import annotations

from typing import Any

from symprop.differentiate.accumulate import times_partial
from symprop.differentiate.reverse import adjoints
from symprop.differentiate.terms import NoMatrixForm, Terms, collect, row_times, single, size_of, whole
from symprop.graph import OPERATIONS, Node, NodeTable

__all__ = ["of_matrices"]

_PATHS = 500  # paths down into a matrix: beyond them the Jacobian is put together column by column


def of_matrices(table: NodeTable, node: Node, x: Node, found: dict[int, Terms], wide: set[int]) -> Terms:
    """The Jacobian of a scalar or a line that is made of matrices that depend on x."""
    if size_of(node) == 1:
        adjoint = adjoints(table, node, [x])[x.serial]
        return {} if adjoint is None else single(table, [table.transpose(adjoint, free=True)])
    following = _Following(table, x, found, wide)
    if node.op == "transpose":
        raise NoMatrixForm
    if node.op == "matmul":
        a, b = node.args
        matrix, line, turned = (a, b, False) if a.serial in wide else (b, table.transpose(a), True)
        following.follow(matrix, line, turned)
        if line.serial in found or (turned and a.serial in found):
            factor = table.transpose(matrix) if turned else matrix
            part = found[a.serial if turned else b.serial]
            following.parts.append(table.matmul(factor, whole(table, part)))
    elif node.op == "sum" and node.attrs[0] in ((0,), (1,)):
        matrix = node.args[0]
        turned = node.attrs[0] == (0,)
        following.follow(matrix, table.full(1, (matrix.shape[0 if turned else 1], 1)), turned)
    elif node.op == "diagonal":
        following.follow_diagonal(node.args[0])
    else:
        raise NoMatrixForm
    return single(table, following.parts)


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
                raise NoMatrixForm
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
            return times_partial(self.table, whole(self.table, terms), self.table.reshape(w, ()))
        return row_times(self.table, self.table.transpose(w), terms)

    def _scalar(self, node: Node) -> Node | None:
        """The row of a scalar that depends on x."""
        if node.serial in self.found:
            return whole(self.table, self.found[node.serial])
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
            self._add(left, whole(table, collect(table, scaled)))
        elif node.op == "mul":
            self._product(node, w, turned, left)
        elif node.op == "cofactor":
            self._cofactor(node, w, turned, left)
        elif node.op == "broadcast" and not node.args[0].shape:
            row = self._scalar(node.args[0])
            if row is not None:
                column = table.broadcast(table.sum(w), (node.shape[1 if turned else 0], 1))
                self._add(left, table.matmul(column, row))
        elif OPERATIONS[node.op].partials is not None and node.op != "select":
            self._weighted(node, w, turned, left)
        else:
            raise NoMatrixForm

    def _weighted(self, root: Node, w: Node, turned: bool, left: Node | None) -> None:
        """(P o dN)*w, or (P o dN).T*w where turned, for functions N of every entry."""
        table = self.table
        todo: list[tuple[Node, Node | None, bool]] = [(root, None, turned)]
        steps = 0
        while todo:
            steps += 1
            if steps > _PATHS:
                raise NoMatrixForm
            node, weight, turned = todo.pop()
            if not node.shape:
                row = self._scalar(node)
                if row is not None and weight is not None:
                    own = table.transpose(weight) if turned else weight
                    self._add(left, table.matmul(table.matmul(own, w), row))
                continue
            if node.serial not in self.wide:
                continue
            if weight is None and node.op in ("matmul", "inverse", "diag", "cofactor", "transpose"):
                self.todo.append((node, w, turned, left))
            elif node.op == "transpose":
                assert weight is not None
                todo.append((node.args[0], table.transpose(weight), not turned))
            elif node.op == "broadcast":
                todo.append((node.args[0], weight, turned))
            elif node.op == "matmul" and node.args[1].shape[0] == 1:
                assert weight is not None
                self._lines(node, weight, w, turned, left)
            elif node.op == "diag" and weight is not None and node.args[0].serial in self.found:
                scale = table.mul(table.diagonal(weight), w)
                terms = self.found[node.args[0].serial].values()
                self._add(left, whole(table, self._scaled(terms, scale)))
            elif (partials := OPERATIONS[node.op].partials) is not None and node.op != "select":
                for arg, partial in zip(node.args, partials(table, node), strict=True):
                    if partial is not None:
                        below = table.broadcast(partial, node.shape)
                        todo.append(
                            (arg, below if weight is None else times_partial(table, weight, below), turned)
                        )
            else:
                raise NoMatrixForm

    def _scaled(self, terms: Any, scale: Node) -> Terms:
        table = self.table
        return collect(table, [(base, scale if s is None else table.mul(scale, s)) for base, s in terms])

    def _lines(self, node: Node, weight: Node, w: Node, turned: bool, left: Node | None) -> None:
        """(P o d(c*r))*w for a column c and a row r."""
        table = self.table
        column, row = node.args
        if turned:  # the transpose: r.T is the column, c.T the row
            column, row, weight = table.transpose(row), table.transpose(column), table.transpose(weight)
        by_column, by_row = self.found.get(node.args[0].serial), self.found.get(node.args[1].serial)
        if turned:
            by_column, by_row = by_row, by_column
        if by_column is not None:
            inner = table.mul(table.transpose(row), w)
            self._add(left, whole(table, self._scaled(by_column.values(), table.matmul(weight, inner))))
        if by_row is not None:
            inner = whole(table, self._scaled(by_row.values(), w))
            self._add(left, whole(table, collect(table, [(table.matmul(weight, inner), column)])))

    def _product(self, node: Node, w: Node, turned: bool, left: Node | None) -> None:
        """s*M for scalars s: s*(dM w) + (M w)*ds."""
        table = self.table
        scalars = [a for a in node.args if not a.shape]
        matrices = [a for a in node.args if a.shape]
        if len(matrices) != 1:
            self._weighted(node, w, turned, left)
            return
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
                raise NoMatrixForm
            node, left, right = todo.pop()
            if node.serial in self.found:
                jacobian = whole(table, self.found[node.serial])
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
                jacobian = whole(table, self.found[node.args[0].serial])
                self.parts.append(table.matmul(table.mul(left, table.transpose(right)), jacobian))
            elif node.op == "mul" and sum(bool(a.shape) for a in node.args) == 1:
                scalars = [a for a in node.args if not a.shape]
                inner = next(a for a in node.args if a.shape)
                todo.append((inner, table.mul(*scalars, left), right))
                column = table.diagonal(table.matmul(table.matmul(left, inner), right))
                for k, scalar in enumerate(scalars):
                    row = None if scalar.op == "constant" else self._scalar(scalar)
                    if row is not None:
                        others = [*scalars[:k], *scalars[k + 1 :]]
                        self.parts.append(table.matmul(table.mul(*others, column), row))
            else:
                raise NoMatrixForm

    def _cofactor(self, node: Node, w: Node, turned: bool, left: Node | None) -> None:
        """d cof(A) w, where dA is a sum of products of a line that depends on x with one that does not.

        With D the derivative of cof(A) in a direction, D[q*r.T] w = -D[q*w.T] r: it is zero for r = w, and
        D[l*q.T] w = -D[l*w.T] q. Where A is singular that holds too. Other forms of dA have no matrix of
        their own; with a symbolic size the formula for a regular matrix serves.
        """
        table = self.table
        (a,) = node.args
        one = table.constant(1)
        todo: list[tuple[Node, Node | None, Node | None, bool, Node]] = [(a, None, None, turned, one)]
        parts: list[Node] = []
        steps = 0
        while todo:  # what is left and right of dN, or of dN.T where flipped, and a number
            steps += 1
            inner, before, behind, flipped, scale = todo.pop()
            if inner.serial in self.found and 1 in inner.shape and inner.shape != (1, 1):
                jacobian = whole(table, self.found[inner.serial])
                if (inner.shape[1] == 1) != flipped:
                    if behind is None or table.transpose(behind) is not w:
                        return self._regular_cofactor(node, w, turned, left)
                    continue
                assert before is not None
                across = table.matmul(before, table.transpose(w))
                across = table.transpose(across, free=True) if turned else across
                slope = table.make("cofactor_slope", (a, across))
                own = table.transpose(slope) if turned else slope
                moved = jacobian if behind is None else table.matmul(table.transpose(behind), jacobian)
                parts.append(table.mul(table.neg(scale), table.matmul(own, moved)))
            elif inner.serial not in self.wide and inner.serial not in self.found:
                continue
            elif inner.op == "matmul" and steps <= _PATHS:
                first, last = inner.args
                if flipped:
                    first, last = table.transpose(last), table.transpose(first)
                p, q = inner.args[::-1] if flipped else inner.args
                inside = first if before is None else table.matmul(before, first)
                todo.append((q, inside, behind, flipped, scale))
                inside = last if behind is None else table.matmul(last, behind)
                todo.append((p, before, inside, flipped, scale))
            elif inner.op == "transpose":
                todo.append((inner.args[0], before, behind, not flipped, scale))
            elif inner.op == "mul" and inner.args[0].op == "constant" and len(inner.args) == 2:
                todo.append((inner.args[1], before, behind, flipped, table.mul(scale, inner.args[0])))
            elif inner.op == "add" and all(t.shape for t in inner.args) and steps <= _PATHS:
                todo.extend((t, before, behind, flipped, scale) for t in reversed(inner.args))
            else:
                return self._regular_cofactor(node, w, turned, left)
        for part in parts:
            self._add(left, part)

    def _regular_cofactor(self, node: Node, w: Node, turned: bool, left: Node | None) -> None:
        """d cof(A) = cof(A) tr(A**-1 dA) - cof(A) dA.T A**-T, for a regular matrix."""
        if isinstance(size_of(self.x), int):
            raise NoMatrixForm  # directional derivatives hold for every matrix
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
