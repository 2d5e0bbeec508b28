"""The gradient of a softmax cross-entropy, however it is written, at a class of probability one."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

K = 5
z, t = sp.MatrixSymbol("z", K, 1), sp.MatrixSymbol("t", K, 1)
X, T = sp.MatrixSymbol("X", 4, K), sp.MatrixSymbol("T", 4, K)
y, i = sp.symbols("y i", integer=True)
scalars = sp.symbols(f"s:{K}")
row, column = sp.OneMatrix(1, 4), sp.OneMatrix(K, 1)
LSE = sp.log(sp.Sum(sp.exp(z[i, 0]), (i, 0, K - 1)))
RULE = "softmax less its target"

LABELS = {
    "cross_entropy": nn.cross_entropy(z, y),
    "a sum of exponentials": LSE - z[y, 0],
    "logsumexp": nn.logsumexp(z) - z[y, 0],
    "log_softmax": -nn.log_softmax(z)[y, 0],
    "the log of a quotient": -sp.log(sp.exp(z[y, 0]) / sp.Sum(sp.exp(z[i, 0]), (i, 0, K - 1))),
    "a row of ones": sp.log(symprop.scalar(column.T * z.applyfunc(sp.exp))) - z[y, 0],
    "a one-hot product": symprop.scalar(-nn.one_hot(y, K).T * nn.log_softmax(z)),
}
p, q, e = (sp.MatrixSymbol(name, K, 1) for name in "pqe")
u, v, s = sp.symbols("u v s")
EXP, ONES = z.applyfunc(sp.exp), sp.OneMatrix(1, K)
QUOTIENT = [(e, EXP), (s, symprop.scalar(ONES * e)), (p, e / s)]
WRITTEN = {  # in several equations, for an entry k that is data or a number
    "the log of an entry of a softmax": lambda k: [(u, -sp.log(nn.softmax(z)[k, 0]))],
    "an entry of the log of a softmax": lambda k: [
        (p, nn.softmax(z)),
        (q, p.applyfunc(sp.log)),
        (u, -q[k, 0]),
    ],
    "the log of a matrix quotient": lambda k: [*QUOTIENT, (u, -sp.log(p[k, 0]))],
    "the log of an inverse": lambda k: [*QUOTIENT, (u, sp.log(1 / p[k, 0]))],
    "a product with the inverse of a sum": lambda k: [
        (s, symprop.scalar(ONES * EXP)),
        (p, s**-1 * EXP),
        (u, -sp.log(p[k, 0])),
    ],
    "logsumexp by name": lambda k: [(s, nn.logsumexp(z)), (u, -(z[k, 0] - s))],
}
HOT = nn.one_hot(y, K)
WITH_ONE_HOT = {
    "a one-hot product of a softmax": [(p, nn.softmax(z)), (u, -sp.log(symprop.scalar(HOT.T * p)))],
    "a one-hot product of logs": [*QUOTIENT, (u, -symprop.scalar(HOT.T * p.applyfunc(sp.log)))],
    "a trace": [*QUOTIENT, (q, p.applyfunc(sp.log)), (u, -sp.Trace(HOT * q.T))],
    "a sum over classes": [
        (p, nn.softmax(z)),
        (u, -sp.Sum(HOT[i, 0] * sp.log(p[i, 0]), (i, 0, K - 1))),
    ],
    "logsumexp less a one-hot product": [(u, nn.logsumexp(z) - symprop.scalar(HOT.T * z))],
}
COLUMNS = {
    "cross_entropy": nn.cross_entropy(z, t),
    "a product": symprop.scalar(-t.T * nn.log_softmax(z)),
}
ROWS = {
    "log_softmax": -sp.Trace(T.T * nn.log_softmax(X, dim=1)),
    "the log of row sums": symprop.scalar(row * ((X.applyfunc(sp.exp) * column).applyfunc(sp.log)))
    - sp.Trace(T.T * X),
}
SCALARS = {
    "a difference": sp.log(sp.Add(*map(sp.exp, scalars))) - scalars[1],
    "the log of a quotient": -sp.log(sp.exp(scalars[1]) / sp.Add(*map(sp.exp, scalars))),
}
POINTS = np.array([[60, 0.5, -3, 1, 2], [0.3, 70, 2, -690, 5], [1, 2, 3, 4, 5], [0, 690, -5, 650.0, 3]])
CLASSES = [0, 1, 2, 1]
FAR = np.array(
    [[60, 0.5, -3, 1, 2], [900, 0, -900, 1, 2.5], [-900, -901, -950, -1000, -920], [0, -37, -40, -50, -800]],
    float,
)


def truth(point, label):
    with mp.workdps(700):
        p = [mp.exp(mp.mpf(v)) for v in point]
        total = sum(p)
        return [float(-(total - v) / total if j == label else v / total) for j, v in enumerate(p)]


def check(f, found, labels):
    exact = np.array([truth(p, c) for p, c in zip(POINTS, labels, strict=True)])
    assert np.all(np.abs(found - exact) <= 4 * np.spacing(np.abs(exact)))
    assert RULE in f.report.fired


@pytest.mark.parametrize("name", LABELS)
def test_labels(name):
    f = symprop.compile(LABELS[name], args=[z, y], batch=[z, y], wrt=[z])
    check(f, f.grad(POINTS, CLASSES)[0], CLASSES)
    plain = symprop.compile(LABELS[name], args=[z, y], batch=[z, y], wrt=[z], accuracy="as_written")
    assert RULE not in plain.report.fired


def check_far(target, k, classes):
    """Value and gradient far beyond the range of an exponential."""
    args = [z] if isinstance(k, int) else [z, k]
    f = symprop.compile(symprop.Graph(target), args=args, batch=args, wrt=[z])
    value, (slope,) = f.value_and_grad(*([FAR] if isinstance(k, int) else [FAR, classes]))
    for found, given, at, label in zip(value, slope, FAR, classes, strict=True):
        exact = np.array(truth(at, label))
        assert np.all(np.abs(given - exact) <= 4 * np.spacing(np.abs(exact)))
        with mp.workdps(900):
            loss = mp.log(mp.fsum(mp.exp(mp.mpf(a) - mp.mpf(at[label])) for a in at))
        assert abs(found - float(loss)) <= 4 * np.spacing(float(loss))
    assert RULE in f.report.fired


@pytest.mark.parametrize("name", WRITTEN)
def test_written_in_several_equations(name):
    check_far(WRITTEN[name](y), y, [0, 0, 3, 0])
    check_far(WRITTEN[name](2), 2, [2] * 4)


@pytest.mark.parametrize("name", WITH_ONE_HOT)
def test_written_with_one_hot_columns(name):
    check_far(WITH_ONE_HOT[name], y, [0, 1, 2, 0])


@pytest.mark.parametrize("name", COLUMNS)
def test_columns(name):
    f = symprop.compile(COLUMNS[name], args=[z, t], batch=[z, t], wrt=[z])
    check(f, f.grad(POINTS, np.eye(K)[CLASSES])[0], CLASSES)


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_a_matrix(name):
    f = symprop.compile(ROWS[name], args=[X, T], wrt=[X])
    check(f, f.grad(POINTS, np.eye(K)[CLASSES])[0], CLASSES)


@pytest.mark.parametrize("name", SCALARS)
def test_scalars(name):
    f = symprop.compile(SCALARS[name], args=scalars, batch=scalars, wrt=scalars)
    value, slopes = f.value_and_grad(*POINTS.T)
    check(f, np.stack(slopes, 1), [1] * len(POINTS))
    for point, v in zip(POINTS, value, strict=True):
        with mp.workdps(700):
            exact = mp.log(sum(mp.exp(mp.mpf(a) - mp.mpf(point[1])) for a in point))
        assert abs(mp.mpf(float(v)) - exact) <= 1e-15 * abs(exact)


def test_soft_targets_and_near_misses():
    """Targets that are no labels: as near as the plain difference. Other differences stay."""
    f = symprop.compile(nn.cross_entropy(z, t), args=[z, t], batch=[z, t], wrt=[z])
    targets = np.full((len(POINTS), K), 0.05) + 0.75 * np.eye(K)[CLASSES]
    p = np.array([truth(q, c) for q, c in zip(POINTS, CLASSES, strict=True)]) + np.eye(K)[CLASSES]
    np.testing.assert_allclose(
        f.grad(POINTS, targets)[0], p * targets.sum(1, keepdims=True) - targets, atol=2e-15
    )
    w = sp.MatrixSymbol("w", K, 1)
    for expression in (
        symprop.scalar(t.T * (nn.softmax(z) + w)),
        symprop.scalar(t.T * (nn.softmax(z) - 2 * w)),
    ):
        assert RULE not in symprop.compile(expression, wrt=[]).report.fired
