"""How a matrix product is tiled: which rows and columns at a time, what is copied first, in which order.

The costs behind the choices are told in docs/planner.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from .builder import I64, Builder, Type, Value, vector
from .caches import COLUMNS, PAGE, WIDE, Caches
from .pack import Operand, Size, rest, subtract, value
from .tiles import Panel, Piece, Segment

__all__ = ["Axis", "Scratch", "Tiling", "at_least"]

Axis = Literal["n", "m"]
Scratch = Callable[[int], Value]

APART = 32 * 1024  # bytes of A whose entries lie apart, from which tiles are copied on narrow vectors
FLAT = 128  # steps up to which writing C takes about as long as computing it, where it is not in a near cache
# The most rows of a tile of 1, 2 ... 8 vectors, by the number of vector registers: sums that hide latency,
# and room for a row of B and an entry of A that the register allocator really finds.
TALLEST = {16: (0, 12, 6, 3, 2, 1, 1, 1, 1), 32: (0, 12, 12, 8, 6, 4, 3, 2, 2)}
# Processors whose first-level cache holds twelve lines that lie a page apart, the others eight.
ROOMY = ("znver5", "icelake", "tigerlake", "rocketlake", "sapphire", "emerald", "granite", "alderlake")
REUSED = 48  # vectors of columns that repay a copy of columns of A
ABREAST = 2  # panels that a tile of A passes by before the next one, where A comes from far away
SCANNED = 512 * 1024  # bytes of B from which few rows of C take it some steps at a time
SHORT = 8  # products of at most so many steps are written without a loop over them
FEW = 8  # panels from which threads share these; of fewer they share the rows


class Tiling:
    """The plan of a product of an (m, k) and a (k, n) matrix whose vectors go along n."""

    def __init__(self, b: Builder, element: str, m: Size, n: Size) -> None:
        self.b, self.m, self.n = b, m, n
        self.axis: Axis = "n"  # the axis of the caller that is our n
        self.most = [x if isinstance(x, int) else None for x in (m, n)]  # bounds of m and n, if there are any
        self.few = False  # there are fewer rows than repay a copy that is not necessary
        self.steps = 0  # of which sums are interrupted, where that is not left to the depth
        self.repaid = 0  # the rows that do
        self.compact = False  # the epilogue is written once for all rows of a tile
        self.stage: Value | None = None
        self.chosen = ""  # tiles, copies and blocks, in words
        self.kind: Type = vector(element)
        self.wide: Type = vector(element, b.target.lanes(element))
        self.lanes = self.wide.lanes
        self.size = self.kind.bits // 8
        self.threads = b.module.threads if b.thread is None else 1  # that share this product
        self.narrow = b.target.vector_bits < 512
        self.caches = Caches(self.narrow)
        self.masks = b.target.vector_bits > 128  # narrow vectors have no masked loads: their tails are scalar
        self.tallest = TALLEST[32 if b.target.registers >= 32 else 16]

    def plan(self, A: Operand, B: Operand, k: int, scratch: Scratch) -> None:
        """Choose panels, tiles, packing and the order of the loops; reserve memory for at most k steps."""
        n, size, (rows, columns) = self.n, self.size, self.most
        self.turned = B.column != 1  # its panels must be copied, and should not be large
        must = self.turned and (not isinstance(n, int) or n >= (2 if self.masks else self.lanes))
        pays = self.pays(A, B, k)
        self.pack_b = must or (pays and not self.few)
        # Tiles of A are copied where their rows collide in the first-level cache, and where entries lie apart
        # of which short tiles use only a few in every line.
        collide = self.collides(A, k)
        apart = A.column != 1 and self.narrow and at_least(APART, rows, k, size)
        reused = at_least(4 * self.lanes + 1 if apart else 16 * self.lanes, columns) and at_least(5, rows)
        self.pack_a = reused and (collide or apart) and rows is not None and not (self.narrow and self.few)
        self.columns_of_a = self.by_columns(A)
        self.pack_a = self.pack_a or self.columns_of_a
        self.between = 2 if self.columns_of_a else 0
        # Short sums are mostly stores: these go through C by rows.
        self.row_by_row = not self.pack_a and k <= FLAT and at_least(PAGE, columns, size)
        large = rows is not None and rows * k * size >= self.caches.large and isinstance(self.m, int)
        if self.columns_of_a or (not self.narrow and A.column == 1):
            large = large and rows is not None and rows > self.caches.tall(k * size)
        large = large and not self.row_by_row
        self.blocked = columns is not None and (large or (self.row_by_row and self.pack_b))
        self.block = max(1, self.caches.block // (k * size * 12)) * 12 if large else rows or 0
        self.panels = self.known_panels(n) if isinstance(n, int) else self.runtime_panels(n)
        self.row_by_row = self.row_by_row and (self.blocked or not self.pack_b)
        # Tiles of packed rows, or rows in an outer loop, are the same for all panels.
        self.shared = self.pack_a or self.blocked or self.row_by_row
        most = [self.rows(self.vectors(None) if self.shared else len(p.pieces)) for p in self.panels]
        segments = {rows: self.segments(rows) for rows in dict.fromkeys(most)}
        self.tiles = [segments[rows] for rows in most]
        if self.compact:
            tallest = max(r * len(p.pieces) for r, p in zip(most, self.panels, strict=True))
            self.staged = tallest * self.lanes
            self.stage = scratch(self.staged * self.threads)
        self.room_a = self.room_b = None
        self.ahead, self.abreast = False, 1
        if self.pack_a:
            self.room_a = scratch((k + self.between) * self.block)
        if self.pack_b:
            widest = max(p.packed for p in self.panels)
            self.packed = (k + 1) * widest
            if self.blocked and columns is not None:
                self.packed = max(
                    self.packed, min(self.caches.packed // size, (k + 1) * (columns + self.lanes))
                )
            # While the tiles of one panel compute, the next one is copied to the other half.
            self.ahead = not (self.turned or self.narrow or self.blocked or k <= SHORT)
            if self.ahead:
                self.abreast = self.side_by_side(k, (k + 1) * widest * size)
                self.packed *= 2 * self.abreast
            self.room_b = scratch(self.packed * (1 if self.blocked else self.threads))
        self.chosen = self.words()
        wide = 0
        for p in self.panels:
            known = isinstance(p.start, int) and isinstance(p.stop, int)
            wide += -(-(p.stop - p.start) // p.width) if known else FEW  # type: ignore[operator]
        self.by_rows = wide < min(FEW, 2 * self.threads)

    def collides(self, A: Operand, k: int) -> bool:
        """Whether the rows of a tile of A have the same places in the first-level cache, and not enough."""
        apart = isinstance(A.row, int) and A.row * self.size % PAGE == 0 and at_least(PAGE, k, self.size)
        return apart and not self.b.target.cpu.startswith(ROOMY)

    def by_columns(self, A: Operand) -> bool:
        """Whether columns of A are copied: so many panels pass by that it pays."""
        rows, columns = self.most
        if self.narrow or A.row != 1 or A.column == 1 or rows is None or not at_least(5, rows):
            return False
        return at_least(REUSED * self.lanes, columns) and rows <= COLUMNS

    def side_by_side(self, k: int, panel: int) -> int:
        """Panels, of so many bytes, that each tile of A passes by before the next one does."""
        far = at_least(self.caches.large, self.most[0], k, self.size)
        return ABREAST if far and 2 * ABREAST * panel <= self.caches.near else 1

    def shallow(self, B: Operand, k: int) -> int:
        """The steps of which sums of a tile of rows or less are interrupted (0: they are not).

        So few rows are reading B: a few rows of it at a time, whose lines stay where they are read.
        """
        if not isinstance(B.row, int) or self.most[1] is None:
            return 0
        steps = self.caches.near_rows(B.row, self.size) // SHORT * SHORT
        return steps if k > steps and at_least(SCANNED, k, self.most[1], self.size) else 0

    def pays(self, A: Operand, B: Operand, k: int) -> bool:
        """Whether copying panels of B pays, for as many rows as there may be; sets how many repay it."""
        rows, columns = self.most
        apart = A.column != 1  # columns of A take as much of the caches as those of B
        far = self.caches.far(B.row if isinstance(B.row, int) else None, k, self.size, apart)
        self.repaid = self.caches.repaid(far)
        if self.narrow and not at_least(2 * self.lanes + 1, columns):
            return False  # a panel as it is
        wide = at_least(WIDE, columns, 2 * k if apart else k, self.size)
        return at_least(self.repaid, rows) and (far > 0 or wide)

    def words(self) -> str:
        """What was chosen."""
        most = max((len(p.pieces) for p in self.panels), default=0)
        rows = max((t.rows for tiles in self.tiles for t in tiles), default=0)
        along = "columns" if self.axis == "n" else "rows"
        result = f"tiles of {rows} rows by {most} vectors along the {along}"
        result += f", blocks of {self.block} rows" if self.blocked and self.block else ""
        copies = [name for name, used in (("tiles", self.pack_a), ("panels", self.pack_b)) if used]
        return f"{result}, {' and '.join(copies)} copied" if copies else result

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
        few = 4 if most > 6 else (most + 1) // 2
        result: list[Segment] = []
        start: Size = 0
        for rows in dict.fromkeys((few,) if self.steps else (most, few)):  # fewer than a whole tile then
            stop = subtract(b, m, rest(b, subtract(b, m, start), rows))
            result.append(Segment(start, stop, rows))
            start = stop
        left = value(b, subtract(b, m, start))
        for rows in range(1, few):  # one tile for what is left: single rows would take as long as `few`
            same = b.icmp("eq", left, b.const(rows, I64))
            result.append(Segment(start, b.select(same, value(b, m), value(b, start)), rows))
        return result


def at_least(amount: int, *factors: int | None) -> bool:
    """Whether a product of sizes is so large, or may be."""
    total = 1
    for factor in factors:
        if factor is None:
            return True
        total *= factor
    return total >= amount
