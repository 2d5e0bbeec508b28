"""`Function`: a compiled network with its value, its gradients, and a look at every stage that made them."""

from __future__ import annotations

import difflib
import html
import itertools
import operator
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import sympy as sp

from symprop.api.bound import OnlyGradient, Step
from symprop.api.calls import Entry, Family
from symprop.api.declaration import Declaration, name_of
from symprop.api.flat import Flat
from symprop.api.pictures import Plan, one_sample
from symprop.api.programs import Source
from symprop.api.views import Cost, Trace, cost_of, program_graph
from symprop.declare import Export, Graph, printing
from symprop.declare.names import latex_of
from symprop.declare.notebook import inline_block
from symprop.differentiate import backprop, grad, value_and_gradients
from symprop.errors import ArgumentError, ShapeError, SympropError, UnsupportedExpressionError
from symprop.functions.structure import is_integer_symbol
from symprop.run.arguments import shape_text
from symprop.run.fastcall import Gradient, fast_call
from symprop.show import Drawing, draw
from symprop.verify import verify

__all__ = ["Function", "Gradients"]


MOST_LISTED = 32  # arguments, gradients, outputs that a short description lists
QUICK_AFTER = 3  # calls after which the native way of calling pays for being made


class Function:
    """A network as one native function, made by `symprop.compile`; several threads may call it at once.

    >>> import symprop
    >>> x, y, z = sp.symbols("x y z")
    >>> f = symprop.compile((x + y) * z, args=[x, y, z])
    >>> float(f(-2.0, 5.0, -4.0))
    -12.0
    >>> value, grads = f.value_and_grad(-2.0, 5.0, -4.0)
    >>> [float(g) for g in grads]
    [-4.0, -4.0, 3.0]
    """

    _declaration: Declaration

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self._count = len(declaration.args)
        self._names = tuple(name_of(s) for s in declaration.args)
        self._positions: dict[str, list[int]] = {}
        for k, name in enumerate(self._names):
            self._positions.setdefault(name, []).append(k)
        self._lock = threading.RLock()
        self._source = Source(declaration)
        self._outputs = len(declaration.graph.outputs)
        self._calls = self._value_calls = 0
        self._quick: Callable[..., Any] | None = None  # the native ways of calling
        self._quick_value: Callable[..., Any] | None = None
        self._pack: Callable[[Sequence[Any]], Any] = tuple
        if declaration.single:
            self._pack = operator.itemgetter(0)
        elif not declaration.chosen and len(declaration.wrt) == 1:
            self._pack = OnlyGradient
        self._plain: Family | None = None
        self._joint: Family | None = None
        self._backward: Graph | None = None
        self._traced: tuple[Family, list[sp.Basic]] | None = None
        self._plans: dict[Any, Plan] = {}  # of the latest drawings
        self._fault: SympropError | None = None  # why there are no gradients
        self._derive()

    def _derive(self) -> None:
        """The symbolic work: gradients and rewriting. Native code is made when a call first needs it."""
        declaration, source = self._declaration, self._source
        roots, results = source.values()
        if not declaration.wrt and (declaration.chosen or source.scalar_fault() is None):
            self._plain = Family(source, roots, results, self._lock)
            if declaration.chosen or all(is_integer_symbol(s) for s in declaration.batch):
                self._joint = self._plain
            else:
                self._fault = ArgumentError(
                    "every argument carries a sample axis, and gradients are those of the arguments outside "
                    f"batch unless wrt names others; compile with wrt=[{', '.join(self._names)}], or those "
                    "of them that you want"
                )
            return
        try:
            more, their_results = source.gradients()
        except ShapeError as error:
            if source.scalar_fault() is None:
                raise
            self._fault = error
        except UnsupportedExpressionError as error:
            if declaration.chosen:
                raise
            self._fault = error  # the value is still of use where no gradient was asked for
        if self._fault is not None:
            self._plain = Family(source, roots, results, self._lock)
        else:
            self._joint = Family(source, [*roots, *more], [*results, *their_results], self._lock)

    # -- calls ---------------------------------------------------------------------------------------------

    def __call__(self, /, *args: Any, **named: Any) -> Any:
        """The output: a number, an array, or a tuple of them for several outputs.

        Arguments are positional in the order of `args`, or by name. With `batch`, N samples give N results
        along the first axis, or one where `reduce` was given.
        """
        quick = self._quick_value
        return self._value(*args, **named) if quick is None else quick(*args, **named)

    def _value(self, /, *args: Any, **named: Any) -> Any:
        """The output for any arguments."""
        if named or len(args) != self._count:
            args = self._ordered(args, named)
        family = self._value_family()
        results = family.call(args)
        self._value_calls += 1
        if self._value_calls == QUICK_AFTER:
            self._quick_value = self._native(family, None, self._value)
        return results[0] if self._outputs == 1 else tuple(results)

    def value_and_grad(self, /, *args: Any, **named: Any) -> tuple[Any, Any]:
        """`(value, grads)`: the output and its gradients in the order of `wrt`, from one native call.

        `grads` is a tuple; the array itself where `wrt` was given as one symbol. A gradient has the shape of
        the argument that was passed, with the sample axis first where there is one per sample. With several
        outputs, `value` is the tuple of them and the gradients are those of the first. Raises `ShapeError`
        where that is no scalar.

        >>> import symprop
        >>> x, w = sp.symbols("x w")
        >>> f = symprop.compile(w * x**2, args=[w, x])
        >>> value, (d_w, d_x) = f.value_and_grad(3.0, x=2.0)
        >>> print(value, d_w, d_x)
        12.0 4.0 12.0
        """
        quick = self._quick  # where this method was kept from before
        return self._value_and_grad(*args, **named) if quick is None else quick(*args, **named)

    def _value_and_grad(self, /, *args: Any, **named: Any) -> tuple[Any, Any]:
        """The same for any arguments."""
        family = self._joint
        if family is None:
            self._no_gradient("value_and_grad")
        if named or len(args) != self._count:
            args = self._ordered(args, named)
        results = family.call(args)
        outputs = self._outputs
        value = results[0] if outputs == 1 else tuple(results[:outputs])
        self._calls += 1
        if self._calls == QUICK_AFTER:
            self._quicken()
        return value, self._pack(results[outputs:])

    def _quicken(self) -> None:
        """From now on arguments that fit go straight to native code; this method serves the others."""
        family = self._joint
        if family is None or family.sizes or self._pack is OnlyGradient:
            return
        results = family.compiled().program.results[self._outputs :]
        gradients = [Gradient(r.gradient_of) for r in results if r.gradient_of is not None]
        quick = self._native(family, gradients, self._value_and_grad)
        if quick is not None:
            self._quick = self.__dict__["value_and_grad"] = quick

    def _native(
        self, family: Family, gradients: Sequence[Gradient] | None, general: Callable[..., Any]
    ) -> Callable[..., Any] | None:
        """The native way of calling where the program has one; `general` serves what does not fit."""
        if family.sizes:
            return None
        entry = family.compiled()
        if any(r.per_sample for r in entry.program.results):
            return None
        return fast_call(entry.executable, self._outputs, gradients, self._declaration.single, general)

    def grad(self, /, *args: Any, **named: Any) -> Any:
        """The gradients alone, as in `value_and_grad`.

        >>> import symprop
        >>> w = sp.Symbol("w")
        >>> print(symprop.compile(w**3, wrt=w).grad(2.0))
        12.0
        """
        if self._joint is None:
            self._no_gradient("grad")
        return self.value_and_grad(*args, **named)[1]

    def bind(self, /, *arrays: Any, **named: Any) -> Step:
        """A step with its arrays bound once: `step()` computes, `step.value`, `step.grads` are its results.

        Takes C-contiguous arrays of the compiled dtype (any integers for labels, numbers for scalars), or
        raises an `ArgumentError` that names the difference. They are not copied: what changes in them is seen
        by the next step. The results are views that every step overwrites. A step belongs to one thread at a
        time.

        >>> import symprop
        >>> w = sp.Symbol("w")
        >>> at = np.array(3.0)
        >>> step = symprop.compile((w - 1) ** 2).bind(at)
        >>> for _ in range(100):
        ...     step()
        ...     at -= 0.1 * step.grads[0]
        >>> print(f"{at:.6f} {step.value:.6f}")
        1.000000 0.000000
        """
        values = self._ordered(arrays, named)
        family = self._value_family() if self._joint is None else self._joint
        fault = None if self._fault is None else f"step.grads: {self._fault}"
        entry = family.entry(values)
        return entry.bind(values, self._outputs, self._pack, fault)

    def as_scipy(self, /, **data: Any) -> Flat:
        """The function of one flat vector of the `wrt` arguments, for SciPy's solvers; the others by name.

        `s = f.as_scipy(x=x, y=y)` serves `minimize(s, s.x0({w: start}), jac=True, hessp=s.hessp)`; with an
        output per sample (a residual for each) or a column `least_squares(s.fun, x0, jac=s.jac)` and
        `root(s, x0, jac=True)`. Raises `ArgumentError` for data that is missing or unknown.

        >>> import symprop
        >>> x, y = sp.symbols("x y")
        >>> f = symprop.compile((1 - x)**2 + 100 * (y - x**2)**2, args=[x, y])
        >>> s = f.as_scipy()
        >>> v = s.x0({x: 1.0, y: 2.0})
        >>> s(v)
        (100.0, array([-400.,  200.]))
        >>> s.hessp(v, [0.0, 1.0])
        array([-400.,  200.])
        """
        return Flat(self, data)

    def _value_family(self) -> Family:
        family = self._plain
        if family is None:
            with self._lock:
                if self._plain is None:
                    assert self._joint is not None
                    self._plain = self._joint.part(self._outputs)
                family = self._plain
        return family

    def _no_gradient(self, method: str) -> NoReturn:
        assert self._fault is not None
        raise type(self._fault)(f"{method} of {self._declaration.name}: {self._fault}") from self._fault

    def _ordered(self, args: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments in order; raises `ArgumentError` for unknown, repeated, missing or too many ones."""
        names, count = self._names, self._count
        expected = f"{self._declaration.name} takes {count} arguments: {', '.join(names)}"
        if len(args) > count:
            raise ArgumentError(f"found {len(args)} positional arguments; {expected}")
        if len(args) == count and not named:
            return tuple(args)
        values = dict(enumerate(args))
        for name, value in named.items():
            places = self._positions.get(name)
            if not places:
                close = difflib.get_close_matches(name, names, 1)
                hint = f" (did you mean {close[0]}?)" if close else ""
                raise ArgumentError(f"unknown argument {name}{hint}; {expected}")
            if len(places) > 1:
                raise ArgumentError(
                    f"{len(places)} arguments are named {name}: pass them by position; {expected}"
                )
            if places[0] in values:
                raise ArgumentError(f"argument {name} is given twice, by position and by name; {expected}")
            values[places[0]] = value
        missing = [n for k, n in enumerate(names) if k not in values]
        if missing:
            raise ArgumentError(
                f"missing argument{'s' * (len(missing) > 1)} {', '.join(missing)}; {expected}"
            )
        return tuple(values[k] for k in range(count))

    # -- the symbolic side ---------------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The forward `Graph`, as declared."""
        return self._declaration.graph

    @property
    def backward(self) -> Graph:
        """The adjoint `Graph`: the forward equations, then one adjoint equation per node, the gradients."""
        self._needs_gradient("backward")
        with self._lock:
            if self._backward is None:
                self._backward = backprop(self._declaration.graph, list(self._declaration.wrt))
            return self._backward

    @property
    def gradient(self) -> Gradients:
        """The gradients as expressions, by symbol: `f.gradient[W1]`."""
        self._needs_gradient("gradient")
        return Gradients(self._declaration, self._lock)

    @property
    def program(self) -> Graph:
        """The `Graph` that is compiled: forward and backward, rewritten, every shared term named once."""
        return program_graph(self._family().program(), self._declaration)

    # -- the native side -----------------------------------------------------------------------------------

    @property
    def llvm_ir(self) -> str:
        """The LLVM IR of value and gradients (of the value where there are no gradients)."""
        return str(self._compiled().executable.llvm_ir)

    @property
    def assembly(self) -> str:
        """The assembly of the same, for this machine."""
        return str(self._compiled().executable.assembly)

    @property
    def schedule(self) -> Any:
        """How the program is laid out in loops, kernels, tiles and buffers, and why; print it."""
        return self._compiled().executable.schedule

    @property
    def cost(self) -> Cost:
        """Operations, transcendental calls and bytes of value and gradients (of one sample)."""
        return cost_of(self._family().program(), np.dtype(self._declaration.dtype).itemsize)

    @property
    def report(self) -> Any:
        """What each pass did: operations before and after, time, the rewrites that fired; print it."""
        return self._family().program().report

    # -- values of every node, verification ----------------------------------------------------------------

    def trace(self, /, *args: Any, **named: Any) -> Trace:
        """For every node of `graph` its forward value and its gradient: `trace[h].value`,
        `trace[h].gradient`.

        With `batch` what varies has one of each per sample, where the gradient is that of the reduced output.
        The gradient is None for labels, and where the output is no scalar.

        >>> import symprop
        >>> x, y, q, f = sp.symbols("x y q f")
        >>> print(symprop.compile(symprop.Graph([(q, x + y), (f, q * y)]), args=[x, y]).trace(1.0, 2.0))
        x  1.   gradient 2.
        y  2.   gradient 5.
        q  3.   gradient 2.
        f  6.   gradient 1.
        """
        values = self._ordered(args, named)
        with self._lock:
            if self._traced is None:
                roots, results, with_gradient = self._source.everything()
                self._traced = Family(self._source, roots, results, self._lock), with_gradient
            family, with_gradient = self._traced
        return Trace.of((*self.graph.inputs, *self.graph.names), set(with_gradient), family.call(values))

    def draw(
        self,
        /,
        *args: Any,
        path: Any = None,
        expand: Any = None,
        theme: str = "auto",
        sample: int | None = None,
        legend: bool = True,
        **named: Any,
    ) -> Drawing:
        """The computational graph with its numbers: on each wire the forward value above, the gradient below.

        A box is an operation of the declared graph; gates say how they pass the gradient on; where several
        paths come back to a value their sum is written out. Numbers have two decimals or three significant
        digits; matrices are shown by shape, norm and heat map. expand: True draws every equation operation by
        operation, False one box for each, names open these; by default a small graph is open, one of many
        equations is drawn by layers. theme: "light", "dark", or "auto" as the reader's system prefers.
        sample: of a batch this one alone. path: also save there (.svg; .png by the extra `png`).

        >>> import symprop
        >>> x, y, z = sp.symbols("x y z")
        >>> f = symprop.compile((x + y) * z, args=[x, y, z])
        >>> f.draw(-2.0, 5.0, -4.0)
        <Drawing: computational graph of 2 boxes with forward values and gradients>
        """
        values: Sequence[Any] = self._ordered(args, named)
        if sample is not None:
            values = one_sample(self._source, values, sample)
        key = expand if expand is None or isinstance(expand, bool) else repr(expand)
        with self._lock:
            if key not in self._plans:
                if len(self._plans) >= 4:
                    self._plans.clear()
                self._plans[key] = Plan.of(self._source, expand, self._lock)
            plan = self._plans[key]
        drawing = draw(plan.scene, plan.numbers(values), theme, legend)
        if path is not None:
            drawing.save(path)
        return drawing

    def verify(self, /, *args: Any, **options: Any) -> Any:
        """Check gradients and values at these arguments: finite differences, forward mode, 50 digits.

        Named arguments of the function may be given by name; every other option goes to `symprop.verify`.

        >>> import symprop
        >>> x = sp.Symbol("x")
        >>> symprop.compile(sp.sin(x) ** 2).verify(0.3).passed
        True
        """
        named = {k: options.pop(k) for k in list(options) if k in self._positions}
        values = self._ordered(args, named)
        arrays = [a.array(v) for a, v in zip(self._source.arguments({}), values, strict=True)]
        at = dict(zip(self._declaration.args, arrays, strict=True))
        return verify(self._declaration.graph, at, wrt=list(self._declaration.wrt), function=self, **options)

    # -- the declaration -----------------------------------------------------------------------------------

    @property
    def args(self) -> tuple[sp.Basic, ...]:
        """The symbols of the arguments, in order."""
        return self._declaration.args

    @property
    def wrt(self) -> tuple[sp.Basic, ...]:
        """The symbols of the gradients, in order."""
        return self._declaration.wrt

    @property
    def batch(self) -> tuple[sp.Basic, ...]:
        """The symbols of the arguments with a sample axis."""
        return self._declaration.batch

    @property
    def reduce(self) -> str | None:
        """What becomes of the samples: None (one result for each), "mean" or "sum"."""
        return self._declaration.reduce

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the compiled code."""
        return np.dtype(self._declaration.dtype)

    @property
    def name(self) -> str:
        """The name of the function."""
        return self._declaration.name

    def __repr__(self) -> str:
        declaration = self._declaration
        arguments = _listed(
            [
                f"{a.name}: {_kind(a.shape, a.batched, 'int64' if a.integer else '')}"
                for a in self._source.arguments({})
            ]
        )
        spread = bool(declaration.batch) and declaration.reduce is None
        outputs = _listed(
            [
                f"{name_of(s)}: {_kind(self._source.nodes[s].shape, spread, '')}"
                for s in declaration.graph.outputs
            ]
        )
        reduced = f", {declaration.reduce} over N" if declaration.reduce else ""
        gradients = ""
        if self._fault is None and declaration.wrt:
            gradients = f"; gradient by {_listed([name_of(s) for s in declaration.wrt])}"
        return f"<Function ({arguments}) -> {outputs}{reduced}{gradients}; {self.dtype}>"

    def latex(self) -> str:
        r"""The forward equations and the backward pass as an `align*` block of LaTeX (package amsmath).

        >>> import symprop
        >>> x, a, f = sp.symbols("x a f")
        >>> print(symprop.compile(symprop.Graph([(f, a * x**2)]), args=[a, x]).latex())
        \begin{align*}
            a_{2} &= x^{2} \\
            f &= a a_{2} \\
            d_{a} &= a_{2} \\
            d_{x} &= 2 a x
        \end{align*}
        """
        return (self.graph if self._fault is not None or not self.wrt else self.backward).latex()

    def _repr_latex_(self) -> str:
        graph = self.graph if self._fault is not None or not self.wrt else self.backward
        return graph._repr_latex_()

    def _repr_html_(self) -> str:
        graph = self.graph if self._fault is not None or not self.wrt else self.backward
        return f"<code>{html.escape(repr(self))}</code>{graph._repr_html_()}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._declaration,)

    def __copy__(self) -> Function:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Function:
        return self.__copy__()  # nothing in a function can be changed

    # -- inside --------------------------------------------------------------------------------------------

    def _family(self) -> Family:
        return self._value_family() if self._joint is None else self._joint

    def _compiled(self) -> Entry:
        return self._family().compiled()

    def _needs_gradient(self, what: str) -> None:
        if self._fault is not None:
            self._no_gradient(what)


class Gradients(Mapping[sp.Basic, Any]):
    """The gradients of a function as sympy expressions, each derived when it is first read."""

    def __init__(self, declaration: Declaration, lock: Any) -> None:
        self._declaration, self._lock = declaration, lock
        self._known: dict[sp.Basic, Any] = {}

    def __getitem__(self, symbol: sp.Basic) -> Any:
        by_name = {name_of(s): s for s in self._declaration.args}
        key = by_name.get(symbol, symbol) if isinstance(symbol, str) else symbol
        if key not in self._declaration.wrt:
            listed = ", ".join(map(name_of, self._declaration.wrt)) or "none"
            raise ArgumentError(
                f"gradient[{symbol}]: compiled with respect to {listed}; name {symbol} in wrt=[...]"
            )
        with self._lock:
            if key not in self._known:
                self._known[key] = self._derived(key)
            return self._known[key]

    def _derived(self, symbol: sp.Basic) -> Any:
        graph = self._declaration.graph
        if self._declaration.named:
            return grad(graph, symbol)
        _, (node,) = value_and_gradients(graph, graph.outputs[0], [symbol])
        return Export({}).expression(node)  # of an expression, without the name that its value has here

    def __iter__(self) -> Iterator[sp.Basic]:
        return iter(self._declaration.wrt)

    def __len__(self) -> int:
        return len(self._declaration.wrt)

    def __repr__(self) -> str:
        lines: list[str] = []
        for symbol in itertools.islice(self, MOST_LISTED):
            *shared, shown = printing.text(self[symbol]).split("\n")
            lines += [*shared, f"d_{name_of(symbol)} = {shown}"]
        return "\n".join([*lines, *_rest(len(self))])

    def _repr_latex_(self) -> str:
        rows: list[str] = []
        for symbol in itertools.islice(self, MOST_LISTED):
            *shared, shown = printing.latex(self[symbol]).split("\n")
            rows += [line.replace(" = ", " &= ", 1) for line in shared]
            rows.append(f"d_{{{latex_of(symbol)}}} &= {shown}")
        return inline_block([*rows, *[rf"&\text{{{line}}}" for line in _rest(len(self))]])


def _rest(count: int) -> list[str]:
    """The line that stands for what is not listed."""
    return [f"... and {count - MOST_LISTED} more"] if count > MOST_LISTED else []


def _listed(texts: Sequence[str]) -> str:
    return ", ".join([*texts[:MOST_LISTED], *_rest(len(texts))])


def _kind(shape: tuple[Any, ...], batched: bool, suffix: str) -> str:
    inner = shape[:1] if len(shape) == 2 and shape[1] == 1 else shape
    sizes = (("N",) if batched else ()) + (() if shape == (1, 1) else inner)
    text = shape_text(sizes) if sizes else "scalar"
    return f"{text} {suffix}".strip()
