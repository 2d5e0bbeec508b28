"""Intake: sympy expressions become nodes, without recursion, each sub-expression object visited once.

What an expression becomes stands in tables of rules, one rule per class of sympy: `scalars.RULES`,
`matrices.RULES`; what is refused by name, with advice, in `refusals.ADVICE`.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from symprop.declare import matrices, refusals, scalars, sums
from symprop.declare.entries import Entries
from symprop.declare.forms import brief
from symprop.declare.twins import Twins
from symprop.errors import ShapeError, UnsupportedExpressionError
from symprop.functions.user import UserFunction
from symprop.graph import OPERATIONS, Node, NodeTable, topological

__all__ = ["Intake", "dimension_symbols", "take_in", "with_ties"]

_FOLDED_DEPTH = (
    100  # numbers nested deeper than this are computed at run time instead of as one exact constant
)

# What the parts of an expression are: scalars (a 1 x 1 matrix among them stands for its entry), anything that
# goes entry by entry, or operands whose shape counts.
SCALARS, ENTRIES, SHAPES = range(3)
Rule = tuple[Callable[[Any], Sequence[Any]], Callable[..., Node], int]  # parts to take in first, build, what


def _arguments(expression: Any) -> Sequence[Any]:
    return expression.args  # type: ignore[no-any-return]


def _operands(expression: Any) -> Sequence[Any]:
    return expression.operands  # type: ignore[no-any-return]


class Intake:
    """Makes nodes of sympy expressions in one table.

    `names` gives the nodes of symbols that stand for something; every other symbol is an input, and `used`
    holds the inputs in order of first use. `ties` is the convention of `Max` and `Min` at equal arguments:
    the gradient goes to the "first" argument in sympy's order, or is "split" evenly.

    >>> table, x = NodeTable(), sp.Symbol("x")
    >>> Intake(table, {}).node(sp.sin(x) + 1)
    %3 = add(%0, %2) ()
    """

    def __init__(
        self, table: NodeTable, names: Mapping[sp.Basic, Node] | None = None, *, ties: str = "first"
    ) -> None:
        self.table = table
        self.names: Mapping[sp.Basic, Node] = {} if names is None else names
        self.ties = ties
        self.used: dict[sp.Basic, Node] = {}
        self.arrivals: list[sp.Basic] = []  # the same inputs as a list, for looking at the last ones
        # nodes by the identity of the expression: comparing and hashing sympy expressions recurses. The
        # expression is kept, so that its identity stays its own.
        self._memo: dict[int, tuple[Any, Node]] = {}
        self.loops: Mapping[sp.Basic, sums.Loop] = {}  # what the indices of sums around this body stand for
        self.stands_in: dict[int, tuple[Any, Node]] = {}  # for parts of it that those indices occur in
        self.entries = Entries(table)
        self.transposes = False  # True where one was written
        self.twins = Twins(table)
        self._numeric: dict[int, int] = {}  # depth of each expression without symbols, by identity

    def node(self, expression: Any) -> Node:
        """The node of a sympy expression (or number, or matrix of scalars).

        Raises `UnsupportedExpressionError` for what has no real meaning here, `ShapeError` where shapes do
        not fit.
        """
        root = self._sympy(expression)
        memo = self._memo
        opened: dict[int, tuple[Rule, Sequence[Any]]] = {}
        todo = [root]
        while todo:
            current = todo[-1]
            key = id(current)
            if key in memo:
                todo.pop()
                continue
            if key not in opened:
                leaf = self._leaf(current)
                if leaf is not None:
                    memo[key] = (current, leaf)
                    todo.pop()
                    continue
                rule = self._rule(current)
                parts = tuple(rule[0](current))
                opened[key] = rule, parts
                missing = [p for p in parts if id(p) not in memo]
                if missing:
                    todo.extend(reversed(missing))
                    continue
            rule, taken = opened.pop(key)
            memo[key] = (current, self._build(current, rule, taken))
            todo.pop()
        return memo[id(root)][1]

    def target(self, expression: Any) -> Node:
        """The node of a whole expression: what it has twice, once as the transpose, is one value."""
        first = len(self.table.nodes)
        node = self.node(expression)
        return self.twins.shared(node, first) if self.transposes else node

    def scoped(self, names: MutableMapping[sp.Basic, Node]) -> Intake:
        """An intake for the body of a function whose arguments stand for nodes; its inputs count as used
        here.
        """
        inner = Intake(self.table, ChainMap(names, self.names), ties=self.ties)  # type: ignore[arg-type]
        inner.used, inner.arrivals = self.used, self.arrivals
        inner.loops, inner.stands_in = self.loops, self.stands_in
        inner._memo.update(self.stands_in)
        return inner

    def stand_in(self, expression: Any, node: Node) -> None:
        """Take a node for an expression of the body, here and in the functions applied in it."""
        self._memo[id(expression)] = self.stands_in[id(expression)] = (expression, node)

    def take(self, names: MutableMapping[sp.Basic, Node], body: Any) -> Node:
        """The node of a function's body, given the nodes of its arguments."""
        return self.scoped(names).node(body)

    # -- steps --------------------------------------------------------

    def _sympy(self, expression: Any) -> Any:
        if isinstance(expression, sp.Basic):
            return expression
        if isinstance(expression, sp.MatrixBase):
            return expression.as_immutable()
        try:
            value = sp.sympify(expression, strict=True)
        except (sp.SympifyError, TypeError, ValueError):
            value = None
        if not isinstance(value, sp.Basic) or isinstance(value, sp.NDimArray):
            raise UnsupportedExpressionError(
                f"a sympy expression is expected, found {type(expression).__name__} "
                f"{' '.join(str(expression).split())[:60]!r}; write numbers, sympy symbols and functions, "
                "matrices as sympy.Matrix or sympy.MatrixSymbol"
            )
        return value

    def _leaf(self, expression: Any) -> Node | None:
        """The node of a symbol or number; None for anything else."""
        if expression.is_Symbol or isinstance(expression, sp.MatrixSymbol):
            found = self.names.get(expression)
            return self._input(expression) if found is None else found
        if not expression.args and expression.is_number:
            self._numeric[id(expression)] = 0
            return scalars.number(self, expression)
        return None

    def _input(self, symbol: Any) -> Node:
        node = self.used.get(symbol)
        if node is None:
            refusals.check_symbol(symbol)
            node = self.used[symbol] = self.table.symbol(symbol)
            self.arrivals.append(symbol)
        return node

    def _rule(self, expression: Any) -> Rule:
        kind = type(expression)
        rule = _RULES_BY_TYPE.get(kind)
        if rule is None:
            if hasattr(expression, "operation"):
                rule = (_operands, _named, _operand_kind(expression))
            elif _is_user_function(expression):
                rule = (_arguments, _user, SCALARS)
            else:
                rule = next((_RULES[c] for c in kind.__mro__ if c in _RULES), None)
            if rule is None:
                if isinstance(expression, sp.Expr) and _is_free_of_symbols(expression):
                    return _NUMBER
                raise refusals.refusal(expression)
            _RULES_BY_TYPE[kind] = rule
        return rule

    def _build(self, expression: Any, rule: Rule, parts: Sequence[Any]) -> Node:
        memo, numeric = self._memo, self._numeric
        nodes = [memo[id(p)][1] for p in parts]
        if rule[2] != ENTRIES:
            for k, node in enumerate(nodes):
                if not node.shape:
                    continue
                # a symbol that stands for a matrix in the body of an elementwise function is a scalar to
                # sympy
                if parts[k].is_Matrix:
                    if rule[2] == SCALARS:
                        nodes[k] = scalars.scalar_operand(self, expression, parts[k], node)
                elif rule[2] == SHAPES:
                    raise refusals.refuse(
                        expression,
                        "it takes whole matrices and is not applied entry by entry to the scalar "
                        f"{brief(parts[k])}",
                    )
        if (
            parts
            and id(parts[0]) in numeric
            and rule[1] not in (_named, _user)
            and all(id(p) in numeric for p in parts)
        ):
            nested = 1 + max(numeric[id(p)] for p in parts)
            plain = isinstance(expression, sp.Expr) and not expression.is_Matrix
            evaluated = plain and not isinstance(expression, scalars.NOT_EVALUATED)
            if nested < _FOLDED_DEPTH and evaluated and expression.is_number:
                numeric[id(expression)] = nested
                return scalars.number(self, expression)
        try:
            return rule[1](self, expression, *nodes)
        except ShapeError as error:
            if error.args and " in the expression " in str(error.args[0]):
                raise
            raise ShapeError(f"{error}; in the expression {brief(expression)}") from None


