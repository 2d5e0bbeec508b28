"""Measure the elementary functions of `symprop.emit.math`: largest error in ULP and time per element.

    python tests/tools/ulp_sweep.py [--points N] [--target host|avx2|sse2] [--lanes N] [--time] [NAME ...]

The reference for float64 is mpmath, or NumPy's long double where that has the function and is wider than
float64; for float32 it is a float64 function of NumPy or SciPy. The tests of the elementary functions use
this module too.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import llvmlite.binding as llvm
import mpmath
import numpy as np

from symprop.emit.builder import F32, F64, I64, PTR, Builder, Module, Target, Value, vector
from symprop.emit.math import ELEMENTARY, FAST
from symprop.emit.order import chains_of_samples, in_turns

Array = np.ndarray[Any, Any]
TWO_ARGUMENTS = ("pow", "atan2", "beta")
BITS = {"double": 53, "float": 24}
LEAST = {"double": -1074, "float": -149}
LOOP = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
REPEAT = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)
NUMPY_TYPE = {"double": np.float64, "float": np.float32}


def make_target(name: str) -> Target:
    """The machine itself, or one with restricted features."""
    triple = llvm.get_process_triple()
    if name == "host":
        found = llvm.get_host_cpu_features()
        wide = found.get("avx512f", False)
        bits = 512 if wide else 256 if found.get("avx", False) else 128
        fma = found.get("fma", False) or not triple.startswith("x86")
        return Target(triple, llvm.get_host_cpu_name(), found.flatten(), bits, 32 if wide else 16, fma)
    if name == "avx512":
        return Target(triple, "x86-64-v4", "", 512, 32, True)
    if name == "avx2":
        return Target(triple, "x86-64-v3", "", 256, 16, True)
    return Target(triple, "x86-64", "", 128, 16, False)


def runnable(names: Sequence[str]) -> list[str]:
    """Those of the targets that this processor can run: SSE2 on x86 alone."""
    return [n for n in names if n == "host" or make_target("host").triple.startswith("x86_64")]


class Library:
    """Loops over arrays for functions of values, compiled for one target, type and number of lanes; `ordered`
    asks for the order of operations, and the blocks a turn, of compiled programs. `functions` are others than
    the elementary ones, of which those in `pairs` take two values."""

    def __init__(
        self,
        target: Target,
        element: str,
        lanes: int,
        names: Sequence[str] = (),
        fast: bool = False,
        ordered: bool = False,
        functions: Mapping[str, Callable[..., Value]] | None = None,
        pairs: Collection[str] = TWO_ARGUMENTS,
    ) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.target, self.element, self.lanes, self.ordered = target, element, lanes, ordered
        module = Module(target, fast)
        table = functions or (ELEMENTARY | FAST if fast else ELEMENTARY)
        self.pairs = pairs
        for name in names or tuple(functions or ELEMENTARY):
            self._emit(module, name, table[name])
        self.text = module.text()
        self._engine: Any = None
        self._loops: dict[str, Any] = {}

    def _machine(self, model: str = "jitdefault") -> Any:
        return llvm.Target.from_triple(self.target.triple).create_target_machine(
            cpu=self.target.cpu, features=self.target.features, opt=2, codemodel=model
        )

    def assembly(self) -> str:
        """The code as text; calls name their symbols."""
        return str(self._machine("small").emit_assembly(llvm.parse_assembly(self.text)))

    def _emit(self, module: Module, name: str, function: Callable[..., Value]) -> None:
        b = Builder(module)
        scalar = F64 if self.element == "double" else F32
        kind = vector(scalar.element, self.lanes)
        x, y, out = Value("%x", PTR), Value("%y", PTR), Value("%out", PTR)

        def write(start: Value) -> None:
            pointers = (x, y) if name in self.pairs else (x,)
            args = [b.load(b.element(p, start, scalar), kind, self.ordered) for p in pointers]
            b.store(function(b, *args), b.element(out, start, scalar))

        if self.ordered:
            in_turns(b, Value("%n", I64), self.lanes, write)
        else:
            with b.loop(b.const(0, I64), Value("%n", I64), self.lanes) as loop:
                write(loop.index)
        b.emit("ret void")
        if self.ordered:
            b.lines = chains_of_samples(b, b.lines)
        head = "ptr %x, ptr %y, ptr %out, i64 %n"
        module.functions[f"loop_{name}"] = b.define(f"void @loop_{name}({head})")
        b = Builder(module)
        with b.loop(b.const(0, I64), Value("%times", I64)):
            b.emit(f"call void @loop_{name}({head})")
        b.emit("ret void")
        module.functions[f"repeat_{name}"] = b.define(f"void @repeat_{name}({head}, i64 %times)")

    def address(self, name: str, repeat: bool = False) -> Any:
        """The loop over arrays, or one that is repeated as often as its last argument says."""
        if self._engine is None:
            parsed = llvm.parse_assembly(self.text)
            parsed.verify()
            self._engine = llvm.create_mcjit_compiler(parsed, self._machine())
            self._engine.finalize_object()
        name, kind = (f"repeat_{name}", REPEAT) if repeat else (f"loop_{name}", LOOP)
        if name not in self._loops:
            self._loops[name] = kind(self._engine.get_function_address(name))
        return self._loops[name]

    def __call__(self, name: str, x: Array, y: Array | None = None) -> Array:
        """The function of every element."""
        count = len(x)
        kind = NUMPY_TYPE[self.element]
        if count % self.lanes:
            extra = np.ones(-count % self.lanes, kind)
            x = np.concatenate([x, extra])
            y = None if y is None else np.concatenate([y, extra])
        first = np.ascontiguousarray(x, kind)
        second = first if y is None else np.ascontiguousarray(y, kind)
        out = np.empty(len(first), kind)
        self.address(name)(first.ctypes.data, second.ctypes.data, out.ctypes.data, len(first))
        return out[:count]


def normal_cdf(x: Any) -> Any:
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def sigmoid_prime(x: Any) -> Any:
    e = mpmath.exp(-abs(x))
    return e / (1 + e) ** 2


def mp_pow(x: Any, y: Any) -> Any:
    return mpmath.power(x, y)


def mp_atan2(x: Any, y: Any) -> Any:
    return mpmath.atan2(x, y)


def mp_log_gamma(x: Any) -> Any:
    return mpmath.log(abs(mpmath.gamma(x))) if x < 1e5 else mpmath.re(mpmath.loggamma(x))


def erfcinv(x: Any) -> Any:
    """The root of log erfc(y) = log(x) by secants; next to 1, where both are small, of erf(y) = 1 - x."""
    if x > 1:
        return -erfcinv(2 - x)
    if x >= 0.5:
        value = 1 - x
        start = value * mpmath.sqrt(mpmath.pi) / 2
        return mpmath.findroot(lambda y: mpmath.erf(y) / value - 1, start, verify=False) if value else value
    log = mpmath.log(x)
    start = mpmath.sqrt(-log) * 0.9
    return mpmath.findroot(lambda y: mpmath.log(mpmath.erfc(y)) - log, start, verify=False)


def erfinv(x: Any) -> Any:
    if abs(x) > 0.5:
        return mpmath.sign(x) * erfcinv(1 - abs(x))
    start = x * mpmath.sqrt(mpmath.pi) / 2
    return mpmath.findroot(lambda y: mpmath.erf(y) / x - 1, start, verify=False) if x else x


MP: dict[str, Callable[..., Any]] = {
    "exp": mpmath.exp, "expm1": mpmath.expm1, "exp2": lambda x: mpmath.power(2, x), "log": mpmath.log,
    "log1p": mpmath.log1p, "log2": lambda x: mpmath.log(x, 2), "log10": lambda x: mpmath.log(x, 10),
    "sqrt": mpmath.sqrt, "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), "sin": mpmath.sin,
    "cos": mpmath.cos, "tan": mpmath.tan, "asin": mpmath.asin, "acos": mpmath.acos, "atan": mpmath.atan,
    "atan2": mp_atan2, "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh, "asinh": mpmath.asinh,
    "acosh": mpmath.acosh, "atanh": mpmath.atanh, "erf": mpmath.erf, "erfc": mpmath.erfc, "pow": mp_pow,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)), "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "normal_cdf": normal_cdf, "tanh_prime": lambda x: mpmath.sech(x) ** 2, "sigmoid_prime": sigmoid_prime,
    "loggamma": mp_log_gamma, "gamma": mpmath.gamma, "digamma": mpmath.digamma,
    "trigamma": lambda x: mpmath.polygamma(1, x), "polygamma_2": lambda x: mpmath.polygamma(2, x),
    "polygamma_3": lambda x: mpmath.polygamma(3, x), "polygamma_4": lambda x: mpmath.polygamma(4, x),
    "beta": mpmath.beta, "j0": mpmath.j0, "j1": mpmath.j1, "erfi": mpmath.erfi, "erfinv": erfinv,
    "erfcinv": erfcinv,
}  # fmt: skip


POLYGAMMA = ("trigamma", "polygamma_2", "polygamma_3", "polygamma_4")
GAMMA_FAMILY = ("loggamma", "gamma", "digamma", *POLYGAMMA)


def digits_for(name: str, x: float) -> int:
    """Decimal digits that a reference at x needs."""
    if name in ("sin", "cos", "tan", "j0", "j1"):
        return 60 + max(0, int(math.log10(abs(x) + 1)))
    if name == "beta":  # x + y must keep the digits of the smaller one
        return 60 + int(math.log10(abs(x) + 1)) * 2
    return 60


def reference(name: str, *args: float) -> Any:
    """The exact value, as an mpmath number."""
    with mpmath.workdps(digits_for(name, max(args, key=abs))):
        return +MP[name](*(mpmath.mpf(a) for a in args))


def ulp_error(got: float, exact: Any, element: str, scale: float = 0.0) -> float:
    """|got - exact| in units of the last place of the exact value, or of `scale` if that is larger."""
    got = float(got)
    with mpmath.workdps(60):
        limit = mpmath.mpf(2) ** (1024 if element == "double" else 128)
        if math.isnan(got):
            return math.inf
        if math.isinf(got):
            # right where rounding to nearest overflows, else off by the distance to the limit
            edge = limit * (1 - mpmath.mpf(2) ** (-BITS[element] - 1))
            if (exact > 0) == (got > 0) and abs(exact) >= edge:
                return 0.0
            got_mp = limit * (1 if got > 0 else -1)
        else:
            got_mp = mpmath.mpf(got)
        if exact == 0:
            return 0.0 if got == 0 else math.inf
        exponent = int(mpmath.floor(mpmath.log(max(abs(exact), scale), 2))) - BITS[element] + 1
        exponent = min(max(exponent, LEAST[element]), 1024 if element == "double" else 128)
        return float(abs(got_mp - exact) / mpmath.mpf(2) ** exponent)


def scale_of(name: str, x: float) -> float:
    """Next to their zeros at negative arguments some functions promise an absolute error only."""
    if name in ("j0", "j1"):
        return 0.0 if abs(x) < 8 else math.sqrt(2 / (math.pi * abs(x)))
    if name.startswith("polygamma_") and x < 0:  # the sum of two terms of about this size
        return float(abs(mpmath.polygamma(int(name[-1]), 1 - x)))
    return 1.0 if name in ("loggamma", "digamma") and x < 0 else 0.0


def spread(rng: Any, count: int, low: float, high: float) -> Array:
    """Numbers of both even and logarithmic density in low .. high (low < 0 for both signs)."""
    even = rng.uniform(low, high, count // 2)
    top, least = math.log(max(abs(low), abs(high))), math.log(1e-12)
    sizes = np.exp(rng.uniform(least, top, count - count // 2))
    signs = np.where(rng.random(len(sizes)) < 0.5, -1.0, 1.0) if low < 0 else 1.0
    return np.concatenate([even, np.clip(sizes * signs, low, high)])


def bit_patterns(rng: Any, count: int, element: str, positive: bool) -> Array:
    """Finite floats with random bits."""
    if element == "double":
        found: Array = rng.integers(0, 0x7FF0000000000000, count, dtype=np.int64).view(np.float64)
    else:
        found = rng.integers(0, 0x7F800000, count, dtype=np.int32).view(np.float32).astype(np.float64)
    signs: Array = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    return found if positive else np.multiply(found, signs)


def domain(name: str, element: str) -> list[tuple[float, float]]:
    """Intervals whose points are sampled evenly and logarithmically; (0, 0) means random bits."""
    double = element == "double"
    top = 709.78 if double else 88.72
    low = -745.1 if double else -103.9
    table: dict[str, list[tuple[float, float]]] = {
        "exp": [(low, top), (-1, 1)],
        "exp2": [(-1074, 1024) if double else (-149, 128), (-1, 1)],
        "expm1": [(-40, top), (-1, 1)],
        "log": [(0, 0), (0.5, 2), (0.99, 1.01)],
        "log2": [(0, 0), (0.5, 2), (0.99, 1.01)],
        "log10": [(0, 0), (0.5, 2), (0.99, 1.01)],
        "log1p": [(0, 0), (-0.9999, 1), (-1e-2, 1e-2)],
        "sqrt": [(0, 0)],
        "cbrt": [(0, 0), (-1, 1)],
        "sin": [(-4, 4), (-1e3, 1e3), (-1e6, 1e6), (0, 0)],
        "cos": [(-4, 4), (-1e3, 1e3), (-1e6, 1e6), (0, 0)],
        "tan": [(-4, 4), (-1e3, 1e3), (-1e6, 1e6), (0, 0)],
        "asin": [(-1, 1)],
        "acos": [(-1, 1)],
        "atan": [(-5, 5), (-1, 1), (0, 0)],
        "sinh": [(-top - 0.6, top + 0.6), (-2, 2)],
        "cosh": [(-top - 0.6, top + 0.6), (-2, 2)],
        "tanh": [(-20, 20), (-1, 1)],
        "asinh": [(0, 0), (-3, 3)],
        "acosh": [(1, 3), (1, 1e6), (1, 1.01)],
        "atanh": [(-1, 1), (-0.01, 0.01)],
        "erf": [(-6.5, 6.5), (-1, 1)],
        "erfc": [(-6, 27.2) if double else (-4, 10.5), (-1, 1)],
        "sigmoid": [(low, 40), (-1, 1)],
        "softplus": [(low, 60), (-2, 2)],
        "normal_cdf": [(-38.4, 9) if double else (-14, 6), (-1, 1)],
        "tanh_prime": [(low / 2, -low / 2), (-1, 1)],
        "sigmoid_prime": [(low, -low), (-1, 1)],
        "loggamma": [(1e-5, 30), (1, 3), (-20, 0), (1, 1e5)],
        "gamma": [(-20, 5), (0.1, 171) if double else (0.1, 35)],
        "digamma": [(1e-5, 30), (1, 2), (-20, 0)],
        **{name: [(1e-5, 30), (1, 1e6), (-20, 0)] for name in POLYGAMMA},
        "j0": [(-40, 40), (0, 1e4), (0, 9)],
        "j1": [(-40, 40), (0, 1e4), (0, 9)],
        "erfi": [(-26.713, 26.713) if double else (-9.37, 9.37), (-2, 2)],
        "erfinv": [(-1, 1), (-0.6, 0.6)],
        "erfcinv": [(0, 2), (0, 0.6), (0, 0)],
    }
    return table[name]


def sample(name: str, element: str, count: int, seed: int = 1) -> tuple[Array, Array | None]:
    """Arguments for one function."""
    rng = np.random.default_rng(seed)
    kind = NUMPY_TYPE[element]
    if name == "pow":
        x = np.concatenate(
            [
                np.exp(rng.uniform(-30, 30, count)),
                rng.uniform(0.9, 1.1, count),
                bit_patterns(rng, count, element, True),
            ]
        )
        limit = 1000.0 if element == "double" else 140.0
        with np.errstate(divide="ignore"):
            y = rng.uniform(-limit, limit, 3 * count) / np.maximum(
                np.abs(np.log2(np.maximum(x, 1e-300))), 1e-3
            )
        return x.astype(kind), y.astype(kind)
    if name == "beta":
        sizes = np.exp(rng.uniform(-12, 7, (2, count)))
        x, y = np.concatenate([sizes, rng.uniform(-20, 20, (2, count)), sizes * [[-1], [1]]], axis=1)
        ends = np.exp(rng.uniform(0, 700 if element == "double" else 80, count))
        x, y = np.concatenate([x, ends]), np.concatenate([y, rng.uniform(0, 700, count) / np.log(ends + 2)])
        return x.astype(kind), y.astype(kind)
    if name == "atan2":
        x, y = rng.normal(size=count), rng.normal(size=count)
        wide = rng.normal(size=count) * np.exp(rng.uniform(-20, 20, count))
        return np.concatenate([x, wide]).astype(kind), np.concatenate([y, x]).astype(kind)
    found = []
    positive = ("log", "log2", "log10", "log1p", "sqrt", "erfcinv")
    for low, high in domain(name, element):
        if low == high == 0:
            found.append(bit_patterns(rng, count, element, name in positive))
        else:
            found.append(spread(rng, count, low, high))
    x = np.concatenate(found).astype(kind)
    if name in ("erfinv", "erfcinv"):
        x = np.array([v for v in x if valid(name, float(v))], kind)
    return x[(x > 0) | (x != np.rint(x))] if name in GAMMA_FAMILY else x, None


POINTS = (
    0.0, 1e-300, 1e-160, 1e-30, 1e-9, 2.0**-54, 2.0**-53, 2.0**-28, 2.0**-13, 0.25, 0.3465735902799726,
    0.375, 0.40625, 0.41421356, 0.5, 0.6, 0.6931471805599453, 0.70710678118654757, 0.75, 0.92, 1.0,
    1.0397207708399179, 1.125, 1.4142135623730951, 1.5, 1.5707963267948966, 2.0, 2.5, 3.0,
    3.1415926535897931, 4.0, 4.5, 5.625, 6.0, 7.0, 9.01, 10.05, 13.0, 18.714, 20.0, 22.0, 26.5, 27.226,
    38.48, 40.0, 52.0, 87.33, 88.72, 89.41, 103.97, 104.0, 127.0, 128.0, 149.0, 355.0, 372.6, 524287.9,
    524288.0, 708.3964, 709.782712893384, 710.4758600739439, 744.44, 745.13321910194122, 1022.5, 1023.99,
    1074.4, 1e15, 1e22, 6381956970095103.0 * 2.0**797, 1e300, 2.0**1023,
)  # fmt: skip


def valid(name: str, x: float) -> bool:
    """Is the function's value at x a finite number within reach of the reference."""
    if not math.isfinite(x):
        return False
    if name in GAMMA_FAMILY:
        size = x > -190 and x != round(x) if x < 0 else x > 0
        return size and (name != "gamma" or x < 1000) and (name not in POLYGAMMA or 1e-60 < abs(x) < 1e22)
    if name in ("log", "log2", "log10"):
        return x > 0
    if name in ("j0", "j1"):
        return abs(x) < 1e15
    if name == "log1p":
        return x > -1
    if name in ("asin", "acos"):
        return abs(x) <= 1
    if name == "erfcinv":
        return 0 < x < 2
    if name == "erfi":
        return abs(x) < 28
    if name in ("atanh", "erfinv"):
        return abs(x) < 1
    if name == "acosh":
        return x >= 1
    if name == "sqrt":
        return x >= 0
    return name in ("cbrt", "sin", "cos", "tan", "atan", "asinh") or abs(x) < 1200


