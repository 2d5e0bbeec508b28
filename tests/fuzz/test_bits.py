"""The same bits for any threads, layouts, numbers of samples and places among them: random networks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice
from typing import Any

import numpy as np
import pytest
from fuzz_checks import mode
from layouts import layouts
from random_networks import Case, Random, network

import symprop
from symprop.emit import parallel, unrolled

SAMPLES = 131
NETWORKS = 16
NUMBERS = [n for n in islice(count(), 2 * NETWORKS) if network(Random(n)).batch][:NETWORKS]


@pytest.fixture(autouse=True)
def every_loop_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share the smallest work among threads, in the smallest blocks."""
    monkeypatch.setattr(parallel, "WORTH", 0)
    monkeypatch.setattr(parallel, "BLOCK", 1)
    monkeypatch.setattr(unrolled, "CHUNK", 32)
    monkeypatch.setattr(unrolled, "SHORT_CHUNK", 32)


def many_samples(case: Case, dtype: str, random: np.random.Generator) -> dict[Any, Any]:
    """The samples of a network, many times, most numbers changed a little; its other inputs."""
    place = random.integers(0, len(case.samples[case.batch[0]]), SAMPLES)
    found = {}
    for s, v in case.samples.items():
        values = np.asarray(v)[place]
        if values.dtype.kind == "f":
            changed = random.random(values.shape) < 0.7
            values = (values * (1 + 0.1 * changed * random.standard_normal(values.shape))).astype(dtype)
        found[s] = values
    for s, v in case.at.items():
        fixed = np.asarray(v)
        found.setdefault(s, fixed.astype(dtype) if fixed.dtype.kind == "f" else fixed)
    return found


def results(f: Any, arguments: Sequence[Any]) -> list[Any]:
    """Outputs and gradients, every NaN the same one."""
    with np.errstate(all="ignore"):
        value, grads = f.value_and_grad(*arguments) if f.wrt else (f(*arguments), ())
    every = (*(value if isinstance(value, tuple) else (value,)), *grads)
    return [np.where(np.isnan(a), np.nan, a).astype(np.asarray(a).dtype) for a in every]


def same(found: Sequence[Any], wanted: Sequence[Any]) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("number", NUMBERS)
def test_bits_of_a_random_network(number: int) -> None:
    case, random = network(Random(number)), np.random.default_rng(number)
    dtype, how = ("float64", "float32")[number // 2 % 2], (None, "loops")[number % 2]
    given = many_samples(case, dtype, random)

    def arguments(part: Any = slice(None)) -> list[Any]:
        return [given[s][part] if s in case.samples else given[s] for s in case.args]

    def compiled(threads: int, reduce: str | None = None) -> Any:
        f = symprop.compile(
            case.graph, args=list(case.args), wrt=list(case.wrt), batch=list(case.batch), dtype=dtype,
            threads=threads, reduce=reduce,
        )  # fmt: skip
        with mode(how):
            f.llvm_ir  # noqa: B018
        return f

    functions = [compiled(threads) for threads in (1, 3)]
    wanted = results(functions[0], arguments())
    assert same(results(functions[1], arguments()), wanted)
    for size in (1, 2, 7, 16, 33, 100):
        start = int(random.integers(SAMPLES - size + 1))
        part = slice(start, start + size)
        found = results(functions[size % 2], arguments(part))
        assert same(found, [w[part] for w in wanted]), (start, size)
    order = random.permutation(SAMPLES)
    assert same(results(functions[1], arguments(order)), [w[order] for w in wanted])
    totals = [compiled(threads, "sum") for threads in (1, 3)]
    total = results(totals[0], arguments())
    assert same(results(totals[1], arguments()), total)
    ways = [list(layouts(np.array(a))) for a in arguments()]
    for way in range(max(map(len, ways))):
        laid_out = [w[way % len(w)] for w in ways]
        assert same(results(functions[0], laid_out), wanted), way
        assert same(results(totals[1], laid_out), total), way
