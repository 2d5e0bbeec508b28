"""The sympy classes of the named functions keep the rules that sympy asks of its objects."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import sympy as sp

from symprop import nn
from symprop.errors import ShapeError, UnsupportedExpressionError
from symprop.functions.symbols import MatrixFunction, ScalarFunction, Static, named

a, b = sp.symbols("a b")
n = sp.Symbol("n", integer=True, positive=True)
x, t = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("t", 3, 1)
W, Z = sp.MatrixSymbol("W", 4, 3), sp.MatrixSymbol("Z", n, 2)
y = sp.Symbol("y", integer=True)

EXAMPLES = [
    nn.tanh(a),
    nn.tanh(W * x),
    nn.leaky_relu(a, b),
    nn.gelu(x, approximate="tanh"),
    nn.softmax(Z, dim=1),
    nn.logsumexp(x),
    nn.cross_entropy(W * x, y, label_smoothing=sp.Rational(1, 10)),
    nn.mse_loss(x, t, reduction="none"),
    nn.maximum(a, b, ties="split"),
    nn.one_hot(y, 4),
    named("sum", [W], ((1,), True)),
]


@pytest.mark.parametrize("e", EXAMPLES, ids=str)
def test_the_function_applied_to_the_arguments_is_the_expression(e):
    assert e.func(*e.args) == e
    assert hash(e.func(*e.args)) == hash(e)
    assert e.xreplace({}) == e
    assert e.xreplace({a: b, x: t}).operation == e.operation
    assert pickle.loads(pickle.dumps(e)) == e
    assert pickle.loads(pickle.dumps(e.func)) is e.func
    assert isinstance(e, MatrixFunction if e.is_Matrix else ScalarFunction)


def test_pickles_load_in_a_process_that_has_only_the_pickle():
    data = pickle.dumps([nn.tanh(W * x), nn.relu(a)])
    code = f"import pickle; print(pickle.loads({data!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[tanh(W*x), relu(a)]"


def test_attributes_keep_their_type():
    assert Static(1) != Static(True)
    assert Static(1) != Static(1.0)
    assert Static("none") != Static(None)
    assert nn.mse_loss(x, t).attrs == ("mean",)
    assert nn.mse_loss(x, t).operands == (x, t)


@pytest.mark.parametrize(
    ("e", "text", "latex"),
    [
        (nn.tanh(W * x), "tanh(W*x)", r"\tanh\left(W x\right)"),
        (nn.relu(a) ** 2, "relu(a)**2", r"{\operatorname{relu}\left(a\right)}^{2}"),
        (nn.leaky_relu(a), "leaky_relu(a)", r"\operatorname{leaky\_relu}\left(a\right)"),
        (nn.leaky_relu(a, 0.25), "leaky_relu(a, 0.25)", r"\operatorname{leaky\_relu}\left(a, 0.25\right)"),
        (
            nn.softmax(Z, dim=1),
            "softmax(Z, dim=1)",
            r"\operatorname{softmax}\left(Z, \text{dim=}\text{1}\right)",
        ),
        (nn.cross_entropy(x, y), "cross_entropy(x, y)", r"\operatorname{cross\_entropy}\left(x, y\right)"),
        (nn.mse_loss(a, b), "mse_loss(a, b)", r"\operatorname{mse\_loss}\left(a, b\right)"),
        (named("normal_cdf", [a]), "normal_cdf(a)", r"\Phi\left(a\right)"),
        (2 * nn.tanh(x) + x, "x + 2*tanh(x)", r"x + 2 \tanh\left(x\right)"),
    ],
)
def test_printing(e, text, latex):
    assert str(e) == text
    assert sp.latex(e) == latex


def test_shapes_follow_the_operation():
    assert nn.tanh(W * x).shape == (4, 1)
    assert nn.softmax(Z, dim=1).shape == (n, 2)
    assert nn.logsumexp(Z, dim=1).shape == (n, 1)
    assert nn.cross_entropy(x, y).is_Matrix is False
    assert (nn.tanh(W * x)[2, 0]).parent == nn.tanh(W * x)
    assert nn.relu(sp.Matrix([[1, a]])).shape == (1, 2)


def test_substitution_keeps_the_function():
    assert nn.relu(a).subs(a, b + 1) == nn.relu(b + 1)
    assert nn.relu(a).subs(a, -2) == nn.relu(-2)
    assert nn.relu(W * x).subs(x, t) == nn.relu(W * t)
    assert nn.tanh(Z).subs(n, 5).shape == (5, 2)
    assert nn.tanh(x).xreplace({x: sp.Matrix([1, 2, a])}).doit() == sp.Matrix(
        [sp.tanh(1), sp.tanh(2), sp.tanh(a)]
    )


def test_sympy_builds_products_and_sums_without_expanding_the_function():
    h = nn.tanh(W * x)
    s = nn.sigmoid(a)
    for e in (W.T * h, h + h * 2, -h, h.T, h / 2, s * h, (1 + s) * h, h.T * h, sp.hadamard_product(h, W * x)):
        assert e.has(type(h))
    assert sp.trace(h * h.T).has(type(h))
    assert str(W.T * h + x) == "x + W.T*tanh(W*x)"
    assert sp.Eq(sp.MatrixSymbol("h", 4, 1), h).rhs == h
    assert sp.Eq(b, s).rhs == s


def test_doit_and_rewrite_give_the_formula():
    assert nn.relu(a).doit() == nn.relu(a).rewrite(sp.Max) == sp.Max(0, a)
    assert (b * nn.relu(a)).rewrite(sp.Max) == b * sp.Max(0, a)
    assert nn.relu(a).rewrite(sp.Piecewise) == sp.Max(0, a).rewrite(sp.Piecewise)
    assert nn.relu(nn.tanh(a)).doit() == sp.Max(0, sp.tanh(a))
    assert nn.relu(nn.tanh(a)).doit(deep=False) == sp.Max(0, nn.tanh(a))
    assert str((W.T * nn.relu(W * x)).doit()) == "W.T*Lambda(_x, Max(0, _x)).(W*x)"
    assert nn.relu(x).as_explicit()[1].doit() == sp.Max(0, x[1, 0])
    assert nn.squared_error(x, t).doit() == sum((x[i, 0] - t[i, 0]) ** 2 / 2 for i in range(3))


def test_formulas_of_symbolic_size():
    v = sp.MatrixSymbol("v", n, 1)
    at = {sp.MatrixSymbol("v", 3, 1): sp.Matrix([1, 2, 4])}
    mean = nn.mse_loss(v, sp.OneMatrix(n, 1)).doit().subs(n, 3).doit().subs(at).doit()
    assert mean == sp.Rational(10, 3)
    total = nn.logsumexp(v).doit().subs(n, 3).doit().subs(at).doit()
    assert sp.simplify(total - sp.log(sp.exp(1) + sp.exp(2) + sp.exp(4))) == 0


def test_plain_sympy_differentiates_scalar_functions():
    s = nn.sigmoid(2 * a)
    assert sp.expand(sp.diff(s, a) - 2 * (1 - s) * s) == 0
    assert sp.diff(nn.relu(a) * a, a).subs(a, 3) == 3 + nn.relu(3)
    assert sp.diff(nn.leaky_relu(a, b), b).subs(a, -2) == -2
    assert nn.tanh(a).fdiff() == 1 - nn.tanh(a) ** 2
    with pytest.raises(UnsupportedExpressionError, match=r"symprop\.grad"):
        sp.diff(nn.logsumexp(a * x), a)
    for e in (nn.logsumexp(x), nn.tanh(x), W * nn.tanh(x)):
        with pytest.raises(UnsupportedExpressionError, match=r"symprop\.grad"):
            sp.diff(e, x)


def test_values_of_numbers():
    assert nn.sigmoid(2).evalf(30) == (1 / (1 + sp.exp(-2))).evalf(30)
    assert float(nn.relu(-3)) == 0.0
    assert float(nn.gelu(1) + 1) == pytest.approx(1.8413447460685429)
    assert np.isinf(float(named("exp", [sp.oo])))


def test_lambdify_takes_the_formula():
    f = sp.lambdify([a], nn.relu(a) + nn.sigmoid(a), "numpy")
    assert f(2.0) == pytest.approx(2 + 1 / (1 + np.exp(-2.0)))
    assert sp.ccode(nn.sigmoid(a)) == sp.ccode(1 / (1 + sp.exp(-a)))
    with pytest.raises(UnsupportedExpressionError, match="compile"):
        sp.lambdify([x], nn.tanh(x))


def test_sympy_tools_walk_over_the_function():
    h = nn.tanh(W * x)
    shared, _ = sp.cse([W.T * h + x, h])
    assert shared[0][1] == h
    assert sp.pretty(nn.gelu(a, approximate="tanh")) == "gelu(a, approximate='tanh')"
    assert sp.factor(nn.sigmoid(a) ** 2 - 1) == (nn.sigmoid(a) - 1) * (nn.sigmoid(a) + 1)
    assert nn.cross_entropy(h, y).free_symbols == {W, x, y}
    assert (nn.sigmoid(a) + 1).replace(nn.sigmoid(a).func, sp.tanh) == sp.tanh(a) + 1


def test_deep_nests_cost_the_same_per_level():
    scalar, column = a, x
    for _ in range(30_000):
        scalar, column = nn.tanh(scalar), nn.tanh(column)
    assert hash(scalar) == hash(scalar)
    assert (scalar + 1).args[0] == 1
    assert (W * column).shape == (4, 1)
    assert (scalar * column).args[0] is scalar
    assert scalar.is_real and scalar.is_commutative


def test_what_is_no_expression_is_refused():
    with pytest.raises(UnsupportedExpressionError, match="tanh takes"):
        named("tanh", ["a + b"])
    with pytest.raises(ShapeError, match=r"maximum of x of shape \(3, 1\), W of shape \(4, 3\)"):
        named("maximum", [x, W])
