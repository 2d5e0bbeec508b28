"""A schedule in mode "tape": its nests on a tape, and the loops over samples around it.

As in unrolled code, samples lie in lanes, sums over the samples are kept in lanes and added up in blocks of
`CHUNK` samples, and the last, partial block is copied to scratch memory and runs the same instructions: both
modes give the same bits for a sample (sums over samples are added up in wider lanes here).
"""

from __future__ import annotations

from itertools import product

from symprop.emit.builder import I8, I64, PTR, Builder, Target, Value, vector
from symprop.emit.sums import across
from symprop.emit.tape import Handlers, Tape, run_tape, write_data
from symprop.emit.unrolled import CHUNK, _memory, _phases, _points, _row_major
from symprop.schedule.ir import SAMPLES, Buffer, Nest, Schedule, Step

__all__ = ["TapeEmitter"]

Point = dict[str, int]
_OTHER = frozenset({"load", "store", "constant", "reduced", "batch_size", "position"})  # no operations


def tape_block(target: Target, element: str) -> int:
    """Samples that an instruction takes at a time: four vectors, so that reading it costs little (measured:
    half the time of two vectors; eight win another tenth, and lose for few samples).
    """
    return 2 * target.block(element)


class TapeEmitter:
    """Writes a schedule in mode "tape" into an entry function; `scratch` bytes of the workspace are in
    use.
    """

    def __init__(self, builder: Builder, schedule: Schedule, element: str) -> None:
        self.b = builder
        self.schedule = schedule
        self.element = element
        self.width = tape_block(builder.target, element)
        self.words = len(schedule.inputs) + len(schedule.outputs) + 3
        self.scratch = 0

    def room(self, size: int) -> int:
        """A place in the workspace."""
        place, self.scratch = self.scratch, self.scratch - (-size // 64) * 64
        return place

    def run(self, block: Value, workspace: Value, samples: Value) -> None:
        """The whole program, in the function of the builder."""
        b = self.b
        before, during, after = _phases(self.schedule)
        handlers = Handlers(b.module, self.element, self.words)
        sums = [nest for nest in during if SAMPLES in nest.reduce_axes]
        count = sum(nest.points() * len(nest.reductions) for nest in sums)
        size = vector(self.element).bits // 8
        results, part, totals = (self.room(count * s) for s in (size, size * self.width, size * self.width))
        one = _Nests(Tape(handlers, 1), self.schedule)
        for nest in before:
            one.nest(nest)
        if during:
            one.tape.halt()
            needed = {s.buffer for nest in during for s in [*nest.inner, *nest.body] if s.op == "load"}
            shared = {key: value for key, value in one.kept.items() if key[0] in needed}
            one.tape.kept.update(shared.values())
            at = results
            for nest in sums:
                rows = []
                for _ in range(nest.points()):
                    rows.append([one.tape.given(at + k * size) for k in range(len(nest.reductions))])
                    at += len(nest.reductions) * size
                one.bodies(nest, rows)
            for nest in after:
                one.nest(nest)
        one.overwrite()
        one.tape.halt()
        one.tape.spread()
        places, self.scratch = one.tape.places(self.scratch)
        words, starts = one.tape.words(places)
        b.emit(f"%workspace = getelementptr i8, ptr {workspace}, i64 0")
        none = b.const(0, I64)
        run_tape(b, 0, block, none)
        if during:
            lanes = _Nests(Tape(handlers, self.width), self.schedule)
            for key, value in shared.items():
                lanes.kept[key] = lanes.tape.share(places[value], one.tape.kinds[value])
            at = part
            for nest in during:
                if nest not in sums:
                    lanes.nest(nest)
                    continue
                for values in lanes.sums(nest):
                    for value in values:
                        lanes.tape.accumulate(at, value)
                        at += size * self.width
            lanes.tape.halt()
            wide, self.scratch = lanes.tape.places(self.scratch)
            more, _ = lanes.tape.words(wide)
            self._samples(len(words), block, samples, count, (results, part, totals))
            words += more
            run_tape(b, starts[1], block, none)
        handlers.table()
        write_data(b.module, words)

    # -- the loop over samples ---------------------------------------------------------------------------

    def _samples(
        self, start: int, block: Value, samples: Value, count: int, where: tuple[int, int, int]
    ) -> None:
        b, width = self.b, self.width
        real = vector(self.element, width)
        results, part, totals = (self._place(w) for w in where)
        self._zero(totals, count)

        def add(mask: Value | None) -> None:
            if not count:
                return
            with b.loop(b.const(0, I64), b.const(count * width, I64), width) as loop:
                new = b.load(b.element(part, loop.index, real), real)
                if mask is not None:
                    new = b.select(mask, new, b.const(0.0, real))
                slot = b.element(totals, loop.index, real)
                b.store(b.fadd(b.load(slot, real), new), slot)

        whole = b.and_(samples, b.const(-width, I64))
        with b.loop(b.const(0, I64), whole, CHUNK) as chunk:
            self._zero(part, count)
            end = b.add(chunk.index, b.const(CHUNK, I64))
            end = b.select(b.icmp("slt", end, whole), end, whole)
            with b.loop(chunk.index, end, width) as turn:
                run_tape(b, start, block, turn.index)
            add(None)
        left = b.sub(samples, whole)
        with b.when(b.icmp("sgt", left, b.const(0, I64))):
            self._zero(part, count)
            run_tape(b, start, self._padded(block, whole, left), whole)
            add(b.icmp("slt", b.lane_numbers(real.integer.of("i64")), b.splat(left, width)))
        if count:
            one = vector(self.element)
            with b.loop(b.const(0, I64), b.const(count, I64)) as loop:
                total = b.load(b.element(totals, b.mul(loop.index, b.const(width, I64)), real), real)
                b.store(across(b, total), b.element(results, loop.index, one))

    def _place(self, offset: int) -> Value:
        return self.b.element(Value("%workspace", PTR), offset, I8)

    def _zero(self, place: Value, count: int) -> None:
        if count:
            b = self.b
            size = count * self.width * vector(self.element).bits // 8
            b.module.declare("llvm.memset.p0.i64", None, [PTR, I8, I64, vector("i1")])
            b.emit(f"call void @llvm.memset.p0.i64(ptr align 64 {place}, i8 0, i64 {size}, i1 0)")

    def _padded(self, block: Value, start: Value, left: Value) -> Value:
        """A block whose inputs are copies of the last samples with zeros behind them, so placed that their
        rows have the numbers that they have in the array.
        """
        b, width = self.b, self.width
        inputs = [i for i in self.schedule.inputs if i.batched]
        b.module.declare("llvm.memset.p0.i64", None, [PTR, I8, I64, vector("i1")])
        b.module.declare("llvm.memcpy.p0.p0.i64", None, [PTR, PTR, I64, vector("i1")])
        copy = self._place(self.room(8 * self.words))
        b.emit(f"call void @llvm.memcpy.p0.p0.i64(ptr {copy}, ptr {block}, i64 {8 * self.words}, i1 0)")
        if not inputs:
            return copy
        rows = [vector(_memory(i, self.element)).bits // 8 * i.entries for i in inputs]
        size = sum(row * width for row in rows)
        scratch = self._place(self.room(size))
        b.emit(f"call void @llvm.memset.p0.i64(ptr {scratch}, i8 0, i64 {size}, i1 0)")
        numbers = b.module.constant(
            "i64", [n for i, row in zip(inputs, rows, strict=True) for n in (i.number, row)]
        )
        with b.loop(b.const(0, I64), b.const(2 * len(inputs), I64), 2, [scratch]) as loop:
            (place,) = loop.carried
            number = b.load(b.element(numbers, loop.index, I64), I64)
            row = b.load(b.element(numbers, b.add(loop.index, b.const(1, I64)), I64), I64)
            source = b.load(b.element(block, number, I64), PTR)
            skipped = b.mul(start, row)
            source = b.element(source, skipped, I8)
            b.emit(
                f"call void @llvm.memcpy.p0.p0.i64(ptr {place}, ptr {source}, i64 {b.mul(left, row)}, i1 0)"
            )
            b.store(b.element(place, b.sub(b.const(0, I64), skipped), I8), b.element(copy, number, I64))
            loop.next = [b.element(place, b.mul(row, b.const(width, I64)), I8)]
        return copy


class _Nests:
    """The steps of nests at static points, as instructions of a tape."""

    def __init__(self, tape: Tape, schedule: Schedule) -> None:
        self.tape = tape
        self.first = len(schedule.inputs)  # place of the outputs in the block
        self.kept: dict[tuple[Buffer, tuple[int, ...]], int] = {}  # entries of temporary buffers
        self._loaded: dict[tuple[Buffer, tuple[int, ...]], int] = {}
        # values for the memory of inputs, written when everything has been read
        self._waiting: list[tuple[Buffer, int, int]] = []

    def nest(self, nest: Nest) -> None:
        """Every point of a nest."""
        for point in _points(nest.axes):
            self._steps(nest.body, point, self._reduce(nest, point) if nest.reductions else [])

    def sums(self, nest: Nest) -> list[list[int]]:
        """The terms of the sums over samples, for each point of the nest."""
        return [self._reduce(nest, point) for point in _points(nest.axes)]

    def bodies(self, nest: Nest, results: list[list[int]]) -> None:
        """The body of a nest at every point, with given results of its reductions."""
        for point, reduced in zip(_points(nest.axes), results, strict=True):
            self._steps(nest.body, point, reduced)

    def overwrite(self) -> None:
        """Write the outputs that lie in the memory of inputs."""
        for buffer, offset, value in self._waiting:
            self.tape.store(buffer, self.first + buffer.number, offset, value)

    def _reduce(self, nest: Nest, outer: Point) -> list[int]:
        tape = self.tape
        axes = tuple(a for a in nest.reduce_axes if a != SAMPLES)
        if nest.product:
            total = -1
            for point in _points(axes):
                x, y = map(tape.to_real, self._steps(nest.inner[:2], outer | point, []))
                op, args = ("mul", (x, y)) if total < 0 else ("fma", (x, y, total))
                total = tape.operation(op, (), "real", args)
            return [tape.constant(0) if total < 0 else total]
        terms: list[list[int]] = [[] for _ in nest.reductions]
        for point in _points(axes):
            values = self._steps(nest.inner, outer | point, [])
            for reduction, row in zip(nest.reductions, terms, strict=True):
                row.append(tape.to_real(values[reduction.step]))
        return [self._tree(r.kind, row) for r, row in zip(nest.reductions, terms, strict=True)]

    def _tree(self, kind: str, terms: list[int]) -> int:
        """Terms combined in pairs; of no terms the sum is 0, the maximum -inf."""
        if not terms:
            return self.tape.constant(float("-inf") if kind == "max" else 0)
        op = "maximum" if kind == "max" else "add"
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=False)
            combined = [self.tape.operation(op, (), "real", pair) for pair in pairs]
            terms = combined + terms[len(terms) & ~1 :]
        return terms[0]

    def _steps(self, steps: list[Step], point: Point, reduced: list[int]) -> list[int]:
        values: list[int] = []
        tape, operation = self.tape, self.tape.operation
        for step in steps:
            op, args, _, _, data, kind = step
            if op not in _OTHER:
                values.append(operation(op, data, kind, tuple([values[a] for a in args])))
                continue
            match op:
                case "load":
                    values.append(self._load(step, point, values))
                case "store":
                    self._store(step, point, values[step.args[0]])
                    values.append(values[step.args[0]])
                case "constant":
                    values.append(tape.constant(step.data, step.kind))
                case "reduced":
                    values.append(reduced[int(step.data)])
                case "batch_size":
                    values.append(tape.batch_size())
                case "position":
                    (at,) = step.at
                    where = (point[at.axis] if at.axis else 0) + at.offset
                    values.append(tape.constant(where, "integer"))
        return values

    def _load(self, step: Step, point: Point, values: list[int]) -> int:
        assert step.buffer is not None
        if any(at.step is not None for at in step.at):
            return self._choose(step, point, values)
        return self._entry(step.buffer, _where(step, point))

    def _entry(self, buffer: Buffer, where: tuple[int, ...]) -> int:
        key = (buffer, where)
        if buffer.role == "temporary":
            return self.kept[key]
        value = self._loaded.get(key)
        if value is None:
            value = self._loaded[key] = self.tape.load(buffer, _row_major(buffer.shape, where))
        return value

    def _choose(self, step: Step, point: Point, values: list[int]) -> int:
        """An entry at an index that is data: every possible one is looked at."""
        tape = self.tape
        assert step.buffer is not None
        ranges = []
        for at, extent in zip(step.at, step.buffer.shape, strict=True):
            known = (point[at.axis] if at.axis else 0) + at.offset
            ranges.append(range(extent) if at.step is not None else range(known, known + 1))
        result = -1
        for where in product(*ranges):
            entry = self._entry(step.buffer, where)
            if result < 0:
                result = entry
                continue
            here = -1
            for at, k in zip(step.at, where, strict=True):
                if at.step is not None:
                    pair = (values[at.step], tape.constant(k, "integer"))
                    same = tape.operation("equal", (), "boolean", pair)
                    here = same if here < 0 else tape.operation("and", (), "boolean", (here, same))
            result = tape.operation("select", (), step.kind, (here, entry, result))
        assert result >= 0
        return result

    def _store(self, step: Step, point: Point, value: int) -> None:
        buffer = step.buffer
        assert buffer is not None
        where = _where(step, point)
        if buffer.kind == "real":
            value = self.tape.to_real(value)
        if buffer.role == "temporary":
            self.kept[buffer, where] = value
            return
        offset = _row_major(buffer.shape, where)
        if buffer.overwrites is not None:
            self._waiting.append((buffer, offset, value))
        else:
            self.tape.store(buffer, self.first + buffer.number, offset, value)


def _where(step: Step, point: Point) -> tuple[int, ...]:
    return tuple([(point[at.axis] if at.axis else 0) + at.offset for at in step.at])
