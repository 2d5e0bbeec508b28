"""tanh, sigmoid, their derivatives, softplus, sinh, cosh, asinh, acosh, atanh.

The quotients are computed from pairs: exp with its low part in the numerator and the denominator, one
division, and the remainder as a correction, so that one rounding remains. `exp` is always taken of -|x|: no
overflow, and both tails exact.
"""

from __future__ import annotations

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    INF,
    NAN,
    at_least,
    at_most,
    bias,
    is_double,
    mul_add,
    negative_mul_add,
    number,
    power_of_two,
    scale_by_halves,
    sign_bit,
    whole_and_bits,
)
from symprop.emit.math.doubledouble import (
    Pair,
    add_pairs,
    divide_pairs,
    fast_two_sum,
    multiply_pairs,
    remainder,
    square_root_pair,
    two_product,
    two_sum,
)
from symprop.emit.math.exponential import exp_pair, expm1_pair, expm1_parts
from symprop.emit.math.logarithm import log1p_of_pair, log_sum

__all__ = [
    "acosh",
    "asinh",
    "atanh",
    "cosh",
    "sigmoid",
    "sigmoid_prime",
    "sinh",
    "softplus",
    "tanh",
    "tanh_prime",
]


def decay(b: Builder, x: Value, raised: int = 0) -> Pair:
    """2^raised exp(-|x|) as a pair, subnormal where it must be; NaN stays NaN."""
    x = at_least(b, b.fneg(b.fabs(x)), -748.0 if is_double(x) else -106.0)
    (high, low), bits = exp_pair(b, x)
    if raised:
        bits = b.add(bits, b.const(raised, bits.type))
    return scale_by_halves(b, high, bits), scale_by_halves(b, low, bits)


def one_plus(b: Builder, z: Pair) -> Pair:
    """1 + z for a pair 0 <= z <= 1."""
    high, low = fast_two_sum(b, number(b, z[0], 1.0), z[0])
    return high, b.fadd(low, z[1])


def quotient(b: Builder, x: Pair, y: Pair) -> Value:
    """x / y, rounded nearly once."""
    inverse = b.fdiv(number(b, x[0], 1.0), y[0])
    first = b.fmul(x[0], inverse)
    rest = b.fsub(x[1], remainder(b, first, y[0], x[0]))
    return mul_add(b, negative_mul_add(b, first, y[1], rest), inverse, first)


def sigmoid(b: Builder, x: Value) -> Value:
    """1/(1 + exp(-x)): z/(1 + z) or 1/(1 + z) with z = exp(-|x|); below 0.8 ULP."""
    z = decay(b, x)
    left = sign_bit(b, x)
    top = b.select(left, z[0], number(b, x, 1.0)), b.select(left, z[1], number(b, x, 0.0))
    return quotient(b, top, one_plus(b, z))


def sigmoid_prime(b: Builder, x: Value) -> Value:
    """s(1 - s) of s = sigmoid(x): z/(1 + z)^2 with z = exp(-|x|); below 0.8 ULP."""
    z = decay(b, x)
    root = one_plus(b, z)
    return quotient(b, z, multiply_pairs(b, root, root))


def tanh(b: Builder, x: Value) -> Value:
    """-t/(t + 2) with t = expm1(-2|x|) as a pair; below 0.9 ULP."""
    size = b.fabs(x)
    t = expm1_pair(b, at_least(b, b.fmul(size, number(b, x, -2.0)), -45.0 if is_double(x) else -20.0))
    high, low = fast_two_sum(b, number(b, x, 2.0), t[0])
    value = quotient(b, (b.fneg(t[0]), b.fneg(t[1])), (high, b.fadd(low, t[1])))
    return b.copysign(value, x)


def tanh_prime(b: Builder, x: Value) -> Value:
    """1 - tanh(x)^2 = 4 z/(1 + z)^2 with z = exp(-2|x|); below 0.8 ULP."""
    z = decay(b, b.fmul(x, number(b, x, 2.0)), raised=2)
    quarter = number(b, x, 0.25)
    root = one_plus(b, (b.fmul(z[0], quarter), b.fmul(z[1], quarter)))
    return quotient(b, z, multiply_pairs(b, root, root))


def softplus(b: Builder, x: Value) -> Value:
    """log(1 + exp(x)) = max(x, 0) + log(1 + z), z = exp(-|x|), as k ln 2 + log(1 + f); below 1.1 ULP."""
    high, low = decay(b, x)
    one = number(b, x, 1.0)
    # from 1/2 on log(1 + z) = ln 2 + log(1 + (z - 1)/2), the difference exact
    upper = b.fcmp("oge", high, number(b, x, 0.5))
    half = number(b, x, 0.5)
    f = b.select(upper, b.fmul(b.fsub(high, one), half), high)
    extra = b.select(upper, b.fmul(low, half), low)
    k = b.select(upper, one, number(b, x, 0.0))
    part = log_sum(b, k, f, extra)
    positive = b.select(b.fcmp("olt", x, number(b, x, 0.0)), number(b, x, 0.0), x)
    return b.fadd(positive, part)


def sinh(b: Builder, x: Value) -> Value:
    """2 (h + h/(1 + 4 h)), h = expm1(|x|)/4 as a pair; below 1.1 ULP."""
    size = at_most(b, b.fabs(x), 710.6 if is_double(x) else 89.5)
    n, bits = whole_and_bits(b, size, table.LOG2E[x.type.element][0], bias(x.type) - 2)
    scale = power_of_two(b, bits, x.type)
    high, low, _ = expm1_parts(b, size, n, scale, unit=0.25)
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


def cosh(b: Builder, x: Value) -> Value:
    """2 (e + 1/(16 e)), e = exp(|x|)/4 as a pair; below 0.9 ULP."""
    size = at_most(b, b.fabs(x), 710.6 if is_double(x) else 89.5)
    pair, bits = exp_pair(b, size)
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
    argument = add_pairs(b, fast_two_sum(b, b.fsub(root[0], one), root[1]), (inner, zero))
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
    total = two_sum(b, square[0], b.fneg(one))
    root = square_root_pair(b, fast_two_sum(b, total[0], b.fadd(total[1], square[1])))
    argument = add_pairs(b, root, two_sum(b, inner, b.fneg(one)))
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
