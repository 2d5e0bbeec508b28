"""Reverse mode against central differences at 50 digits, and the form of what it makes."""

from __future__ import annotations

import dataclasses

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symprop import nn
from symprop.declare import Graph, as_graph
from symprop.differentiate import adjoints, grad, value_and_gradients
from symprop.errors import UnsupportedExpressionError
from symprop.graph import OPERATIONS, NodeTable, Operation, topological
from symprop.graph.evaluate import evaluate

x, y, z = sp.symbols("x y z")
X, Y = sp.MatrixSymbol("X", 3, 3), sp.MatrixSymbol("Y", 3, 3)
u, v = sp.MatrixSymbol("u", 3, 1), sp.MatrixSymbol("v", 3, 1)
W, b = sp.MatrixSymbol("W", 2, 3), sp.MatrixSymbol("b", 2, 1)
k = sp.Symbol("k", integer=True)

SCALAR = [
    (x + y) * z,
    1 / (1 + sp.exp(-(x * y + z))),
    sp.exp(x) * sp.log(y) / sp.sqrt(z),
    sp.sin(x) * sp.cos(x * y) + sp.tan(z / 3),
    sp.asin(x / 2) + sp.acos(y / 2) * sp.atan(z),
    sp.sinh(x) * sp.cosh(y) - sp.tanh(z),
    sp.asinh(x) + sp.acosh(y + 1) + sp.atanh(z / 2),
    sp.erf(x) + sp.erfc(y) * z,
    sp.atan2(x, y) * z,
    x**y + y**3 + z ** sp.Rational(-5, 2) + 2**x,
    sp.Abs(x - 2 * y) + sp.Max(x, y * z) + sp.Min(x * y, z + 3),
    sp.Piecewise((x**2, x > y), (y * z, True)),
    x * x * y + x * sp.sin(x) + sp.sin(x) ** 2,
    x * sp.exp(x) * (x * sp.exp(x) + y) + (y * z - x) ** 2 / (y * z),
    sp.cbrt(x) + sp.sec(x / 2) + sp.floor(x) * y,
]


@pytest.mark.parametrize("formula", SCALAR, ids=str)
def test_scalar_formulas(formula, check):
    check(formula)


@pytest.mark.parametrize("formula", SCALAR[:8], ids=str)
def test_scalar_formulas_agree_with_sympy(formula):
    names = [x, y, z]
    at = {x: 0.7, y: 1.1, z: 0.4}
    for name, found in zip(names, grad(formula, names), strict=True):
        exact = {s: sp.Rational(str(n)) for s, n in at.items()}
        assert abs(sp.N(found.subs(exact) - sp.diff(formula, name).subs(exact), 30)) < 1e-25


ones = sp.OneMatrix(1, 3)
MATRIX = [
    sp.Trace(u.T * X * v),
    sp.Trace(X * Y * X.T) * x,
    sp.Trace(X.T * X) ** 2 + sp.Trace(X * X),
    sp.exp(sp.Trace(u.T * v)) / sp.sqrt(sp.Trace(v.T * v)),
    sp.Trace(ones * sp.HadamardProduct(X, Y) * u),
    sp.Trace(ones * sp.HadamardPower(u, 3)),
    sp.Trace(ones * (x * u + y * v).applyfunc(sp.Lambda(z, sp.sin(z) * z))),
    X[0, 1] * X[2, 2] + sp.sin(X[0, 1]) * u[1, 0] + sp.Trace(X),
    sp.Trace(X[0:2, 0:2] * Y[1:3, 0:2]) + sp.Trace(X[0:2, 0:2]),
    sp.Trace(sp.DiagMatrix(u) * X * sp.DiagMatrix(v)),
    sp.Trace(sp.Matrix([[x, y], [y * z, x**2]]) * W * W.T),
    (sp.Matrix([x, y, x * z]).T * X * u)[0, 0],
    nn.cross_entropy(W * nn.tanh(X * u) + b, k),
    nn.logsumexp(W * nn.softplus(X * u)) * x,
    nn.mse_loss(W * nn.gelu(u) + b, b),
    sp.Trace(nn.softmax(W * u).T * nn.log_softmax(W * v)),
    sp.Trace(ones * (nn.silu(u) + nn.elu(v - 1 * u) + nn.leaky_relu(u - v))),
    nn.binary_cross_entropy_with_logits(x * y, sp.Float(0.25)) + nn.sigmoid(x),
]


@pytest.mark.parametrize("formula", MATRIX, ids=lambda f: str(f)[:60])
def test_matrix_formulas(formula, check):
    check(formula)


