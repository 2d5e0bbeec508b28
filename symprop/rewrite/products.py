"""Products whose factors cancel or overflow against each other: exponentials, their quotients, signs.

A product is read as base -> exponent. Each rule of `PRODUCTS` looks at the bases and changes exponents; what
is left is written as a product again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symprop.graph import Node
from symprop.rewrite.context import Context, Number, Sweep
from symprop.rewrite.decaying import DECAYING, may_grow, powers_beside_decay
from symprop.rewrite.double_exponentials import beside_double_exponential
from symprop.rewrite.gamma_ratios import ratio_of_gammas
from symprop.rewrite.normal_products import density_over_distribution, scaled_tail
from symprop.rewrite.positive import is_positive
from symprop.rewrite.reading import Factors, Reading, read
from symprop.rewrite.rules.exponentials import has_weights
from symprop.rewrite.rules.logarithms import exponential_over_its_gap, sigmoid_over_softplus
from symprop.rewrite.sigmoid_products import (
    odds,
    partners,
    quotient_of_sigmoid,
    slope_of_sigmoid,
)
from symprop.rewrite.tail_differences import slope_over_difference
from symprop.rewrite.weights import weights, weights_in_a_sum

__all__ = ["LOOKED_AT", "PRODUCTS", "ProductRule", "cancelled", "distributed", "normalised"]
__all__ += ["finished", "shared_products"]

LONGEST = 32  # factors or terms that are looked at


@dataclass(frozen=True)
class ProductRule:
    """`before --> after` of factors of one product; `apply` changes the factors and says whether it did."""

    name: str
    before: str
    after: str
    why: str
    apply: Callable[[Factors], bool]
    needs: frozenset[str]
    one_of: frozenset[str] = frozenset()
    at_the_end: bool = False  # when all other rules are done, which it would keep from meeting like factors

    def __str__(self) -> str:
        return f"{self.before} --> {self.after}"

    def fits(self, present: set[str]) -> bool:
        """True where the factors have the operations that the rule knows."""
        return self.needs <= present and not (self.one_of and self.one_of.isdisjoint(present))


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
        "powers beside a decay",
        "x**2*exp(-c*x**2)",
        "z**2*exp(-c*x**2), z = x up to where that is 0; polynomials, and beside exp(-c*x), sigmoid(-c*x), "
        "tanh_prime(c*x), erfc(c*x), expm1(c*x)**-1 and their kin, c a positive number",
        "infinity times zero from 1e154 on",
        powers_beside_decay,
        frozenset(),
        DECAYING,
        at_the_end=True,
    ),
    ProductRule(
        "ratio of gammas",
        "gamma(x + y)*gamma(x)**-1, gamma(x)*gamma(y)*gamma(x + y)**-1",
        "gamma(y)*beta(x, y)**-1, beta(x, y), x*(x + 1)*... for a whole y",
        "infinity over infinity from 171 on",
        ratio_of_gammas,
        frozenset({"gamma"}),
    ),
)


_AT_THE_END = tuple(rule for rule in PRODUCTS if rule.at_the_end)
_RULES = tuple(rule for rule in PRODUCTS if not rule.at_the_end)
_BY_BASES = tuple(rule for rule in _RULES if rule.needs)
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
    reading = read(node, sweep.context)
    return _beside_clashes(node, reading, sweep) if reading.clashes else _normalised(node, reading, sweep)


def _beside_clashes(node: Node, reading: Reading, sweep: Sweep) -> Node | None:
    """The factors without `x*x**-1`, which stays: the slope of `log(1 + exp(s*x))/s` has it."""
    table, kept, rest = sweep.table, list[Node](), list[Node]()
    todo = [node]
    while todo and len(kept) + len(rest) + len(todo) <= LONGEST:
        factor = todo.pop()
        inner = factor.args[0] if factor.op == "broadcast" and not factor.args[0].shape else factor
        base = inner.args[0] if inner.op == "pow" and inner.args[1].op == "constant" else inner
        if inner.op == "mul":
            todo.extend(reversed(inner.args))
        else:
            (kept if base.serial in reading.clashing else rest).append(inner)
    if todo or not kept or len(rest) < 2:
        return None
    product = table.mul(*rest)
    made = _normalised(product, read(product, sweep.context), sweep)
    return None if made is None else table.broadcast(table.mul(*kept, made), node.shape)


def _normalised(node: Node, reading: Reading, sweep: Sweep) -> Node | None:
    if reading.clashes or not (reading.cancelled or any(r.fits(reading.operations) for r in _BY_BASES)):
        return None
    factors = Factors(node, sweep.context, reading)
    if "exp" in reading.operations:
        _slopes_apart(factors, None)
    present = {base.op for base, _ in factors.powers.values()}
    for rule in _RULES:
        if rule.fits(present) and rule.apply(factors):
            sweep.fire(rule.name)
            return sweep.table.broadcast(factors.built(), node.shape)
    return None


def finished(node: Node, sweep: Sweep) -> Node | None:
    """The product after the rules that come when all others are done, or None where none applies."""
    if len(node.args) > LONGEST:
        return None
    closed = shared_products(node, sweep)
    readings = [Reading(node, sweep.context, closed)] if closed else []
    for reading in (*readings, read(node, sweep.context)):
        for rule in _AT_THE_END if may_grow(reading) and not reading.clashes else ():
            factors = Factors(node, sweep.context, reading)
            if rule.fits(reading.operations) and rule.apply(factors):
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


def _placed_below(reading: Reading, context: Context) -> list[tuple[Node, list[tuple[Node, Number]]]]:
    """The same of a static entry: each p[k] below the line in an array that has a value in place k alone."""
    found = []
    for placed, e in reading.powers.values() if "place" in reading.operations else ():
        if placed.op != "place" or e != 1 or len(placed.args) > LONGEST:
            continue
        for value, position in zip(placed.args, placed.attrs[1], strict=True):  # type: ignore[call-overload]
            inner = read(value, context)
            for serial in inner.divisors:
                entry = inner.powers[serial][0]
                if entry.op == "index" and entry.attrs[0] == position and is_positive(entry, context):
                    whole = read(entry.args[0], context)
                    if whole.number == 1:
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
            for _, whole in (*_entries_below(term, context), *_placed_below(term, context)):
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
    """A sum of exponentials below the line of which every term has one: each over the sum is a weight. A term
    that has the sum itself loses it."""
    for base, e in (*factors.of("add"), *factors.of("sum")):
        if not isinstance(e, int) or e >= 0:
            continue
        if not (has_weights(base, context) if base.op == "add" else base.args[0].op == "exp"):
            continue
        if all(
            _has(t, base) or any(_is_part(b, base, context) for b, o in t.powers.values() if _above(b, o))
            for t in terms
        ):
            return [(base, -1)]
    return []


def _has(term: Reading, base: Node) -> bool:
    """True for a term with that factor above the line."""
    return base.serial in term.powers and term.powers[base.serial][1] > 0


def _is_part(power: Node, total: Node, context: Context) -> bool:
    """True for an exponential of a sum of scalars, and for that of the array of which the sum is one."""
    return power is total.args[0] if total.op == "sum" else _is_among(power, total, context)


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
