"""Values that scale with exponentials: softmax, its logarithms and their derivatives, in any writing.

With `e = exp(z)` of an array and m its largest exponent, `e` is `exp(m)` times `exp(z - m)`, a value of
weight one. Sums, products, powers, entries and reductions of such values have a weight too: that of
`sum(e)**-2*e` is -1. Where the weights of a product add up to zero, all of its exponentials may be taken by
exp(-m), and none of them overflows; the logarithm of a value of weight w is w*m more than that of the value
so taken. One traversal finds the weights, and makes the other values from where they start to where they end.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from symprop.graph import OPERATIONS, Node
from symprop.rewrite.context import Context, Number
from symprop.rewrite.log_sums import entry_of
from symprop.rewrite.rules.exponentials import is_already_shifted, shifted_array

__all__ = ["without_common_factors"]

_VIEWS = frozenset({"index", "take", "slice", "reshape", "transpose"})
# what keeps the weight of its only argument that counts, where the shift is one number
_LINEAR = _VIEWS | {"sum", "broadcast", "pad", "diag", "diagonal", "trace"}
WIDEST = 8  # arguments of a function of entries
_SAME = frozenset({"add", "abs", "maximum", "minimum"})  # of values of one weight


@dataclass(frozen=True)
class _Group:
    """The exponentials of one array, taken by the largest of those that one sum adds up."""

    z: Node
    sum_node: Node  # over all entries, or along rows or columns

    @property
    def is_whole(self) -> bool:
        return not self.sum_node.shape


# group -> weight, groups of weight zero left out; twice the number of the group, and one more for the values
# of rows or columns that are transposed
Weights = dict[int, Number]


def without_common_factors(context: Context, roots: Sequence[Node]) -> list[Node]:
    """The roots with every value of weight zero, and every logarithm, made of exponentials that are at most
    one."""
    order, present = context.order(roots)
    if "exp" not in present or present.isdisjoint({"sum", "add", "matmul"}):
        return list(roots)
    groups = _groups(order, context)
    return _Scaled(context, order, groups).run(roots) if groups else list(roots)


def _groups(order: Sequence[Node], context: Context) -> list[_Group]:
    """One for each array whose exponentials are summed; where they are summed in several ways, the first."""
    found: dict[int, _Group] = {}
    arrays = {node.args[0].serial: node for node in order if node.op == "exp" and node.shape}
    for node in order if arrays else ():
        for z, attrs in _summed(node, context):
            if z.serial in arrays and z.serial not in found and not is_already_shifted(z):
                total = context.table.make("sum", (arrays[z.serial],), attrs)
                found[z.serial] = _Group(z, total)
    return list(found.values())


def _summed(node: Node, context: Context) -> list[tuple[Node, tuple[Hashable, ...]]]:
    """The exponents of what a node adds up, with the axes of the sum."""
    if node.op == "sum":
        if node.shape and not node.attrs[1]:
            return []
        (inner,) = node.args
        return [
            (f.args[0], node.attrs) for f in (inner.args if inner.op == "mul" else (inner,)) if f.op == "exp"
        ]
    z: list[Node] = []
    if node.op == "add" and not node.shape:
        whole = _added_entries(node, context)
        z = [] if whole is None else [whole]
    elif node.op == "matmul" and node.shape == (1, 1):
        factors = [a.args[0] if a.op == "transpose" else a for a in node.args]
        z = [f.args[0] for f in factors if f.op == "exp"]
    return [(x, (tuple(range(len(x.shape))), False)) for x in z]


def _added_entries(total: Node, context: Context) -> Node | None:
    """The array that all terms of a sum are exponentials of entries of."""
    if len(total.args) < 2 or any(a.op != "exp" for a in total.args):
        return None
    wholes = [_unviewed(a.args[0], context) for a in total.args]
    return wholes[0] if all(w is wholes[0] for w in wholes) else None


class _Scaled:
    """The weights of all nodes, and what they are when taken by their weight."""

    def __init__(self, context: Context, order: Sequence[Node], groups: Sequence[_Group]) -> None:
        self.context, self.table = context, context.table
        self.order, self.groups = order, groups
        self.by_array = {g.z.serial: k for k, g in enumerate(groups)}
        self.weights: dict[int, Weights] = {}
        self.tops: dict[int, Node] = {}  # largest exponent of each group
        self.powers: dict[int, Node] = {}  # and exp(z - m)
        self.taken: dict[int, Node] = {}  # by serial number: the value by its weight
        self.done: dict[int, Node] = {}

    def run(self, roots: Sequence[Node]) -> list[Node]:
        for node in self.order:
            found = self._weight(node)
            if found is not None:
                self.weights[node.serial] = found
        for node in self.order:
            self.done[node.serial] = self._made(node)
        return [self.done[r.serial] for r in roots]

    # -- weights -----------------------------------------------------------------------------------------

    def _weight(self, node: Node) -> Weights | None:
        """The weights, {} for a value of weight zero that is made of others; None for all else."""
        if node.op == "exp":
            k = self._group_of(node.args[0])
            return None if k is None else {2 * k: 1}
        weights = self.weights
        if not any(a.serial in weights for a in node.args):
            return None
        own = self._below(node)
        if not any(own):  # nothing but finished values below
            return None
        if node.op == "mul":
            return _added(own)
        if node.op == "matmul":
            return _added(own) if self._are_whole(own) else None
        if node.op == "pow":
            power = self.context.number(node.args[1])
            return None if power is None else {k: w * power for k, w in own[0].items()}
        if node.op == "select":
            own = own[1:]
        if node.op in _SAME or node.op == "select" or (node.op == "place" and self._are_whole(own)):
            return own[0] if all(w == own[0] for w in own) else None
        if node.op == "transpose" and node.attrs[0] == (1, 0):
            return {k if self.groups[k // 2].is_whole else k ^ 1: w for k, w in own[0].items()}
        if node.op in _LINEAR and (self._are_whole(own[:1]) or self._is_along(node, own[0])):
            return own[0]
        return None

    def _group_of(self, x: Node) -> int | None:
        """The group of x, or of the array of which x is an entry."""
        k = self.by_array.get(x.serial)
        if k is not None:
            return k
        whole = _unviewed(x, self.context)
        k = None if whole is None else self.by_array.get(whole.serial)
        return k if k is not None and self.groups[k].is_whole else None

    def _are_whole(self, own: Sequence[Weights]) -> bool:
        return all(self.groups[k // 2].is_whole for w in own for k in w)

    def _is_along(self, node: Node, own: Weights) -> bool:
        """True for a sum over the axes of the sum of its group, and for what repeats that."""
        shapes = {(g.z.shape, g.sum_node.shape, k % 2) for k in own for g in [self.groups[k // 2]]}
        if len(shapes) != 1:
            return False
        whole, reduced, turned = shapes.pop()
        if turned:
            whole, reduced = whole[::-1], reduced[::-1]
        inner = node.args[0].shape
        if node.op == "broadcast":
            return inner == reduced and node.shape == whole
        return node.op == "sum" and inner == whole and node.shape == reduced

    # -- values ------------------------------------------------------------------------------------------

    def _made(self, node: Node) -> Node:
        """The node anew: from the taken values where its weight is zero."""
        found = self.weights.get(node.serial)
        if found is not None and not found:
            made = self._taken(node)
            if made is not node:
                self._fire("softmax" if self._are_whole(self._below(node)) else "softmax of rows or columns")
            return made
        if node.op == "log" and self.weights.get(node.args[0].serial) and not self._has_own(node.args[0]):
            return self._logarithm(node, self.weights[node.args[0].serial])
        args = [self.done[a.serial] for a in node.args]
        if all(a is b for a, b in zip(args, node.args, strict=True)):
            return node
        return self.table.make(node.op, args, node.attrs)

    def _has_own(self, x: Node) -> bool:
        """True for a product with an exponential of something else: its logarithm is taken first."""
        return x.op == "mul" and any(a.op == "exp" and a.serial not in self.weights for a in x.args)

    def _below(self, node: Node) -> list[Weights]:
        return [self.weights.get(a.serial) or {} for a in node.args]

    def _fire(self, name: str) -> None:
        self.context.fired[name] += 1

    def _logarithm(self, node: Node, weights: Weights) -> Node:
        t = self.table
        self._fire("log of a sum of exponentials")
        terms = []
        for k, w in weights.items():
            self._start(k // 2)
            top = self.tops[k // 2]
            top = t.transpose(top) if k % 2 else top
            top = self.context.times(w, (top,)) if w != 1 else top
            terms.append(t.broadcast(top, node.shape))
        rest = t.make("log", (self._taken(node.args[0]),))
        return t.make("add", (*terms, rest))

    def _start(self, k: int) -> None:
        if k not in self.tops:
            group = self.groups[k]
            self.tops[k], self.powers[k] = shifted_array(group.z, group.sum_node, self.context)

    def _taken(self, last: Node) -> Node:
        """The value by its weight, made of those below it on a stack."""
        todo = [last]
        while todo:
            node = todo[-1]
            if node.serial in self.taken:
                todo.pop()
                continue
            found = self.weights.get(node.serial)
            if found is None:
                self.taken[node.serial] = self.done[node.serial]
                continue
            if node.op == "exp":
                self.taken[node.serial] = self._power(node)
                continue
            missing = [a for a in node.args if a.serial not in self.taken]
            if missing:
                todo.extend(missing)
                continue
            args = [self.taken[a.serial] for a in node.args]
            same = all(a is b for a, b in zip(args, node.args, strict=True))
            self.taken[node.serial] = node if same else self.table.make(node.op, args, node.attrs)
        return self.taken[last.serial]

    def _power(self, node: Node) -> Node:
        k = self._group_of(node.args[0])
        assert k is not None
        self._start(k)
        x, powers = node.args[0], self.powers[k]
        if x is self.groups[k].z:
            return powers
        view = x if x.op in _VIEWS else next(a for a in x.args if a.op in _VIEWS)
        return entry_of(powers, view, self.table)


def _added(weights: Sequence[Weights]) -> Weights:
    total: Weights = {}
    for w in weights:
        for k, by in w.items():
            total[k] = total.get(k, 0) + by
    return {k: w for k, w in total.items() if w}


# -- entries of an array -----------------------------------------------------------------------------------


def _unviewed(x: Node, context: Context) -> Node | None:
    """The array of which x is an entry or a part, where it has been made; also of x = c*entry."""
    if x.op in _VIEWS:
        return x.args[0]
    if not OPERATIONS[x.op].elementwise or len(x.args) > WIDEST:
        return None
    views = [a for a in x.args if a.op in _VIEWS]
    if not views or any((a.op, a.args[1:], a.attrs) != _view(views[0]) for a in views):
        return None
    return context.table.find(x.op, [a.args[0] if a.op in _VIEWS else a for a in x.args], x.attrs)


def _view(x: Node) -> tuple[str, tuple[Node, ...], tuple[Hashable, ...]]:
    return x.op, x.args[1:], x.attrs
