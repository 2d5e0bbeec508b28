"""Elementwise primitives: arithmetic, comparison and choice, elementary functions, each declared once.

A function is a row: its local derivatives as nodes (`y` is the node itself, so that a derivative can reuse
the value), its value with NumPy (`reference`) and its value at any precision with mpmath (`exact`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp
from mpmath.libmp import NoConvergence

from symprop.errors import ShapeError
from symprop.graph import Node, NodeTable, Operation, Shape, register
from symprop.graph.nodes import broadcast_shapes, constant_value

__all__ = ["REACH", "elementwise", "exact_erfc", "exact_exp", "is_beyond", "real"]

Partials = Callable[[NodeTable, Node], Sequence[Node | None]]


def elementwise(
    name: str,
    partials: Partials | None,
    reference: Callable[..., Any],
    exact: Callable[..., Any],
    *,
    kind: str = "real",
    takes_attrs: bool = False,
    whole: bool = False,
    **more: Any,
) -> Operation:
    """Declare an elementwise operation: scalars go with any shape, other shapes must be equal.

    `reference` and `exact` take the operands alone (the attributes first, where `takes_attrs`). With `whole`
    the result of integers (labels, indices and whole constants) is an integer.
    """

    def infer(args: Sequence[Node], attrs: tuple[Any, ...]) -> tuple[Shape, str]:
        shape, same, result = args[0].shape, True, kind
        for a in args:  # a plain loop: this runs once for every node of a graph
            same = same and a.shape == shape
            if a.kind == "integer" and whole and _all_whole(args):
                result = "integer"
        if same:
            return shape, result
        try:
            return broadcast_shapes([a.shape for a in args]), result
        except ValueError as error:
            raise ShapeError(f"{name} takes operands of one shape, found {error}") from None

    def without(function: Callable[..., Any]) -> Callable[..., Any]:
        return function if takes_attrs else lambda attrs, *values: function(*values)

    return register(
        Operation(
            name=name,
            infer=infer,
            partials=partials,
            reference=without(reference),
            exact=without(exact),
            elementwise=True,
            **more,
        )
    )


def _all_whole(args: Sequence[Node]) -> bool:
    """True for integers, among which whole constants may be; the condition of a choice does not count."""
    args = [a for a in args if a.kind != "boolean"]
    return any(a.kind == "integer" for a in args) and all(
        a.kind == "integer" or (a.op == "constant" and a.attrs[0].is_Integer)  # type: ignore[attr-defined]
        for a in args
    )


# -- arithmetic -----------------------------------------------------------------------------------------


def _one_each(t: NodeTable, y: Node) -> list[Node | None]:
    return [t.constant(1)] * len(y.args)


def _others(t: NodeTable, y: Node) -> list[Node | None]:
    """The product of the other factors, for each; prefix and suffix products keep long products linear."""
    args = y.args
    if len(args) == 2:
        return [args[1], args[0]]
    if len(args) <= 4:
        return [t.mul(*args[:k], *args[k + 1 :]) for k in range(len(args))]
    before = [t.constant(1)]
    for a in args[:-1]:
        before.append(t.mul(before[-1], a))
    after = [t.constant(1)]
    for a in reversed(args[1:]):
        after.append(t.mul(a, after[-1]))
    return [t.mul(p, q) for p, q in zip(before, reversed(after), strict=True)]


def _power(t: NodeTable, y: Node) -> list[Node | None]:
    x, p = y.args
    number = constant_value(p)
    if number is not None:
        return [t.mul(p, t.pow(x, number - 1)), None]
    # 0**0 is constant in x, 0**p in p >= 0: without the choices the slopes were 0 * 0**-1, 0 * log(0), NaN.
    # Only at x = 0: elsewhere p*x**(p - 1) is 0 at p = 0 too, and has a slope there
    zero = t.constant(0)
    by_base = t.mul(p, t.pow(x, t.sub(p, t.constant(1))))
    by_exponent = t.mul(y, t.call("log", x))
    if not _is_declared_nonzero(x):
        at_zero = t.call("equal", x, zero)
        if not _is_declared_nonzero(p):
            lost = t.call("and", at_zero, t.call("equal", p, zero))
            by_base = t.select(lost, zero, by_base, y.shape)
        fixed = t.call("and", at_zero, t.call("less_equal", zero, p))
        by_exponent = t.select(fixed, zero, by_exponent, y.shape)
    return [by_base, by_exponent]


def _kinks_of_power(t: NodeTable, y: Node) -> list[Node]:
    """The base, where the exponent is no number, and the exponent where the base is zero: 0**p is 1 at p = 0,
    0 above and infinite below."""
    x, p = y.args
    if constant_value(p) is not None or _is_declared_nonzero(x):
        return []
    exponent = t.select(t.call("equal", x, t.constant(0)), p, t.constant(1), y.shape)
    return [x, exponent]


def _is_declared_nonzero(node: Node) -> bool:
    """True for a symbol that was declared positive, or otherwise not zero."""
    return node.op == "symbol" and bool(getattr(node.attrs[0], "is_nonzero", None))


# binary digits before the point of an argument beyond which mpmath is not asked: it needs as many digits
# more. An exponential of what is within has an exponent of that many bits; four times the range of a double
REACH = 4096
# of sin, cos and tan, whose values stay small: pi to that many bits takes milliseconds
_PERIODIC_REACH = 2**17
_BY_SQUARING = 32  # bits of an exponent up to which a power is a chain of squares


def real(function: Callable[..., Any], reach: int | None = REACH) -> Callable[..., Any]:
    """The mpmath function with NaN where the value is not real, where there is none, and where it is not
    known: for an argument with more binary digits before the point than `reach` (None: of any size).
    """

    def value(*numbers: Any) -> Any:
        if reach is not None and any(is_beyond(v, reach) for v in numbers):
            return mp.nan
        try:
            result = function(*numbers)
        except (ValueError, ArithmeticError, NoConvergence):
            return mp.nan
        if isinstance(result, mp.mpc):
            return result.real if result.imag == 0 else mp.nan
        return result

    return value


def is_beyond(value: Any, reach: int = REACH) -> bool:
    """Whether a number has more binary digits before the point."""
    if not isinstance(value, mp.mpf):
        return False
    _, mantissa, exponent, bits = value._mpf_
    return bool(mantissa) and exponent + bits > reach


exact_exp = real(mp.exp)


def _real_power(x: Any, p: Any) -> Any:
    if x == 0 and p < 0:
        return mp.inf
    if x == 0 or not mp.isfinite(x) or not mp.isfinite(p) or not is_beyond(p, _BY_SQUARING):
        return mp.power(x, p)
    if is_beyond(p, REACH) or (x < 0 and p != mp.floor(p)):
        return mp.nan
    with mp.extraprec(int(mp.mag(p)) + _BY_SQUARING):
        size, half = exact_exp(p * mp.log(abs(x))), p / 2
    return -size if x < 0 and half != mp.floor(half) else +size


elementwise(
    "add", _one_each, lambda *v: reduce(operator.add, v), lambda *v: mp.fsum(v), commutative=True, whole=True
)
elementwise(
    "mul", _others, lambda *v: reduce(operator.mul, v), lambda *v: mp.fprod(v), commutative=True, whole=True
)
elementwise("pow", _power, np.power, real(_real_power, None), kinks=_kinks_of_power)

# -- comparison and choice -------------------------------------------------------------------------------

for _name, _ufunc, _python in (
    ("less", np.less, operator.lt),
    ("less_equal", np.less_equal, operator.le),
    ("equal", np.equal, operator.eq),
    ("not_equal", np.not_equal, operator.ne),
):
    elementwise(
        _name, None, _ufunc, _python, kind="boolean", commutative=_name.endswith("equal") and _name[0] != "l"
    )
elementwise("and", None, np.logical_and, lambda a, b: a and b, kind="boolean", commutative=True)
elementwise("or", None, np.logical_or, lambda a, b: a or b, kind="boolean", commutative=True)
elementwise("not", None, np.logical_not, lambda a: not a, kind="boolean")


def _choose(t: NodeTable, y: Node) -> list[Node | None]:
    one, zero, c = t.constant(1), t.constant(0), y.args[0]
    return [None, t.select(c, one, zero), t.select(c, zero, one)]


def _first_larger(swap: bool) -> Partials:
    """The gradient of a maximum (minimum) goes to the first argument at a tie, or half to each."""

    def partials(t: NodeTable, y: Node) -> list[Node | None]:
        a, b = y.args
        one, zero = t.constant(1), t.constant(0)
        first = t.call("less_equal", *((a, b) if swap else (b, a)))
        if y.attrs == ("split",):
            half, tie = t.constant(sp.Rational(1, 2)), t.call("equal", a, b)
            second = t.call("less", *((b, a) if swap else (a, b)))
            strict = t.call("less", *((a, b) if swap else (b, a)))
            return [
                t.select(tie, half, t.select(strict, one, zero)),
                t.select(tie, half, t.select(second, one, zero)),
            ]
        return [t.select(first, one, zero), t.select(first, zero, one)]

    return partials


def _kink_of_difference(t: NodeTable, y: Node) -> list[Node]:
    return [t.sub(y.args[0], y.args[1])]


def _exact_extreme(pick: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda attrs, a, b: mp.nan if mp.isnan(a) or mp.isnan(b) else pick(a, b)


elementwise(
    "select",
    _choose,
    lambda c, a, b: np.where(np.asarray(c, bool), a, b),
    lambda c, a, b: a if c else b,
    whole=True,
)
elementwise(
    "maximum",
    _first_larger(False),
    lambda attrs, a, b: np.maximum(a, b),
    _exact_extreme(max),
    takes_attrs=True,
    kinks=_kink_of_difference,
)
elementwise(
    "minimum",
    _first_larger(True),
    lambda attrs, a, b: np.minimum(a, b),
    _exact_extreme(min),
    takes_attrs=True,
    kinks=_kink_of_difference,
)

# -- elementary functions: name, derivative as a function of (table, x, y), NumPy, mpmath ----------------

Derivative = Callable[[NodeTable, Node, Node], Node]


def _square(t: NodeTable, x: Node) -> Node:
    return t.pow(x, 2)


def _inverse(t: NodeTable, x: Node) -> Node:
    return t.pow(x, -1)


def _one_plus(t: NodeTable, x: Node) -> Node:
    return t.add(t.full(1, x.shape), x)


def _one_minus(t: NodeTable, x: Node) -> Node:
    return t.sub(t.full(1, x.shape), x)


def _gauss(scale: sp.Expr) -> Derivative:
    return lambda t, x, y: t.mul(t.constant(scale), t.call("exp", t.neg(_square(t, x))))


def _zero_free(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(mpf)` as a NumPy function of arrays, for the few that NumPy lacks."""
    return np.vectorize(lambda v: float(function(mp.mpf(float(v)))), otypes=[float])


