"""Random formulas through the whole pipeline, against sympy's own derivatives evaluated with mpmath."""

import itertools

import mpmath as mp
import numpy as np
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symprop
from symprop import nn

X = sp.symbols("x0:3", real=True)
UNARY = [
    sp.sin,
    sp.cos,
    sp.tanh,
    sp.atan,
    sp.erf,
    sp.asinh,
    lambda a: sp.exp(-(a**2)),
    lambda a: sp.log(1 + a**2),
    lambda a: sp.sqrt(1 + a**2),
    lambda a: 1 / (2 + sp.cos(a)),
    lambda a: 1 / (1 + sp.exp(-a)),
    lambda a: a**3,
    lambda a: sp.cosh(sp.sin(a)),
]

leaves = st.sampled_from([*X, sp.Rational(1, 3), sp.Integer(2), sp.pi, -X[0]])
scalars = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(UNARY), inner).map(lambda p: p[0](p[1])),
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1] / 3),
    ),
    max_leaves=9,
)
points = st.tuples(*[st.floats(-2, 2, allow_nan=False, width=16) for _ in X])


def exact(expression, point):
    """The value with mpmath at 40 digits."""
    with mp.workdps(40):
        function = sp.lambdify(X, expression, modules="mpmath")
        return function(*[mp.mpf(float(p)) for p in point])


@settings(max_examples=120, deadline=None, derandomize=True)
@given(scalars, points)
def test_scalar_formulas(expression, point):
    f = symprop.compile(expression, args=list(X), wrt=list(X))
    value, grads = f.value_and_grad(*point)
    size = 1 + float(sum(abs(exact(a, point)) for a in sp.preorder_traversal(expression)))
    assert abs(value - exact(expression, point)) <= 1e-13 * size
    for x, g in zip(X, grads, strict=True):
        right = exact(sp.diff(expression, x), point)
        assert abs(g - right) <= 1e-12 * size * (1 + abs(float(right)))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.lists(st.sampled_from(["tanh", "sigmoid", "softplus", "silu", "gelu"]), min_size=4, max_size=4),
    st.booleans(),
    st.integers(0, 1000),
)
def test_networks_of_matrices(sizes, activations, shared, seed):
    """A network of random depth and width against its entries written out, differentiated by sympy."""
    x = sp.MatrixSymbol("x", sizes[0], 1)
    params, below = [], x
    for k, (columns, rows) in enumerate(itertools.pairwise(sizes)):
        params += [sp.MatrixSymbol(f"W{k}", rows, columns), sp.MatrixSymbol(f"b{k}", rows, 1)]
        below = getattr(nn, activations[k])(params[-2] * below + params[-1])
    loss = nn.mse_loss(below, sp.ones(sizes[-1], 1)) + (nn.logsumexp(below) if shared else 0)
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=tuple(map(int, p.shape))) for p in params]
    point = rng.normal(size=(sizes[0], 1))
    f = symprop.compile(loss, args=[*params, x], wrt=params)
    value, grads = f.value_and_grad(*arrays, point)

    def by_entries(arrays):
        h = mp.matrix(point.tolist())
        for k in range(len(params) // 2):
            a = mp.matrix(arrays[2 * k]) * h + mp.matrix(arrays[2 * k + 1])
            h = a.apply(FORMULAS[activations[k]])
        total = sum((v - 1) ** 2 for v in h) / len(h)
        return total + (mp.log(sum(mp.exp(v) for v in h)) if shared else 0)

    with mp.workdps(40):
        assert abs(value - by_entries([a.tolist() for a in arrays])) <= 1e-13 * (1 + abs(value))
        for k, g in enumerate(grads):
            i, j = (int(rng.integers(s)) for s in arrays[k].shape)

            def moved(h, k=k, i=i, j=j):
                lists = [[[mp.mpf(v) for v in row] for row in a.tolist()] for a in arrays]
                lists[k][i][j] += h
                return by_entries(lists)

            step = mp.mpf(10) ** -12
            slope = (moved(step) - moved(-step)) / (2 * step)
            assert abs(g[i, j] - slope) <= 1e-12 * (1 + abs(slope))


FORMULAS = {
    "tanh": mp.tanh,
    "sigmoid": lambda v: 1 / (1 + mp.exp(-v)),
    "softplus": lambda v: mp.log(1 + mp.exp(v)),
    "silu": lambda v: v / (1 + mp.exp(-v)),
    "gelu": lambda v: v * (1 + mp.erf(v / mp.sqrt(2))) / 2,
}
