"""`verify`: derived gradients and compiled values against computations that share nothing with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.declare import Graph, Intake, as_graph
from symprop.differentiate import reverse
from symprop.errors import ArgumentError, ShapeError, UnsupportedExpressionError
from symprop.functions.structure import is_integer_symbol
from symprop.graph import Node
from symprop.verify.adjoints import adjoint_rows
from symprop.verify.balls import flint
from symprop.verify.certify import Claim, certify
from symprop.verify.compiled import (
    Comparison,
    CompiledFunction,
    Port,
    compare,
    compiled_rows,
    difference_rows_of_compiled,
)
from symprop.verify.differences import difference_rows, joint_checks, plan, run_checks, together
from symprop.verify.digits import Simulation, lost_digits, named_values, simulation_cost
from symprop.verify.exact import LEVELS, Definitions, Trusted
from symprop.verify.modes import direction_symbol, mode_rows
from symprop.verify.points import Values, bound_sizes, in_own_table, name_of, read_values
from symprop.verify.problem import Gradient, Point, Problem, evaluation_cost, shape_of
from symprop.verify.report import Report, Row
from symprop.verify.rules import rule_rows

__all__ = ["verify"]

_POINTS = 2  # samples at which gradients are differenced
_LOOKED_AT = 4  # samples of a sum in which lost digits are looked for
LOST = 1.0  # decimal digits that a result must lack for the node that lost them to be looked for


def verify(
    target: Any,
    at: Mapping[Any, Any],
    wrt: Any = None,
    *,
    function: CompiledFunction | None = None,
    gradients: Mapping[Any, Any] | None = None,
    batch: Sequence[Any] | None = None,
    samples: int = 8,
    budget: float = 5e5,
    seed: int = 0,
    certify: bool = False,
) -> Report:
    """Check the gradients of `target` at a point, and the compiled `function` where there is one.

    `target` is an expression, a list of them, or a `Graph`; `at` maps every input (symbol or name) to its
    value. `wrt` are the inputs to differentiate by (default: every real input outside the batch). A target
    that is no scalar is verified through a random projection of it. `gradients` maps inputs to expressions
    (or numbers) to be checked in place of the derived ones. Inputs in `batch` carry a leading axis of
    samples, of which at most `samples` are looked at (chosen by `seed`; the first and the last are among
    them).

    Rows of the report, one for each gradient and method:

    - `finite differences`: central differences of the forward expression at 50 and more digits, with step
      control and an error estimate; every entry as far as the `budget` goes (in additions of 50 digits, about
      a microsecond each), else random directions and a sample of entries, as the report says; where even an
      entry of each gradient would cost more, all gradients together in random directions and a sample of
      them. `kink`: at a kink, any value between the one-sided slopes passes.
    - `rule`: the derivative rule of each operation against differences of that operation.
    - `forward mode`, `second order`, `symmetry`: reverse against forward mode in random directions.
    - `compiled value`: outputs and gradients of `function` against 50 digits, in ULP.
    - `certified` (with `certify=True`, which needs the extra `certify`): balls that are proved to hold the
      true outputs and gradients; passes where the error of every compiled number is proved to be within the
      bound. `report.certificates` has the proved bound of each entry, or why none was found. Without a
      `function` the row is `enclosed`: the values at 50 digits within their balls.

    Raises ArgumentError and ShapeError for values that do not fit, MissingExtraError without python-flint.

    >>> x, w = sp.symbols("x w")
    >>> report = verify(sp.exp(w * x), at={x: 0.5, w: 2.0})
    >>> report.passed
    True
    >>> verify(sp.exp(w * x), at={x: 0.5, w: 2.0}, gradients={w: w * sp.exp(w * x)}).worst.name
    'd/dw'
    """
    if certify:
        flint()  # an error before any work
    graph = as_graph(target)
    dtype = None if function is None else np.dtype(function.dtype).name
    if batch is None:
        batch = () if function is None else function.batch
    more = () if function is None else function.args
    values, sizes = read_values(graph.inputs, at, more, batch, dtype)
    with np.errstate(all="ignore"), mp.workdps(LEVELS[1]):
        run = _Verification(graph, values, sizes, wrt, function, gradients, samples, budget, seed, certify)
        return run.report


class _Verification:
    """One run: nodes in a table of their own, a problem, and the rows that the methods find."""

    def __init__(
        self,
        graph: Graph,
        values: Values,
        sizes: Mapping[sp.Basic, int],
        wrt: Any,
        function: CompiledFunction | None,
        gradients: Mapping[Any, Any] | None,
        samples: int,
        budget: float,
        seed: int,
        certified: bool,
    ) -> None:
        self.report, self.certified = Report(), certified
        self.values, self.function, self.seed, self.budget = values, function, seed, budget
        self.sized = bound_sizes(list(values.arrays), sizes)
        self.table, made = in_own_table(graph, sizes)
        self.nodes = {s: made[n.serial] for s, n in graph.nodes.items()}
        for declared, symbol in self.sized.items():  # an argument that the target lacks is an input as well
            self.nodes.setdefault(declared, self.table.symbol(symbol))
        self.names = {n.serial: name_of(s) for s, n in reversed(self.nodes.items()) if s not in values.arrays}
        self.definitions = Definitions(self.table)
        self.outputs = [(name_of(s), self.nodes[s]) for s in graph.outputs]
        self.wrt = self._chosen(wrt, gradients)
        self._projected = self.numeric = False
        self._given: dict[int, Any] = {}  # values of symbols of our own
        if values.samples == 0:
            self.report.notes.append("a batch without samples: nothing to compare")
            return
        self.chosen = self._choose(samples)
        self._run(gradients)

    # -- what there is to verify -----------------------------------------------------------------------------

    def _chosen(self, wrt: Any, gradients: Mapping[Any, Any] | None) -> list[sp.Basic]:
        inputs = {name_of(s): s for s in self.values.arrays}
        if wrt is None and self.function is not None:
            wrt = list(self.function.wrt)
        if wrt is None:
            real = [s for s in self.values.arrays if not is_integer_symbol(s)]
            outside = [s for s in real if s not in self.values.batch]
            if gradients is not None:
                keys = [inputs.get(k, k) if isinstance(k, str) else k for k in gradients]
                outside = list(dict.fromkeys([*outside, *keys]))
            return outside
        listed = list(wrt) if isinstance(wrt, (list, tuple, sp.Tuple)) else [wrt]
        result = []
        for one in listed:
            symbol = inputs.get(one) if isinstance(one, str) else one
            if symbol not in self.values.arrays:
                raise ArgumentError(f"wrt names {one}, which is no input; the inputs are {', '.join(inputs)}")
            if is_integer_symbol(symbol):
                raise ArgumentError(f"wrt names {one}, an integer, which has no gradient; leave it out")
            result.append(symbol)
        return result

    def _choose(self, samples: int) -> list[int | None]:
        count = self.values.samples
        if count is None:
            return [None]
        if count <= max(1, samples):
            return list(range(count))
        random = np.random.default_rng([self.seed, 1])
        inner = random.choice(np.arange(1, count - 1), max(0, samples - 2), replace=False)
        chosen: list[int | None] = [0, *sorted(int(k) for k in inner), count - 1]
        return chosen[: max(1, samples)]

    def _point(self, sample: int | None) -> Point:
        inputs = {self.nodes[s].serial: self.values.of_sample(s, sample) for s in self.values.arrays}
        inputs.update(self._given)
        return Point(inputs, Trusted(self.definitions, inputs), sample)

    def _target(self) -> Node:
        """The scalar that is differentiated: the first output, or a random projection of it."""
        name, node = self.outputs[0]
        if node.shape in ((), (1, 1)):
            return self.table.reshape(node, ())
        symbol, weights = direction_symbol(self.table, node, "projection")
        random = np.random.default_rng([self.seed, 2])
        self._projected, self._given[symbol.serial] = True, random.standard_normal(shape_of(symbol))
        self.report.notes.append(
            f"{name} has shape {shape_of(node)}: derivatives are verified through a random projection of it"
        )
        return self.table.sum(self.table.mul(weights, node))

    def _gradients(self, target: Node, given: Mapping[Any, Any] | None) -> list[Gradient]:
        by_name = {name_of(s): s for s in self.values.arrays}
        given = {by_name.get(k, k) if isinstance(k, str) else k: v for k, v in (given or {}).items()}
        for symbol in given:
            if symbol not in self.wrt:
                raise ArgumentError(
                    f"gradients names {symbol}, which is not among {', '.join(map(name_of, self.wrt))}"
                )
        if given and self._projected:
            raise ShapeError(f"gradients are of a scalar target, found shape {self.outputs[0][1].shape}")
        wanted = [self.nodes[s] for s in self.wrt if s not in given]
        found = reverse.adjoints(self.table, target, wanted) if wanted else {}
        result = []
        for symbol in self.wrt:
            wrt = self.nodes[symbol]
            if symbol in given:
                node = self._taken_in(given[symbol], wrt, symbol)
            else:
                derived = found.get(wrt.serial)
                node = self.table.full(0, wrt.shape) if derived is None else derived
            result.append(Gradient(wrt, node, f"d/d{name_of(symbol)}"))
        return result

    def _taken_in(self, expression: Any, wrt: Node, symbol: sp.Basic) -> Node:
        if isinstance(expression, (int, float, list, np.ndarray, np.generic)):
            numbers, made = direction_symbol(self.table, wrt, "gradient")
            self._given[numbers.serial] = np.reshape(np.asarray(expression, float), shape_of(numbers))
            self.numeric = True
            return made
        names = {**self.nodes, **{self.sized[s]: self.nodes[s] for s in self.sized}}
        node = expression if isinstance(expression, Node) else Intake(self.table, names).node(expression)
        if node.shape != wrt.shape:
            if not node.shape or not wrt.shape:
                if math.prod(shape_of(node)) == math.prod(shape_of(wrt)):
                    return self.table.reshape(node, wrt.shape)
                if not node.shape:
                    return self.table.broadcast(node, wrt.shape)
            raise ShapeError(f"the gradient given for {symbol} has shape {node.shape}; expected {wrt.shape}")
        return node

    # -- the methods -----------------------------------------------------------------------------------------

    def _run(self, given: Mapping[Any, Any] | None) -> None:
        rows, notes = self.report.rows, self.report.notes
        gradients: list[Gradient] = []
        target = self._target() if self.wrt else self.outputs[0][1]
        self.names.setdefault(target.serial, self.outputs[0][0])
        if self.wrt:
            try:
                gradients = self._gradients(target, given)
            except UnsupportedExpressionError as error:
                notes.append(f"gradients: not derivable: {error}")
        if not self.wrt and self.values.batch and self.function is not None:
            notes.append("no gradients: all arguments are in the batch, and wrt names none of them")
        points = [self._point(sample) for sample in self.chosen]
        few = [points[0], points[-1]] if len(points) > 1 else points
        problem = Problem(
            self.table, self.definitions, target, gradients, few[:_POINTS], self.names, self.seed, self.budget
        )
        if len(points) < (self.values.samples or 1) or len(few) < len(points):
            notes.append(
                f"of {self.values.samples} samples: gradients differenced at {_listed(few)}, "
                f"compiled values compared at {_listed(points)}"
            )
        plans, checks = [], []
        if gradients:
            plans = plan(problem, [value for value, _ in problem.gradient_values(few[0])])
            checks = run_checks(problem, plans)
            along, joined = together(problem, plans), list[Row]()
            if along is not None:
                plans, more, joined = joint_checks(problem, along, plans)
                checks += more
            found = [*difference_rows(problem, plans, checks), *joined]
            rules = rule_rows(problem)
            if any(not row.passed for row in found) and all(row.passed for row in rules) and not given:
                rules = rule_rows(problem, every=True)
            if any(not row.passed for row in found) and all(row.passed for row in rules) and not given:
                named = [(name_of(s), node) for s, node in self.nodes.items() if s not in self.values.arrays]
                found += adjoint_rows(problem, named)
            rows += [*found, *mode_rows(problem, notes, 1 if self.numeric else 2), *rules]
        if self.function is not None:
            self._compiled(problem, points, plans, checks)
        elif self.certified:
            self._enclosed(problem, points)

    def _compiled(self, problem: Problem, points: list[Point], plans: list[Any], checks: list[Any]) -> None:
        assert self.function is not None
        reduce = self.function.reduce
        gradients = self._compiled_gradients(problem)
        spread = self.values.samples is not None and reduce is None
        ports = [Port(node, name, shape_of(node), spread) for name, node in self.outputs]
        for symbol, gradient in zip(self.wrt, gradients, strict=False):
            per_sample = spread or (self.values.samples is not None and symbol in self.values.batch)
            ports.append(Port(gradient.node, gradient.name, shape_of(gradient.wrt), per_sample))
        everything = self.values.samples
        cost = evaluation_cost(self.definitions, [port.node for port in ports])
        if everything is not None and everything > len(points) and 3 * everything * cost <= self.budget:
            points = [self._point(k) for k in range(everything)]
        elif everything is not None and everything > len(points) and reduce is not None:
            self.report.notes.append(
                f"compiled values: {reduce} over {len(points)} of {everything} samples, called by themselves"
            )
        results = self._call([p.sample for p in points], ports, spread)
        comparison = compare(problem, ports, points, results, reduce, str(np.dtype(self.function.dtype)))
        self._compared(problem, points, comparison)
        if self.certified:
            weight = Fraction(1, max(1, len(points)) if reduce == "mean" else 1)
            self._certify(problem, points, comparison.claims(weight), "certified")
        if gradients and checks:
            few = problem.points
            results = self._call([p.sample for p in few], ports, spread)
            again = compare(problem, ports, few, results, reduce, str(np.dtype(self.function.dtype)))
            self.report.rows += difference_rows_of_compiled(problem, again, plans, checks, reduce)

    def _compared(self, problem: Problem, points: list[Point], comparison: Comparison) -> None:
        """The rows of the compiled results; the worst of them says where its digits were lost."""
        found = compiled_rows(comparison)
        rows = [row for row, _ in found]
        program = getattr(self.function, "program", None)
        if rows and isinstance(program, Graph):
            worst = max(range(len(rows)), key=lambda k: lost_digits(rows[k]))
            cost = simulation_cost([n for n in program.table.nodes if n.kind == "real"])
            if lost_digits(rows[worst]) >= LOST and 2 * cost > self.budget:
                self.report.notes.append(
                    f"where digits are lost: not looked for, a try costs {cost:.3g} ({problem.limit})"
                )
            elif lost_digits(rows[worst]) >= LOST:
                text = self._where_lost(program, problem, points, comparison, *found[worst][1])
                rows[worst] = replace(rows[worst], note=text)
        self.report.rows += rows

    def _where_lost(
        self,
        program: Graph,
        problem: Problem,
        points: list[Point],
        comparison: Comparison,
        port: int,
        flat: int,
    ) -> str:
        """The first node of the program at which an entry of a result loses digits."""
        if len(program.outputs) != len(comparison.ports):
            return ""
        one = comparison.ports[port]
        size = max(1, math.prod(one.shape))
        chosen = [points[flat // size]] if one.per_sample else points[:_LOOKED_AT]
        for point in chosen:
            inputs = {name_of(s): self.values.of_sample(s, point.sample) for s in self.values.arrays}
            named = named_values(problem, point)
            simulation = Simulation(program, inputs, named, comparison.dtype, self.seed, self.budget)
            text = simulation.explain(port, flat % size)
            if text:
                return text if point.sample is None else f"sample {point.sample}, {text}"
        return ""

    def _enclosed(self, problem: Problem, points: list[Point]) -> None:
        """Outputs and gradients at 50 digits, which belong into their balls."""
        listed = [(name, node, shape_of(node)) for name, node in self.outputs]
        listed += [(g.name, g.node, shape_of(g.wrt)) for g in problem.gradients]
        claims = []
        for name, node, shape in listed:
            exact = [point.trusted(node)[0] for point in points]
            values = np.stack([np.broadcast_to(v, shape) for v, _ in exact])
            limits = np.stack([np.broadcast_to(e, shape) for _, e in exact])
            limits = limits + abs(values) * mp.mpf(10) ** -25
            claims.append(Claim(name, node, shape, values, limits, True))
        self._certify(problem, points, claims, "enclosed")

    def _certify(self, problem: Problem, points: list[Point], claims: Sequence[Claim], method: str) -> None:
        dtype = "float64" if self.function is None else str(np.dtype(self.function.dtype))
        rows, found = certify(problem.definitions, claims, points, problem.names, dtype, method)
        self.report.rows += rows
        self.report.certificates |= found

    def _compiled_gradients(self, problem: Problem) -> list[Gradient]:
        """The gradients that are compared with the compiled ones; none where the function has none."""
        if self._projected or not problem.gradients:
            return []
        assert self.function is not None
        return list(problem.gradients) if list(self.function.wrt) == self.wrt else []

    def _call(self, chosen: Sequence[int | None], ports: Sequence[Port], spread: bool) -> list[Any]:
        """The compiled results for some samples, as arrays of the shapes of the ports."""
        function = self.function
        assert function is not None
        rows = None if self.values.samples is None else np.array(chosen, int)
        whole = rows is not None and spread and self._outcome_size(ports) <= 10**7
        args = []
        for symbol in function.args:
            value = np.asarray(self.values.raw[symbol])
            args.append(value if whole or rows is None or symbol not in self.values.batch else value[rows])
        outputs = len(self.outputs)
        if len(ports) > outputs:
            value, found = function.value_and_grad(*args)
            listed = list(found) if isinstance(found, tuple) else [found]
        else:
            value, listed = function(*args), []
        results = [*(value if outputs > 1 else [value]), *listed]
        arrays = []
        for port, result in zip(ports, results, strict=True):
            array = np.asarray(result)
            if rows is not None and port.per_sample:
                array = array.reshape(-1, *port.shape)
                arrays.append(array[rows] if whole else array)
            else:
                arrays.append(array.reshape(port.shape))
        return arrays

    def _outcome_size(self, ports: Sequence[Port]) -> int:
        return (self.values.samples or 0) * sum(math.prod(port.shape) for port in ports)


def _listed(points: Sequence[Point]) -> str:
    numbers = [str(p.sample) for p in points]
    return ", ".join(numbers[:6]) + (f", ... {numbers[-1]}" if len(numbers) > 6 else "")
