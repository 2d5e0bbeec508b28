"""Fit the tables of polynomials that processors with AVX-512 look up, and write `piece_coefficients.py`.

    python tests/tools/fit_pieces.py [NAME ...]     fit all (or print the named ones only)

A register holds eight numbers (float32: sixteen), and one instruction takes from it what a lane asks for: a
coefficient for each of as many pieces of a range. A piece is a polynomial of d, the distance from its middle;
the value in the middle comes as a number and what that lacks, the other coefficients are fitted as those of
`fit_coefficients.py` are. Row j of a table has coefficient j of all pieces, in the order of the low bits of
the number of the piece.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
from mpmath import mpf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools.fit_coefficients import Number, Table, fit, literal, round_to

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


FAMILIES: tuple[Callable[[], Table], ...] = (bells,)


def main(names: list[str]) -> None:
    """Write the module, or print the families named."""
    tables: dict[str, Any] = {}
    for family in FAMILIES:
        if not names or family.__name__ in names:
            tables[f"# {family.__name__}: {(family.__doc__ or '').strip()}"] = None
            tables.update(family())
    lines = [
        '"""Tables of polynomials, written by tests/tools/fit_pieces.py, which says what they are."""',
        "",
    ]
    for name, value in tables.items():
        lines.append(f"\n{name}" if name.startswith("#") else f"{name} = {literal(value)}")
    text = "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"
    if names:
        print(text)
        return
    path = Path(__file__).parents[2] / "symprop/emit/math/piece_coefficients.py"
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
