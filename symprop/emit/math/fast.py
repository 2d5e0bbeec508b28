"""The quicker elementary functions of `accuracy="fast"`: shorter polynomials and few pairs, at most 4 ULP.

The same reductions and special values as in the other modules, over the whole range, subnormal results
included. What is not here is not quicker in another way. Coefficients: `fast_coefficients.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients
from symprop.emit.math import fast_coefficients as table
from symprop.emit.math.common import (
    NAN,
    at_least,
    at_most,
    bias,
    fraction_bits,
    has_native,
    is_double,
    mul_add,
    mul_sub,
    negative_mul_add,
    number,
    polynomial,
    power_of_two,
    scaled,
    sign_bit,
    whole_and_bits,
)
from symprop.emit.math.doubledouble import Pair, two_product
from symprop.emit.math.error import erf as precise_erf
from symprop.emit.math.exponential import power
from symprop.emit.math.exponential import reduce as reduce_by_ln2
from symprop.emit.math.gauss import erfc as precise_erfc
from symprop.emit.math.gauss import normal_cdf as precise_normal_cdf
from symprop.emit.math.logarithm import log1p, parts, special

__all__ = ["FAST"]


def clamp(b: Builder, x: Value) -> Value:
    """x where exp(x) is neither 0 nor infinite for sure; NaN stays NaN."""
    top, bottom = (710.0, -746.0) if is_double(x) else (89.0, -104.0)
    return at_least(b, at_most(b, x, top), bottom)


def minus_one(b: Builder, r: Value) -> Value:
    """exp(r) - 1 for |r| <= ln(2)/2, below 1 ULP."""
    return mul_add(b, b.fmul(r, r), polynomial(b, r, table.EXPM1[r.type.element]), r)


def part_and_scale(b: Builder, x: Value, less: Value | None = None) -> tuple[Value, Value]:
    """exp(x - less) / 2^n - 1 and n + 2 bias as bits, of an x within `clamp`; `less` is far below x."""
    n, bits = whole_and_bits(b, x, coefficients.LOG2E[x.type.element][0], 2 * bias(x.type))
    r = reduce_by_ln2(b, x, n)
    return minus_one(b, r if less is None else b.fsub(r, less)), bits


def exp_and_scale(b: Builder, x: Value) -> tuple[Value, Value]:
    """exp(x) / 2^n and n + 2 bias as bits, of an x within `clamp`."""
    part, bits = part_and_scale(b, x)
    return b.fadd(part, number(b, x, 1.0)), bits


def exp(b: Builder, x: Value) -> Value:
    """exp(x), below 3 ULP."""
    x = clamp(b, x)
    if has_native(b):
        return power(b, x)
    n, bits = whole_and_bits(b, x, coefficients.LOG2E[x.type.element][0], 2 * bias(x.type))
    r = reduce_by_ln2(b, x, n)
    part = mul_add(b, b.fmul(r, r), polynomial(b, r, table.EXP[x.type.element]), r)
    return scaled(b, b.fadd(part, number(b, x, 1.0)), bits)


def decay(b: Builder, x: Value) -> Value:
    """exp(-|x|), subnormal where it must be; written once for all functions of one x."""

    def write() -> Value:
        size = at_least(b, b.fneg(b.fabs(x)), -748.0 if is_double(x) else -106.0)
        return scaled(b, *exp_and_scale(b, size))

    return b.once("fast decay", x, write, even=True)


def twofold_decay(b: Builder, x: Value) -> tuple[Value, Value]:
    """exp(-2|x|) / 2^n - 1 and n + 2 bias as bits; written once for tanh and its derivative."""

    def write() -> tuple[Value, Value]:
        size = b.fmul(b.fabs(x), number(b, x, -2.0))
        return part_and_scale(b, at_least(b, size, -748.0 if is_double(x) else -106.0))

    return b.once("fast twofold decay", x, write, even=True)


def expm1_between(b: Builder, x: Value, unit: float = 1.0) -> Value:
    """unit (exp(x) - 1), where 2^n unit is a normal number."""
    element = x.type.element
    n, bits = whole_and_bits(b, x, coefficients.LOG2E[element][0], bias(x.type) + (0 if unit == 1.0 else -2))
    scale = power_of_two(b, bits, x.type)
    part = minus_one(b, reduce_by_ln2(b, x, n))
    return mul_add(b, scale, part, b.fsub(scale, number(b, x, unit)))


def sigmoid(b: Builder, x: Value) -> Value:
    """z/(1 + z) or 1/(1 + z) with z = exp(-|x|); below 3.5 ULP."""
    z, one = decay(b, x), number(b, x, 1.0)
    return b.fdiv(b.select(sign_bit(b, x), z, one), b.fadd(one, z))


def sigmoid_prime(b: Builder, x: Value) -> Value:
    """z/(1 + z)^2 with z = exp(-|x|); below 4 ULP."""
    z = decay(b, x)
    # (1 + z)^2 with less rounding
    return b.fdiv(z, mul_add(b, z, b.fadd(z, number(b, x, 2.0)), number(b, x, 1.0)))


def tanh(b: Builder, x: Value) -> Value:
    """-t/(t + 2) with t = expm1(-2|x|); below 4 ULP."""
    part, bits = twofold_decay(b, x)
    # n + 2 bias as the number whose bits they are: 2^n is nothing beside 1 long before it is subnormal
    number_of_bits = b.bitcast(bits, x.type)
    top = 1.5 * 2.0 ** fraction_bits(x.type) + 2 * bias(x.type)
    stopped = at_least(b, number_of_bits, top - (1000.0 if is_double(x) else 120.0))
    moved = b.fsub(stopped, number(b, x, float(bias(x.type))))
    scale = power_of_two(b, b.bitcast(moved, bits.type), x.type)
    t = mul_add(b, scale, part, b.fsub(scale, number(b, x, 1.0)))
    return b.copysign(b.fdiv(t, b.fadd(t, number(b, x, 2.0))), x)


def tanh_prime(b: Builder, x: Value) -> Value:
    """4 z/(1 + z)^2 with z = exp(-2|x|); below 4 ULP."""
    part, bits = twofold_decay(b, x)
    z = scaled(b, b.fadd(part, number(b, x, 1.0)), b.add(bits, b.const(2, bits.type)))
    quarter = b.fmul(z, number(b, x, 0.25))
    return b.fdiv(z, mul_add(b, quarter, b.fadd(quarter, number(b, x, 2.0)), number(b, x, 1.0)))


def expm1(b: Builder, x: Value) -> Value:
    """exp(x) - 1, below 3 ULP."""
    low, high = (-45.0, 710.0) if is_double(x) else (-20.0, 89.0)
    inside = at_least(b, at_most(b, x, high), low)
    value = expm1_between(b, inside, 0.25)
    return b.copysign(b.fmul(value, number(b, x, 4.0)), x)


def sinh(b: Builder, x: Value) -> Value:
    """2 (h + h/(1 + 4 h)), h = expm1(|x|)/4; below 4 ULP."""
    size = at_most(b, b.fabs(x), 710.6 if is_double(x) else 89.5)
    h = expm1_between(b, size, 0.25)
    ratio = b.fdiv(h, mul_add(b, h, number(b, x, 4.0), number(b, x, 1.0)))
    value = b.fadd(h, ratio)
    small = b.fcmp("olt", size, number(b, x, 2.0**-28 if is_double(x) else 2.0**-13))
    return b.select(small, x, b.copysign(b.fadd(value, value), x))


def cosh(b: Builder, x: Value) -> Value:
    """2 (e + 1/(16 e)), e = exp(|x|)/4; below 3 ULP."""
    size = at_most(b, b.fabs(x), 710.6 if is_double(x) else 89.5)
    value, bits = exp_and_scale(b, size)
    scale = power_of_two(b, b.sub(bits, b.const(bias(x.type) + 2, bits.type)), x.type)
    e = b.fmul(value, scale)
    total = b.fadd(e, b.fdiv(number(b, x, 0.0625), e))
    return b.fadd(total, total)


def log(b: Builder, x: Value) -> Value:
    """log(x) = k ln 2 + log(1 + f), below 2.5 ULP."""
    k, f = parts(b, x)
    high, low = (number(b, x, c) for c in coefficients.LN2[x.type.element])
    if is_double(x):
        s = b.fdiv(f, b.fadd(f, number(b, f, 2.0)))
        z = b.fmul(s, s)
        small = b.fmul(s, mul_sub(b, z, polynomial(b, z, table.LOG["double"]), f))
    else:
        small = b.fmul(b.fmul(f, f), polynomial(b, f, table.LOG["float"]))
    rest = b.fadd(f, mul_add(b, k, low, small))
    return special(b, x, mul_add(b, k, high, rest))


def softplus(b: Builder, x: Value) -> Value:
    """max(x, 0) + log(1 + z), z = exp(-|x|), log(1 + z) = s (2 + s^2 LOG1P(s^2)) with s = z/(2 + z); below
    4 ULP."""
    z, two, zero = decay(b, x), number(b, x, 2.0), number(b, x, 0.0)
    s = b.fdiv(z, b.fadd(z, two))
    square = b.fmul(s, s)
    part = b.fmul(s, mul_add(b, square, polynomial(b, square, table.LOG1P[x.type.element]), two))
    # where z is subnormal so is s, with half its digits lost: there log(1 + z) = z
    part = b.select(b.fcmp("olt", z, number(b, x, 2.0**-60)), z, part)
    return b.fadd(b.select(b.fcmp("olt", x, zero), zero, x), part)


def far(x: Value) -> float:
    """Beyond this 1 + x^2 is x^2 to all digits, and x^2 far from overflow."""
    return 2.0**60 if is_double(x) else 2.0**30


def asinh(b: Builder, x: Value) -> Value:
    """log1p(a + a^2/(1 + sqrt(1 + a^2))), a = |x|; below 3.5 ULP."""
    size, one = b.fabs(x), number(b, x, 1.0)
    large = b.fcmp("ogt", size, number(b, x, far(x)))
    square = b.fmul(size, b.select(large, one, size))
    root = b.sqrt(b.fadd(one, square))
    argument = b.fadd(size, b.fdiv(square, b.fadd(one, root)))
    argument = b.select(large, size, argument)
    ln2 = number(b, x, coefficients.LN2_PAIR[x.type.element][0])
    value = b.fadd(log1p(b, argument), b.select(large, ln2, number(b, x, 0.0)))
    return b.copysign(value, x)


def acosh(b: Builder, x: Value) -> Value:
    """log1p(t + sqrt(2 t + t^2)), t = x - 1; below 3.5 ULP."""
    one, zero = number(b, x, 1.0), number(b, x, 0.0)
    large = b.fcmp("ogt", x, number(b, x, far(x)))
    t = b.fsub(x, one)
    inner = b.select(large, one, t)
    root = b.sqrt(mul_add(b, inner, inner, b.fadd(inner, inner)))
    argument = b.select(large, x, b.fadd(inner, root))
    ln2 = number(b, x, coefficients.LN2_PAIR[x.type.element][0])
    value = b.fadd(log1p(b, argument), b.select(large, ln2, zero))
    return b.select(b.fcmp("olt", x, one), number(b, x, NAN), value)


def atanh(b: Builder, x: Value) -> Value:
    """log1p(2 a/(1 - a))/2, a = |x|; below 3.5 ULP."""
    size, one = b.fabs(x), number(b, x, 1.0)
    ratio = b.fdiv(b.fadd(size, size), b.fsub(one, size))
    value = b.copysign(b.fmul(log1p(b, ratio), number(b, x, 0.5)), x)
    return b.select(b.fcmp("ogt", size, one), number(b, x, NAN), value)


def erf(b: Builder, x: Value) -> Value:
    """x + x ERF_SMALL(x^2) up to 1, else 1 - 2^ERF_LARGE(|x| - 1); below 3 ULP. With AVX-512 the precise one
    is quicker."""
    if has_native(b):
        return precise_erf(b, x)
    element, one = x.type.element, number(b, x, 1.0)
    near = mul_add(b, x, polynomial(b, b.fmul(x, x), table.ERF_SMALL[element]), x)
    size = at_most(b, b.fabs(x), 5.95 if is_double(x) else 3.95)
    power = polynomial(b, b.fsub(size, one), table.ERF_LARGE[element])
    n, bits = whole_and_bits(b, power, 1.0, bias(x.type))
    r = b.fsub(power, n)
    part = mul_add(b, r, polynomial(b, r, table.EXP2[element]), one)
    value = b.copysign(negative_mul_add(b, part, power_of_two(b, bits, x.type), one), x)
    return b.select(b.fcmp("olt", size, one), near, value)


def scaled_tail(b: Builder, square: Pair, factor: Value, below: Value) -> Value:
    """exp(-square) factor / below, right down to subnormal results."""
    part, bits = part_and_scale(b, b.fneg(square[0]), square[1])
    return scaled(b, b.fdiv(mul_add(b, part, factor, factor), below), bits)


def shifted_ratio(b: Builder, y: Value, near: float) -> Value:
    """(y - near)/(y + near)"""
    place = number(b, y, near)
    return b.fdiv(b.fsub(y, place), b.fadd(y, place))


def rounded_once(b: Builder, x: Value, coefficients: Sequence[float]) -> Value:
    """The polynomial, lowest power first, its large constant term added last."""
    return mul_add(b, x, polynomial(b, x, coefficients[1:]), number(b, x, coefficients[0]))


def erfc(b: Builder, x: Value) -> Value:
    """1 - erf(x), below 4 ULP in the tail, subnormal results included."""
    if has_native(b) and is_double(x):  # as quick
        return precise_erfc(b, x)
    element = x.type.element
    one, two = number(b, x, 1.0), number(b, x, 2.0)
    size = at_most(b, b.fabs(x), 27.3 if is_double(x) else 10.2)
    factor = rounded_once(b, shifted_ratio(b, size, 3.5), table.ERFC[element])
    tail = scaled_tail(b, two_product(b, size, size), factor, mul_add(b, size, two, one))
    near = b.fsub(one, mul_add(b, x, polynomial(b, b.fmul(x, x), table.ERF_NEAR[element]), x))
    value = b.select(b.fcmp("olt", x, number(b, x, 0.0)), b.fsub(two, tail), tail)
    return b.select(b.fcmp("olt", size, number(b, x, 0.5)), near, value)


def normal_cdf(b: Builder, x: Value) -> Value:
    """exp(-x^2/2) CDF(t)/(1 + |x|), below 4 ULP in the tail, subnormal results included."""
    if has_native(b) and is_double(x):  # as quick
        return precise_normal_cdf(b, x)
    element = x.type.element
    one, half = number(b, x, 1.0), number(b, x, 0.5)
    size = at_most(b, b.fabs(x), 38.6 if is_double(x) else 14.4)
    factor = rounded_once(b, shifted_ratio(b, size, 4.5), table.CDF[element])
    tail = scaled_tail(b, two_product(b, size, b.fmul(size, half)), factor, b.fadd(size, one))
    near = mul_add(b, x, polynomial(b, b.fmul(x, x), table.CDF_NEAR[element]), half)
    value = b.select(b.fcmp("olt", x, number(b, x, 0.0)), tail, b.fsub(one, tail))
    return b.select(b.fcmp("olt", size, number(b, x, 0.6)), near, value)


FAST: dict[str, Callable[..., Value]] = {
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "sigmoid": sigmoid,
    "sigmoid_prime": sigmoid_prime,
    "tanh": tanh,
    "tanh_prime": tanh_prime,
    "softplus": softplus,
    "sinh": sinh,
    "cosh": cosh,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
    "erf": erf,
    "erfc": erfc,
    "normal_cdf": normal_cdf,
}
