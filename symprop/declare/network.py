"""`Graph`: a list of named equations, as on a blackboard, over one table of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.logic.boolalg import BooleanAtom

from symprop.declare import ordering, printing
from symprop.declare.export import Export
from symprop.declare.forms import brief, depth
from symprop.declare.intake import Intake, dimension_symbols, with_ties
from symprop.declare.names import latex_of
from symprop.declare.notebook import align_block, html_table, inline_block
from symprop.errors import GraphError, ShapeError, UnsupportedExpressionError
from symprop.functions.structure import is_integer_symbol
from symprop.functions.symbols import shape_of
from symprop.graph import CollectorPaused, Node, NodeTable, Shape, topological
from symprop.graph.nodes import constant_value

__all__ = ["Graph", "as_graph"]

Pair = tuple[sp.Basic, Any]
MOST_DISPLAYED = 500  # equations that a notebook typesets; `str` and `latex()` have all of them
_PICKLED = 50  # deepest expressions, and longest list of them, that are pickled beside their nodes
_PICKLED_NODES = 200  # of all: sympy makes a wide maximum anew by comparing each pair of arguments


class Graph:
    """A network: an ordered list of equations, one per named node, each name defined before it is used.

    `equations` are `sympy.Eq` objects, (symbol, expression) pairs, or a mapping from symbol to expression;
    the left side is a `Symbol` or a `MatrixSymbol`, and a 1 x 1 matrix is a scalar. `outputs` are some of
    the names, by default the last one. `ties` is the convention of `Max` and `Min` at equal arguments
    ("first" or "split").

    Raises `GraphError` for a name that is defined twice, used before its equation, or part of a cycle, and
    for an output that no equation defines; `ShapeError` where the sides of an equation differ in shape;
    `UnsupportedExpressionError` for what has no real meaning.

    >>> x, y, z, q, f = sp.symbols("x y z q f")
    >>> net = Graph([(q, x + y), (f, q * z)])
    >>> print(net)
    q = x + y
    f = q*z
    >>> net.inputs, net.outputs
    ((x, y, z), (f,))
    """

    table: NodeTable
    nodes: dict[sp.Basic, Node]
    # Names that a derivative gives to none of its terms: those of the inputs of this graph and of the targets
    # it comes from. It may have lost an input that is an argument of the user's all the same.
    reserved: frozenset[str]

    @CollectorPaused()
    def __init__(self, equations: Any, outputs: Any = None, *, ties: str = "first") -> None:
        if ties not in ("first", "split"):
            raise GraphError(f'ties is "first" or "split", found {ties!r}')
        pairs = [_pair(equation, k) for k, equation in enumerate(_listed(equations))]
        if not pairs:
            raise GraphError("a Graph needs at least one equation (symbol, expression), found none")
        _check_names(pairs)
        table, names = NodeTable(), dict[sp.Basic, Node]()
        intake = Intake(table, names, ties=ties)
        defined = {symbol: k for k, (symbol, _) in enumerate(pairs)}
        seen = 0
        for k, (symbol, expression) in enumerate(pairs):
            try:
                node = intake.target(expression)
            except (ShapeError, UnsupportedExpressionError) as error:
                raise type(error)(f"the equation of {symbol}: {error}") from None
            early = [s for s in intake.arrivals[seen:] if s in defined]
            if early:
                raise ordering.explain(pairs, k, early)
            seen = len(intake.arrivals)
            names[symbol] = _fitted(table, symbol, node, expression)
        named = [(symbol, names[symbol]) for symbol, _ in pairs]
        self._set(*_in_use(intake, named), outputs)
        _check_one_name_each([*names, *intake.used, *self.dimensions])
        self._given: tuple[Pair, ...] | None = tuple(pairs)

    @classmethod
    def from_nodes(
        cls,
        table: NodeTable,
        equations: Sequence[tuple[sp.Basic, Node]],
        outputs: Sequence[sp.Basic] | None = None,
        reserved: frozenset[str] = frozenset(),
    ) -> Graph:
        """The graph of named nodes of a table; the sympy expressions are made when `equations` is read."""
        graph = cls.__new__(cls)
        used = {n.attrs[0]: n for n in topological([node for _, node in equations]) if n.op == "symbol"}
        graph._set(table, list(equations), used, outputs, reserved)
        graph._given = None
        return graph

    def _set(
        self,
        table: NodeTable,
        named: list[tuple[sp.Basic, Node]],
        used: Mapping[sp.Basic, Node],
        outputs: Any,
        reserved: frozenset[str] = frozenset(),
    ) -> None:
        self.table = table
        self._named = named
        self.nodes = dict(named)
        self._defined = dict(named)
        shaped = any(not isinstance(size, int) for node in used.values() for size in node.shape)
        self._dimensions = tuple(dimension_symbols([node for _, node in named])) if shaped else ()
        sizes = set(self._dimensions)
        self._inputs = tuple(s for s in used if s not in sizes)
        self.reserved = reserved.union(map(str, [*used, *self._dimensions]))
        for symbol in self._inputs:
            self.nodes.setdefault(symbol, used[symbol])
        self._outputs = self._checked_outputs(outputs)

    def _checked_outputs(self, outputs: Any) -> tuple[sp.Basic, ...]:
        if outputs is None:
            return (self._named[-1][0],)
        listed = tuple(outputs) if isinstance(outputs, list | tuple | sp.Tuple) else (outputs,)
        names = self.names
        by_name = {_name(s): s for s in names}
        listed = tuple(by_name.get(s, s) if isinstance(s, str) else s for s in listed)
        for symbol in listed:
            if symbol not in self._defined:
                raise GraphError(
                    f"the output {symbol} is not defined by an equation; the names are {_names(names)}"
                )
        if not listed:
            raise GraphError(
                f"outputs is empty; give some of the names {_names(names)}, or None for the last"
            )
        return listed

    # -- reading --------------------------------------------------------

    @property
    def equations(self) -> tuple[Pair, ...]:
        """The (symbol, expression) pairs, in order: as given, or made from the nodes."""
        if self._given is None:
            names: dict[int, sp.Basic] = {self.nodes[s].serial: s for s in self._inputs}
            export = Export(names)
            pairs = []
            for symbol, node in self._named:
                known = names.get(node.serial)
                pairs.append((symbol, export.definition(node) if known is None or known == symbol else known))
                if constant_value(node) is None:  # a number is written as a number, whatever is called so
                    names.setdefault(node.serial, symbol)
            self._given = tuple(pairs)
        return self._given

    @property
    def inputs(self) -> tuple[sp.Basic, ...]:
        """Every symbol that no equation defines, in order of first use."""
        return self._inputs

    def inputs_as_written(self) -> tuple[sp.Basic, ...]:
        """The inputs in the order in which they appear where the graph is printed."""
        return printing.symbols_as_written(self._named, self._input_names())

    @property
    def outputs(self) -> tuple[sp.Basic, ...]:
        """The names of the results."""
        return self._outputs

    @property
    def names(self) -> tuple[sp.Basic, ...]:
        """The names that the equations define, in order."""
        return tuple(symbol for symbol, _ in self._named)

    @property
    def dimensions(self) -> tuple[sp.Basic, ...]:
        """The symbols in the shapes of the inputs, which the arrays of a call bind."""
        return self._dimensions

    def with_ties(self, ties: str) -> Graph:
        """The same graph with another convention for `Max` and `Min` at equal arguments."""
        if ties not in ("first", "split"):
            raise GraphError(f'ties is "first" or "split", found {ties!r}')
        table = NodeTable()
        copies = _copied(table, [node for _, node in self._named], ties)
        named = [(s, copies[n.serial]) for s, n in self._named]
        graph = Graph.from_nodes(table, named, self._outputs, self.reserved)
        graph._inputs = self._inputs
        graph._given = self._given
        return graph

    # -- printing --------------------------------------------------------

    def __str__(self) -> str:
        return "\n".join(
            f"{left} = {right}" for left, right in printing.equations(self._named, self._input_names())
        )

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self.names[:6])) + (", ..." if len(self._named) > 6 else "")
        return f"<Graph of {len(self._named)} equations: {shown}; outputs {_names(self._outputs)}>"

    def _repr_latex_(self) -> str:
        lines = printing.latex_equations(self._named[:MOST_DISPLAYED], self._input_names())
        rows = [f"{left} &= {right}" for left, right in lines]
        return inline_block([*rows, *[rf"&\text{{{line}}}" for line in self._undisplayed()]])

    def _latex(self, printer: object) -> str:
        """What `sympy.latex` prints."""
        return self.latex()

    def _repr_html_(self) -> str:
        shapes = {latex_of(symbol): node.shape for symbol, node in self._named[:MOST_DISPLAYED]}
        lines = printing.latex_equations(self._named[:MOST_DISPLAYED], self._input_names())
        rows = [(f"{left} = {right}", shapes.get(left)) for left, right in lines]
        return html_table([*rows, *[(rf"\text{{{line}}}", None) for line in self._undisplayed()]])

    def _undisplayed(self) -> list[str]:
        """The line that stands for the equations which a notebook does not typeset."""
        left = len(self._named) - MOST_DISPLAYED
        return [f"... and {left:,} more equations"] if left > 0 else []

    def latex(self) -> str:
        """The equations as an `align*` block of LaTeX (package amsmath): of `backprop` the whole backward
        pass.
        """
        return align_block(printing.latex_equations(self._named, self._input_names()))

    def _input_names(self) -> dict[int, sp.Basic]:
        return {self.nodes[s].serial: s for s in self._inputs}

    # -- as a value --------------------------------------------------------

    def __len__(self) -> int:
        return len(self._named)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.equations)

    def __getitem__(self, symbol: sp.Basic) -> Any:
        """The expression that an equation gives to a name."""
        for name, expression in self.equations:
            if name == symbol:
                return expression
        raise KeyError(f"{symbol} is not defined by an equation; the names are {_names(self.names)}")

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._defined

    def __eq__(self, other: object) -> bool:
        """Equal names, outputs and nodes, in the same order."""
        if not isinstance(other, Graph):
            return NotImplemented
        if self.names != other.names or self.outputs != other.outputs:
            return False
        table = NodeTable()
        mine = _copied(table, [n for _, n in self._named])
        theirs = _copied(table, [n for _, n in other._named])
        return all(
            mine[a.serial] is theirs[b.serial]
            for (_, a), (_, b) in zip(self._named, other._named, strict=True)
        )

    def __hash__(self) -> int:
        return hash((self.names, self.outputs))

    def __copy__(self) -> Graph:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Graph:
        """A graph over a table of its own; symbols and expressions are immutable and shared."""
        graph = Graph.__new__(Graph)
        graph.__setstate__(self._flat())
        graph._given = self._given
        return graph

    def _flat(self) -> dict[str, Any]:
        """Flat lists: sympy's own expressions would be copied and pickled by recursion into their depth."""
        needed = topological([node for _, node in self._named] + [self.nodes[s] for s in self._inputs])
        number = {node.serial: k for k, node in enumerate(needed)}
        return {
            "steps": [(node.op, tuple(number[a.serial] for a in node.args), node.attrs) for node in needed],
            "names": [(symbol, number[node.serial]) for symbol, node in self._named],
            "inputs": [(symbol, number[self.nodes[symbol].serial]) for symbol in self._inputs],
            "outputs": self._outputs,
            "reserved": self.reserved,
        }

    def __getstate__(self) -> dict[str, Any]:
        given, flat = self._given, self._flat()
        long = len(flat["steps"]) > _PICKLED_NODES or (given is not None and len(given) > _PICKLED)
        if given is not None and (long or any(depth(e) > _PICKLED for _, e in given)):
            given = None  # they are made anew from the nodes
        return {**flat, "given": given}

    @CollectorPaused()
    def __setstate__(self, state: dict[str, Any]) -> None:
        table = NodeTable()
        made: list[Node] = []
        for op, args, attrs in state["steps"]:
            made.append(table.make(op, [made[k] for k in args], attrs))
        named = [(symbol, made[k]) for symbol, k in state["names"]]
        inputs = {symbol: made[k] for symbol, k in state["inputs"]}
        self._set(table, named, inputs, state["outputs"], state["reserved"])
        self._given = state.get("given")


