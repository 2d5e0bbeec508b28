"""Functions that join the entries of a matrix, or of its rows or columns: softmax and its kin, maxout, glu.

The attribute `dim` is None for all entries, 0 for down each column, 1 for along each row. A matrix stays
two-dimensional: `logsumexp` with `dim=1` is a column.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, cast

import sympy as sp

from symprop.errors import ShapeError, UnsupportedExpressionError
from symprop.functions.composite import where
from symprop.functions.symbols import define_formula, entrywise, shape_of
from symprop.graph import Node, NodeTable, Operation, Shape, register

__all__ = ["shifted"]

Attrs = tuple[Hashable, ...]
TORCH = "torch.nn.functional."


# -- along an axis --------------------------------------------------------------------------------


def _axes(node: Node) -> tuple[int, ...]:
    dim = node.attrs[0]
    return tuple(range(len(node.args[0].shape))) if dim is None else (cast(int, dim),)


def _spread(t: NodeTable, reduced: Node, shape: Shape) -> Node:
    """A reduced value against the whole: scalars go with every shape, rows and columns are repeated."""
    return reduced if not reduced.shape else t.broadcast(reduced, shape)


def _total(t: NodeTable, node: Node, value: Node) -> Node:
    """The sum that belongs to each entry, ready to multiply with."""
    dim = node.attrs[0]
    return _spread(t, t.sum(value, _axes(node), dim is not None), value.shape)


def shifted(t: NodeTable, x: Node, dim: Any) -> tuple[Node, Node, Node]:
    """m, x - m and sum(exp(x - m)), with m the maximum: what softmax, logsumexp and cross-entropy share."""
    if not x.shape:
        return x, t.sub(x, x), t.constant(1)
    axes = tuple(range(len(x.shape))) if dim is None else (dim,)
    top = t.make("reduce_max", (x,), (axes, dim is not None))
    less = t.sub(x, _spread(t, top, x.shape))
    return top, less, t.sum(t.call("exp", less), axes, dim is not None)


def _same_shape(args: Sequence[Node], attrs: Attrs) -> tuple[Shape, str]:
    (x,) = args
    return x.shape, "real"


def _reduced_shape(args: Sequence[Node], attrs: Attrs) -> tuple[Shape, str]:
    (x,) = args
    if attrs[0] is None or not x.shape:
        return (), "real"
    return tuple(1 if k == attrs[0] else d for k, d in enumerate(x.shape)), "real"


# -- softmax and its kin --------------------------------------------------------------------------


def _softmax(t: NodeTable, node: Node) -> Node:
    (x,) = node.args
    _, less, total = shifted(t, x, node.attrs[0])
    return t.div(t.call("exp", less), _spread(t, total, x.shape))


def _softmax_derivative(t: NodeTable, node: Node, direction: Node) -> Node:
    """s∘(u - sum(s∘u)); the Jacobian is symmetric, so that both modes use it."""
    return t.mul(node, t.sub(direction, _total(t, node, t.mul(direction, node))))


def _log_softmax(t: NodeTable, node: Node) -> Node:
    # (x - m) - log(sum) and not x - (m + log(sum)): the large parts cancel exactly first
    (x,) = node.args
    _, less, total = shifted(t, x, node.attrs[0])
    return t.sub(less, _spread(t, t.call("log", total), x.shape))


def _softmax_of(t: NodeTable, node: Node) -> Node:
    return t.make("softmax", node.args, node.attrs)


def _logsumexp(t: NodeTable, node: Node) -> Node:
    (x,) = node.args
    top, _, total = shifted(t, x, node.attrs[0])
    # an infinite maximum is the result: there x - m would be NaN
    infinite = t.call("equal", t.call("abs", top), t.constant(sp.oo))
    return where(t, infinite, top, t.add(top, t.call("log", total)))


def _logsumexp_jvp(t: NodeTable, node: Node, tangents: Sequence[Node | None]) -> Node | None:
    (tangent,) = tangents
    if tangent is None:
        return None
    dim = node.attrs[0]
    return t.sum(t.mul(_softmax_of(t, node), tangent), _axes(node), dim is not None)


def _log_softmax_jvp(t: NodeTable, node: Node, tangents: Sequence[Node | None]) -> Node | None:
    (tangent,) = tangents
    if tangent is None:
        return None
    return t.sub(tangent, _total(t, node, t.mul(_softmax_of(t, node), tangent)))


register(
    Operation(
        name="softmax",
        infer=_same_shape,
        vjp=lambda t, node, up: [_softmax_derivative(t, node, up)],
        jvp=lambda t, node, d: None if d[0] is None else _softmax_derivative(t, node, d[0]),
        expand=_softmax,
        summary="s = exp(x)/sum(exp(x)); derivative s∘(u - sum(s∘u)) for an upstream u",
        source=TORCH + "softmax",
    )
)
register(
    Operation(
        name="log_softmax",
        infer=_same_shape,
        vjp=lambda t, node, up: [t.sub(up, t.mul(_softmax_of(t, node), _total(t, node, up)))],
        jvp=_log_softmax_jvp,
        expand=_log_softmax,
        summary="x - log(sum(exp(x))); derivative u - softmax(x) sum(u) for an upstream u",
        source=TORCH + "log_softmax",
    )
)
register(
    Operation(
        name="logsumexp",
        infer=_reduced_shape,
        vjp=lambda t, node, up: [t.mul(_spread(t, up, node.args[0].shape), _softmax_of(t, node))],
        jvp=_logsumexp_jvp,
        expand=_logsumexp,
        summary="log(sum(exp(x))); derivative softmax(x)",
        source="torch.logsumexp",
    )
)

# -- maxout ---------------------------------------------------------------------------------------


def _maxout_shape(args: Sequence[Node], attrs: Attrs) -> tuple[Shape, str]:
    return _reduced_shape(args, attrs)


def _maxout(t: NodeTable, node: Node) -> Node:
    (x,) = node.args
    return t.make("reduce_max", (x,), (_axes(node), node.attrs[0] is not None)) if x.shape else x


def _ranks(t: NodeTable, shape: Shape, axes: Sequence[int]) -> Node:
    """Numbers that fall along the axes, in row-major order: the largest of them is the first entry's."""
    ranks: list[Node] = []
    weight = 1
    for axis in reversed(axes):
        size = shape[axis]
        if not isinstance(size, int):
            raise UnsupportedExpressionError(
                f"the gradient of maxout goes to the first maximum, which needs a number of entries, "
                f"found the size {size}; use ties='split'"
            )
        line = (size, 1) if axis == 0 else (1, size)
        places = tuple((k, 0) if axis == 0 else (0, k) for k in range(size))
        # the last axis counts from 1: zero is the rank of entries that are no maximum
        first = size - 1 if ranks else size
        numbers = [t.constant((first - k) * weight) for k in range(size)]
        ranks.append(t.broadcast(t.make("place", numbers, (line, places)), shape))
        weight *= size
    return t.add(*ranks)


