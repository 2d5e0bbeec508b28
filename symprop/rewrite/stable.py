"""The pass that applies the tables of stable forms."""

from __future__ import annotations

from collections.abc import Sequence

from symprop.graph import Node, NodeTable
from symprop.rewrite.context import Context, NodeRule, Sweep
from symprop.rewrite.cosines import law_of_cosines
from symprop.rewrite.decaying import DECAYING
from symprop.rewrite.denominators import over_one_denominator
from symprop.rewrite.exponential_sums import sum_of_exponential_quotients
from symprop.rewrite.factoring import FACTORS, factored
from symprop.rewrite.fraction_pairs import difference_of_fractions
from symprop.rewrite.fractions_of_one import fractions_of_one
from symprop.rewrite.gamma_ratios import GAMMAS, difference_of_gammas
from symprop.rewrite.growth import power_of_growing, product_by_growth
from symprop.rewrite.hazard import scaled_tail_and_argument, slope_and_argument
from symprop.rewrite.leading import LEADING
from symprop.rewrite.log_sums import log_of_entry, log_sum_less_exponent
from symprop.rewrite.matching import LONGEST, Rule, candidates
from symprop.rewrite.near_differences import FUNCTIONS as LIKE
from symprop.rewrite.near_differences import (
    difference_of_near,
    log_of_one_less,
    log_of_ratio,
    one_less_ratio,
)
from symprop.rewrite.near_logarithms import divergence_of_near, logs_of_norms
from symprop.rewrite.opened_sums import sum_of_sums
from symprop.rewrite.opposite_sums import opposite_sums
from symprop.rewrite.positive import is_positive
from symprop.rewrite.products import LOOKED_AT, cancelled, distributed, finished, normalised
from symprop.rewrite.radicals import root_less_limit
from symprop.rewrite.rational import (
    BOUNDED,
    RATIONAL,
    READ,
    quotient_in_decay,
    quotient_of_bounded,
    rational_product,
    rational_sum,
)
from symprop.rewrite.removable import removable_singularities
from symprop.rewrite.rules import STABLE
from symprop.rewrite.rules.inverses import rate_of
from symprop.rewrite.shifts import without_common_factors
from symprop.rewrite.simplify import simplify
from symprop.rewrite.softplus import softplus_and_argument
from symprop.rewrite.tail_differences import LIMITED, difference_in_tail
from symprop.rewrite.targets import jacobian_of_softmax, softmax_less_target
from symprop.rewrite.variances import variance

__all__ = ["stable_forms"]

MOST_FIRED = 8  # changes for each node of the graph
ROUNDS = 3  # of simplification and rules, where these go on changing the graph
_FACTORED = frozenset(f.op for f in FACTORS)
_TRIGONOMETRIC = frozenset({"sin", "cos"})
_MADE_BY_TABLES = frozenset(
    {
        *("sigmoid", "tanh", "tanh_prime", "sigmoid_prime", "erfc", "erf", "expm1", "exp"),
        *("sin", "cos", "sinh", "cosh", "abs", "normal_cdf"),
    }
)


