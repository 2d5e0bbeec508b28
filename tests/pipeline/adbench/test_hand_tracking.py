"""Hand tracking (ADBench hand): 26 angles and shifts move a skeleton, which moves the points of a surface."""

import numpy as np
import pytest
import sympy as sp
from golden import check, golden

import symprop

BONES = 22


def rotation(axis, angle):
    c, s = sp.cos(angle), sp.sin(angle)
    if axis == "x":
        return sp.Matrix([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
    return sp.Matrix([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def skeleton(model):
    """Equations for the transformation of each bone and for the rotation of the hand."""
    theta = sp.MatrixSymbol("theta", 26, 1)
    bends, spreads = dict.fromkeys(range(BONES), sp.S.Zero), dict.fromkeys(range(BONES), sp.S.Zero)
    angles = iter(theta[k, 0] for k in range(6, 26))
    for finger in range(5):
        for joint in range(3):
            bone = 2 + 4 * finger + joint
            bends[bone] = next(angles)
            if joint == 0:
                spreads[bone] = next(angles)
    equations, absolute, transforms = [], [], []
    for i, parent in enumerate(model["parents"]):
        here = sp.ImmutableMatrix(model["base_relatives"][i])
        turn = sp.ImmutableMatrix(rotation("z", spreads[i]) * rotation("x", bends[i]))
        A, T = sp.MatrixSymbol(f"A{i}", 4, 4), sp.MatrixSymbol(f"T{i}", 4, 4)
        place = here * turn if parent < 0 else absolute[parent] * here * turn
        back = sp.ImmutableMatrix(model["inverse_base_absolutes"][i])
        equations += [(A, place), (T, A * back)]
        absolute.append(A)
        transforms.append(T)
    angle, n, R = sp.Symbol("angle"), sp.MatrixSymbol("n", 3, 1), sp.MatrixSymbol("R", 3, 3)
    cross = sp.Matrix([[0, -n[2, 0], n[1, 0]], [n[2, 0], 0, -n[0, 0]], [-n[1, 0], n[0, 0], 0]])
    spin = sp.cos(angle) * sp.Identity(3) + (1 - sp.cos(angle)) * n * n.T
    equations += [
        (angle, sp.sqrt(symprop.scalar(theta[:3, :].T * theta[:3, :]))),
        (n, theta[:3, :] / angle),
        (R, spin + sp.sin(angle) * sp.ImmutableMatrix(cross)),
    ]
    return theta, equations, transforms, R


def moved(name, theta, transforms, R):
    """Where a point of the surface goes: the equation, its symbol and what it depends on."""
    base, weights = sp.MatrixSymbol(f"base{name}", 4, 1), sp.MatrixSymbol(f"weights{name}", BONES, 1)
    V = sp.MatrixSymbol(f"V{name}", 3, 1)
    total = sp.MatAdd(*[weights[i, 0] * (T * base) for i, T in enumerate(transforms)])
    local = sp.MatrixSymbol(f"local{name}", 4, 1)
    return [(local, total), (V, R * local[:3, :] + theta[3:6, :])], V, [base, weights]


@pytest.mark.parametrize("name", ["hand_simple_test2", "hand_simple_c100"])
def test_points_on_corners(name):
    case, model = golden(name), golden("hand_model_small")
    theta, equations, transforms, R = skeleton(model)
    vertex, V, data = moved("", theta, transforms, R)
    point, err = sp.MatrixSymbol("point", 3, 1), sp.MatrixSymbol("err", 3, 1)
    graph = symprop.Graph([*equations, *vertex, (err, point - V)])
    corners = case["in_correspondences"]
    arrays = [
        case["in_theta"],
        model["base_positions"][corners],
        model["weights"][corners],
        case["in_points"],
    ]
    symbols = [theta, *data, point]
    errors = symprop.compile(graph, args=symbols, batch=symbols[1:], wrt=[])
    check(np.ravel(errors(*arrays)), case["err"])
    jacobian = symprop.jacobian(graph, theta, as_graph=True)
    slopes = symprop.compile(jacobian, args=symbols, batch=symbols[1:], wrt=[])
    check(slopes(*arrays).reshape(-1, 26), case["J"])


def test_points_in_triangles():
    case, model = golden("hand_complicated_test2"), golden("hand_model_small")
    theta, equations, transforms, R = skeleton(model)
    corners, data, vertices = model["triangles"][case["in_correspondences"]], [], []
    arrays = []
    for k in range(3):
        vertex, V, inputs = moved(str(k), theta, transforms, R)
        equations += vertex
        vertices.append(V)
        data += inputs
        arrays += [model["base_positions"][corners[:, k]], model["weights"][corners[:, k]]]
    point, err, u = sp.MatrixSymbol("point", 3, 1), sp.MatrixSymbol("err", 3, 1), sp.MatrixSymbol("u", 2, 1)
    a, b, c = vertices
    inside = u[0, 0] * a + u[1, 0] * b + (1 - u[0, 0] - u[1, 0]) * c
    graph = symprop.Graph([*equations, (err, point - inside)])
    symbols = [theta, u, *data, point]
    values = [case["in_theta"], case["in_us"], *arrays, case["in_points"]]
    errors = symprop.compile(graph, args=symbols, batch=symbols[1:], wrt=[])
    check(np.ravel(errors(*values)), case["err"])
    for variable, wanted in ((theta, case["J_theta"]), (u, case["J_us_block"])):
        jacobian = symprop.jacobian(graph, variable, as_graph=True)
        found = symprop.compile(jacobian, args=symbols, batch=symbols[1:], wrt=[])(*values)
        check(found.reshape(wanted.shape), wanted)
