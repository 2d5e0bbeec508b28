"""Forms that sympy lacks: the entry of a 1 x 1 matrix kept whole, and a scalar formula over several
matrices.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from symprop.errors import ShapeError, UnsupportedExpressionError

__all__ = ["Entrywise", "Scalar", "brief", "depth", "scalar"]

_BRIEF = 60  # sub-expressions of an expression that an error message prints in full


class Scalar(sp.Expr):  # type: ignore[misc]
    """The entry of a 1 x 1 matrix expression as a scalar; the matrix is kept as it is."""

    is_commutative = True
    is_real = True
    is_number = False

    def __new__(cls, matrix: sp.MatrixExpr) -> Scalar:  # noqa: D102
        made: Scalar = sp.Expr.__new__(cls, matrix)
        return made

    def doit(self, **hints: Any) -> sp.Expr:
        """The entry of the evaluated matrix, still whole: sympy calls this in every product with a matrix."""
        return scalar(self.args[0].doit(**hints)) if hints.get("deep", True) else self

    def _sympystr(self, printer: Any) -> str:
        return f"scalar({printer._print(self.args[0])})"

    def _latex(self, printer: Any) -> str:
        return str(printer._print(self.args[0]))


def scalar(expression: Any) -> sp.Expr:
    """The scalar that a 1 x 1 matrix expression holds, kept whole: sympy expands `(A*B)[0, 0]` entry by
    entry.

    A scalar is given back as it is; any other shape raises `ShapeError`.

    >>> x, A = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("A", 3, 3)
    >>> scalar(x.T * A * x) + 1
    scalar(x.T*A*x) + 1
    """
    value = (
        expression.as_immutable()
        if isinstance(expression, sp.MatrixBase)
        else sp.sympify(expression, strict=True)
    )
    if not getattr(value, "is_Matrix", False):
        return value
    if tuple(value.shape) != (1, 1):
        raise ShapeError(
            f"scalar({brief(value)}) takes a 1 x 1 matrix, found shape ({value.shape[0]}, {value.shape[1]}); "
            f"an entry of a matrix M is M[i, j], the sum of its diagonal Trace(M)"
        )
    return Scalar(value)


class Entrywise(sp.MatrixExpr):  # type: ignore[misc]
    """A scalar formula applied entry by entry to several matrices of one shape: `Entrywise(Lambda((a, b),
    ...), A, B)`.

    sympy's own `applyfunc` takes one matrix.
    """

    def __new__(cls, function: sp.Lambda, *matrices: sp.MatrixExpr) -> Entrywise:  # noqa: D102
        if not matrices or any(m.shape != matrices[0].shape for m in matrices):
            raise ShapeError(f"Entrywise takes matrices of one shape, found {[m.shape for m in matrices]}")
        if len(function.variables) != len(matrices):
            raise UnsupportedExpressionError(
                f"Entrywise takes a function of {len(matrices)} arguments, found {brief(function)}"
            )
        made: Entrywise = sp.MatrixExpr.__new__(cls, function, *matrices)
        return made

    @property
    def shape(self) -> tuple[sp.Expr, sp.Expr]:
        """The common shape of the matrices."""
        rows, columns = self.args[1].shape
        return rows, columns

    def _entry(self, i: Any, j: Any, **hints: Any) -> sp.Expr:
        return self.args[0](*[m[i, j] for m in self.args[1:]])


def depth(expression: Any) -> int:
    """How deep an expression is nested, without recursion."""
    done: dict[int, int] = {}
    todo = [expression]
    while todo:
        inner = todo[-1]
        parts = inner.args if isinstance(inner, sp.Basic) else ()
        missing = [p for p in parts if id(p) not in done]
        if missing:
            todo.extend(missing)
            continue
        todo.pop()
        done[id(inner)] = 1 + max((done[id(p)] for p in parts), default=0)
    return done[id(expression)]


def brief(expression: Any) -> str:
    """A text of an expression for messages; a large or deep one is named by its class only."""
    if not isinstance(expression, sp.Basic | sp.MatrixBase):
        return f"{type(expression).__name__} {str(expression)[:60]!r}"
    count, todo = 0, [expression]
    while todo and count <= _BRIEF:
        inner = todo.pop()
        count += 1
        if isinstance(inner, sp.Basic):
            todo.extend(inner.args)
    if count > _BRIEF:
        return f"{type(expression).__name__}(...)"
    try:
        return str(expression)
    except (
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ):  # sympy checks shapes while it prints, too
        return f"{type(expression).__name__}({', '.join(map(brief, expression.args))})"
