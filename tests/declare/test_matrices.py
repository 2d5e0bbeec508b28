"""Matrix expressions: the values of what is taken in, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.dotproduct import DotProduct

from symprop.declare import Intake, as_graph, scalar
from symprop.declare.forms import Entrywise
from symprop.errors import ShapeError, UnsupportedExpressionError
from symprop.functions.symbols import named
from symprop.graph import NodeTable, topological
from symprop.graph.evaluate import evaluate

t, s = sp.symbols("t s")
i, j, n, m = (sp.Symbol(name, integer=True) for name in "ijnm")
x, y = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("y", 3, 1)
A, B = sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("B", 3, 3)
W, V = sp.MatrixSymbol("W", 2, 3), sp.MatrixSymbol("V", 2, 3)
r = sp.MatrixSymbol("r", 1, 3)
one = sp.MatrixSymbol("one", 1, 1)
q, p = sp.symbols("q p")

rng = np.random.default_rng(11)
AT = {a: rng.uniform(0.5, 2, a.shape) for a in (x, y, A, B, W, V, r, one)}
AT |= {t: 0.7, s: -1.3, i: 2, j: 0}
n_x, n_y, n_a, n_b, n_w, n_v, n_r, n_one, n_t, n_s = (AT[a] for a in (x, y, A, B, W, V, r, one, t, s))


def value(expression, at=AT):
    graph = as_graph(expression)
    return np.asarray(evaluate([graph.nodes[graph.outputs[0]]], at)[0], float)


def tanh(a):
    return a.applyfunc(sp.tanh)


CASES = {
    "product": (A * x + y, n_a @ n_x + n_y),
    "scaled": (2 * t * A * x / s - y, 2 * n_t * n_a @ n_x / n_s - n_y),
    "chain": (W * A * B * x, n_w @ n_a @ n_b @ n_x),
    "identity": (A * sp.Identity(3) * x + sp.Identity(3) * x, n_a @ n_x + n_x),
    "add identity": (A + sp.Identity(3), n_a + np.eye(3)),
    "power 3": (A**3, n_a @ n_a @ n_a),
    "power 5": (A**5, np.linalg.matrix_power(n_a, 5)),
    "power 0": (sp.MatPow(A, 0), np.eye(3)),
    "transpose": ((A + B).T * x, (n_a + n_b).T @ n_x),
    "transposed product": (sp.Transpose(W * A), (n_w @ n_a).T),
    "trace": (sp.Trace(A * B) + 1, np.trace(n_a @ n_b) + 1),
    "trace of one entry": (sp.Trace(x.T * A * y) ** 2, (n_x.T @ n_a @ n_y)[0, 0] ** 2),
    "quadratic": (x.T * A * x, (n_x.T @ n_a @ n_x)[0, 0]),
    "scalar": (scalar(x.T * A * x) * y + x, (n_x.T @ n_a @ n_x)[0, 0] * n_y + n_x),
    "root of one entry": (sp.sqrt(x.T * x), np.sqrt(n_x.T @ n_x)[0, 0]),
    "inverse of one entry": (sp.Inverse(x.T * x), 1 / (n_x.T @ n_x)[0, 0]),
    "determinant of one entry": (sp.Determinant(x.T * x), (n_x.T @ n_x)[0, 0]),
    "dot": (DotProduct(x, y), (n_x.T @ n_y)[0, 0]),
    "dot of rows": (DotProduct(r, r), (n_r @ n_r.T)[0, 0]),
    "hadamard": (sp.HadamardProduct(A, B, A), n_a * n_b * n_a),
    "hadamard power": (sp.HadamardPower(A, -2), n_a**-2.0),
    "hadamard root": (sp.HadamardPower(A, sp.Rational(1, 2)), np.sqrt(n_a)),
    "power of matrices": (sp.HadamardPower(A, B), n_a**n_b),
    "scalar to matrix": (sp.HadamardPower(2, A), 2.0**n_a),
    "applyfunc": (tanh(W * x), np.tanh(n_w @ n_x)),
    "applyfunc of a formula": (
        A.applyfunc(lambda a: a**2 / (1 + sp.exp(-t * a))),
        n_a**2 / (1 + np.exp(-n_t * n_a)),
    ),
    "applyfunc of a constant": (A.applyfunc(sp.Lambda(q, 3)), np.full((3, 3), 3.0)),
    "applyfunc of applyfunc": (tanh(A.applyfunc(sp.exp)), np.tanh(np.exp(n_a))),
    "applyfunc with a trace": (A.applyfunc(sp.Lambda(q, q * sp.Trace(A))), n_a * np.trace(n_a)),
    "applyfunc of choices": (
        (A - B).applyfunc(sp.Lambda(q, sp.Piecewise((q, q > 0), (-2 * q, True)))),
        np.where(n_a > n_b, n_a - n_b, -2 * (n_a - n_b)),
    ),
    "applyfunc of a maximum": ((A - B).applyfunc(sp.Lambda(q, sp.Max(q, 0))), np.maximum(n_a - n_b, 0)),
    "entrywise": (Entrywise(sp.Lambda((q, p), sp.atan2(q, p)), A, B), np.arctan2(n_a, n_b)),
    "diag": (DiagMatrix(x) * y, np.diag(n_x[:, 0]) @ n_y),
    "diag of a row": (DiagMatrix(r), np.diag(n_r[0])),
    "diagonal": (DiagonalOf(A * B), np.diag(n_a @ n_b)[:, None]),
    "diagonal of a wide matrix": (DiagonalOf(W), np.diag(n_w)[:, None]),
    "diagonal matrix": (DiagonalMatrix(A), np.diag(np.diag(n_a))),
    "wide diagonal matrix": (DiagonalMatrix(W), n_w * np.eye(2, 3)),
    "ones": (sp.OneMatrix(1, 3) * x, n_x.sum()),
    "zeros": (A + sp.ZeroMatrix(3, 3), n_a),
    "minus ones": (sp.OneMatrix(3, 1) - sp.HadamardPower(x, 2), 1 - n_x**2),
    "explicit": (sp.Matrix([[t, s], [0, t * s]]), np.array([[n_t, n_s], [0, n_t * n_s]])),
    "explicit zeros": (sp.zeros(2, 3), np.zeros((2, 3))),
    "explicit times symbol": (sp.Matrix([[1, t, 2]]) * x, (np.array([[1, n_t, 2]]) @ n_x)[0, 0]),
    "sparse": (sp.SparseMatrix(2, 2, {(1, 0): t}), np.array([[0, 0], [n_t, 0]])),
    "entry": (A[1, 2] * t, n_a[1, 2] * n_t),
    "entry of a product": ((A * B)[1, 2], (n_a @ n_b)[1, 2]),
    "entry at an index": (x[i, 0] * t, n_x[2, 0] * n_t),
    "entry at two indices": (A[i, j], n_a[2, 0]),
    "entry of a row": (A[1, i], n_a[1, 2]),
    "entry of a column": (A[i, 1], n_a[2, 1]),
    "entry at a shifted index": (A[i - 1, j + 1], n_a[1, 1]),
    "slice": (A[0:2, 1:3] * sp.Matrix([[1], [2]]), n_a[0:2, 1:3] @ np.array([[1], [2]])),
    "slice of a sum": ((A + B)[1:, :], (n_a + n_b)[1:]),
    "slice with a step": (A[::2, 1:], n_a[::2, 1:]),
    "blocks": (sp.BlockMatrix([[A, x], [r, sp.Identity(1)]]), np.block([[n_a, n_x], [n_r, np.ones((1, 1))]])),
    "block diagonal": (
        sp.BlockDiagMatrix(A, one),
        np.block([[n_a, np.zeros((3, 1))], [np.zeros((1, 3)), n_one]]),
    ),
    "one entry in a product": (x * one, n_x * n_one),
}


@pytest.mark.parametrize("name", CASES)
def test_value(name):
    expression, expected = CASES[name]
    found = value(expression)
    assert found.shape == np.shape(expected) or np.size(expected) == 1
    np.testing.assert_allclose(found.reshape(np.shape(expected)), expected, rtol=1e-13, atol=1e-14)


# -- shape of what is made ------------------------------------------------------------


def matmul_shapes(expression):
    graph = as_graph(expression)
    nodes = topological([graph.nodes[graph.outputs[0]]])
    return [(a.args[0].shape, a.args[1].shape) for a in nodes if a.op == "matmul"]


def test_products_are_ordered_by_cost():
    assert matmul_shapes(A * B * x) == [((3, 3), (3, 1)), ((3, 3), (3, 1))]
    assert matmul_shapes(r * A * B) == [((1, 3), (3, 3)), ((1, 3), (3, 3))]
    tall, wide = sp.MatrixSymbol("T", 50, 2), sp.MatrixSymbol("U", 2, 50)
    assert matmul_shapes(tall * wide * tall) == [((2, 50), (50, 2)), ((50, 2), (2, 2))]


def test_a_tie_goes_from_left_to_right():
    assert matmul_shapes(A * B * A)[0] == ((3, 3), (3, 3))
    graph = as_graph(A * B * A)
    assert graph.nodes[graph.outputs[0]].args[0].op == "matmul"


def test_a_long_product_is_linear():
    factors = [sp.MatrixSymbol(f"A{k}", 2, 2) for k in range(300)]
    assert len(matmul_shapes(sp.MatMul(*factors))) == 299


def test_symbolic_dimensions():
    X, w = sp.MatrixSymbol("X", n, 3), sp.MatrixSymbol("w", 3, 1)
    graph = as_graph(sp.Trace((X * w).T * X * w) / n)
    assert graph.inputs == (X, w) or set(graph.inputs) == {X, w}
    assert graph.dimensions == (n,)
    products = matmul_shapes((X.T * X) * w)
    assert products == [((n, 3), (3, 1)), ((3, n), (n, 1))]


def test_entries_of_explicit_matrices_are_the_scalars():
    table = NodeTable()
    node = Intake(table).node(sp.Matrix([[t, s]])[0, 1] + sp.MatrixSymbol("E", 2, 2)[0, 0])
    assert {a.op for a in node.args} == {"symbol", "index"}


def test_scalar_keeps_a_product_whole():
    assert [a.op for a in topological([as_graph(scalar(x.T * A * x)).nodes[sp.Symbol("out")]])].count(
        "matmul"
    ) == 2
    assert str(scalar(x.T * y) * x) == "scalar(x.T*y)*x"
    assert scalar(t) is t
    with pytest.raises(ShapeError, match=r"scalar\(A\).*\(3, 3\)"):
        scalar(A)


# -- refusals ------------------------------------------------------------

REFUSED = [
    (sp.Permanent(A), "Permanent"),
    (A**t, "exponent"),
    (sp.exp(A), "exp"),
    (x[sp.Symbol("u"), 0], "u"),
    (A.adjoint(), "Adjoint"),
    (sp.FunctionMatrix(n, 2, sp.Lambda((i, j), i + j)), "FunctionMatrix"),
    (sp.MatrixSymbol("Y", n, 2)[::2, :], "step"),
]


@pytest.mark.parametrize(("expression", "word"), REFUSED, ids=lambda v: str(v)[:30])
def test_refused_by_name(expression, word):
    with pytest.raises(UnsupportedExpressionError, match=rf"(?<!\w){word}(?!\w)"):
        as_graph(expression)


def test_wrong_shapes_name_the_expression():
    bad = sp.Basic.__new__(sp.MatAdd, A, W)
    with pytest.raises(ShapeError, match=r"(?s)\(3, 3\).*\(2, 3\).*A \+ W"):
        as_graph(bad)
    with pytest.raises(ShapeError, match=r"MatMul\(W, W\)"):
        as_graph(sp.Basic.__new__(sp.MatMul, W, W))


def test_what_takes_whole_matrices_is_not_applied_entry_by_entry():
    for body in (named("softmax", [q]), sp.Trace(q * A), named("sum", [q], ((), False))):
        with pytest.raises(UnsupportedExpressionError, match="entry by entry"):
            as_graph(B.applyfunc(sp.Lambda(q, body)))


def test_entrywise_checks_its_operands():
    with pytest.raises(ShapeError, match="one shape"):
        Entrywise(sp.Lambda((q, p), q * p), A, W)
    with pytest.raises(UnsupportedExpressionError, match="2 arguments"):
        Entrywise(sp.Lambda(q, q), A, B)
