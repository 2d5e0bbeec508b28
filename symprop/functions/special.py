"""Special functions: the gamma family, Bessel functions, sinc and its derivatives, hypot and the remainder.

Quotients such as sin(x)/x or J1(x)/x have families that are closed under differentiation, so that derivatives
of any order are right at zero too and lose no digits next to it: with S(n, x) = j_n(x)/x**n of the spherical
Bessel functions, S(0, x) = sinc(x) and S(n)' = -x S(n + 1); J_n(x)/x**n obeys the same rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.errors import UnsupportedExpressionError
from symprop.functions.composite import below, declare_elementwise, where
from symprop.functions.elementwise import REACH, elementwise, real
from symprop.functions.symbols import define_formula
from symprop.graph import Node, NodeTable

__all__ = ["POLYGAMMA"]

T = NodeTable
N = Node
DLMF = "NIST Digital Library of Mathematical Functions, "


def _numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of mpmath on arrays of float64."""
    return np.vectorize(lambda *v: float(function(*[mp.mpf(float(x)) for x in v])), otypes=[float])


def _declare(
    name: str,
    derivative: Callable[[T, N, N], N],
    exact: Callable[..., Any],
    formula: Callable[..., Any],
    reach: int | None = REACH,
    **more: Any,
) -> None:
    """A function of one argument, by its derivative at (table, x, value)."""
    value = real(exact, reach)
    define_formula(name, formula)
    elementwise(name, lambda t, y: [derivative(t, y.args[0], y)], _numpy(value), value, **more)


# -- the gamma family -----------------------------------------------------------------------------

# the operation of each order of polygamma
POLYGAMMA = ("digamma", "trigamma", "polygamma_2", "polygamma_3", "polygamma_4")


def _is_pole(x: Any) -> bool:
    return bool(x <= 0 and x == mp.floor(x))


def _exact_gamma(x: Any) -> Any:
    if mp.isinf(x) or x == 0:
        return mp.inf if x >= 0 else mp.nan
    return mp.nan if _is_pole(x) else mp.gamma(x)


def _exact_loggamma(x: Any) -> Any:
    return mp.inf if mp.isinf(x) or _is_pole(x) else mp.re(mp.loggamma(x))


def _exact_polygamma(order: int) -> Callable[..., Any]:
    def value(x: Any) -> Any:
        if _is_pole(x):
            return mp.inf if order % 2 else (mp.nan if x else mp.ninf)
        if mp.isinf(x):
            return mp.nan if x < 0 else (mp.mpf(0) if order else mp.inf)
        return mp.polygamma(order, x)

    return value


def _next_polygamma(order: int) -> Callable[[T, N, N], N]:
    def derivative(t: T, x: N, y: N) -> N:
        if order + 1 == len(POLYGAMMA):
            raise UnsupportedExpressionError(
                f"the derivative of polygamma({order}, x) is polygamma({order + 1}, x), for which there "
                f"is no native code: gamma, loggamma and beta have derivatives up to polygamma({order}, x)"
            )
        return t.call(POLYGAMMA[order + 1], x)

    return derivative


_declare(
    "gamma",
    lambda t, x, y: t.mul(y, t.call("digamma", x)),
    _exact_gamma,
    sp.gamma,
    latex=r"\Gamma\left({0}\right)",
    summary="Γ(x); derivative Γ(x) ψ(x), ψ = digamma",
    source=DLMF + "5.2.1",
)
_declare(
    "loggamma",
    lambda t, x, y: t.call("digamma", x),
    _exact_loggamma,
    lambda x: sp.log(sp.Abs(sp.gamma(x))),
    latex=r"\log\left|\Gamma\left({0}\right)\right|",
    summary="log |Γ(x)|; derivative ψ(x) = digamma(x)",
    source=DLMF + "5.2.1",
)
for _order, _name in enumerate(POLYGAMMA):
    _declare(
        _name,
        _next_polygamma(_order),
        _exact_polygamma(_order),
        lambda x, order=_order: sp.polygamma(order, x),
        latex=r"\psi\left({0}\right)" if _order == 0 else rf"\psi^{{({_order})}}\left({{0}}\right)",
        summary=f"the derivative of order {_order} of ψ = Γ'/Γ; derivative that of order {_order + 1}",
        source=DLMF + "5.2.2, 5.15.1",
    )


