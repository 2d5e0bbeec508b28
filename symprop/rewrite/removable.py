"""Formulas that are smooth where they lose all digits: their value there is a power times a polynomial.

`sin(x)/x` and its slopes at 0, `x*log(x/m) - (x - m)` at x = m, `(x**p - 1)/p` at p = 0, `log(sinh(x)/x)`,
`sin(x*y)/x`: sums and products that are functions of one value, a product of powers of others (`x`, `x/m`,
`p*log(x)`), times powers of others. What these functions do next to 0, or next to the point where a logarithm
or a divisor vanishes, is looked at in `removable_forms.py`; where digits are lost, the value is chosen by a
comparison. A sum of terms that are infinite there and have different factors beside these functions, such as
a slope of a product of sin(x)/x and others, is multiplied out: what cancels has the same factors.
Sums and products inside such a formula are taken as they were written.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import gcd
from typing import Any

import mpmath as mp
import sympy as sp

from symprop.graph import OPERATIONS, Node, NodeTable, topological
from symprop.rewrite.context import Context, Number, is_short
from symprop.rewrite.pairs import Term, like_terms, terms_of
from symprop.rewrite.positive import is_positive
from symprop.rewrite.reading import read
from symprop.rewrite.removable_choices import Choice, Spread, Writer
from symprop.rewrite.removable_forms import FINE, Near, leading_power, near_form
from symprop.rewrite.removable_loss import Formula
from symprop.rewrite.removable_parts import (
    FIXED,
    LONGEST,
    MOST,
    OPENED,
    Part,
    Place,
    Reader,
    branch,
    is_function,
)
from symprop.rewrite.removable_screen import MAY_CANCEL, MAY_LOSE, Screen

__all__ = ["removable_singularities"]

HIGHEST = 6  # operations above a sum or product that may cancel
PLACES = 8  # that are tried
INSIDE = 3  # operations between a sum and one among its factors
WIDEST = 32  # terms of a sum that is multiplied out
Steps = tuple[tuple[str, tuple[int, ...], tuple[Hashable, ...]], ...]  # operations on results of others
Stable = Callable[[NodeTable, Sequence[Node], Context], list[Node]]


def removable_singularities(roots: Sequence[Node], context: Context, stable: Stable) -> list[Node]:
    """The roots with choices where formulas lose digits next to a place at which they are smooth; `stable`
    gives the forms that other rules find, with which no digit may be lost."""
    _, present = context.order(roots)
    if "pow" not in present and not ("add" in present and any(is_function(op) for op in present)):
        return list(roots)
    return _Search(context, roots, stable).run()


class _Search:
    """First the largest parts of the formula that are functions of one value are looked at: what is inside
    one that loses nothing, or has been mended, stays as it is."""

    def __init__(self, context: Context, roots: Sequence[Node], stable: Stable) -> None:
        self.context, self.table, self.stable = context, context.table, stable
        self.roots = list(roots)
        self.own = NodeTable()  # of the functions of one value
        self.values: dict[int, Node] = {}  # factors by serial number
        self.forms: dict[tuple[int, Fraction, Fraction, bool | None], Near | None] = {}
        self.leads: dict[tuple[int, Fraction], int | None] = {}
        self.suspects: dict[tuple[int, Fraction], bool] = {}
        self.choices: dict[int, list[Choice]] = {}
        self.spreads: dict[int, Spread] = {}
        self.regions: dict[int, set[Place]] = {}  # the places for which a node has been looked into
        self.shapes: dict[Hashable, bool] = {}
        self.screen = Screen(context)
        self.touched: set[int] = set()  # operands of those
        self.settled: dict[tuple[int, int], set[Place]] = {}  # a node and an operand of it

    def run(self) -> list[Node]:
        order, _ = self.context.order(self.roots)
        worth = self._worth(order)
        if not worth:
            return self.roots
        users: dict[int, list[Node]] = {}
        inside: dict[int, frozenset[Place]] = {}  # places for which a node has been looked at
        used = {r.serial for r in self.roots}
        for node in reversed(order):
            serial, known = node.serial, frozenset[Place]()
            if serial in self.touched and serial not in used:
                if not users:
                    for user in order:
                        for a in user.args:
                            users.setdefault(a.serial, []).append(user)
                places = []
                for u in users[serial]:
                    here = self.settled.get((u.serial, serial), set())
                    places.append(here | inside.get(u.serial, set()) & self.regions.get(u.serial, set()))
                known = inside[serial] = frozenset.intersection(*map(frozenset, places))
            if serial in worth:
                self._look(node, known)
        return self._built(order) if self.choices or self.spreads else self.roots

    def _worth(self, order: Sequence[Node]) -> set[int]:
        """The nodes that are looked at, and those that a few operations make of them."""
        left: dict[int, int] = {}
        may_lose = MAY_LOSE if any(self.screen.is_divisor(n) for n in order if n.op == "pow") else MAY_CANCEL
        for node in order:
            op = node.op
            if len(node.args) > LONGEST or not (op in OPENED or is_function(op)):
                continue
            self.screen.note(node)
            height = max([left.get(a.serial, 0) for a in node.args], default=0) - 1 if left else -1
            if height < HIGHEST and op in may_lose and self._loses(node):
                height = HIGHEST
            if height > 0:
                left[node.serial] = height
        return {k for k in left if self.table.nodes[k].op in ("add", "mul", "log", "pow")}

    def _loses(self, node: Node) -> bool:
        """Whether a node may lose digits at a place; what was met before with other values is not looked at
        again, such as the slopes 1 - h**2 of a network."""
        if not self.screen.is_worth_it(node):
            return False
        shape = self.screen.shape(node)
        found = self.shapes.get(shape)
        if found is None:
            found = self.shapes[shape] = self._is_suspect(node)
        return found

    def _built(self, order: Sequence[Node]) -> list[Node]:
        t, writer = self.table, Writer(self.context, self.values)
        done: dict[int, Node] = {}
        for node in order:
            made = node
            if any(done[a.serial] is not a for a in node.args):
                made = t.make(node.op, [done[a.serial] for a in node.args], node.attrs)
            if node.serial in self.spreads:
                made = writer.spread(self.spreads[node.serial], done)
            apart: dict[int, Node] = {}  # terms of a sum for which there is a choice together
            for choice in self.choices.get(node.serial, ()):
                self.context.fired["smooth where digits are lost"] += 1
                if len(choice.terms) == len(node.args) or node.op != "add":
                    made = writer.chosen(choice, made, done)
                    continue
                if any(a.serial in apart for a in choice.terms):
                    continue  # the 1 of exp(x) - 1 + 1/sqrt(1 + y) is one term
                far = t.add(*[done[a.serial] for a in choice.terms])
                apart.update({a.serial: t.constant(0) for a in choice.terms})
                apart[choice.terms[0].serial] = writer.chosen(choice, far, done)
            if apart:
                made = t.add(*[apart.get(a.serial, done[a.serial]) for a in node.args])
            done[node.serial] = t.broadcast(made, node.shape)
        return [done[r.serial] for r in self.roots]

    # -- places ------------------------------------------------------------------------------------------

    def _places(self, node: Node) -> list[Place]:
        """Where the arguments of its functions and its divisors vanish, or are 1 for a logarithm."""
        found: dict[Place, None] = {}
        todo, seen = [node], 0
        known: set[int] = set()
        while todo and seen < MOST and len(found) < PLACES:
            part = todo.pop()
            if part.serial in known:
                continue
            known.add(part.serial)
            seen += 1
            if is_function(part.op):
                for a in part.args:
                    self._add(found, a, part.op == "log")
                    if a.op in OPENED:
                        todo.append(a)
            elif part.op == "pow":
                base, exponent = part.args
                number = self.context.number(exponent)
                if number is None:
                    self._add(found, self.table.mul(exponent, self.table.make("log", (base,))), False)
                elif number < 0 or not isinstance(number, int):
                    self._add(found, base, False)
                todo.append(base)
            elif part.op == "select":
                todo.append(branch(part))
            elif part.op in OPENED:
                todo.extend(reversed(part.args))
        return list(found)[:PLACES]

    def _add(self, found: dict[Place, None], argument: Node, is_log: bool) -> None:
        while argument.op == "broadcast" and not argument.args[0].shape:
            argument = argument.args[0]
        if argument.op == "add":
            numbers = [v for a in argument.args if (v := self.context.number(a)) is not None]
            others = [a for a in argument.args if a.op != "constant"]
            if len(others) == 1 and len(numbers) == 1:
                self._add_monomial(found, others[0], Fraction(0) if is_log else -Fraction(numbers[0]))
                if is_log:
                    return
            for a in others:
                self._add_monomial(found, a, Fraction(0))
            self._add_powers(found, {argument.serial: (argument, 1)}, Fraction(0))
        else:
            self._add_monomial(found, argument, Fraction(1 if is_log else 0))

    def _add_monomial(self, found: dict[Place, None], node: Node, point: Fraction) -> None:
        number, powers = self.screen.monomial(node)
        if number and is_short(number):
            self._add_powers(found, powers, point / number)

    def _add_powers(
        self, found: dict[Place, None], powers: dict[int, tuple[Node, Number]], point: Fraction
    ) -> None:
        own = {s: Fraction(e) for s, (b, e) in powers.items() if e and b.op != "constant"}
        if not own or any(b.kind == "integer" for b, _ in powers.values()):
            return
        if point <= 0 and all(is_positive(b, self.context) for b, _ in powers.values()):
            return
        if any(self.screen.is_made(b, point != 0) for b, _ in powers.values()):
            return
        if any(b.op == "constant" for b, _ in powers.values()) and point:
            return
        if all(e.denominator == 1 for e in own.values()):
            common = gcd(*[int(e) for e in own.values()])
            if common > 1 and (point in (0, 1)):
                own = {s: e / common for s, e in own.items()}
        if all(e < 0 for e in own.values()) and point in (0, 1):
            own = {s: -e for s, e in own.items()}
        for serial, (base, _) in powers.items():
            self.values[serial] = base
        found.setdefault(Place(tuple(sorted(own.items())), point))

    # -- a node as a function of one value -----------------------------------------------------------------

    def _is_suspect(self, node: Node) -> bool:
        """True where next to some place a part of it is no number, or a sum vanishes."""
        for place in self._places(node):
            groups = self._groups(node, place, Reader(self.context, self.own, self.values, place))
            whole = [g for g in groups if len(g) > 1 or node.op != "add"]
            if any(self._may_lose(self._function(g), place.point) for g in whole):
                return True
            if self._have_poles(groups, place):
                return True
        return False

    def _have_poles(self, groups: Sequence[Sequence[tuple[Node, Part]]], place: Place) -> bool:
        """Whether terms are infinite at the place, where their sum may not be."""
        count = 0
        for group in groups if len(groups) > 1 else ():
            count += self._has_pole(Part(group[0][1].rest, self._function(group)), place)
        return count > 0

    def _has_pole(self, part: Part, place: Place) -> bool:
        key = part.function.serial, place.point
        if key not in self.leads:
            self.leads[key] = leading_power(Formula(part.function, FIXED), place.point)
        lead = self.leads[key]
        if lead is None or place.point:
            return lead is not None and lead < 0
        rest = dict(part.rest)
        return any(rest.get(s, Fraction(0)) + e * lead < 0 for s, e in place.powers if e > 0)

    def _may_lose(self, function: Node, point: Fraction) -> bool:
        key = function.serial, point
        if key not in self.suspects:
            atom = function.op in ("constant", "symbol")
            self.suspects[key] = not atom and _is_suspect(Formula(function, FIXED), point)
        return self.suspects[key]

    def _groups(self, node: Node, place: Place, reader: Reader) -> list[list[tuple[Node, Part]]]:
        """The node, or the terms of a sum by the factors that they have beside functions of the value."""
        groups: dict[tuple[tuple[int, Fraction], ...], list[tuple[Node, Part]]] = {}
        for a in node.args if node.op == "add" else (node,):
            parts = reader.of(a)
            groups.setdefault(parts[0].rest, []).append((a, parts[0]))
        return list(groups.values())

    def _function(self, group: Sequence[tuple[Node, Part]]) -> Node:
        functions = [p.function for _, p in group]
        return functions[0] if len(functions) == 1 else self.own.add(*functions)

    def _look(self, node: Node, known: frozenset[Place]) -> None:
        places = [place for place in self._places(node) if place not in known]
        are_left = hidden = node.op == "add" and self._has_sums_inside(node)
        for place in places:
            reader = Reader(self.context, self.own, self.values, place)
            groups = self._groups(node, place, reader)
            have_poles = node.op == "add" and (not groups or self._have_poles(groups, place))
            if (have_poles or hidden) and self._settle_opened(node, place, have_poles):
                continue
            are_left = are_left or have_poles
            for group in groups:
                if len(group) > 1 or node.op != "add":
                    self._settle(node, group, place, reader)
        if are_left and node.serial not in self.choices:
            self._settle_spread(node, places)

    def _settle(self, node: Node, group: Sequence[tuple[Node, Part]], place: Place, reader: Reader) -> None:
        """Look at a node, or at some terms of a sum, next to a place."""
        parts, function = [p for _, p in group], self._function(group)
        # with other terms in the sum the rules for these alone do not apply
        form = self._form(function, place, len(group) < len(node.args) and node.op == "add")
        if form is None:
            return
        if form.coefficients:
            guards = tuple(dict.fromkeys(g for p in parts for g in p.guards))
            terms = tuple(a for a, _ in group) if node.op == "add" else ()
            part = Part(parts[0].rest, function, guards)
            self.choices.setdefault(node.serial, []).append(Choice(place, ((form, part),), terms))
        self._mark(node, node.args if node.op != "add" else [a for a, _ in group], place, reader)

    def _has_sums_inside(self, node: Node) -> bool:
        """Whether terms of a sum have factors that are sums of functions, which may be infinite."""
        todo = [(a, INSIDE) for a in node.args]
        while todo:
            part, depth = todo.pop()
            if part.op == "add" and self._is_opened(part):
                return True
            if depth and part.op in ("mul", "broadcast", "select"):
                inner = (branch(part),) if part.op == "select" else part.args
                todo.extend([(a, depth - 1) for a in inner])
        return False

    def _settle_opened(self, node: Node, place: Place, have_poles: bool) -> bool:
        """Look at a sum the terms of which are infinite at a place, multiplied out: then what cancels has the
        same factors beside functions of the value."""
        reader = Reader(self.context, self.own, self.values, place, opened=True)
        parts = reader.of(node)
        if any(self._has_pole(p, place) for p in parts):
            return False
        forms = [self._form(p.function, place, None) for p in parts]
        found = [(form, p) for form, p in zip(forms, parts, strict=True) if form is not None]
        if len(found) < len(parts) or not any(form.coefficients for form, _ in found):
            return False
        if not have_poles and all(self._form(p.function, place, False) is FINE for _, p in found):
            return False  # other rules know it: 1 + a*(1 - cos(x))
        self.choices.setdefault(node.serial, []).append(Choice(place, tuple(found), node.args))
        self._mark(node, node.args, place, reader)
        return True

    def _settle_spread(self, node: Node, places: Sequence[Place]) -> None:
        """Look at the terms of a sum multiplied out, of which some may be infinite at one place and others at
        another."""
        left = self._multiplied_out(node)
        groups: list[tuple[Choice, tuple[Term, ...]]] = []
        for place in places if left else ():
            reader = Reader(self.context, self.own, self.values, place, opened=True)
            found: dict[tuple[tuple[int, Fraction], ...], list[tuple[Term, Part]]] = {}
            for term in left:
                parts = reader.of(term.built(self.context))
                if parts is not None and len(parts) == 1:
                    found.setdefault(parts[0].rest, []).append((term, parts[0]))
            for rest, group in found.items():
                mine = tuple([term for term, _ in group])
                guards = tuple(dict.fromkeys(g for _, p in group for g in p.guards))
                part = Part(rest, self.own.add(*[p.function for _, p in group]), guards)
                # finite ones of one term of the sum are looked at as a node of its own: 1 + a*(1 - cos(x))
                is_apart = len({k for term in mine for k in left[term]}) > 1
                is_apart = is_apart or any(self._has_pole(p, place) for _, p in group)
                if len(group) < 2 or not is_apart or not self._may_lose(part.function, place.point):
                    continue
                form = None if self._has_pole(part, place) else self._form(part.function, place, None)
                if form is not None and form.coefficients:
                    groups.append((Choice(place, ((form, part),), ()), mine))
                    left = {term: k for term, k in left.items() if term not in mine}
        if groups:
            self.spreads[node.serial] = Spread(tuple(groups), tuple(left))

    def _multiplied_out(self, node: Node) -> dict[Term, set[int]]:
        """The terms of a sum, with the sums among their factors opened but for plain values such as x - m,
        and the terms that they come from; none where there are too many."""
        context = self.context
        todo = [(term, k) for k, term in enumerate(terms_of(node, context))]
        found: list[Term] = []
        origins: dict[Hashable, set[int]] = {}
        while todo:
            term, k = todo.pop()
            inner = next((b for b, e in term.powers if e == 1 and b.op == "add" and self._is_opened(b)), None)
            if inner is None:
                found.append(term)
                origins.setdefault(term.key, set()).add(k)
            elif len(found) + len(todo) + len(inner.args) <= WIDEST:
                rest = Term(term.number, tuple([p for p in term.powers if p[0] is not inner]))
                todo.extend([(rest.times(a), k) for a in reversed(terms_of(inner, context))])
            else:
                return {}
        return {term: origins[term.key] for term in like_terms(found) if term.number}

    def _is_opened(self, total: Node) -> bool:
        """True for a sum with a function or a divisor in it."""
        return self.screen.is_made(total, False) or any(read(a, self.context).divisors for a in total.args)

    def _mark(self, node: Node, args: Sequence[Node], place: Place, reader: Reader) -> None:
        """Nothing more is looked at for that place in these operands."""
        for a in [a for a in args if a.serial in reader.read]:
            self.settled.setdefault((node.serial, a.serial), set()).add(place)
            self.touched.add(a.serial)
        for serial in reader.read:
            self.regions.setdefault(serial, set()).add(place)
            self.touched.update([a.serial for a in self.table.nodes[serial].args])

    def _form(self, function: Node, place: Place, apart: bool | None) -> Near | None:
        power = max(abs(e) for _, e in place.powers)
        key = function.serial, place.point, power, apart
        if key not in self.forms:
            self.forms[key] = self._found(function, place.point, power, apart)
        return self.forms[key]

    def _found(self, function: Node, point: Fraction, power: Fraction, apart: bool | None) -> Near | None:
        if not self._may_lose(function, point):
            return FINE
        return _near_form(_steps(function), point, power, self.stable, self.context.accuracy, apart)


def _steps(root: Node) -> Steps:
    """A function as operations on the results of others, the same in every table."""
    order = topological([root])
    place = {node.serial: k for k, node in enumerate(order)}
    return tuple([(n.op, tuple([place[a.serial] for a in n.args]), n.attrs) for n in order])


@lru_cache(maxsize=4096)  # a formula is compiled several times: for its value, its slopes, a batch
def _near_form(
    steps: Steps, point: Fraction, power: Fraction, stable: Stable, accuracy: str, apart: bool | None
) -> Near | None:
    """`apart`: whether other rules see the terms of a sum one by one (None: they see nothing of it)."""
    table, made = NodeTable(), list[Node]()
    for op, args, attrs in steps:
        made.append(table.make(op, [made[k] for k in args], attrs))
    after = root = made[-1]
    if apart is not None:
        terms = root.args if apart and root.op == "add" else (root,)
        after = table.add(*stable(table, terms, Context(table, accuracy)))
    return near_form(Formula(root, FIXED), Formula(after, FIXED), point, power)


def _is_suspect(function: Formula, point: Fraction) -> bool:
    """False where the function and all in it are numbers at the point, and no sum of it is zero."""
    with mp.workprec(64):
        done: dict[int, Any] = {}
        at = mp.mpf(point.numerator) / point.denominator
        for node in function.order:
            if node.op == "symbol":
                value = mp.mpf(FIXED[node.attrs[0]]) if node.attrs[0] in FIXED else at
            elif node.op == "constant":
                value = mp.mpf(sp.N(node.attrs[0], 20)._to_mpmath(64))
            else:
                exact = OPERATIONS[node.op].exact
                assert exact is not None
                try:
                    value = exact(node.attrs, *[done[a.serial] for a in node.args])
                except (ValueError, ArithmeticError):
                    return True
                if isinstance(value, bool):
                    return False
                if not mp.isfinite(value):
                    return True
                if node.op == "add" and 64 * abs(value) <= max(abs(done[a.serial]) for a in node.args):
                    return True
            done[node.serial] = value
    return False
