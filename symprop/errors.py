"""The errors of symprop: one small tree, each branch also the builtin error that users would catch."""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "GraphError",
    "ShapeError",
    "SympropError",
    "UnsupportedExpressionError",
    "VerificationError",
]


class SympropError(Exception):
    """Base of every error that symprop raises on purpose."""


class ShapeError(SympropError, ValueError):
    """Shapes that do not fit: in an expression, or between an argument and its symbol."""


class UnsupportedExpressionError(SympropError, TypeError):
    """An expression that has no real meaning, no derivative, or no native code."""


class GraphError(SympropError, ValueError):
    """A list of equations that is no graph: a name undefined, defined twice, used before its equation, in a
    cycle.
    """


class ArgumentError(SympropError, TypeError, ValueError):
    """A call with an argument that is unknown, missing, given twice, or of the wrong kind."""


class VerificationError(SympropError, AssertionError):
    """A derivative or a compiled value that a verification has found to be wrong."""
