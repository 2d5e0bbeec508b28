"""Where digits get lost: the first node of the compiled program at which a result goes wrong, by name.

The program is evaluated with rounding errors made at random (as in `rounding`) and at many digits. A node
loses digits where its relative error is far larger than that of what it is computed from; it is to blame for
the digits missing in a result if they come back once that node is given its true value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.declare import Graph
from symprop.differentiate import reverse
from symprop.errors import UnsupportedExpressionError
from symprop.graph import OPERATIONS, Node, NodeTable, topological
from symprop.verify.exact import Definitions, Exact
from symprop.verify.naming import entry_name, node_name
from symprop.verify.problem import Point, Problem
from symprop.verify.report import Row
from symprop.verify.rounding import RUNS, noisy_values

__all__ = ["Named", "Simulation", "lost_digits", "named_values", "simulation_cost"]

DIGITS = 100  # of the evaluation that is taken as true
_JUMP = 1.0  # decimal digits that a node must lose by itself to be looked at
_BLAMED = 0.5  # of the lost digits must come back with the true value of the node
_LOOKED_AT = 40  # nodes that are tried, within the budget
_NOISY = 40  # a node of a noisy evaluation, in additions of 50 digits
_SUMS = frozenset(["add", "sub", "fma", "sum", "matmul", "trace"])
_SAME = mp.mpf(10) ** -60  # relative difference below which a value has the name of another
_NEAR = mp.mpf(10) ** -3  # a number that near to a short one is written by its distance from it

Named = Sequence[tuple[str, Any]]  # values at the point with the names that they have in the user's graph


@dataclass(frozen=True)
class _Loss:
    """A node that loses digits by itself, at one of its entries."""

    node: Node
    flat: int
    lost: float


class Simulation:
    """A program at one point, with many digits and with random errors of rounding.

    `program` is the graph that is compiled, `inputs` holds values by the name of the input; values in `known`
    lend their names to nodes of the program. `budget` bounds the nodes that are tried.
    """

    def __init__(
        self,
        program: Graph,
        inputs: Mapping[str, Any],
        known: Named,
        dtype: str,
        seed: int,
        budget: float = math.inf,
    ) -> None:
        self.table = NodeTable()
        made = _one_sample(program, self.table)
        self.outputs = [made[program.nodes[s].serial] for s in program.outputs]
        self.dtype, self.seed = dtype, seed
        self.definitions = Definitions(self.table)
        values = {n.serial: inputs[_name(n)] for n in made.values() if n.op == "symbol"}
        self.inputs = {k: np.reshape(v, _shape(self.table.nodes[k])) for k, v in values.items()}
        self.nodes = [n for n in topological(self.outputs) if n.kind == "real"]
        exact = Exact(self.definitions, self.inputs, DIGITS)
        with mp.workdps(DIGITS), np.errstate(all="ignore"):
            self.exact = {n.serial: v for n, v in zip(self.nodes, exact(*self.nodes), strict=True)}
        self.names = self._named(program, made, known)
        self._tried = int(min(_LOOKED_AT, budget / simulation_cost(self.nodes)))
        self._runs: list[dict[int, Any]] | None = None
        self._memo: dict[int, Any] = {}

    def explain(self, output: int, flat: int) -> str:
        """Where the digits of an entry of an output are lost first; empty where none are lost."""
        root = self.outputs[output]
        with np.errstate(all="ignore"), mp.workdps(DIGITS):
            error = self._lost(root, flat, {})
            order = [n for n in topological([root]) if n.kind == "real"]
            if math.isinf(error):
                return self._overflow(order)
            if error < _JUMP:
                return ""
            losses = [loss for loss in map(self._own_loss, order) if loss.lost >= _JUMP]
            for loss in losses[: self._tried]:
                given = {loss.node.serial: self.exact[loss.node.serial]}
                if self._lost(root, flat, given) <= (1 - _BLAMED) * error:
                    return self._text(loss)
            if losses:
                return self._text(max(losses, key=lambda loss: loss.lost))
            return ""

    # -- errors ----------------------------------------------------------------------------------------------

    @property
    def runs(self) -> list[dict[int, Any]]:
        """The values of all nodes in some noisy evaluations."""
        if self._runs is None:
            inputs = self._floats(self.inputs)
            found = noisy_values(self.definitions, self.nodes, inputs, self.dtype, (self.seed, 3))
            self._runs = [
                {n.serial: values[run] for n, values in zip(self.nodes, found, strict=True)}
                for run in range(RUNS)
            ]
        return self._runs

    def _floats(self, values: Mapping[int, Any]) -> dict[int, Any]:
        return {
            k: np.asarray(v) if np.asarray(v).dtype.kind in "iu" else np.asarray(v, float)
            for k, v in values.items()
        }

    def _digits(self, node: Node, runs: Iterable[Any]) -> Any:
        """Decimal digits that are missing in each entry, beyond the rounding of the result itself."""
        exact = np.broadcast_to(self.exact[node.serial], _shape(node))
        true = np.array(np.frompyfunc(float, 1, 1)(exact), float)
        known = np.array(np.frompyfunc(mp.isfinite, 1, 1)(exact), bool)
        worst = np.zeros(exact.shape)
        eps = float(np.finfo(self.dtype).eps)
        for run in runs:
            error = np.abs(run - true) / (np.abs(true) * eps)
            missing = np.where(true == 0, 0, np.log10(np.maximum(error, 1)))
            missing = np.where(known & ~np.isfinite(run), np.inf, np.where(known, missing, 0))
            worst = np.fmax(worst, missing)
        return worst

    def _lost(self, root: Node, flat: int, given: Mapping[int, Any]) -> float:
        """The digits missing in an entry of an output where some nodes have given values."""
        if not given:
            return float(self._cached(root).flat[flat])
        inputs = self._floats({**self.inputs, **given})
        (found,) = noisy_values(self.definitions, [root], inputs, self.dtype, (self.seed, 3))
        return float(self._digits(root, found).flat[flat])

    def _own_loss(self, node: Node) -> _Loss:
        """The digits that are missing in a node and not in its operands, at the worst entry."""
        if not node.args or node.serial in self.inputs:
            return _Loss(node, 0, 0.0)
        missing = self._cached(node)
        before = np.zeros(missing.shape)
        for arg in node.args:
            if arg.kind != "real":
                continue
            there = self._cached(arg)
            same = OPERATIONS[node.op].elementwise and there.shape in (missing.shape, ())
            before = np.maximum(before, there if same else np.max(there, initial=0.0))
        own = np.where(np.isfinite(missing), missing - np.where(np.isfinite(before), before, 0), 0)
        if not own.size:
            return _Loss(node, 0, 0.0)
        flat = int(np.argmax(own))
        return _Loss(node, flat, float(own.flat[flat]))

    def _cached(self, node: Node) -> Any:
        if node.serial not in self._memo:
            self._memo[node.serial] = self._digits(node, [run[node.serial] for run in self.runs])
        return self._memo[node.serial]

    # -- words -----------------------------------------------------------------------------------------------

    def _named(self, program: Graph, made: Mapping[int, Node], known: Named) -> dict[int, str]:
        """Names of nodes: those of the program, and before them those of equal values in the user's graph."""
        names: dict[int, str] = {}
        taken: set[str] = set()
        by_value: dict[tuple[Any, ...], list[tuple[str, Any]]] = {}
        for name, value in known:
            by_value.setdefault(_near(value), []).append((name, value))
        for node in self.nodes:
            if node.op in ("symbol", "constant", "broadcast", "reshape", "transpose"):
                continue
            value = self.exact[node.serial]
            for name, other in by_value.get(_near(value), []):
                if name not in taken and _equal(value, other):
                    names[node.serial] = name
                    taken.add(name)
                    break
        for symbol, node in program.nodes.items():
            here = made[node.serial]
            name = str(getattr(symbol, "name", symbol))
            if name not in taken or here.op == "symbol":
                names.setdefault(here.serial, name)
        return names

    def _equation(self, node: Node) -> str:
        """The named equation in which a node stands."""
        users: dict[int, list[Node]] = {}
        order = topological(self.outputs)
        for other in order:
            for arg in other.args:
                users.setdefault(arg.serial, []).append(other)
        owner, todo, seen = None, [node], {node.serial}
        while todo and owner is None:
            current = todo.pop(0)
            if current.serial in self.names and current.op != "symbol":
                owner = current
            for user in users.get(current.serial, []):
                if user.serial not in seen:
                    seen.add(user.serial)
                    todo.append(user)
        if owner is None:
            return node_name(node, self.names)
        below = [
            (_symbol(self.names[n.serial], n), n)
            for n in topological([owner])
            if n.serial in self.names and n.op != "symbol" and n.kind == "real"
        ]
        lines = str(Graph.from_nodes(self.table, below)).splitlines()
        line = lines[-1] if lines else ""
        return (
            line
            if len(line) <= 120
            else f"{self.names[owner.serial]} = ... {node_name(node, self.names)} ..."
        )

    def _text(self, loss: _Loss) -> str:
        node, count = loss.node, max(1, math.floor(loss.lost))
        digits = f"{count} digit{'s' * (count != 1)} lost"
        cause = "to cancellation" if node.op in _SUMS else f"in {node_name(node, self.names)}"
        place = entry_name(_shape(node), loss.flat)
        values = self._values(node, loss.flat)
        at = f" at {place}" if place else ""
        return f"`{self._equation(node)}`{at}: {digits} {cause}{f', {values}' * bool(values)}"

    def _values(self, node: Node, flat: int) -> str:
        """The values of the named operands, at the entry where the digits are lost."""
        found: dict[str, str] = {}
        todo, shape = list(node.args), _shape(node)
        while todo and len(found) < 3:
            arg = todo.pop(0)
            if arg.op == "constant" or arg.kind != "real":
                continue
            if arg.serial in self.names:
                value = self.exact[arg.serial]
                if _shape(arg) not in (shape, ()):
                    if value.size > 1:
                        continue
                    value = value.reshape(())
                number = value[()] if not np.ndim(value) else np.asarray(value).flat[flat]
                found.setdefault(self.names[arg.serial], _written(number))
            elif _shape(arg) in (shape, ()) or arg.op in ("broadcast", "reshape"):
                todo.extend(arg.args)
        return ", ".join(f"{name} is {value}" for name, value in found.items())

    def _overflow(self, order: Sequence[Node]) -> str:
        """The first node without a finite value where the true one is finite."""
        for node in order:
            exact = np.broadcast_to(self.exact[node.serial], _shape(node))
            for run in self.runs:
                for flat, (value, true) in enumerate(zip(run[node.serial].flat, exact.flat, strict=True)):
                    if not np.isfinite(value) and mp.isfinite(true):
                        place = entry_name(_shape(node), flat)
                        at, values = f" at {place}" if place else "", self._values(node, flat)
                        large = abs(true) > mp.mpf(float(np.finfo(self.dtype).max))
                        what = f"overflows, its value is {mp.nstr(true, 3)}" if large else "is not finite"
                        return f"`{self._equation(node)}`{at}: {what}{f', {values}' * bool(values)}"
        return ""


