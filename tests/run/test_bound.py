"""Native steps: reference counts, errors, and what they keep alive."""

import gc
import sys
import types
import weakref

import numpy as np
import pytest
import sympy as sp

from symprop.errors import ArgumentError
from symprop.graph import NodeTable
from symprop.run import build


def prepared(samples=3):
    t = NodeTable()
    symbol, label = sp.MatrixSymbol("x", 4, 1), sp.Symbol("c", integer=True)
    executable = build(
        [t.make("take", (t.symbol(symbol), t.symbol(label)))], [symbol, label], batched=[label]
    )
    labels = np.arange(samples) % 4
    buffer, view = executable.allocate(0, samples)
    return executable, executable.prepare([np.arange(4.0)[:, None], labels], [buffer], samples), labels, view


@pytest.mark.parametrize("samples", [3, 100_000])  # short calls keep the lock, long ones give it away
def test_a_step_is_a_native_function(samples):
    _, step, labels, view = prepared(samples)
    assert isinstance(step, types.BuiltinFunctionType)
    assert step() is None
    np.testing.assert_array_equal(view, labels)
    labels[1] = 4
    with pytest.raises(ArgumentError, match="index 4 in row 1"):
        step()
    labels[1] = 0
    step()
    assert view[1] == 0


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on: nothing to count"
)
def test_references_to_none_balance():
    _, step, _, _ = prepared()
    before = sys.getrefcount(None)
    for _ in range(1000):
        step()
    assert abs(sys.getrefcount(None) - before) < 100


def test_a_step_keeps_its_code_and_arrays_alive():
    executable, step, labels, view = prepared()
    gone = weakref.ref(executable)
    copy = labels.copy()
    del executable, labels
    gc.collect()
    step()
    np.testing.assert_array_equal(view, copy)
    assert gone() is not None
    del step
    gc.collect()
    assert gone() is None
