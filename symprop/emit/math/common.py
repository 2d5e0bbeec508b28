"""What all elementary functions share: polynomials, exact products, rounding, powers of two, lanes, types."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from symprop.emit.builder import F32, F64, I1, Builder, Type, Value, vector
from symprop.emit.vectors import narrow, widen

__all__ = [
    "any_lane",
    "at_least",
    "at_most",
    "bias",
    "ceiling",
    "estrin",
    "floor",
    "fraction_bits",
    "from_pieces",
    "has_native",
    "horner",
    "is_double",
    "join_lanes",
    "look_up",
    "mul_add",
    "mul_sub",
    "native",
    "nearest",
    "negative_mul_add",
    "number",
    "polynomial",
    "power_of_two",
    "scaled",
    "sign_bit",
    "split_lanes",
    "through_double",
    "whole_and_bits",
    "with_exponent",
    "with_sign",
]

NAN = math.nan
INF = math.inf


def is_double(x: Value) -> bool:
    """True for float64 values."""
    return x.type.element == "double"


def number(b: Builder, x: Value, value: float) -> Value:
    """A constant of the type of x."""
    return b.const(value, x.type)


def mul_add(b: Builder, x: Value, y: Value, z: Value) -> Value:
    """x y + z: fused where the target has it, else rounded twice (a fused call would go to a library)."""
    return b.fma(x, y, z) if b.target.fma else b.fadd(b.fmul(x, y), z)


def negative_mul_add(b: Builder, x: Value, y: Value, z: Value) -> Value:
    """z - x y."""
    return b.fma(b.fneg(x), y, z) if b.target.fma else b.fsub(z, b.fmul(x, y))


def mul_sub(b: Builder, x: Value, y: Value, z: Value) -> Value:
    """x y - z."""
    return b.fma(x, y, b.fneg(z)) if b.target.fma else b.fsub(b.fmul(x, y), z)


def horner(b: Builder, x: Value, items: Sequence[Value]) -> Value:
    """items[0] + x items[1] + ..."""
    total = items[-1]
    for item in reversed(items[:-1]):
        total = mul_add(b, total, x, item)
    return total


def polynomial(b: Builder, x: Value, coefficients: Sequence[float | Value]) -> Value:
    """The polynomial, lowest power first.

    Long polynomials are summed in two or four interleaved parts, powers of x^2 or x^4: a shorter chain of
    dependent operations for one or two products more. The rounding errors stay near those of Horner's rule,
    because the last steps add x times something to the low powers.
    """
    items = [c if isinstance(c, Value) else number(b, x, c) for c in coefficients]
    if len(items) < 7:
        return horner(b, x, items)
    square = b.fmul(x, x)
    if len(items) < 12:
        return mul_add(b, horner(b, square, items[1::2]), x, horner(b, square, items[::2]))
    fourth = b.fmul(square, square)
    p0, p1, p2, p3 = (horner(b, fourth, items[k::4]) for k in range(4))
    return mul_add(b, mul_add(b, p3, x, p2), square, mul_add(b, p1, x, p0))


def estrin(b: Builder, x: Value, coefficients: Sequence[float | Value]) -> Value:
    """The polynomial, lowest power first, by halves: the shortest chain of operations, for |x| below 1/2.
    Three parts that are left go by Horner's rule: as short a chain, and one power less."""
    items = [c if isinstance(c, Value) else number(b, x, c) for c in coefficients]
    power = x
    while len(items) > 3:
        pairs = [mul_add(b, q, power, p) for p, q in zip(items[::2], items[1::2], strict=False)]
        items = pairs + items[len(items) & ~1 :]
        power = b.fmul(power, power)
    return horner(b, power, items)


def at_most(b: Builder, x: Value, top: float) -> Value:
    """min(x, top), NaN stays NaN."""
    limit = number(b, x, top)
    return b.select(b.fcmp("ogt", x, limit), limit, x)


def at_least(b: Builder, x: Value, bottom: float) -> Value:
    """max(x, bottom), NaN stays NaN."""
    limit = number(b, x, bottom)
    return b.select(b.fcmp("olt", x, limit), limit, x)


def sign_bit(b: Builder, x: Value) -> Value:
    """The mask of lanes whose sign bit is set (also -0 and negative NaN)."""
    bits = b.bitcast(x, x.type.integer)
    return b.icmp("slt", bits, b.const(0, bits.type))


