"""How pieces of text are put together: as plain text, and as LaTeX.

A `Piece` is a text with what its surroundings must know of it: how tightly it binds, and whether it begins
with a minus sign. Pieces refer to their parts, so that a deep expression is written out once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from symprop.declare.names import latex_of
from symprop.functions.symbols import latex_name
from symprop.graph import OPERATIONS, Shape

__all__ = ["ATOM", "CONDITION", "LATEX", "LONG", "POWER", "PRODUCT", "SUM", "TEXT", "Piece", "Style"]

LONG = 10**12  # an exact fraction with a larger denominator is shown as the nearest double
CONDITION, SUM, PRODUCT, POWER, ATOM = range(5)  # from loose to tight


# The rational or decimal number in front, the irrational one, scalars, matrices.
Product = tuple[sp.Expr, sp.Expr, "list[Piece]", "list[Piece]"]


class Piece:
    """A text in parts; `level` says how tightly it binds.

    `positive` is the same text without its leading minus sign, if it has one; `entry` what stands for it
    where it is one of the operands of an elementwise operation (`1` for a matrix of ones); `closed` is False
    for a product that needs parentheses among further factors, `leads` where it does not need them as the
    first one; `below` is what stands under the bar of `1/x`; `rank` orders terms and factors (0 numbers, 1
    names, 2 powers of names, 3 functions and other powers, 4 sums).
    """

    __slots__ = (
        "below",
        "block",
        "chain",
        "closed",
        "entry",
        "leads",
        "length",
        "level",
        "parts",
        "positive",
        "product",
        "rank",
        "source",
    )

    def __init__(
        self,
        *parts: str | Piece,
        level: int = ATOM,
        positive: Piece | None = None,
        entry: Piece | None = None,
        below: Piece | None = None,
        closed: bool = True,
        leads: bool = True,
        rank: int = 3,
    ) -> None:
        self.parts = parts
        self.level = level
        self.positive = positive
        self.entry = entry
        self.below = below
        self.closed = closed
        self.leads = leads
        self.rank = rank
        self.source: tuple[Piece, Any] | None = None  # of a block: what it is taken from, and its ranges
        self.chain: list[
            tuple[int, Piece, int]
        ] = []  # of a product: numbers of its factors, and their powers
        self.block: Piece | None = None  # of a block among zeros: the block
        self.product: Product | None = None  # of a product with a number
        self.length: int = sum(len(p) if isinstance(p, str) else p.length for p in parts)

    def __str__(self) -> str:
        out: list[str] = []
        todo: list[str | Piece] = [self]
        while todo:
            part = todo.pop()
            if isinstance(part, str):
                out.append(part)
            else:
                todo.extend(reversed(part.parts))
        return "".join(out)


def joined(separator: str, pieces: Sequence[str | Piece]) -> list[str | Piece]:
    """The pieces with a separator between them."""
    parts: list[str | Piece] = []
    for k, piece in enumerate(pieces):
        parts += [separator, piece] if k else [piece]
    return parts


def _power_rank(base: Piece) -> int:
    return 2 if base.rank == 1 else 3


class Style:
    """Plain text."""

    times = "*"
    hadamard = "∘"
    kronecker = ""  # a sign between the factors, or none: a call
    relations = {"less": "<", "less_equal": "<=", "equal": "==", "not_equal": "!="}  # noqa: RUF012
    turned = {"less": ">", "less_equal": ">="}  # noqa: RUF012
    words = {"and": " and ", "or": " or ", "not": "not "}  # noqa: RUF012

    def symbol(self, symbol: Any) -> Piece:
        """A name."""
        return Piece(str(symbol), rank=1)

    def parens(self, piece: Piece) -> Piece:
        """In parentheses."""
        return Piece("(", piece, ")", rank=4)

    def at(self, piece: Piece, level: int) -> Piece:
        """The piece where something of at least this level is expected."""
        return piece if piece.level >= level else self.parens(piece)

    def number(self, value: Any) -> Piece:
        """An exact number or a double."""
        if value.is_negative and (value.is_Number or value.is_Mul):
            inner = self.number(-value)
            return Piece("-", inner, level=SUM, positive=inner, rank=0)
        if value.is_Integer:
            return Piece(str(int(value)), rank=0)
        if value.is_Rational and value.q > LONG:
            return Piece(repr(float(value)), rank=0)
        if value.is_Rational:
            return self.fraction(Piece(str(value.p)), Piece(str(value.q)), rank=0)
        if value.is_Float:
            return Piece(repr(float(value)) if value._prec <= 53 else str(value), rank=0)
        return self.constant(value)

    def constant(self, value: Any) -> Piece:
        """An irrational number."""
        level = SUM if value.is_Add else PRODUCT if value.is_Mul else POWER if value.is_Pow else ATOM
        return Piece(str(value), level=level, closed=not value.is_Mul, rank=0)

    def fraction(self, top: Piece, bottom: Piece, rank: int = 3) -> Piece:
        """top / bottom."""
        return Piece(
            self.at(top, PRODUCT), "/", self.at(bottom, POWER), level=PRODUCT, closed=False, rank=rank
        )

    def division(self, top: Piece, bottom: Piece) -> Piece:
        """top / bottom, entry by entry."""
        return Piece(self.at(top, POWER), "⊘", self.at(bottom, POWER), level=PRODUCT, closed=False)

    def power(self, base: Piece, exponent: Piece) -> Piece:
        """base to the exponent."""
        return Piece(self.at(base, ATOM), "**", self.at(exponent, ATOM), level=POWER, rank=_power_rank(base))

    def entry_power(self, base: Piece, exponent: Piece) -> Piece:
        """base to the exponent, entry by entry."""
        return Piece(self.at(base, ATOM), "**∘", self.at(exponent, ATOM), level=POWER)

    def root(self, base: Piece) -> Piece:
        """The square root."""
        return Piece("sqrt(", base, ")", rank=_power_rank(base))

    def transpose(self, piece: Piece) -> Piece:
        """The transpose."""
        return Piece(self.at(piece, ATOM), ".T", rank=1)

    def call(self, name: str, args: Sequence[str | Piece]) -> Piece:
        """A function by its name."""
        return Piece(name, "(", *joined(", ", args), ")")

    def keyword(self, name: str, value: Any) -> str:
        """A static attribute among the arguments."""
        shown = (
            str(self.number(value))
            if isinstance(value, sp.Number)
            else str(value)
            if isinstance(value, sp.Basic)
            else repr(value)
        )
        return f"{name}={shown}" if name else shown

    def ones(self, shape: Shape) -> Piece:
        """The matrix of ones; among the operands of an elementwise operation it is 1."""
        return Piece(f"ones({shape[0]}, {shape[1]})", entry=Piece("1", rank=0), rank=1)

    def everywhere(self, number: Piece) -> Piece:
        """A number that is added to every entry of a matrix."""
        return number

    def block(self, piece: Piece, ranges: Sequence[tuple[Any, Any, Any]]) -> Piece:
        """A block, by (start, stop, size) for each axis."""
        return self.index(
            piece,
            [f"{start if start != 0 else ''}:{stop if stop != size else ''}" for start, stop, size in ranges],
        )

    def zeros(self, shape: Shape) -> Piece:
        """The matrix of zeros."""
        return Piece(f"zeros({shape[0]}, {shape[1]})", entry=Piece("0", rank=0), rank=1)

    def identity(self, shape: Shape) -> Piece:
        """The identity matrix."""
        square = shape[0] == shape[1]
        return Piece("I" if square else f"eye({shape[0]}, {shape[1]})", rank=1)

    def index(self, piece: Piece, position: Sequence[str | Piece]) -> Piece:
        """An entry or a block."""
        return Piece(self.at(piece, ATOM), "[", *joined(", ", position), "]", rank=1)

    def matrix(self, rows: Sequence[Sequence[Piece]]) -> Piece:
        """An explicit matrix."""
        lines = [Piece("[", *joined(", ", row), "]") for row in rows]
        return Piece("Matrix([", *joined(", ", lines), "])")

    def blocks(self, rows: Sequence[Sequence[Piece]]) -> Piece:
        """A matrix of blocks."""
        lines = [Piece("[", *joined(", ", row), "]") for row in rows]
        return Piece("BlockMatrix([", *joined(", ", lines), "])")

    def choice(self, condition: Piece, a: Piece, b: Piece) -> Piece:
        """a where the condition holds, else b."""
        return self.call("where", [condition, a, b])

    def operation(self, name: str, args: Sequence[str | Piece], plain: bool) -> Piece:
        """A declared operation; `plain` where no attribute is shown."""
        return self.call({"maximum": "max", "minimum": "min"}.get(name, name), args)

    def total(self, piece: Piece) -> Piece:
        """The sum of all entries."""
        return self.call("sum", [piece])


class Latex(Style):
    """LaTeX, for math mode."""

    times = r" "
    hadamard = r" \circ "
    kronecker = r" \otimes "
    relations = {"less": "<", "less_equal": r"\leq", "equal": "=", "not_equal": r"\neq"}  # noqa: RUF012
    turned = {"less": ">", "less_equal": r"\geq"}  # noqa: RUF012
    words = {"and": r" \wedge ", "or": r" \vee ", "not": r"\neg "}  # noqa: RUF012

    def symbol(self, symbol: Any) -> Piece:
        """A name, with its indices as subscripts."""
        return Piece(latex_of(symbol), rank=1)

    def parens(self, piece: Piece) -> Piece:
        """In parentheses."""
        return Piece(r"\left(", piece, r"\right)", rank=4)

    def constant(self, value: Any) -> Piece:
        """An irrational number."""
        level = SUM if value.is_Add else PRODUCT if value.is_Mul else POWER if value.is_Pow else ATOM
        return Piece(sp.latex(value), level=level, rank=0)

    def number(self, value: Any) -> Piece:
        """An exact number or a double."""
        if value.is_Float and not value.is_negative:
            return Piece(sp.latex(sp.Float(value)) if value._prec > 53 else _scientific(float(value)), rank=0)
        if value is sp.nan:
            return Piece(r"\text{NaN}", rank=0)
        return super().number(value)

    def fraction(self, top: Piece, bottom: Piece, rank: int = 3) -> Piece:
        """top / bottom."""
        return Piece(r"\frac{", top, "}{", bottom, "}", level=PRODUCT, rank=rank)

    def division(self, top: Piece, bottom: Piece) -> Piece:
        """top / bottom, entry by entry."""
        return Piece(self.at(top, POWER), r" \oslash ", self.at(bottom, POWER), level=PRODUCT, closed=False)

    def power(self, base: Piece, exponent: Piece) -> Piece:
        """base to the exponent."""
        return Piece(*_braced(self.at(base, ATOM)), "^{", exponent, "}", level=POWER, rank=_power_rank(base))

    def entry_power(self, base: Piece, exponent: Piece) -> Piece:
        """base to the exponent, entry by entry."""
        return Piece(*_braced(self.at(base, ATOM)), r"^{\circ ", self.at(exponent, PRODUCT), "}", level=POWER)

    def root(self, base: Piece) -> Piece:
        """The square root."""
        return Piece(r"\sqrt{", base, "}", rank=_power_rank(base))

    def transpose(self, piece: Piece) -> Piece:
        """The transpose."""
        return Piece(*_braced(self.at(piece, ATOM)), r"^{\top}", level=POWER, rank=1)

    def call(self, name: str, args: Sequence[str | Piece]) -> Piece:
        """A function by its name."""
        return Piece(latex_name(name), r"\left(", *joined(", ", args), r"\right)")

    def keyword(self, name: str, value: Any) -> str:
        """A static attribute among the arguments."""
        shown = sp.latex(value) if isinstance(value, sp.Basic | int | float) else _text(str(value))
        return _text(name) + "=" + shown if name else shown

    def ones(self, shape: Shape) -> Piece:
        """The matrix of ones, in bold."""
        bold = Piece(r"\mathbf{1}", rank=0)
        return Piece(r"\mathbf{1}_{", _size(shape), "}", entry=bold, rank=1)

    def everywhere(self, number: Piece) -> Piece:
        """A number that is added to every entry of a matrix: a multiple of the bold 1."""
        if number.positive is not None:
            inner = self.everywhere(number.positive)
            return Piece("-", inner, level=SUM, positive=inner, rank=0)
        bold = r"\mathbf{1}"
        return Piece(bold, rank=0) if str(number) == "1" else Piece(number, " ", bold, level=PRODUCT, rank=0)

    def zeros(self, shape: Shape) -> Piece:
        """The matrix of zeros, in bold."""
        return Piece(r"\mathbf{0}_{", _size(shape), "}", entry=Piece(r"\mathbf{0}", rank=0), rank=1)

    def identity(self, shape: Shape) -> Piece:
        """The identity matrix, in bold."""
        return Piece(r"\mathbf{I}", rank=1)

    def index(self, piece: Piece, position: Sequence[str | Piece]) -> Piece:
        """An entry or a block."""
        return Piece("{", self.at(piece, ATOM), "}_{", *joined(", ", position), "}", rank=1)

    def matrix(self, rows: Sequence[Sequence[Piece]]) -> Piece:
        """An explicit matrix."""
        lines = [Piece(*joined(" & ", row)) for row in rows]
        return Piece(r"\begin{bmatrix}", *joined(r" \\ ", lines), r"\end{bmatrix}")

    def blocks(self, rows: Sequence[Sequence[Piece]]) -> Piece:
        """A matrix of blocks."""
        return self.matrix(rows)

    def choice(self, condition: Piece, a: Piece, b: Piece) -> Piece:
        """a where the condition holds, else b."""
        parts = (a, r" & \text{if } ", condition, r" \\ ", b, r" & \text{otherwise}")
        return Piece(r"\begin{cases}", *parts, r"\end{cases}", level=PRODUCT, closed=False)

    def operation(self, name: str, args: Sequence[str | Piece], plain: bool) -> Piece:
        """A declared operation, by the pattern that it declares."""
        if name in _BRACKETS and len(args) == 1:
            left, right = _BRACKETS[name]
            return Piece(left, args[0], right)
        pattern = OPERATIONS[name].latex if plain else ""
        if not pattern or any("{" + str(k) + "}" not in pattern for k in range(len(args))):
            named = {"maximum": "max", "minimum": "min"}.get(name, name)
            if named in ("max", "min"):
                return Piece(f"\\{named}", r"\left(", *joined(", ", args), r"\right)")
            return self.call(named, args)
        parts: list[str | Piece] = []
        rest = pattern
        while rest:
            places = [(rest.find("{" + str(k) + "}"), k) for k in range(len(args))]
            found = min((p for p in places if p[0] >= 0), default=None)
            if found is None:
                parts.append(rest)
                break
            where, k = found
            parts += [rest[:where], args[k]]
            rest = rest[where + len(str(k)) + 2 :]
        return Piece(*parts)

    def total(self, piece: Piece) -> Piece:
        """The sum of all entries."""
        return self.call("sum", [piece])


_BRACKETS = {
    "abs": (r"\left|", r"\right|"),
    "floor": (r"\left\lfloor ", r"\right\rfloor"),
    "ceiling": (r"\left\lceil ", r"\right\rceil"),
    "trace": (r"\operatorname{tr}\left(", r"\right)"),
}


def _braced(base: Piece) -> list[str | Piece]:
    """The base of a power; a name with a power of its own needs braces."""
    if len(base.parts) == 1 and isinstance(base.parts[0], str) and "^" not in base.parts[0]:
        return [base]
    return ["{", base, "}"]


def _size(shape: Shape) -> str:
    return r" \times ".join(sp.latex(d) for d in shape)


def _text(text: str) -> str:
    return r"\text{" + text.replace("_", r"\_") + "}"


def _scientific(value: float) -> str:
    mantissa, _, exponent = repr(value).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


TEXT, LATEX = Style(), Latex()
