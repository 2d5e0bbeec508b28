"""Bundle adjustment (ADBench ba): the projection of a point by a camera, an observation a sample."""

import sympy as sp
from golden import check, golden

import symprop


def projection():
    """The weighted error of one observation, and its variables."""
    cam, X, feat = (sp.MatrixSymbol(n, r, 1) for n, r in (("cam", 11), ("X", 3), ("feat", 2)))
    w = sp.Symbol("w")
    r, center, f = cam[:3, :], cam[3:6, :], cam[6, 0]
    offset, k0, k1 = cam[7:9, :], cam[9, 0], cam[10, 0]
    angle, rho, across = sp.symbols("angle rho across")
    v, Y, Z, u = (sp.MatrixSymbol(n, s, 1) for n, s in (("v", 3), ("Y", 3), ("Z", 3), ("u", 2)))
    cross = sp.Matrix([[0, -v[2, 0], v[1, 0]], [v[2, 0], 0, -v[0, 0]], [-v[1, 0], v[0, 0], 0]])
    err = sp.MatrixSymbol("err", 2, 1)
    graph = symprop.Graph(
        [
            (angle, sp.sqrt(symprop.scalar(r.T * r))),
            (v, r / angle),
            (Y, X - center),
            (across, symprop.scalar(v.T * Y)),
            (
                Z,
                Y * sp.cos(angle)
                + sp.ImmutableMatrix(cross) * Y * sp.sin(angle)
                + v * across * (1 - sp.cos(angle)),
            ),
            (u, Z[:2, :] / Z[2, 0]),
            (rho, symprop.scalar(u.T * u)),
            (err, w * (f * (1 + k0 * rho + k1 * rho**2) * u + offset - feat)),
        ]
    )
    return graph, cam, X, w, feat


def test_errors_and_jacobians():
    case = golden("ba_blocks")
    graph, cam, X, w, feat = projection()
    arrays = [case[f"in_{n}"] for n in ("cam", "X", "w", "feat")]
    symbols = [cam, X, w, feat]
    check(symprop.compile(graph, args=symbols, batch=symbols, wrt=[])(*arrays), case["err"])
    for variable, wanted in ((cam, "J_cam"), (X, "J_X"), (w, "J_w")):
        jacobian = symprop.jacobian(graph, variable, as_graph=True)
        found = symprop.compile(jacobian, args=symbols, batch=symbols, wrt=[])(*arrays)
        check(found, case[wanted])


def test_the_error_of_the_weight():
    case = golden("ba_blocks")
    w = sp.Symbol("w")
    f = symprop.compile(1 - w**2, batch=[w], wrt=[w])
    value, (slope,) = f.value_and_grad(case["in_w"])
    check(value, case["w_err"])
    check(slope, case["J_werr"])
