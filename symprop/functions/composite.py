"""Declaring composite operations: a definition over primitives, and a derivative written for reading."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import sympy as sp

from symprop.errors import ShapeError
from symprop.functions.symbols import define_formula
from symprop.graph import Node, NodeTable, Operation, Shape, register
from symprop.graph.nodes import broadcast_shapes

__all__ = [
    "below",
    "count",
    "declare_elementwise",
    "gradient_form",
    "maximum",
    "minimum",
    "one_minus",
    "where",
]

Rule = Callable[[NodeTable, Node], Node]
Partials = Callable[[NodeTable, Node], Sequence[Node | None]]


def declare_elementwise(
    name: str,
    expand: Rule | None,
    partials: Partials,
    formula: Callable[..., sp.Basic],
    *,
    parameters: Mapping[int, Any] | None = None,
    attrs: Sequence[tuple[str, Hashable]] = (),
    **more: Any,
) -> Operation:
    """Declare a function of the entries: `expand` and `partials` of a node, and the formula in plain sympy.

    `parameters` are the default values of operands by position, `attrs` names and defaults of the attributes.
    """

    def infer(args: Sequence[Node], found: tuple[Hashable, ...]) -> tuple[Shape, str]:
        try:
            return broadcast_shapes([a.shape for a in args]), "real"
        except ValueError as error:
            raise ShapeError(f"{name} takes operands of one shape, found {error}") from None

    define_formula(name, formula, parameters, attrs)
    return register(
        Operation(name=name, infer=infer, expand=expand, partials=partials, elementwise=True, **more)
    )


# -- short forms for definitions ------------------------------------------------------------------


def where(t: NodeTable, condition: Node, a: Node | Any, b: Node | Any) -> Node:
    """a where the condition holds, else b; numbers stand for constants."""
    first, second = (v if isinstance(v, Node) else t.constant(v) for v in (a, b))
    return t.make("select", (condition, first, second))


def below(t: NodeTable, a: Node | Any, b: Node | Any) -> Node:
    """a < b; numbers stand for constants."""
    first, second = (v if isinstance(v, Node) else t.constant(v) for v in (a, b))
    return t.make("less", (first, second))


def maximum(t: NodeTable, a: Node, b: Node | Any) -> Node:
    """The larger of the two."""
    return t.make("maximum", (a, b if isinstance(b, Node) else t.constant(b)))


def minimum(t: NodeTable, a: Node, b: Node | Any) -> Node:
    """The smaller of the two."""
    return t.make("minimum", (a, b if isinstance(b, Node) else t.constant(b)))


def one_minus(t: NodeTable, a: Node) -> Node:
    """1 - a"""
    return t.sub(t.full(1, a.shape), a)


def count(shape: Shape) -> Any:
    """The number of entries; an expression where a size is symbolic."""
    result: Any = 1
    for size in shape:
        result = result * size
    return result


def gradient_form(t: NodeTable, node: Node, tangents: Sequence[Node | None]) -> Node | None:
    """The tangent of a scalar operation by its gradient: the sum of gradient ∘ tangent over the arguments."""
    from symprop.graph import OPERATIONS

    vjp = OPERATIONS[node.op].vjp
    assert vjp is not None
    terms = [
        t.sum(t.mul(gradient, tangent))
        for gradient, tangent in zip(vjp(t, node, t.constant(1)), tangents, strict=True)
        if gradient is not None and tangent is not None
    ]
    return t.add(*terms) if terms else None
