"""The regression on real data, with fewer epochs."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from numpy.testing import assert_allclose


def test_it_reaches_the_closed_form_and_shows_its_work(
    regression: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    found = regression.main(epochs=500, budget=2e4)
    assert found["difference"] < 1e-4
    assert_allclose(found["linear model, trained"], found["closed form"], atol=1e-4)
    assert found["network"] > 0.2
    shown = capsys.readouterr().out
    for line in ("y = w.T*x + b", "d_w = d_y*x", "h = tanh(W*x + b)", "d_W = d_a*x.T"):
        assert line in shown.splitlines()
    assert shown.count("rows, all passed") == 2
    assert f"  closed form            {found['closed form']:.4f}" in shown


def test_the_closed_form_is_scikit_learns(regression: ModuleType) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    split = regression.data()
    assert (len(split.train_y), len(split.test_y)) == (353, 89)
    model = linear_model.LinearRegression().fit(split.train_x, split.train_y)
    exact = regression.closed_form(split)
    assert_allclose(exact, np.append(model.coef_, model.intercept_), rtol=1e-9, atol=1e-12)
    predicted = model.predict(split.test_x)
    assert_allclose(
        regression.determination(predicted, split.test_y), model.score(split.test_x, split.test_y)
    )
