"""Logarithms of values near one: norms next to the unit circle, and divergences of near distributions.

    log(sqrt(x**2 + y**2)) = log1p(x**2 + y**2 - 1)/2 next to 1, x**2 + y**2 - 1 with what its products lost
    p*log(2*p/s) + q*log(2*q/s) = s/2*(2*d*atanh(d) + log1p(-d**2)),  s = p + q, d = (p - q)/s

The first rounds to the logarithm of a rounded norm, the second, of Jensen and Shannon, to noise of any sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.pairs import Term, terms_of
from symprop.rewrite.reading import read
from symprop.rewrite.rules.exponentials import difference_of

__all__ = ["divergence_of_near", "logs_of_norms"]

HALF = Fraction(1, 2)
MOST = 8  # terms of a sum
MULTIPLES = (2, HALF, 4)  # how a number in front is multiplied out


def logs_of_norms(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """log of `root_of_squares(x, y)` and of `x**2 + y**2`, next to one by log1p; done once, at the end."""
    order, present = context.order(roots)
    if "log" not in present or present.isdisjoint({"root_of_squares", "pow"}):
        return list(roots)
    done: dict[int, Node] = {}
    for node in order:
        args = [done[a.serial] for a in node.args]
        same = all(a is b for a, b in zip(args, node.args, strict=True))
        current = node if same else table.make(node.op, args, node.attrs)
        made = _log_of_norm(current, context) if node.op == "log" else None
        done[node.serial] = current if made is None else made
    return [done[root.serial] for root in roots]


def _log_of_norm(node: Node, context: Context) -> Node | None:
    t, (x,) = context.table, node.args
    squares = [t.pow(a, 2) for a in x.args] if x.op == "root_of_squares" else list(x.args)
    # with -1 they are as many terms as exact differences have
    if len(squares) != 2 or x.op not in ("root_of_squares", "add"):
        return None
    if not all(_is_square(a, context) for a in squares):
        return None
    context.fired["logarithm of a norm near one"] += 1
    one = context.constant(-1)
    apart = t.make("abs", (t.make("add", (one, x)),))
    rest = t.make("log1p", (t.make("add", (*squares, one)),))
    near = context.times(HALF, (rest,)) if x.op == "root_of_squares" else rest
    return t.select(t.make("less", (apart, context.constant(HALF))), near, node, node.shape)


def _is_square(a: Node, context: Context) -> bool:
    return a.op == "pow" and context.is_number(a.args[1], 2)


# -- p*log(2*p/(p + q)) + q*log(2*q/(p + q)) -------------------------------------------------------------


class _Part(NamedTuple):
    """c*F*p*log(n*p/s) of a sum: its place, c, the other factors, p, n and s."""

    place: int
    number: Number
    others: tuple[tuple[int, Number], ...]
    p: Node
    scale: Number
    total: Node


def divergence_of_near(node: Node, sweep: Sweep) -> Node | None:
    """The sum with `c*F*p*log(2*p/(p + q)) + c*F*q*log(2*q/(p + q))` by the relative difference of p and q,
    where they are near each other; or None."""
    context = sweep.context
    if not 2 <= len(node.args) <= MOST:
        return None
    terms = terms_of(node, context)
    parts = [p for k, term in enumerate(terms) for p in _parts(k, term, context)]
    for i, first in enumerate(parts):
        for second in parts[i + 1 :]:
            p, q, s = first.p, second.p, first.total
            same = (first.number, first.others, first.scale, s) == (
                second.number,
                second.others,
                second.scale,
                second.total,
            )
            if not same or first.place == second.place:
                continue
            doubled = context.scaled(Fraction(2) / first.scale, s)
            if context.number(difference_of(context.table.add(p, q), doubled, context)) != 0:
                continue
            sweep.fire("divergence of near values")
            return _divergence(node, first, second, context)
    return None


def _parts(k: int, term: Term, context: Context) -> list[_Part]:
    found = []
    for log, e in term.powers:
        if log.op != "log" or e != 1 or log.args[0].op != "mul":
            continue
        reading = read(log.args[0], context)
        above = [b for b, o in reading.powers.values() if o == 1]
        below = [b for b, o in reading.powers.values() if o == -1]
        if len(reading.powers) != 2 or len(above) != 1 or len(below) != 1:
            continue
        rest = {b.serial: o for b, o in term.powers if b is not log}
        if not above[0].shape == below[0].shape == log.shape:
            continue
        for p, o in term.powers:
            scale = _multiple(above[0], p, context) if o in (1, 2) and p is not log else None
            if scale is not None:
                rest[p.serial] -= 1
                others = tuple(sorted((s, o) for s, o in rest.items() if o))
                found.append(_Part(k, term.number, others, p, reading.number * scale, below[0]))
                break
    return found


def _multiple(a: Node, b: Node, context: Context) -> Number | None:
    """a/b where that is a number: of 2 - 2*p and 1 - p it is 2."""
    if a is b:
        return 1
    if a.op != "add" or b.op != "add" or len(a.args) != len(b.args):
        return None
    for scale in MULTIPLES:
        if context.number(difference_of(a, context.scaled(scale, b), context)) == 0:
            return scale
    return None


def _divergence(node: Node, first: _Part, second: _Part, context: Context) -> Node:
    t, p, q = context.table, first.p, second.p
    total = context.scaled(Fraction(2) / first.scale, first.total)
    d = t.make("div", (difference_of(p, q, context), total))
    square = context.times(-1, (d, d))
    near = t.add(context.times(2, (d, t.make("atanh", (d,)))), t.make("log1p", (square,)))
    front = [t.pow(t.nodes[s], context.constant(o)) for s, o in first.others]
    made = t.mul(context.constant(HALF * first.number), *front, total, near)
    other = context.negate(node.args[second.place])
    plain = t.make("sub", (node.args[first.place], other))  # not to be looked at again
    is_near = t.make("less", (t.make("abs", (d,)), context.constant(HALF)))
    kept = [a for k, a in enumerate(node.args) if k not in (first.place, second.place)]
    return t.broadcast(t.add(t.select(is_near, made, plain, p.shape), *kept), node.shape)
