"""Identities of matrix calculus: gradients, Jacobians and Hessians against the derivative by hand.

The whole collection is read where the environment variable SYMPROP_REFERENCE names its folder.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from symprop.declare import as_graph
from symprop.differentiate import grad, hessian, jacobian
from symprop.graph.evaluate import evaluate

n, m = 4, 3
t = sp.Symbol("t")
a, b, x, y = (sp.MatrixSymbol(name, n, 1) for name in "abxy")
u = sp.MatrixSymbol("u", m, 1)
A, B, C, X = (sp.MatrixSymbol(name, n, n) for name in "ABCX")
M, W = sp.MatrixSymbol("M", n, m), sp.MatrixSymbol("W", m, n)
row = sp.OneMatrix(1, n)
tr = sp.Trace


def each(function, matrix):
    return matrix.applyfunc(sp.Lambda(t, function(t)))


def shares(column):
    return each(sp.exp, column) / tr(row * each(sp.exp, column))


# (id, kind, expression, variable, derivative); from textbooks (Petersen and Pedersen, The Matrix Cookbook)
ALWAYS = [
    ("bilinear", "grad", tr(a.T * X * b), X, a * b.T),
    ("quadratic", "grad", tr(x.T * A * x), x, (A + A.T) * x),
    ("quartic", "grad", tr(a.T * X.T * A * X * b), X, A.T * X * a * b.T + A * X * b * a.T),
    ("residual", "grad", tr((M * u - a).T * (M * u - a)), u, 2 * M.T * (M * u - a)),
    ("square", "grad", tr(X * X * B), X, (X * B + B * X).T),
    ("congruence", "grad", tr(B * X.T * X), X, X * (B + B.T)),
    ("fit", "grad", tr((A * X * B + C) * (A * X * B + C).T), X, 2 * A.T * (A * X * B + C) * B.T),
    ("norm", "grad", sp.sqrt(tr(x.T * x)), x, x / sp.sqrt(tr(x.T * x))),
    ("hadamard", "grad", tr(sp.HadamardProduct(X, X).T * A), X, 2 * sp.HadamardProduct(A, X)),
    ("entropy", "grad", tr(row * each(lambda q: q * sp.log(q), x)), x, each(lambda q: sp.log(q) + 1, x)),
    ("log-sum-exp", "grad", sp.log(tr(row * each(sp.exp, x))) - tr(y.T * x), x, shares(x) - y),
    ("linear map", "jac", A * x, x, A),
    ("softmax", "jac", shares(x), x, sp.DiagMatrix(shares(x)) - shares(x) * shares(x).T),
    ("scaled", "jac", x * tr(x.T * a), x, tr(x.T * a) * sp.Identity(n) + x * a.T),
    ("gauss", "hess", sp.exp(tr(a.T * x)), x, a * a.T * sp.exp(tr(a.T * x))),
    ("quartic norm", "hess", tr(x.T * x) ** 2, x, 4 * tr(x.T * x) * sp.Identity(n) + 8 * x * x.T),
]
CALLS = {"grad": grad, "scalar": grad, "jac": jacobian, "hess": hessian}


def value(expression, at):
    graph = as_graph(expression)
    return evaluate([graph.nodes[graph.outputs[0]]], at)[0]


def symbols(*expressions):
    found, todo = {}, list(expressions)
    while todo:
        part = todo.pop()
        if isinstance(part, sp.Symbol | sp.MatrixSymbol):
            found[part] = None
        else:
            todo.extend(part.args)
    return sorted(found, key=str)


def agree(kind, expression, wrt, derivative, condition="pos"):
    rng = np.random.default_rng(11)
    at = {}
    for s in symbols(expression, derivative, wrt):
        entry = (
            rng.normal(size=tuple(map(int, s.shape))) if isinstance(s, sp.MatrixSymbol) else rng.uniform(1, 2)
        )
        if condition == "pos":
            entry = np.abs(entry) + 0.1
        if np.ndim(entry) == 2 and entry.shape == (n, n) and condition.startswith("spd"):
            entry = entry @ entry.T + np.eye(n)
        at[s] = entry
    found = CALLS[kind](expression, wrt)
    expected = value(derivative, at)
    assert np.abs(value(found, at) - expected).max() <= 1e-12 * np.abs(expected).max()
    assert not found.has(sp.Derivative, sp.Subs, sp.Sum)


@pytest.mark.parametrize(
    ("kind", "expression", "wrt", "derivative"), [i[1:] for i in ALWAYS], ids=[i[0] for i in ALWAYS]
)
def test_identities(kind, expression, wrt, derivative):
    agree(kind, expression, wrt, derivative)


def collection():
    path = Path(os.environ.get("SYMPROP_REFERENCE", "")) / "matrix_identities.py"
    if not os.environ.get("SYMPROP_REFERENCE") or not path.exists():
        return []
    spec = importlib.util.spec_from_file_location("matrix_identities", path)
    module = importlib.util.module_from_spec(spec)
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = keep
    return module.IDENTITIES


COLLECTION = collection()


@pytest.mark.skipif(
    not COLLECTION, reason="SYMPROP_REFERENCE does not name the folder of matrix_identities.py"
)
@pytest.mark.parametrize("identity", COLLECTION, ids=[d["id"] for d in COLLECTION])
def test_the_whole_collection(identity):
    agree(identity["kind"], identity["expr"], identity["wrt"], identity["deriv"], identity["cond"])
