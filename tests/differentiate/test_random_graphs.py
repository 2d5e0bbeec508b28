"""Random graphs of scalars and matrices, with sharing, against central differences at 50 digits."""

from __future__ import annotations

import numpy as np
import sympy as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symprop.declare import Graph
from symprop.graph import NodeTable

# smooth everywhere, so that no difference quotient meets a kink; bounded, so that values stay moderate
SMOOTH = ["sin", "cos", "tanh", "sigmoid", "softplus", "atan", "asinh", "erf", "erfc", "silu", "gelu"]


@st.composite
def graphs(draw):
    """A graph of two scalars, a column and a matrix, whose last node takes in a sum of all that was made."""
    table = NodeTable()
    scalars = [table.symbol(s) for s in sp.symbols("x y")]
    columns = [table.symbol(sp.MatrixSymbol("u", 2, 1))]
    matrices = [table.symbol(sp.MatrixSymbol("A", 2, 2))]
    pick = lambda pool: draw(st.sampled_from(pool))  # noqa: E731
    for _ in range(draw(st.integers(2, 9))):
        pool = pick([scalars, columns, matrices])
        kind = draw(st.integers(0, 7))
        if kind == 0:
            made = table.make(pick(SMOOTH), (pick(pool),))
        elif kind == 1:
            made = table.mul(pick(pool), pick(pool))
        elif kind == 2:
            made = table.add(pick(pool), pick(pool), table.neg(pick(pool)))
        elif kind == 3:
            made = table.mul(pick(scalars), pick(pool))
        elif kind == 4:
            pool, made = columns, table.matmul(pick(matrices), pick(columns))
        elif kind == 5:
            pool, made = (
                scalars,
                table.index(pick(matrices), (draw(st.integers(0, 1)), draw(st.integers(0, 1)))),
            )
        elif kind == 6:
            pool, made = matrices, table.matmul(pick(columns), table.transpose(pick(columns)))
        else:
            pool, made = scalars, table.make("tanh", (table.sum(pick(pick([columns, matrices]))),))
        made = table.make("tanh", (made,)) if draw(st.booleans()) else made
        pool.append(made)
    total = table.add(*[table.sum(n) for n in (*scalars[-2:], *columns[-2:], *matrices[-2:])])
    return Graph.from_nodes(table, [(sp.Symbol("total"), total)])


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(graph=graphs(), seed=st.integers(0, 1000))
def test_gradients_of_random_graphs(check, graph, seed):
    rng = np.random.default_rng(seed)
    at = {s: rng.uniform(-0.9, 0.9, s.shape if isinstance(s, sp.MatrixSymbol) else ()) for s in graph.inputs}
    check(graph, at=at, seed=seed, tolerance=1e-25)