def corners(name: str, element: str) -> Array:
    """Where methods change or results overflow or get subnormal, with neighbours; multiples of pi/2."""
    kind = NUMPY_TYPE[element]
    points = [p for p in POINTS if p < (1e308 if element == "double" else 3e38)]
    if name in ("sin", "cos", "tan"):
        points += [k * math.pi / 2 for k in (3, 4, 5, 10, 22, 355, 1000, 166667, 333773, 710)]
    base = np.array(points + [-p for p in points]).astype(kind)
    with np.errstate(all="ignore"):
        found = np.concatenate([base, *(np.nextafter(base, base.dtype.type(s)) for s in (np.inf, -np.inf))])
    return np.array([x for x in found if valid(name, float(x))], kind)


LONG: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "exp2": np.exp2,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "cbrt": np.cbrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "atan2": np.arctan2,
    "pow": np.power,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh_prime": lambda x: 4 * np.exp(-2 * np.abs(x)) / (1 + np.exp(-2 * np.abs(x))) ** 2,
    "sigmoid_prime": lambda x: np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2,
}


def array_errors(got: Array, exact: Array, element: str) -> Array:
    """Errors in ULP against a wider array."""
    exact = np.asarray(exact, np.longdouble)
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(exact)
        exponent = np.clip(exponent - BITS[element], LEAST[element], None)
        limit = np.ldexp(np.longdouble(1), 1024 if element == "double" else 128)
        wide = np.where(np.isinf(got), np.copysign(limit, got), got.astype(np.longdouble))
        errors = np.ldexp(np.abs(wide - exact), -exponent)
        over = np.isinf(got) & (np.abs(exact) >= limit * (1 - np.longdouble(2) ** (-BITS[element] - 1)))
        return np.where(over, 0, errors).astype(float)


