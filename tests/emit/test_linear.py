"""Factorisations, solves, determinants, cofactors and Kronecker products as native code, against NumPy and
mpmath, at sizes around the blocks of the code."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symprop.errors import ArgumentError
from symprop.functions import elimination
from symprop.graph import NodeTable
from symprop.rewrite import optimise
from symprop.run import build
from symprop.schedule.interpret import interpret

SIZES = [2, 3, 5, 8, 17, 31, 32, 33, 50, 64, 97]
DTYPES = [("float64", 1e-12), ("float32", 2e-4)]


def symbol(name, *shape):
    return sp.MatrixSymbol(name, *shape)


def run(make, arrays, dtype="float64", batched=(), samples=1):
    """The value of `make(table, *nodes)` by native code, and by the loop IR."""
    names = {name: symbol(name, *np.shape(a)[-2:]) for name, a in arrays.items()}
    table = NodeTable()
    root = make(table, *[table.symbol(s) for s in names.values()])
    sampled = [names[n] for n in batched]
    (lowered,), _ = optimise(table, [root], batched=frozenset(sampled))
    made = build([lowered], list(names.values()), batched=sampled, dtype=dtype)
    given = [np.ascontiguousarray(a, dtype) for a in arrays.values()]
    buffer, view = made.allocate(0, samples)
    made.run([a.ctypes.data for a in given], [buffer.ctypes.data], samples)
    (meant,) = interpret(made.schedule, given, samples)
    return np.array(view), meant, made


def close(found, expected, tolerance):
    scale = np.abs(expected).max()
    return np.abs(found - expected).max() <= tolerance * scale


def matrix(n, seed=0, rows=None):
    return np.random.default_rng(seed + n).normal(size=(rows or n, n)) + (3 * np.eye(n) if not rows else 0)


def inverse(t, a):
    return t.make("inverse", (a,))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("columns", [1, 2, 7, 40])
@pytest.mark.parametrize("turned", [False, True])
def test_solves(n, columns, turned):
    a, b = matrix(n), np.random.default_rng(1).normal(size=(n, columns))

    def make(t, a, b):
        return t.matmul(t.transpose(inverse(t, a)) if turned else inverse(t, a), b)

    expected = np.linalg.solve(a.T if turned else a, b)
    for dtype, tolerance in DTYPES:
        found, meant, made = run(make, {"A": a, "B": b}, dtype)
        assert close(found, expected, tolerance)
        assert close(meant, expected, 2e-4)  # the loop IR runs on the rounded arguments
    assert "lu_solve" in str(made.schedule) and "matmul" not in str(made.schedule)


@pytest.mark.parametrize("n", SIZES)
def test_inverse_and_determinants(n):
    a = matrix(n)
    assert close(run(inverse, {"A": a})[0], np.linalg.inv(a), 1e-12)
    for name in ("determinant", "log_determinant"):
        found = run(lambda t, x, name=name: t.make(name, (x,)), {"A": a * np.sign(np.linalg.det(a))})[0]
        a_positive = a * np.sign(np.linalg.det(a))
        expected = np.linalg.det(a_positive) if name == "determinant" else np.linalg.slogdet(a_positive)[1]
        if np.linalg.det(a_positive) > 0:
            assert np.isclose(found, expected, rtol=1e-11)


def test_a_long_matrix_has_a_logarithm_though_its_determinant_is_infinite():
    a = 1e6 * matrix(64)
    a[0] *= np.linalg.slogdet(a)[0]
    found = run(lambda t, x: t.make("log_determinant", (x,)), {"A": a})[0]
    assert np.isclose(found, np.linalg.slogdet(a)[1], rtol=1e-13)
    written = run(lambda t, x: t.make("log", (t.make("determinant", (x,)),)), {"A": a})[0]
    assert written == found  # a determinant with a name of its own: rewritten


def test_the_logarithm_of_a_negative_determinant_is_nan_and_of_zero_infinite():
    a = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert np.isnan(run(lambda t, x: t.make("log_determinant", (x,)), {"A": a})[0])
    assert run(lambda t, x: t.make("log_determinant", (x,), ("abs",)), {"A": a})[0] == 0
    assert run(lambda t, x: t.make("log_determinant", (x,)), {"A": np.ones((2, 2))})[0] == -np.inf


def cofactors(a):
    """By minors, with exact numbers."""
    n = len(a)
    minor = [[np.delete(np.delete(a, i, 0), j, 1) for j in range(n)] for i in range(n)]
    return np.array(
        [
            [float((-1) ** (i + j) * mp.det(mp.matrix(minor[i][j].tolist()))) for j in range(n)]
            for i in range(n)
        ]
    )


@pytest.mark.parametrize("n", [2, 3, 4, 6])
@pytest.mark.parametrize("rank", ["full", "one less", "two less"])
def test_cofactors_of_singular_matrices(n, rank):
    a = matrix(n, 3).round(3)
    for k in range({"full": 0, "one less": 1, "two less": 2}[rank]):
        a[n - 1 - k] = 2 * a[0] if n > 2 or k == 0 else 0
    expected = cofactors(a)
    found, meant, _ = run(lambda t, x: t.make("cofactor", (x,)), {"A": a})
    scale = max(np.abs(expected).max(), np.abs(a).max() ** (n - 1))
    assert np.abs(found - expected).max() <= 1e-13 * scale
    assert np.abs(meant - expected).max() <= 1e-13 * scale


@pytest.mark.parametrize("n", [2, 3, 5, 40])
@pytest.mark.parametrize("singular", [False, True])
def test_cofactor_slope(n, singular):
    a, w = matrix(n), np.random.default_rng(9).normal(size=(n, n))
    if singular:
        a[n - 1] = a[0]
    a /= 4
    found, meant, _ = run(lambda t, x, y: t.make("cofactor_slope", (x, y)), {"A": a, "W": w})
    with mp.workdps(60):
        exact = [np.frompyfunc(lambda v: mp.mpf(float(v)), 1, 1)(v).astype(object) for v in (a, w)]
        step = mp.mpf(10) ** -25
        up, down = (elimination.cofactor((), exact[0] + s * step * exact[1]) for s in (1, -1))
        expected = ((up - down) / (2 * step)).astype(float)
    assert close(found, expected, 1e-11) and close(meant, expected, 1e-11)


@pytest.mark.parametrize("directions", [1, 2, 3])
@pytest.mark.parametrize(("n", "rank"), [(2, 1), (3, 0), (3, 1), (3, 2), (4, 1), (4, 2), (4, 3), (4, 4)])
def test_cofactor_slopes_of_every_order(n, rank, directions):
    """Against the coefficient of s*t*... in the exact cofactors of A + s*V + t*W + ..., of whole numbers."""
    rng = np.random.default_rng(4 + n)
    a = rng.integers(-3, 4, (n, rank)) @ rng.integers(-3, 4, (rank, n))
    along = [rng.integers(-3, 4, (n, n)) for _ in range(directions)]
    names = sp.symbols(f"t:{directions}")
    moved = sp.Matrix(a) + sum((t * sp.Matrix(w) for t, w in zip(names, along, strict=True)), sp.zeros(n, n))
    exact = [sp.Poly(e, *names).coeff_monomial(sp.prod(names)) for e in moved.cofactor_matrix()]
    expected = np.array(exact, float).reshape(n, n)
    arrays = {f"M{k}": np.array(v, float) for k, v in enumerate([a, *along])}
    found, meant, _ = run(lambda t, *xs: t.make("cofactor_slope", xs), arrays)
    assert np.abs(found - expected).max() <= 1e-11 * max(1, np.abs(expected).max())
    assert np.abs(meant - expected).max() <= 1e-11 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("shapes", [((2, 3), (4, 2)), ((3, 1), (1, 5)), ((7, 2), (9, 11))])
def test_kronecker(shapes):
    rng = np.random.default_rng(2)
    a, b = (rng.normal(size=s) for s in shapes)
    found, meant, _ = run(lambda t, x, y: t.make("kronecker", (x, y)), {"A": a, "B": b})
    assert np.array_equal(found, np.kron(a, b)) and np.array_equal(meant, np.kron(a, b))


@pytest.mark.parametrize("samples", [0, 1, 5])
@pytest.mark.parametrize("shared", [False, True])
def test_a_batch_of_solves(samples, shared):
    rng = np.random.default_rng(4)
    a = matrix(6) if shared else rng.normal(size=(samples, 6, 6))
    b = rng.normal(size=(samples, 6, 1))
    batched = ["B"] if shared else ["A", "B"]
    found, meant, _ = run(
        lambda t, x, y: t.matmul(inverse(t, x), y), {"A": a, "B": b}, batched=batched, samples=samples
    )
    assert found.shape == (samples, 6, 1)
    assert np.allclose(found, np.linalg.solve(a, b), rtol=1e-11)
    assert np.allclose(meant, found, rtol=1e-11)


def test_a_singular_matrix_is_an_error_by_itself_and_nan_in_a_batch():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    with pytest.raises(ArgumentError, match=r"the matrix A of shape \(2, 2\) is singular"):
        run(inverse, {"A": a})
    with pytest.raises(np.linalg.LinAlgError):
        run(inverse, {"A": a})
    found = run(inverse, {"A": np.stack([np.eye(2), a, 2 * np.eye(2)])}, batched=["A"], samples=3)[0]
    assert np.array_equal(found[[0, 2]], [np.eye(2), np.eye(2) / 2]) and np.isnan(found[1]).all()


def test_zero_pivots_on_the_way_are_exchanged():
    a = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert close(run(inverse, {"A": a})[0], np.linalg.inv(a), 1e-15)
    assert run(lambda t, x: t.make("determinant", (x,)), {"A": a})[0] == 3


def test_a_nan_is_no_error():
    found = run(inverse, {"A": np.array([[np.nan, 1.0], [1.0, 2.0]])})[0]
    assert np.isnan(found).any()


def test_one_factorisation_serves_every_use():
    names = [symbol("A", 5, 5), symbol("b", 5, 1), symbol("c", 5, 1)]
    table = NodeTable()
    a, b, c = map(table.symbol, names)
    of_transpose = inverse(table, table.transpose(a))
    roots = [
        table.matmul(inverse(table, a), b),
        table.matmul(of_transpose, c),
        table.make("determinant", (a,)),
        table.make("log_determinant", (table.transpose(a),)),
        table.matmul(table.transpose(b), inverse(table, a)),
        inverse(table, a),
    ]
    lowered, report = optimise(table, roots)
    made = build(lowered, names)
    assert str(made.schedule).count("= lu(") == 1
    assert report.fired["product with an inverse"] == 3
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s.shape) for s in names]
    out = [made.allocate(k, 1) for k in range(len(roots))]
    made.run([x.ctypes.data for x in arrays], [o[0].ctypes.data for o in out], 1)
    inv = np.linalg.inv(arrays[0])
    expected = [inv @ arrays[1], inv.T @ arrays[2], np.linalg.det(arrays[0])]
    for (_, found), want in zip(out, expected, strict=False):
        assert np.allclose(found, want, rtol=1e-12)
    assert np.allclose(out[4][1], arrays[1].T @ inv) and np.allclose(out[5][1], inv)
