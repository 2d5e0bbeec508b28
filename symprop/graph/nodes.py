"""Nodes and the table that makes them: hash-consed, immutable, numbered in the order in which they were made.

Equal nodes are the same object, so common subexpressions are found while a graph is built. A node's arguments have
smaller serial numbers than the node: sorting by serial number is a topological order, and no traversal recurses.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import sympy as sp

from symprop.graph.operations import OPERATIONS

__all__ = ["Dim", "Node", "NodeTable", "Shape", "topological", "users"]

Dim = int | sp.Expr  # a size: a number, or a sympy integer expression that the arrays of a call bind
Shape = tuple[Dim, ...]


class Node:
    """One value: `op` applied to `args`, with static `attrs`; scalars have shape (), matrices (rows, columns).

    `kind` is "real", "integer" (labels and indices) or "boolean" (conditions).
    """

    __slots__ = ("args", "attrs", "kind", "op", "serial", "shape")
    op: str
    args: tuple[Node, ...]
    attrs: tuple[Hashable, ...]
    shape: Shape
    kind: str
    serial: int

    def __repr__(self) -> str:
        args = ", ".join(f"%{a.serial}" for a in self.args)
        attrs = "; " + ", ".join(map(str, self.attrs)) if self.attrs else ""
        return f"%{self.serial} = {self.op}({args}{attrs}) {self.shape}"


class NodeTable:
    """Makes nodes, each once. `make` is the only constructor; the others are short forms that fold what is trivial
    (adding zero, multiplying by one), so that derivatives come out as a person would write them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._index: dict[tuple[Any, ...], Node] = {}

    def make(self, op: str, args: Sequence[Node] = (), attrs: tuple[Hashable, ...] = ()) -> Node:
        """The node of an operation; raises `ShapeError` where the arguments do not fit."""
        declared = OPERATIONS[op]
        if declared.commutative:
            args = sorted(args, key=_order)
        key = (op, attrs, *[a.serial for a in args])
        node = self._index.get(key)
        if node is None:
            node = Node()
            node.op, node.args, node.attrs = op, tuple(args), attrs
            node.shape, node.kind = declared.infer(node.args, attrs)
            node.serial = len(self.nodes)
            self.nodes.append(node)
            self._index[key] = node
        return node

    # -- leaves -----------------------------------------------------------------------------------------------

    def constant(self, value: Any) -> Node:
        """A number, kept exact: any sympy expression without symbols, an int, a float, a Fraction."""
        return self.make("constant", (), (sp.sympify(value),))

    def symbol(self, symbol: sp.Basic) -> Node:
        """An input."""
        return self.make("symbol", (), (symbol,))

    def full(self, value: Any, shape: Shape) -> Node:
        """A constant in every entry."""
        return self.broadcast(self.constant(value), shape)

    # -- sums and products ------------------------------------------------------------------------------------

    def add(self, *terms: Node) -> Node:
        """The sum; nested sums are kept as they are, zeros dropped, constants added exactly."""
        rest: list[Node] = []
        number: sp.Expr = sp.S.Zero
        shape = broadcast_shapes([t.shape for t in terms])
        for term in terms:
            value = constant_value(term)
            if value is None:
                rest.append(term)
            elif value != 0:
                number = number + value
        if number != 0 or not rest:
            rest.append(self.constant(number))
        result = rest[0] if len(rest) == 1 else self.make("add", rest)
        return self.broadcast(result, shape)

    def mul(self, *factors: Node) -> Node:
        """The elementwise product; constant factors are multiplied exactly and ones dropped."""
        rest: list[Node] = []
        number: sp.Expr = sp.S.One
        shape = broadcast_shapes([f.shape for f in factors])
        for factor in factors:
            if factor.op == "mul" and len(factor.args) == 2 and factor.args[0].op == "constant":
                number = number * constant_value(factor.args[0])
                factor = factor.args[1]  # (-a) * b: one constant in front
            value = constant_value(factor)
            if value is None:
                rest.append(factor)
            else:
                number = number * value
        if number == 0:
            return self.full(0, shape)
        if number != 1 or not rest:
            rest.insert(0, self.constant(number))
        result = rest[0] if len(rest) == 1 else self.make("mul", rest)
        return self.broadcast(result, shape)

    def chain(self, upstream: Node, *factors: Node) -> Node:
        """The product of the chain rule, where a factor `select(c, u, 0)` is a mask and is taken outside.

        `select(c, u, 0) * v` becomes `select(c, u*v, 0)`: where the condition is false the adjoint is zero whatever
        v is, so that an infinity or NaN of a branch not taken stays out of the gradient.
        """
        shape = broadcast_shapes([upstream.shape, *[f.shape for f in factors]])
        masks: list[tuple[Node, bool]] = []
        rest: list[Node] = []
        todo = [*reversed(factors), upstream]
        while todo:
            factor = todo.pop()
            if factor.op == "select" and constant_value(factor.args[2]) == 0:
                masks.append((factor.args[0], True))
                todo.append(factor.args[1])
            elif factor.op == "select" and constant_value(factor.args[1]) == 0:
                masks.append((factor.args[0], False))
                todo.append(factor.args[2])
            else:
                rest.append(factor)
        result = self.mul(*rest)
        zero = self.constant(0)
        for condition, taken in dict.fromkeys(reversed(masks)):
            result = self.select(condition, result, zero) if taken else self.select(condition, zero, result)
        return self.broadcast(result, shape)

    def neg(self, a: Node) -> Node:
        """-a"""
        return self.mul(self.constant(-1), a)

    def sub(self, a: Node, b: Node) -> Node:
        """a - b"""
        return self.add(a, self.neg(b))

    def pow(self, base: Node, exponent: Node | Any) -> Node:
        """base**exponent, elementwise."""
        power = exponent if isinstance(exponent, Node) else self.constant(exponent)
        if constant_value(power) == 1:
            return base
        if constant_value(power) == 0:
            return self.full(1, base.shape)
        return self.make("pow", (base, power))

    def div(self, a: Node, b: Node) -> Node:
        """a / b, as a * b**-1 (the form of sympy; the rewriting makes a division of it)."""
        return self.mul(a, self.pow(b, -1))

    def call(self, op: str, *args: Node, attrs: tuple[Hashable, ...] = ()) -> Node:
        """Any operation by name."""
        return self.make(op, args, attrs)

    def select(self, condition: Node, a: Node, b: Node, shape: Shape | None = None) -> Node:
        """a where the condition holds, else b."""
        if a is b:
            return self.broadcast(a, shape if shape is not None else a.shape)
        result = self.make("select", (condition, a, b))
        return result if shape is None else self.broadcast(result, shape)

    # -- shapes -----------------------------------------------------------------------------------------------

    def broadcast(self, a: Node, shape: Shape) -> Node:
        """The array of that shape whose entries repeat those of a."""
        return a if a.shape == shape else self.make("broadcast", (a,), (shape,))

    def reshape(self, a: Node, shape: Shape) -> Node:
        """The same entries, in row-major order, as another shape; a 1 x 1 matrix and a scalar are reshapes."""
        if a.op == "reshape":
            a = a.args[0]
        return a if a.shape == shape else self.make("reshape", (a,), (shape,))

    def transpose(self, a: Node) -> Node:
        """The transpose of a matrix."""
        if a.op == "transpose":
            return a.args[0]
        if len(a.shape) < 2 or a.shape == (1, 1):
            return a
        return self.make("transpose", (a,), ((1, 0),))

    def sum(self, a: Node, axes: tuple[int, ...] | None = None, keep: bool = False) -> Node:
        """The sum over axes (all: a scalar); `keep` leaves them with size one."""
        if not a.shape:
            return a
        return self.make("sum", (a,), (tuple(range(len(a.shape))) if axes is None else axes, keep))

    def matmul(self, a: Node, b: Node) -> Node:
        """The matrix product."""
        return self.make("matmul", (a, b))


