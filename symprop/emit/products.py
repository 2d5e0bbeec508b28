"""Where a nest is a matrix product: its axes are sorted into rows, columns and sum, and a micro-kernel
computes it.

The body of the nest (bias, activation, mask, store) is the epilogue of the kernel: it runs on the registers
that hold the finished entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from symprop.emit.builder import Builder, Value
from symprop.emit.frame import Frame
from symprop.emit.math import CALLS
from symprop.emit.matmul import emit_matmul
from symprop.emit.pack import Operand, Size, multiply
from symprop.emit.parallel import product_cost
from symprop.emit.strides import Access, access_of, merge_axes
from symprop.emit.table import Lanes
from symprop.schedule.ir import Axis, Nest, Step

if TYPE_CHECKING:
    from symprop.emit.loops import LoopEmitter

__all__ = ["factors", "product_kernel"]


def factors(nest: Nest) -> str:
    """The two factors of a product nest, by the names of their buffers."""
    return " * ".join(s.buffer.name for s in nest.inner[:2] if s.buffer is not None)


def product_kernel(emitter: LoopEmitter, nest: Nest) -> bool:
    """Write a product nest with a micro-kernel; False where its form is none that the kernel knows.

    Axes of the left factor alone are rows, of the right factor alone columns, of both, in the result too, a
    loop around the kernel. There must be one axis to sum over.
    """
    accesses = [access_of(s) for s in [*nest.inner, *nest.body]]
    known = [a for a in accesses if a is not None]
    left, right = accesses[0], accesses[1]
    assert left is not None and right is not None
    if left.dynamic or right.dynamic:
        return False
    fixed = {i.axis for s in nest.body if s.op == "position" for i in s.at}
    axes = merge_axes(list(nest.axes), known, fixed)
    reduce_axes = merge_axes(list(nest.reduce_axes), [left, right], set())
    if len(reduce_axes) != 1:
        return False
    (inner,) = reduce_axes
    if inner.name not in left.strides or inner.name not in right.strides:
        return False
    rows = _longest([a for a in axes if a.name in left.strides and a.name not in right.strides])
    columns = _longest([a for a in axes if a.name in right.strides and a.name not in left.strides])
    if rows is None and columns is None:
        return False  # a single dot product: lanes along the sum serve it better
    around = [a for a in axes if a not in (rows, columns)]
    _write(emitter, nest, accesses, around, rows, columns, inner)
    return True


def _longest(axes: list[Axis]) -> Axis | None:
    return max(axes, key=lambda a: float("inf") if a.extent is None else a.extent, default=None)


def _write(
    emitter: LoopEmitter,
    nest: Nest,
    accesses: list[Access | None],
    around: list[Axis],
    rows: Axis | None,
    columns: Axis | None,
    inner: Axis,
) -> None:
    b = emitter.b
    left, right = accesses[0], accesses[1]
    assert left is not None and right is not None
    body = accesses[len(nest.inner) :]
    at: dict[str, Value] = {}

    def size(axis: Axis | None) -> Size:
        if axis is None:
            return 1
        return axis.extent if axis.extent is not None else emitter.total(axis)

    def operand(step: Step, access: Access, first: Axis | None, second: Axis | None) -> Operand:
        buffer = step.buffer
        assert buffer is not None
        fixed = {name: stride for name, stride in access.strides.items() if name in at}
        pointer = emitter.address(buffer, Access(fixed, access.constant, []), at, emitter.element)
        strides = [access.strides.get(a.name, 0) if a is not None else 1 for a in (first, second)]
        return Operand(pointer, *strides)

    def epilogue(
        b: Builder, acc: Value, i: Value, j: Value, count: int, mask: Value | None, axis: Literal["n", "m"]
    ) -> None:
        lanes = Lanes(b, emitter.element, acc.type.lanes, emitter.outlined)
        where = dict(at)
        if rows is not None:
            where[rows.name] = i
        if columns is not None:
            where[columns.name] = j
        along = columns if axis == "n" else rows
        frame = Frame(lanes, along.name if along is not None and acc.type.lanes > 1 else None, where, mask)
        emitter.steps(nest.body, body, frame, [acc])

    along = _direction(body, left, right, rows, columns)

    def kernel() -> None:
        a = operand(nest.inner[0], left, rows, inner)
        c = operand(nest.inner[1], right, inner, columns)
        read = _read(nest, body, rows, columns, along)
        dots = a.column == 1 and c.row == 1 and (rows is None or columns is None)
        chosen = emit_matmul(
            b,
            emitter.element,
            size(rows),
            size(columns),
            size(inner),
            a,
            c,
            epilogue,
            scratch=emitter.scratch,
            sums=_room(emitter, nest, body, at, rows, columns),
            reads=[operand(step, access, rows, columns) for step, access in read],
            along=along,
            dots=dots,
            compact=any(s.op in CALLS for s in nest.body),  # long code: written once, not per vector
        )
        depth = "N" if inner.extent is None else inner.extent
        b.module.notes.append(f"{factors(nest)}, {_extent(rows)} x {_extent(columns)} over {depth}: {chosen}")

    def loops() -> None:
        with emitter.nested(around, at):
            kernel()

    if around and emitter.many(around[0]) and b.module.threads > 1:
        work: Size = 1
        for axis in (*around[1:], rows, columns, inner):
            work = work if axis is None else multiply(b, work, emitter.turns(axis))
        cost = product_cost(b, emitter.element, work)
        emitter.share(around[0], 1, cost, loops)
    else:
        loops()


def _extent(axis: Axis | None) -> int | str:
    if axis is None:
        return 1
    return "N" if axis.extent is None else axis.extent


def _read(
    nest: Nest, body: list[Access | None], rows: Axis | None, columns: Axis | None, along: Literal["n", "m"]
) -> list[tuple[Step, Access]]:
    """Arrays of the shape of the product that the epilogue reads in whole vectors."""
    if rows is None or columns is None:
        return []
    across, lanes = (rows, columns) if along == "n" else (columns, rows)
    return [
        (step, access)
        for step, access in zip(nest.body, body, strict=True)
        if step.op == "load"
        and step.buffer is not None
        and step.buffer.kind == "real"
        and access is not None
        and access.strides.get(across.name, 0)
        and access.strides.get(lanes.name) == 1
        and not access.dynamic
    ]


def _room(
    emitter: LoopEmitter,
    nest: Nest,
    body: list[Access | None],
    at: dict[str, Value],
    rows: Axis | None,
    columns: Axis | None,
) -> Operand | None:
    """Memory that the epilogue writes, entry by entry of the product: a place for sums in between."""
    loaded = {s.buffer for s in (*nest.inner, *nest.body) if s.op != "store"}
    for step, access in zip(nest.body, body, strict=True):
        buffer = step.buffer
        if step.op != "store" or buffer is None or access is None or access.dynamic:
            continue
        strides = [access.strides.get(a.name, 0) if a is not None else 1 for a in (rows, columns)]
        own = buffer.kind == "real" and buffer.overwrites is None and buffer not in loaded
        if own and all(strides):
            fixed = {name: stride for name, stride in access.strides.items() if name in at}
            place = Access(fixed, access.constant, [])
            return Operand(emitter.address(buffer, place, at, emitter.element), *strides)
    return None


def _direction(
    body: list[Access | None], left: Access, right: Access, rows: Axis | None, columns: Axis | None
) -> Literal["n", "m"]:
    """The axis along which the epilogue reads and writes whole vectors; ties go to the factor that is
    contiguous.
    """
    if rows is None or columns is None:
        return "n" if rows is None else "m"

    def whole(axis: Axis, factor: Access) -> tuple[int, bool]:
        count = sum(1 if a.strides.get(axis.name) == 1 else 0 for a in body if a is not None)
        return count, factor.strides.get(axis.name) == 1

    return "n" if whole(columns, right) >= whole(rows, left) else "m"
