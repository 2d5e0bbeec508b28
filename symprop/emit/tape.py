"""Long straight-line programs as a tape: a list of instructions in memory, carried out by native code.

Written out as machine code, a program of 100,000 scalar steps takes LLVM many seconds, and then runs at the
speed at which the processor fetches instructions, since it uses each of them once. A tape is made in a
fraction of the time and is as quick to run: an instruction is a few words of 32 bits (what to do, and where
in the workspace result and operands lie), and every operation of the program is one small native function,
a *handler*, that does its work and jumps to the handler of the next instruction. Values keep a place of the
workspace from their computation to their last use. Instructions of one operation that follow each other are
one run, a loop in its handler; elementary functions of single values then go side by side in a vector.

Handlers are written by the same functions as all other code (`symprop/emit/table.py`), so a tape gives the
same bits as straight code.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from symprop.emit.builder import I8, I32, I64, PTR, Builder, Module, Type, Value, vector
from symprop.emit.math import CALLS
from symprop.emit.table import Lanes
from symprop.schedule.ir import Buffer

__all__ = ["Handlers", "Tape", "run_tape"]

WINDOW = 2048  # instructions among which the order may change
LAST = 1 << 40  # behind all depths
WORD = 4  # bytes of a word of the tape
ARGUMENTS = "ptr %tape, ptr %workspace, ptr %block, i64 %row"
TABLE, DATA = "@symprop.handlers", "@symprop.tape"
_PREFIX = "symprop.do"


class _Handler(NamedTuple):
    number: int
    kind: str  # of the result; "" for none


# handler, result (-1 for none), operands, words that follow their places on the tape; plain tuples, since
# there may be hundreds of thousands of them
_Instruction = tuple[int, int, tuple[int, ...], tuple[int, ...]]


class Handlers:
    """The native functions behind the instructions: one for every operation, kinds of operands and lanes."""

    def __init__(self, module: Module, element: str, words: int) -> None:
        self.module = module
        self.element = element
        self.words = words  # of the block: addresses of inputs and outputs, workspace, samples, stride
        self.names: list[str] = []
        self.together = module.target.lanes(element)  # values of a vector
        self._known: dict[object, _Handler] = {}
        self._wide: dict[int, tuple[object, Sequence[str], Any]] = {}

    def get(
        self, lanes: int, key: object, operands: Sequence[str], words: int, write: Any, together: int = 1
    ) -> _Handler:
        """The handler of that key; `write(code)` emits its work, for `together` instances of a run at a time,
        and gives the result, if it has one."""
        found = self._known.get((lanes, key, together))
        if found is None:
            b = Builder(self.module)
            tape = Value("%tape", PTR)
            count = b.convert("zext", b.load(b.element(tape, 1, I32), I32, True), I64)
            with b.loop(b.const(0, I64), count, 1, [b.element(tape, 2, I32)]) as loop:
                all_lanes = Lanes(b, self.element, lanes * together)
                code = _Code(all_lanes, together, operands, loop.carried[0], words)
                kind = code.keep(write(code))
                loop.next = [code.end()]
            jump(b, loop.results[0], "musttail ")
            b.emit("ret void")
            name = f"{_PREFIX}.{len(self.names)}"
            self.module.functions[name] = b.define(f"internal void @{name}({ARGUMENTS})")
            found = self._known[lanes, key, together] = _Handler(len(self.names), kind)
            self.names.append(name)
            if lanes == together == 1 and key[0] in CALLS and set(operands) == {"real"}:  # type: ignore[index]
                self._wide[found.number] = key, operands, write
        return found

    def wide(self, number: int) -> int | None:
        """The handler that carries out several instances of an elementary function at a time."""
        known = self._wide.get(number)
        if known is None:
            return None
        key, operands, write = known
        return self.get(1, key, operands, 0, write, self.together).number

    def table(self) -> None:
        """Write the table of the handlers, in the order of their numbers."""
        addresses = ", ".join(f"ptr @{name}" for name in self.names)
        self.module.constants[f"private constant [{len(self.names)} x ptr] [{addresses}], align 64"] = TABLE


class _Code:
    """The body of one handler: the words of an instance are the place of the result, the places of the
    operands, and `words` more. Of instances `together` the words follow each other.
    """

    def __init__(self, lanes: Lanes, together: int, operands: Sequence[str], at: Value, words: int) -> None:
        self.b = lanes.b
        self.lanes = lanes
        self.block, self.row = Value("%block", PTR), Value("%row", I64)
        self._together, self._size = together, 1 + len(operands) + words
        self._tape, self._at = at, 1 + len(operands)
        self.args = [self._operand(k, kind) for k, kind in enumerate(operands, 1)]

    def word(self) -> Value:
        """The next word of the instruction."""
        self._at += 1
        return self._word(self._at - 1)

    def bits(self) -> Value:
        """The next two words as one number."""
        slot = self.b.element(self._tape, self._at, I32)
        self._at += 2
        return self.b.assign(I64, f"load i64, ptr {slot}, align 4, !invariant.load !0")

    def place(self, offset: Value) -> Value:
        """An address in the workspace."""
        return self.b.element(Value("%workspace", PTR), offset, I8)

    def keep(self, result: Value | None) -> str:
        """Store the result; gives its kind."""
        b = self.b
        if result is None:
            return ""
        kind = {"i64": "integer", "i1": "boolean"}.get(result.type.element, "real")
        if self._together == 1:
            b.store(_packed(b, result) if kind == "boolean" else result, self._place(0))
        else:
            for k in range(self._together):
                b.store(b.extract(result, k), self._place(k * self._size))
        return kind

    def end(self) -> Value:
        """Where the words of the next instance begin."""
        return self.b.element(self._tape, self._together * self._size, I32)

    def _word(self, number: int) -> Value:
        slot = self.b.element(self._tape, number, I32)
        return self.b.convert("zext", self.b.load(slot, I32, True), I64)

    def _place(self, number: int) -> Value:
        return self.place(self._word(number))

    def _operand(self, number: int, kind: str) -> Value:
        b, full = self.b, self.lanes.type_of(kind)
        if self._together == 1:
            value = b.load(self._place(number), _kept(full))
            return _unpacked(b, value) if kind == "boolean" else value
        value = Value("poison", full)
        for k in range(self._together):
            one = b.load(self._place(k * self._size + number), vector(full.element))
            value = b.insert(value, one, k)
        return value


def jump(b: Builder, tape: Value, how: str = "", block: str = "%block", row: str = "%row") -> None:
    """Call the handler of the instruction at an address."""
    number = b.convert("zext", b.load(tape, I32, True), I64)
    slot = b.element(Value(TABLE, PTR), number, I64)
    handler = b.assign(PTR, f"load ptr, ptr {slot}, align 8, !invariant.load !0")
    b.emit(f"{how}call void {handler}(ptr {tape}, ptr %workspace, ptr {block}, i64 {row})")


class Tape:
    """Instructions for one vector of samples (or one lane without samples): steps of nests as they come."""

    def __init__(self, handlers: Handlers, lanes: int) -> None:
        self.handlers = handlers
        self.lanes = lanes
        self.code: list[_Instruction] = []
        self.kinds: list[str] = []  # of every value
        self.fixed: dict[int, int] = {}  # values whose place is given
        self.kept: set[int] = set()  # values that live to the end
        self._operations: dict[object, _Handler] = {}
        self._constants: dict[object, int] = {}
        self._end = -1

    # -- instructions ------------------------------------------------------------------------------------

    def add(self, handler: _Handler, operands: tuple[int, ...], words: tuple[int, ...] = ()) -> int:
        """An instruction; gives the number of its result."""
        number, kind = handler
        if kind:
            result = len(self.kinds)
            self.kinds.append(kind)
        else:
            result = -1
        self.code.append((number, result, operands, words))
        return result

    def handler(self, key: object, operands: Sequence[str], words: int, write: Any) -> _Handler:
        """A handler for the lanes of this tape."""
        return self.handlers.get(self.lanes, key, operands, words, write)

    def operation(self, op: str, attrs: Any, kind: str, args: tuple[int, ...]) -> int:
        """One operation of the lowered program."""
        kinds = self.kinds
        key = (op, attrs, kind, *[kinds[a] for a in args])
        handler = self._operations.get(key)
        if handler is None:
            handler = self.handler(key, key[3:], 0, lambda c: c.lanes.operation(op, attrs, kind, c.args))
            self._operations[key] = handler
        number, made = handler  # every operation has a result
        kinds.append(made)
        result = len(kinds) - 1
        self.code.append((number, result, args, ()))
        return result

    def to_real(self, value: int) -> int:
        """An integer or boolean as a number."""
        if self.kinds[value] == "real":
            return value
        kinds = (self.kinds[value],)
        return self.add(
            self.handler(("real", *kinds), kinds, 0, lambda c: c.lanes.to_real(c.args[0])), (value,)
        )

    def constant(self, data: Any, kind: str = "real") -> int:
        """A number; a value that is used again keeps its place."""
        key = (data, kind)
        value = self._constants.get(key)
        if value is None:
            lanes = Lanes(Builder(self.handlers.module), self.handlers.element, 1)
            text = lanes.constant(data, kind).name
            bits = int(text, 16) if kind == "real" else int(text) & 0xFFFFFFFFFFFFFFFF
            handler = self.handler(("constant", kind), (), 2, lambda c: _constant(c, kind))
            value = self._constants[key] = self.add(handler, (), (bits & 0xFFFFFFFF, bits >> 32))
        return value

    def batch_size(self) -> int:
        """The number of samples."""
        word = self.handlers.words - 2

        def write(c: _Code) -> Value:
            samples = c.b.load(c.b.element(c.block, word, I64), I64, True)
            return c.lanes.to_real(c.b.splat(samples, c.lanes.lanes))

        return self.add(self.handler("batch_size", (), 0, write), ())

    def load(self, buffer: Buffer, offset: int) -> int:
        """An input's entry: in every lane, or of each sample in its lane."""
        kind, gathered = buffer.kind, buffer.batched and buffer.entries > 1
        key = ("load", kind, buffer.batched, gathered)
        handler = self.handler(key, (), 3, lambda c: _fetch(c, kind, buffer.batched, gathered))
        return self.add(handler, (), (buffer.number, offset, buffer.entries))

    def store(self, buffer: Buffer, number: int, offset: int, value: int) -> None:
        """An output's entry: of one sample, or of each in its lane; `number` is its place in the block."""
        kinds, kind, batched = (self.kinds[value],), buffer.kind, buffer.batched
        stride = self.handlers.words - 1
        handler = self.handler(
            ("store", kind, batched, *kinds), kinds, 2, lambda c: _write(c, kind, batched, stride)
        )
        self.add(handler, (value,), (number, offset))

    def share(self, place: int, kind: str) -> int:
        """A value of one lane, from its place in the workspace, in every lane."""
        handler = self.handler(("share", kind), (), 1, lambda c: _share(c, kind))
        return self.add(handler, (), (place,))

    def accumulate(self, place: int, value: int) -> None:
        """Add a value to the sum that lies at a place of the workspace."""
        kinds = ("real", "real")
        handler = self.handler(
            ("add", (), "real", *kinds), kinds, 0, lambda c: c.lanes.operation("add", (), "real", c.args)
        )
        total = self.given(place)
        self.code.append((handler.number, total, (total, self.to_real(value)), ()))

    def given(self, place: int) -> int:
        """A real value that lies at a place of the workspace."""
        value = len(self.kinds)
        self.kinds.append("real")
        self.fixed[value] = place
        return value

    def halt(self) -> None:
        """The end of a part of the tape."""
        name = f"{_PREFIX}.halt"
        if name not in self.handlers.names:
            b = Builder(self.handlers.module)
            b.emit("ret void")
            self.handlers.module.functions[name] = b.define(f"internal void @{name}({ARGUMENTS})")
            self.handlers.names.append(name)
        self._end = self.handlers.names.index(name)
        self.code.append((self._end, -1, (), ()))

    def spread(self) -> None:
        """Put instructions that do not need each other side by side: the processor then works on several at
        a time, while a chain of them waits for memory after each. Within a window the order is by depth, at
        the same depth by operation, and what writes results comes last; windows keep values near to their
        use.
        """
        depth = [0] * (len(self.kinds) + 1)  # the last is that of instructions without a result
        window: list[tuple[int, _Instruction]] = []
        code: list[_Instruction] = []

        def flush() -> None:
            window.sort(key=itemgetter(0))
            for _, instruction in window:
                code.append(instruction)
                depth[instruction[1]] = 0
            window.clear()

        for instruction in self.code:
            handler, result, operands, _ = instruction
            here = 0
            for operand in operands:
                if depth[operand] > here:
                    here = depth[operand]
            if result >= 0:
                depth[result] = here + 1
            else:  # the end stays the end
                here = LAST << (handler == self._end)
            window.append((here << 20 | handler, instruction))
            if len(window) == WINDOW or handler == self._end:
                flush()
        flush()
        self.code = code

    # -- places and words --------------------------------------------------------------------------------

    def places(self, start: int) -> tuple[list[int], int]:
        """The place of every value in the workspace, from `start` on, and the end of them: a place is free
        again behind the last use of its value.
        """
        real = vector(self.handlers.element).bits // 8
        sizes = {k: s * self.lanes for k, s in (("real", real), ("integer", 8), ("boolean", 1))}
        last = [-1] * len(self.kinds)
        for number, (_, result, operands, _) in enumerate(self.code):
            for operand in operands:
                last[operand] = number
            if result >= 0 and last[result] < number:
                last[result] = number
        for value in (*self.kept, *self.fixed):
            last[value] = len(self.code)
        places = [-1] * len(self.kinds)
        for value, place in self.fixed.items():
            places[value] = place
        free: dict[str, list[int]] = {kind: [] for kind in sizes}
        for number, (_, result, operands, _) in enumerate(self.code):
            for operand in operands:
                if last[operand] == number:
                    free[self.kinds[operand]].append(places[operand])
                    last[operand] = -1  # an operand that stands twice is freed once
            if result >= 0 and places[result] < 0:
                kind = self.kinds[result]
                rest = free[kind]
                if rest:
                    places[result] = rest.pop()
                else:
                    size = sizes[kind]
                    places[result] = start = -(-start // size) * size
                    start += size
                if last[result] == number:
                    rest.append(places[result])
        return places, -(-start // 64) * 64

    def words(self, places: Sequence[int]) -> tuple[array[int], list[int]]:
        """The words of the tape, and where its parts begin (in words)."""
        words: list[int] = []
        starts = [0]
        for run in self._runs():
            number, more = run[0][0], len(run)
            wide = self.handlers.wide(number) if more > 1 else None
            if wide is not None:  # free lanes repeat the last instance
                number, together = wide, self.handlers.together
                more = -(-more // together)
                run += [run[-1]] * (more * together - len(run))
            words += (number, more)
            for _, result, operands, extra in run:
                words.append(places[result] if result >= 0 else 0)
                words += [places[operand] for operand in operands]
                words += extra
            if number == self._end:
                starts.append(len(words))
        return array("I", words), starts[:-1]

    def _runs(self) -> Iterator[list[_Instruction]]:
        """Instructions of the same handler that follow each other and do not need each other."""
        run: list[_Instruction] = []
        before, made = -1, set[int]()
        for instruction in self.code:
            number, result, operands, _ = instruction
            if run and (number != before or number == self._end or not made.isdisjoint(operands)):
                yield run
                run, made = [], set()
            run.append(instruction)
            made.add(result)
            before = number
        if run:
            yield run


def run_tape(b: Builder, start: int, block: Value, row: Value) -> None:
    """Carry out the part of the tape that begins at a word."""
    jump(b, b.element(Value(DATA, PTR), start, I32), block=block.name, row=row.name)


def write_data(module: Module, words: array[int]) -> None:
    """The tape as a constant of the module: bytes in hexadecimal form, which are read quickest."""
    digits = np.frombuffer(words.tobytes().hex().upper().encode(), np.uint8).reshape(-1, 2)
    escaped = np.empty((len(digits), 3), np.uint8)
    escaped[:, 0] = ord("\\")
    escaped[:, 1:] = digits
    size = len(words) * WORD
    text = f'private constant [{size} x i8] c"{escaped.tobytes().decode()}", align 64'
    module.constants[text] = DATA


def _kept(kind: Type) -> Type:
    """How a value lies in memory."""
    return kind.of("i8") if kind.element == "i1" else kind


def _packed(b: Builder, value: Value) -> Value:
    return b.convert("zext", value, value.type.of("i8"))


def _unpacked(b: Builder, value: Value) -> Value:
    return b.icmp("ne", value, b.const(0, value.type))


def _constant(c: _Code, kind: str) -> Value:
    b, bits = c.b, c.bits()
    full = c.lanes.type_of(kind)
    if kind == "real":
        value = b.bitcast(bits, vector("double"))
        if full.element == "float":
            value = b.convert("fptrunc", value, vector("float"))
        return b.splat(value, full.lanes)
    return b.splat(bits, full.lanes)


def _fetch(c: _Code, kind: str, batched: bool, gathered: bool) -> Value:
    b, lanes = c.b, c.lanes.lanes
    number, offset, entries = c.word(), c.word(), c.word()
    memory = vector({"real": c.lanes.element, "integer": "i64", "boolean": "i8"}[kind])
    pointer = b.load(b.element(c.block, number, I64), PTR, True)
    if not batched:
        value = b.splat(b.load(b.element(pointer, offset, memory), memory), lanes)
    elif not gathered:
        value = b.load(b.element(pointer, c.row, memory), vector(memory.element, lanes))
    else:
        value = Value("poison", vector(memory.element, lanes))
        place = b.element(pointer, b.add(b.mul(c.row, entries), offset), memory)
        for lane in range(lanes):
            value = b.insert(value, b.load(place, memory), lane)
            place = b.element(place, entries, memory)
    return _unpacked(b, value) if kind == "boolean" else value


def _write(c: _Code, kind: str, batched: bool, stride: int) -> None:
    b = c.b
    number, offset = c.word(), c.word()
    value = c.lanes.to_real(c.args[0]) if kind == "real" else c.args[0]
    if kind == "boolean":
        value = _packed(b, value)
    pointer = b.load(b.element(c.block, number, I64), PTR, True)
    if batched:
        distance = b.load(b.element(c.block, stride, I64), I64, True)
        offset = b.add(b.mul(distance, offset), c.row)
    b.store(value if batched else b.extract(value, 0), b.element(pointer, offset, value.type))


def _share(c: _Code, kind: str) -> Value:
    full = c.lanes.type_of(kind)
    memory = _kept(vector(full.element))
    value = c.b.splat(c.b.load(c.place(c.word()), memory), full.lanes)
    return _unpacked(c.b, value) if kind == "boolean" else value
