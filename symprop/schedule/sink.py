"""Cheap values move to the one nest that reads them, instead of passing through memory.

The lowering puts an elementwise value into the first nest over the same points. What is made of inputs
alone is so computed early (`beta*m` of an optimizer, long before the gradient that it is added to), stored,
and read again by the nest that needs it. Here its steps move into that nest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symprop.schedule.ir import At, Buffer, Kernel, Nest, Schedule, Step

__all__ = ["sink"]

# steps that cost no more than the memory access they replace
CHEAP = {"load", "constant", "batch_size", "add", "sub", "mul", "neg", "fma", "abs", "sign"} | {
    "maximum",
    "minimum",
    "select",
    "less",
    "less_equal",
    "equal",
    "not_equal",
    "and",
    "or",
    "not",
}


def sink(schedule: Schedule) -> Schedule:
    """The schedule in which temporary values of cheap steps are computed where they are read.

    A value moves if one nest alone reads it, over the same axes, at the point at which it is made, and
    outside of its reductions.
    """
    readers: dict[Buffer, set[int]] = {}
    writers: dict[Buffer, int] = {}
    for k, nest in enumerate(schedule.nests):
        for step in (*nest.inner, *nest.body):
            if step.op == "store" and step.buffer is not None:
                writers[step.buffer] = writers.get(step.buffer, 0) + 1
            elif step.buffer is not None:
                readers.setdefault(step.buffer, set()).add(k)
    gone: set[Buffer] = set()
    for k, nest in enumerate(schedule.nests):
        if nest.reductions or isinstance(nest, Kernel):
            continue
        moved = set()
        for number, step in enumerate(nest.body):
            buffer = step.buffer
            if step.op != "store" or buffer is None or buffer.role != "temporary" or writers[buffer] != 1:
                continue
            users = readers.get(buffer, set())
            if len(users) != 1:
                continue
            (user,) = users
            needed = _needed(nest.body, step.args)
            if not all(nest.body[i].op in CHEAP for i in needed):
                continue
            if user != k and _fits(nest, schedule.nests[user], step):
                _move([nest.body[i] for i in needed], needed, step, schedule.nests[user])
                for i in needed:
                    source = nest.body[i].buffer
                    if source is not None:
                        readers[source].add(user)
                moved.add(number)
                gone.add(buffer)
        if moved:
            _drop(nest, moved)
            read = {s.buffer for s in nest.body if s.op != "store"}
            for source, where in readers.items():
                if k in where and source not in read:
                    where.discard(k)
    nests = [n for n in schedule.nests if n.body or n.reductions]
    return replace(schedule, nests=nests, temporaries=[t for t in schedule.temporaries if t not in gone])


def _needed(body: Sequence[Step], start: Sequence[int]) -> list[int]:
    """The numbers of the steps that some steps are made of, in order."""
    found: set[int] = set()
    todo = list(start)
    while todo:
        k = todo.pop()
        if k not in found:
            found.add(k)
            todo += [*body[k].args, *(i.step for i in body[k].at if i.step is not None)]
    return sorted(found)


def _fits(nest: Nest, user: Nest, store: Step) -> bool:
    if isinstance(user, Kernel) or nest.axes != user.axes or any(i.step is not None for i in store.at):
        return False
    if any(s.buffer is store.buffer for s in user.inner):
        return False
    return all(s.at == store.at for s in user.body if s.buffer is store.buffer)


def _move(steps: Sequence[Step], numbers: Sequence[int], store: Step, user: Nest) -> None:
    """Put the steps in front of the body of `user`, and their last value in place of the loads."""
    body: list[Step] = []
    known: dict[Step, int] = {}

    def put(step: Step) -> int:
        if step.op != "store" and step in known:
            return known[step]
        body.append(step)
        known[step] = len(body) - 1
        return len(body) - 1

    place: dict[int, int] = {}
    for number, step in zip(numbers, steps, strict=True):
        place[number] = put(_renumbered(step, place))
    value = place[store.args[0]]
    there: dict[int, int] = {}
    for number, step in enumerate(user.body):
        if step.op == "load" and step.buffer is store.buffer:
            there[number] = value
        else:
            there[number] = put(_renumbered(step, there))
    user.body[:] = body


def _drop(nest: Nest, stores: set[int]) -> None:
    """Take stores out of a body, and what only they used."""
    rest = [k for k, s in enumerate(nest.body) if s.op == "store" and k not in stores]
    keep = sorted({*rest, *_needed(nest.body, [a for k in rest for a in nest.body[k].args])})
    for k in rest:  # the steps of dynamic indices of stores
        keep = sorted({*keep, *_needed(nest.body, [i.step for i in nest.body[k].at if i.step is not None])})
    place = {k: new for new, k in enumerate(keep)}
    nest.body[:] = [_renumbered(nest.body[k], place) for k in keep]


def _renumbered(step: Step, place: dict[int, int]) -> Step:
    at = tuple(At(step=place[i.step]) if i.step is not None else i for i in step.at)
    return step._replace(args=tuple(place[a] for a in step.args), at=at)
