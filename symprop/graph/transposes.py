"""Transposes of terms: pushed down to the factors where that leaves fewer of them.

(x.T*A).T --> A.T*x;   (B.T*X.T + C.T).T --> X*B + C;   (A*B).T and (x - y).T stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symprop.graph.operations import OPERATIONS

if TYPE_CHECKING:
    from symprop.graph.nodes import Node, NodeTable

__all__ = ["Turns", "existing", "transposes_in", "turned", "written_out"]

_SMALL = 16  # operations of a term whose transpose is looked for
_MOST = 1000  # transposes in a term written out; beyond it a term stays as it is

# serial number -> transposes in the node, in its transpose, whether that is the transpose of the whole
Turns = dict[int, tuple[int, int, bool]]


def turned(table: NodeTable, node: Node, known: Turns, free: bool) -> Node | None:
    """The transpose of a matrix with the transposes inside, None where it is better left outside. Iterative.

    The value of a node may be in use, and then its transpose costs nothing: its terms are written anew only
    where fewer transposes are left, or as few where `free` (the value is used in this form only), or where
    they exist already.
    """
    if not _is_inner(node):
        return None
    _count(table, node, known)
    here, there, whole = known[node.serial]
    if here >= _MOST:
        return None
    if whole or there > here + (free and node.op in ("matmul", "mul", "add")):
        return existing(table, node)
    done: dict[int, Node] = {}
    todo = [node]
    while todo:
        current = todo[-1]
        missing = [a for a in current.args if a.serial not in done] if _is_inner(current) else []
        if missing:
            todo.extend(missing)
            continue
        todo.pop()
        if current.serial not in done:
            done[current.serial] = _turn(table, current, done, known)
    return done[node.serial]


def existing(table: NodeTable, root: Node) -> Node | None:
    """The transpose with the transposes inside where the table holds it; looked for in small terms."""
    done: dict[int, Node] = {}
    found: Node | None
    todo, steps = [root], 0
    while todo:
        node = todo[-1]
        steps += 1
        if steps > 4 * _SMALL:
            return None
        repeated = node.op == "broadcast" and len(node.shape) == 2
        missing = [a for a in node.args if a.serial not in done] if _is_inner(node) or repeated else []
        if missing:
            todo.extend(missing)
            continue
        todo.pop()
        if repeated:
            found = table.find("broadcast", (done[node.args[0].serial],), (node.shape[::-1],))
        elif not _is_inner(node):
            scalar = len(node.shape) != 2
            found = (
                node if scalar else written_out(table, node) or table.find("transpose", (node,), ((1, 0),))
            )
            if node.op == "transpose":
                found = node.args[0]
        else:
            args = [done[a.serial] for a in node.args]
            found = table.find(node.op, args[::-1] if node.op == "matmul" else args, node.attrs)
        if found is None:
            return None
        done[node.serial] = found
    return done[root.serial]


def transposes_in(table: NodeTable, node: Node) -> int:
    """How many transposes are written in a term."""
    known: Turns = {}
    _count(table, node, known)
    return known[node.serial][0]


def written_out(table: NodeTable, node: Node) -> Node | None:
    """The transpose of a matrix that is written entry by entry, as another such: of a row or a column, and of
    those of which the table holds it (the two of a large one are twice the memory).
    """
    if node.op != "place" or len(node.shape) != 2:
        return None
    positions: Any = node.attrs[1]
    entries = sorted(zip(((j, i) for i, j in positions), node.args, strict=True), key=lambda entry: entry[0])
    args = tuple(value for _, value in entries)
    attrs = node.shape[::-1], tuple(position for position, _ in entries)
    return table.make("place", args, attrs) if 1 in node.shape else table.find("place", args, attrs)


def _is_inner(node: Node) -> bool:
    """True where the transpose of the node is the same operation on the transposes of its arguments."""
    return len(node.shape) == 2 and (node.op == "matmul" or OPERATIONS[node.op].elementwise)


def _turn(table: NodeTable, node: Node, done: dict[int, Node], known: Turns) -> Node:
    if len(node.shape) != 2 or node.op == "diag":
        return node
    if node.op == "transpose":
        return node.args[0]
    if table.is_symmetric(node):
        return node
    if not _is_inner(node):
        return table.transpose(node)
    if known[node.serial][2]:
        return table.make("transpose", (node,), ((1, 0),))
    args = [done[a.serial] for a in node.args]
    return _product(table, args[1], args[0]) if node.op == "matmul" else table.make(node.op, args, node.attrs)


def _product(table: NodeTable, a: Node, b: Node) -> Node:
    """a*b; where b is p*q and the table holds (a*p)*q, that."""
    if b.op == "matmul":
        left = table.find("matmul", (a, b.args[0]))
        found = table.find("matmul", (left, b.args[1])) if left is not None else None
        if found is not None:
            return found
    return table.matmul(a, b)


def _count(table: NodeTable, root: Node, known: Turns) -> None:
    """Enters the counts of a node and of what it needs."""
    todo = [root]
    while todo:
        node = todo[-1]
        if node.serial in known:
            todo.pop()
            continue
        inner, whole = _is_inner(node), False
        missing = [a for a in node.args if a.serial not in known] if inner or node.op == "transpose" else []
        if missing:
            todo.extend(missing)
            continue
        todo.pop()
        if inner:
            found = [known[a.serial] for a in node.args]
            here, there = sum(f[0] for f in found), sum(f[1] for f in found)
            # (x - y).T and sin(W*x).T stay whole: they may have a name, and are no longer than written anew
            whole = node.op != "matmul" and (there > here or there == here > 1)
            counts = here, here + 1 if whole else there
        elif node.op == "transpose":
            below = known[node.args[0].serial][0]
            counts = below + 1, below
        else:
            repeated = node.op == "broadcast" and not node.args[0].shape
            free = len(node.shape) != 2 or node.op in ("diag", "eye") or repeated
            free = free or written_out(table, node) is not None
            counts = 0, 0 if free else 1
        if counts[0] != counts[1] and table.is_symmetric(node):
            counts, whole = (counts[0], counts[0]), False
        known[node.serial] = min(counts[0], _MOST), min(counts[1], _MOST), whole