def stable_forms(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    """`log(1 + exp(x)) --> softplus(x)` and the other rows of `rules.STABLE`, `factoring.FACTORS` and
    `products.PRODUCTS`, quotients of exponentials (`rational`), roots less their limits (`radicals`), what
    loses digits where it is smooth (`removable`); nothing for accuracy="as_written"."""
    if context.accuracy == "as_written":
        return list(roots)
    roots = Sweep(context, opposite_sums(table, roots, context), {"log1p": _opened_log1p}).run()
    made = _by_rules(table, removable_singularities(roots, context, _by_rules), context)
    if not context.order(made)[1].isdisjoint(DECAYING):
        made = Sweep(context, made, {"mul": finished}).run()
    return logs_of_norms(table, made, context)


def _by_rules(table: NodeTable, roots: Sequence[Node], context: Context) -> list[Node]:
    order, present = context.order(roots)
    powers = [n for n in order if n.op == "pow" and n.args[0].op == "constant"] if "pow" in present else []
    if len(powers) > 1 or (powers and context.uses(roots)[powers[0].serial] > 1):
        roots = Sweep(context, roots, {"pow": _power_of_number}).run()
        order, present = context.order(roots)
    if "exp" in present and not (present.isdisjoint({"pow", "log"}) or present.isdisjoint({"sum", "take"})):
        after = Sweep(context, roots, _BEFORE).run()  # a softmax and the divisors of its gradient
        roots = simplify(table, after, context) if after != list(roots) else after
    if "exp" in present and "pow" in present and "add" in present:
        after = Sweep(context, roots, {"add": sum_of_exponential_quotients}).run()
        roots = simplify(table, after, context) if after != list(roots) else after
    roots = without_common_factors(context, roots)
    order, present = context.order(roots)
    limit = _Limit(MOST_FIRED * len(order) + 100)
    after = Sweep(context, roots, _rules(present, limit)).run()
    for _ in range(ROUNDS if context.fired else 0):
        # sums that stood in each other are one sum where the simplification opens them
        opened = simplify(table, after, context)
        known, (_, present) = present, context.order(opened)
        if opened == after and present <= known:
            break
        after = Sweep(context, opened, _rules(present, limit)).run()
        if after == opened:
            break
    if not present.isdisjoint(RATIONAL):
        after = Sweep(context, after, _LAST).run()
    after = Sweep(context, after, LEADING).run() if "pow" in present else after
    return Sweep(context, after, {"log": log_of_ratio}).run() if "log" in present else after


def _rules(present: frozenset[str], limit: _Limit) -> dict[str, NodeRule]:
    """The steps of each operation, for a graph of these operations."""
    by_operation: dict[str, list[Rule]] = {"add": [], "mul": [], "pow": []}
    for rule in _applicable(present):
        by_operation.setdefault(rule.before[0], []).append(rule)
    return {op: _rule(found, present, limit) for op, found in by_operation.items()}


def _cancelled(node: Node, sweep: Sweep) -> Node | None:
    """What is left of a product of positive values and their inverses, before exponentials meet."""
    return cancelled(node, sweep) or (distributed(node, sweep) if node.op == "mul" else None)


def _without_logarithm(node: Node, sweep: Sweep) -> Node | None:
    """`exp(x - log(p)) --> exp(x)*p**-1`, p positive: the rounding of the logarithm would be lost."""
    context, table = sweep.context, sweep.table
    terms = node.args[0].args if node.args[0].op == "add" else node.args
    for k, term in enumerate(terms):
        number, factors = context.split(term)
        inner = factors[0].args[0] if len(factors) == 1 and factors[0].op == "broadcast" else factors[0]
        if len(factors) != 1 or inner.op != "log" or not is_positive(inner.args[0], context):
            continue
        sweep.fire("exponential of a logarithm")
        power = table.broadcast(table.pow(inner.args[0], context.constant(number)), node.shape)
        rest = [a for j, a in enumerate(terms) if j != k]
        return table.mul(table.make("exp", (table.add(*rest),)), power) if rest else power
    return None


def _power_of_number(node: Node, sweep: Sweep) -> Node | None:
    """`b**x --> exp(log(b)*x)`, b a positive number, where there are several, as in the slopes of
    log(1 + b**x): then all that is known of exponentials holds for them."""
    context, (base, x) = sweep.context, node.args
    number = context.number(base)
    if number is None or number <= 0 or number == 1 or x.op == "constant":
        return None
    sweep.fire("power of a number")
    return sweep.table.make("exp", (rate_of(number, x, context),))


def _opened_log1p(node: Node, sweep: Sweep) -> Node | None:
    """`log1p(x) --> log(1 + x)`: what is known of that holds for it, and a row makes log1p of the rest."""
    table, (x,) = sweep.table, node.args
    if x.op == "exp":
        number, factors = sweep.context.split(x.args[0])
        if number < 0 and all(f.op == "abs" for f in factors):  # the tail of a softplus
            return None
    return table.make("log", (table.add(table.full(1, node.shape), x),))


_BEFORE: dict[str, NodeRule] = {"mul": _cancelled, "pow": _cancelled, "exp": _without_logarithm}


def _last_product(node: Node, sweep: Sweep) -> Node | None:
    return quotient_in_decay(node, sweep) or product_by_growth(node, sweep)


def _last_power(node: Node, sweep: Sweep) -> Node | None:
    return quotient_in_decay(node, sweep) or power_of_growing(node, sweep)


# the last steps on exponentials: their results are no products of functions of one any more
_LAST: dict[str, NodeRule] = {"mul": _last_product, "pow": _last_power}


class _Limit:
    """Ends the rewriting after so many changes: no pair of rules that undo each other can run forever."""

    def __init__(self, left: int) -> None:
        self.left = left


def _rule(rules: Sequence[Rule], present: frozenset[str], limit: _Limit) -> NodeRule:
    """The steps for a node of one operation, in order, of which those are tried that may apply to its
    operands: a look at their operations says which, mostly none.
    """
    known: dict[tuple[str, ...] | frozenset[str], list[NodeRule]] = {}

    def apply(node: Node, sweep: Sweep) -> Node | None:
        operands = [a.op for a in node.args]
        near = tuple(operands) if len(operands) <= 4 else frozenset(operands)
        steps = known.get(near)
        if steps is None:
            steps = known[near] = _steps(node.op, rules, frozenset(near), present)
        for step in steps if limit.left > 0 else ():
            result = step(node, sweep)
            if result is not None:
                limit.left -= 1
                return result
        return None

    return apply


def _steps(op: str, rules: Sequence[Rule], near: frozenset[str], present: frozenset[str]) -> list[NodeRule]:
    """What may apply to a node of that operation whose operands are of these, in a graph of those."""
    fitting = candidates(rules, near)
    steps: list[NodeRule] = [_patterns(fitting)] if fitting else []
    if op == "mul" and "exp" in near:
        steps.append(_of_spread(rules))
    for name, step, operands, anywhere in _STEPS:
        if name == op and not operands.isdisjoint(near) and not (anywhere and present.isdisjoint(anywhere)):
            steps.append(step)
    return steps


def _applicable(present: frozenset[str]) -> list[Rule]:
    """The rules whose operations are there, or are made by another rule: most graphs have few of them."""
    found: dict[str, Rule] = {}
    if present & (_FACTORED - _TRIGONOMETRIC) or present & RATIONAL:
        present = present | _MADE_BY_TABLES
    elif present & _TRIGONOMETRIC:
        present = present | _TRIGONOMETRIC  # only these are made of them
    while True:
        new = [r for r in STABLE if r.name not in found and r.needs <= present]
        if not new:
            return [r for r in STABLE if r.name in found]
        for rule in new:
            found[rule.name] = rule
            present = present | rule.makes


def _patterns(rules: Sequence[Rule]) -> NodeRule:
    """The first rule that fits; operands of operands rule out most."""
    deep = any(rule.below for rule in rules)

    def apply(node: Node, sweep: Sweep) -> Node | None:
        below = {b.op for a in node.args for b in a.args} if deep else frozenset()
        for rule in rules:
            if not rule.below or rule.below <= below:
                result = rule.apply(node, sweep.context)
                if result is not None and result is not node:
                    sweep.fire(rule.name)
                    return result
        return None

    return apply


def _of_spread(rules: Sequence[Rule]) -> NodeRule:
    """The rules for the product of all factors of factors."""

    def apply(node: Node, sweep: Sweep) -> Node | None:
        spread = _spread(node, sweep)
        fitting = candidates(rules, frozenset([a.op for a in spread.args]))
        return _patterns(fitting)(spread, sweep) if fitting and spread is not node else None

    return apply


def _spread(node: Node, sweep: Sweep) -> Node:
    """The product with the factors of its factors, those with other uses too: in a gradient the quotient
    `1/s` of a softmax stands in a product with the upstream adjoint that every entry shares."""
    table = sweep.table
    factors: list[Node] = []
    for factor in node.args:
        inner = factor.args[0] if factor.op == "broadcast" else factor
        if inner.op != "mul" or len(inner.args) > LONGEST:
            factors.append(factor)
        elif factor.op == "broadcast":
            factors.extend(table.broadcast(f, factor.shape) if f.shape else f for f in inner.args)
        else:
            factors.extend(inner.args)
    return node if len(factors) == len(node.args) else table.make("mul", factors)


_POWERS = frozenset({"mul", "pow", "broadcast"})
_ROOTS = frozenset({"pow", "root_of_squares"})
_ALWAYS = frozenset[str]()
# beside the patterns: operation, step, of what operation an operand must be, and of what a node anywhere
_STEPS: tuple[tuple[str, NodeRule, frozenset[str], frozenset[str]], ...] = (
    ("log", log_of_entry, frozenset({"take", "index", "mul"}), frozenset({"exp"})),
    ("log", log_of_one_less, frozenset({"mul", "select"}), _ALWAYS),
    ("add", sum_of_sums, frozenset({"add", "mul"}), _ALWAYS),
    ("add", jacobian_of_softmax, frozenset({"diag", "mul"}), frozenset({"diag"})),
    ("add", softmax_less_target, frozenset({"mul"}), frozenset({"exp"})),
    ("add", log_sum_less_exponent, _POWERS | {"reduce_max", "maximum", "add"}, frozenset({"exp"})),
    ("add", softplus_and_argument, frozenset({"mul", "softplus"}), frozenset({"exp", "softplus"})),
    ("add", slope_and_argument, _POWERS, frozenset({"normal_cdf", "erf", "erfc"})),
    ("add", scaled_tail_and_argument, _POWERS, frozenset({"erfc"})),
    ("add", variance, frozenset({"mul", "pow", "sum", "reshape"}), frozenset({"sum"})),
    ("add", law_of_cosines, frozenset({"mul"}), frozenset({"cos"})),
    ("add", factored, _POWERS | _FACTORED, _ALWAYS),
    ("add", rational_sum, _POWERS | READ, RATIONAL),
    ("add", difference_of_gammas, frozenset({"mul"}) | GAMMAS, GAMMAS),
    ("add", difference_in_tail, frozenset({"mul"}) | LIMITED, LIMITED),
    ("add", root_less_limit, _POWERS | {"root_of_squares", "div"}, _ROOTS),
    ("add", over_one_denominator, _POWERS | {"div"}, _ALWAYS),
    ("add", fractions_of_one, frozenset({"mul", "pow"}), frozenset({"pow"})),
    ("add", difference_of_fractions, frozenset({"mul"}), frozenset({"pow"})),
    ("add", divergence_of_near, frozenset({"mul"}), frozenset({"log"})),
    ("add", difference_of_near, LIKE | {"mul"}, LIKE),
    ("add", one_less_ratio, frozenset({"mul"}), frozenset({"pow"})),
    ("mul", rational_product, _POWERS | READ, RATIONAL),
    ("mul", quotient_of_bounded, _POWERS, BOUNDED),
    ("mul", normalised, _POWERS | LOOKED_AT, _ALWAYS),
    ("mul", distributed, frozenset({"add"}), _ALWAYS),
    ("pow", rational_product, _POWERS | READ, RATIONAL),
    ("pow", normalised, _POWERS | LOOKED_AT, _ALWAYS),
)
