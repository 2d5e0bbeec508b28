"""From a declaration to the nodes that are compiled: outputs, gradients, sums over the samples, rewriting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy as sp

from symprop.api.declaration import Declaration, name_of
from symprop.differentiate import reverse
from symprop.errors import ShapeError, UnsupportedExpressionError
from symprop.graph import Node, NodeTable
from symprop.graph.transplant import sized_symbol, transplant
from symprop.rewrite import optimise
from symprop.run.arguments import Argument

__all__ = ["Program", "Result", "Source"]


@dataclass(frozen=True)
class Result:
    """What becomes of one root.

    `name` is the symbol of the output, or of the argument (node) whose gradient it is; `gradient_of` is the
    position of that argument, None for a value; `per_sample` says that the user gets one per sample.
    """

    name: sp.Basic
    gradient_of: int | None = None
    per_sample: bool = False


@dataclass(frozen=True)
class Program:
    """Nodes ready for code generation, and what each root is."""

    table: NodeTable
    roots: tuple[Node, ...]
    results: tuple[Result, ...]
    inputs: tuple[sp.Basic, ...]
    batched: tuple[sp.Basic, ...]
    report: Any

    def part(self, count: int) -> Program:
        """The first `count` roots alone, as they are."""
        return replace(self, roots=self.roots[:count], results=self.results[:count])


@dataclass
class Source:
    """The declared graph in a table of its own, made in a fixed order: same declaration, same programs.

    The table grows when gradients are derived; the owner holds a lock around every method.
    """

    declaration: Declaration
    table: NodeTable = field(default_factory=NodeTable)

    def __post_init__(self) -> None:
        graph = self.declaration.graph
        made = transplant(list(graph.nodes.values()), self.table, {})
        self.nodes = {symbol: made[node.serial] for symbol, node in graph.nodes.items()}
        self.outputs = [self.nodes[symbol] for symbol in graph.outputs]
        batched = {self.nodes[s].serial for s in self.declaration.batch if s in self.nodes}
        self._batched: set[int] = batched
        self._walked = 0

    # -- which nodes have one value per sample -------------------------------------------------------------

    def is_batched(self, node: Node) -> bool:
        """True for a node that depends on a batched argument, and not only through a sum over the samples."""
        for other in self.table.nodes[self._walked :]:
            if other.op != "batch_sum" and any(a.serial in self._batched for a in other.args):
                self._batched.add(other.serial)
        self._walked = len(self.table.nodes)
        return node.serial in self._batched

    # -- roots ---------------------------------------------------------------------------------------------

    def scalar_fault(self) -> str | None:
        """Why there is no gradient: the first output is no scalar; None where it is one."""
        first, name = self.outputs[0], self.declaration.graph.outputs[0]
        if first.shape in ((), (1, 1)):
            return None
        return (
            f"a gradient is of a scalar output, but {name} has shape {first.shape}: compile a scalar of it "
            "(a "
            f"loss, or symprop.vjp({name}, wrt, cotangents)), or its Jacobian with symprop.jacobian"
        )

    def values(self) -> tuple[list[Node], list[Result]]:
        """The outputs, reduced over the samples where the declaration says so."""
        spread = bool(self.declaration.batch) and self.declaration.reduce is None
        roots = [self.reduced(node) for node in self.outputs]
        return roots, [Result(s, None, spread) for s in self.declaration.graph.outputs]

    def gradients(self) -> tuple[list[Node], list[Result]]:
        """The gradients of the first output by `wrt`; raises `ShapeError` where it is no scalar."""
        declaration = self.declaration
        wanted = [self.nodes[s] for s in declaration.wrt if s in self.nodes]
        adjoints = self._adjoints(wanted)
        places = {symbol: k for k, symbol in enumerate(declaration.args)}
        roots, results = [], []
        for symbol in declaration.wrt:
            node = self.nodes.get(symbol) or self.table.symbol(symbol)
            sampled = symbol in declaration.batch
            adjoint = adjoints.get(node.serial)
            roots.append(self.reduced_gradient(adjoint, node, sampled))
            spread = sampled or (bool(declaration.batch) and declaration.reduce is None)
            results.append(Result(symbol, places[symbol], spread))
        return roots, results

    def everything(self) -> tuple[list[Node], list[Result], list[sp.Basic]]:
        """Value and gradient of every named node of the graph in turn, and which symbols have both.

        A node that depends on a batched argument has one value and one gradient per sample.
        """
        differentiable = [n for n in self.nodes.values() if n.kind == "real"]
        adjoints: Mapping[int, Node | None] | None = None  # no gradients: no scalar, or no derivative
        if self.scalar_fault() is None:
            with suppress(UnsupportedExpressionError):
                adjoints = self._adjoints(differentiable)
        spread = bool(self.declaration.batch) and self.declaration.reduce is None
        roots, results, with_gradient = [], [], []
        for symbol in (*self.declaration.graph.inputs, *self.declaration.graph.names):
            node = self.nodes[symbol]
            sampled = self.is_batched(node)
            roots.append(node)
            results.append(Result(symbol, None, sampled))
            if node.kind == "real" and adjoints is not None:
                roots.append(self.reduced_gradient(adjoints.get(node.serial), node, sampled))
                results.append(Result(symbol, None, sampled or spread))
                with_gradient.append(symbol)
        return roots, results, with_gradient

    def _adjoints(self, wanted: Sequence[Node]) -> Mapping[int, Node | None]:
        fault = self.scalar_fault()
        if fault is not None:
            raise ShapeError(fault)
        return reverse.adjoints(self.table, self.table.reshape(self.outputs[0], ()), wanted)

    # -- over the samples ----------------------------------------------------------------------------------

    def reduced(self, node: Node) -> Node:
        """The mean or the sum of a node over the samples; the node itself without `reduce`."""
        if self.declaration.reduce is None:
            return node
        if self.declaration.reduce == "sum":
            return self._total(node)
        if self.is_batched(node):
            return self._over_count(self._total(node))
        empty = self.table.make("equal", (self.table.make("batch_size"), self.table.constant(0)))
        return self.table.make("select", (empty, self.table.constant(sp.nan), node))

    def reduced_gradient(self, adjoint: Node | None, node: Node, sampled: bool) -> Node:
        """The gradient of the reduced output, per sample where the argument is."""
        if adjoint is None:
            return self.table.full(0, node.shape)
        if self.declaration.reduce is None or not sampled:
            return self.reduced(adjoint)
        return self._over_count(adjoint) if self.declaration.reduce == "mean" else adjoint

    def _over_count(self, node: Node) -> Node:
        return self.table.mul(node, self.table.pow(self.table.make("batch_size"), -1))

    def _total(self, node: Node) -> Node:
        """The sum over the samples; what is the same for all of them is multiplied by their number."""
        table = self.table
        if not self.is_batched(node):
            return table.mul(table.make("batch_size"), node)
        if node.op == "add":
            varying = [a for a in node.args if self.is_batched(a)]
            fixed = [a for a in node.args if not self.is_batched(a)]
            if fixed:
                inner = table.broadcast(table.add(*varying), node.shape)
                return table.add(
                    table.make("batch_sum", (inner,)), table.mul(table.make("batch_size"), table.add(*fixed))
                )
        return table.make("batch_sum", (node,))

    # -- programs ------------------------------------------------------------------------------------------

    def program(
        self, roots: Sequence[Node], results: Iterable[Result], sizes: Mapping[sp.Basic, int]
    ) -> Program:
        """The rewritten program of some roots, for one set of symbolic sizes.

        With fewer results than roots it has the first roots only, as they are beside the others.
        """
        declaration = self.declaration
        table = NodeTable()
        made = transplant(roots, table, sizes)
        inputs = tuple(sized_symbol(s, sizes) for s in declaration.args)
        batched = tuple(sized_symbol(s, sizes) for s in declaration.batch)
        kinds = tuple(results)
        wanted = [made[r.serial] for r in roots]
        for k, (node, result) in enumerate(zip(wanted, kinds, strict=False)):
            if result.gradient_of is not None and node.kind == "integer":  # of n*x by x: no label
                wanted[k] = table.make("real", (node,))
        rewritten, report = optimise(table, wanted, accuracy=declaration.accuracy, batched=frozenset(batched))
        whole = Program(table, tuple(rewritten), kinds, inputs, batched, report)
        return whole.part(len(whole.results))

    def arguments(self, sizes: Mapping[sp.Basic, int]) -> list[Argument]:
        """The arguments of a call, for one set of symbolic sizes (none: the sizes stay symbols)."""
        real, label = np.dtype(self.declaration.dtype), np.dtype(np.int64)
        result = []
        for symbol in self.declaration.args:
            node = NodeTable().symbol(sized_symbol(symbol, sizes))
            integer = node.kind == "integer"
            batched = symbol in self.declaration.batch
            result.append(
                Argument(symbol, name_of(symbol), node.shape, integer, batched, label if integer else real)
            )
        return result
