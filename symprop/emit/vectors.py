"""Vectors whose lanes lie apart in memory, or of which some do not count."""

from __future__ import annotations

from .builder import Builder, Type, Value, vector
from .pack import Size, at, multiply, value

__all__ = ["narrow", "read", "widen", "write"]


def widen(b: Builder, x: Value, lanes: int) -> Value:
    """The same lanes and more of no meaning."""
    have, kind = x.type.lanes, vector(x.type.element, lanes)
    if have == lanes:
        return x
    if have == 1:
        return b.insert(Value("poison", kind), x, 0)
    return b.shuffle(x, None, [*range(have), *[-1] * (lanes - have)])


def narrow(b: Builder, x: Value, lanes: int) -> Value:
    """The first lanes."""
    if x.type.lanes == lanes:
        return x
    return b.extract(x, 0) if lanes == 1 else b.shuffle(x, None, range(lanes))


def read(b: Builder, pointer: Value, wide: Type, step: Size, count: int, mask: Value | None) -> Value:
    """Lanes that lie `step` elements apart."""
    kind = vector(wide.element)
    if wide.lanes == 1:
        return b.load(pointer, wide)
    result = b.const(0.0, wide)
    if step == 1:
        return b.load(pointer, wide) if mask is None else b.masked_load(pointer, wide, mask, result)
    for lane in range(count):
        offset = multiply(b, step, lane)
        if mask is not None and count == wide.lanes:  # lanes that do not count read the first element
            offset = b.select(b.extract(mask, lane), value(b, offset), value(b, 0))
        result = b.insert(result, b.load(at(b, pointer, offset, kind), kind), lane)
    return result


def write(b: Builder, acc: Value, pointer: Value, step: Size, count: int, mask: Value | None) -> None:
    """Store the lanes of `acc` that count, `step` elements apart."""
    lanes = acc.type.lanes
    kind = vector(acc.type.element)
    if lanes == 1 or (step == 1 and mask is None):
        b.store(acc, pointer)
    elif step == 1 and mask is not None and count == lanes:
        b.masked_store(acc, pointer, mask)
    elif step == 1:  # a known number of lanes: halves, quarters ... cost less than a masked store
        first, width = 0, lanes // 2
        while first < count:
            if first + width <= count:
                part = (
                    b.extract(acc, first) if width == 1 else b.shuffle(acc, None, range(first, first + width))
                )
                b.store(part, at(b, pointer, first, kind))
                first += width
            width = max(1, width // 2)
    else:
        for lane in range(count):
            address = at(b, pointer, multiply(b, step, lane), kind)
            if mask is None or count < lanes:
                b.store(b.extract(acc, lane), address)
            else:
                with b.when(b.extract(mask, lane)):
                    b.store(b.extract(acc, lane), address)
