"""Elementary functions as generated code, for any number of lanes, float64 and float32.

Every function takes the builder and its operands, all of one type, and gives the value of that type. The code
has no calls into a library on targets with a fused multiply-add, and gives the same bits for every number of
lanes.
"""

from __future__ import annotations

from collections.abc import Callable

from symprop.emit.builder import Builder, Value
from symprop.emit.math.bessel import j0, j1
from symprop.emit.math.beta import beta
from symprop.emit.math.error import erf
from symprop.emit.math.error_inverse import erfcinv, erfi, erfinv
from symprop.emit.math.exponential import exp, exp2, expm1
from symprop.emit.math.fast import FAST
from symprop.emit.math.forms import FORMS
from symprop.emit.math.gamma import digamma, gamma, loggamma
from symprop.emit.math.gamma_gap import GAPS
from symprop.emit.math.gamma_rest import RESTS
from symprop.emit.math.gauss import erfc, normal_cdf
from symprop.emit.math.hyperbolic import acosh, asinh, atanh, cosh, sinh
from symprop.emit.math.inverse_trigonometric import acos, asin, atan, atan2
from symprop.emit.math.logarithm import log, log1p, log2, log10
from symprop.emit.math.logistic import sigmoid, sigmoid_prime, softplus, tanh, tanh_prime
from symprop.emit.math.polygamma import polygamma
from symprop.emit.math.power import cbrt, integer_power, pow_
from symprop.emit.math.trigonometric import cos, sin, sin_cos, tan

__all__ = ["CALLS", "ELEMENTARY", "FAST", "integer_power", "sin_cos"]


def sqrt(b: Builder, x: Value) -> Value:
    """The square root, correctly rounded."""
    return b.sqrt(x)


ELEMENTARY: dict[str, Callable[..., Value]] = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "log2": log2,
    "log10": log10,
    "sqrt": sqrt,
    "cbrt": cbrt,
    "pow": pow_,
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "atan2": atan2,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
    "erf": erf,
    "erfc": erfc,
    "erfi": erfi,
    "erfinv": erfinv,
    "erfcinv": erfcinv,
    "normal_cdf": normal_cdf,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "tanh_prime": tanh_prime,
    "sigmoid_prime": sigmoid_prime,
    "loggamma": loggamma,
    "gamma": gamma,
    "digamma": digamma,
    "trigamma": polygamma(1),
    **{f"polygamma_{n}": polygamma(n) for n in (2, 3, 4)},
    "beta": beta,
    "j0": j0,
    "j1": j1,
}

# all that is worth a call: the elementary functions, and the forms that the rewriting makes
CALLS: dict[str, Callable[..., Value]] = {**ELEMENTARY, **FORMS, **GAPS, **RESTS}
