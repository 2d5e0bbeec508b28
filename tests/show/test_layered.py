"""The layout by itself, on random layered graphs."""

from __future__ import annotations

import random

import pytest

from symprop.show.layered import Item, Link, place


def random_layers(seed):
    rng = random.Random(seed)
    items = [
        Item(
            rng.randrange(8),
            rng.uniform(5, 80),
            rng.uniform(5, 30),
            rng.uniform(5, 30),
            rng.choice([0.5, 1, 3]),
        )
        for _ in range(rng.randrange(2, 60))
    ]
    links = []
    for b in range(len(items)):
        earlier = [a for a in range(len(items)) if items[a].layer < items[b].layer]
        links += [Link(a, b) for a in rng.sample(earlier, min(len(earlier), rng.randrange(4)))]
    return items, links


@pytest.mark.parametrize("seed", range(40))
def test_no_two_boxes_overlap(seed):
    items, links = random_layers(seed)
    placed = place(items, links, range(len(items)))
    boxes = [(i.x, i.y - i.up, i.x + i.width, i.y + i.down) for i in placed.items]
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            assert min(a[2], b[2]) - max(a[0], b[0]) <= 1e-6 or min(a[3], b[3]) - max(a[1], b[1]) <= 1e-6
        assert a[0] >= -1e-6 and a[1] >= -1e-6
        assert a[2] <= placed.width + 1e-6 and a[3] <= placed.height + 1e-6
    for link in links:
        layers = [placed.items[k].layer for k in link.path]
        assert layers == list(range(layers[0], layers[-1] + 1))


def crossings(placed, links):
    """Pairs of steps between the same columns that cross, counted one by one."""
    steps = [(a, b) for link in links for a, b in zip(link.path, link.path[1:], strict=False)]
    y = [item.y for item in placed.items]
    return sum(
        (y[a] - y[c]) * (y[b] - y[d]) < 0
        for k, (a, b) in enumerate(steps)
        for c, d in steps[:k]
        if placed.items[a].layer == placed.items[c].layer and len({a, b, c, d}) == 4
    )


def test_a_tree_given_in_any_order_is_drawn_without_crossings():
    for seed in range(10):
        rng = random.Random(seed)
        items = [Item(4 - depth, 20, 10, 10) for depth in range(5) for _ in range(2**depth)]
        links = [Link(k, (k - 1) // 2) for k in range(1, len(items))]
        order = list(range(len(items)))
        rng.shuffle(order)
        assert crossings(place(items, links, order), links) == 0


def test_a_chain_is_straight():
    items = [Item(k, 30, 5 + k % 7, 5 + k % 3) for k in range(3000)]
    placed = place(items, [Link(k, k + 1) for k in range(2999)], range(3000))
    assert max(i.y for i in placed.items) - min(i.y for i in placed.items) < 1e-6


def test_an_empty_picture():
    assert place([], [], []).height == 0
