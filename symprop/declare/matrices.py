"""How matrix expressions of sympy become nodes: one rule per class, (parts to take in first or None,
build).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.dotproduct import DotProduct
from sympy.matrices.expressions.kronecker import KroneckerProduct
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.permutation import PermutationMatrix
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import GenericIdentity, GenericZeroMatrix

from symprop.declare import refusals
from symprop.declare.forms import Entrywise, brief
from symprop.errors import ShapeError
from symprop.functions.linear import kronecker
from symprop.graph import Dim, Node, NodeTable, Shape

if TYPE_CHECKING:
    from symprop.declare.intake import Intake

__all__ = ["RULES", "dimension", "product", "shape"]

Parts = Callable[[Any], Sequence[Any]] | None
Build = Callable[..., Node]
_PLANNED = 40  # longest product whose order is planned: the plan costs the cube of it
_UNKNOWN = 64  # what a symbolic size counts as in the plan


def dimension(size: Any) -> Dim:
    """A size as a node has it: an int, or the sympy expression of a symbolic one."""
    value = sp.sympify(size)
    return int(value) if value.is_Integer else value


def shape(expression: Any) -> Shape:
    """The shape of a matrix expression."""
    rows, columns = expression.shape
    return dimension(rows), dimension(columns)


def _nothing(expression: Any) -> Sequence[Any]:
    return ()


def _first(expression: Any) -> Sequence[Any]:
    return expression.args[:1]  # type: ignore[no-any-return]


def _matrix(expression: Any, node: Node) -> Node:
    if len(node.shape) != 2:
        raise ShapeError(f"{type(expression).__name__} takes a matrix, found a scalar")
    return node


# -- sums and products ------------------------------------------------------------


def product(table: NodeTable, factors: Sequence[Node]) -> Node:
    """The matrix product in the order of the fewest multiplications; on a tie from left to right."""
    count = len(factors)
    if count > _PLANNED:
        result = factors[0]
        for factor in factors[1:]:
            result = table.matmul(result, factor)
        return result
    sizes = [
        d if isinstance(d, int) else _UNKNOWN for d in (factors[0].shape[0], *[f.shape[-1] for f in factors])
    ]
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length - 1
            # the last cut first: (A*B)*C before A*(B*C)
            cuts = [
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], -k)
                for k in range(i, j)
            ]
            cost[i, j], best = min(cuts)
            split[i, j] = -best
    made: dict[tuple[int, int], Node] = {(i, i): factor for i, factor in enumerate(factors)}
    todo = [(0, count - 1)]
    while todo:
        i, j = todo[-1]
        if (i, j) in made:
            todo.pop()
            continue
        left, right = (i, split[i, j]), (split[i, j] + 1, j)
        if left in made and right in made:
            made[i, j] = table.matmul(made[left], made[right])
        else:
            todo += [right, left]
    return made[0, count - 1]


def _matmul(intake: Intake, expression: Any, *factors: Node) -> Node:
    table = intake.table
    scalars = [f for f in factors if not f.shape]
    arrays = [f for f in factors if f.shape]
    kept = [f for f in arrays if not (f.op == "eye" and f.shape[0] == f.shape[1])]
    result = product(table, _kronecker_products(table, kept or arrays[:1]))
    return table.mul(*scalars, result)


def _kronecker_products(table: NodeTable, factors: Sequence[Node]) -> list[Node]:
    """(A kron B)*(C kron D) --> (A*C) kron (B*D), where the factors fit."""
    result: list[Node] = []
    for factor in factors:
        before = result[-1] if result else factor
        if result and before.op == factor.op == "kronecker":
            (a, b), (c, d) = before.args, factor.args
            if a.shape[1] == c.shape[0] and b.shape[1] == d.shape[0]:
                result[-1] = kronecker(table, table.matmul(a, c), table.matmul(b, d))
                continue
        result.append(factor)
    return result


def _matadd(intake: Intake, expression: Any, *terms: Node) -> Node:
    shapes = {t.shape for t in terms}
    if len(shapes) != 1 or () in shapes:
        found = ", ".join(map(str, [t.shape for t in terms]))
        raise ShapeError(f"a sum takes matrices of one shape, found {found}")
    table = intake.table
    columns = [_turned_row(table, t) for t in terms] if terms[0].shape[0] == 1 != terms[0].shape[1] else []
    kept = [c for c in columns if c is not None]
    if kept and len(kept) == len(terms):
        return table.transpose(table.add(*kept))
    return table.add(*terms)


def _turned_row(table: NodeTable, row: Node) -> Node | None:
    """The column whose transpose a row is, None where it has another form. sympy takes the transposes of sums
    apart, x.T*A.T - y.T: put together as (A*x - y).T it has its value in common with A*x - y.
    """
    scalars: list[Node] = []
    while row.op == "mul" and sum(bool(f.shape) for f in row.args) == 1:
        scalars += [f for f in row.args if not f.shape]
        row = next(f for f in row.args if f.shape)
    factors: list[Node] = []
    todo = [row]
    while todo:
        factor = todo.pop()
        if factor.op == "matmul" and len(factors) < _PLANNED:
            todo += [factor.args[1], factor.args[0]]
        elif factor.op in ("transpose", "broadcast") or table.is_symmetric(factor):
            factors.append(table.transpose(factor))
        else:
            return None
    return table.mul(*scalars, product(table, factors[::-1]))


def _power(intake: Intake, expression: Any, base: Node, exponent: Node) -> Node:
    table = intake.table
    if base.shape == (1, 1) and not exponent.shape:
        return _of_one_entry(table, base, exponent)
    count = expression.args[1]
    if not count.is_Integer:
        raise refusals.refuse(
            expression,
            "a power of a matrix takes a whole exponent; entry by entry it is HadamardPower(M, exponent)",
        )
    if count == 0:
        return table.make("eye", (), base.shape)
    if count < 0:
        base = inverse(table, base)
    if base.op == "kronecker" and _is_of_squares(base):
        return kronecker(table, *[_repeated(table, f, abs(int(count))) for f in base.args])
    return _repeated(table, base, abs(int(count)))


def _of_one_entry(table: NodeTable, base: Node, exponent: Node | int) -> Node:
    """A power of a 1 x 1 matrix: that of the number in it."""
    return table.reshape(table.pow(table.reshape(base, ()), exponent), (1, 1))


def _repeated(table: NodeTable, base: Node, left: int) -> Node:
    """A positive power, by squares."""
    if base.shape == (1, 1):
        return _of_one_entry(table, base, left)
    result: Node | None = None
    square = base
    while left:
        if left & 1:
            result = square if result is None else table.matmul(result, square)
        left >>= 1
        if left:
            square = table.matmul(square, square)
    assert result is not None
    return result


def _inverse(intake: Intake, expression: Any, base: Node, *rest: Node) -> Node:
    return inverse(intake.table, base)


def inverse(table: NodeTable, base: Node) -> Node:
    """The inverse; of an inverse what is inverted, of a Kronecker product that of its factors."""
    if base.shape == (1, 1):
        return _of_one_entry(table, base, -1)
    if base.op == "inverse":
        return base.args[0]
    if base.op == "kronecker" and _is_of_squares(base):
        return kronecker(table, *[inverse(table, f) for f in base.args])
    return table.make("inverse", (base,))


def _is_of_squares(node: Node) -> bool:
    return all(f.shape[0] == f.shape[1] for f in node.args)


def _determinant(intake: Intake, expression: Any, base: Node) -> Node:
    table = intake.table
    if base.shape == (1, 1):
        return table.reshape(base, ())
    if base.op == "kronecker" and _is_of_squares(base) and not any(f.shape == (1, 1) for f in base.args):
        (a, b) = base.args  # det(A kron B) is det(A)**q det(B)**p for A of p rows, B of q
        of_a, of_b = (table.make("determinant", (f,)) for f in (a, b))
        return table.mul(
            table.pow(of_a, table.constant(b.shape[0])), table.pow(of_b, table.constant(a.shape[0]))
        )
    root, power = _root(base)
    return table.pow(table.make("determinant", (root,)), power)


def _root(base: Node) -> tuple[Node, int]:
    """A and k of a matrix whose determinant is det(A)**k: a power, an inverse, a transpose of A."""
    factors: list[Node] = []
    todo = [base]
    while todo and len(factors) < _PLANNED:
        node = todo.pop()
        if node.op == "matmul" and node.args[0].shape == node.shape:
            todo += node.args
        else:
            factors.append(node)
    if todo or len(set(factors)) > 1:
        return base, 1
    root, power = factors[0], len(factors)
    while root.op in ("inverse", "transpose"):
        power *= -1 if root.op == "inverse" else 1
        root = root.args[0]
    return root, power


def _kronecker(intake: Intake, expression: Any, *factors: Node) -> Node:
    result = factors[0]
    for factor in factors[1:]:
        result = kronecker(intake.table, result, factor)
    return result


def _written_out(expression: Any) -> Sequence[Any]:
    """The entries of a matrix that is given by a rule for them."""
    if not all(isinstance(d, int) for d in shape(expression)):
        raise refusals.refuse(expression, "it needs numbers as sizes")
    return _entries(expression.as_explicit().as_immutable())


def _by_entries(intake: Intake, expression: Any, *values: Node) -> Node:
    return _explicit(intake, expression.as_explicit().as_immutable(), *values)


def _transpose(intake: Intake, expression: Any, a: Node) -> Node:
    """The transpose; that of a named matrix is the view of its value, not its formula written anew."""
    t, matrix = intake.table, _matrix(expression, a)
    intake.transposes = True
    named = isinstance(expression.args[0], sp.MatrixSymbol) and matrix.args and matrix.op != "transpose"
    if named and matrix.shape != (1, 1) and not t.is_symmetric(matrix) and matrix.op != "inverse":
        return t.make("transpose", (matrix,), ((1, 0),))
    return t.transpose(matrix)


def _trace(intake: Intake, expression: Any, a: Node) -> Node:
    if a.shape == (1, 1):
        return intake.table.reshape(a, ())
    if a.op == "kronecker" and _is_of_squares(a):
        return intake.table.mul(*[intake.table.make("trace", (f,)) for f in a.args])
    return intake.table.trace(a)


def _dot(intake: Intake, expression: Any, a: Node, b: Node) -> Node:
    t = intake.table
    a, b = (t.transpose(v) if v.shape[0] != 1 else v for v in (a, b))
    return t.reshape(t.matmul(a, t.transpose(b)), ())


def _hadamard(intake: Intake, expression: Any, *factors: Node) -> Node:
    if len({f.shape for f in factors}) != 1:
        found = ", ".join(map(str, [f.shape for f in factors]))
        raise ShapeError(f"a Hadamard product takes matrices of one shape, found {found}")
    return intake.table.mul(*factors)


def _hadamard_power(intake: Intake, expression: Any, base: Node, exponent: Node) -> Node:
    if base.shape == (1, 1) and not exponent.shape:
        return _of_one_entry(intake.table, base, exponent)
    return intake.table.pow(base, exponent)


# -- functions of the entries ------------------------------------------------------------


def _applied(expression: Any) -> Sequence[Any]:
    return expression.args[1:]  # type: ignore[no-any-return]


def _apply(intake: Intake, expression: Any, *operands: Node) -> Node:
    """The body of the function, its arguments standing for whole matrices: every operation in it is
    elementwise.
    """
    function = expression.args[0]
    if not isinstance(function, sp.Lambda):
        variables = [sp.Dummy(f"d{k}") for k in range(len(operands))]
        function = sp.Lambda(tuple(variables), function(*variables))
    names: dict[sp.Basic, Node] = dict(zip(function.variables, operands, strict=True))
    return intake.table.broadcast(intake.take(names, function.expr), operands[0].shape)


# -- diagonals, constants, explicit matrices ------------------------------------------------------------


def _diag(intake: Intake, expression: Any, a: Node) -> Node:
    column = a if a.shape[1] == 1 else intake.table.transpose(a)
    return intake.table.make("diag", (column,))


def _diagonal_matrix(intake: Intake, expression: Any, a: Node) -> Node:
    """The matrix with the entries off its diagonal put to zero."""
    t = intake.table
    if a.shape[0] == a.shape[1]:
        return t.make("diag", (t.make("diagonal", (a,)),))
    return t.select(t.call("equal", t.make("eye", (), a.shape), t.constant(1)), a, t.constant(0))


def _diagonal_of(intake: Intake, expression: Any, a: Node) -> Node:
    t = intake.table
    if a.shape[0] != a.shape[1]:
        if not all(isinstance(d, int) for d in a.shape):
            raise refusals.refuse(
                expression, "the diagonal of a matrix of symbolic shape needs a square matrix"
            )
        size = min(a.shape)
        a = t.make("slice", (a,), (((0, size), (0, size)),))
    return t.make("diagonal", (a,))


def _identity(intake: Intake, expression: Any) -> Node:
    return intake.table.make("eye", (), shape(expression))


def _filled(value: int) -> Build:
    return lambda intake, expression: intake.table.full(value, shape(expression))


def _no_shape(intake: Intake, expression: Any) -> Node:
    raise refusals.refuse(expression, "it has no shape; write Identity(n) or ZeroMatrix(rows, columns)")


def _entries(expression: Any) -> Sequence[Any]:
    return list(expression.todok().values())


def _explicit(intake: Intake, expression: Any, *values: Node) -> Node:
    """A Matrix of scalars: the entries that are not zero, each at its place."""
    positions = [(int(i), int(j)) for i, j in expression.todok()]
    ordered = sorted(zip(positions, values, strict=True), key=lambda pair: pair[0])
    return place(intake.table, shape(expression), ordered)


def place(table: NodeTable, size: Shape, entries: Sequence[tuple[tuple[int, int], Node]]) -> Node:
    """The matrix with these entries and zeros elsewhere."""
    for (i, j), value in entries:
        if value.shape not in ((), (1, 1)):
            raise ShapeError(f"entry [{i}, {j}] of a Matrix is a scalar, found shape {value.shape}")
    if not entries:
        return table.full(0, size)
    values = [table.reshape(v, ()) for _, v in entries]
    if size == (1, 1):
        return table.reshape(values[0], size)
    return table.make("place", values, (size, tuple(p for p, _ in entries)))


def _blocks(expression: Any) -> Sequence[Any]:
    return list(expression.blocks)


def _block_matrix(intake: Intake, expression: Any, *blocks: Node) -> Node:
    """Each block padded with zeros to the whole shape, and all added; of transposes only the transpose of
    the matrix of what is transposed.
    """
    t, size = intake.table, shape(expression)
    rows, columns = expression.blocks.shape
    if all(b.op == "transpose" for b in blocks):
        inner = [blocks[i * columns + j].args[0] for j in range(columns) for i in range(rows)]
        whole = _padded(t, inner, (size[1], size[0]), (columns, rows))
        return t.make("transpose", (whole,), ((1, 0),))
    return _padded(t, blocks, size, (rows, columns))


def _padded(t: NodeTable, blocks: Sequence[Node], size: Shape, count: tuple[int, int]) -> Node:
    """The sum of the blocks, each among zeros."""
    rows, columns = count
    terms = []
    top: Any = 0
    for i in range(rows):
        left: Any = 0
        for j in range(columns):
            block = blocks[i * columns + j]
            if not (block.op == "broadcast" and block.args[0].attrs == (sp.S.Zero,)):
                terms.append(block if block.shape == size else t.make("pad", (block,), (size, (top, left))))
            left += block.shape[1]
        top += blocks[i * columns].shape[0]
    return t.add(*terms) if terms else t.full(0, size)


# -- entries and blocks ------------------------------------------------------------


def _element_parts(expression: Any) -> Sequence[Any]:
    parent, *position = expression.args
    if all(p.is_Integer for p in position):
        return (parent,)
    return expression.args  # type: ignore[no-any-return]


def _element(intake: Intake, expression: Any, parent: Node, *indices: Node) -> Node:
    _matrix(expression, parent)
    t, position = intake.table, expression.args[1:]
    for k, (place_, size) in enumerate(zip(position, parent.shape, strict=True)):
        if place_.is_Integer and (place_ < 0 or (isinstance(size, int) and place_ >= size)):
            raise ShapeError(
                f"{'row' if k == 0 else 'column'} {place_} of {brief(expression)} is not in a matrix of "
                f"shape {parent.shape}"
            )
    if not indices:
        return entry(t, parent, (int(position[0]), int(position[1])))
    for place_, index in zip(position, indices, strict=True):
        if not place_.is_Integer and index.kind != "integer":
            advice = (
                f"declare it as sympy.Symbol({brief(place_)!r}, integer=True)"
                if place_.is_Symbol
                else "an index is made of numbers and integer symbols by + - *; pass any other as an "
                "argument of its own, declared as sympy.Symbol(name, integer=True)"
            )
            raise refusals.refuse(expression, f"the index {brief(place_)} is no integer; {advice}")
    row, column = indices
    if position[0].is_Integer:  # of one row: its transpose is a column
        line = _lines(t, parent, 0, int(position[0]))
        return t.make("take", (t.transpose(line), column))
    if position[1].is_Integer:
        return t.make("take", (_lines(t, parent, 1, int(position[1])), row))
    return t.make("take", (parent, row, column))


def entry(table: NodeTable, matrix: Node, position: tuple[int, int]) -> Node:
    """A static entry; of a Matrix of scalars it is the scalar itself."""
    if matrix.op == "place":
        positions: Any = matrix.attrs[1]
        return matrix.args[positions.index(position)] if position in positions else table.constant(0)
    return table.reshape(matrix, ()) if matrix.shape == (1, 1) else table.index(matrix, position)


def _lines(table: NodeTable, matrix: Node, axis: int, at: int) -> Node:
    """One row (axis 0) or column (axis 1) as a matrix."""
    if matrix.shape[axis] == 1:
        return matrix
    pairs = [(0, d) for d in matrix.shape]
    pairs[axis] = (at, at + 1)
    return table.make("slice", (matrix,), (tuple(pairs),))


def _slice(intake: Intake, expression: Any, parent: Node) -> Node:
    t = intake.table
    ranges = [tuple(dimension(v) for v in part) for part in (expression.rowslice, expression.colslice)]
    if all(r[2] == 1 for r in ranges):
        pairs = tuple((r[0], r[1]) for r in ranges)
        if pairs == tuple((0, d) for d in parent.shape):
            return parent
        return t.make("slice", (parent,), (pairs,))
    if not all(isinstance(v, int) for r in ranges for v in r):
        raise refusals.refuse(expression, "a slice with a step needs sizes that are numbers")
    rows, columns = ([*range(*r)] for r in ranges)
    entries = [((i, j), entry(t, parent, (r, c))) for i, r in enumerate(rows) for j, c in enumerate(columns)]
    return place(t, (len(rows), len(columns)), entries)


RULES: dict[type, tuple[Parts, Build]] = {
    sp.MatMul: (None, _matmul),
    sp.MatAdd: (None, _matadd),
    sp.MatPow: (None, _power),
    sp.Inverse: (_first, _inverse),
    sp.Determinant: (None, _determinant),
    KroneckerProduct: (None, _kronecker),
    sp.FunctionMatrix: (_written_out, _by_entries),
    PermutationMatrix: (_written_out, _by_entries),
    sp.Transpose: (None, _transpose),
    sp.Trace: (None, _trace),
    DotProduct: (None, _dot),
    sp.HadamardProduct: (None, _hadamard),
    sp.HadamardPower: (None, _hadamard_power),
    ElementwiseApplyFunction: (_applied, _apply),
    Entrywise: (_applied, _apply),
    DiagMatrix: (None, _diag),
    DiagonalMatrix: (None, _diagonal_matrix),
    DiagonalOf: (None, _diagonal_of),
    sp.Identity: (_nothing, _identity),
    sp.OneMatrix: (_nothing, _filled(1)),
    sp.ZeroMatrix: (_nothing, _filled(0)),
    GenericIdentity: (_nothing, _no_shape),
    GenericZeroMatrix: (_nothing, _no_shape),
    sp.MatrixBase: (_entries, _explicit),
    sp.BlockMatrix: (_blocks, _block_matrix),
    MatrixElement: (_element_parts, _element),
    MatrixSlice: (_first, _slice),
}
