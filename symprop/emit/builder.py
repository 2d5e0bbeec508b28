"""LLVM IR as text, one instruction a method: typed values, vectors of any width, loops, internal functions.

The builder knows types and instructions and nothing of networks. Every arithmetic method takes scalars and
vectors alike; the type of the result is the type of the first operand. No fast-math flag is ever written:
rounding, NaN and infinities are those of IEEE 754, and a fused multiply-add is written as such (`fma`), so
that code of different shape gives the same bits.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

__all__ = [
    "BARRIER",
    "F32",
    "F64",
    "I1",
    "I8",
    "I32",
    "I64",
    "PTR",
    "Builder",
    "Module",
    "Target",
    "Type",
    "Value",
    "vector",
]


Shared = TypeVar("Shared")
BARRIER = "call void @llvm.codeview.annotation(metadata !1)"  # see `Builder.keep_order`


@dataclass(frozen=True, slots=True)
class Type:
    """An LLVM type: `element` is a scalar type, `lanes` is 1 for a scalar."""

    element: str
    lanes: int = 1
    text: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        text = self.element if self.lanes == 1 else f"<{self.lanes} x {self.element}>"
        object.__setattr__(self, "text", text)

    def __str__(self) -> str:
        return self.text

    @property
    def suffix(self) -> str:
        """The name of the type in the name of an intrinsic: `v8f64`, `f32`, `v4i64`."""
        element = {"double": "f64", "float": "f32", "ptr": "p0"}.get(self.element, self.element)
        return element if self.lanes == 1 else f"v{self.lanes}{element}"

    @property
    def bits(self) -> int:
        """The bits of one element."""
        return {"double": 64, "float": 32, "ptr": 64}.get(self.element) or int(self.element[1:])

    @property
    def is_float(self) -> bool:
        """True for double and float elements."""
        return self.element in ("double", "float")

    def of(self, element: str) -> Type:
        """The type of as many lanes of another element."""
        return vector(element, self.lanes)

    @property
    def integer(self) -> Type:
        """The integer type of the same width and lanes."""
        return vector(f"i{self.bits}", self.lanes)

    @property
    def mask(self) -> Type:
        """The type of a comparison of two values of this type."""
        return vector("i1", self.lanes)


@cache
def vector(element: str, lanes: int = 1) -> Type:
    """The type of `lanes` elements."""
    return Type(element, lanes)


F64, F32, I64, I32, I8, I1, PTR = map(vector, ("double", "float", "i64", "i32", "i8", "i1", "ptr"))


@dataclass(frozen=True, slots=True)
class Value:
    """An SSA value or a constant: its text and its type."""

    name: str
    type: Type

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Target:
    """What code is generated for: triple, CPU, features, and the facts that the generator asks for."""

    triple: str
    cpu: str
    features: str
    vector_bits: int  # width of a vector register
    registers: int  # number of vector registers
    fma: bool  # a fused multiply-add in hardware

    def lanes(self, element: str) -> int:
        """Elements in one vector register."""
        return self.vector_bits // vector(element).bits

    @property
    def masked(self) -> bool:
        """True where arithmetic on some lanes of a vector costs no more than on all (AVX-512)."""
        return self.vector_bits == 512

    def block(self, element: str) -> int:
        """Samples that a program in lanes takes at a time: two vectors, so that the latency of one hides
        behind the other and a broadcast parameter is used twice (measured: 15% faster than one)."""
        return 2 * self.lanes(element)


def float_text(value: float, element: str) -> str:
    """A floating-point constant in LLVM's exact hexadecimal form, rounded to `element`."""
    if element == "float":
        value = struct.unpack("f", struct.pack("f", value))[0] if math.isfinite(value) else value
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _without_sign(constant: Value) -> str:
    """The text of a constant without its sign, a number in hexadecimal form or another text."""
    head, x, digits = constant.name.partition("0x")
    return head + x + f"{int(digits[:1] or '0', 16) & 7:X}" + digits[1:] if x else constant.name


