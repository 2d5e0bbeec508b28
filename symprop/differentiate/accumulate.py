"""Contributions to an adjoint or tangent: made by the chain rule, fitted to a shape, added once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import sympy as sp

from symprop.differentiate.cancelling import cancelled_logistic, cancelled_product, cancelled_sum
from symprop.errors import ShapeError
from symprop.graph import Node, NodeTable, Shape
from symprop.graph.nodes import constant_value

__all__ = ["Contributions", "Guards", "add_terms", "fit", "is_zero", "times_partial"]

_SPLIT = frozenset({"constant", "mul"})  # factors of scalars that are looked into
_SHORT = 8  # terms of a sum that is looked into
_FINITE = frozenset(("symbol", "constant", "eye", "one_hot", "sign"))
# operations whose values are finite wherever their arguments are; powers are looked at one by one
_SMOOTH = {"sin", "cos", "tanh", "atan", "asinh", "cbrt", "erf", "erfc", "normal_cdf", "sigmoid", "softmax"}
_PIECEWISE = {"select", "maximum", "minimum", "abs", "floor", "ceiling", "relu", "leaky_relu", "softplus"}
_CONDITIONS = {"less", "less_equal", "equal", "not_equal", "and", "or", "not"}
_MOVING = {"add", "mul", "index", "transpose", "reshape", "broadcast"}
_FINITE_OF_FINITE = frozenset(_SMOOTH | _PIECEWISE | _CONDITIONS | _MOVING)


def is_finite(node: Node, depth: int = 4) -> bool:
    """True where a glance shows that the value is finite for all finite inputs."""
    if node.op in _FINITE:
        return True
    if depth and node.op in _FINITE_OF_FINITE:
        return all(arg.op in _FINITE or is_finite(arg, depth - 1) for arg in node.args)
    if depth and node.op == "pow":
        power = constant_value(node.args[1])
        return power is not None and bool(power.is_positive) and is_finite(node.args[0], depth - 1)
    return False


def is_zero(node: Node) -> bool:
    """True for the constant zero in every entry."""
    value = constant_value(node)
    return value is not None and (value is sp.S.Zero or bool(value.is_Float and value == 0))


def mask_of(node: Node) -> tuple[Node, Node, bool] | None:
    """(condition, value, True) of select(condition, value, 0), with False of select(condition, 0, value)."""
    if node.op == "select":
        condition, yes, no = node.args
        if is_zero(no):
            return condition, yes, True
        if is_zero(yes):
            return condition, no, False
    return None


class Guards:
    """Conditions outside of which an adjoint is zero, by its serial number.

    A masked adjoint times a derivative that is infinite or NaN where the branch is not taken must be zero
    there: such a product is masked again. All other products are written as they are.
    """

    def __init__(self, table: NodeTable) -> None:
        self._table = table
        self._known: dict[int, Node] = {}
        self._finite: dict[int, bool] = {}

    def of(self, adjoint: Node) -> Node | None:
        """The condition without which the adjoint is zero, None where there is none."""
        known = self._known.get(adjoint.serial)
        if known is None:
            mask = mask_of(adjoint)
            if mask is not None:
                known = mask[0] if mask[2] else self._table.call("not", mask[0])
        return known

    def product(self, upstream: Node, partial: Node) -> Node:
        """`upstream * partial` in the form that a person would write: a partial of one gives the upstream
        itself, a mask `select(c, 1, 0)` gives `select(c, upstream, 0)`.
        """
        if partial.op == "constant" and partial.attrs[0] is sp.S.One:
            return upstream
        table, guard = self._table, self.of(upstream)
        mask = mask_of(partial)
        if mask is None and guard is None:
            return self._times(upstream, partial)
        condition, outer = None, mask_of(upstream)
        if outer is not None and constant_value(outer[1]) is not None:  # a number is no work to repeat
            result = self._masked(outer, self.product(outer[1], partial))
        elif mask is not None:
            condition = mask[0] if mask[2] else table.call("not", mask[0])
            result = upstream if constant_value(mask[1]) is sp.S.One else self.product(upstream, mask[1])
            result = self._masked(mask, result)
        elif guard is None or self._is_finite(partial):
            result = self._times(upstream, partial)
        else:
            zero = table.constant(0)
            if outer is not None and not outer[2] and guard.op == "not" and guard.args[0] is outer[0]:
                result = table.select(outer[0], zero, self._times(outer[1], partial))
            else:
                inner = outer[1] if outer is not None and outer[2] and outer[0] is guard else upstream
                result = table.select(guard, self._times(inner, partial), zero)
        result = table.broadcast(result, upstream.shape or partial.shape)
        if condition is not None and guard is not None:
            guard = table.call("and", guard, condition) if guard is not condition else guard
        self.note(result, condition if guard is None else guard)
        return result

    def _masked(self, mask: tuple[Node, Node, bool], value: Node) -> Node:
        """The value where the mask lets it through; of two masks one, as long as a number stands within."""
        table, zero = self._table, self._table.constant(0)
        inner = mask_of(value)
        if inner is not None and constant_value(inner[1]) is not None:
            conditions = [c if taken else table.call("not", c) for c, _, taken in (inner, mask)]
            return table.select(table.call("and", *conditions), inner[1], zero)
        return table.select(mask[0], *((value, zero) if mask[2] else (zero, value)))

    def _is_finite(self, partial: Node) -> bool:
        known = self._finite.get(partial.serial)
        if known is None:
            known = self._finite[partial.serial] = is_finite(partial)
        return known

    def _times(self, upstream: Node, partial: Node) -> Node:
        """The product; an upstream 2*u stays together, as it may have a name, unless both have a number."""
        for rule in (cancelled_product, cancelled_sum, cancelled_logistic):
            rest = rule(self._table, upstream, partial)
            if rest is not None:
                return rest
        if upstream.op != "mul" or partial.op in ("constant", "broadcast") or _number(partial) is not None:
            return self._table.mul(upstream, partial)
        return self._table.broadcast(
            self._table.make("mul", (upstream, partial)), upstream.shape or partial.shape
        )

    def note(self, adjoint: Node, guard: Node | None) -> None:
        """Enters that the adjoint is zero where the guard does not hold."""
        if guard is not None and guard.shape in ((), adjoint.shape) and adjoint.op != "constant":
            self._known.setdefault(adjoint.serial, guard)

    def note_sum(self, result: Node, terms: Sequence[Node]) -> None:
        """A sum is zero where none of the conditions of its terms holds."""
        guards: dict[int, Node] = {}
        for term in terms:
            guard = self.of(term)
            if guard is None:
                return
            guards[guard.serial] = guard
        if result.serial in self._known or not guards:
            return
        distinct = list(guards.values())
        either = distinct[0]
        for guard in distinct[1:]:
            either = self._table.call("or", either, guard)
        self.note(result, either)


def _number(node: Node) -> sp.Expr | None:
    """The number in front of a product."""
    front = node.args[0] if node.op == "mul" else node
    return front.attrs[0] if front.op == "constant" else None


def times_partial(table: NodeTable, tangent: Node, partial: Node) -> Node:
    """`tangent * partial`, masks of the partial outside the product."""
    return Guards(table).product(tangent, partial)


def total(table: NodeTable, node: Node) -> Node:
    """The sum of all entries; repeated entries are counted, scalar factors and masks stay outside the sum."""
    factors: list[Node] = []
    masks: list[tuple[Node, bool]] = []
    while node.shape:
        if node.op == "broadcast" and not node.args[0].shape and all(isinstance(d, int) for d in node.shape):
            size = 1
            for d in node.shape:
                size *= int(d)
            factors.append(table.constant(size))
            node = node.args[0]
        elif (mask := mask_of(node)) is not None and not mask[0].shape:
            masks.append((mask[0], mask[2]))
            node = table.broadcast(mask[1], node.shape)
        elif node.op == "mul" and any(not a.shape for a in node.args):
            factors.extend(a for a in node.args if not a.shape)
            node = table.mul(*[a for a in node.args if a.shape])
        elif node.op == "mul" and len(node.args) == 2 and any(_is_identity(a) for a in node.args):
            node = table.trace(node.args[1] if _is_identity(node.args[0]) else node.args[0])
        elif len(node.shape) == 2 and node.shape[0] == 1 != node.shape[1] and node.op == "mul":
            column = table.transpose(node, free=True)  # rows and columns as one form
            node = table.sum(node if column.op == "transpose" else column)
        else:
            node = table.sum(node)
    result = table.mul(*factors, node) if factors else node
    for condition, taken in reversed(masks):
        zero = table.constant(0)
        result = table.select(condition, *((result, zero) if taken else (zero, result)))
    return result


def _is_identity(node: Node) -> bool:
    return node.op == "eye" and node.shape[0] == node.shape[1]


def fit(table: NodeTable, contribution: Node, shape: Shape) -> Node:
    """A contribution of the shape of the node in the shape of its argument: for a scalar it is added up."""
    if contribution.shape == shape:
        return contribution
    if not shape:
        return total(table, contribution)
    if not contribution.shape:
        return table.broadcast(contribution, shape)
    raise ShapeError(f"a derivative rule gave shape {contribution.shape} for an argument of shape {shape}")


def add_terms(table: NodeTable, terms: Sequence[Node]) -> Node | None:
    """The sum of terms of one shape, equal terms collected; None where everything cancels.

    u + u --> 2*u;   3*u - 2*u --> u;   select(c, u, 0) + select(c, 0, v) --> select(c, u, v)
    """
    if len(terms) == 1:
        return terms[0]
    if any(term.op == "select" for term in terms):
        terms = _merge_choices(table, terms)
        if len(terms) == 1:
            return terms[0]
    return _collect(table, terms)


def _collect(table: NodeTable, terms: Sequence[Node]) -> Node | None:
    """The sum, multiples of one term added up."""
    repeated = {t.serial: t for t in terms}
    if len(repeated) < len(terms):  # a sum that comes twice stays together
        counted = Counter(t.serial for t in terms)
        terms = [
            t if counted[t.serial] == 1 else _multiple(table, counted[t.serial], t) for t in repeated.values()
        ]
        if len(terms) == 1:
            return terms[0]
    if _are_unlike(terms):
        return table.add(*terms)
    known: dict[int, tuple[Any, Hashable]] = {}

    def split(term: Node) -> tuple[Any, Hashable]:
        found = known.get(term.serial)
        if found is None:
            found = known[term.serial] = _split(term)
        return found

    if any(term.op == "add" for term in terms):
        opened = _opened(terms, split)
        distinct = len({split(term)[1] for term in opened})
        if distinct <= len(terms) or (opened[0].shape and distinct < len(opened)):
            terms = opened  # else sums that are there already serve better
    counts: dict[Hashable, Any] = {}
    shortest: dict[Hashable, tuple[Any, Node]] = {}  # a term for each key, with the number in front of it
    for term in terms:
        number, key = split(term)
        if key not in counts:
            counts[key] = number
            shortest[key] = (number, term)
        else:
            counts[key] = counts[key] + number
            kept, other = shortest[key]
            if (number != 1, _turns(term)) < (kept != 1, _turns(other)):
                shortest[key] = (number, term)
    if len(counts) == len(terms):
        added = table.add(*terms)
        return None if is_zero(added) else added
    parts: list[Node] = []
    for key, total_number in counts.items():
        number, term = shortest[key]
        if total_number != 0:
            if number != 1 and term.op == "matmul":  # the numbers that stand inside would meet that in front
                bare = _without_numbers(table, term)
                left, same = _split(bare)
                if same == key:
                    term, number = bare, left
            ratio = sp.sympify(total_number) / number
            parts.append(table.broadcast(table.mul(table.constant(ratio), term), term.shape))
    return table.add(*parts) if parts else None


def _are_unlike(terms: Sequence[Node]) -> bool:
    """True where a look shows that no term is a multiple of another, nor the terms of the sums among them:
    scalars without numbers in front are equal only where they are the same node.
    """
    seen: set[int] = set()
    count = 0
    for term in terms:
        if term.shape:
            return False
        for part in _parts(term):
            if part.op in _SPLIT and not (part.op == "mul" and _SPLIT.isdisjoint([a.op for a in part.args])):
                return False
            seen.add(part.serial)
            count += 1
    return len(seen) == count


def _multiple(table: NodeTable, count: int, term: Node) -> Node:
    """count * term; the terms of a sum in it are divided by less: 2*(A/2 - B/2)*X --> (A - B)*X"""
    parts = term.args if term.op == "matmul" else (term,)
    for k, part in enumerate(parts):
        numbers = [_number(t) for t in part.args] if part.op == "add" else []
        below = [n.q for n in numbers if n is not None and n.is_Rational]
        if len(below) == len(numbers) and max(below, default=1) > 1 and not any(count % q for q in below):
            whole = table.add(*[table.mul(table.constant(count), t) for t in part.args])
            if part is term:
                return whole
            return table.matmul(whole, parts[1]) if k == 0 else table.matmul(parts[0], whole)
    return table.broadcast(table.mul(table.constant(count), term), term.shape)


def _opened(terms: Sequence[Node], split: Callable[[Node], tuple[Any, Hashable]]) -> list[Node]:
    """The terms, where a sum among them that shares a term with the others is replaced by its terms."""
    seen: dict[Hashable, int] = {}
    parts = [_parts(term) for term in terms]
    for own in parts:
        for key in {split(part)[1] for part in own}:
            seen[key] = seen.get(key, 0) + 1
    result: list[Node] = []
    for term, own in zip(terms, parts, strict=True):
        shared = len(own) > 1 and any(seen[split(part)[1]] > 1 for part in own)
        result.extend(own if shared else [term])
    return result


def _parts(term: Node) -> Sequence[Node]:
    """The terms of a short sum, all of its shape; any other node alone."""
    whole = term.op == "add" and len(term.args) <= _SHORT and all(a.shape == term.shape for a in term.args)
    return term.args if whole else (term,)


Factor = tuple[int, bool, bool]  # the serial number of a matrix; whether it is transposed, inverted


def _split(term: Node) -> tuple[Any, Hashable]:
    """The number in front of a product, and a key that is equal for equal products.

    Numbers and scalars count in any order and wherever they stand, the factors of matrix products in their
    order, however they are bracketed.
    """
    if term.op not in ("mul", "matmul") and not _is_turned_product(term):
        return 1, ((_factor(term, False),),)
    if not term.shape and _SPLIT.isdisjoint([a.op for a in term.args]):  # the usual product of scalars
        return 1, tuple([((a.serial, False, False),) for a in term.args])  # whose factors are in order
    number: Any = 1
    key: list[tuple[Factor, ...]] = []
    todo = [term]
    while todo:
        factor = todo.pop()
        if factor.op == "constant":
            number = factor.attrs[0] * number
        elif factor.op == "mul" and (factor is term or factor.args[0].op == "constant"):
            todo += factor.args
        elif factor.op == "matmul" or _is_turned_product(factor):
            chain, scalars = _unbracketed(factor)
            key.append(chain)
            todo += scalars
        else:
            key.append((_factor(factor, False),))
    return number, tuple(sorted(key))


def _is_turned_product(node: Node) -> bool:
    return node.op == "transpose" and node.args[0].op in ("matmul", "mul")


def _unbracketed(node: Node, most: int = 12) -> tuple[tuple[Factor, ...], list[Node]]:
    """The factors of a matrix product of matrix products, of a few at most, and the scalars that stand among
    them.
    """
    factors, scalars, k = [(node, False)], [], 0
    while k < len(factors) <= most:
        factor, turned = factors[k]
        if factor.op == "matmul":
            inner = [(a, turned) for a in factor.args]
            factors[k : k + 1] = inner[::-1] if turned else inner
            continue
        if factor.op == "transpose" and len(factor.shape) == 2:
            factors[k] = factor.args[0], not turned
            continue
        if factor.op == "mul":
            matrices = [a for a in factor.args if a.shape]
            if len(matrices) == 1:
                scalars += [a for a in factor.args if not a.shape]
                factors[k] = matrices[0], turned
                continue
        k += 1
    kept: list[Factor] = []
    for f, turned in factors:
        serial, turns, inverted = found = _factor(f, turned)
        if kept and kept[-1] == (serial, turns, not inverted):
            kept.pop()  # A*A**-1
        else:
            kept.append(found)
    return tuple(kept), scalars


def _turns(term: Node, most: int = 24) -> int:
    """How many transposes are written in a product."""
    count, todo, steps = 0, [term], 0
    while todo and steps < most:
        node = todo.pop()
        steps += 1
        count += node.op == "transpose"
        if node.op in ("matmul", "transpose", "mul"):
            todo += node.args
    return count


def _factor(node: Node, turned: bool) -> Factor:
    if node.op == "transpose" and len(node.shape) == 2:
        node, turned = node.args[0], not turned
    inverted = node.op == "inverse"
    if inverted:
        node = node.args[0]
        if node.op == "transpose":
            node, turned = node.args[0], not turned
    return node.serial, turned, inverted


def _without_numbers(table: NodeTable, product: Node) -> Node:
    """A matrix product without the numbers among its factors."""
    done: dict[int, Node] = {}
    todo = [product]
    while todo:
        node = todo[-1]
        missing = [a for a in node.args if a.serial not in done] if node.op == "matmul" else []
        if missing:
            todo += missing
            continue
        todo.pop()
        if node.op == "matmul":
            done[node.serial] = table.matmul(*[done[a.serial] for a in node.args])
        elif node.op == "mul" and len(matrices := [a for a in node.args if a.shape]) == 1:
            inner = matrices[0]
            if inner.op in ("matmul", "mul") and inner.serial not in done:
                todo += [node, inner]
                continue
            scalars = [a for a in node.args if not a.shape and a.op != "constant"]
            done[node.serial] = table.mul(*scalars, done.get(inner.serial, inner))
        else:
            done[node.serial] = node
    return done[product.serial]


def _merge_choices(table: NodeTable, terms: Sequence[Node]) -> list[Node]:
    """Masked terms under one condition become one choice, in the place of the first."""
    shape = terms[0].shape
    result: list[Node | None] = []
    chosen: dict[int, tuple[int, Node, list[Node], list[Node]]] = {}
    for term in terms:
        if mask_of(term) is not None:
            condition, yes, no = term.args
            if condition.serial not in chosen:
                chosen[condition.serial] = (len(result), condition, [], [])
                result.append(None)
            for branch, value in zip(chosen[condition.serial][2:], (yes, no), strict=True):
                if not is_zero(value):
                    branch.append(value)
        else:
            result.append(term)
    for place, condition, yes_terms, no_terms in chosen.values():
        branches = [(_collect(table, v) if v else None) or table.constant(0) for v in (yes_terms, no_terms)]
        result[place] = table.select(condition, branches[0], branches[1], shape)
    return [term for term in result if term is not None]


class Contributions:
    """What flows back into one node, until it is added up: whole values, single entries, blocks."""

    __slots__ = ("blocks", "entries", "whole")

    def __init__(self, whole: Iterable[Node] = ()) -> None:
        self.whole = list(whole)
        self.entries: dict[tuple[int, ...], list[Node]] = {}
        self.blocks: dict[tuple[int, ...], dict[Shape, list[Node]]] = {}

    def block(self, starts: tuple[int, ...], value: Node) -> None:
        """Adds to the block of the shape of `value` that begins at `starts`."""
        self.blocks.setdefault(starts, {}).setdefault(value.shape, []).append(value)

    def sum(self, table: NodeTable, shape: Shape) -> Node | None:
        """The adjoint: all entries in one `place`, a `pad` for each block, the whole values, added once."""
        if not self.entries and not self.blocks:
            return add_terms(table, self.whole)
        terms = list(self.whole)
        for starts, by_shape in sorted(self.blocks.items()):
            for values in by_shape.values():
                value = add_terms(table, values)
                if value is not None:
                    terms.append(table.make("pad", (value,), (shape, starts)))
        entries = {p: add_terms(table, values) for p, values in sorted(self.entries.items())}
        placed = {p: v for p, v in entries.items() if v is not None}
        if placed:
            terms.append(table.make("place", tuple(placed.values()), (shape, tuple(placed))))
        return add_terms(table, terms) if terms else None
