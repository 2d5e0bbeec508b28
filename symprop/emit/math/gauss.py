"""exp(-x^2/2) and the normal distribution: the exponential is written once for both.

The gradient of `gelu` needs both at the same x. The square is exact (a pair), and so is nearly everything
that follows, so that both tails keep their digits.
"""

from __future__ import annotations

from typing import NamedTuple

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    at_most,
    is_double,
    mul_add,
    negative_mul_add,
    number,
    polynomial,
    scaled,
)
from symprop.emit.math.doubledouble import Pair, fast_two_sum, remainder, two_product, two_sum
from symprop.emit.math.exponential import outwards, power_pair
from symprop.emit.math.logistic import product_and

__all__ = ["gaussian", "normal_cdf"]


class Bell(NamedTuple):
    """exp(-x^2/2) as 2^n times a pair; `size` is |x|, or a number beyond which the result is zero."""

    size: Value
    value: Pair
    exponent: Value  # n as `scaled` takes it


def bell(b: Builder, x: Value, rest: Value | None = None) -> Bell:
    """exp(-x^2/2) in parts, error 2^-55 relative; of x + rest, where a rest is given."""
    return b.once("bell", x, lambda: write_bell(b, x, rest), even=True, rest=rest)


def write_bell(b: Builder, x: Value, rest: Value | None) -> Bell:
    size = at_most(b, b.fabs(x), 39.0 if is_double(x) else 14.75)
    square, error = two_product(b, size, b.fmul(size, number(b, x, 0.5)))
    if rest is not None:
        error = mul_add(b, size, outwards(b, x, rest), error)
    value, exponent = power_pair(b, b.fneg(square), error)
    return Bell(size, value, exponent)


def gaussian(b: Builder, x: Value) -> Value:
    """exp(-x^2/2), below 1 ULP."""
    known = bell(b, x)
    return scaled(b, b.fadd(*known.value), known.exponent)


def normal_cdf(b: Builder, x: Value, rest: Value | None = None) -> Value:
    """The normal distribution: exp(-x^2/2) (0.46875 + CDF(t))/(1 + |x|) below zero, t = (|x| - 5)/(|x| + 5),
    and one less that above; below 1.2 ULP in both tails."""
    size, power, exponent = bell(b, x, rest)
    one = number(b, x, 1.0)
    # (y - 5)/(y + 5), in the way that rounds least next to -1, where CDF is steep
    t = b.fdiv(size, b.fadd(size, number(b, x, 5.0)))
    t = mul_add(b, t, number(b, x, 2.0), number(b, x, -1.0))
    factor = fast_two_sum(b, number(b, x, 0.46875), polynomial(b, t, table.CDF[x.type.element]))
    below = two_sum(b, one, size)
    inverse = b.fdiv(one, below[0])
    ratio = b.fmul(factor[0], inverse)
    missing = b.fsub(factor[1], remainder(b, ratio, below[0], factor[0]))
    missing = b.fmul(negative_mul_add(b, ratio, below[1], missing), inverse)
    tail = product_and(b, power[0], ratio, mul_add(b, power[1], ratio, b.fmul(power[0], missing)))
    tail = scaled(b, tail, exponent)
    return b.select(b.fcmp("olt", x, number(b, x, 0.0)), tail, b.fsub(one, tail))
