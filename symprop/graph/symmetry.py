"""Matrices that equal their transpose by the way they are made: A*A.T, A.T*B*A with a symmetric B, inverses
of such, sums of such.
"""

from __future__ import annotations

from collections.abc import Hashable
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
    if node.op in ("inverse", "transpose", "cofactor", "cofactor_slope"):
        return list(node.args)
    if node.op == "matmul":
        return _palindrome(node)
    return list(node.args) if OPERATIONS[node.op].elementwise else None


def _palindrome(node: Node) -> list[Node] | None:
    """What must be symmetric for a product to be: of A.T*B*A the middle B, of S*A*B*A.T*S also the outer S.

    None for a product that does not read the same from behind, transposed.
    """
    factors, todo = [], [node]
    while todo:
        factor = todo.pop()
        matrices = [a for a in factor.args if a.shape] if factor.op == "mul" else []
        if factor.op == "matmul":
            todo += [factor.args[1], factor.args[0]]
        elif len(matrices) == 1:  # scalars among the factors
            todo += matrices
        else:
            factors.append(factor)
        if len(factors) + len(todo) > _LONGEST:
            return None
    needs: list[Node] = []
    for first, last in zip(factors, reversed(factors[len(factors) // 2 :]), strict=False):
        if first is last:  # the middle, or a pair that must be symmetric
            needs.append(first)
        elif not _transposed(first, last):
            return None
    return needs


def _transposed(a: Node, b: Node) -> bool:
    """True where one node is by its form the transpose of the other, the transposes inside or outside."""
    if a.shape != b.shape[::-1]:
        return False
    numbers: dict[Hashable, int] = {}
    form = _form(a, True, numbers)
    return form is not None and form == _form(b, False, numbers)


def _form(root: Node, turned: bool, numbers: dict[Hashable, int]) -> int | None:
    """A number that is the same for nodes of one form, transposes pushed down; None for a long term."""
    done: dict[tuple[int, bool], int] = {}
    todo, steps = [(root, turned)], 0
    while todo:
        node, turn = todo[-1]
        steps += 1
        if steps > 4 * _LONGEST:
            return None
        key: Hashable
        if len(node.shape) != 2:
            key, parts = (node.serial, False), []
        elif node.op == "transpose":
            key, parts = None, [(node.args[0], not turn)]
        elif node.op == "matmul" or OPERATIONS[node.op].elementwise:
            key, parts = (node.op, node.attrs), [(a, turn) for a in node.args]
        else:
            key, parts = (node.serial, turn), []
        missing = [p for p in parts if (p[0].serial, p[1]) not in done]
        if missing:
            todo += missing
            continue
        todo.pop()
        inner = [done[p.serial, t] for p, t in parts]
        if key is None:
            done[node.serial, turn] = inner[0]
            continue
        if node.op == "matmul" and turn:
            inner.reverse()
        elif parts and OPERATIONS[node.op].commutative:
            inner.sort()
        done[node.serial, turn] = numbers.setdefault((key, *inner), len(numbers))
    return done[root.serial, turned]
