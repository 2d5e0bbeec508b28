"""Finite differences of the forward expression at 50 digits against derived gradients: the only check that
sees a wrong derivative rule, since it shares nothing with the derivation.

Few parameters are checked entry by entry. Where that would cost more than the budget, random directions cover
every entry (with 50 digits a direction sees a relative error of 1e-6 in a single entry among thousands) and a
sample of entries is checked by itself; if a direction fails, halving it finds the entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.verify.exact import BELOW_ALL, LEVELS
from symprop.verify.kinks import crossings
from symprop.verify.modes import direction_symbol
from symprop.verify.naming import entry_name
from symprop.verify.problem import Gradient, Point, Problem, shape_of
from symprop.verify.report import Row
from symprop.verify.slopes import STEP, Slope, slope

__all__ = ["Check", "Plan", "difference_rows", "joint_checks", "plan", "run_checks", "together"]

_EVALUATIONS = 4  # per slope
_DIRECTIONS = 2  # random directions for each gradient that is not checked entry by entry
_SEPARATE = 16  # gradients that have a plan each, whatever that costs
_OVERHEAD = 30  # of an evaluation, in additions
_TINY = mp.mpf(10) ** -24  # an entry that small beside the others of its gradient is compared absolutely
_SLACK = mp.mpf(10) ** -20
_CLOSER = 40  # binary digits by which the step is smaller that decides between two slopes
_MOST_MORE = 4000  # digits that an alarm is confirmed with, beyond the first


@dataclass(frozen=True)
class Plan:
    """Along what each gradient is checked: flat entries, and directions (arrays of numbers)."""

    entries: tuple[int, ...]
    directions: tuple[Any, ...]
    note: str


_NOTHING = Plan((), (), "")


@dataclass(frozen=True)
class Check:
    """One slope against a derived gradient. `found` is the derived value, which belongs into [low, high] +-
    bound.
    """

    gradient: int
    point: int
    flat: int | None  # the entry, or None for a direction
    number: int  # of the direction
    slope: Slope
    found: Any
    found_error: Any
    note: str = ""
    skipped: bool = False
    convention: bool = False  # at a declared kink where no slope exists

    @property
    def low(self) -> Any:
        """The smallest value that is right."""
        slope = self.slope
        return min(slope.left, slope.right, *slope.beside) if slope.kink else slope.value

    @property
    def high(self) -> Any:
        """The largest value that is right."""
        slope = self.slope
        return max(slope.left, slope.right, *slope.beside) if slope.kink else slope.value

    @property
    def bound(self) -> Any:
        """How far from the interval a right value may be: the errors of both sides."""
        sizes = [abs(v) for v in (self.low, self.high) if mp.isfinite(v)]
        return self.slope.error + self.found_error + _SLACK * max(sizes, default=mp.mpf(0))

    @property
    def error(self) -> Any:
        """The distance from the interval."""
        return distance(self.found, self.low, self.high)

    @property
    def passed(self) -> bool:
        """Whether the derived value is right."""
        if not self.slope.finite and not mp.isfinite(self.found):
            return True  # neither has a value: no derivative exists here
        if self.convention and mp.isfinite(self.found):
            return True
        return self.skipped or (self.slope.finite and bool(self.error <= max(self.bound, BELOW_ALL)))

    @property
    def margin(self) -> float:
        """The error as a multiple of the bound."""
        if not self.slope.finite or not mp.isfinite(self.error):
            return 0.0 if self.passed else math.inf
        return 0.0 if self.error == 0 else float(self.error / self.bound) if self.bound else math.inf


def distance(value: Any, low: Any, high: Any) -> Any:
    """How far a value lies outside an interval whose ends may be infinite; NaN where the value is."""
    if mp.isnan(value):
        return mp.mpf("nan")
    if low <= value <= high:
        return mp.mpf(0)
    return low - value if value < low else value - high


# -- what to check -------------------------------------------------------------------------------------------


def plan(problem: Problem, values: Sequence[Any]) -> list[Plan]:
    """The entries and directions for each gradient, within the budget; `values` are the gradients at one
    point.

    The budget is shared evenly; what a gradient with few entries leaves over goes to the others. Where there
    are so many gradients that it does not reach for one entry of each, a few of them have a plan (see
    `together`).
    """
    sizes = [math.prod(shape_of(g.wrt)) for g in problem.gradients]
    left = problem.budget / max(1, len(problem.points))
    costs: list[float] = []
    for gradient in problem.gradients:
        costs.append(_entry_cost(problem, gradient))
        if len(sizes) > _SEPARATE and sum(costs) > left:
            return _some(problem, left)
    result: dict[int, Plan] = {}
    order = sorted(range(len(sizes)), key=lambda g: costs[g] * sizes[g])
    for place, g in enumerate(order):
        share = left / (len(order) - place)
        if sizes[g] * costs[g] <= share:
            result[g] = Plan(tuple(range(sizes[g])), (), "")
            left -= sizes[g] * costs[g]
            continue
        random = np.random.default_rng([problem.seed, g])
        count = min(sizes[g], max(2, int(share / costs[g])))
        left -= count * costs[g]
        if count == sizes[g]:
            result[g] = Plan(tuple(range(count)), (), "")
            continue
        magnitudes = np.array([_finite_float(v) for v in np.asarray(values[g]).flat])
        largest = np.argsort(-magnitudes, kind="stable")[: count // 2]
        others = random.permutation(np.setdiff1d(np.arange(sizes[g]), largest))[: count - len(largest)]
        entries = tuple(int(k) for k in (*largest, *others))
        directions = tuple(
            random.standard_normal(shape_of(problem.gradients[g].wrt)) for _ in range(_DIRECTIONS)
        )
        note = (
            f"{len(entries)} of {sizes[g]} entries one by one, all in {_DIRECTIONS} random directions "
            f"({problem.limit}; one entry costs {costs[g]:.3g})"
        )
        result[g] = Plan(entries, directions, note)
    return [result[g] for g in range(len(sizes))]


def _some(problem: Problem, left: float) -> list[Plan]:
    """An entry of each of a few gradients, chosen at random, for half of the budget (of one at least)."""
    random = np.random.default_rng([problem.seed, 8])
    plans = [_NOTHING] * len(problem.gradients)
    for count, g in enumerate(random.permutation(len(plans))):
        left -= 2 * _entry_cost(problem, problem.gradients[g])
        if left < 0 and count:
            break
        size = math.prod(shape_of(problem.gradients[g].wrt))
        plans[g] = Plan((int(random.integers(size)),) if size else (), (), "")
    return plans


def together(problem: Problem, plans: Sequence[Plan]) -> Problem | None:
    """The problem whose gradients are along random directions through all inputs at once, where some of the
    gradients have no plan of their own; None where all have one.
    """
    chosen = sum(one is not _NOTHING for one in plans)
    if chosen == len(plans):
        return None
    random = np.random.default_rng([problem.seed, 9])
    gradients = []
    for number in range(1, _DIRECTIONS + 1 if chosen > 1 else 2):
        directions = [random.standard_normal(shape_of(g.wrt)) for g in problem.gradients]
        name = f"all {len(plans)} gradients, direction {number}"
        gradients.append(joint(problem, range(len(plans)), directions, name))
    return replace(problem, gradients=gradients)


def joint(problem: Problem, members: Sequence[int], directions: Sequence[Any], name: str) -> Gradient:
    """The gradient by the distance along directions of some inputs at once: `sum(<gradient, direction>)`."""
    table, terms, along = problem.table, [], []
    distance = table.symbol(sp.Dummy("distance", real=True))
    for g in members:
        gradient, direction = problem.gradients[g], np.asarray(directions[g])
        along.append((gradient.wrt, direction))
        symbol, weights = direction_symbol(table, gradient.wrt, "direction")
        for point in problem.points:
            point.trusted.give(symbol, direction.reshape(shape_of(symbol)))
        terms.append(table.sum(table.mul(gradient.node, weights)))
    for point in problem.points:
        point.trusted.give(distance, 0)
    return Gradient(distance, table.add(*terms), name, tuple(along))


def joint_checks(
    problem: Problem, along: Problem, plans: Sequence[Plan]
) -> tuple[list[Plan], list[Check], list[Row]]:
    """The rows of `together`; where one fails, the entry to blame is found by halving the inputs, then the
    entries, and has a plan and a check of its own.
    """
    ones = [Plan((0,), (), "") for _ in along.gradients]
    checks = run_checks(along, ones)
    chosen = sum(one is not _NOTHING for one in plans)
    count = len(problem.gradients)
    note = (
        f"all {count} gradients together in {len(ones)} random direction{'s' * (len(ones) > 1)}, "
        f"{chosen} of them one by one ({problem.limit})"
    )
    rows = [
        replace(row, note="; ".join(filter(None, [note, row.note])))
        for row in difference_rows(along, ones, checks)
    ]
    failed = next((c for c in checks if not c.passed and not c.slope.kink), None)
    if failed is None:
        return list(plans), [], rows
    directions = [v for _, v in along.gradients[failed.gradient].along]
    suspects = list(range(count))
    while len(suspects) > 1:
        half = suspects[: len(suspects) // 2]
        part = replace(problem, gradients=[joint(problem, half, directions, "some")])
        found = run_checks(part, [Plan((0,), (), "")])
        suspects = half if any(not c.passed for c in found) else suspects[len(half) :]
    (g,) = suspects
    new = list(plans)
    new[g] = Plan((), (directions[g],), "") if directions[g].shape else Plan((0,), (), "")
    local = [one if k == g else _NOTHING for k, one in enumerate(new)]
    return new, run_checks(problem, local), rows


def _entry_cost(problem: Problem, gradient: Gradient) -> float:
    """What the slope along one entry costs, by doing one of its evaluations."""
    point = problem.points[0]
    exact = point.trusted.at(LEVELS[0])
    problem.value(point, {}, LEVELS[0])
    before = exact.spent
    problem.value(point, mover(point, gradient, {0: mp.mpf(1)})(mp.ldexp(1, STEP), LEVELS[0]), LEVELS[0])
    return _EVALUATIONS * (exact.spent - before + _OVERHEAD + math.prod(shape_of(gradient.wrt)) / 10)


def _finite_float(value: Any) -> float:
    return float(abs(value)) if mp.isfinite(value) else math.inf


# -- checks --------------------------------------------------------------------------------------------------


def run_checks(problem: Problem, plans: Sequence[Plan]) -> list[Check]:
    """Every planned slope at every point."""
    checks = []
    for p, point in enumerate(problem.points):
        for g, ((value, error), one) in enumerate(zip(problem.gradient_values(point), plans, strict=True)):
            sizes = [abs(v) for v in value.flat if mp.isfinite(v)]
            floor = _TINY * max(sizes, default=mp.mpf(0))
            for flat in one.entries:
                checks.append(_check(problem, p, g, flat, 0, _unit(value, flat), value, error, floor))
            for number, direction in enumerate(one.directions, 1):
                check = _check(problem, p, g, None, number, _numbers(direction), value, error, floor)
                checks.append(check)
                if not check.passed and not check.slope.kink:
                    culprit = _halve(problem, p, g, direction, value, error, floor)
                    checks.append(
                        _check(problem, p, g, culprit, 0, _unit(value, culprit), value, error, floor)
                    )
    return checks


def _unit(value: Any, flat: int) -> dict[int, Any]:
    return {flat: mp.mpf(1)}


def _numbers(direction: Any) -> dict[int, Any]:
    return {k: mp.mpf(float(v)) for k, v in enumerate(direction.flat) if v != 0}


def _check(
    problem: Problem,
    p: int,
    g: int,
    flat: int | None,
    number: int,
    direction: dict[int, Any],
    value: Any,
    error: Any,
    floor: Any,
) -> Check:
    point, gradient = problem.points[p], problem.gradients[g]
    with mp.workdps(80):
        found = mp.fsum(value.flat[k] * v for k, v in direction.items())
        found_error = mp.fsum(error.flat[k] * abs(v) for k, v in direction.items())
    move = mover(point, gradient, direction)

    def phi(t: Any, digits: int) -> Any:
        return problem.value(point, move(t, digits) if t else {}, digits)

    def noise(digits: int) -> Any:
        return problem.noise(point, digits)

    size = abs(found) if mp.isfinite(found) else mp.mpf(0)
    bases = gradient.base(point.trusted.at(LEVELS[0]))
    moved = [abs(v) for _, base in bases for k, v in enumerate(base.flat) if gradient.along or k in direction]
    least = min((int(mp.frexp(v)[1]) for v in moved if v and mp.isfinite(v)), default=0)
    least = max(least, -4 * _MOST_MORE)  # of a number smaller than that the digits of a step have no end
    # a step must be seen beside the largest number that is moved
    largest = max((v for v in moved if mp.isfinite(v)), default=mp.mpf(0))
    digits = LEVELS[0] + (int(min(mp.log10(largest), _MOST_MORE)) if largest > 1 else 0)
    result = slope(phi, noise, size, floor, digits=digits, least=min(least, 0))
    check = Check(g, p, flat, number, result, found, found_error)
    speed = 0 if check.passed else problem.speed(point, move, [problem.target], STEP - 30, digits)
    if not check.passed and (result.smooth or (result.finite and speed > -STEP)):
        # confirm before raising an alarm with a much smaller step (slow convergence shows as a difference),
        # one in which the target changes by a small part of itself if the derived slope is right and no
        # number on the way by more than a small part of one (sin(exp(x)) swings within any step else, and
        # what swings may look like a kink), and with as many digits as it takes to see so small a slope after
        # cancellation
        small = int(min(-2 * mp.log10(size), _MOST_MORE)) if size and size < 1 else 0
        start = STEP - 30
        value_here = abs(problem.trusted_value(point)[0])
        if size and value_here and mp.isfinite(value_here):
            start = min(start, int(mp.log(value_here / size, 2)) - 30)
        start = max(min(start, -speed - 30), -4 * _MOST_MORE)
        digits += (STEP - 30 - start) * 3 // 10
        digits += 10 + small
        again = slope(phi, noise, size, floor, start, digits, min(least, 0))
        apart = abs(again.value - result.value)
        if again.smooth and apart > result.error + again.error:  # of one the error was estimated too small
            result = again
            again = slope(phi, noise, size, floor, start - _CLOSER, digits + _CLOSER // 3, min(least, 0))
            apart = abs(again.value - result.value)
        if again.smooth:
            spread = again.error if apart <= result.error + again.error else max(result.error, apart)
            result = Slope(again.value, spread, again.left, again.right, met=result.met, step=again.step)
        else:
            result = again
        check = Check(g, p, flat, number, result, found, found_error)
    if result.met is None or not result.finite:
        return check
    met = crossings(
        point.trusted.at(result.digits), problem.kinks, lambda t: move(t, result.digits), result.met
    )
    text = "; ".join(c.text(problem.names) for c in met[:3]) + (
        f" and {len(met) - 3} more" if len(met) > 3 else ""
    )
    if result.kink:
        note = f"{text or 'not declared by any operation'}, slopes {mp.nstr(result.left, 6)} from the left, "
        note += f"{mp.nstr(result.right, 6)} from the right"
    elif text:
        met_text, step_text = mp.nstr(result.met, 2), mp.nstr(result.step, 2)
        note = f"{text} lies within a step of {met_text}: step reduced to {step_text}"
    else:
        note = f"step reduced to {mp.nstr(result.step, 2)}"
    if result.note:
        note = f"{result.note}: {note}"
    # where several kinks meet, the one-sided slopes along a direction do not bound the sum of their
    # conventions
    several = flat is None or gradient.direction or bool(gradient.along)
    skipped = result.kink and several and len(met) != 1
    # on the border of the domain, and where the slope is infinite, a declared kink has a convention that is
    # no limit: that of 0**p at p = 0 is 0
    is_limit = not result.note and all(mp.isfinite(v) for v in (result.left, result.right))
    convention = result.kink and not is_limit and any(c.value == 0 for c in met)
    return Check(g, p, flat, number, result, found, found_error, note, skipped, convention)


def mover(
    point: Point, gradient: Gradient, direction: dict[int, Any]
) -> Callable[[Any, int], dict[int, Any]]:
    """The function of (t, digits) that gives the input at distance t along a direction."""

    along = [direction] if not gradient.along else [_numbers(v) for _, v in gradient.along]

    def move(t: Any, digits: int) -> dict[int, Any]:
        changes = {}
        with mp.workdps(digits):
            for (node, base), entries in zip(gradient.base(point.trusted.at(digits)), along, strict=True):
                moved = np.array(base, object)
                for flat, v in entries.items():
                    moved.flat[flat] = moved.flat[flat] + t * v
                changes[node.serial] = moved
        return changes

    return move


def _halve(problem: Problem, p: int, g: int, direction: Any, value: Any, error: Any, floor: Any) -> int:
    """An entry that makes a direction fail, by halving the set of entries."""
    suspects = [int(k) for k in np.flatnonzero(direction)]
    while len(suspects) > 1:
        half = suspects[: len(suspects) // 2]
        part = {k: mp.mpf(float(direction.flat[k])) for k in half}
        check = _check(problem, p, g, None, 0, part, value, error, floor)
        suspects = half if not check.passed else suspects[len(half) :]
    return suspects[0]


# -- rows ----------------------------------------------------------------------------------------------------


def difference_rows(problem: Problem, plans: Sequence[Plan], checks: Sequence[Check]) -> list[Row]:
    """A row for each gradient, and one for its kinks where there are any."""
    rows = []
    of_gradient: list[list[Check]] = [[] for _ in problem.gradients]
    for check in checks:
        of_gradient[check.gradient].append(check)
    for g, (gradient, one) in enumerate(zip(problem.gradients, plans, strict=True)):
        mine = [c for c in of_gradient[g] if not c.skipped]
        skipped = len(of_gradient[g]) - len(mine)
        smooth = [c for c in mine if not c.slope.kink]
        kinked = [c for c in mine if c.slope.kink]
        notes = [one.note] if one.note else []
        if skipped:
            notes.append(f"{skipped} directions in which several kinks meet are left to the single entries")
        if smooth:
            # a failed entry says more than a failed direction
            worst = max(smooth, key=lambda c: (not c.passed, not c.passed and c.flat is not None, c.margin))
            near = [c.note for c in smooth if c.note]
            rows.append(_row(problem, "finite differences", gradient, worst, [*notes, *near[:3]]))
        if kinked:
            worst = max(kinked, key=lambda c: (not c.passed, c.margin))
            more = [f"{len(kinked)} entries at a kink"] if len(kinked) > 1 else []
            rows.append(_row(problem, "kink", gradient, worst, [worst.note, *more]))
    return rows


def _row(problem: Problem, method: str, gradient: Gradient, check: Check, notes: Sequence[str]) -> Row:
    entry = (
        entry_name(shape_of(gradient.wrt), check.flat)
        if check.flat is not None
        else f"direction {check.number}"
    )
    if not check.slope.finite:
        notes = [*notes, check.slope.note or "the target has no finite value around the point"]
        if mp.isnan(problem.trusted_value(problem.points[check.point])[0]):
            notes = [*notes, problem.unknown(problem.points[check.point], problem.target)]
    return Row(
        method=method,
        name=gradient.name,
        entry=problem.points[check.point].where(entry),
        found=check.found,
        expected=(check.low, check.high) if check.slope.kink else check.slope.value,
        error=check.error,
        bound=check.bound,
        passed=check.passed,
        note="; ".join(n for n in notes if n),
    )
