"""erf, erfc and the normal distribution function.

erf: a polynomial in x^2, shifted, up to 1, beyond it 1 - 2^(p - 3) of a polynomial p. erfc and normal_cdf:
exp(-y^2) as a pair, exact also in the far tail, times a polynomial in t = (y - a)/(y + a) over 1 + 2y or
1 + y. Coefficients: `coefficients.py`.
"""

from __future__ import annotations

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    at_most,
    bias,
    is_double,
    mul_add,
    negative_mul_add,
    number,
    polynomial,
    power_of_two,
    scaled,
    through_double,
    whole_and_bits,
)
from symprop.emit.math.doubledouble import (
    Pair,
    divide_pairs,
    fast_two_sum,
    fused,
    multiply_pairs,
    two_product,
    two_sum,
)
from symprop.emit.math.exponential import exp_pair, outwards

__all__ = ["erf", "erfc"]


def erf(b: Builder, x: Value) -> Value:
    """The error function: x + x ERF_SMALL(x^2 - ERF_MIDDLE) up to 1, else
    1 - 2^(ERF_LARGE(|x| - 1) - 3)."""
    element, one = x.type.element, number(b, x, 1.0)
    # the result is 1 from 5.93 (float32: 3.92) on
    size = at_most(b, b.fabs(x), 5.95 if is_double(x) else 3.95)
    first, *others = table.ERF_SMALL[element]
    shifted = fused(b, size, size, number(b, x, -table.ERF_MIDDLE))
    part = fused(b, shifted, polynomial(b, shifted, others), number(b, x, first))
    near = fused(b, size, part, size)
    power = polynomial(b, b.fsub(size, one), table.ERF_LARGE[element])
    n, bits = whole_and_bits(b, power, 1.0, bias(x.type) - 3)
    r = b.fsub(power, n)
    fraction = mul_add(b, r, polynomial(b, r, table.EXP2[element]), one)
    far = negative_mul_add(b, fraction, power_of_two(b, bits, x.type), one)
    return b.copysign(b.select(b.fcmp("olt", size, one), near, far), x)


def scaled_tail(b: Builder, square: Pair, factor: Pair, size: Value) -> Value:
    """exp(-square) factor / (1 + size), right down to subnormal results."""
    power, bits = exp_pair(b, b.fneg(square[0]), b.fneg(square[1]))
    below = two_sum(b, number(b, size, 1.0), size)
    result = divide_pairs(b, multiply_pairs(b, power, factor), below)
    return scaled(b, b.fadd(*result), bits)


def shifted_ratio(b: Builder, y: Value, near: float) -> Value:
    """(y - near)/(y + near)"""
    place = number(b, y, near)
    return b.fdiv(b.fsub(y, place), b.fadd(y, place))


def erfc_tail(b: Builder, y: Value, rest: Value | None) -> Value:
    """erfc(y + rest) for y >= 1/2."""
    y = at_most(b, y, 27.5)
    factor = fast_two_sum(b, number(b, y, 1.1875), polynomial(b, shifted_ratio(b, y, 3.5), table.ERFC))
    square, error = two_product(b, y, y)
    twice = b.fadd(y, y)
    error = error if rest is None else mul_add(b, twice, rest, error)
    return scaled_tail(b, (square, error), factor, twice)


def erfc(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """1 - erf(x), below 1 ULP in the tail, subnormal results included. `rest` is what x lost when it was
    rounded."""
    if not is_double(x):
        return through_double(b, erfc, x, *([] if rest is None else [rest]))
    size = b.fabs(x)
    tail = erfc_tail(b, size, None if rest is None else outwards(b, x, rest))
    z = b.fmul(x, x)
    one = number(b, x, 1.0)
    high, low = fast_two_sum(b, one, b.fneg(x))
    near = b.fadd(high, b.fsub(low, b.fmul(x, polynomial(b, z, table.ERF_NEAR))))
    far = b.select(b.fcmp("olt", x, number(b, x, 0.0)), b.fsub(number(b, x, 2.0), tail), tail)
    return b.select(b.fcmp("olt", size, number(b, x, 0.5)), near, far)
