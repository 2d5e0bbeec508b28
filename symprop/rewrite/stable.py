"""The pass that applies the rules of `rules.py`."""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import Node, NodeTable, topological
from symprop.rewrite.context import Context, NodeRule, Sweep
from symprop.rewrite.matching import Rule
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
        for rule in rules:
            result = rule.apply(node, sweep.context)
            if result is not None and result is not node:
                sweep.fire(rule.name)
                return result
        return None

    return apply
