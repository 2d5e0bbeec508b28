"""Loss and metrics of a network over data, at given parameters: forward only, part by part."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from symprop.api.batches import Data
from symprop.api.declaration import declare, name_of
from symprop.api.function import Function
from symprop.declare import Graph
from symprop.errors import ArgumentError, ShapeError

__all__ = ["Measure", "with_outputs"]

Array = np.ndarray[Any, np.dtype[Any]]
_ROWS = 1024  # samples in one call


class Measure:
    """The mean loss, and metrics by name, over data.

    A metric is an expression of the names and inputs of the graph, whose mean over the samples is taken, or a
    function whose arguments are called as the names and inputs that it wants: it gets their values for all
    samples, of shape (N, ...), and gives a number.

    Raises `ArgumentError` for a metric that is neither or wants an unknown name, `ShapeError` for one that is
    no scalar.
    """

    def __init__(
        self,
        graph: Graph,
        args: Sequence[sp.Basic],
        inputs: Sequence[sp.Basic],
        metrics: Mapping[str, Any],
        dtype: str,
        threads: int | str,
    ) -> None:
        self._inputs = {name_of(s): k for k, s in enumerate(inputs)}
        self._functions: dict[str, tuple[Callable[..., Any], list[str]]] = {}
        loss = graph.outputs[0]
        names = {name_of(s): s for s in graph.names}
        pairs: list[tuple[sp.Basic, Any]] = []
        means: dict[str, sp.Basic] = {"loss": loss}
        per_sample: dict[str, sp.Basic] = {}
        for name, metric in metrics.items():
            if name in ("loss", "epoch", "seconds", "samples_per_second") or not isinstance(name, str):
                raise ArgumentError(
                    f"a metric is called {name!r}, a name that the history uses; choose another"
                )
            metric = names.get(metric, metric) if isinstance(metric, str) else metric
            if isinstance(metric, sp.Basic):
                symbol = metric
                if metric not in graph:
                    symbol = sp.Symbol(f"metric_{name}")
                    pairs.append((symbol, metric))
                means[name] = symbol
            elif callable(metric):
                wanted = _wanted(metric, name, [*names, *self._inputs])
                self._functions[name] = (metric, wanted)
                per_sample.update({n: names[n] for n in wanted if n in names})
            else:
                raise ArgumentError(
                    f"the metric {name} is {type(metric).__name__}, expected an expression of the "
                    "graph's names, or a function with arguments of such names: "
                    "lambda z, y: (z.argmax(1) == y).mean()"
                )
        self._means, self._per_sample = list(means), list(per_sample)
        outputs = list(dict.fromkeys([*means.values(), *per_sample.values()]))
        self._mean_places = [outputs.index(s) for s in means.values()]
        self._sample_places = [outputs.index(s) for s in per_sample.values()]
        whole = Graph([*graph.equations, *pairs], outputs) if pairs else with_outputs(graph, outputs)
        for name, symbol in means.items():
            if whole.nodes[symbol].shape not in ((), (1, 1)):
                raise ShapeError(
                    f"{name} is the mean of a number per sample, but {symbol} has shape "
                    f"{whole.nodes[symbol].shape}; reduce it to a scalar"
                )
        extra = [s for s in whole.inputs if s not in args]
        if extra:
            raise ArgumentError(
                f"a metric holds {extra[0]}, which is neither a name nor an input of the graph"
            )
        options = (dtype, threads, "first", "precise", "forward")
        declared = declare(whole, list(args), [], list(inputs), None, *options)
        self._single = len(outputs) == 1
        self.function = Function(declared)

    def of(self, params: Sequence[Array], data: Data) -> dict[str, float]:
        """The loss and the metrics by name."""
        totals = np.zeros(len(self._means))
        kept: list[list[Array]] = [[] for _ in self._per_sample]
        plan = data.plan(_ROWS, None)
        for batch in data.batches(plan):
            found = self.function(*params, *batch)
            values = (found,) if self._single else found
            with np.errstate(all="ignore"):
                totals += [np.sum(values[k], dtype=np.float64) for k in self._mean_places]
            for place, parts in zip(self._sample_places, kept, strict=True):
                parts.append(values[place])
        result = {n: float(t / data.samples) for n, t in zip(self._means, totals, strict=True)}
        arrays = {n: np.concatenate(parts) for n, parts in zip(self._per_sample, kept, strict=True)}
        for name, (metric, wanted) in self._functions.items():
            given = [arrays[n] if n in arrays else data.arrays[self._inputs[n]] for n in wanted]
            result[name] = float(metric(*given))
        return result

    def bounds(
        self, params: Sequence[Array], data: Sequence[Array], inputs: Sequence[sp.Basic]
    ) -> list[int | None]:
        """For each input the number of classes that it names, None where it is no label.

        `data` is any part of the data; only its sizes count.
        """
        entry = self.function._value_family().entry([*params, *data])
        ports = entry.executable.inputs[len(params) :]
        return [port.bound for port in ports]


def _wanted(metric: Callable[..., Any], name: str, known: Sequence[str]) -> list[str]:
    try:
        parameters = list(inspect.signature(metric).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    required = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    wanted = [p.name for p in required if p.name in known or p.default is p.empty]
    unknown = [n for n in wanted if n not in known]
    if unknown or not wanted:
        what = f"wants {unknown[0]}" if unknown else "names no arguments"
        raise ArgumentError(
            f"the metric {name} {what}; the arguments of a metric are called as what they get: "
            f"{', '.join(known)}"
        )
    return wanted


def with_outputs(graph: Graph, outputs: Sequence[sp.Basic]) -> Graph:
    """The graph with other of its names as outputs."""
    if tuple(outputs) == graph.outputs:
        return graph
    return Graph.from_nodes(graph.table, [(s, graph.nodes[s]) for s in graph.names], outputs)
