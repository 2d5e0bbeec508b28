"""A small network that most tests of the calls use, with its loss and gradients by NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import sympy as sp

import symprop


@dataclass
class Network:
    """3 inputs, 4 tanh units, 2 outputs, half the sum of squared differences to t."""

    x: sp.MatrixSymbol = field(default_factory=lambda: sp.MatrixSymbol("x", 3, 1))
    t: sp.MatrixSymbol = field(default_factory=lambda: sp.MatrixSymbol("t", 2, 1))
    h: sp.MatrixSymbol = field(default_factory=lambda: sp.MatrixSymbol("h", 4, 1))
    z: sp.MatrixSymbol = field(default_factory=lambda: sp.MatrixSymbol("z", 2, 1))

    def __post_init__(self) -> None:
        shapes = {"W1": (4, 3), "b1": (4, 1), "W2": (2, 4), "b2": (2, 1)}
        self.params = [sp.MatrixSymbol(name, *shape) for name, shape in shapes.items()]
        w1, b1, w2, b2 = self.params
        self.args = [*self.params, self.x, self.t]
        self.graph = symprop.Graph(
            [
                (self.h, (w1 * self.x + b1).applyfunc(sp.tanh)),
                (self.z, w2 * self.h + b2),
                (sp.Symbol("L"), (self.z - self.t).T * (self.z - self.t) / 2),
            ]
        )
        rng = np.random.default_rng(11)
        self.arrays = [rng.normal(size=p.shape) for p in self.params]
        self.xs, self.ts = rng.normal(size=(29, 3)), rng.normal(size=(29, 2))

    def fresh(self, n=29):
        """Fresh arguments with the first n samples."""
        return [*(a.copy() for a in self.arrays), self.xs[:n].copy(), self.ts[:n].copy()]

    def reference(self, arguments):
        """Losses (N,) and the gradients of each sample by the parameters and by x."""
        w1, b1, w2, b2, x, t = (np.asarray(a, float) for a in arguments)
        h = np.tanh(x @ w1.T + b1[:, 0])
        e = h @ w2.T + b2[:, 0] - t
        d = (e @ w2) * (1 - h * h)
        grads = [
            d[:, :, None] * x[:, None, :],
            d[:, :, None],
            e[:, :, None] * h[:, None, :],
            e[:, :, None],
            d @ w1,
        ]
        return (e * e).sum(1) / 2, grads


@pytest.fixture(scope="session")
def net():
    return Network()


@pytest.fixture(scope="session")
def mean(net):
    """The network over a batch, mean of the samples."""
    return symprop.compile(net.graph, args=net.args, batch=[net.x, net.t], reduce="mean")


@pytest.fixture(scope="session")
def each(net):
    """The network over a batch, per sample."""
    return symprop.compile(net.graph, args=net.args, batch=[net.x, net.t])
