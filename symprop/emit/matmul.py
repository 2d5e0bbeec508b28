"""Matrix products: `C[i, j] = sum over t of A[i, t] B[t, j]`, tiled in registers, with an epilogue.

Every entry of C is one chain of fused multiply-adds in ascending t, whatever the sizes, tiles and tails
around it: a block of a product has the same bits as the product of the blocks. (`dots` asks for an
exception.)

A tile of C, some rows by a few vectors of columns, is held in registers while t runs; B gives vectors of
neighbouring columns, A single entries that are broadcast. Panels of B and tiles of A are copied into scratch
memory first where that is needed (columns of B that are not contiguous) or pays (strides that collide in the
cache). Where vectors are wanted along the rows of C, the same is done for the transposed product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from .builder import Builder, Type, Value, vector
from .dots import emit_dots
from .pack import (
    Operand,
    Size,
    add,
    at,
    each,
    first_lanes,
    least,
    multiply,
    pack_columns,
    rest,
    subtract,
    value,
)
from .tiles import Panel, Piece, Segment
from .vectors import narrow, read, widen, write

__all__ = ["Axis", "Epilogue", "Operand", "Scratch", "emit_matmul", "store_to"]

Axis = Literal["n", "m"]
Scratch = Callable[[int], Value]

FIRST_LEVEL = 16 * 1024  # bytes that stay in the first-level cache whatever their layout
SECOND_LEVEL = 384 * 1024  # bytes of A that are kept in the second-level cache while B passes by
LARGE = 2 * 1024 * 1024  # bytes of A from which its rows are worked on in blocks of SECOND_LEVEL
DEEP = 4096  # bytes along t after which sums are interrupted, so that blocks and panels stay in their caches
CHUNK = 240  # rows or columns at a time of those deep products that have any number of them
PAGE = 4096  # rows so far apart, or a multiple of it, share a place in the first-level cache
SHORT = 8  # products of at most so many steps are written without a loop over t
# The most rows of a tile of 1, 2 ... 8 vectors, by the number of vector registers: sums that hide latency,
# and room for a row of B and an entry of A that the register allocator really finds.
TALLEST = {16: (0, 12, 6, 3, 2, 1, 1, 1, 1), 32: (0, 12, 12, 8, 6, 4, 3, 2, 2)}
SLICE = 16  # steps of t that are copied at a time, tile by tile


class Epilogue(Protocol):
    """What is done with finished entries of C."""

    def __call__(
        self, b: Builder, acc: Value, i: Value, j: Value, count: int, mask: Value | None, axis: Axis
    ) -> None:
        """Use `acc`, which is C[i, j : j + lanes] (axis "n") or C[i : i + lanes, j] (axis "m").

        Lanes where the mask is false are no entries of C: what they hold has no meaning, and their memory
        is not to be touched. `count` is the number of lanes that are entries of C if it is known, else of
        all lanes: if `mask` is given and `count` < lanes, the first `count` lanes are valid and the mask is
        a constant that says the same. A scalar `acc` is a vector of one lane.
        """


def store_to(target: Operand) -> Epilogue:
    """The epilogue that only stores."""

    def store(b: Builder, acc: Value, i: Value, j: Value, count: int, mask: Value | None, axis: Axis) -> None:
        kind = vector(acc.type.element)
        offset = add(b, multiply(b, i, target.row), multiply(b, j, target.column))
        step = target.column if axis == "n" else target.row
        write(b, acc, at(b, target.pointer, offset, kind), step, count, mask)

    return store


Initial = Callable[[Size, Size, Piece, Value | None], Value]
Finish = Callable[[Size, Size, Piece, Value | None, Value], None]


@dataclass(frozen=True, slots=True)
class _Part:
    """The factors of a stretch of t, what the sums start from, and where they go."""

    A: Operand
    B: Operand
    k: Size
    initial: Initial
    finish: Finish
    interrupted: bool = False  # the sums go on in another part


class _Product:
    """One product, turned so that vectors go along n."""

    def __init__(
        self, b: Builder, element: str, m: Size, n: Size, start: Operand | None, store: Epilogue
    ) -> None:
        self.b, self.m, self.n, self.start, self.store = b, m, n, start, store
        self.axis: Axis = "n"
        self.most = [x if isinstance(x, int) else None for x in (m, n)]  # bounds of m and n, if there are any
        self.origin: tuple[Size, Size] = (0, 0)  # where this product lies in that of the caller
        self.compact = False  # the epilogue is written once for all rows of a tile
        self.stage: Value | None = None
        self.kind: Type = vector(element)
        self.wide: Type = vector(element, b.target.lanes(element))
        self.lanes = self.wide.lanes
        self.size = self.kind.bits // 8
        self.masks = b.target.vector_bits > 128  # narrow vectors have no masked loads: their tails are scalar
        self.tallest = TALLEST[32 if b.target.registers >= 32 else 16]

    # -- the plan ------------------------------------------------------------------------------------------

    def plan(self, A: Operand, B: Operand, k: int, scratch: Scratch) -> None:
        """Choose panels, tiles, packing and the order of the loops; reserve memory for at most k steps."""
        n, size, (rows, columns) = self.n, self.size, self.most
        self.turned = B.column != 1  # its panels must be copied, and should not be large
        must = self.turned and (not isinstance(n, int) or n >= (2 if self.masks else self.lanes))
        pays = _at_least(16, rows) and _at_least(FIRST_LEVEL, columns, k, size)
        self.blocked = _at_least(LARGE, rows, k, size) and (not must or columns is not None)
        self.pack_b = must or (pays and (not self.blocked or columns is not None))
        # Entries of A are copied where they lie apart, or where the rows of a tile collide in the cache.
        apart = A.column != 1 and _at_least(2 * FIRST_LEVEL, rows, k, size)
        collide = isinstance(A.row, int) and A.row * size % PAGE == 0 and _at_least(PAGE, k, size)
        collide = collide and (self.blocked or self.rows(2) > 6)
        reused = _at_least(4 * self.lanes + 1 if apart else 16 * self.lanes, columns) and _at_least(5, rows)
        self.block = max(1, SECOND_LEVEL // (k * size * 12)) * 12 if self.blocked else rows or 0
        self.pack_a = reused and (apart or collide) and self.block > 0
        self.panels = self.known_panels(n) if isinstance(n, int) else self.runtime_panels(n)
        # Tiles of packed rows, or rows in blocks, are the same for all panels.
        self.shared = self.pack_a or self.blocked
        most = [self.rows(self.vectors(None) if self.shared else len(p.pieces)) for p in self.panels]
        segments = {rows: self.segments(rows) for rows in dict.fromkeys(most)}
        self.tiles = [segments[rows] for rows in most]
        if self.compact:
            self.stage = scratch(
                max(r * len(p.pieces) for r, p in zip(most, self.panels, strict=True)) * self.lanes
            )
        self.room_a = self.room_b = None
        if self.pack_a:
            self.room_a = scratch(k * self.block)
        if self.pack_b:
            width = (columns or 0) + self.lanes if self.blocked else max(p.packed for p in self.panels)
            self.room_b = scratch(k * width)

    def runtime_panels(self, n: Value) -> list[Panel]:
        """Whole panels, then single vectors with a mask (or single columns)."""
        b, lanes = self.b, self.lanes
        best = self.vectors(None)
        full = tuple(Piece(v * lanes, lanes, lanes) for v in range(best))
        stop = subtract(b, n, rest(b, n, best * lanes))
        tail = Piece(0, lanes, None) if self.masks else Piece(0, 1, 1)
        return [Panel(0, stop, best * lanes, full), Panel(stop, n, tail.lanes, (tail,))]

    def known_panels(self, n: int) -> list[Panel]:
        """Panels of equal width, then what remains in as few panels as possible."""
        lanes, left = self.lanes, n % self.lanes
        pieces = [Piece(j, lanes, lanes) for j in range(0, n - left, lanes)]
        if left and self.masks:  # the last vector is as narrow as a power of two can be
            pieces.append(Piece(n - left, 1 << (left - 1).bit_length(), left))
        else:
            pieces += [Piece(j, 1, 1) for j in range(n - left, n)]
        best = self.vectors(len(pieces))
        turns = n // lanes // best
        most = best
        if not self.blocked and not self.pack_a and best == 2 and len(pieces) in (3, 5):
            turns, most = turns - 1, 3  # three vectors at once are better than two and a single one
        result = []
        if turns > 0:
            result.append(Panel(0, turns * best * lanes, best * lanes, tuple(pieces[:best])))
        remaining = pieces[max(turns, 0) * best :]
        while remaining:
            part, remaining = remaining[:most], remaining[most:]
            first, last = part[0].first, part[-1]
            stop = last.first + (last.count or 0)
            moved = tuple(Piece(p.first - first, p.lanes, p.count) for p in part)
            result.append(Panel(first, stop, stop - first, moved))
        return result

    def vectors(self, available: int | None) -> int:
        """Vectors of a tile: two, or more if there are few rows."""
        m, most = self.m, 4 if self.turned else 8
        fitting = [v for v in range(3, most + 1) if isinstance(m, int) and m <= self.tallest[v]]
        best = max(fitting, default=2)
        return best if available is None else max(1, min(best, available))

    def rows(self, vectors: int) -> int:
        """The most rows of a tile of so many vectors."""
        return self.tallest[min(vectors, 8)]

    def segments(self, most: int) -> list[Segment]:
        """The rows of C, as evenly as possible if their number is known."""
        b, m = self.b, self.m
        if isinstance(m, int):
            fewest, more = divmod(m, max(1, -(-m // most)))
            split = more * (fewest + 1)
            return [
                s for s in (Segment(0, split, fewest + 1), Segment(split, m, fewest)) if s.start != s.stop
            ]
        result: list[Segment] = []
        start: Size = 0
        for rows in sorted({most, 4 if most > 6 else (most + 1) // 2, 1}, reverse=True):
            stop = subtract(b, m, rest(b, subtract(b, m, start), rows)) if rows > 1 else m
            result.append(Segment(start, stop, rows))
            start = stop
        return result

    # -- the nest ------------------------------------------------------------------------------------------

    def emit(self, A: Operand, B: Operand, k: Size, scratch: Scratch) -> None:
        """The product; a deep one in parts of t, and in chunks if its rows or columns are any number."""
        b, most = self.b, DEEP // self.size
        if isinstance(k, int) and k <= most:
            self.plan(A, B, k, scratch)
            self.nest(_Part(A, B, k, self.initial, self.finish))
        elif self.most[0] is None:

            def some_rows(i: Size) -> None:
                self.chunk(i, 0).emit(A.moved(b, self.kind, i, 0), B, k, scratch)

            each(b, 0, self.m, CHUNK, some_rows)
        elif self.most[1] is None:

            def some_columns(j: Size) -> None:
                self.chunk(0, j).emit(A, B.moved(b, self.kind, 0, j), k, scratch)

            each(b, 0, self.n, CHUNK, some_columns)
        else:
            if isinstance(k, int):  # parts of equal depth
                most = -(-k // (-(-k // most) * 8)) * 8
            self.deep(A, B, k, most, scratch)

    def chunk(self, i: Size, j: Size) -> _Product:
        """The product from (i, j) on of at most CHUNK rows, or columns, of those that come at run time."""
        b, m, n, most = self.b, self.m, self.n, list(self.most)
        if most[0] is None:
            m, most[0] = least(b, subtract(b, m, i), CHUNK), CHUNK
        else:
            n, most[1] = least(b, subtract(b, n, j), CHUNK), CHUNK
        inner = _Product(b, self.kind.element, m, n, self.start, self.store)
        inner.axis, inner.compact, inner.most = self.axis, self.compact, most
        inner.origin = (add(b, self.origin[0], i), add(b, self.origin[1], j))
        return inner

    def deep(self, A: Operand, B: Operand, k: Size, most: int, scratch: Scratch) -> None:
        """The product in parts of t; in between the sums are kept in memory."""
        b, (rows, columns) = self.b, self.most
        assert rows is not None and columns is not None
        self.plan(A, B, most, scratch)
        pitch = columns + self.lanes
        sums = Operand(scratch(rows * pitch), pitch, 1)
        self.keep(sums, self.initial)
        kept = self.kept(sums)

        def part(t: Size) -> None:
            a, c = A.moved(b, self.kind, 0, t), B.moved(b, self.kind, t, 0)
            depth = least(b, subtract(b, k, t), most)
            self.nest(
                _Part(a, c, depth, kept, lambda i, j, piece, mask, acc: self.put(sums, i, j, acc), True)
            )

        each(b, 0, k, most, part)
        self.each_vector(lambda i, j, piece, mask: self.finish(i, j, piece, mask, kept(i, j, piece, mask)))

    def nest(self, part: _Part) -> None:
        """Blocks of rows if there are many, panels, tiles."""
        if not self.blocked:
            if self.pack_a:
                self.pack_tiles(part, self.tiles[0], 0)
            for panel, tiles in zip(self.panels, self.tiles, strict=True):

                def whole(j: Size, panel: Panel = panel, tiles: list[Segment] = tiles) -> None:
                    self.panel(part, panel, tiles, j)

                self.each_panel(panel, whole)
            return
        b = self.b
        if self.pack_b:
            for panel in self.panels:
                self.each_panel(panel, lambda j, p=panel: self.pack_panel(part, p, j))  # type: ignore[misc]
        for segment in self.tiles[0]:
            step = self.block // segment.rows * segment.rows

            def block(i: Size, segment: Segment = segment, step: int = step) -> None:
                here = Segment(i, least(b, add(b, i, step), segment.stop), segment.rows)
                if self.pack_a:
                    self.pack_tiles(part, [here], i)
                for panel in self.panels:

                    def some(j: Size, panel: Panel = panel) -> None:
                        self.panel(part, panel, [here], j, i)

                    self.each_panel(panel, some)

            each(b, segment.start, segment.stop, step, block)

    def each_panel(self, panel: Panel, body: Callable[[Size], None]) -> None:
        """Every panel of one kind."""
        each(self.b, panel.start, panel.stop, panel.width, body)

    def pack_tiles(self, part: _Part, segments: list[Segment], origin: Size) -> None:
        """Copy tiles to where `panel` looks for them, in slices of t if tiles are neighbours in memory."""
        b, A, kind, room = self.b, part.A, self.kind, self.room_a
        assert room is not None

        def slice_(t: Size, depth: Size) -> None:
            for rows, start, stop in ((s.rows, s.start, s.stop) for s in segments):

                def one(i: Size, rows: int = rows) -> None:
                    offset = add(b, multiply(b, i, A.row), multiply(b, t, A.column))
                    source = Operand(at(b, A.pointer, offset, kind), A.column, A.row)
                    target = add(b, multiply(b, subtract(b, i, origin), part.k), multiply(b, t, rows))
                    pack_columns(b, kind, self.lanes, source, rows, depth, at(b, room, target, kind), rows)

                each(b, start, stop, rows, one)

        if A.column == 1:
            slice_(0, part.k)
            return
        whole = subtract(b, part.k, rest(b, part.k, SLICE))
        each(b, 0, whole, SLICE, lambda t: slice_(t, SLICE))
        if part.k != whole:
            slice_(whole, subtract(b, part.k, whole))

    def pack_panel(self, part: _Part, panel: Panel, j: Size) -> None:
        """Copy a panel of B to where `panel` looks for it."""
        b = self.b
        assert self.room_b is not None
        target = at(b, self.room_b, multiply(b, j, part.k), self.kind) if self.blocked else self.room_b
        source = Operand(
            at(b, part.B.pointer, multiply(b, j, part.B.column), self.kind), part.B.row, part.B.column
        )
        known = all(piece.count is not None for piece in panel.pieces)
        count = panel.width if known else least(b, subtract(b, panel.stop, j), panel.width)
        pack_columns(b, self.kind, self.lanes, source, count, part.k, target, panel.packed)

    def panel(self, part: _Part, panel: Panel, tiles: list[Segment], j: Size, origin: Size = 0) -> None:
        """All tiles of one panel."""
        b = self.b
        if self.room_b is not None:
            if not self.blocked:
                self.pack_panel(part, panel, j)
            place = multiply(b, j, part.k) if self.blocked else 0
            right = Operand(at(b, self.room_b, place, self.kind), panel.packed, 1)
        else:
            pointer = at(b, part.B.pointer, multiply(b, j, part.B.column), self.kind)
            right = Operand(pointer, part.B.row, part.B.column)
        for segment in tiles:
            rows = segment.rows

            def one(i: Size, rows: int = rows) -> None:
                if self.room_a is not None:
                    packed = at(b, self.room_a, multiply(b, subtract(b, i, origin), part.k), self.kind)
                    left = Operand(packed, 1, rows)
                else:
                    pointer = at(b, part.A.pointer, multiply(b, i, part.A.row), self.kind)
                    left = Operand(pointer, part.A.row, part.A.column)
                self.tile(part, panel, i, j, rows, left, right)

            each(b, segment.start, segment.stop, rows, one)

    # -- the tile ------------------------------------------------------------------------------------------

    def tile(
        self, part: _Part, panel: Panel, i: Size, j: Size, rows: int, left: Operand, right: Operand
    ) -> None:
        """Some rows of one panel: all steps of t with the sums in registers."""
        b, kind, k, pieces = self.b, self.kind, part.k, panel.pieces
        # Rows in groups of four: a few pointers move, the distances within a group are shared.
        lefts = [at(b, left.pointer, multiply(b, left.row, r), kind) for r in range(0, rows, 4)]
        within = [multiply(b, left.row, r) for r in range(min(rows, 4))]
        # All sums have the same lanes, though some may not count: one broadcast serves them all.
        lanes = max(piece.lanes for piece in pieces)
        ahead = [multiply(b, right.column, piece.first) for piece in pieces]

        def step(state: list[Value]) -> list[Value]:
            pointer, groups, acc = state[0], state[1 : 1 + len(lefts)], state[1 + len(lefts) :]
            row = []
            for piece, offset in zip(pieces, ahead, strict=True):
                wide = vector(kind.element, piece.lanes)
                mask = None if self.pack_b else self.mask(panel, j, piece)
                row.append(widen(b, read(b, at(b, pointer, offset, kind), wide, 1, piece.lanes, mask), lanes))
            for r in range(rows):
                entry = b.load(at(b, groups[r // 4], within[r % 4], kind), kind)
                spread = b.splat(entry, lanes)
                for v, factor in enumerate(row, r * len(pieces)):
                    acc[v] = self.fma(spread, factor, acc[v])
            groups = [at(b, group, left.column, kind) for group in groups]
            return [at(b, pointer, right.row, kind), *groups, *acc]

        def places() -> list[tuple[Size, Size, Piece, Value | None]]:
            found = [(piece, add(b, j, piece.first), self.mask(panel, j, piece)) for piece in pieces]
            down = [add(b, i, r) for r in range(rows)]
            return [(ii, jj, piece, mask) for ii in down for piece, jj, mask in found]

        state = [right.pointer, *lefts, *(widen(b, part.initial(*place), lanes) for place in places())]
        if isinstance(k, int) and k <= SHORT:
            for _ in range(k):
                state = step(state)
        else:
            with b.loop(value(b, 0), value(b, k), 1, carry=state) as loop:
                loop.next = step(loop.carried)
            state = loop.results
        sums = state[1 + len(lefts) :]
        if self.stage is None or part.interrupted:
            for place, acc in zip(places(), sums, strict=True):
                part.finish(*place, narrow(b, acc, place[2].lanes))
            return
        stage, wide = self.stage, vector(kind.element, lanes)
        for index, acc in enumerate(sums):
            b.store(acc, at(b, stage, index * lanes, kind))

        def row(r: Size) -> None:
            line = at(b, stage, multiply(b, r, lanes * len(pieces)), kind)
            for v, piece in enumerate(pieces):
                acc = narrow(b, b.load(at(b, line, v * lanes, kind), wide), piece.lanes)
                jj = add(b, j, piece.first)
                part.finish(add(b, i, r), jj, piece, self.mask(panel, j, piece), acc)

        each(b, 0, rows, 1, row)

    def mask(self, panel: Panel, j: Size, piece: Piece) -> Value | None:
        """The lanes of a piece that are columns of C; made where used: masks do not last in registers."""
        b = self.b
        if piece.count == piece.lanes:
            return None
        left = subtract(b, panel.stop, add(b, j, piece.first)) if piece.count is None else piece.count
        return first_lanes(b, left, vector(self.kind.element, piece.lanes))

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z; with two roundings only where the processor would need a slow call."""
        return self.b.fma(x, y, z) if self.b.target.fma else self.b.fadd(self.b.fmul(x, y), z)

    # -- beginning and end of a sum ------------------------------------------------------------------------

    def initial(self, i: Size, j: Size, piece: Piece, mask: Value | None) -> Value:
        """What a sum of the caller's product starts from."""
        b, start = self.b, self.start
        wide = vector(self.kind.element, piece.lanes)
        if start is None:
            return b.const(0.0, wide)
        place = start.moved(b, self.kind, add(b, self.origin[0], i), add(b, self.origin[1], j)).pointer
        count = piece.lanes if piece.count is None else piece.count
        return read(b, place, wide, start.column, count, mask)

    def finish(self, i: Size, j: Size, piece: Piece, mask: Value | None, acc: Value) -> None:
        """Hand finished entries to the caller."""
        first, second = (value(self.b, add(self.b, x, y)) for x, y in zip(self.origin, (i, j), strict=True))
        if self.axis == "m":
            first, second = second, first
        count = piece.lanes if piece.count is None else piece.count
        self.store(self.b, acc, first, second, count, mask, self.axis)

    def each_vector(self, body: Callable[[Size, Size, Piece, Value | None], None]) -> None:
        """Every vector of C, outside of any sum."""
        b = self.b
        for panel in self.panels:

            def row(i: Size, panel: Panel = panel) -> None:
                def vectors(j: Size) -> None:
                    for piece in panel.pieces:
                        body(i, add(b, j, piece.first), piece, self.mask(panel, j, piece))

                self.each_panel(panel, vectors)

            each(b, 0, self.m, 1, row)

    def keep(self, sums: Operand, initial: Initial) -> None:
        """Fill memory for interrupted sums."""
        self.each_vector(lambda i, j, piece, mask: self.put(sums, i, j, initial(i, j, piece, mask)))

    def put(self, sums: Operand, i: Size, j: Size, acc: Value) -> None:
        """Store whole vectors of interrupted sums (their rows are padded)."""
        self.b.store(acc, at(self.b, sums.pointer, add(self.b, multiply(self.b, i, sums.row), j), self.kind))

    def kept(self, sums: Operand) -> Initial:
        """Load what `put` has stored."""

        def load(i: Size, j: Size, piece: Piece, mask: Value | None) -> Value:
            b = self.b
            place = at(b, sums.pointer, add(b, multiply(b, i, sums.row), j), self.kind)
            return b.load(place, vector(self.kind.element, piece.lanes))

        return load


