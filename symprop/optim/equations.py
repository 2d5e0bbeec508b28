"""Update equations: an `Optimizer` is a checked list of them, with its state and its hyper-parameters."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sympy as sp

from symprop.declare import Intake
from symprop.declare.names import latex_of
from symprop.declare.notebook import inline_block
from symprop.errors import ArgumentError, ShapeError, UnsupportedExpressionError
from symprop.graph import NodeTable

__all__ = ["Equations", "Optimizer", "Transformation", "chain", "g", "norm", "p", "step", "symbols_in"]

p = sp.Symbol("p")  # an entry of a parameter
g = sp.Symbol("g")  # the gradient of the loss with respect to it
step = sp.Symbol("t")  # the number of the step, 1 in the first
norm = sp.Symbol("norm")  # the norm of the gradients of all parameters together

GIVEN = {
    p: "the parameter",
    g: "the gradient",
    step: "the number of the step",
    norm: "the norm of the gradients",
}
LOOKED_AT = (1, 2, 10, 100, 1000, 10_000)  # steps at which a learning rate may begin to be positive

Pair = tuple[sp.Symbol, sp.Expr]


class Equations:
    """Update equations in order, each `(symbol, expression)`: an assignment to one entry.

    `state`: the symbols that last from step to step, as a list (they start from zero) or as a mapping to
    their start, a number or an expression of `p` and hyper-parameters. `hyper`: the hyper-parameters, a
    mapping from symbol to a number or an expression of `step`. Symbols are known by their names.

    Raises `ArgumentError` for an equation that uses an unknown name, a state that no equation updates, a
    learning rate `lr` that is not positive.
    """

    def __init__(
        self,
        equations: Any,
        *,
        state: Iterable[Any] | Mapping[Any, Any] = (),
        hyper: Mapping[Any, Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or type(self).__name__
        starts = state if isinstance(state, Mapping) else dict.fromkeys(_several(state), 0)
        self.hyper: dict[sp.Symbol, sp.Expr] = {}
        for symbol, value in (hyper or {}).items():
            own = self._own(symbol, "hyper", self.hyper)
            self.hyper[own] = self._hyper_value(own, value)
        self.state: dict[sp.Symbol, sp.Expr] = {}
        for symbol, start in starts.items():
            own = self._own(symbol, "state", {**self.hyper, **self.state})
            self.state[own] = self._expression(start, f"the start of the state {own}", {p, *self.hyper})
        self.equations = tuple(self._equation(*pair) for pair in _pairs(equations, self.name))
        known = {*GIVEN, *self.state, *self.hyper}
        assigned: set[sp.Symbol] = set()
        checked = []
        for left, right in self.equations:
            if left in (step, norm) or left in self.hyper:
                raise self._error(f"an equation assigns to {left}, which is given and not computed")
            checked.append((left, self._expression(right, f"the equation of {left}", known)))
            known.add(left)
            assigned.add(left)
        self.equations = tuple(checked)
        for symbol in self.state:
            if symbol not in assigned:
                raise self._error(
                    f"no equation updates the state {symbol}; add the equation ({symbol}, ...), or declare "
                    f"it in hyper="
                )
        self._check_rate()

    # -- reading -----------------------------------------------------------------------------------------

    def values(self, number: int = 1) -> dict[str, float]:
        """The hyper-parameters at a step, by name: `optimizer.values(100)["lr"]`."""
        return {s.name: _number(value, number) for s, value in self.hyper.items()}

    def __str__(self) -> str:
        head = ", ".join(f"{s} = {_shown(value)}" for s, value in self.hyper.items())
        lines = [f"{self.name}: {head}" if head else self.name]
        lines += [f"{s} starts from {_shown(v)}" for s, v in self.state.items() if v != 0]
        return "\n".join([*lines, *(f"{left} <- {right}" for left, right in self.equations)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_latex_(self) -> str:
        symbols = {s for pair in self.equations for side in pair for s in sp.sympify(side).free_symbols}
        names = {s: latex_of(s) for s in (*self.hyper, *symbols)}
        rows = [rf"{names[s]} &= {sp.latex(v)}" for s, v in self.hyper.items()]
        rows += [
            rf"{sp.latex(left, symbol_names=names)} &\leftarrow {sp.latex(right, symbol_names=names)}"
            for left, right in self.equations
        ]
        return inline_block(rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Equations):
            return NotImplemented
        return (self.equations, self.state, self.hyper) == (other.equations, other.state, other.hyper)

    def __hash__(self) -> int:
        return hash(self.equations)

    # -- checking ----------------------------------------------------------------------------------------

    def _error(self, text: str) -> ArgumentError:
        return ArgumentError(f"{self.name}: {text}")

    def _own(self, symbol: Any, option: str, taken: Mapping[sp.Symbol, Any]) -> sp.Symbol:
        """The symbol of that name without assumptions."""
        name = symbol if isinstance(symbol, str) else getattr(symbol, "name", None)
        if not isinstance(name, str) or getattr(symbol, "is_Matrix", False):
            raise self._error(f"{option} holds {symbol!r}, expected symbols (of one entry, not matrices)")
        own = sp.Symbol(name)
        if own in GIVEN:
            raise self._error(f"{option} names {own}, which stands for {GIVEN[own]}; choose another name")
        if own in taken:
            raise self._error(f"{own} is declared twice; a name is either a state or a hyper-parameter")
        return own

    def _equation(self, left: Any, right: Any) -> Pair:
        name = left if isinstance(left, str) else getattr(left, "name", None)
        if not isinstance(name, str) or getattr(left, "is_Matrix", False):
            raise self._error(f"the left side of an equation is a symbol (of one entry), found {left!r:.60}")
        return sp.Symbol(name), right

    def _hyper_value(self, symbol: sp.Symbol, value: Any) -> sp.Expr:
        return self._expression(value, f"the hyper-parameter {symbol}", {step})

    def _expression(self, value: Any, where: str, known: set[Any]) -> sp.Expr:
        """The value over symbols of our own; raises `ArgumentError` that names what is unknown."""
        try:
            expression = sp.sympify(value, strict=True)
        except (sp.SympifyError, TypeError, ValueError):
            expression = None
        if isinstance(value, (bool, str)) or not isinstance(expression, sp.Expr):
            raise self._error(
                f"{where} is {value!r:.80}, expected a number or a sympy expression of {_listed(known)}"
            )
        found = symbols_in(expression)
        matrices = [s for s in found if getattr(s, "is_Matrix", False)]
        if matrices:
            raise self._error(
                f"{where} uses the matrix {matrices[0]}; the equations of an optimizer are for one entry of "
                f"a parameter: write them with scalar symbols"
            )
        own = {s: sp.Symbol(s.name) for s in found}
        unknown = sorted({s for s in own.values() if s not in known}, key=str)
        if unknown:
            raise self._error(
                f"{where} uses {_listed(unknown)}, which {'is' if len(unknown) == 1 else 'are'} unknown; "
                f"known there: {_listed(known)}; declare it in state= or hyper=, or define it by an "
                f"equation before"
            )
        changed = {s: o for s, o in own.items() if s != o}
        result = expression.xreplace(changed) if changed else expression
        try:  # what has no meaning or no native form shows itself here, and not at the first step
            node = Intake(NodeTable(), {}).node(result)
        except (UnsupportedExpressionError, ShapeError) as error:
            raise type(error)(f"{self.name}: {where}: {error}") from None
        if node.kind == "boolean" or node.shape:
            raise self._error(f"{where} is no number: {result}")
        return result

    def _check_rate(self) -> None:
        """The learning rate is positive, or a schedule that begins at zero and becomes positive."""
        for symbol, value in self.hyper.items():
            free = symbols_in(value)
            if not free and not math.isfinite(_number(value, 1)):
                raise self._error(f"{symbol} is {_shown(value)}, expected a finite number")
            if symbol.name != "lr":
                continue
            first = _number(value, 1)
            if not free and not first > 0:
                raise self._error(f"the learning rate lr is {_shown(value)}, expected a positive number")
            rates = [_number(value, k) for k in LOOKED_AT]
            if not (first >= 0 and math.isfinite(first)) or not any(r > 0 for r in rates):
                raise self._error(
                    f"the learning rate lr = {value} is {first:g} at step 1, expected a positive number (or "
                    f"a schedule that starts from zero and becomes positive)"
                )


class Optimizer(Equations):
    """An optimizer: update equations that assign to `p`.

    >>> lr = sp.Symbol("lr")
    >>> print(Optimizer([(p, p - lr * g)], hyper={lr: 0.1}, name="descent"))
    descent: lr = 0.1
    p <- -g*lr + p
    """

    def __init__(
        self,
        equations: Any,
        *,
        state: Iterable[Any] | Mapping[Any, Any] = (),
        hyper: Mapping[Any, Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(equations, state=state, hyper=hyper, name=name)
        if p not in {left for left, _ in self.equations}:
            raise self._error(
                "no equation assigns to the parameter p; add one such as (optim.p, optim.p - lr*optim.g)"
            )

    def replace(self, **values: Any) -> Optimizer:
        """The same optimizer with other hyper-parameters: `optimizer.replace(lr=1e-4)`."""
        known = {s.name for s in self.hyper}
        for name in values:
            if name not in known:
                raise self._error(f"there is no hyper-parameter {name}; it has {_listed(self.hyper)}")
        hyper = {s: values.get(s.name, v) for s, v in self.hyper.items()}
        return Optimizer(self.equations, state=self.state, hyper=hyper, name=self.name)


class Transformation(Equations):
    """Equations that change the gradient `g` before an optimizer uses it; see `chain`."""

    def __init__(
        self,
        equations: Any,
        *,
        state: Iterable[Any] | Mapping[Any, Any] = (),
        hyper: Mapping[Any, Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(equations, state=state, hyper=hyper, name=name)
        assigned = {left for left, _ in self.equations}
        if g not in assigned or p in assigned:
            raise self._error("a transformation assigns to the gradient g, and not to the parameter p")


def chain(*parts: Equations) -> Optimizer:
    """Transformations of the gradient, in order, then an optimizer: one optimizer with all equations.

    A name that two parts have gets a number in the later one. Raises `ArgumentError` where the last part is
    no optimizer, or another one is.

    >>> from symprop import optim
    >>> print(chain(optim.clip_value(0.5), optim.SGD(lr=0.1)))
    clip_value, SGD: clip = 0.5, lr = 0.1
    g <- Min(clip, Max(-clip, g))
    p <- -g*lr + p
    """
    kinds = [isinstance(part, Optimizer) for part in parts]
    if not parts or not kinds[-1] or any(kinds[:-1]) or not all(isinstance(x, Equations) for x in parts):
        raise ArgumentError(
            "chain takes transformations of the gradient (clip_norm, clip_value, l1, l2, Transformation) and "
            "then one optimizer, found " + (", ".join(type(x).__name__ for x in parts) or "nothing")
        )
    equations: list[Pair] = []
    state: dict[sp.Symbol, sp.Expr] = {}
    hyper: dict[sp.Symbol, sp.Expr] = {}
    taken: set[sp.Symbol] = set(GIVEN)
    for part in parts:
        names = {left for left, _ in part.equations} | set(part.state) | set(part.hyper)
        new: dict[Any, Any] = {}
        for symbol in sorted(names - set(GIVEN), key=str):
            fresh, k = symbol, 1
            while fresh in taken:
                k += 1
                fresh = sp.Symbol(f"{symbol.name}_{k}")
            new[symbol] = fresh
        taken |= set(new.values())
        equations += [(new.get(left, left), right.xreplace(new)) for left, right in part.equations]
        state |= {new[s]: start.xreplace(new) for s, start in part.state.items()}
        hyper |= {new[s]: value for s, value in part.hyper.items()}
    return Optimizer(equations, state=state, hyper=hyper, name=", ".join(x.name for x in parts))


# -- reading what is given ---------------------------------------------------------------------------------


def symbols_in(expression: sp.Basic) -> set[Any]:
    """The symbols of an expression, matrices among them."""
    found: set[Any] = set()
    seen: set[int] = set()
    todo: list[Any] = [expression]
    while todo:
        current = todo.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if current.is_Symbol or isinstance(current, sp.MatrixSymbol):
            found.add(current)
        else:
            todo.extend(current.args)
    return found


def _several(state: Iterable[Any]) -> Iterable[Any]:
    return [state] if isinstance(state, (str, sp.Basic)) else state


def _pairs(equations: Any, name: str) -> Sequence[tuple[Any, Any]]:
    listed = list(equations.items()) if isinstance(equations, Mapping) else list(equations)
    pairs = []
    for k, equation in enumerate(listed, 1):
        sides = equation.args if isinstance(equation, sp.Eq) else equation
        if not isinstance(sides, (tuple, list, sp.Tuple)) or len(sides) != 2:
            raise ArgumentError(
                f"{name}: equation {k} is {equation!r:.80}, expected a pair (symbol, expression)"
            )
        pairs.append((sides[0], sides[1]))
    return pairs


def _number(value: sp.Expr, at: int) -> float:
    """The value of an expression of the step number, NaN where there is no real one."""
    try:
        return float(value.subs(step, at)) if symbols_in(value) else float(value)
    except TypeError:
        return math.nan


def _shown(value: sp.Expr) -> str:
    return repr(float(value)).removesuffix(".0") if isinstance(value, sp.Float) else str(value)


def _listed(symbols: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, symbols))) or "nothing"


def is_number(value: Any) -> bool:
    """True for a plain number, False for an expression of the step."""
    return isinstance(value, numbers.Real) or (isinstance(value, sp.Expr) and bool(value.is_number))
