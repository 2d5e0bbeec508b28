"""Fit the tables of polynomials that processors with AVX-512 look up, and write `bell_pieces.py` and its kin.

    python tests/tools/fit_pieces.py [NAME ...]     fit all (or print the named ones only)

A register holds eight numbers (float32: sixteen), and one instruction takes from it what a lane asks for: a
coefficient for each of as many pieces of a range. A piece is a polynomial of d, the distance from its middle;
the value in the middle comes as a number and what that lacks, the other coefficients are fitted as those of
`fit_coefficients.py` are. Row j of a table has coefficient j of all pieces, in the order of the low bits of
the number of the piece.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import mpmath
from mpmath import mpf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools.fit_coefficients import Number, Table, fit, literal, round_to, split

PLACES = {"double": 8, "float": 16}
Rows = list[list[Number]]


def pieces(
    name: str,
    function: Callable[[Number], Number],
    ends: tuple[Number, Number],
    step: Number,
    terms: int,
    element: str,
) -> Rows:
    """The rows for multiples of a step as middles: the value, what it lacks, then `terms` coefficients."""
    places = PLACES[element]
    low, high = ends
    first, last = (int(mpmath.nint(end / step)) for end in ends)
    assert last - first < places
    rows: Rows = [[mpf(0)] * places for _ in range(terms + 2)]
    for k in range(first, last + 1):
        middle, slack = k * step, step * mpf("0.501")
        value = function(middle)
        high_part = round_to(value, element)
        low_part = round_to(value - high_part, element)

        def slope(d: Number, middle: Number = middle, known: Number = high_part + low_part) -> Number:
            return (function(middle + d) - known) / d

        def weight(d: Number, middle: Number = middle) -> Number:
            return abs(d / function(middle + d))

        start, stop = max(low - middle, -slack), min(high - middle, slack)
        found = fit(slope, start, stop, range(terms), element, weight, None, f"{name} {k}")
        for row, c in zip(rows, [high_part, low_part, *found], strict=True):
            row[k % places] = c
    return rows


def bent_pieces(
    name: str,
    function: Callable[[Number], Number],
    edges: list[Number],
    first: int,
    terms: int,
    element: str,
    slope: Callable[[Number], Number],
) -> Rows:
    """The rows for pieces between edges, of which the first one has the number `first`: the middle, the value
    there and what it lacks, the slope and what it lacks, then `terms` coefficients. The middle of a piece
    that begins at 0 is 0."""
    places = PLACES[element]
    rows: Rows = [[mpf(0)] * places for _ in range(terms + 5)]
    for k, (low, high) in enumerate(itertools.pairwise(edges)):
        middle = round_to((low + high) / 2, element) if low else mpf(0)
        known = []
        for exact in (function(middle), slope(middle)):
            known.append(round_to(exact, element))
            known.append(round_to(exact - known[-1], element))

        def rest(d: Number, middle: Number = middle, known: list[Number] = known) -> Number:
            return ((function(middle + d) - known[0] - known[1]) / d - known[2] - known[3]) / d

        def weight(d: Number, middle: Number = middle) -> Number:
            return abs(d * d / function(middle + d))

        start = low - middle if low else mpf("1e-12")
        found = fit(rest, start, high - middle, range(terms), element, weight, None, f"{name} {k}")
        for row, c in zip(rows, [middle, *known, *found], strict=True):
            row[(first + k) % places] = c
    return rows


def error() -> Table:
    """erf(y) = value + d (slope + d ERF(d)), d = y - middle: pieces of 1/2 to 2, of 1 to 6 (float: half)"""
    edges = [mpf(k) / 2 for k in range(4)] + [mpf(k) for k in range(2, 7)]
    half = [mpf(k) / 4 for k in range(8)] + [mpf(k) / 2 for k in range(4, 13)]
    return {
        "ERF": {
            e: bent_pieces(
                "ERF",
                mpmath.erf,
                ends,
                0,
                terms,
                e,
                lambda y: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-y * y),
            )
            for e, ends, terms in (("double", edges, 15), ("float", half, 5))
        }
    }


def mills(scale: Number, half: Number, shift: Number) -> Callable[[Number], Number]:
    """half exp(v^2) erfc(v)/u with v = y/scale, u = 1/(y + shift): what is under a bell, over its height
    and u."""

    def value(u: Number) -> Number:
        v = (1 / u - shift) / scale
        return half * mpmath.erfc(v) * mpmath.exp(v * v) / u

    return value


def bells() -> Table:
    """cdf(-y) = exp(-y^2/2) u CDF(u), u = 1/(y + 4); erfc(y) = exp(-y^2) u ERFC(u), u = 1/(y + 2); y >= 0."""
    tables: Table = {}
    for name, scale, half, shift, tops in (
        ("CDF", mpmath.sqrt(2), mpf("0.5"), 4, {"double": 39, "float": mpf("14.8")}),
        ("ERFC", mpf(1), mpf(1), 2, {"double": mpf("27.6"), "float": mpf("10.5")}),
    ):
        tables[name] = {
            e: pieces(
                name,
                mills(scale, half, mpf(shift)),
                (1 / (tops[e] + shift), mpf("1.01") / shift),
                mpf(1) / (shift * PLACES[e]),
                {"double": 11, "float": 4}[e],
                e,
            )
            for e in PLACES
        }
    return tables


def root() -> Table:
    """cbrt(m) = value + d (slope + d CBRT(d)), d = m - middle, 1 <= m < 2; 2^(j/3), what it lacks"""
    table: Table = {"CBRT": {}, "CBRT_POWERS": {}}
    for e, terms in (("double", 9), ("float", 3)):
        edges = [1 + mpf(k) / PLACES[e] for k in range(PLACES[e] + 1)]
        table["CBRT"][e] = bent_pieces(
            "CBRT", mpmath.cbrt, edges, 0, terms, e, lambda m: 1 / (3 * mpmath.cbrt(m) ** 2)
        )
        exact = [mpmath.cbrt(mpf(2) ** (k % 8 % 3)) for k in range(PLACES[e])]
        high = [round_to(v, e) for v in exact]
        lacks = [round_to(v / h - 1, e) for v, h in zip(exact, high, strict=True)]
        table["CBRT_POWERS"][e] = [high, lacks]
    return table


def arc() -> Table:
    """atan(t) = value + d (slope + d ATAN(d)), d = t - middle, middles from 0 to 1; pi/2 in two parts"""
    last = PLACES["float"] - 1
    edges = [mpf(0), *((k - mpf("0.5")) / last for k in range(1, last + 2))]
    rows = bent_pieces("ATAN", mpmath.atan, edges, 0, 4, "float", lambda t: 1 / (1 + t * t))
    return {"ATAN": {"float": rows}, "HALF_PI": {"float": split(mpmath.pi / 2, [24], "float")}}


FAMILIES: dict[str, Callable[[], Table]] = {
    "bell_pieces": bells,
    "error_pieces": error,
    "root_pieces": root,
    "arc_pieces": arc,
}


def main(names: list[str]) -> None:
    """Write the modules of the families, or print those that are named."""
    for module, family in FAMILIES.items():
        if names and family.__name__ not in names:
            continue
        lines = [
            '"""Tables of polynomials, written by tests/tools/fit_pieces.py, which says what they are."""'
        ]
        lines += ["", f"# {family.__name__}: {(family.__doc__ or '').strip()}"]
        lines += [f"{name} = {literal(value)}" for name, value in family().items()]
        text = "\n".join(lines) + "\n"
        if names:
            print(text)
        else:
            path = Path(__file__).parents[2] / f"symprop/emit/math/{module}.py"
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
