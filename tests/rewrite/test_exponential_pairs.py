"""Two exponentials less the larger exponent become one."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop

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
