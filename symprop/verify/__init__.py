"""Verification of derivatives and compiled values; `symprop.verify` is this package and the function at once.

Three methods share nothing with what they check but the expression: finite differences of the forward
expression at 50 digits (the only one that sees a wrong derivative rule), forward mode against reverse mode,
and the compiled values against 50 digits.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from symprop.verify.check import verify
from symprop.verify.report import Report, Row

__all__ = ["Report", "Row", "verify"]


class _Callable(ModuleType):
    """The package as the function: `import symprop.verify` sets the name `symprop.verify` to the module,
    whatever `symprop/__init__.py` exports, so calling the module must do the same."""

    def __call__(self, *args: Any, **options: Any) -> Report:
        """`verify` of this package."""
        return verify(*args, **options)


sys.modules[__name__].__class__ = _Callable
