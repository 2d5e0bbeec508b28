"""Two terms of a sum that are the same function at two values, times the same: `c*F*f(a)` and `-c*F*f(b)`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from symprop.graph import Node
from symprop.rewrite.context import Context, Number
from symprop.rewrite.reading import read

__all__ = [
    "Function",
    "Pair",
    "Term",
    "have_one_sign",
    "like_terms",
    "may_be_pair",
    "opened_term",
    "pairs_of_functions",
]
__all__ += ["term_of", "terms_of"]

Powers = tuple[tuple[Node, Number], ...]
Key = tuple[tuple[int, Number], ...]  # serial number and exponent of every other factor


class Term(NamedTuple):
    """A number times powers, products read through, those that others share as well."""

    number: Number
    powers: Powers

    @property
    def key(self) -> Key:
        """What terms that differ by a number alone have in common."""
        return tuple(sorted([(b.serial, e) for b, e in self.powers]))

    def times(self, other: Term) -> Term:
        """The product of two terms."""
        total = {b.serial: (b, e) for b, e in self.powers}
        for b, e in other.powers:
            total[b.serial] = b, total.get(b.serial, (b, 0))[1] + e
        return Term(self.number * other.number, tuple([p for p in total.values() if p[1]]))

    def built(self, context: Context) -> Node:
        """The term as a node."""
        t = context.table
        factors = [t.pow(b, context.constant(e)) for b, e in self.powers]
        return t.mul(context.constant(self.number), *factors)


@dataclass(frozen=True)
class Function:
    """The value of a function at x, of a power with its exponent; the number one is a power of itself."""

    value: Node
    op: str
    x: Node
    exponent: Node | None = None


@dataclass(frozen=True)
class Pair:
    """`number*rest*(first - second)` stands in a sum."""

    number: Number
    rest: tuple[Node, ...]
    first: Function
    second: Function
    others: tuple[int, ...]  # places of the other terms of the sum

    def replaced(self, difference: Node, others: Sequence[Node], node: Node, context: Context) -> Node:
        """The sum with that in place of first - second."""
        t = context.table
        product = t.mul(context.constant(self.number), *self.rest, difference)
        return t.broadcast(t.add(product, *[others[k] for k in self.others]), node.shape)


def terms_of(node: Node, context: Context) -> list[Term]:
    """The terms of a sum."""
    return [term_of(a, context) for a in node.args]


def term_of(a: Node, context: Context) -> Term:
    """A term as its number and powers."""
    key = ("term", a.serial)
    found: Term | None = context.memo.get(key)
    if found is None:
        reading = read(a, context)
        powers = reading.powers.values()
        kept = tuple([p for p in powers if p[1]]) if reading.vanished else tuple(powers)
        found = context.memo[key] = Term(reading.number, kept)
    return found


def may_be_pair(node: Node, operations: Set[str], context: Context) -> bool:
    """Whether several terms of a sum have such an operation: a look before more work."""
    count = 0
    for a in node.args:
        reading = read(a, context)
        if not operations.isdisjoint(reading.operations) or (
            "pow" in operations and (not reading.powers or any(e != 1 for _, e in reading.powers.values()))
        ):
            count += 1
        if count == 2:
            return True
    return False


def opened_term(a: Node, context: Context) -> list[Term]:
    """A term, or the terms of the sum that is one of its factors."""
    whole = term_of(a, context)
    inner = _sum_inside(a, whole, context)
    if inner is None:
        return [whole]
    if len(whole.powers) == 1 and whole.number == 1:
        return terms_of(inner, context)
    rest = Term(whole.number, tuple([p for p in whole.powers if p[0] is not inner]))
    return [rest.times(term) for term in terms_of(inner, context)]


def have_one_sign(node: Node, context: Context) -> bool:
    """Whether the numbers of all terms of a sum have one sign, with the sums among the factors opened: then
    none of them cancel."""
    signs = set()
    for a in node.args:
        whole = term_of(a, context)
        inner = _sum_inside(a, whole, context)
        for term in terms_of(inner, context) if inner is not None else ():
            signs.add((term.number > 0) == (whole.number > 0))
        if inner is None:
            signs.add(whole.number > 0)
        if len(signs) > 1:
            return False
    return True


def _sum_inside(a: Node, whole: Term, context: Context) -> Node | None:
    """The sum among the factors of a term, where there is one."""
    sums = [b for b, e in whole.powers if b.op == "add" and e == 1]
    return sums[0] if len(sums) == 1 and not read(a, context).clashes else None


def like_terms(terms: Sequence[Term]) -> list[Term]:
    """The terms with those that differ by a number alone as one, which may vanish."""
    totals: dict[Key, Term] = {}
    for term in terms:
        before = totals[term.key].number if term.key in totals else 0
        totals[term.key] = Term(before + term.number, term.powers)
    return list(totals.values())


def pairs_of_functions(terms: Sequence[Term], operations: Set[str], context: Context) -> Iterator[Pair]:
    """The pairs of terms that have one of these operations in common."""
    t = context.table
    functions = [_functions(a, operations, context) for a in terms]
    for i, found in enumerate(functions):
        for j in range(i + 1, len(terms)) if found else ():
            for first, rest in found if terms[i].number == -terms[j].number else ():
                for second, rest_of_second in functions[j]:
                    if rest == rest_of_second and first.op == second.op:
                        factors = tuple([t.pow(t.nodes[s], context.constant(e)) for s, e in rest])
                        others = tuple([k for k in range(len(terms)) if k not in (i, j)])
                        yield Pair(terms[i].number, factors, first, second, others)


def _functions(term: Term, operations: Set[str], context: Context) -> list[tuple[Function, Key]]:
    """Every function among the factors of a term, with the other factors."""
    if not term.powers and "pow" in operations:
        one = context.constant(1)
        return [(Function(one, "pow", one), ())]
    found: list[tuple[Function, Key]] = []
    for base, e in term.powers:
        if e == 1 and base.op in operations:
            f = _function(base, context)
        elif e != 1 and "pow" in operations:
            exponent = context.constant(e)
            f = Function(context.table.make("pow", (base, exponent)), "pow", base, exponent)
        else:
            continue
        found.append((f, tuple(sorted([(b.serial, o) for b, o in term.powers if b is not base]))))
    return found


def _function(f: Node, context: Context) -> Function:
    if f.op == "log1p":
        return Function(f, "log", context.table.add(context.constant(1), f.args[0]))
    return Function(f, f.op, f.args[0], f.args[1] if f.op == "pow" else None)
