"""From a target and a user's values to nodes with concrete sizes and points to verify at."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.declare.network import Graph
from symprop.errors import ArgumentError, ShapeError
from symprop.functions.structure import is_integer_symbol
from symprop.graph import Node, NodeTable
from symprop.graph.transplant import sized_symbol, transplant

__all__ = ["Values", "bound_sizes", "in_own_table", "name_of", "read_values"]


@dataclass(frozen=True)
class Values:
    """The values of the inputs as the user gave them (`raw`), and as arrays of their entries (`arrays`).

    Arrays of batched inputs have a leading axis of samples; `samples` is their number, None without a batch.
    """

    raw: dict[sp.Basic, Any]
    arrays: dict[sp.Basic, Any]
    batch: tuple[sp.Basic, ...]
    samples: int | None

    def of_sample(self, symbol: sp.Basic, sample: int | None) -> Any:
        """The value of an input for one sample."""
        array = self.arrays[symbol]
        return array[sample] if symbol in self.batch else array


def name_of(symbol: sp.Basic) -> str:
    """The name of a symbol."""
    return str(getattr(symbol, "name", symbol))


# -- the user's values ---------------------------------------------------------------------------------------


def read_values(
    inputs: Sequence[sp.Basic],
    at: Mapping[Any, Any],
    more: Sequence[sp.Basic],
    batch: Sequence[Any],
    dtype: str | None,
) -> tuple[Values, dict[sp.Basic, int]]:
    """The values at `at` (by symbol or name) for `inputs`, and the sizes that their shapes give to symbols.

    `more` are symbols that may be given beside the inputs. Real values are rounded to `dtype` where it is
    given, as a compiled function does. Raises ArgumentError for values that are missing, unknown or not real,
    and ShapeError for shapes that do not fit.
    """
    if not isinstance(at, Mapping):
        raise ArgumentError(f"at takes a mapping {{symbol: value}}, found {type(at).__name__} {at!r:.60}")
    known = {name_of(s): s for s in (*more, *inputs)}
    taken = set(known.values())
    raw: dict[sp.Basic, Any] = {}
    for key, value in at.items():
        symbol = known.get(key) if isinstance(key, str) else key
        if symbol not in taken:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f" (did you mean {close[0]}?)" if close and close[0] != str(key) else ""
            if close and close[0] == str(key):
                hint = " (a symbol of that name but with other assumptions or another shape is in the target)"
            raise ArgumentError(
                f"at names {key}, which the target lacks{hint}; its inputs are {', '.join(known)}"
            )
        raw[symbol] = value
    missing = [name_of(s) for s in inputs if s not in raw]
    if missing:
        raise ArgumentError(
            f"at lacks a value for {', '.join(missing)}; expected {{symbol: value}} for every input"
        )
    batched = tuple(known[b] if isinstance(b, str) and b in known else b for b in batch)
    unknown = [name_of(b) for b in batched if b not in raw]
    if unknown:
        raise ArgumentError(f"batch names {', '.join(unknown)}, which has no value in at")
    sizes: dict[sp.Basic, int] = {}
    arrays = {s: _array(s, value, s in batched, dtype, sizes) for s, value in raw.items()}
    for symbol, array in arrays.items():
        real = np.asarray(array)
        if real.dtype.kind == "f" and not np.isfinite(real).all():
            raise ArgumentError(
                f"the value of {name_of(symbol)} holds NaN or infinity; derivatives are verified at "
                "finite values"
            )
    counts = {name_of(s): len(arrays[s]) for s in batched}
    if len(set(counts.values())) > 1:
        raise ShapeError(f"the batched arguments have different numbers of samples: {counts}")
    return Values(raw, arrays, batched, next(iter(counts.values()), None)), sizes


def _array(symbol: sp.Basic, value: Any, batched: bool, dtype: str | None, sizes: dict[sp.Basic, int]) -> Any:
    """The value as an array of its entries, as numbers that stand for themselves."""
    name = name_of(symbol)
    if isinstance(value, sp.MatrixBase):
        value = np.array(value.tolist(), object).reshape(value.shape)
    array = np.asarray(value)
    if array.dtype.kind not in "biufO":
        raise ArgumentError(f"the value of {name} has dtype {array.dtype}; expected real numbers")
    if array.dtype == object and not all(map(_is_real, array.flat)):
        found = next(v for v in array.flat if not _is_real(v))
        raise ArgumentError(
            f"the value of {name} holds {found!r:.60} ({type(found).__name__}); expected real numbers"
        )
    if is_integer_symbol(symbol):
        whole = np.array([int(v) for v in array.flat], dtype=np.int64).reshape(array.shape)
        if any(int(v) != v for v in array.flat):
            raise ArgumentError(f"{name} is an integer, found {array}")
        array = whole
    elif dtype is not None:
        array = (
            np.array([float(v) for v in array.flat]).reshape(array.shape) if array.dtype == object else array
        )
        array = array.astype(dtype).astype(float)
    elif array.dtype.kind != "O":
        array = array.astype(float)
    found = array.shape[1:] if batched else array.shape
    if batched and array.ndim == 0:
        raise ShapeError(f"{name} is batched and needs a leading axis of samples, found a number")
    shape = tuple(getattr(symbol, "shape", ()))
    declared = _concrete(name, shape, found, sizes)
    accepted = (
        {declared}
        | ({declared[:1]} if declared[1:] == (1,) else set())
        | ({()} if declared == (1, 1) else set())
    )
    if found not in accepted:
        raise ShapeError(
            f"the value of {name} has shape {found}{' per sample' * batched}; expected {declared}"
        )
    return array.reshape(((len(array),) if batched else ()) + declared)


def _is_real(value: object) -> bool:
    """True for the finite numbers of Python, NumPy, mpmath and sympy."""
    if isinstance(value, sp.Basic):
        return bool(value.is_number and value.is_extended_real and value.is_finite)
    return isinstance(value, (numbers.Real, mp.mpf)) and bool(mp.isfinite(value))


def _concrete(
    name: str, shape: tuple[Any, ...], found: tuple[int, ...], sizes: dict[sp.Basic, int]
) -> tuple[int, ...]:
    """The shape as numbers; a size that is a symbol is bound by the value."""
    result = []
    for axis, size in enumerate(shape):
        size = sp.sympify(size).xreplace({s: sp.Integer(n) for s, n in sizes.items()})
        if size.is_Symbol:
            if axis >= len(found):
                raise ShapeError(
                    f"the value of {name} has shape {found}, which gives no value to its size {size}"
                )
            sizes[size] = found[axis]
            size = sp.Integer(found[axis])
        if not size.is_Integer:
            raise ShapeError(
                f"the size {size} of {name} is bound by no argument before it; give that one first"
            )
        result.append(int(size))
    return tuple(result)


def bound_sizes(inputs: Sequence[sp.Basic], sizes: Mapping[sp.Basic, int]) -> dict[sp.Basic, Any]:
    """The inputs with numbers for their sizes: declared symbol -> symbol of the sized graph."""
    return {s: sized_symbol(s, sizes) for s in inputs}


# -- nodes of our own ----------------------------------------------------------------------------------------


def in_own_table(graph: Graph, sizes: Mapping[sp.Basic, int]) -> tuple[NodeTable, dict[int, Node]]:
    """The nodes of a graph in a new table with concrete sizes, by their serial numbers in the graph.

    A verification derives and expands: the user's graph is not to grow by that. Floats become the rational
    numbers that they are: in 50 digits the rounding of `0.1 - 1` to their own precision would be seen.
    """
    table = NodeTable()
    return table, transplant(graph.nodes.values(), table, sizes, _exact)


def _exact(value: Any) -> Any:
    """A constant with its floats as exact rational numbers."""
    if isinstance(value, sp.Float):
        return sp.Rational(value) if value.is_finite else value
    floats = value.atoms(sp.Float) if isinstance(value, sp.Basic) and value.args else ()
    return value.xreplace({f: _exact(f) for f in floats}) if floats else value
