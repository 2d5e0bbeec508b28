"""Products of a matrix and a vector that are both contiguous along the sum, as dot products of vectors."""

from __future__ import annotations

from collections.abc import Callable

from .builder import Builder, Value, vector
from .pack import Operand, Size, add, at, each, first_lanes, least, multiply, rest, subtract, value

__all__ = ["emit_dots"]

CHAINS = 4  # vectors of partial sums of one dot product
BLOCK = 512  # turns of the loop over these, after which they are added to those before
ROWS = 3  # dot products at once


def emit_dots(
    b: Builder, element: str, m: Size, k: Size, a: Operand, x: Value, put: Callable[[Size, Value], None]
) -> None:
    """Call `put(i, sum over t of a[i, t] x[t])` for the m rows of `a`, whose columns are contiguous.

    Every sum has the same order, which depends on k and the target only: four vectors of partial sums as long
    as whole vectors remain for all of them (in blocks, whose sums are added), then the rest into the first,
    then a tree of additions.
    """
    kind, lanes = vector(element), b.target.lanes(element)
    wide = vector(element, lanes)
    masks = b.target.vector_bits > 128
    chains = CHAINS if not isinstance(k, int) or k >= CHAINS * lanes else 1
    turns_stop = subtract(b, k, rest(b, k, chains * lanes))
    whole_stop = subtract(b, k, rest(b, k, lanes))

    def fma(p: Value, q: Value, s: Value) -> Value:
        return b.fma(p, q, s) if b.target.fma else b.fadd(b.fmul(p, q), s)

    def some(i: Size, rows: int) -> None:
        starts = [at(b, a.pointer, multiply(b, add(b, i, r), a.row), kind) for r in range(rows)]

        def step(t: Size, used: int, acc: list[Value]) -> list[Value]:
            result = list(acc)
            for c in range(used):
                there = add(b, t, c * lanes)
                factor = b.load(at(b, x, there, kind), wide)
                for r, start in enumerate(starts):
                    result[r * used + c] = fma(
                        b.load(at(b, start, there, kind), wide), factor, acc[r * used + c]
                    )
            return result

        zeros, reach = [b.const(0.0, wide)] * (rows * chains), BLOCK * chains * lanes

        def turns(start: Size, stop: Size) -> list[Value]:
            with b.loop(value(b, start), value(b, stop), chains * lanes, carry=zeros) as loop:
                loop.next = step(loop.index, chains, loop.carried)
            return loop.results

        if isinstance(turns_stop, int) and turns_stop <= reach:
            all_sums = turns(0, turns_stop)
        else:
            with b.loop(value(b, 0), value(b, turns_stop), reach, carry=zeros) as loop:
                here = turns(loop.index, least(b, turns_stop, add(b, loop.index, reach)))
                loop.next = [b.fadd(p, q) for p, q in zip(loop.carried, here, strict=True)]
            all_sums = loop.results
        firsts = all_sums[::chains]
        if chains > 1:
            with b.loop(value(b, turns_stop), value(b, whole_stop), lanes, carry=firsts) as loop:
                loop.next = step(loop.index, 1, loop.carried)
            firsts = loop.results
        if masks and not (isinstance(k, int) and k % lanes == 0):
            left = subtract(b, k, whole_stop)
            mask = first_lanes(b, left, wide)
            zero = b.const(0.0, wide)
            factor = b.masked_load(at(b, x, whole_stop, kind), wide, mask, zero)
            entries = [b.masked_load(at(b, p, whole_stop, kind), wide, mask, zero) for p in starts]
            firsts = [fma(entry, factor, s) for entry, s in zip(entries, firsts, strict=True)]
        totals = []
        for r in range(rows):
            sums = [firsts[r], *all_sums[r * chains + 1 : (r + 1) * chains]]
            while len(sums) > 1:
                sums = [b.fadd(p, q) for p, q in zip(sums[::2], sums[1::2], strict=True)]
            total, half = sums[0], lanes // 2
            while half > 1:
                low, high = (b.shuffle(total, None, range(f, f + half)) for f in (0, half))
                total, half = b.fadd(low, high), half // 2
            totals.append(b.fadd(b.extract(total, 0), b.extract(total, 1)))
        if not masks:
            with b.loop(value(b, whole_stop), value(b, k), 1, carry=totals) as loop:
                factor = b.load(at(b, x, loop.index, kind), kind)
                entries = [b.load(at(b, p, loop.index, kind), kind) for p in starts]
                loop.next = [fma(entry, factor, s) for entry, s in zip(entries, loop.carried, strict=True)]
            totals = loop.results
        for r, total in enumerate(totals):
            put(add(b, i, r), total)

    split = subtract(b, m, rest(b, m, ROWS))
    each(b, 0, split, ROWS, lambda i: some(i, ROWS))
    each(b, split, m, 1, lambda i: some(i, 1))
