"""Fit the polynomial of `symprop.emit.math.forms`: (x - tanh(x))/x**3 - 1/3 over x**2, up to |x| = 0.6.

    python tests/tools/fit_forms.py

The Remez exchange of `fit_coefficients.py`, with the weight of the relative error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mpmath
from mpmath import mpf

sys.path.insert(0, str(Path(__file__).parent))
from fit_coefficients import fit


def gap(u: mpf) -> mpf:
    """(x - tanh(x))/x**3 at x = sqrt(u)."""
    if u < mpf("1e-30"):
        return mpf(1) / 3
    with mpmath.workdps(150):
        x = mpmath.sqrt(u)
        return (x - mpmath.tanh(x)) / x**3


if __name__ == "__main__":
    for element, count in (("double", 12), ("float", 5)):
        rest = lambda u: (gap(u) - mpf(1) / 3) / u  # noqa: E731
        found = fit(rest, mpf("1e-12"), mpf("0.37"), range(count), element, lambda u: u / gap(u))
        print(element, [float(c) for c in found])
