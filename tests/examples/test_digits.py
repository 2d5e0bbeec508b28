"""The example on real data, with fewer passes over it."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest


def test_it_learns_to_read_digits_and_shows_its_work(
    digits: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        digits, "race", lambda calls: {name: (call(), 1.0)[1] for name, call in calls.items()}
    )
    share = digits.main(epochs=20, budget=2e4)
    assert share >= 0.95
    shown = capsys.readouterr().out
    for line in ("h = tanh(W1*x + b1)", "d_z = softmax(z) - one_hot(y, 10)", "d_W1 = d_a*x.T"):
        assert line in shown.splitlines()
    assert "rows, all passed" in shown
    assert f"test accuracy {100 * share:.1f}% on 360 digits not seen before" in shown


def test_training_is_deterministic(digits: ModuleType) -> None:
    _, params, _, _ = digits.network()
    images = digits.data()
    assert [len(a) for a in images] == [1437, 1437, 360, 360]
    first, second = (digits.train(digits.initial(params), images, 2) for _ in range(2))
    assert first.history["loss"] == second.history["loss"]
    for symbol, array in first.params.items():
        assert np.array_equal(array, second.params[symbol])


def test_the_step_by_hand_is_the_same_step(digits: ModuleType) -> None:
    _, params, _, _ = digits.network()
    images = digits.data()
    start = digits.initial(params)
    result = digits.train(start, images, 0)
    theirs = [p.copy() for p in start.values()]
    x, y = images[0][:32], images[1][:32]
    value = result.step(result.state, x, y)
    loss = digits.step_by_hand(theirs, x, y, digits.RATE)
    assert np.isclose(value, loss, rtol=1e-13)
    for p, q in zip(result.params.values(), theirs, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-14)
