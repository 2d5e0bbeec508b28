"""The compiled functions against torch: value and vector-Jacobian product of every entry of the reference.

Written with `symprop.nn`, or as formulas where `nn` has no such name. torch is the reference for conventions
(kinks, defaults, reductions); in the tails, where it loses digits itself, only the absolute error counts.
"""

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

x = sp.Symbol("x")

# -- functions of one number: value, first and second derivative at the common points ------------------

POINTWISE = {
    "sigmoid": nn.sigmoid(x),
    "tanh": nn.tanh(x),
    "leaky_relu_0.01": nn.leaky_relu(x),
    "prelu_0.25": nn.prelu(x, 0.25),
    "elu_1": nn.elu(x),
    "selu": nn.selu(x),
    "celu_2": nn.celu(x, 2),
    "silu": nn.silu(x),
    "gelu_none": nn.gelu(x),
    "gelu_tanh": nn.gelu(x, approximate="tanh"),
    "hardtanh_-2_3": nn.hardtanh(x, -2, 3),
    "softsign": nn.softsign(x),
    "relu6": nn.relu6(x),
    "hardshrink": nn.hardshrink(x),
    "softshrink": nn.softshrink(x),
    "exp": sp.exp(x),
    "log1p_abs": sp.log(1 + sp.Abs(x)),
    "erf": sp.erf(x),
    "erfc": sp.erfc(x),
    "abs": sp.Abs(x),
    "square": x**2,
    "lgamma": sp.loggamma(x),
    "sinc": sp.sinc(sp.pi * x),
}
# absolute errors of torch in its tails: s*(1 - s), 1 + tanh(u), erf - 1 cancel there
SLACK = {"gelu_tanh": (1e-14, 5e-13), "silu": (3e-16, 5e-15), "sinc": (1e-14, 1e-12)}
LOOSE = {"lgamma": 1e-8}  # the second derivative: torch's trigamma is a short series


def usable(name, order, points, right):
    """Where torch's own value is the derivative: its NaN at infinity and next to poles are left out."""
    keep = ~np.isnan(points)
    if name == "softsign":
        keep &= np.isfinite(points)
    if name == "sinc" and order:
        keep &= np.abs(points) > 1e-3  # (cos(t) - sin(t)/t)/t cancels, and the second one is NaN at zero
    if name == "lgamma":
        keep &= ~((points <= 0) & (points == np.rint(points))) & np.isfinite(points)
        if order:
            keep &= np.abs(points) > 1e-100
    if order == 2:
        keep &= np.isfinite(points)
        if name in ("sigmoid", "tanh", "silu", "gelu_none", "gelu_tanh", "selu", "elu_1", "celu_2"):
            keep &= (np.abs(points) < 30) & (points != 0)
    return keep & ~np.isnan(right)


@pytest.mark.parametrize("name", POINTWISE)
def test_functions_of_one_number(name, torch_reference):
    points = torch_reference["x"]
    function = symprop.compile(POINTWISE[name], [x], batch=[x], wrt=[x])
    slope = symprop.compile(symprop.grad(POINTWISE[name], x, as_graph=True), [x], batch=[x], wrt=[x])
    value, (first,) = function.value_and_grad(points)
    (second,) = slope.grad(points)
    np.testing.assert_allclose(slope(points), first, rtol=1e-13, atol=1e-300, equal_nan=True)
    atol, atol2 = SLACK.get(name, (3e-16, 1e-15))
    for order, (what, found) in enumerate((("y", value), ("dy", first), ("d2y", second))):
        right = torch_reference[f"act/{name}/{what}"]
        keep = usable(name, order, points, right)
        np.testing.assert_allclose(
            found[keep],
            right[keep],
            rtol=1e-12 if order < 2 else LOOSE.get(name, 1e-11),
            atol=atol2 if order == 2 else atol,
        )


# -- functions of arrays --------------------------------------------------------------------------------