def simulation_cost(nodes: Sequence[Node]) -> float:
    """What the noisy evaluations of these nodes cost, in additions of 50 digits."""
    return sum(_NOISY + math.prod(_shape(node)) * RUNS / 10 for node in nodes)


def lost_digits(row: Row) -> float:
    """The decimal digits that a compiled result lacks; infinite where it is no number."""
    if not mp.isfinite(row.error):
        return math.inf
    if row.unit != "ULP":
        return 0.0
    return float(mp.log10(row.error)) if row.error > 1 else 0.0


def named_values(problem: Problem, point: Point) -> list[tuple[str, Any]]:
    """The values at a point of the named nodes of the user's graph, and of their adjoints as `d_` and
    name.
    """
    table = problem.table
    named = [(name, table.nodes[serial]) for serial, name in problem.names.items()]
    nodes = [node for _, node in named if node.kind == "real" and node is not problem.target]
    try:
        found = reverse.adjoints(table, problem.target, nodes) if problem.gradients else {}
    except UnsupportedExpressionError:
        found = {}
    listed = [(name, node) for name, node in named if node.kind == "real"]
    for name, node in named:
        adjoint = found.get(node.serial)
        if adjoint is not None:
            listed.append((f"d_{name}", adjoint))
    exact = point.trusted.at(DIGITS)
    return [(name, exact(node)[0]) for name, node in listed]