def _sign_of_gamma(t: T, x: N) -> N:
    """-1 where Γ(x) is negative: x < 0 and floor(x) odd."""
    half = t.mul(t.constant(sp.Rational(1, 2)), t.call("floor", x))
    odd = t.call("not_equal", t.call("floor", half), half)
    return where(t, t.call("and", below(t, x, 0), odd), -1, 1)


def _is_finite(t: T, value: N) -> N:
    return below(t, t.call("abs", value), sp.oo)


def _beta_partials(t: T, y: N) -> list[N | None]:
    a, b = y.args
    total = t.call("digamma", t.add(a, b))
    return [t.mul(y, t.sub(t.call("digamma", v), total)) for v in (a, b)]


def _beta_value(a: Any, b: Any) -> Any:
    value = mp.beta(a, b)
    return mp.nan if mp.isinf(value) and min(a, b) < 0 and (_is_pole(a) or _is_pole(b)) else value


_exact_beta = real(_beta_value)
define_formula("beta", lambda a, b: sp.gamma(a) * sp.gamma(b) / sp.gamma(a + b))
elementwise(
    "beta",
    _beta_partials,
    _numpy(_exact_beta),
    _exact_beta,
    latex=r"\operatorname{B}\left({0}, {1}\right)",
    summary="B(a, b) = Γ(a) Γ(b)/Γ(a + b); derivative B(a, b) (ψ(a) - ψ(a + b)) with respect to a",
    source=DLMF + "5.12.1",
)


def _at_pole(t: T, x: N) -> N:
    """Whether x is a pole of Γ."""
    return t.call("and", t.call("less_equal", x, t.constant(0)), t.call("equal", t.call("floor", x), x))


def _is_odd(t: T, x: N) -> N:
    half = t.mul(t.constant(sp.Rational(1, 2)), x)
    return t.call("not_equal", t.call("floor", half), half)


def _past_poles(t: T, node: N) -> tuple[N, N, N, N]:
    """u and v with Γ(x + k)/Γ(x) = ±Γ(u)/Γ(v); whether both are poles (then by reflection), or x alone."""
    x, k = node.args
    total = t.add(x, k)
    one = t.full(1, node.shape)
    at = _at_pole(t, x)
    both = t.call("and", at, _at_pole(t, total))
    u, v = where(t, both, t.sub(one, x), total), where(t, both, t.sub(one, total), x)
    return u, v, both, t.call("and", at, t.call("not", both))


def _rising(t: T, node: N) -> N:
    """Γ(x + k)/Γ(x) = Γ(k)/B(x, k), or by -k from x + k, beyond the range of Γ by logarithms; of two poles
    (-1)**k Γ(1 - x)/Γ(1 - x - k)."""
    u, v, both, alone = _past_poles(t, node)
    k, none = node.args[1], t.constant(0)
    up, size = below(t, none, k), t.call("abs", k)
    least = where(t, up, v, u)
    parts = (t.call("gamma", size), t.call("beta", least, size))
    usable = [t.call("and", _is_finite(t, w), t.call("not_equal", w, none)) for w in parts]
    quotient = where(t, up, t.div(*parts), t.div(*parts[::-1]))
    logarithm = t.sub(*[t.call("loggamma", w) for w in (u, v)])
    signs = [_sign_of_gamma(t, w) for w in (u, v)]
    value = where(t, t.call("and", *usable), quotient, t.mul(*signs, t.call("exp", logarithm)))
    value = where(t, t.call("and", both, _is_odd(t, k)), t.neg(value), value)
    return where(t, alone, 0, value)


