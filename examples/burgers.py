"""A physics-informed network for Burgers' equation, u_t + u u_x = nu u_xx on [-1, 1], u(x, 0) = -sin(pi x).

The network u(x, t) is a small multi-layer perceptron; its derivatives by x and t are formulas, the residual
of the equation is a formula made of them, and so is the gradient of the squared residual with respect to all
parameters: derivatives of third order. Trains at random points in space and time and prints the residual as
it falls.

    python examples/burgers.py [--epochs 125]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import sympy as sp

import symprop
from symprop import nn, optim

WIDTH = 12
VISCOSITY = 0.1
POINTS, BATCH = 4096, 256
RATE = 1e-2
Arrays = list[Any]

PARAMS = [
    sp.MatrixSymbol("W1", WIDTH, 2),
    sp.MatrixSymbol("b1", WIDTH, 1),
    sp.MatrixSymbol("W2", WIDTH, WIDTH),
    sp.MatrixSymbol("b2", WIDTH, 1),
    sp.MatrixSymbol("W3", 1, WIDTH),
]


def network(x: Any, t: Any) -> Any:
    """u(x, t); by its form it is -sin(pi x) at t = 0, and zero at both ends."""
    W1, b1, W2, b2, W3 = PARAMS
    h = nn.tanh(W2 * nn.tanh(W1 * sp.ImmutableMatrix([x, t]) + b1) + b2)
    return -sp.sin(sp.pi * x) + t * (1 - x**2) * symprop.scalar(W3 * h)


def equations() -> tuple[symprop.Graph, sp.Symbol, sp.Symbol]:
    """The loss at one point: the squared residual."""
    x, t = sp.symbols("x t", real=True)
    u = network(x, t)
    u_x, u_t = symprop.grad(u, [x, t])
    u_xx = symprop.grad(u_x, x)
    residual, loss = sp.symbols("residual loss")
    graph = symprop.Graph([(residual, u_t + u * u_x - VISCOSITY * u_xx), (loss, residual**2)])
    return graph, x, t


def points(rng: np.random.Generator, count: int) -> tuple[Any, Any]:
    """Random places in [-1, 1] and times in [0, 1]."""
    return rng.uniform(-1, 1, count), rng.uniform(0, 1, count)


def initial(seed: int = 1) -> Arrays:
    """Weights drawn with variance one over the number of inputs, biases zero."""
    rng = np.random.default_rng(seed)
    shapes = [tuple(map(int, p.shape)) for p in PARAMS]
    return [rng.normal(size=s) / np.sqrt(s[1]) if s[1] > 1 else np.zeros(s) for s in shapes]


def train(graph: symprop.Graph, x: sp.Symbol, t: sp.Symbol, epochs: int, seed: int = 2) -> symprop.FitResult:
    """Adam over random points in mini-batches, its rate falling to a tenth."""
    steps = epochs * (POINTS // BATCH)
    rate = optim.exponential(RATE, 0.1 ** (1 / steps))
    return symprop.fit(
        graph,
        points(np.random.default_rng(seed), POINTS),
        None,
        params=dict(zip(PARAMS, initial(), strict=True)),
        inputs=[x, t],
        epochs=epochs,
        batch_size=BATCH,
        optimizer=optim.Adam(lr=rate),
        seed=seed,
    )


def residual_of(each: symprop.Function, params: Arrays) -> float:
    """Root mean square of the residual on points not trained with."""
    squares = each(*params, *points(np.random.default_rng(0), 4000))
    return float(np.sqrt(np.mean(squares)))


def exact(x: Any, t: Any) -> Any:
    """The solution of Cole and Hopf: a quotient of integrals, here by Gauss and Hermite's rule."""
    nodes, weights = np.polynomial.hermite.hermgauss(80)
    y = x[:, None] - nodes * np.sqrt(4 * VISCOSITY * t[:, None])
    g = weights * np.exp(-np.cos(np.pi * y) / (2 * np.pi * VISCOSITY))
    return -(np.sin(np.pi * y) * g).sum(1) / g.sum(1)


def main(epochs: int = 125) -> tuple[float, float]:
    """Run everything; gives the residual before and after training."""
    graph, x, t = equations()
    args = [*PARAMS, x, t]
    f = symprop.compile(graph, args=args, batch=[x, t], wrt=PARAMS, reduce="mean")
    each = symprop.compile(graph, args=args, batch=[x, t], wrt=[])
    params = initial()
    print("The network:\n")
    print(symprop.Graph([(sp.Symbol("u"), network(x, t))]))
    print("\nThe loss at one point, its derivatives written out:\n")
    print(graph)
    print("\nIs the gradient of the loss right?\n")
    report = f.verify(*params, *points(np.random.default_rng(3), 3), budget=1e4)
    print(report)
    report.raise_if_failed()

    before = residual_of(each, params)
    print(f"\nresidual before training: {before:.4f}")
    result = train(graph, x, t, epochs)
    for row in result.history[:: max(1, epochs // 8)]:
        print(f"  epoch {row['epoch']:4d}  residual {np.sqrt(row['loss']):.4f}")
    after = residual_of(each, [result.params[p] for p in PARAMS])
    print(f"residual after training:  {after:.4f}, {before / after:.0f} times smaller")

    u = symprop.compile(network(x, t), args=args, batch=[x, t], wrt=[])
    where = points(np.random.default_rng(4), 1000)
    right = exact(*where)
    for name, arrays in (("before", params), ("after", [result.params[p] for p in PARAMS])):
        error = np.sqrt(np.mean((u(*arrays, *where) - right) ** 2) / np.mean(right**2))
        print(f"distance from the exact solution {name} training: {100 * error:.2f}%")
    return before, after


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=125)
    main(parser.parse_args().epochs)
