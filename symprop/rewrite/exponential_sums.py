"""Sums of fractions over sums of exponentials: what cancels in the common numerator cancels exactly.

The slope of `(a*exp(x) + b*exp(y))/(u*exp(x) + v*exp(y))` comes out of the chain rule as `a*exp(x)/D -
u*N*exp(x)/D**2`, whose terms agree in all digits for large x. Over one denominator the terms with `exp(2*x)`
are gone, and `(a*v - b*u)*exp(x)*exp(y)/D**2` is left. Numerators are polynomials in exponentials whose
coefficients are products of any values; sums among the coefficients are opened only where more cancels then.
The result is taken where terms meet and vanish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep, simplest
from symprop.rewrite.exponential_forms import Argument
from symprop.rewrite.growth import arguments_of
from symprop.rewrite.rational import argument_of
from symprop.rewrite.reading import read

__all__ = ["sum_of_exponential_quotients"]

LONGEST = 12  # terms of a sum that are looked at
WIDEST = 24  # terms of a numerator
DEEPEST = 6  # sums in terms of sums
MOST = 4  # power of a denominator

Powers = dict[int, tuple[Node, Number]]  # base -> exponent


@dataclass(frozen=True)
class _Term:
    """number * product of bases * product of exponentials"""

    number: Number
    powers: Powers
    exponents: dict[Argument, Number]

    def key(self) -> tuple[frozenset[tuple[int, Number]], frozenset[tuple[Argument, Number]]]:
        """What terms that add up have in common."""
        return frozenset([(s, e) for s, (_, e) in self.powers.items()]), frozenset(self.exponents.items())

    def times(self, other: _Term) -> _Term:
        powers, exponents = dict(self.powers), dict(self.exponents)
        for base, e in other.powers.values():
            _change(powers, base, e)
        for argument, e in other.exponents.items():
            total = exponents.pop(argument, 0) + e
            if total:
                exponents[argument] = total
        return _Term(self.number * other.number, powers, exponents)


def _change(powers: Powers, base: Node, by: Number) -> None:
    total = powers.pop(base.serial, (base, 0))[1] + by
    if total:
        powers[base.serial] = base, total


_ONE = _Term(1, {}, {})


class _TooLongError(Exception):
    """More terms than are worth it."""


def sum_of_exponential_quotients(node: Node, sweep: Sweep) -> Node | None:
    """The sum over a common denominator where terms vanish from its numerator, or None."""
    context = sweep.context
    if not 2 <= len(node.args) <= LONGEST:
        return None
    if (made := _with_common_factor(node, context)) is not None:
        sweep.fire("common factor of exponentials")
        return made
    if not _is_divided(node, context):
        return None
    for opened in (False, True):
        try:
            made = _over(_terms(node, opened, context), opened, context)
        except _TooLongError:
            return None
        if made is not None:
            sweep.fire("exponentials over a common denominator")
            return context.table.broadcast(made, node.shape)
    return None


def _with_common_factor(node: Node, context: Context) -> Node | None:
    """`c*exp(x) + 2*c*exp(2*x) --> c*(exp(x) + 2*exp(2*x))`: then it is a sum of known numbers."""
    if node.shape or len(arguments_of(node, context)) != 1:
        return None
    readings = [read(a, context) for a in node.args]
    common: frozenset[tuple[int, Number]] | None = None
    for reading in readings:
        if reading.clashes or "exp" not in reading.operations:
            return None
        others = frozenset([(s, e) for s, (b, e) in reading.powers.items() if b.op != "exp" and e])
        if not others or common not in (None, others):
            return None
        common = others
    t, first = context.table, readings[0].powers
    terms = []
    for reading in readings:
        powers = [t.pow(b, context.constant(e)) for b, e in reading.powers.values() if b.op == "exp"]
        terms.append(t.mul(context.constant(reading.number), *powers))
    factors = [t.pow(first[s][0], context.constant(e)) for s, e in sorted(common or ())]
    return t.mul(*factors, t.add(*terms))


def _is_divided(total: Node, context: Context, depth: int = DEEPEST) -> bool:
    """True where a term, or one of a sum in it, is divided by a sum of exponentials."""
    key = ("divided", total.serial)
    if key not in context.memo:
        found = False
        for a in total.args if len(total.args) <= LONGEST else ():
            reading = read(a, context)
            if reading.clashes:
                found = False
                break
            found = found or any(_is_weighted(reading.powers[s][0], context) for s in reading.divisors)
            sums = [b for b, e in reading.powers.values() if b.op == "add" and e == 1] if depth else []
            found = found or any(_is_divided(b, context, depth - 1) for b in sums)
        context.memo[key] = found
    return bool(context.memo[key])


def _is_weighted(total: Node, context: Context) -> bool:
    """True for a sum of exponentials of several arguments or with symbolic coefficients: `rational` does the
    others."""
    if total.op != "add":
        return False
    key = ("weighted", total.serial)
    if key not in context.memo:
        arguments = arguments_of(total, context)
        context.memo[key] = len(arguments) > 1 or (len(arguments) == 1 and _has_coefficients(total, context))
    return bool(context.memo[key])


def _has_coefficients(total: Node, context: Context, depth: int = DEEPEST) -> bool:
    """True where a term has other factors than numbers, exponentials and sums of such terms."""
    if len(total.args) > LONGEST:
        return False
    bases = [b for a in total.args for b, _ in read(a, context).powers.values() if b.op != "exp"]
    return any(b.op != "add" or not depth or _has_coefficients(b, context, depth - 1) for b in bases)


def _over(terms: Sequence[_Term], opened: bool, context: Context) -> Node | None:
    t = context.table
    bases: dict[int, tuple[Node, int]] = {}
    for term in terms:
        for s, (base, e) in term.powers.items():
            if e < 0 and isinstance(e, int) and _is_weighted(base, context):
                bases[s] = base, max(-e, bases.get(s, (base, 0))[1])
    highest = max((n for _, n in bases.values()), default=0)
    if not 0 < highest <= MOST:
        return None
    # a weight less a target: `targets`; what all weights but one leave of 1 is that one
    plain = highest == 1 and not any(_has_coefficients(base, context) for base, _ in bases.values())
    if plain and any(s not in bases for term in terms for s in term.powers):
        return None
    collected: dict[object, _Term] = {}
    factors = {s: _terms(base, opened, context) for s, (base, _) in bases.items()}
    for term in terms:
        products = [
            _Term(term.number, {s: p for s, p in term.powers.items() if s not in bases}, term.exponents)
        ]
        for s, (base, n) in bases.items():
            for _ in range(n + int(term.powers.get(s, (base, 0))[1])):
                products = _product(products, factors[s])
        for p in products:
            before = collected.get(p.key())
            number = p.number if before is None else before.number + p.number
            collected[p.key()] = _Term(number, p.powers, p.exponents)
    groups: dict[frozenset[tuple[Argument, Number]], list[_Term]] = {}  # by exponents
    for term in collected.values():
        groups.setdefault(frozenset(term.exponents.items()), []).append(term)
    left = [kept for group in groups.values() if (kept := [term for term in group if term.number])]
    if len(left) == len(groups) or sum(map(len, left)) > WIDEST:
        return None
    if plain and not (len(left) == 1 and all(term.number > 0 for term in left[0])):
        return None
    if len(left) > 1 and any(_is_difference(_terms(base, False, context)) for base, _ in bases.values()):
        return None
    if not left:
        return context.constant(0)
    below = [
        e
        for terms in factors.values()
        for term in terms
        if len(term.exponents) == 1
        for e in term.exponents.items()
    ]
    total = t.add(*[_node(group, below, context) for group in left])
    return t.mul(total, *[t.pow(base, -n) for base, n in bases.values()])


def _is_difference(terms: Sequence[_Term]) -> bool:
    """True where numbers of both signs stand before exponentials: the sum is known to more digits than its
    terms are, as that of exp(x) - 1."""
    return len({t.number > 0 for t in terms if not t.powers}) > 1


def _power(base: Node, e: Number, opened: bool, context: Context) -> list[_Term]:
    if base.op == "exp":
        found = argument_of(base.args[0], context)
        if found is not None:
            return [_Term(1, {}, {found[0]: found[1] * e})]
    if (
        base.op == "add"
        and isinstance(e, int)
        and 0 < e <= MOST
        and (opened or arguments_of(base, context) or _is_divided(base, context))
    ):
        inner, terms = _terms(base, opened, context), [_ONE]
        for _ in range(e):
            terms = _product(terms, inner)
        return terms
    return [_Term(1, {base.serial: (base, e)}, {})]


def _terms(total: Node, opened: bool, context: Context) -> list[_Term]:
    """The terms of a sum, multiplied out where they are products of sums."""
    key = ("numerator opened" if opened else "numerator", total.serial)
    if key not in context.memo:
        context.memo[key] = None  # a sum inside itself there is none, but the recursion must end
        if len(total.args) > LONGEST:
            raise _TooLongError
        found: list[_Term] = []
        for a in total.args:
            reading = read(a, context)
            terms = [_Term(reading.number, {}, {})]
            for base, e in reading.powers.values():
                if e:
                    terms = _product(terms, _power(base, e, opened, context))
            found += terms
        context.memo[key] = found
    made: list[_Term] | None = context.memo[key]
    if made is None:
        raise _TooLongError
    return made


def _product(a: Sequence[_Term], b: Sequence[_Term]) -> list[_Term]:
    if len(a) * len(b) > 4 * WIDEST:
        raise _TooLongError
    return [p.times(q) for p in a for q in b]


def _node(group: Sequence[_Term], below: Sequence[tuple[Argument, Number]], context: Context) -> Node:
    """The sum of terms with the same exponentials, as powers of those in the denominators."""
    t = context.table
    coefficient = t.add(
        *[
            t.mul(
                context.constant(term.number),
                *[t.pow(b, context.constant(e)) for b, e in term.powers.values()],
            )
            for term in group
        ]
    )
    powers = []
    for argument, e in group[0].exponents.items():
        times = [n for a, s in below if a is argument and (n := Fraction(e) / s) > 0 and n.denominator == 1]
        n = min(times, default=Fraction(1))
        powers.append(t.pow(t.make("exp", (argument.times(simplest(e / n), context),)), int(n)))
    return t.mul(coefficient, *powers)
