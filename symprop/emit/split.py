"""Long straight-line code cut into functions, so that compile time stays linear in its length.

LLVM schedules and allocates registers for a function as a whole, which takes more than linear time where
thousands of values are alive. Values that live from one part to another would be spilled to the stack anyway:
here they are kept in a frame, an array that every part gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from symprop.emit.builder import PTR, Builder, Type, Value, vector

__all__ = ["Cuts", "Room", "splitting"]

Room = Callable[[Type, int], Value]  # room for so many values of a type: its address

LONG = 3000  # lines of straight code up to which a function stays whole
PART = 600  # lines of a part: the shorter, the less a part costs; the longer, the fewer values cross
STORES = 4  # stores after which the order of memory accesses is fixed, see `_with_barriers`

_NAME = re.compile(r"%[\w.]+")
_LABEL = re.compile(r", %([\w.]+) \]")


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
def splitting(b: Builder, name: str, room: Room, once: bool = False) -> Iterator[Cuts]:
    """Code written in this block is cut into functions `name.0`, `name.1` ... where it is long.

    Nothing written after the block may use a value that the block defines. `room` gives the frame. Code that
    runs `once` a call is translated line by line (`optnone`): three times quicker than with the choice of
    instructions and their order, which gains nothing where nearly every value goes through memory. The
    elementary functions that it calls are functions of their own, with all care.
    """
    cuts, block = Cuts(b), b.block
    yield cuts
    if len(b.lines) - cuts.start > LONG:
        _Split(b, cuts, name, room, once).run()
        b.block = block  # those begun since then are in the parts


class _Line(NamedTuple):
    """A line of code with the value that it defines ("" for none) and those that it reads."""

    text: str
    name: str
    uses: Sequence[str]


class _Split:
    def __init__(self, b: Builder, cuts: Cuts, name: str, room: Room, once: bool) -> None:
        self.b, self.cuts, self.name, self.room, self.once = b, cuts, name, room, once
        self.home: dict[str, int] = {}  # name of a value -> number of the part that defines it
        self.offsets: dict[str, int] = {}  # of a value that crosses from part to part -> place in the frame
        self.size = 0

    def run(self) -> None:
        """Replace the code by calls of its parts."""
        b, name = self.b, self.name
        parts = self._parts()
        for number, part in enumerate(parts):
            for line in part:
                if line.name:
                    self.home[line.name] = number
        home, offsets = self.home, self.offsets
        for number, part in enumerate(parts):
            for line in part:
                for used in line.uses:
                    if home.get(used, -1) != number and used not in offsets:
                        self._place(used)
        del b.lines[self.cuts.start :]
        frame = self.room(vector("i8"), self.size)
        for outside in (n for n in offsets if n not in home):
            b.store(Value(outside, self._type(outside)), b.element(frame, offsets[outside], vector("i8")))
        for number, part in enumerate(parts):
            b.emit(f"call void @{name}.{number}(ptr {frame})")
            b.module.functions[f"{name}.{number}"] = self._part(number, part)

    def _parts(self) -> list[list[_Line]]:
        parts: list[list[_Line]] = []
        lines, begin = self.b.lines, self.cuts.start
        for place in [*self.cuts.places, len(lines)]:
            if place - begin >= PART or place == len(lines):
                parts.append([_line(t) for text in lines[begin:place] for t in text.split("\n")])
                begin = place
        return parts

    def _type(self, name: str) -> Type:
        return self.b.types.get(name, PTR)

    def _place(self, name: str) -> None:
        kind = self._type(name)
        size = -(-kind.bits * kind.lanes // 64) * 8
        self.size = -(-self.size // size) * size
        self.offsets[name] = self.size
        self.size += size

    def _part(self, number: int, lines: Sequence[_Line]) -> str:
        """The text of one part: it reads a value from the frame where it is used first and writes its own
        at once.
        """
        home, offsets = self.home, self.offsets
        out: list[str] = []
        read: set[str] = set()
        waiting: list[str] = []

        def access(name: str) -> tuple[str, str]:
            kind = self._type(name)
            out.append(f"{name}.slot = getelementptr i8, ptr %frame, i64 {offsets[name]}")
            return kind.text, f"ptr {name}.slot, align {max(1, kind.bits // 8)}"

        def fetch(name: str) -> None:
            if name in offsets and name not in read and home.get(name, -1) != number:
                read.add(name)
                kind, where = access(name)
                out.append(f"{name} = load {kind}, {where}")

        def write() -> None:
            for name in waiting:
                kind, where = access(name)
                out.append(f"store {kind} {name}, {where}")
            waiting.clear()

        blocks = {line.text[:-1] for line in lines if line.text.endswith(":")}
        for line in lines:  # a phi must come first in its block: what it reads is read at the start
            if " = phi " in line.text:
                for name in line.uses:
                    fetch(name)
        for line in lines:
            if " = phi " not in line.text:
                if waiting:
                    write()
                for name in line.uses:
                    fetch(name)
            out.append(_from_entry(line.text, blocks) if " = phi " in line.text else line.text)
            if line.name in offsets:
                waiting.append(line.name)
        write()
        part = Builder(self.b.module)
        part.lines = [*(out if self.once else _with_barriers(out)), "ret void"]
        attributes = "noinline nounwind optnone" if self.once else "noinline nounwind"
        return part.define(f"internal void @{self.name}.{number}(ptr noalias %frame)", attributes)


def _line(text: str) -> _Line:
    """A line with what it defines and reads (labels excepted)."""
    name, equals, right = text.partition(" = ")
    if not equals:
        if text.endswith(":") or text.startswith("br label"):
            return _Line(text, "", ())
        return _Line(text, "", _NAME.findall(text.split(",", 1)[0] if text.startswith("br i1") else text))
    if right.startswith("phi "):
        right = re.sub(r", %[\w.]+ \]", " ]", right)
    return _Line(text, name.strip(), _NAME.findall(right))


def _from_entry(phi: str, blocks: set[str]) -> str:
    """A phi whose block before it was begun in another part comes from the entry of its own."""
    return _LABEL.sub(lambda m: m[0] if m[1] in blocks else ", %entry ]", phi)


def _with_barriers(lines: list[str]) -> Iterator[str]:
    """An empty instruction that "may touch memory" after every few stores.

    LLVM compares every store with every other access nearby to see which of them may change places: quadratic
    in the number of stores, and here without any use. It does not look across such a barrier.
    """
    stores = 0
    for line in lines:
        yield line
        if line.startswith("store"):
            stores += 1
            if stores % STORES == 0:
                yield 'call void asm sideeffect "", "~{memory}"()'
