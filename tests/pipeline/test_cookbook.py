"""Identities of the Matrix Cookbook and of their kind: the gradient stays matrix calculus, and is right."""

import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement

import symprop
from symprop import nn

n, m = 3, 4
A, B, C, X, Y = (sp.MatrixSymbol(name, n, n) for name in "ABCXY")
R, S = sp.MatrixSymbol("R", n, m), sp.MatrixSymbol("S", m, n)
a, b, x, s_, mu = (sp.MatrixSymbol(name, n, 1) for name in ("a", "b", "x", "s", "mu"))
c = sp.MatrixSymbol("c", m, 1)
t = sp.Symbol("t")
eye_ = sp.Identity(n)
tr, det, inv = sp.Trace, sp.Determinant, sp.Inverse
npi, npd, ntr = np.linalg.inv, np.linalg.det, np.trace


def Q(*factors):
    """A product that is one number."""
    return symprop.scalar(sp.MatMul(*factors))


# name, formula, variable, the formula in NumPy
CASES = [
    ("det(A X B)", det(A * X * B), X, lambda v: npd(v["A"] @ v["X"] @ v["B"])),
    ("det(X^3)", det(X**3), X, lambda v: npd(np.linalg.matrix_power(v["X"], 3))),
    ("log det(X'X)", sp.log(det(X.T * X)), X, lambda v: np.log(npd(v["X"].T @ v["X"]))),
    ("det(R S)", det(R * S), R, lambda v: npd(v["R"] @ v["S"])),
    (
        "log det(A A' + R R')",
        sp.log(det(A * A.T + R * R.T)),
        R,
        lambda v: np.log(npd(v["A"] @ v["A"].T + v["R"] @ v["R"].T)),
    ),
    ("a' X^-1 b", Q(a.T, inv(X), b), X, lambda v: (v["a"].T @ npi(v["X"]) @ v["b"]).item()),
    ("det(X^-1)", det(inv(X)), X, lambda v: npd(npi(v["X"]))),
    ("tr(A X^-1 B)", tr(A * inv(X) * B), X, lambda v: ntr(v["A"] @ npi(v["X"]) @ v["B"])),
    ("tr((X+A)^-1)", tr(inv(X + A)), X, lambda v: ntr(npi(v["X"] + v["A"]))),
    ("tr(X^2)", tr(X**2), X, lambda v: ntr(v["X"] @ v["X"])),
    ("tr(X^4)", tr(X**4), X, lambda v: ntr(np.linalg.matrix_power(v["X"], 4))),
    ("tr(X'B X)", tr(X.T * B * X), X, lambda v: ntr(v["X"].T @ v["B"] @ v["X"])),
    ("tr(X B X')", tr(X * B * X.T), X, lambda v: ntr(v["X"] @ v["B"] @ v["X"].T)),
    ("tr(A X B X)", tr(A * X * B * X), X, lambda v: ntr(v["A"] @ v["X"] @ v["B"] @ v["X"])),
    (
        "tr(A X B X' C)",
        tr(A * X * B * X.T * C),
        X,
        lambda v: ntr(v["A"] @ v["X"] @ v["B"] @ v["X"].T @ v["C"]),
    ),
    (
        "tr((AXB+C)(AXB+C)')",
        tr((A * X * B + C) * (A * X * B + C).T),
        X,
        lambda v: ntr((v["A"] @ v["X"] @ v["B"] + v["C"]) @ (v["A"] @ v["X"] @ v["B"] + v["C"]).T),
    ),
    ("tr(X kron Y)", tr(sp.KroneckerProduct(X, Y)), X, lambda v: ntr(np.kron(v["X"], v["Y"]))),
    ("tr(A X^3)", tr(A * X**3), X, lambda v: ntr(v["A"] @ np.linalg.matrix_power(v["X"], 3))),
    (
        "b'X'XX'Xb",
        Q(b.T, X.T, X, X.T, X, b),
        X,
        lambda v: (v["b"].T @ v["X"].T @ v["X"] @ v["X"].T @ v["X"] @ v["b"]).item(),
    ),
    ("tr((X'CX)^-1 A)", tr(inv(X.T * C * X) * A), X, lambda v: ntr(npi(v["X"].T @ v["C"] @ v["X"]) @ v["A"])),
    (
        "tr((X'CX)^-1 (X'BX))",
        tr(inv(X.T * C * X) * (X.T * B * X)),
        X,
        lambda v: ntr(npi(v["X"].T @ v["C"] @ v["X"]) @ (v["X"].T @ v["B"] @ v["X"])),
    ),
    ("|X|_F^2", tr(X * X.T), X, lambda v: np.sum(v["X"] ** 2)),
    ("norm(x-a)", sp.sqrt(Q((x - a).T, (x - a))), x, lambda v: np.linalg.norm(v["x"] - v["a"])),
    (
        "|x-a|^2/(x'x)",
        Q((x - a).T, (x - a)) / Q(x.T, x),
        x,
        lambda v: np.sum((v["x"] - v["a"]) ** 2) / np.sum(v["x"] ** 2),
    ),
    (
        "(x-As)'B(x-As) wrt s",
        Q((x - A * s_).T, B, (x - A * s_)),
        s_,
        lambda v: ((v["x"] - v["A"] @ v["s"]).T @ v["B"] @ (v["x"] - v["A"] @ v["s"])).item(),
    ),
    (
        "(x-As)'B(x-As) wrt A",
        Q((x - A * s_).T, B, (x - A * s_)),
        A,
        lambda v: ((v["x"] - v["A"] @ v["s"]).T @ v["B"] @ (v["x"] - v["A"] @ v["s"])).item(),
    ),
    (
        "(Xb+a)'D(Xb+a)",
        Q((X * b + a).T, C, (X * b + a)),
        X,
        lambda v: ((v["X"] @ v["b"] + v["a"]).T @ v["C"] @ (v["X"] @ v["b"] + v["a"])).item(),
    ),
    (
        "gauss logpdf wrt mu",
        -Q((x - mu).T, inv(C * C.T), (x - mu)) / 2 - sp.log(det(C * C.T)) / 2,
        mu,
        lambda v: (
            (-(v["x"] - v["mu"]).T @ npi(v["C"] @ v["C"].T) @ (v["x"] - v["mu"]) / 2).item()
            - np.log(npd(v["C"] @ v["C"].T)) / 2
        ),
    ),
    (
        "gauss logpdf wrt C",
        -Q((x - mu).T, inv(C * C.T), (x - mu)) / 2 - sp.log(det(C * C.T)) / 2,
        C,
        lambda v: (
            (-(v["x"] - v["mu"]).T @ npi(v["C"] @ v["C"].T) @ (v["x"] - v["mu"]) / 2).item()
            - np.log(npd(v["C"] @ v["C"].T)) / 2
        ),
    ),
    (
        "rayleigh",
        Q(x.T, A, x) / Q(x.T, x),
        x,
        lambda v: (v["x"].T @ v["A"] @ v["x"] / (v["x"].T @ v["x"])).item(),
    ),
    (
        "cosine",
        Q(x.T, a) / sp.sqrt(Q(x.T, x) * Q(a.T, a)),
        x,
        lambda v: (v["x"].T @ v["a"]).item() / np.sqrt(np.sum(v["x"] ** 2) * np.sum(v["a"] ** 2)),
    ),
    (
        "exp(-x'Ax/2)",
        sp.exp(-Q(x.T, A, x) / 2),
        x,
        lambda v: np.exp(-(v["x"].T @ v["A"] @ v["x"]).item() / 2),
    ),
    (
        "exp(-|Rc-x|^2) wrt R",
        sp.exp(-Q((R * c - x).T, (R * c - x))),
        R,
        lambda v: np.exp(-np.sum((v["R"] @ v["c"] - v["x"]) ** 2)),
    ),
    (
        "tr(A diag(x) B)",
        tr(A * sp.DiagMatrix(x) * B),
        x,
        lambda v: ntr(v["A"] @ np.diag(v["x"][:, 0]) @ v["B"]),
    ),
    (
        "x'(X∘Y)a",
        Q(x.T, sp.HadamardProduct(X, Y), a),
        X,
        lambda v: (v["x"].T @ (v["X"] * v["Y"]) @ v["a"]).item(),
    ),
    ("tr(A (X∘X))", tr(A * sp.HadamardProduct(X, X)), X, lambda v: ntr(v["A"] @ (v["X"] * v["X"]))),
    (
        "1' X∘3 1",
        Q(sp.OneMatrix(1, n), sp.HadamardPower(X, 3), sp.OneMatrix(n, 1)),
        X,
        lambda v: np.sum(v["X"] ** 3),
    ),
    ("a'sin(X)b", Q(a.T, X.applyfunc(sp.sin), b), X, lambda v: (v["a"].T @ np.sin(v["X"]) @ v["b"]).item()),
    ("tr(sin(AX))", tr((A * X).applyfunc(sp.sin)), X, lambda v: ntr(np.sin(v["A"] @ v["X"]))),
    ("lse(Ax)", nn.logsumexp(A * x), x, lambda v: np.log(np.sum(np.exp(v["A"] @ v["x"])))),
    (
        "log(1'exp(Ax))",
        sp.log(Q(sp.OneMatrix(1, n), (A * x).applyfunc(sp.exp))),
        x,
        lambda v: np.log(np.sum(np.exp(v["A"] @ v["x"]))),
    ),
    (
        "log(1'exp(Ax)) wrt A",
        sp.log(Q(sp.OneMatrix(1, n), (A * x).applyfunc(sp.exp))),
        A,
        lambda v: np.log(np.sum(np.exp(v["A"] @ v["x"]))),
    ),
    (
        "a'softmax(Xb)",
        Q(a.T, nn.softmax(X * b)),
        X,
        lambda v: (v["a"].T @ (np.exp(v["X"] @ v["b"]) / np.sum(np.exp(v["X"] @ v["b"])))).item(),
    ),
    (
        "a'(eye_+tX)^-1 b wrt t",
        Q(a.T, inv(eye_ + t * X), b),
        t,
        lambda v: (v["a"].T @ npi(np.eye(3) + v["t"] * v["X"]) @ v["b"]).item(),
    ),
    (
        "log det(eye_+tX) wrt t",
        sp.log(det(eye_ + t * X)),
        t,
        lambda v: np.log(npd(np.eye(3) + v["t"] * v["X"])),
    ),
    (
        "log det(eye_+tX) wrt X",
        sp.log(det(eye_ + t * X)),
        X,
        lambda v: np.log(npd(np.eye(3) + v["t"] * v["X"])),
    ),
    ("tr(exp. of trace)", sp.exp(tr(A * X)) * tr(X), X, lambda v: np.exp(ntr(v["A"] @ v["X"])) * ntr(v["X"])),
    ("tr(X)^3/det(X)", tr(X) ** 3 / det(X), X, lambda v: ntr(v["X"]) ** 3 / npd(v["X"])),
    ("det(X)^(1/n)", det(X * X.T) ** sp.Rational(1, n), X, lambda v: npd(v["X"] @ v["X"].T) ** (1 / 3)),
    (
        "ridge",
        Q((A * x - b).T, (A * x - b)) + t * Q(x.T, x),
        x,
        lambda v: np.sum((v["A"] @ v["x"] - v["b"]) ** 2) + v["t"] * np.sum(v["x"] ** 2),
    ),
    ("huber-like sqrt(1+x'x)", sp.sqrt(1 + Q(x.T, x)), x, lambda v: np.sqrt(1 + np.sum(v["x"] ** 2))),
    ("tr(X^-2)", tr(X**-2), X, lambda v: ntr(npi(v["X"] @ v["X"]))),
    ("tr(A X^-3)", tr(A * X**-3), X, lambda v: ntr(v["A"] @ npi(np.linalg.matrix_power(v["X"], 3)))),
    (
        "a'(X'X)^-1 a",
        Q(a.T, inv(X.T * X), a),
        X,
        lambda v: (v["a"].T @ npi(v["X"].T @ v["X"]) @ v["a"]).item(),
    ),
    (
        "X'(XX')^-1 X trace (proj)",
        tr(R.T * inv(R * R.T) * R * sp.MatMul(S, S.T)),
        R,
        lambda v: ntr(v["R"].T @ npi(v["R"] @ v["R"].T) @ v["R"] @ v["S"] @ v["S"].T),
    ),
    (
        "woodbury log det",
        sp.log(det(eye_ + R * R.T)),
        R,
        lambda v: np.log(npd(np.eye(3) + v["R"] @ v["R"].T)),
    ),
    (
        "x'diag(x)A x",
        Q(x.T, sp.DiagMatrix(x), A, x),
        x,
        lambda v: (v["x"].T @ np.diag(v["x"][:, 0]) @ v["A"] @ v["x"]).item(),
    ),
    (
        "block",
        Q(sp.BlockMatrix([[x], [a]]).T, sp.BlockMatrix([[A, B], [C, X]]), sp.BlockMatrix([[b], [x]])),
        x,
        lambda v: (
            np.vstack([v["x"], v["a"]]).T
            @ np.block([[v["A"], v["B"]], [v["C"], v["X"]]])
            @ np.vstack([v["b"], v["x"]])
        ).item(),
    ),
    ("tr X[:2,:2]^-1", tr(inv(X[:2, :2])), X, lambda v: ntr(npi(v["X"][:2, :2]))),
    (
        "det of a block",
        det(X[:2, :2]) * Q(x.T, X, x),
        X,
        lambda v: npd(v["X"][:2, :2]) * (v["x"].T @ v["X"] @ v["x"]).item(),
    ),
    (
        "mahalanobis wrt A",
        sp.sqrt(Q((x - a).T, A.T, A, (x - a))),
        A,
        lambda v: np.linalg.norm(v["A"] @ (v["x"] - v["a"])),
    ),
    (
        "kron quad",
        tr(A.T * X * B * X.T) + tr(sp.KroneckerProduct(X, X)),
        X,
        lambda v: ntr(v["A"].T @ v["X"] @ v["B"] @ v["X"].T) + ntr(v["X"]) ** 2,
    ),
    (
        "gaussian kernel mix",
        sp.log(sp.exp(-Q((x - a).T, (x - a))) + sp.exp(-Q((x - b).T, (x - b)))),
        x,
        lambda v: np.log(np.exp(-np.sum((v["x"] - v["a"]) ** 2)) + np.exp(-np.sum((v["x"] - v["b"]) ** 2))),
    ),
]


