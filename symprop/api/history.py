"""What a training tells about itself: a row for every epoch, and a drawing of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from symprop.api.extras import extra
from symprop.errors import ArgumentError

__all__ = ["History"]

Row = dict[str, Any]


class History(Sequence[Row]):
    """The rows of the epochs, a dictionary each, in order; `history["loss"]` is a column as a list.

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"], history[-1]["epoch"], len(history)
    ([0.5, 0.25], 2, 2)
    >>> history
    epoch  loss
        1   0.5
        2  0.25
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        self._rows: list[Row] = [dict(row) for row in rows]

    def append(self, row: Mapping[str, Any]) -> None:
        """Add the row of an epoch."""
        self._rows.append(dict(row))

    @property
    def names(self) -> list[str]:
        """The columns, in order."""
        return list(dict.fromkeys(name for row in self._rows for name in row))

    @overload
    def __getitem__(self, key: int) -> Row: ...
    @overload
    def __getitem__(self, key: slice) -> History: ...
    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    def __getitem__(self, key: int | slice | str) -> Any:
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"the history has no column {key}; it has {', '.join(self.names)}")
            return [row.get(key) for row in self._rows]
        return History(self._rows[key]) if isinstance(key, slice) else self._rows[key]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, History):
            return self._rows == other._rows
        return self._rows == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if not self._rows:
            return "<History of no epochs>"
        names = self.names
        shown = self._rows if len(self._rows) <= 20 else [*self._rows[:9], *self._rows[-9:]]
        cells = [[_text(row.get(name)) for name in names] for row in shown]
        widths = [max(len(n), *(len(c[k]) for c in cells)) for k, n in enumerate(names)]
        lines = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in [names, *cells]]
        if len(shown) < len(self._rows):
            lines.insert(10, "...")
        return "\n".join(lines)

    def plot(self, columns: Sequence[str] | None = None, *, path: str | Path | None = None) -> Any:
        """Draw the loss, and what else was measured, over the epochs; gives matplotlib's figure.

        Losses share a drawing with a logarithmic scale, each metric has one of its own with that of the
        validation data. `columns` chooses some; `path` saves the figure. Raises `MissingExtraError` without
        matplotlib, `ArgumentError` for an unknown column or an empty history.

        >>> import symprop
        >>> symprop.History([]).plot()
        Traceback (most recent call last):
        symprop.errors.ArgumentError: the history has no epochs to plot; train for one at least
        """
        if not self._rows:
            raise ArgumentError("the history has no epochs to plot; train for one at least")
        skipped = {"epoch", "seconds", "samples_per_second"}
        wanted = [n for n in self.names if n not in skipped] if columns is None else list(columns)
        for name in wanted:
            if name not in self.names:
                raise ArgumentError(f"the history has no column {name}; it has {', '.join(self.names)}")
        groups: dict[str, list[str]] = {}
        for name in wanted:
            groups.setdefault(name.removeprefix("val_"), []).append(name)
        figures = extra("matplotlib.figure", "plot", "History.plot")
        if "IPython" in sys.modules:  # a notebook shows figures once this is imported
            extra("matplotlib.pyplot", "plot", "History.plot")
        figure = figures.Figure(figsize=(4.5 * len(groups), 3.2), layout="constrained")
        panels = figure.subplots(1, len(groups), squeeze=False)[0]
        epochs = [row.get("epoch", k) for k, row in enumerate(self._rows, 1)]
        for panel, (title, names) in zip(panels, groups.items(), strict=True):
            values = [[float("nan") if v is None else float(v) for v in self[n]] for n in names]
            for name, column in zip(names, values, strict=True):
                panel.plot(epochs, column, label=name)
            if title == "loss" and all(v > 0 for column in values for v in column):
                panel.set_yscale("log")
            panel.set_xlabel("epoch")
            panel.set_title(title)
            panel.legend()
        if path is not None:
            figure.savefig(path)
        return figure


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else "" if value is None else str(value)
