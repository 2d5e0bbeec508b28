"""Terms that are written twice, once as their transpose, are one value.

sympy writes the transpose of a sum anew: `(A*X - Y).T*(A*X - Y)` comes as
`(X.T*A.T - Y.T)*(A*X - Y)`, with everything in it twice. Of two such terms one becomes the transpose of the
other, the one that has fewer transposes inside:

    X.T*A.T - Y.T and A*X - Y --> (A*X - Y).T and A*X - Y
"""

from __future__ import annotations

from symprop.graph import OPERATIONS, Node, NodeTable
from symprop.graph.transposes import existing, transposes_in

__all__ = ["Twins"]


class Twins:
    """Replaces terms by the transposes of others, across the expressions of one table."""

    def __init__(self, table: NodeTable) -> None:
        self.table = table
        self.found = False  # True where an expression was made anew
        self._done: dict[int, Node] = {}  # by serial number, what has become of earlier nodes

    def shared(self, root: Node, first: int) -> Node:
        """The expression of a node with each such pair as one value; `first` is the serial number of the
        first node that was made for it. What was there before stays as it is.
        """
        new = self._new(root, first)
        serials = {node.serial for node in new}
        turned: dict[int, Node] = {}  # nodes that are the transpose of another
        needed = {root.serial}
        for node in reversed(new):
            if node.serial not in needed:
                continue
            if node.serial not in turned:
                other = existing(self.table, node) if _is_term(node) else None
                if other is None or other is node or not _is_term(other):
                    needed.update(a.serial for a in node.args)
                    continue
                in_use = other.serial < first and self._done.get(other.serial, other) is other
                if in_use or (
                    other.serial in serials
                    and transposes_in(self.table, other) < transposes_in(self.table, node)
                ):
                    turned[node.serial] = other
                else:
                    turned[other.serial] = node
            if node.serial in turned:
                needed.add(turned[node.serial].serial)
            else:
                needed.update(a.serial for a in node.args)
        made = self._made(root, turned, first)
        self.found = self.found or made is not root
        return made

    def _new(self, root: Node, first: int) -> list[Node]:
        """The nodes of an expression that were not there before, in topological order."""
        found: dict[int, Node] = {}
        todo = [root]
        while todo:
            node = todo.pop()
            if node.serial >= first and node.serial not in found:
                found[node.serial] = node
                todo.extend(node.args)
        return [found[serial] for serial in sorted(found)]

    def _made(self, root: Node, turned: dict[int, Node], first: int) -> Node:
        done = self._done
        todo = [root]
        while todo:
            node = todo[-1]
            if node.serial in done:
                todo.pop()
                continue
            if node.serial < first:
                done[node.serial] = node
                continue
            other = turned.get(node.serial)
            needs = node.args if other is None else (other,)
            missing = [n for n in needs if n.serial not in done]
            if missing:
                todo.extend(missing)
                continue
            todo.pop()
            made = [done[n.serial] for n in needs]
            if other is not None:
                done[node.serial] = self.table.make("transpose", made, ((1, 0),))
            elif all(a is b for a, b in zip(made, node.args, strict=True)):
                done[node.serial] = node
            else:
                done[node.serial] = self.table.make(node.op, made, node.attrs)
        return done[root.serial]


def _is_term(node: Node) -> bool:
    """True for a sum of matrices or a function of their entries. (Products stay as they are written.)"""
    return (
        OPERATIONS[node.op].elementwise and bool(node.args) and len(node.shape) == 2 and node.shape != (1, 1)
    )
