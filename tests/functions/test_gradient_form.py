"""Derivatives read as a person would write them, and conventions at kinks."""

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.declare.export import Export
from symprop.declare.intake import Intake
from symprop.differentiate import reverse
from symprop.graph import NodeTable

a, t = sp.symbols("a t")
y = sp.Symbol("y", integer=True)
z, q = sp.MatrixSymbol("z", 3, 1), sp.MatrixSymbol("q", 3, 1)
S = nn.softmax(z)


def gradient(expression, wrt):
    table = NodeTable()
    intake = Intake(table, {})
    target, node = intake.node(expression), intake.node(wrt)
    return Export({}).expression(reverse.adjoints(table, target, [node])[node.serial])


@pytest.mark.parametrize(
    ("expression", "wrt", "right"),
    [
        (nn.cross_entropy(z, y), z, S - nn.one_hot(y, 3)),
        (nn.logsumexp(z), z, S),
        (nn.nll_loss(z, y), z, -nn.one_hot(y, 3)),
        (nn.squared_error(z, q), z, z - q),
        (nn.squared_error(z, q), q, q - z),
        (nn.mse_loss(z, q), z, sp.Rational(2, 3) * (z - q)),
        (nn.binary_cross_entropy_with_logits(z, q, reduction="sum"), z, nn.sigmoid(z) - q),
        (nn.binary_cross_entropy_with_logits(a, t), a, nn.sigmoid(a) - t),
        (nn.poisson_nll_loss(a, t), a, sp.exp(a) - t),
    ],
    ids=str,
)
def test_gradients_read_well(expression, wrt, right):
    found = gradient(expression, wrt)
    difference = (found - right).doit() if found.is_Matrix else sp.expand(found - right)
    assert difference in (0, sp.ZeroMatrix(3, 1)), found
    assert not found.has(sp.Heaviside, sp.DiracDelta, sp.Derivative, sp.Subs)


def test_the_slope_of_a_logarithm_cancels_against_that_of_its_argument(value_and_gradients):
    """log(sigmoid(a)) has the slope 1 - sigmoid(a), also where sigmoid(a) is zero."""
    graph = symprop.Graph([(t, -sp.log(nn.sigmoid(a)))])
    assert str(symprop.backprop(graph, [a])).splitlines()[-1] == "d_a = -(1 - a2)"
    _, (slope,) = value_and_gradients(sp.log(nn.sigmoid(a)), {a: -800.0}, [a])
    assert slope == 1


def test_one_sigmoid_unit_with_squared_error_and_with_cross_entropy(value_and_gradients):
    """At z = -40 the first gradient has vanished, the second is σ(z) - 1."""
    square = nn.squared_error(nn.sigmoid(a), t)
    entropy = nn.binary_cross_entropy_with_logits(a, t)
    s = np.exp(-40.0) / (1 + np.exp(-40.0))
    _, (vanished,) = value_and_gradients(square, {a: -40.0, t: 1.0}, [a])
    value, (kept,) = value_and_gradients(entropy, {a: -40.0, t: 1.0}, [a])
    np.testing.assert_allclose([vanished, kept, value], [(s - 1) * s * (1 - s), s - 1, 40.0], rtol=1e-14)
    value, _ = value_and_gradients(entropy, {a: 50.0, t: 1.0}, [a])
    np.testing.assert_allclose(value, np.exp(-50.0), rtol=1e-14)


KINKS = [  # function, point, slope as torch has it
    (nn.relu(a), 0.0, 0.0),
    (nn.leaky_relu(a, 0.3), 0.0, 0.3),
    (nn.prelu(a, 0.3), 0.0, 0.3),
    (nn.elu(a, 2), 0.0, 2.0),
    (nn.relu6(a), 0.0, 0.0),
    (nn.relu6(a), 6.0, 0.0),
    (nn.hardtanh(a), -1.0, 0.0),
    (nn.hardtanh(a), 1.0, 0.0),
    (nn.hardsigmoid(a), 3.0, 0.0),
    (nn.hardswish(a), -3.0, 0.0),
    (nn.hardswish(a), 3.0, 1.0),
    (nn.l1_loss(a, 0), 0.0, 0.0),
    (nn.hinge_loss(a, 1), 1.0, 0.0),
    (nn.huber_loss(a, 0), 1.0, 1.0),
    (nn.maximum(a, 0), 0.0, 1.0),
    (nn.maximum(0, a), 0.0, 0.0),
    (nn.maximum(a, 0, ties="split"), 0.0, 0.5),
    (nn.minimum(0, a), 0.0, 0.0),
]