class Module:
    """The functions, declarations and constants of one compiled program; `fast` asks for the quicker
    elementary functions of a few ULP.
    """

    def __init__(self, target: Target, fast: bool = False) -> None:
        self.target = target
        self.fast = fast
        self.functions: dict[str, str] = {}
        self.declarations: dict[str, str] = {}
        self.constants: dict[str, str] = {}
        self.notes: list[str] = []  # what was chosen for the matrix products, for readers
        self.threads = 1  # that a call may use

    def declare(self, name: str, result: Type | None, args: Sequence[Type], attributes: str = "") -> None:
        """Declare an intrinsic or an outside function once."""
        if name not in self.declarations:
            inner = ", ".join(map(str, args))
            self.declarations[name] = f"declare {result or 'void'} @{name}({inner}) {attributes}".rstrip()

    def constant(self, element: str, values: Sequence[float] | Sequence[int]) -> Value:
        """The address of a read-only, 64-byte aligned table of numbers."""
        kind = vector(element)
        items = ", ".join(f"{element} {float_text(v, element) if kind.is_float else int(v)}" for v in values)
        text = f"private unnamed_addr constant [{len(values)} x {element}] [{items}], align 64"
        name = self.constants.setdefault(text, f"@table.{len(self.constants)}")
        return Value(name, PTR)

    def function(
        self, name: str, result: Type, args: Sequence[Type], emit: Callable[[Builder, list[Value]], Value]
    ) -> str:
        """The name of an internal function, defined at the first use by `emit(builder, arguments)`."""
        if name not in self.functions:
            self.functions[name] = ""  # a function may not call itself; this shows if one does
            builder = Builder(self)
            values = [Value(f"%a{k}", kind) for k, kind in enumerate(args)]
            builder.emit(f"ret {result} {emit(builder, values)}")
            head = ", ".join(f"{v.type} {v}" for v in values)
            self.functions[name] = builder.define(f"internal {result} @{name}({head})")
        return name

    def text(self) -> str:
        """The whole module."""
        parts = [f'target triple = "{self.target.triple}"', ""]
        parts += [f"{name} = {text}" for text, name in self.constants.items()]
        parts += [*self.declarations.values(), "", *self.functions.values(), ""]
        cpu = f'"target-cpu"="{self.target.cpu}" "target-features"="{self.target.features}"'
        width = f'"prefer-vector-width"="{self.target.vector_bits}"'
        stack = f"alignstack={self.target.vector_bits // 8}"
        parts += [f"attributes #0 = {{ {cpu} {width} }}", f"attributes #1 = {{ {cpu} {width} {stack} }}"]
        parts += ["!0 = !{}", '!1 = !{!"order"}', "!2 = !{i32 1}"]
        return "\n".join(parts) + "\n"