PRINTED = {
    "log det(X'X)": "2*X*(X.T*X)**-1",
    "tr(X kron Y)": "trace(Y)*I",
    "a' X^-1 b": "-(X**-1).T*a*b.T*(X**-1).T",
    "tr((AXB+C)(AXB+C)')": "2*A.T*(A*X*B + C)*B.T",
    "a'(X'X)^-1 a": "-2*X*(X.T*X)**-1*a*a.T*(X.T*X)**-1",
    "mahalanobis wrt A": "A*(x - a)*(x - a).T/sqrt((x - a).T*A.T*A*(x - a))",
    "gauss logpdf wrt mu": "(C*C.T)**-1*(x - mu)",
    "woodbury log det": "2*(R*R.T + I)**-1*R",
}


@pytest.fixture(scope="module")
def gradients():
    return [symprop.grad(formula, variable) for _, formula, variable, _ in CASES]


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(1)
    v = {q.name: rng.normal(size=(n, n)) * 0.4 + np.eye(n) * 1.7 for q in (A, B, C, X, Y)}
    v |= {"R": rng.normal(size=(n, m)), "S": rng.normal(size=(m, n)), "c": rng.normal(size=(m, 1)), "t": 0.3}
    v |= {q.name: rng.normal(size=(n, 1)) for q in (a, b, x, s_, mu)}
    return v


