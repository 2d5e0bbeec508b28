"""The other passes alone (definitions, batch sums, powers, two operands, multiply and add), the report and
the counts."""

import itertools

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symprop.graph import OPERATIONS, topological
from symprop.graph.evaluate import evaluate
from symprop.rewrite import PASSES, count_operations, optimise
from symprop.rewrite.batch import batch_sums
from symprop.rewrite.context import Context
from symprop.rewrite.definitions import definitions
from symprop.rewrite.lowering import contractions, two_operands
from symprop.rewrite.powers import powers
from symprop.rewrite.simplify import simplify

HALF = sp.Rational(1, 2)


def one(bench, function, node, **options):
    (after,), fired = bench.run(function, node, **options)
    return after, fired


# -- definitions ------------------------------------------------------------------------------------


def test_definitions_are_written_out_and_shared(bench, ops):
    t, v = bench.table, bench.matrix("v", 4, 1)
    loss = t.make("logsumexp", (v,), (None,))
    after, fired = bench.run(definitions, loss, t.make("softmax", (v,), (None,)))
    assert set(fired) == {"logsumexp", "softmax"}
    assert ops(after).count("exp") == 1
    assert all(OPERATIONS[n.op].expand is None for n in topological(after))


def test_a_graph_of_primitives_stays(bench):
    t, (x,) = bench.table, bench.scalars("x")
    node = t.call("sigmoid", t.call("tanh", x))
    assert one(bench, definitions, node) == (node, {})


# -- batch sums -------------------------------------------------------------------------------------


@pytest.fixture
def batch(bench):
    """Parameters W (3, 4), c; a sample x (4, 1), d (3, 1), s; the option that says so; the sum of a node."""
    t = bench.table

    class Batch:
        W, x, d = bench.matrix("W", 3, 4), bench.matrix("x", 4, 1), bench.matrix("d", 3, 1)
        c, s = bench.scalars("c s")
        batched = frozenset({x.attrs[0], d.attrs[0], s.attrs[0]})
        n = t.make("batch_size")

        def total(self, node):
            return t.make("batch_sum", (node,))

        def after(self, node):
            return one(bench, batch_sums, self.total(node), batched=self.batched)

    return Batch()


def test_factors_of_the_call_leave_the_sum(bench, batch):
    t = bench.table
    assert batch.after(t.mul(batch.c, batch.s))[0] is t.mul(batch.c, batch.total(batch.s))
    assert batch.after(t.neg(batch.d))[0] is t.neg(batch.total(batch.d))
    node = t.mul(batch.s, batch.d)
    assert batch.after(node) == (batch.total(node), {})


def test_what_is_the_same_for_every_sample_is_counted(bench, batch):
    t = bench.table
    assert batch.after(batch.W)[0] is t.mul(batch.n, batch.W)
    assert batch.after(t.constant(3))[0] is t.mul(t.constant(3), batch.n)


def test_moves_leave_the_sum(bench, batch):
    t = bench.table
    assert batch.after(t.transpose(batch.x))[0] is t.transpose(batch.total(batch.x))
    assert batch.after(t.broadcast(batch.s, (3, 4)))[0] is t.broadcast(batch.total(batch.s), (3, 4))
    place = t.make("place", (batch.s, batch.c), ((2, 1), ((0, 0), (1, 0))))
    assert batch.after(place)[0].args == (batch.total(batch.s), t.mul(batch.n, batch.c))
    norm = t.sum(batch.x)  # the sum over samples of one number, not of four
    assert batch.after(norm) == (batch.total(norm), {})


def test_products_over_samples_stay_whole_and_apart(bench, batch):
    t = bench.table
    outer = t.matmul(batch.d, t.transpose(batch.x))
    assert batch.after(outer) == (batch.total(outer), {})
    after, _ = batch.after(t.add(outer, t.mul(batch.c, batch.W)))
    assert (
        after is t.add(batch.total(outer), t.mul(batch.n, batch.c, batch.W))
        or after.args[0].op == "batch_sum"
    )
    after, fired = batch.after(t.add(outer, t.mul(t.constant(2), outer)))
    assert fired["sums of products apart"] == 1


def test_a_fixed_matrix_multiplies_the_sum(bench, batch):
    t = bench.table
    assert batch.after(t.matmul(batch.W, batch.x))[0] is t.matmul(batch.W, batch.total(batch.x))
    assert batch.after(t.matmul(t.transpose(batch.d), batch.W))[0] is t.matmul(
        t.transpose(batch.total(batch.d)), batch.W
    )


