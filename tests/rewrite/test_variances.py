"""Variances and covariances of textbooks, and slopes of regression lines."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import symprop

N = 5
X, Y = sp.MatrixSymbol("X", N, 1), sp.MatrixSymbol("Y", N, 1)
a = sp.Symbol("a", real=True)
i = sp.Symbol("i", integer=True)
ONES = sp.OneMatrix(1, N)
SX, SY = symprop.scalar(ONES * X), symprop.scalar(ONES * Y)
SXX, SXY = symprop.scalar(X.T * X), symprop.scalar(X.T * Y)
AT = np.array([1e6, 1e6 + 0.001, 1e6 - 0.01, 1e6 + 0.3, 1e6 + 0.002])
OTHER = np.array([2e5, 2e5 + 0.1, 2e5 - 0.3, 2e5 + 1, 2e5 - 0.7])


def deviations(values):
    exact = [Fraction(float(v)) for v in values]
    mean = sum(exact) / len(exact)
    return [v - mean for v in exact]


DX, DY = deviations(AT), deviations(OTHER)
XX, XY = sum(p * p for p in DX), sum(p * q for p, q in zip(DX, DY, strict=True))


def close(found, right):
    return abs(Fraction(float(found)) - right) <= abs(right) * Fraction(1, 10**15)


@pytest.mark.parametrize(
    ("formula", "value", "slope"),
    [
        (SXX / N - (SX / N) ** 2, XX / N, [2 * p / N for p in DX]),
        ((SXX - SX**2 / N) / (N - 1), XX / (N - 1), [2 * p / (N - 1) for p in DX]),
        (
            sp.Sum(X[i, 0] ** 2, (i, 0, N - 1)) / N - (sp.Sum(X[i, 0], (i, 0, N - 1)) / N) ** 2,
            XX / N,
            [2 * p / N for p in DX],
        ),
    ],
)
def test_variances(formula, value, slope):
    """1e-4 for 2e-5, a value below zero, and slopes of eight digits."""
    f = symprop.compile(formula, args=[X])
    assert f.report.fired["variance"] >= 2
    found, (slopes,) = f.value_and_grad(AT)
    assert close(found, value)
    assert all(close(p, q) for p, q in zip(slopes, slope, strict=True))


def test_covariances_and_the_slope_of_a_regression_line():
    f = symprop.compile(a * SXY / N - a * SX * SY / N**2, args=[a, X, Y])
    found, (by_a, by_x, by_y) = f.value_and_grad(0.5, AT, OTHER)
    assert close(found, XY / N / 2) and close(by_a, XY / N)
    assert all(close(p, q / N / 2) for p, q in zip([*by_x, *by_y], [*DY, *DX], strict=True))
    line = (N * SXY - SX * SY) / (N * SXX - SX**2)
    f = symprop.compile(line, args=[X, Y])
    found, (_, by_y) = f.value_and_grad(AT, OTHER)
    assert close(found, XY / XX)
    assert all(close(p, q / XX) for p, q in zip(by_y, DX, strict=True))


def test_of_matrices_and_samples():
    M = sp.MatrixSymbol("M", 2, 3)
    squares = symprop.scalar(sp.OneMatrix(1, 2) * sp.HadamardPower(M, 2) * sp.OneMatrix(3, 1))
    total = symprop.scalar(sp.OneMatrix(1, 2) * M * sp.OneMatrix(3, 1))
    f = symprop.compile(squares / 6 - (total / 6) ** 2, args=[M], batch=[M], wrt=[])
    assert f.report.fired["variance"] == 1
    at = np.random.default_rng(3).normal(1e7, 1e-3, (4, 2, 3))
    for found, values in zip(f(at), at, strict=True):
        exact = deviations(values.ravel())
        assert close(found, sum(p * p for p in exact) / 6)


@pytest.mark.parametrize(
    "formula",
    [
        SXX / N - (SX / (N - 1)) ** 2,  # not the square of the mean
        SXX / N - SX * SY / N**2,
        SXX / N + (SX / N) ** 2,
        SXX - a * SX**2,
    ],
)
def test_near_misses(formula):
    assert "variance" not in symprop.compile(formula, wrt=[]).report.fired


def test_deviations_alone_stay():
    """The centring of a layer, of which no variance was written with squares of sums."""
    centred = X - symprop.scalar(ONES * X) / N * sp.OneMatrix(N, 1)
    assert "variance" not in symprop.compile(symprop.scalar(centred.T * centred), args=[X]).report.fired
