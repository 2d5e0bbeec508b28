"""The pause of the collector: nested, in threads, after errors."""

import gc
import threading

import pytest
import sympy as sp

import symprop
from symprop.graph import CollectorPaused


def test_it_nests_and_restores():
    assert gc.isenabled()
    with CollectorPaused():
        assert not gc.isenabled()
        with CollectorPaused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with CollectorPaused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_an_error_inside_restores():
    with pytest.raises(symprop.GraphError):
        symprop.Graph([])
    assert gc.isenabled()


def test_several_threads():
    """The last to leave restores, in whatever order they come and go."""
    inside, leave = threading.Barrier(3), threading.Event()

    def work():
        with CollectorPaused():
            inside.wait()
            leave.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    assert not gc.isenabled()
    with CollectorPaused():
        pass
    assert not gc.isenabled()
    leave.set()
    for thread in threads:
        thread.join()
    assert gc.isenabled()


def test_compiling_leaves_the_collector_as_it_was():
    x = sp.Symbol("x")
    symprop.compile(sp.sin(x))(1.0)
    assert gc.isenabled()
