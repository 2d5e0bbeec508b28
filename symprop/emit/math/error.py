"""erf: a polynomial in x^2, shifted, up to 1, beyond it 1 - 2^(p - 3) of a polynomial p; with AVX-512 a
polynomial for each of eight pieces (float32: sixteen), looked up in registers. Coefficients:
`coefficients.py`, `error_pieces.py`. Its tail, erfc, stands in `gauss.py`.
"""

from __future__ import annotations

from symprop.emit.builder import Builder, Value
from symprop.emit.math import coefficients as table
from symprop.emit.math import error_pieces as pieces
from symprop.emit.math.common import (
    at_most,
    bias,
    fraction_bits,
    from_pieces,
    has_native,
    is_double,
    mul_add,
    negative_mul_add,
    number,
    polynomial,
    power_of_two,
    whole_and_bits,
)
from symprop.emit.math.doubledouble import fused

__all__ = ["erf"]


def erf(b: Builder, x: Value) -> Value:
    """The error function: x + x ERF_SMALL(x^2 - ERF_MIDDLE) up to 1, else
    1 - 2^(ERF_LARGE(|x| - 1) - 3)."""
    element, one = x.type.element, number(b, x, 1.0)
    # the result is 1 from 5.93 (float32: 3.92) on
    size = at_most(b, b.fabs(x), 5.95 if is_double(x) else 3.95)
    if has_native(b):
        # the bits of |x| + 2 below the exponent count quarters of its power of two (float32: eighths)
        bits = b.bitcast(b.fadd(size, number(b, x, 2.0)), x.type.integer)
        index = b.lshr(bits, b.const(fraction_bits(x.type) - (2 if is_double(x) else 3), bits.type))
        return b.copysign(b.fadd(*from_pieces(b, size, index, pieces.ERF[element])), x)
    first, *others = table.ERF_SMALL[element]
    shifted = fused(b, size, size, number(b, x, -table.ERF_MIDDLE))
    part = fused(b, shifted, polynomial(b, shifted, others), number(b, x, first))
    near = fused(b, size, part, size)
    power = polynomial(b, b.fsub(size, one), table.ERF_LARGE[element])
    n, bits = whole_and_bits(b, power, 1.0, bias(x.type) - 3)
    r = b.fsub(power, n)
    fraction = mul_add(b, r, polynomial(b, r, table.EXP2[element]), one)
    far = negative_mul_add(b, fraction, power_of_two(b, bits, x.type), one)
    return b.copysign(b.select(b.fcmp("olt", size, one), near, far), x)
