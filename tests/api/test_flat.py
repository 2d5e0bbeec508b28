"""`as_scipy`: the flat function against NumPy, against differences, and in the hands of SciPy's solvers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose, assert_array_equal

import symprop
from symprop import nn

optimize = pytest.importorskip("scipy.optimize")

x, y, a, b, t, u = sp.symbols("x y a b t u")
RNG = np.random.default_rng(5)


def rosenbrock() -> Any:
    return symprop.compile((1 - x) ** 2 + 100 * (y - x**2) ** 2, args=[x, y]).as_scipy()


def classifier(**options: Any) -> tuple[symprop.Function, Any, dict[str, Any]]:
    net = nn.mlp([3, 4, 2])
    label = sp.Symbol("label", integer=True)
    graph = symprop.Graph([*net.graph.equations, (sp.Symbol("L"), nn.cross_entropy(net.scores, label))])
    (inner,) = net.inputs
    f = symprop.compile(
        graph, args=[*net.params, inner, label], batch=[inner, label], **{"reduce": "mean", **options}
    )
    data = {"x": RNG.normal(size=(20, 3)), "label": RNG.integers(0, 2, 20)}
    return f, net, data


def differences(fun: Any, v: Any, step: float = 1e-6) -> Any:
    """The Jacobian by central differences; of a scalar the gradient."""
    columns = [(fun(v + step * e) - fun(v - step * e)) / (2 * step) for e in np.eye(len(v))]
    return np.stack(columns, axis=-1)


def test_value_gradient_and_hessian_of_a_formula() -> None:
    s = rosenbrock()
    v = np.array([1.0, 2.0])
    value, gradient = s(v)
    assert isinstance(value, float) and value == s.fun(v) == 100.0
    assert_array_equal(gradient, [-400.0, 200.0])
    assert_array_equal(s.jac(v), gradient)
    hessian = np.array([[2 - 400 * (2 - 3.0), -400.0], [-400.0, 200.0]])
    assert_allclose(np.stack([s.hessp(v, e) for e in np.eye(2)]), hessian, rtol=1e-14)
    assert_allclose(s.hess(v), hessian, rtol=1e-14)


def test_every_call_gives_a_new_gradient_and_leaves_its_vector() -> None:
    s = rosenbrock()
    v = np.array([1.0, 2.0])
    first, second = s.jac(v), s.jac(v)
    kept = first.copy()
    assert not np.shares_memory(first, second) and not np.shares_memory(first, v)
    s.jac([3.0, 4.0])
    s(np.array([0.0, 1.0]))
    assert_array_equal(first, kept)
    assert_array_equal(v, [1.0, 2.0])


def test_the_gradient_of_a_network_has_the_order_of_its_parameters() -> None:
    f, net, data = classifier()
    s = f.as_scipy(**data)
    start = net.init(1)
    v = s.x0(start)
    assert_array_equal(v, np.concatenate([start[p].ravel() for p in net.params]))
    assert s.size == v.size == 26
    back = s.unflatten(v)
    assert list(back) == list(net.params)
    for p in net.params:
        assert_array_equal(back[p], start[p])
    value, grads = f.value_and_grad(*start.values(), *data.values())
    found, gradient = s(v)
    assert found == value
    assert_array_equal(gradient, np.concatenate([g.ravel() for g in grads]))
    assert_allclose(gradient, differences(s.fun, v), atol=1e-9)


def test_the_hessian_of_a_network_against_differences_of_its_gradient() -> None:
    for reduce in ("mean", "sum"):
        f, net, data = classifier(reduce=reduce)
        s = f.as_scipy(**data)
        v = s.x0(net.init(2))
        hessian = np.stack([s.hessp(v, e) for e in np.eye(s.size)])
        assert_allclose(hessian, differences(s.jac, v), atol=2e-8)
        assert_allclose(hessian, hessian.T, atol=1e-12)


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "CG"])
def test_minimize_with_a_gradient(method: str) -> None:
    s = rosenbrock()
    assert_allclose(optimize.minimize(s, [-1.2, 1.0], jac=True, method=method).x, 1.0, atol=1e-4)
    assert_allclose(optimize.minimize(s.fun, [-1.2, 1.0], jac=s.jac, method=method).x, 1.0, atol=1e-4)


@pytest.mark.parametrize("method", ["Newton-CG", "trust-ncg", "trust-krylov"])
def test_minimize_with_second_derivatives(method: str) -> None:
    s = rosenbrock()
    found = optimize.minimize(s, [-1.2, 1.0], jac=True, hessp=s.hessp, method=method)
    assert_allclose(found.x, 1.0, atol=1e-3)


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_least_squares_with_residuals_of_the_samples(method: str) -> None:
    f = symprop.compile(a * (1 - sp.exp(-b * t)) - u, args=[a, b, t, u], batch=[t, u])
    times = np.linspace(0, 5, 9)
    s = f.as_scipy(t=times, u=3 * (1 - np.exp(-0.7 * times)))
    v = np.array([1.0, 1.0])
    right = np.stack([1 - np.exp(-times), times * np.exp(-times)], axis=1)
    residuals, jacobian = s(v)
    assert residuals.shape == (9,) and jacobian.shape == (9, 2)
    assert_array_equal(residuals, s.fun(v))
    assert_allclose(jacobian, right, rtol=1e-13, atol=1e-15)
    assert_allclose(optimize.least_squares(s.fun, v, jac=s.jac, method=method).x, [3.0, 0.7], rtol=1e-8)


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root_of_a_system(method: str) -> None:
    s = symprop.compile(sp.Matrix([x**2 + y**2 - 4, x * y - 1]), args=[x, y]).as_scipy()
    residuals, jacobian = s([2.0, 0.5])
    assert_allclose(residuals, [0.25, 0.0])
    assert_allclose(jacobian, [[4.0, 1.0], [0.5, 2.0]])
    found = optimize.root(s, [2.0, 0.5], jac=True, method=method)
    assert_allclose([found.x[0] * found.x[1], found.x @ found.x], [1.0, 4.0], rtol=1e-10)


def test_a_column_by_a_matrix_and_a_column() -> None:
    A, c, d = sp.MatrixSymbol("A", 2, 3), sp.MatrixSymbol("c", 3, 1), sp.MatrixSymbol("d", 2, 1)
    s = symprop.compile(nn.tanh(A * c) - d, args=[A, c, d], wrt=[A, c]).as_scipy(d=[0.1, 0.2])
    v = RNG.normal(size=9)
    assert s.jac(v).shape == (2, 9)
    assert_allclose(s.jac(v), differences(s.fun, v), atol=1e-9)


def test_columns_of_samples_are_residuals_one_after_the_other() -> None:
    net = nn.mlp([3, 4, 2])
    f = symprop.compile(net.graph, args=[*net.params, *net.inputs], batch=net.inputs)
    points = RNG.normal(size=(5, 3))
    s = f.as_scipy(x=points)
    start = net.init(3)
    v = s.x0(start)
    assert_array_equal(s.fun(v), f(*start.values(), points).ravel())
    assert s.jac(v).shape == (10, 26)
    assert_allclose(s.jac(v), differences(s.fun, v), atol=1e-9)


def test_the_mean_of_columns() -> None:
    c, d = sp.MatrixSymbol("c", 2, 1), sp.MatrixSymbol("d", 2, 1)
    f = symprop.compile(sp.HadamardProduct(c, d), args=[c, d], batch=[d], reduce="mean")
    points = RNG.normal(size=(7, 2))
    s = f.as_scipy(d=points)
    assert_allclose(s.fun([2.0, 3.0]), points.mean(0) * [2.0, 3.0])
    assert_allclose(s.jac([2.0, 3.0]), np.diag(points.mean(0)))


def test_one_symbol_as_wrt() -> None:
    w = sp.MatrixSymbol("w", 3, 1)
    s = symprop.compile(sp.Trace(w.T * w), args=[w], wrt=w).as_scipy()
    assert_array_equal(s.jac([1.0, 2.0, 3.0]), [2.0, 4.0, 6.0])
    assert_array_equal(s.hessp([1.0, 2.0, 3.0], [1.0, 0.0, 0.0]), [2.0, 0.0, 0.0])


def test_of_several_outputs_the_first_counts() -> None:
    v, w = sp.symbols("v w")
    graph = symprop.Graph([(v, x * y), (w, v + x)], outputs=[v, w])
    s = symprop.compile(graph, args=[x, y]).as_scipy()
    assert s([2.0, 3.0])[0] == 6.0
    assert_array_equal(s.jac([2.0, 3.0]), [3.0, 2.0])
    assert_array_equal(s.hessp([2.0, 3.0], [1.0, 0.0]), [0.0, 1.0])


def test_samples_as_a_part_of_the_vector() -> None:
    f = symprop.compile(a * (t - u) ** 2, args=[a, t, u], batch=[t, u], wrt=[a, t], reduce="sum")
    s = f.as_scipy(u=[1.0, 2.0, 3.0])
    v = s.x0({a: 2.0, "t": [0.0, 0.0, 0.0]})
    value, gradient = s(v)
    assert value == 28.0
    assert_array_equal(gradient, [14.0, -4.0, -8.0, -12.0])
    assert_allclose(np.stack([s.hessp(v, e) for e in np.eye(4)]), differences(s.jac, v), atol=1e-7)
    free = symprop.compile(t**2, args=[t], batch=[t], wrt=[t], reduce="sum").as_scipy()
    assert_array_equal(free.jac([1.0, 2.0]), [2.0, 4.0])
    assert_array_equal(free.jac([1.0, 2.0, 3.0]), [2.0, 4.0, 6.0])
    with pytest.raises(symprop.ArgumentError, match="number of samples is not known"):
        assert free.size


def test_sizes_bound_by_the_data() -> None:
    n = sp.Symbol("n", integer=True)
    w, c = sp.MatrixSymbol("w", n, 1), sp.MatrixSymbol("c", n, 1)
    f = symprop.compile(sp.Trace((w - c).T * (w - c)), args=[w, c], wrt=[w])
    for size in (2, 5):
        s = f.as_scipy(c=np.arange(size))
        assert s.size == size
        assert_array_equal(s.jac(np.zeros(size)), -2.0 * np.arange(size))
        assert_array_equal(s.hessp(np.zeros(size), np.ones(size)), 2.0 * np.ones(size))
    whole = symprop.compile(sp.Trace(w.T * w), args=[w])
    with pytest.raises(symprop.ArgumentError, match="size n does not follow"):
        whole.as_scipy()


def test_float32_is_seen_as_float64() -> None:
    f, _, data = classifier(dtype="float32")
    double, _, _ = classifier()
    v = RNG.normal(size=26)
    value, gradient = f.as_scipy(**data)(v)
    right, theirs = double.as_scipy(**data)(v)
    assert isinstance(value, float) and gradient.dtype == np.float64
    assert_allclose(value, right, rtol=1e-5)
    assert_allclose(gradient, theirs, rtol=1e-4, atol=1e-6)


def test_it_pickles_and_copies() -> None:
    f, net, data = classifier()
    s = f.as_scipy(**data)
    v = s.x0(net.init(1))
    for other in (pickle.loads(pickle.dumps(s)), copy.copy(s), copy.deepcopy(s)):
        assert_array_equal(other(v)[1], s(v)[1])
        assert_array_equal(other.hessp(v, v), s.hessp(v, v))


def test_data_and_vectors_that_do_not_fit_are_refused() -> None:
    f, net, data = classifier()
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"x": data["x"]}, symprop.ArgumentError, "missing argument label"),
        ({**data, "q": 1}, symprop.ArgumentError, "unknown argument q"),
        ({**data, "W1": 1}, symprop.ArgumentError, "W1 is a part of the vector"),
        ({**data, "label": [1]}, symprop.ArgumentError, "unequal numbers of samples: 20 and 1"),
        ({**data, "x": np.zeros((20, 4))}, symprop.ShapeError, r"argument x: expected .*\(N, 3\)"),
    ]
    for given, kind, message in wrong:
        with pytest.raises(kind, match=message):
            f.as_scipy(**given)
    s = f.as_scipy(**data)
    start = net.init(1)
    with pytest.raises(symprop.ShapeError, match=r"v has 25 entries, expected 26: those of W1 \(4, 3\)"):
        s(np.zeros(25))
    for bad in (np.zeros((26, 1)), np.zeros(26, complex), "26"):
        with pytest.raises(symprop.ShapeError, match=r"vector of real numbers of shape \(26,\)"):
            s.fun(bad)
    with pytest.raises(symprop.ArgumentError, match="x0 lacks W1"):
        s.x0({k: v for k, v in start.items() if str(k) != "W1"})
    with pytest.raises(symprop.ArgumentError, match="x0 holds q"):
        s.x0({**start, "q": 1})
    with pytest.raises(symprop.ShapeError, match="argument W1"):
        s.x0({**start, net.params[0]: np.zeros((2, 2))})
    with pytest.raises(symprop.ArgumentError, match="label"):
        f.as_scipy(**{**data, "label": np.full(20, 2)})(s.x0(start))


def test_what_has_no_derivative_or_nothing_to_vary_says_so() -> None:
    with pytest.raises(symprop.ArgumentError, match="no vector is left to vary"):
        symprop.compile(x, args=[x], wrt=[]).as_scipy(x=1.0)
    residuals = symprop.compile(a * t, args=[a, t], batch=[t]).as_scipy(t=[1.0, 2.0])
    with pytest.raises(symprop.ShapeError, match="the Hessian is that of one number"):
        residuals.hessp([1.0], [1.0])
    sampled = symprop.compile(a * t, args=[a, t], batch=[t], wrt=[t]).as_scipy(a=2.0)
    assert_array_equal(sampled.fun([1.0, 2.0]), [2.0, 4.0])
    with pytest.raises(symprop.ShapeError, match="one value per sample"):
        sampled.jac([1.0, 2.0])
