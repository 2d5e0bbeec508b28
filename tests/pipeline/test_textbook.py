"""Functions compiled from their textbook definitions, against values at 1500 digits.

Value and first derivative within 4 ULP at the 99th percentile and 16 at the maximum, the second derivative
within 64, nothing that is not finite where the truth is; the named functions within 3 and 8. The data: the
folder `SYMPROP_REFERENCE`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

FOLDER = os.environ.get("SYMPROP_REFERENCE", "")
FILE = Path(FOLDER) / "high_precision.npz"
pytestmark = pytest.mark.skipif(
    not FOLDER or not FILE.exists(), reason="the folder of reference data is not here (SYMPROP_REFERENCE)"
)
SMALLEST_NORMAL = np.finfo(float).tiny

x = sp.Symbol("x")
z = sp.MatrixSymbol("z", 8, 1)
zs = sp.symbols("z0:8")
k = sp.Symbol("k", integer=True)
E, ONE = sp.exp, sp.Integer(1)
SIGMOID = 1 / (1 + E(-x))
ALPHA = sp.Rational("1.6732632423543772848170429916717")
SCALE = sp.Rational("1.0507009873554804934193349852946")
TEXTBOOK = {
    "sigmoid": [SIGMOID, E(x) / (1 + E(x)), (1 + sp.tanh(x / 2)) / 2],
    "log_sigmoid": [sp.log(SIGMOID), -sp.log(1 + E(-x))],
    "softplus": [sp.log(1 + E(x)), -sp.log(1 / (1 + E(x)))],
    "tanh": [sp.tanh(x), 2 / (1 + E(-2 * x)) - 1],
    "elu": [sp.Piecewise((x, x > 0), (E(x) - 1, True))],
    "selu": [SCALE * sp.Piecewise((x, x > 0), (ALPHA * (E(x) - 1), True))],
    "gelu_erf": [x * (1 + sp.erf(x / sp.sqrt(2))) / 2, x * (1 - sp.erf(-x / sp.sqrt(2))) / 2],
    "silu": [x / (1 + E(-x)), x * E(x) / (1 + E(x))],
    "softsign": [x / (1 + sp.Abs(x)), sp.Piecewise((x / (1 + x), x > 0), (x / (1 - x), True))],
    "tanhshrink": [x - sp.tanh(x)],
    "erf": [sp.erf(x)],
    "exp": [E(x)],
    "expm1": [E(x) - 1],
    "log": [sp.log(x)],
    "log1p": [sp.log(1 + x)],
    "sqrt": [sp.sqrt(x)],
    "sin": [sp.sin(x)],
    "sigmoid_mse_t0": [SIGMOID**2 / 2, (E(x) / (1 + E(x))) ** 2 / 2],
    "sigmoid_mse_t1": [(SIGMOID - 1) ** 2 / 2, (1 - SIGMOID) ** 2 / 2, (E(x) / (1 + E(x)) - 1) ** 2 / 2],
    "sigmoid_bce_t0": [-sp.log(1 - SIGMOID)],
    "sigmoid_bce_t1": [-sp.log(SIGMOID)],
}
NAMED = {
    "sigmoid": nn.sigmoid(x),
    "log_sigmoid": nn.log_sigmoid(x),
    "softplus": nn.softplus(x),
    "tanh": nn.tanh(x),
    "elu": nn.elu(x),
    "selu": nn.selu(x),
    "gelu_erf": nn.gelu(x),
    "silu": nn.silu(x),
    "softsign": nn.softsign(x),
    "tanhshrink": nn.tanhshrink(x),
    "sigmoid_mse_t0": nn.squared_error(nn.sigmoid(x), sp.S.Zero),
    "sigmoid_mse_t1": nn.squared_error(nn.sigmoid(x), sp.S.One),
    "sigmoid_bce_t0": nn.binary_cross_entropy_with_logits(x, sp.S.Zero),
    "sigmoid_bce_t1": nn.binary_cross_entropy_with_logits(x, sp.S.One),
}
LOGSUMEXP = {
    "named": (nn.logsumexp(z), [z]),
    "a sum of entries": (sp.log(sp.Sum(E(z[k, 0]), (k, 0, 7))), [z]),
    "scalars": (sp.log(sp.Add(*[E(v) for v in zs])), list(zs)),
}


@pytest.fixture(scope="module")
def data():
    return np.load(FILE)


def errors(data, name, quantity, found):
    """ULP where the truth is a normal number; nothing else may be infinite or NaN where it is finite."""
    right, low = data[f"{name}/{quantity}"], data[f"{name}/{quantity}_lo"]
    finite = np.isfinite(right)
    found = np.asarray(found).reshape(right.shape)
    assert np.isfinite(found[finite]).all()
    normal = finite & (np.abs(right) >= SMALLEST_NORMAL)
    f, r = found[normal], right[normal]
    return np.abs((f - r) - low[normal]) / np.spacing(np.abs(r))


def check(found, most, largest):
    assert np.quantile(found, 0.99) <= most
    assert found.max() <= largest


def derivatives(expression, at):
    """Value, first and second derivative; the second from the printed formula of the first."""
    f = symprop.compile(expression, args=[x], batch=[x], wrt=[x])
    value, (first,) = f.value_and_grad(at)
    again = symprop.compile(symprop.grad(expression, [x]), args=[x], batch=[x], wrt=[x])
    same, (second,) = again.value_and_grad(at)
    return value, first, same, second


@pytest.mark.parametrize(
    ("name", "expression"),
    [(name, e) for name, forms in TEXTBOOK.items() for e in forms],
    ids=lambda v: str(v)[:40],
)
def test_a_textbook_definition(data, name, expression):
    value, first, same, second = derivatives(expression, data[f"{name}/x"])
    check(errors(data, name, "y", value), 4, 16)
    check(errors(data, name, "dy", first), 4, 16)
    check(errors(data, name, "dy", same), 4, 16)
    check(errors(data, name, "d2y", second), 64, 64)


@pytest.mark.parametrize("name", NAMED)
def test_a_named_function(data, name):
    value, first, _, second = derivatives(NAMED[name], data[f"{name}/x"])
    check(errors(data, name, "y", value), 3, 8)
    check(errors(data, name, "dy", first), 3, 8)
    check(errors(data, name, "d2y", second), 64, 64)


@pytest.mark.parametrize("form", LOGSUMEXP)
def test_logsumexp(data, form):
    expression, args = LOGSUMEXP[form]
    points = data["logsumexp/x"]
    points = np.where(np.isnan(points), -np.inf, points)  # shorter rows: terms that are zero
    f = symprop.compile(expression, args=args, batch=args, wrt=args)
    value, slopes = f.value_and_grad(*([points] if len(args) == 1 else points.T))
    gradient = slopes[0] if len(args) == 1 else np.stack(slopes, 1)
    check(errors(data, "logsumexp", "y", value), 3, 8)
    check(errors(data, "logsumexp", "dy", gradient), 3, 8)