def _rising_slope(t: T, node: N) -> N:
    """Γ(x + k)/Γ(x) (ψ(x + k) - ψ(x)); of two poles by reflection, of a pole of Γ(x) alone its limit."""
    x = node.args[0]
    u, v, both, alone = _past_poles(t, node)
    change = t.make("digamma_gap", (u, v, node.args[1]))
    slope = t.mul(t.call("rising", *node.args), where(t, both, t.neg(change), change))
    # next to a pole at -m alone 1/Γ(x) is (-1)**m m! (x + m)
    limit = t.mul(t.call("gamma", u), t.call("gamma", t.sub(t.full(1, node.shape), x)))
    limit = where(t, _is_odd(t, x), t.neg(limit), limit)
    return where(t, alone, limit, slope)


def _rising_slope_partials(t: T, y: N) -> list[N | None]:
    """The derivative by x past poles as in `_rising_slope`, where 1/Γ(x) next to a pole at -m goes on with
    1 - ψ(m + 1) (x + m); that by k away from poles."""
    x, k = y.args
    u, v, both, alone = _past_poles(t, y)
    total, value = t.add(x, k), t.call("rising", x, k)
    last = t.call("trigamma", total)
    change = t.make("digamma_gap", (u, v, k))
    change = where(t, both, t.neg(change), change)
    bend = t.sub(t.call("trigamma", u), t.call("trigamma", v))
    by_x = t.add(t.mul(y, change), t.mul(value, bend))
    at_pole = t.sub(t.call("digamma", u), t.call("digamma", t.sub(t.full(1, y.shape), x)))
    by_x = where(t, alone, t.mul(t.constant(2), y, at_pole), by_x)
    return [by_x, t.add(t.mul(y, t.call("digamma", total)), t.mul(value, last))]


declare_elementwise(
    "rising_slope",
    _rising_slope,
    _rising_slope_partials,
    lambda x, k: sp.gamma(x + k) / sp.gamma(x) * (sp.digamma(x + k) - sp.digamma(x)),
    latex=r"\left({0}\right)_{{1}} \left(\psi\left({0} + {1}\right) - \psi\left({0}\right)\right)",
    summary="rising_slope(x, k): the derivative of the rising factorial by x, that times ψ(x + k) - ψ(x)",
    source=DLMF + "5.2.5",
)


def _rising_partials(t: T, y: N) -> list[N | None]:
    x, k = y.args
    return [t.call("rising_slope", x, k), t.mul(y, t.call("digamma", t.add(x, k)))]


_exact_rising = real(mp.rf)
define_formula("rising", lambda x, k: sp.gamma(x + k) / sp.gamma(x))
elementwise(
    "rising",
    _rising_partials,
    _numpy(_exact_rising),
    _exact_rising,
    expand=_rising,
    latex=r"\left({0}\right)_{{1}}",
    summary="the rising factorial Γ(x + k)/Γ(x); derivative by x: its value times ψ(x + k) - ψ(x)",
    source=DLMF + "5.2.5",
)

# -- the inverse of the cotangent ----------------------------------------------------------------


def _acot(t: T, node: N) -> N:
    """atan(1/x), next to zero pi/2 - atan(x): there 1/x has no derivative."""
    (x,) = node.args
    quarter = where(t, below(t, x, 0), -sp.pi / 2, sp.pi / 2)
    near = t.sub(quarter, t.call("atan", x))
    return where(t, below(t, t.call("abs", x), 1), near, t.call("atan", t.pow(x, -1)))


declare_elementwise(
    "acot",
    _acot,
    lambda t, y: [t.neg(t.pow(t.add(t.full(1, y.shape), t.pow(y.args[0], 2)), -1))],
    sp.acot,
    latex=r"\operatorname{acot}\left({0}\right)",
    summary="acot(x) = atan(1/x), with acot(0) = pi/2; derivative -1/(1 + x²)",
    source=DLMF + "4.23.9",
)

# -- quotients that are smooth at zero ------------------------------------------------------------


