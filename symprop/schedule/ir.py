"""The loop IR: nests of loops over any number of axes, whose bodies are straight lists of scalar steps.

A `Nest` runs its `body` once for every point of its `axes`; before it, where there are `reduce_axes`, the
`inner` steps run for every point of these and their values are reduced (`sum`, `max`). So one form serves
elementwise work, row sums, matrix products with what follows them, and sums over samples. The sample axis is
an axis like the others: its extent is known only at the call (`None`).

Nothing here says how wide vectors are, which loop is unrolled or which kernel computes a product: that is the
emitter's choice, guided by the plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["SAMPLES", "At", "Axis", "Buffer", "Check", "Kernel", "Nest", "Reduction", "Schedule", "Step"]


class Axis(NamedTuple):
    """A loop: its name and extent; None is the number of samples of the call."""

    name: str
    extent: int | None


SAMPLES = Axis("n", None)


class At(NamedTuple):
    """One index of an access: a loop variable plus an offset, or an offset alone, or the value of a step."""

    axis: str | None = None
    offset: int = 0
    step: int | None = None

    def __str__(self) -> str:
        if self.step is not None:
            return f"[%{self.step}]"
        if self.axis is None:
            return str(self.offset)
        return f"{self.axis}+{self.offset}" if self.offset else self.axis


@dataclass(eq=False)
class Buffer:
    """An array: `shape` of one sample, a leading sample axis where `batched`; `kind` is real, integer or
    boolean.

    `role` is input, output or temporary. An output of a small network may be stored with the samples
    innermost (`samples_last`), so that vectors over samples are stored whole. An output that `overwrites` an
    input is written where the input lies (see `symprop/schedule/inplace.py`).
    """

    name: str
    shape: tuple[int, ...]
    batched: bool
    kind: str
    role: str
    number: int = -1  # place among the inputs or outputs
    samples_last: bool = False
    symbol: Any = None
    overwrites: Buffer | None = None  # the input in whose memory an output lies
    overwritten: bool = False  # an input that an output overwrites

    @property
    def entries(self) -> int:
        """Numbers per sample."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


class Step(NamedTuple):
    """One scalar instruction: `load`, `store`, `constant`, `position` (a loop variable), `reduced` (a
    reduction's result), or an elementwise operation of the lowered program by its name. `args` are numbers of
    earlier steps of the same list."""

    op: str
    args: tuple[int, ...] = ()
    buffer: Buffer | None = None
    at: tuple[At, ...] = ()
    data: Any = (
        None  # the value of a constant, the axis of a position, the number of a reduction, or attributes
    )
    kind: str = "real"


class Reduction(NamedTuple):
    """The values of step `step` of the inner list, reduced over the reduce axes."""

    kind: str  # "sum" or "max"
    step: int


@dataclass(eq=False)
class Nest:
    """Loops over `axes`, with reductions over `reduce_axes` first where there are some."""

    axes: tuple[Axis, ...]
    reduce_axes: tuple[Axis, ...] = ()
    inner: list[Step] = field(default_factory=list)
    reductions: list[Reduction] = field(default_factory=list)
    body: list[Step] = field(default_factory=list)
    product: bool = False  # inner is load, load, mul: a place for a matrix product kernel

    @property
    def batched(self) -> bool:
        """True if the samples are among the outer axes."""
        return SAMPLES in self.axes

    def points(self, samples: int = 1) -> int:
        """Points of the outer axes, for a number of samples."""
        return _volume(self.axes, samples)

    def inner_points(self, samples: int = 1) -> int:
        """Points of the reduce axes."""
        return _volume(self.reduce_axes, samples)

    def __str__(self) -> str:
        lines = [f"for {_text(self.axes)}:"]
        if self.reduce_axes:
            lines.append(f"  {'product' if self.product else 'reduce'} over {_text(self.reduce_axes)}:")
            lines += [f"    {_line(k, s)}" for k, s in enumerate(self.inner)]
            lines += [f"    r{k} = {r.kind} %{r.step}" for k, r in enumerate(self.reductions)]
        lines += [f"  {_line(k, s)}" for k, s in enumerate(self.body)]
        return "\n".join(lines)


