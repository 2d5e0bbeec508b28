"""`fit`: against the same training by hand in NumPy; its bookkeeping, its ends, and what it refuses."""

from __future__ import annotations

import io
import signal
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose, assert_array_equal

import symprop
from symprop import nn, optim
from symprop.api.batches import Data, arranged

x, t, w, b = sp.symbols("x t w b")
u, L = sp.symbols("u L")
LINE = symprop.Graph([(u, w * x + b), (L, (u - t) ** 2)])
RNG = np.random.default_rng(11)
X = RNG.normal(size=50)
T = 3 * X + 1


def line(X: Any = X, Y: Any = T, graph: Any = LINE, **options: Any) -> symprop.FitResult:
    given: dict[str, Any] = {
        "params": {w: 0.0, b: 0.0},
        "inputs": [x, t],
        "epochs": 3,
        "batch_size": 8,
        "optimizer": optim.SGD(lr=0.05),
        **options,
    }
    return symprop.fit(graph, X, Y, **given)


def network() -> tuple[symprop.Graph, Any, list[Any]]:
    net = nn.mlp([4, 6, 3])
    label = sp.Symbol("y", integer=True)
    graph = symprop.Graph([*net.graph.equations, (L, nn.cross_entropy(net.scores, label))])
    return graph, net, [*net.inputs, label]


IMAGES = RNG.normal(size=(90, 4))
LABELS = IMAGES[:, :3].argmax(1)


def classified(X: Any = IMAGES, Y: Any = LABELS, **options: Any) -> symprop.FitResult:
    graph, net, inputs = network()
    given: dict[str, Any] = {
        "params": net.init(1),
        "inputs": inputs,
        "epochs": 3,
        "batch_size": 16,
        "optimizer": optim.Adam(lr=0.01),
        **options,
    }
    return symprop.fit(graph, X, Y, **given)


