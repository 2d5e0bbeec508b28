"""What every pass shares: exact constants, use counts, the bottom-up sweep, and the names of the rewrites
that fired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp

from symprop.graph import Node, NodeTable

__all__ = ["Context", "Number", "Sweep", "entries", "is_short", "magnitude", "simplest"]

Number = int | Fraction


class Context:
    """The state of one `optimise` call.

    `accuracy` is the user's choice, `inputs_batched` the input symbols with a sample axis; `fired` counts
    the rewrites of the running pass by name. Numbers are kept as `int` or `Fraction`: sympy arithmetic in
    the inner loops would dominate the time of every pass.
    """

    def __init__(
        self, table: NodeTable, accuracy: str = "precise", batched: frozenset[sp.Basic] = frozenset()
    ) -> None:
        self.table = table
        self.accuracy = accuracy
        self.inputs_batched = batched
        self.fired: Counter[str] = Counter()
        self.memo: dict[
            tuple[str, int], Any
        ] = {}  # what rules find out about a node by name and serial number
        self.readings: dict[int, Any] = {}  # products as `products.read` found them, by serial number
        self.simplified: tuple[Node, ...] = ()  # roots that `simplify` has left
        self._numbers: dict[int, Number | None] = {}
        self._constants: dict[Number, Node] = {}
        self._batched: list[bool] = []
        self._order: tuple[list[Node], list[Node], frozenset[str]] = ([], [], frozenset())
        self._uses: Counter[int] | None = None  # of these roots

    def order(self, roots: Sequence[Node]) -> tuple[list[Node], frozenset[str]]:
        """The nodes that the roots need, each after its arguments, and their operations; kept until other
        roots are asked for, since most passes leave most networks as they are.
        """
        known, order, operations = self._order
        if not order or known != list(roots):  # nodes are equal where they are the same
            order = self.table.needed(roots)
            operations = frozenset([node.op for node in order])
            self._order, self._uses = (list(roots), order, operations), None
        return order, operations

    def uses(self, roots: Sequence[Node]) -> Counter[int]:
        """How often each node is used: as an argument (twice in x*x), and as a root."""
        order, _ = self.order(roots)
        if self._uses is None:
            self._uses = Counter([a.serial for node in order for a in node.args])
            self._uses.update([root.serial for root in roots])
        return self._uses

    # -- constants ------------------------------------------------------------------------------

    def number(self, node: Node) -> Number | None:
        """The exact value of a rational constant (a float is the dyadic fraction that it is); None for all
        else."""
        if node.op != "constant":
            return None
        if node.serial not in self._numbers:
            self._numbers[node.serial] = _rational(node.attrs[0])
        return self._numbers[node.serial]

    def constant(self, value: Number) -> Node:
        """The node of an exact number."""
        node = self._constants.get(value)
        if node is None:
            exact = (
                sp.Integer(value)
                if isinstance(value, int)
                else sp.Rational(value.numerator, value.denominator)
            )
            node = self._constants[value] = self.table.make("constant", (), (exact,))
        return node

    def is_number(self, node: Node, value: Number) -> bool:
        """True for that constant."""
        return node.op == "constant" and self.number(node) == value

    def split(self, node: Node) -> tuple[Number, tuple[Node, ...]]:
        """A term as (rational coefficient, its other factors)."""
        if node.op == "mul":
            number = self.number(node.args[0])
            if number is not None:
                return number, node.args[1:]
            return 1, node.args
        return 1, (node,)

    def times(self, number: Number, factors: Sequence[Node]) -> Node:
        """The product of a number and factors, as one node."""
        if number == 1:
            return factors[0] if len(factors) == 1 else self.table.make("mul", factors)
        return self.table.make("mul", (self.constant(number), *factors))

    def scaled(self, number: Number, node: Node) -> Node:
        """number*node, with one number in front."""
        value = self.number(node)
        if value is not None:
            return self.constant(simplest(number * value))
        own, factors = self.split(node)
        return self.times(simplest(number * own), factors)

    def negate(self, node: Node) -> Node:
        """-node, where the sign can be moved into a coefficient without an operation."""
        number, factors = self.split(node)
        if number != 1:
            return self.times(-number, factors)
        if node.op == "add":
            parts = [self.split(a) if a.op != "constant" else (self.number(a) or 1, ()) for a in node.args]
            if all(c < 0 for c, _ in parts):
                return self.table.make("add", [self._negated(a) for a in node.args])
        value = self.number(node)
        return self.constant(-value) if value is not None else self.times(-1, (node,))

    def _negated(self, node: Node) -> Node:
        value = self.number(node)
        if value is not None:
            return self.constant(-value)
        number, factors = self.split(node)
        return self.times(-number, factors)

    # -- the sample axis ------------------------------------------------------------------------------

    def is_batched(self, node: Node) -> bool:
        """True if the value differs from sample to sample: it depends on a batched input not only through
        batch_sum."""
        known, nodes = self._batched, self.table.nodes
        while len(known) <= node.serial:  # serial numbers are a topological order
            new = nodes[len(known)]
            if new.op == "symbol":
                known.append(new.attrs[0] in self.inputs_batched)
            elif new.op == "batch_sum":
                known.append(False)
            else:
                known.append(any(known[a.serial] for a in new.args))
        return known[node.serial]

    def level(self, node: Node) -> int:
        """0 number, 1 scalar once a call, 2 scalar once a sample, 3 array once a call, 4 array once a sample.

        Operands of a low level are combined first: that work is done less often.
        """
        if node.op == "constant":
            return 0
        return (3 if node.shape else 1) + (1 if self.inputs_batched and self.is_batched(node) else 0)


def _rational(value: object) -> Number | None:
    if isinstance(value, sp.Integer):
        return int(value)
    if isinstance(value, sp.Rational):
        return Fraction(int(value.p), int(value.q))
    if isinstance(value, sp.Float) and value.is_finite:
        sign, mantissa, exponent, _ = value._mpf_
        exact = Fraction(int(mantissa) * (-1) ** int(sign)) * Fraction(2) ** int(exponent)
        return simplest(exact)
    return None


def is_short(value: Number) -> bool:
    """True for a number that exact arithmetic may make: along a chain of squares it would grow beyond
    every float."""
    if isinstance(value, int):
        return value.bit_length() <= 512
    return value.numerator.bit_length() <= 512 and value.denominator.bit_length() <= 512


def simplest(value: Number) -> Number:
    """The number as an `int` where it is whole."""
    return value.numerator if value.denominator == 1 else value


def magnitude(value: Number) -> Number:
    """The number without its sign."""
    return -value if value < 0 else value


def entries(node: Node) -> int | None:
    """The number of entries, None where a size is symbolic."""
    total = 1
    for size in node.shape:
        if not isinstance(size, int):
            return None
        total *= size
    return total


NodeRule = Callable[[Node, "Sweep"], "Node | None"]


class Sweep:
    """One bottom-up traversal: every node is made anew from its rewritten arguments, then the rule of its
    operation is applied until it gives None. Nodes that a rule makes are swept as well, on a stack: no
    recursion, and each node once."""

    def __init__(self, context: Context, roots: Sequence[Node], rules: Mapping[str, NodeRule]) -> None:
        self.context = context
        self.table = context.table
        self.rules = rules
        self.roots = roots
        self.order, operations = context.order(roots)
        self.applies = not operations.isdisjoint(rules)
        self.uses: dict[int, int] = dict(context.uses(roots)) if self.applies else {}
        self.done: dict[int, Node] = {}

    def run(self) -> list[Node]:
        """The rewritten roots."""
        rules, done = self.rules, self.done
        if not self.applies:
            return list(self.roots)
        for node in self.order:  # each after its arguments; most settle at once
            serial, current = node.serial, node
            if serial in done:
                continue
            for a in node.args:
                if done[a.serial] is not a:
                    current = self._remade(node)
                    break
            result = done.get(current.serial)
            if result is None:
                rule = rules.get(current.op)
                made = None if rule is None else rule(current, self)
                if made is None or made is current:
                    result = done[current.serial] = current
                else:
                    result = self._settled(node, current, made)
            done[serial] = result
        return [done[root.serial] for root in self.roots]

    def _remade(self, node: Node) -> Node:
        """The node over its rewritten arguments."""
        done, uses = self.done, self.uses
        current = self.table.make(node.op, [done[a.serial] for a in node.args], node.attrs)
        uses[current.serial] = uses.get(current.serial, 0) + uses.get(node.serial, 1)
        return current

    def single(self, node: Node) -> bool:
        """True if nothing but the node at hand uses `node`."""
        return self.uses.get(node.serial, 1) <= 1

    def freed(self, roots: Sequence[Node]) -> bool:
        """True if some node has one use in what the sweep has made, where it had several before: rules may
        apply to it now.
        """
        uses = self.uses
        return any(
            count == 1 and uses.get(serial, 1) > 1 for serial, count in self.context.uses(roots).items()
        )

    def fire(self, name: str) -> None:
        """Note for the report that a rewrite was applied."""
        self.context.fired[name] += 1

    def _settled(self, node: Node, current: Node, made: Node) -> Node:
        """What `made` becomes, which a rule has made of `node` (of `current`, over rewritten arguments).

        Mostly a node over arguments that are final: then only the rules of its own operation are left.
        """
        done, uses, rules = self.done, self.uses, self.rules
        becomes = {node.serial: made, current.serial: made}
        waiting = [node]
        uses[made.serial] = uses.get(made.serial, 0) + uses.get(current.serial, 1)
        while True:
            result = done.get(made.serial)
            if result is not None:
                break
            for a in made.args:
                if done.get(a.serial) is not a:
                    self._sweep([*waiting, made], becomes)
                    return done[node.serial]
            rule = rules.get(made.op)
            new = rule(made, self) if rule is not None else None
            if new is None or new is made or new.serial in becomes:
                result = done[made.serial] = made
                break
            uses[new.serial] = uses.get(new.serial, 0) + uses.get(made.serial, 1)
            waiting.append(made)
            becomes[made.serial] = new
            made = new
        for serial in becomes:
            done[serial] = result
        return result

    def _sweep(self, todo: list[Node], becomes: dict[int, Node]) -> None:
        """Sweep the nodes of a stack and what they need; `becomes` says what rules have made of some."""
        done, uses = self.done, self.uses
        while todo:
            node = todo[-1]
            serial = node.serial
            if serial in done:
                todo.pop()
                continue
            if serial in becomes:
                # what is not done yet has the node itself among its operands: there it stays as it is
                done[serial] = done.get(becomes[serial].serial, node)
                todo.pop()
                continue
            missing = [a for a in node.args if a.serial not in done]
            if missing:
                todo.extend(reversed(missing))
                continue
            current = node
            for a in node.args:
                if done[a.serial] is not a:
                    current = self._remade(node)
                    break
            if current.serial in done:
                result = done[current.serial]
            else:
                rule = self.rules.get(current.op)
                new = rule(current, self) if rule is not None else None
                if new is None or new is current or new.serial in becomes:
                    result = done[current.serial] = current
                else:
                    result = new
                    uses[result.serial] = uses.get(result.serial, 0) + uses.get(current.serial, 1)
            if result.serial in done:
                done[serial] = done[current.serial] = done[result.serial]
                todo.pop()
            else:
                becomes[serial] = becomes[current.serial] = result
                todo.append(result)
