"""A weight for each entry, as torch has it: means by the sum of the weights, of `huber_loss` by the count."""

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose

import symprop
from symprop import nn

P, T, W = (sp.MatrixSymbol(name, 2, 3) for name in "PTW")
RNG = np.random.default_rng(7)
p, t, w = RNG.normal(size=(2, 3)) * 2, RNG.normal(size=(2, 3)), RNG.uniform(0.2, 3, size=(2, 3))
d = p - t
TERMS = {
    "mse_loss": (d**2, 2 * d),
    "l1_loss": (np.abs(d), np.sign(d)),
    "huber_loss": (np.where(abs(d) < 1, d**2 / 2, abs(d) - 0.5), np.clip(d, -1, 1)),
}


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("name", TERMS)
def test_weights_of_entries(name, reduction):
    term, slope = TERMS[name]
    loss = getattr(nn, name)(P, T, reduction=reduction, weight=W)
    f = symprop.compile(loss, [P, T, W], wrt=[P, W] if reduction != "none" else [])
    count = {"none": 1, "sum": 1, "mean": p.size if name == "huber_loss" else w.sum()}[reduction]
    value = w * term if reduction == "none" else np.sum(w * term) / count
    assert_allclose(f(p, t, w), value, rtol=1e-14)
    if reduction != "none":
        by_p, by_w = f.grad(p, t, w)
        assert_allclose(by_p, w * slope / count, rtol=1e-14, atol=1e-16)
        own = 0 if reduction == "sum" or name == "huber_loss" else value / count
        assert_allclose(by_w, term / count - own, rtol=1e-13, atol=1e-15)


def test_weights_are_of_the_shape_of_the_input():
    with pytest.raises(symprop.ShapeError, match="weight"):
        nn.mse_loss(P, T, weight=sp.MatrixSymbol("v", 3, 1))
    with pytest.raises(symprop.ShapeError, match="weight"):
        nn.l1_loss(sp.Symbol("a"), 0, weight=W)
    scalar = sp.Symbol("s")
    assert symprop.compile(nn.mse_loss(P, T, weight=scalar, reduction="sum"), [P, T, scalar], wrt=[])(
        p, t, 2.0
    ) == pytest.approx(2 * np.sum(d**2))
