"""Roots less their limits, and multiples: `sqrt(1 + x) - 1`, `1 - 1/sqrt(1 + x**2)`, `sqrt(b**2 - 4*c) - b`.

Two terms c*F*r**n and -c*k*F*r**(n - 1) of a sum, r the root of s, are c*F*r**(n - 1)*(r - k), and r - k is
(s - k**2)/(r + k), where s - k**2 is what is left of s when its square of k is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep, magnitude, simplest
from symprop.rewrite.reading import Factors

__all__ = ["root_less_limit"]

LONGEST = 12  # terms of a sum that are looked at
HALF = Fraction(1, 2)

Powers = dict[int, tuple[Node, Number]]


@dataclass
class _Term:
    """number * root**exponent * others"""

    number: Number
    exponent: int
    others: frozenset[tuple[int, Number]]


def _factors(term: Node, context: Context) -> Factors:
    """The factors of a term, quotients as two of them."""
    factors = Factors(term, context)
    for ratio, e in factors.of("div"):
        factors.change(ratio, -e)
        factors.change(ratio.args[0], e)
        factors.change(ratio.args[1], -e)
    return factors


def _read(factors: Factors, base: Node) -> _Term:
    exponent = factors.exponent(base)
    if base.op != "root_of_squares":
        exponent *= 2  # of the root
    others = frozenset((s, e) for s, (b, e) in factors.powers.items() if e and b is not base)
    return _Term(factors.number, int(exponent), others)


def root_less_limit(node: Node, sweep: Sweep) -> Node | None:
    """The sum with such a pair of terms written as a quotient, or None."""
    context, table = sweep.context, sweep.table
    if not 2 <= len(node.args) <= LONGEST:
        return None
    products = [_factors(a, context) for a in node.args]
    bases: dict[int, Node] = {}
    for p in products:
        for base, e in p.powers.values():
            if (base.op == "root_of_squares" and e) or ((2 * e) % 2 == 1 and _terms(base, context)):
                bases[base.serial] = base
    for base in bases.values():
        terms = [_read(p, base) for p in products]
        result = _less_sum(node, base, terms, sweep)
        if result is not None:
            return result
        for i, first in enumerate(terms):
            for j, second in enumerate(terms):
                if second.exponent != first.exponent - 1:
                    continue
                made = _pair(base, first, second, products[i], context)
                if made is None:
                    continue
                sweep.fire("root less its limit")
                kept = [a for k, a in enumerate(node.args) if k not in (i, j)]
                return table.broadcast(table.add(made, *kept), node.shape)
    return None


def _pair(base: Node, first: _Term, second: _Term, factors: Factors, context: Context) -> Node | None:
    """The two terms as one product; `factors` are those of the first."""
    table = context.table
    ratio = Fraction(second.number) / first.number
    difference: Node | None = None
    if second.others == first.others:
        difference = _less_number(base, ratio, context) if ratio < 0 else None
    elif magnitude(ratio) == 1:
        own = dict(first.others)
        more = [(s, e - own.get(s, 0)) for s, e in second.others if e != own.get(s, 0)]
        gone = [s for s in own if s not in dict(second.others)]
        if len(more) == 1 and more[0][1] == 1 and not gone:
            difference = _less_side(base, more[0][0], ratio, context)
    if difference is None:
        return None
    rest = [table.pow(b, context.constant(e)) for b, e in factors.powers.values() if e and b is not base]
    power = _root(base, first.exponent - 1, context)
    return table.mul(context.constant(simplest(first.number)), *rest, *power, difference)


def _root(base: Node, exponent: int, context: Context) -> list[Node]:
    """root**exponent as factors."""
    if not exponent:
        return []
    power = Fraction(exponent, 1 if base.op == "root_of_squares" else 2)
    return [context.table.pow(base, context.constant(simplest(power)))]


def _less_number(base: Node, negative: Number, context: Context) -> Node | None:
    """r - k as q*(q/(r + k)) with q**2 = r**2 - k**2 for a root of squares, else (s - k**2)/(sqrt(s) + k)."""
    table, k = context.table, -negative
    if base.op == "root_of_squares":
        rest = list(base.args)
        side = next((a for a in rest if context.is_number(a, simplest(k))), None)
        if side is None:
            return None
        rest.remove(side)
        if not rest:
            return None
        top = rest[0] if len(rest) == 1 else table.make("root_of_squares", rest)
        return table.mul(top, table.make("div", (top, table.add(base, side))))
    under = _terms(base, context)
    constants = [a for a in under if context.number(a) is not None]
    if len(constants) != 1 or context.number(constants[0]) != k * k:
        return None
    rest = [a for a in under if a is not constants[0]]
    total = table.add(table.pow(base, context.constant(HALF)), context.constant(simplest(k)))
    return table.mul(table.add(*rest), table.pow(total, -1))


def _less_side(base: Node, serial: int, sign: Number, context: Context) -> Node | None:
    """r - x for a side x of r: (r**2 - x**2)/(r + x) for positive x; with the other sign for negative x."""
    table = context.table
    if base.op != "root_of_squares":
        return _less_square(base, context.table.nodes[serial], sign, context)
    side = next((a for a in base.args if a.serial == serial), None)
    rest = [a for a in base.args if a.serial != serial]
    if side is None or not rest:
        return None
    top = rest[0] if len(rest) == 1 else table.make("root_of_squares", rest)
    zero, size = context.constant(0), table.make("abs", (side,))
    near = table.make("less", (zero, side) if sign < 0 else (side, zero))
    small = table.mul(top, table.make("div", (top, table.add(base, size))))
    made = table.select(near, small, table.add(base, size))
    context.memo["root and side", made.serial] = base, side, 1 if sign > 0 else -1
    return made


def _terms(base: Node, context: Context) -> list[Node]:
    """The terms of a sum, and of (u + v)*(u - v), as which a difference of two squares is written."""
    if base.op == "add":
        return list(base.args)
    factors = base.args if base.op == "mul" else ()
    if len(factors) != 2 or any(f.op != "add" or len(f.args) != 2 for f in factors):
        return []
    first, second = factors
    same = [a for a in first.args if a in second.args]
    if len(same) != 1:
        return []
    (u,), t = same, context.table
    v = next(a for a in first.args if a is not u)
    if context.negate(v) not in second.args:
        return []
    return [t.pow(u, 2), context.times(-1, (t.pow(v, 2),))]


def _less_sum(node: Node, base: Node, terms: list[_Term], sweep: Sweep) -> Node | None:
    """c*r - c*(x + y + ...), x + y + ... a side of r: the equation of two that bind each other."""
    context, table = sweep.context, sweep.table
    squares = [a.args[0] for a in base.args if a.op == "pow" and context.is_number(a.args[1], 2)]
    for side in squares if base.op == "add" else ():
        for k, root in enumerate(terms) if side.op == "add" else ():
            if root.exponent != 1 or root.others:
                continue
            for sign in (-1, 1):
                multiples = [context.scaled(sign * root.number, a) for a in side.args]
                difference = _less_square(base, side, sign, context)
                if difference is None or any(m not in node.args for m in multiples):
                    continue
                sweep.fire("root less its limit")
                kept = [a for j, a in enumerate(node.args) if j != k and a not in multiples]
                made = table.mul(context.constant(simplest(root.number)), difference)
                return table.broadcast(table.add(made, *kept), node.shape)
    return None


def _less_square(total: Node, side: Node, sign: Number, context: Context) -> Node | None:
    """The same for the root of a sum in which the square of x is a term, as in a quadratic equation."""
    table = context.table
    square = table.find("pow", (side, context.constant(2)))
    under = _terms(total, context)
    rest = [a for a in under if a is not square]
    if square is None or len(rest) == len(under):
        return None
    if sign > 0 and all(a.op == "constant" for a in rest):  # of acosh, where x is positive
        return None
    zero, size = context.constant(0), table.make("abs", (side,))
    root = table.make("sqrt", (total,))  # not to be looked at again
    near = table.make("less", (zero, side) if sign < 0 else (side, zero))
    both = table.add(root, size)
    return table.select(near, table.make("div", (table.add(*rest), both)), both)
