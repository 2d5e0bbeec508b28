"""Calls without arguments as native objects of the interpreter: no Python code between the user's call and
ours.

A bound step is a builtin function (flag METH_NOARGS) whose `self` is a `bytes` object. Its bytes are what
native code needs: the address of the entry, of `None`, of a Python callable for failed checks, and the block
of the entry. The two functions behind all steps (with and without giving the interpreter's lock away) are
made once per process.

What the user holds is a `functools.partial` of that function, with attributes; `straight` lets a call of it
begin in native code too.

This relies on the layout of `bytes`, of builtin functions and of `partial` in CPython; on other interpreters
`bound_call` gives None, and the caller goes through ctypes.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from symprop.emit.builder import I8, I32, I64, PTR, Builder, Module, Value
from symprop.emit.target import host
from symprop.run.engine import Code, compile_text

__all__ = ["Block", "Definition", "bound_call", "method_object", "straight"]

PAYLOAD = bytes.__basicsize__ - 1  # where the bytes of a bytes object begin
HEADER = 3  # words in front of the block: entry, None, callback
METH_NOARGS = 0x0004
VECTORCALL_OFFSET, TYPE_FLAGS = 56, 168  # fields of PyTypeObject
HAS_VECTORCALL = 1 << 11  # Py_TPFLAGS_HAVE_VECTORCALL
BUILTIN: type[Any] = type(len)
FUNCTION = 16  # field of a partial object
METHOD, SELF, MEANING = 16, 24, 8  # fields of PyCFunctionObject, and the function of PyMethodDef

_MAKE = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
_API = (
    "Py_IncRef",
    "PyObject_CallNoArgs",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyObject_Vectorcall",
)


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


def straight(step: functools.partial[Any]) -> None:
    """Let `step()`, of a partial of a bound call without arguments, begin in native code.

    A partial of a class of ours is called by way of the general path of types, as long as the class does not
    say that its objects have a function for calls (from Python 3.12 on it inherits that); the function is a
    field of the object. Nothing is changed where the fields do not lie where they are expected.
    """
    kind: type[Any] = type(step)
    function: Any = step.func
    word = ctypes.c_uint64.from_address
    if step.args or step.keywords or _methods() is None or type(function) is not BUILTIN:
        return
    offset = word(id(kind) + VECTORCALL_OFFSET).value
    expected = (
        word(id(kind) + TYPE_FLAGS).value == kind.__flags__
        and FUNCTION < offset <= kind.__basicsize__ - 8
        and word(id(step) + FUNCTION).value == id(function)
        and word(id(function) + SELF).value == id(function.__self__)
    )
    if expected:
        word(id(step) + offset).value = _straight().address
        word(id(kind) + TYPE_FLAGS).value |= HAS_VECTORCALL


@lru_cache(maxsize=1)
def _straight() -> Code:
    """`ptr call(ptr partial, ptr args, i64 count, ptr names)`: what the function of a partial does with its
    `self`; with arguments the function is called as any object.
    """
    module = Module(host())
    b = Builder(module)
    partial, args, count, names = (Value(f"%a{k}", t) for k, t in enumerate((PTR, PTR, I64, PTR)))
    module.declare("PyObject_Vectorcall", PTR, [PTR, PTR, I64, PTR])
    function = b.load(b.element(partial, FUNCTION, I8), PTR)
    none = b.icmp("eq", b.shl(count, b.const(1, I64)), b.const(0, I64))  # the highest bit is a flag
    plain, other = b.label("plain"), b.label("other")
    b.branch(b.and_(none, b.icmp("eq", names, Value("null", PTR))), plain, other)
    b.start(other)
    b.emit(f"ret ptr {b.call('PyObject_Vectorcall', PTR, [function, args, count, names])}")
    b.start(plain)
    method = b.load(b.element(function, METHOD, I8), PTR)
    code = b.load(b.element(method, MEANING, I8), PTR)
    block = b.load(b.element(function, SELF, I8), PTR)
    b.emit(f"ret ptr {b.assign(PTR, f'tail call ptr {code}(ptr {block}, ptr null)')}")
    name = "symprop.straight"
    module.functions[name] = b.define(f"ptr @{name}(ptr %a0, ptr %a1, i64 %a2, ptr %a3)")
    address = ctypes.cast(ctypes.pythonapi.PyObject_Vectorcall, ctypes.c_void_p).value or 0
    return compile_text(module.text(), host(), 2, name, {"PyObject_Vectorcall": address})
