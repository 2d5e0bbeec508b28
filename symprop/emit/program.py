"""A whole program as LLVM IR: the entry function, the checks of indices, then the nests in their mode."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from symprop.emit.builder import I8, I32, I64, PTR, Builder, Module, Target, Value, vector
from symprop.emit.interpreted import TapeEmitter, tape_block
from symprop.emit.linear import emit_kernel
from symprop.emit.loops import LoopEmitter
from symprop.emit.math import CALLS
from symprop.emit.pool import MOST_THREADS
from symprop.emit.table import address_of
from symprop.emit.unrolled import SHARED_FROM, UnrolledEmitter
from symprop.schedule.ir import Buffer, Check, Kernel, Nest, Schedule
from symprop.schedule.memory import ALIGN, share_memory

__all__ = ["ENTRY", "SHARED_FROM", "Memory", "emit", "samples_at_a_time"]

ENTRY = "symprop.entry"
INLINE_LIMIT = 24  # uses of an elementary function up to which each is written out; more call one copy
WHOLE = 48  # nests up to which they are one function
PART = 1000  # lines of a function of nests, where there are more


@dataclass(frozen=True)
class Memory:
    """The workspace of a call, in bytes: a fixed part, a part for every sample, and a part that only calls
    with more than `SHARED_FROM` samples need, which threads share.
    """

    fixed: int
    per_sample: int
    shared: int = 0

    def size(self, samples: int) -> int:
        """Bytes for a call with that many samples."""
        shared = self.shared if samples > SHARED_FROM else 0
        return self.fixed + self.per_sample * _rounded(samples) + shared


def emit(
    schedule: Schedule, element: str, target: Target, accuracy: str = "precise", threads: int = 1
) -> tuple[str, Memory]:
    """The text of the module, whose entry is

    `i32 entry(ptr block)`

    reads everything from one block of 64-bit words: the addresses of the inputs, of the outputs, of the
    workspace, the number of samples, and the distance between two entries of an output whose samples lie
    innermost. It returns 0, or the number (from 1) of the check of an index that failed, and then has written
    nothing, or behind these numbers that of the solve whose matrix is singular (`Schedule.solves`). With the
    accuracy "fast" elementary functions are those of `emit.math.FAST`.
    """
    module = Module(target, accuracy == "fast")
    module.threads = max(1, min(threads, MOST_THREADS))
    b = Builder(module)
    inputs, rest = Value("%block", PTR), len(schedule.inputs) + len(schedule.outputs)
    outputs = b.element(inputs, len(schedule.inputs), I64)
    workspace = address_of(b, inputs, rest)
    samples, stride = (b.load(b.element(inputs, rest + k, I64), I64, invariant=True) for k in (1, 2))
    outlined = _outlined(schedule)
    for number, check in enumerate(schedule.checks, 1):
        _check(b, check, number, schedule, inputs, samples, element)
    memory = Memory(0, 0)
    if schedule.mode == "unrolled":
        unrolled = UnrolledEmitter(b, schedule, element, workspace, outlined)
        unrolled.run(inputs, outputs, samples, stride)
        memory = Memory(unrolled.scratch, 0, unrolled.shared_scratch)
    elif schedule.mode == "tape":
        tape = TapeEmitter(b, schedule, element)
        tape.run(inputs, workspace, samples)
        memory = Memory(tape.scratch, 0)
    else:
        pointers = _pointers(b, schedule, inputs, outputs)
        base = b.element(workspace, 0, I8)  # behind the scratch memory, whose size is known at the end
        line = len(b.lines) - 1
        memory = _workspace(b, schedule, base, samples, element, pointers)
        emitter = LoopEmitter(b, element, pointers, samples, workspace, outlined)
        status = len(schedule.checks)
        products = sum(nest.product for nest in schedule.nests)
        parts = _Parts(emitter, pointers, len(schedule.nests) > WHOLE or products > 1)
        for nest in schedule.nests:
            if isinstance(nest, Kernel):
                parts.end()
                status += nest.node is not None
                emit_kernel(emitter, nest, status)
            else:
                parts.nest(nest)
        parts.end()
        scratch = _rounded(emitter.scratch_size)
        b.lines[line] = f"{base} = getelementptr i8, ptr {workspace}, i64 {scratch}"
        memory = Memory(memory.fixed + scratch, memory.per_sample)
    b.emit("ret i32 0")
    schedule.kernels = module.notes
    module.functions[ENTRY] = b.define(f"i32 @{ENTRY}(ptr noalias %block)")
    return module.text(), memory


def samples_at_a_time(schedule: Schedule, target: Target, element: str) -> int:
    """Samples of a block, to whose multiples outputs with the samples innermost are padded."""
    return tape_block(target, element) if schedule.mode == "tape" else target.block(element)


class _Parts:
    """Writes nests into functions of their own, several in each, where a program has very many: the work of
    LLVM on one function grows faster than its length.
    """

    def __init__(self, main: LoopEmitter, pointers: dict[Buffer, Value], apart: bool) -> None:
        self.main = main
        self.apart = apart
        self.part: LoopEmitter | None = None
        if apart:  # every part finds the addresses of the buffers in a table
            self.places = {buffer: k for k, buffer in enumerate(pointers)}
            self.table = main.b.alloca(PTR, max(1, len(pointers)))
            for k, pointer in enumerate(pointers.values()):
                main.b.store(pointer, main.b.element(self.table, k, I64))

    def nest(self, nest: Nest) -> None:
        """Write a nest."""
        if not self.apart:
            self.main.nest(nest)
            return
        if self.part is None:
            main = self.main
            samples, workspace = Value("%samples", I64), Value("%workspace", PTR)
            b = Builder(main.b.module)
            b.types |= {v.name: v.type for v in (samples, workspace)}
            self.part = LoopEmitter(b, main.element, {}, samples, workspace, main.outlined)
        part = self.part
        for step in [*nest.inner, *nest.body]:
            if step.buffer is not None and step.buffer not in part.pointers:
                value, slot = part.b.fresh(PTR), part.b.fresh(PTR)
                place = self.places[step.buffer]
                part.b.entry_lines += [
                    f"{slot} = getelementptr i64, ptr %table, i64 {place}",
                    f"{value} = load ptr, ptr {slot}, align 8, !invariant.load !0",
                ]
                part.pointers[step.buffer] = value
        part.nest(nest)
        if nest.product or len(part.b.lines) > PART:
            self.end()  # a product alone: the constants of other nests take none of its registers

    def end(self) -> None:
        """Close the part at hand and call it."""
        part, main = self.part, self.main
        if part is None:
            return
        self.part = None
        main.scratch_size = max(main.scratch_size, part.scratch_size)
        functions = main.b.module.functions
        name = f"symprop.nests.{len(functions)}"
        part.b.emit("ret void")
        head = f"internal void @{name}(ptr noalias %table, ptr %workspace, i64 %samples)"
        functions[name] = part.b.define(head, "noinline nounwind")
        values = f"ptr {self.table}, ptr {main.workspace}, i64 {main.samples}"
        main.b.emit(f"call void @{name}({values})")


def _outlined(schedule: Schedule) -> frozenset[str]:
    """The elementary functions that are called because they would be written out too often."""
    uses: Counter[str] = Counter()
    for nest in schedule.nests:
        turns = nest.points() if schedule.mode == "unrolled" else 2
        for steps, times in (
            (nest.inner, turns * (nest.inner_points() if turns != 2 else 1)),
            (nest.body, turns),
        ):
            for step in steps:
                if step.op in CALLS:
                    uses[step.op] += times
    if sum(uses.values()) <= INLINE_LIMIT:
        return frozenset()
    return frozenset(uses)


def _check(
    b: Builder, check: Check, number: int, schedule: Schedule, inputs: Value, samples: Value, element: str
) -> None:
    """Return the number of the check where an index lies outside its bounds."""
    pointers = {buffer: address_of(b, inputs, buffer.number) for buffer in schedule.inputs}
    emitter = LoopEmitter(b, element, pointers, samples, Value("null", PTR))
    bad, good = b.label("bad"), b.label("good")

    def judge(worst: Value) -> None:
        b.branch(b.fcmp("ogt", worst, b.const(0.0, worst.type)), bad, good)
        b.start(bad)
        b.emit(f"ret {I32} {number}")
        b.start(good)

    emitter.reduction(check.nest, judge)


def _pointers(b: Builder, schedule: Schedule, inputs: Value, outputs: Value) -> dict[Buffer, Value]:
    pointers = {buffer: address_of(b, inputs, buffer.number) for buffer in schedule.inputs}
    pointers |= {buffer: address_of(b, outputs, buffer.number) for buffer in schedule.outputs}
    return pointers


def _workspace(
    b: Builder,
    schedule: Schedule,
    workspace: Value,
    samples: Value,
    element: str,
    pointers: dict[Buffer, Value],
) -> Memory:
    """The addresses of the temporary buffers: fixed ones first, then those with samples."""
    layout = schedule.memory = share_memory(schedule, vector(element).bits // 8)
    rows = b.and_(b.add(samples, b.const(ALIGN - 1, I64)), b.const(-ALIGN, I64))
    for slot in layout.slots:
        offset = b.const(slot.offset, I64)
        if slot.buffer.batched:
            offset = b.add(b.mul(rows, offset), b.const(layout.fixed, I64))
        pointers[slot.buffer] = b.element(workspace, offset, I8)
    return Memory(layout.fixed, layout.per_sample)


def _rounded(samples: int) -> int:
    return -(-samples // ALIGN) * ALIGN