@dataclass(eq=False)
class Kernel(Nest):
    """An operation on whole arrays in the place of a nest, per sample or once: a factorisation, a solve.

    Its body only names the buffers: a load of each input, a store of the output. `node` is the matrix whose
    equations are solved, where a singular one is an error of the call.
    """

    operation: str = ""
    attrs: tuple[Any, ...] = ()
    node: Any = None

    @staticmethod
    def of(
        operation: str, attrs: tuple[Any, ...], inputs: Iterable[Buffer], output: Buffer, node: Any = None
    ) -> Kernel:
        """The kernel that works on these buffers."""
        body = [Step("load", (), buffer, kind=buffer.kind) for buffer in inputs]
        body.append(Step("store", (0,), output))
        axes = (SAMPLES,) if output.batched else ()
        return Kernel(axes, body=body, operation=operation, attrs=attrs, node=node)

    @property
    def inputs(self) -> list[Buffer]:
        """What it reads."""
        return [s.buffer for s in self.body if s.op == "load" and s.buffer is not None]

    @property
    def output(self) -> Buffer:
        """What it writes."""
        buffer = self.body[-1].buffer
        assert buffer is not None
        return buffer

    def points(self, samples: int = 1) -> int:
        """An estimate of the work: for every entry of the output a row of the matrix."""
        return super().points(samples) * max(1, self.output.entries) * self.inputs[0].shape[-1]

    def __str__(self) -> str:
        inputs = ", ".join(b.name for b in self.inputs)
        attrs = "".join(f", {a}" for a in self.attrs)
        return f"for {_text(self.axes)}:\n  {self.output.name} = {self.operation}({inputs}{attrs})"


class Check(NamedTuple):
    """The values of an index, which must lie in 0 .. bound - 1 for every sample: a nest whose one reduction
    counts the values outside."""

    node: Any
    bound: int
    nest: Nest


@dataclass
class Schedule:
    """Everything the emitter needs: buffers, checks of indices, nests in order."""

    inputs: list[Buffer]
    outputs: list[Buffer]
    temporaries: list[Buffer]
    checks: list[Check]
    nests: list[Nest]
    mode: str = "loops"  # "unrolled": every index is static, values stay in registers, samples lie in lanes
    reasons: list[str] = field(default_factory=list)
    kernels: list[str] = field(default_factory=list)  # what the emitter chose for the products, in order
    memory: Any = None  # where the temporaries lie (`symprop/schedule/memory.py`), once that is decided

    @property
    def solves(self) -> list[Kernel]:
        """The kernels that report a singular matrix, in order."""
        return [n for n in self.nests if isinstance(n, Kernel) and n.node is not None]

    @property
    def has_samples(self) -> bool:
        """False where the program is that of a sample alone."""
        return any(SAMPLES in nest.axes or SAMPLES in nest.reduce_axes for nest in self.nests)

    def work(self, samples: int = 1) -> int:
        """Steps of a call with that many samples."""
        return sum(
            n.points(samples) * (len(n.body) + len(n.inner) * n.inner_points(samples)) for n in self.nests
        )

    def __str__(self) -> str:
        parts = [f"mode: {self.mode}", *self.reasons]
        for role, buffers in (("in", self.inputs), ("out", self.outputs), ("temporary", self.temporaries)):
            parts += [
                f"{role} {b.name}{' N x' if b.batched else ''} {b.shape} {b.kind}"
                f"{f' in place of {b.overwrites.name}' if b.overwrites is not None else ''}"
                for b in buffers
            ]
        parts += [
            f"check 0 <= {c.node.attrs[0] if c.node.op == 'symbol' else 'index'} < {c.bound}"
            for c in self.checks
        ]
        parts += [f"kernel: {text}" for text in self.kernels]
        if self.memory is not None and self.temporaries:
            parts.append(str(self.memory))
        parts += [str(nest) for nest in self.nests]
        return "\n".join(parts)

    __repr__ = __str__


def _volume(axes: Iterable[Axis], samples: int) -> int:
    count = 1
    for axis in axes:
        count *= samples if axis.extent is None else axis.extent
    return count


def _text(axes: Iterable[Axis]) -> str:
    return ", ".join(f"{a.name} < {'N' if a.extent is None else a.extent}" for a in axes) or "once"


def _line(number: int, step: Step) -> str:
    args = ", ".join(f"%{a}" for a in step.args)
    if step.op == "store":
        assert step.buffer is not None
        return f"{step.buffer.name}[{', '.join(map(str, step.at))}] = {args}"
    if step.op == "load":
        assert step.buffer is not None
        return f"%{number} = {step.buffer.name}[{', '.join(map(str, step.at))}]"
    data = "" if step.data in (None, ()) else f" {step.data}"
    return f"%{number} = {step.op}{data} {args}".rstrip()