def _sigmoid(x: Any) -> Any:
    positive = np.asarray(x) >= 0
    e = np.exp(-np.abs(x))
    return np.where(positive, 1 / (1 + e), e / (1 + e))


def _exact_sigmoid(x: Any) -> Any:
    if x > mp.mp.prec:
        return mp.mpf(1)
    return 1 / (1 + exact_exp(-x)) if x >= 0 else exact_exp(x) / (1 + exact_exp(x))


def _exact_softplus(x: Any) -> Any:
    return x if x > mp.mp.prec else max(x, mp.mpf(0)) + mp.log1p(exact_exp(-abs(x)))


def _one_far_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """An odd function that is 1 - O(exp(-x)): 1 where that is below the last digit."""
    return lambda x: mp.sign(x) if abs(x) > mp.mp.prec else function(x)


def exact_erfc(x: Any) -> Any:
    """The complementary error function; far out by its asymptotic series (DLMF 7.12.1), for which mpmath
    takes log2(x) digits more.
    """
    if not x > 2**_BY_SQUARING or mp.isinf(x):
        return mp.erfc(x)
    square = mp.fmul(x, x, exact=True)
    term = total = mp.mpf(1)
    k = 0
    while abs(term) > mp.eps:
        term *= -(2 * k + 1) / (2 * square)
        total, k = total + term, k + 1
    return exact_exp(-square) * total / (x * mp.sqrt(mp.pi))