def _at_least(amount: int, *factors: int | None) -> bool:
    """Whether a product of sizes is so large, or may be."""
    total = 1
    for factor in factors:
        if factor is None:
            return True
        total *= factor
    return total >= amount


def emit_matmul(
    b: Builder,
    element: str,
    m: Size,
    n: Size,
    k: Size,
    a: Operand,
    b_: Operand,
    store: Epilogue,
    *,
    scratch: Scratch,
    accumulate_into: Operand | None = None,
    along: Axis | None = None,
    dots: bool = False,
    compact: bool = False,
) -> None:
    """Write the code of a product of an (m, k) and a (k, n) matrix.

    `element` is "double" or "float"; m, n and k are numbers or i64 values. `store` is called where entries
    of C are finished, with vectors along the axis `along` (by default that in which B or A is contiguous).
    The sums start from the entries of `accumulate_into` if it is given, from zero otherwise.
    `scratch(count)` gives room for `count` elements (a number, whatever comes at run time), best aligned to
    64 bytes; it may be called in a loop. C may overlap neither A nor B.

    With `compact` the epilogue is written less often (in a loop over the rows of a tile that have been put
    into memory): for long epilogues, whose code would be large, while the sums are not very short.

    With `dots`, a product with a single row or column whose factors are both contiguous along k is computed
    as dot products of vectors: faster, and with bits that depend on k alone, but are not those of the
    chain.
    """
    if (
        dots
        and a.column == 1
        and b_.row == 1
        and 1 in (m, n)
        and not (isinstance(k, int) and k < 2 * b.target.lanes(element))
    ):
        _dots(b, element, m, n, k, a, b_, store, scratch, accumulate_into)
        return
    if along is None:
        along = "m" if b_.column != 1 and a.row == 1 and n != 1 and m != 1 else "n"
    start = accumulate_into
    if along == "m":  # the transposed product
        m, n, a, b_ = n, m, b_.transposed, a.transposed
        start = None if start is None else start.transposed
    product = _Product(b, element, m, n, start, store)
    product.axis, product.compact = along, compact
    product.emit(a, b_, k, scratch)


