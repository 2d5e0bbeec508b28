"""The numbers of a drawing: values and gradients of every wire, computed by compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symprop.api.calls import Family
from symprop.api.programs import Result, Source
from symprop.errors import ArgumentError
from symprop.graph import Node
from symprop.show import Numbers, Scene, arrange

__all__ = ["Plan", "one_sample"]


@dataclass(frozen=True)
class Plan:
    """A scene, and the compiled program of all its numbers."""

    scene: Scene
    family: Family
    serials: tuple[int, ...]
    sampled: frozenset[int]
    axes: tuple[int, ...]  # of each result

    @classmethod
    def of(cls, source: Source, expand: Any, lock: Any) -> Plan:
        """The scene of the declared graph, and roots for what it shows; the caller holds the lock."""
        table = source.table
        output = None if source.scalar_fault() is not None else table.reshape(source.outputs[0], ())
        reduce = source.declaration.reduce
        totals = {}
        if reduce is not None:
            totals = {n.serial: (reduce, source.reduced(n)) for n in source.outputs if source.is_batched(n)}
        scene = arrange(source.declaration.graph, table, source.nodes, output, expand, totals)
        roots: dict[int, Node] = {}
        spread = bool(source.declaration.batch) and source.declaration.reduce is None
        sampled: set[int] = set()

        def value(node: Node) -> Node:
            roots[node.serial] = node
            if source.is_batched(node):
                sampled.add(node.serial)
            return node

        def gradient(part: Node | None, node: Node) -> Node | None:
            if part is None:
                return None
            by_sample = source.is_batched(node)
            reduced = source.reduced_gradient(part, node, by_sample)
            roots[reduced.serial] = reduced
            if by_sample or spread:
                sampled.add(reduced.serial)
            return reduced

        for wire in scene.wires:
            for node in wire.nodes:
                value(node)
            if wire.contributions is not None and not wire.final:
                pairs = zip(wire.contributions, wire.nodes, strict=True)
                wire.contributions = [gradient(part, node) for part, node in pairs]
        if scene.gradients is not None:
            shown = {n.serial: n for n in scene.stems().values()}
            scene.gradients = {s: gradient(scene.gradients.get(s), node) for s, node in shown.items()}
        name = source.declaration.graph.outputs[0]
        results = [Result(name, None, serial in sampled) for serial in roots]
        family = Family(source, list(roots.values()), results, lock)
        axes = tuple(len(node.shape) + (serial in sampled) for serial, node in roots.items())
        return cls(scene, family, tuple(roots), frozenset(sampled), axes)

    def numbers(self, values: Sequence[Any]) -> Numbers:
        """The numbers of a call; a column has its second axis again."""
        found = {}
        for serial, axes, result in zip(self.serials, self.axes, self.family.call(values), strict=True):
            array = np.asarray(result)
            found[serial] = array.reshape(array.shape + (1,) * (axes - array.ndim))
        return Numbers(found, self.sampled)


def one_sample(source: Source, values: Sequence[Any], sample: int) -> list[Any]:
    """The arguments with one sample of the batch."""
    if not source.declaration.batch:
        raise ArgumentError(f"sample={sample}: the function has no batch; leave sample out")
    result = []
    for argument, value in zip(source.arguments({}), values, strict=True):
        if argument.batched:
            array = np.asarray(value)
            count = array.shape[0] if array.ndim else 0
            if not 0 <= sample < count:
                raise ArgumentError(f"sample={sample}: {argument.name} has {count} samples, numbered from 0")
            value = array[sample : sample + 1]
        result.append(value)
    return result
