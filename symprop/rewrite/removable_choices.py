"""Choices between a formula and what stands for it next to a place, as nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symprop.graph import Node, topological
from symprop.rewrite.context import Context, simplest
from symprop.rewrite.pairs import Term
from symprop.rewrite.removable_forms import Near
from symprop.rewrite.removable_parts import FIXED, Part, Place

__all__ = ["Choice", "Spread", "Writer"]


@dataclass(frozen=True)
class Choice:
    """What stands for a node, or for some terms of a sum, next to a place."""

    place: Place
    forms: tuple[tuple[Near, Part], ...]  # several that are added up stand for a whole node
    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Spread:
    """A sum multiplied out: choices for some of its terms together, and the terms that are left."""

    groups: tuple[tuple[Choice, tuple[Term, ...]], ...]
    left: tuple[Term, ...]


class Writer:
    """Writes choices; `values` are the factors of parts and places by serial number."""

    def __init__(self, context: Context, values: Mapping[int, Node]) -> None:
        self.context, self.table, self.values = context, context.table, values

    def spread(self, spread: Spread, done: dict[int, Node]) -> Node:
        """A sum multiplied out, with its choices; `done` is what nodes have become."""
        t = self.table

        def total(terms: Sequence[Term]) -> Node:
            made = [Term(k.number, tuple([(done.get(b.serial, b), e) for b, e in k.powers])) for k in terms]
            return t.add(*[k.built(self.context) for k in made])

        self.context.fired["smooth where digits are lost"] += len(spread.groups)
        found = [self.chosen(choice, total(terms), done) for choice, terms in spread.groups]
        return t.add(*found, total(spread.left))

    def chosen(self, choice: Choice, far: Node, done: dict[int, Node]) -> Node:
        """What stands next to the place, or `far`."""
        t = self.table
        serials = [s for _, part in choice.forms for s, _ in part.rest]
        values = {s: done.get(s, self.values[s]) for s in (*[s for s, _ in choice.place.powers], *serials)}
        distance = self._distance(choice.place, values)
        within = {form: self._is_within(form, distance) for form, _ in choice.forms if form.coefficients}
        is_near: Node | None = None
        for near in within.values():
            is_near = near if is_near is None else t.make("or", (is_near, near))
        assert is_near is not None
        for guard in dict.fromkeys(g for _, part in choice.forms for g in part.guards):
            is_near = t.make("and", (is_near, t.make("not", (done.get(guard.serial, guard),))))
        terms = []
        for form, part in choice.forms:
            near_value = form in within and self._near_value(choice.place, form, part, values, distance)
            if not near_value or len(within) > 1:
                direct = self._direct_value(choice.place, part, values)
                near_value = t.select(within[form], near_value, direct) if near_value else direct
            terms.append(near_value)
        return t.select(is_near, terms[0] if len(terms) == 1 else t.add(*terms), far)

    def _distance(self, place: Place, values: dict[int, Node]) -> Node:
        return self._difference(place, values) if place.point else self._product(place.powers, values)

    def _product(self, powers: Iterable[tuple[int, Fraction]], values: dict[int, Node]) -> Node:
        t = self.table
        return t.mul(*[t.pow(values[s], self._number(e)) for s, e in powers if e])

    def _near_value(
        self, place: Place, form: Near, part: Part, values: dict[int, Node], distance: Node
    ) -> Node:
        """A part next to the place: powers of values times a polynomial."""
        t, powers = self.table, dict(part.rest)
        factors: list[Node] = []
        if place.point:
            factors += [t.pow(distance, form.lead)] if form.lead else []
        else:
            for s, e in place.powers:
                powers[s] = powers.get(s, Fraction(0)) + e * form.lead
        if any(powers.values()):
            factors.append(self._product(powers.items(), values))
        return t.mul(*factors, self._near(form, distance))

    def _direct_value(self, place: Place, part: Part, values: dict[int, Node]) -> Node:
        """A part as it is: its function of the value, times powers of others."""
        t = self.table
        made: dict[int, Node] = {}
        for node in topological([part.function]):
            if node.op != "symbol":
                made[node.serial] = t.make(node.op, [made[a.serial] for a in node.args], node.attrs)
            elif node.attrs[0] in FIXED:
                made[node.serial] = t.constant(FIXED[node.attrs[0]])
            else:
                made[node.serial] = self._product(place.powers, values)
        return t.mul(self._product(part.rest, values), made[part.function.serial])

    def _difference(self, place: Place, values: dict[int, Node]) -> Node:
        """The value less the point, with one rounding where it is close: (n*a - m*b)/(n*b) for a/b - m/n."""
        t, context = self.table, self.context
        top = [t.pow(values[s], context.constant(simplest(e))) for s, e in place.powers if e > 0]
        bottom = [t.pow(values[s], context.constant(simplest(-e))) for s, e in place.powers if e < 0]
        over, under = place.point.as_integer_ratio()
        less = t.add(t.mul(context.constant(under), *top), t.mul(context.constant(-over), *bottom))
        bottom += [context.constant(under)] if under != 1 else []
        return t.mul(less, t.pow(t.mul(*bottom), -1)) if bottom else less

    def _near(self, form: Near, distance: Node) -> Node:
        """The polynomial of the interval that the distance lies in, of which the first begins anywhere."""
        t = self.table
        at = t.make("abs", (distance,)) if form.step == 2 else distance
        u = distance if form.step == 1 else t.pow(distance, 2)
        near = self._polynomial(form.coefficients, u)
        intervals = [(form.limit, near)]
        for piece in form.pieces:
            w = t.add(at, self._number(-piece.middle))
            intervals.append((piece.stop, self._polynomial(piece.coefficients, w)))
        intervals.sort(key=lambda interval: interval[0])
        chosen = intervals[-1][1]
        for stop, value in reversed(intervals[:-1]):
            chosen = t.select(t.make("less", (at, self._number(stop))), value, chosen)
        return chosen

    def _is_within(self, form: Near, distance: Node) -> Node:
        t = self.table
        low = min([-form.limit, *[p.start for p in form.pieces]])
        high = max([form.limit, *[p.stop for p in form.pieces]])
        if form.step == 2 or low == -high:
            return t.make("less", (t.make("abs", (distance,)), self._number(high)))
        above, below = (
            t.make("less", pair) for pair in ((self._number(low), distance), (distance, self._number(high)))
        )
        return t.make("and", (above, below))

    def _polynomial(self, coefficients: Sequence[float], at: Node) -> Node:
        t = self.table
        total: Node | None = None
        for c in reversed(coefficients):
            number = self._number(Fraction(c))
            total = number if total is None else t.add(number, t.mul(at, total))
        assert total is not None
        return total

    def _number(self, value: Fraction) -> Node:
        return self.context.constant(simplest(value))
