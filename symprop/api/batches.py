"""Data of a training: checked once, then read batch by batch, never copied as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symprop.api.declaration import name_of
from symprop.errors import ArgumentError
from symprop.run.arguments import Argument, sample_count

__all__ = ["Data", "Plan", "arranged"]

Array = np.ndarray[Any, np.dtype[Any]]
_BLOCK = 1 << 17  # entries that a check looks at in one go


def arranged(X: Any, Y: Any, inputs: Sequence[sp.Basic], what: str = "") -> list[Array]:
    """The arrays of `inputs` in order, out of what a user passes as X and Y.

    An array stands for one input, a tuple for several in order, a mapping for several by symbol or name; Y
    may be None. Nothing is copied that is an array already. Raises `ArgumentError` for a wrong number of
    arrays.
    """
    names = [name_of(s) for s in inputs]
    found: dict[str, Any] = {}
    in_order: list[Any] = []
    for value in (X, Y):
        if isinstance(value, Mapping):
            found.update({name_of(s) if isinstance(s, sp.Basic) else str(s): v for s, v in value.items()})
        elif isinstance(value, tuple):
            in_order.extend(value)
        elif value is not None:
            in_order.append(value)
    unknown = [name for name in found if name not in names]
    if unknown:
        raise ArgumentError(f"{what}data holds {unknown[0]}, which is none of the inputs {', '.join(names)}")
    rest = [name for name in names if name not in found]
    if len(rest) != len(in_order):
        raise ArgumentError(
            f"{what}X and Y hold {len(in_order) + len(found)} arrays for the {len(names)} inputs "
            f"{', '.join(names)}; X is the array of the first input and Y that of the last, tuples stand for "
            "several inputs in order"
        )
    found.update(zip(rest, in_order, strict=True))
    return [_array(found[name], name, what) for name in names]


def _array(value: Any, name: str, what: str) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentError(
            f"{what}{name} is a masked array, expected plain numbers; select the valid samples first"
        )
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever an `__array__` of someone else raises
        raise ArgumentError(f"{what}{name}: NumPy cannot read {type(value).__name__} ({error})") from error
    return array


@dataclass(frozen=True)
class Plan:
    """The batches of one epoch: rows `order[start:stop]` each, or `start:stop` where there is no order."""

    order: Array | None
    bounds: tuple[tuple[int, int], ...]

    def rows(self, number: int) -> Array:
        """The rows of a batch, as numbers of samples."""
        start, stop = self.bounds[number]
        return np.arange(start, stop) if self.order is None else self.order[start:stop]


class Data:
    """Arrays with a sample axis, one for each input; checked when made.

    Raises `ArgumentError` for unequal numbers of samples, for no samples, for NaN and for labels that are out
    of range (`bounds`, by position), with the row; `ShapeError` for samples of another shape.
    """

    def __init__(
        self,
        arrays: Sequence[Array],
        arguments: Sequence[Argument],
        bounds: Sequence[int | None],
        what: str = "",
    ) -> None:
        self.arrays, self.arguments = list(arrays), list(arguments)
        for argument, array in zip(self.arguments, self.arrays, strict=True):
            argument.array(array[:1] if array.ndim else array)  # refuses what holds no real numbers
            argument.fit(array.shape)
        shapes = [a.shape for a in self.arrays]
        self.samples = sample_count(self.arguments, shapes)
        if self.samples == 0:
            raise ArgumentError(f"{what}data holds no samples; pass at least one row")
        for argument, array, bound in zip(self.arguments, self.arrays, bounds, strict=True):
            (_check_labels if argument.integer else _check_numbers)(array, argument.name, bound, what)
        self._buffers: list[Array] = []

    def plan(self, size: int, rng: np.random.Generator | None) -> Plan:
        """Batches of `size` samples, the last one smaller where it must be; in random order with `rng`."""
        order = None if rng is None else rng.permutation(self.samples)
        starts = range(0, self.samples, size)
        return Plan(order, tuple((s, min(s + size, self.samples)) for s in starts))

    def batches(self, plan: Plan, first: int = 0, last: int | None = None) -> Iterator[list[Array]]:
        """The arrays of each batch, as native code reads them; each batch overwrites the one before."""
        for number in range(first, len(plan.bounds) if last is None else last):
            yield self.batch(plan, number)

    def batch(self, plan: Plan, number: int) -> list[Array]:
        """The arrays of one batch: views where the data lie as native code reads them, else copies."""
        start, stop = plan.bounds[number]
        if plan.order is None:
            return [a.array(array[start:stop]) for a, array in zip(self.arguments, self.arrays, strict=True)]
        rows = plan.order[start:stop]
        largest = plan.bounds[0][1] - plan.bounds[0][0]
        if not self._buffers or len(self._buffers[0]) < largest:
            pairs = zip(self.arguments, self.arrays, strict=True)
            self._buffers = [np.empty((largest, *array.shape[1:]), a.dtype) for a, array in pairs]
        result = []
        for buffer, array in zip(self._buffers, self.arrays, strict=True):
            part = buffer[: len(rows)]
            if array.dtype == part.dtype:
                array.take(rows, 0, part, "clip")  # without "clip" NumPy makes a copy more
            else:
                with np.errstate(all="ignore"):
                    np.copyto(part, array[rows], casting="unsafe")
            result.append(part)
        return result


def _blocks(array: Array) -> Iterator[tuple[int, Array]]:
    """The array in parts along its samples, with the number of the first row."""
    width = max(1, int(np.prod(array.shape[1:], dtype=np.int64)))
    rows = max(1, _BLOCK // width)
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def _check_numbers(array: Array, name: str, bound: int | None, what: str) -> None:
    if array.dtype.kind != "f":
        return
    for start, block in _blocks(array):
        bad = np.isnan(block)
        if bad.any():
            row, *inside = (int(k) for k in np.argwhere(bad)[0])
            entry = f", entry {', '.join(map(str, inside))}" if inside else ""
            raise ArgumentError(
                f"{what}{name} holds NaN in row {start + row}{entry}; remove or fill such samples first"
            )


def _check_labels(array: Array, name: str, bound: int | None, what: str) -> None:
    for start, block in _blocks(array):
        with np.errstate(all="ignore"):
            bad = block != np.floor(block) if block.dtype.kind == "f" else np.zeros(block.shape, bool)
            if bound is not None:
                bad |= ~((block >= 0) & (block < bound))
        if bad.any():
            place = np.argwhere(bad)[0]
            value, row = block[tuple(place)].item(), start + int(place[0])
            expected = "a whole number" if bound is None else f"a whole number from 0 to {bound - 1}"
            raise ArgumentError(
                f"{what}{name} holds {value!r} in row {row}, expected {expected}; check the labels, or the "
                "number of classes"
            )
