"""The same bits for any number of threads, any layout of the arguments, any place in a batch, any process."""

import gc
import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from layouts import layouts

import symprop
from symprop import nn
from symprop.emit import parallel, unrolled
from symprop.schedule import plan as planning

SAMPLES = (1, 2, 3, 7, 64, 1000)
THREADS = (1, 2, 3, 7)
MOST = max(SAMPLES)


def small():
    """Written out without loops, samples in lanes."""
    net = nn.mlp([3, 4, 4, 2], activation=nn.tanh)
    t = sp.MatrixSymbol("t", 2, 1)
    loss = (sp.Symbol("L"), nn.cross_entropy(net.scores, t))
    return symprop.Graph([*net.graph.equations, loss]), net.params, [*net.inputs, t]


def layers():
    """Loops and matrix products of sizes that fill no vector."""
    net = nn.mlp([37, 150, 21, 5], activation=nn.relu)
    y = sp.Symbol("y", integer=True)
    loss = (sp.Symbol("L"), nn.cross_entropy(net.scores, y))
    return symprop.Graph([*net.graph.equations, loss]), net.params, [*net.inputs, y]


def matrices():
    """Small matrices of each sample: products, a solve, a sum and an elementwise function of all entries."""
    A, W, x = sp.MatrixSymbol("A", 5, 5), sp.MatrixSymbol("W", 5, 5), sp.MatrixSymbol("x", 5, 1)
    K, c = sp.MatrixSymbol("K", 5, 5), sp.Symbol("c")
    solved = symprop.scalar(x.T * (K + sp.Identity(5)).I * x)
    loss = solved + c * sp.Trace(A * W.applyfunc(sp.tanh) * A.T)
    return symprop.Graph([(K, A * A.T + W * W.T), (sp.Symbol("L"), loss)]), [W, c], [A, x]


NETWORKS = {"small": small, "layers": layers, "matrices": matrices}
CASES = [
    (name, dtype, reduce)
    for name in NETWORKS
    for dtype in ("float64", "float32")
    for reduce in ("mean", None)
]


def arguments(params, inputs, dtype):
    """Parameters, and MOST samples."""
    rng = np.random.default_rng(5)
    fixed = [0.5 * rng.normal(size=getattr(p, "shape", ())).astype(dtype) for p in params]
    samples = [
        rng.integers(0, 5, MOST) if i.is_integer else rng.normal(size=(MOST, *i.shape)).astype(dtype)
        for i in inputs
    ]
    return fixed, samples


def compiled(name, dtype, reduce, threads):
    graph, params, inputs = NETWORKS[name]()
    wrt = params if reduce else [*params, *(i for i in inputs if not i.is_integer)]
    return symprop.compile(
        graph, args=[*params, *inputs], batch=inputs, wrt=wrt, reduce=reduce, dtype=dtype, threads=threads
    )


def bits(result):
    value, grads = result
    return [np.ascontiguousarray(a).tobytes() for a in (value, *grads)]


def digest(name, dtype, reduce, threads):
    """One number for the bits of all results of all numbers of samples."""
    f = compiled(name, dtype, reduce, threads)
    _, params, inputs = NETWORKS[name]()
    fixed, samples = arguments(params, inputs, dtype)
    state = hashlib.sha256()
    for n in SAMPLES:
        for part in bits(f.value_and_grad(*fixed, *(s[:n] for s in samples))):
            state.update(part)
    return state.hexdigest()


@pytest.fixture
def every_loop_in_parts(monkeypatch):
    """Share the smallest work among threads, in the smallest blocks; loops are not written out."""
    monkeypatch.setattr(parallel, "WORTH", 0)
    monkeypatch.setattr(parallel, "BLOCK", 1)
    monkeypatch.setattr(unrolled, "CHUNK", 32)
    monkeypatch.setattr(unrolled, "SHORT_CHUNK", 32)
    monkeypatch.setattr(planning, "WRITTEN_OUT", 1000)


