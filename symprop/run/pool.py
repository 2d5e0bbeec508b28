"""The pool of threads of this process: its code, made once, and what happens at a fork and at the end."""

from __future__ import annotations

import atexit
import ctypes
import os
from functools import lru_cache

from symprop.emit.pool import FORKED, NEEDED, PARALLEL, STOP, pool_text
from symprop.emit.target import host
from symprop.run.engine import compile_text

__all__ = ["parallel_imports"]

_FORK_HANDLERS = ("pthread_atfork", "__register_atfork")  # of musl and Darwin; of glibc


@lru_cache(maxsize=1)
def parallel_imports() -> dict[str, int]:
    """The address of `symprop.parallel`, which runs everything on the calling thread where the system has no
    POSIX threads.
    """
    functions = _c_functions()
    code = compile_text(
        pool_text(host(), bool(functions)), host(), 2, PARALLEL, functions, others=(FORKED, STOP)
    )
    # Workers run this code until the process ends: nothing may ever unload it, the end of the interpreter
    # included.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(code))
    if functions:
        _at_fork(code.others[FORKED])
        atexit.register(ctypes.CFUNCTYPE(None)(code.others[STOP]))
    return {PARALLEL: code.address}


def _c_functions() -> dict[str, int]:
    """The addresses of what the pool needs from the C library; empty where something is missing."""
    try:
        library = ctypes.CDLL(None)
        return {n: ctypes.cast(getattr(library, n), ctypes.c_void_p).value or 0 for n in NEEDED}
    except (AttributeError, OSError, TypeError):
        return {}


def _at_fork(handler: int) -> None:
    """Run native code in every child of this process, whoever forks it."""
    library = ctypes.CDLL(None)
    for name in _FORK_HANDLERS:
        register = getattr(library, name, None)
        if register is not None:
            arguments = (None, None, ctypes.c_void_p(handler), None)
            if register(*arguments[: 3 if name == "pthread_atfork" else 4]) == 0:
                return
    os.register_at_fork(after_in_child=ctypes.CFUNCTYPE(None)(handler))
