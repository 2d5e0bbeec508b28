"""Products read as a number and base -> exponent."""

from __future__ import annotations

from fractions import Fraction

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, Number
from symprop.rewrite.positive import is_positive

__all__ = ["Factors", "Reading", "read"]

LONGEST = 32  # factors that are taken apart
_WEIGHTS = frozenset(
    {"constant", "exp", "pow", "normal_cdf", "erfc", "broadcast", "sigmoid", "take", "index"}
)
_ENTRIES = frozenset({"take", "index"})
_NO_NODES = frozenset[int]()


class Reading:
    """A product as it is read, once for each node: a number, and base -> exponent in the order in which they
    were met, with the operations of the bases and the serial numbers of those below the line. Products among
    the factors are opened but for those in `closed`.
    """

    __slots__ = ("cancelled", "clashes", "clashing", "divisors", "number", "operations", "powers", "vanished")

    def __init__(self, node: Node, context: Context, closed: frozenset[int] = _NO_NODES) -> None:
        self.number: Number = 1
        self.powers: dict[int, tuple[Node, Number]] = {}
        self.cancelled = False
        self.clashes = False  # x**2 * x**-1 of an x that may be zero: left as it is
        self.clashing: set[int] = set()  # these bases
        self.vanished = False  # an exponent is zero
        powers = self.powers
        divided = False
        room = LONGEST  # factors that are taken apart: a chain of products is not walked to its end
        todo: list[tuple[Node, Number]] = [(node, 1)]
        while todo:
            factor, exponent = todo.pop()
            while factor.op == "broadcast" and not factor.args[0].shape:
                factor = factor.args[0]
            op = factor.op
            if op == "constant" and isinstance(exponent, int):
                number = context.number(factor)
                if number is not None:
                    self.number *= number if exponent == 1 else Fraction(number) ** exponent
                    continue
                # of -2*pi the 2 and the sign, so that it meets pi
                short, rest = factor.attrs[0].as_coeff_Mul(rational=True)  # type: ignore[attr-defined]
                if exponent == 1 and short != 1 and short.is_Rational:
                    self.number *= Fraction(int(short.p), int(short.q))
                    factor = context.table.constant(rest)
            elif op == "mul":
                if len(factor.args) <= room and factor.serial not in closed:
                    room -= len(factor.args)
                    todo.extend([(a, exponent) for a in reversed(factor.args)])
                    continue
            elif op == "pow":
                power = context.number(factor.args[1])
                if power is not None:
                    base = factor.args[0]
                    divided = divided or power * exponent < 0
                    whole = isinstance(power, int) and isinstance(_exponent(base, context), int)
                    product = base.args[0] if base.op in _ENTRIES else base
                    if whole or (
                        product.op == "mul" and isinstance(power, int) and _is_weight(product, context)
                    ):
                        todo.append((base, power * exponent))
                        continue
                    factor, exponent = base, power * exponent
            elif op in _ENTRIES and factor.args[0].op == "mul" and _is_weight(factor.args[0], context):
                room -= len(factor.args[0].args)  # p[k] of a softmax p
                todo.extend([(_entry(a, factor, context.table), exponent) for a in factor.args[0].args])
                continue
            before = powers.get(factor.serial)
            if before is not None:
                if before[1] * exponent < 0:
                    if is_positive(factor, context):
                        self.cancelled = True
                    else:
                        self.clashes = True
                        self.clashing.add(factor.serial)
                exponent += before[1]
                self.vanished = self.vanished or not exponent
            powers[factor.serial] = factor, exponent
        self.operations = {base.op for base, _ in powers.values()}
        self.divisors: tuple[int, ...] = ()
        if divided:
            self.divisors = tuple([s for s, (_, e) in powers.items() if e < 0])


def _exponent(base: Node, context: Context) -> Number | None:
    return context.number(base.args[1]) if base.op == "pow" else None


def _entry(a: Node, view: Node, table: NodeTable) -> Node:
    """The entry of a factor that the view is of the product."""
    if a.op == "broadcast" and not a.args[0].shape:
        return a.args[0]
    return table.make(view.op, (a, *view.args[1:]), view.attrs) if a.shape else a


def _is_weight(base: Node, context: Context) -> bool:
    """True for a positive product such as exp(x)*s**-1, 2*normal_cdf(x): its power is that of its factors."""
    for factor in base.args:
        if factor.op == "mul":
            if not _is_weight(factor, context):
                return False
        elif factor.op not in _WEIGHTS or not is_positive(factor, context):
            return False
    return True


def read(node: Node, context: Context) -> Reading:
    """The product as number and powers; not to be changed."""
    found: Reading | None = context.readings.get(node.serial)
    if found is None:
        found = context.readings[node.serial] = Reading(node, context)
    return found


class Factors:
    """The factors of a product, to be changed: a number, and base -> exponent."""

    def __init__(self, node: Node, context: Context, reading: Reading | None = None) -> None:
        self.context, self.table = context, context.table
        reading = read(node, context) if reading is None else reading
        self.number = reading.number
        self.powers = dict(reading.powers)
        self.cancelled = reading.cancelled
        self.clashes = reading.clashes

    def exponent(self, base: Node) -> Number:
        """The exponent of a base, 0 where it is no factor."""
        return self.powers.get(base.serial, (base, 0))[1]

    def change(self, base: Node, by: Number) -> None:
        """Multiply by base**by."""
        self.powers[base.serial] = base, self.exponent(base) + by

    def of(self, op: str) -> list[tuple[Node, Number]]:
        """The bases of that operation, with their exponents."""
        return [(b, e) for b, e in self.powers.values() if b.op == op and e]

    def make(self, op: str, argument: Node, scale: Number = 1) -> Node:
        """op(scale*argument)"""
        if scale != 1:
            number, factors = self.context.split(argument)
            argument = self.context.times(number * scale, factors)
        return self.table.make(op, (argument,))

    def built(self) -> Node:
        """The product as a node."""
        t, context = self.table, self.context
        factors = [
            base if e == 1 else t.make("pow", (base, context.constant(e)))
            for base, e in self.powers.values()
            if e
        ]
        return t.mul(context.constant(self.number), *factors)
