"""Work on rows of numbers as functions of the module: the innermost loops of the linear algebra, vectorised.

A row is a pointer to contiguous numbers and their count. The last, partial vector of a row is masked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from symprop.emit.builder import I32, I64, PTR, Builder, Type, Value, vector

__all__ = ["Rows"]

Size = Value | int


class Rows:
    """Calls of the functions, each defined at its first use; `element` is "double" or "float"."""

    def __init__(self, b: Builder, element: str) -> None:
        self.b = b
        self.real = vector(element)
        self.width = b.target.lanes(element)

    def size(self, value: Size) -> Value:
        """A count or index as a value."""
        return self.b.const(value, I64) if isinstance(value, int) else value

    def copy(self, target: Value, source: Value, count: Size) -> None:
        """target = source"""
        one = self.b.const(1.0, self.real)
        self.scaled(target, source, count, one)

    def scaled(self, target: Value, source: Value, count: Size, factor: Value) -> None:
        """target = factor * source"""
        self._call("scaled", [PTR, PTR, I64, self.real], _scaled, [target, source, self.size(count), factor])

    def subtract(self, target: Value, source: Value, count: Size, factor: Value) -> None:
        """target -= factor * source"""
        self._call(
            "subtract", [PTR, PTR, I64, self.real], _subtract, [target, source, self.size(count), factor]
        )

    def divide(self, target: Value, count: Size, divisor: Value) -> None:
        """target /= divisor"""
        self._call("divide", [PTR, I64, self.real], _divide, [target, self.size(count), divisor])

    def swap(self, first: Value, second: Value, count: Size) -> None:
        """Exchange two rows."""
        self._call("swap", [PTR, PTR, I64], _swap, [first, second, self.size(count)])

    def dot(self, first: Value, second: Value, count: Size) -> Value:
        """The sum of the products."""
        return self._call("dot", [PTR, PTR, I64], _dot, [first, second, self.size(count)], self.real)

    def subtract_product(
        self,
        c: tuple[Value, Size],
        a: tuple[Value, Size, Size],
        b: tuple[Value, Size],
        sizes: tuple[Size, Size, Size],
    ) -> None:
        """C -= A*B for C of (m, n), A of (m, k), with `sizes` (m, n, k); C and B are a pointer and the
        distance of their rows, A has that of its columns as well.
        """
        args = [c[0], self.size(c[1]), a[0], self.size(a[1]), self.size(a[2]), b[0], self.size(b[1])]
        args += [self.size(s) for s in sizes]
        kinds = [PTR, I64, PTR, I64, I64, PTR, I64, I64, I64, I64]
        self._call("product", kinds, _product, args)

    def _call(
        self,
        name: str,
        kinds: list[Type],
        body: Callable[[Builder, Type, int, list[Value]], Value | None],
        args: list[Value],
        result: Type = I32,
    ) -> Value:
        full = f"symprop.rows.{name}.{self.real.suffix}"

        def emit(b: Builder, values: list[Value]) -> Value:
            made = body(b, self.real, self.width, values)
            return b.const(0, I32) if made is None else made

        self.b.module.function(full, result, kinds, emit)
        return self.b.call(full, result, args)


def _vectors(b: Builder, count: Value, width: int) -> Iterator[tuple[Value, Value | None]]:
    """Start and mask of each vector of a row: a loop over whole ones, then the masked rest."""
    whole = b.and_(count, b.const(-width, I64))
    with b.loop(b.const(0, I64), whole, width) as loop:
        yield loop.index, None
    rest = b.sub(count, whole)
    with b.when(b.icmp("sgt", rest, b.const(0, I64))):
        lanes = vector("i64", width)
        yield whole, b.icmp("slt", b.lane_numbers(lanes), b.splat(rest, width))


def _read(b: Builder, row: Value, at: Value, kind: Type, mask: Value | None) -> Value:
    pointer = b.element(row, at, kind)
    if mask is None:
        return b.load(pointer, kind)
    return b.masked_load(pointer, kind, mask, Value("zeroinitializer", kind))


def _write(b: Builder, value: Value, row: Value, at: Value, mask: Value | None) -> None:
    pointer = b.element(row, at, value.type)
    if mask is None:
        b.store(value, pointer)
    else:
        b.masked_store(value, pointer, mask)


def _scaled(b: Builder, real: Type, width: int, args: list[Value]) -> None:
    target, source, count, factor = args
    kind, factors = vector(real.element, width), b.splat(factor, width)
    for at, mask in _vectors(b, count, width):
        _write(b, b.fmul(_read(b, source, at, kind, mask), factors), target, at, mask)


def _subtract(b: Builder, real: Type, width: int, args: list[Value]) -> None:
    target, source, count, factor = args
    kind, factors = vector(real.element, width), b.splat(b.fneg(factor), width)
    for at, mask in _vectors(b, count, width):
        new = b.fma(_read(b, source, at, kind, mask), factors, _read(b, target, at, kind, mask))
        _write(b, new, target, at, mask)


def _divide(b: Builder, real: Type, width: int, args: list[Value]) -> None:
    target, count, divisor = args
    kind, divisors = vector(real.element, width), b.splat(divisor, width)
    for at, mask in _vectors(b, count, width):
        _write(b, b.fdiv(_read(b, target, at, kind, mask), divisors), target, at, mask)


def _swap(b: Builder, real: Type, width: int, args: list[Value]) -> None:
    first, second, count = args
    kind = vector(real.element, width)
    for at, mask in _vectors(b, count, width):
        x, y = _read(b, first, at, kind, mask), _read(b, second, at, kind, mask)
        _write(b, y, first, at, mask)
        _write(b, x, second, at, mask)


def _dot(b: Builder, real: Type, width: int, args: list[Value]) -> Value:
    first, second, count = args
    kind = vector(real.element, width)
    whole = b.and_(count, b.const(-width, I64))
    with b.loop(b.const(0, I64), whole, width, [b.const(0.0, kind)]) as loop:
        x, y = (_read(b, row, loop.index, kind, None) for row in (first, second))
        loop.next = [b.fma(x, y, loop.carried[0])]
    lanes = vector("i64", width)
    mask = b.icmp("slt", b.lane_numbers(lanes), b.splat(b.sub(count, whole), width))
    x, y = (_read(b, row, whole, kind, mask) for row in (first, second))
    total, left = b.fma(x, y, loop.results[0]), width
    while left > 1:
        left //= 2
        low, high = b.shuffle(total, None, range(left)), b.shuffle(total, None, range(left, 2 * left))
        if left == 1:
            low, high = b.extract(total, 0), b.extract(total, 1)
        total = b.fadd(low, high)
    return total


def _product(b: Builder, real: Type, width: int, args: list[Value]) -> None:
    """Tiles of C, some rows by two vectors, stay in registers while t runs; then the columns left."""
    m, n = args[7], args[8]
    tall = 8 if b.target.registers >= 32 else 4
    zero, high = b.const(0, I64), b.and_(m, b.const(-tall, I64))
    done = zero
    for vectors in (2, 1):
        whole = b.and_(n, b.const(-width * vectors, I64))
        with b.loop(done, whole, width * vectors) as columns:
            _tiles(b, real, width, args, columns.index, vectors, (tall, high), None)
        done = whole
    rest = b.sub(n, done)
    with b.when(b.icmp("sgt", rest, zero)):
        lanes = vector("i64", width)
        mask = b.icmp("slt", b.lane_numbers(lanes), b.splat(rest, width))
        _tiles(b, real, width, args, done, 1, (tall, high), mask)


def _tiles(
    b: Builder,
    real: Type,
    width: int,
    args: list[Value],
    j: Value,
    vectors: int,
    tall: tuple[int, Value],
    mask: Value | None,
) -> None:
    rows, high = tall
    with b.loop(b.const(0, I64), high, rows) as loop:
        _tile(b, real, width, args, (loop.index, j), (rows, vectors), mask)
    with b.loop(high, args[7], 1) as loop:
        _tile(b, real, width, args, (loop.index, j), (1, vectors), mask)


def _tile(
    b: Builder,
    real: Type,
    width: int,
    args: list[Value],
    at: tuple[Value, Value],
    shape: tuple[int, int],
    mask: Value | None,
) -> None:
    c, c_row, a, a_row, a_column, right, b_row, _, _, depth = args
    kind = vector(real.element, width)
    (i, j), (rows, vectors) = at, shape
    steps = [b.add(j, b.const(v * width, I64)) for v in range(vectors)]
    lines = [b.add(i, b.const(r, I64)) for r in range(rows)]
    of_c = [b.element(c, b.mul(line, c_row), real) for line in lines]
    of_a = [b.element(a, b.mul(line, a_row), real) for line in lines]
    start = [_read(b, row, s, kind, mask) for row in of_c for s in steps]
    with b.loop(b.const(0, I64), depth, 1, start) as loop:
        t = loop.index
        row = b.element(right, b.mul(t, b_row), real)
        values = [_read(b, row, s, kind, mask) for s in steps]
        offset = b.mul(t, a_column)
        sums = []
        for r in range(rows):
            entry = b.fneg(b.load(b.element(of_a[r], offset, real), real))
            factor = b.splat(entry, width)
            for v, value in enumerate(values):
                sums.append(b.fma(factor, value, loop.carried[r * vectors + v]))
        loop.next = sums
    for r in range(rows):
        for v, s in enumerate(steps):
            _write(b, loop.results[r * vectors + v], of_c[r], s, mask)