def test_two_paths_that_meet_add_up(check):
    s = sp.sin(x)
    graph = Graph([(z, x * x), (y, s * z + s)])
    check(graph, [x])


def test_same_argument_twice():
    t = NodeTable()
    a = t.symbol(x)
    assert adjoints(t, t.make("mul", (a, a)), [a])[a.serial] is t.mul(t.constant(2), a)
    assert adjoints(t, t.make("add", (a, a)), [a])[a.serial] is t.constant(2)


def test_terms_that_cancel_leave_no_adjoint():
    t = NodeTable()
    a, c = t.symbol(x), t.symbol(y)
    node = t.make("add", (t.mul(a, c), t.neg(t.mul(a, c))))
    assert adjoints(t, node, [a])[a.serial] is None


def test_repeated_contributions_become_a_multiple():
    t = NodeTable()
    a, c = t.symbol(x), t.symbol(y)
    node = t.add(t.mul(a, c), t.mul(t.constant(3), t.mul(a, c)))
    assert adjoints(t, node, [a])[a.serial] is t.mul(t.constant(4), c)


def test_entries_of_one_vector_are_placed_at_once_in_order_of_position():
    theta = sp.MatrixSymbol("theta", 46, 1)
    graph = as_graph(sum(sp.sin(theta[45 - i, 0]) * (i + 2) for i in range(46)))
    _, (gradient,) = value_and_gradients(graph, graph.outputs[0], [theta])
    assert gradient.op == "place"
    assert gradient.attrs == ((46, 1), tuple((i, 0) for i in range(46)))
    places = [n for n in topological([gradient]) if n.op in ("place", "add")]
    assert places == [gradient]


def test_an_entry_that_is_used_twice_is_placed_once():
    t = NodeTable()
    a = t.symbol(u)
    entry = t.index(a, (1, 0))
    other = t.mul(entry, t.make("sin", (t.index(a, (1, 0)),)))
    found = adjoints(t, t.add(other, entry), [a])[a.serial]
    assert found.op == "place" and found.attrs == ((3, 1), ((1, 0),))


def test_entries_beside_dense_uses_give_one_place_and_one_sum():
    graph = as_graph(u[0, 0] * u[2, 0] + sp.Trace(u.T * u))
    _, (gradient,) = value_and_gradients(graph, graph.outputs[0], [u])
    assert gradient.op == "add"
    assert sorted(a.op for a in gradient.args) == ["mul", "place"]


def test_equal_blocks_are_added_before_they_are_padded(check):
    formula = sp.Trace(X[0:2, 0:2]) * x + sp.Trace(X[0:2, 0:2] * X[0:2, 0:2])
    graph = as_graph(formula)
    _, (gradient,) = value_and_gradients(graph, graph.outputs[0], [X])
    assert [n.op for n in topological([gradient])].count("pad") == 1
    check(formula)


def test_a_scalar_beside_a_matrix_collects_all_entries():
    t = NodeTable()
    s, m = t.symbol(x), t.symbol(X)
    total = t.sum(t.add(s, t.mul(s, m)))
    found = adjoints(t, total, [s])[s.serial]
    at = {x: 2.0, X: np.arange(9.0).reshape(3, 3)}
    assert evaluate([found], at)[0] == 9 + 36


def test_labels_and_conditions_have_no_adjoint():
    t = NodeTable()
    a, label = t.symbol(u), t.symbol(k)
    taken = t.make("take", (a, label))
    chosen = t.select(t.make("less", (taken, t.constant(1))), taken, t.mul(taken, taken))
    found = adjoints(t, chosen, [a])
    assert label.serial not in found
    assert all(t.nodes[serial].kind == "real" for serial in found)


def test_no_path_means_no_adjoint():
    t = NodeTable()
    a, c = t.symbol(x), t.symbol(y)
    assert adjoints(t, t.mul(a, a), [c]) == {c.serial: None}
    assert adjoints(t, t.make("floor", (a,)), [a])[a.serial] is None


def test_seed_and_matrix_target():
    t = NodeTable()
    w, a, s = t.symbol(W), t.symbol(u), t.symbol(b)
    found = adjoints(t, t.matmul(w, a), [w, a], seed=s)
    assert found[a.serial] is t.matmul(t.transpose(w), s)
    assert found[w.serial] is t.matmul(s, t.transpose(a))


def test_an_inner_node_is_a_variable_too():
    t = NodeTable()
    a = t.symbol(x)
    s = t.make("sin", (a,))
    found = adjoints(t, t.mul(s, s), [a, s])
    assert found[s.serial] is t.mul(t.constant(2), s)
    assert evaluate([found[a.serial]], {x: 0.5})[0] == pytest.approx(np.sin(1.0))


