"""The public functions: what they return for every form of target and variable, and their errors."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.declare import Graph, as_graph
from symprop.declare.printing import text
from symprop.differentiate import backprop, grad, hessian, hvp, jacobian, jvp, value_and_gradients, vjp
from symprop.errors import ArgumentError, ShapeError, UnsupportedExpressionError
from symprop.graph import topological
from symprop.graph.evaluate import evaluate

x, y, z, s = sp.symbols("x y z s")
k = sp.Symbol("k", integer=True)
u, v, w = (sp.MatrixSymbol(n, 3, 1) for n in "uvw")
A, B, X = (sp.MatrixSymbol(n, 3, 3) for n in "ABX")
h, L = sp.MatrixSymbol("h", 3, 1), sp.Symbol("L")

FORBIDDEN = (sp.Derivative, sp.Subs, sp.Sum, sp.Heaviside, sp.DiracDelta)


def number(expression, at):
    graph = as_graph(expression)
    return evaluate([graph.nodes[graph.outputs[0]]], at)[0]


# -- the form of gradients -------------------------------------------------------------------------

FORMS = [
    (sp.Trace(u.T * v), u, v),
    (sp.Trace(u.T * A * v), A, u * v.T),
    (u.T * A * u, u, A * u + A.T * u),
    (sp.Trace(A * X * B), X, A.T * B.T),
    (sp.Trace(X.T * X), X, 2 * X),
    (sp.Trace((A * X * B - A).T * (A * X * B - A)), X, 2 * A.T * (A * X * B - A) * B.T),
    (sp.Trace(sp.OneMatrix(1, 3) * sp.HadamardProduct(A, X) * sp.OneMatrix(3, 1)), X, A),
    (sp.sqrt(sp.Trace((u - v).T * (u - v))) ** 2 / 2, u, u - v),
    (sp.exp(x) * y, x, y * sp.exp(x)),
    (x * x + y * x, [x, y], [2 * x + y, x]),
]


@pytest.mark.parametrize(("formula", "wrt", "expected"), FORMS[:7], ids=lambda f: str(f)[:40])
def test_matrix_gradients_are_written_as_by_hand(formula, wrt, expected):
    found = grad(formula, wrt)
    assert sorted(map(str, sp.MatAdd.make_args(found))) == sorted(map(str, sp.MatAdd.make_args(expected)))


@pytest.mark.parametrize(("formula", "wrt", "expected"), FORMS[7:], ids=lambda f: str(f)[:40])
def test_gradients_have_the_value_of_the_form_by_hand(formula, wrt, expected):
    rng = np.random.default_rng(0)
    at = {t: rng.uniform(0.5, 1.5, t.shape if isinstance(t, sp.MatrixSymbol) else ()) for t in (x, y, u, v)}
    found = grad(formula, wrt)
    for one, other in zip(*((a if isinstance(a, list) else [a]) for a in (found, expected)), strict=True):
        assert np.allclose(number(one, at), number(other, at), rtol=1e-13)


def test_no_unevaluated_derivatives_appear():
    targets = [sp.Abs(x) + sp.sign(x) * x, sp.Max(x, y), sp.floor(x) * y, nn.relu(x) * nn.gelu(y), sp.erf(x)]
    for target in targets:
        for gradient in grad(target, [x, y]):
            assert not gradient.has(*FORBIDDEN)
            assert not grad(gradient, x).has(*FORBIDDEN)


# -- what goes in and out --------------------------------------------------------------------------


def test_a_list_for_a_list_and_one_for_one():
    assert grad(x * y, x) == y
    assert grad(x * y, [x]) == [y]
    assert grad(x * y, (x, y)) == [y, x]
    assert grad(x * y, []) == []
    assert grad(x * y, sp.Matrix([[x, y]])) == sp.ImmutableMatrix([[y, x]])


def test_what_does_not_occur_has_gradient_zero_of_its_shape():
    assert grad(x, y) == 0
    assert grad(x, A) == sp.ZeroMatrix(3, 3)
    assert grad(sp.Integer(3), x) == 0
    graph = as_graph(x * y)
    _, nodes = value_and_gradients(graph, graph.outputs[0], [u, x])
    assert nodes[0] is graph.table.full(0, (3, 1))


def test_a_graph_keeps_its_names():
    net = Graph([(h, nn.tanh(A * u)), (L, sp.Trace(h.T * h))])
    assert grad(net, h) == 2 * h
    assert grad(net, L) == 1
    found = grad(net, A)
    assert found.has(h) and not found.has(sp.tanh)
    assert not grad(nn.logsumexp(nn.tanh(A * u)), A).has(h)


def test_gradients_of_gradients():
    f = sp.sin(x * y) * x
    second = grad(grad(f, x), y)
    expected = sp.diff(f, x, y)
    at = {x: sp.Rational(7, 10), y: sp.Rational(3, 10)}
    assert abs(sp.N((second - expected).subs(at), 30)) < 1e-25
    third = grad(grad(grad(sp.Trace(u.T * A * u) * x**2, x), x), u)
    assert number(third - 2 * (A + A.T) * u, {A: np.eye(3), u: np.ones((3, 1))}) == pytest.approx(0)


def test_the_graph_form_is_closed_and_goes_on():
    net = Graph([(h, nn.tanh(A * u)), (L, sp.Trace(h.T * h))])
    graph = grad(net, [A, u], as_graph=True)
    assert [str(o) for o in graph.outputs] == ["d_A", "d_u"]
    assert set(graph.inputs) == {A, u}
    assert L not in graph.names
    rng = np.random.default_rng(1)
    at = {A: rng.normal(size=(3, 3)), u: rng.normal(size=(3, 1))}
    once = vjp(graph, u, [B, v], as_graph=True)
    at.update({B: rng.normal(size=(3, 3)), v: rng.normal(size=(3, 1))})
    projected = sp.Trace(B.T * grad(net_closed(), A)) + sp.Trace(v.T * grad(net_closed(), u))
    found = evaluate([once.nodes[once.outputs[0]]], at)[0]
    assert np.allclose(found, number(grad(projected, u), at), rtol=1e-12)


def net_closed():
    return sp.Trace(nn.tanh(A * u).T * nn.tanh(A * u))


def test_jvp_and_vjp_are_adjoint():
    rng = np.random.default_rng(2)
    at = {A: rng.normal(size=(3, 3)), **{t: rng.normal(size=(3, 1)) for t in (u, v, w)}}
    target = nn.softmax(A * nn.tanh(u)) + sp.HadamardProduct(u, u)
    forward, backward = jvp(target, u, v), vjp(target, u, w)
    assert forward.shape == (3, 1) and backward.shape == (3, 1)
    left = number(sp.Trace(w.T * forward), at)
    right = number(sp.Trace(v.T * backward), at)
    assert left == pytest.approx(right, rel=1e-12)


def test_jvp_and_vjp_of_lists():
    assert jvp([x * y, x + y], [x, y], [z, s]) == [x * s + y * z, z + s]
    assert vjp([x * y, x + y], [x, y], [z, s]) == [y * z + s, x * z + s]
    assert jvp(x * y, x, 2) == 2 * y
    assert vjp(A * u, u, sp.Matrix([1, 0, 0])).shape == (3, 1)
    assert jvp(x * y, x, u.T * v) == jvp(x * y, x, sp.Symbol("c")).subs(sp.Symbol("c"), jvp(x, x, u.T * v))


def test_hvp_is_the_hessian_times_the_vector():
    f = sp.exp(sp.Trace(u.T * v)) + sp.Trace(u.T * A * u) ** 2
    rng = np.random.default_rng(3)
    at = {A: rng.normal(size=(3, 3)), **{t: rng.normal(size=(3, 1)) * 0.4 for t in (u, v, w)}}
    product, matrix = number(hvp(f, u, w), at), number(hessian(f, u), at)
    assert np.allclose(matrix, matrix.T, rtol=1e-13)
    assert np.allclose(product, matrix @ at[w], rtol=1e-12)
    assert hvp(x * y, [x, y], [z, s]) == [s, z]


# -- Jacobians and Hessians ------------------------------------------------------------------------


def test_jacobians_in_matrix_form():
    assert jacobian(A * u, u) == A
    assert jacobian(u, u) == sp.Identity(3)
    assert jacobian(v, u) == sp.ZeroMatrix(3, 3)
    assert jacobian(nn.tanh(A * u), u).args[-1] == A
    assert hessian(u.T * A * u, u) == A + A.T
    assert str(hessian(sp.exp(sp.Trace(v.T * u)), u)).endswith("v*v.T")


COLUMNS = [
    A * nn.tanh(B * u) + v,
    u * sp.Trace(u.T * v),
    nn.softmax(A * u),
    sp.HadamardProduct(A * u, nn.sigmoid(u)),
    sp.Matrix([u[0, 0] * u[1, 0], sp.sin(u[2, 0]), x]),
    (A * u)[0:2, 0],
    sp.HadamardPower(u, 3) / sp.sqrt(sp.Trace(u.T * u)),
    (u.T * A).T,
    A * A * u * u.T * v,
]


@pytest.mark.parametrize("target", COLUMNS, ids=lambda f: str(f)[:40])
def test_jacobians_against_differences(target):
    rng = np.random.default_rng(4)
    at = {t: rng.uniform(0.2, 1, t.shape) for t in (A, B, u, v)} | {x: 0.5}
    found = number(jacobian(target, u), at)
    step = 1e-6
    for j in range(3):
        e = np.zeros((3, 1))
        e[j] = step
        column = (number(target, {**at, u: at[u] + e}) - number(target, {**at, u: at[u] - e})) / (2 * step)
        assert np.allclose(found[:, [j]], column, rtol=1e-7, atol=1e-8)


def test_jacobian_and_hessian_of_scalars():
    assert jacobian([x * y, x + y, z], [x, y, z]) == sp.ImmutableMatrix([[y, x, 0], [1, 1, 0], [0, 0, 1]])
    assert jacobian([x * y], [x, y, z]) == sp.ImmutableMatrix([[y, x, 0]])
    assert jacobian(sp.Matrix([x * y, y]), sp.Matrix([x, y])) == sp.ImmutableMatrix([[y, x], [0, 1]])
    assert hessian(x**2 * y, [x, y]) == sp.ImmutableMatrix([[2 * y, 2 * x], [2 * x, 0]])
    assert hessian(x**3, x) == 6 * x
    assert jacobian(x**3, x) == 3 * x**2
    assert jacobian([x * u[0, 0], y], u).shape == (2, 3)
    assert jacobian(Graph([(s, x * y), (z, x + y)], outputs=[s, z]), [x, y])[1, 0] == 1


def test_the_hessian_of_entries_is_one_matrix_of_entries():
    found = hessian(u[0, 0] * u[1, 0] + sp.sin(u[2, 0]), u)
    expected = sp.ImmutableMatrix([[0, 1, 0], [1, 0, 0], [0, 0, -sp.sin(u[2, 0])]])
    assert found == expected


def test_columns_and_scalars_together_give_blocks():
    target = s * sp.Trace(u.T * A * u) + sp.sin(s) + sp.Trace(u.T * v)
    found = hessian(target, [u, s, v])
    graph = str(hessian(target, [u, s, v], as_graph=True))
    assert graph == (
        "H = BlockMatrix([[s*(A + A.T), A.T*u + A*u, I], [u.T*A + u.T*A.T, -sin(s), 0], [I, 0, 0]])"
    )
    entries = [*sp.Matrix(u), s, *sp.Matrix(v)]
    written = (
        s * (sp.Matrix(u).T * sp.Matrix(A) * sp.Matrix(u))[0, 0]
        + sp.sin(s)
        + sum(u[i, 0] * v[i, 0] for i in range(3))
    )
    numbers = np.random.default_rng(5).normal(size=(5, 3))
    at = {u: numbers[:1].T, v: numbers[1:2].T, A: numbers[2:], s: 0.7}
    values = {s: 0.7, **{m[i, j]: at[m][i, j] for m in (u, v, A) for i, j in np.ndindex(m.shape)}}
    expected = np.array(sp.hessian(written, entries).subs(values).tolist(), float)
    np.testing.assert_allclose(number(found, at), expected, rtol=1e-14)
    assert hessian(sp.Trace(u.T * A * u), [u]) == A + A.T
    several = jacobian([A * u, s**2, s * v], [v, s])
    assert several.shape == (7, 4)
    np.testing.assert_allclose(number(several, at)[3:], np.block([[0, 0, 0, 1.4], [0.7 * np.eye(3), at[v]]]))


def test_symbolic_sizes_in_matrix_form():
    n, m = sp.symbols("n m", integer=True, positive=True)
    M, c, d = sp.MatrixSymbol("M", m, n), sp.MatrixSymbol("c", n, 1), sp.MatrixSymbol("d", m, 1)
    loss = sp.Trace((M * c - d).T * (M * c - d))
    assert grad(loss, c) == 2 * M.T * (M * c - d)
    assert hessian(loss, c) == 2 * M.T * M
    p = nn.softmax(M * c)
    assert text(jacobian(p, c)) == "diag(softmax(M*c))*M - softmax(M*c)*softmax(M*c).T*M"
    with pytest.raises(UnsupportedExpressionError, match="numbers as sizes"):
        jacobian(nn.softmax(d * c.T, dim=1) * c, c)


# -- errors ----------------------------------------------------------------------------------------


def test_a_target_that_is_no_scalar():
    for call in (grad, backprop, hessian):
        with pytest.raises(ShapeError, match=r"shape \(3, 1\); reduce it to a scalar .* vjp"):
            call(A * u, u)


def test_an_integer_variable():
    for call in (grad, backprop, jacobian):
        with pytest.raises(UnsupportedExpressionError, match="k, an integer"):
            call(nn.cross_entropy(u, k), [u, k])


@pytest.mark.parametrize("wrong", [x**2, A[0, 0], sp.sin(x), sp.Integer(1)])
def test_a_variable_that_is_no_symbol(wrong):
    with pytest.raises(ArgumentError, match=r"neither a symbol nor a named node.*equation of its own"):
        grad(x**2, wrong)


@pytest.mark.parametrize("wrong", ["x", None, object()])
def test_a_variable_that_is_nothing_of_sympy(wrong):
    with pytest.raises(ArgumentError):
        grad(x**2, wrong)


def test_directions_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"tangent u.T has shape \(1, 3\), expected \(3, 1\)"):
        jvp(A * u, u, u.T)
    with pytest.raises(ArgumentError, match="one cotangent for each output is expected, found 1 for 2"):
        vjp([x, y], x, [1])
    with pytest.raises(ArgumentError, match="one vector for each variable"):
        hvp(x * y, [x, y], z)


def test_a_jacobian_of_matrices_points_to_jvp():
    with pytest.raises(ShapeError, match="use jvp, vjp or hvp"):
        jacobian(A * u, A)
    with pytest.raises(ShapeError, match="use jvp, vjp or hvp"):
        hessian(sp.Trace(A.T * A), A)


def test_a_function_without_derivative_is_named():
    class Mystery(sp.Function):
        def doit(self, **hints):
            return self

    with pytest.raises(UnsupportedExpressionError, match="Mystery"):
        grad(Mystery(x) * x, x)


def test_a_deep_expression():
    f = x
    for step in range(3000):
        f = sp.sin(f, evaluate=False) if step % 2 else sp.Add(f, x, evaluate=False)
    graph = grad(f, x, as_graph=True)
    nodes = topological([graph.nodes[graph.outputs[0]]])
    assert 3000 < len(nodes) < 15_000


# -- names of shared terms ---------------------------------------------------------------------------

t = sp.Symbol("t")
SHARING = sp.sin(sp.exp(x * y)) * sp.exp(x * y) + x * y + 2 * t
CHAINS = {
    "jvp twice": lambda copied: jvp(copied(jvp(SHARING, x, 1, as_graph=True)), x, 1, as_graph=True),
    "grad twice": lambda copied: grad(
        copied(grad(Graph([(L, SHARING)]), x, as_graph=True)), x, as_graph=True
    ),
    "ties between": lambda copied: grad(
        copied(grad(SHARING, x, as_graph=True)).with_ties("split"), x, as_graph=True
    ),
}


@pytest.mark.parametrize("copied", [lambda graph: graph, copy.deepcopy], ids=["", "copied"])
@pytest.mark.parametrize("name", CHAINS)
def test_an_input_that_a_derivative_has_lost_keeps_its_name(name, copied):
    """The second derivative named a shared term `t`, which is an argument of the first target."""
    graph = CHAINS[name](copied)
    assert t not in graph.names and sp.Symbol("t2") in graph.names
    at = {x: 0.3, y: 0.7}
    expected = float(sp.diff(SHARING, x, 2).subs(at))
    assert float(symprop.compile(graph, args=[x, y, t])(0.3, 0.7, 5.0)) == pytest.approx(expected, rel=1e-12)


def test_a_direction_keeps_its_name():
    """A shared term took the name of the tangent: `t = y*t`."""
    graph = jvp(SHARING - 2 * t, x, t, as_graph=True)
    assert t not in graph.names and t in graph.inputs
    expected = float((t * sp.diff(SHARING, x)).subs({x: 0.3, y: 0.7, t: 5}))
    assert float(symprop.compile(graph, args=[x, y, t])(0.3, 0.7, 5.0)) == pytest.approx(expected, rel=1e-12)


def test_the_name_of_a_result_is_not_that_of_its_direction():
    (output,) = vjp(x**2, x, sp.Symbol("d_x"), as_graph=True).outputs
    assert output == sp.Symbol("d_x2")


def test_decimal_numbers_that_cancel_are_no_factor():
    q = sp.Symbol("q")
    assert text(grad(nn.softplus(q, beta=0.2), q)) == "sigmoid(0.2*q)"
