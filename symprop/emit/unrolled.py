"""Small programs without loops over entries: every index is static, values stay in registers, samples lie in
lanes.

A batched program runs a block of samples at a time, one sample a lane: the function `samples` walks whole
blocks. Its inputs are read row by row; its outputs are stored with the samples innermost, so that every store
is a whole vector (the buffers are padded, no mask is needed). Sums over the samples are kept in lanes, added
up in blocks of `CHUNK` samples and reduced once at the end, in an order that depends on the sample's place
alone. The last, partial block is copied to scratch memory and runs the very same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product

from symprop.emit import pack
from symprop.emit.builder import I8, I64, PTR, Builder, Type, Value, vector
from symprop.emit.columns import load_columns
from symprop.emit.order import chain_alone, chains_of_samples, in_turns
from symprop.emit.packing import Packing
from symprop.emit.parallel import own_room, share, steps_cost
from symprop.emit.split import Cuts, Room, splitting
from symprop.emit.streaming import stage_for
from symprop.emit.sums import MANY, Adding, Term, Totals, zero
from symprop.emit.table import NATIVE, Lanes, Pointers
from symprop.schedule.ir import SAMPLES, Axis, Buffer, Nest, Schedule, Step

__all__ = ["UnrolledEmitter"]

CHUNK = 1024  # samples whose sums are taken in a row; a multiple of every vector width
SHORT_CHUNK = 256  # the same where CHUNK samples take more than LONG_CHUNK cycles, so that threads can share
LONG_CHUNK = 100_000
SHARED_FROM = 2 * SHORT_CHUNK  # samples of a call up to which one thread does everything
PARTS = 1 << 15  # numbers of the sums of chunks that wait at a time
MIXED = 100  # steps of a program up to which the code of elementary functions mixes with what is around it
ON_STACK = 1 << 14  # bytes of an array that may lie on the stack, which is small in some threads

Point = dict[str, int]


class UnrolledEmitter:
    """Writes a schedule in mode "unrolled" into an entry function (and a function over blocks of samples).

    Large arrays lie in the workspace of the call, of which `scratch` bytes are in use at the end.
    """

    def __init__(
        self,
        builder: Builder,
        schedule: Schedule,
        element: str,
        workspace: Value,
        outlined: frozenset[str] = frozenset(),
    ) -> None:
        self.b = builder
        self.workspace = workspace
        self.scratch = 0
        self.shared_scratch = 0  # bytes behind these, of calls with more than SHARED_FROM samples
        self.module = builder.module
        self.schedule = schedule
        self.element = element
        self.outlined = outlined
        self.width = builder.target.block(element)
        # Where an instruction takes a mask for nothing, all vectors of a block are added up in one; else each
        # has a sum of its own, of which the last block counts some lanes.
        self.folded = builder.target.masked
        self.sum_lanes = builder.target.lanes(element) if self.folded else self.width
        self.before, self.during, self.after = _phases(schedule)
        self.chunk = CHUNK if self._cost() * CHUNK // self.width <= LONG_CHUNK else SHORT_CHUNK
        self.parts: tuple[int, Value] | None = None  # line and address of the sums of chunks that wait

    def run(self, inputs: Value, outputs: Value, samples: Value, stride: Value) -> None:
        """The whole program, in the function of the builder."""
        b = self.b
        ins = Pointers(b, inputs, self.schedule.inputs)
        outs = Pointers(b, outputs, self.schedule.outputs)
        lanes = Lanes(b, self.element, 1, self.outlined)
        if not self.during:
            with splitting(b, "symprop.part", self._room_in(b, self.workspace), once=True) as cuts:
                single = _Straight(b, lanes, ins, outs, {}, samples, cuts=cuts)
                for nest in self.before:
                    single.nest(nest)
                single.finish()
                single.overwrite()
            b.keep_order()
            b.lines = chain_alone(b.lines, b.target)
            return
        single = _Straight(b, lanes, ins, outs, {}, samples)
        for nest in self.before:
            single.nest(nest)
        single.finish()
        self._sample_loop(single, samples, stride)
        for nest in self.after:
            single.nest(nest)
        single.finish()
        single.overwrite()

    def _room_in(self, b: Builder, workspace: Value) -> Room:
        """Gives room for some values: a small array on the stack, a large one in the workspace."""

        def room(kind: Type, count: int) -> Value:
            size = -(-kind.bits // 8) * kind.lanes * max(1, count)
            if size <= ON_STACK:
                return b.alloca(kind, max(1, count))
            size = -(-size // 64) * 64
            pointer = b.element(workspace, self.scratch, I8)
            self.scratch += size * (1 if b.thread is None else b.module.threads)
            return own_room(b, pointer, size, "i8")

        return room

    # -- the loop over samples ---------------------------------------------------------------------------

    def _sample_loop(self, single: _Straight, samples: Value, stride: Value) -> None:
        b, width = self.b, self.width
        shared = self._share(single)
        sums = [nest for nest in self.during if SAMPLES in nest.reduce_axes]
        count = sum(nest.points() * len(nest.reductions) for nest in sums)
        lanes = Lanes(b, self.element, self.sum_lanes)
        used = self.scratch
        name = self._block_function(shared, sums, count)
        frames = self.scratch - used  # of one thread, in its code
        self.scratch += frames * (self.module.threads - 1)
        ins, outs = self.schedule.inputs, self.schedule.outputs
        room = self._room_in(b, self.workspace)
        common = room(I64, len(shared))  # a place of eight bytes for each, whatever its type
        for k, value in enumerate(shared.values()):
            b.store(value, b.element(common, k, I64))
        part = room(lanes.real, count)
        many = b.icmp("sgt", samples, b.const(MANY * self.chunk, I64))
        totals = Totals(b, lanes, room, count, many)

        def chunk(
            size: Value, sources: Iterable[Value], targets: Iterable[Value], step: Value, *more: Value
        ) -> None:
            chunk_in, chunk_out = room(PTR, len(ins)), room(PTR, len(outs))
            for array, pointers in ((chunk_in, sources), (chunk_out, targets)):
                for k, pointer in enumerate(pointers):
                    b.store(pointer, b.element(array, k, I64))
            part, counted = more
            own = own_room(b, self.workspace, frames, "i8")
            args = [chunk_in, chunk_out, common, part, own, size, step, samples, counted]
            b.emit(f"call void @{name}({', '.join(f'{a.type} {a}' for a in args)})")

        def targets(start: Value) -> list[Value]:
            kinds = [vector(_memory(o, self.element)) for o in outs]
            return [
                b.element(single.outs[o], start if o.batched else 0, kind)
                for o, kind in zip(outs, kinds, strict=True)
            ]

        whole = b.and_(samples, b.const(-width, I64))
        stage = stage_for(b, outs, self.element, width)
        if stage is not None:
            streamed = stage.worth([single.outs[o] for o in outs], samples, stride)

        def full(start: Value, part: Value) -> None:
            size = pack.least(b, b.sub(whole, start), self.chunk)
            assert isinstance(size, Value)
            zero(b, part, count * lanes.lanes, lanes.real)

            def some(start: Value, size: Value, places: Iterable[Value], step: Value) -> None:
                rows = [self._row(i, single.ins[i], start) for i in ins]
                chunk(size, rows, places, step, part, b.const(width, I64))

            if stage is None:
                some(start, size, targets(start), stride)
                return
            with b.when(b.not_(streamed)):
                some(start, size, targets(start), stride)
            with b.when(streamed):
                stage.run(
                    room(stage.real, stage.size), [single.outs[o] for o in outs], (start, size), stride, some
                )

        done = b.const(0, I64)
        if self.module.threads > 1:
            done = self._shared_chunks(whole, full, totals, count, lanes)
        with b.loop(done, whole, self.chunk) as loop:
            first = b.icmp("eq", loop.index, b.const(0, I64))
            here = b.select(first, totals.array, part)  # nothing to add them to
            full(loop.index, here)
            with b.when(b.not_(first)):
                totals.add(here)
        left = b.sub(samples, whole)
        with b.when(b.icmp("sgt", left, b.const(0, I64))):
            zero(b, part, count * lanes.lanes, lanes.real)
            padded = [self._padded(i, single.ins[i], whole, left) for i in ins]
            chunk(b.const(width, I64), padded, targets(whole), stride, part, left)
            mask = None
            if not self.folded:
                mask = b.icmp("slt", b.lane_numbers(lanes.integer), b.splat(left, width))
            totals.add(part, mask)
        totals.correct()
        self._finish(single, sums, totals)
        if self.parts is not None:  # behind everything else
            line, parts = self.parts
            b.lines[line] = f"{parts} = getelementptr i8, ptr {self.workspace}, i64 {self.scratch}"

    def _shared_chunks(
        self, whole: Value, full: Callable[[Value, Value], None], totals: Totals, count: int, lanes: Lanes
    ) -> Value:
        """Chunks of many samples, shared among threads; the sums of each wait in memory of their own until
        they are added up in order. The number of samples that is done.
        """
        b = self.b
        many = b.icmp("sgt", whole, b.const(SHARED_FROM, I64))
        size = count * lanes.lanes
        at_once = max(2 * self.module.threads, min(64, PARTS // max(1, size)))
        parts = b.element(self.workspace, 0, I8)
        self.parts = len(b.lines) - 1, parts
        self.shared_scratch = -(-at_once * size * lanes.real.bits // 8 // 64) * 64
        stop = b.select(many, whole, b.const(0, I64))
        with b.loop(b.const(0, I64), stop, at_once * self.chunk) as group:
            begin = group.index
            end = pack.least(b, b.add(begin, b.const(at_once * self.chunk, I64)), whole)

            def place(start: Value) -> Value:
                number = b.lshr(b.sub(start, begin), b.const(self.chunk.bit_length() - 1, I64))
                return b.element(parts, b.mul(number, b.const(size, I64)), lanes.real)

            def some(first: pack.Size, last: pack.Size) -> None:
                with b.loop(pack.value(b, first), pack.value(b, last), self.chunk) as loop:
                    full(loop.index, place(loop.index))

            share(b, begin, end, self.chunk, self._cost() * self.chunk // self.width, some)
            if count:
                with b.loop(begin, pack.value(b, end), self.chunk) as loop:
                    totals.add(place(loop.index))
        return stop

    def _cost(self) -> int:
        """An estimate of the cycles of one block of samples."""
        cost = sum(n.points() * steps_cost(n.body) for n in self.during)
        cost += sum(n.points() * n.inner_points() * steps_cost(n.inner) for n in self.during)
        return cost * self.width // self.b.target.lanes(self.element)

    def _share(self, single: _Straight) -> dict[tuple[Buffer, tuple[int, ...]], Value]:
        """Values computed before the loop that the samples read."""
        needed = {s.buffer for nest in self.during for s in [*nest.inner, *nest.body] if s.op == "load"}
        return {key: value for key, value in single.kept.items() if key[0] in needed}

    def _block_function(
        self, shared: dict[tuple[Buffer, tuple[int, ...]], Value], sums: list[Nest], count: int
    ) -> str:
        name = "symprop.samples"
        b = Builder(self.module)
        kinds = [PTR, PTR, PTR, PTR, PTR, I64, I64, I64, I64]
        arguments = [Value(f"%a{k}", t) for k, t in enumerate(kinds)]
        b.types.update((v.name, v.type) for v in arguments)  # parts of the code may read them
        ins, outs, common, part, workspace, size, stride, samples, counted = arguments
        lanes = Lanes(b, self.element, self.width, self.outlined)
        rows = Pointers(b, ins, self.schedule.inputs)
        columns = Pointers(b, outs, self.schedule.outputs)
        adding = Adding(b, lanes, self.sum_lanes, counted if self.folded and count else None)

        def block(start: Value) -> None:
            here = {i: _advance(b, i, rows[i], start, self.element) for i in self.schedule.inputs}
            there = {
                o: b.element(columns[o], start if o.batched else 0, vector(_memory(o, self.element)))
                for o in self.schedule.outputs
            }
            values = [b.load(b.element(common, k, I64), v.type) for k, v in enumerate(shared.values())]
            kept = {key: b.splat(v, self.width) for key, v in zip(shared, values, strict=True)}
            with splitting(b, "symprop.samples.part", self._room_in(b, workspace)) as cuts:
                apart = self.schedule.work() > MIXED
                code = _Straight(b, lanes, here, there, kept, samples, stride, cuts, apart)
                at = 0
                for nest in self.during:
                    if nest not in sums:
                        code.nest(nest)
                        continue
                    for row in code.sums(nest):
                        for terms in row:
                            adding.to(b.element(part, at * self.sum_lanes, lanes.real), terms)
                            at += 1
            assert at == count

        in_turns(b, size, self.width, block)
        b.emit("ret void")
        b.lines = chains_of_samples(b, b.lines)
        head = ", ".join(f"{t}{' noalias' if t == PTR else ''} %a{k}" for k, t in enumerate(kinds))
        self.module.functions[name] = b.define(f"internal void @{name}({head})")
        return name

    def _row(self, buffer: Buffer, pointer: Value, start: Value) -> Value:
        return _advance(self.b, buffer, pointer, start, self.element)

    def _padded(self, buffer: Buffer, pointer: Value, start: Value, left: Value) -> Value:
        """The last samples of an input, copied to scratch memory that holds a whole block (zeros behind
        them).
        """
        b = self.b
        if not buffer.batched:
            return pointer
        kind = vector(_memory(buffer, self.element))
        size = kind.bits // 8
        scratch = self._room_in(b, self.workspace)(kind, self.width * buffer.entries)
        b.module.declare("llvm.memset.p0.i64", None, [PTR, vector("i8"), I64, vector("i1")])
        b.module.declare("llvm.memcpy.p0.p0.i64", None, [PTR, PTR, I64, vector("i1")])
        whole = size * self.width * buffer.entries
        b.emit(f"call void @llvm.memset.p0.i64(ptr {scratch}, i8 0, i64 {whole}, i1 0)")
        row = self._row(buffer, pointer, start)
        length = b.mul(left, b.const(size * buffer.entries, I64))
        b.emit(f"call void @llvm.memcpy.p0.p0.i64(ptr {scratch}, ptr {row}, i64 {length}, i1 0)")
        return scratch

    # -- sums over the samples ---------------------------------------------------------------------------

    def _finish(self, single: _Straight, sums: list[Nest], totals: Totals) -> None:
        """The sums over the lanes; then what the nests do with them."""
        numbers = iter(totals.numbers())
        for nest in sums:
            single.bodies(nest, [[next(numbers) for _ in nest.reductions] for _ in range(nest.points())])


class _Straight:
    """Straight-line code of nests at static points, for one vector of samples (or one lane without
    samples).
    """

    def __init__(
        self,
        builder: Builder,
        lanes: Lanes,
        ins: dict[Buffer, Value],
        outs: dict[Buffer, Value],
        kept: dict[tuple[Buffer, tuple[int, ...]], Value],
        samples: Value,
        stride: Value | None = None,
        cuts: Cuts | None = None,
        apart: bool = False,
    ) -> None:
        self.b = builder
        self.lanes = lanes
        self.ins = ins
        self.outs = outs
        self.kept = kept  # the entries of temporary buffers, as values
        self.samples = samples
        self.stride = stride
        self.cuts = cuts
        self.loaded: dict[tuple[Buffer, tuple[int, ...]], Value] = {}
        # values for the memory of inputs, written when everything has been read
        self.waiting: list[tuple[Buffer, int, Value]] = []
        self.columns: dict[tuple[Buffer, int], Value] = {}  # entries that were read together with others
        self.constants: dict[object, Value] = {}
        self.packing = Packing(lanes, apart)

    def finish(self) -> None:
        """Nothing may wait at the end."""
        self.packing.finish()

    def overwrite(self) -> None:
        """Write the outputs that lie in the memory of inputs."""
        for buffer, offset, value in self.waiting:
            if self.cuts is not None:
                self.cuts.here()
            self.b.store(value, self.b.element(self.outs[buffer], offset, value.type))
        self.waiting.clear()

    def nest(self, nest: Nest) -> None:
        """Every point of a nest, step by step for several points, whose functions are computed together."""
        points = list(_points(nest.axes))
        size = max(1, len(points)) if self.lanes.lanes == 1 else self.packing.most
        for k in range(0, len(points), size):
            self._side_by_side(nest, points[k : k + size])

    def _side_by_side(self, nest: Nest, points: list[Point]) -> None:
        rows = [self._reduce(nest, point) if nest.reductions else [] for point in points]
        values: list[list[Value]] = [[] for _ in points]
        for step in nest.body:
            for point, reduced, row in zip(points, rows, values, strict=True):
                row.append(self._step(step, point, row, reduced))

    def sums(self, nest: Nest) -> Iterator[list[list[Term]]]:
        """What is added to the sums over samples: for each point of the nest and each of its sums, the terms
        of the current samples.
        """
        axes = tuple(a for a in nest.reduce_axes if a != SAMPLES)
        used = {a for step in nest.inner for a in step.args}
        last = {r.step for r in nest.reductions if nest.inner[r.step].op == "mul"} - used
        for outer in _points(nest.axes):
            row: list[list[Term]] = [[] for _ in nest.reductions]
            for point in _points(axes):
                values: list[Value] = []
                for k, step in enumerate(nest.inner):  # a product that is only added stays two factors
                    values.append(
                        values[step.args[0]] if k in last else self._step(step, outer | point, values, [])
                    )
                for reduction, terms in zip(nest.reductions, row, strict=True):
                    k = reduction.step
                    factors = [values[a] for a in nest.inner[k].args] if k in last else [values[k]]
                    terms.append([self.lanes.to_real(self._need(value)) for value in factors])
            yield row

    def bodies(self, nest: Nest, results: list[list[Value]]) -> None:
        """The body of a nest at every point, with given results of its reductions."""
        for point, reduced in zip(_points(nest.axes), results, strict=True):
            self._steps(nest.body, point, reduced)

    def _reduce(self, nest: Nest, outer: Point) -> list[Value]:
        axes = tuple(a for a in nest.reduce_axes if a != SAMPLES)
        if nest.product:
            points = list(_points(axes))
            # a sample alone waits for each sum: two products at a time (three of an odd number), then a tree
            size = 2 if self.lanes.lanes == 1 else max(1, len(points))
            first = size + len(points) % size
            sums: list[Value] = []
            for k, point in enumerate(points):
                x, y = map(self._need, self._steps(nest.inner[:2], outer | point, []))
                if k == 0 or (k >= first and (k - first) % size == 0):
                    sums.append(self.b.fmul(x, y))
                else:
                    sums[-1] = self.b.fma(x, y, sums[-1])
            return [self._tree("sum", sums)]
        terms: list[list[Value]] = [[] for _ in nest.reductions]
        for point in _points(axes):
            values = self._steps(nest.inner, outer | point, [])
            for reduction, row in zip(nest.reductions, terms, strict=True):
                row.append(self.lanes.to_real(self._need(values[reduction.step])))
        return [self._tree(r.kind, row) for r, row in zip(nest.reductions, terms, strict=True)]

    def _tree(self, kind: str, terms: list[Value]) -> Value:
        """Terms combined in pairs; of no terms (a size that is zero) the sum is 0, the maximum -inf."""
        if not terms:
            return self.lanes.constant(float("-inf") if kind == "max" else 0)
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=False)
            combined = [
                NATIVE["maximum"](self.b, x, y) if kind == "max" else self.b.fadd(x, y) for x, y in pairs
            ]
            terms = combined + terms[len(terms) & ~1 :]
        return terms[0]

    def _steps(self, steps: Iterable[Step], point: Point, reduced: list[Value]) -> list[Value]:
        values: list[Value] = []
        for step in steps:
            values.append(self._step(step, point, values, reduced))
        return values

    def _step(self, step: Step, point: Point, values: list[Value], reduced: list[Value]) -> Value:
        if self.cuts is not None:
            self.cuts.here()
        match step.op:
            case "load":
                return self._load(step, point, values)
            case "store":
                self._store(step, point, values[step.args[0]])
                return values[step.args[0]]
            case "constant":
                key = (step.data, step.kind)
                value = self.constants.get(key) or self.lanes.constant(step.data, step.kind)
                self.constants[key] = value
                return value
            case "reduced":
                return reduced[int(step.data)]
            case "batch_size":
                return self.lanes.to_real(self.b.splat(self.samples, self.lanes.lanes))
            case "position":
                (at,) = step.at
                return self.b.const((point[at.axis] if at.axis else 0) + at.offset, self.lanes.integer)
        args = [values[a] for a in step.args]
        return self.packing.operation(step.op, step.data, step.kind, args)

    def _need(self, value: Value) -> Value:
        """The value, with its code written."""
        return self.packing.need(value)

    def _load(self, step: Step, point: Point, values: list[Value]) -> Value:
        assert step.buffer is not None
        dynamic = [(k, at.step) for k, at in enumerate(step.at) if at.step is not None]
        if dynamic:
            return self._choose(step, point, values)
        where = tuple((point[at.axis] if at.axis else 0) + at.offset for at in step.at)
        return self._entry(step.buffer, where)

    def _entry(self, buffer: Buffer, where: tuple[int, ...]) -> Value:
        key = (buffer, where)
        if buffer.role == "temporary":
            return self.kept[key]
        value = self.loaded.get(key)
        if value is None:
            value = self.loaded[key] = self._fetch(buffer, where)
        return value

    def _fetch(self, buffer: Buffer, where: tuple[int, ...]) -> Value:
        """An input's entry: in every lane, or of each sample in its lane."""
        b, lanes = self.b, self.lanes
        kind = vector(_memory(buffer, lanes.element))
        offset = _row_major(buffer.shape, where)
        pointer = self.ins[buffer]
        if not buffer.batched or lanes.lanes == 1:
            fixed = not buffer.overwritten  # a load from memory that never changes may come late
            return b.splat(b.load(b.element(pointer, offset, kind), kind, fixed), lanes.lanes)
        full: Type = vector(kind.element, lanes.lanes)
        if buffer.entries == 1:
            return b.load(pointer, full, True)
        key = buffer, offset
        if key not in self.columns:
            found = load_columns(b, pointer, kind, buffer.entries, offset, lanes.lanes)
            self.columns |= {(buffer, place): column for place, column in found.items()}
        return self.columns[key]

    def _choose(self, step: Step, point: Point, values: list[Value]) -> Value:
        """An entry at an index that is data: every possible one is looked at, memory outside is never
        touched.
        """
        b, lanes = self.b, self.lanes
        assert step.buffer is not None
        ranges = []
        for at, extent in zip(step.at, step.buffer.shape, strict=True):
            known = (point[at.axis] if at.axis else 0) + at.offset
            ranges.append(range(extent) if at.step is not None else range(known, known + 1))
        result: Value | None = None
        for where in product(*ranges):
            entry = self._need(self._entry(step.buffer, where))
            if result is None:
                result = entry
                continue
            here: Value | None = None
            for at, k in zip(step.at, where, strict=True):
                if at.step is not None:
                    same = b.icmp("eq", values[at.step], b.const(k, lanes.integer))
                    here = same if here is None else b.and_(here, same)
            assert here is not None
            result = b.select(here, entry, result)
        assert result is not None
        return result

    def _store(self, step: Step, point: Point, value: Value) -> None:
        buffer = step.buffer
        assert buffer is not None
        where = tuple((point[at.axis] if at.axis else 0) + at.offset for at in step.at)
        if buffer.role != "temporary":
            self._need(value)
        if buffer.kind == "real":
            value = self.lanes.to_real(value)
        if buffer.role == "temporary":
            self.kept[buffer, where] = value
            return
        if buffer.kind == "boolean":
            value = self.b.convert("zext", value, value.type.of("i8"))
        b, offset = self.b, _row_major(buffer.shape, where)
        pointer = self.outs[buffer]
        if buffer.batched:
            assert self.stride is not None
            if offset:
                pointer = b.element(pointer, b.mul(self.stride, b.const(offset, I64)), value.type)
            b.store(value, pointer)
        elif buffer.overwrites is not None:
            self.waiting.append((buffer, offset, b.extract(value, 0)))
        else:
            b.store(b.extract(value, 0), b.element(pointer, offset, value.type))


