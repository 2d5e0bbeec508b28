"""Equations from nodes: shared terms get names, each is written before its first use.

Names follow the blackboard: `d_h` is the adjoint of `h`; unnamed forward values that are used again are `a`,
`a2`, ... and their adjoints `d_a`, `d_a2`, ...; other shared terms are `t`, `t2`, ... No name clashes with a
user's, of this target or of those that it was derived from (`Graph.reserved`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sympy as sp

from symprop.graph import Node, topological
from symprop.graph.nodes import constant_value

__all__ = ["Names", "arrange", "symbol_like"]

Equation = tuple[sp.Basic, Node]

# written again wherever they are used: leaves, and what is read as part of the term around it
_LEAVES = {"symbol", "constant", "eye", "one_hot"}
_WRITTEN_OUT = frozenset(
    _LEAVES | {"broadcast", "reshape", "transpose", "index", "slice", "pad", "place", "diag", "diagonal"}
)


class Names:
    """Hands out names that are not taken."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def fresh(self, wanted: str) -> str:
        """`wanted`, or with the first number that is free: h, h2, h3; after a digit W1_2, W1_3."""
        name, k = wanted, self._next.get(wanted, 2)
        while name in self._taken:
            name = f"{wanted}_{k}" if wanted[-1].isdigit() else f"{wanted}{k}"
            k += 1
        self._next[wanted] = k
        self._taken.add(name)
        return name


def symbol_like(name: str, node: Node) -> sp.Basic:
    """A symbol of the shape of a node."""
    return sp.MatrixSymbol(name, *node.shape) if len(node.shape) == 2 else sp.Symbol(name)


def arrange(
    equations: Sequence[Equation],
    names: Names,
    forward: Sequence[Node] = (),
    adjoint_of: Mapping[int, Node] | None = None,
    defined: int = 0,
) -> list[Equation]:
    """The equations and those of the terms they share, each before its first use.

    The first `defined` equations are those of the network. `forward` are its nodes, `adjoint_of` gives for
    the serial number of an adjoint the forward node that it belongs to: both only for the names of shared
    terms.
    """
    adjoint_of = adjoint_of or {}
    named: dict[int, sp.Basic] = {}
    for symbol, node in equations[:defined]:
        if node.op not in ("symbol", "constant"):
            named.setdefault(node.serial, symbol)
    network = {node.serial for node in topological([node for _, node in equations[:defined]])}
    for symbol, node in equations[defined:]:
        origin = adjoint_of.get(node.serial)
        if node.serial in network:
            continue  # equal to an unnamed forward value, which is then shared: a = z - t, d_z = a
        if origin is not None and origin.args and origin.serial not in named:
            continue  # the adjoint of an unnamed node: d_a, and of a parameter that has the same, d_b1 = d_a
        if node.op not in ("symbol", "constant"):
            named.setdefault(node.serial, symbol)
    shared = _shared([node for _, node in equations], named)
    named.update(_labels(shared, names, forward, adjoint_of))
    result: list[Equation] = []
    written: set[int] = set()
    for symbol, node in equations:
        for term in _needed(node, named, written):
            if named[term.serial] is not symbol:
                result.append((named[term.serial], term))
        result.append((symbol, node))
    return _first_of_each(result)


def _first_of_each(equations: Sequence[Equation]) -> list[Equation]:
    """Without the repetition of an equation that an earlier one has called for."""
    first: dict[sp.Basic, Node] = {}
    for symbol, node in equations:
        first.setdefault(symbol, node)
    return list(first.items())


def _shared(roots: Sequence[Node], named: Mapping[int, sp.Basic]) -> list[Node]:
    """The unnamed nodes that would be written out more than once."""
    uses: dict[int, int] = {}
    for root in roots:
        uses[root.serial] = uses.get(root.serial, 0) + 1
    result: list[Node] = []
    for node in reversed(topological(roots)):
        passed = uses[node.serial]
        if node.serial in named:
            passed = 1
        elif passed > 1 and _worth_a_name(node, named):
            result.append(node)
            passed = 1
        for arg in node.args:
            uses[arg.serial] = uses.get(arg.serial, 0) + passed
    found = {node.serial for node in result}
    return [node for node in result if not (_is_multiple(node) and node.args[1].serial in found)]


def _is_multiple(node: Node) -> bool:
    """True for a number times something."""
    return node.op == "mul" and len(node.args) == 2 and node.args[0].op == "constant"


def _worth_a_name(node: Node, named: Mapping[int, sp.Basic]) -> bool:
    if node.kind != "real" or node.op in _WRITTEN_OUT:
        return False
    if node.op == "pow" and node.args[0].kind == "integer" and constant_value(node.args[1]) is not None:
        return False  # 1/n
    if _is_multiple(node):
        factor = node.args[1]  # a multiple of something short
        return not (factor.serial in named or factor.op in _WRITTEN_OUT)
    return any(constant_value(a) is None for a in node.args)


def _labels(
    shared: Sequence[Node], names: Names, forward: Sequence[Node], adjoint_of: Mapping[int, Node]
) -> dict[int, sp.Basic]:
    """Names for the shared terms; a forward value and its adjoint go by one letter and number."""
    inner = {node.serial: node for node in forward}
    origins: dict[int, Node] = {}
    for node in shared:
        origin = node if node.serial in inner else adjoint_of.get(node.serial)
        if origin is not None:
            origins[origin.serial] = origin
    letters = {serial: names.fresh("a") for serial in sorted(origins)}
    result: dict[int, sp.Basic] = {}
    for node in sorted(shared, key=lambda n: n.serial):
        if node.serial in inner:
            name = letters[node.serial]
        elif node.serial in adjoint_of:
            name = names.fresh("d_" + letters[adjoint_of[node.serial].serial])
        else:
            name = names.fresh("t")
        result[node.serial] = symbol_like(name, node)
    return result


def _needed(root: Node, named: Mapping[int, sp.Basic], written: set[int]) -> list[Node]:
    """The named nodes that `root` needs and that are not written yet, in topological order."""
    found: list[Node] = []
    todo = [root]
    while todo:
        node = todo.pop()
        if node.serial in written:
            continue
        written.add(node.serial)
        if node.serial in named:
            found.append(node)
        todo.extend(node.args)
    return sorted(found, key=lambda n: n.serial)
