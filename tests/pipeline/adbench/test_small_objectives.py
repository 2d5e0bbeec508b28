"""Determinant, least squares, log-sum-exp, k-means, Runge-Kutta, saddle and particle (GradBench)."""

import numpy as np
import pytest
import sympy as sp
from golden import check, golden

import symprop
from symprop import nn


def by_minors(A, n):
    """The determinant by expansion along the rows: an equation for every minor of the last rows."""
    equations = []

    def minor(columns, row):
        if row == n - 1:
            return A[row, columns[0]]
        symbol = sp.Symbol("m" + "".join(map(str, columns)))
        if symbol not in dict(equations):
            terms = [
                (-1) ** k * A[row, c] * minor((*columns[:k], *columns[k + 1 :]), row + 1)
                for k, c in enumerate(columns)
            ]
            equations.append((symbol, sp.Add(*terms)))
        return symbol

    minor(tuple(range(n)), 0)
    return symprop.Graph(equations)


def test_determinant_by_minors():
    case = golden("det_5")
    A = sp.MatrixSymbol("A", 5, 5)
    f = symprop.compile(by_minors(A, 5), args=[A], wrt=A)
    value, gradient = f.value_and_grad(case["in_A"])
    check(value, case["value"])
    check(gradient, case["grad_A"])


def test_the_gradient_of_a_determinant_of_zero():
    rows = [[1, 2, 3, 4], [2, 1, 0, 5], [3, 3, 3, 9], [1, 0, 2, 2]]  # the third is the sum of the first two
    A = sp.MatrixSymbol("A", 4, 4)
    value, gradient = symprop.compile(by_minors(A, 4), args=[A], wrt=A).value_and_grad(np.array(rows, float))
    assert value == 0.0
    cofactors = sp.Matrix(rows).cofactor_matrix()
    assert any(cofactors)
    check(gradient, np.array(cofactors.tolist(), float))


@pytest.mark.parametrize("name", ["llsq_n9_m4", "llsq_n16_m128"])
def test_least_squares(name):
    case = golden(name)
    m, n = len(case["in_x"]), int(case["in_n"])
    x, t = sp.MatrixSymbol("x", m, 1), sp.Symbol("t")
    polynomial = sp.Add(*[x[j, 0] * t**j for j in range(m)])
    f = symprop.compile((sp.sign(t) - polynomial) ** 2 / 2, args=[x, t], wrt=x, batch=[t], reduce="sum")
    points = -1 + 2 * np.arange(n) / (n - 1)
    value, gradient = f.value_and_grad(case["in_x"], points)
    check(value, case["value"])
    check(gradient, case["grad_x"])


@pytest.mark.parametrize("name", ["lse_n16", "lse_shift_p1000"])
def test_logsumexp(name):
    case = golden(name)
    x = sp.MatrixSymbol("x", len(case["in_x"]), 1)
    for expression in (
        nn.logsumexp(x),
        sp.log(symprop.scalar(sp.OneMatrix(1, x.shape[0]) * x.applyfunc(sp.exp))),
    ):
        value, gradient = symprop.compile(expression, wrt=x).value_and_grad(case["in_x"])
        check(value, case["value"])
        check(gradient, case["grad_x"])


def test_k_means():
    case = golden("kmeans_k3_n20_d2")
    k, d = case["in_centroids"].shape
    C, p, ones = sp.MatrixSymbol("C", k, d), sp.MatrixSymbol("p", d, 1), sp.OneMatrix(k, d)
    distances = [symprop.scalar((p - C[j, :].T).T * (p - C[j, :].T)) for j in range(k)]
    nearest = sp.Min(*distances)
    f = symprop.compile(nearest, args=[C, p], batch=[p], reduce="sum", wrt=C)
    value, gradient = f.value_and_grad(case["in_centroids"], case["in_points"])
    check(value, case["value"])
    check(gradient, case["grad_centroids"])
    diagonal = symprop.hvp(nearest, C, ones, as_graph=True)  # the Hessian of a sum over points is diagonal
    h = symprop.compile(diagonal, args=[C, p], batch=[p], reduce="sum", wrt=[])
    found = h(case["in_centroids"], case["in_points"])
    check(found, case["hessdiag"])
    check(gradient / found, case["dir"])


def test_runge_kutta():
    case = golden("ode_n4_s3")
    n, s = len(case["in_x"]), int(case["in_s"])
    x = sp.MatrixSymbol("x", n, 1)
    shift = sp.ImmutableMatrix(n, n, lambda i, j: int(i == j + 1))
    first = sp.ImmutableMatrix(n, 1, lambda i, j: int(i == 0))
    equations, y, h = [], sp.ZeroMatrix(n, 1), sp.Rational(2, s)

    def slope(name, y):
        k = sp.MatrixSymbol(name, n, 1)
        equations.append((k, sp.HadamardProduct(x, shift * y + first)))
        return k

    for step in range(s):
        k1 = slope(f"k1_{step}", y)
        k2 = slope(f"k2_{step}", y + h / 2 * k1)
        k3 = slope(f"k3_{step}", y + h / 2 * k2)
        k4 = slope(f"k4_{step}", y + h * k3)
        after = sp.MatrixSymbol(f"y{step}", n, 1)
        equations.append((after, y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)))
        y = after
    graph = symprop.Graph(equations)
    check(symprop.compile(graph)(case["in_x"]), case["value"])
    last = symprop.Graph([*equations, (sp.Symbol("last"), y[n - 1, 0])])
    check(symprop.compile(last, wrt=x).grad(case["in_x"]), case["grad_x"])
    check(symprop.compile(symprop.jacobian(graph, x, as_graph=True))(case["in_x"]), case["J"])


