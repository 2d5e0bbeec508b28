"""The second derivative of a logarithm of the normal distribution: `x*h + h**2`, h = phi(x)/Phi(x).

Its terms agree in all digits for large negative x; `h*(x + h)` has `x + h` from the Mills ratio.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Number, Sweep
from symprop.rewrite.products import Reading, read
from symprop.rewrite.rules.normal import gap_of_slope

__all__ = ["slope_and_argument"]

LONGEST = 12  # terms of a sum that are looked at


def slope_and_argument(node: Node, sweep: Sweep) -> Node | None:
    """`x*h + h**2 --> h*(x + h)`, h = phi(x)/Phi(x), the second derivative of -log(Phi(x)): for large
    negative x both terms agree in all digits."""
    context, table = sweep.context, sweep.table
    if not 2 <= len(node.args) <= LONGEST:
        return None
    readings = [read(a, context) for a in node.args]
    for i, square in enumerate(readings):
        for base, e in square.powers.values():
            x: Node | None = context.memo.get(("over distribution", base.serial))
            if x is None or not isinstance(e, int) or e < 2:
                continue
            inner = read(x, context)
            scale = _constant(square) * _constant(inner) * sp.sqrt(2 * sp.pi)
            front = _others(square)
            front[base.serial] = base, e - 1
            wanted = {s: o for s, (_, o) in front.items()}
            for s, (_, o) in _others(inner).items():
                wanted[s] = wanted.get(s, 0) + o
            for j, other in enumerate(readings):
                if j == i or {s: o for s, (_, o) in _others(other).items()} != wanted:
                    continue
                if abs(sp.N(_constant(other) / scale - 1, 40)) > 1e-30:
                    continue
                sweep.fire("slope of a log-probability and its argument")
                kept = [a for k, a in enumerate(node.args) if k not in (i, j)]
                number = table.constant(_constant(square) * sp.sqrt(2 * sp.pi))
                factors = [table.pow(b, context.constant(o)) for b, o in front.values()]
                made = table.mul(number, *factors, gap_of_slope(x, context))
                return table.broadcast(table.add(made, *kept), node.shape)
    return None


def _constant(reading: Reading) -> sp.Expr:
    """The number in front, with irrational ones."""
    total = sp.Rational(Fraction(reading.number))
    for base, e in reading.powers.values():
        if base.op == "constant":
            total *= base.attrs[0] ** sp.Rational(Fraction(e))
    return total


def _others(reading: Reading) -> dict[int, tuple[Node, Number]]:
    """The factors that are no constants."""
    return {s: (b, e) for s, (b, e) in reading.powers.items() if e and b.op != "constant"}
