"""Where on the way back a gradient went wrong: the adjoints of the named nodes against finite differences.

Asked only when a derived gradient is wrong and every rule by itself is right: then a path was lost, or taken
twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from symprop.differentiate import reverse
from symprop.graph import Node
from symprop.verify.differences import Plan, difference_rows, run_checks
from symprop.verify.problem import Gradient, Problem, shape_of
from symprop.verify.report import Row

__all__ = ["adjoint_rows"]

_MOST = 100  # named nodes that are looked at, those nearest to the target first


def adjoint_rows(problem: Problem, named: Sequence[tuple[str, Node]]) -> list[Row]:
    """The rows of the adjoints that are wrong, in the order of backpropagation; the first one says that it
    is.
    """
    wrt = [g.wrt for g in problem.gradients]
    found = reverse.adjoints(problem.table, problem.target, wrt)
    inputs = {node.serial for node in wrt}
    gradients = []
    for name, node in sorted(named, key=lambda pair: -pair[1].serial):
        if node.serial in found and node.serial not in inputs and node is not problem.target:
            adjoint = found[node.serial]
            value = problem.table.full(0, node.shape) if adjoint is None else adjoint
            gradients.append(Gradient(node, value, f"d/d{name}"))
    local = replace(problem, gradients=gradients[:_MOST])
    random = np.random.default_rng([problem.seed, 4])
    plans = [
        Plan((), (random.standard_normal(shape_of(g.wrt)),), "") if g.wrt.shape else Plan((0,), (), "")
        for g in local.gradients
    ]
    rows = [row for row in difference_rows(local, plans, run_checks(local, plans)) if not row.passed]
    first = "the first wrong adjoint on the way back; what it is computed from is right"
    return [
        replace(row, method="adjoint", note="; ".join(filter(None, [first * (k == 0), row.note])))
        for k, row in enumerate(rows)
    ]
