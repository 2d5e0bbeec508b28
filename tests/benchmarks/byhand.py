"""The workloads as a careful NumPy user writes them: whole arrays, work in place, shared terms computed once.

The same functions in float64 are the references that every result is checked against;
`test_byhand.py` compares their gradients with differences of their values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

Array = Any


# -- multilayer perceptrons, a batch at a time ---------------------------------------------------------------


def network(params: Sequence[Array], x: Array, labels: Array, activation: str) -> tuple[Any, list[Array]]:
    """Mean softmax cross-entropy and its gradients; `params` are W (out, in), b (out, 1) in turn."""
    layers = [(params[k], params[k + 1].ravel()) for k in range(0, len(params), 2)]
    hidden, rows = [x], np.arange(len(x))
    for weight, bias in layers:
        z = hidden[-1] @ weight.T
        z += bias
        if len(hidden) < len(layers):
            if activation == "relu":
                np.maximum(z, 0, out=z)
            else:
                np.tanh(z, out=z)
        hidden.append(z)
    z = hidden.pop()
    picked = z[rows, labels]
    top = z.max(axis=1)
    z -= top[:, None]
    np.exp(z, out=z)
    total = z.sum(axis=1)
    loss = float(np.mean(np.log(total) + top - picked))
    z /= total[:, None]
    z[rows, labels] -= 1
    z /= len(x)
    grads: list[Array] = []
    upstream = z
    for (weight, _), below in zip(reversed(layers), reversed(hidden), strict=True):
        grads += [upstream.sum(axis=0)[:, None], upstream.T @ below]
        if below is not x:
            upstream = upstream @ weight
            if activation == "relu":
                upstream *= below > 0
            else:
                slope = below * below
                np.subtract(1, slope, out=slope)
                upstream *= slope
    return loss, grads[::-1]


def trainer(
    params: Sequence[Array], x: Array, labels: Array, activation: str, adam: bool, rate: float
) -> Callable[[], Any]:
    """A call that makes one step of Adam, or of gradient descent, in place, and gives the loss before it."""
    first, second = ([np.zeros_like(p) for p in params] for _ in range(2))
    number = params[0].dtype.type
    count = 0

    def step() -> Any:
        nonlocal count
        count += 1
        loss, grads = network(params, x, labels, activation)
        scale, shift = number(rate / (1 - 0.9**count)), number(1 / (1 - 0.999**count))
        for p, g, m, v in zip(params, grads, first, second, strict=True):
            if not adam:
                g *= number(rate)
                p -= g
                continue
            m *= number(0.9)
            m += number(0.1) * g
            v *= number(0.999)
            g *= g
            g *= number(0.001)
            v += g
            np.multiply(v, shift, out=g)
            np.sqrt(g, out=g)
            g += number(1e-8)
            np.divide(m, g, out=g)
            g *= scale
            p -= g
        return loss

    return step


# -- the 3-4-4-2 network -------------------------------------------------------------------------------------


def one_sample(params: Sequence[Array], x: Array, target: Array) -> tuple[Any, list[Array]]:
    """Loss and gradients of the 3-4-4-2 tanh network for one sample; vectors are one-dimensional."""
    w1, b1, w2, b2, w3, b3 = params
    h1 = np.tanh(w1 @ x + b1)
    h2 = np.tanh(w2 @ h1 + b2)
    z = w3 @ h2 + b3
    e = np.exp(z - z.max())
    total = e.sum()
    loss = math.log(total) + z.max() - z @ target
    d3 = e / total - target
    d2 = (d3 @ w3) * (1 - h2 * h2)
    d1 = (d2 @ w2) * (1 - h1 * h1)
    return loss, [
        d1[:, None] * x, d1,
        d2[:, None] * h1, d2,
        d3[:, None] * h2, d3,
    ]  # fmt: skip


def many_samples(params: Sequence[Array], x: Array, target: Array, total: bool) -> tuple[Any, list[Array]]:
    """The same for x (N, 3) and target (N, 2): summed over the samples, or one of each per sample."""
    w1, b1, w2, b2, w3, b3 = params
    h1 = x @ w1.T
    h1 += b1
    np.tanh(h1, out=h1)
    h2 = h1 @ w2.T
    h2 += b2
    np.tanh(h2, out=h2)
    z = h2 @ w3.T
    z += b3
    top = z.max(axis=1)
    score = np.einsum("ni,ni->n", z, target)
    z -= top[:, None]
    np.exp(z, out=z)
    each = z.sum(axis=1)
    loss = np.log(each) + top - score
    z /= each[:, None]
    z -= target
    slope = h2 * h2
    np.subtract(1, slope, out=slope)
    d2 = z @ w3
    d2 *= slope
    slope = h1 * h1
    np.subtract(1, slope, out=slope)
    d1 = d2 @ w2
    d1 *= slope
    if total:
        return loss.sum(), [d1.T @ x, d1.sum(0), d2.T @ h1, d2.sum(0), z.T @ h2, z.sum(0)]
    return loss, [
        d1[:, :, None] * x[:, None, :], d1,
        d2[:, :, None] * h1[:, None, :], d2,
        z[:, :, None] * h2[:, None, :], z,
    ]  # fmt: skip


# -- elementwise ---------------------------------------------------------------------------------------------


def activation(x: Array) -> tuple[Array, Array]:
    """gelu(x) sigmoid(1.702 x) + softplus(x) and its derivative."""
    dtype = x.dtype.type
    cdf = special.ndtr(x)
    pdf = x * x
    pdf *= dtype(-0.5)
    np.exp(pdf, out=pdf)
    pdf *= dtype(1 / math.sqrt(2 * math.pi))
    scale = dtype(1.702)
    gate = special.expit(scale * x)
    gelu = x * cdf
    value = gelu * gate
    slope = gelu
    slope *= gate
    slope *= 1 - gate
    slope *= scale
    pdf *= x
    pdf += cdf
    pdf *= gate
    slope += pdf
    slope += special.expit(x)
    value += np.maximum(x, 0)
    tail = np.abs(x)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    np.log1p(tail, out=tail)
    value += tail
    return value, slope


# -- growing expressions -------------------------------------------------------------------------------------


def chain(v: Array) -> tuple[float, Array]:
    """s = v[n]; s = sin(s) v[k] + s for k = 0 .. n-1: a loop over numbers, which NumPy cannot shorten."""
    n = len(v) - 1
    factors = v.tolist()
    s = factors[n]
    sines, slopes = [0.0] * n, [0.0] * n
    for k in range(n):
        sines[k], slopes[k] = math.sin(s), math.cos(s) * factors[k] + 1.0
        s += sines[k] * factors[k]
    grad, adjoint = np.empty(n + 1), 1.0
    for k in range(n - 1, -1, -1):
        grad[k] = adjoint * sines[k]
        adjoint *= slopes[k]
    grad[n] = adjoint
    return s, grad


def product(v: Array) -> tuple[float, Array]:
    """The product of all entries; its gradient by products before and after each, without division."""
    before, after = np.ones_like(v), np.ones_like(v)
    np.cumprod(v[:-1], out=before[1:])
    after[:-1] = np.cumprod(v[:0:-1])[::-1]
    return float(before[-1] * v[-1]), before * after


def scalar_network(v: Array, x: Array) -> tuple[float, Array]:
    """A tanh network n-n-n-1 whose weights lie in `v`: W1 (in, out), b1, W2, b2, w3, b3."""
    n = len(x)
    w1, b1, w2, b2, w3, b3 = np.split(v, np.cumsum([n * n, n, n * n, n, n]))
    w1, w2 = w1.reshape(n, n), w2.reshape(n, n)
    h1 = np.tanh(x @ w1 + b1)
    h2 = np.tanh(h1 @ w2 + b2)
    d2 = w3 * (1 - h2 * h2)
    d1 = (w2 @ d2) * (1 - h1 * h1)
    grad = np.empty_like(v)
    parts = np.split(grad, np.cumsum([n * n, n, n * n, n, n]))
    np.multiply(x[:, None], d1, out=parts[0].reshape(n, n))
    np.multiply(h1[:, None], d2, out=parts[2].reshape(n, n))
    parts[1][:], parts[3][:], parts[4][:], parts[5][:] = d1, d2, h2, 1.0
    return float(h2 @ w3 + b3[0]), grad


ByHand = Callable[..., tuple[Any, Any]]
