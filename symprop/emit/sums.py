"""Sums over the samples, kept in lanes: what a block of samples adds, and the sum of the lanes at the end."""

from __future__ import annotations

from collections.abc import Sequence

from symprop.emit.builder import Builder, Value, vector
from symprop.emit.math.common import mul_add
from symprop.emit.table import Lanes

__all__ = ["Adding", "Term", "across"]

Term = list[Value]  # a value, or two factors


class Adding:
    """Adds terms of a block of samples to sums in memory, `size` lanes each; of the samples where that is
    given only the first `counted` count.
    """

    def __init__(self, b: Builder, lanes: Lanes, size: int, counted: Value | None) -> None:
        self.b, self.kind = b, vector(lanes.element, size)
        self.places = [range(k, k + size) for k in range(0, lanes.lanes, size)]
        self.masks: list[Value] | None = None
        self.pieces: dict[str, list[Value]] = {}
        if counted is not None:
            mask = b.icmp("slt", b.lane_numbers(lanes.integer), b.splat(counted, lanes.lanes))
            self.masks = self._pieces(mask)

    def to(self, place: Value, terms: Sequence[Term]) -> None:
        """Add the terms, one after the other, vector by vector."""
        b = self.b
        total = b.load(place, self.kind)
        for term in terms:
            for k, parts in enumerate(zip(*map(self._pieces, term), strict=True)):
                x, *y = parts
                new = mul_add(b, x, y[0], total) if y else b.fadd(total, x)
                total = new if self.masks is None else b.select(self.masks[k], new, total)
        b.store(total, place)

    def _pieces(self, value: Value) -> list[Value]:
        if len(self.places) == 1:
            return [value]
        if value.name not in self.pieces:
            self.pieces[value.name] = [self.b.shuffle(value, None, place) for place in self.places]
        return self.pieces[value.name]


def across(b: Builder, value: Value) -> Value:
    """The sum of the lanes in a fixed tree."""
    lanes = value.type.lanes
    while lanes > 1:
        lanes //= 2
        if lanes == 1:
            return b.fadd(b.extract(value, 0), b.extract(value, 1))
        low, high = b.shuffle(value, None, range(lanes)), b.shuffle(value, None, range(lanes, 2 * lanes))
        value = b.fadd(low, high)
    return value