def _log(x: Any) -> Any:
    return mp.ninf if x == 0 else mp.log(x)


_RSQRT = sp.Rational(-1, 2)
_ELEMENTARY: list[tuple[str, Derivative | None, Callable[..., Any], Callable[..., Any]]] = [
    ("exp", lambda t, x, y: y, np.exp, mp.exp),
    ("expm1", lambda t, x, y: t.call("exp", x), np.expm1, mp.expm1),
    ("log", lambda t, x, y: _inverse(t, x), np.log, _log),
    (
        "log1p",
        lambda t, x, y: _inverse(t, _one_plus(t, x)),
        np.log1p,
        lambda x: mp.ninf if x == -1 else mp.log1p(x),
    ),
    ("sin", lambda t, x, y: t.call("cos", x), np.sin, mp.sin),
    ("cos", lambda t, x, y: t.neg(t.call("sin", x)), np.cos, mp.cos),
    ("tan", lambda t, x, y: _one_plus(t, _square(t, y)), np.tan, mp.tan),
    ("asin", lambda t, x, y: t.pow(_one_minus(t, _square(t, x)), _RSQRT), np.arcsin, mp.asin),
    ("acos", lambda t, x, y: t.neg(t.pow(_one_minus(t, _square(t, x)), _RSQRT)), np.arccos, mp.acos),
    ("atan", lambda t, x, y: _inverse(t, _one_plus(t, _square(t, x))), np.arctan, mp.atan),
    ("sinh", lambda t, x, y: t.call("cosh", x), np.sinh, mp.sinh),
    ("cosh", lambda t, x, y: t.call("sinh", x), np.cosh, mp.cosh),
    ("tanh", lambda t, x, y: _one_minus(t, _square(t, y)), np.tanh, _one_far_out(mp.tanh)),
    ("asinh", lambda t, x, y: t.pow(_one_plus(t, _square(t, x)), _RSQRT), np.arcsinh, mp.asinh),
    (
        "acosh",
        lambda t, x, y: t.mul(
            t.pow(t.sub(x, t.full(1, x.shape)), _RSQRT), t.pow(t.add(x, t.full(1, x.shape)), _RSQRT)
        ),
        np.arccosh,
        mp.acosh,
    ),
    ("atanh", lambda t, x, y: _inverse(t, _one_minus(t, _square(t, x))), np.arctanh, mp.atanh),
    ("erf", _gauss(2 / sp.sqrt(sp.pi)), _zero_free(mp.erf), _one_far_out(mp.erf)),
    ("erfc", _gauss(-2 / sp.sqrt(sp.pi)), _zero_free(mp.erfc), exact_erfc),
    ("cbrt", lambda t, x, y: _inverse(t, t.mul(t.constant(3), _square(t, y))), np.cbrt, None),  # type: ignore[list-item]
    ("sigmoid", lambda t, x, y: t.mul(y, _one_minus(t, y)), _sigmoid, _exact_sigmoid),
    ("softplus", lambda t, x, y: t.call("sigmoid", x), lambda x: np.logaddexp(0, x), _exact_softplus),
    ("abs", lambda t, x, y: t.call("sign", x), np.abs, abs),
    ("sign", None, np.sign, mp.sign),
    ("floor", None, np.floor, mp.floor),
    ("ceiling", None, np.ceil, mp.ceil),
]


