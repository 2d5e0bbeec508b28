"""`fit`: from equations and data to a trained network."""

from __future__ import annotations

import numbers
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
import sympy as sp

from symprop.api.batches import Data, Plan, arranged
from symprop.api.declaration import declare, name_of
from symprop.api.diagnosis import diagnose
from symprop.api.function import Function
from symprop.api.history import History
from symprop.api.measure import Measure, with_outputs
from symprop.api.progress import Bar, bar
from symprop.api.training import compile_step
from symprop.declare import Graph
from symprop.declare.network import as_graph
from symprop.errors import ArgumentError, ShapeError, TrainingError
from symprop.run.arguments import bind_sizes

__all__ = ["EarlyStopping", "FitResult", "fit"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when `monitor` has not become better by more than `min_delta` for `patience` epochs.

    monitor: a column of the history (default: `val_loss`, without validation data `loss`); mode: "min" where
    less is better, "max" where more is; restore: give back the parameters of the best epoch.

    >>> EarlyStopping(patience=5, monitor="val_error")
    EarlyStopping(patience=5, monitor='val_error', min_delta=0.0, mode='min', restore=True)
    """

    patience: int = 10
    monitor: str | None = None
    min_delta: float = 0.0
    mode: str = "min"
    restore: bool = True

    def __post_init__(self) -> None:
        if not _is_whole(self.patience, 1):
            raise ArgumentError(f"early_stopping: patience={self.patience!r}; expected 1, 2, ... epochs")
        if self.mode not in ("min", "max"):
            raise ArgumentError(f"early_stopping: mode={self.mode!r}; expected 'min' or 'max'")


@dataclass
class FitResult:
    """What a training has reached.

    `params`: the parameters, new arrays by symbol; `history`: a row for each epoch; `state`: that of the
    optimizer with the parameters, kept by `state.save(path)`; `step`: the compiled step, `step(state, X, Y)`
    goes on; `interrupted`: True after Ctrl-C; `stopped`: why it ended before the last epoch.

    >>> import symprop
    >>> x, y, w = sp.symbols("x y w")
    >>> result = fit(
    ...     (w * x - y) ** 2, [1.0, 2.0], [3.0, 6.0], params={w: 0.0}, inputs=[x, y], epochs=20, batch_size=2,
    ...     optimizer=symprop.optim.SGD(lr=0.1), progress=False,
    ... )
    >>> print(len(result.history), f"{result.params[w]:.3f}", result.state.step, result.stopped)
    20 3.000 20 None
    """

    step: Any
    state: Any
    history: History = field(default_factory=History)
    interrupted: bool = False
    stopped: str | None = None

    @property
    def params(self) -> dict[sp.Basic, Array]:
        """The parameters by symbol, as new arrays."""
        return {s: np.array(a) for s, a in self.state.params.items()}

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else {}
        told = ", ".join(f"{k} {v:.5g}" for k, v in last.items() if isinstance(v, float) and k != "seconds")
        ended = f"; {self.stopped}" if self.stopped else ""
        return f"<FitResult after {len(self.history)} epochs: {told or 'nothing yet'}{ended}>"


def fit(
    graph: Any,
    X: Any,
    Y: Any = None,
    *,
    params: Mapping[Any, Any],
    inputs: Sequence[Any],
    epochs: int,
    batch_size: int,
    optimizer: Any,
    validation: tuple[Any, ...] | None = None,
    metrics: Mapping[str, Any] | None = None,
    seed: int = 0,
    shuffle: bool = True,
    early_stopping: EarlyStopping | int | None = None,
    callbacks: Iterable[Callable[[FitResult], Any]] = (),
    progress: bool = True,
    dtype: Any = "float64",
    threads: int | str = 1,
) -> FitResult:
    """Train a network: minimise the mean of its (first) output over the samples, batch by batch.

    graph: the equations of one sample; params: a mapping from symbol to start value, copied; inputs: the
    other symbols, in the order of the data. X, Y: arrays with a sample axis; of several inputs X may be a
    tuple of arrays, or a mapping from symbol to array; Y may be None. optimizer: one of `symprop.optim`.
    validation: (X, Y), measured after each epoch. metrics: by name, an expression of the graph's names (its
    mean over the samples counts) or a function whose arguments are called as the names that it wants:
    `{"accuracy": lambda z, y: (z.argmax(1) == y).mean()}`. shuffle: every epoch in a new random order, from
    `seed`. early_stopping: an `EarlyStopping`, or its patience. callbacks: called with the `FitResult`
    after each epoch; one that gives True ends the training. progress: a bar where the output is a terminal
    and rich is installed (extra `progress`), else quiet. dtype, threads: those of `compile`. The same call
    gives the same result, bit for bit.

    Ctrl-C ends the training after the running step and gives what was reached. Raises `TrainingError` where
    the loss becomes NaN or -inf, with the node and step of its first appearance and `.result` from before;
    `ArgumentError` and `ShapeError` for data, parameters and options that do not fit, before anything is
    computed.

    >>> import symprop
    >>> x, y, w, b = sp.symbols("x y w b")
    >>> graph = symprop.Graph([(sp.Symbol("L"), (w * x + b - y) ** 2)])
    >>> X = np.linspace(-1, 1, 64)
    >>> result = symprop.fit(
    ...     graph, X, 3 * X + 1, params={w: 0.0, b: 0.0}, inputs=[x, y], epochs=50, batch_size=16,
    ...     optimizer=symprop.optim.SGD(lr=0.1),
    ... )
    >>> {str(s): round(float(a), 4) for s, a in result.params.items()}
    {'w': 3.0, 'b': 1.0}
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        least = 0 if name == "epochs" else 1
        if not _is_whole(value, least):
            raise ArgumentError(f"{name}={value!r}; expected a whole number, {least} or more")
    if isinstance(early_stopping, numbers.Integral) and not isinstance(early_stopping, bool):
        early_stopping = EarlyStopping(patience=int(early_stopping))
    if not (early_stopping is None or isinstance(early_stopping, EarlyStopping)):
        raise ArgumentError(
            f"early_stopping={early_stopping!r}; expected a number of epochs or an EarlyStopping(...)"
        )
    if not (metrics is None or isinstance(metrics, Mapping)):
        raise ArgumentError(f"metrics is a mapping from name to metric, found {type(metrics).__name__}")
    task = _Task(as_graph(graph), params, inputs, metrics or {}, dtype, threads)
    data = task.data(arranged(X, Y, task.inputs))
    held_out = None
    if validation is not None:
        if not isinstance(validation, tuple | list) or not 1 <= len(validation) <= 2:
            raise ArgumentError("validation is a pair (X, Y) of arrays, as the first two arguments")
        given = (validation[0], validation[1] if len(validation) == 2 else None)
        held_out = task.data(arranged(*given, task.inputs, "validation: "), "validation: ")
    columns = ["loss", *(metrics or {})]
    columns += [f"val_{name}" for name in columns] if held_out is not None else []
    if early_stopping is not None and early_stopping.monitor not in (None, *columns):
        raise ArgumentError(
            f"early_stopping: monitor={early_stopping.monitor!r}; the history will have {', '.join(columns)}"
        )
    step = compile_step(
        task.graph,
        args=[*task.params, *task.inputs],
        params=list(task.params),
        batch=list(task.inputs),
        reduce="mean",
        optimizer=optimizer,
        dtype=dtype,
        threads=threads,
    )
    shown = bar(progress, int(epochs), data.samples)
    result = FitResult(step, step.init(task.start))
    run = _Run(task, data, held_out, result, bool(metrics), shown)
    rng = np.random.default_rng(seed)
    stopper = _Stopper(early_stopping, "val_loss" if held_out is not None else "loss")
    try:
        with _Interrupts() as interrupts:
            for epoch in range(1, int(epochs) + 1):
                plan = data.plan(int(batch_size), rng if shuffle else None)
                if not run.epoch(epoch, plan, interrupts):
                    break
                wishes = [callback(result) is True for callback in callbacks]
                if any(wishes):
                    result.stopped = f"a callback ended it after epoch {epoch}"
                elif stopper.ends(result):
                    result.stopped = f"early stopping after epoch {epoch}, {stopper.told}"
                if result.stopped is not None or interrupts.requested:
                    break
    except KeyboardInterrupt:  # a second one, or from a handler that is not Python's own
        interrupts.requested = True
    finally:
        shown.close()
    if interrupts.requested:
        result.interrupted = True
        result.stopped = f"interrupted in epoch {run.current}"
    stopper.restore(result)
    return result


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least


