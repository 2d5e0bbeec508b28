"""What the measurements ran on, and the settings that NumPy reads when it is loaded."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path


def cpu_info() -> str:
    """The text in which Linux describes its processors; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def one_thread() -> None:
    """One thread for NumPy's matrix products, and the widest kernels; NumPy reads it when it is imported.

    OpenBLAS takes kernels for AVX2 on processors with AVX-512 that it does not know.
    """
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    if " avx512f " in cpu_info():
        os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"


def model() -> str:
    """The name of the processor."""
    for line in cpu_info().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def described() -> str:
    """Processor, width of its vectors, and versions, in one sentence each."""
    import llvmlite.binding as llvm

    from symprop import __version__
    from symprop.emit.target import host

    bits = host().vector_bits
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "sympy", "llvmlite"))
    kernels = os.environ.get("OPENBLAS_CORETYPE")
    return (
        f"Machine: {model()} (for LLVM {llvm.get_host_cpu_name()}), {os.cpu_count()} cores, "
        f"vectors of {bits} bits.\n"
        f"symprop {__version__}, Python {platform.python_version()}, {versions}, "
        f"LLVM {'.'.join(map(str, llvm.llvm_version_info))}"
        + (f"; NumPy with `OPENBLAS_CORETYPE={kernels}`." if kernels else ".")
    )
