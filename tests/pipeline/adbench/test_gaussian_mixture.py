"""The log-likelihood of a Gaussian mixture with a Wishart prior (ADBench gmm), one point a sample."""

import math

import pytest
import sympy as sp
from golden import check, golden

import symprop
from symprop import nn


def mixture(points, d, k, gamma, m, sign):
    """The graph of one point's share of the objective, its parameters and the point."""
    x, alpha = sp.MatrixSymbol("x", d, 1), sp.MatrixSymbol("alpha", k, 1)
    mu, icf = sp.MatrixSymbol("mu", k, d), sp.MatrixSymbol("icf", k, d + d * (d - 1) // 2)
    equations, scores, squares = [], [], []
    for c in range(k):
        below = iter(range(d, d + d * (d - 1) // 2))
        Q = sp.zeros(d, d)
        for column in range(d):
            Q[column, column] = sp.exp(icf[c, column])
            for row in range(column + 1, d):
                Q[row, column] = icf[c, next(below)]
        factor, u = sp.MatrixSymbol(f"Q{c}", d, d), sp.MatrixSymbol(f"u{c}", d, 1)
        score = sp.Symbol(f"score{c}")
        logs = sp.Add(*[icf[c, j] for j in range(d)])
        equations += [(factor, Q), (u, factor * (x - mu[c, :].T))]
        equations += [(score, alpha[c, 0] + logs - symprop.scalar(u.T * u) / 2)]
        scores.append(score)
        squares.append(gamma**2 * sp.Trace(factor.T * factor) / 2 - m * logs)
    n = d + m + 1
    log_gamma = d * (d - 1) / 4 * sp.log(sp.pi) + sum(
        sp.loggamma(sp.Rational(n, 2) + sp.Rational(1 - j, 2)) for j in range(1, d + 1)
    )
    constant = k * (n * d * math.log(gamma / math.sqrt(2)) - float(log_gamma))
    prior, value = sp.Symbol("prior"), sp.Symbol("value")
    likelihood = nn.logsumexp(sp.Matrix(scores)) - nn.logsumexp(alpha) - d * sp.log(2 * sp.pi) / 2
    equations += [(prior, sp.Add(*squares) - constant), (value, likelihood + sign * prior / points)]
    return symprop.Graph(equations), [alpha, mu, icf], x


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("gmm_test_d2k3n1", 1),
        ("gmm_d2_K5_n10", 1),
        ("gmm_gradbench_d2_k5_n10_m0", -1),
        ("gmm_d2_K5_n1000", 1),
        ("gmm_d10_K10_n10", 1),
    ],
)
def test_value_and_gradient(name, sign):
    case = golden(name)
    (points, d), k = case["in_x"].shape, len(case["in_alpha"])
    graph, params, x = mixture(points, d, k, float(case["in_gamma"]), int(case["in_m"]), sign)
    f = symprop.compile(graph, args=[*params, x], batch=[x], reduce="sum")
    value, grads = f.value_and_grad(case["in_alpha"], case["in_mu"], case["in_icf"], case["in_x"])
    check(value, case["value"])
    for gradient, wanted in zip(grads, ("grad_alpha", "grad_mu", "grad_icf"), strict=True):
        check(gradient, case[wanted])
