"""No false alarm on random smooth networks, no miss of a relative error of 1e-6 in one of their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

from symprop import nn
from symprop.declare import Export, Graph
from symprop.functions.symbols import named
from symprop.verify import verify

from .networks import Reference, failures

UNARY = ("exp", "sin", "cos", "tanh", "sigmoid", "softplus", "erf", "atan", "asinh", "gelu", "silu")


def random_scalar(seed: int) -> tuple[Graph, dict[Any, Any]]:
    """A graph of some ten scalar nodes with sharing, of smooth functions, sums, products, quotients."""
    random = np.random.default_rng(seed)
    inputs = list(sp.symbols("x y z"))
    names: list[Any] = list(inputs)
    equations = []
    for k in range(int(random.integers(3, 10))):
        a, b = (names[int(random.integers(len(names)))] for _ in range(2))
        choice = random.integers(6)
        expression = [
            a + sp.Rational(int(random.integers(-9, 9)), 7) * b,
            a * b,
            a / (1 + b**2),
            named(UNARY[int(random.integers(len(UNARY)))], [a]),
            named(UNARY[int(random.integers(3, len(UNARY)))], [a - b]),
            a ** int(random.integers(2, 4)) - b,
        ][choice]
        # the size of the values stays within reach of float64
        name = sp.Symbol(f"n{k}")
        equations.append((name, named("tanh", [expression]) * 3 if random.random() < 0.3 else expression))
        names.append(name)
    last = sp.Symbol("f")
    equations.append((last, sum((named("tanh", [n / 8]) for n in names), sp.Integer(0))))
    scale = 10.0 ** random.integers(-3, 2)
    return Graph(equations), {s: float(random.standard_normal() * scale) for s in inputs}


def random_network(seed: int) -> tuple[Graph, dict[Any, Any]]:
    """A network of one or two layers over matrices with a skip connection, of random sizes."""
    random = np.random.default_rng(seed)
    m, n = (int(k) for k in random.integers(1, 5, 2))
    x, A, B = sp.MatrixSymbol("x", m, 1), sp.MatrixSymbol("A", n, m), sp.MatrixSymbol("B", n, n)
    h, k, f = sp.MatrixSymbol("h", n, 1), sp.MatrixSymbol("k", n, 1), sp.Symbol("f")
    first, second = (UNARY[int(random.integers(3, len(UNARY)))] for _ in range(2))
    equations = [
        (h, named(first, [A * x])),
        (k, named(second, [B * h]) + h),
        (f, nn.squared_error(k, B.T * h) if random.random() < 0.5 else nn.logsumexp(k)),
    ]
    at = {s: random.standard_normal(s.shape) for s in (x, A, B)}
    return Graph(equations), at


@pytest.mark.parametrize("seed", range(24))
def test_smooth_networks_pass_and_a_planted_error_does_not(seed: int) -> None:
    graph, at = (random_scalar if seed % 2 else random_network)(seed)
    wrt = list(graph.inputs)
    assert verify(graph, at, wrt, function=Reference(graph, wrt)).passed
    reference = Reference(graph, wrt)
    values = reference.value_and_grad(*(at[s] for s in reference.args))[1]
    chosen = max(range(len(wrt)), key=lambda k: float(np.max(np.abs(values[k]))))
    table = graph.table
    wrong = table.mul(table.constant(1 + sp.Rational(1, 10**6)), reference.roots[chosen + 1])
    names = {node.serial: s for s, node in reversed(graph.nodes.items())}
    expression = Export(names).expression(wrong)
    report = verify(graph, at, wrt, gradients={wrt[chosen]: expression})
    assert ("finite differences", f"d/d{wrt[chosen]}") in failures(report)
