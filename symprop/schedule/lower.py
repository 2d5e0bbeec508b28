"""From nodes to nests: which operations share a loop, which values are kept in buffers, where sums are taken.

Elementwise operations over the same points share one nest; a node that only feeds a reduction is computed
inside it; shape operations (transpose, slice, broadcast, index) never become loops but change the indices of
an access. A value that another nest reads, or reads at other indices, is stored in a buffer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp

from symprop.errors import UnsupportedExpressionError
from symprop.functions.structure import symbol_type
from symprop.graph import OPERATIONS, Node, topological
from symprop.schedule.ir import SAMPLES, At, Axis, Buffer, Check, Kernel, Nest, Reduction, Schedule, Step

__all__ = ["lower"]

VIEWS = frozenset({"broadcast", "reshape", "transpose", "slice", "index", "take", "diagonal"})
# made of nothing but positions and other values: computed wherever they are needed
FORMULAS = frozenset({"constant", "eye", "one_hot", "diag", "batch_size"})
STORED = frozenset({"place", "pad"})  # written entry by entry, read from memory
REDUCTIONS = frozenset({"sum", "reduce_max", "matmul", "batch_sum"})
# work on whole arrays, which are read from memory and written to it
KERNELS = frozenset({"lu", "lu_solve", "lu_determinant", "cofactor", "cofactor_slope", "kronecker"})
IN_MEMORY = STORED | KERNELS
_NOT_COMPUTED = VIEWS | FORMULAS | {"symbol"}
_KNOWN = IN_MEMORY | REDUCTIONS | _NOT_COMPUTED

INLINE = (
    -2
)  # in place of the position of a nest: compute everything on the spot (checks run before all nests)

Index = tuple[At, ...]
Space = tuple[bool, tuple[int, ...]]  # per sample or not, and the extents that are not one


def lower(roots: Sequence[Node], inputs: Sequence[sp.Basic], batched: Iterable[sp.Basic]) -> Schedule:
    """The schedule of a lowered program; outputs in the order of `roots`."""
    return _Lowering(list(roots), list(inputs), frozenset(batched)).run()


class _Scope:
    """A list of steps under construction, with what it has computed: (node, index) -> number of the step."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.done: dict[tuple[int, Index], int] = {}

    def step(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1


class _Lowering:
    def __init__(self, roots: list[Node], inputs: list[sp.Basic], batched: frozenset[sp.Basic]) -> None:
        self.roots = roots
        self.nodes = topological(roots)
        self.symbols = inputs
        self.is_batched = batched
        self.batched: dict[int, bool] = _per_sample(self.nodes, batched)
        self.buffers: dict[int, Buffer] = {}
        self.nests: list[Nest] = []
        self.scopes: dict[int, _Scope] = {}  # position of a nest -> scope of its body
        self.owner: dict[int, int] = {}  # serial of a computed node -> position of its nest
        self.by_space: dict[Space, list[int]] = {}
        self.host: dict[
            int, int
        ] = {}  # serial of an inlined node -> serial of the reduction that computes it
        self.pure: set[int] = set()  # positions of nests that anything over the same points may join
        self.temporaries: list[Buffer] = []
        self.checks: dict[tuple[int, int], Check] = {}
        self.copies: dict[int, Buffer] = {}  # serial of a view -> its copy for kernels

    # -- the whole ---------------------------------------------------------------------------------------

    def run(self) -> Schedule:
        self._inputs(self.symbols)
        self._find_hosts()
        for node in self.nodes:
            if not node.shape and self._place_scalar(node):
                continue
            self._refuse(node)
            self._bounds(node)
            if self._is_computed(node) and node.serial not in self.host:
                self._place_node(node)
        outputs = [self._output(k, root) for k, root in enumerate(self.roots)]
        ins = [self.buffers[k] for k in self.input_keys]
        return Schedule(ins, outputs, self.temporaries, list(self.checks.values()), self.nests)

    def _inputs(self, symbols: Sequence[sp.Basic]) -> None:
        used = {node.attrs[0]: node for node in self.nodes if node.op == "symbol"}
        self.input_keys: list[int] = []
        for number, symbol in enumerate(symbols):
            node = used.get(symbol)
            key = node.serial if node is not None else -1 - number
            self.input_keys.append(key)
            shape, kind = symbol_type(symbol)
            name = symbol.name if isinstance(symbol, sp.Symbol) else str(symbol)
            batched = symbol in self.is_batched
            buffer = Buffer(name, _numbers(shape), batched, kind, "input", number, symbol=symbol)
            self.buffers[key] = buffer

    def _refuse(self, node: Node) -> None:
        if node.op not in _KNOWN and not OPERATIONS[node.op].elementwise:
            raise UnsupportedExpressionError(
                f"{node.op} has no native code yet; write it with supported operations"
            )

    def _bounds(self, node: Node) -> None:
        """The checks of indices that come from data."""
        if node.op == "one_hot":
            self._check(node.args[0], int(node.attrs[0]))  # type: ignore[call-overload]
        elif node.op == "take":
            for index, extent in zip(node.args[1:], node.args[0].shape, strict=False):
                self._check(index, int(extent))

    def _check(self, index: Node, bound: int) -> None:
        if (index.serial, bound) in self.checks or index.op == "constant":
            return
        nest = Nest((), (SAMPLES,) if self.batched[index.serial] else ())
        scope = _Scope(nest.inner)
        value = self._value(scope, index, (), INLINE)
        wrong = scope.step(Step("outside", (value,), data=bound, kind="integer"))
        nest.reductions.append(Reduction("max", wrong))
        self.checks[index.serial, bound] = Check(index, bound, nest)

    # -- grouping ----------------------------------------------------------------------------------------

    def _is_computed(self, node: Node) -> bool:
        return node.op not in _NOT_COMPUTED

    def _space(self, node: Node) -> Space:
        return self.batched[node.serial], tuple([d for d in _static(node) if d != 1]) if node.shape else ()

    def _is_reduction(self, node: Node) -> bool:
        if node.op == "matmul":
            return node.args[0].shape[1] != 1
        return node.op in REDUCTIONS

    def _find_hosts(self) -> None:
        """Elementwise nodes that feed one reduction only are computed inside it."""
        if REDUCTIONS.isdisjoint([node.op for node in self.nodes]):
            return
        users: dict[int, list[Node]] = {node.serial: [] for node in self.nodes}
        for node in self.nodes:
            for arg in node.args:
                users[arg.serial].append(node)
        roots = {root.serial for root in self.roots}
        for node in reversed(self.nodes):
            if node.serial in roots or not users[node.serial]:
                continue
            if node.op == "matmul" and self._is_reduction(node):
                # a product whose only use is a sum over samples is one product over samples
                user = users[node.serial][0]
                if len(users[node.serial]) == 1 and user.op == "batch_sum":
                    self.host[node.serial] = user.serial
                continue
            if not OPERATIONS[node.op].elementwise and node.op != "matmul":
                continue
            hosts = set()
            for user in users[node.serial]:
                if user.op in ("sum", "reduce_max", "batch_sum"):
                    hosts.add(user.serial)
                elif (
                    user.serial in self.host
                    and user.op != "matmul"
                    and self._space(user) == self._space(node)
                ):
                    hosts.add(self.host[user.serial])
                else:
                    hosts.add(-1)
            if len(hosts) == 1 and -1 not in hosts:
                self.host[node.serial] = hosts.pop()

    def _dependencies(self, node: Node) -> list[tuple[Node, bool]]:
        """The computed nodes that a node reads, through shape operations; True where at the very same
        point.
        """
        space = self._space(node)
        reduces = self._is_reduction(node) or node.op in IN_MEMORY
        found: dict[int, tuple[Node, bool]] = {}
        todo = [(arg, not reduces) for arg in node.args]
        while todo:
            arg, same = todo.pop()
            if self._is_computed(arg) and arg.serial not in self.host:
                here = same and self._space(arg) == space and arg.op not in IN_MEMORY
                before = found.get(arg.serial)
                found[arg.serial] = (arg, here and (before is None or before[1]))
                continue
            moved = arg.op in VIEWS and not _keeps_order(arg)
            todo += [(a, same and not moved and arg.op not in FORMULAS) for a in arg.args]
        return list(found.values())

    def _place_scalar(self, node: Node) -> bool:
        """Place an operation on numbers, inputs and scalars that nests have; False where it is of another
        kind. Programs of scalars have nothing else, and many of these: what `_place_node` and `_value` do,
        without their general questions.
        """
        op, serial, owner, batched = node.op, node.serial, self.owner, self.batched
        if op in _KNOWN or node.kind == "integer" or serial in self.host or not OPERATIONS[op].elementwise:
            return False
        sampled = batched[serial]
        earliest, joins = 0, -1
        for a in node.args:
            if a.op == "symbol" or a.op == "constant":
                if a.shape:
                    return False
                continue
            at = owner.get(a.serial)
            if at is None or a.shape or a.op in IN_MEMORY:
                return False
            if batched[a.serial] == sampled:
                joins = max(joins, at)
            else:
                at += 1
            earliest = max(earliest, at)
        position = joins if joins >= earliest else self._nest_for((sampled, ()), earliest)
        owner[serial] = position
        scope = self.scopes[position]
        done, steps = scope.done, scope.steps
        for a in reversed(node.args):
            key = (a.serial, ())
            if key not in done:
                if a.op == "constant":
                    step = Step("constant", (), None, (), a.attrs[0])
                else:
                    step = Step("load", (), self._buffer(a), (), None, a.kind)
                done[key] = len(steps)
                steps.append(step)
        args = tuple([done[a.serial, ()] for a in node.args])
        done[serial, ()] = len(steps)
        steps.append(Step(op, args, None, (), node.attrs, node.kind))
        return True

    def _place_node(self, node: Node) -> None:
        """Give a computed node its nest, the first that runs late enough, or a new one."""
        earliest, joins = 0, -1
        for dependency, here in self._dependencies(node):
            at = self.owner[dependency.serial]
            earliest = max(earliest, at if here else at + 1)
            if here:
                joins = max(joins, at)
        if self._is_reduction(node):
            self._reduction(node)
            return
        if node.op in STORED:
            self._stored(node, earliest)
            return
        if node.op in KERNELS:
            self._kernel(node)
            return
        position = joins if joins >= earliest else self._nest_for(self._space(node), earliest)
        self.owner[node.serial] = position
        axes = _axes_of(node, self.batched[node.serial])
        self._value(self.scopes[position], node, _index_of(node, axes), position)

    def _nest_for(self, space: Space, earliest: int) -> int:
        positions = self.by_space.setdefault(space, [])
        at = bisect_left(positions, earliest)
        while at < len(positions):
            if positions[at] in self.pure:
                return positions[at]
            at += 1
        position = self._new_nest(Nest(_axes(space)), space)
        self.pure.add(position)
        return position

    def _new_nest(self, nest: Nest, space: Space) -> int:
        position = len(self.nests)
        self.nests.append(nest)
        self.scopes[position] = _Scope(nest.body)
        positions = self.by_space.setdefault(space, [])
        positions.append(position)
        return position

    # -- reductions --------------------------------------------------------------------------------------

    def _reduction(self, node: Node) -> None:
        """A nest that computes a sum, maximum, product or sum over samples."""
        space = self._space(node)
        outer = _axes(space)
        index = _index_of(node, outer)
        source = node.args[0]
        over_samples: tuple[Axis, ...] = ()
        product = node if node.op == "matmul" else None
        if node.op == "batch_sum":
            over_samples = (SAMPLES,)
            if source.serial in self.host and source.op == "matmul":
                product = source
        position = self._new_nest(Nest(outer, over_samples), space)
        nest = self.nests[position]
        scope = _Scope(nest.inner)
        if product is not None:
            a, b = product.args
            extent = int(a.shape[1])
            inner = At("k") if extent != 1 else At()
            if extent != 1:
                nest.reduce_axes = (*over_samples, Axis("k", extent))
            rows, columns = index
            x = self._value(scope, a, (rows, inner), position)
            y = self._value(scope, b, (inner, columns), position)
            value = scope.step(Step("mul", (x, y)))
            ops = [s.op for s in nest.inner]
            nest.product = ops == ["load", "load", "mul"] and bool(nest.reduce_axes)
        else:
            source_index = index
            if node.op != "batch_sum":
                axes, keep = node.attrs
                source_index = self._reduced_index(source, axes, keep, index, nest)
            value = self._value(scope, source, source_index, position)
        nest.reductions.append(Reduction("max" if node.op == "reduce_max" else "sum", value))
        self.owner[node.serial] = position
        result = self.scopes[position].step(Step("reduced", data=0))
        self.scopes[position].done[node.serial, index] = result

    def _reduced_index(self, source: Node, axes: Any, keep: Any, index: Index, nest: Nest) -> Index:
        result: list[At] = []
        reduce_axes: list[Axis] = []
        outer = iter(index)
        for k, extent in enumerate(_static(source)):
            if k in axes:
                result.append(At(f"r{k}") if extent != 1 else At())
                if extent != 1:
                    reduce_axes.append(Axis(f"r{k}", extent))
                if keep:
                    next(outer)
            else:
                result.append(next(outer))
        nest.reduce_axes = tuple(reduce_axes)
        return tuple(result)

    # -- arrays that are written entry by entry ----------------------------------------------------------

    def _stored(self, node: Node, earliest: int) -> None:
        batched = self.batched[node.serial]
        buffer = self._temporary(node)
        shape = _static(node)
        if node.op == "pad" or len(node.attrs[1]) < _volume(shape):  # type: ignore[arg-type]
            axes = _axes((batched, tuple(d for d in shape if d != 1)))
            position = self._new_nest(Nest(axes), (batched, ("zeros", len(self.nests))))  # type: ignore[arg-type]
            scope = self.scopes[position]
            zero = scope.step(Step("constant", data=sp.S.Zero))
            scope.step(Step("store", (zero,), buffer, _index_of(node, axes)))
            earliest = max(earliest, position + 1)
        if node.op == "place":
            position = self._nest_for((batched, ()), earliest)
            scope = self.scopes[position]
            for arg, where in zip(node.args, node.attrs[1], strict=True):  # type: ignore[call-overload]
                value = self._value(scope, arg, (), position)
                scope.step(Step("store", (value,), buffer, tuple(At(offset=k) for k in where)))
        else:
            (source,) = node.args
            axes = _axes((batched, tuple(d for d in _static(source) if d != 1)))
            position = self._nest_for((batched, tuple(d for d in _static(source) if d != 1)), earliest)
            scope = self.scopes[position]
            index = _index_of(source, axes)
            value = self._value(scope, source, index, position)
            starts = node.attrs[1]
            shifted = tuple(At(i.axis, i.offset + s) for i, s in zip(index, starts, strict=True))  # type: ignore[call-overload]
            scope.step(Step("store", (value,), buffer, shifted))
        self.owner[node.serial] = position

    # -- kernels -----------------------------------------------------------------------------------------

    def _kernel(self, node: Node) -> None:
        """A kernel in the place of a nest, behind the nests that store what it reads."""
        inputs = [self._in_memory(arg) for arg in node.args]
        output = self._temporary(node)
        matrix = None
        if node.op == "lu_solve" and not output.batched:
            matrix = node.args[0].args[0]
        self.owner[node.serial] = len(self.nests)
        self.scopes[len(self.nests)] = _Scope([])
        self.nests.append(Kernel.of(node.op, node.attrs, inputs, output, matrix))

    def _in_memory(self, node: Node) -> Buffer:
        """A buffer that holds the node row by row: its own, or a copy of what is seen through its shape."""
        if node.op == "symbol" or node.serial in self.owner:
            return self._buffer(node)
        if node.serial not in self.copies:
            earliest = max((self.owner[d.serial] + 1 for d, _ in self._dependencies(node)), default=0)
            position = self._nest_for(self._space(node), earliest)
            index = _index_of(node, _axes_of(node, self.batched[node.serial]))
            scope = self.scopes[position]
            value = self._value(scope, node, index, position)
            number = len(self.temporaries)
            shape, batched = _static(node), self.batched[node.serial]
            buffer = Buffer(f"t{number}", shape, batched, node.kind, "temporary", number)
            self.temporaries.append(buffer)
            scope.step(Step("store", (value,), buffer, index))
            self.copies[node.serial] = buffer
        return self.copies[node.serial]

    def _temporary(self, node: Node) -> Buffer:
        number = len(self.temporaries)
        buffer = Buffer(
            f"t{number}", _static(node), self.batched[node.serial], node.kind, "temporary", number
        )
        self.temporaries.append(buffer)
        self.buffers[node.serial] = buffer
        return buffer

    def _output(self, number: int, root: Node) -> Buffer:
        """The output buffer of a root, stored by the nest that computes it or copied by one of its own."""
        buffer = Buffer(f"out{number}", _static(root), self.batched[root.serial], root.kind, "output", number)
        if not root.shape and root.serial in self.owner and root.op not in IN_MEMORY:
            scope = self.scopes[self.owner[root.serial]]
            scope.steps.append(Step("store", (scope.done[root.serial, ()],), buffer))
            return buffer
        axes = _axes_of(root, buffer.batched)
        index = _index_of(root, axes)
        position = self.owner.get(root.serial, -1)
        if position < 0 or root.op in IN_MEMORY:
            earliest = max((self.owner[d.serial] + 1 for d, _ in self._dependencies(root)), default=0)
            if root.op in IN_MEMORY:
                earliest = max(earliest, position + 1)
            position = self._nest_for(self._space(root), earliest)
        scope = self.scopes[position]
        value = self._value(scope, root, index, position)
        scope.step(Step("store", (value,), buffer, index))
        return buffer

    # -- values ------------------------------------------------------------------------------------------

    def _value(self, scope: _Scope, node: Node, index: Index, position: int) -> int:
        """The number of the step that holds a node's value at an index; without recursion."""
        todo: list[tuple[Node, Index, bool]] = [(node, index, False)]
        done = scope.done
        while todo:
            here, at, ready = todo.pop()
            key = (here.serial, at)
            if key in done:
                continue
            kept = self.owner.get(here.serial, -1) if position != INLINE else -1
            if here.op == "symbol" or (kept >= 0 and (kept != position or here.op in IN_MEMORY)):
                done[key] = scope.step(Step("load", (), self._buffer(here), at, kind=here.kind))
                continue
            needs = self._needs(scope, here, at)
            missing = [(a, i, False) for a, i in needs if (a.serial, i) not in done]
            if missing and not ready:
                todo.append((here, at, False))
                todo.extend(missing)
                continue
            done[key] = self._compute(scope, here, at, [done[a.serial, i] for a, i in needs])
        return done[node.serial, index]

    def _needs(self, scope: _Scope, node: Node, at: Index) -> list[tuple[Node, Index]]:
        """What a node's value at an index is made of."""
        args = node.args
        match node.op:
            case "constant" | "eye" | "batch_size":
                return []
            case "transpose":
                where: list[At] = [At()] * len(at)
                for k, source in enumerate(node.attrs[0]):  # type: ignore[arg-type, var-annotated]
                    where[source] = at[k]
                return [(args[0], tuple(where))]
            case "broadcast":
                extents = _static(args[0])
                return [(args[0], tuple(At() if d == 1 else i for d, i in zip(extents, at, strict=False)))]
            case "reshape":
                return [(args[0], _reshaped(at, node, args[0]))]
            case "slice":
                starts = [start for start, _ in node.attrs[0]]  # type: ignore[attr-defined]
                return [(args[0], tuple(_shift(scope, i, s) for i, s in zip(at, starts, strict=True)))]
            case "index":
                return [(args[0], tuple(At(offset=k) for k in node.attrs[0]))]  # type: ignore[attr-defined]
            case "take":
                indices = [(a, ()) for a in args[1:]]
                known = [scope.done.get((a.serial, ())) for a in args[1:]]
                if any(k is None for k in known):
                    return indices  # type: ignore[return-value]
                where = [At(step=k) for k in known] + [At()] * (len(args[0].shape) - len(known))
                return [*indices, (args[0], tuple(where))]
            case "diagonal":
                return [(args[0], (at[0], at[0]))]
            case "diag":
                return [(args[0], (at[0], At()))]
            case "one_hot":
                return [(args[0], ())]
            case "matmul":  # an outer product: (m, 1) times (1, n)
                return [(args[0], (at[0], At())), (args[1], (At(), at[1]))]
            case _:
                return [(a, at if a.shape else ()) for a in args]

    def _compute(self, scope: _Scope, node: Node, at: Index, values: list[int]) -> int:
        match node.op:
            case "constant":
                return scope.step(Step("constant", data=node.attrs[0]))
            case "batch_size":
                return scope.step(Step("batch_size"))
            case "transpose" | "broadcast" | "reshape" | "slice" | "index" | "diagonal":
                return values[0]
            case "take":
                return values[-1]
            case "eye" | "diag":
                same = self._equal(scope, at[0], at[1])
                one = scope.step(Step("constant", data=sp.S.One)) if node.op == "eye" else values[0]
                return self._masked(scope, same, one)
            case "one_hot":
                here = self._position(scope, at[0])
                same = scope.step(Step("equal", (here, values[0]), kind="boolean"))
                return self._masked(scope, same, scope.step(Step("constant", data=sp.S.One)))
            case "matmul":
                return scope.step(Step("mul", tuple(values)))
            case _:
                if node.kind == "integer":  # index arithmetic: the constants among integers are integers
                    values = [
                        scope.step(Step("constant", data=a.attrs[0], kind="integer"))
                        if a.op == "constant"
                        else v
                        for a, v in zip(node.args, values, strict=True)
                    ]
                return scope.step(Step(node.op, tuple(values), data=node.attrs, kind=node.kind))

    def _position(self, scope: _Scope, at: At) -> int:
        if at.step is not None:
            return at.step
        return scope.step(Step("position", at=(at,), kind="integer"))

    def _equal(self, scope: _Scope, a: At, b: At) -> int:
        here = (self._position(scope, a), self._position(scope, b))
        return scope.step(Step("equal", here, kind="boolean"))

    def _masked(self, scope: _Scope, condition: int, value: int) -> int:
        zero = scope.step(Step("constant", data=sp.S.Zero))
        return scope.step(Step("select", (condition, value, zero)))

    def _buffer(self, node: Node) -> Buffer:
        """The buffer of a node; a computed node's value is stored by its nest from now on."""
        buffer = self.buffers.get(node.serial)
        if buffer is None:
            buffer = self._temporary(node)
            index = _index_of(node, _axes_of(node, self.batched[node.serial]))
            scope = self.scopes[self.owner[node.serial]]
            scope.step(Step("store", (scope.done[node.serial, index],), buffer, index))
        return buffer


def _per_sample(nodes: Sequence[Node], inputs: frozenset[sp.Basic]) -> dict[int, bool]:
    """Which nodes have one value per sample, by serial number."""
    if not inputs:
        return dict.fromkeys([node.serial for node in nodes], False)
    found: dict[int, bool] = {}
    for node in nodes:
        if node.op == "symbol":
            found[node.serial] = node.attrs[0] in inputs
        else:
            found[node.serial] = node.op != "batch_sum" and True in [found[a.serial] for a in node.args]
    return found


def _static(node: Node) -> tuple[int, ...]:
    return _numbers(node.shape)


def _numbers(shape: Sequence[Any]) -> tuple[int, ...]:
    return tuple([int(d) for d in shape]) if shape else ()


def _volume(shape: Sequence[int]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def _axes(space: Space) -> tuple[Axis, ...]:
    batched, extents = space
    return ((SAMPLES,) if batched else ()) + tuple(Axis(f"i{k}", d) for k, d in enumerate(extents))


def _axes_of(node: Node, batched: bool) -> tuple[Axis, ...]:
    return _axes((batched, tuple(d for d in _static(node) if d != 1)))


def _index_of(node: Node, axes: tuple[Axis, ...]) -> Index:
    """The index of the current point in a node's own shape."""
    names = iter(a.name for a in axes if a != SAMPLES)
    return tuple(At() if d == 1 else At(next(names)) for d in _static(node))


def _reshaped(at: Index, node: Node, source: Node) -> Index:
    """The index before a reshape that adds or drops axes of size one."""
    if [d for d in node.shape if d != 1] != [d for d in source.shape if d != 1]:
        raise UnsupportedExpressionError(f"reshaping {source.shape} to {node.shape} has no native code yet")
    rest = iter(i for i, d in zip(at, node.shape, strict=True) if d != 1)
    return tuple(At() if d == 1 else next(rest) for d in source.shape)


def _shift(scope: _Scope, at: At, start: int) -> At:
    if at.step is not None and start:
        offset = scope.step(Step("constant", data=sp.Integer(start), kind="integer"))
        return At(step=scope.step(Step("add", (at.step, offset), kind="integer")))
    return At(at.axis, at.offset + start, at.step)


def _keeps_order(node: Node) -> bool:
    """True for a shape operation that leaves every entry at the same point of the loops."""
    if node.op == "reshape":
        return True
    if node.op == "transpose":
        return bool(sum(d != 1 for d in node.shape) < 2)
    return False
