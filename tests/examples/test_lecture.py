"""The numbers of the lecture, to all digits: against mpmath, never against symprop itself."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose

ULP = 2.0**-52


def relative(found: float, right: Any) -> float:
    """The relative error, computed with 50 digits."""
    with mp.workdps(50):
        return float(abs(mp.mpf(float(found)) - right) / abs(right))


def test_a_product_of_a_sum(lecture: ModuleType) -> None:
    assert lecture.product_of_sum() == (-12.0, [-4.0, -4.0, 3.0])


def test_the_neuron_to_two_digits_and_to_all(lecture: ModuleType) -> None:
    value, gradient = lecture.neuron()
    assert round(value, 2) == 0.73
    assert [round(g, 2) for g in gradient] == [-0.2, -0.39, 0.2, 0.39, -0.59]
    with mp.workdps(50):
        s = 1 / (1 + mp.exp(-1))
        slope = s * (1 - s)
        right = [s, -slope, -2 * slope, slope, 2 * slope, -3 * slope]
    for found, exact in zip([value, *gradient], right, strict=True):
        assert relative(found, exact) < 4 * ULP


def test_gates(lecture: ModuleType) -> None:
    assert lecture.gates() == {"a + b": [1.0, 1.0], "a * b": [-1.0, 3.0], "max(a, b)": [1.0, 0.0]}


def test_where_two_paths_meet_adjoints_add(lecture: ModuleType) -> None:
    value, (slope,) = lecture.converging_paths()
    with mp.workdps(50):
        at = mp.mpf(0.7)  # the float that the network is given
        right = lambda x: x**2 * mp.sin(x**2) + mp.sin(x**2) * x  # noqa: E731
        assert relative(value, right(at)) < 4 * ULP
        assert relative(slope, mp.diff(right, at)) < 4 * ULP


def exact_loss(params: list[Any], x: Any, label: int) -> Any:
    """The loss of the 3-4-4-2 network with mpmath; `params` are matrices W1, b1, W2, b2, W3, b3."""
    h = mp.matrix(x.tolist())
    for k in range(0, 6, 2):
        h = params[k] * h + params[k + 1]
        if k < 4:
            h = h.apply(mp.tanh)
    return mp.log(mp.fsum(mp.exp(v) for v in h)) - h[label]


def test_the_network_with_its_46_parameters(lecture: ModuleType) -> None:
    count, value, gradients = lecture.network()
    assert count == 46 == sum(g.size for g in gradients)
    shapes = [(4, 3), (4, 1), (4, 4), (4, 1), (2, 4), (2, 1)]
    assert [g.shape for g in gradients] == shapes
    random = np.random.default_rng(0)
    arrays = [random.normal(size=s) / 2 for s in shapes]
    x = random.normal(size=3)
    with mp.workdps(50):
        params = [mp.matrix(a.tolist()) for a in arrays]
        assert relative(value, exact_loss(params, x, 1)) < 8 * ULP
        step = mp.mpf(10) ** -16
        for param, gradient in zip(params, gradients, strict=True):
            for i, j in np.ndindex(gradient.shape):
                here = param[i, j]
                param[i, j] = here + step
                above = exact_loss(params, x, 1)
                param[i, j] = here - step
                slope = (above - exact_loss(params, x, 1)) / (2 * step)
                param[i, j] = here
                assert_allclose(gradient[i, j], float(slope), rtol=1e-13, atol=1e-16)


def test_squared_error_loses_its_gradient_and_cross_entropy_keeps_it(lecture: ModuleType) -> None:
    rows = lecture.saturation()
    assert [at for at, _, _ in rows] == [-40.0, -50.0]
    for at, square, entropy in rows:
        with mp.workdps(50):
            s = 1 / (1 + mp.exp(-mp.mpf(at)))
            assert relative(square, (s - 1) * s * (1 - s)) < 8 * ULP
            assert relative(entropy, s - 1) < ULP
        assert abs(square) < 1e-17 and entropy == -1.0


def test_what_it_prints(lecture: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    lecture.main()
    shown = capsys.readouterr().out
    for line in (
        "at x = -2, y = 5, z = -4: value -12, gradient -4, -4, 3",
        "d_z = softmax(z) - one_hot(y, 2)",
        "d_W3 = d_z*h2.T",
        "d_h2 = W3.T*d_z",
        "d_b1 = d_a",
        "The 3-4-4-2 network, 46 parameters",
        "    -40    -4.248354e-18        -1.000000",
    ):
        assert line in shown.splitlines()
