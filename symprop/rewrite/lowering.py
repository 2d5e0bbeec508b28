"""From n-ary sums and products to the two-operand forms that code is generated from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Number, Sweep, is_short
from symprop.rewrite.report import TRANSCENDENTAL

__all__ = ["contractions", "two_operands"]

BLOCK = 4  # terms of a sum that are added one after the other; blocks are added in a balanced tree
PAIR = 2  # the same for scalars of a program without samples, which waits for each result

Signed = tuple[bool, Node]  # (negative, node)


def two_operands(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`a + b + c --> (a + b) + c`, `a + (-1)*b --> a - b`, `(-1)*a --> -a`, `a * (1/b) --> a/b`.

    Operands of one level (see `Context.level`: numbers, scalars of a call, scalars of a sample, arrays
    ...) are combined with each other first, so that no array is multiplied twice by scalars. Long sums are
    balanced trees over blocks of four: the error grows with the logarithm of their length. Without samples
    scalars go in pairs, three of an odd number: a short chain of operations for one more of them; functions
    are added to the sum of all others, since they take longest (and others may cancel, as the largest
    exponent and that of the target do). A quotient is one division where both sides have one level; an array
    over a scalar is a product with the reciprocal, one division for all entries, and so is a quotient whose
    reciprocal has other uses.
    """
    return Sweep(context, roots, {"add": _add, "mul": _mul, "neg": _neg}).run()


def _tree(items: Sequence[Signed], join: Callable[[Signed, Signed], Signed], context: Context) -> Signed:
    """Blocks from left to right, blocks among each other balanced; of scalars without samples functions
    last."""
    alone = not context.inputs_batched and not any(node.shape for _, node in items)
    size = PAIR if alone else BLOCK
    if alone:
        others = [item for item in items if item[1].op not in TRANSCENDENTAL]
        if 0 < len(others) < len(items):
            functions = [item for item in items if item[1].op in TRANSCENDENTAL]
            return join(_tree(others, join, context), _tree(functions, join, context))
    first = size + len(items) % size if alone else size
    parts: list[Signed] = []
    for start, stop in pairwise([0, *range(first, len(items), size), len(items)]):
        value = items[start]
        for item in items[start + 1 : stop]:
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
        value = _tree(group, join, context)
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
            value = table.make(
                "div", (_tree(numerator, join, context)[1], _tree(denominator, join, context)[1])
            )
        elif numerator:
            value = _tree(numerator, join, context)[1]
        else:
            top = total if total is not None else context.constant(-1 if negative else 1)
            negative = negative and total is not None
            total = table.make("div", (top, _tree(denominator, join, context)[1]))
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

    The product has no other use, or is a square less a number, and it is computed as often as the sum (a
    product of parameters is not pulled into a sum per sample). Which product is contracted follows from the
    graph alone, so that every shape of the generated code gives the same bits. A difference of two products
    stays: `x*x - y*y` is exactly zero where x = y, and with one of the products unrounded it would not be.
    Nothing is contracted for accuracy="as_written".
    """
    if context.accuracy == "as_written":
        return list(roots)
    order, present = context.order(roots)
    if "mul" not in present or present.isdisjoint(("add", "sub")):
        return list(roots)
    return _Contractions(context, roots).run(order)


class _Contractions:
    """One pass in order: what it makes is never looked at again, so it needs no sweep."""

    def __init__(self, context: Context, roots: Sequence[Node]) -> None:
        self.context, self.table, self.roots = context, context.table, roots
        self.uses = context.uses(roots)
        self.done: dict[int, Node] = {}
        order, present = context.order(roots)
        # of these the rounded value is asked for: what it lost is computed beside it
        self.rounded: set[int] = set()
        if "sum_rest" in present:
            for a in [a for node in order if node.op == "sum_rest" for a in node.args]:
                self.rounded.add(a.args[0].serial if a.op == "neg" else a.serial)

    def run(self, order: Sequence[Node]) -> list[Node]:
        """The roots with their sums contracted; a product of one use is made only where its sum is not."""
        done, uses, make = self.done, self.uses, self.table.make
        for node in order:
            op, serial = node.op, node.serial
            if op == "mul" and uses[serial] == 1:
                continue
            if op == "add" or op == "sub":
                product = self._product(node)
                if product is not None:
                    self.context.fired["multiply and add"] += 1
                    done[serial] = self._fused(node, product)
                    continue
            made, changed = [], False
            for a in node.args:
                new = done.get(a.serial) or self._remade(a)
                changed = changed or new is not a
                made.append(new)
            done[serial] = make(op, made, node.attrs) if changed else node
        return [done.get(root.serial) or self._remade(root) for root in self.roots]

    def _remade(self, product: Node) -> Node:
        """A product of one use that is in no sum. Those below it are as well, along a chain of them."""
        todo, done = [product], self.done
        while todo:
            node = todo[-1]
            missing = [a for a in node.args if a.serial not in done]
            if missing:
                todo += missing
                continue
            done[node.serial] = self.table.make("mul", [done[a.serial] for a in node.args])
            todo.pop()
        return done[product.serial]

    def _is_part(self, product: Node, node: Node) -> bool:
        level = self.context.level
        if product.op != "mul" or level(product) != level(node):
            return False
        return self.uses[product.serial] == 1 or self._is_square_less(product, node)

    def _is_square_less(self, product: Node, node: Node) -> bool:
        """True for 1 - x*x and x*x - 1: where x*x has other uses it takes no operation more, and digits of x
        near 1 are kept."""
        if product.serial in self.rounded:
            return False
        number = next((n for n in map(self.context.number, node.args) if n is not None), None)
        cancels = number is not None and (number > 0) == (node.op == "sub")
        return cancels and product.args[0] is product.args[1]

    def _product(self, node: Node) -> Node | None:
        """The product of a sum or difference that is computed with it, None for none."""
        a, b = node.args
        first, second = self._is_part(a, node), self._is_part(b, node)
        if node.op == "sub" and first and second:
            return None
        return b if second else a if first else None

    def _fused(self, node: Node, product: Node) -> Node:
        a, b = (self.done.get(p.serial) or self._remade(p) for p in product.args)
        other = node.args[0] if product is node.args[1] else node.args[1]
        rest = self.done.get(other.serial) or self._remade(other)
        if node.op == "sub":
            if product is node.args[0]:
                rest = self._opposite(rest)
            else:
                a = self._opposite(a)
        return self.table.make("fma", (a, b, rest))

    def _opposite(self, node: Node) -> Node:
        value = self.context.number(node)
        if value is not None:
            return self.context.constant(-value)
        return node.args[0] if node.op == "neg" else self.table.make("neg", (node,))
