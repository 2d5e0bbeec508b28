"""`compile_step`: forward, backward and the update of the parameters as one native function."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from symprop.api.declaration import Declaration, declare, name_of
from symprop.api.programs import Program, Result, Source
from symprop.api.state import FORMAT, State, read
from symprop.api.views import Cost, cost_of, program_graph
from symprop.declare import Graph
from symprop.errors import ArgumentError, ShapeError
from symprop.functions.structure import is_integer_symbol
from symprop.graph import Node, NodeTable
from symprop.graph.transplant import sized_symbol, transplant
from symprop.optim import SGD, Optimizer, p, starts, updates
from symprop.rewrite import optimise
from symprop.run import Executable, build
from symprop.run.arguments import Sizes, address, bind_sizes, sample_count
from symprop.run.fastcall import FastStep

__all__ = ["TrainingStep", "compile_step"]

Array = np.ndarray[Any, np.dtype[Any]]

QUICK_AFTER = 3  # steps after which the native way of calling pays for being made
_READY = 0x101  # flags of an array that is C-contiguous and aligned
_LONG_TEXT = 20_000  # characters of equations up to which a saved state holds them as they are


def compile_step(
    graph: Any,
    args: Any = None,
    params: Any = None,
    batch: Any = None,
    reduce: str | None = "mean",
    optimizer: Optimizer | None = None,
    dtype: Any = "float64",
    *,
    threads: int | str = 1,
    ties: str = "first",
    accuracy: str = "precise",
    name: str | None = None,
) -> TrainingStep:
    """Compile a training step: the loss, its gradients and the update of the parameters, one native call.

    `graph`: a `Graph` or an expression whose first output is the loss of one sample. `params`: the symbols to
    train (default: every floating argument outside `batch`); the other arguments, in the order of `args`, are
    what `step(state, ...)` takes. `batch` and `reduce` are those of `compile`; without `batch` the loss is
    that of one call. `optimizer`: of `symprop.optim` (default: `optim.SGD()`).

    Raises what `compile` raises, `ArgumentError` for an optimizer or parameters that are none.

    >>> import symprop
    >>> from symprop import optim
    >>> w, x, y = sp.symbols("w x y")
    >>> step = symprop.compile_step((w * x - y)**2, args=[w, x, y], params=[w], batch=[x, y],
    ...                             optimizer=optim.SGD(lr=0.1))
    >>> state = step.init({w: 0.0})
    >>> for _ in range(50):
    ...     loss = step(state, [1.0, 2.0], [3.0, 6.0])
    >>> print(round(float(state.params[w]), 6), state.step)
    3.0 50
    """
    chosen = _optimizer(optimizer)
    if batch is None or (isinstance(batch, (list, tuple)) and not batch):
        reduce = None
    elif reduce is None:
        raise ArgumentError('compile_step: reduce is None, expected "mean" or "sum": a step follows one loss')
    declaration = declare(graph, args, params, batch, reduce, dtype, threads, ties, accuracy, name)
    if not declaration.wrt:
        raise ArgumentError("compile_step: there is nothing to train; name the parameters in params=[...]")
    both = [s for s in declaration.wrt if s in declaration.batch]
    if both:
        raise ArgumentError(
            f"compile_step: {both[0]} is in params and in batch; a parameter has no sample axis"
        )
    return TrainingStep(declaration, chosen)


def _optimizer(optimizer: Any) -> Optimizer:
    if optimizer is None:
        return SGD()
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        raise ArgumentError(f"optimizer is the class {optimizer.__name__}; pass {optimizer.__name__}(lr=...)")
    raise ArgumentError(
        f"optimizer is {type(optimizer).__name__}, expected one of symprop.optim such as optim.Adam(lr=1e-3)"
    )


class TrainingStep:
    """A compiled training step, made by `symprop.compile_step`.

    `state = step.init(params)`, then `loss = step(state, X, Y)` as often as wanted: each call computes the
    loss with the parameters as they are and overwrites them, with the state of the optimizer, in place.
    Graphs with several outputs give a tuple, whose first is the loss.

    >>> import symprop
    >>> x, y, w = sp.symbols("x y w")
    >>> step = symprop.compile_step((w * x - y) ** 2, params=[w], batch=[x, y])
    >>> step.params, step.data
    ((w,), (x, y))
    """

    def __init__(self, declaration: Declaration, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._declaration = declaration
        self._lock = threading.Lock()
        source = Source(declaration)
        fault = source.scalar_fault()
        if fault is not None:
            raise ShapeError(f"compile_step: {fault}")
        data = [s for s in declaration.args if s not in set(declaration.wrt)]
        self._data_names = [name_of(s) for s in data]
        arguments = {a.symbol: a for a in source.arguments({})}
        self._param_arguments = [arguments[s] for s in declaration.wrt]
        self._data_arguments = [arguments[s] for s in data]
        self._fast = [(a.dtype, a.shapes(), a.batched) for a in self._data_arguments]
        self._batched = bool(declaration.batch)
        self._values = len(declaration.graph.outputs)
        self._roots, self._results, self._inputs = _joined(source, optimizer, data)
        self._sizes = declaration.sizes()
        self._made: dict[tuple[int, ...], tuple[Executable, Program]] = {}
        self._latest: tuple[Executable, Program] | None = None
        self._about: dict[str, Any] | None = None
        self._native: FastStep | None = None
        if not self._sizes:
            self._latest = self._for_sizes({})

    # -- what a training consists of ---------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The network, as declared."""
        return self._declaration.graph

    @property
    def params(self) -> tuple[sp.Basic, ...]:
        """The symbols that are trained."""
        return self._declaration.wrt

    @property
    def data(self) -> tuple[sp.Basic, ...]:
        """The symbols that a call takes after the state, in order."""
        return tuple(a.symbol for a in self._data_arguments)

    def init(self, params: Mapping[Any, Any]) -> State:
        """The state before the first step, from a mapping from symbol (or name) to array; arrays are copied.

        Raises `ArgumentError` for a parameter that is missing or unknown or holds NaN, `ShapeError` for one
        of the wrong shape.

        >>> import symprop
        >>> x, w = sp.symbols("x w")
        >>> state = symprop.compile_step((w * x - 1) ** 2, params=[w]).init({w: 0.5})
        >>> print(state.params[w], state.step)
        0.5 0
        """
        if not isinstance(params, Mapping):
            raise ArgumentError(
                f"init takes a mapping from symbol to array, found {type(params).__name__}; pass {{symbol: "
                f"array, ...}} for {self._listed()}"
            )
        by_name = {name_of(s): s for s in self.params}
        values: dict[sp.Basic, Any] = {}
        for key, value in params.items():
            symbol = by_name.get(key) if isinstance(key, str) else key
            if symbol not in by_name.values():
                raise ArgumentError(f"init: {key} is no parameter; the parameters are {self._listed()}")
            if symbol in values:
                raise ArgumentError(f"init: {key} is given twice, by symbol and by name")
            values[symbol] = value
        missing = [name for name, s in by_name.items() if s not in values]
        if missing:
            raise ArgumentError(
                f"init: no value for {', '.join(missing)}; the parameters are {self._listed()}"
            )
        arrays = {a.symbol: a.array(values[a.symbol]) for a in self._param_arguments}
        self._check_shapes([arrays[s] for s in self.params])
        for symbol, array in arrays.items():
            if np.isnan(array).any():
                raise ArgumentError(f"init: the parameter {symbol} holds NaN; pass numbers")
        slots: dict[str, dict[sp.Basic, Array]] = {s.name: {} for s in self.optimizer.state}
        for symbol, array in arrays.items():
            for slot, start in starts(self.optimizer, array).items():
                slots[slot.name][symbol] = start
        return State(self.about, arrays, slots)

    def load(self, path: Any, *, strict: bool = True) -> State:
        """The state that `state.save(path)` has written; the steps from there on have the same bits.

        Raises `ArgumentError` that says what differs for a state of another network or optimizer; with
        `strict=False` equations and hyper-parameters may differ, not the parameters and what the optimizer
        keeps.
        """
        params, memory, count = read(path, self.about, strict)
        self._check_shapes(params)
        arrays = dict(zip(self.params, params, strict=True))
        slots: dict[str, dict[sp.Basic, Array]] = {
            name.name: {s: rest[k] for s, rest in zip(self.params, memory, strict=True)}
            for k, name in enumerate(self.optimizer.state)
        }
        return State(self.about, arrays, slots, count)

    def __call__(self, state: State, /, *data: Any, **named: Any) -> Any:
        """One step: the loss before it (or all outputs), and the state changed in place.

        Raises before anything is changed: `ArgumentError` for arguments that are missing, unknown, no
        numbers, labels out of range, an empty batch; `ShapeError` for arrays that do not fit.
        """
        if not named and type(state) is State and state.quick is not None and state.quick[0] is self:
            return state.quick[1](state, *data)
        return self._general(state, *data, **named)

    def _general(self, state: State, /, *data: Any, **named: Any) -> Any:
        """A step of any state with any arguments."""
        if named or len(data) != len(self._fast):
            data = self._ordered(data, named)
        if not isinstance(state, State) or (state.about is not self._about and state.about != self.about):
            raise self._wrong_state(state)
        pointers: list[int] = []
        n = -1
        for value, (dtype, fitting, batched) in zip(data, self._fast, strict=True):  # arrays as they are
            if (
                type(value) is not np.ndarray
                or value.dtype is not dtype
                or value.flags.num & _READY != _READY
            ):
                break
            shape = value.shape
            if batched:
                if not shape or shape[1:] not in fitting or n not in (-1, shape[0]):
                    break
                n = shape[0]
            elif shape not in fitting:
                break
            pointers.append(address(value))
        else:
            if n and self._latest is not None and not self._sizes:
                return self._run(self._latest[0], pointers, state, n if self._batched else 1)
        return self._converted(state, data)

    def _converted(self, state: State, data: Sequence[Any]) -> Any:
        """A step whose arguments are converted and checked one by one, with errors that name them."""
        arrays: list[Array] = []
        pointers: list[int] = []
        shapes: list[tuple[int, ...]] = []
        for argument, value, (dtype, fitting, batched) in zip(
            self._data_arguments, data, self._fast, strict=True
        ):
            array = value
            if (
                type(array) is not np.ndarray
                or array.dtype is not dtype
                or array.flags.num & _READY != _READY
            ):
                array = argument.array(value)
            shape = array.shape
            if (shape[1:] if batched and shape else shape) not in fitting and not self._sizes:
                argument.fit(shape)
            arrays.append(array)
            pointers.append(address(array))
            shapes.append(shape)
        n = sample_count(self._data_arguments, shapes) if self._batched else 1
        if n == 0:
            raise ArgumentError(
                f"{', '.join(map(name_of, self._declaration.batch))}: an empty batch has no gradient; pass "
                f"at least one sample"
            )
        latest = self._latest
        if self._sizes:
            latest = self._for_sizes(self._bound(state, arrays, shapes))
        assert latest is not None
        return self._run(latest[0], pointers, state, n)

    def _quicken(self, state: State) -> None:
        """From now on arguments that fit go straight to native code, for this state."""
        if self._sizes or self._latest is None:
            return
        with self._lock:
            if self._native is None:
                self._native = FastStep(self._latest[0], self._values, len(self._fast))
        quick = self._native.over(state.pointers, self._general)
        if quick is not None:
            state.quick = self, quick

    def _run(self, executable: Executable, pointers: Sequence[int], state: State, n: int) -> Any:
        own, outputs = state.pointers, [executable.allocate(k, n)[0] for k in range(self._values)]
        executable.run([*pointers, *own], [*map(address, outputs), *own], n)
        state.calls += 1
        if state.calls == QUICK_AFTER:
            self._quicken(state)
        if len(outputs) == 1:
            return _shown(outputs[0])
        return tuple(map(_shown, outputs))

    # -- to look at --------------------------------------------------------------------------------------

    @property
    def program(self) -> Graph:
        """The `Graph` that is compiled: loss, gradients and updates after rewriting."""
        return program_graph(self._compiled()[1], self._declaration)

    @property
    def schedule(self) -> Any:
        """How the program is laid out in loops, kernels and buffers; print it."""
        return self._compiled()[0].schedule

    @property
    def llvm_ir(self) -> str:
        """The LLVM IR of the step."""
        return str(self._compiled()[0].llvm_ir)

    @property
    def assembly(self) -> str:
        """The assembly of the step, for this machine."""
        return str(self._compiled()[0].assembly)

    @property
    def report(self) -> Any:
        """What each pass of the rewriting did; print it."""
        return self._compiled()[1].report

    @property
    def cost(self) -> Cost:
        """Operations, transcendental calls and bytes of a step with one sample."""
        return cost_of(self._compiled()[1], np.dtype(self._declaration.dtype).itemsize)

    @property
    def about(self) -> Mapping[str, Any]:
        """What a saved state must agree with, as plain lists and texts."""
        if self._about is None:
            self._about = self._description()
        return self._about

    def __repr__(self) -> str:
        return f"<training step of {self._declaration.name}: {self._listed()} by {self.optimizer.name}>"

    def __reduce__(self) -> Any:
        return TrainingStep, (self._declaration, self.optimizer)

    # -- parts -------------------------------------------------------------------------------------------

    def _listed(self) -> str:
        return ", ".join(map(name_of, self.params))

    def _check_shapes(self, arrays: Sequence[Array]) -> None:
        shapes = [a.shape for a in arrays]
        if self._sizes:
            bind_sizes(self._param_arguments, shapes, {})
            return
        for argument, shape in zip(self._param_arguments, shapes, strict=True):
            argument.fit(shape)

    def _ordered(self, data: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...]:
        names = self._data_names
        expected = f"a step takes the state and {', '.join(names) or 'nothing else'}"
        if len(data) > len(names):
            raise ArgumentError(f"found {len(data)} arguments after the state; {expected}")
        values = dict(zip(names, data, strict=False))
        for name, value in named.items():
            if name not in names:
                raise ArgumentError(f"unknown argument {name}; {expected}")
            if name in values:
                raise ArgumentError(f"argument {name} is given twice; {expected}")
            values[name] = value
        missing = [name for name in names if name not in values]
        if missing:
            raise ArgumentError(f"missing argument {', '.join(missing)}; {expected}")
        return tuple(values[name] for name in names)

    def _wrong_state(self, state: Any) -> ArgumentError:
        if not isinstance(state, State):
            return ArgumentError(
                f"a step takes the state first, found {type(state).__name__}; make one with "
                f"step.init(params) or step.load(path)"
            )
        about = self.about
        unlike = [key for key in about if state.about.get(key) != about[key]]
        return ArgumentError(
            f"the state belongs to another step: it differs in {', '.join(unlike)}; make one with "
            f"step.init(params)"
        )

    def _bound(self, state: State, arrays: Sequence[Array], shapes: Sequence[tuple[int, ...]]) -> Sizes:
        arguments = [*self._param_arguments, *self._data_arguments]
        given = zip(self._data_arguments, arrays, strict=True)
        known = {a.symbol: int(v) for a, v in given if a.symbol in self._sizes and v.ndim == 0}
        return bind_sizes(arguments, [*(a.shape for a in state.params.values()), *shapes], known)

    def _compiled(self) -> tuple[Executable, Program]:
        if self._latest is None:
            names = ", ".join(map(str, self._sizes))
            raise ArgumentError(f"native code is made for the sizes of a call: {names} not known yet")
        return self._latest

    def _for_sizes(self, sizes: Sizes) -> tuple[Executable, Program]:
        key = tuple(sizes[s] for s in self._sizes)
        with self._lock:
            if key not in self._made:
                self._made[key] = self._build(sizes)
            self._latest = self._made[key]
            return self._latest

    def _build(self, sizes: Sizes) -> tuple[Executable, Program]:
        declaration, table = self._declaration, NodeTable()
        made = transplant(self._roots, table, sizes)
        inputs = tuple(sized_symbol(s, sizes) for s in self._inputs)
        batched = tuple(sized_symbol(s, sizes) for s in declaration.batch)
        rewritten, report = optimise(
            table,
            [made[r.serial] for r in self._roots],
            accuracy=declaration.accuracy,
            batched=frozenset(batched),
        )
        program = Program(table, tuple(rewritten), tuple(self._results), inputs, batched, report)
        changed = inputs[len(self._data_arguments) :]
        executable = build(
            program.roots,
            inputs,
            batched=batched,
            dtype=declaration.dtype,
            threads=declaration.thread_count(),
            name=declaration.name,
            overwrites=dict(enumerate(changed, self._values)),
            accuracy=declaration.accuracy,
        )
        return executable, program

    def _description(self) -> dict[str, Any]:
        declaration, optimizer = self._declaration, self.optimizer
        network = str(declaration.graph).splitlines()
        if sum(map(len, network)) > _LONG_TEXT:
            digest = hashlib.sha256("\n".join(network).encode()).hexdigest()
            network = [f"{len(network)} equations, SHA-256 {digest}"]
        return {
            "format": FORMAT,
            "params": [[name_of(s), *map(str, getattr(s, "shape", ()))] for s in self.params],
            "dtype": declaration.dtype,
            "slots": [s.name for s in optimizer.state],
            "equations": [f"{left} <- {right}" for left, right in optimizer.equations],
            "hyper": [f"{s} = {value}" for s, value in optimizer.hyper.items()],
            "network": network,
            "options": [
                f"outputs {', '.join(map(name_of, declaration.graph.outputs))}",
                f"batch {', '.join(map(name_of, declaration.batch))}",
                f"reduce {declaration.reduce}",
                f"ties {declaration.ties}",
                f"accuracy {declaration.accuracy}",
            ],
        }


