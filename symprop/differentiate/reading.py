"""Derivatives as they are read: transposes at the factors, powers together, common factors outside.

The nodes of a derivative share what they can, and a shared product is transposed as a whole. A formula that
is written out shares nothing, and is written anew here, before it becomes a sympy expression:

    (Q.T*P + S.T*R).T --> P.T*Q + R.T*S           (c*A).T --> c*A.T            (A*X).T --> X.T*A.T
    (A**2).T*A.T*B --> (A**3).T*B                 x/n + y/n --> (x + y)/n      A*x - A*y --> A*(x - y)

`(x - y).T` stays as it is, and so do names.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import sympy as sp

from symprop.differentiate.accumulate import add_terms
from symprop.graph import OPERATIONS, Node, NodeTable, topological
from symprop.graph.nodes import constant_value
from symprop.graph.transposes import existing

__all__ = ["as_read", "equations_as_read"]

_MATRIX_OPERATIONS = frozenset(("matmul", "transpose", "inverse"))
_MOST = 1000  # transposes that are counted
_LONG = 24  # factors of a product that is still written anew, and terms of a sum

Equation = tuple[sp.Basic, Node]
Step = tuple[Node, bool]  # a node, and whether its transpose is wanted


def as_read(
    table: NodeTable, nodes: Sequence[Node], given: Sequence[Node], named: Container[int] = ()
) -> list[Node]:
    """The nodes as they are read. The given formulas stay as they were written; what is `named` (by serial
    numbers) stands for itself.
    """
    order = topological(nodes)
    if not any(node.op in _MATRIX_OPERATIONS for node in order):
        return list(nodes)
    reader = _Reader(table, named, {node.serial for node in topological(given)})
    reader.count(order)
    return [reader.form(node) for node in nodes]


def equations_as_read(
    table: NodeTable, equations: Sequence[Equation], given: Sequence[Node]
) -> list[Equation]:
    """Equations as they are read, each after those whose names it uses; given formulas stay as they are."""
    order = topological([node for _, node in equations])
    if not any(node.op in _MATRIX_OPERATIONS for node in order):
        return list(equations)
    named = {node.serial for _, node in equations if node.op not in ("symbol", "constant")}
    reader = _Reader(table, named, {node.serial for node in topological(given)})
    reader.count(order)
    result = []
    for symbol, node in equations:
        made = reader.definition(node)
        result.append((symbol, made))
        if node.serial in named:
            reader.done[node.serial, False] = made
            named.add(made.serial)
    return result


class _Reader:
    """Makes each node anew once, and its transpose once where it is wanted."""

    def __init__(self, table: NodeTable, named: Container[int], given: Container[int]) -> None:
        self.table = table
        self.named = named
        self.given = given
        self.turns: dict[int, tuple[int, int]] = {}  # transposes in a node, and in its transpose
        self.base: dict[int, int] = {}  # of a power the serial number of its base
        self.done: dict[tuple[int, bool], Node] = {}
        self.sizes: dict[int, int] = {}

    # -- transposes ------------------------------------------------------------------------------

    def count(self, order: Sequence[Node]) -> None:
        """Enters how many transposes the nodes have, and what is a power."""
        for node in order:
            here = sum(self.turns[a.serial][0] for a in node.args)
            there = here + 1
            named = node.serial in self.named
            self.base[node.serial] = node.serial
            if named:
                here, there = 0, 1
            elif node.op == "transpose":
                there, here = self.turns[node.args[0].serial]
            elif node.op == "matmul":
                bases = {self.base[a.serial] for a in node.args}
                if len(bases) == 1 and self.table.nodes[min(bases)].op != "matmul":
                    self.base[node.serial] = bases.pop()
                else:
                    there = sum(self.turns[a.serial][1] for a in node.args)
            elif _is_elementwise(node):
                there = min(there, sum(self.turns[a.serial][1] for a in node.args))
            elif node.op == "inverse" and node.args[0].op == "transpose":
                there = here - 1
            if len(node.shape) != 2 or (not named and self.table.is_symmetric(node)):
                there = here
            self.turns[node.serial] = min(here, _MOST), min(there, _MOST)

    def is_pushed(self, node: Node) -> bool:
        """True where the transpose of a node is made of those of its arguments."""
        if node.serial in self.named:
            return False
        if node.op == "matmul":
            return self.base[node.serial] == node.serial
        if not _is_elementwise(node):
            return False
        here, there = self.turns[node.serial]
        matrices = [a for a in node.args if len(a.shape) == 2 and not _is_repeated(a)]
        return there <= here or (node.op == "mul" and len(matrices) == 1)

    def needs(self, step: Step) -> list[Step]:
        """What a form is made of."""
        node, turned = step
        if node.serial in self.named:
            return [(node, False)] if turned else []
        if not turned and node.serial in self.given:
            return []
        if node.op == "transpose":
            return [(node.args[0], not turned)]
        if not turned or not self.is_pushed(node):
            return [(node, False)] if turned else [(a, False) for a in node.args]
        return [(a, len(a.shape) == 2) for a in node.args]

    def form(self, root: Node, wanted_turned: bool = False) -> Node:
        """A node, or its transpose, as it is read."""
        todo: list[Step] = [(root, wanted_turned)]
        while todo:
            node, turned = step = todo[-1]
            key = node.serial, turned
            if key in self.done:
                todo.pop()
                continue
            wanted = self.needs(step)
            missing = [s for s in wanted if (s[0].serial, s[1]) not in self.done]
            if missing:
                todo += missing
                continue
            todo.pop()
            self.done[key] = self.make(step, [self.done[s.serial, t] for s, t in wanted])
        return self.done[root.serial, wanted_turned]

    def definition(self, node: Node) -> Node:
        """What defines a named node, as it is read."""
        if node.serial in self.given or not node.args:
            return node
        arguments = [(a, False) for a in node.args]
        if node.op == "transpose":
            arguments = [(node.args[0], True)]
        made = [self.form(a, turned) for a, turned in arguments]
        return self.made(node, made)

    def make(self, step: Step, args: Sequence[Node]) -> Node:
        """The form of a node, of those of its arguments."""
        node, turned = step
        if node.serial in self.named:
            return self.transposed(args[0]) if turned else node
        if not turned and node.serial in self.given:
            return node
        if turned and node.op != "transpose" and not self.is_pushed(node):
            return self.transposed(args[0])
        return self.made(node, args, turned)

    def made(self, node: Node, args: Sequence[Node], turned: bool = False) -> Node:
        """The operation of a node on the forms of its arguments."""
        if node.op == "transpose":
            return args[0]
        if node.op == "matmul":
            a, b = args[::-1] if turned else args
            return self.product([a, b])
        if node.op == "add" and len(node.shape) == 2 and all(a.shape == node.shape for a in args):
            return self.sum(args)
        if node.op == "trace":
            return self.trace(node, args[0])
        if node.op == "sum":
            scalars, matrix = self.apart(args[0])
            if scalars:
                return self.table.mul(*scalars, self.table.make("sum", (matrix,), node.attrs))
        if node.op == "mul" and node.shape:
            split = [self.apart(a) for a in args]
            if any(own for own, _ in split) or args != list(node.args):
                return self.table.mul(*[s for own, _ in split for s in own], *[m for _, m in split])
        if not node.args or all(a is b for a, b in zip(args, node.args, strict=True)):
            return self.transposed(node) if turned else node
        if node.op == "diagonal":
            return self.table.diagonal(args[0])
        return self.table.make(node.op, args, node.attrs)

    def transposed(self, node: Node) -> Node:
        """The transpose of a form that stays whole."""
        if node.op == "transpose":
            return node.args[0]
        if len(node.shape) != 2 or node.shape == (1, 1) or self.table.is_symmetric(node):
            return node
        if _is_repeated(node) or node.op == "eye":
            return self.table.transpose(node)
        if node.op == "inverse" and node.args[0].op == "transpose":
            return self.table.make("inverse", node.args[0].args)
        if node.op == "inverse":  # in the form that the user has written
            inner = self.table.find("transpose", node.args, ((1, 0),))
            other = None if inner is None else self.table.find("inverse", (inner,))
            if other is not None and other.serial in self.given:
                return other
        found = existing(self.table, node) if node.op == "add" else None
        return self.table.make("transpose", (node,), ((1, 0),)) if found is None else found

    def apart(self, node: Node) -> tuple[list[Node], Node]:
        """The scalar factors of a matrix, and the matrix without them."""
        if node.op != "mul" or node.serial in self.named or constant_value(node) is not None:
            return [], node
        matrices = [a for a in node.args if a.shape]
        if len(matrices) == len(node.args) or not matrices:
            return [], node
        scalars = [a for a in node.args if not a.shape]
        if len(matrices) > 1:
            return scalars, self.table.make("mul", matrices)
        inner, matrix = self.apart(matrices[0])
        return [*scalars, *inner], matrix

    def chain(self, node: Node) -> list[Node]:
        """The factors of a product of products."""
        factors, k = [node], 0
        while k < len(factors) < _LONG:
            if factors[k].op == "matmul" and factors[k].serial not in self.named:
                factors[k : k + 1] = factors[k].args
            else:
                k += 1
        return factors

    # -- products ------------------------------------------------------------------------------

    def product(self, pair: Sequence[Node]) -> Node:
        """The product of two matrices: scalars in front, powers together."""
        split = [self.apart(factor) for factor in pair]
        scalars = [s for own, _ in split for s in own]
        flat = [f for _, factor in split for f in self.chain(factor)]
        if len(flat) > _LONG:
            result = self.table.matmul(*[factor for _, factor in split])
        else:
            result = self.expanded(_multiplied(self.table, self.runs(flat)))
        return self.table.mul(*scalars, result) if scalars else result

    def runs(self, flat: Sequence[Node]) -> list[Node]:
        """Neighbours that are powers of one matrix as one power."""
        found: list[tuple[int, bool, list[Node]]] = []
        for factor in flat:
            turned = factor.op == "transpose"
            parts = self.chain(factor.args[0]) if turned else [factor]
            if turned and len({p.serial for p in parts}) != 1:
                parts = [factor.args[0]]
            same = found and found[-1][:2] == (parts[0].serial, turned) and parts[0].op != "inverse"
            if same:
                found[-1][2].extend(parts)
            else:
                found.append((parts[0].serial, turned, parts))
        result = []
        for _, turned, parts in found:
            power = parts[0]
            for part in parts[1:]:
                power = self.table.matmul(power, part)
            result.append(self.transposed(power) if turned else power)
        return result

    def trace(self, node: Node, matrix: Node) -> Node:
        """The trace of a sum of products, turned round so that powers come together and like terms meet:
        trace(A*B*A) --> trace(A**2*B).
        """
        table = self.table
        terms = self.terms(matrix)
        if len(terms) > _LONG:
            return table.make("trace", (matrix,))
        found: list[tuple[list[Node], Node]] = []
        shorter = False
        for term in terms:
            scalars, product = self.apart(term)
            chain = self.chain(product)
            turns = [[*chain[k:], *chain[:k]] for k in range(len(chain))]
            turns = [turn for turn in turns if turn[0].shape[0] == turn[-1].shape[1]]
            best = min(turns, key=lambda t: (_changes(t), len(t) - _first_run(t)), default=chain)
            shorter = shorter or _changes(best) < _changes(chain)
            found.append((scalars, _multiplied(table, self.runs(best))))
        alike = len({product.serial for _, product in found}) < len(found)
        if not alike and not shorter:
            return node if node.args[0] is matrix else table.make("trace", (matrix,))
        if alike:
            parts = [table.mul(*own, table.make("trace", (product,))) for own, product in found]
            total = add_terms(table, parts)
            return table.constant(0) if total is None else total
        parts = [table.mul(*own, product) if own else product for own, product in found]
        if len(parts) == 1:
            ((own, product),) = found
            inner = table.make("trace", (product,))
            return table.mul(*own, inner) if own else inner
        return table.make("trace", (table.add(*parts),))

    def expanded(self, product: Node) -> Node:
        """A product with a sum among its factors as a sum, where powers come together so that it is no
        longer to write.
        """
        factors = self.chain(product)
        sums = [k for k, f in enumerate(factors) if f.op == "add" and f.serial not in self.given]
        if len(sums) != 1 or len(factors) < 2 or 1 in product.shape:
            return product
        (at,) = sums
        inner = factors[at]
        if any(a.shape != inner.shape for a in inner.args):
            return product
        terms, joined = [], False
        for term in inner.args:
            scalars, matrix = self.apart(term)
            flat = [*factors[:at], *self.chain(matrix), *factors[at + 1 :]]
            runs = self.runs(flat)
            joined = joined or len(runs) < len(flat)
            written = _multiplied(self.table, runs)
            terms.append(self.table.mul(*scalars, written) if scalars else written)
        if not joined or sum(map(self.size, terms)) > self.size(product):
            return product
        return self.table.add(*terms)

    def size(self, node: Node) -> int:
        """How many matrices are written in a term, those of a power once."""
        known = self.sizes.get(node.serial)
        if known is not None:
            return known
        count, todo = 0, [node]
        while todo and count < _LONG:
            current = todo.pop()
            inner = current.args[0] if current.op == "transpose" else current
            if inner.serial in self.named:
                count += 1
            elif inner.op == "matmul":
                chain = self.chain(inner)
                todo += [f for k, f in enumerate(chain) if k == 0 or f is not chain[k - 1]]
            elif len(inner.shape) == 2 and inner.op in ("add", "mul"):
                todo += [a for a in inner.args if a.shape]
            else:
                count += 1
        self.sizes[node.serial] = count
        return count

    # -- sums ------------------------------------------------------------------------------

    def sum(self, args: Sequence[Node]) -> Node:
        """A sum of matrices: like terms as one, common scalars and common outer factors outside."""
        table = self.table
        terms = [t for a in args for t in self.terms(a)]
        added = add_terms(table, terms if len(terms) <= _LONG else args)
        if added is None:
            return table.full(0, args[0].shape)
        if added.op != "add" or any(a.shape != added.shape for a in added.args):
            return added
        groups: dict[tuple[int, ...], list[Node]] = {}
        for term in added.args:
            scalars, _ = self.apart(term)
            key = tuple(sorted(s.serial for s in scalars if s.op != "constant"))
            groups.setdefault(key, []).append(term)
        parts = [self.together(group) for group in groups.values()]
        return added if len(parts) == len(added.args) else table.add(*parts)

    def terms(self, node: Node) -> Sequence[Node]:
        """The terms of a sum that belongs to the derivative; any other node alone."""
        own = node.op == "add" and node.serial not in self.given and node.serial not in self.named
        return node.args if own and all(a.shape == node.shape for a in node.args) else (node,)

    def together(self, terms: Sequence[Node]) -> Node:
        """The sum of terms with the same scalars; these, and what stands first or last in all, outside."""
        table = self.table
        if len(terms) == 1:
            return terms[0]
        split = [self.apart(term) for term in terms]
        numbers = [sp.Mul(*[s.attrs[0] for s in own if s.op == "constant"]) for own, _ in split]
        scalars = [s for s in split[0][0] if s.op != "constant"]
        matrices = [m for _, m in split]
        sides = self.common(matrices)
        number = sp.S.One
        if all(n == numbers[0] for n in numbers):
            number = numbers[0]
        elif all(abs(n) == abs(numbers[0]) for n in numbers):
            number = abs(numbers[0])
        if sides is None and not scalars and number.is_Integer:
            return table.add(*terms)
        first, last, inner = sides if sides is not None else ((), (), matrices)
        weighted = [
            m if n == number else table.mul(table.constant(n / number), m)
            for n, m in zip(numbers, inner, strict=True)
        ]
        total = add_terms(table, weighted)
        if total is None:
            return table.full(0, terms[0].shape)
        whole = _multiplied(table, [*first, total, *last])
        return whole if number == 1 and not scalars else table.mul(table.constant(number), *scalars, whole)

    def common(self, terms: Sequence[Node]) -> tuple[list[Node], list[Node], list[Node]] | None:
        """What all products begin with and end with, where columns or rows are left between: A*x + A*y -->
        A*(x + y), x*a.T + y*a.T --> (x + y)*a.T. None where there is nothing.
        """
        chains = [self.chain(t) for t in terms]
        shortest = min(map(len, chains)) - 1
        first = last = 0
        while first < shortest and all(c[first] is chains[0][first] for c in chains):
            first += 1
        while first + last < shortest and all(c[-1 - last] is chains[0][-1 - last] for c in chains):
            last += 1
        while (first or last) and 1 not in (
            chains[0][first].shape[0],
            chains[0][len(chains[0]) - 1 - last].shape[1],
        ):
            first, last = (first, last - 1) if last else (first - 1, last)
        if not (first or last):
            return None
        inner = [_multiplied(self.table, c[first : len(c) - last]) for c in chains]
        return chains[0][:first], chains[0][len(chains[0]) - last :], inner


def _is_elementwise(node: Node) -> bool:
    return len(node.shape) == 2 and OPERATIONS[node.op].elementwise


def _is_repeated(node: Node) -> bool:
    return node.op == "broadcast" and not node.args[0].shape


def _changes(chain: Sequence[Node]) -> int:
    """How many runs of equal factors there are."""
    return sum(k == 0 or f is not chain[k - 1] for k, f in enumerate(chain))


def _first_run(chain: Sequence[Node]) -> int:
    """How many factors at the front are equal."""
    return next((k for k, f in enumerate(chain) if f is not chain[0]), len(chain))


def _multiplied(table: NodeTable, factors: Sequence[Node]) -> Node:
    """The product; a column is made from the right, a column times a row at last."""
    for k in range(1, len(factors)):
        if factors[k].shape[0] == 1:
            return table.matmul(_multiplied(table, factors[:k]), _multiplied(table, factors[k:]))
    ordered = list(factors)
    if ordered[-1].shape[1] == 1:
        column = ordered.pop()
        while ordered:
            column = table.matmul(ordered.pop(), column)
        return column
    result = ordered[0]
    for factor in ordered[1:]:
        result = table.matmul(result, factor)
    return result