def test_saddle():
    case = golden("saddle")
    x1, y1, x2, y2 = symbols = sp.symbols("x1 y1 x2 y2")
    f = symprop.compile(x1**2 + y1**2 - x2**2 - y2**2, args=symbols, batch=symbols, wrt=symbols)
    value, grads = f.value_and_grad(*case["in_points"].T)
    check(value, case["value"])
    check(np.stack(grads, 1), case["grad"])


def descent(value, slope, x):
    """The minimum by the gradient descent of the benchmark, whose step doubles and halves."""
    fx, gx, eta, successes = value(x), slope(x), 1e-5, 0
    while np.linalg.norm(gx) > 1e-5:
        if successes == 10:
            eta, successes = 2 * eta, 0
            continue
        after = x - eta * gx
        if np.linalg.norm(x - after) <= 1e-5:
            break
        value_after = value(after)
        if value_after < fx:
            x, fx, gx, successes = after, value_after, slope(after), successes + 1
        else:
            eta, successes = eta / 2, 0
    return x


def test_the_nested_descents_to_the_saddle():
    """min over (x1, y1) of max over (x2, y2), each from (1, 1); the gradient of the maximum is that at its
    place.
    """
    symbols = sp.symbols("x1 y1 x2 y2")
    f = symprop.compile(symbols[0] ** 2 + symbols[1] ** 2 - symbols[2] ** 2 - symbols[3] ** 2, args=symbols)
    start = np.array([1.0, 1.0])

    def place(outer):
        return descent(lambda q: -f(*outer, *q), lambda q: -np.array(f.grad(*outer, *q)[2:], float), start)

    def largest(outer):
        return f(*outer, *place(outer))

    def slope(outer):
        return np.array(f.grad(*outer, *place(outer))[:2], float)

    found = descent(largest, slope, start)
    check(np.array([*found, *place(found)]), np.full(4, 8.246324826140356e-06))


def potential(x0, x1, w):
    charges = [(10, 10 - w), (10, 0)]
    return sp.Add(*[((x0 - a) ** 2 + (x1 - b) ** 2) ** sp.Rational(-1, 2) for a, b in charges])


def test_the_potential_of_the_particle():
    case = golden("particle")
    symbols = sp.symbols("x0 x1 w")
    p = potential(*symbols)
    f = symprop.compile(p, args=symbols, batch=symbols, wrt=symbols)
    value, grads = f.value_and_grad(*case["in_pot_points"].T)
    check(value, case["pot"])
    check(np.stack(grads, 1), case["pot_grad"])
    hessian = symprop.hessian(p, list(symbols))
    second = symprop.compile(hessian, args=symbols, batch=symbols, wrt=[])
    check(second(*case["in_pot_points"].T), case["pot_hess"])


def trajectory(w, steps):
    """The cost of a flight of so many steps of Euler's method through the field of the charges."""
    equations, dt = [], 0.1

    def name(text, expression):
        equations.append((sp.Symbol(text), expression))
        return equations[-1][0]

    x, v = (sp.Float(0), sp.Float(8)), (sp.Float(0.75), sp.Float(0))
    for t in range(steps):
        force = [sp.S.Zero, sp.S.Zero]
        for j, charge in enumerate([(10, 10 - w), (10, 0)]):
            offset = [name(f"o{j}{k}_{t}", x[k] - charge[k]) for k in range(2)]
            cube = name(f"q{j}_{t}", offset[0] ** 2 + offset[1] ** 2) ** sp.Rational(-3, 2)
            force = [f + o * cube for f, o in zip(force, offset, strict=True)]
        after = [name(f"x{k}_{t}", x[k] + dt * v[k]) for k in range(2)]
        x, v = after, [name(f"v{k}_{t}", v[k] + dt * force[k]) for k in range(2)]
    name("cost", (x[0] - x[1] / v[1] * v[0]) ** 2)
    return symprop.Graph(equations)


def test_the_flight_of_the_particle_to_second_order():
    case, k = golden("particle"), 4
    w = sp.Symbol("w")
    graph = trajectory(w, int(case["in_nsteps"][k]))
    first = symprop.grad(graph, w, as_graph=True)
    f = symprop.compile(first, args=[w], wrt=w)  # the gradient, and its gradient: reverse over reverse
    slope, curvature = f.value_and_grad(case["in_w"][k])
    check(symprop.compile(graph, args=[w], wrt=[])(case["in_w"][k]), case["cost"][k])
    check(slope, case["dcost_dw"][k])
    check(curvature, case["d2cost_dw2"][k])
