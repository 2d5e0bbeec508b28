"""Every pass, and all together, on random graphs: values to 30 digits with mpmath, shapes, and the same
nodes each time."""

import numpy as np
import pytest
import sympy as sp

from symprop.graph import NodeTable, topological
from symprop.graph.evaluate import evaluate, node_value
from symprop.rewrite import PASSES, count_operations, optimise
from symprop.rewrite.context import Context
from symprop.rewrite.simplify import simplify

SHAPES = [(), (3, 1), (1, 3), (3, 4), (4, 3), (3, 3)]
SMOOTH = ["sin", "cos", "tanh", "sigmoid", "softplus", "atan", "gelu", "silu"]
EXPONENTS = [-2, -1, sp.Rational(-1, 2), sp.Rational(1, 2), sp.Rational(3, 2), 2, 3, 4, sp.Rational(1, 3)]
NUMBERS = [-1, 2, -3, sp.Rational(1, 2), sp.sqrt(2), 0.75]


class Grower:
    """Nodes of every shape, made from each other at random."""

    def __init__(self, table, seed):
        self.t, self.random = table, np.random.default_rng(seed)
        self.pool = {s: [] for s in SHAPES}
        for shape in SHAPES:
            for k in range(2):
                name = f"s{k}_{''.join(map(str, shape))}"
                symbol = sp.MatrixSymbol(name, *shape) if shape else sp.Symbol(name)
                self.pool[shape].append(table.symbol(symbol))

    def pick(self, shape):
        nodes = self.pool[shape]
        return nodes[max(int(self.random.integers(-3, len(nodes))), 0)]

    def choose(self, items):
        return items[int(self.random.integers(len(items)))]

    def grow(self):
        t, shape = self.t, self.choose(SHAPES)
        kind = self.choose(
            [
                "sum",
                "product",
                "power",
                "function",
                "exponentials",
                "number",
                "choice",
                "move",
                "move",
                "reduce",
                "matmul",
            ]
        )
        args = [self.pick(self.choose([shape, shape, ()])) for _ in range(self.random.integers(2, 5))]
        if kind == "sum":
            signs = self.random.integers(0, 2, len(args))
            node = t.make("add", [t.neg(a) if s else a for a, s in zip(args, signs, strict=True)])
        elif kind == "product":
            node = t.make("mul", args)
        elif kind == "power":
            base, exponent = args[0], self.choose(EXPONENTS)
            if not (exponent == int(exponent) and exponent > 0):
                base = t.make("add", (t.constant(sp.Rational(1, 2)), t.pow(base, 2)))
            node = t.pow(base, exponent)
        elif kind == "function":
            name = self.choose(SMOOTH)
            node = t.make(name, (args[0],), ("none",) if name == "gelu" else ())
        elif kind == "exponentials":
            powers = [t.make("exp", (t.make("tanh", (a,)),)) for a in args]
            total = (
                t.make("add", [t.constant(1), *powers]) if self.random.integers(2) else t.make("add", powers)
            )
            node = t.make("log", (total,))
            if self.random.integers(2):
                node = t.make("mul", (powers[0], t.pow(total, self.choose([-1, -2]))))
        elif kind == "number":
            node = t.make("mul", (t.constant(self.choose(NUMBERS)), args[0]))
        elif kind == "choice":
            condition = t.make("less", (t.make("sin", (self.pick(()),)), t.constant(sp.Rational(1, 3))))
            node = t.make("select", (condition, args[0], args[1]))
        elif kind == "move":
            node = self.moved(shape)
        elif kind == "matmul":
            m, k, n = self.choose(
                [(3, 4, 3), (4, 3, 1), (3, 1, 3), (1, 3, 4), (3, 3, 1), (3, 3, 3), (1, 3, 1)]
            )
            node = t.make("matmul", (self.of(m, k), self.of(k, n)))
        else:
            a = self.pick(self.choose(SHAPES[1:]))
            axes = self.choose([(0,), (1,), (0, 1)])
            node = t.make("sum", (a,), (axes, True if axes != (0, 1) else bool(self.random.integers(2))))
        if node.shape not in self.pool:
            node = t.sum(node)
        if self.random.integers(2):
            node = t.make("tanh", (node,))  # keeps values small
        self.pool[node.shape].append(node)

    def of(self, rows, columns):
        t, kind = self.t, self.random.integers(7)
        shape = (rows, columns)
        if kind == 0 and shape in self.pool and rows == columns:
            return t.make("eye", (), shape)
        if kind == 1 and rows == columns == 3:
            return t.make("diag", (self.pick((3, 1)),))
        if kind == 2:
            return t.broadcast(self.pick(()), shape)
        if kind == 3 and shape[::-1] in self.pool:
            return t.make("transpose", (self.pick(shape[::-1]),), ((1, 0),))
        if kind == 4 and rows == 3:
            return t.broadcast(self.pick((3, 1)), shape)
        if shape in self.pool:
            return self.pick(shape)
        return t.make("transpose", (t.broadcast(self.pick(()), shape[::-1]),), ((1, 0),))

    def moved(self, shape):
        t, a = self.t, self.pick(self.choose(SHAPES[1:]))
        rows, columns = a.shape
        kind = self.random.integers(8)
        at = (int(self.random.integers(rows)), int(self.random.integers(columns)))
        if kind == 0:
            return t.make("index", (a,), (at,))
        if kind == 1:
            return t.make("transpose", (a,), ((1, 0),))
        if kind == 2:
            cells = [(i, j) for i in range(rows) for j in range(columns)]
            places = [cells[k] for k in sorted(self.random.choice(len(cells), 2, replace=False))]
            return t.make("place", [self.pick(()) for _ in places], (a.shape, tuple(places)))
        if kind == 3:
            return t.broadcast(self.pick(()), a.shape)
        if kind == 4:
            return t.make("reshape", (a,), ((columns, rows),))
        if kind == 5:
            part = t.make("slice", (a,), (((0, 1), (0, columns)),))
            return t.make("pad", (part,), (a.shape, (0, 0)))
        if kind == 6:
            return t.make("softmax", (self.pick((3, 1)),), (None,))
        return t.call("trace", self.of(3, 3))


