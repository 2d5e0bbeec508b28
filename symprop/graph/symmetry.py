"""Matrices that equal their transpose by the way they are made: A*A.T, A.T*B*A with a symmetric B, inverses
of such, sums of such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symprop.graph.operations import OPERATIONS

if TYPE_CHECKING:
    from symprop.graph.nodes import Node

__all__ = ["is_symmetric"]

_LONGEST = 16  # factors of a product that is looked at


def is_symmetric(node: Node, known: dict[int, bool]) -> bool:
    """True where the form of the node says that it is symmetric; `known` keeps what was found. Iterative."""
    todo = [node]
    while todo:
        here = todo[-1]
        if here.serial in known:
            todo.pop()
            continue
        needs = _needs(here)
        if needs is None:
            known[here.serial] = False
            continue
        missing = [n for n in needs if n.serial not in known]
        if missing:
            todo.extend(missing)
            continue
        known[here.serial] = all(known[n.serial] for n in needs)
    return known[node.serial]


def _needs(node: Node) -> list[Node] | None:
    """The nodes that must be symmetric for this one to be; None where it is not, whatever they are."""
    if len(node.shape) != 2:
        return []
    if node.shape[0] != node.shape[1]:
        return None
    if node.op in ("eye", "diag") or (node.op == "broadcast" and not node.args[0].shape):
        return []
    if node.op in ("inverse", "transpose"):
        return [node.args[0]]
    if node.op == "matmul":
        return _palindrome(node)
    return list(node.args) if OPERATIONS[node.op].elementwise else None


def _palindrome(node: Node) -> list[Node] | None:
    """The middle of a product that reads the same from behind, transposed; None for any other product."""
    factors, todo = [], [node]
    while todo:
        factor = todo.pop()
        if factor.op == "matmul":
            todo += [factor.args[1], factor.args[0]]
        else:
            factors.append(factor)
        if len(factors) + len(todo) > _LONGEST:
            return None
    for k, first in enumerate(factors):
        last = factors[-1 - k]
        if first is last:
            return [first]
        if not (_transposed(first, last) or _transposed(last, first)):
            return None
        if 2 * k + 2 >= len(factors):
            break
    return []


def _transposed(a: Node, b: Node) -> bool:
    return a.op == "transpose" and a.args[0] is b
