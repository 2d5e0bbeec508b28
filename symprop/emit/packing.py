"""Elementary functions of independent scalars, computed together in the lanes of one vector.

A single sample leaves the lanes empty. Here a call of an elementary function is put off until its result is
used; then all calls of that function that wait are written as one vector. The bits are those of a scalar
call.
"""

from __future__ import annotations

from symprop.emit.builder import Value, vector
from symprop.emit.math import ELEMENTARY
from symprop.emit.table import Lanes

__all__ = ["Packing"]


class Packing:
    """The calls that wait, by function; `lanes` emits scalars."""

    def __init__(self, lanes: Lanes) -> None:
        self.b = lanes.b
        self.scalar = lanes
        self.width = lanes.b.target.lanes(lanes.element)
        self.wide = {
            count: Lanes(lanes.b, lanes.element, count, lanes.outlined) for count in _powers(self.width)
        }
        self._waiting: dict[str, list[tuple[Value, list[Value]]]] = {}
        self._function: dict[str, str] = {}  # name of a result that is not written yet -> its function

    def operation(self, op: str, attrs: object, kind: str, args: list[Value]) -> Value:
        """One operation; an elementary function gives a result that is written when it is used."""
        for arg in args:
            self.need(arg)
        if op not in ELEMENTARY or op == "sqrt":
            return self.scalar.operation(op, attrs, kind, args)
        result = self.b.fresh(self.scalar.real)
        self._waiting.setdefault(op, []).append((result, [self.scalar.to_real(a) for a in args]))
        self._function[result.name] = op
        return result

    def need(self, value: Value) -> Value:
        """The value, with its code written."""
        op = self._function.get(value.name)
        if op is not None:
            self._write(op)
        return value

    def finish(self) -> None:
        """Write everything that waits."""
        for op in list(self._waiting):
            self._write(op)

    def _write(self, op: str) -> None:
        waiting = self._waiting.pop(op)
        while waiting:
            count = min(len(waiting), self.width)
            group, waiting = waiting[:count], waiting[count:]
            for result, _ in group:
                del self._function[result.name]
            if count == 1:
                ((result, args),) = group
                value = self.scalar.operation(op, (), "real", args)
                self._name(result, value)
                continue
            lanes = self.wide[1 << (count - 1).bit_length()]
            columns = zip(*[args for _, args in group], strict=True)
            value = lanes.operation(op, (), "real", [self._gather(lanes, column) for column in columns])
            for lane, (result, _) in enumerate(group):
                self.b.emit(f"{result} = extractelement {value.type} {value}, i64 {lane}")

    def _gather(self, lanes: Lanes, items: tuple[Value, ...]) -> Value:
        """The scalars in the lanes; free lanes repeat the first, so that no lane computes nonsense slowly."""
        value = self.b.splat(items[0], lanes.lanes)
        for lane, item in enumerate(items[1:], 1):
            value = self.b.insert(value, item, lane)
        return value

    def _name(self, result: Value, value: Value) -> None:
        """Give a value the name that its result was promised."""
        integer = vector(result.type.integer.element)
        bits = self.b.bitcast(value, integer)
        self.b.emit(f"{result} = bitcast {integer} {bits} to {result.type}")


def _powers(width: int) -> list[int]:
    """2, 4 ... up to the width."""
    return [1 << k for k in range(1, width.bit_length())]
