"""What a `Function` is compiled from: a graph and options, checked once; enough to make it again
elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symprop.declare.network import Graph, as_graph
from symprop.errors import ArgumentError
from symprop.functions.structure import is_integer_symbol
from symprop.graph.transplant import free_symbols_of_shape

__all__ = ["Declaration", "declare", "name_of"]

ACCURACIES = ("precise", "fast", "as_written")
TIES = ("first", "split")
REDUCTIONS = (None, "mean", "sum")


@dataclass(frozen=True)
class Declaration:
    """A target and the options of `compile`, checked.

    `single` says that `wrt` was one symbol; `chosen` that `wrt` was given at all; `named` that the target was
    a Graph, with names to keep.
    """

    graph: Graph
    args: tuple[sp.Basic, ...]
    wrt: tuple[sp.Basic, ...]
    single: bool
    chosen: bool
    named: bool
    batch: tuple[sp.Basic, ...]
    reduce: str | None
    dtype: str
    threads: int | str
    ties: str
    accuracy: str
    name: str

    def thread_count(self) -> int:
        """The number of threads, with "all" as the cores that this process may use."""
        if isinstance(self.threads, int):
            return self.threads
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity is not None else os.cpu_count() or 1

    def sizes(self) -> tuple[sp.Basic, ...]:
        """The symbolic sizes of the arguments, in order of first use."""
        return tuple(dict.fromkeys(s for a in self.args for s in free_symbols_of_shape(a)))


def declare(
    target: Any,
    args: Any,
    wrt: Any,
    batch: Any,
    reduce: str | None,
    dtype: Any,
    threads: int | str,
    ties: str,
    accuracy: str,
    name: str | None,
) -> Declaration:
    """The options of `compile`, checked and filled in; raises `ArgumentError` that names the culprit."""
    graph = as_graph(target, ties=_choice("ties", ties, TIES))
    inputs = graph.inputs
    chosen_args = _symbols("args", args, inputs)
    if chosen_args is None:
        chosen_args = graph.inputs_as_written()
    _check_args(graph, chosen_args)
    batched = _symbols("batch", batch, chosen_args) or ()
    _known("batch", batched, chosen_args)
    if reduce not in REDUCTIONS:
        raise ArgumentError(
            f"reduce={reduce!r} is unknown; expected None (one result per sample), 'mean' or 'sum'"
        )
    if reduce is not None and not batched:
        raise ArgumentError(
            f"reduce={reduce!r} is over the samples of a batch, but batch names no argument; "
            f"add batch=[...] with the arguments that carry a sample axis"
        )
    wanted = _symbols("wrt", wrt, chosen_args)
    if wanted is None:
        without = {*batched, *graph.dimensions}
        wanted = tuple(s for s in chosen_args if s not in without and not is_integer_symbol(s))
    else:
        _known("wrt", wanted, chosen_args)
        for symbol in wanted:
            if is_integer_symbol(symbol):
                raise ArgumentError(
                    f"wrt names {symbol}, an integer (a label or an index), which has no gradient; leave it "
                    f"out, or declare it as a real symbol"
                )
    return Declaration(
        graph=graph,
        args=chosen_args,
        wrt=wanted,
        single=wrt is not None and _is_single(wrt),
        chosen=wrt is not None,
        named=isinstance(target, Graph),
        batch=batched,
        reduce=reduce,
        dtype=_dtype(dtype),
        threads=_threads(threads),
        ties=ties,
        accuracy=_choice("accuracy", accuracy, ACCURACIES),
        name=str(name) if name is not None else name_of(graph.outputs[0]),
    )


def name_of(symbol: sp.Basic) -> str:
    """The name of a scalar or matrix symbol as text."""
    return str(getattr(symbol, "name", symbol))


# -- the options one by one --------------------------------------------------------------------------------


def _is_single(value: Any) -> bool:
    return isinstance(value, (sp.Basic, str)) and not isinstance(value, (sp.Tuple, sp.MatrixBase))


def _symbols(option: str, value: Any, known: Sequence[sp.Basic]) -> tuple[sp.Basic, ...] | None:
    """The symbols that an option names; a name as text stands for the known symbol of that name."""
    if value is None:
        return None
    if not _is_single(value) and not isinstance(value, Iterable):
        raise ArgumentError(f"{option}={value!r} names no symbols; expected a symbol or a list of symbols")
    if isinstance(value, set | frozenset) and option != "batch":
        raise ArgumentError(f"{option} is a set, which has no order; give the symbols as a list")
    entries: Iterable[Any] = [value] if _is_single(value) else value
    by_name = {name_of(s): s for s in known}
    result: dict[sp.Basic, None] = {}  # a set that keeps the order
    for entry in entries:
        symbol = by_name.get(entry, entry) if isinstance(entry, str) else entry
        if not (getattr(symbol, "is_Symbol", False) or isinstance(symbol, sp.MatrixSymbol)):
            raise ArgumentError(
                f"{option} holds {entry!r} ({type(entry).__name__}), expected symbols"
                + (f" among {_listed(known)}" if known else "")
            )
        if symbol in result:
            raise ArgumentError(f"{option} names {symbol} twice; name each symbol once")
        result[symbol] = None
    return tuple(result)


def _check_args(graph: Graph, args: Sequence[sp.Basic]) -> None:
    computed = set(graph.names)
    for symbol in args:
        if symbol in computed:
            raise ArgumentError(
                f"args names {symbol}, which the graph computes by an equation; arguments are the inputs "
                f"{_listed(graph.inputs)}"
            )
    given = set(args)
    missing = [s for s in graph.inputs if s not in given]
    if not missing:
        return
    named = {name_of(s) for s in args}
    alike = [s for s in missing if name_of(s) in named]
    hint = f"add {'it' if len(missing) == 1 else 'them'} to args"
    if alike:
        hint = (
            f"args holds another symbol named {alike[0]} (symbols of one name but other assumptions or "
            "shapes, "
            f"such as integer=True, are different symbols): use the same object in both places"
        )
    raise ArgumentError(f"args lacks {_listed(missing)}, which the target contains; {hint}")


def _known(option: str, symbols: Sequence[sp.Basic], args: Sequence[sp.Basic]) -> None:
    known = set(args)
    for symbol in symbols:
        if symbol not in known:
            raise ArgumentError(
                f"{option} names {symbol}, which is no argument; the arguments are {_listed(args)}"
            )


def _listed(symbols: Iterable[sp.Basic]) -> str:
    return ", ".join(map(name_of, symbols)) or "none"


def _dtype(dtype: Any) -> str:
    try:
        name = str(np.dtype(dtype).name)
    except TypeError:
        name = str(dtype)
    if name not in ("float64", "float32") or dtype is None:
        raise ArgumentError(f"dtype={dtype!r} is unknown; expected 'float64' or 'float32'")
    return name


def _threads(threads: int | str) -> int | str:
    if threads == "all":
        return "all"
    if isinstance(threads, (int, np.integer)) and not isinstance(threads, bool) and threads >= 1:
        return int(threads)
    raise ArgumentError(f"threads={threads!r} is no number of threads; expected 1, 2, ... or 'all'")


def _choice(option: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ArgumentError(f"{option}={value!r} is unknown; expected {' or '.join(map(repr, choices))}")
    return value
