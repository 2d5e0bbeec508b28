"""Measure the float32 functions of one argument at every one of the 2^32 values, and write their rows into
docs/accuracy.md.

    python tests/tools/float32_sweep.py [--fast] [--stride N] [--missing] [--output PAGE] [NAME ...]

The reference is a float64 function of NumPy or SciPy, which is itself compared with mpmath at `SAMPLES`
values; its error is a column of the table. A function takes half a minute to ten minutes; the row of each is
written when it is done, and `--missing` goes on with those that have not been measured at every value.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import scipy.special as special

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from tools import ulp_sweep as sweep  # noqa: E402
from tools.pages import part, rows, update_rows  # noqa: E402

from symprop.emit.math import ELEMENTARY, FAST  # noqa: E402

Array = np.ndarray[Any, Any]
SAMPLES = 600
CHUNK = 1 << 15  # arrays that stay in the second-level cache
ALL = 1 << 32
HEAD = """| function | values | largest error, ULP | at | error of the reference, ULP |
|---|---:|---:|---|---:|"""


def polygamma(order: int) -> Callable[[Array], Array]:
    """SciPy's for positive arguments; the others by reflection, DLMF 5.15.6."""

    def value(x: Array) -> Array:
        positive = np.where(x > 0, x, 1 - x)
        result = special.polygamma(order, positive)
        left = np.flatnonzero(x < 0)
        if len(left):
            part = x[left]
            fraction = part - np.rint(part)
            c = np.sin(np.pi * (0.5 - np.abs(fraction))) / np.sin(np.pi * fraction)
            square = c * c
            slope = {
                1: -(1 + square),
                2: 2 * c * (1 + square),
                3: -2 * (1 + square) * (1 + 3 * square),
                4: 8 * c * (1 + square) * (2 + 3 * square),
            }[order]
            result[left] = (-1) ** order * result[left] - np.pi ** (order + 1) * slope
        return np.where(np.isinf(x) & (x < 0), np.nan, result)

    return value


def log_gamma(x: Array) -> Array:
    return np.where(np.isinf(x), np.inf, special.gammaln(x))


def bessel(order: int) -> Callable[[Array], Array]:
    """SciPy's up to 25, and Hankel's expansion, DLMF 10.17.3, from there on: SciPy loses the phase."""
    near = (special.j0, special.j1)[order]

    def value(x: Array) -> Array:
        size = np.maximum(np.abs(x), 25.0)
        p, q, term = np.ones_like(size), np.zeros_like(size), np.ones_like(size)
        for k in range(1, 20):
            term = term * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k * size)
            sign = 1 if k % 4 < 2 else -1
            p, q = (p, q + sign * term) if k % 2 else (p + sign * term, q)
        s, c = np.sin(size), np.cos(size)
        one, other = (s - c, -(s + c)) if order else (s + c, s - c)  # sqrt(2) cos and sin of the phase
        far = (p * one - q * other) / np.sqrt(np.pi * size)
        far = np.where(np.isinf(size), 0.0, np.where((x < 0) & (order == 1), -far, far))
        return np.where(np.abs(x) < 25, near(x), np.where(np.isnan(x), x, far))

    return value


REFERENCES: dict[str, Callable[[Array], Array]] = {
    **{name: function for name, function in sweep.LONG.items() if name not in sweep.TWO_ARGUMENTS},
    "erf": special.erf,
    "erfc": special.erfc,
    "normal_cdf": special.ndtr,
    "erfi": special.erfi,
    "erfinv": special.erfinv,
    "erfcinv": special.erfcinv,
    "gamma": special.gamma,
    "loggamma": log_gamma,
    "digamma": special.psi,
    "trigamma": polygamma(1),
    **{f"polygamma_{n}": polygamma(n) for n in (2, 3, 4)},
    "j0": bessel(0),
    "j1": bessel(1),
}


def scales(name: str, x: Array) -> Array | float:
    """The size beside which an error is measured, where that of the value itself is smaller."""
    size = np.abs(x)
    if name in ("j0", "j1"):
        return np.where(size < 8, 0.0, np.sqrt(2 / (np.pi * np.maximum(size, 1))))
    if name in ("polygamma_2", "polygamma_4"):  # two terms of this size are subtracted
        return np.where(x < 0, np.abs(special.polygamma(int(name[-1]), 1 - np.minimum(x, 0))), 0.0)
    return np.where(x < 0, 1.0, 0.0) if name in ("loggamma", "digamma") else 0.0


