"""The ordered list of passes, and the function that runs them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import sympy as sp

from symprop.graph import Node, NodeTable
from symprop.rewrite.batch import batch_sums
from symprop.rewrite.context import Context
from symprop.rewrite.definitions import definitions
from symprop.rewrite.exact_arguments import exact_arguments
from symprop.rewrite.integers import whole_numbers
from symprop.rewrite.linear import linear_systems
from symprop.rewrite.lowering import contractions, two_operands
from symprop.rewrite.powers import powers
from symprop.rewrite.report import PassReport, Report
from symprop.rewrite.rounded_arguments import rounded_arguments
from symprop.rewrite.sharing import common_parts
from symprop.rewrite.simplify import simplify
from symprop.rewrite.stable import stable_forms

__all__ = ["PASSES", "Pass", "optimise"]

Pass = Callable[[NodeTable, Sequence[Node], Context], list[Node]]

# What the roots do not need is never visited: every pass starts from them, so dead code needs no pass.
PASSES: tuple[tuple[str, Pass], ...] = (
    ("definitions", definitions),
    ("simplify", simplify),
    ("stable forms", stable_forms),
    ("batch sums", batch_sums),
    ("linear systems", linear_systems),
    ("simplify again", simplify),
    ("exact arguments", exact_arguments),
    ("rounded arguments", rounded_arguments),
    ("common parts", common_parts),
    ("powers", powers),
    ("whole numbers", whole_numbers),
    ("two operands", two_operands),
    ("multiply and add", contractions),
)


def optimise(
    table: NodeTable,
    roots: Sequence[Node],
    *,
    accuracy: str = "precise",
    batched: frozenset[sp.Basic] = frozenset(),
    passes: Sequence[tuple[str, Pass]] = PASSES,
) -> tuple[list[Node], Report]:
    """The same values as `roots` with fewer operations, over primitives and two-operand forms, and what
    was done.

    `batched` are the input symbols with a sample axis. `accuracy` is "precise", "fast" or "as_written" (no
    stable forms, no reordering of sums that the user nested, no `fma`). The result lives in `table`, one
    node for each root.

    >>> import sympy as sp
    >>> from symprop.graph import NodeTable
    >>> t = NodeTable()
    >>> x, y = t.symbol(sp.Symbol("x")), t.symbol(sp.Symbol("y"))
    >>> (root,), report = optimise(t, [t.add(t.mul(x, x, y), t.mul(x, y))])
    >>> [n.op for n in t.nodes if n.serial == root.serial]
    ['fma']
    """
    context = Context(table, accuracy, batched)
    current = list(roots)
    reports = []
    for name, function in passes:
        context.fired.clear()
        start = time.perf_counter()
        after = function(table, current, context)
        seconds = time.perf_counter() - start
        reports.append(PassReport(name, tuple(current), tuple(after), seconds, dict(context.fired)))
        current = after
    return current, Report(tuple(reports))