def _series(t: T, x: N, start: int, first: sp.Expr, cut: float, half: int) -> N:
    """first (1 - u/(2m) + ...), u = x**2, in Horner form: the term of u**k is that before it divided by
    -2 k (2 start + 2 k + half); right to the last digit for |x| <= cut."""
    terms, size, k = [first], 1.0, 0
    while size > 1e-18:
        k += 1
        below_it = 2 * k * (2 * start + 2 * k + half)
        terms.append(-terms[-1] / below_it)
        size *= cut**2 / below_it
    square = t.mul(x, x)
    total = t.constant(terms[-1])
    for term in reversed(terms[:-1]):
        total = t.add(t.constant(term), t.mul(square, total))
    return total


def _away(t: T, x: N, near: N) -> N:
    """x, and 1 where it is near zero: what is divided by it is not taken there."""
    return where(t, near, 1, x)


def _sinc(t: T, node: N) -> N:
    (x,) = node.args
    near = t.call("equal", x, t.constant(0))
    return where(t, near, 1, t.div(t.call("sin", x), _away(t, x, near)))


def _order_of(node: N) -> int:
    order = node.attrs[0]
    assert isinstance(order, int)
    return order


def _spherical(t: T, node: N) -> N:
    """A series up to |x| = n + 1/2, beyond it the recurrence x**2 S(n + 1) = (2 n + 1) S(n) - S(n - 1)."""
    (x,), n = node.args, _order_of(node)
    cut = n + 0.5
    near = below(t, t.call("abs", x), sp.Rational(2 * n + 1, 2))
    series = _series(t, x, n, sp.Rational(1, sp.factorial2(2 * n + 1)), cut, 1)
    away = _away(t, x, near)
    square = t.mul(away, away)
    before, value = t.call("cos", x), t.div(t.call("sin", x), away)
    for k in range(n):
        before, value = value, t.div(t.sub(t.mul(t.constant(2 * k + 1), value), before), square)
    return where(t, near, series, value)


def _bessel(t: T, node: N) -> N:
    """A series up to |x| = n, beyond it x**2 T(n + 1) = 2 n T(n) - T(n - 1), T(n) = J_n(x)/x**n."""
    (x,), n = node.args, _order_of(node)
    near = below(t, t.call("abs", x), n)
    first = sp.Rational(1, 2**n * math.factorial(n))
    series = _series(t, x, n, first, float(n), 0)
    away = _away(t, x, near)
    square = t.mul(away, away)
    before, value = t.call("j0", x), t.div(t.call("j1", x), away)
    for k in range(1, n):
        before, value = value, t.div(t.sub(t.mul(t.constant(2 * k), value), before), square)
    return where(t, near, series, value)


def _limit(x: Any, series: Callable[[Any], Any]) -> Any:
    if not mp.isfinite(x):  # mpmath has a value for NaN
        return mp.mpf(0) if mp.isinf(x) else mp.nan
    return series(-x * x / 4)


def _exact_spherical(n: int, x: Any) -> Any:
    return _limit(x, lambda u: mp.hyp0f1(n + mp.mpf(3) / 2, u) / mp.fac2(2 * n + 1))


def _exact_bessel(n: int, x: Any) -> Any:
    return _limit(x, lambda u: mp.hyp0f1(n + 1, u) / (mp.mpf(2) ** n * mp.fac(n)))


def _ratio(
    name: str,
    expand: Any,
    exact: Callable[[int, Any], Any],
    formula: Any,
    latex: str,
    letter: str,
    source: str,
) -> None:
    """The family f_n(x)/x**n with the order n as attribute."""

    def partials(t: T, y: N) -> Sequence[N | None]:
        return [t.neg(t.mul(y.args[0], t.make(name, y.args, (_order_of(y) + 1,))))]

    value = real(exact)
    define_formula(name, formula, attrs=[("", None)])
    elementwise(
        name,
        partials,
        lambda attrs, x: _numpy(lambda v: value(attrs[0], v))(x),
        lambda attrs, x: value(attrs[0], x),
        takes_attrs=True,
        expand=expand,
        latex=latex,
        summary=f"{letter}_n(x)/x^n, smooth at 0; derivative -{letter}_(n+1)(x)/x^n",
        source=source,
    )


