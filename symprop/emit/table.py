"""How each operation of the lowered program becomes native code: one table from names to emitting
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from symprop.emit.builder import I64, Builder, Type, Value, vector
from symprop.emit.math import CALLS, FAST
from symprop.emit.math.common import ceiling, floor
from symprop.emit.math.doubledouble import two_product, two_sum
from symprop.errors import UnsupportedExpressionError
from symprop.schedule.ir import Buffer

__all__ = ["NATIVE", "Lanes", "Pointers", "number"]


KEPT_POINTERS = 16  # buffers up to which every address stays in a register


@lru_cache(maxsize=4096)
def number(value: sp.Expr) -> float:
    """The double nearest to an exact constant."""
    if isinstance(value, (sp.Integer, sp.Rational)):
        try:
            return int(value.p) / int(value.q)  # correctly rounded by Python
        except OverflowError:
            return float("inf") if value.p > 0 else float("-inf")
    if isinstance(value, sp.Float) and value._prec == 53:
        return float(value)
    result = sp.N(value, 40)
    if result is sp.zoo:  # 1/n of an empty matrix
        return float("inf")
    if not result.is_number or (result.is_real is False and result is not sp.nan and not result.is_infinite):
        raise UnsupportedExpressionError(
            f"{value} is no real number; symprop computes with real numbers only"
        )
    return float(result)


class Lanes:
    """Emits steps for vectors of `lanes` values: types, constants, conversions, and the operations of the
    table.

    `outlined` are operations that are called instead of written out, where a program has very many of them.
    """

    def __init__(
        self, builder: Builder, element: str, lanes: int, outlined: frozenset[str] = frozenset()
    ) -> None:
        self.b = builder
        self.element = element
        self.lanes = lanes
        self.real: Type = vector(element, lanes)
        self.integer: Type = vector("i64", lanes)
        self.boolean: Type = vector("i1", lanes)
        self.outlined = outlined

    def type_of(self, kind: str) -> Type:
        """The type of a value of that kind."""
        return {"real": self.real, "integer": self.integer, "boolean": self.boolean}[kind]

    def constant(self, value: Any, kind: str = "real") -> Value:
        """A constant in every lane."""
        if kind == "integer":
            return self.b.const(int(value), self.integer)
        exact = number(sp.sympify(value))
        if self.element == "float":
            with np.errstate(over="ignore"):
                exact = float(np.float32(exact))
        return self.b.const(exact, self.real)

    def to_real(self, value: Value) -> Value:
        """An integer or boolean as a number."""
        if value.type.is_float:
            return value
        return self.b.convert("uitofp" if value.type.element == "i1" else "sitofp", value, self.real)

    def operation(self, op: str, attrs: Any, kind: str, args: Sequence[Value]) -> Value:
        """One operation of the lowered program."""
        if op == "select":
            return self._select(args)
        if op in _INTEGER and all(a.type.element == "i64" for a in args) and kind != "real":
            return _INTEGER[op](self.b, *args)
        if op in _LOGIC:
            return _LOGIC[op](self.b, *args)
        return self._real(op, [self.to_real(a) for a in args])

    def _select(self, args: Sequence[Value]) -> Value:
        condition, a, b = args
        if a.type.element != b.type.element:
            a, b = self.to_real(a), self.to_real(b)
        if condition.type.element != "i1":
            condition = self.b.fcmp("une", self.to_real(condition), self.b.const(0.0, self.real))
        return self.b.select(condition, a, b)

    def _real(self, op: str, args: list[Value]) -> Value:
        emit = FAST.get(op) if self.b.module.fast else None
        emit = emit or NATIVE.get(op)
        if emit is None:
            raise UnsupportedExpressionError(
                f"{op} has no native code yet; write it with supported functions"
            )
        if op in self.outlined and op in CALLS:
            name = f"symprop.{op}.{len(args)}.{self.real.suffix}"
            kinds = [a.type for a in args]
            self.b.module.function(name, self.real, kinds, lambda b, values: emit(b, *values))
            return self.b.call(name, self.real, args)
        return emit(self.b, *args)


Emit = Callable[..., Value]


def _maximum(b: Builder, x: Value, y: Value) -> Value:
    """A NaN in either argument is the result, as in NumPy."""
    larger = b.select(b.fcmp("olt", x, y), y, x)
    return larger if _is_constant(y) else b.select(b.fcmp("uno", y, y), y, larger)


def _minimum(b: Builder, x: Value, y: Value) -> Value:
    smaller = b.select(b.fcmp("ogt", x, y), y, x)
    return smaller if _is_constant(y) else b.select(b.fcmp("uno", y, y), y, smaller)


def _sign(b: Builder, x: Value) -> Value:
    """-1, 0, 1; NaN stays."""
    zero = b.const(0.0, x.type)
    one = b.copysign(b.const(1.0, x.type), x)
    return b.select(b.fcmp("une", b.fabs(x), zero), b.select(b.fcmp("uno", x, x), x, one), x)


def _is_constant(value: Value) -> bool:
    return not value.name.startswith("%")


def _compare(relation: str) -> Emit:
    return lambda b, x, y: b.fcmp(relation, x, y)


def _compare_integers(relation: str) -> Emit:
    return lambda b, x, y: b.icmp(relation, x, y)


_LOGIC: dict[str, Emit] = {
    "and": lambda b, x, y: b.and_(x, y),
    "or": lambda b, x, y: b.or_(x, y),
    "not": lambda b, x: b.not_(x),
}

_INTEGER: dict[str, Emit] = {
    "add": lambda b, x, y: b.add(x, y),
    "sub": lambda b, x, y: b.sub(x, y),
    "mul": lambda b, x, y: b.mul(x, y),
    "neg": lambda b, x: b.sub(b.const(0, x.type), x),
    "fma": lambda b, x, y, z: b.add(b.mul(x, y), z),
    "less": _compare_integers("slt"),
    "less_equal": _compare_integers("sle"),
    "equal": _compare_integers("eq"),
    "not_equal": _compare_integers("ne"),
}

NATIVE: dict[str, Emit] = {
    "add": lambda b, x, y: b.fadd(x, y),
    "sub": lambda b, x, y: b.fsub(x, y),
    "mul": lambda b, x, y: b.fmul(x, y),
    "div": lambda b, x, y: b.fdiv(x, y),
    "neg": lambda b, x: b.fneg(x),
    "real": lambda b, x: x,  # integers have been converted
    "fma": lambda b, x, y, z: b.fma(x, y, z),
    "product_rest": lambda b, x, y: two_product(b, x, y)[1],
    "sum_rest": lambda b, x, y: two_sum(b, x, y)[1],
    "sqrt": lambda b, x: b.sqrt(x),
    "abs": lambda b, x: b.fabs(x),
    "floor": floor,
    "ceiling": ceiling,
    "sign": _sign,
    "maximum": _maximum,
    "minimum": _minimum,
    "less": _compare("olt"),
    "less_equal": _compare("ole"),
    "equal": _compare("oeq"),
    "not_equal": _compare("une"),
    **CALLS,
}


class Pointers(dict[Buffer, Value]):
    """Addresses of buffers from an array of pointers: a few are read once, at the start; of many each at
    every use, since a program with a thousand arguments would keep a thousand registers waiting."""

    def __init__(self, b: Builder, array: Value, buffers: Sequence[Buffer]) -> None:
        super().__init__()
        self._b = b
        self._array = array
        if len(buffers) <= KEPT_POINTERS:
            self.update({buffer: self[buffer] for buffer in buffers})

    def __missing__(self, buffer: Buffer) -> Value:
        return address_of(self._b, self._array, buffer.number)


def address_of(b: Builder, array: Value, number: int | Value) -> Value:
    """The pointer at place `number` of an array of pointers."""
    slot = b.element(array, number, I64)
    return b.load(slot, vector("ptr"), invariant=True)