def _operand_kind(expression: Any) -> int:
    declared = OPERATIONS.get(expression.operation)
    return ENTRIES if declared is not None and declared.elementwise else SHAPES


def _named(intake: Intake, expression: Any, *operands: Node) -> Node:
    """An operation of ours, as `symprop.nn` builds them."""
    if expression.operation not in OPERATIONS:
        raise UnsupportedExpressionError(f"{expression.operation} is not among the declared operations")
    attrs = expression.attrs
    if intake.ties != "first":
        if expression.operation in ("maximum", "minimum"):
            return _shared(intake, expression, operands)
        attrs = with_ties(expression.operation, attrs, intake.ties)
    return intake.table.make(expression.operation, operands, attrs)


def _shared(intake: Intake, expression: Any, operands: Sequence[Node]) -> Node:
    """A maximum (minimum) that shares its gradient; one written in another is one with more operands."""
    shared = f"shared_{expression.operation}"
    flat: list[Node] = []
    for written, node in zip(expression.operands, operands, strict=True):
        inner = getattr(written, "operation", None) in (expression.operation, shared)
        flat.extend(node.args if inner else (node,))
    if len(flat) == 2:
        return intake.table.make(expression.operation, flat, (intake.ties,))
    return intake.table.make(shared, flat)


def with_ties(operation: str, attrs: tuple[Any, ...], ties: str) -> tuple[Any, ...]:
    """The attributes of an operation with another convention at equal arguments (the only such texts)."""
    if operation in ("maximum", "minimum"):  # without attributes these send it to the first
        return (ties,)
    return tuple(ties if a in ("first", "split") else a for a in attrs)


