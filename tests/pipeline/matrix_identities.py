# ruff: noqa
"""Matrix-calculus identities with known derivatives, in sympy syntax.

Each entry of IDENTITIES: id, section, expr, wrt, deriv, cond, kind, note.
kind "grad": expr is a scalar and deriv has the shape of wrt.
kind "jac":  expr and wrt are column vectors and deriv[i, j] = d expr_i / d wrt_j.
kind "hess": deriv[i, j] = d2 expr / d wrt_i d wrt_j.   kind "scalar": wrt is a scalar symbol.
cond: what the numeric point must satisfy (inv: X invertible; spd: X symmetric positive definite,
derivative with respect to an unconstrained X; spdA, spdS: the same for A, S; pos: entries positive).
Every identity was checked with an independent automatic differentiation (relative 1e-14) and central differences.
"""

from sympy import *
from sympy.matrices.expressions import *
from sympy.matrices.expressions import hadamard_product as Had

n, m, p, k = 4, 3, 5, 2
SHAPES = dict(
    a=(n, 1),
    b=(n, 1),
    c=(m, 1),
    d=(m, 1),
    x=(n, 1),
    y=(n, 1),
    w=(n, 1),
    u=(m, 1),
    v=(p, 1),
    z=(k, 1),
    A=(n, n),
    B=(n, n),
    C=(n, n),
    X=(n, n),
    Y=(n, n),
    S=(n, n),
    M=(n, m),
    N=(m, n),
    P=(n, m),
    Q=(m, m),
    W=(m, n),
    D=(p, n),
    T_=(p, m),
    L=(n, k),
    R=(m, k),
    Z=(n, m),
    K_=(n, n),
)
for name, shape in SHAPES.items():
    globals()[name] = MatrixSymbol(name, *shape)
t, s, lam = symbols("t s lam", real=True)
I4, I3 = Identity(n), Identity(m)
one4, one3 = OneMatrix(n, 1), OneMatrix(m, 1)
row4, row3, row5 = OneMatrix(1, n), OneMatrix(1, m), OneMatrix(1, p)


def ew(f, matrix):
    """f applied to every entry of matrix."""
    return matrix.applyfunc(Lambda(t, f(t)))


def sc(expr):
    """The scalar in a 1 x 1 matrix."""
    return Trace(expr)


def sig(q):
    return 1 / (1 + exp(-q))


IDENTITIES = []


def add(id, section, expr, wrt, deriv, cond="any", kind="grad", note=""):
    IDENTITIES.append(
        dict(id=id, section=section, expr=expr, wrt=wrt, deriv=deriv, cond=cond, kind=kind, note=note)
    )


