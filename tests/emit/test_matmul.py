"""Matrix products against NumPy in float64, and against themselves: an entry has the same bits everywhere."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from matmul_harness import ELEMENTS, SIZES, Problem, assembly, compiled, known, module_text, target

DTYPES = (np.float64, np.float32)
LEVELS = ("host", "v1")
STATIC = " ".join(SIZES)


def lay(x: Any, how: str) -> Any:
    """The same matrix in memory by rows, by columns, or spread out in both directions."""
    if how == "rows":
        return np.ascontiguousarray(x)
    if how == "columns":
        return np.asfortranarray(x)
    around = np.full((2 * x.shape[0] + 1, 3 * x.shape[1] + 2), np.nan, x.dtype)
    view = around[::2, ::3][: x.shape[0], : x.shape[1]]
    view[...] = x
    return view


def unit_strides(dtype: Any, *layouts: str) -> Problem:
    """A problem of which only the strides that are 1 are known."""
    problem = Problem(ELEMENTS[np.dtype(dtype)])
    for name, how in zip("abc", layouts, strict=True):
        if how != "spread":
            problem = replace(problem, **{name + ("c" if how == "rows" else "r"): 1})
    return problem


def check(a: Any, b: Any, result: Any, first: Any = 0.0) -> None:
    """Every entry within the bound of a sum of k rounded terms."""
    left, right = a.astype(np.float64), b.astype(np.float64)
    exact = left @ right + first
    bound = (a.shape[1] + 2) * np.finfo(a.dtype).eps * (abs(left) @ abs(right) + abs(first))
    assert (abs(result - exact) <= bound).all()


def guarded(shape: tuple[int, int], dtype: Any, how: str) -> tuple[Any, Any]:
    """A matrix to write to and the memory around it."""
    m, n = shape
    if how == "spread":
        around = np.full((2 * m + 2, 3 * n + 3), 77, dtype)
        return around[1:-1:2, 1:-2:3][:m, :n], around
    around = np.full(m * n + 32, 77, dtype)
    inner = around[16 : 16 + m * n]
    return (inner.reshape(m, n) if how == "rows" else inner.reshape(n, m).T), around


LAYOUTS = list(itertools.product(("rows", "columns", "spread"), repeat=3))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layouts", LAYOUTS, ids="-".join)
def test_known_sizes(layouts: tuple[str, str, str], dtype: Any, level: str) -> None:
    rng = np.random.default_rng(LAYOUTS.index(layouts))
    for m, n, k in [rng.integers(1, most, 3) for most in ((70, 14) if level == "host" else (40,))]:
        a = lay(rng.standard_normal((m, k)).astype(dtype), layouts[0])
        b = lay(rng.standard_normal((k, n)).astype(dtype), layouts[1])
        c, around = guarded((m, n), dtype, layouts[2])
        compiled(known(Problem(ELEMENTS[np.dtype(dtype)]), a, b, c, STATIC), level)(a, b, c)
        check(a, b, c)
        c[...] = 77
        assert (around == 77).all(), "memory around the result was written"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layouts", LAYOUTS[::4], ids="-".join)
def test_runtime_sizes(layouts: tuple[str, str, str], dtype: Any, level: str) -> None:
    rng = np.random.default_rng(LAYOUTS.index(layouts))
    product = compiled(unit_strides(dtype, *layouts), level)
    shapes = [*rng.integers(0, 12, (20, 3)), *rng.integers(1, 70, (20, 3)), (1, 40, 7), (40, 1, 7), (5, 9, 0)]
    for m, n, k in shapes:
        a = lay(rng.standard_normal((m, k)).astype(dtype), layouts[0])
        b = lay(rng.standard_normal((k, n)).astype(dtype), layouts[1])
        c, around = guarded((m, n), dtype, layouts[2])
        product(a, b, c)
        check(a, b, c)
        c[...] = 77
        assert (around == 77).all(), "memory around the result was written"


@pytest.mark.parametrize("kind", ["nn", "tn", "nt", "tt"])
@pytest.mark.parametrize("free", ["m", "n", "k", "m n", "n k", "m k", ""])
def test_some_sizes_at_run_time(free: str, kind: str) -> None:
    """Sizes at which blocks, parts of the sums and packing come into play; the rest of the sizes known."""
    rng = np.random.default_rng(len(free) + 10 * len(kind))
    dtype = DTYPES[(len(free) + ("nn", "tn", "nt", "tt").index(kind)) % 2]
    sizes = {"m": 37, "n": 45, "k": 51}
    for name in free.split():
        sizes[name] = {"m": 703, "n": 161, "k": 2100}[name]
    m, n, k = sizes.values()
    a = lay(rng.standard_normal((m, k)).astype(dtype), "columns" if kind[0] == "t" else "rows")
    b = lay(rng.standard_normal((k, n)).astype(dtype), "columns" if kind[1] == "t" else "rows")
    c = np.zeros((m, n), dtype)
    everything = known(Problem(ELEMENTS[np.dtype(dtype)]), a, b, c, STATIC)
    problem = replace(everything, **dict.fromkeys(free.split()))
    compiled(problem)(a, b, c)
    check(a, b, c)
    again = np.zeros((m, n), dtype)
    compiled(everything)(a, b, again)
    assert (again == c).all(), "the bits depend on what is known when the code is made"


@pytest.mark.parametrize("kind", ["nn", "tn", "nt"])
@pytest.mark.parametrize(("m", "n", "k"), [(515, 70, 1100), (203, 512, 300), (61, 300, 512)])
def test_large(m: int, n: int, k: int, kind: str) -> None:
    """Blocks of rows, copied panels and tiles whose rows would collide in the cache, interrupted sums."""
    rng = np.random.default_rng(9)
    layouts = ["columns" if letter == "t" else "rows" for letter in kind]
    a, b = lay(rng.standard_normal((m, k)), layouts[0]), lay(rng.standard_normal((k, n)), layouts[1])
    c, corner = np.zeros((m, n)), np.zeros((13, 9))
    compiled(known(Problem("double"), a, b, c, STATIC))(a, b, c)
    check(a, b, c)
    compiled(unit_strides(np.float64, *layouts, "rows"))(a[-13:], b[:, -9:], corner)
    assert (corner == c[-13:, -9:]).all()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks_have_the_bits_of_the_whole(dtype: Any, level: str) -> None:
    """Sub-blocks computed alone, packed or not, turned or not, and the plain chain of fused multiply-adds."""
    rng = np.random.default_rng(5)
    m, n, k = 61, 67, 83
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    whole = np.zeros((m, n), dtype)
    compiled(known(Problem(ELEMENTS[np.dtype(dtype)]), a, b, whole, STATIC), level)(a, b, whole)
    parts = [(0, 61, 0, 1), (3, 4, 0, 67), (7, 9, 2, 5), (0, 30, 10, 43), (50, 61, 60, 67), (60, 61, 66, 67)]
    for index, (i, ii, j, jj) in enumerate(parts):
        for layouts in (LAYOUTS[4 * index], LAYOUTS[-1 - 3 * index]):
            left, right = lay(a[i:ii], layouts[0]), lay(b[:, j:jj], layouts[1])
            c = lay(np.zeros((ii - i, jj - j), dtype), layouts[2])
            compiled(known(Problem(ELEMENTS[np.dtype(dtype)]), left, right, c, STATIC), level)(left, right, c)
            assert (c == whole[i:ii, j:jj]).all()
            if index < 3:
                compiled(unit_strides(dtype, *layouts), level)(left, right, c)
                assert (c == whole[i:ii, j:jj]).all()


@pytest.mark.parametrize("level", LEVELS)
def test_rows_at_run_time_have_the_same_bits_with_copies_and_without(level: str) -> None:
    """A few rows read B where it lies, many repay a copy of its panels; a depth that is interrupted too."""
    rng = np.random.default_rng(11)
    n, dtype = 72, np.float32
    for k in (130, 2200):
        a, b = rng.standard_normal((61, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        results = []
        for rows in (61, 24, 23, 12, 5, 1):
            c = np.zeros((rows, n), dtype)
            problem = replace(known(Problem("float"), a[:rows], b, c, STATIC), m=None)
            compiled(problem, level)(a[:rows], b, c)
            results.append(c)
        check(a, b, results[0])
        for c in results[1:]:
            assert np.array_equal(c, results[0][: len(c)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rows", "k"), [(1, 301), (61, 301), (197, 301), (515, 301), (1550, 301), (4565, 2100)]
)
def test_panels_copied_while_others_are_computed(rows: int, k: int, dtype: Any) -> None:
    """Each tile copies some steps of the next panel; rows at run time in pieces of equal length, or nearly.

    The last has pieces of 240 rows, and one of 5, less than a tile of those that copy.
    """
    rng = np.random.default_rng(12)
    n = 150
    a = rng.standard_normal((rows, k)).astype(dtype)
    b = rng.standard_normal((k, 1024)).astype(dtype)[:, :n]  # lines that collide in the cache
    c, around = guarded((rows, n), dtype, "rows")
    compiled(replace(known(Problem(ELEMENTS[np.dtype(dtype)]), a, b, c, STATIC), m=None))(a, b, c)
    check(a, b, c)
    assert (around[:16] == 77).all() and (around[-16:] == 77).all()
    last, part = np.ascontiguousarray(a[-13:]), np.zeros((min(rows, 13), n), dtype)
    compiled(unit_strides(dtype, "rows", "rows", "rows"))(last, b, part)
    assert np.array_equal(part, c[-13:])


@pytest.mark.parametrize("k", [0, 7, 100, 512, 1100])
@pytest.mark.parametrize(("m", "element"), [(25, "float"), (95, "double"), (515, "float")])
def test_copied_columns(m: int, element: str, k: int) -> None:
    """A^T B with many columns: tiles of A are copied by columns, the depth comes at run time."""
    dtype = np.float32 if element == "float" else np.float64
    rng = np.random.default_rng(13)
    a, b = rng.standard_normal((k, m)).astype(dtype).T, rng.standard_normal((k, 805)).astype(dtype)
    c, part = np.full((m, 805), 77, dtype), np.zeros((13, 9), dtype)
    compiled(replace(known(Problem(element), a, b, c, STATIC), k=None))(a, b, c)
    check(a, b, c)
    compiled(Problem(element, cc=1))(a[-13:], b[:, -9:], part)
    assert np.array_equal(part, c[-13:, -9:])


def test_order_of_a_sum() -> None:
    """Products that round differently in any other order: ascending t, one rounding a step, from zero."""
    k = 40
    a = np.array([[1e16, 1.0, -1e16, 3.0, 1e-16, 0.7, 1e8, -1e-8] * 5])
    b = np.ones((k, 1))
    total, backwards = 0.0, 0.0
    for t in range(k):
        total, backwards = total + a[0, t], backwards + a[0, k - 1 - t]
    assert total != backwards
    c = np.zeros((9, 9))
    left, right = np.repeat(a, 9, 0), np.repeat(b, 9, 1)
    compiled(known(Problem("double"), left, right, c, STATIC))(left, right, c)
    assert (c == total).all()
    # One rounding: (1 + u)^2 - 1 keeps its last term.
    u = 2.0**-30
    left, right = np.array([[-1.0, 1 + u]]), np.array([[1.0], [1 + u]])
    c = np.zeros((1, 1))
    compiled(known(Problem("double"), left, right, c, STATIC))(left, right, c)
    if target().fma:
        assert c[0, 0] == 2 * u + u * u


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("along", ["n", "m", None])
@pytest.mark.parametrize("layouts", LAYOUTS[::6], ids="-".join)
def test_accumulate(layouts: tuple[str, str, str], along: str | None, level: str) -> None:
    rng = np.random.default_rng(3)
    for dtype, (m, n, k) in zip(
        DTYPES * 3, [(17, 19, 23), (4, 5, 6), (33, 7, 3), (1, 9, 9)] * 2, strict=False
    ):
        a = lay(rng.standard_normal((m, k)).astype(dtype), layouts[0])
        b = lay(rng.standard_normal((k, n)).astype(dtype), layouts[1])
        first = rng.standard_normal((m, n)).astype(dtype)
        results = []
        for problem in (unit_strides(dtype, *layouts), None):
            c, _ = guarded((m, n), dtype, layouts[2])
            c[...] = first
            problem = problem or known(Problem(ELEMENTS[np.dtype(dtype)]), a, b, c, STATIC)
            compiled(replace(problem, accumulate=True, along=along), level)(a, b, c)
            check(a, b, c, first.astype(np.float64))
            results.append(c.copy())
        assert (results[0] == results[1]).all()
        # Two halves of the sum, one after the other, are the sum.
        c, half = lay(first, layouts[2]), k // 2
        halves = replace(unit_strides(dtype, "spread", "spread", layouts[2]), accumulate=True)
        for part in (slice(0, half), slice(half, k)):
            compiled(halves, level)(a[:, part], b[part], c)
        assert (results[0] == c).all()


@pytest.mark.parametrize("along", ["n", "m"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("runtime", [True, False])
def test_epilogue(dtype: Any, along: str, runtime: bool, compact: bool) -> None:
    rng = np.random.default_rng(4)
    for m, n, k in [(20, 33, 10), (3, 2, 5), (13, 11, 17), (6, 16, 1), (1, 1, 1), (7, 1, 64), (1, 7, 64)]:
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        bias = rng.standard_normal(n).astype(dtype)
        plain, c = np.zeros((m, n), dtype), np.zeros((m, n), dtype)
        problem = unit_strides(dtype, "rows", "rows", "rows")
        compiled(problem)(a, b, plain)
        problem = problem if runtime else known(problem, a, b, c, STATIC)
        options = (("compact", compact),)
        compiled(replace(problem, epilogue="bias", along=along, options=options))(a, b, c, bias)
        assert (c == np.maximum(plain + bias, 0)).all()


@pytest.mark.parametrize("level", ["host", "v3", "v1"])
@pytest.mark.parametrize("runtime", [True, False])
@pytest.mark.parametrize(
    "layouts", [("rows", "rows", "rows"), ("columns", "rows", "rows"), ("rows",) * 2 + ("columns",)]
)
def test_what_an_epilogue_reads_is_fetched_row_by_row(
    layouts: tuple[str, str, str], runtime: bool, level: str
) -> None:
    rng = np.random.default_rng(5)
    # as few steps as there are lines to fetch, or fewer, and more; parts of a deep sum
    for m, n, k in [(24, 64, 33), (13, 37, 36), (25, 40, 150), (12, 130, 1100), (130, 130, 40)]:
        a = lay(rng.standard_normal((m, k)), layouts[0])
        b = lay(rng.standard_normal((k, n)), layouts[1])
        c, plain = (lay(np.zeros((m, n)), layouts[2]) for _ in range(2))
        problem = unit_strides(np.float64, *layouts)
        problem = problem if runtime else known(problem, a, b, c, STATIC)
        compiled(problem, level)(a, b, plain)
        for reads in (1, 3):
            c[...] = 0
            compiled(replace(problem, reads=reads), level)(a, b, c)
            assert (c == plain).all()
    known_sizes = known(
        unit_strides(np.float64, "rows", "rows", "rows"),
        *map(np.ones, ((24, 64), (64, 16), (24, 16))),
        STATIC,
    )
    text = module_text(replace(known_sizes, reads=3), target("v4"))
    assert text.count("call void @llvm.prefetch") == 2  # a row of one tile of 12, not 72 lines at once


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dots(dtype: Any, level: str) -> None:
    rng = np.random.default_rng(6)
    dots = (("dots", True),)
    runtime = replace(unit_strides(dtype, "rows", "columns", "rows"), n=1, options=dots)
    for m, k in [(1, 200), (2, 64), (7, 97), (40, 16), (5, 131), (9, 40), (4, 3)]:
        a, x = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, 1)).astype(dtype)
        y, z, row = np.zeros((m, 1), dtype), np.zeros((m, 1), dtype), np.zeros((1, m), dtype)
        problem = replace(known(Problem(ELEMENTS[np.dtype(dtype)]), a, x, y, STATIC), options=dots)
        compiled(problem, level)(a, x, y)
        check(a, x, y)
        # The same sums at run time, of a single row, and as a row instead of a column.
        if k >= 2 * target(level).lanes(
            ELEMENTS[np.dtype(dtype)]
        ):  # shorter ones are chains where k is known
            compiled(runtime, level)(a, x, z)
            assert (y == z).all()
            compiled(runtime, level)(a[-1:], x, z[:1])
            assert (y[-1] == z[0]).all()
            turned = unit_strides(dtype, "rows", "columns", "rows")
            compiled(replace(turned, m=1, options=dots), level)(x.T, a.T, row)
            assert (row[0] == y[:, 0]).all()
        first = rng.standard_normal((m, 1)).astype(dtype)
        y[...] = first
        compiled(replace(problem, accumulate=True), level)(a, x, y)
        check(a, x, y, first.astype(np.float64))


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_stay_where_they_are(dtype: Any) -> None:
    """What fills the unused lanes must not reach entries of C."""
    rng = np.random.default_rng(7)
    for layouts in LAYOUTS[::5]:
        a, b = rng.standard_normal((9, 11)).astype(dtype), rng.standard_normal((11, 13)).astype(dtype)
        a[8, 3], b[4, 12] = np.inf, np.nan
        with np.errstate(invalid="ignore"):
            expected = a @ b
        a, b, c = lay(a, layouts[0]), lay(b, layouts[1]), lay(np.zeros((9, 13), dtype), layouts[2])
        compiled(unit_strides(dtype, *layouts))(a, b, c)
        np.testing.assert_allclose(c, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="needs memory protection")
@pytest.mark.parametrize("kind", ["nn", "tn", "nt"])
def test_reads_nothing_behind_the_factors(kind: str) -> None:
    """Factors that end where readable memory ends: a read behind them would end the process."""
    page = mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    areas = []
    for _ in range(2):
        area = mmap.mmap(-1, 8 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(area))
        assert libc.mprotect(ctypes.c_void_p(start + 4 * page), ctypes.c_size_t(4 * page), 0) == 0
        areas.append((area, np.frombuffer(area, np.float32, 4 * page // 4)))

    def last(area: Any, rows: int, columns: int, turned: bool) -> Any:
        flat = area[1][-rows * columns :]
        return flat.reshape(columns, rows).T if turned else flat.reshape(rows, columns)

    rng = np.random.default_rng(8)
    layouts = ("columns" if kind[0] == "t" else "rows", "columns" if kind[1] == "t" else "rows", "rows")
    for m, n, k in [(5, 7, 3), (13, 17, 11), (24, 48, 40), (7, 9, 70), (1, 3, 5), (31, 3, 9)]:
        a, b = last(areas[0], m, k, kind[0] == "t"), last(areas[1], k, n, kind[1] == "t")
        a[...], b[...] = rng.standard_normal((m, k)), rng.standard_normal((k, n))
        c = np.zeros((m, n), np.float32)
        for problem in (unit_strides(np.float32, *layouts), known(Problem("float"), a, b, c, STATIC)):
            compiled(problem)(a, b, c)
            check(a, b, c)


@pytest.mark.parametrize("element", ["double", "float"])
@pytest.mark.parametrize(("level", "register", "sums"), [("v3", "ymm", 12), ("v4", "zmm", 24)])
def test_innermost_loop(level: str, register: str, sums: int, element: str) -> None:
    """Multiply-adds of whole registers, and nothing in the loop that goes through the stack."""
    size = 96
    strides = {"ar": size, "ac": 1, "br": size, "bc": 1, "cr": size, "cc": 1}
    problem = Problem(element, m=size, n=size, k=size, **strides)
    for one in (problem, replace(problem, m=None), Problem(element, ac=1, bc=1, cc=1)):
        blocks = re.split(r"^\.LBB\S+:", assembly(one, target(level)), flags=re.M)
        loops = [text for text in blocks if len(re.findall(rf"vfmadd\d+p[sd].*%{register}", text)) >= sums]
        assert loops
        assert all("rsp" not in text for text in loops)


def test_no_fast_math() -> None:
    text = module_text(Problem("double", ac=1, br=1, cc=1, options=(("dots", True),)), target("v3"))
    assert "llvm.fma.v4f64" in text
    assert not re.search(r"\b(fast|contract|reassoc|nnan|ninf|nsz|arcp|afn)\b", text)
