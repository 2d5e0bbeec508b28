"""asin, acos, atan, atan2.

asin: s + s^3 ASIN(s^2) for |s| <= 1/2, and pi/2 - 2 asin(sqrt((1 - |x|)/2)) above, the root with its error.
atan: the quotient of the smaller by the larger of two sides, above tan(pi/8) turned by pi/4, as a pair; then
multiples of pi/4 are added in pairs. float32 goes through float64, with shorter polynomials, but for atan
with AVX-512: there the quotient lies in one of sixteen pieces from 0 to 1, each with a polynomial (in float64
eight longer ones take as long as this way). Coefficients: `coefficients.py`, `arc_pieces.py`.
"""

from __future__ import annotations

from symprop.emit.builder import F32, F64, Builder, Value, vector
from symprop.emit.math import arc_pieces as pieces
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    INF,
    at_most,
    estrin,
    fraction_bits,
    has_native,
    is_double,
    look_up,
    mul_add,
    negative_mul_add,
    number,
    polynomial,
    sign_bit,
)
from symprop.emit.math.doubledouble import Pair, fast_two_sum, remainder, two_product, two_sum

__all__ = ["acos", "asin", "atan", "atan2"]

TAN_EIGHTH_PI = 0.41421356


def with_width(b: Builder, x: Value) -> tuple[Value, str]:
    """float64 of x, and the element that x had."""
    element = x.type.element
    return (x if is_double(x) else b.convert("fpext", x, vector(F64.element, x.type.lanes))), element


def back(b: Builder, x: Value, element: str) -> Value:
    """Rounded to the element."""
    return x if element == "double" else b.convert("fptrunc", x, vector(F32.element, x.type.lanes))


def half_angle(b: Builder, x: Value, element: str) -> tuple[Value, Pair]:
    """A mask |x| < 1/2, and asin of |x| there, of sqrt((1 - |x|)/2) elsewhere, as two parts."""
    size = b.fabs(x)
    half, zero = number(b, x, 0.5), number(b, x, 0.0)
    small = b.fcmp("olt", size, half)
    z = b.select(small, b.fmul(size, size), b.fmul(b.fsub(number(b, x, 1.0), size), half))
    root = b.sqrt(z)
    s = b.select(small, size, root)
    part = b.fmul(b.fmul(s, z), polynomial(b, z, table.ASIN[element]))
    if element == "double":
        # sqrt(z) - root = (z - root^2)/(2 root); nothing is missing where the root is 0
        missing = b.fdiv(b.fmul(remainder(b, root, root, z), number(b, x, -0.5)), root)
        inside = b.or_(small, b.fcmp("oeq", root, zero))
        part = b.fadd(part, b.select(inside, zero, missing))
    return small, (s, part)


def asin(b: Builder, x: Value) -> Value:
    """asin x, below 0.8 ULP."""
    wide, element = with_width(b, x)
    small, (s, part) = half_angle(b, wide, element)
    half_pi, low = (number(b, wide, c) for c in table.HALF_PI_PAIR["double"])
    minus_two = number(b, wide, -2.0)
    high, error = fast_two_sum(b, half_pi, b.fmul(s, minus_two))
    far = b.fadd(high, b.fadd(error, mul_add(b, part, minus_two, low)))
    return back(b, b.copysign(b.select(small, b.fadd(s, part), far), wide), element)


def acos(b: Builder, x: Value) -> Value:
    """acos x, below 0.8 ULP."""
    wide, element = with_width(b, x)
    small, (s, part) = half_angle(b, wide, element)
    half_pi, low = (number(b, wide, c) for c in table.HALF_PI_PAIR["double"])
    negative = sign_bit(b, wide)
    zero, two = number(b, wide, 0.0), number(b, wide, 2.0)
    # base + factor (s + part): pi/2 -+ asin|x|; 2 asin(root); pi - 2 asin(root)
    sign = b.select(negative, number(b, wide, 1.0), number(b, wide, -1.0))
    factor = b.select(small, sign, b.select(negative, b.fneg(two), two))
    turned = b.select(negative, two, zero)
    times = b.select(small, number(b, wide, 1.0), turned)
    high, error = fast_two_sum(b, b.fmul(half_pi, times), b.fmul(s, factor))
    value = b.fadd(high, b.fadd(error, mul_add(b, part, factor, b.fmul(low, times))))
    return back(b, value, element)


def arc(b: Builder, top: Value, bottom: Value, element: str) -> tuple[Value, Pair]:
    """atan(top/bottom) for 0 <= top <= bottom: the multiple 0 or 1 of pi/4, and the rest as a pair."""
    zero, one = number(b, top, 0.0), number(b, top, 1.0)
    turned = b.fcmp("ogt", top, b.fmul(bottom, number(b, top, TAN_EIGHTH_PI)))
    above, above_low = two_sum(b, top, b.fneg(bottom))
    below, below_low = two_sum(b, bottom, top)
    x = b.select(turned, above, top), b.select(turned, above_low, zero)
    y = b.select(turned, below, bottom), b.select(turned, below_low, zero)
    t = b.fdiv(x[0], y[0])
    z = b.fmul(t, t)
    small = b.fmul(b.fmul(z, t), polynomial(b, z, table.ATAN[element]))
    if element == "double":
        rest = b.fsub(b.fsub(x[1], remainder(b, t, y[0], x[0])), b.fmul(t, y[1]))
        # d atan(t) = dt/(1 + t^2)
        small = b.fadd(small, b.fdiv(rest, mul_add(b, y[0], z, y[0])))
    return b.select(turned, one, zero), (t, small)