def _dots(
    b: Builder,
    element: str,
    m: Size,
    n: Size,
    k: Size,
    a: Operand,
    b_: Operand,
    store: Epilogue,
    scratch: Scratch,
    start: Operand | None,
) -> None:
    """A product with a single row or column: first all dot products, then their epilogue with vectors."""
    kind, lanes = vector(element), b.target.lanes(element)
    count, matrix, x = (m, a, b_.pointer) if n == 1 else (n, b_.transposed, a.pointer)
    whole = _Product(b, element, 1, count, start.transposed if start is not None and n == 1 else start, store)
    whole.axis = "m" if n == 1 else "n"
    sums = scratch((count if isinstance(count, int) else CHUNK) + lanes)

    def some(first: Size, product: _Product) -> None:
        product.plan(Operand(x, 0, 1), Operand(x, 0, 1), 0, scratch)
        moved = matrix.moved(b, kind, first, 0)
        emit_dots(b, element, product.n, k, moved, x, lambda i, total: b.store(total, at(b, sums, i, kind)))

        def finish(i: Size, j: Size, piece: Piece, mask: Value | None) -> None:
            acc = b.load(at(b, sums, j, kind), vector(element, piece.lanes))
            if start is not None:
                acc = b.fadd(product.initial(i, j, piece, mask), acc)
            product.finish(i, j, piece, mask, acc)

        product.each_vector(finish)

    if isinstance(count, int):
        some(0, whole)
    else:
        each(b, 0, count, CHUNK, lambda first: some(first, whole.chunk(0, first)))
