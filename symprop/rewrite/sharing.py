"""Common subexpressions inside sums and products: `x*y` inside `x*x*y`, `a + b` inside `a + b + c` and `d
- a - b`.

Equal nodes are one node already; what is left are equal parts of n-ary sums and products. As in the
compression of grammars by pairs (Larsson and Moffat, 1999) the pair of operands that most of them share
becomes a node of its own, until no pair occurs twice. Counts are kept for every pair and corrected when a
pair comes up, so that the work is linear in the operands but for a logarithm.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Number, entries, is_short, magnitude

__all__ = ["common_parts"]

FULL = 16  # up to so many shared operands all pairs of a sum or product are counted
WINDOW = 6  # in longer ones each operand pairs with the next few: bounded work on sums of thousands of terms
LARGEST_EXPONENT = 16
_READ = frozenset({"mul", "pow", "add"})
_FIRST_PAIR = 1 << 48  # identifiers of pairs, above every serial number

Key = tuple[str, int, int, Number, Number]  # ("add" or "mul", operand, operand, coefficients (of sums))


def common_parts(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`x*x*y, x*y --> t = x*y, x*t`; `a + b + c, d - a - b --> t = a + b, t + c, d - t`; `a - b, b - a -->
    t, -t`."""
    return _Parts(table, roots, context).run()


@dataclass(slots=True)
class _Part:
    """A sum as operand -> coefficient, or a product as operand -> positive integer exponent."""

    op: str
    operands: dict[int, Number]
    levels: dict[int, int] | None = None  # how many operands have a level, once that is asked for


