"""Compiled functions beside the same formulas with mpmath."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mpmath as mp
import sympy as sp

__all__ = ["check_slopes"]


def check_slopes(f: Any, formula: sp.Expr, args: Sequence[sp.Symbol], points: Any, bound: float) -> None:
    """Value and slopes of a function at every point, relative to those of the formula with mpmath."""
    exact = [sp.lambdify(args, e, "mpmath") for e in (formula, *[sp.diff(formula, s) for s in args])]
    with mp.workdps(60):
        for p in points:
            value, slopes = f.value_and_grad(*p)
            for found, function in zip((value, *slopes), exact, strict=True):
                right = function(*map(mp.mpf, p))
                assert abs(found - right) <= bound * abs(right), (p, found, right)
