"""Matrix products of our own beside NumPy's, interleaved in one run: GFLOP/s and part of the measured peak.

    python tests/benchmarks/matmul.py [--sizes 4,64,96x64x10] [--dtype float32] [--kinds nn,tn,nt] [--runtime]

Sizes are m x k x n. Run it on an idle core; it asks for one BLAS thread itself. `nn` is A B, `tn` is A^T B,
`nt` is A B^T. `--free m` leaves a size to the call.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "emit")]

import llvmlite.binding as llvm  # noqa: E402
import numpy as np  # noqa: E402
from limits import multiply_adds  # noqa: E402
from matmul_harness import ELEMENTS, POINTERS, SIZES, Compiled, Problem, known, machine, target  # noqa: E402

from symprop.emit.builder import I64, Builder, Module, Value  # noqa: E402

DEFAULT = "4,8,16,32,64,96,128,256,512,1x256x256,32x64x10,64x784x256,256x784x256,256x256x128,256x1024x1024"


def runner(text: str, name: str, arguments: list[int], count: int) -> Any:
    """A function of no arguments that calls `name` often, without going through Python each time."""
    heads = ", ".join(
        ["ptr %f"] + [f"ptr %p{i}" for i in range(len(POINTERS))] + [f"i64 %s{i}" for i in range(len(SIZES))]
    )
    passed = ", ".join(
        [f"ptr %p{i}" for i in range(len(POINTERS))] + [f"i64 %s{i}" for i in range(len(SIZES))]
    )
    module = Module(target())
    b = Builder(module)
    with b.loop(Value("0", I64), Value("%times", I64)):
        b.emit(f"call void %f({passed})")
    b.emit("ret void")
    module.functions["repeat"] = b.define(f"void @repeat({heads}, i64 %times)")
    engine = llvm.create_lljit_compiler(machine(target()))
    tracker = llvm.JITLibraryBuilder().add_ir(module.text()).export_symbol("repeat").link(engine, "repeat")
    kinds = [ctypes.c_void_p] * (1 + len(POINTERS)) + [ctypes.c_int64] * (len(SIZES) + 1)
    function = ctypes.CFUNCTYPE(None, *kinds)(tracker["repeat"])
    keep = (engine, tracker, text, name)
    return lambda address, args, times: (function(address, *args, times), keep)[0]


def main() -> None:
    """Print one line a product."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=DEFAULT)
    parser.add_argument("--dtype", default="float32,float64")
    parser.add_argument("--kinds", default="nn,tn,nt")
    parser.add_argument("--free", default="", help="sizes that come with the call, such as m or mk")
    parser.add_argument("--dots", action="store_true", help="dot products where they apply")
    parser.add_argument("--runtime", action="store_true", help="sizes and strides given by the call")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    repeat = runner("", "", [], 1)
    for name in options.dtype.split(","):
        dtype = np.dtype(name)
        element = ELEMENTS[dtype]
        limit = multiply_adds(name)
        for kind in options.kinds.split(","):
            for text in options.sizes.split(","):
                shape = [int(s) for s in text.split("x")]
                m, k, n = shape * 3 if len(shape) == 1 else shape
                a = rng.standard_normal((k, m) if kind[0] == "t" else (m, k)).astype(dtype)
                b = rng.standard_normal((n, k) if kind[1] == "t" else (k, n)).astype(dtype)
                a, b = (a.T if kind[0] == "t" else a), (b.T if kind[1] == "t" else b)
                c, d = np.zeros((m, n), dtype), np.zeros((m, n), dtype)
                unit = Problem(
                    element, cc=1, ac=None if kind[0] == "t" else 1, ar=1 if kind[0] == "t" else None,
                    bc=None if kind[1] == "t" else 1, br=1 if kind[1] == "t" else None,
                )  # fmt: skip
                problem = unit if options.runtime else known(unit, a, b, c, " ".join(SIZES))
                problem = replace(problem, **dict.fromkeys(options.free), options=(("dots", options.dots),))
                ours = Compiled(problem, target())
                arguments = ours.arguments(a, b, c)
                work = 2 * m * n * k
                times = max(1, int(2e6 * 20 / work))
                best = [1e9, 1e9, 1e9]
                for _ in range(options.rounds):
                    clock = time.thread_time  # leaves out what others use of the core
                    t0 = clock()
                    repeat(ours.address, arguments, times)
                    t1 = clock()
                    turns = min(times, 2000)
                    for _ in range(turns):
                        np.matmul(a, b, out=d)
                    t2 = clock()
                    limit.call()
                    t3 = clock()
                    spent = ((t1 - t0) / times, (t2 - t1) / turns, (t3 - t2) / limit.amount * work)
                    best = [min(x, y) for x, y in zip(best, spent, strict=True)]
                error = np.abs(c - d).max() / np.abs(d).max()
                print(
                    f"{name} {kind} {m:5d} x {k:4d} x {n:4d}: ours {best[0] * 1e6:9.3f} us "
                    f"{work / best[0] / 1e9:6.1f} GFLOP/s {100 * best[2] / best[0]:5.1f}% of peak, NumPy "
                    f"{work / best[1] / 1e9:6.1f} ({best[1] / best[0]:.2f} x), compiled in "
                    f"{1e3 * ours.compile_seconds:.0f} ms, error {error:.1e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
