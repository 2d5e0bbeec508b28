"""What the machine can do at most, for measuring in the same turns: multiply-adds, filling of memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symprop.emit.builder import PTR, Builder, Module, Value, vector
from symprop.emit.target import host
from symprop.run.engine import compile_text

CHAINS, ROUNDS = 12, 20_000  # sums in registers that hide each other's latency; about 30 microseconds


@dataclass(frozen=True)
class Limit:
    """A call that does nothing else, and how many operations or bytes it does."""

    name: str
    call: Callable[[], Any]
    amount: float


def multiply_adds(dtype: str) -> Limit:
    """Independent multiply-adds of whole vectors: the peak that a matrix product is measured by."""
    element = {"float32": "float", "float64": "double"}[dtype]
    module = Module(host())
    b = Builder(module)
    lanes = module.target.lanes(element)
    wide = vector(element, lanes)
    start = [b.load(Value("%p", PTR), wide) for _ in range(CHAINS)]
    factor = b.splat(b.load(Value("%p", PTR), vector(element)), lanes)
    with b.loop(Value("0", vector("i64")), Value(str(ROUNDS), vector("i64")), carry=start) as loop:
        loop.next = [b.fma(x, factor, factor) for x in loop.carried]
    total = loop.results[0]
    for x in loop.results[1:]:
        total = b.fadd(total, x)
    b.store(total, Value("%p", PTR))
    b.emit("ret void")
    module.functions["peak"] = b.define("void @peak(ptr %p)")
    code = compile_text(module.text(), host(), symbol="peak")
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.address)
    data = np.zeros(64)

    def call() -> Any:
        function(data.ctypes.data)
        return code

    return Limit("multiply-adds", call, 2.0 * CHAINS * lanes * ROUNDS)


def fill(size: int) -> Limit:
    """Filling an array of so many bytes."""
    array = np.empty(size // 8)
    return Limit("filling memory", lambda: array.fill(1.0), float(array.nbytes))