def _winners(t: NodeTable, node: Node) -> Node:
    """The weight of each entry: one at the first maximum along the axis, or even shares."""
    x = node.args[0]
    axes = _axes(node)
    top = t.make("maxout", (x,), node.attrs)
    is_top = t.call("equal", x, _spread(t, top, x.shape))
    hit = where(t, is_top, 1, 0)
    if node.attrs[1] == "split":
        return t.div(hit, t.broadcast(t.sum(hit, axes, True), x.shape))
    rank = where(t, is_top, _ranks(t, x.shape, axes), 0)
    best = t.make("reduce_max", (rank,), (axes, True))
    first = t.call("equal", rank, t.broadcast(best, x.shape))
    return where(t, t.call("and", first, is_top), 1, 0)


def _at_maximum(t: NodeTable, node: Node, values: Node) -> Node:
    return t.make("at_maximum", (node.args[0], values), node.attrs)


def _maxout_jvp(t: NodeTable, node: Node, tangents: Sequence[Node | None]) -> Node | None:
    (tangent,) = tangents
    if tangent is None:
        return None
    return t.sum(_at_maximum(t, node, tangent), _axes(node), node.attrs[0] is not None)


register(
    Operation(
        name="maxout",
        infer=_maxout_shape,
        vjp=lambda t, node, up: [_at_maximum(t, node, t.broadcast(up, node.args[0].shape))],
        jvp=_maxout_jvp,
        expand=_maxout,
        summary="the maximum along rows, columns or of all entries; the gradient goes to the first maximum",
        source="Goodfellow et al. 2013; torch.amax",
    )
)