class _Task:
    """The network of a training with its start, checked."""

    def __init__(
        self,
        graph: Graph,
        params: Mapping[Any, Any],
        inputs: Any,
        metrics: Mapping[str, Any],
        dtype: Any,
        threads: Any,
    ) -> None:
        self.graph = with_outputs(graph, graph.outputs[:1])
        if not isinstance(params, Mapping):
            raise ArgumentError(
                f"params is a mapping from symbol to start value, found {type(params).__name__}; write "
                "{W: array, ...}, or take net.init(seed) of nn.mlp"
            )
        self.inputs = _known(graph, [inputs] if isinstance(inputs, sp.Basic) else inputs, "inputs")
        keys = _known(graph, params, "params")
        if not keys:
            raise ArgumentError("params is empty; name what is to be trained, with a start value for each")
        if not self.inputs:
            raise ArgumentError("inputs is empty; name the symbols that the data stand for")
        double = [name_of(s) for s in keys if s in self.inputs]
        if double:
            raise ArgumentError(f"{double[0]} is in params and in inputs; it is either trained or given")
        missing = [s for s in graph.inputs if s not in keys and s not in self.inputs]
        if missing:
            raise ArgumentError(
                f"{name_of(missing[0])} of the graph has no initial value in params and is none of the inputs"
                f"; add {name_of(missing[0])}: array to params, or name it in inputs"
            )
        self.params: tuple[sp.Basic, ...] = tuple(keys)
        args = [*self.params, *self.inputs]
        options = ("first", "precise", "loss")
        declared = declare(self.graph, args, [], list(self.inputs), None, dtype, threads, *options)
        self.dtype = declared.dtype
        function = Function(declared)
        fault = function._source.scalar_fault()
        if fault is not None:
            raise ShapeError(f"fit minimises a scalar: {fault}")
        self._function = function
        generic = function._source.arguments({})
        arrays = [a.array(v) for a, v in zip(generic, params.values(), strict=False)]
        for argument, array in zip(generic, arrays, strict=False):
            if argument.integer:
                raise ArgumentError(f"params names {argument.name}, an integer, which cannot be trained")
            if not np.isfinite(array).all():
                raise ArgumentError(f"params: the start value of {argument.name} holds NaN or infinity")
        self._arrays = arrays
        self.measure = Measure(self.graph, args, self.inputs, metrics, self.dtype, threads)
        self.start: dict[sp.Basic, Array] = {}

    def data(self, arrays: Sequence[Array], what: str = "") -> Data:
        """Data that fit the network; with the first of them, the shapes of the parameters are checked too."""
        function, k = self._function, len(self.params)
        generic = function._source.arguments({})
        shapes = [a.shape for a in (*self._arrays, *arrays)]
        sizes = bind_sizes(generic, shapes, {})
        arguments = function._source.arguments(sizes)
        for argument, array in zip(arguments[:k], self._arrays, strict=True):
            argument.fit(array.shape)
        if not self.start:
            pairs = zip(self.params, arguments[:k], self._arrays, strict=True)
            self.start = {s: array.reshape(a.shape) for s, a, array in pairs}
        bounds: list[int | None] = [None] * len(arrays)
        if any(a.integer for a in arguments[k:]):
            probe = [
                np.zeros((0, *array.shape[1:]), a.dtype)
                for a, array in zip(arguments[k:], arrays, strict=True)
            ]
            bounds = self.measure.bounds(self._arrays, probe, self.inputs)
        return Data(arrays, arguments[k:], bounds, what)