def _in_use(
    intake: Intake, named: list[tuple[sp.Basic, Node]]
) -> tuple[NodeTable, list[tuple[sp.Basic, Node]], Mapping[sp.Basic, Node]]:
    """Table, named nodes and inputs; in a table of their own where terms have become transposes of others:
    whoever looks for the transpose of a term would find what they were.
    """
    if not intake.twins.found:
        return intake.table, named, intake.used
    table = NodeTable()
    made = _copied(table, [*(node for _, node in named), *intake.used.values()])
    inputs = {symbol: made[node.serial] for symbol, node in intake.used.items()}
    return table, [(symbol, made[node.serial]) for symbol, node in named], inputs


def _copied(table: NodeTable, roots: Sequence[Node], ties: str | None = None) -> dict[int, Node]:
    """The nodes in another table, by their serial numbers here."""
    made: dict[int, Node] = {}
    for node in topological(roots):
        attrs = node.attrs
        if ties is not None:
            attrs = with_ties(node.op, attrs, ties)
        made[node.serial] = table.make(node.op, [made[a.serial] for a in node.args], attrs)
    return made


# -- reading equations ------------------------------------------------------------


def _listed(equations: Any) -> Sequence[Any]:
    if isinstance(equations, Mapping):
        return list(equations.items())
    if isinstance(equations, sp.Basic) and not isinstance(equations, sp.Tuple):
        return [equations]
    if isinstance(equations, str) or not hasattr(equations, "__iter__"):
        raise GraphError(
            f"a Graph takes a list of equations (symbol, expression), found {type(equations).__name__} "
            f"{str(equations)[:60]!r}"
        )
    return list(equations)