def test_a_difference_per_sample_is_not_summed_apart(bench, batch):
    """The sum of x - c is not the sum of x minus n c: the digits of small differences would be lost."""
    t = bench.table
    for node in (t.sub(batch.s, batch.c), t.sub(batch.s, t.call("exp", batch.s))):
        assert batch.after(node) == (batch.total(node), {})


def test_a_value_that_depends_on_samples_only_through_sums_is_one_of_the_call(bench, batch):
    t, context = bench.table, Context(bench.table, "precise", batch.batched)
    mean = t.mul(batch.total(batch.s), t.pow(batch.n, -1))
    assert not context.is_batched(mean)
    assert context.is_batched(t.sub(batch.s, mean))


# -- powers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (2, ["mul"]),
        (3, ["mul"] * 2),
        (8, ["mul"] * 3),
        (15, ["mul"] * 6),
        (-1, ["div"]),
        (-2, ["div", "mul"]),
        (HALF, ["sqrt"]),
        (-HALF, ["div", "sqrt"]),
        (3 * HALF, ["mul", "sqrt"]),
        (-5 * HALF, ["div", "mul", "mul", "sqrt"]),
        (0.5, ["sqrt"]),
        (17, ["pow"]),
        (sp.Rational(1, 3), ["cbrt", "less", "select"]),
        (sp.Rational(-5, 3), ["cbrt", "div", "less", "mul", "mul", "select"]),
        (sp.Rational(1, 5), ["pow"]),
        (sp.sqrt(2), ["pow"]),
    ],
)
def test_constant_exponents(bench, ops, exponent, expected):
    t, (x,) = bench.table, bench.scalars("x")
    after, _ = bench.run(powers, t.pow(x, exponent))
    assert ops(after) == expected


def test_other_bases(bench, ops):
    t, (x, y) = bench.table, bench.scalars("x y")
    assert one(bench, powers, t.pow(t.constant(sp.E), x))[0] is t.call("exp", x)
    for node in (t.pow(t.constant(2), x), t.pow(x, y)):
        assert one(bench, powers, node) == (node, {})


def test_a_cube_root_keeps_its_digits(bench):
    t, (x,) = bench.table, bench.scalars("x")
    after, _ = optimise(t, [t.pow(x, sp.Rational(n, 3)) for n in (1, 2, 4, -1, -5)])
    plain, _ = optimise(t, [t.pow(x, sp.Rational(1, 3))], accuracy="as_written")
    assert [n.op for n in plain] == ["pow"]
    for at in (1e-180, 3e-40, 0.7, 1e9, 1e180):
        found = evaluate(after, {sp.Symbol("x"): at})
        with mp.workdps(40):
            exact = [float(mp.cbrt(at) ** n) for n in (1, 2, 4, -1, -5)]
        np.testing.assert_allclose(found, exact, rtol=5e-16)


def test_a_cube_root_of_a_negative_number_is_not_a_number(bench):
    t, (x,) = bench.table, bench.scalars("x")
    after, _ = optimise(t, [t.pow(x, sp.Rational(1, 3)), t.pow(x, HALF)])
    assert np.isnan(evaluate(after, {sp.Symbol("x"): -8.0})).all()


# -- two operands -----------------------------------------------------------------------------------


def lowered(bench, *roots, **options):
    after, _ = bench.run(powers, *roots, **options)
    return bench.run(two_operands, *after, **options)[0]


def test_signs_and_quotients(bench):
    t, (x, y, z) = bench.table, bench.scalars("x y z")
    make = t.make
    assert lowered(bench, t.sub(x, y)) == [make("sub", (x, y))]
    assert lowered(bench, t.neg(x)) == [make("neg", (x,))]
    assert lowered(bench, t.neg(t.mul(x, y))) == [make("neg", (make("mul", (x, y)),))]
    assert lowered(bench, t.add(x, t.mul(t.constant(-2), y))) == [
        make("sub", (x, make("mul", (t.constant(2), y))))
    ]
    assert lowered(bench, t.mul(t.constant(-1), t.sub(x, y))) == [make("sub", (y, x))]
    assert lowered(bench, t.add(t.neg(x), t.neg(y))) == [make("neg", (make("add", (x, y)),))]
    assert lowered(bench, t.div(x, y)) == [make("div", (x, y))]
    assert lowered(bench, t.div(t.neg(x), y)) == [make("neg", (make("div", (x, y)),))]
    assert lowered(bench, t.mul(x, t.pow(y, -1), t.pow(z, -1))) == [make("div", (x, make("mul", (y, z))))]
    assert lowered(bench, t.mul(t.constant(3), t.pow(x, -1))) == [make("div", (t.constant(3), x))]


