"""erfi, and the inverses of erf and erfc."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.functions.elementwise import REACH, elementwise, exact_erfc, exact_exp, real
from symprop.graph import Node, NodeTable

__all__ = ["exact_erfcinv", "exact_erfi", "exact_erfinv"]

_FAR = 2.0**12  # from here on the series of erfi has more digits than anybody asks for
DLMF = "NIST Digital Library of Mathematical Functions, "


def exact_erfi(x: Any) -> Any:
    """erf(i x)/i; far out by its asymptotic series (DLMF 7.12.1)."""
    if mp.isinf(x):
        return x
    if not abs(x) > _FAR:
        return mp.erfi(x)
    square = mp.fmul(x, x, exact=True)
    term = total = mp.mpf(1)
    k = 0
    while abs(term) > mp.eps:
        term *= (2 * k + 1) / (2 * square)
        total, k = total + term, k + 1
    return exact_exp(square) * total / (x * mp.sqrt(mp.pi))


def _newton(start: Any, step: Callable[[Any], Any]) -> Any:
    """The end of y - step(y), whose relative error each step squares, up to a factor of the order of 1."""
    y = start
    while True:
        change = step(y)
        y -= change
        if not abs(change) > abs(y) * mp.ldexp(1, -mp.mp.prec // 2 - 8):
            return y


def _inner(value: Any) -> Any:
    """y with erf(y) = value of a size of at most 1/2, from the side from which Newton's rule comes nearer."""
    with mp.extraprec(20):
        half = mp.sqrt(mp.pi) / 2
        y = _newton(value * half, lambda y: (mp.erf(y) - value) * half * mp.exp(y * y)) if value else value
    return +y


def _outer(rest: Any) -> Any:
    """y with erfc(y) = rest, at most 1/2, by its logarithm, which is nearly a parabola."""
    with mp.extraprec(20):
        log, half = mp.log(rest), mp.sqrt(mp.pi) / 2

        def step(y: Any) -> Any:
            tail = exact_erfc(y)
            return (log - mp.log(tail)) * tail * half * mp.exp(y * y)

        y = _newton(mp.sqrt(-log), step)
    return +y


def exact_erfinv(x: Any) -> Any:
    """The inverse of erf: infinite at -1 and 1."""
    size = abs(x)
    if not size < 1:
        return x * mp.inf if size == 1 else mp.nan
    return _inner(x) if 2 * size <= 1 else mp.sign(x) * _outer(mp.fsub(1, size, exact=True))


def exact_erfcinv(x: Any) -> Any:
    """The inverse of erfc: infinite at 0 and 2."""
    if not 0 < x < 2:
        return mp.inf if x == 0 else (mp.ninf if x == 2 else mp.nan)
    if 2 * x < 1:
        return _outer(x)
    return -_outer(mp.fsub(2, x, exact=True)) if 2 * x > 3 else _inner(mp.fsub(1, x, exact=True))


def _exponential(scale: sp.Expr, of_value: bool) -> Callable[[NodeTable, Node], list[Node | None]]:
    """The derivative scale exp(x**2), or scale exp(y**2) of the value y."""

    def partials(t: NodeTable, y: Node) -> list[Node | None]:
        inside = y if of_value else y.args[0]
        return [t.mul(t.constant(scale), t.call("exp", t.pow(inside, 2)))]

    return partials


def _declare(
    name: str,
    exact: Callable[[Any], Any],
    partials: Callable[[NodeTable, Node], list[Node | None]],
    reach: int | None,
    summary: str,
    source: str,
) -> None:
    value = real(exact, reach)
    reference = np.vectorize(lambda x: float(value(mp.mpf(float(x)))), otypes=[float])
    elementwise(name, partials, reference, value, summary=summary, source=source)


_HALF = sp.sqrt(sp.pi) / 2
_declare(
    "erfi",
    exact_erfi,
    _exponential(1 / _HALF, False),
    REACH,
    "erf(i x)/i; derivative 2 exp(x²)/sqrt(pi)",
    DLMF + "7.2.1",
)
_declare(
    "erfinv",
    exact_erfinv,
    _exponential(_HALF, True),
    None,
    "the inverse of erf, from -1 to 1; derivative sqrt(pi)/2 exp(erfinv(x)²)",
    DLMF + "7.17.1",
)
_declare(
    "erfcinv",
    exact_erfcinv,
    _exponential(-_HALF, True),
    None,
    "the inverse of erfc, from 0 to 2; derivative -sqrt(pi)/2 exp(erfcinv(x)²)",
    DLMF + "7.17.1",
)
