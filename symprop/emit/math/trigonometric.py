"""sin, cos, tan.

Method: n = round(x 2/pi), r = x - n pi/2 as a pair, for |x| below 2^19 (float32: 2^10). With fused operations
the first product takes pi/2 in all its digits and leaves no error: x and n times it are whole multiples of
half its last place, their difference is below 1. Without, three products are exact, a fourth is small. Beyond
that an out-of-line function multiplies the significand with 192 bits of 2/pi (M. Payne, R. Hanek, Radian
reduction for trigonometric functions, 1983); float32 goes there by way of float64. Then sin r or cos r by
polynomials on |r| <= pi/4, chosen by n. Without fused operations all of float32 is computed in float64, with
shorter polynomials. Coefficients: `coefficients.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from symprop.emit.builder import F64, I64, PTR, Builder, Value, vector
from symprop.emit.math import coefficients as table
from symprop.emit.math.common import (
    INF,
    NAN,
    any_lane,
    is_double,
    mul_add,
    negative_mul_add,
    number,
    polynomial,
    whole_and_bits,
)
from symprop.emit.math.doubledouble import Pair, divide_pairs, fast_two_sum, multiply_pairs, two_sum

__all__ = ["cos", "sin", "sin_cos", "tan"]

LIMIT = {"double": 2.0**19, "float": 2.0**10}
I128 = vector("i128")


def huge_lane(b: Builder, args: list[Value]) -> Value:
    """n mod 4 of a finite double >= 1 or so, the pair r stored at a pointer: Payne and Hanek.

    x = M 2^e with a 53-bit whole M. Bits of 2/pi whose product with 2^e is a multiple of 4 are of no effect,
    so 192 bits from there on are enough: the fraction is right to 2^-137, and no double is nearer than 2^-62
    to a multiple of pi/2.
    """
    x, out = args
    whole = b.bitcast(x, I64)
    size = b.and_(whole, b.const(0x7FFFFFFFFFFFFFFF, I64))
    digits = b.or_(b.and_(size, b.const((1 << 52) - 1, I64)), b.const(1 << 52, I64))
    # the window begins at the bit of 2/pi of weight 2^(1 - e), e = exponent - 1075; 64 zero bits stand in
    # front
    begin = b.add(b.lshr(size, b.const(52, I64)), b.const(64 - 1075 - 2, I64))
    word, shift = b.lshr(begin, b.const(6, I64)), b.and_(begin, b.const(63, I64))
    words = b.module.constant("i64", [w - (1 << 64) if w >> 63 else w for w in table.TWO_OVER_PI_BITS])
    at = b.element(words, word, I64)
    four = [b.load(b.element(at, k, I64), I64) for k in range(4)]
    window = []
    for k in range(3):
        both = b.or_(
            b.shl(b.convert("zext", four[k], I128), b.const(64, I128)), b.convert("zext", four[k + 1], I128)
        )
        window.append(b.lshr(b.shl(both, b.convert("zext", shift, I128)), b.const(64, I128)))
    wide = b.convert("zext", digits, I128)
    # 192-bit product, modulo 2^192: top = the high 128 bits
    last = b.lshr(b.mul(wide, b.and_(window[2], b.const((1 << 64) - 1, I128))), b.const(64, I128))
    middle = b.mul(wide, b.and_(window[1], b.const((1 << 64) - 1, I128)))
    first = b.shl(b.mul(wide, window[0]), b.const(64, I128))
    top = b.add(first, b.add(middle, last))
    # two bits before the point: round to the nearest whole number
    count = b.add(b.lshr(top, b.const(126, I128)), b.and_(b.lshr(top, b.const(125, I128)), b.const(1, I128)))
    fraction = b.shl(top, b.const(2, I128))
    minus = b.icmp("slt", fraction, b.const(0, I128))
    magnitude = b.select(minus, b.sub(b.const(0, I128), fraction), fraction)
    zeros = b.assign(I128, f"call i128 @llvm.ctlz.i128(i128 {magnitude}, i1 false)")
    b.module.declare("llvm.ctlz.i128", I128, [I128, vector("i1")])
    normal = b.shl(magnitude, b.and_(zeros, b.const(127, I128)))
    high = b.convert("sitofp", b.convert("trunc", b.lshr(normal, b.const(75, I128)), I64), F64)
    rest = b.and_(b.lshr(normal, b.const(22, I128)), b.const((1 << 53) - 1, I128))
    low = b.convert("sitofp", b.convert("trunc", rest, I64), F64)
    # weights: high has 53 bits of which the first is 2^(-1 - zeros)
    power = b.sub(b.const(1023 - 53, I64), b.convert("trunc", zeros, I64))
    scale = b.bitcast(b.shl(power, b.const(52, I64)), F64)
    pair = b.fmul(high, scale), b.fmul(b.fmul(low, b.const(2.0**-53, F64)), scale)
    half_pi = tuple(b.const(c, F64) for c in table.HALF_PI_PAIR["double"])
    r, rl = multiply_pairs(b, fast_two_sum(b, *pair), (half_pi[0], half_pi[1]))
    turn = b.xor(minus, b.icmp("slt", whole, b.const(0, I64)))
    b.store(b.select(turn, b.fneg(r), r), out)
    b.store(b.select(turn, b.fneg(rl), rl), b.element(out, 1, F64))
    count = b.convert("trunc", count, I64)
    backward = b.icmp("slt", whole, b.const(0, I64))
    return b.and_(b.select(backward, b.sub(b.const(0, I64), count), count), b.const(3, I64))


def huge_lanes(b: Builder, args: list[Value]) -> Value:
    """Lane by lane; r and its low part are stored at a pointer."""
    x, out = args
    name = b.module.function("reduce_huge", I64, [F64, PTR], huge_lane)
    lanes = x.type.lanes
    pair = b.alloca(F64, 2)
    quadrant = number(b, x, 0.0)
    whole = b.bitcast(quadrant, x.type.integer)
    for k in range(lanes):
        count = b.call(name, I64, [b.extract(x, k), pair])
        whole = b.insert(whole, count, k) if lanes > 1 else count
        b.store(b.load(pair, F64), b.element(out, k, F64))
        b.store(b.load(b.element(pair, 1, F64), F64), b.element(out, lanes + k, F64))
    return whole


def far_lanes(b: Builder, args: list[Value]) -> Value:
    """float32 by way of float64; r and its low part are stored at a pointer."""
    x, out = args
    wide, kind = vector(F64.element, x.type.lanes), x.type
    bits, r, low = reduce(b, b.convert("fpext", x, wide), False)
    high = b.convert("fptrunc", r, kind)
    rest = b.fadd(b.fsub(r, b.convert("fpext", high, wide)), low)
    b.store(high, out)
    b.store(b.convert("fptrunc", rest, kind), b.element(out, kind.lanes, kind))
    return b.convert("trunc", bits, kind.integer)


def reduce(b: Builder, x: Value, short: bool) -> tuple[Value, Value, Value]:
    """n mod 4 in the low bits, r and its low part, with x = n pi/2 + r, |r| <= pi/4.

    For `short`, where a float64 has the 24 bits of a float32, two steps are enough and the low part is left
    out. The sine and the cosine of one x share them.
    """
    return b.once("quarter turns", x, lambda: write_reduce(b, x, short))


def near_rest(b: Builder, x: Value, n: Value, short: bool) -> Pair:
    """x - n pi/2 of an x below the limit; the second number is below 2^-8 of the first."""
    element = x.type.element
    if b.target.fma and not short:
        c1, c2, c3 = (number(b, x, c) for c in table.HALF_PI_FUSED[element])
        first = negative_mul_add(b, n, c1, x)
        r = negative_mul_add(b, n, c2, first)
        return r, negative_mul_add(b, n, c3, negative_mul_add(b, n, c2, b.fsub(first, r)))
    c1, c2, c3, c4 = (number(b, x, c) for c in table.HALF_PI["double"])
    first = negative_mul_add(b, n, c1, x)
    if short:
        rest = number(b, x, table.HALF_PI["double"][1] + table.HALF_PI["double"][2])
        return negative_mul_add(b, n, rest, first), number(b, x, 0.0)
    high, error = two_sum(b, first, b.fneg(b.fmul(n, c2)))
    high, second = two_sum(b, high, b.fneg(b.fmul(n, c3)))
    return fast_two_sum(b, high, b.fsub(b.fadd(error, second), b.fmul(n, c4)))


def write_reduce(b: Builder, x: Value, short: bool) -> tuple[Value, Value, Value]:
    kind, element = x.type, x.type.element
    size, limit = b.fabs(x), number(b, x, LIMIT[element])
    big = b.fcmp("oge", size, limit)
    n, bits = whole_and_bits(b, x, table.TWO_OVER_PI[element][0])
    r, low = near_rest(b, x, n, short)
    out = b.alloca(kind, 2)
    slow, done = b.label("huge"), b.label("reduced")
    before = b.block
    b.branch(any_lane(b, big), slow, done)
    b.start(slow)
    write = huge_lanes if element == "double" else far_lanes
    name = b.module.function(f"reduce_huge_{kind.suffix}", kind.integer, [kind, PTR], write)
    # lanes that are not huge get a harmless argument
    far = b.select(big, x, limit)
    count = b.select(big, b.call(name, kind.integer, [far, out]), bits)
    endless = b.fcmp("oeq", size, number(b, x, INF))
    far_r = b.select(endless, number(b, x, NAN), b.select(big, b.load(out, kind), r))
    far_low = low if short else b.select(big, b.load(b.element(out, kind.lanes, kind), kind), low)
    b.jump(done)
    b.start(done)
    return (
        b.phi([(bits, before), (count, slow)]),
        b.phi([(r, before), (far_r, slow)]),
        low if short else b.phi([(low, before), (far_low, slow)]),
    )


def terms(x: Value, short: bool) -> str:
    """The key of the polynomials."""
    return "short" if short else x.type.element


def sine(b: Builder, r: Value, low: Value, short: bool) -> Pair:
    """sin(r + low) as r and a small part."""
    z = b.fmul(r, r)
    cube = b.fmul(r, z)
    series = polynomial(b, z, table.SIN[terms(r, short)])
    if short:
        return r, b.fmul(cube, series)
    # low cos r, to a few digits
    slope = negative_mul_add(b, z, number(b, r, 0.5), number(b, r, 1.0))
    return r, mul_add(b, cube, series, b.fmul(low, slope))


def cosine(b: Builder, r: Value, low: Value, short: bool) -> Pair:
    """cos(r + low) as 1 - z/2, z = r^2, and a small part with the error of that difference."""
    z = b.fmul(r, r)
    half, one = number(b, r, 0.5), number(b, r, 1.0)
    high = negative_mul_add(b, z, half, one)  # half of z is exact
    series = polynomial(b, z, table.COS[terms(r, short)])
    if short:
        return high, b.fmul(b.fmul(z, z), series)
    rest = mul_add(b, low, b.fneg(r), negative_mul_add(b, z, half, b.fsub(one, high)))
    return high, mul_add(b, b.fmul(z, z), series, rest)


def pick(b: Builder, bits: Value, odd: Pair, even: Pair) -> Pair:
    """The pair for the parity of n."""
    mask = is_odd(b, bits)
    return b.select(mask, odd[0], even[0]), b.select(mask, odd[1], even[1])


def negate(b: Builder, x: Value, bits: Value) -> Value:
    """-x where bit 1 of `bits` is set."""
    sign = b.shl(b.and_(bits, b.const(2, bits.type)), b.const(bits.type.bits - 2, bits.type))
    return b.bitcast(b.xor(b.bitcast(x, bits.type), sign), x.type)


def one_of_both(b: Builder, odd: Value, r: Value, low: Value, short: bool) -> Value:
    """cos(r + low) where `odd` is true, else sin(r + low): the coefficients are chosen, not the results."""
    key = terms(r, short)
    z = b.fmul(r, r)
    half, one, zero = number(b, r, 0.5), number(b, r, 1.0), number(b, r, 0.0)
    chosen = [
        b.select(odd, number(b, r, c), number(b, r, s))
        for s, c in zip(table.SIN[key], table.COS[key], strict=True)
    ]
    square = negative_mul_add(b, z, half, one)  # 1 - z/2, half of z is exact
    high = b.select(odd, square, r)
    power = b.fmul(b.select(odd, z, r), z)
    if short:
        return b.fadd(high, b.fmul(power, polynomial(b, z, chosen)))
    # what 1 - z/2 lost, and the slope times the low part: -r low, or low (1 - z/2)
    lost = b.select(odd, negative_mul_add(b, z, half, b.fsub(one, square)), zero)
    rest = mul_add(b, low, b.select(odd, b.fneg(r), square), lost)
    return b.fadd(high, mul_add(b, power, polynomial(b, z, chosen), rest))


def is_odd(b: Builder, bits: Value) -> Value:
    """True where n is odd."""
    return b.icmp("ne", b.and_(bits, b.const(1, bits.type)), b.const(0, bits.type))


def tangent_of(b: Builder, x: Value, short: bool) -> Value:
    """sin x / cos x in pairs; for odd n the quotient is turned over and negated."""
    bits, r, low = reduce(b, x, short)
    s = fast_two_sum(b, *sine(b, r, low, short))
    c = fast_two_sum(b, *cosine(b, r, low, short))
    top = pick(b, bits, (b.fneg(c[0]), b.fneg(c[1])), s)
    bottom = pick(b, bits, s, c)
    return signed_zero(b, x, b.fadd(*divide_pairs(b, top, bottom)))


def signed_zero(b: Builder, x: Value, value: Value) -> Value:
    """The value of an odd function, of which the sign of zero is lost."""
    return b.select(b.fcmp("oeq", x, number(b, x, 0.0)), x, value)


def sine_of(b: Builder, x: Value, short: bool) -> Value:
    """sin x, with the digits of float32 for `short`."""
    bits, r, low = reduce(b, x, short)
    return signed_zero(b, x, negate(b, one_of_both(b, is_odd(b, bits), r, low, short), bits))


def cosine_of(b: Builder, x: Value, short: bool) -> Value:
    """cos x, with the digits of float32 for `short`."""
    bits, r, low = reduce(b, x, short)
    even = b.not_(is_odd(b, bits))
    return negate(b, one_of_both(b, even, r, low, short), b.add(bits, b.const(1, bits.type)))


def computed(b: Builder, function: Callable[[Builder, Value, bool], Value], x: Value) -> Value:
    """The function in the type of x, or of float32 in float64 where no operation is fused."""
    if b.target.fma or is_double(x):
        return function(b, x, False)
    wide = b.once("float64", x, lambda: b.convert("fpext", x, vector(F64.element, x.type.lanes)))
    return b.convert("fptrunc", function(b, wide, True), x.type)


def sin(b: Builder, x: Value) -> Value:
    """sin x, below 0.9 ULP for all arguments."""
    return computed(b, sine_of, x)


def cos(b: Builder, x: Value) -> Value:
    """cos x, below 0.9 ULP for all arguments."""
    return computed(b, cosine_of, x)


def tan(b: Builder, x: Value) -> Value:
    """tan x, below 1 ULP for all arguments."""
    return computed(b, tangent_of, x)


def sin_cos(b: Builder, x: Value) -> tuple[Value, Value]:
    """Both of a float64 with one reduction."""
    bits, r, low = reduce(b, x, False)
    s, c = sine(b, r, low, False), cosine(b, r, low, False)
    first = negate(b, b.fadd(*pick(b, bits, c, s)), bits)
    second = negate(b, b.fadd(*pick(b, bits, s, c)), b.add(bits, b.const(1, bits.type)))
    return signed_zero(b, x, first), second