def constant_value(node: Node) -> sp.Expr | None:
    """The number of a constant, of a broadcast constant too; None for any other node."""
    while node.op == "broadcast":
        node = node.args[0]
    return node.attrs[0] if node.op == "constant" else None  # type: ignore[return-value]


def broadcast_shapes(shapes: Sequence[Shape]) -> Shape:
    """The common shape of elementwise operands: scalars go with everything, other shapes must be equal.

    (Rows and columns are never stretched silently, as in matrix algebra.) Raises ValueError.
    """
    result: Shape = ()
    for shape in shapes:
        if shape and result and shape != result:
            raise ValueError(f"{result} and {shape}")
        result = result or shape
    return result


def topological(roots: Iterable[Node]) -> list[Node]:
    """The nodes that the roots need, each after its arguments."""
    seen: dict[int, Node] = {}
    todo = list(roots)
    while todo:
        node = todo.pop()
        if node.serial not in seen:
            seen[node.serial] = node
            todo.extend(node.args)
    return [seen[serial] for serial in sorted(seen)]


def users(nodes: Iterable[Node]) -> dict[int, list[Node]]:
    """For each serial number the nodes that use it, once per use."""
    result: dict[int, list[Node]] = {}
    for node in nodes:
        result.setdefault(node.serial, [])
        for arg in node.args:
            result.setdefault(arg.serial, []).append(node)
    return result


def _order(node: Node) -> tuple[bool, int]:
    return node.op != "constant", node.serial  # a constant comes first
