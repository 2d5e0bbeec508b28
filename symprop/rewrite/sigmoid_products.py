"""Sigmoids in products: with exponentials, with one another and with their slope."""

from __future__ import annotations

from fractions import Fraction

from symprop.graph import Node
from symprop.rewrite.context import Context
from symprop.rewrite.reading import Factors

__all__ = ["even_argument", "odds", "partners", "quotient_of_sigmoid", "slope_of_sigmoid"]


def even_argument(x: Node, context: Context) -> Node:
    """x or -x: the one without a sign, for functions that do not see it."""
    number, factors = context.split(x)
    if number < 0:
        return context.times(-number, factors)
    return context.negate(x) if x.op == "add" and context.split(x.args[-1])[0] < 0 else x


def partners(f: Factors) -> list[tuple[Node, Node, int]]:
    """Each exp(k*x) with a sigmoid(-x), k a positive whole number: (exp, sigmoid, k)."""
    found = []
    powers, sigmoids = f.of("exp"), [s for s, e in f.of("sigmoid") if isinstance(e, int) and e > 0]
    for power, e in powers:
        if not isinstance(e, int):
            continue
        for s in sigmoids:
            ratio = _ratio(power.args[0], s.args[0], f.context)
            if ratio is not None and (ratio < 0) == (e > 0):
                found.append((power, s, abs(ratio)))
                break
    return found


def _ratio(x: Node, y: Node, context: Context) -> int | None:
    """x/y, where that is a whole number other than zero."""
    if context.negate(x) is y or context.negate(y) is x:
        return -1
    if x is y:
        return 1
    c, left = context.split(x)
    d, right = context.split(y)
    if left != right:
        return None
    ratio = Fraction(c) / d
    return int(ratio) if ratio.denominator == 1 else None


def quotient_of_sigmoid(f: Factors) -> bool:
    """exp(k*x) sigmoid(-x)**n: as many sigmoid(x) as there are exponentials for."""
    done = False
    for power, s, k in partners(f):
        e, n = f.exponent(power), f.exponent(s)
        assert isinstance(e, int) and isinstance(n, int)
        x = f.context.negate(s.args[0])
        count = min(abs(e) * k, n)
        f.change(power, -e)
        f.change(f.make("exp", x), abs(e) * k - count)
        f.change(s, -count)
        f.change(f.make("sigmoid", x), count)
        done = True
    return done


def slope_of_sigmoid(f: Factors) -> bool:
    """sigmoid(x) sigmoid(-x): its slope."""
    for s, e in f.of("sigmoid"):
        other = f.make("sigmoid", f.context.negate(s.args[0]))
        o = f.exponent(other)
        if isinstance(e, int) and isinstance(o, int) and e > 0 and o > 0 and other is not s:
            count = min(e, o)
            f.change(s, -count)
            f.change(other, -count)
            f.change(f.make("sigmoid_prime", even_argument(s.args[0], f.context)), count)
            return True
    return False


def odds(f: Factors) -> bool:
    """sigmoid(x) over sigmoid(-x): exp(x)."""
    for s, e in f.of("sigmoid"):
        other = f.make("sigmoid", f.context.negate(s.args[0]))
        o = f.exponent(other)
        if isinstance(e, int) and isinstance(o, int) and e > 0 and o < 0:
            count = min(e, -o)
            f.change(s, -count)
            f.change(other, count)
            f.change(f.make("exp", s.args[0]), count)
            return True
    return False
