"""Sums of exponentials, their logarithms and quotients: softplus, sigmoid, log-sum-exp, softmax."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, magnitude
from symprop.rewrite.double_exponentials import bounded, decays_with
from symprop.rewrite.matching import Bindings, Rule
from symprop.rewrite.positive import is_positive

__all__ = [
    "EXPONENTIALS",
    "difference_of",
    "exponents_of",
    "finite",
    "has_weights",
    "is_already_shifted",
    "is_shifted_sum",
]
__all__ += ["shifted_array", "shifted_scalars"]

LONGEST = 8  # terms of two exponents
_EXP = ("exp", "x")
_ONE_PLUS_EXP = ("add", 1, _EXP)


# -- logarithms of sums of exponentials -------------------------------------------------------------


def is_already_shifted(z: Node) -> bool:
    """True for `z - maximum`: then exp(z) does not overflow."""
    todo = [(z, 0)]
    while todo:
        node, depth = todo.pop()
        if node.op in ("reduce_max", "maximum"):
            return True
        if depth < 6 and node.op in ("add", "mul", "broadcast", "reshape", "select"):
            todo.extend((a, depth + 1) for a in node.args[:8])
    return False


def finite(context: Context, top: Node) -> Node:
    """The maximum where it is finite, else 0: the difference of two infinities would be NaN."""
    t = context.table
    infinite = t.constant("oo")
    return t.make("select", (t.make("less", (t.make("abs", (top,)), infinite)), top, context.constant(0)))


def shifted_array(z: Node, sum_node: Node, context: Context) -> tuple[Node, Node]:
    """m = max(z) over the axes of the sum, and exp(z - m); of z = c*v, c a scalar, exp(c*(v - m/c)), of which
    the largest is one whatever the rounding of the product."""
    t = context.table
    scale, v = _scaled_array(z, context)

    def largest(values: Node) -> Node:
        return t.make("reduce_max", (values,), sum_node.attrs)

    if scale is None or scale.op == "constant" or is_positive(scale, context):
        top = largest(v)
    else:
        lowest = context.times(-1, (largest(context.times(-1, (v,))),))
        top = t.select(t.make("less", (context.constant(0), scale)), largest(v), lowest, lowest.shape)
    shift = finite(context, top)
    against = shift if not shift.shape else t.broadcast(shift, z.shape)
    less = t.make("add", (v, context.times(-1, (against,))))
    powers = t.make("exp", (less if scale is None else t.mul(scale, less),))
    context.memo["shifted over", powers.serial] = sum_node.attrs[0]
    return (top if scale is None else t.mul(scale, top)), powers


def _scaled_array(z: Node, context: Context) -> tuple[Node | None, Node]:
    """z = c*v as c and v, c a number or scalars; a negative number leaves its sign with v."""
    number, factors = context.split(z)
    scalars = [f for f in factors if not f.shape]
    rest = [f for f in factors if f.shape]
    if not rest or (number in (1, -1) and not scalars):
        return None, z
    sign = -1 if number < 0 else 1
    return context.times(sign * number, scalars) if scalars else context.constant(
        sign * number
    ), context.times(sign, rest)


def _keeps_axes(bound: Bindings, context: Context) -> bool:
    total = bound["s"]
    z = total.args[0].args[0] if total.op == "sum" and total.args[0].op == "exp" else None
    return z is not None and (total.shape == () or bool(total.attrs[1])) and not is_already_shifted(z)


def _log_sum(bound: Bindings, context: Context) -> Node:
    t, total = context.table, bound["s"]
    z = total.args[0].args[0]
    top, powers = shifted_array(z, total, context)
    return t.make("add", (top, _log_of_shifted(powers, total, context)))


def _log_of_shifted(powers: Node, total: Node, context: Context) -> Node:
    """log(sum(powers)), the largest of them 1."""
    return context.table.make("log1p", (excess(powers, total, context),))


def excess(powers: Node, total: Node, context: Context) -> Node:
    """sum(powers) - 1, the largest of them 1: it is left out of the sum, so that a small rest keeps its
    digits."""
    t = context.table
    zero, one = context.constant(0), context.constant(1)
    is_less = t.make("less", (powers, one))
    rest = t.make("sum", (t.make("select", (is_less, powers, zero)),), total.attrs)
    ties = t.make("sum", (t.make("select", (is_less, zero, one)),), total.attrs)
    return t.make("add", (rest, t.make("add", (context.constant(-1), ties))))


def is_shifted_sum(total: Node, context: Context) -> bool:
    """True for the sum of exp(z - m), m the maximum of z over the axes of the sum."""
    if total.op != "sum" or total.args[0].op != "exp":
        return False
    if context.memo.get(("shifted over", total.args[0].serial)) == total.attrs[0]:
        return True
    less = total.args[0].args[0]
    scale, factors = context.split(less)
    if scale > 0 and len(factors) == 1:
        (less,) = factors
    if less.op != "add" or len(less.args) != 2:
        return False
    for z, shift in (less.args, less.args[::-1]):
        number, factors = context.split(shift.args[0] if shift.op == "broadcast" else shift)
        top = factors[0].args[0] if factors[0].op == "broadcast" else factors[0]
        top = top.args[1] if top.op == "select" else top  # the maximum where it is finite
        if number == -1 and len(factors) == 1 and top.op == "reduce_max":
            return top.args[0] is z and top.attrs[0] == total.attrs[0]
    return False


def _is_shifted_by_maximum(total: Node, context: Context) -> bool:
    """True for exp(a - m) + exp(b - m) + ... of scalars, m = max(a, b, ...) as the user writes it."""
    if total.op != "add" or total.shape or any(a.op != "exp" for a in total.args):
        return False
    exponents = [a.args[0] for a in total.args]
    tops = [f[0] for a in exponents[0].args if (c := context.split(a))[0] == -1 and len(f := c[1]) == 1]
    for top in tops if exponents[0].op == "add" else ():
        if top.op != "maximum":
            continue
        values: set[int] = set()
        todo = [top]
        while todo and len(values) <= len(exponents):
            node = todo.pop()
            if node.op == "maximum":
                todo.extend(node.args)
            else:
                values.add(node.serial)
        shift = context.negate(top)
        left = [[a for a in e.args if a is not shift] for e in exponents if e.op == "add" and shift in e.args]
        found = {(v[0] if len(v) == 1 else context.table.add(*v)).serial for v in left if v}
        if len(left) == len(exponents) and found == values:
            return True
    return False


def _is_softmax(bound: Bindings, context: Context) -> bool:
    total = bound["s"]
    return _keeps_axes(bound, context) and total.args[0].args[0] is bound["z"]


def _softmax(bound: Bindings, context: Context) -> Node:
    t, total = context.table, bound["s"]
    _, powers = shifted_array(bound["z"], total, context)
    inverse = t.pow(t.make("sum", (powers,), total.attrs), -1)
    return t.make("mul", (powers, inverse if not inverse.shape else t.broadcast(inverse, powers.shape)))


@dataclass(frozen=True)
class _Power:
    """A term factor*exp(exponent) of a sum, which is scale*factor*exp(raw)."""

    exponent: Node
    raw: Node
    scale: Number = 1
    factor: Node | None = None


def _powers(total: Node, context: Context) -> list[_Power] | None:
    """The terms of c*exp(a) + d*exp(b) + ..., c, d numbers or other values; a number is c*exp(0)."""
    key = ("powers", total.serial)
    if key not in context.memo:
        context.memo[key] = _found_powers(total, context)
    found: list[_Power] | None = context.memo[key]
    return found


def exponents_of(total: Node, context: Context) -> bool:
    """True for a sum of exponentials, of scalars or over the entries of an array."""
    if total.op == "sum":
        return total.args[0].op == "exp"
    return _powers(total, context) is not None


def _found_powers(total: Node, context: Context) -> list[_Power] | None:
    if total.op != "add" or total.shape:
        return None
    found = []
    for term in total.args:
        number, factors = context.split(term)
        value = context.number(term)
        exponents = [f.args[0] for f in factors if f.op == "exp"] if value is None else [context.constant(0)]
        rest = [f for f in factors if f.op != "exp"] if value is None else []
        scale = number if value is None else value
        if len(exponents) != 1:
            return None
        if rest or scale < 0:  # of any sign: left in front
            factor = context.times(scale, rest) if rest else context.constant(scale)
            found.append(_Power(exponents[0], exponents[0], 1, factor))
            continue
        shift = context.table.constant(sp.log(sp.Rational(Fraction(scale))))
        raised = exponents[0] if scale == 1 else context.table.add(exponents[0], shift)
        found.append(_Power(raised, exponents[0], scale))
    scales = {p.scale for p in found}
    if len(scales) == 1 and scales != {1} and all(p.factor is None for p in found):
        c = context.constant(found[0].scale)  # in front of all: no exponent is rounded once more
        found = [_Power(p.raw, p.raw, 1, c) for p in found]
    real = sum(p.raw.op != "constant" for p in found)
    weighted = any(p.scale != 1 or p.factor is not None for p in found)
    if real < (1 if weighted else 2) or len(found) < 2 or any(is_already_shifted(p.raw) for p in found):
        return None
    return found


def has_weights(total: Node, context: Context) -> bool:
    """True for a sum of exponentials, with factors of several values: of one it is a polynomial."""
    key = ("has weights", total.serial)
    if key not in context.memo:  # asked for each of its terms
        context.memo[key] = _have_weights(total, context)
    return bool(context.memo[key])


def _have_weights(total: Node, context: Context) -> bool:
    found = _powers(total, context)
    if found is None:
        return False
    return len({context.split(p.raw)[1] for p in found if p.raw.op != "constant"}) > 1


def shifted_scalars(total: Node, context: Context) -> tuple[Node, dict[int, Node], Node]:
    """The maximum m of the exponents, exp(a - m) for each of them, and the sum of all terms by exp(-m)."""
    key = ("shifted", total.serial)
    if key not in context.memo:
        t = context.table
        found = _powers(total, context) or []
        scale, values = _common_scale([p.exponent for p in found], context)
        top = finite(context, _largest(values, context))
        less = context.times(-1, (top,))
        raised = [t.mul(context.constant(scale), t.add(v, less)) for v in values]
        powers = {p.exponent.serial: t.make("exp", (r,)) for p, r in zip(found, raised, strict=True)}
        top = t.mul(context.constant(scale), top)
        terms = []
        for p in found:
            power = powers[p.exponent.serial]
            terms.append(power if p.factor is None else t.mul(p.factor, power))
            if p.scale != 1:
                powers[p.raw.serial] = t.mul(context.constant(1 / Fraction(p.scale)), power)
        shifted = t.add(*terms)
        context.memo[key] = top, powers, shifted
        if all(p.factor is None for p in found):
            context.memo["is shifted", shifted.serial] = True
    made: tuple[Node, dict[int, Node], Node] = context.memo[key]
    return made


def _common_scale(values: list[Node], context: Context) -> tuple[Number, list[Node]]:
    """c and the values over c, where all are a number of that size times something: the largest power of
    c*(v - max(v, ...)) is one whatever the rounding of the products."""
    parts = [context.split(v) for v in values]
    scale = magnitude(parts[0][0])
    if scale == 1 or any(
        magnitude(c) != scale or v.op == "constant" for (c, _), v in zip(parts, values, strict=True)
    ):
        return 1, values
    return scale, [context.times(1 if c > 0 else -1, factors) for c, factors in parts]


def _largest(values: list[Node], context: Context) -> Node:
    top = values[0]
    for e in values[1:]:
        top = context.table.make("maximum", (top, e))
    return top


def _log_of_scalars(bound: Bindings, context: Context) -> Node:
    """The largest term is exactly 1: it is left out of the sum, so that a small rest keeps its digits. (Not
    where the exponentials have factors of any sign.)"""
    t = context.table
    _, powers, shifted = shifted_scalars(bound["s"], context)
    found = _powers(bound["s"], context) or []
    scale, values = _common_scale([p.exponent for p in found], context)
    top = t.mul(context.constant(scale), _largest(values, context))
    plain = [p for p in found if p.factor is None and p.scale == 1]
    if len(found) == 2 and len(plain) == 1:
        (other,) = (p for p in found if p is not plain[0])
        if other.factor is not None:
            return _log_beside_plain(plain[0].raw, other.raw, other.factor, context)
    common = found[0].factor if len({p.factor for p in found}) == 1 else None
    number = None if common is None else context.number(common)
    if number is not None and number > 0:  # 2*exp(a) + 2*exp(b): the number is a term of its own
        outside = t.constant(sp.log(sp.Rational(number.numerator, number.denominator)))
        return t.add(outside, top, _log_of_ones([powers[p.exponent.serial] for p in found], context))
    if any(p.factor is not None for p in found):
        return t.add(finite(context, top), t.make("log", (shifted,)))
    return t.add(top, _log_of_ones([powers[p.exponent.serial] for p in found], context))


def _log_beside_plain(a: Node, b: Node, factor: Node, context: Context) -> Node:
    """log(exp(a) + factor*exp(b)): a + log1p(factor*exp(b - a)), of which a small rest keeps its digits, and
    b + log(factor + exp(a - b)) for b above a."""
    t, zero, one = context.table, context.constant(0), context.constant(1)
    ahead = b if context.is_number(a, 0) else difference_of(b, a, context)
    above = t.make("less", (zero, ahead))
    gap = t.make("exp", (context.times(-1, (t.make("abs", (ahead,)),)),))
    rest = t.make("log1p", (t.select(above, zero, t.mul(factor, gap)),))
    large = t.make("log", (t.select(above, t.add(factor, gap), one),))
    return t.add(t.select(above, b, a), rest, large)


def _log_of_ones(powers: list[Node], context: Context) -> Node:
    """log(sum(powers)), the largest of them 1: in pairs the larger one, and the sum of all others."""
    t = context.table
    parts: list[tuple[Node, list[Node]]] = [(p, []) for p in powers]
    while len(parts) > 1:
        joined = [
            (t.make("maximum", (a, b)), [*rest, *more, t.make("minimum", (a, b))])
            for (a, rest), (b, more) in zip(parts[::2], parts[1::2], strict=False)
        ]
        parts = joined + ([parts[-1]] if len(parts) % 2 else [])
    return t.make("log1p", (t.add(*parts[0][1]),))


def _weight_of_scalars(bound: Bindings, context: Context) -> Node:
    _, powers, total = shifted_scalars(bound["s"], context)
    return context.table.make("mul", (powers[bound["x"].serial], context.table.pow(total, -1)))


def _power_of_sum(bound: Bindings, context: Context) -> Node:
    """The coefficients stay in front: the rounding of a logarithm of them would be lost."""
    t, found = context.table, _powers(bound["s"], context) or []
    top = finite(context, _largest([p.raw for p in found], context))
    terms = []
    for p in found:
        power = t.make("exp", (t.add(p.raw, context.negate(top)),))
        front = [context.constant(p.scale), *([] if p.factor is None else [p.factor])]
        terms.append(t.mul(*front, power))
    large = t.make("exp", (t.mul(bound["n"], top),))
    return t.mul(large, t.make("pow", (t.add(*terms), bound["n"])))


def _has_exponent(bound: Bindings, context: Context) -> bool:
    if not has_weights(bound["s"], context):
        return False
    return bound["x"].serial in shifted_scalars(bound["s"], context)[1]


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


def _is_data(bound: Bindings, context: Context) -> bool:
    """True for an entry of an input: a target, which may be 1. (A sigmoid(-|x|) is what the rule makes.)"""
    if any(f.op == "abs" for f in context.split(bound["x"])[1]):
        return False
    target = bound["t"]
    while target.op in ("index", "take", "slice", "reshape", "transpose"):
        target = target.args[0]
    return target.op == "symbol" and target.kind == "real"


def _less_target(bound: Bindings, context: Context) -> Node:
    """(1 - t) - sigmoid(-x) for positive x: exact for t = 1, where the difference is -exp(-x)."""
    t, x, target = context.table, bound["x"], bound["t"]
    small = t.make("sigmoid", (context.times(-1, (t.make("abs", (x,)),)),))
    above = t.add(t.make("add", (context.constant(1), context.times(-1, (target,)))), context.negate(small))
    below = t.add(small, context.times(-1, (target,)))
    return t.make("select", (t.make("less", (context.constant(0), x)), above, below))


def _is_mean(bound: Bindings, context: Context) -> bool:
    c, d = (context.number(bound[k]) for k in "cd")
    return c is not None and d is not None and c > 0 and d > 0 and c + d == 1


def _log_of_mean(bound: Bindings, context: Context) -> Node:
    """log1p(d*expm1(x)) up to 1, x + log1p(c*expm1(-x)) beyond: one exponential and one logarithm."""
    t, x, one = context.table, bound["x"], context.constant(1)
    near = t.make("less", (x, one))
    weight = t.make("select", (near, bound["d"], bound["c"]))
    power = t.make("expm1", (t.select(near, x, context.negate(x)),))
    rest = t.make("log1p", (t.mul(weight, power),))
    return t.add(t.select(near, context.constant(0), x), rest)


def _apart(bound: Bindings, context: Context) -> Node | None:
    """a - b, where that is one term (or a number)."""
    left = _terms_apart(bound["a"], bound["b"], context)
    return left[0] if left is not None and len(left) == 1 else None


def difference_of(a: Node, b: Node, context: Context) -> Node:
    """a - b, without the terms that both have."""
    t, left = context.table, _terms_apart(a, b, context)
    if left is None:
        return t.add(a, context.negate(b))
    return t.add(*left) if left else context.constant(0)


def have_common_terms(a: Node, b: Node, context: Context) -> bool:
    """True where some terms of a and b are the same, so that a - b has fewer."""
    left = _terms_apart(a, b, context)
    return left is not None and len(left) < sum(len(v.args) if v.op == "add" else 1 for v in (a, b))


def _terms_apart(a: Node, b: Node, context: Context) -> list[Node] | None:
    """The terms of a - b, None where none are the same or there are many."""
    totals: dict[tuple[int, ...], tuple[Number, tuple[Node, ...]]] = {}
    todo: list[tuple[Number, Node]] = [(1, a), (-1, b)]
    while todo and len(totals) <= LONGEST:
        sign, term = todo.pop()
        value = context.number(term)
        number, factors = context.split(term) if value is None else (value, ())
        if len(factors) == 1 and factors[0].op == "add":
            todo.extend((sign * number, a) for a in factors[0].args)
            continue
        key = tuple([f.serial for f in factors])
        totals[key] = totals.get(key, (0, factors))[0] + sign * number, factors
    left = [(c, f) for c, f in totals.values() if c]
    if todo or len(totals) < 2:
        return None
    return [context.times(c, f) if f else context.constant(c) for c, f in left]


def _of_larger(bound: Bindings, context: Context) -> Node:
    """exp(a)*(1 - exp(b - a)), a the larger exponent, with its sign."""
    t, difference = context.table, _apart(bound, context)
    assert difference is not None
    for u, low, front in ((difference, "b", 1), (context.negate(difference), "a", -1)):
        if u in decays_with(bound[low], context):  # the factor is 0 where the other one overflows
            power = t.make("exp", (bound[low],))
            return t.mul(context.constant(front), power, t.make("expm1", (bounded(u, context),)))
    first = t.make("less", (context.constant(0), difference))
    sign = t.select(first, context.constant(-1), context.constant(1))
    size = context.times(-1, (t.make("abs", (difference,)),))
    return t.mul(sign, t.make("exp", (t.select(first, bound["a"], bound["b"]),)), t.make("expm1", (size,)))


EXPONENTIALS: tuple[Rule, ...] = (
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
        "log of a sum of exponentials",
        ("log", "s"),
        _log_sum,
        "exp overflows, or all of them are 0, or one stands beside 1",
        _keeps_axes,
        "m + log1p(sum(exp(z - m)) - 1), s = sum(exp(z)), m = max(z)",
    ),
    Rule(
        "log of shifted exponentials",
        ("log", "s"),
        lambda b, c: _log_of_shifted(b["s"].args[0], b["s"], c),
        "a small rest of the sum stands beside the 1 of the largest term",
        lambda b, c: is_shifted_sum(b["s"], c),
        "log1p(sum(exp(z - m)) - 1), s = sum(exp(z - m)), m = max(z)",
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
        "log of a mean with an exponential",
        ("log", ("add", "c", ("mul", "d", ("exp", "x")))),
        _log_of_mean,
        "the sum rounds to 1 where x is small",
        _is_mean,
        "log1p(d*expm1(x)) below 1, x + log1p(c*expm1(-x)) above, c + d = 1, positive numbers",
    ),
    Rule(
        "log of exponentials",
        ("log", "s"),
        _log_of_scalars,
        "exp overflows, or all of them are 0, or one stands beside 1",
        lambda b, c: _powers(b["s"], c) is not None,
        "m + log1p(exp(a - m) + ... - 1), s = exp(a) + ..., m = max(a, ...); c*exp(a) as exp(a + log(c))",
    ),
    Rule(
        "log of shifted scalars",
        ("log", "s"),
        lambda b, c: _log_of_ones(list(b["s"].args), c),
        "a small rest of the sum stands beside the 1 of the largest term",
        lambda b, c: ("is shifted", b["s"].serial) in c.memo or _is_shifted_by_maximum(b["s"], c),
        "log1p(exp(a - m) + exp(b - m) + ... - 1), s = exp(a - m) + exp(b - m) + ..., m = max(a, b, ...)",
    ),
    Rule(
        "weight among exponentials",
        ("mul", _EXP, ("pow", "s", -1), "..."),
        _weight_of_scalars,
        "infinity over infinity for x above 710",
        _has_exponent,
        "exp(x - m)/(exp(a - m) + ...), s = exp(a) + exp(b) + ..., x one of a, b, ..., m = max(a, b, ...)",
    ),
    Rule(
        "sigmoid less its target",
        ("add", ("sigmoid", "x"), ("neg", "t")),
        _less_target,
        "for t = 1 no digit is left above 37, where the value is -exp(-x)",
        _is_data,
        "(1 - t) - sigmoid(-x) for x > 0, sigmoid(x) - t else, t an input",
    ),
    Rule(
        "target less its sigmoid",
        ("add", "t", ("neg", ("sigmoid", "x"))),
        lambda b, c: c.times(-1, (_less_target(b, c),)),
        "for t = 1 no digit is left above 37, where the value is exp(-x)",
        _is_data,
        "sigmoid(-x) - (1 - t) for x > 0, t - sigmoid(x) else, t an input",
    ),
    Rule(
        "difference of exponentials",
        ("add", ("exp", "a"), ("neg", ("exp", "b")), "..."),
        _of_larger,
        "both agree where a - b is small",
        lambda b, c: _apart(b, c) is not None,
        "exp(max(a, b))*(1 - exp(-abs(a - b))) with the sign of a - b, where a - b is one term; "
        "exp(b)*expm1(min(a - b, 40)) for b = y - c*exp(a - b), c a positive number",
    ),
    Rule(
        "power of a sum of exponentials",
        ("pow", "s", "n"),
        _power_of_sum,
        "exp overflows at 710 where a root of the sum does not",
        lambda b, c: not isinstance(c.number(b["n"]), int) and has_weights(b["s"], c),
        "exp(n*m)*(exp(a - m) + exp(b - m) + ...)**n, s = exp(a) + exp(b) + ..., m = max(a, b, ...), "
        "n no whole number",
        frozenset({"add"}),
    ),
    Rule(
        "power of an exponential",
        ("pow", ("exp", "x"), "n"),
        lambda b, c: c.table.make("exp", (c.table.mul(b["n"], b["x"]),)),
        "exp(x) overflows at 710 where its root does not",
        lambda b, c: not isinstance(c.number(b["n"]), int),
        "exp(n*x), n no whole number",
    ),
    Rule("log1p", ("log", ("add", 1, "*x")), ("log1p", "x"), "x is lost beside 1 below 1e-16"),
    Rule(
        "-expm1 of a power",
        ("add", 1, ("neg", ("pow", "b", "x")), "..."),
        _minus_expm1,
        "b**x rounds to 1 where x is small, or b close to 1",
        _is_positive,
        "-expm1(log(b)*x), b a positive number",
    ),
)
