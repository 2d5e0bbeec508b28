"""Quotients of two gamma functions whose arguments are a number apart, and differences of their logarithms.

`gamma(x + n)/gamma(x)`, n whole, is a product. For other numbers r both overflow from 171 on, and their
logarithms and slopes agree in more digits the larger x is. With w = x + (r - 1)/2 and a = (1 + r)/2

    log(gamma(x + r)/gamma(x)) = r*log(w) - sum_k B_(2k+1)(a)/(k (2k + 1)) w**(-2k),

B the Bernoulli polynomials (Tricomi and Erdelyi 1951, in logarithms): eight terms have all digits from 8 on
where r is at most 1, from 24 on where it is at most 4.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, magnitude
from symprop.rewrite.reading import Factors
from symprop.rewrite.rules.exponentials import difference_of

__all__ = ["digamma_apart", "loggamma_apart", "ratio_of_gammas"]

LONGEST = 16  # factors of a rising factorial
WIDEST = 4  # the largest r of the series
TERMS = 8  # with these the first one left out is below 1e-16 from the border on


def _apart(a: Node, b: Node, context: Context) -> Number | None:
    """a - b, where that is a number for which there is a form."""
    if a.op == "constant" or b.op == "constant":
        return None
    number = context.number(difference_of(a, b, context))
    if number is None or number == 0:
        return None
    return number if magnitude(number) <= (LONGEST if isinstance(number, int) else WIDEST) else None


def _steps(b: Node, n: int, context: Context) -> list[Node]:
    """b, b + 1, ..., b + n - 1"""
    return [context.table.add(b, context.constant(k)) for k in range(n)]


def _middle(b: Node, r: Number, context: Context) -> tuple[Node, Node]:
    """w = b + (r - 1)/2, and whether it is beyond the border."""
    t = context.table
    w = t.add(b, context.constant(Fraction(r - 1) / 2))
    border = context.constant(8 if magnitude(r) <= 1 else 24)
    return t.make("maximum", (w, border)), t.make("less", (border, w))


def _series(w: Node, r: Number, context: Context, slope: bool = False) -> Node:
    """The sum over k, or its derivative, by Horner."""
    t = context.table
    a = sp.Rational(Fraction(1 + r)) / 2
    inverse = t.pow(w, -1)
    square = t.pow(inverse, 2)
    total = context.constant(0)
    for k in range(TERMS, 0, -1):
        c = -sp.bernoulli(2 * k + 1, a) / (k * (2 * k + 1)) * (-2 * k if slope else 1)
        total = t.mul(square, t.add(t.constant(c), total))
    return t.mul(inverse, total) if slope else total


def ratio_of_gammas(f: Factors) -> bool:
    """gamma(a)*gamma(b)**-1, a - b a number."""
    context, t = f.context, f.table
    found = [(g, e) for g, e in f.of("gamma") if isinstance(e, int)]
    for top, e in found:
        for bottom, o in found:
            if e <= 0 or o >= 0:
                continue
            a, b = top.args[0], bottom.args[0]
            r = _apart(a, b, context)
            if r is None:
                continue
            count = min(e, -o)
            f.change(top, -count)
            f.change(bottom, count)
            if isinstance(r, int):
                steps = _steps(b if r > 0 else a, int(magnitude(r)), context)
                for s in steps:
                    f.change(s, count if r > 0 else -count)
                return True
            w, beyond = _middle(b, r, context)
            far = t.mul(t.pow(w, context.constant(r)), t.make("exp", (_series(w, r, context),)))
            f.change(t.select(beyond, far, t.make("div", (top, bottom)), w.shape), count)
            return True
    return False


def loggamma_apart(a: Node, b: Node, context: Context) -> Node | None:
    """loggamma(a) - loggamma(b)"""
    t, r = context.table, _apart(a, b, context)
    if r is None:
        return None
    w, beyond = _middle(b, r, context)
    far = t.add(t.mul(context.constant(r), t.make("log", (w,))), _series(w, r, context))
    near = t.make("sub", (t.make("loggamma", (a,)), t.make("loggamma", (b,))))
    return t.select(beyond, far, near, a.shape)


def digamma_apart(a: Node, b: Node, context: Context) -> Node | None:
    """digamma(a) - digamma(b)"""
    t, r = context.table, _apart(a, b, context)
    if r is None:
        return None
    if isinstance(r, int):
        inverse = [t.pow(s, -1) for s in _steps(b if r > 0 else a, int(magnitude(r)), context)]
        return t.mul(context.constant(1 if r > 0 else -1), t.add(*inverse))
    w, beyond = _middle(b, r, context)
    far = t.add(t.mul(context.constant(r), t.pow(w, -1)), _series(w, r, context, slope=True))
    near = t.make("sub", (t.make("digamma", (a,)), t.make("digamma", (b,))))
    return t.select(beyond, far, near, a.shape)
