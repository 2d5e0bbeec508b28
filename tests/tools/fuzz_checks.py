"""What a random network is checked for: a check raises a `MismatchError` that says what differs from what."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mpmath as mp
import numpy as np

import symprop
import symprop.run.executable as executable
from symprop.declare import Graph
from symprop.differentiate import reverse
from symprop.errors import UnsupportedExpressionError
from symprop.graph import Node
from symprop.graph.evaluate import evaluate
from symprop.verify.exact import LEVELS, Definitions, Trusted
from symprop.verify.kinks import find_kinks
from symprop.verify.points import in_own_table
from symprop.verify.rounding import noisy_values, rounded, ulp

from random_networks import Case  # isort: skip

__all__ = ["CHECKS", "MismatchError", "Truth", "check", "mode"]

RUNS = 8
MARGIN = 16
FINE = 500  # digits beyond the smallest floats: a decision that needs them is no matter of 50 digits
DISCRETE = frozenset(["less", "less_equal", "equal", "not_equal", "floor", "ceiling", "sign"])
WIDE = 64  # units of noise within which no decision may change: beyond it a network is not compared


class MismatchError(AssertionError):
    """Two computations of one thing that differ by more than rounding."""


class Truth:
    """Values and gradients of a network at one sample with mpmath, and what rounding may do to them."""

    def __init__(self, case: Case, sample: int = 0) -> None:
        self.case = case
        self._decides: dict[str, bool] = {}
        self._single_kinks: bool | None = None
        self._bounds: dict[str, list[tuple[Any, Any]]] = {}
        self._functions: dict[tuple[Any, ...], Any] = {}
        self.table, made = in_own_table(case.graph, {})
        self.definitions = Definitions(self.table)
        nodes = {s: made[n.serial] for s, n in case.graph.nodes.items()}
        outputs = [nodes[s] for s in case.graph.outputs]
        self.wrt = [nodes[s] for s in case.wrt]
        target = self.table.reshape(outputs[0], ())
        found = reverse.adjoints(self.table, target, self.wrt) if self.wrt else {}
        gradients = [found.get(w.serial) or self.table.full(0, w.shape) for w in self.wrt]
        self.roots: list[Node] = [*outputs, *gradients]
        self.names = [str(s) for s in case.graph.outputs] + [f"d/d{s}" for s in case.wrt]
        self.values = {s: case.samples[s][sample] if s in case.batch else v for s, v in case.at.items()}
        self.inputs = {nodes[s].serial: v for s, v in self.values.items()}
        with mp.workdps(LEVELS[1]), np.errstate(all="ignore"):
            trusted = Trusted(self.definitions, self.inputs)
            found = trusted(*self.roots)
            self.exact = [np.broadcast_to(v, r.shape) for (v, _), r in zip(found, self.roots, strict=True)]
            self.error = [np.broadcast_to(e, r.shape) for (_, e), r in zip(found, self.roots, strict=True)]
            order = self.definitions.order(self.roots)
            self.decisions = [n for n in order if n.op in DISCRETE and n.serial not in self.inputs]
            # numbers that are nearly equal may be so in a type with fewer digits
            near = [n.args for n in self.decisions if n.op in ("equal", "not_equal")]
            self.decisions += [self.table.call("less", *pair) for pair in near]
            decided = [trusted.at(digits)(*self.decisions) for digits in (LEVELS[0], FINE)]
            self.decided, fine = [[np.asarray(v, float) for v in one] for one in decided]
            self.settled = all(
                np.array_equal(*p, equal_nan=True) for p in zip(self.decided, fine, strict=True)
            )

    def single_kinks(self) -> bool:
        """Whether the point lies on one kink at most: where several meet, the sum of their conventions need
        be no slope of either side, and an equality holds nowhere beside the point.
        """
        if self._single_kinks is None:
            kinks = find_kinks(self.definitions, self.roots[:1])
            on = trusted_zeros(Trusted(self.definitions, self.inputs), [k.expression for k in kinks])
            met = [k.owner.op for k, count in zip(kinks, on, strict=True) if count]
            self._single_kinks = sum(on) <= 1 and met not in (["equal"], ["not_equal"])
        return self._single_kinks

    def decides(self, dtype: str) -> bool:
        """Whether no decision (a comparison, a floor) changes by rounding."""
        if dtype not in self._decides:
            self._decides[dtype] = self._decided_with_noise(dtype)
        return self._decides[dtype]

    def _decided_with_noise(self, dtype: str) -> bool:
        floats = {k: np.asarray(v, float if np.ndim(v) or isinstance(v, float) else None)
                  for k, v in self.inputs.items()}  # fmt: skip
        roots = [*self.decisions, *self.roots]
        found = noisy_values(self.definitions, roots, floats, dtype, (1,), 12, WIDE)
        return all(
            np.array_equal(runs, np.broadcast_to(decided, runs.shape), equal_nan=True)
            for runs, decided in zip(found, self.decided, strict=False)
        )

    def bounds(self, dtype: str) -> list[tuple[Any, Any]]:
        """For each root (bound, whether the formula as it stands is finite in that type)."""
        if dtype not in self._bounds:
            self._bounds[dtype] = self._noise_bounds(dtype)
        return self._bounds[dtype]

    def _noise_bounds(self, dtype: str) -> list[tuple[Any, Any]]:
        floats = {k: np.asarray(v) for k, v in self.inputs.items()}
        runs = noisy_values(self.definitions, self.roots, floats, dtype, (2,), RUNS)
        result = []
        for stack, exact in zip(runs, self.exact, strict=True):
            finite = np.isfinite(stack).all(axis=0)
            bound = np.zeros(exact.shape, object)
            for flat, value in enumerate(exact.flat):
                if not mp.isfinite(value):
                    continue
                noisy = stack.reshape(RUNS, -1)[:, flat]
                spread = max(
                    (abs(mp.mpf(float(v)) - value) for v in noisy if np.isfinite(v)), default=mp.mpf(0)
                )
                bound.flat[flat] = MARGIN * (spread + ulp(value, dtype))
            result.append((bound, finite))
        return result

    def function(self, batched: bool = False, how: str | None = None, **options: Any) -> Any:
        """The network compiled with these options, once for all checks."""
        key = batched, how, *sorted(options.items())
        if key not in self._functions:
            self._functions[key] = compiled(self.case, batched, how, **options)
        return self._functions[key]

    def without_gradient(self, name: str) -> bool:
        """Whether a result is a gradient of a target that is NaN: 0/0, which a rewrite may have cancelled."""
        return name.startswith("d/d") and bool(mp.isnan(self.exact[0].flat[0]))

    def compare(self, what: str, found: Sequence[Any], dtype: str, bounds: Any = None) -> None:
        """Raises where a result is further from the truth than rounding may take it."""
        for name, exact, error, result, (bound, finite) in zip(
            self.names, self.exact, self.error, found, bounds or self.bounds(dtype), strict=True
        ):
            array = np.asarray(result, float).reshape(exact.shape)
            if self.without_gradient(name):
                continue
            for flat, value in enumerate(exact.flat):
                if not mp.isfinite(value) or not np.asarray(finite).flat[flat]:
                    continue
                if error.flat[flat] > mp.mpf(10) ** -20 * abs(value) and error.flat[flat] > 1e-320:
                    continue  # not known well enough
                given = float(array.flat[flat])
                limit = bound.flat[flat]
                if not np.isfinite(given) and not mp.isfinite(rounded(abs(value) + limit, dtype)):
                    continue
                if not np.isfinite(given) or abs(mp.mpf(given) - value) > limit:
                    raise MismatchError(
                        f"{what}: {name} entry {flat} is {given!r}, expected {mp.nstr(value, 20)} "
                        f"within {mp.nstr(limit, 3)} ({dtype})"
                    )


def trusted_zeros(trusted: Trusted, nodes: Sequence[Node]) -> list[int]:
    """How many entries of each node are zero."""
    return [sum(v == 0 for v in np.asarray(value, object).flat) for value in trusted.at(LEVELS[1])(*nodes)]


# -- compiled functions --------------------------------------------------------------------------------------


@contextmanager
def mode(name: str | None) -> Iterator[None]:
    """All programs in that mode ("loops" or "unrolled"); those with kernels stay in loops."""
    plan = executable.plan

    def planned(schedule: Any, *more: Any) -> Any:
        result = plan(schedule, *more)
        if name == "loops" and result.mode == "unrolled":
            result.mode = "loops"
            for buffer in result.outputs:
                buffer.samples_last = False
        return result

    executable.plan = planned if name is not None else plan
    try:
        yield
    finally:
        executable.plan = plan


def compiled(case: Case, batched: bool = False, how: str | None = None, **options: Any) -> Any:
    """A compiled network, its native code made."""
    batch = list(case.batch) if batched else None
    f = symprop.compile(case.graph, args=list(case.args), wrt=list(case.wrt), batch=batch, **options)
    with mode(how):
        f.llvm_ir  # noqa: B018
    return f


def call(f: Any, arguments: Sequence[Any]) -> list[Any] | None:
    """Outputs and gradients; None where a matrix is singular."""
    try:
        with np.errstate(all="ignore"):
            if not f.wrt:
                value, grads = f(*arguments), ()
            else:
                value, grads = f.value_and_grad(*arguments)
    except np.linalg.LinAlgError:
        return None
    outputs = list(value) if len(f.graph.outputs) > 1 else [value]
    return [*outputs, *grads]


def arguments(case: Case) -> list[Any]:
    return [case.at[s] for s in case.args]


def batch_arguments(case: Case, rows: Any = slice(None)) -> list[Any]:
    return [case.samples[s][rows] if s in case.batch else case.at[s] for s in case.args]


def same_bits(what: str, names: Sequence[str], a: Sequence[Any], b: Sequence[Any]) -> None:
    for name, x, y in zip(names, a, b, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        if x.shape != y.shape:
            raise MismatchError(f"{what}: {name} has shape {x.shape} and {y.shape}")
        bits = np.uint64 if x.dtype == np.float64 else np.uint32
        equal = np.atleast_1d(x).view(bits) == np.atleast_1d(y).view(bits)
        equal |= np.atleast_1d(np.isnan(x) & np.isnan(y))
        if not equal.all():
            place = np.flatnonzero(~equal.ravel())[0]
            pair = (float(x.flat[place]), float(y.flat[place])) if x.ndim else (float(x), float(y))
            raise MismatchError(f"{what}: {name} entry {place} differs in bits: {pair[0]!r} and {pair[1]!r}")


# -- the checks ----------------------------------------------------------------------------------------------


def _float64(case: Case, truth: Truth, how: str | None = None, accuracy: str = "precise") -> None:
    f = truth.function(how=how, accuracy=accuracy)
    found = call(f, arguments(case))
    if found is not None:
        truth.compare(f"compiled, {how or 'default mode'}, {accuracy}", found, "float64")


def check_mpmath(case: Case, truth: Truth) -> None:
    """Compiled float64 values and gradients against mpmath."""
    _float64(case, truth)


def check_loops(case: Case, truth: Truth) -> None:
    """The same in loops, where it is written out else."""
    _float64(case, truth, how="loops")


def check_as_written(case: Case, truth: Truth) -> None:
    """The same without rewrites."""
    _float64(case, truth, accuracy="as_written")


def check_numpy(case: Case, truth: Truth) -> None:
    """The evaluation with NumPy, one operation after the other, against mpmath."""
    with np.errstate(all="ignore"):
        values = {s: np.asarray(v) for s, v in truth.values.items()}
        found = evaluate(truth.roots, values)
    truth.compare("NumPy", found, "float64")


def check_float32(case: Case, truth: Truth) -> None:
    """Compiled float32 against mpmath (the inputs are float32 numbers)."""
    if not truth.decides("float32"):
        return
    found = call(truth.function(dtype="float32"), arguments(case))
    if found is not None:
        truth.compare("compiled", found, "float32")


def _batched(case: Case, truth: Truth, how: str | None, dtype: str) -> None:
    if not case.batch:
        return
    f = truth.function(batched=True, how=how, dtype=dtype)
    whole = call(f, batch_arguments(case))
    what = f"batch, {how or 'default mode'}, {dtype}"
    if whole is None:
        return
    count = len(case.samples[case.batch[0]])
    for k in range(count):
        one = call(f, batch_arguments(case, slice(k, k + 1)))
        assert one is not None
        same_bits(f"{what}: sample {k} of {count} and alone", truth.names, [v[k : k + 1] for v in whole], one)
    order = np.array([3, 0, 4, 4, 1, 2, 0, 3, 2, 1, 0])
    moved = call(f, batch_arguments(case, order))
    assert moved is not None
    same_bits(f"{what}: in another order", truth.names, [v[order] for v in whole], moved)
    if truth.decides(dtype):
        truth.compare(what, [v[0] for v in whole], dtype)


def check_batch(case: Case, truth: Truth) -> None:
    """A batch against calls of single samples, bit for bit, and against mpmath."""
    _batched(case, truth, None, "float64")


def check_batch_loops(case: Case, truth: Truth) -> None:
    """The same in loops."""
    _batched(case, truth, "loops", "float64")


def check_batch_float32(case: Case, truth: Truth) -> None:
    """The same in single precision."""
    _batched(case, truth, None, "float32")


def check_reduce(case: Case, truth: Truth) -> None:
    """Sum and mean over the samples against the samples one by one (compiled), with the error of a sum."""
    if not case.batch:
        return
    each = call(truth.function(batched=True), batch_arguments(case))
    if each is None:
        return
    count = len(case.samples[case.batch[0]])
    truths = [truth, *(Truth(case, k) for k in range(1, count))]
    if not all(t.decides("float64") for t in truths):
        return
    bounds = [t.bounds("float64") for t in truths]
    for reduce in ("sum", "mean"):
        found = call(truth.function(batched=True, reduce=reduce), batch_arguments(case))
        if found is None:
            return
        weight = mp.mpf(1) / count if reduce == "mean" else mp.mpf(1)
        for r, name in enumerate(truth.names):
            symbol = case.wrt[r - len(case.graph.outputs)] if r >= len(case.graph.outputs) else None
            result = np.asarray(found[r], float)
            if any(t.without_gradient(name) for t in truths):
                continue
            for flat in range(truth.exact[r].size):
                parts = [t.exact[r].flat[flat] for t in truths]
                limits = [b[r][0].flat[flat] for b in bounds]
                finite = [np.asarray(b[r][1]).flat[flat] for b in bounds]
                if not all(map(mp.isfinite, parts)) or not all(finite):
                    continue
                noise = [16 * ulp(p, "float64") for p in parts]
                if symbol in case.batch:
                    pairs = [
                        (
                            result.reshape(count, -1)[k, flat],
                            parts[k] * weight,
                            (limits[k] + noise[k]) * weight,
                        )
                        for k in range(count)
                    ]
                else:
                    total = (mp.fsum(limits) + mp.fsum(noise)) * weight
                    pairs = [(result.ravel()[flat], mp.fsum(parts) * weight, total)]
                for given, expected, limit in pairs:
                    limit = limit + ulp(expected, "float64")
                    if not mp.isfinite(rounded(abs(expected) + limit, "float64")):
                        continue
                    if not np.isfinite(given) or abs(mp.mpf(float(given)) - expected) > limit:
                        raise MismatchError(
                            f"reduce={reduce}: {name} entry {flat} is {float(given)!r}, expected "
                            f"{mp.nstr(expected, 20)} within {mp.nstr(limit, 3)}"
                        )


def check_pickle(case: Case, truth: Truth) -> None:
    """A function saved and read back gives the same bits."""
    f = truth.function()
    first = call(f, arguments(case))
    again = call(pickle.loads(pickle.dumps(f)), arguments(case))
    if first is None or again is None:
        assert first is None and again is None
        return
    same_bits("saved and read back", truth.names, first, again)


def check_equations(case: Case, truth: Truth) -> None:
    """The graph written as sympy equations and taken in again has the same values."""
    again = Graph(case.graph.equations, case.graph.outputs)
    values = {s: np.asarray(v) for s, v in case.at.items()}
    with mp.workdps(60), np.errstate(all="ignore"):
        names = case.graph.outputs
        before = evaluate([case.graph.nodes[s] for s in names], values, exact=True)
        after = evaluate([again.nodes[s] for s in names], values, exact=True)
        for name, a, b in zip(names, before, after, strict=True):
            for x, y in zip(np.asarray(a, object).flat, np.asarray(b, object).flat, strict=True):
                x, y = mp.mpf(x), mp.mpf(y)
                if mp.isfinite(x) and abs(x - y) > mp.mpf(10) ** -25 * (abs(x) + 1):
                    raise MismatchError(
                        f"equations: {name} is {mp.nstr(x, 20)}, taken in again {mp.nstr(y, 20)}"
                    )


def check_verify(case: Case, truth: Truth) -> None:
    """`verify` of the derived gradients: finite differences, forward mode, second order, every rule."""
    if not truth.settled or not all(mp.isfinite(v) for array in truth.exact for v in array.flat):
        return
    report = symprop.verify(case.graph, at=case.at, wrt=case.wrt, budget=2e4)
    failed = [row for row in report.rows if not row.passed]
    at_kinks = all(row.method.startswith(("kink", "finite differences", "adjoint")) for row in failed)
    if failed and (truth.single_kinks() or not at_kinks):
        raise MismatchError(f"verify:\n{report}")


CHECKS = {
    "mpmath": check_mpmath,
    "numpy": check_numpy,
    "float32": check_float32,
    "loops": check_loops,
    "batch": check_batch,
    "batch in loops": check_batch_loops,
    "batch in float32": check_batch_float32,
    "verify": check_verify,
    "reduce": check_reduce,
    "as written": check_as_written,
    "pickle": check_pickle,
    "equations": check_equations,
}
NUMERIC = frozenset(["mpmath", "numpy", "float32", "loops", "reduce", "as written"])


def check(case: Case, names: Sequence[str], truth: Truth | None = None) -> set[str]:
    """Runs some checks; returns those that compared something. Raises `MismatchError`."""
    try:
        truth = truth or Truth(case)
    except UnsupportedExpressionError:
        return set()
    decided = truth.decides("float64")
    done = set()
    for name in names:
        if name in NUMERIC and not decided:
            continue
        CHECKS[name](case, truth)
        done.add(name)
    return done
