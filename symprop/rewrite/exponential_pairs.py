"""Two exponentials less their larger exponent: one of them is 1, so that one function does for both."""

from __future__ import annotations

from symprop.graph import Node
from symprop.rewrite.context import Context, Sweep
from symprop.rewrite.rules.exponentials import finite

__all__ = ["gap_of_two", "sum_or_minimum"]


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


def sum_or_minimum(node: Node, sweep: Sweep) -> Node | None:
    """Of these two: `p + q --> 1 + exp_gap(a, b)`, `min(p, q) --> exp_gap(a, b)`."""
    if len(node.args) != 2 or node.args[0] is node.args[1]:
        return None
    gaps = [_gap(a, sweep.context) for a in node.args]
    if gaps[0] is None or gaps[0] is not gaps[1]:
        return None
    return gaps[0] if node.op == "minimum" else sweep.table.add(sweep.context.constant(1), gaps[0])


def _gap(x: Node, context: Context) -> Node | None:
    found: Node | None = context.memo.get(("gap", x.serial))
    return found
