"""Loops whose turns are shared among the threads of a call.

The body of such a loop becomes a function of its own, over a part of the turns; what it uses of the code
around it travels in a frame. The pool (`symprop/emit/pool.py`) calls it for one block of turns after another,
in any thread, or once for all of them where the work is not worth more threads. Blocks depend on sizes alone,
and every turn gives the same bits in whatever block it is: the number of threads never shows in a result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from symprop.emit.builder import I64, PTR, Builder, Value, vector
from symprop.emit.math import CALLS
from symprop.emit.pack import Size, least, multiply, value
from symprop.emit.pool import PARALLEL
from symprop.schedule.ir import Step

__all__ = ["own_room", "product_cost", "share", "steps_cost"]

# Handing a job to a thread that looks for work, and its end, take 0.4 microseconds, waking one that sleeps 5
# (measured on two cores of an EPYC at 2.6 GHz): 1,000 and 13,000 cycles. So work is shared from WORTH
# estimated cycles on, with threads that are awake from SHORT on, in blocks of BLOCK, or FEW blocks where that
# is less: large beside the counters by which threads take blocks, small beside a job, so that no thread
# waits long for the last one.
WORTH = 60_000
SHORT = 8_000
BLOCK = 15_000
FEW = 8

_NAME = re.compile(r"%[\w.]+")
_DEFINED = re.compile(r"(%[\w.]+) = ")


def steps_cost(steps: Iterable[Step]) -> int:
    """An estimate of the cycles that some steps take for one vector."""
    return sum(_COSTS.get(s.op, 15 if s.op in CALLS else 1) for s in steps)


_COSTS = {"constant": 0, "position": 0, "reduced": 0, "batch_size": 0, "sqrt": 8, "div": 5}


def product_cost(b: Builder, element: str, work: Size) -> Size:
    """An estimate of the cycles of a matrix product that has so many multiplications: two vectors a cycle."""
    once = 2 * b.target.lanes(element)
    if isinstance(work, int):
        return -(-work // once)
    return b.assign(I64, f"udiv i64 {work}, {once}")


def share(
    b: Builder, start: Size, stop: Size, unit: int, cost: Size, body: Callable[[Size, Size], None]
) -> None:
    """Have `body(first, last)` work on all of `range(start, stop)`, in one call or in blocks by threads.

    Blocks begin a multiple of `unit` behind `start`; `cost` estimates the cycles of one unit. `body` writes
    code that reads values defined before, and defines none that is used later; where it uses scratch memory,
    each thread has its own (`own_room`). Within a body nothing is shared again.
    """
    if b.module.threads == 1 or b.thread is not None:
        body(start, stop)
        return
    if isinstance(start, int) and isinstance(stop, int):
        turns = stop - start
        if turns <= unit or (isinstance(cost, int) and turns * cost < SHORT * unit):
            body(start, stop)
            return
    _Region(b, body).write(start, stop, unit, cost)


def own_room(b: Builder, room: Value, size: int, kind: str) -> Value:
    """The part of some memory that belongs to the current thread: `size` elements for each, reserved
    outside.
    """
    if b.thread is None:
        return room
    return b.element(room, multiply(b, b.thread, size), vector(kind))


class _Region:
    """A body written as a function, in the place of code of the builder."""

    def __init__(self, b: Builder, body: Callable[[Size, Size], None]) -> None:
        self.b = b
        outside = b.lines, b.entry_lines, b.block
        b.lines, b.entry_lines, b.block = [], [], "entry"
        begin = b.label("begin")  # a block of a name of its own: what is kept by block stays in its function
        b.jump(begin)
        b.start(begin)
        self.first, self.last, self.thread = (b.fresh(I64) for _ in range(3))
        b.thread = self.thread
        body(self.first, self.last)
        b.thread = None
        b.emit("ret void")
        self.lines, self.entry = b.lines, b.entry_lines
        b.lines, b.entry_lines, b.block = outside

    def write(self, start: Size, stop: Size, unit: int, cost: Size) -> None:
        """The function, and its call."""
        b, module = self.b, self.b.module
        name = f"symprop.shared.{len(module.functions)}"
        arguments = f"i64 {self.first}, i64 {self.last}, i64 {self.thread}"
        free = self._free()
        frame = b.alloca(I64, max(1, sum(_words(v) for v in free)))
        place, prologue = 0, []
        for captured in free:
            b.store(captured, b.element(frame, place, I64))
            slot, kind = f"{captured}.slot", captured.type
            prologue += [
                f"{slot} = getelementptr i64, ptr %frame, i64 {place}",
                f"{captured} = load {kind}, ptr {slot}, align 8, !invariant.load !0",
            ]
            place += _words(captured)
        inner = Builder(module)
        inner.entry_lines, inner.lines = [*prologue, *self.entry], self.lines
        head = f"internal void @{name}(ptr noalias %frame, {arguments})"
        module.functions[name] = inner.define(head, "noinline nounwind")
        module.declare(PARALLEL, None, [PTR, PTR, I64, I64, I64, I64])
        step, team = self._plan(value(b, start), value(b, stop), unit, cost)
        values = [Value(f"@{name}", PTR), frame, value(b, start), value(b, stop), step, team]
        b.emit(f"call void @{PARALLEL}({', '.join(f'{v.type} {v}' for v in values)})")

    def _plan(self, start: Value, stop: Value, unit: int, cost: Size) -> tuple[Value, Value]:
        """The turns of a block, and the threads."""
        b = self.b
        one, team = b.const(1, I64), b.const(b.module.threads, I64)
        work = b.assign(I64, f"sdiv i64 {b.mul(b.sub(stop, start), value(b, cost))}, {unit}")
        awake = b.select(b.icmp("sge", work, b.const(SHORT, I64)), b.sub(b.const(0, I64), team), one)
        team = b.select(b.icmp("sge", work, b.const(WORTH, I64)), team, awake)
        block = least(b, b.assign(I64, f"sdiv i64 {work}, {FEW}"), BLOCK)
        units = b.add(b.assign(I64, f"sdiv i64 {value(b, block)}, {b.add(value(b, cost), one)}"), one)
        return b.mul(units, b.const(unit, I64)), team

    def _free(self) -> Sequence[Value]:
        """The values that the body reads and does not define."""
        lines = [line for text in (*self.entry, *self.lines) for line in text.split("\n")]
        inside = {self.first.name, self.last.name, self.thread.name, "%entry"}
        inside |= {match.group(1) for line in lines if (match := _DEFINED.match(line.strip()))}
        inside |= {f"%{line[:-1]}" for line in lines if line.endswith(":")}
        used = dict.fromkeys(name for line in lines for name in _NAME.findall(line))
        return [Value(name, self.b.types.get(name, PTR)) for name in used if name not in inside]


def _words(captured: Value) -> int:
    kind = captured.type
    return max(1, -(-max(8, kind.bits) * kind.lanes // 64))
