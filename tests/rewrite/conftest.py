"""Helpers of the rewriting tests: symbols as nodes, one pass alone, and the same value before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop.functions  # noqa: F401  (fills the registry)
from symprop.graph import Node, NodeTable, topological
from symprop.graph.evaluate import evaluate
from symprop.rewrite.context import Context

DIGITS = 50


class Bench:
    """A table with its inputs, and checks on passes."""

    def __init__(self) -> None:
        self.table = NodeTable()

    def scalars(self, names: str) -> list[Node]:
        return [self.table.symbol(s) for s in sp.symbols(names, seq=True)]

    def matrix(self, name: str, rows: int, columns: int) -> Node:
        return self.table.symbol(sp.MatrixSymbol(name, rows, columns))

    def values(self, roots: Sequence[Node], seed: int = 0) -> dict[sp.Basic, Any]:
        """A value in (0.3, 1.7) for every input, a small number for integers."""
        found: dict[sp.Basic, Any] = {}
        for node in topological(roots):
            if node.op == "symbol":
                random = np.random.default_rng([seed, node.serial])
                integer = node.kind == "integer"
                found[node.attrs[0]] = (
                    random.integers(0, 3) if integer else random.uniform(0.3, 1.7, node.shape)
                )
        return found

    def run(
        self, function: Callable[..., list[Node]], *roots: Node, **options: Any
    ) -> tuple[list[Node], dict[str, int]]:
        """One pass: the roots after it and the rewrites that fired. Values and shapes must stay."""
        context = Context(self.table, options.get("accuracy", "precise"), options.get("batched", frozenset()))
        after = function(self.table, list(roots), context)
        if "batched" not in options:
            self.same(roots, after)
        return after, dict(context.fired)

    def same(self, before: Sequence[Node], after: Sequence[Node], seed: int = 0, digits: int = 30) -> None:
        """Equal shapes, and values that agree to `digits` with mpmath."""
        assert [n.shape for n in before] == [n.shape for n in after]
        with mp.workdps(DIGITS):
            values = self.values([*before, *after], seed)
            first, second = evaluate(before, values, exact=True), evaluate(after, values, exact=True)
            for node, a, b in zip(before, first, second, strict=True):
                assert np.shape(a) == np.shape(b) == node.shape
                for p, q in zip(np.ravel(a), np.ravel(b), strict=True):
                    assert abs(p - q) <= mp.mpf(10) ** -digits * (1 + abs(p)), (node, p, q)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def operations(roots: Sequence[Node]) -> list[str]:
    """The operations that the roots need, sorted, without leaves."""
    return sorted(n.op for n in topological(roots) if n.op not in ("constant", "symbol", "eye", "batch_size"))


@pytest.fixture
def ops() -> Callable[[Sequence[Node]], list[str]]:
    return operations
