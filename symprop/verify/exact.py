"""Values of nodes at 50 and more digits, with a memory: a change costs only what depends on it."""

from __future__ import annotations

import fractions
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp
from mpmath.libmp import from_man_exp

from symprop.errors import ArgumentError
from symprop.graph import OPERATIONS, Node, NodeTable
from symprop.graph.evaluate import node_value

__all__ = [
    "BELOW_ALL",
    "LEVELS",
    "Definitions",
    "Exact",
    "Trusted",
    "matrix_product",
    "operation_cost",
    "real_array",
    "settled",
    "shape_of",
]

# working digits of successive evaluations: an evaluation is trusted when the next level agrees with it
LEVELS = (50, 80, 160, 320, 640)
_LARGE = 130  # binary digits of a constant that leave few of the first level for what is added to it
# what is smaller is zero in every floating-point type (half the smallest number of float64 is 2.5e-324), and
# beside a one to half of the last level
BELOW_ALL = mp.mpf(10) ** -324
_BELOW_FLOATS = 400
_AGREE = mp.mpf(10) ** -30  # relative agreement of two levels that counts as the same value
_MOVES = frozenset(["reshape", "transpose", "broadcast", "slice", "pad", "index", "diag", "diagonal"])
_ALL = np.ones((), bool)  # of the one entry of a scalar
_SPAN = 4096  # bits between the largest and the smallest entry up to which integers replace floating point


