"""Arguments at which elementary functions go wrong: where reductions change, the floats nearest to multiples
of pi/2, powers of two, subnormal numbers, borders of overflow and underflow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

Array = np.ndarray[Any, Any]
KINDS: dict[str, Any] = {"double": np.float64, "float": np.float32}
EXPONENTS = {"double": (-1074, 1023, 53), "float": (-149, 127, 24)}
EXPONENTIAL = (
    *("exp", "exp2", "expm1", "sinh", "cosh", "tanh", "sigmoid", "softplus", "tanh_prime", "sigmoid_prime"),
)
TRIGONOMETRIC = ("sin", "cos", "tan")


def around(values: Array, kind: Any, steps: int = 2) -> Array:
    """The values and their neighbours."""
    up = down = found = np.asarray(values, np.longdouble).astype(kind)
    parts = [found]
    for _ in range(steps):
        up, down = np.nextafter(up, kind(np.inf)), np.nextafter(down, kind(-np.inf))
        parts += [up, down]
    return np.concatenate(parts)


def powers_of_two(element: str) -> Array:
    """Every power, the subnormal ones included, three quarters of it and its neighbours."""
    low, high, _ = EXPONENTS[element]
    powers = np.ldexp(np.longdouble(1), np.arange(low, high + 1))
    return around(np.concatenate([powers, powers * 1.5, powers * np.longdouble(2) ** 0.5]), KINDS[element], 1)


def near_multiples(element: str, count: int = 3) -> Iterator[float]:
    """For every exponent the floats nearest to multiples of pi/2: of M 2^e the best M come from the
    convergents of the continued fraction of 2^e/(pi/2) (W. Kahan, Minimizing q*m - n, 1983)."""
    _, high, digits = EXPONENTS[element]
    with mpmath.workdps(450):
        for exponent in range(-digits, high - digits + 2):
            ratio = mpmath.mpf(2) ** exponent / (mpmath.pi / 2)
            before, now, rest = 0, 1, ratio - mpmath.floor(ratio)
            found = []
            while rest and now < 2**digits:
                found.append(now)
                turned = 1 / rest
                whole = int(mpmath.floor(turned))
                rest = turned - whole
                before, now = now, whole * now + before
            for m in found[-count:]:
                while m < 2 ** (digits - 1):
                    if m * 3 < 2**digits:
                        yield math.ldexp(float(m * 3), exponent)
                    m *= 2
                yield math.ldexp(float(m), exponent)


def points(name: str, element: str) -> Array:
    """Arguments of a function of one argument, of both signs; not all of them lie in its domain."""
    kind = KINDS[element]
    low, high, digits = EXPONENTS[element]
    parts = [powers_of_two(element)]
    steps = np.arange(1, 200) * np.longdouble(2) ** (1 - digits)
    parts += [(c + s * steps).astype(kind) for c in (1, 2, 0.5, 3) for s in (1, -1, 2.0**20, -(2.0**20))]
    if name in EXPONENTIAL:
        whole = np.arange(low, high + 3).astype(np.longdouble)
        unit = np.longdouble(1) if name == "exp2" else np.log(np.longdouble(2))
        unit = unit / 2 if name.startswith("tanh") else unit
        parts += [around((whole + 0.5) * unit, kind), around(whole * unit, kind)]
    if name in TRIGONOMETRIC:
        parts.append(np.fromiter(near_multiples(element), float).astype(kind))
        quarters = np.arange(1, 400) * np.longdouble(math.pi) / 4
        parts += [around(quarters, kind), around(2.0 ** np.arange(10, 25) * math.pi / 2, kind)]
    if name in ("erf", "erfc", "normal_cdf"):
        parts.append(np.linspace(0, 40 if element == "double" else 15, 1500).astype(kind))
    if name == "erfi":
        parts.append(np.linspace(0, 27 if element == "double" else 10, 1500).astype(kind))
        parts.append(around(np.array([1, 1.75, 2.75, 4, 6, 26.713789]), kind, 4))
    if name in ("erfinv", "erfcinv"):
        roots = np.array([0.8325546111576977, 1.375, 2.375, 4.25, 8, 15])  # of -log(z), where pieces begin
        ends = np.exp(-(roots**2))
        parts += [
            around(ends, kind, 8),
            around(1 - ends, kind, 4),
            np.geomspace(1e-300, 1, 1500).astype(kind),
        ]
        parts.append((1 - np.geomspace(2.0**-53, 1, 1500)).astype(kind))
    if name in ("gamma", "loggamma", "digamma", "trigamma") or name.startswith("polygamma"):
        eighths = np.arange(1, 1400) / np.longdouble(8)
        parts += [around(eighths, kind, 1), around(np.arange(1, 40), kind, 4)]
    if name in ("j0", "j1"):
        order = int(name[1])
        zeros = [float(mpmath.besseljzero(order, k)) for k in range(1, 60)]
        parts += [around(np.array(zeros), kind, 3), np.linspace(0, 60, 1500).astype(kind)]
    found = np.concatenate([p.astype(kind) for p in parts])
    found = np.unique(found[np.isfinite(found)])
    return np.concatenate([found, -found])


def pairs(name: str, element: str, seed: int = 0) -> tuple[Array, Array]:
    """Arguments of `pow` and `atan2`."""
    kind, random = KINDS[element], np.random.default_rng(seed)
    low, high, digits = EXPONENTS[element]
    if name == "atan2":
        sizes = np.ldexp(random.uniform(1, 2, 4000), random.integers(low, high, 4000)).astype(kind)
        other = np.ldexp(random.uniform(1, 2, 4000), random.integers(low, high, 4000)).astype(kind)
        close = np.nextafter(sizes, kind(0))
        ratio = (sizes * kind(math.sqrt(2) - 1)).astype(kind)
        signs = random.choice([-1, 1], (2, 12000)).astype(kind)
        return np.tile(sizes, 3) * signs[0], np.concatenate([other, close, ratio]) * signs[1]
    # bases next to 1 with large exponents, and results next to both ends of the range
    near = 1 + np.ldexp(random.uniform(-1, 1, 3000), random.integers(2 - digits, -2, 3000))
    wide = np.ldexp(random.uniform(1, 2, 6000), random.integers(low, high, 6000))
    x = np.concatenate([near, wide]).astype(kind)
    x = x[(x > 0) & (x != 1) & np.isfinite(x)]
    ends = np.where(random.random(len(x)) < 0.5, random.uniform(high - 3, high + 1, len(x)), 0.0)
    ends = np.where(ends == 0, random.uniform(low - 1, low + digits + 4, len(x)), ends)
    with np.errstate(over="ignore"):
        y = (ends / np.log2(x.astype(np.longdouble))).astype(kind)
    keep = np.isfinite(y)
    return x[keep], y[keep]
