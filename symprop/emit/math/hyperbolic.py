"""sinh, cosh, asinh, acosh, atanh.

The quotients are computed from pairs: exp with its low part in the numerator and the denominator, one
division, and the remainder as a correction, so that one rounding remains. With AVX-512 sinh and cosh need no
division: exp(|x|) and exp(-|x|) are powers of two from a register times exp(r) and exp(-r), of which cosh(r)
and sinh(r) are the halves of sum and difference.
"""

from __future__ import annotations

from typing import NamedTuple

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    INF,
    NAN,
    at_most,
    bias,
    fraction_bits,
    has_native,
    is_double,
    look_up,
    mul_add,
    mul_sub,
    native,
    negative_mul_add,
    number,
    polynomial,
    power_of_two,
    whole_and_bits,
)
from symprop.emit.math.doubledouble import (
    add_pairs,
    divide_pairs,
    fast_two_sum,
    square_root_pair,
    two_product,
    two_sum,
)
from symprop.emit.math.exponential import exp_pair, expm1_parts, outwards
from symprop.emit.math.logarithm import log1p_of_pair

__all__ = [
    "acosh",
    "asinh",
    "atanh",
    "cosh",
    "sinh",
]


class Powers(NamedTuple):
    """Of x = n ln 2 + r - left: 2^n/4 and 2^-n/4 with what both lack, r without rounding errors, left,
    cosh(r - left) - 1 and what sinh(r - left) has beyond its argument."""

    high: Value
    low: Value
    both_lack: tuple[Value, Value]
    r: Value
    left: Value
    even: Value
    odd: Value


def powers(b: Builder, size: Value, rest: Value | None) -> Powers:
    """The parts of sinh and cosh of size + rest from powers of two in a register."""
    element = size.type.element
    high, low = table.POWERS[element]
    lacks = [y / z for y, z in zip(low, high, strict=True)]
    middle = number(b, size, 1.5 * 2.0 ** (fraction_bits(size.type) + 1 - len(high).bit_length()))
    shifted = mul_add(b, size, number(b, size, table.LOG2E[element][0]), middle)
    n, index = b.fsub(shifted, middle), b.bitcast(shifted, size.type.integer)
    first, second = (number(b, size, c) for c in table.LN2[element])
    r = negative_mul_add(b, n, first, size)
    left = b.fmul(n, second) if rest is None else mul_sub(b, n, second, rest)
    two = number(b, size, 2.0)
    up = native(b, "scalef", look_up(b, high, index), b.fsub(n, two))
    # of 2^-n the fraction is that of the table read backwards
    back = [high[0], *high[:0:-1]], [lacks[0], *lacks[:0:-1]]
    down = native(b, "scalef", look_up(b, back[0], index), b.fsub(b.fneg(two), n))
    missing = b.fmul(up, look_up(b, lacks, index)), b.fmul(down, look_up(b, back[1], index))
    rounded = b.fsub(r, left)
    z = b.fmul(rounded, rounded)
    even = b.fmul(z, polynomial(b, z, table.COSH_NEAR[element]))
    odd = b.fmul(b.fmul(rounded, z), polynomial(b, z, table.SINH_NEAR[element]))
    return Powers(up, down, missing, r, left, even, odd)


def near_sinh(b: Builder, size: Value, rest: Value | None) -> Value:
    """sinh(size + rest)/2: d cosh(r) + e sinh(r) of difference and sum of the powers."""
    up, down, (more, less), r, left, even, odd = powers(b, size, rest)
    difference, lost = fast_two_sum(b, up, b.fneg(down))
    total = b.fadd(up, down)
    product, error = two_product(b, total, r)
    value, under = fast_two_sum(b, difference, product)
    small = b.fadd(b.fadd(lost, b.fsub(more, less)), b.fadd(error, under))
    return b.fadd(value, mul_add(b, difference, even, mul_add(b, total, b.fsub(odd, left), small)))


def near_cosh(b: Builder, size: Value, rest: Value | None) -> Value:
    """cosh(size + rest)/2: e cosh(r) + d sinh(r) of sum and difference of the powers."""
    up, down, (more, less), r, left, even, odd = powers(b, size, rest)
    total, lost = fast_two_sum(b, up, down)
    part = b.fadd(r, b.fsub(odd, left))
    small = mul_add(b, b.fsub(up, down), part, b.fadd(lost, b.fadd(more, less)))
    return b.fadd(total, mul_add(b, total, even, small))


