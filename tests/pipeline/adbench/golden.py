"""The inputs and right values of the benchmarks, and how near a result must come to them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SMALL = Path(__file__).resolve().parents[2] / "data" / "adbench"
RELATIVE = 1e-10  # in the 2-norm


def golden(name: str) -> dict[str, Any]:
    """A case from `tests/data`, or from the folder of reference data; without it the test is skipped."""
    path = SMALL / f"{name}.npz"
    if not path.exists():
        folder = os.environ.get("SYMPROP_REFERENCE")
        if not folder or not (Path(folder) / "adbench" / path.name).exists():
            pytest.skip(
                f"{name} is no small case: SYMPROP_REFERENCE names no folder with adbench/{path.name}"
            )
        path = Path(folder) / "adbench" / path.name
    with np.load(path) as file:
        return dict(file)


def check(found: Any, right: Any) -> None:
    """The 2-norm of the difference against that of the right values."""
    found, right = np.asarray(found, float), np.asarray(right, float)
    assert found.shape == right.shape
    assert np.linalg.norm(found - right) <= RELATIVE * np.linalg.norm(right)
