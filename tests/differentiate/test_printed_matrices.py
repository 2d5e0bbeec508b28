"""How derivatives of matrix expressions are written: powers, Kronecker products, slopes by a scalar."""

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose

import symprop
from symprop import nn
from symprop.declare.printing import latex, text

n = 3
A, B, C, D, X = (sp.MatrixSymbol(name, n, n) for name in "ABCDX")
R = sp.MatrixSymbol("R", n, 2)
a, b, x, y = (sp.MatrixSymbol(name, n, 1) for name in "abxy")
t = sp.Symbol("t")
tr, det, inv, kron = sp.Trace, sp.Determinant, sp.Inverse, sp.KroneckerProduct
one, eye = sp.OneMatrix(1, n), sp.Identity(n)


def number(*factors):
    return symprop.scalar(sp.MatMul(*factors))


def each(body, matrix):
    q = sp.Symbol("q")
    return matrix.applyfunc(sp.Lambda(q, body(q)))


def outer(v):
    """(A*A.T + I)**-1"""
    return np.linalg.inv(v["A"] @ v["A"].T + np.eye(n))


GRADIENTS = [
    (tr(A**5), A, "5*(A**4).T", lambda v: np.trace(np.linalg.matrix_power(v["A"], 5))),
    (number(x.T, A**3, x), x, "A**3*x + (A**3).T*x", None),
    (tr(inv(A) ** 2), A, "-2*(A**-1).T**3", lambda v: np.trace(np.linalg.matrix_power(v["A"], -2))),
    (sp.log(det(inv(A))), A, "-(A**-1).T", lambda v: -np.log(np.linalg.det(v["A"]))),
    (tr(X.T * A * inv(B) * inv(X.T)), X, "zeros(3, 3)", None),
    (  # between two equal symmetric factors stands one that is not symmetric
        tr((inv(A * A.T + eye) * B * inv(A * A.T + eye)).T * X),
        X,
        "(A*A.T + I)**-1*B*(A*A.T + I)**-1",
        lambda v: np.trace((outer(v) @ v["B"] @ outer(v)).T @ v["X"]),
    ),
    (  # the two halves of the derivative of a symmetric matrix are one
        sp.log(det(A * A.T + eye)) + number((x - y).T, inv(A * A.T + eye), x - y),
        A,
        "2*((A*A.T + I)**-1 - (A*A.T + I)**-1*(x - y)*(x - y).T*(A*A.T + I)**-1)*A",
        lambda v: -np.log(np.linalg.det(outer(v))) + (v["x"] - v["y"]) @ outer(v) @ (v["x"] - v["y"]),
    ),
    (
        tr(R.T * inv(R * R.T + eye) * R * B[:2, :] * B[:2, :].T),
        R,
        "2*(R*R.T + I)**-1*R*B[:2, :]*B[:2, :].T - "
        "2*(R*R.T + I)**-1*R*B[:2, :]*B[:2, :].T*R.T*(R*R.T + I)**-1*R",
        None,
    ),
    (
        tr(kron(A, B) * kron(C, D)),
        A,
        "trace(B*D)*C.T",
        lambda v: np.trace(np.kron(v["A"], v["B"]) @ np.kron(v["C"], v["D"])),
    ),
    (
        det(kron(A, B)),
        A,
        "3*determinant(A)**2*determinant(B)**3*cofactor(A)",
        lambda v: np.linalg.det(np.kron(v["A"], v["B"])),
    ),
    (
        tr(inv(kron(A, B))),
        A,
        "-trace(B**-1)*(A**-1).T**2",
        lambda v: np.trace(np.linalg.inv(np.kron(v["A"], v["B"]))),
    ),
    (
        number(kron(x, y).T, kron(A, B), kron(x, y)),
        x,
        "(y.T*B*y)*(A*x + A.T*x)",
        lambda v: np.kron(v["x"], v["y"]).T @ np.kron(v["A"], v["B"]) @ np.kron(v["x"], v["y"]),
    ),
    (
        tr(kron(A, B) ** 2),
        B,
        "2*trace(A**2)*B.T",
        lambda v: np.trace(np.linalg.matrix_power(np.kron(v["A"], v["B"]), 2)),
    ),
    (
        sp.log(det(kron(A, sp.HadamardProduct(B, C)[:2, :2]))),
        A,
        "2*(A**-1).T",
        lambda v: np.log(np.linalg.det(np.kron(v["A"], (v["B"] * v["C"])[:2, :2]))),
    ),
    (
        tr(sp.BlockDiagMatrix(A, R.T * R) ** 2),
        A,
        "2*A.T",
        lambda v: np.trace(v["A"] @ v["A"]) + np.trace(np.linalg.matrix_power(v["R"].T @ v["R"], 2)),
    ),
    (
        sp.log(8 * det(A) ** 3 / det(B)) / 2,
        A,
        "3*(A**-1).T/2",
        lambda v: np.log(8 * np.linalg.det(v["A"]) ** 3 / np.linalg.det(v["B"])) / 2,
    ),
    (det(inv(A)), A, "-(A**-1).T/determinant(A)", lambda v: 1 / np.linalg.det(v["A"])),
    (det(A**-2), A, "-2*(A**-1).T/determinant(A)**2", lambda v: np.linalg.det(v["A"]) ** -2),
    (
        number(x.T, A, x) ** 3 + tr((x.T * B * x) ** -2),
        x,
        "3*(x.T*A*x)**2*(A*x + A.T*x) - 2*(B*x + B.T*x)/(x.T*B*x)**3",
        lambda v: (v["x"] @ v["A"] @ v["x"]) ** 3 + (v["x"] @ v["B"] @ v["x"]) ** -2,
    ),
    (
        number((t * a + t**2 * x).T, t * a + t**2 * x),
        t,
        "2*(a.T*(t*a + t**2*x)) + 4*t*(x.T*(t*a + t**2*x))",
        lambda v: np.sum((v["t"] * v["a"] + v["t"] ** 2 * v["x"]) ** 2),
    ),
    (
        -number(b.T, inv(R * R.T + t**2 * eye), b) / 2,
        t,
        "t*(b.T*(t**2*I + R*R.T)**-2*b)",
        lambda v: -v["b"] @ np.linalg.inv(v["R"] @ v["R"].T + v["t"] ** 2 * np.eye(n)) @ v["b"] / 2,
    ),
    (
        number(sp.BlockMatrix([[x], [y]]).T, sp.BlockMatrix([[A, B], [B.T, C]]), sp.BlockMatrix([[x], [y]])),
        x,
        "A*x + A.T*x + 2*B*y",
        lambda v: v["x"] @ v["A"] @ v["x"] + 2 * v["x"] @ v["B"] @ v["y"] + v["y"] @ v["C"] @ v["y"],
    ),
    (
        det(sp.BlockMatrix([[A, a], [b.T, sp.Matrix([[t]])]])),
        t,
        "cofactor(BlockMatrix([[A, a], [b.T, t]]))[3, 3]",
        None,
    ),
    (tr(sp.BlockMatrix([[inv(A), B], [C, D]])), A, "-(A**-1).T**2", None),
    (tr(kron(sp.Identity(2), X) ** 2), X, "4*X.T", None),
    (tr(A * X - X * A), X, "zeros(3, 3)", None),
    (
        tr((X.T * X - eye) ** 2),
        X,
        "4*X*(X.T*X - I)",
        lambda v: np.trace(np.linalg.matrix_power(v["X"].T @ v["X"] - np.eye(n), 2)),
    ),
    (
        sp.sqrt(tr(inv(A) * inv(A.T))),
        A,
        "-A.T**-1*A**-1*A.T**-1/sqrt(trace(A**-1*A.T**-1))",
        lambda v: np.sqrt(np.trace(np.linalg.inv(v["A"]) @ np.linalg.inv(v["A"].T))),
    ),
    (tr(sp.DiagonalMatrix(A) ** 2), A, "diag(2*diagonal(A))", lambda v: np.sum(np.diag(v["A"]) ** 2)),
    (tr(A[::2, ::2]), A, "Matrix([[1, 0, 0], [0, 0, 0], [0, 0, 1]])", None),
    (
        tr(inv(A + t * B)),
        t,
        "-trace((t*B + A)**-2*B)",
        lambda v: np.trace(np.linalg.inv(v["A"] + v["t"] * v["B"])),
    ),
    (
        sp.log(det(A + t * B)),
        t,
        "trace((t*B + A)**-1*B)",
        lambda v: np.log(np.linalg.det(v["A"] + v["t"] * v["B"])),
    ),
    (
        number(b.T, inv(R * R.T + t * eye), b),
        t,
        "-b.T*(t*I + R*R.T)**-2*b",
        lambda v: v["b"].T @ np.linalg.inv(v["R"] @ v["R"].T + v["t"] * np.eye(n)) @ v["b"],
    ),
    (
        number(one, each(lambda q: q * sp.log(q), x)),
        x,
        "log(x) + 1",
        lambda v: np.sum(v["x"] * np.log(v["x"])),
    ),
    (
        tr((A + t * B) ** 4),
        t,
        "4*trace((t*B + A)**3*B)",
        lambda v: np.trace(np.linalg.matrix_power(v["A"] + v["t"] * v["B"], 4)),
    ),
    (
        tr((A + t * B) ** -2 * C),
        t,
        "trace((-(t*B + A)**-2*B*(t*B + A)**-1 - (t*B + A)**-1*B*(t*B + A)**-2)*C)",
        lambda v: np.trace(np.linalg.matrix_power(v["A"] + v["t"] * v["B"], -2) @ v["C"]),
    ),
    (  # the sum over r of (A**r).T*a*b.T*(A**(3 - r)).T
        number(a.T, A**4, b),
        A,
        "(A**3).T*a*b.T + A.T*a*b.T*(A**2).T + (A**2).T*a*b.T*A.T + a*b.T*(A**3).T",
        lambda v: v["a"] @ np.linalg.matrix_power(v["A"], 4) @ v["b"],
    ),
    (
        tr((A * X * B) ** 2),
        X,
        "2*A.T*B.T*X.T*A.T*B.T",
        lambda v: np.trace(v["A"] @ v["X"] @ v["B"] @ v["A"] @ v["X"] @ v["B"]),
    ),
    (
        number((a - A * x).T, sp.DiagMatrix(y), a - A * x),
        y,
        "(a - A*x)∘(a - A*x)",
        lambda v: v["y"] @ (v["a"] - v["A"] @ v["x"]) ** 2,
    ),
    (tr(sp.DiagMatrix(X * b) * A), X, "diagonal(A)*b.T", lambda v: np.diag(v["A"]) @ v["X"] @ v["b"]),
    (
        sp.sqrt(number((x - y).T, inv(A), x - y)),
        y,
        "-(A**-1*(x - y) + (A**-1).T*(x - y))/(2*sqrt((x - y).T*A**-1*(x - y)))",
        lambda v: np.sqrt((v["x"] - v["y"]) @ np.linalg.inv(v["A"]) @ (v["x"] - v["y"])),
    ),
    (
        number(a.T, x) / sp.sqrt(number(x.T, x)),
        x,
        "a/sqrt(x.T*x) - (a.T*x)*x/(x.T*x)**(3/2)",
        lambda v: v["a"] @ v["x"] / np.sqrt(v["x"] @ v["x"]),
    ),
    (
        sp.exp(-number((x - y).T, x - y) / (2 * t**2)),
        x,
        "-exp(-(x - y).T*(x - y)/(2*t**2))*(x - y)/t**2",
        lambda v: np.exp(-np.sum((v["x"] - v["y"]) ** 2) / (2 * v["t"] ** 2)),
    ),
    (
        number(one, each(lambda q: sp.log(1 + sp.exp(q)), A * x)) - number(b.T, A, x),
        x,
        "A.T*(exp(A*x)⊘(exp(A*x) + 1) - b)",
        lambda v: np.sum(np.log(1 + np.exp(v["A"] @ v["x"]))) - v["b"] @ v["A"] @ v["x"],
    ),
    (
        number(y.T, inv(A.T * A), A.T, b),
        A,
        "(b - A*(A.T*A)**-1*A.T*b)*y.T*(A.T*A)**-1 - A*(A.T*A)**-1*y*b.T*A*(A.T*A)**-1",
        lambda v: v["y"] @ np.linalg.inv(v["A"].T @ v["A"]) @ v["A"].T @ v["b"],
    ),
    (
        tr((A - A * X * X.T) * (A - A * X * X.T).T),
        X,
        "-2*(A - A*X*X.T).T*A*X - 2*A.T*(A - A*X*X.T)*X",
        lambda v: np.sum((v["A"] - v["A"] @ v["X"] @ v["X"].T) ** 2),
    ),
    (
        tr(inv(B) * A) + number((x - y).T, inv(B), x - y) + sp.log(det(B)),
        B,
        "(B**-1).T - (B**-1).T*((x - y)*(x - y).T + A.T)*(B**-1).T",
        lambda v: (
            np.trace(np.linalg.inv(v["B"]) @ v["A"])
            + (v["x"] - v["y"]) @ np.linalg.inv(v["B"]) @ (v["x"] - v["y"])
            + np.log(np.linalg.det(v["B"]))
        ),
    ),
    (
        sp.log(det(A - R * inv(R.T * B * R) * R.T)),
        B,
        "R*((R.T*B*R)**-1).T*R.T*((A - R*(R.T*B*R)**-1*R.T)**-1).T*R*((R.T*B*R)**-1).T*R.T",
        lambda v: np.log(
            np.linalg.det(v["A"] - v["R"] @ np.linalg.inv(v["R"].T @ v["B"] @ v["R"]) @ v["R"].T)
        ),
    ),
    (
        nn.squared_error(nn.softmax(A * X * A.T, dim=1) * A, B),
        X,
        "A.T*(softmax(A*X*A.T, dim=1)∘((softmax(A*X*A.T, dim=1)*A - B)*A.T - (softmax(A*X*A.T, dim=1)∘"
        "((softmax(A*X*A.T, dim=1)*A - B)*A.T))*ones(3, 1)*ones(1, 3)))*A",
        None,
    ),
]


