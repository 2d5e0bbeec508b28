"""Networks on which the fuzzing found a fault, made small."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from fuzz_checks import check, mode
from random_networks import Random, network

import symprop
from symprop import nn
from symprop.declare import Graph
from symprop.differentiate.accumulate import Guards
from symprop.functions.symbols import named
from symprop.graph import OPERATIONS, NodeTable
from symprop.verify import verify

x, y, z, L = sp.symbols("x y z L")


def test_conditions_shared_by_all_samples_of_a_batch() -> None:
    """Conditions computed once a call lay on top of the numbers beside them."""
    table = NodeTable()
    u, v = (table.symbol(sp.MatrixSymbol(name, 3, 1)) for name in "uv")
    outer = table.call("exp", table.matmul(u, table.transpose(u)))
    square = table.sum(table.pow(v, 2))
    chosen = table.select(table.call("less", table.constant(1), outer), outer, square, shape=outer.shape)
    f = symprop.compile(
        Graph.from_nodes(table, [(L, table.sum(chosen))]),
        args=[u.attrs[0], v.attrs[0]],
        batch=[v.attrs[0]],
    )
    random = np.random.default_rng(0)
    at, samples = random.standard_normal(3), random.standard_normal((11, 3))
    e = np.exp(np.outer(at, at))
    expected = [np.where(e > 1, e, row @ row).sum() for row in samples]
    np.testing.assert_allclose(f(at, samples), expected, rtol=1e-13)


@pytest.mark.parametrize("how", [None, "loops"])
def test_a_number_times_a_one_hot_column_summed_twice(how: str | None) -> None:
    """`sum(one_hot(k) o y) --> y[k]` took an entry of a scalar y, where the product had another use."""
    k, m = sp.Symbol("k", integer=True), sp.MatrixSymbol("m", 3, 1)
    net = Graph([(m, y * nn.one_hot(k, 3)), (L, sp.Trace(sp.OneMatrix(1, 3) * m))], [L, m])
    f = symprop.compile(net, args=[y, k])
    with mode(how):
        value, column = f(1.5, 2)
    assert value == 1.5 and column.tolist() == [0.0, 0.0, 1.5]


def test_long_code_behind_a_check_of_a_label() -> None:
    """Code that was cut into functions named blocks of the function that it came from."""
    v, k = sp.MatrixSymbol("v", 24, 1), sp.Symbol("k", integer=True)
    total = sp.Trace(sp.OneMatrix(24, 24) * (v * v.T).applyfunc(sp.sin))
    f = symprop.compile(Graph([(L, total + v[k, 0])]), args=[v, k])
    at = np.linspace(-2, 3, 24)
    np.testing.assert_allclose(f(at, 3), np.sin(np.outer(at, at)).sum() + at[3], rtol=1e-12)


@pytest.mark.parametrize("a", [6.0, 20.0, 37.0])
def test_beta_beyond_the_range_of_gamma_in_single_precision(a: float) -> None:
    """Γ(37) is infinite in single precision, and the quotient was NaN."""
    for name, expected in (("beta", float(sp.beta(a, a + 1))), ("rising", float(sp.RisingFactorial(a, 2)))):
        other = x + 1 if name == "beta" else sp.Integer(2)
        f = symprop.compile(named(name, [x, other]), args=[x], dtype="float32")
        assert abs(f(a) / expected - 1) < 1e-4


def test_a_choice_between_matrices_of_one_entry_is_written_as_equations() -> None:
    """sympy compared the matrix itself with a number."""
    table = NodeTable()
    s = table.symbol(sp.MatrixSymbol("S", 1, 1))
    power = table.call("exp", s)
    chosen = table.select(table.call("less", power, table.constant(2)), table.symbol(y), power, shape=(1, 1))
    graph = Graph.from_nodes(table, [(L, table.sum(chosen))])
    again = Graph(graph.equations)
    f = symprop.compile(again, args=[s.attrs[0], y])
    np.testing.assert_allclose([f(v, 5.0) for v in (0.0, 1.0)], [5.0, np.exp(1.0)], rtol=1e-15)


def test_the_slope_of_a_remainder_has_the_branch_of_its_value() -> None:
    """a*(1/a) may be less than one, and its floor then was zero, for the value as for the slope."""
    f = symprop.compile(named("mod", [x, x]), args=[x])
    for at in (0.1, 0.49, 1 / 3, 5.0, 49.0, -0.7):
        value, (slope,) = f.value_and_grad(at)
        assert value == 0 and slope == 0


def test_limits_in_the_wrong_order() -> None:
    """hardtanh with its lower limit above the upper one is the upper one."""
    low, high = sp.symbols("low high")
    report = verify(named("hardtanh", [x, low, high]), {x: 0.0, low: 2.0, high: 1.0})
    assert report.passed, str(report)


@pytest.mark.parametrize(
    ("target", "at"),
    [
        (sp.log(x), 1e-300),  # the pole looked like a jump
        (x - sp.tanh(x), 1e-30),  # a slope below all working digits
        (sp.sign(x) * sp.cos(x), 0.0),  # no value between infinite slopes
        (sp.acos(1 - x), 1e-40),  # the border of the domain beside the point
    ],
)
def test_no_false_alarm_at_hard_points(target: sp.Expr, at: float) -> None:
    report = verify(target, {x: at})
    assert report.passed, str(report)


def test_a_polynomial_in_tanh_beside_an_exponential() -> None:
    """Horner's rule was multiplied out to degree 24 in exp(x): infinite in single precision."""
    u = sp.tanh(x) ** 2
    total = sp.S.One
    for k in range(9, 0, -1):
        total = 1 - sp.Mul(u, total, evaluate=False) / (2 * k * (2 * k + 3))
    f = symprop.compile(sp.exp(-sp.Abs(x) * total), args=[x], dtype="float32")
    assert "sums of exponentials joined" not in f.report.fired
    for at in (0.3, -3.0, 30.0):
        right = symprop.compile(sp.exp(-sp.Abs(x) * total), args=[x], accuracy="as_written").value_and_grad(
            at
        )
        np.testing.assert_allclose(f.value_and_grad(at)[0], right[0], rtol=1e-5)
        np.testing.assert_allclose(f.value_and_grad(at)[1], right[1], rtol=1e-5)


