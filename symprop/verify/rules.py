"""The derivative rule of every operation of a graph against finite differences of the operation itself.

A wrong gradient has a wrong rule behind it, or a wrong path: these rows tell which, and name the operation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.differentiate.accumulate import fit
from symprop.errors import UnsupportedExpressionError
from symprop.graph import OPERATIONS, Node, NodeTable
from symprop.graph.nodes import constant_value
from symprop.verify.differences import Check, Plan, difference_rows, run_checks
from symprop.verify.exact import BELOW_ALL, Definitions, Trusted
from symprop.verify.modes import direction_symbol
from symprop.verify.naming import entry_name
from symprop.verify.problem import Gradient, Point, Problem, evaluation_cost, shape_of
from symprop.verify.report import Row

__all__ = ["rule_rows"]

_ENTRIES = 6  # of an elementwise operation, at each node
_NODES = 3  # nodes of one operation
_MOST = 200  # of them, where the one to blame for a wrong gradient is looked for
_SHARE = 0.1  # of the budget that a single node may cost


@dataclass(frozen=True)
class _Case:
    """An operation by itself at one point: a small table with symbols for the arguments."""

    table: NodeTable
    node: Node
    inputs: dict[int, Any]
    args: tuple[Node, ...]
    place: str


def rule_rows(problem: Problem, every: bool = False) -> list[Row]:
    """A row for each operation and mode: the worst of its arguments, at some nodes and entries (at nearly all
    with `every`).
    """
    by_operation: dict[tuple[Any, ...], list[Node]] = {}
    for node in _differentiated(problem):
        if node.kind == "real" and node.args:
            detail = node.attrs if node.op in ("user", "user_formula") else ()
            by_operation.setdefault((node.op, *detail), []).append(node)
    rows = []
    for nodes in by_operation.values():
        chosen = _spread(nodes, _MOST if every else _NODES)
        found: list[Row] = []
        for node in chosen:
            found += _rows_of_node(problem, node, every)
        for method in dict.fromkeys(row.method for row in found):
            mine = [row for row in found if row.method == method]
            rows.append(max(mine, key=lambda row: (not row.passed, row.margin)))
    return rows


def _differentiated(problem: Problem) -> list[Node]:
    """The nodes whose rules are used, in order: a composite operation without a rule stands for its
    definition.
    """
    done: dict[int, Node] = {}
    todo = [(problem.target, False)]
    while todo:
        node, ready = todo.pop()
        if node.serial in done:
            continue
        declared = OPERATIONS[node.op]
        has_rule = declared.partials is not None or declared.vjp is not None
        definition = None if has_rule else problem.definitions.definition(node)
        if ready:
            if has_rule:
                done[node.serial] = node
        else:
            todo.append((node, True))
            todo.extend((a, False) for a in (node.args if definition is None else (definition,)))
    return list(done.values())


def _spread(nodes: Sequence[Node], count: int) -> list[Node]:
    if len(nodes) <= count:
        return list(nodes)
    return [nodes[round(k * (len(nodes) - 1) / (count - 1))] for k in range(count)]


def _rows_of_node(problem: Problem, node: Node, every: bool) -> Iterator[Row]:
    for point in problem.points[: None if every else 2]:
        if OPERATIONS[node.op].elementwise:
            cases = list(_entries(node, point, problem.seed, 10**6 if every else _ENTRIES))
        else:
            cases = [_whole(node, point)]
        for case in cases:
            for method, local in _derivatives(case, problem):
                if evaluation_cost(local.definitions, [local.target]) > _SHARE * problem.budget:
                    continue
                random = np.random.default_rng([problem.seed, 3])
                plans = [
                    Plan((0,), (), "")
                    if not g.wrt.shape
                    else Plan((), (random.standard_normal(shape_of(g.wrt)),), "")
                    for g in local.gradients
                ]
                checks = [check for check in run_checks(local, plans) if _tells(check)]
                for row in difference_rows(local, plans, checks):
                    # name and place are those of the graph that the user knows
                    entry = f"argument {row.name}" if len(case.args) > 1 else ""
                    where = point.where(f"{problem.name_of(node)}{case.place} {entry}".strip())
                    note = "" if row.passed else row.note
                    yield replace(row, method=method, name=_operation_name(node), entry=where, note=note)


def _tells(check: Check) -> bool:
    """Whether a check of a rule by itself says anything: an operation that has no value, or neither a slope
    nor a convention at the point (the angle of the origin), may be hidden by a choice that is not taken.
    """
    if not check.slope.finite:
        return False
    return not (mp.isnan(check.found) and (mp.isinf(check.low) or mp.isinf(check.high)))


def _operation_name(node: Node) -> str:
    return str(node.attrs[0]) if node.op in ("user", "user_formula") else node.op


# -- operations by themselves --------------------------------------------------------------------------------


def _entries(node: Node, point: Point, seed: int, count: int) -> Iterator[_Case]:
    """An elementwise operation on scalars, with the values of some entries: the smallest, the largest, and
    others.
    """
    values = point.trusted.at(50)(*node.args)
    size = max(1, math.prod(shape_of(node)))
    chosen = list(range(size))
    if size > count:
        first = np.array([abs(float(v)) for v in np.broadcast_to(values[-1], shape_of(node)).flat])
        others = np.random.default_rng(seed).choice(size, count - 2, replace=False)
        chosen = list(dict.fromkeys([int(np.argmin(first)), int(np.argmax(first)), *map(int, others)]))
    for flat in chosen:
        place = entry_name(shape_of(node), flat)
        picked = [
            np.broadcast_to(v, shape_of(node)).flat[flat] if np.ndim(v) else np.asarray(v)[()] for v in values
        ]
        if any(isinstance(v, mp.mpf) and 0 < abs(v) < BELOW_ALL for v in picked):
            continue  # a zero to every float, and no step beside it has digits enough
        yield _case(
            node, [np.array(v, object) if not isinstance(v, np.generic) else v for v in picked], True, place
        )


def _whole(node: Node, point: Point) -> _Case:
    return _case(node, point.trusted.at(50)(*node.args), False, "")


def _case(node: Node, values: Sequence[Any], scalar: bool, place: str) -> _Case:
    table = NodeTable()
    inputs: dict[int, Any] = {}
    args: list[Node] = []
    for k, (arg, value) in enumerate(zip(node.args, values, strict=True)):
        number = constant_value(arg)
        if number is not None:
            args.append(table.full(number, () if scalar else arg.shape))
        elif arg.kind == "real":
            like = table.constant(0) if scalar else arg
            symbol, made = direction_symbol(table, like, f"{k + 1}")
            inputs[symbol.serial] = np.reshape(np.array(value, object), shape_of(symbol))
            args.append(made)
        elif arg.kind == "integer":
            symbol = table.symbol(sp.Dummy(f"{k + 1}", integer=True))
            inputs[symbol.serial] = np.asarray(value)
            args.append(symbol)
        else:  # a condition, as a comparison that has its truth value
            symbol, made = direction_symbol(table, table.constant(0) if scalar else arg, f"{k + 1}")
            signs = np.where(np.asarray(value, bool), -1.0, 1.0)
            inputs[symbol.serial] = np.reshape(signs, shape_of(symbol))
            args.append(table.call("less", made, table.constant(0)))
    return _Case(table, table.make(node.op, args, node.attrs), inputs, tuple(args), place)


def _derivatives(case: _Case, problem: Problem) -> Iterator[tuple[str, Problem]]:
    """The rules of an operation as a problem of its own: a random projection, differentiated by each
    argument.
    """
    table, node = case.table, case.node
    declared = OPERATIONS[node.op]
    random = np.random.default_rng([problem.seed, 5])
    inputs = dict(case.inputs)
    if node.shape:
        symbol, seed = direction_symbol(table, node, "upstream")
        inputs[symbol.serial] = random.standard_normal(shape_of(symbol))
        target = table.sum(table.mul(seed, node))
    else:
        seed, target = table.constant(1), node
    try:
        if declared.partials is not None:
            partials = declared.partials(table, node)
            passed = [None if d is None else table.mul(seed, d) for d in partials]
        else:
            assert declared.vjp is not None
            passed = list(declared.vjp(table, node, seed))
    except UnsupportedExpressionError:
        return
    definitions = Definitions(table)
    names = {arg.serial: f"argument {k}" for k, arg in enumerate(case.args, 1)}
    gradients = []
    for k, (arg, adjoint) in enumerate(zip(case.args, passed, strict=True)):
        wrt = arg.args[0] if arg.op == "reshape" else arg
        if wrt.op == "symbol" and wrt.kind == "real":
            fitted = table.full(0, arg.shape) if adjoint is None else fit(table, adjoint, arg.shape)
            gradients.append(Gradient(wrt, table.reshape(fitted, wrt.shape), str(k + 1)))
    if gradients:
        points = [Point(inputs, Trusted(definitions, inputs))]
        yield (
            "rule",
            Problem(table, definitions, target, gradients, points, names, problem.seed, problem.budget),
        )
        if declared.jvp is not None:
            yield from _forward_rule(case, problem, gradients, target, seed, inputs)


def _forward_rule(
    case: _Case,
    problem: Problem,
    gradients: Sequence[Gradient],
    target: Node,
    seed: Node,
    inputs: dict[int, Any],
) -> Iterator[tuple[str, Problem]]:
    """The rule of forward mode, by `<seed, jvp(v)>` as the gradient along v of the same projection."""
    table, node = case.table, case.node
    jvp = OPERATIONS[node.op].jvp
    assert jvp is not None
    definitions = Definitions(table)
    random = np.random.default_rng([problem.seed, 6])
    names = {arg.serial: f"argument {k}" for k, arg in enumerate(case.args, 1)}
    for gradient in gradients:
        k = int(gradient.name) - 1
        arg = case.args[k]
        # the argument moves along v: argument + s*v, and s is what the target is differentiated by
        along, v = direction_symbol(table, arg, "along")
        s = table.symbol(sp.Dummy("s", real=True))
        moved_args = list(case.args)
        moved_args[k] = table.add(arg, table.mul(s, v))
        moved = table.make(node.op, moved_args, node.attrs)
        tangent = jvp(table, node, [v if j == k else None for j in range(len(case.args))])
        value = table.constant(0) if tangent is None else table.mul(seed, tangent)
        given = {**inputs, along.serial: random.standard_normal(shape_of(along)), s.serial: 0}
        projected = table.mul(seed, moved)
        local = Gradient(s, table.sum(value), gradient.name, direction=True)
        points = [Point(given, Trusted(definitions, given))]
        yield (
            "rule, forward",
            Problem(
                table, definitions, table.sum(projected), [local], points, names, problem.seed, problem.budget
            ),
        )
