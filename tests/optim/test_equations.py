"""Optimizers as equations: how they print, what is refused, schedules and transformations as expressions."""

import pickle

import pytest
import sympy as sp

from symprop import SympropError, optim
from symprop.errors import ArgumentError

m, lr, beta = sp.symbols("m lr beta")
p, g = optim.p, optim.g


def test_an_optimizer_prints_as_its_equations():
    assert str(optim.SGD(lr=0.1, momentum=0.9, weight_decay=0.01)).splitlines() == [
        "SGD: lr = 0.1, momentum = 0.9, weight_decay = 0.01",
        "g <- g + p*weight_decay",
        "b <- b*momentum + g",
        "p <- -b*lr + p",
    ]
    latex = optim.Adam()._repr_latex_()
    assert r"\hat{m} &\leftarrow \frac{m}{1 - \beta_{1}^{t}}" in latex
    assert latex.count("$") == 2


def test_equality_pickle_and_replace():
    adam = optim.Adam(lr=0.1)
    assert pickle.loads(pickle.dumps(adam)) == adam
    assert optim.Adam().replace(lr=0.1) == adam != optim.Adam()
    with pytest.raises(ArgumentError, match="no hyper-parameter rate"):
        adam.replace(rate=1)


def test_symbols_are_known_by_their_names():
    """With assumptions or without, p is the parameter."""
    q, rate = sp.Symbol("p", real=True), sp.Symbol("lr", positive=True)
    own = optim.Optimizer([(q, q - rate * sp.Symbol("g", real=True))], hyper={"lr": 0.1})
    assert own == optim.SGD(lr=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"equations": [(p, p - lr * g)]}, "the equation of p uses lr, which is unknown.*g, norm, p, t"),
        ({"equations": [(p, p - g * (lr + beta))]}, "uses beta, lr, which are unknown"),
        ({"equations": [(p, p - m * lr)], "hyper": {lr: 1}, "state": ["b"]}, "uses m"),
        ({"equations": [(p, p - g)], "state": [m]}, "no equation updates the state m"),
        ({"equations": [(m, g)], "state": [m]}, "no equation assigns to the parameter p"),
        ({"equations": [(p, p - lr * g)], "hyper": {lr: 0}}, "lr is 0, expected a positive number"),
        ({"equations": [(p, p - lr * g)], "hyper": {lr: -0.1}}, "lr is -0.1, expected a positive"),
        ({"equations": [(p, p - lr * g)], "hyper": {lr: float("nan")}}, "lr is nan"),
        ({"equations": [(p, p - lr * g)], "hyper": {lr: -0.1 * optim.step}}, "-0.1 at step 1"),
        ({"equations": [(p, p - lr * g)], "hyper": {lr: m}}, "hyper-parameter lr uses m"),
        ({"equations": [(p, p - lr * g)], "hyper": {lr: "0.1"}}, "expected a number"),
        ({"equations": [(p, p - lr * g)], "hyper": {lr: True}}, "expected a number"),
        ({"equations": [(p, p - lr * g), (lr, 2 * lr)], "hyper": {lr: 1}}, "assigns to lr"),
        ({"equations": [(optim.step, 2)]}, "assigns to t"),
        ({"equations": [(p, p - lr * g)], "hyper": {lr: 1}, "state": [lr]}, "lr is declared twice"),
        ({"equations": [(p, p - g)], "hyper": {p: 1}}, "names p, which stands for the parameter"),
        ({"equations": [(p, p - sp.MatrixSymbol("W", 2, 2)[0, 0])]}, "matrix W|W"),
        ({"equations": [(p, sp.gamma(sp.I) * g)]}, "real"),
        ({"equations": [p - g]}, "expected a pair"),
        ({"equations": [(p + 1, g)]}, "left side of an equation is a symbol"),
        ({"equations": [(p, p > g)]}, "expected a number or a sympy expression"),
    ],
)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises(SympropError, match=message):
        optim.Optimizer(**arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.Adam(lr=0), "Adam: the learning rate lr is 0"),
        (lambda: optim.SGD(lr=-1), "SGD: the learning rate lr is -1"),
        (lambda: optim.SGD(momentum=-1), "momentum is -1"),
        (lambda: optim.SGD(nesterov=True), "nesterov"),
        (lambda: optim.Adam(betas=(1.0, 0.9)), r"betas\[0\] is 1.0"),
        (lambda: optim.Adam(betas=0.9), "betas is 0.9"),
        (lambda: optim.RMSprop(eps=-1), "eps is -1"),
        (lambda: optim.clip_norm(0), "clip_norm: found 0"),
        (lambda: optim.cosine(0.1, steps=0), "number of steps is 0"),
        (lambda: optim.chain(optim.Adam(), optim.clip_norm(1)), "then one optimizer"),
        (lambda: optim.chain(), "found nothing"),
        (lambda: optim.Transformation([(p, p - g)]), "assigns to the gradient g"),
        (lambda: optim.sequence(0.1, 0.01), "pairs"),
    ],
)
def test_bad_parameters_are_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def values(schedule, *steps):
    return [optim.SGD(lr=schedule).values(k)["lr"] for k in steps]


def test_schedules_at_some_steps():
    assert values(optim.warmup(0.4, 4), 1, 2, 4, 5, 100) == pytest.approx([0.1, 0.2, 0.4, 0.4, 0.4])
    assert values(optim.warmup(0.4, 4, start=0), 1, 3, 5) == pytest.approx([0, 0.2, 0.4])
    joined = optim.warmup(optim.cosine(0.4, 10), 5)
    assert values(joined, 5, 6, 11, 16, 50) == pytest.approx([0.4, 0.4, 0.2, 0, 0])
    assert values(optim.linear(1, 0.5, 5), 1, 2, 6, 60) == pytest.approx([1, 0.9, 0.5, 0.5])
    parts = optim.sequence((optim.constant(1), 2), (optim.steps(2, 2, 0.5), 4), 3)
    assert values(parts, 1, 2, 3, 4, 5, 6, 7, 8) == [1, 1, 2, 2, 1, 1, 3, 3]


def test_names_of_chained_parts_do_not_mix():
    both = optim.chain(optim.l2(0.1), optim.l2(0.2), optim.SGD(lr=1))
    assert both.values() == {"lambda2": 0.1, "lambda2_2": 0.2, "lr": 1.0}
