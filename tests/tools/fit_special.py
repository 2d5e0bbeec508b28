"""Fit the polynomials of the polygamma and Bessel functions, and write `special_coefficients.py`.

    python tests/tools/fit_special.py [NAME ...]     fit all (or print the named ones only)

The fitting is that of `fit_coefficients.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import mpmath
from fit_coefficients import Number, Table, fit, round_to, split, write_tables
from mpmath import mpf

ORDERS = (1, 2, 3, 4)
Pieces = Sequence[tuple[str, str, str]]


def flat(t: Number) -> Number:
    """The error itself counts."""
    return mpf(1)


def polygamma() -> Table:
    """psi_n(y) = (-1)^(n+1) (n-1)! y^-n (1 + n/(2 y) + POLYGAMMA[n](1/y^2)/y^2), y >= 8."""

    def rest(n: int) -> Callable[[Number], Number]:
        def value(u: Number) -> Number:
            y = 1 / mpmath.sqrt(u)
            scaled = abs(mpmath.polygamma(n, y)) * y**n / mpmath.factorial(n - 1)
            return (scaled - 1 - n / (2 * y)) / u

        return value

    return {
        "POLYGAMMA": {
            str(n): fit(
                rest(n), mpf("1e-5"), mpf(1) / 64, range(11), "double", lambda u: u, None, f"POLYGAMMA {n}"
            )
            for n in ORDERS
        },
        "POWERS_OF_PI": {str(n + 1): split(mpmath.pi ** (n + 1), [53], "double") for n in ORDERS},
    }


def centre_of_root(order: int, near: str) -> Number:
    """A zero of the Bessel function; 0 for the piece around the origin."""
    return mpmath.findroot(lambda x: mpmath.besselj(order, x), mpf(near)) if near != "0" else mpf(0)


def pieces_of(order: int, pieces: Pieces) -> list[list[Number]]:
    """For each piece (zero, from, to) f(x)/t in powers of t = x - zero; around the origin f(x)/x^order in
    powers of x^2."""
    found = []
    for near, start, stop in pieces:
        root = centre_of_root(order, near)

        def value(t: Number, root: Number = root) -> Number:
            if root:
                slope = mpmath.besselj(order, root, derivative=1)
                return mpmath.besselj(order, root + t) / t if t else slope
            x = mpmath.sqrt(t)
            return mpmath.besselj(order, x) / x**order if x else mpf(1) / 2**order

        low, high = (mpf(start) - root, mpf(stop) - root) if root else (mpf(0), mpf(stop) ** 2)
        found.append(fit(value, low, high, range(19), "double", flat, None, f"J{order} near {near}"))
    return found


def modulus(order: int, start: str, terms: int) -> list[list[Number]]:
    """P and Q of J(x) = sqrt(2/(pi x)) (P cos(c) - Q sin(c)/x), c = x - (2 order + 1) pi/4, in powers of
    1/x^2."""

    def value(which: int) -> Callable[[Number], Number]:
        def part(u: Number) -> Number:
            if u == 0:
                return mpf(1) if which == 0 else mpf(4 * order**2 - 1) / 8
            x = 1 / mpmath.sqrt(u)
            j, y = mpmath.besselj(order, x), mpmath.bessely(order, x)
            angle = x - (2 * order + 1) * mpmath.pi / 4
            c, s = mpmath.cos(angle), mpmath.sin(angle)
            scale = mpmath.sqrt(mpmath.pi * x / 2)
            return scale * (j * c + y * s) if which == 0 else scale * (y * c - j * s) * x

        return part

    top = 1 / mpf(start) ** 2
    return [
        fit(value(k), mpf("1e-7"), top, range(terms), "double", flat, None, f"PQ {order}") for k in (0, 1)
    ]


def roots(order: int, near: Sequence[str]) -> list[list[Number]]:
    """The zeros as pairs of doubles."""
    found = []
    for text in near:
        root = centre_of_root(order, text)
        high = round_to(root, "double") if root else mpf(0)
        found.append([high, round_to(root - high, "double") if root else mpf(0)])
    return found


def bessel() -> Table:
    """j0 and j1: polynomials about the zeros up to BESSEL_FAR, beyond it modulus and phase."""
    table: Table = {}
    for order, pieces, far in (
        (0, (("0", "0", "1.2"), ("2.4048", "1.2", "3.95"), ("5.5201", "3.95", "7.1")), "7.1"),
        (1, (("0", "0", "2"), ("3.8317", "2", "5.45"), ("7.0156", "5.45", "8.6")), "8.6"),
    ):
        table[f"J{order}_PIECES"] = pieces_of(order, pieces)
        table[f"J{order}_ROOTS"] = roots(order, [p[0] for p in pieces])
        table[f"J{order}_STARTS"] = [mpf(p[1]) for p in pieces] + [mpf(far)]
        table[f"J{order}_MODULUS"] = modulus(order, far, 15)
    table["ROOT_OF_1_OVER_PI"] = [1 / mpmath.sqrt(mpmath.pi)]
    return table


FAMILIES = (polygamma, bessel)


def main(names: Sequence[str]) -> None:
    """Write the module of all tables, or print the families named."""
    write_tables("fit_special", "special_coefficients", FAMILIES, names)


if __name__ == "__main__":
    main(sys.argv[1:])
