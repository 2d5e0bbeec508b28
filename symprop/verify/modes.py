"""Reverse mode against forward mode in random directions, to second order.

Both modes take their local derivatives from the same rules, but nothing else is common: a missing path, a
wrong transpose, a wrong order of factors shows here, and so does a gradient that was derived by hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.differentiate import forward, reverse
from symprop.errors import UnsupportedExpressionError
from symprop.graph import Node, NodeTable
from symprop.verify.exact import BELOW_ALL, LEVELS, settled
from symprop.verify.naming import entry_name
from symprop.verify.problem import Point, Problem, evaluation_cost, shape_of
from symprop.verify.report import Row
from symprop.verify.slopes import STEP, slope

__all__ = ["direction_symbol", "mode_rows"]

_RELATIVE = (
    mp.mpf(10) ** -25
)  # agreement that two evaluations of one quantity must reach, beside their own errors
_MOST_MORE = 4000  # digits that an alarm is confirmed with, beyond the first
_SEPARATE = 16  # gradients that have a row each, whatever that costs
_DERIVING = 30  # forward evaluations whose cost must be affordable


def direction_symbol(table: NodeTable, like: Node, name: str) -> tuple[Node, Node]:
    """An input of the size of a node, and the node of the same shape made of it."""
    shape = shape_of(like)
    if not shape:
        scalar = table.symbol(sp.Dummy(name, real=True))
        return scalar, scalar
    # a name with a space is no name that a user can have written
    matrix = shape if len(shape) == 2 else (math.prod(shape), 1)
    symbol = table.symbol(sp.MatrixSymbol(f"{name} {len(table.nodes)}", *matrix))
    return symbol, table.reshape(symbol, shape)


def mode_rows(problem: Problem, notes: list[str], order: int = 2) -> list[Row]:
    """The rows of all gradients, to first or second order; what cannot be derived is noted."""
    table, wrt = problem.table, [g.wrt for g in problem.gradients]
    symbols, seeds = [], {}
    for node in wrt:
        symbol, seed = direction_symbol(table, node, "direction")
        symbols.append(symbol)
        seeds[node.serial] = seed
        for point in problem.points:
            point.trusted.give(symbol, np.zeros(shape_of(symbol)))
    try:
        tangent = forward.tangents(table, [problem.target], seeds)[problem.target.serial]
    except UnsupportedExpressionError as error:
        notes.append(f"forward mode: not derivable: {error}")
        return []
    tangent = tangent if tangent is not None else table.constant(0)
    random = np.random.default_rng([problem.seed, 7])
    vectors = [[random.standard_normal(shape_of(node)) for node in wrt] for _ in range(2)]
    rows = _first_order(problem, tangent, symbols, vectors[0])
    if order < 2:
        return rows
    forward_cost = evaluation_cost(problem.definitions, [problem.target])
    if _DERIVING * forward_cost * len(problem.points) > problem.budget:  # before a large graph is derived
        notes.append(
            f"second order: left out, a forward evaluation costs {forward_cost:.3g} ({problem.limit})"
        )
        return rows
    try:
        rows += _second_order(problem, tangent, symbols, seeds, vectors, notes)
    except UnsupportedExpressionError as error:
        notes.append(f"second order: not derivable: {error}")
    return rows


def _first_order(
    problem: Problem, tangent: Node, symbols: Sequence[Node], vectors: Sequence[Any]
) -> list[Row]:
    """A row for each gradient; one for all of them where there are more than the budget allows."""
    count = len(problem.gradients)
    cost = 2 * evaluation_cost(problem.definitions, [tangent]) * len(problem.points)
    separate = count <= _SEPARATE or count * cost <= problem.budget
    groups = [[k] for k in range(count)] if separate else [list(range(count))]
    names = [g.name for g in problem.gradients] if separate else [f"all {count} gradients"]
    rows: list[list[Row]] = [[] for _ in groups]
    for point in problem.points:
        values = problem.gradient_values(point)
        for candidates, name, members in zip(rows, names, groups, strict=True):
            parts = [_inner(*values[k], vectors[k]) for k in members]
            given = {s: v for k in members for s, v in _given(symbols[k], vectors[k]).items()}
            ((expected, change),) = _settled(point, given, tangent)
            found, bound = mp.fsum(p[0] for p in parts), mp.fsum(p[1] for p in parts)
            where = point.where("random direction")
            candidates.append(_row("forward mode", name, where, found, expected[()], bound + change[()]))
    return [row for row in map(_worst, rows) if row is not None]


def _second_order(
    problem: Problem,
    tangent: Node,
    symbols: Sequence[Node],
    seeds: Mapping[int, Node],
    vectors: Sequence[Sequence[Any]],
    notes: list[str],
) -> list[Row]:
    table, wrt = problem.table, [g.wrt for g in problem.gradients]
    gradients = [g.node for g in problem.gradients]
    found = forward.tangents(table, gradients, seeds)
    over_reverse = [_or_zero(table, found[g.serial], g) for g in gradients]
    adjoint = reverse.adjoints(table, tangent, wrt)
    over_forward = [_or_zero(table, adjoint[w.serial], w) for w in wrt]
    twice = _or_zero(table, forward.tangents(table, [tangent], seeds)[tangent.serial], tangent)
    cost = evaluation_cost(problem.definitions, [*over_reverse, *over_forward, twice])
    if 6 * cost * len(problem.points) > problem.budget:
        notes.append(f"second order: left out, an evaluation costs {cost:.3g} ({problem.limit})")
        return []
    rows: list[list[Row]] = [[] for _ in range(len(wrt) + 3)]
    for point in problem.points:
        given = [_all_given(symbols, v) for v in vectors]
        products = [_settled(point, changes, *over_reverse) for changes in given]
        expected = _settled(point, given[0], *over_forward)
        for k, gradient in enumerate(problem.gradients):
            rows[k].append(_entrywise(point, gradient.name, gradient.wrt, products[0][k], expected[k]))
        ways = []
        for hv, u in ((products[0], vectors[1]), (products[1], vectors[0])):
            parts = [_inner(value, error, v) for (value, error), v in zip(hv, u, strict=True)]
            ways.append((mp.fsum(p[0] for p in parts), mp.fsum(p[1] for p in parts)))
        target = problem.target_name
        bound = ways[0][1] + ways[1][1]
        rows[-3].append(
            _row("symmetry <Hu, v> = <Hv, u>", target, point.where(""), ways[0][0], ways[1][0], bound)
        )
        parts = [_inner(value, error, v) for (value, error), v in zip(products[0], vectors[0], strict=True)]
        ((second, change),) = _settled(point, given[0], twice)
        bound = change[()] + mp.fsum(p[1] for p in parts)
        rows[-2].append(
            _row(
                "forward mode twice",
                target,
                point.where("random direction"),
                mp.fsum(p[0] for p in parts),
                second[()],
                bound,
            )
        )
        rows[-1].append(_gradient_difference(problem, point, vectors, ways[0]))
    return [row for row in map(_worst, rows) if row is not None]


def _gradient_difference(problem: Problem, point: Point, vectors: Sequence[Sequence[Any]], found: Any) -> Row:
    """<H v, u> against a finite difference of the gradient: the derivatives of the rules themselves."""
    nodes = [g.node for g in problem.gradients]
    wrt = [g.wrt for g in problem.gradients]
    along, weights = vectors

    def move(t: Any, digits: int) -> dict[int, Any]:
        changes = {}
        with mp.workdps(digits):
            for w, v in zip(wrt, along, strict=True):
                base = np.array(point.trusted.at(digits)(w)[0], object)
                changes[w.serial] = base + t * _numbers(v, base.shape)
        return changes

    def phi(t: Any, digits: int) -> Any:
        exact, changes = point.trusted.at(digits), move(t, digits)
        with mp.workdps(digits):
            values = exact.changed(changes, *nodes)
            return mp.fsum(
                a * mp.mpf(float(b))
                for x, u in zip(values, weights, strict=True)
                for a, b in zip(np.broadcast_to(x, u.shape).flat, u.flat, strict=True)
            )

    def noise(digits: int) -> Any:
        low, high = phi(mp.mpf(0), digits), phi(mp.mpf(0), digits + 12)
        return 4 * abs(low - high) + abs(high) * mp.mpf(10) ** -digits

    size = abs(found[0])
    result = slope(phi, noise, size)
    if not abs(found[0] - result.value) <= found[1] + result.error + _RELATIVE * size and result.finite:
        # with as many digits as it takes to see so small a slope after cancellation, and a step in which no
        # number on the way changes by more than a small part of one
        small = int(min(-2 * mp.log10(size), _MOST_MORE)) if size and size < 1 else 0
        speed = problem.speed(point, move, nodes, STEP - 30, LEVELS[1])
        start = max(min(STEP - 30, -speed - 30), -4 * _MOST_MORE)
        digits = LEVELS[1] + small + (STEP - 30 - start) * 3 // 10
        result = slope(phi, noise, size, start=start, digits=digits)
    name, entry = problem.target_name, point.where("random direction")
    method = "finite differences of the gradient"
    if result.kink or not result.finite:
        note = "the gradient jumps or has a kink at the point: not compared"
        return Row(method=method, name=name, entry=entry, found=found[0], note=note)
    return _row(method, name, entry, found[0], result.value, found[1] + result.error)


# -- small parts ---------------------------------------------------------------------------------------------


def _settled(point: Point, changes: Mapping[int, Any], *nodes: Node) -> list[tuple[Any, Any]]:
    """Values with some nodes changed, and their errors."""
    found = settled(lambda digits: point.trusted.at(digits).changed(changes, *nodes))
    return [(np.asarray(value, object), error) for value, error in found]


def _numbers(values: Any, shape: tuple[int, ...]) -> Any:
    return np.array(np.frompyfunc(lambda v: mp.mpf(float(v)), 1, 1)(values), object).reshape(shape)


def _given(symbol: Node, values: Any) -> dict[int, Any]:
    return {symbol.serial: _numbers(values, shape_of(symbol))}


def _all_given(symbols: Sequence[Node], values: Sequence[Any]) -> dict[int, Any]:
    return {k: v for s, one in zip(symbols, values, strict=True) for k, v in _given(s, one).items()}


def _or_zero(table: NodeTable, node: Node | None, like: Node) -> Node:
    return table.full(0, like.shape) if node is None else node


def _inner(value: Any, error: Any, vector: Any) -> tuple[Any, Any]:
    """<value, vector> with a bound of its rounding error."""
    weights = [mp.mpf(float(v)) for v in np.asarray(vector).flat]
    shape = np.shape(vector)
    with mp.workdps(LEVELS[1]):
        terms = [a * b for a, b in zip(np.broadcast_to(value, shape).flat, weights, strict=True)]
        errors = [a * abs(b) for a, b in zip(np.broadcast_to(error, shape).flat, weights, strict=True)]
        return mp.fsum(terms), mp.fsum(errors) + _RELATIVE * mp.fsum(abs(t) for t in terms)


def _row(method: str, name: str, entry: str, found: Any, expected: Any, bound: Any) -> Row:
    if not mp.isfinite(expected) and (not mp.isfinite(found) or mp.isnan(expected)):
        what = "forward mode has no value here" if mp.isfinite(found) else "the derivative is not finite"
        return Row(method=method, name=name, entry=entry, found=found, note=f"{what}: not compared")
    with mp.workdps(LEVELS[1]):
        error = abs(found - expected)
        bound = bound + _RELATIVE * abs(expected)
    return Row(
        method=method,
        name=name,
        entry=entry,
        found=found,
        expected=expected,
        error=error,
        bound=bound,
        passed=bool(error <= max(bound, BELOW_ALL)),
    )


def _entrywise(point: Point, name: str, wrt: Node, found: Any, expected: Any) -> Row:
    """The worst entry of two arrays with their errors."""
    shape = shape_of(wrt)
    arrays = [list(np.broadcast_to(np.asarray(a, object), shape).flat) for a in (*found, *expected)]
    largest = max((abs(v) for v in arrays[2] if mp.isfinite(v)), default=mp.mpf(0))
    rows = []
    for flat, (a, e, b, f) in enumerate(zip(*arrays, strict=True)):
        bound = e + f + _RELATIVE**2 * largest
        rows.append(_row("second order", name, point.where(entry_name(shape, flat)), a, b, bound))
    return _worst(rows) or Row(method="second order", name=name)


def _worst(rows: Sequence[Row]) -> Row | None:
    return max(rows, key=lambda row: (not row.passed, row.margin), default=None)