def worst(
    library: Library, name: str, count: int, long: bool, seed: int = 1
) -> tuple[float, tuple[float, ...]]:
    """The largest error in ULP and its arguments."""
    x, y = sample(name, library.element, count, seed)
    if y is None:
        x = np.concatenate([x, corners(name, library.element)])
    return worst_of(library, name, (x,) if y is None else (x, y), long)


def errors_of(library: Library, name: str, args: tuple[Array, ...], long: bool) -> Array:
    """The errors in ULP at these arguments; infinite where one of result and reference is NaN alone."""
    got = library(name, *args)
    if long and name in LONG:
        with np.errstate(all="ignore"):
            exact = LONG[name](*(a.astype(np.longdouble) for a in args))
            errors = array_errors(got, exact, library.element)
        same = (np.isnan(got) & np.isnan(exact)) | (got == exact)
        return np.where(same, 0.0, np.where(np.isnan(errors), np.inf, errors))
    pairs = zip(got, *args, strict=True)
    scale = [scale_of(name, float(x)) for x in args[0]]
    errors = [
        ulp_error(g, reference(name, *map(float, point)), library.element, s)
        for (g, *point), s in zip(pairs, scale, strict=True)
    ]
    return np.array(errors)


def worst_of(
    library: Library, name: str, args: tuple[Array, ...], long: bool, rounds: int = 0
) -> tuple[float, tuple[float, ...]]:
    """The largest error in ULP at these arguments, and where; with `rounds` the neighbourhoods of the worst
    arguments are searched so often, each time closer."""
    errors = errors_of(library, name, args, long)
    bits = np.int64 if library.element == "double" else np.int32
    random = np.random.default_rng(0)
    digits, count = BITS[library.element], 60 if long and name in LONG else 10
    for turn in range(rounds):
        best = np.argsort(-errors)[:100]
        args, errors = tuple(a[best] for a in args), errors[best]
        reach = 2.0 ** (0.75 * digits * (1 - turn / rounds))
        near = []
        for place, a in enumerate(args):
            steps = random.standard_normal((len(a), count)) * np.exp2(random.uniform(-8, 0, (len(a), count)))
            steps = np.rint(steps * max(1.0, reach)) * (len(args) == 1 or place == turn % 2)
            near.append((a.view(bits)[:, None] + steps.astype(bits)).ravel().view(a.dtype))
        kept = [k for k, point in enumerate(zip(*near, strict=True)) if within(name, *map(float, point))]
        near = [a[kept] for a in near]
        errors = np.concatenate([errors, errors_of(library, name, tuple(near), long)])
        args = tuple(np.concatenate(both) for both in zip(args, near, strict=True))
    at = int(np.argmax(errors))
    return float(errors[at]), tuple(float(a[at]) for a in args)


