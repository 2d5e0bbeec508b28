"""Names as a textbook writes them: Greek letters, subscripts, superscripts."""

from __future__ import annotations

import re

import sympy as sp

__all__ = ["GREEK", "latex_of", "parts"]

_LOWER = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon
    phi chi psi omega
"""
_UPPER = "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
GREEK = dict(zip((_LOWER + _UPPER).split(), "αβγδεζηθικλμνξοπρστυφχψωΓΔΘΛΞΠΣΦΨΩ", strict=True))
_SPELLED = {letter: name for name, letter in GREEK.items()}
_PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789") | str.maketrans({"²": "^2", "³": "^3", "ᵀ": "^T"})

_SCRIPT = r"[_^](?:\{[^{}]*\}|[^_^{}]+)"  # `_max`, `^2`, `_{ij}`, `^{(k)}`
_LONGEST = 14  # characters of scripts: longer ones are words of a name
_ESCAPED = {c: f"\\{c}" for c in "_&%#${}"} | {"\\": r"\backslash ", "^": r"\wedge ", "~": r"\sim "}


def parts(name: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The base of a name, and what stands below ("sub") and above it ("sup").

    Digits at the end stand below; behind a single letter, or a Greek one, `_` and `^` begin a script, as in
    sympy's LaTeX. Other names are words, and stay as they are.

    >>> parts("W12"), parts("lambda_max^2"), parts("learning_rate")
    (('W', (('12', 'sub'),)), ('lambda', (('max', 'sub'), ('2', 'sup'))), ('learning_rate', ()))
    """
    name = name.translate(_PLAIN)
    match = re.fullmatch(rf"([^_^]+)((?:{_SCRIPT})+)", name)
    if match:
        base, scripts = match.groups()
        digits = re.fullmatch(r"(.*[^\W\d_])(\d+)", base)
        base, first = digits.groups() if digits else (base, "")
        if (len(base) == 1 or base in GREEK) and len(scripts) <= _LONGEST:
            listed = [
                (s[1:].strip("{}"), "sub" if s[0] == "_" else "sup") for s in re.findall(_SCRIPT, scripts)
            ]
            return base, (*([(first, "sub")] if first else []), *listed)
    match = re.fullmatch(r"(.*[^\W\d_])_?(\d+|\[[\d, ]+\])", name)
    return (match[1], ((match[2].strip("[]"), "sub"),)) if match else (name, ())


def latex_of(symbol: object) -> str:
    r"""The name of a symbol for math mode; what has no name as sympy writes it.

    >>> print(latex_of(sp.Symbol("d_theta_1")), latex_of(sp.Symbol("learning_rate")))
    d_{\theta_{1}} \mathit{learning\_rate}
    """
    name = getattr(symbol, "name", None)
    if not isinstance(name, str):
        return str(sp.latex(symbol))
    depth = 0  # of what it is the adjoint, and so on
    while name.startswith("d_") and len(name) > 2:
        name, depth = name[2:], depth + 1
    base, scripts = parts(name)
    text = _base(base)
    for mark, kind in (("_", "sub"), ("^", "sup")):
        listed = [_script(s) for s, k in scripts if k == kind]
        text += f"{mark}{{{' '.join(listed)}}}" if listed else ""
    return "d_{" * depth + text + "}" * depth


def _base(name: str) -> str:
    """One letter, a Greek one, one with an accent (`xhat`), or a word."""
    letters = name.rstrip("'")
    primes = "'" * (len(name) - len(letters))
    known = str(sp.latex(sp.Symbol(_SPELLED.get(letters, letters)))) if letters.isalpha() else ""
    if len(known) == 1 or known.startswith("\\"):
        return known + primes
    return rf"\mathit{{{_escaped(letters)}}}{primes}" if letters else primes


def _script(text: str) -> str:
    word = _SPELLED.get(text, text)
    if word in GREEK:
        return str(sp.latex(sp.Symbol(word)))
    return rf"\mathit{{{text}}}" if len(text) > 2 and text.isalpha() else _escaped(text)


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(c, c) for c in text)
