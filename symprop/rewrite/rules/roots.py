"""Roots of sums of squares, differences that cancel at zero or at a limit, and x - tanh(x)."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, magnitude, simplest
from symprop.rewrite.matching import Bindings, Rule

__all__ = ["ROOTS"]

HALF = Fraction(1, 2)
LARGEST = 16  # squares under one root


# -- roots of sums of squares -------------------------------------------------------------------------


def _sides(total: Node, context: Context) -> list[Node] | None:
    """The x, y ... of x**2 + y**2 + ..., positive multiples and numbers among them."""
    if total.op != "add" or len(total.args) > LARGEST:
        return None
    key = ("sides", total.serial)
    if key not in context.memo:
        found = [_side(a, context) for a in total.args]
        squares = sum(s is not None and s.op != "constant" for s in found)
        context.memo[key] = None if None in found or squares == 0 else found
    sides: list[Node] | None = context.memo[key]
    return sides


def _side(term: Node, context: Context) -> Node | None:
    """What the term is the square of."""
    number = context.number(term)
    if number is not None:
        return _root_of_number(number, context) if number > 0 else None
    coefficient, factors = context.split(term)
    if coefficient <= 0:
        return None
    roots = []
    for factor in factors:
        power = context.number(factor.args[1]) if factor.op == "pow" else None
        if not isinstance(power, int) or power % 2 or power < 0:
            return None
        base = factor.args[0]
        roots.append(base if power == 2 else context.table.make("pow", (base, context.constant(power // 2))))
    if coefficient == 1:
        return context.table.mul(*roots)
    return context.table.mul(_root_of_number(coefficient, context), *roots)


def _root_of_number(number: Number, context: Context) -> Node:
    value = Fraction(number)
    p, q = isqrt(value.numerator), isqrt(value.denominator)
    if p * p == value.numerator and q * q == value.denominator:
        return context.constant(p if q == 1 else Fraction(p, q))
    return context.table.constant(sp.sqrt(sp.Rational(value.numerator, value.denominator)))


def _is_half(bound: Bindings, context: Context) -> bool:
    power = context.number(bound["n"])
    return power is not None and power % 1 == HALF and magnitude(power) <= 8


def _under_root(bound: Bindings, context: Context) -> bool:
    return _is_half(bound, context) and _sides(bound["s"], context) is not None


def _raised(root: Node, bound: Bindings, context: Context) -> Node:
    power = context.number(bound["n"])
    assert power is not None
    return context.table.pow(root, context.constant(int(2 * power)))


def _scaled_root(bound: Bindings, context: Context) -> Node:
    sides = _sides(bound["s"], context)
    assert sides is not None
    return _raised(context.table.make("root_of_squares", sides), bound, context)


def _squared(total: Node) -> Node | None:
    """v of sum(v**2) and of the 1 x 1 product v.T*v."""
    if total.op == "sum" and (not total.shape or total.attrs[1]):
        inner = total.args[0]
        return inner.args[0] if inner.op == "pow" and inner.args[0].op != "broadcast" else None
    product = total.args[0] if total.op == "reshape" and not total.shape else None
    if product is None or product.op != "matmul":
        return None
    left, right = product.args
    if left.op == "transpose" and left.args[0] is right:
        return right
    return left if right.op == "transpose" and right.args[0] is left else None


def _is_norm(bound: Bindings, context: Context) -> bool:
    total = bound["s"]
    if not _is_half(bound, context) or _squared(total) is None:
        return False
    return total.op != "sum" or context.is_number(total.args[0].args[1], 2)


def _scaled_norm(bound: Bindings, context: Context) -> Node:
    """With a power of two where a square would overflow or underflow: exact."""
    t, total = context.table, bound["s"]
    v = _squared(total)
    assert v is not None
    over = total.attrs if total.op == "sum" else (tuple(range(len(v.shape))), False)
    top = t.make("reduce_max", (t.make("abs", (v,)),), over)
    far, down = context.constant(2**500), context.constant(Fraction(1, 2**600))
    near = context.constant(Fraction(1, 2**500))
    large, small = t.make("less", (far, top)), t.make("less", (top, near))
    one = context.constant(1)
    scale = t.make("select", (large, down, t.make("select", (small, far, one))))
    back = t.make("select", (large, context.constant(2**600), t.make("select", (small, near, one))))
    wide = scale if not scale.shape else t.broadcast(scale, v.shape)
    square = t.make("pow", (t.make("mul", (v, wide)), context.constant(2)))
    root = t.make("sqrt", (t.make("sum", (square,), over),))  # not to be looked at again
    return _raised(t.make("mul", (root, back)), bound, context)


# -- differences of roots and squares -------------------------------------------------------------------


def _roots_apart(bound: Bindings, context: Context) -> Number | None:
    """a - b, where that is a number other than zero."""
    if not all(context.is_number(bound[k], HALF) for k in ("m", "n")):
        return None
    totals: dict[int, Number] = {}
    rest: Number = 0
    for side, sign in ((bound["a"], 1), (bound["b"], -1)):
        for term in side.args if side.op == "add" else (side,):
            number = context.number(term)
            if number is not None:
                rest += sign * number
                continue
            coefficient, factors = context.split(term)
            key = factors[0] if len(factors) == 1 else context.table.make("mul", factors)
            totals[key.serial] = totals.get(key.serial, 0) + sign * coefficient
    return rest if rest and not any(totals.values()) else None


def _apart(bound: Bindings, context: Context) -> Node:
    t, number = context.table, _roots_apart(bound, context)
    assert number is not None
    roots = [t.make("pow", (bound[k], context.constant(HALF))) for k in ("a", "b")]
    return context.times(number, (t.make("pow", (t.make("add", roots), context.constant(-1))),))


def _no_numbers(bound: Bindings, context: Context) -> bool:
    return all(bound[k].op != "constant" for k in "xy")


# -- powers less one ------------------------------------------------------------------------------------

LARGEST_EXPONENT = 16  # of powers that become products, as in `powers`


def _grows(bound: Bindings, context: Context) -> bool:
    number = context.number(bound["n"])
    return number not in (None, 0, 1) and number.denominator != 2  # roots need no logarithm


def _growth(bound: Bindings, context: Context) -> Node:
    """y**n - 1 with y = 1 + x."""
    t, x, number = context.table, bound["x"], context.number(bound["n"])
    assert number is not None
    one = context.constant(1)
    y = t.add(one, x)
    if isinstance(number, int) and abs(number) <= LARGEST_EXPONENT:
        if number < 0:  # of 1/y, which does not overflow: 1/y - 1 = -x/y
            y = t.pow(y, -1)
            x = t.mul(context.constant(-1), x, y)
        return _power_less_one(x, y, abs(number), context)
    near = t.make("expm1", (t.mul(bound["n"], t.make("log1p", (x,))),))
    if not isinstance(number, int):
        return near
    return t.select(t.make("less", (context.constant(-1), x)), near, t.make("sub", (t.pow(y, number), one)))


def _power_less_one(x: Node, y: Node, n: int, context: Context) -> Node:
    """y**n - 1 by halves, (y**m - 1)*(y**m + 1), and y*(y**m - 1) + x for odd exponents."""
    t = context.table
    value, m = x, 1
    for bit in bin(n)[3:]:
        value, m = t.mul(value, t.make("add", (t.pow(y, m), context.constant(1)))), 2 * m
        if bit == "1":
            value, m = t.add(t.mul(y, value), x), m + 1
    return value


def _is_broken(bound: Bindings, context: Context) -> bool:
    number = context.number(bound["n"])
    return number is not None and not isinstance(number, int)


def _power_of_cosh(scale: Number, bound: Bindings, context: Context) -> Node:
    """(cosh(x)**-2)**n, or ((2*cosh(x/2))**-2)**n"""
    t, n = context.table, context.number(bound["n"])
    assert n is not None
    base = t.make("cosh", (context.scaled(scale, bound["x"]),))
    if scale != 1:
        base = context.times(2, (base,))
    return t.pow(base, context.constant(simplest(-2 * n)))


ROOTS: tuple[Rule, ...] = (
    Rule(
        "root of the slope of tanh",
        ("pow", ("tanh_prime", "x"), "n"),
        lambda b, c: _power_of_cosh(1, b, c),
        "the slope is 0 from 372 on, where its root is a number",
        _is_broken,
        "cosh(x)**(-2*n), n no whole number",
    ),
    Rule(
        "root of the slope of sigmoid",
        ("pow", ("sigmoid_prime", "x"), "n"),
        lambda b, c: _power_of_cosh(HALF, b, c),
        "the slope is 0 from 745 on, where its root is a number",
        _is_broken,
        "(2*cosh(x/2))**(-2*n), n no whole number",
    ),
    Rule(
        "root of squares",
        ("pow", "s", "n"),
        _scaled_root,
        "the squares overflow at 1e154 and underflow at 1e-154",
        _under_root,
        "root_of_squares(x, y, ...)**(2*n), s = x**2 + y**2 + ..., n half a whole number",
        frozenset({"add", "constant"}),
    ),
    *(
        Rule(
            name,
            ("pow", "s", "n"),
            _scaled_norm,
            "the squares overflow at 1e154 and underflow at 1e-154",
            _is_norm,
            f"(sqrt(sum((c*v)**2))/c)**(2*n), s = {squares}, c a power of two, n half a whole number",
            frozenset({op, "constant"}),
        )
        for name, squares, op in (("norm", "sum(v**2)", "sum"), ("norm of a column", "v.T*v", "reshape"))
    ),
    Rule(
        "difference of roots",
        ("add", ("pow", "a", "m"), ("neg", ("pow", "b", "n"))),
        _apart,
        "the digits that sqrt(a) and sqrt(b) have in common are lost",
        lambda b, c: _roots_apart(b, c) is not None,
        "(a - b)/(sqrt(a) + sqrt(b)), m = n = 1/2, a - b a number",
    ),
    Rule(
        "difference of squares",
        ("add", ("pow", "x", 2), ("neg", ("pow", "y", 2))),
        ("mul", ("add", "x", ("neg", "y")), ("add", "x", "y")),
        "the digits that the squares have in common are lost",
        _no_numbers,
    ),
    Rule(
        "power less one",
        ("add", -1, ("pow", ("add", 1, "*x"), "n"), "..."),
        _growth,
        "the power rounds to 1 where x is small",
        _grows,
        "x*(y + 1)*(y**2 + 1)*... with y = 1 + x for whole n up to 16, expm1(n*log1p(x)) for others",
    ),
    Rule(
        "one less a power",
        ("add", 1, ("neg", ("pow", ("add", 1, "*x"), "n")), "..."),
        lambda b, c: c.times(-1, (_growth(b, c),)),
        "the power rounds to 1 where x is small",
        _grows,
        "-x*(y + 1)*(y**2 + 1)*... with y = 1 + x for whole n up to 16, -expm1(n*log1p(x)) for others",
    ),
    Rule(
        "x - tanh(x)",
        ("add", "x", ("neg", ("tanh", "x")), "..."),
        ("tanh_gap", "x"),
        "x and tanh(x) agree where x is small",
    ),
    Rule(
        "tanh(x) - x",
        ("add", ("tanh", "x"), ("neg", "x"), "..."),
        ("neg", ("tanh_gap", "x")),
        "x and tanh(x) agree where x is small",
    ),
)
