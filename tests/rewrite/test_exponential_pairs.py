"""Two exponentials less the larger exponent become one."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

a, b, c, t = sp.symbols("a b c t")
LOSS = sp.log(sp.exp(a) + sp.exp(b)) - t * a - (1 - t) * b


def program(*outputs, **options):
    return str(symprop.compile(list(outputs), args=[a, b, c, t], wrt=[], **options).program)


@pytest.mark.parametrize("accuracy", ["precise", "fast"])
def test_one_exponential_for_loss_and_gradients(accuracy):
    f = symprop.compile(LOSS, args=[a, b, t], wrt=[a, b], accuracy=accuracy)
    text = str(f.program)
    assert text.count("exp_gap(") == 1
    assert "exp(" not in text and "exp_sum(" not in text
    assert "minimum" not in text and "min(" not in text


@pytest.mark.parametrize(
    "formula",
    [
        sp.log(sp.exp(a) + sp.exp(b) + sp.exp(c)),  # three
        sp.log(sp.exp(2 * a) + sp.exp(2 * b)),  # 2*(v - m) of values that are not rounded
        sp.log(3 + sp.exp(a)),
        sp.exp(a - b) + sp.exp(b - a),
        sp.exp(a - sp.Max(a, b)),  # not of the form that stays finite
    ],
)
def test_other_sums_stay(formula):
    assert "exp_gap" not in program(formula)


def test_nothing_changes_as_written():
    assert "exp_gap" not in program(LOSS, accuracy="as_written")


def right(x, y, target):
    """Loss and slopes to 50 digits."""
    with mp.workdps(800):
        x, y, target = mp.mpf(x), mp.mpf(y), mp.mpf(target)
        total = mp.exp(x) + mp.exp(y)
        loss = mp.log(total) - target * x - (1 - target) * y
        return loss, mp.exp(x) / total - target, mp.exp(y) / total - (1 - target)


POINTS = [(0.3, 0.1), (-2.0, 5.5), (700.1, -0.2), (-745.0, -744.5), (1e4, 1e4 + 3), (2.0, 2.0), (36.0, -1.0)]


@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize(("x", "y"), POINTS)
def test_values(x, y, target):
    f = symprop.compile(LOSS, args=[a, b, t], wrt=[a, b])
    loss, slopes = f.value_and_grad(x, y, target)
    exact = right(x, y, target)
    assert abs(float(loss) - exact[0]) <= 2e-16 * (1 + abs(x) + abs(y))  # the terms cancel
    assert abs(float(slopes[0]) - exact[1]) <= 5e-16 * max(abs(exact[1]), mp.mpf(10) ** -300)
    assert abs(float(slopes[1]) - exact[2]) <= 2e-16  # less 1 - t, which is no input


def test_infinite_and_nan():
    f = symprop.compile(sp.log(sp.exp(a) + sp.exp(b)), args=[a, b], wrt=[a, b])
    for x, y, value, slopes in [
        (np.inf, 1.0, np.inf, (1, 0)),
        (-np.inf, 1.0, 1.0, (0, 1)),
        (-np.inf, -np.inf, -np.inf, (0.5, 0.5)),
        (np.inf, np.inf, np.inf, (0.5, 0.5)),
        (1e308, -1e308, 1e308, (1, 0)),
    ]:
        found, gradients = f.value_and_grad(x, y)
        assert (float(found), tuple(map(float, gradients))) == (value, slopes)
    for x, y in [(np.nan, 1.0), (1.0, np.nan), (np.nan, np.inf)]:
        found, gradients = f.value_and_grad(x, y)
        assert np.isnan([float(found), *map(float, gradients)]).all()


def test_gap_has_derivatives():
    gap = symprop.compile(sp.log(sp.exp(a) + sp.exp(b)), args=[a, b], wrt=[a, b])
    twice = symprop.compile(symprop.grad(LOSS, a), args=[a, b, t], wrt=[a, b])
    assert gap.verify(0.3, 0.7).passed
    assert twice.verify(0.3, 0.7, 0.0).passed


z, weights = sp.MatrixSymbol("z", 2, 1), sp.MatrixSymbol("w", 2, 1)
EXTREMES = [0.0, 1.0, -745.2, 1e4, 1e4 + 3, 1e308, -1e308, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("accuracy", ["precise", "fast"])
def test_one_exponential_for_a_column_of_two(accuracy):
    f = symprop.compile(nn.cross_entropy(z, weights), args=[z, weights], wrt=[z], accuracy=accuracy)
    text = str(f.program)
    assert text.count("exp_gap(") == 1
    assert "exp(" not in text and "exp_sum(" not in text
    assert "< 1" not in text  # nothing is left of the count of the largest


@pytest.mark.parametrize("shape", [(3, 1), (1, 1)])
def test_arrays_of_other_sizes_stay(shape):
    other = sp.MatrixSymbol("z", *shape)
    assert "exp_gap" not in str(symprop.compile(nn.softmax(other), args=[other], wrt=[]).program)
    rows = nn.softmax(sp.MatrixSymbol("z", 2, 3), dim=0)
    assert "exp_gap" not in str(symprop.compile(rows, wrt=[]).program)


@pytest.mark.parametrize("target", [(0.0, 1.0), (0.25, 0.5)])
@pytest.mark.parametrize(("x", "y"), POINTS)
def test_values_of_a_column(x, y, target):
    f = symprop.compile(nn.cross_entropy(z, weights), args=[z, weights], wrt=[z])
    loss, (slopes,) = f.value_and_grad(np.array([[x], [y]]), np.array(target)[:, None])
    with mp.workdps(800):
        powers = [mp.exp(mp.mpf(v)) for v in (x, y)]
        first, second = (mp.mpf(v) for v in target)
        logs = [mp.log(p / sum(powers)) for p in powers]
        exact = [(first + second) * p / sum(powers) - v for p, v in zip(powers, (first, second), strict=True)]
        right_loss = -first * logs[0] - second * logs[1]
    assert abs(float(loss) - right_loss) <= 4e-16 * abs(right_loss)
    for found, slope in zip(slopes.ravel(), exact, strict=True):
        assert abs(float(found) - slope) <= 4e-16 * max(abs(slope), mp.mpf(10) ** -307, sum(target) / 8)


@pytest.mark.parametrize("shape", [(2, 1), (1, 2)])
def test_infinite_entries_are_those_of_the_function_as_written(shape):
    v = sp.MatrixSymbol("z", *shape)
    f = symprop.compile(nn.softmax(v), args=[v], wrt=[])
    plain = symprop.compile(nn.softmax(v), args=[v], wrt=[], accuracy="as_written")
    assert "exp_gap" in str(f.program) and "exp_gap" not in str(plain.program)
    for x in EXTREMES:
        for y in EXTREMES:
            values = np.array([x, y]).reshape(shape)
            np.testing.assert_allclose(f(values), plain(values), rtol=1e-12)


def test_a_sum_written_out_of_a_column_has_finite_slopes():
    total = sp.log(symprop.scalar(sp.ones(1, 2) * z.applyfunc(sp.exp)))
    f = symprop.compile(total, args=[z], wrt=[z])
    for x, y, slopes in [(np.inf, 1.0, (1, 0)), (-np.inf, -np.inf, (0.5, 0.5)), (np.inf, np.inf, (0.5, 0.5))]:
        _, (found,) = f.value_and_grad(np.array([[x], [y]]))
        assert tuple(map(float, found.ravel())) == slopes
    _, (found,) = f.value_and_grad(np.array([[np.nan], [1.0]]))
    assert np.isnan(found).all()