def test_a_scalar_adjoint_with_factors_times_an_array() -> None:
    """The product was given the shape of the adjoint: an array as a scalar."""
    table = NodeTable()
    a, b = (table.symbol(s) for s in (x, y))
    v = table.symbol(sp.MatrixSymbol("v", 3, 1))
    product = Guards(table).product(table.mul(a, b), table.call("exp", v))
    assert product.shape == (3, 1)


@pytest.mark.parametrize(
    ("target", "at"),
    [
        (sp.sin(sp.exp(sp.gamma(x))), {x: 37.0}),  # needs 1e41 digits of pi
        (x ** sp.exp(sp.exp(x)), {x: 12.0}),
        (x ** (y**z), {x: 3.0, y: 2.0, z: 1e12}),
    ],
)
@pytest.mark.parametrize("certify", [False, True])
def test_a_verification_ends_where_no_value_can_be_computed(target: Any, at: Any, certify: bool) -> None:
    if certify:
        pytest.importorskip("flint")
    inputs = list(at)
    f = symprop.compile(target, args=inputs)
    report = verify(target, at, function=f, certify=certify)
    assert not any(row.passed is False for row in report.rows if not row.method.startswith("certified"))
    for method in ("finite differences", "compiled value"):
        assert all("not known" in row.note for row in report.rows if row.method == method)


def exact(name: str, *values: Any, attrs: tuple[Any, ...] = ()) -> Any:
    return OPERATIONS[name].exact(attrs, *[mp.mpf(v) for v in values])  # type: ignore[misc]


