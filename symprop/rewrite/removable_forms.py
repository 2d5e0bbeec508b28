"""Functions of one value next to a point where their formula loses digits though they are smooth there.

`cos(x)/x - sin(x)/x**2`, the slope of sin(x)/x, is -x/3 + x**3/30 - ... for small x, where its terms cancel
or overflow. Whether a formula does so is found out: what the roundings of its operations are worth is
added up at distances that get smaller and smaller, and next to zero it is computed in doubles. Where digits
are lost, a power of the distance times polynomials takes its place, as far out as they are lost: one next to
the point, and others further out, each in the distance from its own middle. They are Chebyshev interpolants
of exact values. All of it is done with mpmath, so that the same comes out on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import cosh, exp, frexp, isfinite, log, log2, sinh
from operator import mul
from typing import Any

import mpmath as mp

from symprop.rewrite.removable_loss import Formula, precision

__all__ = ["FINE", "Near", "Piece", "leading_power", "near_form"]

WANTED = 3.0  # units of 2**-53: what a formula may lose where it stands; a product of five factors loses two
USUAL = 1.5  # and so much more than it loses further out
POLYNOMIAL = 3.0  # and what the polynomial may
NODES, LONGEST = 36, 28  # of the interpolation, and coefficients of what is kept of it
PIECES = 2  # on each side, beside the one next to the point
TRIES, LEAST, MOST = 12, 0.25, 0.85  # intervals that are tried for a polynomial, and one over that before
BITS = 160  # binary digits after the point in the arithmetic of coefficients
EXACT = 56  # binary digits to which the polynomial agrees
TINY = 200  # binary digits of the distance at which the leading term stands alone
HALVED = 2  # times that an octave is, to find out how far digits are lost
CLOSE, GROWN = 36, 2.0**12  # binary digits of a distance, and the loss there that says that it grows
# next to zero, where squares underflow, if what is left is the same on both sides, and if not: beyond that
# the squares, on both sides the cubes as well, are normal numbers in single precision too
ALONE = {True: 36, False: 60}
BELOW = (-100, -240, -300, -350, -470, -530, -700, -1000)  # distances at which they are looked for


@dataclass(frozen=True)
class Piece:
    """c0 + c1*w + ... with w = distance - middle, from `start` to `stop`."""

    start: Fraction
    stop: Fraction
    middle: Fraction
    coefficients: tuple[float, ...]


@dataclass(frozen=True)
class Near:
    """distance**lead times the polynomial of the interval that the distance lies in: c0 + c1*distance**step
    + ... up to `limit` on both sides, else that of a piece. With step 2 the pieces are for the magnitude of
    the distance, else for the distance with its sign, in ascending order."""

    limit: Fraction
    lead: int
    step: int
    coefficients: tuple[float, ...]
    pieces: tuple[Piece, ...] = ()


FINE = Near(Fraction(0), 0, 1, ())


def leading_power(function: Formula, point: Fraction) -> int | None:
    """k where the function tends to c*distance**k; None where it does to no such."""
    lead, first, _ = _leading_term(function, point)
    return lead if first else None


def near_form(exact: Formula, direct: Formula, point: Fraction, power: Fraction) -> Near | None:
    """What stands for `exact` next to the point where `direct`, which is computed elsewhere, loses digits;
    `FINE` where it does not, None where the function is not smooth there or has a pole. Next to zero the
    argument is that power of a double."""
    lead, first, is_even = _leading_term(exact, point)
    if not first or lead < 0:
        return None
    unit = Fraction(2) ** (frexp(float(point))[1] if point else 0)
    sides = (1,) if is_even else (1, -1)
    if not any(_loss(direct, point, s * unit / 2**CLOSE)[0] > GROWN for s in sides):
        below = [
            s * 2.0**k
            for k in BELOW
            if not point and k >= min(float(power), 1.0) * BELOW[-1]
            for s in (1, -1)
        ]
        if not any(_is_out_of_range(direct, at, lead, first) for at in below):
            return FINE
        return Near(Fraction(1, 2 ** ALONE[is_even]), lead, 1, (float(first),))
    reach = {s: _reach(direct, point, lead, s * unit) for s in sides}
    function = _Smooth(exact, point, lead, is_even)
    limit = max(reach.values())
    for _ in range(TRIES):
        near, factor = function.fitted(-limit, limit)
        if near:
            break
        limit = _shortened(limit, factor)
    else:
        return None
    pieces: list[Piece] = []
    for side, end in reach.items():
        found = list(_pieces(function, side * limit, side * end))
        pieces = [*found[::side], *pieces] if side < 0 else found
    return Near(limit, lead, 2 if is_even else 1, near, tuple(pieces))


def _pieces(function: _Smooth, start: Fraction, end: Fraction) -> Iterator[Piece]:
    """Polynomials from `start` on to `end`, or as far as some reach."""
    for _ in range(PIECES):
        if abs(start) >= abs(end):
            return
        stop = end
        for _ in range(TRIES):
            low, high = min(start, stop), max(start, stop)
            found, factor = function.fitted(low, high)
            if found:
                yield Piece(low, high, (low + high) / 2, found)
                break
            stop = start + _shortened(stop - start, factor)
        else:
            return
        start = stop


def _shortened(value: Fraction, factor: float) -> Fraction:
    """A number of four binary digits next to the product, towards zero."""
    value *= Fraction(min(max(factor, LEAST), MOST))
    unit = Fraction(2) ** (frexp(float(value))[1] - 4)
    return int(value / unit) * unit


def _loss(direct: Formula, point: Fraction, distance: Fraction) -> tuple[float, float]:
    """What roundings are worth at that distance, and how large the value is."""
    at = mp.mpf(float(point + distance))
    with precision(_digits(float(distance))):
        loss = direct.loss(at)
        value = direct.done[-1]
        return loss, float(abs(value)) if mp.isfinite(value) else 0.0


def _reach(direct: Formula, point: Fraction, lead: int, unit: Fraction) -> Fraction:
    """The distance up to which the formula loses more than it should, on the side of `unit`. Near a zero of
    the function the values next to it are what counts."""
    distances = [unit * Fraction(2) ** k for k in range(-8, 7)]
    found = [_loss(direct, point, d) for d in distances]
    sizes = [size / abs(float(d)) ** lead for (_, size), d in zip(found, distances, strict=True)]
    losses = []
    for k, (loss, _) in enumerate(found):
        around = min(sizes[max(k - 1, 0)], sizes[min(k + 1, len(sizes) - 1)])
        losses.append(loss * min(1.0, sizes[k] / around) if around else loss)
    usual = min([x for x in losses[8:] if x], default=0.0)
    wanted = max(WANTED, USUAL * usual)
    first = next((k for k in range(len(losses)) if max(losses[k : k + 2]) <= wanted), None)
    if first is None:
        return abs(distances[-1])
    high = distances[first]
    low = high / 2
    while abs(low) > abs(unit) / 2**CLOSE and _loss(direct, point, low)[0] <= wanted:
        high, low = low, low / 2
    for _ in range(HALVED):
        middle = (low + high) / 2
        low, high = (middle, high) if _loss(direct, point, middle)[0] > wanted else (low, middle)
    return abs(high)


def _is_out_of_range(direct: Formula, at: float, lead: int, first: Any) -> bool:
    """Whether the value next to zero comes out wrong since something under- or overflows, though it is a
    normal number."""
    right = float(first * mp.mpf(at) ** lead)
    if not isfinite(right) or abs(right) < 1e-290:
        return False
    found = direct.rounded(at)
    return not abs(found - right) <= 2.0**-44 * abs(right)


def _leading_term(function: Formula, point: Fraction) -> tuple[int, Any, bool]:
    """k and c of c*distance**k, to which the function tends from both sides, and whether what is left is the
    same on both; c = 0 where it does not."""
    with precision(12 * TINY):
        near, nearer = mp.ldexp(1, -TINY), mp.ldexp(1, -TINY - 16)
        centre = _real(point)
        values = [function(centre + d) for d in (near, nearer, -nearer)]
        if not all(mp.isfinite(v) and v for v in values):
            return 0, 0, False
        first, second, other = values
        lead = round(float(mp.log(abs(first / second), 2)) / 16)
        scaled = [first / near**lead, second / nearer**lead, other / (-nearer) ** lead]
        small = mp.ldexp(1, -TINY // 2)
        if abs(lead) > 64 or any(abs(v / scaled[1] - 1) > small for v in scaled):
            return 0, 0, False
        return lead, scaled[1], bool(abs(scaled[2] / scaled[1] - 1) < mp.ldexp(1, -7 * TINY // 2))


def _digits(distance: float) -> int:
    """Binary digits with which sums that cancel at that distance have some left."""
    return 120 + 12 * max(0, 1 - frexp(distance)[1])


@lru_cache(maxsize=2)
def _nodes(count: int) -> tuple[list[Any], list[list[int]]]:
    """The Chebyshev nodes t, and cos(j*arccos(t)) for each in units of 2**-BITS."""
    with precision(BITS + 20):
        cosines = [mp.cos(mp.pi * k / (2 * count)) for k in range(4 * count)]
        whole = [int(mp.ldexp(c, BITS)) for c in cosines]
        rows = [[whole[j * (2 * i + 1) % (4 * count)] for i in range(count)] for j in range(count)]
        return [cosines[2 * i + 1] for i in range(count)], rows


class _Smooth:
    """The function over a power of the distance, and polynomials for it."""

    def __init__(self, function: Formula, point: Fraction, lead: int, is_even: bool) -> None:
        self.function, self.point, self.lead, self.is_even = function, point, lead, is_even

    def fitted(self, low: Fraction, high: Fraction) -> tuple[tuple[float, ...], float]:
        """The polynomial from low to high, by powers of the distance from the middle, or by those of its
        square; none where it does not reach all digits, and by what factor a shorter interval may do."""
        is_even = self.is_even and low == -high
        step, count = (2, 2 * NODES) if is_even else (1, NODES)
        points, cosines = _nodes(count)
        with precision(max(BITS, _digits(float(high - low) / 64))):
            middle, radius = _real((low + high) / 2), _real((high - low) / 2)
            distances = [middle + t * radius for t in points]
            values, sound = self._values(distances, low, is_even)
            if sound < 1:
                return (), 0.75 * sound
            sizes = _sizes([float(d) for d in distances], [float(abs(v)) for v in values])
            least = min(sizes)
            if not least or not isfinite(max(sizes)):
                return (), 0.5
            whole = [int(mp.ldexp(v / least, BITS)) for v in values]
        series = [0] * count  # of an even function half of the terms, and of each sum half
        for j in range(0, count, step):
            series[j] = 2 * step * sum(map(mul, whole[: count // step], cosines[j])) // count >> BITS
        series[0] //= 2
        rest, last = 0, count - 1
        while last >= 0 and rest + abs(series[last]) <= 1 << BITS - EXACT:
            rest += abs(series[last])
            last -= 1
        if last >= LONGEST * step:
            start = 0 if low == -high else -1 if low > 0 else 1
            return (), _shorter(series, LONGEST * step, is_even, start)
        with precision(BITS):
            powers = _powers(series[: last + 1])
            kept = [float(mp.ldexp(c, -BITS) * least / radius**k) for k, c in enumerate(powers)]
            coefficients = tuple(kept[::step])
            sound = 1.0
            for t, d, v, size in zip(points, distances, values, sizes, strict=True):
                w = float(d - middle)
                found, slope = _horner(coefficients, w, step)
                if abs(found - v + slope * (d - middle - w)) > POLYNOMIAL * 2.0**-53 * size:
                    sound = min(sound, float(abs(t)))
        return ((), sound) if sound < 1 else (coefficients, 1.0)

    def _values(self, distances: Sequence[Any], low: Fraction, is_even: bool) -> tuple[list[Any], float]:
        """The values, and the part of the interval in which there are some."""
        count = len(distances)
        values: list[Any] = [None] * count
        point = _real(self.point)
        symmetric = low < 0 < distances[0]
        start = mp.mpf(0) if symmetric else distances[-1] if low >= 0 else distances[0]
        order = range(count // 2) if is_even else range(count)
        whole = max(abs(d - start) for d in distances)
        for i in sorted(order, key=lambda i: abs(distances[i] - start)):
            d = distances[i]
            value = self.function(point + d)
            if not mp.isfinite(value) or not value:
                return values, float(abs(d - start) / whole) * 0.99
            values[i] = value / d**self.lead
            if is_even:
                values[count - 1 - i] = values[i]
        return values, 1.0


def _real(value: Fraction) -> Any:
    return mp.mpf(value.numerator) / value.denominator


def _sizes(distances: Sequence[float], values: Sequence[float]) -> list[float]:
    """The largest value close to each: near a zero of the function no more than its digits can be had."""
    return [
        max([v for other, v in zip(distances, values, strict=True) if abs(other - d) <= abs(d) / 4])
        for d in distances
    ]


def _shorter(series: Sequence[int], wanted: int, is_even: bool, start: int) -> float:
    """By what factor an interval is shortened so that `wanted` terms do. Terms fall by a factor that says how
    far a singular place is, and their signs say where: `start` is the side of the end that stays, 0 for the
    middle."""
    kept = series[::2] if is_even else series
    first, last = (max(abs(c) for c in part) for part in (kept[:3], kept[-6:-2]))
    span, step = len(kept) - 5, 2 if is_even else 1
    rate = log(max(first, 1) / max(last, 1)) / (span * step)
    needed = log(2) * (EXACT + max(log2(max(first, 1)) - BITS, 0)) / wanted
    signs = [c > 0 for c in kept[-10:-2]]
    alike, turning = (all(a == b ^ turned for a, b in pairwise(signs)) for turned in (False, True))
    if rate <= 0 or not (alike or turning):
        return exp(rate - needed)
    if is_even and turning:  # on the imaginary axis
        return sinh(rate) / sinh(needed)
    side = start * (1 if alike else -1)
    return (cosh(rate) - side) / (cosh(needed) - side)


def _powers(series: Sequence[int]) -> list[int]:
    """The coefficients of powers of a sum of Chebyshev polynomials."""
    total = [0] * len(series)
    before, now = [1], [0, 1]
    for k, a in enumerate(series):
        for j, c in enumerate(before):
            total[j] += a * c
        if k + 1 < len(series):
            after = [0, *[2 * c for c in now]]
            for j, c in enumerate(before):
                after[j] -= c
            before, now = now, after
    return total


def _horner(coefficients: Sequence[float], at: float, step: int) -> tuple[float, float]:
    """The value, and the slope with respect to `at`."""
    total = slope = 0.0
    u = at**step
    for c in reversed(coefficients):
        slope = total + u * slope
        total = c + u * total
    return total, slope * step * at ** (step - 1)
