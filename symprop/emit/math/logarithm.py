"""log and its kin: log, log1p, log2, log10 and the logarithm of a pair.

Method: x = 2^k m with 3/4 <= m < 3/2 by integer operations, f = m - 1, and log(1 + f) = f + `log_tail`, in
float64 s (z LOG(z) - f), s = f/(2 + f), z = s^2, in float32 f^2 LOG(f). The sum k ln 2 + f is kept with its
error, so that the result is rounded essentially once. Coefficients: `coefficients.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    INF,
    NAN,
    bias,
    estrin,
    fraction_bits,
    has_native,
    is_double,
    mul_add,
    mul_sub,
    native,
    number,
    polynomial,
    with_exponent,
)
from symprop.emit.math.doubledouble import Pair, fast_two_sum, two_product, two_sum

__all__ = ["log", "log1p", "log1p_of_pair", "log2", "log10", "log_sum", "log_tail"]


def exponent_and_fraction(b: Builder, x: Value) -> tuple[Value, Value, Value]:
    """k + bias as bits, 2^-k x in [3/4, 3/2), and the bits of 2^k less those of 1, of a positive normal x."""
    kind, digits = x.type, fraction_bits(x.type)
    bits = b.bitcast(x, kind.integer)
    # half a significand carries into the exponent from 3/2 on
    shifted = b.add(bits, b.const(1 << (digits - 1), bits.type))
    raised = b.lshr(shifted, b.const(digits, bits.type))
    power = b.sub(b.shl(raised, b.const(digits, bits.type)), b.const(bias(kind) << digits, bits.type))
    return raised, b.bitcast(b.sub(bits, power), kind), power


def lift(b: Builder, x: Value) -> tuple[Value, Value]:
    """Positive x as a normal number, and what to take from 2^52 + its raised exponent to get k."""
    digits = fraction_bits(x.type)
    small = b.fcmp("olt", x, number(b, x, 2.0 ** (1 - bias(x.type))))
    normal = b.select(small, b.fmul(x, number(b, x, 2.0 ** (digits + 2))), x)
    back = 2.0**digits + bias(x.type)
    return normal, b.select(small, number(b, x, back + digits + 2), number(b, x, back))


def special(b: Builder, x: Value, result: Value, start: float = 0.0) -> Value:
    """The result for finite x beyond the start; inf itself, -inf at the start, NaN below.

    Everything but the last choice is there before the result, and that one is a mask of its last sum.
    """
    first = number(b, x, start)
    inside = b.fcmp("ogt", x, first)
    edge = b.select(b.fcmp("oeq", x, first), number(b, x, -INF), number(b, x, NAN))
    other = b.select(inside, x, edge)
    ordinary = b.and_(inside, b.fcmp("olt", x, number(b, x, INF)))
    if start:  # of log1p zero is itself, with its sign
        ordinary = b.and_(ordinary, b.fcmp("une", x, number(b, x, 0.0)))
    return b.select(ordinary, result, other)


def log_tail(b: Builder, f: Value) -> tuple[Value, Value]:
    """Two factors of log(1 + f) - f, 3/4 <= 1 + f < 3/2, absolute error 2^-58 (float32: 2^-28) times |f|."""
    if not is_double(f):
        return b.fmul(f, f), polynomial(b, f, table.LOG["float"])
    s = b.fdiv(f, b.fadd(f, number(b, f, 2.0)))
    z = b.fmul(s, s)
    return s, mul_sub(b, z, estrin(b, z, table.LOG["double"]), f)


def sum_of_parts(b: Builder, k: Value, f: Value, small: Value | None = None) -> Pair:
    """k ln 2 + log(1 + f) + small as a pair that is not normal: the second part is below 2^-2 of the first.

    The tail of the logarithm comes last: everything else is there before its division."""
    high, low = table.LN2[f.type.element]
    total, error = fast_two_sum(b, b.fmul(k, number(b, f, high)), f)
    rest = mul_add(b, k, number(b, f, low), error if small is None else b.fadd(error, small))
    return total, mul_add(b, *log_tail(b, f), rest)


def parts(b: Builder, x: Value) -> tuple[Value, Value]:
    """k and f of a positive finite x, subnormal or not."""
    if has_native(b):
        fraction = native(b, "getmant", x, 3)  # in [3/4, 3/2)
        k = b.fsub(native(b, "getexp", x), native(b, "getexp", fraction))
        return k, b.fsub(fraction, number(b, x, 1.0))
    normal, back = lift(b, x)
    raised, fraction, _ = exponent_and_fraction(b, normal)
    return b.fsub(with_exponent(b, raised, x.type), back), b.fsub(fraction, number(b, x, 1.0))


def log(b: Builder, x: Value) -> Value:
    """log(x), below 1 ULP (float32: 1.2)."""
    k, f = parts(b, x)
    high, low = sum_of_parts(b, k, f)
    return special(b, x, b.fadd(high, low))


def log_sum(b: Builder, k: Value, f: Value, correction: Value) -> Value:
    """k ln 2 + log(1 + f + correction), the correction below an ULP or so of 1 + f."""
    # 1/(1 + f) to a few digits: 1 - f + f^2
    slope = mul_add(b, f, b.fsub(f, number(b, f, 1.0)), number(b, f, 1.0))
    high, low = sum_of_parts(b, k, f, b.fmul(correction, slope))
    return b.fadd(high, low)


def reduced_sum(b: Builder, total: Value, error: Value) -> tuple[Value, Value, Value]:
    """k and f of a normal positive total, and the error divided by 2^k."""
    one, zero = number(b, total, 1.0), number(b, total, 0.0)
    if has_native(b):
        k, f = parts(b, total)
        return k, f, native(b, "scalef", error, b.fneg(k))
    raised, fraction, power = exponent_and_fraction(b, total)
    back = number(b, total, 2.0 ** fraction_bits(total.type) + bias(total.type))
    k = b.fsub(with_exponent(b, raised, total.type), back)
    inverse = b.sub(b.bitcast(one, power.type), power)
    small = b.fmul(error, b.bitcast(inverse, total.type))
    # for k too large for a normal factor the correction is nothing
    small = b.select(b.fcmp("olt", total, number(b, total, 2.0**60)), small, zero)
    return k, b.fsub(fraction, one), small


def log1p_of_pair(b: Builder, x: tuple[Value, Value | None], twos: Value | None = None) -> Value:
    """log(1 + x) + twos ln 2 of a normal pair, -1 < x finite; below 1.1 ULP (float32: 1.4)."""
    high, low = x
    total, error = two_sum(b, number(b, high, 1.0), high)
    if low is not None:
        error = b.fadd(error, low)
    k, f, error = reduced_sum(b, total, error)  # f + error is x where k = 0
    if twos is not None:
        k = b.fadd(k, twos)
    return log_sum(b, k, f, error)


def log1p(b: Builder, x: Value) -> Value:
    """log(1 + x), below 1 ULP (float32: 1.4): the rounding error of 1 + x goes into the small part."""
    return special(b, x, log1p_of_pair(b, (x, None)), -1.0)


def to_base(b: Builder, x: Value, unit: Sequence[float], factor: Sequence[float]) -> Value:
    """k unit + factor log(1 + f) for the logarithm k ln 2 + log(1 + f) of x; both numbers in two parts, of
    which a unit of 1 has one."""
    k, f = parts(b, x)
    first, rest = fast_two_sum(b, f, b.fmul(*log_tail(b, f)))
    high, low = (number(b, x, c) for c in factor)
    product, error = two_product(b, first, high)
    error = mul_add(b, rest, high, mul_add(b, first, low, error))
    for part in unit[1:]:
        error = mul_add(b, k, number(b, x, part), error)
    # where k is not 0 the product is smaller than the unit
    whole = k if unit[0] == 1.0 else b.fmul(k, number(b, x, unit[0]))
    total, lost = fast_two_sum(b, whole, product)
    return special(b, x, b.fadd(total, b.fadd(lost, error)))


def log2(b: Builder, x: Value) -> Value:
    """log2(x) = k + log(1 + f) / ln 2; below 1.4 ULP, exact at powers of two."""
    return to_base(b, x, (1.0,), table.LOG2E[x.type.element])


def log10(b: Builder, x: Value) -> Value:
    """log10(x) = k log10(2) + log(1 + f) log10(e), below 1 ULP (float32: 1.4)."""
    return to_base(b, x, table.LOG10_2[x.type.element], table.LOG10E[x.type.element])
