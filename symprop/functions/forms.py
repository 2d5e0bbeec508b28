"""Forms that the rewriting makes to keep digits: slopes, exponentials of products and of differences, gaps.

No formula of a user holds them; they stand in programs only. Each is what its name says, computed in a way
that neither overflows nor cancels.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.functions import special
from symprop.functions.elementwise import elementwise, exact_exp, real
from symprop.functions.symbols import define_formula, formula_of
from symprop.graph import OPERATIONS, Node, NodeTable

__all__: list[str] = []

T = NodeTable
N = Node


def _exact_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of mpmath on arrays of float64."""
    return np.vectorize(lambda *v: float(function(*[mp.mpf(float(x)) for x in v])), otypes=[float])


def _declare(
    name: str,
    partials: Callable[[T, N], Sequence[N | None]],
    exact: Callable[..., Any],
    formula: Callable[..., Any],
    **more: Any,
) -> None:
    value = real(exact)
    define_formula(name, formula)
    elementwise(name, partials, _exact_values(value), value, lowered=True, **more)


def _exact_tanh_prime(x: Any) -> Any:
    z = mp.exp(-2 * abs(x))
    return 4 * z / (1 + z) ** 2


def _exact_sigmoid_prime(x: Any) -> Any:
    z = mp.exp(-abs(x))
    return z / (1 + z) ** 2


def _exact_gap(x: Any) -> Any:
    if mp.isinf(x):
        return x
    with mp.extraprec(200 if abs(x) < 1 else 0):  # the leading terms cancel to x**3/3
        return x - mp.tanh(x) if abs(x) > 1e-15 else x**3 / 3


_declare(
    "tanh_prime",
    lambda t, y: [t.mul(t.constant(-2), t.call("tanh", y.args[0]), y)],
    _exact_tanh_prime,
    lambda x: 1 - sp.tanh(x) ** 2,
    summary="1 - tanh(x)²; derivative -2 tanh(x) (1 - tanh(x)²)",
)
_declare(
    "sigmoid_prime",
    lambda t, y: [t.neg(t.mul(y, t.call("tanh", t.mul(t.constant(sp.Rational(1, 2)), y.args[0]))))],
    _exact_sigmoid_prime,
    lambda x: 1 / ((1 + sp.exp(-x)) * (1 + sp.exp(x))),
    summary="σ(x) (1 - σ(x)); derivative -tanh(x/2) σ(x) (1 - σ(x))",
)
_declare(
    "tanh_gap",
    lambda t, y: [t.pow(t.call("tanh", y.args[0]), 2)],
    _exact_gap,
    lambda x: x - sp.tanh(x),
    summary="x - tanh(x); derivative tanh(x)²",
)


def _product_partials(t: T, y: N) -> list[N | None]:
    """By each factor: the product of the others times the value; the correction of a constant has none."""
    extra, *factors = y.args
    whole = t.add(t.constant(1), extra)
    slopes = [t.mul(y, whole, *[a for k, a in enumerate(factors) if k != j]) for j in range(len(factors))]
    return [None, *slopes]


_declare(
    "exp_product",
    _product_partials,
    lambda e, *v: exact_exp((1 + e) * mp.fprod(v)),
    lambda e, *v: sp.exp((1 + e) * sp.Mul(*v)),
    summary="exp((1 + e) a b ...) of the unrounded product; e is what a rounded constant among them lost",
)
_declare(
    "exp_sum",
    lambda t, y: [y, y],
    lambda a, b: exact_exp(a + b),
    lambda a, b: sp.exp(a + b),
    summary="exp(a + b) of the unrounded sum; derivative exp(a + b)",
)


_declare(
    "exp_gap",
    lambda t, y: [
        t.mul(y, t.call("sign", t.sub(*y.args[::-1]))),
        t.mul(y, t.call("sign", t.sub(*y.args))),
    ],
    lambda a, b: mp.mpf(1) if a == b else exact_exp(-abs(a - b)),
    lambda a, b: sp.exp(-sp.Abs(a - b)),
    summary="exp(-|a - b|) of the unrounded difference, 1 for equal infinities",
)


def _declare_near(name: str) -> None:
    """The function of x + r, r what x lost when it was rounded."""
    plain = OPERATIONS[name]
    exact = plain.exact
    assert exact is not None

    def partials(t: T, y: N) -> list[N | None]:
        assert plain.partials is not None
        (slope,) = plain.partials(t, t.make(name, (t.add(*y.args),)))
        return [slope, slope]

    _declare(
        f"{name}_near",
        partials,
        lambda x, r: exact((), x + r),
        lambda x, r: formula_of(name)(x + r),
        summary=f"{name}(x + r), r what x lost when it was rounded",
    )


