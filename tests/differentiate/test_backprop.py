"""Backpropagation as a graph: its equations, their order, their names."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from symprop import nn
from symprop.declare import Graph
from symprop.differentiate import backprop, grad
from symprop.graph.evaluate import evaluate

x, y, z, s, f, q, L = sp.symbols("x y z s f q L")
k = sp.Symbol("k", integer=True)
X = sp.MatrixSymbol("x", 3, 1)
W1, b1 = sp.MatrixSymbol("W1", 4, 3), sp.MatrixSymbol("b1", 4, 1)
W2, b2 = sp.MatrixSymbol("W2", 2, 4), sp.MatrixSymbol("b2", 2, 1)
h, Z = sp.MatrixSymbol("h", 4, 1), sp.MatrixSymbol("z", 2, 1)
PARAMS = [W1, b1, W2, b2]


def network(activation=nn.tanh):
    return Graph([(h, activation(W1 * X + b1)), (Z, W2 * h + b2), (L, nn.cross_entropy(Z, k))])


def lines(graph):
    return str(graph).splitlines()


def test_two_layers_read_as_on_the_blackboard():
    assert lines(backprop(network(), PARAMS)) == [
        "h = tanh(W1*x + b1)",
        "z = W2*h + b2",
        "L = cross_entropy(z, k)",
        "d_z = softmax(z) - one_hot(k, 2)",
        "d_W2 = d_z*h.T",
        "d_b2 = d_z",
        "d_h = W2.T*d_z",
        "d_a = d_h∘(1 - h∘h)",
        "d_W1 = d_a*x.T",
        "d_b1 = d_a",
    ]


def test_a_forward_value_that_is_used_again_gets_a_name():
    found = lines(backprop(network(nn.softplus), PARAMS))
    assert found[:2] == ["a = W1*x + b1", "h = softplus(a)"]
    assert "d_a = d_h∘sigmoid(a)" in found


def test_outputs_are_the_value_and_the_gradients_in_the_order_of_wrt():
    graph = backprop(network(), [b2, W1])
    assert [str(o) for o in graph.outputs] == ["L", "d_b2", "d_W1"]
    assert set(graph.inputs) == {*PARAMS, X, k}


def test_the_values_are_those_of_a_hand_written_pass():
    graph = backprop(network(), PARAMS)
    rng = np.random.default_rng(5)
    at = {p: rng.normal(size=p.shape) for p in (*PARAMS, X)} | {k: 1}
    hidden = np.tanh(at[W1] @ at[X] + at[b1])
    out = at[W2] @ hidden + at[b2]
    d_z = np.exp(out) / np.exp(out).sum()
    d_z[1] -= 1
    d_a = (at[W2].T @ d_z) * (1 - hidden**2)
    expected = [d_a @ at[X].T, d_a, d_z @ hidden.T, d_z]
    found = evaluate([graph.nodes[o] for o in graph.outputs[1:]], at)
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-14)


def test_every_equation_uses_what_stands_above_it():
    for graph in (backprop(network(), PARAMS), backprop(network(nn.gelu), PARAMS), converging()):
        known = set(graph.inputs)
        for symbol, expression in graph.equations:
            used = {
                t for t in sp.preorder_traversal(expression) if isinstance(t, sp.Symbol | sp.MatrixSymbol)
            }
            assert used <= known, (symbol, used - known)
            known.add(symbol)


def converging():
    return backprop(Graph([(q, sp.sin(x)), (s, q * x), (f, s * q + sp.exp(s) * sp.exp(s))]), [x])


def test_converging_paths_share_their_terms():
    graph = converging()
    texts = lines(graph)
    assert [t.split(" = ")[0] for t in texts].count("d_s") == 1
    assert sum("sin(" in t for t in texts) == 1
    assert sum("exp(" in t for t in texts) == 1
    x0 = 0.7
    slope = evaluate([graph.nodes[graph.outputs[1]]], {x: x0})[0]
    # s*q = x sin(x)**2 and exp(2 x sin(x))
    expected = np.sin(x0) ** 2 + x0 * np.sin(2 * x0)
    expected += 2 * np.exp(2 * x0 * np.sin(x0)) * (np.sin(x0) + x0 * np.cos(x0))
    assert slope == pytest.approx(expected, rel=1e-13)


def test_the_example_of_the_lecture():
    graph = backprop(Graph([(q, x + y), (f, q * z)]), [x, y, z])
    assert lines(graph) == ["q = x + y", "f = q*z", "d_z = q", "d_q = z", "d_x = z", "d_y = z"]


def test_names_of_the_user_are_kept_free():
    d_h, d_x, a = sp.symbols("d_h d_x a")
    graph = backprop(
        Graph([(d_h, x * y * a), (q, d_h**2 * d_x), (f, sp.exp(sp.sin(q)) * q)]), [x, d_x, a, d_h]
    )
    names = [str(symbol) for symbol, _ in graph.equations]
    assert len(set(names)) == len(names)
    assert [str(o) for o in graph.outputs] == ["f", "d_x2", "d_d_x", "d_a", "d_d_h"]
    at = {x: 0.3, y: 0.5, a: 0.7, d_x: 1.1}
    found = evaluate([graph.nodes[o] for o in graph.outputs[1:]], at)
    closed = sp.exp(sp.sin((x * y * a) ** 2 * d_x)) * (x * y * a) ** 2 * d_x
    for symbol, value in zip([x, d_x, a], found, strict=False):
        assert value == pytest.approx(float(sp.diff(closed, symbol).subs(at)), rel=1e-12)


def test_a_plain_expression_becomes_steps():
    graph = backprop(1 / (1 + sp.exp(-(x * y + z))), [x, y, z])
    assert graph.outputs[0] == sp.Symbol("out")
    assert sum("exp(" in line for line in lines(graph)) == 1


def test_named_nodes_and_constants_among_the_variables():
    graph = backprop(Graph([(q, x * y), (f, q + z)]), [q, z, x, s, f])
    values = {str(o): float(evaluate([graph.nodes[o]], {x: 2, y: 3, z: 4})[0]) for o in graph.outputs}
    assert values == {"f": 10, "d_q": 1, "d_z": 1, "d_x": 3, "d_s": 0, "d_f": 1}
    assert "d_s = 0" in lines(graph)


def test_several_outputs_are_carried_along():
    graph = backprop(Graph([(q, x * y), (f, q * q)], outputs=[f, q]), [x])
    assert [str(o) for o in graph.outputs] == ["f", "q", "d_x"]


def test_a_number_is_never_written_by_a_name():
    graph = backprop(Graph([(q, sp.tanh(x)), (f, q + y), (s, f**2)]), [x, y, s])
    assert "d_s = 1" in lines(graph)
    assert all("d_s" not in line.split(" = ")[1] for line in lines(graph))


def test_a_result_is_a_target_again():
    graph = backprop(Graph([(q, sp.sin(x)), (f, q * q * y)]), [x])
    second = grad(Graph(graph.equations, outputs=[graph.outputs[1]]), x, as_graph=True)
    found = evaluate([second.nodes[second.outputs[0]]], {x: 0.4, y: 2.0})[0]
    assert found == pytest.approx(2 * 2.0 * np.cos(0.8), rel=1e-13)


def test_a_deep_chain_of_names():
    equations, here = [], x
    for step in range(3000):
        name = sp.Symbol(f"s{step}")
        equations.append((name, sp.sin(here) * y + here))
        here = name
    graph = backprop(Graph(equations), [x, y])
    names = [str(n) for n in graph.names]
    assert names[-2:] == ["d_x", "d_y"]
    assert sum(name.startswith("d_s") for name in names) == 2999
    assert len(names) < 3000 * 3 + 10