def _sinc_value(x: Any) -> Any:
    return mp.nan if mp.isinf(x) else mp.sinc(x)


define_formula("sinc", lambda x: sp.Piecewise((sp.sin(x) / x, sp.Ne(x, 0)), (1, True)))
elementwise(
    "sinc",
    lambda t, y: [t.neg(t.mul(y.args[0], t.make("spherical_ratio", y.args, (1,))))],
    lambda x: np.sinc(np.asarray(x, float) / np.pi),
    real(_sinc_value),
    expand=_sinc,
    summary="sin(x)/x, 1 at 0; derivative (cos(x) - sin(x)/x)/x = -j_1(x)",
    source=DLMF + "10.49.3",
)
_ratio(
    "spherical_ratio",
    _spherical,
    _exact_spherical,
    lambda x, n: sp.expand_func(sp.jn(n, x)) / x**n,
    r"\frac{j_{{1}}\left({0}\right)}{{{0}}^{{1}}}",
    "j",
    DLMF + "10.51.5",
)
_ratio(
    "bessel_ratio",
    _bessel,
    _exact_bessel,
    lambda x, n: sp.besselj(n, x) / x**n,
    r"\frac{J_{{1}}\left({0}\right)}{{{0}}^{{1}}}",
    "J",
    DLMF + "10.6.6",
)


def _exact_j(order: int) -> Callable[..., Any]:
    return lambda x: mp.mpf(0) if mp.isinf(x) else mp.besselj(order, x)


_declare(
    "j0",
    lambda t, x, y: t.neg(t.call("j1", x)),
    _exact_j(0),
    lambda x: sp.besselj(0, x),
    latex=r"J_0\left({0}\right)",
    summary="the Bessel function J_0(x); derivative -J_1(x)",
    source=DLMF + "10.2.2",
)
_declare(
    "j1",
    lambda t, x, y: t.sub(t.call("j0", x), t.make("bessel_ratio", (x,), (1,))),
    _exact_j(1),
    lambda x: sp.besselj(1, x),
    latex=r"J_1\left({0}\right)",
    summary="the Bessel function J_1(x); derivative J_0(x) - J_1(x)/x",
    source=DLMF + "10.2.2",
)

# -- other logarithms, hypot, the remainder -------------------------------------------------------


def _over(constant: sp.Expr) -> Callable[[T, N, N], N]:
    return lambda t, x, y: t.mul(t.constant(1 / constant), t.pow(x, -1))


def _logarithm(base: int) -> Callable[..., Any]:
    return lambda x: mp.ninf if x == 0 else mp.log(x, base)


for _base in (2, 10):
    _declare(
        f"log{_base}",
        _over(sp.log(_base)),
        _logarithm(_base),
        lambda x, base=_base: sp.log(x) / sp.log(base),
        None,
        summary=f"log(x)/log({_base})",
    )
_declare(
    "exp2",
    lambda t, x, y: t.mul(t.constant(sp.log(2)), y),
    lambda x: mp.power(2, x),
    lambda x: 2**x,
    summary="2^x; derivative log(2) 2^x",
)


def _hypot(t: T, node: N) -> N:
    """m sqrt(1 + (r/m)**2), m the larger and r the smaller size: neither overflow nor underflow."""
    a, b = (t.call("abs", v) for v in node.args)
    top, rest = t.call("maximum", a, b), t.call("minimum", a, b)
    flat = t.call("or", t.call("equal", top, t.constant(0)), t.call("equal", top, t.constant(sp.oo)))
    ratio = t.div(rest, where(t, flat, 1, top))
    root = t.pow(t.add(t.full(1, node.shape), t.pow(ratio, 2)), sp.Rational(1, 2))
    return where(t, flat, top, t.mul(top, root))


