"""Exponentials beside exp(y - c*exp(u)), which is 0 long before exp(u) overflows: infinity times zero.

So it is in the slopes of `exp(-x - exp(-x))`, `1 - exp(-exp(x))`, `exp(k*x - exp(x))`, where exp(u) may be
taken at 40 for every larger u.
"""

from __future__ import annotations

from fractions import Fraction

from symprop.graph import Node
from symprop.rewrite.context import Context
from symprop.rewrite.reading import Factors

__all__ = ["beside_double_exponential", "bounded", "decays_with"]

LARGEST = 40  # the square of exp(40) is a number in single precision too
MOST = 2  # the largest k of exp(k*u)
SMALLEST = Fraction(1, 10**4)  # of the c: exp(40/2) times that is 5e4, and exp(-5e4) is 0
LONGEST = 8


def decays_with(exponent: Node, context: Context) -> list[Node]:
    """The u of each term -c*exp(u) of an exponent, c a positive number; another term is no exponential."""
    found = []
    terms = exponent.args if exponent.op == "add" else (exponent,)
    for term in terms if len(terms) <= LONGEST else ():
        number, factors = context.split(term)
        if len(factors) == 1 and factors[0].op == "exp" and number <= -SMALLEST:
            found.append(factors[0].args[0])
    return found


def bounded(u: Node, context: Context) -> Node:
    """u up to the limit from which on the product is 0."""
    return context.table.make("minimum", (u, context.constant(LARGEST)))


def beside_double_exponential(f: Factors) -> bool:
    """exp(u) and expm1(u), also in a sum, beside exp(y - c*exp(u)) and sums of which every term has that."""
    context = f.context
    above = [base for base, e in f.powers.values() if isinstance(e, int) and e > 0]
    limits = [u for base in above for u in _vanishing(base, context)]
    done = False
    for base in above if limits else ():
        e, made = f.exponent(base), base
        if _is_bounded(base, limits, context):
            made = f.make(base.op, bounded(base.args[0], context))
        elif base.op == "add" and len(base.args) <= LONGEST:
            made = context.table.add(*[_within(a, limits, context) for a in base.args])
        if made is not base:
            f.change(base, -e)
            f.change(made, e)
            done = True
    return done


def _vanishing(base: Node, context: Context) -> list[Node]:
    """The u for which the factor is 0 long before exp(u) overflows."""
    if base.op == "exp":
        return decays_with(base.args[0], context)
    if base.op != "add" or len(base.args) > LONGEST:
        return []
    common: dict[int, Node] | None = None
    for term in base.args:
        found = {
            u.serial: u
            for f in context.split(term)[1]
            if f.op == "exp"
            for u in decays_with(f.args[0], context)
        }
        common = found if common is None else {s: u for s, u in common.items() if s in found}
        if not common:
            return []
    return list((common or {}).values())


def _is_bounded(f: Node, limits: list[Node], context: Context) -> bool:
    """True for exp(k*u) and expm1(k*u), 0 < k <= 2."""
    if f.op not in ("exp", "expm1"):
        return False
    number, factors = context.split(f.args[0])
    for u in limits:
        own, rest = context.split(u)
        if rest == factors and 0 < number / Fraction(own) <= MOST:
            return True
    return False


def _within(term: Node, limits: list[Node], context: Context) -> Node:
    """The term of a sum with its exponentials bounded."""
    number, factors = context.split(term)
    made = [
        context.table.make(f.op, (bounded(f.args[0], context),)) if _is_bounded(f, limits, context) else f
        for f in factors
    ]
    return term if made == list(factors) else context.times(number, made)
