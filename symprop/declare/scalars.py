"""How scalar expressions of sympy become nodes: one rule per class, (parts to take in first or None,
build).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.codegen import cfunctions, numpy_nodes, scipy_nodes
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from symprop.declare import refusals
from symprop.declare.forms import Scalar, brief
from symprop.errors import UnsupportedExpressionError
from symprop.functions.linear import log_of_determinant
from symprop.functions.special import POLYGAMMA
from symprop.functions.symbols import describe
from symprop.graph import Node
from symprop.graph.nodes import constant_value

if TYPE_CHECKING:
    from symprop.declare.intake import Intake

__all__ = ["OF_MATRICES", "RULES", "number", "scalar_operand"]

_WRITTEN_OUT = 32  # factors of a binomial coefficient that are written as a product
_OF_NN = frozenset(("tanh",))  # functions of sympy that symprop.nn has under the same name
_ORDERS = 9  # Bessel functions of these orders are made of those of order 0 and 1

Parts = Callable[[Any], Sequence[Any]] | None
Build = Callable[..., Node]

# -- numbers ------------------------------------------------------------


def number(intake: Intake, expression: Any) -> Node:
    """An exact constant; NaN where the number is not real (`(-8)**(1/3)`), an error where it is written with
    `I`.
    """
    if expression.is_Number and expression is not sp.zoo:
        return intake.table.constant(expression)
    if expression is sp.zoo or expression.has(sp.I, sp.zoo):
        raise refusals.refusal(
            expression if expression is sp.zoo or expression is sp.I else _culprit(expression)
        )
    real = expression.is_extended_real
    if real is None:
        real = sp.N(expression, 30).is_extended_real
    return intake.table.constant(expression if real else sp.nan)


def _culprit(expression: Any) -> Any:
    return sp.I if expression.has(sp.I) else sp.zoo


def scalar_operand(intake: Intake, expression: Any, operand: Any, node: Node) -> Node:
    """The matrix operand of a scalar function as a scalar: the entry of a 1 x 1 matrix."""
    if node.shape == (1, 1):
        return intake.table.reshape(node, ())
    name = type(expression).__name__
    known = type(expression).__module__.startswith("sympy.")
    advice = f"M.applyfunc(sympy.{name})" if known else f"M.applyfunc({name})"
    if known and name in _OF_NN:
        advice = f"symprop.nn.{name}(M) or {advice}"
    raise UnsupportedExpressionError(
        f"{brief(expression)}: {name} is a function of scalars, found {describe(operand)}; entry by entry it "
        f"is {advice} (a matrix function such as the matrix exponential is not meant by it)"
    )


# -- arithmetic ------------------------------------------------------------


def _add(intake: Intake, expression: Any, *terms: Node) -> Node:
    return intake.entries.sum(terms)


def _mul(intake: Intake, expression: Any, *factors: Node) -> Node:
    return intake.table.mul(*factors)


def _pow(intake: Intake, expression: Any, base: Node, exponent: Node) -> Node:
    """base**exponent; `sqrt(x**2)` is |x|, whose derivative at 0 is 0 and not 0/0."""
    root = expression.exp
    if root.is_Rational and not root.is_Integer:
        sizes = _sizes(intake.table, expression.base, base, root)
        if sizes is not None:
            return sizes
    return intake.table.pow(base, exponent)


def _sizes(t: Any, written: Any, base: Node, root: Any) -> Node | None:
    """`(x**2 * y**4)**(1/2)` as `Abs(x) * y**2`: the roots of a product of even powers; None for others."""
    powers = written.args if written.is_Mul else (written,)
    nodes = base.args if written.is_Mul else (base,)
    if len(powers) != len(nodes) or not all(_is_even(p) for p in powers):
        return None
    if not all(n.op == "pow" and constant_value(n.args[1]) is not None for n in nodes):
        return None
    factors = []
    for node in nodes:
        total = constant_value(node.args[1]) * root
        even = total.is_Integer and total % 2 == 0
        factors.append(t.pow(node.args[0] if even else t.call("abs", node.args[0]), total))
    return t.mul(*factors)  # type: ignore[no-any-return]


def _is_even(written: Any) -> bool:
    return bool(written.is_Pow and written.exp.is_Integer and written.exp % 2 == 0)


def _is_real_root(expression: Any) -> bool:
    """True for `sign(x) * Abs(x)**(1/3)`, which sympy makes of `real_root(x, 3)`."""
    args = expression.args
    if len(args) != 2 or not any(isinstance(a, sp.sign) for a in args):
        return False
    power, sign = sorted(args, key=lambda a: isinstance(a, sp.sign))
    return (
        power.is_Pow
        and power.exp == sp.Rational(1, 3)
        and isinstance(power.base, sp.Abs)
        and power.base.args[0] == sign.args[0]
    )


def _product_parts(expression: Any) -> Sequence[Any]:
    if _is_real_root(expression):
        return (next(a for a in expression.args if isinstance(a, sp.sign)).args[0],)
    return _names_in_order(expression.args)


def _names_in_order(factors: tuple[Any, ...]) -> tuple[Any, ...]:
    """The factors with names and powers of names in order of the names, as sympy prints a monomial.

    (sympy keeps the names of `x**2*y` before the powers.)
    """
    places = {k: name for k, factor in enumerate(factors) if (name := _named(factor)) is not None}
    result = list(factors)
    for place, origin in zip(places, sorted(places, key=places.__getitem__), strict=True):
        result[place] = factors[origin]
    return tuple(result)


def _named(factor: Any) -> str | None:
    """The name of a symbol, or of the symbol that a factor is a power of; no factor below a fraction bar."""
    if factor.is_Pow and not (factor.exp.is_Number and factor.exp.is_negative):
        factor = factor.base
    return factor.name if factor.is_Symbol else None


def _product(intake: Intake, expression: Any, *factors: Node) -> Node:
    if len(factors) == 1:
        return intake.table.call("cbrt", factors[0])
    return _mul(intake, expression, *factors)


# -- functions ------------------------------------------------------------


def _call(name: str) -> Build:
    def build(intake: Intake, expression: Any, *args: Node) -> Node:
        return intake.table.call(name, *args)

    return build


def _log(intake: Intake, expression: Any, x: Node) -> Node:
    """The logarithm; of determinants as one operation (one that has a name keeps its place)."""
    whole = log_of_determinant(intake.table, x) if _is_of_determinants(expression.args[0]) else None
    return intake.table.call("log", x) if whole is None else whole


def _is_of_determinants(expression: Any) -> bool:
    """True for a product of powers of numbers and determinants, or its magnitude."""
    todo = [expression.args[0] if isinstance(expression, sp.Abs) else expression]
    while todo:
        part = todo.pop()
        if part.is_Mul:
            todo += part.args
        elif part.is_Pow and part.exp.is_Number:
            todo.append(part.base)
        elif not (part.is_number or isinstance(part, sp.Determinant)):
            return False
    return bool(expression.has(sp.Determinant))


def _formula(formula: Callable[..., Node]) -> Build:
    """`formula(table, *arguments)`: a function that is written with registered ones."""

    def build(intake: Intake, expression: Any, *args: Node) -> Node:
        return formula(intake.table, *args)

    return build


def _reciprocal(name: str) -> Build:
    return _formula(lambda t, x: t.pow(t.call(name, x), -1))


def _of_reciprocal(name: str) -> Build:
    return _formula(lambda t, x: t.call(name, t.pow(x, -1)))


# -- functions of an order, the gamma family ------------------------------------------------------------


def _of_order(orders: int, advice: str, build: Callable[[Any, int, Node], Node]) -> tuple[Parts, Build]:
    """`f(n, x)` for whole numbers n below `orders`; `build(table, n, x)`."""

    def parts(expression: Any) -> Sequence[Any]:
        order = expression.args[0]
        if not order.is_Integer or not 0 <= order < orders:
            raise refusals.refuse(expression, f"{advice}, found the order {brief(order)}")
        return expression.args[1:]  # type: ignore[no-any-return]

    def made(intake: Intake, expression: Any, x: Node) -> Node:
        return build(intake.table, int(expression.args[0]), x)

    return parts, made


def _bessel(t: Any, order: int, x: Node) -> Node:
    if order < 2:
        return t.call(f"j{order}", x)  # type: ignore[no-any-return]
    return t.mul(t.pow(x, order), t.make("bessel_ratio", (x,), (order,)))  # type: ignore[no-any-return]


def _spherical_bessel(t: Any, order: int, x: Node) -> Node:
    if order == 0:
        return t.call("sinc", x)  # type: ignore[no-any-return]
    return t.mul(t.pow(x, order), t.make("spherical_ratio", (x,), (order,)))  # type: ignore[no-any-return]


def _beta(intake: Intake, expression: Any, a: Node, b: Node | None = None) -> Node:
    return intake.table.call("beta", a, a if b is None else b)


def _plus(t: Any, x: Node, number: int) -> Node:
    return t.add(x, t.full(number, x.shape))  # type: ignore[no-any-return]


def _factorial(t: Any, x: Node) -> Node:
    return t.call("gamma", _plus(t, x, 1))  # type: ignore[no-any-return]


def _binomial(t: Any, n: Node, k: Node) -> Node:
    """1/((n + 1) B(k + 1, n - k + 1)); n (n - 1) .../k! for a number k."""
    number = constant_value(k)
    if number is not None and number.is_Integer and 0 <= number <= _WRITTEN_OUT:
        factors = [_plus(t, n, -j) for j in range(int(number))]
        return t.mul(t.constant(1 / sp.factorial(number)), *factors)  # type: ignore[no-any-return]
    below, above = _plus(t, k, 1), _plus(t, t.sub(n, k), 1)
    # two inverses: the slope of one of the product has its square, which overflows from 1e154 on
    value = t.mul(t.pow(_plus(t, n, 1), -1), t.pow(t.call("beta", below, above), -1))
    # where one of these is a pole of the gamma function: (n)_k / k!, that over the gamma function too
    poles = [t.call("and", t.call("less_equal", v, t.constant(0)), _is_whole(t, v)) for v in (below, above)]
    at_pole = t.mul(t.call("rising", above, k), t.call("rising", below, t.neg(k)))
    return t.select(t.call("or", *poles), at_pole, value)  # type: ignore[no-any-return]


def _is_whole(t: Any, x: Node) -> Node:
    return t.call("equal", t.call("floor", x), x)  # type: ignore[no-any-return]


def _erf2(t: Any, a: Node, b: Node) -> Node:
    """erf(b) - erf(a); where both are large and of one sign by what is left to 1 or -1."""
    one = t.constant(1)
    up = t.call("and", *[t.call("less", one, v) for v in (a, b)])
    down = t.call("and", *[t.call("less", one, t.neg(v)) for v in (a, b)])
    tail = [t.call("erfc", t.call("abs", v)) for v in (a, b)]
    near = t.sub(t.call("erf", b), t.call("erf", a))
    far = t.select(up, t.sub(*tail), t.sub(tail[1], tail[0]))
    return t.select(t.call("or", up, down), far, near)  # type: ignore[no-any-return]


def _log_of_sum(t: Any, scale: Any, a: Node, b: Node) -> Node:
    """log(exp(s*a) + exp(s*b))/s, which the rewriting keeps from overflow."""
    powers = [t.call("exp", t.mul(t.constant(scale), v)) for v in (a, b)]
    return t.mul(t.constant(1 / scale), t.call("log", t.add(*powers)))  # type: ignore[no-any-return]


def _cosm1(t: Any, x: Node) -> Node:
    """cos(x) - 1 = -2 sin(x/2)**2"""
    half = t.call("sin", t.mul(t.constant(sp.Rational(1, 2)), x))
    return t.mul(t.constant(-2), t.pow(half, 2))  # type: ignore[no-any-return]


def _falling(t: Any, x: Node, k: Node) -> Node:
    return t.call("rising", _plus(t, t.sub(x, k), 1), k)  # type: ignore[no-any-return]


def _harmonic(intake: Intake, expression: Any, n: Node, m: Node | None = None) -> Node:
    if m is not None:
        raise refusals.refuse(expression, "harmonic is taken in with one argument")
    t = intake.table
    return t.add(t.call("digamma", _plus(t, n, 1)), t.full(sp.EulerGamma, n.shape))


def _heaviside(t: Any, x: Node, middle: Node) -> Node:
    step = t.mul(t.constant(sp.Rational(1, 2)), t.add(t.constant(1), t.call("sign", x)))  # NaN at NaN
    return t.select(t.call("equal", x, t.constant(0)), middle, step)  # type: ignore[no-any-return]


def _kronecker(t: Any, i: Node, j: Node) -> Node:
    return t.select(t.call("equal", i, j), t.constant(1), t.constant(0))  # type: ignore[no-any-return]


def _extreme(name: str) -> Build:
    def build(intake: Intake, expression: Any, *args: Node) -> Node:
        if intake.ties == "split" and len(args) > 2:
            return intake.table.call(f"shared_{name}", *args)
        result = args[0]
        for value in args[1:]:
            result = intake.table.call(name, result, value, attrs=(intake.ties,))
        return result

    return build


def _whole(intake: Intake, expression: Any, matrix: Node) -> Node:
    return matrix  # a 1 x 1 matrix among the operands of a scalar is taken in as its entry


# -- conditions ------------------------------------------------------------


def _truth(value: bool) -> Build:
    name = "equal" if value else "not_equal"

    def build(intake: Intake, expression: Any) -> Node:
        zero = intake.table.constant(0)
        return intake.table.call(name, zero, zero)

    return build


def _is_reality_check(expression: Any) -> bool:
    """True for `Eq(im(x), 0)`, which `real_root` asks: every symbol is real here."""
    return any(isinstance(a, sp.im) for a in expression.args) and any(a == 0 for a in expression.args)


def _relation(name: str, swap: bool = False) -> tuple[Parts, Build]:
    reality = {"equal": True, "not_equal": False}.get(name)

    def parts(expression: Any) -> Sequence[Any]:
        if reality is not None and _is_reality_check(expression):
            return (sp.true if reality else sp.false,)
        return expression.args  # type: ignore[no-any-return]

    def build(intake: Intake, expression: Any, *args: Node) -> Node:
        if len(args) == 1:
            return args[0]
        return intake.table.call(name, *(reversed(args) if swap else args))

    return parts, build


def _condition(intake: Intake, expression: Any, node: Node) -> Node:
    if node.kind != "boolean":
        raise refusals.refuse(
            expression, "a condition is a comparison such as x > 0, or And, Or, Not of these"
        )
    return node


def _folded(name: str) -> Build:
    def build(intake: Intake, expression: Any, *args: Node) -> Node:
        result = _condition(intake, expression, args[0])
        for arg in args[1:]:
            result = intake.table.call(name, result, _condition(intake, expression, arg))
        return result

    return build


def _not(intake: Intake, expression: Any, a: Node) -> Node:
    return intake.table.call("not", _condition(intake, expression, a))


def _either(t: Any, c: Node, a: Node, b: Node) -> Node:
    return t.call("or", t.call("and", c, a), t.call("and", t.call("not", c), b))  # type: ignore[no-any-return]


def _xor(intake: Intake, expression: Any, *args: Node) -> Node:
    t, (result, *rest) = intake.table, [_condition(intake, expression, a) for a in args]
    for arg in rest:
        result = _either(t, result, t.call("not", arg), arg)
    return result


def _remainder(t: Any, a: Node, b: Node) -> Node:
    """What is left of a, of its sign."""
    rest: Node = t.mul(t.call("sign", a), t.call("mod", t.call("abs", a), t.call("abs", b)))
    return rest


def _equivalent(intake: Intake, expression: Any, first: Node, *rest: Node) -> Node:
    """All hold or none does."""
    t, first = intake.table, _condition(intake, expression, first)
    pairs = [
        _either(t, first, c, t.call("not", c)) for c in (_condition(intake, expression, r) for r in rest)
    ]
    return reduce(lambda a, b: t.call("and", a, b), pairs)


def _choice(intake: Intake, expression: Any, c: Node, a: Node, b: Node) -> Node:
    return _either(intake.table, *[_condition(intake, expression, v) for v in (c, a, b)])


def _implies(intake: Intake, expression: Any, a: Node, b: Node) -> Node:
    return intake.table.call("or", _not(intake, expression, a), _condition(intake, expression, b))


def _pieces(expression: Any) -> Sequence[Any]:
    return [part for pair in expression.args for part in pair.args]


def _piecewise(intake: Intake, expression: Any, *parts: Node) -> Node:
    """Nested choices from the last piece to the first; NaN where no condition holds, as in sympy."""
    table = intake.table
    values, conditions = parts[::2], parts[1::2]
    shapes = [v.shape for v in values if v.shape]
    result = table.constant(sp.nan)
    for pair, value, condition in reversed(list(zip(expression.args, values, conditions, strict=True))):
        if pair.args[1] == sp.true or (isinstance(pair.args[1], sp.Eq) and _is_reality_check(pair.args[1])):
            result = value
        elif pair.args[1] != sp.false:
            result = table.select(_condition(intake, expression, condition), value, result)
    return table.broadcast(result, shapes[0]) if shapes else result


_UNARY = {
    sp.exp: "exp",
    sp.log: "log",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.asin: "asin",
    sp.acos: "acos",
    sp.atan: "atan",
    sp.acot: "acot",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.asinh: "asinh",
    sp.acosh: "acosh",
    sp.atanh: "atanh",
    sp.erf: "erf",
    sp.erfc: "erfc",
    sp.erfi: "erfi",
    sp.erfinv: "erfinv",
    sp.erfcinv: "erfcinv",
    sp.Abs: "abs",
    sp.sign: "sign",
    sp.floor: "floor",
    sp.ceiling: "ceiling",
    cfunctions.expm1: "expm1",
    cfunctions.log1p: "log1p",
    cfunctions.Cbrt: "cbrt",
}
# sympy has no digits of their values at numbers (erfcinv), or raises mpmath's error outside of their domain
NOT_EVALUATED = (sp.erfinv, sp.erfcinv)
_RECIPROCALS = {
    sp.sec: "cos",
    sp.csc: "sin",
    sp.cot: "tan",
    sp.sech: "cosh",
    sp.csch: "sinh",
    sp.coth: "tanh",
}
_OF_RECIPROCALS = {
    sp.asec: "acos",
    sp.acsc: "asin",
    sp.asech: "acosh",
    sp.acsch: "asinh",
    sp.acoth: "atanh",
}

RULES: dict[type, tuple[Parts, Build]] = {
    sp.Add: (None, _add),
    sp.Mul: (_product_parts, _product),
    sp.Pow: (None, _pow),
    **{kind: (None, _call(name)) for kind, name in _UNARY.items()},
    sp.log: (None, _log),
    **{kind: (None, _reciprocal(name)) for kind, name in _RECIPROCALS.items()},
    **{kind: (None, _of_reciprocal(name)) for kind, name in _OF_RECIPROCALS.items()},
    sp.atan2: (None, _call("atan2")),
    sp.gamma: (None, _call("gamma")),
    sp.loggamma: (None, _call("loggamma")),
    sp.digamma: (None, _call("digamma")),
    sp.trigamma: (None, _call("trigamma")),
    sp.polygamma: _of_order(
        len(POLYGAMMA),
        f"polygamma has native code for the orders 0 to {len(POLYGAMMA) - 1}",
        lambda t, order, x: t.call(POLYGAMMA[order], x),
    ),
    sp.beta: (None, _beta),
    sp.factorial: (None, _formula(_factorial)),
    sp.binomial: (None, _formula(_binomial)),
    sp.RisingFactorial: (None, _call("rising")),
    sp.FallingFactorial: (None, _formula(_falling)),
    sp.harmonic: (None, _harmonic),
    sp.besselj: _of_order(_ORDERS, f"besselj is compiled for the orders 0 to {_ORDERS - 1}", _bessel),
    sp.jn: _of_order(_ORDERS, f"jn is compiled for the orders 0 to {_ORDERS - 1}", _spherical_bessel),
    sp.erf2: (None, _formula(_erf2)),
    sp.frac: (None, _formula(lambda t, x: t.sub(x, t.call("floor", x)))),
    sp.Mod: (None, _call("mod")),
    sp.Rem: (None, _formula(_remainder)),
    sp.UnevaluatedExpr: (None, lambda intake, expression, inner: inner),
    sp.Heaviside: (None, _formula(_heaviside)),
    sp.sinc: (None, _call("sinc")),
    sp.KroneckerDelta: (None, _formula(_kronecker)),
    sp.Max: (None, _extreme("maximum")),
    sp.Min: (None, _extreme("minimum")),
    sp.Piecewise: (_pieces, _piecewise),
    ExprCondPair: (None, lambda intake, expression, *parts: parts[0]),
    cfunctions.log2: (None, _call("log2")),
    cfunctions.log10: (None, _call("log10")),
    cfunctions.exp2: (None, _call("exp2")),
    cfunctions.Sqrt: (None, _formula(lambda t, x: t.pow(x, sp.Rational(1, 2)))),
    cfunctions.hypot: (None, _call("hypot")),
    cfunctions.fma: (None, _formula(lambda t, a, b, c: t.add(t.mul(a, b), c))),
    numpy_nodes.logaddexp: (None, _formula(lambda t, a, b: _log_of_sum(t, sp.S.One, a, b))),
    numpy_nodes.logaddexp2: (None, _formula(lambda t, a, b: _log_of_sum(t, sp.log(2), a, b))),
    numpy_nodes.maximum: (None, _extreme("maximum")),
    numpy_nodes.minimum: (None, _extreme("minimum")),
    scipy_nodes.cosm1: (None, _formula(_cosm1)),
    scipy_nodes.powm1: (None, _formula(lambda t, x, y: t.call("expm1", t.mul(y, t.call("log", x))))),
    Scalar: (None, _whole),
    sp.StrictLessThan: _relation("less"),
    sp.LessThan: _relation("less_equal"),
    sp.StrictGreaterThan: _relation("less", swap=True),
    sp.GreaterThan: _relation("less_equal", swap=True),
    sp.Eq: _relation("equal"),
    sp.Ne: _relation("not_equal"),
    sp.And: (None, _folded("and")),
    sp.Or: (None, _folded("or")),
    sp.Not: (None, _not),
    sp.Xor: (None, _xor),
    sp.ITE: (None, _choice),
    sp.Implies: (None, _implies),
    sp.Equivalent: (None, _equivalent),
    BooleanTrue: (None, _truth(True)),
    BooleanFalse: (None, _truth(False)),
}

OF_MATRICES = (sp.Piecewise, ExprCondPair)  # these may hold matrices
