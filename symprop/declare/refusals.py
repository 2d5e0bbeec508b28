"""What is not taken in, by name: why, and what to write instead."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from symprop.declare.forms import brief
from symprop.errors import UnsupportedExpressionError

__all__ = ["advice", "check_symbol", "refusal", "refuse"]

_COMPLEX = (
    "every symbol and value is a real number or an integer here; write the real and imaginary parts as "
    "symbols of their own"
)
_LATER_TENSOR = "indexed tensors are not supported yet; write matrices (MatrixSymbol, Trace, HadamardProduct)"
_CALCULUS = "it is an operation that is not carried out: call .doit() on it first"

ADVICE: dict[str, str] = {
    "ImaginaryUnit": f"{_COMPLEX} (sympy itself writes sqrt(-2) as sqrt(2)*I)",
    "re": _COMPLEX,
    "im": _COMPLEX,
    "conjugate": _COMPLEX,
    "arg": _COMPLEX,
    "Adjoint": f"{_COMPLEX}; the transpose of a real matrix is A.T",
    "polar_lift": _COMPLEX,
    "ComplexInfinity": "it is no real number; write sympy.oo or -sympy.oo",
    "Permanent": "it is not supported; of a Matrix of scalars, Matrix.per() writes it out",
    "Indexed": _LATER_TENSOR,
    "IndexedBase": _LATER_TENSOR,
    "Idx": _LATER_TENSOR,
    "Derivative": f"{_CALCULUS}, or use symprop.grad (that of Abs needs symbols with real=True)",
    "Subs": _CALCULUS,
    "Integral": _CALCULUS,
    "Limit": _CALCULUS,
    "Order": "remove it with .removeO()",
    "Contains": "write the condition with comparisons: .as_relational(x) of the set",
    "exp_polar": f"{_COMPLEX}; write exp(x)",
    "DiracDelta": "it is no function with values",
    "Lambda": "apply it to arguments, or to the entries of a matrix with M.applyfunc(function)",
}


def advice(expression: Any) -> str | None:
    """The advice on an expression that is refused by its class; None for others."""
    return ADVICE.get(type(expression).__name__)


def refusal(expression: Any) -> UnsupportedExpressionError:
    """The error for an expression that has no rule: names its class and the expression."""
    kind = type(expression)
    text = advice(expression)
    if isinstance(expression, AppliedUndef):
        name = expression.func.__name__
        return UnsupportedExpressionError(
            f"{name} in {brief(expression)} is an undefined function: it has no value and no derivative; "
            f"define a class {name}(sympy.Function) with doit(self, **hints) and fdiff(self, argindex=1)"
        )
    if text is None and isinstance(expression, sp.Function):
        text = (
            "there is no native code for this function; write it with elementary functions, erf, gamma, "
            "loggamma, digamma, beta, besselj(0, x), besselj(1, x), or define a class of sympy.Function with "
            "doit (the value as an expression) and fdiff (the derivative)"
        )
    if text is None:
        text = "write it with symbols, numbers, arithmetic, elementary functions and matrix expressions"
    return UnsupportedExpressionError(f"{kind.__name__} is not taken in, found {brief(expression)}: {text}")


def refuse(expression: Any, reason: str) -> UnsupportedExpressionError:
    """The error for an expression of a known class that cannot be taken in for a reason of its own."""
    return UnsupportedExpressionError(f"{type(expression).__name__} {brief(expression)}: {reason}")


def check_symbol(symbol: Any) -> None:
    """Raise where a symbol does not stand for real numbers."""
    if symbol.is_Symbol and symbol.is_real is False and not symbol.is_extended_real:
        raise UnsupportedExpressionError(f"the symbol {symbol} is declared as not real: {_COMPLEX}")
    if symbol.is_Symbol and not symbol.is_commutative:
        raise UnsupportedExpressionError(
            f"the symbol {symbol} is declared as not commutative; a matrix is declared as "
            f"sympy.MatrixSymbol({str(symbol)!r}, rows, columns)"
        )
