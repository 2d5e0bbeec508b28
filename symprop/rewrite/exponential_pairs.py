"""Two exponentials less their larger exponent: one of them is 1, so that one function does for both."""

from __future__ import annotations

from itertools import product
from math import prod

from symprop.graph import Node
from symprop.rewrite.context import Context, Sweep
from symprop.rewrite.rules.exponentials import finite

__all__ = ["gap_of_entries", "gap_of_two", "sum_of_entries", "sum_or_minimum"]


def gap_of_two(x: Node, node: Node, sweep: Sweep) -> Node | None:
    """`exp(a - m) --> where(b < a, 1, exp_gap(a, b))`, m = max(a, b) where that is finite, else 0.

    The larger exponential is 1 by itself, the other one exp(-|a - b|) of the unrounded difference. Where both
    exponents are infinite and equal the gap is 1, and not NaN.
    """
    context, table = sweep.context, sweep.table
    for value, shift in (x.args, x.args[::-1]):
        number, factors = context.split(shift)
        if number != -1 or len(factors) != 1 or factors[0].op != "select":
            continue
        top = factors[0].args[1]
        if top.op != "maximum" or factors[0] is not finite(context, top) or value not in top.args:
            continue
        if node.shape or any(a.op in ("maximum", "constant") for a in top.args):
            continue
        sweep.fire("larger of two exponentials")
        other = top.args[0] if value is top.args[1] else top.args[1]
        gap = table.make("exp_gap", top.args)
        made = table.select(table.make("less", (other, value)), context.constant(1), gap)
        context.memo["gap", made.serial] = gap
        return made
    return None


def gap_of_entries(x: Node, node: Node, sweep: Sweep) -> Node | None:
    """`exp(v - max(v)) --> where(v == max(v), 1, exp_gap(a, b))` of an array of two entries a and b.

    Where the maximum is infinite, and not taken for zero then, the difference is NaN, and so is the result.
    """
    context, table = sweep.context, sweep.table
    for value, shift in (x.args, x.args[::-1]):
        number, factors = context.split(shift)
        if number != -1 or len(factors) != 1 or value.shape != node.shape or value.op == "broadcast":
            continue
        top = _without_broadcast(factors[0])
        is_finite = top.op == "select" and top.args[1].op == "reduce_max"
        if is_finite and top is not finite(context, top.args[1]):
            continue
        top = top.args[1] if is_finite else top
        if top.op != "reduce_max" or top.args[0] is not value or not _of_two(top):
            continue
        sweep.fire("larger of two exponentials")
        entries = [table.index(value, where) for where in product(*map(range, value.shape))]
        gap = table.make("exp_gap", entries)
        one = context.constant(1)
        largest = table.broadcast(top, value.shape)
        if not is_finite:
            is_number = table.make("less", (table.make("abs", (top,)), table.constant("oo")))
            one = table.broadcast(table.select(is_number, one, table.make("sub", (top, top))), value.shape)
        is_largest = table.make("equal", (value, largest))
        made = table.select(is_largest, one, table.broadcast(gap, value.shape), value.shape)
        context.memo["gap of entries", made.serial] = gap, one
        return made
    return None


def sum_of_entries(node: Node, sweep: Sweep) -> Node | None:
    """The sum of these two."""
    found = sweep.context.memo.get(("gap of entries", node.args[0].serial))
    if found is None or not _of_two(node):
        return None
    gap, one = found
    total = sweep.table.add(_without_broadcast(one), gap)
    return sweep.table.broadcast(sweep.table.reshape(total, ()), node.shape)


def _of_two(reduced: Node) -> bool:
    """True where an array of two entries becomes one number."""
    return prod(reduced.args[0].shape) == 2 and prod(reduced.shape) == 1


def _without_broadcast(x: Node) -> Node:
    return x.args[0] if x.op == "broadcast" else x


def _excess(node: Node, sweep: Sweep) -> Node | None:
    """Their sum less one, `sum(where(p < 1, p, 0)) + (sum(where(p < 1, 0, 1)) - 1) --> exp_gap(a, b)`."""
    context = sweep.context
    for rest, more in (node.args, node.args[::-1]):
        ties = [a for a in more.args if a.op == "sum"]
        if rest.op != "sum" or more.op != "add" or len(more.args) != 2 or len(ties) != 1:
            continue
        kept, counted = rest.args[0], ties[0].args[0]
        if kept.op != "select" or counted.op != "select" or kept.args[0] is not counted.args[0]:
            continue
        condition, powers, zero = kept.args
        found = context.memo.get(("gap of entries", powers.serial))
        if found is None or condition.op != "less" or condition.args[0] is not powers or not _of_two(rest):
            continue
        numbers = [condition.args[1], zero, *counted.args[1:], *(a for a in more.args if a is not ties[0])]
        if [context.number(_without_broadcast(n)) for n in numbers] == [1, 0, 0, 1, -1]:
            return sweep.table.broadcast(found[0], node.shape)
    return None


def sum_or_minimum(node: Node, sweep: Sweep) -> Node | None:
    """Of these two: `p + q --> 1 + exp_gap(a, b)`, `min(p, q) --> exp_gap(a, b)`."""
    if len(node.args) == 2 and node.op == "add" and (made := _excess(node, sweep)) is not None:
        return made
    if len(node.args) != 2 or node.args[0] is node.args[1]:
        return None
    gaps = [_gap(a, sweep.context) for a in node.args]
    if gaps[0] is None or gaps[0] is not gaps[1]:
        return None
    return gaps[0] if node.op == "minimum" else sweep.table.add(sweep.context.constant(1), gaps[0])


def _gap(x: Node, context: Context) -> Node | None:
    found: Node | None = context.memo.get(("gap", x.serial))
    return found