def within(name: str, *args: float) -> bool:
    """Is a point that a search has come to one of the domain, with a value within reach of the reference."""
    if name in TWO_ARGUMENTS:
        return all(map(math.isfinite, args)) and (name != "pow" or args[0] > 0)
    return valid(name, args[0])


def nanoseconds(library: Library, name: str, size: int = 2048) -> float:
    """Time of one element, best of many runs over an array in the first-level cache."""
    rng = np.random.default_rng(0)
    kind = NUMPY_TYPE[library.element]
    low, high = (
        (0.1, 0.9) if name in ("atanh", "asin", "acos") else (1.0, 3.0) if name == "acosh" else (0.01, 5.0)
    )
    if name in ("exp", "tanh", "sigmoid", "softplus", "erf", "sin", "cos", "expm1"):
        low = -5.0
    x, y = rng.uniform(low, high, size).astype(kind), rng.uniform(-3, 3, size).astype(kind)
    out = np.empty(size, kind)
    times = 8
    call = library.address(name, repeat=True)
    args = x.ctypes.data, y.ctypes.data, out.ctypes.data, size, times
    best = math.inf
    for _ in range(60):
        start = time.perf_counter()
        call(*args)
        best = min(best, (time.perf_counter() - start) / times)
    return best / size * 1e9


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--target", default="host")
    parser.add_argument("--lanes", type=int, default=0)
    parser.add_argument("--elements", default="double,float")
    parser.add_argument("--long", action="store_true", help="long double references, for many points")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--fast", action="store_true", help='the functions of accuracy="fast"')
    options = parser.parse_args()
    target = make_target(options.target)
    names = options.names or list(FAST if options.fast else ELEMENTARY)
    for element in options.elements.split(","):
        library = Library(target, element, options.lanes or target.lanes(element), names, options.fast)
        for name in names:
            error, at = worst(library, name, options.points, options.long)
            line = f"{element:6s} {name:14s} {error:9.3f} at {', '.join(map(repr, at)):40s}"
            print(line + (f" {nanoseconds(library, name):7.3f} ns" if options.time else ""), flush=True)


if __name__ == "__main__":
    main()
