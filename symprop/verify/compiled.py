"""Compiled values and gradients against the 50-digit evaluation of the same expressions, in ULP."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.graph import Node
from symprop.verify.certify import Claim
from symprop.verify.differences import Check, Plan, distance
from symprop.verify.naming import entry_name
from symprop.verify.problem import Point, Problem
from symprop.verify.report import Row
from symprop.verify.rounding import MARGIN, RUNS, noisy_values, rounded, ulp

__all__ = ["Comparison", "CompiledFunction", "Port", "compiled_rows", "difference_rows_of_compiled"]


class CompiledFunction(Protocol):
    """What a compiled function must offer to be verified."""

    @property
    def args(self) -> Sequence[sp.Basic]: ...  # noqa: D102
    @property
    def wrt(self) -> Sequence[sp.Basic]: ...  # noqa: D102
    @property
    def batch(self) -> Sequence[sp.Basic]: ...  # noqa: D102
    @property
    def reduce(self) -> str | None: ...  # noqa: D102
    @property
    def dtype(self) -> Any: ...  # noqa: D102
    def __call__(self, *args: Any) -> Any: ...  # noqa: D102
    def value_and_grad(self, *args: Any) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class Port:
    """An output or a gradient: its node, its name, and whether it keeps a sample axis where samples are
    reduced.
    """

    node: Node
    name: str
    shape: tuple[int, ...]
    per_sample: bool


@dataclass
class Comparison:
    """Compiled results for some samples, next to what they are compared with.

    `found`, `expected` and `bound` hold one array for each port: with a leading axis of samples where
    `port.per_sample`. `unknown` says for each port why its NaN may be a value that is not known, if so.
    """

    ports: Sequence[Port]
    points: Sequence[Point]
    dtype: str
    found: Sequence[Any]
    expected: Sequence[Any]
    bound: Sequence[Any]
    unknown: Sequence[str]

    def claims(self, weight: Any) -> list[Claim]:
        """The results as claims to be certified; those that are reduced are sums times `weight`."""
        return [
            Claim(port.name, port.node, port.shape, np.asarray(found), bound, port.per_sample, weight)
            for port, found, bound in zip(self.ports, self.found, self.bound, strict=True)
        ]


def compare(
    problem: Problem,
    ports: Sequence[Port],
    points: Sequence[Point],
    found: Sequence[Any],
    reduce: str | None,
    dtype: str,
) -> Comparison:
    """The exact results for the samples, reduced as the function reduces, and what rounding may change in
    them.
    """
    roots = [port.node for port in ports]
    exact: list[list[Any]] = [[] for _ in ports]
    noisy: list[list[list[Any]]] = [[[] for _ in ports] for _ in range(RUNS)]
    for number, point in enumerate(points):
        for k, (port, (value, _)) in enumerate(zip(ports, point.trusted(*roots), strict=True)):
            exact[k].append(np.broadcast_to(value, port.shape))
        floats = {serial: np.asarray(v, float if np.asarray(v).dtype.kind == "f" else None)
                  for serial, v in point.inputs.items()}  # fmt: skip
        values = noisy_values(problem.definitions, roots, floats, dtype, (problem.seed, number))
        for k, (port, value) in enumerate(zip(ports, values, strict=True)):
            for run in range(RUNS):
                noisy[run][k].append(np.broadcast_to(value[run], port.shape))
    expected, bounds = [], []
    weight = mp.mpf(1) / len(points) if reduce == "mean" and points else mp.mpf(1)
    eps = mp.mpf(float(np.finfo(dtype).eps))
    for k, port in enumerate(ports):
        stacked = np.empty((len(points), *port.shape), object)
        for number, value in enumerate(exact[k]):
            stacked[number] = value if port.shape else value[()]
        runs = []
        for run in range(RUNS):
            array = np.empty((len(points), *port.shape), object)
            for number, value in enumerate(noisy[run][k]):
                array[number] = np.frompyfunc(lambda v: mp.mpf(float(v)), 1, 1)(value)
            runs.append(array)
        extra = np.zeros(stacked.shape, object)
        if reduce is not None:
            extra = np.abs(stacked) * (eps * weight)
            stacked, runs = stacked * weight, [r * weight for r in runs]
            if not port.per_sample:
                stacked, runs, extra = (stacked.sum(axis=0), [r.sum(axis=0) for r in runs], extra.sum(axis=0))
        expected.append(np.asarray(stacked, object))
        bounds.append(_bound(np.asarray(stacked, object), runs, np.asarray(extra, object), dtype))
    unknown = [
        next((text for point in points if (text := problem.unknown(point, port.node))), "")
        if any(mp.isnan(v) for v in value.flat)
        else ""
        for port, value in zip(ports, expected, strict=True)
    ]
    return Comparison(ports, points, dtype, found, expected, bounds, unknown)


def _bound(expected: Any, runs: Sequence[Any], extra: Any, dtype: str) -> Any:
    """What rounding may change: the largest deviation of the noisy runs with a margin, at least some ULP."""

    def entry(value: Any, more: Any, *noisy: Any) -> Any:
        if not mp.isfinite(value):
            return mp.mpf(0)
        deviations = [abs(n - value) for n in noisy if mp.isfinite(n)]
        if len(deviations) < len(
            noisy
        ):  # the formula as it stands overflows: what is compiled may not, or barely
            deviations.append(abs(value) * mp.mpf(2) ** -40)
        return MARGIN * (max(deviations, default=mp.mpf(0)) + more + ulp(value, dtype) / 2)

    if not expected.size:
        return expected
    return np.array(np.frompyfunc(entry, len(runs) + 2, 1)(expected, extra, *runs), object)


def compiled_rows(comparison: Comparison) -> list[tuple[Row, tuple[int, int]]]:
    """A row for each output and gradient: the entry with the largest error in ULP (of those that fail, if
    any); with each row the numbers of the port and of the entry.
    """
    rows = []
    for number, (port, found, expected, bound, unknown) in enumerate(
        zip(
            comparison.ports,
            comparison.found,
            comparison.expected,
            comparison.bound,
            comparison.unknown,
            strict=True,
        )
    ):
        entries = [
            (mp.mpf(0), mp.mpf(0), e, True) if unknown and mp.isnan(e) else _entry(f, e, b, comparison.dtype)
            for f, e, b in zip(np.asarray(found).flat, expected.flat, bound.flat, strict=True)
        ]
        if not entries:
            continue
        flat = max(range(len(entries)), key=lambda k: (not entries[k][3], _order(entries[k][0])))
        error, limit, wanted, passed = entries[flat]
        unit = "ULP"
        if wanted == 0 and mp.isfinite(error):  # where every error is many of the smallest numbers
            smallest, unit = ulp(wanted, comparison.dtype), ""
            error, limit = error * smallest, limit * smallest
        row = Row(
            method="compiled value",
            name=port.name,
            entry=_place(comparison, port, flat),
            found=mp.mpf(float(np.asarray(found).flat[flat])),
            expected=wanted,
            error=error,
            bound=limit,
            unit=unit,
            passed=passed,
            note=unknown,
        )
        rows.append((row, (number, flat)))
    return rows


def _order(error: Any) -> float:
    return math.inf if mp.isnan(error) else float(min(error, mp.mpf(10) ** 300))


def _entry(found: Any, expected: Any, bound: Any, dtype: str) -> tuple[Any, Any, Any, bool]:
    """(error in ULP, bound in ULP, expected, passed)"""
    value, wanted = mp.mpf(float(found)), rounded(expected, dtype)
    unit = ulp(expected, dtype)
    if value == wanted or (mp.isnan(value) and mp.isnan(wanted)):
        return mp.mpf(0), bound / unit, wanted, True
    if not mp.isfinite(value) or not mp.isfinite(expected):
        return mp.inf, bound / unit, wanted, False
    error = abs(value - expected)
    return error / unit, bound / unit, wanted, bool(error <= bound)


def _place(comparison: Comparison, port: Port, flat: int) -> str:
    if not port.per_sample:
        return entry_name(port.shape, flat)
    size = max(1, math.prod(port.shape))
    return comparison.points[flat // size].where(entry_name(port.shape, flat % size))


def difference_rows_of_compiled(
    problem: Problem,
    comparison: Comparison,
    plans: Sequence[Plan],
    checks: Sequence[Check],
    reduce: str | None,
) -> list[Row]:
    """The compiled gradients against the finite differences, within both errors.

    The comparison is of the points of the problem, its last ports are the gradients. A value at a kink may be
    anything between the one-sided slopes.
    """
    weight = mp.mpf(1) / len(problem.points) if reduce == "mean" else mp.mpf(1)
    offset = len(comparison.ports) - len(problem.gradients)
    rows = []
    by_gradient: dict[int, dict[tuple[int | None, int], list[Check]]] = {}
    for check in checks:
        grouped = by_gradient.setdefault(check.gradient, {})
        grouped.setdefault((check.flat, check.number), []).append(check)
    for g, grouped in sorted(by_gradient.items()):
        gradient, one = problem.gradients[g], plans[g]
        port = comparison.ports[offset + g]
        found, bound = comparison.found[offset + g], comparison.bound[offset + g]
        candidates = []
        for (flat, number), group in grouped.items():
            if any(c.skipped or c.convention or not c.slope.finite for c in group):
                continue
            if not port.per_sample and len(group) < len(problem.points):
                continue  # an entry that was looked at in one sample only
            direction = None if flat is not None else one.directions[number - 1]
            place = entry_name(port.shape, flat) if flat is not None else f"direction {number}"
            for members in [[c] for c in group] if port.per_sample else [group]:
                at = members[0].point
                value = _along(found[at] if port.per_sample else found, flat, direction)[0]
                limit = _along(bound[at] if port.per_sample else bound, flat, direction)[1]
                scale = weight if reduce is not None else mp.mpf(1)
                low, high = (scale * mp.fsum(getattr(c, side) for c in members) for side in ("low", "high"))
                limit = limit + scale * mp.fsum(c.bound for c in members)
                error = distance(value, low, high)
                if value == rounded(low, comparison.dtype) == rounded(high, comparison.dtype):
                    error = mp.mpf(0)  # both overflow
                candidates.append(
                    Row(
                        method="finite differences, compiled",
                        name=gradient.name,
                        entry=problem.points[at].where(place) if port.per_sample else place,
                        found=value,
                        expected=low if low == high else (low, high),
                        error=error,
                        bound=limit,
                        passed=bool(error <= limit),
                    )
                )
        if candidates:
            rows.append(max(candidates, key=lambda row: (not row.passed, row.margin)))
    return rows


def _along(array: Any, flat: int | None, direction: Any) -> tuple[Any, Any]:
    """(the entry or the sum along a direction, the same with the sizes of the numbers)"""
    values = np.asarray(np.asarray(array), object)  # numbers of Python, where float32 came as a scalar
    if flat is not None:
        one = mp.mpf(values.flat[flat])
        return one, abs(one)
    terms = [mp.mpf(a) * mp.mpf(float(v)) for a, v in zip(values.flat, direction.flat, strict=True)]
    return mp.fsum(terms), mp.fsum(abs(t) for t in terms)
