"""Ordinary calls as native objects of the interpreter: arguments that fit go straight to the code.

For a program whose results are numbers and gradients of unbatched arguments, a builtin function (flags
METH_FASTCALL and METH_KEYWORDS) is generated: it checks type, dtype, layout and shape of each argument, makes
the result arrays and the workspace, runs the entry and packs `(value, gradients)`. Whatever it does not know
(lists, other dtypes, keywords, errors) it hands to the general path in Python, which converts or explains.
A training step is such a function for each state, whose arrays are known.

This relies on the layout of CPython's and NumPy's objects, which `_layout_holds` checks once; elsewhere
`fast_call` gives None.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from symprop.emit.builder import F64, I32, I64, PTR, Builder, Module, Type, Value, vector
from symprop.emit.program import SHARED_FROM, Memory
from symprop.emit.target import host
from symprop.run.bound import PAYLOAD, Block, Definition, method_object
from symprop.run.engine import Code, compile_text
from symprop.run.executable import Executable
from symprop.schedule.memory import ALIGN

__all__ = ["FastStep", "Gradient", "fast_call"]

METH_FASTCALL_KEYWORDS = 0x0080 | 0x0002
DATA, NDIM, DIMS, DESCR, FLAGS = 16, 24, 32, 56, 64  # fields of PyArrayObject
OBJECT_TYPE, FLOAT_VALUE = 8, 16  # fields of PyObject, PyFloatObject (and of NumPy's float64 scalars)
ITEMS = tuple.__basicsize__  # where the items of a tuple begin
READY = 0x101  # C-contiguous and aligned
NAME = "symprop.call"
# words of the block: the general path, the objects that are compared with, the code
FALLBACK, ARRAY, REAL, LABEL, FLOAT, SCALAR, RESULT, ENTRY = range(8)
HEADER = 8  # behind them: the addresses that are the same in every call
ON_STACK = 1 << 14  # bytes of a workspace on the stack
MOST = 1 << 20  # of one that is asked for in each call; a larger one is kept by the general path

_PYTHON = (
    *("PyObject_Vectorcall", "PyTuple_New", "_PyObject_New", "Py_DecRef"),
    *("PyMem_RawMalloc", "PyMem_RawFree", "PyEval_SaveThread", "PyEval_RestoreThread"),
)
_NUMPY = {"PyArray_New": 93}  # places in NumPy's table of its C interface


@dataclass(frozen=True)
class Gradient:
    """A result after the values: the gradient with respect to the argument at a position."""

    position: int


def fast_call(
    executable: Executable,
    values: int,
    gradients: Sequence[Gradient] | None,
    single: bool,
    fallback: Callable[..., Any],
) -> Callable[..., Any] | None:
    """A callable `(*args) -> (value, gradients)` for a program with `values` numbers and then `gradients`.

    Without `gradients` (None) it gives the value alone. `single` gives the one gradient itself instead of a
    tuple. `fallback` is called with the same arguments where they do not fit. None where the program or the
    interpreter is of another kind.
    """
    api = _interface()
    if api is None or not _is_plain(executable, values, len(executable.inputs), gradients or ()):
        return None
    code = compile_text(_Writer(executable, values, gradients, single).text(), host(), 1, NAME, api)
    return _method(executable, code, fallback, ())


class FastStep:
    """Steps of a program that overwrites what it trains: all inputs but the first `data` ones.

    `over(addresses, fallback)` gives a callable `(state, *data) -> value` for arrays at these addresses; it
    does not look at the state, which keeps them alive.
    """

    def __init__(self, executable: Executable, values: int, data: int) -> None:
        self.executable = executable
        self._code: Code | None = None
        api = _interface()
        if api is not None and data and _is_plain(executable, values, data, ()):
            text = _Writer(executable, values, None, False, data).text()
            self._code = compile_text(text, host(), 1, NAME, api)

    def over(self, addresses: Sequence[int], fallback: Callable[..., Any]) -> Callable[..., Any] | None:
        """The callable; `fallback` is called with the same arguments where they do not fit. None where the
        program or the interpreter is of another kind.
        """
        return None if self._code is None else _method(self.executable, self._code, fallback, addresses)


def _method(
    executable: Executable, code: Code, fallback: Callable[..., Any], addresses: Sequence[int]
) -> Callable[..., Any]:
    real = np.dtype(executable.dtype)
    objects = [fallback, np.ndarray, real, np.dtype(np.int64), float, np.float64, real.type]
    words = [*map(id, objects), executable.address, *addresses]
    block = Block(b"".join(w.to_bytes(8, sys.byteorder) for w in words))
    definition = Definition(b"call", code.address, METH_FASTCALL_KEYWORDS, b"A compiled function.")
    block.held = (executable, objects, definition, code)
    return method_object(definition, block)


def _is_plain(executable: Executable, values: int, passed: int, gradients: Sequence[Gradient]) -> bool:
    """True for numbers as values, gradients of unbatched arguments, and a workspace that is soon made."""
    made = executable.outputs[: values + len(gradients)]
    if any(o.batched or o.kind != "real" for o in made) or most_samples(executable.memory) < 1:
        return False
    if any(o.shape != () for o in made[:values]):
        return False
    for port in executable.inputs[:passed]:
        if port.shape == (1, 1) or len(port.shape) not in (0, 2):
            return False
        if port.kind == "integer" and not port.batched:
            return False
        if port.shape == () and not port.batched and executable.dtype != np.float64:
            return False
    return not any(executable.inputs[g.position].batched for g in gradients)


def most_samples(memory: Memory) -> int:
    """Samples up to which a call asks for its workspace by itself."""
    if memory.fixed > MOST:
        return 0
    most = (MOST - memory.fixed) // memory.per_sample if memory.per_sample else 1 << 60
    return min(most, SHARED_FROM) if memory.shared else most


class _Writer:
    """Writes the function; with `data` the one of a step, which is passed a state and so many arguments."""

    def __init__(
        self,
        executable: Executable,
        values: int,
        gradients: Sequence[Gradient] | None,
        single: bool,
        data: int | None = None,
    ) -> None:
        self.executable = executable
        self.passed = len(executable.inputs) if data is None else data
        self.state = data is not None
        self.values = values
        self.gradients = gradients or ()
        self.alone = gradients is None  # the value is all that is given
        self.single = single
        self.module = Module(host())
        self.b = Builder(self.module)
        self.real: Type = vector("double" if executable.dtype == np.float64 else "float")
        self.slow = "slow"

    def text(self) -> str:
        b, module = self.b, self.module
        args, count, names = Value("%args", PTR), Value("%count", I64), Value("%names", PTR)
        module.declare("PyObject_Vectorcall", PTR, [PTR, PTR, I64, PTR])
        module.declare("PyTuple_New", PTR, [I64])
        module.declare("_PyObject_New", PTR, [PTR])
        module.declare("Py_DecRef", None, [PTR])
        module.declare("PyMem_RawMalloc", PTR, [I64])
        module.declare("PyMem_RawFree", None, [PTR])
        module.declare("PyEval_SaveThread", PTR, [])
        module.declare("PyEval_RestoreThread", None, [PTR])
        module.declare("PyArray_New", PTR, [PTR, I32, PTR, I32, PTR, PTR, I32, I32, PTR])
        inputs, outputs = self.executable.inputs, self.executable.outputs
        words = b.element(Value("%self", PTR), PAYLOAD, vector("i8"))
        fixed = len(inputs) - self.passed
        self.word = [b.load(b.element(words, k, I64), PTR, True) for k in range(HEADER)]
        block = b.alloca(I64, len(inputs) + len(outputs) + 3)
        numbers = b.alloca(self.real, max(1, len(outputs)))
        null = Value("null", PTR)
        self.require(b.icmp("eq", names, null))
        self.require(b.icmp("eq", count, b.const(self.passed + self.state, I64)))
        self.samples: Value | None = None
        objects = [b.load(b.element(args, k + self.state, I64), PTR) for k in range(self.passed)]
        for k, (port, item) in enumerate(zip(inputs, objects, strict=False)):
            b.store(self.argument(port, item), b.element(block, k, I64))
        samples = self.samples or b.const(1, I64)
        self.require(b.icmp("sle", samples, b.const(most_samples(self.executable.memory), I64)))
        if self.state:
            self.require(b.icmp("sgt", samples, b.const(0, I64)))
        made: dict[int, Value] = {}
        own = len(outputs) - fixed  # results that are no arrays of the state
        for k in range(own):
            slot = b.element(block, len(inputs) + k, I64)
            position = self.gradients[k - self.values].position if k >= self.values else -1
            if position < 0 or inputs[position].shape == ():
                b.store(b.element(numbers, k, self.real), slot)
                continue
            like = objects[position]
            made[k] = self.array(like)
            b.store(self.field(made[k], DATA, PTR), slot)
        for k in range(fixed):
            there = b.load(b.element(words, HEADER + k, I64), I64, True)
            for place in (self.passed + k, len(inputs) + own + k):
                b.store(there, b.element(block, place, I64))
        status = self.run(block, len(inputs) + len(outputs), samples)
        good, bad = b.label("good"), b.label("bad")
        b.branch(b.icmp("eq", status, b.const(0, I32)), good, bad)
        b.start(bad)  # the general path finds out what was wrong, and raises
        for array in made.values():
            b.emit(f"call void @Py_DecRef(ptr {array})")
        b.jump(self.slow)
        b.start(good)
        results = [made[k] if k in made else self.number(numbers, k) for k in range(own)]
        value = results[0] if self.values == 1 else self.tuple(results[: self.values])
        if self.alone:
            b.emit(f"ret ptr {value}")
        else:
            rest = results[self.values :]
            grads = rest[0] if self.single else self.tuple(rest)
            b.emit(f"ret ptr {self.tuple([value, grads])}")
        b.start(self.slow)
        general = b.call("PyObject_Vectorcall", PTR, [self.word[FALLBACK], args, count, names])
        b.emit(f"ret ptr {general}")
        module.functions[NAME] = b.define(f"ptr @{NAME}(ptr %self, ptr %args, i64 %count, ptr %names)")
        return module.text()

    def run(self, block: Value, tail: int, samples: Value) -> Value:
        """The status of the entry, called with a workspace, and without the lock if it takes long."""
        b, memory = self.b, self.executable.memory
        allocated: Value | None = None
        workspace = b.const(0, I64)
        if memory.fixed <= ON_STACK and not memory.per_sample:
            if memory.fixed:
                workspace = b.convert("ptrtoint", b.alloca(vector("i8"), memory.fixed), I64)
        else:
            rounded = b.and_(b.add(samples, b.const(ALIGN - 1, I64)), b.const(-ALIGN, I64))
            size = b.add(b.mul(rounded, b.const(memory.per_sample, I64)), b.const(memory.fixed + 64, I64))
            allocated = b.call("PyMem_RawMalloc", PTR, [size])
            self.require(b.icmp("ne", allocated, Value("null", PTR)))
            start = b.add(b.convert("ptrtoint", allocated, I64), b.const(63, I64))
            workspace = b.and_(start, b.const(-64, I64))
        for k, value in enumerate((workspace, samples, samples)):
            b.store(value, b.element(block, tail + k, I64))
        short = self.executable.short_samples
        keeps, releases, done = b.label("keeps"), b.label("releases"), b.label("done")
        b.branch(b.icmp("sle", samples, b.const(short, I64)), keeps, releases)
        b.start(keeps)
        first = b.assign(I32, f"call i32 {self.word[ENTRY]}(ptr {block})")
        b.jump(done)
        b.start(releases)
        state = b.call("PyEval_SaveThread", PTR, [])
        second = b.assign(I32, f"call i32 {self.word[ENTRY]}(ptr {block})")
        b.emit(f"call void @PyEval_RestoreThread(ptr {state})")
        b.jump(done)
        b.start(done)
        status = b.phi([(first, keeps), (second, releases)])
        if allocated is not None:
            b.emit(f"call void @PyMem_RawFree(ptr {allocated})")
        return status

    # -- pieces ---------------------------------------------------------------------------------------------

    def require(self, condition: Value) -> None:
        """Go on where the condition holds, else take the general path."""
        following = self.b.label("next")
        self.b.branch(condition, following, self.slow)
        self.b.start(following)

    def field(self, item: Value, offset: int, kind: Type) -> Value:
        """A field of an object."""
        return self.b.load(self.b.element(item, offset, vector("i8")), kind)

    def argument(self, port: Any, item: Value) -> Value:
        """The address of an argument's numbers, after the checks."""
        b = self.b
        kind = self.field(item, OBJECT_TYPE, PTR)
        if port.shape == () and not port.batched:
            exact, scalar = (b.icmp("eq", kind, self.word[w]) for w in (FLOAT, SCALAR))
            self.require(b.or_(exact, scalar))
            return b.element(item, FLOAT_VALUE, vector("i8"))
        self.require(b.icmp("eq", kind, self.word[ARRAY]))
        wanted = self.word[LABEL if port.kind == "integer" else REAL]
        self.require(b.icmp("eq", self.field(item, DESCR, PTR), wanted))
        flags = b.and_(self.field(item, FLAGS, I32), b.const(READY, I32))
        self.require(b.icmp("eq", flags, b.const(READY, I32)))
        self.shape(port, item)
        return self.field(item, DATA, PTR)

    def shape(self, port: Any, item: Value) -> None:
        """The shape of one sample, with the sample axis first where there is one; a column in either form."""
        b = self.b
        fixed = list(port.shape)
        column = len(fixed) == 2 and fixed[1] == 1
        axes = len(fixed) + port.batched
        rank = self.field(item, NDIM, I32)
        full = b.icmp("eq", rank, b.const(axes, I32))
        self.require(b.or_(full, b.icmp("eq", rank, b.const(axes - 1, I32))) if column else full)
        dims = self.field(item, DIMS, PTR)
        sizes = [b.load(b.element(dims, k, I64), I64) for k in range(axes - column)]
        if port.batched:
            if self.samples is None:
                self.samples = sizes[0]
            else:
                self.require(b.icmp("eq", sizes[0], self.samples))
        for size, expected in zip(sizes[port.batched :], fixed, strict=False):
            self.require(b.icmp("eq", size, b.const(expected, I64)))
        if column:  # without a last axis its place holds a stride, which is read but not looked at
            last = b.icmp("eq", b.load(b.element(dims, axes - 1, I64), I64), b.const(1, I64))
            self.require(b.or_(last, b.not_(full)))

    def array(self, like: Value) -> Value:
        """A new array of the shape of another."""
        b = self.b
        number = b.const(12 if self.real == F64 else 11, I32)  # NPY_DOUBLE, NPY_FLOAT
        null, zero = Value("null", PTR), b.const(0, I32)
        rank, dims = self.field(like, NDIM, I32), self.field(like, DIMS, PTR)
        args = [self.word[ARRAY], rank, dims, number, null, null, zero, zero, null]
        made = b.call("PyArray_New", PTR, args)
        self.require(b.icmp("ne", made, null))
        return made

    def number(self, numbers: Value, k: int) -> Value:
        """A result that is a number, as a NumPy scalar."""
        b = self.b
        made = b.call("_PyObject_New", PTR, [self.word[RESULT]])
        self.require(b.icmp("ne", made, Value("null", PTR)))
        value = b.load(b.element(numbers, k, self.real), self.real)
        b.store(value, b.element(made, FLOAT_VALUE, vector("i8")))
        return made

    def tuple(self, items: Sequence[Value]) -> Value:
        """A tuple, which takes over the references."""
        b = self.b
        made = b.call("PyTuple_New", PTR, [b.const(len(items), I64)])
        self.require(b.icmp("ne", made, Value("null", PTR)))
        start = b.element(made, ITEMS, vector("i8"))
        for k, item in enumerate(items):
            b.store(item, b.element(start, k, I64))
        return made


