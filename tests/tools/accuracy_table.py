"""Write the float64 tables of docs/accuracy.md: errors of elementary functions, activations and their
derivatives, in ULP, and times. The rest of the page is left as it is.

    python tests/tools/accuracy_table.py [--points 100000] [--errors [--only NAME]] [--output PAGE] [PART ...]

Parts: elementary, fast, activations (default: all); with `--errors` the times of the first two stay as they
are. Elementary functions are measured by `ulp_sweep.py`, at the points of `adversarial.py` too, in the code
for this processor and for AVX2 and SSE2. Activations are compiled with their derivatives and compared with
formulas of mpmath written here, differentiated by mpmath: nothing is shared with symprop.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

import symprop
from symprop import nn
from symprop.emit.math import ELEMENTARY, FAST

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from tools import adversarial, ulp_sweep  # noqa: E402
from tools.pages import part, replace_part, rows  # noqa: E402

ROUNDS = 12  # of the search around the worst points
Table = dict[str, list[str]]
SLOW = 5000  # points of either kind where only mpmath has the function


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


def largest(library: ulp_sweep.Library, name: str, points: int) -> tuple[float, str, int]:
    """The largest float64 error of a function, where, and how many points there were."""
    long = name in ulp_sweep.LONG
    count = points if long else SLOW
    x, y = ulp_sweep.sample(name, "double", count)
    if name == "beta":
        args: tuple[Any, ...] = (x, y)
    elif y is not None:
        args = tuple(
            np.concatenate(both) for both in zip((x, y), adversarial.pairs(name, "double"), strict=True)
        )
    else:
        hard = adversarial.points(name, "double")
        hard = np.concatenate([hard, ulp_sweep.corners(name, "double")])
        hard = np.array([p for p in hard if ulp_sweep.valid(name, float(p))])
        if not long:
            hard = np.random.default_rng(0).permutation(hard)[:SLOW]
        args = (np.concatenate([x, hard]),)
    error, at = ulp_sweep.worst_of(library, name, args, long, ROUNDS)
    return error, ", ".join(f"{v:.6g}" for v in at), len(args[0])


def errors_of(name: str, points: int, quick: bool = False) -> list[str]:
    """The largest error and where, on AVX2, on SSE2, and how many points there were."""
    found = []
    for target in map(ulp_sweep.make_target, ("host", "avx2", "sse2")):
        library = ulp_sweep.Library(target, "double", target.lanes("double"), [name], quick)
        found.append(largest(library, name, points))
    (error, at, count), *others = found
    return [f"{error:.3f}", at, *(f"{e:.3f}" for e, _, _ in others), f"{count:,}"]


def elementary(points: int, known: Table, chosen: Sequence[str] = ()) -> list[str]:
    """One row for each function, its time and that of float32 beside it; times of known rows stay, and whole
    rows of functions that are not chosen."""
    target = ulp_sweep.make_target("host")
    double, single = (
        ulp_sweep.Library(target, element, target.lanes(element)) for element in ("double", "float")
    )
    rows = []
    for name in ELEMENTARY:
        cells = known.get(name, [])
        if not chosen or name in chosen:
            times = cells[-2:] or [
                f"{ulp_sweep.nanoseconds(library, name):.2f}" for library in (double, single)
            ]
            cells = [*errors_of(name, points), *times]
            print(name, *cells, flush=True)
        rows.append("| " + " | ".join([name, *cells]) + " |")
    return rows


def fast(points: int, known: Table, chosen: Sequence[str] = ()) -> list[str]:
    """The functions of `accuracy="fast"` beside the precise ones; times of rows that are known stay."""
    target = ulp_sweep.make_target("host")
    libraries = {
        (element, quick): ulp_sweep.Library(target, element, target.lanes(element), list(FAST), quick)
        for element in ("double", "float")
        for quick in (False, True)
    }
    rows = []
    for name in FAST:
        cells = [name, *known.get(name, [])]
        if not chosen or name in chosen:
            cells = [name, *errors_of(name, points, True)[:-1], *known.get(name, [])[-6:]]
            for element in () if name in known else ("double", "float"):
                # one after the other, several times: the load of the machine changes
                pair = [libraries[element, quick] for quick in (False, True)]
                both = [[ulp_sweep.nanoseconds(library, name) for library in pair] for _ in range(4)]
                slow, quick_time = (min(times) for times in zip(*both, strict=True))
                cells += [f"{slow:.2f}", f"{quick_time:.2f}", f"{slow / quick_time:.2f}"]
            print(*cells, flush=True)
        rows.append("| " + " | ".join(cells) + " |")
    return rows


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


HEADS = {
    "elementary": """| function | largest error | at | AVX2 | SSE2 | points | ns an element | float32, ns |
|---|---:|---|---:|---:|---:|---:|---:|""",
    "fast": """| | error | at | AVX2 | SSE2 | precise, ns | fast | ratio | float32, ns | fast | ratio |
|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|""",
    "activations": """| | value: median | 90% | largest | derivative: median | 90% | largest |
|---|---:|---:|---|---:|---:|---|""",
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", help="elementary, fast, activations")
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--errors", action="store_true", help="leave the times as they are")
    parser.add_argument("--only", action="append", default=[], help="with --errors: these functions")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/accuracy.md")
    options = parser.parse_args()
    target = ulp_sweep.make_target("host")
    make = {
        "elementary": lambda known: elementary(options.points, known, options.only),
        "fast": lambda known: fast(options.points, known, options.only),
        "activations": lambda known: activations(),
    }
    for name in options.parts or make:
        known = rows(part(options.output, name)) if options.errors else {}
        replace_part(options.output, name, "\n".join([HEADS[name], *make[name](known)]))
    if options.errors:
        return
    machine = f"Measured on LLVM's `{target.cpu}` with vectors of {target.vector_bits} bits."
    replace_part(options.output, "machine", machine)


if __name__ == "__main__":
    main()
