"""Quotients of polynomials in u = exp(x), written with tanh, sigmoid and their slopes, or in exp(-abs(x))."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symprop.graph import Node
from symprop.rewrite.context import Context, Number
from symprop.rewrite.quotients import KNOWN, MINUS, PLUS, SQUARE, Quotient, coarser

__all__ = ["Argument", "Key", "in_decay", "written"]

Key = tuple[object, ...]  # what an argument is a multiple of


@dataclass(frozen=True, eq=False)
class Argument:
    """What the arguments of a group are multiples of: the sum of these terms; one object for each value."""

    key: Key
    terms: tuple[tuple[Number, tuple[Node, ...]], ...]

    def times(self, scale: Number, context: Context) -> Node:
        """scale * argument"""
        parts = [context.times(scale * c, f) if f else context.constant(scale * c) for c, f in self.terms]
        return parts[0] if len(parts) == 1 else context.table.make("add", parts)


def written(q: Quotient, unit: Fraction, argument: Argument, context: Context) -> tuple[Number, list[Node]]:
    """The quotient as a number and factors that neither overflow nor cancel."""
    q, unit = coarser(q, unit)
    t = context.table
    k, a, b, c = q.power, q.parts.get(MINUS, 0), q.parts.get(PLUS, 0), q.parts.get(SQUARE, 0)
    number: Number = q.number
    factors: list[Node] = []

    def put(op: str, scale: Number, exponent: int = 1) -> None:
        factors.append(t.pow(t.make(op, (argument.times(scale * unit, context),)), exponent))

    count = min(a, b, -c)
    if count > 0:
        put("tanh", 1, count)
        a, b, c = a - count, b - count, c + count
    count = min(a, -b)
    if count > 0:
        put("tanh", Fraction(1, 2), count)
        a, b = a - count, b + count
    count = min(-a, -b, c)
    if count > 0:
        put("tanh", 1, -count)
        a, b, c = a + count, b + count, c - count
    count = min(-a, b)
    if count > 0:
        put("tanh", Fraction(1, 2), -count)
        a, b = a + count, b - count
    count = min(-b // 2, k)
    if count > 0:
        if unit % 2 == 0:  # of 2 x: shared with tanh(x)
            put("tanh_prime", Fraction(1, 2), count)
            number *= Fraction(1, 4**count)
        else:
            put("sigmoid_prime", 1, count)
        k, b = k - count, b + 2 * count
    if b < 0:
        count = max(0, min(-b, k))
        if count:
            put("sigmoid", 1, count)
        if -b > count:
            put("sigmoid", -1, -b - count)
        k, b = k - count, 0
    count = min(-c // 2, k // 2)
    if count > 0:
        put("tanh_prime", 1, count)
        number *= Fraction(1, 4**count)
        k, c = k - 2 * count, c + 2 * count
    if c < 0:
        pairs = max(0, min(-c, k // 2))  # u**2/(u**2 + 1)
        if pairs:
            put("sigmoid", 2, pairs)
            k, c = k - 2 * pairs, c + pairs
        if c < 0 and k > 0:
            put("cosh", 1, -1)
            number = Fraction(number) / 2
            k, c = k - 1, c + 1
        if c < 0:
            put("sigmoid", -2, -c)
            c = 0
    count = max(0, min(c, -k))
    if count:
        put("cosh", 1, count)
        number, k, c = number * 2**count, k + count, c - count
    count = max(0, min(a, b, -k))
    if count:
        put("sinh", 1, count)
        number, k, a, b = number * 2**count, k + count, a - count, b - count
    for op in ("cosh", "sinh"):  # (u + 1)**2/u and (u - 1)**2/u
        count = max(0, min((b if op == "cosh" else a) // 2, -k))
        if count:
            put(op, Fraction(1, 2), 2 * count)
            number, k = number * 4**count, k + count
            a, b = (a, b - 2 * count) if op == "cosh" else (a - 2 * count, b)
    count = max(0, min(a, b))
    if count:
        put("expm1", 2, count)
        a, b = a - count, b - count
    if a and k and (a > 0) != (k > 0):  # (u - 1)/u = -(1/u - 1)
        count = min(abs(a), abs(k))
        put("expm1", -1, count if a > 0 else -count)
        number *= (-1) ** count
        a, k = (a - count, k + count) if a > 0 else (a + count, k - count)
    if a:
        put("expm1", 1, a)
    for part, e in (
        (PLUS, b),
        (SQUARE, c),
        *((p, e) for p, e in q.parts.items() if p not in KNOWN),
    ):
        if e:
            total = [
                context.constant(n)
                if j == 0
                else context.times(n, (t.make("exp", (argument.times(j * unit, context),)),))
                for j, n in enumerate(part)
                if n
            ]
            factors.append(t.pow(t.add(*total), e))
    if k:
        put("exp", k)
    return number, factors


def in_decay(q: Quotient, unit: Fraction, argument: Argument, context: Context) -> list[Node]:
    """The quotient without its number in z = exp(-abs(x)): for positive x every polynomial of degree n is
    z**-n times the one with reversed coefficients."""
    t = context.table
    x = argument.times(unit, context)
    size = t.make("abs", (x,))
    positive = t.make("less", (context.constant(0), x))
    z = t.make("exp", (context.times(-1, (size,)),))
    above = -q.power - sum((len(p) - 1) * e for p, e in q.parts.items())  # the power of z for x > 0
    factors = []
    if above == q.power:
        factors.append(_power_of_decay(above, z, size, context))
    else:
        ends = [_power_of_decay(n, z, size, context) for n in (above, q.power)]
        factors.append(t.make("select", (positive, *ends)))
    for part, e in q.parts.items():
        if part == MINUS:
            factors.append(t.pow(t.make("expm1", (context.times(-1, (size,)),)), e))
            if e % 2:
                factors.append(t.make("select", (positive, context.constant(-1), context.constant(1))))
            continue
        total: Node | None = None
        for low, high in zip(reversed(part), part, strict=True):  # Horner, from the last coefficient on
            c = (
                context.constant(low)
                if low == high
                else t.make("select", (positive, context.constant(high), context.constant(low)))
            )
            total = c if total is None else t.add(c, t.mul(z, total))
        assert total is not None
        factors.append(t.pow(total, e))
    return factors


def _power_of_decay(n: int, z: Node, size: Node, context: Context) -> Node:
    if n >= 0:
        return context.table.pow(z, n)
    return context.table.make("exp", (context.times(-n, (size,)),))
