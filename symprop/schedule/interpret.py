"""The loop IR run with NumPy: every step of a nest on a grid of all its points at once.

For tests and for reading: what a schedule means, without any choice of the emitter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from symprop.graph import OPERATIONS
from symprop.schedule.ir import SAMPLES, Axis, Buffer, Kernel, Nest, Schedule, Step

__all__ = ["interpret"]

Array = np.ndarray[Any, Any]
_KINDS = {"real": np.float64, "integer": np.int64, "boolean": np.bool_}


def interpret(schedule: Schedule, inputs: Sequence[Any], samples: int = 1) -> list[Array]:
    """The outputs, each of shape (samples, *shape) where batched, for inputs of such shapes.

    The inputs stay as they are: one that an output overwrites is copied first.
    """
    memory: dict[Buffer, Array] = {}
    for buffer, value in zip(schedule.inputs, inputs, strict=True):
        shape = ((samples,) if buffer.batched else ()) + buffer.shape
        memory[buffer] = np.asarray(value, _KINDS[buffer.kind]).reshape(shape)
        if buffer.overwritten:
            memory[buffer] = memory[buffer].copy()
    for buffer in [*schedule.outputs, *schedule.temporaries]:
        if buffer.overwrites is not None:
            memory[buffer] = memory[buffer.overwrites]
            continue
        shape = ((samples,) if buffer.batched else ()) + buffer.shape
        memory[buffer] = np.zeros(shape, _KINDS[buffer.kind])
    with np.errstate(all="ignore"):
        for nest in schedule.nests:
            if isinstance(nest, Kernel):
                _whole(nest, memory, samples)
            else:
                _run(nest, memory, samples)
    return [memory[buffer] for buffer in schedule.outputs]


def _whole(kernel: Kernel, memory: dict[Buffer, Array], samples: int) -> None:
    """A kernel, one sample after the other."""
    reference = OPERATIONS[kernel.operation].reference
    assert reference is not None
    for row in range(samples if kernel.batched else 1):
        args = [memory[b][row] if b.batched else memory[b] for b in kernel.inputs]
        target = memory[kernel.output]
        target[row if kernel.batched else ...] = reference(kernel.attrs, *args)


def _run(nest: Nest, memory: dict[Buffer, Array], samples: int) -> None:
    axes = [*nest.axes, *nest.reduce_axes]
    grid = _grid(axes, samples)
    count = len(nest.axes)
    shape = tuple(samples if a.extent is None else a.extent for a in axes)
    reduced = []
    if nest.reductions:
        values = _steps(nest.inner, grid, memory, [], samples)
        along = tuple(range(count, len(axes)))
        for reduction in nest.reductions:
            full = np.broadcast_to(values[reduction.step], shape)
            total = full.max(axis=along, initial=-np.inf) if reduction.kind == "max" else full.sum(axis=along)
            reduced.append(total)
    _steps(nest.body, _grid(list(nest.axes), samples), memory, reduced, samples)


def _grid(axes: list[Axis], samples: int) -> dict[str, Array]:
    sizes = [samples if a.extent is None else a.extent for a in axes]
    return dict(zip([a.name for a in axes], np.ix_(*map(np.arange, sizes)), strict=True)) if axes else {}


def _steps(
    steps: Sequence[Step],
    grid: dict[str, Array],
    memory: dict[Buffer, Array],
    reduced: list[Array],
    samples: int,
) -> list[Any]:
    values: list[Any] = []

    def where(step: Step) -> tuple[Any, ...]:
        assert step.buffer is not None
        index: list[Any] = [grid[SAMPLES.name]] if step.buffer.batched else []
        for at in step.at:
            start = values[at.step] if at.step is not None else grid[at.axis] if at.axis is not None else 0
            index.append(start + at.offset)
        return tuple(index)

    for step in steps:
        match step.op:
            case "load":
                assert step.buffer is not None
                value = memory[step.buffer][where(step)]
            case "store":
                assert step.buffer is not None
                value = values[step.args[0]]
                memory[step.buffer][where(step)] = value
            case "constant":
                value = int(step.data) if step.kind == "integer" else float(sp.N(step.data, 30))
            case "reduced":
                value = reduced[step.data]
            case "batch_size":
                value = float(samples)
            case "position":
                (at,) = step.at
                value = (grid[at.axis] if at.axis is not None else 0) + at.offset
            case _:
                reference = OPERATIONS[step.op].reference
                assert reference is not None
                value = reference(step.data, *[np.asarray(values[a]) for a in step.args])
        values.append(value)
    return values
