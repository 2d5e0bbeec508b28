"""Networks that are written over a whole batch: values against NumPy, gradients against its differences.

The number of rows of the batch is a symbol, bound by the arrays of each call.
"""

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

n = sp.Symbol("n", integer=True, positive=True)
EPS = sp.Rational(1, 10**5)
product = sp.HadamardProduct


def ones(rows, columns):
    return sp.OneMatrix(rows, columns)


def column_means(X):
    """The mean of each column, in every row."""
    rows = X.shape[0]
    return ones(rows, rows) * X / rows


def row_means(X):
    columns = X.shape[1]
    return X * ones(columns, columns) / columns


def total(X):
    return symprop.scalar(ones(1, X.shape[0]) * X * ones(X.shape[1], 1))


def inverse_root(X):
    t = sp.Dummy("t")
    return X.applyfunc(sp.Lambda(t, 1 / sp.sqrt(t + EPS)))


def differences(function, arrays, at, step=1e-6):
    """The gradient of a scalar NumPy function with respect to one of its arrays."""
    result = np.zeros_like(arrays[at])
    for index in np.ndindex(result.shape):
        values = []
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[at][index] += sign * step
            values.append(function(*moved))
        result[index] = (values[0] - values[1]) / (2 * step)
    return result


def check(target, symbols, arrays, numpy, wrt=None, rtol=1e-7):
    """The compiled value and gradients are those of the NumPy function."""
    wrt = list(symbols) if wrt is None else wrt
    function = symprop.compile(target, list(symbols), wrt=wrt)
    value, grads = function.value_and_grad(*arrays)
    np.testing.assert_allclose(value, numpy(*arrays), rtol=1e-12)
    for symbol, grad in zip(wrt, grads, strict=True):
        right = differences(numpy, arrays, list(symbols).index(symbol))
        np.testing.assert_allclose(
            grad, right, rtol=rtol, atol=1e-7 * (1 + np.abs(right).max()), err_msg=symbol.name
        )
    return function


def data(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def np_softmax_loss(Z, Y):
    Z = Z - Z.max(1, keepdims=True)
    return -np.mean(np.sum(Y * (Z - np.log(np.exp(Z).sum(1, keepdims=True))), 1))


@pytest.mark.parametrize("size", [1, 5, 12])
def test_a_perceptron_on_a_whole_batch(size):
    X, Y = sp.MatrixSymbol("X", n, 6), sp.MatrixSymbol("Y", n, 3)
    W1, b1 = sp.MatrixSymbol("W1", 6, 8), sp.MatrixSymbol("b1", 1, 8)
    W2, b2 = sp.MatrixSymbol("W2", 8, 3), sp.MatrixSymbol("b2", 1, 3)
    H = sp.MatrixSymbol("H", n, 8)
    L = sp.Symbol("L")
    graph = symprop.Graph(
        [
            (H, nn.tanh(X * W1 + ones(n, 1) * b1)),
            (L, -total(product(Y, nn.log_softmax(H * W2 + ones(n, 1) * b2, dim=1))) / n),
        ]
    )
    arrays = data((size, 6), (size, 3), (6, 8), (1, 8), (8, 3), (1, 3))
    arrays[1] = np.eye(3)[np.arange(size) % 3]

    def numpy(X, Y, W1, b1, W2, b2):
        return np_softmax_loss(np.tanh(X @ W1 + b1) @ W2 + b2, Y)

    check(graph, [X, Y, W1, b1, W2, b2], arrays, numpy, [W1, b1, W2, b2, X])


def test_one_function_serves_every_size():
    X, W = sp.MatrixSymbol("X", n, 4), sp.MatrixSymbol("W", 4, 2)
    function = symprop.compile(total(nn.relu(X * W)) / n, [X, W], wrt=[W])
    for size in (3, 1, 8, 3):
        x, w = data((size, 4), (4, 2), seed=size)
        value, (grad,) = function.value_and_grad(x, w)
        np.testing.assert_allclose(value, np.maximum(x @ w, 0).sum() / size, rtol=1e-13)
        np.testing.assert_allclose(grad, x.T @ (x @ w > 0) / size, rtol=1e-13)


@pytest.mark.parametrize("size", [4, 9])
def test_batch_normalisation(size):
    X, C = sp.MatrixSymbol("X", n, 4), sp.MatrixSymbol("C", n, 4)
    g, b = sp.MatrixSymbol("g", 1, 4), sp.MatrixSymbol("b", 1, 4)
    D, V, Y = (sp.MatrixSymbol(k, n, 4) for k in "DVY")
    graph = symprop.Graph(
        [
            (D, X - column_means(X)),
            (V, column_means(product(D, D))),
            (Y, product(ones(n, 1) * g, D, inverse_root(V)) + ones(n, 1) * b),
            (sp.Symbol("L"), total(product(C, Y))),
        ]
    )

    def numpy(X, C, g, b):
        scaled = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5)
        return np.sum(C * (scaled * g + b))

    check(graph, [X, C, g, b], data((size, 4), (size, 4), (1, 4), (1, 4)), numpy, [X, g, b])


