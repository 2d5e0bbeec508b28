"""Our own printers: nodes and expressions as text and as LaTeX, without recursion.

`∘` is the Hadamard product, `⊘` the division entry by entry, `**∘` a power of the entries; a matrix of ones
is `1` among the operands of a sum or an elementwise product and `ones(rows, columns)` elsewhere, the
identity is `I`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from symprop.declare import blocks
from symprop.declare.intake import Intake
from symprop.declare.styles import (
    ATOM,
    CONDITION,
    LATEX,
    LONG,
    POWER,
    PRODUCT,
    SUM,
    TEXT,
    Piece,
    Style,
    joined,
)
from symprop.functions.symbols import printed_arguments
from symprop.graph import Node, NodeTable, topological, users
from symprop.graph.nodes import constant_value, joined_numbers

__all__ = ["equations", "latex", "latex_equations", "symbols_as_written", "text"]

_LONG = 4000  # a piece that is longer and occurs more than once gets a line of its own
_SHOWN = 64  # entries of an explicit matrix that are printed

Line = tuple[str, str]


def text(target: Any, names: Mapping[int, sp.Basic] | None = None) -> str:
    """The text of a node or of a sympy expression; `names` gives symbols for nodes by serial number.

    >>> h = sp.MatrixSymbol("h", 4, 1)
    >>> text(sp.OneMatrix(4, 1) - sp.HadamardPower(h, 2))
    '1 - h∘h'
    """
    return _single(TEXT, target, names)


def latex(target: Any, names: Mapping[int, sp.Basic] | None = None) -> str:
    r"""The LaTeX of a node or of a sympy expression, for math mode.

    >>> W, d = sp.MatrixSymbol("W", 3, 4), sp.MatrixSymbol("d", 3, 1)
    >>> print(latex(W.T * d))
    W^{\top} d
    """
    return _single(LATEX, target, names)


def equations(named: Sequence[tuple[sp.Basic, Node]], inputs: Mapping[int, sp.Basic]) -> list[Line]:
    """(left, right) of each equation as text; what is long and shared gets lines of its own before."""
    return _Writer(TEXT, inputs).equations(named)


def latex_equations(named: Sequence[tuple[sp.Basic, Node]], inputs: Mapping[int, sp.Basic]) -> list[Line]:
    """(left, right) of each equation as LaTeX."""
    return _Writer(LATEX, inputs).equations(named)


def symbols_as_written(
    named: Sequence[tuple[sp.Basic, Node]], inputs: Mapping[int, sp.Basic]
) -> tuple[sp.Basic, ...]:
    """The inputs in the order in which they first appear where the equations are written out.

    (sympy keeps the terms of `a*x + b` in an order of its own: b first.)
    """
    writer = _Writer(TEXT, inputs)
    symbols = {id(piece): inputs[serial] for serial, piece in writer.names.items()}
    found: dict[sp.Basic, None] = {}
    seen: set[int] = set()
    for symbol, node in named:
        known = writer.names.get(node.serial)
        todo: list[str | Piece] = [writer.definition(node)[1] if known is None else known]
        while todo:
            part = todo.pop()
            if isinstance(part, Piece) and id(part) not in seen:
                seen.add(id(part))
                if id(part) in symbols:
                    found[symbols[id(part)]] = None
                todo.extend(reversed(part.parts))
        if len(found) == len(inputs):
            break
        writer.names.setdefault(node.serial, writer.style.symbol(symbol))
    return tuple(dict.fromkeys([*found, *inputs.values()]))


def _single(style: Style, target: Any, names: Mapping[int, sp.Basic] | None) -> str:
    node = target if isinstance(target, Node) else Intake(NodeTable(), {}).node(target)
    writer = _Writer(style, names or {})
    writer.count([node])
    lines, piece = writer.definition(node)
    return "\n".join([*(f"{left} = {right}" for left, right in lines), str(piece)])


class _Writer:
    """Makes a piece of every node once; names are used for the nodes that have one."""

    def __init__(self, style: Style, names: Mapping[int, sp.Basic]) -> None:
        self.style = style
        self.names: dict[int, Piece] = {serial: style.symbol(symbol) for serial, symbol in names.items()}
        self.pieces: dict[int, Piece] = {}
        self.uses: dict[int, int] = {}
        self.extra = 0

    def count(self, roots: Sequence[Node]) -> None:
        """Count the uses of every node, to know which long pieces are shared."""
        self.uses = {serial: len(by) for serial, by in users(topological(roots)).items()}

    def equations(self, named: Sequence[tuple[sp.Basic, Node]]) -> list[Line]:
        """The lines of equations, in order."""
        self.count([node for _, node in named])
        result: list[Line] = []
        for symbol, node in named:
            left = self.style.symbol(symbol)
            known = self.names.get(node.serial)
            if known is None or str(known) == str(left):
                lines, piece = self.definition(node)
                result += [*lines, (str(left), str(piece))]
            else:
                result.append((str(left), str(known)))
            if constant_value(node) is None:
                self.names.setdefault(node.serial, left)
        return result

    def definition(self, root: Node) -> tuple[list[Line], Piece]:
        """The piece of a node without its own name, and lines for what is long and shared below it."""
        lines: list[Line] = []
        todo = [root]
        while todo:
            node = todo[-1]
            if node.serial in self.pieces:
                todo.pop()
                continue
            missing = [a for a in node.args if a.serial not in self.pieces and a.serial not in self.names]
            if missing:
                todo.extend(reversed(missing))
                continue
            todo.pop()
            piece = self._piece(node)
            self.pieces[node.serial] = piece
            if piece.length > _LONG and self.uses.get(node.serial, 0) > 1 and node is not root:
                self.extra += 1
                name = self.style.symbol(sp.Symbol(f"_{self.extra}"))
                lines.append((str(name), str(piece)))
                self.names[node.serial] = name
        return lines, self.pieces[root.serial]

    def _piece(self, node: Node) -> Piece:
        args = [self.names.get(a.serial) or self.pieces[a.serial] for a in node.args]
        rule = _RULES.get(node.op)
        return rule(self.style, node, args) if rule is not None else _operation(self.style, node, args)


# -- leaves and functions ------------------------------------------------------------


def _entries(args: Sequence[Piece]) -> list[Piece]:
    """The operands of an elementwise operation."""
    return [a.entry or a for a in args]


def _operation(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    scalars = not any(a.shape for a in node.args)
    wide = any(len(a.shape) == 2 and 1 not in a.shape for a in node.args)
    numbers = [constant_value(a) for a in node.args]
    count, shown = printed_arguments(node.op, numbers, node.attrs, scalars, wide)
    args, attrs = args[:count], [style.keyword(name, value) for name, value in shown]
    if node.op in ("user", "user_formula"):
        return style.call(str(node.attrs[0]), _entries(args))
    return style.operation(node.op, [*_entries(args), *attrs], not attrs)


def _constant(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    return style.number(node.attrs[0])


def _symbol(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    return style.symbol(node.attrs[0])


def _broadcast(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    (a,) = args
    if not node.args[0].shape:
        value = constant_value(node)
        if value == 1:
            return style.ones(node.shape)
        if value == 0:
            return style.zeros(node.shape)
        return _filled(style, a, node)
    rows, columns = node.args[0].shape
    factors = [a]
    if rows == 1 and node.shape[0] != 1:
        factors.insert(0, style.ones((node.shape[0], 1)))
    if columns == 1 and node.shape[1] != 1:
        factors.append(style.ones((1, node.shape[1])))
    return _matrix_product(style, factors)


# -- sums and products ------------------------------------------------------------


def _sum_of(style: Style, terms: Sequence[Piece]) -> Piece:
    """Positive terms first, compound ones before names before numbers; then what is subtracted."""
    order = {0: 2, 1: 1, 2: 0, 3: 0, 4: 0}
    positive = sorted((t for t in terms if t.positive is None), key=lambda t: order[t.rank])
    negative = [t for t in terms if t.positive is not None]
    parts: list[str | Piece] = []
    for term in positive:
        parts += [*([" + "] if parts else []), style.at(term, PRODUCT)]
    for term in negative:
        assert term.positive is not None
        parts += [" - " if parts else "-", style.at(term.positive, PRODUCT)]
    return Piece(*parts, level=SUM, rank=4)


def _add(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    terms = _entries(args)
    if node.shape:
        terms = [
            t if a.shape or a.op != "constant" else style.everywhere(t)
            for t, a in zip(terms, node.args, strict=True)
        ]
    named = any(a.block is None for a, n in zip(args, node.args, strict=True) if blocks.is_block(n))
    found = None if named else blocks.joined(node.args)
    if found is not None:
        grid, others = found
        whole = _block_matrix(style, grid, [a.block for a in args])
        terms = [*[terms[k] for k in others], whole]
    return terms[0] if len(terms) == 1 else _sum_of(style, terms)


def _block_matrix(style: Style, grid: blocks.Grid, inner: Sequence[Piece | None]) -> Piece:
    zero = style.number(sp.S.Zero)
    return style.blocks(
        [[zero if cell is None else inner[cell] or zero for cell in line] for line in grid[2]]
    )


def _pad(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    """A block among zeros."""
    grid = blocks.grid([node])
    if grid is None:
        return _operation(style, node, args)
    piece = _block_matrix(style, grid, args)
    piece.block = args[0]
    return piece


def _negative(style: Style, piece: Piece) -> Piece:
    if piece.positive is not None:
        return piece.positive
    inner = style.at(piece, PRODUCT)
    return Piece("-", inner, level=SUM, positive=inner, rank=piece.rank)


def _product_of(style: Style, factors: Sequence[Piece], times: str | None = None) -> Piece:
    """Factors side by side; a quotient that is not the first one, or a sum, in parentheses."""
    if len(factors) == 1:
        return factors[0]
    parts = [
        style.at(f, PRODUCT if f.closed or (k == 0 and f.leads) else POWER) for k, f in enumerate(factors)
    ]
    return Piece(*joined(style.times if times is None else times, parts), level=PRODUCT)


def _hadamard_of(style: Style, factors: Sequence[Piece]) -> Piece:
    if len(factors) == 1:
        return factors[0]
    parts = [f if f.level >= POWER else style.parens(f) for f in factors]
    return Piece(*joined(style.hadamard, parts), level=PRODUCT, closed=False)


def _matrix_product(style: Style, factors: Sequence[Piece]) -> Piece:
    parts = [f if f.level >= POWER or (f.level == PRODUCT and f.closed) else style.parens(f) for f in factors]
    return Piece(*joined(style.times, parts), level=PRODUCT)


def _mul(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    """Number, scalars, matrices, each by rank, powers of names among the names; inverse powers below a
    fraction bar.
    """
    number: sp.Expr = sp.S.One
    irrational: sp.Expr = sp.S.One
    scalars: list[Piece] = []
    matrices: list[Piece] = []
    for arg, piece in zip(node.args, args, strict=True):
        value = constant_value(arg)
        inner = None
        if piece.product is not None and (piece.product[:2] != (1, 1) or (node.shape and not arg.shape)):
            inner = joined_numbers(number, piece.product[0])  # 12*a*(4*b): one number; a/b*X: one fraction
        if value is not None and value.is_Number and value.is_finite:
            number = number * value
        elif value is not None and value.is_real and not value.is_Add:
            irrational = irrational * value
        elif piece.product is not None and inner is not None:
            number = inner
            irrational = irrational * piece.product[1]
            scalars += piece.product[2]
            matrices += piece.product[3]
        elif arg.shape and piece.entry is None:
            matrices.append(piece)
        else:
            scalars.append(piece.entry or piece)
    if irrational != 1 and number.is_Rational:
        number, irrational = (number * irrational).as_coeff_Mul(rational=True)
    product = (number, irrational, scalars, matrices)
    negative = bool(number.is_negative)
    number = -number if negative else number
    top: list[Piece] = []
    bottom: list[Piece] = []
    if number.is_Rational and (irrational != 1 or 1 < number.q <= LONG):
        number, under = (number * irrational).as_numer_denom()
        irrational = sp.S.One
        if under != 1:
            bottom.append(style.number(under))
    top += [style.number(value) for value in (number, irrational) if value != 1]
    order = {0: 0, 1: 1, 2: 1, 3: 2, 4: 3}
    for piece in sorted(scalars, key=lambda piece: order[piece.rank]):
        (top if piece.below is None else bottom).append(piece.below or piece)
    ordered = sorted(matrices, key=lambda piece: piece.rank)
    above = [p for p in ordered if p.below is None]
    below = [p.below for p in ordered if p.below is not None]
    if below:
        array = style.division(_hadamard_of(style, above or [_one(style, node)]), _hadamard_of(style, below))
        top.append(array)
    elif above:
        top.append(_hadamard_of(style, above))
    result = _product_of(style, top) if top else style.number(sp.S.One)
    if bottom:
        below_line = _product_of(style, bottom)
        result = style.fraction(result, below_line)
        if not top:
            result.below = below_line
    filled = not matrices and bool(node.shape)  # scalars and constants only, in every entry
    if filled:
        result = _filled(style, result, node)
    if negative:
        result = _negative(style, result)
    if not filled and (product[0] != 1 or product[1] != 1 or not node.shape):
        result.product = product
    return result


def _one(style: Style, node: Node) -> Piece:
    """The number one, in every entry of a matrix."""
    return (style.ones(node.shape).entry if node.shape else None) or style.number(sp.S.One)


def _filled(style: Style, value: Piece, node: Node) -> Piece:
    """A scalar in every entry."""
    piece = _product_of(style, [value, style.ones(node.shape)])
    piece.entry = value
    return piece


def _pow(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    base, exponent = (a.entry or a for a in args)
    value = constant_value(node.args[1])
    entries = bool(node.shape)
    if value is None or not value.is_Rational:
        return style.entry_power(base, exponent) if entries else style.power(base, exponent)
    if value < 0:
        under = _positive_power(style, base, -value, entries)
        one = _one(style, node)
        quotient = style.division(one, under) if entries else style.fraction(one, under)
        quotient.below = under
        return quotient
    return _positive_power(style, base, value, entries)


def _positive_power(style: Style, base: Piece, exponent: Any, entries: bool) -> Piece:
    if exponent == 1:
        return base
    if exponent == sp.Rational(1, 2):
        return style.root(base)
    if not entries:
        return style.power(base, style.number(exponent))
    if exponent == 2 and base.level == ATOM and base.rank == 1:
        return Piece(*joined(style.hadamard, [base, base]), level=PRODUCT, closed=False)
    return style.entry_power(base, style.number(exponent))


def _matmul(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    """A product; equal factors side by side as a power."""
    chain: list[tuple[int, Piece, int]] = []
    for arg, piece in zip(node.args, args, strict=True):
        for serial, base, count in piece.chain or [(arg.serial, piece, 1)]:
            if chain and chain[-1][0] == serial and chain[-1][2] * count > 0:
                chain[-1] = serial, base, chain[-1][2] + count
            else:
                chain.append((serial, base, count))
    factors = [base if count == 1 else style.power(base, Piece(str(count))) for _, base, count in chain]
    made = _matrix_product(style, factors) if len(factors) > 1 else factors[0]
    made.chain = chain
    return made


def _sub(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    a, b = _entries(args)
    return _sum_of(style, [a, _negative(style, b)])


def _neg(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    return _negative(style, args[0].entry or args[0])


def _div(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    a, b = _entries(args)
    return style.division(a, b) if node.args[1].shape else style.fraction(a, b)


def _fma(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    a, b, c = _entries(args)
    arrays = node.args[0].shape and node.args[1].shape
    return _sum_of(style, [_hadamard_of(style, [a, b]) if arrays else _product_of(style, [a, b]), c])


# -- conditions ------------------------------------------------------------


def _relation(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    a, b = (style.at(p, SUM) for p in _entries(args))
    sign = style.relations[node.op]
    if constant_value(node.args[0]) is not None:  # a number stands on the right
        a, b, sign = b, a, style.turned.get(node.op, sign)
    return Piece(a, f" {sign} ", b, level=CONDITION)


def _logic(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    parts = [style.at(a, ATOM) for a in args]
    if node.op == "not":
        return Piece(style.words["not"], parts[0], level=CONDITION)
    return Piece(*joined(style.words[node.op], parts), level=CONDITION)


def _select(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    condition, a, b = _entries(args)
    return style.choice(condition, a, b)


# -- structure ------------------------------------------------------------


def _reshape(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    (a,) = args
    if {node.shape, node.args[0].shape} == {(), (1, 1)}:
        # a 1 x 1 matrix as a scalar: among factors x.T*a*x would read as another product
        return Piece(a, level=a.level, positive=a.positive, closed=False, leads=False, rank=a.rank)
    return style.call("reshape", [a, f"({', '.join(map(str, node.shape))})"])


def _index(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    return style.index(args[0], [str(p) for p in node.attrs[0]])  # type: ignore[attr-defined]


def _take(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    matrix, *position = args
    if matrix.source is not None and len(position) == 1 and node.args[0].shape[1] == 1:
        base, pairs = matrix.source
        return style.index(base, [position[0], str(pairs[1][0])])
    return style.index(matrix, [*position, *["0"] * (2 - len(position))])


def _slice(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    pairs: Any = node.attrs[0]
    sizes = node.args[0].shape
    piece = style.block(args[0], [(*pair, size) for pair, size in zip(pairs, sizes, strict=True)])
    piece.source = args[0], pairs
    return piece


def _place(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    positions: Any = node.attrs[1]
    rows, columns = node.shape
    if not isinstance(rows, int) or not isinstance(columns, int) or rows * columns > _SHOWN:
        listed = [Piece(f"[{i}, {j}]: ", a) for (i, j), a in zip(positions, args, strict=True)]
        dots = ["..."] if len(listed) > _SHOWN else []
        return style.call("Matrix", [str(rows), str(columns), *listed[:_SHOWN], *dots])
    grid = [[Piece("0")] * columns for _ in range(rows)]
    for (i, j), a in zip(positions, args, strict=True):
        grid[i][j] = a
    return style.matrix(grid)


def _sum(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    axes: Any = node.attrs[0]
    if len(axes) == len(node.args[0].shape) and not node.attrs[1]:
        return style.total(args[0])
    return style.call("sum", [args[0], style.keyword("axis", axes[0] if len(axes) == 1 else axes)])


def _transpose(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    return style.transpose(args[0])


def _inverse(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    made = style.power(args[0], Piece("-1"))
    made.chain = [(node.args[0].serial, args[0], -1)]
    return made


def _log_determinant(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    inner = style.operation("determinant", list(args), True)
    return style.operation("log", [style.operation("abs", [inner], True) if node.attrs else inner], True)


def _log_determinants(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    """log(det(A)*det(B)**3/det(C))"""
    over: dict[bool, list[Piece]] = {False: [], True: []}
    for power, arg in zip(node.attrs, args, strict=True):
        factor = style.operation("determinant", [arg], True)
        size = abs(int(power))  # type: ignore[call-overload]
        over[int(power) < 0].append(factor if size == 1 else style.power(factor, Piece(str(size))))  # type: ignore[call-overload]
    above, below = (
        f[0] if len(f) == 1 else Piece(*joined(style.times, f) if f else "1", level=PRODUCT if f else ATOM)
        for f in over.values()
    )
    return style.operation("log", [style.fraction(above, below) if over[True] else above], True)


def _kronecker(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    if not style.kronecker:
        return style.call("kronecker", args)
    return Piece(*joined(style.kronecker, [style.at(a, POWER) for a in args]), level=PRODUCT, closed=False)


def _identity(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    return style.identity(node.shape)


def _root(style: Style, node: Node, args: Sequence[Piece]) -> Piece:
    return style.root(args[0].entry or args[0])


_RULES: dict[str, Callable[[Style, Node, Sequence[Piece]], Piece]] = {
    "constant": _constant,
    "symbol": _symbol,
    "broadcast": _broadcast,
    "add": _add,
    "mul": _mul,
    "pow": _pow,
    "matmul": _matmul,
    "sub": _sub,
    "neg": _neg,
    "div": _div,
    "fma": _fma,
    "real": lambda style, node, args: args[0],
    "sqrt": _root,
    **dict.fromkeys(["less", "less_equal", "equal", "not_equal"], _relation),
    **dict.fromkeys(["and", "or", "not"], _logic),
    "select": _select,
    "reshape": _reshape,
    "index": _index,
    "take": _take,
    "slice": _slice,
    "pad": _pad,
    "place": _place,
    "sum": _sum,
    "transpose": _transpose,
    "eye": _identity,
    "inverse": _inverse,
    "log_determinant": _log_determinant,
    "log_determinants": _log_determinants,
    "kronecker": _kronecker,
}
