"""Sums of multiples of sums in which terms cancel: `(a - b) - (a + b) --> -2*b`, the slope of
`(a - b)*(a + b)`, and `e*c - c*(1 + s)*e --> -c*s*e`, that of `(1 + s)*exp(-s)`."""

from __future__ import annotations

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.products import read

__all__ = ["sum_of_sums"]

MOST = 12  # terms after the sums have been opened

_Powers = tuple[tuple[Node, Number], ...]


def sum_of_sums(node: Node, sweep: Sweep) -> Node | None:
    """The sum with the sums among its factors opened, those with other uses too, where a term vanishes."""
    context, table = sweep.context, sweep.table
    if len(node.args) > MOST or not any(
        f.op in ("add", "mul") for a in node.args for f in (a.args if a.op == "mul" else (a,))
    ):
        return None  # as in most sums
    opened = [_terms(a, context) for a in node.args]
    count = sum(map(len, opened))
    if not len(opened) < count <= MOST:
        return None
    totals: dict[tuple[tuple[int, Number], ...], tuple[Number, _Powers]] = {}
    for number, powers in (term for terms in opened for term in terms):
        key = tuple(sorted([(b.serial, e) for b, e in powers]))
        totals[key] = totals.get(key, (0, powers))[0] + number, powers
    left = [(c, powers) for c, powers in totals.values() if c]
    if len(left) == len(totals):
        return None
    sweep.fire("sum of sums")
    made = [
        table.mul(context.constant(c), *[table.pow(b, context.constant(e)) for b, e in powers])
        for c, powers in left
    ]
    return table.broadcast(table.add(*made), node.shape) if made else table.full(0, node.shape)


def _terms(a: Node, context: Context) -> list[tuple[Number, _Powers]]:
    """A term, or the terms of the sum that is one of its factors, as numbers and powers."""
    reading = read(a, context)
    number, powers = reading.number, tuple([p for p in reading.powers.values() if p[1]])
    sums = [b for b, e in powers if b.op == "add" and e == 1]
    if len(sums) != 1 or reading.clashes:
        return [(number, powers)]
    others = tuple([p for p in powers if p[0] is not sums[0]])
    found: list[tuple[Number, _Powers]] = []
    for term in sums[0].args:
        inner = read(term, context)
        total = {b.serial: (b, e) for b, e in others}
        for b, e in inner.powers.values():
            total[b.serial] = b, total.get(b.serial, (b, 0))[1] + e
        found.append((number * inner.number, tuple([p for p in total.values() if p[1]])))
    return found
