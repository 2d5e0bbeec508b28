"""A formula as a product of powers of values times a function of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symprop.graph import OPERATIONS, Node, NodeTable
from symprop.rewrite.context import Context, Number

__all__ = ["FIXED", "LONGEST", "MOST", "OPENED", "Part", "Place", "Reader", "is_function"]

LONGEST = 8  # terms of a sum, factors of a product
MOST = 32  # nodes of one function that are looked at
OPENED = frozenset({"add", "mul", "pow", "broadcast", "select"})
CHOICES = frozenset(
    {"less", "less_equal", "equal", "not_equal", "and", "or", "not", "maximum", "minimum", "abs", "sign"}
) | {"floor", "ceiling", "select"}

U, BASE = sp.symbols("u b", positive=True)  # the value, and the base of powers with an exponent made of it
FIXED = {BASE: 3}

Powers = dict[int, Fraction]  # serial number of a factor -> exponent


@dataclass(frozen=True)
class Place:
    """The product of powers of values next to a number."""

    powers: tuple[tuple[int, Fraction], ...]
    point: Fraction


@dataclass(frozen=True)
class Part:
    """A node as a product of powers of values times a function of the one that is looked at; where one of
    the guards is true it is something else."""

    rest: tuple[tuple[int, Fraction], ...]
    function: Node
    guards: tuple[Node, ...] = ()


def is_function(op: str) -> bool:
    """True for an elementwise function that is no arithmetic, no comparison and no choice."""
    declared = OPERATIONS[op]
    return declared.elementwise and declared.exact is not None and op not in OPENED and op not in CHOICES


class Reader:
    """Nodes as functions of one value u, a product of powers: one of its factors is written as u over the
    others."""

    def __init__(self, context: Context, own: NodeTable, values: dict[int, Node], place: Place) -> None:
        self.context, self.own = context, own
        self.values = values  # where the values that are looked into no further are entered
        self.u = self.own.symbol(U)
        powers = dict(place.powers)
        self.pivot = min(powers, key=lambda s: (abs(powers[s]) != 1, abs(powers[s]), s))
        self.exponent = 1 / powers.pop(self.pivot)
        self.others = tuple(sorted((s, -e * self.exponent) for s, e in powers.items()))
        self.first = min(powers, default=self.pivot)  # what was made before it does not hold the value
        self.first = min(self.first, self.pivot)
        self.known: dict[int, Part] = {}
        self.read: set[int] = set()  # what has been looked into

    def of(self, root: Node) -> Part | None:
        """The parts of a node, on a stack; None where there are too many."""
        todo = [root]
        while todo:
            node = todo[-1]
            if node.serial in self.known:
                todo.pop()
                continue
            if len(self.known) > MOST:
                return None
            args = self._opened(node)
            missing = [a for a in args if a.serial not in self.known]
            if missing:
                todo.extend(missing)
            else:
                self.known[node.serial] = self._made(node, [self.known[a.serial] for a in args])
        return self.known[root.serial]

    def _opened(self, node: Node) -> tuple[Node, ...]:
        """The operands that are looked into."""
        if node.serial <= self.first or len(node.args) > LONGEST or node.kind == "integer":
            return ()
        if node.serial == self.pivot:
            return ()
        if node.op == "pow":
            if self.context.number(node.args[1]) is not None:
                return node.args[:1]
            return (node.args[1], self.context.table.make("log", (node.args[0],)))
        if node.op == "select":
            return node.args[2:]
        if node.op == "broadcast" and node.args[0].shape:
            return ()
        return node.args if node.op in OPENED or is_function(node.op) else ()

    def _made(self, node: Node, parts: Sequence[Part]) -> Part:
        made = self._of_parts(node, parts)
        if made is None:  # a value that is looked into no further
            self.values[node.serial] = node
            return Part(((node.serial, Fraction(1)),), self.own.constant(1))
        self.read.add(node.serial)
        return made

    def _of_parts(self, node: Node, parts: Sequence[Part]) -> Part | None:
        own, op = self.own, node.op
        if node.serial == self.pivot:
            self.values[node.serial] = node
            return Part(self.others, own.pow(self.u, _rational(self.exponent)))
        if op == "constant":
            return Part((), own.constant(node.attrs[0]))
        if not parts:
            return None
        first = parts[0]
        guards = tuple(dict.fromkeys(g for p in parts for g in p.guards))
        if op == "broadcast":
            return first
        if op == "select":
            return Part(first.rest, first.function, (*guards, node.args[0]))
        if op == "mul":
            return Part(_product(parts), own.mul(*[p.function for p in parts]), guards)
        if op == "add":
            same = all(p.rest == first.rest for p in parts)
            return Part(first.rest, own.add(*[p.function for p in parts]), guards) if same else None
        number = self.context.number(node.args[1]) if op == "pow" else None
        if number is not None:
            rest = tuple((s, e * number) for s, e in first.rest)
            is_one = first.function is own.constant(1)
            return Part(
                rest, first.function if is_one else own.pow(first.function, _rational(number)), guards
            )
        if _product(parts) if op == "pow" else any(p.rest for p in parts):
            return None
        if op == "pow":  # any base will do
            base = own.symbol(BASE)
            power = own.mul(*[p.function for p in parts], own.pow(own.call("log", base), -1))
            return Part((), own.pow(base, power), guards)
        return Part((), own.make(op, [p.function for p in parts], node.attrs), guards)


def _rational(number: Number) -> sp.Rational:
    exact = Fraction(number)
    return sp.Rational(exact.numerator, exact.denominator)


def _product(parts: Sequence[Part]) -> tuple[tuple[int, Fraction], ...]:
    total: Powers = {}
    for p in parts:
        for s, e in p.rest:
            total[s] = total.get(s, Fraction(0)) + e
    return tuple(sorted((s, e) for s, e in total.items() if e))
