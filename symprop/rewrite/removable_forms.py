"""Functions of one value next to a point where their formula loses digits though they are smooth there.

`cos(x)/x - sin(x)/x**2`, the slope of sin(x)/x, is -x/3 + x**3/30 - ... for small x, where its terms cancel
or overflow. Whether a formula does so is found out: what the roundings of its operations may be worth is
added up at distances that get smaller and smaller, and next to zero it is computed in doubles. Where digits
are lost, a power of the distance times a polynomial takes its place, as far out as they are lost; the
polynomial is the Chebyshev interpolant of exact values. All of it is done with mpmath, so that the same comes
out on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import frexp, inf, isfinite, isnan
from operator import mul
from typing import Any

import mpmath as mp
import sympy as sp

from symprop.graph import OPERATIONS, Node, topological

__all__ = ["Formula", "Near", "near_form"]

ACT, KEPT = 16.0, 7.0  # units of 2**-53: what is mended, and what the formula may lose beyond the limit
SAME = 0.9  # where a wider limit gains less, it stays
POLYNOMIAL = 3.0  # and what the polynomial may
NODES, LONGEST = 60, 30  # of the interpolation, and coefficients of what is kept of it
BITS = 200  # binary digits after the point in the arithmetic of coefficients
EXACT = 57  # binary digits to which the polynomial agrees
TINY = 200  # binary digits of the distance at which the leading term stands alone
CLOSE, GROWN = 36, 2.0**12  # binary digits of a distance, and the loss there that says that it grows
ALONE = 90
BELOW = (-100, -240, -300, -350, -470, -530, -700, -1000)  # and next to zero, where squares underflow


@dataclass(frozen=True)
class Near:
    """distance**lead * (c0 + c1*distance**step + ...) where |distance| < limit."""

    limit: Fraction
    lead: int
    step: int
    coefficients: tuple[float, ...]


FINE = Near(Fraction(0), 0, 1, ())


class Formula:
    """A node as a function of one symbol; others have the values of `fixed`."""

    def __init__(self, root: Node, fixed: Mapping[sp.Basic, int]) -> None:
        self.root, self.fixed = root, fixed
        self.order = topological([root])
        self.constants: dict[int, Any] = {}
        self.precision = 0

    def __call__(self, at: Any) -> Any:
        """The exact value, at the precision of mpmath."""
        return self._value(at, False)

    def rounded(self, at: float) -> float:
        """The value with every operation rounded to a double."""
        with _precision(64):
            return float(self._value(mp.mpf(at), True))

    def bound(self, at: Any) -> float:
        """What the roundings of all operations may be worth at a double, in units of 2**-53 of the value;
        nothing where that is no number."""
        if not mp.isfinite(self._value(at, False)):
            return 0.0
        errors: dict[int, float] = {}
        done = self.done
        for node in self.order:
            value, size = done[node.serial], abs(done[node.serial])
            own = [errors[a.serial] for a in node.args]
            if node.op == "symbol":
                error = 0.0
            elif node.op == "constant":
                error = 0.0 if float(value) == value else 1.0
            elif isinstance(value, bool):
                error = 0.0
            elif node.op == "select":
                error = own[1] if done[node.args[0].serial] else own[2]
            elif not size:
                error = inf if any(own) else 0.0
            elif node.op in ("add", "sub"):
                parts = [
                    e * float(abs(done[a.serial]) / size) for e, a in zip(own, node.args, strict=True) if e
                ]
                error = sum(parts) + len(own) - 1
            elif node.op in ("mul", "div"):
                error = sum(own) + len(own) - 1
            elif node.op in ("abs", "neg", "sign"):
                error = own[0]
            else:
                error = 1.0
                for k, e in enumerate(own):
                    if e:
                        moved = [done[a.serial] for a in node.args]
                        moved[k] *= 1 + mp.ldexp(1, -40)
                        function = OPERATIONS[node.op].exact
                        assert function is not None
                        change = function(node.attrs, *moved) / value - 1
                        error += e * float(mp.ldexp(abs(change), 40)) if mp.isfinite(change) else inf
            errors[node.serial] = error
        return errors[self.root.serial]

    def _value(self, at: Any, rounded: bool) -> Any:
        if self.precision < mp.mp.prec:
            self.precision = mp.mp.prec
            digits = mp.mp.dps + 5
            self.constants = {
                n.serial: sp.N(n.attrs[0], digits)._to_mpmath(mp.mp.prec)
                for n in self.order
                if n.op == "constant"
            }
        done: dict[int, Any] = {}
        for node in self.order:
            if node.op == "symbol":
                fixed = self.fixed.get(node.attrs[0])
                value = at if fixed is None else mp.mpf(fixed)
            elif node.op == "constant":
                value = +self.constants[node.serial]
            else:
                function = OPERATIONS[node.op].exact
                if function is None:
                    return mp.nan
                value = function(node.attrs, *[done[a.serial] for a in node.args])
            if rounded and not isinstance(value, bool):
                value = mp.mpf(float(value))
            done[node.serial] = value
        self.done = done
        value = done[self.root.serial]
        return value if isinstance(value, mp.mpf) else mp.mpf(value)


@contextmanager
def _precision(bits: int) -> Iterator[None]:
    with mp.workprec(bits):
        yield


def near_form(exact: Formula, direct: Formula, point: Fraction, power: Fraction) -> Near | None:
    """What stands for `exact` next to the point where `direct`, which is computed elsewhere, loses digits;
    `FINE` where it does not, None where the function is not smooth there or has a pole. Next to zero the
    argument is that power of a double."""
    centre = mp.mpf(point.numerator) / point.denominator
    lead, first = _leading_term(exact, centre)
    if not first or lead < 0:
        return None
    unit = Fraction(2) ** (frexp(float(point))[1] if point else 0)
    if not _loss(direct, centre, unit / 2**CLOSE) > GROWN:
        below = [
            s * 2.0**k
            for k in BELOW
            if not point and k >= min(float(power), 1.0) * BELOW[-1]
            for s in (1, -1)
        ]
        if not any(_is_out_of_range(direct, at, lead, first) for at in below):
            return FINE
        return Near(Fraction(1, 2**ALONE), lead, 1, (float(first),))
    usual = min(_loss(direct, centre, unit * 2**k) for k in range(6))  # of as many operations
    act, kept = max(ACT, 2 * usual), max(KEPT, 1.3 * usual)
    limit = unit / 2**CLOSE
    for k in (-24, -16, -10, -6, -4, -3, *range(-2, 60)):
        if not _loss(direct, centre, unit * Fraction(2) ** k) > act:
            break
        limit = unit * Fraction(2) ** k
    least = limit
    loss = _loss(direct, centre, limit)
    while limit < 4 * least and loss > kept:
        limit *= Fraction(3, 2) if 1 in (limit.numerator, limit.denominator) else Fraction(4, 3)
        before, loss = loss, _loss(direct, centre, limit)
        if loss > SAME * before:
            break
    while limit > least / 256:  # down to where a polynomial reaches all digits
        found = _fitted(exact, centre, lead, limit)
        if found is not None:
            return Near(limit, lead, found[1], found[0])
        limit *= Fraction(3, 4) if 1 in (limit.numerator, limit.denominator) else Fraction(2, 3)
    return None


def _loss(direct: Formula, centre: Any, distance: Fraction) -> float:
    """The most that roundings are worth at that distance on both sides."""
    found = 0.0
    for side in (1, -1):
        at = mp.mpf(float(centre + side * mp.mpf(distance.numerator) / distance.denominator))
        with _precision(_digits(float(at - centre))):
            loss = direct.bound(at)
        found = max(found, inf if isnan(loss) else loss)
    return found


def _is_out_of_range(direct: Formula, at: float, lead: int, first: Any) -> bool:
    """Whether the value next to zero comes out wrong since something under- or overflows, though it is a
    normal number."""
    right = float(first * mp.mpf(at) ** lead)
    if not isfinite(right) or abs(right) < 1e-290:
        return False
    found = direct.rounded(at)
    return not abs(found - right) <= 2.0**-44 * abs(right)


def _leading_term(function: Formula, centre: Any) -> tuple[int, Any]:
    """k and c of c*distance**k, to which the function tends from both sides; c = 0 where it does not."""
    with _precision(10 * TINY):
        near, nearer = mp.ldexp(1, -TINY), mp.ldexp(1, -TINY - 16)
        values = [function(centre + d) for d in (near, nearer, -nearer)]
        if not all(mp.isfinite(v) and v for v in values):
            return 0, 0
        first, second, other = values
        lead = round(float(mp.log(abs(first / second), 2)) / 16)
        scaled = [first / near**lead, second / nearer**lead, other / (-nearer) ** lead]
        small = mp.ldexp(1, -TINY // 2)
        if abs(lead) > 64 or any(abs(v / scaled[1] - 1) > small for v in scaled):
            return 0, 0
        return lead, scaled[1]


@lru_cache(maxsize=1)
def _nodes() -> tuple[tuple[Any, ...], tuple[tuple[int, ...], ...]]:
    """The Chebyshev nodes t, and cos(j*arccos(t)) for each in units of 2**-BITS."""
    with _precision(BITS + 20):
        angles = [mp.pi * (i + mp.mpf(1) / 2) / NODES for i in range(NODES)]
        cosines = tuple([tuple([int(mp.ldexp(mp.cos(j * a), BITS)) for a in angles]) for j in range(NODES)])
        return tuple([mp.cos(a) for a in angles]), cosines


def _digits(distance: float) -> int:
    """Binary digits with which sums that cancel at that distance have some left."""
    return 160 + 12 * max(0, 1 - frexp(distance)[1])


def _fitted(
    function: Formula, centre: Any, lead: int, limit: Fraction
) -> tuple[tuple[float, ...], int] | None:
    """The polynomial for function/distance**lead up to the limit, by powers of the distance or of its
    square; None where it does not reach all digits."""
    points, cosines = _nodes()
    far = mp.mpf(limit.numerator) / limit.denominator
    with _precision(_digits(float(limit) / 32)):
        values = _at_nodes(function, centre, lead, far)
        sizes = [abs(v) for v in values]
        if not sizes or max(sizes) > 64 * min(sizes):
            return None
        least = min(sizes)
        whole = [int(mp.ldexp(v / least, BITS)) for v in values]
    series = [2 * sum(map(mul, whole, row)) // NODES >> BITS for row in cosines]
    series[0] //= 2
    rest, last = 0, NODES - 1
    while last >= 0 and rest + abs(series[last]) <= 1 << BITS - EXACT:
        rest += abs(series[last])
        last -= 1
    step = 1 if any(abs(c) > 1 << BITS // 4 for c in series[1::2]) else 2
    if last >= LONGEST * step:
        return None
    powers = _powers(series[: last + 1])
    with _precision(BITS):
        kept = [float(mp.ldexp(c * least, -BITS) / far**k) for k, c in enumerate(powers)]
        coefficients = tuple(kept[::step])
        for t, v in zip(points, values, strict=True):
            found = _horner(coefficients, float(t * far) ** step)
            if abs(mp.mpf(found) / v - 1) > POLYNOMIAL * mp.eps * 2 ** (BITS - 53):
                return None
    return coefficients, step


def _at_nodes(function: Formula, centre: Any, lead: int, far: Any) -> list[Any]:
    """function/distance**lead at the nodes; of an even one half of them are known. None of a function that
    is not real there."""
    points, _ = _nodes()
    values: list[Any] = [None] * NODES
    first, even = (0, NODES // 5), True
    for i in (*first, *[k for k in range(NODES // 2) if k not in first]):
        for j in (i, NODES - 1 - i):
            if j != i and even and i not in first:
                values[j] = values[i]
                continue
            distance = points[j] * far
            value = function(centre + distance)
            if not mp.isfinite(value) or not value:
                return []
            values[j] = value / distance**lead
        if i in first:
            even = even and abs(values[i] / values[NODES - 1 - i] - 1) < mp.ldexp(1, -100)
    return values


def _powers(series: Sequence[int]) -> list[int]:
    """The coefficients of powers of a sum of Chebyshev polynomials."""
    total = [0] * len(series)
    before, now = [1], [0, 1]
    for k, a in enumerate(series):
        for j, c in enumerate(before):
            total[j] += a * c
        if k + 1 < len(series):
            after = [0, *[2 * c for c in now]]
            for j, c in enumerate(before):
                after[j] -= c
            before, now = now, after
    return total


def _horner(coefficients: Sequence[float], at: float) -> float:
    total = 0.0
    for c in reversed(coefficients):
        total = c + at * total
    return total
