"""The parts that a matrix product is cut into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .builder import Value
from .pack import Operand, Size

__all__ = ["Copying", "Following", "Panel", "Part", "Piece", "Segment"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A vector of columns of a panel: its first column, its lanes, and how many count (None: known later)."""

    first: int
    lanes: int
    count: int | None


@dataclass(frozen=True, slots=True)
class Panel:
    """Columns `start : stop : width` of C that are worked on with the same code."""

    start: Size
    stop: Size
    width: int
    pieces: tuple[Piece, ...]

    @property
    def packed(self) -> int:
        """Columns with padding."""
        return sum(piece.lanes for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows `start : stop : rows` of C: tiles of so many rows."""

    start: Size
    stop: Size
    rows: int


@dataclass(frozen=True, slots=True)
class Part:
    """The factors of a stretch of t, and which part of the whole it is.

    Sums are chains over a block of t, and the sums of blocks are added.
    """

    A: Operand
    B: Operand
    k: Size
    first: Value | None = None  # whether the chains of a block begin here; None: they begin and end here
    last: Value | None = None  # whether they end here
    opening: Value | None = None  # whether this block is the first; None: it is the only one
    closing: Value | None = None  # whether it is the last
    final: Value | None = None  # whether nothing comes behind this part; None: it is the only one


@dataclass(frozen=True, slots=True)
class Following:
    """Memory that is read after the panel at hand, fetched while its tiles are computed.

    Every turn of the loop over t fetches at some distances (in bytes) from a pointer, which moves on by
    `advance` bytes. `start(i)` is where the pointer begins for the tile of row i.
    """

    start: Callable[[Size], Value]
    distances: tuple[int, ...]
    advance: int


@dataclass(frozen=True, slots=True)
class Copying:
    """The panel after the one at hand, copied step by step while the tiles of this one are computed.

    The tile of row i copies the steps `first(i) : first(i + rows)`, and fetches as many after those, if it
    is one of those that do; what is left of all `steps` is copied after them.
    """

    source: Operand
    target: Value
    width: int
    first: Callable[[Size], Value]
    steps: Value
