"""Differences of two fractions whose numerator is short over both denominators: `p/(1 - p) - q/(1 - q)`.

Where p is near q both agree in their first digits, and so do the logarithms of `logit(p) - logit(q)`.
Multiplied out, p*(1 - q) - q*(1 - p) is p - q, which is exact there.
"""

from __future__ import annotations

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep, magnitude
from symprop.rewrite.pairs import Term, terms_of

__all__ = ["difference_of_fractions", "fractions_apart"]

MOST = 6  # terms of a sum
WIDEST = 4  # terms of a factor that is multiplied out
LARGEST = 16  # products of a numerator
Powers = dict[int, tuple[Node, Number]]
Monomials = list[tuple[Number, Powers]]


def difference_of_fractions(node: Node, sweep: Sweep) -> Node | None:
    """The sum with two terms `c*F*a/b - c*F*u/v` over both denominators, where terms above cancel."""
    context = sweep.context
    if not 2 <= len(node.args) <= MOST:
        return None
    terms = terms_of(node, context)
    divided = [k for k, term in enumerate(terms) if any(b.op == "add" and e < 0 for b, e in term.powers)]
    for i in divided:
        for j in divided:
            made = None
            if i < j and terms[i].number == -terms[j].number:
                made = _over_both(terms[i], terms[j], context)
            if made is not None:
                sweep.fire("difference of fractions")
                kept = [a for k, a in enumerate(node.args) if k not in (i, j)]
                product = context.table.mul(context.constant(terms[i].number), made)
                return context.table.broadcast(context.table.add(product, *kept), node.shape)
    return None


def fractions_apart(a: Term, b: Term, context: Context) -> Node | None:
    """a - b of two terms of one number, or None."""
    if a.number != b.number:
        return None
    made = _over_both(a, b, context)
    return None if made is None else context.table.mul(context.constant(a.number), made)


def _over_both(a: Term, b: Term, context: Context) -> Node | None:
    """The difference of both without their numbers."""
    t = context.table
    first, second = ({x.serial: (x, e) for x, e in term.powers} for term in (a, b))
    if any(not isinstance(e, int) for side in (first, second) for _, e in side.values()):
        return None
    common: Powers = {}
    for s in [s for s in first if s in second]:
        (x, e), (_, o) = first[s], second[s]
        if e * o > 0:
            least = e if magnitude(e) < magnitude(o) else o
            common[s] = x, least
            first[s], second[s] = (x, e - least), (x, o - least)
    below = [{s: (x, -e) for s, (x, e) in side.items() if e < 0} for side in (first, second)]
    above = [{s: (x, e) for s, (x, e) in side.items() if e > 0} for side in (first, second)]
    if not all(any(x.op == "add" for x, _ in side.values()) for side in below):
        return None
    collected: dict[tuple[tuple[int, Number], ...], tuple[Number, Powers]] = {}
    made = 0
    for sign, top, bottom in ((1, above[0], below[1]), (-1, above[1], below[0])):
        products = _opened([*top.values(), *bottom.values()], context)
        if products is None:
            return None
        made += len(products)
        for c, powers in products:
            key = tuple(sorted((s, e) for s, (_, e) in powers.items()))
            collected[key] = sign * c + (collected[key][0] if key in collected else 0), powers
    left = [(c, powers) for c, powers in collected.values() if c]
    if len(left) > 2 or made < len(left) + 2:
        return None
    if not left:
        return t.constant(0)
    numerator = [t.mul(context.constant(c), *[t.pow(x, e) for x, e in p.values()]) for c, p in left]
    divisors = [t.pow(x, -e) for side in below for x, e in side.values()]
    return t.mul(t.add(*numerator), *[t.pow(x, e) for x, e in common.values()], *divisors)


def _opened(factors: list[tuple[Node, Number]], context: Context) -> Monomials | None:
    """The product, multiplied out."""
    products: Monomials = [(1, {})]
    for base, e in factors:
        if base.op != "add":
            products = [_times(p, 1, {base.serial: (base, e)}) for p in products]
            continue
        terms = terms_of(base, context)
        for _ in range(int(e)):
            if len(terms) > WIDEST or len(products) * len(terms) > LARGEST:
                return None
            products = [
                _times(p, term.number, {b.serial: (b, o) for b, o in term.powers})
                for p in products
                for term in terms
            ]
    return products


def _times(product: tuple[Number, Powers], number: Number, powers: Powers) -> tuple[Number, Powers]:
    total = dict(product[1])
    for s, (x, e) in powers.items():
        total[s] = x, total.get(s, (x, 0))[1] + e
    return product[0] * number, {s: p for s, p in total.items() if p[1]}
