"""A layered layout: boxes in columns from left to right, wires between them, nothing on top of anything.

In three steps, each linear or nearly so and without recursion: within the columns an order with few crossings
(barycenters, swept to and fro), then heights by least squares that keep the order and the distances (pooling
of adjacent violators), then the columns side by side. A wire that passes a column has a place of its own in
it, so that wires cross only between the columns.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Item", "Link", "Placed", "place"]

_SWEEPS = 16  # of ordering: barycenters settle after a few
_SETTLING = 40  # of heights
_CLOSE = 10.0  # pixels between neighbours in a column
_TIGHT = 7.0  # the same where one of them is a wire that passes


@dataclass
class Item:
    """A box of a column: `width`, and how far it reaches above and below the height of its wire."""

    layer: int
    width: float
    up: float
    down: float
    stiff: float = 1.0  # how much it wants to lie straight
    ports: float = 9.0  # distance between the wires that end here
    x: float = 0.0  # the left edge
    y: float = 0.0  # the height of the wire


@dataclass
class Link:
    """A wire from one item to another in a later layer; `path` are the items that it passes."""

    source: int
    target: int
    path: list[int] = field(default_factory=list)
    offset: float = 0.0  # of its end from the middle of the target


@dataclass
class Placed:
    """The size of the picture; items and links carry their places."""

    items: list[Item]
    links: list[Link]
    spans: list[tuple[float, float]]  # the left and right edge of every column
    width: float
    height: float


def place(items: Sequence[Item], links: Sequence[Link], order: Sequence[int]) -> Placed:
    """Give every item its x and y; `order` is the order of the items to begin with, from the top."""
    all_items = list(items)
    _drop_empty_layers(all_items)
    _pass_layers(all_items, links)
    columns = _columns(all_items, links, order)
    following, preceding = _neighbours(len(all_items), links)
    _reduce_crossings(columns, following, preceding)
    rank = _ranks(columns, len(all_items))
    _set_ports(all_items, links, rank)
    _set_heights(all_items, links, columns)
    spans = _set_columns(all_items, links, columns)
    height = max((i.y + i.down for i in all_items), default=0.0)
    return Placed(all_items, list(links), spans, spans[-1][1] if spans else 0.0, height)


def _drop_empty_layers(items: Sequence[Item]) -> None:
    used = sorted({item.layer for item in items})
    number = {layer: k for k, layer in enumerate(used)}
    for item in items:
        item.layer = number[item.layer]


def _pass_layers(items: list[Item], links: Sequence[Link]) -> None:
    """A small item in every layer that a wire passes."""
    for link in links:
        link.path = [link.source]
        for layer in range(items[link.source].layer + 1, items[link.target].layer):
            link.path.append(len(items))
            items.append(Item(layer, 0.0, 1.0, 1.0, stiff=4.0))
        link.path.append(link.target)


def _steps(links: Sequence[Link]) -> list[tuple[int, int, int]]:
    """(from, to, link) of every step of every wire, from one layer to the next."""
    return [(a, b, k) for k, link in enumerate(links) for a, b in zip(link.path, link.path[1:], strict=False)]


def _neighbours(count: int, links: Sequence[Link]) -> tuple[list[list[int]], list[list[int]]]:
    following: list[list[int]] = [[] for _ in range(count)]
    preceding: list[list[int]] = [[] for _ in range(count)]
    for a, b, _ in _steps(links):
        following[a].append(b)
        preceding[b].append(a)
    return following, preceding


# -- order within the columns ------------------------------------------------------------------------------


def _columns(items: Sequence[Item], links: Sequence[Link], order: Sequence[int]) -> list[list[int]]:
    """The layers in the order given; a wire that passes lies where its source lies."""
    position: dict[int, float] = {item: float(k) for k, item in enumerate(order)}
    for link in links:
        for item in link.path[1:-1]:
            position[item] = position[link.source]
    columns: list[list[int]] = [[] for _ in range(1 + max((i.layer for i in items), default=-1))]
    for item in sorted(position, key=lambda i: position[i]):
        columns[items[item].layer].append(item)
    return columns


def _ranks(columns: Sequence[Sequence[int]], count: int) -> list[int]:
    rank = [0] * count
    for column in columns:
        for k, item in enumerate(column):
            rank[item] = k
    return rank


def _reduce_crossings(
    columns: list[list[int]], following: Sequence[Sequence[int]], preceding: Sequence[Sequence[int]]
) -> None:
    """Sort every column by the mean rank of the neighbours, from both sides in turn; the best order stays."""
    rank = _ranks(columns, len(following))
    best, fewest = [list(c) for c in columns], _crossings(columns, following, rank)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        forward = sweep % 2 == 1
        beside = preceding if forward else following
        for column in columns if forward else reversed(columns):
            weight = {
                item: sum(rank[n] for n in beside[item]) / len(beside[item]) if beside[item] else None
                for item in column
            }
            _sort_some(column, weight)
            for k, item in enumerate(column):
                rank[item] = k
        crossings = _crossings(columns, following, rank)
        if crossings < fewest:
            best, fewest = [list(c) for c in columns], crossings
    columns[:] = best


def _sort_some(column: list[int], weight: dict[int, float | None]) -> None:
    """Sort those that have a weight among their places; the others stay where they are."""
    places = [k for k, item in enumerate(column) if weight[item] is not None]
    ordered = sorted((column[k] for k in places), key=lambda item: weight[item] or 0.0)
    for k, item in zip(places, ordered, strict=True):
        column[k] = item


def _crossings(
    columns: Sequence[Sequence[int]], following: Sequence[Sequence[int]], rank: Sequence[int]
) -> int:
    """The number of pairs of wires that cross."""
    total = 0
    for column in columns:
        ends: list[int] = []
        for item in column:
            mine = sorted(rank[n] for n in following[item])
            total += sum(len(ends) - bisect_right(ends, end) for end in mine)
            for end in mine:
                insort(ends, end)
    return total


def _set_ports(items: Sequence[Item], links: Sequence[Link], rank: Sequence[int]) -> None:
    """Where several wires end at an item, spread their ends in the order in which they come."""
    arriving: dict[int, list[Link]] = {}
    for link in links:
        arriving.setdefault(link.target, []).append(link)
    for target, ending in arriving.items():
        ending.sort(key=lambda link: rank[link.path[-2]])
        step = items[target].ports
        for k, link in enumerate(ending):
            link.offset = (k - (len(ending) - 1) / 2) * step


# -- heights -----------------------------------------------------------------------------------------------


def _set_heights(items: list[Item], links: Sequence[Link], columns: Sequence[Sequence[int]]) -> None:
    """Pull every item towards its neighbours, column by column, within the order and the distances."""
    count = len(items)
    before: list[list[tuple[int, float, float]]] = [[] for _ in range(count)]  # (item, offset, weight)
    after: list[list[tuple[int, float, float]]] = [[] for _ in range(count)]
    for a, b, k in _steps(links):
        offset = links[k].offset if b == links[k].target else 0.0
        weight = min(items[a].stiff * items[b].stiff, 8.0)
        before[b].append((a, -offset, weight))
        after[a].append((b, offset, weight))
    starts: list[list[float]] = []  # of each column: how far below the first item the others are at least
    for column in columns:
        start, here = [], 0.0
        for k, item in enumerate(column):
            if k:
                above = items[column[k - 1]]
                here += above.down + items[item].up + _distance(above, items[item])
            start.append(here)
        starts.append(start)
        for member, y in zip(column, start, strict=True):
            items[member].y = y - here / 2
    for sweep in range(_SETTLING):
        last = sweep >= _SETTLING - 12
        numbers = range(len(columns)) if sweep % 2 else range(len(columns) - 1, -1, -1)
        for c in numbers:
            wanted: list[tuple[float, float]] = []
            for item in columns[c]:
                near = before[item] + after[item] if last else (before if sweep % 2 else after)[item]
                near = near or before[item] + after[item]
                weight = sum(w for _, _, w in near)
                y = sum(w * (items[n].y + o) for n, o, w in near) / weight if near else items[item].y
                wanted.append((y, weight or 0.1))
            for item, y in zip(columns[c], _fitted(wanted, starts[c]), strict=True):
                items[item].y = y
    for _ in range(3):
        _straighten(items, links, columns, starts)
    top = min((i.y - i.up for i in items), default=0.0)
    for each in items:
        each.y -= top


def _straighten(
    items: list[Item],
    links: Sequence[Link],
    columns: Sequence[Sequence[int]],
    starts: Sequence[Sequence[float]],
) -> None:
    """Put runs of items with one wire in and one wire out at one height, as far as their neighbours leave
    room.
    """
    following, preceding = _neighbours(len(items), links)
    straight = {(link.path[-2], link.path[-1]): abs(link.offset) < 0.1 for link in links}
    place_of = {item: (c, k) for c, column in enumerate(columns) for k, item in enumerate(column)}

    def room(item: int) -> tuple[float, float]:
        c, k = place_of[item]
        column, start, (low, high) = columns[c], starts[c], (float("-inf"), float("inf"))
        if k:
            low = items[column[k - 1]].y + start[k] - start[k - 1]
        if k + 1 < len(column):
            high = items[column[k + 1]].y - start[k + 1] + start[k]
        return low, high

    def goes_on(a: int) -> bool:
        if len(following[a]) != 1:
            return False
        b = following[a][0]
        return len(preceding[b]) == 1 and straight.get((a, b), True)

    for first in range(len(items)):
        if len(preceding[first]) == 1 and goes_on(preceding[first][0]):
            continue
        run, (low, high) = [first], room(first)
        while True:
            more = goes_on(run[-1])
            following_room = room(following[run[-1]][0]) if more else (low, high)
            joint = max(low, following_room[0]), min(high, following_room[1])
            if not more or joint[0] > joint[1]:
                mean = sum(items[i].y for i in run) / len(run)
                for i in run:
                    items[i].y = min(max(mean, low), high)
                if not more:
                    break
                run, (low, high) = [following[run[-1]][0]], following_room
            else:
                run.append(following[run[-1]][0])
                low, high = joint


def _distance(a: Item, b: Item) -> float:
    return _TIGHT if a.width == 0 or b.width == 0 else _CLOSE


def _fitted(wanted: Sequence[tuple[float, float]], starts: Sequence[float]) -> list[float]:
    """The heights nearest to the wanted (height, weight) whose distances are at least those of `starts`."""
    pools: list[tuple[float, float, int]] = []  # (mean, weight, number of items), of heights less starts
    for (y, weight), start in zip(wanted, starts, strict=True):
        mean, size = y - start, 1
        while pools and pools[-1][0] >= mean:
            other, more, many = pools.pop()
            mean = (mean * weight + other * more) / (weight + more)
            weight, size = weight + more, size + many
        pools.append((mean, weight, size))
    means = [mean for mean, _, size in pools for _ in range(size)]
    return [mean + start for mean, start in zip(means, starts, strict=True)]


# -- columns -----------------------------------------------------------------------------------------------


def _set_columns(
    items: Sequence[Item], links: Sequence[Link], columns: Sequence[Sequence[int]]
) -> list[tuple[float, float]]:
    """Columns side by side, further apart where wires climb more."""
    climb = [0.0] * (len(columns) + 1)
    for a, b, k in _steps(links):
        offset = links[k].offset if b == links[k].target else 0.0
        layer = items[a].layer
        climb[layer] = max(climb[layer], abs(items[b].y + offset - items[a].y))
    x = 0.0
    spans = []
    for c, column in enumerate(columns):
        width = max(items[i].width for i in column)
        for i in column:
            items[i].x = x + (width - items[i].width) / 2
        spans.append((x, x + width))
        x += width + min(12.0 + 0.22 * climb[c], 64.0)
    return spans
