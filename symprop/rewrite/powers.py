"""Powers with constant exponents become products, roots and divisions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import sympy as sp

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Number, Sweep, magnitude
from symprop.rewrite.positive import is_nonnegative

__all__ = ["LARGEST_EXPONENT", "powers"]

LARGEST_EXPONENT = 16  # x**16 is four squarings; each product rounds once, larger powers are left to `pow`

_PARTS = frozenset({0, Fraction(1, 2), Fraction(1, 3), Fraction(2, 3)})


def powers(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`x**4 --> (x*x)*(x*x)`, `x**-1 --> 1/x`, `x**(1/2) --> sqrt(x)`, `x**(3/2) --> x*sqrt(x)`, `E**x -->
    exp(x)`.

    `x**(4/3) --> x*cbrt(x)` for x >= 0, NaN for negative x as in NumPy: 1/3 is no number of the machine, and
    its rounding is worth up to 60 units in the last place. Other constant exponents stay a `pow`.
    """
    return Sweep(context, roots, {"pow": _power}).run()


def _power(node: Node, sweep: Sweep) -> Node | None:
    context, table = sweep.context, sweep.table
    base, power = node.args
    if base.op == "constant" and base.attrs[0] is sp.E:
        sweep.fire("power of e")
        return table.broadcast(table.make("exp", (power,)), node.shape)
    exponent = context.number(power)
    if exponent is None or exponent in (0, 1) or magnitude(exponent) > LARGEST_EXPONENT:
        return None
    whole, part = divmod(magnitude(exponent), 1)
    if (part and whole > 4) or (part not in _PARTS):
        return None
    thirds = part not in (0, Fraction(1, 2))
    if thirds and context.accuracy == "as_written":
        return None
    value: Node | None = _integer(base, int(whole), sweep) if whole else None
    if part:
        root = _third(base, part, context) if thirds else table.make("sqrt", (base,))
        value = root if value is None else table.make("mul", (value, root))
    assert value is not None
    if exponent < 0:
        value = table.make("div", (context.constant(1), value))
    sweep.fire("roots" if part else ("reciprocals" if exponent < 0 else "integer powers"))
    return value


def _third(base: Node, part: Number, context: Context) -> Node:
    """base**(1/3) or base**(2/3)"""
    table = context.table
    if not is_nonnegative(base, context):
        negative = table.make("less", (base, context.constant(0)))
        base = table.select(negative, table.constant(sp.nan), base, base.shape)
    root = table.make("cbrt", (base,))
    return root if part == Fraction(1, 3) else table.make("mul", (root, root))


def _integer(base: Node, exponent: int, sweep: Sweep) -> Node:
    """base**exponent by squaring: x**7 is (x**3)**2 * x, so that powers of one base share their squares."""
    bits = bin(exponent)[3:]
    value = base
    if base.kind == "integer" and bits:  # 64 bits would overflow: |n| is a real number, and |n|**2 = n**2
        value = sweep.table.make("abs", (base,))
    for bit in bits:
        value = sweep.table.make("mul", (value, value))
        if bit == "1":
            value = sweep.table.make("mul", (value, base))
    return value
