"""A scene as SVG: boxes, labels and wires laid out and written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from symprop.graph import Node
from symprop.show.labels import SIZE, Heat, Label, Numbers, Row, label, sum_label
from symprop.show.layered import Item, Link, Placed, place
from symprop.show.scene import Box, Scene
from symprop.show.text import SMALL, Line, name_line, plain, text_width, wrapped

__all__ = ["Picture", "picture"]

_MARGIN = 14.0
_RADIUS = 17.0
_GATE, _NAME, _FORMULA, _CAPTION, _LEGEND = 14.0, 15.0, 12.5, 10.0, 11.0  # font sizes
_FORMULA_CHARACTERS, _FORMULA_LINES = 30, 3
_FORMULA_ROW = 16.0
_NAME_CHARACTERS = 28
_SHADES = 20  # of a heat map, for either sign
_SCRIPT_HEIGHT = {"sub": 3.5, "sup": -4.5}  # below the line


@dataclass
class Picture:
    """The inside of an SVG element, and its size."""

    body: str
    width: float
    height: float
    description: str


@dataclass
class _Shape:
    """A box or a label with its item of the layout."""

    item: Item
    box: Box | None = None
    label: Label | None = None
    rows: list[str] = field(default_factory=list)
    height: float = 0.0
    width: float = 0.0
    dot: bool = False


@dataclass
class _End:
    link: int
    classes: str
    arrow: bool


def picture(scene: Scene, numbers: Numbers | None, legend: bool = True) -> Picture:
    """Lay out a scene and write it."""
    return _Painter(scene, numbers).picture(legend)


class _Painter:
    """Makes shapes and links of a scene, has them placed, and writes them."""

    def __init__(self, scene: Scene, numbers: Numbers | None) -> None:
        self.scene, self.numbers = scene, numbers
        self.shapes: list[_Shape] = []
        self.links: list[Link] = []
        self.ends: list[_End] = []
        self.out: list[str] = []

    def picture(self, legend: bool) -> Picture:
        """The whole picture."""
        self._make_shapes()
        placed = place([s.item for s in self.shapes], self.links, self._order())
        for link, end in zip(self.links, self.ends, strict=True):
            self._wire(placed, link, end)
        for shape in self.shapes:
            if shape.box is not None:
                self._box(shape)
            elif shape.label is not None:
                self._label(shape)
        width, height = placed.width, placed.height
        if legend:
            width, height = self._legend(width, height)
        count = sum(1 for b in self.scene.boxes if b.kind not in ("leaf", "number", "output"))
        text = f"computational graph of {count} boxes with forward values and gradients"
        return Picture("\n".join(self.out), width + 2 * _MARGIN, height + 2 * _MARGIN, text)

    # -- shapes --------------------------------------------------------------------------------------------

    def _make_shapes(self) -> None:
        scene, stems = self.scene, self.scene.stems()
        arriving = [0] * len(scene.boxes)
        for wire in scene.wires:
            arriving[wire.target] += 1
        for box, count in zip(scene.boxes, arriving, strict=True):
            self.shapes.append(self._box_shape(box, count))
        for source, wires in scene.leaving().items():
            box = scene.boxes[source]
            layer = 3 * box.rank
            start = source
            many = len(wires) > 1 and source in stems
            if many:
                start = self._stem(box, stems[source], wires, layer + 1)
                self._link(source, start, "wire")
            for wire in wires:
                classes, arrow = self._wire_classes(wire, many), scene.boxes[wire.target].kind != "output"
                if not wire.nodes:
                    self._link(start, wire.target, classes, arrow)
                    continue
                named = "" if many else self._name(box, wire)
                content = label(
                    wire.nodes, wire.contributions, self.numbers, named, brief=many, final=wire.final
                )
                at = 3 * scene.boxes[wire.target].rank - 1 if many else layer + 1
                middle = len(self.shapes)
                self.shapes.append(self._label_shape(content, at, box))
                self._link(start, middle, classes)
                self._link(middle, wire.target, classes, arrow)

    def _stem(self, box: Box, node: Node, wires: Sequence[Any], layer: int) -> int:
        """Where the wires from a box part, and the gradients of the paths add."""
        parts = [wire.contributions[0] if wire.contributions else None for wire in wires if wire.nodes]
        totals = self.scene.gradients
        total = totals.get(node.serial) if totals is not None else None
        name = (
            self.scene.names.get(node.serial, "")
            if box.kind in ("gate", "function", "layer", "leaves")
            else ""
        )
        content = sum_label(node, parts, total, self.numbers, name)
        if totals is None:
            content.below = []
        self.shapes.append(self._label_shape(content, layer, box))
        self.shapes[-1].dot = True
        return len(self.shapes) - 1

    def _name(self, box: Box, wire: Any) -> str:
        """The name that stands at a wire: where no box at its ends shows it."""
        if len(wire.nodes) != 1 or self.scene.boxes[wire.target].kind == "output":
            return ""
        if box.kind == "equation" or (box.kind == "leaf" and wire.nodes[0].op != "constant"):
            return ""
        return self.scene.names.get(wire.nodes[0].serial, "")

    def _wire_classes(self, wire: Any, many: bool) -> str:
        target = self.scene.boxes[wire.target]
        if self.numbers is None or not wire.contributions:
            return "wire"
        back = [c for c in wire.contributions if c is not None]
        if wire.final:  # its gradient is 1, or there is none
            return "wire" if back else "wire off"
        if not back:
            return "wire off" if any(n.kind == "real" for n in wire.nodes) else "wire"
        routes = target.gate is not None and target.gate.family == "max"
        if routes and all(not self.numbers.of(c)[0].any() for c in back):
            return "wire off"
        return "wire"

    def _link(self, source: int, target: int, classes: str, arrow: bool = False) -> None:
        self.links.append(Link(source, target))
        self.ends.append(_End(len(self.links) - 1, classes, arrow))

    def _label_shape(self, content: Label, layer: int, source: Box) -> _Shape:
        stiff = 0.5 if source.kind in ("leaf", "leaves") else 3.0  # the way of the computation lies straight
        item = Item(layer, content.width, content.up, content.down, stiff=stiff)
        return _Shape(item, label=content)

    def _box_shape(self, box: Box, arriving: int) -> _Shape:
        rows: list[str] = []
        if box.kind in ("leaf", "output", "number"):
            line = self._leaf_line(box)
            width, height = text_width(line, _NAME) + 4, _NAME + 1
        elif box.kind == "gate" and arriving <= 4:
            width = height = 2 * _RADIUS
        elif box.kind == "gate":
            width, height = 2 * _RADIUS, max(2 * _RADIUS, 8.0 * arriving + 8)
        elif box.kind == "function":
            width, height = max(text_width(box.lines[0], _GATE) + 18, 34.0), 30.0
            rows = box.lines
        else:
            rows = wrapped(box.lines[0], _FORMULA_CHARACTERS, _FORMULA_LINES)
            width = max(text_width(row, _FORMULA) for row in rows) + 20
            height = len(rows) * _FORMULA_ROW + 14
        ports = 8.0
        if box.kind == "gate" and arriving <= 4:
            ports = {2: 16.0, 3: 11.0, 4: 8.0}.get(arriving, 8.0)
        elif arriving > 1:
            height = max(height, 8.0 * arriving + 6)
            ports = min(16.0, (height - 10) / (arriving - 1))
        below = height / 2 + (13.0 if box.caption else 0.0)
        wide = max(width, text_width(box.caption, _CAPTION) + 2)
        item = Item(3 * box.rank, wide, height / 2, below, ports=ports)
        if box.kind in ("leaf", "leaves"):
            item.stiff = 16.0  # beside its label
        elif box.kind == "number":
            item.stiff = 0.5
        return _Shape(item, box=box, rows=rows, height=height, width=width)

    def _leaf_line(self, box: Box) -> Line:
        name = box.name
        if len(name) > _NAME_CHARACTERS:
            name = name[: _NAME_CHARACTERS - 1] + "…"
        constant = box.kind == "number" or any(node.op == "constant" for node in box.nodes)
        return plain(name) if constant or " …" in name else name_line(name)

    def _order(self) -> list[int]:
        """Shapes from the top as a walk from the outputs meets them, operands in their order."""
        arriving: dict[int, list[int]] = {}
        position = {}
        for wire in self.scene.wires:
            position[(wire.source, wire.target)] = wire.position
        for link in self.links:
            arriving.setdefault(link.target, []).append(link.source)
        depth: dict[int, float] = {}
        ends = [k for k, s in enumerate(self.shapes) if s.box is not None and s.box.kind == "output"]
        todo = list(reversed(ends))
        while todo:
            k = todo.pop()
            if k in depth:
                continue
            depth[k] = len(depth)
            todo.extend(reversed(arriving.get(k, [])))
        rest = [k for k in range(len(self.shapes)) if k not in depth]
        return [*sorted(depth, key=lambda k: depth[k]), *rest]

    # -- writing -------------------------------------------------------------------------------------------

    def _wire(self, placed: Placed, link: Link, end: _End) -> None:
        items, spans = placed.items, placed.spans
        start = self.shapes[link.source]
        x, y = _right_end(start), start.item.y
        parts = [f"M{_n(x)} {_n(y)}"]
        last = len(link.path) - 1
        for k, (a, b) in enumerate(zip(link.path, link.path[1:], strict=False)):
            left, right = spans[items[a].layer][1], spans[items[b].layer][0]
            height = items[b].y + (link.offset if k + 1 == last else 0.0)
            if abs(height - y) >= 0.5:
                middle = (left + right) / 2
                parts.append(
                    f"H{_n(left)}C{_n(middle)} {_n(y)} {_n(middle)} {_n(height)} {_n(right)} {_n(height)}"
                )
                y = height
        target = self.shapes[link.target]
        x_end = _left_end(target, link.offset)
        if end.arrow:
            parts.append(f"H{_n(x_end - 5)}")
        else:
            parts.append(f"H{_n(x_end)}")
        self.out.append(f'<path class="{end.classes}" d="{"".join(parts)}"/>')
        if end.arrow:
            self.out.append(
                f'<path class="{end.classes.replace("wire", "tip")}" d="M{_n(x_end)} {_n(y)}l-7 -3.2v6.4z"/>'
            )

    def _box(self, shape: _Shape) -> None:
        box, item = shape.box, shape.item
        assert box is not None
        middle, y = item.x + item.width / 2, item.y
        family = f" {box.gate.family}" if box.gate is not None and box.gate.family else ""
        self.out.append(f'<g class="box{family}">')
        if box.title:
            self.out.append(f"<title>{escape(box.title)}</title>")
        if box.kind in ("leaf", "output", "number"):
            classes = "number" if box.kind == "number" else "name"
            x, anchor = (item.x, "start") if box.kind == "output" else (item.x + item.width, "end")
            self._text(x, y + 5, self._leaf_line(box), classes, _NAME, anchor)
        else:
            left, top = middle - shape.width / 2, y - shape.height / 2
            radius = _RADIUS if box.kind == "gate" else 7.0
            if box.kind == "gate" and shape.height == shape.width:
                self.out.append(f'<circle class="frame" cx="{_n(middle)}" cy="{_n(y)}" r="{_n(radius)}"/>')
            else:
                kind = "frame many" if box.kind in ("layer", "leaves") else "frame"
                self.out.append(
                    f'<rect class="{kind}" x="{_n(left)}" y="{_n(top)}" width="{_n(shape.width)}" '
                    f'height="{_n(shape.height)}" rx="{_n(radius)}"/>'
                )
            rows = shape.rows or box.lines
            size = _FORMULA if box.kind in ("equation", "layer", "leaves") else _GATE
            if box.kind == "gate" and len(rows[0]) > 2:
                size = _FORMULA
            for k, row in enumerate(rows):
                baseline = y + 0.36 * size + (k - (len(rows) - 1) / 2) * _FORMULA_ROW
                self._text(middle, baseline, plain(row), "sign", size, "middle")
            if box.caption:
                self._text(
                    middle, y + shape.height / 2 + 11, plain(box.caption), "caption", _CAPTION, "middle"
                )
        self.out.append("</g>")

    def _label(self, shape: _Shape) -> None:
        content, item = shape.label, shape.item
        assert content is not None
        middle = item.x + item.width / 2
        self.out.append("<g>")
        if content.title:
            self.out.append(f"<title>{escape(content.title)}</title>")
        y = item.y - content.up
        for part in content.above:
            self._part(part, middle, y)
            y += part.height + 2
        y = item.y + 3.5
        for part in content.below:
            self._part(part, middle, y)
            y += part.height + 2
        if shape.dot:
            self.out.append(f'<circle class="dot" cx="{_n(item.x + item.width)}" cy="{_n(item.y)}" r="3"/>')
        self.out.append("</g>")

    def _part(self, part: Row | Heat, middle: float, top: float) -> None:
        if isinstance(part, Row):
            self._text(middle, top + 11.5, part.line, part.style, SIZE, "middle")
            return
        left = middle - part.width / 2
        self.out.append('<g shape-rendering="crispEdges">')
        across, down = part.cell
        cells: dict[float, list[str]] = {}  # of each shade
        for i, row in enumerate(np.round(part.entries * _SHADES).tolist()):
            for j, shade in enumerate(row):
                if shade:
                    edges = _n(left + j * across), _n(top + i * down), _n(left + (j + 1) * across)
                    cells.setdefault(shade, []).append(
                        f"M{edges[0]} {edges[1]}H{edges[2]}V{_n(top + (i + 1) * down)}H{edges[0]}z"
                    )
        for shade, paths in sorted(cells.items()):
            sign = "plus" if shade > 0 else "minus"
            self.out.append(
                f'<path class="{sign}" fill-opacity="{_n(abs(shade) / _SHADES, 2)}" d="{"".join(paths)}"/>'
            )
        self.out.append(
            f'<rect class="map" x="{_n(left)}" y="{_n(top)}" width="{_n(part.width)}" '
            f'height="{_n(part.height)}"/></g>'
        )

    def _text(self, x: float, y: float, line: Line, classes: str, size: float, anchor: str) -> None:
        spans = []
        height = 0.0
        for span in line:
            text, wanted = escape(span.text), _SCRIPT_HEIGHT.get(span.style, 0.0)
            marks = f' dy="{_n(wanted - height)}"' if wanted != height else ""
            if span.style in _SCRIPT_HEIGHT:
                marks += f' font-size="{_n(size * SMALL)}"'
            elif span.style == "name":
                marks += ' font-style="italic"'
            spans.append(f"<tspan{marks}>{text}</tspan>" if marks else text)
            height = wanted
        self.out.append(
            f'<text class="{classes}" x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" '
            f'text-anchor="{anchor}" xml:space="preserve">{"".join(spans)}</text>'
        )

    def _legend(self, width: float, height: float) -> tuple[float, float]:
        """A line below that says what stands where; two where the picture is narrow."""
        entries = [("value", "value, forward (above)"), ("gradient", "gradient, backward (below)")]
        if self.numbers is None:
            return width, height
        if self.scene.gradients is None:
            entries = entries[:1]
        heat = any(
            isinstance(p, Heat) for s in self.shapes if s.label for p in (*s.label.above, *s.label.below)
        )
        if heat:
            entries += [("plus", "positive entries"), ("minus", "negative entries")]
        x, y = 0.0, height + 26
        most = x
        for style, text in entries:
            wide = text_width(text, _LEGEND)
            if x and x + wide > max(width, 120.0):
                x, y = 0.0, y + 15
            self._text(x, y, plain(text), style, _LEGEND, "start")
            x += wide + 18
            most = max(most, x - 18)
        return max(width, most), y + 4


def _left_end(shape: _Shape, offset: float) -> float:
    """Where a wire meets the left side of a box, that far from its middle."""
    item = shape.item
    if shape.box is None:
        return item.x + item.width  # it goes through between value and gradient
    left = item.x + (item.width - shape.width) / 2
    if shape.box.kind == "gate" and shape.height == shape.width and abs(offset) < _RADIUS:
        return left + _RADIUS - math.sqrt(_RADIUS**2 - offset**2)
    if shape.box.kind == "output":
        return item.x - 4
    return left


def _right_end(shape: _Shape) -> float:
    item = shape.item
    if shape.box is None:
        return item.x + item.width
    if shape.box.kind in ("leaf", "number"):
        return item.x + item.width + 4
    return item.x + (item.width + shape.width) / 2


def _n(value: float, digits: int = 1) -> str:
    """A coordinate in few digits."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