def test_gradients_read_as_in_a_book():
    for formula, variable, printed, _ in GRADIENTS:
        assert text(symprop.grad(formula, variable)) == printed, formula


def test_gradients_are_right():
    rng = np.random.default_rng(2)
    at = {m.name: rng.uniform(0.1, 0.5, size=(n, n)) + 1.5 * np.eye(n) for m in (A, B, C, D, X)}
    at |= {"R": rng.normal(size=(n, 2)), "t": 0.4}
    at |= {c.name: rng.uniform(0.5, 2, size=n) for c in (a, b, x, y)}
    for formula, variable, _, function in GRADIENTS:
        if function is None:
            continue
        symbols = sorted(formula.free_symbols, key=str)
        gradient = symprop.grad(formula, variable)
        value = symprop.compile(gradient, args=[*symbols], wrt=[])(*[at[str(s)] for s in symbols])
        base = np.asarray(at[str(variable)], complex)
        expected = np.zeros(base.shape)
        for place in np.ndindex(base.shape):
            moved = base.copy()
            moved[place] += 1e-25j
            moved = moved[()] if moved.ndim == 0 else moved
            expected[place] = np.imag(np.squeeze(function({**at, str(variable): moved}))) / 1e-25
        assert_allclose(value, expected, rtol=1e-12, atol=1e-13, err_msg=str(formula))