def with_sign(b: Builder, size: Value, x: Value) -> Value:
    """A number whose sign bit is not set, with the sign of x: less work than `copysign`."""
    kind = x.type.integer
    sign = b.and_(b.bitcast(x, kind), b.const(-1 << (kind.bits - 1), kind))
    return b.bitcast(b.or_(b.bitcast(size, kind), sign), x.type)


def fraction_bits(kind: Type) -> int:
    """Stored bits of the significand."""
    return 52 if kind.element == "double" else 23


def bias(kind: Type) -> int:
    """The bias of the exponent."""
    return 1023 if kind.element == "double" else 127


def whole_and_bits(b: Builder, x: Value, factor: float, offset: int = 0) -> tuple[Value, Value]:
    """n = x factor rounded to a whole number, as float, and bits whose low part holds n + offset.

    Adding 1.5 2^52 (2^23 for float32) leaves the whole number in the low bits of the sum; no conversion
    instruction is needed, and NaN does no harm. |x factor| must be below 2^50 (2^21), and n + offset fits as
    many bits.
    """
    magic = number(b, x, 1.5 * 2.0 ** fraction_bits(x.type) + offset)
    shifted = mul_add(b, x, number(b, x, factor), magic)
    return b.fsub(shifted, magic), b.bitcast(shifted, x.type.integer)


def has_native(b: Builder) -> bool:
    """True for processors with the instructions of `native`."""
    return b.target.vector_bits == 512 and b.target.triple.startswith("x86_64")


