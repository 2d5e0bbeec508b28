"""What can be verified: scalars, matrices, lists, projections, symbolic sizes, labels."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.declare import Graph, as_graph
from symprop.errors import ArgumentError, ShapeError
from symprop.verify import verify

from .networks import Reference, failures, network, rows

x, y, a = sp.symbols("x y a")


def test_the_lecture_examples_verify() -> None:
    f = (x + y) * a
    report = verify(f, {x: -2, y: 5, a: -4})
    assert [float(r.expected) for r in rows(report, "finite differences")] == [-4.0, -4.0, 3.0]
    w0, w1, w2, x0, x1 = sp.symbols("w0 w1 w2 x0 x1")
    neuron = 1 / (1 + sp.exp(-(w0 * x0 + w1 * x1 + w2)))
    report = verify(neuron, {w0: 2, w1: -3, w2: -3, x0: -1, x1: -2}, wrt=[w0, w1, w2])
    found = [round(float(r.expected), 2) for r in rows(report, "finite differences")]
    assert report.passed and found == [-0.2, -0.39, 0.2]


def test_every_parameter_of_a_small_network_is_checked() -> None:
    graph, at = network([3, 4, 4, 2])
    wrt = [s for s in graph.inputs if s.name[0] in "Wb"]
    report = verify(graph, at, wrt)
    assert report.passed, str(report)
    assert not any("random directions" in row.note for row in report.rows)
    methods = {row.method for row in report.rows}
    assert methods == {
        "finite differences",
        "forward mode",
        "second order",
        "symmetry <Hu, v> = <Hv, u>",
        "forward mode twice",
        "finite differences of the gradient",
        "rule",
        "rule, forward",
    }


def test_a_larger_network_is_checked_in_directions_and_says_so() -> None:
    graph, at = network([64, 32, 10], "relu")
    report = verify(graph, at, [graph.inputs[0]], budget=5e4)
    assert report.passed, str(report)
    assert "of 2048 entries one by one, all in 2 random directions (budget=50000" in str(report)


def test_reports_are_reproducible() -> None:
    graph, at = network([12, 8, 3])
    assert str(verify(graph, at, budget=2e4)) == str(verify(graph, at, budget=2e4))
    assert str(verify(graph, at, budget=2e4)) != str(verify(graph, at, budget=2e4, seed=1))


def test_a_target_that_is_no_scalar_is_projected() -> None:
    W, v = sp.MatrixSymbol("W", 3, 2), sp.MatrixSymbol("v", 2, 1)
    report = verify(nn.tanh(W * v), {W: np.arange(6.0).reshape(3, 2) / 7, v: [0.5, -1.0]})
    assert report.passed, str(report)
    assert "out has shape (3, 1): derivatives are verified through a random projection" in str(report)
    with pytest.raises(ShapeError, match="scalar target"):
        verify(nn.tanh(W * v), {W: np.ones((3, 2)), v: [1, 2]}, gradients={v: v})


def test_sizes_that_are_symbols_are_bound_by_the_values() -> None:
    n, m = sp.symbols("n m", integer=True, positive=True)
    W, v = sp.MatrixSymbol("W", m, n), sp.MatrixSymbol("v", n, 1)
    graph = Graph([(sp.Symbol("L"), nn.squared_error(W * v, sp.OneMatrix(m, 1)))])
    for rows_, columns in ((2, 3), (4, 1)):
        random = np.random.default_rng(rows_)
        report = verify(
            graph, {W: random.standard_normal((rows_, columns)), v: random.standard_normal(columns)}
        )
        assert report.passed, str(report)
        assert len(rows(report, "finite differences")) == 2


def test_exact_numbers_are_taken_exactly() -> None:
    report = verify(x * y, {x: sp.Rational(1, 3), y: Fraction(2, 7)})
    assert report.passed
    third, other = (row.found for row in rows(report, "finite differences"))
    assert abs(third * 7 - 2) < 1e-40 and abs(other * 3 - 1) < 1e-40


def test_gradients_may_be_numbers() -> None:
    W, v = sp.MatrixSymbol("W", 2, 2), sp.MatrixSymbol("v", 2, 1)
    at = {W: [[1.0, 2.0], [3.0, 4.0]], v: [1.0, -1.0]}
    target = sp.Trace(v.T * W * v)
    assert verify(target, at, wrt=[W], gradients={W: np.array([[1.0, -1.0], [-1.0, 1.0]])}).passed
    report = verify(target, at, wrt=[W], gradients={W: [[1.0, -1.0], [-1.0 + 1e-9, 1.0]]})
    assert failures(report) == {("finite differences", "d/dW"), ("forward mode", "d/dW")}
    assert rows(report, "finite differences")[0].entry == "[1, 0]"
    assert verify(x**2, {x: 3.0}, gradients={x: 6.0}).passed
    assert not verify(x**2, {x: 3.0}, gradients={x: 6}, seed=3).failures


def test_an_argument_that_the_target_lacks_has_gradient_zero() -> None:
    f = symprop.compile(x**2, args=[x, y])
    report = f.verify(3.0, 5.0)
    assert report.passed, str(report)
    assert {row.name for row in rows(report, "compiled value")} == {"out", "d/dx", "d/dy"}


def test_several_outputs_are_compared_and_the_first_is_differentiated() -> None:
    f = symprop.compile([x * y, sp.sin(x)], args=[x, y])
    report = f.verify(1.25, -0.5)
    assert report.passed, str(report)
    assert [r.name for r in rows(report, "compiled value")] == ["out", "out1", "d/dx", "d/dy"]


class Opaque(sp.Function):  # type: ignore[misc]
    """A function with a value and a derivative that does not exist."""

    def doit(self, **hints: Any) -> Any:
        return sp.Abs(self.args[0]) ** 3

    def fdiff(self, argindex: int = 1) -> Any:
        raise sp.core.function.ArgumentIndexError(self, argindex)


def test_what_cannot_be_derived_is_noted() -> None:
    report = verify(Opaque(x), {x: 1.5})
    assert "not derivable" in str(report) and not rows(report, "finite differences")


def test_a_kink_beside_the_point_is_named_with_the_step() -> None:
    report = verify(nn.relu(x - y), {x: 1.0, y: 1.0 + 2.0**-30})
    assert report.passed, str(report)
    assert not any(row.note for row in rows(report, "finite differences"))  # outside the step: nothing to say
    report = verify(nn.relu(x - y), {x: 1.0, y: 1.0 + 2.0**-50})
    assert report.passed, str(report)
    (first, _) = rows(report, "finite differences")
    assert "relu(x - y) at x - y = -8.88e-16 lies within a step of 1.5e-11: step reduced to" in first.note


def test_where_several_kinks_meet_the_entries_decide() -> None:
    W, v = sp.MatrixSymbol("W", 3, 2), sp.MatrixSymbol("v", 2, 1)
    target = sp.Trace(sp.OneMatrix(1, 3) * nn.relu(W * v))
    report = verify(target, {W: np.zeros((3, 2)), v: [1.0, 2.0]})
    assert report.passed, str(report)
    (row,) = [r for r in rows(report, "kink") if r.name == "d/dW"]
    assert "6 entries at a kink" in row.note


def test_a_target_without_a_value_does_not_pass() -> None:
    report = verify(sp.log(x), {x: -1.0})
    assert ("finite differences", "d/dx") in failures(report)
    assert "the target is nan at the point" in str(report)


def test_labels_are_integers() -> None:
    graph, at = network([3, 4, 2])
    label = next(s for s in graph.inputs if s.name == "y")
    with pytest.raises(ArgumentError, match=r"y is an integer, found 0\.5"):
        verify(graph, {**at, label: 0.5})
    with pytest.raises(ArgumentError, match="y, an integer, which has no gradient"):
        verify(graph, at, wrt=[label])


def test_batches_without_a_function() -> None:
    graph, at = network([3, 4, 2])
    data, label = (next(s for s in graph.inputs if s.name == n) for n in "xy")
    random = np.random.default_rng(0)
    values = {**at, data: random.standard_normal((6, 3)), label: random.integers(0, 2, 6)}
    report = verify(graph, values, batch=[data, label])
    assert report.passed, str(report)
    assert "of 6 samples: gradients differenced at 0, 5" in str(report)
    with pytest.raises(ShapeError, match="different numbers of samples"):
        verify(graph, {**values, label: [0, 1]}, batch=[data, label])


def test_a_function_is_compared_with_its_own_arguments() -> None:
    graph = as_graph(x * sp.exp(y))
    function = Reference(graph, [y])
    report = verify(graph, {x: 2.0, y: 0.5}, function=function)
    assert [r.name for r in rows(report, "compiled value")] == ["out", "d/dy"]


def test_a_long_chain_is_no_recursion() -> None:
    equations: list[Any] = []
    last: Any = x
    for k in range(1500):
        name = sp.Symbol(f"s{k}")
        equations.append((name, last * y + a))
        last = name
    report = verify(Graph(equations), {x: 0.3, y: 0.999, a: 0.001}, budget=1e3)
    assert report.passed, str(report)


# -- where there is no derivative to compare -----------------------------------------------------------------


def test_an_infinite_slope_is_no_failure():
    a = sp.Symbol("a")
    report = symprop.compile(sp.sqrt(a)).verify(0.0)
    assert report.passed
    assert "the derivative is not finite: not compared" in str(report)


def test_a_power_with_a_negative_base_has_no_slope_by_its_exponent():
    a, b = sp.symbols("a b")
    assert symprop.compile(a**b, args=[a, b]).verify(-2.0, 3.0).passed


def test_an_overflow_is_no_failure():
    a = sp.Symbol("a")
    report = symprop.compile(sp.exp(a)).verify(800.0)
    assert report.passed and any(row.method == "finite differences, compiled" for row in report.rows)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    a, b = sp.symbols("a b")
    with pytest.raises(symprop.ArgumentError, match="the value of a holds NaN or infinity"):
        symprop.compile(a * b, args=[a, b]).verify(value, 1.0)


@pytest.mark.parametrize(
    ("value", "found"),
    [(-sp.cos(sp.Symbol("a")), "-cos\\(a\\)"), (None, "None"), (sp.nan, "nan"), (sp.I, "I")],
)
def test_what_is_no_number_is_refused(value, found):
    a = sp.Symbol("a")
    with pytest.raises(symprop.ArgumentError, match=f"the value of a holds {found} .* expected real numbers"):
        symprop.verify(sp.sin(a), {a: value})


def test_a_report_without_gradients_says_why():
    a, b = sp.symbols("a b")
    report = symprop.compile(a * b, args=[a, b], batch=[a, b]).verify([1.0, 2.0], [3.0, 4.0])
    assert report.passed and "no gradients: all arguments are in the batch" in str(report)