def test_transposes_are_resolved_and_names_are_not():
    """A product of the derivative is transposed factor by factor, a named one as a whole."""
    s, p = sp.MatrixSymbol("S", n, n), sp.MatrixSymbol("P", n, n)
    graph = symprop.Graph([(p, nn.softmax(A * B * A.T, dim=1)), (s, p * A), (t, tr(s.T * C))])
    adjoint = "(P∘(C*A.T - (P∘(C*A.T))*ones(3, 1)*ones(1, 3)))"
    gradient = symprop.grad(graph, A)
    assert text(gradient) == f"P.T*C + {adjoint}*A*B.T + {adjoint}.T*A*B"


def test_numbers_and_signs_of_long_products_are_one():
    """What sympy no longer evaluates, as it is long, has one number in front all the same."""
    o, z = sp.OneMatrix(3, 1), A - sp.OneMatrix(3, 1) * (sp.OneMatrix(1, 3) * A / 3)
    scale = (one * sp.HadamardPower(z, 2) / 3).applyfunc(lambda q: 1 / sp.sqrt(q + 1))
    gradient = symprop.grad(tr(sp.HadamardProduct(z, o * scale).T * B), A)
    assert "(-1)" not in text(gradient) and "-1*(-1)" not in str(gradient)


def test_the_logarithm_of_determinants_does_not_overflow_and_keeps_its_sign():
    """log(det(A)/det(B)) is real where both are negative, and its value needs neither determinant."""
    big, small = sp.MatrixSymbol("P", 40, 40), sp.MatrixSymbol("Q", 40, 40)
    ratio = symprop.compile(sp.log(4 * det(big) / det(small)), [big, small])
    assert text(sp.log(4 * det(big) / det(small))) == "log(determinant(P)/determinant(Q)) + log(4)"
    turned = np.diag([-1.0] + [1.0] * 39)
    value, (slope, _) = ratio.value_and_grad(1e9 * turned, 1e9 * turned)
    assert value == pytest.approx(np.log(4), rel=1e-13)
    assert_allclose(slope, turned / 1e9, rtol=1e-14)
    assert np.isnan(ratio(turned, np.eye(40)))
    size = symprop.compile(sp.log(sp.Abs(det(big) / det(small))), [big, small])
    assert size(1e9 * turned, 1e8 * np.eye(40)) == pytest.approx(40 * np.log(10), rel=1e-14)
    density = symprop.compile(sp.log(1 / sp.sqrt((2 * sp.pi) ** 40 * det(big))), [big])
    assert density(1e9 * np.eye(40)) == pytest.approx(-20 * np.log(2e9 * np.pi), rel=1e-14)


