"""How scalar expressions of sympy become nodes: one rule per class, (parts to take in first or None,
build).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.codegen import cfunctions
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from symprop.declare import refusals
from symprop.declare.forms import Scalar, brief
from symprop.errors import UnsupportedExpressionError
from symprop.functions.symbols import describe
from symprop.graph import Node

if TYPE_CHECKING:
    from symprop.declare.intake import Intake

__all__ = ["OF_MATRICES", "RULES", "number", "scalar_operand"]

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
    ours = type(expression).__module__.startswith("sympy.")
    advice = f"symprop.nn.{name}(M) or M.applyfunc(sympy.{name})" if ours else f"M.applyfunc({name})"
    raise UnsupportedExpressionError(
        f"{brief(expression)}: {name} is a function of scalars, found {describe(operand)}; entry by entry it "
        f"is {advice} (a matrix function such as the matrix exponential is not meant by it)"
    )


# -- arithmetic ------------------------------------------------------------


def _add(intake: Intake, expression: Any, *terms: Node) -> Node:
    return intake.table.add(*terms)


def _mul(intake: Intake, expression: Any, *factors: Node) -> Node:
    return intake.table.mul(*factors)


def _pow(intake: Intake, expression: Any, base: Node, exponent: Node) -> Node:
    return intake.table.pow(base, exponent)


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
        and power.base.args[0] is sign.args[0]
    )


def _product_parts(expression: Any) -> Sequence[Any]:
    if _is_real_root(expression):
        return (next(a for a in expression.args if isinstance(a, sp.sign)).args[0],)
    return expression.args  # type: ignore[no-any-return]


def _product(intake: Intake, expression: Any, *factors: Node) -> Node:
    if len(factors) == 1:
        return intake.table.call("cbrt", factors[0])
    return _mul(intake, expression, *factors)


# -- functions ------------------------------------------------------------


def _call(name: str) -> Build:
    def build(intake: Intake, expression: Any, *args: Node) -> Node:
        return intake.table.call(name, *args)

    return build


def _formula(formula: Callable[..., Node]) -> Build:
    """`formula(table, *arguments)`: a function that is written with registered ones."""

    def build(intake: Intake, expression: Any, *args: Node) -> Node:
        return formula(intake.table, *args)

    return build


def _reciprocal(name: str) -> Build:
    return _formula(lambda t, x: t.pow(t.call(name, x), -1))


def _of_reciprocal(name: str) -> Build:
    return _formula(lambda t, x: t.call(name, t.pow(x, -1)))


def _mod(t: Any, a: Node, b: Node) -> Node:
    return t.sub(a, t.mul(b, t.call("floor", t.div(a, b))))  # type: ignore[no-any-return]


def _heaviside(t: Any, x: Node, middle: Node) -> Node:
    step = t.mul(t.constant(sp.Rational(1, 2)), t.add(t.constant(1), t.call("sign", x)))  # NaN at NaN
    return t.select(t.call("equal", x, t.constant(0)), middle, step)  # type: ignore[no-any-return]


def _sinc(t: Any, x: Node) -> Node:
    zero, one = t.constant(0), t.constant(1)
    at_zero = t.call("equal", x, zero)
    return t.select(at_zero, one, t.div(t.call("sin", x), t.select(at_zero, one, x)))  # type: ignore[no-any-return]


def _kronecker(t: Any, i: Node, j: Node) -> Node:
    return t.select(t.call("equal", i, j), t.constant(1), t.constant(0))  # type: ignore[no-any-return]


def _extreme(name: str) -> Build:
    def build(intake: Intake, expression: Any, *args: Node) -> Node:
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
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.asinh: "asinh",
    sp.acosh: "acosh",
    sp.atanh: "atanh",
    sp.erf: "erf",
    sp.erfc: "erfc",
    sp.Abs: "abs",
    sp.sign: "sign",
    sp.floor: "floor",
    sp.ceiling: "ceiling",
    cfunctions.expm1: "expm1",
    cfunctions.log1p: "log1p",
    cfunctions.Cbrt: "cbrt",
}
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
    sp.acot: "atan",
    sp.asech: "acosh",
    sp.acsch: "asinh",
    sp.acoth: "atanh",
}

RULES: dict[type, tuple[Parts, Build]] = {
    sp.Add: (None, _add),
    sp.Mul: (_product_parts, _product),
    sp.Pow: (None, _pow),
    **{kind: (None, _call(name)) for kind, name in _UNARY.items()},
    **{kind: (None, _reciprocal(name)) for kind, name in _RECIPROCALS.items()},
    **{kind: (None, _of_reciprocal(name)) for kind, name in _OF_RECIPROCALS.items()},
    sp.atan2: (None, _call("atan2")),
    sp.erf2: (None, _formula(lambda t, a, b: t.sub(t.call("erf", b), t.call("erf", a)))),
    sp.frac: (None, _formula(lambda t, x: t.sub(x, t.call("floor", x)))),
    sp.Mod: (None, _formula(_mod)),
    sp.Heaviside: (None, _formula(_heaviside)),
    sp.sinc: (None, _formula(_sinc)),
    sp.KroneckerDelta: (None, _formula(_kronecker)),
    sp.Max: (None, _extreme("maximum")),
    sp.Min: (None, _extreme("minimum")),
    sp.Piecewise: (_pieces, _piecewise),
    ExprCondPair: (None, lambda intake, expression, *parts: parts[0]),
    cfunctions.log2: (None, _formula(lambda t, x: t.mul(t.call("log", x), t.constant(1 / sp.log(2))))),
    cfunctions.log10: (None, _formula(lambda t, x: t.mul(t.call("log", x), t.constant(1 / sp.log(10))))),
    cfunctions.exp2: (None, _formula(lambda t, x: t.pow(t.constant(2), x))),
    cfunctions.Sqrt: (None, _formula(lambda t, x: t.pow(x, sp.Rational(1, 2)))),
    cfunctions.hypot: (
        None,
        _formula(lambda t, x, y: t.pow(t.add(t.pow(x, 2), t.pow(y, 2)), sp.Rational(1, 2))),
    ),
    cfunctions.fma: (None, _formula(lambda t, a, b, c: t.add(t.mul(a, b), c))),
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
    BooleanTrue: (None, _truth(True)),
    BooleanFalse: (None, _truth(False)),
}

OF_MATRICES = (sp.Piecewise, ExprCondPair)  # these may hold matrices
