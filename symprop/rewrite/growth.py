"""Products in which an exponential overflows while another factor vanishes, whatever the coefficients are.

`A*exp(x)/(1 + A*exp(x))**2` is a number where `exp(x)` is none. Every factor and every term of a sum grows
like a power of exp(abs(x)) at either end, exp(x) like 1 and -1, 1 + A*exp(x) like 1 and 0. Taken by that
power it is a value that neither overflows nor vanishes, made of z = exp(-abs(x)), `where(x > 0, z + A,
1 + A*z)`. What all growths leave together is a power of z.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep, magnitude
from symprop.rewrite.exponential_forms import Argument
from symprop.rewrite.positive import is_nonnegative
from symprop.rewrite.rational import ENDS, argument_of
from symprop.rewrite.reading import Reading, read

__all__ = ["arguments_of", "power_of_growing", "product_by_growth"]

LONGEST = 32  # operands that are looked at
DEEPEST = 6  # sums inside powers inside sums
HIGHEST = 24  # power of z
_GROWING = frozenset({"exp", "expm1", "sinh", "cosh"})

Growth = tuple[Number, Number]  # towards +oo and towards -oo of the argument, both in its size
_BOTH = (0, 0)


def product_by_growth(node: Node, sweep: Sweep) -> Node | None:
    """The product with what one argument lets overflow and vanish taken by its growth."""
    context = sweep.context
    if len(node.args) > LONGEST:
        return None
    reading = _read(node, context)
    bases = [(b, e) for b, e in reading.powers.values() if e]
    if reading.clashes or len(bases) < 2 or not any(_holds(b, context) for b, _ in bases):
        return None
    for argument in dict.fromkeys(a for b, _ in bases for a in arguments_of(b, context)):
        own = [(b, e) for b, e in bases if _takes_part(b, argument, context)]
        found = [_growth(b, argument, context) for b, _ in own]
        growths = [_times(g, e) for g, (_, e) in zip(found, own, strict=True) if g is not None]
        if not growths or len(growths) < len(own) or not _clash(growths, argument, context):
            continue
        value = _Scaled(argument, context).product(own)
        if value is None:
            continue
        sweep.fire("growths of exponentials taken together")
        rest = [context.table.pow(b, context.constant(e)) for b, e in bases if (b, e) not in own]
        made = context.table.mul(context.constant(reading.number), *rest, value)
        made = context.table.broadcast(made, node.shape)
        context.memo["before growth", made.serial] = node
        return made
    return None


def power_of_growing(node: Node, sweep: Sweep) -> Node | None:
    """A power of a sum that overflows before its power does, as a root does: `sqrt(1 + exp(x))` is
    `exp(x/2)*sqrt(1 + exp(-x))` for positive x."""
    context, t = sweep.context, sweep.table
    base, power = node.args
    number = context.number(power)
    if base.op != "add" or isinstance(number, int) or len(arguments_of(base, context)) != 1:
        return None
    (argument,) = arguments_of(base, context)
    growth = _growth(base, argument, context)
    if growth is None or max(_seen(growth, argument, context)) <= 0:
        return None
    if number is None and power.op == "add":  # S**(p - 1): S**-1 may meet what overflows
        whole = [a for a in power.args if isinstance(context.number(a), int)]
        if whole:
            rest = t.add(*[a for a in power.args if a not in whole])
            return t.mul(*[t.make("pow", (base, a)) for a in whole], t.make("pow", (base, rest)))
    scaled = _Scaled(argument, context)
    inner = scaled.value_of(base)
    if inner is None:
        return None
    sweep.fire("growth of a sum of exponentials taken out of its power")
    large = t.make("exp", (t.mul(power, scaled.exponent(growth)),))
    made = t.broadcast(t.mul(large, t.make("pow", (inner, power))), node.shape)
    if number is not None:
        context.memo["before growth", made.serial] = node
    return made


# -- reading -------------------------------------------------------------------------------------------


def _read(node: Node, context: Context) -> Reading:
    """A product, in which products that have been made here stay whole."""
    closed, todo = [], list(node.args) if node.op == "mul" else []
    while todo:
        a = todo.pop()
        if ("before growth", a.serial) in context.memo:
            closed.append(a.serial)
        elif a.op == "mul" and len(todo) < LONGEST:
            todo.extend(a.args)
    return Reading(node, context, frozenset(closed)) if closed else read(node, context)


def _original(node: Node, context: Context) -> Node:
    found: Node = context.memo.get(("before growth", node.serial), node)
    return found


def _holds(node: Node, context: Context) -> bool:
    return bool(arguments_of(node, context))


def arguments_of(node: Node, context: Context, depth: int = DEEPEST) -> tuple[Argument, ...]:
    """What the exponentials in a value are functions of; found out once for each node."""
    key = ("arguments of", node.serial)
    if key not in context.memo:
        inner = _original(node, context)
        found: dict[Argument, None] = {}
        if inner.op in _GROWING:
            read_ = argument_of(inner.args[0], context)
            if read_ is not None:
                found[read_[0]] = None
        elif inner.op in ("add", "mul", "pow") and depth and len(inner.args) <= LONGEST:
            is_power = inner.op == "pow" and context.number(inner.args[1]) is not None
            for a in inner.args[:1] if is_power else inner.args if inner.op != "pow" else ():
                found.update(dict.fromkeys(arguments_of(a, context, depth - 1)))
        context.memo[key] = tuple(found)
    arguments: tuple[Argument, ...] = context.memo[key]
    return arguments


def _growth(node: Node, argument: Argument, context: Context, depth: int = DEEPEST) -> Growth | None:
    """How the value grows with one argument; None where a sum grows with another one as well."""
    known: dict[Argument, Growth | None] = context.memo.setdefault(("growth", node.serial), {})
    if argument not in known:
        known[argument] = _found(_original(node, context), argument, context, depth)
    return known[argument]


def _takes_part(node: Node, argument: Argument, context: Context) -> bool:
    """True for what grows or vanishes with the argument, or cannot be said to."""
    growth = _growth(node, argument, context)
    return growth != _BOTH and (growth is not None or argument in arguments_of(node, context))


def _found(node: Node, argument: Argument, context: Context, depth: int) -> Growth | None:
    if node.op in ENDS and node.op != "tanh":
        found = argument_of(node.args[0], context)
        if found is not None and found[0] is argument:
            low, high = ENDS[node.op](found[1])
            return high, -low
        return None if node.op in _GROWING else _BOTH
    if node.op not in ("add", "mul", "pow"):
        return _BOTH
    if not depth or len(node.args) > LONGEST:
        return None
    if node.op == "add":
        terms = [_growth(a, argument, context, depth - 1) for a in node.args]
        known = [g for g in terms if g is not None]
        if len(known) < len(terms):
            return None
        return max(g[0] for g in known), max(g[1] for g in known)
    up: Number = 0
    down: Number = 0
    for base, e in _read(node, context).powers.values():
        g = _growth(base, argument, context, depth - 1) if base is not node else _BOTH
        if g is None:
            return None
        up, down = up + g[0] * e, down + g[1] * e
    return up, down


def _times(g: Growth, e: Number) -> Growth:
    return g[0] * e, g[1] * e


def _seen(g: Growth, argument: Argument, context: Context) -> tuple[Number, ...]:
    """At the ends that the argument has: a square has one."""
    (number, factors), *more = argument.terms
    one_sided = not more and number > 0 and all(is_nonnegative(f, context) for f in factors)
    return g[:1] if one_sided else g


def _clash(growths: Sequence[Growth], argument: Argument, context: Context) -> bool:
    """True where one factor overflows while another vanishes."""
    ends = zip(*[_seen(g, argument, context) for g in growths], strict=True)
    return any(max(end) > 0 > min(end) for end in ends)


# -- writing -------------------------------------------------------------------------------------------


class _Scaled:
    """Values taken by their growth with one argument."""

    def __init__(self, argument: Argument, context: Context) -> None:
        self.argument, self.context, self.table = argument, context, context.table
        self.unit: Fraction = Fraction(1)

    def product(self, factors: Sequence[tuple[Node, Number]]) -> Node | None:
        """The product, where not too many powers of z are needed."""
        up: Number = 0
        down: Number = 0
        steps: list[Number] = []
        for b, e in factors:
            g = self._growth(b)
            up, down = up + g[0] * e, down + g[1] * e
            steps += self._steps(b)
        if not self._prepared([*steps, *[s for s in (up, down) if s]]):
            return None
        values = [self.table.pow(self._value(b), self.context.constant(e)) for b, e in factors]
        return self.table.mul(*values, self._decay(-up, -down))

    def value_of(self, node: Node) -> Node | None:
        """The value by its growth."""
        return self._value(node) if self._prepared(self._steps(node)) else None

    def exponent(self, growth: Growth) -> Node:
        """The logarithm of what the growth is."""
        t, (up, down) = self.table, growth
        if up == down:
            return self.context.times(up, (self.size,))
        ends = [self.context.times(s, (self.size,)) if s else self.context.constant(0) for s in (up, down)]
        return t.select(self.positive, ends[0], ends[1])

    def _growth(self, node: Node) -> Growth:
        found = _growth(node, self.argument, self.context)
        assert found is not None
        return found

    def _prepared(self, steps: Sequence[Number]) -> bool:
        """z, of which these are whole powers; False where there are too many."""
        below = lcm(*[s.denominator for s in steps])
        self.unit = Fraction(gcd(*[s.numerator * (below // s.denominator) for s in steps]), below)
        if max(magnitude(s) for s in steps) / self.unit > HIGHEST:
            return False
        t, x = self.table, self.argument.times(1, self.context)
        self.size = t.make("abs", (x,))
        self.positive = t.make("less", (self.context.constant(0), x))
        self.z = t.make("exp", (self.context.times(-self.unit, (self.size,)),))
        return True

    def _steps(self, node: Node) -> list[Number]:
        """All growths below, other than zero."""
        node = _original(node, self.context)
        found = [s for s in self._growth(node) if s]
        for a in node.args if node.op in ("add", "mul", "pow") else ():
            if _takes_part(a, self.argument, self.context) or self.argument in arguments_of(a, self.context):
                found += self._steps(a)
        return found

    def _decay(self, up: Number, down: Number) -> Node:
        """exp(-up*abs(x)) for positive x, exp(-down*abs(x)) else."""
        if up == down:
            return self._power(up)
        return self.table.select(self.positive, self._power(up), self._power(down))

    def _power(self, n: Number) -> Node:
        if n < 0:
            return self.table.make("exp", (self.context.times(-n, (self.size,)),))
        return self.table.pow(self.z, int(n / self.unit))

    def _value(self, node: Node) -> Node:
        """The node by its growth; the recursion is as deep as that of the growth."""
        node = _original(node, self.context)
        t, context = self.table, self.context
        if node.op in ENDS and node.op != "tanh":
            found = argument_of(node.args[0], context)
            return self._function(node.op, found[1]) if found and found[0] is self.argument else node
        if node.op not in ("add", "mul", "pow"):
            return node
        if self._growth(node) == _BOTH and self.argument not in arguments_of(node, context):
            return node
        if node.op == "add":
            up, down = self._growth(node)
            terms = []
            for a in node.args:
                g = self._growth(a)
                terms.append(t.mul(self._value(a), self._decay(up - g[0], down - g[1])))
            return t.add(*terms)
        reading = _read(node, context)
        factors = [
            t.pow(self._value(b) if b is not node else b, context.constant(e))
            for b, e in reading.powers.values()
            if e
        ]
        return t.mul(context.constant(reading.number), *factors)

    def _function(self, op: str, scale: Number) -> Node:
        t, context = self.table, self.context
        size = magnitude(scale)

        def less(n: Number) -> Node:
            """1 - z**n"""
            return context.times(-1, (t.make("expm1", (context.times(-n, (self.size,)),)),))

        if op == "exp":
            return context.constant(1)
        if op == "cosh":
            return t.mul(context.constant(Fraction(1, 2)), t.add(context.constant(1), self._power(2 * size)))
        if op in ("expm1", "sinh"):
            sign = 1 if scale > 0 else -1
            ends = t.select(self.positive, context.constant(sign), context.constant(-sign))
            number = context.constant(Fraction(1, 2) if op == "sinh" else 1)
            return t.mul(number, ends, less(2 * size if op == "sinh" else size))
        one, n = context.constant(1), size * 2 if op == "tanh_prime" else size
        total = t.add(one, self._power(n))
        if op == "sigmoid":
            return t.pow(total, -1)
        return t.mul(context.constant(4 if op == "tanh_prime" else 1), t.pow(total, -2))