def test_second_derivatives_by_a_scalar_collect_like_terms():
    expected = "2*trace((t*B + A)**-2*B*(t*B + A)**-1*B)"
    assert text(symprop.hessian(tr(inv(A + t * B)), t)) == expected


@pytest.mark.parametrize("power", [2, 5, -1, -3])
def test_powers_go_out_and_in_again(power):
    gradient = symprop.grad(tr(B * A**power), B)
    assert gradient == sp.Transpose(A**power)
    assert text(gradient) == f"(A**{power}).T"
    assert text(A**2 * B * B * B * A) == "A**2*B**3*A"
    assert latex(A * A * B) == "A^{2} B"


def test_an_adjoint_that_would_divide_by_its_own_factor():
    """x/x is one, where x is zero too: the slope of x log x at zero is log(0) + 1."""
    q = sp.Symbol("q")
    f = symprop.compile(q * sp.log(q), [q])
    assert f.grad(0.0)[0] == -np.inf
    assert f.grad(2.0)[0] == pytest.approx(np.log(2) + 1, rel=1e-15)


def test_one_guard_for_the_slope_of_a_power():
    base, exponent = sp.symbols("p e")
    slope = symprop.grad((2 * base + 1) ** (exponent + 1) / exponent, base)
    assert text(slope).count("where") == 1


