"""The workloads: data, the network as equations, the contestants, and their check against the reference.

All random numbers come from `numpy.random.default_rng(seed)` in the order given.

| name | what | numbers |
|---|---|---|
| W1 | 3-4-4-2 tanh network, cross-entropy with a column of targets, one sample | float64 |
| W2 | the same for 100,000 samples: `sum` over them, or `persample`: 47 results for each | float64 |
| W3-64, W3-256 | 784-256-128-10, relu, cross-entropy of class indices, mean loss and gradients | float32 |
| W3b | 64-32-10, tanh, batch 32 | float32 |
| W3c | 784-1024-1024-10, relu, batch 256 | float32 |
| W3-64-step ... | the same with an update of the parameters: Adam, for W3b gradient descent | float32 |
| threads | W3-64, W3-256, W3c and their steps on two cores | float32 |
| products | matrix products alone, see `products.py` | both |
| W4 | gelu(x) sigmoid(1.702 x) + softplus(x) and its derivative at a million points | both |
| W5 | mlp-n: n-n-n-1, tanh, by scalars; chain-n: s = sin(s) v[k] + s; prod-n: v[0] v[1] ... | float64 |
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from benchmarks import byhand, limits, products

import symprop
from symprop import nn
from symprop.emit.target import host

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
SECONDS = {"us": 1e6, "ms": 1e3, "ns a sample": 1e9, "ns an element": 1e9}


@dataclass
class Workload:
    """One row of the table: what is called, in which unit, and how long it took to get there.

    `calls` always hold `bind` and `numpy`; `call` is the ordinary call. `per` is the number of samples or
    elements of one call; `ready` the seconds of processor time from no equations to the first result,
    `derive` the part of it before native code is made; `operations` those of the matrix products. `limit`
    is what the machine can do at most, of which one call takes `amount`. A row that has a call `alone` is
    for two threads, `alone` is for one.
    """

    name: str
    unit: str
    calls: dict[str, Callable[[], Any]]
    per: int = 1
    derive: float = 0.0
    ready: float = 0.0
    operations: float = 0.0
    limit: limits.Limit | None = None
    amount: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)

    def shown(self, seconds: float) -> float:
        """A time of one call in the unit of the row."""
        return seconds / self.per * SECONDS[self.unit]


def checked(name: str, found: Sequence[Any], right: Sequence[Any], dtype: str) -> None:
    """Raise AssertionError unless all arrays agree: |found - right| <= tolerance (1 + |right|)."""
    for k, (f, r) in enumerate(zip(found, right, strict=True)):
        right64 = np.asarray(r, float)
        found64 = np.asarray(f, float).reshape(right64.shape)
        error = np.max(np.abs(found64 - right64) / (1 + np.abs(right64)), initial=0.0)
        assert error <= TOLERANCE[dtype], f"{name}, result {k}: error {error:.1e}"


# -- W1, W2: the 3-4-4-2 network -----------------------------------------------------------------------------

SHAPES = [(4, 3), (4, 1), (4, 4), (4, 1), (2, 4), (2, 1)]
SAMPLES = 100_000


def lecture_network() -> tuple[symprop.Graph, list[Any], list[Any]]:
    """Graph, parameters, and the inputs x (3,) and t (2,)."""
    names = ["W1", "b1", "W2", "b2", "W3", "b3"]
    params = [sp.MatrixSymbol(n, *s) for n, s in zip(names, SHAPES, strict=True)]
    W1, b1, W2, b2, W3, b3 = params
    x, t, z = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("t", 2, 1), sp.MatrixSymbol("z", 2, 1)
    h1, h2 = sp.MatrixSymbol("h1", 4, 1), sp.MatrixSymbol("h2", 4, 1)
    graph = symprop.Graph(
        [
            (h1, nn.tanh(W1 * x + b1)),
            (h2, nn.tanh(W2 * h1 + b2)),
            (z, W3 * h2 + b3),
            (sp.Symbol("L"), nn.cross_entropy(z, t)),
        ]
    )
    return graph, params, [x, t]


def lecture_scalars() -> tuple[symprop.Graph, list[Any]]:
    """The same network with an equation for every neuron, over one column of 46 parameters."""
    theta, x, t = sp.MatrixSymbol("theta", 46, 1), sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("t", 2, 1)
    entries, equations = iter([theta[k, 0] for k in range(46)]), []
    below: list[Any] = [x[k, 0] for k in range(3)]
    for layer, (rows, columns) in enumerate(SHAPES[::2]):
        weights = [[next(entries) for _ in range(rows)] for _ in range(columns)]
        above = []
        for j in range(rows):
            terms = [weights[i][j] * below[i] for i in range(columns)]
            above.append([sp.Symbol(f"{'ghz'[layer]}{j}"), terms])
        for entry in above:
            total = sp.Add(*entry[1], next(entries))
            equations.append((entry[0], nn.tanh(total) if layer < 2 else total))
        below = [name for name, _ in above]
    loss = sp.log(sp.exp(below[0]) + sp.exp(below[1])) - below[0] * t[0, 0] - below[1] * t[1, 0]
    return symprop.Graph([*equations, (sp.Symbol("L"), loss)]), [theta, x, t]


def lecture_parameters() -> tuple[Any, list[Any]]:
    """The 46 parameters in one array (weights as (in, out), row by row), and as W (out, in), b (out,) ..."""
    theta = 0.5 * np.random.default_rng(0).normal(size=46)
    arrays, used = [], 0
    for rows, columns in SHAPES:
        part = theta[used : used + rows * columns]
        used += part.size
        arrays.append(part.reshape(columns, rows).T.copy() if columns > 1 else part.copy())
    return theta, arrays


def flat(grads: Sequence[Any]) -> Any:
    """Gradients per layer as one array in the order of theta."""
    return np.concatenate([np.asarray(g).T.ravel() for g in grads])


def w1() -> Iterator[Workload]:
    """One sample, with the parameters as matrices and as one column with an equation per neuron."""
    theta, arrays = lecture_parameters()
    x, t = np.random.default_rng(1).normal(size=3), np.array([0.0, 1.0])
    loss, grads = byhand.one_sample(arrays, x, t)

    graph, params, inputs = lecture_network()
    f = symprop.compile(graph, args=[*params, *inputs], wrt=params)
    step = f.bind(*arrays, x, t)
    step()
    for value, found in ((step.value, step.grads), f.value_and_grad(*arrays, x, t)):
        checked("W1", [value, *found], [loss, *grads], "float64")
    by_numpy = lambda: byhand.one_sample(arrays, x, t)  # noqa: E731
    calls = {"bind": step, "call": lambda: f.value_and_grad(*arrays, x, t), "numpy": by_numpy}
    yield Workload("W1", "us", calls)

    graph, args = lecture_scalars()
    g = symprop.compile(graph, args=args, wrt=args[:1])
    single = g.bind(theta, x, t)
    single()
    for value, (found,) in ((single.value, single.grads), g.value_and_grad(theta, x, t)):
        checked("W1 of scalars", [value, found], [loss, flat(grads)], "float64")
    calls = {"bind": single, "call": lambda: g.value_and_grad(theta, x, t), "numpy": by_numpy}
    yield Workload("W1, a scalar per neuron", "us", calls)


def w2(samples: int = SAMPLES) -> Iterator[Workload]:
    """Many samples: summed, and one result each; beside them 520 samples, whose results stay in the cache."""
    _, arrays = lecture_parameters()
    rng = np.random.default_rng(2)
    xs = rng.normal(size=(samples, 3))
    ts = np.eye(2)[rng.integers(0, 2, samples)]
    graph, params, inputs = lecture_network()
    theta_size = sum(a.size for a in arrays)
    for name, reduce, n in (
        ("W2-sum", "sum", samples),
        ("W2-persample", None, samples),
        ("W2-persample, 520 samples", None, 520),
    ):
        f = symprop.compile(graph, args=[*params, *inputs], batch=inputs, wrt=params, reduce=reduce)
        x, t, total = xs[:n], ts[:n], reduce is not None
        step = f.bind(*arrays, x, t)
        step()
        loss, grads = byhand.many_samples(arrays, x, t, total)
        for value, found in ((step.value, step.grads), f.value_and_grad(*arrays, x, t)):
            checked(name, [value, *found], [loss, *grads], "float64")
        calls = {
            "bind": step,
            "call": lambda f=f, x=x, t=t: f.value_and_grad(*arrays, x, t),
            "numpy": lambda x=x, t=t, total=total: byhand.many_samples(arrays, x, t, total),
        }
        size = 8.0 * n * (1 + theta_size)
        limit = None if total else limits.fill(int(size))
        yield Workload(name, "ns a sample", calls, per=n, limit=limit, amount=size)


# -- W3, W3b, W3c: multilayer perceptrons --------------------------------------------------------------------

PERCEPTRONS = {
    "W3-64": ((784, 256, 128, 10), 64, "relu", "ms"),
    "W3-256": ((784, 256, 128, 10), 256, "relu", "ms"),
    "W3b": ((64, 32, 10), 32, "tanh", "us"),
    "W3c": ((784, 1024, 1024, 10), 256, "relu", "ms"),
}


def perceptron(sizes: Sequence[int], activation: str) -> tuple[symprop.Graph, list[Any], list[Any]]:
    """The equations of a network with cross-entropy of a class index, its parameters, its inputs x and y."""
    net = nn.mlp(sizes, activation=getattr(nn, activation))
    y = sp.Symbol("y", integer=True)
    graph = symprop.Graph([*net.graph.equations, (sp.Symbol("L"), nn.cross_entropy(net.scores, y))])
    return graph, net.params, [*net.inputs, y]


def perceptron_data(sizes: Sequence[int], batch: int) -> tuple[list[Any], Any, Any]:
    """Parameters W (out, in), b (out, 1) in turn, inputs, labels, rounded to float32; seed 3."""
    rng = np.random.default_rng(3)
    params = []
    for inner, outer in pairwise(sizes):
        weight = rng.normal(size=(inner, outer)) / np.sqrt(inner)
        params += [np.ascontiguousarray(weight.T, np.float32)]
        params += [(0.01 * rng.normal(size=outer)).astype(np.float32)[:, None]]
    x = rng.normal(size=(batch, sizes[0])).astype(np.float32)
    return params, x, rng.integers(0, sizes[-1], batch)


def multiplications(sizes: Sequence[int], batch: int) -> float:
    """The operations of the matrix products of loss and gradients."""
    pairs = [a * b for a, b in pairwise(sizes)]
    return 2.0 * batch * (3 * sum(pairs) - pairs[0])


def w3(name: str, threads: int = 1) -> Iterator[Workload]:
    """One of the perceptrons; float32, mean over the batch."""
    sizes, batch, activation, unit = PERCEPTRONS[name]
    arrays, x, y = perceptron_data(sizes, batch)
    start = time.process_time()
    graph, params, inputs = perceptron(sizes, activation)
    options = {"args": [*params, *inputs], "batch": inputs, "reduce": "mean", "dtype": "float32"}
    f = symprop.compile(graph, **options, threads=threads)
    derived = time.process_time()
    f.value_and_grad(*arrays, x, y)
    ready = time.process_time()
    step = f.bind(*arrays, x, y)
    step()
    loss, grads = byhand.network([a.astype(float) for a in arrays], x.astype(float), y, activation)
    for value, found in ((step.value, step.grads), f.value_and_grad(*arrays, x, y)):
        checked(name, [value, *found], [loss, *grads], "float32")
    calls: dict[str, Callable[[], Any]] = {
        "bind": step,
        "call": lambda: f.value_and_grad(*arrays, x, y),
        "numpy": lambda: byhand.network(arrays, x, y, activation),
    }
    if threads > 1:
        calls["alone"] = symprop.compile(graph, **options).bind(*arrays, x, y)
    work = multiplications(sizes, batch)
    yield Workload(
        name if threads == 1 else f"{name}, {threads} threads",
        unit,
        calls,
        derive=derived - start,
        ready=ready - start,
        operations=work,
        limit=limits.multiply_adds("float32"),
        amount=work / threads,
    )


RATE = {"W3b": 1e-3}  # of gradient descent; Adam, for the others, takes 1e-4
STEPS = 5  # whose losses are compared with those of NumPy in float64


def w3_step(name: str, threads: int = 1) -> Iterator[Workload]:
    """One of the perceptrons, with an optimizer: loss, gradients and update in one call."""
    sizes, batch, activation, unit = PERCEPTRONS[name]
    arrays, x, y = perceptron_data(sizes, batch)
    adam, rate = name not in RATE, RATE.get(name, 1e-4)
    method = symprop.optim.Adam(lr=rate) if adam else symprop.optim.SGD(lr=rate)

    def ours(threads: int) -> Callable[[], Any]:
        graph, params, inputs = perceptron(sizes, activation)
        options = {"args": [*inputs, *params], "params": params, "batch": inputs, "reduce": "mean"}
        step = symprop.compile_step(graph, **options, optimizer=method, dtype="float32", threads=threads)
        state = step.init(dict(zip(params, arrays, strict=True)))
        return lambda: step(state, x, y)

    exact = [a.astype(float) for a in arrays]
    right = byhand.trainer(exact, x.astype(float), y, activation, adam, rate)
    calls = {"bind": ours(threads)}
    if threads > 1:
        calls["alone"] = ours(1)
    losses = [right() for _ in range(STEPS)]
    for call in calls.values():
        checked(f"{name}-step", [call() for _ in range(STEPS)], losses, "float32")
    calls["numpy"] = byhand.trainer([a.copy() for a in arrays], x, y, activation, adam, rate)
    work = multiplications(sizes, batch)
    yield Workload(
        f"{name}-step" if threads == 1 else f"{name}-step, {threads} threads",
        unit,
        calls,
        operations=work,
        limit=limits.multiply_adds("float32"),
        amount=work / threads,
    )


# -- matrix products alone -----------------------------------------------------------------------------------


def product(form: str, a: Any, b: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A bound call that makes the product of a form, and where its result lies."""
    (_, k), m = a.shape, len(b)
    x, w, v = sp.MatrixSymbol("x", k, 1), sp.MatrixSymbol("W", m, k), sp.MatrixSymbol("V", k, m)
    options: dict[str, Any] = {"batch": [x], "dtype": str(a.dtype)}
    if form == "A^T B":
        loss = nn.squared_error(w * x, sp.ZeroMatrix(m, 1))
        step = symprop.compile(loss, args=[w, x], wrt=[w], reduce="sum", **options).bind(b, a)
        return step, lambda: step.grads[0]
    if form == "A B":
        step = symprop.compile(v.T * x, args=[v, x], wrt=[], **options).bind(np.ascontiguousarray(b.T), a)
    else:
        step = symprop.compile(w * x, args=[w, x], wrt=[], **options).bind(b, a)
    return step, lambda: step.value


