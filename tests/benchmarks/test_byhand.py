"""The references of the benchmarks, against differences of their values; every workload at a small size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from benchmarks import byhand, workloads
from numpy.testing import assert_allclose

GENERATOR = np.random.default_rng


def differences(value: Callable[[], Any], array: Any, step: float = 1e-5) -> Any:
    """Central differences of a scalar `value` by every entry of an array that it reads."""
    result = np.empty_like(array)
    for place in np.ndindex(array.shape):
        here = array[place]
        array[place] = here + step
        above = value()
        array[place] = here - step
        below = value()
        array[place] = here
        result[place] = (above - below) / (2 * step)
    return result


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_network(activation: str) -> None:
    random = GENERATOR(0)
    params = [random.normal(size=s) for s in [(5, 4), (5, 1), (3, 5), (3, 1)]]
    x, y = random.normal(size=(6, 4)), random.integers(0, 3, 6)
    _, grads = byhand.network(params, x, y, activation)
    for p, g in zip(params, grads, strict=True):
        assert_allclose(g, differences(lambda: byhand.network(params, x, y, activation)[0], p), atol=1e-8)


def test_samples_one_by_one_summed_and_apart() -> None:
    _, params = workloads.lecture_parameters()
    random = GENERATOR(1)
    x, t = random.normal(size=(5, 3)), np.eye(2)[random.integers(0, 2, 5)]
    each = [byhand.one_sample(params, x[k], t[k]) for k in range(5)]
    losses, apart = byhand.many_samples(params, x, t, False)
    loss, total = byhand.many_samples(params, x, t, True)
    assert_allclose(losses, [value for value, _ in each], rtol=1e-13)
    assert_allclose(loss, losses.sum(), rtol=1e-13)
    for k, p in enumerate(params):
        assert_allclose(apart[k], [grads[k] for _, grads in each], rtol=1e-11, atol=1e-14)
        assert_allclose(total[k], apart[k].sum(axis=0), rtol=1e-11, atol=1e-14)
        slopes = differences(lambda: byhand.one_sample(params, x[0], t[0])[0], p)
        assert_allclose(each[0][1][k], slopes, atol=1e-9)


def test_activation() -> None:
    x = np.array([-9.0, -2.0, -0.3, 0.0, 0.7, 3.0, 20.0])
    value, slope = byhand.activation(x)
    above, below = (byhand.activation(x + s)[0] for s in (1e-5, -1e-5))
    assert_allclose(slope, (above - below) / 2e-5, atol=1e-9)
    assert_allclose(value[-1], 40.0)


@pytest.mark.parametrize("adam", [True, False])
def test_trainer(adam: bool) -> None:
    """Two steps, by the formulas of Adam's paper for every number alone."""
    rng = np.random.default_rng(7)
    params = [rng.normal(size=s) for s in ((3, 2), (3, 1), (2, 3), (2, 1))]
    x, labels, rate = rng.normal(size=(4, 2)), np.array([0, 1, 1, 0]), 0.1
    expected, m, v = [p.copy() for p in params], [0.0] * 4, [0.0] * 4
    step = byhand.trainer(params, x, labels, "tanh", adam, rate)
    for t in (1, 2):
        loss, grads = byhand.network(expected, x, labels, "tanh")
        for k, g in enumerate(grads):
            m[k], v[k] = 0.9 * m[k] + 0.1 * g, 0.999 * v[k] + 0.001 * g**2
            slope = (m[k] / (1 - 0.9**t)) / (np.sqrt(v[k] / (1 - 0.999**t)) + 1e-8) if adam else g
            expected[k] = expected[k] - rate * slope
        assert_allclose(step(), loss, rtol=1e-12)
    for found, right in zip(params, expected, strict=True):
        assert_allclose(found, right, rtol=1e-12)


@pytest.mark.parametrize(("kind", "n"), [("mlp", 3), ("chain", 7), ("prod", 6)])
def test_growing(kind: str, n: int) -> None:
    v, x = workloads.growing_data(kind, n)
    function: Callable[..., Any] = {
        "mlp": lambda: byhand.scalar_network(v, x),
        "chain": lambda: byhand.chain(v),
        "prod": lambda: byhand.product(v),
    }[kind]
    assert_allclose(function()[1], differences(lambda: function()[0], v), atol=1e-9)


def run_all(rows: Any) -> int:
    """The workloads check themselves when they are made; every contestant is called once more."""
    count = 0
    for workload in rows:
        for call in workload.calls.values():
            call()
        count += 1
    return count


def test_the_workloads_are_right_at_small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (sizes, batch, activation, unit) in workloads.PERCEPTRONS.items():
        small = tuple(min(width, 12) for width in sizes)
        monkeypatch.setitem(workloads.PERCEPTRONS, name, (small, min(batch, 5), activation, unit))
    assert run_all(workloads.w1()) == 2
    assert run_all(workloads.w2(700)) == 3
    assert run_all(workload for name in ("W3-64", "W3b") for workload in workloads.w3(name)) == 2
    assert run_all(workloads.w3_step("W3-64", 2)) == 1
    assert run_all(workloads.matrix_products([(3, 4, 5)])) == 6
    assert run_all(workloads.w4(1001)) == 2
    assert run_all(workloads.w5([("mlp", 3), ("chain", 7), ("prod", 6)])) == 3


def test_a_wrong_result_is_refused() -> None:
    with pytest.raises(AssertionError, match="error"):
        workloads.checked("it", [np.ones(3)], [np.ones(3) + 1e-6], "float64")