def test_no_guard_where_a_symbol_was_declared_positive():
    base, exponent = sp.Symbol("p", positive=True), sp.Symbol("e")
    assert text(symprop.grad(base**exponent, exponent)) == "p**e*log(p)"
    assert text(symprop.grad(exponent**base, exponent)) == "p*e**(p - 1)"
    assert "where" in text(symprop.grad(exponent**base, base))


def test_the_determinant_of_a_kronecker_product_has_one_sign():
    """Two factors of odd size with negative determinants: the product of their odd powers is positive."""
    log_det = symprop.compile(sp.log(det(kron(A, B))), [A, B])
    first, second = np.diag([-1.0, 2, 3]), np.diag([4.0, -5, 6])
    value, (slope, _) = log_det.value_and_grad(first, second)
    assert value == pytest.approx(np.linalg.slogdet(np.kron(first, second))[1], rel=1e-14)
    assert_allclose(slope, 3 * np.linalg.inv(first).T, rtol=1e-14)
    assert np.isnan(log_det(first, -second))
    even = sp.MatrixSymbol("E", 2, 2)
    log_det = symprop.compile(sp.log(det(kron(A, even))), [A, even])
    value = log_det(first, np.diag([1.0, 7]))
    assert value == pytest.approx(np.log(36) + 3 * np.log(7), rel=1e-14)
    assert np.isnan(log_det(first, np.diag([-1.0, 7])))