def test_a_reciprocal_with_other_uses_is_computed_once(bench, ops):
    t, (x, y, z) = bench.table, bench.scalars("x y z")
    inverse = t.pow(z, -1)
    assert ops(lowered(bench, t.mul(x, inverse), t.mul(y, inverse))) == ["div", "mul", "mul"]


def test_an_array_is_not_divided_by_a_scalar(bench, ops):
    t, (s,) = bench.table, bench.scalars("s")
    A = bench.matrix("A", 3, 4)
    (after,) = lowered(bench, t.mul(A, t.pow(s, -1)))
    assert after.op == "mul"
    (after,) = lowered(bench, t.mul(A, t.pow(t.call("exp", A), -1)))
    assert after.op == "div"


@pytest.mark.parametrize(
    ("batched", "depth_of_all"),
    [(frozenset([sp.Symbol("x0")]), 3 + 4), (frozenset(), 1 + 5)],  # blocks of four with samples, else of two
)
def test_long_sums_are_balanced(bench, batched, depth_of_all):
    t = bench.table
    xs = bench.scalars("x:64")
    # a batched input beside the sum: the sum itself is one of scalars of the call
    after, _ = lowered(bench, t.add(*xs[1:], t.symbol(sp.Symbol("more"))), xs[0], batched=batched)
    depth = {}
    for node in topological([after]):
        depth[node.serial] = 1 + max((depth[a.serial] for a in node.args), default=0)
    assert depth[after.serial] - 1 == depth_of_all
    assert sum(n.op == "add" for n in topological([after])) == 63


def test_a_sample_alone_does_not_wait_longer_than_it_must(bench):
    """Of an odd number three go together; a function is added last, an array in blocks of four as ever."""
    t, (a, b, c, d, e) = bench.table, bench.scalars("a b c d e")
    add = lambda x, y: t.make("add", (x, y))  # noqa: E731
    total = add(add(add(a, b), c), add(d, e))
    assert lowered(bench, t.add(a, b, c, d, e)) == [total]
    log = t.call("log", e)
    for row in itertools.permutations((a, b, log)):
        (after,) = lowered(bench, t.add(*row))
        assert log in after.args
    arrays = [bench.matrix(f"A{k}", 2, 2) for k in range(4)]
    (after,) = lowered(bench, t.add(*arrays))
    assert sorted(n.op for n in after.args) == ["add", "symbol"]


def test_what_is_rarer_is_combined_first(bench):
    """Numbers, then scalars of the call, then scalars of the sample, then arrays: the work per sample and
    entry is least."""
    t, (a, b, s, u) = bench.table, bench.scalars("a b s u")
    A = bench.matrix("A", 3, 4)
    node = t.mul(s, A, a, u, b, t.constant(2))
    options = {"batched": frozenset({s.attrs[0], u.attrs[0]})}
    (after,) = bench.run(two_operands, node, **options)[0]
    two_ab = t.make("mul", (t.constant(2), t.make("mul", (a, b))))
    assert after is t.make("mul", (t.make("mul", (two_ab, t.make("mul", (s, u)))), A))


def test_every_pass_is_linear_in_a_chain_of_sums(bench):
    """Nested sums and products with one use each are joined in pieces: a chain costs work in proportion to
    its length."""
    t, (x,) = bench.table, bench.scalars("x")
    sizes = []
    for n in (1000, 2000):
        node = x
        for k in range(n):
            node = t.make("add", (node, t.call("sin", t.mul(t.constant(k + 2), x))))
        start = len(t.nodes)
        (after,), _ = optimise(t, [node])
        sizes.append(len(t.nodes) - start)
        assert max(len(m.args) for m in t.nodes[start:]) < 100
        value = float(evaluate([after], {sp.Symbol("x"): 0.3})[0])
        assert value == pytest.approx(0.3 + sum(np.sin(0.3 * (k + 2)) for k in range(n)), rel=1e-12)
    assert sizes[1] < 2.2 * sizes[0]


# -- multiply and add -------------------------------------------------------------------------------


def test_products_are_contracted_into_sums(bench):
    t, (a, b, c) = bench.table, bench.scalars("a b c")
    mul, make = t.make("mul", (a, b)), t.make
    assert one(bench, contractions, make("add", (mul, c)))[0] is make("fma", (a, b, c))
    assert one(bench, contractions, make("sub", (c, mul)))[0] is make("fma", (make("neg", (a,)), b, c))
    assert one(bench, contractions, make("sub", (mul, c)))[0] is make("fma", (a, b, make("neg", (c,))))
    two = make("mul", (t.constant(2), b))
    assert one(bench, contractions, make("sub", (c, two)))[0] is make("fma", (t.constant(-2), b, c))


