"""Native code gives what the loop IR means, in both modes, for any number of samples."""

import numpy as np
import pytest
import sympy as sp
from tools.programs import random_program

from symprop.errors import ArgumentError
from symprop.graph import NodeTable
from symprop.run import build
from symprop.schedule import plan as planning

MODES = ["loops", "unrolled", "tape"]


def force(mode, monkeypatch):
    """Programs as long as those of these tests run in that mode, where they can."""
    monkeypatch.setattr(planning, "WRITTEN_OUT", 10**9 if mode == "unrolled" else -1)
    monkeypatch.setattr(planning, "SHORTER", 10**9 if mode == "tape" else 0)


def call(program, arrays, samples, dtype="float64"):
    executable = build(program.roots, program.symbols, batched=program.batched, dtype=dtype)
    typed = [np.ascontiguousarray(a if a.dtype == np.int64 else a.astype(dtype)) for a in arrays]
    outputs = [executable.allocate(k, samples) for k in range(len(program.roots))]
    executable.prepare(typed, [buffer for buffer, _ in outputs], samples)()
    return [view for _, view in outputs], executable


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(25))
def test_native_code_agrees_with_reference(seed, mode, monkeypatch):
    force(mode, monkeypatch)
    program = random_program(seed)
    for samples in (1, 11):
        arrays = program.arguments(seed, samples)
        found, _ = call(program, arrays, samples)
        for value, expected in zip(found, program.reference(arrays, samples), strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_single_precision(mode, monkeypatch):
    force(mode, monkeypatch)
    program = random_program(3)
    arrays = program.arguments(3, 19)
    arrays = [a if a.dtype == np.int64 else a.astype(np.float32).astype(float) for a in arrays]
    found, _ = call(program, arrays, 19, "float32")
    for value, expected in zip(found, program.reference(arrays, 19), strict=True):
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(6))
def test_a_sample_has_the_same_bits_alone_and_among_others(seed, mode, monkeypatch):
    force(mode, monkeypatch)
    program = random_program(seed, sums=False)
    arrays = program.arguments(seed, 13)
    together, _ = call(program, arrays, 13)
    for n in (0, 7, 12):
        alone = [
            a[n : n + 1] if s in program.batched else a for s, a in zip(program.symbols, arrays, strict=True)
        ]
        single, executable = call(program, alone, 1)
        for port, one, all_ in zip(executable.outputs, single, together, strict=True):
            if port.batched:
                np.testing.assert_array_equal(one[0], all_[n])


@pytest.mark.parametrize("nested", [True, False])
def test_runs_of_a_tape_have_the_bits_of_straight_code(nested, monkeypatch):
    """Functions side by side in a vector, with lanes left over; or each needs the result before it."""
    t, symbols = NodeTable(), sp.symbols("x:11")
    x = [t.symbol(s) for s in symbols]
    if nested:
        roots = [t.make("sin", (x[0],))]
        for _ in range(6):
            roots = [t.make("sin", (roots[0],))]
    else:
        first = [t.make("tanh", (v,)) for v in x]
        powers = [t.make("pow", (t.make("abs", (v,)), w)) for v, w in zip(x, first, strict=True)]
        roots = [*first, *powers]
    points = np.linspace(-2.5, 3.0, 11)
    found = {}
    for mode in ("unrolled", "tape"):
        force(mode, monkeypatch)
        executable = build(roots, list(symbols), dtype="float64")
        assert executable.schedule.mode == mode
        outputs = [executable.allocate(k, 1) for k in range(len(roots))]
        executable.prepare([np.array(v) for v in points], [buffer for buffer, _ in outputs], 1)()
        found[mode] = [float(view) for _, view in outputs]
    assert found["tape"] == found["unrolled"]
    if not nested:
        np.testing.assert_allclose(found["tape"][:11], np.tanh(points), rtol=1e-15)


def column(size, count):
    t = NodeTable()
    symbol = sp.MatrixSymbol("x", size, 1)
    label = sp.Symbol("c", integer=True)
    x = t.symbol(symbol)
    return build(
        [t.make("take", (x, t.symbol(label)))], [symbol, label], batched=[label][:count], dtype="float64"
    )


@pytest.mark.parametrize("bad", [-1, 4, 2**62])
def test_an_index_out_of_range_is_refused_before_anything_is_written(bad):
    executable = column(4, 1)
    labels = np.array([0, 3, bad, 1])
    buffer, view = executable.allocate(0, 4)
    view[...] = 7
    step = executable.prepare([np.arange(4.0)[:, None], labels], [buffer], 4)
    with pytest.raises(ArgumentError, match=rf"argument c: index {bad} in row 2 .* 0 to 3"):
        step()
    assert (view == 7).all()
    labels[2] = 2
    step()
    assert view.tolist() == [0, 3, 2, 1]


def test_sums_over_many_samples_keep_their_digits():
    t = NodeTable()
    symbol = sp.Symbol("x")
    executable = build([t.make("batch_sum", (t.symbol(symbol),))], [symbol], batched=[symbol])
    values = np.full(1_000_003, 0.1)
    buffer, view = executable.allocate(0, len(values))
    executable.prepare([values], [buffer], len(values))()
    assert abs(view - 100000.3) < 1e-8  # one long sum is off by 1e-6