def test_an_adjoint_that_has_a_name_is_transposed_by_name():
    """Attention, a tied autoencoder and an affine layer over a batch, as papers have them."""
    n, d, m = sp.symbols("n d m", integer=True, positive=True)
    q, k, s, p, o = (
        sp.MatrixSymbol(c, *z) for c, *z in (["Q", n, d], ["K", n, d], ["S", n, n], ["P", n, n], ["O", n, d])
    )
    loss = sp.Symbol("L")
    scores = [(s, q * k.T), (p, nn.softmax(s, dim=1)), (o, p * k), (loss, nn.squared_error(o, q))]
    assert "d_S.T*Q" in str(symprop.backprop(symprop.Graph(scores), [k]))
    w, u, h, y = (sp.MatrixSymbol(c, *z) for c, *z in (["W", m, d], ["u", d, 1], ["h", m, 1], ["y", d, 1]))
    tied = [(h, nn.sigmoid(w * u)), (y, w.T * h), (loss, nn.squared_error(y, u))]
    assert "d_W = h*d_y.T + " in str(symprop.backprop(symprop.Graph(tied), [w]))
    one, g, c, z = sp.OneMatrix(n, 1), sp.MatrixSymbol("g", d, 1), sp.MatrixSymbol("c", d, 1), q - k
    y = sp.MatrixSymbol("Y", n, d)
    affine = [(y, sp.HadamardProduct(one * g.T, z) + one * c.T), (loss, nn.squared_error(y, q))]
    assert "d_c = d_Y.T*ones(n, 1)" in str(symprop.backprop(symprop.Graph(affine), [c]))


def test_equations_of_a_graph_read_as_in_a_paper():
    """Batch normalisation over an explicit batch, and a cross-entropy with a column of probabilities."""
    m = sp.Symbol("m", integer=True, positive=True)
    data, target = sp.MatrixSymbol("X", m, 4), sp.MatrixSymbol("T", m, 4)
    mu, centred, var = sp.MatrixSymbol("mu", 4, 1), sp.MatrixSymbol("Xc", m, 4), sp.MatrixSymbol("v", 1, 4)
    unit, loss, ones = sp.MatrixSymbol("Xh", m, 4), sp.Symbol("L"), sp.OneMatrix(m, 1)
    scale = each(lambda q: 1 / sp.sqrt(q), var)
    network = [
        (mu, data.T * ones / m),
        (centred, data - ones * mu.T),
        (var, ones.T * sp.HadamardPower(centred, 2) / m),
        (unit, sp.HadamardProduct(centred, ones * scale)),
        (loss, nn.squared_error(unit, target)),
    ]
    back = symprop.backprop(symprop.Graph(network), [data])
    lines = str(back).splitlines()
    assert "Xc = X - ones(m, 1)*mu.T" in lines
    assert "d_v = -(ones(1, m)*(Xc∘d_Xh))⊘v**∘(3/2)/2" in lines
    assert "d_Xc = a∘d_Xh + 2*(Xc∘(ones(m, 1)*d_v))/m" in lines
    assert "d_X = d_Xc - ones(m, 1)*ones(1, m)*d_Xc/m" in lines
    rng = np.random.default_rng(6)
    x_at, t_at = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))

    def value(at):
        c = at - at.mean(0)
        return np.sum((c / np.sqrt((c**2).mean(0)) - t_at) ** 2) / 2

    right = np.empty((6, 4))
    for place in np.ndindex(6, 4):
        moved = x_at.astype(complex)
        moved[place] += 1e-25j
        right[place] = value(moved).imag / 1e-25
    given = {"X": x_at, "T": t_at}
    found = symprop.compile(back, wrt=[])
    assert_allclose(found(*[given[str(s)] for s in found.args])[1], right, rtol=1e-12, atol=1e-13)

    z, w = sp.MatrixSymbol("z", n, 1), sp.MatrixSymbol("w", n, n)
    classifier = symprop.Graph([(z, w * x), (loss, -symprop.scalar(y.T * nn.log_softmax(z)))])
    assert "d_z = sum(y)*softmax(z) - y" in str(symprop.backprop(classifier, [w])).splitlines()


