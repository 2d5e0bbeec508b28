"""Stable forms: textbook formulas that overflow or lose digits, and forms of the same value that do not.

Each row is data; a new one needs nothing else than a test that fires it and a near-miss. Rules see the
graph after the simplification: constants first and folded, sums and products flat, numbers as scalars
beside arrays.
"""

from __future__ import annotations

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context
from symprop.rewrite.matching import Bindings, Rule

__all__ = ["STABLE"]

_EXP = ("exp", "x")
_ONE_PLUS_EXP = ("add", 1, _EXP)


# -- logarithms of sums of exponentials -------------------------------------------------------------


def _is_shifted(z: Node) -> bool:
    """True for `z - maximum`: then exp(z) does not overflow."""
    todo = [(z, 0)]
    while todo:
        node, depth = todo.pop()
        if node.op in ("reduce_max", "maximum"):
            return True
        if depth < 4 and node.op in ("add", "mul", "broadcast", "reshape", "select"):
            todo.extend((a, depth + 1) for a in node.args[:8])
    return False


def _finite(context: Context, top: Node) -> Node:
    """The maximum where it is finite, else 0: the difference of two infinities would be NaN."""
    t = context.table
    infinite = t.constant("oo")
    return t.make("select", (t.make("less", (t.make("abs", (top,)), infinite)), top, context.constant(0)))


def _shifted_array(z: Node, sum_node: Node, context: Context) -> tuple[Node, Node]:
    """m = max(z) over the axes of the sum, and exp(z - m)."""
    t = context.table
    top = _finite(context, t.make("reduce_max", (z,), sum_node.attrs))
    against = top if not top.shape else t.broadcast(top, z.shape)
    return top, t.make("exp", (t.make("add", (z, context.times(-1, (against,)))),))


def _keeps_axes(bound: Bindings, context: Context) -> bool:
    total = bound["s"]
    z = total.args[0].args[0] if total.op == "sum" and total.args[0].op == "exp" else None
    return z is not None and (total.shape == () or bool(total.attrs[1])) and not _is_shifted(z)


def _log_sum(bound: Bindings, context: Context) -> Node:
    t, total = context.table, bound["s"]
    top, powers = _shifted_array(total.args[0].args[0], total, context)
    return t.make("add", (top, t.make("log", (t.make("sum", (powers,), total.attrs),))))


def _is_softmax(bound: Bindings, context: Context) -> bool:
    total = bound["s"]
    return _keeps_axes(bound, context) and total.args[0].args[0] is bound["z"]


def _softmax(bound: Bindings, context: Context) -> Node:
    t, total = context.table, bound["s"]
    _, powers = _shifted_array(bound["z"], total, context)
    inverse = t.pow(t.make("sum", (powers,), total.attrs), -1)
    return t.make("mul", (powers, inverse if not inverse.shape else t.broadcast(inverse, powers.shape)))


def _exponents(total: Node, context: Context) -> list[Node] | None:
    """The a, b, ... of exp(a) + exp(b) + ...; a 1 among them is exp(0)."""
    key = ("exponents", total.serial)
    if key not in context.memo:
        context.memo[key] = _found_exponents(total, context)
    found: list[Node] | None = context.memo[key]
    return found


def _found_exponents(total: Node, context: Context) -> list[Node] | None:
    if total.op != "add" or total.shape:
        return None
    found = []
    for term in total.args:
        if term.op == "exp":
            found.append(term.args[0])
        elif context.is_number(term, 1):
            found.append(context.constant(0))
        else:
            return None
    return found if sum(e.op != "constant" for e in found) > 1 and not any(map(_is_shifted, found)) else None


def _shifted_scalars(total: Node, context: Context) -> tuple[Node, dict[int, Node], Node]:
    """The maximum m, exp(a - m) for each exponent a, and their sum."""
    key = ("shifted", total.serial)
    if key not in context.memo:
        t = context.table
        exponents = _exponents(total, context) or []
        top = exponents[0]
        for e in exponents[1:]:
            top = t.make("maximum", (top, e))
        top = _finite(context, top)
        less = context.times(-1, (top,))
        powers = {e.serial: t.make("exp", (t.add(e, less),)) for e in exponents}
        context.memo[key] = top, powers, t.make("add", list(powers.values()))
    found: tuple[Node, dict[int, Node], Node] = context.memo[key]
    return found


def _log_of_scalars(bound: Bindings, context: Context) -> Node:
    top, _, total = _shifted_scalars(bound["s"], context)
    return context.table.make("add", (top, context.table.make("log", (total,))))


def _weight_of_scalars(bound: Bindings, context: Context) -> Node:
    _, powers, total = _shifted_scalars(bound["s"], context)
    return context.table.make("mul", (powers[bound["x"].serial], context.table.pow(total, -1)))


def _has_exponent(bound: Bindings, context: Context) -> bool:
    if _exponents(bound["s"], context) is None:
        return False
    return bound["x"].serial in _shifted_scalars(bound["s"], context)[1]