# what an operation costs for one entry of its result, in additions of 50 digits (about a microsecond)
_COSTS = {
    "broadcast": 0.05,
    "reshape": 0.01,
    "transpose": 0.01,
    "slice": 0.02,
    "pad": 0.05,
    "index": 1,
    "constant": 30,
}
_CHEAP = {
    *("add", "mul", "diag", "diagonal", "trace", "place"),
    *("select", "less", "less_equal", "equal", "not_equal", "and", "or", "not"),
}
_ELEMENTARY = 25  # an elementary function
_PER_NODE = 10  # the handling of a node, whatever its size


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of a node as numbers."""
    return tuple(int(d) for d in node.shape)


def operation_cost(node: Node, entries: int) -> float:
    """What a node costs: counted, not timed, so that what a budget allows is the same everywhere."""
    if node.op == "matmul":
        return _PER_NODE + 0.4 * entries * int(node.args[0].shape[1])
    if node.op == "sum":
        return _PER_NODE + math.prod(shape_of(node.args[0]))
    if node.op == "symbol":
        return 0.0
    if node.op in _CHEAP:
        return _PER_NODE + 4 * entries * max(1, len(node.args) - 1)
    return _PER_NODE + _COSTS.get(node.op, _ELEMENTARY) * entries


class Definitions:
    """The order in which nodes are evaluated: composite operations stand for their definition over
    primitives.

    Elementwise operations with a value of their own at any precision are taken as they are.
    """

    def __init__(self, table: NodeTable) -> None:
        self.table = table
        self._memo: dict[int, Node] = {}
        self._orders: dict[tuple[int, ...], list[Node]] = {}
        self._users: dict[tuple[int, ...], dict[int, list[int]]] = {}

    def definition(self, node: Node) -> Node | None:
        """What a composite operation is, over other operations; None for a primitive."""
        declared = OPERATIONS[node.op]
        if declared.expand is None or (declared.elementwise and declared.exact is not None):
            return None
        if node.serial not in self._memo:
            self._memo[node.serial] = declared.expand(self.table, node)
        return self._memo[node.serial]

    def args(self, node: Node) -> tuple[Node, ...]:
        """What a value is computed from: the definition alone, or the arguments."""
        definition = self.definition(node)
        return node.args if definition is None else (definition,)

    def order(self, roots: Iterable[Node]) -> list[Node]:
        """The nodes that the roots need, each after what it is computed from."""
        roots = list(roots)
        key = tuple(root.serial for root in roots)
        if key not in self._orders:
            done: dict[int, Node] = {}
            todo: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
            while todo:
                node, ready = todo.pop()
                if node.serial in done:
                    continue
                if ready:
                    done[node.serial] = node
                else:
                    todo.append((node, True))
                    todo.extend((a, False) for a in self.args(node) if a.serial not in done)
            self._orders[key] = list(done.values())
        return self._orders[key]

    def affected(self, changes: Iterable[int], roots: Sequence[Node]) -> list[Node]:
        """The nodes, in order, that the roots need and that are computed from one of some nodes: only these
        are looked at.
        """
        order, key = self.order(roots), tuple([root.serial for root in roots])
        users = self._users.get(key)
        if users is None:
            users = self._users[key] = {}
            for place, node in enumerate(order):
                for a in self.args(node):
                    users.setdefault(a.serial, []).append(place)
        changed = set(changes)
        found: set[int] = set()
        todo = list(changed)
        while todo:
            for place in users.get(todo.pop(), ()):
                if place not in found and order[place].serial not in changed:
                    found.add(place)
                    todo.append(order[place].serial)
        return [order[place] for place in sorted(found)]


class Exact:
    """Values at one point with a number of decimal digits; `inputs` maps serial numbers of nodes to their
    values.

    Not only symbols: any node can be given a value, and is then not computed.
    """

    def __init__(self, definitions: Definitions, inputs: Mapping[int, Any], digits: int) -> None:
        self.definitions = definitions
        self.digits = digits
        with mp.workdps(digits):
            self.known: dict[int, Any] = {serial: real_array(value) for serial, value in inputs.items()}
        self._affected: dict[tuple[frozenset[int], tuple[int, ...]], list[Node]] = {}
        self._integers: dict[int, tuple[Any, Any]] = {}
        self.spent = 0.0  # operation costs so far

    def __call__(self, *roots: Node) -> list[Any]:
        """The values of nodes as arrays of `mpf` of their shapes (numbers of NumPy for labels)."""
        if any(root.serial not in self.known for root in roots):
            with mp.workdps(self.digits):
                for node in self.definitions.order(roots):
                    if node.serial not in self.known:
                        self.known[node.serial] = self._compute(node, self.known)
        return [self.known[root.serial] for root in roots]

    def changed(self, changes: Mapping[int, Any], *roots: Node) -> list[Any]:
        """The values of the roots where some nodes (by serial number) have other values than at the point.

        Only entries that depend on an entry that changed are computed (entries that are the same object did
        not).
        """
        self(*roots)
        key = (frozenset(changes), tuple(root.serial for root in roots))
        if key not in self._affected:
            self._affected[key] = self.definitions.affected(changes, roots)
        new: dict[int, Any] = {serial: np.asarray(value) for serial, value in changes.items()}
        masks = {serial: _other(value, self.known.get(serial)) for serial, value in new.items()}
        with mp.workdps(self.digits):
            for node in self._affected[key]:
                new[node.serial], masks[node.serial] = self._recompute(node, new, masks)
        return [new[r.serial] if r.serial in new else self.known[r.serial] for r in roots]

    def _compute(self, node: Node, new: Mapping[int, Any]) -> Any:
        definition = self.definitions.definition(node)
        if definition is not None:
            return np.broadcast_to(self._get(definition, new), shape_of(node))
        args = [self._get(a, new) for a in node.args]
        if node.op in ("take", "one_hot"):
            _check_indices(node, args)
        self.spent += operation_cost(node, math.prod(shape_of(node)))
        declared = OPERATIONS[node.op]
        if not node.shape and declared.elementwise and declared.exact is not None:
            return np.array(declared.exact(node.attrs, *[a[()] for a in args]), object)
        if node.op == "matmul":
            factors = [self._as_integers(a.serial, v) for a, v in zip(node.args, args, strict=True)]
            if all(f is not None for f in factors):
                return matrix_product(*factors)
        return node_value(node, args, {}, True)

    def _recompute(self, node: Node, new: Mapping[int, Any], masks: Mapping[int, Any]) -> tuple[Any, Any]:
        """The new value of a node, and which entries of it may have changed."""
        if not node.shape:
            return self._compute(node, new), _ALL
        everything = np.ones(shape_of(node), bool)
        if node.serial not in self.known or self.definitions.definition(node) is not None:
            return self._compute(node, new), everything
        declared = OPERATIONS[node.op]
        if node.op in _MOVES and declared.reference is not None:
            return self._compute(node, new), np.asarray(
                declared.reference(node.attrs, masks[node.args[0].serial])
            )
        if not declared.elementwise and node.op != "matmul":
            return self._compute(node, new), everything
        if node.op == "matmul":
            return self._changed_product(node, new, masks)
        changed = np.zeros(shape_of(node), bool)
        for arg in node.args:
            if arg.serial in masks:
                changed |= masks[arg.serial]
        count = int(changed.sum())
        if 2 * count > changed.size or declared.exact is None:
            return self._compute(node, new), changed
        picked = [np.broadcast_to(self._get(a, new), changed.shape)[changed] for a in node.args]
        self.spent += operation_cost(node, count)
        value = np.array(self.known[node.serial], object)
        function = declared.exact
        value[changed] = np.frompyfunc(lambda *v: function(node.attrs, *v), len(picked), 1)(*picked)
        return value, changed

    def _changed_product(
        self, node: Node, new: Mapping[int, Any], masks: Mapping[int, Any]
    ) -> tuple[Any, Any]:
        """A matrix product of which a few rows of the first, or columns of the second factor changed."""
        a, b = node.args
        axis = 0 if b.serial not in masks else 1
        changed = np.zeros(shape_of(node), bool)
        if b.serial in masks and a.serial in masks:
            return self._compute(node, new), ~changed
        lines = np.flatnonzero(masks[b.serial].any(axis=0) if axis else masks[a.serial].any(axis=1))
        if 2 * len(lines) > changed.shape[axis] or not len(lines):
            return self._compute(node, new), ~changed
        changed[(slice(None), lines) if axis else lines] = True
        left, right = (self._get(v, new) for v in (a, b))
        factors = (
            (self._as_integers(a.serial, left), integers(right[:, lines]))
            if axis
            else (integers(left[lines]), self._as_integers(b.serial, right))
        )
        if any(f is None for f in factors):
            return self._compute(node, new), ~changed
        self.spent += operation_cost(node, int(changed.sum()))
        value = np.array(self.known[node.serial], object)
        value[changed] = matrix_product(*factors).reshape(-1)
        return value, changed

    def _get(self, node: Node, new: Mapping[int, Any]) -> Any:
        return new[node.serial] if node.serial in new else self.known[node.serial]

    def _as_integers(self, serial: int, array: Any) -> Any:
        if self.known.get(serial) is not array:
            return integers(array)
        if serial not in self._integers:
            self._integers[serial] = (array, integers(array))
        return self._integers[serial][1]


def _check_indices(node: Node, args: list[Any]) -> None:
    """An index outside the array is an error, as in a compiled call."""
    sizes = (node.attrs[0],) if node.op == "one_hot" else shape_of(node.args[0])
    indices = node.args if node.op == "one_hot" else node.args[1:]
    for index, value, size in zip(indices, args[len(args) - len(indices) :], sizes, strict=False):
        found, extent = int(value[()]), int(size)  # type: ignore[call-overload]
        if not 0 <= found < extent:
            what = f"argument {index.attrs[0]}" if index.op == "symbol" else "an index that is computed"
            raise ArgumentError(
                f"{what}: index {found} is out of range, expected 0 to {extent - 1}; check the labels or the "
                "number of classes"
            )


def _other(value: Any, old: Any) -> Any:
    """Which entries of an array are not the very objects of another."""
    if old is None or np.shape(old) != np.shape(value):
        return np.ones(np.shape(value), bool)
    return np.array(np.frompyfunc(operator.is_not, 2, 1)(value, old), bool)


def _magnitude(node: Node) -> int:
    """The binary digits that a constant has before the point."""
    if node.op != "constant":
        return 0
    value = sp.N(abs(node.attrs[0]), 15)._to_mpmath(53)  # type: ignore[arg-type]
    return max(0, int(mp.mag(value))) if mp.isfinite(value) and value else 0


class Trusted:
    """Values at a point at which more digits change nothing, with the change that was seen as their error."""

    def __init__(self, definitions: Definitions, inputs: Mapping[int, Any]) -> None:
        self.definitions = definitions
        self.inputs = dict(inputs)
        self._levels: dict[int, Exact] = {}
        self._settled: dict[tuple[int, ...], list[tuple[Any, Any]]] = {}
        self._more: int | None = None

    def give(self, node: Node, value: Any) -> None:
        """A value for one more node that nothing evaluated so far depends on."""
        self.inputs[node.serial] = value
        for digits, exact in self._levels.items():
            with mp.workdps(digits):
                exact.known[node.serial] = real_array(value)

    def at(self, digits: int) -> Exact:
        """The values at a number of digits, and at as many more as a constant has before the point where
        another number would be lost beside it: of x + 1e300."""
        if self._more is None:
            binary = max(map(_magnitude, self.definitions.table.nodes), default=0)
            self._more = int(binary * math.log10(2)) if binary > _LARGE else 0
        if digits not in self._levels:
            self._levels[digits] = Exact(self.definitions, self.inputs, digits + self._more)
        return self._levels[digits]

    def __call__(self, *roots: Node) -> list[tuple[Any, Any]]:
        """For each node (values, errors), `settled`."""
        key = tuple(root.serial for root in roots)
        if key not in self._settled:
            self._settled[key] = settled(lambda digits: self.at(digits)(*roots))
        return self._settled[key]


def settled(values: Callable[[int], Sequence[Any]]) -> list[tuple[Any, Any]]:
    """Arrays by their function of the digits, each with its error: at the first two levels that agree to 30
    digits, else at the last two.

    A zero may be a difference that cancels in all digits of both levels: it is looked at with more digits
    than any float can be small.
    """
    levels = list(LEVELS)
    below = values(levels.pop(0))
    while levels:
        digits = levels.pop(0)
        above = values(digits)
        with mp.workdps(digits):
            errors = [_difference(a, b) for a, b in zip(above, below, strict=True)]
            if all(_agree(np.asarray(a), e) for a, e in zip(above, errors, strict=True)):
                if digits >= _BELOW_FLOATS or not any(v == 0 for a in above for v in np.asarray(a).flat):
                    break
                levels = [_BELOW_FLOATS, LEVELS[-1]]
        below = above
    return list(zip(above, errors, strict=True))


def _difference(a: Any, b: Any) -> Any:
    def entry(x: Any, y: Any) -> Any:
        if x == y or (mp.isnan(x) and mp.isnan(y)):
            return mp.mpf(0)
        return abs(x - y) if mp.isfinite(x) and mp.isfinite(y) else mp.inf

    return np.array(np.frompyfunc(entry, 2, 1)(a, b), object)


def _agree(values: Any, errors: Any) -> bool:
    # entries that vanish beside the others are zero but for rounding: they need no further digits
    largest = max((abs(v) for v in values.flat if mp.isfinite(v)), default=mp.mpf(0))
    return all(
        e <= _AGREE * abs(v) or e <= _AGREE**2 * largest or not mp.isfinite(v)
        for v, e in zip(values.flat, errors.flat, strict=True)
    )


def real_array(value: Any) -> Any:
    """An array of `mpf`, each number taken as it is (a float is the binary number that it holds)."""
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        return array
    if array.dtype != object:
        array = array.astype(float)
    return np.array(np.frompyfunc(_real, 1, 1)(array), object)


def _real(value: Any) -> Any:
    if isinstance(value, sp.Basic):
        return mp.mpf(sp.N(value, mp.mp.dps + 5)._to_mpmath(mp.mp.prec))
    if isinstance(value, fractions.Fraction):
        return mp.mpf(value.numerator) / value.denominator
    return mp.mpf(value.item() if isinstance(value, np.generic) else value)


# -- matrix products -----------------------------------------------------------------------------------------


def integers(array: Any) -> tuple[Any, int] | None:
    """The entries as integers times one power of two, exactly; None where they are too far apart or not
    finite.
    """
    flat: list[tuple[int, int]] = []
    for value in np.asarray(array).flat:
        sign, mantissa, exponent, _ = (value if isinstance(value, mp.mpf) else mp.mpf(value))._mpf_
        if not mantissa and exponent:
            return None
        flat.append((-int(mantissa) if sign else int(mantissa), exponent))
    used = [(exponent, exponent + abs(m).bit_length()) for m, exponent in flat if m]
    low = min((e for e, _ in used), default=0)
    if max((e for _, e in used), default=0) - low > _SPAN:
        return None
    result = np.empty(len(flat), object)
    result[:] = [m << (e - low) if m else 0 for m, e in flat]
    return result.reshape(np.shape(array)), low


def matrix_product(a: tuple[Any, int], b: tuple[Any, int]) -> Any:
    """The product of matrices of integers, summed exactly and rounded once: faster than `mpf` by far."""
    product = np.asarray(a[0] @ b[0], object)
    exponent, precision = a[1] + b[1], mp.mp.prec
    make: Callable[[Any], Any] = mp.make_mpf
    return np.array(
        np.frompyfunc(lambda m: make(from_man_exp(m, exponent, precision, "n")), 1, 1)(product), object
    ).reshape(product.shape)
