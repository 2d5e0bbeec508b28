"""Differences of the gamma family at two arguments, and the logarithm of the beta function.

With d = a - b, for positive a and b, both raised by the same n to 8 or more (A, B), the recurrence and the
asymptotic series give differences in which all large terms have the sign of d:

    log gamma(a) - log gamma(b) = (B - 1/2) log(1 + d/B) + d (log A - 1) + r(A) - r(B) - log p
    digamma(a) - digamma(b) = log(1 + d/B) + d/(2 A B) + s(A) - s(B) + sum d/((a + k)(b + k))

p is the product of (a + k)/(b + k); r and s are polynomials of 1/A and 1/B, whose difference is d/(A B) times
their divided difference. Derivatives of digamma likewise. Other arguments by the two values. float32 goes
through float64. Coefficients: `gamma_coefficients.py`, `special_coefficients.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from symprop.emit.builder import Builder, Value
from symprop.emit.math import gamma_coefficients, special_coefficients
from symprop.emit.math.beta import FAR, TINY, log_of_pair, positive
from symprop.emit.math.common import at_least, is_double, mul_add, number, through_double
from symprop.emit.math.doubledouble import add_pairs
from symprop.emit.math.gamma import LEAST, digamma, loggamma
from symprop.emit.math.logarithm import log, log1p
from symprop.emit.math.polygamma import polygamma

__all__ = ["GAPS"]

WIDE = 16.0  # beyond this ratio of the arguments their logarithms of gamma have nothing in common


class Sides:
    """The larger and the smaller argument and their distance; both raised by one count to 8 or more."""

    def __init__(self, b: Builder, x: Value, y: Value, d: Value) -> None:
        self.b, self.one = b, number(b, x, 1.0)
        swap = b.fcmp("olt", x, y)
        self.high, self.low = b.select(swap, y, x), b.select(swap, x, y)
        self.sign, self.distance = d, b.fabs(d)
        self.inside = b.fcmp("ogt", self.low, number(b, x, 0.0))
        self.high, self.low = (b.select(self.inside, v, self.one) for v in (self.high, self.low))
        count = number(b, x, 0.0)
        self.steps: list[tuple[Value, Value, Value]] = []  # in use, a + k, b + k
        for k in range(LEAST):
            used = b.fcmp("olt", self.low, number(b, x, float(LEAST - k)))
            count = b.select(used, number(b, x, float(k + 1)), count)
            above, below = (b.fadd(v, number(b, x, float(k))) for v in (self.high, self.low))
            self.steps.append((used, above, below))
        self.above, self.below = b.fadd(self.high, count), b.fadd(self.low, count)
        self.u, self.v = (b.fdiv(self.one, w) for w in (self.above, self.below))

    def over(self, u: Value, v: Value) -> Value:
        """d u v, without an overflow of d v"""
        return self.b.fmul(self.b.fmul(self.distance, u), v)

    def finished(self, value: Value, plain: Value, inside: Value | None = None) -> Value:
        """The difference with its sign; where there is no form by the two values."""
        signed = self.b.select(
            self.b.fcmp("olt", self.sign, number(self.b, value, 0.0)), self.b.fneg(value), value
        )
        return self.b.select(self.inside if inside is None else inside, signed, plain)


def divided_difference(b: Builder, x: Value, y: Value, coefficients: Sequence[float]) -> Value:
    """(p(x) - p(y))/(x - y), by two runs of Horner's rule in one."""
    value = number(b, x, coefficients[-1])
    slope = number(b, x, 0.0)
    for c in reversed(coefficients[:-1]):
        slope = mul_add(b, slope, x, value)
        value = b.fmul(value, y) if c == 0 else mul_add(b, value, y, number(b, y, c))
    return slope


def powers_apart(b: Builder, x: Value, y: Value, n: int) -> Value:
    """(x**n - y**n)/(x - y)"""
    return divided_difference(b, x, y, [0.0] * n + [1.0])


def loggamma_gap(b: Builder, x: Value, y: Value, d: Value) -> Value:
    """log|gamma(x)| - log|gamma(y)|, d = x - y."""
    if not is_double(x):
        return through_double(b, loggamma_gap, x, y, d)
    s = Sides(b, x, y, d)
    near = b.fcmp("ole", s.distance, b.fmul(number(b, x, WIDE), s.low))
    near = b.and_(b.and_(near, s.inside), b.fcmp("olt", s.high, number(b, x, FAR)))
    distance = b.select(near, s.distance, s.one)
    grown = number(b, x, 0.0)  # the product of (a + k)/(b + k) less one
    for used, _, below in s.steps:
        t = b.select(used, b.fdiv(distance, below), number(b, x, 0.0))
        grown = mul_add(b, grown, t, b.fadd(grown, t))
    first = b.fmul(b.fsub(s.below, number(b, x, 0.5)), log1p(b, b.fmul(distance, s.v)))
    second = b.fmul(distance, b.fsub(log(b, s.above), s.one))
    odd = [0.0]
    for c in gamma_coefficients.STIRLING:
        odd += [c, 0.0]
    third = b.fmul(b.fmul(b.fmul(distance, s.u), s.v), divided_difference(b, s.u, s.v, odd[:-1]))
    value = b.fsub(b.fadd(b.fsub(first, third), second), log1p(b, grown))
    return s.finished(value, b.fsub(loggamma(b, x), loggamma(b, y)), near)


