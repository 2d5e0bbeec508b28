"""The functions of sympy behind elementary operations, by the name of the operation."""

from __future__ import annotations

from typing import Any

import sympy as sp

__all__ = ["ELEMENTARY_OF_SYMPY"]

ELEMENTARY_OF_SYMPY: dict[str, Any] = {
    **{
        name: getattr(sp, name)
        for name in (
            *("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "acot", "atan2"),
            *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
            *("erf", "erfc", "erfi", "erfinv", "erfcinv", "sign", "floor", "ceiling"),
        )
    },
    "abs": sp.Abs,
}
