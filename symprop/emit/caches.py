"""What a core keeps close: the sizes by which matrix products are cut, and when a copy repays itself.

Sizes are assumed by the width of vectors, never measured: code must not differ between machines of one kind.
The costs behind them are told in docs/planner.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

__all__ = ["COLUMNS", "COPIED", "PAGE", "WIDE", "Caches"]

PAGE = 4096  # rows so far apart, or a multiple of it, share a place in the first-level cache
LINES, NEAR = 8, 256  # lines that share such a place; lines that a panel of B may take there in all
COPIED, COLUMNS = 512, 2048  # steps of sums of which columns of A are copied, and the most of these
DEEP = 1024  # the most steps of a sum that are added one after the other
PAGES = 64  # pages whose addresses the first-level table of addresses holds
WAY, WAYS = 64 * 1024, 8  # the second-level cache: so many lines may lie a multiple of WAY bytes apart
WIDE = 3 * 1024 * 1024  # bytes of B from which its panels are copied even where they lie well


@dataclass(frozen=True, slots=True)
class Caches:
    """Sizes in bytes, for cores with vectors of 512 bits, or for others (`narrow`)."""

    narrow: bool

    @property
    def block(self) -> int:
        """Of A, kept in the second level while B passes by: other threads of the core may use the rest."""
        return (192 if self.narrow else 384) << 10

    @property
    def large(self) -> int:
        """Of A, from which on its rows are worked on in blocks of that size."""
        return (256 if self.narrow else 512) << 10

    @property
    def packed(self) -> int:
        """Of copied panels of B at a time, where the rows of A come in blocks."""
        return (2304 if self.narrow else 1024) << 10

    @property
    def near(self) -> int:
        """Of panels of B that are used, and of those that are copied meanwhile: half of the second level."""
        return 576 << 10

    def tall(self, row: int, copied: bool = False) -> int:
        """The most rows at a time, of so many bytes, where any number may come: A stays in the last cache.

        On narrow vectors all of them may be copied at once; on others, if they are `copied`, fewer.
        """
        room, most = (2560 << 10, 1020) if self.narrow else ((1152 << 10 if copied else 12 << 20), 1536)
        return min(most, max(1, room // (12 * row)) * 12)

    def chain(self, size: int, neighbours: bool) -> int:
        """The steps after which a sum is added to that of the steps before, for entries of `size` bytes: the
        error of a deep product does not grow with every step.

        Where entries of a row of A lie apart, every step of a tile takes a line of the first level, or a
        place in memory of our own, if they are copied.
        """
        return DEEP if neighbours else 4096 // size if self.narrow else COPIED

    def far(self, stride: int | None, steps: int, size: int, apart: bool) -> int:
        """How far away B is for some steps whose rows lie `stride` elements apart (None: not known).

        0: its panels stay where they are read well; 1, 2: its lines displace each other, more and more.
        Columns of A (`apart`) take as much of the second level as those of B.
        """
        if self.narrow:
            return 1 if steps >= self.near_rows(stride, size) else 0
        steps = 2 * steps if apart else steps
        room = WAYS * (WAY // gcd(stride * size, WAY)) if stride is not None else steps
        return 0 if steps <= room else 1 if steps <= 4 * room else 2

    def near_rows(self, stride: int | None, size: int) -> int:
        """The rows of B of which a line or two each stay in the first level."""
        if not stride:
            return NEAR
        apart = stride * size
        return max(1, min(LINES * (PAGE // gcd(apart, PAGE)), NEAR, PAGES * PAGE // apart))

    def repaid(self, far: int) -> int:
        """The rows of C that repay a copy of B which is not necessary."""
        if self.narrow:
            return 24
        return 32 if far > 1 else 120
