"""Quotients of an adjoint that cancel against the slope below it, term by term.

The slope of `-t*log(p) - (1 - t)*log(1 - p)` is a sum of two quotients, that of `p = sigmoid(z)` is
`p*(1 - p)`; their product is `p - t`, also where p is rounded to zero or one.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from symprop.graph import Node, NodeTable
from symprop.graph.nodes import constant_value

__all__ = ["cancelled_sum"]

_TERMS = 4  # of a sum that is looked into, and of one that is multiplied out
_FACTORS = 8
_MONOMIALS = 16

Polynomial = dict[tuple[int, ...], sp.Expr]  # serial numbers of the factors -> number


def cancelled_sum(table: NodeTable, upstream: Node, partial: Node) -> Node | None:
    """(a/p + b/q) * p*q --> a*q + b*p, multiplied out where that leaves no more terms; None where a term has
    nothing to cancel.
    """
    if upstream.op != "add" or partial.op != "mul" or len(upstream.args) > _TERMS:
        return None
    if upstream.shape != partial.shape or any(t.shape != upstream.shape for t in upstream.args):
        return None
    terms: list[list[Node]] = []
    for term in upstream.args:
        left = _cancelled_factors(_factors(term), list(partial.args))
        if left is None:
            return None
        terms.append(left)
    out = _multiplied_out(table, terms, len(upstream.args))
    if out is not None:
        return table.broadcast(out, upstream.shape)
    one = table.constant(1)
    return table.broadcast(table.add(*[table.mul(one, *t) for t in terms]), upstream.shape)


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
        inverse = factor.op == "pow" and constant_value(factor.args[1]) == -1
        if inverse and factor.args[0] in above:
            above.remove(factor.args[0])
            found = True
        else:
            left.append(factor)
    return [*left, *above] if found else None


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