def _pair(equation: Any, k: int) -> Pair:
    """The (symbol, expression) of one equation."""
    where = f"equation {k + 1}"
    if isinstance(equation, bool | BooleanAtom):
        raise GraphError(
            f"{where} is {equation}: sympy evaluates Eq when it is built, and this one (sides of different "
            f"kinds such as a scalar and a 1 x 1 matrix, or decided by assumptions) became {equation}; write "
            "the pair (symbol, expression), or Eq(symbol, expression, evaluate=False)"
        )
    if isinstance(equation, sp.Eq):
        left, right = equation.args
    elif isinstance(equation, tuple | list | sp.Tuple) and len(equation) == 2:
        left, right = equation
    else:
        found = brief(equation) if isinstance(equation, sp.Basic) else f"{equation!r:.60}"
        raise GraphError(
            f"{where} is no Eq(symbol, expression) and no pair (symbol, expression), found {found}"
        )
    if not (isinstance(left, sp.Symbol | sp.MatrixSymbol)):
        hint = "; write the symbol on the left" if isinstance(right, sp.Symbol | sp.MatrixSymbol) else ""
        raise GraphError(
            f"the left side of {where} is a Symbol or a MatrixSymbol, found "
            f"{brief(left) if isinstance(left, sp.Basic | sp.MatrixBase) else repr(left)[:60]}{hint}"
        )
    if isinstance(right, bool | BooleanAtom):
        raise GraphError(
            f"the right side of the equation of {left} is {right}: sympy evaluates a comparison when it is "
            "built; a value is a number, a scalar or a matrix"
        )
    return left, right


