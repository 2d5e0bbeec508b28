"""Patterns over nodes: how the rules of `rules.py` are written, matched, built and printed.

A pattern is
- a name: any node, the same one wherever the name stands (`"x"`);
- a number: that constant;
- `(op, pattern, ...)`: an operation; the operands of sums and products in any order, all of them unless
the last is `"..."` (what is left over is kept beside the result) or a name with a star (`"*x"`: what is
left over, at least one operand, as one sum or product);
- `("neg", pattern)`: minus one times it, however the sign is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from symprop.graph import OPERATIONS, Node
from symprop.rewrite.context import Context

__all__ = ["LONGEST", "Bindings", "Pattern", "Rule", "build", "candidates", "match", "show"]

Pattern = Any  # str | int | Fraction | tuple[str, *Pattern]; mypy has no good recursive form of this
Bindings = dict[str, Node]
REST = "..."
LONGEST = 32  # sums and products of more operands are not searched for parts of a pattern


@dataclass(frozen=True)
class Rule:
    """`before --> after`, a pattern each; `after` may be a function of the match, `shown` is then what it
    makes.

    `condition(bindings, context)` must hold too. `why` says which digits it saves. `operands` are operations
    that some operand must have beyond what the pattern says: the rule is tried on no other node.
    """

    name: str
    before: Pattern
    after: Pattern | Callable[[Bindings, Context], Node]
    why: str
    condition: Callable[[Bindings, Context], bool] | None = None
    shown: str = ""
    operands: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{show(self.before)} --> {self.shown or show(self.after)}"

    @cached_property
    def needs(self) -> frozenset[str]:
        """The operations of the pattern."""
        return frozenset(_operations(self.before))

    @cached_property
    def makes(self) -> frozenset[str]:
        """The operations that the result may have."""
        return frozenset(_operations(self.after)) if not callable(self.after) else _MADE

    @cached_property
    def near(self) -> frozenset[str]:
        """The operations that operands of a node have where the pattern fits."""
        return self.operands.union(*[_own(p) for p in self.before[1:]])

    @cached_property
    def below(self) -> frozenset[str]:
        """The operations that operands of operands have where the pattern fits."""
        return frozenset().union(*[_under(p) for p in self.before[1:]])

    def apply(self, node: Node, context: Context) -> Node | None:
        """The node that the rule makes of this one, or None."""
        found = match(self.before, node, context)
        if found is None:
            return None
        bindings, rest = found
        if self.condition is not None and not self.condition(bindings, context):
            return None
        result: Node = (
            self.after(bindings, context) if callable(self.after) else build(self.after, bindings, context)
        )
        if rest:
            result = context.table.make(node.op, (result, *rest))
        return context.table.broadcast(result, node.shape)


# by the results that are functions
_MADE = frozenset(
    {
        *("sigmoid", "softplus", "exp", "log", "log1p", "sum", "add", "mul", "pow", "expm1", "sinh"),
        *("tanh", "normal_cdf", "root_of_squares", "select"),
    }
)


def _operations(pattern: Pattern) -> set[str]:
    if not isinstance(pattern, tuple):
        return set()
    own = set() if pattern[0] == "neg" else {pattern[0]}
    return own.union(*[_operations(p) for p in pattern[1:]])


def _own(pattern: Pattern) -> set[str]:
    """The operation that a node has where the pattern fits, where only one will do."""
    if isinstance(pattern, int | Fraction):
        return {"constant"}
    if not isinstance(pattern, tuple):
        return set()
    if pattern[0] == "neg":  # minus a name may be any node, minus a formula is a product
        return {"mul"} if isinstance(pattern[1], tuple) else set()
    return {pattern[0]}


def _under(pattern: Pattern) -> set[str]:
    """Operations among the operands of a node where the pattern fits."""
    if not isinstance(pattern, tuple) or (pattern[0] == "neg" and _own(pattern[1]) == {"mul"}):
        return set()
    return set().union(*[_own(p) for p in pattern[1:]])


def candidates(rules: Sequence[Rule], near: frozenset[str]) -> list[Rule]:
    """The rules that operands of these operations do not rule out: for most nodes there are none."""
    return [rule for rule in rules if rule.near <= near]


def match(pattern: Pattern, node: Node, context: Context) -> tuple[Bindings, list[Node]] | None:
    """What the names of the pattern stand for, and the operands left over by `"..."`."""
    if pattern[0] != node.op:
        return None
    found = _operands(list(pattern[1:]), list(node.args), {}, node, context)
    return None if found is None else found


def _inner(pattern: Pattern, node: Node, bound: Bindings, context: Context) -> Bindings | None:
    """The recursion here is over the pattern, a few levels deep."""
    if isinstance(pattern, str):
        if pattern in bound:
            return bound if bound[pattern] is node else None
        return {**bound, pattern: node}
    if isinstance(pattern, int | Fraction):
        return bound if context.is_number(node, pattern) else None
    if pattern[0] == "neg":
        (inner,) = pattern[1:]
        if isinstance(inner, str) and inner in bound:
            return (
                bound
                if context.negate(bound[inner]) is node or context.negate(node) is bound[inner]
                else None
            )
        number, factors = context.split(node)
        if number >= 0:
            return None
        return _inner(inner, context.times(-number, factors), bound, context)
    if pattern[0] != node.op:
        return None
    found = _operands(list(pattern[1:]), list(node.args), bound, node, context)
    return None if found is None or found[1] else found[0]


def _operands(
    patterns: list[Pattern], nodes: list[Node], bound: Bindings, node: Node, context: Context
) -> tuple[Bindings, list[Node]] | None:
    if not OPERATIONS[node.op].commutative:
        if len(patterns) != len(nodes):
            return None
        for p, n in zip(patterns, nodes, strict=True):
            current = _inner(p, n, bound, context)
            if current is None:
                return None
            bound = current
        return bound, []
    last = patterns[-1] if isinstance(patterns[-1], str) and patterns[-1][:1] in ".*" else None
    fixed = patterns[:-1] if last is not None else patterns
    if (len(nodes) != len(fixed) if last is None else len(nodes) > LONGEST) or len(nodes) < len(fixed):
        return None
    found = _assign(fixed, nodes, bound, context)
    if found is None or last is None or last == REST:
        return found
    bindings, rest = found
    if not rest:
        return None
    joined = rest[0] if len(rest) == 1 else context.table.make(node.op, rest)
    return {**bindings, last[1:]: joined}, []


def _assign(
    patterns: Sequence[Pattern], nodes: list[Node], bound: Bindings, context: Context
) -> tuple[Bindings, list[Node]] | None:
    """The patterns to different nodes, by trying; there are at most three of them."""
    if not patterns:
        return bound, nodes
    for k, node in enumerate(nodes):
        current = _inner(patterns[0], node, bound, context)
        if current is not None:
            found = _assign(patterns[1:], nodes[:k] + nodes[k + 1 :], current, context)
            if found is not None:
                return found
    return None


def build(pattern: Pattern, bindings: Bindings, context: Context) -> Node:
    """The nodes of a pattern whose names are bound."""
    if isinstance(pattern, str):
        return bindings[pattern]
    if isinstance(pattern, int | Fraction):
        return context.constant(pattern)
    args = [build(p, bindings, context) for p in pattern[1:]]
    if pattern[0] == "neg":
        return context.negate(args[0])
    if pattern[0] == "mul" and len(args) == 2 and isinstance(pattern[1], int | Fraction):
        number, factors = context.split(args[1])  # 2*(3*x) is 6*x
        return context.times(pattern[1] * number, factors)
    return context.table.make(pattern[0], args)


def show(pattern: Pattern) -> str:
    """The pattern as a formula.

    >>> show(("log", ("add", 1, ("exp", "x"))))
    'log(1 + exp(x))'
    """
    if not isinstance(pattern, tuple):
        return str(pattern).removeprefix("*")
    op, *args = pattern
    texts = [show(a) for a in args]
    grouped = [
        f"({s})" if isinstance(a, tuple) and a[0] in ("add", "neg") else s
        for a, s in zip(args, texts, strict=True)
    ]
    if op == "neg":
        return f"-{grouped[0]}"
    if op == "mul":
        return "*".join(grouped)
    if op == "add":
        return " + ".join(texts).replace("+ -", "- ")
    if op == "pow":
        return f"{grouped[0]}**{grouped[1]}"
    return f"{op}({', '.join(texts)})"
