"""Wrong arguments raise an error that names the function and the parameter; odd but right ones are taken."""

import numpy as np
import pytest
import sympy as sp

from symprop import nn
from symprop.errors import ArgumentError, ShapeError, SympropError, UnsupportedExpressionError

a, b = sp.symbols("a b")
x, t, v = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("t", 3, 1), sp.MatrixSymbol("v", 4, 1)
W = sp.MatrixSymbol("W", 4, 3)
n = sp.Symbol("n", integer=True, positive=True)
y = sp.Symbol("y", integer=True)

WRONG = [
    (lambda: nn.relu("a + b"), UnsupportedExpressionError, "nn.relu: x"),
    (lambda: nn.relu([1, 2]), UnsupportedExpressionError, "nn.relu: x"),
    (lambda: nn.gelu(a, approximate="fast"), ArgumentError, "approximate is 'fast'"),
    (lambda: nn.softplus(a, beta=0), ArgumentError, "beta is 0"),
    (lambda: nn.hardtanh(a, 3, -3), ArgumentError, "min_val is 3"),
    (lambda: nn.prelu(x, v), ShapeError, "weight is v of shape (4, 1), but x is x of shape (3, 1)"),
    (lambda: nn.softmax(W), ArgumentError, "dim is needed"),
    (lambda: nn.softmax(W, dim=2), ArgumentError, "dim is 2"),
    (lambda: nn.softmax(a, dim=0), ArgumentError, "no dimensions"),
    (lambda: nn.glu(x), ShapeError, "size 3 is odd"),
    (lambda: nn.glu(a), ArgumentError, "nn.glu: x is the scalar a"),
    (lambda: nn.maxout(), ArgumentError, "several arguments"),
    (lambda: nn.maxout(W), ArgumentError, "dim is needed"),
    (lambda: nn.maximum(x, v), ShapeError, "b is v"),
    (lambda: nn.maximum(a, b, ties="last"), ArgumentError, "ties is 'last'"),
    (lambda: nn.one_hot(a, 3), ArgumentError, "Symbol('a', integer=True)"),
    (lambda: nn.one_hot(y, 0), ArgumentError, "num_classes is 0"),
    (lambda: nn.one_hot(5, 3), ArgumentError, "index is 5"),
    (lambda: nn.mse_loss(x, v), ShapeError, "target is v of shape (4, 1), but input is x"),
    (lambda: nn.mse_loss(x, t, reduction="average"), ArgumentError, "reduction is 'average'"),
    (lambda: nn.huber_loss(x, t, delta=-1), ArgumentError, "delta is -1"),
    (lambda: nn.cross_entropy(x, a), ArgumentError, "Symbol('a', integer=True)"),
    (lambda: nn.cross_entropy(x, v), ShapeError, "(4, 1)"),
    (lambda: nn.cross_entropy(W, y), ShapeError, "column (n, 1)"),
    (lambda: nn.cross_entropy(x, 3), ArgumentError, "found 3"),
    (lambda: nn.cross_entropy(x, -1), ArgumentError, "found -1"),
    (lambda: nn.cross_entropy(x, y, label_smoothing=1.5), ArgumentError, "label_smoothing is 1.5"),
    (lambda: nn.cross_entropy(x, y, label_smoothing=a), ArgumentError, "label_smoothing is the scalar a"),
    (lambda: nn.cross_entropy(x, y, weight=v), ShapeError, "weight per class"),
    (lambda: nn.cross_entropy(x, y, ignore_index=1.5), ArgumentError, "ignore_index is 1.5"),
    (lambda: nn.cross_entropy(x, t, ignore_index=1), ArgumentError, "found a column"),
    (lambda: nn.cross_entropy(x, y, reduction="max"), ArgumentError, "reduction is 'max'"),
    (lambda: nn.nll_loss(x, t), ShapeError, "class index"),
    (lambda: nn.kl_div(x, t, log_target="yes"), ArgumentError, "log_target is 'yes'"),
    (lambda: nn.gaussian_nll_loss(x, t, 1, eps=-1), ArgumentError, "eps is -1"),
    (lambda: nn.mlp([3]), ArgumentError, "sizes is [3]"),
    (lambda: nn.mlp([3, 2.5]), ArgumentError, "sizes holds 2.5"),
    (lambda: nn.mlp([3, 2], activation="relu"), ArgumentError, "activation"),
]


@pytest.mark.parametrize(("call", "kind", "text"), WRONG, ids=[text for _, _, text in WRONG])
def test_wrong_arguments_are_named(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
    assert isinstance(caught.value, SympropError)
    assert isinstance(caught.value, ValueError | TypeError)


def test_numbers_of_every_kind():
    assert nn.relu(2) == nn.relu(sp.Integer(2))
    assert nn.relu(np.float64(0.5)) == nn.relu(0.5)
    assert nn.leaky_relu(a, 0.01) == nn.leaky_relu(a)
    assert nn.hardtanh(a, -1.0, 1.0) == nn.hardtanh(a)
    assert nn.elu(a, 1.0) == nn.elu(a)
    assert str(nn.tanh(sp.Rational(1, 2))) == "tanh(1/2)"


def test_explicit_matrices_and_entry_by_entry():
    m = sp.Matrix([[1, a], [b, -2]])
    assert nn.relu(m).shape == (2, 2)
    assert nn.relu(m).doit() == sp.Matrix([[1, sp.Max(0, a)], [sp.Max(0, b), 0]])
    assert m.applyfunc(nn.relu)[0, 1] == nn.relu(a)
    assert str(W.applyfunc(nn.relu)) == "Lambda(_d, relu(_d)).(W)"
    assert nn.tanh(sp.MatrixSymbol("q", 1, 1)).shape == (1, 1)


def test_the_same_meaning_is_the_same_expression():
    assert nn.softmax(x, dim=0) == nn.softmax(x) == nn.softmax(x, dim=-2)
    assert nn.softmax(x, dim=1) != nn.softmax(x)  # of single entries
    assert nn.softmax(W, dim=-1) == nn.softmax(W, dim=1)
    assert nn.logsumexp(x).is_Matrix is False
    assert nn.logsumexp(x, dim=0).shape == (1, 1)
    assert nn.mse_loss(a, b, reduction="sum") == nn.mse_loss(a, b)
    assert nn.smooth_l1_loss(x, t, beta=0) == nn.l1_loss(x, t)
    assert nn.maxout(a, b) == nn.maximum(a, b)
    assert nn.maxout(x).shape == (1, 1)
    assert nn.logsigmoid is nn.log_sigmoid
    assert nn.one_hot(1, 3) == sp.Matrix([0, 1, 0])


def test_symbolic_sizes():
    z = sp.MatrixSymbol("z", n, 1)
    assert nn.softmax(z).shape == (n, 1)
    assert nn.cross_entropy(z, y).is_Matrix is False
    assert nn.one_hot(y, n).shape == (n, 1)


def test_the_catalogue_is_complete():
    promised = """
    sigmoid log_sigmoid tanh relu relu6 leaky_relu prelu elu selu celu softplus silu swish gelu mish hardtanh
    hardsigmoid hardswish softsign tanhshrink srelu maxout glu maximum minimum softmax log_softmax logsumexp
    mse_loss l1_loss huber_loss smooth_l1_loss cross_entropy nll_loss binary_cross_entropy
    binary_cross_entropy_with_logits kl_div hinge_loss poisson_nll_loss gaussian_nll_loss squared_error
    one_hot mlp"""
    for name in promised.split():
        assert callable(getattr(nn, name))
        assert getattr(nn, name).__doc__
    assert set(promised.split()) <= set(nn.__all__)
