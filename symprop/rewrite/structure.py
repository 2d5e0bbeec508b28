"""Simplification of operations that move, gather and reduce entries, and of matrix products with known
matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

from symprop.graph import OPERATIONS, Node, NodeTable, Shape
from symprop.graph.nodes import constant_value
from symprop.rewrite.context import NodeRule, Sweep, entries

__all__ = ["structure_rules"]


def _transpose(node: Node, sweep: Sweep) -> Node | None:
    """`(A.T).T --> A`, `(A.T + B.T).T --> A + B`, `(A * B.T).T --> B * A.T`."""
    table = sweep.table
    (a,) = node.args
    permutation: tuple[int, ...] = node.attrs[0]  # type: ignore[assignment]
    if permutation == tuple(range(len(permutation))):
        return a
    if a.op == "transpose":
        sweep.fire("double transpose")
        inner: tuple[int, ...] = a.attrs[0]  # type: ignore[assignment]
        return table.make("transpose", a.args, (tuple(inner[k] for k in permutation),))
    if a.op == "broadcast" and not a.args[0].shape:
        return table.broadcast(a.args[0], node.shape)
    if len(permutation) != 2:
        return None
    if a.op == "eye":
        return table.make("eye", (), node.shape)
    if a.op == "diag":
        return a
    if a.op == "broadcast":
        return table.broadcast(_flip(sweep, a.args[0]), node.shape)
    if a.op == "matmul" and sweep.single(a) and any(b.op == "transpose" for b in a.args):
        sweep.fire("transpose of a product")
        return table.matmul(_flip(sweep, a.args[1]), _flip(sweep, a.args[0]))
    if a.op in ("add", "mul") and sweep.single(a) and all(b.op == "transpose" or not b.shape for b in a.args):
        sweep.fire("transpose of transposes")
        return table.make(a.op, [b.args[0] if b.shape else b for b in a.args])
    return None


def _flip(sweep: Sweep, a: Node) -> Node:
    return a.args[0] if a.op == "transpose" else sweep.table.make("transpose", (a,), ((1, 0),))


def _broadcast(node: Node, sweep: Sweep) -> Node | None:
    """`broadcast(broadcast(a)) --> broadcast(a)`"""
    (a,) = node.args
    if a.shape == node.shape:
        return a
    if a.op == "broadcast":
        sweep.fire("broadcasts merged")
        return sweep.table.broadcast(a.args[0], node.shape)
    if a.shape and all(n == 1 for n in a.shape):  # one entry: repeated as a number
        return sweep.table.broadcast(sweep.table.reshape(a, ()), node.shape)
    return None


def _reshape(node: Node, sweep: Sweep) -> Node | None:
    """`reshape(reshape(a)) --> reshape(a)`; of a repeated number: `--> broadcast`."""
    (a,) = node.args
    if a.shape == node.shape:
        return a
    if a.op == "reshape":
        sweep.fire("reshapes merged")
        return sweep.table.reshape(a.args[0], node.shape)
    if a.op == "broadcast" and not a.args[0].shape:
        return sweep.table.broadcast(a.args[0], node.shape)
    if a.op == "transpose" and a.shape in ((1, 1), ()):
        return sweep.table.reshape(a.args[0], node.shape)
    if a.op == "place" and not node.shape and len(a.args) == 1:
        return a.args[0]
    return None


# -- entries ----------------------------------------------------------------------------------


def _index(node: Node, sweep: Sweep) -> Node | None:
    """`(A.T)[i, j] --> A[j, i]`, `broadcast(s)[i] --> s`, `place(a at i)[i] --> a`, and `f(A)[i] -->
    f(A[i])`, `(A * B)[i, j] --> (A[i, :] * B[:, j])[0, 0]` where the array has no other use."""
    table = sweep.table
    (a,) = node.args
    position: tuple[int, ...] = node.attrs[0]  # type: ignore[assignment]
    if not all(isinstance(n, int) for n in a.shape):
        return None

    def entry(array: Node, at: tuple[int, ...]) -> Node:
        return table.make("index", (array,), (at,))

    result: Node | None = None
    op = a.op
    if op == "transpose":
        at = [0] * len(position)
        for k, axis in enumerate(a.attrs[0]):  # type: ignore[arg-type, var-annotated]
            at[axis] = position[k]
        result = entry(a.args[0], tuple(at))
    elif op == "broadcast":
        inner = a.args[0]
        at = [0 if n == 1 else p for n, p in zip(inner.shape, position, strict=False)]
        result = entry(inner, tuple(at)) if inner.shape else inner
    elif op == "reshape":
        inner = a.args[0]
        result = entry(inner, _unravel(_ravel(position, a.shape), inner.shape)) if inner.shape else inner
    elif op == "slice":
        starts = [start for start, _ in a.attrs[0]]  # type: ignore[attr-defined]
        result = entry(a.args[0], tuple(p + s for p, s in zip(position, starts, strict=True)))
    elif op == "pad":
        inner = a.args[0]
        at = [p - s for p, s in zip(position, a.attrs[1], strict=True)]  # type: ignore[call-overload]
        inside = all(0 <= p < n for p, n in zip(at, inner.shape, strict=True))
        result = entry(inner, tuple(at)) if inside else table.constant(0)
    elif op == "place":
        places: tuple[tuple[int, ...], ...] = a.attrs[1]  # type: ignore[assignment]
        result = a.args[places.index(position)] if position in places else table.constant(0)
    elif op == "eye":
        result = table.constant(int(position[0] == position[1]))
    elif op == "diag":
        result = entry(a.args[0], (position[0], 0)) if position[0] == position[1] else table.constant(0)
    elif op == "diagonal":
        result = entry(a.args[0], (position[0], position[0]))
    elif sweep.single(a):
        result = _index_of_computed(a, position, sweep)
    if result is not None:
        sweep.fire(f"entry of {op}")
    return result


def _index_of_computed(a: Node, position: tuple[int, ...], sweep: Sweep) -> Node | None:
    table = sweep.table
    if OPERATIONS[a.op].elementwise:
        args = [table.make("index", (b,), (position,)) if b.shape else b for b in a.args]
        return table.make(a.op, args, a.attrs)
    if a.op == "matmul" and a.shape != (1, 1):
        left, right = a.args
        row, column = position
        left = _block(sweep, left, (row, row + 1), (0, left.shape[1]))
        right = _block(sweep, right, (0, right.shape[0]), (column, column + 1))
        return table.make("index", (table.matmul(left, right),), ((0, 0),))
    return None


def _block(sweep: Sweep, a: Node, rows: tuple[int, object], columns: tuple[object, object]) -> Node:
    if (rows[0], rows[1], columns[0], columns[1]) == (0, a.shape[0], 0, a.shape[1]):
        return a
    return sweep.table.make("slice", (a,), ((rows, columns),))


def _ravel(position: tuple[int, ...], shape: Shape) -> int:
    flat = 0
    for p, n in zip(position, shape, strict=True):
        flat = flat * int(n) + p
    return flat


def _unravel(flat: int, shape: Shape) -> tuple[int, ...]:
    position = []
    for n in reversed(shape):
        flat, p = divmod(flat, int(n))
        position.append(p)
    return tuple(reversed(position))


def _slice(node: Node, sweep: Sweep) -> Node | None:
    """`A[0:m, 0:n] --> A`, slices of slices merge, `broadcast(s)[a:b] --> broadcast(s)`, `A.T[a:b, c:d]
    --> A[c:d, a:b].T`."""
    table = sweep.table
    (a,) = node.args
    pairs: tuple[tuple[int, int], ...] = node.attrs[0]  # type: ignore[assignment]
    if node.shape == a.shape:
        return a
    if a.op == "slice":
        sweep.fire("slices merged")
        outer: tuple[tuple[int, int], ...] = a.attrs[0]  # type: ignore[assignment]
        merged = tuple((s + o[0], e + o[0]) for (s, e), o in zip(pairs, outer, strict=True))
        return table.make("slice", a.args, (merged,))
    if a.op == "broadcast" and not a.args[0].shape:
        return table.broadcast(a.args[0], node.shape)
    if a.op == "transpose" and a.attrs[0] == (1, 0):
        return table.transpose(table.make("slice", a.args, (pairs[::-1],)))
    return None


def _place(node: Node, sweep: Sweep) -> Node | None:
    """`place(zeros) --> zeros`; zeros among the entries are not placed."""
    kept = [k for k, v in enumerate(node.args) if not sweep.context.is_number(v, 0)]
    if len(kept) == len(node.args):
        return None
    if not kept:
        return sweep.table.full(0, node.attrs[0])  # type: ignore[arg-type]
    positions = tuple(node.attrs[1][k] for k in kept)  # type: ignore[index]
    return sweep.table.make("place", [node.args[k] for k in kept], (node.attrs[0], positions))


def _take(node: Node, sweep: Sweep) -> Node | None:
    """`f(A, B)[i] --> f(A[i], B[i])` for an integer node i, where the array has no other use: one entry
    instead of all.

    An entry of a repeated number stays a `take`, since the index is checked against the size when it is
    called.
    """
    table = sweep.table
    a, *indices = node.args
    if not OPERATIONS[a.op].elementwise or not sweep.single(a) or not a.shape:
        return None
    if not any(b.shape and b.op != "broadcast" for b in a.args):
        return None
    sweep.fire("entry of a function")
    args = []
    for b in a.args:
        repeated = not b.shape or (b.op == "broadcast" and not b.args[0].shape)
        args.append(
            (b.args[0] if b.shape else b) if repeated else table.make("take", (b, *indices), node.attrs)
        )
    return table.make(a.op, args, a.attrs)


def _diagonal(node: Node, sweep: Sweep) -> Node | None:
    """`diagonal(A * B) --> row sums of A o B.T`, `diagonal(diag(v)) --> v`, `diagonal(A.T) -->
    diagonal(A)`."""
    table = sweep.table
    (a,) = node.args
    if a.op == "diag":
        return a.args[0]
    if a.op == "eye":
        return table.full(1, node.shape)
    if a.op == "transpose":
        return table.make("diagonal", a.args)
    if a.op == "broadcast" and not a.args[0].shape:
        return table.broadcast(a.args[0], node.shape)
    if a.op == "matmul" and sweep.single(a):
        sweep.fire("diagonal of a product")
        return table.sum(table.mul(a.args[0], _flip(sweep, a.args[1])), (1,), True)
    return None


# -- sums ----------------------------------------------------------------------------------


def _sum(node: Node, sweep: Sweep) -> Node | None:
    """`sum(broadcast(x)) --> size * x`, `sum(c * A) --> c * sum(A)`, `sum(A.T) --> sum(A)`, `sum(sum(A))
    --> sum(A)`, `sum(A * B) --> (column sums of A) * (row sums of B)`, `sum(one_hot(i) o x) --> x[i]`."""
    table = sweep.table
    (a,) = node.args
    axes: tuple[int, ...] = node.attrs[0]  # type: ignore[assignment]
    keep = bool(node.attrs[1])
    reduced = [a.shape[k] for k in axes]
    if not axes or all(n == 1 for n in reduced):
        return table.reshape(a, node.shape)
    everything = all(k in axes or n == 1 for k, n in enumerate(a.shape))
    if everything and (keep or len(axes) < len(a.shape)):
        return table.reshape(table.sum(a), node.shape)
    if a.op == "broadcast":
        return _sum_of_broadcast(node, sweep)
    if a.op == "mul" and everything and a.shape[1:] == (1,) and (made := _of_one_hot(a, table)) is not None:
        sweep.fire("sum with a one-hot column")
        return made
    if a.op == "mul" and sweep.single(a) and any(not f.shape for f in a.args):
        sweep.fire("factor out of a sum")
        scalars = [f for f in a.args if not f.shape]
        rest = [f for f in a.args if f.shape]
        inner = rest[0] if len(rest) == 1 else table.make("mul", rest)
        return table.mul(*scalars, table.make("sum", (inner,), node.attrs))
    if a.op == "mul" and sweep.single(a):
        same = [f for f in a.args if f.op == "broadcast" and _is_same_along(f, axes)]
        if same and len(same) < len(a.args):
            sweep.fire("factor out of a sum")  # sum(broadcast(row) o A) --> row o (column sums of A)
            others = [f for f in a.args if f not in same]
            total = table.sum(table.mul(*others), axes, True)
            made = table.mul(*[table.broadcast(f.args[0], total.shape) for f in same], total)
            return table.reshape(made, node.shape)
    if not everything:
        return None
    if a.op in ("transpose", "reshape") or (a.op == "sum" and sweep.single(a)):
        sweep.fire(f"sum of {a.op}")
        return table.sum(a.args[0])
    if a.op == "pad":
        return table.sum(a.args[0])
    if a.op == "diag":
        return table.sum(a.args[0])
    if a.op == "one_hot":
        return None
    if a.op == "eye":
        sizes = [n for n in a.shape if isinstance(n, int)]
        return sweep.context.constant(min(sizes)) if len(sizes) == 2 else None
    if a.op == "place":
        return table.add(*a.args)
    if a.op == "matmul" and sweep.single(a) and a.shape != (1, 1):
        sweep.fire("sum of a product")
        left, right = a.args
        return table.reshape(table.matmul(table.sum(left, (0,), True), table.sum(right, (1,), True)), ())
    return None


def _is_same_along(repeated: Node, axes: tuple[int, ...]) -> bool:
    """True for an array that repeats a row or column along these axes."""
    source = repeated.args[0]
    return bool(source.shape) and all(source.shape[k] == 1 and repeated.shape[k] != 1 for k in axes)


def _sum_of_broadcast(node: Node, sweep: Sweep) -> Node | None:
    table = sweep.table
    (a,) = node.args
    (source,) = a.args
    axes: tuple[int, ...] = node.attrs[0]  # type: ignore[assignment]
    repeated = [k for k in axes if not source.shape or (source.shape[k] == 1 and a.shape[k] != 1)]
    if not all(isinstance(a.shape[k], int) for k in repeated):
        return None
    sweep.fire("sum of broadcast")
    size = sweep.context.constant(math.prod(int(a.shape[k]) for k in repeated))
    if not source.shape:
        return table.broadcast(table.mul(size, source), node.shape)
    rest = tuple(k for k in axes if k not in repeated)
    partial = table.sum(source, rest, True) if rest else source  # repeated axes have size one here
    kept = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
    return table.reshape(table.broadcast(table.mul(size, partial), kept), node.shape)


def _of_one_hot(product: Node, table: NodeTable) -> Node | None:
    """The sum of a product with a one-hot column: an entry of the others times the scalars, also where the
    column stands with scalars in a product that has other uses."""
    factors: list[Node] = []
    for f in product.args:
        opened = f.op == "mul" and all(g.op == "one_hot" or not g.shape for g in f.args)
        factors.extend(f.args if opened else (f,))
    hot = next((f for f in factors if f.op == "one_hot" and f.shape == product.shape), None)
    if hot is None:
        return None
    scalars = [f for f in factors if not f.shape]
    rest = [f for f in factors if f.shape and f is not hot]
    if not rest:
        return None
    return table.mul(*scalars, table.make("take", (table.mul(*rest), hot.args[0])))


# -- matrix products ----------------------------------------------------------------------------------


def _matmul(node: Node, sweep: Sweep) -> Node | None:
    """`I * B --> B`, `diag(v) * B --> v o B`, `ones * B --> column sums of B`, `one_hot(i).T * x --> x[i]`,
    `(c*A) * B --> c * (A*B)` where that is less work; a product with a 1 x 1 matrix is one with a number."""
    table = sweep.table
    a, b = node.args
    name = ""
    result: Node | None = None
    if any(constant_value(x) == 0 for x in (a, b)):
        name, result = "product with zeros", table.full(0, node.shape)
    elif a.op == "eye" and a.attrs[0] == a.attrs[1]:
        name, result = "product with the identity", b
    elif b.op == "eye" and b.attrs[0] == b.attrs[1]:
        name, result = "product with the identity", a
    elif a.op == "diag":
        name = "product with a diagonal matrix"
        result = table.mul(table.broadcast(a.args[0], node.shape), b)
    elif b.op == "diag":
        name = "product with a diagonal matrix"
        result = table.mul(a, table.broadcast(table.transpose(b.args[0]), node.shape))
    elif a.op == "transpose" and a.args[0].op == "one_hot" and b.shape[1] == 1:
        name = "product with a one-hot column"
        result = table.reshape(table.make("take", (b, a.args[0].args[0])), node.shape)
    elif b.op == "one_hot" and a.shape[0] == 1:
        name = "product with a one-hot column"
        result = table.reshape(table.make("take", (_flip(sweep, a), b.args[0])), node.shape)
    elif a.shape == (1, 1) or b.shape == (1, 1):
        name = "product with a 1 x 1 matrix"
        one, other = (a, b) if a.shape == (1, 1) else (b, a)
        result = table.mul(table.reshape(one, ()), other)
    elif a.op == "broadcast":
        name, result = "product with repeated entries", _repeated_times(a, b, node, sweep)
    elif b.op == "broadcast":
        name, result = "product with repeated entries", _times_repeated(a, b, node, sweep)
    else:
        name, result = "factor out of a product", _scaled_product(a, b, node, sweep)
        if result is None:
            name, result = "cheaper order of products", _associated(a, b, sweep)
    if result is not None:
        sweep.fire(name)
    return result


def _repeated_times(a: Node, b: Node, node: Node, sweep: Sweep) -> Node | None:
    """`a * b`, where `a` repeats a number, a column or a row."""
    table, source = sweep.table, a.args[0]
    if not source.shape:
        return table.broadcast(table.mul(source, table.sum(b, (0,), True)), node.shape)
    if source.shape[1] == 1 and a.shape[1] != 1:  # every column of a is the same
        return table.matmul(source, table.sum(b, (0,), True))
    return table.broadcast(table.matmul(source, b), node.shape)  # every row is


def _times_repeated(a: Node, b: Node, node: Node, sweep: Sweep) -> Node | None:
    """`a * b`, where `b` repeats a number, a column or a row."""
    table, source = sweep.table, b.args[0]
    if not source.shape:
        return table.broadcast(table.mul(source, table.sum(a, (1,), True)), node.shape)
    if source.shape[0] == 1 and b.shape[0] != 1:  # every row of b is the same
        return table.matmul(table.sum(a, (1,), True), source)
    return table.broadcast(table.matmul(a, source), node.shape)


def _scaled_product(a: Node, b: Node, node: Node, sweep: Sweep) -> Node | None:
    table = sweep.table
    size = entries(node)
    for k, x in enumerate((a, b)):
        if x.op != "mul" or not sweep.single(x):
            continue
        scalars = [f for f in x.args if not f.shape]
        own = entries(x)
        if not scalars or size is None or own is None or size > own:
            continue
        rest = [f for f in x.args if f.shape]
        inner = rest[0] if len(rest) == 1 else table.make("mul", rest)
        return table.mul(*scalars, table.matmul(inner, b) if k == 0 else table.matmul(a, inner))
    return None


def _work(shapes: Sequence[tuple[Shape, Shape]], batched: Sequence[bool]) -> tuple[int, int] | None:
    """Multiplications of matrix products, per sample and once a call; None for symbolic sizes."""
    per_sample = once = 0
    for (left, right), repeated in zip(shapes, batched, strict=True):
        sizes = [n for n in (*left, right[1]) if isinstance(n, int)]
        if len(sizes) != 3:
            return None
        per_sample += math.prod(sizes) if repeated else 0
        once += 0 if repeated else math.prod(sizes)
    return per_sample, once


def _associated(a: Node, b: Node, sweep: Sweep) -> Node | None:
    """`(A * B) * C --> A * (B * C)` and back, where that is less work; the inner product has no other use."""
    batched, table = sweep.context.is_batched, sweep.table
    for inner, outer, is_left in ((a, b, True), (b, a, False)):
        if inner.op != "matmul" or not sweep.single(inner):
            continue
        x, y, z = (*inner.args, outer) if is_left else (outer, *inner.args)
        any_batched = batched(x) or batched(y) or batched(z)
        xy = (x.shape[0], y.shape[1])
        yz = (y.shape[0], z.shape[1])
        first = _work([(x.shape, y.shape), (xy, z.shape)], [batched(x) or batched(y), any_batched])
        last = _work([(y.shape, z.shape), (x.shape, yz)], [batched(y) or batched(z), any_batched])
        if first is None or last is None:
            continue
        if is_left and last < first:
            return table.matmul(x, table.matmul(y, z))
        if not is_left and first < last:
            return table.matmul(table.matmul(x, y), z)
    return None


def structure_rules() -> dict[str, NodeRule]:
    """The rule of each structural operation."""
    return {
        "transpose": _transpose,
        "broadcast": _broadcast,
        "reshape": _reshape,
        "index": _index,
        "slice": _slice,
        "place": _place,
        "take": _take,
        "diagonal": _diagonal,
        "sum": _sum,
        "matmul": _matmul,
    }