def _joined(
    source: Source, optimizer: Optimizer, data: Sequence[sp.Basic]
) -> tuple[list[Node], list[Result], list[sp.Basic]]:
    """Outputs, new parameters, the new state of each, the new number of steps; and the inputs: the data, then
    what is overwritten, in the same order."""
    table, declaration = source.table, source.declaration
    roots, results = source.values()
    gradients, _ = source.gradients()
    taken = {name_of(s) for s in (*declaration.graph.nodes, *declaration.args)}
    params = [source.nodes.get(s) or table.symbol(s) for s in declaration.wrt]
    slots: list[dict[sp.Symbol, sp.Basic]] = [
        {slot: _fresh(f"{slot}_{name_of(s)}", s, taken) for slot in optimizer.state} for s in declaration.wrt
    ]
    count = _fresh("steps", sp.Symbol("steps", integer=True), taken)
    number = table.add(table.symbol(count), table.constant(1))
    states = [{slot: table.symbol(s) for slot, s in own.items()} for own in slots]
    new = updates(table, optimizer, params, gradients, states, number)
    inputs: list[sp.Basic] = [*data, *declaration.wrt]
    inputs += [s for own in slots for s in own.values()]
    inputs.append(count)
    roots = [*roots, *(after[p] for after in new)]
    roots += [after[slot] for after, own in zip(new, slots, strict=True) for slot in own]
    roots.append(number)
    changed: Iterable[sp.Basic] = inputs[len(data) :]
    results = [*results, *(Result(_next(s), None, False) for s in changed)]
    return roots, results, inputs


def _fresh(name: str, like: sp.Basic, taken: set[str]) -> sp.Basic:
    """A symbol of a new name, of the shape and kind of another one."""
    while name in taken:
        name += "_"
    taken.add(name)
    return _named(name, like)


def _named(name: str, like: Any) -> sp.Basic:
    if getattr(like, "is_Matrix", False):
        return sp.MatrixSymbol(name, *like.shape)
    return sp.Symbol(name, integer=True) if is_integer_symbol(like) else sp.Symbol(name)


def _next(symbol: sp.Basic) -> sp.Basic:
    return _named(f"{name_of(symbol)}_next", symbol)


def _shown(output: Array) -> Any:
    """A number, or a column without its second axis."""
    if not output.shape:
        return output[()]
    if output.shape == (1, 1):
        return output.reshape(())[()]
    return output[:, 0] if output.ndim == 2 and output.shape[1] == 1 else output
