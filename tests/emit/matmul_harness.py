"""Compile one matrix product as a function of its own and call it with NumPy arrays."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from symprop.emit.builder import I64, PTR, Builder, Module, Target, Value, vector
from symprop.emit.matmul import Epilogue, Operand, emit_matmul, store_to

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
NUMBERS = count()
GUARD = 0xA5
ELEMENTS = {np.dtype(np.float64): "double", np.dtype(np.float32): "float"}
POINTERS = ("a", "b", "c", "d", "scratch")
SIZES = ("m", "n", "k", "ar", "ac", "br", "bc", "cr", "cc")


def target(level: str = "host") -> Target:
    """The machine that runs this, or one of the x86-64 levels."""
    triple = llvm.get_process_triple()
    if level == "host":
        names = llvm.get_host_cpu_features()
        level = "v4" if names.get("avx512vl") else "v3" if names.get("avx2") and names.get("fma") else "v1"
        cpu, features = llvm.get_host_cpu_name(), names.flatten()
    else:
        cpu, features = {"v1": "x86-64"}.get(level, f"x86-64-{level}"), ""
    bits, registers, fma = {"v1": (128, 16, False), "v3": (256, 16, True), "v4": (512, 32, True)}[level]
    return Target(triple, cpu, features, bits, registers, fma)


@dataclass(frozen=True)
class Problem:
    """What is known when a product is compiled; a size or stride that is None comes with the call."""

    element: str
    m: int | None = None
    n: int | None = None
    k: int | None = None
    ar: int | None = None
    ac: int | None = None
    br: int | None = None
    bc: int | None = None
    cr: int | None = None
    cc: int | None = None
    accumulate: bool = False
    along: str | None = None
    epilogue: str = "store"
    reads: int = 0  # so often the epilogue is said to read C
    options: tuple[tuple[str, Any], ...] = ()


def bias_relu(bias: Value, target_: Operand) -> Epilogue:
    """maximum(C + bias[j], 0)"""
    plain = store_to(target_)

    def store(b: Builder, acc: Value, i: Value, j: Value, count_: int, mask: Value | None, axis: Any) -> None:
        kind = vector(acc.type.element)
        lanes = acc.type.lanes
        address = b.element(bias, j, kind)
        if axis == "m" or lanes == 1:
            extra = b.splat(b.load(address, kind), lanes)
        elif mask is None:
            extra = b.load(address, acc.type)
        else:
            extra = b.masked_load(address, acc.type, mask, Value("zeroinitializer", acc.type))
        total = b.fadd(acc, extra)
        zero = b.splat(b.const(0.0, kind), lanes)
        plain(b, b.select(b.fcmp("ogt", total, zero), total, zero), i, j, count_, mask, axis)

    return store


def module_text(problem: Problem, target_: Target) -> str:
    """The IR of the function of a problem."""
    return program(problem, target_)[0]


def program(problem: Problem, target_: Target) -> tuple[str, int]:
    """The IR of `void product(a, b, c, d, scratch, m, n, k, strides ...)`, and its scratch bytes."""
    module = Module(target_)
    b = Builder(module)
    pointers = {name: Value(f"%{name}", PTR) for name in POINTERS}
    sizes: dict[str, Any] = {}
    for name in SIZES:
        known = getattr(problem, name)
        sizes[name] = Value(f"%{name}", I64) if known is None else known
    used = [0]
    kind = vector(problem.element)

    def scratch(elements: int) -> Value:
        assert isinstance(elements, int)
        unit = 64 // (kind.bits // 8)
        here = used[0]
        used[0] = here + -(-elements // unit) * unit
        return b.element(pointers["scratch"], here, kind)

    a = Operand(pointers["a"], sizes["ar"], sizes["ac"])
    b_ = Operand(pointers["b"], sizes["br"], sizes["bc"])
    c = Operand(pointers["c"], sizes["cr"], sizes["cc"])
    epilogue = store_to(c) if problem.epilogue == "store" else bias_relu(pointers["d"], c)
    emit_matmul(
        b, problem.element, sizes["m"], sizes["n"], sizes["k"], a, b_, epilogue, scratch=scratch,
        accumulate_into=c if problem.accumulate else None, along=problem.along,  # type: ignore[arg-type]
        reads=[c] * problem.reads, **dict(problem.options),
    )  # fmt: skip
    b.emit("ret void")
    head = ", ".join([f"ptr %{p}" for p in POINTERS] + [f"i64 %{s}" for s in SIZES])
    module.functions["product"] = b.define(f"void @product({head})")
    return module.text(), used[0] * kind.bits // 8


def machine(target_: Target) -> Any:
    """A target machine at code generation level 2."""
    chosen = llvm.Target.from_triple(target_.triple)
    return chosen.create_target_machine(
        cpu=target_.cpu, features=target_.features, opt=2, reloc="pic", codemodel="small"
    )


def assembly(problem: Problem, target_: Target) -> str:
    """The assembly for any target."""
    return str(machine(target_).emit_assembly(llvm.parse_assembly(module_text(problem, target_))))


class Compiled:
    """The function of one problem."""

    def __init__(self, problem: Problem, target_: Target) -> None:
        self.problem = problem
        start = time.perf_counter()
        text, scratch = program(problem, target_)
        middle = time.perf_counter()
        self.engine = llvm.create_lljit_compiler(machine(target_))
        library = llvm.JITLibraryBuilder().add_ir(text).export_symbol("product").add_current_process()
        self.tracker = library.link(self.engine, f"product{next(NUMBERS)}")
        self.address = self.tracker["product"]
        self.emit_seconds, self.compile_seconds = middle - start, time.perf_counter() - middle
        kinds = [ctypes.c_void_p] * len(POINTERS) + [ctypes.c_int64] * len(SIZES)
        self.function = ctypes.CFUNCTYPE(None, *kinds)(self.address)
        self.memory = np.full(scratch + 192, GUARD, np.uint8)
        first = -self.memory.ctypes.data % 64
        self.scratch, self.guard = self.memory[first:], self.memory[first + scratch :]

    def arguments(self, a: Any, b: Any, c: Any, bias: Any = None) -> list[int]:
        """The arguments of a call."""
        m, k = a.shape
        n = b.shape[1]
        size = a.itemsize
        strides = [s // size for x in (a, b, c) for s in x.strides]
        for name, number in zip(SIZES, [m, n, k, *strides], strict=True):
            known = getattr(self.problem, name)
            assert known is None or known == number or min(m, n, k) < 2, (name, known, number)
        pointers = [x.ctypes.data if x is not None else 0 for x in (a, b, c, bias, self.scratch)]
        return [*pointers, m, n, k, *strides]

    def __call__(self, a: Any, b: Any, c: Any, bias: Any = None) -> None:
        self.function(*self.arguments(a, b, c, bias))
        assert (self.guard == GUARD).all(), "memory behind the scratch memory was written"


@lru_cache(maxsize=128)
def compiled(problem: Problem, level: str = "host") -> Compiled:
    """Compile once."""
    return Compiled(problem, target(level))


def known(problem: Problem, a: Any, b: Any, c: Any, names: str) -> Problem:
    """The problem with the given sizes and strides written into the code."""
    numbers = dict(zip(SIZES, [a.shape[0], b.shape[1], a.shape[1]], strict=False))
    strides = [s // a.itemsize for x in (a, b, c) for s in x.strides]
    numbers.update(zip(SIZES[3:], strides, strict=True))
    return replace(problem, **{name: numbers[name] for name in names.split()})
