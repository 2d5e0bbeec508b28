"""Logarithms of sums of exponentials less one of the exponents, `log(sum(exp(z))) - z[k]`, and of entries.

Written out they are `m + log1p(rest) - z[k]` with m the maximum of z, where the rest may be small: the
maximum and the exponent meet first, and what is left is added to their exact difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Number, Sweep

__all__ = ["entry_of", "log_of_entry", "log_sum_less_exponent"]

LONGEST = 8  # terms of a sum that are looked at
_MAXIMA = frozenset({"reduce_max", "maximum"})
_ENTRYWISE = frozenset({"mul", "pow", "exp", "add", "log"})
DEEPEST = 6


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
    for a in node.args:  # that of `logsumexp`, which is the maximum where that is infinite
        choice = _inside(a, context)[1]
        if choice.op == "select" and choice.args[2].op == "add" and _is_log_sum(choice.args[2], context):
            return _in_branches(node, a, choice, sweep)
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


def _in_branches(node: Node, term: Node, choice: Node, sweep: Sweep) -> Node | None:
    """`select(c, m, m + log1p(r)) - x --> select(c, m - x, (m - x) + log1p(r))`, where that is better."""
    context, table = sweep.context, sweep.table
    number, _ = _inside(term, context)
    rest = [a for a in node.args if a is not term]
    condition, *branches = choice.args
    infinite, finite = (
        table.add(table.broadcast(context.scaled(number, b), node.shape), *rest) for b in branches
    )
    better = log_sum_less_exponent(finite, sweep)
    if better is None:
        return None
    return table.select(table.broadcast(condition, node.shape), infinite, better, node.shape)


def log_of_entry(node: Node, sweep: Sweep) -> Node | None:
    """`log((a*exp(z))[y]) --> log(a[y]*exp(z[y]))`: the exponential of an entry cancels against the
    logarithm, and only that entry is computed."""
    (x,) = node.args
    factors = x.args if x.op == "mul" else (x,)
    if len(factors) > LONGEST:
        return None
    made = [entry_of(f.args[0], f, sweep.table) if _is_entry(f) else f for f in factors]
    if made == list(factors):
        return None
    sweep.fire("log of an entry")
    return sweep.table.make("log", (sweep.table.mul(*made),))


def _is_entry(x: Node) -> bool:
    """True for an entry of an exponential, or of a product or power of one."""
    inner = x.args[0] if x.op in ("take", "index") else x
    return inner is not x and inner.op in ("mul", "pow", "exp") and _has_exponential(inner, 2)


def _has_exponential(node: Node, depth: int) -> bool:
    """True for an exponential, and for a product or power of one."""
    if node.op == "exp" or depth == 0:
        return node.op == "exp"
    return node.op in ("mul", "pow") and any(_has_exponential(a, depth - 1) for a in node.args[:LONGEST])


def entry_of(inner: Node, view: Node, table: NodeTable, depth: int = DEEPEST) -> Node:
    """Of an array the entry that `view` is of another, through products, powers, exponentials and sums."""
    if not inner.shape:
        return inner
    if inner.op == "broadcast" and not inner.args[0].shape:
        return inner.args[0] if not view.shape else table.broadcast(inner.args[0], view.shape)
    if inner.op not in _ENTRYWISE or depth == 0:
        return table.make(view.op, (inner, *view.args[1:]), view.attrs)
    return table.make(inner.op, [entry_of(a, view, table, depth - 1) for a in inner.args], inner.attrs)


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
