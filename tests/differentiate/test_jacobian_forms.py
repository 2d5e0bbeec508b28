"""Jacobians through named functions, blocks, choices and functions of matrices of x: matrix form, and right.

The reference is the imaginary part of a complex step through NumPy, exact to rounding.
"""

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose

import symprop
from symprop import nn
from symprop.declare.printing import text

n = 4
x, y, a, b = (sp.MatrixSymbol(name, n, 1) for name in "xyab")
A, B = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, n)
W = sp.MatrixSymbol("W", 2, n)
q = sp.Symbol("q")
ONES = sp.OneMatrix(n, 1)


def each(body, matrix):
    return matrix.applyfunc(sp.Lambda(q, body))


def soft(v):
    e = np.exp(v)
    return e / e.sum()


DIFFERENCES = x * ONES.T - ONES * x.T
# name, formula, the formula in NumPy, the Jacobian as it is printed
CASES = [
    ("softmax", nn.softmax(x), lambda v: soft(v["x"]), "diag(softmax(x)) - softmax(x)*softmax(x).T"),
    (
        "log_softmax",
        nn.log_softmax(x),
        lambda v: np.log(soft(v["x"])),
        "I - ones(4, 1)*softmax(x).T",
    ),
    ("logsumexp", nn.logsumexp(A * x), lambda v: np.log(np.sum(np.exp(v["A"] @ v["x"]))), "softmax(A*x).T*A"),
    ("glu", nn.glu(x), lambda v: v["x"][:2] / (1 + np.exp(-v["x"][2:])), None),
    ("softmax of softmax", nn.softmax(W * nn.softmax(x)), lambda v: soft(v["W"] @ soft(v["x"])), None),
    ("rows", (A * x)[1:3, :], lambda v: (v["A"] @ v["x"])[1:3], "A[1:3, :]"),
    (
        "blocks",
        sp.BlockMatrix([[A * x], [each(sp.sin(q), x)]]),
        lambda v: np.concatenate([v["A"] @ v["x"], np.sin(v["x"])]),
        "BlockMatrix([[A], [diag(cos(x))]])",
    ),
    (
        "choice",
        each(sp.Piecewise((q**2, q > 1), (sp.sin(q), True)), x),
        lambda v: np.where(v["x"].real > 1, v["x"] ** 2, np.sin(v["x"])),
        "diag(where(x > 1, 2*x, cos(x)))",
    ),
    (
        "outer",
        each(sp.sin(q), x * y.T) * a,
        lambda v: np.sin(np.outer(v["x"], v["y"])) @ v["a"],
        "diag(cos(x*y.T)*(y∘a))",
    ),
    (
        "outer with itself",
        each(sp.sin(q), x * x.T) * a,
        lambda v: np.sin(np.outer(v["x"], v["x"])) @ v["a"],
        "diag(x)*cos(x*x.T)*diag(a) + diag(cos(x*x.T)*(x∘a))",
    ),
    (
        "outer, turned",
        each(sp.exp(q), y * x.T).T * a,
        lambda v: np.exp(np.outer(v["y"], v["x"])).T @ v["a"],
        "diag(exp(x*y.T)*(y∘a))",
    ),
    (
        "a kernel",
        each(sp.exp(-(q**2)), DIFFERENCES) * a,
        lambda v: np.exp(-((v["x"][:, None] - v["x"]) ** 2)) @ v["a"],
        None,
    ),
    (
        "weighted outer",
        sp.HadamardProduct(x * x.T, A) * b,
        lambda v: (np.outer(v["x"], v["x"]) * v["A"]) @ v["b"],
        "diag(x)*A*diag(b) + diag(A*(x∘b))",
    ),
    (
        "a diagonal inside",
        each(sp.exp(q), sp.DiagMatrix(x)) * a,
        lambda v: np.exp(np.diag(v["x"])) @ v["a"],
        None,
    ),
    (
        "a scalar inside",
        each(sp.sin(q), sp.Trace(x.T * a) * A) * b,
        lambda v: np.sin(np.sum(v["x"] * v["a"]) * v["A"]) @ v["b"],
        None,
    ),
    (
        "the scalar stays outside",
        sp.exp(sp.Trace(a.T * x)) * x,
        lambda v: np.exp(np.sum(v["x"] * v["a"])) * v["x"],
        "exp(a.T*x)*(x*a.T + I)",
    ),
    (
        "like terms",
        A * x / sp.sqrt(sp.Trace(x.T * A.T * A * x)),
        lambda v: v["A"] @ v["x"] / np.sqrt(np.sum((v["A"] @ v["x"]) ** 2)),
        "A/sqrt(x.T*A.T*A*x) - A*x*x.T*A.T*A/(x.T*A.T*A*x)**(3/2)",
    ),
]