def _known(graph: Graph, symbols: Iterable[Any], option: str) -> list[sp.Basic]:
    """The inputs of the graph that an option names, by symbol or as text."""
    by_name = {name_of(s): s for s in graph.inputs}
    result: list[sp.Basic] = []
    for given in symbols:
        symbol = by_name.get(given, given) if isinstance(given, str) else given
        if symbol not in graph.inputs:
            listed = ", ".join(by_name)
            computed = symbol in graph
            why = (
                "which the graph computes by an equation" if computed else "which the graph does not contain"
            )
            if not computed and name_of(symbol) in by_name:
                why = "another symbol of that name (with other assumptions or another shape) than the graph's"
            raise ArgumentError(
                f"{option} names {name_of(symbol)}, {why}; the inputs of the graph are {listed}"
            )
        if symbol in result:
            raise ArgumentError(f"{option} names {name_of(symbol)} twice")
        result.append(symbol)
    return result


class _Run:
    """Epochs of one training."""

    def __init__(
        self, task: _Task, data: Data, held_out: Data | None, result: FitResult, metrics: bool, shown: Bar
    ) -> None:
        self.task, self.data, self.held_out = task, data, held_out
        self.result, self.metrics, self.shown = result, metrics, shown
        self.current = 0
        self._steps = 0  # before the running epoch

    def epoch(self, number: int, plan: Plan, interrupts: _Interrupts) -> bool:
        """One pass over the data and its row of the history; False where it was interrupted."""
        self.current = number
        step, state, data, shown = self.result.step, self.result.state, self.data, self.shown
        before = state.copy()  # to find the origin of a NaN by doing the steps again
        shown.begin(number)
        start = time.perf_counter()
        total = 0.0
        for k, (first, last) in enumerate(plan.bounds):
            loss = float(step(state, *data.batch(plan, k)))
            if not loss > -np.inf:  # NaN, or without a lower bound; +inf may pass
                raise self._diverged(before, number, plan, k, loss)
            total += loss * (last - first)
            shown.advance(last - first, loss)
            if interrupts.requested:
                return False
        seconds = time.perf_counter() - start
        self._steps += len(plan.bounds)
        row: dict[str, Any] = {"epoch": number, "loss": total / data.samples}
        params = [state.params[s] for s in self.task.params]
        if self.metrics:
            found = self.task.measure.of(params, data)
            row.update((n, v) for n, v in found.items() if n != "loss")
        if self.held_out is not None:
            row.update((f"val_{n}", v) for n, v in self.task.measure.of(params, self.held_out).items())
        row.update(seconds=seconds, samples_per_second=data.samples / max(seconds, 1e-9))
        self.result.history.append(row)
        shown.end(row)
        return True

    def _diverged(self, before: Any, epoch: int, plan: Plan, failed: int, loss: float) -> TrainingError:
        """The error for a loss that is NaN or -inf, from the state before the epoch: the same steps once
        more."""
        step, task, data = self.result.step, self.task, self.data
        again = before.copy()
        origin = failed
        for k in range(failed):
            step(again, *data.batch(plan, k))
            if not all(np.isfinite(again.params[s]).all() for s in task.params):
                origin = k
                break
        spoiled = [name_of(s) for s in task.params if not np.isfinite(again.params[s]).all()]
        for k in range(origin):
            step(before, *data.batch(plan, k))
        values = [np.array(before.params[s]) for s in task.params]
        batch = [np.array(a) for a in data.batch(plan, origin)]
        finding = diagnose(task.graph, task.params, task.inputs, values, batch, plan.rows(origin), task.dtype)
        first, last = self._steps + origin + 1, self._steps + failed + 1
        what = "-inf" if loss == -np.inf else "NaN"
        text = f"the loss is {what} at step {last} (epoch {epoch}, batch {failed + 1} of {len(plan.bounds)})"
        if origin < failed:
            text += f", after step {first} (batch {origin + 1}) had left {', '.join(spoiled[:3])} not finite"
        if finding is not None:
            text += f"; at step {first}, {finding.text}" if origin < failed else f": {finding.text}"
        elif loss == -np.inf:
            text += "; it has no lower bound, or a term of it overflows"
        else:
            text += "; all values and gradients of that step are finite: the update itself overflows"
        error = TrainingError(
            f"{text}. The result before that step is in .result of this error; a smaller learning rate, "
            "optim.clip_norm, or a formula that is defined there may help",
            first,
            None if finding is None else finding.node,
            None if finding is None else finding.row,
        )
        error.result = FitResult(step, before, self.result.history, False, f"{what} at step {first}")
        return error


