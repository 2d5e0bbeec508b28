"""Fit the polynomials of `symprop.emit.math` and write its `coefficients.py` and `gamma_coefficients.py`.

    python tests/tools/fit_coefficients.py [NAME ...]     fit all (or print the named ones only)

Every fit is a Remez exchange on a dense Chebyshev grid at 60 digits, with the weight that belongs to the
relative error of the function's result. Coefficients are rounded to their type one after the other, lowest
power first, and the rest is fitted again after each rounding, so that the rounding errors of the first ones
are made good.
"""

from __future__ import annotations

import itertools
import struct
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

mp.dps = 60
Number = Any  # mpmath's number types carry no annotations


def round_to(value: Number, element: str) -> Number:
    """The nearest number of type `element`."""
    number = float(value)
    if element == "float":  # round once, from the exact value
        short = struct.unpack("f", struct.pack("f", number))[0]
        step = mpf(2) ** (int(mpmath.floor(mpmath.log(abs(value), 2))) - 23) if value else mpf(0)
        candidates = [mpf(short), mpf(short) - step, mpf(short) + step]
        return min(candidates, key=lambda c: abs(c - value))
    return mpf(number)


def exchange(
    xs: Sequence[Number], fs: Sequence[Number], ws: Sequence[Number], powers: Sequence[int]
) -> list[Number]:
    """The polynomial with the given powers of least weighted error max |w (f - p)| on the grid."""
    count = len(powers)
    if count == 0:
        return []
    rows = [[x**k for k in powers] for x in xs]
    best: list[Number] = []
    least = mpf("inf")
    for attempt in range(8):
        # a start that is by chance a solution of another problem leads nowhere: then begin at other points
        last = len(xs) - 1 - attempt * attempt
        picks = [round(last * (1 - mpmath.cos(mpmath.pi * i / count)) / 2) for i in range(count + 1)]
        for _ in range(15):
            system = mpmath.matrix(count + 1, count + 1)
            right = mpmath.matrix(count + 1, 1)
            for i, at in enumerate(picks):
                for j in range(count):
                    system[i, j] = rows[at][j]
                system[i, count] = (-1) ** i / ws[at]
                right[i] = fs[at]
            try:
                solution = mpmath.lu_solve(system, right)
            except ZeroDivisionError:
                break
            found = [solution[j] for j in range(count)]
            errors = [w * (f - mpmath.fdot(found, row)) for w, f, row in zip(ws, fs, rows, strict=True)]
            if max(map(abs, errors)) < least:
                least, best = max(map(abs, errors)), found
            picks = alternating_peaks(errors, count + 1)
            if len(picks) < count + 1:
                break
            if max(map(abs, errors)) < abs(solution[count]) * mpf("1.001"):
                return found
        else:
            return best
    return best


