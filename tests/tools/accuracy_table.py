"""Write docs/accuracy.md: the errors of elementary functions, activations and their derivatives, in ULP.

    python tests/tools/accuracy_table.py [--points 200000] [--output docs/accuracy.md]

Elementary functions are measured by `ulp_sweep.py`. Activations are compiled with their derivatives and
compared with formulas of mpmath written here, differentiated by mpmath: nothing is shared with symprop.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

import symprop
from symprop import nn
from symprop.emit.math import ELEMENTARY
from symprop.graph import OPERATIONS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from tools import ulp_sweep  # noqa: E402

SLOW = 4000  # points where only mpmath has the function


def phi(x: Any) -> Any:
    """The normal distribution, without cancellation on the left."""
    return mp.erfc(-x / mp.sqrt(2)) / 2


def sigma(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sigmoid": (nn.sigmoid, sigma),
    "tanh": (nn.tanh, mp.tanh),
    "softplus": (nn.softplus, lambda x: mp.log1p(mp.exp(x))),
    "log_sigmoid": (nn.log_sigmoid, lambda x: -mp.log1p(mp.exp(-x))),
    "silu": (nn.silu, lambda x: x * sigma(x)),
    "gelu": (nn.gelu, lambda x: x * phi(x)),
    "elu": (nn.elu, lambda x: x if x > 0 else mp.expm1(x)),
    "mish": (nn.mish, lambda x: x * mp.tanh(mp.log1p(mp.exp(x)))),
    "sigmoid, squared error": (
        lambda x: nn.squared_error(nn.sigmoid(x), sp.S.One),
        lambda x: (1 / (1 + mp.exp(x))) ** 2 / 2,
    ),
    "log(1 + exp(x))": (lambda x: sp.log(1 + sp.exp(x)), lambda x: mp.log1p(mp.exp(x))),
    "1/(1 + exp(-x))": (lambda x: 1 / (1 + sp.exp(-x)), sigma),
}


def elementary(points: int) -> list[str]:
    """One row for each function that an operation asks for, both precisions."""
    target = ulp_sweep.make_target("host")
    names = [name for name in ELEMENTARY if name in OPERATIONS]
    rows = {name: [name] for name in names}
    for element in ("double", "float"):
        library = ulp_sweep.Library(target, element, target.lanes(element), names)
        for name in names:
            long = name in ulp_sweep.LONG
            error, at = ulp_sweep.worst(library, name, points if long else SLOW, long)
            shown = ", ".join(f"{x:.6g}" for x in at)
            rows[name] += [f"{error:.3f}", shown]
            if element == "double":
                rows[name].append(f"{points if long else SLOW:,}")
            print(f"{element} {name} {error:.3f} at {shown}", flush=True)
    return ["| " + " | ".join(row) + " |" for row in rows.values()]


def activations(count: int = 3000) -> list[str]:
    """Errors of compiled values and derivatives: the median, nine tenths, the largest, and where."""
    random = np.random.default_rng(0)
    points = np.concatenate([random.uniform(-40, 40, count // 2), random.uniform(-2, 2, count // 2)])
    x = sp.Symbol("x")
    rows = []
    for name, (ours, exact) in ACTIVATIONS.items():
        f = symprop.compile(ours(x), args=[x], batch=[x], wrt=[x])
        value, (slope,) = f.value_and_grad(points)
        cells = [name]
        for found, right in ((value, exact), (slope, lambda p, exact=exact: mp.diff(exact, p))):
            with mp.workdps(60):
                errors = np.array(
                    [
                        ulp_sweep.ulp_error(got, right(mp.mpf(p)), "double")
                        for got, p in zip(found, points, strict=True)
                    ]
                )
            cells += [f"{np.median(errors):.2f}", f"{np.quantile(errors, 0.9):.3g}"]
            cells += [f"{errors.max():.3g} at {points[errors.argmax()]:.4g}"]
        print(*cells, flush=True)
        rows.append("| " + " | ".join(cells) + " |")
    return rows


TEXT = """# Accuracy

Written by `python tests/tools/accuracy_table.py`; do not edit by hand. Machine: vectors of {bits} bits,
LLVM's `{cpu}`. On processors with a fused multiply-add the generated code gives the same bits for every
width of vectors.

## Elementary functions

The largest error found, in units of the last place of the exact value, over points of even and logarithmic
density on the whole domain, random bit patterns where the domain is that wide, and the corners where a
method changes or a result overflows. The reference is long double where NumPy has the function, else
mpmath.

| function | float64, ULP | at | points per range | float32, ULP | at |
|---|---:|---|---:|---:|---|
{elementary}

## Activations and their derivatives, compiled

Errors in ULP at {count} points in -40 ... 40, float64, against mpmath at 60 digits: the median, nine tenths
of the points, the largest error and where. Next to a zero of the exact derivative (that of gelu at -0.7518,
of silu at -1.278, of mish at -1.192) one ULP of the result is as small as one likes, which is where their
largest errors lie.

| | value: median | 90% | largest | derivative: median | 90% | largest |
|---|---:|---:|---|---:|---:|---|
{activations}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "accuracy.md")
    options = parser.parse_args()
    target = ulp_sweep.make_target("host")
    text = TEXT.format(
        bits=target.vector_bits,
        cpu=target.cpu,
        elementary="\n".join(elementary(options.points)),
        count=3000,
        activations="\n".join(activations()),
    )
    options.output.write_text(text)


if __name__ == "__main__":
    main()