def random_roots(table, seed, size=40):
    grower = Grower(table, seed)
    for _ in range(size):
        grower.grow()
    return [nodes[-1 - k] for nodes in grower.pool.values() for k in range(2)]


@pytest.mark.parametrize("seed", range(25))
def test_every_pass_keeps_values_and_shapes(bench, seed):
    roots = random_roots(bench.table, seed)
    context = Context(bench.table)
    for _, function in PASSES:
        after = function(bench.table, roots, context)
        bench.same(roots, after, seed)
        roots = after


@pytest.mark.parametrize("seed", range(25, 50))
def test_all_passes_together_in_float64(bench, seed):
    roots = random_roots(bench.table, seed)
    values = bench.values(roots, seed)
    after, report = optimise(bench.table, roots)
    for a, b in zip(evaluate(roots, values), evaluate(after, values), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9)
    plain, program = topological(report.passes[1].roots_before), topological(after)
    # what keeps digits may cost a few operations
    assert (
        count_operations(program, weighted=True).total <= 1.05 * count_operations(plain, weighted=True).total
    )


@pytest.mark.parametrize("seed", range(50, 60))
def test_nothing_is_left_that_the_emitter_does_not_take(bench, seed):
    after, _ = optimise(bench.table, random_roots(bench.table, seed))
    for node in topological(after):
        assert node.op not in ("trace", "gelu", "silu", "softmax")
        if node.op in ("add", "mul"):
            assert len(node.args) == 2
        if node.op == "pow":
            assert node.args[1].attrs[0] == sp.Rational(1, 3)


@pytest.mark.parametrize("seed", range(60, 70))
def test_the_simplification_leaves_its_own_result_alone(bench, seed):
    once = simplify(bench.table, random_roots(bench.table, seed), Context(bench.table))
    again = simplify(bench.table, once, Context(bench.table))
    assert all(a is b for a, b in zip(once, again, strict=True))


SAMPLES = 4


def values_over_samples(roots, batched, seed):
    """The values of the roots for a batch, one operation after the other: per sample, or once a call."""
    done = {}
    for node in topological(roots):
        args = [done[a.serial] for a in node.args]
        if node.op == "symbol":
            lots = SAMPLES if node.attrs[0] in batched else 1
            random = np.random.default_rng([seed, node.serial])
            done[node.serial] = [random.uniform(0.3, 1.7, node.shape) for _ in range(lots)]
        elif node.op == "batch_size":
            done[node.serial] = [np.array(float(SAMPLES))]
        elif node.op == "batch_sum":
            done[node.serial] = [np.sum(args[0], axis=0) * (SAMPLES if len(args[0]) == 1 else 1)]
        else:
            lots = max([len(a) for a in args], default=1)
            rows = [[a[k if len(a) > 1 else 0] for a in args] for k in range(lots)]
            done[node.serial] = [node_value(node, row, {}, False) for row in rows]
    return [done[root.serial] for root in roots]


@pytest.mark.parametrize("seed", range(70, 95))
def test_sums_over_samples(bench, seed):
    t = bench.table
    roots = [t.make("batch_sum", (root,)) for root in random_roots(t, seed)]
    roots += [t.mul(root, t.pow(t.make("batch_size"), -1)) for root in roots]
    symbols = [n.attrs[0] for n in topological(roots) if n.op == "symbol"]
    batched = frozenset(symbols[::2])
    after, _ = optimise(t, roots, batched=batched)
    before_values = values_over_samples(roots, batched, seed)
    after_values = values_over_samples(after, batched, seed)
    for a, b in zip(before_values, after_values, strict=True):
        assert len(b) == 1
        np.testing.assert_allclose(b[0], a[0], rtol=1e-9, atol=1e-9)


def test_the_same_graph_gives_the_same_program(bench):
    def program():
        table = NodeTable()
        after, report = optimise(table, random_roots(table, 7, 80))
        return [repr(n) for n in topological(after)], report.fired

    assert program() == program()
