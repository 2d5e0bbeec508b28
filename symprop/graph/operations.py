"""The registry of operations: what a primitive knows is declared once, as one `Operation`.

An operation is a name and one rule per interpreter: shape, reverse mode, forward mode, definition over other
operations, reference value. How it becomes native code stands in the emitter's table under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symprop.graph.nodes import Node, NodeTable, Shape

__all__ = ["OPERATIONS", "Operation", "operation", "register"]

Attrs = tuple[Hashable, ...]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the node table.

    `infer(args, attrs)` gives (shape, kind) or raises `ShapeError`.
    `vjp(table, node, upstream)` gives the adjoint contribution of each argument (None for none), each of the
    shape of the node or of the argument; `partials` is the short form for elementwise operations: the local
    derivative with respect to each argument (None where it is zero), from which both modes follow.
    `jvp(table, node, tangents)` gives the tangent of the node (None for zero).
    `expand(table, node)` is the definition over other operations; primitives have none.
    `reference(attrs, *arrays)` is the value with NumPy, on float64 and, for operations that only move or add
    numbers, on object arrays too; `exact(attrs, *numbers)` is the scalar function with mpmath.
    `kinks(table, node)` are expressions whose zeros are the places where the derivative jumps.
    """

    name: str
    infer: Callable[[Sequence[Node], Attrs], tuple[Shape, str]]
    vjp: Callable[[NodeTable, Node, Node], Sequence[Node | None]] | None = None
    jvp: Callable[[NodeTable, Node, Sequence[Node | None]], Node | None] | None = None
    partials: Callable[[NodeTable, Node], Sequence[Node | None]] | None = None
    expand: Callable[[NodeTable, Node], Node] | None = None
    reference: Callable[..., Any] | None = None
    exact: Callable[..., Any] | None = None
    kinks: Callable[[NodeTable, Node], Sequence[Node]] | None = None
    elementwise: bool = False
    commutative: bool = False
    lowered: bool = False  # appears only after the rewriting for code generation
    latex: str = ""  # a pattern with {0}, {1} ... for the arguments
    summary: str = ""  # one line for the catalogue: what it is, as a formula
    source: str = ""  # where the definition comes from


OPERATIONS: dict[str, Operation] = {}


def register(declared: Operation) -> Operation:
    """Enter an operation into the registry; a name is declared once."""
    if declared.name in OPERATIONS:
        raise ValueError(f"operation {declared.name} is declared twice")
    OPERATIONS[declared.name] = declared
    return declared


def operation(name: str) -> Operation:
    """The operation of that name."""
    return OPERATIONS[name]