def turns(b: Builder, count: Value, t: Value, small: Value) -> Value:
    """count pi/4 + t + small."""
    quarter, low = (number(b, t, c) for c in table.QUARTER_PI["double"])
    high, error = fast_two_sum(b, b.fmul(count, quarter), t)
    return b.fadd(high, b.fadd(error, mul_add(b, count, low, small)))


def near_atan(b: Builder, x: Value) -> Value:
    """atan x of float32 by polynomials in registers, below 0.6 ULP."""
    kind = x.type
    one, zero = number(b, x, 1.0), number(b, x, 0.0)
    size = at_most(b, b.fabs(x), 1e20)
    steep = b.fcmp("ogt", size, one)
    top, bottom = b.select(steep, one, size), b.select(steep, size, one)
    inverse = b.fdiv(one, bottom)
    t = b.fmul(top, inverse)
    lost = b.fmul(negative_mul_add(b, t, bottom, top), inverse)
    rows = pieces.ATAN[kind.element]
    last = number(b, x, float(len(rows[0]) - 1))
    shifted = mul_add(b, t, last, number(b, x, 1.5 * 2.0 ** fraction_bits(kind)))
    index = b.bitcast(shifted, kind.integer)
    middle, value, lacks, slope, slope_lacks, *others = (look_up(b, row, index) for row in rows)
    d = b.fsub(t, middle)
    bend = mul_add(b, d, estrin(b, d, others), slope_lacks)
    product, error = two_product(b, d, slope)
    small = b.fadd(mul_add(b, d, bend, mul_add(b, lost, slope, lacks)), error)
    # pi/2 less all that for a steep angle
    value, product, small = (b.select(steep, b.fneg(v), v) for v in (value, product, small))
    half_pi, low = (b.select(steep, number(b, x, c), zero) for c in pieces.HALF_PI[kind.element])
    total, first = fast_two_sum(b, half_pi, value)
    total, second = fast_two_sum(b, total, product)
    return b.copysign(b.fadd(total, b.fadd(small, b.fadd(low, b.fadd(first, second)))), x)


def atan(b: Builder, x: Value) -> Value:
    """atan x, below 0.8 ULP."""
    if has_native(b) and not is_double(x):
        return near_atan(b, x)
    wide, element = with_width(b, x)
    one = number(b, wide, 1.0)
    size = at_most(b, b.fabs(wide), 1e300)
    steep = b.fcmp("ogt", size, one)
    count, (t, small) = arc(b, b.select(steep, one, size), b.select(steep, size, one), element)
    two = number(b, wide, 2.0)
    count = b.select(steep, b.fsub(two, count), count)
    value = turns(b, count, b.select(steep, b.fneg(t), t), b.select(steep, b.fneg(small), small))
    return back(b, b.copysign(value, wide), element)


def atan2(b: Builder, y: Value, x: Value) -> Value:
    """The angle of the point (x, y), below 0.8 ULP, with the special cases of C99's atan2."""
    up, element = with_width(b, y)
    right, _ = with_width(b, x)
    one, zero, endless = number(b, up, 1.0), number(b, up, 0.0), number(b, up, INF)
    height, width = b.fabs(up), b.fabs(right)
    steep = b.fcmp("ogt", height, width)
    top, bottom = b.select(steep, width, height), b.select(steep, height, width)
    # infinite sides are 1 to the finite one's 0; 0 over 0 is 0 over 1
    infinite = b.fcmp("oeq", bottom, endless)
    top = b.select(infinite, b.select(b.fcmp("oeq", top, endless), one, zero), top)
    bottom = b.select(b.or_(infinite, b.fcmp("oeq", bottom, zero)), one, bottom)
    # both sides away from the ends of the range, so that sums and remainders are exact, subnormal sides too
    wide = b.fcmp("ogt", bottom, number(b, up, 2.0**600))
    factor = b.select(wide, number(b, up, 2.0**-200), number(b, up, 2.0**350))
    count, (t, small) = arc(b, b.fmul(top, factor), b.fmul(bottom, factor), element)
    backward = sign_bit(b, right)
    turn = b.xor(steep, backward)
    # 0 + a, 2 - a, 2 + a, 4 - a quarters of pi
    two, four = number(b, up, 2.0), number(b, up, 4.0)
    base = b.select(steep, two, b.select(backward, four, zero))
    count = b.fadd(base, b.select(turn, b.fneg(count), count))
    value = turns(b, count, b.select(turn, b.fneg(t), t), b.select(turn, b.fneg(small), small))
    value = b.select(b.fcmp("uno", up, right), b.fadd(up, right), b.copysign(value, up))
    return back(b, value, element)
