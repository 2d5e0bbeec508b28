"""Logarithms of powers, products and hyperbolic functions, and the error function in its tails."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number
from symprop.rewrite.matching import Bindings, Rule
from symprop.rewrite.positive import is_positive
from symprop.rewrite.reading import Factors
from symprop.rewrite.rules.exponentials import exponents_of

__all__ = ["LOGARITHMS", "exponential_over_its_gap", "half_root", "sigmoid_over_softplus"]

HALF = Fraction(1, 2)
LOG_2 = Fraction(45, 64)  # about log(2): where the two forms of log(1 - exp(x)) meet


def _rational_power(bound: Bindings, context: Context) -> bool:
    return context.number(bound["n"]) is not None


def _log_of_power(bound: Bindings, context: Context) -> Node:
    """An even power hides the sign of x."""
    t, n, x = context.table, context.number(bound["n"]), bound["x"]
    assert n is not None
    size = t.make("abs", (x,)) if n % 2 == 0 and not is_positive(x, context) else x
    return context.times(n, (t.make("log", (size,)),))


def _log_of_product(bound: Bindings, context: Context) -> Node:
    t = context.table
    return t.add(bound["x"], t.make("log", (bound["r"],)))


def _of_exponentials(bound: Bindings, context: Context) -> bool:
    number = context.number(bound["c"])
    total = bound["s"]
    if total.op == "pow":
        total = total.args[0]
    return number is not None and number > 0 and exponents_of(total, context)


def _log_of_multiple(bound: Bindings, context: Context) -> Node:
    t, number = context.table, context.number(bound["c"])
    assert number is not None
    constant = t.constant(sp.log(sp.Rational(number.numerator, number.denominator)))
    return t.add(constant, t.make("log", (bound["s"],)))


def _tail_of_cosh(x: Node, context: Context) -> Node:
    """log1p(exp(-2|x|))"""
    t = context.table
    power = t.make("exp", (context.times(-2, (t.make("abs", (x,)),)),))
    return t.make("log1p", (power,))


def _log_cosh(bound: Bindings, context: Context) -> Node:
    """log1p(sinh(x)**2)/2 near zero, where the value is x**2/2; |x| - log(2) + log1p(exp(-2|x|)) beyond 1."""
    t, x = context.table, bound["x"]
    size = t.make("abs", (x,))
    near = t.make("less", (size, context.constant(1)))
    inside = t.make("select", (near, x, context.constant(0)))
    square = t.make("pow", (t.make("sinh", (inside,)), context.constant(2)))
    small = context.times(Fraction(1, 2), (t.make("log1p", (square,)),))
    tail = t.add(t.constant(-sp.log(2)), _tail_of_cosh(x, context))
    return t.make("select", (near, small, t.make("add", (size, tail))))


def _log_slope(bound: Bindings, context: Context) -> Node:
    return context.times(-2, (_log_cosh(bound, context),))


def _log_of_gap(x: Node, context: Context) -> Node:
    """log(1 - exp(x)) for x < 0 (Maechler 2012)."""
    t = context.table
    far = t.make("log1p", (context.negate(t.make("exp", (x,))),))
    close = t.make("maximum", (x, context.constant(-LOG_2)))
    near = t.make("log", (context.negate(t.make("expm1", (close,))),))
    return t.make("select", (t.make("less", (x, context.constant(-LOG_2))), far, near))


def _log_of_expm1(bound: Bindings, context: Context) -> Node:
    t, x = context.table, bound["x"]
    far = t.add(x, t.make("log1p", (context.negate(t.make("exp", (context.negate(x),))),)))
    close = t.make("minimum", (x, context.constant(LOG_2)))
    near = t.make("log", (t.make("expm1", (close,)),))
    return t.make("select", (t.make("less", (context.constant(LOG_2), x)), far, near))


def _is_open(bound: Bindings, context: Context) -> bool:
    """False for the forms that the rules make themselves."""
    return bound["x"].op not in ("maximum", "minimum")


def half_root(x: Node, context: Context) -> tuple[Number, list[Node]] | None:
    """x as k/sqrt(2) times other factors, k rational."""
    if x.op != "mul":
        return None
    exact, factors, todo = sp.S.One, [], list(reversed(x.args))
    while todo:
        factor = todo.pop()
        if factor.op == "constant":
            exact *= factor.attrs[0]
        elif factor.op == "mul":
            todo.extend(reversed(factor.args))
        else:
            factors.append(factor)
    if exact.is_Rational or not exact.is_algebraic or not (exact * sp.sqrt(2)).is_Rational or not factors:
        return None
    ratio = exact * sp.sqrt(2)
    return (int(ratio.p) if ratio.q == 1 else Fraction(int(ratio.p), int(ratio.q))), factors


def _normal_tail(bound: Bindings, context: Context) -> Node:
    found = half_root(bound["x"], context)
    assert found is not None
    argument = context.times(-found[0], found[1])
    return context.times(2, (context.table.make("normal_cdf", (argument,)),))


def _log_of_softplus(bound: Bindings, context: Context) -> Node:
    """x below -40, where softplus(x) is exp(x) to all digits."""
    t, x, edge = context.table, bound["x"], context.constant(-40)
    near = t.make("log", (t.make("softplus", (t.make("maximum", (x, edge)),)),))
    return t.make("select", (t.make("less", (x, edge)), x, near))


def _log_of_tanh(bound: Bindings, context: Context) -> Node:
    """log1p(-2*sigmoid(-2*x)) above 1/2, where tanh(x) is close to 1."""
    t, x, edge = context.table, bound["x"], context.constant(Fraction(1, 2))
    rest = t.make("sigmoid", (t.mul(context.constant(-2), x),))
    near = t.make("log", (t.make("tanh", (t.make("minimum", (x, edge)),)),))
    far = t.make("log1p", (context.times(-2, (rest,)),))
    return t.make("select", (t.make("less", (edge, x)), far, near))


def _log_of_double_gap(bound: Bindings, context: Context) -> Node:
    """x below -40, where 1 - exp(-exp(x)) is exp(x) to all digits."""
    t, x, edge = context.table, bound["x"], context.constant(-40)
    power = t.make("exp", (t.make("maximum", (x, edge)),))
    near = _log_of_gap(context.negate(power), context)
    return t.make("select", (t.make("less", (x, edge)), x, near))


_FRACTIONS = frozenset({"sigmoid", "normal_cdf", "sigmoid_prime", "tanh_prime"})


def _is_fraction(node: Node, context: Context) -> bool:
    """True for functions between 0 and 1 whose logarithm has a form of its own."""
    if node.op == "pow":
        base, power = node.args[0], context.number(node.args[1])
        return power is not None and (base.op in _FRACTIONS if power > 0 else base.op == "cosh")
    return node.op in _FRACTIONS


def _is_gap(node: Node, context: Context) -> bool:
    """True for expm1(-c*abs(x)) and its sign, a choice of -1 and 1: together a fraction or less than 0."""
    if node.op == "select":
        return all(context.number(a) in (-1, 1) for a in node.args[1:])
    if node.op != "expm1":
        return False
    number, factors = context.split(node.args[0])
    return number < 0 and all(f.op == "abs" for f in factors)


def _parts(product: Node, context: Context) -> tuple[sp.Expr, list[Node], list[Node]] | None:
    """A product as a positive number, fractions, and what is up to 1 in size; None where it is none."""
    number: sp.Expr = sp.S.One
    fractions, gaps = [], []
    for f in product.args:
        if f.op == "constant":
            number *= sp.sympify(f.attrs[0])
        elif _is_fraction(f, context):
            fractions.append(f)
        elif _is_gap(f, context):
            gaps.append(f)
        else:
            return None
    if not fractions or not (gaps or number.is_positive) or (gaps and abs(float(number)) > 1):
        return None
    return number, fractions, gaps


def _log_of_fractions(bound: Bindings, context: Context) -> Node:
    t, found = context.table, _parts(bound["p"], context)
    assert found is not None
    number, fractions, gaps = found
    logs = [t.make("log", (f,)) for f in fractions]
    if gaps:
        return t.add(t.make("log", (t.mul(t.constant(number), *gaps),)), *logs)
    far = t.add(t.constant(sp.log(number)), *logs)
    if float(number) <= 1:
        return far
    product, half = bound["p"], context.constant(Fraction(1, 2))  # next to 1 its logarithm is small
    near = t.make("log", (t.make("maximum", (product, half)),))
    return t.make("select", (t.make("less", (product, half)), far, near))


def _log_of_twice_sigmoid(bound: Bindings, context: Context) -> Node:
    """log1p(tanh(x/2)) up to 1 in size, where the value is x/2, log(2) - softplus(-x) beyond."""
    t, x, one = context.table, bound["x"], context.constant(1)
    inside = t.make("minimum", (t.make("maximum", (x, context.constant(-1))), one))
    near = t.make("log1p", (t.make("tanh", (context.times(Fraction(1, 2), (inside,)),)),))
    far = t.add(t.constant(sp.log(2)), context.negate(t.make("softplus", (context.negate(x),))))
    return t.make("select", (t.make("less", (t.make("abs", (x,)), one)), near, far))


def _log_of_multiple_of_erfc(bound: Bindings, context: Context) -> Node:
    """log(c) + log(erfc(x)) where the product is small; log1p(-erfc(-x)/2) for c = 1/2 and negative x."""
    t, x, c = context.table, bound["x"], context.number(bound["c"])
    assert c is not None
    logarithm = t.constant(sp.log(sp.Rational(c.numerator, c.denominator)))
    far = t.add(logarithm, t.make("log", (t.make("erfc", (x,)),)))
    if c == HALF:
        near = t.make("log1p", (context.times(-c, (t.make("erfc", (context.negate(x),)),)),))
        return t.make("select", (t.make("less", (context.constant(0), x)), far, near))
    product, half = context.times(c, (t.make("erfc", (x,)),)), context.constant(HALF)
    near = t.make("log", (t.make("maximum", (product, half)),))
    return t.make("select", (t.make("less", (product, half)), far, near))


def _tail_of_sinh(size: Node, context: Context) -> Node:
    """log(sinh(size)) for a size above 1: size - log(2) + log1p(-exp(-2*size))"""
    t = context.table
    rest = t.make("log1p", (context.negate(t.make("exp", (context.times(-2, (size,)),))),))
    return t.add(size, t.constant(-sp.log(2)), rest)


def _log_sinh(bound: Bindings, context: Context) -> Node:
    t, x, one = context.table, bound["x"], context.constant(1)
    near = t.make("log", (t.make("sinh", (t.make("minimum", (x, one)),)),))
    return t.make("select", (t.make("less", (one, x)), _tail_of_sinh(x, context), near))


def _beside_sinh(bound: Bindings) -> tuple[Node, int, list[Node]] | None:
    """x, n and the other factors of a product with sinh(x)**n, n = 1 or -1."""
    for factor in bound["p"].args:
        base = factor.args[0] if factor.op == "pow" else factor
        if base.op == "sinh" and base.args[0].op not in ("maximum", "minimum"):
            power = 1 if factor is base else _whole(factor.args[1])
            rest = [a for a in bound["p"].args if a is not factor]
            return (base.args[0], power, rest) if power in (1, -1) and rest else None
    return None


def _whole(node: Node) -> int:
    """A constant that is a whole number, 0 for all else."""
    return int(node.attrs[0]) if node.op == "constant" and node.attrs[0] in (1, -1) else 0


def _log_of_product_with_sinh(bound: Bindings, context: Context) -> Node:
    """log(sinh(abs(x))) + log(r), r with the sign of x, beyond 1; less the former for a quotient."""
    t, found, one = context.table, _beside_sinh(bound), context.constant(1)
    assert found is not None
    x, power, rest = found
    size, r = t.make("abs", (x,)), t.mul(*rest)
    inside = t.make("minimum", (t.make("maximum", (x, context.constant(-1))), one))
    near = t.make("log", (t.mul(t.pow(t.make("sinh", (inside,)), power), r),))
    other = t.select(t.make("less", (x, context.constant(0))), context.negate(r), r)
    far = t.add(context.times(power, (_tail_of_sinh(size, context),)), t.make("log", (other,)))
    return t.make("select", (t.make("less", (one, size)), far, near))


def exponential_over_its_gap(f: Factors) -> bool:
    """exp(x)*expm1(exp(x))**-1 is 1 below -40 and 0 above 40: both are taken there. Over expm1(-exp(x)) it
    is -1 below -40."""
    low, high = f.context.constant(-40), f.context.constant(40)
    for divisor, e in f.of("expm1"):
        number, factors = f.context.split(divisor.args[0])
        power = factors[0]
        o = f.exponent(power)
        if number not in (1, -1) or len(factors) != 1 or power.op != "exp" or power.args[0].op == "maximum":
            continue
        if not isinstance(e, int) or not isinstance(o, int) or e >= 0 or o <= 0:
            continue
        x = power.args[0] if number < 0 else f.table.make("minimum", (power.args[0], high))
        count, close = min(-e, o), f.make("exp", f.table.make("maximum", (x, low)))
        f.change(power, -count)
        f.change(divisor, count)
        gap = f.make("expm1", f.context.times(number, (close,)))
        f.change(f.table.make("mul", (close, f.table.pow(gap, -1))), count)
        return True
    return False


def sigmoid_over_softplus(f: Factors) -> bool:
    """sigmoid(x)*softplus(x)**-1 is 1 below -40: both are taken there at -40."""
    edge = f.context.constant(-40)
    for divisor, e in f.of("softplus"):
        x = divisor.args[0]
        s = f.make("sigmoid", x)
        o = f.exponent(s)
        if x.op == "maximum" or not isinstance(e, int) or not isinstance(o, int) or e >= 0 or o <= 0:
            continue
        count, close = min(-e, o), f.table.make("maximum", (x, edge))
        f.change(s, -count)
        f.change(divisor, count)
        quotient = (f.make("sigmoid", close), f.table.pow(f.make("softplus", close), -1))
        f.change(f.table.make("mul", quotient), count)
        return True
    return False


LOGARITHMS: tuple[Rule, ...] = (
    Rule(
        "log of a power",
        ("log", ("pow", "x", "n")),
        _log_of_power,
        "the power overflows or underflows, and its rounding is lost for x close to 1",
        _rational_power,
        "n*log(x), n*log(abs(x)) for even n",
    ),
    Rule(
        "log of a product with exp",
        ("log", ("mul", ("exp", "x"), "*r")),
        _log_of_product,
        "exp(x) is 0 or infinite where its logarithm is x",
        lambda b, c: is_positive(b["r"], c),
        "x + log(r), r positive",
    ),
    Rule("log of exp", ("log", ("exp", "x")), "x", "exp(x) is 0 or infinite where its logarithm is x"),
    Rule(
        "log of a multiple of exponentials",
        ("log", ("mul", "c", "s")),
        _log_of_multiple,
        "the sum overflows where its logarithm does not",
        _of_exponentials,
        "log(c) + log(s), s a sum of exponentials, c a positive number",
    ),
    Rule(
        "log of cosh",
        ("log", ("cosh", "x")),
        _log_cosh,
        "cosh overflows at 710, and rounds to 1 where x is small",
        None,
        "log1p(sinh(x)**2)/2 below 1, abs(x) - log(2) + log1p(exp(-2*abs(x))) beyond",
    ),
    Rule(
        "log of a multiple of cosh",
        ("log", ("mul", "c", ("cosh", "x"))),
        lambda b, c: _log_of_multiple({"c": b["c"], "s": c.table.make("cosh", (b["x"],))}, c),
        "cosh overflows where its logarithm does not",
        lambda b, c: (c.number(b["c"]) or 0) > 0,
        "log(c) + log(cosh(x)), c a positive number",
    ),
    Rule(
        "log of the slope of tanh",
        ("log", ("tanh_prime", "x")),
        _log_slope,
        "the slope is 0 from 372 on",
        None,
        "-2*log(cosh(x))",
    ),
    Rule(
        "log of the slope of sigmoid",
        ("log", ("sigmoid_prime", "x")),
        ("add", ("neg", ("softplus", "x")), ("neg", ("softplus", ("neg", "x")))),
        "the slope is 0 from 745 on",
    ),
    Rule(
        "log of softplus",
        ("log", ("softplus", "x")),
        _log_of_softplus,
        "softplus(x) is 0 below -745, where its logarithm is x",
        _is_open,
        "x below -40, log(softplus(x)) above",
    ),
    Rule(
        "log of tanh",
        ("log", ("tanh", "x")),
        _log_of_tanh,
        "tanh(x) rounds to 1 where its logarithm is -2*exp(-2*x)",
        _is_open,
        "log1p(-2*sigmoid(-2*x)) above 1/2, log(tanh(x)) below",
    ),
    Rule(
        "log of twice sigmoid",
        ("log", ("mul", 2, ("sigmoid", "x"))),
        _log_of_twice_sigmoid,
        "sigmoid(x) is 0 below -745, and twice sigmoid(x) rounds to 1 where x is small",
        None,
        "log1p(tanh(x/2)) for abs(x) < 1, log(2) - softplus(-x) beyond",
    ),
    Rule(
        "log of a multiple of erfc",
        ("log", ("mul", "c", ("erfc", "x"))),
        _log_of_multiple_of_erfc,
        "erfc(x) is 0 from 27 on",
        lambda b, c: (c.number(b["c"]) or 0) > 0,
        "log(c) + log(erfc(x)) where c*erfc(x) < 1/2, log(c*erfc(x)) else; for c = 1/2 log1p(-erfc(-x)/2) "
        "where x < 0, c a positive number",
    ),
    Rule(
        "log of sinh",
        ("log", ("sinh", "x")),
        _log_sinh,
        "sinh overflows at 710",
        _is_open,
        "x - log(2) + log1p(-exp(-2*x)) above 1, log(sinh(x)) below",
    ),
    Rule(
        "log of a product with sinh",
        ("log", "p"),
        _log_of_product_with_sinh,
        "sinh overflows at 710",
        lambda b, c: b["p"].op == "mul" and _beside_sinh(b) is not None,
        "log(sinh(abs(x))) + log(r*sign(x)) for abs(x) > 1, p below, p = sinh(x)*r; -log(sinh(abs(x))) for "
        "p = r*sinh(x)**-1",
        frozenset({"mul"}),
    ),
    Rule(
        "log of fractions",
        ("log", "p"),
        _log_of_fractions,
        "the product is 0 where the sum of logarithms is a number",
        lambda b, c: b["p"].op == "mul" and _parts(b["p"], c) is not None,
        "log(c) + log(f) + ..., for c above 1 where p < 1/2, p = c*f*..., c a positive number, "
        "f of cosh(x)**-1, sigmoid(x), normal_cdf(x), expm1(-abs(x))",
        frozenset({"mul"}),
    ),
    Rule(
        "log of 1 - exp(-exp)",
        ("log", ("neg", ("expm1", ("neg", ("exp", "x"))))),
        _log_of_double_gap,
        "exp(x) is 0 below -745, where the logarithm is x",
        _is_open,
        "x below -40, log(-expm1(-exp(x))) above",
    ),
    Rule(
        "log of 1 - exp",
        ("log", ("neg", ("expm1", "x"))),
        lambda b, c: _log_of_gap(b["x"], c),
        "1 - exp(x) rounds to 1 where its logarithm is -exp(x)",
        _is_open,
        "log1p(-exp(x)) below -log(2), log(-expm1(x)) above",
    ),
    Rule(
        "log of exp - 1",
        ("log", ("expm1", "x")),
        _log_of_expm1,
        "exp(x) overflows where its logarithm is x",
        _is_open,
        "x + log1p(-exp(-x)) above log(2), log(expm1(x)) below",
    ),
    Rule(
        "normal distribution",
        ("erfc", "x"),
        _normal_tail,
        "the rounding of z/sqrt(2) is worth z**2 units in the last place in the tail",
        lambda b, c: half_root(b["x"], c) is not None,
        "2*normal_cdf(-k*z), x = k*z/sqrt(2), k a number",
    ),
)
