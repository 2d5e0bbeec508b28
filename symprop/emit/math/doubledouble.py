"""Sums and products with their rounding errors: unevaluated pairs high + low, for float64 and float32.

Sources: T. J. Dekker, A floating-point technique for extending the available precision, 1971; D. E. Knuth,
The Art of Computer Programming 2, 4.2.2. A pair is normal when high = round(high + low).
"""

from __future__ import annotations

from symprop.emit.builder import Builder, Value
from symprop.emit.math.common import mul_add, number

__all__ = [
    "Pair",
    "add_pairs",
    "divide_pairs",
    "fast_two_sum",
    "fused",
    "multiply_pair",
    "multiply_pairs",
    "product_plus",
    "remainder",
    "square_root_pair",
    "two_product",
    "two_sum",
]

Pair = tuple[Value, Value]


def fast_two_sum(b: Builder, x: Value, y: Value) -> Pair:
    """x + y and its error, exact where |x| >= |y| or x = 0."""
    total = b.fadd(x, y)
    return total, b.fadd(b.fsub(x, total), y)


def two_sum(b: Builder, x: Value, y: Value) -> Pair:
    """x + y and its error, exact for all x and y that do not overflow."""
    total = b.fadd(x, y)
    part = b.fsub(total, x)
    return total, b.fadd(b.fsub(x, b.fsub(total, part)), b.fsub(y, part))


def split_in_halves(b: Builder, x: Value) -> Pair:
    """x as a sum of two numbers of half the digits (Veltkamp); |x| below 2^996 (2^115)."""
    scaled = b.fmul(x, number(b, x, 134217729.0 if x.type.element == "double" else 4097.0))
    high = b.fsub(scaled, b.fsub(scaled, x))
    return high, b.fsub(x, high)


def two_product(b: Builder, x: Value, y: Value) -> Pair:
    """x y and its error: one fused operation, or Dekker's product where the target has none."""
    product = b.fmul(x, y)
    return product, remainder(b, x, y, product)


def remainder(b: Builder, x: Value, y: Value, product: Value) -> Value:
    """x y - product without loss where the result is a float: product is near x y."""
    if b.target.fma:
        return b.fma(x, y, b.fneg(product))
    xh, xl = split_in_halves(b, x)
    yh, yl = split_in_halves(b, y)
    error = b.fsub(b.fmul(xh, yh), product)
    error = b.fadd(b.fadd(error, b.fmul(xh, yl)), b.fmul(xl, yh))
    return b.fadd(error, b.fmul(xl, yl))


def fused(b: Builder, x: Value, y: Value, z: Value) -> Value:
    """x y + z, rounded once or nearly so on targets without a fused operation."""
    if b.target.fma:
        return b.fma(x, y, z)
    product, low = two_product(b, x, y)
    # next to subnormal numbers the halves of the product have no digits left
    least = number(b, x, 2.0 ** (-960 if x.type.element == "double" else -100))
    low = b.select(b.fcmp("olt", b.fabs(product), least), number(b, x, 0.0), low)
    total, rest = two_sum(b, z, product)
    return b.fadd(total, b.fadd(rest, low))


def product_plus(
    b: Builder, x: Value, y: Value, start: tuple[Value, Value | None], exact: bool = False
) -> Pair:
    """start + x y as a pair, |start| the larger one; without a fused operation x y is rounded, unless it is
    asked for exactly."""
    high, low = start
    if b.target.fma:
        total = b.fma(x, y, high)
        error = b.fma(x, y, b.fsub(high, total))
    else:
        product = b.fmul(x, y)
        total, error = fast_two_sum(b, high, product)
        error = b.fadd(error, remainder(b, x, y, product)) if exact else error
    return total, error if low is None else b.fadd(error, low)


def multiply_pair(b: Builder, x: Pair, y: Value) -> Pair:
    """A pair times a number, error 2^-104 relative."""
    high, low = two_product(b, x[0], y)
    return fast_two_sum(b, high, mul_add(b, x[1], y, low))


def multiply_pairs(b: Builder, x: Pair, y: Pair) -> Pair:
    """Pair times pair, error 2^-103 relative."""
    high, low = two_product(b, x[0], y[0])
    low = mul_add(b, x[1], y[0], mul_add(b, x[0], y[1], low))
    return fast_two_sum(b, high, low)


def add_pairs(b: Builder, x: Pair, y: Pair, larger: bool = False) -> Pair:
    """Pair plus pair; where they do not cancel the error is 2^-103 relative. `larger` says that the first
    one is, or 0."""
    high, low = fast_two_sum(b, x[0], y[0]) if larger else two_sum(b, x[0], y[0])
    return fast_two_sum(b, high, b.fadd(low, b.fadd(x[1], y[1])))


def divide_pairs(b: Builder, x: Pair, y: Pair) -> Pair:
    """x / y with one division: the quotient from the reciprocal, its remainder as the correction."""
    inverse = b.fdiv(number(b, x[0], 1.0), y[0])
    quotient = b.fmul(x[0], inverse)
    rest = b.fsub(x[1], remainder(b, quotient, y[0], x[0]))
    rest = b.fsub(rest, b.fmul(quotient, y[1]))
    return fast_two_sum(b, quotient, b.fmul(rest, inverse))


def square_root_pair(b: Builder, x: Pair) -> Pair:
    """The root of a positive pair: the rounded root and what is missing in its square."""
    root = b.sqrt(x[0])
    rest = b.fsub(x[1], remainder(b, root, root, x[0]))
    return fast_two_sum(b, root, b.fdiv(b.fmul(rest, number(b, root, 0.5)), root))
