"""Scalar expressions: the values of what is taken in, against sympy's own evaluation at 30 digits."""

from __future__ import annotations

import math
import re

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.declare import Intake, as_graph
from symprop.errors import UnsupportedExpressionError
from symprop.graph import NodeTable, topological
from symprop.graph.evaluate import evaluate

x, y, z = sp.symbols("x y z")
k = sp.Symbol("k", integer=True)


def value(expression, at):
    """The value of a taken-in expression in float64."""
    graph = as_graph(expression)
    return float(evaluate([graph.nodes[graph.outputs[0]]], at)[0])


ONE = [
    sp.exp(x) - 2,
    sp.log(x + 3),
    sp.sin(x) * sp.cos(x) / sp.tan(x),
    sp.asin(x / 2) + sp.acos(x / 3) * sp.atan(x),
    sp.sinh(x) - sp.cosh(x) + sp.tanh(x),
    sp.asinh(x) + sp.acosh(x + 2) + sp.atanh(x / 2),
    sp.erf(x) + sp.erfc(x),
    sp.erfi(x) + sp.erfinv(x / 9),
    sp.sec(x) + sp.csc(x) + sp.cot(x),
    sp.sech(x) + sp.csch(x) + sp.coth(x),
    sp.acot(x + 2) + sp.asec(x + 2) + sp.acsc(x + 2),
    sp.acoth(x + 2) + sp.asech(x / 2) + sp.acsch(x),
    sp.Abs(x) ** 3 + sp.sign(x),
    sp.floor(3 * x) + sp.ceiling(x) + sp.frac(2 * x),
    sp.Rem(-7 * x, sp.Rational(3, 4)),
    sp.sqrt(x + 1) + sp.cbrt(x + 1) + (x + 2) ** sp.Rational(-2, 3),
    x**3 - 2 * x**-2 + sp.pi * x + sp.E + sp.GoldenRatio,
    sp.Heaviside(x - sp.Rational(1, 5)) * x,
    sp.sinc(x) + sp.Mod(x, sp.Rational(1, 3)),
    sp.Piecewise((x, x > sp.Rational(3, 5)), (x**2, (x > 0) & sp.Not(x > sp.Rational(1, 2))), (7, True)),
    sp.Piecewise((1, sp.Or(x < 0, x > 1, evaluate=False)), (sp.log(x), True)),
    sp.Max(x, 1 - x, sp.Rational(1, 3)) - sp.Min(x, x**2, 2),
    sp.erf2(x, 2 * x) + sp.atan2(x, 2),
    2**x + sp.Rational(1, 3) * x ** sp.sqrt(2),
]


@pytest.mark.parametrize("expression", ONE, ids=str)
@pytest.mark.parametrize("point", ["0.3", "0.55", "0.9"])
def test_value_of_one_variable(expression, point):
    exact = sp.Float(float(point), 30)
    expected = sp.N(expression.rewrite(sp.erf).subs(x, exact), 30)
    assert value(expression, {x: float(point)}) == pytest.approx(float(expected), rel=2e-14, abs=1e-15)


def test_several_variables_by_lambdify():
    expression = (x + y) * z / (1 + sp.exp(-x * y)) + sp.Max(x, y, z) ** x - sp.atan2(y, z)
    reference = sp.lambdify([x, y, z], expression, "numpy")
    rng = np.random.default_rng(5)
    for _ in range(20):
        point = rng.uniform(0.2, 2, 3)
        found = value(expression, dict(zip((x, y, z), point, strict=True)))
        assert found == pytest.approx(float(reference(*point)), rel=1e-13)


@pytest.mark.parametrize("at", [-8.0, -0.3, 0.0, 2.5])
def test_real_root_is_real_for_negative_arguments(at):
    expected = math.copysign(abs(at) ** (1 / 3), at)
    assert value(sp.real_root(x, 3), {x: at}) == pytest.approx(expected, rel=1e-15)
    assert any(n.op == "cbrt" for n in as_graph(sp.real_root(x, 3)).table.nodes)


def test_cbrt_of_a_negative_number_is_not_a_number():
    assert math.isnan(value(sp.cbrt(x), {x: -8.0}))
    assert math.isnan(value((-8) ** sp.Rational(1, 3) + x, {x: 1.0}))


def test_heaviside_at_zero_and_at_not_a_number():
    assert value(sp.Heaviside(x), {x: 0.0}) == 0.5
    assert value(sp.Heaviside(x, 1), {x: 0.0}) == 1.0
    assert math.isnan(value(sp.Heaviside(x), {x: math.nan}))


def test_sinc_at_zero():
    assert value(sp.sinc(x), {x: 0.0}) == 1.0


def test_piecewise_without_a_branch_is_not_a_number():
    assert math.isnan(value(sp.Piecewise((x, x > 0)), {x: -1.0}))


