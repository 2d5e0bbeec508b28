"""Equal operations of a sample alone go side by side, and change no bit."""

import ctypes
import platform
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import ulp_sweep as sweep

import symprop
from symprop import nn
from symprop.emit import isomorphic, program
from symprop.emit.builder import BARRIER
from symprop.emit.target import host
from symprop.run.engine import compile_text

X86 = platform.machine() in ("x86_64", "AMD64")


def by_name(sizes, function):
    """A network with a name for every unit, over one vector of parameters: graph, arguments."""
    count = sum((a + 1) * b for a, b in pairwise(sizes))
    theta, x = sp.MatrixSymbol("theta", count, 1), sp.MatrixSymbol("x", sizes[0], 1)
    y = sp.Symbol("y", integer=True)
    below, used, equations = [x[i, 0] for i in range(sizes[0])], 0, []
    for layer, size in enumerate(sizes[1:]):
        above = []
        for j in range(size):
            weights = [theta[used + k, 0] for k in range(len(below) + 1)]
            used += len(below) + 1
            total = sp.Add(weights[0], *[w * h for w, h in zip(weights[1:], below, strict=True)])
            above.append(sp.Symbol(f"h{layer}_{j}"))
            equations.append((above[-1], total if layer == len(sizes) - 2 else function(total)))
        below = above
    equations.append((sp.Symbol("L"), nn.cross_entropy(sp.Matrix(below), y)))
    return symprop.Graph(equations), [theta, x, y]


def by_matrix(sizes, function):
    """The same with weights as matrices."""
    x, y = sp.MatrixSymbol("x", sizes[0], 1), sp.Symbol("y", integer=True)
    below, equations, params = x, [], []
    for layer, (a, b) in enumerate(pairwise(sizes)):
        w, c = sp.MatrixSymbol(f"w{layer}", b, a), sp.MatrixSymbol(f"c{layer}", b, 1)
        h = sp.MatrixSymbol(f"h{layer}", b, 1)
        equations.append((h, w * below + c if layer == len(sizes) - 2 else function(w * below + c)))
        params += [w, c]
        below = h
    equations.append((sp.Symbol("L"), nn.cross_entropy(below, y)))
    return symprop.Graph(equations), [*params, x, y]


NETWORKS = {
    "named, tanh": lambda: by_name([3, 4, 4, 2], nn.tanh),
    "named, gelu": lambda: by_name([2, 3, 3], nn.gelu),
    "matrices, sigmoid": lambda: by_matrix([3, 5, 3], nn.sigmoid),
    "matrices, relu": lambda: by_matrix([4, 4, 2], nn.relu),
}
MANY_UNITS = {
    "named": lambda: by_name([2, 8, 8, 3], nn.tanh),
    "matrices": lambda: by_matrix([2, 8, 8, 3], nn.sigmoid),
}


def compiled(name, dtype="float64"):
    graph, args = (NETWORKS | MANY_UNITS)[name]()
    return symprop.compile(graph, args=args, wrt=args[:-2], dtype=dtype), args


