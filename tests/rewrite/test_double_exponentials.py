"""Slopes of double exponentials: 0 where one factor overflows and the other one vanishes."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop

x = sp.Symbol("x", real=True)
E = sp.exp
FORMULAS = {
    "density of extreme values": E(-x - E(-x)),
    "the same, shifted and scaled": E(-(x - 1) / 2 - E(-(x - 1) / 2)) / 2,
    "their distribution": E(-E(-x)),
    "complementary log-log": 1 - E(-E(x)),
    "counts at a rate": E(3 * x - E(x)) / 6,
    "a rate with a number in front": 2 * E(x) * E(-3 * E(x)),
}
POINTS = [-1600.0, -745.5, -30.25, -5.0, -1.5, -1e-9, 1e-9, 0.25, 1.25, 5.0, 35.0, 712.5, 745.5, 1200.0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_slopes(name, dtype):
    orders = [FORMULAS[name]]
    for _ in range(2):
        orders.append(symprop.grad(orders[-1], x))
    f = symprop.compile(orders, args=[x], batch=[x], wrt=[], dtype=dtype)
    plain = symprop.compile(orders, args=[x], batch=[x], wrt=[], dtype=dtype, accuracy="as_written")
    found = f(np.array(POINTS, dtype))
    for order, values in enumerate(found):
        exact = sp.lambdify(x, sp.diff(FORMULAS[name], x, order), "mpmath")
        with mp.workdps(60):
            right = [float(exact(mp.mpf(float(at)))) for at in np.array(POINTS, dtype)]
        units = np.finfo(dtype).eps * (160 if order == 2 else 16)
        np.testing.assert_allclose(values, right, rtol=units, atol=np.finfo(dtype).tiny)
    assert not all(np.isfinite(v).all() for v in plain(np.array(POINTS, dtype)))
