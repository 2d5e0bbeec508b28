"""Arguments of exponentials and their kin, unrounded: the rounding of an exponent is worth as many units in
the last place of the result as the exponent is large.

`exp(a*b)` and `exp(a - b)` are forms of their own. Elsewhere an argument that is a short formula of inputs
and numbers, `sigmoid(3*x + 2)`, `exp((x - m)/s)`, comes with what each of its operations lost when it was
rounded, added up to a second operand: one fused multiply-add for a product, six additions for a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import sympy as sp

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, NodeRule, Sweep, simplest
from symprop.rewrite.exponential_pairs import gap_of_entries, gap_of_two, sum_of_entries, sum_or_minimum

__all__ = ["exact_arguments", "pair_of"]

MOST = 5  # operations of an argument that are taken apart
MORE = 3  # and of a phase or a difference besides
LONGEST = 3  # terms of a sum (in an exponential, two elsewhere), factors of a product besides numbers
HIGHEST = 3  # exponent of a power
DEEPEST = 2  # sums in each other of a phase
_INEXACT = frozenset(
    {"mul", "pow", "constant", "exp", "exp_near"}
)  # terms of which the rounding would remain
_VIEWS = frozenset({"index", "take", "slice", "reshape", "transpose", "broadcast"})
_EXTREMES = frozenset({"reduce_max", "maximum", "minimum"})
# functions that lose more than a few units by the rounding of their argument; tanh for the sake of its slope
_NEAR = ("sigmoid", "softplus", "sigmoid_prime", "tanh_prime", "sinh", "cosh", "expm1", "normal_cdf", "erfc")


def exact_arguments(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`exp(a*b) --> exp_product(a, b)`, `exp(a - b) --> exp_sum(a, -b)`, `sigmoid(3*x) --> sigmoid_near(p,
    r)`, p = 3*x rounded and r what it lost, and likewise for softplus, the slopes of sigmoid and tanh, sinh,
    cosh, expm1, erfc and the normal distribution: the rounding of the exponent would be worth as many units
    in the last place of the result as the exponent is large. Of two exponentials less the larger exponent
    one is left."""
    if context.accuracy == "as_written":
        return list(roots)
    rules: dict[str, NodeRule] = {"exp": _exact_exponent, "add": sum_or_minimum, "minimum": sum_or_minimum}
    rules["sum"] = sum_of_entries
    if context.accuracy == "precise":
        _, present = context.order(roots)
        rules.update(dict.fromkeys(_NEAR, _exact_argument))
        if "tanh_prime" in present:
            rules["tanh"] = _exact_argument
    return Sweep(context, roots, rules).run()


def _exact_exponent(node: Node, sweep: Sweep) -> Node | None:
    (x,) = node.args
    made = None
    if x.op == "add" and len(x.args) == 2:
        made = gap_of_two(x, node, sweep) or gap_of_entries(x, node, sweep)
        made = made or _exponent_of_sum(x, node, sweep)
    elif x.op == "mul" or x.op == "pow":
        made = _exponent_of_product(x, node, sweep)
    return made if made is not None or sweep.context.accuracy != "precise" else _exact_argument(node, sweep)


def _exponent_of_sum(x: Node, node: Node, sweep: Sweep) -> Node | None:
    """A difference or sum of two values that are no products: of a product the rounding would remain."""
    context, table = sweep.context, sweep.table
    for term in x.args:
        coefficient, factors = context.split(term)
        if len(factors) != 1 or coefficient not in (1, -1) or factors[0].op in _INEXACT:
            return None
    sweep.fire("exponent of an exact sum")
    return table.broadcast(table.make("exp_sum", x.args), node.shape)


def _exponent_of_product(x: Node, node: Node, sweep: Sweep) -> Node | None:
    """c*a*b..., a power of two in front is exact and no product."""
    context, table = sweep.context, sweep.table
    number = sp.S.One
    factors: list[Node] = []
    todo = list(reversed(x.args)) if x.op == "mul" else [x]
    while todo:
        factor = todo.pop()
        power = context.number(factor.args[1]) if factor.op == "pow" else None
        if factor.op == "constant":
            number *= factor.attrs[0]
        elif isinstance(power, int) and 2 <= power <= HIGHEST:
            todo.extend([factor.args[0]] * power)
        elif factor.op == "mul" and len(factor.args) <= 4:
            todo.extend(reversed(factor.args))
        else:
            factors.append(factor)
    if len(factors) > 4 or not factors:
        return None
    if context.accuracy == "precise" and any(f.op in ("add", "pow") for f in factors):
        made = _exact_argument(node, sweep)  # (x - m)/s: what the factors lost counts as well
        if made is not None:
            return made
    high, extra = _rounded(number)
    if len(factors) == 1 and extra == 0 and _is_power_of_two(high):
        return None
    sweep.fire("exponent of an exact product")
    if high not in (1, -1) or len(factors) == 1:
        factors.insert(0, context.constant(high))
    elif high == -1:
        factors[0] = context.times(-1, (factors[0],))
    return table.broadcast(table.make("exp_product", (context.constant(extra), *factors)), node.shape)


