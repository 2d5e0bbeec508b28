"""What cannot be differentiated, compiled or called says why; what is not in a target has gradient zero."""

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn

n = sp.Symbol("n", integer=True, positive=True)
x, v, z = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("v", 3, 1), sp.MatrixSymbol("z", 4, 1)
W = sp.MatrixSymbol("W", 2, 3)
A, B = sp.MatrixSymbol("A", n, 3), sp.MatrixSymbol("B", n, 3)
y = sp.Symbol("y", integer=True)
a, b = sp.symbols("a b")
COLUMN, MATRIX = np.ones(3), np.ones((2, 3))
LOSS = nn.cross_entropy(x, y)


# -- a target that is no scalar ---------------------------------------------------------------------------


@pytest.mark.parametrize("call", [symprop.grad, symprop.backprop, symprop.hessian])
def test_a_gradient_is_that_of_a_scalar(call):
    with pytest.raises(symprop.ShapeError, match=r"found the target out of shape \(2, 1\).*jacobian"):
        call(W * x, x)
    named = symprop.Graph([(sp.MatrixSymbol("h", 2, 1), W * x)])
    with pytest.raises(symprop.ShapeError, match="target h"):
        call(named, x)


@pytest.mark.parametrize("method", ["grad", "value_and_grad"])
def test_a_function_that_is_no_scalar_has_a_value_only(method):
    function = symprop.compile(W * x, [W, x])
    np.testing.assert_array_equal(function(MATRIX, COLUMN), [3, 3])
    with pytest.raises(symprop.ShapeError, match=r"out has shape \(2, 1\).*jacobian"):
        getattr(function, method)(MATRIX, COLUMN)


# -- shapes that do not fit ---------------------------------------------------------------------------------


def test_shapes_that_do_not_fit_name_the_expression():
    with pytest.raises(symprop.ShapeError, match=r"equation of h.*\(3, 1\).*\(2, 1\).*W\*x"):
        symprop.Graph([(sp.MatrixSymbol("h", 3, 1), W * x)])
    with pytest.raises(symprop.ShapeError, match=r"\(3, 1\) times \(2, 3\)"):
        symprop.compile(sp.Basic.__new__(sp.MatMul, x, W))
    with pytest.raises(symprop.ShapeError, match=r"one shape, found \(3, 1\), \(2, 1\)"):
        symprop.compile(sp.Basic.__new__(sp.MatAdd, x, W * x))
    with pytest.raises(symprop.ShapeError, match="x is x of shape"):
        nn.prelu(x, z)


@pytest.mark.parametrize(
    ("call", "vector"), [(symprop.vjp, v), (symprop.jvp, sp.MatrixSymbol("c", 2, 1))], ids=["vjp", "jvp"]
)
def test_a_direction_has_the_shape_of_its_partner(call, vector):
    for given in (vector, [vector]):
        with pytest.raises(symprop.ShapeError, match="has shape"):
            call(W * x, [x], given)
    with pytest.raises(symprop.ShapeError, match="vector"):
        symprop.hvp(symprop.scalar(x.T * x), x, z)


def test_a_list_of_one_direction():
    assert symprop.jvp(W * x, [x], [v]) == symprop.jvp(W * x, x, v) == W * v
    c = sp.MatrixSymbol("c", 2, 1)
    assert symprop.vjp(W * x, [x], [c]) == [W.T * c]


def test_arrays_of_another_shape():
    function = symprop.compile(symprop.scalar(x.T * x), [x])
    with pytest.raises(symprop.ShapeError, match=r"argument x: expected .* \(3, 1\), found shape \(4,\)"):
        function(np.ones(4))
    with pytest.raises(symprop.ShapeError, match=r"batch="):
        function(np.ones((5, 3, 1)))


# -- a size that is bound twice ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["__call__", "grad", "value_and_grad", "bind"])
def test_a_size_that_two_arrays_bind_differently(method):
    function = symprop.compile(sp.Trace(A.T * B), [A, B])
    with pytest.raises(symprop.ShapeError, match="the size n is 4 in argument A but 5 in argument B"):
        getattr(function, method)(np.ones((4, 3)), np.ones((5, 3)))
    assert function(np.ones((4, 3)), np.ones((4, 3))) == 12


