"""Matrix products alone: as symprop compiles them from a single layer, beside NumPy, jax and torch.

`A B^T` and `A B` are `W*x` and `V.T*x` over a batch; `A^T B` is the gradient with respect to `W` of the sum
of squares of `W*x`, which needs a product `A B^T` first: there both count, for every contestant. NumPy and
torch write into a ready result; jax makes a new one.

    python tests/benchmarks/products.py jax    # the rows of a peer, as JSON, in the environment of that peer
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# N x k x m: batch, inputs, outputs
SIZES = (
    (4, 4, 4),
    (8, 8, 8),
    (13, 7, 11),
    (17, 33, 65),
    (64, 64, 64),
    (100, 75, 90),
    (127, 127, 127),
    (256, 256, 256),
    (256, 784, 128),
    (1000, 1000, 1000),
    (1024, 1024, 1024),
    (2048, 64, 2048),
    (2048, 2048, 2048),
)
DTYPES = ("float32", "float64")
FORMS = ("A B^T", "A B", "A^T B")
TOLERANCE = {"float32": 1e-4, "float64": 1e-12}


def name_of(form: str, size: tuple[int, int, int], dtype: str) -> str:
    """The name of a row."""
    return f"{form}, {' x '.join(map(str, size))}, {dtype}"


def data(size: tuple[int, int, int], dtype: str) -> tuple[Any, Any]:
    """A (N, k) and B (m, k)."""
    n, k, m = size
    rng = np.random.default_rng(6)
    return rng.normal(size=(n, k)).astype(dtype), rng.normal(size=(m, k)).astype(dtype)


def operations(form: str, size: tuple[int, int, int]) -> float:
    """Multiplications and additions."""
    n, k, m = size
    return (4.0 if form == "A^T B" else 2.0) * n * k * m


def by_numpy(form: str, a: Any, b: Any) -> Callable[[], Any]:
    """The product of a form, into a ready array."""
    turned = np.ascontiguousarray(b.T)
    out, slope = np.empty((len(a), len(b)), a.dtype), np.empty(b.shape, a.dtype)

    def both() -> Any:
        np.matmul(a, b.T, out=out)
        return np.matmul(out.T, a, out=slope)

    return {
        "A B^T": lambda: np.matmul(a, b.T, out=out),
        "A B": lambda: np.matmul(a, turned, out=out),
        "A^T B": both,
    }[form]


# -- peers, in environments of their own ---------------------------------------------------------------------


def by_jax(form: str, a: Any, b: Any) -> Callable[[], Any]:
    """A compiled product."""
    import jax

    if a.dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
    x, y = jax.device_put(a), jax.device_put(np.ascontiguousarray(b.T) if form == "A B" else b)
    made = {
        "A B^T": lambda x, y: x @ y.T,
        "A B": lambda x, y: x @ y,
        "A^T B": lambda x, y: (x @ y.T).T @ x,
    }[form]
    compiled = jax.jit(made)
    return lambda: compiled(x, y).block_until_ready()


def by_torch(form: str, a: Any, b: Any) -> Callable[[], Any]:
    """oneDNN or MKL, whichever torch was built with, into a ready array."""
    import torch

    torch.set_num_threads(1)
    x, y = torch.from_numpy(a), torch.from_numpy(np.ascontiguousarray(b.T) if form == "A B" else b)
    out, slope = torch.empty(len(a), len(b), dtype=x.dtype), torch.empty(b.shape, dtype=x.dtype)

    def both() -> Any:
        torch.matmul(x, y.T, out=out)
        return torch.matmul(out.T, x, out=slope)

    return {
        "A B^T": lambda: torch.matmul(x, y.T, out=out),
        "A B": lambda: torch.matmul(x, y, out=out),
        "A^T B": both,
    }[form]


PEERS = {"jax": by_jax, "torch": by_torch}


def median(call: Callable[[], Any], turns: int = 5, block: float = 0.02) -> float:
    """Seconds of a call."""
    call()
    start = time.perf_counter()
    call()
    repeats = max(1, int(block / max(time.perf_counter() - start, 1e-7)))
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        times.append((time.perf_counter() - start) / repeats)
    return sorted(times)[turns // 2]


def rows(peer: str) -> Iterator[dict[str, Any]]:
    """What a peer takes for every product."""
    for dtype in DTYPES:
        for size in SIZES:
            a, b = data(size, dtype)
            for form in FORMS:
                call = PEERS[peer](form, a, b)
                right = by_numpy(form, a.astype(float), b.astype(float))()
                error = np.abs(np.asarray(call()) - right).max() / np.abs(right).max()
                assert error <= TOLERANCE[dtype], (peer, form, size, dtype, error)
                seconds = median(call)
                name = name_of(form, size, dtype)
                yield {
                    "workload": name,
                    "peer": peer,
                    "variant": "matmul",
                    "median": 1e6 * seconds,
                    "unit": "us",
                }


if __name__ == "__main__":
    for row in rows(sys.argv[1]):
        print(json.dumps(row), flush=True)
