"""Reverse mode: one pass over the nodes between inputs and target, in reverse order.

Every node takes up its adjoint once, after all its users have sent theirs (where paths meet, contributions
add), and sends on to its arguments: `upstream * partial` for elementwise operations, the rule `vjp` for the
others, the derivative of the definition for a composite without a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from symprop.differentiate.accumulate import Contributions, Guards, fit
from symprop.errors import UnsupportedExpressionError
from symprop.graph import OPERATIONS, Node, NodeTable

__all__ = ["adjoints", "between", "pullback"]


def adjoints(
    table: NodeTable, target: Node, wrt: Sequence[Node], seed: Node | None = None
) -> dict[int, Node | None]:
    """The adjoint of every real node between `wrt` and `target`, by serial number; None where it is zero.

    `seed` is the adjoint of the target (default: ones). The adjoint of a node in `wrt` counts every path from
    it to the target. The pass is iterative and linear in the nodes and edges; the new nodes go into the same
    table. Raises UnsupportedExpressionError for an operation that has neither a derivative nor a definition.
    """
    return pullback(table, [(target, table.full(1, target.shape) if seed is None else seed)], wrt)


def between(targets: Iterable[Node], wrt: Iterable[Node], stop: frozenset[int] = frozenset()) -> list[Node]:
    """The real nodes on the paths from `wrt` to `targets`, in topological order; nodes in `stop` count as
    leaves.
    """
    sources = {node.serial for node in wrt}
    lowest = min(sources, default=0)  # a node made before every source cannot depend on one
    seen: dict[int, Node] = {}
    todo = list(targets)
    while todo:
        node = todo.pop()
        if node.serial in seen or node.serial < lowest or node.kind != "real":
            continue
        seen[node.serial] = node
        if node.serial not in stop:
            todo.extend(node.args)
    reached: set[int] = set()
    result: list[Node] = []
    for serial in sorted(seen):
        node = seen[serial]
        found = serial in sources
        if not found and serial not in stop:
            for arg in node.args:
                if arg.serial in reached:
                    found = True
                    break
        if found:
            reached.add(serial)
            result.append(node)
    return result


def pullback(
    table: NodeTable,
    seeds: Sequence[tuple[Node, Node]],
    wrt: Sequence[Node],
    stop: frozenset[int] = frozenset(),
    guards: Guards | None = None,
) -> dict[int, Node | None]:
    """`adjoints` of several targets at once: `seeds` are (target, its adjoint); nodes in `stop` count as
    leaves.
    """
    active = between([target for target, _ in seeds], wrt, stop)
    result: dict[int, Node | None] = {node.serial: None for node in (*wrt, *active)}
    flow = _Flow(table, Guards(table) if guards is None else guards, active)
    for target, seed in seeds:
        flow.receive(target, seed)
    for node in reversed(active):
        upstream = flow.take(node)
        if upstream is not None:
            result[node.serial] = upstream
            if node.args and node.serial not in stop:
                _send(flow, node, upstream)
    return result


class _Flow:
    """What has come back so far to the nodes that are still to be visited."""

    def __init__(self, table: NodeTable, guards: Guards, active: Iterable[Node]) -> None:
        self.table = table
        self.guards = guards
        self._received: dict[int, Node | Contributions | None] = {node.serial: None for node in active}

    def awaits(self, node: Node) -> bool:
        """True for a node between `wrt` and the target that is not visited yet."""
        return node.serial in self._received

    def receive(self, node: Node, value: Node) -> None:
        """Adds a contribution."""
        if node.serial in self._received:
            if self._received[node.serial] is None:
                self._received[node.serial] = value
            else:
                self.gathered(node).whole.append(value)

    def gathered(self, node: Node) -> Contributions:
        """The contributions of a node that has several, or entries and blocks."""
        before = self._received[node.serial]
        if not isinstance(before, Contributions):
            before = Contributions() if before is None else Contributions([before])
            self._received[node.serial] = before
        return before

    def take(self, node: Node) -> Node | None:
        """The adjoint of a node all of whose users have been visited."""
        received = self._received.pop(node.serial)
        if not isinstance(received, Contributions):
            return received
        upstream = received.sum(self.table, node.shape)
        if upstream is not None and not received.entries and not received.blocks:
            self.guards.note_sum(upstream, received.whole)
        return upstream


def _send(flow: _Flow, node: Node, upstream: Node) -> None:
    """Adds what `node` passes on to the contributions of its arguments."""
    table, guards = flow.table, flow.guards
    if node.op in ("index", "slice"):
        (arg,) = node.args
        if not flow.awaits(arg):
            return
        if node.op == "index":
            position: Any = node.attrs[0]
            flow.gathered(arg).entries.setdefault(position, []).append(upstream)
        else:
            pairs: Any = node.attrs[0]
            flow.gathered(arg).block(tuple(start for start, _ in pairs), upstream)
        return
    declared = OPERATIONS[node.op]
    passed: Sequence[Node | None]
    if declared.partials is not None:
        partials = declared.partials(table, node)
        passed = [
            guards.product(upstream, partial) if partial is not None and flow.awaits(arg) else None
            for arg, partial in zip(node.args, partials, strict=True)
        ]
    elif declared.vjp is not None:
        passed = declared.vjp(table, node, upstream)
    elif declared.expand is not None:
        passed = _through_definition(flow, node, upstream)
    else:
        raise UnsupportedExpressionError(
            f"{node.op} has no derivative: {node!r} lies between the target and the arguments to "
            "differentiate by; "
            "give the operation a rule, or differentiate by other arguments"
        )
    guard = None if declared.partials is not None else guards.of(upstream)
    if guard is not None and guard.shape:
        guard = None  # it masks entries of the node, not of its arguments
    for arg, value in zip(node.args, passed, strict=True):
        if value is None or not flow.awaits(arg):
            continue
        if value.shape != arg.shape:
            outside = guards.of(value)
            value = fit(table, value, arg.shape)
            guards.note(value, outside)
        guards.note(value, guard)
        flow.receive(arg, value)


def _through_definition(flow: _Flow, node: Node, upstream: Node) -> list[Node | None]:
    """The contributions of a composite: its definition, differentiated down to its arguments."""
    expand = OPERATIONS[node.op].expand
    assert expand is not None
    wrt = list({a.serial: a for a in node.args if a.kind == "real"}.values())
    stop = frozenset(a.serial for a in node.args)
    found = pullback(flow.table, [(expand(flow.table, node), upstream)], wrt, stop, flow.guards)
    # an argument that is used twice has its whole adjoint at its first place
    return [found.pop(arg.serial, None) for arg in node.args]
