"""Temporaries share memory where their lives do not meet, and nowhere else."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.run import executable
from symprop.schedule.ir import SAMPLES, At, Axis, Buffer, Nest, Schedule, Step
from symprop.schedule.memory import ALIGN, Layout, share_memory, shorten_lives


def network(sizes: list[int], activation: Any = nn.relu) -> tuple[Any, list[Any], Any, Any]:
    x, y = sp.MatrixSymbol("x", sizes[0], 1), sp.Symbol("y", integer=True)
    params, equations, below = [], [], x
    for k, (a, b) in enumerate(pairwise(sizes)):
        w, c = sp.MatrixSymbol(f"W{k}", b, a), sp.MatrixSymbol(f"b{k}", b, 1)
        h = sp.MatrixSymbol(f"h{k}", b, 1)
        equations.append((h, w * below + c if k == len(sizes) - 2 else activation(w * below + c)))
        params += [w, c]
        below = h
    return symprop.Graph([*equations, (sp.Symbol("L"), nn.cross_entropy(below, y))]), params, x, y


def data(sizes: list[int], samples: int, dtype: str) -> list[Any]:
    rng = np.random.default_rng(len(sizes) + samples)
    arrays = []
    for a, b in pairwise(sizes):
        arrays += [rng.normal(size=(b, a)).astype(dtype) / a**0.5, rng.normal(size=(b, 1)).astype(dtype)]
    return [*arrays, rng.normal(size=(samples, sizes[0])).astype(dtype), rng.integers(0, sizes[-1], samples)]


def compiled(monkeypatch: pytest.MonkeyPatch, sizes: list[int], dtype: str, activation: Any = nn.relu) -> Any:
    """The function, and the executables that it makes."""
    made: list[Any] = []
    original = executable.Executable.__init__

    def remember(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(executable.Executable, "__init__", remember)
    graph, params, x, y = network(sizes, activation)
    f = symprop.compile(graph, args=[*params, x, y], batch=[x, y], reduce="mean", dtype=dtype)
    return f, made


def check(schedule: Schedule, layout: Layout) -> int:
    """No two buffers that are alive together overlap; how many pairs share a byte."""
    touched = {b: [k for k, n in enumerate(schedule.nests) for s in (*n.inner, *n.body) if s.buffer is b]
               for b in schedule.temporaries}  # fmt: skip
    sharing = 0
    for p in layout.slots:
        end = layout.per_sample if p.buffer.batched else layout.fixed
        assert p.offset >= 0 and p.offset + p.size <= end
        assert p.buffer.batched or p.offset % ALIGN == 0
        for q in layout.slots:
            if p is q or p.buffer.batched != q.buffer.batched:
                continue
            apart = p.offset + p.size <= q.offset or q.offset + q.size <= p.offset
            a, b = touched[p.buffer], touched[q.buffer]
            together = max(a) >= min(b) and max(b) >= min(a)
            assert apart or not together, (str(p), str(q))
            sharing += not apart
    return sharing


@pytest.mark.parametrize("activation", [nn.relu, nn.tanh, nn.gelu])
@pytest.mark.parametrize("sizes", [[30, 40, 10], [100, 120, 80, 60, 5], [64] * 9])
def test_buffers_alive_together_are_apart(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], activation: Any
) -> None:
    f, made = compiled(monkeypatch, sizes, "float32", activation)
    f.value_and_grad(*data(sizes, 3, "float32"))
    schedule = made[-1].schedule
    assert schedule.mode == "loops"
    sharing = check(schedule, schedule.memory)
    assert sharing or len(sizes) < 9
    assert str(schedule.memory) in str(f.schedule)


def test_reuse_by_hand() -> None:
    """A chain a -> b -> c -> d: a and c share, b and d share; one that lives throughout lies apart."""
    axes = (SAMPLES, Axis("i0", 5))
    source = Buffer("x", (5,), True, "real", "input", 0)
    temporaries = [Buffer(f"t{k}", (5,), True, "real", "temporary", k) for k in range(4)]
    long = Buffer("long", (2,), True, "real", "temporary", 4)
    chain = [source, *temporaries]
    at = (At("i0"),)
    nests = []
    for before, after in pairwise(chain):
        body = [Step("load", (), before, at), Step("store", (0,), after, at)]
        nests.append(Nest(axes, body=body))
    nests[0].body.append(Step("store", (0,), long, (At(),)))
    nests[-1].body.append(Step("load", (), long, (At(),)))
    schedule = Schedule([source], [], [*temporaries, long], [], nests)
    layout = share_memory(schedule, 8)
    offsets = {slot.buffer.name: slot.offset for slot in layout.slots}
    assert offsets["t0"] == offsets["t2"] != offsets["t1"] == offsets["t3"]
    assert layout.per_sample == 2 * 40 + 16 and layout.fixed == 0
    assert check(schedule, layout) == 4


@pytest.mark.parametrize("samples", [0, 1, 5, 70, 1100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_read_before_it_is_written(
    monkeypatch: pytest.MonkeyPatch, samples: int, dtype: str
) -> None:
    """A workspace of NaN, or of other bytes, changes no bit; nothing is written behind its end."""
    sizes = [33, 70, 50, 40, 7]
    f, _ = compiled(monkeypatch, sizes, dtype)
    arrays = data(sizes, samples, dtype)
    value, grads = f.value_and_grad(*arrays)
    for poison in (0xFF, 0x3C):
        rooms = []

        def poisoned(self: Any, size: int, poison: int = poison, rooms: list[Any] = rooms) -> int:
            room = np.full(size + 192, poison, np.uint8)
            start = -(-room.ctypes.data // 64) * 64
            rooms.append((room, start - room.ctypes.data + size))
            return int(start)

        monkeypatch.setattr(executable.Executable, "_workspace", poisoned)
        again, slopes = f.value_and_grad(*arrays)
        assert rooms
        for room, end in rooms:
            assert (room[end:] == poison).all()
        np.testing.assert_array_equal(again, value)
        for p, q in zip(slopes, grads, strict=True):
            np.testing.assert_array_equal(p, q)


def test_peak_of_a_wide_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """784-1024-1024-10, 256 samples: at most 1.2 times parameters, gradients, inputs and activations."""
    sizes, samples = [784, 1024, 1024, 10], 256
    f, made = compiled(monkeypatch, sizes, "float32")
    str(f.schedule)
    memory = made[-1].memory
    params = sum(a * b + b for a, b in pairwise(sizes))
    needed = 4 * (2 * params + samples * sum(sizes)) + 8 * samples
    used = 4 * (2 * params + samples * sizes[0]) + 8 * samples + memory.size(samples)
    assert used <= 1.2 * needed


def test_a_bound_step_allocates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [40, 60, 10]
    f, _ = compiled(monkeypatch, sizes, "float32")
    step = f.bind(*data(sizes, 20, "float32"))
    step()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50):
            step()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 500


def test_order_follows_what_the_nests_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a nest reads has been written; a gradient comes before the adjoint of the layer below."""
    f, made = compiled(monkeypatch, [100, 120, 110, 90, 7], "float32")
    f.value_and_grad(*data([100, 120, 110, 90, 7], 3, "float32"))
    schedule = made[-1].schedule
    written: set[Any] = set(schedule.inputs)
    for nest in schedule.nests:
        steps = [*nest.inner, *nest.body]
        assert {s.buffer for s in steps if s.op == "load"} <= written
        written |= {s.buffer for s in steps if s.op == "store"}
    ordered = shorten_lives_of(schedule)
    assert ordered == schedule.nests  # a second time changes nothing


def shorten_lives_of(schedule: Schedule) -> list[Nest]:
    again = Schedule(
        schedule.inputs, schedule.outputs, schedule.temporaries, [], list(schedule.nests), mode="loops"
    )
    shorten_lives(again)
    return again.nests


def test_an_overwritten_parameter_is_read_before() -> None:
    """Two nests in a row, of which the second reads what the first overwrites, never change places."""
    old, seen = Buffer("p", (4,), False, "real", "input", 0), Buffer("q", (4,), False, "real", "output", 1)
    new = Buffer("p_out", (4,), False, "real", "output", 0, overwrites=old)
    at, axes = (At("i0"),), (Axis("i0", 4),)

    def copy(source: Buffer, target: Buffer) -> Nest:
        return Nest(axes, body=[Step("load", (), source, at), Step("store", (0,), target, at)])

    nests = [copy(old, seen), copy(seen, new), copy(old, seen)]
    schedule = Schedule([old], [new, seen], [], [], nests, mode="loops")
    shorten_lives(schedule)
    assert schedule.nests == nests
