"""Where the sums of a matrix product begin and end: the matrices of the caller, memory between parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from .builder import I64, Builder, Value, vector
from .copies import LINE, Copies
from .epilogue import Epilogue
from .pack import Operand, Size, add, at, each, first_lanes, least, subtract, value
from .tiles import Panel, Part, Piece
from .vectors import read, widen, write

__all__ = ["Ends", "Place"]

Place = tuple[Size, Size, Piece, Value | None]  # a vector of C: its row, its first column, its mask


class Ends(Copies):
    """What the sums of tiles start from, and what is done with them."""

    def __init__(
        self, b: Builder, element: str, m: Size, n: Size, start: Operand | None, store: Epilogue
    ) -> None:
        super().__init__(b, element, m, n)
        self.start, self.store = start, store
        self.origin: tuple[Size, Size] = (0, 0)  # where this product lies in that of the caller
        self.reads: Sequence[Operand] = ()  # matrices of the shape of C that the epilogue reads
        self.lent: Operand | None = None  # memory of the caller, of the shape of C, for interrupted sums
        self.sums: Operand | None = None  # memory of our own for them
        self.totals: Operand | None = None  # of blocks before, where the memory above has interrupted chains

    def mask(self, panel: Panel, j: Size, piece: Piece) -> Value | None:
        """The lanes of a piece that are columns of C; made where used: masks do not last in registers."""
        b = self.b
        if piece.count == piece.lanes:
            return None
        left = subtract(b, panel.stop, add(b, j, piece.first)) if piece.count is None else piece.count
        return first_lanes(b, left, vector(self.kind.element, piece.lanes))

    def fetch_reads(
        self,
        panel: Panel,
        i: Size,
        j: Size,
        rows: int,
        steps: tuple[Size, Size],
        step: Callable[[list[Value]], list[Value]],
        state: list[Value],
    ) -> tuple[Size, list[Value]]:
        """Steps of a tile that fetch a row each of what its epilogue will read, matrix after matrix: where
        they end, and the state there.

        All lines at once, when the tile begins, would keep what the first steps load waiting.
        """
        b, (first, second), (start, stop) = self.b, self.origin, steps
        near = [m for m in self.reads if m.row == self.reads[0].row]
        if not near:
            return start, state
        lines = [piece.first for piece in panel.pieces if piece.first * self.size % LINE == 0]
        here, *others = (m.moved(b, self.kind, add(b, first, i), add(b, second, j)).pointer for m in near)
        stop = least(b, add(b, start, rows * len(near)), stop)
        left, whole = b.const(rows, I64), b.const(rows, I64)
        carry = [*state, left, here, *others]
        with b.loop(value(b, start), value(b, stop), carry=carry) as loop:
            inner, (left, here, *others) = loop.carried[: len(state)], loop.carried[len(state) :]
            for line in lines:
                b.prefetch(at(b, here, line, self.kind))
            left = b.sub(left, b.const(1, I64))
            end = b.icmp("eq", left, b.const(0, I64))
            below = at(b, here, near[0].row, self.kind)
            turned = [b.select(end, y, x) for x, y in pairwise([below, *others])]
            loop.next = [*step(inner), b.select(end, whole, left), *turned, *(others or [below])[-1:]]
        return stop, loop.results[: len(state)]

    def begin(self, part: Part, places: list[Place]) -> list[Value]:
        """What the sums of a tile start from."""
        b = self.b

        def fresh(i: Size, j: Size, piece: Piece, mask: Value | None) -> Value:
            value = self.initial(i, j, piece, mask)
            if self.start is None or part.opening is None:
                return value
            return b.select(part.opening, value, b.const(0.0, value.type))

        if part.first is None:
            return [fresh(*place) for place in places]
        sources = []
        first, more, done = (b.label(name) for name in ("first", "more", "begun"))
        b.branch(part.first, first, more)
        for block, make in ((first, fresh), (more, self.kept)):
            b.start(block)
            values = [make(*place) for place in places]
            sources.append((values, b.block))
            b.jump(done)
        b.start(done)
        (x, from_x), (y, from_y) = sources
        return [b.phi([(p, from_x), (q, from_y)]) for p, q in zip(x, y, strict=True)]

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

    def waiting(
        self, i: Size, j: Size, piece: Piece, mask: Value | None, total: bool = False
    ) -> tuple[Operand, int, Value | None]:
        """Where an interrupted sum lies, how many lanes it has, and their mask."""
        own = self.totals if total and self.totals is not None else self.sums
        if own is not None:  # with rows that are padded
            return own.moved(self.b, self.kind, i, j), piece.lanes, None
        assert self.lent is not None
        first, second = add(self.b, self.origin[0], i), add(self.b, self.origin[1], j)
        place = self.lent.moved(self.b, self.kind, first, second)
        return place, piece.lanes if piece.count is None else piece.count, mask

    def joined(self, part: Part, places: list[Place], sums: list[Value]) -> list[Value]:
        """The sums of a block added to those of the blocks before."""
        b = self.b
        assert part.opening is not None
        more, done = b.label("more"), b.label("joined")
        before = b.block
        b.branch(part.opening, done, more)
        b.start(more)
        totals = [
            b.fadd(widen(b, self.kept(*place, total=True), acc.type.lanes), acc)
            for place, acc in zip(places, sums, strict=True)
        ]
        after = b.block
        b.jump(done)
        b.start(done)
        return [b.phi([(x, before), (y, after)]) for x, y in zip(sums, totals, strict=True)]

    def put(self, at_: Place, acc: Value, total: bool = False) -> None:
        """Store interrupted chains, or the sums of all blocks so far."""
        place, count, mask = self.waiting(*at_, total)
        write(self.b, acc, place.pointer, place.column, count, mask)

    def kept(self, i: Size, j: Size, piece: Piece, mask: Value | None, total: bool = False) -> Value:
        """Load what `put` has stored."""
        place, count, mask = self.waiting(i, j, piece, mask, total)
        return read(self.b, place.pointer, vector(self.kind.element, piece.lanes), place.column, count, mask)
