"""Regressions with certified solutions: the problems as they are published, a few of them fitted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose, assert_array_equal

import symprop


def test_the_shipped_data_are_those_of_the_reference(nist: ModuleType) -> None:
    reference = os.environ.get("SYMPROP_REFERENCE")
    if not reference:
        pytest.skip("SYMPROP_REFERENCE names no folder of reference data")
    theirs = Path(reference)
    ours = json.loads((nist.DATA / "nist_strd.json").read_text())
    assert ours == json.loads((theirs / "nist_strd.json").read_text()) and len(ours) == 27
    with np.load(nist.DATA / "nist_strd.npz") as mine, np.load(theirs / "nist_strd.npz") as other:
        assert sorted(mine.files) == sorted(other.files)
        for name in mine.files:
            assert_array_equal(mine[name], other[name])


def test_sums_of_squares_and_their_gradients_are_the_published_ones(nist: ModuleType) -> None:
    rows = json.loads((nist.DATA / "nist_strd.json").read_text())
    for problem in nist.problems():
        graph = problem.residual()
        total = symprop.Graph([*graph.equations, (sp.Symbol("square"), sp.Symbol("r") ** 2)])
        inputs = [*problem.predictors, sp.Symbol("y")]
        f = symprop.compile(total, args=[*problem.params, *inputs], batch=inputs, reduce="sum")
        s = f.as_scipy(**problem.data())
        for start in ("start1", "start2"):
            known = rows[problem.name]["sse_and_gradient"][start]
            value, gradient = s(rows[problem.name][start])
            assert_allclose(value, known["sse"], rtol=1e-12)
            scale = np.abs(known["grad"]).max()
            assert_allclose(gradient, known["grad"], rtol=1e-9, atol=1e-14 * scale)


@pytest.mark.parametrize("name", ["Misra1a", "Nelson", "Rat42", "MGH10"])
def test_a_fit_agrees_with_the_certified_values(nist: ModuleType, name: str) -> None:
    (problem,) = nist.problems([name])
    for start in problem.starts:
        found = nist.fit(problem, start)
        assert not found.failed and found.digits > 6 and found.digits_of_rss > 9


def test_a_failure_of_the_solver_is_stated(
    nist: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    nist.main(["BoxBOD", "DanWood"], str(page))
    shown = capsys.readouterr().out
    assert "model = b1*(1 - exp(-b2*x))" in shown and "rows, all passed" in shown
    for text in (shown, page.read_text()):
        assert "| BoxBOD | higher | 2 | 6 | **failed** |" in text
        assert "3 of 4 fits reach the certified minimum" in text
        assert "BoxBOD from start 1: the solver stops with a sum of squares of 9771.5" in text
    assert page.read_text().startswith("# Regressions with certified solutions")


def test_digits(nist: ModuleType) -> None:
    assert nist.digits([1.0, 2.0], [1.0, 2.0]) == 11.0
    assert_allclose(nist.digits([1.001, 2.0], [1.0, 2.0]), 3.0, atol=1e-9)
    assert nist.digits([np.nan], [1.0]) == nist.digits([9.0], [1.0]) == 0.0


@pytest.mark.parametrize("text", ["__import__('os')", "b1.real", "open(x)", "b1*[x]", "lambda: x"])
def test_only_formulas_of_known_names_are_read(nist: ModuleType, text: str) -> None:
    with pytest.raises(ValueError, match="that no model has"):
        nist.parsed(text, [sp.Symbol("b1"), sp.Symbol("x")])


def test_an_unknown_problem_is_named(nist: ModuleType) -> None:
    with pytest.raises(SystemExit, match="unknown problem Nowhere"):
        list(nist.problems(["Nowhere"]))