add("lin1", "first-order", sc(x.T * a), x, a)
add("lin3", "first-order", sc(a.T * X.T * b), X, b * a.T)
add("quad1", "second-order", sc(x.T * A * x), x, (A + A.T) * x)
add("quad5", "second-order", sc(a.T * X.T * A * X * b), X, A.T * X * a * b.T + A * X * b * a.T)
add("quad11", "second-order", sc((M * u - a).T * (M * u - a)), u, 2 * M.T * (M * u - a), note="||Mu-a||^2")
add("tr2", "trace-1", Trace(X * A), X, A.T)
add("tr4", "trace-1", Trace(A * X.T * B), X, B * A)
add("tr5", "trace-1", Trace(X.T * A), X, A)
add("tr6", "trace-1", Trace(A * X.T), X, A)
add("tr7", "trace-1", Trace(M * N), M, N.T)
add("tr10", "trace-2", Trace(X * X * B), X, (X * B + B * X).T)
add("tr12", "trace-2", Trace(B * X * X.T), X, (B + B.T) * X)
add("tr16", "trace-2", Trace(B * X.T * X), X, X * (B + B.T))
add("tr19", "trace-2", Trace((A * X * B + C) * (A * X * B + C).T), X, 2 * A.T * (A * X * B + C) * B.T)
add(
    "tr20",
    "trace-2",
    Trace((M - L * R.T).T * (M - L * R.T)),
    L,
    -2 * (M - L * R.T) * R,
    note="matrix factorisation, left factor",
)
add(
    "tr25",
    "trace-h",
    Trace(C.T * X.T * B * X * X.T * B * X * C),
    X,
    B * X * X.T * B * X * C * C.T
    + B.T * X * C * C.T * X.T * B.T * X
    + B * X * C * C.T * X.T * B * X
    + B.T * X * X.T * B.T * X * C * C.T,
)
add("inv1", "inverse", sc(a.T * Inverse(X) * b), X, -Inverse(X).T * a * b.T * Inverse(X).T, "inv")
add("inv2", "inverse", Trace(A * Inverse(X) * B), X, -(Inverse(X) * B * A * Inverse(X)).T, "inv")
add("inv3", "inverse", Trace(Inverse(X + A)), X, -(Inverse(X + A) * Inverse(X + A)).T, "inv")
add(
    "inv5",
    "inverse",
    Trace(Inverse(X.T * A * X + I4) * B),
    X,
    -A * X * Inverse(X.T * A * X + I4) * B * Inverse(X.T * A * X + I4)
    - A.T * X * (Inverse(X.T * A * X + I4) * B * Inverse(X.T * A * X + I4)).T,
    "spd",
)
add(
    "inv6",
    "inverse",
    sc((x - y).T * Inverse(S) * (x - y)),
    y,
    -(Inverse(S) + Inverse(S).T) * (x - y),
    "inv",
    note="Mahalanobis wrt mean",
)
add(
    "inv7",
    "inverse",
    sc((x - y).T * Inverse(S) * (x - y)),
    S,
    -Inverse(S).T * (x - y) * (x - y).T * Inverse(S).T,
    "inv",
)
add(
    "inv8",
    "inverse",
    sc(c.T * Inverse(M.T * M + I3) * d),
    M,
    -M
    * (
        Inverse(M.T * M + I3) * c * d.T * Inverse(M.T * M + I3)
        + Inverse(M.T * M + I3) * d * c.T * Inverse(M.T * M + I3)
    ),
    "any",
)
add("det2", "determinant", Determinant(A * X * B), X, Determinant(A * X * B) * Inverse(X).T, "inv")
add("det3", "determinant", log(Determinant(X)), X, Inverse(X).T, "spd")
add("det6", "determinant", log(Determinant(X.T * A * X)), X, 2 * Inverse(X).T, "spd")
add("det8", "determinant", log(Determinant(I4 + M * M.T)), M, 2 * Inverse(I4 + M * M.T) * M)
add("det9", "determinant", 1 / Determinant(X), X, -Inverse(X).T / Determinant(X), "inv")
add(
    "det11",
    "determinant",
    -log(Determinant(X)) + Trace(S * X),
    X,
    S.T - Inverse(X).T,
    "spd",
    note="graphical lasso smooth part / Wishart",
)
add("nrm1", "norm", sqrt(sc(x.T * x)), x, x / sqrt(sc(x.T * x)))
add("nrm2", "norm", sqrt(sc((x - a).T * (x - a))), x, (x - a) / sqrt(sc((x - a).T * (x - a))))
add("nrm3", "norm", Trace(X.T * X), X, 2 * X, note="Frobenius^2")
add(
    "nrm6",
    "norm",
    sc(x.T * A * x) / sc(x.T * x),
    x,
    (A + A.T) * x / sc(x.T * x) - 2 * x * (sc(x.T * A * x) / sc(x.T * x) ** 2),
    note="Rayleigh quotient",
)
add(
    "nrm8",
    "norm",
    sqrt(sc((M * u - a).T * (M * u - a))),
    u,
    M.T * (M * u - a) / sqrt(sc((M * u - a).T * (M * u - a))),
)
add("had1", "hadamard", sc(row4 * HadamardProduct(A, X) * one4), X, A)
add("had2", "hadamard", Trace(A.T * HadamardProduct(X, B)), X, HadamardProduct(A, B))
add("had3", "hadamard", Trace(HadamardProduct(X, X).T * A), X, 2 * HadamardProduct(A, X))
add(
    "had4",
    "hadamard",
    sc(a.T * HadamardProduct(x, A * x)),
    x,
    HadamardProduct(a, A * x) + A.T * HadamardProduct(a, x),
)
add("ew1", "elementwise", sc(row4 * ew(exp, x)), x, ew(exp, x))
add("ew4", "elementwise", sc(row4 * ew(log, x)), x, ew(lambda q: 1 / q, x), "pos")
add(
    "ew5",
    "elementwise",
    sc(row4 * ew(lambda q: q * log(q), x)),
    x,
    ew(lambda q: log(q) + 1, x),
    "pos",
    note="entropy",
)
add(
    "ew6",
    "elementwise",
    sc(a.T * ew(sin, M * ew(tanh, W * x))),
    W,
    HadamardProduct(
        M.T * HadamardProduct(a, ew(cos, M * ew(tanh, W * x))), ew(lambda q: 1 - tanh(q) ** 2, W * x)
    )
    * x.T,
    note="two-layer net wrt first weight",
)
add(
    "ew7",
    "elementwise",
    sc(a.T * ew(sin, M * ew(tanh, W * x))),
    M,
    HadamardProduct(a, ew(cos, M * ew(tanh, W * x))) * ew(tanh, W * x).T,
    note="two-layer net wrt second weight",
)
add(
    "nn2",
    "loss",
    log(sc(row4 * ew(exp, x))) - sc(y.T * x),
    x,
    ew(exp, x) / sc(row4 * ew(exp, x)) - y,
    note="softmax cross-entropy, target y",
)
add(
    "nn3",
    "loss",
    log(sc(row4 * ew(exp, A * x + b))) - sc(y.T * (A * x + b)),
    A,
    (ew(exp, A * x + b) / sc(row4 * ew(exp, A * x + b)) - y) * x.T,
    note="softmax regression wrt W",
)
add(
    "nn7",
    "loss",
    sc((M * ew(tanh, W * x) - a).T * (M * ew(tanh, W * x) - a)) / 2,
    W,
    HadamardProduct(M.T * (M * ew(tanh, W * x) - a), ew(lambda q: 1 - tanh(q) ** 2, W * x)) * x.T,
)
add(
    "nn8",
    "loss",
    Trace((D * M - T_).T * (D * M - T_)) / (2 * p),
    M,
    D.T * (D * M - T_) / p,
    note="multi-output linear regression",
)
add("nn10", "loss", sc(row5 * ew(lambda q: q**2, D * x - v)), x, 2 * D.T * (D * x - v))
add(
    "nn11",
    "loss",
    sc(row5 * ew(lambda q: log(cosh(q)), D * x - v)),
    x,
    D.T * ew(tanh, D * x - v),
    note="log-cosh loss",
)
add(
    "krn2",
    "kernel",
    exp(-sc((x - a).T * A.T * A * (x - a)) / 2),
    A,
    -A * (x - a) * (x - a).T * exp(-sc((x - a).T * A.T * A * (x - a)) / 2),
    note="metric learning",
)
add("jac1", "jacobian", A * x, x, A, kind="jac")
add(
    "jac4",
    "jacobian",
    ew(exp, x) / sc(row4 * ew(exp, x)),
    x,
    DiagMatrix(ew(exp, x) / sc(row4 * ew(exp, x)))
    - ew(exp, x) / sc(row4 * ew(exp, x)) * (ew(exp, x) / sc(row4 * ew(exp, x))).T,
    kind="jac",
    note="softmax Jacobian",
)
add("jac7", "jacobian", x * sc(x.T * a), x, sc(x.T * a) * I4 + x * a.T, kind="jac")
add("jac8", "jacobian", Inverse(A) * x, x, Inverse(A), "any", kind="jac")
add("hes2", "hessian", sc((M * u - a).T * (M * u - a)), u, 2 * M.T * M, kind="hess")
add(
    "hes4",
    "hessian",
    sc(row4 * ew(lambda q: log(1 + exp(q)), M * u)),
    u,
    M.T * DiagMatrix(ew(lambda q: sig(q) * (1 - sig(q)), M * u)) * M,
    kind="hess",
    note="logistic Hessian",
)
add("hes5", "hessian", exp(sc(a.T * x)), x, a * a.T * exp(sc(a.T * x)), kind="hess")
add("hes6", "hessian", sc(x.T * x) ** 2, x, 4 * sc(x.T * x) * I4 + 8 * x * x.T, kind="hess")
add(
    "hes7",
    "hessian",
    sqrt(1 + sc(x.T * x)),
    x,
    I4 / sqrt(1 + sc(x.T * x)) - x * x.T / (1 + sc(x.T * x)) ** Rational(3, 2),
    kind="hess",
)
add(
    "hes8",
    "hessian",
    log(sc(x.T * S * x)),
    x,
    (S + S.T) / sc(x.T * S * x) - (S + S.T) * x * x.T * (S + S.T) / sc(x.T * S * x) ** 2,
    "spdS",
    kind="hess",
)
add(
    "sca1",
    "scalar",
    Trace(Inverse(A + s * I4) * B),
    s,
    -Trace(Inverse(A + s * I4) * Inverse(A + s * I4) * B),
    "spdA",
    kind="scalar",
)
add(
    "sca4",
    "scalar",
    Determinant(A + s * B),
    s,
    Determinant(A + s * B) * Trace(Inverse(A + s * B) * B),
    "any",
    kind="scalar",
)
