"""Twenty steps of every optimizer, schedule and way of clipping give the parameters that torch gives."""

import numpy as np
import pytest

from symprop import optim

KEPT = (1, 2, 10, 20)
CASES = {
    "SGD": optim.SGD(lr=0.1),
    "SGD default": optim.SGD(),
    "SGD momentum": optim.SGD(lr=0.05, momentum=0.9),
    "SGD nesterov": optim.SGD(lr=0.05, momentum=0.8, nesterov=True),
    "SGD dampening": optim.SGD(lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "SGD maximize": optim.SGD(lr=0.001, weight_decay=0.1, maximize=True),
    "Adam": optim.Adam(),
    "Adam decay": optim.Adam(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "Adam amsgrad": optim.Adam(lr=0.1, betas=(0.5, 0.6), amsgrad=True),
    "Adam maximize": optim.Adam(lr=0.01, maximize=True, weight_decay=0.1),
    "AdamW": optim.AdamW(),
    "AdamW decay": optim.AdamW(lr=0.02, weight_decay=0.3, amsgrad=True),
    "RMSprop": optim.RMSprop(),
    "RMSprop momentum": optim.RMSprop(lr=0.003, alpha=0.9, momentum=0.7, weight_decay=0.1),
    "RMSprop centered": optim.RMSprop(lr=0.003, alpha=0.8, centered=True, momentum=0.5),
    "Adagrad": optim.Adagrad(),
    "Adagrad decay": optim.Adagrad(lr=0.1, lr_decay=0.2, weight_decay=0.1, initial_accumulator_value=0.3),
    "steps": optim.SGD(lr=optim.steps(0.1, 6, 0.5)),
    "exponential": optim.SGD(lr=optim.exponential(0.1, 0.9)),
    "cosine": optim.SGD(lr=optim.cosine(0.1, 25, end=0.01)),
    "linear": optim.SGD(lr=optim.linear(0.01, 0.1, 12)),
    "sequence": optim.SGD(lr=optim.sequence((0.05, 8), optim.exponential(0.1, 0.8))),
    "clip norm": optim.chain(optim.clip_norm(0.4), optim.SGD(lr=0.1, momentum=0.5)),
    "clip value": optim.chain(optim.clip_value(0.05), optim.SGD(lr=0.1, momentum=0.5)),
}


def test_every_case_of_torch_is_looked_at(training):
    assert {key.split("/")[0] for key in training.golden if "/" in key} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_agree_with_torch(training, name):
    step = training.compile(CASES[name])
    state = step.init(training.start)
    losses, found = [], []
    for number in range(1, 21):
        losses.append(step(state, training.X, training.Y))
        if number in KEPT:
            found.append(training.flat(state))
    np.testing.assert_allclose(found, training.golden[f"{name}/params"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(losses, training.golden[f"{name}/loss"], rtol=0, atol=1e-10)
    assert state.step == 20


@pytest.mark.parametrize("decay", [0, 0.1])
def test_lion_does_what_its_paper_says(training, decay):
    """Algorithm 2 of https://arxiv.org/abs/2302.06675, with NumPy."""
    lr, beta1, beta2 = 0.01, 0.9, 0.99
    step = training.compile(optim.Lion(lr=lr, weight_decay=decay))
    state = step.init(training.start)
    w1, b1, w2, b2 = theta = [training.start[p].copy() for p in training.params]
    mean = [np.zeros_like(v) for v in theta]
    for _ in range(20):
        h = np.tanh(training.X @ w1.T + b1[:, 0])
        e = (h @ w2.T + b2[:, 0] - training.Y) / len(training.X)
        d = (e @ w2) * (1 - h * h)
        gradients = [d.T @ training.X, d.sum(0)[:, None], e.T @ h, e.sum(0)[:, None]]
        for value, m, gradient in zip(theta, mean, gradients, strict=True):
            change = np.sign(beta1 * m + (1 - beta1) * gradient)
            value -= lr * (change + decay * value)
            m[:] = beta2 * m + (1 - beta2) * gradient
        step(state, training.X, training.Y)
    np.testing.assert_allclose(training.flat(state), np.concatenate([v.ravel() for v in theta]), atol=1e-10)
