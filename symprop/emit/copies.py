"""Copies of parts of the factors of a matrix product, in the order in which its tiles read them."""

from __future__ import annotations

from collections.abc import Callable

from .builder import I8, I64, Value
from .caches import COPIED
from .pack import Operand, Size, add, at, each, least, multiply, pack_columns, rest, subtract, value
from .parallel import own_room, product_cost, share
from .tiles import Copying, Following, Panel, Part, Segment
from .tiling import Tiling

__all__ = ["LINE", "LONG", "STEPS", "Copies"]

LINE = 64  # bytes of a line of the cache
LONG = 32  # steps from which on memory is fetched in advance: about what that takes
STRIDE = 48  # bytes of the following panel that a step fetches: less than a line, so that none is left out
STEPS = 4  # steps of a turn of the loop over t on narrow vectors
SHARES, TOGETHER = 2, 4  # blocks of panels for each thread, and the most panels of one, where copies go along
SIDE = 4  # tiles whose columns of A are copied side by side
ROWS = 16  # rows of B that threads never split while they copy


class Copies(Tiling):
    """Panels of B and tiles of A in memory of our own."""

    def share_panels(
        self,
        part: Part,
        panel: Panel,
        body: Callable[[Size, Size], None],
        cost: Size | None = None,
        before: Callable[[Size, Size], None] | None = None,
    ) -> None:
        """Every panel of one kind, by all threads, in blocks; `cost` estimates the cycles of one.

        `body` gets the column of a panel and the end of the block, `before` the first column of a block.
        """
        b = self.b
        abreast = self.abreast if before is not None and self.copied_along(panel) else 1

        def some(first: Size, last: Size) -> None:
            if before is not None:
                before(first, last)
            each(b, first, last, panel.width * abreast, lambda j: body(j, last))

        if self.threads == 1 or self.rows_shared(panel):
            some(panel.start, panel.stop)
            return
        if cost is None:
            rows = least(b, self.m, self.block) if self.blocked else self.m
            cost = self.cost(part, multiply(b, rows, panel.width))
        unit = self.together(panel) if before is not None else 1
        share(b, panel.start, panel.stop, unit * panel.width, multiply(b, cost, unit), some)

    def together(self, panel: Panel) -> int:
        """Panels that a thread takes at a time: the first is not copied while another is computed."""
        if not (self.copied_along(panel) and isinstance(panel.start, int) and isinstance(panel.stop, int)):
            return self.abreast
        count = (panel.stop - panel.start) // panel.width
        return max(1, min(TOGETHER, count // (SHARES * self.threads)) // self.abreast) * self.abreast

    def rows_shared(self, panel: Panel) -> bool:
        """Whether threads share the rows of a panel: there are few, or no other of its kind."""
        return self.by_rows or self.only(panel)

    def only(self, panel: Panel) -> bool:
        """Whether there is no other panel of its kind."""
        known = isinstance(panel.start, int) and isinstance(panel.stop, int)
        return known and panel.stop - panel.start <= panel.width  # type: ignore[operator]

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
        """Copy tiles to where `panel` looks for them.

        Columns of A are copied for a few tiles at a time: of more the core would not foresee all the places
        where it writes, of fewer it would read pieces that are too short.
        """
        b, A, kind, room = self.b, part.A, self.kind, self.room_a
        assert room is not None
        for segment in segments:
            rows = segment.rows
            side = rows * SIDE if self.columns_of_a else rows

            def tile(i: Size, t: Size, count: Size, rows: int = rows) -> None:
                source = Operand(A.moved(b, kind, i, t).pointer, A.column, A.row)
                target = at(b, self.tile_of(part, i, origin), multiply(b, t, rows), kind)
                pack_columns(b, kind, self.lanes, source, rows, count, target, rows)

            def several(i: Size, rows: int = rows, side: int = side, end: Size = segment.stop) -> None:
                if not self.columns_of_a:
                    tile(i, 0, part.k, rows)
                    return
                stop = least(b, add(b, i, side), end)
                each(b, 0, part.k, 1, lambda t: each(b, i, stop, rows, lambda j: tile(j, t, 1, rows)))

            def some(
                first: Size, last: Size, one: Callable[[Size], None] = several, side: int = side
            ) -> None:
                each(b, first, last, side, one)

            share(b, segment.start, segment.stop, side, multiply(b, side, part.k), some)

    def tile_of(self, part: Part, i: Size, origin: Size) -> Value:
        """Where the copy of the tile of row i begins, if that of `origin` is at the start.

        With some entries between tiles of columns, which would else often lie a power of two apart.
        """
        assert self.room_a is not None
        depth = add(self.b, part.k, self.between)
        return at(self.b, self.room_a, multiply(self.b, subtract(self.b, i, origin), depth), self.kind)

    def fetch_following(self, part: Part, panel: Panel, i: Size, j: Size, rows: int) -> None:
        """Fetch what this tile of A will be in the next part of the sum: some steps for every panel."""
        b, A, n = self.b, part.A, self.n
        if not self.columns_of_a or part.final is None or not isinstance(n, int):
            return
        steps = -(-COPIED // (n // panel.width))
        here = b.assign(I64, f"udiv i64 {value(b, j)}, {panel.width}")
        first = b.add(b.mul(here, b.const(steps, I64)), b.const(COPIED, I64))
        stop = b.select(part.final, first, b.add(first, b.const(steps, I64)))

        def fetch(t: Size) -> None:
            place = A.moved(b, self.kind, i, t).pointer
            b.prefetch(place, 2)
            b.prefetch(b.element(place, rows * self.size - 1, I8), 2)

        each(b, first, stop, 1, fetch)

    def pack_panel(self, part: Part, panel: Panel, j: Size, target: Value) -> None:
        """Copy a panel of B."""
        b, B = self.b, part.B
        source = B.moved(b, self.kind, 0, j)
        count = self.columns(panel, j)
        pack_columns(b, self.kind, self.lanes, source, count, part.k, target, panel.packed)

    def room_of(self, panel: Panel, j: Size) -> Value:
        """Where a panel goes that is copied for itself: one of two places in turn, if it is copied ahead."""
        b = self.b
        assert self.room_b is not None
        room = self.own(self.room_b, self.packed)
        if not self.ahead:
            return room
        number = value(b, subtract(b, j, panel.start))
        places = 2 * self.abreast
        turn = rest(b, b.assign(I64, f"udiv i64 {number}, {panel.width}"), places)
        return at(b, room, multiply(b, turn, self.packed // places), self.kind)

    def copied_along(self, panel: Panel) -> bool:
        """Whether panels of this kind are copied while tiles of the one before are computed."""
        whole = all(piece.count == piece.lanes for piece in panel.pieces)
        return self.ahead and whole and not self.only(panel)

    def copying(self, part: Part, panel: Panel, tiles: list[Segment], j: Size, last: Size) -> Copying:
        """The copy of the panel after this one, if there is one before `last`."""
        b, none, one = self.b, self.b.const(0, I64), self.b.const(1, I64)
        j = add(b, j, self.abreast * panel.width)
        depth = value(b, part.k)
        chosen = self.tall_tiles(tiles)
        tall = value(b, subtract(b, chosen.stop, chosen.start))
        rows = b.select(b.icmp("sgt", tall, none), tall, one)
        rate = b.assign(I64, f"udiv i64 {b.add(depth, b.sub(rows, one))}, {rows}")
        steps = b.select(b.icmp("slt", value(b, j), value(b, last)), depth, none)

        def first(i: Size) -> Value:
            return value(b, least(b, multiply(b, subtract(b, i, chosen.start), rate), steps))

        source = part.B.moved(b, self.kind, 0, j)
        return Copying(source, self.room_of(panel, j), panel.packed, first, steps)

    def tall_tiles(self, tiles: list[Segment]) -> Segment:
        """Those of the rows of a panel that copy the next one."""
        if all(isinstance(s.start, int) and isinstance(s.stop, int) for s in tiles):
            return max(tiles, key=lambda s: s.stop - s.start)  # type: ignore[operator]
        return tiles[0]

    def copy_along(
        self,
        copying: Copying,
        i: Size,
        rows: int,
        k: Size,
        step: Callable[[list[Value]], list[Value]],
        state: list[Value],
    ) -> tuple[Value, list[Value]]:
        """The first steps of a tile, which copy a step each of the next panel, then those that fetch a line
        each of what the next tile copies: their number, and the state after them.

        Both take units and places in the registers that the multiply-adds leave free.
        """
        b, kind, source, width = self.b, self.kind, copying.source, copying.width
        none, one = b.const(0, I64), b.const(1, I64)
        first, then = copying.first(i), copying.first(add(b, i, rows))
        count = b.sub(then, first)
        here = source.moved(b, kind, first, 0).pointer
        target = at(b, copying.target, multiply(b, first, width), kind)
        with b.loop(none, count, 1, carry=[*state, here, target]) as loop:
            *inner, here, target = loop.carried
            for lane in range(0, width, self.lanes):
                b.store(b.load(at(b, here, lane, kind), self.wide), at(b, target, lane, kind))
            places = [at(b, here, source.row, kind), at(b, target, width, kind)]
            loop.next = [*step(inner), *places]
        *state, here, _ = loop.results
        lines = width * self.size // LINE  # the line before is the last one of the panel at hand
        down = b.sub(value(b, multiply(b, source.row, self.size)), b.const((lines - 1) * LINE, I64))
        stop = least(b, b.add(count, b.mul(count, b.const(lines, I64))), k)
        here = b.element(here, LINE - 1, I8)
        with b.loop(count, value(b, stop), 1, carry=[*state, here, none]) as loop:
            *inner, here, line = loop.carried
            b.prefetch(here, 2)
            last = b.icmp("eq", line, b.const(lines - 1, I64))
            here = b.element(here, b.select(last, down, b.const(LINE, I64)), I8)
            loop.next = [*step(inner), here, b.select(last, none, b.add(line, one))]
        return value(b, stop), loop.results[:-2]

    def copy_rest(self, copying: Copying, tiles: list[Segment]) -> None:
        """What tiles have not copied: all of it where there is none of those that do."""
        b = self.b
        first = copying.first(self.tall_tiles(tiles).stop)
        source = copying.source.moved(b, self.kind, first, 0)
        target = at(b, copying.target, multiply(b, first, copying.width), self.kind)
        count = b.sub(copying.steps, first)
        pack_columns(b, self.kind, self.lanes, source, copying.width, count, target, copying.width)

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
