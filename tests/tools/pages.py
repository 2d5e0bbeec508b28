"""Pages of which commands write parts: a part stands between two comments with its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["part", "replace_part", "rows", "update_rows"]


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(
        rf"(<!-- begin {re.escape(name)} -->\n)(.*?)(<!-- end {re.escape(name)} -->)", re.DOTALL
    )


def part(page: Path, name: str) -> str:
    """What stands in the part of that name."""
    found = _pattern(name).search(page.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{page} has no part {name}: add <!-- begin {name} --> and <!-- end {name} -->")
    return found.group(2)


def replace_part(page: Path, name: str, text: str) -> None:
    """Write the part of that name; everything else stays."""
    part(page, name)
    whole = page.read_text(encoding="utf-8")
    page.write_text(
        _pattern(name).sub(lambda m: m.group(1) + text.rstrip("\n") + "\n" + m.group(3), whole), "utf-8"
    )


def rows(text: str) -> dict[str, list[str]]:
    """The rows of a table under its head, by their first cell."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and cells[0] and not set(cells[-1]) <= set("-: "):
            found[cells[0]] = cells[1:]
    return found


def update_rows(
    page: Path, name: str, head: str, new: dict[str, Sequence[str]], order: Sequence[str]
) -> None:
    """Put new rows into a table that is a part, beside those that are there, in the given order; `head` is
    what stands above the rows, the last two lines of it the head of the table."""
    title = head.splitlines()[-2].strip("|").split("|")[0].strip()
    known: dict[str, Sequence[str]] = {k: v for k, v in rows(part(page, name)).items() if k != title}
    known.update(new)
    lines = ["| " + " | ".join([key, *known[key]]) + " |" for key in order if key in known]
    replace_part(page, name, "\n".join([head.rstrip("\n"), *lines]))
