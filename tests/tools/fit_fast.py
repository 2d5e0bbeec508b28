"""Fit the shorter polynomials of `accuracy="fast"`, and write `symprop/emit/math/fast_coefficients.py`.

    python tests/tools/fit_fast.py

The fitting is that of `fit_coefficients.py`; the errors are an ULP or two of a result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from fit_coefficients import ELEMENTS, Number, Table, fit, write_tables
from mpmath import mpf


def flat(x: Number) -> Number:
    """The error itself counts."""
    return mpf(1)


def exponential() -> Table:
    """exp(r) = 1 + r + r^2 EXP(r), |r| <= ln(2)/2; EXPM1: the error of exp(r) - 1 is made small."""
    half = mpmath.log(2) / 2 * mpf("1.0005")
    kinds: dict[str, Any] = {
        "EXP": (mpmath.exp, {"double": 9, "float": 4}),
        "EXPM1": (mpmath.expm1, {"double": 10, "float": 5}),
    }
    return {
        name: {
            e: fit(
                lambda r: (mpmath.expm1(r) - r) / r**2,
                -half,
                half,
                range(terms[e]),
                e,
                lambda r, whole=whole: r**2 / abs(whole(r)),
                None,
                name,
            )
            for e in ELEMENTS
        }
        for name, (whole, terms) in kinds.items()
    }


def logarithm() -> Table:
    """log(1 + f) as in `coefficients.py`; log(1 + z) = s (2 + s^2 LOG1P(s^2)), s = z/(2 + z) <= 1/3."""

    def tail(z: Number) -> Number:
        s = mpmath.sqrt(z)
        return (2 * mpmath.atanh(s) - 2 * s) / (s * z)

    top = mpf("0.33334") ** 2
    terms = {"double": 9, "float": 4}
    return {
        "LOG": {
            "double": fit(tail, 0, mpf("0.2001") ** 2, range(7), "double", lambda z: z, None, "LOG"),
            "float": fit(
                lambda f: (mpmath.log1p(f) - f) / f**2,
                mpf("-0.2501"),
                mpf("0.5001"),
                range(8),
                "float",
                lambda f: f**2 / abs(mpmath.log1p(f)),
                {0: mpf("-0.5")},
                "LOG",
            ),
        },
        "LOG1P": {e: fit(tail, 0, top, range(terms[e]), e, lambda z: z, None, "LOG1P") for e in ELEMENTS},
    }


def scaled(scale: Number, half: Number, grow: int, near: Number) -> Callable[[Number], Number]:
    """half (1 + grow y) exp(u^2) erfc(u), u = y/scale, as a function of t = (y - near)/(y + near)."""

    def value(t: Number) -> Number:
        y = near * (1 + t) / (1 - t)
        return half * (1 + grow * y) * mpmath.erfc(y / scale) * mpmath.exp((y / scale) ** 2)

    return value


def error() -> Table:
    """As in `coefficients.py`, without leading constants: erfc(y) = exp(-y^2) ERFC(t)/(1 + 2 y) and
    cdf(-y) = exp(-y^2/2) CDF(t)/(1 + y)."""
    root = mpmath.sqrt
    tails = {
        "ERFC": (mpf(1), mpf(1), 2, mpf("3.5"), "0.49", {"double": "28", "float": "10.3"}),
        "CDF": (root(mpf(2)), mpf("0.5"), 1, mpf("4.5"), "0.59", {"double": "39", "float": "14.6"}),
    }
    terms = {"double": (12, 16, 9, 22, 9), "float": (6, 7, 4, 10, 5)}
    table: Table = {
        "ERF_SMALL": {
            e: fit(
                lambda z: mpmath.erf(root(z)) / root(z) - 1,
                mpf("1e-12"),
                mpf("1.001"),
                range(terms[e][0]),
                e,
                flat,
                None,
                "ERF_SMALL",
            )
            for e in ELEMENTS
        },
        "ERF_LARGE": {
            e: fit(
                lambda d: mpmath.log(mpmath.erfc(1 + d), 2),
                mpf(0),
                mpf("4.95") if e == "double" else mpf("2.95"),
                range(terms[e][1]),
                e,
                lambda d: mpmath.erfc(1 + d),
                None,
                "ERF_LARGE",
            )
            for e in ELEMENTS
        },
        # beside 1 only a sixth of 2^r counts
        "EXP2": {
            e: fit(
                lambda r: (mpf(2) ** r - 1) / r,
                mpf("-0.501"),
                mpf("0.5012"),
                range(terms[e][2] + 1),
                e,
                abs,
                None,
                "EXP2",
            )
            for e in ELEMENTS
        },
        "ERF_NEAR": {
            e: fit(
                lambda z: mpmath.erf(root(z)) / root(z) - 1,
                mpf("1e-12"),
                mpf("0.2505"),
                range(terms[e][4]),
                e,
                flat,
                None,
                "ERF_NEAR",
            )
            for e in ELEMENTS
        },
        "CDF_NEAR": {
            e: fit(
                lambda z: (mpmath.ncdf(root(z)) - mpf("0.5")) / root(z),
                mpf("1e-12"),
                mpf("0.3605"),
                range(terms[e][4]),
                e,
                flat,
                None,
                "CDF_NEAR",
            )
            for e in ELEMENTS
        },
    }
    for name, (scale, half, grow, near, low, tops) in tails.items():
        function = scaled(scale, half, grow, near)
        table[name] = {
            e: fit(
                function,
                (mpf(low) - near) / (mpf(low) + near),
                (mpf(tops[e]) - near) / (mpf(tops[e]) + near),
                range(terms[e][3]),
                e,
                flat,
                None,
                name,
            )
            for e in ELEMENTS
        }
    return table


def main() -> None:
    """Write the module of all tables."""
    write_tables("fit_fast", "fast_coefficients", (exponential, logarithm, error), ())


if __name__ == "__main__":
    main()
