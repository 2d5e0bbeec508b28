"""Simplification of elementwise operations: exact constants, sums and products, powers, choices.

No rule changes a value beyond rounding: `exp` and `log` are not combined, `x * x**-1` stays, an explicit
difference is not taken apart (where digits cancel, the order that the user wrote is kept).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import sympy as sp

from symprop.functions.plain import ELEMENTARY_OF_SYMPY
from symprop.graph import OPERATIONS, Node, NodeTable, Shape
from symprop.rewrite.context import Context, NodeRule, Number, Sweep, is_short, magnitude

__all__ = ["elementwise_rules", "integer_power"]

LONGEST_JOINED = 32
_OPENED_IN_PRODUCTS = frozenset({"constant", "pow", "place"})
_OPENED_IN_SUMS = frozenset({"constant", "place"})
FEW = 2  # entries of an array of zeros that are multiplied one by one
LARGEST_EXPONENT = 16  # as in `powers.py`: larger powers are calls
_ODD = frozenset(
    [
        *("sin", "tan", "sinh", "tanh", "asin", "atan", "asinh", "atanh", "erf", "erfi", "erfinv", "cbrt"),
        *("sign", "tanh_gap"),
    ]
)
_EVEN = frozenset(["cos", "cosh", "abs", "sigmoid_prime", "tanh_prime"])
# numbers outside of their domain, and what sympy does not evaluate
_NOT_FOLDED = ("atan2", "acosh", "atanh", "erfinv", "erfcinv")
_FUNCTIONS: dict[str, Callable[..., sp.Expr]] = {
    **{k: v for k, v in ELEMENTARY_OF_SYMPY.items() if k not in _NOT_FOLDED},
    "expm1": lambda x: sp.exp(x) - 1,
    "log1p": lambda x: sp.log(1 + x),
    "sigmoid": lambda x: 1 / (1 + sp.exp(-x)),
    "softplus": lambda x: sp.log(1 + sp.exp(x)),
    "sqrt": sp.sqrt,
}


def _narrowed(node: Node, sweep: Sweep) -> Node | None:
    """`f(broadcast(a), broadcast(b)) --> broadcast(f(a, b))`, and scalars go into elementwise operations
    as scalars."""
    sources: set[Shape] = set()
    for a in node.args:
        if a.op == "broadcast":
            sources.add(a.args[0].shape)
        elif a.shape:
            sources.add(a.shape)
    if not any(a.op == "broadcast" for a in node.args):
        return None
    wide = [s for s in sources if s]
    if len(wide) == 1 and wide[0] != node.shape:  # columns or rows repeated: all from one shape
        args = [a.args[0] if a.op == "broadcast" else a for a in node.args]
    else:
        args = [a.args[0] if a.op == "broadcast" and not a.args[0].shape else a for a in node.args]
    if all(a is b for a, b in zip(args, node.args, strict=True)):
        return None
    sweep.fire("broadcast moved outwards")
    return sweep.table.broadcast(sweep.table.make(node.op, args, node.attrs), node.shape)


def _turned(node: Node, sweep: Sweep) -> Node | None:
    """`f(A.T) --> f(A).T` where A is the only array: a function of A and of A.T is one."""
    wide = [a for a in node.args if a.shape]
    if len(wide) != 1 or wide[0].op != "transpose":
        return None
    sweep.fire("transpose moved outwards")
    made = sweep.table.make(node.op, [a.args[0] if a.shape else a for a in node.args], node.attrs)
    return sweep.table.make("transpose", (made,), wide[0].attrs)


def _numeric(node: Node, sweep: Sweep) -> Node | None:
    """`f(2) --> the constant f(2)`, exact, where it is real and finite."""
    if node.attrs or any(a.op != "constant" for a in node.args) or node.op not in _FUNCTIONS:
        return None
    value = _FUNCTIONS[node.op](node.args[0].attrs[0])
    if not (value.is_extended_real and value.is_finite):
        return None
    sweep.fire("constant folded")
    return sweep.table.constant(value)


def _may_change(node: Node, sweep: Sweep, opened: frozenset[str]) -> bool:
    """False for a sum or product whose operands are all different, have no numbers in front, and no parts
    that become its own: most stay as they are.
    """
    for a in node.args:
        op = a.op
        if op in opened or (op == node.op and sweep.single(a)):
            return True
        if op == "mul" and a.args[0].op == "constant":
            return True
    return len(set(node.args)) < len(node.args) or sum(a.op == "select" for a in node.args) > 1


# -- products ----------------------------------------------------------------------------------


def integer_power(node: Node, context: Context) -> tuple[Node, int]:
    """A factor as (base, exponent) with an integer exponent."""
    if node.op == "pow":
        exponent = context.number(node.args[1])
        if isinstance(exponent, int):
            return node.args[0], exponent
    return node, 1


def _product(node: Node, sweep: Sweep) -> Node | None:
    """`2*(3*x) --> 6*x`, `x*(y*z) --> x*y*z` (the inner product has no other use), `x*x*y --> x**2*y`."""
    if not _may_change(node, sweep, _OPENED_IN_PRODUCTS):
        return None
    context, table = sweep.context, sweep.table
    number: Number = 1
    symbolic: list[Node] = []
    kept: list[Node] = []  # constants that would grow too long together
    powers: dict[tuple[int, bool], list[tuple[Node, int, list[Node]]]] = {}
    constants = flattened = merged = 0
    if node.kind == "integer":
        return None
    todo = list(reversed(node.args))
    while todo:
        factor = todo.pop()
        if factor.op == "constant":
            value = context.number(factor)
            if value is None:
                symbolic.append(factor)
            elif is_short(number * value):
                number *= value
                constants += 1
            else:
                kept.append(factor)
            continue
        if factor.op == "mul":
            coefficient, inner = context.split(factor)
            if is_short(number * coefficient) and (
                coefficient == -1 or (coefficient != 1 and len(inner) == 1) or _joins(factor, sweep)
            ):
                flattened += 1
                if coefficient != 1:
                    number *= coefficient
                    constants += 1
                if len(inner) == 1 or _joins(factor, sweep):
                    todo.extend(reversed(inner))
                    continue
                # a sign moves outwards, the product with other uses stays
                whole = table.make("mul", inner)
                sweep.uses[whole.serial] = max(
                    sweep.uses.get(whole.serial, 0), sweep.uses.get(factor.serial, 1)
                )
                factor = whole
        base, exponent = integer_power(factor, context)
        same = powers.setdefault((base.serial, exponent > 0), [])
        if same and abs(same[-1][1] + exponent) <= LARGEST_EXPONENT:
            merged += 1
            same[-1] = (base, same[-1][1] + exponent, [*same[-1][2], factor])
        else:
            same.append((base, exponent, [factor]))
    if context.accuracy != "as_written":
        merged += _met(powers, context)
    if len(symbolic) > 1:
        symbolic = [table.constant(sp.Mul(*[s.attrs[0] for s in symbolic]))]
        merged += 1
    if not (flattened or merged or constants > 1 or (constants and number in (0, 1))):
        return _product_of_place(node, sweep)
    for name, count in (("products flattened", flattened), ("equal factors to powers", merged)):
        if count:
            sweep.fire(name)
    if constants > 1:
        sweep.fire("constant folded")
    factors = [*symbolic, *kept]
    for base, exponent, equal in (entry for same in powers.values() for entry in same):
        factors.append(equal[0] if len(equal) == 1 else table.make("pow", (base, context.constant(exponent))))
    if number == 0:
        return table.full(0, node.shape)
    if not factors:
        return table.broadcast(context.constant(number), node.shape)
    return table.broadcast(context.times(number, factors), node.shape)


def _met(powers: dict[tuple[int, bool], list[tuple[Node, int, list[Node]]]], context: Context) -> int:
    """`x*x**-2 --> x**-1`, `x**2*x**-2 --> x*x**-1`: the powers overflow or vanish where the rest does not.
    `x*x**-1` stays, which is no number at zero. How many met is returned."""
    count = 0
    for serial, above in powers:
        over, under = powers.get((serial, True)), powers.get((serial, False))
        if not above or not over or not under or len(over) > 1 or len(under) > 1:
            continue
        (base, m, _), (_, n, _) = over[0], under[0]
        common = min(m, -n) - (m == -n)
        if not common or base.op == "constant":  # 0**2*0**-1 is no number: a variance over n - 1 of one row
            continue
        count += 1
        for key, left in (((serial, True), m - common), ((serial, False), n + common)):
            node = base if left == 1 else context.table.make("pow", (base, context.constant(left)))
            powers[key] = [(base, left, [node])] if left else []
    return count


def _joins(inner: Node, sweep: Sweep) -> bool:
    """True for a sum or product that becomes part of the one around it; bounded, so that chains stay
    linear."""
    return sweep.single(inner) and len(inner.args) <= LONGEST_JOINED


def _product_of_place(node: Node, sweep: Sweep) -> Node | None:
    """`c * place(a, b) --> place(c*a, c*b)` for scalars c: zeros are not multiplied. Of arrays c the entries
    that meet."""
    table = sweep.table
    wide = [a for a in node.args if a.shape]
    placed = next((a for a in wide if a.op == "place"), None)
    if placed is None or (len(wide) == 1 and not sweep.single(placed)):
        return None
    if len(wide) > 1 and (len(placed.args) > FEW or sweep.context.accuracy == "as_written"):
        return None
    sweep.fire("scaled entries")
    scalars = [a for a in node.args if not a.shape]
    arrays = [a for a in wide if a is not placed]
    made = []
    for v, position in zip(placed.args, placed.attrs[1], strict=True):  # type: ignore[call-overload]
        made.append(table.mul(*scalars, *[table.index(a, position) for a in arrays], v))
    return table.make("place", made, placed.attrs)


# -- sums ----------------------------------------------------------------------------------


def _has_difference(node: Node, context: Context) -> bool:
    signs = set()
    for a in node.args:
        value = context.number(a)
        signs.add((context.split(a)[0] if value is None else value) < 0)
    return len(signs) == 2


def _sum(node: Node, sweep: Sweep) -> Node | None:
    """`a + (b + c) --> a + b + c` (the inner sum has no other use and no difference), `a + 2*a --> 3*a`,
    entries and choices of one condition merged."""
    if not _may_change(node, sweep, _OPENED_IN_SUMS):
        return None
    context, table = sweep.context, sweep.table
    number: Number = 0
    symbolic: list[Node] = []
    terms: dict[tuple[int, ...], list[tuple[Number, tuple[Node, ...], Node]]] = {}
    constants = flattened = merged = 0
    places = choices = 0
    as_written = context.accuracy == "as_written"
    todo = list(reversed(node.args))
    while todo:
        term = todo.pop()
        if term.op == "constant":
            value = context.number(term)
            if value is None:
                symbolic.append(term)
            elif is_short(number + value):
                number += value
                constants += 1
            else:
                symbolic.append(term)
        elif (
            term.op == "add" and not as_written and _joins(term, sweep) and not _has_difference(term, context)
        ):
            flattened += 1
            todo.extend(reversed(term.args))
        else:
            coefficient, factors = context.split(term)
            same = terms.setdefault(tuple(f.serial for f in factors), [])
            merged += bool(same)
            same.append((coefficient, factors, term))
            places += term.op == "place" and sweep.single(term)
            choices += len(factors) == 1 and factors[0].op == "select"
    if len(symbolic) > 1:
        symbolic = [table.constant(sp.Add(*[s.attrs[0] for s in symbolic]))]
        merged += 1
    if not (flattened or merged or places > 1 or constants > 1 or (constants and number == 0)):
        return _choices_merged(node, sweep) if choices > 1 else None
    if flattened:
        sweep.fire("sums flattened")
    if merged:
        sweep.fire("equal terms collected")
    if constants > 1:
        sweep.fire("constant folded")
    result = list(symbolic)
    for same in terms.values():
        if len(same) == 1:
            result.append(same[0][2])
            continue
        total = sum(c for c, _, _ in same)
        if not is_short(total):
            result.extend(t for _, _, t in same)
        elif total != 0:
            result.append(context.times(total, same[0][1]))
    if places > 1:
        result = _entries_merged(result, sweep)
    if number != 0 or not result:
        result.append(context.constant(number))
    return table.broadcast(result[0] if len(result) == 1 else table.make("add", result), node.shape)


def _entries_merged(terms: list[Node], sweep: Sweep) -> list[Node]:
    """`place(a at p) + place(b at q) --> place(a at p, b at q)`; entries at one position add."""
    table = sweep.table
    placed = [t for t in terms if t.op == "place" and sweep.single(t)]
    if len(placed) < 2:
        return terms
    sweep.fire("entries merged")
    values: dict[tuple[int, ...], list[Node]] = {}
    for t in placed:
        for position, value in zip(t.attrs[1], t.args, strict=True):  # type: ignore[call-overload]
            values.setdefault(position, []).append(value)
    positions = tuple(sorted(values))
    merged = [values[p][0] if len(values[p]) == 1 else table.add(*values[p]) for p in positions]
    rest = [t for t in terms if t not in placed]
    return [*rest, table.make("place", merged, (placed[0].shape, positions))]


def _choices_merged(node: Node, sweep: Sweep) -> Node | None:
    """`select(c, a, 0) - select(c, b, d) --> select(c, a - b, -d)`: what meets in a branch can cancel there.
    All but one term are zero in one of the branches, so that no addition is made twice."""
    context, table = sweep.context, sweep.table
    groups: dict[tuple[int, Shape], list[tuple[Number, Node, Node]]] = {}
    for term in node.args:
        sign, factors = context.split(term)
        choice = factors[0]
        plain = len(factors) == 1 and magnitude(sign) == 1 and choice.op == "select" and choice.kind == "real"
        if plain and sweep.single(term) and sweep.single(choice):
            groups.setdefault((choice.args[0].serial, choice.shape), []).append((sign, choice, term))
    for members in groups.values():
        condition = members[0][1].args[0]
        branches = [
            [
                c.args[k] if s == 1 else context.negate(c.args[k])
                for s, c, _ in members
                if not context.is_number(c.args[k], 0)
            ]
            for k in (1, 2)
        ]
        if len(members) < 2 or min(map(len, branches)) > 1:
            continue
        sweep.fire("choices merged")
        made = table.make(
            "select", (condition, *(table.add(*b) if b else context.constant(0) for b in branches))
        )
        merged = {term.serial for _, _, term in members}
        rest = [a for a in node.args if a.serial not in merged]
        total = table.add(table.broadcast(made, members[0][1].shape), *rest)
        return table.broadcast(total, node.shape)
    return None


# -- powers and functions ----------------------------------------------------------------------------------


def _power(node: Node, sweep: Sweep) -> Node | None:
    """`(x**2)**3 --> x**6`, `(x**-1)**-1 --> x`, `abs(x)**2 --> x**2`, `(-x)**2 --> x**2`,
    `(-x)**3 --> -x**3`, `2**3 --> 8`."""
    context, table = sweep.context, sweep.table
    base, power = node.args
    exponent = context.number(power)
    if exponent is None:
        return None
    if exponent == 1:
        return base
    if exponent == 0:
        return table.full(1, node.shape)
    value = context.number(base)
    if base.op == "constant":
        if value is not None and isinstance(exponent, int) and value != 0 and abs(exponent) <= 64:
            exact = Fraction(value) ** exponent
            if not is_short(exact):
                return None
            sweep.fire("constant folded")
            return context.constant(exact.numerator if exact.denominator == 1 else exact)
        exact_base = base.attrs[0]
        if _is_positive(exact_base) and magnitude(exponent) <= 64:
            sweep.fire("constant folded")
            return table.constant(sp.Pow(exact_base, power.attrs[0]))
        return None
    if not isinstance(exponent, int):
        return None
    inner, inner_exponent = integer_power(base, context)
    if inner_exponent > 1 and exponent > 1 and inner_exponent * exponent <= LARGEST_EXPONENT:
        sweep.fire("powers merged")
        return table.make("pow", (inner, context.constant(inner_exponent * exponent)))
    total = inner_exponent * exponent
    if inner_exponent < 0 and exponent < 0 and total <= LARGEST_EXPONENT and context.accuracy != "as_written":
        sweep.fire("powers merged")  # a quotient that overflows or vanishes does not come back
        return table.pow(inner, context.constant(total))
    if base.op == "abs" and exponent % 2 == 0:
        sweep.fire("even functions")
        return table.make("pow", (base.args[0], power))
    if base.op == "mul" and context.is_number(base.args[0], -1):
        sweep.fire("even functions" if exponent % 2 == 0 else "odd functions")
        positive = table.make("pow", (context.times(1, base.args[1:]), power))
        return positive if exponent % 2 == 0 else context.times(-1, (positive,))
    return None


def _is_positive(value: object) -> bool:
    return isinstance(value, sp.Expr) and bool(value.is_positive) and bool(value.is_finite)


def _function(node: Node, sweep: Sweep) -> Node | None:
    """`cos(-x) --> cos(x)`, `sin(-x) --> -sin(x)`, `sin(0) --> 0`."""
    (x,) = node.args
    if x.op == "constant":
        return _numeric(node, sweep)
    if x.op == "mul" and (node.op in _EVEN or node.op in _ODD):
        coefficient, factors = sweep.context.split(x)
        if coefficient < 0:
            even = node.op in _EVEN
            sweep.fire("even functions" if even else "odd functions")
            value = sweep.table.make(node.op, (sweep.context.times(-coefficient, factors),))
            return value if even else sweep.context.times(-1, (value,))
    if node.op == "abs" and x.op == "abs":
        return x
    return None


def _comparison(node: Node, sweep: Sweep, depth: int = 3) -> bool | None:
    """The truth of a condition between constants, of few conditions joined."""
    if node.op in ("not", "and", "or") and depth == 0:  # along a chain each has all before it
        return None
    if node.op == "not":
        inner = _comparison(node.args[0], sweep, depth - 1)
        return None if inner is None else not inner
    if node.op in ("and", "or"):  # 2 == 0 and x > 0, as the slope of 2**x has
        sides = [_comparison(a, sweep, depth - 1) for a in node.args]
        if (node.op == "or") in sides:
            return node.op == "or"
        return None if None in sides else node.op == "and"
    if node.op not in ("less", "less_equal", "equal", "not_equal"):
        return None
    a, b = (sweep.context.number(x) for x in node.args)
    if a is None or b is None:
        return None
    return {"less": a < b, "less_equal": a <= b, "equal": a == b, "not_equal": a != b}[node.op]


def _choice(node: Node, sweep: Sweep) -> Node | None:
    """`select(1 < 2, a, b) --> a`, `select(c, a, a) --> a`, `select(not c, a, b) --> select(c, b, a)`,
    `select(c, select(c, a, b), d) --> select(c, a, d)`."""
    table = sweep.table
    condition, a, b = node.args
    truth = _comparison(condition, sweep)
    if truth is not None:
        sweep.fire("constant condition")
        return table.broadcast(a if truth else b, node.shape)
    if a is b and a.kind == node.kind:
        sweep.fire("equal branches")
        return table.broadcast(a, node.shape)
    if condition.op == "not":
        sweep.fire("negated condition")
        return table.broadcast(table.make("select", (condition.args[0], b, a)), node.shape)
    if a.op == "select" and a.args[0] is condition:
        sweep.fire("nested condition")
        return table.broadcast(table.make("select", (condition, a.args[1], b)), node.shape)
    if b.op == "select" and b.args[0] is condition:
        sweep.fire("nested condition")
        return table.broadcast(table.make("select", (condition, a, b.args[2])), node.shape)
    inside = [_where_known(x, condition, k + 1, table) for k, x in enumerate((a, b))]
    if inside != [a, b]:
        sweep.fire("nested condition")
        return table.broadcast(table.make("select", (condition, *inside)), node.shape)
    return None


def _where_known(x: Node, condition: Node, branch: int, table: NodeTable) -> Node:
    """A product of which a factor is a choice by the same condition: `select(c, a, b*select(c, d, e)) -->
    select(c, a, b*e)`."""
    if x.op != "mul" or not any(f.op == "select" and f.args[0] is condition for f in x.args):
        return x
    return table.mul(*[f.args[branch] if f.op == "select" and f.args[0] is condition else f for f in x.args])


def _logic(node: Node, sweep: Sweep) -> Node | None:
    """`not not c --> c`, `c and c --> c`."""
    if node.op == "not":
        return node.args[0].args[0] if node.args[0].op == "not" else None
    return node.args[0] if node.args[0] is node.args[1] else None


def _extreme(node: Node, sweep: Sweep) -> Node | None:
    """`maximum(x, x) --> x`"""
    return node.args[0] if node.args[0] is node.args[1] else None


def _after_narrowing(rule: NodeRule | None) -> NodeRule:
    def both(node: Node, sweep: Sweep) -> Node | None:
        if node.shape:
            moved = _narrowed(node, sweep) or _turned(node, sweep)
            if moved is not None:
                return moved
        return rule(node, sweep) if rule is not None else None

    return both


_RULES: dict[str, NodeRule] = {
    "add": _sum,
    "mul": _product,
    "pow": _power,
    "select": _choice,
    "and": _logic,
    "or": _logic,
    "not": _logic,
    "maximum": _extreme,
    "minimum": _extreme,
    **dict.fromkeys([*_ODD, *_EVEN, *_FUNCTIONS], _function),
}


def elementwise_rules(shaped: bool = True) -> dict[str, NodeRule]:
    """The rule of every elementwise operation: repetition moves outwards, then what the operation itself
    allows. In a graph without arrays (`shaped=False`) nothing is repeated."""
    if not shaped:
        return _RULES
    return {
        name: _after_narrowing(_RULES.get(name))
        for name, declared in OPERATIONS.items()
        if declared.elementwise and (not declared.lowered or declared.partials is not None)
    }
