"""Random nodes over the symbols `a b c` (scalars), `h v` (columns), `A B` (3 x 3) and `W` (4 x 3)."""

from __future__ import annotations

import random

import pytest
import sympy as sp

a, b, c = sp.symbols("a b c")
h, v = sp.MatrixSymbol("h", 4, 1), sp.MatrixSymbol("v", 4, 1)
A, B, W = sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("B", 3, 3), sp.MatrixSymbol("W", 4, 3)


def random_node(table, rng, steps):
    """A node over scalars and matrices, of any of the plain operations."""
    scalars = [table.symbol(s) for s in (a, b, c)] + [table.constant(n) for n in (2, sp.Rational(1, 3))]
    columns = [table.symbol(s) for s in (h, v)]
    squares = [table.symbol(s) for s in (A, B)]
    pools = [scalars, columns, squares]
    W_ = table.symbol(W)
    for _ in range(steps):
        pool = rng.choice(pools)
        p, q = rng.choice(pool), rng.choice(pool)
        s = rng.choice(scalars)
        kind = rng.randrange(9)
        if kind == 0:
            made = table.add(p, q)
        elif kind == 1:
            made = table.sub(p, table.mul(s, q))
        elif kind == 2:
            made = table.mul(p, q)
        elif kind == 3:
            made = table.call(
                rng.choice(["tanh", "exp", "sin", "sigmoid", "softplus", "abs", "atan"]), table.mul(s, p)
            )
        elif kind == 4:
            made = table.div(p, table.add(table.constant(3), table.pow(q, 2)))
        elif kind == 5:
            made = table.select(table.call("less", p, q), p, q)
        elif kind == 6 and pool is squares:
            made = table.matmul(p, table.transpose(q))
        elif kind == 6 and pool is columns:
            made = table.matmul(W_, table.matmul(table.transpose(W_), p))
        elif kind == 7 and pool is not scalars:
            made = rng.choice([table.sum(p), table.index(p, (1, 0))])
        elif kind == 8 and pool is squares:
            made = table.make("diag", (table.make("diagonal", (p,)),))
        else:
            made = table.call("maximum", p, q, attrs=("first",))
        pools[0 if not made.shape else 1 if made.shape == (4, 1) else 2].append(made)
    return scalars[-1], columns[-1], squares[-1]


@pytest.fixture
def random_nodes():
    """`random_nodes(table, seed)`: a scalar, a column and a square matrix."""
    return lambda table, seed: random_node(table, random.Random(seed), 25)
