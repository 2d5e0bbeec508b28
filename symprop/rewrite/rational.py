"""Rational functions of one exponential: exp, sinh, cosh, tanh, sigmoid of multiples of one argument.

`(exp(x) - exp(-x))/(exp(x) + exp(-x))`, `x*exp(x)/(1 + exp(x))`, `1/cosh(x)` and their derivatives of any
order are quotients of polynomials in u = exp(x). A quotient is kept as number * u**k (u - 1)**a (u + 1)**b
(u**2 + 1)**c and powers of other polynomials; so common factors cancel exactly, and what is left is written
with tanh, sigmoid and their slopes, or, where these do not suffice, as a quotient in exp(-abs(x)): nothing
overflows, and no digit is lost far from zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep, magnitude, simplest
from symprop.rewrite.exponential_forms import Argument, Key, in_decay, written
from symprop.rewrite.products import shared_products
from symprop.rewrite.quotients import (
    HIGHEST,
    KNOWN,
    SQUARE,
    Polynomial,
    Quotient,
    coarser,
    factored,
    total_of,
)
from symprop.rewrite.reading import Reading
from symprop.rewrite.reading import read as read_product

__all__ = [
    "BOUNDED",
    "ENDS",
    "RATIONAL",
    "READ",
    "argument_of",
    "quotient_in_decay",
    "quotient_of_bounded",
    "rational_product",
    "rational_sum",
]

LONGEST = 32  # operands of a product or sum that are looked at
LARGEST = 16  # coefficients of what is left of a numerator and a denominator
DEEPEST = 3  # sums inside powers inside sums

RATIONAL = frozenset({"exp", "expm1", "sinh", "cosh"})  # without one of them there is nothing to do here
BOUNDED = frozenset({"tanh", "sigmoid", "tanh_prime", "sigmoid_prime"})
_FUNCTIONS = RATIONAL | BOUNDED
READ = _FUNCTIONS | {"add"}

Place = tuple[Number, Number]  # growth of a factor: its logarithm over x, at both ends


# -- reading products ------------------------------------------------------------------------------------


_Terms = dict[Number, Number]
_Scale = Number | tuple[tuple[Number, Number], ...]  # of the argument; of a sum exponents and coefficients
_Reading = tuple[Argument, str, _Scale]
Member = tuple[str, _Scale, int, Node]  # operation, scale, exponent, base


def argument_of(x: Node, context: Context) -> tuple[Argument, Number] | None:
    """x as a multiple of a value, sums without a common factor."""
    number, factors = context.split(x)
    inner = factors[0] if len(factors) == 1 else None
    if inner is None or inner.op != "add":
        if inner is not None and inner.op == "constant":
            return None
        own, serials = _opened(factors, context)  # a product with other uses stands in a product
        return _interned(serials, ((1, tuple(factors)),), context, own), number * own
    terms: list[tuple[Number, tuple[Node, ...]]] = []
    for term in inner.args:
        value = context.number(term)
        terms.append((value, ()) if value is not None else context.split(term))
    content = _content([c for c, _ in terms])  # 3*x + 2 stays, 2*x + 2 is 2*(x + 1)
    reduced = tuple((c if content == 1 else simplest(c / content), tuple(f)) for c, f in terms)
    parts: Key = tuple((c, tuple(n.serial for n in f)) for c, f in reduced)
    return _interned(parts, reduced, context), simplest(number * content)


def _content(numbers: Sequence[Number]) -> Fraction:
    """What the numbers are whole multiples of without a common factor, with the sign of the first."""
    unit = _greatest(numbers)
    return unit if numbers[0] > 0 else -unit


def _greatest(numbers: Sequence[Number]) -> Fraction:
    """The largest step of which all numbers are whole multiples."""
    below = lcm(*[s.denominator for s in numbers])
    return Fraction(gcd(*[s.numerator * (below // s.denominator) for s in numbers]), below)


def _opened(factors: Sequence[Node], context: Context) -> tuple[Number, Key]:
    """The number and the factors, by serial number, of a product with the products in it opened."""
    number: Number = 1
    serials: list[int] = []
    todo = list(factors)
    while todo:
        factor = todo.pop()
        if factor.op == "mul" and len(todo) + len(serials) < LONGEST:
            own, inner = context.split(factor)
            number *= own
            todo.extend(inner)
        else:
            serials.append(factor.serial)
    return number, tuple(sorted(serials))


def _interned(
    key: Key, terms: tuple[tuple[Number, tuple[Node, ...]], ...], context: Context, own: Number = 1
) -> Argument:
    """One object for each key; `own` is a number that is in the terms, but not in the key."""
    arguments: dict[Key, Argument] = context.memo.setdefault(("arguments", 0), {})
    if key not in arguments:
        made = terms if own == 1 else tuple((c / Fraction(own), f) for c, f in terms)
        arguments[key] = Argument(key, made)
    return arguments[key]


def _read(base: Node, context: Context, depth: int = DEEPEST) -> _Reading | None:
    """A factor as a function of an exponential, if it is one; found out once for each node."""
    memo = ("rational", base.serial)
    if memo not in context.memo:
        context.memo[memo] = _found(base, context, depth)
    found: _Reading | None = context.memo[memo]
    return found


def _found(base: Node, context: Context, depth: int) -> _Reading | None:
    if base.op in _FUNCTIONS:
        read = argument_of(base.args[0], context)
        return None if read is None else (read[0], base.op, read[1])
    if base.op != "add" or len(base.args) > LONGEST or depth == 0:
        return None
    argument: Argument | None = None
    total: _Terms = {}
    for term in base.args:  # numbers and products of exp, sinh, cosh of multiples of one value
        p = _product(term, context, depth - 1)
        if p is None or p.others or len(p.members) > 1:
            return None
        made: _Terms = {0: p.number}
        for found, members in p.members.items():
            if argument is not None and argument != found:
                return None
            argument = found
            for op, scale, exponent, _ in members:
                if op == "exp" and not isinstance(scale, tuple):
                    made = {e + scale * exponent: c for e, c in made.items()}
                elif op in BOUNDED or exponent < 0:
                    return None
                else:
                    for _ in range(exponent):
                        made = _times(made, scale if isinstance(scale, tuple) else _terms(op, scale))
        for e, c in made.items():
            total[e] = total.get(e, 0) + c
    total = {e: c for e, c in total.items() if c}
    if argument is None or not 2 <= len(total) <= HIGHEST:
        return None
    return argument, "sum", tuple(sorted(total.items()))


def _times(a: _Terms, b: Iterable[tuple[Number, Number]]) -> _Terms:
    result: _Terms = {}
    for e, c in b:
        for f, d in a.items():
            result[e + f] = result.get(e + f, 0) + c * d
    return result


def _terms(op: str, m: Number) -> list[tuple[Number, Number]]:
    half = Fraction(1, 2)
    found: dict[str, list[tuple[Number, Number]]] = {
        "exp": [(m, 1)],
        "expm1": [(m, 1), (0, -1)],
        "sinh": [(m, half), (-m, -half)],
        "cosh": [(m, half), (-m, half)],
    }
    return found[op]


@dataclass
class _Product:
    """A product: number, the functions of one exponential for each argument, the other factors."""

    number: Number
    members: dict[Argument, list[Member]]
    others: dict[int, tuple[Node, Number]]


def _product(node: Node, context: Context, depth: int = DEEPEST) -> _Product | None:
    """The factors of a node, not to be changed; found out once for each."""
    memo = ("exponentials", node.serial)
    if memo not in context.memo:
        context.memo[memo] = _read_product(node, context, depth)
    found: _Product | None = context.memo[memo]
    return found


def _read_product(
    node: Node, context: Context, depth: int, reading: Reading | None = None
) -> _Product | None:
    factors = read_product(node, context) if reading is None else reading
    if factors.clashes:
        return None
    found = _Product(factors.number, {}, {})
    todo = [p for p in factors.powers.values() if p[1]]
    while todo:
        base, exponent = todo.pop(0)
        if base.op == "mul" and isinstance(exponent, int) and exponent != 1:  # (2*cosh(x))**-1
            inner = read_product(base, context)
            if inner.clashes or any(b.op == "mul" for b, _ in inner.powers.values()):
                return None
            found.number *= Fraction(inner.number) ** exponent
            todo.extend((b, e * exponent) for b, e in inner.powers.values() if e)
            continue
        read = _read(base, context, depth) if isinstance(exponent, int) and abs(exponent) <= HIGHEST else None
        if read is None:
            found.others[base.serial] = base, found.others.get(base.serial, (base, 0))[1] + exponent
        else:
            assert isinstance(exponent, int)
            found.members.setdefault(read[0], []).append((read[1], read[2], exponent, base))
    return found


def _growth(member: Member) -> Place:
    """The exponent of exp(x) that the factor behaves like, for large x and for very negative x."""
    op, scale, exponent, _ = member
    if isinstance(scale, tuple):
        low, high = scale[0][0], scale[-1][0]
    else:
        low, high = ENDS[op](scale)
    return high * exponent, low * exponent


ENDS: dict[str, Callable[[Number], Place]] = {  # of a multiple of x: growth towards -oo and +oo
    "exp": lambda m: (m, m),
    "expm1": lambda m: (m, 0) if m < 0 else (0, m),
    "sinh": lambda m: (-magnitude(m), magnitude(m)),
    "cosh": lambda m: (-magnitude(m), magnitude(m)),
    "tanh": lambda m: (0, 0),
    "sigmoid": lambda m: (0, m) if m < 0 else (m, 0),
    "sigmoid_prime": lambda m: (magnitude(m), -magnitude(m)),
    "tanh_prime": lambda m: (2 * magnitude(m), -2 * magnitude(m)),
}


def _vanishes_before(front: Sequence[Member], members: Sequence[Member]) -> bool:
    """True where a member overflows at an end at which the factors in front, all bounded, vanish."""
    ends, others = [_growth(m) for m in front], [_growth(m) for m in members]
    above, below = max(p for p, _ in ends), max(-m for _, m in ends)
    if max(above, below) > 0:
        return False
    high, low = max(p for p, _ in others), max(-m for _, m in others)
    return (high > 0 > min(p for p, _ in ends)) or (low > 0 > min(-m for _, m in ends))


def _clash(argument: Argument, members: Sequence[Member], context: Context) -> bool:
    """True where one factor overflows while another vanishes."""
    ends = [_growth(m) for m in members]
    above, below = [p for p, _ in ends], [-m for _, m in ends]
    bounded = len(argument.terms) == 1 and any(f.op == "abs" for f in argument.terms[0][1])
    return (max(above) > 0 > min(above)) or (not bounded and max(below) > 0 > min(below))


# -- one quotient ----------------------------------------------------------------------------------------


def _unit(members: Iterable[Member]) -> Fraction | None:
    """The largest step of which all exponents are whole multiples."""
    steps: list[Number] = []
    for op, scale, _, _ in members:
        steps.extend(
            [e for e, _ in scale] if isinstance(scale, tuple) else [scale * (2 if "tanh" in op else 1)]
        )
    return _greatest(steps) or None


def _quotient(members: Iterable[Member], unit: Fraction) -> Quotient | None:
    """The product of the members in u = exp(unit * argument)."""
    total = Quotient()
    for op, scale, exponent, _ in members:
        if isinstance(scale, tuple):
            terms = list(scale)
        elif op in RATIONAL:
            terms = _terms(op, scale)
        else:
            m = scale * 2 if "tanh" in op else scale
            k = int(m / unit)
            if abs(k) > HIGHEST:
                return None
            plus = factored({k: 1, 0: 1})
            if op == "tanh":
                total.times(factored({k: 1, 0: -1}), exponent)
            else:
                total.number *= Fraction(4 if op == "tanh_prime" else 1) ** exponent
                total.power += k * exponent
            total.times(plus, -exponent * (2 if "prime" in op else 1))
            continue
        polynomial: Polynomial = {int(e / unit): c for e, c in terms}
        if max(polynomial) - min(polynomial) > HIGHEST:
            return None
        total.times(factored(polynomial), exponent)
    return total if total.degree() <= 4 * HIGHEST else None


def quotient_in_decay(node: Node, sweep: Sweep) -> Node | None:
    """What no known function stands for, `(u + 2)/(u**2 + 2*u + 2)` with u = exp(x): the last step, since the
    result is no product of functions of exp(x) any more."""
    context = sweep.context
    if len(node.args) > LONGEST or not _is_looked_at(node):
        return None
    read = _product(node, context)
    if read is None:
        return None
    for argument, members in read.members.items():
        if any(f.op == "abs" for _, factors in argument.terms for f in factors) or not _clash(
            argument, members, context
        ):
            continue
        unit = _unit(members)
        q = None if unit is None else _quotient(members, unit)
        if q is None or unit is None:
            continue
        q, unit = coarser(q, unit)
        if all(p in KNOWN for p in q.parts):
            continue
        sweep.fire("quotient of polynomials in an exponential")
        made = _joined(read, argument, q.number, in_decay(q, unit, argument, context), context)
        return context.table.broadcast(made, node.shape)
    return None


# -- the rules -------------------------------------------------------------------------------------------


def _is_looked_at(node: Node) -> bool:
    """True where a factor, or one of a term, may be a function of an exponential."""
    for factor in node.args:
        if factor.op in ("mul", "pow"):
            for inner in factor.args:
                if inner.op == "pow":
                    inner = inner.args[0]
                if inner.op in _FUNCTIONS or inner.op == "add":
                    return True
                if inner.op == "mul" and any(a.op in _FUNCTIONS for a in inner.args):
                    return True
        elif factor.op in _FUNCTIONS or factor.op == "add":
            return True
    return False


def quotient_of_bounded(node: Node, sweep: Sweep) -> Node | None:
    """`tanh_prime(x/2)/sigmoid(x)`: the same where no exponential is in the graph, but a divisor vanishes."""
    if len(node.args) > LONGEST or not _is_looked_at(node):
        return None
    reading = read_product(node, sweep.context)
    below = any(reading.powers[serial][0].op in BOUNDED for serial in reading.divisors)
    return rational_product(node, sweep) if below else None


def rational_product(node: Node, sweep: Sweep) -> Node | None:
    """A product in which an exponential overflows while another factor vanishes, or None.

    Products among the factors that others use stay whole where that is enough, as in `products.normalised`.
    """
    if len(node.args) > LONGEST or not _is_looked_at(node):
        return None
    closed = shared_products(node, sweep)
    if closed:
        whole = _read_product(node, sweep.context, DEEPEST, Reading(node, sweep.context, closed))
        result = None if whole is None else _without_clash(node, whole, sweep)
        if result is not None:
            return result
    read = _product(node, sweep.context)
    return None if read is None else _without_clash(node, read, sweep)


def _without_clash(node: Node, read: _Product, sweep: Sweep) -> Node | None:
    context, table = sweep.context, sweep.table
    for argument, members in read.members.items():
        if len(members) < 2 or not _clash(argument, members, context):
            continue
        unit = _unit(members)
        q = None if unit is None else _quotient(members, unit)
        if q is None or unit is None:
            continue
        number, factors = written(q, unit, argument, context)
        result = _joined(read, argument, number, factors, context)
        if result is node or result.args == node.args:
            continue
        sweep.fire("quotient of sums of exponentials")
        return table.broadcast(result, node.shape)
    return _distributed(node, read, sweep)


def _joined(
    read: _Product, without: Argument, number: Number, factors: Sequence[Node], context: Context
) -> Node:
    t = context.table
    kept = [base if e == 1 else t.pow(base, context.constant(e)) for base, e in read.others.values()]
    for argument, members in read.members.items():
        if argument != without:
            kept.extend(_plain(members, context))
    return t.mul(context.constant(simplest(read.number * Fraction(number))), *kept, *factors)


def _plain(members: Iterable[Member], context: Context) -> list[Node]:
    """The members as they were."""
    return [context.table.pow(base, exponent) for _, _, exponent, base in members]


def _distributed(node: Node, read: _Product, sweep: Sweep) -> Node | None:
    """`exp(x)*(a*sigmoid(-x) + b*tanh(x)*sigmoid(-x)) --> a*sigmoid(x) + ...`: where every term of a sum
    vanishes as the factor in front grows."""
    context, table = sweep.context, sweep.table
    for argument, members in read.members.items():
        for serial, (total, exponent) in read.others.items():
            if total.op != "add" or exponent != 1 or len(total.args) > LONGEST:
                continue
            spread = _flat(total, context)
            inner = [_product(term, context) for term in spread]
            if any(p is None or argument not in p.members for p in inner):
                continue
            own = [p.members[argument] for p in inner if p is not None]
            if not all(_clash(argument, [*members, *others], context) for others in own) and not any(
                _vanishes_before(members, others) for others in own
            ):
                continue
            front = _plain(members, context)
            rest = _Product(read.number, read.members, {s: o for s, o in read.others.items() if s != serial})
            sweep.fire("exponentials taken into a sum")
            made = table.add(*[table.mul(*front, term) for term in spread])
            return table.broadcast(_joined(rest, argument, 1, [made], context), node.shape)
    return None


def _flat(total: Node, context: Context) -> list[Node]:
    """The terms of a sum, of sums of such functions in it, and of multiples of them."""
    found: list[Node] = []
    todo: list[tuple[Number, Node]] = [(1, a) for a in reversed(total.args)]
    while todo:
        number, term = todo.pop()
        c, factors = context.split(term)
        inner = factors[0] if len(factors) == 1 else None
        if inner is not None and _read(inner, context) is not None:
            inner = None  # a polynomial in one exponential stays one factor
        if inner is not None and inner.op == "add" and not all(_joins(a, context) for a in inner.args):
            inner = None
        if inner is not None and inner.op == "add" and len(todo) + len(found) + len(inner.args) <= LONGEST:
            todo.extend((number * c, a) for a in reversed(inner.args))
        elif number == 1:
            found.append(term)
        else:
            value = context.number(term)
            found.append(
                context.times(number * c, factors) if value is None else context.constant(number * value)
            )
    return found


def _multiplied_out(summands: Sequence[Node], context: Context) -> tuple[list[Node], frozenset[int]]:
    """The terms with `a*(b + c)` multiplied out where all of these are such functions, and the places of
    what came of that."""
    found: list[Node] = []
    made: list[int] = []
    for term in summands:
        sums = [f for f in term.args if f.op == "add"] if term.op == "mul" else []
        if len(sums) != 1 or _read(sums[0], context) is not None or len(sums[0].args) > LONGEST - len(found):
            found.append(term)
            continue
        rest = [f for f in term.args if f is not sums[0]]
        if not all(_joins(f, context) for f in (*rest, *sums[0].args)):
            found.append(term)
            continue
        made.extend(range(len(found), len(found) + len(sums[0].args)))
        found.extend(context.table.mul(*rest, a) for a in sums[0].args)
    return found, frozenset(made)


def _joins(term: Node, context: Context) -> bool:
    return context.number(term) is not None or _holds(term, context)


def _holds(term: Node, context: Context) -> bool:
    read = _product(term, context)
    return read is not None and bool(read.members)


def rational_sum(node: Node, sweep: Sweep) -> Node | None:
    """A sum with the terms joined that are rational functions of one exponential times the same factors."""
    if not 2 <= len(node.args) <= LONGEST or not _is_looked_at(node):
        return None
    summands = _flat(node, sweep.context)
    result = _joined_sum(node, summands, frozenset(), sweep)
    if result is None:
        opened, made = _multiplied_out(summands, sweep.context)
        result = _joined_sum(node, opened, made, sweep) if made else None
    return result


def _joined_sum(node: Node, summands: Sequence[Node], made: frozenset[int], sweep: Sweep) -> Node | None:
    """The sum with terms of one group joined, where all at the places `made` are among these."""
    context, table = sweep.context, sweep.table
    terms = [_product(a, context) for a in summands]
    arguments = dict.fromkeys(a for p in terms if p is not None for a in p.members)
    for argument in arguments:
        groups: dict[Key, list[int]] = {}
        for place, p in enumerate(terms):
            if p is None:
                continue
            rest = {s: e for s, (_, e) in p.others.items()}
            more = [
                (id(other), op, scale, e)
                for other, ms in p.members.items()
                if other != argument
                for op, scale, e, _ in ms
            ]
            groups.setdefault((frozenset(rest.items()), frozenset(more)), []).append(place)
        for places in groups.values():
            if not made.issubset(places):
                continue
            joined = _combined([p for k in places if (p := terms[k]) is not None], argument, context)
            if joined is None:
                continue
            kept = [a for k, a in enumerate(summands) if k not in places]
            result = table.add(joined, *kept)
            if result is node:
                continue
            sweep.fire("sums of exponentials joined")
            return table.broadcast(result, node.shape)
    return None


def _combined(group: Sequence[_Product], argument: Argument, context: Context) -> Node | None:
    """The terms of one group as one product, where nothing is left that cancels."""
    if len(group) < 2:
        return None
    lists = [p.members.get(argument, []) for p in group]
    everything = [m for members in lists for m in members]
    kinds = {op for op, *_ in everything}
    if kinds <= BOUNDED and len(kinds) < 2:
        return None  # a polynomial in one function: `factoring`
    unit = _unit(everything)
    if unit is None:
        return None
    quotients = []
    for p, members in zip(group, lists, strict=True):
        q = _quotient(members, unit)
        if q is None:
            return None
        q.number *= p.number
        quotients.append(q)
    found = total_of(quotients)
    if found is None:
        return context.constant(0)
    total, done = found
    if not done:
        return None
    others = [(p, e) for p, e in total.parts.items() if p not in KNOWN]
    if sum(len(p) for p, _ in others) > LARGEST:
        return None
    mixed = any(p for p, e in others if e > 0 and min(p) < 0)
    signs = {q.number > 0 for q in quotients}
    signs |= {min(p) >= 0 or e % 2 == 0 for q in quotients for p, e in q.parts.items() if e > 0}
    fractions = any(e < 0 for _, e in total.parts.items())
    whole = not fractions and not any(e < 0 for q in quotients for e in q.parts.values())
    if mixed and whole:
        return None  # a polynomial with a root inside
    is_cosh = total.power == -1 and total.parts == {SQUARE: 1}  # nothing cancels in exp(x) + exp(-x)
    if (len(signs) == 1 and not is_cosh) or (others and whole):
        return None
    number, factors = written(total, unit, argument, context)
    made = _joined(_Product(1, {**group[0].members}, group[0].others), argument, number, factors, context)
    return made
