"""Outputs of many samples written past the cache.

Outputs with the samples innermost are as many streams of memory as they have entries. Stored vector by
vector, every line is first read from memory, which nobody asked for, and the streams take each other's places
in the cache. Where a call writes more than a cache holds, a few samples at a time are written to a stage in
the first level of the cache; from there the run of each entry goes to memory in whole lines that are not read
before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symprop.emit.builder import I64, Builder, Value, vector
from symprop.schedule.ir import Buffer

__all__ = ["Stage", "stage_for"]

MANY = 12  # entries from which on they are too many streams: two or three at a time do well without a stage
LARGE = 1 << 22  # bytes of outputs from which they are streamed
ROOM = 24 << 10  # bytes of a stage, less than the first level of any cache has
LINE = 64  # bytes
SHORTEST = 4  # lines of a run: shorter ones gain less than the copy costs


class Stage:
    """Room for `samples` samples of the outputs, one entry after the other."""

    def __init__(self, b: Builder, outputs: Sequence[Buffer], element: str, samples: int) -> None:
        self.b, self.samples = b, samples
        self.outputs, self.real = outputs, vector(element)
        self.size = sum(buffer.entries for buffer in outputs) * samples
        self.wide = vector(element, LINE * 8 // self.real.bits)

    def worth(self, pointers: Sequence[Value], samples: Value, stride: Value) -> Value:
        """True where a call writes much, and its outputs lie at whole lines."""
        b = self.b
        entries = self.size // self.samples
        written = b.mul(samples, b.const(entries * self.real.bits // 8, I64))
        low = b.mul(stride, b.const(self.real.bits // 8, I64))
        for pointer in pointers:
            low = b.or_(low, b.convert("ptrtoint", pointer, I64))
        aligned = b.icmp("eq", b.and_(low, b.const(LINE - 1, I64)), b.const(0, I64))
        return b.and_(b.icmp("sge", written, b.const(LARGE, I64)), aligned)

    def run(
        self,
        room: Value,
        targets: Sequence[Value],
        samples: tuple[Value, Value],
        stride: Value,
        body: Callable[[Value, Value, Sequence[Value], Value], None],
    ) -> None:
        """Have `body(start, size, outputs, stride)` write the samples (the first one, their number) to the
        stage in `room`, some at a time, and copy them to `targets`.
        """
        b, (start, size) = self.b, samples
        places, at = [], 0
        for buffer in self.outputs:
            places.append(b.element(room, at, self.real))
            at += buffer.entries * self.samples
        stop = b.add(start, size)
        with b.loop(start, stop, self.samples) as loop:
            rest = b.sub(stop, loop.index)
            some = b.const(self.samples, I64)
            count = b.select(b.icmp("slt", rest, some), rest, some)
            body(loop.index, count, places, some)
            for buffer, place, target in zip(self.outputs, places, targets, strict=True):
                self._copy(place, b.element(target, loop.index, self.real), buffer.entries, count, stride)
        b.settle()

    def _copy(self, source: Value, target: Value, entries: int, count: Value, stride: Value) -> None:
        b = self.b
        with b.loop(b.const(0, I64), b.const(entries, I64)) as loop:
            row = b.element(source, b.mul(loop.index, b.const(self.samples, I64)), self.real)
            there = b.element(target, b.mul(loop.index, stride), self.real)
            with b.loop(b.const(0, I64), count, self.wide.lanes) as inner:
                line = b.load(b.element(row, inner.index, self.real), self.wide)
                b.stream(line, b.element(there, inner.index, self.real))


def stage_for(b: Builder, outputs: Sequence[Buffer], element: str, block: int) -> Stage | None:
    """A stage for the outputs of a program that takes `block` samples at a time, where it can have one."""
    if not outputs or not all(o.batched and o.kind == "real" and o.overwrites is None for o in outputs):
        return None
    entries, size = sum(buffer.entries for buffer in outputs), vector(element).bits // 8
    if entries < MANY:
        return None
    unit = max(block, SHORTEST * LINE // size)
    return Stage(b, outputs, element, max(1, ROOM // (entries * size * unit)) * unit)
