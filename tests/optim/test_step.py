"""The compiled step: in place, saved and resumed, in both modes and precisions, and what it refuses."""

import copy
import pickle

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn, optim
from symprop.errors import ArgumentError, ShapeError

OPTIMIZERS = {
    "sgd": optim.SGD(lr=0.1),
    "adam": optim.Adam(lr=0.01),
    "amsgrad": optim.AdamW(lr=0.01, amsgrad=True),
    "lion": optim.Lion(lr=0.01),
    "chain": optim.chain(
        optim.l1(1e-3), optim.clip_norm(0.1), optim.RMSprop(lr=optim.warmup(0.01, 5), momentum=0.5)
    ),
}


def wide():
    """A network whose step runs in loops, with labels."""
    net = nn.mlp([20, 40, 40, 5], activation=nn.relu)
    y, loss = sp.Symbol("y", integer=True), sp.Symbol("L")
    graph = symprop.Graph([*net.graph.equations, (loss, nn.cross_entropy(net.scores, y))])
    return net, graph, net.inputs[0], y


def data(seed=0, n=33):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 20)), rng.integers(0, 5, n)


def reference_adam(value, grads, memory, number, lr=0.01):
    """One step of Adam with NumPy, by the formulas of the paper."""
    for v, gradient, (mean, square) in zip(value, grads, memory, strict=True):
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        v -= lr * (mean / (1 - 0.9**number)) / (np.sqrt(square / (1 - 0.999**number)) + 1e-8)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_in_loops_as_gradient_and_update_apart(dtype):
    """Against the compiled gradient and an update in NumPy, with a smaller batch in between."""
    net, graph, x, y = wide()
    f = symprop.compile(graph, args=[*net.params, x, y], batch=[x, y], reduce="mean")
    step = symprop.compile_step(
        graph, params=net.params, batch=[x, y], optimizer=optim.Adam(lr=0.01), dtype=dtype
    )
    assert step.schedule.mode == "loops"
    state = step.init(net.init(seed=1))
    value = [a.copy() for a in net.init(seed=1).values()]
    memory = [(np.zeros_like(v), np.zeros_like(v)) for v in value]
    tolerance = 1e-11 if dtype == "float64" else 2e-5
    for number in range(1, 13):
        X, Y = data(number, 7 if number % 4 == 0 else 33)
        expected, grads = f.value_and_grad(*value, X, Y)
        reference_adam(value, grads, memory, number)
        loss = step(state, X, Y)
        assert loss == pytest.approx(expected, abs=tolerance)
        assert loss.dtype == dtype
    for found, wanted in zip(state.params.values(), value, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, atol=tolerance)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("size", ["small", "wide"])
def test_the_same_bits_resumed_from_a_file(name, size, training, tmp_path):
    if size == "small":
        step, batches = training.compile(OPTIMIZERS[name]), [(training.X, training.Y)] * 6
        state = step.init(training.start)
        assert step.schedule.mode == "unrolled"
    else:
        net, graph, x, y = wide()
        step = symprop.compile_step(graph, params=net.params, batch=[x, y], optimizer=OPTIMIZERS[name])
        state, batches = step.init(net.init(seed=2)), [data(k) for k in range(6)]
    for batch in batches[:3]:
        step(state, *batch)
    path = tmp_path / "state.npz"
    state.save(path)
    again, twin = pickle.loads(pickle.dumps(step)), copy.deepcopy(state)
    loaded, sent = again.load(path), pickle.loads(pickle.dumps(state))
    assert loaded.step == 3
    for batch in batches[3:]:
        losses = {step(s, *batch) for s in (state, twin, sent)} | {again(loaded, *batch)}
        assert len(losses) == 1
    for other in (twin, loaded, sent):
        assert other.step == 6
        for symbol in step.params:
            np.testing.assert_array_equal(other.params[symbol], state.params[symbol])
        for slot in state.slots:
            for symbol in step.params:
                np.testing.assert_array_equal(other.slots[slot][symbol], state.slots[slot][symbol])
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_one_rule_for_a_step_in_both_modes(training):
    """The equations of an optimizer of one's own, by hand in NumPy, with a start that is no zero."""
    p, g, t = optim.p, optim.g, optim.step
    mean, lr = sp.symbols("mean lr")
    own = optim.Optimizer(
        [(p, p - lr * g / sp.sqrt(t)), (mean, mean + (p - mean) / (t + 1))], state={mean: p}, hyper={lr: 0.1}
    )
    step = training.compile(own)
    state = step.init(training.start)
    seen = [training.flat(state).copy()]
    before = seen[0]
    f = symprop.compile(
        training.graph,
        args=[*training.params, training.x, training.y],
        wrt=training.params,
        batch=[training.x, training.y],
        reduce="mean",
    )
    for number in range(1, 6):
        arrays = [a.copy() for a in state.params.values()]
        gradient = np.concatenate([d.ravel() for d in f.grad(*arrays, training.X, training.Y)])
        before = training.flat(state).copy()
        step(state, training.X, training.Y)
        np.testing.assert_allclose(
            training.flat(state), before - 0.1 * gradient / np.sqrt(number), atol=1e-14
        )
        seen.append(training.flat(state).copy())
    mean_found = np.concatenate([a.ravel() for a in state.slots["mean"].values()])
    np.testing.assert_allclose(mean_found, np.mean(seen, 0), atol=1e-14)