A, B, N, P, S, Z = (sp.MatrixSymbol(k, 5, 1) for k in "abnpsz")  # one sample
W = sp.MatrixSymbol("w", 5, 1)
T = sp.MatrixSymbol("t", 5, 1)
K = sp.Symbol("t", integer=True)
a, b, t, y = sp.symbols("a b t y")
ONES = sp.OneMatrix(1, 5)


def whole(function):
    """A formula of whole arrays."""
    return "whole", function


def rows(expression, reduce=None, divide=None):
    """A formula of one sample; `divide(data)` is the divisor of a sum that is no plain mean."""
    return reduce, expression, divide


def total(column):
    return symprop.scalar(ONES * column)


def length(column):
    return sp.sqrt(symprop.scalar(column.T * column))


def distance(u, v):
    return length(u - v + sp.Float(1e-6) * sp.OneMatrix(5, 1))


def cosine(u, v):
    lengths = [symprop.scalar(c.T * c) + sp.Float(1e-12) for c in (u, v)]
    return symprop.scalar(u.T * v) / sp.sqrt(lengths[0] * lengths[1])


def focal(z, target):
    p = nn.sigmoid(z)
    missed = nn.mse_loss(p, target, reduction="none")  # (1 - p_t)**2 of targets 0 and 1
    return sp.HadamardProduct(nn.binary_cross_entropy_with_logits(z, target, reduction="none"), missed)


MARGIN = (total(nn.relu(P - P[K, 0] * sp.OneMatrix(5, 1) + sp.OneMatrix(5, 1))) - 1) / 5
TRIPLET = nn.relu(distance(A, P) - distance(A, N) + 1)
EMBEDDING = sp.Piecewise((x, sp.Eq(t, 1)), (nn.relu(1 - x), True))
COSINE = sp.Piecewise((1 - cosine(A, B), sp.Eq(t, 1)), (nn.relu(cosine(A, B) - sp.Float(0.2)), True))


def poisson(p, target, reduction):
    return nn.poisson_nll_loss(p, target, log_input=False, full=True, reduction=reduction)


