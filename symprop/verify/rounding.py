"""How much of a compiled result's error is rounding: units in the last place, and the noise of the formula
itself.

A fixed number of ULP is no bound for a whole network: where a sum cancels, every order of evaluation loses
digits. The bound is therefore measured: the formula is evaluated in float64 a few times with a random error
of one unit of the compiled precision in every operation (in every term of a sum), and the largest deviation
from the exact value, times a margin, is what rounding may do. Random errors of this kind are known as Monte
Carlo arithmetic (Parker, 1997).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath as mp
import numpy as np

from symprop.graph import OPERATIONS, Node
from symprop.graph.evaluate import node_value
from symprop.graph.nodes import constant_value
from symprop.verify.exact import Definitions

__all__ = ["MARGIN", "RUNS", "noisy_values", "rounded", "ulp"]

RUNS = 8
MARGIN = 8
_ENTRIES = 2**21  # numbers that the runs which are made together may hold, in all nodes
_SUMS = frozenset(["add", "sum", "matmul", "trace", "fma"])
_EXACT = {
    *("symbol", "broadcast", "reshape", "transpose", "slice", "pad", "index", "place", "take", "one_hot"),
    *("eye", "diag", "diagonal", "select", "maximum", "minimum", "abs", "sign", "floor", "ceiling", "neg"),
    *("less", "less_equal", "equal", "not_equal", "and", "or", "not"),
}
# eliminations, whose errors are those of a change of the matrix: small beside its largest entry, not beside
# each entry of the result (Higham, Accuracy and Stability of Numerical Algorithms, theorem 9.3)
_ELIMINATIONS = frozenset(["cofactor", "cofactor_slope", "determinant", "inverse", "log_determinant"])


def ulp(value: Any, dtype: str) -> Any:
    """The distance between neighbours of a value in a floating-point type; that of subnormal numbers near
    zero.
    """
    info = np.finfo(dtype)
    lowest = int(info.minexp) - int(info.nmant)
    if value == 0 or not mp.isfinite(value):
        return mp.ldexp(1, lowest)
    exponent = mp.frexp(value)[1] - 1
    return mp.ldexp(1, max(exponent - int(info.nmant), lowest))


def rounded(value: Any, dtype: str) -> Any:
    """A value that may be beyond the range of the type: infinite where it rounds to that."""
    limit = mp.mpf(float(np.finfo(dtype).max))
    if mp.isfinite(value) and abs(value) >= limit + ulp(limit, dtype) / 2:
        return mp.sign(value) * mp.inf
    return value


def noisy_values(
    definitions: Definitions,
    roots: Sequence[Node],
    inputs: Mapping[int, Any],
    dtype: str,
    seed: Sequence[int],
    runs: int = RUNS,
    units: float = 1,
) -> list[Any]:
    """The roots in float64, with a random error of some units of `dtype` in every operation that rounds, and
    infinity beyond the range of `dtype`: arrays with a leading axis of runs.

    The runs go through the graph together, as many at once as memory allows.
    """
    random = np.random.default_rng(list(seed))
    entries = sum(math.prod(node.shape) for node in definitions.order(roots))
    together = max(1, min(runs, _ENTRIES // max(1, entries)))
    parts = []
    for first in range(0, runs, together):
        count = min(together, runs - first)
        parts.append(_some_runs(definitions, roots, inputs, dtype, random, count, units))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _some_runs(
    definitions: Definitions,
    roots: Sequence[Node],
    inputs: Mapping[int, Any],
    dtype: str,
    random: np.random.Generator,
    runs: int,
    units: float,
) -> list[Any]:
    info = np.finfo(dtype)
    eps, tiny = units * float(info.eps), float(info.smallest_normal)
    smallest, largest = float(info.smallest_subnormal), float(info.max)
    done: dict[int, Any] = {}  # a leading axis of one is the same value in every run
    with np.errstate(all="ignore"):
        for node in definitions.order(roots):
            if node.serial in inputs:
                done[node.serial] = np.asarray(inputs[node.serial])[None]
                continue
            definition = definitions.definition(node)
            if definition is not None:
                found = done[definition.serial]
                done[node.serial] = np.broadcast_to(found, (len(found), *node.shape))
                continue
            args = [done[a.serial] for a in node.args]
            if node.op in _ELIMINATIONS:
                sizes = [np.abs(a).max(axis=(-2, -1), keepdims=True, initial=0) for a in args]
                args = [
                    a
                    + random.uniform(-1, 1, (runs, *a.shape[1:])) * np.where(np.isfinite(size), eps * size, 0)
                    for a, size in zip(args, sizes, strict=True)
                ]
            value = _of_each(node, args, lambda *one, n=node: node_value(n, list(one), {}, False))
            if node.kind == "real" and node.op not in _EXACT and not _representable(node):
                scale = _magnitude(node, args, value)
                noise = random.uniform(-1, 1, (runs, *node.shape))
                noise *= eps * scale + np.where((scale > 0) & (scale < tiny * 2**12), smallest, 0)
                value = value + np.where(np.isfinite(noise), noise, 0)
            if node.kind == "real":
                value = np.where(np.abs(value) > largest, np.copysign(np.inf, value), value)
            done[node.serial] = value
    return [np.broadcast_to(done[root.serial], (runs, *root.shape)) for root in roots]


def _of_each(node: Node, args: Sequence[Any], function: Callable[..., Any]) -> Any:
    """A function of the arguments of a node in every run: at once where it goes entry by entry."""
    rank = len(node.shape)
    if OPERATIONS[node.op].elementwise:
        aligned = [a.reshape(len(a), *(1,) * (rank + 1 - a.ndim), *a.shape[1:]) for a in args]
        value = np.asarray(function(*aligned))
        return np.broadcast_to(value, np.broadcast_shapes(value.shape, (1, *node.shape)))
    runs = max((len(a) for a in args), default=1)
    each = [function(*[a[min(k, len(a) - 1)] for a in args]) for k in range(runs)]
    return np.stack([np.broadcast_to(v, tuple(node.shape)) for v in each])


def _magnitude(node: Node, args: Sequence[Any], value: Any) -> Any:
    """What the rounding error of an operation is relative to: the sum of the sizes of the terms, for sums."""
    sizes = [np.abs(a) for a in args]
    if node.op == "sub":
        return _of_each(node, sizes, np.add)
    reference = OPERATIONS[node.op].reference
    if node.op in _SUMS and reference is not None:
        return np.abs(_of_each(node, sizes, lambda *one: reference(node.attrs, *one)))
    return np.abs(value)


def _representable(node: Node) -> bool:
    """Small integers and halves are exact in every type."""
    number = constant_value(node)
    return (
        number is not None and bool(number.is_Rational) and number.q in (1, 2, 4, 8) and abs(number.p) < 2**20
    )