def _at_maximum_shape(args: Sequence[Node], attrs: Attrs) -> tuple[Shape, str]:
    x, values = args
    if x.shape != values.shape:
        raise ShapeError(f"at_maximum takes operands of one shape, found {x.shape} and {values.shape}")
    return x.shape, "real"


def _values_at_maximum(t: NodeTable, node: Node) -> Node:
    return t.chain(node.args[1], _winners(t, node))


register(
    Operation(
        name="at_maximum",
        infer=_at_maximum_shape,
        vjp=lambda t, node, up: [None, _at_maximum(t, node, up)],
        jvp=lambda t, node, d: None if d[1] is None else _at_maximum(t, node, d[1]),
        expand=_values_at_maximum,
        summary="at_maximum(x, u): u at the first maximum of x along rows or columns (shared among equal "
        "ones with ties='split'), zero elsewhere; the gradient of maxout",
        source="Goodfellow et al. 2013",
    )
)

# -- glu ------------------------------------------------------------------------------------------


def _glu_shape(args: Sequence[Node], attrs: Attrs) -> tuple[Shape, str]:
    (x,) = args
    dim = cast(int, attrs[0])
    if len(x.shape) != 2:
        raise ShapeError("glu takes a matrix, whose halves are a and b, found a scalar")
    size = x.shape[dim]
    if isinstance(size, int) and size % 2:
        raise ShapeError(f"glu halves dimension {dim}, whose size {size} is odd")
    half = size // 2 if isinstance(size, int) else size / 2
    return tuple(half if k == dim else d for k, d in enumerate(x.shape)), "real"


def _glu(t: NodeTable, node: Node) -> Node:
    (x,) = node.args
    dim, half = cast(int, node.attrs[0]), node.shape[cast(int, node.attrs[0])]
    whole = [(0, d) for d in x.shape]
    low, high = list(whole), list(whole)
    low[dim], high[dim] = (0, half), (half, x.shape[dim])
    a, b = (t.make("slice", (x,), (tuple(part),)) for part in (low, high))
    return t.mul(a, t.call("sigmoid", b))


register(
    Operation(
        name="glu",
        infer=_glu_shape,
        expand=_glu,
        summary="a∘σ(b), a and b the halves of x along a dimension",
        source=TORCH + "glu; Dauphin et al. 2017",
    )
)

# -- formulas over plain sympy --------------------------------------------------------------------


def _sum_of(x: Any, dim: Any, body: Any) -> Any:
    """The sum of `body(entry)` over all entries, or as a matrix over each column (dim=0) or row (dim=1)."""
    rows, columns = shape_of(x)
    known = isinstance(rows, int) and isinstance(columns, int)

    def add_up(size: Any, entry: Any) -> Any:
        if known:
            return sp.Add(*[entry(k) for k in range(size)])
        k = sp.Dummy("k", integer=True)
        return sp.Sum(entry(k), (k, 0, size - 1))

    if dim is None:
        return add_up(rows, lambda i: add_up(columns, lambda j: body(x[i, j])))
    if dim == 0:
        entries = lambda i, j: add_up(rows, lambda k: body(x[k, j]))  # noqa: E731
        return _matrix(1, columns, entries)
    return _matrix(rows, 1, lambda i, j: add_up(columns, lambda k: body(x[i, k])))


def _matrix(rows: Any, columns: Any, entry: Any) -> Any:
    if isinstance(rows, int) and isinstance(columns, int):
        return sp.ImmutableDenseMatrix(rows, columns, entry)
    i, j = sp.Dummy("i", integer=True), sp.Dummy("j", integer=True)
    return sp.FunctionMatrix(rows, columns, sp.Lambda((i, j), entry(i, j)))


