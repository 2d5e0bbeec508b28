"""The pass that applies the rules of `rules.py`."""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import Node, NodeTable, topological
from symprop.rewrite.context import Context, NodeRule, Sweep
from symprop.rewrite.matching import LONGEST, Rule
from symprop.rewrite.rules import STABLE

__all__ = ["stable_forms"]


def stable_forms(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`log(1 + exp(x)) --> softplus(x)` and the other rows of `rules.STABLE`; nothing for
    accuracy="as_written"."""
    if context.accuracy == "as_written":
        return list(roots)
    by_operation: dict[str, list[Rule]] = {}
    for rule in _applicable({node.op for node in topological(roots)}):
        by_operation.setdefault(rule.before[0], []).append(rule)
    return Sweep(context, roots, {op: _first(rules) for op, rules in by_operation.items()}).run()


def _spread(node: Node, sweep: Sweep) -> Node:
    """The product with the factors of its factors, those with other uses too: in a gradient the quotient
    `1/s` of a softmax stands in a product with the upstream adjoint that every entry shares."""
    table = sweep.table
    factors: list[Node] = []
    for factor in node.args:
        inner = factor.args[0] if factor.op == "broadcast" else factor
        if inner.op != "mul" or len(inner.args) > LONGEST:
            factors.append(factor)
        elif factor.op == "broadcast":
            factors.extend(table.broadcast(f, factor.shape) if f.shape else f for f in inner.args)
        else:
            factors.extend(inner.args)
    return node if len(factors) == len(node.args) else table.make("mul", factors)


def _applicable(present: set[str]) -> list[Rule]:
    """The rules whose operations are there, or are made by another rule: most graphs have few of them."""
    found: dict[str, Rule] = {}
    while True:
        new = [r for r in STABLE if r.name not in found and r.needs <= present]
        if not new:
            return [r for r in STABLE if r.name in found]
        for rule in new:
            found[rule.name] = rule
            present = present | rule.makes


def _first(rules: Sequence[Rule]) -> NodeRule:
    def apply(node: Node, sweep: Sweep) -> Node | None:
        forms = [node]
        if node.op == "mul" and any(f.op == "exp" for f in node.args):
            forms.append(_spread(node, sweep))
        for form in forms:
            for rule in rules:
                result = rule.apply(form, sweep.context)
                if result is not None and result is not node:
                    sweep.fire(rule.name)
                    return result
        return None

    return apply