def _is_user_function(expression: Any) -> bool:
    """True for a class that a user derived from sympy.Function, unless it only renames one that has a
    rule.
    """
    kind = type(expression)
    if not isinstance(expression, sp.Function) or isinstance(expression, AppliedUndef):
        return False
    if kind.__module__.startswith("sympy."):
        return False
    defines = any(not method.__module__.startswith("sympy.") for method in (kind.fdiff, kind.doit))
    return defines or not any(c in _RULES for c in kind.__mro__)


def _user(intake: Intake, expression: Any, *operands: Node) -> Node:
    """A function that the user defines with `fdiff` and `doit`."""
    function = UserFunction(type(expression), take_in)
    if not function.has_derivative and not function.has_value:
        raise UnsupportedExpressionError(
            f"{function} in {brief(expression)} has neither value nor derivative: define doit(self, **hints) "
            f"(the value) and fdiff(self, argindex=1) (the derivative) in the class {function}"
        )
    return intake.table.make("user" if function.has_derivative else "user_formula", operands, (function,))


def take_in(table: NodeTable, expression: Any, names: Mapping[sp.Basic, Node]) -> Node:
    """The node of an expression in a table, given the nodes of its symbols: one call of `Intake`."""
    return Intake(table, names).node(expression)


def _is_free_of_symbols(expression: Any) -> bool:
    """True where no symbol of any kind occurs; only small expressions are looked at."""
    todo, count = [expression], 0
    while todo:
        inner = todo.pop()
        count += 1
        if (
            count > 200
            or inner.is_Symbol
            or not isinstance(inner, sp.Expr)
            or getattr(inner, "is_Matrix", False)
        ):
            return False
        if isinstance(inner, AppliedUndef):
            return False
        todo.extend(inner.args)
    return bool(expression.is_number)


def dimension_symbols(nodes: Sequence[Node]) -> list[sp.Basic]:
    """The symbols in the shapes of the inputs that nodes need, in order of first use."""
    found: dict[sp.Basic, None] = {}
    for node in topological(nodes):
        if node.op == "symbol":
            for size in node.shape:
                if not isinstance(size, int):
                    found.update(dict.fromkeys(sorted(size.free_symbols, key=str)))
    return list(found)


_NUMBER: Rule = (lambda expression: (), scalars.number, SCALARS)  # whatever function it is a value of
_RULES: dict[type, Rule] = {
    **{
        kind: (parts or _arguments, build, ENTRIES if kind in scalars.OF_MATRICES else SCALARS)
        for kind, (parts, build) in scalars.RULES.items()
    },
    **{kind: (parts or _arguments, build, SHAPES) for kind, (parts, build) in matrices.RULES.items()},
    **{kind: (parts, build, SCALARS) for kind, (parts, build) in sums.RULES.items()},
}
_RULES_BY_TYPE: dict[type, Rule] = {}
