"""Outputs that overwrite inputs: the order of the nests in which every value is read before it is replaced.

A training step writes the new parameters where the old ones are. Each nest that reads an input comes before
the nest that overwrites it; within that one nest a point reads and writes the same entry only. Where either
cannot be (two nests would each have to come first, or a nest reads other entries than the one it writes), the
output goes to a temporary buffer, which a nest at the end copies.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from symprop.schedule.ir import SAMPLES, At, Axis, Buffer, Kernel, Nest, Schedule, Step

__all__ = ["overwrite"]


def overwrite(schedule: Schedule, pairs: Mapping[int, Any]) -> Schedule:
    """The schedule in which output number `k` overwrites the input `pairs[k]` (a symbol).

    An output and its input have the same shape and kind, and no sample axis; no two outputs overwrite the
    same input. `Buffer.overwrites` says afterwards which input lies in the memory of an output.
    """
    inputs = {buffer.symbol: buffer for buffer in schedule.inputs}
    nests, temporaries = list(schedule.nests), list(schedule.temporaries)
    edges = _dependencies(nests)
    # a singular matrix ends the call: before anything is overwritten
    solves = [k for k, nest in enumerate(nests) if isinstance(nest, Kernel) and nest.node is not None]
    for number, symbol in pairs.items():
        output, source = schedule.outputs[number], inputs[symbol]
        if output.batched or source.batched:
            raise ValueError(f"output {number} or {symbol} has a sample axis and cannot be overwritten")
        if (output.shape, output.kind) != (source.shape, source.kind):
            raise ValueError(
                f"output {number} {output.shape} does not fit the memory of {symbol} {source.shape}"
            )
        output.overwrites, source.overwritten = source, True
        readers = [k for k, nest in enumerate(nests) if source in _loads(nest)]
        (writer,) = [k for k, nest in enumerate(nests) if output in _stores(nest)]
        before = [k for k in readers if k != writer] + [k for k in solves if k != writer]
        same_entry = writer not in readers or _reads_what_it_writes(nests[writer], source, output)
        if same_entry and not _reaches(edges, writer, before):
            _stores_last(nests[writer])
        else:
            temporary = replace(
                output, name=f"{source.name}_new", role="temporary", number=len(temporaries), overwrites=None
            )
            temporaries.append(temporary)
            _redirect(nests[writer], output, temporary)
            nests.append(_copy(temporary, output))
            edges.append(set())
            edges[writer].add(len(nests) - 1)
            before, writer = [*readers, *solves], len(nests) - 1
        for k in before:
            edges[k].add(writer)
    ordered = [nests[k] for k in _sorted(edges)]
    return replace(schedule, nests=ordered, temporaries=temporaries)


def _loads(nest: Nest) -> set[Buffer | None]:
    return {s.buffer for s in (*nest.inner, *nest.body) if s.op != "store" and s.buffer is not None}


def _stores(nest: Nest) -> set[Buffer | None]:
    return {s.buffer for s in (*nest.inner, *nest.body) if s.op == "store"}


# -- what comes before what --------------------------------------------------------------------------------


def _dependencies(nests: list[Nest]) -> list[set[int]]:
    """For each nest the later nests that must stay behind it: those that read or write what it writes, or
    write what it reads."""
    edges: list[set[int]] = [set() for _ in nests]
    writers: dict[Buffer | None, list[int]] = {}
    readers: dict[Buffer | None, list[int]] = {}
    for k, nest in enumerate(nests):
        for buffer in _loads(nest):
            for other in writers.get(buffer, ()):
                edges[other].add(k)
            readers.setdefault(buffer, []).append(k)
        for buffer in _stores(nest):
            for other in (*writers.get(buffer, ()), *readers.get(buffer, ())):
                if other != k:
                    edges[other].add(k)
            writers.setdefault(buffer, []).append(k)
    return edges


def _reaches(edges: list[set[int]], start: int, targets: Iterable[int]) -> bool:
    """True where one of the targets must come after `start`."""
    wanted, seen, todo = set(targets), {start}, [start]
    while todo:
        for following in edges[todo.pop()]:
            if following in wanted:
                return True
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return False


def _sorted(edges: list[set[int]]) -> list[int]:
    """The nests in an order that keeps every edge, otherwise as they are."""
    waiting = [0] * len(edges)
    for following in edges:
        for k in following:
            waiting[k] += 1
    ready = [k for k, count in enumerate(waiting) if not count]
    order = []
    while ready:
        k = heapq.heappop(ready)
        order.append(k)
        for following_nest in edges[k]:
            waiting[following_nest] -= 1
            if not waiting[following_nest]:
                heapq.heappush(ready, following_nest)
    assert len(order) == len(edges), "the constraints on the order of the nests form a cycle"
    return order


# -- within the nest that writes ---------------------------------------------------------------------------


def _reads_what_it_writes(nest: Nest, source: Buffer, output: Buffer) -> bool:
    """True where every point of the nest reads no other entry of the input than the one it overwrites, and
    no other point writes that one."""
    if isinstance(nest, Kernel) or any(s.buffer is source for s in nest.inner):
        return False
    written = {s.at for s in nest.body if s.op == "store" and s.buffer is output}
    read = {s.at for s in nest.body if s.op == "load" and s.buffer is source}
    (at,) = written
    names = [i.axis for i in at if i.axis is not None]
    every_point_its_own = sorted(names) == sorted(a.name for a in nest.axes)
    return read == written and every_point_its_own and all(i.step is None for i in at)


def _stores_last(nest: Nest) -> None:
    """Move the stores of the body behind everything else: nothing in the nest reads what they write."""
    stores = [s for s in nest.body if s.op == "store"]
    others = [(k, s) for k, s in enumerate(nest.body) if s.op != "store"]
    place = {k: new for new, (k, _) in enumerate(others)}
    moved = [_renumbered(s, place) for _, s in others] + [_renumbered(s, place) for s in stores]
    nest.body[:] = moved


def _renumbered(step: Step, place: Mapping[int, int]) -> Step:
    at = tuple(At(step=place[i.step]) if i.step is not None else i for i in step.at)
    return step._replace(args=tuple(place[a] for a in step.args), at=at)


# -- over a temporary buffer -------------------------------------------------------------------------------


def _redirect(nest: Nest, output: Buffer, temporary: Buffer) -> None:
    nest.body[:] = [
        s._replace(buffer=temporary) if s.op == "store" and s.buffer is output else s for s in nest.body
    ]


def _copy(source: Buffer, target: Buffer) -> Nest:
    """A nest that copies a buffer."""
    axes: list[Axis] = []
    at: list[At] = []
    for extent in source.shape:
        axes += [Axis(f"i{len(axes)}", extent)] if extent != 1 else []
        at.append(At(axes[-1].name) if extent != 1 else At())
    assert SAMPLES not in axes
    load = Step("load", (), source, tuple(at), kind=source.kind)
    return Nest(tuple(axes), body=[load, Step("store", (0,), target, tuple(at))])
