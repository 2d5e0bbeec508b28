"""Powers and polynomials beside what vanishes before they overflow, `x**2*exp(-x**2)`: infinity times zero.

From some size of x on, the factor that vanishes is 0 to all digits; there x may be taken as that size in
every power and sum beside it, and the product is 0 as it should be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from symprop.graph import Node
from symprop.rewrite.context import Context
from symprop.rewrite.positive import is_nonnegative
from symprop.rewrite.reading import Factors, Reading, read

__all__ = ["DECAYING", "may_grow", "powers_beside_decay"]

ZERO = 2000  # exp(-2000) times what is left is 0 in double precision
LARGEST = 110  # of the exponents of two that powers of a bounded x reach: below those of single precision
LONGEST = 8  # terms that are looked at
DEEPEST = 3  # sums of multiples of powers

Decay = tuple[float, int, tuple[int, ...]]
# function -> (rate, power, on which sides of zero): f(k*x) is less than 2*exp(-rate*abs(k*x)**power)
_VANISHING: dict[str, Decay] = {
    "sigmoid": (1, 1, (-1,)),
    "sigmoid_prime": (1, 1, (-1, 1)),
    "tanh_prime": (1, 1, (-1, 1)),
    "normal_cdf": (0.5, 2, (-1,)),
    "erfc": (1, 2, (1,)),
}
_BELOW: dict[str, Decay] = {"expm1": (1, 1, (1,)), "sinh": (1, 1, (-1, 1)), "cosh": (1, 1, (-1, 1))}
DECAYING = frozenset({"exp", *_VANISHING, *_BELOW})


@dataclass(frozen=True)
class _Limit:
    """x is taken at most at 2**size on the sides named, from which on some factor is 0."""

    x: Node
    size: int
    sides: tuple[int, ...]

    def missing(self, node: Node) -> tuple[int, ...]:
        """The sides on which a node, x or x within bounds, has none; nothing for other nodes."""
        known = set()
        while node.op in _SIDES and node.args[1].op == "constant":
            known.add(_SIDES[node.op])
            node = node.args[0]
        return tuple(side for side in self.sides if side not in known) if node is self.x else ()

    def of(self, node: Node, context: Context) -> Node:
        """The node, x or x within bounds, within these."""
        for side in self.missing(node):
            op = "minimum" if side > 0 else "maximum"
            node = context.table.make(op, (node, context.constant(side * 2**self.size)))
        return node


_SIDES = {"minimum": 1, "maximum": -1}
_POLYNOMIAL = frozenset({"add", "mul", "pow", "abs"})


def powers_beside_decay(f: Factors) -> bool:
    """x in powers and sums beside a factor that vanishes with it, up to where that is 0."""
    context = f.context
    above = [(base, e) for base, e in f.powers.values() if e > 0]
    for limit in [found for base, e in f.powers.values() if (found := _limit(base, e > 0, f)) is not None]:
        if not any(limit.x.serial in _parts(base, context) for base, _ in above):
            continue
        degrees = {base.serial: _degree(base, limit, context) for base, _ in above}
        total = sum(degrees[base.serial] * float(e) for base, e in above)
        if total < 2 or total * limit.size > LARGEST:
            continue
        for base, e in above:
            if degrees[base.serial]:
                f.change(base, -e)
                f.change(_replaced(base, limit, context), e)
        return True
    return False


def may_grow(reading: Reading) -> bool:
    """False for a product without powers, and without sums with one: most have none."""
    return any(e >= 2 or (e > 0 and b.op == "add" and _has_power(b)) for b, e in reading.powers.values())


def _has_power(total: Node) -> bool:
    """True where a term of the sum is a power, or a multiple of one."""
    return any(a.op == "pow" or (a.op == "mul" and any(b.op == "pow" for b in a.args)) for a in total.args)


def _limit(base: Node, above: bool, f: Factors) -> _Limit | None:
    """What vanishes with which value, and from where on."""
    known = (_VANISHING if above else _BELOW).get(base.op)
    if known is not None:
        rate, power, sides = known
        coefficient, factors = f.context.split(base.args[0])
        values = [a for a in factors if a.op != "constant"]
        if len(values) != 1:
            return None
        number = float(coefficient)
        for a in factors:
            if a.op == "constant":
                number *= float(a.attrs[0])  # type: ignore[arg-type]
        if number < 0:
            sides = tuple(-side for side in sides)
        return _Limit(values[0], _size(rate * abs(number) ** power, power), sides)
    return _limit_of_exponent(base.args[0], f) if base.op == "exp" and above else None


def _limit_of_exponent(exponent: Node, f: Factors) -> _Limit | None:
    """That of `-c*x**n + ...` with lower powers of x, and terms that do not grow."""
    context = f.context
    terms = exponent.args if exponent.op == "add" else (exponent,)
    found = [_term(a, context) for a in terms] if len(terms) <= LONGEST else []
    leading = max((t for t in found if t is not None), key=lambda t: t[2], default=None)
    if leading is None:
        return None
    number, x, power = leading
    even = power % 2 == 0 or x.op == "abs"
    if even and number > 0:
        return None
    lower = 0.0
    for term, one in zip(terms, found, strict=True):
        if one is not None and one[1] is x and one[2] < power:
            lower += abs(one[0])
        elif one is not leading and not _is_at_most_a_number(term, context):
            return None
    size = _size(abs(number), power)
    if lower:  # beside them half of the leading term is left
        size = max(_size(abs(number) / 2, power), math.ceil(math.log2(2 * lower / abs(number))))
    sides: tuple[int, ...] = (-1, 1) if even else (-1 if number > 0 else 1,)
    return _Limit(x.args[0] if x.op == "abs" else x, size, sides)


def _size(rate: float, power: float) -> int:
    """The s with rate*(2**s)**power above ZERO."""
    return max(1, math.ceil(math.log2(ZERO / rate) / power)) if rate > 0 else LARGEST


def _is_at_most_a_number(term: Node, context: Context) -> bool:
    """True for a term of an exponent that does not grow."""
    if term.op == "constant":
        return True
    number, factors = context.split(term)
    return number < 0 and all(is_nonnegative(a, context) for a in factors)


def _term(term: Node, context: Context) -> tuple[float, Node, float] | None:
    """(c, x, n) of c*x**n, c a number, n positive."""
    reading = read(term, context)
    number, rest = float(reading.number), []
    for base, e in reading.powers.values():
        if base.op == "constant":
            number *= float(base.attrs[0]) ** float(e)  # type: ignore[arg-type]
        elif e and base.op == "mul":  # (c*x)**n
            inner = _term(base, context)
            if inner is None or e != int(e):
                return None
            number *= inner[0] ** int(e)
            rest.append((inner[1], inner[2] * float(e)))
        elif e:
            rest.append((base, float(e)))
    if len(rest) != 1 or rest[0][1] <= 0 or not math.isfinite(number) or number == 0:
        return None
    return number, *rest[0]


def _parts(node: Node, context: Context, depth: int = DEEPEST) -> frozenset[int]:
    """The values that a polynomial may be one of, by serial number; found out once for each node."""
    key = ("parts", node.serial)
    if key not in context.memo:
        found = {node.serial}
        if node.op in _SIDES or (depth and node.op in _POLYNOMIAL and len(node.args) <= LONGEST):
            found = found.union(*[_parts(a, context, depth - 1) for a in node.args])
        context.memo[key] = frozenset(found)
    parts: frozenset[int] = context.memo[key]
    return parts


def _degree(node: Node, limit: _Limit, context: Context, depth: int = DEEPEST) -> float:
    """The power of x that the node grows like; 0 for all that is no polynomial in it, or is bounded."""
    if limit.missing(node):
        return 1
    if not depth or len(node.args) > LONGEST:
        return 0
    if node.op == "pow":
        power = context.number(node.args[1])
        return float(power) * _degree(node.args[0], limit, context, depth - 1) if power and power > 0 else 0
    if node.op == "abs":
        return _degree(node.args[0], limit, context, depth - 1)
    if node.op in ("add", "mul"):
        parts = [_degree(a, limit, context, depth - 1) for a in node.args]
        return max(parts) if node.op == "add" else sum(parts)
    return 0


def _replaced(node: Node, limit: _Limit, context: Context, depth: int = DEEPEST) -> Node:
    """The polynomial with the bounded value for x; as deep as the degree was read."""
    if limit.missing(node):
        return limit.of(node, context)
    if not depth or not _degree(node, limit, context, depth):
        return node
    args = [_replaced(a, limit, context, depth - 1) for a in node.args]
    return context.table.make(node.op, args, node.attrs)
