"""The derivatives of digamma: trigamma, and polygamma of orders 2 to 4.

With s = (-1)^(n+1), s psi_n is positive for positive arguments: n! times the sum of (x + k)^-(n+1) up to 8,
then an asymptotic series. Negative arguments by reflection: derivatives of pi cot(pi x) are polynomials of
the cotangent. float32 goes through float64. Coefficients: `special_coefficients.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from symprop.emit.builder import Builder, Value
from symprop.emit.math import special_coefficients as table
from symprop.emit.math.common import INF, NAN, is_double, number, polynomial, through_double
from symprop.emit.math.gamma import LEAST, sine_and_cosine_of_pi

__all__ = ["ORDERS", "polygamma"]

ORDERS = (1, 2, 3, 4)


def polygamma(order: int) -> Callable[[Builder, Value], Value]:
    """The emitting function of the derivative of that order of digamma: below 4 ULP for x > 0, infinite at
    zero, for odd orders infinite at negative whole numbers too, else NaN there."""

    def emit(b: Builder, x: Value) -> Value:
        return of_double(b, x, order) if is_double(x) else through_double(b, emit, x)

    return emit


def of_double(b: Builder, x: Value, n: int) -> Value:
    one, zero = number(b, x, 1.0), number(b, x, 0.0)
    negative = b.fcmp("olt", x, zero)
    a = b.fabs(x)
    # of a negative argument the value at 1 - x is needed: the sum without its first term
    count, terms = zero, []
    for k in range(LEAST):
        used = b.fcmp("olt", a, number(b, x, float(LEAST - k)))
        count = b.select(used, number(b, x, float(k + 1)), count)
        used = b.and_(used, b.not_(negative)) if k == 0 else used
        terms.append(b.select(used, inverse_power(b, b.fadd(a, number(b, x, float(k))), n + 1), zero))
    far = b.fcmp("oge", a, number(b, x, float(LEAST)))
    first = b.select(b.and_(far, negative), inverse_power(b, a, n + 1), zero)
    total = b.fneg(first)
    for term in reversed(terms):
        total = b.fadd(total, term)
    total = b.fmul(total, number(b, x, float(math.factorial(n))))
    inverse = b.fdiv(one, b.fadd(a, count))
    u = b.fmul(inverse, inverse)
    series = b.fmul(u, polynomial(b, u, table.POLYGAMMA[str(n)]))
    series = b.fadd(b.fadd(b.fmul(inverse, number(b, x, n / 2)), series), one)
    series = b.fmul(series, number(b, x, float(math.factorial(n - 1))))
    positive = b.fadd(total, b.fmul(series, inverse_power(b, b.fadd(a, count), n)))
    value = positive if n % 2 else b.fneg(positive)
    # psi_n(x) = -(derivative n of pi cot(pi x)) + (-1)^n psi_n(1 - x), psi_n(1 - x) = (-1)^(n+1) positive
    reflected = b.fneg(b.fadd(cotangent_derivative(b, a, n), positive))
    value = b.select(negative, reflected, value)
    whole = b.and_(b.fcmp("oeq", b.floor(a), a), b.fcmp("ole", x, zero))
    at_pole = number(b, x, INF if n % 2 else NAN)
    value = b.select(whole, at_pole, value)
    if n % 2 == 0:  # -inf at +0, inf at -0
        value = b.select(b.fcmp("oeq", x, zero), b.fdiv(number(b, x, -1.0), x), value)
    value = b.select(b.fcmp("oeq", x, number(b, x, INF)), zero if n % 2 else b.fneg(zero), value)
    return b.select(b.fcmp("oeq", x, number(b, x, -INF)), number(b, x, NAN), value)


def inverse_power(b: Builder, y: Value, n: int) -> Value:
    """y^-n"""
    power = y
    for _ in range(n - 1):
        power = b.fmul(power, y)
    return b.fdiv(number(b, y, 1.0), power)


def cotangent_derivative(b: Builder, a: Value, n: int) -> Value:
    """The derivative of order n of pi cot(pi x) at x = -a; a is no whole number."""
    coefficients = [0, 1]  # as a polynomial of the cotangent c, whose derivative is -pi (1 + c^2)
    for _ in range(n):
        slope = [k * number_of for k, number_of in enumerate(coefficients)][1:]
        coefficients = [0] * (len(slope) + 2)
        for k, part in enumerate(slope):
            coefficients[k] -= part
            coefficients[k + 2] -= part
    (sine, _), (cosine, _), _ = sine_and_cosine_of_pi(b, a)
    zero = number(b, a, 0.0)
    size = b.fdiv(cosine, b.select(b.fcmp("oeq", sine, zero), number(b, a, 1.0), sine))
    # the cotangent of pi a is positive in the first half between whole numbers, that of -pi a in the second
    below = b.fcmp("olt", b.fsub(a, b.floor(a)), number(b, a, 0.5))
    c = b.select(below, b.fneg(size), size)
    scale = math.pi ** (n + 1)
    return b.fmul(polynomial(b, c, [float(k) for k in coefficients]), number(b, a, scale))
