"""`Sum` and `Product` over a counted index, as operations on whole columns and matrices.

The outermost index of a sum runs down the rows, the next one along the columns: in the body `Z[i, j]` is a
block of Z, `v[j, 0]` a row that is repeated, and the sum is a reduction over that axis. The body is taken in
once, whatever the count. An index that finds no axis (a third one, one in the limits of another sum, one of a
product, one of a power series) is written out value by value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement

from symprop.declare import refusals
from symprop.declare.forms import brief, depth
from symprop.declare.matrices import dimension, entry, place
from symprop.errors import ShapeError, UnsupportedExpressionError
from symprop.graph import Dim, Node, NodeTable, Shape

if TYPE_CHECKING:
    from symprop.declare.intake import Intake

__all__ = ["RULES", "Loop"]

_WRITTEN_OUT = 10_000  # values of an index that are written out
_SERIES = 1_000  # terms of a sum without matrices (a power series) that are written out, each exact
_DEEP = 200  # nesting of a body that sympy can put values into


@dataclass(frozen=True)
class Loop:
    """The range that an index stands for in the body, along an axis: 0 the rows, 1 the columns."""

    start: int
    size: Dim
    axis: int


Loops = Mapping[sp.Basic, Loop]


def _nothing(expression: Any) -> Sequence[Any]:
    return ()


def _build(intake: Intake, expression: Any) -> Node:
    if expression.function.is_Matrix:
        raise refusals.refuse(expression, "its terms are matrices; write them out with +")
    expression = _apart_from(intake.loops, expression)
    free = expression.free_symbols if len(intake.loops) > 1 else ()
    needed = {index: loop for index, loop in intake.loops.items() if index in free}
    if len(intake.loops) > 1 and len(needed) < 2:
        return _by_itself(intake, expression, needed)
    return _run(intake, expression, expression.function, _rows_outside(intake.loops, expression))


def _rows_outside(loops: Loops, expression: Any) -> list[Any]:
    """The limits, those of a double sum over the entries of matrices with the rows outside: no matrix is
    transposed then."""
    limits = list(expression.limits)
    for k, (index, *_) in enumerate(limits):
        for outer, *ends in limits[k + 1 :]:
            if any(end.has(index) for end in ends):
                raise refusals.refuse(
                    expression,
                    f"the limits of {outer} depend on {index}, which is summed inside of it: the last index "
                    f"is the outermost; write ({index}, ...) behind ({outer}, ...)",
                )
    if loops or len(limits) != 2 or not isinstance(expression, sp.Sum):
        return limits
    (i, *ends), (j, *others) = limits
    entries = [e for e in _walk(expression.function, True) if isinstance(e, MatrixElement)]
    turned = all(not e.args[2].has(i) and not e.args[1].has(j) for e in entries)
    apart = not any(end.has(i, j) for end in (*ends, *others))
    return limits[::-1] if turned and apart and any(e.args[1].has(i) for e in entries) else limits


def _by_itself(intake: Intake, expression: Any, needed: dict[sp.Basic, Loop]) -> Node:
    """A sum inside another one that does not depend on all of its indices: it has an axis for its own."""
    t, inner = intake.table, _within(intake)
    inner.loops = {index: Loop(loop.start, loop.size, 0) for index, loop in needed.items()}
    value = _run(inner, expression, expression.function, list(expression.limits))
    if not value.shape:
        return value
    if any(loop.axis == 1 for loop in needed.values()):
        value = t.transpose(value)
    return t.broadcast(value, _shape(intake.loops))


def _apart_from(loops: Loops, expression: Any) -> Any:
    """The sum with names of its own for indices that have those of a sum around it: inside it they are its
    own."""
    names = {one[0]: sp.Dummy(str(one[0]), integer=True) for one in expression.limits if one[0] in loops}
    if not names:
        return expression
    limits = [(names.get(one[0], one[0]), *one[1:]) for one in expression.limits]
    return expression.func(expression.function.xreplace(names), *limits)


def _run(intake: Intake, expression: Any, body: Any, limits: list[Any]) -> Node:
    """The sum or product over the limits that are left; the last one is the outermost."""
    if not limits:
        return _body(intake, body)
    *rest, limit = limits
    index, start, size = _range(expression, limit)
    if size == 0:
        return intake.table.constant(1 if isinstance(expression, sp.Product) else 0)
    axis = None if isinstance(expression, sp.Product) else _free_axis(intake.loops)
    within = [end for inner in rest for end in inner[1:]] + [
        end
        for inner in _walk(body, True)
        if isinstance(inner, _KINDS)
        for one in inner.limits
        for end in one[1:]
    ]
    if axis is not None and not any(end.has(index) for end in within) and _runs(index, body, size):
        inner = _within(intake, index, Loop(start, size, axis))
        return _total(intake.table, _run(inner, expression, body, rest), _shape(inner.loops), axis)
    if not isinstance(size, int) or size > _WRITTEN_OUT or depth(body) > _DEEP:
        why = next((f", as the limit {brief(end)} depends on it" for end in within if end.has(index)), "")
        raise refusals.refuse(
            expression,
            f"the index {index} is written out value by value{why}, which needs a count that is a number up "
            f"to {_WRITTEN_OUT}, found {brief(sp.sympify(size))}, and a body nested at most {_DEEP} deep",
        )
    t, terms = intake.table, []
    for value in range(start, start + size):
        at = {index: sp.Integer(value)}
        ends = [sp.Tuple(one[0], *[end.subs(at) for end in one[1:]]) for one in rest]
        terms.append(_run(_within(intake), expression, body.subs(at), ends))
    return t.mul(*terms) if isinstance(expression, sp.Product) else t.add(*terms)


# -- the index ------------------------------------------------------------------------------------------


def _range(expression: Any, limit: Any) -> tuple[sp.Basic, int, Dim]:
    """(index, first value, count) of one limit."""
    if len(limit) != 3:
        raise refusals.refuse(expression, "write the limits of the index: (i, first, last)")
    index, start, stop = limit
    size = dimension(sp.expand(stop - start + 1))
    if isinstance(size, int) and size < 0:
        raise refusals.refuse(expression, f"the last value of {index} is below its first")
    if not start.is_Integer or not (isinstance(size, int) or (start == 0 and size.is_integer is not False)):
        raise refusals.refuse(
            expression,
            f"the limits of {index} are whole numbers, or 0 and n - 1 for a matrix of n rows or columns, "
            f"found {brief(start)} and {brief(stop)}",
        )
    return index, int(start), size


def _free_axis(loops: Loops) -> int | None:
    taken = {loop.axis for loop in loops.values()}
    return next((axis for axis in (0, 1) if axis not in taken), None)


def _runs(index: sp.Basic, body: Any, size: Dim) -> bool:
    """True where the index runs through a matrix, or through too many values to write them out."""
    if not isinstance(size, int) or size > _SERIES:
        return True
    return any(isinstance(e, MatrixElement) and _at(e, index) for e in _walk(body, True))


def _at(element: Any, *indices: sp.Basic) -> bool:
    return any(position.has(*indices) for position in element.args[1:])


def _walk(body: Any, open_sums: bool = False) -> list[Any]:
    """Every sub-expression once; not those of the indices of entries, and of other sums only where asked."""
    found: list[Any] = []
    seen: set[int] = set()
    todo = [body]
    while todo:
        inner = todo.pop()
        if id(inner) in seen or not isinstance(inner, sp.Basic | sp.MatrixBase):
            continue
        seen.add(id(inner))
        found.append(inner)
        if isinstance(inner, MatrixElement):
            todo.append(inner.args[0])
        elif open_sums or not isinstance(inner, _KINDS):
            todo.extend(inner.flat() if isinstance(inner, sp.MatrixBase) else inner.args)
    return found


def _within(intake: Intake, index: sp.Basic | None = None, loop: Loop | None = None) -> Intake:
    """An intake for the body, in which an index stands for its range."""
    inner = intake.scoped({})
    inner.loops = intake.loops if loop is None else {**intake.loops, index: loop}
    inner.stands_in = {}
    return inner


def _shape(loops: Loops) -> Shape:
    """The shape of what depends on all indices."""
    sizes = {loop.axis: loop.size for loop in loops.values()}
    return sizes.get(0, 1), sizes.get(1, 1)


# -- the body -------------------------------------------------------------------------------------------


def _body(intake: Intake, body: Any) -> Node:
    """The node of the body: a scalar where it depends on no index, else of the shape of the ranges."""
    loops, names = intake.loops, cast(MutableMapping[sp.Basic, Node], intake.names)
    parts = _walk(body)
    for inner in parts:
        if inner.is_Symbol and inner in loops:
            names[inner] = _values(intake.table, loops, loops[inner])
    entries = [inner for inner in parts if isinstance(inner, MatrixElement) and loops and _at(inner, *loops)]
    for element in sorted(
        entries, key=lambda e: len(_walk(e.args[0]))
    ):  # those in the matrix of another first
        intake.stand_in(element, _entries(intake, element))
    return intake.node(body)


def _values(t: NodeTable, loops: Loops, loop: Loop) -> Node:
    """The values of an index, in the shape of the ranges."""
    if not isinstance(loop.size, int):
        raise UnsupportedExpressionError(
            f"an index that runs over {loop.size} values stands in M[i, j] only, where that count is a symbol"
        )
    column = place(t, (loop.size, 1), [((k, 0), t.constant(loop.start + k)) for k in range(loop.size)])
    return t.broadcast(column if loop.axis == 0 else t.transpose(column), _shape(loops))


def _entries(intake: Intake, element: Any) -> Node:
    """`M[i, j]` for the ranges of its indices, in their shape."""
    t, loops, positions = intake.table, intake.loops, element.args[1:]
    matrix = intake.node(element.args[0])
    running = [[i for i in loops if p.has(i)] for p in positions]
    shifts = [p - found[0] if found else p for p, found in zip(positions, running, strict=True)]
    plain = all(len(f) < 2 and (not f or s.is_Integer) for f, s in zip(running, shifts, strict=True))
    if not plain or running[0] == running[1]:
        return _gathered(t, loops, element, matrix)
    for axis, (found, shift) in enumerate(zip(running, shifts, strict=True)):
        if found:
            loop = loops[found[0]]
            matrix = _cut(element, t, matrix, axis, int(shift) + loop.start, loop.size)
        elif shift.is_Integer:
            matrix = _cut(element, t, matrix, axis, int(shift), 1)
        else:
            matrix = _labelled(intake, element, matrix, axis)
    if (running[0] and loops[running[0][0]].axis == 1) or (running[1] and loops[running[1][0]].axis == 0):
        matrix = t.transpose(matrix)
    return t.broadcast(matrix, _shape(loops))


def _cut(element: Any, t: NodeTable, matrix: Node, axis: int, first: int, count: Dim) -> Node:
    """`count` rows (axis 0) or columns (axis 1) from the first on."""
    size = matrix.shape[axis]
    if (first, count) == (0, size):
        return matrix
    if not isinstance(count, int) or first < 0 or (isinstance(size, int) and first + count > size):
        raise _outside(element, matrix, axis, first, count)
    pairs: list[tuple[Any, Any]] = [(0, d) for d in matrix.shape]
    pairs[axis] = (first, first + count)
    return t.make("slice", (matrix,), (tuple(pairs),))


def _labelled(intake: Intake, element: Any, matrix: Node, axis: int) -> Node:
    """The row or column of a label that comes with the call: the product with a one at its place."""
    t, size = intake.table, matrix.shape[axis]
    if not isinstance(size, int):
        raise refusals.refuse(element, "a label beside the index of a sum needs sizes that are numbers")
    label = intake.node(element.args[1 + axis])
    if label.kind != "integer":
        raise refusals.refuse(element, f"the index {brief(element.args[1 + axis])} is no integer")
    one = t.make("one_hot", (label,), (size,))
    return t.matmul(t.transpose(one), matrix) if axis == 0 else t.matmul(matrix, one)


def _outside(element: Any, matrix: Node, axis: int, first: Any, count: Any) -> ShapeError:
    advice = "the limits of a sum include both ends: (i, 0, n - 1)"
    if not isinstance(count, int):
        advice = "a symbol as the number of values is a size of the matrix as it is declared"
    return ShapeError(
        f"{brief(element)}: the index runs from {first} to {first + count - 1} along the "
        f"{('rows', 'columns')[axis]}, the matrix has shape {matrix.shape}; {advice}"
    )


def _gathered(t: NodeTable, loops: Loops, element: Any, matrix: Node) -> Node:
    """Entries at any static positions (`M[i, i]`, `v[2*i, 0]`, `v[i - j, 0]`), one by one."""
    positions, size = element.args[1:], _shape(loops)
    loop = loops.get(positions[0])
    if positions[0] == positions[1] and loop and loop.start == 0 and matrix.shape == (loop.size, loop.size):
        column = t.make("diagonal", (matrix,))
        return t.broadcast(column if loop.axis == 0 else t.transpose(column), size)
    if not all(isinstance(d, int) for d in (*size, *matrix.shape)):
        raise refusals.refuse(element, "such an index needs sizes that are numbers")
    found = []
    for at in product(range(size[0]), range(size[1])):
        values = {i: sp.Integer(run.start + at[run.axis]) for i, run in loops.items()}
        where = [p.subs(values) for p in positions]
        for axis, p in enumerate(where):
            if not p.is_Integer:
                raise refusals.refuse(element, f"its index {brief(p)} is no number")
            if not 0 <= p < matrix.shape[axis]:
                raise _outside(element, matrix, axis, p, 1)
        found.append((at, entry(t, matrix, (int(where[0]), int(where[1])))))
    return place(t, size, found)


# -- the reduction --------------------------------------------------------------------------------------


def _total(t: NodeTable, body: Node, size: Shape, axis: int) -> Node:
    """The sum over an axis; of products it is a matrix product."""
    if not body.shape:
        return t.mul(_count(t, size[axis]), body)
    if axis == 1:
        return t.broadcast(_row_sums(t, body, size), (size[0], 1))
    if body.op == "sum":  # of rows: both at once
        return t.sum(body.args[0])
    if body.op == "diagonal":
        return t.make("trace", body.args)
    if body.op == "mul":
        scalars, columns = _split(body.args, lambda f: not f.shape)
        if len(columns) == 2:
            return t.mul(*scalars, t.reshape(t.matmul(t.transpose(columns[0]), columns[1]), ()))
    return t.sum(body)


def _row_sums(t: NodeTable, body: Node, size: Shape) -> Node:
    factors = body.args if body.op == "mul" else (body,)
    scalars, rest = _split(factors, lambda f: not f.shape)
    columns, rest = _split(rest, lambda f: f.op == "broadcast" and f.args[0].shape == (size[0], 1))
    rows, full = _split(rest, lambda f: f.op == "broadcast" and f.args[0].shape == (1, size[1]))
    outside = [*scalars, *[f.args[0] for f in columns]]
    if full and rows:
        inside = t.matmul(t.mul(*full), t.transpose(t.mul(*[f.args[0] for f in rows])))
    elif rows:
        inside = t.sum(t.mul(*[f.args[0] for f in rows]))
    elif full:
        inside = t.sum(t.mul(*full), (1,), True)
    else:
        inside = _count(t, size[1])
    return t.mul(*outside, inside)


def _count(t: NodeTable, size: Dim) -> Node:
    return t.constant(size) if isinstance(size, int) else t.sum(t.full(1, (size, 1)))


def _split(nodes: Sequence[Node], test: Callable[[Node], bool]) -> tuple[list[Node], list[Node]]:
    return [n for n in nodes if test(n)], [n for n in nodes if not test(n)]


_KINDS = (sp.Sum, sp.Product)
RULES: dict[type, tuple[Any, Any]] = dict.fromkeys(_KINDS, (_nothing, _build))
