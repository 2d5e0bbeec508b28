"""pow, integer powers, cbrt.

pow: log|x| as a pair with 2^-66 relative error, times y in pairs, exp of the pair; where a lane needs it, the
sign and C99's special cases are put on with selects. float32 is computed in float64 with the plain logarithm
and exponential.
"""

from __future__ import annotations

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients as table
from symprop.emit.math import root_pieces as pieces
from symprop.emit.math.common import (
    INF,
    NAN,
    any_lane,
    at_least,
    at_most,
    fraction_bits,
    from_pieces,
    has_native,
    is_double,
    look_up,
    mul_add,
    native,
    negative_mul_add,
    number,
    polynomial,
    power_of_two,
    scaled,
    sign_bit,
    through_double,
    whole_and_bits,
)
from symprop.emit.math.doubledouble import (
    Pair,
    add_pairs,
    divide_pairs,
    fast_two_sum,
    multiply_pair,
    multiply_pairs,
    remainder,
    two_product,
)
from symprop.emit.math.exponential import exp, exp_pair
from symprop.emit.math.logarithm import parts, sum_of_parts

__all__ = ["cbrt", "integer_power", "log_as_pair", "log_from_ratio", "pow_"]


def log_from_ratio(b: Builder, s: Pair) -> Pair:
    """log(1 + f) of s = f/(2 + f), |s| <= 0.2, as a pair, relative error near 2^-66.

    With z = s^2 it is 2 s + s z (2/3 + z LOG_LONG(z)); 2/3 and z are pairs too.
    """
    z, two = multiply_pairs(b, s, s), number(b, s[0], 2.0)
    third_high, third_low = (2.0 * c for c in table.THIRD["double"])
    rest = b.fmul(z[0], polynomial(b, z[0], table.LOG_LONG["double"]))
    inner = fast_two_sum(b, number(b, z[0], third_high), rest)
    inner = inner[0], b.fadd(inner[1], number(b, z[0], third_low))
    cubic = multiply_pairs(b, multiply_pairs(b, s, z), inner)
    return add_pairs(b, (b.fmul(s[0], two), b.fmul(s[1], two)), cubic, larger=True)


def log_as_pair(b: Builder, x: Value) -> Pair:
    """log(x) of a positive finite float64 as a pair, relative error near 2^-66."""
    k, f = parts(b, x)
    two, zero = number(b, x, 2.0), number(b, x, 0.0)
    fraction = log_from_ratio(b, divide_pairs(b, (f, zero), fast_two_sum(b, two, f)))
    first, second = table.LN2["double"]
    # the first product is exact: k has 11 bits, the first part of ln 2 has 42
    whole = b.fmul(k, number(b, x, first)), b.fmul(k, number(b, x, second))
    return add_pairs(b, whole, fraction, larger=True)


def whole_and_odd(b: Builder, y: Value) -> tuple[Value, Value]:
    """Masks: y is a whole number (infinities too), y is an odd one."""
    size, edge = b.fabs(y), number(b, y, 2.0**52)
    small = b.fcmp("olt", size, edge)
    raised = b.fadd(size, edge)
    whole = b.or_(b.not_(small), b.fcmp("oeq", b.fsub(raised, edge), size))
    # the last bit of 2^52 + |y| for |y| < 2^52, of |y| itself up to 2^53; above all numbers are even
    bits = b.bitcast(b.select(small, raised, size), y.type.integer)
    last = b.icmp("ne", b.and_(bits, b.const(1, bits.type)), b.const(0, bits.type))
    return whole, b.and_(b.and_(whole, last), b.fcmp("olt", size, number(b, y, 2.0**53)))


