"""The derivatives of digamma: trigamma, and polygamma of orders 2 to 4.

With s = (-1)^(n+1), s psi_n is positive for positive arguments: n! times the sum of (x + k)^-(n+1) up to 8,
as one fraction, then an asymptotic series. Negative arguments by reflection: derivatives of pi cot(pi x) are
polynomials of the cotangent. All in pairs. float32 goes through float64. Coefficients:
`special_coefficients.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from symprop.emit.builder import Builder, Value
from symprop.emit.math import special_coefficients as table
from symprop.emit.math.common import (
    INF,
    NAN,
    at_least,
    at_most,
    is_double,
    mul_add,
    nearest,
    number,
    polynomial,
    through_double,
)
from symprop.emit.math.doubledouble import (
    Pair,
    add_pairs,
    divide_pairs,
    multiply_pair,
    multiply_pairs,
    two_sum,
)
from symprop.emit.math.gamma import LEAST, choose, opposite, pair_of, sine_and_cosine_of_pi

__all__ = ["ORDERS", "polygamma"]

ORDERS = (1, 2, 3, 4)
TINY = 2.0**-60  # below it only the pole at zero counts
FAR = 2.0**900  # above it pairs overflow, and trigamma(x) is 1/x, the others nothing


def polygamma(order: int) -> Callable[[Builder, Value], Value]:
    """The emitting function of the derivative of that order of digamma: below 1.1 ULP for x > 0, and for
    x < 0 too but next to the zeros of even orders, where the error is as small beside the size of the
    terms; infinite at zero, for odd orders infinite at negative whole numbers too, else NaN there."""

    def emit(b: Builder, x: Value) -> Value:
        return of_double(b, x, order) if is_double(x) else through_double(b, emit, x)

    return emit


def of_double(b: Builder, x: Value, n: int) -> Value:
    """psi_n of float64."""
    zero, one = number(b, x, 0.0), number(b, x, 1.0)
    negative = b.fcmp("olt", x, zero)
    size = b.fabs(x)
    tiny = b.fcmp("olt", size, number(b, x, TINY))
    a = b.select(tiny, one, at_most(b, size, FAR))
    positive = sum_and_series(b, a, negative, n)
    # psi_n(x) = -(derivative n of pi cot(pi x)) + (-1)^n psi_n(1 - x), psi_n(1 - x) = (-1)^(n+1) positive
    reflected = opposite(b, add_pairs(b, cotangent_derivative(b, a, n), positive))
    value = b.fadd(*choose(b, negative, reflected, positive if n % 2 else opposite(b, positive)))
    value = b.select(tiny, beside_zero(b, x, n), value)
    if n == 1:
        value = b.select(b.fcmp("ogt", x, number(b, x, FAR)), b.fdiv(one, x), value)
    whole = b.and_(b.fcmp("oeq", nearest(b, a), a), negative)
    whole = b.and_(whole, b.not_(tiny))
    value = b.select(whole, number(b, x, INF if n % 2 else NAN), value)
    value = b.select(b.fcmp("oeq", x, number(b, x, INF)), zero if n % 2 else b.fneg(zero), value)
    return b.select(b.fcmp("oeq", x, number(b, x, -INF)), number(b, x, NAN), value)


def beside_zero(b: Builder, x: Value, n: int) -> Value:
    """(-1)^(n+1) n! x^-(n+1), what psi_n is next to its pole at zero."""
    # below it the result overflows, and pairs would too
    base = b.copysign(at_least(b, b.fabs(x), 2.0 ** -(1024 // (n + 1) + 1)), x)
    inverse = divide_pairs(b, (number(b, x, 1.0), number(b, x, 0.0)), (base, number(b, x, 0.0)))
    powers = power_of_pair(b, inverse, n)
    small = mul_add(b, powers[0], inverse[1], b.fmul(powers[1], inverse[0]))
    value = mul_add(b, powers[0], inverse[0], small)
    return b.fmul(value, number(b, x, float((-1) ** (n + 1) * math.factorial(n))))


def power_of_pair(b: Builder, x: Pair, n: int) -> Pair:
    """x^n"""
    total = x
    for _ in range(n - 1):
        total = multiply_pairs(b, total, x)
    return total


def sum_and_series(b: Builder, a: Value, negative: Value, n: int) -> Pair:
    """|psi_n(a)|, and |psi_n(1 + a)| where `negative`."""
    zero, one = number(b, a, 0.0), number(b, a, 1.0)
    count, top, bottom = zero, (zero, zero), (one, zero)
    for k in range(LEAST):
        used = b.fcmp("olt", a, number(b, a, float(LEAST - k)))
        count = b.select(used, number(b, a, float(k + 1)), count)
        used = b.and_(used, b.not_(negative)) if k == 0 else used
        factor = power_of_pair(b, two_sum(b, a, number(b, a, float(k))), n + 1)
        next_top = add_pairs(b, multiply_pairs(b, top, factor), bottom)
        top = choose(b, used, next_top, top)
        bottom = choose(b, used, multiply_pairs(b, bottom, factor), bottom)
    # far out the term of a itself is left out by taking it away again
    far = b.and_(b.fcmp("oge", a, number(b, a, float(LEAST))), negative)
    y = two_sum(b, count, a)
    inverse = divide_pairs(b, (one, zero), y)
    powers = power_of_pair(b, inverse, n)
    first = opposite(b, multiply_pairs(b, powers, inverse))
    total = choose(b, far, first, divide_pairs(b, top, bottom))
    total = multiply_pair(b, total, number(b, a, float(math.factorial(n))))
    u = b.fmul(inverse[0], inverse[0])
    rest = b.fmul(u, polynomial(b, u, table.POLYGAMMA[str(n)]))
    half = multiply_pair(b, inverse, number(b, a, n / 2))
    series = add_pairs(b, two_sum(b, one, rest), half)
    series = multiply_pair(b, series, number(b, a, float(math.factorial(n - 1))))
    return add_pairs(b, total, multiply_pairs(b, series, powers))


def cotangent_derivative(b: Builder, a: Value, n: int) -> Pair:
    """The derivative of order n of pi cot(pi x) at x = -a; a is no whole number."""
    coefficients = [0, 1]  # as a polynomial of the cotangent c, whose derivative is -pi (1 + c^2)
    for _ in range(n):
        slope = [k * number_of for k, number_of in enumerate(coefficients)][1:]
        coefficients = [0] * (len(slope) + 2)
        for k, part in enumerate(slope):
            coefficients[k] -= part
            coefficients[k + 2] -= part
    sine, cosine, _ = sine_and_cosine_of_pi(b, a)
    one, zero = number(b, a, 1.0), number(b, a, 0.0)
    size = divide_pairs(b, cosine, choose(b, b.fcmp("oeq", sine[0], zero), (one, zero), sine))
    # every other coefficient is zero, the others have one sign: no digits are lost
    value = even_polynomial(b, multiply_pairs(b, size, size), coefficients[(n + 1) % 2 :: 2])
    if n % 2 == 0:
        value = multiply_pairs(b, value, size)
        # cot(pi a) is positive in the first half between whole numbers, that of -pi a in the second
        below = b.fcmp("olt", b.fsub(a, nearest(b, a)), zero)
        value = choose(b, below, value, opposite(b, value))
    scale = pair_of(b, a, table.POWERS_OF_PI[str(n + 1)])
    return multiply_pairs(b, value, scale)


def even_polynomial(b: Builder, square: Pair, coefficients: Sequence[int]) -> Pair:
    """The polynomial of a pair with whole coefficients, by Horner's rule."""
    zero = number(b, square[0], 0.0)
    constants = [(number(b, square[0], float(c)), zero) for c in coefficients]
    total = constants[-1]
    for constant in reversed(constants[:-1]):
        total = add_pairs(b, multiply_pairs(b, total, square), constant)
    return total
