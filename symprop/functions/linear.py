"""Linear algebra of square matrices: inverse, determinant, cofactors, factorisation, and Kronecker products.

`inverse`, `determinant`, `log_determinant`, `cofactor` are what formulas hold; the rewriting makes them uses
of one factorisation, `lu`, with `lu_solve` in place of products with an inverse. The derivative of a
determinant is its cofactor matrix, and that of the cofactor matrix is `cofactor_slope`: polynomials in the
entries, right where the matrix is singular too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from symprop.errors import ShapeError
from symprop.functions import elimination
from symprop.functions.symbols import define_formula
from symprop.graph import Dim, Node, NodeTable, Operation, Shape, register
from symprop.graph.nodes import constant_value

__all__ = ["kronecker", "log_of_determinant"]

Args = Sequence[Node]
Tangents = Sequence[Node | None]
T = NodeTable
N = Node

COOKBOOK = "Petersen and Pedersen, The Matrix Cookbook (2012)"


def _square(name: str) -> Any:
    def infer(args: Args, attrs: Any) -> tuple[Shape, str]:
        return _size(name, args), "real"

    return infer


def _size(name: str, args: Args) -> Shape:
    shape = args[0].shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeError(f"{name} takes a square matrix, found shape {shape}")
    return shape


def _number(name: str) -> Any:
    def infer(args: Args, attrs: Any) -> tuple[Shape, str]:
        _size(name, args)
        return (), "real"

    return infer


def _declare(name: str, infer: Any, reference: Any, **more: Any) -> None:
    register(Operation(name=name, infer=infer, reference=reference, exact=reference, **more))


# -- the inverse ----------------------------------------------------------------------------------------


def _inverse_vjp(t: T, node: N, upstream: N) -> list[N | None]:
    turned = t.transpose(node)
    return [t.neg(t.matmul(t.matmul(turned, upstream), turned))]


def _inverse_jvp(t: T, node: N, tangents: Tangents) -> N | None:
    (tangent,) = tangents
    return None if tangent is None else t.neg(t.matmul(t.matmul(node, tangent), node))


_declare(
    "inverse",
    _square("inverse"),
    elimination.inverse,
    vjp=_inverse_vjp,
    jvp=_inverse_jvp,
    summary="inverse(A): the matrix with inverse(A)*A = I; NaN in every entry where A is singular",
    source=COOKBOOK + ", section 2.2",
)
define_formula("inverse", sp.Inverse)

# -- determinants ---------------------------------------------------------------------------------------


def _determinant_vjp(t: T, node: N, upstream: N) -> list[N | None]:
    """upstream * cofactor(A); where the upstream divides by the determinant, with A**-1 instead:
    det(A)**-k * cofactor(A) --> det(A)**(1 - k) * A**-T.
    """
    (a,) = node.args
    factors = list(upstream.args) if upstream.op == "mul" else [upstream]
    for k, factor in enumerate(factors):
        power = constant_value(factor.args[1]) if factor.op == "pow" and factor.args[0] is node else None
        if power is not None and power.is_negative:
            factors[k] = t.pow(node, power + 1)
            return [t.mul(*factors, t.transpose(t.make("inverse", (a,))))]
    return [t.mul(upstream, t.make("cofactor", (a,)))]


def _determinant_jvp(t: T, node: N, tangents: Tangents) -> N | None:
    (tangent,) = tangents
    if tangent is None:
        return None
    return t.trace(t.matmul(t.transpose(t.make("cofactor", node.args)), tangent))


_declare(
    "determinant",
    _number("determinant"),
    elimination.determinant,
    vjp=_determinant_vjp,
    jvp=_determinant_jvp,
    latex=r"\det\left({0}\right)",
    summary="determinant(A); its gradient is cofactor(A), also where the determinant is zero",
    source=COOKBOOK + ", section 2.1",
)
define_formula("determinant", sp.Determinant)


def log_of_determinant(t: T, argument: N) -> N | None:
    """`log(det A)` and `log|det A|` as one operation, None for the logarithm of anything else."""
    if argument.op == "determinant":
        return t.make("log_determinant", argument.args)
    inner = argument.args[0] if argument.op == "abs" else argument
    if argument.op == "abs" and inner.op == "determinant":
        return t.make("log_determinant", inner.args, ("abs",))
    powers = [_power_of_determinant(f) for f in inner.args] if inner.op == "mul" else []
    found = [p for p in powers if p is not None]
    return _log_of_powers(t, found, argument.op == "abs") if powers and len(found) == len(powers) else None


def _power_of_determinant(node: N) -> tuple[N, int] | None:
    """A and k of det(A)**k."""
    power = constant_value(node.args[1]) if node.op == "pow" and node.args[0].op == "determinant" else None
    return (node.args[0].args[0], int(power)) if power is not None and power.is_Integer else None


def _log_of_powers(t: T, powers: Sequence[tuple[N, int]], sizes: bool) -> N:
    """log(det(A)**q det(B)**p), the determinant of a Kronecker product, as q log det A + p log det B.

    An even power has no sign; of two odd ones the signs may cancel: then it is that of the whole product.
    """
    odd = [power % 2 == 1 for _, power in powers]
    if sum(odd) > 1 and not sizes:
        return t.make("log_determinant", (kronecker(t, powers[0][0], powers[1][0]),))
    terms = [
        t.mul(t.constant(power), t.make("log_determinant", (a,), () if own and not sizes else ("abs",)))
        for (a, power), own in zip(powers, odd, strict=True)
    ]
    return t.add(*terms)


def _log_determinant_vjp(t: T, node: N, upstream: N) -> list[N | None]:
    return [t.mul(upstream, t.transpose(t.make("inverse", node.args)))]


def _log_determinant_jvp(t: T, node: N, tangents: Tangents) -> N | None:
    (tangent,) = tangents
    return None if tangent is None else t.trace(t.matmul(t.make("inverse", node.args), tangent))


_declare(
    "log_determinant",
    _number("log_determinant"),
    elimination.log_determinant,
    vjp=_log_determinant_vjp,
    jvp=_log_determinant_jvp,
    summary="log(det A) without overflow of the determinant; NaN where it is negative, -oo where it is zero",
    source=COOKBOOK + ", section 2.1.2",
)
define_formula(
    "log_determinant",
    lambda a, *how: sp.log(sp.Abs(sp.Determinant(a)) if how else sp.Determinant(a)),
)

# -- cofactors ------------------------------------------------------------------------------------------


def _slope(t: T, node: N, direction: N) -> N:
    return t.make("cofactor_slope", (*node.args[:1], direction))


_declare(
    "cofactor",
    _square("cofactor"),
    elimination.cofactor,
    vjp=lambda t, node, up: [_slope(t, node, up)],  # the second derivative of det is symmetric
    jvp=lambda t, node, tangents: None if tangents[0] is None else _slope(t, node, tangents[0]),
    latex=r"\operatorname{cof}\left({0}\right)",
    summary="cofactor(A): the matrix of cofactors, det(A)*A**-T where A is regular; the gradient of det(A)",
    source="Magnus and Neudecker, Matrix Differential Calculus, section 8.3",
)
define_formula("cofactor", lambda a: sp.Determinant(a) * sp.Inverse(a).T)


def _slope_shape(args: Args, attrs: Any) -> tuple[Shape, str]:
    shape = _size("cofactor_slope", args)
    if args[1].shape != shape:
        raise ShapeError(f"cofactor_slope takes two matrices of one shape, found {shape}, {args[1].shape}")
    return shape, "real"


def _slope_vjp(t: T, node: N, upstream: N) -> list[N | None]:
    a, w = node.args
    return [_curvature(t, a, w, upstream), t.make("cofactor_slope", (a, upstream))]


def _slope_jvp(t: T, node: N, tangents: Tangents) -> N | None:
    (a, w), (da, dw) = node.args, tangents
    terms = [] if dw is None else [t.make("cofactor_slope", (a, dw))]
    if da is not None:
        terms.append(_curvature(t, a, w, da))
    return t.add(*terms) if terms else None


def _curvature(t: T, a: N, v: N, w: N) -> N:
    """The third derivative of det, in two directions: the derivative of det(A) (tr(P) tr(Q) - tr(P Q)) with
    P = A**-1 V, Q = A**-1 W, for a regular matrix A.
    """
    inverse = t.make("inverse", (a,))
    p, q = t.matmul(inverse, v), t.matmul(inverse, w)
    trace_p, trace_q, trace_pq = t.trace(p), t.trace(q), t.trace(t.matmul(p, q))
    both = t.add(t.matmul(p, q), t.matmul(q, p))
    first = t.sub(t.mul(trace_p, trace_q), trace_pq)
    eye = t.make("eye", (), a.shape)
    inner = t.add(t.mul(first, eye), t.neg(t.mul(trace_q, p)), t.neg(t.mul(trace_p, q)), both)
    return t.mul(t.make("determinant", (a,)), t.transpose(t.matmul(inner, inverse)))


_declare(
    "cofactor_slope",
    _slope_shape,
    elimination.cofactor_slope,
    vjp=_slope_vjp,
    jvp=_slope_jvp,
    latex=r"\operatorname{cof}'\left({0}\right)\left[{1}\right]",
    summary="cofactor_slope(A, W): the derivative of cofactor(A) in the direction W, "
    "det(A) (tr(A**-1 W) A**-T - (A**-1 W A**-1)**T) where A is regular",
    source="Magnus and Neudecker, Matrix Differential Calculus, section 8.4",
)


def _slope_formula(a: Any, w: Any) -> Any:
    inverse = sp.Inverse(a)
    return sp.Determinant(a) * (sp.Trace(inverse * w) * inverse.T - (inverse * w * inverse).T)


define_formula("cofactor_slope", _slope_formula)

# -- Kronecker products ---------------------------------------------------------------------------------


def _kronecker_shape(args: Args, attrs: Any) -> tuple[Shape, str]:
    a, b = args
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise ShapeError(f"a Kronecker product takes matrices, found shapes {a.shape} and {b.shape}")
    return (_times(a.shape[0], b.shape[0]), _times(a.shape[1], b.shape[1])), "real"


def _times(a: Dim, b: Dim) -> Dim:
    return a * b


def kronecker(t: T, a: N, b: N) -> N:
    """The Kronecker product; with a factor of one entry it is a product with a number."""
    if a.shape == (1, 1):
        return t.mul(t.reshape(a, ()), b)
    if b.shape == (1, 1):
        return t.mul(a, t.reshape(b, ()))
    if a.op == "broadcast" and b.op == "broadcast" and not (a.args[0].shape or b.args[0].shape):
        entry = t.mul(a.args[0], b.args[0])
        return t.broadcast(entry, (_times(a.shape[0], b.shape[0]), _times(a.shape[1], b.shape[1])))
    return t.make("kronecker", (a, b))


def _kronecker_vjp(t: T, node: N, upstream: N) -> list[N | None]:
    """Sums over blocks, and over equal places of all blocks: products with Kronecker products of I and 1."""
    a, b = node.args
    (m, n), (p, q) = a.shape, b.shape

    def eye(size: Dim) -> N:
        return t.full(1, (1, 1)) if size == 1 else t.make("eye", (), (size, size))

    ones = t.full
    over_b = t.mul(upstream, kronecker(t, ones(1, a.shape), b))
    over_a = t.mul(upstream, kronecker(t, a, ones(1, b.shape)))
    of_a = t.matmul(kronecker(t, eye(m), ones(1, (1, p))), over_b)
    of_b = t.matmul(kronecker(t, ones(1, (1, m)), eye(p)), over_a)
    return [
        t.matmul(of_a, kronecker(t, eye(n), ones(1, (q, 1)))),
        t.matmul(of_b, kronecker(t, ones(1, (n, 1)), eye(q))),
    ]


def _kronecker_jvp(t: T, node: N, tangents: Tangents) -> N | None:
    (a, b), (da, db) = node.args, tangents
    terms = ([] if da is None else [kronecker(t, da, b)]) + ([] if db is None else [kronecker(t, a, db)])
    return t.add(*terms) if terms else None


_declare(
    "kronecker",
    _kronecker_shape,
    elimination.kronecker,
    vjp=_kronecker_vjp,
    jvp=_kronecker_jvp,
    summary="kronecker(A, B): the blocks A[i, j]*B",
    source=COOKBOOK + ", section 10.2",
)
define_formula("kronecker", sp.KroneckerProduct)

# -- what the rewriting makes of them -------------------------------------------------------------------


def _factors_shape(args: Args, attrs: Any) -> tuple[Shape, str]:
    size = _size("lu", args)[0]
    return (size + 1, size), "real"


def _solution_shape(args: Args, attrs: Any) -> tuple[Shape, str]:
    factors, right = args
    if len(right.shape) != 2 or right.shape[0] != factors.shape[1]:
        raise ShapeError(f"lu_solve: {factors.shape[1]} equations, right-hand sides of shape {right.shape}")
    return right.shape, "real"


_declare(
    "lu",
    _factors_shape,
    elimination.lu,
    lowered=True,
    summary="lu(A): L and U of the factorisation in one matrix, below it the rows exchanged",
)
_declare(
    "lu_solve",
    _solution_shape,
    elimination.lu_solve,
    lowered=True,
    summary="lu_solve(lu(A), B, turned): the solution X of A*X = B, or of A.T*X = B where turned",
)
_declare(
    "lu_determinant",
    lambda args, attrs: ((), "real"),
    elimination.lu_determinant,
    lowered=True,
    summary="lu_determinant(lu(A)): the determinant of A; with the attribute 'sign' its sign",
)
