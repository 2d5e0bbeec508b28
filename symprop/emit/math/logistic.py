"""sigmoid, tanh, their derivatives and softplus: what they need of one argument is written once.

A network uses several of them at the same x: `tanh` forward and its derivative backward, `softplus` and
`sigmoid`. They are quotients of z = exp(-|x|) and 1 + z (of exp(-2|x|) for tanh), so the exponential, its low
part and the reciprocal are shared (`Builder.once`), and each function costs a few operations more. The
reciprocal 1/y is kept as r and e with 1/y = r (1 + e), which makes one rounding of each quotient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    at_least,
    bias,
    estrin,
    fraction_bits,
    has_native,
    is_double,
    look_up,
    mul_add,
    native,
    negative_mul_add,
    number,
    power_of_two,
    scaled,
    sign_bit,
    with_sign,
)
from symprop.emit.math.doubledouble import Pair, fast_two_sum, product_plus, remainder, two_product
from symprop.emit.math.exponential import outwards, power_pair
from symprop.emit.math.logarithm import log_tail

__all__ = ["sigmoid", "sigmoid_prime", "softplus", "tanh", "tanh_prime"]


SLOPE = 0.957  # 1/(1 + z) is SLOPE - z/2 to 1/20 from 0 to 1: enough for what a rounding left


def correction(b: Builder, y: Pair, inverse: Value) -> Pair:
    """r and e with 1/y = r (1 + e) to nearly twice the digits, r the inverse of the first number."""
    one = number(b, inverse, 1.0)
    if b.target.fma:
        rest = negative_mul_add(b, y[0], inverse, one)
    else:
        rest = b.fneg(remainder(b, y[0], inverse, one))
    return inverse, negative_mul_add(b, y[1], inverse, rest)


def product_and(b: Builder, x: Value, y: Value, small: Value) -> Value:
    """x y + small, rounded nearly once."""
    if b.target.fma:
        return b.fma(x, y, small)
    product, error = two_product(b, x, y)
    return b.fadd(product, b.fadd(error, small))


def times(b: Builder, x: Pair, y: Pair) -> Value:
    """x r (1 + e) for y = (r, e), rounded nearly once."""
    high, error = y
    return product_and(b, x[0], high, b.fmul(high, mul_add(b, x[0], error, x[1])))


def times_square(b: Builder, x: tuple[Value, Value | None], y: Pair) -> Value:
    """x r^2 (1 + e)^2 for y = (r, e), rounded nearly once."""
    high, error = y
    square, low = two_product(b, high, high)
    low = b.fmul(x[0], mul_add(b, b.fadd(error, error), square, low))
    return product_and(b, x[0], square, low if x[1] is None else mul_add(b, x[1], square, low))


# -- exp(-|x|) and 1 + exp(-|x|) ---------------------------------------------------------------------------


def decay(b: Builder, x: Value, rest: Value | None = None) -> Pair:
    """exp(-|x|) as a pair, error 2^-55 relative, subnormal where it must be; NaN stays NaN. Here and below
    `rest` is what x lost when it was rounded: the function is that of x + rest."""
    return b.once("decay", x, lambda: write_decay(b, x, rest), even=True, rest=rest)


def write_decay(b: Builder, x: Value, rest: Value | None) -> Pair:
    less = None if rest is None else outwards(b, x, rest)
    x = at_least(b, b.fneg(b.fabs(x)), -748.0 if is_double(x) else -106.0)
    (high, low), exponent = power_pair(b, x, less)
    if has_native(b):
        return scaled(b, high, exponent), scaled(b, low, exponent)
    scale = scaled(b, number(b, x, 1.0), exponent)  # a power of two, subnormal where it must be
    return b.fmul(high, scale), b.fmul(low, scale)


def inverse_of_one_plus(b: Builder, x: Value, rest: Value | None = None) -> Pair:
    """1/(1 + exp(-|x|))"""

    def write() -> Pair:
        z = decay(b, x, rest)
        high, low = fast_two_sum(b, number(b, x, 1.0), z[0])
        return correction(b, (high, b.fadd(low, z[1])), b.fdiv(number(b, x, 1.0), high))

    return b.once("inverse of one plus decay", x, write, even=True, rest=rest)


def sigmoid(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """1/(1 + exp(-x)): z/(1 + z) or 1/(1 + z) with z = exp(-|x|); below 0.9 ULP."""
    z, left = decay(b, x, rest), sign_bit(b, x)
    top = b.select(left, z[0], number(b, x, 1.0)), b.select(left, z[1], number(b, x, 0.0))
    return times(b, top, inverse_of_one_plus(b, x, rest))


def sigmoid_prime(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """s(1 - s) of s = sigmoid(x): z/(1 + z)^2 with z = exp(-|x|); below 0.9 ULP."""
    return times_square(b, decay(b, x, rest), inverse_of_one_plus(b, x, rest))


def softplus(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """log(1 + exp(x)) = max(x, 0) + log(1 + z), z = exp(-|x|); below 1.1 ULP (float32: 1.3).

    log(1 + z) = k ln 2 + log(1 + f), k 0 or 1. Of a positive x the rest is worth less than half a unit in the
    last place.
    """
    high, low = decay(b, x, rest)
    zero, one, half = number(b, x, 0.0), number(b, x, 1.0), number(b, x, 0.5)
    # from 1/2 on log(1 + z) = ln 2 + log(1 + (z - 1)/2), the difference exact
    upper = b.fcmp("oge", high, half)
    f = b.select(upper, b.fmul(b.fsub(high, one), half), high)
    twos = [b.select(upper, number(b, x, part), zero) for part in table.LN2[x.type.element]]
    slope = negative_mul_add(b, high, half, number(b, x, SLOPE))
    total, error = fast_two_sum(b, twos[0], f)
    rest = mul_add(b, low, slope, b.fadd(error, twos[1]))
    part = b.fadd(total, mul_add(b, *log_tail(b, f), rest))
    positive = b.select(b.fcmp("olt", x, zero), zero, x)
    return b.fadd(positive, part)


# -- tanh --------------------------------------------------------------------------------------------------


class Parts(NamedTuple):
    """Of x, h = (1 - exp(-2|x|))/2: 1 - h, the rounded h over that, and exp(-2|x|)/2 less a power of two."""

    below: Pair
    quotient: Value  # of the rounded h and 1 - h
    inverse: Value  # of the rounded 1 - h, nearly: 1 + quotient
    remainder: Callable[[], Value]  # what the quotient lacks, times 1 - h
    power: Callable[[], tuple[Value, Value | None]]
    whole: Callable[[Value], Value]  # times that power of two and 2


def parts(b: Builder, x: Value, rest: Value | None = None) -> Parts:
    """The parts of tanh and its derivative, for |x| as far as the derivative is not zero.

    n ln 2 is taken from 2|x| but for the low part of ln 2, which leaves no rounding error; what that part is
    worth goes into the low numbers of the pairs, beside the chain of operations.
    """
    write = near_parts if has_native(b) else write_parts
    return b.once("parts of tanh", x, lambda: write(b, x, rest), even=True, rest=rest)


def left_out(b: Builder, n: Value, rest: Value | None, less: Value | None = None) -> Value:
    """1 - exp(-y) for y = n (low part of ln 2) + 2 rest - less."""
    low = number(b, n, table.LN2[n.type.element][1])
    y = b.fmul(n, low) if less is None else mul_add(b, n, low, b.fneg(less))
    y = y if rest is None else b.fadd(y, b.fadd(rest, rest))
    # y^2/2 is far below the last place in float64
    return y if is_double(n) else negative_mul_add(b, b.fmul(y, number(b, n, 0.5)), y, y)


def near_parts(b: Builder, x: Value, rest: Value | None) -> Parts:
    """The parts from powers of two in a register: exp(-2|x|) = s exp(2u), s = 2^n and one of these.

    s exp(2u)/2 = s/2 + s u + s u^2 series: where the series ends, h and 1 - h each wait for one operation.
    """
    element, kind = x.type.element, x.type
    half, one = number(b, x, 0.5), number(b, x, 1.0)
    more = None if rest is None else outwards(b, x, rest)
    x = at_least(b, b.fneg(b.fabs(x)), -375.0 if is_double(x) else -53.5)
    high, low = table.POWERS[element]
    middle = number(b, x, 1.5 * 2.0 ** (fraction_bits(kind) + 1 - len(high).bit_length()))
    shifted = mul_add(b, x, number(b, x, 2.0 * table.LOG2E[element][0]), middle)
    n = b.fsub(shifted, middle)
    u = negative_mul_add(b, n, number(b, x, 0.5 * table.LN2[element][0]), x)
    series = estrin(b, u, [c * 2.0 ** (k + 1) for k, c in enumerate(table.EXPM1_NEAR[element])])
    index, square = b.bitcast(shifted, kind.integer), b.fmul(u, u)
    power = look_up(b, high, index)
    scale = native(b, "scalef", power, n)
    part = b.fmul(scale, square)
    less, first, second = b.fneg(scale), number(b, x, -0.5), b.fneg(part)
    base = mul_add(b, scale, first, half)
    start = mul_add(b, less, u, base)
    h = mul_add(b, second, series, start)
    below = mul_add(b, part, series, b.fsub(one, start))
    quotient = b.fdiv(h, below)
    # what the sums lost, and the last digits of ln 2 and of the power; that of the last sum comes late
    gone = left_out(b, n, more, look_up(b, [y / z for y, z in zip(low, high, strict=True)], index))
    lost = mul_add(b, scale, first, b.fsub(half, base))
    lost = b.fadd(lost, mul_add(b, less, u, b.fsub(base, start)))
    lost = mul_add(b, gone, b.fsub(below, half), lost)
    lost = b.fadd(lost, mul_add(b, second, series, b.fsub(start, h)))
    under = b.fsub(b.fsub(b.fsub(one, below), h), lost)

    def whole_power() -> tuple[Value, None]:
        q = mul_add(b, square, series, u)
        q = b.fadd(q, q)  # exp(2u) - 1
        return mul_add(b, power, negative_mul_add(b, gone, q, b.fsub(q, gone)), power), None

    return Parts(
        (below, under),
        quotient,
        b.fadd(one, quotient),
        lambda: negative_mul_add(b, quotient, under, lost),
        whole_power,
        lambda y: scaled(b, y, n),
    )


def write_parts(b: Builder, x: Value, rest: Value | None) -> Parts:
    element, kind = x.type.element, x.type
    half, one = number(b, x, 0.5), number(b, x, 1.0)
    more = None if rest is None else outwards(b, x, rest)
    x = at_least(b, b.fneg(b.fabs(x)), -375.0 if is_double(x) else -53.5)
    # as `whole_and_bits`, but the power of two stops where it is nothing beside 1/2
    middle = 1.5 * 2.0 ** fraction_bits(kind) + bias(kind) - 1
    shifted = mul_add(b, x, number(b, x, 2.0 * table.LOG2E[element][0]), number(b, x, middle))
    stopped = at_least(b, shifted, middle - (1000.0 if is_double(x) else 100.0))
    bits = b.bitcast(stopped, kind.integer)
    scale = power_of_two(b, bits, kind)
    n = b.fsub(shifted, number(b, x, middle))
    r = negative_mul_add(b, n, number(b, x, table.LN2[element][0]), b.fadd(x, x))
    first = b.fmul(scale, r)
    part, less = product_plus(b, b.fmul(first, r), estrin(b, r, table.EXP[element]), (first, None))
    power, lost = fast_two_sum(b, scale, part)
    lost = b.fadd(lost, negative_mul_add(b, power, left_out(b, n, more), less))
    # the sums with 1/2 are there before the series: h is -part where the power of two is 1/2
    h, below = b.fsub(b.fsub(half, scale), part), b.fadd(b.fadd(half, scale), part)
    under = b.fadd(b.fsub(power, b.fsub(below, half)), lost)
    gap = b.fsub(b.fsub(one, below), h)

    def whole(y: Value) -> Value:
        left = b.sub(b.bitcast(shifted, kind.integer), bits)
        return b.fmul(y, power_of_two(b, b.add(left, b.const(bias(kind) + 1, left.type)), kind))

    quotient = b.fdiv(h, below)
    inverse = b.fadd(one, quotient)

    def remainder() -> Value:
        # what h lost is gap - under: quotient under less that is inverse under - gap
        return negative_mul_add(b, inverse, under, gap)

    return Parts((below, under), quotient, inverse, remainder, lambda: (power, lost), whole)


def tanh(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """h/(1 - h) with the sign of x, h = (1 - exp(-2|x|))/2; below 1.3 ULP."""
    known = parts(b, x, rest)
    return with_sign(b, mul_add(b, known.remainder(), known.inverse, known.quotient), x)


def tanh_prime(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """1 - tanh(x)^2 = z/(1 - h)^2 with z = exp(-2|x|), the power of two last: a few operations beside
    tanh(x); below 0.9 ULP, with AVX-512, where z is rounded, 1.51."""
    known = parts(b, x, rest)
    value = times_square(b, known.power(), correction(b, known.below, known.inverse))
    return known.whole(value)
