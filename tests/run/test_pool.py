"""The pool of threads: blocks by every thread, calls at once, forks, the end of the process."""

import ctypes
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from symprop.emit.pool import MOST_THREADS, pool_text
from symprop.emit.target import from_features, host
from symprop.run.engine import assembly, compile_text
from symprop.run.pool import parallel_imports

# notes for each index the thread, and the first index of its block
NOTES = """target triple = "%s"
declare void @symprop.parallel(ptr, ptr, i64, i64, i64, i64)
define internal void @note(ptr %%frame, i64 %%first, i64 %%last, i64 %%thread) {
entry:
  br label %%loop
loop:
  %%i = phi i64 [ %%first, %%entry ], [ %%next, %%body ]
  %%more = icmp slt i64 %%i, %%last
  br i1 %%more, label %%body, label %%done
body:
  %%at = mul i64 %%i, 2
  %%p = getelementptr i64, ptr %%frame, i64 %%at
  %%q = getelementptr i64, ptr %%p, i64 1
  store i64 %%thread, ptr %%p
  store i64 %%first, ptr %%q
  %%next = add i64 %%i, 1
  br label %%loop
done:
  ret void
}
define void @go(ptr %%frame, i64 %%stop, i64 %%step, i64 %%team) {
  call void @symprop.parallel(ptr @note, ptr %%frame, i64 0, i64 %%stop, i64 %%step, i64 %%team)
  ret void
}
"""


@pytest.fixture(scope="module")
def run():
    code = compile_text(NOTES % host().triple, host(), 2, "go", parallel_imports())
    go = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(code.address)

    def run(stop, step, team):
        notes = np.full((stop, 2), -1)
        go(notes.ctypes.data, stop, step, team)
        return notes

    run.code = code
    return run


