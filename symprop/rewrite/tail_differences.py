"""Differences of one sigmoid, tanh or error function at two values, which agree where both are in one tail.

`sigmoid(a) - sigmoid(b)` is the probability of an ordered logit, `normal_cdf(a) - normal_cdf(b)` that of an
ordered probit. With d = a - b, exact where terms of both are the same,

    sigmoid(a) - sigmoid(b) = sigmoid(max(a, b))*sigmoid(-min(a, b))*(1 - exp(-abs(d))) with the sign of d,
    normal_cdf(a) - normal_cdf(b) = normal_cdf(-b) - normal_cdf(-a) for a + b > 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Sweep, magnitude
from symprop.rewrite.pairs import pairs_of_functions, terms_of
from symprop.rewrite.reading import Factors
from symprop.rewrite.rules.exponentials import difference_of
from symprop.rewrite.rules.logarithms import half_root

__all__ = ["LIMITED", "difference_in_tail", "slope_over_difference"]

LONGEST = 32  # terms of a sum of slopes
_SLOPES = {1: ("sigmoid_prime", 1), 2: ("tanh_prime", 4)}  # by scale: the slope, and what sigmoids it is

LIMITED = frozenset({"sigmoid", "tanh", "normal_cdf", "erf"})


@dataclass(frozen=True)
class _Difference:
    """sigmoid(scale*a) - sigmoid(scale*b) as sigmoid(scale*top)*lower times a gap, 1 - exp(size); a is
    the top where the condition holds, or as `first` says."""

    a: Node
    b: Node
    scale: int
    size: Node
    first: bool
    ahead: Node | None
    upper: Node
    lower: Node

    def select(self, yes: Node, no: Node, table: NodeTable) -> Node:
        """One or the other, where a is the top or not."""
        if self.ahead is None:
            return yes if self.first else no
        return table.select(self.ahead, yes, no, yes.shape)


def difference_in_tail(node: Node, sweep: Sweep) -> Node | None:
    """The sum of `c*F*f(a)` and `-c*F*f(b)`, f one of these functions, without the cancellation; or None."""
    context = sweep.context
    if len(node.args) != 2:
        return None
    for pair in pairs_of_functions(terms_of(node, context), LIMITED, context):
        number, op, a, b = pair.number, pair.first.op, pair.first.x, pair.second.x
        if number < 0:
            number, a, b = -number, b, a
        if a.shape != b.shape or _is_made(a) or _is_made(b):
            continue
        sweep.fire("difference in a tail")
        return replace(pair, number=number).replaced(_MADE[op](a, b, context), node.args, node, context)
    return None


def _is_made(x: Node) -> bool:
    """True for the arguments that are made here."""
    return x.op in ("select", "maximum", "abs") or (x.op == "mul" and any(f.op == "abs" for f in x.args))


def _of_sigmoid(a: Node, b: Node, context: Context) -> Node:
    return _of_logistic(a, b, 1, context)


def _is_slope(node: Node, op: str, x: Node, context: Context) -> bool:
    """True for the slope at x or -x, which are the same, however the difference is written."""
    if node.op != op:
        return False
    y = node.args[0]
    return any(v is x or context.number(difference_of(v, x, context)) == 0 for v in (y, context.negate(y)))


def slope_over_difference(f: Factors) -> bool:
    """The slope at a or b, or a sum of such, over the difference of sigmoid or tanh at a and b: a quotient of
    two sigmoids, of w and of v above w. Both may be 0, and sigmoid(w)/sigmoid(v) is
    sigmoid(abs(w))/sigmoid(abs(v)) times exp(w - v), or exp(min(w, 0)) for positive v."""
    t, context = f.table, f.context
    for product, e in f.of("mul"):
        found = (context.memo.get(("upper of a difference", a.serial)) for a in product.args)
        d: _Difference | None = next((x for x in found if x is not None), None)
        if d is None or not isinstance(e, int) or e >= 0:
            continue
        op, number = _SLOPES[d.scale]
        for x, other, sign in ((d.a, d.b, -1), (d.b, d.a, 1)):
            slope = next(
                (s for s, o in f.of(op) if o in range(1, LONGEST) and _is_slope(s, op, x, context)), None
            )
            if slope is None:
                continue
            w, v = (context.times(d.scale * sign, (d.select(y, context.negate(y), t),)) for y in (x, other))
            f.change(slope, -1)
            f.change(product, 1)
            f.number = f.number * number
            kept = [a for a in product.args if a not in (d.upper, d.lower)]
            f.change(t.mul(*kept), -1)
            zero = context.constant(0)
            low = t.make("exp", (t.make("minimum", (w, zero)),))
            f.change(t.select(t.make("less", (v, zero)), t.make("exp", (d.size,)), low, v.shape), 1)
            f.change(t.make("sigmoid", (t.make("abs", (w,)),)), 1)
            f.change(t.make("sigmoid", (t.make("abs", (v,)),)), -1)
            return True
        for total, o in f.of("add"):
            parts = [context.split(a)[1] for a in total.args]
            either = [
                any(_is_slope(s, op, x, context) for s in p for x in (d.a, d.b)) for p in parts[:LONGEST]
            ]
            if o == 1 and len(parts) <= LONGEST and all(either):
                under = t.pow(product, -1)
                f.change(total, -1)
                f.change(product, 1)
                f.change(t.add(*[t.mul(a, under) for a in total.args]), 1)
                return True
    return False


def _of_tanh(a: Node, b: Node, context: Context) -> Node:
    return context.times(2, (_of_logistic(a, b, 2, context),))


def _of_logistic(a: Node, b: Node, scale: int, context: Context) -> Node:
    """sigmoid(scale*a) - sigmoid(scale*b)"""
    t, zero = context.table, context.constant(0)
    apart = difference_of(a, b, context)
    number = context.number(apart)
    if number is None:
        ahead: Node | None = t.make("less", (zero, apart))
        assert ahead is not None
        top, low = t.select(ahead, a, b, a.shape), t.select(ahead, b, a, a.shape)
        sign = t.select(ahead, context.constant(-1), context.constant(1), a.shape)
        size = context.times(-scale, (t.make("abs", (apart,)),))
        gap = [sign, t.make("expm1", (size,))]
    else:
        ahead, top, low = None, *((a, b) if number > 0 else (b, a))
        size = context.constant(-scale * magnitude(number))
        exact = 1 - sp.exp(-scale * abs(sp.Rational(number)))
        gap = [t.constant(exact if number > 0 else -exact)]
    upper = t.make("sigmoid", (t.mul(context.constant(scale), top),))
    lower = t.make("sigmoid", (t.mul(context.constant(-scale), low),))
    context.memo["upper of a difference", upper.serial] = _Difference(
        a, b, scale, size, top is a, ahead, upper, lower
    )
    return t.mul(*gap, upper, lower)


def _of_normal(a: Node, b: Node, context: Context) -> Node:
    t = context.table
    above = t.make("less", (context.constant(0), t.add(a, b)))
    left = t.select(above, context.negate(b), a, a.shape)
    right = t.select(above, context.negate(a), b, a.shape)
    return t.add(t.make("normal_cdf", (left,)), context.negate(t.make("normal_cdf", (right,))))


def _of_erf(a: Node, b: Node, context: Context) -> Node:
    """erfc(abs(b)) - erfc(abs(a)) with the sign of both, where both are beyond 1/2 on one side."""
    t, half = context.table, context.constant(sp.Rational(1, 2))
    above = t.make("minimum", (a, b))
    below = context.negate(t.make("maximum", (a, b)))
    beyond = t.make("less", (half, t.make("maximum", (above, below))))
    tails = [_tail(x, context) for x in (b, a)]
    sign = t.select(t.make("less", (half, above)), context.constant(1), context.constant(-1), a.shape)
    far = t.mul(sign, t.add(tails[0], context.negate(tails[1])))
    near = t.make("sub", (t.make("erf", (a,)), t.make("erf", (b,))))  # not to be looked at again
    return t.select(beyond, far, near, a.shape)


def _tail(x: Node, context: Context) -> Node:
    """erfc(abs(x)), of z/sqrt(2) as 2*normal_cdf(-abs(z))."""
    t, found = context.table, half_root(x, context)
    if found is None:
        return t.make("erfc", (t.make("abs", (x,)),))
    size = t.make("abs", (context.times(found[0], found[1]),))
    return context.times(2, (t.make("normal_cdf", (context.negate(size),)),))


_MADE = {
    "sigmoid": _of_sigmoid,
    "tanh": _of_tanh,
    "normal_cdf": _of_normal,
    "erf": _of_erf,
}
