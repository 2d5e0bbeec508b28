"""The examples as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lecture() -> ModuleType:
    return load("lecture")


@pytest.fixture(scope="module")
def digits() -> ModuleType:
    pytest.importorskip("sklearn")
    pytest.importorskip("rich")
    return load("digits")


@pytest.fixture(scope="module")
def nist() -> ModuleType:
    pytest.importorskip("scipy")
    return load("nist")


@pytest.fixture(scope="module")
def regression() -> ModuleType:
    pytest.importorskip("sklearn")
    return load("regression")


@pytest.fixture(scope="module")
def burgers() -> ModuleType:
    pytest.importorskip("rich")
    return load("burgers")


@pytest.fixture(scope="module")
def activations() -> ModuleType:
    pytest.importorskip("scipy")
    return load("activations")


@pytest.fixture(scope="module")
def forces() -> ModuleType:
    return load("forces")
