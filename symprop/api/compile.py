"""`compile`: from equations to a native function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import sympy as sp

from symprop.api.declaration import declare
from symprop.api.function import Function
from symprop.graph import CollectorPaused

__all__ = ["compile"]

Symbols: TypeAlias = sp.Basic | str | Iterable[sp.Basic | str]


@CollectorPaused()
def compile(
    target: Any,
    args: Symbols | None = None,
    *,
    wrt: Symbols | None = None,
    batch: Symbols | None = None,
    reduce: str | None = None,
    dtype: Any = "float64",
    threads: int | str = 1,
    ties: str = "first",
    accuracy: str = "precise",
    name: str | None = None,
) -> Function:
    """Compile an expression, a list of expressions or a `Graph`, with its gradients, into a native
    `Function`.

    Args:
        target: an expression, a list of expressions, or a `Graph`.
        args: the symbols in the order of the positional arguments (default: the inputs in order of first
            use, as the target is printed: `x**2 + y` takes x, y).
        wrt: gradients are with respect to these: a list gives a tuple, one symbol the array itself, `[]` the
            value alone (default: every argument that is no label and not in `batch`).
        batch: these arguments carry a leading sample axis of any length N; every output and gradient is then
            per sample, (N, ...).
        reduce: "mean" or "sum" over the samples, for outputs and gradients alike; the gradient with respect
            to a batched argument stays one per sample.
        dtype: "float64" or "float32".
        threads: a number or "all"; the result is the same bit for bit.
        ties: where a maximum ties, the gradient goes to the "first" argument or is "split" evenly.
        accuracy: "precise", "fast" (elementary functions off by up to 4 units of the last place), or
            "as_written" (no rewriting that keeps more digits).
        name: the name of the function, for messages and native symbols.

    Raises `ArgumentError` for options that do not fit, `UnsupportedExpressionError` for what has no native
    code (or, with `wrt` given, no derivative), `ShapeError` and `GraphError` for a target that is none.

    >>> x, w = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("w", 3, 1)
    >>> f = compile(w.T * x, args=[w, x], batch=[x], reduce="sum")
    >>> value, (d_w,) = f.value_and_grad([1, 2, 3], [[1, 0, 0], [0, 2, 0]])
    >>> float(value), d_w.tolist()
    (5.0, [1.0, 2.0, 0.0])
    """
    return Function(declare(target, args, wrt, batch, reduce, dtype, threads, ties, accuracy, name))
