"""Native steps: reference counts, errors, and what they keep alive."""

import functools
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
from symprop.run.bound import straight


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


class Held(functools.partial):
    """A partial with attributes, as a bound step is."""


def test_a_partial_of_a_step_goes_straight_to_native_code():
    _, step, labels, view = prepared()
    held = Held(step)
    held.name = "kept"
    held()
    straight(held)
    labels[:] = labels[::-1].copy()
    assert held() is None and held.name == "kept"
    np.testing.assert_array_equal(view, labels)
    for wrong in (lambda: held(1), lambda: held(a=1), lambda: held(*[1, 2], b=3)):
        with pytest.raises(TypeError, match=r"no (keyword )?arguments"):
            wrong()
    labels[1] = 4
    with pytest.raises(ArgumentError, match="index 4 in row 1"):
        held()
    labels[1] = 0
    before = [sys.getrefcount(o) for o in (held, step)]
    for _ in range(1000):
        held()
    assert [sys.getrefcount(o) for o in (held, step)] == before


def test_other_partials_of_the_class_stay_as_they_are():
    _, step, _, view = prepared()
    straight(Held(step))
    calls = []
    other = Held(calls.append)
    straight(other)
    other(3)
    Held(calls.append, 4)()
    python = Held(lambda *args, **named: calls.append((args, named)))
    straight(python)
    python(1, a=2)
    assert calls == [3, 4, ((1,), {"a": 2})]
    view[:] = -1
    Held(step)()
    assert (view >= 0).all()
