"""Evaluation with a memory, against plain evaluation and mpmath's own matrices."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symprop.graph.evaluate import evaluate
from symprop.verify.exact import Definitions, Exact, Trusted, integers, matrix_product, real_array

from .networks import network


def test_a_product_of_integers_is_the_exact_product_rounded_once() -> None:
    random = np.random.default_rng(0)
    a, b = (
        random.standard_normal((3, 5)) * 1e-200,
        random.standard_normal((5, 2)) * 10.0 ** random.integers(-9, 9, (5, 2)),
    )
    with mp.workdps(50):
        found = matrix_product(integers(real_array(a)), integers(real_array(b)))  # type: ignore[arg-type]
    exact = sp.Matrix(3, 5, [sp.Rational(v) for v in a.flat]) * sp.Matrix(
        5, 2, [sp.Rational(v) for v in b.flat]
    )
    for value, wanted in zip(found.flat, exact, strict=True):
        with mp.workdps(80):
            reference = mp.mpf(int(wanted.p)) / int(wanted.q)
            assert abs(value - reference) <= abs(reference) * mp.mpf(10) ** -50


def test_entries_too_far_apart_or_not_finite_are_left_to_floating_point() -> None:
    assert integers(real_array([1e-300, 1.0])) is not None
    with mp.workdps(50):
        assert integers(np.array([mp.mpf(2) ** -5000, mp.mpf(1)], object)) is None
        assert integers(np.array([mp.inf, mp.mpf(1)], object)) is None
        assert integers(np.array([mp.mpf(0), mp.mpf(0)], object)) is not None


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_a_change_gives_what_a_new_evaluation_gives(activation: str) -> None:
    graph, at = network([5, 4, 3], activation)
    at = {s: np.reshape(v, getattr(s, "shape", ())) for s, v in at.items()}
    values = {graph.nodes[s].serial: v for s, v in at.items()}
    loss = graph.nodes[graph.outputs[0]]
    seen = set()
    for s in graph.inputs:
        node = graph.nodes[s]
        if node.kind != "real":
            continue
        exact = Exact(Definitions(graph.table), values, 50)
        base = np.array(exact(node)[0], object)
        for flat in (0, base.size - 1):
            moved = np.array(base, object)
            with mp.workdps(50):
                moved.flat[flat] = moved.flat[flat] + mp.mpf(1) / 3
                (wanted,) = evaluate(
                    [loss], {**{k: v for k, v in at.items() if k != s}, s: moved}, exact=True
                )
            (found,) = exact.changed({node.serial: moved}, loss)
            assert abs(found[()] - wanted[()]) <= mp.mpf(10) ** -47 * abs(wanted[()])
            seen.add(found[()])
    assert len(seen) > 4


def test_more_digits_are_taken_where_they_are_needed() -> None:
    x = sp.Symbol("x")
    from symprop.declare import as_graph

    graph = as_graph(1 - sp.tanh(x) ** 2)
    node = graph.nodes[graph.outputs[0]]
    trusted = Trusted(Definitions(graph.table), {graph.nodes[x].serial: 200.0})
    ((value, error),) = trusted(node)
    with mp.workdps(300):
        wanted: Any = mp.sech(mp.mpf(200)) ** 2
        assert abs(value[()] - wanted) <= mp.mpf(10) ** -25 * wanted
        assert error[()] <= mp.mpf(10) ** -25 * wanted


def test_numbers_of_numpy_among_exact_ones() -> None:
    values = np.array([mp.mpf("0.5"), np.int64(0), np.float64(0.1)], object)
    found = real_array(values)
    assert all(isinstance(v, mp.mpf) for v in found)
    assert [float(v) for v in found] == [0.5, 0.0, 0.1]
