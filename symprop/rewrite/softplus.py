"""Sums of softplus and its argument: `log(1 + exp(x)) - x`, `x + log(1 + exp(-2*x)) - log(2)`.

softplus(x) is x + softplus(-x), and x/2 + log(2*cosh(x/2)): where a sum holds softplus(x) and minus its
argument, or half of it, the large parts of both are the same. So are those of softplus(x) - x*sigmoid(x),
the entropy of a coin with these odds and the slope of softplus(b*x)/b; it is the same for -x.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.pairs import Term, like_terms, opened_term

__all__ = ["softplus_and_argument"]

LONGEST = 12  # terms of a sum that are looked at
HALF = Fraction(1, 2)


def softplus_and_argument(node: Node, sweep: Sweep) -> Node | None:
    """The sum with `c*F*softplus(x)` and a multiple of `F*x`, or `c*F*softplus(-x)`, as one term; or None."""
    context, table = sweep.context, sweep.table
    if not 2 <= len(node.args) <= LONGEST:
        return None
    terms = like_terms([term for a in node.args for term in opened_term(a, context)])
    terms = [term for term in terms if term.number]
    if len(terms) > LONGEST:
        return None
    for i, first in enumerate(terms):
        for base, exponent in first.powers:
            if base.op != "softplus" or exponent != 1:
                continue
            front = {b.serial: e for b, e in first.powers if b is not base}
            for j, second in enumerate(terms):
                made = None if i == j else _joined(base, first.number, front, second, context)
                if made is None:
                    continue
                sweep.fire("softplus and its argument")
                factors = [table.pow(b, context.constant(e)) for b, e in first.powers if b is not base]
                kept = [a.built(context) for k, a in enumerate(terms) if k not in (i, j)]
                result = table.add(*[table.mul(context.constant(c), *factors, f) for c, f in made], *kept)
                return table.broadcast(result, node.shape)
    return None


def _joined(
    base: Node, number: Number, front: dict[int, Number], second: Term, context: Context
) -> list[tuple[Number, Node]] | None:
    """number*softplus(x) and the second term, as multiples of values; None where they do not meet."""
    t, (x,) = context.table, base.args
    mirror = t.make("softplus", (context.negate(x),))
    own = {b.serial: e for b, e in second.powers}
    if own == {**front, mirror.serial: 1} and mirror.serial not in front:
        return [(number, x)] if second.number == -number else None
    slope = t.make("sigmoid", (x,))
    is_slope = own.get(slope.serial, 0) == front.get(slope.serial, 0) + 1
    if is_slope:
        own = {s: e - (s == slope.serial) for s, e in own.items() if s != slope.serial or e != 1}
    scale, factors = context.split(x)
    wanted = dict(front)
    for factor in factors:
        power = context.number(factor.args[1]) if factor.op == "pow" else None
        inner, e = (factor.args[0], power) if power is not None else (factor, 1)
        wanted[inner.serial] = wanted.get(inner.serial, 0) + e
    if own != wanted:
        return None
    ratio = Fraction(second.number) / (Fraction(number) * scale)
    if is_slope:
        size = t.make("abs", (x,))
        tail = context.negate(size)
        entropy = [t.make("softplus", (tail,)), t.mul(size, t.make("sigmoid", (tail,)))]
        is_made = len(factors) == 1 and factors[0].op == "abs" and scale < 0
        return [(number, f) for f in entropy] if ratio == -1 and not is_made else None
    if ratio == -1:
        return [(number, mirror)]
    if ratio == -HALF:
        cosh = t.make("cosh", (context.times(scale * HALF, factors),))
        return [(number, t.make("log", (cosh,))), (number, t.constant(sp.log(2)))]
    return None