# sin, cos and tan reach far, and what does not grow or repeat has a value of any size at little cost
_REACHES: dict[str, int | None] = dict.fromkeys(("sin", "cos", "tan"), _PERIODIC_REACH)
_REACHES |= dict.fromkeys(("log", "log1p", "atan", "asinh", "acosh", "tanh", "erf", "cbrt"))
_REACHES |= dict.fromkeys(("sigmoid", "softplus", "abs", "sign", "floor", "ceiling"))


def _exact_cbrt(x: Any) -> Any:
    return mp.sign(x) * mp.cbrt(abs(x))


def _unary(derivative: Derivative | None) -> Partials:
    return lambda t, y: [None if derivative is None else derivative(t, y.args[0], y)]


def _kink_at_zero(t: NodeTable, y: Node) -> list[Node]:
    return [y.args[0]]


def _jumps_at_whole_numbers(t: NodeTable, y: Node) -> list[Node]:
    """sin(pi*x), which is zero there and changes its sign."""
    return [t.call("sin", t.mul(t.constant(sp.pi), y.args[0]))]


_KINKS = dict.fromkeys(("abs", "sign"), _kink_at_zero)
_KINKS |= dict.fromkeys(("floor", "ceiling"), _jumps_at_whole_numbers)

for _name, _derivative, _numpy, _exact in _ELEMENTARY:
    elementwise(
        _name,
        _unary(_derivative),
        _numpy,
        real(_exact_cbrt if _name == "cbrt" else _exact, _REACHES.get(_name, REACH)),
        kinks=_KINKS.get(_name),
    )


def _angle(t: NodeTable, y: Node) -> list[Node | None]:
    b, a = y.args
    r = _inverse(t, t.add(_square(t, a), _square(t, b)))
    return [t.mul(a, r), t.neg(t.mul(b, r))]


elementwise("atan2", _angle, np.arctan2, real(mp.atan2, None))

# -- forms that only the rewriting for code generation makes ---------------------------------------------


elementwise("sub", None, np.subtract, lambda a, b: a - b, whole=True, lowered=True)
elementwise("div", None, np.divide, real(lambda a, b: a / b, None), lowered=True)
elementwise("neg", None, np.negative, lambda a: -a, whole=True, lowered=True)
elementwise("sqrt", None, np.sqrt, real(mp.sqrt, None), lowered=True)
elementwise("real", None, lambda n: n * 1.0, lambda n: n * mp.mpf(1), lowered=True)  # of an integer
elementwise("fma", None, lambda a, b, c: a * b + c, lambda a, b, c: a * b + c, whole=True, lowered=True)
