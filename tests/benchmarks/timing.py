"""Times that can be compared on a busy machine: the contestants take turns, a ratio comes from each turn."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Call = Callable[[], Any]
WARM = 8  # calls before the clock runs: the way to native code is made in one of the first


def seconds(call: Call, repeats: int) -> float:
    """Seconds of one call, over a block of `repeats`."""
    start = time.perf_counter()
    for _ in itertools.repeat(None, repeats):
        call()
    return (time.perf_counter() - start) / repeats


def repeats_for(call: Call, block: float) -> int:
    """How many calls fill a block of so many seconds, once the call is warm."""
    for _ in range(WARM):
        call()
    repeats = 1
    while (took := seconds(call, repeats) * repeats) < block / 2:
        repeats = max(2 * repeats, int(repeats * block / max(took, 1e-9)))
    return repeats


def race(calls: Mapping[str, Call], turns: int = 9, block: float = 0.04) -> dict[str, list[float]]:
    """Seconds of a call of each contestant, one entry a turn; every other turn goes backwards."""
    repeats = {name: repeats_for(call, block) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(turns):
        for name in list(calls) if turn % 2 == 0 else reversed(calls):
            times[name].append(seconds(calls[name], repeats[name]))
    return times


def ratio(times: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    """The median over the turns of the time of `base` over the time of `name` in the same turn."""
    return statistics.median(b / a for a, b in zip(times[name], times[base], strict=True))
