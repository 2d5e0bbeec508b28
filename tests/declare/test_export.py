"""Nodes to sympy and back: the forms that come out, and that nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.matexpr import MatrixElement

from symprop.declare import Export, Intake, as_graph, scalar
from symprop.functions.symbols import named
from symprop.graph import NodeTable, topological
from symprop.graph.evaluate import evaluate

a, b, c = sp.symbols("a b c")
k = sp.Symbol("k", integer=True)
x, h, v = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("h", 4, 1), sp.MatrixSymbol("v", 4, 1)
A, B, W = sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("B", 3, 3), sp.MatrixSymbol("W", 4, 3)
ones, power, hadamard = sp.OneMatrix, sp.HadamardPower, sp.HadamardProduct


def there_and_back(expression):
    graph = as_graph(expression)
    return Export().expression(graph.nodes[graph.outputs[0]])


SAME = [
    a + b,
    2 * a - b / 3,
    a * b**-2 / c,
    sp.sqrt(a) + a ** sp.Rational(-2, 3) + 2**b,
    sp.exp(-(a**2) / 2) * sp.sin(a + b) / sp.atan2(a, b),
    sp.sqrt(2) * sp.pi * a + sp.E,
    0.1 * a,
    sp.Abs(a) * sp.sign(b) + sp.floor(a) - sp.ceiling(c),
    sp.erf(a) + sp.erfc(b) + sp.acosh(c),
    sp.Max(a, b) * sp.Min(a, c),
    sp.Piecewise((a, a > 0), (b, (a < -1) | (b >= 2)), (c, True)),
    sp.Piecewise((a, sp.Ne(a, 0))),
    A[1, 2] * a + x[k, 0],
    A[k, 1 + k],
    A[k, 2],
    sp.Trace(A * B) * a,
    scalar(x.T * A * x) + 1,
    W * x + v,
    2 * a * W * x,
    -A,
    ones(4, 1) - power(h, 2),
    hadamard(h, v),
    power(h, v),
    hadamard(h, ones(4, 1) - power(v, 2)),
    W.T * h,
    sp.Transpose(W * A),
    A + sp.Identity(3),
    DiagMatrix(x) * x,
    DiagonalOf(A),
    A[0:2, 1:3],
    sp.ImmutableDenseMatrix([[a, 0], [b, a * b]]),
    ones(1, 4) * h,
    sp.Trace(A) * A,
    named("tanh", [W * x + v]),
    named("sigmoid", [a]),
    h * x.T,
    a * ones(4, 1),
    sp.ZeroMatrix(2, 2),
    x / sp.sqrt(scalar(x.T * x)),
]


@pytest.mark.parametrize("expression", SAME, ids=lambda e: str(e)[:50])
def test_the_same_comes_out(expression):
    out = Export().expression(as_graph([expression]).nodes[as_graph([expression]).outputs[0]])
    if getattr(expression, "shape", None) == (1, 1) or isinstance(out, type(scalar(x.T * x))):
        out = out.args[0]
    assert out == expression


def test_scalar_coefficients_stand_in_front():
    t = NodeTable()
    node = t.mul(t.symbol(h), t.pow(t.symbol(a), -1), t.constant(3), t.symbol(v))
    assert Export().expression(node) == (3 / a) * hadamard(h, v)


def test_products_of_products_have_one_number_and_no_parentheses():
    table = NodeTable()
    leaves = [table.symbol(sp.Symbol(f"p{i}")) for i in range(48)]
    large = [
        table.make("tanh", (table.add(*leaves, f, table.constant(i)),)) for i, f in enumerate(leaves[:14])
    ]
    first, second = (
        table.mul(table.constant(6), *large[:2]),
        table.mul(table.constant(sp.Rational(1, 3)), large[2]),
    )
    product = Export().expression(table.make("mul", (first, second)))
    assert product.args[0] == 2 and len(product.args) == 4
    assert not any(f.is_Mul for f in product.args)
    twice = Export().expression(table.make("mul", (first, large[0])))
    assert twice.args[0] == 6 and [f.is_Pow for f in twice.args[1:]] == [True, False]
    # a long one is not copied into every product that it is a factor of
    long = Export().expression(table.make("mul", (table.mul(*large[:12]), large[12])))
    assert len(long.args) == 2


def test_one_minus_square():
    t = NodeTable()
    H = t.symbol(h)
    node = t.sub(t.full(1, H.shape), t.pow(H, 2))
    assert Export().expression(node) == ones(4, 1) - power(h, 2)


def test_names_stand_for_nodes():
    t = NodeTable()
    inner = t.add(t.symbol(a), t.symbol(b))
    node = t.mul(inner, t.call("exp", inner))
    s = sp.Symbol("s")
    export = Export({inner.serial: s})
    assert export.expression(node) == s * sp.exp(s)
    assert export.expression(inner) == s
    assert export.definition(inner) == a + b


def test_sum_of_all_entries_is_a_scalar():
    t = NodeTable()
    out = Export().expression(t.sum(t.symbol(A)))
    assert not out.is_Matrix and not out.has(sp.Sum, MatrixElement)  # 1*A*1, as on paper
    entries = np.arange(1.0, 1 + int(A.rows * A.cols)).reshape(A.shape)
    assert evaluate([Intake(t).node(out)], {A: entries})[0] == entries.sum()


def test_max_keeps_its_order():
    t = NodeTable()
    first, second = t.symbol(b), t.symbol(a)
    node = t.call("maximum", first, second, attrs=("first",))
    out = Export().expression(node)
    assert not isinstance(out, sp.Max)  # sympy would sort the arguments
    assert Intake(t).node(out) is node
    other = t.call("maximum", second, first, attrs=("first",))
    assert Export().expression(other) == sp.Max(a, b)


def test_choices_between_matrices():
    t = NodeTable()
    H, V = t.symbol(h), t.symbol(v)
    zero = t.constant(0)
    rng = np.random.default_rng(3)
    at = {h: rng.normal(size=(4, 1)), v: rng.normal(size=(4, 1)), a: 0.3}
    nodes = [
        t.select(t.call("less", zero, H), H, zero),
        t.select(t.call("less", H, V), t.mul(H, V), t.symbol(a)),
        t.select(
            t.call("and", t.call("less", zero, H), t.call("not", t.call("less", V, H))), H, t.call("exp", V)
        ),
        t.select(t.call("less", t.symbol(a), zero), H, V),
        t.select(t.call("less", zero, H), t.select(t.call("less", zero, V), H, V), zero),
        t.select(t.call("less", zero, H), t.constant(1), zero),
        t.mul(V, t.select(t.call("equal", H, t.full(0, (4, 1))), t.full(1, (4, 1)), zero)),
    ]
    for node in nodes:
        out = Export().expression(node)
        assert out.is_Matrix and out.shape == (4, 1)
        again = Intake(t).node(out)
        assert again is node or np.array_equal(*(evaluate([n], at)[0] for n in (again, node)))


def test_deep_expressions():
    t = NodeTable()
    node = t.symbol(a)
    for n in range(10_000):
        node = t.call("sin", node) if n % 2 else t.add(t.mul(node, t.symbol(b)), t.symbol(c))
    out = Export().expression(node)
    assert isinstance(out, sp.sin)
    assert Intake(t).node(out) is node


def test_rectangular_identity_and_broadcasts():
    t = NodeTable()
    rng = np.random.default_rng(3)
    at = {h: rng.normal(size=(4, 1)), x: rng.normal(size=(3, 1)), a: 0.3}
    for node in (
        t.make("eye", (), (2, 4)),
        t.broadcast(t.symbol(h), (4, 3)),
        t.broadcast(t.transpose(t.symbol(h)), (2, 4)),
        t.broadcast(t.symbol(a), (2, 4)),
        t.reshape(t.symbol(a), (1, 1)),
        t.make("pad", (t.symbol(h),), ((6, 2), (1, 1))),
        t.reshape(t.symbol(h), (2, 2)),
        t.sum(t.symbol(h), (0,), True),
    ):
        out = Export().expression(node)
        assert tuple(out.shape) == node.shape
        np.testing.assert_array_equal(evaluate([Intake(t).node(out)], at)[0], evaluate([node], at)[0])


# -- random nodes ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_random_nodes_there_and_back(seed, random_nodes):
    table = NodeTable()
    nodes = random_nodes(table, seed)
    numbers = np.random.default_rng(seed)
    at = {s: numbers.uniform(-1, 1, s.shape) for s in (h, v, A, B, W)}
    at |= {s: float(numbers.uniform(-1, 1)) for s in (a, b, c)}
    for node in nodes:
        out = Export().expression(node)
        again = Intake(table).node(out)
        assert again.shape == node.shape
        found, expected = (np.asarray(r, float) for r in evaluate([again, node], at))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
        assert len(topological([again])) <= 1.25 * len(topological([node])) + 6  # a sum is 1*A*1


def test_entries_and_diagonals():
    t = NodeTable()
    assert Export().expression(t.index(t.symbol(A), (1, 2))) == A[1, 2]
    product = t.matmul(t.symbol(A), t.symbol(B))
    assert Export().expression(t.index(product, (1, 2))) == MatrixElement(A * B, 1, 2)
