"""An executable: native code with its inputs, outputs and workspace, called with addresses."""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symprop.declare.printing import text
from symprop.emit.isomorphic import packs
from symprop.emit.program import SHARED_FROM, Memory, emit, samples_at_a_time
from symprop.emit.target import host
from symprop.errors import ArgumentError
from symprop.graph import Node
from symprop.graph.evaluate import evaluate
from symprop.run.arguments import address
from symprop.run.bound import bound_call
from symprop.run.engine import assembly, compile_text
from symprop.run.pool import parallel_imports
from symprop.run.results import at_a_place
from symprop.schedule.inplace import overwrite
from symprop.schedule.ir import Buffer, Schedule
from symprop.schedule.lower import lower
from symprop.schedule.plan import plan
from symprop.schedule.sink import sink

__all__ = ["Executable", "Port", "build"]

# straight-line code of so many characters of IR takes seconds at level 2; level 1 is several times quicker
# there
LONG_TEXT = 500_000
KEPT_WORKSPACE = 1 << 26  # a workspace up to this size is kept for the next call of the same thread

LONGEST_SHOWN = 80  # characters of a formula that a message shows
SHORT_WORK = 50_000  # steps up to which a call keeps the interpreter's lock: about what giving it away costs

_ELEMENTS = {"float64": "double", "float32": "float"}  # what LLVM calls them
_RELEASING = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
_KEEPING = ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)


@dataclass(frozen=True)
class Port:
    """An input or output: shape of one sample, kind "real", "integer" or "boolean", `bound` for a class
    index.
    """

    symbol: sp.Basic | None
    shape: tuple[int, ...]
    kind: str
    batched: bool
    bound: int | None = None


def build(
    roots: Sequence[Node],
    inputs: Sequence[sp.Basic],
    *,
    batched: Sequence[sp.Basic] = (),
    dtype: str = "float64",
    threads: int = 1,
    name: str = "f",
    overwrites: Mapping[int, sp.Basic] | None = None,
    accuracy: str = "precise",
) -> Executable:
    """Compile a lowered program: outputs in the order of `roots`, arguments in the order of `inputs`.

    Output number `k` is written into the memory of the input `overwrites[k]`, after everything has read it: a
    call passes the same address twice. With the accuracy "fast" elementary functions are off by up to 4 ULP.
    """
    schedule = lower(roots, inputs, batched)
    if overwrites:
        schedule = overwrite(sink(schedule), overwrites)
    schedule = plan(schedule, packs(schedule, host(), _ELEMENTS[dtype]))
    if threads > 1:
        schedule.reasons.append(f"threads: up to {threads} where the work pays; blocks and bits as with one")
    return Executable(schedule, frozenset(batched), dtype, name, accuracy, threads)


class _SingularMatrixError(ArgumentError, np.linalg.LinAlgError):
    """What callers of NumPy catch for a singular matrix, within the tree of symprop."""