# -- operations without a rule of their own ----------------------------------------------------------------


def _cubed(monkeypatch, **rules):
    declared = Operation(name="cubed", infer=lambda args, attrs: (args[0].shape, "real"), **rules)
    monkeypatch.setitem(OPERATIONS, "cubed", declared)


def test_a_composite_without_a_rule_goes_through_its_definition(monkeypatch):
    _cubed(monkeypatch, expand=lambda t, node: t.mul(node.args[0], t.pow(node.args[0], 2)))
    t = NodeTable()
    a = t.symbol(x)
    node = t.make("cubed", (t.make("sin", (a,)),))
    found = adjoints(t, t.mul(node, t.constant(2)), [a])[a.serial]
    assert evaluate([found], {x: 0.3})[0] == pytest.approx(6 * np.sin(0.3) ** 2 * np.cos(0.3))


def test_a_composite_of_one_node_twice(monkeypatch):
    declared = Operation(
        name="product",
        infer=lambda args, attrs: ((), "real"),
        expand=lambda t, node: t.mul(*node.args),
    )
    monkeypatch.setitem(OPERATIONS, "product", declared)
    t = NodeTable()
    a = t.symbol(x)
    found = adjoints(t, t.make("product", (a, a)), [a])[a.serial]
    assert found is t.mul(t.constant(2), a)


def test_an_operation_without_rule_and_definition_is_named(monkeypatch):
    _cubed(monkeypatch)
    t = NodeTable()
    a = t.symbol(x)
    with pytest.raises(UnsupportedExpressionError, match="cubed has no derivative"):
        adjoints(t, t.make("cubed", (a,)), [a])


# -- planted faults: the oracle must see them --------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "wrong"),
    [
        ("tanh", lambda t, n: [t.sub(t.pow(n, 2), t.constant(1))]),  # sign
        ("tanh", lambda t, n: [t.mul(t.constant(2), t.sub(t.full(1, n.shape), t.pow(n, 2)))]),  # factor
        ("mul", lambda t, n: [n.args[1], None]),  # a path left out
    ],
)
def test_planted_wrong_partials_are_caught(op, wrong, monkeypatch, check):
    formula = sp.tanh(x * y) * y
    check(formula)
    monkeypatch.setitem(OPERATIONS, op, dataclasses.replace(OPERATIONS[op], partials=wrong))
    with pytest.raises(AssertionError, match="reverse mode"):
        check(formula)


def test_a_planted_wrong_transpose_is_caught(monkeypatch, check):
    formula = sp.Trace(u.T * X * v)
    wrong = dataclasses.replace(OPERATIONS["matmul"], vjp=lambda t, n, up: [up, t.matmul(n.args[0], up)])
    monkeypatch.setitem(OPERATIONS, "matmul", wrong)
    with pytest.raises((AssertionError, ValueError)):
        check(formula)


# -- kinks, ties, branches not taken -----------------------------------------------------------------------


def slope(formula, at, name=x, ties="first"):
    graph = as_graph(as_graph(formula), ties=ties)
    _, (gradient,) = value_and_gradients(graph, graph.outputs[0], [name])
    return float(evaluate([gradient], at)[0])


def test_conventions_at_kinks():
    assert slope(nn.relu(x), {x: 0.0}) == 0
    assert slope(nn.relu(x), {x: 0.0}, ties="split") == 0
    assert slope(sp.Abs(x), {x: 0.0}) == 0
    assert slope(nn.leaky_relu(x), {x: 0.0}) == 0.01
    for function in (nn.maximum, nn.minimum):
        assert slope(function(x, y), {x: 2.0, y: 2.0}, x) == 1
        assert slope(function(x, y), {x: 2.0, y: 2.0}, y) == 0
        assert slope(function(y, x), {x: 2.0, y: 2.0}, x) == 0
        assert slope(function(x, y), {x: 2.0, y: 2.0}, x, "split") == 0.5
        assert slope(function(x, y), {x: 2.0, y: 2.0}, y, "split") == 0.5


MASKED = [
    (sp.Piecewise((sp.sqrt(x), x > 0), (0, True)), [-1.0, 0.0], 0),
    (sp.Piecewise((x * sp.log(x), x > 0), (0, True)), [-1.0, 0.0], 0),
    (sp.Piecewise((0, x <= 0), (1 / x, True)), [0.0], 0),
    (y * sp.sqrt(sp.Piecewise((sp.sqrt(x), x > 0), (4, True))), [-1.0, 0.0], 0),
    (sp.Piecewise((sp.Piecewise((sp.log(x), x < 1), (x, True)), x > 0), (3 * x, True)), [-1.0, 0.0], 3),
    # one square root behind two masks: neither is taken
    (
        sp.Piecewise((sp.sqrt(x), x > 0), (0, True)) + sp.Piecewise((y * sp.sqrt(x), x > 1), (0, True)),
        [0.0, -2.0],
        0,
    ),
    (sp.Piecewise((sp.exp(x), x < 700), (0, True)), [1e4], 0),
]


