"""A Jacobian as a sum of `DiagMatrix(scale)*base`: derivatives of one entry multiply and add up as columns.

`Terms` maps the serial number of a base to (base, scale); the scale is a column, a scalar, or None for one. A
base that is a column times a row takes a scale into the column, and stays a product of two lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symprop.differentiate.accumulate import add_terms, times_partial
from symprop.graph import Dim, Node, NodeTable
from symprop.graph.nodes import constant_value
from symprop.graph.parts import multiplied

__all__ = [
    "NoMatrixForm",
    "Term",
    "Terms",
    "apart",
    "collect",
    "is_outer",
    "is_wide",
    "row_times",
    "rows_of",
    "scaled",
    "single",
    "size_of",
    "spread",
    "whole",
]

Term = tuple[Node, "Node | None"]
Terms = dict[int, Term]


class NoMatrixForm(Exception):  # noqa: N818 - a signal, not an error
    """A node between variable and target whose Jacobian has no simple matrix form."""


def size_of(node: Node) -> Dim:
    """The number of entries."""
    size: Dim = 1
    for d in node.shape:
        size = size * d
    return size


def is_wide(node: Node) -> bool:
    """True for a matrix of several rows and columns."""
    return len(node.shape) == 2 and 1 not in node.shape


def collect(table: NodeTable, terms: Iterable[Term]) -> Terms:
    """Terms of one base become one, their scales added."""
    scales: dict[int, tuple[Node, list[Node]]] = {}
    for base, scale in terms:
        while scale is not None and scale.op == "broadcast" and not scale.args[0].shape:
            scale = scale.args[0]
        if scale is not None and scale.shape and is_outer(base):
            base, scale = _into_column(table, base, scale), None
        scales.setdefault(base.serial, (base, []))[1].append(table.constant(1) if scale is None else scale)
    result: Terms = {}
    for serial, (base, parts) in scales.items():
        column = next((p.shape for p in parts if p.shape), ())
        scale = add_terms(table, [table.broadcast(p, column) for p in parts])
        if scale is not None and constant_value(scale) != 0:
            result[serial] = (base, None if constant_value(scale) == 1 else scale)
    return result


def is_outer(base: Node) -> bool:
    """True for a column times a row."""
    return base.op == "matmul" and base.args[0].shape[1] == 1 and base.shape[0] != 1


def _into_column(table: NodeTable, base: Node, scale: Node) -> Node:
    column, row = base.args
    return table.matmul(times_partial(table, scale, column), row)


def single(table: NodeTable, parts: Sequence[Node]) -> Terms:
    """Bases without scales."""
    return collect(table, [(part, None) for part in parts])


def apart(terms: Terms) -> Node | None:
    """The scalar by which every base is scaled; None where there is no such scalar."""
    scales = [scale for _, scale in terms.values()]
    first = scales[0]
    return first if first is not None and not first.shape and all(s is first for s in scales) else None


def whole(table: NodeTable, terms: Terms) -> Node:
    """The Jacobian as one node."""
    common = apart(terms) if len(terms) > 1 else None
    if common is not None:
        return times_partial(table, _added(table, [base for base, _ in terms.values()]), common)
    parts = []
    for base, scale in terms.values():
        if scale is None:
            parts.append(base)
        elif not scale.shape:
            parts.append(times_partial(table, base, scale))
        else:
            parts.append(table.matmul(table.make("diag", (scale,)), base))
    return _added(table, parts)


def _added(table: NodeTable, parts: Sequence[Node]) -> Node:
    total = add_terms(table, parts)
    return table.full(0, parts[0].shape) if total is None else total


def scaled(table: NodeTable, node: Node, arg: Node, jacobian: Terms, partial: Node) -> list[Term]:
    """partial * jacobian, entry by entry of the node."""
    while partial.op == "broadcast" and not partial.args[0].shape:
        partial = partial.args[0]
    if node.shape and not arg.shape:  # a scalar that every entry takes: a column times a row
        column = table.reshape(table.broadcast(partial, node.shape), (size_of(node), 1))
        common = apart(jacobian)
        if common is not None:
            jacobian = {serial: (base, None) for serial, (base, _) in jacobian.items()}
        return [(table.matmul(column, whole(table, jacobian)), common)]
    if partial.shape:
        partial = table.reshape(partial, (size_of(node), 1))
    return [
        (base, partial if scale is None else times_partial(table, *spread(table, scale, partial)))
        for base, scale in jacobian.values()
    ]


def spread(table: NodeTable, a: Node, b: Node) -> tuple[Node, Node]:
    """Both with the shape of the one that is a column."""
    shape = a.shape or b.shape
    return table.broadcast(a, shape), b


def row_times(table: NodeTable, row: Node, jacobian: Terms) -> Node:
    """row * J, where a scale joins the row: (row . scale.T)*base."""
    parts = []
    for base, scale in jacobian.values():
        joined = row
        if scale is not None:
            joined = table.mul(row, table.transpose(scale) if scale.shape else scale)
        parts.append(table.matmul(joined, base))
    return _added(table, parts)


def rows_of(table: NodeTable, matrix: Node, start: Dim, stop: Dim) -> Node:
    """Some rows of a matrix; of a product those of its first factor."""
    if (start, stop) == (0, matrix.shape[0]):
        return matrix
    if matrix.op == "matmul":
        return multiplied(table, rows_of(table, matrix.args[0], start, stop), matrix.args[1])
    return table.slice(matrix, ((start, stop), (0, matrix.shape[1])))
