"""Inverse functions, hyperbolic ones written with logarithms, and powers of a number."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number
from symprop.rewrite.matching import Bindings, Rule

__all__ = ["INVERSES", "rate_of"]

HALF = Fraction(1, 2)


def _is_base(bound: Bindings, context: Context) -> bool:
    base = context.number(bound["b"])
    return base is not None and base > 0 and base != 1 and context.number(bound["x"]) is None


def _rate(bound: Bindings, context: Context) -> Node:
    base = context.number(bound["b"])
    assert base is not None
    return rate_of(base, bound["x"], context)


def rate_of(base: Number, x: Node, context: Context) -> Node:
    """log(base)*x"""
    exact = sp.log(sp.Rational(base.numerator, base.denominator), evaluate=False).evalf(40)
    return context.table.make("mul", (context.table.constant(exact), x))


def _less_one(bound: Bindings, context: Context) -> bool:
    """True for x**2 - 1 under the root, or (x - 1)*(x + 1)."""
    total = bound["s"]
    if total.op != "add" or len(total.args) != 2:
        return False
    minus, square = sorted(total.args, key=lambda a: a.op != "constant")
    if not context.is_number(minus, -1) or square.op != "pow":
        return False
    return square.args[0] is bound["x"] and context.is_number(square.args[1], 2)


def _is_asinh(bound: Bindings, context: Context) -> bool:
    """True for the root of 1 + x**2 and x, as `radicals` writes their sum."""
    found = context.memo.get(("root and side", bound["s"].serial))
    if found is None:
        return False
    root, side, _ = found
    return len(root.args) == 2 and any(context.is_number(a, 1) for a in root.args if a is not side)


def _asinh(bound: Bindings, context: Context) -> Node:
    _, side, sign = context.memo["root and side", bound["s"].serial]
    return context.times(sign, (context.table.make("asinh", (side,)),))


def _less_quarter(total: Node, context: Context) -> Node | None:
    """h of pi/4 + h"""
    if total.op != "add":
        return None
    rest = [a for a in total.args if a.op != "constant" or a.attrs[0] != sp.pi / 4]
    return context.table.add(*rest) if len(rest) == len(total.args) - 1 else None


def _latitude(bound: Bindings, context: Context) -> Node:
    t, h = context.table, _less_quarter(bound["s"], context)
    assert h is not None
    near = context.times(2, (t.make("atanh", (t.make("tan", (h,)),)),))
    small = t.make("less", (t.make("abs", (h,)), context.constant(HALF)))
    same = t.make("sub", (t.constant(sp.pi / 4), context.negate(h)))  # not to be looked at again
    return t.select(small, near, t.make("log", (t.make("tan", (same,)),)), h.shape)


INVERSES: tuple[Rule, ...] = (
    Rule(
        "asinh from its logarithm",
        ("log", "s"),
        _asinh,
        "x and the root cancel for negative x, and the argument rounds to 1 for small x",
        _is_asinh,
        "asinh(x), s = x + sqrt(x**2 + 1)",
    ),
    Rule(
        "acosh from its logarithm",
        ("log", ("add", "x", ("pow", "s", HALF))),
        ("acosh", "x"),
        "the square overflows at 1e154, and digits are lost for x close to 1",
        _less_one,
        "acosh(x), s = x**2 - 1",
    ),
    Rule(
        "arcsine of a root",
        ("asin", ("pow", "s", HALF)),
        ("atan2", ("pow", "s", HALF), ("pow", ("add", 1, ("neg", "s")), HALF)),
        "the root is rounded, and the arcsine steep, where s is close to 1",
    ),
    Rule(
        "slope of the arcsine of a root",
        ("pow", ("add", 1, ("neg", ("pow", ("pow", "s", HALF), 2))), -HALF),
        ("pow", ("add", 1, ("neg", "s")), -HALF),
        "the square of a root is rounded, where s is close to 1",
    ),
    Rule(
        "latitude of a map",
        ("log", ("tan", "s")),
        _latitude,
        "the tangent rounds to 1 where h is small",
        lambda b, c: _less_quarter(b["s"], c) is not None,
        "2*atanh(tan(h)), s = h + pi/4, for small h",
    ),
    Rule(
        "arccosine near one",
        ("acos", ("add", 1, "*x")),
        ("mul", 2, ("atan2", ("pow", ("neg", "x"), HALF), ("pow", ("add", 2, "x"), HALF))),
        "1 + x rounds to 1 where x is small",
    ),
    Rule(
        "atanh from its logarithms",
        ("add", ("log1p", "x"), ("neg", ("log1p", ("neg", "x"))), "..."),
        ("mul", 2, ("atanh", "x")),
        "both logarithms agree where x is small",
    ),
    Rule(
        "atanh from the logarithm of a quotient",
        ("log", ("mul", ("add", 1, "x"), ("pow", ("add", 1, ("neg", "x")), -1))),
        ("mul", 2, ("atanh", "x")),
        "the quotient rounds to 1 where x is small",
    ),
    Rule(
        "softplus of a power",
        ("log", ("add", 1, ("pow", "b", "x"))),
        lambda b, c: c.table.make("softplus", (_rate(b, c),)),
        "b**x overflows, and is lost beside 1 where it is small",
        _is_base,
        "softplus(log(b)*x), b a positive number",
    ),
    Rule(
        "sigmoid of a power",
        ("pow", ("add", 1, ("pow", "b", "x")), -1),
        lambda b, c: c.table.make("sigmoid", (c.negate(_rate(b, c)),)),
        "b**x overflows where the quotient does not",
        _is_base,
        "sigmoid(-log(b)*x), b a positive number",
    ),
    Rule(
        "expm1 of a power",
        ("add", -1, ("pow", "b", "x"), "..."),
        lambda b, c: c.table.make("expm1", (_rate(b, c),)),
        "b**x rounds to 1 where x is small, or b close to 1",
        _is_base,
        "expm1(log(b)*x), b a positive number",
    ),
)