for _name in (
    *("exp", "expm1", "sinh", "cosh", "tanh", "tanh_prime", "sigmoid", "sigmoid_prime", "softplus"),
    *("normal_cdf", "erfc"),
):
    _declare_near(_name)


def _declare_rest(name: str, function: Callable[[Any, Any], Any], formula: str) -> None:
    """What a sum or product lost when it was rounded: of exact numbers nothing, and its slope is zero."""

    def reference(a: float, b: float) -> float:
        rounded = function(a, b)
        if not np.isfinite(rounded):
            return 0.0
        with mp.workprec(2200):
            return float(function(mp.mpf(a), mp.mpf(b)) - mp.mpf(float(rounded)))

    define_formula(name, lambda a, b: sp.S.Zero)
    elementwise(
        name,
        lambda t, y: [None, None],
        np.vectorize(reference, otypes=[float]),
        lambda a, b: 0 * (a + b),
        lowered=True,
        summary=f"what {formula} lost when it was rounded",
    )


def _exp_rest(x: float, r: float) -> float:
    with mp.workprec(200):
        value = mp.exp(mp.mpf(x) + mp.mpf(r))
        return float(value - mp.mpf(float(value)))


define_formula("exp_rest", lambda x, r: sp.S.Zero)
elementwise(
    "exp_rest",
    lambda t, y: [None, None],
    np.vectorize(_exp_rest, otypes=[float]),
    lambda x, r: 0 * (x + r),
    lowered=True,
    summary="what exp(x + r) lost when it was rounded, r what x lost",
)
_declare_rest("product_rest", operator.mul, "a b")
_declare_rest("sum_rest", operator.add, "a + b")
_declare(
    "root_of_squares",
    lambda t, y: [t.div(a, y) for a in y.args],
    lambda *v: mp.sqrt(mp.fsum(x * x for x in v)),
    lambda *v: sp.sqrt(sp.Add(*[x**2 for x in v])),
    summary="sqrt(a² + b² + ...) without overflow; derivative by a: a/sqrt(a² + b² + ...)",
)


def _declare_gamma_gap(name: str, slope: str) -> None:
    """f(a) - f(b) of the gamma family; d = a - b is exact where both have terms in common."""
    exact = OPERATIONS[name].exact
    assert exact is not None

    def value(a: Any, b: Any, d: Any) -> Any:
        with mp.extraprec(60):
            return exact((), a) - exact((), b)

    _declare(
        f"{name}_gap",
        lambda t, y: [t.call(slope, y.args[0]), t.neg(t.call(slope, y.args[1])), None],
        value,
        lambda a, b, d: formula_of(name)(a) - formula_of(name)(b),
        summary=f"{name}(a) - {name}(b), given d = a - b",
    )


for _name, _slope in zip(("loggamma", *special.POLYGAMMA), special.POLYGAMMA, strict=False):
    _declare_gamma_gap(_name, _slope)


def _exact_log_beta(a: Any, b: Any) -> Any:
    exact = OPERATIONS["loggamma"].exact
    assert exact is not None
    with mp.extraprec(60):
        return exact((), a) + exact((), b) - exact((), a + b)


def _log_beta_partials(t: T, y: N) -> list[N | None]:
    total = t.call("digamma", t.add(*y.args))
    return [t.sub(t.call("digamma", v), total) for v in y.args]


_declare(
    "log_beta",
    _log_beta_partials,
    _exact_log_beta,
    lambda a, b: sp.loggamma(a) + sp.loggamma(b) - sp.loggamma(a + b),
    summary="log|Γ(a) Γ(b)/Γ(a + b)|; derivative ψ(a) - ψ(a + b) with respect to a",
)


def _declare_gamma_rest(
    name: str, slope: Callable[[T, N], N], leading: Callable[[Any], Any], formula: Any
) -> None:
    """f(x) of the gamma family less its leading term for large x."""
    exact = OPERATIONS[name].exact
    assert exact is not None

    def value(x: Any) -> Any:
        with mp.extraprec(120):
            return exact((), x) - leading(x)

    _declare(
        f"{name}_rest",
        lambda t, y: [slope(t, y.args[0])],
        value,
        formula,
        summary=f"{name}(x) less its leading term for large x",
    )


_declare_gamma_rest(
    "digamma",
    lambda t, x: t.call("trigamma_rest", x),
    mp.log,
    lambda x: sp.digamma(x) - sp.log(x),
)
_declare_gamma_rest(
    "trigamma",
    lambda t, x: t.add(t.call("polygamma_2", x), t.pow(x, -2)),
    lambda x: 1 / x,
    lambda x: sp.polygamma(1, x) - 1 / x,
)
