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
    import symprop

    graph, params, x, y = digits.network()
    f = symprop.compile(graph, args=[*params, x, y], batch=[x, y], reduce="mean")
    train_x, train_y, test_x, _ = digits.data()
    assert (len(train_x), len(test_x)) == (1437, 360)
    runs = []
    for _ in range(2):
        arrays = digits.initial(params)
        runs.append((digits.train(f, arrays, train_x, train_y, 2), arrays))
    assert runs[0][0] == runs[1][0]
    for a, b in zip(runs[0][1], runs[1][1], strict=True):
        assert np.array_equal(a, b)


def test_the_step_by_hand_is_the_same_step(digits: ModuleType) -> None:
    import symprop

    graph, params, x, y = digits.network()
    f = symprop.compile(graph, args=[*params, x, y], batch=[x, y], reduce="mean")
    train_x, train_y, _, _ = digits.data()
    ours = digits.initial(params)
    theirs = [p.copy() for p in ours]
    value, grads = f.value_and_grad(*ours, train_x[:32], train_y[:32])
    loss = digits.step_by_hand(theirs, train_x[:32], train_y[:32], digits.RATE)
    assert np.isclose(value, loss, rtol=1e-13)
    for p, g, q in zip(ours, grads, theirs, strict=True):
        np.testing.assert_allclose(p - digits.RATE * g, q, rtol=1e-12, atol=1e-14)
