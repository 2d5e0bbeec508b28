"""What is done to gradients before an optimizer uses them: clipping, penalties. Put in front with `chain`."""

from __future__ import annotations

from typing import Any

import sympy as sp

from symprop.errors import ArgumentError
from symprop.optim.equations import Transformation, g, is_number, norm, p

__all__ = ["clip_norm", "clip_value", "l1", "l2"]


def _positive(name: str, value: Any) -> Any:
    if is_number(value) and not float(value) > 0:
        raise ArgumentError(f"{name}: found {value}, expected a positive number")
    return value


def clip_value(value: Any) -> Transformation:
    """Every entry of the gradient limited to -value .. value (torch's `clip_grad_value_`).

    >>> print(clip_value(0.5))
    clip_value: clip = 0.5
    g <- Min(clip, Max(-clip, g))
    """
    clip = sp.Symbol("clip")
    limited = sp.Min(clip, sp.Max(-clip, g))
    return Transformation([(g, limited)], hyper={clip: _positive("clip_value", value)}, name="clip_value")


def clip_norm(max_norm: Any) -> Transformation:
    """All gradients scaled by one factor where their norm together is above `max_norm`, as torch's
    `clip_grad_norm_` does.

    >>> print(clip_norm(1))
    clip_norm: max_norm = 1
    g <- g*Min(1, max_norm/(norm + 1.0e-6))
    """
    bound = sp.Symbol("max_norm")
    factor = sp.Min(1, bound / (norm + sp.Float(1e-6)))
    return Transformation(
        [(g, g * factor)], hyper={bound: _positive("clip_norm", max_norm)}, name="clip_norm"
    )


def l1(factor: Any) -> Transformation:
    """The gradient of a penalty `factor * sum(abs(p))` on all parameters.

    >>> print(l1(1e-4))
    l1: lambda1 = 0.0001
    g <- g + lambda1*sign(p)
    """
    weight = sp.Symbol("lambda1")
    return Transformation([(g, g + weight * sp.sign(p))], hyper={weight: _positive("l1", factor)}, name="l1")


def l2(factor: Any) -> Transformation:
    """The gradient of a penalty `factor/2 * sum(p**2)` on all parameters.

    >>> print(l2(1e-4))
    l2: lambda2 = 0.0001
    g <- g + lambda2*p
    """
    weight = sp.Symbol("lambda2")
    return Transformation([(g, g + weight * p)], hyper={weight: _positive("l2", factor)}, name="l2")
