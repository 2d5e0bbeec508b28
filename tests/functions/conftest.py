import os
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from symprop.declare.intake import Intake
from symprop.differentiate import reverse
from symprop.graph import NodeTable
from symprop.graph.evaluate import evaluate

GOLDEN = (
    Path(__file__).parents[1] / "data" / "torch_golden.npz"
)  # torch 2.13, see tests/tools/make_torch_golden.py


@pytest.fixture(scope="session")
def torch_reference():
    """Values and gradients of torch in float64: all of them where SYMPROP_REFERENCE names the folder."""
    folder = os.environ.get("SYMPROP_REFERENCE")
    full = Path(folder) / "torch_reference.npz" if folder else None
    return np.load(full if full is not None and full.exists() else GOLDEN)


def _value_and_gradients(expression, values, wrt=(), cotangent=None, exact=False):
    """The value of an expression and the gradients of sum(value * cotangent), by reverse mode."""
    table = NodeTable()
    intake = Intake(table, {})
    target = intake.node(expression)
    nodes = [intake.node(symbol) for symbol in wrt]
    roots, known = [target], dict(values)
    if nodes:
        seed = table.constant(1)
        if target.shape or cotangent is not None:
            seed_symbol = (
                sp.MatrixSymbol("cotangent_", *target.shape) if target.shape else sp.Symbol("cotangent_")
            )
            seed = table.symbol(seed_symbol)
            known[seed_symbol] = (
                np.ones(target.shape) if cotangent is None else np.reshape(cotangent, target.shape)
            )
        adjoints = reverse.adjoints(table, target, nodes, seed)
        roots += [adjoints[node.serial] or table.full(0, node.shape) for node in nodes]
    found = evaluate(roots, known, exact)
    return found[0], found[1:]


@pytest.fixture(scope="session")
def value_and_gradients():
    return _value_and_gradients
