"""Values and derivatives of every function that torch has, at common points and at the ends of the range."""

import numpy as np
import pytest
import sympy as sp

from symprop import nn
from symprop.declare.intake import Intake
from symprop.differentiate import reverse
from symprop.graph import NodeTable
from symprop.graph.evaluate import evaluate

ACTIVATIONS = {
    "sigmoid": nn.sigmoid,
    "tanh": nn.tanh,
    "leaky_relu_0.01": nn.leaky_relu,
    "prelu_0.25": lambda x: nn.prelu(x, 0.25),
    "elu_1": nn.elu,
    "selu": nn.selu,
    "celu_2": lambda x: nn.celu(x, 2),
    "silu": nn.silu,
    "gelu_none": nn.gelu,
    "gelu_tanh": lambda x: nn.gelu(x, approximate="tanh"),
    "hardtanh_-2_3": lambda x: nn.hardtanh(x, -2, 3),
    "softsign": nn.softsign,
    "relu6": nn.relu6,
    "hardshrink": nn.hardshrink,
    "softshrink": nn.softshrink,
}


def _close(name):
    """In the tails torch cancels, in s*(1 - s) and 1 + tanh(u): only the absolute error is compared there."""
    return {"rtol": 2e-14, "atol": 1e-14 if name == "gelu_tanh" else 3e-16, "equal_nan": True}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_derivatives(name, torch_reference, value_and_gradients):
    points = torch_reference["x"]
    right = torch_reference[f"act/{name}/dy"].copy()
    if name == "softsign":
        right[np.isinf(points)] = 0.0  # its limit; torch has inf/inf
    x = sp.MatrixSymbol("x", points.size, 1)
    function = ACTIVATIONS[name]
    for expression in (function(x), x.applyfunc(function)):
        value, (slope,) = value_and_gradients(expression, {x: points}, [x])
        np.testing.assert_allclose(value.ravel(), torch_reference[f"act/{name}/y"], **_close(name))
        np.testing.assert_allclose(slope.ravel(), right, **_close(name))


@pytest.mark.parametrize(
    "name", ["sigmoid", "tanh", "elu_1", "celu_2", "silu", "gelu_none", "gelu_tanh", "selu"]
)
def test_second_derivatives(name, torch_reference):
    points = torch_reference["x"]
    keep = np.isfinite(points) & (np.abs(points) < 30) & (points != 0)
    table, x = NodeTable(), sp.MatrixSymbol("x", int(keep.sum()), 1)
    intake = Intake(table, {})
    target, node = intake.node(ACTIVATIONS[name](x)), intake.node(x)
    slope = reverse.adjoints(table, target, [node], table.full(1, target.shape))[node.serial]
    curvature = reverse.adjoints(table, slope, [node], table.full(1, target.shape))[node.serial]
    found = evaluate([curvature], {x: points[keep]})[0].ravel()
    right = torch_reference[f"act/{name}/d2y"][keep]
    np.testing.assert_allclose(found, right, rtol=1e-11, atol=5e-13 if name == "gelu_tanh" else 1e-15)


JOINED = {
    "softmax_ax0_big": lambda x: nn.softmax(x, dim=0),
    "softmax_ax0_1e3": lambda x: nn.softmax(x, dim=0),
    "log_softmax_ax0": lambda x: nn.log_softmax(x, dim=0),
    "log_softmax_ax0_big": lambda x: nn.log_softmax(x, dim=0),
    "log_softmax_ax1_1e3": lambda x: nn.log_softmax(x, dim=1),
    "logsumexp_ax0": lambda x: nn.logsumexp(x, dim=0),
    "logsumexp_ax0_1e3": lambda x: nn.logsumexp(x, dim=0),
    "glu": nn.glu,
}


