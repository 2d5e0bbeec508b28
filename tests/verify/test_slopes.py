"""The finite difference of one variable: smooth functions, kinks at and beside the point, borders, jumps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import pytest

from symprop.verify.slopes import Slope, slope

# name, function, point, derivative
SMOOTH: list[tuple[str, Callable[[Any], Any], float, Callable[[Any], Any]]] = [
    ("exp", mp.exp, 0.3, mp.exp),
    ("rational", lambda x: 1 / (1 + x * x), -1.7, lambda x: -2 * x / (1 + x * x) ** 2),
    ("steep", lambda x: mp.exp(1e6 * x), 1e-7, lambda x: 1e6 * mp.exp(1e6 * x)),
    ("fast", lambda x: mp.sin(1e9 * x), 0.1, lambda x: 1e9 * mp.cos(1e9 * x)),
    ("flat", mp.tanh, 60.0, lambda x: mp.sech(x) ** 2),
    ("flatter", mp.tanh, 200.0, lambda x: mp.sech(x) ** 2),
    ("near a pole", lambda x: mp.log(x) if x > 0 else mp.nan, 1e-20, lambda x: 1 / x),
    ("nearer a pole", lambda x: 1 / x, 1e-30, lambda x: -1 / x**2),
    ("large", lambda x: x**3, 1e12, lambda x: 3 * x**2),
    ("offset", lambda x: 1e30 + x, 0.1, lambda x: mp.mpf(1)),
    ("zero slope", lambda x: x**2, 0.0, lambda x: 2 * x),
    ("zero slope of third order", lambda x: x**3, 0.0, lambda x: 3 * x**2),
    ("constant", lambda x: mp.mpf(3), 0.5, lambda x: mp.mpf(0)),
]


def run(function: Callable[[Any], Any], point: float, size: Any = 0) -> Slope:
    def phi(t: Any, digits: int) -> Any:
        with mp.workdps(digits):
            return mp.mpf(function(mp.mpf(point) + t))

    def noise(digits: int) -> Any:
        return abs(phi(mp.mpf(0), digits)) * mp.mpf(10) ** -digits

    return slope(phi, noise, size)


@pytest.mark.parametrize(("name", "function", "point", "derivative"), SMOOTH)
def test_a_smooth_slope_is_within_its_error_and_to_nine_digits(
    name: str, function: Any, point: float, derivative: Any
) -> None:
    with mp.workdps(400):
        expected = derivative(mp.mpf(point))
    found = run(function, point, abs(expected))
    assert found.finite and not found.kink
    with mp.workdps(60):
        assert abs(found.value - expected) <= found.error + mp.mpf(10) ** -30 * abs(expected)
        assert found.error <= mp.mpf(10) ** -9 * abs(expected) or (expected == 0 and found.error < 1e-10)


@pytest.mark.parametrize(
    ("function", "left", "right"),
    [
        (abs, -1, 1),
        (lambda x: max(x, mp.mpf(0)), 0, 1),
        (lambda x: mp.sin(x) + 1e-9 * abs(x), 1 - 1e-9, 1 + 1e-9),
        (lambda x: mp.exp(x) if x < 0 else 1 - 2 * x, 1, -2),
        (lambda x: abs(x) ** 3 + 3 * max(x, mp.mpf(0)), 0, 3),
    ],
)
def test_a_kink_at_the_point_gives_both_slopes(function: Any, left: float, right: float) -> None:
    found = run(function, 0.0)
    assert found.kink
    assert abs(found.left - left) < 1e-15 and abs(found.right - right) < 1e-15
    assert found.error < 1e-15


@pytest.mark.parametrize("distance", [1e-9, 3e-12, 1e-15, 1e-20])
def test_a_kink_beside_the_point_makes_the_step_smaller(distance: float) -> None:
    found = run(lambda x: abs(x - distance) + x**2, 0.0, 1)
    assert not found.kink
    assert abs(found.value + 1) < 1e-9
    assert (found.met is not None) is (distance < 2e-11)
    assert found.step < distance


def test_jumps_and_borders_have_infinite_or_one_sided_slopes() -> None:
    stairs = run(mp.floor, 2.0)
    assert stairs.kink and stairs.left == mp.inf and abs(stairs.right) < 1e-20
    signs = run(mp.sign, 0.0)
    assert signs.kink and signs.left == signs.right == mp.inf
    root = run(lambda x: mp.sqrt(x) if x >= 0 else mp.nan, 0.0)
    assert root.kink and root.right == mp.inf
    steep = run(lambda x: mp.sign(x) * mp.cbrt(abs(x)), 0.0)
    assert steep.kink and steep.left == steep.right == mp.inf
    smooth_root = run(lambda x: x * mp.sqrt(x) if x >= 0 else mp.nan, 0.0)
    assert smooth_root.kink and abs(smooth_root.right) < 1e-8


def test_no_value_is_no_slope() -> None:
    assert not run(lambda x: mp.nan, 0.0).finite
    assert not run(lambda x: mp.mpf(1) if x == 0 else mp.nan, 0.0).finite