def test_logic():
    first, second, third = x > 0, y > 0, z > 0
    conditions = [
        sp.Xor(first, second, evaluate=False),
        sp.ITE(first, second, third),
        sp.Implies(first, second, evaluate=False),
        sp.And(first, second, third),
        sp.Equivalent(first, second, third, evaluate=False),
        sp.Ne(x, y),
        sp.Eq(x, y),
        sp.Le(x, y),
        sp.Ge(x, y),
    ]
    for condition in conditions:
        expression = sp.Piecewise((1, condition), (0, True))
        for bits in range(8):
            at = {s: float((bits >> n) & 1) for n, s in enumerate((x, y, z))}
            expected = bool(condition.subs(at))
            assert value(expression, at) == float(expected), (condition, at)


# -- numbers ------------------------------------------------------------


def test_irrational_numbers_become_one_constant():
    graph = as_graph(sp.sqrt(2) * sp.pi * x + sp.exp(1) ** 2 * sp.log(3))
    constants = {n.attrs[0] for n in topological(list(graph.nodes.values())) if n.op == "constant"}
    assert constants == {sp.sqrt(2) * sp.pi, sp.E**2 * sp.log(3)}


def test_a_number_of_an_unknown_function_is_a_constant():
    (node,) = as_graph([sp.besselj(0, 1)]).nodes.values()
    assert node.op == "constant"
    assert float(evaluate([node], {})[0]) == pytest.approx(float(mp.besselj(0, 1)), rel=1e-15)


def test_a_double_stays_that_double():
    (node,) = as_graph([sp.Float(0.1)]).nodes.values()
    assert float(evaluate([node], {})[0]) == 0.1


def test_a_rational_is_rounded_once():
    assert value(sp.Rational(1, 3) * x, {x: 1.0}) == 1 / 3


def test_infinity_is_a_number():
    assert value(sp.Min(x, sp.oo), {x: 3.0}) == 3.0
    (node,) = as_graph([-sp.oo]).nodes.values()
    assert float(evaluate([node], {})[0]) == -math.inf


def test_python_numbers():
    assert value(3, {}) == 3.0
    assert value(0.25, {}) == 0.25


def test_index_arithmetic_stays_integer():
    table = NodeTable()
    intake = Intake(table)
    assert intake.node(k).kind == "integer"
    assert intake.node(k + 1).kind == "integer"
    assert intake.node(2 * k - 3).kind == "integer"
    assert intake.node(k / 2).kind == "real"
    assert intake.node(k * x).kind == "real"


def test_kronecker_delta():
    expression = sp.KroneckerDelta(k, 2) * x
    assert value(expression, {k: 2, x: 3.0}) == 3.0
    assert value(expression, {k: 1, x: 3.0}) == 0.0


def test_index_arithmetic_compiles_and_is_checked():
    column = sp.MatrixSymbol("column", 5, 1)
    f = symprop.compile(column[k + 1, 0] * x, args=[column, k, x])
    assert f(np.arange(5.0), 2, 10.0) == 30.0
    for outside in (4, -2):
        with pytest.raises(symprop.ArgumentError, match="k"):
            f(np.arange(5.0), outside, 1.0)
    g = symprop.compile(x * (k + 1), args=[x, k])
    assert g(1.5, 2) == 4.5 and float(np.squeeze(g.grad(1.5, 2))) == 3


# -- conventions ------------------------------------------------------------


def test_ties_of_max():
    for ties in ("first", "split"):
        node = as_graph(sp.Max(x, y), ties=ties).nodes[sp.Symbol("out")]
        assert node.op == "maximum" and node.attrs == (ties,)


def test_shared_subexpressions_are_one_node():
    table = NodeTable()
    Intake(table).node(sp.sin(x + y) * sp.exp(x + y))
    assert sum(n.op == "add" for n in table.nodes) == 1


def test_depth_of_ten_thousand():
    expression = x
    for n in range(10_000):
        expression = sp.sin(expression, evaluate=False) if n % 2 else sp.Add(expression, y, evaluate=False)
    table = NodeTable()
    node = Intake(table).node(expression)
    at = 0.3
    for n in range(10_000):
        at = math.sin(at) if n % 2 else at + 0.25
    assert float(evaluate([node], {x: 0.3, y: 0.25})[0]) == pytest.approx(at, rel=1e-12)


# -- refusals ------------------------------------------------------------


class Undecided(sp.Function):
    """A user's function without value and derivative."""


