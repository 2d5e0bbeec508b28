"""Sums over the entries of two columns as one product of the columns.

sympy writes `(w.T*x)[0, 0]` out as `w[0, 0]*x[0, 0] + w[1, 0]*x[1, 0] + ...`. A sum that has all of these
terms is taken in as the product `w.T*x` again, so that its gradients are columns too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symprop.graph import Node, NodeTable
from symprop.graph.nodes import constant_value

__all__ = ["gathered"]

_Key = tuple[Node, Node, Any]


def gathered(table: NodeTable, terms: Sequence[Node]) -> Sequence[Node]:
    """The terms of a sum; those that make up the product of two whole columns as this product."""
    found: dict[_Key, dict[int, int]] = {}
    for place, term in enumerate(terms):
        product = _product(term)
        if product is not None:
            key, row = product
            found.setdefault(key, {}).setdefault(row, place)
    result: list[Node | None] = list(terms)
    for (a, b, number), places in found.items():
        if len(places) == a.shape[0]:
            whole = table.reshape(table.matmul(table.transpose(a), b), ())
            whole = whole if number is None else table.mul(table.constant(number), whole)
            for place in places.values():
                result[place] = None
            result[min(places.values())] = whole
    return [term for term in result if term is not None]


def _product(term: Node) -> tuple[_Key, int] | None:
    """The columns, the number in front and the row of `number * a[row] * b[row]`."""
    number = None
    factors: tuple[Node, ...] = (term,)
    if term.op == "mul":
        number = constant_value(term.args[0])
        factors = term.args if number is None else term.args[1:]
    if len(factors) == 1 and factors[0].op == "pow" and constant_value(factors[0].args[1]) == 2:
        factors = (factors[0].args[0], factors[0].args[0])
    if len(factors) != 2 or any(f.op != "index" for f in factors):
        return None
    a, b = (f.args[0] for f in factors)
    positions: set[Any] = {f.attrs[0] for f in factors}
    if len(positions) != 1 or a.shape != b.shape or len(a.shape) != 2 or a.shape[1] != 1 or a.shape[0] == 1:
        return None
    a, b = sorted((a, b), key=_order)
    return (a, b, number), positions.pop()[0]


def _order(node: Node) -> tuple[bool, str, int]:
    return node.op != "symbol", str(node.attrs[0]) if node.op == "symbol" else "", node.serial