@lru_cache(maxsize=1)
def _interface() -> dict[str, int] | None:
    """The addresses of the functions of the two C interfaces; None where the layouts are not the known
    ones.
    """
    if sys.implementation.name != "cpython" or not _layout_holds():
        return None
    try:
        found = {n: ctypes.cast(getattr(ctypes.pythonapi, n), ctypes.c_void_p).value or 0 for n in _PYTHON}
        core = sys.modules.get("numpy._core._multiarray_umath") or sys.modules["numpy.core._multiarray_umath"]
        pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
            ("PyCapsule_GetPointer", ctypes.pythonapi)
        )
        table = pointer(core._ARRAY_API, None)
    except (AttributeError, KeyError, ValueError):
        return None
    for name, place in _NUMPY.items():
        found[name] = ctypes.c_void_p.from_address(table + 8 * place).value or 0
    return found


def _layout_holds() -> bool:
    """Read the fields of known objects where this module expects them."""
    if sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    array = np.arange(6.0).reshape(2, 3)
    turned, scalar, half = array.T, np.float64(1.5), np.float32(1.5)
    pair = (array, turned)
    word, short, real = (
        ctypes.c_uint64.from_address,
        ctypes.c_int32.from_address,
        ctypes.c_double.from_address,
    )
    return (
        word(id(array) + OBJECT_TYPE).value == id(np.ndarray)
        and word(id(array) + DATA).value == array.ctypes.data
        and short(id(array) + NDIM).value == 2
        and word(word(id(array) + DIMS).value + 8).value == 3
        and word(id(array) + DESCR).value == id(array.dtype)
        and short(id(array) + FLAGS).value & READY == READY
        and short(id(turned) + FLAGS).value & READY != READY
        and real(id(2.5) + FLOAT_VALUE).value == 2.5
        and real(id(scalar) + FLOAT_VALUE).value == 1.5
        and word(id(2.5) + OBJECT_TYPE).value == id(float)
        and ctypes.c_float.from_address(id(half) + FLOAT_VALUE).value == 1.5
        and all(t.__basicsize__ == FLOAT_VALUE + 8 and not t.__itemsize__ for t in (np.float64, np.float32))
        and word(id(pair) + ITEMS).value == id(array)
        and word(id(pair) + ITEMS + 8).value == id(turned)
        and ctypes.c_char.from_address(id(b"symprop") + PAYLOAD).value == b"s"
    )
