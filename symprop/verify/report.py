"""The outcome of a verification: rows, a table to read, and the error that a failed one raises."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp

from symprop.declare.notebook import text_table
from symprop.errors import VerificationError

__all__ = ["Report", "Row", "number"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method applied to one gradient (or output, or operation): its worst entry.

    `entry` is the place (an index, "direction 1", with "sample 17" where there is a batch), `error` and
    `bound` are in the unit of the value (in ULP where `unit` says so); a row passes when the error is within
    the bound. `margin` is error / bound.
    """

    method: str
    name: str
    entry: str = ""
    found: Any = ""
    expected: Any = ""
    error: Any = 0
    bound: Any = 0
    passed: bool = True
    unit: str = ""
    note: str = ""
    known: bool = True  # whether the true value is: a certificate may not have found it

    @property
    def margin(self) -> float:
        """The error as a multiple of the bound; infinite where the bound is zero and the error is not."""
        if not mp.isfinite(self.error):
            return float("inf")
        if self.error == 0:
            return 0.0
        return float(self.error / self.bound) if self.bound else float("inf")

    @property
    def verdict(self) -> str:
        """The word in the table: "passed", "FAILED", or "no bound" where nothing could be proved."""
        if self.passed:
            return "passed"
        return "FAILED" if self.known else "no bound"


_WIDEST = 64  # characters of a cell of text
_COLUMNS = ("method", "of", "worst entry", "found", "expected", "error", "bound", "")


@dataclass
class Report:
    """The rows of a verification, and notes on what was left out and why. Prints as a table."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    certificates: dict[str, Any] = field(default_factory=dict)  # with certify=True, by the name of the row

    @property
    def passed(self) -> bool:
        """Whether every row passed."""
        return all(row.passed for row in self.rows)

    @property
    def failures(self) -> list[Row]:
        """The rows that did not pass."""
        return [row for row in self.rows if not row.passed]

    @property
    def worst(self) -> Row | None:
        """The row whose error is largest in comparison with its bound, failures first; None without rows."""
        return max(self.rows, key=lambda row: (not row.passed, row.margin), default=None)

    def raise_if_failed(self) -> None:
        """Raise a `VerificationError` that lists the failed rows; nothing where all passed."""
        if not self.passed:
            lines = [
                f"{row.method} of {row.name}, {row.entry}: found {number(row.found)}, expected "
                f"{number(row.expected)}, error {number(row.error, 3)} > {number(row.bound, 3)} {row.unit}"
                + (f" ({row.note})" if row.note else "")
                for row in self.failures
            ]
            raise VerificationError("verification failed:\n  " + "\n  ".join(lines))

    def _cells(self) -> list[tuple[str, ...]]:
        cells: list[tuple[str, ...]] = []
        for row in self.rows:
            unit = f" {row.unit}" if row.unit else ""
            cells.append(
                (
                    row.method,
                    _cut(row.name),
                    _cut(row.entry),
                    number(row.found),
                    number(row.expected),
                    number(row.error, 3) + unit,
                    number(row.bound, 3) + unit,
                    row.verdict,
                )
            )
        return cells

    def _remarks(self) -> list[str]:
        return list(
            dict.fromkeys([*(f"{r.method} of {r.name}: {r.note}" for r in self.rows if r.note), *self.notes])
        )

    def _verdict(self) -> str:
        failed = len(self.failures)
        unproved = sum(row.verdict == "no bound" for row in self.rows)
        texts = [f"{failed - unproved} FAILED"] if failed > unproved else []
        texts += [f"{unproved} without bound"] if unproved else []
        return f"{len(self.rows)} rows, {', '.join(texts) or 'all passed'}"

    def __str__(self) -> str:
        cells = [_COLUMNS, *self._cells()]
        widths = [max(len(row[k]) for row in cells) for k in range(len(_COLUMNS))]
        right = {3, 4, 5, 6}
        lines = [
            "  ".join(
                c.rjust(w) if k in right else c.ljust(w)
                for k, (c, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in cells
        ]
        lines.insert(1, "-" * len(lines[0]))
        return "\n".join(line.rstrip() for line in [*lines, *self._remarks(), self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        remarks = "".join(f"<li>{html.escape(r)}</li>" for r in self._remarks())
        return f"{text_table(_COLUMNS, self._cells())}<ul>{remarks}</ul><p>{self._verdict()}</p>"


def _cut(text: str) -> str:
    """Text in at most so many characters, its end as it is (the place of an entry, the sample)."""
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST // 2 - 2]} ... {text[3 - _WIDEST // 2 :]}"


def number(value: Any, digits: int = 10) -> str:
    """A number in few digits; text as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(number(v, 4) for v in value) + "]"
    return str(mp.nstr(mp.mpf(value), digits, min_fixed=-4, max_fixed=8))