ARRAYS = {
    "glu": whole(nn.glu),
    "maxout": None,  # groups of three: a test of its own
    "log_softmax_ax0": whole(lambda x: nn.log_softmax(x, dim=0)),
    "logsumexp_ax0": whole(lambda x: nn.logsumexp(x, dim=0)),
    "softmax_ax0_big": whole(lambda x: nn.softmax(x, dim=0)),
    "log_softmax_ax0_big": whole(lambda x: nn.log_softmax(x, dim=0)),
    "softmax_ax0_1e3": whole(lambda x: nn.softmax(x, dim=0)),
    "logsumexp_ax0_1e3": whole(lambda x: nn.logsumexp(x, dim=0)),
    "log_softmax_ax1_1e3": whole(lambda x: nn.log_softmax(x, dim=1)),
    "normalize_l2": rows(sp.MatrixSymbol("x", 5, 1) / nn.maximum(length(sp.MatrixSymbol("x", 5, 1)), 1e-12)),
    "linear": whole(lambda x, W, b: x * W.T + sp.OneMatrix(7, 1) * b),
    "mlp_tanh_ce": None,  # networks: tests of their own
    "lstm_cell": None,
    "mse_mean": whole(nn.mse_loss),
    "l1_mean": whole(nn.l1_loss),
    "l1_sum": whole(lambda p, t: nn.l1_loss(p, t, reduction="sum")),
    "l1_none": whole(lambda p, t: nn.l1_loss(p, t, reduction="none")),
    "huber_d0.5_mean": whole(lambda p, t: nn.huber_loss(p, t, delta=0.5)),
    "huber_d0.5_sum": whole(lambda p, t: nn.huber_loss(p, t, delta=0.5, reduction="sum")),
    "smooth_l1_b1_mean": whole(nn.smooth_l1_loss),
    "smooth_l1_b0.3_mean": whole(lambda p, t: nn.smooth_l1_loss(p, t, beta=0.3)),
    "cross_entropy_ls0.0_none": rows(nn.cross_entropy(P, K)),
    "cross_entropy_ls0.0_mean": rows(nn.cross_entropy(P, K), "mean"),
    "cross_entropy_ls0.1_mean": rows(nn.cross_entropy(P, K, label_smoothing=0.1), "mean"),
    "cross_entropy_ls0.1_sum": rows(nn.cross_entropy(P, K, label_smoothing=0.1), "sum"),
    "cross_entropy_ls0.5_none": rows(nn.cross_entropy(P, K, label_smoothing=0.5)),
    "cross_entropy_extreme_ls0.0_sum": rows(nn.cross_entropy(P, K), "sum"),
    "cross_entropy_extreme_ls0.1_none": rows(nn.cross_entropy(P, K, label_smoothing=0.1)),
    "cross_entropy_extreme_ls0.1_mean": rows(nn.cross_entropy(P, K, label_smoothing=0.1), "mean"),
    "cross_entropy_extreme_ls0.1_sum": rows(nn.cross_entropy(P, K, label_smoothing=0.1), "sum"),
    "cross_entropy_extreme_ls0.5_sum": rows(nn.cross_entropy(P, K, label_smoothing=0.5), "sum"),
    "cross_entropy_ignore_mean": rows(
        nn.cross_entropy(P, K, ignore_index=2), "sum", lambda data: np.sum(data["t"] != 2)
    ),
    "cross_entropy_weight_sum": rows(nn.cross_entropy(P, K, weight=W), "sum"),
    "cross_entropy_weight_none": rows(nn.cross_entropy(P, K, weight=W)),
    "cross_entropy_soft_none": rows(nn.cross_entropy(P, T)),
    "nll_mean": rows(nn.nll_loss(P, K), "mean"),
    "nll_none": rows(nn.nll_loss(P, K)),
    "bce_edge_mean": whole(nn.binary_cross_entropy),
    "bce_edge_sum": whole(lambda p, t: nn.binary_cross_entropy(p, t, reduction="sum")),
    "bce_logits_sum": whole(lambda z, t: nn.binary_cross_entropy_with_logits(z, t, reduction="sum")),
    "bce_logits_none": whole(lambda z, t: nn.binary_cross_entropy_with_logits(z, t, reduction="none")),
    "bce_logits_posw_none": rows(nn.binary_cross_entropy_with_logits(Z, T, reduction="none", pos_weight=W)),
    "kl_div_mean": whole(nn.kl_div),
    "kl_div_logtarget_mean": whole(lambda p, t: nn.kl_div(p, t, log_target=True)),
    "kl_div_logtarget_sum": whole(lambda p, t: nn.kl_div(p, t, reduction="sum", log_target=True)),
    "kl_div_logtarget_none": whole(lambda p, t: nn.kl_div(p, t, reduction="none", log_target=True)),
    "hinge_sum": whole(lambda y, t: nn.hinge_loss(y, t, reduction="sum")),
    "hinge_none": whole(lambda y, t: nn.hinge_loss(y, t, reduction="none")),
    "squared_hinge_mean": rows(nn.relu(1 - t * y) ** 2, "mean"),
    "squared_hinge_sum": rows(nn.relu(1 - t * y) ** 2, "sum"),
    "soft_margin_mean": rows(sp.log(1 + sp.exp(-t * x)), "mean"),
    "hinge_embedding_sum": rows(EMBEDDING, "sum"),
    "hinge_embedding_none": rows(EMBEDDING),
    "margin_ranking_sum": rows(nn.relu(-t * (a - b) + sp.Float(0.1)), "sum"),
    "cosine_embedding_none": rows(COSINE),
    "poisson_nll_log_none": whole(lambda p, t: nn.poisson_nll_loss(p, t, reduction="none")),
    "poisson_nll_nolog_full_sum": whole(lambda p, t: poisson(p, t, "sum")),
    "poisson_nll_nolog_full_mean": whole(lambda p, t: poisson(p, t, "mean")),
    "triplet_mean": rows(TRIPLET, "mean"),
    "triplet_none": rows(TRIPLET),
    "multi_margin_mean": rows(MARGIN, "mean"),
    "multi_margin_none": rows(MARGIN),
    "focal_g2_none": whole(focal),
}


