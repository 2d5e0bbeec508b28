"""What digamma and trigamma are besides their leading terms: digamma(x) - log(x) and trigamma(x) - 1/x.

From 8 on their asymptotic series without the first term; below, the difference of pairs. Coefficients:
`gamma_coefficients.py`, `special_coefficients.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from symprop.emit.builder import Builder, Value
from symprop.emit.math import gamma_coefficients, special_coefficients
from symprop.emit.math.common import at_least, at_most, is_double, number, polynomial, through_double
from symprop.emit.math.doubledouble import Pair, add_pairs, divide_pairs
from symprop.emit.math.gamma import LEAST, digamma, opposite, positive_digamma, raised
from symprop.emit.math.logarithm import log
from symprop.emit.math.polygamma import polygamma, sum_and_series
from symprop.emit.math.power import log_as_pair

__all__ = ["RESTS"]

TINY = 2.0**-60  # below it the pole at zero is all


def _rest(
    b: Builder, x: Value, near: Callable[[Value], Pair], series: Callable[[Value, Value], Value], plain: Value
) -> Value:
    """The difference of pairs below 8, a series in 1/x and its square above, the plain difference of what is
    not positive."""
    low, border = number(b, x, TINY), number(b, x, float(LEAST))
    inside = at_most(b, at_least(b, x, TINY), float(LEAST))
    inverse = b.fdiv(number(b, x, 1.0), at_least(b, x, float(LEAST)))
    far = series(inverse, b.fmul(inverse, inverse))
    value = b.select(b.fcmp("olt", x, border), b.fadd(*near(inside)), far)
    return b.select(b.fcmp("ogt", x, low), value, plain)


def digamma_rest(b: Builder, x: Value) -> Value:
    """digamma(x) - log(x)"""
    if not is_double(x):
        return through_double(b, digamma_rest, x)

    def near(a: Value) -> Pair:
        return add_pairs(b, positive_digamma(b, a, *raised(b, a)), opposite(b, log_as_pair(b, a)))

    def series(inverse: Value, square: Value) -> Value:
        rest = b.fmul(square, polynomial(b, square, gamma_coefficients.DIGAMMA))
        return b.fsub(rest, b.fmul(inverse, number(b, x, 0.5)))

    return _rest(b, x, near, series, b.fsub(digamma(b, x), log(b, x)))


def trigamma_rest(b: Builder, x: Value) -> Value:
    """trigamma(x) - 1/x"""
    if not is_double(x):
        return through_double(b, trigamma_rest, x)
    one, zero = number(b, x, 1.0), number(b, x, 0.0)

    def near(a: Value) -> Pair:
        whole = sum_and_series(b, a, b.fcmp("olt", a, zero), 1)
        return add_pairs(b, whole, opposite(b, divide_pairs(b, (one, zero), (a, zero))))

    def series(inverse: Value, square: Value) -> Value:
        rest = b.fmul(square, polynomial(b, square, special_coefficients.POLYGAMMA["1"]))
        return b.fmul(inverse, b.fadd(b.fmul(inverse, number(b, x, 0.5)), rest))

    return _rest(b, x, near, series, b.fsub(polygamma(1)(b, x), b.fdiv(one, x)))


RESTS: dict[str, Callable[..., Value]] = {"digamma_rest": digamma_rest, "trigamma_rest": trigamma_rest}
