"""Networks ready made: the multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp

from symprop.declare import scalar
from symprop.declare.network import Graph
from symprop.errors import ArgumentError, SympropError
from symprop.nn.activations import tanh

__all__ = ["Network", "mlp"]


class Network:
    """A graph with its parameters: `graph`, `inputs` (the others), `params`, `scores` (the output).

    Prints as its equations. A loss is one more equation:
    `symprop.Graph([*net.graph.equations, (L, nn.cross_entropy(net.scores, y))])`.

    >>> from symprop import nn
    >>> net = nn.mlp([3, 4, 2], activation=nn.tanh)
    >>> net
    h1 = tanh(W1*x + b1)
    z = W2*h1 + b2
    >>> net.params, net.inputs, net.scores
    ([W1, b1, W2, b2], [x], z)
    """

    def __init__(self, graph: Graph, params: Sequence[sp.MatrixSymbol]) -> None:
        self.graph = graph
        self.params = list(params)
        known = set(self.params)
        self.inputs = [s for s in graph.inputs if s not in known]
        self.scores: Any = graph.outputs[0]

    def init(self, seed: int = 0, dtype: Any = np.float64) -> dict[sp.MatrixSymbol, np.ndarray[Any, Any]]:
        """A start value for every parameter: uniform in ±1/sqrt(inputs of the layer), as torch's `Linear`.

        `seed` is a number, or a `numpy.random.Generator`; equal seeds give equal arrays, of the shapes of the
        parameters.
        """
        generator = np.random.default_rng(seed)
        values = {}
        bound = 1.0
        for parameter in self.params:
            rows, columns = (int(d) for d in parameter.shape)
            if parameter.name.startswith("W"):
                bound = 1.0 / np.sqrt(columns)  # the bias that follows its weight has the same bound
            values[parameter] = generator.uniform(-bound, bound, (rows, columns)).astype(dtype)
        return values

    def __repr__(self) -> str:
        return str(self.graph)

    def _repr_latex_(self) -> str:
        return self.graph._repr_latex_()


def mlp(
    sizes: Sequence[int], activation: Callable[[Any], Any] = tanh, output: Callable[[Any], Any] | None = None
) -> Network:
    """A multi-layer perceptron: `h1 = activation(W1*x + b1)`, ..., `z = Wk*h + bk`, with `sizes` its widths.

    `activation` is any function of a column (`nn.relu`, `lambda v: nn.elu(v, 2)`) or of a number, which is
    then applied to every entry (`sympy.sin`, `lambda v: v * nn.sigmoid(v)`); the last layer gives the scores
    as they are, unless `output` is a function too. Raises `ArgumentError` for sizes that are no
    positive integers.

    >>> from symprop import nn
    >>> net = nn.mlp([3, 4, 2], activation=nn.relu)
    >>> net
    h1 = relu(W1*x + b1)
    z = W2*h1 + b2
    >>> net.params, net.inputs, net.init(seed=1)[net.params[1]].shape
    ([W1, b1, W2, b2], [x], (4, 1))
    """
    if not isinstance(sizes, Iterable) or isinstance(sizes, str):
        raise ArgumentError(f"nn.mlp: sizes is {sizes!r}; expected a list of widths such as [784, 256, 10]")
    widths = [_width(size) for size in sizes]
    if len(widths) < 2:
        raise ArgumentError(
            f"nn.mlp: sizes is {list(sizes)}; expected at least the widths of the input and the output"
        )
    if not callable(activation) or not (output is None or callable(output)):
        raise ArgumentError("nn.mlp: activation and output are functions such as nn.relu")
    below: Any = sp.MatrixSymbol("x", widths[0], 1)
    equations, params = [], []
    for k, (columns, rows) in enumerate(pairwise(widths), 1):
        last = k == len(widths) - 1
        weight, bias = sp.MatrixSymbol(f"W{k}", rows, columns), sp.MatrixSymbol(f"b{k}", rows, 1)
        name = sp.MatrixSymbol("z" if last else f"h{k}", rows, 1)
        total = weight * below + bias
        function = output if last else activation
        equations.append((name, total if function is None else _applied(function, total)))
        params += [weight, bias]
        below = name
    return Network(Graph(equations), params)


def _applied(function: Callable[[Any], Any], column: Any) -> Any:
    """The function of a column; where it is none of matrices, of every entry."""
    try:
        result = function(column)
    except SympropError:
        raise
    except (TypeError, ValueError, NotImplementedError):  # sympy's, of what matrices do not have
        result = None
    if getattr(result, "shape", None) == column.shape:
        return result
    if column.shape == (1, 1):
        return function(scalar(column))
    entry = sp.Dummy("v")
    return column.applyfunc(sp.Lambda(entry, function(entry)))


def _width(size: Any) -> int:
    try:
        width = int(size)
    except (TypeError, ValueError):
        width = 0
    if width < 1 or width != size or isinstance(size, bool):
        raise ArgumentError(f"nn.mlp: sizes holds {size!r}; expected positive integers")
    return width
