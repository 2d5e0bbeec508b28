"""Products of matrices that are written out entry by entry, as products again.

sympy writes `(w.T*x)[0, 0]` out as `w[0, 0]*x[0, 0] + w[1, 0]*x[1, 0] + ...`, and `(x.T*A*x)[0, 0]` as a sum
of such sums times `x[0, 0]`, `x[1, 0]`, ... A sum that has all of these terms is taken in as the product, so
that its gradients are columns and matrices too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from symprop.graph import Dim, Node, NodeTable
from symprop.graph.nodes import constant_value

__all__ = ["Entries"]


class _Entry(NamedTuple):
    """The scalar that stands at a position of a matrix."""

    matrix: Node
    position: tuple[int, int]


class _Product(NamedTuple):
    """An entry of the product of two matrices: the axis of each along which the sum runs, where the other
    axis of each stands, and the factors in front.
    """

    a: Node
    b: Node
    axes: tuple[int, int]
    fixed: tuple[int, int]
    front: tuple[Node, ...]

    @property
    def shape(self) -> tuple[Dim, Dim]:
        """The shape of a product that has `fixed` as a position."""
        return self.a.shape[1 - self.axes[0]], self.b.shape[1 - self.axes[1]]

    @property
    def is_number(self) -> bool:
        """Whether the whole product is 1 x 1."""
        return self.shape == (1, 1)

    @property
    def turned(self) -> bool:
        """Whether its transpose is taken: a column rather than a row."""
        return self.shape[0] == 1 and self.shape[1] != 1

    @property
    def position(self) -> tuple[int, int]:
        """Where the entry stands in the product that is taken."""
        return self.fixed[::-1] if self.turned else self.fixed


class Entries:
    """Which scalars of a table are entries of a matrix, and the sums that are products of matrices."""

    def __init__(self, table: NodeTable) -> None:
        self.table = table
        self._known: dict[int, _Entry | None] = {}  # of sums, by serial number

    def sum(self, terms: Sequence[Node]) -> Node:
        """The sum of scalars, in which those terms that make up a 1 x 1 product are this product."""
        t = self.table
        if any(term.shape for term in terms):
            return t.add(*terms)  # one symbol stands for many numbers here, as the index of a sum does
        left: list[Node | None] = [*terms]
        others: list[tuple[_Product, list[int]]] = []
        for product, places in self._complete(terms):
            if not product.is_number:
                others.append((product, places))
            elif all(left[place] is not None for place in places):  # else it has gone into another product
                for place in places:
                    left[place] = None
                left[min(places)] = t.mul(*product.front, t.reshape(self._matrix(product), ()))
        result = t.add(*[term for term in left if term is not None])
        if result.op == "add" and result.serial not in self._known:
            self._known[result.serial] = self._of_sum(terms, others)
        return result

    def _of_sum(self, terms: Sequence[Node], products: list[tuple[_Product, list[int]]]) -> _Entry | None:
        """What the sum of all terms is an entry of: a sum of matrices and of products at one position."""
        position, shape, taken = None, None, set[int]()
        matrices: list[tuple[int, Node]] = []
        for product, places in products:
            if taken.isdisjoint(places):
                matrix, at = self._matrix(product), product.position
                position, shape = position or at, shape or matrix.shape
                if (at, matrix.shape) == (position, shape):
                    taken.update(places)
                    matrices.append((min(places), self.table.mul(*product.front, matrix)))
        for place, term in enumerate(terms):
            if place in taken:
                continue
            entries, front = self._split(term)
            if len(entries) != 1:
                return None
            position, shape = position or entries[0].position, shape or entries[0].matrix.shape
            if (entries[0].position, entries[0].matrix.shape) != (position, shape):
                return None
            matrices.append((place, self.table.mul(*front, entries[0].matrix)))
        ordered = [matrix for _, matrix in sorted(matrices, key=lambda pair: pair[0])]
        return None if position is None else _Entry(self.table.add(*ordered), position)

    def _complete(self, terms: Sequence[Node]) -> Iterator[tuple[_Product, list[int]]]:
        """The products of which all terms are there, with the places of their terms."""
        found: dict[_Product, dict[int, int]] = {}
        for place, term in enumerate(terms):
            for product, at in self._products(term):
                found.setdefault(product, {}).setdefault(at, place)
        for product, places in found.items():
            if len(places) == product.a.shape[product.axes[0]]:
                yield product, [*places.values()]

    def _products(self, term: Node) -> Iterator[tuple[_Product, int]]:
        """The products that a term may belong to, and its place along the sum."""
        entries, front = self._split(term)
        if len(entries) != 2:
            return
        one, other = sorted(entries, key=lambda e: _order(e.matrix))
        for i in range(2):
            for k in range(2):
                size = one.matrix.shape[i]
                if (
                    one.position[i] == other.position[k]
                    and size == other.matrix.shape[k]
                    and isinstance(size, int)
                    and size > 1
                ):
                    fixed = one.position[1 - i], other.position[1 - k]
                    yield _Product(one.matrix, other.matrix, (i, k), fixed, front), one.position[i]

    def _split(self, term: Node) -> tuple[list[_Entry], tuple[Node, ...]]:
        """The factors of a term that are entries, and the others."""
        factors = term.args if term.op == "mul" else (term,)
        entries: list[_Entry] = []
        front: list[Node] = []
        for factor in factors:
            square = factor.op == "pow" and constant_value(factor.args[1]) == 2
            entry = self._entry(factor.args[0] if square else factor)
            if entry is None:
                front.append(factor)
            else:
                entries += [entry] * (2 if square else 1)
        return entries, tuple(front)

    def _entry(self, scalar: Node) -> _Entry | None:
        if scalar.op == "index" and len(scalar.args[0].shape) == 2:
            position: Any = scalar.attrs[0]
            return _Entry(scalar.args[0], position)
        return self._known.get(scalar.serial)

    def _matrix(self, product: _Product) -> Node:
        """The product of the matrices; a number is written with as few transposes as it can be."""
        t = self.table
        free = product.is_number  # then nothing else uses the rows of which it is the sum
        a = product.a if product.axes[0] == 1 else t.transpose(product.a, free)
        b = product.b if product.axes[1] == 0 else t.transpose(product.b, free)
        pair, other = (a, b), (t.transpose(b, free), t.transpose(a, free))
        if product.is_number:
            pair = min(pair, other, key=lambda factors: sum(map(_transposes, factors)))
        return t.matmul(*(other if product.turned else pair))


def _transposes(node: Node) -> int:
    """How many factors of a product are transposed."""
    count, todo = 0, [node]
    while todo:
        node = todo.pop()
        count += node.op == "transpose"
        todo.extend(node.args if node.op == "matmul" else ())
    return count


def _order(node: Node) -> tuple[bool, str, int]:
    return node.op != "symbol", str(node.attrs[0]) if node.op == "symbol" else "", node.serial