def alternating_peaks(errors: Sequence[Number], count: int) -> list[int]:
    """The places of the largest errors of alternating sign, no more than `count` of them."""
    runs: list[int] = []
    for i, e in enumerate(errors):
        if runs and (errors[runs[-1]] > 0) == (e > 0):
            if abs(e) > abs(errors[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > count:
        runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
    return runs


def polish(
    known: dict[int, Number],
    powers: Sequence[int],
    xs: Sequence[Number],
    rest: list[Number],
    ws: Sequence[Number],
) -> None:
    """Move single coefficients and pairs of them by a unit in the last place as long as that helps."""
    arrays = {k: np.array([float(w * x**k) for x, w in zip(xs, ws, strict=True)]) for k in powers}
    moved = np.array([float(w * f) for f, w in zip(rest, ws, strict=True)])
    moves: dict[int, float] = dict.fromkeys(powers, 0.0)

    def steps(k: int) -> tuple[float, float]:
        unit = float(np.spacing(np.float32(abs(known[k]))))
        return unit, -unit

    single = [((k, s),) for k in powers for s in steps(k)]
    double = [(*p, *q) for p, q in itertools.combinations(single, 2) if p[0][0] != q[0][0]]
    improved = True
    while improved:
        improved = False
        for change in [*single, *double]:
            trial = moved - sum(s * arrays[k] for k, s in change)
            if np.abs(trial).max() < np.abs(moved).max():
                moved, improved = trial, True
                for k, s in change:
                    moves[k] += s
    for k, move in moves.items():
        known[k] += mpf(move)
        rest[:] = [f - mpf(move) * x**k for x, f in zip(xs, rest, strict=True)]


def fit(
    function: Callable[[Number], Number],
    low: Number,
    high: Number,
    powers: Sequence[int],
    element: str,
    weight: Callable[[Number], Number] = lambda x: mpf(1),
    fixed: dict[int, Number] | None = None,
    report: str = "",
) -> list[Number]:
    """Rounded coefficients of the given powers; `weight(x)` times the error is what is made small."""
    low, high = mpf(low), mpf(high)
    points = 30 * (len(powers) + 2)
    xs = [
        (low + high) / 2 - (high - low) / 2 * mpmath.cos(mpmath.pi * (i + mpf("0.5")) / points)
        for i in range(points)
    ]
    fs, ws = [function(x) for x in xs], [weight(x) for x in xs]
    known: dict[int, Number] = dict(fixed or {})
    rest = [f - sum(c * x**k for k, c in known.items()) for x, f in zip(xs, fs, strict=True)]
    free = [k for k in powers if k not in known]
    while free:
        # what is left is x^k times a polynomial: without that factor the basis is one of Chebyshev's
        base = min(free)
        quotients = [f / x**base for x, f in zip(xs, rest, strict=True)]
        weights = [w * abs(x) ** base for x, w in zip(xs, ws, strict=True)]
        solution = exchange(xs, quotients, weights, [k - base for k in free])
        take = 1 if element == "float" else len(free)
        for k, c in zip(free[:take], solution, strict=False):
            known[k] = round_to(c, element)
            rest = [f - known[k] * x**k for x, f in zip(xs, rest, strict=True)]
        free = free[take:]
    if element == "float":
        polish(known, [k for k in powers if k not in (fixed or {})], xs, rest, ws)
    worst = max(abs(w * e) for w, e in zip(ws, rest, strict=True))
    bits = mpmath.nstr(mpmath.log(worst, 2), 4) if worst else "exact"
    print(f"{report:28s} {element:6s} {len(powers):2d} terms, error 2^{bits}", file=sys.stderr)
    return [known[k] for k in powers]


def split(value: Number, bits: Sequence[int], element: str) -> list[Number]:
    """`value` as a sum of numbers of so many leading bits each; the last one is rounded to the type."""
    parts: list[Number] = []
    rest = mpf(value)
    for count in bits:
        scale = mpf(2) ** (count - 1 - int(mpmath.floor(mpmath.log(abs(rest), 2))))
        part = mpmath.nint(rest * scale) / scale
        parts.append(part)
        rest -= part
    parts.append(round_to(rest, element))
    return parts


ELEMENTS = ("double", "float")
Table = dict[str, Any]


def exponential() -> Table:
    """exp(r) = 1 + r + r^2 EXP(r) on |r| <= ln(2)/2."""
    half = mpmath.log(2) / 2 * mpf("1.0005")
    ln2 = mpmath.log(2)

    def near_zero(name: str, terms: int) -> dict[str, Any]:
        return {
            e: fit(
                lambda r: (mpmath.expm1(r) - r) / r**2,
                -half,
                half,
                range(terms if e == "double" else 5),
                e,
                lambda r: r**2 / mpmath.exp(r),
                {0: mpf("0.5")} if e == "double" else None,
                name,
            )
            for e in ELEMENTS
        }

    return {
        "EXP": near_zero("EXP", 11),
        "EXP_SHORT": near_zero("EXP_SHORT", 10),  # a term less, where that is enough
        # the same on |r| <= ln(2)/16 (float: /32), between the powers in POWERS
        "EXP_NEAR": {
            e: fit(
                lambda r: (mpmath.expm1(r) - r) / r**2,
                -half / parts,
                half / parts,
                range(6 if e == "double" else 2),
                e,
                lambda r: r**2 / mpmath.exp(r),
                None,
                "EXP_NEAR",
            )
            for e, parts in (("double", 8), ("float", 16))
        },
        # the same with the error relative to exp(r) - 1
        "EXPM1_NEAR": {
            e: fit(
                lambda r: (mpmath.expm1(r) - r) / r**2,
                -half / parts,
                half / parts,
                range(7 if e == "double" else 3),
                e,
                abs,
                {0: mpf("0.5")},
                "EXPM1_NEAR",
            )
            for e, parts in (("double", 8), ("float", 16))
        },
        # cosh(r) = 1 + z COSH_NEAR(z), sinh(r) = r + r z SINH_NEAR(z), z = r^2, in the same range
        "COSH_NEAR": {
            e: fit(
                lambda z: (mpmath.cosh(mpmath.sqrt(z)) - 1) / z,
                mpf("1e-12"),
                (half / parts) ** 2,
                range(terms),
                e,
                abs,
                None,
                "COSH_NEAR",
            )
            for e, parts, terms in (("double", 8, 3), ("float", 16, 1))
        },
        "SINH_NEAR": {
            e: fit(
                lambda z: (mpmath.sinh(mpmath.sqrt(z)) / mpmath.sqrt(z) - 1) / z,
                mpf("1e-12"),
                (half / parts) ** 2,
                range(terms),
                e,
                abs,
                None,
                "SINH_NEAR",
            )
            for e, parts, terms in (("double", 8, 3), ("float", 16, 1))
        },
        # 2^(k/8) (float: 2^(k/16)) and what the rounded numbers lack
        "POWERS": {
            e: [
                [part[i] for part in (split(mpf(2) ** (mpf(k) / parts), [bits], e) for k in range(parts))]
                for i in (0, 1)
            ]
            for e, parts, bits in (("double", 8, 53), ("float", 16, 24))
        },
        # 2^r = 1 + r EXP2(r), |r| <= 1/2
        "EXP2": {
            e: fit(
                lambda r: (mpf(2) ** r - 1) / r,
                mpf("-0.501"),
                mpf("0.5012"),
                range(11 if e == "double" else 6),
                e,
                abs,
                None,
                "EXP2",
            )
            for e in ELEMENTS
        },
        "LN2": {"double": split(ln2, [41], "double"), "float": split(ln2, [15], "float")},
        "LN2_PAIR": {e: split(ln2, [53 if e == "double" else 24], e) for e in ELEMENTS},
        "LOG2E": {"double": split(1 / ln2, [53], "double"), "float": split(1 / ln2, [24], "float")},
    }


def logarithm() -> Table:
    """log(1+f) = f + s (z LOG(z) - f), s = f/(2+f), z = s^2 (double); f + f^2 LOG(f) (float)."""
    s_max = mpf("0.2001")
    low, high = mpf("-0.2501"), mpf("0.5001")

    def tail(z: Number) -> Number:
        s = mpmath.sqrt(z)
        return (2 * mpmath.atanh(s) - 2 * s) / (s * z)

    return {
        "LOG": {
            "double": fit(tail, 0, s_max**2, range(8), "double", lambda z: z, None, "LOG"),
            "float": fit(
                lambda f: (mpmath.log1p(f) - f) / f**2,
                low,
                high,
                range(9),
                "float",
                lambda f: f**2 / abs(mpmath.log1p(f)),
                {0: mpf("-0.5")},
                "LOG",
            ),
        },
        # log(1+f) = 2 s + s z (2/3 + z LOG_LONG(z)), for double-double logarithms
        "LOG_LONG": {
            "double": fit(
                lambda z: (tail(z) - mpf(2) / 3) / z,
                0,
                s_max**2,
                range(9),
                "double",
                lambda z: z**2,
                None,
                "LOG_LONG",
            ),
        },
        "THIRD": {"double": split(mpf(1) / 3, [53], "double")},
        "LOG10E": {e: split(mpmath.log10(mpmath.e), [53 if e == "double" else 24], e) for e in ELEMENTS},
        "LOG10_2": {e: split(mpmath.log10(2), [41 if e == "double" else 15], e) for e in ELEMENTS},
    }


def trigonometric() -> Table:
    """sin r = r + r^3 SIN(r^2), cos r = 1 - r^2/2 + r^4 COS(r^2), |r| <= pi/4."""
    top = (mpmath.pi / 4 * mpf("1.001")) ** 2
    root = mpmath.sqrt

    def sine(z: Number) -> Number:
        return (mpmath.sin(root(z)) - root(z)) / root(z) ** 3

    def cosine(z: Number) -> Number:
        return (mpmath.cos(root(z)) - 1 + z / 2) / z**2

    def slope(z: Number) -> Number:
        return z * root(z) / mpmath.sin(root(z))

    # "short": the digits of float32 in float64
    kinds = (("double", 6, "double"), ("short", 3, "double"), ("float", 3, "float"))
    table: Table = {
        "SIN": {key: fit(sine, 0, top, range(n), e, slope, None, "SIN") for key, n, e in kinds},
        "COS": {key: fit(cosine, 0, top, range(n), e, lambda z: z**2, None, "COS") for key, n, e in kinds},
        "HALF_PI": {"double": split(mpmath.pi / 2, [33, 33, 33], "double")},
        # for fused operations: x less the first product is exact, the second product is
        "HALF_PI_FUSED": {
            "double": split(mpmath.pi / 2, [53, 33], "double"),
            "float": split(mpmath.pi / 2, [24, 14], "float"),
        },
        "HALF_PI_PAIR": {"double": split(mpmath.pi / 2, [53], "double")},
        "TWO_OVER_PI": {e: split(2 / mpmath.pi, [], e) for e in ELEMENTS},
    }
    mp.dps = 400
    bits = int(mpmath.floor(2 / mpmath.pi * mpf(2) ** 1280))
    table["TWO_OVER_PI_BITS"] = [0] + [(bits >> (1280 - 64 * (k + 1))) & (2**64 - 1) for k in range(20)]
    mp.dps = 60
    return table


def tail_of_erfc(
    name: str,
    scale: Number,
    half: Number,
    middle: str,
    near: Number,
    top: str,
    terms: int,
    element: str,
) -> list[Number]:
    """half (1 + y) exp(u^2) erfc(u) - middle, u = y/scale, in powers of t = (y - near)/(y + near)."""

    def scaled(t: Number) -> Number:
        y = near * (1 + t) / (1 - t)
        return half * (1 + y) * mpmath.erfc(y / scale) * mpmath.exp((y / scale) ** 2) - mpf(middle)

    stop = mpf(top)
    return fit(
        scaled,
        mpf(-1),
        (stop - near) / (stop + near),
        range(terms),
        element,
        lambda t: mpf(1),
        None,
        name,
    )


def inverse_trigonometric() -> Table:
    """asin s = s + s^3 ASIN(s^2), |s| <= 1/2; atan t = t + t^3 ATAN(t^2), |t| <= tan(pi/8)."""
    top = (mpmath.tan(mpmath.pi / 8) * mpf("1.001")) ** 2
    root = mpmath.sqrt

    def arc_sine(z: Number) -> Number:
        return (mpmath.asin(root(z)) - root(z)) / root(z) ** 3

    def arc_tangent(z: Number) -> Number:
        return (mpmath.atan(root(z)) - root(z)) / root(z) ** 3

    terms = {"double": (12, 11), "float": (6, 5)}
    return {
        "ASIN": {
            e: fit(
                arc_sine, mpf("1e-12"), mpf("0.2501"), range(terms[e][0]), "double", lambda z: z, None, "ASIN"
            )
            for e in ELEMENTS
        },
        "ATAN": {
            e: fit(arc_tangent, mpf("1e-12"), top, range(terms[e][1]), "double", lambda z: z, None, "ATAN")
            for e in ELEMENTS
        },
        # 49 and 53 bits: up to four times the first is exact
        "QUARTER_PI": {"double": split(mpmath.pi / 4, [49], "double")},
    }


def roots() -> Table:
    """x^(-1/3) = CBRT(x - 1), 3/4 <= x < 3/2, to 20 bits; the cube root of 2 and of 1/2 in pairs."""
    low, high = mpf("-0.2501"), mpf("0.5001")
    return {
        "CBRT": fit(
            lambda f: (1 + f) ** (-mpf(1) / 3), low, high, range(7), "double", lambda f: mpf(1), None, "CBRT"
        ),
        "CBRT_2": split(mpmath.cbrt(2), [53], "double"),
        "CBRT_HALF": split(mpmath.cbrt(mpf("0.5")), [53], "double"),
    }


def error() -> Table:
    """erf(x) = x + x ERF_SMALL(x^2 - ERF_MIDDLE) for |x| <= 1; erfc(a) = 2^(ERF_LARGE(a - 1) - 3) beyond."""

    # the shifts keep the numbers that are rounded small beside the result; at this one the two largest
    # coefficients of float64 are close to doubles, as at few of the multiples of 1/256 from 0.44 to 0.58
    middle = mpf(124) / 256

    def small(z: Number) -> Number:
        root = mpmath.sqrt(z + middle)
        return mpmath.erf(root) / root - 1

    def large(d: Number) -> Number:
        return mpmath.log(mpmath.erfc(1 + d), 2) + 3

    def weight(d: Number) -> Number:
        return mpmath.erfc(1 + d)

    near, zero, half, root_of_two = mpf("1e-12"), mpf(0), mpf("0.5"), mpmath.sqrt(2)
    one = mpf("1.001")
    flat: Callable[[Number], Number] = lambda z: mpf(1)  # noqa: E731
    terms = {"double": (13, 18), "float": (7, 8)}
    tops = {"double": mpf("4.95"), "float": mpf("2.95")}
    return {
        "ERF_MIDDLE": middle,
        "ERF_SMALL": {
            e: fit(small, near - middle, one - middle, range(terms[e][0]), e, flat, None, "ERF_SMALL")
            for e in ELEMENTS
        },
        "ERF_LARGE": {
            e: fit(large, zero, tops[e], range(terms[e][1]), e, weight, None, "ERF_LARGE") for e in ELEMENTS
        },
        # erfc(y) = exp(-y^2) (0.75 + ERFC(t))/(1 + y), t = (y - near)/(y + near), y >= 0
        "ERFC": {
            e: tail_of_erfc("ERFC", mpf(1), mpf(1), "0.75", mpf(near), top, terms, e)
            for e, near, top, terms in (("double", "3", "28", 24), ("float", "2", "10.2", 12))
        },
        # cdf(-y) = exp(-y^2/2) (0.46875 + CDF(t))/(1 + y), t = (y - 5)/(y + 5), y >= 0
        "CDF": {
            e: tail_of_erfc("CDF", root_of_two, half, "0.46875", mpf(5), top, terms, e)
            for e, top, terms in (("double", "39", 24), ("float", "14.7", 11))
        },
    }


def gamma() -> Table:
    """Stirling's series and what replaces it where the functions are zero."""
    half_log = mpmath.log(2 * mpmath.pi) / 2
    root = mpmath.findroot(mpmath.digamma, mpf("1.4616321449683623"))
    root_high = round_to(root, "double")

    def stirling(u: Number) -> Number:
        x = 1 / mpmath.sqrt(u)
        return (mpmath.loggamma(x) - (x - mpf("0.5")) * mpmath.log(x) + x - half_log) * x

    def psi(u: Number) -> Number:
        x = 1 / mpmath.sqrt(u)
        return (mpmath.digamma(x) - mpmath.log(x) + 1 / (2 * x)) / u

    def near(n: int) -> Callable[[Number], Number]:
        return lambda t: mpmath.loggamma(n + t) / t if t else -mpmath.euler + n - 1

    def slope(t: Number) -> Number:
        return mpmath.digamma(root + t) / t

    flat: Callable[[Number], Number] = lambda t: mpf(1)  # noqa: E731
    edge = mpf("0.1251")
    return {
        # log gamma(x) = (x - 1/2) log x - x + log(2 pi)/2 + STIRLING(1/x^2)/x, x >= 8
        "STIRLING": fit(stirling, mpf("1e-6"), mpf(1) / 64, range(8), "double", flat, None, "STIRLING"),
        "HALF_LOG_2_PI": split(half_log, [53], "double"),
        "LOG_PI": split(mpmath.log(mpmath.pi), [53], "double"),
        "PI": split(mpmath.pi, [53], "double"),
        # log gamma(n + t) = t LOG_GAMMA_n(t), |t| <= 1/8
        "LOG_GAMMA_1": fit(near(1), -edge, edge, range(14), "double", flat, None, "LOG_GAMMA_1"),
        "LOG_GAMMA_2": fit(near(2), -edge, edge, range(12), "double", flat, None, "LOG_GAMMA_2"),
        # digamma(x) = log x - 1/(2 x) + DIGAMMA(1/x^2)/x^2, x >= 8; (x - root) DIGAMMA_ROOT(x - root) near
        # its root
        "DIGAMMA": fit(psi, mpf("1e-6"), mpf(1) / 64, range(9), "double", flat, None, "DIGAMMA"),
        "DIGAMMA_ZERO": [root_high, round_to(root - root_high, "double")],
        "DIGAMMA_ROOT": fit(slope, -edge, edge, range(12), "double", flat, None, "DIGAMMA_ROOT"),
    }


FAMILIES: dict[str, tuple[Callable[[], Table], ...]] = {
    "coefficients": (exponential, logarithm, trigonometric, inverse_trigonometric, roots, error),
    "gamma_coefficients": (gamma,),
}


def literal(value: Any, indent: int = 0) -> str:
    """Python source of a table, numbers as exact decimal shorthands of their doubles."""
    pad = " " * (indent + 4)
    if isinstance(value, dict):
        inner = "".join(f'{pad}"{k}": {literal(v, indent + 4)},\n' for k, v in value.items())
        return "{\n" + inner + " " * indent + "}"
    if isinstance(value, list | tuple) and len(value) == 1:
        return f"({literal(value[0])},)"
    if isinstance(value, list | tuple):
        inner = "".join(f"{pad}{literal(v, indent + 4)},\n" for v in value)
        return "(\n" + inner + " " * indent + ")"
    return f"0x{value:016X}" if isinstance(value, int) else repr(float(value))


def write_tables(
    tool: str, module: str, families: Sequence[Callable[[], Table]], names: Sequence[str]
) -> None:
    """Write the tables of all families to a module of `symprop/emit/math`, or print the families named."""
    lines = [f'"""Coefficients, written by tests/tools/{tool}.py, which says what they are."""', ""]
    chosen = [family for family in families if not names or family.__name__ in names]
    for family in chosen:
        text = f"{family.__name__}: " + " ".join((family.__doc__ or "").split())
        lines.append("\n" + textwrap.fill(text, 110, initial_indent="# ", subsequent_indent="# "))
        for name, value in family().items():
            lines.append(f"\n{name}" if name.startswith("#") else f"{name} = {literal(value)}")
    text = "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"
    if not names:
        path = Path(__file__).parents[2] / f"symprop/emit/math/{module}.py"
        path.write_text(text, encoding="utf-8")
    elif chosen:
        print(text)


def main(names: Sequence[str]) -> None:
    """Write the modules of all tables, or print the families named."""
    for module, families in FAMILIES.items():
        write_tables("fit_coefficients", module, families, names)


if __name__ == "__main__":
    main(sys.argv[1:])
