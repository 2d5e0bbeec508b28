"""Identities of matrix calculus through the whole pipeline: the derivative in matrix form, and its compiled
value and that of the compiled gradient against the derivative by hand, to 1e-12.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions.diagonal import DiagonalOf
from sympy.matrices.expressions.matexpr import MatrixElement

import symprop
from symprop.declare import as_graph
from symprop.differentiate import value_and_gradients
from symprop.graph.evaluate import evaluate


def identities():
    """The collection beside this file; it fills its own namespace, so it is loaded by its path."""
    path = Path(__file__).with_name("matrix_identities.py")
    spec = importlib.util.spec_from_file_location("matrix_identities", path)
    module = importlib.util.module_from_spec(spec)
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = keep
    return module.IDENTITIES


IDENTITIES = identities()
CALLS = {"grad": symprop.grad, "scalar": symprop.grad, "jac": symprop.jacobian, "hess": symprop.hessian}
FORBIDDEN = (MatrixElement, sp.MatrixBase, sp.Sum, sp.Derivative, sp.Subs, sp.Heaviside, sp.DiracDelta)


def symbols(*expressions):
    found, todo = {}, list(expressions)
    while todo:
        part = todo.pop()
        if isinstance(part, sp.MatrixSymbol) or (part.is_Symbol and not isinstance(part, sp.Dummy)):
            found[part] = None
        elif isinstance(part, sp.Lambda):
            continue  # its variables are no inputs; the functions of the identities hold no others
        else:
            todo.extend(part.args)
    return sorted(found, key=str)


def values(names, condition, seed):
    rng = np.random.default_rng(seed)
    at = {}
    for s in names:
        matrix = isinstance(s, sp.MatrixSymbol)
        entry = rng.normal(size=tuple(map(int, s.shape))) if matrix else rng.uniform(1, 2)
        if condition == "pos":
            entry = np.abs(entry) + 0.1
        square = matrix and s.shape[0] == s.shape[1]
        if square and condition.startswith("spd"):
            entry = entry @ entry.T + np.eye(len(entry))
        elif square:
            entry = entry + 2 * np.eye(len(entry))
        at[s] = entry
    return at


def written_as_on_paper(expression):
    """No entries, sums over entries, or derivatives left standing."""
    for part in sp.preorder_traversal(expression):
        assert not isinstance(part, FORBIDDEN), part
        name = getattr(part, "operation", "")
        assert name not in ("sum", "pad", "place", "index", "broadcast", "reshape"), part


def agree(found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float).reshape(np.shape(found))
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


def test_every_identity_is_there():
    assert len(IDENTITIES) == 62


@pytest.mark.parametrize("identity", IDENTITIES, ids=[d["id"] for d in IDENTITIES])
def test_identity(identity):
    expression, wrt, kind = identity["expr"], identity["wrt"], identity["kind"]
    found = CALLS[kind](expression, wrt)
    written_as_on_paper(found)
    names = symbols(expression, identity["deriv"], wrt)
    at = values(names, identity["cond"], 5)
    graph = as_graph(identity["deriv"])
    (by_hand,) = evaluate([graph.nodes[graph.outputs[0]]], at)
    agree(symprop.compile(found, args=names, wrt=[])(*at.values()), by_hand)
    if kind in ("grad", "scalar"):
        f = symprop.compile(expression, args=names, wrt=wrt)
        agree(f.grad(*at.values()), by_hand)


# -- others of their kind ----------------------------------------------------------------------------------

n, m = 3, 2
a, b, x, y = (sp.MatrixSymbol(name, n, 1) for name in "abxy")
A, B, C, X = (sp.MatrixSymbol(name, n, n) for name in "ABCX")
M, N = sp.MatrixSymbol("M", n, m), sp.MatrixSymbol("N", m, n)
s, r = sp.symbols("s r")
tr, det, inv, I = sp.Trace, sp.Determinant, sp.Inverse, sp.Identity(n)  # noqa: E741
log_det = [sp.log(det(e)) for e in (A * A.T, M.T * M + sp.Identity(m), A * A.T + x * x.T)]
block = sp.BlockMatrix([[A, x], [y.T, sp.Matrix([[s]])]])
nested = sp.BlockMatrix([[block, sp.ZeroMatrix(n + 1, m)], [sp.ZeroMatrix(m, n + 1), N * M]])
GRADIENTS = {
    "determinant of a congruence": det(M.T * A * M),
    "determinant of a power": det(X**3),
    "logarithm of a magnitude": sp.log(sp.Abs(det(X + A))),
    "log determinants": sum(log_det, sp.S.Zero),
    "power of a determinant": det(X) ** 3 + 1 / det(A) ** 2 + sp.sqrt(det(A * A.T)),
    "root of a determinant": sp.exp(-sp.log(det(X * X.T)) / 2),
    "inverse of a product": tr(A * inv(X * B) * C),
    "inverse of a transpose": tr(inv(X.T) * A) + tr(inv(X).T * B),
    "inverse twice": tr(X**-2 * A) + tr(a.T * X**-3 * b),
    "ratio of forms": tr(inv(M.T * A * M) * (M.T * B * M)),
    "inverse between inverses": tr(inv(inv(A) + inv(X)) * B),
    "positive powers": tr(A * X**4),
    "hadamard": tr(sp.HadamardProduct(X, A) * sp.HadamardProduct(X, X).T) + det(sp.HadamardProduct(X, B)),
    "hadamard power": tr(sp.HadamardPower(X, 3) * A) + tr(sp.HadamardPower(A, s)),
    "diagonal matrix": det(A + sp.DiagMatrix(x)) + tr(inv(sp.DiagMatrix(x)) * B),
    "diagonal of an inverse": tr(a.T * DiagonalOf(inv(X))),
    "kronecker": tr(sp.KroneckerProduct(X, A) * sp.KroneckerProduct(B, X)),
    "kronecker of three": tr(sp.KroneckerProduct(N, x.T, M) * sp.KroneckerProduct(M, a, N)),
    "determinant of a kronecker product": sp.log(det(sp.KroneckerProduct(A * A.T + I, N * N.T))),
    "dot product": sp.DotProduct(x, A * y) * sp.DotProduct(x, x),
    "norms": sp.sqrt(tr(X.T * X)) + sp.sqrt(tr((x - y).T * inv(A * A.T + I) * (x - y))),
    "scalars within": tr(inv(A + s * B) * (r * C + s**2 * I)) * sp.exp(s),
    "block": tr(block**2) + det(block) + tr(inv(block)),
    "nested blocks": tr(nested * nested) * s + sp.log(sp.Abs(det(nested))),
    "slices of blocks": tr(block[:2, 1:3] * inv(A)[1:, :2]) + det(block[1:3, 1:3]),
    "entry of an inverse": inv(X)[0, 1] * inv(X)[1, 0],
    "gaussian": -sp.log(det(A * A.T)) / 2 - tr((x - y).T * inv(A * A.T) * (x - y)) / 2,
    "commutator": tr((A * X - X * A).T * (A * X - X * A)),
    "explicit": det(sp.Matrix([[s, 2, r], [r, s * r, 1], [0, s, s]]) + X),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_against_differences(name):
    """Compiled gradients, and the gradient as an expression, against central differences at 50 digits."""
    expression = GRADIENTS[name]
    names = symbols(expression)
    condition = {"power of a determinant": "spd", "hadamard power": "pos"}.get(name, "any")
    at = values(names, condition, 7)
    f = symprop.compile(expression, args=names)
    found = f.grad(*at.values())
    graph = as_graph(expression)
    value, nodes = value_and_gradients(graph, graph.outputs[0], names)
    assert np.isfinite(f(*at.values()))
    with mp.workdps(50):
        base = {q: exactly(v) for q, v in at.items()}
        for symbol, gradient, node in zip(names, found, nodes, strict=True):
            direction = exactly(np.random.default_rng(3).normal(size=np.shape(at[symbol])))
            step = mp.mpf(10) ** -12
            sides = [
                evaluate([value], {**base, symbol: base[symbol] + sign * step * direction}, exact=True)[0][()]
                for sign in (1, -1)
            ]
            expected = (sides[0] - sides[1]) / (2 * step)
            scale = float(np.abs(np.asarray(gradient)).max() * np.sum(np.abs(direction)))
            slope = float(np.sum(exactly(gradient).reshape(direction.shape) * direction))
            assert abs(slope - float(expected)) <= 1e-12 * scale
            again = evaluate([node], at)[0]
            assert np.abs(again - np.reshape(gradient, again.shape)).max() <= 1e-11 * np.abs(again).max()


def exactly(value):
    return np.array(np.frompyfunc(lambda v: mp.mpf(float(v)), 1, 1)(np.asarray(value, float)), object)


P = A + x * x.T
COLUMNS = {
    "inverse times variable": inv(P) * x,
    "inverse times constant": inv(P) * a,
    "powers": P * P * a + P**-2 * b,
    "multiple of the identity": inv(A + tr(x.T * B * x) * I) * x,
    "diagonal within": A * sp.DiagMatrix(x) * B * sp.DiagMatrix(x) * a,
    "row times matrix": (x.T * P * B).T,
    "scaled matrix": sp.exp(tr(x.T * A * x) / 9) * P * a,
    "unit vector": x / sp.sqrt(tr(x.T * x)),
    "diagonal of an inverse": DiagonalOf(inv(P)),
    "diagonal of a product": DiagonalOf(tr(x.T * x) * A * P * B),
    "kronecker": sp.KroneckerProduct(x, A * x),
    "sums of lines": P * sp.OneMatrix(n, 1) + (sp.OneMatrix(1, n) * P).T,
    "cofactors": det(P) * inv(P).T * a,
}
SCALARS = {
    "log determinant": sp.log(det(P)),
    "determinant": det(P),
    "reciprocal determinant": 1 / det(P),
    "trace of an inverse": tr(inv(P) * B),
    "trace of a power": tr(P**3) + tr(P**-2),
    "log determinant with a diagonal": sp.log(det(A + sp.DiagMatrix(x))),
    "quadratic form of an inverse": tr(x.T * inv(A + x * a.T) * x),
    "square of a trace": tr(P * P.T * B) ** 2,
    "rank one fit": tr((x * x.T - A).T * (x * x.T - A)),
    "norm": sp.sqrt(tr((A * x - a).T * (A * x - a))),
}


@pytest.mark.parametrize("name", [*COLUMNS, *SCALARS])
def test_jacobians_and_hessians(name):
    """In matrix form, and against directional derivatives of what is differentiated."""
    expression = COLUMNS.get(name, SCALARS.get(name))
    names = [x, *[q for q in symbols(expression) if q != x]]
    at = values(names, "spd", 11)
    if name in COLUMNS:
        matrix, below = symprop.jacobian(expression, x), expression
    else:
        matrix, below = symprop.hessian(expression, x), symprop.grad(expression, x)
    written_as_on_paper(matrix)
    found = symprop.compile(matrix, args=names, wrt=[])(*at.values())
    direction = sp.MatrixSymbol("v", n, 1)
    v = np.random.default_rng(1).normal(size=(n, 1))
    along = symprop.jvp(below, x, direction)
    graph = as_graph(along)
    (expected,) = evaluate([graph.nodes[graph.outputs[0]]], {**at, direction: v})
    agree(np.asarray(found) @ v, expected)


def test_gradients_where_the_determinant_is_zero():
    singular = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])
    f = symprop.compile(det(X), wrt=X)
    value, gradient = f.value_and_grad(singular)
    assert value == 0
    expected = np.array(sp.Matrix(singular.astype(int)).cofactor_matrix().tolist(), float)
    assert np.allclose(gradient, expected, rtol=0, atol=1e-14)
    flat = symprop.compile(det(X), wrt=X).grad(np.zeros((n, n)))
    assert np.array_equal(flat, np.zeros((n, n)))


def test_the_gradient_of_a_determinant_is_the_cofactor_matrix_in_print():
    assert str(symprop.grad(det(X), X)) == "cofactor(X)"
    assert symprop.grad(sp.log(det(X)), X) == sp.Transpose(inv(X))
    assert symprop.grad(det(X), X).doit() == det(X) * inv(X).T
    assert str(symprop.hessian(sp.log(det(A + sp.DiagMatrix(x))), x)).count("HadamardProduct") == 1


def test_second_derivatives_where_the_determinant_is_zero():
    v = sp.MatrixSymbol("v", n, n)
    curved = symprop.compile(symprop.hvp(det(X), X, v), args=[X, v], wrt=[])
    singular = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])
    direction = np.arange(9.0).reshape(3, 3) - 3
    t = sp.Symbol("t")
    entries = sp.Matrix(singular.astype(int)) + t * sp.Matrix(direction.astype(int))
    cofactors = entries.cofactor_matrix()
    expected = np.array([[float(sp.Poly(e, t).coeff_monomial(t)) for e in row] for row in cofactors.tolist()])
    assert np.allclose(curved(singular, direction), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("matrix", ["one less", "two less"])
def test_third_and_fourth_derivatives_where_the_determinant_is_zero(matrix):
    """Directional derivatives against the exact polynomial det(A + r*V + s*W + ...)."""
    singular = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])
    if matrix == "two less":
        singular[2] = singular[0]
    v, w = sp.MatrixSymbol("v", n, n), sp.MatrixSymbol("w", n, n)
    along = np.arange(9.0).reshape(3, 3) - 3, np.array([[1.0, 0, 2], [-1, 3, 1], [0, 2, -2]])
    target = symprop.jvp(symprop.jvp(det(X) ** 2, [X], [v]), [X], [w])
    f = symprop.compile(symprop.jvp(target, [X], [v]), args=[X, v, w], wrt=[X])
    value, gradient = f.value_and_grad(singular, *along)
    across = np.array([[2.0, -1, 0], [1, 1, -3], [0, 1, 1]])
    parts = [sp.Matrix(m.astype(int)) for m in (singular, *along, along[0], across)]
    names = sp.symbols("q:4")
    moved = parts[0] + sum((q * m for q, m in zip(names, parts[1:], strict=True)), sp.zeros(n, n))
    square = sp.Poly(moved.det() ** 2, *names)
    third, fourth = (float(square.coeff_monomial(sp.prod(names[:k]))) for k in (3, 4))
    assert value == pytest.approx(third, rel=1e-12)
    assert np.vdot(gradient, across) == pytest.approx(fourth, rel=1e-12)


def test_hessians_by_a_column_where_the_determinant_is_zero():
    """Against exact second derivatives; where the determinant is linear in the column, zero is written."""
    singular = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 1.0, 1.0]])
    left, right = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 2.0])
    z = sp.Matrix(sp.symbols("z0:3"))
    whole, u, v = (sp.Matrix(q.astype(int)) for q in (singular, left, right))
    for matrix, written in (
        (A + x * a.T + b * x.T, whole + z * u.T + v * z.T),
        (A + x * x.T, whole + z * z.T),
    ):
        names = [A, a, b, x]
        found = symprop.compile(symprop.hessian(det(matrix), x), args=names, wrt=[])
        expected = sp.hessian(written.det(), z).subs(dict.fromkeys(z, 0))
        value = found(singular, left, right, np.zeros(n))
        assert np.allclose(value, np.array(expected.tolist(), float), rtol=0, atol=1e-13)
        written_as_on_paper(symprop.hessian(det(matrix), x))
    assert symprop.hessian(det(A + x * a.T), x) == sp.ZeroMatrix(n, n)


def test_one_by_one_results_are_scalars():
    value = inv(x.T * A * x)  # 1 x 1
    f = symprop.compile(tr(value) + det(x.T * x), args=[x, A])
    at = values([x, A], "spd", 2)
    form = (at[x].T @ at[A] @ at[x]).item()
    square = (at[x].T @ at[x]).item()
    assert np.isclose(f(*at.values()), 1 / form + square, rtol=1e-14)
    assert isinstance(f(*at.values()), float)


def test_a_singular_matrix_alone_and_in_a_batch():
    quadratic = tr(a.T * inv(X) * a)
    single = symprop.compile(quadratic, args=[X, a])
    stack = np.stack([np.eye(n), np.ones((n, n)), 2 * np.eye(n)])
    at = np.arange(1.0, n + 1)
    for call in (single, single.grad, single.value_and_grad):
        with pytest.raises(symprop.ArgumentError, match="singular"):
            call(stack[1], at)
    step = single.bind(stack[1].copy(), at)
    with pytest.raises(symprop.ArgumentError, match="the matrix X of shape"):
        step()
    batched = symprop.compile(quadratic, args=[X, a], batch=[X], wrt=X)
    value, gradient = batched.value_and_grad(stack, at)
    assert np.allclose(value[[0, 2]], [14, 7]) and not np.isfinite(value[1])
    assert not np.isfinite(gradient[1]).any() and np.isfinite(gradient[[0, 2]]).all()


def test_the_program_factorises_once():
    f = symprop.compile(tr((x - y).T * inv(A) * (x - y)) / 2 + sp.log(det(A)) / 2, args=[x, y, A])
    text = str(f.schedule)
    assert text.count("= lu(") == 1


def test_float32():
    f = symprop.compile(sp.log(det(A * A.T + I)) + tr(inv(A * A.T + I)), args=[A], dtype="float32", wrt=A)
    wide = symprop.compile(sp.log(det(A * A.T + I)) + tr(inv(A * A.T + I)), args=[A], wrt=A)
    at = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
    found, expected = f.value_and_grad(at), wide.value_and_grad(at)
    assert found[1].dtype == np.float32
    assert np.isclose(found[0], expected[0], rtol=1e-5) and np.allclose(found[1], expected[1], rtol=1e-4)


def test_verify():
    f = symprop.compile(sp.log(det(A)) + tr(a.T * inv(A) * a) + det(X), args=[A, a, X])
    at = values([A, a, X], "spd", 4)
    report = f.verify(*at.values())
    report.raise_if_failed()
    assert report.passed


def test_symbolic_sizes():
    k = sp.Symbol("k", integer=True, positive=True)
    S, u = sp.MatrixSymbol("S", k, k), sp.MatrixSymbol("u", k, 1)
    f = symprop.compile(tr(u.T * inv(S) * u) + sp.log(det(S)), args=[S, u], wrt=u)
    for size in (2, 5):
        matrix = np.eye(size) * 2 + 0.1
        column = np.arange(1.0, size + 1)
        value, gradient = f.value_and_grad(matrix, column)
        solution = np.linalg.solve(matrix, column)
        assert np.isclose(value, column @ solution + np.linalg.slogdet(matrix)[1], rtol=1e-13)
        assert np.allclose(gradient, 2 * solution, rtol=1e-13)
