"""Random lowered programs: nodes over scalars, columns and matrices, batched or not, for tests of the back
end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

import symprop.functions  # noqa: F401  (fills the registry)
from symprop.graph import Node, NodeTable
from symprop.graph.evaluate import evaluate

UNARY = ("tanh", "exp", "sin", "sigmoid", "abs", "neg", "softplus", "floor", "sign", "erf")
BINARY = ("add", "mul", "sub", "maximum", "minimum")


@dataclass
class Program:
    """A program with its inputs; `batched` are the symbols with a sample axis."""

    table: NodeTable
    symbols: list[Any] = field(default_factory=list)
    batched: list[Any] = field(default_factory=list)
    roots: list[Node] = field(default_factory=list)

    def arguments(self, seed: int, samples: int) -> list[Any]:
        """Random arrays for the inputs."""
        rng = np.random.default_rng(seed)
        arrays = []
        for symbol in self.symbols:
            shape = tuple(map(int, symbol.shape)) if symbol.is_Matrix else ()
            full = ((samples,) if symbol in self.batched else ()) + shape
            if symbol.is_integer and not symbol.is_Matrix:
                arrays.append(np.asarray(rng.integers(0, 3, full), np.int64))
            else:
                arrays.append(np.asarray(rng.normal(size=full)))
        return arrays

    def reference(self, arrays: list[Any], samples: int) -> list[Any]:
        """The outputs sample by sample, with NumPy."""
        inner = [root.args[0] if root.op == "batch_sum" else root for root in self.roots]
        rows = []
        for n in range(samples):
            values = {s: a[n] if s in self.batched else a for s, a in zip(self.symbols, arrays, strict=True)}
            rows.append(evaluate(inner, values))
        outputs = []
        for k, root in enumerate(self.roots):
            stack = np.array([row[k] for row in rows]).reshape(samples, *root.shape)
            if root.op == "batch_sum":
                outputs.append(stack.sum(0))
            elif depends(root, self.batched):
                outputs.append(stack)
            else:
                values = dict(zip(self.symbols, arrays, strict=True))
                outputs.append(evaluate([root], values)[0])
        return outputs


def depends(root: Node, symbols: list[Any]) -> bool:
    """True if a node reads one of the symbols."""
    todo, seen = [root], set()
    while todo:
        node = todo.pop()
        if node.serial in seen:
            continue
        seen.add(node.serial)
        if node.op == "symbol" and node.attrs[0] in symbols:
            return True
        todo.extend(node.args)
    return False


def random_program(seed: int, sums: bool = True) -> Program:
    """A program of some twenty nodes, every kind of operation that the scheduler knows among them."""
    rng = np.random.default_rng(seed)
    m, k = int(rng.integers(2, 6)), int(rng.integers(1, 5))
    program = Program(NodeTable())
    t = program.table
    shapes = {"A": (m, k), "B": (k, m), "x": (m, 1), "y": (k, 1), "S": (m, m)}
    pool: list[Node] = []
    for name, shape in shapes.items():
        symbol = sp.MatrixSymbol(name, *shape)
        program.symbols.append(symbol)
        if rng.random() < 0.5:
            program.batched.append(symbol)
        pool.append(t.symbol(symbol))
    for name in ("a", "b"):
        symbol = sp.Symbol(name)
        program.symbols.append(symbol)
        if rng.random() < 0.5:
            program.batched.append(symbol)
        pool.append(t.symbol(symbol))
    label = sp.Symbol("c", integer=True)
    program.symbols.append(label)
    if rng.random() < 0.5:
        program.batched.append(label)
    index = t.symbol(label)
    for _ in range(24):
        node = _random_node(t, rng, pool, index)
        if node is not None:
            pool.append(node)
    for choice in rng.choice(len(pool), 5, replace=False):
        root = pool[choice]
        program.roots.append(root)
        if sums and rng.random() < 0.5 and depends(root, program.batched):
            program.roots[-1] = t.make("batch_sum", (root,))
    return program


def _random_node(t: NodeTable, rng: Any, pool: list[Node], index: Node) -> Node | None:
    a = pool[rng.integers(len(pool))]
    kind = rng.integers(12)
    if kind < 3:
        return t.make(UNARY[rng.integers(len(UNARY))], (a,))
    if kind < 6:
        same = [p for p in pool if p.shape in (a.shape, ()) or a.shape == ()]
        b = same[rng.integers(len(same))]
        op = BINARY[rng.integers(len(BINARY))]
        return t.make(op, (a, b), ("first",) if op in ("maximum", "minimum") else ())
    if kind == 6 and a.shape:
        return t.make("transpose", (a,), ((1, 0),))
    if kind == 7 and a.shape:
        axes = [(0,), (1,), (0, 1)][rng.integers(3)]
        return t.make(("sum", "reduce_max")[rng.integers(2)], (a,), (axes, len(axes) == 1))
    if kind == 8:
        fits = [p for p in pool if p.shape and a.shape and a.shape[1] == p.shape[0]]
        return t.matmul(a, fits[rng.integers(len(fits))]) if fits else None
    if kind == 9 and a.shape:
        rows, columns = int(rng.integers(a.shape[0])), int(rng.integers(a.shape[1]))
        choice = rng.integers(4)
        if choice == 0:
            return t.make("index", (a,), ((rows, columns),))
        if choice == 1:
            return t.make("slice", (a,), (((rows, a.shape[0]), (columns, a.shape[1])),))
        if choice == 2:
            return t.make("pad", (a,), ((a.shape[0] + 2, a.shape[1] + 1), (1, 0)))
        return t.make("take", (a, index)) if a.shape[1] == 1 and a.shape[0] > 2 else None
    if kind == 10:
        scalars = [p for p in pool if p.shape == ()]
        return t.make("place", scalars[-2:], ((3, 2), ((0, 0), (2, 1))))
    if kind == 11:
        columns = [p for p in pool if p.shape and p.shape[1] == 1]
        choice = rng.integers(5)
        if choice == 0:
            return t.make("diag", (columns[rng.integers(len(columns))],))
        if choice == 1 and len(a.shape) == 2 and a.shape[0] == a.shape[1]:
            return t.make("diagonal", (a,))
        if choice == 2:
            return t.make("one_hot", (index,), (4,))
        if choice == 3:
            return t.make("eye", (), (3, 3))
        if a.shape == ():
            return t.make("broadcast", (a,), ((3, 2),))
    return None
