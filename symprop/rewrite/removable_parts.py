"""A formula as a product of powers of values times a function of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import sympy as sp

from symprop.graph import OPERATIONS, Node, NodeTable
from symprop.rewrite.context import Context, Number

__all__ = ["FIXED", "LONGEST", "MOST", "OPENED", "Part", "Place", "Reader", "branch", "is_function"]

LONGEST = 8  # terms of a sum, factors of a product
MOST = 32  # nodes of one function that are looked at
MOST_OPENED = 64  # and of a sum of several
DEEPEST = 10  # operations above one another that are looked into
PARTS = 8  # functions of a sum
HIGHEST = 3  # powers of sums that are multiplied out
OPENED = frozenset({"add", "mul", "pow", "broadcast", "select"})
CHOICES = frozenset(
    {"less", "less_equal", "equal", "not_equal", "and", "or", "not", "maximum", "minimum", "abs", "sign"}
) | {"floor", "ceiling", "select"}

U, BASE = sp.symbols("u b", positive=True)  # the value, and the base of powers with an exponent made of it
FIXED = {BASE: 3}

Rest = tuple[tuple[int, Fraction], ...]  # serial number of a factor, exponent
ONE = Fraction(1)


@dataclass(frozen=True)
class Place:
    """The product of powers of values next to a number."""

    powers: Rest
    point: Fraction


@dataclass(frozen=True)
class Part:
    """A node as a product of powers of values times a function of the one that is looked at; where one of
    the guards is true it is something else."""

    rest: Rest
    function: Node
    guards: tuple[Node, ...] = ()


@cache
def is_function(op: str) -> bool:
    """True for an elementwise function that is no arithmetic, no comparison and no choice."""
    declared = OPERATIONS[op]
    return declared.elementwise and declared.exact is not None and op not in OPENED and op not in CHOICES


def branch(choice: Node) -> Node:
    """What is looked into of a choice: the other one is the value at a border, mostly a number."""
    _, yes, no = choice.args
    return yes if _is_constant(no) and not _is_constant(yes) else no


def _is_constant(node: Node) -> bool:
    while node.op == "broadcast":
        node = node.args[0]
    return node.op == "constant"


class Reader:
    """Nodes as sums of parts, of one value u, a product of powers: one of its factors is written as u over
    the others. A sum of terms with different factors is several parts if `opened`, else a value that is
    looked into no further."""

    def __init__(
        self, context: Context, own: NodeTable, values: dict[int, Node], place: Place, opened: bool = False
    ) -> None:
        self.context, self.own, self.opened = context, own, opened
        self.values = values  # where the values that are looked into no further are entered
        self.u = self.own.symbol(U)
        powers = dict(place.powers)
        self.factors = frozenset(powers)
        self.pivot = min(powers, key=lambda s: (abs(powers[s]) != 1, abs(powers[s]), s))
        self.exponent = 1 / powers.pop(self.pivot)
        self.others = tuple(sorted((s, -e * self.exponent) for s, e in powers.items()))
        self.first = min(self.factors)  # what was made before it does not hold the value
        self.most = MOST_OPENED if opened else MOST
        self.known: dict[int, tuple[Part, ...]] = {}
        self.seen: set[int] = set()
        self.read: set[int] = set()  # what has been looked into

    def of(self, root: Node) -> tuple[Part, ...]:
        """The parts of a node, on a stack; what is deep in it, or beyond many others, is a value."""
        todo = [(root, 0)]
        while todo:
            node, depth = todo[-1]
            if node.serial in self.known:
                todo.pop()
                continue
            if node.serial not in self.seen and (depth > DEEPEST or len(self.seen) > self.most):
                self.known[node.serial] = self._made(node, ())
                continue
            self.seen.add(node.serial)
            args = self._opened(node)
            missing = [a for a in args if a.serial not in self.known]
            if missing:
                todo.extend([(a, depth + 1) for a in missing])
            else:
                self.known[node.serial] = self._made(node, args)
        return self.known[root.serial]

    def _opened(self, node: Node) -> tuple[Node, ...]:
        """The operands that are looked into."""
        if node.serial <= self.first or len(node.args) > LONGEST or node.kind == "integer":
            return ()
        if node.serial in self.factors:
            return ()
        if node.op == "pow":
            base, exponent = node.args
            if self.context.number(exponent) is not None:
                return (base,)
            split = self._split(exponent)
            if split is not None:
                return (self.context.table.make("pow", (base, split[1])), base)
            return (exponent, self.context.table.make("log", (base,)))
        if node.op == "select":
            return (branch(node),)
        if node.op == "broadcast" and node.args[0].shape:
            return ()
        return node.args if node.op in OPENED or is_function(node.op) else ()

    def _split(self, exponent: Node) -> tuple[Number, Node] | None:
        """n and p of the exponent n + p."""
        if exponent.op != "add" or not self.opened:
            return None
        number = self.context.number(exponent.args[0])
        if number is None:
            return None
        return number, self.context.table.add(*exponent.args[1:])

    def _made(self, node: Node, args: Sequence[Node]) -> tuple[Part, ...]:
        made = self._of_parts(node, args)
        if made is None or len(made) > PARTS:
            return (self._value(node),)
        self.read.add(node.serial)
        return made

    def _value(self, node: Node, power: Fraction = ONE) -> Part:
        """A value that is looked into no further."""
        self.values[node.serial] = node
        return Part(((node.serial, power),), self.own.constant(1))

    def _single(self, node: Node) -> Part:
        """A node as one part."""
        parts = self.known[node.serial]
        return parts[0] if len(parts) == 1 else self._value(node)

    def _of_parts(self, node: Node, args: Sequence[Node]) -> tuple[Part, ...] | None:
        own, op = self.own, node.op
        if node.serial == self.pivot:
            self.values[node.serial] = node
            return (Part(self.others, own.pow(self.u, _rational(self.exponent))),)
        if op == "constant":
            return (Part((), own.constant(node.attrs[0])),)
        if not args:
            return None
        if op == "broadcast":
            return self.known[args[0].serial]
        if op == "select":
            guard = node.args[0]
            if args[0] is node.args[1]:
                guard = self.context.table.make("not", (guard,))
            return tuple([replace(p, guards=(*p.guards, guard)) for p in self.known[args[0].serial]])
        if op == "mul":
            return self._product([self.known[a.serial] for a in args])
        if op == "add":
            parts = self._sum([p for a in args for p in self.known[a.serial]])
            return parts if self.opened or len(parts) == 1 else None
        if op == "pow":
            return self._power(node, args)
        found = [self._single(a) for a in args]
        if any(p.rest for p in found):
            return None
        return (Part((), own.make(op, [p.function for p in found], node.attrs), _guards(found)),)

    def _sum(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """The terms by the factors that they have beside functions of the value."""
        groups: dict[Rest, list[Part]] = {}
        for p in parts:
            groups.setdefault(p.rest, []).append(p)
        return tuple(
            [
                g[0] if len(g) == 1 else Part(rest, self.own.add(*[p.function for p in g]), _guards(g))
                for rest, g in groups.items()
            ]
        )

    def _product(self, factors: Sequence[tuple[Part, ...]]) -> tuple[Part, ...] | None:
        total = list(factors[0])
        for parts in factors[1:]:
            if len(total) * len(parts) > 2 * PARTS:
                return None
            total = [self._times(p, q) for p in total for q in parts]
        return self._sum(total)

    def _times(self, p: Part, q: Part) -> Part:
        return Part(_rest_of_product((p, q)), self.own.mul(p.function, q.function), _guards((p, q)))

    def _power(self, node: Node, args: Sequence[Node]) -> tuple[Part, ...] | None:
        own, number = self.own, self.context.number(node.args[1])
        if len(args) == 1 and number is not None:
            parts = self.known[args[0].serial]
            if len(parts) > 1 and isinstance(number, int) and 1 < number <= HIGHEST:
                return self._product([parts] * number)
            return (self._to(self._single(args[0]), number),)
        split = self._split(node.args[1])
        if split is not None:
            return self._product([self.known[args[0].serial], (self._to(self._single(args[1]), split[0]),)])
        found = [self._single(a) for a in args]
        if _rest_of_product(found):
            return None
        base = own.symbol(BASE)  # any base will do
        power = own.mul(*[p.function for p in found], own.pow(own.call("log", base), -1))
        return (Part((), own.pow(base, power), _guards(found)),)

    def _to(self, part: Part, number: Number) -> Part:
        rest = tuple((s, e * number) for s, e in part.rest)
        is_one = part.function is self.own.constant(1)
        function = part.function if is_one else self.own.pow(part.function, _rational(number))
        return Part(rest, function, part.guards)


def _guards(parts: Sequence[Part]) -> tuple[Node, ...]:
    return tuple(dict.fromkeys(g for p in parts for g in p.guards))


def _rational(number: Number) -> sp.Rational:
    exact = Fraction(number)
    return sp.Rational(exact.numerator, exact.denominator)


def _rest_of_product(parts: Sequence[Part]) -> Rest:
    total: dict[int, Fraction] = {}
    for p in parts:
        for s, e in p.rest:
            total[s] = total.get(s, Fraction(0)) + e
    return tuple(sorted((s, e) for s, e in total.items() if e))
