"""Forward mode: tangents, carried from the inputs to the targets in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symprop.differentiate.accumulate import add_terms, fit, times_partial
from symprop.differentiate.reverse import between
from symprop.errors import UnsupportedExpressionError
from symprop.graph import OPERATIONS, Node, NodeTable

__all__ = ["tangents"]


def tangents(table: NodeTable, targets: Sequence[Node], seeds: Mapping[int, Node]) -> dict[int, Node | None]:
    """The tangent of every node between the seeds and the targets, and of the targets; None where it is zero.

    `seeds` gives the tangents of inputs or inner nodes by serial number, each of the shape of its node; they
    take the place of what would flow in from below. Iterative, linear in the nodes and edges; new nodes go
    into the same table. Raises UnsupportedExpressionError for an operation that has neither a derivative nor
    a definition.
    """
    return _forward(table, targets, seeds, frozenset(seeds))


def _forward(
    table: NodeTable, targets: Sequence[Node], seeds: Mapping[int, Node], stop: frozenset[int]
) -> dict[int, Node | None]:
    result: dict[int, Node | None] = {target.serial: None for target in targets}
    sources = [table.nodes[serial] for serial in seeds]
    for node in between(targets, sources, stop):
        if node.serial in seeds:
            result[node.serial] = seeds[node.serial]
        else:
            result[node.serial] = _tangent(table, node, [result.get(a.serial) for a in node.args])
    return result


def _tangent(table: NodeTable, node: Node, arriving: list[Node | None]) -> Node | None:
    """The tangent of a node from the tangents of its arguments."""
    if all(tangent is None for tangent in arriving):
        return None
    declared = OPERATIONS[node.op]
    if declared.jvp is not None:
        found = declared.jvp(table, node, arriving)
        whole = found is not None and found.op == "add" and all(a.shape == found.shape for a in found.args)
        return add_terms(table, found.args) if found is not None and whole else found
    if declared.partials is not None:
        terms = []
        for tangent, partial in zip(arriving, declared.partials(table, node), strict=True):
            if tangent is not None and partial is not None:
                terms.append(
                    fit(table, times_partial(table, fit(table, tangent, node.shape), partial), node.shape)
                )
        return add_terms(table, terms) if terms else None
    if declared.expand is not None:
        definition = declared.expand(table, node)
        seeds = {a.serial: t for a, t in zip(node.args, arriving, strict=True) if t is not None}
        return _forward(table, [definition], seeds, frozenset(a.serial for a in node.args))[definition.serial]
    raise UnsupportedExpressionError(
        f"{node.op} has no derivative in forward mode: {node!r} lies between the target and the arguments to "
        "differentiate by; give the operation a rule, or differentiate by other arguments"
    )
