"""Calls without arguments as native objects of the interpreter: no Python code between the user's call and
ours.

A bound step is a builtin function (flag METH_NOARGS) whose `self` is a `bytes` object. Its bytes are what
native code needs: the address of the entry, of `None`, of a Python callable for failed checks, and the block
of the entry. The two functions behind all steps (with and without giving the interpreter's lock away) are
made once per process.

This relies on the layout of `bytes` in CPython; on other interpreters `bound_call` gives None, and the caller
goes through ctypes.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from symprop.emit.builder import I8, I32, I64, PTR, Builder, Module, Value
from symprop.emit.target import host
from symprop.run.engine import Code, compile_text

__all__ = ["Block", "Definition", "bound_call", "method_object"]

PAYLOAD = bytes.__basicsize__ - 1  # where the bytes of a bytes object begin
HEADER = 3  # words in front of the block: entry, None, callback
METH_NOARGS = 0x0004

_MAKE = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
_API = ("Py_IncRef", "PyObject_CallNoArgs", "PyEval_SaveThread", "PyEval_RestoreThread")


class Definition(ctypes.Structure):
    """PyMethodDef of the C API."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class Block(bytes):
    """The words of a step; keeps alive what their addresses point to."""

    held: Any


def bound_call(
    entry: int, words: Sequence[int], held: Any, failed: Callable[[], None], short: bool
) -> Callable[[], None] | None:
    """A callable without arguments that runs `entry` on a block of 64-bit words.

    `failed` is called where the entry reports a failure, and raises. `held` lives as long as the callable. A
    short call keeps the interpreter's lock. None where the interpreter is not CPython.
    """
    made = _methods()
    if made is None:
        return None
    header = (entry, id(None), id(failed))
    block = Block(b"".join(int(w).to_bytes(8, sys.byteorder) for w in (*header, *words)))
    definition = made[0][0 if short else 1]
    block.held = (held, failed, made)
    return method_object(definition, block)


def method_object(definition: Definition, block: Block) -> Callable[..., Any]:
    """A builtin function of the interpreter, whose `self` is the block."""
    make = _MAKE(("PyCFunction_NewEx", ctypes.pythonapi))
    made: Callable[..., Any] = make(ctypes.addressof(definition), block, None)
    return made


@lru_cache(maxsize=1)
def _methods() -> tuple[tuple[Definition, Definition], list[Code]] | None:
    """The definitions of the two kinds of steps, and their code."""
    if sys.implementation.name != "cpython" or not all(hasattr(ctypes.pythonapi, n) for n in _API):
        return None
    address = {n: ctypes.cast(getattr(ctypes.pythonapi, n), ctypes.c_void_p).value or 0 for n in _API}
    codes = [compile_text(_text(name, release), host(), 2, name, address) for name, release in _KINDS]
    first, second = (
        Definition(b"step", code.address, METH_NOARGS, b"Compute with the bound arrays.") for code in codes
    )
    return (first, second), codes


_KINDS = (("symprop.bound", False), ("symprop.bound_releasing", True))


def _text(name: str, release: bool) -> str:
    """`ptr step(ptr self, ptr unused)`: run the entry, give None or what the callback gives."""
    module = Module(host())
    b = Builder(module)
    module.declare("Py_IncRef", None, [PTR])
    module.declare("PyObject_CallNoArgs", PTR, [PTR])
    module.declare("PyEval_SaveThread", PTR, [])
    module.declare("PyEval_RestoreThread", None, [PTR])
    words = b.element(Value("%self", PTR), PAYLOAD, I8)
    entry, none, failed = (b.load(b.element(words, k, I64), PTR) for k in range(HEADER))
    block = b.element(words, HEADER, I64)
    if release:
        state = b.call("PyEval_SaveThread", PTR, [])
    status = b.assign(I32, f"call i32 {entry}(ptr {block})")
    if release:
        b.emit(f"call void @PyEval_RestoreThread(ptr {state})")
    bad, good = b.label("bad"), b.label("good")
    b.branch(b.icmp("ne", status, b.const(0, I32)), bad, good)
    b.start(bad)
    b.emit(f"ret ptr {b.call('PyObject_CallNoArgs', PTR, [failed])}")
    b.start(good)
    b.emit(f"call void @Py_IncRef(ptr {none})")
    b.emit(f"ret ptr {none}")
    module.functions[name] = b.define(f"ptr @{name}(ptr %self, ptr %unused)")
    return module.text()
