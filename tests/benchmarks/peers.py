"""Other programs that compute values and gradients, measured by a kit of their own, beside our numbers.

The environment variable `SYMPROP_PEERS` names a folder that holds the kit (its script `run`, in the folder
itself or in `kit/` below it) and the environments that the kit's `setup` made (`<peer>/bin/python`, in the
folder itself or in `environments/` below it), or two folders, the kit's first, with a colon between them.
Without the variable nothing is run. The kit prints one JSON object per result:

    {"workload": "W2-sum", "peer": "jax", "variant": "...", "median": 44.8, "unit": "ns/sample", ...}
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import products

VARIABLE = "SYMPROP_PEERS"
SECONDS = {"us": 1e-6, "ms": 1e-3, "ns/sample": 1e-9, "ns/element": 1e-9}
PATIENCE = 30.0  # seconds for one peer and workload, its compilation included


@dataclass(frozen=True)
class PeerResult:
    """One row of the kit: seconds of one call, of one sample or of one element, as the workload has it."""

    workload: str
    peer: str
    variant: str
    seconds: float
    prepared: float | None


def folders() -> tuple[Path, Path, list[str]] | None:
    """The kit's script, the folder of environments, the peers that have one; None without the variable."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    root, *others = (Path(part).expanduser().resolve() for part in named.split(os.pathsep))
    kit = next((d / "run" for d in (root, root / "kit") if (d / "run").is_file()), None)
    if kit is None:
        raise SystemExit(f"{VARIABLE}={named}: no script `run` there or in kit/ below it")
    for environments in others or (root, root / "environments"):
        present = sorted(p.parent.parent.name for p in environments.glob("*/bin/python"))
        if present:
            return kit, environments, present
    raise SystemExit(f"{VARIABLE}={named}: no <peer>/bin/python there or in environments/ below it")


def measure(workload: str, core: int | None, threads: int = 1, seconds: float = PATIENCE) -> list[PeerResult]:
    """What the peers take for one workload of the kit (`W1` ... `W5`); an empty list without the variable."""
    found = folders()
    if found is None:
        return []
    kit, environments, present = found
    results: list[PeerResult] = []
    for peer in present:
        command = [sys.executable, str(kit), str(environments), workload, peer]
        if core is not None:
            command += ["--core", str(core)]
        if threads > 1:
            command += ["--threads", str(threads)]
        results += _run(f"{peer} {workload}", command, seconds)
    return results


def measure_products(core: int | None, seconds: float = PATIENCE) -> list[PeerResult]:
    """What the peers that `products.py` knows take for matrix products alone."""
    found = folders()
    if found is None:
        return []
    _, environments, present = found
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    single["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    single["JAX_PLATFORMS"] = "cpu"
    results: list[PeerResult] = []
    for peer in sorted(set(products.PEERS) & set(present)):
        command = [str(environments / peer / "bin" / "python"), products.__file__, peer]
        if core is not None and shutil.which("taskset"):
            command = ["taskset", "-c", str(core), *command]
        results += _run(f"{peer} products", command, 2 * seconds, {**os.environ, **single})
    return results


def _run(
    label: str, command: list[str], seconds: float, env: dict[str, str] | None = None
) -> list[PeerResult]:
    """The rows that a command prints in some seconds; then it is stopped, with what it has started."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = subprocess.Popen(command, stdout=out, stderr=err, env=env, process_group=0)
        try:
            status = started.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            status = 0
            print(f"  {label}: stopped after {seconds:.0f} s", file=sys.stderr)
        out.seek(0)
        err.seek(0)
        lines = out.read().splitlines()
        if status:
            print(f"  {label}: {err.read().strip()[-300:]}", file=sys.stderr)
    return [_read(json.loads(line)) for line in lines if line.startswith("{") and line.endswith("}")]


def _read(row: dict[str, Any]) -> PeerResult:
    prepared = row.get("prepare_s")
    if prepared is None and "compile_s" in row:
        prepared = row["compile_s"] + row.get("derive_s", 0.0)
    seconds = float(row["median"]) * SECONDS[row["unit"]]
    return PeerResult(row["workload"], row["peer"], row["variant"], seconds, prepared)
