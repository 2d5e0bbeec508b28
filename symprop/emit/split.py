"""Long straight-line code cut into functions, so that compile time stays linear in its length.

LLVM schedules and allocates registers for a function as a whole, which takes more than linear time where
thousands of values are alive. Values that live from one part to another would be spilled to the stack anyway:
here they are kept in a frame, an array that every part gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from symprop.emit.builder import PTR, Builder, Value, vector

__all__ = ["Cuts", "splitting"]

LONG = 3000  # lines of straight code up to which a function stays whole
PART = 600  # lines of a part: the shorter, the less a part costs; the longer, the fewer values cross
STORES = 16  # stores after which the order of memory accesses is fixed, see `_with_barriers`
SLOT = 64  # bytes of a place in the frame: the widest vector

_NAME = re.compile(r"%[\w.]+")


class Cuts:
    """The places at which straight code may be cut: between two steps, outside any branch."""

    def __init__(self, builder: Builder) -> None:
        self._b = builder
        self.start = len(builder.lines)
        self.places: list[int] = []

    def here(self) -> None:
        """The code written so far may end a part."""
        self.places.append(len(self._b.lines))


@contextmanager
def splitting(b: Builder, name: str) -> Iterator[Cuts]:
    """Code written in this block is cut into functions `name.0`, `name.1` ... where it is long.

    Nothing written after the block may use a value that the block defines.
    """
    cuts = Cuts(b)
    yield cuts
    if len(b.lines) - cuts.start > LONG:
        _split(b, cuts, name)


def _split(b: Builder, cuts: Cuts, name: str) -> None:
    parts: list[list[str]] = []
    begin = cuts.start
    for place in [*cuts.places, len(b.lines)]:
        if place - begin >= PART or place == len(b.lines):
            parts.append("\n".join(b.lines[begin:place]).split("\n"))
            begin = place
    home = {}  # name of a value -> number of the part that defines it
    for number, lines in enumerate(parts):
        for line in lines:
            if " = " in line:
                home[line.split(" = ", 1)[0].strip()] = number
    crossing: dict[str, int] = {}  # name -> slot
    for number, lines in enumerate(parts):
        for line in lines:
            for used in _uses(line):
                if home.get(used, -1) != number and used not in crossing:
                    crossing[used] = len(crossing)
    frame = b.alloca(vector("i8"), SLOT * max(1, len(crossing)))
    del b.lines[cuts.start :]
    for outside in (n for n in crossing if n not in home):
        slot = b.element(frame, SLOT * crossing[outside], vector("i8"))
        b.store(Value(outside, b.types.get(outside, PTR)), slot)
    for number, lines in enumerate(parts):
        b.emit(f"call void @{name}.{number}(ptr {frame})")
        b.module.functions[f"{name}.{number}"] = _part(b, f"{name}.{number}", lines, number, home, crossing)


def _uses(line: str) -> list[str]:
    """The values that a line reads (labels excepted)."""
    if line.endswith(":") or line.startswith("br label"):
        return []
    text = line.split(" = ", 1)[1] if " = " in line else line
    if " phi " in f" {text}":
        text = re.sub(r", %[\w.]+ \]", " ]", text)
    if line.startswith("br i1"):
        text = line.split(",", 1)[0]
    return _NAME.findall(text)


def _part(
    b: Builder, name: str, lines: list[str], number: int, home: dict[str, int], crossing: dict[str, int]
) -> str:
    """The text of one part: it reads a value from the frame where it is used first and writes its own at
    once.
    """
    out: list[str] = []
    read: set[str] = set()
    waiting: list[str] = []

    def slot(value: str) -> str:
        out.append(f"{value}.slot = getelementptr i8, ptr %frame, i64 {SLOT * crossing[value]}")
        return f"{value}.slot"

    def fetch(value: str) -> None:
        if value in crossing and home.get(value, -1) != number and value not in read:
            read.add(value)
            kind = b.types.get(value, PTR)
            out.append(f"{value} = load {kind}, ptr {slot(value)}, align {max(1, kind.bits // 8)}")

    for line in lines:  # a phi must come first in its block: what it reads is read at the start
        if " = phi " in line:
            for value in _uses(line):
                fetch(value)
    for line in lines:
        if " = phi " not in line:
            for value in waiting:
                kind = b.types[value]
                out.append(f"store {kind} {value}, ptr {slot(value)}, align {max(1, kind.bits // 8)}")
            waiting.clear()
            for value in _uses(line):
                fetch(value)
        out.append(line)
        if " = " in line:
            value = line.split(" = ", 1)[0].strip()
            if value in crossing:
                waiting.append(value)
    for value in waiting:
        kind = b.types[value]
        out.append(f"store {kind} {value}, ptr {slot(value)}, align {max(1, kind.bits // 8)}")
    part = Builder(b.module)
    part.lines = [*_with_barriers(out), "ret void"]
    return part.define(f"internal void @{name}(ptr noalias %frame)", "noinline nounwind")


def _with_barriers(lines: list[str]) -> Iterator[str]:
    """An empty instruction that "may touch memory" after every few stores.

    LLVM compares every store with every other access nearby to see which of them may change places: quadratic
    in the number of stores, and here without any use. It does not look across such a barrier.
    """
    stores = 0
    for line in lines:
        yield line
        stores += line.startswith("store")
        if line.startswith("store") and stores % STORES == 0:
            yield 'call void asm sideeffect "", "~{memory}"()'
