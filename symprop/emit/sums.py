"""Sums over the samples, kept in lanes: what a block of samples adds, and the sum of the lanes at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symprop.emit.builder import I64, PTR, Builder, Type, Value, vector
from symprop.emit.math.common import mul_add
from symprop.emit.math.doubledouble import two_sum
from symprop.emit.pack import Size, each, multiply
from symprop.emit.table import Lanes

__all__ = ["MANY", "Adding", "Term", "Totals", "across", "zero"]

MANY = 4  # blocks up to which sums are added plainly
FEW = 6  # vectors whose lanes are added one after the other: of more, as many as they have lanes together
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


class Totals:
    """The sums of all blocks: `count` vectors, and behind them what their additions lost.

    Of many blocks (where the condition holds) that is added at the end, so that the error does not grow with
    their number (Neumaier, ZAMM 54, 1974); a few are added plainly, which costs a small batch less.
    """

    def __init__(
        self, b: Builder, lanes: Lanes, room: Callable[[Type, int], Value], count: int, many: Value
    ) -> None:
        self.b, self.count, self.size, self.many, self.kind = b, count, count * lanes.lanes, many, lanes.real
        self.step = lanes.lanes
        self.together = min(lanes.lanes, b.target.lanes(lanes.element))
        self.array = room(lanes.real, max(2 * count, count + self.together))
        if count:
            zero(b, self.array, self.size, self.kind)
            with b.when(many):
                zero(b, b.element(self.array, self.size, self.kind), self.size, self.kind)

    def add(self, part: Value, mask: Value | None = None) -> None:
        """Add the sums of a block; of the lanes where `mask` holds, if it is given."""
        if not self.size:
            return
        b = self.b

        def each(exact: bool) -> None:
            with b.loop(b.const(0, I64), b.const(self.size, I64), self.step) as loop:
                new = b.load(b.element(part, loop.index, self.kind), self.kind)
                if mask is not None:
                    new = b.select(mask, new, b.const(0.0, self.kind))
                place = b.element(self.array, loop.index, self.kind)
                total = b.load(place, self.kind)
                if not exact:
                    b.store(b.fadd(total, new), place)
                    return
                whole, rest = two_sum(b, total, new)
                b.store(whole, place)
                lost = self._behind(loop.index)
                b.store(b.fadd(b.load(lost, self.kind), rest), lost)

        with b.when(self.many):
            each(True)
        with b.when(b.not_(self.many)):
            each(False)

    def correct(self) -> None:
        """Add what was lost; an infinite sum has lost nothing that is a number."""
        if not self.size:
            return
        b = self.b
        with b.when(self.many), b.loop(b.const(0, I64), b.const(self.size, I64), self.step) as loop:
            place = b.element(self.array, loop.index, self.kind)
            total = b.load(place, self.kind)
            whole = b.fadd(total, b.load(self._behind(loop.index), self.kind))
            b.store(b.select(b.fcmp("uno", whole, whole), total, whole), place)

    def numbers(self) -> list[Value]:
        """The sums over the lanes, each in a fixed tree: of several vectors at a time, since a shuffle then
        serves two of them.
        """
        b, count, together = self.b, self.count, self.together
        real = vector(self.kind.element)
        numbers = self._behind(b.const(0, I64))  # what was lost is added by now
        whole = count // together + (count % together >= FEW)

        def group(index: Size) -> None:
            place = b.element(self.array, multiply(b, index, self.step), self.kind)
            rows = [b.load(b.element(place, k * self.step, self.kind), self.kind) for k in range(together)]
            b.store(_side_by_side(b, rows), b.element(numbers, index, real))

        each(b, 0, whole * together, together, group)
        done = min(count, whole * together)
        result = [b.load(b.element(numbers, k, real), real) for k in range(done)]
        for k in range(done, count):
            row = b.load(b.element(self.array, k * self.step, self.kind), self.kind)
            result.append(across(b, row))
        return result

    def _behind(self, index: Value) -> Value:
        return self.b.element(self.array, self.b.add(index, self.b.const(self.size, I64)), self.kind)


def zero(b: Builder, array: Value, size: int, kind: Type) -> None:
    """Fill `size` numbers with zeros."""
    if size:
        b.module.declare("llvm.memset.p0.i64", None, [PTR, vector("i8"), I64, vector("i1")])
        b.emit(
            f"call void @llvm.memset.p0.i64(ptr align 64 {array}, i8 0, i64 {size * kind.bits // 8}, i1 0)"
        )


def across(b: Builder, value: Value) -> Value:
    """The sum of the lanes in a fixed tree: halves are added, then the halves of the result, and so on."""
    while value.type.lanes > 2:
        value = _folded(b, value)
    return b.fadd(b.extract(value, 0), b.extract(value, 1)) if value.type.lanes == 2 else value


def _folded(b: Builder, value: Value) -> Value:
    half = value.type.lanes // 2
    low, high = (b.shuffle(value, None, range(start, start + half)) for start in (0, half))
    return b.fadd(low, high)


def _side_by_side(b: Builder, rows: Sequence[Value]) -> Value:
    """`across` of as many vectors as the vector of their sums has lanes."""
    count = len(rows)
    while rows[0].type.lanes > count:
        rows = [_folded(b, row) for row in rows]
    half = count
    while len(rows) > 1:
        half //= 2
        low, high = (
            [start + k for start in range(first, 2 * count, 2 * half) for k in range(half)]
            for first in (0, half)
        )
        pairs = zip(rows[::2], rows[1::2], strict=True)
        rows = [b.fadd(b.shuffle(x, y, low), b.shuffle(x, y, high)) for x, y in pairs]
    return rows[0]
