"""`Function.as_scipy`: a compiled function of one flat vector, as the solvers of SciPy call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symprop.api.declaration import declare, name_of
from symprop.declare import Graph
from symprop.differentiate import jvp, vjp
from symprop.errors import ArgumentError, ShapeError
from symprop.graph.transplant import sized_symbol
from symprop.run.arguments import Argument, bind_sizes, sample_count, shape_text

if TYPE_CHECKING:
    from symprop.api.function import Function

__all__ = ["Flat"]

Array = np.ndarray[Any, np.dtype[Any]]
Layout = list[tuple[int, int, tuple[int, ...]]]  # of each argument: its part of the vector, and its shape


class Flat:
    """The function of one flat vector `v`: the entries of the `wrt` arguments, in order, row by row.

    `s(v)` is the value and the flat gradient, `s.fun(v)` the value, `s.jac(v)` the gradient, `s.hessp(v, p)`
    the Hessian times a vector, `s.hess(v)` the Hessian: a scalar function of a vector of `s.size` entries,
    for `scipy.optimize.minimize(s, x0, jac=True)`. Where the output is one per sample, or a column, the value
    is the vector of residuals (N,) and the gradient their Jacobian (N, size), for
    `least_squares(s.fun, x0, jac=s.jac)` and `root(s, x0, jac=True)`. Everything is float64, whatever the
    dtype of the compiled code, and a new array at each call.

    `s.x0(mapping)` makes the vector of named arrays, `s.unflatten(v)` gives them back. The arrays given as
    data are read where they are, and not copied unless they must be converted.

    Made by `Function.as_scipy`. Raises `ArgumentError` for data that is unknown or missing, `ShapeError` for
    what does not fit.
    """

    def __init__(self, function: Function, data: Mapping[str, Any]) -> None:
        declaration = function._declaration
        if not declaration.wrt:
            raise ArgumentError(
                f"as_scipy of {declaration.name}: it is compiled with respect to no argument, so no vector "
                "is left to vary; compile it with wrt=[...]"
            )
        self._function = function
        self._wrt = declaration.wrt
        self._names = tuple(name_of(s) for s in self._wrt)
        self._spread = bool(declaration.batch) and declaration.reduce is None
        arguments, self._data, self._samples, self._sizes = _fixed(function, data)
        self._places = [declaration.args.index(s) for s in self._wrt]
        self._varied = [arguments[k] for k in self._places]
        self._open = self._samples is None and any(a.batched for a in self._varied)
        self._first = declaration.graph.outputs[0]
        self._several = len(declaration.graph.outputs) > 1
        self._scalar = function._source.scalar_fault() is None
        self._layouts: dict[int, Layout] = {}
        self._pullback: Function | None = None
        self._directional: Function | None = None

    # -- calls ---------------------------------------------------------------------------------------------

    def __call__(self, v: Any) -> tuple[Any, Array]:
        """`(value, gradient)`, or `(residuals, Jacobian)`."""
        values = self._values(v)
        if not self._scalar:
            return self._value(self._function(*values)), self._jacobian_of_column(values)
        value, grads = self._function.value_and_grad(*values)
        return self._value(value), self._joined(self._listed(grads))

    def fun(self, v: Any) -> Any:
        """The value: a float, or the residuals (N,)."""
        return self._value(self._function(*self._values(v)))

    def jac(self, v: Any) -> Array:
        """The gradient (size,), or the Jacobian of the residuals (N, size)."""
        values = self._values(v)
        if not self._scalar:
            return self._jacobian_of_column(values)
        return self._joined(self._listed(self._function.grad(*values)))

    def hessp(self, v: Any, p: Any) -> Array:
        """The Hessian at v times p, by reverse mode over forward mode; raises `ShapeError` for residuals."""
        if not self._scalar or self._spread:
            raise ShapeError(
                f"hessp of {self._function.name}: the Hessian is that of one number, but "
                f"{name_of(self._first)} is a vector of residuals: compile a scalar "
                "(reduce='sum' or 'mean', or a loss), or use least_squares with fun and jac"
            )
        values, directions = self._values(v), self._values(p, "p")
        if self._directional is None:
            self._directional = self._compile_directional()
        grads = self._directional.grad(*values, *[directions[k] for k in self._places])
        return self._joined(self._listed(grads))

    def hess(self, v: Any) -> Array:
        """The Hessian at v, (size, size), one product with a unit vector for each row; raises as `hessp`.

        For a few hundred entries at most; solvers that take `hessp` need no matrix.
        """
        size = len(self._vector(v, "v"))
        result = np.empty((size, size))
        for row, unit in zip(result, np.eye(size), strict=True):
            row[:] = self.hessp(v, unit)
        return result

    # -- the vector ----------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """The number of entries of the vector."""
        return self._layout_of(self._samples, "size")[-1][1]

    def x0(self, start: Mapping[Any, Any]) -> Array:
        """The vector of the arrays in a mapping from symbol, or its name, to array.

        Raises `ArgumentError` for an argument that is missing or unknown, `ShapeError` for a shape that does
        not fit.
        """
        by_name = {name_of(s) if isinstance(s, sp.Basic) else s: a for s, a in start.items()}
        listed = ", ".join(self._names)
        unknown = [str(name) for name in by_name if name not in self._names]
        missing = [name for name in self._names if name not in by_name]
        if unknown or missing:
            what = f"x0 lacks {', '.join(missing)}" if missing else f"x0 holds {', '.join(unknown)}"
            raise ArgumentError(f"{what}; it takes the arguments that the vector stands for: {listed}")
        arrays = [a.array(by_name[a.name]) for a in self._varied]
        for argument, array in zip(self._varied, arrays, strict=True):
            argument.fit(array.shape)
        if any(a.batched for a in self._varied):
            n = sample_count(self._varied, [a.shape for a in arrays])
            if self._samples not in (None, n):
                raise ShapeError(f"x0 holds {n} samples, the data {self._samples}; pass one row per sample")
        return _joined_entries(arrays)

    def unflatten(self, v: Any) -> dict[sp.Basic, Array]:
        """The arrays that the vector stands for, by symbol, as new arrays of the shapes as declared."""
        vector = self._vector(v, "v")
        parts = zip(self._wrt, self._layout(len(vector), "v"), strict=True)
        return {s: vector[a:b].reshape(shape).copy() for s, (a, b, shape) in parts}

    def __repr__(self) -> str:
        size = "any number of" if self._open else str(self.size)
        kind = "value" if self._scalar and not self._spread else "residuals"
        return f"<{self._function.name} of {size} numbers: {', '.join(self._names)} -> {kind}>"

    # -- from the vector to the arguments ------------------------------------------------------------------

    def _vector(self, v: Any, what: str) -> Array:
        vector = np.asarray(v)
        if vector.dtype.kind not in "fiub" or vector.ndim != 1:
            raise ShapeError(
                f"{what} is a vector of real numbers of shape ({self._expected()},), found "
                f"{vector.dtype} of shape {shape_text(vector.shape)}"
            )
        return np.ascontiguousarray(vector, np.float64)

    def _expected(self) -> str:
        return "n" if self._open else str(self.size)

    def _layout(self, size: int, what: str) -> Layout:
        """The layout of a vector of that size; raises `ShapeError` where no such vector fits."""
        samples = self._samples
        if self._open:
            empty, single = self._layout_of(0, what)[-1][1], self._layout_of(1, what)[-1][1]
            samples = (size - empty) // (single - empty) if single > empty else 0
        layout = self._layout_of(samples, what)
        if layout[-1][1] != size:
            shapes = ", ".join(
                f"{n} {shape_text(part[2])}" for n, part in zip(self._names, layout, strict=True)
            )
            raise ShapeError(f"{what} has {size} entries, expected {layout[-1][1]}: those of {shapes}")
        return layout

    def _layout_of(self, samples: int | None, what: str) -> Layout:
        n = 0 if samples is None else samples
        if samples is None and self._open:
            raise ArgumentError(
                f"{what}: the number of samples is not known, as every argument with a sample axis is part "
                "of the vector; make the vector with x0 first"
            )
        if n not in self._layouts:
            layout: Layout = []
            start = 0
            for argument in self._varied:
                shape = (n, *argument.shape) if argument.batched else argument.shape
                stop = start + int(np.prod(shape, dtype=np.int64))
                layout.append((start, stop, shape))
                start = stop
            self._layouts[n] = layout
        return self._layouts[n]

    def _values(self, v: Any, what: str = "v") -> list[Any]:
        """All arguments of the function in order: views of the vector, and the data."""
        vector = self._vector(v, what)
        layout = self._layout(len(vector), what)
        dtype = self._function.dtype
        with np.errstate(all="ignore"):  # what overflows in float32 is infinite there
            vector = vector.astype(dtype, copy=False)
        values = list(self._data)
        for place, (start, stop, shape) in zip(self._places, layout, strict=True):
            values[place] = vector[start:stop].reshape(shape)
        return values

    # -- from results to the vector ------------------------------------------------------------------------

    def _value(self, value: Any) -> Any:
        if self._several:
            value = value[0]
        if self._scalar and not self._spread:
            return float(value)
        return np.array(value, np.float64).ravel()

    def _listed(self, grads: Any) -> Sequence[Array]:
        return [grads] if self._function._declaration.single else grads

    def _joined(self, grads: Sequence[Array]) -> Array:
        if not self._spread:
            return _joined_entries(grads)
        self._refuse_sampled()
        return np.concatenate([np.reshape(g, (len(g), -1)) for g in grads], axis=1, dtype=np.float64)

    def _refuse_sampled(self) -> None:
        sampled = [a.name for a in self._varied if a.batched]
        if sampled:
            raise ShapeError(
                f"{sampled[0]} has one value per sample and so has the output: their Jacobian is no array of "
                "(N, size); compile with reduce='sum' or 'mean'"
            )

    def _jacobian_of_column(self, values: list[Any]) -> Array:
        """The Jacobian of an output that is no scalar: one pass of reverse mode for each of its entries."""
        self._refuse_sampled()
        if self._pullback is None:
            self._pullback = self._compile_pullback()
        shape = tuple(int(d) for d in sized_symbol(self._first, self._sizes).shape)
        seeds = np.eye(shape[0] * shape[1], dtype=self._function.dtype).reshape(-1, *shape)
        pull, width = self._pullback, self.size

        def rows(grads: Any, lead: int) -> Array:
            """The gradients side by side; `lead` is the number of rows."""
            parts = grads if isinstance(grads, tuple) else (grads,)
            return np.concatenate([np.reshape(g, (lead, -1)) for g in parts], axis=1, dtype=np.float64)

        if not self._function.batch:
            return rows(pull(*values, seeds), len(seeds))
        lead = (self._samples or 0) if self._spread else 1
        result = np.empty((lead, len(seeds), width))
        for k, seed in enumerate(seeds):
            result[:, k] = rows(pull(*values, seed), lead)
        return result.reshape(-1, width)

    # -- derived functions ---------------------------------------------------------------------------------

    def _forward(self) -> Graph:
        """The graph with its first output alone."""
        graph = self._function.graph
        if not self._several:
            return graph
        names = list(graph.names)
        pairs = [(s, graph.nodes[s]) for s in names[: names.index(self._first) + 1]]
        return Graph.from_nodes(graph.table, pairs, [self._first])

    def _derived(
        self, target: Graph, more: Sequence[sp.Basic], sampled: Sequence[sp.Basic], wrt: Any
    ) -> Function:
        given = self._function._declaration
        options = (given.reduce, given.dtype, given.threads, "first", given.accuracy, given.name)
        batch = [*given.batch, *sampled]
        return type(self._function)(declare(target, [*given.args, *more], wrt, batch or None, *options))

    def _fresh(self, stem: str, like: sp.Basic) -> sp.Basic:
        """A symbol of the shape of another, with a name that is not taken."""
        graph = self._function.graph
        taken = {name_of(s) for s in (*graph.nodes, *graph.dimensions, *self._function.args)}
        while stem in taken:
            stem += "_"
        return sp.MatrixSymbol(stem, *like.shape) if isinstance(like, sp.MatrixSymbol) else sp.Symbol(stem)

    def _compile_directional(self) -> Function:
        """The derivative in a direction, whose gradient is the Hessian times the direction."""
        directions = [self._fresh(f"p_{name_of(s)}", s) for s in self._wrt]
        along = directions if len(directions) > 1 else directions[0]
        target = jvp(self._forward(), list(self._wrt), along, as_graph=True)
        pairs = zip(directions, self._varied, strict=True)
        wrt = self._wrt[0] if self._function._declaration.single else list(self._wrt)
        return self._derived(target, directions, [d for d, a in pairs if a.batched], wrt)

    def _compile_pullback(self) -> Function:
        """The sum of the entries of the output times a cotangent, differentiated: one row of the Jacobian for
        each unit cotangent, all of them in one call where there is no batch."""
        cotangent = self._fresh("cotangent", self._first)
        target = vjp(self._forward(), list(self._wrt), cotangent, as_graph=True)
        return self._derived(target, [cotangent], [] if self._function.batch else [cotangent], [])


def _joined_entries(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(a) for a in arrays], dtype=np.float64)


def _fixed(
    function: Function, data: Mapping[str, Any]
) -> tuple[list[Argument], list[Any], int | None, dict[sp.Basic, int]]:
    """The arguments; the data in their places, None for the others; the number of samples and the symbolic
    sizes, as far as the data tell."""
    declaration = function._declaration
    names = [name_of(s) for s in declaration.args]
    wanted = {name_of(s) for s in declaration.wrt}
    needed = [n for n in names if n not in wanted]
    expected = f"it takes {', '.join(needed) or 'nothing'} by name"
    for name in data:
        if name in wanted:
            raise ArgumentError(
                f"as_scipy: {name} is a part of the vector; give its start to x0, or leave it out of wrt"
            )
        if name not in needed:
            raise ArgumentError(f"as_scipy: found the unknown argument {name}; {expected}")
    missing = [n for n in needed if n not in data]
    if missing:
        raise ArgumentError(f"as_scipy: missing argument {', '.join(missing)}; {expected}")
    if len(set(names)) < len(names):
        raise ArgumentError(f"as_scipy: two of the arguments {', '.join(names)} have one name; rename one")
    generic = function._source.arguments({})
    given = [(a, a.array(data[a.name])) for a in generic if a.name in data]
    known = {a.symbol: int(v) for a, v in given if a.symbol in declaration.sizes() and v.ndim == 0}
    sizes = bind_sizes([a for a, _ in given], [v.shape for _, v in given], known)
    unknown = [str(s) for s in declaration.sizes() if s not in sizes]
    if unknown:
        raise ArgumentError(
            f"as_scipy: the size {unknown[0]} does not follow from the data; declare it as a number"
        )
    arguments = function._source.arguments(sizes)
    arrays = {a.name: v for a, v in given}
    fixed = [a for a in arguments if a.name in arrays]
    for argument in fixed:
        argument.fit(arrays[argument.name].shape)
    count = sample_count(fixed, [arrays[a.name].shape for a in fixed])
    samples = count if any(a.batched for a in fixed) else None
    return arguments, [arrays.get(a.name) for a in arguments], samples, sizes