def _hypot_partials(t: T, y: N) -> list[N | None]:
    inside = t.call("not_equal", y, t.constant(0))
    return [where(t, inside, t.div(v, y), 0) for v in y.args]


define_formula("hypot", lambda a, b: sp.sqrt(a**2 + b**2))
elementwise(
    "hypot",
    _hypot_partials,
    np.hypot,
    lambda a, b: mp.inf if mp.isinf(a) or mp.isinf(b) else mp.hypot(a, b),
    expand=_hypot,
    kinks=lambda t, y: [y],
    summary="sqrt(a² + b²) without overflow; derivative a/sqrt(a² + b²), 0 at the origin",
)


def _mod(t: T, node: N) -> N:
    """a - b floor(a/b) as `numpy.mod` has it: the remainder r of the sizes, exact, then r or |b| - r.

    Each step takes 50 bits off the quotient (21 in single precision), the next one what its rounding left.
    """
    a, b = node.args
    size, unit = t.call("abs", a), t.call("abs", b)
    zero = t.full(0, node.shape)
    rest = size
    for _ in range(3):
        rest = t.sub(rest, t.mul(unit, t.call("floor", t.div(rest, unit))))
    rest = where(
        t, below(t, rest, zero), t.add(rest, unit), where(t, below(t, rest, unit), rest, t.sub(rest, unit))
    )
    rest = where(t, below(t, size, unit), size, rest)
    apart = below(t, t.mul(t.call("sign", a), t.call("sign", b)), zero)
    changed = t.call("and", apart, t.call("not_equal", rest, zero))
    return t.mul(t.call("sign", b), where(t, changed, t.sub(unit, rest), rest))


def _mod_partials(t: T, y: N) -> list[N | None]:
    """1 and -floor(a/b), the latter from the value: a/b rounded may be another whole number."""
    a, b = y.args
    half = t.full(sp.Rational(1, 2), y.shape)
    return [t.constant(1), t.neg(t.call("floor", t.add(t.div(t.sub(a, y), b), half)))]


def _exact_mod(a: Any, b: Any) -> Any:
    return mp.nan if b == 0 or mp.isinf(a) or mp.isinf(b) else a - b * mp.floor(a / b)


define_formula("mod", sp.Mod)
elementwise(
    "mod",
    _mod_partials,
    np.mod,
    real(_exact_mod),
    expand=_mod,
    latex=r"{0} \bmod {1}",
    summary="a - b floor(a/b), of the sign of b; derivative 1 with respect to a",
)


# -- a maximum that is shared ---------------------------------------------------------------------


def _shared(name: str, pair: str, formula: Callable[..., Any], pick: Callable[..., Any], ufunc: Any) -> None:
    """The maximum or minimum of any number of operands; at a tie the gradient is shared evenly."""

    def expand(t: T, node: N) -> N:
        value = node.args[0]
        for other in node.args[1:]:
            value = t.make(pair, (value, other))
        return t.broadcast(value, node.shape)

    def partials(t: T, y: N) -> list[N | None]:
        one, zero = t.constant(1), t.constant(0)
        hits = [t.call("equal", a, y) for a in y.args]
        share = t.pow(t.add(*[t.select(hit, one, zero) for hit in hits]), -1)
        return [t.select(hit, share, zero) for hit in hits]

    def exact(*values: Any) -> Any:
        return mp.nan if any(mp.isnan(v) for v in values) else pick(values)

    def kinks(t: T, y: N) -> list[N]:
        return [t.sub(a, b) for a, b in zip(y.args, y.args[1:], strict=False)]

    define_formula(name, formula)
    elementwise(
        name,
        partials,
        lambda *values: ufunc.reduce(np.broadcast_arrays(*values)),
        exact,
        expand=expand,
        kinks=kinks,
        summary=f"the {pair} of its operands; at a tie the gradient is shared evenly",
        source="torch.amax, torch.amin",
    )


_shared("shared_maximum", "maximum", sp.Max, max, np.maximum)
_shared("shared_minimum", "minimum", sp.Min, min, np.minimum)
