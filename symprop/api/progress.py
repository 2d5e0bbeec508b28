"""The progress bar of a training, by rich; quiet where nobody watches a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from symprop.api.extras import extra
from symprop.errors import MissingExtraError

__all__ = ["Bar", "bar"]

_PAUSE = 0.1  # seconds between two drawings


class Bar:
    """No bar at all: what every bar can do."""

    def begin(self, epoch: int) -> None:
        """A new epoch begins."""

    def advance(self, samples: int, loss: float) -> None:
        """A batch is done."""

    def end(self, row: Mapping[str, Any]) -> None:
        """An epoch is done."""

    def close(self) -> None:
        """The training is over."""


class _RichBar(Bar):
    def __init__(self, rich: Any, console: Any, epochs: int, samples: int) -> None:
        self._progress = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(bar_width=24),
            rich.TextColumn("{task.fields[told]}"),
            rich.TimeRemainingColumn(compact=True),
            console=console,
            auto_refresh=False,
            transient=False,
        )
        self._epochs, self._samples = epochs, samples
        self._task = self._progress.add_task("training", total=max(1, epochs * samples), told="")
        self._progress.start()
        self._drawn = self._measured = time.perf_counter()
        self._since, self._done, self._epoch, self._rate = 0, 0, 0, 0.0
        self._last: dict[str, Any] = {}
        self._total, self._count = 0.0, 0

    def begin(self, epoch: int) -> None:
        self._epoch, self._total, self._count = epoch, 0.0, 0
        self._measured, self._since = time.perf_counter(), 0

    def advance(self, samples: int, loss: float) -> None:
        self._done += samples
        self._since += samples
        self._total += loss * samples
        self._count += samples
        now = time.perf_counter()
        if now - self._drawn >= _PAUSE:
            self._rate = self._since / max(now - self._measured, 1e-9)
            self._draw(now)

    def end(self, row: Mapping[str, Any]) -> None:
        self._last = {k: v for k, v in row.items() if k not in ("epoch", "seconds", "samples_per_second")}
        self._rate = float(row.get("samples_per_second", self._rate))
        now = time.perf_counter()
        if now - self._drawn >= _PAUSE:  # epochs may be short beside a drawing
            self._draw(now)

    def close(self) -> None:
        self._draw(time.perf_counter())
        self._progress.stop()

    def _draw(self, now: float) -> None:
        self._drawn = now
        told = dict(self._last)
        if self._count:
            told["loss"] = self._total / self._count
        text = " ".join(f"{k} {v:.4g}" for k, v in told.items() if isinstance(v, float))
        self._progress.update(
            self._task,
            completed=self._done,
            description=f"epoch {self._epoch}/{self._epochs}",
            told=f"{text} {self._rate:,.0f} samples/s",
        )
        self._progress.refresh()


def bar(wanted: bool, epochs: int, samples: int) -> Bar:
    """The bar, where one is wanted, a terminal is there and rich is installed; else one that shows
    nothing.
    """
    if not wanted:
        return Bar()
    try:
        rich = extra("rich.progress", "progress", "the progress bar (progress=True)")
        console = extra("rich.console", "progress", "the progress bar (progress=True)").Console(
            file=sys.stderr
        )
    except MissingExtraError:
        return Bar()
    if not console.is_terminal:
        return Bar()
    return _RichBar(rich, console, epochs, samples)