def digamma_gap(b: Builder, x: Value, y: Value, d: Value) -> Value:
    """digamma(x) - digamma(y), d = x - y."""
    if not is_double(x):
        return through_double(b, digamma_gap, x, y, d)
    s = Sides(b, x, y, d)
    steps = number(b, x, 0.0)
    for used, above, below in s.steps:
        term = b.fdiv(b.fdiv(s.distance, above), below)
        steps = b.fadd(steps, b.select(used, term, number(b, x, 0.0)))
    # -1/(2 z) + u p(u), u = 1/z**2
    even = [0.0, -0.5]
    for c in gamma_coefficients.DIGAMMA:
        even += [c, 0.0]
    rest = b.fmul(s.over(s.u, s.v), divided_difference(b, s.u, s.v, even[:-1]))
    value = b.fadd(b.fadd(b.fsub(log1p(b, b.fmul(s.distance, s.v)), rest), steps), number(b, x, 0.0))
    return s.finished(value, b.fsub(digamma(b, x), digamma(b, y)))


def polygamma_gap(n: int) -> Callable[..., Value]:
    """The same of the derivative of that order of digamma."""
    series = [math.factorial(n - 1) * c for c in (1.0, n / 2)]
    for c in special_coefficients.POLYGAMMA[str(n)]:
        series += [math.factorial(n - 1) * c, 0.0]
    series = [0.0] * n + series[:-1]

    def emit(b: Builder, x: Value, y: Value, d: Value) -> Value:
        if not is_double(x):
            return through_double(b, emit, x, y, d)
        s = Sides(b, x, y, d)
        steps = number(b, x, 0.0)
        for used, above, below in s.steps:
            u, v = (b.fdiv(s.one, w) for w in (above, below))
            term = b.fmul(s.over(u, v), powers_apart(b, u, v, n + 1))
            steps = b.fadd(steps, b.select(used, term, number(b, x, 0.0)))
        steps = b.fmul(steps, number(b, x, float(math.factorial(n))))
        value = mul_add(b, s.over(s.u, s.v), divided_difference(b, s.u, s.v, series), steps)
        # the sizes fall, and odd orders are positive
        value = b.fneg(value) if n % 2 else value
        function = polygamma(n)
        return s.finished(value, b.fsub(function(b, x), function(b, y)))

    return emit


def log_beta(b: Builder, x: Value, y: Value) -> Value:
    """log|gamma(x) gamma(y)/gamma(x + y)|, of positive arguments in pairs."""
    if not is_double(x):
        return through_double(b, log_beta, x, y)
    one, zero = number(b, x, 1.0), number(b, x, 0.0)
    swap = b.fcmp("ogt", x, y)
    low, high = b.select(swap, y, x), b.select(swap, x, y)
    tiny = b.fcmp("olt", low, number(b, x, TINY))
    inside = b.and_(b.fcmp("ogt", low, zero), b.fcmp("olt", high, number(b, x, FAR)))
    paired = b.and_(inside, b.not_(tiny))
    exponent, factor = positive(
        b, (b.select(paired, low, one), zero), (b.select(paired, high, one), zero), bounded=False
    )
    value = b.fadd(*add_pairs(b, exponent, log_of_pair(b, factor)))
    # 1/low + 1/high next to the pole
    base = at_least(b, b.select(b.and_(inside, tiny), low, one), 5e-324)
    beside = b.fsub(log1p(b, b.fdiv(base, b.select(inside, high, one))), log(b, base))
    value = b.select(tiny, beside, value)
    total = loggamma(b, b.fadd(x, y))
    return b.select(inside, value, b.fsub(b.fadd(loggamma(b, x), loggamma(b, y)), total))


GAPS: dict[str, Callable[..., Value]] = {
    "loggamma_gap": loggamma_gap,
    "digamma_gap": digamma_gap,
    "trigamma_gap": polygamma_gap(1),
    **{f"polygamma_{n}_gap": polygamma_gap(n) for n in (2, 3)},
    "log_beta": log_beta,
}