def _negative_integer(bound: Bindings, context: Context) -> bool:
    number = context.number(bound["n"])
    return isinstance(number, int) and number < 0


def _is_positive(bound: Bindings, context: Context) -> bool:
    base = context.number(bound["b"])
    return base is not None and base > 0 and base != 1 and context.number(bound["x"]) is None


def _minus_expm1(bound: Bindings, context: Context) -> Node:
    t, base = context.table, context.number(bound["b"])
    assert base is not None
    rate = t.constant(sp.log(sp.Rational(base.numerator, base.denominator), evaluate=False).evalf(40))
    return context.negate(t.make("expm1", (t.make("mul", (rate, bound["x"])),)))


STABLE: tuple[Rule, ...] = (
    Rule(
        "softplus",
        ("log", _ONE_PLUS_EXP),
        ("softplus", "x"),
        "exp(x) overflows at 710, and is lost beside 1 below -37",
    ),
    Rule(
        "log of sigmoid",
        ("log", ("sigmoid", "x")),
        ("neg", ("softplus", ("neg", "x"))),
        "sigmoid(x) is 0 below -745, and rounds to 1 above 37",
    ),
    Rule(
        "sigmoid",
        ("pow", _ONE_PLUS_EXP, "n"),
        lambda b, c: c.table.pow(c.table.make("sigmoid", (c.negate(b["x"]),)), -(c.number(b["n"]) or 0)),
        "exp(x) overflows where the quotient does not",
        _negative_integer,
        "sigmoid(-x)**-n, n < 0",
    ),
    Rule(
        "sigmoid from its quotient",
        ("mul", _EXP, ("sigmoid", ("neg", "x")), "..."),
        ("sigmoid", "x"),
        "infinity times zero for large x",
    ),
    Rule(
        "slope of sigmoid from its quotient",
        ("mul", _EXP, ("pow", ("sigmoid", ("neg", "x")), 2), "..."),
        ("mul", ("sigmoid", "x"), ("sigmoid", ("neg", "x"))),
        "infinity times zero for large x",
    ),
    Rule(
        "one minus sigmoid",
        ("add", 1, ("neg", ("sigmoid", "x")), "..."),
        ("sigmoid", ("neg", "x")),
        "no digit is left above 37, where the value is exp(-x)",
    ),
    Rule(
        "sigmoid minus one",
        ("add", -1, ("sigmoid", "x"), "..."),
        ("neg", ("sigmoid", ("neg", "x"))),
        "no digit is left above 37, where the value is -exp(-x)",
    ),
    Rule(
        "log of a sum of exponentials",
        ("log", "s"),
        _log_sum,
        "exp overflows, or all of them are 0",
        _keeps_axes,
        "m + log(sum(exp(z - m))), s = sum(exp(z)), m = max(z)",
    ),
    Rule(
        "softmax",
        ("mul", ("exp", "z"), ("pow", "s", -1), "..."),
        _softmax,
        "infinity over infinity for z above 710",
        _is_softmax,
        "exp(z - m)/sum(exp(z - m)), s = sum(exp(z)), m = max(z)",
    ),
    Rule(
        "softmax of rows or columns",
        ("mul", ("exp", "z"), ("broadcast", ("pow", "s", -1)), "..."),
        _softmax,
        "infinity over infinity for z above 710",
        _is_softmax,
        "exp(z - m)/sum(exp(z - m)), s = sum(exp(z)), m = max(z)",
    ),
    Rule(
        "log of exponentials",
        ("log", "s"),
        _log_of_scalars,
        "exp overflows, or all of them are 0",
        lambda b, c: _exponents(b["s"], c) is not None,
        "m + log(exp(a - m) + exp(b - m) + ...), s = exp(a) + exp(b) + ..., m = max(a, b, ...)",
    ),
    Rule(
        "weight among exponentials",
        ("mul", _EXP, ("pow", "s", -1), "..."),
        _weight_of_scalars,
        "infinity over infinity for x above 710",
        _has_exponent,
        "exp(x - m)/(exp(a - m) + ...), s = exp(a) + exp(b) + ..., x one of a, b, ..., m = max(a, b, ...)",
    ),
    Rule("log1p", ("log", ("add", 1, "*x")), ("log1p", "x"), "x is lost beside 1 below 1e-16"),
    Rule("expm1", ("add", -1, _EXP, "..."), ("expm1", "x"), "exp(x) rounds to 1 where x is small"),
    Rule(
        "-expm1",
        ("add", 1, ("neg", _EXP), "..."),
        ("neg", ("expm1", "x")),
        "exp(x) rounds to 1 where x is small",
    ),
    Rule(
        "-expm1 of a power",
        ("add", 1, ("neg", ("pow", "b", "x")), "..."),
        _minus_expm1,
        "b**x rounds to 1 where x is small, or b close to 1",
        _is_positive,
        "-expm1(log(b)*x), b a positive number",
    ),
)
