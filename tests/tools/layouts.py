"""Arrays of the same numbers that lie in memory in different ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def layouts(array: Any) -> Iterator[Any]:
    """The same numbers in other places, orders and strides."""
    size = array.itemsize
    for shift in range(0, 64, 8):  # places within a cache line
        room = np.empty(array.nbytes + 128, np.uint8)
        start = -room.ctypes.data % 64 + shift
        placed = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        placed[...] = array
        yield placed
    room = np.empty(array.nbytes + size, np.uint8)
    start = 1 if room.ctypes.data % size == 0 else 0
    misaligned = np.frombuffer(room.data, array.dtype, array.size, offset=start).reshape(array.shape)
    assert not misaligned.flags.aligned or array.size == 0
    misaligned[...] = array
    yield misaligned
    yield np.array(array, order="F")
    wide = np.repeat(array[..., None], 3, axis=-1)
    yield wide[..., 1]
    yield array[::-1].copy()[::-1] if array.ndim else array
    frozen = array.copy()
    frozen.flags.writeable = False
    yield frozen
    yield array.astype(array.dtype.newbyteorder())
