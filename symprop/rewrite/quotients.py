"""Quotients of polynomials in one unknown u, kept as products of powers, with exact coefficients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd

from symprop.rewrite.context import Number

__all__ = [
    "HIGHEST",
    "KNOWN",
    "MINUS",
    "PLUS",
    "SQUARE",
    "Polynomial",
    "Quotient",
    "coarser",
    "factored",
    "total_of",
]

HIGHEST = 24  # degree of a polynomial

Polynomial = dict[int, Number]  # exponent -> coefficient
Part = tuple[int, ...]  # the coefficients of a factor, the constant one first

MINUS, PLUS, SQUARE = (-1, 1), (1, 1), (1, 0, 1)  # u - 1, u + 1, u**2 + 1
KNOWN: tuple[Part, ...] = (MINUS, PLUS, SQUARE)


@dataclass
class Quotient:
    """number * u**power * product of polynomials (their coefficients, the constant one first) to powers."""

    number: Number = 1
    power: int = 0
    parts: dict[tuple[int, ...], int] = field(default_factory=dict)

    def times(self, other: Quotient, exponent: int = 1) -> None:
        """Multiply by other**exponent."""
        self.number = self.number * Fraction(other.number) ** exponent
        self.power += other.power * exponent
        for part, e in other.parts.items():
            self.change(part, e * exponent)

    def change(self, part: tuple[int, ...], by: int) -> None:
        """Multiply by part**by."""
        total = self.parts.get(part, 0) + by
        self.parts.pop(part, None)
        if total:
            self.parts[part] = total

    def degree(self) -> int:
        """Of numerator and denominator together."""
        return sum((len(p) - 1) * abs(e) for p, e in self.parts.items()) + abs(self.power)


# -- polynomials -----------------------------------------------------------------------------------------


def multiplied(a: Polynomial, b: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for i, x in a.items():
        for j, y in b.items():
            result[i + j] = result.get(i + j, 0) + x * y
    return {k: c for k, c in result.items() if c}


def expanded(parts: Iterable[tuple[tuple[int, ...], int]]) -> Polynomial:
    total: Polynomial = {0: 1}
    for part, exponent in parts:
        for _ in range(exponent):
            total = multiplied(total, {k: c for k, c in enumerate(part) if c})
    return total


def divided(total: Polynomial, by: tuple[int, ...]) -> Polynomial | None:
    """The quotient where the division leaves nothing; the last coefficient of `by` is positive."""
    rest, degree = dict(total), len(by) - 1
    quotient: Polynomial = {}
    for k in range(max(rest), degree - 1, -1):
        c = rest.pop(k, 0)
        if c:
            q = Fraction(c) / by[-1]
            quotient[k - degree] = q
            for j in range(degree):
                rest[k - degree + j] = rest.get(k - degree + j, 0) - q * by[j]
    return None if any(rest.values()) or not quotient else quotient


def factored(total: Polynomial, candidates: Iterable[tuple[int, ...]] = ()) -> Quotient:
    """A Laurent polynomial other than zero as a quotient."""
    found = Quotient(power=min(total))
    rest = {k - found.power: c for k, c in total.items()}
    for part in (*KNOWN, *candidates):
        while len(rest) > 1:
            less = divided(rest, part)
            if less is None:
                break
            rest = less
            found.change(part, 1)
    if len(rest) == 1 and 0 in rest:
        found.number = rest[0]
        return found
    leading = Fraction(rest[max(rest)])
    scaled = {k: Fraction(c) / leading for k, c in rest.items()}
    whole = 1
    for c in scaled.values():
        whole = whole * c.denominator // gcd(whole, c.denominator)
    part = tuple(int(scaled.get(k, 0) * whole) for k in range(max(rest) + 1))
    found.number = leading / whole
    found.change(part, 1)
    return found


def total_of(quotients: Sequence[Quotient]) -> tuple[Quotient, bool] | None:
    """The sum over a common denominator, and whether its terms differ in sign; None where it is zero."""
    parts = {p for q in quotients for p in q.parts}
    common = Quotient(power=min(q.power for q in quotients))
    for p in parts:
        common.change(p, min(q.parts.get(p, 0) for q in quotients))
    total: Polynomial = {}
    for q in quotients:
        rest = [(p, q.parts.get(p, 0) - common.parts.get(p, 0)) for p in parts]
        numerator = multiplied({q.power - common.power: q.number}, expanded(rest))
        for k, c in numerator.items():
            total[k] = total.get(k, 0) + c
    total = {k: c for k, c in total.items() if c}
    if not total:
        return None
    if max(total) > HIGHEST:
        return common, False
    top = factored(total, [p for p, e in common.parts.items() if e < 0 and p not in KNOWN])
    top.times(common)
    return top, True


def coarser(q: Quotient, unit: Fraction) -> tuple[Quotient, Fraction]:
    """The same function of a power of u where it is one: (u**2 - 1)/(u**2 + 1) in u**2."""
    above = expanded((p, e) for p, e in q.parts.items() if e > 0)
    below = expanded((p, -e) for p, e in q.parts.items() if e < 0)
    step = 0
    for k in (*above, *below, q.power):
        step = gcd(step, k)
    if step <= 1:
        return q, unit
    made = Quotient(q.number, q.power // step)
    made.times(factored({k // step: c for k, c in above.items()}))
    made.times(factored({k // step: c for k, c in below.items()}), -1)
    return made, unit * step
