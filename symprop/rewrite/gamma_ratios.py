"""Quotients of gamma functions, differences of their logarithms and of the slopes of these.

`gamma(x + y)/gamma(x)` and `gamma(x)*gamma(y)/gamma(x + y)` overflow from 171 on, and their logarithms and
slopes agree in more digits the larger x is. With d = a - b, known without the terms that a and b share,

    gamma(a)/gamma(b) = gamma(d)/beta(b, d)
    gamma(a)*gamma(b)/gamma(a + b) = beta(a, b), loggamma(a) + loggamma(b) - loggamma(a + b) = log_beta(a, b)
    digamma(a) - digamma(b) = digamma_gap(a, b, d), and so for loggamma and polygamma

    digamma(x) - log(x) = digamma_rest(x), trigamma(x) - 1/x = trigamma_rest(x)

and of a whole number d, or a whole a + b - c of three arguments a, b, c, factors x + k are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations

import sympy as sp

from symprop.functions.special import POLYGAMMA
from symprop.graph import OPERATIONS, Node
from symprop.rewrite.context import Context, Number, Sweep, magnitude
from symprop.rewrite.pairs import Term, opened_term, pairs_of_functions, terms_of
from symprop.rewrite.reading import Factors
from symprop.rewrite.rules.exponentials import difference_of, have_common_terms

__all__ = ["GAMMAS", "difference_of_gammas", "ratio_of_gammas"]

LONGEST = 16  # factors of a rising factorial
NEAR = 3  # the largest a + b - c
MOST = 8  # terms of a sum
LARGEST = 160  # gamma of it is finite
GAMMAS = frozenset({"loggamma", *POLYGAMMA[:-1]})


def _apart(a: Node, b: Node, context: Context) -> Node | None:
    """a - b, where both have terms in common; of x and x one of them is all."""
    if a.op == "constant" or b.op == "constant" or a.shape != b.shape:
        return None
    d = difference_of(a, b, context)
    return d if d.op == "constant" or have_common_terms(a, b, context) else None


def _whole(d: Node, context: Context, largest: int) -> int | None:
    number = context.number(d)
    return number if isinstance(number, int) and abs(number) <= largest else None


def _steps(b: Node, n: int, context: Context) -> list[Node]:
    """b, b + 1, ..., b + n - 1"""
    return [context.table.add(b, context.constant(k)) for k in range(n)]


def _beyond(a: Node, b: Node, c: Node, context: Context) -> int | None:
    """a + b - c, where that is a small whole number."""
    if c.op != "add" and context.split(c)[1][0].op != "add":
        return None
    d = difference_of(context.table.add(a, b), c, context)
    return _whole(d, context, NEAR)


# -- quotients ----------------------------------------------------------------------------------------


def ratio_of_gammas(f: Factors) -> bool:
    """gamma(a)*gamma(b)*gamma(c)**-1, a + b - c a whole number, or its inverse; gamma(a)*gamma(b)**-1, a and
    b with terms in common."""
    powers = [(g, e) for g, e in f.of("gamma") if isinstance(e, int)]
    above, below = [g for g, e in powers if e > 0], [g for g, e in powers if e < 0]
    for sign, one, two in ((1, above, below), (-1, below, above)):
        pairs = [(g, h) for k, g in enumerate(one) for h in one[k + (magnitude(f.exponent(g)) < 2) :]]
        if any(_as_beta(*pair, single, sign, f) for pair in pairs for single in two):
            return True
    return any(_as_rising(top, bottom, f) for top in above for bottom in below)


def _as_beta(first: Node, second: Node, single: Node, sign: int, f: Factors) -> bool:
    """gamma(a)*gamma(b)/gamma(c) = beta(a, b)*gamma(a + b)/gamma(c)"""
    a, b, c = (g.args[0] for g in (first, second, single))
    n = _beyond(a, b, c, f.context) if a.shape == b.shape == c.shape else None
    if n is None:
        return False
    f.change(f.table.make("beta", (a, b)), sign)
    for s in _steps(c if n > 0 else f.table.add(c, f.context.constant(n)), abs(n), f.context):
        f.change(s, sign if n > 0 else -sign)
    f.change(first, -sign)
    f.change(second, -sign)
    f.change(single, sign)
    return True


def _as_rising(top: Node, bottom: Node, f: Factors) -> bool:
    context, t = f.context, f.table
    a, b = top.args[0], bottom.args[0]
    d = _apart(a, b, context)
    if d is None:
        return False
    number, count = context.number(d), int(min(f.exponent(top), -f.exponent(bottom)))
    if (
        magnitude(number) > LARGEST
        if number is not None
        else d.op == "constant" or _is_other_gamma(d, context)
    ):
        return False
    f.change(top, -count)
    f.change(bottom, count)
    whole = _whole(d, context, LONGEST)
    if number is None:
        rising = t.make("rising", (b, d))
        expand = OPERATIONS["rising"].expand
        assert expand is not None
        f.change(expand(t, rising), count)
    elif whole is not None:
        for s in _steps(b if whole > 0 else a, abs(whole), context):
            f.change(s, count if whole > 0 else -count)
    else:
        size = magnitude(number)
        factor = t.constant(sp.gamma(sp.Rational(Fraction(size))))
        quotient = t.mul(factor, t.pow(t.make("beta", (b if number > 0 else a, context.constant(size))), -1))
        f.change(quotient, count if number > 0 else -count)
    return True


def _is_other_gamma(d: Node, context: Context) -> bool:
    """True where gamma(d) or gamma(-d) stands somewhere: then the quotient is part of a beta function."""
    key = "other gamma", d.serial  # found out once: the look makes these nodes
    if key not in context.memo:
        known = len(context.table.nodes)
        made = [context.table.make("gamma", (v,)) for v in (d, context.negate(d))]
        context.memo[key] = any(g.serial < known for g in made)
    return bool(context.memo[key])


# -- differences --------------------------------------------------------------------------------------


def difference_of_gammas(node: Node, sweep: Sweep) -> Node | None:
    """The sum with `c*F*loggamma(a) + c*F*loggamma(b) - c*F*loggamma(a + b)` as the logarithm of a beta
    function, or `c*F*f(a) - c*F*f(b)`, a and b with terms in common, as one difference; or None."""
    context = sweep.context
    if len(node.args) > MOST or not _has_gammas(node, context):
        return None
    terms = [term for a in node.args for term in opened_term(a, context)]
    made = _with_beta(terms, node, context) or _with_gap(terms, node, context)
    made = made or _with_rest(terms, node, context)
    if made is not None:
        sweep.fire("difference of the gamma family")
    return made


def _has_gammas(node: Node, context: Context) -> bool:
    """Whether a term, or a term of a sum in it, is a multiple of such a function."""
    for term in terms_of(node, context):
        for base, _ in term.powers:
            inner = base.args if base.op == "add" else (base,)
            if len(inner) <= MOST and any(
                b.op in GAMMAS for a in inner for b in (a.args if a.op == "mul" else (a,))
            ):
                return True
    return False


def _with_beta(terms: Sequence[Term], node: Node, context: Context) -> Node | None:
    """loggamma(a) + loggamma(b) - loggamma(c) = log_beta(a, b) + log(gamma(a + b)/gamma(c))"""
    t = context.table
    found: dict[tuple[tuple[int, Number], ...], list[tuple[int, Number, Node]]] = {}
    for k, term in enumerate(terms):
        for base, e in term.powers:
            if base.op == "loggamma" and e == 1:
                rest = tuple(sorted((b.serial, o) for b, o in term.powers if b is not base))
                found.setdefault(rest, []).append((k, term.number, base.args[0]))
    for rest, like in found.items():
        for (i, p, a), (j, q, b), (k, r, c) in permutations(like, 3):
            fits = i < j and p == q == -r and a.shape == b.shape == c.shape
            n = _beyond(a, b, c, context) if fits else None
            if n is None:
                continue
            steps = _steps(c if n > 0 else t.add(c, context.constant(n)), abs(n), context)
            logs = [t.make("log", (t.make("abs", (s,)),)) for s in steps]
            total = t.add(t.make("log_beta", (a, b)), *[s if n > 0 else context.negate(s) for s in logs])
            factors = [t.pow(t.nodes[s], context.constant(o)) for s, o in rest]
            others = [term.built(context) for m, term in enumerate(terms) if m not in (i, j, k)]
            return t.broadcast(t.add(t.mul(context.constant(p), *factors, total), *others), node.shape)
    return None


def _with_gap(terms: Sequence[Term], node: Node, context: Context) -> Node | None:
    t = context.table
    for pair in pairs_of_functions(terms, GAMMAS, context):
        a, b, op = pair.first.x, pair.second.x, pair.first.op
        d = _apart(a, b, context)
        if d is None:
            continue
        whole = _whole(d, context, LONGEST) if op == "digamma" else None
        if whole is None:
            made = t.make(f"{op}_gap", (a, b, d))
        else:
            inverse = [t.pow(s, -1) for s in _steps(b if whole > 0 else a, abs(whole), context)]
            made = t.mul(context.constant(1 if whole > 0 else -1), t.add(*inverse))
        return pair.replaced(made, [term.built(context) for term in terms], node, context)
    return None


def _with_rest(terms: Sequence[Term], node: Node, context: Context) -> Node | None:
    """digamma(x) - log(x), trigamma(x) - 1/x"""
    t = context.table
    powers = [{b.serial: e for b, e in term.powers} for term in terms]
    for k, term in enumerate(terms):
        for base, e in term.powers:
            if e != 1 or base.op not in ("digamma", "trigamma"):
                continue
            x = base.args[0]
            leading, power = (t.make("log", (x,)), 1) if base.op == "digamma" else (x, -1)
            wanted = dict(powers[k])
            del wanted[base.serial]
            rest = list(wanted.items())
            wanted[leading.serial] = wanted.get(leading.serial, 0) + power
            wanted = {s: o for s, o in wanted.items() if o}
            for j, other in enumerate(terms):
                if other.number != -term.number or powers[j] != wanted:
                    continue
                front = [t.pow(t.nodes[s], context.constant(o)) for s, o in rest]
                made = t.mul(context.constant(term.number), *front, t.make(f"{base.op}_rest", (x,)))
                kept = [v.built(context) for i, v in enumerate(terms) if i not in (k, j)]
                return t.broadcast(t.add(made, *kept), node.shape)
    return None