class _Parts:
    def __init__(self, table: NodeTable, roots: Sequence[Node], context: Context) -> None:
        self.table, self.roots, self.context = table, roots, context
        self.order, _ = context.order(roots)
        self.parts: dict[int, _Part] = {}
        self.aliases: dict[int, tuple[Number, int]] = {}  # serial -> (coefficient, operand)
        self.pairs: list[Key] = []
        self.uses: dict[Key, dict[int, None] | int] = {}  # the parts with the pair; mostly it is one
        self.heap: list[tuple[int, Key]] = []
        self.levels: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        self.shared: dict[str, set[int]] = {"add": set(), "mul": set()}
        self.found_as_nodes = False  # -x*y beside x*y, or x**-2 beside 1/x: shared without a new pair

    def run(self) -> list[Node]:
        self._read()
        self._filter()
        for identifier, part in self.parts.items():
            shared = self.shared[part.op]
            operands = [o for o in part.operands if o in shared]
            if operands:
                operands.sort()
                self._count(identifier, part, operands)
        for key in self.uses:
            self._push(key)
        while self.heap:
            gain, key = heapq.heappop(self.heap)
            actual = self._gain(key)
            if actual < -gain:
                if actual > 0:
                    heapq.heappush(self.heap, (-actual, key))
            elif actual > 0:
                self._share(key)
        if not self.pairs and not self.found_as_nodes:
            return list(self.roots)
        return _rebuilt(self)

    # -- reading the graph ------------------------------------------------------------------------------

    def _read(self) -> None:
        context, table = self.context, self.table
        coefficients = self._coefficients()
        powers = [n for n in self.order if n.op == "pow"]
        self.inverses = {n.args[0].serial: n.serial for n in powers if context.is_number(n.args[1], -1)}
        present = {n.serial for n in self.order} if coefficients else set()
        direct: set[int] = set()  # needed as a value, not only as a factor of products
        if powers:
            direct.update([root.serial for root in self.roots])
            for node in self.order:
                if node.op != "mul" or (len(node.args) == 2 and context.number(node.args[0]) is not None):
                    direct.update([a.serial for a in node.args])
        for node in self.order:
            if node.op not in _READ or node.kind == "integer":
                continue
            if node.op == "mul":
                number, factors = context.split(node)
                if number == 1:
                    self._product(node)
                    continue
                coefficient: Number
                if len(factors) == 1:
                    coefficient, core = number, factors[0]
                elif number == -1 or len(coefficients[tuple(f.serial for f in factors)]) > 1:
                    coefficient, core = number, table.make("mul", factors)
                else:
                    coefficient = 1 if number > 0 else -1
                    core = node if number > 0 else context.times(-number, factors)
                self.aliases[node.serial] = coefficient, core.serial
                self.found_as_nodes |= core is not node and len(factors) > 1 and core.serial in present
                if core.op == "mul" and core.serial not in self.parts:
                    self._product(core)
            elif node.op == "pow" and node.serial in direct:
                self._product(node)
            elif node.op == "add":
                self._sum(node)

    def _coefficients(self) -> dict[tuple[int, ...], set[Number]]:
        """The numbers beside the same factors, where some product of several has one."""
        found: dict[tuple[int, ...], set[Number]] = {}
        split = self.context.split
        products = [n for n in self.order if n.op == "mul"]
        if any(len(n.args) > 2 and n.args[0].op == "constant" for n in products):
            for node in products:
                number, factors = split(node)
                found.setdefault(tuple([f.serial for f in factors]), set()).add(magnitude(number))
        return found

    def _product(self, node: Node) -> None:
        operands: dict[int, Number] = {}
        for factor in node.args if node.op == "mul" else (node,):
            base, exponent = self._base(factor) if factor.op == "pow" else (factor.serial, 1)
            operands[base] = operands.get(base, 0) + exponent
        if len(operands) > 1 or (node.serial not in operands and operands):
            self.parts[node.serial] = _Part("mul", operands)

    def _base(self, factor: Node) -> tuple[int, int]:
        """A power as (operand, exponent >= 1): x**3 is x three times; x**-2 is 1/x twice where 1/x is
        needed too."""
        exponent = self.context.number(factor.args[1])
        base = factor.args[0]
        if isinstance(exponent, int) and 2 <= exponent <= LARGEST_EXPONENT:
            return base.serial, exponent
        if isinstance(exponent, int) and -4 <= exponent <= -2 and base.serial in self.inverses:
            self.found_as_nodes = True
            return self.inverses[base.serial], -exponent
        return factor.serial, 1

    def _sum(self, node: Node) -> None:
        operands: dict[int, Number] = {}
        one = self.context.constant(1).serial
        for term in node.args:
            number = self.context.number(term) if term.op == "constant" else None
            if number is not None:
                coefficient, operand = number, one
            else:
                coefficient, operand = self.aliases.get(term.serial, (1, term.serial))
            operands[operand] = operands.get(operand, 0) + coefficient
        if all(operands.values()):
            self.parts[node.serial] = _Part("add", operands)

    def _filter(self) -> None:
        """An operand that only one sum or product has takes part in no shared pair (but in a repeated
        one)."""
        seen: dict[str, set[int]] = {"add": set(), "mul": set()}
        for part in self.parts.values():
            before, shared, repeats = seen[part.op], self.shared[part.op], part.op == "mul"
            for operand, times in part.operands.items():
                if operand in before or (repeats and times > 1):
                    shared.add(operand)
                before.add(operand)

    # -- pairs ------------------------------------------------------------------------------

    def _level(self, operand: int) -> int:
        level = self.levels.get(operand)
        if level is None:
            level = self.levels[operand] = self.context.level(self.table.nodes[operand])
            self.sizes[operand] = entries(self.table.nodes[operand]) or 1
        return level

    def _count(self, identifier: int, part: _Part, operands: Sequence[int]) -> None:
        """Enter the pairs of these operands of a part."""
        if len(operands) == 1 and (part.op == "add" or part.operands[operands[0]] == 1):
            return
        reach = len(operands) if len(operands) <= FULL else WINDOW
        for k, first in enumerate(operands):
            if part.op == "mul" and part.operands[first] > 1:
                self._enter(identifier, ("mul", first, first, 1, 1))
            for second in operands[k + 1 : k + 1 + reach]:
                self._enter_pair(identifier, part, first, second)

    def _enter_pair(self, identifier: int, part: _Part, first: int, second: int) -> None:
        a, b = self._level(first), self._level(second)
        if a != b and not self._joins_levels(part, min(a, b), max(a, b)):
            return
        self._enter(identifier, self._key(part, first, second))

    def _joins_levels(self, part: _Part, low: int, high: int) -> bool:
        """A pair over two levels must not take an operand from a group that is combined among itself more
        cheaply."""
        if part.levels is None:
            part.levels = {}
            for operand in part.operands:
                self._counted(part, operand, 1)
        return low < high and sum([n for level, n in part.levels.items() if level < high]) == 1

    def _counted(self, part: _Part, operand: int, sign: int) -> None:
        """Enter an operand into the levels of its part, or take it out."""
        if part.levels is not None:
            level = self._level(operand)
            times = int(part.operands[operand]) if part.op == "mul" else 1
            part.levels[level] = part.levels.get(level, 0) + sign * times

    def _key(self, part: _Part, first: int, second: int) -> Key:
        if second < first:
            first, second = second, first
        if part.op == "mul":
            return "mul", first, second, 1, 1
        a, b = part.operands[first], part.operands[second]
        if a == b or a == -b:
            return "add", first, second, 1, 1 if a == b else -1
        return ("add", first, second, a, b) if a > 0 else ("add", first, second, -a, -b)

    def _enter(self, identifier: int, key: Key) -> None:
        found = self.uses.get(key)
        if found is None:
            self.uses[key] = identifier
        elif isinstance(found, dict):
            found[identifier] = None
        elif found != identifier:
            self.uses[key] = {found: None, identifier: None}

    def _parts_with(self, key: Key) -> list[int]:
        found = self.uses[key]
        return list(found) if isinstance(found, dict) else [found]

    def _times(self, part: _Part, key: Key) -> int:
        """How often the pair can be taken out of the part."""
        op, first, second, _, _ = key
        operands = part.operands
        if first not in operands or second not in operands:
            return 0
        if op == "add":
            return 1 if self._key(part, first, second) == key else 0
        if first == second:
            return int(operands[first]) // 2
        return int(min(operands[first], operands[second]))

    def _gain(self, key: Key) -> int:
        """Operations saved, times the entries of the pair."""
        count = 0
        kept: dict[int, None] = {}
        for identifier in self._parts_with(key):
            times = self._times(self.parts[identifier], key)
            if times:
                count += times
                kept[identifier] = None
        self.uses[key] = kept
        self._level(key[1]), self._level(key[2])
        return (count - 1) * max(self.sizes[key[1]], self.sizes[key[2]])

    def _push(self, key: Key) -> None:
        found = self.uses[key]
        if not isinstance(found, dict) and (key[0] == "add" or self._times(self.parts[found], key) < 2):
            return  # one part has it, once
        gain = self._gain(key)
        if gain > 0:
            heapq.heappush(self.heap, (-gain, key))

    def _share(self, key: Key) -> None:
        """Make the pair a node of its own in every part that has it."""
        op, first, second, a, _ = key
        pair = _FIRST_PAIR + len(self.pairs)
        self.pairs.append(key)
        self.levels[pair] = max(self._level(first), self._level(second))
        self.sizes[pair] = max(self.sizes[first], self.sizes[second])
        self.context.fired["shared sum" if op == "add" else "shared product"] += 1
        new: dict[Key, None] = {}
        for identifier in self._parts_with(key):
            part = self.parts[identifier]
            times = self._times(part, key)
            if not times:
                continue
            operands = part.operands
            for operand in {first, second}:
                self._counted(part, operand, -1)
            if op == "add":
                multiple = Fraction(operands[first]) / a
                del operands[first], operands[second]
                operands[pair] = _reduced(multiple)
            else:
                for operand in (first, second):
                    operands[operand] -= times
                operands[pair] = times
                for operand in {first, second}:
                    if operands[operand] == 0:
                        del operands[operand]
                    else:
                        self._counted(part, operand, 1)
            self._counted(part, pair, 1)
            self._enter_new(identifier, part, pair, new)
        for key in new:
            self._push(key)

    def _enter_new(self, identifier: int, part: _Part, pair: int, new: dict[Key, None]) -> None:
        if part.op == "mul" and part.operands[pair] > 1:
            new[("mul", pair, pair, 1, 1)] = None
            self._enter(identifier, ("mul", pair, pair, 1, 1))
        self.shared[part.op].add(pair)
        shared = self.shared[part.op]
        newest = (o for o in reversed(part.operands) if o != pair and o in shared)
        for other in reversed(list(islice(newest, FULL))):
            low, high = sorted((self._level(pair), self._level(other)))
            if low == high or self._joins_levels(part, low, high):
                key = self._key(part, pair, other)
                self._enter(identifier, key)
                new[key] = None