def _against(x: Any, total: Any, dim: Any, body: Any) -> Any:
    """The matrix of `body(entry, the total of its column or row)`."""
    if dim is None:
        return entrywise(lambda v: body(v, total), [x])
    rows, columns = shape_of(x)
    return _matrix(rows, columns, lambda i, j: body(x[i, j], total[0, j] if dim == 0 else total[i, 0]))


def _softmax_formula(x: Any, dim: Any = None) -> Any:
    if not x.is_Matrix:
        return sp.S.One
    return _against(x, _sum_of(x, dim, sp.exp), dim, lambda v, total: sp.exp(v) / total)


def _log_softmax_formula(x: Any, dim: Any = None) -> Any:
    if not x.is_Matrix:
        return sp.S.Zero
    return _against(x, _sum_of(x, dim, sp.exp), dim, lambda v, total: v - sp.log(total))


def _logsumexp_formula(x: Any, dim: Any = None) -> Any:
    if not x.is_Matrix:
        return x
    total = _sum_of(x, dim, sp.exp)
    return sp.log(total) if dim is None else entrywise(sp.log, [total])


def _maxout_formula(x: Any, dim: Any, ties: str = "first") -> Any:
    rows, columns = shape_of(x)
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise UnsupportedExpressionError("maxout of a matrix of symbolic size has no formula in plain sympy")
    if dim is None:
        return sp.Max(*[x[i, j] for i in range(rows) for j in range(columns)])
    if dim == 0:
        return _matrix(1, columns, lambda i, j: sp.Max(*[x[k, j] for k in range(rows)]))
    return _matrix(rows, 1, lambda i, j: sp.Max(*[x[i, k] for k in range(columns)]))


def _at_maximum_formula(x: Any, values: Any, dim: Any, ties: str = "first") -> Any:
    rows, columns = shape_of(x)
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise UnsupportedExpressionError("at_maximum of a symbolic size has no formula in plain sympy")

    def entry(i: int, j: int) -> Any:
        line = range(rows) if dim != 1 else (i,)
        places = [(k, m) for k in line for m in (range(columns) if dim != 0 else (j,))]
        own = x[i, j]
        if ties == "split":
            rivals = [own >= x[p] for p in places if p != (i, j)]
            equal = [sp.Piecewise((1, sp.Eq(x[p], own, evaluate=False)), (0, True)) for p in places]
            return sp.Piecewise((values[i, j] / sp.Add(*equal), sp.And(*rivals)), (0, True))
        rivals = [own > x[p] if p < (i, j) else own >= x[p] for p in places if p != (i, j)]
        return sp.Piecewise((values[i, j], sp.And(*rivals)), (0, True))

    return _matrix(rows, columns, entry)


def _glu_formula(x: Any, dim: int) -> Any:
    rows, columns = x.shape
    if dim == 0:
        a, b = x[: rows / 2, :], x[rows / 2 :, :]
    else:
        a, b = x[:, : columns / 2], x[:, columns / 2 :]
    return sp.HadamardProduct(a, entrywise(lambda v: 1 / (1 + sp.exp(-v)), [b]))


define_formula("softmax", _softmax_formula, attrs=[("dim", None)])
define_formula("log_softmax", _log_softmax_formula, attrs=[("dim", None)])
define_formula("logsumexp", _logsumexp_formula, attrs=[("dim", None)])
define_formula("maxout", _maxout_formula, attrs=[("dim", None), ("ties", "first")])
define_formula("at_maximum", _at_maximum_formula, attrs=[("dim", None), ("ties", "first")])
define_formula("glu", _glu_formula, attrs=[("dim", None)])


def _sum_formula(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    if axes == (0, 1):
        total = _sum_of(x, None, lambda v: v)
        return sp.ImmutableDenseMatrix([[total]]) if keep else total
    return _sum_of(x, axes[0], lambda v: v)


define_formula("sum", _sum_formula, attrs=[("axes", (0, 1)), ("keep", False)])
define_formula("reduce_max", None, attrs=[("axes", (0, 1)), ("keep", False)])
