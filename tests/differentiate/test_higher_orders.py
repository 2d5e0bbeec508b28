"""Derivatives of derivatives, in every combination of modes, compiled and against mpmath."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose

import symprop
from symprop import nn
from symprop.graph import topological

X, T = sp.symbols("x t", real=True)
W1, B1, W2 = sp.MatrixSymbol("W1", 3, 2), sp.MatrixSymbol("b1", 3, 1), sp.MatrixSymbol("W2", 1, 3)
ARGS = [W1, B1, W2, X, T]
RNG = np.random.default_rng(7)
VALUES = [RNG.normal(size=(3, 2)), RNG.normal(size=(3, 1)), RNG.normal(size=(1, 3)), 0.3, -0.4]


def network(x=X, t=T):
    return symprop.scalar(W2 * nn.tanh(W1 * sp.ImmutableMatrix([x, t]) + B1))


def exact(w1, b1, w2, x, t):
    w1, b1, w2 = (
        mp.matrix(np.asarray(v).tolist()) if not isinstance(v, mp.matrix) else v for v in (w1, b1, w2)
    )
    return (w2 * (w1 * mp.matrix([x, t]) + b1).apply(mp.tanh))[0]


def right(order_x, order_t, wrt=None, entry=None):
    """The derivative by x and t of those orders, and by one entry of a parameter."""
    with mp.workdps(60):
        x, t = mp.mpf(VALUES[3]), mp.mpf(VALUES[4])
        if wrt is None:
            return float(mp.diff(lambda a, b: exact(*VALUES[:3], a, b), (x, t), (order_x, order_t)))

        def with_entry(value, a, b):
            params = [mp.matrix(v.tolist()) for v in VALUES[:3]]
            params[wrt][entry] = value
            return exact(*params, a, b)

        at = mp.mpf(float(VALUES[wrt][entry]))
        return float(mp.diff(with_entry, (at, x, t), (1, order_x, order_t)))


def value(expression, **options):
    return symprop.compile(expression, args=ARGS, wrt=[], **options)(*VALUES)


@pytest.mark.parametrize("orders", [(1, 0), (0, 1), (2, 0), (1, 1), (3, 0), (2, 1), (4, 0)])
def test_reverse_over_reverse(orders):
    derivative = network()
    for symbol, order in zip((X, T), orders, strict=True):
        for _ in range(order):
            derivative = symprop.grad(derivative, symbol)
    assert_allclose(value(derivative), right(*orders), rtol=1e-11)


@pytest.mark.parametrize("orders", [(1, 0), (2, 0), (1, 1), (3, 0)])
def test_forward_over_forward(orders):
    derivative = network()
    for symbol, order in zip((X, T), orders, strict=True):
        for _ in range(order):
            derivative = symprop.jvp(derivative, symbol, sp.S.One)
    assert_allclose(value(derivative), right(*orders), rtol=1e-11)


@pytest.mark.parametrize("as_graph", [False, True])
def test_by_inputs_then_by_parameters(as_graph):
    """The gradient by the parameters of a second derivative by the input, as in a physics-informed loss."""
    u_xx = symprop.grad(symprop.grad(network(), X, as_graph=as_graph), X, as_graph=as_graph)
    f = symprop.compile(u_xx, args=ARGS, wrt=[W1, B1, W2])
    found, grads = f.value_and_grad(*VALUES)
    assert_allclose(found, right(2, 0), rtol=1e-11)
    for wrt, gradient in enumerate(grads):
        assert gradient.shape == VALUES[wrt].shape
        for entry in np.ndindex(gradient.shape):
            assert_allclose(gradient[entry], right(2, 0, wrt, entry), rtol=1e-10, atol=1e-13)


def test_forward_over_reverse_equals_reverse_over_reverse():
    u = network() ** 2
    direction = sp.ImmutableMatrix(3, 2, [1, -2, 3, 0, 5, -1])
    forward = symprop.hvp(u, W1, direction)
    inner = sp.Trace(sp.MatMul(direction.T, symprop.grad(u, W1)))
    assert_allclose(value(forward), value(symprop.grad(inner, W1)), rtol=1e-12, atol=1e-14)
    along = symprop.jvp(symprop.grad(u, W1), W1, direction)
    assert_allclose(value(forward), value(along), rtol=1e-12, atol=1e-14)
    step = 1e-6
    moved = [np.array(v) for v in VALUES]
    f = symprop.compile(u, args=ARGS, wrt=W1)
    moved[0] = VALUES[0] + step * np.array(direction, float)
    above = f.grad(*moved)
    moved[0] = VALUES[0] - step * np.array(direction, float)
    assert_allclose(value(forward), (above - f.grad(*moved)) / (2 * step), rtol=1e-7, atol=1e-8)


def test_a_hessian_by_inputs_and_parameters_together():
    a, b, x = symbols = sp.symbols("a b x", real=True)
    expression = sp.exp(a * x) * sp.sin(b * x)
    found = symprop.hessian(expression, list(symbols))
    at = [0.3, -0.7, 1.1]
    compiled = symprop.compile(found, args=symbols, wrt=[])(*at)
    wanted = sp.hessian(expression, symbols).subs(dict(zip(symbols, at, strict=True)))
    assert_allclose(compiled, np.array(wanted.evalf().tolist(), float), rtol=1e-13)
    assert_allclose(compiled, compiled.T, rtol=1e-15)


def count(expression):
    graph = symprop.differentiate.formulas.graph_of(expression)
    return len(topological([graph.nodes[s] for s in graph.outputs]))


@pytest.mark.parametrize("depth", [8, 16, 32])
def test_everything_is_shared(depth):
    """A chain of named values: the nodes of each order of derivative grow with the length, not faster."""

    def nodes(depth, order):
        names = sp.symbols(f"h:{depth}")
        graph = symprop.Graph([(h, sp.sin(X * p)) for h, p in zip(names, (X, *names), strict=False)])
        for _ in range(order):
            graph = symprop.grad(graph, X, as_graph=True)
        return count(graph)

    for order in (1, 2, 3):
        assert nodes(2 * depth, order) < 2.3 * nodes(depth, order)


@pytest.mark.parametrize(("rows", "columns"), [(2, 9), (9, 2)])
def test_a_jacobian_runs_in_the_mode_of_fewer_passes(rows, columns, monkeypatch):
    from symprop.differentiate import matrixform

    calls = {"tangents": 0, "adjoints": 0}
    for name in calls:
        real = getattr(matrixform, name)

        def counted(*args, name=name, real=real):
            calls[name] += 1
            return real(*args)

        monkeypatch.setattr(matrixform, name, counted)
    x = sp.MatrixSymbol("x", columns, 1)
    target = sp.Matrix([sp.prod([sp.sin(x[j, 0] + i) for j in range(columns)]) for i in range(rows)])
    y = sp.MatrixSymbol("y", rows, 1)
    jacobian = symprop.jacobian(symprop.Graph([(y, sp.ImmutableMatrix(target))]), x, as_graph=True)
    expected = {"tangents": 0, "adjoints": rows} if rows < columns else {"tangents": columns, "adjoints": 0}
    assert calls == expected
    at = RNG.normal(size=columns)
    exact_rows = target.jacobian([x[j, 0] for j in range(columns)])
    numbers = {x[j, 0]: at[j] for j in range(columns)}
    found = symprop.compile(jacobian, args=[x], wrt=[])(at)
    assert_allclose(found, np.array(exact_rows.xreplace(numbers).tolist(), float), rtol=1e-12, atol=1e-14)


def test_a_second_derivative_by_a_label_or_of_what_is_not_there():
    assert symprop.grad(symprop.grad(X**2, X), T) == 0
    y = sp.Symbol("y", integer=True)
    with pytest.raises(symprop.UnsupportedExpressionError, match="integer"):
        symprop.grad(symprop.grad(X**3, X), y)