def test_layer_normalisation_of_rows():
    X, C = sp.MatrixSymbol("X", n, 6), sp.MatrixSymbol("C", n, 6)
    g, b = sp.MatrixSymbol("g", 1, 6), sp.MatrixSymbol("b", 1, 6)
    D, Y = sp.MatrixSymbol("D", n, 6), sp.MatrixSymbol("Y", n, 6)
    graph = symprop.Graph(
        [
            (D, X - row_means(X)),
            (Y, product(D, inverse_root(row_means(product(D, D))), ones(n, 1) * g) + ones(n, 1) * b),
            (sp.Symbol("L"), total(product(C, Y))),
        ]
    )

    def numpy(X, C, g, b):
        centred = X - X.mean(1, keepdims=True)
        return np.sum(C * (centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * g + b))

    check(graph, [X, C, g, b], data((5, 6), (5, 6), (1, 6), (1, 6)), numpy, [X, g, b])


def test_layer_normalisation_of_one_sample_in_a_batch():
    x, c = sp.MatrixSymbol("x", 6, 1), sp.MatrixSymbol("c", 6, 1)
    g, b = sp.MatrixSymbol("g", 6, 1), sp.MatrixSymbol("b", 6, 1)
    d, v = sp.MatrixSymbol("d", 6, 1), sp.Symbol("v")
    graph = symprop.Graph(
        [
            (d, x - ones(6, 6) * x / 6),
            (v, symprop.scalar(d.T * d) / 6),
            (sp.Symbol("L"), symprop.scalar(c.T * (product(g, d) / sp.sqrt(v + EPS) + b))),
        ]
    )
    function = symprop.compile(graph, [x, c, g, b], batch=[x, c], reduce="mean", wrt=[x, g, b])
    X, C, G, B = data((7, 6), (7, 6), (6,), (6,))

    def numpy(X, C, G, B):
        centred = X - X.mean(1, keepdims=True)
        return np.sum(C * (centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * G + B)) / 7

    value, (by_x, by_g, by_b) = function.value_and_grad(X, C, G, B)
    np.testing.assert_allclose(value, numpy(X, C, G, B), rtol=1e-13)
    np.testing.assert_allclose(by_x, differences(numpy, [X, C, G, B], 0), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(by_g, differences(numpy, [X, C, G, B], 2), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(by_b, differences(numpy, [X, C, G, B], 3), rtol=1e-7, atol=1e-8)


def test_residual_connections_with_shared_weights():
    X, W, V = sp.MatrixSymbol("X", n, 5), sp.MatrixSymbol("W", 5, 5), sp.MatrixSymbol("V", 5, 5)
    H = [sp.MatrixSymbol(f"H{k}", n, 5) for k in range(4)]
    equations = [(H[0], nn.tanh(X * W) + X)]
    for k in range(1, 4):  # the same weights in every layer
        equations.append((H[k], H[k - 1] + nn.silu(H[k - 1] * W) * V))
    graph = symprop.Graph([*equations, (sp.Symbol("L"), total(product(H[3], H[3])) / n)])

    def numpy(X, W, V):
        h = np.tanh(X @ W) + X
        for _ in range(3):
            z = h @ W
            h = h + z / (1 + np.exp(-z)) @ V
        return np.sum(h**2) / len(X)

    arrays = data((6, 5), (5, 5), (5, 5))
    check(graph, [X, W, V], [arrays[0], 0.3 * arrays[1], 0.3 * arrays[2]], numpy)


def test_tied_weights_of_an_autoencoder():
    X, W = sp.MatrixSymbol("X", n, 7), sp.MatrixSymbol("W", 7, 3)
    b, c = sp.MatrixSymbol("b", 1, 3), sp.MatrixSymbol("c", 1, 7)
    code = nn.sigmoid(X * W + ones(n, 1) * b)
    rest = code * W.T + ones(n, 1) * c - X
    target = sp.Trace(rest.T * rest) / n

    def numpy(X, W, b, c):
        code = 1 / (1 + np.exp(-(X @ W + b)))
        return np.sum((code @ W.T + c - X) ** 2) / len(X)

    function = check(target, [X, W, b, c], data((5, 7), (7, 3), (1, 3), (1, 7)), numpy, [W, b, c, X])
    assert "W" in str(function.gradient[W])


def test_penalties_beside_a_batched_loss():
    x, y = sp.MatrixSymbol("x", 4, 1), sp.Symbol("y", integer=True)
    W, V = sp.MatrixSymbol("W", 3, 4), sp.MatrixSymbol("V", 3, 3)
    lam, mu = sp.symbols("lambda mu")
    squares = sp.Trace(W.T * W) + sp.Trace(V.T * V)
    sizes = total(W.applyfunc(sp.Abs)) + total(V.applyfunc(sp.Abs))
    target = nn.cross_entropy(V * nn.tanh(W * x), y) + lam * squares / 2 + mu * sizes
    arguments = [x, y, W, V, lam, mu]
    function = symprop.compile(target, arguments, batch=[x, y], reduce="mean", wrt=[W, V, lam, mu])
    X, w, v = data((9, 4), (3, 4), (3, 3))
    Y = np.arange(9) % 3
    w[0, 0] = 0.0  # at zero the derivative of the size is zero

    def numpy(w, v, lam, mu):
        loss = np_softmax_loss(np.tanh(X @ w.T) @ v.T, np.eye(3)[Y])
        return loss + lam * (np.sum(w**2) + np.sum(v**2)) / 2 + mu * (np.abs(w).sum() + np.abs(v).sum())

    arrays = [w, v, np.array(0.3), np.array(0.2)]
    value, grads = function.value_and_grad(X, Y, w, v, 0.3, 0.2)
    np.testing.assert_allclose(value, numpy(*arrays), rtol=1e-13)
    for k, grad in enumerate(grads):
        np.testing.assert_allclose(grad, differences(numpy, arrays, k), rtol=1e-7, atol=1e-8)


def test_attention():
    Q, K, V = sp.MatrixSymbol("Q", n, 3), sp.MatrixSymbol("K", 5, 3), sp.MatrixSymbol("V", 5, 6)
    C = sp.MatrixSymbol("C", n, 6)
    target = total(product(C, nn.softmax(Q * K.T / sp.sqrt(3), dim=1) * V))

    def numpy(Q, K, V, C):
        scores = np.exp(Q @ K.T / np.sqrt(3))
        return np.sum(C * (scores / scores.sum(1, keepdims=True) @ V))

    check(target, [Q, K, V, C], data((4, 3), (5, 3), (5, 6), (4, 6)), numpy)


def test_a_bilinear_form_and_a_learned_slope_per_column():
    A, B, M = sp.MatrixSymbol("A", n, 3), sp.MatrixSymbol("B", n, 2), sp.MatrixSymbol("M", 3, 2)
    s, beta = sp.MatrixSymbol("s", 1, 2), sp.Symbol("beta")
    slopes = ones(n, 1) * s
    target = total(product(nn.prelu(A * M, slopes), nn.swish(B, beta)))

    def numpy(A, B, M, s, beta):
        z = A @ M
        return np.sum(np.where(z > 0, z, s * z) * B / (1 + np.exp(-beta * B)))

    check(target, [A, B, M, s, beta], [*data((5, 3), (5, 2), (3, 2), (1, 2)), np.array(0.7)], numpy)


def test_piecewise_entries_in_sums_and_products():
    """The branch not taken brings no NaN through applyfunc, products and sums."""
    X, A = sp.MatrixSymbol("X", n, 3), sp.MatrixSymbol("A", 3, 3)
    t = sp.Symbol("t")
    guarded = sp.Lambda(t, sp.Piecewise((sp.sqrt(t) * sp.log(t), t > 0), (0, True)))
    target = total(X.applyfunc(guarded) * A) + total(product(X.applyfunc(guarded), X))

    def numpy(X, A):
        with np.errstate(all="ignore"):
            value = np.where(X > 0, np.sqrt(X) * np.log(X), 0)
        return np.sum(value @ A) + np.sum(value * X)

    x = np.array([[-1.0, 0.5, 2.0], [-3.0, -0.2, 1.5]])
    function = check(target, [X, A], [x, data((3, 3))[0]], numpy)
    value, (by_x, by_a) = function.value_and_grad(np.zeros((2, 3)), np.ones((3, 3)))
    assert value == 0 and not by_x.any() and not by_a.any()
    column = sp.MatrixSymbol("x", 3, 1)
    scalar = symprop.scalar(column.T * A * column.applyfunc(guarded))
    hessian = symprop.compile(symprop.hessian(scalar, column), [column, A])
    assert np.isfinite(hessian(np.array([-1.0, 0.0, 4.0]), np.ones((3, 3)))).all()


def test_a_batch_of_pictures():
    """X of shape n x 784: the gradient of a softmax regression is X.T (softmax - Y)/n."""
    X, Y = sp.MatrixSymbol("X", n, 784), sp.MatrixSymbol("Y", n, 10)
    W, b = sp.MatrixSymbol("W", 784, 10), sp.MatrixSymbol("b", 1, 10)
    Z = X * W + ones(n, 1) * b
    target = -total(product(Y, nn.log_softmax(Z, dim=1))) / n
    function = symprop.compile(target, [X, Y, W, b], wrt=[W, b])
    for size in (32, 5):
        x, w, c = data((size, 784), (784, 10), (1, 10), seed=size)
        y = np.eye(10)[np.arange(size) % 10]
        scores = x @ w / 28 + c
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        value, (by_w, by_b) = function.value_and_grad(x, y, w / 28, c)
        np.testing.assert_allclose(value, np_softmax_loss(scores, y), rtol=1e-12)
        np.testing.assert_allclose(by_w, x.T @ (p - y) / size, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(by_b, (p - y).sum(0, keepdims=True) / size, rtol=1e-10, atol=1e-14)


def test_an_empty_batch_and_a_divisor_that_is_zero():
    """A mean over no rows is NaN, and so is a variance over n - 1 of one row: 0/0, as in NumPy."""
    x, t = sp.MatrixSymbol("x", n, 1), sp.MatrixSymbol("t", n, 1)
    f = symprop.compile(nn.mse_loss(x, t), [x, t])
    assert np.isnan(f([], [])) and f([1.0], [3.0]) == 4.0
    assert f.grad([], [])[0].shape == (0,)
    centred = x - column_means(x)
    variance = symprop.compile(total(product(centred, centred)) / (n - 1), [x])
    assert np.isnan(variance([5.0])) and variance([1.0, 3.0]) == 2.0
    root = symprop.compile(sp.sqrt(n - 2) * total(x), [x])
    assert np.isnan(root([5.0])) and root([5.0, 1.0]) == 0.0
