"""Matrix products: `C[i, j] = sum over t of A[i, t] B[t, j]`, tiled in registers, with an epilogue.

Every entry of C is one chain of fused multiply-adds in ascending t, a deep one the sum of the chains of its
blocks (`Caches.chain`), whatever the sizes, tiles and tails around it: a block of a product has the same bits
as the product of the blocks. (`dots` asks for an exception.)

A tile of C, some rows by a few vectors of columns, is held in registers while t runs; B gives vectors of
neighbouring columns, A single entries that are broadcast. Panels of B and tiles of A are copied into scratch
memory first where that is needed (columns of B that are not contiguous) or pays (strides that collide in the
cache). Where vectors are wanted along the rows of C, the same is done for the transposed product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import reduce

from .builder import I8, I64, Builder, Value, vector
from .copies import LINE, LONG, STEPS
from .dots import emit_dots
from .ends import Ends, Place
from .epilogue import Epilogue, store_to
from .pack import Operand, Size, add, at, each, evenly, least, multiply, rest, subtract, value
from .parallel import share
from .tiles import Copying, Following, Panel, Part, Piece, Segment
from .tiling import SHORT, Axis, Scratch, at_least
from .vectors import narrow, read, widen

__all__ = ["Axis", "Epilogue", "Operand", "Scratch", "emit_matmul", "store_to"]

CHUNK = 240  # rows or columns at a time of those deep products that have any number of them
TILE = 12  # rows of a tile: those that come at a time are a multiple
MOST = 10  # sums of a tile from which on it is one of those that take the time


class _Product(Ends):
    """One product, turned so that vectors go along n."""

    # -- the nest ------------------------------------------------------------------------------------------

    def emit(self, A: Operand, B: Operand, k: Size, scratch: Scratch) -> None:
        """The product; where its rows come at run time, another nest for few of them, if that pays."""
        depth = min(k, self.deepest(A)) if isinstance(k, int) else self.deepest(A)
        nests: list[tuple[int, _Product]] = []  # each for fewer rows than its number
        if B.column == 1 and not isinstance(self.m, int):
            steps = self.shallow(B, depth)
            if steps:
                nests.append((TILE, self.lean(steps)))
            if self.pays(A, B, depth):
                nests.append((self.repaid, self.lean(0)))
        self.choose([*nests, (0, self)], A, B, k, scratch)

    def lean(self, steps: int) -> _Product:
        """The same product for few rows, of sums in parts of so many steps."""
        lean = copy(self)
        lean.few, lean.steps = True, steps
        return lean

    def choose(
        self, nests: list[tuple[int, _Product]], A: Operand, B: Operand, k: Size, scratch: Scratch
    ) -> None:
        """The first of the nests that is for so few rows; the last is for any number."""
        (limit, nest), *others = nests
        if not others:
            nest.parts(A, B, k, scratch)
            self.chosen = nest.chosen
            return
        b = self.b
        few, many, done = (b.label(name) for name in ("few", "many", "done"))
        b.branch(b.icmp("slt", value(b, self.m), b.const(limit, I64)), few, many)
        b.start(few)
        nest.parts(A, B, k, scratch)
        b.jump(done)
        b.start(many)
        self.choose(others, A, B, k, scratch)
        b.jump(done)
        b.start(done)

    def parts(self, A: Operand, B: Operand, k: Size, scratch: Scratch) -> None:
        """The product; a deep one in parts of t, and in chunks if its rows or columns are any number."""
        b, most = self.b, self.deepest(A)
        if (
            isinstance(k, int)
            and k <= most
            and not (
                self.most[0] is None
                and at_least(self.caches.large, self.caches.tall(self.size * k), k, self.size)
            )
        ):
            self.plan(A, B, k, scratch)
            self.nest(Part(A, B, k))
        elif self.most[0] is None:
            tall = self.tall(A, k, most)
            count, step = evenly(b, self.m, tall, TILE)
            with b.loop(b.const(0, I64), count) as loop:
                i = b.mul(loop.index, step)
                part = self.chunk(i, 0, tall, step)
                part.parts(A.moved(b, self.kind, i, 0), B, k, scratch)
                self.chosen = part.chosen
        elif self.most[1] is None:

            def some_columns(j: Size) -> None:
                part = self.chunk(0, j)
                part.parts(A, B.moved(b, self.kind, 0, j), k, scratch)
                self.chosen = part.chosen

            each(b, 0, self.n, CHUNK, some_columns)
        else:
            self.deep(A, B, k, scratch)

    def deepest(self, A: Operand) -> int:
        """The steps after which sums are interrupted."""
        return min(self.steps, self.chain(A)) if self.steps else self.chain(A)

    def chain(self, A: Operand) -> int:
        """The steps of a block of t."""
        return self.caches.chain(self.size, A.column == 1)

    def tall(self, A: Operand, k: Size, most: int) -> int:
        """Rows at a time, where their number comes at run time; few where sums wait in memory of our own, or
        where tiles of A are copied because their rows collide."""
        if self.steps:
            return TILE
        if not (isinstance(k, int) and k <= most) and self.lent is None:
            return CHUNK
        deep = min(k, most) if isinstance(k, int) else most
        return self.caches.tall(self.size * deep, copied=self.collides(A, deep))

    def chunk(self, i: Size, j: Size, tall: int = CHUNK, step: Size = CHUNK) -> _Product:
        """The product from (i, j) on of some rows (`step`, at most `tall`), or columns, of those that come
        at run time.
        """
        b, m, n, most = self.b, self.m, self.n, list(self.most)
        if most[0] is None:
            m, most[0] = least(b, subtract(b, m, i), step), tall
        else:
            n, most[1] = least(b, subtract(b, n, j), CHUNK), CHUNK
        inner = _Product(b, self.kind.element, m, n, self.start, self.store)
        inner.axis, inner.compact, inner.most, inner.lent = self.axis, self.compact, most, self.lent
        inner.reads, inner.few, inner.steps = self.reads, self.few, self.steps
        inner.origin = (add(b, self.origin[0], i), add(b, self.origin[1], j))
        return inner

    def deep(self, A: Operand, B: Operand, k: Size, scratch: Scratch) -> None:
        """The product in blocks of t, whose sums are added, and these in parts where they are interrupted
        earlier; in between the sums are kept in memory."""
        b, (rows, columns), none = self.b, self.most, self.b.const(0, I64)
        assert rows is not None and columns is not None
        length, most = self.chain(A), self.deepest(A)
        several = not (isinstance(k, int) and k <= length)
        reach = length if several else k
        assert isinstance(reach, int)
        most = -(-reach // (-(-reach // most) * 8)) * 8  # parts of equal depth
        self.plan(A, B, most, scratch)
        pitch = columns + self.lanes
        if self.lent is None:
            self.sums = Operand(scratch(rows * pitch), pitch, 1)
        if several and most < length:
            self.totals = Operand(scratch(rows * pitch), pitch, 1)

        def parts_of(start: Value, depth: Value, opening: Value | None, closing: Value | None) -> None:
            with b.loop(none, self.one_or_more(depth), most) as loop:
                t, left = b.add(start, loop.index), b.sub(depth, loop.index)
                last = b.icmp("sle", left, b.const(most, I64))
                self.nest(
                    Part(
                        A.moved(b, self.kind, 0, t),
                        B.moved(b, self.kind, t, 0),
                        least(b, left, most),
                        b.icmp("eq", loop.index, none),
                        last,
                        opening,
                        closing,
                        last if closing is None else b.and_(closing, last),
                    )
                )

        depth = value(b, k)
        if not several:
            parts_of(none, depth, None, None)
            return
        with b.loop(none, self.one_or_more(depth), length) as loop:
            t, left = loop.index, b.sub(depth, loop.index)
            here, opening = least(b, left, length), b.icmp("eq", t, none)
            closing = b.icmp("sle", left, b.const(length, I64))
            if most < length:
                parts_of(t, value(b, here), opening, closing)
            else:
                moved = A.moved(b, self.kind, 0, t), B.moved(b, self.kind, t, 0)
                self.nest(Part(*moved, here, None, None, opening, closing, closing))

    def one_or_more(self, depth: Value) -> Value:
        """The steps of a sum; one of no terms has an end too."""
        one = self.b.const(1, I64)
        return self.b.select(self.b.icmp("slt", depth, one), one, depth)

    def nest(self, part: Part) -> None:
        """Blocks of rows if there are many, panels, tiles."""
        b = self.b
        if self.row_by_row and not self.pack_b:
            self.rows_of_tiles(part, self.panels)
            return
        if not self.blocked:
            if self.pack_a:
                self.pack_tiles(part, self.tiles[0], 0)
            for panel, tiles in zip(self.panels, self.tiles, strict=True):

                def whole(j: Size, last: Size, panel: Panel = panel, tiles: list[Segment] = tiles) -> None:
                    self.panel(part, panel, tiles, j, last=last)

                def before(first: Size, last: Size, panel: Panel = panel) -> None:
                    if self.copied_along(panel):
                        stop = least(b, add(b, first, self.abreast * panel.width), last)
                        each(
                            b,
                            first,
                            stop,
                            panel.width,
                            lambda j: self.pack_panel(part, panel, j, self.room_of(panel, j)),
                        )

                self.share_panels(part, panel, whole, before=before)
            return
        for panel in self.panels:
            if not self.pack_b:
                self.blocks(part, panel, panel.start)
                continue
            self.groups(part, panel)

    def rows_of_tiles(self, part: Part, panels: list[Panel], first: Size | None = None) -> None:
        """One row of tiles after the other, through some panels; `first` is the first of those copied."""
        b = self.b
        for segment in self.tiles[0]:
            rows = segment.rows

            def row(i: Size, rows: int = rows) -> None:
                here = [Segment(i, add(b, i, rows), rows)]
                for panel in panels:

                    def tile(j: Size, panel: Panel = panel) -> None:
                        self.panel(part, panel, here, j, 0, first)

                    self.each_panel(panel, tile)

            def some(start: Size, stop: Size, rows: int = rows, row: Callable[[Size], None] = row) -> None:
                each(b, start, stop, rows, row)

            cost = self.cost(part, multiply(b, self.n, rows))
            share(b, segment.start, segment.stop, rows, cost, some)

    def groups(self, part: Part, panel: Panel) -> None:
        """As many panels of B at a time as there is room for, copied before all rows pass by."""
        b, k = self.b, part.k
        if isinstance(k, int):
            many: Size = max(1, self.packed // ((k + 1) * panel.packed))
        else:
            room = b.const(self.packed // panel.packed, I64)
            many = b.assign(I64, f"udiv i64 {room}, {b.add(k, b.const(1, I64))}")
        width = multiply(b, many, panel.width)
        start, stop = value(b, panel.start), value(b, panel.stop)
        total = b.add(b.sub(stop, start), b.sub(value(b, width), b.const(1, I64)))
        count = b.assign(I64, f"sdiv i64 {total}, {value(b, width)}")
        with b.loop(b.const(0, I64), count) as loop:
            first = b.add(start, value(b, multiply(b, loop.index, width)))
            group = Panel(first, least(b, add(b, first, width), stop), panel.width, panel.pieces)
            if part.B.column == 1:
                self.pack_rows(part, group, first)
            else:
                copied = multiply(b, panel.width, k)

                def copy(j: Size, _: Size, group: Panel = group, first: Value = first) -> None:
                    assert self.room_b is not None
                    target = at(b, self.room_b, self.place(part, j, first), self.kind)
                    self.pack_panel(part, group, j, target)

                self.share_panels(part, group, copy, copied)
            if self.row_by_row:
                self.rows_of_tiles(part, [group], first)
            else:
                self.blocks(part, group, first)

    def blocks(self, part: Part, panel: Panel, first: Size) -> None:
        """All rows, in blocks, with the panels of one kind; `first` is the first of those that are copied."""
        b = self.b
        for segment in self.tiles[0]:
            step = self.block // segment.rows * segment.rows

            def block(i: Size, segment: Segment = segment, step: int = step) -> None:
                here = Segment(i, least(b, add(b, i, step), segment.stop), segment.rows)
                if self.pack_a:
                    self.pack_tiles(part, [here], i)
                self.share_panels(part, panel, lambda j, _: self.panel(part, panel, [here], j, i, first))

            each(b, segment.start, segment.stop, step, block)

    def panel(
        self,
        part: Part,
        panel: Panel,
        tiles: list[Segment],
        j: Size,
        origin: Size = 0,
        first: Size | None = None,
        last: Size | None = None,
    ) -> None:
        """All tiles of one panel, of those that have been copied together from column `first` on, or of those
        up to `last` that are copied one by one.
        """
        b = self.b
        copying: Copying | None = None
        stop: Size | None = None  # of the panels that each tile passes by
        if self.room_b is None:
            right = part.B.moved(b, self.kind, 0, j)
        elif first is not None:
            right = Operand(at(b, self.room_b, self.place(part, j, first), self.kind), panel.packed, 1)
        else:
            right = Operand(self.room_of(panel, j), panel.packed, 1)
            if last is not None and self.copied_along(panel):
                if self.abreast > 1:
                    stop = least(b, add(b, j, self.abreast * panel.width), last)
                copying = self.copying(part, panel, tiles, j, last)
            else:
                self.pack_panel(part, panel, j, right.pointer)
        for segment in tiles:
            rows, following = segment.rows, None
            if self.room_b is not None and first is None:
                following = self.following(part, panel, j, rows)

            copies = segment is self.tall_tiles(tiles)

            def one(
                i: Size, rows: int = rows, following: Following | None = following, copies: bool = copies
            ) -> None:
                if self.room_a is not None:
                    packed = self.tile_of(part, i, origin)
                    left = Operand(packed, 1, rows)
                else:
                    pointer = at(b, part.A.pointer, multiply(b, i, part.A.row), self.kind)
                    left = Operand(pointer, part.A.row, part.A.column)
                if stop is None:
                    self.fetch_following(part, panel, i, j, rows)
                    along = copying if copies else None
                    self.tile(part, panel, i, j, rows, left, right, following, along)
                    return

                def beside(j: Size) -> None:
                    assert last is not None
                    self.fetch_following(part, panel, i, j, rows)
                    near = Operand(self.room_of(panel, j), panel.packed, 1)
                    along = self.copying(part, panel, tiles, j, last) if copies else None
                    self.tile(part, panel, i, j, rows, left, near, None, along)

                each(b, j, stop, panel.width, beside)

            def some(start: Size, stop: Size, rows: int = rows, one: Callable[[Size], None] = one) -> None:
                each(b, start, stop, rows, one)

            if self.threads > 1 and self.rows_shared(panel):
                share(b, segment.start, segment.stop, rows, self.cost(part, rows * panel.width), some)
            else:
                some(segment.start, segment.stop)
        if copying is not None and last is not None:
            stop = add(b, j, panel.width) if stop is None else stop
            each(
                b,
                j,
                stop,
                panel.width,
                lambda j: self.copy_rest(self.copying(part, panel, tiles, j, last), tiles),
            )

    # -- the tile ------------------------------------------------------------------------------------------

    def tile(
        self,
        part: Part,
        panel: Panel,
        i: Size,
        j: Size,
        rows: int,
        left: Operand,
        right: Operand,
        following: Following | None = None,
        copying: Copying | None = None,
    ) -> None:
        """Some rows of one panel: all steps of t with the sums in registers."""
        b, kind, k, pieces = self.b, self.kind, part.k, panel.pieces
        # Rows in groups of four: a few pointers move, the distances within a group are shared.
        lefts = [at(b, left.pointer, multiply(b, left.row, r), kind) for r in range(0, rows, 4)]
        within = [multiply(b, left.row, r) for r in range(min(rows, 4))]
        # All sums have the same lanes, though some may not count: one broadcast serves them all.
        lanes = max(piece.lanes for piece in pieces)
        ahead = [multiply(b, right.column, piece.first) for piece in pieces]

        def sums_of(state: list[Value]) -> list[Value]:
            return state[1 + len(lefts) : 1 + len(lefts) + rows * len(pieces)]

        def step(state: list[Value], turn: int | None = None) -> list[Value]:
            pointer, groups, acc = state[0], state[1 : 1 + len(lefts)], sums_of(state)
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
            fetched = state[1 + len(lefts) + rows * len(pieces) :]
            if following is not None and turn is not None:
                b.prefetch(b.element(fetched[0], following.distances[turn], I8), 2)
                if turn + 1 == len(following.distances):
                    fetched = [b.element(fetched[0], following.advance, I8)]
            return [at(b, pointer, right.row, kind), *groups, *acc, *fetched]

        def places() -> list[Place]:
            found = [(piece, add(b, j, piece.first), self.mask(panel, j, piece)) for piece in pieces]
            down = [add(b, i, r) for r in range(rows)]
            return [(ii, jj, piece, mask) for ii in down for piece, jj, mask in found]

        short = isinstance(k, int) and k < LONG
        if part.final is not None:
            for ii, jj, piece, mask in places():  # sums that the next tile goes on with
                b.prefetch(self.waiting(add(b, ii, rows), jj, piece, mask)[0].pointer)
        if self.narrow and left.column == 1 and self.room_a is None and not short:
            for r in range(rows):  # the next tile's rows of A begin where no stream of reads leads
                row = at(b, lefts[r // 4], add(b, within[r % 4], multiply(b, left.row, rows)), kind)
                b.prefetch(row)
                b.prefetch(b.element(row, LINE, I8))
        state = [right.pointer, *lefts, *(widen(b, acc, lanes) for acc in self.begin(part, places()))]
        turns, known = 1, all(isinstance(x, int) for x in (left.row, left.column, right.row))
        if self.narrow and known and rows * len(pieces) >= MOST and not self.few:
            turns = STEPS  # fewer instructions beside the multiply-adds; distances take no registers
        if following is not None and len(following.distances) > turns:
            following = None
        if following is not None:
            state.append(following.start(i))
        if isinstance(k, int) and k <= SHORT:
            for _ in range(k):
                state = step(state)
        else:
            start: Size = 0
            if copying is not None:
                start, state = self.copy_along(copying, i, rows, k, step, state)
            if not short:
                start, state = self.fetch_reads(panel, i, j, rows, (start, k), step, state)
            stop = subtract(b, k, rest(b, subtract(b, k, start), turns)) if turns > 1 else k
            with b.loop(value(b, start), value(b, stop), turns, carry=state) as loop:
                loop.next = reduce(step, range(turns), loop.carried)
            state = loop.results
            if stop != k:
                with b.loop(value(b, stop), value(b, k), 1, carry=state) as loop:
                    loop.next = step(loop.carried)
                state = loop.results
        sums = sums_of(state)

        def either(condition: Value | None, then: Callable[[], None], sums: list[Value], total: bool) -> None:
            """What comes at an end, or the sums into memory."""
            if condition is None:
                then()
                return
            last, more, done = (b.label(name) for name in ("last", "more", "done"))
            b.branch(condition, last, more)
            b.start(last)
            then()
            b.jump(done)
            b.start(more)
            for place, acc in zip(places(), sums, strict=True):
                self.put(place, narrow(b, acc, place[2].lanes), total)
            b.jump(done)
            b.start(done)

        def of_block() -> None:
            total = sums if part.opening is None else self.joined(part, places(), sums)
            either(part.closing, lambda: self.end(panel, i, j, places(), total), total, True)

        either(part.last, of_block, sums, False)

    def end(self, panel: Panel, i: Size, j: Size, places: list[Place], sums: list[Value]) -> None:
        """Hand the finished entries of a tile to the caller."""
        b, kind, pieces = self.b, self.kind, panel.pieces
        if self.stage is None:
            for place, acc in zip(places, sums, strict=True):
                self.finish(*place, narrow(b, acc, place[2].lanes))
            return
        stage, wide = self.own(self.stage, self.staged), sums[0].type
        for index, acc in enumerate(sums):
            b.store(acc, at(b, stage, index * wide.lanes, kind))

        def row(r: Size) -> None:
            line = at(b, stage, multiply(b, r, wide.lanes * len(pieces)), kind)
            for v, piece in enumerate(pieces):
                acc = narrow(b, b.load(at(b, line, v * wide.lanes, kind), wide), piece.lanes)
                jj = add(b, j, piece.first)
                self.finish(add(b, i, r), jj, piece, self.mask(panel, j, piece), acc)

        each(b, 0, len(sums) // len(pieces), 1, row)

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z; with two roundings only where the processor would need a slow call."""
        return self.b.fma(x, y, z) if self.b.target.fma else self.b.fadd(self.b.fmul(x, y), z)


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
    sums: Operand | None = None,
    reads: Sequence[Operand] = (),
    accumulate_into: Operand | None = None,
    along: Axis | None = None,
    dots: bool = False,
    compact: bool = False,
) -> str:
    """Write the code of a product of an (m, k) and a (k, n) matrix; gives what was chosen, in words.

    `element` is "double" or "float"; m, n and k are numbers or i64 values. `store` is called where entries
    of C are finished, with vectors along the axis `along` (by default that in which B or A is contiguous).
    The sums start from the entries of `accumulate_into` if it is given, from zero otherwise.
    `scratch(count)` gives room for `count` elements (a number, whatever comes at run time), best aligned to
    64 bytes; it may be called in a loop. C may overlap neither A nor B.

    A deep product (`Caches.chain`) keeps its sums in memory in between: in that of `sums`, a
    matrix of the shape of C that the epilogue may overwrite at the same entry, or else in scratch memory.
    `reads` are matrices of the shape of C that the epilogue reads in whole vectors: while a tile is
    computed its entries of them are fetched.

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
        return "dot products"
    if along is None:
        along = "m" if b_.column != 1 and a.row == 1 and n != 1 and m != 1 else "n"
    start = accumulate_into
    if along == "m":  # the transposed product
        m, n, a, b_ = n, m, b_.transposed, a.transposed
        start = None if start is None else start.transposed
    product = _Product(b, element, m, n, start, store)
    product.axis, product.compact = along, compact
    if sums is not None:
        lent = sums.transposed if along == "m" else sums
        product.lent = lent if lent.column == 1 else None
    product.reads = [m.transposed for m in reads] if along == "m" else list(reads)
    product.emit(a, b_, k, scratch)
    return product.chosen


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