def test_a_size_that_one_array_binds_twice():
    S = sp.MatrixSymbol("S", n, n)
    with pytest.raises(symprop.ShapeError, match="the size n is 2 in argument S but 3"):
        symprop.compile(sp.Trace(S), [S])(MATRIX)
    even = sp.MatrixSymbol("even", 2 * n, 1)
    with pytest.raises(symprop.ShapeError, match="argument even"):
        symprop.compile(symprop.scalar(even.T * even), [even])(np.ones(5))


# -- a label has no derivative --------------------------------------------------


def derivatives_by_a_label():
    yield lambda: symprop.grad(LOSS, y)
    yield lambda: symprop.backprop(LOSS, [x, y])
    yield lambda: symprop.jacobian(y * x, y)
    yield lambda: symprop.hessian(LOSS, y)
    yield lambda: symprop.jvp(LOSS, [y], [1])
    yield lambda: symprop.vjp(LOSS, y, 1)
    yield lambda: symprop.hvp(LOSS, y, 1)
    yield lambda: symprop.compile(LOSS, [x, y], wrt=[y])


@pytest.mark.parametrize("call", list(derivatives_by_a_label()))
def test_a_label_has_no_derivative(call):
    with pytest.raises(symprop.SympropError, match=r"\by\b.*integer \(a label"):
        call()


def test_only_symbols_and_names_are_variables():
    for wrong in (a + b, 3, x[0, 0]):
        with pytest.raises(symprop.ArgumentError, match="neither a symbol nor a named node"):
            symprop.grad(a**2, wrong)
    with pytest.raises(symprop.ArgumentError, match="wrt names b, which is no argument"):
        symprop.compile(a**2, [a], wrt=[b])


# -- a symbol that the target does not contain ----------------------------------


def test_the_gradient_of_what_is_not_there_is_zero_of_its_shape():
    by_a, by_b, by_x, by_rows = symprop.grad(a**2, [a, b, x, A])
    assert by_a == 2 * a and by_b == 0
    assert by_x == sp.ZeroMatrix(3, 1)
    assert by_rows == sp.ZeroMatrix(n, 3)
    assert symprop.jacobian(W * x, z) == sp.ZeroMatrix(2, 4)
    assert symprop.hessian(a**2, z) == sp.ZeroMatrix(4, 4)
    assert symprop.hvp(a**2, z, z) == sp.ZeroMatrix(4, 1)
    assert symprop.jvp(W * x, z, z) == sp.ZeroMatrix(2, 1)
    assert dict(symprop.backprop(a**2, [x]).equations)[sp.MatrixSymbol("d_x", 3, 1)] == sp.ZeroMatrix(3, 1)


def test_the_compiled_gradient_of_what_is_not_there_is_zero_of_its_shape():
    function = symprop.compile(a**2, [a, x, b, A], wrt=[x, b, a, A])
    value, (by_x, by_b, by_a, by_rows) = function.value_and_grad(3.0, COLUMN, 1.0, np.ones((5, 3)))
    assert (value, by_b, by_a) == (9, 0, 6)
    np.testing.assert_array_equal(by_x, np.zeros(3))
    np.testing.assert_array_equal(by_rows, np.zeros((5, 3)))
    batched = symprop.compile(a**2, [a, x, b], batch=[a, x], wrt=[x, b, a])
    by_x, by_b, by_a = batched.grad(np.arange(4.0), np.ones((4, 3)), 1.0)
    np.testing.assert_array_equal(by_x, np.zeros((4, 3)))
    np.testing.assert_array_equal(by_b, np.zeros(4))
    np.testing.assert_array_equal(by_a, 2 * np.arange(4.0))


def test_a_set_of_arguments_has_no_order():
    a, b = sp.symbols("a b")
    for options in ({"args": {a, b}}, {"args": [a, b], "wrt": frozenset([a, b])}):
        with pytest.raises(symprop.ArgumentError, match="no order"):
            symprop.compile(a * b, **options)
    assert symprop.compile(a * b, [a, b], batch={a, b})([1, 2], [3, 4]).tolist() == [3, 8]


def test_a_hadamard_product_of_two_shapes():
    with pytest.raises(symprop.ShapeError, match=r"one shape, found \(3, 3\), \(2, 3\)"):
        symprop.compile(
            sp.Basic.__new__(sp.HadamardProduct, sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("B", 2, 3))
        )