def native(b: Builder, name: str, x: Value, *more: Value | int) -> Value:
    """An instruction of AVX-512, `getexp getmant scalef`, for any number of lanes.

    Operands are values of the type of x, or a number that the instruction carries.
    """
    operands, kind = (x, *more), x.type
    size, least = kind.lanes * kind.bits, 128 // kind.bits
    if size > 512:
        pieces = [
            split_lanes(b, v, 512 // kind.bits) if isinstance(v, Value) else [v] * (size // 512)
            for v in operands
        ]
        return join_lanes(b, [native(b, name, *items) for items in zip(*pieces, strict=True)])
    if kind.lanes < least:
        wide = [widen(b, v, least) if isinstance(v, Value) else v for v in more]
        return narrow(b, native(b, name, widen(b, x, least), *wide), kind.lanes)
    whole, mask = vector("i32"), vector(f"i{max(8, kind.lanes)}")
    args = [v if isinstance(v, Value) else b.const(v, whole) for v in operands]
    args += [Value("zeroinitializer", kind), b.const(-1, mask)]  # all lanes count
    if size == 512:
        args.append(b.const(4, whole))  # the current rounding mode
    full = f"llvm.x86.avx512.mask.{name}.{'pd' if kind.bits == 64 else 'ps'}.{size}"
    b.module.declare(full, kind, [v.type for v in args])
    return b.call(full, kind, args)


def look_up(b: Builder, values: Sequence[float], index: Value) -> Value:
    """The value at the place that the low bits of an integer say, of as many values as fill a register of
    AVX-512: one instruction."""
    kind = vector("double" if index.type.bits == 64 else "float", len(values))
    lanes = index.type.lanes
    if lanes > len(values):
        return join_lanes(b, [look_up(b, values, piece) for piece in split_lanes(b, index, len(values))])
    items = ", ".join(f"{kind.element} {b.const(v, vector(kind.element))}" for v in values)
    name = f"llvm.x86.avx512.permvar.{'df' if kind.bits == 64 else 'sf'}.512"
    b.module.declare(name, kind, [kind, kind.integer])
    found = b.call(name, kind, [Value(f"<{items}>", kind), widen(b, index, len(values))])
    return narrow(b, found, lanes)


def from_pieces(b: Builder, x: Value, index: Value, rows: Sequence[Sequence[float]]) -> tuple[Value, Value]:
    """A function of x >= 0 by the polynomial of a piece, with AVX-512: the value in the middle of the piece
    and what comes to it, each rounded nearly once.

    Rows have the middles of the pieces, then value and slope there, each with what it lacks, then further
    coefficients; `index` says in its low bits which piece it is.
    """
    middle, value, lacks, slope, slope_lacks, *others = (look_up(b, row, index) for row in rows)
    d = b.fsub(x, middle)
    rest = mul_add(b, d, mul_add(b, d, estrin(b, d, others), slope_lacks), lacks)
    return value, mul_add(b, d, slope, rest)


def scaled(b: Builder, x: Value, exponent: Value, plus_one: bool = False) -> Value:
    """x 2^n, or (x + 1) 2^n, rounded once, and once more where the latter is subnormal; right to overflow.

    One instruction of AVX-512, of which `exponent` may be the number n, or any number from n to n + 1.
    Elsewhere, and there too, it is bits with n + 2 bias in their low part, as `whole_and_bits` gives them:
    with u = floor((n + 2 bias) / 2) the factors 2^(u - bias) and 2^(n + bias - u) both are normal numbers;
    what stands above in the bits is shifted out.
    """
    fused = plus_one and b.target.fma and not has_native(b)
    if plus_one and not fused:
        x = b.fadd(x, number(b, x, 1.0))
    if exponent.type.is_float:
        return native(b, "scalef", x, exponent)
    bits, kind = exponent, exponent.type
    if has_native(b):  # the bits are those of a number that is n above that of n = 0
        start = number(b, x, 1.5 * 2.0 ** fraction_bits(x.type) + 2 * bias(x.type))
        return native(b, "scalef", x, b.fsub(b.bitcast(bits, x.type), start))
    half = b.lshr(bits, b.const(1, kind))
    rest = b.sub(bits, half)
    first = power_of_two(b, half, x.type)
    part = b.fma(x, first, first) if fused else b.fmul(x, first)  # one operation for the sum and the product
    return b.fmul(part, power_of_two(b, rest, x.type))


def power_of_two(b: Builder, bits: Value, kind: Type) -> Value:
    """2^n from n + bias in the low bits of `bits`; n must be a normal exponent."""
    return b.bitcast(b.shl(bits, b.const(fraction_bits(kind), bits.type)), kind)


def with_exponent(b: Builder, item: Value, kind: Type) -> Value:
    """2^52 + item (2^23 for float32) of integers 0 <= item < 2^52 (2^23), by setting the exponent of 2^52."""
    top = (bias(kind) + fraction_bits(kind)) << fraction_bits(kind)
    return b.bitcast(b.or_(item, b.const(top, item.type)), kind)


def nearest(b: Builder, x: Value) -> Value:
    """The nearest whole number, ties to even; without a library call on any target."""
    if b.target.fma:
        return b.rint(x)
    magic = number(b, x, 2.0 ** fraction_bits(x.type))
    size = b.fabs(x)
    whole = b.fsub(b.fadd(size, magic), magic)
    return b.select(b.fcmp("olt", size, magic), b.copysign(whole, x), x)


def floor(b: Builder, x: Value) -> Value:
    """The largest whole number that is not above x; without a library call on any target."""
    if b.target.fma:  # such processors have an instruction for it
        return b.floor(x)
    whole = nearest(b, x)
    return b.select(b.fcmp("ogt", whole, x), b.fsub(whole, number(b, x, 1.0)), whole)


def ceiling(b: Builder, x: Value) -> Value:
    """The smallest whole number that is not below x; -0 above -1."""
    return b.ceil(x) if b.target.fma else b.fneg(floor(b, b.fneg(x)))


def any_lane(b: Builder, mask: Value) -> Value:
    """A scalar: is any lane of the mask true."""
    return mask if mask.type.lanes == 1 else b.intrinsic("vector.reduce.or", mask, result=I1)


def through_double(b: Builder, function: Callable[..., Value], *args: Value) -> Value:
    """A float32 function computed in float64 and rounded at the end."""
    lanes = args[0].type.lanes
    wide = [b.convert("fpext", a, vector(F64.element, lanes)) for a in args]
    return b.convert("fptrunc", function(b, *wide), vector(F32.element, lanes))


def split_lanes(b: Builder, x: Value, width: int) -> list[Value]:
    """Consecutive pieces of a vector."""
    if x.type.lanes == width:
        return [x]
    return [b.shuffle(x, None, range(k, k + width)) for k in range(0, x.type.lanes, width)]


def join_lanes(b: Builder, pieces: Sequence[Value]) -> Value:
    """The pieces, a power of two of them, side by side."""
    parts = list(pieces)
    while len(parts) > 1:
        order = range(2 * parts[0].type.lanes)
        parts = [b.shuffle(parts[k], parts[k + 1], order) for k in range(0, len(parts), 2)]
    return parts[0]
