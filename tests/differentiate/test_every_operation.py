"""Every operation with a derivative, alone and weighted, in both modes against central differences."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from symprop import nn
from symprop.declare import Graph
from symprop.functions.symbols import named
from symprop.graph import OPERATIONS, NodeTable

u, v, w = (sp.MatrixSymbol(n, 4, 1) for n in "uvw")
X = sp.MatrixSymbol("X", 4, 3)
Q = sp.MatrixSymbol("Q", 4, 4)
x, y, a, b, c, d = sp.symbols("x y a b c d")
k = sp.Symbol("k", integer=True)
POINTS = {
    u: np.array([[0.31], [0.52], [0.73], [0.94]]),
    v: np.array([[1.24], [0.45], [0.66], [0.27]]),
    w: np.array([[0.81], [0.92], [0.33], [0.14]]),
    X: np.linspace(-2, 2, 12).reshape(4, 3) ** 3 / 3 + 0.05,
    Q: np.array([[2.1, 0.3, -0.4, 0.1], [0.2, -1.7, 0.5, 0.6], [0.7, 0.1, 1.3, -0.2], [0.4, 0.9, 0.8, 1.9]]),
    **dict(zip((x, y, a, b, c, d), (-0.45, 0.65, 0.15, 1.35, -0.75, 0.25), strict=True)),
    k: 2,
}
UNARY = [
    "exp expm1 log log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc cbrt sigmoid",
    "erfi erfinv erfcinv",
    "softplus abs sign floor ceiling normal_cdf relu selu silu gelu mish log_sigmoid relu6 hardsigmoid",
    "hardswish softsign tanhshrink gamma loggamma digamma trigamma polygamma_2 polygamma_3 j0 j1 sinc log2",
    "log10 exp2",
]
SCORES = (u - v) * 3
COMPOSITE = [
    nn.leaky_relu(SCORES, a),
    nn.prelu(SCORES, a),
    nn.elu(SCORES, b),
    nn.celu(SCORES, b),
    nn.swish(SCORES, b),
    nn.gelu(SCORES, approximate="tanh"),
    nn.softplus(SCORES, beta=2, threshold=1),
    nn.hardtanh(SCORES, -1, 1),
    nn.hardshrink(SCORES),
    nn.softshrink(SCORES),
    nn.srelu(SCORES),
    nn.maximum(u, v),
    nn.minimum(u, v),
    nn.maxout(u, v, w),
    nn.maxout(u, v, w, ties="split"),
    nn.maxout(X, dim=1),
    nn.maxout(X, dim=(0, 1)),
    named("at_maximum", [X, 2 * X], (1, "first")),
    nn.glu(SCORES),
    nn.softmax(SCORES),
    nn.log_softmax(SCORES),
    nn.softmax(X, dim=0),
    nn.softmax(X, dim=1),
    nn.log_softmax(X, dim=1),
    nn.logsumexp(X, dim=0),
    nn.logsumexp(X, dim=1),
    nn.logsumexp(SCORES),
    nn.squared_error(u, v),
    nn.mse_loss(u, v),
    nn.l1_loss(u, v, reduction="sum"),
    nn.huber_loss(SCORES, v, delta=0.75),
    nn.smooth_l1_loss(SCORES, v, beta=0.75),
    nn.binary_cross_entropy(u, w),
    nn.binary_cross_entropy_with_logits(SCORES, w),
    nn.binary_cross_entropy_with_logits(SCORES, w, weight=u, pos_weight=v),
    nn.cross_entropy(SCORES, k),
    nn.cross_entropy(SCORES, w),
    nn.cross_entropy(SCORES, k, weight=v, label_smoothing=0.25),
    nn.nll_loss(nn.log_softmax(SCORES), k),
    nn.kl_div(nn.log_softmax(SCORES), w),
    nn.hinge_loss(SCORES, 1 * w),
    nn.poisson_nll_loss(u, v),
    nn.gaussian_nll_loss(u, v, w),
    named("shared_minimum", [u, v, w]),
    named("beta", [u, v]),
    named("rising", [u, v]),
    named("rising_slope", [u, v]),
    named("acot", [u]),
    named("hypot", [u, v]),
    named("mod", [3 * u, v]),
    named("spherical_ratio", [SCORES], (1,)),
    named("bessel_ratio", [SCORES], (2,)),
    sp.atan2(x, y) * sp.Abs(x) ** y,
    sp.Inverse(Q) * u,
    sp.Determinant(Q),
    sp.log(sp.Abs(sp.Determinant(Q))),
    sp.log(sp.Determinant(Q) / sp.Determinant(Q + u * v.T) ** 3),
    named("cofactor", [Q]),
    named("cofactor_slope", [Q, u * v.T]),
    sp.KroneckerProduct(u.T, X),
]


def weighted(table, node):
    """The sum of the entries with weights that depend on an input too."""
    if not node.shape:
        return table.mul(node, node)
    return table.sum(
        table.mul(node, table.make("sin", (table.add(table.mul(table.constant(3), node), node),)))
    )


@pytest.mark.parametrize("name", " ".join(UNARY).split())
def test_functions_of_one_argument(name, check):
    table = NodeTable()
    argument = table.symbol(u)
    if name == "acosh":
        argument = table.add(argument, table.constant(1))
    node = table.make(name, (argument,))
    check(Graph.from_nodes(table, [(sp.Symbol("total"), weighted(table, node))]), at={u: POINTS[u]})


@pytest.mark.parametrize("expression", COMPOSITE, ids=lambda e: str(e)[:50])
def test_functions_with_parameters(expression, check):
    shape = getattr(expression, "shape", ())
    name = sp.MatrixSymbol("value", *shape) if shape else sp.Symbol("value")
    graph = Graph([(name, expression)])
    graph = Graph.from_nodes(graph.table, [(sp.Symbol("total"), weighted(graph.table, graph.nodes[name]))])
    check(graph, at={s: POINTS[s] for s in graph.inputs})


def test_none_is_missing():
    tested = set(" ".join(UNARY).split())
    for expression in COMPOSITE:
        graph = (
            Graph([(sp.MatrixSymbol("q", *expression.shape), expression)]) if expression.is_Matrix else None
        )
        graph = graph if graph is not None else Graph([(sp.Symbol("q"), expression)])
        tested.update(node.op for node in graph.table.nodes)
    declared = {n for n, o in OPERATIONS.items() if (o.partials or o.vjp) and not o.lowered}
    structure = (
        "add mul pow select constant symbol eye batch_size batch_sum broadcast reshape transpose slice pad"
    )
    structure += " polygamma_4 index place take one_hot diag diagonal trace sum matmul user user_formula"
    assert declared - tested - set(structure.split()) == set()
