"""symprop: networks as sympy equations, gradients as formulas, both as one native function.

>>> import sympy as sp, symprop
>>> x, y, z = sp.symbols("x y z")
>>> f = symprop.compile((x + y) * z, args=[x, y, z])
>>> value, grads = f.value_and_grad(-2.0, 5.0, -4.0)
>>> float(value), [float(g) for g in grads]
(-12.0, [-4.0, -4.0, 3.0])
"""

from symprop import nn, optim
from symprop.api.compile import compile
from symprop.api.fit import EarlyStopping, FitResult, fit
from symprop.api.function import Function
from symprop.api.history import History
from symprop.api.training import TrainingStep, compile_step
from symprop.declare import Graph, scalar
from symprop.differentiate import backprop, grad, hessian, hvp, jacobian, jvp, vjp
from symprop.errors import (
    ArgumentError,
    GraphError,
    MissingExtraError,
    ShapeError,
    SympropError,
    TrainingError,
    UnsupportedExpressionError,
    VerificationError,
)
from symprop.verify import verify

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "EarlyStopping",
    "FitResult",
    "Function",
    "Graph",
    "GraphError",
    "History",
    "MissingExtraError",
    "ShapeError",
    "SympropError",
    "TrainingError",
    "TrainingStep",
    "UnsupportedExpressionError",
    "VerificationError",
    "__version__",
    "backprop",
    "compile",
    "compile_step",
    "fit",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "nn",
    "optim",
    "scalar",
    "verify",
    "vjp",
]
