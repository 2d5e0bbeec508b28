"""Why a list of equations is no graph: a name used before its equation, or a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from symprop.errors import GraphError

__all__ = ["explain"]


def explain(pairs: Sequence[tuple[sp.Basic, Any]], at: int, early: Sequence[sp.Basic]) -> GraphError:
    """The error for equation `at`, which uses the names `early` that later equations (or itself) define."""
    defined = {symbol: k for k, (symbol, _) in enumerate(pairs)}
    needs = [[defined[s] for s in _symbols(expression) if s in defined] for _, expression in pairs]
    cycle = _cycle(needs, at)
    if cycle is not None:
        members = [str(pairs[k][0]) for k in cycle]
        if len(members) == 1:
            return GraphError(
                f"{members[0]} is defined by itself (a cycle of one equation); give the new value another "
                "name"
            )
        return GraphError(
            f"the equations of {', '.join(members)} form a cycle: {' needs '.join([*members, members[0]])}; "
            "no order of them defines each name before it is used"
        )
    symbol, name = pairs[at][0], early[0]
    return GraphError(
        f"{name} is used before its equation: equation {at + 1} ({symbol}) needs it, and equation "
        f"{defined[name] + 1} defines it; put the equation of {name} first"
    )


def _symbols(expression: Any) -> list[sp.Basic]:
    """The symbols of an expression, in order of occurrence, without recursion."""
    found: dict[sp.Basic, None] = {}
    seen: set[int] = set()
    todo = [expression]
    while todo:
        inner = todo.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        if isinstance(inner, sp.Symbol | sp.MatrixSymbol):
            found[inner] = None
        elif isinstance(inner, sp.MatrixBase):
            todo.extend(reversed(inner.flat()))
        elif isinstance(inner, sp.Basic):
            todo.extend(reversed(inner.args))
    return list(found)


def _cycle(needs: Sequence[Sequence[int]], start: int) -> list[int] | None:
    """The equations of a cycle that is reached from one equation, each needing the next; None if there is
    none.
    """
    path = [start]
    on_path = {start}
    done: set[int] = set()
    branches = [iter(needs[start])]
    while path:
        after = next(branches[-1], None)
        if after is None:
            branches.pop()
            on_path.discard(path[-1])
            done.add(path.pop())
        elif after in on_path:
            return path[path.index(after) :]
        elif after not in done:
            path.append(after)
            on_path.add(after)
            branches.append(iter(needs[after]))
    return None