@pytest.mark.parametrize(("formula", "points", "expected"), MASKED, ids=lambda f: str(f)[:50])
def test_branches_not_taken_bring_no_nan(formula, points, expected):
    for point in points:
        assert slope(formula, {x: point, y: 0.5}) == expected


def test_masks_over_matrices():
    t = NodeTable()
    a = t.symbol(u)
    zero = t.constant(0)
    safe = t.select(t.make("less", (zero, a)), t.pow(a, sp.Rational(1, 2)), zero, a.shape)
    found = adjoints(t, t.sum(safe), [a])[a.serial]
    values = evaluate([found], {u: np.array([[-1.0], [0.0], [4.0]])})[0]
    assert values.ravel().tolist() == [0, 0, 0.25]


def test_a_mask_of_entries_does_not_pass_a_matrix_product(check):
    formula = sp.Trace(nn.relu(X * Y.applyfunc(sp.Lambda(z, sp.log(z)))) * Y)
    rng = np.random.default_rng(8)
    check(formula, at={X: rng.normal(size=(3, 3)), Y: rng.uniform(0.2, 3, (3, 3))})


def test_a_mask_over_a_scalar_that_many_entries_take():
    t = NodeTable()
    s, m = t.symbol(x), t.symbol(X)
    zero = t.constant(0)
    node = t.select(t.make("less", (zero, s)), t.mul(t.pow(s, sp.Rational(1, 2)), m), zero, m.shape)
    found = adjoints(t, t.sum(node), [s])[s.serial]
    assert evaluate([found], {x: 0.0, X: np.ones((3, 3))})[0] == 0


# -- size of the work: linear, counted in nodes ------------------------------------------------------------


def chain(length):
    t = NodeTable()
    a, p = t.symbol(x), t.symbol(y)
    node = a
    for step in range(length):
        node = [
            lambda n: t.make("sin", (n,)),
            lambda n: t.mul(n, p),
            lambda n: t.add(n, a),
            lambda n: t.make("relu", (n,)),
            lambda n: t.pow(n, 2),
        ][step % 5](node)
    return t, node, [a, p]


def test_a_long_chain_is_linear():
    made = []
    for length in (2_000, 20_000):
        t, node, wrt = chain(length)
        before = len(t.nodes)
        found = adjoints(t, node, wrt)
        assert all(found[w.serial] is not None for w in wrt)
        made.append(len(t.nodes) - before)
    assert made[1] < 11 * made[0] < 11 * 8 * 2_000


def test_a_chain_of_100_000_nodes():
    t, node, wrt = chain(100_000)
    assert adjoints(t, node, wrt)[wrt[0].serial] is not None


def test_a_product_of_1000_factors_is_linear():
    t = NodeTable()
    factors = [t.symbol(s) for s in sp.symbols("f:1000")]
    before = len(t.nodes)
    found = adjoints(t, t.mul(*factors), factors)
    assert len(t.nodes) - before < 4 * len(factors)
    values = dict(zip(sp.symbols("f:1000"), np.random.default_rng(0).uniform(0.9, 1.1, 1000), strict=True))
    gradients = evaluate([found[f.serial] for f in factors], values)
    product = np.prod(list(values.values()))
    assert np.allclose(gradients, [product / f for f in values.values()], rtol=1e-12)


def test_constants_along_a_chain_stay_short():
    t = NodeTable()
    a = node = t.symbol(x)
    for _ in range(2000):
        node = t.pow(node, 2)
    adjoint = adjoints(t, node, [a])[a.serial]
    numbers = [n.attrs[0] for n in topological([adjoint]) if n.op == "constant"]
    assert max(abs(n) for n in numbers) < 2**60


def test_precision_is_that_of_the_forward_value():
    with mp.workdps(60):
        graph = as_graph(sp.log(1 + sp.exp(x)))
        _, (gradient,) = value_and_gradients(graph, graph.outputs[0], [x])
        found = evaluate([gradient], {x: mp.mpf("0.3")}, exact=True)[0][()]
        assert abs(found - 1 / (1 + mp.exp(-mp.mpf("0.3")))) < mp.mpf("1e-55")
