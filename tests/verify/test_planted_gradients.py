"""Wrong gradients, given as expressions: each is caught, and the report names gradient, entry and method."""

from __future__ import annotations

import pytest
import sympy as sp

from symprop.errors import ArgumentError, ShapeError, SympropError, VerificationError
from symprop.functions.symbols import named
from symprop.verify import verify

from .networks import failures, network, rows, symbol

x, y, w, v = sp.symbols("x y w v")
f = sp.exp(w * x) * sp.sin(y) + w**3
at = {x: 0.7, y: 1.1, w: -0.4}
right = {s: f.diff(s) for s in (x, y, w)}


def test_right_gradients_pass() -> None:
    report = verify(f, at, gradients=right)
    assert report.passed
    assert report.worst.margin <= 1
    report.raise_if_failed()


@pytest.mark.parametrize(
    "wrong",
    [
        -right[w],  # sign
        2 * right[w],  # factor
        right[w] - 3 * w**2,  # a path that is missing where w fans out
        right[w] * (1 + sp.Rational(1, 10**6)),  # a relative error of 1e-6
        right[w] * (1 + sp.Rational(1, 10**12)),
        right[w] + sp.Rational(1, 10**15),
        right[x],  # of another symbol
    ],
)
def test_a_wrong_scalar_gradient_is_caught_by_differences_and_by_forward_mode(wrong: sp.Expr) -> None:
    report = verify(f, at, gradients={**right, w: wrong})
    found = failures(report)
    assert ("finite differences", "d/dw") in found
    assert ("forward mode", "d/dw") in found
    assert not {name for _, name in found} & {"d/dx", "d/dy"}
    with pytest.raises(VerificationError, match="d/dw"):
        report.raise_if_failed()


def test_the_error_is_an_assertion_and_one_of_ours() -> None:
    report = verify(f, at, gradients={w: -right[w]})
    with pytest.raises(AssertionError):
        report.raise_if_failed()
    with pytest.raises(SympropError):
        report.raise_if_failed()


def test_the_wrong_entry_of_a_matrix_gradient_is_named() -> None:
    W, u, t = sp.MatrixSymbol("W", 3, 3), sp.MatrixSymbol("u", 3, 1), sp.MatrixSymbol("t", 3, 1)
    target = sp.Trace(t.T * W * u)
    values = {W: [[1, 2, 3], [4, 5, 6], [7, 8, 10]], u: [0.5, -1.5, 2.0], t: [1.0, 3.0, -0.25]}
    assert verify(target, values, gradients={W: t * u.T}).passed
    transposed = verify(target, values, wrt=[W], gradients={W: u * t.T})
    assert ("finite differences", "d/dW") in failures(transposed)
    bumped = sp.Matrix(
        3, 3, lambda i, j: t[i, 0] * u[j, 0] + (sp.Rational(1, 10**7) if (i, j) == (2, 1) else 0)
    )
    report = verify(target, values, wrt=[W], gradients={W: bumped})
    (row,) = rows(report, "finite differences")
    assert (row.entry, row.passed) == ("[2, 1]", False)
    assert abs(float(row.found - row.expected) - 1e-7) < 1e-20


def test_a_wrong_entry_among_thousands_is_found_by_a_direction_and_named() -> None:
    graph, values = network([30, 20, 5])
    W1, h, z, label = (symbol(graph, n) for n in ("W1", "h1", "z", "y"))
    W2, data = symbol(graph, "W2"), symbol(graph, "x")
    by_scores = named("softmax", [z], (None,)) - named("one_hot", [label], (5,))
    adjoint = sp.HadamardProduct(W2.T * by_scores, sp.OneMatrix(20, 1) - sp.HadamardPower(h, 2))
    gradient = adjoint * data.T
    assert verify(graph, values, wrt=[W1], gradients={W1: gradient}, budget=2e4).passed
    bump = sp.SparseMatrix(20, 30, {(13, 7): sp.Rational(1, 10**8)})
    report = verify(graph, values, wrt=[W1], gradients={W1: gradient + sp.ImmutableMatrix(bump)}, budget=2e4)
    (row,) = rows(report, "finite differences")
    assert "of 600 entries" in row.note
    assert (row.entry, row.passed) == ("[13, 7]", False)


def test_a_kink_at_the_wrong_place_is_caught() -> None:
    target = named("relu", [x])
    wrong = sp.Piecewise((1, x > sp.Rational(1, 2)), (0, True))
    assert verify(target, {x: 0.75}, gradients={x: wrong}).passed
    assert failures(verify(target, {x: 0.25}, gradients={x: wrong})) >= {("finite differences", "d/dx")}


