"""Functions of arguments that were rounded, with what the rounding is worth.

`sin(pi*x)` near whole x, `cos(2*pi*f*t)` after many periods, `(1 + r/n)**(n*t)`: the argument is a short
formula of inputs and numbers, a value `high` that was rounded and `low`, what it lost
(`exact_arguments.pair_of`). Then

    sin(high + low) = sin(high) + low*cos(high) - ...
    tan(high + low) = tan(high) + low*(1 + tan(high)**2)/(1 - low*tan(high))
    (high + low)**n = high**n * exp(n*low/high)

with terms up to the third power of `low`, which is large in single precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import sympy as sp

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, magnitude
from symprop.rewrite.exact_arguments import pair_of
from symprop.rewrite.exact_differences import exact_differences

__all__ = ["rounded_arguments"]

QUARTIC = sp.Rational(1, 2**12)  # the fourth power is below the last place of one
CUBIC = sp.Rational(1, 2**17)  # and here a third of the third power
RELATIVE = sp.Rational(1, 2**20)  # a sum loses less of itself
HIGHEST = 16  # larger exponents, and those that are not known, are worth a look at what their base lost


def rounded_arguments(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`sin(2*x*y) --> sin(p) + r*cos(p) - ...`, p the product rounded and r what it lost; likewise cos,
    tan, and powers of sums. What is made is not looked at again."""
    order, present = context.order(roots)
    if context.accuracy != "precise" or present.isdisjoint(_RULES):
        return exact_differences(table, roots, context)
    done: dict[int, Node] = {}
    for node in order:
        args = [done[a.serial] for a in node.args]
        same = all(a is b for a, b in zip(args, node.args, strict=True))
        current = node if same else table.make(node.op, args, node.attrs)
        rule = _RULES.get(node.op)
        made = None if rule is None else rule(current, context)
        if made is not None:
            context.fired["argument with what it lost"] += 1
        done[node.serial] = current if made is None else table.broadcast(made, node.shape)
    return exact_differences(table, [done[root.serial] for root in roots], context)


def _pair(x: Node, context: Context, any_leaf: bool) -> tuple[Node, Node] | None:
    inner = x.args[0] if x.op == "broadcast" else x
    return pair_of(inner, context, any_leaf, not any_leaf) if inner.op in ("add", "mul", "pow") else None


def _angle(node: Node, context: Context) -> Node | None:
    pair = _pair(node.args[0], context, False)
    if pair is None:
        return None
    t, (high, low) = context.table, pair
    return t.make("add", (t.make(node.op, (high,)), _CHANGES[node.op](high, low, context)))


def _below(limit: sp.Expr, low: Node, context: Context) -> Node:
    """low, or zero where it is not small, or no number."""
    t = context.table
    return t.select(t.make("less", (t.make("abs", (low,)), t.constant(limit))), low, context.constant(0))


def _of_circle(first: str, second: str, sign: int) -> Callable[[Node, Node, Context], Node]:
    """r*(g - r/2*(f + r/3*g)) for f = sin, g = cos; for f = cos, g = sin with the signs that it has."""

    def change(high: Node, low: Node, context: Context) -> Node:
        t, r = context.table, _below(QUARTIC, low, context)
        f, g = (t.make(op, (high,)) for op in (first, second))
        inner = t.add(f, context.times(Fraction(sign, 3), (r, g)))
        slope = t.add(context.times(sign, (g,)), context.times(Fraction(-1, 2), (r, inner)))
        return t.mul(r, slope)

    return change


def _of_tangent(high: Node, low: Node, context: Context) -> Node:
    """(1 + f**2)*r/(1 - f*r)"""
    t, r, one = context.table, _below(CUBIC, low, context), context.constant(1)
    f = t.make("tan", (high,))
    rest = t.add(one, context.times(-1, (f, r)))
    return t.mul(t.add(one, t.mul(f, f)), t.make("div", (r, rest)))


_CHANGES = {
    "sin": _of_circle("sin", "cos", 1),
    "cos": _of_circle("cos", "sin", -1),
    "tan": _of_tangent,
}


def _power(node: Node, context: Context) -> Node | None:
    base, exponent = node.args
    number = context.number(exponent)
    if base.op != "add" or (number is not None and magnitude(number) <= HIGHEST):
        return None
    pair = _pair(base, context, True)
    if pair is None:
        return None
    t, (high, low) = context.table, pair
    low = _below(sp.oo, low, context)
    total = t.make("add", (high, low))  # another value where most of the terms cancel
    relative = t.make("div", (t.make("sum_rest", (high, low)), total))
    growth = t.make("exp", (t.mul(exponent, _below(RELATIVE, relative, context)),))
    return t.mul(t.make("pow", (total, exponent)), growth)


_RULES: dict[str, Callable[[Node, Context], Node | None]] = {**dict.fromkeys(_CHANGES, _angle), "pow": _power}