def test_penalties_are_gradients_of_their_terms(training):
    """One step with l1 and l2 is one step on the loss with the two terms added."""
    w = training.params[0]
    loss = sp.Symbol("total")
    term = sp.Rational(1, 20) * symprop.scalar(sp.Trace(w.T * w)) + sum(
        sp.Rational(1, 50) * sp.Abs(w[i, j]) for i in range(5) for j in range(3)
    )
    z = sp.Symbol("L")
    graph = symprop.Graph([*training.graph.equations, (loss, z + term)])
    options = {"params": [w], "batch": [training.x, training.y]}
    with_terms = symprop.compile_step(graph, optimizer=optim.SGD(lr=0.1), **options)
    chained = symprop.compile_step(
        training.graph, optimizer=optim.chain(optim.l2(0.1), optim.l1(0.02), optim.SGD(lr=0.1)), **options
    )
    values = {"x": training.X, "y": training.Y}
    values |= {p.name: training.start[p] for p in training.params[1:]}
    states = [s.init({w: training.start[w]}) for s in (with_terms, chained)]
    for one, state in zip((with_terms, chained), states, strict=True):
        one(state, **values)
    np.testing.assert_allclose(states[0].params[w], states[1].params[w], atol=1e-14)


def test_arrays_are_copied_keep_their_shape_and_are_seen_by_name(training):
    step = training.compile(optim.SGD(lr=0.1))
    start = {s.name: training.start[s].copy() for s in training.params}
    start["b1"] = start["b1"][:, 0]
    state = step.init(start)
    step(state, training.X, training.Y)
    assert state.params["b1"].shape == (5,)
    np.testing.assert_array_equal(start["W1"], training.golden["W1"])
    assert not np.array_equal(state.params["W1"], start["W1"])
    assert list(state.params) == training.params and "W1" in state.params and "W9" not in state.params


def test_several_outputs_and_no_batch():
    w, x = sp.symbols("w x")
    h, loss = sp.symbols("h loss")
    graph = symprop.Graph([(h, w * x), (loss, (h - 1) ** 2)], outputs=[loss, h])
    step = symprop.compile_step(graph, args=[w, x], params=w, optimizer=optim.SGD(lr=0.25))
    state = step.init({w: 3.0})
    value, hidden = step(state, 1.0)
    assert (value, hidden) == (4.0, 3.0)
    assert float(state.params[w]) == 2.0
    assert "w_next" in str(step.program)


def test_sum_over_the_samples():
    w, x = sp.symbols("w x")
    step = symprop.compile_step(
        w * x, args=[w, x], params=[w], batch=[x], reduce="sum", optimizer=optim.SGD(lr=1.0)
    )
    state = step.init({w: 0})
    assert step(state, [1.0, 2.0, 3.0]) == 0.0
    assert float(state.params[w]) == -6.0