def entry(reference, name):
    """The arrays of an entry; skipped where the small copy of the reference lacks it."""
    kind = "act" if f"act/{name}/y" in reference.files else "loss"
    if f"{kind}/{name}/y" not in reference.files:
        pytest.skip("not in the small copy of the reference: SYMPROP_REFERENCE names the folder of all of it")
    prefix = f"{kind}/{name}/"
    found = {key[len(prefix) :]: reference[key] for key in reference.files if key.startswith(prefix)}
    inputs = {key[3:]: value for key, value in found.items() if key.startswith("in_")}
    grads = {key[5:]: value for key, value in found.items() if key.startswith("grad_")}
    return inputs, grads, found["y"], found["cotangent"]


def of_whole_arrays(function, inputs, grads, cotangent):
    """Value and gradients with every array as one matrix."""
    arrays = {k: np.atleast_2d(v) for k, v in inputs.items()}
    symbols = {k: sp.MatrixSymbol(k, *v.shape) for k, v in arrays.items()}
    expression = function(*symbols.values())
    value = symprop.compile(expression, list(symbols.values()))(*arrays.values())
    wrt = [symbols[k] for k in grads]
    if expression.is_Matrix:
        c = sp.MatrixSymbol("c", *expression.shape)
        target = sp.Trace(c.T * expression)
    else:
        c = sp.Symbol("c")
        target = c * expression
    backward = symprop.compile(target, [*symbols.values(), c], wrt=wrt)
    seed = np.reshape(cotangent, c.shape) if expression.is_Matrix else float(cotangent)
    return value, backward.grad(*arrays.values(), seed)


def of_samples(spec, inputs, grads, cotangent):
    """Value and gradients of a formula of one sample, over the batch."""
    reduce, expression, divide = spec
    symbols = {
        str(s): s
        for s in symprop.Graph(
            [
                (
                    sp.Dummy("q") if not expression.is_Matrix else sp.MatrixSymbol("q_", *expression.shape),
                    expression,
                )
            ]
        ).inputs
    }
    batch = [s for k, s in symbols.items() if k != "w"]
    args = [inputs[k] for k in symbols]
    wrt = [symbols[k] for k in grads]
    function = symprop.compile(expression, list(symbols.values()), batch=batch, reduce=reduce, wrt=wrt)
    if reduce is not None:
        value, slopes = function.value_and_grad(*args)
        scale = divide(inputs) if divide else 1
        return value / scale, [g * cotangent / scale for g in slopes]
    if expression.is_Matrix:
        c = sp.MatrixSymbol("c", *expression.shape)
        target = symprop.scalar(c.T * expression)
    else:
        c = sp.Symbol("c")
        target = c * expression
    backward = symprop.compile(target, [*symbols.values(), c], batch=[*batch, c], wrt=wrt)
    return function(*args), backward.grad(*args, cotangent)


@pytest.mark.parametrize("name", [name for name, spec in ARRAYS.items() if spec is not None])
def test_functions_of_arrays(name, torch_reference):
    inputs, grads, right, cotangent = entry(torch_reference, name)
    spec = ARRAYS[name]
    if spec[0] == "whole":
        value, slopes = of_whole_arrays(spec[1], inputs, grads, cotangent)
    else:
        value, slopes = of_samples(spec, inputs, grads, cotangent)
    np.testing.assert_allclose(np.ravel(value), np.ravel(right), rtol=1e-12, atol=1e-15)
    for (key, expected), slope in zip(grads.items(), slopes, strict=True):
        found = np.reshape(slope, expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15, err_msg=key)


def test_maxout_of_groups_of_three(torch_reference):
    inputs, grads, right, cotangent = entry(torch_reference, "maxout")
    m, c = sp.MatrixSymbol("m", 4, 3), sp.MatrixSymbol("c", 4, 1)
    groups = nn.maxout(m, dim=1, ties="split")
    function = symprop.compile(groups, [m], batch=[m])
    data = inputs["x"].reshape(6, 4, 3)
    np.testing.assert_array_equal(function(data), right)
    backward = symprop.compile(symprop.scalar(c.T * groups), [m, c], batch=[m, c], wrt=[m])
    (slope,) = backward.grad(data, cotangent)
    np.testing.assert_allclose(slope.reshape(6, 12), grads["x"], rtol=1e-12)


