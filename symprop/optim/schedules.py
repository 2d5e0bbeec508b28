"""Learning rates that change: each schedule is a sympy expression of the step number.

`lr` below may itself be an expression; every schedule counts the steps that are done, so that the first step
has the rate at which it begins. They serve for any hyper-parameter.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from symprop.errors import ArgumentError
from symprop.optim.equations import step as t

__all__ = ["constant", "cosine", "exponential", "linear", "sequence", "steps", "warmup"]

done = t - 1  # the steps that are done


def _count(name: str, value: Any) -> sp.Integer:
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ArgumentError(f"{name}: the number of steps is {value!r}, expected a positive integer")
    return sp.Integer(int(value))


def constant(lr: Any) -> sp.Expr:
    """The same at every step.

    >>> constant(0.1)
    0.100000000000000
    """
    return sp.sympify(lr)


def steps(lr: Any, step_size: int, gamma: Any = 0.1) -> sp.Expr:
    """Times `gamma` after every `step_size` steps (torch's `StepLR`).

    >>> steps(0.1, step_size=30)
    0.1*0.1**floor(t/30 - 1/30)
    """
    return sp.sympify(lr) * sp.sympify(gamma) ** sp.floor(done / _count("steps", step_size))


def exponential(lr: Any, gamma: Any) -> sp.Expr:
    """Times `gamma` after every step (torch's `ExponentialLR`).

    >>> exponential(0.1, gamma=0.5)
    0.1*0.5**(t - 1)
    """
    return sp.sympify(lr) * sp.sympify(gamma) ** done


def cosine(lr: Any, steps: int, end: Any = 0) -> sp.Expr:
    """Half a wave of the cosine from `lr` down to `end` in `steps` steps, then `end` (torch's
    `CosineAnnealingLR`).

    >>> cosine(1, steps=100)
    cos(pi*Min(100, t - 1)/100)/2 + 1/2
    """
    first, last, count = sp.sympify(lr), sp.sympify(end), _count("cosine", steps)
    return last + (first - last) * (1 + sp.cos(sp.pi * sp.Min(done, count) / count)) / 2


def linear(start: Any, end: Any, steps: int) -> sp.Expr:
    """In a straight line from `start` to `end` in `steps` steps, then `end` (torch's `LinearLR`).

    >>> linear(1, 0, steps=10)
    1 - Min(10, t - 1)/10
    """
    first, last, count = sp.sympify(start), sp.sympify(end), _count("linear", steps)
    return first + (last - first) * sp.Min(done, count) / count


def warmup(lr: Any, steps: int, start: Any = None) -> sp.Expr:
    """A straight line up to `lr` in `steps` steps, then `lr`, a schedule that begins there.

    The first step has the rate `start`, by default one `steps`-th of the first rate.

    >>> warmup(1, steps=4)
    Piecewise((t/4, t <= 4), (1, True))
    """
    count = _count("warmup", steps)
    top = sp.sympify(lr).xreplace({t: sp.Integer(1)})
    rise = top * t / count if start is None else sp.sympify(start) + (top - sp.sympify(start)) * done / count
    return sp.Piecewise((rise, t <= count), (_later(lr, count), True))


def sequence(*parts: Any) -> sp.Expr:
    """Schedules one after the other: `sequence((first, 100), (second, 50), third)`; each begins anew.

    Every part but the last is a pair of a schedule and its number of steps.

    >>> sequence((0.1, 10), 0.01)
    Piecewise((0.1, t <= 10), (0.01, True))
    """
    if not parts or any(not isinstance(x, (tuple, list)) or len(x) != 2 for x in parts[:-1]):
        raise ArgumentError(
            "sequence takes pairs (schedule, steps) and at the end a schedule, such as "
            "sequence((0.1, 100), 0.01)"
        )
    begin, pieces = sp.Integer(0), []
    for schedule, count in parts[:-1]:
        after = begin + _count("sequence", count)
        pieces.append((_later(schedule, begin), t <= after))
        begin = after
    return sp.Piecewise(*pieces, (_later(parts[-1], begin), True))


def _later(schedule: Any, begin: sp.Integer) -> sp.Expr:
    """A schedule that begins after so many steps."""
    return sp.sympify(schedule).xreplace({t: t - begin})