def matrix_products(sizes: Sequence[tuple[int, int, int]] = products.SIZES) -> Iterator[Workload]:
    """Every form, size and precision; the share of the peak counts operations in whole vectors."""
    for dtype in products.DTYPES:
        limit = limits.multiply_adds(dtype)
        lanes = host().lanes({"float32": "float", "float64": "double"}[dtype])
        for size in sizes:
            a, b = products.data(size, dtype)
            for form in products.FORMS:
                name = products.name_of(form, size, dtype)
                step, result = product(form, a, b)
                step()
                right = products.by_numpy(form, a.astype(float), b.astype(float))()
                found = np.asarray(result(), float).reshape(right.shape)
                error = np.abs(found - right).max() / np.abs(right).max()
                assert error <= products.TOLERANCE[dtype], f"{name}: error {error:.1e}"
                calls = {"bind": step, "numpy": products.by_numpy(form, a, b)}
                work = products.operations(form, size)
                whole = min(-(-length // lanes) * lanes / length for length in (size[0], size[2]))
                yield Workload(name, "us", calls, operations=work, limit=limit, amount=work * whole)


# -- W4: elementwise -----------------------------------------------------------------------------------------


def w4(points: int = 1_000_000) -> Iterator[Workload]:
    """Value and derivative at many points, float64 and float32; the results are two arrays of that size."""
    x = sp.Symbol("x")
    formula = nn.gelu(x) * nn.sigmoid(sp.Rational(1702, 1000) * x) + nn.softplus(x)
    for name, dtype in (("W4-f64", "float64"), ("W4-f32", "float32")):
        data = 2 * np.random.default_rng(4).normal(size=points).astype(dtype)
        f = symprop.compile(formula, args=[x], batch=[x], wrt=[x], dtype=dtype)
        step = f.bind(data)
        step()
        right = byhand.activation(data.astype(float))
        value, (slope,) = f.value_and_grad(data)
        checked(name, [step.value, *step.grads, value, slope], [*right, *right], dtype)
        calls = {
            "bind": step,
            "call": lambda f=f, data=data: f.value_and_grad(data),
            "numpy": lambda data=data: byhand.activation(data),
        }
        limit = limits.fill(2 * data.nbytes)
        yield Workload(name, "ns an element", calls, per=points, limit=limit, amount=limit.amount)


# -- W5: growing expressions ---------------------------------------------------------------------------------

GROWTH = [("mlp", n) for n in (4, 8, 16, 32)] + [
    (kind, n) for kind in ("chain", "prod") for n in (10, 100, 1000)
]


def growing(kind: str, n: int) -> tuple[Any, list[sp.Symbol], list[sp.Symbol]]:
    """What is compiled, the scalar symbols to differentiate by, and the other inputs.

    A chain or a network is a `Graph` with a name for every step: sympy takes ever longer to build
    functions of functions of functions, and names cost nothing.
    """
    if kind == "prod":
        v = list(sp.symbols(f"v:{n}"))
        return sp.Mul(*v), v, []
    equations: list[tuple[Any, Any]] = []
    if kind == "chain":
        v = list(sp.symbols(f"v:{n + 1}"))
        s = v[n]
        for k in range(n):
            equations.append((sp.Symbol(f"s{k}"), sp.sin(s) * v[k] + s))
            s = equations[-1][0]
        return symprop.Graph(equations), v, []
    v = list(sp.symbols(f"v:{2 * n * (n + 1) + n + 1}"))
    x = list(sp.symbols(f"x:{n}"))
    below, used = x, 0
    for layer, width in enumerate((n, n, 1)):
        weights = v[used : used + len(below) * width]
        biases = v[used + len(weights) : used + len(weights) + width]
        used += len(weights) + width
        above = []
        for j in range(width):
            total = sp.Add(biases[j], *(a * weights[i * width + j] for i, a in enumerate(below)))
            above.append(sp.Symbol(f"h{layer}_{j}"))
            equations.append((above[-1], nn.tanh(total) if width > 1 else total))
        below = above
    return symprop.Graph(equations), v, x


def growing_data(kind: str, n: int) -> tuple[Any, Any]:
    """Values of the variables and of the other inputs; seed 5."""
    rng = np.random.default_rng(5)
    if kind == "chain":
        return rng.uniform(0.05, 0.15, n + 1), np.empty(0)
    if kind == "prod":
        return 1 + rng.uniform(-0.5, 0.5, n) / np.sqrt(n), np.empty(0)
    v = 0.5 * rng.normal(size=2 * n * (n + 1) + n + 1) / np.sqrt(n)
    return v, rng.normal(size=n)


def w5(cases: Sequence[tuple[str, int]] = tuple(GROWTH)) -> Iterator[Workload]:
    """Scalars only, each an argument of its own: seconds to be ready, then microseconds a call."""
    for kind, n in cases:
        values, others = growing_data(kind, n)
        name = f"{kind}-{n}"
        sp.core.cache.clear_cache()
        start = time.process_time()
        target, v, x = growing(kind, n)
        f = symprop.compile(target, args=[*v, *x], wrt=v, name=kind)
        derived = time.process_time()
        arguments = [*values, *others]
        value, grads = f.value_and_grad(*arguments)
        ready = time.process_time()
        by_numpy = {"chain": byhand.chain, "prod": byhand.product, "mlp": byhand.scalar_network}[kind]
        data = (values, others) if kind == "mlp" else (values,)
        right = by_numpy(*data)
        step = f.bind(*[np.array(a) for a in arguments])
        step()
        checked(name, [value, np.array(grads)], right, "float64")
        checked(name, [step.value, np.array(step.grads)], right, "float64")
        calls = {
            "bind": step,
            "call": lambda f=f, arguments=arguments: f.value_and_grad(*arguments),
            "numpy": lambda by_numpy=by_numpy, data=data: by_numpy(*data),
        }
        yield Workload(name, "us", calls, derive=derived - start, ready=ready - start)


# -- all -----------------------------------------------------------------------------------------------------


def _perceptrons(*names: str, threads: int = 1) -> Callable[[], Iterator[Workload]]:
    def all_of_them() -> Iterator[Workload]:
        for name in names:
            yield from w3(name, threads)
            yield from w3_step(name, threads)

    return all_of_them


WORKLOADS: dict[str, Callable[[], Iterator[Workload]]] = {
    "W1": w1,
    "W2": w2,
    "W3": _perceptrons("W3-64", "W3-256"),
    "W3b": _perceptrons("W3b"),
    "W3c": _perceptrons("W3c"),
    "W4": w4,
    "threads": _perceptrons("W3-64", "W3-256", "W3c", threads=2),
    "products": matrix_products,
    "W5": w5,
}
