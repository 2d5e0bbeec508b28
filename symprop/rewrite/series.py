"""Sums of functions of one value whose leading terms cancel at zero: there they are written as power series.

`x - atan(x)`, `cos(x)/x - sin(x)/x**2` (the derivative of sin(x)/x), `1/expm1(x) - x*exp(x)/expm1(x)**2`: the
Taylor series of every term is known exactly, with rational coefficients, and so is that of the sum. Where it
begins later than those of the terms, digits are lost close to zero; below a limit the sum is its series, from
the limit on it is as it was. The limit is where no more than two binary digits are lost, or where the series
still reaches all digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import factorial, inf, pi

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep, is_short, magnitude
from symprop.rewrite.products import Factors, read

__all__ = ["FUNCTIONS", "series_over_power", "sum_as_series"]

LONGEST = 8  # terms of a sum that are looked at
DEEPEST = 6  # operations inside operations
SHORT, LONG = 8, 60  # coefficients to see whether terms cancel, and to write the series
LOST = 4.0  # terms may be so many times larger than their sum
EXACT = 2.0**-57  # what the series leaves out, relative to it
_OPENED = frozenset({"mul", "pow", "add", "broadcast"})  # in which values and functions are looked for

Coefficients = list[Fraction]  # from the leading one on


class Series:
    """x**lead * (c0 + c1*x + ...), c0 not zero, and up to which |x| it converges."""

    def __init__(self, lead: int, coefficients: Coefficients, radius: float) -> None:
        self.lead, self.coefficients, self.radius = lead, coefficients, radius

    def times(self, other: Series) -> Series:
        a, b = self.coefficients, other.coefficients
        made = [
            sum((a[i] * b[k - i] for i in range(k + 1) if a[i] and b[k - i]), Fraction(0))
            for k in range(len(a))
        ]
        return Series(self.lead + other.lead, made, min(self.radius, other.radius))

    def power(self, exponent: Fraction, zeros: float) -> Series | None:
        """The power, by the recurrence of Euler; `zeros` is the nearest zero besides the origin."""
        a, first = self.coefficients, self.coefficients[0]
        whole = exponent.denominator == 1
        if not whole and (first != 1 or self.lead):
            return None
        made = [first ** int(exponent) if whole else Fraction(1)]
        for k in range(1, len(a)):
            total = sum(
                ((exponent * i - k + i) * a[i] * made[k - i] for i in range(1, k + 1) if a[i]), Fraction(0)
            )
            made.append(total / (k * first))
        plain = whole and exponent >= 0
        return Series(int(self.lead * exponent), made, self.radius if plain else min(self.radius, zeros))


# -- the functions: Taylor coefficients at zero, radius of convergence, the nearest other zero --------------


def _bernoulli_like(
    count: int, numerator: Callable[[int], Fraction], denominator: Callable[[int], Fraction]
) -> Coefficients:
    """The series of a quotient, by long division."""
    made: Coefficients = []
    for k in range(count):
        made.append(numerator(k) - sum((made[i] * denominator(k - i) for i in range(k)), Fraction(0)))
    return made


def _exp(k: int) -> Fraction:
    return Fraction(1, factorial(k))


def _sin(k: int) -> Fraction:
    return Fraction((-1) ** (k // 2), factorial(k)) if k % 2 else Fraction(0)


def _cos(k: int) -> Fraction:
    return Fraction(0) if k % 2 else Fraction((-1) ** (k // 2), factorial(k))


def _sinh(k: int) -> Fraction:
    return abs(_sin(k))


def _cosh(k: int) -> Fraction:
    return abs(_cos(k))


def _central(k: int) -> Fraction:
    """The coefficient of x**k in asin(x)."""
    n, odd = divmod(k, 2)
    return Fraction(factorial(2 * n), 4**n * factorial(n) ** 2 * k) if odd else Fraction(0)


def _each(coefficient: Callable[[int], Fraction]) -> Callable[[int], Coefficients]:
    return lambda count: [coefficient(k) for k in range(count)]


def _odd(k: int, sign: int) -> Fraction:
    return Fraction(sign ** (k // 2), k) if k % 2 else Fraction(0)


FUNCTIONS: dict[str, tuple[Callable[[int], Coefficients], float, float]] = {
    "exp": (_each(_exp), inf, inf),
    "expm1": (_each(lambda k: _exp(k) if k else Fraction(0)), inf, 2 * pi),
    "sin": (_each(_sin), inf, pi),
    "cos": (_each(_cos), inf, pi / 2),
    "tan": (lambda n: _bernoulli_like(n, _sin, _cos), pi / 2, pi),
    "sinh": (_each(_sinh), inf, pi),
    "cosh": (_each(_cosh), inf, pi / 2),
    "tanh": (lambda n: _bernoulli_like(n, _sinh, _cosh), pi / 2, pi),
    "tanh_prime": (
        lambda n: _bernoulli_like(
            n, lambda k: Fraction(k == 0), lambda k: _cosh(k) if k == 0 else 2 ** (k - 1) * _cosh(k)
        ),
        pi / 2,
        inf,
    ),
    "sigmoid": (
        lambda n: _bernoulli_like(n, lambda k: _exp(k) / 2, lambda k: (_exp(k) + (k == 0)) / 2),
        pi,
        inf,
    ),
    "asin": (_each(_central), 1.0, inf),
    "asinh": (_each(lambda k: _central(k) * (-1) ** (k // 2)), 1.0, inf),
    "atan": (_each(lambda k: _odd(k, -1)), 1.0, inf),
    "atanh": (_each(lambda k: _odd(k, 1)), 1.0, inf),
    "log1p": (_each(lambda k: Fraction((-1) ** (k + 1), k) if k else Fraction(0)), 1.0, inf),
}


# -- the series of a node -------------------------------------------------------------------------------


def _scaled(coefficients: Coefficients, c: Fraction, step: int, count: int) -> tuple[int, Coefficients]:
    """f(c*x**step) as its leading exponent and the coefficients from there on."""
    spread = [Fraction(0)] * (len(coefficients) * step)
    for k, value in enumerate(coefficients):
        spread[k * step] = value * c**k
    return _leading(spread, 0, count)


def _leading(values: Sequence[Fraction], lead: int, count: int) -> tuple[int, Coefficients]:
    first = next((k for k, v in enumerate(values) if v), None)
    if first is None:
        return 0, []
    made = list(values[first : first + count])
    return lead + first, made + [Fraction(0)] * (count - len(made))


class _Expansion:
    """Series in one value x, to `count` coefficients each."""

    def __init__(self, x: Node, count: int, context: Context) -> None:
        self.x, self.count, self.context = x, count, context
        self.known: dict[int, Series | None] = {}

    def of(self, node: Node, depth: int = DEEPEST) -> Series | None:
        """The series of a node that is a function of x alone, else None."""
        if node.serial not in self.known:
            self.known[node.serial] = self._found(node, depth)
        return self.known[node.serial]

    def number(self, value: Number) -> Series:
        return Series(0, [Fraction(value), *[Fraction(0)] * (self.count - 1)], inf)

    def _found(self, node: Node, depth: int) -> Series | None:
        written = _written(node, self.context)
        if written is not None and depth:
            return self.of(written[1], depth - 1)
        if node is self.x:
            one = self.number(1)
            return Series(1, one.coefficients, inf)
        value = self.context.number(node)
        if value is not None:
            return self.number(value) if value and is_short(value) else None
        if depth == 0 or len(node.args) > LONGEST:
            return None
        if node.op == "broadcast" and not node.args[0].shape:
            return self.of(node.args[0], depth - 1)
        if node.op == "pow":
            exponent = self.context.number(node.args[1])
            if exponent is None or magnitude(exponent) > SHORT:
                return None
            base = self.of(node.args[0], depth - 1)
            if base is None:
                return None
            return base.power(Fraction(exponent), self._zeros(node.args[0], base))
        if node.op == "mul":
            total = self.number(1)
            for a in node.args:
                factor = self.of(a, depth - 1)
                if factor is None:
                    return None
                total = total.times(factor)
            return total
        if node.op == "add":
            parts = [self.of(a, depth - 1) for a in node.args]
            return None if any(p is None for p in parts) else self.sum([p for p in parts if p is not None])
        return self._function(node, depth)

    def _function(self, node: Node, depth: int) -> Series | None:
        if node.op not in FUNCTIONS:
            return None
        inner = self.of(node.args[0], depth - 1)
        if inner is None or inner.lead < 1 or any(inner.coefficients[1:]):
            return None  # of c*x**n alone
        c, step = inner.coefficients[0], inner.lead
        taylor, radius, _ = FUNCTIONS[node.op]
        lead, coefficients = _scaled(taylor(self.count // step + 4), c, step, self.count)
        return (
            Series(lead, coefficients, float((radius / float(abs(c))) ** (1 / step)))
            if coefficients
            else None
        )

    def _zeros(self, base: Node, series: Series) -> float:
        """How far away the nearest zero besides the origin is."""
        if base is self.x:
            return inf
        if base.op in FUNCTIONS:
            inner = self.of(base.args[0])
            assert inner is not None
            nearest = FUNCTIONS[base.op][2] / float(abs(inner.coefficients[0]))
            return float(nearest ** (1 / inner.lead))
        c = series.coefficients  # of a sum: the bound of Cauchy
        sizes = [abs(v / c[0]) for v in c[1:] if v]
        return float(1 / (1 + max(sizes))) if sizes else inf

    def sum(self, parts: Sequence[Series]) -> Series | None:
        """The sum; None where all known coefficients are zero."""
        least = min(p.lead for p in parts)
        reach = min(p.lead + self.count for p in parts)
        total = [Fraction(0)] * (reach - least)
        for p in parts:
            for k, c in enumerate(p.coefficients):
                if p.lead + k < reach:
                    total[p.lead + k - least] += c
        lead, coefficients = _leading(total, least, self.count)
        return Series(lead, coefficients, min(p.radius for p in parts)) if coefficients else None


# -- the rule --------------------------------------------------------------------------------------------


def _value(series: Series, at: float) -> float:
    total = 0.0
    for c in reversed(series.coefficients):
        total = total * at + float(c)
    return total * at**series.lead


def _limit(total: Series, parts: Sequence[Series]) -> tuple[float, int]:
    """Up to which |x| the series stands, and how many of its coefficients."""
    best, count = 0.0, 0
    for cut in (0.0625, 0.125, 0.1875, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0):
        if cut >= total.radius:
            break
        sizes = [abs(float(c)) * cut**k for k, c in enumerate(total.coefficients)]
        whole = abs(_value(total, cut)) / cut**total.lead
        # the rest behaves like a geometric series, from the largest of the last terms on
        ratio = cut / total.radius
        tail = max(sizes[-4:]) / (1 - ratio) if ratio < 1 else inf
        if not whole or tail > EXACT * whole:
            break
        best = cut
        count = next(k for k in range(len(sizes), 0, -1) if sizes[k - 1] > EXACT * whole / 4)
        if max(abs(_value(p, cut)) for p in parts) <= LOST * abs(_value(total, cut)):
            break
    return best, count


def _inner(base: Node, context: Context) -> Node | None:
    """The x of a function of c*x**n."""
    if base.op not in FUNCTIONS:
        return None
    _, factors = context.split(base.args[0])
    inner = factors[0] if len(factors) == 1 else None
    if inner is not None and inner.op == "pow" and context.number(inner.args[1]) is not None:
        inner = inner.args[0]
    return None if inner is None or inner.op == "constant" else inner


def _written(node: Node, context: Context) -> tuple[Node, Node, int, Node] | None:
    """The x and the sum that a node has been written for, and its series as a power of x and a polynomial.
    Inside another sum, as in the slope of (exp(x) - 1 - x)/x**2, it is that sum."""
    found: tuple[Node, Node, int, Node] | None = context.memo.get(("written as a series", node.serial))
    return found


def _candidates(node: Node, context: Context) -> list[Node]:
    """The values of which one term is a function, and which another one holds."""
    values: dict[int, Node] = {}
    held: dict[int, int] = {}
    for term in node.args:
        own: set[int] = set()
        todo = [(term, DEEPEST)]
        while todo:
            part, depth = todo.pop()
            own.add(part.serial)
            written = _written(part, context)
            x = _inner(part, context) if written is None else written[0]
            if x is not None:
                values[x.serial] = x
                own.add(x.serial)
            elif depth and part.op in _OPENED and len(part.args) <= LONGEST:
                todo.extend((a, depth - 1) for a in part.args)
        for serial in own:
            held[serial] = held.get(serial, 0) + 1
    return [x for serial, x in values.items() if held.get(serial, 0) > 1]


def _may_cancel(node: Node, context: Context) -> bool:
    """False where no two terms differ by functions of one value alone: a look at their factors says so."""
    terms = [read(a, context).powers for a in node.args]
    for k, one in enumerate(terms):
        for other in terms[:k]:
            if _differ_in_one(one, other, context):
                return True
    return False


def _differ_in_one(
    one: dict[int, tuple[Node, Number]], other: dict[int, tuple[Node, Number]], context: Context
) -> bool:
    """True where the factors that two terms do not share can be functions of one value, made before them."""
    value, lowest = -1, -1
    for mine, theirs in ((one, other), (other, one)):
        for serial, power in mine.items():
            if theirs.get(serial) == power:
                continue
            base, exponent = power
            here = _value_in(base, context) if exponent else -1
            if here >= 0 and here != value:
                if value >= 0:
                    return False
                value = here
            if lowest < 0 or base.serial < lowest:
                lowest = base.serial
    return value <= lowest


def _value_in(node: Node, context: Context, depth: int = 3) -> int:
    """The serial number of the only value of which a node can be a function alone; -1 where a look does not
    say.
    """
    key = ("value in", node.serial)
    found: int | None = context.memo.get(key)
    if found is None:
        written = _written(node, context)
        if written is not None:
            found = written[0].serial
        elif node.op in FUNCTIONS:
            x = _inner(node, context)
            found = -1 if x is None else x.serial
        elif node.op not in _OPENED:
            found = node.serial
        elif depth == 0 or len(node.args) > LONGEST:
            return -1
        else:
            inside = [a for a in node.args if context.number(a) is None]
            values = {_value_in(a, context, depth - 1) for a in inside} - {-1}
            found = node.serial if len(values) > 1 else -1  # of several values: of itself
        context.memo[key] = found
    return found


def _split(
    term: Node, expansion: _Expansion, context: Context
) -> tuple[frozenset[tuple[int, Number]], Series] | None:
    """A term as the factors that are no functions of x, and the series of the others."""
    factors = read(term, context)
    if factors.clashes or not is_short(factors.number):
        return None
    rest, total = [], expansion.number(factors.number)
    for serial, (base, exponent) in factors.powers.items():
        if not exponent:
            continue
        powered = base if exponent == 1 else context.table.pow(base, context.constant(exponent))
        series = expansion.of(powered)
        if series is None:
            rest.append((serial, exponent))
        else:
            total = total.times(series)
    return frozenset(rest), total


def sum_as_series(node: Node, sweep: Sweep) -> Node | None:
    """A sum whose terms cancel at zero: its power series close to zero, itself elsewhere; or None."""
    context, table = sweep.context, sweep.table
    if not 2 <= len(node.args) <= LONGEST or not _may_cancel(node, context):
        return None
    for x in _candidates(node, context):
        short = _Expansion(x, SHORT, context)
        groups: dict[frozenset[tuple[int, Number]], list[int]] = {}
        for k, term in enumerate(node.args):
            parts = _split(term, short, context)
            if parts is not None:
                groups.setdefault(parts[0], []).append(k)
        for places in groups.values():
            if len(places) < 2:
                continue
            made = _as_series(node, places, x, context)
            if made is None:
                continue
            sweep.fire("series of a sum that cancels at zero")
            kept = [a for k, a in enumerate(node.args) if k not in places]
            return table.broadcast(table.add(made, *kept), node.shape)
    return None


def _cancels(parts: Sequence[Series], total: Series | None) -> bool:
    return total is not None and total.lead > min(p.lead for p in parts)


def _as_series(node: Node, places: Sequence[int], x: Node, context: Context) -> Node | None:
    for count in (SHORT, LONG):
        expansion = _Expansion(x, count, context)
        split = [_split(node.args[k], expansion, context) for k in places]
        parts = [r[1] for r in split if r is not None]
        total = expansion.sum(parts)
        if total is None or not _cancels(parts, total):
            return None
    assert total is not None
    cut, count = _limit(total, parts)
    if not cut:
        return None
    t = context.table
    factors = read(node.args[places[0]], context)
    others = [
        base if e == 1 else t.pow(base, context.constant(e))
        for base, e in factors.powers.values()
        if e and expansion.of(base if e == 1 else t.pow(base, context.constant(e))) is None
    ]
    polynomial = _horner(total, count, x, context)
    near = polynomial if total.lead == 0 else t.mul(t.pow(x, total.lead), polynomial)
    made = t.select(
        t.make("less", (t.make("abs", (x,)), context.constant(Fraction(cut)))),
        t.mul(*others, near),
        _direct([node.args[k] for k in places], context),
    )
    if not others:
        origin = t.add(*[node.args[k] for k in places])
        context.memo["written as a series", made.serial] = x, origin, total.lead, polynomial
    return made


def series_over_power(node: Node, sweep: Sweep) -> Node | None:
    """`(exp(x) - 1 - x)*x**-2`: the power meets that of the series, and neither underflows alone."""
    context, t = sweep.context, sweep.table
    if len(node.args) > LONGEST:
        return None
    powers = read(node, context).powers
    for base, exponent in powers.values():
        written = _written(base, context) if exponent == 1 else None
        if written is None:
            continue
        x, origin, lead, polynomial = written
        _, e = powers.get(x.serial, (x, 0))
        if not isinstance(e, int) or e >= 0 or lead + e < 0:
            continue
        factors = Factors(node, context)
        factors.change(base, -1)
        factors.change(x, -e)
        near = polynomial if lead + e == 0 else t.mul(t.pow(x, lead + e), polynomial)
        power = t.pow(x, e)
        made = t.select(base.args[0], t.broadcast(near, base.shape), t.mul(base.args[2], power), base.shape)
        context.memo["written as a series", made.serial] = x, t.mul(origin, power), lead + e, polynomial
        sweep.fire("power of a series")
        return t.broadcast(t.mul(factors.built(), made), node.shape)
    return None


def _horner(series: Series, count: int, x: Node, context: Context) -> Node:
    """c0 + u*(c1 + ...), u = x or a power of it: what x**lead is multiplied with."""
    t = context.table
    kept = {k: c for k, c in enumerate(series.coefficients[:count]) if c}
    step = 2 if all(k % 2 == 0 for k in kept) else 1
    u = x if step == 1 else t.pow(x, step)
    total: Node | None = None
    for k in range(max(kept), -1, -step):
        c = context.constant(_rounded(kept.get(k, Fraction(0))))
        total = c if total is None else t.add(c, t.mul(u, total))
    assert total is not None
    return total


def _rounded(value: Fraction) -> Number:
    """A short fraction stays as it is, a long one is rounded to three times the digits of a double."""
    if value.denominator == 1:
        return value.numerator
    if value.denominator.bit_length() <= 160:
        return value
    shift = 160 + value.denominator.bit_length() - value.numerator.bit_length()
    return Fraction(round(value * 2**shift), 2**shift)


def _direct(terms: Sequence[Node], context: Context) -> Node:
    """The sum as it is, as a chain of differences: no rule looks at these again."""
    t = context.table
    signed = sorted(terms, key=lambda a: context.split(a)[0] < 0)
    total = signed[0]
    for term in signed[1:]:
        total = t.make("sub", (total, context.negate(term)))
    return total
