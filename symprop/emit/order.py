"""The order of straight code: long chains first, so that a processor has work while results are on their way.

Functions are written one after the other, each a chain of operations that wait for each other. A processor
looks a few hundred instructions ahead, LLVM's scheduler hardly at all in code of that length; independent
chains far apart would run one after the other. Here every block of pure operations is listed anew: of the
operations whose operands are ready the one with the longest chain behind it, as far as units and registers
allow, and never far ahead of the order in which they were written, which keeps few values alive. With 16
registers, of which each value takes two, their number would leave no chain to choose from: there LLVM decides
what waits in memory. (`gelu(x) sigmoid(1.702 x) + softplus(x)` and its derivative run 15% faster for the
order, on Zen 3 8% faster for not counting its registers.)

With AVX-512 the order is kept: LLVM may mix ten operations at a time only, half as many values again may be
alive as there are registers, and operations overtake three times as many others. A processor that does four
vector operations a cycle would rather store some values than wait (Zen 5: a fifth of the time of that formula
went away, 6% of that of 16 formulas). With 16 registers nothing is won so: values wait in memory anyway.
"""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from symprop.emit.builder import BARRIER, I64, Builder, Target, Type, Value

__all__ = ["chain_alone", "chains_of_samples", "in_turns", "long_chains_first"]

WINDOW = 100  # operations that may overtake the first one that waits
WIDE = 300  # the same with AVX-512, and in the code of a sample alone, a chain with little beside it
STAGE = 100  # operations of a sample alone that LLVM may mix
SHORT_STAGE = 10  # the same of vectors of samples with AVX-512
SHORT = 24  # operations of a block that is left as it is
AT_ONCE = 4  # vector operations of a cycle
LONG = 800  # and of one whose order costs more than it brings
SPARE = 2  # registers for constants
FEW = 16  # registers that are not counted

_NAME = re.compile(r"%[\w.]+")
_VECTOR = re.compile(r"<(\d+) x (double|float|i64|i32|i16|i8)>")
_BITS = {"double": 64, "float": 32, "i64": 64, "i32": 32, "i16": 16, "i8": 8}
_ENDS = ("br ", "ret ", "switch ", "unreachable")

# instruction -> unit, cycles until the result; units do two vectors a cycle
_COSTS = {
    "fmul": ("multiply", 4),
    "fdiv": ("multiply", 16),
    "fadd": ("add", 3),
    "fsub": ("add", 3),
    "load": ("other", 7),
} | dict.fromkeys(("bitcast", "fneg", "getelementptr", "shufflevector", "freeze"), ("", 0))
_CALLS = {"fma": ("multiply", 4), "scalef": ("multiply", 3), "sqrt": ("multiply", 20)}
_OTHER = ("other", 1)


@dataclass(slots=True)
class _Operation:
    """A line, what it defines, the operations that it waits for and that wait for it."""

    text: str
    name: str
    unit: str
    cycles: int
    vectors: int  # how often the unit is used
    waits: set[int] = field(default_factory=set)
    readers: list[int] = field(default_factory=list)
    height: int = 0  # cycles of the longest chain from here to the end


def chain_alone(lines: Sequence[str], target: Target) -> list[str]:
    """The lines of a function for a sample alone, in an order that does the same.

    What nothing waits for, such as the derivatives of the layers, is computed beside the chain of the layers
    that follow; LLVM, which would put it where it is used, mixes a stage of operations only (a network of 46
    parameters takes 6% less time). `Builder.keep_order` must have declared the barrier.
    """
    return _in_stages(long_chains_first(lines, target, window=WIDE), STAGE)


def chains_of_samples(b: Builder, lines: Sequence[str], apart: bool = False) -> list[str]:
    """The lines of code for vectors of samples, every block in an order that does the same.

    `apart` says that no block reads what it has written.
    """
    if b.target.vector_bits < 512:
        return long_chains_first(lines, b.target, apart)
    b.module.declare("llvm.codeview.annotation", None, [Type("metadata")])  # the barrier
    return long_chains_first(lines, b.target, apart, WIDE, SHORT_STAGE)


def in_turns(b: Builder, size: Value, width: int, write: Callable[[Value], None]) -> None:
    """A loop over blocks of `width` samples up to `size`, a multiple of that; `write` writes the code for the
    block that begins at a sample.

    Code that is one chain of operations rather than many leaves the units idle, and fills the queues of those
    that wait: with AVX-512 it takes two blocks a turn, the first of an odd number alone (`mish` and its slope
    take a third less time, `softplus` a quarter, `tanh` a seventh; code of several chains would take more).
    """
    alone = b.add(size, b.const(0, I64))
    place = len(b.lines) - 1
    with b.loop(b.const(0, I64), alone, width) as loop:
        begin = len(b.lines)
        write(loop.index)
        body = [part for line in b.lines[begin:] for part in line.split("\n")]
    if b.target.vector_bits == 512 and _waits(body, b.target):
        b.lines[place] = f"{alone} = and i64 {size}, {width}"
        with b.loop(alone, size, 2 * width) as loop:
            write(loop.index)
            write(b.add(loop.index, b.const(width, I64)))


def _waits(lines: list[str], target: Target) -> bool:
    """True for code without branches, half of whose operations fit into the time that its longest chain
    takes."""
    if len(lines) > LONG // 2 or any(line.endswith(":") for line in lines):
        return False
    operations = _operations(lines, target, apart=True)
    work = sum(o.vectors for o in operations if o.unit)
    return max((o.height for o in operations), default=0) * AT_ONCE > 2 * work