def power_core(b: Builder, x: Value, y: Value, single: bool) -> Value:
    """x^y in float64; `single` asks for float32's accuracy only."""
    size = b.fabs(x)
    one, zero, infinite = number(b, x, 1.0), number(b, x, 0.0), number(b, x, INF)
    # the logarithm of an ordinary number; zeros and infinities are put in below
    ordinary = b.and_(b.fcmp("ogt", size, zero), b.fcmp("olt", size, infinite))
    base = b.select(ordinary, size, one)
    # far smaller exponents over- or underflow already; products and their low parts must stay finite
    limit = 2.0**65
    exponent = at_least(b, at_most(b, y, limit), -limit)
    if single:
        k, f = parts(b, base)
        high, low = sum_of_parts(b, k, f)
        value = exp(b, b.fmul(exponent, b.fadd(high, low)))
    else:
        product, error = multiply_pair(b, log_as_pair(b, base), exponent)
        bounded = at_least(b, at_most(b, product, 710.0), -746.0)
        error = b.select(b.fcmp("oeq", bounded, product), error, zero)
        pair, bits = exp_pair(b, bounded, error)
        value = scaled(b, b.fadd(*pair), bits)
    # a positive finite x and a y of moderate size need no more: mostly all lanes have them
    plain = b.and_(b.fcmp("ogt", x, zero), b.fcmp("olt", x, infinite))
    plain = b.and_(plain, b.fcmp("olt", b.fabs(y), number(b, y, limit)))
    rare, done = b.label("rare"), b.label("powers")
    before = b.block
    b.branch(any_lane(b, b.not_(plain)), rare, done)
    b.start(rare)
    special = special_power(b, x, y, value)
    after = b.block
    b.jump(done)
    b.start(done)
    return b.phi([(value, before), (special, after)])


def special_power(b: Builder, x: Value, y: Value, value: Value) -> Value:
    """The value of |x|^y where both are ordinary numbers, or what C99 asks for."""
    size = b.fabs(x)
    one, zero, infinite = number(b, x, 1.0), number(b, x, 0.0), number(b, x, INF)
    ordinary = b.and_(b.fcmp("ogt", size, zero), b.fcmp("olt", size, infinite))
    # |x| = 0, inf: 0 or inf by the sign of y; |x| = NaN stays
    grows = b.xor(b.fcmp("ogt", size, one), sign_bit(b, y))
    limits = b.select(grows, infinite, zero)
    limits = b.select(b.fcmp("uno", x, x), x, limits)
    value = b.select(ordinary, value, limits)
    whole, odd = whole_and_odd(b, y)
    negative = sign_bit(b, x)
    value = b.select(b.and_(negative, odd), b.fneg(value), value)
    # a negative finite base and a broken exponent: NaN (not for -0 and -inf, whose power has no sign then)
    broken = b.and_(b.and_(negative, ordinary), b.not_(whole))
    value = b.select(broken, number(b, x, NAN), value)
    # y = +-inf: 1 for |x| = 1, else the limit
    endless = b.fcmp("oeq", b.fabs(y), infinite)
    at_infinity = b.select(b.fcmp("oeq", size, one), one, limits)
    value = b.select(endless, at_infinity, value)
    value = b.select(b.fcmp("uno", y, y), y, value)
    # x^0 and 1^y are 1, for NaN too
    return b.select(b.or_(b.fcmp("oeq", y, zero), b.fcmp("oeq", x, one)), one, value)


def pow_(b: Builder, x: Value, y: Value) -> Value:
    """x^y with C99's special cases, below 0.7 ULP in float64, nearly correctly rounded in float32."""
    if is_double(x):
        return power_core(b, x, y, single=False)
    return through_double(b, lambda b, v, w: power_core(b, v, w, single=True), x, y)


def integer_power(b: Builder, x: Value, n: int) -> Value:
    """x^n of a Python int by repeated squaring; a negative power is one over the positive one.

    The error grows with the number of products: 0.5 ULP for squares, below |n| ULP in general.
    """
    if n == 0:
        return number(b, x, 1.0)
    square, result, rest = x, None, abs(n)
    while rest:
        if rest & 1:
            result = square if result is None else b.fmul(result, square)
        rest >>= 1
        if rest:
            square = b.fmul(square, square)
    assert result is not None
    return result if n > 0 else b.fdiv(number(b, x, 1.0), result)


