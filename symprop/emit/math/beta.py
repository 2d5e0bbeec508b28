"""The beta function B(x, y) = gamma(x) gamma(y)/gamma(x + y).

For positive arguments, with A the larger one raised to 8 or more, B the smaller one raised by n to 8 or more,
and s the smaller one itself, Stirling's series gives

    log B(A, s) = -(A - 1/2) log(1 + s/A) - s log((A + s)/B) + (n - 1/2) log B - n + log(2 pi)/2 + small,

in which nothing cancels, times products for what was raised. Negative arguments by reflection. All in pairs,
since errors of logarithms are multiplied by A, and that of x + y by the slope of gamma. float32 goes through
float64.
"""

from __future__ import annotations

from typing import NamedTuple

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients
from symprop.emit.math import gamma_coefficients as table
from symprop.emit.math.common import (
    INF,
    NAN,
    at_least,
    at_most,
    is_double,
    number,
    polynomial,
    scaled,
    through_double,
)
from symprop.emit.math.doubledouble import (
    Pair,
    add_pairs,
    divide_pairs,
    fast_two_sum,
    multiply_pair,
    multiply_pairs,
    two_sum,
)
from symprop.emit.math.exponential import exp_pair
from symprop.emit.math.gamma import LEAST, choose, opposite, pair_of, sine_and_cosine_of_pi
from symprop.emit.math.power import log_as_pair, log_from_ratio

__all__ = ["beta"]

TINY = 2.0**-70  # an argument below it counts by its inverse only
FAR = 2.0**900


def constant(b: Builder, x: Value, value: float) -> Pair:
    """A number as a pair."""
    return number(b, x, value), number(b, x, 0.0)


def log_of_pair(b: Builder, x: Pair) -> Pair:
    """log x of a positive pair."""
    high, low = log_as_pair(b, x[0])
    return fast_two_sum(b, high, b.fadd(low, b.fdiv(x[1], x[0])))


def log_of_one_plus(b: Builder, u: Pair) -> Pair:
    """log(1 + u), 0 <= u <= 1, with as many digits for small u."""
    upper = b.fcmp("ogt", u[0], number(b, u[0], 0.5))
    # log(1 + u) = log 2 + log(1 + (u - 1)/2) above 1/2
    top = choose(b, upper, add_pairs(b, constant(b, u[0], -1.0), u), u)
    bottom = choose(b, upper, constant(b, u[0], 3.0), constant(b, u[0], 2.0))
    fraction = log_from_ratio(b, divide_pairs(b, top, add_pairs(b, bottom, u)))
    ln2 = pair_of(b, u[0], coefficients.LN2_PAIR["double"])
    return choose(b, upper, add_pairs(b, ln2, fraction), fraction)


def stirling_rest(b: Builder, y: Value) -> Value:
    """log gamma(y) - ((y - 1/2) log y - y + log(2 pi)/2), y >= 8."""
    inverse = b.fdiv(number(b, y, 1.0), y)
    return b.fmul(inverse, polynomial(b, b.fmul(inverse, inverse), table.STIRLING))


def raise_to_least(b: Builder, x: Pair) -> tuple[Pair, Value, list[tuple[Value, Pair]]]:
    """x + n >= 8, n, and for k = 0 .. 7 the mask k < n with x + k."""
    count = number(b, x[0], 0.0)
    factors = []
    for k in range(LEAST):
        used = b.fcmp("olt", x[0], number(b, x[0], float(LEAST - k)))
        count = b.select(used, number(b, x[0], float(k + 1)), count)
        factors.append((used, add_pairs(b, constant(b, x[0], float(k)), x) if k else x))
    raised = two_sum(b, count, x[0])
    return fast_two_sum(b, raised[0], b.fadd(raised[1], x[1])), count, factors


def product(b: Builder, factors: list[tuple[Value, Pair]], shift: Pair | None = None) -> Pair:
    """The product of the factors in use, each with `shift` added."""
    one = constant(b, factors[0][1][0], 1.0)
    total = one
    for used, factor in factors:
        factor = factor if shift is None else add_pairs(b, factor, shift)
        total = multiply_pairs(b, total, choose(b, used, factor, one))
    return total


