"""Accesses as strides: how far an index moves in memory, and which axes can be walked as one."""

from __future__ import annotations

from dataclasses import dataclass, field

from symprop.schedule.ir import SAMPLES, Axis, Step

__all__ = ["Access", "Merged", "access_of", "merge_axes"]


@dataclass
class Access:
    """The address of a load or store as strides: element offset = constant + sum of stride * loop
    variable.
    """

    strides: dict[str, int]
    constant: int
    dynamic: list[tuple[int, int]] = field(default_factory=list)  # (number of the step, stride)


class Merged(Axis):
    """Several adjacent axes that every access runs through as one; `factor` times the samples, if these are
    in it.
    """

    factor: int
    over_samples: bool


def merge_axes(axes: list[Axis], accesses: list[Access], fixed: set[str | None]) -> list[Axis]:
    """Adjacent axes that all accesses walk without a gap, as one longer axis."""
    result = list(axes)
    k = len(result) - 2
    while k >= 0:
        first, second = result[k], result[k + 1]
        extent = second.extent
        whole = isinstance(second, Merged) and second.over_samples
        if not whole and extent is not None and not {first.name, second.name} & fixed:
            steps = [(a.strides.get(first.name, 0), a.strides.get(second.name, 0)) for a in accesses]
            if all(outer == inner * extent for outer, inner in steps):
                merged: Axis
                if first.extent is None:
                    merged = Merged(second.name, None)
                    merged.factor, merged.over_samples = extent, True
                else:
                    merged = Axis(second.name, first.extent * extent)
                for access in accesses:
                    access.strides.pop(first.name, None)
                result[k : k + 2] = [merged]
        k -= 1
    return result


def access_of(step: Step) -> Access | None:
    """The strides of a load or store in a row-major buffer."""
    if step.buffer is None:
        return None
    strides: dict[str, int] = {}
    constant = 0
    dynamic: list[tuple[int, int]] = []
    stride = 1
    for extent, at in zip(reversed(step.buffer.shape), reversed(step.at), strict=True):
        if at.step is not None:
            dynamic.append((at.step, stride))
        elif at.axis is not None:
            strides[at.axis] = strides.get(at.axis, 0) + stride
        constant += at.offset * stride
        stride *= extent
    if step.buffer.batched:
        strides[SAMPLES.name] = strides.get(SAMPLES.name, 0) + stride
    return Access(strides, constant, dynamic)
