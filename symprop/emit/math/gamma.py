"""gamma, log|gamma| and digamma.

Stirling's series for y >= 8, smaller arguments by the recurrence gamma(y) = gamma(y + n)/(y ... (y + n - 1)),
negative ones by reflection gamma(-a) = -pi/(a sin(pi a) gamma(a)), all in pairs; polynomials next to the
zeros of log gamma at 1 and 2 and to the positive zero of digamma. Next to the zeros at negative arguments the
error is a few units of 2^-56 absolute, not relative. float32 goes through float64. Coefficients:
`gamma_coefficients.py`.
"""

from __future__ import annotations

from symprop.emit.builder import Builder, Value
from symprop.emit.math import gamma_coefficients as table
from symprop.emit.math.common import (
    INF,
    NAN,
    at_most,
    is_double,
    mul_add,
    nearest,
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
from symprop.emit.math.power import log_as_pair
from symprop.emit.math.trigonometric import cosine, sine

__all__ = ["digamma", "gamma", "loggamma"]

LEAST = 8  # from here on Stirling's series is used


def pair_of(b: Builder, x: Value, constants: tuple[float, ...]) -> Pair:
    """A pair of constants of the type of x."""
    return number(b, x, constants[0]), number(b, x, constants[1])


def choose(b: Builder, mask: Value, x: Pair, y: Pair) -> Pair:
    """x where the mask is true, else y."""
    return b.select(mask, x[0], y[0]), b.select(mask, x[1], y[1])


def opposite(b: Builder, x: Pair) -> Pair:
    """-x"""
    return b.fneg(x[0]), b.fneg(x[1])


def raised(b: Builder, a: Value) -> tuple[Pair, list[tuple[Value, Pair]]]:
    """a + n >= 8 as a pair, and for k = 0 .. 7 the mask k < n with the factor a + k."""
    count = number(b, a, 0.0)
    factors = []
    for k in range(LEAST):
        used = b.fcmp("olt", a, number(b, a, float(LEAST - k)))
        count = b.select(used, number(b, a, float(k + 1)), count)
        factors.append((used, two_sum(b, a, number(b, a, float(k)))))
    return two_sum(b, count, a), factors


def rising_product(b: Builder, factors: list[tuple[Value, Pair]]) -> Pair:
    """The product of the factors but the first."""
    one = number(b, factors[0][1][0], 1.0), number(b, factors[0][1][0], 0.0)
    total = one
    for used, factor in factors[1:]:
        total = multiply_pairs(b, total, choose(b, used, factor, one))
    return total


def stirling(b: Builder, y: Pair) -> Pair:
    """log gamma(y), y >= 8."""
    high, low = y
    log = log_as_pair(b, high)
    main = multiply_pair(b, log, b.fsub(high, number(b, high, 0.5)))
    total = add_pairs(b, main, two_sum(b, b.fneg(high), number(b, high, table.HALF_LOG_2_PI[0])))
    inverse = b.fdiv(number(b, high, 1.0), high)
    series = b.fmul(inverse, polynomial(b, b.fmul(inverse, inverse), table.STIRLING))
    # d log gamma(y)/dy = log y - 1/(2 y) - ..., for the rounding error of y
    slope = mul_add(b, inverse, number(b, high, -0.5), log[0])
    small = b.fadd(mul_add(b, low, slope, number(b, high, table.HALF_LOG_2_PI[1])), series)
    return fast_two_sum(b, total[0], b.fadd(total[1], small))


def sine_and_cosine_of_pi(b: Builder, a: Value, rest: Value | None = None) -> tuple[Pair, Pair, Value]:
    """|sin(pi a)| and |cos(pi a)| as pairs, and a mask of lanes where floor(a) is odd, for a >= 0; of
    a + rest where that is given."""
    whole = nearest(b, a)
    fraction = b.fsub(a, whole)
    if rest is not None:
        fraction, rest = two_sum(b, fraction, rest)
        rest = b.select(b.fcmp("olt", fraction, number(b, a, 0.0)), b.fneg(rest), rest)
    size = b.fabs(fraction)
    turned = b.fcmp("ogt", size, number(b, a, 0.25))
    part = b.select(turned, b.fsub(number(b, a, 0.5), size), size)
    r, low = multiply_pair(b, pair_of(b, a, table.PI), part)
    if rest is not None:
        low = mul_add(b, number(b, a, table.PI[0]), b.select(turned, b.fneg(rest), rest), low)
    s = fast_two_sum(b, *sine(b, r, low, short=False))
    c = fast_two_sum(b, *cosine(b, r, low, short=False))
    # floor(a) is the nearest whole number or the one below
    below = b.select(b.fcmp("olt", fraction, number(b, a, 0.0)), number(b, a, -1.0), number(b, a, 0.0))
    half = b.fmul(b.fadd(whole, below), number(b, a, 0.5))
    odd = b.fcmp("one", nearest(b, half), half)
    return choose(b, turned, c, s), choose(b, turned, s, c), odd


def over_sine(b: Builder, a: Value, product: Pair, sines: Pair) -> Pair:
    """product/sin(pi a) of a reflected argument below 8, 1/(a sin(pi a)) of one above."""
    one, zero = number(b, a, 1.0), number(b, a, 0.0)
    large = b.fcmp("oge", a, number(b, a, float(LEAST)))
    bottom = choose(b, large, multiply_pair(b, sines, b.select(large, a, one)), sines)
    return divide_pairs(b, choose(b, large, (one, zero), product), bottom)


def gamma(b: Builder, x: Value) -> Value:
    """The gamma function, below 1 ULP; NaN at negative whole numbers."""
    if not is_double(x):
        return through_double(b, gamma, x)
    one, zero = number(b, x, 1.0), number(b, x, 0.0)
    negative = b.fcmp("olt", x, zero)
    size = b.fabs(x)
    tiny = b.fcmp("olt", size, number(b, x, 2.0**-60))
    a = b.select(tiny, one, at_most(b, size, 190.0))
    y, factors = raised(b, a)
    power = stirling(b, y)
    product = rising_product(b, factors)
    sines, _, odd = sine_and_cosine_of_pi(b, size)
    whole = b.fcmp("oeq", sines[0], zero)
    sines = choose(b, whole, (one, zero), sines)
    # exp(power)/(a product), or -pi exp(-power) product/sin(pi a)
    top, error = choose(b, negative, opposite(b, power), power)
    (high, low), bits = exp_pair(b, top, error)
    reflected = multiply_pairs(b, pair_of(b, x, table.PI), over_sine(b, a, product, sines))
    small = b.fcmp("olt", a, number(b, x, float(LEAST)))
    bottom = choose(b, small, multiply_pair(b, product, b.select(small, a, one)), (one, zero))
    factor = choose(b, negative, reflected, divide_pairs(b, (one, zero), bottom))
    value = scaled(b, b.fadd(*multiply_pairs(b, (high, low), factor)), bits)
    # gamma(-a) has the sign of -sin(pi a)
    value = b.select(b.and_(negative, b.not_(odd)), b.fneg(value), value)
    value = b.select(b.and_(negative, whole), number(b, x, NAN), value)
    value = b.select(tiny, b.fdiv(one, x), value)
    value = b.select(b.fcmp("ogt", x, number(b, x, 171.7)), number(b, x, INF), value)
    return b.select(b.fcmp("oeq", x, number(b, x, -INF)), number(b, x, NAN), value)


def loggamma(b: Builder, x: Value) -> Value:
    """log|gamma(x)|, below 2.5 ULP for x > 0; inf at zero and at negative whole numbers."""
    if not is_double(x):
        return through_double(b, loggamma, x)
    one, zero, infinite = number(b, x, 1.0), number(b, x, 0.0), number(b, x, INF)
    negative = b.fcmp("olt", x, zero)
    size = b.fabs(x)
    tiny = b.fcmp("olt", size, number(b, x, 2.0**-60))
    large = b.fcmp("ogt", size, number(b, x, 2.0**900))
    a = b.select(b.or_(tiny, large), one, size)
    y, factors = raised(b, a)
    power = stirling(b, y)
    product = rising_product(b, factors)
    sines, _, _ = sine_and_cosine_of_pi(b, size)
    whole = b.fcmp("oeq", sines[0], zero)
    sines = choose(b, whole, (one, zero), sines)
    small = b.fcmp("olt", a, number(b, x, float(LEAST)))
    bottom = choose(b, small, multiply_pair(b, product, b.select(small, a, one)), (one, zero))
    inside = choose(b, negative, over_sine(b, a, product, sines), bottom)
    # the logarithm serves tiny and large arguments too: -log a, a (log a - 1)
    alone = b.or_(tiny, large)
    base = b.select(b.fcmp("ogt", size, zero), b.select(b.fcmp("olt", size, infinite), size, one), one)
    inside = choose(b, alone, (base, zero), inside)
    log = log_as_pair(b, inside[0])
    log = fast_two_sum(b, log[0], b.fadd(log[1], b.fdiv(inside[1], inside[0])))
    reflected = add_pairs(b, add_pairs(b, log, pair_of(b, x, table.LOG_PI)), opposite(b, power))
    plain = add_pairs(b, power, opposite(b, log))
    value = b.fadd(*choose(b, negative, reflected, plain))
    value = b.select(tiny, b.fneg(log[0]), value)
    value = b.select(large, b.fmul(size, b.fsub(log[0], one)), value)
    # next to the zeros at 1 and 2
    for zero_at, coefficients in ((1.0, table.LOG_GAMMA_1), (2.0, table.LOG_GAMMA_2)):
        t = b.fsub(x, number(b, x, zero_at))
        near = b.fcmp("ole", b.fabs(t), number(b, x, 0.125))
        root = b.fadd(b.fmul(t, polynomial(b, t, coefficients)), zero)  # no -0 at 1
        value = b.select(near, root, value)
    pole = b.or_(b.fcmp("oeq", x, zero), b.and_(negative, whole))
    pole = b.or_(pole, b.or_(b.fcmp("oeq", size, infinite), b.and_(negative, large)))
    return b.select(pole, infinite, value)


def positive_digamma(b: Builder, x: Value, y: Pair, factors: list[tuple[Value, Pair]]) -> Pair:
    """digamma of a positive x, which these factors have raised to y."""
    one, zero, half = number(b, x, 1.0), number(b, x, 0.0), number(b, x, 0.5)
    # the sum of 1/(a + k) as one fraction
    top: Pair = (zero, zero)
    bottom: Pair = (one, zero)
    for used, factor in factors:
        next_top = add_pairs(b, multiply_pairs(b, top, factor), bottom)
        top = choose(b, used, next_top, top)
        bottom = choose(b, used, multiply_pairs(b, bottom, factor), bottom)
    far = b.fcmp("ogt", x, number(b, x, 2.0**900))
    log = log_as_pair(b, b.select(far, at_most(b, x, 1.79e308), y[0]))
    inverse = divide_pairs(b, (one, zero), y)
    u = b.fmul(inverse[0], inverse[0])
    series = b.fmul(u, polynomial(b, u, table.DIGAMMA))
    # log(y + low) = log y + low/y
    small = b.fadd(b.fmul(y[1], inverse[0]), series)
    total = add_pairs(b, log, (b.fmul(inverse[0], b.fneg(half)), b.fmul(inverse[1], b.fneg(half))))
    total = fast_two_sum(b, total[0], b.fadd(total[1], small))
    return add_pairs(b, total, opposite(b, divide_pairs(b, top, bottom)))


def digamma(b: Builder, x: Value) -> Value:
    """The derivative of log gamma, below 2 ULP for x > 0; NaN at negative whole numbers, -+inf at +-0."""
    if not is_double(x):
        return through_double(b, digamma, x)
    one, zero = number(b, x, 1.0), number(b, x, 0.0)
    negative = b.fcmp("olt", x, zero)
    size = b.fabs(x)
    tiny = b.fcmp("olt", size, number(b, x, 2.0**-60))
    # far out digamma is the logarithm; products in pairs stay below 2^900
    a = b.select(tiny, one, at_most(b, size, 2.0**900))
    y, factors = raised(b, a)
    total = positive_digamma(b, size, y, factors)
    # digamma(-a) = digamma(a) + 1/a + pi cot(pi a)
    sines, cosines, _ = sine_and_cosine_of_pi(b, a)
    whole = b.fcmp("oeq", sines[0], zero)
    tangent = divide_pairs(b, cosines, choose(b, whole, (one, zero), sines))
    tangent = multiply_pairs(b, tangent, pair_of(b, x, table.PI))
    # the cotangent is negative in the second half between whole numbers
    fraction = b.fsub(a, nearest(b, a))
    tangent = choose(b, b.fcmp("olt", fraction, zero), opposite(b, tangent), tangent)
    reflected = add_pairs(b, add_pairs(b, total, divide_pairs(b, (one, zero), (a, zero))), tangent)
    value = b.fadd(*choose(b, negative, reflected, total))
    # next to the zero near 1.46
    root, low = pair_of(b, x, table.DIGAMMA_ZERO)
    t = b.fsub(b.fsub(x, root), low)
    near = b.fcmp("ole", b.fabs(t), number(b, x, 0.125))
    value = b.select(near, b.fmul(t, polynomial(b, t, table.DIGAMMA_ROOT)), value)
    whole = b.or_(whole, b.fcmp("ogt", size, number(b, x, 2.0**52)))
    value = b.select(b.and_(negative, whole), number(b, x, NAN), value)
    value = b.select(tiny, b.fdiv(number(b, x, -1.0), x), value)
    return b.select(b.fcmp("oeq", x, number(b, x, INF)), x, value)