def errors(got: Array, exact: Array, scale: Array | float = 0.0) -> Array:
    """Errors of float32 results in ULP of the exact float64 values; infinite where one is NaN alone."""
    size = np.maximum(np.abs(exact), scale)
    exponent = ((size.view(np.int64) >> 52) & 0x7FF) - 1023
    unit = np.clip(exponent, -126, 127) - 23
    factor = ((1023 - unit) << 52).view(np.float64)
    wide = got.astype(np.float64)
    found: Array = np.abs(wide - exact) * factor
    odd = ~np.isfinite(wide) | ~np.isfinite(exact)
    if odd.any():
        g, r = wide[odd], exact[odd]
        same = (np.isnan(g) & np.isnan(r)) | (g == r)
        over = np.isinf(g) & (np.sign(g) == np.sign(r)) & (np.abs(r) >= 2.0**128 * (1 - 2.0**-25))
        found[odd] = np.where(same | over, 0.0, np.inf)
    return found


def largest(got: Array, exact: Array) -> tuple[float, int]:
    """The largest of `errors`, and where; quickly where everything is finite."""
    unit = (exact.view(np.int64) & 0x7FF0000000000000).view(np.float64)  # of the exponent, 2^23 ULP
    np.clip(unit, 2.0**-126, 2.0**127, out=unit)
    found = got - exact
    np.abs(found, out=found)
    found /= unit
    at = int(found.argmax())  # the first NaN, if there is one
    if math.isfinite(found[at]):
        return float(found[at]) * 2.0**23, at
    if ((got == exact) | (np.isnan(got) & np.isnan(exact))).all():
        return 0.0, 0
    found = errors(got, exact)
    at = int(found.argmax())
    return float(found[at]), at


def measure(library: sweep.Library, name: str, stride: int) -> tuple[int, float, float]:
    """How many values, the largest error, where."""
    reference, worst, where, count = REFERENCES[name], -1.0, 0.0, 0
    family = name in sweep.GAMMA_FAMILY
    steps = np.arange(0, CHUNK * stride, stride, dtype=np.uint32)
    relative = isinstance(scales(name, np.ones(1)), float)
    for start in range(0, ALL, CHUNK * stride):
        x = (steps + np.uint32(start)).view(np.float32)[: -(-(ALL - start) // stride)]
        with np.errstate(all="ignore"):
            if family:  # the poles have values by convention, which a test of their own compares
                x = x[~((x <= 0) & (x == np.rint(x)))]
            if not len(x):
                continue
            wide = x.astype(np.float64)
            got, exact = library(name, x), reference(wide)
            if relative:
                error, at = largest(got, exact)
            else:
                found = errors(got, exact, scales(name, wide))
                at = int(found.argmax())
                error = float(found[at])
        count += len(x)
        if error > worst:
            worst, where = error, float(x[at])
    return count, worst, where


def reference_error(name: str) -> float:
    """The largest error of the reference in ULP of float32, at random values, against mpmath."""
    random = np.random.default_rng(0)
    bits = random.integers(0, 1 << 32, 4 * SAMPLES, dtype=np.uint64).astype(np.uint32).view(np.float32)
    sampled, _ = sweep.sample(name, "float", SAMPLES // 2)
    x = np.concatenate([bits[np.isfinite(bits)][:SAMPLES], random.permutation(sampled)[:SAMPLES]])
    x = np.array([v for v in x if v and (sweep.valid(name, float(v)) or name in ("erf", "normal_cdf"))])
    wide = x.astype(np.float64)
    size = np.broadcast_to(scales(name, wide), x.shape)
    with np.errstate(all="ignore"):
        found = REFERENCES[name](wide)
    worst = 0.0
    for value, point, scale in zip(found, wide, size, strict=True):
        if (abs(point) > 1e4 and name in ("erf", "erfc", "normal_cdf")) or not np.isfinite(value):
            continue
        exact = sweep.reference(name, float(point))
        unit = max(int(mpmath.floor(mpmath.log(max(abs(exact), scale, 2.0**-149), 2))), -126) - 23
        worst = max(worst, float(abs(mpmath.mpf(value) - exact) / mpmath.mpf(2) ** unit))
    return worst


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--fast", action="store_true", help='the functions of accuracy="fast"')
    parser.add_argument("--stride", type=int, default=1, help="take every so many values only")
    parser.add_argument("--missing", action="store_true", help="leave out what was measured at every value")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/accuracy.md")
    options = parser.parse_args()
    table = FAST if options.fast else ELEMENTARY
    order = [name for name in table if name not in sweep.TWO_ARGUMENTS]
    target = sweep.make_target("host")
    section = "float32 fast" if options.fast else "float32 precise"
    for name in options.names or order:
        known = rows(part(options.output, section)).get(name, ["0"])
        if options.missing and int(known[0].replace(",", "")) > ALL * 0.7:  # of some the poles are left out
            continue
        begun = time.process_time()
        library = sweep.Library(target, "float", target.lanes("float"), [name], options.fast)
        count, error, at = measure(library, name, options.stride)
        row = [f"{count:,}", f"{error:.3f}", f"{at:.9g}", f"{reference_error(name):.1g}"]
        print(name, *row, f"{time.process_time() - begun:.0f} s", flush=True)
        update_rows(options.output, section, HEAD, {name: row}, order)


if __name__ == "__main__":
    main()