@pytest.mark.parametrize(("name", "dtype", "reduce"), CASES)
def test_number_of_threads(name, dtype, reduce, every_loop_in_parts):
    first = compiled(name, dtype, reduce, 1)
    _, params, inputs = NETWORKS[name]()
    fixed, samples = arguments(params, inputs, dtype)
    wanted = {n: bits(first.value_and_grad(*fixed, *(s[:n] for s in samples))) for n in SAMPLES}
    for threads in THREADS[1:]:
        f = compiled(name, dtype, reduce, threads)
        for n in SAMPLES:
            assert bits(f.value_and_grad(*fixed, *(s[:n] for s in samples))) == wanted[n], (threads, n)
        step = f.bind(*fixed, *samples)
        for _ in range(5):  # which thread takes which block changes from run to run
            step()
            assert bits((step.value, step.grads)) == wanted[MOST], threads
        assert "call void @symprop.parallel" in f.llvm_ir


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_number_of_threads_of_wide_layers(dtype):
    """Panels copied while others are computed, a last one of another width, copied columns."""
    W, V = sp.MatrixSymbol("W", 824, 130), sp.MatrixSymbol("V", 824, 1024)
    x = sp.MatrixSymbol("x", 130, 1)
    loss = nn.squared_error(V.T * (W * x).applyfunc(sp.tanh), sp.ZeroMatrix(1024, 1))
    rng = np.random.default_rng(6)
    fixed = [rng.normal(size=m.shape).astype(dtype) / 30 for m in (W, V)]
    samples = rng.normal(size=(197, 130)).astype(dtype)
    wanted = {}
    for threads in (1, 2, 5):
        f = symprop.compile(loss, args=[W, V, x], batch=[x], reduce="sum", dtype=dtype, threads=threads)
        for n in (5, 197):
            found = bits(f.value_and_grad(*fixed, samples[:n]))
            assert found == wanted.setdefault(n, found), (threads, n)


@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n, d, reduce in CASES if reduce])
def test_place_in_the_batch(name, dtype):
    """Results of a sample do not depend on the samples around it, nor on their number."""
    f = compiled(name, dtype, None, 2)
    _, params, inputs = NETWORKS[name]()
    fixed, samples = arguments(params, inputs, dtype)
    value, grads = f.value_and_grad(*fixed, *samples)
    for n in SAMPLES:
        for start in {0, 5, MOST - n} if n < MOST else {0}:
            part = f.value_and_grad(*fixed, *(s[start : start + n] for s in samples))
            everything = (value[start : start + n], [g[start : start + n] for g in grads])
            assert bits(part) == bits(everything), (n, start)


def test_training_steps(every_loop_in_parts):
    """Parameters are overwritten in place, by whichever thread."""
    graph, params, inputs = layers()
    fixed, samples = arguments(params, inputs, "float64")
    found = set()
    for threads in THREADS:
        step = symprop.compile_step(
            graph,
            args=[*params, *inputs],
            params=params,
            batch=inputs,
            optimizer=symprop.optim.Adam(lr=0.01),
            threads=threads,
        )
        state = step.init(dict(zip(params, fixed, strict=True)))
        losses = [step(state, *(s[k : k + 64] for s in samples)) for k in range(0, 640, 64)]
        found.add((np.array(losses).tobytes(), *(a.tobytes() for a in state.params.values())))
    assert len(found) == 1


@pytest.mark.parametrize(("name", "dtype", "reduce"), CASES)
def test_layout_of_the_arguments(name, dtype, reduce):
    f = compiled(name, dtype, reduce, 2)
    _, params, inputs = NETWORKS[name]()
    fixed, samples = arguments(params, inputs, dtype)
    for n in (1, 7, 64):
        given = [*fixed, *(s[:n].copy() for s in samples)]
        wanted = bits(f.value_and_grad(*given))
        ways = [list(layouts(np.asarray(a))) for a in given]
        for way in range(len(ways[0])):
            assert bits(f.value_and_grad(*(w[way] for w in ways))) == wanted, (n, way)
        mixed = [w[k % len(w)] for k, w in enumerate(ways)]
        assert bits(f.value_and_grad(*mixed)) == wanted, n


def test_code_made_anew_code_kept_and_copies():
    f = compiled("layers", "float32", "mean", 3)
    _, params, inputs = layers()
    given = [a for part in arguments(params, inputs, "float32") for a in part]
    wanted = bits(f.value_and_grad(*given))
    assert bits(pickle.loads(pickle.dumps(f)).value_and_grad(*given)) == wanted
    assert bits(compiled("layers", "float32", "mean", 3).value_and_grad(*given)) == wanted  # the same code
    del f
    gc.collect()
    assert bits(compiled("layers", "float32", "mean", 3).value_and_grad(*given)) == wanted


def test_another_process():
    here = Path(__file__).parent
    cases = [("small", "float64", "mean"), ("layers", "float32", "mean"), ("matrices", "float64", None)]
    places = [str(here), str(here.parent / "tools")]
    code = f"import sys; sys.path[:0] = {places!r}; from test_reproducible import digest\n"
    code += "".join(
        f"print(digest(*{case!r}, {threads}))\n" for case, threads in zip(cases, (1, 2, 7), strict=True)
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    assert found == [digest(*case, threads) for case, threads in zip(cases, (3, 1, 2), strict=True)]
