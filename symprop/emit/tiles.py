"""The parts that a matrix product is cut into."""

from __future__ import annotations

from dataclasses import dataclass

from .pack import Size

__all__ = ["Panel", "Piece", "Segment"]


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
