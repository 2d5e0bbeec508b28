"""Sums of fractions over powers of one positive sum: what cancels in the common numerator cancels exactly.

`1/(1 + a) - a/(1 + a)**2 --> 1/(1 + a)**2`, `1/r - x**2/r**3 --> y**2/r**3` with r = sqrt(x**2 + y**2): so
come the derivatives of quotients out of the chain rule. The numerator is multiplied out over the terms of the
sum; where these are not all of one sign, one term must be left of it, so that nothing new can cancel:
`1/(1 + x) - 1 --> -x/(1 + x)`. The result is taken where like terms met.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.positive import is_nonnegative
from symprop.rewrite.reading import Factors, read

__all__ = ["over_one_denominator"]

LONGEST = 12  # terms of a sum that are looked at
MOST = 3  # the power of a denominator that is multiplied out
WIDEST = 6  # terms of a denominator

Monomial = dict[int, tuple[Node, Number]]


def over_one_denominator(node: Node, sweep: Sweep) -> Node | None:
    """The sum over a common denominator where its numerator gets shorter, or None."""
    context = sweep.context
    if len(node.args) > LONGEST or len(node.args) < 2:
        return None
    for a in node.args:
        reading = read(a, context)
        if reading.divisors or "div" in reading.operations:
            break
    else:
        return None
    terms = [_monomial(a, context) for a in node.args]
    bases: dict[int, Node] = {}
    for _, powers in terms:
        for serial, (base, exponent) in powers.items():
            if base.op in ("add", "root_of_squares") and exponent < 0 and len(base.args) <= WIDEST:
                bases[serial] = base
    for base in bases.values():
        result = _over(base, node, terms, sweep)
        if result is not None:
            return result
    return None


def _monomial(node: Node, context: Context) -> tuple[Number, Monomial]:
    """A term as number and base -> exponent."""
    factors = Factors(node, context)
    for base, e in factors.of("div"):
        factors.change(base, -e)
        factors.change(base.args[0], e)
        factors.change(base.args[1], -e)
    return factors.number, {s: p for s, p in factors.powers.items() if p[1]}


def _times(
    a: tuple[Number, Monomial], b: tuple[Number, Monomial], context: Context
) -> tuple[Number, Monomial]:
    powers = dict(a[1])
    for serial, (base, exponent) in b[1].items():
        powers[serial] = base, powers.get(serial, (base, 0))[1] + exponent
    number = a[0] * b[0]
    for base, exponent in list(powers.values()):  # the square of a root of two is two
        if base.op != "constant" or not isinstance(exponent, int):
            continue
        value = sp.sympify(base.attrs[0]) ** exponent
        if value.is_Rational:
            number *= Fraction(int(value.p), int(value.q))
            del powers[base.serial]
    return number, _reduced({s: p for s, p in powers.items() if p[1]}, context)


def _reduced(powers: Monomial, context: Context) -> Monomial:
    """|x|**2 is x**2, |x| sign(x) is x, x sign(x) is |x|: one name for each value."""
    for base, exponent in list(powers.values()):
        if base.op != "sign" and base.op != "abs":
            continue
        x = base.args[0]
        size = context.table.make("abs", (x,))
        s, e = context.table.make("sign", (x,)), powers.get(size.serial, (size, 0))[1]
        if base.op == "abs" and isinstance(exponent, int) and exponent >= 2:
            _change(powers, size, -(exponent // 2 * 2))
            _change(powers, x, exponent // 2 * 2)
        elif base.op == "sign" and exponent == 1 and isinstance(e, int) and e > 0:
            _change(powers, size, -1)
            _change(powers, s, -1)
            _change(powers, x, 1)
        elif base.op == "sign" and exponent == 1 and powers.get(x.serial, (x, 0))[1] == 1:
            _change(powers, x, -1)
            _change(powers, s, -1)
            _change(powers, size, 1)
    return powers


def _without(powers: Monomial, base: Node) -> Monomial:
    return {s: p for s, p in powers.items() if s != base.serial}


def _change(powers: Monomial, base: Node, by: Number) -> None:
    total = powers.get(base.serial, (base, 0))[1] + by
    if total:
        powers[base.serial] = base, total
    else:
        powers.pop(base.serial, None)


def _over(base: Node, node: Node, terms: list[tuple[Number, Monomial]], sweep: Sweep) -> Node | None:
    context, table = sweep.context, sweep.table
    exponents = [powers.get(base.serial, (base, 0))[1] for _, powers in terms]
    least = min(exponents)
    raised = [e - least for e in exponents]
    step = 2 if base.op == "root_of_squares" else 1  # the square of a root is the sum of the squares
    if not any(raised) or any(r % step or r > MOST * step for r in raised):
        return None
    one_sign = step == 2 or all(is_nonnegative(a, context) for a in base.args)
    parts = [_monomial(a, context) for a in base.args]
    if step == 2:
        parts = [_times(p, p, context) for p in parts]
    collected: dict[tuple[tuple[int, Number], ...], tuple[Number, Monomial]] = {}
    made = 0
    for (number, powers), times in zip(terms, raised, strict=True):
        rest = {s: p for s, p in powers.items() if s != base.serial}
        products = [(number, _reduced(rest, context))]
        for base_, exponent in list(rest.values()):
            if base_.op == "add" and exponent == 1 and len(base_.args) <= WIDEST:  # a numerator, opened
                inner = [_monomial(a, context) for a in base_.args]
                products = [_times((p, _without(m, base_)), q, context) for p, m in products for q in inner]
        for _ in range(int(times) // step):
            products = [_times(p, q, context) for p in products for q in parts]
        for c, monomial in products:
            made += 1
            key = tuple(sorted((s, e) for s, (_, e) in monomial.items()))
            collected[key] = c + (collected[key][0] if key in collected else 0), monomial
    left = [(c, m) for c, m in collected.values() if c]
    if not one_sign and len(left) != 1:
        return None
    if len(left) > len(terms) or made == len(collected) or not (len(left) < len(terms) or len(left) <= 2):
        return None
    sweep.fire("common denominator")
    numerator = [
        table.mul(context.constant(c), *[_power(n, e, context) for n, e in m.values()]) for c, m in left
    ]
    if not numerator:
        return table.full(0, node.shape)
    total = table.mul(table.add(*numerator), _power(base, least, context))
    return table.broadcast(total, node.shape)


def _power(base: Node, exponent: Number, context: Context) -> Node:
    return base if exponent == 1 else context.table.make("pow", (base, context.constant(exponent)))