def slopes(function, values, name):
    """Central differences of three steps, extrapolated."""
    base = np.asarray(values[name], float)
    result = np.zeros(base.shape)
    for at in np.ndindex(base.shape):

        def quotient(h, at=at):
            moved = [base.copy(), base.copy()]
            moved[0][at] += h
            moved[1][at] -= h
            high, low = (function(values | {name: p}) for p in moved)
            return (high - low) / (2 * h)

        d = [quotient(2e-3 / 2**k) for k in range(3)]
        first, second = (4 * d[1] - d[0]) / 3, (4 * d[2] - d[1]) / 3
        result[at] = (16 * second - first) / 15
    return result


def test_gradients_are_matrix_calculus(gradients):
    for (name, *_), gradient in zip(CASES, gradients, strict=True):
        assert not gradient.has(sp.Derivative, sp.Subs, sp.Sum, MatrixElement), name


def test_gradients_are_right(gradients, values):
    symbols = sorted(set().union(*[formula.free_symbols for _, formula, _, _ in CASES]), key=str)
    f = symprop.compile(gradients, args=symbols, wrt=[])
    found = f(*[values[str(q)] for q in symbols])
    for (name, _, variable, function), gradient in zip(CASES, found, strict=True):
        right = slopes(function, values, str(variable))
        scale = max(1e-3, np.max(np.abs(right)))
        difference = np.max(np.abs(np.reshape(gradient, right.shape) - right))
        assert difference <= 1e-7 * scale, name


@pytest.mark.parametrize("name", PRINTED)
def test_gradients_read_as_in_the_book(name, gradients):
    gradient = gradients[[case[0] for case in CASES].index(name)]
    symbol = sp.MatrixSymbol("G", *gradient.shape)
    assert str(symprop.Graph([(symbol, gradient)])) == f"G = {PRINTED[name]}"
