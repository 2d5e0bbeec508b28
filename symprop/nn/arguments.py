"""Checking the arguments of the functions of `symprop.nn`: an error names the function and the parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from symprop.errors import ArgumentError, ShapeError, UnsupportedExpressionError
from symprop.functions.symbols import describe, expression, shape_of

__all__ = ["axis", "choice", "flag", "number", "operand", "reduction_of"]


def operand(value: Any, function: str, parameter: str) -> Any:
    """A sympy expression, an explicit matrix (made immutable) or a number; raises what to give instead."""
    try:
        return expression(value, function)
    except UnsupportedExpressionError:
        raise UnsupportedExpressionError(
            f"nn.{function}: {parameter} is {type(value).__name__} {str(value)[:40]!r}; "
            f"expected a sympy expression, a matrix (sympy.MatrixSymbol, sympy.Matrix) or a number"
        ) from None


def number(value: Any, function: str, parameter: str) -> sp.Expr:
    """A real number as an exact sympy number."""
    found = operand(value, function, parameter)
    if not found.is_number or not found.is_real:
        raise ArgumentError(f"nn.{function}: {parameter} is {describe(found)}; expected a real number")
    return found


def choice(value: Any, options: Sequence[str], function: str, parameter: str) -> str:
    """One of some texts."""
    if value not in options:
        raise ArgumentError(
            f"nn.{function}: {parameter} is {value!r}; expected one of {', '.join(map(repr, options))}"
        )
    return str(value)


def flag(value: Any, function: str, parameter: str) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ArgumentError(f"nn.{function}: {parameter} is {value!r}; expected True or False")
    return value


def axis(value: Any, x: Any, function: str) -> int | None:
    """The dimension: None for all entries (of a matrix: `(0, 1)`), 0 down each column, 1 along each row."""
    shape = shape_of(x)
    if isinstance(value, tuple | list) and shape and sorted(int(v) % 2 for v in value) == [0, 1]:
        return None
    if value is None:
        if len(shape) == 2 and 1 not in shape:
            raise ArgumentError(
                f"nn.{function}: dim is needed for a matrix, found {describe(x)}; "
                f"dim=0 goes down each column, dim=1 along each row, dim=(0, 1) over all entries"
            )
        return None
    if value not in (0, 1, -1, -2) or isinstance(value, bool):
        raise ArgumentError(f"nn.{function}: dim is {value!r}; expected 0, 1, -1, -2, (0, 1) or None")
    if not shape:
        raise ArgumentError(
            f"nn.{function}: dim is {value}, but {describe(x)} has no dimensions; leave dim out"
        )
    dim = int(value) % 2
    return None if shape[1 - dim] == 1 and shape[dim] != 1 else dim


def reduction_of(value: Any, operands: Sequence[Any], function: str) -> str:
    """The reduction; of scalars all are the same, and "none" is what can be applied entry by entry."""
    found = choice(value, ("mean", "sum", "none"), function, "reduction")
    return found if any(a.is_Matrix for a in operands) else "none"


def same_shape(operands: dict[str, Any], function: str) -> None:
    """Raises unless all matrices among the operands have one shape."""
    matrices = {name: a for name, a in operands.items() if a.is_Matrix}
    for name, a in matrices.items():
        first, other = next(iter(matrices.items()))
        if shape_of(a) != shape_of(other):
            raise ShapeError(
                f"nn.{function}: {name} is {describe(a)}, but {first} is {describe(other)}; "
                f"expected one shape (scalars go with every shape)"
            )
