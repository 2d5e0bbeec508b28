"""exp and its kin: exp, exp2, expm1 and the exponential of a pair.

Method: n = round(x / ln 2), r = x - n ln 2 in two steps (the first exact: the high part of ln 2 has 42 bits,
15 for float32), exp(r) = 1 + r + r^2 EXP(r) by a polynomial fitted on |r| <= ln(2)/2, then a scaling by 2^n
in two steps, so that overflow and subnormal results come out rounded once. With AVX-512 n is a multiple of
1/8 (float32: 1/16): 1 + r + r^2 EXP_NEAR(r) is multiplied by 2^(n - floor(n)) of a table in a register and by
2^floor(n), a shorter chain of operations. EXP_SHORT has a term less, an error of 2^-57. The polynomials and
constants: `coefficients.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    at_least,
    at_most,
    bias,
    estrin,
    fraction_bits,
    has_native,
    is_double,
    look_up,
    mul_add,
    negative_mul_add,
    number,
    polynomial,
    power_of_two,
    scaled,
    whole_and_bits,
)
from symprop.emit.math.doubledouble import Pair, fast_two_sum, product_plus, two_product

__all__ = ["exp", "exp2", "exp_pair", "expm1", "expm1_pair"]
__all__ += ["near", "outwards", "power", "power_pair", "small_rest"]


def reduce(b: Builder, x: Value, n: Value, less: Value | None = None) -> Value:
    """x - less - n ln 2, rounded once; `less` is far below x."""
    high, low = (number(b, x, c) for c in table.LN2[x.type.element])
    rest = negative_mul_add(b, n, high, x)
    if less is None:
        return negative_mul_add(b, n, low, rest)
    return b.fsub(rest, mul_add(b, n, low, less))


def reduce_pair(b: Builder, x: Value, n: Value) -> Pair:
    """x - n ln 2 and the rounding error of it."""
    high, low = table.LN2[x.type.element]
    first = negative_mul_add(b, n, number(b, x, high), x)
    second = number(b, x, low)
    rest = negative_mul_add(b, n, second, first)
    return rest, negative_mul_add(b, n, second, b.fsub(first, rest))


class Near(NamedTuple):
    """exp(x) = 2^exponent (high + low) (1 + r + square series): a power of two from 1 to 2, a number next to
    1."""

    high: Value
    low: Value
    r: Value
    square: Value
    series: Value
    exponent: Value


def near(b: Builder, x: Value, less: Value | None = None, relative: bool = False) -> Near:
    """The parts of exp(x - less) on processors that look up powers of two in a register: eight (float32:
    sixteen) of them leave a short polynomial. `less` is far below x; `relative` asks for all digits of
    exp(r) - 1, and leaves the low part of ln 2 out of r."""
    element, digits = x.type.element, fraction_bits(x.type)
    high, low = table.POWERS[element]
    middle = number(b, x, 1.5 * 2.0 ** (digits + 1 - len(high).bit_length()))
    shifted = mul_add(b, x, number(b, x, table.LOG2E[element][0]), middle)
    n = b.fsub(shifted, middle)  # a multiple of 1/8
    index = b.bitcast(shifted, x.type.integer)
    ln2 = number(b, x, table.LN2[element][0])
    r = negative_mul_add(b, n, ln2, x) if relative else reduce(b, x, n, less)
    terms = table.EXPM1_NEAR if relative else table.EXP_NEAR
    series = estrin(b, r, terms[element])
    return Near(look_up(b, high, index), look_up(b, low, index), r, b.fmul(r, r), series, n)


def power_pair(b: Builder, x: Value, less: Value | None = None) -> tuple[Pair, Value]:
    """exp(x - less) / 2^n as a pair, error 2^-55 relative, and n as `scaled` takes it; `less` is far below
    x."""
    if has_native(b):
        high, low, r, square, series, exponent = near(b, x, less)
        p = mul_add(b, square, series, r)
        return product_plus(b, high, p, (high, low)), exponent
    n, bits = whole_and_bits(b, x, table.LOG2E[x.type.element][0], 2 * bias(x.type))
    r = reduce(b, x, n, less)
    start = fast_two_sum(b, number(b, x, 1.0), r)
    series = estrin(b, r, table.EXP_SHORT[x.type.element])
    return product_plus(b, b.fmul(r, r), series, start), bits


def power(b: Builder, x: Value, more: Value | None = None) -> Value:
    """exp(x + more), below 1 ULP, of an x in the range where that is a number; `more` is far below x."""
    less = None if more is None else b.fneg(more)
    if has_native(b):
        high, low, r, square, series, exponent = near(b, x, less)
        p = mul_add(b, square, series, r)
        return scaled(b, b.fadd(high, mul_add(b, high, p, low)), exponent)
    n, bits = whole_and_bits(b, x, table.LOG2E[x.type.element][0], 2 * bias(x.type))
    r = reduce(b, x, n, less)
    part = mul_add(b, b.fmul(r, r), estrin(b, r, table.EXP_SHORT[x.type.element]), r)
    return scaled(b, part, bits, plus_one=True)


def small_rest(b: Builder, rest: Value) -> Value:
    """What an argument lost when it was rounded, from -1 to 1: where it is no small number, the argument is
    infinite, or far beyond the limits."""
    one = number(b, rest, 1.0)
    return at_least(b, b.select(b.fcmp("olt", rest, one), rest, one), -1.0)


def outwards(b: Builder, x: Value, rest: Value) -> Value:
    """|x + rest| - |x|, rest what x lost when it was rounded."""
    bits = b.bitcast(x, x.type.integer)
    sign = b.and_(bits, b.const(-(2 ** (63 if is_double(x) else 31)), bits.type))
    return small_rest(b, b.bitcast(b.xor(b.bitcast(rest, bits.type), sign), x.type))


def tail(b: Builder, r: Value) -> Value:
    """exp(r) - 1 - r for |r| <= ln(2)/2."""
    return b.fmul(b.fmul(r, r), polynomial(b, r, table.EXP[r.type.element]))


def exp(b: Builder, x: Value) -> Value:
    """exp(x), below 1 ULP."""
    x = (
        at_least(b, at_most(b, x, 710.0), -746.0)
        if is_double(x)
        else at_least(b, at_most(b, x, 89.0), -104.0)
    )
    return power(b, x)


def exp2(b: Builder, x: Value) -> Value:
    """2^x: r = (x - n) ln 2 with its rounding error; below 0.8 ULP, exact for whole x."""
    top, bottom = (1025.0, -1076.0) if is_double(x) else (129.0, -151.0)
    x = at_least(b, at_most(b, x, top), bottom)
    n, bits = whole_and_bits(b, x, 1.0, 2 * bias(x.type))
    high, low = (number(b, x, c) for c in table.LN2_PAIR[x.type.element])
    rest = b.fsub(x, n)
    r, error = two_product(b, rest, high)
    total, lost = fast_two_sum(b, number(b, x, 1.0), r)
    small = b.fadd(mul_add(b, rest, low, error), tail(b, r))
    return scaled(b, b.fadd(total, b.fadd(lost, small)), bits)


def exp_pair(b: Builder, x: Value, extra: Value | None = None) -> tuple[Pair, Value]:
    """exp(x + extra) / 2^n as a pair in 0.7 .. 1.42, error 2^-59 relative, and n + 2 bias as bits.

    `extra` is a correction of x below 2^-40 (2^-14 for float32). x must lie in the range of `exp`.
    """
    n, bits = whole_and_bits(b, x, table.LOG2E[x.type.element][0], 2 * bias(x.type))
    r, low = reduce_pair(b, x, n)
    high, error = fast_two_sum(b, number(b, x, 1.0), r)
    part = tail(b, r)
    # exp(r + low) = exp(r) + low exp(r); for a rounding error as low 1 + r is enough for the second exp(r)
    slope = high
    if extra is not None:
        low, slope = b.fadd(low, extra), b.fadd(high, part)
    return fast_two_sum(b, high, mul_add(b, low, slope, b.fadd(error, part))), bits


def expm1_pair(b: Builder, x: Value) -> Pair:
    """exp(x) - 1 as a pair, error 2^-58 relative, for -45 <= x <= 709 (float32: -20 .. 88)."""
    n, bits = whole_and_bits(b, x, table.LOG2E[x.type.element][0], bias(x.type))
    high, low, lost = expm1_parts(b, x, n, power_of_two(b, bits, x.type))
    return fast_two_sum(b, high, b.fadd(low, lost))


def expm1_parts(
    b: Builder, x: Value, n: Value, scale: Value, unit: float = 1.0, rest: Value | None = None
) -> tuple[Value, Value, Value]:
    """scale exp(r) - unit, r = x + rest - n ln 2: the leading sum, the small parts, and what the sum leaves
    out. `rest` is what x lost when it was rounded.

    The leading sum is (scale - unit) + scale r; the last value is the error of scale - unit where scale is
    below the last place of unit.
    """
    r, low = reduce_pair(b, x, n)
    part, one = tail(b, r), number(b, x, unit)
    if rest is not None:  # exp(r + rest) = exp(r) + rest exp(r)
        low = mul_add(b, rest, b.fadd(number(b, x, 1.0), b.fadd(r, part)), low)
    small = b.fadd(low, part)
    base = b.fsub(scale, one)
    high, error = fast_two_sum(b, base, b.fmul(scale, r))
    return high, mul_add(b, scale, small, error), b.fsub(scale, b.fadd(base, one))


def expm1(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """exp(x) - 1: 2^n (exp(r) - 1) + (2^n - 1), summed with the error of the leading sum; below 1.1 ULP.
    `rest` is what x lost when it was rounded."""
    start = x
    rest = None if rest is None else small_rest(b, rest)
    x = at_least(b, at_most(b, x, 710.0), -45.0) if is_double(x) else at_least(b, at_most(b, x, 89.0), -20.0)
    n, bits = whole_and_bits(b, x, table.LOG2E[x.type.element][0], bias(x.type))
    # the largest exponent of a result does not fit one factor: the last factor 2 is taken apart
    top = b.fcmp("ogt", n, number(b, x, float(bias(x.type))))
    bits = b.select(top, b.sub(bits, b.const(1, bits.type)), bits)
    high, low, _ = expm1_parts(b, x, n, power_of_two(b, bits, x.type), rest=rest)
    total = b.fmul(b.fadd(high, low), b.select(top, number(b, x, 2.0), number(b, x, 1.0)))
    return b.copysign(total, start)
