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
    """The logarithm of a product of powers of determinants and of a positive number, as logarithms of the
    determinants, which do not overflow; None for the logarithm of anything else.

    log(c det(A)**q / det(B)) --> log(c) + q log det A - log det B
    """
    sizes, front = argument.op == "abs", sp.S.One
    inner = argument.args[0] if sizes else argument
    power = constant_value(inner.args[1]) if inner.op == "pow" else None
    if power is not None and power.is_Rational and not power.is_Integer:
        front, inner = power, inner.args[0]
    found = _powers_of_determinants(inner)
    if found is None:
        return None
    number, powers = found
    odd = [(a, power) for a, power in powers if power % 2 == 1 and not sizes]
    terms: list[tuple[Any, N]] = [(1, t.constant(sp.log(number)))]
    for a, power in powers:  # of a root the logarithm is NaN where the determinant is negative
        if (a, power) not in odd:
            terms.append((power, t.make("log_determinant", (a,), ("abs",) if power == int(power) else ())))
    if len(odd) > 1:
        operands, exponents = zip(*odd, strict=True)
        terms.append((1, t.make("log_determinants", operands, exponents)))
    else:  # an even power has no sign; that of one odd power is that of its determinant
        terms += [(p, t.make("log_determinant", (a,))) for a, p in odd]
    return t.add(*[t.mul(t.constant(front * p), term) for p, term in terms])


def _powers_of_determinants(root: N) -> tuple[sp.Expr, list[tuple[N, Any]]] | None:
    """c and the (A, k) of c*det(A)**k*..., with a positive number c; None for other products."""
    number: sp.Expr = sp.S.One
    powers: dict[int, tuple[N, Any]] = {}
    todo: list[tuple[N, Any]] = [(root, 1)]
    while todo:
        node, power = todo.pop()
        exponent = constant_value(node.args[1]) if node.op == "pow" else None
        if node.op == "determinant":
            (a,) = node.args
            before = powers.get(a.serial, (a, 0))[1]
            if before % 1:
                return None
            powers[a.serial] = a, power + before
        elif node.op == "mul":
            todo += [(factor, power) for factor in node.args]
        elif exponent is not None and exponent.is_Integer:
            todo.append((node.args[0], power * int(exponent)))
        elif exponent is not None and exponent.is_Rational and node.args[0].op == "determinant":
            (a,) = node.args[0].args
            if a.serial in powers or power * exponent % 1 == 0:
                return None
            powers[a.serial] = a, power * exponent
        elif (value := constant_value(node)) is not None and value.is_positive:
            number = number * value**power
        else:
            return None
    left = [(a, power) for a, power in powers.values() if power]
    return (number, left) if len(left) == len(powers) > 0 else None


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


def _log_determinants(t: T, node: N) -> N:
    """The sum of the powers times the logarithms of the sizes; NaN where the product is negative."""
    signs = [t.call("sign", t.make("determinant", (a,))) for a in node.args]
    terms = [
        t.mul(t.constant(power), t.make("log_determinant", (a,), ("abs",)))
        for a, power in zip(node.args, node.attrs, strict=True)
    ]
    negative = t.call("less", t.mul(*signs), t.constant(0))
    return t.select(negative, t.constant(sp.nan), t.add(*terms))


def _log_determinants_vjp(t: T, node: N, upstream: N) -> list[N | None]:
    return [
        t.mul(t.constant(power), upstream, t.transpose(t.make("inverse", (a,))))
        for a, power in zip(node.args, node.attrs, strict=True)
    ]


def _log_determinants_jvp(t: T, node: N, tangents: Tangents) -> N | None:
    terms = [
        t.mul(t.constant(power), t.trace(t.matmul(t.make("inverse", (a,)), tangent)))
        for a, power, tangent in zip(node.args, node.attrs, tangents, strict=True)
        if tangent is not None
    ]
    return t.add(*terms) if terms else None


def _determinants_number(args: Args, attrs: Any) -> tuple[Shape, str]:
    for a in args:
        _size("log_determinants", (a,))
    return (), "real"


