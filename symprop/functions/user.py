"""Functions that a user defines as classes of sympy: `doit` gives the value as an expression, `fdiff` the
derivative.

Two operations serve them. `user` takes its derivative from `fdiff`; `user_formula` has a value only and is
differentiated through it. The class stands in the static attribute, together with the function that takes in
sympy expressions (this package comes before the one that does so).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.core.function import ArgumentIndexError

from symprop.errors import ShapeError, UnsupportedExpressionError
from symprop.graph import Node, NodeTable, Operation, Shape, register
from symprop.graph.nodes import broadcast_shapes

__all__ = ["UserFunction"]

TakeIn = Callable[[NodeTable, Any, Mapping[sp.Basic, Node]], Node]


@dataclass(frozen=True)
class UserFunction:
    """A user's class, and `take_in(table, expression, names)` that makes nodes of what its methods return."""

    function: type[sp.Function]
    take_in: TakeIn = field(compare=False, repr=False)

    def __str__(self) -> str:
        return str(self.function.__name__)

    @property
    def has_derivative(self) -> bool:
        """True where the class defines `fdiff` itself."""
        return self.function.fdiff is not sp.Function.fdiff

    @property
    def has_value(self) -> bool:
        """True where the class defines `doit` itself."""
        return self.function.doit is not sp.Function.doit

    def value(self, table: NodeTable, args: Sequence[Node]) -> Node:
        """The node of what `doit` returns, at the arguments."""
        call, names = self._call(args)
        formula = call.doit() if self.has_value else call
        if formula == call or getattr(formula, "func", None) is self.function:
            raise UnsupportedExpressionError(
                f"{self} has no value: define doit(self, **hints) in the class {self} to return it as an "
                "expression of self.args, so that it can be computed"
            )
        return self.take_in(table, formula, names)

    def partial(self, table: NodeTable, args: Sequence[Node], position: int) -> Node:
        """The node of what `fdiff(position + 1)` returns, at the arguments."""
        call, names = self._call(args)
        try:
            formula = call.fdiff(position + 1)
        except ArgumentIndexError:
            formula = None
        if formula is None or sp.sympify(formula).has(sp.Derivative, sp.Subs):
            raise UnsupportedExpressionError(
                f"{self} has no derivative with respect to its argument {position + 1}: define fdiff(self, "
                f"argindex=1) in the class {self} to return it as an expression of self.args"
            )
        return self.take_in(table, formula, names)

    def _call(self, args: Sequence[Node]) -> tuple[Any, dict[sp.Basic, Node]]:
        dummies = [sp.Dummy(f"a{k}") for k in range(len(args))]
        return self.function(*dummies), dict(zip(dummies, args, strict=True))


def _function(node: Node) -> UserFunction:
    function = node.attrs[0]
    assert isinstance(function, UserFunction)
    return function


def _infer(args: Sequence[Node], attrs: Any) -> tuple[Shape, str]:
    try:
        return broadcast_shapes([a.shape for a in args]), "real"
    except ValueError as error:
        raise ShapeError(f"{attrs[0]} takes operands of one shape, found {error}") from None


def _partials(table: NodeTable, node: Node) -> list[Node | None]:
    function = _function(node)
    return [function.partial(table, node.args, k) for k in range(len(node.args))]


def _expand(table: NodeTable, node: Node) -> Node:
    return table.broadcast(_function(node).value(table, node.args), node.shape)


for _name, _rule in (("user", _partials), ("user_formula", None)):
    register(
        Operation(
            name=_name,
            infer=_infer,
            partials=_rule,
            expand=_expand,
            elementwise=True,
            summary="a function that the user defines as a class of sympy",
        )
    )
