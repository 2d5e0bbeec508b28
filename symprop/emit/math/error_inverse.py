"""erfi, and the inverses of erf and erfc.

erfi: a polynomial of x^2 up to 1, beyond it exp(x^2), the square a pair, times a polynomial for each piece.
The inverses: a polynomial of x^2 where |erf| is at most 1/2; beyond it r + p(r) with r = sqrt(-log(z)) as a
pair, z = 1 - |erf| exact, and a polynomial p for each piece. float32 goes through float64. Coefficients:
`error_inverse_coefficients.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from symprop.emit.builder import Builder, Value
from symprop.emit.math import error_inverse_coefficients as table
from symprop.emit.math.common import (
    INF,
    NAN,
    at_least,
    at_most,
    is_double,
    mul_add,
    number,
    polynomial,
    scaled,
    through_double,
)
from symprop.emit.math.doubledouble import (
    divide_pairs,
    fast_two_sum,
    product_plus,
    square_root_pair,
    two_product,
)
from symprop.emit.math.exponential import power_pair
from symprop.emit.math.power import log_as_pair

__all__ = ["erfcinv", "erfi", "erfinv"]

Rows = Sequence[Sequence[float]]


def by_piece(b: Builder, x: Value, starts: Sequence[float], rows: Rows) -> list[Value]:
    """The row of the piece in which each x lies, as values."""
    items = [number(b, x, c) for c in rows[0]]
    for start, row in zip(starts[1:], rows[1:], strict=True):
        beyond = b.fcmp("oge", x, number(b, x, start))
        items = [b.select(beyond, number(b, x, c), old) for c, old in zip(row, items, strict=True)]
    return items


def by_slope(b: Builder, x: Value, slope: Sequence[float], series: Sequence[float]) -> Value:
    """x (slope + x^2 series(x^2)), the slope as a pair."""
    square = b.fmul(x, x)
    rest = mul_add(b, square, polynomial(b, square, series), number(b, x, slope[1]))
    return mul_add(b, x, number(b, x, slope[0]), b.fmul(x, rest))


def erfi(b: Builder, x: Value) -> Value:
    """The imaginary error function erf(i x)/i, below 2 ULP; infinite from 26.72 on."""
    if not is_double(x):
        return through_double(b, erfi, x)
    size = b.fabs(x)
    one = number(b, x, 1.0)
    near = by_slope(b, at_most(b, size, 1.0), table.ERFI_SLOPE, table.ERFI_NEAR)
    # the powers of two of `scaled` end soon after the results
    large = at_most(b, at_least(b, size, 1.0), 26.72)
    square, error = two_product(b, large, large)
    (high, low), exponent = power_pair(b, square, b.fneg(error))
    middle, first, lacks, *others = by_piece(b, large, table.ERFI_STARTS, table.ERFI)
    outside = b.fcmp("oge", large, number(b, x, table.ERFI_STARTS[-1]))
    t = b.select(outside, b.fdiv(one, square), b.fsub(large, middle))
    factor = product_plus(b, t, polynomial(b, t, others), (first, lacks))
    over = divide_pairs(b, factor, (b.select(outside, large, one), number(b, x, 0.0)))
    beyond = mul_add(b, high, over[1], b.fmul(low, over[0]))
    beyond = scaled(b, mul_add(b, high, over[0], beyond), exponent)
    beyond = b.select(b.fcmp("oge", size, number(b, x, 26.72)), number(b, x, INF), beyond)
    value = b.select(b.fcmp("ogt", size, one), beyond, near)
    return b.copysign(b.select(b.fcmp("uno", x, x), x, value), x)


def erfinv(b: Builder, x: Value) -> Value:
    """The inverse of erf, below 2 ULP; infinite at -1 and 1, NaN beyond."""
    if not is_double(x):
        return through_double(b, erfinv, x)
    return inverse(b, x, b.fsub(number(b, x, 1.0), b.fabs(x)))


def erfcinv(b: Builder, x: Value) -> Value:
    """The inverse of erfc, below 2 ULP; infinite at 0 and 2, NaN outside."""
    if not is_double(x):
        return through_double(b, erfcinv, x)
    one = number(b, x, 1.0)
    # 2 - x is exact where it is used
    other = b.select(b.fcmp("ogt", x, one), b.fsub(number(b, x, 2.0), x), x)
    return inverse(b, b.fsub(one, x), other)


def inverse(b: Builder, value: Value, rest: Value) -> Value:
    """y with erf(y) = value, where the rest is not below 1/2, else erfc(|y|) = rest, y of the sign of the
    value."""
    half, zero = number(b, value, 0.5), number(b, value, 0.0)
    near = by_slope(b, at_most(b, b.fabs(value), 0.5), table.INVERSE_SLOPE, table.INVERSE_NEAR)
    ordinary = b.and_(b.fcmp("ogt", rest, zero), b.fcmp("olt", rest, half))
    log = log_as_pair(b, b.select(ordinary, rest, half))
    root, low = square_root_pair(b, (b.fneg(log[0]), b.fneg(log[1])))
    middle, first, lacks, *others = by_piece(b, root, table.INVERSE_STARTS, table.INVERSE)
    t = b.fsub(root, middle)
    total, error = fast_two_sum(b, root, first)
    # the slope of the polynomial is small, so that the low part of the root counts as itself
    error = b.fadd(error, b.fadd(lacks, low))
    far = b.fadd(total, mul_add(b, t, polynomial(b, t, others), error))
    end = b.select(b.fcmp("oeq", rest, zero), number(b, value, INF), number(b, value, NAN))
    far = b.select(b.fcmp("ogt", rest, zero), far, end)
    return b.copysign(b.select(b.fcmp("oge", rest, half), near, far), value)