def _rounded(number: sp.Expr) -> tuple[Fraction, Fraction]:
    """The double nearest to a constant, and the relative error of that."""
    high = Fraction(float(sp.N(number, 40)))
    if not high:
        return high, high
    if number.is_Rational:
        exact = Fraction(int(number.p), int(number.q))
    else:
        value = sp.N(number, 60)
        exact = Fraction(int(sp.floor(value * sp.Integer(2) ** 200)), 2**200)
    extra = exact / high - 1
    return high, Fraction(float(extra))


def _is_power_of_two(value: Fraction) -> bool:
    size = abs(value)
    return (
        size != 0
        and (size.numerator & (size.numerator - 1)) == 0
        and (size.denominator & (size.denominator - 1)) == 0
    )


# -- a value and what it lost when it was rounded --------------------------------------------------------

Pair = tuple[Node, Node | None]


class _TooLongError(Exception):
    """The argument takes more operations than are worth it."""


def _exact_argument(node: Node, sweep: Sweep) -> Node | None:
    """f(x) of an x that is a short formula of inputs and numbers: `f_near(x, what x lost)`."""
    (x,) = node.args
    context, table = sweep.context, sweep.table
    inner = x.args[0] if x.op == "broadcast" else x
    if inner.op not in ("add", "mul", "pow") or _is_shifted(inner):
        return None
    pair = pair_of(inner, context, node.op == "exp")
    if pair is None:
        return None
    sweep.fire("argument with what it lost")
    return table.broadcast(table.make(f"{node.op}_near", pair), node.shape)


def _is_shifted(x: Node) -> bool:
    """True for z - max(z): zero at the largest entry, on which logarithms of sums of exponentials build.

    With what z lost, and max(z) did not, the largest exponential would not be one.
    """
    terms = [f for term in x.args if x.op == "add" for f in (term.args if term.op == "mul" else (term,))]
    for k, term in enumerate(terms):
        while term.op in _VIEWS:
            term = term.args[0]
        terms[k] = term
    return any(term.op in _EXTREMES for term in terms)


def pair_of(
    x: Node, context: Context, any_leaf: bool = False, is_phase: bool = False
) -> tuple[Node, Node] | None:
    """The value of a short formula of inputs and numbers and what it lost, found out once for each node.

    Those of -x are minus those of x, so that functions of both share their exponential. `any_leaf` takes all
    other values for exact, `is_phase` those among the terms of a sum.
    """
    key = ("pair of any" if any_leaf else "pair of a phase" if is_phase else "pair", x.serial)
    if key not in context.memo:
        number, factors = context.split(x)
        positive = x if number > 0 else context.times(-number, factors)
        high, low = _Pairs(context, any_leaf, is_phase).of(positive) or (x, None)
        made = None if low is None else (high, low)
        if made is not None and number < 0:
            made = context.table.make("neg", made[:1]), context.table.make("neg", made[1:])
        context.memo[key] = made
    pair: tuple[Node, Node] | None = context.memo[key]
    return pair


