"""Elementary functions beside glibc's vector library, libmvec: time of an element and largest error.

    python tests/benchmarks/libmvec.py [PAGE]     print the table, or write it to the page

A loop over 2,048 numbers in the cache, by turns: ours as compiled programs have it, with two or four vectors
at a time, and what gcc makes of it with `-Ofast -march=native`, which calls libmvec. Errors are those at
these numbers, against long double.
Linux on x86-64 with gcc only.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools import ulp_sweep
from tools.pages import replace_part

NAMES = (
    *("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "cbrt", "pow", "atan2"),
)
RANGES = {"atanh": (0.1, 0.9), "asin": (0.1, 0.9), "acos": (0.1, 0.9), "acosh": (1.0, 3.0)}
POSITIVE = ("log", "log1p", "log2", "log10", "pow")
SIZE, REPEATS, TURNS = 2048, 8, 40
KINDS = {"double": "", "float": "f"}


def baseline(folder: Path) -> ctypes.CDLL:
    """The loops in C."""
    lines = ["#include <math.h>"]
    for kind, suffix in KINDS.items():
        for name in NAMES:
            more = ", y[i]" if name in ulp_sweep.TWO_ARGUMENTS else ""
            lines.append(
                f"void {name}_{kind}(const {kind} *restrict x, const {kind} *restrict y, {kind} *restrict o,"
                f" long n, long r) {{ for (; r--;) {{"
                f" for (long i = 0; i < n; i++) o[i] = {name}{suffix}(x[i]{more});"
                ' __asm__ volatile("" ::: "memory"); } }'
            )
    source, library = folder / "loops.c", folder / "loops.so"
    source.write_text("\n".join(lines))
    flags = ["-Ofast", "-march=native", "-fopenmp-simd", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", library, source, "-lmvec", "-lm"], check=True)
    return ctypes.CDLL(str(library))


def row(name: str, libraries: dict[str, ulp_sweep.Library], in_c: ctypes.CDLL) -> str:
    """Times of both, their ratio, and errors, float64 and float32."""
    cells = [name]
    low, high = RANGES.get(name, (0.01 if name in POSITIVE else -5.0, 5.0))
    for kind, library in libraries.items():
        rng = np.random.default_rng(0)
        x, y = (rng.uniform(*ends, SIZE).astype(library_type(kind)) for ends in ((low, high), (-3.0, 3.0)))
        ours, theirs = np.empty_like(x), np.empty_like(x)
        c = in_c[f"{name}_{kind}"]
        c.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 2
        own = library.address(name, repeat=True)
        calls = [(own, ours), (c, theirs)]
        least = [float("inf")] * 2
        for _ in range(TURNS):
            for k, (call, out) in enumerate(calls):
                start = time.perf_counter()
                call(x.ctypes.data, y.ctypes.data, out.ctypes.data, SIZE, REPEATS)
                least[k] = min(least[k], time.perf_counter() - start)
        times = [1e9 * t / SIZE / REPEATS for t in least]
        cells += [f"{times[0]:.2f}", f"{times[1]:.2f}", f"{times[0] / times[1]:.2f}"]
        exact = ulp_sweep.LONG.get(name)
        args = (x, y) if name in ulp_sweep.TWO_ARGUMENTS else (x,)
        for out in (ours, theirs):
            error = None
            if exact is not None:
                error = ulp_sweep.array_errors(
                    out, exact(*(a.astype(np.longdouble) for a in args)), kind
                ).max()
            cells.append("" if error is None else f"{error:.2f}")
    return "| " + " | ".join(cells) + " |"


def library_type(kind: str) -> type[np.floating]:
    return {"double": np.float64, "float": np.float32}[kind]


def main() -> None:
    """Print the table, or write it."""
    target = ulp_sweep.make_target("host")
    libraries = {
        kind: ulp_sweep.Library(target, kind, 2 * target.lanes(kind), NAMES, ordered=True) for kind in KINDS
    }
    columns = ["ns", "libmvec, ns", "ratio", "error, ULP", "libmvec"]
    head = "| | " + " | ".join([*columns, "float32, ns", *columns[1:]]) + " |"
    lines = [head, "|---" + "|---:" * 10 + "|"]
    with tempfile.TemporaryDirectory() as folder:
        in_c = baseline(Path(folder))
        for name in NAMES:
            lines.append(row(name, libraries, in_c))
            print(lines[-1], flush=True)
    if len(sys.argv) > 1:
        replace_part(Path(sys.argv[1]), "libmvec", "\n".join(lines))


if __name__ == "__main__":
    main()
