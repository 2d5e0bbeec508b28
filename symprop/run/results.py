"""Memory for large results, used again when nothing refers to what lay in it before.

A fresh page costs as much as the code that fills it: the system hands it out one by one, and cleared. So the
last few large pieces are kept, `KEPT` bytes in all. A piece comes back when the array that was handed out and
all views of it are gone: who keeps a result keeps its memory.
"""

from __future__ import annotations

import math
import weakref
from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np

from symprop.emit.caches import PAGE
from symprop.run.arguments import address

__all__ = ["at_a_place", "memory", "placed"]

LINE = 64  # bytes of a line of the cache

LARGE = 1 << 17  # bytes from which the C library asks the system for memory, and gives it back
KEPT = 1 << 27  # bytes that are kept at most: some results of a few million numbers

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

_free: deque[Bytes] = deque()  # one end for all: append and pop are safe between threads


def memory(size: int) -> Bytes:
    """So many bytes, of any content."""
    if not LARGE <= size <= KEPT:
        return np.empty(size, np.uint8)
    piece = _fitting(size)
    if piece is None:
        piece = np.empty(size, np.uint8)
    # by way of a memoryview: views of views refer to the innermost array of NumPy, which shall be this one
    result = np.frombuffer(piece.data, np.uint8, size)
    weakref.finalize(result, _give_back, piece).atexit = False
    return result


def at_a_place(
    shape: tuple[int, ...], kind: np.dtype[Any], unit: int = LINE, shift: int = 0
) -> np.ndarray[Any, Any]:
    """An array of any content, a multiple of `unit` bytes and `shift` bytes from the start of memory.

    NumPy's arrays begin anywhere, and their vectors lie across two lines of the cache each.
    """
    piece = memory(math.prod(shape) * kind.itemsize + unit)
    return np.ndarray(shape, kind, piece, (shift - address(piece)) % unit)


def placed(array: np.ndarray[Any, Any], turn: int, turns: int) -> np.ndarray[Any, Any]:
    """A copy of one of `turns` arrays of equal shape that are used entry by entry together.

    They begin at different places of a page: rows that are a page long would share a few places of the first
    level of the cache, in all of the arrays.
    """
    large = array.nbytes >= PAGE
    shift = turn * PAGE // turns // LINE * LINE
    own = at_a_place(array.shape, array.dtype, PAGE, shift) if large else at_a_place(array.shape, array.dtype)
    own[...] = array
    return own


def _fitting(size: int) -> Bytes | None:
    """A free piece that is not much larger, the last one first: it may still be in the cache."""
    others: list[Bytes] = []
    found = None
    with suppress(IndexError):  # none is left
        while found is None:
            piece = _free.pop()
            if size <= piece.size <= size + size // 4:
                found = piece
            else:
                others.append(piece)
    _free.extend(reversed(others))
    return found


def _give_back(piece: Bytes) -> None:
    _free.append(piece)
    with suppress(IndexError, RuntimeError):  # other threads take and give at the same time
        while sum(free.size for free in list(_free)) > KEPT:
            _free.popleft()