def _reduced(value: Fraction) -> Number:
    return value.numerator if value.denominator == 1 else value


def _rebuilt(found: _Parts) -> list[Node]:
    """The nodes again, from the operands that are left and the pairs; depth first on a stack."""
    table, context = found.table, found.context
    built: dict[int, Node] = {}
    one = context.constant(1)

    def needs(identifier: int) -> Iterable[int]:
        if identifier >= _FIRST_PAIR:
            return found.pairs[identifier - _FIRST_PAIR][1:3]
        part = found.parts.get(identifier)
        if part is not None:
            return sorted(part.operands)
        alias = found.aliases.get(identifier)
        if alias is not None and alias[1] != identifier:
            return (alias[1],)
        return [a.serial for a in table.nodes[identifier].args]

    def scaled(coefficient: Number, operand: int) -> Node:
        if operand == one.serial:
            return context.constant(coefficient)
        node = built[operand]
        if coefficient == 1:
            return node
        number, factors = context.split(node)
        if number == 1 or not is_short(coefficient * number):
            return context.times(coefficient, (node,))
        return context.times(coefficient * number, factors)

    def powered(operand: int, exponent: Number) -> Node:
        node = built[operand]
        return node if exponent == 1 else table.make("pow", (node, context.constant(exponent)))

    def combined(op: str, operands: Iterable[tuple[int, Number]]) -> Node:
        make = scaled if op == "add" else None
        nodes = [make(v, k) if make else powered(k, v) for k, v in operands]
        return nodes[0] if len(nodes) == 1 else table.make(op, nodes)

    def build(identifier: int) -> Node:
        if identifier >= _FIRST_PAIR:
            op, first, second, a, b = found.pairs[identifier - _FIRST_PAIR]
            if op == "mul":
                return powered(first, 2) if first == second else combined(op, ((first, 1), (second, 1)))
            return combined(op, ((first, a), (second, b)))
        node = table.nodes[identifier]
        part = found.parts.get(identifier)
        if part is not None:
            return combined(part.op, sorted(part.operands.items()))
        alias = found.aliases.get(identifier)
        if alias is not None and alias[1] != identifier:
            return scaled(*alias)
        args = [built[a.serial] for a in node.args]
        return (
            node
            if all(a is b for a, b in zip(args, node.args, strict=True))
            else table.make(node.op, args, node.attrs)
        )

    todo = [root.serial for root in reversed(found.roots)]
    while todo:
        identifier = todo[-1]
        if identifier in built:
            todo.pop()
            continue
        missing = [i for i in needs(identifier) if i not in built]
        if missing:
            todo.extend(reversed(missing))
        else:
            built[identifier] = build(identifier)
            todo.pop()
    return [built[root.serial] for root in found.roots]
