"""Logarithms of sums of exponentials less one of the exponents: `log(sum(exp(z))) - z[k]`.

Written out they are `m + log1p(rest) - z[k]` with m the maximum of z, where the rest may be small: the
maximum and the exponent meet first, and what is left is added to their exact difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep

__all__ = ["log_sum_less_exponent"]

LONGEST = 8  # terms of a sum that are looked at
_MAXIMA = frozenset({"reduce_max", "maximum"})


@dataclass(frozen=True)
class _Term:
    """number * scale * value, `scale` the scalars in front of it."""

    number: Number
    scale: tuple[Node, ...]
    value: Node


def log_sum_less_exponent(node: Node, sweep: Sweep) -> Node | None:
    """The sum with `c*m` and `-c*x` as `c*(m - x)`, m a maximum; sums of it and a logarithm are opened."""
    context, table = sweep.context, sweep.table
    if not 2 <= len(node.args) <= LONGEST:
        return None
    parts: list[tuple[Number, Node]] = []
    opened = False
    for a in node.args:
        number, inner = _inside(a, context)
        if inner.op == "add" and len(inner.args) <= LONGEST and _is_log_sum(inner, context):
            parts.extend((number, b) for b in inner.args)
            opened = True
        else:
            parts.append((1, a))
    terms = [_term(number, a, context) for number, a in parts]
    for i, top in enumerate(terms):
        if top.value.op not in _MAXIMA:
            continue
        for j, other in enumerate(terms):
            if (
                i == j
                or other.number != -top.number
                or other.scale != top.scale
                or other.value.op == "constant"
            ):
                continue
            if not opened and top.number in (1, -1) and not top.scale and len(terms) == 2:
                return None
            sweep.fire("log of exponentials less an exponent")
            # the difference has the shape of both, or where one repeats in the other that of the sum
            same = top.value.shape == other.value.shape
            shape = top.value.shape if same else node.shape
            difference = table.add(
                table.broadcast(top.value, shape), table.broadcast(context.negate(other.value), shape)
            )
            made = table.mul(context.constant(top.number), *top.scale, difference)
            kept = [table.mul(context.constant(n), a) for k, (n, a) in enumerate(parts) if k not in (i, j)]
            return table.add(
                table.broadcast(made, node.shape), *[table.broadcast(a, node.shape) for a in kept]
            )
    return None


def _inside(a: Node, context: Context) -> tuple[Number, Node]:
    """A term as number and value, without the repetition around it."""
    number, factors = context.split(a)
    inner = factors[0] if len(factors) == 1 else a
    if inner is a:
        number = 1
    return number, inner.args[0] if inner.op == "broadcast" else inner


def _term(number: Number, a: Node, context: Context) -> _Term:
    own, inner = _inside(a, context)
    number = number * own
    coefficient, factors = context.split(inner)
    values = [f for f in factors if f.shape or f.op in _MAXIMA] or list(factors[-1:])
    scale = tuple(f for f in factors if f not in values)
    if len(values) != 1:
        return _Term(number * coefficient, (), context.times(1, factors))
    value = values[0].args[0] if values[0].op == "broadcast" else values[0]
    return _Term(number * coefficient, scale, value)


def _is_log_sum(total: Node, context: Context) -> bool:
    """True for a multiple of a maximum with a logarithm beside it."""
    maxima = sum(_term(1, a, context).value.op in _MAXIMA for a in total.args)
    return maxima == 1 and any(context.split(a)[1][-1].op == "log1p" for a in total.args)
