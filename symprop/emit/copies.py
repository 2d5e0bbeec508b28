"""Copies of parts of the factors of a matrix product, in the order in which its tiles read them."""

from __future__ import annotations

from collections.abc import Callable

from .builder import I8, I64, Value
from .pack import Operand, Size, add, at, each, least, multiply, pack_columns, rest, subtract
from .parallel import own_room, product_cost, share
from .tiles import Following, Panel, Part, Segment
from .tiling import Tiling

__all__ = ["LONG", "STEPS", "Copies"]

LONG = 32  # steps from which on memory is fetched in advance: about what that takes
STRIDE = 48  # bytes of the following panel that a step fetches: less than a line, so that none is left out
STEPS = 4  # steps of a turn of the loop over t on narrow vectors
ROWS = 16  # rows of B that threads never split while they copy


class Copies(Tiling):
    """Panels of B and tiles of A in memory of our own."""

    def share_panels(
        self, part: Part, panel: Panel, body: Callable[[Size], None], cost: Size | None = None
    ) -> None:
        """Every panel of one kind, by all threads; `cost` estimates the cycles of one."""
        b = self.b
        if self.threads == 1 or self.by_rows:
            self.each_panel(panel, body)
            return
        if cost is None:
            rows = least(b, self.m, self.block) if self.blocked else self.m
            cost = self.cost(part, multiply(b, rows, panel.width))

        def some(first: Size, last: Size) -> None:
            each(b, first, last, panel.width, body)

        share(b, panel.start, panel.stop, panel.width, cost, some)

    def cost(self, part: Part, entries: Size) -> Size:
        """The cycles of some entries of C."""
        return product_cost(self.b, self.kind.element, multiply(self.b, entries, part.k))

    def own(self, room: Value, size: int) -> Value:
        """The part of a room that belongs to the current thread."""
        return room if self.threads == 1 else own_room(self.b, room, size, self.kind.element)

    def each_panel(self, panel: Panel, body: Callable[[Size], None]) -> None:
        """Every panel of one kind."""
        each(self.b, panel.start, panel.stop, panel.width, body)

    def pack_tiles(self, part: Part, segments: list[Segment], origin: Size) -> None:
        """Copy tiles to where `panel` looks for them."""
        b, A, kind, room = self.b, part.A, self.kind, self.room_a
        assert room is not None
        for segment in segments:
            rows = segment.rows

            def one(i: Size, rows: int = rows) -> None:
                source = Operand(at(b, A.pointer, multiply(b, i, A.row), kind), A.column, A.row)
                target = at(b, room, multiply(b, subtract(b, i, origin), part.k), kind)
                pack_columns(b, kind, self.lanes, source, rows, part.k, target, rows)

            def some(first: Size, last: Size, one: Callable[[Size], None] = one, rows: int = rows) -> None:
                each(b, first, last, rows, one)

            share(b, segment.start, segment.stop, rows, multiply(b, rows, part.k), some)

    def pack_panel(self, part: Part, panel: Panel, j: Size, first: Size) -> None:
        """Copy a panel of B to where `panel` looks for it."""
        b = self.b
        assert self.room_b is not None
        room = self.room_b if self.blocked else self.own(self.room_b, self.packed)
        target = at(b, room, self.place(part, j, first), self.kind)
        source = Operand(
            at(b, part.B.pointer, multiply(b, j, part.B.column), self.kind), part.B.row, part.B.column
        )
        count = self.columns(panel, j)
        pack_columns(b, self.kind, self.lanes, source, count, part.k, target, panel.packed)

    def pack_rows(self, part: Part, group: Panel, first: Size) -> None:
        """Copy several panels of B row by row, as they lie in memory."""
        b, B = self.b, part.B
        assert self.room_b is not None
        room = self.room_b

        def row(t: Size) -> None:
            def some(j: Size) -> None:
                entry = add(b, multiply(b, t, B.row), j)
                source = Operand(at(b, B.pointer, entry, self.kind), B.row, 1)
                target = add(b, self.place(part, j, first), multiply(b, t, group.packed))
                count = self.columns(group, j)
                here = at(b, room, target, self.kind)
                pack_columns(b, self.kind, self.lanes, source, count, 1, here, group.packed)

            self.each_panel(group, some)

        def rows(first_row: Size, last_row: Size) -> None:
            each(b, first_row, last_row, 1, row)

        share(b, 0, part.k, ROWS, multiply(b, subtract(b, group.stop, group.start), ROWS), rows)

    def columns(self, panel: Panel, j: Size) -> Size:
        """How many columns from j on belong to the panel that begins there."""
        if all(piece.count is not None for piece in panel.pieces):
            return panel.width
        return least(self.b, subtract(self.b, panel.stop, j), panel.width)

    def place(self, part: Part, j: Size, first: Size) -> Size:
        """Where in the room for panels of B the one of column j begins, if that of `first` is at its start.

        With a line between panels, which would else often lie a power of two apart.
        """
        return multiply(self.b, subtract(self.b, j, first), add(self.b, part.k, 1))

    def following(self, part: Part, panel: Panel, j: Size, rows: int) -> Following | None:
        """The columns of B that are copied after this panel, during its tiles of so many rows."""
        b, B, k, kind = self.b, part.B, part.k, self.kind
        if not (isinstance(B.row, int) and isinstance(B.column, int)) or len(panel.pieces) < 2:
            return None
        if not self.narrow:
            return self.following_stretch(part, panel, j, rows)
        if B.row != 1 or (isinstance(k, int) and k < LONG):
            return None
        # Turn by turn of the loop over t, a tile fetches from some of the columns, the next one from others.
        pointer = at(b, B.pointer, multiply(b, add(b, j, panel.width), B.column), kind)
        column = B.column * self.size

        def start(i: Size) -> Value:
            turn = rest(b, i, rows * (panel.width // STEPS))
            tile = turn // rows if isinstance(turn, int) else b.assign(I64, f"udiv i64 {turn}, {rows}")
            return b.element(pointer, multiply(b, tile, STEPS * column), I8)

        return Following(start, tuple(u * column for u in range(STEPS)), STEPS * self.size)

    def following_stretch(self, part: Part, panel: Panel, j: Size, rows: int) -> Following | None:
        """The same where it is one stretch of memory: each tile fetches from where the one before ended."""
        b, B, k = self.b, part.B, part.k
        if not (isinstance(k, int) and isinstance(B.column, int)) or B.row != 1 or k < LONG:
            return None
        most = panel.width * B.column * self.size - STRIDE * k
        if most < 0 or 4 * B.column > 5 * k:
            return None
        pointer = at(b, B.pointer, multiply(b, add(b, j, panel.width), B.column), self.kind)

        def start(i: Size) -> Value:
            return b.element(pointer, least(b, multiply(b, i, STRIDE // rows * k), most), I8)

        return Following(start, (0,), STRIDE)
