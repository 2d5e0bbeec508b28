"""Copying parts of matrices into panels: the layouts that the micro-kernels of `matmul` read.

A panel of B holds, for every step t of the sums in turn, the elements of a few neighbouring columns; a
panel of A those of a few neighbouring rows. Where the source lies the other way round, square blocks are
transposed in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .builder import I64, PTR, Builder, Type, Value, vector

__all__ = [
    "Operand",
    "Size",
    "add",
    "at",
    "each",
    "evenly",
    "least",
    "multiply",
    "pack_columns",
    "rest",
    "subtract",
]
__all__ += ["transpose", "value"]

Size = int | Value

AHEAD = 16  # steps between fetching a row of a panel and copying it
FEW = 16  # blocks of at most so many steps are transposed in place, longer ones by a function


@dataclass(frozen=True, slots=True)
class Operand:
    """A matrix in memory: entry (i, j) is `row * i + column * j` elements after `pointer`."""

    pointer: Value
    row: Size
    column: Size

    @property
    def transposed(self) -> Operand:
        """The same memory with the two indices exchanged."""
        return Operand(self.pointer, self.column, self.row)

    def moved(self, b: Builder, kind: Type, i: Size, j: Size) -> Operand:
        """The matrix that begins at entry (i, j) of this one, whose elements are of type `kind`."""
        offset = add(b, multiply(b, i, self.row), multiply(b, j, self.column))
        return Operand(at(b, self.pointer, offset, kind), self.row, self.column)


# -- whole numbers that are known now or at run time -------------------------------------------------------


def value(b: Builder, x: Size) -> Value:
    """A size as a value."""
    return b.const(x, I64) if isinstance(x, int) else x


def add(b: Builder, x: Size, y: Size) -> Size:
    """x + y"""
    if isinstance(x, int) and isinstance(y, int):
        return x + y
    if x == 0 or y == 0:
        return y if x == 0 else x
    return b.add(value(b, x), value(b, y))


def subtract(b: Builder, x: Size, y: Size) -> Size:
    """x - y"""
    if isinstance(x, int) and isinstance(y, int):
        return x - y
    if x == y:
        return 0
    return x if y == 0 else b.sub(value(b, x), value(b, y))


def multiply(b: Builder, x: Size, y: Size) -> Size:
    """x * y"""
    if isinstance(x, int) and isinstance(y, int):
        return x * y
    if x == 0 or y == 0:
        return 0
    if x == 1 or y == 1:
        return y if x == 1 else x
    return b.mul(value(b, x), value(b, y))


def rest(b: Builder, x: Size, unit: int) -> Size:
    """The remainder of a size and a number."""
    if isinstance(x, int):
        return x % unit
    if unit & (unit - 1) == 0:
        return b.and_(x, b.const(unit - 1, I64))
    return b.assign(I64, f"urem i64 {x}, {unit}")


def least(b: Builder, x: Size, y: Size) -> Size:
    """The smaller of two sizes."""
    if isinstance(x, int) and isinstance(y, int):
        return min(x, y)
    p, q = value(b, x), value(b, y)
    return b.select(b.icmp("slt", p, q), p, q)


def at(b: Builder, pointer: Value, offset: Size, kind: Type) -> Value:
    """The address of an element."""
    return pointer if offset == 0 else b.element(pointer, offset, kind)


def each(b: Builder, start: Size, stop: Size, step: int, body: Callable[[Size], None]) -> None:
    """`for i in range(start, stop, step)`; a loop of no or one known turn is not written as a loop."""
    if isinstance(start, int) and isinstance(stop, int) and stop - start <= step:
        if start < stop:
            body(start)
        return
    with b.loop(value(b, start), value(b, stop), step) as loop:
        body(loop.index)


def evenly(b: Builder, count: Size, most: int, unit: int) -> tuple[Value, Value]:
    """How many pieces of at most `most` (a multiple of `unit`) a count is, and how long they are.

    All but the last are as long as each other: a short last one would cost as much around it as they do.
    """
    count = value(b, count)
    pieces = b.assign(I64, f"sdiv i64 {b.add(count, b.const(most - 1, I64))}, {most}")
    units = b.mul(
        b.select(b.icmp("sgt", pieces, b.const(0, I64)), pieces, b.const(1, I64)), b.const(unit, I64)
    )
    filled = b.assign(I64, f"sdiv i64 {b.add(count, b.sub(units, b.const(1, I64)))}, {units}")
    return pieces, b.mul(filled, b.const(unit, I64))


def first_lanes(b: Builder, count: Size, kind: Type) -> Value:
    """The mask of the first lanes of a vector type."""
    if isinstance(count, int):
        bits = ", ".join(f"i1 {int(lane < count)}" for lane in range(kind.lanes))
        return Value(f"<{bits}>", kind.mask)
    whole = vector(kind.integer.element)
    limit = count if whole == I64 else b.convert("trunc", count, whole)
    return b.icmp("slt", b.lane_numbers(kind.integer), b.splat(limit, kind.lanes))


# -- panels ------------------------------------------------------------------------------------------------


def transpose(b: Builder, rows: Sequence[Value], half: int | None = None) -> list[Value]:
    """The columns of a square block that is given as its rows (a power of two of them).

    `half` is the size of the quarters that are exchanged first, if larger ones have been exchanged before.
    """
    lanes = len(rows)
    block = list(rows)
    half = lanes // 2 if half is None else half
    while half:
        # Exchange the upper right and the lower left quarter of every block of 2 half x 2 half.
        keep = [k if not k & half else lanes + k - half for k in range(lanes)]
        move = [k + half if not k & half else lanes + k for k in range(lanes)]
        for i in range(lanes):
            if not i & half:
                upper, lower = block[i], block[i + half]
                block[i], block[i + half] = b.shuffle(upper, lower, keep), b.shuffle(upper, lower, move)
        half //= 2
    return block


def load_transposed(b: Builder, kind: Type, starts: Sequence[Value], offset: Size) -> list[Value]:
    """Load a square block whose rows begin `offset` elements after `starts`, as its columns.

    Wide registers consist of parts of 128 bits, and shuffles within these are the cheap ones. So halves of
    rows are loaded side by side in such a way that little is left to do across parts:

        registers of 256 bits: row i beside row i + q, where q entries fill a part, for i < q
        registers of 512 bits: the same, and row i + 2 q beside row i + 3 q

    Then blocks of q by q entries are transposed within the parts.
    """
    lanes = len(starts)
    parts = lanes * kind.bits // 128
    if parts < 2:
        return transpose(b, [b.load(at(b, p, offset, kind), vector(kind.element, lanes)) for p in starts])
    q, half = lanes // parts, lanes // 2
    wide = vector(kind.element, half)
    columns: list[Value] = []
    for first in (0, half):
        there = add(b, offset, first)
        groups = []
        for above in range(0, lanes, 2 * q):
            pairs = [(starts[above + i], starts[above + q + i]) for i in range(q)]
            rows = []
            for pair in pairs:
                low, high = (b.load(at(b, p, there, kind), wide) for p in pair)
                rows.append(b.shuffle(low, high, range(lanes)))
            groups.append(_transpose_parts(b, rows, q))
        if parts == 2:
            columns += groups[0]
            continue
        for odd in (0, 1):  # a register holds parts of two columns, q apart, of half the rows
            pick = [part * q + k for part in (odd, odd + 2) for k in range(q)]
            pick += [lanes + k for k in pick]
            columns += [b.shuffle(x, y, pick) for x, y in zip(*groups, strict=True)]
    return columns


def _transpose_parts(b: Builder, rows: Sequence[Value], q: int) -> list[Value]:
    """Transpose the blocks of q by q entries that q registers hold in each of their parts of q entries."""
    lanes = rows[0].type.lanes
    block, width = list(rows), 1
    while width < q:
        low = [
            start + k + (lanes if odd else 0)
            for part in range(0, lanes, q)
            for start in range(part, part + q // 2, width)
            for odd in (0, 1)
            for k in range(width)
        ]
        high = [k + q // 2 for k in low]
        pairs = [(block[i], block[i + width]) for i in range(q) if not i & width]
        block = [b.shuffle(x, y, pick) for x, y in pairs for pick in (low, high)]
        width *= 2
    return block


def pack_columns(
    b: Builder, kind: Type, lanes: int, m: Operand, count: Size, k: Size, panel: Value, width: int
) -> None:
    """Copy `count` <= width columns of k entries so that entry (t, j) comes to `width * t + j` of the panel.

    Columns from `count` to `width` are filled with numbers that mean nothing, so that whole vectors can be
    read.
    """
    if m.column == 1:
        _copy_columns(b, kind, lanes, m, count, k, panel, width)
        return
    if m.row == 1:
        while isinstance(k, int) and lanes > max(k, 1):
            lanes //= 2
    for first, size in _groups(width, lanes):
        source = Operand(at(b, m.pointer, multiply(b, m.column, first), kind), m.row, m.column)
        valid = least(b, subtract(b, count, first), size)
        target = at(b, panel, first, kind)
        if m.row != 1 or (isinstance(k, int) and k <= FEW):
            _copy_group(b, kind, size, lanes, source, valid, k, target, width)
            continue

        full = isinstance(valid, int) and valid == size

        def whole(inner: Builder, args: list[Value], size: int = size, full: bool = full) -> Value:
            source, column, valid, k, target = args
            count = size if full else valid
            _copy_group(inner, kind, size, lanes, Operand(source, 1, column), count, k, target, width)
            return inner.const(0, I64)

        # A function of its own: panels of a width share it, and its constants take no registers elsewhere.
        name = f"transpose.{kind.element}.{size}.{lanes}.{width}" + (".full" if full else "")
        b.module.function(name, I64, [PTR, I64, I64, I64, PTR], whole)
        b.call(name, I64, [source.pointer, value(b, m.column), value(b, valid), value(b, k), target])


def _copy_group(
    b: Builder, kind: Type, size: int, lanes: int, m: Operand, count: Size, k: Size, target: Value, width: int
) -> None:
    """`pack_columns` of one vector of columns: `size` of them, `lanes` steps at a time."""
    # Columns that do not exist are read as the last one. Of columns that all exist every fourth has a
    # pointer, from which the distances to the next ones are the same.
    full = isinstance(count, int) and count >= size
    last = subtract(b, count, 1)
    places = range(0, size, 4) if full else range(size)
    starts = [at(b, m.pointer, multiply(b, m.column, j if full else least(b, j, last)), kind) for j in places]
    near = [multiply(b, m.column, j) for j in range(4)] if full else [0]

    def columns(step: Size) -> list[Value]:
        here = [at(b, start, step, kind) for start in starts]
        return [at(b, p, distance, kind) for p in here for distance in near][:size]

    def single(t: Size) -> None:
        here = at(b, target, multiply(b, t, width), kind)
        for j, column in enumerate(columns(multiply(b, t, m.row))):
            b.store(b.load(column, kind), at(b, here, j, kind))

    def block(t: Size) -> None:
        begin = least(b, t, final)
        for part in range(0, lanes, size):
            there = add(b, begin, part)
            here = at(b, target, multiply(b, there, width), kind)
            for u, column in enumerate(load_transposed(b, kind, columns(there), 0)):
                b.store(column, at(b, here, u * width, kind))

    if m.row != 1:
        each(b, 0, k, 1, single)
        return
    # The last block may overlap the one before it; fewer steps than a block are copied one by one.
    final = subtract(b, k, lanes)
    many = k
    if not isinstance(k, int):
        enough = b.icmp("sge", k, b.const(lanes, I64))
        few, many = (b.select(c, k, value(b, 0)) for c in (b.not_(enough), enough))
        each(b, 0, few, 1, single)
    each(b, 0, many, lanes, block)


def _copy_columns(
    b: Builder, kind: Type, lanes: int, m: Operand, count: Size, k: Size, panel: Value, width: int
) -> None:
    """`pack_columns` of columns that are neighbours in memory."""

    def copy(t: Size) -> None:
        source = at(b, m.pointer, multiply(b, t, m.row), kind)
        if b.target.vector_bits < 512 and k != 1:  # short pieces, far apart: no stream that the core foresees
            ahead = at(b, source, multiply(b, m.row, AHEAD), kind)
            b.prefetch(ahead)
            b.prefetch(at(b, ahead, width - 1, kind))
        target = at(b, panel, multiply(b, t, width), kind)
        for first, size in _groups(width, lanes):
            wide = vector(kind.element, size)
            left = subtract(b, count, first)
            address = at(b, source, first, kind)
            if isinstance(left, int) and left >= size:
                items = b.load(address, wide)
            else:
                items = b.masked_load(address, wide, first_lanes(b, left, wide), b.const(0.0, wide))
            b.store(items, at(b, target, first, kind))

    each(b, 0, k, 1, copy)


def _groups(width: int, lanes: int) -> list[tuple[int, int]]:
    """Vectors of at most `lanes` elements that cover a width: (first, elements), powers of two."""
    result, first = [], 0
    while first < width:
        while first + lanes > width:
            lanes //= 2
        result.append((first, lanes))
        first += lanes
    return result