def test_sizes_that_a_call_binds():
    n = sp.Symbol("n", integer=True, positive=True)
    w, x, y = sp.MatrixSymbol("w", 3, 1), sp.MatrixSymbol("x", n, 3), sp.MatrixSymbol("y", n, 1)
    residual = x * w - y
    step = symprop.compile_step(
        residual.T * residual, args=[w, x, y], params=[w], optimizer=optim.SGD(lr=0.01)
    )
    state, rng, value = step.init({w: np.ones(3)}), np.random.default_rng(0), np.ones(3)
    for rows in (4, 7, 4):
        X, Y = rng.normal(size=(rows, 3)), rng.normal(size=rows)
        loss = step(state, X, Y)
        assert loss == pytest.approx(((X @ value - Y) ** 2).sum())
        value = value - 0.02 * X.T @ (X @ value - Y)
        np.testing.assert_allclose(state.params[w], value)
    with pytest.raises(ShapeError, match="size n is"):
        step(state, np.ones((3, 3)), np.ones(4))


def test_many_steps_in_single_precision_count_right():
    """The number of the step is an integer: adding one to a float32 ends at 2**24."""
    w = sp.Symbol("w")
    step = symprop.compile_step(w**2, params=[w], optimizer=optim.Adam(), dtype="float32")
    state = step.init({w: 1.0})
    state._count[...] = 2**24
    step(state)
    step(state)
    assert state.step == 2**24 + 2


def test_the_first_step_of_adam_in_single_precision():
    """1 - 0.999**t keeps its digits: the first step is lr times the sign of the gradient."""
    w = sp.Symbol("w")
    step = symprop.compile_step(w * 3, params=[w], optimizer=optim.Adam(lr=1.0), dtype="float32")
    state = step.init({w: 0.0})
    step(state)
    assert float(state.params[w]) == pytest.approx(-1, abs=4e-7)


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("b1"), ArgumentError, "no value for b1"),
        (lambda s: s.update(b3=1), ArgumentError, "b3 is no parameter; the parameters are W1, b1"),
        (lambda s: s.update(W1=np.ones((3, 5))), ShapeError, r"W1: expected .*\(5, 3\).*\.T"),
        (lambda s: s.update(b2=[1, float("nan")]), ArgumentError, "b2 holds NaN"),
        (lambda s: s.update(b2=[1, 1j]), ArgumentError, "b2: found complex"),
    ],
)
def test_start_values_that_do_not_fit(training, change, error, message):
    step = training.compile(optim.SGD())
    start = {s.name: a for s, a in training.start.items()}
    change(start)
    with pytest.raises(error, match=message):
        step.init(start)


def test_a_failed_step_changes_nothing():
    net, graph, x, y = wide()
    step = symprop.compile_step(graph, params=net.params, batch=[x, y], optimizer=optim.Adam())
    state = step.init(net.init(seed=3))
    X, Y = data()
    step(state, X, Y)
    before = copy.deepcopy(state)
    wrong = Y.copy()
    wrong[4] = 5
    for arguments, message in (
        ((X, wrong), "y: index 5 in row 4 is out of range"),
        ((X, Y[:-1]), "x and y have unequal numbers of samples: 33 and 32"),
        ((X[:, 1:], Y), "x: expected"),
        ((X[:0], Y[:0]), "empty batch"),
        ((X,), "missing argument y"),
        ((X, Y, Y), "found 3 arguments"),
        ((X + 1j, Y), "complex"),
    ):
        with pytest.raises((ArgumentError, ShapeError), match=message):
            step(state, *arguments)
    with pytest.raises(ArgumentError, match="unknown argument z"):
        step(state, X, z=Y)
    for symbol in step.params:
        np.testing.assert_array_equal(state.params[symbol], before.params[symbol])
    assert state.step == 1


@pytest.mark.parametrize("inverse", [lambda a: a.inverse(), sp.Determinant])
def test_a_singular_matrix_is_an_error_before_anything_is_changed(inverse):
    A, w = sp.MatrixSymbol("A", 3, 3), sp.Symbol("w")
    value = inverse(A)
    target = w**2 + (sp.log(value) if value.is_Matrix is False else sp.Trace(value)) * w
    step = symprop.compile_step(target, args=[A, w], params=[A, w], optimizer=optim.Adam(lr=0.1))
    regular = np.eye(3) * 2 + 0.1
    state = step.init({A: regular, w: 1.0})
    step(state)
    slope = (
        np.linalg.inv(regular)
        if value.is_Matrix is False
        else -np.linalg.inv(regular) @ np.linalg.inv(regular)
    ).T
    np.testing.assert_allclose(state.params[A], regular - 0.1 * np.sign(slope), atol=1e-6)
    if value.is_Matrix:
        state = step.init({A: np.ones((3, 3)), w: 1.0})
        with pytest.raises(symprop.SympropError, match="singular"):
            step(state)
        assert state.step == 0 and state.params[w] == 1.0
        assert (state.params[A] == 1).all()
        assert all((a == 0).all() for slot in state.slots.values() for a in slot.values())