def test_products_that_stay(bench):
    t, (a, b, c) = bench.table, bench.scalars("a b c")
    mul, make = t.make("mul", (a, b)), t.make
    difference = make("sub", (make("mul", (a, a)), make("mul", (b, b))))  # zero where a = b
    assert one(bench, contractions, difference) == (difference, {})
    total = make("add", (mul, c))
    assert one(bench, contractions, total, accuracy="as_written") == (total, {})
    (after, _), fired = bench.run(contractions, total, make("exp", (mul,)))
    assert (after, fired) == (total, {})  # the product is needed anyway
    assert one(bench, contractions, total, batched=frozenset({c.attrs[0]})) == (total, {})  # a*b once a call


# -- all together -----------------------------------------------------------------------------------


def test_the_report_prints_what_was_done(bench):
    t, (x, y) = bench.table, bench.scalars("x y")
    node = t.add(
        t.make("mul", (x, t.make("mul", (x, y)))), t.call("log", t.add(t.constant(1), t.call("exp", x)))
    )
    _, report = optimise(t, [node])
    assert [p.name for p in report.passes] == [name for name, _ in PASSES]
    assert report.fired["softplus"] == report.fired["products flattened"] == 1
    text = str(report)
    assert text.splitlines()[0].split() == ["pass", "nodes", "add", "mul", "div", "calls", "ms", "rewrites"]
    assert "softplus 1" in text
    stable = next(p for p in report.passes if p.name == "stable forms")
    assert (stable.before.transcendental, stable.after.transcendental) == (2, 1)
    assert report.seconds == sum(p.seconds for p in report.passes) > 0


def test_counts(bench):
    t, (x, y, z) = bench.table, bench.scalars("x y z")
    A, v = bench.matrix("A", 3, 4), bench.matrix("v", 4, 1)
    nodes = topological([t.add(t.mul(x, y, z), t.pow(x, 3), t.neg(y)), t.pow(x, -HALF), t.call("exp", x)])
    counts = count_operations(nodes)
    assert (counts.additions, counts.multiplications, counts.negations) == (2, 4, 1)
    assert (counts.divisions, counts.roots, counts.transcendental) == (1, 1, 1)
    counts = count_operations(
        topological([t.call("tanh", t.add(t.matmul(A, v), t.sum(A, (1,), True)))]), weighted=True
    )
    assert counts.multiplications == 12
    assert counts.additions == 9 + 9 + 3
    assert counts.transcendental == 3
    fma = t.make("fma", (x, y, z))
    assert count_operations([fma]).arithmetic == 2
    minus = t.make("neg", (x,))
    fma = t.make("fma", (minus, y, z))
    assert count_operations(topological([fma])).arithmetic == 2  # machines take the sign with it
    assert count_operations(topological([fma, t.call("exp", minus)])).negations == 1


def test_a_chain_of_twenty_thousand_nodes(bench):
    t, (x,) = bench.table, bench.scalars("x")
    node = x
    for _ in range(10_000):
        node = t.make("sin", (t.make("mul", (node, x)),))
    (after,), report = optimise(t, [node])
    assert report.fired["argument with what it lost"] == 1  # of the first sine, the square of an input
    assert len(topological([after])) < 20_001 + 20


def test_a_chain_of_squares_does_not_make_a_huge_power(bench):
    t, (x,) = bench.table, bench.scalars("x")
    node = x
    for _ in range(3000):
        node = t.make("mul", (node, node))
    (after,), _ = optimise(t, [node])
    assert count_operations(topological([after])).multiplications <= 3000
    assert all(n.op in ("mul", "symbol") for n in topological([after]))


def test_a_chain_of_doublings(bench):
    t, (x,) = bench.table, bench.scalars("x")
    node = x
    for _ in range(900):
        node = t.make("add", (node, node))
    (after,), _ = optimise(t, [node])
    assert float(evaluate([after], {sp.Symbol("x"): 1.5})[0]) == 1.5 * 2.0**900


def test_simplify_is_not_run_twice_on_its_own_result(bench):
    t, (x, y) = bench.table, bench.scalars("x y")
    context = Context(t)
    roots = simplify(t, [t.add(t.add(x, y), t.call("exp", x))], context)
    assert simplify(t, roots, context) == roots
