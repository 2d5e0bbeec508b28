"""Common parts of sums and products: what is found, what is not, and in how much work."""

import pytest
import sympy as sp

import symprop
from symprop.graph import topological
from symprop.rewrite import count_operations, optimise
from symprop.rewrite.sharing import common_parts
from symprop.rewrite.simplify import simplify


def shared(bench, *roots):
    """The roots with their common parts, and the pairs found."""
    start, _ = bench.run(simplify, *roots)
    return bench.run(common_parts, *start)


def arithmetic(bench, *roots):
    after, _ = optimise(bench.table, list(roots))
    bench.same(roots, after)
    return count_operations(topological(after)).arithmetic


def test_a_product_inside_a_product(bench):
    t, (x, y) = bench.table, bench.scalars("x y")
    (first, second), fired = shared(bench, t.mul(x, x, y), t.mul(x, y))
    assert second is t.mul(x, y)
    assert first is t.mul(x, second)
    assert fired == {"shared product": 1}
    assert arithmetic(bench, t.mul(x, x, y), t.mul(x, y)) == 2


def test_partial_sums(bench):
    t, (a, b, c, d) = bench.table, bench.scalars("a b c d")
    (first, second, third), fired = shared(bench, t.add(a, b, c), t.add(a, b, d), t.add(c, d))
    both = t.add(a, b)
    assert (first, second) == (t.add(both, c), t.add(both, d))
    assert third is t.add(c, d)
    assert fired == {"shared sum": 1}


def test_signs_and_multiples(bench):
    t, (a, b, c) = bench.table, bench.scalars("a b c")
    difference = t.sub(a, b)
    (first, second), _ = shared(bench, difference, t.sub(b, a))
    assert second is t.neg(first)
    (first, second), _ = shared(bench, t.add(c, t.neg(a), t.neg(b)), t.add(a, b))
    assert first is t.sub(c, second)
    two = t.constant(2)
    (first, second), _ = shared(bench, t.add(t.mul(two, a), t.mul(two, b), c), t.add(a, b))
    assert first is t.add(t.mul(two, second), c)


def test_terms_with_other_ratios_are_not_shared(bench):
    t, (a, b, c) = bench.table, bench.scalars("a b c")
    roots = [t.add(t.mul(t.constant(2), a), b, c), t.add(a, b)]
    after, fired = shared(bench, *roots)
    assert (after, fired) == (roots, {})


def test_one_minus_a_square_in_forward_and_backward(bench):
    t, (h, u) = bench.table, bench.scalars("h u")
    slope = t.sub(t.constant(1), t.pow(h, 2))
    other = t.add(u, t.pow(h, 2), t.constant(-1))
    (first, second), _ = shared(bench, slope, other)
    assert second in (t.sub(u, first), t.add(u, t.neg(first)))


def test_powers_share_their_squares(bench):
    t, (x,) = bench.table, bench.scalars("x")
    assert arithmetic(bench, t.pow(x, 2), t.pow(x, 3), t.pow(x, 4)) == 3
    assert arithmetic(bench, t.pow(x, -1), t.pow(x, -2)) == 2  # one division, one product
    assert arithmetic(bench, t.pow(x, 7)) == 4


def test_a_repeated_pair_in_one_product(bench):
    t, (x, y) = bench.table, bench.scalars("x y")
    (after,), _ = shared(bench, t.mul(t.pow(x, 2), t.pow(y, 2)))
    assert after is t.pow(t.mul(x, y), 2)


def test_coefficients_of_products(bench):
    t, (x, y, z) = bench.table, bench.scalars("x y z")
    two = t.constant(2)
    assert arithmetic(bench, t.mul(two, x, y), t.mul(two, x, z)) == 3  # 2*x once
    assert arithmetic(bench, t.mul(two, x, y), t.mul(t.constant(3), x, y)) == 3  # x*y once
    (first, second), _ = shared(bench, t.mul(t.constant(-1), x, y), t.call("exp", t.mul(x, y)))
    assert first is t.neg(t.mul(x, y))
    assert second is t.call("exp", t.mul(x, y))


def test_nothing_is_made_where_nothing_is_shared(bench):
    t, (a, b, c, d) = bench.table, bench.scalars("a b c d")
    roots = [t.add(a, b, c), t.mul(a, c, d), t.add(a, d)]
    after, fired = shared(bench, *roots)
    assert (after, fired) == (roots, {})


def test_scalars_are_not_pulled_into_arrays(bench):
    t, (s, u) = bench.table, bench.scalars("s u")
    A, B = bench.matrix("A", 8, 8), bench.matrix("B", 8, 8)
    roots = [t.mul(s, A), t.mul(s, u, A, B)]
    after, _ = optimise(t, roots)
    bench.same(roots, after)
    weighted = count_operations(topological(after), weighted=True)
    assert weighted.multiplications <= 64 + 1 + 2 * 64  # (s*u) once, not one more product per entry


def test_long_sums_take_bounded_work(bench):
    t = bench.table
    xs = bench.scalars("x:600")
    roots = [t.add(*xs), t.add(*xs[:-1]), t.add(*xs[1:])]
    after, _ = optimise(t, roots)
    bench.same(roots, after)
    assert count_operations(topological(after)).additions < 1000


@pytest.mark.parametrize("n", [3, 6])
def test_no_more_operations_than_sympy(bench, n):
    """Gradients of a product and of a sum of squares, against `sympy.cse` on the same outputs."""
    t, symbols = bench.table, sp.symbols(f"x:{n}")
    nodes = [t.symbol(s) for s in symbols]
    expression = sp.prod(symbols) + sum(s**2 for s in symbols) ** 2
    outputs = [expression, *[sp.diff(expression, s) for s in symbols]]
    replaced, reduced = sp.cse(outputs)
    theirs = sum(int(sp.count_ops(e)) for _, e in replaced) + sum(int(sp.count_ops(e)) for e in reduced)
    squares = t.add(*[t.pow(x, 2) for x in nodes])
    roots = [t.add(t.mul(*nodes), t.pow(squares, 2))]
    for k, x in enumerate(nodes):
        others = nodes[:k] + nodes[k + 1 :]
        roots.append(t.add(t.mul(*others), t.mul(t.constant(4), x, squares)))
    assert arithmetic(bench, *roots) <= theirs


def test_an_upstream_product_that_others_use_stays_whole():
    """Each adjoint of a logistic chain is a product of the one before it: opened, every step would be
    multiplied out again down to the first.
    """
    here, equations = sp.Symbol("x"), []
    for k in range(30):
        equations.append((sp.Symbol(f"s{k}"), 1 / (1 + sp.exp(here * sp.Symbol(f"w{k}")))))
        here = equations[-1][0]
    f = symprop.compile(symprop.Graph(equations))
    assert f.report.passes[-1].after.nodes < 9 * 30