def _check_names(pairs: Sequence[Pair]) -> None:
    first: dict[sp.Basic, int] = {}
    for k, (symbol, _) in enumerate(pairs):
        if symbol in first:
            raise GraphError(
                f"{symbol} is defined twice, by equations {first[symbol] + 1} and {k + 1}; give each value a "
                "name of its own"
            )
        first[symbol] = k


def _check_one_name_each(symbols: Sequence[sp.Basic]) -> None:
    """Two symbols that print alike and differ in shape or assumptions are a mistake in most cases."""
    by_name: dict[str, sp.Basic] = {}
    for symbol in symbols:
        if isinstance(symbol, sp.Dummy):
            continue
        name = _name(symbol)
        other = by_name.setdefault(name, symbol)
        if other != symbol:
            raise GraphError(
                f"two different symbols are called {name}: {_described(other)} and {_described(symbol)}; use "
                "one symbol, or two names"
            )


def _name(symbol: Any) -> str:
    return str(symbol.name)


def _described(symbol: Any) -> str:
    if isinstance(symbol, sp.MatrixSymbol):
        return f"a MatrixSymbol of shape ({symbol.shape[0]}, {symbol.shape[1]})"
    given = ", ".join(f"{k}={v}" for k, v in sorted(symbol._assumptions_orig.items()) if k != "commutative")
    return f"a Symbol with {given}" if given else "a Symbol without assumptions"


