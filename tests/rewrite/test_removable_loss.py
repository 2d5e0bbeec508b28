"""What roundings are worth, against errors of the formula in doubles at many points."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symprop.declare.intake import take_in
from symprop.graph import NodeTable
from symprop.rewrite.removable_loss import Formula

x = sp.Symbol("x", positive=True)


@pytest.mark.parametrize(
    "formula",
    [sp.log(x) / (x - 1) - 1 / x, sp.exp(x) - 1 - x - x**2 / 2, sp.sin(x) / x**3 - sp.cos(x) / x**2,
     sp.sqrt(1 + x**2) - 1, (sp.tanh(x) - x) * x**2, sp.pi * x**3 - x * sp.atan(x)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("at", [0.01, 0.3, 1.7, 9.0])
def test_the_loss_is_about_the_worst_of_many_errors(formula, at):
    table = NodeTable()
    one = Formula(take_in(table, formula, {x: table.symbol(x)}), {})
    numbers = at * (1 + np.linspace(0, 0.02, 100))
    with mp.workprec(200):
        errors = [float(abs(one.rounded(float(v)) / one(mp.mpf(float(v))) - 1) * 2**53) for v in numbers]
        losses = [one.loss(mp.mpf(float(v))) for v in numbers]
    assert max(errors) / 4 <= max(losses) <= 8 * max(errors)
