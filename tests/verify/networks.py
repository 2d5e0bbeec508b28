"""Networks and values that several tests of the verification share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp

from symprop import nn
from symprop.declare import Graph
from symprop.differentiate import reverse
from symprop.graph.evaluate import evaluate

X, Y = "x", "y"


def network(sizes: list[int], activation: str = "tanh", seed: int = 0) -> tuple[Graph, dict[Any, Any]]:
    """A dense network with a softmax cross-entropy loss L, and a point for it."""
    random = np.random.default_rng(seed)
    layer: Any = sp.MatrixSymbol(X, sizes[0], 1)
    label = sp.Symbol(Y, integer=True)
    at: dict[Any, Any] = {layer: random.standard_normal(sizes[0]), label: 1}
    equations: list[Any] = []
    for k, (m, n) in enumerate(pairwise(sizes), 1):
        W, b = sp.MatrixSymbol(f"W{k}", n, m), sp.MatrixSymbol(f"b{k}", n, 1)
        at[W], at[b] = random.standard_normal((n, m)) / np.sqrt(m), random.standard_normal(n) / 4
        name = sp.MatrixSymbol("z" if k == len(sizes) - 1 else f"h{k}", n, 1)
        scores = W * layer + b
        equations.append((name, scores if k == len(sizes) - 1 else getattr(nn, activation)(scores)))
        layer = name
    equations.append((sp.Symbol("L"), nn.cross_entropy(layer, label)))
    return Graph(equations), at


def symbol(graph: Graph, name: str) -> Any:
    """The symbol of that name in a graph."""
    return next(s for s in graph.nodes if s.name == name)


def rows(report: Any, method: str) -> list[Any]:
    """The rows of a method."""
    return [row for row in report.rows if row.method == method]


def failures(report: Any) -> set[tuple[str, str]]:
    """(method, name) of the rows that failed."""
    return {(row.method, row.name) for row in report.failures}


class Reference:
    """A function with the interface of a compiled one, evaluated with NumPy; `tamper` changes its results."""

    def __init__(
        self,
        graph: Graph,
        wrt: list[Any],
        batch: tuple[Any, ...] = (),
        reduce: str | None = None,
        dtype: str = "float64",
        tamper: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self.args, self.wrt, self.batch = tuple(graph.inputs), tuple(wrt), batch
        self.reduce, self.dtype, self.tamper, self.graph = reduce, np.dtype(dtype), tamper, graph
        target = graph.nodes[graph.outputs[0]]
        found = reverse.adjoints(graph.table, target, [graph.nodes[s] for s in wrt])
        self.roots = [target] + [
            found[n.serial] or graph.table.full(0, n.shape) for n in (graph.nodes[s] for s in wrt)
        ]

    def _results(self, args: tuple[Any, ...]) -> list[Any]:
        rounds = [
            np.asarray(a) if np.asarray(a).dtype.kind in "iu" else np.asarray(a, self.dtype) for a in args
        ]
        values = dict(zip(self.args, rounds, strict=True))
        if not self.batch:
            results = [np.asarray(v) for v in evaluate(self.roots, values)]
        else:
            count = len(values[self.batch[0]])
            each = []
            for k in range(count):
                one = {s: np.asarray(v)[k] if s in self.batch else v for s, v in values.items()}
                each.append(evaluate(self.roots, one))
            results = [np.stack([row[k] for row in each]) for k in range(len(self.roots))]
            weight = 1 / count if self.reduce == "mean" else 1
            for k, s in enumerate((None, *self.wrt)):
                if self.reduce is not None:
                    results[k] = results[k] * weight if s in self.batch else results[k].sum(axis=0) * weight
        results = [r.astype(self.dtype) for r in results]
        if self.tamper is not None:
            self.tamper(results)
        return results

    def __call__(self, *args: Any) -> Any:
        return self._results(args)[0]

    def value_and_grad(self, *args: Any) -> Any:
        value, *grads = self._results(args)
        return value, tuple(grads)