def cbrt(b: Builder, x: Value) -> Value:
    """The cube root, below 0.6 ULP (float32: rounded nearly correctly).

    x = 2^(3q + j) m, y = m^(-1/3) by a polynomial and one step of third order, c = m y^2 and the correction
    from the exact remainder m - c^3; times 2^(j/3) in pairs. With AVX-512 the root of m, from 1 to 2, is a
    polynomial for each of eight pieces (float32: sixteen).
    """
    if has_native(b):
        return near_cube_root(b, x)
    if not is_double(x):
        return through_double(b, lambda b, w: cube_root(b, w, single=True), x)
    return cube_root(b, x, single=False)


def near_cube_root(b: Builder, x: Value) -> Value:
    """The cube root from polynomials in registers, below 0.6 ULP."""
    element, kind = x.type.element, x.type
    size = b.fabs(x)
    k, m = native(b, "getexp", size), native(b, "getmant", size, 0)
    middle = number(b, x, 1.5 * 2.0 ** fraction_bits(kind))
    third = number(b, x, 1.0 / 3.0)
    # k = 3 q + j, j from 0 to 2: the nearest whole number to (k - 1)/3
    q = b.fsub(b.fadd(b.fmul(b.fsub(k, number(b, x, 1.0)), third), middle), middle)
    j = b.fadd(negative_mul_add(b, q, number(b, x, 3.0), k), middle)
    high, lacks = (look_up(b, row, b.bitcast(j, kind.integer)) for row in pieces.CBRT_POWERS[element])
    count = len(pieces.CBRT[element][0]).bit_length() - 1
    index = b.lshr(b.bitcast(m, kind.integer), b.const(fraction_bits(kind) - count, kind.integer))
    value, part = from_pieces(b, m, index, pieces.CBRT[element])
    power = native(b, "scalef", high, q)
    root = mul_add(b, value, power, b.fmul(power, mul_add(b, value, lacks, part)))
    # zeros, infinities and NaN have no exponent
    ordinary = b.fcmp("olt", b.fabs(k), number(b, x, 2.0**16))
    return b.select(ordinary, b.copysign(root, x), x)


def cube_root(b: Builder, x: Value, single: bool) -> Value:
    """The cube root of float64; `single` leaves out the correction."""
    size = b.fabs(x)
    one, zero = number(b, x, 1.0), number(b, x, 0.0)
    ordinary = b.and_(b.fcmp("ogt", size, zero), b.fcmp("olt", size, number(b, x, INF)))
    k, f = parts(b, b.select(ordinary, size, one))
    q, bits = whole_and_bits(b, k, 1.0 / 3.0, 1023)
    j = negative_mul_add(b, q, number(b, x, 3.0), k)
    m = b.fadd(f, one)
    third = number(b, x, 1.0 / 3.0)
    y = polynomial(b, f, table.CBRT)
    # (1 - e)^(-1/3) = 1 + e/3 + 2/9 e^2
    e = negative_mul_add(b, b.fmul(b.fmul(y, y), y), m, one)
    y = mul_add(b, b.fmul(y, e), mul_add(b, e, number(b, x, 2.0 / 9.0), third), y)
    square = b.fmul(y, y)
    c = b.fmul(m, square)
    up, down = b.fcmp("ogt", j, zero), b.fcmp("olt", j, zero)
    factors = [
        b.select(up, number(b, x, two), b.select(down, number(b, x, half), number(b, x, plain)))
        for two, half, plain in zip(table.CBRT_2, table.CBRT_HALF, (1.0, 0.0), strict=True)
    ]
    if single:
        value = b.fmul(c, factors[0])
    else:
        high, low = two_product(b, c, c)
        rest = b.fsub(b.fneg(remainder(b, high, c, m)), b.fmul(low, c))
        pair = multiply_pairs(b, (c, b.fmul(b.fmul(rest, square), third)), (factors[0], factors[1]))
        value = b.fadd(*pair)
    value = b.copysign(b.fmul(value, power_of_two(b, bits, x.type)), x)
    return b.select(ordinary, value, x)
