"""Losses of one sample. A target is a column like the prediction, or a class index (an integer symbol).

Names, parameters and defaults are those of `torch.nn.functional` where it has the loss; `reduction` is over
the entries of the sample, the mean over a batch is the compiler's (`reduce="mean"`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from symprop.errors import ArgumentError, ShapeError
from symprop.functions.symbols import describe, named
from symprop.nn.arguments import choice, flag, number, operand, reduction_of, same_shape

Expression = Any  # of sympy, which has no types

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "gaussian_nll_loss",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "squared_error",
]


def _loss(
    name: str, operands: Mapping[str, Any], reduction: str, attrs: tuple[Any, ...] = (), optional: int = 0
) -> Expression:
    """The named loss of checked operands; the last `optional` operands are left out where they are None."""
    names = list(operands)
    required = names[: len(names) - optional]
    last = max((k for k, key in enumerate(names) if key in required or operands[key] is not None), default=0)
    given = {
        key: operand(sp.S.One if operands[key] is None and key not in required else operands[key], name, key)
        for key in names[: last + 1]
    }
    same_shape(given, name)
    values = list(given.values())
    return named(name, values, (reduction_of(reduction, values, name), *attrs))


def squared_error(input: Any, target: Any) -> Expression:
    """Half the sum of squares, `Σ (p - t)**2/2`; derivative `p - t`.

    >>> squared_error(sp.Symbol("h"), sp.Symbol("t")), squared_error(sp.Symbol("h"), sp.Symbol("t")).doit()
    (squared_error(h, t), (h - t)**2/2)
    """
    return _loss("squared_error", {"input": input, "target": target}, "sum")


def mse_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Expression:
    """The mean of `(p - t)**2`; derivative `2 (p - t)/n`. torch: `mse_loss`.

    `weight` has one number for each entry; the mean then divides by the sum of the weights.

    >>> mse_loss(sp.MatrixSymbol("p", 2, 1), sp.MatrixSymbol("t", 2, 1), reduction="sum")
    mse_loss(p, t, reduction='sum')
    """
    given = {"input": input, "target": target}
    if weight is not None:
        return _weighted("mse_loss", given, weight, reduction, by_weights=True)
    return _loss("mse_loss", given, reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Expression:
    """The mean of `|p - t|`; derivative `sign(p - t)/n`, zero where p = t. torch: `l1_loss`.

    `weight` has one number for each entry; the mean then divides by the sum of the weights.

    >>> l1_loss(sp.Symbol("p"), sp.Symbol("t")).doit()
    Abs(p - t)
    """
    given = {"input": input, "target": target}
    if weight is not None:
        return _weighted("l1_loss", given, weight, reduction, by_weights=True)
    return _loss("l1_loss", given, reduction)


def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: Any = 1, weight: Any = None
) -> Expression:
    """`d**2/2` where |d| < δ, else `δ (|d| - δ/2)`, with d = p - t; derivative d limited to [-δ, δ].

    `weight` has one number for each entry; the mean divides by the number of entries, as that of torch does.
    torch: `huber_loss`.

    >>> huber_loss(sp.Symbol("p"), 0, delta=2)
    huber_loss(p, 0, 2)
    """
    _positive(delta, "huber_loss", "delta")
    given = {"input": input, "target": target, "delta": _exact(delta)}
    if weight is not None:
        return _weighted("huber_loss", given, weight, reduction, by_weights=False)
    return _loss("huber_loss", given, reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: Any = 1) -> Expression:
    """`d**2/(2 β)` where |d| < β, else `|d| - β/2`, with d = p - t. torch: `smooth_l1_loss`.

    >>> smooth_l1_loss(sp.Symbol("p"), sp.Symbol("t"))
    smooth_l1_loss(p, t)
    """
    if operand(beta, "smooth_l1_loss", "beta") == 0:
        return l1_loss(input, target, reduction)
    _positive(beta, "smooth_l1_loss", "beta")
    return _loss("smooth_l1_loss", {"input": input, "target": target, "beta": _exact(beta)}, reduction)


def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Expression:
    """`-(t log p + (1 - t) log(1 - p))`, each log at least -100; derivative `(p - t)/(p (1 - p))`.

    torch: `binary_cross_entropy`, with its divisor of the derivative, at least 1e-12.

    >>> binary_cross_entropy(sp.Symbol("p"), sp.Symbol("t"))
    binary_cross_entropy(p, t)
    """
    given = {"input": input, "target": target, "weight": weight}
    return _loss("binary_cross_entropy", given, reduction, optional=1)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Expression:
    """The cross-entropy of σ(z), without overflow: `(1 - t) z + softplus(-z)`; derivative `σ(z) - t`.

    `pos_weight` multiplies the part of t = 1. torch: `binary_cross_entropy_with_logits`.

    >>> binary_cross_entropy_with_logits(sp.Symbol("z"), 1).doit()
    log(1 + exp(-z))
    """
    given = {"input": input, "target": target, "weight": weight, "pos_weight": pos_weight}
    return _loss("binary_cross_entropy_with_logits", given, reduction, optional=2)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: Any = 0,
) -> Expression:
    """`-log softmax(z)[y]` of a class index y; derivative `softmax(z) - onehot(y)`. torch: `cross_entropy`.

    Of a column t of probabilities it is `-Σ t log softmax(z)`. `weight` holds one weight per class, a sample
    of class `ignore_index` has loss and gradient zero, `label_smoothing` ε takes `(1 - ε) onehot(y) + ε/n`.
    All act per sample: of one sample every `reduction` is the same. A label outside 0 ... n - 1 is an error
    at the call (torch silently ignores -100; here only an `ignore_index` that is named).

    >>> z, y = sp.MatrixSymbol("z", 3, 1), sp.Symbol("y", integer=True)
    >>> cross_entropy(z, y), cross_entropy(z, y, label_smoothing=0.1)
    (cross_entropy(z, y), cross_entropy(z, y, label_smoothing=0.1))
    """
    choice(reduction, ("mean", "sum", "none"), "cross_entropy", "reduction")
    smoothing = number(label_smoothing, "cross_entropy", "label_smoothing")
    if not 0 <= smoothing <= 1:
        raise ArgumentError(
            f"nn.cross_entropy: label_smoothing is {smoothing}; expected a number from 0 to 1"
        )
    attrs = (_ignored(ignore_index, "cross_entropy"), sp.S.Zero if smoothing == 0 else smoothing)
    return named("cross_entropy", _scores("cross_entropy", input, target, weight), attrs)


def nll_loss(
    input: Any, target: Any, weight: Any = None, ignore_index: int | None = None, reduction: str = "mean"
) -> Expression:
    """`-x[y]` of log-probabilities x (as of `log_softmax`); derivative `-onehot(y)`. torch: `nll_loss`.

    >>> nll_loss(sp.MatrixSymbol("x", 3, 1), sp.Symbol("y", integer=True))
    nll_loss(x, y)
    """
    choice(reduction, ("mean", "sum", "none"), "nll_loss", "reduction")
    return named(
        "nll_loss", _scores("nll_loss", input, target, weight), (_ignored(ignore_index, "nll_loss"),)
    )


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Expression:
    """`t (log t - p)` of a log-probability p; derivative `-t`. torch: `kl_div`.

    With `log_target` it is `exp(t) (t - p)`. `reduction="batchmean"` is the sum over the entries.

    >>> kl_div(sp.Symbol("p"), sp.Symbol("t"), log_target=True).doit()
    (-p + t)*exp(t)
    """
    attrs = (flag(log_target, "kl_div", "log_target"),)
    reduction = "sum" if reduction == "batchmean" else reduction
    return _loss("kl_div", {"input": input, "target": target}, reduction, attrs)


def hinge_loss(input: Any, target: Any, reduction: str = "mean") -> Expression:
    """`max(0, 1 - t y)` of a target t = 1 or -1; derivative `-t` where `t y < 1`, else 0.

    >>> hinge_loss(sp.Symbol("y"), sp.Symbol("t")).doit()
    Max(0, -t*y + 1)
    """
    return _loss("hinge_loss", {"input": input, "target": target}, reduction)


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    eps: Any = 1e-8,
    reduction: str = "mean",
) -> Expression:
    """`exp(p) - t p`, or `p - t log(p + eps)` without `log_input`; `full` adds Stirling's log(t!) for t > 1.

    torch: `poisson_nll_loss`.

    >>> poisson_nll_loss(sp.Symbol("p"), sp.Symbol("t")).doit()
    -p*t + exp(p)
    """
    flags = tuple(flag(v, "poisson_nll_loss", k) for k, v in (("log_input", log_input), ("full", full)))
    attrs = (*flags, _small(eps, "poisson_nll_loss", sp.Rational(1, 10**8)))
    return _loss("poisson_nll_loss", {"input": input, "target": target}, reduction, attrs)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: Any = 1e-6, reduction: str = "mean"
) -> Expression:
    """`(log v + (p - t)**2/v)/2` with the variance v at least `eps`; `full` adds `log(2 pi)/2`.

    Where v is below `eps` it is constant, and its derivative zero. torch: `gaussian_nll_loss`.

    >>> gaussian_nll_loss(sp.Symbol("p"), sp.Symbol("t"), sp.Symbol("v"))
    gaussian_nll_loss(p, t, v)
    """
    attrs = (
        flag(full, "gaussian_nll_loss", "full"),
        _small(eps, "gaussian_nll_loss", sp.Rational(1, 10**6)),
    )
    return _loss("gaussian_nll_loss", {"input": input, "target": target, "var": var}, reduction, attrs)


def _weighted(
    name: str, operands: Mapping[str, Any], weight: Any, reduction: str, *, by_weights: bool
) -> Expression:
    """The weighted terms of a loss, their sum, or that over the sum of the weights or the number of terms."""
    choice(reduction, ("mean", "sum", "none"), name, "reduction")
    weights = operand(weight, name, "weight")
    terms = _loss(name, operands, "none")
    same_shape({"input": terms, "weight": weights}, name)
    if not terms.is_Matrix:
        if weights.is_Matrix:
            raise ShapeError(
                f"nn.{name}: weight is {describe(weights)}; expected a scalar, as the input is one"
            )
        product, count = weights * terms, sp.S.One
        total, divisor = product, weights if by_weights else count
    else:
        scalar = not weights.is_Matrix
        product = weights * terms if scalar else sp.HadamardProduct(weights, terms)
        count = sp.Mul(*terms.shape)
        total = named("sum", [product], ((0, 1), False))
        whole = weights * count if scalar else named("sum", [weights], ((0, 1), False))
        divisor = whole if by_weights else count
    if reduction == "none":
        return product
    return total / divisor if reduction == "mean" else total


# -- checks ---------------------------------------------------------------------------------------


def _exact(value: Any) -> Any:
    return sp.S.One if isinstance(value, int | float) and value == 1 else value


def _positive(value: Any, function: str, parameter: str) -> None:
    found = operand(value, function, parameter)
    if found.is_number and not found.is_positive:
        raise ArgumentError(f"nn.{function}: {parameter} is {found}; expected a positive number")


def _small(value: Any, function: str, default: sp.Expr) -> sp.Expr:
    found = number(value, function, "eps")
    if found.is_negative:
        raise ArgumentError(f"nn.{function}: eps is {found}; expected a number that is not negative")
    return default if float(found) == float(default) else found


def _ignored(value: Any, function: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or int(value) != value:
        raise ArgumentError(f"nn.{function}: ignore_index is {value!r}; expected an integer or None")
    return int(value)


def _scores(function: str, scores: Any, target: Any, weight: Any) -> list[Any]:
    """The operands of a loss of scores against a class."""
    values = [operand(scores, function, "input"), operand(target, function, "target")]
    if values[0].is_Matrix and not values[1].is_Matrix and not values[1].is_integer:
        raise ArgumentError(
            f"nn.{function}: target is {describe(values[1])}, not declared as an integer; a class index is "
            f"sympy.Symbol({str(values[1])[:30]!r}, integer=True)"
        )
    if weight is not None:
        values.append(operand(weight, function, "weight"))
    return values
