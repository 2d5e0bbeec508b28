"""Activations: functions of the entries, and softmax with its relatives.

A row gives the definition over primitives, the local derivative as a person would write it (the value `y` of
the function is reused), and the formula of textbooks. Conventions at kinks are those of torch: relu'(0) = 0,
the left slope for leaky_relu and its kin, zero at both ends of hardtanh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.functions.composite import below, declare_elementwise, maximum, minimum, one_minus, where
from symprop.functions.elementwise import elementwise, exact_erfc, real
from symprop.functions.symbols import define_formula
from symprop.graph import Node, NodeTable

__all__: list[str] = []

T = NodeTable
N = Node
Slopes = Sequence[Node | None]

# the constants of selu (Klambauer et al. 2017, "Self-Normalizing Neural Networks"), digits as in torch
SELU_ALPHA = sp.Rational("1.6732632423543772848170429916717")
SELU_SCALE = sp.Rational("1.0507009873554804934193349852946")
# of the tanh form of gelu (Hendrycks, Gimpel 2016)
GELU_CUBIC = sp.Rational("0.044715")
HALF = sp.Rational(1, 2)
SIXTH = sp.Rational(1, 6)
TORCH = "torch.nn.functional."

# -- the normal distribution ----------------------------------------------------------------------

_exact_erfc = np.vectorize(lambda v: float(mp.erfc(mp.mpf(float(v)))), otypes=[float])


def _density(t: T, x: N) -> N:
    """exp(-x**2/2)/sqrt(2 pi)"""
    return t.mul(t.constant(1 / sp.sqrt(2 * sp.pi)), t.call("exp", t.mul(t.constant(-HALF), t.pow(x, 2))))


elementwise(
    "normal_cdf",
    lambda t, y: [_density(t, y.args[0])],
    lambda x: 0.5 * _exact_erfc(-np.asarray(x, float) / np.sqrt(2.0)),
    real(lambda x: exact_erfc(-x / mp.sqrt(2)) / 2),
    latex=r"\Phi\left({0}\right)",
    summary="the distribution function of the standard normal distribution, (1 + erf(x/sqrt(2)))/2",
)
define_formula("normal_cdf", lambda x: (1 + sp.erf(x / sp.sqrt(2))) / 2)
define_formula("sigmoid", lambda x: 1 / (1 + sp.exp(-x)))
define_formula("softplus", lambda x: sp.log(1 + sp.exp(x)))
define_formula("maximum", lambda a, b, ties="first": sp.Max(a, b), attrs=[("ties", "first")])
define_formula("minimum", lambda a, b, ties="first": sp.Min(a, b), attrs=[("ties", "first")])

# -- rectifiers -----------------------------------------------------------------------------------


def _kink_at_zero(t: T, y: N) -> list[N]:
    return [y.args[0]]


def _is_positive(t: T, y: N) -> N:
    return below(t, 0, y.args[0])


declare_elementwise(
    "relu",
    lambda t, y: maximum(t, y.args[0], 0),
    lambda t, y: [where(t, _is_positive(t, y), 1, 0)],
    lambda x: sp.Max(0, x),
    kinks=_kink_at_zero,
    summary="max(x, 0); derivative 1 for x > 0, else 0",
    source=TORCH + "relu",
)


def _two_slopes(name: str, default: Any, source: str) -> None:
    """x for x > 0, s x otherwise; the slope s is the second operand."""
    declare_elementwise(
        name,
        lambda t, y: where(t, _is_positive(t, y), y.args[0], t.mul(y.args[1], y.args[0])),
        lambda t, y: [where(t, _is_positive(t, y), 1, y.args[1]), where(t, _is_positive(t, y), 0, y.args[0])],
        lambda x, s: sp.Piecewise((x, x > 0), (s * x, True)),
        parameters=None if default is None else {1: default},
        kinks=_kink_at_zero,
        summary="x for x > 0, else s x; derivative 1 for x > 0, else s",
        source=source,
    )


_two_slopes("leaky_relu", sp.Rational(1, 100), TORCH + "leaky_relu")
_two_slopes("prelu", None, TORCH + "prelu; He et al. 2015")


def _elu_slopes(t: T, y: N) -> Slopes:
    x, alpha = y.args
    positive = _is_positive(t, y)
    return [
        where(t, positive, 1, t.mul(alpha, t.call("exp", x))),
        where(t, positive, 0, t.call("expm1", x)),
    ]


declare_elementwise(
    "elu",
    lambda t, y: where(t, _is_positive(t, y), y.args[0], t.mul(y.args[1], t.call("expm1", y.args[0]))),
    _elu_slopes,
    lambda x, alpha: sp.Piecewise((x, x > 0), (alpha * (sp.exp(x) - 1), True)),
    parameters={1: 1},
    kinks=_kink_at_zero,
    summary="x for x > 0, else α (exp(x) - 1); derivative 1 for x > 0, else α exp(x)",
    source=TORCH + "elu; Clevert et al. 2015",
)


def _celu_slopes(t: T, y: N) -> Slopes:
    x, alpha = y.args
    positive, ratio = _is_positive(t, y), t.div(x, alpha)
    power = t.call("exp", ratio)
    by_alpha = t.sub(t.call("expm1", ratio), t.mul(ratio, power))
    return [where(t, positive, 1, power), where(t, positive, 0, by_alpha)]


declare_elementwise(
    "celu",
    lambda t, y: where(
        t, _is_positive(t, y), y.args[0], t.mul(y.args[1], t.call("expm1", t.div(y.args[0], y.args[1])))
    ),
    _celu_slopes,
    lambda x, alpha: sp.Piecewise((x, x > 0), (alpha * (sp.exp(x / alpha) - 1), True)),
    parameters={1: 1},
    kinks=_kink_at_zero,
    summary="x for x > 0, else α (exp(x/α) - 1); derivative 1 for x > 0, else exp(x/α)",
    source=TORCH + "celu; Barron 2017",
)


def _selu_slope(t: T, y: N) -> Slopes:
    falling = t.mul(t.constant(SELU_SCALE * SELU_ALPHA), t.call("exp", y.args[0]))
    return [where(t, _is_positive(t, y), SELU_SCALE, falling)]


declare_elementwise(
    "selu",
    lambda t, y: where(
        t,
        _is_positive(t, y),
        t.mul(t.constant(SELU_SCALE), y.args[0]),
        t.mul(t.constant(SELU_SCALE * SELU_ALPHA), t.call("expm1", y.args[0])),
    ),
    _selu_slope,
    lambda x: SELU_SCALE * sp.Piecewise((x, x > 0), (SELU_ALPHA * (sp.exp(x) - 1), True)),
    kinks=_kink_at_zero,
    summary="λ x for x > 0, else λ α (exp(x) - 1), with λ = 1.0507... and α = 1.6732...",
    source=TORCH + "selu; Klambauer et al. 2017",
)

# -- smooth gates ---------------------------------------------------------------------------------


def _silu_slope(t: T, y: N) -> Slopes:
    s = t.call("sigmoid", y.args[0])
    return [t.add(s, t.mul(y, one_minus(t, s)))]


declare_elementwise(
    "silu",
    lambda t, y: t.mul(y.args[0], t.call("sigmoid", y.args[0])),
    _silu_slope,
    lambda x: x / (1 + sp.exp(-x)),
    summary="y = x σ(x); derivative σ(x) + y (1 - σ(x))",
    source=TORCH + "silu",
)


def _swish_slopes(t: T, y: N) -> Slopes:
    x, beta = y.args
    s = t.call("sigmoid", t.mul(beta, x))
    rest = t.mul(y, one_minus(t, s))
    return [t.add(s, t.mul(beta, rest)), t.mul(x, rest)]


declare_elementwise(
    "swish",
    lambda t, y: t.mul(y.args[0], t.call("sigmoid", t.mul(y.args[1], y.args[0]))),
    _swish_slopes,
    lambda x, beta: x / (1 + sp.exp(-beta * x)),
    parameters={1: 1},
    summary="y = x σ(β x); derivative σ(β x) + β y (1 - σ(β x))",
    source="Ramachandran, Zoph, Le 2017; torch's silu with a slope",
)


def _gelu(t: T, y: N) -> N:
    (x,) = y.args
    if y.attrs == ("tanh",):
        return t.mul(x, t.call("sigmoid", _gelu_inner(t, x)))
    return t.mul(x, t.call("normal_cdf", x))


def _gelu_inner(t: T, x: N) -> N:
    """2 u of u = sqrt(2/pi) (x + 0.044715 x**3): sigmoid(2 u) is (1 + tanh(u))/2, exact for u << 0 too."""
    return t.mul(t.constant(2 * sp.sqrt(2 / sp.pi)), t.add(x, t.mul(t.constant(GELU_CUBIC), t.pow(x, 3))))


def _gelu_slope(t: T, y: N) -> Slopes:
    (x,) = y.args
    if y.attrs == ("tanh",):
        s = t.call("sigmoid", _gelu_inner(t, x))
        square = t.mul(t.constant(3 * GELU_CUBIC), t.pow(x, 2))
        inner = t.mul(t.constant(2 * sp.sqrt(2 / sp.pi)), t.add(t.full(1, x.shape), square))
        return [t.add(s, t.mul(y, one_minus(t, s), inner))]
    return [t.add(t.call("normal_cdf", x), t.mul(x, _density(t, x)))]


def _gelu_formula(x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return x * (1 + sp.tanh(sp.sqrt(2 / sp.pi) * (x + GELU_CUBIC * x**3))) / 2
    return x * (1 + sp.erf(x / sp.sqrt(2))) / 2


declare_elementwise(
    "gelu",
    _gelu,
    _gelu_slope,
    _gelu_formula,
    attrs=[("approximate", "none")],
    summary="x Φ(x); derivative Φ(x) + x φ(x), φ the normal density; approximate='tanh' with tanh for Φ",
    source=TORCH + "gelu; Hendrycks, Gimpel 2016",
)


def _mish_slope(t: T, y: N) -> Slopes:
    (x,) = y.args
    h = t.call("tanh", t.call("softplus", x))
    return [t.add(h, t.mul(x, one_minus(t, t.pow(h, 2)), t.call("sigmoid", x)))]


declare_elementwise(
    "mish",
    lambda t, y: t.mul(y.args[0], t.call("tanh", t.call("softplus", y.args[0]))),
    _mish_slope,
    lambda x: x * sp.tanh(sp.log(1 + sp.exp(x))),
    summary="x h with h = tanh(softplus(x)); derivative h + x (1 - h²) σ(x)",
    source=TORCH + "mish; Misra 2019",
)

declare_elementwise(
    "log_sigmoid",
    lambda t, y: t.neg(t.call("softplus", t.neg(y.args[0]))),
    lambda t, y: [t.call("sigmoid", t.neg(y.args[0]))],
    lambda x: -sp.log(1 + sp.exp(-x)),
    summary="log σ(x) = -log(1 + exp(-x)); derivative σ(-x)",
    source=TORCH + "logsigmoid",
)

declare_elementwise(
    "softplus_threshold",
    lambda t, y: where(
        t,
        below(t, y.args[2], t.mul(y.args[1], y.args[0])),
        y.args[0],
        t.div(t.call("softplus", t.mul(y.args[1], y.args[0])), y.args[1]),
    ),
    lambda t, y: _softplus_threshold_slopes(t, y),
    lambda x, beta, threshold: sp.Piecewise(
        (x, beta * x > threshold), (sp.log(1 + sp.exp(beta * x)) / beta, True)
    ),
    parameters={1: 1, 2: 20},
    kinks=lambda t, y: [t.sub(t.mul(y.args[1], y.args[0]), y.args[2])],
    summary="log(1 + exp(β x))/β, and x where β x is above the threshold",
    source=TORCH + "softplus",
)


def _softplus_threshold_slopes(t: T, y: N) -> Slopes:
    x, beta, threshold = y.args
    u = t.mul(beta, x)
    linear, s = below(t, threshold, u), t.call("sigmoid", u)
    by_beta = t.div(t.sub(t.mul(x, s), t.div(t.call("softplus", u), beta)), beta)
    return [where(t, linear, 1, s), where(t, linear, 0, by_beta), None]


# -- piecewise linear -----------------------------------------------------------------------------


def _inside(t: T, x: N, low: N | Any, high: N | Any) -> N:
    return t.call("and", below(t, low, x), below(t, x, high))


def _hardtanh_slopes(t: T, y: N) -> Slopes:
    x, low, high = y.args
    raised = maximum(t, x, low)
    return [
        where(t, _inside(t, x, low, high), 1, 0),
        where(t, t.call("and", t.call("not", below(t, low, x)), below(t, low, high)), 1, 0),
        where(t, below(t, raised, high), 0, 1),
    ]


declare_elementwise(
    "hardtanh",
    lambda t, y: minimum(t, maximum(t, y.args[0], y.args[1]), y.args[2]),
    _hardtanh_slopes,
    lambda x, low, high: sp.Min(sp.Max(x, low), high),
    parameters={1: -1, 2: 1},
    kinks=lambda t, y: [t.sub(y.args[0], y.args[1]), t.sub(y.args[0], y.args[2])],
    summary="x limited to [low, high]; derivative 1 inside, 0 at the ends and outside",
    source=TORCH + "hardtanh",
)

declare_elementwise(
    "relu6",
    lambda t, y: minimum(t, maximum(t, y.args[0], 0), 6),
    lambda t, y: [where(t, _inside(t, y.args[0], 0, 6), 1, 0)],
    lambda x: sp.Min(sp.Max(0, x), 6),
    kinks=lambda t, y: [y.args[0], t.sub(y.args[0], t.full(6, y.shape))],
    summary="x limited to [0, 6]",
    source=TORCH + "relu6",
)


def _ramp(t: T, x: N) -> N:
    """min(max(x + 3, 0), 6)/6"""
    return t.mul(t.constant(SIXTH), minimum(t, maximum(t, t.add(x, t.full(3, x.shape)), 0), 6))


def _kinks_at_three(t: T, y: N) -> list[N]:
    return [t.add(y.args[0], t.full(3, y.shape)), t.sub(y.args[0], t.full(3, y.shape))]


declare_elementwise(
    "hardsigmoid",
    lambda t, y: _ramp(t, y.args[0]),
    lambda t, y: [where(t, _inside(t, y.args[0], -3, 3), SIXTH, 0)],
    lambda x: sp.Min(sp.Max(x + 3, 0), 6) / 6,
    kinks=_kinks_at_three,
    summary="x/6 + 1/2 limited to [0, 1]",
    source=TORCH + "hardsigmoid",
)


def _hardswish_slope(t: T, y: N) -> Slopes:
    (x,) = y.args
    between = t.add(t.mul(t.constant(sp.Rational(1, 3)), x), t.full(HALF, x.shape))
    return [where(t, below(t, -3, x), where(t, below(t, x, 3), between, 1), 0)]


declare_elementwise(
    "hardswish",
    lambda t, y: t.mul(y.args[0], _ramp(t, y.args[0])),
    _hardswish_slope,
    lambda x: x * sp.Min(sp.Max(x + 3, 0), 6) / 6,
    kinks=_kinks_at_three,
    summary="x hardsigmoid(x); derivative 0 for x <= -3, x/3 + 1/2 below 3, else 1",
    source=TORCH + "hardswish; Howard et al. 2019",
)


def _softsign_bottom(t: T, x: N) -> N:
    return t.add(t.full(1, x.shape), t.call("abs", x))


declare_elementwise(
    "softsign",
    lambda t, y: t.div(y.args[0], _softsign_bottom(t, y.args[0])),
    lambda t, y: [t.pow(_softsign_bottom(t, y.args[0]), -2)],
    lambda x: x / (1 + sp.Abs(x)),
    summary="x/(1 + |x|); derivative 1/(1 + |x|)²",
    source=TORCH + "softsign",
)

declare_elementwise(
    "tanhshrink",
    lambda t, y: t.sub(y.args[0], t.call("tanh", y.args[0])),
    lambda t, y: [t.pow(t.call("tanh", y.args[0]), 2)],
    lambda x: x - sp.tanh(x),
    summary="x - tanh(x); derivative tanh(x)²",
    source=TORCH + "tanhshrink",
)


def _kinks_at_size(t: T, y: N) -> list[N]:
    return [t.sub(t.call("abs", y.args[0]), y.args[1])]


declare_elementwise(
    "hardshrink",
    lambda t, y: where(t, t.call("less_equal", t.call("abs", y.args[0]), y.args[1]), 0, y.args[0]),
    lambda t, y: [where(t, below(t, y.args[1], t.call("abs", y.args[0])), 1, 0), None],
    lambda x, size: sp.Piecewise((x, sp.Abs(x) > size), (0, True)),
    parameters={1: HALF},
    kinks=_kinks_at_size,
    summary="x where |x| > λ, else 0",
    source=TORCH + "hardshrink",
)


def _softshrink(t: T, y: N) -> N:
    x, size = y.args
    return t.add(maximum(t, t.sub(x, size), 0), minimum(t, t.add(x, size), 0))


def _softshrink_slopes(t: T, y: N) -> Slopes:
    x, size = y.args
    outside = below(t, size, t.call("abs", x))
    return [where(t, outside, 1, 0), where(t, outside, t.neg(t.call("sign", x)), 0)]


declare_elementwise(
    "softshrink",
    _softshrink,
    _softshrink_slopes,
    lambda x, size: sp.Piecewise((x - size, x > size), (x + size, x < -size), (0, True)),
    parameters={1: HALF},
    kinks=_kinks_at_size,
    summary="x moved by λ towards zero, and zero where |x| <= λ",
    source=TORCH + "softshrink",
)


declare_elementwise(
    "srelu",
    lambda t, y: maximum(t, y.args[0], -1),
    lambda t, y: [where(t, below(t, -1, y.args[0]), 1, 0)],
    lambda x: sp.Max(-1, x),
    kinks=lambda t, y: [t.add(y.args[0], t.full(1, y.shape))],
    summary="the shifted rectifier max(x, -1); derivative 1 for x > -1, else 0",
    source="Clevert et al. 2015, Fast and Accurate Deep Network Learning by Exponential Linear Units",
)
