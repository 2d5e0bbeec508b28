"""When the lines of a panel displace each other, against a count of the lines of every place in a cache."""

from __future__ import annotations

from collections import Counter

import pytest

from symprop.emit.caches import Caches


def crowded(stride: int, steps: int, sets: int, ways: int) -> bool:
    """Whether more lines of 64 bytes than fit share a place, where rows begin `stride` bytes apart."""
    places = Counter(t * stride // 64 % sets for t in range(steps))
    return max(places.values()) > ways


@pytest.mark.parametrize("stride", [256, 512, 1024, 2048, 4096, 6144])
def test_first_level_of_narrow_vectors(stride: int) -> None:
    """32 KiB, 8 lines to a place: copies pay from the number of steps on that fills the places in use."""
    caches = Caches(narrow=True)
    fits = max(steps for steps in range(1, 600) if not crowded(stride, steps, 64, 8))
    for size in (4, 8):
        assert caches.far(stride // size, fits, size, False) == 1
        assert caches.far(stride // size, fits - 1, size, False) == 0


def test_far_rows_and_long_panels() -> None:
    caches = Caches(narrow=True)
    assert caches.far(2000, 20, 8, False) == 1  # 16 steps take as many pages as the core has at hand
    assert caches.far(2000, 10, 8, False) == 0
    assert caches.far(100, 255, 4, False) == 0
    assert caches.far(100, 256, 4, False) == 1  # half of the cache, were it not for A
    assert caches.far(None, 255, 4, False) == 0


@pytest.mark.parametrize("stride", [1024, 2048, 4096, 8192])
def test_second_level_of_wide_vectors(stride: int) -> None:
    """Of 512 KiB at least, 8 lines to a place."""
    caches = Caches(narrow=False)
    fits = max(steps for steps in range(1, 3000) if not crowded(stride, steps, 1024, 8))
    assert [caches.far(stride // 8, s, 8, False) for s in (fits, fits + 1, 4 * fits + 1)] == [0, 1, 2]
    assert caches.far(stride // 8, fits // 2 + 1, 8, True) == 1
    assert [caches.repaid(far) for far in (0, 1, 2)] == [120, 120, 32]