@mp.workdps(50)
def test_values_of_huge_numbers_that_are_known() -> None:
    """What does not grow or repeat has a value of any size; what does has none, at once."""
    huge = mp.ldexp(3, 10**40)
    assert mp.almosteq(exact("log", huge), mp.log(3) + 10**40 * mp.log(2), 1e-45)
    assert mp.almosteq(exact("log2", huge), mp.log(3, 2) + 10**40, 1e-45)
    assert [exact(name, huge) for name in ("tanh", "erf", "sigmoid", "sign")] == [1, 1, 1, 1]
    assert exact("tanh", -huge) == -1 and exact("softplus", huge) == huge == exact("floor", huge)
    assert mp.almosteq(exact("atan", huge), mp.pi / 2)
    names = ("exp", "sin", "cosh", "gamma", "loggamma", "digamma", "trigamma", "j0", "sinc", "erfc", "exp2")
    assert all(mp.isnan(exact(name, huge)) for name in names)
    assert all(mp.isnan(exact(name, huge, attrs=(2,))) for name in ("bessel_ratio", "spherical_ratio"))
    assert mp.isnan(exact("div", 1, 0)) and mp.isnan(exact("log1p", -2))
    tiny = 1 / huge
    assert exact("exp", tiny) == exact("cos", tiny) == exact("erfc", -tiny) == exact("sinc", tiny) == 1
    assert exact("sin", tiny) == exact("tanh", tiny) == tiny


@mp.workdps(50)
@pytest.mark.parametrize("base", [1 + mp.ldexp(1, -40), -1 - mp.ldexp(1, -40), mp.mpf(2) / 3])
@pytest.mark.parametrize("exponent", [2**34, 2**34 + 1, -(2**34) - 1])
def test_powers_with_long_exponents(base: Any, exponent: int) -> None:
    """Beyond 32 bits they are exponentials of logarithms, and not chains of squares."""
    with mp.workdps(100):
        expected = mp.power(base, exponent)
    assert mp.almosteq(exact("pow", base, exponent), expected, 1e-48)


@mp.workdps(50)
def test_the_complementary_error_function_far_out() -> None:
    at = mp.mpf(2) ** 32 * mp.mpf("1.25")
    with mp.workdps(80):
        expected = mp.erfc(at)
    assert mp.almosteq(exact("erfc", at), expected, 1e-47)


@pytest.mark.parametrize(
    ("target", "at"),
    [(sp.sin(sp.exp(x)) + sp.exp(x), 100.0), (sp.cos(sp.exp(sp.exp(x))) + sp.exp(sp.exp(x)), 6.0)],
)
def test_swings_within_the_first_step(target: sp.Expr, at: float) -> None:
    """The difference quotient saw the exponential alone: the slope of the sine was said to be wrong."""
    report = verify(target, {x: at})
    assert report.passed, str(report)
    wrong = sp.diff(target, x) * (1 + sp.Rational(1, 10**6))
    assert not verify(target, {x: at}, gradients={x: wrong}).passed


def test_slopes_below_all_digits_of_a_softmax_that_is_one_hot() -> None:
    """Slopes of 1e-230802 were held against differences, and forward mode, that lose them beside a one."""
    u = sp.MatrixSymbol("u", 4, 1)
    powers = u.applyfunc(lambda v: v**12)
    report = verify(nn.cross_entropy(powers, nn.softmax(powers)), {u: [0.5, 1.0, -3.0, -0.4]})
    assert report.passed, str(report)