# -- the same as by hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [8, 50, 64, 1])
def test_it_is_gradient_descent_over_every_sample_once_an_epoch(shuffle: bool, size: int) -> None:
    result = line(batch_size=size, shuffle=shuffle, seed=4)
    rng = np.random.default_rng(4)
    slope, constant = 0.0, 0.0
    losses = []
    for _ in range(3):
        order = rng.permutation(50) if shuffle else np.arange(50)
        total = 0.0
        for start in range(0, 50, size):
            rows = order[start : start + size]
            left = slope * X[rows] + constant - T[rows]
            total += float(left @ left)
            slope -= 0.05 * 2 * np.mean(left * X[rows])
            constant -= 0.05 * 2 * np.mean(left)
        losses.append(total / 50)
    assert_allclose(result.history["loss"], losses, rtol=1e-12)
    assert_allclose([result.params[w], result.params[b]], [slope, constant], rtol=1e-12)
    assert result.state.step == 3 * -(-50 // size)


def test_the_same_call_gives_the_same_bits_and_another_seed_others() -> None:
    first, second, other = classified(seed=1), classified(seed=1), classified(seed=2)
    for symbol, array in first.params.items():
        assert_array_equal(array, second.params[symbol])
    assert first.history["loss"] == second.history["loss"] != other.history["loss"]


def test_arrays_of_the_user_are_not_changed_and_the_result_has_its_own() -> None:
    _, net, _ = network()
    start = net.init(1)
    kept = {s: a.copy() for s, a in start.items()}
    result = classified(params=start)
    for symbol, array in start.items():
        assert_array_equal(array, kept[symbol])
        assert not np.array_equal(result.params[symbol], array)
        assert not np.shares_memory(result.params[symbol], result.state.params[symbol])


@pytest.mark.parametrize("kind", ["float32", "reversed", "fortran", "list", "memmap", "integer labels"])
def test_data_of_every_kind_train_alike(kind: str, tmp_path: Any) -> None:
    points: Any = np.round(IMAGES, 2).astype(np.float32).astype(float)  # exact in every kind
    labels: Any = LABELS
    right = classified(points, labels)
    if kind == "float32":
        points = points.astype(np.float32)
    elif kind == "reversed":
        points = points[::-1].copy()[::-1]
    elif kind == "fortran":
        points = np.asfortranarray(points)
    elif kind == "list":
        points, labels = points.tolist(), labels.tolist()
    elif kind == "memmap":
        stored = np.memmap(tmp_path / "x", np.float64, "w+", shape=points.shape)
        stored[:] = points
        points = stored
    else:
        labels = labels.astype(np.uint8)
    for shuffle in (True, False):
        right = classified(np.asarray(points, float), LABELS, shuffle=shuffle)
        assert classified(points, labels, shuffle=shuffle).history["loss"] == right.history["loss"]


def test_no_more_than_a_batch_is_copied() -> None:
    many = np.ones((40_000, 50), np.float32)
    weight, column = sp.MatrixSymbol("v", 50, 1), sp.MatrixSymbol("c", 50, 1)
    graph = symprop.Graph([(L, (symprop.scalar(weight.T * column) - 1) ** 2)])
    options: dict[str, Any] = {
        "params": {weight: np.zeros(50)},
        "inputs": [column],
        "batch_size": 100,
        "optimizer": optim.SGD(lr=1e-3),
    }
    symprop.fit(graph, many[:200], epochs=1, **options)  # compiles
    for shuffle in (True, False):
        tracemalloc.start()
        symprop.fit(graph, many, epochs=1, shuffle=shuffle, **options)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < many.nbytes / 3, f"{peak} bytes beside the {many.nbytes} of the data"


def test_several_inputs_as_a_tuple_or_by_name_and_without_targets() -> None:
    right = line().history["loss"]
    assert line((X, T), None).history["loss"] == right
    assert line({"t": T, x: X}, None).history["loss"] == right
    assert line({x: X}, T).history["loss"] == right
    assert line(X, {t: T}, inputs=["x", "t"], params={"w": 0, "b": 0}).history["loss"] == right


def test_float32_and_matrices_of_any_given_form() -> None:
    result = classified(dtype="float32", batch_size=90)
    assert all(a.dtype == np.float32 for a in result.params.values())
    _, net, _ = network()
    flat = {s: a.ravel() if a.shape[1] == 1 else a for s, a in net.init(1).items()}
    assert classified(params=flat).history["loss"] == classified().history["loss"]


def test_sizes_that_the_data_bind() -> None:
    n = sp.Symbol("n", integer=True)
    weight, column = sp.MatrixSymbol("v", n, 1), sp.MatrixSymbol("c", n, 1)
    graph = symprop.Graph([(L, (symprop.scalar(weight.T * column) - 1) ** 2)])
    for size in (2, 3):
        result = symprop.fit(
            graph,
            np.eye(size),
            params={weight: np.zeros(size)},
            inputs=[column],
            epochs=200,
            batch_size=size,
            optimizer=optim.SGD(lr=0.4),
        )
        assert_allclose(result.params[weight].ravel(), np.ones(size), rtol=1e-6)


# -- what is measured ------------------------------------------------------------------------------------


def test_metrics_are_measured_with_the_parameters_after_the_epoch() -> None:
    metrics = {
        "accuracy": lambda z, y: (z.argmax(1) == y).mean(),
        "square": L**2,
        "L": "L",
    }
    result = classified(metrics=metrics, validation=(IMAGES[:40], LABELS[:40]), epochs=2)
    graph, net, (inner, label) = network()
    f = symprop.compile(
        symprop.Graph(graph.equations, [net.scores, L]),
        args=[*net.params, inner, label],
        batch=[inner, label],
        wrt=[],
    )
    z, losses = f(*result.params.values(), IMAGES, LABELS)
    row = result.history[-1]
    assert row["accuracy"] == (z.argmax(1) == LABELS).mean()
    assert row["val_accuracy"] == (z[:40].argmax(1) == LABELS[:40]).mean()
    assert_allclose([row["L"], row["square"]], [losses.mean(), (losses**2).mean()], rtol=1e-13)
    assert_allclose([row["val_loss"], row["val_square"]], [losses[:40].mean(), (losses[:40] ** 2).mean()])
    assert list(row) == [
        *("epoch", "loss", "square", "L", "accuracy"),
        *("val_loss", "val_square", "val_L", "val_accuracy"),
        *("seconds", "samples_per_second"),
    ]


def test_a_large_validation_set_is_measured_in_parts() -> None:
    many = RNG.normal(size=2500)
    result = line(validation=(many, 3 * many + 1), epochs=1, metrics={"worst": lambda u, t: abs(u - t).max()})
    left = float(result.params[w]) * many + float(result.params[b]) - (3 * many + 1)
    assert_allclose(result.history[0]["val_loss"], np.mean(left**2), rtol=1e-12)
    assert_allclose(result.history[0]["val_worst"], np.abs(left).max(), rtol=1e-12)


def test_early_stopping_gives_back_the_best_parameters() -> None:
    seen = []
    result = line(
        epochs=100,
        batch_size=50,
        optimizer=optim.SGD(lr=0.3),
        early_stopping=symprop.EarlyStopping(patience=4, min_delta=1e-3),
        callbacks=[lambda r: seen.append(dict(r.params))],
    )
    losses = result.history["loss"]
    best = 0
    for k, loss in enumerate(losses):
        if loss < losses[best] - 1e-3:
            best = k
    assert len(losses) == best + 1 + 4 < 100
    assert (
        result.stopped
        == f"early stopping after epoch {len(losses)}, best loss {losses[best]:.5g} in epoch {best + 1}"
    )
    for symbol, array in result.params.items():
        assert_array_equal(array, seen[best][symbol])
    assert not np.array_equal(seen[best][w], seen[-1][w])


def test_early_stopping_by_a_metric_that_should_grow() -> None:
    rule = symprop.EarlyStopping(patience=2, monitor="up", mode="max", restore=False)
    values = iter([1.0, 3.0, 2.0, 3.0, 9.0])
    result = line(epochs=10, early_stopping=rule, metrics={"up": lambda u: next(values)})
    assert result.history["up"] == [1.0, 3.0, 2.0, 3.0]
    assert line(early_stopping=5).stopped is None  # a number is the patience


def test_callbacks_see_the_result_so_far_and_may_end_it() -> None:
    seen: list[tuple[int, float]] = []

    def callback(result: symprop.FitResult) -> bool:
        seen.append((len(result.history), float(result.params[w])))
        return len(result.history) == 2

    result = line(callbacks=[callback, lambda r: None])
    assert [k for k, _ in seen] == [1, 2] and seen[0][1] != seen[1][1]
    assert result.stopped == "a callback ended it after epoch 2" and not result.interrupted


def test_no_epochs_and_going_on_with_the_step() -> None:
    result = line(epochs=0)
    assert len(result.history) == 0 and float(result.params[w]) == 0.0
    loss = result.step(result.state, X, T)
    assert_allclose(loss, np.mean(T**2))
    assert result.state.step == 1
    assert "nothing yet" in repr(result) and "loss" in repr(line())


# -- interruption ------------------------------------------------------------------------------------------


@pytest.fixture
def python_handles_interrupts() -> Iterator[None]:
    """Python's own handler, which a process started in the background of a shell does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_handles_interrupts")
def test_an_interruption_keeps_what_was_reached() -> None:
    def press(result: symprop.FitResult) -> None:
        if len(result.history) == 2:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    result = line(epochs=100, callbacks=[press])
    assert signal.getsignal(signal.SIGINT) is before
    assert result.interrupted and result.stopped == "interrupted in epoch 2"
    assert result.history["loss"] == line(epochs=2).history["loss"]
    assert_array_equal(result.params[w], line(epochs=2).params[w])


@pytest.mark.usefixtures("python_handles_interrupts")
def test_an_interruption_within_an_epoch_ends_after_the_running_step(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = symprop.TrainingStep.__call__

    def counted(self: Any, state: Any, /, *data: Any) -> Any:
        calls.append(1)
        if len(calls) == 10:
            signal.raise_signal(signal.SIGINT)
        return original(self, state, *data)

    monkeypatch.setattr(symprop.TrainingStep, "__call__", counted)
    result = line(epochs=100)
    assert result.interrupted and result.state.step == 10 == len(calls)
    assert len(result.history) == 1  # seven batches an epoch


def test_an_interruption_from_a_handler_of_someone_else() -> None:
    def handler(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        result = line(epochs=100, callbacks=[lambda r: signal.raise_signal(signal.SIGINT)])
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.interrupted and len(result.history) == 1


def test_it_trains_in_a_thread_of_its_own() -> None:
    found: list[symprop.FitResult] = []
    thread = threading.Thread(target=lambda: found.append(line()))
    thread.start()
    thread.join()
    assert found[0].history["loss"] == line().history["loss"]


# -- NaN ---------------------------------------------------------------------------------------------------


def test_a_nan_names_the_equation_the_term_the_row_and_the_step() -> None:
    graph = symprop.Graph([(u, w * x + b), (L, (sp.log(u) - t) ** 2)])
    points = np.full(40, 2.0)
    points[29] = -1.0
    start = {w: 1.0, b: 0.0}
    with pytest.raises(symprop.TrainingError) as caught:
        line(points, np.log(points, where=points > 0, out=np.zeros(40)), graph, params=start, shuffle=False)
    error = caught.value
    assert (error.step, error.node, error.row) == (4, L, 29)  # rows 24 to 31 are the fourth batch of 8
    text = str(error)
    assert "NaN at step 4 (epoch 1, batch 4 of 5)" in text
    assert "L = (log(u) - t)**2, for row 29 of the data: the term log(u) (u = -1" in text
    assert error.result.params == start and error.result.state.step == 3
    assert isinstance(error, ArithmeticError) and isinstance(error, symprop.SympropError)


def test_a_nan_in_a_later_epoch_comes_with_the_history_and_the_state_before() -> None:
    points = np.linspace(0.01, 1, 24)
    graph = symprop.Graph([(u, x - w), (L, (w - 3) ** 2 / 10 + t * sp.sqrt(u))])
    options: dict[str, Any] = {"params": {w: -2.0}, "optimizer": optim.SGD(lr=0.1)}
    with pytest.raises(symprop.TrainingError) as caught:
        line(points, np.zeros(24), graph, epochs=50, **options)
    error = caught.value
    epochs = len(error.result.history)
    assert error.node == L and epochs > 2
    assert (
        error.result.history["loss"]
        == line(points, np.zeros(24), graph, epochs=epochs, **options).history["loss"]
    )
    # w moves towards 3 by its own gradient alone, until it passes a point
    slope, rng = -2.0, np.random.default_rng(0)
    step = 0
    while True:
        order = rng.permutation(24)
        for start in (0, 8, 16):
            step += 1
            rows = order[start : start + 8]
            if slope > points[rows].min():
                assert error.step == step and error.row in rows and points[error.row] < slope
                assert_allclose(error.result.params[w], slope, rtol=1e-12)
                assert error.result.state.step == step - 1
                return
            slope -= 0.1 * (slope - 3) / 5


def test_a_gradient_that_is_infinite_is_named_though_the_nan_comes_a_step_later() -> None:
    graph = symprop.Graph([(u, sp.sqrt(w * x)), (L, u + t)])
    with pytest.raises(symprop.TrainingError) as caught:
        line(np.ones(16), np.zeros(16), graph, params={w: 0.0})
    error = caught.value
    assert (error.step, error.node) == (1, w)
    text = str(error)
    assert "NaN at step 2" in text and "after step 1 (batch 1) had left w not finite" in text
    assert "at step 1, all values are finite, and the gradient by w is" in text
    assert float(error.result.params[w]) == 0.0


def test_a_start_that_overflows_is_told_as_infinite_first() -> None:
    graph = symprop.Graph([(u, sp.exp(w * x)), (L, u - sp.exp(2 * w * x) + t)])
    with pytest.raises(symprop.TrainingError, match=r"the loss is -inf at step 1 .*: u is infinite"):
        line(np.full(8, 1000.0), np.zeros(8), graph, params={w: 1.0})


def test_an_update_that_overflows_is_told() -> None:
    graph = symprop.Graph([(L, w * x + t)])
    with pytest.raises(symprop.TrainingError) as caught:
        line(
            np.array([1e300] * 8 + [0.0] * 8),
            np.zeros(16),
            graph,
            params={w: 0.0},
            optimizer=optim.SGD(lr=1e100),
            shuffle=False,
        )
    assert caught.value.step == 1 and "the update itself overflows" in str(caught.value)


# -- refusals ----------------------------------------------------------------------------------------------


def with_entry(array: Any, place: Any, value: Any) -> Any:
    changed = np.array(array, float)
    changed[place] = value
    return changed


BAD_DATA: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"Y": LABELS[:-1]}, symprop.ArgumentError, "unequal numbers of samples: 90 and 89"),
    ({"X": with_entry(IMAGES, (77, 3), np.nan)}, symprop.ArgumentError, "x holds NaN in row 77, entry 3"),
    ({"Y": with_entry(LABELS, 5, 3)}, symprop.ArgumentError, "y holds 3.0 in row 5.* from 0 to 2"),
    ({"Y": with_entry(LABELS, 6, -1).astype(int)}, symprop.ArgumentError, "y holds -1 in row 6"),
    ({"Y": with_entry(LABELS, 6, 0.5)}, symprop.ArgumentError, "y holds 0.5 in row 6"),
    ({"X": IMAGES[:, :3]}, symprop.ShapeError, r"argument x: expected .*\(N, 4\).*found shape \(90, 3\)"),
    ({"X": IMAGES[0]}, symprop.ShapeError, "argument x"),
    ({"X": IMAGES + 0j}, symprop.ArgumentError, "complex"),
    ({"X": np.ma.masked_array(IMAGES)}, symprop.ArgumentError, "x is a masked array"),
    ({"X": IMAGES[:0], "Y": LABELS[:0]}, symprop.ArgumentError, "data holds no samples"),
    ({"X": (IMAGES, IMAGES)}, symprop.ArgumentError, "3 arrays for the 2 inputs x, y"),
    ({"Y": None}, symprop.ArgumentError, "1 arrays for the 2 inputs"),
    ({"X": {"q": IMAGES}}, symprop.ArgumentError, "q, which is none of the inputs x, y"),
    ({"validation": IMAGES}, symprop.ArgumentError, r"validation is a pair \(X, Y\)"),
    (
        {"validation": (with_entry(IMAGES, (3, 0), np.nan), LABELS)},
        symprop.ArgumentError,
        "validation: x holds NaN in row 3, entry 0",
    ),
    ({"validation": (IMAGES, LABELS + 1)}, symprop.ArgumentError, "validation: y holds 3 in row"),
    ({"epochs": -1}, symprop.ArgumentError, "epochs=-1"),
    ({"epochs": 1.5}, symprop.ArgumentError, "epochs=1.5"),
    ({"batch_size": 0}, symprop.ArgumentError, "batch_size=0"),
    ({"early_stopping": "soon"}, symprop.ArgumentError, "early_stopping='soon'"),
    ({"early_stopping": 0}, symprop.ArgumentError, "patience=0"),
    ({"early_stopping": symprop.EarlyStopping(monitor="q")}, symprop.ArgumentError, "will have loss"),
    ({"metrics": {"m": lambda q: 1.0}}, symprop.ArgumentError, "the metric m wants q.*h1, z, L, x, y"),
    ({"metrics": {"m": 3}}, symprop.ArgumentError, "the metric m is int"),
    ({"metrics": {"m": sp.Symbol("q") + L}}, symprop.ArgumentError, "a metric holds q"),
    ({"metrics": {"m": "z"}}, symprop.ShapeError, r"m is the mean.* z has shape \(3, 1\)"),
    ({"metrics": {"loss": L}}, symprop.ArgumentError, "called 'loss'"),
    ({"metrics": ["accuracy"]}, symprop.ArgumentError, "metrics is a mapping"),
    ({"optimizer": "adam"}, symprop.ArgumentError, "optimizer is str"),
    ({"params": [1]}, symprop.ArgumentError, "params is a mapping"),
    ({"params": {}}, symprop.ArgumentError, "params is empty"),
    ({"inputs": []}, symprop.ArgumentError, "inputs is empty"),
    ({"dtype": "int"}, symprop.ArgumentError, "dtype"),
]


@pytest.mark.parametrize(("options", "kind", "message"), BAD_DATA, ids=lambda v: str(v)[:40])
def test_what_does_not_fit_is_refused_before_a_step(
    options: dict[str, Any], kind: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **named: Any) -> Any:
        raise AssertionError("a step was done")

    monkeypatch.setattr(symprop.TrainingStep, "__call__", never)
    with pytest.raises(kind, match=message):
        classified(**options)


def test_parameters_that_do_not_fit_are_refused() -> None:
    _, net, inputs = network()
    start = net.init(1)
    W1, b1 = net.params[:2]
    cases: list[tuple[dict[Any, Any], type[Exception], str]] = [
        (
            {s: a for s, a in start.items() if s != b1},
            symprop.ArgumentError,
            "b1 .*no initial value in params",
        ),
        ({**start, W1: np.zeros((3, 3))}, symprop.ShapeError, r"argument W1: expected .*\(6, 4\)"),
        ({**start, W1: with_entry(start[W1], (0, 0), np.nan)}, symprop.ArgumentError, "start value of W1"),
        ({**start, sp.Symbol("q"): 1.0}, symprop.ArgumentError, "params names q, which the graph does not"),
        ({**start, sp.Symbol("z"): 1.0}, symprop.ArgumentError, "params names z"),
        ({**start, L: 1.0}, symprop.ArgumentError, "params names L, which the graph computes"),
        ({**start, inputs[0]: np.zeros(4)}, symprop.ArgumentError, "x is in params and in inputs"),
        ({**start, "W1": start[W1]}, symprop.ArgumentError, "params names W1 twice"),
    ]
    for params, kind, message in cases:
        with pytest.raises(kind, match=message):
            classified(params=params)
    with pytest.raises(symprop.ArgumentError, match="another symbol of that name"):
        classified(inputs=[inputs[0], sp.Symbol("y")])
    label_trained = {**start, inputs[1]: 1}
    with pytest.raises(symprop.ArgumentError, match="y, an integer, which cannot be trained"):
        classified(IMAGES, None, params=label_trained, inputs=inputs[:1])


def test_a_target_that_is_no_scalar_is_refused() -> None:
    net = nn.mlp([4, 3])
    with pytest.raises(symprop.ShapeError, match="fit minimises a scalar"):
        symprop.fit(
            net.graph,
            IMAGES,
            params=net.init(),
            inputs=net.inputs,
            epochs=1,
            batch_size=4,
            optimizer=optim.SGD(lr=0.1),
        )


def test_nan_is_found_in_every_block_of_large_data() -> None:
    many = np.zeros((3000, 100))
    many[2999, 99] = np.nan
    c = sp.MatrixSymbol("c", 100, 1)
    f = symprop.compile(sp.Trace(c.T * c), args=[c], batch=[c], wrt=[])
    with pytest.raises(symprop.ArgumentError, match="c holds NaN in row 2999, entry 99"):
        Data(arranged(many, None, [c]), f._source.arguments({}), [None])


# -- the progress bar --------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_tells_loss_metrics_and_speed_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    line(metrics={"up": lambda u: 7.25})
    shown = screen.getvalue()
    assert "epoch 3/3" in shown and "up 7.25" in shown and "samples/s" in shown and "loss" in shown


@pytest.mark.parametrize("progress", [True, False])
def test_it_is_quiet_where_there_is_no_terminal(progress: bool, capfd: pytest.CaptureFixture[str]) -> None:
    line(progress=progress)
    assert capfd.readouterr() == ("", "")


def test_without_rich_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    right = line(progress=False).history["loss"]
    assert line(progress=True).history["loss"] == right


# -- the history -------------------------------------------------------------------------------------------


def test_the_history_is_a_list_of_rows_and_of_columns() -> None:
    history = line(validation=(X, T), epochs=4).history
    assert len(history) == 4 and [row["epoch"] for row in history] == history["epoch"] == [1, 2, 3, 4]
    assert history[-1]["loss"] == history["loss"][-1] and len(history[1:3]) == 2
    with pytest.raises(KeyError, match="no column q; it has epoch, loss, val_loss"):
        history["q"]
    assert str(history).splitlines()[0].split()[:3] == ["epoch", "loss", "val_loss"]
    long = symprop.History([{"epoch": k} for k in range(100)])
    assert "..." in repr(long) and len(repr(long).splitlines()) == 20
    assert history == history[:] and history != long and history == list(history)


def test_the_history_draws_itself(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    history = line(validation=(X, T), metrics={"up": lambda u: 1.0}).history
    figure = history.plot(path=tmp_path / "history.svg")
    assert "<svg" in (tmp_path / "history.svg").read_text()
    loss, up = figure.axes
    assert [line_.get_label() for line_ in loss.lines] == ["loss", "val_loss"]
    assert_array_equal(loss.lines[0].get_ydata(), history["loss"])
    assert loss.get_yscale() == "log" and up.get_yscale() == "linear" and up.get_title() == "up"
    assert len(history.plot(["loss"]).axes) == 1
    with pytest.raises(symprop.ArgumentError, match="no column q"):
        history.plot(["q"])
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(symprop.MissingExtraError, match=r"symprop\[plot\]"):
        history.plot()


def test_a_loss_without_a_lower_bound_is_refused() -> None:
    """u*x - u**2 goes to -inf; the state before that step is kept."""
    u, v, loss = sp.symbols("u v loss")
    graph = symprop.Graph([(loss, u * v - u**2)])
    options = {"inputs": [v], "epochs": 500, "batch_size": 4, "optimizer": symprop.optim.SGD(lr=2.0)}
    with pytest.raises(symprop.SympropError, match="the loss is -inf at step") as caught:
        symprop.fit(graph, np.ones(8), params={u: 1.0}, progress=False, **options)
    assert "no lower bound" in str(caught.value)
    assert np.isfinite(caught.value.result.params[u])
    assert caught.value.result.stopped.startswith("-inf at step")
