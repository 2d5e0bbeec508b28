"""Products whose factors cancel or overflow against each other: exponentials, their quotients, signs.

A product is read as base -> exponent. Each rule of `PRODUCTS` looks at the bases and changes exponents; what
is left is written as a product again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.double_exponentials import beside_double_exponential
from symprop.rewrite.gamma_ratios import ratio_of_gammas
from symprop.rewrite.normal_products import density_over_distribution, scaled_tail
from symprop.rewrite.positive import is_positive
from symprop.rewrite.rules.exponentials import has_weights
from symprop.rewrite.rules.logarithms import exponential_over_its_gap, sigmoid_over_softplus
from symprop.rewrite.sigmoid_products import (
    even_argument,
    odds,
    partners,
    quotient_of_sigmoid,
    slope_of_sigmoid,
)
from symprop.rewrite.tail_differences import slope_over_difference
from symprop.rewrite.weights import weights, weights_in_a_sum

__all__ = ["LOOKED_AT", "PRODUCTS", "Factors", "ProductRule", "Reading"]
__all__ += ["cancelled", "distributed", "even_argument", "normalised", "read", "shared_products"]

LONGEST = 32
_WEIGHTS = frozenset({"constant", "exp", "pow", "normal_cdf", "erfc", "broadcast", "sigmoid"})
_NO_NODES = frozenset[int]()


class Reading:
    """A product as it is read, once for each node: a number, and base -> exponent in the order in which they
    were met, with the operations of the bases and the serial numbers of those below the line. Products among
    the factors are opened but for those in `closed`.
    """

    __slots__ = ("cancelled", "clashes", "divisors", "number", "operations", "powers", "vanished")

    def __init__(self, node: Node, context: Context, closed: frozenset[int] = _NO_NODES) -> None:
        self.number: Number = 1
        self.powers: dict[int, tuple[Node, Number]] = {}
        self.cancelled = False
        self.clashes = False  # x**2 * x**-1 of an x that may be zero: left as it is
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
                    if whole or (base.op == "mul" and isinstance(power, int) and _is_weight(base, context)):
                        todo.append((base, power * exponent))
                        continue
                    factor, exponent = base, power * exponent
            before = powers.get(factor.serial)
            if before is not None:
                if before[1] * exponent < 0:
                    if is_positive(factor, context):
                        self.cancelled = True
                    else:
                        self.clashes = True
                exponent += before[1]
                self.vanished = self.vanished or not exponent
            powers[factor.serial] = factor, exponent
        self.operations = {base.op for base, _ in powers.values()}
        self.divisors: tuple[int, ...] = ()
        if divided:
            self.divisors = tuple([s for s, (_, e) in powers.items() if e < 0])


def _exponent(base: Node, context: Context) -> Number | None:
    return context.number(base.args[1]) if base.op == "pow" else None


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


@dataclass(frozen=True)
class ProductRule:
    """`before --> after` of factors of one product; `apply` changes the factors and says whether it did."""

    name: str
    before: str
    after: str
    why: str
    apply: Callable[[Factors], bool]
    needs: frozenset[str]

    def __str__(self) -> str:
        return f"{self.before} --> {self.after}"


def _positive_cancels(f: Factors) -> bool:
    return f.cancelled


def _signs(f: Factors) -> bool:
    """x*sign(x) is |x|, |x|*sign(x) is x."""
    done = False
    for sign, e in f.of("sign"):
        x = sign.args[0]
        size = f.table.make("abs", (x,))
        if e == 1 and f.exponent(size) >= 1:  # below one x*|x|**(p - 1) is NaN at zero
            f.change(size, -1)
            f.change(x, 1)
            f.change(sign, -1)
            done = True
        elif isinstance(e, int) and e >= 1 and isinstance(f.exponent(x), int) and f.exponent(x) > 0:
            if e == 1:
                f.change(x, -1)
                f.change(size, 1)
                f.change(sign, -1)
            else:  # sign(x)**2 is 1 where x is not zero
                f.change(sign, -2)
            done = True
    return done


def _slope_from_cosh(f: Factors) -> bool:
    done = False
    for c, e in f.of("cosh"):
        if isinstance(e, int) and e <= -2:
            f.change(c, -e // 2 * 2)
            f.change(f.table.make("tanh_prime", c.args), -e // 2)
            done = True
    return done


def _quotient_of_exponentials(f: Factors) -> bool:
    """exp(x)**-1 is exp(-x), and exp(x) exp(-y) is exp(x - y) where no third exponential is there; so is
    exp(-x) exp(-exp(-x)), of which the second factor vanishes where the first one overflows."""
    found = f.of("exp")
    for b, e in found:
        if e == -1:
            f.change(b, 1)
            f.change(f.make("exp", f.context.negate(b.args[0])), 1)
            return True
    if len(found) != 2 or any(e != 1 for _, e in found):
        return False
    (a, _), (b, _) = found
    x, y = a.args[0], b.args[0]
    one_sign = _is_negative(x, f.context) == _is_negative(y, f.context)
    if one_sign and not (_is_exponential(x, f.context) or _is_exponential(y, f.context)):
        return False
    f.change(a, -1)
    f.change(b, -1)
    f.change(f.make("exp", f.table.add(x, y)), 1)
    return True


def _is_exponential(x: Node, context: Context) -> bool:
    """True for a multiple of an exponential."""
    return any(f.op == "exp" for f in context.split(x)[1])


def _is_negative(x: Node, context: Context) -> bool:
    """True for a product with a negative number in front."""
    return context.split(x)[0] < 0


def _side_over_root(f: Factors) -> bool:
    """x*r**-1, r = root_of_squares(x, ...), as one quotient, where another power of r or factor is there."""
    for r, e in f.of("root_of_squares"):
        if not isinstance(e, int) or e >= 0:
            continue
        for side in r.args:
            o = f.exponent(side)
            if isinstance(o, int) and o > 0 and side.op != "constant":
                count = min(-e, o)
                ratio = f.table.make("div", (side, r))
                f.change(side, -count)
                f.change(r, count)
                f.change(ratio, count)
                return True
    return False


PRODUCTS: tuple[ProductRule, ...] = (
    ProductRule(
        "density over distribution",
        "exp(-x**2/2)*normal_cdf(x)**-1",
        "sqrt(2*pi)/M(-x) for negative x, M the Mills ratio",
        "zero over zero below -38",
        density_over_distribution,
        frozenset({"normal_cdf", "exp"}),
    ),
    ProductRule(
        "density over erfc",
        "exp(-x**2)*erfc(x)**-1",
        "sqrt(pi/2)/M(sqrt(2)*x) for positive x, M the Mills ratio",
        "zero over zero from 27 on",
        density_over_distribution,
        frozenset({"erfc", "exp"}),
    ),
    ProductRule(
        "scaled erfc",
        "exp(x**2)*erfc(x)",
        "sqrt(2/pi)*M(sqrt(2)*x) for positive x, M the Mills ratio",
        "infinity times zero from 27 on",
        scaled_tail,
        frozenset({"erfc", "exp"}),
    ),
    ProductRule(
        "weights in a sum",
        "(c*exp(x)*exp(y) + ...)*s**-2",
        "(c*exp(x - m)*exp(y - m) + ...)*(exp(a - m) + ...)**-2, s = exp(a) + ..., x, y of a, ..., "
        "m = max(a, ...)",
        "infinity over infinity for x above 710, zero over zero below -745",
        weights_in_a_sum,
        frozenset({"add"}),
    ),
    ProductRule(
        "weights among exponentials",
        "exp(x)*s**-1",
        "exp(x - m)*(exp(a - m) + ...)**-1, s = exp(a) + ..., x one of a, ..., m = max(a, ...)",
        "infinity over infinity for x above 710",
        weights,
        frozenset({"exp", "add"}),
    ),
    ProductRule(
        "positive factors cancel",
        "p*p**-1",
        "1, p positive",
        "zero over zero where p underflows",
        _positive_cancels,
        frozenset(),
    ),
    ProductRule(
        "size and sign",
        "x*sign(x)",
        "abs(x)",
        "one operation; terms with abs(x) cancel then",
        _signs,
        frozenset({"sign"}),
    ),
    ProductRule(
        "slope over a difference of sigmoids",
        "sigmoid_prime(a)*(sigmoid(a) - sigmoid(b))**-1",
        "sigmoid(abs(a))/(sigmoid(abs(b))*(1 - exp(b - a)))*where(b > 0, exp(b - a), exp(-max(a, 0))) for "
        "a > b, also of b, of tanh, and in a sum",
        "zero over zero where both are beyond 745 on one side",
        slope_over_difference,
        frozenset({"mul"}),
    ),
    ProductRule(
        "sigmoid from its quotient",
        "exp(x)*sigmoid(-x)",
        "sigmoid(x)",
        "infinity times zero for large x",
        quotient_of_sigmoid,
        frozenset({"exp", "sigmoid"}),
    ),
    ProductRule(
        "sigmoid over softplus",
        "sigmoid(x)*softplus(x)**-1",
        "sigmoid(max(x, -40))*softplus(max(x, -40))**-1",
        "zero over zero below -745, where the quotient is 1",
        sigmoid_over_softplus,
        frozenset({"sigmoid", "softplus"}),
    ),
    ProductRule(
        "slope of sigmoid",
        "sigmoid(x)*sigmoid(-x)",
        "sigmoid_prime(x)",
        "one exponential instead of two",
        slope_of_sigmoid,
        frozenset({"sigmoid"}),
    ),
    ProductRule(
        "odds",
        "sigmoid(x)*sigmoid(-x)**-1",
        "exp(x)",
        "the logarithm of the quotient is x",
        odds,
        frozenset({"sigmoid"}),
    ),
    ProductRule(
        "exponential over its gap",
        "exp(x)*expm1(exp(x))**-1",
        "exp(z)*expm1(exp(z))**-1, z = max(min(x, 40), -40)",
        "zero over zero below -745, where the quotient is 1, infinity over infinity from 710 on",
        exponential_over_its_gap,
        frozenset({"exp", "expm1"}),
    ),
    ProductRule(
        "slope of tanh from cosh",
        "cosh(x)**-2",
        "tanh_prime(x)",
        "the square overflows at 355",
        _slope_from_cosh,
        frozenset({"cosh"}),
    ),
    ProductRule(
        "side over root",
        "x*root_of_squares(x, ...)**-1",
        "x/root_of_squares(x, ...), one quotient",
        "the product with other factors overflows at 1e154",
        _side_over_root,
        frozenset({"root_of_squares"}),
    ),
    ProductRule(
        "quotient of exponentials",
        "exp(x)*exp(y)**-1",
        "exp(x - y)",
        "infinity over infinity for x and y above 710, zero over zero below -745",
        _quotient_of_exponentials,
        frozenset({"exp"}),
    ),
    ProductRule(
        "beside a double exponential",
        "exp(k*u)*exp(y - c*exp(u))",
        "exp(min(k*u, 40))*exp(y - c*exp(u)), k up to 2, exp(k*u) also in a sum or less one, c > 0",
        "infinity times zero for u above 710",
        beside_double_exponential,
        frozenset({"exp"}),
    ),
    ProductRule(
        "ratio of gammas",
        "gamma(x + r)*gamma(x)**-1",
        "x*(x + 1)*... for whole r, w**r*exp(c/w**2 + ...) with w = x + (r - 1)/2 above 8 for others",
        "infinity over infinity from 171 on",
        ratio_of_gammas,
        frozenset({"gamma"}),
    ),
)


_BY_BASES = tuple(rule for rule in PRODUCTS if rule.needs)
_PAIRED = frozenset({"exp", "sigmoid"})
LOOKED_AT = frozenset(
    {"normal_cdf", "erfc", "exp", "expm1", "sigmoid", "sign", "sinh", "cosh", "root_of_squares", "gamma"}
)


def _is_looked_at(node: Node) -> bool:
    """True where a factor is one that a rule knows, or may cancel: most products are of other things."""
    below = False
    for factor in node.args:
        for inner in factor.args if factor.op == "mul" else (factor,):
            if inner.op == "pow":
                below = below or inner.args[1].op == "constant"
                inner = inner.args[0]
            if inner.op in LOOKED_AT:
                return True
    return below


def shared_products(node: Node, sweep: Sweep) -> frozenset[int]:
    """The products among the factors that others use as well."""
    return frozenset([a.serial for a in node.args if a.op == "mul" and not sweep.single(a)])


def normalised(node: Node, sweep: Sweep) -> Node | None:
    """The product (or power) after the rules of `PRODUCTS`, or None where none applies.

    A product among the factors that has other uses, as the upstream adjoint has, stays whole where a rule
    applies to the others: opened, it would be computed again.
    """
    if len(node.args) > LONGEST or not _is_looked_at(node):
        return None
    closed = shared_products(node, sweep)
    if closed:
        result = _normalised(node, Reading(node, sweep.context, closed), sweep)
        if result is not None:
            return result
    return _normalised(node, read(node, sweep.context), sweep)


def _normalised(node: Node, reading: Reading, sweep: Sweep) -> Node | None:
    if reading.clashes or not (reading.cancelled or any(r.needs <= reading.operations for r in _BY_BASES)):
        return None
    factors = Factors(node, sweep.context, reading)
    if "exp" in reading.operations:
        _slopes_apart(factors, None)
    present = {base.op for base, _ in factors.powers.values()}
    for rule in PRODUCTS:
        if rule.needs <= present and rule.apply(factors):
            sweep.fire(rule.name)
            return sweep.table.broadcast(factors.built(), node.shape)
    return None


def cancelled(node: Node, sweep: Sweep) -> Node | None:
    """The product without the positive values that meet their inverse, or None: `p*p**-1`, and
    `one_hot(y)*p*p[y]**-1`."""
    if len(node.args) > LONGEST:
        return None
    reading = read(node, sweep.context)
    entries = _entries_below(reading, sweep.context)
    if reading.clashes or not (reading.cancelled or entries):
        return None
    factors = Factors(node, sweep.context, reading)
    met = reading.cancelled
    for entry, whole in entries:
        if all(factors.exponent(base) >= e for base, e in whole):
            met = True
            factors.change(entry, 1)
            for base, e in whole:
                factors.change(base, -e)
    if not met:
        return None
    sweep.fire("positive factors cancel")
    return sweep.table.broadcast(factors.built(), node.shape)


def _entries_below(reading: Reading, context: Context) -> list[tuple[Node, list[tuple[Node, Number]]]]:
    """Each p[y] below the line of a product with one_hot(y), and the factors of p."""
    if "one_hot" not in reading.operations:
        return []
    found = []
    hot = {b.args[0].serial for b, _ in reading.powers.values() if b.op == "one_hot"}
    for serial in reading.divisors:
        entry = reading.powers[serial][0]
        if entry.op == "take" and len(entry.args) == 2 and entry.args[1].serial in hot:
            whole = read(entry.args[0], context)
            if whole.number == 1 and is_positive(entry.args[0], context):
                found.append((entry, list(whole.powers.values())))
    return found


def distributed(node: Node, sweep: Sweep) -> Node | None:
    """`p*(a*p**-1 + b) --> a + b*p` for a positive p: where p underflows, its inverse is infinite."""
    context, table = sweep.context, sweep.table
    if len(node.args) > LONGEST:
        return None
    reading = read(node, context)
    paired = not reading.operations.isdisjoint(_PAIRED)
    factors: Factors | None = None
    for total, exponent in reading.powers.values():
        if total.op != "add" or exponent != 1 or len(total.args) > LONGEST:
            continue
        terms = [read(term, context) for term in total.args]
        below = {serial for term in terms for serial in term.divisors}
        weighed = reading.divisors and any("exp" in term.operations for term in terms)
        if not below and not paired and not weighed:
            continue
        if factors is None:
            factors = Factors(node, context)
        _slopes_apart(factors, below)
        inside = [
            (base, e)
            for base, e in factors.powers.values()
            if base.serial in below and e > 0 and is_positive(base, context)
        ]
        for term in terms if not inside else ():
            for _, whole in _entries_below(term, context):
                if not inside and all(factors.exponent(b) >= e for b, e in whole):
                    inside = whole
        inside += [(b, e) for b, e in factors.of("exp") if e > 0 and _meets(b, "sigmoid", total, context)]
        inside += [(b, e) for b, e in factors.of("sigmoid") if e > 0 and _meets(b, "exp", total, context)]
        inside += [(b, e) for b, e in factors.of("exp") if e > 0 and _weighs(b, total, context)]
        if not inside and weighed:
            inside = _shared_divisor(factors, terms, context)
        if not inside:
            continue
        sweep.fire("divisors taken into a sum")
        front = [table.pow(base, context.constant(e)) for base, e in inside]
        for base, e in inside:
            factors.change(base, -e)
        factors.change(total, -1)
        return table.mul(factors.built(), table.add(*[table.mul(*front, a) for a in total.args]))
    return None


def _weighs(power: Node, total: Node, context: Context) -> bool:
    """True where every term of the sum is divided by a sum of exponentials of which this is one."""
    for term in total.args:
        reading = read(term, context)
        sums = [b for b, e in reading.powers.values() if b.op == "add" and e < 0]
        if not any(_is_among(power, b, context) and has_weights(b, context) for b in sums):
            return False
    return True


def _is_among(power: Node, total: Node, context: Context) -> bool:
    """True for an exponential of the sum, with a factor or without."""
    return any(power.serial in read(a, context).powers for a in total.args)


def _above(base: Node, exponent: Number) -> bool:
    """True for an exponential above the line."""
    return base.op == "exp" and isinstance(exponent, int) and exponent > 0


def _shared_divisor(factors: Factors, terms: list[Reading], context: Context) -> list[tuple[Node, Number]]:
    """A sum of exponentials below the line of which every term has one: each over the sum is a weight."""
    for base, e in factors.of("add"):
        if not isinstance(e, int) or e >= 0 or not has_weights(base, context):
            continue
        if all(any(_is_among(b, base, context) for b, o in t.powers.values() if _above(b, o)) for t in terms):
            return [(base, -1)]
    return []


def _meets(factor: Node, op: str, total: Node, context: Context) -> bool:
    """True where every term of the sum has a sigmoid(-x) for exp(k*x), or the other way around."""
    for term in total.args:
        factors = Factors(term, context)
        if not factors.of(op) and not (op == "sigmoid" and factors.of("sigmoid_prime")):
            return False
        _slopes_apart(factors, None)
        factors.change(factor, 1)
        if not any(factor in (power, s) for power, s, _ in partners(factors)):
            return False
    return True


def _slopes_apart(factors: Factors, below: set[int] | None) -> None:
    """sigmoid_prime(x) as sigmoid(x)*sigmoid(-x), where the sum is divided by one of them (None: always)."""
    for slope, e in factors.of("sigmoid_prime"):
        x = slope.args[0]
        parts = [factors.make("sigmoid", x), factors.make("sigmoid", factors.context.negate(x))]
        if below is None or any(p.serial in below for p in parts):
            factors.change(slope, -e)
            for p in parts:
                factors.change(p, e)