def test_a_perceptron_with_cross_entropy(torch_reference):
    inputs, grads, right, cotangent = entry(torch_reference, "mlp_tanh_ce")
    X, W1, W2 = sp.MatrixSymbol("x", 10, 1), sp.MatrixSymbol("W1", 10, 12), sp.MatrixSymbol("W2", 12, 4)
    b1, b2, h = sp.MatrixSymbol("b1", 12, 1), sp.MatrixSymbol("b2", 4, 1), sp.MatrixSymbol("h", 12, 1)
    graph = symprop.Graph([(h, nn.tanh(W1.T * X + b1)), (sp.Symbol("L"), nn.cross_entropy(W2.T * h + b2, K))])
    symbols = {"x": X, "W1": W1, "b1": b1, "W2": W2, "b2": b2, "t": K}
    wrt = [symbols[k] for k in grads]
    function = symprop.compile(graph, list(symbols.values()), batch=[X, K], reduce="mean", wrt=wrt)
    value, slopes = function.value_and_grad(*[inputs[k] for k in symbols])
    np.testing.assert_allclose(value, right, rtol=1e-12)
    for (key, expected), slope in zip(grads.items(), slopes, strict=True):
        np.testing.assert_allclose(slope * cotangent, expected, rtol=1e-12, atol=1e-15, err_msg=key)


def test_a_cell_of_long_short_term_memory(torch_reference):
    inputs, grads, right, cotangent = entry(torch_reference, "lstm_cell")
    shapes = {
        "x": (4, 1),
        "h": (3, 1),
        "c": (3, 1),
        "Wi": (12, 4),
        "Wh": (12, 3),
        "bi": (12, 1),
        "bh": (12, 1),
    }
    symbols = {k: sp.MatrixSymbol(k, *shape) for k, shape in shapes.items()}
    X, H, C, Wi, Wh, bi, bh = symbols.values()
    gates = sp.MatrixSymbol("gates", 12, 1)
    i, f, g, o = (gates[3 * k : 3 * k + 3, :] for k in range(4))
    cell, hidden, L = sp.MatrixSymbol("cell", 3, 1), sp.MatrixSymbol("hidden", 3, 1), sp.Symbol("L")
    u, v = sp.MatrixSymbol("u", 3, 1), sp.MatrixSymbol("v", 3, 1)
    product = sp.HadamardProduct
    equations = [
        (gates, Wi * X + bi + Wh * H + bh),
        (cell, product(nn.sigmoid(f), C) + product(nn.sigmoid(i), nn.tanh(g))),
        (hidden, product(nn.sigmoid(o), nn.tanh(cell))),
    ]
    args, batch = list(symbols.values()), [X, H, C]
    forward = symprop.compile(symprop.Graph(equations, [hidden, cell]), args, batch=batch)
    data = [inputs[k] for k in symbols]
    np.testing.assert_allclose(np.hstack(forward(*data)), right, rtol=1e-12)
    loss = symprop.Graph([*equations, (L, symprop.scalar(u.T * hidden) + symprop.scalar(v.T * cell))])
    backward = symprop.compile(loss, [*args, u, v], batch=[*batch, u, v], reduce="sum", wrt=args)
    slopes = backward.grad(*data, cotangent[:, :3], cotangent[:, 3:])
    for (key, expected), slope in zip(grads.items(), slopes, strict=True):
        np.testing.assert_allclose(slope, expected, rtol=1e-12, atol=1e-15, err_msg=key)


def test_every_entry_of_the_index_has_a_case(torch_reference):
    """Pooling waits for tensors of more than two dimensions."""
    names = {key.split("/")[1] for key in torch_reference.files if "/" in key}
    if "l1_sum" not in names:
        pytest.skip("the small copy of the reference does not hold every entry")
    assert names - {"avg_pool2d", "max_pool2d"} == set(POINTWISE) | set(ARRAYS)
