"""Nests of loops as native code: one axis of each nest runs in vector lanes, the others are loops or
unrolled.

The lanes are chosen by the strides of the accesses: an axis along which most arrays are contiguous. The last,
partial vector of a row runs the same code under a mask, so every element has the same bits wherever it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod

from symprop.emit.builder import I8, I64, PTR, Builder, Value, vector
from symprop.emit.frame import Frame
from symprop.emit.math import CALLS
from symprop.emit.order import chains_of_samples
from symprop.emit.pack import Size, add, multiply, value
from symprop.emit.parallel import own_room, share, steps_cost
from symprop.emit.products import product_kernel
from symprop.emit.strides import Access, Merged, access_of, merge_axes
from symprop.emit.table import NATIVE, Lanes
from symprop.schedule.ir import Axis, Buffer, Nest, Step

__all__ = ["LoopEmitter"]

UNROLL = 8  # loops of at most so many turns are written out
BLOCK = 512  # terms summed in a row before their sum is added to the total, so that long sums keep digits
CHAINS = 4  # accumulators of a sum along the lanes, to hide the latency of the addition
MANY = 16  # turns of an outer loop from which threads share them, and not those of the vectors
LINE = 4  # vectors that threads never split, so that they write to cache lines of their own


class LoopEmitter:
    """Writes nests into a function; `pointers` has the address of every buffer, `samples` the number of
    samples.
    """

    def __init__(
        self,
        builder: Builder,
        element: str,
        pointers: dict[Buffer, Value],
        samples: Value,
        workspace: Value,
        outlined: frozenset[str] = frozenset(),
    ) -> None:
        self.b = builder
        self.workspace = workspace
        self.element = element
        self.pointers = pointers
        self.samples = samples
        self.outlined = outlined
        self.width = builder.target.lanes(element)
        self._scratch_used = 0
        self.scratch_size = 0  # bytes that the nests use, one after the other, at the start of the workspace
        self.part: dict[str, tuple[Size, Size]] = {}  # of an axis that threads share: first turn, last turn

    # -- one nest ----------------------------------------------------------------------------------------

    def reduction(self, nest: Nest, use: Callable[[Value], None]) -> None:
        """Write a nest that is one reduction to a number, and hand the number to `use`."""
        lanes = Lanes(self.b, self.element, self.width if nest.reduce_axes else 1, self.outlined)
        inner = [access_of(s) for s in nest.inner]
        frame = Frame(lanes, nest.reduce_axes[0].name if nest.reduce_axes else None, {})
        (value,) = _Work(self, nest, inner, [], list(nest.reduce_axes)).reduce(frame)
        use(self.b.extract(value, 0))

    def begin(self) -> None:
        """Give back the scratch memory of the nest before."""
        self._scratch_used = 0

    def nest(self, nest: Nest) -> None:
        """Write one nest."""
        self.begin()
        if nest.product and product_kernel(self, nest):
            return
        axes, reduce_axes = list(nest.axes), list(nest.reduce_axes)
        inner = [access_of(s) for s in nest.inner]
        body = [access_of(s) for s in nest.body]
        uses = [s for s in [*nest.inner, *nest.body] if s.op == "position"]
        fixed = {i.axis for s in uses for i in s.at}
        axes = merge_axes(axes, [a for a in [*inner, *body] if a], fixed)
        if not nest.product or len(reduce_axes) > 1:
            reduce_axes = merge_axes(reduce_axes, [a for a in inner if a], fixed)
        chosen = self._vector_axis(axes, reduce_axes, inner, body)
        lanes = Lanes(self.b, self.element, self.width if chosen else 1, self.outlined)
        work = _Work(self, nest, inner, body, reduce_axes)
        outer = [a for a in axes if a != chosen]

        pairs = chosen in axes and not nest.inner and any(s.op in CALLS for s in nest.body)

        def write() -> None:
            frame = Frame(lanes, chosen.name if chosen else None, {})
            begin = len(self.b.lines)
            with self.nested(outer, frame.at):
                if chosen is not None and chosen in axes:
                    for at, mask in self._vectors(chosen, lanes, pairs):
                        frame.at[chosen.name] = at
                        frame.mask = mask
                        work.point(frame)
                else:
                    work.point(frame)
            if pairs:
                self.b.lines[begin:] = chains_of_samples(self.b, self.b.lines[begin:], apart=True)

        if outer and (chosen not in axes or self.many(outer[0])):
            self.share(outer[0], 1, self._cost(nest, axes, outer[0], reduce_axes, lanes), write)
        elif chosen in axes:
            unit = LINE * lanes.lanes
            cost = self._cost(nest, axes, chosen, reduce_axes, lanes)
            self.share(chosen, unit, multiply(self.b, cost, unit), write)
        else:
            write()

    def _cost(
        self, nest: Nest, axes: Sequence[Axis], shared: Axis, reduce_axes: Sequence[Axis], lanes: Lanes
    ) -> Size:
        """An estimate of the cycles of one turn of an axis, with everything in it."""
        b = self.b
        if b.module.threads == 1 or b.thread is not None:
            return 0
        around = [a for a in axes if a != shared]
        cost: Size = -(-steps_cost(nest.body) // lanes.lanes)
        if nest.inner:
            inner: Size = -(-steps_cost(nest.inner) // lanes.lanes)
            for axis in reduce_axes:
                inner = multiply(b, inner, self.turns(axis))
            cost = add(b, cost, inner)
        for axis in around:
            cost = multiply(b, cost, self.turns(axis))
        return cost

    def share(self, axis: Axis, unit: int, cost: Size, write: Callable[[], None]) -> None:
        """Write a nest whose turns of an axis are shared among threads, in multiples of `unit`."""

        def part(first: Size, last: Size) -> None:
            self.part[axis.name] = first, last
            write()
            del self.part[axis.name]

        share(self.b, 0, self.turns(axis), unit, cost, part)

    def _vector_axis(
        self, axes: list[Axis], reduce_axes: list[Axis], inner: list[Access | None], body: list[Access | None]
    ) -> Axis | None:
        """The axis for the lanes: few strided accesses first, then long rows, outer axes before reduced
        ones.
        """
        best: tuple[float, ...] | None = None
        chosen = None
        for axis in [*reduce_axes, *axes]:
            if axis.extent is not None and axis.extent < 2:
                continue
            found = inner if axis in reduce_axes else [*inner, *body]
            strided = sum(1 for a in found if a is not None and abs(a.strides.get(axis.name, 0)) > 1)
            strided += sum(1 for a in found if a is not None and a.dynamic)
            extent = 10**6 if axis.extent is None else axis.extent
            filled = extent / (-(-extent // self.width) * self.width)
            score = (-strided, filled >= 0.5, axis not in reduce_axes, filled, extent)
            if best is None or score >= best:
                best, chosen = score, axis
        return chosen

    # -- loops -------------------------------------------------------------------------------------------

    @contextmanager
    def nested(self, axes: Sequence[Axis], at: dict[str, Value]) -> Iterator[None]:
        """Loops over the axes, the first outermost; their variables are entered into `at`."""
        with ExitStack() as loops:
            for axis in axes:
                first, last = self.part.get(axis.name, (0, self.turns(axis)))
                loop = loops.enter_context(self.b.loop(value(self.b, first), value(self.b, last)))
                at[axis.name] = loop.index
            yield

    def scratch(self, count: Size) -> Value:
        """Memory for `count` numbers until the end of the nest."""
        assert isinstance(count, int)
        pointer = self.b.element(self.workspace, self._scratch_used, I8)
        size = -(-count * vector(self.element).bits // 8 // 64) * 64
        self._scratch_used += size * (1 if self.b.thread is None else self.b.module.threads)
        self.scratch_size = max(self.scratch_size, self._scratch_used)
        return own_room(self.b, pointer, size, "i8")

    def turns(self, axis: Axis) -> Size:
        """The turns of a loop over an axis, as a number where it is known."""
        if axis.extent is None or (isinstance(axis, Merged) and axis.over_samples):
            return self.total(axis)
        return axis.extent

    def many(self, axis: Axis) -> bool:
        """True for an axis whose turns are worth sharing among threads."""
        return axis.extent is None or axis.extent >= MANY

    def total(self, axis: Axis) -> Value:
        """The turns of a loop over an axis."""
        if isinstance(axis, Merged) and axis.over_samples:
            return self.b.mul(self.samples, self.b.const(axis.factor, I64))
        return self.samples if axis.extent is None else self.b.const(axis.extent, I64)

    def _vectors(self, axis: Axis, lanes: Lanes, pairs: bool = False) -> Iterator[tuple[Value, Value | None]]:
        """Start and mask of each vector along an axis: a loop over whole ones, then one masked rest.

        The body of the caller's loop is written once for whole vectors and once, under a mask, for the rest.
        With `pairs` two whole vectors go side by side, for what waits long for its results, and the mask
        serves the last two.
        """
        b, width = self.b, lanes.lanes
        if pairs and (axis.extent is None or axis.extent >= 2 * width):
            yield from self._pairs(axis, lanes)
            return
        first, last = self.part.get(axis.name, (0, axis.extent))
        known = isinstance(first, int) and isinstance(last, int)
        if axis.extent is not None and not isinstance(axis, Merged) and known:
            whole, rest = axis.extent // width * width, axis.extent % width
            if whole // width <= 2:
                for start in range(0, whole, width):
                    yield b.const(start, I64), None
            else:
                with b.loop(b.const(0, I64), b.const(whole, I64), width) as loop:
                    yield loop.index, None
            if rest:
                yield (
                    b.const(whole, I64),
                    b.icmp("slt", b.lane_numbers(lanes.integer), b.const(rest, lanes.integer)),
                )
            return
        total = self.total(axis) if known or last is None else value(b, last)
        whole_ = b.and_(total, b.const(-width, I64))  # parts begin with whole vectors
        with b.loop(value(b, first), whole_, width) as loop:
            yield loop.index, None
        rest_ = b.sub(total, whole_)
        with b.when(b.icmp("sgt", rest_, b.const(0, I64))):
            yield whole_, b.icmp("slt", b.lane_numbers(lanes.integer), b.splat(rest_, width))

    def _pairs(self, axis: Axis, lanes: Lanes) -> Iterator[tuple[Value, Value | None]]:
        b, width = self.b, lanes.lanes
        first, last = self.part.get(axis.name, (0, None))
        total = self.total(axis) if last is None else value(b, last)
        whole = b.and_(total, b.const(-2 * width, I64))  # parts begin with whole pairs
        with b.loop(value(b, first), whole, 2 * width) as loop:
            yield loop.index, None
            yield b.add(loop.index, b.const(width, I64)), None
        with b.loop(whole, total, width) as loop:
            rest = b.splat(b.sub(total, loop.index), width)
            yield loop.index, b.icmp("slt", b.lane_numbers(lanes.integer), rest)

    # -- accesses ----------------------------------------------------------------------------------------

    def load(self, step: Step, access: Access, frame: Frame, values: list[Value]) -> Value:
        """The value at the current point, in every lane."""
        assert step.buffer is not None
        b, lanes = self.b, frame.lanes
        kind = lanes.type_of(step.kind)
        memory = _memory_element(step.kind, self.element)
        stride = access.strides.get(frame.axis, 0) if frame.axis else 0
        base = self.address(step.buffer, access, frame.at, memory)
        if access.dynamic or stride not in (0, 1):
            loaded = self._gather(base, memory, access, stride, frame, values)
        elif stride == 0 or lanes.lanes == 1:
            loaded = b.splat(b.load(base, vector(memory)), lanes.lanes)
        elif frame.mask is not None:
            full = vector(memory, lanes.lanes)
            loaded = b.masked_load(base, full, frame.mask, Value("zeroinitializer", full))
        else:
            loaded = b.load(base, vector(memory, lanes.lanes))
        return b.convert("trunc", loaded, kind) if step.kind == "boolean" else loaded

    def _gather(
        self, base: Value, memory: str, access: Access, stride: int, frame: Frame, values: list[Value]
    ) -> Value:
        b, lanes = self.b, frame.lanes
        offset = b.mul(b.lane_numbers(lanes.integer), b.const(stride, lanes.integer))
        for number, scale in access.dynamic:
            offset = b.add(offset, b.mul(values[number], b.const(scale, lanes.integer)))
        kind = vector(memory, lanes.lanes)
        if lanes.lanes == 1:
            return b.load(b.element(base, offset, kind), kind)
        where = vector("ptr", lanes.lanes)
        pointers = b.assign(where, f"getelementptr {memory}, ptr {base}, {offset.type} {offset}")
        mask = frame.mask or b.const(1, lanes.boolean)
        name = f"llvm.masked.gather.{kind.suffix}.v{lanes.lanes}p0"
        b.module.declare(name, kind, [where, lanes.boolean, kind])
        size = max(1, kind.bits // 8)
        return b.assign(
            kind,
            f"call {kind} @{name}({where} align {size} {pointers}, "
            f"{mask.type} {mask}, {kind} zeroinitializer)",
        )

    def store(self, step: Step, access: Access, frame: Frame, value: Value) -> None:
        """Write the value of every lane."""
        assert step.buffer is not None
        b, lanes = self.b, frame.lanes
        memory = _memory_element(step.buffer.kind, self.element)
        if step.buffer.kind == "real":
            value = lanes.to_real(value)
        elif step.buffer.kind == "boolean":
            value = b.convert("zext", value, vector("i8", lanes.lanes))
        stride = access.strides.get(frame.axis, 0) if frame.axis else 0
        base = self.address(step.buffer, access, frame.at, memory)
        if lanes.lanes == 1 or (stride == 1 and frame.mask is None):
            b.store(value, base)
        elif stride == 1:
            assert frame.mask is not None
            b.masked_store(value, base, frame.mask)
        elif stride == 0:
            b.store(b.extract(value, 0), base)
        else:
            kind, where = value.type, vector("ptr", lanes.lanes)
            offset = b.mul(b.lane_numbers(lanes.integer), b.const(stride, lanes.integer))
            pointers = b.assign(where, f"getelementptr {memory}, ptr {base}, {offset.type} {offset}")
            mask = frame.mask or b.const(1, lanes.boolean)
            name = f"llvm.masked.scatter.{kind.suffix}.v{lanes.lanes}p0"
            b.module.declare(name, None, [kind, where, lanes.boolean])
            size = max(1, kind.bits // 8)
            b.emit(f"call void @{name}({kind} {value}, {where} align {size} {pointers}, {mask.type} {mask})")

    def address(self, buffer: Buffer, access: Access, at: dict[str, Value], memory: str) -> Value:
        """The address of the first lane."""
        b = self.b
        offset: Value | None = None
        for axis, stride in access.strides.items():
            term = at[axis] if stride == 1 else b.mul(at[axis], b.const(stride, I64))
            offset = term if offset is None else b.add(offset, term)
        pointer = self.pointers[buffer]
        if offset is not None:
            pointer = b.element(pointer, offset, vector(memory))
        return b.element(pointer, access.constant, vector(memory)) if access.constant else pointer

    def steps(
        self, steps: Sequence[Step], accesses: Sequence[Access | None], frame: Frame, reduced: list[Value]
    ) -> list[Value]:
        """Write the steps at the current point; the value of each."""
        b, lanes = self.b, frame.lanes
        values: list[Value] = []
        nothing = Value("poison", PTR)
        for step, access in zip(steps, accesses, strict=True):
            match step.op:
                case "load":
                    assert access is not None
                    value = self.load(step, access, frame, values)
                case "store":
                    assert access is not None
                    self.store(step, access, frame, values[step.args[0]])
                    value = nothing
                case "constant":
                    value = lanes.constant(step.data, step.kind)
                case "reduced":
                    value = reduced[step.data]
                case "batch_size":
                    value = lanes.to_real(b.splat(self.samples, lanes.lanes))
                case "position":
                    (at,) = step.at
                    start = b.splat(frame.at[at.axis], lanes.lanes) if at.axis else b.const(0, lanes.integer)
                    value = b.add(start, b.const(at.offset, lanes.integer))
                    if at.axis == frame.axis and at.axis is not None:
                        value = b.add(value, b.lane_numbers(lanes.integer))
                case "outside":
                    high = b.icmp("uge", values[step.args[0]], b.const(step.data, lanes.integer))
                    value = b.convert("uitofp", high, lanes.real)
                case _:
                    value = lanes.operation(step.op, step.data, step.kind, [values[a] for a in step.args])
            values.append(value)
        return values


class _Work:
    """What a nest does at one point: its reductions, then its body."""

    def __init__(
        self,
        emitter: LoopEmitter,
        nest: Nest,
        inner: list[Access | None],
        body: list[Access | None],
        reduce_axes: list[Axis],
    ) -> None:
        self.e = emitter
        self.nest = nest
        self.inner = inner
        self.body = body
        self.reduce_axes = reduce_axes

    def point(self, frame: Frame) -> None:
        reduced = self.reduce(frame) if self.nest.reductions else []
        self.e.steps(self.nest.body, self.body, frame, reduced)

    # -- reductions --------------------------------------------------------------------------------------

    def _start(self, frame: Frame) -> list[Value]:
        real = frame.lanes.real
        return [
            frame.lanes.b.const(float("-inf") if r.kind == "max" else 0.0, real) for r in self.nest.reductions
        ]

    def _combine(self, kind: str, total: Value, value: Value) -> Value:
        return NATIVE["maximum"](self.e.b, total, value) if kind == "max" else self.e.b.fadd(total, value)

    def _accumulate(self, frame: Frame, totals: list[Value]) -> list[Value]:
        """The totals with the values of the current point."""
        b, lanes = self.e.b, frame.lanes
        along = any(a.name == frame.axis for a in self.reduce_axes)
        if self.nest.product:
            x, y = self.e.steps(self.nest.inner[:2], self.inner[:2], frame, [])[:2]
            new = [b.fma(x, y, totals[0])]
        else:
            values = self.e.steps(self.nest.inner, self.inner, frame, [])
            new = [
                self._combine(r.kind, total, lanes.to_real(values[r.step]))
                for r, total in zip(self.nest.reductions, totals, strict=True)
            ]
        if along and frame.mask is not None:
            return [b.select(frame.mask, n, t) for n, t in zip(new, totals, strict=True)]
        return new

    def reduce(self, frame: Frame) -> list[Value]:
        """The results of the reductions at the current point of the outer axes, in every lane."""
        along = [a for a in self.reduce_axes if a.name == frame.axis]
        across = [a for a in self.reduce_axes if a.name != frame.axis]
        outer_mask = frame.mask
        totals = self._loops(across, along, frame, self._start(frame))
        frame.mask = outer_mask
        if not along:
            return totals
        return [
            self.e.b.splat(self._across_lanes(r.kind, t), frame.lanes.lanes)
            for r, t in zip(self.nest.reductions, totals, strict=True)
        ]

    def _loops(self, across: list[Axis], along: list[Axis], frame: Frame, totals: list[Value]) -> list[Value]:
        b = self.e.b
        if not across:
            return self._vector_sum(along[0], frame, totals) if along else self._accumulate(frame, totals)
        axis, rest = across[0], across[1:]
        if axis.extent is not None and not isinstance(axis, Merged) and axis.extent <= UNROLL:
            for k in range(axis.extent):
                frame.at[axis.name] = b.const(k, I64)
                totals = self._loops(rest, along, frame, totals)
            return totals

        def run(start: Value, stop: Value, carry: list[Value]) -> list[Value]:
            with b.loop(start, stop, 1, carry) as loop:
                frame.at[axis.name] = loop.index
                if long:
                    part = self._loops(rest, along, frame, self._start(frame))
                    loop.next = self._combined(loop.carried, part)
                else:
                    loop.next = self._loops(rest, along, frame, loop.carried)
            return loop.results

        # what takes several additions in each turn of this loop is a sum of its own
        turns = [self.e.turns(a) for a in (*rest, *along)]
        known = [n for n in turns if isinstance(n, int)]
        long = len(known) < len(turns) or prod(known) > 2 * (frame.lanes.lanes if along else 1)
        return self._in_blocks(self.e.total(axis), _known(axis), 1, frame, totals, run)

    def _in_blocks(
        self,
        end: Value,
        known: int | None,
        step: int,
        frame: Frame,
        totals: list[Value],
        run: Callable[[Value, Value, list[Value]], list[Value]],
    ) -> list[Value]:
        """Long sums, up to `end`, `known` or not, in blocks: the sum of each block is added to the total."""
        b = self.e.b
        zero = b.const(0, I64)
        if known is not None and known <= BLOCK * step:
            return run(zero, end, totals)
        with b.loop(zero, end, BLOCK * step, totals) as loop:
            stop = b.add(loop.index, b.const(BLOCK * step, I64))
            stop = b.select(b.icmp("slt", stop, end), stop, end)
            loop.next = self._combined(loop.carried, run(loop.index, stop, self._start(frame)))
        return loop.results

    def _combined(self, totals: list[Value], parts: list[Value]) -> list[Value]:
        return [
            self._combine(r.kind, t, p) for r, t, p in zip(self.nest.reductions, totals, parts, strict=True)
        ]

    def _vector_sum(self, axis: Axis, frame: Frame, totals: list[Value]) -> list[Value]:
        """Along the lanes: several chains of whole vectors, then single vectors, then the masked rest."""
        b, width = self.e.b, frame.lanes.lanes
        total = self.e.total(axis)
        zero, count = b.const(0, I64), len(totals)
        static = _known(axis)
        whole = (
            b.const(static // width * width, I64)
            if static is not None
            else b.and_(total, b.const(-width, I64))
        )
        frame.mask = None

        def single(start: Value, stop: Value, carry: list[Value]) -> list[Value]:
            with b.loop(start, stop, width, carry) as loop:
                frame.at[axis.name] = loop.index
                loop.next = self._accumulate(frame, loop.carried)
            return loop.results

        done = zero
        if static is None or static >= CHAINS * width:
            wide = CHAINS * width
            done = (
                b.const(static // wide * wide, I64)
                if static is not None
                else b.and_(total, b.const(-wide, I64))
            )

            def run(start: Value, stop: Value, carry: list[Value]) -> list[Value]:
                chains = [list(carry), *[self._start(frame) for _ in range(CHAINS - 1)]]
                with b.loop(start, stop, wide, [v for chain in chains for v in chain]) as loop:
                    following: list[Value] = []
                    for k in range(CHAINS):
                        frame.at[axis.name] = b.add(loop.index, b.const(k * width, I64))
                        following += self._accumulate(frame, loop.carried[k * count : (k + 1) * count])
                    loop.next = following
                parts = [loop.results[k * count : (k + 1) * count] for k in range(CHAINS)]
                while len(parts) > 1:
                    parts = [self._combined(x, y) for x, y in zip(parts[::2], parts[1::2], strict=True)]
                return parts[0]

            totals = self._in_blocks(done, static, wide, frame, totals, run)
        totals = single(done, whole, totals)
        if static is None or static % width:
            rest = b.splat(b.sub(total, whole), width)
            frame.mask = b.icmp("slt", b.lane_numbers(frame.lanes.integer), rest)
            frame.at[axis.name] = whole
            totals = self._accumulate(frame, totals)
        return totals

    def _across_lanes(self, kind: str, value: Value) -> Value:
        """The lanes of a vector combined in a fixed tree."""
        b, lanes = self.e.b, value.type.lanes
        while lanes > 1:
            lanes //= 2
            low, high = b.shuffle(value, None, range(lanes)), b.shuffle(value, None, range(lanes, 2 * lanes))
            if lanes == 1:
                low, high = b.extract(value, 0), b.extract(value, 1)
            value = self._combine(kind, low, high)
        return value


def _known(axis: Axis) -> int | None:
    """The turns of a loop over an axis, where they are the same in every call."""
    return None if isinstance(axis, Merged) else axis.extent


def _memory_element(kind: str, element: str) -> str:
    return {"real": element, "integer": "i64", "boolean": "i8"}[kind]
