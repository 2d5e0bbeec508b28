"""Every function, compiled: value and gradients in native code against mpmath on the definition."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.declare.intake import Intake
from symprop.differentiate import reverse
from symprop.graph import NodeTable
from symprop.graph.evaluate import evaluate

a, b = sp.symbols("a b")
y = sp.Symbol("y", integer=True)
p, q, w = (sp.MatrixSymbol(name, 5, 1) for name in "pqw")
M = sp.MatrixSymbol("M", 3, 4)
R = sp.MatrixSymbol("R", 5, 1)  # entries in (0, 1)


def total(matrix):
    """A scalar in which every entry has a weight of its own."""
    rows, columns = matrix.shape
    weights = sp.Matrix(rows, columns, lambda i, j: sp.Rational(i - 2 * j + 3, 4))
    return sp.Trace(weights.T * matrix)


ACTIVATIONS = [
    getattr(nn, name)
    for name in """
    sigmoid log_sigmoid tanh relu relu6 leaky_relu elu selu celu softplus silu swish gelu mish hardtanh
    hardsigmoid hardswish softsign tanhshrink softmax log_softmax
    """.split()  # noqa: SIM905
]
SCALARS = [
    *[total(function(3 * p)) for function in ACTIVATIONS],
    total(nn.gelu(p, approximate="tanh")),
    total(nn.prelu(p, q)),
    total(nn.srelu(2 * p)),
    total(nn.maxout(p, q, w)),
    total(nn.maxout(M, dim=1)),
    total(nn.glu(M)),
    total(nn.softmax(M, dim=0)),
    total(nn.logsumexp(M, dim=1)),
    nn.logsumexp(10 * p),
    nn.squared_error(p, q),
    nn.mse_loss(M, a),
    nn.l1_loss(p, q),
    nn.huber_loss(p, q, delta=0.5),
    nn.smooth_l1_loss(p, q),
    nn.cross_entropy(10 * p, y),
    nn.cross_entropy(p, y, weight=R, label_smoothing=0.1, ignore_index=-1),
    nn.cross_entropy(p, R),
    nn.nll_loss(p, y),
    nn.binary_cross_entropy(R, q),
    nn.binary_cross_entropy_with_logits(20 * p, R),
    nn.binary_cross_entropy_with_logits(p, R, weight=q, pos_weight=w),
    nn.kl_div(p, R),
    nn.hinge_loss(p, q),
    nn.poisson_nll_loss(p, q),
    nn.gaussian_nll_loss(p, q, R),
]


@pytest.mark.parametrize("expression", SCALARS, ids=str)
@pytest.mark.parametrize("batched", [False, True])
def test_value_and_gradients(expression, batched):
    rng = np.random.default_rng(5)
    symbols = sorted(expression.free_symbols, key=str)
    samples = 3 if batched else 1
    values = {}
    for s in symbols:
        shape = (samples, *s.shape) if s.is_Matrix else (samples,)
        values[s] = rng.integers(0, 5, shape) if s == y else rng.normal(size=shape)
    if R in values:
        values[R] = rng.uniform(0.05, 0.95, values[R].shape)
    wrt = [s for s in symbols if s != y]
    if batched:
        f = symprop.compile(expression, args=symbols, wrt=wrt, batch=symbols)
        value, gradients = f.value_and_grad(*values.values())
    else:
        f = symprop.compile(expression, args=symbols, wrt=wrt)
        value, gradients = f.value_and_grad(*[v[0] for v in values.values()])
        value, gradients = [value], [g[None] if isinstance(g, np.ndarray) else [g] for g in gradients]
    for k in range(samples):
        right, slopes = _exact(expression, wrt, {s: v[k] for s, v in values.items()})
        np.testing.assert_allclose(float(value[k]), right, rtol=4e-15, atol=4e-16)
        for s, found, slope in zip(wrt, gradients, slopes, strict=True):
            # absolute where entries cancel: the sure class of softmax(z) - onehot(y), at scores of size 10
            scale = max(10.0, np.abs(slope).max())
            np.testing.assert_allclose(
                np.ravel(found[k]), slope, rtol=1e-14, atol=2e-15 * scale, err_msg=str(s)
            )


def _exact(expression, wrt, values):
    table = NodeTable()
    intake = Intake(table, {})
    target = intake.node(expression)
    nodes = [intake.node(s) for s in wrt]
    adjoints = reverse.adjoints(table, target, nodes)
    with mp.workdps(30):
        value, *slopes = evaluate([target, *[adjoints[n.serial] for n in nodes]], values, True)
        return float(value), [np.ravel(s).astype(float) for s in slopes]


def test_labels_are_checked_where_a_class_is_ignored():
    z = sp.MatrixSymbol("z", 3, 1)
    f = symprop.compile(nn.cross_entropy(z, y, ignore_index=-100), args=[z, y], batch=[z, y], wrt=[z])
    scores = np.random.default_rng(0).normal(size=(3, 3))
    losses, (slopes,) = f.value_and_grad(scores, [0, -100, 2])
    assert losses[1] == 0.0
    assert not slopes[1].any()
    assert losses[0] > 0.0
    with pytest.raises(symprop.ArgumentError, match="index 3 in row 2"):
        f(scores, [0, -100, 3])
    with pytest.raises(symprop.ArgumentError, match="index -1 in row 0"):
        f(scores, [-1, -100, 1])
