"""Sums of softplus and its argument: `log(1 + exp(x)) - x`, `x + log(1 + exp(-2*x)) - log(2)`.

softplus(x) is x + softplus(-x), and x/2 + log(2*cosh(x/2)): where a sum holds softplus(x) and minus its
argument, or half of it, the large parts of both are the same.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.products import Reading, read

__all__ = ["softplus_and_argument"]

LONGEST = 12  # terms of a sum that are looked at
HALF = Fraction(1, 2)


def softplus_and_argument(node: Node, sweep: Sweep) -> Node | None:
    """The sum with `c*F*softplus(x)` and a multiple of `F*x`, or `c*F*softplus(-x)`, as one term; or None."""
    context, table = sweep.context, sweep.table
    if not 2 <= len(node.args) <= LONGEST:
        return None
    readings = [read(a, context) for a in node.args]
    for i, first in enumerate(readings):
        for base, exponent in first.powers.values():
            if base.op != "softplus" or exponent != 1:
                continue
            front = {s: e for s, (_, e) in first.powers.items() if e and s != base.serial}
            for j, second in enumerate(readings):
                made = None if i == j else _joined(base, first.number, front, second, context)
                if made is None:
                    continue
                sweep.fire("softplus and its argument")
                factors = [table.pow(first.powers[s][0], context.constant(e)) for s, e in front.items()]
                kept = [a for k, a in enumerate(node.args) if k not in (i, j)]
                result = table.add(*[table.mul(context.constant(c), *factors, f) for c, f in made], *kept)
                return table.broadcast(result, node.shape)
    return None


def _joined(
    base: Node, number: Number, front: dict[int, Number], second: Reading, context: Context
) -> list[tuple[Number, Node]] | None:
    """number*softplus(x) and the second term, as multiples of values; None where they do not meet."""
    t, (x,) = context.table, base.args
    mirror = t.make("softplus", (context.negate(x),))
    own = {s: e for s, (_, e) in second.powers.items() if e}
    if own == {**front, mirror.serial: 1} and mirror.serial not in front:
        return [(number, x)] if second.number == -number else None
    scale, factors = context.split(x)
    wanted = dict(front)
    for factor in factors:
        power = context.number(factor.args[1]) if factor.op == "pow" else None
        inner, e = (factor.args[0], power) if power is not None else (factor, 1)
        wanted[inner.serial] = wanted.get(inner.serial, 0) + e
    if own != wanted:
        return None
    ratio = Fraction(second.number) / (Fraction(number) * scale)
    if ratio == -1:
        return [(number, mirror)]
    if ratio == -HALF:
        cosh = t.make("cosh", (context.times(scale * HALF, factors),))
        return [(number, t.make("log", (cosh,))), (number, t.constant(sp.log(2)))]
    return None
