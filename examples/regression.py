"""Regression on real data: a linear model against its closed-form solution, and a small network beside it.

The data are scikit-learn's diabetes: 442 patients, ten measurements each, and the progress of the disease a
year later. The linear model is trained by gradient descent until it agrees with the solution of least
squares; a network of one hidden layer is trained on the same four fifths, and both are judged by the fifth
held out.

    python examples/regression.py [--epochs 2000]
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from sklearn.datasets import load_diabetes

import symprop
from symprop import nn, optim

FEATURES, HIDDEN = 10, 8


class Split(NamedTuple):
    """Standardised measurements and outcomes, to train with and held out."""

    train_x: Any
    train_y: Any
    test_x: Any
    test_y: Any


def data(seed: int = 0) -> Split:
    """Four fifths of the patients and a fifth, standardised by the mean and deviation of the four fifths."""
    x, y = load_diabetes(return_X_y=True, scaled=False)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    cut = len(x) * 4 // 5
    x = (x - x[:cut].mean(0)) / x[:cut].std(0)
    y = (y - y[:cut].mean()) / y[:cut].std()
    return Split(x[:cut], y[:cut], x[cut:], y[cut:])


def linear() -> tuple[symprop.Graph, list[Any], list[Any]]:
    """The linear model with half the squared error, its parameters, its inputs."""
    x, t = sp.MatrixSymbol("x", FEATURES, 1), sp.Symbol("t")
    w, b, y, L = sp.MatrixSymbol("w", FEATURES, 1), sp.Symbol("b"), sp.Symbol("y"), sp.Symbol("L")
    graph = symprop.Graph([(y, symprop.scalar(w.T * x) + b), (L, nn.squared_error(y, t))])
    return graph, [w, b], [x, t]


def network() -> tuple[symprop.Graph, list[Any], list[Any]]:
    """One hidden layer of tanh, with half the squared error, its parameters, its inputs."""
    x, t = sp.MatrixSymbol("x", FEATURES, 1), sp.Symbol("t")
    W, b = sp.MatrixSymbol("W", HIDDEN, FEATURES), sp.MatrixSymbol("b", HIDDEN, 1)
    v, c = sp.MatrixSymbol("v", HIDDEN, 1), sp.Symbol("c")
    h, y, L = sp.MatrixSymbol("h", HIDDEN, 1), sp.Symbol("y"), sp.Symbol("L")
    graph = symprop.Graph(
        [(h, nn.tanh(W * x + b)), (y, symprop.scalar(v.T * h) + c), (L, nn.squared_error(y, t))]
    )
    return graph, [W, b, v, c], [x, t]


def closed_form(split: Split) -> Any:
    """The solution of least squares: the weights, then the constant."""
    columns = np.column_stack([split.train_x, np.ones(len(split.train_x))])
    return np.linalg.lstsq(columns, split.train_y, rcond=None)[0]


def determination(y: Any, t: Any) -> float:
    """R squared: the share of the variance of t that y explains."""
    return float(1 - np.sum((y - t) ** 2) / np.sum((t - np.mean(t)) ** 2))


def train_linear(split: Split, epochs: int) -> symprop.FitResult:
    """Gradient descent with momentum on all patients at once, from zero."""
    graph, (w, b), inputs = linear()
    return symprop.fit(
        graph,
        split.train_x,
        split.train_y,
        params={w: np.zeros(FEATURES), b: 0.0},
        inputs=inputs,
        epochs=epochs,
        batch_size=len(split.train_x),
        optimizer=optim.SGD(lr=0.4, momentum=0.95),
        validation=(split.test_x, split.test_y),
        metrics={"r2": lambda y, t: determination(y, t)},
    )


def train_network(split: Split, epochs: int, seed: int = 0) -> symprop.FitResult:
    """Adam with a penalty on the squares of the weights, and early stopping.

    A fifth of the patients to train with is set apart to tell when to stop; those held out are not seen.
    """
    graph, params, inputs = network()
    rng = np.random.default_rng(seed)
    shapes = [tuple(map(int, getattr(p, "shape", ()))) for p in params]
    start = {p: rng.normal(size=s) / np.sqrt(FEATURES) for p, s in zip(params, shapes, strict=True)}
    cut = len(split.train_x) * 4 // 5
    return symprop.fit(
        graph,
        split.train_x[:cut],
        split.train_y[:cut],
        params=start,
        inputs=inputs,
        epochs=epochs,
        batch_size=32,
        optimizer=optim.chain(optim.l2(0.02), optim.Adam(lr=3e-3)),
        validation=(split.train_x[cut:], split.train_y[cut:]),
        metrics={"r2": lambda y, t: determination(y, t)},
        early_stopping=symprop.EarlyStopping(patience=30),
    )


def verified(graph: symprop.Graph, params: list[Any], inputs: list[Any], split: Split, budget: float) -> str:
    """Declared and derived equations, and whether the gradients are right."""
    f = symprop.compile(graph, args=[*params, *inputs], batch=inputs, reduce="mean")
    rng = np.random.default_rng(1)
    point = [rng.normal(size=tuple(map(int, getattr(p, "shape", ())))) for p in params]
    report = f.verify(*point, split.train_x[:3], split.train_y[:3], budget=budget)
    report.raise_if_failed()
    return f"{symprop.backprop(graph, params)}\n\ngradients verified: {len(report.rows)} rows, all passed\n"


def judged(result: symprop.FitResult, model: Any, split: Split) -> float:
    """R squared on the patients held out."""
    graph, params, (x, _) = model
    y = symprop.Graph(graph.equations[:-1])
    f = symprop.compile(y, args=[*params, x], batch=[x], wrt=[])
    return determination(f(*[result.params[p] for p in params], split.test_x), split.test_y)


def main(epochs: int = 2000, budget: float = 2e5) -> dict[str, float]:
    """Run everything; `budget` is the work that verification may do. Gives what was measured, by name."""
    split = data()
    print("A linear model, for one patient, and its adjoint equations:\n")
    print(verified(*linear(), split, budget))
    result = train_linear(split, epochs)
    w, b = result.params.values()
    exact = closed_form(split)
    found = np.append(np.ravel(w), b)
    difference = float(np.abs(found - exact).max() / np.abs(exact).max())
    print(f"{result}")
    print(f"closed form: the weights agree to {difference:.1e} of the largest\n")
    print(f"A network of {HIDDEN} tanh units:\n")
    print(verified(*network(), split, budget))
    other = train_network(split, epochs)
    print(f"{other}\n")
    columns = np.column_stack([split.test_x, np.ones(len(split.test_x))])
    scores = {
        "closed form": determination(columns @ exact, split.test_y),
        "linear model, trained": judged(result, linear(), split),
        "network": judged(other, network(), split),
    }
    print(f"R squared on {len(split.test_y)} patients held out:")
    for name, score in scores.items():
        print(f"  {name:22} {score:.4f}")
    better = scores["network"] - scores["closed form"]
    verdict = "gains" if better > 0.01 else "loses" if better < -0.01 else "neither gains nor loses"
    print(f"the network {verdict} against the linear model ({better:+.3f})")
    return {"difference": difference, **scores}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=2000)
    main(parser.parse_args().epochs)
