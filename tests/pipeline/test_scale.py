"""Long graphs and deep expressions: no recursion, and the right values."""

import copy
import pickle

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose

import symprop

DEPTH = 10_000


def nested(x, depth):
    """`sin(... sin(sin(x) * x) * x ...)` as one sympy expression, not evaluated."""
    expression = x
    for _ in range(depth):
        expression = sp.Mul(sp.sin(expression, evaluate=False), x, evaluate=False)
    return expression


def by_hand(value, depth):
    """Value and slope with mpmath."""
    with mp.workdps(40):
        x, u, d = mp.mpf(value), mp.mpf(value), mp.mpf(1)
        for _ in range(depth):
            u, d = mp.sin(u) * x, mp.cos(u) * d * x + mp.sin(u)
        return float(u), float(d)


@pytest.fixture(scope="module")
def deep():
    x = sp.Symbol("x")
    return x, nested(x, DEPTH)


def test_a_deep_expression_is_differentiated_compiled_and_called(deep):
    x, expression = deep
    f = pickle.loads(pickle.dumps(symprop.compile(expression, args=[x])))
    value, (slope,) = f.value_and_grad(1.5)
    right, right_slope = by_hand(1.5, DEPTH)
    assert_allclose(value, right, rtol=1e-11)
    assert_allclose(slope, right_slope, rtol=1e-9)


def test_a_deep_expression_is_printed(deep):
    _, expression = deep
    graph = symprop.Graph([(sp.Symbol("y"), expression)])
    text = str(graph)
    assert text.startswith("y = x*sin(x*sin(")
    assert text.count("sin(") == DEPTH
    assert graph._repr_latex_().count(r"\sin") == DEPTH


def test_a_deep_graph_is_pickled_and_copied(deep):
    x, expression = deep
    graph = symprop.Graph([(sp.Symbol("y"), expression)])
    for other in (pickle.loads(pickle.dumps(graph)), copy.deepcopy(graph)):
        assert other == graph
        assert other.inputs == (x,)


def test_gradients_of_deep_expressions_are_graphs(deep):
    x, expression = deep
    graph = symprop.Graph([(sp.Symbol("y"), expression)])
    backward = symprop.backprop(graph, x)
    assert len(str(backward).splitlines()) > DEPTH
    assert symprop.grad(graph, x, as_graph=True).inputs == (x,)


def test_a_deep_derivative_is_made_again():
    """Its parts are not compared with those of the first one, which would recurse into their depth."""
    x, y = sp.symbols("x y")
    expression = x
    for k in range(1500):
        outer = (sp.sin, sp.tanh, lambda e, evaluate: sp.Add(e, y, evaluate=evaluate))[k % 3]
        expression = outer(expression, evaluate=False)
        expression = (sp.Mul if k % 2 else sp.Add)(expression, x, evaluate=False)
    for _ in range(2):
        assert isinstance(symprop.vjp(expression, x, 2), sp.Expr)


def chain(length):
    v = sp.symbols(f"v:{length}")
    x = sp.Symbol("x")
    here, equations = x, []
    for k in range(length):
        name = sp.Symbol(f"s{k}")
        equations.append((name, sp.sin(here, evaluate=False) * v[k] + here))
        here = name
    return symprop.Graph(equations), [*v, x]


def chain_by_hand(values, x):
    """The value and all gradients in double precision: a loop forward and a loop back."""
    states = [x]
    for p in values:
        states.append(np.sin(states[-1]) * p + states[-1])
    adjoint, gradient = 1.0, np.empty(len(values))
    for k in reversed(range(len(values))):
        gradient[k] = adjoint * np.sin(states[k])
        adjoint *= np.cos(states[k]) * values[k] + 1
    return states[-1], [*gradient, adjoint]


