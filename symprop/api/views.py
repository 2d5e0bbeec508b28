"""What a user looks at: the compiled program as a graph, its cost, and a call traced node by node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from symprop.api.declaration import Declaration, name_of
from symprop.api.programs import Program
from symprop.declare.network import Graph
from symprop.declare.notebook import text_table
from symprop.errors import ArgumentError
from symprop.graph import Node, topological, users
from symprop.rewrite import OperationCounts, count_operations

__all__ = ["Cost", "Trace", "Traced", "cost_of", "program_graph"]

# -- the program as equations ------------------------------------------------------------------------------

_DEEPEST = 12  # an unnamed term is nested no deeper than that, for reading
_LEAVES = frozenset({"symbol", "constant", "eye", "batch_size"})


def program_graph(program: Program, declaration: Declaration) -> Graph:
    """The program as a `Graph`: an equation for every output and for every node that is used more than
    once.
    """
    results: list[tuple[sp.Basic, Node]] = []
    taken = {name_of(s) for s in (*program.inputs, *declaration.graph.nodes)}
    used: set[str] = set()
    for root, result in zip(program.roots, program.results, strict=True):
        text = name_of(result.name) if result.gradient_of is None else f"d_{name_of(result.name)}"
        while text in used or (result.gradient_of is not None and text in taken):
            text += "_"
        used.add(text)
        results.append((_symbol(text, root), root))
    taken |= used
    symbols: dict[int, list[sp.Basic]] = {}  # of each root
    for symbol, root in results:
        symbols.setdefault(root.serial, []).append(symbol)
    equations: list[tuple[sp.Basic, Node]] = []
    number = 0
    depth: dict[int, int] = {}
    order = topological(program.roots)
    uses = users(order)
    for node in order:
        depth[node.serial] = 1 + max((depth[a.serial] for a in node.args), default=-1)
        if node.serial in symbols:
            equations.extend((symbol, node) for symbol in symbols[node.serial])
            depth[node.serial] = 0
        elif _is_leaf(node) or node.kind == "boolean":  # sympy has no symbol for a condition of numbers
            continue
        elif len(uses[node.serial]) > 1 or depth[node.serial] >= _DEEPEST:
            number += 1
            while f"t{number}" in taken:
                number += 1
            equations.append((_symbol(f"t{number}", node), node))
            depth[node.serial] = 0
    return Graph.from_nodes(program.table, equations, [s for s, _ in results])


def _is_leaf(node: Node) -> bool:
    while node.op == "broadcast":
        node = node.args[0]
    return node.op in _LEAVES


def _symbol(name: str, node: Node) -> sp.Basic:
    if len(node.shape) == 2:
        return sp.MatrixSymbol(name, *node.shape)
    return sp.Symbol(name, integer=True) if node.kind == "integer" else sp.Symbol(name)


# -- cost --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What one evaluation does, per sample where there is a batch.

    `operations` are scalar operations of every kind (a multiplication with an addition in one instruction is
    two), `transcendental` the calls of elementary functions among them, `bytes` what is read of arguments and
    written of results; `counts` has the operations by kind.
    """

    operations: int
    transcendental: int
    bytes: int
    counts: OperationCounts

    def __str__(self) -> str:
        return f"{self.operations} operations, {self.transcendental} transcendental calls, {self.bytes} bytes"


def cost_of(program: Program, itemsize: int) -> Cost:
    """The cost of a rewritten program; a matrix product of (m, k) by (k, n) is m n (2 k - 1) operations."""
    order = topological(program.roots)
    counts = count_operations(order, weighted=True)
    inputs = sum(_entries(n) * (8 if n.kind == "integer" else itemsize) for n in order if n.op == "symbol")
    traffic = inputs + sum(_entries(r) for r in program.roots) * itemsize
    return Cost(counts.total, counts.transcendental, traffic, counts)


def _entries(node: Node) -> int:
    total = 1
    for size in node.shape:
        if not isinstance(size, int):
            raise ArgumentError(
                f"cost: the size {size} is a symbol until a call binds it; call the function once first"
            )
        total *= size
    return total


# -- a call node by node -----------------------------------------------------------------------------------


class Traced(NamedTuple):
    """Forward value and gradient of one node; the gradient is None for labels and where the output is no
    scalar.
    """

    value: Any
    gradient: Any


class Trace(Mapping[sp.Basic, Traced]):
    """Forward value and gradient of every named node, by symbol or by name; prints as a table."""

    def __init__(self, rows: Mapping[sp.Basic, Traced]) -> None:
        self._rows = dict(rows)

    @classmethod
    def of(cls, symbols: Sequence[sp.Basic], with_gradient: set[sp.Basic], results: Sequence[Any]) -> Trace:
        """From results in order: for each symbol its value, then its gradient where it has one."""
        rest = iter(results)
        return cls({s: Traced(next(rest), next(rest) if s in with_gradient else None) for s in symbols})

    def __getitem__(self, symbol: sp.Basic) -> Traced:
        if isinstance(symbol, str):
            symbol = next((s for s in self._rows if name_of(s) == symbol), symbol)
        row: Traced = self._rows[symbol]
        return row

    def __iter__(self) -> Iterator[sp.Basic]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        width = max((len(name_of(s)) for s in self._rows), default=0)
        lines = []
        for symbol, row in self._rows.items():
            gradient = "" if row.gradient is None else f"   gradient {_short(row.gradient)}"
            lines.append(f"{name_of(symbol):<{width}}  {_short(row.value)}{gradient}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            (name_of(s), _short(r.value), "" if r.gradient is None else _short(r.gradient))
            for s, r in self._rows.items()
        ]
        return text_table(("node", "value", "gradient"), rows)


def _short(value: Any) -> str:
    if np.size(value) > 8:
        return f"array of shape {np.shape(value)}, norm {np.linalg.norm(np.ravel(value)):.4g}"
    return np.array2string(np.asarray(value), precision=4).replace("\n", "")
