"""From the arguments of a call to the values that a user gets: one `Entry` per compiled program.

A call first tries the short way: every argument is an array that native code can read as it is. Otherwise
every argument is converted and checked, with errors that name it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symprop.api.bound import Step, bindable
from symprop.api.programs import Program, Result, Source
from symprop.errors import ArgumentError
from symprop.graph import CollectorPaused, Node
from symprop.run import Executable, build
from symprop.run.arguments import Argument, Sizes, address, bind_sizes, sample_count

__all__ = ["Entry", "Family"]

Array = np.ndarray[Any, np.dtype[Any]]

_READY = 0x101  # flags of an array that is C-contiguous and aligned
_SCALARS = (float, np.float64)


class Entry:
    """A compiled program with sizes that are numbers, and how its arguments and results look to the user."""

    def __init__(self, executable: Executable, program: Program, arguments: Sequence[Argument]) -> None:
        self.executable = executable
        self.program = program
        self.arguments = tuple(arguments)
        self._batched = any(a.batched for a in arguments)
        real = np.dtype(np.float64)
        self._fast = [
            (a.dtype, a.shapes(), a.batched, not a.shape and not a.batched and a.dtype is real)
            for a in arguments
        ]
        outputs = executable.outputs
        columns = _columns(arguments)
        self._forms = [
            _Form(r, outputs[k].batched, outputs[k].shape, self.arguments, columns)
            for k, r in enumerate(program.results)
        ]
        self._dtype = executable.dtype
        self._places: list[tuple[int | None, tuple[int, ...] | None]] = []  # of numbers; shapes of arrays
        self._scalars: list[tuple[int, int]] = []
        self._arrays: list[tuple[int, _Form]] = []
        for k, (form, port) in enumerate(zip(self._forms, outputs, strict=True)):
            if form.number and port.kind == "real":
                self._places.append((len(self._scalars) * self._dtype.itemsize, None))
                self._scalars.append((k, len(self._scalars)))
            else:
                self._places.append((None, port.shape if port.kind == "real" and not port.batched else None))
                self._arrays.append((k, form))
        self._numbers = len(self._scalars)

    def call(self, values: Sequence[Any]) -> list[Any]:
        """The results for one set of arguments: scalars as NumPy scalars, everything else as new arrays."""
        shapes_passed: list[tuple[int, ...]] = []
        pointers: list[int] = []
        numbers: list[float] = []
        n = -1
        for value, (dtype, shapes, batched, scalar) in zip(values, self._fast, strict=True):
            if type(value) is np.ndarray:
                if value.dtype is not dtype or value.flags.num & _READY != _READY:
                    break
                shape = value.shape
                if batched:
                    if not shape or shape[1:] not in shapes or (n >= 0 and shape[0] != n):
                        break
                    n = shape[0]
                elif shape not in shapes:
                    break
                pointers.append(address(value))
                shapes_passed.append(shape)
            elif scalar and type(value) in _SCALARS:
                pointers.append(-1)  # the place of the number in one array of all of them
                numbers.append(value)
                shapes_passed.append(())
            else:
                break
        else:
            if numbers:
                packed = np.array(numbers)
                places = iter(range(address(packed), address(packed) + packed.nbytes, 8))
                pointers = [next(places) if p == -1 else p for p in pointers]
            return self.run(pointers, shapes_passed, n if self._batched else 1)
        converted = [a.array(v) for a, v in zip(self.arguments, values, strict=True)]
        shapes_passed = [a.shape for a in converted]
        for argument, shape in zip(self.arguments, shapes_passed, strict=True):
            argument.fit(shape)
        n = sample_count(self.arguments, shapes_passed)
        return self.run([address(a) for a in converted], shapes_passed, n)

    def run(self, arguments: Sequence[int], shapes: Sequence[tuple[int, ...]], n: int) -> list[Any]:
        """The results for arguments that fit, by their addresses and the shapes that were passed."""
        executable = self.executable
        numbers = np.empty(self._numbers, self._dtype)  # all results that are numbers, in one array
        first = address(numbers)
        pointers: list[int] = []
        results: list[Any] = []
        for k, (place, shape) in enumerate(self._places):
            if place is not None:
                pointers.append(first + place)
                results.append(None)
                continue
            if shape is not None:
                buffer = view = np.empty(shape, self._dtype)
            else:
                buffer, view = executable.allocate(k, n)
            pointers.append(address(buffer))
            results.append(view)  # keeps the memory alive during the run
        executable.run(arguments, pointers, n)
        for k, number in self._scalars:
            results[k] = numbers[number]
        for k, form in self._arrays:
            results[k] = form.value(results[k], shapes, n)
        return results

    def bind(
        self, values: Sequence[Any], count: int, pack: Callable[[Sequence[Any]], Any], fault: str | None
    ) -> Step:
        """A step over these very arrays; the first `count` results are values, the others gradients."""
        arrays: list[Array] = []
        refresh: list[tuple[Array, Array]] = []
        for argument, value in zip(self.arguments, values, strict=True):
            array = bindable(argument, value)
            if array.dtype != argument.dtype:  # integers of another width: read anew at every step
                own = np.empty(array.shape, argument.dtype)
                refresh.append((own, array))
                array = own
            arrays.append(array)
        shapes = [a.shape for a in arrays]
        for argument, shape in zip(self.arguments, shapes, strict=True):
            argument.fit(shape)
        n = sample_count(self.arguments, shapes)
        allocated = [self.executable.allocate(k, n) for k in range(len(self._forms))]
        buffers = [buffer for buffer, _ in allocated]
        for buffer in buffers:
            if buffer.dtype.kind == "f":
                buffer.fill(np.nan)  # what is read before the first step shows itself
        run = self.executable.prepare(arrays, buffers, n)
        views = [f.view(v, shapes, n) for f, (_, v) in zip(self._forms, allocated, strict=True)]
        if refresh:
            run = _refreshing(run, refresh)
        return Step.over(run, (arrays, buffers, run), views[:count], views[count:], pack, fault)


def _refreshing(run: Callable[[], None], pairs: Sequence[tuple[Array, Array]]) -> Callable[[], None]:
    def step() -> None:
        for own, theirs in pairs:
            np.copyto(own, theirs, casting="unsafe")
        run()

    return step


def _columns(arguments: Sequence[Argument]) -> list[tuple[int, int]]:
    """The columns among the arguments, and the number of axes that one passed as (n, 1) has."""
    return [(k, 2 + a.batched) for k, a in enumerate(arguments) if a.shape[1:] == (1,) and a.shape[0] != 1]


class _Form:
    """How the view of one output becomes what the user gets.

    A column comes as (n,), as NumPy users write vectors; where every column was passed as (n, 1) it comes in
    that form too, as in NumPy's `W @ x`.
    """

    __slots__ = ("columns", "drop", "lead", "number", "position", "spread")

    def __init__(
        self,
        result: Result,
        batched: bool,
        shape: tuple[int, ...],
        arguments: Sequence[Argument],
        columns: Sequence[tuple[int, int]],
    ) -> None:
        self.position = result.gradient_of
        self.spread = result.per_sample and not batched  # the same for every sample
        self.lead = result.per_sample and self.position is not None and not arguments[self.position].batched
        self.drop: tuple[Any, ...] | None = None  # the index that leaves out axes of size one
        if self.position is None and len(shape) == 2 and shape[1] == 1:
            self.drop = (..., 0, 0) if shape[0] == 1 else (..., 0)
        self.columns = columns
        # a number in every call; the gradient of a 1 x 1 matrix has the shape that was passed
        self.number = (
            not batched and not self.spread and (shape == () or (shape == (1, 1) and self.position is None))
        )

    def view(self, view: Array, shapes: Sequence[tuple[int, ...]], n: int) -> Array:
        """The output in the shape that the user sees, in the same memory."""
        if self.spread:
            view = np.broadcast_to(view, (n, *view.shape))
        if self.drop is not None:
            if self.drop == (..., 0) and self.columns and all(len(shapes[k]) == d for k, d in self.columns):
                return view
            return np.asarray(view[self.drop])
        if self.position is not None:
            shape = shapes[self.position]
            if self.lead:
                shape = (n, *shape)
            if view.shape != shape:  # only axes of size one come or go, which never copies
                return view.reshape(shape)
        return view

    def value(self, view: Array, shapes: Sequence[tuple[int, ...]], n: int) -> Any:
        """The output as a value of its own: a NumPy scalar where it has no axes."""
        array = self.view(view, shapes, n)
        if array.ndim == 0:
            return array[()]
        return array.copy() if self.spread else array


class Family:
    """The entries of one set of roots: one for each set of symbolic sizes, made when it is first called."""

    def __init__(
        self,
        source: Source,
        roots: Sequence[Node],
        results: Sequence[Result],
        lock: Any,
        whole: Family | None = None,
    ) -> None:
        """The first of `roots` as many as there are `results`; `whole` is the family that has all of them."""
        self.source, self.roots, self.results, self._lock = source, roots, results, lock
        declaration = source.declaration
        self.sizes = declaration.sizes()
        self.latest: Entry | None = None
        self._program: Program | None = None
        if not self.sizes:
            self._program = self._rewritten({}) if whole is None else whole.program().part(len(results))
        self._entries: dict[tuple[int, ...], Entry] = {}
        self._generic = source.arguments({}) if self.sizes else ()
        self.call: Callable[[Sequence[Any]], list[Any]] = self._first

    def part(self, count: int) -> Family:
        """The first `count` results alone, by the same rewritten formulas and so with the same values."""
        return Family(self.source, self.roots, self.results[:count], self._lock, self)

    @CollectorPaused()
    def _rewritten(self, sizes: Sizes) -> Program:
        return self.source.program(self.roots, self.results, sizes)

    def program(self) -> Program:
        """The rewritten program; with symbolic sizes that of the latest call, before a call that of no
        sizes.
        """
        with self._lock:
            if self.latest is not None:
                return self.latest.program
            if self._program is None:
                self._program = self._rewritten({})
            return self._program

    def entry(self, values: Sequence[Any]) -> Entry:
        """The compiled program for the sizes of these arguments."""
        if not self.sizes:
            return self._make(())
        arrays = [a.array(v) for a, v in zip(self._generic, values, strict=True)]
        given = zip(self._generic, arrays, strict=True)
        known = {a.symbol: int(v) for a, v in given if a.symbol in self.sizes and v.ndim == 0}
        sizes = bind_sizes(self._generic, [v.shape for v in arrays], known)
        return self._make(tuple(sizes[s] for s in self.sizes))

    def compiled(self) -> Entry:
        """The entry of the latest call; raises `ArgumentError` where symbolic sizes are not known yet."""
        if self.sizes and self.latest is None:
            names = ", ".join(map(str, self.sizes))
            raise ArgumentError(
                f"native code is made for the sizes of a call: {names} not known yet; call once first"
            )
        return self.latest or self._make(())

    def _make(self, key: tuple[int, ...]) -> Entry:
        entry = self._entries.get(key)
        if entry is None:
            with self._lock:
                entry = self._entries.get(key)
                if entry is None:
                    entry = self._entries[key] = self._build(key)
        self.latest = entry
        return entry

    @CollectorPaused()
    def _build(self, key: tuple[int, ...]) -> Entry:
        sizes = dict(zip(self.sizes, key, strict=True))
        program = self._rewritten(sizes) if sizes else self._program
        assert program is not None
        declaration = self.source.declaration
        executable = build(
            program.roots,
            program.inputs,
            batched=program.batched,
            dtype=declaration.dtype,
            threads=declaration.thread_count(),
            name=declaration.name,
            accuracy=declaration.accuracy,
        )
        return Entry(executable, program, self.source.arguments(sizes))

    def _first(self, values: Sequence[Any]) -> list[Any]:
        entry = self.entry(values)
        if not self.sizes:
            self.call = entry.call  # from now on without the way through here
        return entry.call(values)
