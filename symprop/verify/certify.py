"""Enclosures of outputs and gradients by ball arithmetic, and proved bounds of the error of compiled results.

The nodes of the target and of its adjoints are evaluated with balls, at a precision that is raised until the
balls are far narrower than the spacing of floating-point numbers. What is left of a ball is covered: the
distance of a compiled number from the far end of its ball is a bound of its error that is proved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import numpy as np
from mpmath.libmp import from_man_exp

from symprop.errors import UnsupportedExpressionError
from symprop.graph import Node
from symprop.verify.balls import Balls, flint
from symprop.verify.exact import Definitions
from symprop.verify.naming import entry_name, node_name
from symprop.verify.problem import evaluation_cost
from symprop.verify.report import Row, number
from symprop.verify.rounding import rounded, ulp

__all__ = ["Certificate", "Claim", "Enclosures", "certify"]

BITS = (128, 256, 512, 1280, 4096)
_TIGHT = 10  # bits by which a ball must be narrower than the spacing of floating-point numbers
_SHOWN = 12  # entries that a certificate prints
_MOST = 1e8  # cost (entries times bits) beyond which the precision is not raised any more


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """The working precision of flint, which is one for the whole process, for a while."""
    context = flint().ctx
    before = context.prec
    context.prec = bits
    try:
        yield
    finally:
        context.prec = before


class Enclosures:
    """Balls of nodes at one point; `failed` has the reason for nodes without one, `vague` nodes that were
    not decided.
    """

    def __init__(self, definitions: Definitions, inputs: Mapping[int, Any]) -> None:
        self.definitions, self.inputs = definitions, inputs
        self.balls = Balls()
        self._bits = 0
        self._known: dict[int, Any] = {}
        self.vague: set[int] = set()
        self.failed: dict[int, str] = {}

    def __call__(self, roots: Sequence[Node], bits: int) -> list[Any]:
        """For each root an array of balls; None where an operation has no enclosure (see `failed`)."""
        if bits != self._bits:
            self._bits, self._known, self.vague, self.failed = bits, {}, set(), {}
        with precision(bits):
            for node in self.definitions.order(roots):
                if node.serial not in self._known and node.serial not in self.failed:
                    self._compute(node)
        return [self._known.get(root.serial) for root in roots]

    def _compute(self, node: Node) -> None:
        if node.serial in self.inputs:
            values = np.asarray(self.inputs[node.serial])
            made = np.frompyfunc(self.balls.number, 1, 1)(values)
            self._known[node.serial] = np.array(made, object).reshape(tuple(int(d) for d in node.shape))
            return
        for arg in self.definitions.args(node):
            if arg.serial in self.failed:
                self.failed[node.serial] = self.failed[arg.serial]
                return
        definition = self.definitions.definition(node)
        if definition is not None:
            shape = tuple(int(d) for d in node.shape)
            self._known[node.serial] = np.broadcast_to(self._known[definition.serial], shape)
            return
        self.balls.vague = False
        try:
            self._known[node.serial] = self.balls.apply(node, [self._known[a.serial] for a in node.args])
        except UnsupportedExpressionError as error:
            self.failed[node.serial] = str(error)
        if self.balls.vague:
            self.vague.add(node.serial)

    def reason(self, root: Node, names: Mapping[int, str]) -> str:
        """Why the ball of a root is not tight: an operation without enclosure, a decision, a pole."""
        if root.serial in self.failed:
            return self.failed[root.serial]
        order = self.definitions.order([root])
        for node in order:
            if node.kind != "boolean" and node.serial not in self.inputs:
                values = self._known[node.serial]
                if not all(v.is_finite() for v in values.flat) and all(
                    self._finite(a) for a in self.definitions.args(node)
                ):
                    return f"`{node_name(node, names)}` is not finite, or was not proved to be"
        for node in order:
            if node.serial in self.vague:
                return f"kink undecidable: `{node_name(node, names)}` with {self._bits} bits"
        return f"not narrow enough with {self._bits} bits"

    def _finite(self, node: Node) -> bool:
        values = self._known[node.serial]
        return node.kind == "boolean" or all(v.is_finite() for v in values.flat)


# -- certificates --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """Numbers to be certified: the node that they are the value of, at every point.

    `found` and `limit` (the bound that is to be proved) have a leading axis of points where `per_point`; else
    they belong to the sum over the points times `weight`.
    """

    name: str
    node: Node
    shape: tuple[int, ...]
    found: Any
    limit: Any
    per_point: bool
    weight: Any = 1


@dataclass(frozen=True)
class Certificate:
    """What is proved of an output or a gradient: for each entry a bound of the error of the compiled number.

    `error` (absolute) and `ulps` are arrays, infinite where no bound was found; `lower` and `upper` enclose
    the true values (rounded outwards to float64), `why` has the reason by flat index for every entry without
    a narrow enclosure, `bits` is the precision that was needed. Prints as a table.
    """

    name: str
    places: Sequence[str]
    found: Any
    lower: Any
    upper: Any
    error: Any
    ulps: Any
    why: dict[int, str] = field(default_factory=dict)
    bits: int = 0

    @property
    def proved(self) -> bool:
        """Whether every entry has a bound."""
        return bool(np.isfinite(self.error).all())

    def summary(self) -> str:
        """One line on all entries."""
        count = int(self.error.size)
        if not count:
            return "no entries"
        finite = np.isfinite(self.error)
        text = ""
        if finite.any():
            worst, most = float(self.error[finite].max()), float(self.ulps[finite].max())
            entries = "its" if count == 1 else f"each of {int(finite.sum())} entries: the"
            text = f"{entries} error is at most {number(worst, 3)}, {number(most, 3)} ULP ({self.bits} bits)"
        if not finite.all():
            first = next(iter(self.why.values()), "")
            missing = count - int(finite.sum())
            text += f"{'; ' * bool(text)}no bound found for {missing} of {count}: {first}"
        elif self.why:
            text += f"; not narrow for {len(self.why)}: {next(iter(self.why.values()))}"
        return text

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.summary()}"]
        for k in range(min(_SHOWN, self.error.size)):
            place = self.places[k] if k < len(self.places) else ""
            error, ulps = number(self.error.flat[k], 3), number(self.ulps.flat[k], 3)
            why = f"  ({self.why[k]})" if k in self.why else ""
            given = self.found.flat[k]
            found = number(given if isinstance(given, mp.mpf) else float(given), 17)
            lines.append(f"  {place or self.name}: {found}, error at most {error} = {ulps} ULP{why}")
        if self.error.size > _SHOWN:
            lines.append(f"  and {self.error.size - _SHOWN} more entries")
        return "\n".join(lines)

    __repr__ = __str__


def certify(
    definitions: Definitions,
    claims: Sequence[Claim],
    points: Sequence[Any],
    names: Mapping[int, str],
    dtype: str,
    method: str,
) -> tuple[list[Row], dict[str, Certificate]]:
    """A row and a certificate for each claim; the precision is raised until every ball is narrow.

    A row passes where every error is proved to be within the limit of its claim.
    """
    enclosures = [Enclosures(definitions, point.inputs) for point in points]
    left = list(range(len(claims)))
    results: dict[int, _Result] = {}
    cost = evaluation_cost(definitions, [claim.node for claim in claims]) * len(points)
    for bits in BITS:
        if results and cost * bits > _MOST:
            break
        roots = [claims[k].node for k in left]
        values = [one(roots, bits) for one in enclosures]
        for place, k in enumerate(left):
            results[k] = _result(claims[k], [v[place] for v in values], enclosures, dtype, bits)
        left = [k for k in left if results[k].wide]
        if not left or all(claims[k].node.serial in one.failed for k in left for one in enclosures):
            break
    rows, certificates = [], {}
    for k, claim in enumerate(claims):
        result = results[k]
        places = [_place(claim, points, flat) for flat in range(min(result.error.size, _SHOWN))]
        why = {}
        if result.wide:
            reasons = [one.reason(claim.node, names) for one in enclosures]
            size = max(1, int(np.prod(claim.shape)))
            why = {flat: reasons[flat // size if claim.per_point else 0] for flat in result.wide}
        certificate = Certificate(
            claim.name,
            places,
            result.found,
            result.lower,
            result.upper,
            result.error,
            result.ulps,
            why,
            result.bits,
        )
        certificates[claim.name] = certificate
        if result.error.size:
            rows.append(_row(claim, certificate, result, points, dtype, method))
    return rows, certificates


@dataclass
class _Result:
    """The balls of a claim, and what they prove."""

    bits: int
    found: Any
    middle: list[Any]
    lower: Any
    upper: Any
    error: Any
    ulps: Any
    wide: list[int]


def _result(
    claim: Claim, values: Sequence[Any], enclosures: Sequence[Enclosures], dtype: str, bits: int
) -> _Result:
    """The error of every entry, bounded by the distance to the far end of its ball."""
    found, limits = np.asarray(claim.found), np.asarray(claim.limit, object)
    missing = any(v is None for v in values)
    with precision(bits):
        balls = enclosures[0].balls
        if missing:
            entries = [balls.arb.nan()] * found.size
        elif claim.per_point:
            entries = [v for array in values for v in np.broadcast_to(array, claim.shape).flat]
        else:
            total = sum(np.broadcast_to(array, claim.shape) for array in values)
            entries = [balls.number(v) * balls.number(claim.weight) for v in np.asarray(total, object).flat]
        error, ulps = np.full(len(entries), np.inf), np.full(len(entries), np.inf)
        lower, upper = np.full(len(entries), -np.inf), np.full(len(entries), np.inf)
        middle, wide = [], []
        for k, (ball, given) in enumerate(zip(entries, found.flat, strict=True)):
            middle.append(_mpf(ball.mid()) if ball.is_finite() else mp.nan)
            if not ball.is_finite():
                wide.append(k)
                continue
            low, high = _mpf(ball.lower()), _mpf(ball.upper())
            lower[k], upper[k] = _outwards(low, -1), _outwards(high, 1)
            least = _mpf(ball.abs_lower())
            unit = ulp(least, dtype)
            limit = limits.flat[k]
            if high - low > mp.ldexp(min(unit, limit) if limit else unit, -_TIGHT):
                wide.append(k)
            value = mp.mpf(float(given)) if not isinstance(given, mp.mpf) else given
            if mp.isinf(value) and rounded(low, dtype) == value == rounded(high, dtype):
                error[k] = ulps[k] = 0.0  # beyond the range of the type
            elif mp.isfinite(value):
                # more than the rounding of these differences at 50 digits and more
                distance = max(abs(value - low), abs(high - value)) * (1 + mp.ldexp(1, -150))
                error[k], ulps[k] = _outwards(distance, 1), _outwards(distance / unit, 1)
    shape = found.shape
    lows, highs, errors, units = (array.reshape(shape) for array in (lower, upper, error, ulps))
    return _Result(bits, found, middle, lows, highs, errors, units, wide)


def _mpf(ball: Any) -> Any:
    """An exact ball as a number of mpmath."""
    mantissa, exponent = ball.man_exp()
    return mp.make_mpf(from_man_exp(int(mantissa), int(exponent)))  # as it is, at any working precision


def _outwards(value: Any, side: int) -> float:
    """A float64 that is no smaller (side 1) or no larger (side -1)."""
    near = float(value)
    if not np.isfinite(near) or mp.mpf(near) == value or (mp.mpf(near) > value) == (side > 0):
        return near
    return float(np.nextafter(near, side * np.inf))


def _place(claim: Claim, points: Sequence[Any], flat: int) -> str:
    if not claim.per_point:
        return entry_name(claim.shape, flat)
    size = max(1, int(np.prod(claim.shape)))
    return str(points[flat // size].where(entry_name(claim.shape, flat % size)))


def _row(
    claim: Claim, certificate: Certificate, result: _Result, points: Sequence[Any], dtype: str, method: str
) -> Row:
    limits = np.asarray(claim.limit, object)
    margins = []
    for k, (error, limit) in enumerate(zip(certificate.error.flat, limits.flat, strict=True)):
        passed = bool(mp.mpf(error) <= limit) and mp.isfinite(error)
        margins.append((not passed, float(error) if not np.isfinite(error) else float(mp.mpf(error) / limit)
                        if limit else float(error > 0), k))  # fmt: skip
    failed, _, k = max(margins)
    absolute = method != "certified" or not mp.isfinite(result.middle[k]) or result.middle[k] == 0
    unit = mp.mpf(1) if absolute else ulp(result.middle[k], dtype)
    given = result.found.flat[k]
    return Row(
        method=method,
        name=claim.name,
        entry=_place(claim, points, k),
        found=given if isinstance(given, mp.mpf) else mp.mpf(float(given)),
        expected=result.middle[k],
        error=mp.mpf(certificate.error.flat[k] if absolute else certificate.ulps.flat[k]),
        bound=limits.flat[k] / unit,
        unit="" if absolute else "ULP",
        passed=not failed,
        known=k not in certificate.why,
        note=certificate.summary(),
    )