def run(text, target, schedule, values, outputs):
    """The outputs of an entry of a module, as bytes."""
    code = compile_text(text, target)
    out = [np.zeros(max(1, size), values[0].dtype) for size in outputs]
    room = np.zeros(1 << 14)
    words = [*[v.ctypes.data for v in values], *[o.ctypes.data for o in out], room.ctypes.data, 1, 1]
    block = (ctypes.c_int64 * len(words))(*words)
    assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(code.address)(ctypes.addressof(block)) == 0
    return [o.tobytes() for o in out]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("machine", ["host", "avx2", "sse2"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_same_bits(name, machine, dtype, monkeypatch):
    if machine != "host" and not X86:
        pytest.skip("for x86 only")
    f, args = compiled(name, dtype)
    schedule, target = f.schedule, sweep.make_target(machine)
    assert schedule.mode == "unrolled"
    element = "double" if dtype == "float64" else "float"
    packed, _ = program.emit(schedule, element, target)
    monkeypatch.setattr(program, "side_by_side", lambda text, target: text)
    single, _ = program.emit(schedule, element, target)
    assert packed.count("\n") < single.count("\n")
    rng = np.random.default_rng(1)
    outputs = [b.entries for b in schedule.outputs]
    for scale in (0.5, 3.0, 400.0):
        values = [np.ascontiguousarray(scale * rng.normal(size=a.shape).astype(dtype)) for a in args[:-1]]
        values.append(np.array([1]))
        a, b = (run(text, target, schedule, values, outputs) for text in (packed, single))
        assert a == b


def test_gradients_are_stored_as_vectors():
    f, _ = compiled("named, tanh")
    stores = [line for line in f.llvm_ir.splitlines() if line.strip().startswith("store ")]
    assert len(stores) < 30  # of 47 numbers
    assert any("<4 x double>" in line for line in stores)


def test_long_code_and_samples_are_left_as_they_are(monkeypatch):
    x, w = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("w", 4, 3)
    batched = symprop.compile(symprop.scalar((w * x).T * (w * x)), args=[w, x], batch=[x])
    assert "@symprop.samples" in batched.llvm_ir and "; ModuleID" not in batched.llvm_ir
    monkeypatch.setattr(isomorphic, "LONGEST", 100)
    f, _ = compiled("named, tanh")
    assert BARRIER in f.llvm_ir and "; ModuleID" not in f.llvm_ir


@pytest.mark.parametrize("machine", ["host", "avx2", "sse2"])
@pytest.mark.parametrize("name", list(MANY_UNITS))
def test_functions_of_many_units_are_written_out(name, machine):
    """Not where products and sums are not fused: that code would be too long."""
    if machine != "host" and not X86:
        pytest.skip("for x86 only")
    f, args = compiled(name)
    schedule, target = f.schedule, sweep.make_target(machine)
    uses = program._uses(schedule)
    assert sum(uses.values()) > program.INLINE_LIMIT
    text, _ = program.emit(schedule, "double", target)
    called, _ = program._emit(schedule, "double", target, "precise", 1, frozenset(uses))
    assert (text.count("\ndefine ") == 1) == target.fma
    assert called.count("\ndefine ") > 1
    rng = np.random.default_rng(2)
    outputs = [b.entries for b in schedule.outputs]
    for scale in (0.5, 40.0):
        values = [np.ascontiguousarray(scale * rng.normal(size=a.shape)) for a in args[:-1]]
        values.append(np.array([1]))
        a, b = (run(code, target, schedule, values, outputs) for code in (text, called))
        assert a == b


def test_what_packs():
    x = sp.Symbol("x")
    chain = x
    for _ in range(30):
        chain = sp.sin(chain) + x
    deep = symprop.compile(chain, args=[x]).schedule
    wide, _ = compiled("matrices")
    named, _ = compiled("named")
    graph, args = MANY_UNITS["matrices"]()
    batched = symprop.compile(graph, args=args, wrt=args[:-2], batch=args[-2:]).schedule
    for machine, expected in (("avx2", True), ("sse2", False)):
        target = sweep.make_target(machine)
        assert isomorphic.packs(wide.schedule, target, "double") == expected  # 8 units share two vectors
        assert isomorphic.packs(named.schedule, target, "double") == expected
        assert not isomorphic.packs(deep, target, "double")  # each waits for the one before it
        assert not isomorphic.packs(batched, target, "double")


def test_networks_that_pack_are_written_out_rather_than_looped(monkeypatch):
    graph, args = by_matrix([3, 10, 10, 3], nn.relu)
    f = symprop.compile(graph, args=args, wrt=args[:-2])
    assert f.schedule.work() > 1500
    assert f.schedule.mode == ("unrolled" if host().fma else "loops")
    rng = np.random.default_rng(3)
    values = [rng.normal(size=a.shape) for a in args[:-1]]
    found = f.value_and_grad(*values, 1)
    monkeypatch.setattr(isomorphic, "MOST_STEPS", 1500)
    looped = symprop.compile(graph, args=args, wrt=args[:-2])
    assert looped.schedule.mode == "loops"
    expected = looped.value_and_grad(*values, 1)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