register(
    Operation(
        name="log_determinants",
        infer=_determinants_number,
        expand=_log_determinants,
        vjp=_log_determinants_vjp,
        jvp=_log_determinants_jvp,
        summary="log(det(A)**p det(B)**q ...) with odd whole powers, without overflow of the determinants; "
        "NaN where the product is negative",
        source=COOKBOOK + ", section 2.1.2",
    )
)
define_formula(
    "log_determinants",
    lambda *args: sp.log(sp.Mul(*[sp.Determinant(a) ** p for a, p in _with_powers(args)])),
)


def _with_powers(args: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(args[: len(args) // 2], args[len(args) // 2 :], strict=True))


# -- cofactors ------------------------------------------------------------------------------------------


def _slope(t: T, a: N, *directions: N) -> N:
    """The derivatives of a determinant are symmetric in their directions."""
    return t.make("cofactor_slope", (a, *sorted(directions, key=lambda n: n.serial)))


_declare(
    "cofactor",
    _square("cofactor"),
    elimination.cofactor,
    vjp=lambda t, node, up: [_slope(t, *node.args, up)],  # the second derivative of det is symmetric
    jvp=lambda t, node, tangents: None if tangents[0] is None else _slope(t, *node.args, tangents[0]),
    latex=r"\operatorname{cof}\left({0}\right)",
    summary="cofactor(A): the matrix of cofactors, det(A)*A**-T where A is regular; the gradient of det(A)",
    source="Magnus and Neudecker, Matrix Differential Calculus, section 8.3",
)
define_formula("cofactor", lambda a: sp.Determinant(a) * sp.Inverse(a).T)


def _slope_shape(args: Args, attrs: Any) -> tuple[Shape, str]:
    shape = _size("cofactor_slope", args)
    if len(args) < 2 or any(w.shape != shape for w in args):
        raise ShapeError(
            f"cofactor_slope takes a matrix and directions of its shape, found {[a.shape for a in args]}"
        )
    return shape, "real"


def _in_place_of(t: T, node: N, k: int, direction: N) -> N:
    """The slope with another direction in the place of argument k; the matrix has one more."""
    return _slope(t, *(w for i, w in enumerate(node.args) if i != k or k == 0), direction)


def _slope_vjp(t: T, node: N, upstream: N) -> list[N | None]:
    return [_in_place_of(t, node, k, upstream) for k in range(len(node.args))]


def _slope_jvp(t: T, node: N, tangents: Tangents) -> N | None:
    terms = [_in_place_of(t, node, k, w) for k, w in enumerate(tangents) if w is not None]
    return t.add(*terms) if terms else None


_declare(
    "cofactor_slope",
    _slope_shape,
    elimination.cofactor_slope,
    vjp=_slope_vjp,
    jvp=_slope_jvp,
    latex=r"\operatorname{cof}'\left({0}\right)\left[{1}\right]",
    summary="cofactor_slope(A, W): the derivative of cofactor(A) in the direction W, "
    "det(A) (tr(A**-1 W) A**-T - (A**-1 W A**-1)**T) where A is regular; of more directions V, W, ... "
    "the derivative in each, also where A is singular",
    source="Magnus and Neudecker, Matrix Differential Calculus, section 8.4",
)


def _slope_formula(a: Any, *directions: Any) -> Any:
    """The sum over the orders of the directions and the entry derived by: a trace for each cycle, and for
    that of the entry the transposed product.
    """
    inverse = sp.Inverse(a)
    terms = []
    for sign, order in elimination.signed_permutations(len(directions) + 1):
        *closed, (_, *around) = elimination.cycles(order)
        traces = [sp.Trace(sp.MatMul(*[inverse * directions[k] for k in cycle])) for cycle in closed]
        terms.append(
            sign * sp.Mul(*traces) * sp.MatMul(*[inverse * directions[k] for k in around], inverse).T
        )
    return sp.Determinant(a) * sp.MatAdd(*terms)


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
