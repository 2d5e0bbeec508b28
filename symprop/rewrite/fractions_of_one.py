"""Sums of fractions in one variable: `1/(x + 1) - 2/x + 1/(x - 1) --> 2/(x*(x + 1)*(x - 1))`.

For large x, or next to zero, the terms agree in more digits the farther out x is. Over their common
denominator the numerator is a polynomial with exact coefficients, in which what cancels is gone. It is taken
where its degree falls, or its lowest power rises, and where its terms are nowhere much larger than those of
the sum. Where only the leading terms count, `2/x**3`, no power overflows before the value does.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Sweep, simplest
from symprop.rewrite.leading import Monomial, PolynomialOfOne, limit_of, polynomial_of
from symprop.rewrite.pairs import Term, opened_term, terms_of

__all__ = ["fractions_of_one"]

MOST = 6  # terms of a sum
HIGHEST = 8  # degree of a numerator
LOST = 8  # how much larger than those of the sum the terms of the numerator may be
POINTS = [sign * 2.0 ** (k / 4) for k in range(-80, 81) for sign in (1, -1)]

Coefficients = tuple[Fraction, ...]  # of the powers of the variable, from 0 on


class _Fractions:
    """The terms of a sum as numbers times powers of polynomials in one variable; what else is a factor of all
    of them is kept in `common`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.bases: dict[int, tuple[Node, Coefficients]] = {}
        self.variable: Monomial = ()
        self.common: list[tuple[Node, int]] = []
        self.numbers: list[Fraction] = []
        self.exponents: list[dict[int, int]] = []  # of the bases, and at -1 of the variable

    def read(self, terms: list[Term]) -> bool:
        """False where there is more than one variable."""
        for term in terms:
            for base, e in term.powers:
                if base.op == "add" and not self._is_known(base, e):
                    return False
        if not self.variable or not any(e < 0 for t in terms for b, e in t.powers if b.serial in self.bases):
            return False
        rest: dict[int, tuple[Node, int]] | None = None
        for term in terms:
            own = {b.serial: (b, e) for b, e in term.powers if b.serial not in self.bases}
            if any(not isinstance(e, int) for _, e in term.powers):
                return False
            first, unit = max(self.variable, key=lambda v: v[1])  # above the line: x of x/y
            power = Fraction(own[first][1], unit) if first in own else Fraction(0)
            for serial, e in self.variable:
                left = (own[serial][1] if serial in own else 0) - power * e
                if power.denominator != 1 or left.denominator != 1:
                    return False
                own[serial] = self.context.table.nodes[serial], int(left)
            own = {s: p for s, p in own.items() if p[1]}
            if rest is not None and {s: e for s, (_, e) in own.items()} != {
                s: e for s, (_, e) in rest.items()
            }:
                return False
            rest = own  # type: ignore[assignment]
            found = {b.serial: int(e) for b, e in term.powers if b.serial in self.bases}
            self.exponents.append({**found, -1: int(power)})
            self.numbers.append(Fraction(term.number))
        self.common = list(rest.values()) if rest else []
        return True

    def _is_known(self, base: Node, e: object) -> bool:
        """Whether a sum is a polynomial in the variable."""
        found = polynomial_of(base, self.context)
        if found is None or found.of_size or not isinstance(e, int):
            return False
        if not all(c.is_Rational for c in found.coefficients.values()):
            return False
        if self.variable and found.variable != self.variable:
            return False
        self.variable = found.variable
        whole = [found.coefficients.get(k, sp.S.Zero) for k in range(found.degree + 1)]
        self.bases[base.serial] = base, tuple(Fraction(int(c.p), int(c.q)) for c in whole)
        return True


def fractions_of_one(node: Node, sweep: Sweep) -> Node | None:
    """The sum over its common denominator where the numerator gets shorter at one end, or None."""
    context = sweep.context
    if not 2 <= len(node.args) <= MOST:
        return None
    terms = terms_of(node, context)
    inner = [b for term in terms for b, e in term.powers if b.op == "add" and e == 1]
    if not any(b.op == "add" and e < 0 for term in terms for b, e in term.powers) and not inner:
        return None
    made = _over_one(terms, node, sweep)
    if made is None and len(inner) == 1:
        made = _over_one([x for a in node.args for x in opened_term(a, context)], node, sweep)
    return made


