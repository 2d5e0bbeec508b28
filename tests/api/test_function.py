"""What a Function shows of itself; threads, pickle and copies."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import ArgumentError

a, b = sp.symbols("a b")


def test_graph_backward_gradient(net, mean):
    assert mean.graph is net.graph
    back = mean.backward
    assert back is mean.backward
    assert [str(s) for s in back.outputs] == ["L", "d_W1", "d_b1", "d_W2", "d_b2"]
    names = [str(s) for s, _ in back.equations]
    assert [name for name in names if name in "hzL"] == ["h", "z", "L"]
    assert {"d_z", "d_h", "d_W1"} <= set(names)
    assert list(mean.gradient) == net.params
    for p in net.params:
        assert mean.gradient[p].shape == p.shape
        assert mean.gradient[str(p)] == mean.gradient[p]
    with pytest.raises(ArgumentError, match=r"gradient\[x\]: compiled with respect to W1"):
        mean.gradient[net.x]


def test_gradient_of_an_expression_is_one_of_its_symbols():
    f = symprop.compile(sp.exp(a * b), args=[a, b])
    assert f.gradient[a] == b * sp.exp(a * b)
    assert "d_b = a*exp(a*b)" in repr(f.gradient)


def test_program_computes_what_the_function_computes(net, mean, each):
    """The program compiled again, as it is printed, gives the same numbers."""
    arguments = net.fresh(1)
    single = symprop.compile(net.graph, args=net.args, wrt=net.params)
    sample = [*arguments[:4], arguments[4][0], arguments[5][0]]
    program = single.program
    assert [str(s) for s in program.outputs] == ["L", "d_W1", "d_b1", "d_W2", "d_b2"]
    again = symprop.compile(program, args=net.args, wrt=[])(*sample)
    value, grads = single.value_and_grad(*sample)
    for found, right in zip(again, (value, *grads), strict=True):
        np.testing.assert_allclose(np.ravel(found), np.ravel(right), rtol=1e-13)
    text = str(program)
    assert text.count("tanh(") == text.count("tanh_prime(") == 1
    assert "t1" in text
    names = [s for s, _ in program.equations]
    assert len(set(names)) == len(names)
    assert "batch_sum" in str(mean.program)
    assert "batch_sum" not in str(each.program)


def test_a_call_gives_the_value_that_comes_with_the_gradient(net, mean, each):
    for f in (mean, each):
        assert np.array_equal(f(*net.fresh()), f.value_and_grad(*net.fresh())[0])
    x = sp.MatrixSymbol("x", sp.Symbol("n", integer=True), 1)
    f = symprop.compile(symprop.nn.logsumexp(x), args=[x])
    for size in (3, 11):
        values = np.random.default_rng(size).normal(size=size)
        assert f(values) == f.value_and_grad(values)[0]


def test_a_program_with_conditions_and_labels():
    x, i = sp.MatrixSymbol("x", 4, 1), sp.Symbol("i", integer=True)
    target = sp.Piecewise((a * x[i, 0], a > b), (b**2 * x[i + 1, 0], True)) * sp.Abs(a - b)
    f = symprop.compile(target, args=[a, b, x, i])
    again = symprop.compile(f.program, args=[a, b, x, i], wrt=[])
    for one, other in ((1.0, 2.0), (2.0, 1.0)):
        value, grads = f.value_and_grad(one, other, [1.0, 2.0, 3.0, 4.0], 2)
        found = again(one, other, [1.0, 2.0, 3.0, 4.0], 2)
        for p, q in zip(found, (value, *grads), strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-14)


def test_names_in_a_program_do_not_clash():
    t1, d_t1, out = sp.symbols("t1 d_t1 out")
    f = symprop.compile((t1 + d_t1) ** 3 * sp.sin(t1 + d_t1) * out, args=[t1, d_t1, out])
    program = f.program
    names = [str(s) for s, _ in program.equations]
    assert len(set(names)) == len(names)
    assert not {"t1", "d_t1", "out"} & set(names)
    assert set(program.inputs) == {t1, d_t1, out}


def test_a_long_chain_is_shown_in_pieces():
    expression = a
    for _ in range(60):
        expression = sp.sin(expression, evaluate=False)
    f = symprop.compile(expression, args=[a], wrt=[])
    assert len(f.program.equations) > 4
    assert f(0.5) == pytest.approx(float(sp.N(expression.subs(a, 0.5))), rel=1e-12)


def test_cost():
    x = sp.MatrixSymbol("x", 3, 1)
    w = sp.MatrixSymbol("w", 4, 3)
    f = symprop.compile((w * x).applyfunc(sp.tanh), args=[w, x])
    assert f.cost.transcendental == 4
    assert f.cost.operations == 4 * 5 + 4
    assert f.cost.bytes == 8 * (12 + 3 + 4)
    assert "24 operations, 4 transcendental calls, 152 bytes" in str(f.cost)


def test_texts_of_every_stage(mean):
    assert "define" in mean.llvm_ir
    assert len(mean.assembly) > 100
    assert len(str(mean.schedule)) > 100
    assert "simplify" in str(mean.report)
    assert repr(mean) == (
        "<Function (W1: (4, 3), b1: (4,), W2: (2, 4), b2: (2,), x: (N, 3), t: (N, 2)) -> L: scalar, "
        "mean over N; gradient by W1, b1, W2, b2; float64>"
    )


def test_trace(net, mean):
    arguments = net.fresh(5)
    trace = mean.trace(*arguments)
    assert {str(s) for s in trace} == {"W1", "b1", "W2", "b2", "x", "t", "h", "z", "L"}
    losses, grads = net.reference(arguments)
    h = np.tanh(arguments[4] @ arguments[0].T + arguments[1][:, 0])
    z = h @ arguments[2].T + arguments[3][:, 0]
    np.testing.assert_allclose(trace[net.h].value, h, rtol=1e-13)
    np.testing.assert_allclose(trace["z"].value, z, rtol=1e-13)
    np.testing.assert_allclose(trace["L"].value, losses, rtol=1e-13)
    np.testing.assert_allclose(trace["L"].gradient, np.full(5, 1 / 5), rtol=1e-15)
    np.testing.assert_allclose(trace["z"].gradient, (z - arguments[5]) / 5, rtol=1e-12)
    np.testing.assert_allclose(trace["x"].gradient, grads[4] / 5, rtol=1e-12)
    np.testing.assert_allclose(trace["W1"].gradient, grads[0].mean(0), rtol=1e-12)
    assert "z" in repr(trace)


def test_trace_of_labels_and_of_what_is_no_scalar():
    x, i = sp.MatrixSymbol("x", 3, 1), sp.Symbol("i", integer=True)
    trace = symprop.compile(x[i, 0] ** 2, args=[x, i]).trace([1.0, 2.0, 3.0], 2)
    assert trace["i"].value == 2
    assert trace["i"].gradient is None
    assert np.array_equal(trace["x"].gradient, [0, 0, 6])
    trace = symprop.compile(2 * x).trace([1.0, 2.0, 3.0])
    assert trace["x"].gradient is None
    assert np.array_equal(trace["out"].value, [2, 4, 6])


@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
def test_copies_give_the_same_bits(net, mean, each, way):
    make = {"pickle": lambda f: pickle.loads(pickle.dumps(f)), "copy": copy.copy, "deepcopy": copy.deepcopy}[
        way
    ]
    for f in (mean, each):
        made = make(f)
        right, found = f.value_and_grad(*net.fresh()), made.value_and_grad(*net.fresh())
        assert np.array_equal(right[0], found[0])
        assert all(np.array_equal(p, q) for p, q in zip(right[1], found[1], strict=True))
        assert made.llvm_ir == f.llvm_ir
        assert repr(made) == repr(f)
        assert str(made.backward) == str(f.backward)
        assert np.array_equal(made(*net.fresh()), f(*net.fresh()))


def test_the_history_of_a_graph_does_not_change_the_code(net):
    """What else was derived from a graph before leaves no trace in the compiled bits."""
    graph = symprop.Graph(net.graph.equations)
    first = symprop.compile(graph, args=net.args)
    symprop.grad(graph, net.params[1])
    symprop.backprop(graph, [net.x])
    assert symprop.compile(graph, args=net.args).llvm_ir == first.llvm_ir


def test_a_function_travels_to_another_process(tmp_path):
    f = symprop.compile(a * sp.sin(a * b) + sp.Max(a, b), args=[a, b], ties="split", name="wave")
    path = tmp_path / "f.pickle"
    path.write_bytes(pickle.dumps(f))
    code = (
        "import pickle, pathlib, sys; f = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes());"
        "print(*[float(v).hex() for v in (f(0.3, 0.3), *f.grad(0.3, 0.3))], f.name)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [float(v).hex() for v in (f(0.3, 0.3), *f.grad(0.3, 0.3))] + ["wave"]


def test_eight_threads(net):
    """Threads call at once, the first call of all included, which compiles."""
    f = symprop.compile(net.graph, args=net.args, batch=[net.x, net.t], reduce="mean")
    twin = symprop.compile(net.graph, args=net.args, batch=[net.x, net.t], reduce="mean")
    ways = [[v * (1 + k / 10) for v in net.fresh()] for k in range(8)]
    right = [(twin.value_and_grad(*way), twin(*way)) for way in ways]
    wrong, start = [], threading.Barrier(8)

    def work(k):
        start.wait()
        for _ in range(100):
            value, grads = f.value_and_grad(*ways[k])
            alone = f(*ways[k])
            same = all(np.array_equal(p, q) for p, q in zip(grads, right[k][0][1], strict=True))
            if value != right[k][0][0] or alone != right[k][1] or not same:
                wrong.append(k)

    pool = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    assert not wrong


def test_eight_threads_with_sizes_of_their_own():
    n = sp.Symbol("n", integer=True, positive=True)
    v = sp.MatrixSymbol("v", n, 1)
    f = symprop.compile(v.T * v, args=[v])
    wrong, start = [], threading.Barrier(8)

    def work(k):
        start.wait()
        for size in (k + 1, 3, k + 1, 5):
            value, (grad,) = f.value_and_grad(np.ones(size))
            if value != size or not np.array_equal(grad, np.full(size, 2.0)):
                wrong.append(k)

    pool = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    assert not wrong


def test_verify(net, mean):
    arguments = net.fresh(3)
    report = mean.verify(*arguments)
    assert report.passed
    assert {row.name for row in report.rows} >= {"d/dW1", "d/db1", "d/dW2", "d/db2", "L"}
    named = dict(zip(["W1", "b1", "W2", "b2", "x", "t"], [a.tolist() for a in arguments], strict=True))
    assert mean.verify(**named, samples=2).passed
    with pytest.raises(ArgumentError, match="missing argument t"):
        mean.verify(*arguments[:-1])
    with pytest.raises(ArgumentError, match=r"argument x: .*complex"):
        mean.verify(*arguments[:4], arguments[4] * 1j, arguments[5])


def test_verify_finds_a_wrong_compiled_value(net):
    f = symprop.compile(net.graph, args=net.args)
    arguments = [*net.arrays, net.xs[0], net.ts[0]]
    assert f.verify(*arguments).passed
    broken = copy.copy(f)
    family = copy.copy(f._joint)

    def call(values):
        results = f._joint.call(values)
        results[1] = results[1] * (1 + 1e-9)
        return results

    family.call = call
    broken._joint = family
    report = broken.verify(*arguments)
    assert not report.passed
    assert {row.name for row in report.failures} == {"d/dW1"}
