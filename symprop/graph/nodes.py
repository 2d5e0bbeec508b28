"""Nodes and the table that makes them: hash-consed, immutable, numbered in the order in which they were made.

Equal nodes are the same object, so common subexpressions are found while a graph is built. A node's arguments
have smaller serial numbers than the node: sorting by serial number is a topological order, and no traversal
recurses.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from operator import attrgetter
from typing import Any, TypeAlias

import sympy as sp

from symprop.graph import parts
from symprop.graph.operations import OPERATIONS
from symprop.graph.symmetry import is_symmetric
from symprop.graph.transposes import Turns, existing, turned, written_out

__all__ = ["Dim", "Node", "NodeTable", "Shape", "topological", "users"]

Dim: TypeAlias = int | sp.Expr  # a size: a number, or a sympy integer expression that a call binds
Shape: TypeAlias = tuple[Dim, ...]


class Node:
    """One value: `op` applied to `args`, with static `attrs`; scalars have shape (), matrices (rows,
    columns).

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
    """Makes nodes, each once. `make` is the only constructor; the others are short forms that fold what is
    trivial (adding zero, multiplying by one), so that derivatives come out as a person would write them.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        # by operation (with attributes where it has some), then by arguments: the serial number of one, both
        # numbers in one of two, a tuple of more; hundreds of thousands of tuples would cost memory and time
        self._index: dict[Any, dict[Any, Node]] = {}
        self._integers: dict[int, Node] = {}
        self._turns: Turns = {}
        self._symmetric: dict[int, bool] = {}

    def make(self, op: str, args: Sequence[Node] = (), attrs: tuple[Hashable, ...] = ()) -> Node:
        """The node of an operation; raises `ShapeError` where the arguments do not fit."""
        declared = OPERATIONS[op]
        known = self._index.get((op, attrs) if attrs else op)
        if known is None:
            known = self._index[(op, attrs) if attrs else op] = {}
        key: Any
        if len(args) == 1:
            key = args[0].serial
        elif len(args) == 2:
            a, b = args
            if declared.commutative:
                number = b.op == "constant"  # the order of _order, written out for speed
                if number if number != (a.op == "constant") else b.serial < a.serial:
                    args = a, b = b, a
            key = (a.serial + 1) << 40 | b.serial
        else:
            if declared.commutative:
                args = sorted(args, key=_order)
            key = tuple([a.serial for a in args])
        node = known.get(key)
        if node is None:
            node = Node()
            node.op, node.args, node.attrs = op, tuple(args), attrs
            node.shape, node.kind = declared.infer(node.args, attrs)
            node.serial = len(self.nodes)
            self.nodes.append(node)
            known[key] = node
        return node

    def copies(self, nodes: Iterable[Node]) -> dict[int, Node]:
        """Nodes of another table, each after its arguments, in this table, which is empty: old serial number
        -> new node. Their order stays, so that nothing is looked up, sorted or inferred anew.
        """
        assert not self.nodes, "copies go into an empty table"
        made: dict[int, Node] = {}
        index, own = self._index, self.nodes
        for old in nodes:
            node = Node()
            op, attrs = old.op, old.attrs
            args = tuple([made[a.serial] for a in old.args])
            node.op, node.args, node.attrs = op, args, attrs
            node.shape, node.kind = old.shape, old.kind
            node.serial = len(own)
            known = index.get((op, attrs) if attrs else op)
            if known is None:
                known = index[(op, attrs) if attrs else op] = {}
            if len(args) == 2:
                known[(args[0].serial + 1) << 40 | args[1].serial] = node
            elif len(args) == 1:
                known[args[0].serial] = node
            else:
                known[tuple([a.serial for a in args])] = node
            own.append(node)
            made[old.serial] = node
        return made

    def find(self, op: str, args: Sequence[Node], attrs: tuple[Hashable, ...] = ()) -> Node | None:
        """The node of an operation if it has been made."""
        if OPERATIONS[op].commutative:
            args = sorted(args, key=_order)
        known = self._index.get((op, attrs) if attrs else op, {})
        serials = tuple([a.serial for a in args])
        if len(serials) == 1:
            return known.get(serials[0])
        return known.get((serials[0] + 1) << 40 | serials[1] if len(serials) == 2 else serials)

    def needed(self, roots: Iterable[Node]) -> list[Node]:
        """The nodes of this table that the roots need, each after its arguments (see `topological`)."""
        marks = bytearray(len(self.nodes))
        for root in roots:
            marks[root.serial] = 1
        found: list[Node] = []
        nodes, last = self.nodes, marks.rfind
        at = last(1)
        while at >= 0:  # downwards: whatever uses a node has been seen before it
            node = nodes[at]
            found.append(node)
            for a in node.args:
                marks[a.serial] = 1
            at = last(1, 0, at)
        found.reverse()
        return found

    # -- leaves ------------------------------------------------------------------------------------------

    def constant(self, value: Any) -> Node:
        """A number, kept exact: any sympy expression without symbols, an int, a float, a Fraction."""
        if type(value) is int:
            node = self._integers.get(value)
            if node is None:
                node = self._integers[value] = self.make("constant", (), (sp.Integer(value),))
            return node
        return self.make("constant", (), (sp.sympify(value),))

    def symbol(self, symbol: sp.Basic) -> Node:
        """An input."""
        return self.make("symbol", (), (symbol,))

    def full(self, value: Any, shape: Shape) -> Node:
        """A constant in every entry."""
        return self.broadcast(self.constant(value), shape)

    # -- sums and products -------------------------------------------------------------------------------

    def add(self, *terms: Node) -> Node:
        """The sum; nested sums are kept as they are, zeros dropped, constants added exactly."""
        if (
            len(terms) == 2
            and terms[0].shape == terms[1].shape
            and terms[0].op not in _MAY_FOLD
            and terms[1].op not in _MAY_FOLD
        ):
            return self.make("add", terms)
        rest: list[Node] = []
        number: sp.Expr | None = None
        shape = broadcast_shapes([t.shape for t in terms])
        for term in terms:
            value = constant_value(term)
            if value is None:
                rest.append(term)
            elif value is not sp.S.Zero:
                number = value if number is None else number + value
        if (number is not None and number != 0) or not rest:
            rest.append(self.constant(0 if number is None else number))
        result = rest[0] if len(rest) == 1 else self.make("add", rest)
        return self.broadcast(result, shape)

    def mul(self, *factors: Node) -> Node:
        """The elementwise product; constant factors are multiplied exactly and ones dropped, a repeated
        scalar (`broadcast`) multiplies as a scalar.
        """
        if (
            len(factors) == 2
            and factors[0].shape == factors[1].shape
            and factors[0].op not in _MAY_FOLD
            and factors[1].op not in _MAY_FOLD
        ):
            return self.make("mul", factors)
        rest: list[Node] = []
        number: sp.Expr | None = None
        shape = broadcast_shapes([f.shape for f in factors])
        for factor in factors:
            while factor.op == "broadcast" and not factor.args[0].shape:
                factor = factor.args[0]
            if factor.op == "mul" and factor.args[0].op == "constant" and len(factor.args) <= 4:
                joined = joined_numbers(number, factor.args[0].attrs[0])  # (-a) * b: one constant in front
                if joined is not None:
                    number = joined
                    factor = factor.args[1] if len(factor.args) == 2 else self.make("mul", factor.args[1:])
            if factor.op == "constant":
                value = factor.attrs[0]
                number = value if number is None else number * value
            else:
                rest.append(factor)
        if number is not None:
            if number == 0:
                return self.full(0, shape)
            if (number is not sp.S.One and not (number.is_Float and number == 1.0)) or not rest:
                rest.insert(0, self.constant(number))
        elif not rest:
            return self.constant(1)
        result = rest[0] if len(rest) == 1 else self.make("mul", rest)
        return self.broadcast(result, shape)

    def chain(self, upstream: Node, *factors: Node) -> Node:
        """The product of the chain rule, where a factor `select(c, u, 0)` is a mask and is taken outside.

        `select(c, u, 0) * v` becomes `select(c, u*v, 0)`: where the condition is false the adjoint is zero
        whatever v is, so that an infinity or NaN of a branch not taken stays out of the gradient. Several
        masks become one, with the conjunction of their conditions: chains of masks stay linear.
        """
        if upstream.op not in _MASKS and not any(f.op in _MASKS for f in factors):
            return self.mul(upstream, *factors)
        shape = broadcast_shapes([upstream.shape, *[f.shape for f in factors]])
        masks: list[tuple[Node, bool]] = []
        rest: list[Node] = []
        todo = [*reversed(factors), upstream]
        while todo:
            factor = todo.pop()
            while factor.op == "broadcast" and not factor.args[0].shape:
                factor = factor.args[0]
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
        distinct = list(dict.fromkeys(masks))
        if len(distinct) == 1:
            condition, taken = distinct[0]
            result = self.select(condition, result, zero) if taken else self.select(condition, zero, result)
        elif distinct:
            conditions = [c if taken else self.make("not", (c,)) for c, taken in distinct]
            every = conditions[0]
            for condition in conditions[1:]:
                every = self.make("and", (every, condition))
            result = self.select(every, result, zero)
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
        value = constant_value(power)
        if value is sp.S.One:
            return base
        if value is sp.S.Zero:
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

    # -- shapes ------------------------------------------------------------------------------------------

    def broadcast(self, a: Node, shape: Shape) -> Node:
        """The array of that shape whose entries repeat those of a."""
        return a if a.shape == shape else self.make("broadcast", (a,), (shape,))

    def reshape(self, a: Node, shape: Shape) -> Node:
        """The same entries, row by row, as another shape; a 1 x 1 matrix and a scalar are reshapes."""
        if a.op == "reshape":
            a = a.args[0]
        if a.op == "constant" or (a.op == "broadcast" and not a.args[0].shape):
            return self.broadcast(a if a.op == "constant" else a.args[0], shape)
        if a.shape == (1, 1) and not shape:
            return self._number_in(a)
        return a if a.shape == shape else self.make("reshape", (a,), (shape,))

    def transpose(self, a: Node, free: bool = False) -> Node:
        """The transpose of a matrix; of sums and products in the form that is shorter to write.

        `free` says that `a` itself is not used: then its transpose may be another product.
        """
        if a.op == "transpose":
            return a.args[0]
        if len(a.shape) < 2 or a.shape == (1, 1):
            return a
        if a.op == "broadcast" and not a.args[0].shape:
            return self.broadcast(a.args[0], (a.shape[1], a.shape[0]))
        if a.op == "eye":
            return self.make("eye", (), (a.shape[1], a.shape[0]))
        if self.is_symmetric(a):
            return a
        if a.op == "inverse":
            (matrix,) = a.args
            if matrix.op == "transpose":
                return self.make("inverse", matrix.args)
            turned_matrix = self.find("transpose", (matrix,), ((1, 0),))
            found = self.find("inverse", (turned_matrix,)) if turned_matrix is not None else None
            if found is not None:
                return found
        pushed = written_out(self, a) or turned(self, a, self._turns, free)
        if pushed is not None:
            return pushed
        return self.make("transpose", (a,), ((1, 0),))

    def is_symmetric(self, a: Node) -> bool:
        """True for a matrix that equals its transpose by the way it is made."""
        return is_symmetric(a, self._symmetric)

    def sum(self, a: Node, axes: tuple[int, ...] | None = None, keep: bool = False) -> Node:
        """The sum over axes (all: a scalar); `keep` leaves them with size one."""
        if not a.shape:
            return a
        over = tuple(range(len(a.shape))) if axes is None else axes
        if all(a.shape[k] == 1 for k in over):
            return a if keep else self.reshape(a, tuple(d for k, d in enumerate(a.shape) if k not in over))
        return self.make("sum", (a,), (over, keep))

    def trace(self, a: Node) -> Node:
        """The sum of the diagonal, scalar factors outside; of a 1 x 1 matrix its entry, of a column times a
        row the row times the column.
        """
        if a.op == "eye" and isinstance(a.shape[0], int):
            return self.constant(a.shape[0])
        if a.op == "matmul" and a.args[0].shape[1] == 1:
            return self.reshape(self.matmul(a.args[1], a.args[0]), ())
        if a.op == "matmul" and a.args[1].op == "pad":  # only a block of the first factor counts
            inner = a.args[1].args[0]
            starts: Any = a.args[1].attrs[1]
            row, column = starts
            rows, columns = (column, column + inner.shape[1]), (row, row + inner.shape[0])
            return self.trace(self.matmul(self.slice(a.args[0], (rows, columns)), inner))
        scalars = [f for f in a.args if not f.shape] if a.op == "mul" else []
        if scalars:
            return self.mul(*scalars, self.trace(self.mul(*[f for f in a.args if f.shape])))
        return self.reshape(a, ()) if a.shape == (1, 1) else self.make("trace", (a,))

    def index(self, a: Node, position: tuple[int, ...]) -> Node:
        """The entry at a static position."""
        if a.op == "broadcast" and not a.args[0].shape:
            return a.args[0]
        if a.op == "place":
            positions: Any = a.attrs[1]
            return a.args[positions.index(position)] if position in positions else self.constant(0)
        if a.op == "transpose" and len(a.shape) == 2:
            return self.index(a.args[0], position[::-1])
        number = parts.entry(a, position)
        return self.make("index", (a,), (position,)) if number is None else self.constant(number)

    def _number_in(self, a: Node) -> Node:
        """The entry of a 1 x 1 matrix: sums term by term, scalars in front of products."""
        if a.op == "add":
            return self.add(*[self.reshape(term, ()) for term in a.args])
        if a.op == "slice" and all(isinstance(start, int) for start, _ in a.attrs[0]):  # type: ignore[attr-defined]
            return self.index(a.args[0], tuple(start for start, _ in a.attrs[0]))  # type: ignore[attr-defined]
        factors = a.args if a.op == "matmul" else (a,)
        scalars: list[Node] = []
        kept: list[Node] = []
        for part in factors:
            matrices = [f for f in part.args if f.shape] if part.op == "mul" else []
            if len(matrices) == 1:
                scalars += [f for f in part.args if not f.shape]
            kept.append(matrices[0] if len(matrices) == 1 else part)
        if scalars:
            return self.mul(*scalars, self.reshape(kept[0] if len(kept) == 1 else self.matmul(*kept), ()))
        if a.op == "matmul":  # of u.T*v and v.T*u the one that was there first
            other = existing(self, a)
            if other is not None and other.serial < a.serial:
                a = other
        return self.make("reshape", (a,), ((),))

    def slice(self, a: Node, pairs: tuple[tuple[Any, Any], ...]) -> Node:
        """The block from start to stop along each axis."""
        found = parts.block(self, a, pairs)
        return self.make("slice", (a,), (pairs,)) if found is None else found

    def diagonal(self, a: Node) -> Node:
        """The diagonal of a square matrix as a column."""
        found = parts.diagonal(self, a)
        return self.make("diagonal", (a,)) if found is None else found

    def matmul(self, a: Node, b: Node) -> Node:
        """The matrix product; a factor that is the identity is dropped, products of constants are formed."""
        folded = _folded_product(self, a, b)
        return self.make("matmul", (a, b)) if folded is None else folded


_MAY_FOLD = frozenset(("constant", "broadcast", "mul"))  # an operand that add or mul may fold
_MASKS = frozenset(("select", "broadcast"))  # an operand that is or may hold a mask


def joined_numbers(a: sp.Expr | None, b: sp.Expr) -> sp.Expr | None:
    """The product of the constants of nested products, where it stays a short number: a sign, or a small
    fraction.

    (Along a chain of 10,000 squares an exact constant would grow to 2**10000, beyond every float.)
    """
    if a is None or a is sp.S.One:
        return b
    if a is sp.S.NegativeOne or b is sp.S.NegativeOne:
        return a * b
    if not (a.is_Rational and b.is_Rational):
        return None
    product = a * b
    return product if abs(product.p) < 2**53 and product.q < 2**53 else None


def constant_value(node: Node) -> sp.Expr | None:
    """The number of a constant, of a broadcast constant too; None for any other node."""
    while node.op == "broadcast":
        node = node.args[0]
    return node.attrs[0] if node.op == "constant" else None


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
    seen: set[int] = set()
    found: list[Node] = []
    todo = list(roots)
    while todo:
        node = todo.pop()
        if node.serial not in seen:
            seen.add(node.serial)
            found.append(node)
            todo += node.args
    found.sort(key=attrgetter("serial"))
    return found


def users(nodes: Iterable[Node]) -> dict[int, list[Node]]:
    """For each serial number the nodes that use it, once per use."""
    result: dict[int, list[Node]] = {}
    for node in nodes:
        result.setdefault(node.serial, [])
        for arg in node.args:
            result.setdefault(arg.serial, []).append(node)
    return result


def _folded_product(table: NodeTable, a: Node, b: Node) -> Node | None:
    """The matrix product with an identity, of diagonal matrices, of repeated scalars; None for any other."""
    if a.op == "eye" and a.shape[0] == a.shape[1] == b.shape[0]:
        return b
    if b.op == "eye" and b.shape[0] == b.shape[1] == a.shape[1]:
        return a
    cancelled = _with_inverse(table, a, b)
    if cancelled is not None:
        return cancelled
    for one, other in ((a, b), (b, a)):
        if one.shape == (1, 1) and constant_value(one) is sp.S.One:
            return other
    for factor, left in ((a, True), (b, False)):
        matrices = [f for f in factor.args if f.shape] if factor.op == "mul" else []
        if len(matrices) == 1 and matrices[0].op == "eye":  # (s*I)*b --> s*b
            scalars = [f for f in factor.args if not f.shape]
            product = table.matmul(matrices[0], b) if left else table.matmul(a, matrices[0])
            return table.mul(*scalars, product)
    if a.op == b.op == "diag":
        return table.make("diag", (table.mul(a.args[0], b.args[0]),))
    if (
        a.op == b.op == "broadcast"
        and not (a.args[0].shape or b.args[0].shape)
        and isinstance(a.shape[1], int)
    ):
        entry = table.mul(a.args[0], b.args[0], table.constant(a.shape[1]))
        return table.broadcast(entry, (a.shape[0], b.shape[1]))
    return None


def _with_inverse(table: NodeTable, a: Node, b: Node) -> Node | None:
    """A*A**-1 --> I, A*(A**-1*B) --> B, (B*A)*A**-1 --> B, or A**-1 before A; None for other products."""
    if a.op not in _INVERTIBLE and b.op not in _INVERTIBLE:
        return None
    last = a.args[1] if a.op == "matmul" else a
    first = b.args[0] if b.op == "matmul" else b
    if not _are_inverse(last, first):
        return None
    if a.op == "matmul":
        return a.args[0] if b.op != "matmul" else table.matmul(a.args[0], b.args[1])
    return b.args[1] if b.op == "matmul" else table.make("eye", (), (a.shape[0], b.shape[1]))


_INVERTIBLE = frozenset(("inverse", "matmul", "transpose"))


def _are_inverse(a: Node, b: Node) -> bool:
    if a.op == b.op == "transpose":
        a, b = a.args[0], b.args[0]
    return (a.op == "inverse" and a.args[0] is b) or (b.op == "inverse" and b.args[0] is a)


def _order(node: Node) -> tuple[bool, int]:
    return node.op != "constant", node.serial  # a constant comes first
