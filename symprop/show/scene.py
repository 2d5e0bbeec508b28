"""What is drawn: the operations of a declared graph as boxes, the values between them as wires.

Nothing is computed here. A wire knows the nodes whose values it carries and the nodes that are its part of
their gradients: of several wires from one box each has its own contribution, and their sum is the gradient.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from symprop.declare import printing
from symprop.declare.network import Graph
from symprop.differentiate.reverse import adjoints, pullback
from symprop.errors import ArgumentError, UnsupportedExpressionError
from symprop.graph import Node, NodeTable, topological
from symprop.graph.nodes import constant_value
from symprop.show.gates import Gate, constant_text, gate_of
from symprop.show.text import pretty, shortened

__all__ = ["Box", "Scene", "Wire", "arrange"]

# a graph of more operations, or a longer one, is drawn by equations
AUTOMATIC_BOXES, AUTOMATIC_DEPTH = 48, 14
# more equations than that, or a longer chain of them, are drawn by layers
BY_LAYER, LAYER_DEPTH = 48, 2 * AUTOMATIC_DEPTH
MOST_BOXES = 3000
_TITLE = 400  # characters of a formula in a tooltip


@dataclass
class Box:
    """A leaf, a gate, a whole equation, a layer of equations, or the end of an output wire."""

    kind: str  # "leaf", "number", "gate", "function", "equation", "layer", "output"
    name: str = ""
    gate: Gate | None = None
    lines: list[str] = field(default_factory=list)
    caption: str = ""
    title: str = ""
    nodes: list[Node] = field(default_factory=list)  # whose values leave the box
    rank: int = 0


@dataclass
class Wire:
    """From one box to another: the nodes whose values it carries and its part of each gradient.

    `contributions` is None where there are no gradients, an entry None where nothing comes back.
    """

    source: int
    target: int
    nodes: list[Node]
    contributions: list[Node | None] | None = None
    position: int = 0  # among the operands of the target
    final: bool = False  # behind the sum over the samples


@dataclass
class Scene:
    """Boxes and wires, the names of nodes, and their gradients by serial number (None without gradients)."""

    boxes: list[Box]
    wires: list[Wire]
    names: dict[int, str]
    gradients: dict[int, Node | None] | None

    def leaving(self) -> dict[int, list[Wire]]:
        """The wires that leave each box."""
        result: dict[int, list[Wire]] = {k: [] for k in range(len(self.boxes))}
        for wire in self.wires:
            result[wire.source].append(wire)
        return result

    def stems(self) -> dict[int, Node]:
        """The boxes whose wires all carry one node, where its gradient is shown in whole: box to node."""
        result: dict[int, Node] = {}
        for box, wires in self.leaving().items():
            carried = {node.serial: node for wire in wires for node in wire.nodes}
            if len(carried) == 1:
                (result[box],) = carried.values()
        return result


def arrange(
    graph: Graph,
    table: NodeTable,
    nodes: Mapping[sp.Basic, Node],
    output: Node | None,
    expand: Any = None,
    totals: Mapping[int, tuple[str, Node]] | None = None,
) -> Scene:
    """The scene of a graph whose named nodes are `nodes` in `table`.

    `output` is the scalar whose gradients are shown, None for none. `expand` says which equations are drawn
    operation by operation: True for all, False for none, names for these; None for all of a small graph.
    `totals` gives for outputs, by serial number, what becomes of their samples: a name and the node.
    """
    return _Arranger(graph, table, nodes, output, totals or {}).scene(expand)


class _Arranger:
    """The steps from a graph to its scene."""

    def __init__(
        self,
        graph: Graph,
        table: NodeTable,
        nodes: Mapping[sp.Basic, Node],
        output: Node | None,
        totals: Mapping[int, tuple[str, Node]],
    ) -> None:
        self.totals = totals
        self.graph, self.table, self.nodes, self.output = graph, table, nodes, output
        self.symbols: dict[int, sp.Basic] = {}  # the first name of each named node
        self.names: dict[int, str] = {}
        for symbol in (*graph.inputs, *graph.names):
            serial = nodes[symbol].serial
            name = str(getattr(symbol, "name", symbol))
            if serial in self.names:
                self.names[serial] += f", {name}"
            else:
                self.names[serial], self.symbols[serial] = name, symbol
        self.seen: dict[int, Node] = {}
        self.entries: set[int] = set()
        self.opened: set[int] = set()
        self.adjoints: dict[int, Node | None] | None = None
        self.defined = list({nodes[s].serial: nodes[s] for s in graph.names}.values())

    # -- which nodes are seen ------------------------------------------------------------------------------

    def scene(self, expand: Any) -> Scene:
        """Everything, from the choice of boxes to the gradients on the wires."""
        seen = self._chosen(expand)
        if len(seen) > MOST_BOXES + len(self.defined):
            raise ArgumentError(
                f"the drawing would have {len(seen)} boxes, more than {MOST_BOXES}; name the equations to "
                "draw operation by operation: expand=[...]"
            )
        self.seen = seen
        self.adjoints = self._gradients()
        order = sorted(seen)
        cells = {serial: self._cell(seen[serial]) for serial in order}
        closed = [s for s in order if cells[s][0] and seen[s].args and self._box_kind(seen[s]) == "equation"]
        depth = self._depths(order, cells)
        if len(closed) > BY_LAYER or (closed and max(depth.values()) > LAYER_DEPTH):
            return self._by_layer(order, cells, depth)
        return self._one_box_each(order, cells)

    def _chosen(self, expand: Any) -> dict[int, Node]:
        """The nodes with a box of their own."""
        named = {n.serial: n for n in (*self.defined, *(self.nodes[s] for s in self.graph.inputs))}
        if expand is None:
            every = self._with_operations(self.defined, named)
            inner = [n for n in every.values() if n.args]
            depth: dict[int, int] = {}
            for node in topological(self.defined):
                own = node.serial in every and bool(node.args)
                depth[node.serial] = own + max((depth[a.serial] for a in node.args), default=0)
            small = len(inner) <= AUTOMATIC_BOXES and max(depth.values(), default=0) <= AUTOMATIC_DEPTH
            expand = small
        wanted = self.defined if expand is True else [] if expand is False else self._named_in(expand)
        self.opened = {n.serial for n in wanted}
        return self._with_operations(wanted, named)

    def _named_in(self, expand: Any) -> list[Node]:
        listed = [expand] if isinstance(expand, sp.Basic | str) else expand
        if not isinstance(listed, Iterable):
            raise ArgumentError(f"expand={expand!r}: expected True, False, None, or names of equations")
        by_name = {str(getattr(s, "name", s)): self.nodes[s] for s in self.graph.names}
        result = []
        for entry in listed:
            name = str(getattr(entry, "name", entry))
            if name not in by_name:
                close = difflib.get_close_matches(name, by_name, 1)
                hint = f"did you mean {close[0]}?" if close else f"the names are {_few(by_name)}"
                raise ArgumentError(f"expand names {name}, which no equation defines; {hint}")
            result.append(by_name[name])
        return result

    def _with_operations(self, opened: Sequence[Node], named: Mapping[int, Node]) -> dict[int, Node]:
        """The named nodes, and the operations in the equations that are opened."""
        seen = dict(named)
        entries = self._entries_of_inputs()
        every = {entry for using in entries.values() for entry in using}
        visited: set[int] = set()
        todo = list(opened)
        while todo:
            node = todo.pop()
            if node.serial in visited:
                continue
            visited.add(node.serial)
            if node.serial not in seen and not _glued(node):
                seen[node.serial] = node
            if node.serial not in every:
                todo.extend(a for a in node.args if a.serial not in named)
        whole = {serial: using for serial, using in entries.items() if using <= visited}
        self.entries = {entry for using in whole.values() for entry in using}
        return {serial: node for serial, node in seen.items() if serial not in whole}

    def _entries_of_inputs(self) -> dict[int, set[int]]:
        """The entries `x[i, j]` of each input of which nothing else is used: leaves where all are seen."""
        users: dict[int, list[Node]] = {}
        for node in topological(self.defined):
            for arg in node.args:
                users.setdefault(arg.serial, []).append(node)
        result: dict[int, set[int]] = {}
        named = set(self.names) - {self.nodes[s].serial for s in self.graph.inputs}
        for symbol in self.graph.inputs:
            serial = self.nodes[symbol].serial
            using = users.get(serial, [])
            if using and all(u.op == "index" and u.serial not in named for u in using):
                result[serial] = {u.serial for u in using}
        return result

    # -- cells: what a box computes from what --------------------------------------------------------------

    def _cell(self, node: Node) -> tuple[list[Node], list[Node]]:
        """The seen nodes that a box takes, in the order of its operands, and the constants among them.

        What an operation takes twice, as `x*x` does, is there twice.
        """
        found: dict[int, Node] = {}
        constants: list[Node] = []
        if node.serial in self.entries:
            return [], []
        todo = list(reversed(node.args))
        visited: set[int] = set()
        while todo:
            arg = todo.pop()
            if arg.serial in visited:
                continue
            visited.add(arg.serial)
            if arg.serial in self.seen:
                found[arg.serial] = arg
            elif constant_value(arg) is not None:
                constants.append(arg)
            else:
                todo.extend(reversed(arg.args))
        operands = [a for a in node.args if a.serial in found]
        if self._box_kind(node) == "gate" and len(operands) > len({a.serial for a in operands}):
            others = [a for a in found.values() if a not in operands]
            return operands + others, constants
        return list(found.values()), constants

    def _box_kind(self, node: Node) -> str:
        if not node.args or node.serial in self.entries:
            return "leaf"
        closed = node.serial in self.names and node.serial not in self.opened
        return "equation" if closed else "gate"

    def _gradients(self) -> dict[int, Node | None] | None:
        if self.output is None:
            return None
        real = [n for n in self.seen.values() if n.kind == "real"]
        try:
            return adjoints(self.table, self.output, real)
        except UnsupportedExpressionError:
            return None

    def _contributions(self, node: Node, takes: Sequence[Node]) -> list[Node | None]:
        """What a box sends back to each of the nodes that it takes."""
        upstream = None if self.adjoints is None else self.adjoints.get(node.serial)
        real = {a.serial: a for a in takes if a.kind == "real"}
        if upstream is None or not real or node.kind != "real":
            return [None] * len(takes)
        if len({a.serial for a in takes}) < len(takes):
            return self._by_operand(node, upstream, takes)
        sent = pullback(self.table, [(node, upstream)], list(real.values()), frozenset(real))
        return [sent.get(a.serial) for a in takes]

    def _by_operand(self, node: Node, upstream: Node, takes: Sequence[Node]) -> list[Node | None]:
        """The same where an operand is there more than once: each time as if it were another value."""
        table, left = self.table, list(takes)
        apart: dict[int, Node] = {}  # what stands for an operand, and the operand
        args = list(node.args)
        places: list[int | None] = [None] * len(takes)
        for k, arg in enumerate(args):
            if arg.kind == "real" and arg in left:
                name = f"operand {k}"
                args[k] = table.symbol(sp.MatrixSymbol(name, *arg.shape) if arg.shape else sp.Dummy(name))
                apart[args[k].serial] = arg
                at = left.index(arg)
                left[at], places[at] = args[k], args[k].serial
        twin = table.make(node.op, args, node.attrs)
        sent = pullback(table, [(twin, upstream)], [a for a in args if a.serial in apart], frozenset(apart))
        found = [None if p is None else sent.get(p) for p in places]
        made = dict(apart)
        for inner in topological([n for n in found if n is not None]):
            if inner.serial not in made:
                again = [made[a.serial] for a in inner.args]
                same = all(a is b for a, b in zip(again, inner.args, strict=True))
                made[inner.serial] = inner if same else table.make(inner.op, again, inner.attrs)
        return [None if n is None else made[n.serial] for n in found]

    # -- boxes and wires -----------------------------------------------------------------------------------

    def _one_box_each(
        self, order: Sequence[int], cells: Mapping[int, tuple[list[Node], list[Node]]]
    ) -> Scene:
        boxes: list[Box] = []
        wires: list[Wire] = []
        box_of: dict[int, int] = {}
        for serial in order:
            node = self.seen[serial]
            takes, constants = cells[serial]
            box_of[serial] = len(boxes)
            boxes.append(self._box(node, takes))
            here, sent = box_of[serial], self._contributions(node, takes)
            self._number_leaves(boxes, wires, here, constants)
            for k, (arg, part) in enumerate(zip(takes, sent, strict=True)):
                back = None if self.adjoints is None else [part]
                wires.append(Wire(box_of[arg.serial], here, [arg], back, k))
        self._end(boxes, wires, box_of, {a.serial for takes, _ in cells.values() for a in takes})
        return self._finished(boxes, wires)

    def _box(self, node: Node, takes: Sequence[Node]) -> Box:
        kind, name = self._box_kind(node), self.names.get(node.serial, "")
        if kind == "leaf":
            text = self._leaf_name(node)
            return Box("leaf", text, title=self._shape_text(node), nodes=[node])
        formula = self._formula(node)
        title = shortened(f"{name} = {formula}" if name else formula, _TITLE)
        if kind == "equation":
            inner = len([n for n in self._inside(node) if not _glued(n)])
            caption = f"{inner} operations" if inner > 1 else ""
            return Box("equation", name, None, [f"{name} = {formula}"], caption, title, [node])
        gate = gate_of(node, len(takes))
        return Box("gate" if gate.round else "function", name, gate, [gate.label], gate.passes, title, [node])

    def _leaf_name(self, node: Node) -> str:
        """An input by its name, a constant by its value, an entry as it is written."""
        if node.op == "symbol":
            return str(getattr(node.attrs[0], "name", node.attrs[0]))
        return _entry_name(node) if constant_value(node) is None else constant_text(node)

    def _output_name(self, node: Node) -> str:
        named = [s for s in self.graph.names if self.nodes[s] is node]
        return ", ".join(str(getattr(s, "name", s)) for s in named)

    def _formula(self, node: Node) -> str:
        names = {s: symbol for s, symbol in self.symbols.items() if s != node.serial}
        return pretty(printing.text(node, names).split("\n")[-1])

    def _inside(self, node: Node) -> list[Node]:
        """The nodes of a closed equation."""
        found: dict[int, Node] = {}
        todo = [node]
        while todo:
            current = todo.pop()
            if current.serial not in found and (current is node or current.serial not in self.seen):
                found[current.serial] = current
                todo.extend(current.args)
        return [n for n in found.values() if n.op != "constant"]

    def _shape_text(self, node: Node) -> str:
        name = self.names.get(node.serial) or printing.text(node)
        size = " × ".join(map(str, node.shape))
        return f"{name}: {size}" if size else name

    def _end(self, boxes: list[Box], wires: list[Wire], box_of: Mapping[int, int], used: set[int]) -> None:
        """A wire to the right for every output and for everything that nothing uses."""
        outputs = {self.nodes[s].serial for s in self.graph.outputs}
        first = self.nodes[self.graph.outputs[0]]
        ends = [n for n in self.defined if n.serial in outputs or n.serial not in used]
        for k, node in enumerate(ends):
            seed: Node | None = None
            if node is first and self.output is not None:
                seed = self.table.full(1, node.shape)
            back = None if self.adjoints is None else [seed]
            source, total = box_of[node.serial], self.totals.get(node.serial)
            if total is not None:
                gate = Gate(total[0])
                boxes.append(Box("function", "", gate, [gate.label], "over the samples"))
                wires.append(Wire(source, len(boxes) - 1, [node], back))
                source, node = len(boxes) - 1, total[1]
                back = (
                    None if back is None else [self.table.full(1, node.shape) if seed is not None else None]
                )
            boxes.append(Box("output", self._output_name(ends[k]), title=self._shape_text(ends[k])))
            wires.append(Wire(source, len(boxes) - 1, [node], back, final=total is not None))

    def _finished(self, boxes: list[Box], wires: list[Wire]) -> Scene:
        """The scene with ranks: as far left as the operands allow, leaves next to their first use."""
        arriving: dict[int, list[int]] = {}
        leaving: dict[int, list[int]] = {}
        for wire in wires:
            arriving.setdefault(wire.target, []).append(wire.source)
            leaving.setdefault(wire.source, []).append(wire.target)
        waiting = {k: len(arriving.get(k, [])) for k in range(len(boxes))}
        ready = [k for k in range(len(boxes)) if not waiting[k]]
        while ready:
            k = ready.pop()
            for target in leaving.get(k, []):
                boxes[target].rank = max(boxes[target].rank, boxes[k].rank + 1)
                waiting[target] -= 1
                if not waiting[target]:
                    ready.append(target)
        for k, box in enumerate(boxes):
            if box.kind in ("leaf", "leaves", "number") and k in leaving:
                box.rank = min(boxes[target].rank for target in leaving[k]) - 1
        return Scene(boxes, wires, self.names, self.adjoints)

    # -- many equations, by layers -------------------------------------------------------------------------

    def _depths(
        self, order: Sequence[int], cells: Mapping[int, tuple[list[Node], list[Node]]]
    ) -> dict[int, int]:
        """The number of boxes on the longest way to each."""
        depth: dict[int, int] = {}
        for serial in order:
            own = bool(self.seen[serial].args) and serial not in self.entries
            depth[serial] = own + max((depth[a.serial] for a in cells[serial][0]), default=0)
        return depth

    def _by_layer(
        self,
        order: Sequence[int],
        cells: Mapping[int, tuple[list[Node], list[Node]]],
        depth: Mapping[int, int],
    ) -> Scene:
        """Equations of one depth in one box; of a deep graph, those of several depths."""
        layers = self._layers(depth)
        group: dict[int, tuple[int, int]] = {}  # (layer, serial number of what has a box of its own)
        for serial, d in depth.items():
            if d:
                group[serial] = layers[d], serial if self._box_kind(self.seen[serial]) == "gate" else -1
        takers: dict[int, set[tuple[int, int]]] = {}  # of each leaf: the groups that use it
        for serial, key in group.items():
            for arg in cells[serial][0]:
                if arg.serial not in group:
                    takers.setdefault(arg.serial, set()).add(key)
        groups: dict[tuple[Any, ...], list[Node]] = {}
        for serial in order:
            if serial in group:
                groups.setdefault(("computed", group[serial]), []).append(self.seen[serial])
            else:
                groups.setdefault(("leaf", *sorted(takers.get(serial, ()))), []).append(self.seen[serial])
        boxes: list[Box] = []
        wires: list[Wire] = []
        box_of: dict[int, int] = {}
        for (kind, *_), members in groups.items():
            here = len(boxes)
            for node in members:
                box_of[node.serial] = here
            if kind == "computed" and len(members) == 1:
                takes, constants = cells[members[0].serial]
                boxes.append(self._box(members[0], takes))
                self._number_leaves(boxes, wires, here, constants)
            else:
                boxes.append(self._layer(members, kind == "computed"))
        carried: dict[tuple[int, int], dict[int, tuple[Node, list[Node]]]] = {}
        for serial in order:
            node = self.seen[serial]
            takes = cells[serial][0]
            if all(box_of[a.serial] == box_of[serial] for a in takes):
                continue
            for arg, back in zip(takes, self._contributions(node, takes), strict=True):
                if box_of[arg.serial] == box_of[serial]:
                    continue
                wire = carried.setdefault((box_of[arg.serial], box_of[serial]), {})
                parts = wire.setdefault(arg.serial, (arg, []))[1]
                if back is not None:
                    parts.append(back)
        for (source, target), content in carried.items():
            nodes = [arg for arg, _ in content.values()]
            back_all = [self.table.add(*parts) if parts else None for _, parts in content.values()]
            wires.append(Wire(source, target, nodes, None if self.adjoints is None else back_all))
        self._end(boxes, wires, box_of, {a.serial for takes, _ in cells.values() for a in takes})
        return self._finished(boxes, wires)

    def _layers(self, depth: Mapping[int, int]) -> dict[int, int]:
        """The layer of each depth: several of a deep graph are one, none with an opened equation."""
        deepest = max(depth.values())
        most = -(-deepest // AUTOMATIC_DEPTH) if deepest > LAYER_DEPTH else 1
        alone = {d for serial, d in depth.items() if d and self._box_kind(self.seen[serial]) == "gate"}
        result: dict[int, int] = {}
        layer, size = 0, 0
        for d in range(1, deepest + 1):
            if size == most or d in alone or d - 1 in alone:
                layer, size = layer + 1, 0
            result[d] = layer
            size += 1
        return result

    def _number_leaves(
        self, boxes: list[Box], wires: list[Wire], here: int, constants: Sequence[Node]
    ) -> None:
        """Leaves for the constants that a gate does not show itself."""
        gate = boxes[here].gate
        if gate is None or gate.absorbs:
            return
        for k, constant in enumerate(constants):
            boxes.append(Box("number", constant_text(constant)))
            wires.append(Wire(len(boxes) - 1, here, [], position=-1 - k))

    def _layer(self, members: Sequence[Node], computed: bool) -> Box:
        names = [self.names[n.serial] if computed else self._leaf_name(n) for n in members]
        if len(members) == 1 and not computed:
            return Box("leaf", names[0], title=self._shape_text(members[0]), nodes=list(members))
        listed = ", ".join(names) if len(names) <= 4 else f"{names[0]}, {names[1]} … {names[-1]}"
        count = f"{len(names)} {'equations' if computed else 'inputs'}"
        return Box(
            "layer" if computed else "leaves",
            listed,
            None,
            [shortened(listed, 40)],
            count,
            shortened(", ".join(names), _TITLE),
            list(members),
        )


def _glued(node: Node) -> bool:
    """True for what is no operation to a reader: constants, conditions, repeated numbers, a 1 x 1 matrix as a
    scalar.
    """
    if node.op in ("constant", "eye", "batch_size") or node.kind == "boolean":
        return True
    if node.op == "broadcast":
        return not node.args[0].shape
    return node.op == "reshape" and {node.shape, node.args[0].shape} == {(), (1, 1)}


def _entry_name(node: Node) -> str:
    """`x[2]` for an entry of a column, `x[2, 0]` for one of a matrix."""
    if node.op != "index":
        return pretty(printing.text(node))
    position: Any = node.attrs[0]
    places = position[:1] if node.args[0].shape[1:] == (1,) else position
    return f"{printing.text(node.args[0])}[{', '.join(map(str, places))}]"


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "")
