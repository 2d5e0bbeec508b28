"""What the roundings of a formula of one value are worth, found with mpmath: the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf, isfinite, sqrt
from typing import Any

import mpmath as mp
import sympy as sp

from symprop.graph import OPERATIONS, Node, topological

__all__ = ["Formula", "precision"]

ARITHMETIC = frozenset({"add", "sub", "mul", "div", "pow", "abs", "neg", "select", "broadcast"})
_MOVED = 40  # binary digits of the relative change of an argument that tells the slope of a function


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Numbers of mpmath have that many binary digits."""
    with mp.workprec(bits):
        yield


class Formula:
    """A node as a function of one symbol; others have the values of `fixed`."""

    def __init__(self, root: Node, fixed: Mapping[sp.Basic, int]) -> None:
        order = topological([root])
        place = {n.serial: k for k, n in enumerate(order)}
        self.order, self.fixed = order, fixed
        self.args = [[place[a.serial] for a in n.args] for n in order]
        self.whole = {  # exponents that are whole numbers
            k: int(n.args[1].attrs[0])  # type: ignore[call-overload]
            for k, n in enumerate(order)
            if n.op == "pow" and n.args[1].op == "constant" and n.args[1].attrs[0].is_Integer  # type: ignore[attr-defined]
        }
        self.constants: dict[int, Any] = {}
        self.precision = 0
        self.done: list[Any] = []

    def __call__(self, at: Any) -> Any:
        """The exact value, at the precision of mpmath."""
        self._evaluate(at, lambda value: value)
        value = self.done[-1]
        return value if isinstance(value, mp.mpf) else mp.mpf(value)

    def rounded(self, at: float) -> float:
        """The value with every operation rounded to a double."""
        with precision(64):
            self._evaluate(mp.mpf(at), lambda value: mp.mpf(float(value)))
            return float(self.done[-1])

    def loss(self, at: Any) -> float:
        """What the roundings of all operations are worth at a number, in units of 2**-53 of the value: the
        root of the sum of their squares, since they are independent of each other; the worst of many points
        are about so many units in the last place. Nothing where the value is no number.
        """
        if not mp.isfinite(self(at)):
            return 0.0
        done = self.done
        # what a relative change of each value is worth to the result, from the result backwards; apart from
        # it, what it is worth in arguments of functions, which other passes may take without their rounding
        worth, apart = [0.0] * len(done), [0.0] * len(done)
        worth[-1] = 1.0
        total = 0.0
        for k in range(len(done) - 1, -1, -1):
            mine, inside, node, args = worth[k], apart[k], self.order[k], self.args[k]
            if not (mine or inside) or node.op == "symbol":
                continue
            value, square = done[k], mine * mine + inside * inside
            if node.op == "constant":
                total += 0.0 if float(value) == value else square
                continue
            total += square * _roundings(node)
            if not isfinite(total) or not value:
                return inf
            is_arithmetic = node.op in ARITHMETIC
            for j, share in _shares(node, value, [done[a] for a in args]):
                if is_arithmetic:
                    worth[args[j]] += mine * share
                    apart[args[j]] += inside * share
                else:
                    apart[args[j]] += (mine + inside) * share
        return sqrt(total) if isfinite(total) else inf

    def _evaluate(self, at: Any, kept: Callable[[Any], Any]) -> None:
        """All values, in the order of the nodes."""
        if self.precision < mp.mp.prec:
            self.precision = mp.mp.prec
            digits = mp.mp.dps + 5
            self.constants = {
                k: sp.N(n.attrs[0], digits)._to_mpmath(mp.mp.prec)
                for k, n in enumerate(self.order)
                if n.op == "constant"
            }
        done: list[Any] = []
        for k, (node, args) in enumerate(zip(self.order, self.args, strict=True)):
            op = node.op
            if op == "symbol":
                fixed = self.fixed.get(node.attrs[0])
                value = at if fixed is None else mp.mpf(fixed)
            elif op == "constant":
                value = +self.constants[k]
            elif op == "mul":  # plain operators: most of the time would go into what functions check
                value = done[args[0]]
                for a in args[1:]:
                    value = value * done[a]
            elif op == "add":
                value = done[args[0]]
                for a in args[1:]:
                    value = value + done[a]
            elif k in self.whole and done[args[0]]:
                value = done[args[0]] ** self.whole[k]
            else:
                function = OPERATIONS[op].exact
                value = mp.nan if function is None else function(node.attrs, *[done[a] for a in args])
            done.append(value if isinstance(value, bool) else kept(value))
        self.done = done


def _roundings(node: Node) -> int:
    """How often the value of a node is rounded."""
    if node.op in ("add", "mul"):
        return len(node.args) - 1
    return 0 if node.op in ("abs", "neg", "sign", "select", "broadcast") or node.kind == "boolean" else 1


def _shares(node: Node, value: Any, args: Sequence[Any]) -> Iterator[tuple[int, float]]:
    """What a relative change of each operand is worth to the value."""
    op = node.op
    if op == "mul":
        yield from ((j, 1.0) for j in range(len(args)))
    elif op in ("add", "sub"):
        yield from ((j, (-1 if op == "sub" and j else 1) * float(a / value)) for j, a in enumerate(args))
    elif op == "select":
        yield (1 if args[0] else 2), 1.0
    elif op in ("abs", "neg", "broadcast"):
        yield 0, 1.0
    elif op == "exp":
        yield 0, float(args[0])
    elif op == "log":
        yield 0, float(1 / value)
    elif node.kind != "boolean":
        function = OPERATIONS[op].exact
        assert function is not None
        for j, a in enumerate(args):
            if isinstance(a, bool) or (op == "pow" and j and node.args[1].op == "constant"):
                continue
            moved = [*args]
            moved[j] = a * (1 + mp.ldexp(1, -_MOVED))
            change = function(node.attrs, *moved) / value - 1
            yield j, float(mp.ldexp(change, _MOVED)) if mp.isfinite(change) else inf
