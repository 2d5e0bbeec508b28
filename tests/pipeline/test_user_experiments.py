"""What a user tried and was surprised by: values, gradients and messages at the edges of the contract."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

x, y = sp.symbols("x y")
n, m, c = (sp.Symbol(name, integer=True) for name in "nmc")
v = sp.MatrixSymbol("v", 3, 1)


@pytest.mark.parametrize("exponent", [2, 3, 5, 16, -2, -3])
@pytest.mark.parametrize("value", [2**40, 2**22, -3, 7])
def test_powers_of_an_integer_do_not_wrap_around_at_64_bits(exponent: int, value: int) -> None:
    f = symprop.compile(n**exponent * x, args=[n, x])
    assert f(value, 1.0) == pytest.approx(float(value) ** exponent, rel=1e-15)


def test_powers_of_integers_in_a_batch_and_in_sums() -> None:
    f = symprop.compile(n**3 * x + n**2, args=[n, x], batch=[n], reduce="sum")
    value, (gradient,) = f.value_and_grad(np.array([2**22, -3]), 1.0)
    assert value == 2.0**66 - 27 + 2.0**44 + 9
    assert gradient == 2.0**66 - 27


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_constants_beyond_the_largest_double_are_infinite(dtype: str) -> None:
    assert symprop.compile(x * 10**400, dtype=dtype)(1.0) == np.inf
    assert symprop.compile(x * -(10**400), dtype=dtype)(1.0) == -np.inf
    assert symprop.compile(x * sp.Rational(1, 10**400), dtype=dtype)(1.0) == 0


def test_the_mean_over_no_samples_is_nan_for_what_no_sample_changes() -> None:
    f = symprop.compile([x**2, sp.Integer(3)], args=[x, v], batch=[v], reduce="mean", wrt=[x, v])
    value, (by_x, by_v) = f.value_and_grad(2.0, np.ones((0, 3)))
    assert np.isnan(value).all() and np.isnan(by_x) and by_v.shape == (0, 3)
    value, (by_x, by_v) = f.value_and_grad(2.0, np.ones((4, 3)))
    assert value == (4, 3) and by_x == 4 and not by_v.any()
    total = symprop.compile(x**2, args=[x, v], batch=[v], reduce="sum", wrt=[x])
    assert total.value_and_grad(2.0, np.ones((0, 3))) == (0, (0,))
    assert total.value_and_grad(2.0, np.ones((4, 3))) == (16, (16,))


def test_a_target_that_is_an_equation_says_how_equations_are_declared() -> None:
    for target in (sp.Eq(y, x), {y: x}, [(y, x)], True):
        with pytest.raises(symprop.GraphError, match=r"a target is .* found .*symprop\.Graph"):
            symprop.compile(target)


def test_an_index_that_is_no_integer_formula_says_what_an_index_is() -> None:
    with pytest.raises(symprop.UnsupportedExpressionError, match="integer symbols by"):
        symprop.compile(v[sp.Mod(n, 3), 0])
    with pytest.raises(symprop.UnsupportedExpressionError, match=r"sympy\.Symbol\('k', integer=True\)"):
        symprop.compile(v[sp.Symbol("k"), 0])


def test_an_unevaluated_part_is_its_value() -> None:
    f = symprop.compile(sp.UnevaluatedExpr(x + 1) ** 2 * y, args=[x, y])
    assert f.value_and_grad(2.0, 3.0) == (27, (18, 9))


def test_a_label_of_the_wrong_shape_is_reported_by_its_shape() -> None:
    f = symprop.compile(v[c, 0], args=[v, c])
    with pytest.raises(symprop.ShapeError, match=r"argument c: expected a number, found shape \(3,\)"):
        f(np.ones(3), np.array([0.5, 1.5, 2.0]))


# -- verify ------------------------------------------------------------


@pytest.mark.parametrize("label", [-1, 3, 7])
@pytest.mark.parametrize("target", [v[c, 0] ** 2, nn.cross_entropy(v, c)])
def test_verify_names_a_label_out_of_range(target: sp.Expr, label: int) -> None:
    with pytest.raises(symprop.ArgumentError, match=f"argument c: index {label} is out of range"):
        symprop.verify(target, at={v: np.ones(3), c: label})


def test_verify_takes_a_mapping() -> None:
    with pytest.raises(symprop.ArgumentError, match="at takes a mapping"):
        symprop.verify(x**2, at=3)


class _Square(sp.Function):
    """A square with a slightly wrong derivative."""

    nargs = 1

    def doit(self, **hints: object) -> sp.Expr:
        return self.args[0] ** 2

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return 2 * self.args[0] + sp.Rational(1, 10**7)


@pytest.mark.parametrize("value", [1e-200, 1e-60, 1e-45, 5e-324, 0.0])
def test_verify_at_tiny_values(value: float) -> None:
    assert symprop.verify(x**2, at={x: value}).passed
    assert symprop.verify(x * abs(x) + sp.sin(x) * x, at={x: value}).passed
    assert not symprop.verify(_Square(x), at={x: value}).passed


@pytest.mark.parametrize(
    "target",
    [
        x**0.1,
        (x + 0.1) ** 1.7,
        sp.pi**0.3 * x**0.2,
        sp.Max(x, 0.1) ** 0.3,
        x ** sp.Float("0.1", 40),
        nn.softplus(x, beta=0.7),
    ],
    ids=str,
)
def test_verify_takes_floats_in_formulas_as_the_numbers_that_they_are(target: sp.Expr) -> None:
    assert symprop.verify(target, at={x: 0.37}).passed
    assert symprop.compile(target).verify(0.37).passed
    assert not symprop.verify(target + _Square(x), at={x: 0.37}).passed


def test_verify_takes_float_parameters_of_named_functions() -> None:
    scores = {v: [0.1, 0.2, 0.3], c: 1}
    assert symprop.verify(nn.cross_entropy(v, c, label_smoothing=0.1), at=scores).passed


# -- deep expressions ------------------------------------------------------------


def test_the_gradient_of_a_deep_expression_is_an_expression() -> None:
    deep: sp.Expr = x
    for _ in range(3000):
        deep = sp.sin(deep, evaluate=False)
    gradient = symprop.grad(deep, x)
    expected, value = 1.0, 0.5
    for _ in range(3000):
        expected, value = expected * np.cos(value), np.sin(value)
    assert symprop.compile(gradient)(0.5) == pytest.approx(expected, rel=1e-11)


def test_towers_of_roots_are_derived_at_once() -> None:
    tower: sp.Expr = x
    for _ in range(30):
        tower = sp.Pow(tower, sp.Rational(9, 10), evaluate=False)
    power = 0.9**30
    assert symprop.compile(symprop.grad(tower, x))(2.0) == pytest.approx(
        power * 2.0 ** (power - 1), rel=1e-13
    )


# -- nn ------------------------------------------------------------


def test_the_sizes_of_an_mlp_are_a_list() -> None:
    with pytest.raises(symprop.ArgumentError, match=r"nn\.mlp: sizes is 5; expected a list of widths"):
        nn.mlp(5)


# -- sizes that are zero ------------------------------------------------------------

rows, columns = sp.symbols("rows columns", integer=True)
A = sp.MatrixSymbol("A", rows, columns)
p, q = sp.MatrixSymbol("p", columns, 1), sp.MatrixSymbol("q", rows, 1)


@pytest.mark.parametrize("size", [(0, 4), (3, 0), (0, 0)])
def test_a_size_may_be_zero(size: tuple[int, int]) -> None:
    matrix, left, right = np.ones(size), np.ones(size[0]), np.ones(size[1])
    f = symprop.compile(symprop.scalar(q.T * nn.tanh(A * p)), args=[A, p, q])
    value, gradients = f.value_and_grad(matrix, right, left)
    assert value == 0
    assert [g.shape for g in gradients] == [size, (size[1],), (size[0],)]
    assert not any(g.any() for g in gradients)
    assert symprop.compile(A.T * A, args=[A])(matrix).sum() == 0
    assert symprop.compile(nn.logsumexp(A * p), args=[A, p])(np.ones((0, 2)), np.ones(2)) == -np.inf
