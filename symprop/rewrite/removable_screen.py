"""Which nodes may be functions of one value that lose digits at a place: a look, without much work."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction

from symprop.graph import Node
from symprop.rewrite.context import Context, Number
from symprop.rewrite.pairs import opened_term
from symprop.rewrite.positive import is_positive
from symprop.rewrite.reading import read
from symprop.rewrite.removable_parts import LONGEST, MOST, OPENED, is_function

__all__ = ["MAY_CANCEL", "MAY_LOSE", "Screen"]

FEW = 4  # values in a formula
DEEP = 4  # operations by which formulas are told apart
MAY_CANCEL = frozenset({"add"})
MAY_LOSE = MAY_CANCEL | {"mul", "log"}
_PRODUCTS = frozenset({"mul", "pow", "broadcast", "constant"})  # what is read into factors
_OPENED_BY_READING = _PRODUCTS - {"constant"}
_NOTHING = frozenset[int]()


class Screen:
    """What is known of the nodes of a graph, which are entered in their order."""

    def __init__(self, context: Context) -> None:
        self.context, self.table = context, context.table
        self.insides: dict[int, frozenset[int]] = {}  # values that the functions in a node are functions of
        self.sums: dict[int, frozenset[int]] = {}

    def is_worth_it(self, node: Node) -> bool:
        """True for a sum, a product or a logarithm of factors that may be functions of one value."""
        if node.op == "add":
            return self._may_cancel(node)
        if node.op == "log":
            inner = node.args[0]
            return inner.op == "mul" and self._divides(inner)
        return self._divides(node)

    def _divides(self, node: Node) -> bool:
        """A product with a divisor that another factor is a function of, or the other way round."""
        reading = read(node, self.context)
        if not reading.divisors:
            return False
        inside = {s: self._inside(b) for s, (b, _) in reading.powers.items()}
        for serial in reading.divisors:
            if is_positive(reading.powers[serial][0], self.context):
                continue
            below = inside[serial]
            for other, above in inside.items():
                if other == serial or not (above or below):
                    continue
                mine, theirs = below or {serial}, above or {other}
                if mine <= theirs or theirs <= mine:
                    return True
        return False

    def _may_cancel(self, node: Node) -> bool:
        if self.insides.keys().isdisjoint([a.serial for a in node.args]):
            return False
        terms = [term for a in node.args for term in self._terms(a)]
        for k, one in enumerate(terms):
            for other in terms[:k]:
                if self._differ(one, other):
                    return True
        return False

    def _terms(self, node: Node) -> list[dict[int, tuple[Node, Number]]]:
        """Base -> exponent of a term, or of the terms of a sum of functions that is one of its factors."""
        if node.op == "mul":
            if any(a.op == "add" and a.serial in self.insides for a in node.args):
                return [{b.serial: (b, e) for b, e in t.powers} for t in opened_term(node, self.context)]
            if _PRODUCTS.isdisjoint([a.op for a in node.args]):
                return [{a.serial: (a, 1) for a in node.args}]
        return [read(node, self.context).powers if node.op in _PRODUCTS else {node.serial: (node, 1)}]

    def _differ(self, one: dict[int, tuple[Node, Number]], other: dict[int, tuple[Node, Number]]) -> bool:
        """Whether what two terms do not share may be functions of one value."""
        plain: set[int] = set()
        most: frozenset[int] = _NOTHING
        with_functions = 0
        for mine, theirs in ((one, other), (other, one)):
            has_function = False
            for serial, power in mine.items():
                if power[1] and theirs.get(serial) != power and power[0].op != "constant":
                    inside = self._inside(power[0])
                    if not inside:
                        plain.add(serial)
                    elif inside <= most or most <= inside:
                        most = max(most, inside, key=len)
                        has_function = True
                    else:
                        return False
            with_functions += has_function
        if not most or not plain <= most:
            return False
        if with_functions == 2 or not plain:
            return True
        # x*y - sin(x*y) and s - sin(s) for a sum s, but not x - sin(x*y)
        sums = self.sums
        return any(most <= sums.get(s, _NOTHING) for s in plain) or all(
            s in plain or len(sums.get(s, _NOTHING)) > 1 for s in most
        )

    def _inside(self, node: Node) -> frozenset[int]:
        """The few values that the functions in a node are functions of; none for a value itself."""
        return self.insides.get(node.serial, _NOTHING)

    def note(self, node: Node) -> None:
        """Enter those of a node, whose operands have been entered."""
        if is_function(node.op) or (node.op == "pow" and node.args[1].op != "constant"):
            inner = self.insides  # of log(cosh(x)) it is x
            values = _NOTHING.union(
                *[
                    v if is_function(a.op) and (v := inner.get(a.serial)) else self._values_of(a)
                    for a in node.args
                ]
            )
        else:
            found = [i for a in node.args if (i := self.insides.get(a.serial))]
            if node.op == "add" and not found:
                found.append(self._values_of(node) - {node.serial})
            values = found[0] if len(found) == 1 else _NOTHING.union(*found)
        if 0 < len(values) <= FEW:
            self.insides[node.serial] = values

    def _values_of(self, node: Node) -> frozenset[int]:
        """Of a monomial its factors, of a short sum without functions those of its terms and itself."""
        if node.op != "add":
            return self._factors(node)
        found = self.sums.get(node.serial)
        if found is None:
            found = frozenset({node.serial})
            if len(node.args) <= LONGEST:
                whole = found.union(*[self._factors(a) for a in node.args])
                nodes = self.table.nodes
                if len(whole) <= FEW and not any(is_function(nodes[k].op) for k in whole):
                    found = whole
            self.sums[node.serial] = found
        return found

    def _factors(self, node: Node) -> frozenset[int]:
        if node.op not in _PRODUCTS:
            return frozenset((node.serial,))
        if node.op != "pow" and _OPENED_BY_READING.isdisjoint([a.op for a in node.args]):
            return frozenset([a.serial for a in node.args if a.op != "constant"])
        return frozenset([s for s, (b, e) in self.monomial(node)[1].items() if e and b.op != "constant"])

    def monomial(self, node: Node) -> tuple[Fraction, dict[int, tuple[Node, Number]]]:
        """A product as number and powers, with powers of products and of powers opened."""
        number, powers = Fraction(1), dict[int, tuple[Node, Number]]()
        todo: list[tuple[Node, Number]] = [(node, 1)]
        while todo:
            part, exponent = todo.pop()
            reading = read(part, self.context)
            if not isinstance(exponent, int) and reading.number != 1:
                powers[part.serial] = part, exponent
                continue
            if reading.number:
                number *= Fraction(reading.number) ** int(exponent) if isinstance(exponent, int) else 1
            for serial, (base, e) in reading.powers.items():
                if base is not part and base.op in ("mul", "pow"):
                    todo.append((base, e * exponent))
                else:
                    powers[serial] = base, powers.get(serial, (base, 0))[1] + e * exponent
        return number, powers

    def shape(self, root: Node) -> Hashable:
        """The operations that make a node, a few deep, and what is known of the values in them."""
        place = {root.serial: 0}
        nodes, steps = [(root, 0)], list[Hashable]()
        for node, depth in nodes:
            if node.op == "constant":
                steps.append(node.attrs)
            elif depth == DEEP or len(nodes) > MOST or not (node.op in OPENED or is_function(node.op)):
                made = node.op == "add" and self.is_made(node, False)
                steps.append((node.op in OPENED, node.kind, made, is_positive(node, self.context)))
            else:
                for a in node.args:
                    if a.serial not in place:
                        place[a.serial] = len(nodes)
                        nodes.append((a, depth + 1))
                steps.append((node.op, *[place[a.serial] for a in node.args]))
        return tuple(steps)

    def is_made(self, node: Node, at_number: bool) -> bool:
        """True for a value that other rules know more about: a sum with a function in it, and next to a
        number all that has been rounded."""
        if at_number:
            return node.op in OPENED or is_function(node.op)
        key = ("made of functions", node.serial)
        found: bool | None = self.context.memo.get(key)
        if found is None:
            todo, seen, found = [node] if node.op == "add" else [], 0, False
            while todo and seen < 40 and not found:
                part = todo.pop()
                seen += 1
                found = is_function(part.op)
                todo.extend(part.args if part.op in OPENED else ())
            self.context.memo[key] = found
        return found

    def is_divisor(self, power: Node) -> bool:
        """True for a power that may have a negative exponent."""
        number = self.context.number(power.args[1])
        return number is None or number < 0
