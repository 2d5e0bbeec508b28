"""Exponentials over a sum that they are terms of: at most one where all terms have one sign.

With m the largest exponent of s = exp(a) + exp(b) + ..., exp(a)/s is exp(a - m)/(s*exp(-m)), and neither part
overflows. So is every product of g exponentials of the sum over s**g, also as a term of another sum.
"""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import Node
from symprop.rewrite.context import Context
from symprop.rewrite.reading import Factors
from symprop.rewrite.rules.exponentials import has_weights, shifted_scalars

__all__ = ["weights", "weights_in_a_sum"]

LONGEST = 32


def weights(f: Factors) -> bool:
    """exp(x) for an x of s = exp(a) + exp(b) + ..., s below the line: both by exp(-max(a, b, ...))."""
    for total, e in f.of("add"):
        if not isinstance(e, int) or e >= 0 or not has_weights(total, f.context):
            continue
        _, powers, shifted = shifted_scalars(total, f.context)
        left = -e
        for power, o in f.of("exp"):
            x = power.args[0]
            if isinstance(o, int) and o > 0 and x.serial in powers and left:
                count = min(left, o)
                f.change(power, -count)
                f.change(powers[x.serial], count)
                f.change(total, count)
                f.change(shifted, -count)
                left -= count
        if left < -e:
            return True
    return False


def weights_in_a_sum(f: Factors) -> bool:
    """A sum over s**n each term of which has g <= n of the exponentials of s."""
    context = f.context
    for total, e in f.of("add"):
        if not isinstance(e, int) or e >= 0 or not has_weights(total, context):
            continue
        _, powers, shifted = shifted_scalars(total, context)
        for inner, o in (*f.of("add"), *f.of("select")):
            if o != 1 or not 2 <= len(added := _added(inner, context)) <= LONGEST:
                continue
            terms = [type(f)(a, context) for a in added]
            own = [[(p, k) for p, k in t.of("exp") if p.args[0].serial in powers] for t in terms]
            degrees = {sum(k for _, k in found) for found in own}
            g = degrees.pop()
            if degrees or not isinstance(g, int) or not 1 <= g <= -e or any(k < 0 for t in own for _, k in t):
                continue
            for term, found in zip(terms, own, strict=True):
                for power, k in found:
                    term.change(power, -k)
                    term.change(powers[power.args[0].serial], k)
            f.change(inner, -1)
            f.change(context.table.add(*[t.built() for t in terms]), 1)
            f.change(total, g)
            f.change(shifted, -g)
            return True
    return False


def _added(total: Node, context: Context) -> Sequence[Node]:
    """The terms of a sum, and of a difference of exponentials that is taken otherwise near zero."""
    if total.op == "add":
        return total.args
    first, second = context.memo.get(("near difference", total.serial), (None, None))
    return () if first is None else (first, context.negate(second))
