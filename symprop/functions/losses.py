"""Losses of one sample with a term per entry. The cross-entropies of classes are in `classes.py`.

A loss is its term, the local derivatives of the term, and a reduction: "mean" divides by the number of
entries, "sum" adds them up, "none" keeps the shape. Names, parameters and defaults are those of torch, and so
are the conventions at kinks and at the ends of the range of a probability.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import sympy as sp

from symprop.errors import ShapeError
from symprop.functions.composite import below, count, maximum, one_minus, where
from symprop.functions.symbols import define_formula, entrywise, shape_of
from symprop.graph import Node, NodeTable, Operation, Shape, register
from symprop.graph.nodes import broadcast_shapes

__all__ = ["REDUCTIONS", "declare_loss", "reduced_formula"]

T = NodeTable
N = Node
Attrs = tuple[Hashable, ...]
Term = Callable[[NodeTable, Node], Node]
Slopes = Callable[[NodeTable, Node], Sequence[Node | None]]

REDUCTIONS = ("mean", "sum", "none")
TORCH = "torch.nn.functional."
HALF = sp.Rational(1, 2)


def declare_loss(
    name: str,
    term: Term,
    slopes: Slopes,
    formula: Callable[..., sp.Basic],
    *,
    reduction: str = "mean",
    parameters: Mapping[int, Any] | None = None,
    attrs: Sequence[tuple[str, Hashable]] = (),
    **more: Any,
) -> Operation:
    """Declare a loss by its term per entry, with the reduction as the first attribute.

    `term` and `slopes` (its derivative with respect to each operand) are given the node of the loss.
    """

    def infer(args: Sequence[Node], found: Attrs) -> tuple[Shape, str]:
        try:
            shape = broadcast_shapes([a.shape for a in args])
        except ValueError as error:
            raise ShapeError(f"{name} takes operands of one shape, found {error}") from None
        return (shape if found[0] == "none" else ()), "real"

    def reduce(t: NodeTable, node: Node, value: Node) -> Node:
        if node.attrs[0] == "none":
            return value
        total = t.sum(t.broadcast(value, _whole(node)))
        return t.mul(_share(t, node), total)

    def vjp(t: NodeTable, node: Node, upstream: Node) -> list[Node | None]:
        if node.attrs[0] != "none":
            upstream = t.mul(_share(t, node), upstream)
        whole = _whole(node)
        return [None if s is None else t.broadcast(t.chain(upstream, s), whole) for s in slopes(t, node)]

    def jvp(t: NodeTable, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        terms = [
            t.mul(slope, tangent)
            for slope, tangent in zip(slopes(t, node), tangents, strict=True)
            if slope is not None and tangent is not None
        ]
        return reduce(t, node, t.add(*terms)) if terms else None

    define_formula(name, reduced_formula(formula), parameters, [("reduction", reduction), *attrs])
    return register(
        Operation(
            name=name,
            infer=infer,
            vjp=vjp,
            jvp=jvp,
            expand=lambda t, node: reduce(t, node, term(t, node)),
            **more,
        )
    )


def _whole(node: Node) -> Shape:
    return broadcast_shapes([a.shape for a in node.args])


def _share(t: NodeTable, node: Node) -> Node:
    """1/n for a mean of n entries, 1 for a sum."""
    return t.constant(1 if node.attrs[0] == "sum" else 1 / sp.sympify(count(_whole(node))))


def reduced_formula(term: Callable[..., Any]) -> Callable[..., Any]:
    """The formula in plain sympy of a loss from that of its term."""

    def formula(*arguments: Any) -> Any:
        start = next(k for k, a in enumerate(arguments) if isinstance(a, str))
        operands, reduction, attrs = arguments[:start], arguments[start], arguments[start + 1 :]
        matrices = [a for a in operands if a.is_Matrix]
        if not matrices:
            return term(*operands, *attrs)
        if reduction == "none":
            return entrywise(lambda *values: term(*values, *attrs), operands)

        def at(i: Any, j: Any) -> Any:
            return term(*[a[i, j] if a.is_Matrix else a for a in operands], *attrs)

        rows, columns = shape_of(matrices[0])
        if isinstance(rows, int) and isinstance(columns, int):
            total = sp.Add(*[at(i, j) for i in range(rows) for j in range(columns)])
        else:
            i, j = sp.Dummy("i", integer=True), sp.Dummy("j", integer=True)
            total = sp.Sum(at(i, j), (i, 0, rows - 1), (j, 0, columns - 1)).doit(deep=False)
        return total / (rows * columns) if reduction == "mean" else total

    return formula


def _difference(t: T, node: N) -> N:
    return t.sub(node.args[0], node.args[1])


# -- distances ------------------------------------------------------------------------------------


def _squared_error(t: T, node: N) -> Sequence[N | None]:
    return [_difference(t, node), t.sub(node.args[1], node.args[0])]


declare_loss(
    "squared_error",
    lambda t, node: t.mul(t.constant(HALF), t.pow(_difference(t, node), 2)),
    _squared_error,
    lambda p, target: (p - target) ** 2 / 2,
    reduction="sum",
    summary="half the sum of squares, Σ (p - t)²/2; derivative p - t",
)
declare_loss(
    "mse_loss",
    lambda t, node: t.pow(_difference(t, node), 2),
    lambda t, node: [t.mul(t.constant(2), d) for d in _squared_error(t, node) if d is not None],
    lambda p, target: (p - target) ** 2,
    summary="mean of (p - t)²; derivative 2 (p - t)/n",
    source=TORCH + "mse_loss",
)


def _with_negative(t: T, slope: N) -> list[N | None]:
    return [slope, t.neg(slope)]


declare_loss(
    "l1_loss",
    lambda t, node: t.call("abs", _difference(t, node)),
    lambda t, node: _with_negative(t, t.call("sign", _difference(t, node))),
    lambda p, target: sp.Abs(p - target),
    kinks=lambda t, node: [_difference(t, node)],
    summary="mean of |p - t|; derivative sign(p - t)/n, zero at p = t",
    source=TORCH + "l1_loss",
)


def _huber(t: T, node: N) -> N:
    delta, d = node.args[2], _difference(t, node)
    size = t.call("abs", d)
    square = t.mul(t.constant(HALF), t.pow(d, 2))
    linear = t.mul(delta, t.sub(size, t.mul(t.constant(HALF), delta)))
    return where(t, below(t, size, delta), square, linear)


def _huber_slopes(t: T, node: N) -> list[N | None]:
    delta, d = node.args[2], _difference(t, node)
    size = t.call("abs", d)
    slope = where(t, below(t, size, delta), d, t.mul(delta, t.call("sign", d)))
    return [*_with_negative(t, slope), where(t, below(t, size, delta), 0, t.sub(size, delta))]


declare_loss(
    "huber_loss",
    _huber,
    _huber_slopes,
    lambda p, target, delta: sp.Piecewise(
        ((p - target) ** 2 / 2, sp.Abs(p - target) < delta), (delta * (sp.Abs(p - target) - delta / 2), True)
    ),
    parameters={2: 1},
    summary="d²/2 for |d| < δ, else δ (|d| - δ/2), with d = p - t; derivative d limited to [-δ, δ]",
    source=TORCH + "huber_loss; Huber 1964",
)


def _smooth_l1(t: T, node: N) -> N:
    beta, d = node.args[2], _difference(t, node)
    size = t.call("abs", d)
    square = t.div(t.mul(t.constant(HALF), t.pow(d, 2)), beta)
    return where(t, below(t, size, beta), square, t.sub(size, t.mul(t.constant(HALF), beta)))


def _smooth_l1_slopes(t: T, node: N) -> list[N | None]:
    beta, d = node.args[2], _difference(t, node)
    near = below(t, t.call("abs", d), beta)
    slope = where(t, near, t.div(d, beta), t.call("sign", d))
    by_beta = where(t, near, t.mul(t.constant(-HALF), t.pow(t.div(d, beta), 2)), -HALF)
    return [*_with_negative(t, slope), by_beta]


declare_loss(
    "smooth_l1_loss",
    _smooth_l1,
    _smooth_l1_slopes,
    lambda p, target, beta: sp.Piecewise(
        ((p - target) ** 2 / (2 * beta), sp.Abs(p - target) < beta), (sp.Abs(p - target) - beta / 2, True)
    ),
    parameters={2: 1},
    summary="d²/(2 β) for |d| < β, else |d| - β/2, with d = p - t",
    source=TORCH + "smooth_l1_loss; Girshick 2015",
)

# -- probabilities of two classes -----------------------------------------------------------------

LOG_FLOOR = -100  # torch limits both logarithms of the cross-entropy from below
# and the divisor of its derivative, by 1e-12 as a float32: binary_cross_entropy_backward in ATen's Loss.cpp
SLOPE_FLOOR = sp.Rational(*float.fromhex("0x1.1979980000000p-40").as_integer_ratio())


def _weighted(t: T, node: N, position: int, value: N) -> N:
    return value if len(node.args) <= position else t.mul(node.args[position], value)


def _limited_logs(t: T, p: N) -> tuple[N, N]:
    """log(p) and log(1 - p), each at least -100."""
    return maximum(t, t.call("log", p), LOG_FLOOR), maximum(t, t.call("log1p", t.neg(p)), LOG_FLOOR)


def _entropy(t: T, node: N) -> N:
    p, target = node.args[:2]
    log_p, log_q = _limited_logs(t, p)
    return t.neg(t.add(t.mul(target, log_p), t.mul(one_minus(t, target), log_q)))


def _entropy_slopes(t: T, node: N) -> list[N | None]:
    p, target = node.args[:2]
    log_p, log_q = _limited_logs(t, p)
    by_p = t.div(t.sub(p, target), maximum(t, t.mul(p, one_minus(t, p)), SLOPE_FLOOR))
    slopes: list[N | None] = [_weighted(t, node, 2, by_p), _weighted(t, node, 2, t.sub(log_q, log_p))]
    return slopes if len(node.args) == 2 else [*slopes, _entropy(t, node)]


def _entropy_formula(p: Any, target: Any, weight: Any = 1) -> Any:
    return -weight * (target * sp.Max(sp.log(p), -100) + (1 - target) * sp.Max(sp.log(1 - p), -100))


declare_loss(
    "binary_cross_entropy",
    lambda t, node: _weighted(t, node, 2, _entropy(t, node)),
    _entropy_slopes,
    _entropy_formula,
    summary="-(t log p + (1 - t) log(1 - p)), each log at least -100; derivative (p - t)/(p (1 - p))",
    source=TORCH + "binary_cross_entropy",
)


def _logit_entropy(t: T, node: N) -> N:
    """max(z, 0) - t z + log(1 + exp(-|z|)): no term is large where the loss is small."""
    z, target = node.args[:2]
    tail = t.call("log1p", t.call("exp", t.neg(t.call("abs", z))))
    if len(node.args) <= 3:
        return t.add(t.sub(maximum(t, z, 0), t.mul(target, z)), tail)
    positive = _positive_weight(t, node)
    return t.add(t.mul(one_minus(t, target), z), t.mul(positive, t.add(maximum(t, t.neg(z), 0), tail)))


def _positive_weight(t: T, node: N) -> N:
    """1 + (w - 1) t, the factor of log(1 + exp(-z))."""
    target, weight = node.args[1], node.args[3]
    return t.add(t.full(1, target.shape), t.mul(t.sub(weight, t.full(1, weight.shape)), target))


def _logit_entropy_slopes(t: T, node: N) -> list[N | None]:
    z, target = node.args[:2]
    if len(node.args) <= 3:
        by_z, by_target = t.sub(t.call("sigmoid", z), target), t.neg(z)
    else:
        weight = node.args[3]
        softplus = t.call("softplus", t.neg(z))
        by_z = t.sub(one_minus(t, target), t.mul(_positive_weight(t, node), t.call("sigmoid", t.neg(z))))
        by_target = t.sub(t.mul(t.sub(weight, t.full(1, weight.shape)), softplus), z)
    slopes: list[N | None] = [_weighted(t, node, 2, by_z), _weighted(t, node, 2, by_target)]
    if len(node.args) > 2:
        # by two smooth functions: at z = 0 the slope of max(z, 0) and abs(z) is a convention
        parts = [t.call("softplus", t.neg(z)), t.call("softplus", z)]
        hit = t.mul(target, parts[0])
        if len(node.args) > 3:
            hit = t.mul(node.args[3], hit)
        slopes.append(t.add(hit, t.mul(one_minus(t, target), parts[1])))
    if len(node.args) > 3:
        slopes.append(_weighted(t, node, 2, t.mul(target, t.call("softplus", t.neg(z)))))
    return slopes


def _logit_entropy_formula(z: Any, target: Any, weight: Any = 1, positive: Any = 1) -> Any:
    return weight * ((1 - target) * sp.log(1 + sp.exp(z)) + positive * target * sp.log(1 + sp.exp(-z)))


declare_loss(
    "binary_cross_entropy_with_logits",
    lambda t, node: _weighted(t, node, 2, _logit_entropy(t, node)),
    _logit_entropy_slopes,
    _logit_entropy_formula,
    summary="(1 - t) log(1 + exp(z)) + t log(1 + exp(-z)); derivative σ(z) - t",
    source=TORCH + "binary_cross_entropy_with_logits",
)

# -- margins, divergences, likelihoods ------------------------------------------------------------


def _margin(t: T, node: N) -> N:
    return one_minus(t, t.mul(node.args[1], node.args[0]))


def _hinge_slopes(t: T, node: N) -> list[N | None]:
    y, target = node.args
    active = below(t, 0, _margin(t, node))
    return [where(t, active, t.neg(target), 0), where(t, active, t.neg(y), 0)]


declare_loss(
    "hinge_loss",
    lambda t, node: maximum(t, _margin(t, node), 0),
    _hinge_slopes,
    lambda y, target: sp.Max(0, 1 - target * y),
    kinks=lambda t, node: [_margin(t, node)],
    summary="max(0, 1 - t y) for t = ±1; derivative -t where t y < 1",
)


def _kl(t: T, node: N) -> N:
    p, target = node.args
    if node.attrs[1]:
        return t.mul(t.call("exp", target), t.sub(target, p))
    entropy = where(t, t.call("equal", target, t.constant(0)), 0, t.mul(target, t.call("log", target)))
    return t.sub(entropy, t.mul(target, p))


def _kl_slopes(t: T, node: N) -> list[N | None]:
    p, target = node.args
    if node.attrs[1]:
        weight = t.call("exp", target)
        return [t.neg(weight), t.mul(weight, t.add(t.sub(target, p), t.full(1, target.shape)))]
    return [t.neg(target), t.sub(t.add(t.call("log", target), t.full(1, target.shape)), p)]


declare_loss(
    "kl_div",
    _kl,
    _kl_slopes,
    lambda p, target, log_target=False: (
        sp.exp(target) * (target - p) if log_target else target * (sp.log(target) - p)
    ),
    attrs=[("log_target", False)],
    summary="t (log t - p) for a log-probability p; derivative -t",
    source=TORCH + "kl_div",
)


def _poisson(t: T, node: N) -> N:
    p, target = node.args[:2]
    _, log_input, full, eps = node.attrs
    if log_input:
        value = t.sub(t.call("exp", p), t.mul(target, p))
    else:
        value = t.sub(p, t.mul(target, t.call("log", t.add(p, t.full(eps, p.shape)))))
    if not full:
        return value
    # Stirling's approximation of log(t!), for t > 1
    log_t = t.call("log", target)
    root = t.mul(t.constant(HALF), t.call("log", t.mul(t.constant(2 * sp.pi), target)))
    stirling = t.add(t.sub(t.mul(target, log_t), target), root)
    return t.add(value, where(t, below(t, 1, target), stirling, 0))


def _poisson_slopes(t: T, node: N) -> list[N | None]:
    p, target = node.args[:2]
    _, log_input, full, eps = node.attrs
    if log_input:
        by_p, by_target = t.sub(t.call("exp", p), target), t.neg(p)
    else:
        raised = t.add(p, t.full(eps, p.shape))
        by_p, by_target = one_minus(t, t.div(target, raised)), t.neg(t.call("log", raised))
    if full:
        slope = t.add(t.call("log", target), t.mul(t.constant(HALF), t.pow(target, -1)))
        by_target = t.add(by_target, where(t, below(t, 1, target), slope, 0))
    return [by_p, by_target]


def _poisson_formula(p: Any, target: Any, log_input: bool, full: bool, eps: Any) -> Any:
    value = sp.exp(p) - target * p if log_input else p - target * sp.log(p + eps)
    stirling = target * sp.log(target) - target + sp.log(2 * sp.pi * target) / 2
    return value + sp.Piecewise((stirling, target > 1), (0, True)) if full else value


POISSON_EPS = sp.Rational(1, 10**8)
GAUSSIAN_EPS = sp.Rational(1, 10**6)

declare_loss(
    "poisson_nll_loss",
    _poisson,
    _poisson_slopes,
    _poisson_formula,
    attrs=[("log_input", True), ("full", False), ("eps", POISSON_EPS)],
    summary="exp(p) - t p for a log-rate p; derivative exp(p) - t",
    source=TORCH + "poisson_nll_loss",
)


def _variance(t: T, node: N) -> N:
    return maximum(t, node.args[2], t.constant(node.attrs[2]))


def _gaussian(t: T, node: N) -> N:
    variance = _variance(t, node)
    square = t.div(t.pow(_difference(t, node), 2), variance)
    value = t.mul(t.constant(HALF), t.add(t.call("log", variance), square))
    if not node.attrs[1]:
        return value
    return t.add(value, t.full(sp.log(2 * sp.pi) / 2, value.shape))


def _gaussian_slopes(t: T, node: N) -> list[N | None]:
    variance = _variance(t, node)
    ratio = t.div(_difference(t, node), variance)
    by_variance = t.mul(t.constant(HALF), t.sub(t.pow(variance, -1), t.pow(ratio, 2)))
    limited = below(t, node.args[2], t.constant(node.attrs[2]))
    return [*_with_negative(t, ratio), where(t, limited, 0, by_variance)]


def _gaussian_formula(p: Any, target: Any, variance: Any, full: bool, eps: Any) -> Any:
    limited = sp.Max(variance, eps)
    value = (sp.log(limited) + (p - target) ** 2 / limited) / 2
    return value + sp.log(2 * sp.pi) / 2 if full else value


declare_loss(
    "gaussian_nll_loss",
    _gaussian,
    _gaussian_slopes,
    _gaussian_formula,
    attrs=[("full", False), ("eps", GAUSSIAN_EPS)],
    kinks=lambda t, node: [t.sub(node.args[2], t.full(node.attrs[2], node.args[2].shape))],
    summary="(log v + (p - t)²/v)/2 with the variance v at least eps; derivative (p - t)/v",
    source=TORCH + "gaussian_nll_loss",
)
