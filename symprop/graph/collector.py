"""A pause of Python's collector of cyclic garbage while large graphs are made."""

from __future__ import annotations

import gc
import threading
from contextlib import ContextDecorator

__all__ = ["CollectorPaused"]

MANY = 100_000  # new objects after which the collector is spared a walk over all of them


class CollectorPaused(ContextDecorator):
    """`with CollectorPaused():` or `@CollectorPaused()`: no collection of cycles while any thread is inside.

    Nodes, lines of code and steps of a schedule are made by the hundred thousand and all stay: the collector
    would walk over them again and again, and find nothing. What has no cycles is freed as always. The last to
    leave restores what the first has found; blocks may nest, in any number of threads. Where very much was
    made it counts as old from then on, as it would after two collections that free nothing.
    """

    _lock = threading.Lock()
    _inside = 0
    _was_enabled = True

    def __enter__(self) -> None:
        shared = CollectorPaused
        with shared._lock:
            if shared._inside == 0:
                shared._was_enabled = gc.isenabled()
                gc.disable()
            shared._inside += 1

    def __exit__(self, *error: object) -> None:
        shared = CollectorPaused
        with shared._lock:
            shared._inside -= 1
            if shared._inside == 0 and shared._was_enabled:
                if gc.get_count()[0] > MANY and not gc.get_freeze_count():
                    gc.freeze()  # together these two only move all objects to the oldest generation
                    gc.unfreeze()
                gc.enable()
