"""exp(-x^2/2), exp(-x^2), and what lies under them: the normal distribution and erfc.

The gradient of `gelu` needs both at the same x, that of `erfc` too: the exponential is written once for both.
The square is exact (a pair), and so is nearly everything that follows, so that all tails keep their digits.
Coefficients: `coefficients.py`, with AVX-512 `bell_pieces.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from symprop.emit.builder import Builder, Value
from symprop.emit.math import bell_pieces as rows
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    at_most,
    estrin,
    fraction_bits,
    has_native,
    is_double,
    look_up,
    mul_add,
    negative_mul_add,
    number,
    polynomial,
    scaled,
)
from symprop.emit.math.doubledouble import Pair, fast_two_sum, product_plus, remainder, two_product
from symprop.emit.math.exponential import outwards, power_pair
from symprop.emit.math.logistic import correction, product_and

__all__ = ["bell_of", "erfc", "normal_cdf"]


class Bell(NamedTuple):
    """exp(-x^2/2) or exp(-x^2) as 2^n times a pair; `size` is |x|, or a number beyond which that is zero."""

    size: Value
    value: Pair
    exponent: Value  # n as `scaled` takes it


def bell(b: Builder, x: Value, half: bool, rest: Value | None = None) -> Bell:
    """exp(-x^2/2), or without `half` exp(-x^2), in parts, error 2^-55 relative; of x + rest, where a rest is
    given."""
    name = "half a square" if half else "square"
    return b.once(f"exp less {name}", x, lambda: write_bell(b, x, half, rest), even=True, rest=rest)


def write_bell(b: Builder, x: Value, half: bool, rest: Value | None) -> Bell:
    ends = (39.0, 27.5) if is_double(x) else (14.75, 10.4)
    size = at_most(b, b.fabs(x), ends[0 if half else 1])
    part = b.fmul(size, number(b, x, 0.5)) if half else size
    square, error = two_product(b, size, part)
    if rest is not None:
        slope = size if half else b.fadd(size, size)
        error = mul_add(b, slope, outwards(b, x, rest), error)
    value, exponent = power_pair(b, b.fneg(square), error)
    return Bell(size, value, exponent)


def bell_of(b: Builder, x: Value, half: bool) -> Value:
    """exp(-x^2/2), or without `half` exp(-x^2); below 1 ULP."""
    known = bell(b, x, half)
    return scaled(b, b.fadd(*known.value), known.exponent)


class Under(NamedTuple):
    """(middle + series(t))/(1 + |x|) with t = (|x| - near)/(|x| + near): what is under a bell from |x| to
    infinity, over its height at |x|."""

    middle: float
    near: float
    series: Sequence[float]
    shift: float  # the same as u (value + d SLOPE(d)), u = 1/(|x| + shift), d the distance to a middle
    rows: Sequence[Sequence[float]]  # value, what that lacks, SLOPE, for each middle
    careful: bool = False  # the roundings of t and of the end of the series would count


def looked_up_tail(b: Builder, known: Bell, under: Under) -> Value:
    """`tail` with polynomials from registers: half the terms, and one division."""
    size, power, exponent = known
    one, shift = number(b, size, 1.0), number(b, size, under.shift)
    below = fast_two_sum(b, shift, size)  # exact for a large size too: the sum less the shift is
    u, error = correction(b, below, b.fdiv(one, below[0]))
    places = len(under.rows[0])
    middle = number(b, size, 1.5 * 2.0 ** fraction_bits(size.type) / (under.shift * places))
    shifted = b.fadd(u, middle)
    d, index = b.fsub(u, b.fsub(shifted, middle)), b.bitcast(shifted, size.type.integer)
    value, lacks, *others = (look_up(b, row, index) for row in under.rows)
    slope = estrin(b, d, others)
    factor, low = product_plus(b, d, slope, (value, lacks))
    # the error of u counts as a factor, and for the polynomial, whose derivative is nearly the slope
    low = mul_add(b, error, mul_add(b, u, slope, factor), low)
    high, rest = two_product(b, power[0], u)
    rest = mul_add(b, high, low, b.fmul(factor, mul_add(b, power[1], u, rest)))
    return scaled(b, product_and(b, high, factor, rest), exponent)


def tail(b: Builder, known: Bell, under: Under) -> Value:
    """What is under a bell beyond |x|, subnormal where it must be."""
    if has_native(b):
        return looked_up_tail(b, known, under)
    size, power, exponent = known
    one = number(b, size, 1.0)
    # (y - near)/(y + near), in the way that rounds least next to -1, where the series is steep
    near, middle = number(b, size, under.near), number(b, size, under.middle)
    smaller = at_most(b, size, under.near) if under.careful else size
    t = b.fdiv(smaller, b.fadd(size, near))
    t = mul_add(b, t, number(b, size, 2.0), number(b, size, -1.0))
    if under.careful:
        t = b.copysign(t, b.fsub(size, near))  # 1 - 2 near/(y + near) rounds less beyond near
        first, second, *others = (number(b, size, c) for c in under.series)
        slope = mul_add(b, t, polynomial(b, t, others), second)
        factor = product_plus(b, t, slope, fast_two_sum(b, middle, first), exact=True)
    else:
        factor = fast_two_sum(b, middle, polynomial(b, t, under.series))
    below = fast_two_sum(b, one, size)  # exact for a large size too: the sum less 1 is
    inverse = b.fdiv(one, below[0])
    ratio = b.fmul(factor[0], inverse)
    missing = b.fsub(factor[1], remainder(b, ratio, below[0], factor[0]))
    missing = b.fmul(negative_mul_add(b, ratio, below[1], missing), inverse)
    value = product_and(b, power[0], ratio, mul_add(b, power[1], ratio, b.fmul(power[0], missing)))
    return scaled(b, value, exponent)


def normal_cdf(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """The normal distribution: exp(-x^2/2) (0.46875 + CDF(t))/(1 + |x|) below zero, t = (|x| - 5)/(|x| + 5),
    and one less that above; below 1.5 ULP in both tails, with AVX-512 1.1."""
    under = Under(0.46875, 5.0, table.CDF[x.type.element], 4.0, rows.CDF[x.type.element])
    outside = tail(b, bell(b, x, True, rest), under)
    negative = b.fcmp("olt", x, number(b, x, 0.0))
    return b.select(negative, outside, b.fsub(number(b, x, 1.0), outside))


def erfc(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """1 - erf(x): exp(-x^2) (0.75 + ERFC(t))/(1 + |x|) above zero, t = (|x| - near)/(|x| + near) with near 3
    (float32: 2), and two less that below; below 1.4 ULP (float32: 1.5) in both tails, with AVX-512 0.9.
    `rest` is what x lost when it was rounded."""
    near, series = 3.0 if is_double(x) else 2.0, table.ERFC[x.type.element]
    under = Under(0.75, near, series, 2.0, rows.ERFC[x.type.element], careful=True)
    outside = tail(b, bell(b, x, False, rest), under)
    negative = b.fcmp("olt", x, number(b, x, 0.0))
    return b.select(negative, b.fsub(number(b, x, 2.0), outside), outside)
