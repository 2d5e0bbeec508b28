"""Sums that are polynomials in one function: factors that would cancel become functions that do not.

`1 - tanh(x)**2`, `c*s - c*s**2` and `2*s - 1` with s = sigmoid(x) are polynomials in tanh(x) and sigmoid(x).
Each row of `FACTORS` is a polynomial that vanishes where the function approaches a limit or a value that it
takes, and the function that is exact there. A sum is divided by every row as often as that goes; equal
functions of another name (`sigmoid(-x)` is 1 - s) are written as polynomials first, so that the derivatives
of any order come out as products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep, simplest
from symprop.rewrite.matching import Pattern, build, show
from symprop.rewrite.reading import Reading, read
from symprop.rewrite.sigmoid_products import even_argument

__all__ = ["FACTORS", "Factor", "factored"]

Polynomial = dict[int, Number]  # exponent -> coefficient
HALF = Fraction(1, 2)
LONGEST = 32  # terms of a sum, and factors of a term, that are looked at
HIGHEST = 8  # degree of a polynomial


@dataclass(frozen=True)
class Factor:
    """`polynomial(f) --> scale*after`, f = op(x), the coefficients from the constant one on."""

    op: str
    polynomial: tuple[int, ...]
    scale: Number
    after: Pattern
    why: str

    @property
    def name(self) -> str:
        """What the report calls it."""
        return self.before

    @cached_property
    def before(self) -> str:
        """The polynomial as a formula."""
        f = show((self.op, "x"))
        terms = []
        for k, c in enumerate(self.polynomial):
            power = "" if k == 0 else f if k == 1 else f"{f}**{k}"
            if c:
                size = power if abs(c) == 1 and power else f"{abs(c)}*{power}" if power else str(abs(c))
                terms.append(f"-{size}" if c < 0 else size)
        terms.sort(key=lambda s: s[0] == "-")
        return " + ".join(terms).replace("+ -", "- ")

    def __str__(self) -> str:
        after = show(self.after)
        if self.scale == -1:
            after = f"-{after}"
        elif self.scale != 1:
            after = f"{self.scale}*{after}"
        return f"{self.before} --> {after}"


_TAIL = "no digit is left where the function is close to its limit"
_MINIMUM = "half of the digits are lost where the function is close to its extremum"
_HALF_X = ("mul", HALF, "x")

FACTORS: tuple[Factor, ...] = (
    Factor("tanh", (1, 0, -1), 1, ("tanh_prime", "x"), _TAIL),
    Factor("tanh", (1, -1), 2, ("sigmoid", ("mul", -2, "x")), _TAIL),
    Factor("tanh", (1, 1), 2, ("sigmoid", ("mul", 2, "x")), _TAIL),
    Factor("sigmoid", (0, 1, -1), 1, ("sigmoid_prime", "x"), _TAIL),
    Factor("sigmoid", (1, -1), 1, ("sigmoid", ("neg", "x")), _TAIL),
    Factor("sigmoid", (1, -2), -1, ("tanh", _HALF_X), "digits are lost where sigmoid(x) is close to 1/2"),
    Factor("erf", (1, -1), 1, ("erfc", "x"), _TAIL),
    Factor("erf", (1, 1), 1, ("erfc", ("neg", "x")), _TAIL),
    Factor("erfc", (1, -1), 1, ("erf", "x"), "digits are lost where x is small"),
    Factor("erfc", (2, -1), 1, ("erfc", ("neg", "x")), _TAIL),
    Factor("normal_cdf", (1, -1), 1, ("normal_cdf", ("neg", "x")), _TAIL),
    Factor("exp", (1, -1), -1, ("expm1", "x"), "exp(x) rounds to 1 where x is small"),
    Factor("expm1", (1, 1), 1, ("exp", "x"), "no digit is left where x is very negative"),
    Factor("tanh_prime", (1, -1), 1, ("pow", ("tanh", "x"), 2), "digits are lost where x is small"),
    Factor("sigmoid_prime", (1, -4), 1, ("pow", ("tanh", _HALF_X), 2), "digits are lost where x is small"),
    Factor("cos", (1, 0, -1), 1, ("pow", ("sin", "x"), 2), _MINIMUM),
    Factor("cos", (1, -1), 2, ("pow", ("sin", _HALF_X), 2), _MINIMUM),
    Factor("cos", (1, 1), 2, ("pow", ("cos", _HALF_X), 2), _MINIMUM),
    Factor("sin", (1, 0, -1), 1, ("pow", ("cos", "x"), 2), _MINIMUM),
    Factor("cosh", (1, 0, -1), -1, ("pow", ("sinh", "x"), 2), _MINIMUM),
    Factor("cosh", (1, -1), -2, ("pow", ("sinh", _HALF_X), 2), _MINIMUM),
)

_OF: dict[str, tuple[Factor, ...]] = {
    op: tuple(f for f in FACTORS if f.op == op) for op in dict.fromkeys(f.op for f in FACTORS)
}
# the operations of nodes that may be another name of a polynomial in a function
_NAMES: dict[str, frozenset[str]] = {
    op: frozenset(f.after[0] for f in found) - {"pow"} for op, found in _OF.items()
}
_NONE: dict[int, Polynomial] = {}


def factored(node: Node, sweep: Sweep) -> Node | None:
    """The sum with what it holds as a polynomial in one function written as a product, or None."""
    if len(node.args) > LONGEST:
        return None
    summands = _opened(node, sweep.context)
    readings = [read(a, sweep.context) for a in summands]
    operations = set().union(*[r.operations for r in readings])
    if operations.isdisjoint(_OF):
        return None
    candidates: dict[int, Node] = {}
    for reading in readings:
        if len(reading.powers) > LONGEST:
            return None
        if not reading.operations.isdisjoint(_OF):
            for serial, (base, exponent) in reading.powers.items():
                if base.op in _OF and isinstance(exponent, int) and 0 < abs(exponent) <= HIGHEST:
                    candidates[serial] = base
    if not candidates:
        return None
    terms = [_Term(a, r) for a, r in zip(summands, readings, strict=True)]
    for f in candidates.values():
        result = _by(f, node, terms, operations, sweep)
        if result is not None and result is not node:
            return result
    return None


def _opened(node: Node, context: Context) -> Sequence[Node]:
    """The terms of a sum, those of multiples of sums among them by themselves."""
    found: list[Node] = []
    for a in node.args:
        number, factors = context.split(a)
        total = factors[0]
        if len(factors) != 1 or total is a or total.op != "add" or len(found) + len(total.args) > LONGEST:
            found.append(a)
            continue
        for term in total.args:
            value = context.number(term)
            c, rest = context.split(term)
            found.append(
                context.constant(number * value) if value is not None else context.times(number * c, rest)
            )
    return found if len(found) > len(node.args) else node.args


class _Term:
    """A term of a sum as coefficient and factors: serial -> (base, exponent)."""

    __slots__ = ("coefficient", "factors", "node")

    def __init__(self, node: Node, reading: Reading) -> None:
        self.node = node
        self.coefficient = reading.number
        self.factors = reading.powers
        if reading.vanished:
            self.factors = {s: p for s, p in reading.powers.items() if p[1]}


def _rewritten(f: Node, factor: Factor, context: Context) -> Node:
    """The function that stands for a factor; made once for each f."""
    key = (factor.before, f.serial)
    if key not in context.memo:
        pattern = factor.after
        even = pattern[0] in ("sigmoid_prime", "tanh_prime")
        argument = even_argument(f.args[0], context) if even else f.args[0]
        made = build(pattern, {"x": argument}, context)
        context.memo[key] = made
    found: Node = context.memo[key]
    return found


def _aliases(f: Node, context: Context) -> dict[int, Polynomial]:
    """Other names: serial of a node -> what it is as a polynomial in f; found once for each f."""
    key = ("aliases", f.serial)
    known: dict[int, Polynomial] | None = context.memo.get(key)
    if known is not None:
        return known
    found: dict[int, Polynomial] = {}
    for factor in _OF[f.op]:
        made = _rewritten(f, factor, context)
        if made.op != "pow" and made is not f:
            found[made.serial] = {k: Fraction(c) / factor.scale for k, c in enumerate(factor.polynomial) if c}
    context.memo[key] = found
    return found


def _by(f: Node, node: Node, terms: Sequence[_Term], operations: set[str], sweep: Sweep) -> Node | None:
    context = sweep.context
    aliases = _NONE if operations.isdisjoint(_NAMES[f.op]) else _aliases(f, context)
    inner = {
        serial: found
        for term in terms
        for serial, (base, exponent) in term.factors.items()
        if base.op == "add" and exponent == 1 and (found := _inner(base, f, aliases, context)) is not None
    }
    known = {**aliases, **inner} if inner else aliases
    if not known and len({len(t.factors) - (f.serial in t.factors) for t in terms}) == len(terms):
        return None  # no two have the same other factors
    groups: dict[tuple[Any, ...], list[tuple[_Term, int, Polynomial]]] = {}
    for term in terms:
        shift, rest, polynomial = _in_powers(f, term, known)
        groups.setdefault(tuple(sorted(rest)), []).append((term, shift, polynomial))
    if len(groups) == len(terms):
        return None
    kept: list[Node] = []
    fired: list[str] = []
    for members in groups.values():
        made = _group(f, members, known, context, fired) if len(members) > 1 else None
        kept.extend([term.node for term, _, _ in members] if made is None else [made])
    if not fired:
        return None
    for name in fired:
        sweep.fire(name)
    table = sweep.table
    return table.broadcast(table.add(*kept), node.shape)


def _in_powers(
    f: Node, term: _Term, known: dict[int, Polynomial]
) -> tuple[int, list[tuple[int, Number]], Polynomial]:
    """A term as a power of f, other factors, and a polynomial in f."""
    shift, rest, polynomial = 0, [], {0: term.coefficient}
    for serial, (base, exponent) in term.factors.items():
        if base is f and isinstance(exponent, int):
            shift += exponent
        elif serial in known and isinstance(exponent, int) and 0 < exponent <= HIGHEST:
            for _ in range(exponent):
                polynomial = _product(polynomial, known[serial])
        else:
            rest.append((serial, exponent))
    return shift, rest, polynomial


def _inner(total: Node, f: Node, aliases: dict[int, Polynomial], context: Context) -> Polynomial | None:
    """A sum in a term, as the 2 - 3*s of `s**2*(2 - 3*s)`, as a polynomial in f."""
    if len(total.args) > HIGHEST:
        return None
    found: Polynomial = {}
    for a in total.args:
        shift, rest, polynomial = _in_powers(f, _Term(a, read(a, context)), aliases)
        if rest or shift < 0 or shift + max(polynomial) > HIGHEST:
            return None
        for k, c in polynomial.items():
            found[k + shift] = found.get(k + shift, 0) + c
    return {k: c for k, c in found.items() if c} or None


def _group(
    f: Node,
    members: list[tuple[_Term, int, Polynomial]],
    known: dict[int, Polynomial],
    context: Context,
    fired: list[str],
) -> Node | None:
    """The terms with equal other factors as one product; None where no factor divides their polynomial."""
    total: Polynomial = {}
    for _, shift, polynomial in members:
        for k, c in polynomial.items():
            total[k + shift] = total.get(k + shift, 0) + c
    total = {k: c for k, c in total.items() if c}
    table = context.table
    if not total:
        fired.append("terms that cancel")
        return table.constant(0)
    least = min(total)
    if max(total) - least > HIGHEST:
        return None
    total = {k - least: c for k, c in total.items()}
    factors: list[Node] = []
    scale: Number = 1
    names: list[str] = []
    for factor in _OF[f.op]:
        low = next(k for k, c in enumerate(factor.polynomial) if c)
        while True:
            if low and low > least:
                break
            divided = _divided(total, factor.polynomial[low:])
            if divided is None:
                break
            total, least = divided, least - low
            scale *= factor.scale
            factors.append(_rewritten(f, factor, context))
            names.append(factor.name)
    if not names:
        if len(total) > 1 or len(members) < 2:
            return None
        names.append("terms that cancel")
    fired.extend(names)
    others = _others(f, members[0][0], known)
    base = [n if e == 1 else table.pow(n, context.constant(e)) for n, e in others]
    if least:
        factors.append(table.pow(f, least))
    if len(total) == 1 and 0 in total:
        scale *= total[0]
    else:
        powers = [
            context.constant(c) if k == 0 else context.times(c, (table.pow(f, k),))
            for k, c in sorted(total.items())
        ]
        factors.append(table.add(*powers))
    return table.mul(context.constant(simplest(scale)), *base, *factors)


def _others(f: Node, term: _Term, known: dict[int, Polynomial]) -> list[tuple[Node, Number]]:
    return [
        (base, exponent)
        for serial, (base, exponent) in term.factors.items()
        if base is not f and not (serial in known and isinstance(exponent, int) and 0 < exponent <= HIGHEST)
    ]


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for i, x in a.items():
        for j, y in b.items():
            result[i + j] = result.get(i + j, 0) + x * y
    return result


def _divided(total: Polynomial, by: Sequence[int]) -> Polynomial | None:
    """The quotient where the division leaves nothing, else None."""
    degree = len(by) - 1
    rest = dict(total)
    quotient: Polynomial = {}
    top = max(rest)
    if top < degree:
        return None
    for k in range(top, degree - 1, -1):
        c = rest.pop(k, 0)
        if c:
            q = Fraction(c) / by[-1]
            quotient[k - degree] = simplest(q)
            for j in range(degree):
                rest[k - degree + j] = rest.get(k - degree + j, 0) - q * by[j]
    if any(rest.values()):
        return None
    return quotient