class Builder:
    """Writes the body of one function; `emit` adds a line, every other method an instruction with its
    types.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.target = module.target
        self.lines: list[str] = []
        self.entry_lines: list[str] = []
        self.block = "entry"
        self.types: dict[str, Type] = {}
        self.thread: Value | None = None  # the number of the thread, within what threads share
        self.signed: dict[str, Value] = {}  # -x -> x
        self.scaled: dict[str, tuple[str, Value]] = {}  # c x of a constant c -> |c|, x
        self._shared: dict[tuple[str, str, str, str], object] = {}
        self._count = 0

    # -- text --------------------------------------------------------------------------------------------

    def emit(self, line: str) -> None:
        """Add a line as it is."""
        self.lines.append(line)

    def fresh(self, kind: Type) -> Value:
        """A new name."""
        self._count += 1
        value = Value(f"%v{self._count}", kind)
        self.types[value.name] = kind
        return value

    def assign(self, kind: Type, text: str) -> Value:
        """Add `name = text` and give the name."""
        value = self.fresh(kind)
        self.lines.append(f"{value.name} = {text}")
        return value

    def define(self, head: str, attributes: str = "nounwind") -> str:
        """The text of the function with the given head. With vectors it aligns the stack to one: else what
        waits there lies across two lines where the caller's stack ends so (AVX2: up to 1.2 times the time).
        """
        body = "\n".join([*self.entry_lines, *self.lines])
        wide = self.target.vector_bits > 128 and "<" in body
        return f"define {head} {attributes} #{1 if wide else 0} {{\nentry:\n{body}\n}}"

    def once(
        self, name: str, x: Value, make: Callable[[], Shared], even: bool = False, rest: Value | None = None
    ) -> Shared:
        """What `make` writes, a function `name` of x alone: written once for all uses within a block of code.

        `even` says that it depends on |x| only: then x and -x share it. `rest` belongs to x: what it lost.
        """
        name = name if rest is None else f"{name} of {self._size(rest)} and"
        key = name, self.block, self._size(x) if even else x.name, x.type.text
        if key not in self._shared:
            self._shared[key] = made = make()
            # what begins blocks of its own is there in the last of them
            self._shared[name, self.block, *key[2:]] = made
        return self._shared[key]  # type: ignore[return-value]

    def _size(self, x: Value) -> str:
        """A name for |x| that x and -x have in common."""
        factors = []
        while True:
            if x.name in self.signed:
                x = self.signed[x.name]
            elif x.name in self.scaled:
                factor, x = self.scaled[x.name]
                factors.append(factor)
            else:
                return " ".join([x.name, *factors])

    # -- constants ---------------------------------------------------------------------------------------

    def const(self, number: float, kind: Type) -> Value:
        """A constant of a float or integer type, in every lane."""
        text = float_text(number, kind.element) if kind.is_float else str(int(number))
        return Value(text if kind.lanes == 1 else f"splat ({kind.element} {text})", kind)

    def lane_numbers(self, kind: Type) -> Value:
        """The integers 0, 1, 2 ... one a lane."""
        if kind.lanes == 1:
            return Value("0", kind)
        return Value("<" + ", ".join(f"{kind.element} {k}" for k in range(kind.lanes)) + ">", kind)

    # -- floating point ----------------------------------------------------------------------------------

    def _binary(self, name: str, a: Value, b: Value) -> Value:
        return self.assign(a.type, f"{name} {a.type} {a}, {b}")

    def fadd(self, a: Value, b: Value) -> Value:
        """a + b"""
        return self._binary("fadd", a, b)

    def fsub(self, a: Value, b: Value) -> Value:
        """a - b"""
        return self._binary("fsub", a, b)

    def fmul(self, a: Value, b: Value) -> Value:
        """a * b"""
        result = self._binary("fmul", a, b)
        if not a.name.startswith("%"):
            self.scaled[result.name] = _without_sign(a), b
        elif not b.name.startswith("%"):
            self.scaled[result.name] = _without_sign(b), a
        return result

    def fdiv(self, a: Value, b: Value) -> Value:
        """a / b"""
        return self._binary("fdiv", a, b)

    def fneg(self, a: Value) -> Value:
        """-a"""
        result = self.assign(a.type, f"fneg {a.type} {a}")
        self.signed[result.name] = a
        return result

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a * b + c with one rounding; where the target has no such instruction the product with its error,
        rounded nearly once (a fused call would go to a library)."""
        if self.target.fma:
            return self.intrinsic("fma", a, b, c)
        if a.type.element == "float":
            wide = vector("double", a.type.lanes)
            x, y, z = (self.convert("fpext", v, wide) for v in (a, b, c))
            return self.convert("fptrunc", self.fadd(self.fmul(x, y), z), a.type)
        return self._split_fma(a, b, c)

    def _split_fma(self, a: Value, b: Value, c: Value) -> Value:
        """From halves of the factors (Dekker, Veltkamp); two roundings where these overflow."""
        halves = []
        for v in (a, b):
            scaled = self.fmul(v, self.const(134217729.0, v.type))
            high = self.fsub(scaled, self.fsub(scaled, v))
            halves.append((high, self.fsub(v, high)))
        (ah, al), (bh, bl) = halves
        product = self.fmul(a, b)
        error = self.fsub(self.fmul(ah, bh), product)
        error = self.fadd(self.fadd(error, self.fmul(ah, bl)), self.fmul(al, bh))
        error = self.fadd(error, self.fmul(al, bl))
        total = self.fadd(product, c)
        part = self.fsub(total, product)
        lost = self.fadd(self.fsub(product, self.fsub(total, part)), self.fsub(c, part))
        result = self.fadd(total, self.fadd(lost, error))
        return self.select(self.fcmp("uno", result, result), total, result)

    def intrinsic(self, name: str, *args: Value, result: Type | None = None) -> Value:
        """`llvm.<name>` of values of one type, overloaded on that type."""
        kind = args[0].type
        full = f"llvm.{name}.{kind.suffix}"
        self.module.declare(full, result or kind, [a.type for a in args])
        return self.assign(
            result or kind, f"call {result or kind} @{full}({', '.join(f'{a.type} {a}' for a in args)})"
        )

    def sqrt(self, a: Value) -> Value:
        """Square root, correctly rounded."""
        return self.intrinsic("sqrt", a)

    def fabs(self, a: Value) -> Value:
        """|a|"""
        return self.intrinsic("fabs", a)

    def copysign(self, a: Value, b: Value) -> Value:
        """|a| with the sign of b."""
        return self.intrinsic("copysign", a, b)

    def floor(self, a: Value) -> Value:
        """Largest whole number that is not above a."""
        return self.intrinsic("floor", a)

    def ceil(self, a: Value) -> Value:
        """Smallest whole number that is not below a."""
        return self.intrinsic("ceil", a)

    def trunc(self, a: Value) -> Value:
        """a without its fraction."""
        return self.intrinsic("trunc", a)

    def rint(self, a: Value) -> Value:
        """Nearest whole number, ties to even."""
        return self.intrinsic("rint", a)

    # -- comparison and choice ---------------------------------------------------------------------------

    def fcmp(self, relation: str, a: Value, b: Value) -> Value:
        """A mask; `relation` as in LLVM: `olt ole ogt oge oeq one`, `u..` true for NaN too, `uno`, `ord`."""
        return self.assign(a.type.mask, f"fcmp {relation} {a.type} {a}, {b}")

    def icmp(self, relation: str, a: Value, b: Value) -> Value:
        """A mask; `relation` is one of `eq ne slt sle sgt sge ult ule ugt uge`."""
        return self.assign(a.type.mask, f"icmp {relation} {a.type} {a}, {b}")

    def select(self, mask: Value, a: Value, b: Value) -> Value:
        """a where the mask is true, else b."""
        return self.assign(a.type, f"select {mask.type} {mask}, {a.type} {a}, {b.type} {b}")

    # -- integers and bits -------------------------------------------------------------------------------

    def add(self, a: Value, b: Value) -> Value:
        """a + b"""
        return self._binary("add", a, b)

    def sub(self, a: Value, b: Value) -> Value:
        """a - b"""
        return self._binary("sub", a, b)

    def mul(self, a: Value, b: Value) -> Value:
        """a * b"""
        return self._binary("mul", a, b)

    def and_(self, a: Value, b: Value) -> Value:
        """Bitwise and, of masks too."""
        return self._binary("and", a, b)

    def or_(self, a: Value, b: Value) -> Value:
        """Bitwise or, of masks too."""
        return self._binary("or", a, b)

    def xor(self, a: Value, b: Value) -> Value:
        """Bitwise exclusive or, of masks too."""
        return self._binary("xor", a, b)

    def not_(self, mask: Value) -> Value:
        """The opposite of a mask."""
        return self.xor(mask, Value("true" if mask.type.lanes == 1 else "splat (i1 true)", mask.type))

    def shl(self, a: Value, b: Value) -> Value:
        """Shift left."""
        return self._binary("shl", a, b)

    def lshr(self, a: Value, b: Value) -> Value:
        """Shift right, filling with zeros."""
        return self._binary("lshr", a, b)

    def ashr(self, a: Value, b: Value) -> Value:
        """Shift right, filling with the sign."""
        return self._binary("ashr", a, b)

    def bitcast(self, a: Value, kind: Type) -> Value:
        """The same bits as another type."""
        return self.assign(kind, f"bitcast {a.type} {a} to {kind}")

    def convert(self, name: str, a: Value, kind: Type) -> Value:
        """A conversion instruction: `sitofp fptosi uitofp fpext fptrunc sext zext trunc`."""
        return self.assign(kind, f"{name} {a.type} {a} to {kind}")

    # -- lanes -------------------------------------------------------------------------------------------

    def splat(self, a: Value, lanes: int) -> Value:
        """A scalar in every lane."""
        if lanes == 1:
            return a
        kind = a.type.of(a.type.element) if a.type.lanes == lanes else vector(a.type.element, lanes)
        if not a.name.startswith("%"):
            return Value(f"splat ({a.type.element} {a})", kind)
        first = self.assign(kind, f"insertelement {kind} poison, {a.type} {a}, i64 0")
        zeros = f"<{lanes} x i32> zeroinitializer"
        return self.assign(kind, f"shufflevector {kind} {first}, {kind} poison, {zeros}")

    def extract(self, a: Value, lane: int) -> Value:
        """One lane of a vector."""
        if a.type.lanes == 1:
            return a
        return self.assign(vector(a.type.element), f"extractelement {a.type} {a}, i64 {lane}")

    def insert(self, a: Value, item: Value, lane: int) -> Value:
        """The vector with one lane replaced."""
        return self.assign(a.type, f"insertelement {a.type} {a}, {item.type} {item}, i64 {lane}")

    def shuffle(self, a: Value, b: Value | None, order: Sequence[int]) -> Value:
        """Lanes of a (0 .. lanes-1) and b (lanes ..) in the given order; -1 leaves a lane undefined."""
        kind = vector(a.type.element, len(order))
        items = ", ".join("i32 poison" if k < 0 else f"i32 {k}" for k in order)
        other = f"{b.type} {b}" if b else f"{a.type} poison"
        return self.assign(kind, f"shufflevector {a.type} {a}, {other}, <{len(order)} x i32> <{items}>")

    # -- memory ------------------------------------------------------------------------------------------

    def element(self, pointer: Value, index: Value | int, kind: Type) -> Value:
        """The address of element `index` (in units of the scalar `kind.element`)."""
        at = f"i64 {index}" if isinstance(index, int) else f"{index.type} {index}"
        return self.assign(PTR, f"getelementptr {kind.element}, ptr {pointer}, {at}")

    def load(self, pointer: Value, kind: Type, invariant: bool = False) -> Value:
        """A scalar or a vector of consecutive elements, aligned as one element.

        `invariant` says that nothing in the program writes there: the load may move past any store.
        """
        note = ", !invariant.load !0" if invariant else ""
        return self.assign(kind, f"load {kind}, ptr {pointer}, align {max(1, kind.bits // 8)}{note}")

    def store(self, value: Value, pointer: Value) -> None:
        """Write a scalar or a vector, aligned as one element."""
        self.emit(f"store {value.type} {value}, ptr {pointer}, align {max(1, value.type.bits // 8)}")

    def stream(self, value: Value, pointer: Value) -> None:
        """Write a whole line of 64 bytes, at a multiple of 64, past the cache; `settle` ends such writes."""
        self.emit(f"store {value.type} {value}, ptr {pointer}, align 64, !nontemporal !2")

    def settle(self) -> None:
        """What was written past the cache is seen by other threads before anything that is written later."""
        self.emit("fence seq_cst")

    def prefetch(self, pointer: Value, level: int = 1) -> None:
        """Ask for the line at an address, in the cache of that level; any address will do."""
        self.module.declare("llvm.prefetch.p0", None, [PTR, I32, I32, I32])
        self.emit(f"call void @llvm.prefetch.p0(ptr {pointer}, i32 0, i32 {4 - level}, i32 1)")

    def keep_order(self) -> None:
        """Code written before stays before code written after.

        The scheduler of LLVM moves instructions over hundreds of others to have fewer values alive. It does
        not look across a label, and this intrinsic is one that nothing jumps to: no instruction at all.
        """
        self.module.declare("llvm.codeview.annotation", None, [Type("metadata")])
        self.emit(BARRIER)

    def masked_load(self, pointer: Value, kind: Type, mask: Value, other: Value) -> Value:
        """The lanes where the mask is true, `other` elsewhere; memory of other lanes is not touched."""
        name = f"llvm.masked.load.{kind.suffix}.p0"
        self.module.declare(name, kind, [PTR, kind.mask, kind])
        align = max(1, kind.bits // 8)
        args = f"ptr align {align} {pointer}, {mask.type} {mask}, {kind} {other}"
        return self.assign(kind, f"call {kind} @{name}({args})")

    def masked_store(self, value: Value, pointer: Value, mask: Value) -> None:
        """Write the lanes where the mask is true."""
        kind = value.type
        name = f"llvm.masked.store.{kind.suffix}.p0"
        self.module.declare(name, None, [kind, PTR, kind.mask])
        align = max(1, kind.bits // 8)
        self.emit(f"call void @{name}({kind} {value}, ptr align {align} {pointer}, {mask.type} {mask})")

    def alloca(self, kind: Type, count: int = 1) -> Value:
        """Room on the stack for `count` values, made once at the entry of the function, aligned to 64
        bytes.
        """
        value = self.fresh(PTR)
        self.entry_lines.append(f"{value.name} = alloca {kind}, i64 {count}, align 64")
        return value

    # -- control -----------------------------------------------------------------------------------------

    def label(self, name: str) -> str:
        """A new name of a block."""
        self._count += 1
        return f"{name}{self._count}"

    def start(self, block: str) -> None:
        """Begin a block (the one before must have ended)."""
        self.emit(f"{block}:")
        self.block = block

    def jump(self, block: str) -> None:
        """End the block with a jump."""
        self.emit(f"br label %{block}")

    def branch(self, condition: Value, yes: str, no: str) -> None:
        """End the block with a choice."""
        self.emit(f"br i1 {condition}, label %{yes}, label %{no}")

    @contextmanager
    def loop(self, start: Value, stop: Value, step: int = 1, carry: Sequence[Value] = ()) -> Iterator[Loop]:
        """`for i in range(start, stop, step)` with values carried from turn to turn.

        Inside, `loop.index` is i and `loop.carried` the carried values; set `loop.next` to their new values
        before the end. After the block `loop.results` are the values of the last turn (or the initial ones).
        """
        head, body, done = self.label("head"), self.label("body"), self.label("done")
        before = self.block
        index = self.fresh(start.type)
        carried = [self.fresh(v.type) for v in carry]
        self.jump(head)
        self.start(head)
        at = len(self.lines)
        self.emit("")  # the phi nodes are written when the end of the loop is known
        more = self.icmp("slt", index, stop)
        self.branch(more, body, done)
        self.start(body)
        loop = Loop(index, carried, list(carried))
        yield loop
        after = self.add(index, self.const(step, start.type))
        last = self.block
        self.jump(head)
        phis = [f"{index} = phi {index.type} [ {start}, %{before} ], [ {after}, %{last} ]"]
        for value, first, new in zip(carried, carry, loop.next, strict=True):
            phis.append(f"{value} = phi {value.type} [ {first}, %{before} ], [ {new}, %{last} ]")
        self.lines[at] = "\n".join(phis)
        self.start(done)
        loop.results = carried

    def phi(self, sources: Sequence[tuple[Value, str]]) -> Value:
        """The value that belongs to the block control came from; must stand first in its block."""
        kind = sources[0][0].type
        return self.assign(kind, f"phi {kind} " + ", ".join(f"[ {v}, %{block} ]" for v, block in sources))

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Run the block where a scalar condition is true."""
        yes, done = self.label("then"), self.label("done")
        self.branch(condition, yes, done)
        self.start(yes)
        yield
        self.jump(done)
        self.start(done)

    def call(self, name: str, result: Type, args: Sequence[Value]) -> Value:
        """Call a function of the module."""
        return self.assign(result, f"call {result} @{name}({', '.join(f'{a.type} {a}' for a in args)})")


@dataclass
class Loop:
    """What `Builder.loop` hands to its block."""

    index: Value
    carried: list[Value]
    next: list[Value]
    results: list[Value] = field(default_factory=list)
