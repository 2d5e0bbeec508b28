"""The work of the symbolic side is linear in the nodes: lines of Python that are carried out, not seconds."""

import sys

import pytest
import sympy as sp

import symprop
from symprop.rewrite.context import Context

STEADY = 1.1  # lines for each node, of the larger graph beside the smaller one; quadratic work would give 5


def names(letter, count):
    return [sp.Symbol(f"{letter}{k}") for k in range(count)]


def chained(count, step):
    """Equations s0 = step(0, x), s1 = step(1, s0) ..., and their inputs."""
    weights, here, equations = names("v", count), sp.Symbol("x"), []
    for k, name in enumerate(names("s", count)):
        equations.append((name, step(here, weights[k])))
        here = name
    return symprop.Graph(equations)


def sines(count):
    return chained(count, lambda s, v: sp.sin(s, evaluate=False) * v + s)


def horner(count):
    """Products of one factor that stands in each of them."""
    x = sp.Symbol("x")
    return chained(count, lambda s, v: sp.Add(sp.Mul(s, x, evaluate=False), v, evaluate=False))


def logistic(count):
    return chained(count, lambda s, v: 1 / (1 + sp.exp(sp.Mul(s, v, evaluate=False), evaluate=False)))


def tied(count):
    """A recurrence with the same weights in every step."""
    w, b = sp.symbols("w b")
    return chained(count, lambda s, v: 1 / (1 + sp.exp(-w * s - b, evaluate=False)))


def switched(count):
    return chained(count, lambda s, v: sp.Piecewise((s * v, s > 0), (s + v, True), evaluate=False))


def fibonacci(count):
    """Every value is used by the two that follow."""
    x, y = sp.symbols("x y")
    equations = []
    for name in names("s", count):
        equations.append((name, sp.sin(y, evaluate=False) + sp.Mul(x, y, evaluate=False)))
        x, y = y, name
    return symprop.Graph(equations)


def wide(count):
    """One sum of many terms, over parameters and samples."""
    v, x = names("v", count), names("x", 3)
    terms = [sp.Mul(w, x[k % 3], evaluate=False) for k, w in enumerate(v)]
    return symprop.Graph([(sp.Symbol("L"), sp.Add(*terms, *v, evaluate=False) ** 2)])


def nested(count):
    """One expression without names; factors and terms that all of it has in common."""
    x, y = sp.symbols("x y")
    here = x
    for k in range(count):
        here = sp.tanh(here, evaluate=False) if k % 3 else sp.Add(here, y, evaluate=False)
        here = sp.Mul(here, x, evaluate=False) if k % 2 else sp.Add(here, x, evaluate=False)
    return symprop.Graph([(sp.Symbol("L"), here)])


def mixture(count):
    """The logarithm of one weighted sum of exponentials."""
    terms = [v * sp.exp(x) for v, x in zip(names("v", count), names("x", count), strict=True)]
    return symprop.Graph([(sp.Symbol("L"), sp.log(sp.Add(*terms, evaluate=False)))])


def rosenbrock(count):
    x = names("x", count + 1)
    terms = [100 * (x[k + 1] - x[k] ** 2) ** 2 + (1 - x[k]) ** 2 for k in range(count)]
    return symprop.Graph([(sp.Symbol("L"), sp.Add(*terms, evaluate=False))])


def lines_of(work):
    """How many lines of Python a call carries out; a loop inside a comprehension counts each turn."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def compiled(graph):
    batch = [s for s in graph.inputs if str(s) in ("x1", "x2")]
    symprop.compile(graph, batch=batch or None)


def derived(graph):
    symprop.backprop(graph, list(graph.inputs))


SMALL = {
    sines: 40,
    horner: 40,
    logistic: 20,
    tied: 8,
    switched: 20,
    fibonacci: 30,
    nested: 40,
    wide: 60,
    rosenbrock: 12,
}


@pytest.mark.parametrize("make", SMALL)
def test_the_work_of_compile_is_linear(make):
    check(make, compiled, SMALL[make])


@pytest.mark.parametrize("make", SMALL)
def test_the_work_of_backprop_is_linear(make):
    check(make, derived, 2 * SMALL[make])


def check(make, work, size):
    graphs = [make(n) for n in (6, size, 5 * size)]
    work(graphs[0])  # what is done once
    few, many = (lines_of(lambda g=g: work(g)) for g in graphs[1:])
    assert many < 5 * STEADY * few


@pytest.mark.parametrize(("make", "most"), [(tied, 9), (logistic, 8)])
def test_the_adjoints_of_a_recurrence_stay_whole(make, most):
    """Operations for each step, value and gradients: an adjoint that others use is not multiplied out."""
    few, many = (symprop.compile(make(n)).cost.operations for n in (20, 30))
    assert (many - few) / 10 <= most


def test_a_sum_of_exponentials_is_looked_at_once(monkeypatch):
    """Terms that are read, for weighted sums of 40 and of 200 exponentials."""
    counted = []
    real = Context.split
    monkeypatch.setattr(Context, "split", lambda self, node: counted.append(1) or real(self, node))

    def reads(count):
        before = len(counted)
        symprop.compile(mixture(count))
        return len(counted) - before

    few, many = reads(40), reads(200)
    assert many < 5 * STEADY * few
