"""Handwritten digits with a network declared as equations.

Declares a 64-32-10 tanh network with softmax cross-entropy, prints it and the adjoint equations that follow
from it, verifies the gradients, trains with mini-batches on scikit-learn's 1,797 images of 8 x 8 and ends
with the accuracy on a fifth that was held out, and with the time of a step beside one by hand in NumPy.

    python examples/digits.py [--epochs 40]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from sklearn.datasets import load_digits

import symprop
from symprop import nn, optim

BATCH = 32
RATE = 0.2
Arrays = list[Any]
Params = dict[sp.MatrixSymbol, Any]


def network() -> tuple[symprop.Graph, list[sp.MatrixSymbol], sp.MatrixSymbol, sp.Symbol]:
    """The equations for one image, its parameters and its inputs."""
    x, y = sp.MatrixSymbol("x", 64, 1), sp.Symbol("y", integer=True)
    W1, b1 = sp.MatrixSymbol("W1", 32, 64), sp.MatrixSymbol("b1", 32, 1)
    W2, b2 = sp.MatrixSymbol("W2", 10, 32), sp.MatrixSymbol("b2", 10, 1)
    h, z, L = sp.MatrixSymbol("h", 32, 1), sp.MatrixSymbol("z", 10, 1), sp.Symbol("L")
    graph = symprop.Graph([(h, nn.tanh(W1 * x + b1)), (z, W2 * h + b2), (L, nn.cross_entropy(z, y))])
    return graph, [W1, b1, W2, b2], x, y


def data(seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Images scaled to [0, 1] and labels: four fifths to train with, one fifth held out."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    images, labels = images[order] / 16.0, labels[order]
    cut = len(images) * 4 // 5
    return images[:cut], labels[:cut], images[cut:], labels[cut:]


def initial(params: list[sp.MatrixSymbol], seed: int = 1) -> Params:
    """Weights drawn with variance one over the number of inputs, biases zero."""
    rng = np.random.default_rng(seed)
    shapes = {p: tuple(map(int, p.shape)) for p in params}
    return {p: rng.normal(size=s) / np.sqrt(s[1]) if s[1] > 1 else np.zeros(s) for p, s in shapes.items()}


def step_by_hand(params: Arrays, x: Any, y: Any, rate: float) -> float:
    """One step of gradient descent as a careful NumPy user writes it, in place."""
    W1, b1, W2, b2 = params
    rows = np.arange(len(x))
    h = np.tanh(x @ W1.T + b1.T)
    z = h @ W2.T + b2.T
    z -= z.max(1, keepdims=True)
    e = np.exp(z)
    s = e.sum(1, keepdims=True)
    loss = float(np.mean(np.log(s[:, 0]) - z[rows, y]))
    dz = e / s
    dz[rows, y] -= 1
    dz /= len(x)
    da = (dz @ W2) * (1 - h * h)
    for p, g in zip(params, (da.T @ x, da.sum(0)[:, None], dz.T @ h, dz.sum(0)[:, None]), strict=True):
        p -= rate * g
    return loss


def accuracy(z: Any, y: Any) -> float:
    """The share of images whose largest score is that of their label."""
    return float(np.mean(z.argmax(1) == y))


def train(start: Params, images: tuple[Any, Any, Any, Any], epochs: int) -> symprop.FitResult:
    """Gradient descent with mini-batches; loss and accuracy on the images held out after each epoch."""
    graph, _, x, y = network()
    train_x, train_y, test_x, test_y = images
    return symprop.fit(
        graph,
        train_x,
        train_y,
        params=start,
        inputs=[x, y],
        epochs=epochs,
        batch_size=BATCH,
        optimizer=optim.SGD(lr=RATE),
        validation=(test_x, test_y),
        metrics={"accuracy": accuracy},
        seed=2,
    )


def race(calls: dict[str, Callable[[], Any]], turns: int = 9, repeats: int = 200) -> dict[str, float]:
    """Median microseconds of a call; the contestants take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            times[name].append((time.perf_counter() - start) / repeats * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def compare(result: symprop.FitResult, start: Params, x: Any, y: Any) -> dict[str, float]:
    """The time of a step of gradient descent on one batch: compiled with its update, and by hand."""
    x, y = x[:BATCH].copy(), y[:BATCH].copy()
    step, state = result.step, result.step.init(start)
    theirs = [p.copy() for p in start.values()]
    return race(
        {
            "symprop": lambda: step(state, x, y),
            "NumPy by hand": lambda: step_by_hand(theirs, x, y, RATE),
        }
    )


def main(epochs: int = 40, budget: float = 2e5) -> float:
    """Run everything; `budget` is the work that verification may do. Gives the accuracy on unseen images."""
    graph, params, x, y = network()
    print("The network, for one image:\n")
    print(graph)
    print("\nIts adjoint equations, by the chain rule:\n")
    print(symprop.backprop(graph, params))

    f = symprop.compile(graph, args=[*params, x, y], batch=[x, y], reduce="mean")
    images = data()
    train_x, train_y, _, test_y = images
    start = initial(params)
    print("\nIs the gradient right?\n")
    report = f.verify(*start.values(), train_x[:2], train_y[:2], budget=budget)
    print(report)
    report.raise_if_failed()

    print(f"\nTraining with {optim.SGD(lr=RATE)}\n")
    result = train(start, images, epochs)
    print(result.history)
    share: float = result.history[-1]["val_accuracy"]
    print(f"loss {result.history[-1]['loss']:.4f} after {epochs} epochs")
    print(f"test accuracy {100 * share:.1f}% on {len(test_y)} digits not seen before")
    print(f"\nOne step on {BATCH} images:")
    times = compare(result, start, train_x, train_y)
    for name, microseconds in times.items():
        share_of_numpy = microseconds / times["NumPy by hand"]
        print(f"  {name:15} {microseconds:7.1f} us, {share_of_numpy:.2f} of NumPy by hand")
    return share


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=40)
    main(parser.parse_args().epochs)