def sinh(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """2 (h + h/(1 + 4 h)), h = expm1(|x|)/4 as a pair; below 1.1 ULP. `rest` is what x lost when it was
    rounded."""
    rest = None if rest is None else outwards(b, x, rest)
    size = at_most(b, b.fabs(x), 710.6 if is_double(x) else 89.5)
    if has_native(b):
        half = near_sinh(b, size, rest)
        value = b.copysign(b.fadd(half, half), x)
        return b.select(b.fcmp("olt", size, number(b, x, 2.0**-28 if is_double(x) else 2.0**-13)), x, value)
    n, bits = whole_and_bits(b, size, table.LOG2E[x.type.element][0], bias(x.type) - 2)
    scale = power_of_two(b, bits, x.type)
    high, low, _ = expm1_parts(b, size, n, scale, 0.25, rest)
    high, low = fast_two_sum(b, high, low)
    # the second term is 1/4 to all digits long before 4 h can overflow
    edge = number(b, x, 2.0**60)
    large = b.fcmp("ogt", high, edge)
    part = b.select(large, edge, high), b.select(large, number(b, x, 0.0), low)
    four = number(b, x, 4.0)
    below = two_sum(b, number(b, x, 1.0), b.fmul(part[0], four))
    below = below[0], mul_add(b, part[1], four, below[1])
    ratio = divide_pairs(b, part, below)
    total, error = fast_two_sum(b, high, ratio[0])
    value = b.fadd(total, b.fadd(error, b.fadd(low, ratio[1])))
    value = b.copysign(b.fadd(value, value), x)
    small = b.fcmp("olt", size, number(b, x, 2.0**-28 if is_double(x) else 2.0**-13))
    return b.select(small, x, value)


def cosh(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """2 (e + 1/(16 e)), e = exp(|x|)/4 as a pair; below 0.9 ULP. `rest` is what x lost when it was
    rounded."""
    rest = None if rest is None else outwards(b, x, rest)
    size = at_most(b, b.fabs(x), 710.6 if is_double(x) else 89.5)
    if has_native(b):
        half = near_cosh(b, size, rest)
        return b.fadd(half, half)
    pair, bits = exp_pair(b, size, rest)
    scale = power_of_two(b, b.sub(bits, b.const(bias(x.type) + 2, bits.type)), x.type)
    high, low = (b.fmul(v, scale) for v in pair)
    inverse = b.fdiv(number(b, x, 0.0625), high)
    # 1/(high + low) = 1/high (1 - low/high)
    small = b.fmul(b.fmul(inverse, inverse), b.fmul(low, number(b, x, -16.0)))
    total, error = fast_two_sum(b, high, inverse)
    value = b.fadd(total, b.fadd(error, b.fadd(low, small)))
    return b.fadd(value, value)


def far(x: Value) -> float:
    """Beyond this 1 + x is x to all digits, and x^2 far from overflow."""
    return 2.0**60 if is_double(x) else 2.0**30


def asinh(b: Builder, x: Value) -> Value:
    """log1p(a + (sqrt(1 + a^2) - 1)), a = |x|, the argument as a pair; below 1.1 ULP."""
    size = b.fabs(x)
    large = b.fcmp("ogt", size, number(b, x, far(x)))
    zero, one = number(b, x, 0.0), number(b, x, 1.0)
    inner = b.select(large, zero, size)
    square = two_product(b, inner, inner)
    total = two_sum(b, one, square[0])
    root = square_root_pair(b, fast_two_sum(b, total[0], b.fadd(total[1], square[1])))
    # sqrt(1 + a^2) - 1 is never above a
    argument = add_pairs(b, (inner, zero), fast_two_sum(b, b.fsub(root[0], one), root[1]), larger=True)
    argument = b.select(large, size, argument[0]), b.select(large, zero, argument[1])
    value = log1p_of_pair(b, argument, b.select(large, one, zero))
    value = b.select(b.fcmp("olt", size, number(b, x, INF)), value, size)
    return b.copysign(value, x)


def acosh(b: Builder, x: Value) -> Value:
    """log1p(t + sqrt(x^2 - 1)), t = x - 1, the argument as a pair; below 1.2 ULP."""
    large = b.fcmp("ogt", x, number(b, x, far(x)))
    zero, one = number(b, x, 0.0), number(b, x, 1.0)
    two = number(b, x, 2.0)
    # 1 and what lies below are put in at the end: the root's correction divides by it
    inner = b.select(b.and_(b.fcmp("ogt", x, one), b.not_(large)), x, two)
    square = two_product(b, inner, inner)
    total = fast_two_sum(b, square[0], b.fneg(one))
    root = square_root_pair(b, fast_two_sum(b, total[0], b.fadd(total[1], square[1])))
    # x - 1 is never above sqrt(x^2 - 1)
    argument = add_pairs(b, root, fast_two_sum(b, inner, b.fneg(one)), larger=True)
    argument = b.select(large, x, argument[0]), b.select(large, zero, argument[1])
    value = log1p_of_pair(b, argument, b.select(large, one, zero))
    value = b.select(b.fcmp("olt", x, number(b, x, INF)), value, x)
    edge = b.select(b.fcmp("oeq", x, one), zero, number(b, x, NAN))
    return b.select(b.fcmp("ogt", x, one), value, edge)


def atanh(b: Builder, x: Value) -> Value:
    """log1p(2 a/(1 - a))/2, a = |x|, the quotient as a pair; below 1.1 ULP."""
    size = b.fabs(x)
    zero, one = number(b, x, 0.0), number(b, x, 1.0)
    inside = b.fcmp("olt", size, one)
    inner = b.select(inside, size, zero)
    ratio = divide_pairs(b, (b.fadd(inner, inner), zero), fast_two_sum(b, one, b.fneg(inner)))
    value = b.fmul(log1p_of_pair(b, ratio), number(b, x, 0.5))
    edge = b.select(b.fcmp("oeq", size, one), number(b, x, INF), number(b, x, NAN))
    return b.copysign(b.select(inside, value, edge), x)
