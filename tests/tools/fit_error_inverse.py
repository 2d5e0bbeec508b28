"""Fit the polynomials of erfi and of the inverses of erf and erfc, and write `error_inverse_coefficients.py`.

    python tests/tools/fit_error_inverse.py [NAME ...]     fit all (or print the named ones only)

The fitting is that of `fit_coefficients.py`.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

import mpmath
from fit_coefficients import Number, Table, fit, split, write_tables
from mpmath import mpf

ROOT_OF_PI = mpmath.sqrt(mpmath.pi)
TERMS = 21  # of the pieces of erfi
FAR = mpf("1e-4")  # 1/x^2 far beyond the place where erfi overflows


def flat(t: Number) -> Number:
    """The error itself counts."""
    return mpf(1)


def row(middle: Number, first: Number, others: Sequence[Number]) -> list[Number]:
    """The row of a piece: its middle, the value there, what that lacks, the other coefficients."""
    return [middle, *split(first, [53], "double"), *others]


def height(x: Number) -> Number:
    """exp(-x^2) erfi(x)"""
    return mpmath.exp(-x * x) * mpmath.erfi(x)


def erfi() -> Table:
    """erfi(x) = x (ERFI_SLOPE + x^2 ERFI_NEAR(x^2)), |x| <= 1; exp(x^2) p(x - middle) with the
    row of ERFI from ERFI_STARTS[k] on (middle, p(0) as a pair, further coefficients); exp(x^2) p(1/x^2)/x
    with the last row"""
    slope = 2 / ROOT_OF_PI
    near = fit(
        lambda u: (mpmath.erfi(mpmath.sqrt(u)) / mpmath.sqrt(u) - slope) / u if u else slope / 3,
        mpf("1e-6"),
        mpf(1),
        range(13),
        "double",
        lambda u: u / slope,
        None,
        "erfi near",
    )
    rows, starts = [], [mpf(k) for k in ("1", "1.75", "2.75", "4", "6")]
    for low, high in itertools.pairwise(starts):
        middle = (low + high) / 2
        first, *others = fit(
            lambda t, m=middle: height(m + t),
            low - middle,
            high - middle,
            range(TERMS),
            "double",
            lambda t, m=middle: 1 / height(m + t),
            {0: height(middle)},
            f"erfi from {mpmath.nstr(low, 3)}",
        )
        rows.append(row(middle, first, others))
    first, *others = fit(
        lambda u: height(1 / mpmath.sqrt(u)) / mpmath.sqrt(u),
        FAR,
        1 / starts[-1] ** 2,
        range(15),
        "double",
        lambda u: ROOT_OF_PI,
        {0: 1 / ROOT_OF_PI},
        "erfi far",
    )
    rows.append(row(mpf(0), first, [*others, *[mpf(0)] * (TERMS - 15)]))
    return {
        "ERFI_SLOPE": split(slope, [53], "double"),
        "ERFI_NEAR": near,
        "ERFI_STARTS": starts,
        "ERFI": rows,
    }


def inverse_of_erf(x: Number) -> Number:
    """By Newton's rule."""
    y = x
    for _ in range(60):
        step = (mpmath.erf(y) - x) * ROOT_OF_PI / 2 * mpmath.exp(y * y)
        y -= step
        if abs(step) < abs(y) * mpmath.eps * 4:
            break
    return y


def inverse_of_erfc(log: Number) -> Number:
    """The y of log(erfc(y)) = log, for log < -1/2."""
    y = mpmath.sqrt(-log) * mpf("0.9")
    for _ in range(60):
        value = mpmath.erfc(y)
        step = (mpmath.log(value) - log) * value * ROOT_OF_PI / 2 * mpmath.exp(y * y)
        y += step
        if abs(step) < y * mpmath.eps * 64:
            break
    return y


def inverses() -> Table:
    """the inverse of erf is x (INVERSE_SLOPE + x^2 INVERSE_NEAR(x^2)), |x| <= 1/2; that of erfc at z <= 1/2
    r + p(r - middle), r = sqrt(-log(z)), with the row of INVERSE from INVERSE_STARTS[k] on"""
    slope = ROOT_OF_PI / 2
    near = fit(
        lambda u: (inverse_of_erf(mpmath.sqrt(u)) / mpmath.sqrt(u) - slope) / u,
        mpf("1e-6"),
        mpf("0.25"),
        range(16),
        "double",
        lambda u: u / slope,
        None,
        "inverse near",
    )
    rows = []
    ends = [mpf(k) for k in ("0.8125", "1.375", "2.375", "4.25", "8", "15", "27.5")]
    for low, high in itertools.pairwise(ends):
        middle = (low + high) / 2
        first, *others = fit(
            lambda t, m=middle: inverse_of_erfc(-((m + t) ** 2)) - (m + t),
            max(low, mpf("0.832")) - middle,
            high - middle,
            range(20),
            "double",
            lambda t, m=middle: 1 / (m + t - mpf("0.35")),
            {0: inverse_of_erfc(-(middle**2)) - middle},
            f"inverse from {mpmath.nstr(low, 3)}",
        )
        rows.append(row(middle, first, others))
    return {
        "INVERSE_SLOPE": split(slope, [53], "double"),
        "INVERSE_NEAR": near,
        "INVERSE_STARTS": ends[:-1],
        "INVERSE": rows,
    }


FAMILIES = (erfi, inverses)


def main(names: Sequence[str]) -> None:
    """Write the module of all tables, or print the families named."""
    write_tables("fit_error_inverse", "error_inverse_coefficients", FAMILIES, names)


if __name__ == "__main__":
    main(sys.argv[1:])
