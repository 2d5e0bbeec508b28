"""Every operation that the compiler knows, declared once each; importing this package fills the registry."""

from symprop.functions import (
    activations,
    classes,
    elementwise,
    error_inverse,
    forms,
    linear,
    losses,
    softmax,
    special,
    structure,
    symbols,
    user,
)

__all__ = [
    "activations",
    "classes",
    "elementwise",
    "error_inverse",
    "forms",
    "linear",
    "losses",
    "softmax",
    "special",
    "structure",
    "symbols",
    "user",
]