@pytest.mark.parametrize("length", [30, 500, 1500])
def test_the_gradient_of_a_chain_of_named_values(length):
    """In one function, cut into parts with a frame in the workspace, and as a tape."""
    graph, args = chain(length)
    values = np.random.default_rng(3).uniform(-0.1, 0.1, length)
    f = symprop.compile(graph, args=args)
    value, grads = f.value_and_grad(*values, 0.8)
    right, gradients = chain_by_hand(values, 0.8)
    assert_allclose(value, right, rtol=1e-11)
    assert_allclose(grads, gradients, rtol=1e-10)
    assert ("symprop.part.1" in f.llvm_ir) == (length == 500)
    assert ("symprop.tape" in f.llvm_ir) == (length == 1500)


@pytest.mark.parametrize(("length", "n"), [(250, 11), (1500, 1), (1500, 37)])
def test_long_code_over_samples(length, n):
    """Cut into parts, or as a tape."""
    graph, args = chain(length)
    values = np.random.default_rng(4).uniform(-0.1, 0.1, length)
    xs = np.linspace(-1, 1.5, n)
    f = symprop.compile(graph, args=args, batch=[args[-1]], reduce="sum")
    value, grads = f.value_and_grad(*values, xs)
    rows = [chain_by_hand(values, x) for x in xs]
    assert ("symprop.samples.part.1" if length < 1000 else "symprop.tape") in f.llvm_ir
    assert_allclose(value, sum(r[0] for r in rows), rtol=1e-12)
    assert_allclose(grads, np.sum([r[1][:-1] for r in rows], 0), rtol=1e-10, atol=1e-13)


def test_many_nests_are_written_into_functions_of_their_own():
    """A chain of matrix products, in loops."""
    size, count = 12, 30
    x = sp.MatrixSymbol("x", size, size)
    weights = [sp.MatrixSymbol(f"W{k}", size, size) for k in range(count)]
    here, equations = x, []
    for k, weight in enumerate(weights):
        name = sp.MatrixSymbol(f"h{k}", size, size)
        equations.append((name, symprop.nn.tanh(weight * here)))
        here = name
    f = symprop.compile(symprop.Graph([*equations, (sp.Symbol("y"), sp.Trace(here))]), args=[*weights, x])
    rng = np.random.default_rng(5)
    values = [rng.normal(size=(size, size)) / np.sqrt(size) for _ in range(count + 1)]
    value, grads = f.value_and_grad(*values)
    assert "symprop.nests." in f.llvm_ir
    states = [values[-1]]
    for w in values[:-1]:
        states.append(np.tanh(w @ states[-1]))
    assert_allclose(value, np.trace(states[-1]), rtol=1e-11)
    adjoint, right = np.eye(size), []
    for w, before, after in zip(
        reversed(values[:-1]), reversed(states[:-1]), reversed(states[1:]), strict=True
    ):
        adjoint = adjoint * (1 - after**2)
        right.append(adjoint @ before.T)
        adjoint = w.T @ adjoint
    for found, wanted in zip(grads, [*reversed(right), adjoint], strict=True):
        assert_allclose(found, wanted, rtol=1e-9, atol=1e-13)


def test_a_deep_maximum_is_written_out_twice():
    """Equal expressions of that depth: sympy's cache would compare them by recursion."""
    x, y = sp.symbols("x y")
    here = x
    for _ in range(400):  # sympy itself cannot build deeper ones
        here = sp.Max(sp.sin(here, evaluate=False), y, evaluate=False)
    for target in (here, symprop.Graph([(sp.Symbol("L"), here)])):
        gradient = symprop.grad(target, x)
        assert symprop.grad(gradient, y) is not None
        assert symprop.compile(target).gradient[x] is not None


def test_a_wide_maximum_is_pickled():
    """sympy's own maximum of 300 symbols takes half a minute to make again."""
    net = symprop.Graph([(sp.Symbol("L"), sp.Max(*sp.symbols("a:300"), evaluate=False))])
    text = pickle.dumps(net)
    assert b"Max" not in text
    assert pickle.loads(text) == net