def test_a_cross_entropy_written_with_logarithms():
    """The slopes of both logarithms cancel against that of the sigmoid, also where it is 0 or 1."""
    weight, label = sp.symbols("w t")
    p, z = nn.sigmoid(number(a.T, x)), sp.Symbol("z")
    loss = -label * sp.log(p) - (1 - label) * sp.log(1 - p)
    assert text(symprop.grad(loss, x)) == "(sigmoid(a.T*x) - t)*a"
    scalar = loss.subs(number(a.T, x), z)
    assert text(symprop.grad(scalar, z)) == "sigmoid(z) - t"
    slope = symprop.compile(symprop.grad(scalar, z), [z, label], wrt=[])
    assert [slope(-800.0, 1.0), slope(800.0, 0.25), slope(0.0, 1.0)] == [-1.0, 0.75, -0.5]
    weighted = -weight * label * sp.log(nn.sigmoid(z)) - (1 - label) * sp.log(1 - nn.sigmoid(z))
    assert text(symprop.grad(weighted, z)) == "sigmoid(z)*(1 - t) - t*w*(1 - sigmoid(z))"
    ones, s = sp.OneMatrix(n, 1), nn.sigmoid(A * x)
    columns = -number(y.T, each(sp.log, s)) - number((ones - y).T, each(sp.log, ones - s))
    assert text(symprop.grad(columns, x)) == "A.T*(sigmoid(A*x) - y)"
    # one term has nothing to cancel: the sum stays whole
    mixed = symprop.grad(sp.log(nn.sigmoid(z)) + label * nn.sigmoid(z), z)
    assert text(mixed) == "sigmoid(z)*(1 - sigmoid(z))*(1/sigmoid(z) + t)"


def test_products_with_a_name_inside_a_longer_one():
    """The Kalman filter as a graph: a product that has a name is one matrix where lengths are compared."""
    prior, gain, spread, state, cover = (sp.MatrixSymbol(c, n, n) for c in ["Pp", "K", "S", "F", "P"])
    loss, after, ahead, z = (
        sp.Symbol("L"),
        sp.MatrixSymbol("Pn", n, n),
        *(sp.MatrixSymbol(c, n, 1) for c in "hz"),
    )
    network = [
        (ahead, state * x),
        (prior, state * cover * state.T + C),
        (spread, A * prior * A.T + B),
        (gain, prior * A.T * inv(spread)),
        (z, ahead + gain * (y - A * ahead)),
        (after, (eye - gain * A) * prior),
        (loss, number(z.T, z) + tr(after)),
    ]
    back = symprop.backprop(symprop.Graph(network), [state, cover, A, B])
    assert "d_S = " in str(back)
    rng = np.random.default_rng(3)
    at = {str(s): rng.normal(size=s.shape) / 4 for s in (state, cover, A, B, C, x, y)}
    at |= {s: at[s] + 2 * np.eye(n) for s in "FPAB"}

    def value(v):
        p = v["F"] @ v["P"] @ v["F"].T + v["C"]
        k = p @ v["A"].T @ np.linalg.inv(v["A"] @ p @ v["A"].T + v["B"])
        z = v["F"] @ v["x"] + k @ (v["y"] - v["A"] @ v["F"] @ v["x"])
        return (z.T @ z).item() + np.trace((np.eye(n) - k @ v["A"]) @ p)

    found = symprop.compile(back, wrt=[])
    for got, name in zip(found(*[at[str(s)] for s in found.args])[1:], "FPAB", strict=True):
        right = np.empty((n, n))
        for place in np.ndindex(n, n):
            moved = at[name].astype(complex)
            moved[place] += 1e-25j
            right[place] = value({**at, name: moved}).imag / 1e-25
        assert_allclose(got, right, rtol=1e-12, atol=1e-13)