class Executable:
    """Native code for one set of sizes. All arrays are C-contiguous, of the compiled dtype, integers
    int64.
    """

    def __init__(
        self,
        schedule: Schedule,
        batched: frozenset[sp.Basic],
        dtype: str,
        name: str,
        accuracy: str = "precise",
        threads: int = 1,
    ) -> None:
        self.schedule = schedule
        self.dtype = np.dtype(dtype)
        self.name = name
        self._target = host()
        self._element = element = _ELEMENTS[dtype]
        self.llvm_ir, self._memory = emit(schedule, element, self._target, accuracy, threads)
        long = len(self.llvm_ir) > LONG_TEXT and schedule.mode != "tape"
        self._level = 1 if long else 2
        imports = parallel_imports() if threads > 1 else None
        self._code = compile_text(self.llvm_ir, self._target, self._level, imports=imports)
        self._work = schedule.work()
        self._block = samples_at_a_time(schedule, self._target, element)
        bounds = {c.node.attrs[0]: c.bound for c in reversed(schedule.checks) if c.node.op == "symbol"}
        self.inputs = [
            Port(b.symbol, b.shape, b.kind, b.symbol in batched, bounds.get(b.symbol))
            for b in schedule.inputs
        ]
        self.outputs = [Port(None, b.shape, b.kind, b.batched) for b in schedule.outputs]
        # a block travels as the bytes of 64-bit numbers, which are made faster than arrays of ctypes
        self._pack = struct.Struct(f"{len(self.inputs) + len(self.outputs) + 3}Q").pack
        self._releasing, self._keeping = _RELEASING(self._code.address), _KEEPING(self._code.address)
        self._kept = threading.local()

    @property
    def memory(self) -> Memory:
        """The workspace of a call."""
        return self._memory

    @property
    def assembly(self) -> str:
        """The native code as text."""
        return assembly(self.llvm_ir, self._target, self._level)

    def stride(self, samples: int) -> int:
        """Distance between two entries of an output whose samples lie innermost: whole blocks, and no
        multiple of a page, since equally placed lines of many pages share a few places of the cache."""
        block = self._block
        rounded = -(-max(samples, 1) // block) * block
        return rounded + block if rounded * self.dtype.itemsize % 512 == 0 else rounded

    def allocate(self, number: int, samples: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """A buffer for an output, and the view of it that the user gets, of shape (samples, *shape) where
        batched.
        """
        buffer = self.schedule.outputs[number]
        kind = _dtype(buffer, self.dtype)
        if not buffer.batched:
            array = at_a_place(buffer.shape, np.dtype(kind))
            return array, array
        if not buffer.samples_last:
            array = at_a_place((samples, *buffer.shape), np.dtype(kind))
            return array, array
        array = at_a_place((buffer.entries, self.stride(samples)), np.dtype(kind))
        step, strides = array.strides[0], []
        for extent in reversed(buffer.shape):
            strides.append(step)
            step *= extent
        shape, places = (samples, *buffer.shape), (array.itemsize, *reversed(strides))
        return array, np.ndarray(shape, array.dtype, array, strides=places)

    def run(self, inputs: Sequence[int], outputs: Sequence[int], samples: int) -> None:
        """One call with addresses of arrays; raises `ArgumentError` where an index lies outside its
        bounds, or the matrix of a solve that is done once a call is singular.
        """
        workspace = self._workspace(self._memory.size(samples))
        block = self._pack(*inputs, *outputs, workspace, samples, self.stride(samples))
        status = (self._keeping if self._is_short(samples) else self._releasing)(block)
        if status:
            self._failed(status, inputs, samples)

    def prepare(
        self, inputs: Sequence[np.ndarray[Any, Any]], outputs: Sequence[np.ndarray[Any, Any]], samples: int
    ) -> Callable[[], None]:
        """A callable without arguments that works on the given arrays, which it keeps alive."""
        workspace = np.empty(self._memory.size(samples) + 64, np.uint8)
        start = -(-workspace.ctypes.data // 64) * 64
        addresses = [address(a) for a in [*inputs, *outputs]]
        block = np.array([*addresses, start, samples, self.stride(samples)], np.uint64)
        where = ctypes.c_void_p(block.ctypes.data)
        short = self._is_short(samples)
        alive = (self, block, list(inputs), list(outputs), workspace)

        entry = self._keeping if short else self._releasing

        def step() -> None:
            status = entry(where)
            if status:
                self._failed(status, addresses, samples)

        step.held = alive  # type: ignore[attr-defined]
        # the native step calls the one in Python only where a check failed: that runs it again, and raises
        return bound_call(self._code.address, block.tolist(), alive, step, short) or step

    def _is_short(self, samples: int) -> bool:
        return self._work * max(samples, 1) <= SHORT_WORK

    @property
    def short_samples(self) -> int:
        """Samples up to which a call keeps the interpreter's lock."""
        short = SHORT_WORK // max(self._work, 1)
        return min(short, SHARED_FROM) if self._memory.shared else short

    @property
    def address(self) -> int:
        """The address of the entry, which reads a block of words (see `emit.program.emit`)."""
        return self._code.address

    def _workspace(self, size: int) -> int:
        """The address of scratch memory of this thread, aligned to 64 bytes."""
        if not size:
            return 0
        kept = self._kept
        if getattr(kept, "size", 0) < size:
            kept.array = np.empty(size + 64, np.uint8)
            kept.size = size if size <= KEPT_WORKSPACE else 0  # a large one serves this call alone
            kept.start = -(-kept.array.ctypes.data // 64) * 64
        return int(kept.start)

    def _failed(self, status: int, addresses: Any, samples: int) -> None:
        """Raise for a status that is not zero: an index out of range, or a singular matrix."""
        if status <= len(self.schedule.checks):
            self._out_of_range(status, addresses, samples)
        matrix = self.schedule.solves[status - 1 - len(self.schedule.checks)].node
        shown = text(matrix)
        shown = f"the matrix {shown}" if len(shown) <= LONGEST_SHOWN else "a matrix of the program"
        names = ", ".join(sorted(str(n.attrs[0]) for n in _inputs_of(matrix)))
        raise _SingularMatrixError(
            f"{shown} of shape {matrix.shape} is singular at these values of {names or 'its entries'}: it "
            "has no inverse, and equations with it have no single solution; give other values, or add a "
            "multiple of the identity"
        )

    def _out_of_range(self, status: int, addresses: Any, samples: int) -> None:
        """Find the row and the value of the index that the native check refused, and raise."""
        check = self.schedule.checks[status - 1]
        buffers = [b for b in self.schedule.inputs if b.symbol is not None]
        arrays = {b.symbol: _view(b, int(addresses[b.number]), samples, self.dtype) for b in buffers}
        used = {n.attrs[0] for n in _inputs_of(check.node)}
        names = ", ".join(sorted(map(str, used)))
        rows = samples if any(b.batched for b in buffers if b.symbol in used) else 1
        for row in range(rows):
            values = {b.symbol: arrays[b.symbol][row] if b.batched else arrays[b.symbol] for b in buffers}
            value = int(evaluate([check.node], {s: values[s] for s in used})[0])
            if not 0 <= value < check.bound:
                where = (
                    f" in row {row}"
                    if rows > 1 or any(b.batched for b in buffers if b.symbol in used)
                    else ""
                )
                raise ArgumentError(
                    f"argument {names}: index {value}{where} is out of range, "
                    f"expected 0 to {check.bound - 1}; check the labels or the number of classes"
                )
        raise ArgumentError(f"argument {names}: an index is out of range, expected 0 to {check.bound - 1}")


def _inputs_of(node: Node) -> list[Node]:
    from symprop.graph import topological

    return [n for n in topological([node]) if n.op == "symbol"]


def _dtype(buffer: Buffer, real: np.dtype[Any]) -> Any:
    return {"real": real, "integer": np.int64, "boolean": np.bool_}[buffer.kind]


def _view(buffer: Buffer, address: int, samples: int, real: np.dtype[Any]) -> np.ndarray[Any, Any]:
    shape = ((samples,) if buffer.batched else ()) + buffer.shape
    kind = np.dtype(_dtype(buffer, real))
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if not size:
        return np.empty(shape, kind)
    return np.frombuffer((ctypes.c_char * size).from_address(address), kind).reshape(shape)
