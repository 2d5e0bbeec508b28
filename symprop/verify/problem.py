"""What is verified: a scalar target, its gradients, and the points at which they are taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import numpy as np

from symprop.functions.elementwise import REACH, is_beyond
from symprop.graph import Node, NodeTable
from symprop.verify.exact import LEVELS, Definitions, Exact, Trusted, operation_cost, shape_of
from symprop.verify.kinks import Kink, find_kinks
from symprop.verify.naming import node_name

__all__ = ["Gradient", "Point", "Problem", "evaluation_cost", "shape_of"]


@dataclass(frozen=True)
class Gradient:
    """An input of the target and its derived gradient, of the same shape."""

    wrt: Node
    node: Node
    name: str
    along: tuple[tuple[Node, Any], ...] = ()  # `wrt` moves these inputs along directions, all at once
    direction: bool = False  # `wrt` is a number that moves the entries of an argument

    def base(self, exact: Exact) -> list[tuple[Node, Any]]:
        """The inputs that are moved, with their values at a point."""
        moved = [node for node, _ in self.along] or [self.wrt]
        return list(zip(moved, exact(*moved), strict=True))


@dataclass
class Point:
    """Values of the inputs: those of one sample, where there is a batch."""

    inputs: Mapping[int, Any]
    trusted: Trusted
    sample: int | None = None

    def where(self, entry: str) -> str:
        """An entry with the sample that it belongs to."""
        return entry if self.sample is None else f"{entry} sample {self.sample}".strip()


@dataclass
class Problem:
    """A scalar target with gradients at some points; `names` holds the names of nodes by serial number."""

    table: NodeTable
    definitions: Definitions
    target: Node
    gradients: Sequence[Gradient]
    points: Sequence[Point]
    names: Mapping[int, str]
    seed: int = 0
    budget: float = 5e5
    _kinks: list[Kink] | None = field(default=None, repr=False)

    @property
    def kinks(self) -> list[Kink]:
        """The kinks that the operations of the target declare."""
        if self._kinks is None:
            self._kinks = find_kinks(self.definitions, [self.target])
        return self._kinks

    def gradient_values(self, point: Point) -> list[tuple[Any, Any]]:
        """Each gradient at a point with the error of its evaluation."""
        found = point.trusted(*[g.node for g in self.gradients])
        return [
            (np.broadcast_to(v, shape_of(g.wrt)), np.broadcast_to(e, shape_of(g.wrt)))
            for g, (v, e) in zip(self.gradients, found, strict=True)
        ]

    def value(self, point: Point, changes: Mapping[int, Any], digits: int) -> Any:
        """The target, with some nodes changed."""
        exact = point.trusted.at(digits)
        return (exact.changed(changes, self.target) if changes else exact(self.target))[0][()]

    def noise(self, point: Point, digits: int) -> Any:
        """The rounding error of the target at that many digits: seen against more, and against the value that
        is trusted (all digits of both may cancel), at least one unit.
        """
        low = self.value(point, {}, digits)
        high = self.value(point, {}, digits + 12)
        trusted, known_to = self.trusted_value(point)
        with mp.workdps(digits + 12):
            beyond = max(abs(low - trusted) - known_to, mp.mpf(0)) if mp.isfinite(trusted) else mp.mpf(0)
            return 4 * max(abs(low - high), beyond) + abs(high) * mp.mpf(10) ** -digits

    def trusted_value(self, point: Point) -> tuple[Any, Any]:
        """The target at a point with as many digits as it takes, and its error."""
        ((value, error),) = point.trusted(self.target)
        return value[()], error[()]

    def speed(
        self,
        point: Point,
        move: Callable[[Any, int], dict[int, Any]],
        roots: Sequence[Node],
        binary: int,
        digits: int,
    ) -> int:
        """The binary exponent of the slope of the number that changes most on the way to some nodes, by a
        step of 2**binary; `move(t, digits)` gives the inputs at distance t.
        """
        exact = point.trusted.at(digits)
        with mp.workdps(digits):
            step = mp.ldexp(1, binary)
            changes = move(step, digits)
            nodes = [n for n in self.definitions.affected(changes, roots) if n.kind == "real"]
            pairs = zip(exact(*nodes), exact.changed(changes, *nodes), strict=True)
            moved = [abs(v) for a, b in pairs for v in np.asarray(b - a, object).flat]
            return int(mp.mag(max((v for v in moved if v and mp.isfinite(v)), default=step) / step))

    def unknown(self, point: Point, root: Node) -> str:
        """Why a value is not known at a point: it needs a function of a number of too many digits."""
        exact = point.trusted.at(LEVELS[0])
        exact(root)
        for node in self.definitions.order([root]):
            if any(is_beyond(v) for v in np.asarray(exact.known[node.serial], object).flat):
                name = self.name_of(node)
                return f"not known: {name} has more than {REACH} binary digits before the point"
        return ""

    @property
    def limit(self) -> str:
        """The budget, as reports state it."""
        return f"budget={self.budget:g}"

    @property
    def target_name(self) -> str:
        """The name of the target."""
        return self.names.get(self.target.serial, "target")

    def name_of(self, node: Node) -> str:
        """A node in a few characters."""
        return node_name(node, self.names)


def evaluation_cost(definitions: Definitions, roots: Sequence[Node]) -> float:
    """What one evaluation costs, in additions of 50 digits."""
    return sum(
        operation_cost(node, math.prod(shape_of(node)))
        for node in definitions.order(roots)
        if definitions.definition(node) is None
    )
