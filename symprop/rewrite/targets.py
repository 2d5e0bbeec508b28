"""A softmax less its target: at a class of probability one the difference is minus the sum of the others.

The gradient of a cross-entropy, however it is written, is `softmax(z) - t`, t a one-hot column or an input.
With the powers `e = exp(z - max(z))`, of which the largest is exactly one, and their sum `1 + excess`, it is
`((e - t) - t*excess)/(1 + excess)`: nothing cancels for t = 0 and for t = 1, where no digit would be left of
`p - t` once p rounds to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.reading import Reading, read
from symprop.rewrite.rules.exponentials import excess, is_shifted_sum

__all__ = ["jacobian_of_softmax", "softmax_less_target"]

LONGEST = 8  # terms of a sum that are looked at
WIDEST = 64  # scalars of one softmax
_VIEWS = frozenset({"index", "take", "slice", "reshape", "transpose", "broadcast"})


def softmax_less_target(node: Node, sweep: Sweep) -> Node | None:
    """`F*p - F*t` with p a softmax and t its target, over the sum of the powers; or None."""
    context, table = sweep.context, sweep.table
    if len(node.args) > LONGEST:
        return None
    readings = [read(_in_front(a, context), context) for a in node.args]
    for i, first in enumerate(readings):
        found = _softmax(first, context)
        if found is None:
            continue
        power, inverse, total = found
        others = {s: e for s, (_, e) in first.powers.items() if e}
        for s, by in ((power.serial, 1), (total.serial, -1), (inverse.serial, 1)):
            if s in others:  # p*p leaves p
                others[s] -= by
                if not others[s]:
                    del others[s]
        weight = _weight(first, others, context)  # what the targets add up to, where that is a factor
        number = first.number if weight is None else first.number * weight.number
        for j, second in enumerate(readings):
            if second.number != -number:
                continue
            own = {s: e for s, (_, e) in second.powers.items() if e}
            targets = [s for s in own if s not in others]
            if len(targets) > 1 or {s: e for s, e in own.items() if s in others} != others:
                continue
            target = context.constant(1)
            if targets:
                target, exponent = second.powers[targets[0]]
                if exponent != 1 or not _is_target(target):
                    continue
            if weight is not None and weight.target is not target:
                continue
            sweep.fire("softmax less its target")
            made = _difference(power, inverse, total, target, weight, context)
            bases = {s: b for s, (b, _) in first.powers.items()}
            front = [table.pow(bases[s], context.constant(e)) for s, e in others.items()]
            kept = [a for k, a in enumerate(node.args) if k not in (i, j)]
            result = table.mul(context.constant(number), *front, made)
            return table.broadcast(table.add(result, *kept), node.shape)
    return None


def jacobian_of_softmax(node: Node, sweep: Sweep) -> Node | None:
    """`diag(p) - p*p.T --> diag(p o (1 - p)) - p*p.T beside the diagonal`, p a softmax: 1 - p is the
    sum of the other powers over the sum of all, and keeps its digits where p rounds to one."""
    context, table = sweep.context, sweep.table
    if len(node.args) > LONGEST:
        return None
    readings = [read(a, context) for a in node.args]
    for i, first in enumerate(readings):
        diagonal = next((b for b, e in first.powers.values() if b.op == "diag" and e == 1), None)
        own = None if diagonal is None else _joined(first, diagonal, diagonal.args, context)
        found = None if own is None else _softmax(read(own, context), context)
        if diagonal is None or own is None or found is None:
            continue
        power, inverse, total = found
        if not _same(own, table.mul(power, inverse), context):
            continue
        for j, second in enumerate(readings):
            outer = next((b for b, e in second.powers.values() if b.op == "matmul" and e == 1), None)
            if outer is None or i == j or outer.args[1].op != "transpose" or total.op != "sum":
                continue
            square = _joined(second, outer, (outer.args[0], outer.args[1].args[0]), context)
            expected = table.mul(context.constant(-1), own, power, table.pow(total, -1))
            if not _same(square, expected, context):
                continue
            sweep.fire("Jacobian of a softmax")
            is_less = table.make("less", (power, context.constant(1)))
            less = table.make("sub", (table.broadcast(total, power.shape), power))
            rest = excess(power, total, context)
            others = table.select(is_less, less, table.broadcast(rest, power.shape), power.shape)
            entries = table.mul(table.mul(power, inverse), table.mul(others, inverse))
            beside = table.add(
                table.full(1, node.shape), context.times(-1, (table.make("eye", (), node.shape),))
            )
            weight = table.mul(power, inverse)
            products = table.matmul(weight, table.transpose(weight))
            made = table.add(table.make("diag", (entries,)), context.times(-1, (beside, products)))
            kept = [a for k, a in enumerate(node.args) if k not in (i, j)]
            return table.add(made, *kept)
    return None


def _joined(reading: Reading, base: Node, parts: Sequence[Node], context: Context) -> Node | None:
    """The number and scalars of a product times these columns instead of the matrix `base`, by entries."""
    scalars = []
    for b, e in reading.powers.values():
        if b is base or not e:
            continue
        if b.shape:
            return None
        scalars.append(context.table.pow(b, context.constant(e)))
    return context.table.mul(context.constant(reading.number), *scalars, *parts)


def _same(a: Node | None, b: Node, context: Context) -> bool:
    """True for two products of the same factors."""
    if a is None:
        return False
    left, right = read(a, context), read(b, context)
    own = {s: e for s, (_, e) in left.powers.items() if e}
    return left.number == right.number and own == {s: e for s, (_, e) in right.powers.items() if e}


def _in_front(term: Node, context: Context) -> Node:
    """A number in some places of an array as that number times a one in each; what a repeated product
    repeats, factor by factor."""
    if term.op == "mul" and any(_repeats_product(f) for f in term.args):
        t = context.table
        factors: list[Node] = []
        for f in term.args:
            inner = f.args[0].args if _repeats_product(f) else (f,)
            factors.extend(
                inner if inner == (f,) else [t.broadcast(a, f.shape) if a.shape else a for a in inner]
            )
        return t.mul(*factors)
    number = context.number(term.args[0]) if term.op == "place" else None
    if number is None or number == 1 or any(a is not term.args[0] for a in term.args):
        return term
    ones = [context.constant(1)] * len(term.args)
    return context.times(number, (context.table.make("place", ones, term.attrs),))


def _repeats_product(factor: Node) -> bool:
    return factor.op == "broadcast" and factor.args[0].op == "mul" and len(factor.args[0].args) <= LONGEST


@dataclass(frozen=True)
class _Weight:
    """number * sum(target), a factor of the softmax."""

    number: Number
    target: Node
    total: Node


def _weight(reading: Reading, others: dict[int, Number], context: Context) -> _Weight | None:
    """The factor sum(t) of sum(t)*softmax(z) - t; it is taken from the others."""
    for serial, (base, exponent) in reading.powers.items():
        total = base.args[0] if base.op == "broadcast" else base
        if serial not in others or exponent != 1 or total.op != "sum":
            continue
        inner = read(total.args[0], context)
        powers = [p for p in inner.powers.values() if p[1]]
        if len(powers) != 1 or powers[0][1] != 1 or not _is_target(powers[0][0]):
            continue
        target = powers[0][0]
        others.pop(serial)
        one_hot = target.op == "one_hot"
        made = context.constant(1) if one_hot else context.table.make("sum", (target,), total.attrs)
        return _Weight(inner.number, target, made)
    return None


def _softmax(reading: Reading, context: Context) -> tuple[Node, Node, Node] | None:
    """exp(z - m), the inverse of its sum (in its shape) and that sum itself, if they are factors."""
    for base, exponent in reading.powers.values():
        if base.op != "exp" or exponent < 1:
            continue
        for other, e in reading.powers.values():
            if e <= -1 and other.op == "add" and not other.shape and _is_among(base, other):
                return base, context.table.pow(other, -1), other
            if e <= -1 and other.op == "sum" and other.args[0] is base and is_shifted_sum(other, context):
                return base, context.table.pow(other, -1), other
            if e >= 1 and other.op == "broadcast" and other.args[0].op == "pow":
                total, power = other.args[0].args
                matches = total.op == "sum" and total.args[0] is base and context.is_number(power, -1)
                if matches and is_shifted_sum(total, context):
                    return base, other, total
    return None


def _is_among(power: Node, total: Node) -> bool:
    """True for a sum of exponentials of which this is one."""
    if len(total.args) > WIDEST or any(a.op != "exp" for a in total.args):
        return False
    return any(a is power for a in total.args)


def _is_target(node: Node) -> bool:
    """True for a one-hot column, and for (entries of) an input."""
    while node.op in _VIEWS and node.args:
        node = node.args[0]
    return node.op in ("one_hot", "place") or (node.op == "symbol" and node.kind == "real")


def _difference(
    power: Node, inverse: Node, total: Node, target: Node, weight: _Weight | None, context: Context
) -> Node:
    t, whole = context.table, power
    if total.op == "add":
        others = t.add(*[a for a in total.args if a is not power])
        if target.op == "constant":
            return t.mul(context.times(-1, (others,)), inverse)  # 1 - p: right for every p
        own = t.mul(t.make("sub", (context.constant(1), target)), power)
        return t.mul(t.make("sub", (own, t.mul(target, others))), inverse)
    if weight is not None:
        whole = t.mul(t.broadcast(weight.total, power.shape), power)
    rest = t.broadcast(excess(power, total, context), power.shape)
    return t.mul(t.make("sub", (t.make("sub", (whole, target)), t.mul(target, rest))), inverse)
