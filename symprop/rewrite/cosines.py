"""The law of cosines: `a**2 + b**2 - 2*a*b*cos(c)` and its slopes, `a - b*cos(c)`.

The square of a distance in polar coordinates, `1 - 2*r*cos(c) + r**2` of a Poisson kernel: with a near b and
c near 0 all digits cancel. With half the angle (the haversine) nothing does:

    a**2 + b**2 - 2*a*b*cos(c) = (a - b)**2 + 4*a*b*sin(c/2)**2,    a - b*cos(c) = a - b + 2*b*sin(c/2)**2.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.pairs import Term, terms_of

__all__ = ["law_of_cosines"]

MOST = 8  # terms of a sum that are looked at
HALF = Fraction(1, 2)


class _Sides(NamedTuple):
    """a, b and the cosine of a sum in which the law was found."""

    a: Node
    b: Node
    cosine: Node


def law_of_cosines(node: Node, sweep: Sweep) -> Node | None:
    """The sum without the cancellation, of its slopes those of which the law itself was seen; or None."""
    context = sweep.context
    known = context.memo.get(("law of cosines", 0))
    if not (2 if known else 3) <= len(node.args) <= MOST:  # two terms are a slope of one that was seen
        return None
    terms = terms_of(node, context)
    angles = [k for k, term in enumerate(terms) if any(b.op == "cos" and e == 1 for b, e in term.powers)]
    for k in angles:
        for cosine in [b for b, e in terms[k].powers if b.op == "cos" and e == 1]:
            made = _distance(k, cosine, terms, node, context) or _slope(k, cosine, terms, node, context)
            if made is not None:
                sweep.fire("law of cosines")
                return made
    return None


def _key(number: Number, powers: dict[int, Number]) -> tuple[Number, tuple[tuple[int, Number], ...]]:
    return number, tuple(sorted((s, e) for s, e in powers.items() if e))


def _place(term: tuple[Number, tuple[tuple[int, Number], ...]], terms: list[Term]) -> int | None:
    """Where that term stands."""
    for k, other in enumerate(terms):
        if _key(other.number, {b.serial: e for b, e in other.powers}) == term:
            return k
    return None


def _half_sine(cosine: Node, context: Context) -> Node:
    """sin(c/2)**2"""
    number, factors = context.split(cosine.args[0])
    half = context.times(HALF * number, factors)
    return context.table.pow(context.table.make("sin", (half,)), 2)


def _distance(k: int, cosine: Node, terms: list[Term], node: Node, context: Context) -> Node | None:
    """c*F*a**2 + c*F*b**2 - 2*c*F*a*b*cos(c)"""
    t, one = context.table, context.constant(1)
    number = -terms[k].number * HALF
    powers = {b.serial: e for b, e in terms[k].powers if b is not cosine}
    sides = [b for b, e in terms[k].powers if b is not cosine and e >= 1 and b.shape == node.shape]
    for i, b in enumerate(sides):
        for a in [one, *sides[:i]]:
            squares = []
            for more, less in ((a, b), (b, a)):
                own = dict(powers)
                for side, change in ((more, 1), (less, -1)):
                    if side is not one:
                        own[side.serial] = own[side.serial] + change
                squares.append(_place(_key(number, own), terms))
            if None in squares:
                continue
            rest = [(x, e - (x is a or x is b)) for x, e in terms[k].powers if x is not cosine]
            front = [context.constant(number), *[t.pow(x, context.constant(e)) for x, e in rest if e]]
            context.memo.setdefault(("law of cosines", 0), []).append(_Sides(a, b, cosine))
            apart = t.pow(t.add(a, context.negate(b)), 2)
            whole = t.add(apart, t.mul(context.constant(4), a, b, _half_sine(cosine, context)))
            others = [x for m, x in enumerate(node.args) if m != k and m not in squares]
            return t.broadcast(t.add(t.mul(*front, whole), *others), node.shape)
    return None


def _slope(k: int, cosine: Node, terms: list[Term], node: Node, context: Context) -> Node | None:
    """c*F*a - c*F*b*cos(c)"""
    t, one = context.table, context.constant(1)
    for known in context.memo.get(("law of cosines", 0), ()):
        for a, b in ((known.a, known.b), (known.b, known.a)) if known.cosine is cosine else ():
            powers = {x.serial: e for x, e in terms[k].powers if x is not cosine}
            for side, change in ((a, 1), (b, -1)):
                if side is not one:
                    powers[side.serial] = powers.get(side.serial, 0) + change
            j = _place(_key(-terms[k].number, powers), terms)
            if j is None:
                continue
            rest = {x.serial: (x, e) for x, e in terms[j].powers}
            if a is not one:
                rest[a.serial] = a, rest[a.serial][1] - 1 if a.serial in rest else -1
            front = [t.pow(x, context.constant(e)) for x, e in rest.values() if e]
            made = t.add(a, context.negate(b), t.mul(context.constant(2), b, _half_sine(cosine, context)))
            plain = t.make("sub", (a, t.mul(b, cosine)))  # not to be looked at again
            near = t.make("less", (context.constant(HALF), cosine))
            value = t.mul(context.constant(terms[j].number), *front, t.select(near, made, plain, node.shape))
            others = [x for m, x in enumerate(node.args) if m not in (j, k)]
            return t.broadcast(t.add(value, *others), node.shape)
    return None
