"""Blocks and slices of symbolic sizes: one program for any size, sizes checked against each other."""

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose

import symprop
from symprop.declare.printing import text

n, m = sp.symbols("n m", integer=True, positive=True)
A, B, C = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, m), sp.MatrixSymbol("C", m, m)
x, y = sp.MatrixSymbol("x", n, 1), sp.MatrixSymbol("y", m, 1)
WHOLE, COLUMN = sp.BlockMatrix([[A, B], [B.T, C]]), sp.BlockMatrix([[x], [y]])


def test_a_quadratic_form_of_blocks():
    f = symprop.compile(symprop.scalar(COLUMN.T * WHOLE * COLUMN), [A, B, C, x, y])
    rng = np.random.default_rng(5)
    for p, q in ((3, 2), (1, 4), (17, 30)):
        a, b, c = rng.normal(size=(p, p)), rng.normal(size=(p, q)), rng.normal(size=(q, q))
        u, v = rng.normal(size=p), rng.normal(size=q)
        whole, line = np.block([[a, b], [b.T, c]]), np.concatenate([u, v])
        value, (_, by_b, _, by_x, by_y) = f.value_and_grad(a, b, c, u, v)
        assert_allclose(value, line @ whole @ line, rtol=1e-11, atol=1e-12)
        assert_allclose(by_b, 2 * np.outer(u, v), rtol=1e-13, atol=1e-14)
        assert_allclose(np.concatenate([by_x, by_y]), (whole + whole.T) @ line, rtol=1e-12, atol=1e-12)
    with pytest.raises(symprop.ShapeError, match="the size"):
        f(a, b, c, u, v[:-1])


def test_differences_of_neighbours():
    step = x[1:, :] - x[:-1, :]
    loss = symprop.scalar(step.T * step)
    f = symprop.compile(loss, [x])
    for size in (2, 9):
        at = np.random.default_rng(size).normal(size=size)
        value, (slope,) = f.value_and_grad(at)
        d = np.diff(at)
        assert_allclose(value, d @ d, rtol=1e-14)
        assert_allclose(slope, 2 * (np.append(0, d) - np.append(d, 0)), rtol=1e-13, atol=1e-14)
    assert text(symprop.grad(loss, x)).count("BlockMatrix") == 2


def test_blocks_of_blocks_print_as_one_matrix():
    assert text(COLUMN) == "BlockMatrix([[x], [y]])"
    assert text(WHOLE) == "BlockMatrix([[A, B], [B.T, C]])"
    assert text(sp.BlockMatrix([[x], [sp.ZeroMatrix(m, 1)]])) == "BlockMatrix([[x], [0]])"
    overlapping = sp.BlockMatrix([[x], [sp.ZeroMatrix(1, 1)]]) + sp.BlockMatrix([[sp.ZeroMatrix(1, 1)], [x]])
    assert text(overlapping) == "BlockMatrix([[x], [0]]) + BlockMatrix([[0], [x]])"
    graph = symprop.Graph([(sp.MatrixSymbol("v", n + m, 1), COLUMN)])
    assert symprop.Graph(graph.equations).nodes[graph.outputs[0]].shape == (n + m, 1)
