"""Inverse, determinant, cofactors, Kronecker products: reference values, shapes, formulas."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symprop.errors import ShapeError
from symprop.functions.symbols import named
from symprop.graph import OPERATIONS, NodeTable
from symprop.graph.evaluate import evaluate

A, B, C = (sp.MatrixSymbol(name, 3, 3) for name in "ABC")
ENTRIES = np.array([[0.5, 2.25, -1.0], [3.0, 0.125, 1.5], [-0.75, 1.0, 4.0]])
OTHER = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, 1.0], [2.0, 0.0, -1.5]])


def values(name, attrs=(), exact=False, arrays=(ENTRIES,)):
    table = NodeTable()
    node = table.make(name, [table.symbol(s) for s in (A, B, C)[: len(arrays)]], attrs)
    return evaluate([node], dict(zip((A, B, C), arrays, strict=False)), exact)[0]


@pytest.mark.parametrize("name", ["inverse", "determinant", "cofactor"])
def test_against_exact_arithmetic(name):
    exact = sp.Matrix(ENTRIES.tolist()).applyfunc(sp.nsimplify)
    made = {"inverse": exact.inv, "determinant": exact.det, "cofactor": exact.cofactor_matrix}[name]()
    expected = np.array(made.tolist(), float) if name != "determinant" else float(made)
    assert np.allclose(values(name), expected, rtol=1e-14)
    with mp.workdps(50):
        found = values(name, exact=True)
        wanted = np.array(made.tolist(), object) if name != "determinant" else np.array(made, object)
        for f, w in zip(found.ravel(), wanted.ravel(), strict=True):
            assert mp.almosteq(f, mp.mpf(w.p) / w.q, rel_eps=mp.mpf(10) ** -45)


def test_logarithms():
    assert np.isclose(values("log_determinant", ("abs",)), np.linalg.slogdet(ENTRIES)[1], rtol=1e-14)
    assert np.isnan(values("log_determinant", arrays=(-np.eye(3),)))
    with mp.workdps(40):
        assert mp.isnan(values("log_determinant", exact=True, arrays=(-np.eye(3),))[()])
        assert mp.almosteq(values("log_determinant", exact=True, arrays=(2 * np.eye(3),))[()], 3 * mp.log(2))
    assert values("log_determinant", arrays=(np.zeros((3, 3)),)) == -np.inf


def test_singular():
    ones = np.ones((3, 3))
    assert np.isnan(values("inverse", arrays=(ones,))).all()
    assert values("determinant", arrays=(ones,)) == 0
    assert np.array_equal(values("cofactor", arrays=(ones,)), np.zeros((3, 3)))
    slope = values("cofactor_slope", arrays=(ones, OTHER))
    exact = (sp.ones(3, 3) + sp.Symbol("t") * sp.Matrix(OTHER.tolist())).cofactor_matrix()
    expected = [
        [float(sp.Poly(e, sp.Symbol("t")).coeff_monomial(sp.Symbol("t"))) for e in r] for r in exact.tolist()
    ]
    assert np.allclose(slope, expected, atol=1e-14)


def test_kronecker():
    assert np.array_equal(values("kronecker", arrays=(ENTRIES, OTHER)), np.kron(ENTRIES, OTHER))


@pytest.mark.parametrize("name", ["inverse", "determinant", "log_determinant", "cofactor", "lu"])
def test_square_matrices_only(name):
    with pytest.raises(ShapeError, match=r"square matrix, found shape \(3, 2\)"):
        NodeTable().make(name, [NodeTable().symbol(sp.MatrixSymbol("M", 3, 2))])


def test_shapes_of_two():
    table = NodeTable()
    square, tall = table.symbol(A), table.symbol(sp.MatrixSymbol("M", 4, 2))
    for name, attrs in (("cofactor_slope", ()), ("lu_solve", (False,))):
        with pytest.raises(ShapeError, match=name):
            table.make(name, [square, tall], attrs)
    with pytest.raises(ShapeError, match="Kronecker"):
        table.make("kronecker", [square, table.symbol(sp.Symbol("s"))])


def test_formulas():
    assert named("cofactor", [A]).doit() == sp.Determinant(A) * sp.Transpose(sp.Inverse(A)).doit()
    assert named("cofactor", [A]).shape == (3, 3)
    at = sp.Matrix(ENTRIES.tolist()), sp.Matrix(OTHER.tolist())
    formula = named("cofactor_slope", [A, B]).doit().subs({A: at[0], B: at[1]}).doit()
    assert np.allclose(
        np.array(formula.tolist(), float), values("cofactor_slope", arrays=(ENTRIES, OTHER)), rtol=1e-12
    )
    twice = named("cofactor_slope", [A, B, C]).doit().subs({A: at[0], B: at[1], C: at[1].T}).doit()
    numbers = values("cofactor_slope", arrays=(ENTRIES, OTHER, OTHER.T))
    assert np.allclose(np.array(twice.tolist(), float), numbers, rtol=1e-12)
    for name in ("inverse", "determinant", "log_determinant", "cofactor", "cofactor_slope", "kronecker"):
        assert OPERATIONS[name].summary and OPERATIONS[name].source
