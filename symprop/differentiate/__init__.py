"""Derivatives: reverse mode, forward mode, and what they give as formulas and graphs."""

from symprop.differentiate.formulas import (
    backprop,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_gradients,
    vjp,
)
from symprop.differentiate.forward import tangents
from symprop.differentiate.reverse import adjoints

__all__ = [
    "adjoints",
    "backprop",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "tangents",
    "value_and_gradients",
    "vjp",
]
