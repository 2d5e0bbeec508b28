"""What stands at a wire: the value above, the gradient below; numbers, or norms and heat maps of matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from symprop.graph import Node
from symprop.show.text import Line, Span, name_line, number_text, plain, text_width

__all__ = ["Heat", "Label", "Numbers", "Part", "Row", "label", "sum_label"]

SIZE = 12.0  # font size of the numbers
_ROW = 14.5  # height of a line
_PAD = 3.5  # between the wire and what is next to it
_SIDE = 38.0  # the longer side of a heat map
_THIN = 7.0  # the shorter side at least
_CELLS = 24  # most cells along a side
_TERMS = 3  # contributions that are written out
_LABELS = 4  # integers that are written out
_LISTED = 16  # entries of a matrix in a tooltip

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Numbers:
    """Values by serial number; `sampled` are those with one value per sample along the first axis."""

    values: Mapping[int, Array]
    sampled: frozenset[int] = frozenset()

    def of(self, node: Node) -> tuple[Array, int | None]:
        """The value, and the number of samples (None for a value without samples, or of one sample)."""
        array = np.asarray(self.values[node.serial])
        if node.serial not in self.sampled:
            return array, None
        return (array[0], None) if array.shape[0] == 1 else (array, array.shape[0])


@dataclass(frozen=True)
class Heat:
    """A heat map: entries in [-1, 1], and the width and the height of a cell."""

    entries: Array
    cell: tuple[float, float]

    @property
    def width(self) -> float:
        """In pixels."""
        return float(self.entries.shape[1] * self.cell[0])

    @property
    def height(self) -> float:
        """In pixels."""
        return float(self.entries.shape[0] * self.cell[1])


@dataclass(frozen=True)
class Row:
    """A line of text in a style: "value", "gradient" or "shape"."""

    line: Line
    style: str

    @property
    def width(self) -> float:
        """In pixels."""
        return text_width(self.line, SIZE)

    @property
    def height(self) -> float:
        """In pixels."""
        return _ROW


Part = Heat | Row


@dataclass
class Label:
    """Parts above the wire and below it, each from the top."""

    above: list[Part] = field(default_factory=list)
    below: list[Part] = field(default_factory=list)
    title: str = ""

    @property
    def width(self) -> float:
        """In pixels, with a margin."""
        return max((p.width for p in (*self.above, *self.below)), default=0.0) + 8.0

    @property
    def up(self) -> float:
        """How far it reaches above the wire."""
        return _PAD + sum(p.height + 2 for p in self.above)

    @property
    def down(self) -> float:
        """How far it reaches below the wire."""
        return _PAD + sum(p.height + 2 for p in self.below)


def label(
    nodes: Sequence[Node],
    gradients: Sequence[Node | None] | None,
    numbers: Numbers | None,
    name: str,
    brief: bool = False,
    final: bool = False,
) -> Label:
    """The label of a wire that carries these nodes and brings back these parts of their gradients.

    `brief` leaves out shape and heat map of the value, where they stand at the stem of the wire. A `final`
    wire lies behind the sum over the samples: its gradient is 1, once.
    """
    result = Label()
    if numbers is None:
        if name:
            result.above.append(Row(name_line(name), "value"))
        return result
    if len(nodes) > 1:
        return _bundle(nodes, gradients, numbers)
    (node,) = nodes
    value, samples = numbers.of(node)
    result.above = _value_parts(name, node, value, samples)[-1 if brief else 0 :]
    title = [_listing("value", value)]
    back = gradients[0] if gradients else None
    if back is not None:
        gradient, count = (np.ones(node.shape), None) if final else numbers.of(back)
        result.below = _gradient_parts(gradient, count)
        title.append(_listing("gradient", gradient))
    elif gradients is not None and node.kind == "real":
        result.below = [Row(plain(number_text(0.0)), "gradient")]
    result.title = "\n".join(t for t in title if t)
    return result


def sum_label(
    node: Node, parts: Sequence[Node | None], total: Node | None, numbers: Numbers | None, name: str
) -> Label:
    """The label where paths meet: the value above, the sum of what comes back below."""
    result = label([node], None if numbers is None else [total], numbers, name)
    back = [p for p in parts if p is not None]
    if numbers is None or (total is None and not back):
        return result
    value, samples = numbers.of(back[0] if total is None else total)
    if total is None:  # they cancel
        value = np.zeros_like(value)
    if value.size == 1 and samples is None:
        text = number_text(float(value.reshape(())))
        if len(back) > 1:
            terms = [number_text(float(np.reshape(numbers.of(p)[0], ()))) for p in back]
            text = f"{_joined(terms)} = {text}" if len(back) <= _TERMS else f"Σ of {len(back)} = {text}"
        result.below = [Row(plain(text), "gradient")]
    elif len(back) > 1:
        result.below.insert(0, Row(plain(f"Σ of {len(back)} paths"), "gradient"))
    return result


def _joined(terms: Sequence[str]) -> str:
    text = terms[0]
    for term in terms[1:]:
        text += f" − {term[1:]}" if term.startswith("−") else f" + {term}"
    return text


def _value_parts(name: str, node: Node, value: Array, samples: int | None) -> list[Part]:
    prefix = (*name_line(name), Span(" = ")) if name else ()
    if value.size == 1 and samples is None:
        number = number_text(float(value.reshape(())), node.kind == "integer")
        return [Row((*prefix, Span(number)), "value")]
    if not value.size:
        return [Row((*prefix, Span(_sizes(value, samples))), "shape")]
    start = (*name_line(name), Span("  ")) if name else ()
    if node.kind == "integer":
        listed = ", ".join(number_text(float(v), True) for v in np.ravel(value)[:_LABELS])
        more = ", …" if value.size > _LABELS else ""
        return [Row((*start, Span(_sizes(value, samples))), "shape"), Row(plain(listed + more), "value")]
    parts: list[Part] = [Row((*start, Span(_sizes(value, samples))), "shape")]
    return [*parts, _heat(value), Row(plain(f"norm {number_text(_norm(value))}"), "value")]


def _gradient_parts(value: Array, samples: int | None) -> list[Part]:
    if value.size == 1 and samples is None:
        return [Row(plain(number_text(float(value.reshape(())))), "gradient")]
    if not value.size:
        return []
    return [Row(plain(f"norm {number_text(_norm(value))}"), "gradient"), _heat(value)]


def _bundle(nodes: Sequence[Node], gradients: Sequence[Node | None] | None, numbers: Numbers) -> Label:
    values = [np.ravel(np.asarray(numbers.of(n)[0], float)) for n in nodes]
    result = Label(
        [
            Row(plain(f"{len(nodes)} values"), "shape"),
            Row(plain(f"norm {number_text(_norm(np.concatenate(values)))}"), "value"),
        ]
    )
    back = [np.ravel(np.asarray(numbers.of(g)[0], float)) for g in gradients or () if g is not None]
    if back:
        result.below = [Row(plain(f"norm {number_text(_norm(np.concatenate(back)))}"), "gradient")]
    return result


def _norm(value: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(np.ravel(np.asarray(value, float))))


def _sizes(value: Array, samples: int | None) -> str:
    shape = value.shape if samples is None else value.shape[1:]
    inner = "×".join(map(str, shape))
    if samples is None:
        return inner
    return f"{samples} × ({inner})" if shape else f"{samples} samples"


def _heat(value: Array) -> Heat:
    """The entries over the largest one; of a large matrix the largest entry of each block stands for it."""
    table = np.asarray(value, float)
    table = table.reshape(table.shape[0], -1) if table.ndim != 1 else table.reshape(1, -1)
    table = np.where(np.isfinite(table), table, np.sign(np.nan_to_num(table)))
    for axis in (0, 1):
        table = _coarser(table, axis)
    largest = float(np.max(np.abs(table))) or 1.0
    cell = min(max(_SIDE / max(table.shape), 1.5), 9.0)
    rows, columns = table.shape
    return Heat(table / largest, (max(cell, _THIN / columns), max(cell, _THIN / rows)))


def _coarser(table: Array, axis: int) -> Array:
    size = table.shape[axis]
    if size <= _CELLS:
        return table
    bounds = [size * k // _CELLS for k in range(_CELLS + 1)]
    blocks = [np.take(table, range(a, b), axis) for a, b in pairwise(bounds)]
    picked = []
    for block in blocks:
        at = np.expand_dims(np.argmax(np.abs(block), axis), axis)
        picked.append(np.take_along_axis(block, at, axis))
    return np.concatenate(picked, axis)


def _listing(what: str, value: Array) -> str:
    if value.ndim == 0 or not 0 < value.size <= _LISTED:
        return ""
    rows = np.asarray(value, float).reshape(value.shape[0], -1)
    text = "; ".join(" ".join(number_text(float(v)) for v in row) for row in rows)
    return f"{what} [{text}]"