def positive(b: Builder, x: Pair, y: Pair, bounded: bool = True) -> tuple[Pair, Pair]:
    """L and F with B(x, y) = F exp(L), x and y positive and not tiny; `bounded` where exp(L) alone counts."""
    swap = b.fcmp("olt", x[0], y[0])
    large, small = choose(b, swap, y, x), choose(b, swap, x, y)
    if bounded:  # two large arguments give nothing long before 2^20
        huge = b.fcmp("ogt", small[0], number(b, small[0], 2.0**20))
        small = choose(b, huge, constant(b, small[0], 2.0**20), small)
    a, _, above = raise_to_least(b, large)
    c, count, below = raise_to_least(b, small)
    # products stay finite: of what is raised nothing is larger than 16
    top = product(b, above, small)
    bottom = multiply_pairs(b, product(b, above), product(b, below))
    factor = divide_pairs(b, top, bottom)
    one, half = number(b, a[0], 1.0), number(b, a[0], 0.5)
    far = b.fcmp("ogt", a[0], number(b, a[0], FAR))
    finite = choose(b, far, constant(b, a[0], FAR), a)
    first = log_of_one_plus(b, divide_pairs(b, small, finite))
    first = multiply_pairs(b, first, add_pairs(b, finite, constant(b, half, -0.5)))
    # log((A + s)/B), far out with A 2^-128
    scale = b.select(far, number(b, one, 2.0**-128), one)
    total = add_pairs(b, a, small)
    ratio = divide_pairs(b, (b.fmul(total[0], scale), b.fmul(total[1], scale)), c)
    second = log_of_pair(b, ratio)
    ln2 = pair_of(b, one, coefficients.LN2_PAIR["double"])
    back = b.select(far, number(b, one, 128.0), number(b, one, 0.0))
    second = add_pairs(b, second, multiply_pair(b, ln2, back))
    second = multiply_pairs(b, second, small)
    third = multiply_pair(b, log_of_pair(b, c), b.fsub(count, half))
    exponent = opposite(b, add_pairs(b, first, second))
    exponent = add_pairs(b, exponent, third)
    exponent = add_pairs(b, exponent, two_sum(b, b.fneg(count), number(b, one, table.HALF_LOG_2_PI[0])))
    rest = b.fsub(b.fadd(stirling_rest(b, a[0]), stirling_rest(b, c[0])), stirling_rest(b, total[0]))
    rest = b.fadd(rest, number(b, one, table.HALF_LOG_2_PI[1]))
    return fast_two_sum(b, exponent[0], b.fadd(exponent[1], rest)), factor


class Sine(NamedTuple):
    """sin(pi v): its size, whether it is negative, whether v is a whole number."""

    size: Pair
    minus: Value
    whole: Value


def sine_of_pi(b: Builder, v: Pair) -> Sine:
    """sin(pi v)"""
    negative = b.fcmp("olt", v[0], number(b, v[0], 0.0))
    a = choose(b, negative, opposite(b, v), v)
    size, _, odd = sine_and_cosine_of_pi(b, a[0], a[1])
    whole = b.fcmp("oeq", size[0], number(b, v[0], 0.0))
    return Sine(size, b.xor(odd, negative), whole)


def beta(b: Builder, x: Value, y: Value) -> Value:
    """B(x, y), below 2 ULP; NaN at poles."""
    if not is_double(x):
        return through_double(b, beta, x, y)
    swap = b.fcmp("ogt", x, y)
    x, y = b.select(swap, y, x), b.select(swap, x, y)
    value = of_sorted(b, x, y)
    zero, infinite = number(b, x, 0.0), number(b, x, INF)
    value = b.select(b.and_(b.fcmp("oeq", y, infinite), b.fcmp("ogt", x, zero)), zero, value)
    value = b.select(b.fcmp("oeq", x, b.fneg(infinite)), number(b, x, NAN), value)
    return b.select(b.fcmp("uno", x, y), b.fadd(x, y), value)