@pytest.fixture(scope="module")
def found():
    return [symprop.jacobian(formula, x) for _, formula, *_ in CASES]


def test_the_jacobians_are_right(found):
    rng = np.random.default_rng(3)
    symbols = [x, y, a, b, A, B, W]
    at = {s.name: rng.uniform(0.3, 1.7, size=tuple(map(int, s.shape))) for s in symbols}
    at = {k: v[:, 0] if v.shape[1] == 1 else v for k, v in at.items()}
    compiled = symprop.compile(found, args=symbols, wrt=[])(*at.values())
    for (name, _, function, _), value in zip(CASES, compiled, strict=True):
        steps = at["x"] + 1e-25j * np.eye(n)
        expected = np.stack([function({**at, "x": step}).imag for step in steps], axis=-1) / 1e-25
        assert_allclose(np.reshape(value, expected.shape), expected, rtol=1e-13, atol=1e-14, err_msg=name)


def test_the_jacobians_read_as_in_a_book(found):
    for (name, *_, printed), jacobian in zip(CASES, found, strict=True):
        assert printed is None or text(jacobian) == printed, name
        assert not jacobian.has(sp.Derivative, sp.Subs, sp.Sum)
        assert "place" not in sp.srepr(jacobian) and "Matrix([[1]" not in text(jacobian), name


def test_a_branch_not_taken_stays_out_of_a_jacobian():
    """sqrt is NaN for the entries that the choice sends elsewhere."""
    target = each(sp.Piecewise((sp.sqrt(q), q > 0), (q, True)), x)
    value = symprop.compile(symprop.jacobian(A * target, x), args=[A, x], wrt=[])
    at = np.array([4.0, -1.0, 0.0, 0.25])
    assert_allclose(value(np.eye(n), at), np.diag([0.25, 1, 1, 1]), rtol=1e-15)
    taken = each(sp.Piecewise((q, q > 0), (0, True)), each(sp.sqrt(q), x))  # NaN > 0 is false
    value = symprop.compile(symprop.jacobian(taken, x), args=[x], wrt=[])
    assert_allclose(value(at), np.diag([0.25, 0, 0, 1]), rtol=1e-15)


def test_hessians_of_classifiers_in_matrix_form():
    k = sp.Symbol("k", integer=True)
    expected = "A.T*(diag(softmax(A*x))*A - softmax(A*x)*softmax(A*x).T*A)"
    assert text(symprop.hessian(nn.cross_entropy(A * x, k), x)) == expected
    assert text(symprop.hessian(nn.logsumexp(A * x), x)) == expected


def test_lists_with_columns_of_symbolic_size():
    m, d = sp.symbols("m d", integer=True, positive=True)
    data, w, square = sp.MatrixSymbol("X", m, d), sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("S", d, d)
    assert text(symprop.jacobian([data * w, square * w], w)) == "BlockMatrix([[X], [S]])"
    mixed = symprop.jacobian([data * w * q, q**2], [w, q])
    assert text(mixed) == "BlockMatrix([[q*X, X*w], [0, 2*q]])"
    assert mixed.shape == (m + 1, d + 1)
    curvature = symprop.hessian(symprop.scalar(w.T * square * w) * q**2, [w, q])
    value = symprop.compile(curvature, args=[square, w, q], wrt=[])
    rng = np.random.default_rng(8)
    for size in (1, 3):
        s, v = rng.normal(size=(size, size)), rng.normal(size=size)
        both = s + s.T
        right = np.block(
            [
                [9 * both, 6 * (both @ v)[:, None]],
                [6 * (both @ v)[None, :], 2 * np.reshape(v @ s @ v, (1, 1))],
            ]
        )
        assert_allclose(value(s, v, 3.0), right, rtol=1e-13)


def test_entries_of_a_column_have_a_matrix_of_entries():
    found = symprop.jacobian(sp.Matrix([sp.sin(q) * x[0, 0], x[1, 0] * x[2, 0], q**2]), x)
    assert found == sp.Matrix([[sp.sin(q), 0, 0, 0], [0, x[2, 0], x[1, 0], 0], [0, 0, 0, 0]])
    turned = symprop.jacobian(sp.Matrix([x[0, 0] * q, q]), [q, x])
    assert turned == sp.Matrix([[x[0, 0], q, 0, 0, 0], [1, 0, 0, 0, 0]])