def test_entries_of_an_elimination_that_cancel() -> None:
    """The bound of rounding was relative to each entry; an elimination is right beside its largest one."""
    S = sp.MatrixSymbol("S", 4, 4)
    table = NodeTable()
    s = table.symbol(S)
    target = table.sum(table.make("cofactor_slope", (s, s)))
    f = symprop.compile(Graph.from_nodes(table, [(L, target)]), args=[S], dtype="float32")
    at = [
        *[0.6135239601135254, -0.5, 6.0, -0.3258127272129059],
        *[0.6672987341880798, 0.2798270285129547, -1.141836404800415, 0.09030759334564209],
        *[0.7748645544052124, -2.0569705963134766, 1.1799403429031372, -1.0235400199890137],
        *[-0.1655440777540207, 0.22708900272846222, 2.1528706550598145, 1.4155218601226807],
    ]
    report = f.verify(np.reshape(at, (4, 4)))
    assert report.passed, str(report)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("logits", [lambda v: 3 * v, lambda v: v.applyfunc(sp.exp)])
def test_the_largest_of_shifted_exponentials_is_one(dtype: str, logits: Any) -> None:
    """The exponentials came with what the logits lost by rounding, the shift did not: losses below zero."""
    v, k = sp.MatrixSymbol("v", 4, 1), sp.Symbol("k", integer=True)
    f = symprop.compile(nn.cross_entropy(logits(v), k), args=[v, k], dtype=dtype)
    random = np.random.default_rng(0)
    losses = [f([*random.uniform(-1, 4, 3), 6 + random.uniform()], 3) for _ in range(40)]
    assert min(losses) >= 0


def test_the_rule_of_an_operation_at_two_kinks() -> None:
    """One number moved both entries: conventions at two kinks do not add up to a slope between."""
    v = sp.MatrixSymbol("v", 4, 1)
    report = verify(
        symprop.scalar(sp.OneMatrix(1, 4) * nn.hinge_loss(v, v, reduction="none")),
        {v: [-0.003, 1.0, 1.0, 1.13]},
    )
    assert report.passed, str(report)


def test_a_value_that_shows_in_the_last_digits_alone() -> None:
    """tanh is one to 320 digits, and the slope of acos there was NaN: so was the error of the gradient."""
    report = verify(sp.acos(sp.tanh(x)) + sp.sign(y), {x: 403.0, y: 0.5})
    assert report.passed, str(report)


def test_the_rule_of_an_operation_on_a_number_below_all_floats() -> None:
    """A step beside 1e-100000000000 needs as many digits."""
    report = verify(sp.floor(sp.erfc(x)) + sp.erfc(x), {x: 531441.0})
    assert report.passed, str(report)


def test_slopes_beside_a_jump_are_known_to_their_rounding() -> None:
    """The slope of a sum that is one was 1e-50 on both sides of the jump, and zero was said to be outside."""
    assert check(network(Random(6520)), ["verify"])


def test_a_maximum_of_entries_less_a_number() -> None:
    """The maximum of each entry was repeated to the shape of the number that is taken from it: KeyError."""
    S, at = sp.MatrixSymbol("S", 2, 2), np.array([[0.1, -0.2], [3.0, 0.4]])
    total = symprop.scalar(
        sp.OneMatrix(1, 2)
        * S.applyfunc(lambda v: sp.Max(sp.exp(v), sp.exp(2 * v)) + x - y)
        * sp.OneMatrix(2, 1)
    )
    f = symprop.compile(total, args=[S, x, y])
    assert f(at, 0.5, 0.25) == pytest.approx(np.sum(np.maximum(np.exp(at), np.exp(2 * at))) + 1, rel=1e-14)


def test_a_maximum_less_a_column_each_repeated_along_rows() -> None:
    """Their difference was made of a matrix and a column: ValueError."""
    u, v = (sp.MatrixSymbol(name, 2, 1) for name in "uv")
    Z, row = sp.MatrixSymbol("Z", 2, 3), sp.OneMatrix(1, 3)
    inner = v.applyfunc(lambda a: sp.Max(a, sp.exp(a))) * row - u * row + Z
    f = symprop.compile(
        symprop.scalar(sp.OneMatrix(1, 2) * inner.applyfunc(sp.sin) * sp.OneMatrix(3, 1)), args=[u, v, Z]
    )
    a, b, c = np.array([[1.0], [2.0]]), np.array([[0.3], [4.0]]), np.arange(6.0).reshape(2, 3)
    assert f(a, b, c) == pytest.approx(np.sum(np.sin(np.maximum(b, np.exp(b)) - a + c)), rel=1e-13)


