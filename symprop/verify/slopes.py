"""The slope of a function of one variable at zero, by finite differences that know their own error.

With 50 digits a step of 1e-11 leaves a truncation error of some 1e-22 and a rounding error of some 1e-39:
central differences with one Richardson extrapolation are far more exact than any rule that they are to check.
What can go wrong is not smooth: a kink at the point, a kink inside the step, the border of the domain. The
slopes of the two sides tell these apart: their difference is proportional to the step where the function is
smooth, and does not shrink where there is a kink. Working digits grow with every step that is made smaller,
and where a small derivative would drown in rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp

__all__ = ["Slope", "slope"]

STEP = -36  # the first step is 2**-36
_SHRINK = 20  # binary digits by which a step shrinks
_DIGITS = 50
_MOST_DIGITS = 800
_ATTEMPTS = 16
_ALONE = "the target is finite at the point alone"
_JUMPS = "the function jumps"
_RELATIVE = mp.mpf(10) ** -9  # wanted accuracy: three digits below the smallest fault that must be seen
_AT_POINT = -80  # a kink that is still inside a step of 2**-80 is at the point
_AT_JUMP = -400  # a jump, or the border of a domain, is told from a pole beside the point by a smaller step


@dataclass(frozen=True)
class Slope:
    """A derivative with its error estimate; `left` and `right` are the one-sided slopes.

    `kink`: the one-sided slopes differ (`error` is then theirs, and `value` their mean). `met` is a step
    within which a kink was met and which was therefore made smaller. `finite` is false where the function has
    no value at the point, or on neither side of it. Where the function jumps, a slope that includes the jump
    is infinite, and `beside` are the slopes on both sides of it, without the value at the point.
    """

    value: Any
    error: Any
    left: Any
    right: Any
    kink: bool = False
    met: Any = None
    step: Any = None
    digits: int = _DIGITS
    finite: bool = True
    note: str = ""
    beside: tuple[Any, ...] = ()

    @property
    def smooth(self) -> bool:
        """Whether there is one finite slope."""
        return self.finite and not self.kink


def slope(
    phi: Callable[[Any, int], Any],
    noise: Callable[[int], Any],
    size: Any,
    floor: Any = 0,
    start: int = STEP,
    digits: int = _DIGITS,
    least: int = 0,
) -> Slope:
    """The derivative of `phi(t, digits)` at t = 0, wanted to nine digits of the larger of it, `size` and
    `floor`.

    `noise(digits)` is the rounding error of phi at that many digits. A derivative that stays below its own
    error is returned with it. `least` is the binary exponent of the smallest number that is moved: before a
    function is said to jump, to have a kink or to end at the point, a step far below that number is tried
    (near zero the pole of a logarithm looks like any of these).
    """
    binary, met, failures, growth = start, None, 0, mp.mpf(1)
    deepest = least + STEP  # of the binary exponents of steps
    nan = mp.mpf("nan")
    result = Slope(nan, nan, nan, nan, finite=False)
    for _attempt in range(_ATTEMPTS):
        with mp.workdps(digits):
            h = mp.ldexp(1, binary)
            centre = phi(mp.mpf(0), digits)
            if not mp.isfinite(centre):
                return Slope(
                    nan, nan, nan, nan, finite=False, note=f"the target is {mp.nstr(centre)} at the point"
                )
            values = [phi(t, digits) for t in (h, -h, h / 2, -h / 2)]
            sides = [all(mp.isfinite(v) for v in values[k::2]) for k in (0, 1)]
            right, right_error = _one_side(values[0] - centre, values[2] - centre, h)
            left, left_error = _one_side(centre - values[1], centre - values[3], h)
            if not all(sides):
                failures += 1
                if failures < 4:
                    binary, digits = binary - _SHRINK, digits + 6
                    continue
                nearest = min(_AT_JUMP, deepest)
                if binary > nearest:
                    binary, digits = nearest, max(digits, _digits_for(nearest))
                    continue
                if not any(sides):
                    return Slope(nan, nan, nan, nan, finite=False, note=_ALONE)
                side = (right, right_error) if sides[0] else (left, left_error)
                return _border(*side, h, digits)
            largest = max(abs(v) for v in values)  # beside a zero of phi they are far larger than phi there
            rounding = 8 * (noise(digits) + largest * mp.mpf(10) ** -digits) / h
            coarse, fine = (values[0] - values[1]) / (2 * h), (values[2] - values[3]) / h
            value, truncation = (4 * fine - coarse) / 3, abs(coarse - fine)
            error = truncation + rounding
            jump = (values[0] - 2 * centre + values[1]) / h
            half_jump = 2 * (values[2] - 2 * centre + values[3]) / h
            if abs(half_jump) > 64 * rounding and abs(half_jump) > 0.75 * abs(jump):
                jumps = abs(half_jump) > 1.5 * abs(jump)  # a step of the function itself: slopes grow as 1/h
                nearest = min(_AT_JUMP if jumps else _AT_POINT, deepest)
                if binary > nearest:
                    met = h if met is None else met
                    binary, digits = nearest, max(digits, _digits_for(nearest))
                    continue
                return Slope(
                    (left + right) / 2,
                    rounding + (max(left_error, right_error) if not jumps else 0),
                    _infinite(left, values[3], centre, -1) if jumps else left,
                    _infinite(right, values[2], centre, 1) if jumps else right,
                    kink=True,
                    met=met or h,
                    step=h,
                    digits=digits,
                    note=_JUMPS if jumps else "",
                    beside=_beside(values, h) if jumps else (),
                )
            growth = abs(fine) / abs(coarse) if abs(coarse) > 64 * rounding else mp.mpf(1)
            if 1.9 < growth < 2.1:  # differences that grow as 1/h: a jump that passes through its middle
                met = h if met is None else met
                nearest = min(_AT_JUMP, deepest)
                if binary > nearest:
                    binary, digits = nearest, max(digits, _digits_for(nearest))
                    continue
                return _vertical(value, met, h, digits, _JUMPS, _beside(values, h), rounding)
            result = Slope(value, error, left, right, met=met, step=h, digits=digits)
            wanted = _RELATIVE * max(abs(value), abs(size), abs(floor))
            if error <= wanted or (size == 0 and abs(value) <= error):
                return result
            if truncation > rounding:
                met = h if met is None else met
                binary, digits = binary - _SHRINK, digits + 6
            elif 2 * digits <= _MOST_DIGITS:
                digits *= 2
            else:
                return result
    if growth > 1.2 and binary > deepest:
        return slope(phi, noise, size, floor, deepest, _digits_for(deepest))
    if growth > 1.2:
        return _vertical(result.value, met, result.step, result.digits, "the slope is infinite")
    return result


def _digits_for(binary: int) -> int:
    """Digits with which a step of 2**binary leaves as many as the first step."""
    return _DIGITS - binary * 3 // 10


def _beside(values: Any, h: Any) -> tuple[Any, Any]:
    """The slopes to the left and to the right of the point, without the value at it."""
    right, left, half_right, half_left = values
    return 2 * (half_left - left) / h, 2 * (right - half_right) / h


def _vertical(
    value: Any,
    met: Any,
    step: Any,
    digits: int,
    note: str,
    beside: tuple[Any, ...] = (),
    error: Any = 0,
) -> Slope:
    infinite = mp.sign(value) * mp.inf
    return Slope(
        infinite,
        mp.mpf(error),
        infinite,
        infinite,
        kink=True,
        met=met,
        step=step,
        digits=digits,
        note=note,
        beside=beside,
    )


def _one_side(whole: Any, half: Any, h: Any) -> tuple[Any, Any]:
    coarse, fine = whole / h, 2 * half / h
    return 2 * fine - coarse, abs(fine - coarse)


def _infinite(value: Any, end: Any, centre: Any, side: int) -> Any:
    """An infinite one-sided slope where the function jumps on that side."""
    change = (end - centre) * side
    return value if abs(value) < 1 or change == 0 else mp.sign(change) * mp.inf


def _border(one: Any, error: Any, h: Any, digits: int) -> Slope:
    """At the border of the domain only one side has a slope; it may be infinite, or a zero reached slowly."""
    if error > abs(one) / 8:  # fine - coarse is a part of the slope itself: it goes as a power of the step
        infinite = mp.sign(one) * mp.inf
        one, error = (infinite, mp.mpf(0)) if abs(one) > 1 else (mp.mpf(0), abs(one) + error)
    note = "the point is on the border of the domain"
    return Slope(one, error, one, one, kink=True, met=h, step=h, digits=digits, note=note)
