"""Text of a picture: how wide it is, names with subscripts, numbers in short.

Widths are the larger ones of DejaVu Sans and Liberation Sans (the metrics of Arial and Helvetica), so that no
common sans-serif font makes a text wider than its box.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from symprop.declare.names import GREEK, parts

__all__ = [
    "SMALL",
    "Line",
    "Span",
    "name_line",
    "number_text",
    "plain",
    "pretty",
    "shortened",
    "text_width",
    "wrapped",
]

# hundredths of an em: the characters that are no wider
_WIDTHS = {
    30: "'Iijl",
    33: " ,.·",
    36: "/:;\\f|ι",
    39: "-ᵀ",
    42: "!()[]rt²³¹",
    48: '"',
    51: "*J`‖",
    54: "sz∂⁻",
    57: "?L_cεζνξΓ–",
    60: "kvxyγκλυχ",
    63: "FTaeoδθοτϵ∘",
    66: "$0123456789bdghnpqu{}αβημρσφΞΣ√",
    69: "ABEKPSVXYZπΔΛ∇",
    72: "ψ",
    75: "CNRU",
    78: "&DGHΠΩ",
    81: "OQΘΦ",
    84: "#+<=>^w~ωΨ×−⊘≤≥≠∞÷",
    87: "M",
    96: "%",
    99: "Wm",
    102: "@…",
}
_EM = {character: width / 100 for width, characters in _WIDTHS.items() for character in characters}
_OTHER = 1.05  # any other character
SMALL = 0.75  # the size of a subscript and of a superscript

_GREEK_WORD = re.compile(rf"\b({'|'.join(GREEK)})(?=\d*\b)(?!\d*\()")


@dataclass(frozen=True)
class Span:
    """A run of characters in one style: "" upright, "name" italic, "sub" a subscript, "sup" a superscript."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


def plain(text: str) -> Line:
    """A line in one style."""
    return (Span(text),)


def text_width(line: Line | str, size: float) -> float:
    """The width in pixels of a line of that font size, rather too large than too small."""
    spans = plain(line) if isinstance(line, str) else line
    total = 0.0
    for span in spans:
        em = sum(_EM.get(character, _OTHER) for character in span.text)
        total += em * size * (SMALL if span.style in ("sub", "sup") else 1)
    return total


def name_line(name: str) -> Line:
    """A name as in a textbook: italic, Greek letters as such, trailing digits as a subscript; behind a single
    letter `_` and `^` begin a subscript and a superscript, as in sympy's LaTeX.

    >>> [span.text for span in name_line("theta12")]
    ['θ', '12']
    >>> [(span.text, span.style) for span in name_line("lambda_max^2")]
    [('λ', 'name'), ('max', 'sub'), ('2', 'sup')]
    """
    base, scripts = parts(name)
    below = [Span(GREEK.get(text, text).replace("-", "−"), kind) for text, kind in scripts]
    return (Span(GREEK.get(base, base), "name"), *below)


def number_text(value: float, integer: bool = False) -> str:
    """Two decimals, or three significant digits where they say more.

    >>> [number_text(v) for v in (-0.19661, 12, 0.01234, 123456.0, 0.0)]
    ['−0.20', '12.00', '0.0123', '1.23e5', '0.00']
    """
    if math.isnan(value):
        return "NaN"
    sign = "−" if value < 0 else ""
    size = abs(value)
    if math.isinf(size):
        return sign + "∞"
    if integer:
        return f"{sign}{size:.0f}"
    if size == 0 or 0.095 <= size < 999.995:
        return f"{sign}{size:.2f}"
    if 0.0001 <= size < 0.095:
        return f"{sign}{size:.{2 - math.floor(math.log10(float(f'{size:.2e}')))}f}"
    mantissa, _, exponent = f"{size:.2e}".partition("e")
    return f"{sign}{mantissa}e{'−' if exponent[0] == '-' else ''}{int(exponent[1:])}"


def pretty(text: str) -> str:
    """A printed formula with the signs of a book.

    >>> pretty("x**2 - alpha*b/sqrt(2)")
    'x² − α·b/√2'
    """
    text = re.sub(r"\*\*([23])(?![\d.])", lambda m: "²³"[int(m[1]) - 2], text)
    text = re.sub(r"\*\*(?!∘)", "^", text).replace("**∘", "^∘")
    text = re.sub(r"\bsqrt\((\w+)\)", r"√\1", text)
    text = _GREEK_WORD.sub(lambda m: GREEK[m[1]], text)
    return text.replace("*", "·").replace("-", "−")


def shortened(text: str, most: int) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def wrapped(text: str, most: int, lines: int) -> list[str]:
    """The text in at most `lines` lines of at most `most` characters, broken at spaces where there are any.

    >>> wrapped("h = tanh(W*x + b)", 12, 2)
    ['h = tanh(W*x', '+ b)']
    """
    cut = text[: most * (lines + 1)]
    result = [""]
    for word in cut.split(" "):
        for k in range(0, max(len(word), 1), most):
            part = word[k : k + most]
            if not result[-1]:
                result[-1] = part
            elif k == 0 and len(result[-1]) + 1 + len(part) <= most:
                result[-1] += " " + part
            else:
                result.append(part)
    if len(result) > lines or len(cut) < len(text):
        result = result[:lines]
        result[-1] = result[-1][: most - 1].rstrip() + "…"
    return result
