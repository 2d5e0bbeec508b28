"""Operations that make, move, gather and add up entries: leaves, shapes, indices, reductions, matrix
products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from symprop.errors import ShapeError
from symprop.graph import Node, NodeTable, Operation, Shape, register

__all__ = ["is_integer_symbol", "symbol_type"]

Args = Sequence[Node]


def is_integer_symbol(symbol: sp.Basic) -> bool:
    """True for a symbol declared as an integer: a label or an index, without gradient."""
    return bool(getattr(symbol, "is_integer", False)) and not getattr(symbol, "is_Matrix", False)


def _declare(name: str, infer: Any, vjp: Any, jvp: Any, reference: Any, **more: Any) -> None:
    register(
        Operation(name=name, infer=infer, vjp=vjp, jvp=jvp, reference=reference, exact=reference, **more)
    )


def _linear(t: NodeTable, node: Node, tangents: Sequence[Node | None]) -> Node | None:
    """The tangent of an operation that is linear in its first argument."""
    return None if tangents[0] is None else t.make(node.op, (tangents[0], *node.args[1:]), node.attrs)


def _none(t: NodeTable, node: Node, upstream: Any) -> Any:
    return [None] * len(node.args) if isinstance(upstream, Node) else None


# -- leaves ---------------------------------------------------------------------------------------------


def symbol_type(symbol: sp.Basic) -> tuple[Shape, str]:
    """Shape and kind of an input symbol."""
    if getattr(symbol, "is_Matrix", False):
        return tuple(int(d) if d.is_Integer else d for d in symbol.shape), "real"
    return (), "integer" if is_integer_symbol(symbol) else "real"


def _constant_value(attrs: Any) -> Any:
    return np.float64(sp.N(attrs[0], 40))


_declare("constant", lambda args, attrs: ((), "real"), _none, _none, _constant_value)
_declare("symbol", lambda args, attrs: symbol_type(attrs[0]), _none, _none, None)
_declare("eye", lambda args, attrs: (attrs, "real"), _none, _none, lambda attrs: np.eye(*attrs))
# the number of samples of a batched call, and the sum over them
_declare("batch_size", lambda args, attrs: ((), "real"), _none, _none, None)
_declare("batch_sum", lambda args, attrs: (args[0].shape, "real"), None, _linear, None)


# -- shapes ---------------------------------------------------------------------------------------------


def _broadcast_type(args: Args, attrs: Any) -> tuple[Shape, str]:
    """A number goes to every shape, rows and columns along the axes in which they have one entry."""
    (a,), (shape,) = args, attrs
    fits = len(a.shape) == len(shape) and all(d in (1, e) for d, e in zip(a.shape, shape, strict=True))
    if a.shape and not fits:
        raise ShapeError(f"{a.op} of shape {a.shape} cannot be repeated to shape {shape}")
    return shape, a.kind


def _broadcast_vjp(t: NodeTable, node: Node, upstream: Node) -> list[Node | None]:
    (a,) = node.args
    if not a.shape:
        return [t.sum(upstream)]
    stretched = tuple(k for k, d in enumerate(a.shape) if d == 1 and node.shape[k] != 1)
    return [t.sum(upstream, stretched, True)]


_declare(
    "broadcast",
    _broadcast_type,
    _broadcast_vjp,
    _linear,
    lambda attrs, a: np.broadcast_to(a, attrs[0]),
)
_declare(
    "reshape",
    lambda args, attrs: (attrs[0], args[0].kind),
    lambda t, node, up: [t.reshape(up, node.args[0].shape)],
    lambda t, node, tangents: None if tangents[0] is None else t.reshape(tangents[0], node.shape),
    lambda attrs, a: np.reshape(a, attrs[0]),
)


def _transpose_type(args: Args, attrs: Any) -> tuple[Shape, str]:
    return tuple(args[0].shape[k] for k in attrs[0]), args[0].kind


_declare(
    "transpose",
    _transpose_type,
    lambda t, node, up: [t.transpose(up, free=True)],
    lambda t, node, tangents: None if tangents[0] is None else t.transpose(tangents[0], free=True),
    lambda attrs, a: np.transpose(a, attrs[0]),
)


def _slice_type(args: Args, attrs: Any) -> tuple[Shape, str]:
    """`attrs[0]` holds a (start, stop) pair of numbers for each axis."""
    return tuple(stop - start for start, stop in attrs[0]), args[0].kind


def _slice_vjp(t: NodeTable, node: Node, upstream: Node) -> list[Node | None]:
    return [t.make("pad", (upstream,), (node.args[0].shape, tuple(start for start, _ in node.attrs[0])))]  # type: ignore[attr-defined]


def _pad(attrs: Any, a: Any) -> Any:
    shape, start = attrs
    result = np.zeros(shape, a.dtype)
    result[tuple(slice(s, s + n) for s, n in zip(start, a.shape, strict=True))] = a
    return result


def _pad_vjp(t: NodeTable, node: Node, upstream: Node) -> list[Node | None]:
    pairs = tuple((s, s + n) for s, n in zip(node.attrs[1], node.args[0].shape, strict=True))  # type: ignore[call-overload]
    return [t.slice(upstream, pairs)]


_declare(
    "slice",
    _slice_type,
    _slice_vjp,
    _linear,
    lambda attrs, a: a[tuple(slice(start, stop) for start, stop in attrs[0])],
)
_declare("pad", lambda args, attrs: (attrs[0], args[0].kind), _pad_vjp, _linear, _pad)

# -- single entries --------------------------------------------------------------------------------------


def _index_vjp(t: NodeTable, node: Node, upstream: Node) -> list[Node | None]:
    return [t.make("place", (upstream,), (node.args[0].shape, (node.attrs[0],)))]


def _place(attrs: Any, *values: Any) -> Any:
    shape, positions = attrs
    result = np.zeros(shape, object if any(np.asarray(v).dtype == object for v in values) else float)
    for position, value in zip(positions, values, strict=True):
        result[position] = np.asarray(value)[()]
    return result


def _place_vjp(t: NodeTable, node: Node, upstream: Node) -> list[Node | None]:
    return [t.index(upstream, position) for position in node.attrs[1]]  # type: ignore[attr-defined]


def _place_jvp(t: NodeTable, node: Node, tangents: Sequence[Node | None]) -> Node | None:
    if all(v is None for v in tangents):
        return None
    zero = t.constant(0)
    return t.make("place", [zero if v is None else v for v in tangents], node.attrs)


def _take_vjp(t: NodeTable, node: Node, upstream: Node) -> list[Node | None]:
    a, *indices = node.args
    rows = t.make("one_hot", (indices[0],), (a.shape[0],))
    if len(indices) == 2:
        columns = t.make("one_hot", (indices[1],), (a.shape[1],))
        rows = t.matmul(rows, t.transpose(columns))
    return [t.mul(upstream, rows), *[None] * len(indices)]


def _take(attrs: Any, a: Any, *indices: Any) -> Any:
    return np.asarray(a)[tuple(int(i) for i in indices) + (0,) * (np.ndim(a) - len(indices))]


def _one_hot(attrs: Any, i: Any) -> Any:
    return (np.arange(attrs[0]) == int(i)).astype(float)[:, None]


# `index` has static positions; `take` has integer nodes: the row (of a column) or row and column
_declare(
    "index",
    lambda args, attrs: ((), args[0].kind),
    _index_vjp,
    _linear,
    lambda attrs, a: np.asarray(a)[attrs[0]],
)
_declare("place", lambda args, attrs: (attrs[0], "real"), _place_vjp, _place_jvp, _place)
_declare("take", lambda args, attrs: ((), args[0].kind), _take_vjp, _linear, _take)
_declare("one_hot", lambda args, attrs: ((attrs[0], 1), "real"), _none, _none, _one_hot)

# -- diagonals -------------------------------------------------------------------------------------------


def _diag_type(args: Args, attrs: Any) -> tuple[Shape, str]:
    shape = args[0].shape
    if len(shape) != 2 or shape[1] != 1:
        raise ShapeError(f"a diagonal matrix is made from a column, found shape {shape}")
    return (shape[0], shape[0]), "real"


def _diagonal_type(args: Args, attrs: Any) -> tuple[Shape, str]:
    shape = args[0].shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeError(f"the diagonal of a square matrix is expected, found shape {shape}")
    return (shape[0], 1), "real"


_declare(
    "diag",
    _diag_type,
    lambda t, node, up: [t.diagonal(up)],
    _linear,
    lambda attrs, a: np.diag(np.asarray(a)[:, 0]),
)
_declare(
    "diagonal",
    _diagonal_type,
    lambda t, node, up: [t.make("diag", (up,))],
    _linear,
    lambda attrs, a: np.diagonal(a)[:, None],
)


def _trace_type(args: Args, attrs: Any) -> tuple[Shape, str]:
    _diagonal_type(args, attrs)
    return (), "real"


_declare(
    "trace",
    _trace_type,
    lambda t, node, up: [t.mul(up, t.make("eye", (), node.args[0].shape))],
    lambda t, node, tangents: None if tangents[0] is None else t.trace(tangents[0]),
    lambda attrs, a: np.asarray(np.trace(a)),
    expand=lambda t, node: t.sum(t.make("diagonal", node.args)),
)

# -- reductions and products -----------------------------------------------------------------------------


def _reduced(args: Args, attrs: Any) -> tuple[Shape, str]:
    axes, keep = attrs
    shape = args[0].shape
    if keep:
        return tuple(1 if k in axes else d for k, d in enumerate(shape)), "real"
    return tuple(d for k, d in enumerate(shape) if k not in axes), "real"


def _sum_vjp(t: NodeTable, node: Node, upstream: Node) -> list[Node | None]:
    (a,) = node.args
    axes, keep = node.attrs
    if not keep and upstream.shape:
        kept = tuple(1 if k in axes else d for k, d in enumerate(a.shape))  # type: ignore[operator]
        upstream = t.reshape(upstream, kept)
    return [t.broadcast(upstream, a.shape)]


_declare("sum", _reduced, _sum_vjp, _linear, lambda attrs, a: np.sum(a, axis=attrs[0], keepdims=attrs[1]))
_declare(
    "reduce_max",
    _reduced,
    None,
    None,
    lambda attrs, a: np.max(a, axis=attrs[0], keepdims=attrs[1]),
    lowered=True,
)


def _matmul_type(args: Args, attrs: Any) -> tuple[Shape, str]:
    a, b = args
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[1] != b.shape[0]:
        raise ShapeError(f"a matrix product needs (m, k) times (k, n), found {a.shape} times {b.shape}")
    return (a.shape[0], b.shape[1]), "real"


def _matmul_vjp(t: NodeTable, node: Node, upstream: Node) -> list[Node | None]:
    a, b = node.args
    return [_product(t, upstream, t.transpose(b)), _product(t, t.transpose(a), upstream)]


def _product(t: NodeTable, a: Node, b: Node) -> Node:
    """a b, where a factor of one entry is a scalar."""
    if a.shape == (1, 1) == b.shape:
        return t.reshape(t.mul(t.reshape(a, ()), t.reshape(b, ())), (1, 1))
    if a.shape == (1, 1):
        return t.mul(t.reshape(a, ()), b)
    if b.shape == (1, 1):
        return t.mul(a, t.reshape(b, ()))
    return t.matmul(a, b)


def _matmul_jvp(t: NodeTable, node: Node, tangents: Sequence[Node | None]) -> Node | None:
    (a, b), (da, db) = node.args, tangents
    terms = ([t.matmul(da, b)] if da is not None else []) + ([t.matmul(a, db)] if db is not None else [])
    return t.add(*terms) if terms else None


_declare("matmul", _matmul_type, _matmul_vjp, _matmul_jvp, lambda attrs, a, b: a @ b)
