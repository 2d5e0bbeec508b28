"""Softmax, its logarithms and their slopes, however they are written: no exponential overflows, no digit is
lost where a probability rounds to one; other sums of exponentials stay as they are."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

N, M = 5, 3
z, t, w = sp.MatrixSymbol("z", N, 1), sp.MatrixSymbol("t", N, 1), sp.MatrixSymbol("w", N, 1)
A, Y = sp.MatrixSymbol("A", M, N), sp.MatrixSymbol("Y", M, N)
y, i, j, k = sp.symbols("y i j k", integer=True)
ones, tall = sp.OneMatrix(N, 1), sp.OneMatrix(M, 1)
powers = z.applyfunc(sp.exp)
total = symprop.scalar(ones.T * powers)
p = powers / total
added = sp.Sum(sp.exp(z[i, 0]), (i, 0, N - 1))
SCORES = [
    [0.3, -1.2, 0.0, 2.5, 0.7],
    [46.0, 82.5, -20.0, -15.0, 68.6],
    [-870.0, -1514.0, 395.0, -665.0, -1920.0],
    [1000.0, 1000.0 - 1e-9, 999.0, -1000.0, 0.0],
    [-10000.0, -9999.0, -20000.0, -10050.0, -10030.0],
    [-800.0] * N,
    [-37.5, -1e-17, -50.0, -60.0, -70.0],
]
LABELLED = {
    "log of the softmax": -sp.log(p[y, 0]),
    "one-hot product": -symprop.scalar(nn.one_hot(y, N).T * p.applyfunc(sp.log)),
    "named softmax": -sp.log(nn.softmax(z)[y, 0]),
    "sums with one name for their indices": -sp.Sum(
        nn.one_hot(y, N)[i, 0] * sp.log(sp.exp(z[i, 0]) / added), (i, 0, N - 1)
    ),
    "inverse": sp.log(total / powers[y, 0]),
    "product": sp.log(total * sp.exp(-z[y, 0])),
}
rows = A.applyfunc(sp.exp)
P = sp.HadamardProduct(rows, sp.HadamardPower(rows * ones, -1) * ones.T)
ROWS = {
    "columns of ones": -symprop.scalar(tall.T * sp.HadamardProduct(Y, P.applyfunc(sp.log)) * ones),
    "diagonal matrix": -sp.Trace(
        Y.T * (sp.DiagMatrix(sp.HadamardPower(rows * ones, -1)) * rows).applyfunc(sp.log)
    ),
    "named": -symprop.scalar(tall.T * sp.HadamardProduct(Y, nn.softmax(A, dim=1).applyfunc(sp.log)) * ones),
    "sums": -sp.Sum(
        Y[i, j] * sp.log(sp.exp(A[i, j]) / sp.Sum(sp.exp(A[i, k]), (k, 0, N - 1))),
        (i, 0, M - 1),
        (j, 0, N - 1),
    ),
}


def exact(scores):
    with mp.workdps(1200):
        e = [mp.exp(mp.mpf(s)) for s in scores]
        s = mp.fsum(e)
        return e, s


def units(found, truth):
    if abs(truth) < mp.mpf(2) ** -1022:
        return 0.0 if abs(found) < 1e-307 else np.inf
    return float(abs(mp.mpf(float(found)) - truth) / np.spacing(abs(float(truth))))


@pytest.mark.parametrize("name", LABELLED)
def test_cross_entropy_of_a_label(name):
    f = symprop.compile(LABELLED[name], args=[z, y], wrt=[z])
    for scores in SCORES:
        e, s = exact(scores)
        for label in range(N):
            value, (slope,) = f.value_and_grad(scores, label)
            with mp.workdps(1200):
                assert units(value, mp.log(s) - mp.mpf(scores[label])) <= 8, (scores, label)
                for n in range(N):
                    rest = mp.fsum(e[:label] + e[label + 1 :])
                    truth = -rest / s if n == label else e[n] / s
                    assert units(slope[n], truth) <= 4, (scores, label, n)


@pytest.mark.parametrize("name", ROWS)
def test_cross_entropy_of_rows(name):
    f = symprop.compile(ROWS[name], args=[A, Y], wrt=[A])
    for first in range(0, len(SCORES) - M + 1, M):
        scores = SCORES[first : first + M]
        for targets in (np.eye(N)[[1, 0, 4]], np.full((M, N), 1 / N)):
            value, (slope,) = f.value_and_grad(scores, targets)
            with mp.workdps(1200):
                loss = mp.mpf(0)
                for r in range(M):
                    e, s = exact(scores[r])
                    loss += mp.fsum(
                        mp.mpf(targets[r, n]) * (mp.log(s) - mp.mpf(scores[r][n])) for n in range(N)
                    )
                    for n in range(N):
                        truth = e[n] / s - mp.mpf(targets[r, n])
                        if targets[r, n] == 1:
                            truth = -mp.fsum(e[:n] + e[n + 1 :]) / s
                        size = max(abs(float(truth)), targets[r, n] if targets[r, n] < 1 else 0, 1e-300)
                        assert abs(mp.mpf(float(slope[r, n])) - truth) <= 8 * np.spacing(size), (r, n)
                assert units(value, loss) <= 8


SUMS = {
    "minus the logarithm of an inverse": (-sp.log(1 / added), 1),
    "of a mean": (sp.log(added / N) + sp.log(N), 1),
    "weighted": (sp.log(symprop.scalar(ones.T * sp.HadamardProduct(ones, powers))), 1),
    "at a temperature": (2 * sp.log(sp.Sum(sp.exp(z[i, 0] / 2), (i, 0, N - 1))), 2),
}


@pytest.mark.parametrize("name", SUMS)
def test_logarithms_of_sums(name):
    expression, scale = SUMS[name]
    f = symprop.compile(expression, args=[z], wrt=[z])
    for scores in SCORES[:-1]:
        value, (slope,) = f.value_and_grad(scores)
        with mp.workdps(1200):
            e, s = exact([mp.mpf(x) / scale for x in scores])
            assert units(value, scale * mp.log(s)) <= 8, scores
            for n in range(N):
                assert units(slope[n], e[n] / s) <= 8, (scores, n)


def test_a_mixture_with_weights_takes_exponents_of_any_size():
    f = symprop.compile(sp.log(symprop.scalar(w.T * powers)), args=[w, z], wrt=[w, z])
    weights = np.arange(1, N + 1) / 16
    for scores in SCORES:
        value, (d_w, d_z) = f.value_and_grad(weights, scores)
        with mp.workdps(1200):
            e, _ = exact(scores)
            s = mp.fsum(mp.mpf(a) * b for a, b in zip(weights, e, strict=True))
            assert units(value, mp.log(s)) <= 16
            for n in range(N):
                assert units(d_z[n], mp.mpf(weights[n]) * e[n] / s) <= 8
                if e[n] / s < mp.mpf(1e300):
                    assert units(d_w[n], e[n] / s) <= 8


@pytest.mark.parametrize("formula", [p, nn.softmax(z), (z - ones * sp.log(total)).applyfunc(sp.exp)])
def test_the_jacobian_of_a_softmax_keeps_its_digits(formula):
    f = symprop.compile(symprop.jacobian(formula, z), args=[z], wrt=[])
    assert "Jacobian of a softmax" in str(f.report)
    for scores in SCORES:
        found = f(scores)
        with mp.workdps(1200):
            e, s = exact(scores)
            for a in range(N):
                for b in range(N):
                    rest = mp.fsum(e[:a] + e[a + 1 :])
                    truth = e[a] * rest / s**2 if a == b else -e[a] * e[b] / s**2
                    assert units(found[a, b], truth) <= 8, (scores, a, b)


def test_other_sums_stay_as_they_are():
    """Values that are no quotient of exponentials of one array."""
    c = sp.Symbol("c")
    for formula in (
        total + c,
        sp.log(total + c),
        symprop.scalar(ones.T * powers.applyfunc(sp.sin)) / total,
        symprop.jacobian(z.applyfunc(sp.tanh), z),
    ):
        wanted = symprop.compile(formula, args=[z, c], wrt=[z] if not formula.is_Matrix else [])
        assert "log of a sum" not in str(wanted.report) and "Jacobian of a softmax" not in str(wanted.report)
    plain = symprop.compile(LABELLED["one-hot product"], args=[z, y], wrt=[z], accuracy="as_written")
    with np.errstate(all="ignore"):
        assert not np.isfinite(plain(SCORES[3], 4))
