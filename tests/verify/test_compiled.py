"""Compiled values and gradients against 50 digits: ULP, batches, reductions, planted errors."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.declare import as_graph
from symprop.verify import verify
from symprop.verify.rounding import rounded, ulp

from .networks import Reference, failures, network, rows, symbol

FLOATS = [1.0, -3.5, 1e-300, 2.0**-1022, 2.0**-1030, 5e-324, 1.7e308, 0.1, np.nextafter(2.0, 1.0)]


@pytest.mark.parametrize("value", FLOATS)
def test_an_ulp_is_the_spacing_of_numpy(value: float) -> None:
    assert float(ulp(mp.mpf(value), "float64")) == float(np.spacing(abs(value)))
    with np.errstate(over="ignore"):
        single = np.float32(value)
    if np.isfinite(single):
        assert float(ulp(mp.mpf(float(single)), "float32")) == float(np.spacing(abs(single)))


def test_values_beyond_the_range_round_to_infinity() -> None:
    top = mp.mpf(float(np.finfo("float32").max))
    assert rounded(top, "float32") == top
    assert rounded(top * (1 + mp.mpf(2) ** -26), "float32") == top * (1 + mp.mpf(2) ** -26)
    assert rounded(-top * 2, "float32") == -mp.inf


def batched(
    sizes: list[int], count: int, reduce: str | None, dtype: str = "float64", **more: Any
) -> tuple[Any, dict[Any, Any], Reference]:
    graph, at = network(sizes)
    random = np.random.default_rng(3)
    data, label = symbol(graph, "x"), symbol(graph, "y")
    at[data], at[label] = random.standard_normal((count, sizes[0])), random.integers(0, sizes[-1], count)
    at[data] = at[data].reshape(count, sizes[0], 1)
    at = {s: v if s in (data, label) else np.reshape(v, s.shape) for s, v in at.items()}
    wrt = [s for s in graph.inputs if s not in (data, label)]
    return graph, at, Reference(graph, more.pop("wrt", wrt), (data, label), reduce, dtype, **more)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_single_call_passes_and_is_within_few_ulp(dtype: str) -> None:
    graph, at = network([3, 4, 4, 2])
    at = {s: np.reshape(v, getattr(s, "shape", ())) for s, v in at.items()}
    wrt = [s for s in graph.inputs if s.name[0] in "Wb"]
    report = verify(graph, at, wrt=wrt, function=Reference(graph, wrt, dtype=dtype))
    assert report.passed, str(report)
    found = rows(report, "compiled value")
    assert [row.name for row in found] == ["L", *(f"d/d{s.name}" for s in wrt)]
    assert all(row.unit == "ULP" and row.error <= row.bound for row in found)
    assert found[0].error < 4
    assert len(rows(report, "finite differences, compiled")) == 6


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_batches_pass(reduce: str | None, dtype: str) -> None:
    graph, at, function = batched([3, 4, 2], 5, reduce, dtype)
    report = verify(graph, at, wrt=list(function.wrt), function=function)
    assert report.passed, str(report)
    assert len(rows(report, "compiled value")) == 5
    (row,) = [r for r in rows(report, "compiled value") if r.name == "d/dW1"]
    assert ("sample" in row.entry) is (reduce is None)


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_the_gradient_by_a_batched_argument_stays_per_sample(reduce: str) -> None:
    graph, at, function = batched([3, 4, 2], 4, reduce)
    data = symbol(graph, "x")
    by_data = Reference(graph, [data], function.batch, reduce)
    report = verify(graph, at, wrt=[data], function=by_data)
    assert report.passed, str(report)
    assert by_data.value_and_grad(*(at[s] for s in by_data.args))[1][0].shape == (4, 3, 1)


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_a_relative_error_of_1e_6_in_one_entry_is_caught(reduce: str | None) -> None:
    def tamper(results: list[Any]) -> None:
        results[1][..., 2, 1] *= 1 + 1e-6

    graph, at, function = batched([3, 4, 2], 5, reduce, tamper=tamper)
    at_W1 = str(function.wrt[0])
    report = verify(graph, at, wrt=list(function.wrt), function=function)
    assert failures(report) == {
        ("compiled value", f"d/d{at_W1}"),
        ("finite differences, compiled", f"d/d{at_W1}"),
    }
    (row,) = [r for r in report.failures if r.method == "compiled value"]
    assert row.entry.startswith("[2, 1]") and row.error > 1e8


def test_an_error_in_a_single_row_of_a_batch_is_caught() -> None:
    def tamper(results: list[Any]) -> None:
        if len(results[0]) > 17:
            results[0][17] += 1e-6

    graph, at, function = batched([3, 4, 2], 20, None, tamper=tamper)
    report = verify(graph, at, wrt=list(function.wrt), function=function)
    (row,) = report.failures
    assert (row.method, row.name, row.entry) == ("compiled value", "L", "sample 17")


def test_a_large_batch_is_sampled_and_the_report_says_so() -> None:
    graph, at, function = batched([3, 4, 2], 500, "mean")
    report = verify(graph, at, wrt=list(function.wrt), function=function, budget=3e4, samples=4)
    assert report.passed, str(report)
    assert "of 500 samples" in str(report)
    assert "mean over 4 of 500 samples" in str(report)


def test_a_value_that_overflows_is_no_pass() -> None:
    x = sp.Symbol("x")
    graph = as_graph(sp.log(sp.exp(x) + 1))
    report = verify(graph, {x: 1000.0}, function=Reference(graph, [x]))
    assert ("compiled value", "out") in failures(report)


def test_cancellation_of_the_formula_is_no_false_alarm() -> None:
    x, y = sp.symbols("x y")
    graph = as_graph((x + y) ** 3 - x**3 - 3 * x**2 * y)
    report = verify(graph, {x: 1e3, y: 1e-4}, function=Reference(graph, [x, y]))
    assert report.passed, str(report)
    assert max(float(row.error) for row in rows(report, "compiled value")) > 1e4


def test_a_compiled_value_at_a_kink_may_be_between_the_slopes_only() -> None:
    x = sp.Symbol("x")
    graph = as_graph(sp.Max(x, 2 * x))
    for value, passes in ((1.0, True), (1.5, True), (2.0, True), (2.5, False)):

        def tamper(results: list[Any], value: float = value) -> None:
            results[1][()] = value

        report = verify(graph, {x: 0.0}, function=Reference(graph, [x], tamper=tamper))
        (row,) = rows(report, "finite differences, compiled")
        assert row.passed is passes


def test_an_empty_batch_has_nothing_to_compare() -> None:
    graph, at, function = batched([3, 4, 2], 0, None)
    report = verify(graph, at, wrt=list(function.wrt), function=function)
    assert not report.rows and report.passed and "without samples" in str(report)


@pytest.mark.parametrize("reduce", [None, "mean"])
def test_a_compiled_network_verifies_itself(reduce: str | None) -> None:
    graph, at, function = batched([3, 4, 4, 2], 9, reduce)
    compiled = symprop.compile(
        graph, args=list(function.args), wrt=list(function.wrt), batch=list(function.batch), reduce=reduce
    )
    report = compiled.verify(*(at[s] for s in function.args))
    assert report.passed, str(report)
    assert {row.method for row in report.rows} >= {"finite differences", "compiled value", "forward mode"}


def test_the_slopes_of_single_samples_in_single_precision() -> None:
    x, w = sp.symbols("x w")
    f = symprop.compile(w * sp.sin(x), args=[w, x], batch=[x], dtype="float32")
    assert f.verify(0.3, [1.0, 2.0, 3.0]).passed