def _over_one(terms: list[Term], node: Node, sweep: Sweep) -> Node | None:
    context, t = sweep.context, sweep.table
    read = _Fractions(sweep.context)
    if len(terms) > MOST or not read.read(terms):
        return None
    keys = {s for e in read.exponents for s in e}
    least = {s: min(e.get(s, 0) for e in read.exponents) for s in keys}
    numerators = []
    for number, exponents in zip(read.numbers, read.exponents, strict=True):
        total: Coefficients = (number,)
        for s, low in least.items():
            base = read.bases[s][1] if s in read.bases else (Fraction(0), Fraction(1))
            raised = exponents.get(s, 0) - low
            if len(total) + raised * (len(base) - 1) > HIGHEST + 1:
                return None
            for _ in range(raised):
                total = _product(total, base)
        numerators.append(total)
    top = [
        sum((n[k] for n in numerators if k < len(n)), Fraction(0)) for k in range(max(map(len, numerators)))
    ]
    powers = [k for k, c in enumerate(top) if c]
    ends = [[k for k, c in enumerate(n) if c] for n in numerators]
    gained = not powers or powers[-1] < max(e[-1] for e in ends) or powers[0] > min(e[0] for e in ends)
    if not gained or _loses(top, numerators):
        return None
    sweep.fire("fractions over one denominator")
    if not powers:
        return t.full(0, node.shape)
    variable = t.mul(*[t.pow(t.nodes[s], context.constant(e)) for s, e in read.variable])
    parts = [t.mul(context.constant(simplest(top[k])), t.pow(variable, k - powers[0])) for k in powers]
    least[-1] = least.get(-1, 0) + powers[0]
    factors = [t.pow(read.bases[s][0] if s in read.bases else variable, e) for s, e in least.items() if e]
    value = t.mul(t.add(*parts), *factors)
    far = _far(top, powers, least, read)
    if far is not None:
        limit, lead, power = far
        large = t.make("less", (context.constant(simplest(limit)), t.make("abs", (variable,))))
        asymptote = t.mul(context.constant(simplest(lead)), t.pow(variable, power))
        value = t.select(large, asymptote, value, variable.shape)
    shared = [t.pow(b, context.constant(e)) for b, e in read.common]
    return t.broadcast(t.mul(value, *shared), node.shape)


def _far(
    top: list[Fraction], powers: list[int], least: dict[int, int], read: _Fractions
) -> tuple[Fraction, Fraction, int] | None:
    """From where on the leading terms are all, their number and their power; None where powers overflow
    before."""
    rest = {k - powers[0]: sp.Rational(top[k]) for k in powers}
    polynomials = [(PolynomialOfOne(read.variable, rest), 1)] if len(powers) > 1 else []
    lead, power = top[powers[-1]], powers[-1] - powers[0] + least[-1]
    degree = powers[-1] - powers[0] + abs(least[-1])
    for s, e in least.items():
        if s in read.bases and e:
            base = read.bases[s][1]
            whole = {k: sp.Rational(c) for k, c in enumerate(base) if c}
            polynomials.append((PolynomialOfOne(read.variable, whole), abs(e)))
            lead *= base[-1] ** e
            power += e * (len(base) - 1)
            degree += abs(e) * (len(base) - 1)
    limit = limit_of(polynomials, degree)
    return None if limit is None else (limit, lead, power)


def _product(a: Coefficients, b: Coefficients) -> Coefficients:
    total = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            total[i + j] += p * q
    return tuple(total)


def _loses(top: list[Fraction], numerators: list[Coefficients]) -> bool:
    """True where the terms of the new numerator are much larger than the old ones: next to a root of a factor
    that has been multiplied out."""
    new, old = [float(c) for c in top], [[float(c) for c in n] for n in numerators]
    for x in POINTS:
        terms = sum(abs(c * x**k) for k, c in enumerate(new))
        before = sum(abs(sum(c * x**k for k, c in enumerate(n))) for n in old)
        if terms > LOST * before:
            return True
    return False