@pytest.mark.parametrize(("expression", "point", "slope"), KINKS, ids=str)
def test_kinks(expression, point, slope, value_and_gradients):
    assert float(value_and_gradients(expression, {a: point}, [a])[1][0]) == slope


@pytest.mark.parametrize(
    ("expression", "expected"),
    [(nn.elu(a), 1), (nn.celu(a), 1), (nn.celu(a, 2), 0.5), (nn.hardtanh(a), 0), (nn.relu(a), 0)],
    ids=str,
)
def test_second_derivatives_at_kinks(expression, expected, value_and_gradients):
    """That of the side which the definition gives the kink: for elu and celu the exponential one."""
    slope = gradient(expression, a)
    found = value_and_gradients(slope, {a: 0.0}, [a]) if slope.free_symbols else (0, [0])
    assert float(found[1][0]) == expected


def test_masks_of_numbers_become_one():
    """A factor goes into a mask of a number, and two masks become one condition."""
    second = gradient(gradient(nn.hardswish(a), a), a)
    (value, condition), otherwise = second.args
    assert (value, otherwise) == (sp.Rational(1, 3), (0, True))
    assert set(condition.args) == {a < 3, a > -3}
    scaled = gradient(gradient(nn.selu(a), a), a)
    assert len(scaled.atoms(sp.Piecewise)) == 1 and scaled.args[0] == (0, a > 0)


def test_maxout_at_ties(value_and_gradients):
    m = sp.MatrixSymbol("m", 2, 4)
    at = {m: np.array([[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 4.0]])}
    _, (first,) = value_and_gradients(nn.maxout(m, dim=1), at, [m])
    np.testing.assert_array_equal(first, [[0, 1, 0, 0], [1, 0, 0, 0]])
    _, (shared,) = value_and_gradients(nn.maxout(m, dim=1, ties="split"), at, [m])
    np.testing.assert_allclose(shared, [[0, 0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3, 0]])
    _, (down,) = value_and_gradients(nn.maxout(m, dim=0), {m: np.array([[1.0, 2, 2, 0], [1, 3, 1, 0]])}, [m])
    np.testing.assert_array_equal(down, [[1, 0, 1, 1], [0, 1, 0, 0]])


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("function", "scores", "right"),
    [
        (nn.logsumexp, [1, INF, 2], INF),
        (nn.logsumexp, [-INF, -INF, -INF], -INF),
        (nn.logsumexp, [0, -INF, 0], np.log(2)),
        (nn.logsumexp, [1, NAN, 2], NAN),
        (nn.softmax, [0, -INF, 0], [0.5, 0, 0.5]),
        (nn.softmax, [1, INF, 2], [NAN, NAN, NAN]),
        (nn.softmax, [-INF, -INF, -INF], [NAN, NAN, NAN]),
        (nn.log_softmax, [0, -INF, 0], [-np.log(2), -INF, -np.log(2)]),
        (nn.log_softmax, [1000, 0, -1000], [0, -1000, -2000]),
    ],
)
def test_infinite_scores(function, scores, right, value_and_gradients):
    """As in torch: softmax and logsumexp of infinities; log_softmax of a sure class keeps its digits."""
    found, _ = value_and_gradients(function(z), {z: scores})
    np.testing.assert_allclose(np.ravel(found), np.ravel(right), equal_nan=True)


def test_an_excluded_class_has_no_gradient(value_and_gradients):
    _, (slope,) = value_and_gradients(nn.cross_entropy(z, y), {z: [0, -INF, 0], y: 0}, [z])
    np.testing.assert_allclose(slope.ravel(), [-0.5, 0, 0.5])


def test_a_branch_not_taken_sends_nothing(value_and_gradients):
    """exp overflows where elu does not use it: neither value nor gradients may be NaN."""
    for expression in (nn.elu(a, 2), nn.celu(a, 2), nn.selu(a)):
        value, (slope,) = value_and_gradients(expression, {a: 1000.0}, [a])
        assert np.isfinite(value)
        assert np.isfinite(slope)