def test_a_matrix_is_not_repeated_to_a_number() -> None:
    """A rewriting that did so was found out by the code generator alone."""
    table = NodeTable()
    for shape in [(), (2, 4), (3, 3), (2,)]:
        with pytest.raises(symprop.ShapeError, match="cannot be repeated"):
            table.broadcast(table.symbol(sp.MatrixSymbol("S", 2, 3)), shape)


def test_the_inverse_behind_a_determinant_is_an_elimination() -> None:
    """Its small entries have the error of the largest, and the bound of rounding left that out."""
    assert check(network(Random(2761)), ["float32"])


def test_swings_that_look_like_a_kink() -> None:
    """Every step of the first tries held 1e289 periods, and both sides had the same made-up slope."""
    report = verify(sp.sin(10**200 * x) + sp.Abs(x), {x: 0.0})
    assert report.passed, str(report)


def test_a_slope_below_all_digits() -> None:
    """A value of 1.34e-640 was compared with a bound that was a little smaller."""
    assert check(network(Random(770130)), ["verify"])


def test_a_slope_that_no_float_holds() -> None:
    """Reverse mode had 4.8e-327 at 320 digits and forward mode 1.2e-641 at 640, both of a sum that is one."""
    assert check(network(Random(9094)), ["verify"])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_remainders_are_those_of_numpy(dtype: str) -> None:
    """Of -1e-24 and 2.7 it was 0 in place of 2.7, in single precision of 1e17 and 3 it was -2e9."""
    random = np.random.default_rng(3)
    b = random.standard_normal(300).astype(dtype)
    a = np.concatenate([random.standard_normal(200) * 10.0 ** random.uniform(-5, 5, 200), np.arange(-50, 50)])
    a = a.astype(dtype)
    a[200:] *= b[200:]
    inf, tiny = np.inf, 1e-30
    special = [
        (-tiny, 2.7),
        (tiny, -2.7),
        (0.0, -3.0),
        (-0.0, 3.0),
        (3.0, inf),
        (-3.0, inf),
        (inf, 3.0),
        (1.0, 0.0),
    ]
    more = np.array(special, dtype).T
    a, b = np.append(a, more[0]), np.append(b, more[1])
    with np.errstate(invalid="ignore"):
        expected = np.mod(a, b)
    found = symprop.compile(sp.Mod(x, y), args=[x, y], batch=[x, y], dtype=dtype)(a, b)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_terms_in_front_of_a_root_are_gathered() -> None:
    """1 - tanh(x)**2 beside a root of it: the gathering of terms knew whole exponents alone, an error."""
    assert check(network(Random(3719)), ["mpmath"])


def test_a_rising_factorial_far_out() -> None:
    """A quotient of two gammas near 149 that kept what each of them and the rounded argument had lost."""
    assert check(network(Random(2100113)), ["mpmath"])


def test_beta_at_a_pole_is_no_number() -> None:
    """The limits from both sides differ; mpmath gives infinity, of which tanh is 1."""
    assert check(network(Random(4000019)), ["mpmath", "numpy"])
    assert np.isnan(symprop.compile(sp.beta(x, y), args=[x, y])(-1.0, 0.5))


def test_a_power_of_zero_with_the_exponent_zero() -> None:
    """x**tanh(x) ends at 0 with the slope -infinity, 0 by convention: the convention is named, no alarm."""
    assert check(network(Random(4005490)), ["verify"])
    report = symprop.compile(x**x, args=[x]).verify(0.0)
    (row,) = [r for r in report.rows if r.method == "kink"]
    assert row.passed and "border of the domain: x**x at x = 0.0" in row.note