def _fitted(table: NodeTable, symbol: Any, node: Node, expression: Any) -> Node:
    """The node as the value of a symbol: a 1 x 1 matrix and a scalar stand for each other."""
    wanted: Shape = shape_of(symbol)
    if node.kind == "boolean":
        raise UnsupportedExpressionError(
            f"{symbol} is given the condition {brief(expression)}; a value is a number: write Piecewise((1, "
            "condition), (0, True))"
        )
    if node.shape != wanted:
        if {node.shape, wanted} != {(), (1, 1)}:
            raise ShapeError(
                f"the equation of {symbol}: the left side is {_shape_text(wanted)}, the right side "
                f"{_shape_text(node.shape)}: {brief(expression)}; declare {_name(symbol)} with the shape of "
                "the right side"
            )
        node = table.reshape(node, wanted)
    if is_integer_symbol(symbol) and node.kind != "integer" and not _is_whole(node):
        raise GraphError(
            f"{symbol} is declared as an integer, but its equation gives a real number: {brief(expression)}; "
            f"declare it as Symbol({_name(symbol)!r})"
        )
    return node


def _is_whole(node: Node) -> bool:
    return node.op == "constant" and bool(node.attrs[0].is_Integer)  # type: ignore[attr-defined]


def _shape_text(shape: Shape) -> str:
    return f"of shape ({', '.join(map(str, shape))})" if shape else "a scalar"


def _names(symbols: Sequence[sp.Basic]) -> str:
    shown = ", ".join(map(str, symbols[:12]))
    return shown + (f", ... ({len(symbols)} in all)" if len(symbols) > 12 else "")


# -- targets ------------------------------------------------------------


@CollectorPaused()
def as_graph(target: Any, *, ties: str = "first") -> Graph:
    """The graph of an expression, of a list of expressions, or of a Graph (itself).

    The outputs of expressions are called `out`, `out1`, ... where no symbol has that name already; a 1 x 1
    matrix is a scalar.
    """
    if isinstance(target, Graph):
        return target if ties == "first" else target.with_ties(ties)
    listed = list(target) if isinstance(target, list | tuple | sp.Tuple) else [target]
    if not listed:
        raise GraphError("the list of expressions is empty; give at least one")
    for e in listed:
        if isinstance(e, sp.Eq | BooleanAtom | bool | tuple | Mapping):
            raise GraphError(
                f"a target is an expression, a list of expressions or a Graph, found {type(e).__name__} "
                f"{str(e)[:60]}; equations are declared as symprop.Graph([(symbol, expression), ...])"
            )
    table = NodeTable()
    intake = Intake(table, {}, ties=ties)
    nodes = [intake.target(e) for e in listed]
    sizes = dimension_symbols(nodes)
    taken = {_name(s) for s in [*intake.used, *sizes]}
    pairs, named = [], []
    count = 0
    for expression, node in zip(listed, nodes, strict=True):
        while (name := f"out{count or ''}") in taken:
            count += 1
        count += 1
        shape = () if node.shape == (1, 1) else node.shape
        symbol = sp.MatrixSymbol(name, *shape) if shape else sp.Symbol(name)
        named.append((symbol, _fitted(table, symbol, node, expression)))
        pairs.append((symbol, expression))
    _check_one_name_each([*dict(named), *intake.used, *sizes])
    graph = Graph.__new__(Graph)
    graph._set(*_in_use(intake, named), [symbol for symbol, _ in named])
    graph._given = tuple(pairs)
    return graph