@pytest.mark.parametrize("name", JOINED)
def test_functions_of_rows_and_columns(name, torch_reference, value_and_gradients):
    data = {key: torch_reference[f"act/{name}/{key}"] for key in ("in_x", "y", "cotangent", "grad_x")}
    x = sp.MatrixSymbol("x", *data["in_x"].shape)
    value, (slope,) = value_and_gradients(JOINED[name](x), {x: data["in_x"]}, [x], data["cotangent"])
    np.testing.assert_allclose(value.ravel(), data["y"].ravel(), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(slope, data["grad_x"], rtol=1e-12, atol=1e-14)


def test_maxout_of_groups(torch_reference, value_and_gradients):
    data = {key: torch_reference[f"act/maxout/{key}"] for key in ("in_x", "y", "cotangent", "grad_x")}
    for row in range(6):
        x = sp.MatrixSymbol("x", 4, 3)  # a group of three in each row
        values = {x: data["in_x"][row].reshape(4, 3)}
        value, (slope,) = value_and_gradients(nn.maxout(x, dim=1), values, [x], data["cotangent"][row])
        np.testing.assert_array_equal(value.ravel(), data["y"][row])
        np.testing.assert_allclose(slope.ravel(), data["grad_x"][row], rtol=1e-15)


# losses of a whole array: function, then the inputs that are operands
WHOLE = {
    "mse_mean": (lambda p, t: nn.mse_loss(p, t), "pt"),
    "l1_mean": (nn.l1_loss, "pt"),
    "l1_none": (lambda p, t: nn.l1_loss(p, t, reduction="none"), "pt"),
    "huber_d0.5_sum": (lambda p, t: nn.huber_loss(p, t, reduction="sum", delta=0.5), "pt"),
    "smooth_l1_b1_mean": (nn.smooth_l1_loss, "pt"),
    "smooth_l1_b0.3_mean": (lambda p, t: nn.smooth_l1_loss(p, t, beta=0.3), "pt"),
    "bce_edge_sum": (lambda p, t: nn.binary_cross_entropy(p, t, reduction="sum"), "pt"),
    "bce_logits_none": (lambda z, t: nn.binary_cross_entropy_with_logits(z, t, reduction="none"), "zt"),
    "kl_div_mean": (nn.kl_div, "pt"),
    "kl_div_logtarget_none": (lambda p, t: nn.kl_div(p, t, reduction="none", log_target=True), "pt"),
    "hinge_none": (lambda y, t: nn.hinge_loss(y, t, reduction="none"), "yt"),
    "poisson_nll_log_none": (lambda p, t: nn.poisson_nll_loss(p, t, reduction="none"), "pt"),
    "poisson_nll_nolog_full_sum": (
        lambda p, t: nn.poisson_nll_loss(p, t, log_input=False, full=True, reduction="sum"),
        "pt",
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_losses(name, torch_reference, value_and_gradients):
    function, letters = WHOLE[name]
    arrays = [np.atleast_2d(torch_reference[f"loss/{name}/in_{k}"]) for k in letters]
    symbols = [sp.MatrixSymbol(k, *a.shape) for k, a in zip(letters, arrays, strict=True)]
    wrt = [s for s in symbols if f"loss/{name}/grad_{s.name}" in torch_reference.files]
    cotangent = torch_reference[f"loss/{name}/cotangent"]
    value, slopes = value_and_gradients(
        function(*symbols), dict(zip(symbols, arrays, strict=True)), wrt, cotangent
    )
    np.testing.assert_allclose(
        value.ravel(), torch_reference[f"loss/{name}/y"].ravel(), rtol=1e-13, atol=1e-15
    )
    for symbol, slope in zip(wrt, slopes, strict=True):
        right = np.atleast_2d(torch_reference[f"loss/{name}/grad_{symbol.name}"])
        # the divisor 1e-12 of binary_cross_entropy is a float32 in torch
        np.testing.assert_allclose(
            slope, right, rtol=1e-8 if name.startswith("bce_edge") else 1e-12, atol=1e-15
        )


# losses of one sample: function of (scores, target, weights), and whether the target is a class
SAMPLES = {
    "cross_entropy_ls0.0_none": lambda p, t: nn.cross_entropy(p, t),
    "cross_entropy_extreme_ls0.0_sum": lambda p, t: nn.cross_entropy(p, t),
    "cross_entropy_extreme_ls0.1_none": lambda p, t: nn.cross_entropy(p, t, label_smoothing=0.1),
    "cross_entropy_ls0.5_none": lambda p, t: nn.cross_entropy(p, t, label_smoothing=0.5),
    "cross_entropy_weight_none": lambda p, t, w: nn.cross_entropy(p, t, weight=w),
    "cross_entropy_soft_none": lambda p, t: nn.cross_entropy(p, t),
    "nll_none": lambda p, t: nn.nll_loss(p, t),
    "bce_logits_posw_none": lambda z, t, w: nn.binary_cross_entropy_with_logits(
        z, t, reduction="none", pos_weight=w
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_losses_of_one_sample(name, torch_reference, value_and_gradients):
    def data(key):
        return torch_reference[f"loss/{name}/{key}"]

    score = "z" if name.startswith("bce") else "p"
    scores, targets = data(f"in_{score}"), data("in_t")
    cotangent, expected = (
        np.broadcast_to(data("cotangent"), len(scores)) if data("y").ndim < 2 else data("cotangent"),
        data("y"),
    )
    p, w = sp.MatrixSymbol("p", 5, 1), sp.MatrixSymbol("w", 5, 1)
    t = sp.Symbol("t", integer=True) if targets.ndim == 1 else sp.MatrixSymbol("t", 5, 1)
    has_weight = f"loss/{name}/in_w" in torch_reference.files
    expression = SAMPLES[name](p, t, w) if has_weight else SAMPLES[name](p, t)
    values = []
    for row in range(len(scores)):
        at = {p: scores[row], t: targets[row]} | ({w: data("in_w")} if has_weight else {})
        wrt = [p] if targets.ndim == 1 or f"loss/{name}/grad_t" not in torch_reference.files else [p, t]
        value, slopes = value_and_gradients(expression, at, wrt, cotangent[row])
        values.append(value.ravel())
        for symbol, key, slope in zip(wrt, (score, "t"), slopes, strict=False):
            np.testing.assert_allclose(
                slope.ravel(), data(f"grad_{key}")[row], rtol=1e-12, atol=1e-15, err_msg=str(symbol)
            )
    found = np.squeeze(np.array(values))
    np.testing.assert_allclose(found.sum() if expected.ndim == 0 else found, expected, rtol=1e-13, atol=1e-15)


def test_an_ignored_class_has_neither_loss_nor_gradient(torch_reference, value_and_gradients):
    def data(key):
        return torch_reference[f"loss/cross_entropy_ignore_mean/{key}"]

    p, t = sp.MatrixSymbol("p", 5, 1), sp.Symbol("t", integer=True)
    expression = nn.cross_entropy(p, t, ignore_index=2)
    counted = int((data("in_t") != 2).sum())
    total = 0.0
    for row in range(12):
        value, (slope,) = value_and_gradients(expression, {p: data("in_p")[row], t: data("in_t")[row]}, [p])
        total += float(value)
        np.testing.assert_allclose(slope.ravel() / counted, data("grad_p")[row], rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(total / counted, data("y"), rtol=1e-13)
