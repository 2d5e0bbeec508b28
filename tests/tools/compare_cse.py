"""Operation counts of symprop's joint forward and backward program beside those of `sympy.cse`.

    python tests/tools/compare_cse.py docs/cse.md

Both get the same outputs: a scalar expression and its gradient. sympy differentiates once per variable and
gives all outputs to `sympy.cse`; symprop derives the gradient by reverse mode and rewrites. Counts do not
depend on the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import sympy as sp

from symprop.declare import as_graph
from symprop.differentiate import adjoints
from symprop.graph import topological
from symprop.rewrite import OperationCounts, count_operations, optimise

Case = tuple[sp.Expr, Sequence[sp.Symbol]]


@dataclass
class Count:
    """Operations of one program: additions, multiplications, divisions and roots; calls of functions."""

    arithmetic: int = 0
    calls: int = 0


# -- counting what sympy.cse leaves ---------------------------------------------------------------


def count_sympy(expressions: Sequence[sp.Expr]) -> Count:
    """As C code would be written: a/b is one division, a - b one subtraction, x**3 two products."""
    count = Count()
    todo = [e for e in expressions if not e.is_Atom]
    while todo:
        e = todo.pop()
        if e.is_Add:
            count.arithmetic += len(e.args) - 1
            count.arithmetic += all(_without_sign(a) is not a for a in e.args)
            todo.extend(_without_sign(a) for a in e.args)
        elif e.is_Mul:
            below = [1 / f for f in e.args if f.is_Pow and f.exp.is_Rational and f.exp < 0]
            above = [f for f in e.args if not (f.is_Pow and f.exp.is_Rational and f.exp < 0)]
            signs = [f for f in above if f == -1]
            above = [f for f in above if f != -1]
            products = max(len(above) - 1, 0) + max(len(below) - 1, 0) + bool(below)
            count.arithmetic += products + bool(signs)
            todo.extend([*above, *below])
        elif e.is_Pow and e.exp.is_Rational and e.exp.q in (1, 2) and e.base != sp.E:
            whole, half = int(abs(e.exp)), e.exp.q == 2
            squarings = whole.bit_length() - 1 + bin(whole).count("1") - 1 if whole else 0
            count.arithmetic += squarings + half + (half and whole > 0) + bool(e.exp < 0)
            todo.append(e.base)
        elif not e.is_Atom:
            count.calls += 1
            todo.extend(e.args if e.is_Function else [a for a in e.args if not a.is_Atom])
    return count


def _without_sign(term: sp.Expr) -> sp.Expr:
    return -term if term.is_Mul and term.args[0] == -1 else term


def by_sympy(expression: sp.Expr, wrt: Sequence[sp.Symbol]) -> Count:
    """`sympy.cse` on the value and its derivatives."""
    outputs = [expression, *[sp.diff(expression, s) for s in wrt]]
    replacements, reduced = sp.cse(outputs)
    return count_sympy([*[e for _, e in replacements], *reduced])


def by_symprop(expression: sp.Expr, wrt: Sequence[sp.Symbol], accuracy: str) -> Count:
    """Reverse mode and the passes; a fused multiply and add counts as two operations."""
    graph = as_graph(expression)
    (name,) = graph.outputs
    table, target = graph.table, graph.nodes[name]
    inputs = [graph.nodes[s] for s in wrt]
    gradients = adjoints(table, target, inputs)
    roots = [target, *[gradients[n.serial] or table.constant(0) for n in inputs]]
    program, _ = optimise(table, roots, accuracy=accuracy)
    counts: OperationCounts = count_operations(topological(program))
    return Count(counts.arithmetic + counts.comparisons, counts.transcendental)


# -- the formulas ---------------------------------------------------------------------------------


def _affine(weights: sp.Matrix, x: Sequence[sp.Expr], bias: Sequence[sp.Expr]) -> list[sp.Expr]:
    rows, columns = weights.shape
    return [sp.Add(*[weights[i, j] * x[j] for j in range(columns)], bias[i]) for i in range(rows)]


def _parameters(name: str, rows: int, columns: int) -> tuple[sp.Matrix, list[sp.Symbol]]:
    w = sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"{name}_{i}_{j}"))
    return w, [sp.Symbol(f"{name}b_{i}") for i in range(rows)]


def _network(sizes: Sequence[int], loss: Callable[[list[sp.Expr]], sp.Expr]) -> Case:
    values: list[sp.Expr] = list(sp.symbols(f"x:{sizes[0]}"))
    wrt: list[sp.Symbol] = []
    for k, (n, m) in enumerate(pairwise(sizes)):
        w, b = _parameters(f"w{k}", m, n)
        wrt += [*w, *b]
        values = _affine(w, values, b)
        if k < len(sizes) - 2:
            values = [sp.tanh(v) for v in values]
    return loss(values), wrt


def _cross_entropy(z: list[sp.Expr]) -> sp.Expr:
    return sp.log(sp.Add(*[sp.exp(v) for v in z])) - z[0]


def _squares(z: list[sp.Expr]) -> sp.Expr:
    return sp.Add(*[(v - sp.Symbol(f"t{k}")) ** 2 for k, v in enumerate(z)])


def cases() -> dict[str, Case]:
    """Name -> expression and the variables of its gradient."""
    x, y, z = sp.symbols("x y z")
    a, b, c, d = sp.symbols("a b c d")
    w = sp.symbols("w0:3")
    v = sp.symbols("v0:6")
    neuron = 1 / (1 + sp.exp(-(w[0] * x + w[1] * y + w[2])))
    rosenbrock = sp.Add(*[100 * (v[k + 1] - v[k] ** 2) ** 2 + (1 - v[k]) ** 2 for k in range(5)])
    return {
        "x x y + x y": (x * x * y + x * y, [x, y]),
        "(a + b + c)(a + b + d)": ((a + b + c) * (a + b + d), [a, b, c, d]),
        "x y z + (x y)²/(1 + x y)": (x * y * z + (x * y) ** 2 / (1 + x * y), [x, y, z]),
        "product of six": (sp.Mul(*v), list(v)),
        "sigmoid neuron": (neuron, [*w, x, y]),
        "gelu": (x * (1 + sp.erf(x / sp.sqrt(2))) / 2, [x]),
        "Rosenbrock, 6 variables": (rosenbrock, list(v)),
        "distance sqrt(x² + y² + z²)": (sp.sqrt(x**2 + y**2 + z**2), [x, y, z]),
        "softmax regression, 4 features, 3 classes": _network([4, 3], _cross_entropy),
        "network 3-4-4-2, tanh, cross-entropy": _network([3, 4, 4, 2], _cross_entropy),
        "network 4-8-1, tanh, squared error": _network([4, 8, 1], _squares),
    }


def cells_of_symprop(name: str) -> list[str]:
    """The two columns of symprop for a case."""
    expression, wrt = cases()[name]
    counts = [by_symprop(expression, wrt, accuracy) for accuracy in ("as_written", "precise")]
    return [f"{c.arithmetic} + {c.calls}" for c in counts]


def table() -> str:
    """The rows as Markdown."""
    lines = [
        "| outputs: value and gradient | entries | sympy.cse | symprop, as written | symprop, precise |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, (expression, wrt) in cases().items():
        theirs = by_sympy(expression, wrt)
        cells = [f"{theirs.arithmetic} + {theirs.calls}", *cells_of_symprop(name)]
        lines.append(f"| {name} | {1 + len(wrt)} | {' | '.join(cells)} |")
    return "\n".join(lines)


TEXT = """# Common subexpressions, beside sympy.cse

Operations of one evaluation of an expression and its gradient, as *arithmetic + calls*: additions,
subtractions, multiplications, divisions, negations, square roots and comparisons; calls of `exp`, `tanh`
and their like. A fused multiply and add counts as two (with either sign), a constant integer power as the
products it takes by squaring. sympy's column is `sympy.cse([f, *[f.diff(v) for v in wrt]])`; symprop's are
what its passes leave of the joint forward and backward graph, once with `accuracy="as_written"` and once
with the stable forms of `accuracy="precise"` (the shift by the maximum in a sum of exponentials costs
operations and saves digits).

{table}

Made by `python tests/tools/compare_cse.py docs/cse.md`.
"""


def main() -> None:
    text = TEXT.format(table=table())
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