def test_terms_alike_with_a_float_in_front() -> None:
    """x + 0.1*x was written as 1.1*x, which is another number."""
    assert check(network(Random(4005805)), ["equations"])


LOGICAL = {"select", "and", "or", "not", "less", "less_equal", "equal", "not_equal"}
NUMERIC = [
    name for name, o in OPERATIONS.items() if o.elementwise and o.exact is not None and name not in LOGICAL
]


@pytest.mark.parametrize("name", NUMERIC)
def test_nothing_makes_a_number_of_nan(name: str) -> None:
    """mpmath's hyp0f1 did: of the square root of -1 a spherical Bessel function was 1/3."""
    exact = OPERATIONS[name].exact
    assert exact is not None
    for count in (1, 2, 3):
        for attrs in ((), (1,)):
            try:
                value = exact(attrs, *[mp.nan] * count)
            except (TypeError, IndexError, ValueError):  # another number of operands or attributes
                continue
            assert mp.isnan(value), (name, count, attrs)


@pytest.mark.parametrize("k", [0.73, 5.5, -0.25])
@pytest.mark.parametrize("at", [0.0, -2.0, -3.0, 1.5])
def test_second_slopes_of_rising_factorials_at_poles(at: float, k: float) -> None:
    """They were NaN at 0, -1, -2, ..., where 1/gamma is zero."""
    second = symprop.grad(symprop.grad(sp.RisingFactorial(x, y), x), x)
    found = symprop.compile(second, args=[x, y])(at, k)
    with mp.workdps(60):
        exact = mp.diff(lambda v: mp.rf(v, k), at + mp.mpf(10) ** -25, 2)
    assert abs(found - exact) <= 1e-13 * abs(exact)
    assert check(network(Random(6000251)), ["verify"])


def test_a_number_beside_which_others_are_lost() -> None:
    """Of x + 1e300 fifty digits show nothing: sin of it had the slope cos(1e300), and a false alarm."""
    assert check(network(Random(6005612)), ["verify"])
    report = symprop.compile(sp.sin(x + 1e300), args=[x]).verify(2.5)
    (row,) = [r for r in report.rows if r.method == "finite differences"]
    with mp.workdps(400):
        assert abs(mp.cos(mp.mpf(2.5) + mp.mpf(1e300)) - mp.mpf(row.found)) < 1e-15


def test_the_search_for_smooth_places_ends() -> None:
    """Next to a point that no smaller distance changes, digits were never lost again: no end."""
    assert check(network(Random(6000398)), ["mpmath"])


def test_numbers_that_are_equal_in_single_precision_only() -> None:
    """`m == sin(sinh(m))` holds in float32 for a small m: a decision by rounding, with which nothing is
    compared."""
    assert check(network(Random(6006267)), ["mpmath", "float32"])


def test_second_slopes_of_logistic_losses_by_weights() -> None:
    """The slope by the weight was max(z, 0) - t*z + log1p(exp(-abs(z))), of which the slope at z = 0 is -t by
    the conventions of its parts, and not 1/2 - t."""
    z_, t, w, p = sp.symbols("z_ t w p", real=True)
    for more in ({}, {"pos_weight": p}):
        loss = nn.binary_cross_entropy_with_logits(z_, t, weight=w, **more)
        mixed = symprop.grad(symprop.grad(loss, w), z_)
        args = [z_, t, w, p]
        found = symprop.compile(mixed, args=args, wrt=[])(0.0, 0.25, 3.0, 2.0)
        assert found == (0.25 if not more else 0.75 / 2 - 2.0 * 0.25 / 2)
    assert check(network(Random(6003690)), ["verify"])


def test_infinite_slopes_of_powers_of_zero() -> None:
    assert check(network(Random(6003939)), ["verify"])