def _in_stages(lines: Sequence[str], stage: int) -> list[str]:
    """The lines with a barrier behind every so many operations."""
    result: list[str] = []
    count = 0
    for text in lines:
        result.append(text)
        _, equals, right = text.partition(" = ")
        count += bool(equals) and not right.startswith(("getelementptr", "bitcast", "phi"))
        if equals and count == stage:
            result.append(BARRIER)
            count = 0
    return result


def long_chains_first(
    lines: Sequence[str], target: Target, apart: bool = False, window: int = WINDOW, stage: int = 0
) -> list[str]:
    """The lines of a function, every block in an order that does the same, kept by barriers behind every
    `stage` operations. `apart` says that no block reads what it has written.
    """
    result: list[str] = []
    block: list[str] = []
    for text in [part for line in lines for part in line.split("\n")]:
        fixed = text.endswith(":") or text.startswith(_ENDS) or " = phi " in text
        if not fixed:
            block.append(text)
            continue
        result += _listed(block, target, apart, window, stage)
        block = []
        result.append(text)
    return result + _listed(block, target, apart, window, stage)


def _listed(lines: list[str], target: Target, apart: bool, window: int, stage: int) -> list[str]:
    if not SHORT <= len(lines) <= LONG:
        return lines
    operations = _operations(lines, target, apart)
    order = [operations[k].text for k in _order(operations, target, window, bool(stage))]
    return _in_stages(order, stage) if stage else order


def _operations(lines: Sequence[str], target: Target, apart: bool) -> list[_Operation]:
    found: list[_Operation] = []
    made: dict[str, int] = {}
    stored = -1  # the last access that may write
    loaded: list[int] = []  # what reads since then
    for k, text in enumerate(lines):
        name, equals, right = text.partition(" = ")
        right = right if equals else text
        verb = right.partition(" ")[0]
        lanes = [int(n) * _BITS[kind] for n, kind in _VECTOR.findall(right)]
        vectors = max([1, *(-(-bits // target.vector_bits) for bits in lanes)])
        unit, cycles = _COSTS.get(verb, _OTHER)
        reads = verb == "load" and "!invariant" not in right
        writes = verb == "store"
        if verb == "call":
            called = right.partition("@llvm.")[2].partition("(")[0]
            unit, cycles = next((c for part, c in _CALLS.items() if part in called.split(".")), _OTHER)
            reads = "gather" in called or "masked.load" in called
            writes = not equals or not called
        operation = _Operation(text, name if equals else "", unit, cycles, vectors)
        operation.waits = {made[n] for n in _NAME.findall(right) if n in made}
        if writes or (reads and not apart):
            if stored >= 0:
                operation.waits.add(stored)
            if writes:
                operation.waits.update(loaded)
                stored, loaded = k, []
            else:
                loaded.append(k)
        if equals:
            made[name] = k
        for other in operation.waits:
            found[other].readers.append(k)
        found.append(operation)
    for operation in reversed(found):
        operation.height = operation.cycles + max((found[r].height for r in operation.readers), default=0)
    return found


def _order(found: Sequence[_Operation], target: Target, window: int, kept: bool) -> list[int]:
    """A list schedule: the time goes on when nothing that is ready fits. Where it is `kept`, some values may
    wait in memory."""
    count = len(found)
    room = target.registers - SPARE if target.registers > FEW else count
    if kept:
        room = target.registers * 3 // 2
    left = [len(o.waits) for o in found]
    uses = [len(o.readers) for o in found]
    takes = [o.vectors if o.name and o.readers else 0 for o in found]
    gives = [o.vectors if o.name else 0 for o in found]
    begins = [0] * count
    ready: list[tuple[int, int]] = []  # (-height, number), the longest chain first
    coming: dict[int, list[int]] = {0: [k for k in range(count) if not left[k]]}
    done = [False] * count
    free = dict.fromkeys(("multiply", "add", "other", ""), 0)
    order: list[int] = []
    first = alive = now = 0

    def growth(k: int) -> int:
        """Registers that an operation takes, less those that it gives back."""
        return takes[k] - sum(gives[w] for w in found[k].waits if uses[w] == 1)

    def chosen() -> tuple[int, int] | None:
        for item in ready:
            k = item[1]
            fits = k < first + window and free[found[k].unit] > 0
            if fits and (alive < room or k == first or growth(k) <= 0):
                return item
        return None

    while len(order) < count:
        for unit in free:
            free[unit] = min(free[unit], 0) + 2
        free[""] = count
        for k in coming.pop(now, ()):
            insort(ready, (-found[k].height, k))
        while (item := chosen()) is not None:
            ready.remove(item)
            k = item[1]
            one = found[k]
            alive += growth(k)
            order.append(k)
            done[k] = True
            while first < count and done[first]:
                first += 1
            free[one.unit] -= one.vectors
            for w in one.waits:
                uses[w] -= 1
            for r in one.readers:
                left[r] -= 1
                begins[r] = max(begins[r], now + one.cycles)
                if left[r]:
                    continue
                if begins[r] <= now:
                    insort(ready, (-found[r].height, r))
                else:
                    coming.setdefault(begins[r], []).append(r)
        now += 1
    return order
