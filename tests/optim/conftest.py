"""A small network for training, its data and the golden values of torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

GOLDEN = Path(__file__).parents[1] / "data" / "optim_golden.npz"


@dataclass
class Training:
    """tanh(W1*x + b1), W2*h + b2, half the sum of squares: that of tests/tools/make_optim_golden.py."""

    x: sp.MatrixSymbol = field(default_factory=lambda: sp.MatrixSymbol("x", 3, 1))
    y: sp.MatrixSymbol = field(default_factory=lambda: sp.MatrixSymbol("y", 2, 1))

    def __post_init__(self) -> None:
        shapes = {"W1": (5, 3), "b1": (5, 1), "W2": (2, 5), "b2": (2, 1)}
        self.params = [sp.MatrixSymbol(name, *shape) for name, shape in shapes.items()]
        w1, b1, w2, b2 = self.params
        h, z = sp.MatrixSymbol("h", 5, 1), sp.MatrixSymbol("z", 2, 1)
        self.graph = symprop.Graph(
            [
                (h, nn.tanh(w1 * self.x + b1)),
                (z, w2 * h + b2),
                (sp.Symbol("L"), nn.squared_error(z, self.y)),
            ]
        )
        self.golden = dict(np.load(GOLDEN))
        self.start = {p: self.golden[p.name] for p in self.params}
        self.X, self.Y = self.golden["X"], self.golden["Y"]

    def compile(self, optimizer, **options):
        """The step of the network."""
        return symprop.compile_step(
            self.graph,
            args=[*self.params, self.x, self.y],
            params=self.params,
            batch=[self.x, self.y],
            optimizer=optimizer,
            **options,
        )

    def flat(self, state):
        """All parameters in one row."""
        return np.concatenate([state.params[p].ravel() for p in self.params])


@pytest.fixture(scope="session")
def training():
    return Training()
