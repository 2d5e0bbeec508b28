"""The normal distribution in its tail: the logarithm of its distribution function, and the slope of that.

Both come from the Mills ratio M(t) = (1 - Phi(t))/phi(t), which neither overflows nor underflows.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import sympy as sp

from symprop.graph import Node
from symprop.rewrite.context import Context, Number
from symprop.rewrite.matching import Bindings, Rule

__all__ = ["NORMAL", "gap_of_slope", "gap_of_tail", "is_density_exponent", "mills", "over_distribution"]

# (t + 5)*M(t) as a polynomial in (t - 5)/(t + 5): tests/tools/fit_mills.py
MILLS = (
    1.9280810471531578,
    -1.66786659518896,
    1.241547061573866,
    -0.78591107554656,
    0.4136447157327113,
    -0.17325473408668732,
    0.05212550241166988,
    -0.007503282827407234,
    -0.0019999619679694604,
    0.0013658592158979229,
    -0.0001488331004911253,
    -0.00012473593712934968,
    4.181479861188796e-05,
    9.975712004616122e-06,
    -6.945664698121245e-06,
    -8.381836513817788e-07,
    1.094952540250565e-06,
    9.999577699846146e-08,
    -1.7823254128423157e-07,
    -2.0964009028553406e-08,
    2.99295173083512e-08,
    5.7824387380405335e-09,
    -4.9667827775248685e-09,
    -1.5643253409961565e-09,
    7.551340221957564e-10,
    3.579453589210031e-10,
    -9.333481822774634e-11,
    -5.920359205869917e-11,
    7.605602694648605e-12,
    5.118959600926155e-12,
    -2.455885392861089e-13,
)
# (t + 5)*(1/M(t) - t) likewise
GAP = (
    1.8650396712584212,
    -1.4046037904528013,
    0.7386350010143258,
    -0.18497224415263633,
    -0.08631347401726759,
    0.11308979127932567,
    -0.04060626224258437,
    -0.014677291774122076,
    0.02223241276166683,
    -0.006933593498920923,
    -0.004041613078770986,
    0.004398069410617342,
    -0.0007879979838928943,
    -0.001081393654856079,
    0.0007601053547924529,
    -3.546663722221109e-06,
    -0.00023645006369763205,
    0.00010847251780401985,
    2.2260970488761e-05,
    -4.3212635525176605e-05,
    1.3711682496038457e-05,
    6.929981928945167e-06,
    -7.68917429596336e-06,
    1.165041973149428e-06,
    1.954840357092723e-06,
    -9.840813408862143e-07,
    -2.227380328841915e-07,
    2.535909801972135e-07,
    -1.1394735160828065e-08,
    -2.6915867842890617e-08,
    4.8178927531483986e-09,
)
K = 5


def mills(t: Node, context: Context) -> Node:
    """M(t) for t >= 0, below 10 ULP."""
    return _fitted(MILLS, t, context)


def _fitted(coefficients: Sequence[float], t: Node, context: Context) -> Node:
    table, k = context.table, context.constant(K)
    below = table.make("add", (k, t))
    w = table.make("div", (table.make("add", (context.constant(-K), t)), below))
    total = context.constant(Fraction(coefficients[-1]))
    for c in reversed(coefficients[:-1]):
        total = table.make("add", (context.constant(Fraction(c)), table.make("mul", (w, total))))
    return table.make("div", (total, below))


def _logarithm(bound: Bindings, context: Context) -> Node:
    """-x**2/2 - log(sqrt(2 pi)) + log(M(-x)) below -1, log1p(-Phi(-x)) above."""
    t, x = context.table, bound["x"]
    edge = context.constant(-1)
    far = context.negate(t.make("minimum", (x, edge)))
    square = context.times(Fraction(-1, 2), (t.make("pow", (far, context.constant(2))),))
    tail = t.add(square, t.constant(-sp.log(2 * sp.pi) / 2), t.make("log", (mills(far, context),)))
    other = t.make("normal_cdf", (context.negate(x),))
    near = t.make("log1p", (context.times(-1, (other,)),))
    return t.make("select", (t.make("less", (x, edge)), tail, near))


def _is_open(bound: Bindings, context: Context) -> bool:
    """False for a value that the rules make themselves."""
    return bound["x"].op not in ("minimum", "maximum")


def _density_exponent(x: Node, context: Context) -> Node:
    """-x**2/2, as the derivative of the distribution function has it."""
    number, factors = context.split(x)
    base = factors[0] if len(factors) == 1 else context.table.make("mul", factors)
    square = context.table.make("pow", (base, context.constant(2)))
    return context.times(-Fraction(number) * number / 2, (square,))


def is_density_exponent(exponent: Node, x: Node, context: Context) -> bool:
    """True for -x**2/2, also as the square of x/sqrt(2)."""
    coefficient, factors = context.split(exponent)
    if len(factors) != 1 or factors[0].op != "pow" or not context.is_number(factors[0].args[1], 2):
        return False
    base = factors[0].args[0]
    parts = base.args if base.op == "mul" else (base,)
    constant = sp.Mul(*[a.attrs[0] for a in parts if a.op == "constant"])
    number, own = context.split(x)
    scale = sp.Rational(Fraction(number)) * sp.Mul(*[a.attrs[0] for a in own if a.op == "constant"])
    rest = tuple(a for a in parts if a.op != "constant")
    exact = sp.Rational(Fraction(coefficient)) * constant**2 + scale**2 / 2
    return rest == tuple(a for a in own if a.op != "constant") and exact == 0


def over_distribution(x: Node, context: Context) -> Node:
    """exp(-x**2/2)/Phi(x): sqrt(2 pi)/M(-x) for negative x."""
    t, zero = context.table, context.constant(0)
    far = context.negate(t.make("minimum", (x, zero)))
    tail = t.make("div", (t.constant(sp.sqrt(2 * sp.pi)), mills(far, context)))
    density = t.make("exp", (_density_exponent(x, context),))
    near = t.make("div", (density, t.make("normal_cdf", (t.make("maximum", (x, zero)),))))
    made = t.make("select", (t.make("less", (x, zero)), tail, near))
    context.memo["over distribution", made.serial] = x
    return made


def gap_of_slope(x: Node, context: Context) -> Node:
    """x + phi(x)/Phi(x): 1/M(-x) + x for negative x, where both agree."""
    t, zero = context.table, context.constant(0)
    far = context.negate(t.make("minimum", (x, zero)))
    above = t.make("div", (over_distribution(x, context), t.constant(sp.sqrt(2 * sp.pi))))
    return t.make("select", (t.make("less", (x, zero)), gap_of_tail(far, context), t.add(x, above)))


def gap_of_tail(t: Node, context: Context) -> Node:
    """1/M(t) - t for t >= 0."""
    return _fitted(GAP, t, context)


def _log_erfc(bound: Bindings, context: Context) -> Node:
    """log1p(-erf(x)) up to 0.7, -x**2 + log(sqrt(2/pi)*M(sqrt(2)*x)) beyond."""
    t, x = context.table, bound["x"]
    edge = context.constant(Fraction(7, 10))
    far = t.make("maximum", (x, edge))
    ratio = mills(t.mul(t.constant(sp.sqrt(2)), far), context)
    logarithm = t.make("log", (t.mul(t.constant(sp.sqrt(2 / sp.pi)), ratio),))
    tail = t.add(context.times(-1, (t.make("pow", (far, context.constant(2))),)), logarithm)
    near = t.make("log1p", (context.times(-1, (t.make("erf", (x,)),)),))
    return t.make("select", (t.make("less", (edge, x)), tail, near))


def _product(bound: Bindings, context: Context) -> tuple[Number, Node] | None:
    """c*normal_cdf(x) with numbers in nested products, as c and the function."""
    number: Number = 1
    node = bound["p"]
    while node.op == "mul":
        c, factors = context.split(node)
        if len(factors) != 1:
            return None
        number, node = number * c, factors[0]
    is_one = node.op == "normal_cdf" and number > 0 and node.args[0].op not in ("minimum", "maximum")
    return (number, node) if is_one else None


def _of_product(bound: Bindings, context: Context) -> Node:
    found = _product(bound, context)
    assert found is not None
    number, node = found
    t, x = context.table, node.args[0]
    value = _logarithm({"x": x}, context)
    constant = t.constant(sp.log(sp.Rational(Fraction(number))))
    total = value if number == 1 else t.add(constant, value)
    if number != 2:
        return total
    # log(1 + erf(x/sqrt(2))), which is zero at zero
    near = t.make("log1p", (t.make("erf", (t.mul(t.constant(1 / sp.sqrt(2)), x),)),))
    return t.select(t.make("less", (context.constant(-1), x)), near, total)


def _inverse_and_count(bound: Bindings, context: Context) -> tuple[Node, int] | None:
    """The inverse of erf or erfc and how often its square, up to four times, is the exponent."""
    number, factors = context.split(bound["p"])
    if len(factors) != 1 or factors[0].op != "pow" or not context.is_number(factors[0].args[1], 2):
        return None
    value = factors[0].args[0]
    found = value.op in ("erfinv", "erfcinv") and number in (1, 2, 3, 4)
    return (value, int(number)) if found else None


def _of_inverse(bound: Bindings, context: Context) -> Node:
    """With y beyond 1 exp(y**2) is exp(y**2)*erfc(y) over the erfc(y) that is known: 1 - |x|, x or 2 - x."""
    found = _inverse_and_count(bound, context)
    assert found is not None
    (y, count), t = found, context.table
    x, one, two = y.args[0], context.constant(1), context.constant(2)
    if y.op == "erfinv":
        rest = t.sub(one, t.make("abs", (x,)))
    else:
        rest = t.make("abs", (t.make("minimum", (x, t.sub(two, x))),))  # of -0 too
    size = t.make("abs", (y,))
    # infinite at the ends, where y is
    far = t.make("minimum", (t.make("maximum", (size, one)), context.constant(40)))
    top = t.mul(t.constant(sp.sqrt(2 / sp.pi)), mills(t.mul(t.constant(sp.sqrt(2)), far), context))
    tail = t.make("div", (top, rest))
    near = t.make("exp", (t.make("pow", (t.make("minimum", (size, one)), two)),))
    value = t.make("select", (t.make("less", (one, size)), tail, near))
    return value if count == 1 else t.make("pow", (value, context.constant(count)))


NORMAL: tuple[Rule, ...] = (
    Rule(
        "square of an inverse of erf",
        ("exp", "p"),
        _of_inverse,
        "the rounding of y is worth 2*y**2 units in the last place",
        lambda b, c: _inverse_and_count(b, c) is not None,
        "sqrt(2/pi)*M(sqrt(2)*y)/(1 - abs(x)) beyond 1, p = y**2, y = erfinv(x), M the Mills ratio; "
        "over abs(min(x, 2 - x)) for y = erfcinv(x)",
    ),
    Rule(
        "log of a multiple of the normal distribution",
        ("log", "p"),
        _of_product,
        "the distribution function is 0 below -38, and rounds to 1 above 8",
        lambda b, c: b["p"].op == "mul" and _product(b, c) is not None,
        "log(c) + log(normal_cdf(x)), p = c*normal_cdf(x), c a positive number",
        frozenset({"mul"}),
    ),
    Rule(
        "log of the normal distribution",
        ("log", ("normal_cdf", "x")),
        _logarithm,
        "the distribution function is 0 below -38, and rounds to 1 above 8",
        _is_open,
        "-x**2/2 - log(2*pi)/2 + log(M(-x)) below -1, M the Mills ratio, log1p(-normal_cdf(-x)) above",
    ),
    Rule(
        "log of erfc",
        ("log", ("erfc", "x")),
        _log_erfc,
        "erfc(x) is 0 from 27 on",
        None,
        "-x**2 + log(sqrt(2/pi)*M(sqrt(2)*x)) beyond 0.7, M the Mills ratio, log1p(-erf(x)) below",
    ),
)
