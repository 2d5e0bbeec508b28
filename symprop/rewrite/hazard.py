"""The second derivative of a logarithm of the normal distribution, `x*h + h**2`, h = phi(x)/Phi(x), and the
slope of a scaled erfc, `2*x*F - 2/sqrt(pi)`, F = exp(x**2)*erfc(x).

Their terms agree in all digits in the tail; `h*(x + h)` has `x + h` from the Mills ratio.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Number, Sweep
from symprop.rewrite.reading import Reading, read
from symprop.rewrite.rules.normal import gap_of_slope, gap_of_tail

__all__ = ["scaled_tail_and_argument", "slope_and_argument"]

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


def scaled_tail_and_argument(node: Node, sweep: Sweep) -> Node | None:
    """`c*x*F - c/sqrt(pi) --> -c*F*g/sqrt(2)` for positive x, F = exp(x**2)*erfc(x) and g = 1/M(y) - y with
    y = sqrt(2)*x."""
    context, t = sweep.context, sweep.table
    if not 2 <= len(node.args) <= LONGEST:
        return None
    readings = [read(a, context) for a in node.args]
    for i, product in enumerate(readings):
        for base, e in product.powers.values():
            x: Node | None = context.memo.get(("scaled erfc", base.serial))
            if x is None or e != 1:
                continue
            inner = read(x, context)
            front = _others(product)
            del front[base.serial]
            for s, (b, o) in _others(inner).items():
                front[s] = b, front.get(s, (b, 0))[1] - o
            wanted = {s: o for s, (_, o) in front.items() if o}
            number = _constant(product) / _constant(inner)
            for j, other in enumerate(readings):
                if j == i or {s: o for s, (_, o) in _others(other).items()} != wanted:
                    continue
                if abs(sp.N(_constant(other) * sp.sqrt(sp.pi) / number + 1, 40)) > 1e-30:
                    continue
                sweep.fire("slope of a scaled erfc")
                below = t.make("minimum", (t.mul(t.constant(-sp.sqrt(2)), x), context.constant(0)))
                far = t.mul(t.constant(-1 / sp.sqrt(2)), base, gap_of_tail(context.negate(below), context))
                near = t.make(
                    "sub", (t.mul(x, base), t.constant(1 / sp.sqrt(sp.pi)))
                )  # not to be looked at again
                value = t.select(t.make("less", (context.constant(0), x)), far, near, x.shape)
                factors = [t.pow(b, context.constant(o)) for b, o in front.values() if o]
                kept = [a for k, a in enumerate(node.args) if k not in (i, j)]
                return t.broadcast(t.add(t.mul(t.constant(number), *factors, value), *kept), node.shape)
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
