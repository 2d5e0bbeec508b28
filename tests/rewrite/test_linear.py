"""Inverses and determinants become uses of one factorisation."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from symprop.declare import as_graph
from symprop.graph import topological
from symprop.graph.evaluate import evaluate
from symprop.rewrite import optimise

n = 4
A, B, C = (sp.MatrixSymbol(name, n, n) for name in "ABC")
b, c = sp.MatrixSymbol("b", n, 1), sp.MatrixSymbol("c", n, 1)
inv, tr, det = sp.Inverse, sp.Trace, sp.Determinant


def rewritten(*expressions):
    graph = as_graph(list(expressions))
    roots = [graph.nodes[o] for o in graph.outputs]
    lowered, report = optimise(graph.table, roots)
    rng = np.random.default_rng(1)
    at = {s: rng.normal(size=s.shape) if s.is_Matrix else rng.uniform(1, 2) for s in graph.inputs}
    for s in at:
        if s.shape == (n, n):
            at[s] = at[s] @ at[s].T + np.eye(n)
    for found, expected in zip(evaluate(lowered, at), evaluate(roots, at), strict=True):
        assert np.allclose(found, expected, rtol=1e-10)
    nodes = topological(lowered)
    return nodes, report.fired


def count(nodes, op):
    return sum(node.op == op for node in nodes)


PRODUCTS = {
    "on the left": inv(A) * b,
    "on the right": (b.T * inv(A)).T,
    "of the transpose": inv(A.T) * b,
    "transposed": sp.Transpose(inv(A)) * b,
    "with a scalar": (2 * inv(A)) * b,
    "twice": inv(A) * inv(A) * b,
    "of a sum": inv(A + B) * b,
    "a sum of inverses": (inv(A) + sp.Transpose(inv(A))) * b,
    "times a matrix": inv(A) * B,
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_with_an_inverse_is_a_solve(name):
    nodes, fired = rewritten(PRODUCTS[name])
    assert fired["product with an inverse"] >= 1
    assert count(nodes, "lu") == 1 and count(nodes, "inverse") == 0
    explicit = [s for s in nodes if s.op == "lu_solve" and s.args[1].op == "eye"]
    assert not explicit and count(nodes, "matmul") == 0


def test_one_factorisation_for_a_matrix_and_its_transpose():
    nodes, _ = rewritten(inv(A) * b, inv(A.T) * c, det(A), sp.log(det(A.T)), inv(A))
    assert count(nodes, "lu") == 1


def test_two_matrices_have_two():
    nodes, _ = rewritten(inv(A) * b, inv(B) * b)
    assert count(nodes, "lu") == 2


def test_the_logarithm_of_a_determinant_does_not_form_it():
    nodes, _ = rewritten(sp.log(det(A)))
    assert [s.attrs for s in nodes if s.op == "lu_determinant"] == [("sign",)]
    nodes, _ = rewritten(sp.log(sp.Abs(det(A))))
    assert count(nodes, "lu_determinant") == 0
    nodes, fired = rewritten(sp.log(det(A) * 3))  # a product stays
    assert "logarithm of a determinant" not in fired and count(nodes, "lu_determinant") == 1


def test_the_inverse_of_a_diagonal_matrix():
    nodes, fired = rewritten(inv(sp.DiagMatrix(b)) * c)
    assert fired["inverse of a diagonal matrix"] == 1 and count(nodes, "lu") == 0


def test_a_product_without_an_inverse_stays():
    nodes, fired = rewritten(A * b + B * c)
    assert "product with an inverse" not in fired and count(nodes, "matmul") == 2


def test_a_sum_with_an_inverse_times_a_wide_matrix_stays_whole():
    nodes, fired = rewritten((inv(A) + B) * C)
    assert "sum of inverses times a few columns" not in fired
    assert count(nodes, "matmul") == 1
