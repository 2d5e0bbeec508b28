"""The engine: text of a module in, address of its entry out. Code is freed with the last executable that uses
it.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import lru_cache

import llvmlite.binding as llvm

from symprop.emit.builder import Target
from symprop.emit.program import ENTRY
from symprop.emit.target import machine

__all__ = ["Code", "assembly", "compile_text"]

_LOCK = threading.Lock()
_NUMBERS = itertools.count()  # the engine never takes the name of a library twice, not even of a freed one
_LOADED: weakref.WeakValueDictionary[str, Code] = weakref.WeakValueDictionary()


class Code:
    """Loaded native code; keeps the engine and the library alive. `others` are the addresses of further
    functions by name.
    """

    def __init__(self, address: int, library: object, engine: object, others: Mapping[str, int]) -> None:
        self.address = address
        self.others = others
        self._library = library
        self._engine = engine


@lru_cache(maxsize=1)
def _engine(target: Target) -> llvm.lljit.LLJIT:
    return llvm.create_lljit_compiler(machine(target, 2), use_jit_link=False, suppress_errors=False)


def compile_text(
    text: str,
    target: Target,
    level: int = 2,
    symbol: str = ENTRY,
    imports: Mapping[str, int] | None = None,
    others: Sequence[str] = (),
) -> Code:
    """Native code of a module, of which `symbol` is wanted, and `others`; equal texts share one copy.

    `level` is that of the code generator, 0 to 3; `imports` are the addresses of outside functions.
    """
    key = hashlib.sha256(f"{target}{level}{text}".encode()).hexdigest()
    with _LOCK:
        code = _LOADED.get(key)
        if code is None:
            module = llvm.parse_assembly(text)
            image = machine(target, level).emit_object(module)
            engine = _engine(target)
            builder = llvm.JITLibraryBuilder().add_object_img(image).add_current_process()
            for name, address in (imports or {}).items():
                builder.import_symbol(name, address)
            for name in (symbol, *others):
                builder.export_symbol(name)
            library = builder.link(engine, f"{key}.{next(_NUMBERS)}")
            addresses = {name: library[name] for name in others}
            code = _LOADED[key] = Code(library[symbol], library, engine, addresses)
    return code


def assembly(text: str, target: Target, level: int = 2) -> str:
    """The assembly of a module."""
    with _LOCK:
        return str(machine(target, level).emit_assembly(llvm.parse_assembly(text)))
