"""Differences of one sigmoid, tanh or error function at two values, which agree where both are in one tail.

`sigmoid(a) - sigmoid(b)` is the probability of an ordered logit, `normal_cdf(a) - normal_cdf(b)` that of an
ordered probit. With d = a - b, exact where terms of both are the same,

    sigmoid(a) - sigmoid(b) = sigmoid(max(a, b))*sigmoid(-min(a, b))*(1 - exp(-abs(d))) with the sign of d,
    normal_cdf(a) - normal_cdf(b) = normal_cdf(-b) - normal_cdf(-a) for a + b > 0.
"""

from __future__ import annotations

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.gamma_ratios import digamma_apart, loggamma_apart
from symprop.rewrite.rules.exponentials import difference_of
from symprop.rewrite.rules.logarithms import half_root

__all__ = ["LIMITED", "difference_in_tail"]

LIMITED = frozenset({"sigmoid", "tanh", "normal_cdf", "erf", "loggamma", "digamma"})


def difference_in_tail(node: Node, sweep: Sweep) -> Node | None:
    """The sum of `c*F*f(a)` and `-c*F*f(b)`, f one of these functions, without the cancellation; or None."""
    context, table = sweep.context, sweep.table
    if len(node.args) != 2:
        return None
    number, first, rest = _limited(node.args[0], context)
    if first is None:  # as in most sums
        return None
    other, second, others = _limited(node.args[1], context)
    if second is None or number != -other or rest != others or first.op != second.op:
        return None
    if number < 0:
        number, first, second = other, second, first
    a, b = first.args[0], second.args[0]
    if a.shape != b.shape or _is_made(a) or _is_made(b):
        return None
    made = _MADE[first.op](a, b, context)
    if made is None:
        return None
    sweep.fire("difference in a tail" if "gamma" not in first.op else "difference of the gamma family")
    return table.broadcast(table.mul(context.constant(number), *rest, made), node.shape)


def _limited(term: Node, context: Context) -> tuple[Number, Node | None, list[Node]]:
    """A term as its number, the function and the other factors."""
    number, factors = context.split(term)
    found = [f for f in factors if f.op in LIMITED]
    if len(found) != 1:
        return number, None, []
    return number, found[0], [f for f in factors if f is not found[0]]


def _is_made(x: Node) -> bool:
    """True for the arguments that are made here."""
    return x.op in ("select", "maximum", "abs") or (x.op == "mul" and any(f.op == "abs" for f in x.args))


def _of_sigmoid(a: Node, b: Node, context: Context) -> Node | None:
    return _of_logistic(a, b, 1, context)


def _of_tanh(a: Node, b: Node, context: Context) -> Node | None:
    return context.times(2, (_of_logistic(a, b, 2, context),))


def _of_logistic(a: Node, b: Node, scale: int, context: Context) -> Node:
    """sigmoid(scale*a) - sigmoid(scale*b)"""
    t, zero = context.table, context.constant(0)
    apart = difference_of(a, b, context)
    number = context.number(apart)
    ahead = t.make("less", (zero, apart))
    if number is None:
        top, low = t.select(ahead, a, b, a.shape), t.select(ahead, b, a, a.shape)
        sign = t.select(ahead, context.constant(-1), context.constant(1), a.shape)
        size = context.times(-scale, (t.make("abs", (apart,)),))
        gap = t.mul(sign, t.make("expm1", (size,)))
    else:
        top, low = (a, b) if number > 0 else (b, a)
        exact = 1 - sp.exp(-scale * abs(sp.Rational(number)))
        gap = t.constant(exact if number > 0 else -exact)
    upper = t.make("sigmoid", (t.mul(context.constant(scale), top),))
    lower = t.make("sigmoid", (t.mul(context.constant(-scale), low),))
    return t.mul(gap, upper, lower)


def _of_normal(a: Node, b: Node, context: Context) -> Node | None:
    t = context.table
    above = t.make("less", (context.constant(0), t.add(a, b)))
    left = t.select(above, context.negate(b), a, a.shape)
    right = t.select(above, context.negate(a), b, a.shape)
    return t.add(t.make("normal_cdf", (left,)), context.negate(t.make("normal_cdf", (right,))))


def _of_erf(a: Node, b: Node, context: Context) -> Node | None:
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
    "loggamma": loggamma_apart,
    "digamma": digamma_apart,
}
