"""The multi-layer perceptron: its equations, its parameters and their start values."""

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.graph.evaluate import evaluate


def test_the_equations_of_a_perceptron():
    net = nn.mlp([784, 256, 10], activation=nn.relu)
    assert [str(p) for p in net.params] == ["W1", "b1", "W2", "b2"]
    assert [p.shape for p in net.params] == [(256, 784), (256, 1), (10, 256), (10, 1)]
    assert [s.shape for s in net.inputs] == [(784, 1)]
    assert net.graph.outputs == (net.scores,)
    assert net.scores.shape == (10, 1)


def test_start_values():
    net = nn.mlp([50, 40, 3])
    values, again = net.init(7), net.init(seed=np.random.default_rng(7))
    assert list(values) == net.params
    for parameter, bound in zip(net.params, [50, 50, 40, 40], strict=True):
        array = values[parameter]
        assert array.shape == tuple(parameter.shape)
        assert array.dtype == np.float64
        assert np.abs(array).max() <= 1 / np.sqrt(bound)
        np.testing.assert_array_equal(array, again[parameter])
    assert np.abs(values[net.params[0]]).max() > 0.9 / np.sqrt(50)
    assert not np.array_equal(values[net.params[0]], net.init(8)[net.params[0]])
    assert net.init(7, dtype="float32")[net.params[1]].dtype == np.float32


def test_the_value_is_that_of_numpy():
    net = nn.mlp([5, 4, 3, 2], activation=lambda v: nn.elu(v, 2), output=nn.softmax)
    values = net.init(1)
    x = np.linspace(-2, 2, 5)[:, None]
    (found,) = evaluate([net.graph.nodes[net.scores]], {**values, net.inputs[0]: x})
    h = x
    arrays = list(values.values())
    for k in range(3):
        h = arrays[2 * k] @ h + arrays[2 * k + 1]
        h = np.where(h > 0, h, 2 * np.expm1(h)) if k < 2 else np.exp(h) / np.exp(h).sum()
    np.testing.assert_allclose(found, h, rtol=1e-14)


def test_a_loss_is_one_more_equation():
    from symprop.declare.network import Graph

    net, y, loss = nn.mlp([3, 2]), sp.Symbol("y", integer=True), sp.Symbol("L")
    graph = Graph([*net.graph.equations, (loss, nn.cross_entropy(net.scores, y))])
    assert graph.outputs == (loss,)
    assert set(graph.inputs) == {*net.params, *net.inputs, y}


@pytest.mark.parametrize(
    ("activation", "numpy"),
    [
        (lambda v: v * nn.tanh(nn.softplus(v)), lambda v: v * np.tanh(np.logaddexp(0, v))),
        (sp.sin, np.sin),
        (abs, np.abs),
        (lambda v: v**2, np.square),
        (lambda v: 1 / (1 + sp.exp(-v)), lambda v: 1 / (1 + np.exp(-v))),
        (lambda v: nn.elu(v, 2), lambda v: np.where(v > 0, v, 2 * np.expm1(v))),
    ],
    ids=["product", "sympy", "builtin", "power", "quotient", "of a column"],
)
def test_a_function_of_a_number_is_applied_to_every_entry(activation, numpy):
    for width in (1, 3):
        net = nn.mlp([2, width, 1], activation=activation)
        values = net.init(seed=2)
        x = np.array([0.3, -1.2])
        W1, b1, W2, b2 = values.values()
        expected = (W2 @ numpy(W1 @ x + b1[:, 0]) + b2[:, 0])[0]
        found = symprop.compile(net.graph)(**{str(p): v for p, v in values.items()}, x=x)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