f = sp.Function("f")
REFUSED = [
    (sp.I * x, "ImaginaryUnit"),
    (sp.sqrt(-2) * x, "ImaginaryUnit"),
    (sp.re(x), "re"),
    (sp.im(x), "im"),
    (sp.conjugate(x), "conjugate"),
    (x + sp.zoo, "ComplexInfinity"),
    (f(x), "f"),
    (sp.erf2inv(x, y), "erf2inv"),
    (sp.besselj(sp.Rational(1, 2), x), "besselj"),
    (sp.besselj(x, 2), "besselj"),
    (sp.polygamma(7, x), "polygamma"),
    (sp.harmonic(x, 2), "harmonic"),
    (sp.lowergamma(x, 2), "lowergamma"),
    (sp.Ei(x), "Ei"),
    (sp.Contains(x, sp.Interval(0, 1)), "Contains"),
    (sp.exp_polar(x), "exp_polar"),
    (sp.Derivative(f(x), x), "Derivative"),
    (sp.Integral(sp.exp(-(x**2)), x), "Integral"),
    (sp.IndexedBase("A")[k], "Indexed"),
    (sp.DiracDelta(x), "DiracDelta"),
    (Undecided(x), "Undecided"),
    (sp.Lambda(x, x + 1), "Lambda"),
    (sp.Symbol("w", real=False), "w"),
    (sp.Symbol("w", commutative=False), "w"),
    (sp.Piecewise((1, sp.Symbol("q")), (2, True)), "condition"),
    (x > 0, "x > 0"),
    ("x + 1", "x + 1"),
    (np.ones(3), "ndarray"),
]


@pytest.mark.parametrize(("expression", "word"), REFUSED, ids=lambda v: str(v)[:30])
def test_refused_by_name(expression, word):
    with pytest.raises(UnsupportedExpressionError, match=rf"(?<!\w){re.escape(word)}(?!\w)") as caught:
        as_graph(expression)
    assert len(str(caught.value)) > 40


def test_a_scalar_function_of_a_matrix():
    X = sp.MatrixSymbol("X", 3, 2)
    with pytest.raises(UnsupportedExpressionError, match=r"tanh\(X\)") as caught:
        as_graph(sp.tanh(X))
    message = str(caught.value)
    assert "applyfunc" in message and "nn.tanh" in message and "matrix exponential" in message


def test_a_scalar_function_of_one_entry():
    v, M = sp.MatrixSymbol("v", 3, 1), sp.MatrixSymbol("M", 3, 3)
    rng = np.random.default_rng(0)
    at = {v: rng.normal(size=(3, 1)), M: rng.normal(size=(3, 3))}
    expected = math.exp(-(at[v].T @ at[M] @ at[v])[0, 0] / 2)
    assert value(sp.exp(-v.T * M * v / 2), at) == pytest.approx(expected, rel=1e-13)


# -- functions of the user ------------------------------------------------------------


class Cubed(sp.Function):
    """A function with value and derivative."""

    def doit(self, **hints):
        return self.args[0] ** 3 + sp.exp(self.args[0])

    def fdiff(self, argindex=1):
        return 3 * self.args[0] ** 2 + sp.exp(self.args[0])


class Formula(sp.Function):
    """A function with a value only."""

    def doit(self, **hints):
        a, b = self.args
        return a * sp.sin(b)


class Slope(sp.Function):
    """A function with a derivative only."""

    def fdiff(self, argindex=1):
        return sp.cos(self.args[0])


class Mystery(sp.Function):
    """A function that nobody can differentiate."""

    def fdiff(self, argindex=1):
        raise sp.core.function.ArgumentIndexError(self, argindex)


def test_value_of_a_users_function():
    assert value(Cubed(x) * y, {x: 0.4, y: 2.0}) == pytest.approx(2 * (0.4**3 + math.exp(0.4)), rel=1e-14)
    assert value(Formula(x, y), {x: 0.4, y: 2.0}) == pytest.approx(0.4 * math.sin(2.0), rel=1e-14)


def test_a_users_function_of_a_matrix_entry_by_entry():
    X = sp.MatrixSymbol("X", 2, 3)
    graph = as_graph(X.applyfunc(Cubed))
    at = np.arange(6.0).reshape(2, 3) / 3
    (found,) = evaluate([graph.nodes[graph.outputs[0]]], {X: at})
    np.testing.assert_allclose(found, at**3 + np.exp(at), rtol=1e-14)


def test_partial_of_a_users_function():
    from symprop.graph import OPERATIONS

    graph = as_graph(Cubed(x))
    (node,) = (n for n in graph.table.nodes if n.op == "user")
    (partial,) = OPERATIONS["user"].partials(graph.table, node)
    assert float(evaluate([partial], {x: 0.4})[0]) == pytest.approx(3 * 0.16 + math.exp(0.4), rel=1e-14)


def test_users_functions_that_lack_something():
    from symprop.graph import OPERATIONS

    slope = as_graph(Slope(x))
    (node,) = (n for n in slope.table.nodes if n.op == "user")
    assert float(evaluate(OPERATIONS["user"].partials(slope.table, node), {x: 0.4})[0]) == pytest.approx(
        math.cos(0.4)
    )
    with pytest.raises(UnsupportedExpressionError, match="Slope has no value"):
        evaluate([node], {x: 0.4})
    mystery = as_graph(Mystery(x) * x)
    (node,) = (n for n in mystery.table.nodes if n.op == "user")
    with pytest.raises(UnsupportedExpressionError, match="Mystery has no derivative"):
        OPERATIONS["user"].partials(mystery.table, node)
