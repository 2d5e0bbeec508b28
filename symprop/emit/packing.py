"""Elementary functions of independent values, computed together as one wide value.

A single sample leaves the lanes of a vector empty, and one vector of samples leaves the processor waiting for
each step of a long chain of operations. Here a call of an elementary function is put off until its result is
used; then all calls of that function that wait are written side by side: scalars in the lanes of a vector,
vectors one after the other in a wide vector, which the code generator takes apart again, step by step. The
bits are those of single calls. Functions of the same arguments meet in the same wide value, so that they
share what `Builder.once` keeps.
"""

from __future__ import annotations

from symprop.emit.builder import Type, Value, vector
from symprop.emit.math import CALLS
from symprop.emit.math.forms import VARIADIC
from symprop.emit.table import Lanes

__all__ = ["Packing"]

TOGETHER = 4  # vectors side by side: chains of operations that hide each other's latency

_Call = tuple[Value, list[Value]]  # the result that was promised, and the arguments


class Packing:
    """The calls that wait, by function; `lanes` emits the values of which several go together.

    Where there is much code (`apart`), functions of the same arguments follow each other and mix with nothing
    else, so that fewer values are alive at a time; a short program is left to the scheduler of LLVM.
    """

    def __init__(self, lanes: Lanes, apart: bool = False) -> None:
        self.b = lanes.b
        self.single = lanes
        self.apart = apart and lanes.lanes > 1
        together = self.b.target.lanes(lanes.element) * (1 if lanes.lanes == 1 else TOGETHER)
        self.most = max(1, together // lanes.lanes)
        self._wide: dict[int, Lanes] = {1: lanes}
        self._waiting: dict[str, list[_Call]] = {}
        self._function: dict[str, str] = {}  # name of a result that is not written yet -> its function
        self._packed: dict[str, tuple[Value, int]] = {}  # name of an argument -> a wide value, place in it

    def operation(self, op: str, attrs: object, kind: str, args: list[Value]) -> Value:
        """One operation; an elementary function gives a result that is written when it is used."""
        for arg in args:
            self.need(arg)
        if op not in CALLS or op in VARIADIC or op == "sqrt" or self.most == 1:
            return self.single.operation(op, attrs, kind, args)
        result = self.b.fresh(self.single.real)
        self._waiting.setdefault(op, []).append((result, [self.single.to_real(a) for a in args]))
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
        self._write_calls(op, self._waiting.pop(op))

    def _write_calls(self, op: str, waiting: list[_Call]) -> None:
        for result, _ in waiting:
            del self._function[result.name]
        new: list[_Call] = []
        again: dict[str, tuple[Value, list[tuple[Value, int]]]] = {}
        for result, args in waiting:
            if len(args) == 1 and args[0].name in self._packed:
                value, place = self._packed[args[0].name]
                again.setdefault(value.name, (value, []))[1].append((result, place))
            else:
                new.append((result, args))
        for value, results in again.values():
            self._take_apart(op, [value], results)
        while new:
            count = min(len(new), self.most)
            if self.single.lanes > 1:  # whole vectors: 4, 2 or 1 of them
                count = 1 << (count.bit_length() - 1)
            group, new = new[:count], new[count:]
            columns = [list(c) for c in zip(*[args for _, args in group], strict=True)]
            values = [self._together(column) for column in columns]
            if len(columns) == 1 and values[0] is not columns[0][0]:
                self._packed |= {item.name: (values[0], k) for k, item in enumerate(columns[0])}
            self._take_apart(op, values, [(result, k) for k, (result, _) in enumerate(group)])
            if self.apart and len(columns) == 1:
                self._others(columns[0])

    def _others(self, items: list[Value]) -> None:
        """Write what waits of other functions of these arguments, while what they share is at hand."""
        names = {item.name for item in items}
        for op in list(self._waiting):
            calls = self._waiting[op]
            here = [c for c in calls if len(c[1]) == 1 and c[1][0].name in names]
            if here:
                self._waiting[op] = [c for c in calls if c not in here]
                self._write_calls(op, here)

    def _take_apart(self, op: str, args: list[Value], results: list[tuple[Value, int]]) -> None:
        """The function of wide values, whose parts get the names that were promised."""
        b, size = self.b, self.single.lanes
        count = args[0].type.lanes // size
        lanes = self._wide.get(count)
        if lanes is None:
            lanes = Lanes(b, self.single.element, count * size, self.single.outlined)
            self._wide[count] = lanes
        if self.apart:
            b.keep_order()
        value = lanes.operation(op, (), "real", args)
        if self.apart:
            b.keep_order()
        for result, place in results:
            if count == 1:
                integer = vector(result.type.integer.element, size)
                bits = b.bitcast(value, integer)
                b.emit(f"{result} = bitcast {integer} {bits} to {result.type}")
            elif size == 1:
                b.emit(f"{result} = extractelement {value.type} {value}, i64 {place}")
            else:
                order = ", ".join(f"i32 {k}" for k in range(place * size, (place + 1) * size))
                kind = value.type
                b.emit(f"{result} = shufflevector {kind} {value}, {kind} poison, <{size} x i32> <{order}>")

    def _together(self, items: list[Value]) -> Value:
        """The values side by side; free lanes repeat the first, so that none computes nonsense slowly.

        One number alone is taken for a vector too: the bits of scalars wait in registers of another kind.
        """
        b = self.b
        if len(items) == 1 and self.single.lanes > 1:
            return items[0]
        if all(item == items[0] for item in items) and not items[0].name.startswith("%"):
            size = self.single.lanes
            return Value(b.splat(items[0], 2).name if size == 1 else items[0].name, self._wide_type(items))
        if self.single.lanes == 1:
            value = b.splat(items[0], self._wide_type(items).lanes)
            for lane, item in enumerate(items[1:], 1):
                value = b.insert(value, item, lane)
            return value
        while len(items) > 1:
            order = range(2 * items[0].type.lanes)
            items = [b.shuffle(x, y, order) for x, y in zip(items[::2], items[1::2], strict=True)]
        return items[0]

    def _wide_type(self, items: list[Value]) -> Type:
        """The type of the values side by side."""
        kind = items[0].type
        least = 128 // kind.bits if kind.lanes == 1 else 1
        return vector(kind.element, kind.lanes * max(least, 1 << (len(items) - 1).bit_length()))
