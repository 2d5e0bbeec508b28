"""Linear algebra as native code: factorisation with row exchanges, solves, determinants, cofactors, Kronecker
products.

Matrices lie row by row. Long ones are worked on in blocks of rows and columns, so that nearly all work is the
product of `Rows.subtract_product`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from symprop.emit.builder import I1, I32, I64, Builder, Value
from symprop.emit.loops import LoopEmitter
from symprop.emit.pack import value
from symprop.emit.parallel import share
from symprop.emit.rows import Rows
from symprop.emit.table import NATIVE
from symprop.functions.elimination import signed_permutations
from symprop.schedule.ir import Kernel

__all__ = ["emit_kernel"]

BLOCK = 32  # columns of a panel: its rows against each other cost the square of it, products the rest

Size = Value | int


def emit_kernel(emitter: LoopEmitter, kernel: Kernel, status: int) -> None:
    """Write a kernel, in a loop over the samples where it has them; a singular matrix of equations that are
    solved once a call returns `status`.
    """
    emitter.begin()
    b = emitter.b
    if not kernel.batched:
        _Kernel(emitter, kernel, status, None).run()
        return

    def some(first: Size, last: Size) -> None:
        with b.loop(value(b, first), value(b, last)) as loop:
            _Kernel(emitter, kernel, status, loop.index).run()

    share(b, 0, emitter.samples, 1, kernel.points() // emitter.width + 1, some)


class _Matrix(NamedTuple):
    """Where a matrix lies: entry (i, j) at `i * row + j * column`."""

    pointer: Value
    row: int
    column: int = 1

    @property
    def turned(self) -> _Matrix:
        """The transpose."""
        return _Matrix(self.pointer, self.column, self.row)


class _Kernel:
    """One kernel at one sample."""

    def __init__(self, emitter: LoopEmitter, kernel: Kernel, status: int, sample: Value | None) -> None:
        self.emitter = emitter
        self.kernel = kernel
        self.status = status
        self.b: Builder = emitter.b
        self.rows = Rows(emitter.b, emitter.element)
        self.real = self.rows.real
        self.inputs: list[Value] = []
        for buffer in [*kernel.inputs, kernel.output]:
            pointer = emitter.pointers[buffer]
            if buffer.batched and sample is not None:
                offset = self.b.mul(sample, self.b.const(buffer.entries, I64))
                pointer = self.b.element(pointer, offset, self.real)
            self.inputs.append(pointer)
        self.output = self.inputs.pop()

    def run(self) -> None:
        """Write the kernel."""
        _KERNELS[self.kernel.operation](self)

    # -- short forms ---------------------------------------------------------------------------------------

    def index(self, value: Size) -> Value:
        return self.rows.size(value)

    def shifted(self, value: Size, by: int) -> Value:
        return self.b.add(self.index(value), self.b.const(by, I64))

    def at(self, matrix: _Matrix, i: Size, j: Size) -> Value:
        """The address of an entry."""
        b = self.b
        offset = b.mul(self.index(i), b.const(matrix.row, I64))
        offset = b.add(offset, b.mul(self.index(j), b.const(matrix.column, I64)))
        return b.element(matrix.pointer, offset, self.real)

    def get(self, matrix: _Matrix, i: Size, j: Size) -> Value:
        return self.b.load(self.at(matrix, i, j), self.real)

    def put(self, value: Value, matrix: _Matrix, i: Size, j: Size) -> None:
        self.b.store(value, self.at(matrix, i, j))

    def number(self, value: float) -> Value:
        return self.b.const(value, self.real)

    def whole(self, value: Value) -> Value:
        """A stored number as an index."""
        return self.b.convert("fptosi", value, I64)

    def stored(self, index: Value) -> Value:
        """An index as a number to store."""
        return self.b.convert("sitofp", index, self.real)

    def least(self, a: Value, bound: int) -> Value:
        limit = self.b.const(bound, I64)
        return self.b.select(self.b.icmp("slt", a, limit), a, limit)

    def divisor(self, pivot: Value) -> Value:
        """The pivot; one where it is zero, as all entries below it are zero then."""
        return self.b.select(self.b.fcmp("oeq", pivot, self.number(0.0)), self.number(1.0), pivot)

    # -- triangular systems --------------------------------------------------------------------------------

    def solve(self, matrix: _Matrix, n: int, x: _Matrix, m: int, lower: bool, unit: bool) -> None:
        """X = T**-1 X in place for the triangle T of a matrix; `unit` has ones in place of its diagonal."""
        if m == 1:
            self.solve_one(matrix, n, x.pointer, lower, unit)
            return
        b = self.b
        blocks = -(-n // BLOCK)

        def block(first: Value, count: int) -> None:
            last = self.least(self.shifted(first, BLOCK), n) if count > 1 else self.index(n)
            if count > 1:
                start, length = (self.index(0), first) if lower else (last, b.sub(self.index(n), last))
                known = (self.at(matrix, first, start), matrix.row, matrix.column)
                sizes = (b.sub(last, first), m, length)
                here, rest = self.at(x, first, 0), self.at(x, start, 0)
                self.rows.subtract_product((here, x.row), known, (rest, x.row), sizes)
            with b.loop(first, last) as loop:
                i = loop.index if lower else b.sub(b.add(first, last), self.shifted(loop.index, 1))
                start, stop = (first, i) if lower else (self.shifted(i, 1), last)
                with b.loop(start, stop) as inner:
                    factor = self.get(matrix, i, inner.index)
                    self.rows.subtract(self.at(x, i, 0), self.at(x, inner.index, 0), m, factor)
                if not unit:
                    self.rows.divide(self.at(x, i, 0), m, self.get(matrix, i, i))

        if blocks == 1:
            block(self.index(0), 1)
            return
        with b.loop(b.const(0, I64), b.const(blocks, I64)) as outer:
            number = outer.index if lower else b.sub(b.const(blocks - 1, I64), outer.index)
            block(b.mul(number, b.const(BLOCK, I64)), blocks)

    def solve_one(self, matrix: _Matrix, n: int, x: Value, lower: bool, unit: bool) -> None:
        """The same for one contiguous right-hand side: by rows of the matrix, or by columns."""
        b = self.b
        vector = _Matrix(x, 1)
        with b.loop(b.const(0, I64), b.const(n, I64)) as loop:
            i = loop.index if lower else b.sub(b.const(n - 1, I64), loop.index)
            following = self.shifted(i, 1)
            by_rows = matrix.column == 1
            before = lower if by_rows else not lower
            start, stop = (self.index(0), i) if before else (following, self.index(n))
            count, rest = b.sub(stop, start), self.at(vector, start, 0)
            value = self.get(vector, i, 0)
            if by_rows:
                value = b.fsub(value, self.rows.dot(self.at(matrix, i, start), rest, count))
            if not unit:
                value = b.fdiv(value, self.get(matrix, i, i))
            self.put(value, vector, i, 0)
            if not by_rows:
                self.rows.subtract(rest, self.at(matrix, start, i), count, value)

    # -- elimination with the largest entry as pivot ---------------------------------------------------------

    def reveal(self, n: int) -> _Revealed:
        """A[rows][:, columns] = L D U in scratch memory: L below the diagonal, D on it, U above it."""
        b = self.b
        work = _Matrix(self.emitter.scratch(n * n), n)
        order = _Matrix(self.emitter.scratch(2 * n), n)  # the rows, then the columns
        self.rows.copy(work.pointer, self.inputs[0], n * n)
        size = b.const(n, I64)
        with b.loop(b.const(0, I64), size) as loop:
            for line in (0, 1):
                self.put(self.stored(loop.index), order, line, loop.index)
        with b.loop(b.const(0, I64), size, 1, [self.number(1.0)]) as steps:
            k = steps.index
            first = [b.fabs(self.get(work, k, k)), k, k]
            with b.loop(k, size, 1, first) as down:
                with b.loop(k, size, 1, down.carried) as across:
                    found = b.fabs(self.get(work, down.index, across.index))
                    better = b.fcmp("ogt", found, across.carried[0])
                    new = (found, down.index, across.index)
                    across.next = [b.select(better, x, y) for x, y in zip(new, across.carried, strict=True)]
                down.next = across.results
            _, p, q = down.results
            sign = steps.carried[0]
            for place in (p, q):
                moved = b.icmp("ne", place, k)
                sign = b.select(moved, b.fneg(sign), sign)
            self.rows.swap(self.at(work, k, 0), self.at(work, p, 0), n)
            self.exchange(self.at(order, 0, k), self.at(order, 0, p))
            with b.loop(b.const(0, I64), size) as loop:
                self.exchange(self.at(work, loop.index, k), self.at(work, loop.index, q))
            self.exchange(self.at(order, 1, k), self.at(order, 1, q))
            pivot, following = self.divisor(self.get(work, k, k)), self.shifted(k, 1)
            count = b.sub(size, following)
            with b.loop(following, size) as loop:
                factor = b.fdiv(self.get(work, loop.index, k), pivot)
                self.put(factor, work, loop.index, k)
                target = self.at(work, loop.index, following)
                self.rows.subtract(target, self.at(work, k, following), count, factor)
            self.rows.divide(self.at(work, k, following), count, pivot)
            steps.next = [sign]
        return _Revealed(work, order, steps.results[0])

    def exchange(self, first: Value, second: Value) -> None:
        """Exchange two numbers in memory."""
        x, y = self.b.load(first, self.real), self.b.load(second, self.real)
        self.b.store(y, first)
        self.b.store(x, second)

    def others(self, work: _Matrix, n: int, *left_out: Value) -> Value:
        """The product of the diagonal but for those places."""
        b = self.b
        with b.loop(b.const(0, I64), b.const(n, I64), 1, [self.number(1.0)]) as loop:
            value = self.get(work, loop.index, loop.index)
            for place in left_out:
                value = b.select(b.icmp("eq", loop.index, place), self.number(1.0), value)
            loop.next = [b.fmul(loop.carried[0], value)]
        return loop.results[0]

    def clear(self, matrix: _Matrix, n: int) -> None:
        """Zeros in every entry."""
        with self.b.loop(self.b.const(0, I64), self.b.const(n * n, I64)) as loop:
            self.put(self.number(0.0), matrix, 0, loop.index)

    def around(self, found: _Revealed, middle: _Matrix, n: int) -> None:
        """The output: sign * L**-T * middle * U**-T, rows and columns back in their places."""
        b = self.b
        self.solve(found.work.turned, n, middle, n, lower=False, unit=True)
        size = b.const(n, I64)
        with b.loop(b.const(0, I64), size) as i:
            self.solve_one(found.work, n, self.at(middle, i.index, 0), lower=False, unit=True)
        output = _Matrix(self.output, n)
        with b.loop(b.const(0, I64), size) as i:
            row = self.whole(self.get(found.order, 0, i.index))
            with b.loop(b.const(0, I64), size) as j:
                column = self.whole(self.get(found.order, 1, j.index))
                self.put(b.fmul(found.sign, self.get(middle, i.index, j.index)), output, row, column)


class _Revealed(NamedTuple):
    work: _Matrix
    order: _Matrix
    sign: Value


# -- the kernels --------------------------------------------------------------------------------------------


def _lu(k: _Kernel) -> None:
    """Right-looking in panels: a panel of columns, the rows beside it, then the product for the rest."""
    b, n = k.b, k.kernel.inputs[0].shape[0]
    f, size = _Matrix(k.output, n), k.b.const(n, I64)
    k.rows.copy(k.output, k.inputs[0], n * n)
    with b.loop(b.const(0, I64), size, BLOCK) as panel:
        first = panel.index
        last = k.least(k.shifted(first, BLOCK), n)
        with b.loop(first, last) as column:
            _pivot(k, f, n, column.index, last)
        with b.when(b.icmp("slt", last, size)):
            beside = b.sub(size, last)
            with b.loop(first, last) as upper, b.loop(k.shifted(upper.index, 1), last) as row:
                factor = k.get(f, row.index, upper.index)
                target = k.at(f, row.index, last)
                k.rows.subtract(target, k.at(f, upper.index, last), beside, factor)
            left = (k.at(f, last, first), f.row, f.column)
            rest, top = (k.at(f, last, last), f.row), (k.at(f, first, last), f.row)
            k.rows.subtract_product(rest, left, top, (beside, beside, b.sub(last, first)))


def _pivot(k: _Kernel, f: _Matrix, n: int, at: Value, last: Value) -> None:
    """One column: exchange rows, divide by the pivot, subtract from the columns of the panel."""
    b, size = k.b, k.b.const(n, I64)
    following = k.shifted(at, 1)
    with b.loop(following, size, 1, [b.fabs(k.get(f, at, at)), at]) as search:
        found = b.fabs(k.get(f, search.index, at))
        better = b.fcmp("ogt", found, search.carried[0])
        new = (found, search.index)
        search.next = [b.select(better, x, y) for x, y in zip(new, search.carried, strict=True)]
    chosen = search.results[1]
    k.put(k.stored(chosen), f, n, at)
    with b.when(b.icmp("ne", chosen, at)):
        k.rows.swap(k.at(f, at, 0), k.at(f, chosen, 0), n)
    pivot, count = k.divisor(k.get(f, at, at)), b.sub(last, following)
    with b.loop(following, size) as row:
        factor = b.fdiv(k.get(f, row.index, at), pivot)
        k.put(factor, f, row.index, at)
        k.rows.subtract(k.at(f, row.index, following), k.at(f, at, following), count, factor)


def _lu_solve(k: _Kernel) -> None:
    b = k.b
    n, m = k.kernel.output.shape
    f, x, turned = _Matrix(k.inputs[0], n), _Matrix(k.output, m), bool(k.kernel.attrs[0])
    with b.loop(b.const(0, I64), b.const(n, I64), 1, [Value("false", I1)]) as loop:
        zero = b.fcmp("oeq", k.get(f, loop.index, loop.index), k.number(0.0))
        loop.next = [b.or_(loop.carried[0], zero)]
    singular = loop.results[0]
    factor = k.number(1.0)
    if k.kernel.batched:
        factor = b.select(singular, k.number(float("nan")), factor)
    else:
        bad, good = b.label("singular"), b.label("regular")
        b.branch(singular, bad, good)
        b.start(bad)
        b.emit(f"ret {I32} {k.status}")
        b.start(good)
    k.rows.scaled(k.output, k.inputs[1], n * m, factor)

    def exchanges(backwards: bool) -> None:
        with b.loop(b.const(0, I64), b.const(n, I64)) as step:
            at = b.sub(b.const(n - 1, I64), step.index) if backwards else step.index
            other = k.whole(k.get(f, n, at))
            with b.when(b.icmp("ne", other, at)):
                k.rows.swap(k.at(x, at, 0), k.at(x, other, 0), m)

    if not turned:
        exchanges(False)
        k.solve(f, n, x, m, lower=True, unit=True)
        k.solve(f, n, x, m, lower=False, unit=False)
    else:
        k.solve(f.turned, n, x, m, lower=True, unit=False)
        k.solve(f.turned, n, x, m, lower=False, unit=True)
        exchanges(True)


def _lu_determinant(k: _Kernel) -> None:
    b, n = k.b, k.kernel.inputs[0].shape[1]
    f = _Matrix(k.inputs[0], n)
    with b.loop(b.const(0, I64), b.const(n, I64), 1, [k.number(1.0)]) as loop:
        value = k.get(f, loop.index, loop.index)
        if k.kernel.attrs == ("sign",):
            value = NATIVE["sign"](b, value)
        moved = b.fcmp("une", k.get(f, n, loop.index), k.stored(loop.index))
        loop.next = [b.fmul(loop.carried[0], b.select(moved, b.fneg(value), value))]
    b.store(loop.results[0], k.output)


def _cofactor(k: _Kernel) -> None:
    """cof(A) from A = L D U with rows and columns exchanged: L**-T cof(D) U**-T."""
    n = k.kernel.output.shape[0]
    found, middle = k.reveal(n), _Matrix(k.emitter.scratch(n * n), n)
    k.clear(middle, n)
    with k.b.loop(k.b.const(0, I64), k.b.const(n, I64)) as loop:
        k.put(k.others(found.work, n, loop.index), middle, loop.index, loop.index)
    k.around(found, middle, n)


def _cofactor_slope(k: _Kernel) -> None:
    """The derivatives of cof(D) in the directions L**-1 W U**-1, between L**-T and U**-T."""
    b, n, count = k.b, k.kernel.output.shape[0], len(k.inputs) - 1
    found, zero, size = k.reveal(n), b.const(0, I64), b.const(n, I64)
    *inner, middle = (_Matrix(k.emitter.scratch(n * n), n) for _ in range(count + 1))
    for pointer, moved in zip(k.inputs[1:], inner, strict=True):
        direction = _Matrix(pointer, n)
        with b.loop(zero, size) as i:
            row = k.whole(k.get(found.order, 0, i.index))
            with b.loop(zero, size) as j:
                column = k.whole(k.get(found.order, 1, j.index))
                k.put(k.get(direction, row, column), moved, i.index, j.index)
        k.solve(found.work, n, moved, n, lower=True, unit=True)
        with b.loop(zero, size) as i:
            k.solve_one(found.work.turned, n, k.at(moved, i.index, 0), lower=True, unit=True)
    k.clear(middle, n)
    with ExitStack() as loops:
        rows: list[Value] = []
        for _ in range(count + 1):  # distinct rows, one of each direction and the last of the result
            index = loops.enter_context(b.loop(zero, size)).index
            for other in rows:
                loops.enter_context(b.when(b.icmp("ne", index, other)))
            rows.append(index)
        rest = k.others(found.work, n, *rows)
        for sign, order in signed_permutations(count + 1):
            value = rest if sign > 0 else b.fneg(rest)
            for at, moved in enumerate(inner[:-1]):
                value = b.fmul(value, k.get(moved, rows[at], rows[order[at]]))
            before = k.get(middle, rows[count], rows[order[count]])
            last = k.get(inner[-1], rows[count - 1], rows[order[count - 1]])
            k.put(b.fma(value, last, before), middle, rows[count], rows[order[count]])
    k.around(found, middle, n)


def _kronecker(k: _Kernel) -> None:
    b = k.b
    (m, n), (p, q) = (buffer.shape for buffer in k.kernel.inputs)
    left, right, out = _Matrix(k.inputs[0], n), _Matrix(k.inputs[1], q), _Matrix(k.output, n * q)
    zero = b.const(0, I64)
    with b.loop(zero, b.const(m, I64)) as i, b.loop(zero, b.const(p, I64)) as r:
        row = b.add(b.mul(i.index, b.const(p, I64)), r.index)
        with b.loop(zero, b.const(n, I64)) as j:
            target = k.at(out, row, b.mul(j.index, b.const(q, I64)))
            k.rows.scaled(target, k.at(right, r.index, 0), q, k.get(left, i.index, j.index))


_KERNELS: dict[str, Callable[[_Kernel], None]] = {
    "lu": _lu,
    "lu_solve": _lu_solve,
    "lu_determinant": _lu_determinant,
    "cofactor": _cofactor,
    "cofactor_slope": _cofactor_slope,
    "kronecker": _kronecker,
}
