"""The multi-layer perceptron: its equations, its parameters and their start values."""

import numpy as np
import sympy as sp

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
