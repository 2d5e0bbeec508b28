"""Formulas of polynomials at arguments whose powers overflow, where a polynomial is its leading term.

`log(1 + x**2)`, `x/(1 + x**2)`, `(1 - x**2)/(1 + x**2)**2`, `sqrt(x**2 - 1)` are numbers where `x**2` is
none: with |x| beyond a power of two T, from which on all lower terms are lost beside the leading one, they
are `2*log(|x|)`, `1/x`, `-1/x**2`, `|x|`. A comparison and a choice or two each, no division and no logarithm
more. The variable may be any value or product, `(x - m)/s` in `log(1 + ((x - m)/s)**2)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, NodeRule, Sweep, magnitude, simplest
from symprop.rewrite.reading import Factors, read
from symprop.rewrite.rules.exponentials import difference_of

__all__ = ["LEADING", "Monomial", "PolynomialOfOne", "limit_of", "polynomial_of"]

MOST = 8  # terms of a polynomial
HIGHEST = 24  # degree of all of a numerator or denominator
DIGITS = 60  # binary: what a lower term is below the leading one beyond the limit
RANGE = 1020  # binary exponents
BOUNDED = frozenset({"tanh", "sigmoid", "sin", "cos", "erf", "erfc", "normal_cdf", "sign", "one_hot", "less"})
BOUNDED |= {"tanh_prime", "sigmoid_prime", "exp", "sinh", "cosh"}  # exponentials have forms of their own

Monomial = tuple[tuple[int, int], ...]  # serial and exponent of each factor


@dataclass(frozen=True)
class PolynomialOfOne:
    """coefficients[k] * y**k + ..., y the product of the factors of `variable`; of `root_of_squares(1, x)`
    those of 1 + |x|, which it is for large x."""

    variable: Monomial
    coefficients: dict[int, sp.Expr]
    of_size: bool = False

    @property
    def degree(self) -> int:
        """The highest power."""
        return max(self.coefficients)

    @property
    def lead(self) -> sp.Expr:
        """The coefficient of the highest power."""
        return self.coefficients[self.degree]


def _polynomial(terms: Sequence[Node], context: Context) -> PolynomialOfOne | None:
    """The sum of the terms as a polynomial in the product that they have in common; nothing for numbers."""
    if len(terms) > MOST:
        return None
    coefficients: dict[int, sp.Expr] = {}
    unit: Monomial = ()
    for term in terms:
        found = _term(term, context)
        if found is None:
            return None
        coefficient, monomial = found
        degree = 0
        if monomial:
            degree = math.gcd(*[e for _, e in monomial])
            own = tuple((s, e // degree) for s, e in monomial)
            if unit and own != unit:
                return None
            unit = own
        coefficients[degree] = coefficients.get(degree, sp.S.Zero) + coefficient
    if not unit or any(c == 0 for c in coefficients.values()):
        return None
    return PolynomialOfOne(unit, coefficients)


def _term(term: Node, context: Context) -> tuple[sp.Expr, Monomial] | None:
    """A term as coefficient and factors."""
    reading = read(term, context)
    coefficient = sp.Rational(reading.number.numerator, reading.number.denominator)
    factors = []
    for base, exponent in reading.powers.values():
        if base.op == "constant":
            coefficient *= base.attrs[0] ** sp.Rational(exponent.numerator, exponent.denominator)
        elif not isinstance(exponent, int) or base.kind == "integer" or base.op in BOUNDED:
            return None
        elif exponent:
            factors.append((base.serial, exponent))
    return coefficient, tuple(sorted(factors))


def polynomial_of(node: Node, context: Context) -> PolynomialOfOne | None:
    """What a sum is, found out once for each."""
    key = ("polynomial", node.serial)
    if key not in context.memo:
        made = _polynomial(node.args, context) if node.op in ("add", "root_of_squares") else None
        if made is not None and node.op == "root_of_squares":
            made = _size_of(made)
        context.memo[key] = made
    found: PolynomialOfOne | None = context.memo[key]
    return found


def _size_of(sides: PolynomialOfOne) -> PolynomialOfOne | None:
    """1 + |x| for the root of 1 + x**2."""
    coefficients = {k: abs(c) for k, c in sides.coefficients.items()}
    return PolynomialOfOne(sides.variable, coefficients, True) if coefficients.keys() == {0, 1} else None


def limit_of(
    polynomials: Sequence[tuple[PolynomialOfOne, int]], degree: int, least: int = 1
) -> Fraction | None:
    """T, the least power of two, 2**least or above, beyond which only the leading terms of the polynomials
    count; None where their powers would overflow below it."""
    size, exponent = 0.0, least
    for p, n in polynomials:
        size += n * math.log2(float(sum(abs(sp.N(c, 20)) for c in p.coefficients.values())))
        for k, c in p.coefficients.items():
            if k < p.degree:
                ratio = math.log2(float(abs(sp.N(c / p.lead, 20))))
                exponent = max(exponent, math.ceil((ratio + DIGITS) / (p.degree - k)))
    return Fraction(2) ** exponent if max(size, 0) + exponent * degree < RANGE else None


def _value(unit: Monomial, power: int, factors: dict[int, Node], context: Context) -> Node:
    """y**power"""
    if not power:
        return context.constant(1)
    return context.table.mul(*[context.table.pow(factors[s], e * power) for s, e in unit])


def _nodes(terms: Sequence[Node], unit: Monomial, context: Context) -> dict[int, Node]:
    """The factors of the variable by serial number."""
    serials = {s for s, _ in unit}
    return {s: b for t in terms for s, (b, _) in read(t, context).powers.items() if s in serials}


def _is_large(size: Node, limit: Fraction, context: Context) -> Node:
    """False for NaN: then the formula itself says what comes."""
    return context.table.make("less", (context.constant(simplest(limit)), size))


def large_logarithm(node: Node, sweep: Sweep) -> Node | None:
    """`log(p(x)) --> degree*log(|x|) + log(lead)` for large x, and of log1p."""
    context, table = sweep.context, sweep.table
    (x,) = node.args
    terms = x.args if x.op == "add" else (x,)
    if not any(t.op in ("pow", "mul") for t in terms) or len(terms) > MOST:
        return None
    one, least = ((table.constant(1),), DIGITS) if node.op == "log1p" else ((), 1)  # log1p(|x|) is log(|x|)
    p = _polynomial([*one, *terms], context)
    if p is not None and p.degree == 1 and p.lead.is_positive and len(p.coefficients) > 1:
        return _logarithm_of_power(node, p, sweep)
    if p is None or p.degree < 2 or not p.lead.is_positive or len(p.coefficients) < 2:
        return None
    limit = limit_of([(p, 1)], p.degree, least)
    if limit is None:
        return None
    y = _value(p.variable, 1, _nodes(terms, p.variable, context), context)
    size = table.make("abs", (y,))
    large = _is_large(size, limit, context)
    inner = table.select(large, size if p.degree % 2 == 0 else y, x, x.shape)
    count = table.select(large, context.constant(p.degree), context.constant(1))
    value = table.mul(count, table.make(node.op, (inner,)))
    if p.lead != 1:
        value = table.add(value, table.select(large, table.constant(sp.log(p.lead)), context.constant(0)))
    sweep.fire("leading terms in a logarithm")
    return table.broadcast(value, node.shape)


def _power_of(variable: Monomial, table: NodeTable) -> Node | None:
    """The r**n of which a polynomial is one, n no number: it may overflow where the formula does not."""
    (serial, e), *others = variable
    node = table.nodes[serial]
    return node if not others and e == 1 and node.op == "pow" and node.args[1].op != "constant" else None


def _logarithm_of_power(node: Node, p: PolynomialOfOne, sweep: Sweep) -> Node | None:
    """`log(1 + c*r**n) --> n*log(|r|) + log(c)` for a large power."""
    context, t = sweep.context, sweep.table
    power, limit = _power_of(p.variable, t), limit_of([(p, 1)], 1, DIGITS)
    if power is None or limit is None:
        return None
    r, n = power.args
    far = t.add(t.mul(n, t.make("log", (t.make("abs", (r,)),))), t.constant(sp.log(p.lead)))
    bounded = t.make("minimum", (node.args[0], context.constant(2 * simplest(limit))))
    near = t.make(node.op, (bounded,))  # not to be looked at again
    sweep.fire("leading terms in a logarithm")
    return t.broadcast(t.select(_is_large(power, limit, context), far, near, power.shape), node.shape)


def large_root(node: Node, sweep: Sweep) -> Node | None:
    """`p(x)**(n/2) --> sqrt(lead)*|x|**(degree*n/2)` for large x; not of sums of squares, which have a form
    of their own."""
    context, table = sweep.context, sweep.table
    base, power = node.args[0], context.number(node.args[1])
    if base.op != "add" or not isinstance(power, Fraction) or power.denominator != 2:
        return None
    p = polynomial_of(base, context)
    if p is None or p.degree < 2 or p.degree % 2 or not p.lead.is_positive:
        return None
    limit = limit_of([(p, 1)], p.degree)
    if limit is None:
        return None
    size = table.make("abs", (_value(p.variable, 1, _nodes(base.args, p.variable, context), context),))
    asymptote = table.mul(table.constant(sp.sqrt(p.lead)), table.pow(size, p.degree // 2))
    root = table.make("sqrt", (base,))
    value = table.select(_is_large(size, limit, context), asymptote, root, base.shape)
    sweep.fire("leading terms in a root")
    return table.broadcast(table.pow(value, context.constant(int(2 * power))), node.shape)


def large_quotient(node: Node, sweep: Sweep) -> Node | None:
    """`x**a*p(x)/q(x) --> lead*x**(degrees)` for large x."""
    context = sweep.context
    reading = read(node, context)
    for serial in reading.divisors:
        base, exponent = reading.powers[serial]
        q = polynomial_of(base, context) if isinstance(exponent, int) else None
        of_power = q is not None and _power_of(q.variable, context.table) is not None
        if q is not None and (q.degree >= 2 or of_power or (q.of_size and exponent < -1)):
            made = _quotient(node, q, _nodes(base.args, q.variable, context), sweep)
            if made is not None:
                sweep.fire("leading terms in a quotient")
                return sweep.table.broadcast(made, node.shape)
    return None


def _quotient(node: Node, q: PolynomialOfOne, variable: dict[int, Node], sweep: Sweep) -> Node | None:
    """The product with what is rational in the variable of q taken together."""
    context, table = sweep.context, sweep.table
    factors = Factors(node, context)
    over: list[tuple[PolynomialOfOne, int]] = []
    under: list[tuple[PolynomialOfOne, int]] = []
    top: list[Node] = []
    bottom: list[Node] = []
    for base, exponent in list(factors.powers.values()):
        p = polynomial_of(base, context) if isinstance(exponent, int) else None
        if p is None or p.variable != q.variable or base.serial in variable:
            continue
        times = int(magnitude(exponent))
        (over if exponent > 0 else under).append((p, times))
        (top if exponent > 0 else bottom).append(table.pow(base, times))
        factors.change(base, -exponent)
    count = _power_of_variable(factors, q.variable)
    if count > 0:
        for serial, e in q.variable:
            factors.change(variable[serial], -count * e)
        top.append(_value(q.variable, count, variable, context))
    kin = _kin(q, factors)
    for power, e, _ in kin:
        factors.change(power, -e)
        top.append(table.pow(power, e))
    raised = count + sum(e for _, e, _ in kin) + sum(p.degree * n for p, n in over)
    lowered = sum(p.degree * n for p, n in under)
    least = 2 if _power_of(q.variable, table) is None else 1
    if raised == 0 or not least <= max(raised, lowered) <= HIGHEST:
        return None
    limit = limit_of([*over, *under], max(raised, lowered))
    if limit is None:
        return None
    lead = sp.Mul(*[p.lead**n for p, n in over], *[p.lead**-n for p, n in under])
    y = _value(q.variable, 1, variable, context)
    size = table.make("abs", (y,))
    large = _is_large(size, limit, context)
    excess = raised - lowered
    far = table.constant(lead)
    roots = sum(p.degree * n for p, n in [*over, *under] if p.of_size)
    if roots % 2:  # y**(excess - roots) * |y|**roots
        far = table.mul(far, table.make("sign", (y,))) if excess % 2 == 0 else far
        y = size
    far = table.mul(far, table.pow(y, max(excess, 0)), *[r for _, _, r in kin])
    numerator = table.select(large, far, table.mul(*top), y.shape)
    denominator = table.select(large, table.pow(y, max(-excess, 0)), table.mul(*bottom), y.shape)
    return table.mul(factors.built(), numerator, table.pow(denominator, -1))


def _kin(q: PolynomialOfOne, factors: Factors) -> list[tuple[Node, int, Node]]:
    """Of the r**n that q is a polynomial in, the factors r**(n + k) with their exponents and what is left of
    them beside powers of r**n: slopes have them."""
    context, power = factors.context, _power_of(q.variable, factors.table)
    found: list[tuple[Node, int, Node]] = []
    for base, e in factors.of("pow") if power is not None else ():
        if power is None or base is power or base.args[0] is not power.args[0]:
            continue
        if not isinstance(e, int) or e < 1:
            continue
        k = context.number(difference_of(base.args[1], power.args[1], context))
        if isinstance(k, int):
            found.append((base, e, context.table.pow(base.args[0], k * e)))
    return found


def _power_of_variable(factors: Factors, unit: Monomial) -> int:
    """How often the variable is a factor: by the exponent of its first factor above the line."""
    serial, e = next(((s, e) for s, e in unit if e > 0), unit[0])
    exponent = factors.powers[serial][1] if serial in factors.powers else 0
    return int(exponent // e) if isinstance(exponent, int) else 0


LEADING: dict[str, NodeRule] = {
    "log": large_logarithm,
    "log1p": large_logarithm,
    "pow": large_root,
    "mul": large_quotient,
}
