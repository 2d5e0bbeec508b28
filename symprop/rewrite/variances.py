"""Variances of textbooks, `sum(x**2)/n - (sum(x)/n)**2`, and covariances, `sum(x*y) - sum(x)*sum(y)/n`.

Both terms agree in twice the digits that the values of x have in common, and the difference may be negative.
By the deviations from the mean nothing cancels; these keep their digits as deviations of `x - x[0]`:

    c*sum(x*y) - c/n*sum(x)*sum(y) = c*sum(d(x)*d(y)),  d(x) = (x - x[0]) - mean(x - x[0]),

and the slopes, `c*x - c/n*sum(x)`, are c*d(x).
"""

from __future__ import annotations

from fractions import Fraction

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep, entries
from symprop.rewrite.pairs import Term, opened_term, terms_of

__all__ = ["variance"]

MOST = 6  # terms of a sum
Key = tuple[tuple[int, Number], ...]


def variance(node: Node, sweep: Sweep) -> Node | None:
    """The sum by deviations from the mean, or None."""
    if not 2 <= len(node.args) <= MOST:
        return None
    context = sweep.context
    terms = terms_of(node, context)
    if not any(b.op == "sum" or (b.op == "add" and node.shape) for term in terms for b, _ in term.powers):
        return None
    if not node.shape:
        made = _value(terms, node, context)
    else:
        opened = [x for a in node.args for x in opened_term(a, context)]
        made = _slope(terms, node, context) or _slope(opened, node, context)
    if made is not None:
        sweep.fire("variance")
    return made


def _total_of(base: Node) -> Node | None:
    """The array of which the sum of all entries is."""
    return base.args[0] if base.op == "sum" and base.shape == () else None


def _factors(base: Node, context: Context) -> tuple[Node, Node] | None:
    """x and y of sum(x*y), sum(x**2), x.T*y."""
    inner = base.args[0] if base.op == "reshape" else base
    if base.op == "reshape" and inner.op == "matmul" and inner.shape == (1, 1):
        left, right = inner.args
        return (left.args[0], right) if left.op == "transpose" else None
    x = _total_of(base)
    if x is None:
        return None
    if x.op == "pow" and context.is_number(x.args[1], 2):
        return x.args[0], x.args[0]
    return (x.args[0], x.args[1]) if x.op == "mul" and len(x.args) == 2 and x.args[0].shape else None


def _key(powers: dict[int, Number]) -> Key:
    return tuple(sorted((s, e) for s, e in powers.items() if e))


def _others(term: Term) -> dict[int, Number]:
    return {b.serial: e for b, e in term.powers}


def _deviation(x: Node, context: Context) -> Node:
    """(x - x[0]) less its mean"""
    t, count = context.table, entries(x)
    assert count is not None
    first = t.index(x, (0,) * len(x.shape))
    apart = t.add(x, context.negate(first))
    return t.add(apart, context.times(Fraction(-1, count), (t.sum(apart),)))


def _value(terms: list[Term], node: Node, context: Context) -> Node | None:
    t = context.table
    for i, term in enumerate(terms):
        for base, e in term.powers:
            found = _factors(base, context) if e == 1 else None
            if found is None or found[0].shape != found[1].shape or (entries(found[0]) or 0) < 2:
                continue
            count = entries(found[0])
            assert count is not None
            wanted = _others(term)
            del wanted[base.serial]
            rest = dict(wanted)
            for x in found:
                total = t.sum(x)
                wanted[total.serial] = wanted.get(total.serial, 0) + 1
            for j, other in enumerate(terms):
                if other.number * count != -term.number or _key(_others(other)) != _key(wanted):
                    continue
                known = context.memo.setdefault(("centred", 0), set())
                known.update(x.serial for x in found)
                product = t.mul(*[_deviation(x, context) for x in found])
                front = [t.pow(t.nodes[s], context.constant(o)) for s, o in rest.items()]
                total = t.sum(product)
                kept = [a for k, a in enumerate(node.args) if k not in (i, j)]
                return t.add(t.mul(context.constant(term.number), *front, total), *kept)
    return None


def _slope(terms: list[Term], node: Node, context: Context) -> Node | None:
    """c*F*x - c/n*F*sum(x) of an x of which the variance was seen."""
    t, known = context.table, context.memo.get(("centred", 0), ())
    for i, term in enumerate(terms) if known else ():
        for base, e in term.powers:
            count = entries(base) if base.serial in known and e == 1 else None
            if count is None:
                continue
            wanted = _others(term)
            del wanted[base.serial]
            rest = dict(wanted)
            total = t.sum(base)
            wanted[total.serial] = wanted.get(total.serial, 0) + 1
            for j, other in enumerate(terms):
                if other.number * count == -term.number and _key(_others(other)) == _key(wanted):
                    front = [t.pow(t.nodes[s], context.constant(o)) for s, o in rest.items()]
                    made = t.mul(context.constant(term.number), *front, _deviation(base, context))
                    kept = [x.built(context) for k, x in enumerate(terms) if k not in (i, j)]
                    return t.broadcast(t.add(made, *kept), node.shape)
    return None
