"""Nodes made anew in another table, with numbers for symbolic sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sympy as sp

from symprop.graph.nodes import Node, NodeTable, topological

__all__ = ["free_symbols_of_shape", "sized_symbol", "transplant"]

Sizes = Mapping[sp.Basic, int]


def transplant(
    roots: Iterable[Node],
    table: NodeTable,
    sizes: Sizes,
    number: Callable[[Any], Any] | None = None,
) -> dict[int, Node]:
    """The nodes that the roots need, made anew in `table` in their order: old serial number -> new node.

    Symbolic sizes become numbers; `number`, where it is given, says what becomes of a constant (and of a
    number among the attributes). In a fresh table the result does not depend on what else was made in the old
    one.
    """
    if not sizes and number is None and not table.nodes:
        return table.copies(topological(roots))
    made: dict[int, Node] = {}
    for node in topological(roots):
        args = [made[a.serial] for a in node.args]
        attrs = node.attrs
        if sizes:
            if node.op == "symbol" and attrs[0] in sizes:
                made[node.serial] = table.constant(sizes[attrs[0]])
                continue
            if node.op != "constant":
                attrs = tuple(_sized(a, sizes) for a in attrs)
        if node.op == "constant":
            (value,) = attrs
            value = _real(_numbers_in(value, sizes)) if sizes else value
            made[node.serial] = table.constant(value if number is None else number(value))
            continue
        if number is not None:
            attrs = tuple(number(a) if isinstance(a, sp.Number) else a for a in attrs)
        made[node.serial] = table.make(node.op, args, attrs)
    return made


def free_symbols_of_shape(symbol: sp.Basic) -> list[sp.Basic]:
    """The symbols in the sizes of a matrix symbol, in order."""
    result: dict[sp.Basic, None] = {}
    for size in getattr(symbol, "shape", ()):
        if isinstance(size, sp.Basic) and not size.is_Integer:
            result.update(dict.fromkeys(sorted(size.free_symbols, key=str)))
    return list(result)


def sized_symbol(symbol: sp.Basic, sizes: Sizes) -> sp.Basic:
    """A matrix symbol with its symbolic sizes replaced by numbers; any other symbol as it is."""
    if sizes and free_symbols_of_shape(symbol):
        shape = [_numbers_in(sp.sympify(d), sizes) for d in symbol.shape]
        return sp.MatrixSymbol(symbol.name, *shape)
    return symbol


def _numbers_in(expression: Any, sizes: Sizes) -> Any:
    return expression.xreplace({s: sp.Integer(n) for s, n in sizes.items()})


def _real(value: Any) -> Any:
    """A number as floats have it: 1/0 is infinite, a root of a negative number NaN."""
    if not value.args and value is not sp.zoo:
        return value
    if value.has(sp.zoo):
        return sp.oo if value is sp.zoo else sp.nan
    return sp.nan if value.has(sp.I) else value


def _sized(attr: Any, sizes: Sizes) -> Any:
    """An attribute (a shape, bounds of a slice, a symbol) with numbers for the symbolic sizes."""
    if isinstance(attr, tuple):
        return tuple(_sized(a, sizes) for a in attr)
    if isinstance(attr, sp.MatrixSymbol):
        return sized_symbol(attr, sizes)
    if isinstance(attr, sp.Basic):
        value = _numbers_in(attr, sizes)
        return int(value) if value.is_Integer else value
    return attr