@pytest.mark.parametrize(
    ("slope", "passes"), [(0, True), (1, True), (sp.Rational(1, 3), True), (2, False), (-1, False)]
)
def test_at_a_kink_any_value_between_the_slopes_passes(slope: sp.Expr, passes: bool) -> None:
    report = verify(named("relu", [x * y]), {x: 0.0, y: 2.0}, wrt=[x], gradients={x: slope * y})
    (row,) = rows(report, "kink")
    assert row.passed is passes
    assert [float(e) for e in row.expected] == [0.0, 2.0]
    assert "relu" in row.note and "= 0.0" in row.note


def test_a_tie_of_a_maximum_may_go_to_either_but_not_to_both() -> None:
    target = named("maximum", [x, y])
    for gx, gy, passes in ((1, 0, True), (0, 1, True), (sp.S.Half, sp.S.Half, True), (2, 0, False)):
        report = verify(target, {x: 1.5, y: 1.5}, gradients={x: gx, y: gy})
        assert all(row.passed for row in rows(report, "kink")) is passes


def test_what_is_given_wrongly_is_refused_by_name() -> None:
    with pytest.raises(ArgumentError, match="lacks a value for w"):
        verify(f, {x: 1, y: 1})
    with pytest.raises(ArgumentError, match=r"v, which the target lacks.*inputs are"):
        verify(f, {**at, v: 1})
    with pytest.raises(ArgumentError, match="assumptions"):
        verify(f, {**at, sp.Symbol("x", positive=True): 1})
    with pytest.raises(ArgumentError, match="wrt names v"):
        verify(f, at, wrt=[v])
    with pytest.raises(ArgumentError, match="gradients names y"):
        verify(f, at, wrt=[x], gradients={y: 1})
    W = sp.MatrixSymbol("W", 2, 3)
    with pytest.raises(ShapeError, match=r"W has shape \(3, 2\); expected \(2, 3\)"):
        verify(sp.Trace(W * W.T), {W: [[1, 2], [3, 4], [5, 6]]})
    with pytest.raises(ShapeError, match=r"gradient given for W has shape \(3, 2\)"):
        verify(sp.Trace(W * W.T), {W: [[1, 2, 3], [4, 5, 6]]}, gradients={W: 2 * W.T})


def test_a_slope_that_cancels_in_all_first_digits_is_no_false_alarm() -> None:
    target = sp.exp(named("tanh", [x]))  # 1 - tanh(x)**2 is below 1e-260
    assert verify(target, {x: 300.0}).passed
    slope = (1 - named("tanh", [x]) ** 2) * target
    assert verify(target, {x: 300.0}, gradients={x: slope}).passed
    wrong = verify(target, {x: 300.0}, gradients={x: slope * (1 + sp.Rational(1, 10**6))})
    assert failures(wrong) >= {("forward mode", "d/dx"), ("finite differences", "d/dx")}


def test_a_value_of_which_50_digits_show_nothing_has_its_slope() -> None:
    where = {x: 1.2345678e308, y: 710.0}  # the remainder of a quotient of 305 digits
    (row,) = rows(verify(sp.Mod(x, y), where, wrt=[y]), "finite differences")
    assert row.passed and float(row.expected) == pytest.approx(-1.738827887e305)
    wrong = -sp.floor(x / y) * (1 + sp.Rational(1, 10**6))
    assert failures(verify(sp.Mod(x, y), where, wrt=[y], gradients={y: wrong})) >= {
        ("finite differences", "d/dy")
    }


@pytest.mark.parametrize(("base", "power"), [(2.0, 0.0), (0.5, 0.0), (3.0, 1.0), (-2.0, 3.0)])
def test_a_power_has_its_mixed_derivative_at_exponent_zero_too(base: float, power: float) -> None:
    wrt = [x] if base < 0 else [x, y]  # a negative base has no slope by its exponent
    assert verify(x**y, {x: base, y: power}, wrt=wrt).passed


@pytest.mark.parametrize("function", [sp.floor, sp.ceiling])
def test_a_jump_at_a_whole_number_is_named(function: sp.Function) -> None:
    target = function(w * x) + sp.sin(x)
    (row,) = rows(verify(target, {x: 1.5, w: 2.0}, wrt=[w]), "kink")
    assert row.passed and f"{function.__name__}(" in row.note and "jumps" in row.note
    assert not rows(verify(target, {x: 1.5, w: 2.1}, wrt=[w]), "kink")
    (near,) = rows(verify(target, {x: 1.0, w: 3.0 + 1e-13}, wrt=[w]), "finite differences")
    assert near.passed and f"{function.__name__}(" in near.note and "step reduced" in near.note
