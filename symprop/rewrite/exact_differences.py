"""Differences of two rounded products or quotients of inputs: `a*d - b*c`, `b**2 - 4*a*c`, `w*L - 1/(w*C)`.

Where they are near each other, what each lost when it was rounded is all that is left. The value comes with
it (`exact_arguments.pair_of`): one fused multiply-add for a product, six additions for a sum (W. Kahan's
method for 2 x 2 determinants, with what the difference itself loses).
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context
from symprop.rewrite.exact_arguments import pair_of

__all__ = ["exact_differences"]

LONGEST = 3  # terms
FACTORS = 16  # nodes of a term
# what takes a value beside what it lost: that must stay the rounded one
_WITH_REST = frozenset({"sum_rest", "product_rest", "exp_rest", "fma", "neg", "abs"})


def exact_differences(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`a*b - c*d --> p + r`, p the rounded value and r what it lost."""
    order, present = context.order(roots)
    if context.accuracy != "precise" or "add" not in present:
        return list(roots)
    found = {
        n.serial: n for n in order if n.op == "add" and len(n.args) <= LONGEST and _may_cancel(n, context)
    }
    if not found:
        return list(roots)
    for node in order:
        if node.op in _WITH_REST or node.op.endswith("_near"):
            for a in node.args:
                found.pop(a.serial, None)
    done: dict[int, Node] = {}
    for node in order:
        args = [done[a.serial] for a in node.args]
        same = all(a is b for a, b in zip(args, node.args, strict=True))
        current = node if same else table.make(node.op, args, node.attrs)
        made = _exact(node, context) if node.serial in found else None
        if made is not None:
            context.fired["difference of exact products"] += 1
        done[node.serial] = current if made is None else table.broadcast(made, node.shape)
    return [done[root.serial] for root in roots]


def _may_cancel(node: Node, context: Context) -> bool:
    """True where two terms that are rounded have different signs, or a number beside them has another one."""
    products = [a for a in node.args if a.op in ("mul", "pow")]
    numbers = [n for n in map(context.number, node.args) if n is not None]
    signs = {n > 0 for n in [*numbers, *[context.split(a)[0] for a in products]]}
    if len(products) < 2 or len(signs) < 2:
        return False
    products = [a for a in products if _is_product(a)]
    rounded = [context.split(a)[0] for a in products if pair_of(a, context, is_phase=True) is not None]
    return len(rounded) > 1 and len({n > 0 for n in [*numbers, *rounded]}) == 2


def _is_product(term: Node) -> bool:
    """True for products, quotients and powers without a sum among the factors."""
    todo = [term]
    for _ in range(FACTORS):
        if not todo:
            return True
        node = todo.pop()
        if node.op == "add":
            return False
        todo += node.args if node.op in ("mul", "pow") else ()
    return not todo


def _exact(node: Node, context: Context) -> Node | None:
    pair = pair_of(node, context, is_phase=True)
    if pair is None:
        return None
    t, (high, low) = context.table, pair
    finite = t.make("less", (t.make("abs", (low,)), t.constant(sp.oo)))
    return t.make("add", (high, t.select(finite, low, context.constant(0))))
