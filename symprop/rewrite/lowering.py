"""From n-ary sums and products to the two-operand forms that code is generated from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Number, Sweep, is_short

__all__ = ["contractions", "two_operands"]

BLOCK = 4  # terms of a sum that are added one after the other; blocks are added in a balanced tree

Signed = tuple[bool, Node]  # (negative, node)


def two_operands(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`a + b + c --> (a + b) + c`, `a + (-1)*b --> a - b`, `(-1)*a --> -a`, `a * (1/b) --> a/b`.

    Operands of one level (see `Context.level`: numbers, scalars of a call, scalars of a sample, arrays
    ...) are combined with each other first, so that no array is multiplied twice by scalars. Long sums are
    balanced trees over blocks of four: the error grows with the logarithm of their length. A quotient is
    one division where both sides have one level; an array over a scalar is a product with the reciprocal,
    one division for all entries, and so is a quotient whose reciprocal has other uses.
    """
    return Sweep(context, roots, {"add": _add, "mul": _mul, "neg": _neg}).run()


def _tree(items: Sequence[Signed], join: Callable[[Signed, Signed], Signed]) -> Signed:
    """Blocks from left to right, blocks among each other balanced."""
    parts = []
    for start in range(0, len(items), BLOCK):
        value = items[start]
        for item in items[start + 1 : start + BLOCK]:
            value = join(value, item)
        parts.append(value)
    while len(parts) > 1:
        pairs = [join(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + ([parts[-1]] if len(parts) % 2 else [])
    return parts[0]


def _by_level(items: Sequence[Signed], context: Context) -> list[list[Signed]]:
    levels: dict[int, list[Signed]] = {}
    for item in items:
        levels.setdefault(context.level(item[1]), []).append(item)
    return [levels[k] for k in sorted(levels)]


# -- sums ----------------------------------------------------------------------------------


def _add(node: Node, sweep: Sweep) -> Node | None:
    context, table = sweep.context, sweep.table
    items: list[Signed] = []
    negative = False
    for term in node.args:
        sign = False
        while term.op == "neg" or (term.op == "broadcast" and term.args[0].op == "neg"):
            inner = term.args[0]
            sign = not sign
            term = inner if term.op == "neg" else table.broadcast(inner.args[0], term.shape)
        number = (
            context.number(term if term.op == "constant" else term.args[0])
            if term.op in ("mul", "constant")
            else None
        )
        if number is not None and number < 0 and (term.op == "constant" or sweep.single(term)):
            positive = context.constant(-number)
            term = positive if term.op == "constant" else table.make("mul", (positive, *term.args[1:]))
            sign = not sign
        negative = negative or sign
        items.append((sign, term))
    if len(items) == 2 and not negative:
        return None

    def join(a: Signed, b: Signed) -> Signed:
        if a[0] == b[0]:
            return a[0], table.make("add", (a[1], b[1]))
        plus, minus = (b[1], a[1]) if a[0] else (a[1], b[1])
        return False, table.make("sub", (plus, minus))

    sweep.fire("differences" if negative else "long sums")
    total: Signed | None = None
    for group in _by_level(items, context):
        value = _tree(group, join)
        total = value if total is None else join(total, value)
    assert total is not None
    return table.make("neg", (total[1],)) if total[0] else total[1]


# -- products ----------------------------------------------------------------------------------


def _mul(node: Node, sweep: Sweep) -> Node | None:
    context, table = sweep.context, sweep.table
    number: Number = 1
    above: list[Signed] = []
    below: list[Signed] = []
    plain = len(node.args) == 2
    for factor in node.args:
        while factor.op == "neg":
            number, factor, plain = -number, factor.args[0], False
        divided = factor.op == "div" and sweep.single(factor)
        own = context.number(factor.args[0] if divided else factor)
        if own is not None and is_short(number * own):
            number *= own
            plain = plain and not divided and own not in (1, -1)
            if divided:
                below.append((False, factor.args[1]))
        else:
            above.append((False, factor))
    if plain:
        return None

    def join(a: Signed, b: Signed) -> Signed:
        return False, table.make("mul", (a[1], b[1]))

    sweep.fire("quotients" if below else "long products" if len(node.args) > 2 else "signs")
    levels = sorted({context.level(n) for _, n in above + below})
    negative = number == -1
    total: Node | None = None if number in (1, -1) else context.constant(number)
    for level in levels:
        numerator = [x for x in above if context.level(x[1]) == level]
        denominator = [x for x in below if context.level(x[1]) == level]
        if numerator and denominator:
            value = table.make("div", (_tree(numerator, join)[1], _tree(denominator, join)[1]))
        elif numerator:
            value = _tree(numerator, join)[1]
        else:
            top = total if total is not None else context.constant(-1 if negative else 1)
            negative = negative and total is not None
            total = table.make("div", (top, _tree(denominator, join)[1]))
            continue
        total = value if total is None else table.make("mul", (total, value))
    if total is None:
        return table.broadcast(context.constant(number), node.shape)
    return table.make("neg", (total,)) if negative else total


def _neg(node: Node, sweep: Sweep) -> Node | None:
    """`-(-a) --> a`, `-(a - b) --> b - a`, `-(2*a) --> (-2)*a`, where the operand has no other use."""
    context, table = sweep.context, sweep.table
    (a,) = node.args
    if a.op == "neg":
        return a.args[0]
    value = context.number(a)
    if value is not None:
        return context.constant(-value)
    if not sweep.single(a):
        return None
    if a.op == "sub":
        return table.make("sub", (a.args[1], a.args[0]))
    if a.op in ("mul", "div"):
        value = context.number(a.args[0])
        if value is not None:
            return table.make(a.op, (context.constant(-value), a.args[1]))
    return None


# -- multiply and add ----------------------------------------------------------------------------------


def contractions(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`a*b + c --> fma(a, b, c)`, `c - a*b --> fma(-a, b, c)`, `a*b - c --> fma(a, b, -c)`.

    The product has no other use and is computed as often as the sum (a product of parameters is not pulled
    into a sum per sample). Which product is contracted follows from the graph alone, so that every shape
    of the generated code gives the same bits. A difference of two products stays: `x*x - y*y` is exactly
    zero where x = y, and with one of the products unrounded it would not be. Nothing is contracted for
    accuracy="as_written".
    """
    if context.accuracy == "as_written":
        return list(roots)
    return Sweep(context, roots, {"add": _fused_add, "sub": _fused_sub}).run()


def _is_part(product: Node, node: Node, sweep: Sweep) -> bool:
    context = sweep.context
    return product.op == "mul" and sweep.single(product) and context.level(product) == context.level(node)


def _fused_add(node: Node, sweep: Sweep) -> Node | None:
    for product, other in (node.args[::-1], node.args):
        if _is_part(product, node, sweep):
            sweep.fire("multiply and add")
            return sweep.table.make("fma", (*product.args, other))
    return None


def _fused_sub(node: Node, sweep: Sweep) -> Node | None:
    a, b = node.args
    first, second = _is_part(a, node, sweep), _is_part(b, node, sweep)
    if first == second:
        return None
    sweep.fire("multiply and add")
    if first:
        return sweep.table.make("fma", (*a.args, _opposite(b, sweep)))
    return sweep.table.make("fma", (_opposite(b.args[0], sweep), b.args[1], a))


def _opposite(node: Node, sweep: Sweep) -> Node:
    value = sweep.context.number(node)
    if value is not None:
        return sweep.context.constant(-value)
    return node.args[0] if node.op == "neg" else sweep.table.make("neg", (node,))
