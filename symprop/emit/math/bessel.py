"""The Bessel functions j0 and j1.

Up to 7.1 (j1: 8.6) polynomials: about the origin in x^2, then about each zero, so that the first zeros keep
their digits. Beyond, J(x) = sqrt(2/(pi x)) (P cos(c) - Q sin(c)/x) with c = x - pi/4 (j1: x - 3 pi/4) and
polynomials P and Q of 1/x^2; there the error is relative to sqrt(2/(pi x)), the size of the waves. float32
goes through float64. Coefficients: `special_coefficients.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from symprop.emit.builder import Builder, Value
from symprop.emit.math import special_coefficients as table
from symprop.emit.math.common import INF, at_least, is_double, number, polynomial, through_double
from symprop.emit.math.trigonometric import sin_cos

__all__ = ["j0", "j1"]

Pieces = tuple[tuple[float, ...], ...]


def j0(b: Builder, x: Value) -> Value:
    """The Bessel function of order 0, about 4 ULP of the size of its waves; even, 0 at infinity."""
    if not is_double(x):
        return through_double(b, j0, x)
    return wave(b, b.fabs(x), 0, table.J0_PIECES, table.J0_ROOTS, table.J0_STARTS, table.J0_MODULUS)


def j1(b: Builder, x: Value) -> Value:
    """The Bessel function of order 1, about 4 ULP of the size of its waves; odd, 0 at infinity."""
    if not is_double(x):
        return through_double(b, j1, x)
    size = b.fabs(x)
    value = wave(b, size, 1, table.J1_PIECES, table.J1_ROOTS, table.J1_STARTS, table.J1_MODULUS)
    return b.select(b.fcmp("olt", x, number(b, x, 0.0)), b.fneg(value), b.select(same(b, size, x), value, x))


def same(b: Builder, size: Value, x: Value) -> Value:
    """True for lanes other than zeros: -0 keeps its sign."""
    return b.fcmp("une", x, number(b, x, 0.0))


def wave(
    b: Builder, a: Value, order: int, pieces: Pieces, roots: Pieces, starts: Sequence[float], pq: Pieces
) -> Value:
    """The function at a >= 0."""
    first, *later = (
        [number(b, a, c) for c in (*root, *piece)] for root, piece in zip(roots, pieces, strict=True)
    )
    items = first
    for start, piece in zip(starts[1:-1], later, strict=True):
        beyond = b.fcmp("oge", a, number(b, a, start))
        items = [b.select(beyond, new, old) for new, old in zip(piece, items, strict=True)]
    high, low, *coefficients = items
    around = b.fcmp("olt", a, number(b, a, starts[1]))
    t = b.fsub(b.fsub(a, high), low)
    value = polynomial(b, b.select(around, b.fmul(a, a), t), coefficients)
    front = a if order else number(b, a, 1.0)
    near = b.fmul(value, b.select(around, front, t))
    far = beyond_all(b, at_least(b, a, starts[-1]), order, pq)
    result = b.select(b.fcmp("olt", a, number(b, a, starts[-1])), near, far)
    return b.select(b.fcmp("oeq", a, number(b, a, INF)), number(b, a, 0.0), result)


def beyond_all(b: Builder, a: Value, order: int, pq: Pieces) -> Value:
    """By modulus and phase: sqrt(2) cos(c) and sqrt(2) sin(c) are sums of sin(a) and cos(a)."""
    s, c = sin_cos(b, a)
    plus, minus = b.fadd(s, c), b.fsub(s, c)
    inverse = b.fdiv(number(b, a, 1.0), a)
    square = b.fmul(inverse, inverse)
    p, q = (polynomial(b, square, part) for part in pq)
    q = b.fmul(q, inverse)
    first, second = (minus, b.fneg(plus)) if order else (plus, minus)
    total = b.fsub(b.fmul(p, first), b.fmul(q, second))
    return b.fmul(total, b.fdiv(number(b, a, table.ROOT_OF_1_OVER_PI[0]), b.sqrt(a)))