class _Stopper:
    """Early stopping: the best epoch so far, and when to end."""

    def __init__(self, rule: EarlyStopping | None, monitor: str) -> None:
        self.rule = rule
        self.monitor = monitor if rule is None or rule.monitor is None else rule.monitor
        self._best: float | None = None
        self._epoch = 0
        self._params: dict[sp.Basic, Array] = {}

    @property
    def told(self) -> str:
        """The best epoch in words."""
        return f"best {self.monitor} {self._best:.5g} in epoch {self._epoch}"

    def ends(self, result: FitResult) -> bool:
        """Look at the latest row; True where the patience is at its end."""
        if self.rule is None:
            return False
        row = result.history[-1]
        value = float(row[self.monitor]) * (1 if self.rule.mode == "min" else -1)
        best = None if self._best is None else self._best * (1 if self.rule.mode == "min" else -1)
        if best is None or best != best or value < best - self.rule.min_delta:
            self._best, self._epoch = float(row[self.monitor]), int(row["epoch"])
            if self.rule.restore:
                self._params = result.params
        return int(row["epoch"]) - self._epoch >= self.rule.patience

    def restore(self, result: FitResult) -> None:
        """Put the best parameters back into the state."""
        for symbol, array in self._params.items():
            result.state.params[symbol][...] = array


class _Interrupts:
    """Ctrl-C noted instead of raised, so that a step is never left half done; the second one is raised."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: Any) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
