"""The optimizers: names, parameters and defaults of `torch.optim`, each a few equations.

Only the equations that the parameters ask for are there: `SGD(lr=0.1)` is one equation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from symprop.errors import ArgumentError
from symprop.optim.equations import Optimizer, g, is_number, p, step

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "RMSprop"]

b, m, v, s = sp.symbols("b m v s")
beta1, beta2 = sp.symbols("beta1 beta2")
# the symbols of hyper-parameters, beside the parameters of the same name
_lr, _momentum, _dampening, _decay = sp.symbols("lr momentum dampening weight_decay")
_alpha, _eps, _lr_decay = sp.symbols("alpha eps lr_decay")
mhat, vhat, vmax, mean = sp.symbols("mhat vhat vmax mean")

Rule = list[tuple[Any, Any]]


def _check(name: str, values: dict[str, Any], what: str, good: Callable[[float], bool]) -> None:
    for key, value in values.items():
        if is_number(value) and not good(float(value)):
            raise ArgumentError(f"{name}: {key} is {value}, expected {what}")


def _check_ranges(name: str, not_negative: dict[str, Any], fractions: dict[str, Any] | None = None) -> None:
    _check(name, not_negative, "zero or a positive number", lambda x: x >= 0)
    _check(name, fractions or {}, "a number from 0 up to, not including, 1", lambda x: 0 <= x < 1)


def _betas(name: str, betas: Any) -> tuple[Any, Any]:
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ArgumentError(f"{name}: betas is {betas!r}, expected two numbers such as (0.9, 0.999)")
    return betas[0], betas[1]


def _before(maximize: bool, decay: Any, decoupled: bool = False) -> Rule:
    """The sign of the gradient, and the decay of the weights: in the gradient, or of the weights directly."""
    rule: Rule = [(g, -g)] if maximize else []
    if _is_zero(decay):
        return rule
    return [*rule, (p, p * (1 - _lr * _decay)) if decoupled else (g, g + _decay * p)]


def _is_zero(value: Any) -> bool:
    return is_number(value) and float(value) == 0


class _Method(Optimizer):
    """An optimizer of this file, which keeps the hyper-parameters that its equations use."""

    def _declare(self, equations: Rule, state: Any, values: dict[Any, Any]) -> None:
        used = {x for _, right in equations for x in right.free_symbols}
        starts = state.values() if isinstance(state, dict) else ()
        used |= {x for start in starts for x in sp.sympify(start).free_symbols}
        hyper = {symbol: value for symbol, value in values.items() if symbol in used}
        Optimizer.__init__(self, equations, state=state, hyper=hyper, name=type(self).__name__)


class SGD(_Method):
    """Gradient descent, with momentum, Nesterov momentum and weight decay (`torch.optim.SGD`).

    >>> print(SGD(lr=0.1))
    SGD: lr = 0.1
    p <- -g*lr + p
    """

    def __init__(
        self,
        lr: Any = 1e-3,
        momentum: Any = 0,
        dampening: Any = 0,
        weight_decay: Any = 0,
        nesterov: bool = False,
        maximize: bool = False,
    ) -> None:
        _check_ranges("SGD", {"momentum": momentum, "weight_decay": weight_decay})
        if nesterov and (_is_zero(momentum) or not _is_zero(dampening)):
            raise ArgumentError(
                f"SGD: nesterov=True takes a positive momentum and no dampening, found momentum={momentum}, "
                f"dampening={dampening}"
            )
        rule = _before(maximize, weight_decay)
        if _is_zero(momentum):
            rule.append((p, p - _lr * g))
        else:
            if _is_zero(dampening):
                rule.append((b, _momentum * b + g))
            else:  # the first gradient is taken whole
                rule.append((b, sp.Piecewise((g, step <= 1), (_momentum * b + (1 - _dampening) * g, True))))
            rule.append((p, p - _lr * (g + _momentum * b if nesterov else b)))
        state = [] if _is_zero(momentum) else [b]
        self._declare(
            rule, state, {_lr: lr, _momentum: momentum, _dampening: dampening, _decay: weight_decay}
        )


class Adam(_Method):
    """Adam (`torch.optim.Adam`): Kingma and Ba, https://arxiv.org/abs/1412.6980, algorithm 1.

    `weight_decay` is added to the gradient, or with `decoupled_weight_decay` taken from the weights; with
    `amsgrad` the largest mean of the squares so far is used (https://openreview.net/forum?id=ryQu7f-RZ).

    >>> print(Adam())
    Adam: lr = 0.001, beta1 = 0.9, beta2 = 0.999, eps = 1e-08
    m <- beta1*m + g*(1 - beta1)
    v <- beta2*v + g**2*(1 - beta2)
    mhat <- m/(1 - beta1**t)
    vhat <- v/(1 - beta2**t)
    p <- -lr*mhat/(eps + sqrt(vhat)) + p
    """

    def __init__(
        self,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: Any = 1e-8,
        weight_decay: Any = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        name = type(self).__name__
        first, second = _betas(name, betas)
        _check_ranges(
            name, {"weight_decay": weight_decay, "eps": eps}, {"betas[0]": first, "betas[1]": second}
        )
        rule = _before(maximize, weight_decay, decoupled_weight_decay)
        rule += [(m, beta1 * m + (1 - beta1) * g), (v, beta2 * v + (1 - beta2) * g**2)]
        if amsgrad:
            rule.append((vmax, sp.Max(vmax, v)))
        rule += [
            (mhat, m / (1 - beta1**step)),
            (vhat, (vmax if amsgrad else v) / (1 - beta2**step)),
            (p, p - _lr * mhat / (sp.sqrt(vhat) + _eps)),
        ]
        hyper = {_lr: lr, beta1: first, beta2: second, _eps: eps, _decay: weight_decay}
        self._declare(rule, [m, v, vmax] if amsgrad else [m, v], hyper)


class AdamW(Adam):
    """Adam whose weights decay by themselves (`torch.optim.AdamW`): https://arxiv.org/abs/1711.05101.

    >>> AdamW(weight_decay=0.1).values(1)["weight_decay"]
    0.1
    """

    def __init__(
        self,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: Any = 1e-8,
        weight_decay: Any = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True
        )


class RMSprop(_Method):
    """Gradients over the root of their mean square (`torch.optim.RMSprop`).

    >>> print(RMSprop(lr=0.01))
    RMSprop: lr = 0.01, alpha = 0.99, eps = 1e-08
    v <- alpha*v + g**2*(1 - alpha)
    p <- -g*lr/(eps + sqrt(v)) + p
    """

    def __init__(
        self,
        lr: Any = 1e-2,
        alpha: Any = 0.99,
        eps: Any = 1e-8,
        weight_decay: Any = 0,
        momentum: Any = 0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        _check_ranges(
            "RMSprop", {"eps": eps, "weight_decay": weight_decay, "momentum": momentum, "alpha": alpha}
        )
        rule = _before(maximize, weight_decay)
        rule.append((v, _alpha * v + (1 - _alpha) * g**2))
        square = v
        if centered:
            rule.append((mean, _alpha * mean + (1 - _alpha) * g))
            square = v - mean**2
        change = g / (sp.sqrt(square) + _eps)
        state = [v, mean] if centered else [v]
        if _is_zero(momentum):
            rule.append((p, p - _lr * change))
        else:
            rule += [(b, _momentum * b + change), (p, p - _lr * b)]
            state.append(b)
        hyper = {_lr: lr, _alpha: alpha, _eps: eps, _momentum: momentum, _decay: weight_decay}
        self._declare(rule, state, hyper)


class Adagrad(_Method):
    """Gradients over the root of the sum of their squares (`torch.optim.Adagrad`).

    >>> print(Adagrad())
    Adagrad: lr = 0.01, eps = 1e-10
    s <- g**2 + s
    p <- -g*lr/(eps + sqrt(s)) + p
    """

    def __init__(
        self,
        lr: Any = 1e-2,
        lr_decay: Any = 0,
        weight_decay: Any = 0,
        initial_accumulator_value: Any = 0,
        eps: Any = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        start = initial_accumulator_value
        _check_ranges(
            "Adagrad",
            {
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": start,
                "eps": eps,
            },
        )
        rule = _before(maximize, weight_decay)
        rate = _lr if _is_zero(lr_decay) else _lr / (1 + (step - 1) * _lr_decay)
        rule += [(s, s + g**2), (p, p - rate * g / (sp.sqrt(s) + _eps))]
        hyper = {_lr: lr, _lr_decay: lr_decay, _eps: eps, _decay: weight_decay}
        self._declare(rule, {s: start}, hyper)


class Lion(_Method):
    """The sign of a mean of gradients (Chen and others, https://arxiv.org/abs/2302.06675, algorithm 2).

    >>> print(Lion())
    Lion: lr = 0.0001, beta1 = 0.9, beta2 = 0.99
    p <- -lr*sign(beta1*m + g*(1 - beta1)) + p
    m <- beta2*m + g*(1 - beta2)
    """

    def __init__(
        self,
        lr: Any = 1e-4,
        betas: Any = (0.9, 0.99),
        weight_decay: Any = 0,
        *,
        maximize: bool = False,
    ) -> None:
        first, second = _betas("Lion", betas)
        _check_ranges("Lion", {"weight_decay": weight_decay}, {"betas[0]": first, "betas[1]": second})
        rule = _before(maximize, weight_decay, decoupled=True)
        rule += [
            (p, p - _lr * sp.sign(beta1 * m + (1 - beta1) * g)),
            (m, beta2 * m + (1 - beta2) * g),
        ]
        self._declare(rule, [m], {_lr: lr, beta1: first, beta2: second, _decay: weight_decay})
