"""symprop: networks as sympy equations, gradients as formulas, both as one native function.

>>> import sympy as sp, symprop
>>> x, y, z = sp.symbols("x y z")
>>> f = symprop.compile((x + y) * z, args=[x, y, z])
>>> value, grads = f.value_and_grad(-2.0, 5.0, -4.0)
>>> float(value), [float(g) for g in grads]
(-12.0, [-4.0, -4.0, 3.0])
"""

from symprop import nn
from symprop.api.compile import compile
from symprop.api.function import Function
from symprop.declare import Graph, scalar
from symprop.differentiate import backprop, grad, hessian, hvp, jacobian, jvp, vjp
from symprop.errors import (
    ArgumentError,
    GraphError,
    ShapeError,
    SympropError,
    UnsupportedExpressionError,
    VerificationError,
)
from symprop.verify import verify

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "Function",
    "Graph",
    "GraphError",
    "ShapeError",
    "SympropError",
    "UnsupportedExpressionError",
    "VerificationError",
    "__version__",
    "backprop",
    "compile",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "nn",
    "scalar",
    "verify",
    "vjp",
]
