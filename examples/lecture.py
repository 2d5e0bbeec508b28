"""The small examples with which backpropagation is taught, one after the other, each with its known numbers.

python examples/lecture.py
"""

from __future__ import annotations

import itertools

import numpy as np
import sympy as sp

import symprop
from symprop import nn


def show(
    title: str, graph: symprop.Graph, args: list[sp.Symbol], point: list[float]
) -> tuple[float, list[float]]:
    """Print a graph, its adjoint equations, and value and gradient at a point."""
    f = symprop.compile(graph, args=args, wrt=args)
    value, grads = f.value_and_grad(*point)
    print(f"\n{title}")
    print(f.backward)
    gradient = [float(g) for g in grads]
    at = ", ".join(f"{name} = {number:g}" for name, number in zip(args, point, strict=True))
    print(f"at {at}: value {value:.4g}, gradient {', '.join(f'{g:.4g}' for g in gradient)}")
    return float(value), gradient


def product_of_sum() -> tuple[float, list[float]]:
    """f = (x + y) z at (-2, 5, -4): value -12, gradient -4, -4, 3."""
    x, y, z, q, f = sp.symbols("x y z q f")
    graph = symprop.Graph([(q, x + y), (f, q * z)])
    return show("A product of a sum", graph, [x, y, z], [-2.0, 5.0, -4.0])


def neuron() -> tuple[float, list[float]]:
    """The sigmoid neuron: value 0.73; gradient -0.20, -0.39, 0.20 for the weights, 0.39, -0.59 for the
    inputs.
    """
    w0, w1, w2, x0, x1, a, f = sp.symbols("w0 w1 w2 x0 x1 a f")
    graph = symprop.Graph([(a, w0 * x0 + w1 * x1 + w2), (f, 1 / (1 + sp.exp(-a)))])
    return show("A sigmoid neuron", graph, [w0, w1, w2, x0, x1], [2.0, -3.0, -3.0, -1.0, -2.0])


def gates() -> dict[str, list[float]]:
    """Addition hands the gradient on, multiplication switches the inputs, the maximum chooses one."""
    a, b = sp.symbols("a b")
    print("\nGates at a = 3, b = -1")
    found = {}
    for name, expression in (("a + b", a + b), ("a * b", a * b), ("max(a, b)", sp.Max(a, b))):
        found[name] = [float(g) for g in symprop.compile(expression, args=[a, b]).grad(3.0, -1.0)]
        print(f"  {name:10} gradient {found[name]}")
    return found


def converging_paths() -> tuple[float, list[float]]:
    """Where two paths meet, the gradients that come back along them add."""
    x, q, r, f = sp.symbols("x q r f")
    graph = symprop.Graph([(q, x**2), (r, sp.sin(q)), (f, q * r + r * x)])
    return show("Two paths that converge", graph, [x], [0.7])


def network() -> tuple[int, float, list[np.ndarray]]:
    """The fully connected 3-4-4-2 network with its 46 parameters."""
    x, y = sp.MatrixSymbol("x", 3, 1), sp.Symbol("y", integer=True)
    sizes = [3, 4, 4, 2]
    params, equations, below = [], [], x
    for k, (columns, rows) in enumerate(itertools.pairwise(sizes), 1):
        weight, bias = sp.MatrixSymbol(f"W{k}", rows, columns), sp.MatrixSymbol(f"b{k}", rows, 1)
        params += [weight, bias]
        last = k == len(sizes) - 1
        here = sp.MatrixSymbol("z" if last else f"h{k}", rows, 1)
        equations.append((here, weight * below + bias if last else nn.tanh(weight * below + bias)))
        below = here
    graph = symprop.Graph([*equations, (sp.Symbol("L"), nn.cross_entropy(below, y))])
    count = sum(int(p.shape[0] * p.shape[1]) for p in params)
    print(f"\nThe 3-4-4-2 network, {count} parameters")
    f = symprop.compile(graph, args=[*params, x, y], wrt=params)
    print(f.backward)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=tuple(map(int, p.shape))) / 2 for p in params]
    value, grads = f.value_and_grad(*arrays, rng.normal(size=3), 1)
    print(f"loss {value:.6f}; the gradients have shapes {[g.shape for g in grads]}")
    return count, float(value), list(grads)


def saturation() -> list[tuple[float, float, float]]:
    """One sigmoid unit whose target is 1: squared error loses its gradient in the tail, cross-entropy keeps
    it.
    """
    z, t = sp.symbols("z t")
    square = symprop.compile(nn.squared_error(nn.sigmoid(z), t), args=[z, t], wrt=z)
    entropy = symprop.compile(nn.binary_cross_entropy_with_logits(z, t), args=[z, t], wrt=z)
    print("\nA saturated sigmoid unit, target 1: gradient with respect to z")
    print(f"  {'z':>5} {'squared error':>16} {'cross-entropy':>16}")
    rows = []
    for at in (-40.0, -50.0):
        rows.append((at, float(square.grad(at, 1.0)), float(entropy.grad(at, 1.0))))
        print(f"  {at:5.0f} {rows[-1][1]:16.6e} {rows[-1][2]:16.6f}")
    return rows


def main() -> None:
    """Run all."""
    product_of_sum()
    neuron()
    gates()
    converging_paths()
    network()
    saturation()


if __name__ == "__main__":
    main()
