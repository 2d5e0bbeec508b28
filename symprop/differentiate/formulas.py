"""Derivatives as formulas: `grad backprop jvp vjp jacobian hessian hvp` of expressions and graphs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

from symprop.declare import Export, Graph, Intake
from symprop.declare import as_graph as graph_of
from symprop.differentiate.forward import tangents as forward_tangents
from symprop.differentiate.matrixform import jacobian_entries, jacobian_node
from symprop.differentiate.naming import Equation, Names, arrange, symbol_like
from symprop.differentiate.reading import as_read, equations_as_read
from symprop.differentiate.reverse import adjoints, between, pullback
from symprop.differentiate.terms import is_wide
from symprop.errors import ArgumentError, ShapeError, UnsupportedExpressionError
from symprop.functions.structure import is_integer_symbol
from symprop.graph import CollectorPaused, Node, NodeTable, topological

__all__ = ["backprop", "grad", "hessian", "hvp", "jacobian", "jvp", "value_and_gradients", "vjp"]

Variable = tuple[sp.Basic, Node]


@CollectorPaused()
def grad(target: Any, wrt: Any, *, as_graph: bool = False) -> Any:
    """The gradient of a scalar: an expression of the shape of `wrt`, a list for a list.

    `target` is an expression or a `Graph` (of several outputs the first counts); `wrt` a symbol, a named node
    of the graph, a list, or a `Matrix` of symbols. A symbol that the target does not contain has gradient
    zero. Of a Graph the gradient keeps the names of the forward nodes; `as_graph=True` gives the closed form
    as a `Graph`. Raises ShapeError for a target that is no scalar, UnsupportedExpressionError for integer
    symbols.

    >>> x, A = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("A", 3, 3)
    >>> grad(sp.Trace(x.T * A * x), x)
    A*x + A.T*x
    """
    problem = _Problem(target, wrt)
    nodes = _slopes(problem, problem.output())
    return problem.results([f"d_{symbol}" for symbol, _ in problem.variables], nodes, problem.pack, as_graph)


@CollectorPaused()
def value_and_gradients(graph: Graph, output: sp.Basic, wrt: Sequence[sp.Basic]) -> tuple[Node, list[Node]]:
    """The node of a scalar output of a graph and those of its gradients, in the graph's table.

    The gradient of a symbol that the output does not depend on is a constant zero of its shape.
    """
    problem = _Problem(graph, list(wrt))
    value = problem.output(output)
    return value, _gradients(problem, value)[1]


@CollectorPaused()
def backprop(target: Any, wrt: Any) -> Graph:
    """Backpropagation as a `Graph`: the forward equations, then the adjoint equations in the order of their
    visit.

    `d_h` is the adjoint of the named node or parameter `h`; shared terms are named once. The outputs are the
    value and the gradients in the order of `wrt`. The adjoint of the value itself, one, is left out.

    >>> x, y, z, q = sp.symbols("x y z q")
    >>> print(backprop(Graph([(q, x + y), (sp.Symbol("f"), q * z)]), [x, y, z]))
    q = x + y
    f = q*z
    d_z = q
    d_q = z
    d_x = z
    d_y = z
    """
    problem = _Problem(target, wrt)
    graph, value = problem.graph, problem.output()
    found, gradients = _gradients(problem, value)
    names = problem.names()
    symbols: dict[sp.Basic, sp.Basic] = {}

    def equation(symbol: sp.Basic, node: Node) -> Equation:
        if symbol not in symbols:
            symbols[symbol] = symbol_like(names.fresh(f"d_{symbol}"), node)
        return symbols[symbol], node

    backward: list[Equation] = []
    for visited in _visiting_order(problem, found, value):
        adjoint = found.get(visited[1].serial)
        if adjoint is not None:
            backward.append(equation(visited[0], adjoint))
    for (symbol, _), gradient in zip(problem.variables, gradients, strict=True):
        if symbol not in symbols:
            backward.append(equation(symbol, gradient))
    forward = topological([node for _, node in problem.forward])
    origin: dict[int, Node] = {}
    of_named = {adjoint.serial for _, n in problem.forward if (adjoint := found.get(n.serial)) is not None}
    for node in forward:  # of unnamed nodes with equal adjoints the one nearest to the target counts
        adjoint = found.get(node.serial)
        if adjoint is not None and adjoint.serial not in of_named:
            origin[adjoint.serial] = node
    equations = arrange([*problem.forward, *backward], names, forward, origin, len(problem.forward))
    equations = equations_as_read(graph.table, equations, [node for _, node in problem.forward])
    outputs = [*graph.outputs, *[symbols[symbol] for symbol, _ in problem.variables]]
    return Graph.from_nodes(graph.table, equations, list(dict.fromkeys(outputs)), problem.reserved)


@CollectorPaused()
def vjp(target: Any, wrt: Any, cotangents: Any, *, as_graph: bool = False) -> Any:
    """The sum over the targets of cotangent times derivative (v^T J): for each of `wrt` an expression of its
    shape.

    `target` is an expression, a list or a `Graph`; `cotangents` match its outputs in number and shape.

    >>> x, A, v = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("A", 2, 3), sp.MatrixSymbol("v", 2, 1)
    >>> vjp(A * x, x, v)
    A.T*v
    """
    problem = _Problem(target, wrt)
    outputs = [problem.graph.nodes[symbol] for symbol in problem.graph.outputs]
    seeds = problem.directions(cotangents, outputs, "cotangent", "output")
    found = pullback(problem.table, list(zip(outputs, seeds, strict=True)), [n for _, n in problem.variables])
    nodes = [problem.or_zero(found[node.serial], node) for _, node in problem.variables]
    return problem.results([f"d_{symbol}" for symbol, _ in problem.variables], nodes, problem.pack, as_graph)


@CollectorPaused()
def jvp(target: Any, wrt: Any, tangents: Any, *, as_graph: bool = False) -> Any:
    """The derivative of the target in the direction of `tangents` (J v): of the shape of the target.

    `tangents` match `wrt` in number and shape; a list of targets gives a list.

    >>> x, A, v = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("A", 2, 3), sp.MatrixSymbol("v", 3, 1)
    >>> jvp(A * x, x, v)
    A*v
    """
    problem = _Problem(target, wrt)
    outputs = [problem.graph.nodes[symbol] for symbol in problem.graph.outputs]
    directions = problem.directions(tangents, [n for _, n in problem.variables], "tangent", "variable")
    seeds = {node.serial: v for (_, node), v in zip(problem.variables, directions, strict=True)}
    found = forward_tangents(problem.table, outputs, seeds)
    nodes = [problem.or_zero(found[node.serial], node) for node in outputs]
    names = [f"t_{symbol}" for symbol in problem.graph.outputs]
    several = isinstance(target, list | tuple) or len(outputs) > 1
    return problem.results(names, nodes, list if several else _only, as_graph)


@CollectorPaused()
def hvp(target: Any, wrt: Any, vector: Any, *, as_graph: bool = False) -> Any:
    """The Hessian of a scalar times a vector (forward over reverse): for each of `wrt` an expression of its
    shape.

    >>> x, A, v = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("v", 3, 1)
    >>> hvp(sp.Trace(x.T * A * x), x, v)
    A*v + A.T*v
    """
    problem = _Problem(target, wrt)
    gradients = _slopes(problem, problem.output())
    directions = problem.directions(vector, [n for _, n in problem.variables], "vector", "variable")
    seeds = {node.serial: v for (_, node), v in zip(problem.variables, directions, strict=True)}
    found = forward_tangents(problem.table, gradients, seeds)
    nodes = [problem.or_zero(found[node.serial], node) for node in gradients]
    return problem.results([f"h_{symbol}" for symbol, _ in problem.variables], nodes, problem.pack, as_graph)


@CollectorPaused()
def jacobian(target: Any, wrt: Any, *, as_graph: bool = False) -> Any:
    """The matrix of all derivatives: `jacobian(y, x)[i, j]` is dy_i/dx_j.

    `target` and `wrt` are columns, scalars, lists of them, or matrices of scalars (their entries in row-major
    order). Of a column by a column the result is a matrix expression, of lists of scalars a `Matrix` of
    scalars, of lists with columns a matrix of blocks, of scalars a scalar.

    >>> x, A = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("A", 2, 3)
    >>> jacobian(A * x, x)
    A
    """
    problem = _Problem(_entries(target), wrt)
    rows = [problem.graph.nodes[symbol] for symbol in problem.graph.outputs]
    node = _jacobian(problem, rows, _is_several(target) or len(rows) > 1)
    return problem.results(["J"], [node], _only, as_graph)


@CollectorPaused()
def hessian(target: Any, wrt: Any, *, as_graph: bool = False) -> Any:
    """The matrix of second derivatives of a scalar: (n, n) for a column of n, a `Matrix` for a list of n
    scalars, a matrix of blocks for a list with columns.

    >>> x, A = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("A", 3, 3)
    >>> hessian(sp.Trace(x.T * A * x), x)
    A + A.T
    """
    problem = _Problem(target, wrt)
    gradients = _slopes(problem, problem.output())
    node = _jacobian(problem, gradients, problem.several)
    return problem.results(["H"], [node], _only, as_graph)


def _jacobian(problem: _Problem, rows: Sequence[Node], several_rows: bool) -> Node:
    """One node for the Jacobian of the rows with respect to the variables of the problem."""
    columns = [node for _, node in problem.variables]
    for what, nodes in (("wrt", columns), ("target", rows)):
        if any(node.shape and node.shape[1] != 1 for node in nodes):
            shapes = ", ".join(str(node.shape) for node in nodes)
            raise ShapeError(
                f"a Jacobian or Hessian takes columns and scalars, or a list of them; {what} has the shape "
                f"{shapes}; use jvp, vjp or hvp, which take every shape, or write the matrix as a column"
            )
    if not several_rows and not problem.several:
        return jacobian_node(problem.table, rows[0], columns[0])
    return jacobian_entries(problem.table, rows, columns)


# -- what the functions share ------------------------------------------------------------------------------


class _Problem:
    """A target taken in as a graph, and the variables to differentiate by."""

    def __init__(self, target: Any, wrt: Any) -> None:
        self.given_graph = isinstance(target, Graph)
        self.graph: Graph = target if isinstance(target, Graph) else graph_of(target)
        self.table: NodeTable = self.graph.table
        inputs = set(self.graph.inputs)
        self.forward: list[Equation] = [(s, n) for s, n in self.graph.nodes.items() if s not in inputs]
        self.several = _is_several(wrt)
        self.pack: Callable[[list[Any]], Any] = list if self.several else _only
        if isinstance(wrt, sp.MatrixBase):
            rows, columns = wrt.shape
            self.pack = lambda values: sp.ImmutableDenseMatrix(rows, columns, values)
        self.variables = [self._variable(v) for v in (_entries(wrt) if self.several else [wrt])]
        self.reserved = self.graph.reserved.union(str(symbol) for symbol, _ in self.variables)

    def _variable(self, wanted: Any) -> Variable:
        try:
            symbol = sp.sympify(wanted, strict=True)
        except sp.SympifyError:
            raise ArgumentError(
                f"wrt takes sympy symbols, found {type(wanted).__name__} {wanted!r:.60}; give the symbol"
            ) from None
        node = self.graph.nodes.get(symbol)
        if node is None:
            if not isinstance(symbol, sp.Symbol | sp.MatrixSymbol):
                raise ArgumentError(
                    f"wrt holds {symbol}, which is neither a symbol nor a named node of the graph; "
                    "differentiate by the symbols in "
                    "it, or give the term an equation of its own in a Graph and differentiate by its name"
                )
            node = self.table.symbol(symbol)
        if node.kind != "real" or is_integer_symbol(symbol):
            raise UnsupportedExpressionError(
                f"wrt holds {symbol}, an integer (a label or index), which has no derivative; leave it out "
                "of wrt, or declare "
                f"it as a real number: Symbol({str(symbol)!r}, real=True)"
            )
        return symbol, node

    def output(self, symbol: sp.Basic | None = None) -> Node:
        """The node of the (first) output, as a scalar."""
        symbol = self.graph.outputs[0] if symbol is None else symbol
        node = self.graph.nodes[symbol]
        if node.shape == ():
            return node
        if node.shape == (1, 1):
            return self.table.reshape(node, ())
        raise ShapeError(
            f"a gradient is that of a scalar, found the target {symbol} of shape {node.shape}; reduce it to "
            "a scalar (a loss, a "
            "Trace, one entry), or use jacobian, or vjp with a cotangent of that shape"
        )

    def or_zero(self, derivative: Node | None, node: Node) -> Node:
        """The derivative, or a zero of the shape of the node."""
        return self.table.full(0, node.shape) if derivative is None else derivative

    def directions(self, given: Any, nodes: Sequence[Node], what: str, of: str) -> list[Node]:
        """The nodes of cotangents or tangents, checked against the shapes of `nodes`."""
        one = len(nodes) == 1 and bool(nodes[0].shape)
        if isinstance(given, list | tuple) and len(given) == 1:
            one = False  # a list of one vector
        values = _entries(given) if _is_several(given) and not one else [given]
        if len(values) != len(nodes):
            raise ArgumentError(
                f"one {what} for each {of} is expected, found {len(values)} for {len(nodes)}; give a list in "
                "the same order"
            )
        intake = Intake(self.table, self.graph.nodes)
        result = []
        for value, node in zip(values, nodes, strict=True):
            direction = intake.node(value)
            if {direction.shape, node.shape} == {(), (1, 1)}:
                direction = self.table.reshape(direction, node.shape)
            if direction.shape != node.shape:
                raise ShapeError(
                    f"the {what} {value} has shape {direction.shape}, expected {node.shape}, the shape of "
                    f"its {of}"
                )
            result.append(direction)
        self.reserved |= set(map(str, intake.used))
        return result

    def names(self) -> Names:
        """A fresh supply of names beside those of the graph and of all inputs."""
        return Names(self.reserved.union(map(str, self.graph.nodes)))

    def results(
        self, wanted: Sequence[str], nodes: Sequence[Node], pack: Callable[[list[Any]], Any], as_graph: bool
    ) -> Any:
        """The nodes as expressions, or as the outputs of a graph with what they need of the forward
        equations.
        """
        if not as_graph:
            kept = {
                node.serial: s for s, node in reversed(self.forward) if node.op not in ("symbol", "constant")
            }
            named = kept if self.given_graph else {}
            given = [node for _, node in self.forward]
            export = Export(named)
            return pack([export.expression(node) for node in as_read(self.table, nodes, given, named)])
        names = self.names()
        last: dict[tuple[str, int], Equation] = {}
        for name, node in zip(wanted, nodes, strict=True):
            if (name, node.serial) not in last:
                last[name, node.serial] = (symbol_like(names.fresh(name), node), node)
        needed = topological(nodes)
        serials = {node.serial for node in needed if node.args}
        forward = [(s, n) for s, n in self.forward if self.given_graph and n.serial in serials]
        network = topological([n for _, n in self.forward])
        equations = arrange([*forward, *last.values()], names, network, defined=len(forward))
        equations = equations_as_read(self.table, equations, [node for _, node in self.forward])
        outputs = [symbol for symbol, _ in last.values()]
        return Graph.from_nodes(self.table, equations, outputs, self.reserved)


def _gradients(problem: _Problem, value: Node) -> tuple[dict[int, Node | None], list[Node]]:
    """All adjoints, and the gradients by the variables of the problem."""
    found = adjoints(problem.table, value, [node for _, node in problem.variables])
    return found, [problem.or_zero(found[node.serial], node) for _, node in problem.variables]


def _slopes(problem: _Problem, value: Node) -> list[Node]:
    """The gradients; that of an expression by one scalar through matrices in forward mode, which gives it as
    books have it: `trace((A + t*B)**-1*B)`.
    """
    if not problem.given_graph and len(problem.variables) == 1 and not problem.several:
        variable = problem.variables[0][1]
        if not variable.shape and any(is_wide(node) for node in between([value], [variable])):
            return [jacobian_node(problem.table, value, variable)]
    return _gradients(problem, value)[1]


def _visiting_order(problem: _Problem, found: dict[int, Node | None], value: Node) -> list[Variable]:
    """The named nodes and variables in the order in which backpropagation completes their adjoints.

    A named inner node counts when it is visited; after it come the inputs whose last user lies between it and
    the next named node, in the order of `wrt`.
    """
    outputs = {problem.graph.nodes[s].serial for s in problem.graph.outputs[:1]} | {value.serial}
    wanted = {symbol for symbol, _ in problem.variables}
    inner: dict[int, Variable] = {}
    for symbol, node in problem.forward:
        if node.args and node.serial in found and (node.serial not in outputs or symbol in wanted):
            inner.setdefault(node.serial, (symbol, node))
    completed: dict[int, int] = {}
    for serial in sorted(found, reverse=True):
        for arg in problem.table.nodes[serial].args:
            completed[arg.serial] = serial
    keyed: list[tuple[int, int, Variable]] = [(-serial, -1, pair) for serial, pair in inner.items()]
    ordered = sorted(inner)
    for k, (symbol, node) in enumerate(problem.variables):
        if not node.args and node.serial in completed:
            at = bisect_left(ordered, completed[node.serial])
            reached = ordered[at] if at < len(ordered) else value.serial + 1
            keyed.append((-reached, k, (symbol, node)))
    return [pair for _, _, pair in sorted(keyed, key=lambda entry: entry[:2])]


def _is_several(value: Any) -> bool:
    return isinstance(value, list | tuple | sp.MatrixBase)


def _entries(value: Any) -> Any:
    """The entries of a list or of a `Matrix` of scalars; anything else as it is."""
    if isinstance(value, sp.MatrixBase):
        return list(value)
    return list(value) if isinstance(value, tuple) else value


def _only(values: list[Any]) -> Any:
    return values[0]
