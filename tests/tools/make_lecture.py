"""Run the blocks of `docs/lecture` and write their outputs and pictures.

    python -m tests.tools.make_lecture            all pages
    python -m tests.tools.make_lecture 02 03      pages whose names begin so

A page is one session: its blocks of Python run in order, as a reader in that folder would type them. A block
of text behind one is what it prints. Pictures are what the blocks save under `pictures/`; those of matplotlib
get the colours of the drawings, light and dark, and nothing that changes from one run to the next.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[2]
LECTURE = ROOT / "docs" / "lecture"
PICTURES = LECTURE / "pictures"
NUMBER = re.compile(r"[-−+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
TEXT = re.compile(r">([^<>]+)</(?:text|tspan)>")

INK, GREY, PAPER = "#0f172a", "#b2b2b2", "#ffffff"
# colours of the charts in the light, and the same in the dark (those of symprop/show/style.py)
DARK = {
    PAPER: "#0f172a",
    INK: "#f1f5f9",
    GREY: "#64748b",
    "#e2e8f0": "#334155",
    "#15803d": "#4ade80",
    "#b91c1c": "#fca5a5",
    "#1d4ed8": "#93c5fd",
    "#b45309": "#fcd34d",
    "#6d28d9": "#c4b5fd",
    "#64748b": "#94a3b8",
}
STYLE: dict[str, Any] = {
    "svg.hashsalt": "symprop",
    "svg.fonttype": "none",
    "path.simplify": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.facecolor": PAPER,
    "axes.edgecolor": "#64748b",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=["#15803d", "#b91c1c", "#1d4ed8", "#b45309", "#6d28d9"]),
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "grid.color": "#e2e8f0",
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def pages() -> list[Path]:
    """The pages in their order; the index first, the answers last."""
    return [LECTURE / "index.md", *sorted(LECTURE.glob("[0-9]*.md")), LECTURE / "answers.md"]


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, text) of every fenced block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.M | re.S)


def examples(text: str) -> list[tuple[str, str | None]]:
    """Blocks of Python, each with the output that follows it."""
    listed = [*blocks(text), ("", "")]
    return [
        (code, listed[k + 1][1] if listed[k + 1][0] == "text" else None)
        for k, (language, code) in enumerate(listed)
        if language == "python"
    ]


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder like `docs/lecture`, where pictures may be written; it is the current one meanwhile."""
    before = sys.path.copy()
    with tempfile.TemporaryDirectory() as root:
        here = Path(root) / "docs" / "lecture"
        (here / "pictures").mkdir(parents=True)
        for data in LECTURE.glob("*.json"):
            shutil.copy(data, here)
        (Path(root) / "examples").symlink_to(ROOT / "examples")
        with contextlib.chdir(here):
            yield here
    sys.path[:] = before


def run(text: str) -> tuple[list[str], dict[str, str]]:
    """What each block of Python of a page prints, and the pictures that they save, by name."""
    session: dict[str, Any] = {"__name__": "lecture"}
    printed = []
    with workplace() as here, matplotlib.rc_context():
        matplotlib.use("Agg")
        matplotlib.rcParams.update(STYLE)
        for code, _ in examples(text):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, "docs/lecture", "exec"), session)
            printed.append(out.getvalue())
        plt.close("all")
        saved = {p.name: p.read_text(encoding="utf-8") for p in sorted((here / "pictures").iterdir())}
    return printed, {name: chart(svg) if "Matplotlib" in svg else svg for name, svg in saved.items()}


def chart(svg: str) -> str:
    """A chart of matplotlib without its date, with a style sheet for the dark."""
    svg = re.sub(r"<\?xml.*?\?>\s*|<!DOCTYPE.*?>\s*|\s*<metadata>.*?</metadata>", "", svg, flags=re.S)
    rules = [
        f'[style*="{what}: {light}"]{{{what}:{dark} !important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    ]
    svg = re.sub(
        r'(width|height)="([\d.]+)pt"', lambda m: f'{m[1]}="{float(m[2]) * 4 / 3:.0f}"', svg, count=2
    )
    style = "\n".join(["<style>@media (prefers-color-scheme: dark){", *rules, "}</style>"])
    svg = svg.replace("<defs>", f"{style}\n <defs>", 1)
    lines = [line.rstrip() for line in svg.splitlines()]
    return "\n".join([f"<!-- matplotlib {matplotlib.__version__} -->", *lines]) + "\n"


def with_outputs(text: str, printed: list[str]) -> str:
    """The page with what its blocks print; a block that prints nothing has no output behind it."""
    for (code, shown), new in zip(examples(text), printed, strict=True):
        source = f"```python\n{code}```"
        old = source if shown is None else f"{source}\n\n```text\n{shown}```"
        if text.count(old) != 1:
            raise ValueError(f"this block is not there once, with its output next to it:\n{old}")
        text = text.replace(old, f"{source}\n\n```text\n{new}```" if new else source)
    return text


def alike(first: str, second: str, tolerance: float = 0.05) -> bool:
    """Whether two pictures are the same but for the last digits of numbers.

    Charts by different versions of matplotlib have the same words in another arrangement.
    """
    versions = [re.match(r"<!-- (matplotlib \S+) -->", svg) for svg in (first, second)]
    if versions[0] and versions[1] and versions[0][1] != versions[1][1]:
        return sorted(words(first)) == sorted(words(second))
    ET.fromstring(first), ET.fromstring(second)
    if NUMBER.sub("#", first) != NUMBER.sub("#", second):
        return False
    pairs = zip(NUMBER.findall(first), NUMBER.findall(second), strict=True)
    return all(
        a == b or abs(float(a.replace("−", "-")) - float(b.replace("−", "-"))) <= tolerance for a, b in pairs
    )


def words(svg: str) -> list[str]:
    """The texts of a picture that are no numbers."""
    return [w for w in TEXT.findall(svg) if not NUMBER.fullmatch(w.strip())]


def main(chosen: list[str]) -> None:
    """Write the pages and their pictures."""
    PICTURES.mkdir(exist_ok=True)
    wanted = [p for p in pages() if not chosen or any(p.name.startswith(c) for c in chosen)]
    made: set[str] = set()
    for page in wanted:
        text = page.read_text(encoding="utf-8")
        printed, pictures = run(text)
        page.write_text(with_outputs(text, printed), encoding="utf-8")
        for name, svg in pictures.items():
            made.add(name)
            path = PICTURES / name
            if not (path.exists() and alike(svg, path.read_text(encoding="utf-8"), 0.0)):
                path.write_text(svg, encoding="utf-8")
        print(f"{page.relative_to(ROOT)}: {len(printed)} blocks, {len(pictures)} pictures")
    if not chosen:
        for old in PICTURES.iterdir():
            if old.name not in made:
                old.unlink()


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    main(sys.argv[1:])
