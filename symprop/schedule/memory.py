"""Memory of temporary buffers: those that are never alive together share it, and nests come in an order in
which lives are short.

A buffer is alive from the first nest that writes it to the last that uses it, both included. Buffers with a
sample axis share one area, whose size grows with the samples; the others share one of fixed size. Within an
area the largest buffer is placed first, each at the lowest offset that is free while it is alive.
"""

from __future__ import annotations

from dataclasses import dataclass

from symprop.schedule.ir import Buffer, Kernel, Schedule

__all__ = ["ALIGN", "Layout", "Slot", "share_memory", "shorten_lives"]

FEW = 200  # nests up to which their order is chosen: the choice takes quadratic time
ALIGN = 64  # bytes: a line of the cache, and the widest vector


@dataclass(frozen=True)
class Slot:
    """A buffer, its first byte and its size (for each sample, where it is batched), and the first and last
    nest of its life.
    """

    buffer: Buffer
    offset: int
    size: int
    first: int
    last: int

    def __str__(self) -> str:
        unit = "N x " if self.buffer.batched else ""
        where = f"{self.buffer.name} at {unit}{self.offset}, {unit}{self.size} bytes"
        return f"{where}, nests {self.first} to {self.last}"


@dataclass(frozen=True)
class Layout:
    """The places of all temporaries, and the bytes of both areas: a fixed number, and one for each sample.

    Rows of an area with samples are counted in multiples of `ALIGN` samples, so that every buffer is aligned.
    """

    slots: tuple[Slot, ...]
    fixed: int
    per_sample: int

    def __str__(self) -> str:
        alone = sum(s.size for s in self.slots if s.buffer.batched)
        head = f"memory: {self.fixed} bytes + N x {self.per_sample} (without sharing N x {alone})"
        return "\n".join([head, *(f"  {slot}" for slot in self.slots)])


def share_memory(schedule: Schedule, real: int) -> Layout:
    """Places for the temporaries of a schedule whose real numbers have `real` bytes."""
    sizes = {"real": real, "integer": 8, "boolean": 1}
    lives = _lives(schedule)
    slots: dict[Buffer, Slot] = {}
    ends = [0, 0]
    for batched in (False, True):
        placed: list[Slot] = []
        wanted = []
        for buffer in schedule.temporaries:
            if buffer.batched == batched:
                size = buffer.entries * sizes[buffer.kind]
                wanted.append((buffer, size if batched else -(-size // ALIGN) * ALIGN))
        for buffer, size in sorted(wanted, key=lambda item: -item[1]):
            first, last = lives.get(buffer, (0, -1))
            beside = [s for s in placed if s.first <= last and first <= s.last]
            slot = Slot(buffer, _lowest(beside, size), size, first, last)
            placed.append(slot)
            slots[buffer] = slot
            ends[batched] = max(ends[batched], slot.offset + size)
    return Layout(tuple(slots[b] for b in schedule.temporaries), *ends)


def _lives(schedule: Schedule) -> dict[Buffer, tuple[int, int]]:
    """The first and the last nest that touch each buffer."""
    lives: dict[Buffer, tuple[int, int]] = {}
    for number, nest in enumerate(schedule.nests):
        for step in (*nest.inner, *nest.body):
            if step.buffer is not None:
                first, _ = lives.get(step.buffer, (number, number))
                lives[step.buffer] = first, number
    return lives


def _lowest(beside: list[Slot], size: int) -> int:
    """The lowest offset with room for `size` bytes between the slots."""
    offset = 0
    for slot in sorted(beside, key=lambda s: s.offset):
        if slot.offset - offset >= size:
            break
        offset = max(offset, slot.offset + slot.size)
    return offset


def shorten_lives(schedule: Schedule) -> None:
    """Order the nests so that little memory is alive: of those that may come next, always the one after which
    least more is alive. A gradient of weights so comes as soon as its factors are there, while they are near.

    Programs with kernels keep their order: the first singular matrix is the one that is reported.
    """
    nests = schedule.nests
    if len(nests) > FEW or any(isinstance(nest, Kernel) for nest in nests):
        return
    reads, writes, edges = _uses(schedule)
    waiting = [0] * len(nests)
    for following in edges:
        for k in following:
            waiting[k] += 1
    users: dict[Buffer, int] = {}
    for k in range(len(nests)):
        for buffer in reads[k] | writes[k]:
            users[buffer] = users.get(buffer, 0) + 1
    alive: set[Buffer] = set()

    def growth(k: int) -> int:
        touched = reads[k] | writes[k]
        new = sum(b.entries for b in touched - alive if b.role == "temporary" and b.batched)
        return new - sum(b.entries for b in touched if users[b] == 1 and b.role == "temporary" and b.batched)

    ready = [k for k, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        chosen = min(ready, key=lambda k: (growth(k), k))
        ready.remove(chosen)
        order.append(chosen)
        touched = reads[chosen] | writes[chosen]
        alive |= touched
        for buffer in touched:
            users[buffer] -= 1
        for k in edges[chosen]:
            waiting[k] -= 1
            if not waiting[k]:
                ready.append(k)
    schedule.nests = [nests[k] for k in order]


def _uses(schedule: Schedule) -> tuple[list[set[Buffer]], list[set[Buffer]], list[set[int]]]:
    """What each nest reads and writes, and the later nests that must stay behind it."""
    reads: list[set[Buffer]] = []
    writes: list[set[Buffer]] = []
    edges: list[set[int]] = [set() for _ in schedule.nests]
    for number, nest in enumerate(schedule.nests):
        read: set[Buffer] = set()
        written: set[Buffer] = set()
        for step in (*nest.inner, *nest.body):
            if step.buffer is not None:  # an output in the memory of an input is that input
                (written if step.op == "store" else read).add(step.buffer.overwrites or step.buffer)
        for before in range(number):
            if written & (reads[before] | writes[before]) or read & writes[before]:
                edges[before].add(number)
        reads.append(read)
        writes.append(written)
    return reads, writes, edges