def of_sorted(b: Builder, x: Value, y: Value) -> Value:
    """B(x, y), x <= y: by B of the positive arguments p and q.

    For x < 0 these are 1 - x, x + y, turned over, while x + y > 0; else y, 1 - x - y; and for y < 0 they are
    1 - x, 1 - y, turned over.
    """
    zero, one = number(b, x, 0.0), number(b, x, 1.0)
    negative, both = b.fcmp("olt", x, zero), b.fcmp("olt", y, zero)
    total = two_sum(b, x, y)
    sunk = b.fcmp("ole", total[0], zero)
    turned = b.and_(negative, b.or_(both, b.not_(sunk)))
    above = add_pairs(b, (one, zero), opposite(b, total))  # 1 - x - y
    p = choose(b, turned, two_sum(b, one, b.fneg(x)), (b.select(negative, y, x), zero))
    q = choose(b, both, two_sum(b, one, b.fneg(y)), choose(b, sunk, above, total))
    q = choose(b, negative, q, (y, zero))
    least, most = number(b, x, TINY), number(b, x, 1.7e308)
    tiny = b.or_(b.fcmp("olt", p[0], least), b.fcmp("olt", q[0], least))
    p_inside, q_inside = (
        choose(b, b.or_(tiny, b.fcmp("ogt", v[0], most)), (b.select(tiny, one, most), zero), v)
        for v in (p, q)
    )
    exponent, factor = positive(b, p_inside, q_inside)
    exponent = choose(b, turned, opposite(b, exponent), exponent)
    factor = choose(b, turned, divide_pairs(b, (one, zero), factor), factor)
    # what reflection puts in front
    front, minus, pole = reflection(b, (x, y), total, above, (negative, both, sunk, turned))
    factor = multiply_pairs(b, factor, front)
    # the exponential may lie beyond the range of which the factor takes it back
    bounded = at_least(b, at_most(b, exponent[0], 1415.0), -1415.0)
    rest = b.select(b.fcmp("oeq", bounded, exponent[0]), exponent[1], zero)
    pair, bits = exp_pair(b, bounded, rest)
    value = scaled(b, b.fadd(*multiply_pairs(b, pair, factor)), bits)
    # next to the poles at zero B(p, q) = 1/p + 1/q
    inverse = b.select(turned, q[0], b.fadd(b.fdiv(one, p[0]), b.fdiv(one, q[0])))
    value = b.select(tiny, b.fmul(inverse, front[0]), value)
    value = b.select(minus, b.fneg(value), value)
    return b.select(pole, number(b, x, NAN), value)


def reflection(
    b: Builder, xy: Pair, total: Pair, above: Pair, masks: tuple[Value, Value, Value, Value]
) -> tuple[Pair, Value, Value]:
    """What stands before B of the positive arguments, where it is negative, and where x is a pole.

    1; pi/(y sin(pi x)); sin(pi (x + y))/sin(pi x); pi sin(pi (x + y))/((1 - x - y) sin(pi x) sin(pi y)).
    """
    (x, y), (negative, both, sunk, turned) = xy, masks
    one = constant(b, x, 1.0)
    sine_x, sine_y, sine_total = (sine_of_pi(b, v) for v in ((x, one[1]), (y, one[1]), total))
    # x and y whole numbers and x + y <= 0 < y: the quotient of sines is 1 or -1
    limit = b.and_(b.and_(sine_x.whole, sine_total.whole), b.and_(sunk, b.not_(both)))
    pole = b.and_(b.and_(negative, sine_x.whole), b.not_(limit))
    pole = b.or_(pole, b.and_(both, sine_y.whole))
    bottom = choose(b, b.or_(b.not_(negative), sine_x.whole), one, sine_x.size)
    bottom = multiply_pairs(b, bottom, choose(b, b.and_(both, b.not_(sine_y.whole)), sine_y.size, one))
    other = choose(b, both, above, choose(b, turned, (y, one[1]), one))
    bottom = multiply_pairs(b, bottom, other)
    top = choose(b, b.and_(b.and_(negative, sunk), b.not_(limit)), sine_total.size, one)
    top = multiply_pairs(b, top, choose(b, turned, pair_of(b, x, table.PI), one))
    minus = b.and_(negative, sine_x.minus)
    minus = b.xor(minus, b.and_(both, sine_y.minus))
    at_zero = b.fcmp("oeq", total[0], number(b, x, 0.0))  # as just below it
    below = b.or_(sine_total.minus, at_zero)
    minus = b.xor(minus, b.and_(b.and_(negative, sunk), below))
    return divide_pairs(b, top, bottom), minus, pole
