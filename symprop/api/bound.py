"""A call with everything bound: the arrays of a loop are checked once, then each step is one native call."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symprop.errors import ArgumentError, ShapeError
from symprop.run.arguments import Argument
from symprop.run.bound import straight

__all__ = ["OnlyGradient", "Step", "bindable"]

Array = np.ndarray[Any, np.dtype[Any]]


class OnlyGradient(tuple[Any, ...]):
    """The gradients of a function of one argument: a tuple of one, which NumPy reads as the gradient itself.

    So `(d_x,) = f.grad(x)` and `np.asarray(f.grad(x))` both give what is meant.
    """

    __slots__ = ()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self[0], dtype) if copy or copy is None else np.asarray(self[0], dtype)

    def __float__(self) -> float:
        return float(self[0])


class Step(functools.partial):  # type: ignore[type-arg]
    """A function with its arrays bound: `step()` computes, `step.value` and `step.grads` hold the results.

    The arrays are read where they are, so a change made in place is seen by the next step; the results are
    views of buffers that every step overwrites (copy what must last). It belongs to one thread at a time.

    (A `partial` is called without a Python frame in between, see `symprop.run.bound.straight`.)
    """

    _held: Any
    _values: tuple[Array, ...]
    _grads: tuple[Array, ...]
    _pack: Callable[[Sequence[Any]], Any]
    _fault: str | None

    @classmethod
    def over(
        cls,
        run: Callable[[], None],
        held: Any,
        values: Sequence[Array],
        grads: Sequence[Array],
        pack: Callable[[Sequence[Any]], Any],
        fault: str | None,
    ) -> Step:
        """A step that runs `run`.

        `held` keeps the memory alive, `pack` makes of the gradients what the user gets, `fault` says why
        there are none.
        """
        step = cls(run)
        step._held, step._values, step._grads = held, tuple(values), tuple(grads)
        step._pack, step._fault = pack, fault
        straight(step)
        return step

    @property
    def value(self) -> Any:
        """The output of the latest step: a NumPy scalar, a view, or a tuple of them for several outputs."""
        if len(self._values) == 1:
            value = self._values[0]
            return value if value.ndim else value[()]
        return tuple(v if v.ndim else v[()] for v in self._values)

    @property
    def grads(self) -> Any:
        """The gradients of the latest step: views in the order of `wrt`, one view where it was one symbol."""
        if self._fault is not None:
            raise ShapeError(self._fault)
        return self._pack(self._grads)

    def __repr__(self) -> str:
        return f"<bound step: {len(self._values)} value(s), {len(self._grads)} gradient(s)>"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a bound step holds memory of this process and cannot be pickled; pickle the Function"
        )

    def __copy__(self) -> Step:
        return self

    def __deepcopy__(self, memo: Any) -> Step:
        return self


def bindable(argument: Argument, value: Any) -> Array:
    """The array that a step reads: the very array that was passed, or a copy of a number.

    Raises `ArgumentError` that names the difference for an array that native code cannot read where it is.
    Labels of another integer type are given back as they are, for the step to read them anew each time.
    """
    name, dtype = argument.name, argument.dtype
    if isinstance(value, np.ma.MaskedArray) or not isinstance(value, np.ndarray):
        number = isinstance(value, (numbers.Number, np.generic))
        if number and argument.shape in ((), (1, 1)) and not argument.batched:
            return argument.array(value).copy()
        raise ArgumentError(
            f"argument {name}: bind takes a NumPy array, which is read where it is, found "
            f"{type(value).__name__}; pass np.array(..., dtype=np.{dtype.name})"
        )
    if argument.integer and value.dtype.kind in "iub" and value.dtype.isnative:
        pass
    elif value.dtype != dtype:
        advice = f"{name}.astype(np.{dtype.name})"
        raise ArgumentError(
            f"argument {name}: bind takes an array of {dtype}, found {value.dtype}; pass {advice}"
        )
    if not value.flags.c_contiguous:
        raise ArgumentError(
            f"argument {name}: bind takes a C-contiguous array, found strides {value.strides} for shape "
            f"{value.shape}; pass np.ascontiguousarray({name}), or call the function, which converts"
        )
    if not value.flags.aligned:
        raise ArgumentError(
            f"argument {name}: bind takes an aligned array, found an unaligned one; pass {name}.copy()"
        )
    return np.asarray(value)
