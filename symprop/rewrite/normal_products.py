"""Products of the normal distribution, its density and erfc that vanish together, by the Mills ratio."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, simplest
from symprop.rewrite.reading import Factors
from symprop.rewrite.rules.normal import is_density_exponent, mills, over_distribution

__all__ = ["density_over_distribution", "scaled_tail"]

MOST = 4  # of a density among the factors


def _densities(exponent: Node, x: Node, context: Context) -> int:
    """How many exp(-x**2/2) the exponential of a node is, 0 for none."""
    number, factors = context.split(exponent)
    for count in range(1, MOST + 1):
        if is_density_exponent(context.times(simplest(Fraction(number) / count), factors), x, context):
            return count
    return 0


def density_over_distribution(f: Factors) -> bool:
    """exp(-x**2/2)*normal_cdf(x)**-1 and exp(-x**2)*erfc(x)**-1 as one quotient each."""
    context = f.context
    for cdf, e in (*f.of("normal_cdf"), *f.of("erfc")):
        x = cdf.args[0]
        if not isinstance(e, int) or e >= 0 or x.op in ("minimum", "maximum"):
            continue
        if cdf.op == "erfc":
            x = _normal_argument(x, context)
        for density, o in f.of("exp"):
            each = _densities(density.args[0], x, context) if isinstance(o, int) and o > 0 else 0
            if not each:
                continue
            assert isinstance(o, int)
            count = min(-e, each * o)
            f.change(cdf, count)
            f.change(density, -o)
            if each * o > count:
                f.change(f.make("exp", density.args[0], Fraction(each * o - count, each)), 1)
            f.change(over_distribution(x, context), count)
            if cdf.op == "erfc":  # which is twice the distribution function
                f.number = f.number * Fraction(1, 2**count)
            return True
    return False


def _normal_argument(x: Node, context: Context) -> Node:
    """y with erfc(x) = 2*normal_cdf(y)"""
    return context.table.mul(context.table.constant(-sp.sqrt(2)), x)


def scaled_tail(f: Factors) -> bool:
    """exp(x**2)*erfc(x): sqrt(2/pi)*M(sqrt(2)*x) for positive x."""
    context, t = f.context, f.table
    for tail, e in f.of("erfc"):
        x = tail.args[0]
        if e != 1 or x.op in ("minimum", "maximum"):  # which is what is made here
            continue
        y = _normal_argument(x, context)
        for power, o in f.of("exp"):
            if o != 1 or not is_density_exponent(context.negate(power.args[0]), y, context):
                continue
            zero = context.constant(0)
            far = context.negate(t.make("minimum", (y, zero)))
            ratio = mills(far, context)
            scaled = t.mul(t.constant(sp.sqrt(2 / sp.pi)), ratio)
            low = t.make("minimum", (x, zero))
            square = t.make("pow", (low, context.constant(2)))
            near = t.make("mul", (t.make("exp", (square,)), t.make("erfc", (low,))))
            f.change(tail, -1)
            f.change(power, -1)
            made = t.make("select", (t.make("less", (zero, x)), scaled, near))
            context.memo["scaled erfc", made.serial] = x
            f.change(made, 1)
            return True
    return False