@pytest.mark.parametrize("team", [2, 3, 7, 64])
def test_every_index_is_done_once_in_its_block(run, team):
    threads = set()
    for stop in (1001, 100_000):
        for _ in range(20):
            notes = run(stop, 10, team)
            np.testing.assert_array_equal(notes[:, 1], np.arange(stop) // 10 * 10)
            assert notes[:, 0].min() >= 0 and notes[:, 0].max() < team
            threads |= set(notes[:, 0])
    for _ in range(100_000):  # on a busy machine the others may wait for a core for many calls
        if len(threads) > 1:
            break
        threads |= set(run(100_000, 10, team)[:, 0])
    assert len(threads) > 1


@pytest.mark.parametrize("team", [2, 5])
def test_the_caller_takes_blocks_from_the_front_and_workers_from_the_back(run, team):
    shared = 0
    for _ in range(100_000):
        own = run(20_003, 10, team)[:, 0] == 0
        assert (np.diff(own.astype(int)) <= 0).all()  # what the caller did comes before all else
        shared += 0 < own.sum() < own.size
        if shared == 20:
            break
    assert shared


@pytest.mark.parametrize(("stop", "step", "team"), [(100, 10, 1), (10, 10, 4), (0, 10, 4)])
def test_a_single_thread_or_block_is_one_call(run, stop, step, team):
    notes = run(stop, step, team)
    assert not notes.any()  # thread 0, first index 0


def test_a_second_caller_works_alone(run):
    wrong = []

    def call(team):
        for _ in range(300):
            notes = run(5000, 10, team)
            alone = not notes.any()
            if not alone and not np.array_equal(notes[:, 1], np.arange(5000) // 10 * 10):
                wrong.append(team)

    callers = [threading.Thread(target=call, args=(team,)) for team in (2, 3, 2, 4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def in_a_process(code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


NETWORK = """
import os, sys, threading, time, numpy as np, sympy as sp, symprop
x = sp.Symbol("x")
f = symprop.compile(sp.exp(sp.sin(x)), args=[x], batch=[x], wrt=[x], threads=3)
g = symprop.compile(sp.exp(sp.sin(x)), args=[x], batch=[x], wrt=[x])
data = np.linspace(-3, 3, 50_000)
right = [a.tobytes() for a in (g.value_and_grad(data)[0], *g.value_and_grad(data)[1])]
def good():
    value, grads = f.value_and_grad(data)
    return [a.tobytes() for a in (value, *grads)] == right
def tasks():
    return len(os.listdir("/proc/self/task"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_of_a_fork_makes_its_own_workers():
    code = """
    print(good())  # the pool exists before the fork
    stop = False
    def busy():
        while not stop:
            good()
    caller = threading.Thread(target=busy)  # and is at work while the fork happens
    caller.start()
    for turn in range(20):
        child = os.fork()
        if child == 0:
            before = tasks() if sys.platform == "linux" else 1
            fine = before == 1 and all(good() for _ in range(20))
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(0 if good() else 3)
            fine = fine and os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0
            os._exit(0 if fine else 2)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop = True
    caller.join()
    print(good())
    """
    assert in_a_process(NETWORK + textwrap.dedent(code)) == ["True", *["0"] * 20, "True"]


def test_worker_processes_of_multiprocessing():
    code = """
    import multiprocessing
    def child(k):
        return good()
    if __name__ == "__main__":
        print(good())
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(all(pool.map(child, range(8))))
    """
    assert in_a_process(NETWORK + textwrap.dedent(code)) == ["True", "True"]


def test_the_process_ends_while_workers_wait_and_while_they_work():
    code = """
    print(good())
    def busy():
        while True:
            f.value_and_grad(data)
    for _ in range(2):
        threading.Thread(target=busy, daemon=True).start()
    time.sleep(0.1)
    print("end")
    """
    assert in_a_process(NETWORK + textwrap.dedent(code)) == ["True", "end"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_workers_sleep_when_there_is_no_work():
    code = """
    others = tasks()
    assert good()
    time.sleep(0.2)
    before = time.process_time()
    time.sleep(0.5)
    print(time.process_time() - before < 0.05, tasks() == others + 2)
    """
    assert in_a_process(NETWORK + textwrap.dedent(code)) == ["True", "True"]


def test_signals_reach_the_main_thread_only():
    code = """
    import signal
    others = set(os.listdir("/proc/self/task")) if sys.platform == "linux" else set()
    good()
    seen = []
    main = threading.main_thread()
    signal.signal(signal.SIGUSR1, lambda *_: seen.append(threading.current_thread() is main))
    for _ in range(50):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert good()
    print(len(seen) > 0 and all(seen))
    if sys.platform == "linux":
        blocked = [
            line.split()[1]
            for task in set(os.listdir("/proc/self/task")) - others
            for line in open(f"/proc/self/task/{task}/status")
            if line.startswith("SigBlk")
        ]
        bit = 1 << (signal.SIGUSR1 - 1)
        print([bool(int(mask, 16) & bit) for mask in blocked] == [True, True])
    """
    assert set(in_a_process(NETWORK + textwrap.dedent(code))) == {"True"}


@pytest.mark.skipif("x86_64" not in host().triple, reason="sets the mode of x86")
def test_workers_take_over_the_floating_point_mode_of_the_caller():
    """Half of the smallest normal number is zero where the caller flushes subnormals, else it is not."""
    text = """target triple = "<triple>"
    declare void @symprop.parallel(ptr, ptr, i64, i64, i64, i64)
    declare void @llvm.x86.sse.stmxcsr(ptr)
    declare void @llvm.x86.sse.ldmxcsr(ptr)
    define internal void @halve(ptr %frame, i64 %first, i64 %last, i64 %thread) {
      %at = getelementptr double, ptr %frame, i64 %first
      %x = load volatile double, ptr %at
      %half = fmul double %x, 0.5
      store double %half, ptr %at
      ret void
    }
    define void @go(ptr %data, i64 %count, i64 %flush) {
      %mode = alloca i32
      call void @llvm.x86.sse.stmxcsr(ptr %mode)
      %old = load i32, ptr %mode
      %bit = trunc i64 %flush to i32
      %new = or i32 %old, %bit
      store i32 %new, ptr %mode
      call void @llvm.x86.sse.ldmxcsr(ptr %mode)
      call void @symprop.parallel(ptr @halve, ptr %data, i64 0, i64 %count, i64 1, i64 3)
      store i32 %old, ptr %mode
      call void @llvm.x86.sse.ldmxcsr(ptr %mode)
      ret void
    }
    """
    code = compile_text(text.replace("<triple>", host().triple), host(), 2, "go", parallel_imports())
    go = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(code.address)
    tiny = np.finfo(float).tiny
    for flush in (0x8000, 0, 0x8000, 0):
        data = np.full(200_000, tiny)
        go(data.ctypes.data, data.size, flush)
        assert np.all(data == (0.0 if flush else tiny / 2)), flush


def test_without_threads_everything_is_one_call():
    text = pool_text(host(), threads=False)
    assert "pthread" not in text
    code = compile_text(text, host(), 2, "symprop.parallel")
    notes = compile_text(
        NOTES % host().triple + "\n; alone", host(), 2, "go", {"symprop.parallel": code.address}
    )
    room = np.full((100, 2), -1)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(notes.address)(
        room.ctypes.data, 100, 10, 4
    )
    assert not room.any()


def test_the_pool_for_other_processors_compiles():
    target = from_features("aarch64-unknown-linux-gnu", "generic", "+neon")
    text = assembly(pool_text(target, threads=True), target)
    assert "yield" in text and "fpcr" in text.lower()


def test_more_threads_than_the_pool_may_have():
    import sympy as sp

    import symprop

    x = sp.Symbol("x")
    f = symprop.compile(sp.exp(x), args=[x], batch=[x], threads=MOST_THREADS + 100)
    data = np.linspace(0, 1, 20_000)
    np.testing.assert_allclose(f(data), np.exp(data), rtol=1e-15)
