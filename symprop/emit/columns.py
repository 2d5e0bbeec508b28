"""Rows of numbers read as columns: an entry of several samples, which lie apart in memory, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from symprop.emit.builder import Builder, Type, Value, vector
from symprop.emit.pack import load_transposed

__all__ = ["load_columns"]

FEW = 4  # entries of a row up to which whole vectors are taken apart: with more, each lane is loaded


def load_columns(
    b: Builder, pointer: Value, kind: Type, entries: int, wanted: int, lanes: int
) -> dict[int, Value]:
    """Entry `wanted` of each of `lanes` rows of `entries` numbers, and those that come with it, by number.

    `kind` is the type of a number. Nothing outside the rows is read.
    """
    width = min(lanes, b.target.vector_bits // kind.bits)
    starts = range(0, lanes, width)
    if entries >= width:
        first = min(wanted - wanted % width, entries - width)
        blocks = []
        for start in starts:
            rows = [b.element(pointer, (start + k) * entries, kind) for k in range(width)]
            blocks.append(load_transposed(b, kind, rows, first))
        return {first + k: _joined(b, parts) for k, parts in enumerate(zip(*blocks, strict=True))}
    full = vector(kind.element, width)
    if entries <= FEW or entries % 2 == 0:
        blocks = []
        for start in starts:
            places = [start * entries + k * width for k in range(entries)]
            blocks.append(_apart(b, [b.load(b.element(pointer, p, kind), full, True) for p in places]))
        return {k: _joined(b, parts) for k, parts in enumerate(zip(*blocks, strict=True))}
    value = Value("poison", vector(kind.element, lanes))
    for lane in range(lanes):
        entry = b.load(b.element(pointer, lane * entries + wanted, kind), kind, True)
        value = b.insert(value, entry, lane)
    return {wanted: value}


def _apart(b: Builder, row: Sequence[Value]) -> list[Value]:
    """Every n-th number of n vectors in a row: n vectors, from the first number on, from the second ..."""
    count, width = len(row), row[0].type.lanes
    if count == 1:
        return list(row)
    if count % 2 == 0:
        pairs = list(zip(row[::2], row[1::2], strict=True))
        halves = [[b.shuffle(x, y, range(k, 2 * width, 2)) for x, y in pairs] for k in (0, 1)]
        even, odd = (_apart(b, half) for half in halves)
        return [column for both in zip(even, odd, strict=True) for column in both]
    result = []
    for wanted in range(count):
        places = [divmod(lane * count + wanted, width) for lane in range(width)]
        value = row[0]
        for k, piece in enumerate(row[1:], 1):  # lanes of the first vectors move to their place at once
            order = []
            for lane, (number, place) in enumerate(places):
                if number == k:
                    order.append(width + place)
                elif number > k:
                    order.append(-1)
                else:
                    order.append(place if k == 1 else lane)
            value = b.shuffle(value, piece, order)
        result.append(value)
    return result


def _joined(b: Builder, parts: Sequence[Value]) -> Value:
    """The vectors of neighbouring samples as one."""
    items = list(parts)
    while len(items) > 1:
        order = range(2 * items[0].type.lanes)
        items = [b.shuffle(x, y, order) for x, y in zip(items[::2], items[1::2], strict=True)]
    return items[0]