def _one_sample(program: Graph, table: NodeTable) -> dict[int, Node]:
    """The nodes of a program in a table of their own, for a batch of one sample."""
    made: dict[int, Node] = {}
    for node in topological(program.nodes.values()):
        if node.op == "batch_sum":
            made[node.serial] = made[node.args[0].serial]
        elif node.op == "batch_size":
            made[node.serial] = table.constant(1)
        else:
            made[node.serial] = table.make(node.op, [made[a.serial] for a in node.args], node.attrs)
    return made


def _near(value: Any) -> tuple[Any, ...]:
    """What values that are equal to many digits have in common: the shape, and the first entry as a float."""
    first = next(iter(np.asarray(value, object).flat), None)
    return (*np.shape(value), None if first is None else float(first))


def _equal(value: Any, other: Any) -> bool:
    """Whether two arrays are equal to many digits, and more than zeros and ones."""
    telling = False
    for a, b in zip(np.asarray(value, object).flat, np.asarray(other, object).flat, strict=True):
        if not mp.isfinite(a) or not mp.isfinite(b) or abs(a - b) > _SAME * abs(b):
            return False
        telling = telling or (a != 0 and abs(a) != 1)
    return telling


def _written(value: Any) -> str:
    """A number in few digits; one that is next to a short number by its distance from that."""
    nearest = mp.nint(2 * value) / 2
    rest = value - nearest
    if nearest != 0 and rest != 0 and abs(rest) < _NEAR:
        short = mp.nstr(nearest, 5).removesuffix(".0")
        return f"{short} {'-' if rest < 0 else '+'} {mp.nstr(abs(rest), 1).replace('.0e', 'e')}"
    return str(mp.nstr(value, 4))


def _shape(node: Node) -> tuple[int, ...]:
    return tuple(int(d) for d in node.shape)


def _name(node: Node) -> str:
    return str(getattr(node.attrs[0], "name", node.attrs[0]))


def _symbol(name: str, node: Node) -> sp.Basic:
    return sp.MatrixSymbol(name, *node.shape) if len(node.shape) == 2 else sp.Symbol(name)
