"""A whole program as LLVM IR: the entry function, the checks of indices, then the nests in their mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symprop.emit.builder import I8, I32, I64, PTR, Builder, Module, Target, Value, vector
from symprop.emit.interpreted import TapeEmitter, tape_block
from symprop.emit.isomorphic import fits, packs, side_by_side
from symprop.emit.linear import emit_kernel
from symprop.emit.loops import LoopEmitter
from symprop.emit.math import CALLS
from symprop.emit.pool import MOST_THREADS
from symprop.emit.products import factors
from symprop.emit.table import address_of
from symprop.emit.unrolled import SHARED_FROM, UnrolledEmitter
from symprop.schedule.ir import Buffer, Check, Kernel, Nest, Schedule
from symprop.schedule.memory import ALIGN, share_memory

__all__ = ["ENTRY", "SHARED_FROM", "Memory", "emit", "samples_at_a_time"]

ENTRY = "symprop.entry"
INLINE_LIMIT = 24  # uses of an elementary function up to which each is written out; more call one copy
SLOTS = "@symprop.slots"  # where the buffers of the parts lie
WHOLE = 48  # nests up to which they are one function
STORED = 256  # addresses of buffers up to which each is stored by itself; more by a loop
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
    uses = _uses(schedule)
    outlined = frozenset(uses) if sum(uses.values()) > INLINE_LIMIT else frozenset()
    if schedule.mode != "unrolled" or schedule.has_samples:
        return _emit(schedule, element, target, accuracy, threads, outlined)
    # a call takes all vector registers, and equal operations before and after it do not meet
    if outlined and packs(schedule, target, element):
        text, memory = _emit(schedule, element, target, accuracy, threads, frozenset())
        if fits(text):
            return side_by_side(text, target), memory
    text, memory = _emit(schedule, element, target, accuracy, threads, outlined)
    return side_by_side(text, target), memory


def _emit(
    schedule: Schedule, element: str, target: Target, accuracy: str, threads: int, outlined: frozenset[str]
) -> tuple[str, Memory]:
    """The module with calls of the functions that are `outlined`."""
    module = Module(target, accuracy == "fast")
    module.threads = max(1, min(threads, MOST_THREADS))
    b = Builder(module)
    inputs, rest = Value("%block", PTR), len(schedule.inputs) + len(schedule.outputs)
    outputs = b.element(inputs, len(schedule.inputs), I64)
    workspace = address_of(b, inputs, rest)
    samples, stride = (b.load(b.element(inputs, rest + k, I64), I64, invariant=True) for k in (1, 2))
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
        parts = _Parts(emitter, inputs, schedule, len(schedule.nests) > WHOLE or products > 1)
        for nest in schedule.nests:
            if isinstance(nest, Kernel):
                parts.end()
                status += nest.node is not None
                emit_kernel(emitter, nest, status)
            else:
                parts.nest(nest)
        parts.end()
        scratch = _rounded(emitter.scratch_size)
        parts.close(_places(schedule, rest, scratch))
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

    A function finds the addresses of its buffers in a table, in the order in which it uses them: nests of
    the same form over other buffers, as the layers or the steps of a network have them, are one function,
    and are written once. So nests wait (`pending`) until one comes whose form has not been met behind those
    before it.
    """

    def __init__(self, main: LoopEmitter, block: Value, schedule: Schedule, apart: bool) -> None:
        self.main = main
        self.apart = apart
        self.part: LoopEmitter | None = None
        self.slots: list[Buffer] = []  # of the tables of all parts, one after the other
        self.first = 0  # slot of the part at hand
        self.local: dict[Buffer, int] = {}  # its buffers
        self.pending: list[Nest] = []
        self.key: tuple[int, ...] = ()  # the forms of its nests
        self.forms: dict[Any, int] = {}
        self.ends: dict[tuple[int, ...], bool] = {}  # whether a part ends behind these
        self.notes: dict[tuple[int, ...], str] = {}  # what is noted for readers, behind the names
        self.functions: dict[tuple[int, ...], tuple[str, int]] = {}  # their name, and bytes of scratch memory
        if apart:
            self.table = main.b.alloca(PTR, 1)  # `close` says how many addresses it has
            self.room, self.line = len(main.b.entry_lines) - 1, len(main.b.lines)
            self.long = sum(map(_buffers_of, schedule.nests)) > STORED
            if self.long:
                self._fill(block)

    def _fill(self, block: Value) -> None:
        """Write the addresses of very many buffers by a loop over constants: each is a word of the block, so
        many bytes on, and so many more for every sample.
        """
        b = self.main.b
        self.count = b.fresh(I64)
        b.emit("")
        rows = b.and_(b.add(self.main.samples, b.const(ALIGN - 1, I64)), b.const(-ALIGN, I64))
        with b.loop(b.const(0, I64), self.count) as loop:
            at = b.mul(loop.index, b.const(3, I64))
            word, fixed, each = (
                b.load(b.element(Value(SLOTS, PTR), b.add(at, b.const(k, I64)), I64), I64, True)
                for k in range(3)
            )
            start = address_of(b, block, word)
            place = b.element(start, b.add(fixed, b.mul(rows, each)), I8)
            b.store(place, b.element(self.table, loop.index, I64))

    def close(self, places: Mapping[Buffer, tuple[int, int, int]]) -> None:
        """Write what is known at the end: the number of addresses, and what they are."""
        if not self.apart:
            return
        b, size = self.main.b, len(self.slots)
        b.entry_lines[self.room] = f"{self.table} = alloca {PTR}, i64 {max(1, size)}, align 64"
        if not self.long:
            end = len(b.lines)
            for k, buffer in enumerate(self.slots):
                b.store(self.main.pointers[buffer], b.element(self.table, k, I64))
            stores = b.lines[end:]
            del b.lines[end:]
            b.lines[self.line : self.line] = stores
            return
        b.lines[self.line] = f"{self.count} = add i64 0, {size}"
        words = ", ".join([f"i64 {word}" for buffer in self.slots for word in places[buffer]])
        b.module.constants[f"private constant [{3 * size} x i64] [{words}], align 64"] = SLOTS

    def nest(self, nest: Nest) -> None:
        """Write a nest."""
        if not self.apart:
            self.main.nest(nest)
            return
        for step in [*nest.inner, *nest.body]:
            if step.buffer is not None and step.buffer not in self.local:
                self.local[step.buffer] = len(self.local)
                self.slots.append(step.buffer)
        form = self._form(nest)
        self.key = (*self.key, self.forms.setdefault(form, len(self.forms)))
        self.pending.append(nest)
        if self.key not in self.ends:
            # a product alone: the constants of other nests take none of its registers
            self.ends[self.key] = self._written() > PART or nest.product
        elif nest.product and self.key in self.notes:
            self.main.b.module.notes.append(factors(nest) + self.notes[self.key])
        if self.ends[self.key]:
            self.end()

    def _form(self, nest: Nest) -> Any:
        """What the code of a nest depends on: all but which buffers it is over."""
        steps = [
            [
                (op, args, at, type(data), data, kind, None if buffer is None else self._of_buffer(buffer))
                for op, args, buffer, at, data, kind in steps
            ]
            for steps in (nest.inner, nest.body)
        ]
        own = nest.axes, nest.reduce_axes, nest.product, tuple(nest.reductions)
        return own, tuple(steps[0]), tuple(steps[1])

    def _of_buffer(self, buffer: Buffer) -> Any:
        kept = buffer.overwrites is None, buffer.overwritten, buffer.samples_last
        return self.local[buffer], buffer.shape, buffer.batched, buffer.kind, kept

    def _written(self) -> int:
        """Write the nests that wait; gives the lines of the part."""
        main, notes = self.main, self.main.b.module.notes
        if self.part is None:
            samples, workspace = Value("%samples", I64), Value("%workspace", PTR)
            b = Builder(main.b.module)
            b.types |= {v.name: v.type for v in (samples, workspace)}
            self.part = LoopEmitter(b, main.element, {}, samples, workspace, main.outlined)
        part = self.part
        for nest in self.pending:
            for step in [*nest.inner, *nest.body]:
                if step.buffer is not None and step.buffer not in part.pointers:
                    value, slot = part.b.fresh(PTR), part.b.fresh(PTR)
                    part.b.entry_lines += [
                        f"{slot} = getelementptr i64, ptr %table, i64 {self.local[step.buffer]}",
                        f"{value} = load ptr, ptr {slot}, align 8, !invariant.load !0",
                    ]
                    part.pointers[step.buffer] = value
            before = len(notes)
            part.nest(nest)
            if len(notes) > before and nest is self.pending[-1]:
                self.notes[self.key] = notes[-1].removeprefix(factors(nest))
        self.pending.clear()
        return len(part.b.lines)

    def end(self) -> None:
        """Close the part at hand and call it."""
        if not self.key:
            return
        main = self.main
        if self.key not in self.functions:
            self._written()
            assert self.part is not None
            functions = main.b.module.functions
            name = f"symprop.nests.{len(functions)}"
            self.part.b.emit("ret void")
            head = f"internal void @{name}(ptr noalias %table, ptr %workspace, i64 %samples)"
            functions[name] = self.part.b.define(head, "noinline nounwind")
            self.functions[self.key] = name, self.part.scratch_size
        name, scratch = self.functions[self.key]
        main.scratch_size = max(main.scratch_size, scratch)
        table = main.b.element(self.table, self.first, I64)
        main.b.emit(f"call void @{name}(ptr {table}, ptr {main.workspace}, i64 {main.samples})")
        self.part, self.first, self.key = None, len(self.slots), ()
        self.local.clear()
        self.pending.clear()


def _uses(schedule: Schedule) -> Counter[str]:
    """How often each elementary function would be written out."""
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
    return uses


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


def _buffers_of(nest: Nest | Kernel) -> int:
    """How many buffers a nest uses; none for a kernel, which is in no part."""
    steps = [] if isinstance(nest, Kernel) else [*nest.inner, *nest.body]
    return len({step.buffer for step in steps} - {None})


def _places(schedule: Schedule, workspace: int, scratch: int) -> dict[Buffer, tuple[int, int, int]]:
    """Where every buffer lies: its word of the block, bytes from there, and bytes for every sample."""
    places = {buffer: (buffer.number, 0, 0) for buffer in schedule.inputs}
    places |= {buffer: (len(schedule.inputs) + buffer.number, 0, 0) for buffer in schedule.outputs}
    layout = schedule.memory
    assert layout is not None
    for slot in layout.slots:
        shift, each = (layout.fixed, slot.offset) if slot.buffer.batched else (slot.offset, 0)
        places[slot.buffer] = workspace, scratch + shift, each
    return places


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
