"""Quotients of an adjoint that cancel against the slope below it: as a product, or term by term.

The slope of `log(x*y)` by x is `1/x`. That of `-t*log(p) - (1 - t)*log(1 - p)` is a sum of two quotients,
that of `p = sigmoid(z)` is `p*(1 - p)`; their product is `p - t`, also where p is rounded to zero or one.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from symprop.graph import Node, NodeTable
from symprop.graph.nodes import constant_value

__all__ = ["cancelled_logistic", "cancelled_product", "cancelled_sum"]

_TERMS = 4  # of a sum that is looked into, and of one that is multiplied out
_FACTORS = 8
_MONOMIALS = 16

Polynomial = dict[tuple[int, ...], sp.Expr]  # serial numbers of the factors -> number


def cancelled_product(table: NodeTable, upstream: Node, partial: Node) -> Node | None:
    """x*u * x**-1 --> u, x*u * x**-2 --> u*x**-1, x * u*(x*y)**-1 --> u*y**-1, and with the two exchanged;
    None for other products.
    """
    shape = upstream.shape or partial.shape
    for first, last in ((upstream, partial), (partial, upstream)):
        below = last.args if last.op == "mul" else (last,)
        above = list(first.args) if first.op == "mul" else [first]
        for inverse in below:
            if inverse.op != "pow":
                continue
            power = constant_value(inverse.args[1])
            if power is None or not power.is_Integer or power > -1:
                continue
            left = _left_below(table, inverse.args[0], int(power), above)
            if left is not None:
                others = [f for f in below if f is not inverse]
                return table.broadcast(table.mul(table.constant(1), *others, *left, *above), shape)
    return None


def _left_below(table: NodeTable, base: Node, power: int, above: list[Node]) -> list[Node] | None:
    """What is left of base**power without the factors that it shares with those above, which are taken out
    of that list; None where there are none.
    """
    if base in above:
        above.remove(base)
        return [] if power == -1 else [table.pow(base, power + 1)]
    if base.op != "mul" or power != -1 or max(len(base.args), len(above)) > _FACTORS:
        return None
    left = list(base.args)
    for factor in base.args:
        if factor in above and factor.op != "constant":
            left.remove(factor)
            above.remove(factor)
    if len(left) == len(base.args):
        return None
    if len(left) > 1:
        return [table.pow(table.mul(*left), -1)]
    return [_inverse(table, factor) for factor in left]


def _inverse(table: NodeTable, factor: Node) -> Node:
    power = constant_value(factor.args[1]) if factor.op == "pow" else None
    return table.pow(factor, -1) if power is None else table.pow(factor.args[0], -power)


def cancelled_sum(table: NodeTable, upstream: Node, partial: Node) -> Node | None:
    """(a/p + b/q) * p*q --> a*q + b*p, multiplied out where that leaves no more terms; None where a term has
    nothing to cancel. (1/e + b) * e --> 1 + b*e where e is an exponential.
    """
    if upstream.op != "add" or partial.op not in ("mul", "exp") or len(upstream.args) > _TERMS:
        return None
    if upstream.shape != partial.shape or any(t.shape != upstream.shape for t in upstream.args):
        return None
    terms: list[list[Node]] = []
    spared = 1 if partial.op == "exp" else 0  # terms without a quotient: no more exponentials than before
    for term in upstream.args:
        factors, above = _factors(term), _factors(partial)
        left = _cancelled_factors(factors, above)
        if left is None:
            spared -= 1
            if spared < 0:
                return None
            left = [*factors, *above]
        terms.append(left)
    out = _multiplied_out(table, terms, len(upstream.args))
    if out is not None:
        return table.broadcast(out, upstream.shape)
    one = table.constant(1)
    return table.broadcast(table.add(*[table.mul(one, *t) for t in terms]), upstream.shape)


def cancelled_logistic(table: NodeTable, upstream: Node, partial: Node) -> Node | None:
    """(a/p + b/(1 - p)) * s**-2 * e --> a*(1 - p) + b*p, where p = s**-1 and s = 1 + e: a sigmoid that is
    written out.
    """
    if partial.op != "exp" or upstream.op != "mul":
        return None
    factors = _factors(upstream)
    for square in factors:
        if (
            square.op == "pow"
            and constant_value(square.args[1]) == -2
            and _is_one_plus(square.args[0], partial)
        ):
            break
    else:
        return None
    sums = [f for f in factors if f.op == "add"]
    p = table.pow(square.args[0], -1)
    inner = [f.args[0] for term in sums[0].args for f in _factors(term) if f.op == "pow"] if sums else []
    rest = next((q for q in inner if _is_one_plus(q, table.mul(table.constant(-1), p))), None)
    if len(sums) != 1 or rest is None:
        return None
    found = cancelled_sum(table, sums[0], table.mul(p, rest))
    if found is None:
        return None
    others = [f for f in factors if f is not square and f is not sums[0]]
    return table.broadcast(table.mul(*others, found), upstream.shape)


def _is_one_plus(node: Node, other: Node) -> bool:
    """True for 1 + other."""
    if node.op != "add" or len(node.args) != 2:
        return False
    a, b = node.args
    return (a is other and constant_value(b) == 1) or (b is other and constant_value(a) == 1)


def _factors(term: Node) -> list[Node]:
    """The factors of a product of products."""
    found, k = [term], 0
    while k < len(found) <= _FACTORS:
        if found[k].op == "mul":
            found[k : k + 1] = found[k].args
        else:
            k += 1
    return found


def _cancelled_factors(factors: list[Node], above: list[Node]) -> list[Node] | None:
    """All factors without those that are inverse to each other; None where there are none."""
    left: list[Node] = []
    found = False
    for factor in factors:
        base = factor.args[0] if factor.op == "pow" and constant_value(factor.args[1]) == -1 else None
        other = next((f for f in above if f is base or _is_inverse(f, factor)), None)
        if other is not None:
            above.remove(other)
            found = True
        else:
            left.append(factor)
    return [*left, *above] if found else None


def _is_inverse(node: Node, other: Node) -> bool:
    return node.op == "pow" and node.args[0] is other and constant_value(node.args[1]) == -1


def _multiplied_out(table: NodeTable, terms: Sequence[Sequence[Node]], most: int) -> Node | None:
    """The sum of products, multiplied out and collected; None for one of more than `most` terms."""
    nodes: dict[int, Node] = {}
    total: Polynomial = {}
    for factors in terms:
        product: Polynomial = {(): sp.S.One}
        for factor in factors:
            sum_of = _terms_of(factor, nodes)
            if sum_of is None or len(product) * len(sum_of) > _MONOMIALS:
                return None
            product = _product(product, sum_of)
        for key, number in product.items():
            total[key] = total.get(key, sp.S.Zero) + number
    left = {key: number for key, number in total.items() if number != 0}
    if not left or len(left) > most:
        return None
    made = [table.mul(table.constant(n), *[nodes[k] for k in key]) for key, n in left.items()]
    return table.add(*made)


def _terms_of(factor: Node, nodes: dict[int, Node]) -> Polynomial | None:
    """A factor as a polynomial of one degree."""
    result: Polynomial = {}
    terms = factor.args if factor.op == "add" and len(factor.args) <= _TERMS else (factor,)
    for term in terms:
        number: sp.Expr = sp.S.One
        key: list[int] = []
        for part in _factors(term):
            value = constant_value(part)
            if value is not None:
                if not value.is_Rational:
                    return None
                number = number * value
            else:
                nodes[part.serial] = part
                key.append(part.serial)
        place = tuple(sorted(key))
        result[place] = result.get(place, sp.S.Zero) + number
    return result


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for left, n in a.items():
        for right, m in b.items():
            key = tuple(sorted((*left, *right)))
            result[key] = result.get(key, sp.S.Zero) + n * m
    return result
