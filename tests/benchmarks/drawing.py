"""How long a drawing takes and how large it is: 784-256-10 with a batch of 32, and a chain of 400 equations.

python tests/benchmarks/drawing.py
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp

import symprop
from symprop import nn


def network() -> tuple[symprop.Function, list[Any]]:
    """A classifier of images, with random ones."""
    mlp, label, loss = nn.mlp([784, 256, 10]), sp.Symbol("y", integer=True), sp.Symbol("L")
    graph = symprop.Graph([*mlp.graph.equations, (loss, nn.cross_entropy(mlp.scores, label))])
    data = [*mlp.inputs, label]
    rng = np.random.default_rng(0)
    function = symprop.compile(graph, args=[*mlp.params, *data], batch=data, reduce="mean")
    return function, [*mlp.init(0).values(), rng.normal(size=(32, 784)), rng.integers(0, 10, 32)]


def chain() -> tuple[symprop.Function, list[Any]]:
    """Each equation takes the one before it."""
    names = sp.symbols("s0:401")
    graph = symprop.Graph([(b, sp.sin(a) + a / 2) for a, b in pairwise(names)])
    return symprop.compile(graph, args=[names[0]]), [1.0]


def main() -> None:
    """The first drawing, when its numbers are compiled, and the fastest of eight more."""
    for name, make in (("784-256-10, 32 samples", network), ("chain of 400", chain)):
        function, values = make()
        times = []
        for _ in range(9):
            begin = time.perf_counter()
            drawing = function.draw(*values)
            times.append(time.perf_counter() - begin)
        print(
            f"{name}: {1e3 * times[0]:.0f} ms, then {1e3 * min(times[1:]):.0f} ms; "
            f"{len(drawing.svg) / 1000:.0f} kB, {drawing.width:.0f} x {drawing.height:.0f} pixels"
        )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    main()
