"""Memory for large results, used again when nothing refers to what lay in it before.

A fresh page costs as much as the code that fills it: the system hands it out one by one, and cleared. So the
last few large pieces are kept, `KEPT` bytes in all, and one that only this module still holds serves the next
call. Who keeps a result, or any view of it, keeps its memory.
"""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np

__all__ = ["memory"]

LARGE = 1 << 17  # bytes from which the C library asks the system for memory, and gives it back
KEPT = 1 << 27  # bytes that are kept at most: some results of a few million numbers
ALONE = 2  # references that `sys.getrefcount` counts where only a local variable holds an object

_pieces: deque[np.ndarray[Any, Any]] = deque()


def memory(size: int) -> np.ndarray[Any, Any]:
    """So many bytes, of any content."""
    if not LARGE <= size <= KEPT:
        return np.empty(size, np.uint8)
    # The last one first: it may still be in the cache. A piece is out of the queue while it is looked at, so
    # that no other thread can take it.
    seen: list[np.ndarray[Any, Any]] = []
    result = None
    while _pieces and result is None:
        try:
            piece = _pieces.pop()
        except IndexError:
            break
        if size <= piece.size <= size + size // 4 and sys.getrefcount(piece) == ALONE:
            result = piece[:size]
        seen.append(piece)
    _pieces.extend(reversed(seen))
    if result is not None:
        return result
    piece = np.empty(size, np.uint8)
    result = piece[:size]
    _pieces.append(piece)
    with suppress(IndexError):  # where other threads look at all of them
        while sum(piece.size for piece in list(_pieces)) > KEPT:
            _pieces.popleft()
    return result
