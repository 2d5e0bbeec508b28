"""Differences of one function at two values that are near each other: `sqrt(a) - sqrt(b)`, `1/(x + 1) - 1/x`.

The digits that both have in common are lost. With d = a - b, exact where the values are near each other or
have terms in common (it is 1 for x + 1 and x), the difference is a product, after the addition theorems:

    sqrt(a) - sqrt(b) = d/(sqrt(a) + sqrt(b))           exp(a) - exp(b) = exp(b)*expm1(d)
    1/a - 1/b = -(d/a)/b                                atan(a) - atan(b) = atan(d/(1 + a*b))
    a**p - b**p = b**p*expm1(p*log(a/b))                sin(a) - sin(b) = 2*sin(d/2)*cos(b + d/2)
    log(a) - log(b) = log(a/b) = log1p(d/b)

Where the values are far from each other nothing is lost, and the difference stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symprop.graph import Node
from symprop.rewrite.context import Context, Sweep, magnitude
from symprop.rewrite.fraction_pairs import fractions_apart
from symprop.rewrite.pairs import Function, may_be_pair, pairs_of_functions, term_of, terms_of
from symprop.rewrite.rational import argument_of
from symprop.rewrite.rules.exponentials import difference_of, has_weights, have_common_terms

__all__ = ["FUNCTIONS", "difference_of_near", "log_of_one_less", "log_of_ratio"]
__all__ += ["one_less_ratio"]

LONGEST = 6  # terms of a sum of which pairs are looked at
HIGHEST = 16  # whole exponents that are multiplied out
HALF = Fraction(1, 2)


@dataclass(frozen=True)
class _Near:
    """A difference where `distance` is less than half of `size` (None: of one), or `always`."""

    value: Node
    distance: Node
    size: Node | None = None
    always: bool = False


def difference_of_near(node: Node, sweep: Sweep) -> Node | None:
    """The sum with `c*F*f(a) - c*F*f(b)`, f one of these functions, without the cancellation; or None."""
    context = sweep.context
    if not 2 <= len(node.args) <= LONGEST:
        return None
    if not may_be_pair(node, FUNCTIONS, context):
        return None  # as in most sums
    for pair in pairs_of_functions(terms_of(node, context), FUNCTIONS, context):
        if _is_like(pair.first, pair.second, context):
            made = _apart(pair.first, pair.second, context)
            if made is not None:
                sweep.fire("difference of near values")
                return pair.replaced(made, node.args, node, context)
    return None


def _is_like(first: Function, second: Function, context: Context) -> bool:
    """True for the same function at two arguments, and for a power and one."""
    if first.x.shape != second.x.shape or _is_rational(first, second, context):
        return False
    if first.op == "root_of_squares" and len(first.value.args) != len(second.value.args):
        return False
    return first.exponent is second.exponent or None in (first.exponent, second.exponent)


def _is_rational(first: Function, second: Function, context: Context) -> bool:
    """True for exponentials of multiples of one value: `rational`."""
    if first.op != "exp":
        return False
    one, other = (argument_of(f.x, context) for f in (first, second))
    return one is not None and other is not None and one[0] is other[0]


def _apart(first: Function, second: Function, context: Context) -> Node | None:
    """The value of the first less that of the second."""
    t = context.table
    known: dict[tuple[int, int], Node] = context.memo.setdefault(("apart", 0), {})
    a, b = first.x, second.x
    if first.exponent is not second.exponent:
        turned = first.exponent is None  # 1 - b**q
    else:
        turned = b.op == "add" and a.op != "add"  # b as it is, rather than rounded
    if turned:
        made = _apart(second, first, context)
        return None if made is None else t.mul(context.constant(-1), made)
    if first.value is second.value:
        return None
    pair = first.value.serial, second.value.serial
    if pair in known:
        return known[pair]
    if first.op == "root_of_squares":
        near = _of_norms(first.value.args, second.value.args, context)
    else:
        near = _FORMS[first.op](a, b, first.exponent, context)
    if near is None:
        return None
    far = t.make("sub", (first.value, second.value))
    known[pair] = near.value if near.always else _chosen(near, far, context)
    return known[pair]


def _chosen(near: _Near, far: Node, context: Context) -> Node:
    t = context.table
    half = (
        context.constant(HALF) if near.size is None else context.times(HALF, (t.make("abs", (near.size,)),))
    )
    made = t.select(t.make("less", (t.make("abs", (near.distance,)), half)), near.value, far, far.shape)
    context.memo["near difference", made.serial] = far.args  # beside other factors it may be taken otherwise
    return made


# -- the forms -----------------------------------------------------------------------------------------------


def _difference(a: Node, b: Node, context: Context) -> tuple[Node, bool]:
    """a - b, and whether it is known better than by its rounded operands: they share terms or factors."""
    t = context.table
    if have_common_terms(a, b, context):
        return difference_of(a, b, context), True
    (c, first), (e, second) = context.split(a), context.split(b)
    shared = [f for f in first if f in second]
    if not shared or a.op != "mul" or b.op != "mul":
        return difference_of(a, b, context), False
    u, v = (
        context.times(n, [f for f in factors if f not in shared])
        if len(factors) > len(shared)
        else context.constant(n)
        for n, factors in ((c, first), (e, second))
    )
    return t.mul(*shared, difference_of(u, v, context)), True


def _less(a: Node, b: Node, context: Context) -> Node:
    """a - b; of 1 - x/y and one -x/y."""
    known: Node | None = context.memo.get(("less one", a.serial)) if _is_one(b, context) else None
    return _difference(a, b, context)[0] if known is None else known


def _of_powers(a: Node, b: Node, p: Node | None, context: Context) -> _Near | None:
    assert p is not None
    t, number, d = context.table, context.number(p), _less(a, b, context)
    if number is None or number.denominator > 2 or magnitude(number) > HIGHEST:
        exponent = t.mul(p, _logarithm(a, b, d, context))
        growth = t.make("expm1", (exponent,))
        return _Near(growth if _is_one(b, context) else t.mul(t.make("pow", (b, p)), growth), exponent)
    if number in (1, 2):
        return None  # squares have a form of their own
    if number == -1 and all(has_weights(x, context) for x in (a, b)) and _difference(a, b, context)[1]:
        # what two sums of exponentials have in common is gone: products of weights
        inverses = [t.make("pow", (x, context.constant(-1))) for x in (a, b)]
        return _Near(t.mul(context.constant(-1), d, *inverses), d, always=True)
    size = None if _is_one(b, context) else b
    distance = d
    if number.denominator == 2:
        a, b = (x if _is_one(x, context) else t.make("pow", (x, context.constant(HALF))) for x in (a, b))
        d = t.make("div", (d, t.make("add", (a, b))))
        number = 2 * number
    n = abs(int(number))
    if number < 0:
        d = t.make("div", (d, a))  # first, since the product of both inverses may overflow
        a, b = (x if _is_one(x, context) else t.make("pow", (x, context.constant(-1))) for x in (a, b))
        d = t.mul(context.constant(-1), d, b)
    return _Near(t.mul(d, *_factors_of_difference(a, b, n, context)), distance, size)


def _logarithm(a: Node, b: Node, d: Node, context: Context) -> Node:
    """log(a/b); `log_of_ratio` does the rest."""
    t = context.table
    if not _is_one(b, context):
        return t.make("log", (t.mul(a, t.make("pow", (b, context.constant(-1)))),))
    return t.make("log1p", (d,)) if a.op == "add" else t.make("log", (a,))


def _factors_of_difference(a: Node, b: Node, n: int, context: Context) -> list[Node]:
    """Those of (a**n - b**n)/(a - b): sums of terms of one sign where a and b have one sign."""
    t = context.table
    factors: list[Node] = []
    while n % 2 == 0:
        n //= 2
        factors.append(t.add(*[t.pow(x, context.constant(n)) for x in (a, b)]))
    if n > 1:
        powers = [(t.pow(a, context.constant(k)), t.pow(b, context.constant(n - 1 - k))) for k in range(n)]
        factors.append(t.add(*[t.mul(*pair) for pair in powers]))
    return factors


def _of_exponentials(a: Node, b: Node, p: Node | None, context: Context) -> _Near | None:
    t, d = context.table, _less(a, b, context)
    return _Near(t.mul(t.make("exp", (b,)), t.make("expm1", (d,))), d)


def _of_softplus(a: Node, b: Node, p: Node | None, context: Context) -> _Near | None:
    t, d = context.table, _less(a, b, context)
    return _Near(t.make("log1p", (t.mul(t.make("sigmoid", (b,)), t.make("expm1", (d,))),)), d)


def _of_sines(a: Node, b: Node, p: Node | None, context: Context) -> _Near | None:
    """2*sin(h)*cos(b + h) with h = d/2; b + h, which would be rounded, by the addition theorem."""
    t, (d, known) = context.table, _difference(a, b, context)
    if not known:
        return None
    (sine, cosine), (sin_b, cos_b) = _both(_half(d, context), context), _both(b, context)
    other = t.add(t.mul(cos_b, cosine), t.mul(context.constant(-1), sin_b, sine))
    return _Near(t.mul(context.constant(2), sine, other), d)


def _of_cosines(a: Node, b: Node, p: Node | None, context: Context) -> _Near | None:
    """-2*sin(h)*sin(b + h)"""
    t, (d, known) = context.table, _difference(a, b, context)
    if not known:
        return None
    (sine, cosine), (sin_b, cos_b) = _both(_half(d, context), context), _both(b, context)
    return _Near(t.mul(context.constant(-2), sine, t.add(t.mul(sin_b, cosine), t.mul(cos_b, sine))), d)


def _half(d: Node, context: Context) -> Node:
    value = context.number(d)
    if value is not None:
        return context.constant(value * HALF)
    number, factors = context.split(d)
    return context.times(number * HALF, factors)


def _both(x: Node, context: Context) -> tuple[Node, Node]:
    return context.table.make("sin", (x,)), context.table.make("cos", (x,))


def _of_tangents(a: Node, b: Node, p: Node | None, context: Context) -> _Near | None:
    t, (d, known) = context.table, _difference(a, b, context)
    if not known:
        return None
    product = t.mul(*[t.make("tan", (x,)) for x in (a, b)])
    return _Near(t.mul(t.make("tan", (d,)), t.add(context.constant(1), product)), d)


def _of_arctangents(a: Node, b: Node, p: Node | None, context: Context) -> _Near | None:
    t, d = context.table, _less(a, b, context)
    below = t.add(context.constant(1), t.mul(a, b))
    return _Near(
        t.make("atan", (t.make("div", (d, below)),)), d, t.make("maximum", (below, context.constant(0)))
    )


def _of_logarithms(a: Node, b: Node, p: Node | None, context: Context) -> _Near | None:
    t, d = context.table, _less(a, b, context)
    if a.op == "mul" and b.op == "mul":  # odds: p/(1 - p) and q/(1 - q)
        d = fractions_apart(term_of(a, context), term_of(b, context), context) or d
    return _Near(t.make("log1p", (t.make("div", (d, b)),)), d, b)


def _of_norms(a: Sequence[Node], b: Sequence[Node], context: Context) -> _Near | None:
    """Distances: the sum of (a_i - b_i)*(a_i + b_i)/(|a| + |b|), of the sides that differ."""
    t = context.table
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not y]
    size = t.make("root_of_squares", tuple(b))
    both = t.add(t.make("root_of_squares", tuple(a)), size)
    terms = [t.mul(_less(x, y, context), t.make("div", (t.add(x, y), both))) for x, y in pairs]
    value = t.add(*terms)
    return _Near(value, value, size)


_FORMS: dict[str, Callable[[Node, Node, Node | None, Context], _Near | None]] = {
    "pow": _of_powers,
    "exp": _of_exponentials,
    "softplus": _of_softplus,
    "log": _of_logarithms,
    "sin": _of_sines,
    "cos": _of_cosines,
    "tan": _of_tangents,
    "atan": _of_arctangents,
}
FUNCTIONS = frozenset(_FORMS) | {"log1p", "root_of_squares"}


def log_of_ratio(node: Node, sweep: Sweep) -> Node | None:
    """`log(a/b) --> log1p((a - b)/b)` for a near b, where the quotient rounds to 1; the last step, since the
    result is no logarithm any more."""
    context, t = sweep.context, sweep.table
    found = _ratio(node.args[0], context)
    near = None if found is None else _of_logarithms(*found, None, context)
    if found is None or near is None:
        return None
    sweep.fire("logarithm of a ratio")
    return _chosen(near, t.make("log", (t.make("div", found),)), context)


def _ratio(x: Node, context: Context) -> tuple[Node, Node] | None:
    """a and b of a*b**-1, neither of them a product: that would have been rounded, but for twice a value."""
    number, factors = context.split(x)
    if x.op != "mul" or len(factors) != 2 or number not in (1, 2, HALF):
        return None
    powers = [f for f in factors if f.op == "pow" and context.is_number(f.args[1], -1)]
    if len(powers) != 1:
        return None
    a, b = next(f for f in factors if f is not powers[0]), powers[0].args[0]
    simple = a.shape == b.shape and all(v.op not in ("mul", "div", "pow", "constant") for v in (a, b))
    return (context.scaled(number, a), b) if simple else None


# -- one less a ratio ----------------------------------------------------------------------------------------


def one_less_ratio(node: Node, sweep: Sweep) -> Node | None:
    """`c - c*a/b --> c*((b - a)/b)` for a near b, where the ratio rounds to 1; `c - c*a**2/b**2`, too."""
    context, t = sweep.context, sweep.table
    if len(node.args) != 2 or node.args[0].op == node.args[1].op:
        return None
    fixed, term = node.args if node.args[0].op == "constant" else reversed(node.args)
    number, (c, factors) = context.number(fixed), context.split(term)
    if number is None or c != -number or len(factors) != 2:
        return None
    found = _square_of_ratio(factors, context)
    if found is None:
        return None
    a, b, squared = found
    key = ("one less", t.make("div", (a, b)).serial)
    if key in context.memo:
        return None
    context.memo[key] = True
    sweep.fire("one less a ratio")
    sides = [_one_less(a, b, context)]
    if squared:
        sides.append(_one_less(context.times(-1, (a,)), b, context))
    made = t.mul(context.constant(number), *sides)
    if number == 1:
        context.memo["less one", made.serial] = term
    return t.broadcast(made, node.shape)


def log_of_one_less(node: Node, sweep: Sweep) -> Node | None:
    """`log(1 - a/b)` of a small ratio, which `one_less_ratio` would round, as log1p(-a/b)."""
    context, t = sweep.context, sweep.table
    term: Node | None = context.memo.get(("less one", node.args[0].serial))
    key = ("logarithm of one less", node.serial)
    if term is None or key in context.memo:
        return None
    context.memo[key] = True
    sweep.fire("log1p")
    return _chosen(_Near(t.make("log1p", (term,)), term), node, context)


def _one_less(a: Node, b: Node, context: Context) -> Node:
    t, d = context.table, difference_of(b, a, context)
    far = t.make("sub", (context.constant(1), t.make("div", (a, b))))
    return _chosen(_Near(t.make("div", (d, b)), d, b), far, context)


def _square_of_ratio(factors: tuple[Node, ...], context: Context) -> tuple[Node, Node, bool] | None:
    """a and b of a*b**-1 and of a**2*b**-2, and whether it is the square; neither of them a product."""
    above, below = sorted(factors, key=lambda f: f.op == "pow" and _is_below(f, context))
    power = context.number(below.args[1]) if below.op == "pow" else None
    if power not in (-1, -2):
        return None
    if power == -2 and not (above.op == "pow" and context.is_number(above.args[1], 2)):
        return None
    a, b = above.args[0] if power == -2 else above, below.args[0]
    simple = a.shape == b.shape and all(v.op not in ("mul", "div", "pow", "constant") for v in (a, b))
    return (a, b, power == -2) if simple else None


def _is_below(f: Node, context: Context) -> bool:
    power = context.number(f.args[1])
    return power is not None and power < 0


def _is_one(x: Node, context: Context) -> bool:
    return context.is_number(x, 1)
