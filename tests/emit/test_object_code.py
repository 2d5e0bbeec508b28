"""Object code for other processors: no function of a library is called, whatever the operation.

The symbols are read from the table of the ELF file, so that nothing depends on how an assembler names calls.
"""

import ctypes
import inspect
import struct
from fractions import Fraction

import llvmlite.binding as llvm
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.emit import program
from symprop.emit.builder import I64, PTR, Builder, Module, Value, vector
from symprop.emit.math import FAST, sin_cos
from symprop.emit.table import NATIVE
from symprop.emit.target import from_features

ARM = from_features("aarch64-unknown-linux-gnu", "generic", "+neon")
SSE2 = from_features("x86_64-unknown-linux-gnu", "x86-64", "")
AVX2 = from_features("x86_64-unknown-linux-gnu", "x86-64-v3", "+avx2,+fma")
TARGETS = {"aarch64": ARM, "sse2": SSE2, "avx2": AVX2}
COMPARISONS = ("less", "less_equal", "equal", "not_equal")


def undefined_symbols(image: bytes) -> set[str]:
    """The names that a 64-bit little-endian ELF file asks others for."""
    assert image[:6] == b"\x7fELF\x02\x01"
    (sections,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", image, sections + k * size) for k in range(count)]
    found = set()
    for _, kind, _, _, offset, length, link, _, _, entry in headers:
        if kind != 2:  # the table of symbols
            continue
        names = headers[link][4]
        for at in range(offset, offset + length, entry):
            name, _, _, section = struct.unpack_from("<IBBH", image, at)
            if section == 0 and name:
                found.add(image[names + name : image.index(b"\0", names + name)].decode())
    return found


def machine(target):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="small"
    )


def add_loop(module, name, emit, element, lanes, operands=1, answer=None):
    """`void name(ptr x, ptr out, i64 n)`: the operation of every vector, its operands one after the other."""
    b, kind = Builder(module), vector(element, lanes)
    with b.loop(b.const(0, I64), Value("%n", I64), lanes) as loop:
        places = [b.add(loop.index, b.const(k * lanes, I64)) for k in range(operands)]
        result = emit(b, *(b.load(b.element(Value("%x", PTR), p, kind), kind) for p in places))
        if answer is not None:
            result = b.select(result, b.const(1.0, kind), b.const(0.0, kind))
        b.store(result, b.element(Value("%out", PTR), loop.index, kind))
    b.emit("ret void")
    module.functions[name] = b.define(f"void @{name}(ptr %x, ptr %out, i64 %n)")


def operands(emit):
    """How many values the function of a builder and values takes; two of as many as one likes."""
    kinds = [p.kind for p in inspect.signature(emit).parameters.values()]
    plain = sum(kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for kind in kinds)
    return plain - 1 + (2 if inspect.Parameter.VAR_POSITIONAL in kinds else 0)


def everything(target, element, lanes):
    """A module with a loop for every operation of the lowered program, precise and fast."""
    module = Module(target)
    for table, suffix in ((NATIVE, ""), (FAST, ".fast")):
        for op, emit in table.items():
            answer = op if op in COMPARISONS else None
            add_loop(module, f"loop.{op}{suffix}", emit, element, lanes, operands(emit), answer)
    add_loop(module, "loop.sin_cos", lambda b, x: b.fadd(*sin_cos(b, x)), element, lanes)
    return module


@pytest.mark.parametrize("wide", [False, True], ids=["scalar", "vector"])
@pytest.mark.parametrize("element", ["double", "float"])
@pytest.mark.parametrize("target", TARGETS)
def test_no_operation_calls_a_library(target, element, wide):
    target = TARGETS[target]
    lanes = target.lanes(element) if wide else 1
    text = everything(target, element, lanes).text()
    assert undefined_symbols(machine(target).emit_object(llvm.parse_assembly(text))) == set()


def test_a_call_of_a_library_is_seen():
    module = Module(ARM)
    add_loop(module, "loop.sin", lambda b, x: b.intrinsic("sin", x), "double", 2)
    assert undefined_symbols(machine(ARM).emit_object(llvm.parse_assembly(module.text()))) == {"sin"}


@pytest.mark.parametrize("element", ["double", "float"])
@pytest.mark.parametrize("name", list(TARGETS))
def test_a_program_whose_operations_go_side_by_side(name, element):
    # gradients that are zero side by side may become a call of memset, and nothing else a call
    w, x, t = sp.MatrixSymbol("w", 4, 3), sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("t", 4, 1)
    loss = nn.cross_entropy((w * x).applyfunc(sp.tanh), t) + sp.log(1 + w[0, 0] ** 2)
    f = symprop.compile(loss, args=[w, x, t], wrt=[w, x])
    text, _ = program.emit(f.schedule, element, TARGETS[name])
    assert "; ModuleID" in text  # the pass has run
    image = machine(TARGETS[name]).emit_object(llvm.parse_assembly(text))
    assert undefined_symbols(image) <= {"memset"}


def test_every_operation_is_written():
    module = everything(AVX2, "double", 4)
    assert len(module.functions) >= len(NATIVE) + len(FAST) + 1


@pytest.mark.parametrize("element", ["double", "float"])
def test_fused_operation_without_the_instruction(element):
    """The product with its error: what is left of x y - round(x y) comes out exactly."""
    if not llvm.get_process_triple().startswith("x86_64"):
        pytest.skip("runs x86 code")
    kind = {"double": np.float64, "float": np.float32}[element]
    module = Module(SSE2)
    b, scalar = Builder(module), vector(element)
    with b.loop(b.const(0, I64), Value("%n", I64)) as loop:
        args = [b.load(b.element(Value(f"%{p}", PTR), loop.index, scalar), scalar) for p in "xyz"]
        b.store(b.fma(*args), b.element(Value("%out", PTR), loop.index, scalar))
    b.emit("ret void")
    module.functions["loop"] = b.define("void @loop(ptr %x, ptr %y, ptr %z, ptr %out, i64 %n)")
    assert "llvm.fma" not in module.text()
    random = np.random.default_rng(0)
    x, y = (random.normal(size=2000).astype(kind) for _ in range(2))
    z = np.concatenate([-(x * y)[:1000], random.normal(size=1000).astype(kind)])
    x[-3:], y[-3:], z[-3:] = [np.inf, 1e300 if element == "double" else 1e30, 0], 1, [1, 1, np.nan]
    out = np.empty_like(x)
    text = module.text().replace("unknown-linux-gnu", llvm.get_process_triple().split("-", 1)[1])
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine(SSE2))
    engine.finalize_object()
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, ctypes.c_int64)
    call(engine.get_function_address("loop"))(*(a.ctypes.data for a in (x, y, z, out)), len(x))
    exact = x.astype(np.longdouble) * y.astype(np.longdouble) + z.astype(np.longdouble)
    if element == "float":
        exact[:1000] = x[:1000].astype(float) * y[:1000].astype(float) - (x * y)[:1000].astype(float)
    else:
        exact[:1000] = [
            float(Fraction(a) * Fraction(c) + Fraction(d))
            for a, c, d in zip(x[:1000], y[:1000], z[:1000], strict=True)
        ]
    np.testing.assert_allclose(out, exact.astype(kind), rtol=0 if element == "float" else 2.3e-16)
