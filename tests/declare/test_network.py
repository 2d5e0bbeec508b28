"""Graphs: reading equations, errors that name the culprit, behaviour as a value, size."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest
import sympy as sp

from symprop.declare import Graph, as_graph
from symprop.errors import GraphError, ShapeError, SympropError, UnsupportedExpressionError
from symprop.functions.symbols import named
from symprop.graph import NodeTable
from symprop.graph.evaluate import evaluate

a, b, c, d = sp.symbols("alpha beta gamma_ delta")
L, out, u = sp.symbols("L out u")
label = sp.Symbol("label", integer=True)
x = sp.MatrixSymbol("x", 3, 1)
W1, b1 = sp.MatrixSymbol("W1", 4, 3), sp.MatrixSymbol("b1", 4, 1)
h = sp.MatrixSymbol("h", 4, 1)


def tanh(value):
    return named("tanh", [value])


def network():
    return Graph([sp.Eq(h, tanh(W1 * x + b1)), (L, h.T * h)])


# -- reading ------------------------------------------------------------


def test_parts_of_a_graph():
    net = network()
    assert net.equations == ((h, tanh(W1 * x + b1)), (L, h.T * h))
    assert set(net.inputs) == {W1, x, b1}
    assert net.outputs == (L,)
    assert net.names == (h, L)
    assert net.nodes[h].shape == (4, 1) and net.nodes[L].shape == ()
    assert net.nodes[x].op == "symbol"
    assert net[h] == tanh(W1 * x + b1)
    assert h in net and x not in net
    assert len(net) == 2 and list(net) == list(net.equations)


def test_value():
    net = network()
    rng = np.random.default_rng(2)
    at = {s: rng.normal(size=s.shape) for s in (W1, x, b1)}
    (found,) = evaluate([net.nodes[L]], at)
    assert found == pytest.approx(np.sum(np.tanh(at[W1] @ at[x] + at[b1]) ** 2), rel=1e-13)


def test_ways_to_write_equations():
    expected = Graph([(u, a + b), (out, u * a)])
    assert Graph({u: a + b, out: u * a}) == expected
    assert Graph([sp.Eq(u, a + b, evaluate=False), [out, u * a]]) == expected
    assert Graph(sp.Tuple(sp.Tuple(u, a + b), sp.Tuple(out, u * a))) == expected
    assert Graph(((u, a + b), (out, u * a)), outputs=[out]) == expected
    assert Graph(sp.Eq(u, a + b, evaluate=False)) == Graph([(u, a + b)])


def test_outputs():
    pairs = [(u, a + b), (out, u * a)]
    assert Graph(pairs, outputs=u).outputs == (u,)
    assert Graph(pairs, outputs="u").outputs == (u,)
    assert Graph(pairs, outputs=[out, u]).outputs == (out, u)
    assert Graph(pairs, outputs=(u,)) != Graph(pairs)


def test_one_entry_is_a_scalar():
    one = sp.MatrixSymbol("one", 1, 1)
    net = Graph([(one, a * b), (L, x.T * x), (out, L + one[0, 0])])
    assert net.nodes[one].shape == (1, 1)
    assert net.nodes[L].shape == ()


def test_an_explicit_matrix_on_the_right():
    v = sp.MatrixSymbol("v", 2, 1)
    net = Graph([(v, sp.Matrix([a, a * b])), (L, v.T * v)])
    (found,) = evaluate([net.nodes[L]], {a: 2.0, b: 3.0})
    assert found == 40.0


def test_numbers_on_the_right():
    net = Graph([(u, 2), (label, 3), (out, u * a)])
    assert float(evaluate([net.nodes[out]], {a: 1.5})[0]) == 3.0


def test_a_name_for_another_name():
    net = Graph([(u, a), (out, u * b)])
    assert net.inputs == (a, b)
    assert str(net) == "delta".replace("delta", "u = alpha") + "\nout = alpha*beta"


def test_dimensions_are_no_inputs():
    n = sp.Symbol("n", integer=True)
    X = sp.MatrixSymbol("X", n, 3)
    net = Graph([(L, sp.Trace(X.T * X) / n)])
    assert net.inputs == (X,)
    assert net.dimensions == (n,)


# -- errors ------------------------------------------------------------

n_hidden = sp.MatrixSymbol("hidden", 5, 1)
MISUSE = {
    "wrong shape": (ShapeError, "hidden", lambda: Graph([(n_hidden, tanh(W1 * x + b1))])),
    "scalar for a matrix": (ShapeError, "hidden", lambda: Graph([(n_hidden, a)])),
    "matrix for a scalar": (ShapeError, "out", lambda: Graph([(out, W1 * x)])),
    "undefined output": (GraphError, "gamma_", lambda: Graph([(out, a + b)], outputs=[c])),
    "an input as output": (GraphError, "alpha", lambda: Graph([(out, a + b)], outputs=[a])),
    "no outputs": (GraphError, "outputs", lambda: Graph([(out, a + b)], outputs=[])),
    "redefined": (GraphError, "out", lambda: Graph([(out, a + b), (out, a * b)])),
    "cycle": (GraphError, "beta", lambda: Graph([(a, b + 1), (b, sp.sin(a)), (out, a * b)])),
    "cycle of one": (GraphError, "alpha", lambda: Graph([(a, a + 1)])),
    "used before": (GraphError, "beta", lambda: Graph([(a, b + 1), (b, sp.sin(c))])),
    "sympy's true": (GraphError, "True", lambda: Graph([sp.Eq(a, a)])),
    "sympy's false": (GraphError, "False", lambda: Graph([sp.Eq(L, x.T * x)])),
    "python's false": (GraphError, "False", lambda: Graph([a == b])),
    "no symbol on the left": (GraphError, "left", lambda: Graph([(a + b, c)])),
    "a swapped pair": (GraphError, "left", lambda: Graph([(a + b, out)])),
    "no pair": (GraphError, "equation 2", lambda: Graph([(out, a), a + b])),
    "an inequality": (GraphError, "equation 1", lambda: Graph([a < b])),
    "empty": (GraphError, "equation", lambda: Graph([])),
    "a text": (GraphError, "str", lambda: Graph("out = a + b")),
    "an integer": (GraphError, "label", lambda: Graph([(label, a / 2)])),
    "a condition": (UnsupportedExpressionError, "out", lambda: Graph([(out, sp.Gt(a, b))])),
    "two symbols of one name": (
        GraphError,
        "alpha",
        lambda: Graph([(out, a + sp.Symbol("alpha", positive=True))]),
    ),
    "one name with two shapes": (
        GraphError,
        "h",
        lambda: Graph([(h, W1 * x), (L, sp.Trace(sp.MatrixSymbol("h", 5, 5)))]),
    ),
    "a size and a scalar of one name": (
        GraphError,
        "n",
        lambda: Graph([(L, sp.MatrixSymbol("X", sp.Symbol("n", integer=True), 1)[0, 0] / sp.Symbol("n"))]),
    ),
    "a list on the right": (UnsupportedExpressionError, "h", lambda: Graph([(h, [1, 2, 3, 4])])),
    "something refused": (UnsupportedExpressionError, "out", lambda: Graph([(out, sp.zeta(a))])),
    "unknown ties": (GraphError, "middle", lambda: Graph([(out, a)], ties="middle")),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_named(name):
    error, word, action = MISUSE[name]
    with pytest.raises(error) as caught:
        action()
    message = str(caught.value)
    assert isinstance(caught.value, SympropError) and isinstance(caught.value, ValueError | TypeError)
    assert re.search(rf"(?<!\w){word}(?!\w)", message), message
    assert len(message) >= 40


def test_messages_tell_used_before_from_cycle():
    with pytest.raises(GraphError, match=r"beta is used before its equation.*alpha"):
        Graph([(a, b + 1), (b, sp.sin(c))])
    with pytest.raises(GraphError, match=r"alpha, beta form a cycle"):
        Graph([(a, b + 1), (b, sp.sin(a)), (out, a * b)])
    with pytest.raises(GraphError, match=r"beta, gamma_, delta form a cycle"):
        Graph([(a, b + 1), (b, c), (c, d), (d, b)])
    with pytest.raises(GraphError, match="defined by itself"):
        Graph([(a, sp.Matrix([[a]]) * sp.Matrix([[1]]))])


def test_shapes_in_a_message():
    with pytest.raises(ShapeError, match=r"hidden.*\(5, 1\).*\(4, 1\)"):
        Graph([(n_hidden, tanh(W1 * x + b1))])


def test_a_true_equation_shows_the_pair_form():
    with pytest.raises(GraphError, match=r"evaluates Eq.*\(symbol, expression\)"):
        Graph([sp.Eq(L, x.T * x)])


# -- as a value ------------------------------------------------------------


def test_equality():
    assert network() == network()
    assert hash(network()) == hash(network())
    assert network() != Graph([(h, tanh(W1 * x - b1)), (L, h.T * h)])
    assert network() != Graph([(h, tanh(W1 * x + b1))])
    assert network() != "h = tanh(W1*x + b1)"


def test_equality_does_not_depend_on_how_nodes_were_numbered():
    first = Graph([(u, a + b), (out, u * c)])
    table = NodeTable()
    nodes = {s: table.symbol(s) for s in (c, b, a)}
    total = table.add(nodes[b], nodes[a])
    second = Graph.from_nodes(table, [(u, total), (out, table.mul(nodes[c], total))])
    assert set(first.inputs) == set(second.inputs)
    assert first.equations[0] == second.equations[0]


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
def test_copies(way):
    net = network()
    again = way(net)
    assert again == net
    assert again.inputs == net.inputs and again.outputs == net.outputs
    assert again.equations == net.equations
    assert str(again) == str(net)


def test_from_nodes_writes_names():
    table = NodeTable()
    p, q = table.symbol(a), table.symbol(b)
    total = table.add(p, q)
    square = table.mul(total, total)
    net = Graph.from_nodes(table, [(u, total), (L, square), (out, table.add(square, p))], [L, out])
    assert net.equations == ((u, a + b), (L, u**2), (out, L + a))
    assert net.outputs == (L, out)
    assert net.inputs == (a, b)


def test_two_names_of_one_node():
    table = NodeTable()
    total = table.add(table.symbol(a), table.symbol(b))
    net = Graph.from_nodes(table, [(u, total), (L, total)])
    assert net.equations == ((u, a + b), (L, u))
    assert str(net) == "u = alpha + beta\nL = u"


def test_with_ties():
    net = Graph([(out, sp.Max(a, b))])
    split = net.with_ties("split")
    assert split.nodes[out].attrs == ("split",)
    assert net.nodes[out].attrs == ("first",)
    assert split.equations == net.equations and split.inputs == net.inputs
    assert Graph([(out, sp.Max(a, b))], ties="split") == split
    ours = named("maximum", [a, b], ("first",))
    assert Graph([(out, ours)], ties="split") == Graph([(out, ours)]).with_ties("split") == split


# -- targets ------------------------------------------------------------


def test_as_graph_of_expressions():
    assert as_graph(a * b).outputs == (sp.Symbol("out"),)
    assert as_graph(W1 * x).outputs == (sp.MatrixSymbol("out", 4, 1),)
    assert as_graph(x.T * x).outputs == (sp.Symbol("out"),)
    assert as_graph([a, b + 1]).outputs == (sp.Symbol("out"), sp.Symbol("out1"))
    assert as_graph([a * out, b]).outputs == (sp.Symbol("out1"), sp.Symbol("out2"))
    net = network()
    assert as_graph(net) is net
    assert as_graph(sp.Matrix([a, b])).outputs == (sp.MatrixSymbol("out", 2, 1),)


def test_as_graph_refuses_equations():
    with pytest.raises(GraphError, match="Graph"):
        as_graph([(a, b)])
    with pytest.raises(GraphError, match="Graph"):
        as_graph(sp.Eq(a, b))
    with pytest.raises(GraphError, match="empty"):
        as_graph([])


# -- size ------------------------------------------------------------


def chain(length):
    """`x -> sin(x) v + x`, a name per step."""
    here, equations = sp.Symbol("v"), []
    for k in range(length):
        name = sp.Symbol(f"s{k}")
        equations.append((name, sp.sin(here, evaluate=False) * sp.Symbol(f"v{k}") + here))
        here = name
    return equations


def test_a_chain_of_ten_thousand_equations():
    net = Graph(chain(10_000))
    assert len(net) == 10_000 and len(net.inputs) == 10_001
    assert len(net.table.nodes) < 45_000
    assert str(net).count("\n") == 9_999
    again = pickle.loads(pickle.dumps(net))
    assert again == net


def test_a_cycle_in_a_long_chain_is_found():
    equations = chain(5_000)
    equations[0] = (equations[0][0], equations[-1][0] + 1)
    with pytest.raises(GraphError, match="cycle"):
        Graph(equations)


def test_a_deep_expression():
    expression = a
    for k in range(10_000):
        expression = sp.sin(expression, evaluate=False) if k % 2 else sp.Add(expression, b, evaluate=False)
    net = Graph([(out, expression)])
    again = pickle.loads(pickle.dumps(net))
    assert again == net and copy.deepcopy(net) == net
    assert str(net).startswith("out = sin(sin(")
    assert len(str(net)) > 50_000
    assert net._repr_latex_().count(r"\sin") == 5_000
    assert len(again.equations) == 1  # made from the nodes
    assert "Graph" in repr(net)
