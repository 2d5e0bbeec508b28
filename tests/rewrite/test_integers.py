"""Values of integer symbols are real numbers; labels and positions stay integers."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symprop

n, m = sp.symbols("n m", integer=True)
x = sp.Symbol("x")
z = sp.MatrixSymbol("z", 12, 1)
BIG = 2**40


@pytest.mark.parametrize(
    ("target", "at", "value", "slope"),
    [
        (n * m * x, (BIG, BIG, 1.0), 2.0**80, 2.0**80),
        (3 * n * x + 0 * m, (2**62, 1, 1.0), 3 * 2.0**62, 3 * 2.0**62),
        ((n + m) * x, (2**62, 2**62, 1.0), 2.0**63, 2.0**63),
        (x / (n * m), (2**32, 2**32, 1.0), 2.0**-64, 2.0**-64),
        (x * (n - m) * (n + m), (BIG, 1, 1.0), 2.0**80 - 1, 2.0**80 - 1),
        (sp.Piecewise((x, n * m > 5), (-x, True)), (BIG, BIG, 1.0), 1.0, 1.0),
    ],
)
def test_values_beyond_64_bits(target, at, value, slope):
    f = symprop.compile(target, args=[n, m, x])
    found, (gradient,) = f.value_and_grad(*at)
    assert (found, gradient) == (value, slope)
    f.verify(*at).raise_if_failed()


def test_in_a_batch_and_summed():
    f = symprop.compile(n * m * x, args=[n, m, x], batch=[n, m])
    at = np.array([BIG, 3]), np.array([BIG, 5])
    np.testing.assert_array_equal(f(*at, 1.0), [2.0**80, 15.0])
    summed = symprop.compile(n * m * x, args=[n, m, x], batch=[n, m], reduce="sum")
    assert summed(*at, 1.0) == 2.0**80 + 15


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_gradient_of_a_real_symbol_has_the_type_of_the_function(dtype):
    gradient = symprop.compile(n * x, args=[n, x], dtype=dtype).value_and_grad(3, 1.0)[1][0]
    assert gradient == 3
    assert gradient.dtype == dtype


def test_positions_stay_integers():
    at = np.arange(12.0)
    f = symprop.compile(z[4 * n + m, 0] * (n + m), args=[n, m, z])
    value, (gradient,) = f.value_and_grad(2, 3, at)
    assert value == 11 * 5
    np.testing.assert_array_equal(gradient, 5 * (at == 11))
    assert symprop.compile(z[n * m, 0], args=[n, m, z])(2, 3, at) == 6