def _phases(schedule: Schedule) -> tuple[list[Nest], list[Nest], list[Nest]]:
    """The nests before the loop over samples, in it (sums over samples included), and after it."""
    before: list[Nest] = []
    during: list[Nest] = []
    after: list[Nest] = []
    late: set[Buffer | None] = set()
    for nest in schedule.nests:
        loads = {s.buffer for s in [*nest.inner, *nest.body] if s.op == "load"}
        stores = {s.buffer for s in nest.body if s.op == "store"}
        if SAMPLES in nest.axes or SAMPLES in nest.reduce_axes:
            during.append(nest)
            if SAMPLES in nest.reduce_axes:
                late |= stores
        elif loads & late:
            after.append(nest)
            late |= stores
        else:
            before.append(nest)
    return before, during, after


def _points(axes: tuple[Axis, ...]) -> Iterator[Point]:
    """The points of the axes other than the samples."""
    static = [a for a in axes if a.extent is not None]
    for where in product(*[range(a.extent or 0) for a in static]):
        yield {a.name: k for a, k in zip(static, where, strict=True)}


def _advance(b: Builder, buffer: Buffer, pointer: Value, samples: Value, element: str) -> Value:
    if not buffer.batched:
        return pointer
    kind = vector(_memory(buffer, element))
    offset = samples if buffer.entries == 1 else b.mul(samples, b.const(buffer.entries, I64))
    return b.element(pointer, offset, kind)


def _row_major(shape: tuple[int, ...], where: tuple[int, ...]) -> int:
    offset = 0
    for extent, k in zip(shape, where, strict=True):
        offset = offset * extent + k
    return offset


def _memory(buffer: Buffer, element: str) -> str:
    return {"real": element, "integer": "i64", "boolean": "i8"}[buffer.kind]