class _Pairs:
    """Values with what they lost when they were rounded, as nodes. Inputs and numbers are exact; `any_leaf`
    takes every value as exact, `is_phase` a term of a sum beside one of inputs."""

    def __init__(self, context: Context, any_leaf: bool, is_phase: bool) -> None:
        self.context, self.table, self.any_leaf, self.is_phase = context, context.table, any_leaf, is_phase
        self.left, self.terms = MOST, LONGEST if any_leaf or is_phase else LONGEST - 1
        self.depth = 0
        if is_phase:
            self.left += MORE
        self.known: dict[int, Pair] = {}

    def of(self, x: Node) -> Pair | None:
        """The value and its rest; None where it is no short formula of exact values."""
        try:
            return self._of(x)
        except _TooLongError:
            return None

    def _of(self, x: Node) -> Pair:
        if x.serial not in self.known:
            self.known[x.serial] = self._found(x)
        return self.known[x.serial]

    def _found(self, x: Node) -> Pair:
        """The recursion is as deep as operations are taken apart."""
        if x.op == "constant":
            return self._number(x)
        if self.left > 0:
            power = self.context.number(x.args[1]) if x.op == "pow" else None
            if x.op == "mul" and len(x.args) <= LONGEST + 1:
                return self._joined(x.args, self._product)
            if x.op == "add" and len(x.args) <= self.terms and not any(map(self._is_neuron, x.args)):
                return self._phase(x.args) if self.is_phase else self._joined(x.args, self._sum)
            if isinstance(power, int) and 2 <= power <= HIGHEST:
                return self._joined([x.args[0]] * power, self._product)
            if x.op == "abs" and (x.args[0].op != "add" or all(map(self._is_plain, x.args[0].args))):
                return self._size(self._of(x.args[0]))
            if self.any_leaf and x.op in ("exp", "exp_near"):
                return self._exponential(x)
            if isinstance(power, int) and -HIGHEST <= power <= -1:
                return self._joined([x], self._product)
        if not self.any_leaf and not self._is_input(x):
            raise _TooLongError
        return x, None

    def _phase(self, args: Sequence[Node]) -> Pair:
        """w*t + p: of the terms one at least is of inputs and was rounded."""
        if self.depth == DEEPEST:
            raise _TooLongError
        known, self.depth = False, self.depth + 1
        for a in args:
            left = self.left
            try:
                known = self._of(a)[1] is not None or known
            except _TooLongError:
                self.left, self.known[a.serial] = left, (a, None)
        self.depth -= 1
        if not known and not all(map(self._is_plain, args)):
            raise _TooLongError
        return self._joined(args, self._sum)

    def _is_neuron(self, term: Node) -> bool:
        """True for w*x in sigmoid(w*x + b): scalar networks stay as fast as those of matrices."""
        return not self.any_leaf and not self.is_phase and self._is_product(term)

    def _is_plain(self, term: Node) -> bool:
        """True for a number or an input: the sum of a network stays as it is."""
        factors = self.context.split(term)[1]
        return term.op == "constant" or (len(factors) == 1 and self._is_input(factors[0]))

    def _is_product(self, term: Node) -> bool:
        factors = self.context.split(term)[1]
        return sum(f.op != "constant" for f in factors) > 1

    def _is_input(self, x: Node) -> bool:
        while x.op in _VIEWS:
            x = x.args[0]
        return x.op == "symbol"

    def _joined(self, args: Sequence[Node], join: Callable[[Pair, Pair], Pair]) -> Pair:
        """Operands of a low level first, as they are combined in the end; divisors last, in one quotient."""
        if join == self._product and any(self._divisor(a) for a in args):
            above = [a for a in args if not self._divisor(a)]
            top = self._joined(above, join) if above else (self.context.constant(1), None)
            below = [b for a in args for b in self._divisor(a)]
            return self._quotient(top, self._joined(below, join))
        ordered = sorted(args, key=self.context.level)
        total = self._of(ordered[0])
        for a in ordered[1:]:
            total = join(total, self._of(a))
        return total

    def _divisor(self, x: Node) -> list[Node]:
        """The b, b, ... of b**-n, nothing for what is no such power."""
        power = self.context.number(x.args[1]) if x.op == "pow" else None
        return [x.args[0]] * -power if isinstance(power, int) and -HIGHEST <= power < 0 else []

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _TooLongError

    def _number(self, x: Node) -> Pair:
        high, extra = _rounded(x.attrs[0])
        low = self.context.constant(Fraction(float(high * extra))) if extra else None
        return self.context.constant(simplest(high)), low

    def _product(self, x: Pair, y: Pair) -> Pair:
        t, (a, b) = self.table, (x[0], y[0])
        numbers = [n for n in (self.context.number(v) for v in (a, b)) if n is not None]
        exact = any(_is_power_of_two(Fraction(n)) for n in numbers)
        if not exact:
            self._count()
        high = t.make("neg", (b,)) if self.context.is_number(a, -1) else t.make("mul", (a, b))
        parts = [] if exact else [t.make("product_rest", (a, b))]
        parts += [t.make("mul", (v, low)) for v, low in ((a, y[1]), (b, x[1])) if low is not None]
        return high, self._total(parts)

    def _size(self, x: Pair) -> Pair:
        t, (high, low) = self.table, x
        if low is None:
            return t.make("abs", (high,)), None
        negative = t.make("less", (high, self.context.constant(0)))
        return t.make("abs", (high,)), t.select(negative, t.make("neg", (low,)), low, low.shape)

    def _sum(self, x: Pair, y: Pair) -> Pair:
        t, (a, b) = self.table, (x[0], y[0])
        self._count()
        parts = [t.make("sum_rest", (a, b)), *[low for low in (x[1], y[1]) if low is not None]]
        return t.make("add", (a, b)), self._total(parts)

    def _exponential(self, x: Node) -> Pair:
        """An exponential in an exponent, as in the distribution of Gumbel: exp(-exp(-x))."""
        self._count()
        zero = self.context.constant(0)
        return x, self.table.make("exp_rest", x.args if x.op == "exp_near" else (*x.args, zero))

    def _quotient(self, x: Pair, y: Pair) -> Pair:
        """q = a/b lost (a - q*b + low - q*low)/b."""
        t, (a, b) = self.table, (x[0], y[0])
        self._count()
        q = t.make("div", (a, b))
        less = t.make("neg", (q,))
        rest = t.make("fma", (less, b, a))
        if y[1] is not None:
            rest = t.make("fma", (less, y[1], rest))
        if x[1] is not None:
            rest = t.make("add", (rest, x[1]))
        return q, t.make("div", (rest, b))

    def _total(self, parts: Sequence[Node]) -> Node | None:
        total: Node | None = None
        for p in parts:
            total = p if total is None else self.table.make("add", (total, p))
        return total
