"""A physics-informed network for Burgers' equation, u_t + u u_x = nu u_xx on [-1, 1], u(x, 0) = -sin(pi x).

The network u(x, t) is a small multi-layer perceptron; its derivatives by x and t are formulas, the residual
of the equation is a formula made of them, and so is the gradient of the squared residual with respect to all
parameters: derivatives of third order. Trains at random points in space and time and prints the residual as
it falls.

    python examples/burgers.py [--steps 2000]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import sympy as sp
from rich.progress import track

import symprop
from symprop import nn

WIDTH = 12
VISCOSITY = 0.1
POINTS = 256
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


def points(rng: np.random.Generator, count: int = POINTS) -> tuple[Any, Any]:
    """Random places in [-1, 1] and times in [0, 1]."""
    return rng.uniform(-1, 1, count), rng.uniform(0, 1, count)


def initial(seed: int = 1) -> Arrays:
    """Weights drawn with variance one over the number of inputs, biases zero."""
    rng = np.random.default_rng(seed)
    shapes = [tuple(map(int, p.shape)) for p in PARAMS]
    return [rng.normal(size=s) / np.sqrt(s[1]) if s[1] > 1 else np.zeros(s) for s in shapes]


def train(f: symprop.Function, params: Arrays, steps: int, seed: int = 2) -> list[float]:
    """Adam in place, each step at new points; the loss of every step."""
    rng = np.random.default_rng(seed)
    means, squares = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    losses = []
    for step in track(range(1, steps + 1), description="training"):
        loss, grads = f.value_and_grad(*params, *points(rng))
        losses.append(float(loss))
        rate = RATE * 0.1 ** (step / steps)
        for p, g, m, v in zip(params, grads, means, squares, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return losses


def residual_of(each: symprop.Function, params: Arrays) -> float:
    """Root mean square of the residual on points not trained with."""
    squares = each(*params, *points(np.random.default_rng(0), 4000))
    return float(np.sqrt(np.mean(squares)))


def main(steps: int = 2000) -> tuple[float, float]:
    """Run everything; gives the residual before and after training."""
    graph, x, t = equations()
    args = [*PARAMS, x, t]
    f = symprop.compile(graph, args=args, batch=[x, t], wrt=PARAMS, reduce="mean")
    each = symprop.compile(graph, args=args, batch=[x, t], wrt=[])
    params = initial()
    print("Is the gradient of the loss right?\n")
    report = f.verify(*params, *points(np.random.default_rng(3), 3), budget=1e4)
    print(report)
    report.raise_if_failed()

    before = residual_of(each, params)
    print(f"\nresidual before training: {before:.4f}")
    losses = train(f, params, steps)
    for k in range(0, steps, max(1, steps // 8)):
        print(f"  step {k:5d}  residual {np.sqrt(np.mean(losses[k : k + 20])):.4f}")
    after = residual_of(each, params)
    print(f"residual after training:  {after:.4f}, {before / after:.0f} times smaller")
    return before, after


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=2000)
    main(parser.parse_args().steps)
