"""The errors of symprop: one small tree, each branch also the builtin error that users would catch."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ArgumentError",
    "GraphError",
    "MissingExtraError",
    "ShapeError",
    "SympropError",
    "TrainingError",
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


class MissingExtraError(SympropError, ImportError):
    """A feature that needs an optional package which is not installed; the message names the extra."""


class TrainingError(SympropError, ArithmeticError):
    """A training whose loss became NaN.

    `step` is the number of the step at which what is not finite first appeared (the first step is 1), `node`
    the symbol of the equation or parameter where it did, `row` the sample (None where it is none), and
    `result` what `fit` had reached: parameters and history before that step.
    """

    def __init__(self, message: str, step: int = 0, node: Any = None, row: int | None = None) -> None:
        super().__init__(message)
        self.step, self.node, self.row = step, node, row
        self.result: Any = None
