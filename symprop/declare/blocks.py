"""Blocks: sums of matrices that stand among zeros, as one matrix of blocks.

[A; 0] + [0; B] --> [A; B];   a single `pad` is its block with zeros around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import sympy as sp

from symprop.graph import Dim, Node

__all__ = ["Grid", "grid", "is_block", "joined"]

# sizes of the rows and of the columns of blocks, and the blocks: a number of the term, None for zeros
Grid = tuple[list[Dim], list[Dim], list[list[int | None]]]

_LARGE = 1000  # what a symbolic size counts as where edges are put in order


def joined(terms: Sequence[Node]) -> tuple[Grid, list[int]] | None:
    """The terms that are blocks as one grid, and the numbers of the other terms; None where no two blocks
    fit, one to a cell.
    """
    blocks = [k for k, term in enumerate(terms) if is_block(term)]
    made = grid([terms[k] for k in blocks]) if len(blocks) > 1 else None
    if made is None:
        return None
    rows, columns, cells = made
    numbered = [[None if cell is None else blocks[cell] for cell in line] for line in cells]
    return (rows, columns, numbered), [k for k in range(len(terms)) if k not in blocks]


def is_block(node: Node) -> bool:
    """True for a block among zeros."""
    return node.op == "pad" and len(node.shape) == 2


def grid(blocks: Sequence[Node]) -> Grid | None:
    """The grid whose cells are the blocks of these `pad` nodes of one shape; None where they overlap or one
    would spread over several cells.
    """
    if not all(is_block(b) for b in blocks):
        return None
    spans = [
        [(at, at + d) for at, d in zip(b.attrs[1], b.args[0].shape, strict=True)]  # type: ignore[call-overload]
        for b in blocks
    ]
    cuts = []
    for axis in (0, 1):
        edges = {0, blocks[0].shape[axis], *(edge for span in spans for edge in span[axis])}
        cuts.append(sorted(edges, key=_position))
    cells: list[list[int | None]] = [[None] * (len(cuts[1]) - 1) for _ in range(len(cuts[0]) - 1)]
    for k, span in enumerate(spans):
        places = [cuts[axis].index(span[axis][0]) for axis in (0, 1)]
        if any(cuts[axis][at + 1] != span[axis][1] for axis, at in enumerate(places)):
            return None
        i, j = places
        if cells[i][j] is not None:
            return None
        cells[i][j] = k
    sizes = [[b - a for a, b in pairwise(line)] for line in cuts]
    return sizes[0], sizes[1], cells


def _position(edge: Dim) -> float:
    """Where an edge lies; symbolic sizes count as large and different numbers."""
    value = sp.sympify(edge)
    names = sorted(value.free_symbols, key=str)
    return float(value.subs({name: _LARGE + 7 * len(str(name)) + k for k, name in enumerate(names)}))
