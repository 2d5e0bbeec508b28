"""Arguments of a call: what a user passes, checked and turned into the arrays that native code reads.

Native code reads C-contiguous, aligned arrays of one dtype (labels: int64). Everything that NumPy can read as
real numbers is taken: lists, booleans, integers, floats of any width and byte order, strided and read-only
arrays, objects with `__array__`. What is no real number is refused, with the name of the argument and what to
do.
"""

from __future__ import annotations

import ctypes
import math
import numbers
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symprop.errors import ArgumentError, ShapeError

__all__ = ["Argument", "Sizes", "address", "bind_sizes", "sample_count"]

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = dict[sp.Basic, int]

LABEL = np.dtype(np.int64)
_LARGEST_LABEL = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Argument:
    """One argument of a compiled function.

    `shape` is the shape of one sample: () for a scalar, (rows, columns) for a matrix, whose sizes may be
    sympy expressions; `integer` marks labels and indices; `batched` arguments carry a leading sample axis.
    """

    symbol: sp.Basic
    name: str
    shape: tuple[Any, ...]
    integer: bool
    batched: bool
    dtype: np.dtype[Any]

    def array(self, value: Any) -> Array:
        """The value as a C-contiguous aligned array of the dtype of this argument, of the shape that was
        passed.

        The array itself where it is one already, else a copy; raises `ArgumentError` for what holds no real
        numbers.
        """
        found = _as_numbers(value, self.name)
        if self.integer:
            self.entry(found.shape)  # the shape first: numbers in the wrong place are often no whole numbers
            found = _as_labels(found, self.name)
        with np.errstate(all="ignore"):
            array = np.asarray(found, self.dtype, order="C")
        return array if array.flags.aligned else array.copy()

    def entry(self, passed: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one sample in the number of axes of `shape`, from the shape of the array that was
        passed.

        A column takes (n,) and (n, 1), a 1 x 1 matrix a number too; each with the sample axis first where
        `batched`. Raises `ShapeError` where the number of axes does not fit; sizes are not compared here.
        """
        inner = passed[1:] if self.batched else passed
        wanted = self.shape
        if self.batched and not passed:
            raise self.misfit(passed)
        if len(inner) == len(wanted):
            return inner
        if len(wanted) == 2 and wanted[1] == 1:
            if len(inner) == 1:
                return (inner[0], 1)
            if not inner and wanted[0] == 1:
                return (1, 1)
        raise self.misfit(passed)

    def fit(self, passed: tuple[int, ...]) -> None:
        """Raise `ShapeError` unless an array of that shape fits (sizes that are numbers)."""
        if self.entry(passed) != self.shape:
            raise self.misfit(passed)

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of one sample that fit; the first is the shape as declared."""
        if self.shape == (1, 1):
            return ((1, 1), (1,), ())
        if len(self.shape) == 2 and self.shape[1] == 1:
            return (self.shape, (self.shape[0],))
        return (self.shape,)

    def misfit(self, passed: tuple[int, ...]) -> ShapeError:
        """The error for an array of that shape, with the shapes that fit."""
        lead = ("N",) if self.batched else ()
        wanted = " or ".join(shape_text((*lead, *s)) for s in reversed(self.shapes()))
        what = "a number" if wanted == "()" else f"an array of shape {wanted}"
        advice = ""
        if self.batched:
            advice = "; N is the number of samples, which the first axis counts"
            if passed in self.shapes():
                advice = "; N is the number of samples (put one sample into a batch with a[None])"
        elif len(passed) == 2 and passed[::-1] == self.shape:
            advice = "; it is the transpose that fits: pass its .T"
        elif len(passed) > len(self.shape) or (passed and not self.shape):
            advice = f"; for many samples at once name {self.name} in batch=[...] of compile"
        return ShapeError(f"argument {self.name}: expected {what}, found shape {shape_text(passed)}{advice}")


def shape_text(shape: Sequence[Any]) -> str:
    """A shape as Python prints it, with symbolic sizes by name."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


# -- what holds real numbers -------------------------------------------------------------------------------


def _as_numbers(value: Any, name: str) -> Array:
    """Any array-like as an array of booleans, integers or floats; refuses everything else."""
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentError(
            f"argument {name}: found a masked array, expected plain numbers; native code knows no mask: pass "
            f"{name}.filled(value) or select the valid samples"
        )
    array: Array = value if type(value) is np.ndarray else _plain(value, name)
    kind = array.dtype.kind
    if kind in "fiub":
        return array
    if kind == "O" and not isinstance(value, np.ndarray):
        raise ArgumentError(f"argument {name}: {_objects(value, array)}")
    found = f"{_KINDS.get(kind, 'values')} ({array.dtype})"
    advice = _ADVICE.get(kind, "convert them to numbers first, as in np.asarray(values, dtype=float)")
    raise ArgumentError(f"argument {name}: found {found}, expected real numbers; {advice}")


_SPACE = re.compile(r"\s+")
_KINDS = {
    "c": "complex numbers",
    "O": "Python objects",
    "U": "text",
    "S": "bytes",
    "V": "records",
    "T": "text",
    "M": "dates",
    "m": "time spans",
}
_ADVICE = {
    "c": "every symbol is a real number: pass the real part (.real), or two arguments for the two parts",
    "O": "an object array may hold anything: convert it with .astype(float), and see which entry is no "
    "number",
    "V": "pass one field of the records",
}


def _objects(value: Any, array: Array) -> str:
    """What a value or a list holds that NumPy only has as objects, and what to do."""
    where = ""
    if isinstance(value, sp.MatrixBase):
        advice = "convert it, as in np.array(matrix, dtype=float)"
    elif array.ndim:
        flat = list(array.flat)
        at = next((k for k, v in enumerate(flat) if not isinstance(v, numbers.Real)), 0)
        where = f" in entry {_place(at, array.shape)} of the {type(value).__name__}"
        value = flat[at]
        advice = "convert all entries, as in np.asarray(values, dtype=float)"
        advice += ", which makes NaN of None" if value is None else ""
    elif isinstance(value, sp.Basic):
        advice = "substitute numbers for its symbols first"
    elif hasattr(value, "__next__"):
        advice = "NumPy reads no iterators: pass list(values)"
    elif isinstance(value, Set | Mapping):
        advice = "its entries have no places: pass a list or an array"
    elif hasattr(value, "__float__"):
        advice = "pass float(value)"
    else:
        advice = "pass a number, nested lists of numbers, or a NumPy array"
    found = "None" if value is None else f"{type(value).__name__} {_SPACE.sub(' ', repr(value))[:40]}"
    return f"found {found}{where}, expected real numbers; {advice}"


def _place(at: int, shape: tuple[int, ...]) -> str:
    """The place of an entry as Python writes it: 3, or [0, 2]."""
    place = [int(k) for k in np.unravel_index(at, shape)]
    return str(place[0] if len(place) == 1 else place)


def _plain(value: Any, name: str) -> Array:
    if isinstance(value, sp.Basic) and value.is_number and value.is_extended_real:
        value = float(value)
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O" and isinstance(value, numbers.Real):
            array = np.asarray(float(value))  # a large int, a Fraction
    except Exception as error:  # whatever an `__array__` of someone else raises
        raise ArgumentError(
            f"argument {name}: found {type(value).__name__}, which NumPy cannot read as an array of numbers "
            f"({error}); pass a NumPy array, a number or nested lists of equal length"
        ) from error
    return array


def _as_labels(found: Array, name: str) -> Array:
    """Whole numbers as int64; raises `ArgumentError` with row and value at the first that is none."""
    if found.dtype.kind in "bi":
        return found
    if found.dtype.kind == "u":
        bad = found > _LARGEST_LABEL if found.dtype.itemsize == 8 else None
    else:
        with np.errstate(all="ignore"):
            bad = ~((found == np.floor(found)) & (np.abs(found) < float(_LARGEST_LABEL)))
    if bad is not None and bad.any():
        row = tuple(int(k) for k in np.argwhere(bad)[0])
        value = found[row].item()
        where = f" in row {row[0]}" if row else ""
        whole = math.isfinite(value) and value == math.floor(value)
        what = "a whole number of at most 64 bits" if whole else "a whole number"
        raise ArgumentError(
            f"argument {name}: found {value!r}{where}, expected {what} (a label or an index); "
            f"{'' if whole else 'round it, or '}declare {name} without integer=True if it is no label"
        )
    return found


# -- what the arguments of one call have in common ---------------------------------------------------------


def sample_count(arguments: Sequence[Argument], shapes: Sequence[tuple[int, ...]]) -> int:
    """The number of samples N of the batched arguments; raises `ArgumentError` where two of them differ."""
    first: tuple[str, int] | None = None
    for argument, shape in zip(arguments, shapes, strict=True):
        if argument.batched and shape:
            if first is None:
                first = (argument.name, shape[0])
            elif first[1] != shape[0]:
                raise ArgumentError(
                    f"arguments {first[0]} and {argument.name} have unequal numbers of samples: {first[1]} "
                    "and "
                    f"{shape[0]}; pass one row per sample in both"
                )
    return 1 if first is None else first[1]


def bind_sizes(
    arguments: Sequence[Argument], shapes: Sequence[tuple[int, ...]], known: Mapping[sp.Basic, int]
) -> Sizes:
    """The values of the symbolic sizes from the shapes of one sample of each argument.

    `known` are sizes that were passed as arguments. Raises `ShapeError` where one size is bound to two
    values, naming both arguments, or where a size that is a number does not agree.
    """
    sizes: Sizes = dict(known)
    origin: dict[sp.Basic, str] = {s: f"{s} (passed as an argument)" for s in known}
    later: list[tuple[Argument, Any, int, tuple[int, ...]]] = []
    for argument, shape in zip(arguments, shapes, strict=True):
        for wanted, size in zip(argument.shape, argument.entry(shape), strict=True):
            if isinstance(wanted, int):
                if wanted != size:
                    raise argument.misfit(shape)
            elif wanted.is_Symbol:
                if sizes.setdefault(wanted, size) != size:
                    raise _clash(wanted, sizes[wanted], origin[wanted], argument, shape, size)
                origin.setdefault(wanted, argument.name)
            else:
                later.append((argument, wanted, size, shape))
    for argument, wanted, size, shape in later:
        missing = wanted.free_symbols - sizes.keys()
        if len(missing) == 1:
            (symbol,) = missing
            for value in sp.solve(wanted.subs(sizes) - size, symbol):
                if value.is_Integer and value >= 0:
                    sizes[symbol] = int(value)
                    origin[symbol] = argument.name
        if wanted.subs(sizes) != size:
            raise argument.misfit(shape)
    return sizes


def _clash(
    symbol: sp.Basic, first: int, origin: str, argument: Argument, shape: tuple[int, ...], size: int
) -> ShapeError:
    return ShapeError(
        f"the size {symbol} is {first} in argument {origin} but {size} in argument {argument.name} (shape "
        f"{shape_text(shape)}, declared {shape_text(argument.shape)}); pass arrays that agree in {symbol}"
    )


# -- addresses ---------------------------------------------------------------------------------------------


def _slow_address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _fast_address(
    array: Array, _read: Any = ctypes.c_ssize_t.from_address, _head: int = object.__basicsize__
) -> int:
    return _read(id(array) + _head).value  # type: ignore[no-any-return]


def _choose_address() -> Callable[[Array], int]:
    """The data pointer is the first field of NumPy's array object in CPython, and reading it there is ten
    times
    faster than through `__array_interface__`; it is done only where it is seen to give the same address."""
    probe = np.arange(6.0)[1:]
    try:
        same = _fast_address(probe) == _slow_address(probe)
    except Exception:
        same = False
    return _fast_address if same else _slow_address


address: Callable[[Array], int] = _choose_address()