def test_arguments_are_read_whatever_their_form():
    net, graph, x, y = wide()
    step = symprop.compile_step(graph, params=net.params, batch=[x, y], optimizer=optim.SGD(lr=0.1))
    X, Y = data()
    states = [step.init(net.init(seed=3)) for _ in range(3)]
    losses = {
        step(states[0], X, Y),
        step(states[1], np.asfortranarray(X), Y.astype(float)),
        step(states[2], X[:, :, None].tolist(), Y.astype(np.int8)[:,]),
    }
    assert len(losses) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": optim.Adam}, "is the class Adam; pass"),
        ({"optimizer": "adam"}, "optimizer is str"),
        ({"params": []}, "nothing to train"),
        ({"params": ["q"]}, "q"),
        ({"params": ["x"], "batch": ["x", "y"]}, "x is in params and in batch"),
        ({"reduce": None}, "reduce is None"),
        ({"dtype": "float16"}, "dtype"),
    ],
)
def test_options_that_do_not_fit(training, options, message):
    given = {"params": training.params, "batch": ["x", "y"], "optimizer": optim.SGD()} | options
    with pytest.raises(ArgumentError, match=message):
        symprop.compile_step(training.graph, **given)


def test_a_loss_that_is_no_scalar(training):
    graph = symprop.Graph(training.graph.equations[:2])
    with pytest.raises(ShapeError, match="of a scalar output"):
        symprop.compile_step(graph, params=training.params, batch=["x"])


def test_a_state_of_another_training_is_refused_with_what_differs(training, tmp_path):
    step = training.compile(optim.Adam(lr=0.01))
    path = tmp_path / "a.npz"
    step.init(training.start).save(path)
    for other, message in (
        (training.compile(optim.SGD()), "state of the optimizer: m; v in the file, nothing here"),
        (training.compile(optim.Adam(lr=0.02)), "lr = 0.01.* in the file, lr = 0.02.* here"),
        (training.compile(optim.Adam(lr=0.01), dtype="float32"), "dtype: float64 in the file, float32"),
        (training.compile(optim.Adam(lr=0.01), reduce="sum"), "reduce mean in the file, reduce sum here"),
    ):
        with pytest.raises(ArgumentError, match=message):
            other.load(path)
    net, graph, x, y = wide()
    another = symprop.compile_step(graph, params=net.params, batch=[x, y], optimizer=optim.Adam(lr=0.01))
    with pytest.raises(ArgumentError, match=r"parameters: W1 5 3; .* in the file, W1 40 20; .* here"):
        another.load(path)
    with pytest.raises(ArgumentError, match="belongs to another step"):
        another(step.init(training.start), *data())
    assert training.compile(optim.Adam(lr=0.02)).load(path, strict=False).step == 0


def test_files_that_are_no_states(training, tmp_path):
    step, path = training.compile(optim.SGD()), tmp_path / "a.npz"
    for content in (b"", b"no archive", None):
        if content is None:
            np.savez(path, x=np.ones(3))
        else:
            path.write_bytes(content)
        with pytest.raises(ArgumentError, match="no state of a training"):
            step.load(path)
    state = step.init(training.start)
    state.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArgumentError, match="no state of a training"):
        step.load(path)
    with pytest.raises(FileNotFoundError):
        step.load(tmp_path / "none.npz")
    np.save(path.with_suffix(".npy"), np.array([{}], object), allow_pickle=True)
    with pytest.raises(ArgumentError, match="no state of a training"):
        step.load(path.with_suffix(".npy"))


def test_a_step_takes_a_state(training):
    with pytest.raises(ArgumentError, match=r"takes the state first, found dict; make one with step\.init"):
        training.compile(optim.SGD())(training.start, training.X, training.Y)
