"""Memory for large results, used again when nothing refers to what lay in it before.

A fresh page costs as much as the code that fills it: the system hands it out one by one, and cleared. So the
last few large pieces are kept, `KEPT` bytes in all. A piece comes back when the array that was handed out and
all views of it are gone: who keeps a result keeps its memory.
"""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np

__all__ = ["memory"]

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
