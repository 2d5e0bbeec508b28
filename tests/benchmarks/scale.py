"""How the symbolic side grows with the graph: time to declare, derive, compile and bind, by number of nodes.

    python tests/benchmarks/scale.py [100 1000 10000 100000] [--plot docs/scale.svg]

Processor time of one process, for the chain `s = sin(s)*v + s` with a name and a parameter for every step and
the gradient with respect to all parameters; three nodes a step.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from pathlib import Path

import numpy as np
import sympy as sp

import symprop


def chain(steps):
    v = sp.symbols(f"v:{steps + 1}")
    here, equations = v[steps], []
    for k in range(steps):
        name = sp.Symbol(f"s{k}")
        equations.append((name, sp.sin(here, evaluate=False) * v[k] + here))
        here = name
    return equations, list(v)


def measure(nodes):
    equations, args = chain(nodes // 3)
    values = [np.array(0.1 + 0.001 * (k % 97)) for k in range(len(args))]
    marks = [time.process_time()]
    graph = symprop.Graph(equations)
    marks.append(time.process_time())
    function = symprop.compile(graph, args, wrt=args)
    marks.append(time.process_time())
    step = function.bind(*values)
    step()
    marks.append(time.process_time())
    start = time.perf_counter()
    step()
    call = time.perf_counter() - start
    return [b - a for a, b in itertools.pairwise(marks)], call


def main(sizes):
    measure(30)  # what is loaded once
    print(
        "| nodes | `Graph` (s) | `compile` (s) | native code, first call (s) | all (s) "
        "| per node (us) | call (us) |"
    )
    print("|---|---|---|---|---|---|---|")
    rows = []
    for nodes in sizes:
        parts, call = measure(nodes)
        shown = " | ".join(f"{p:.2f}" for p in [*parts, sum(parts)])
        print(f"| {nodes:,} | {shown} | {sum(parts) / nodes * 1e6:.0f} | {call * 1e6:.0f} |", flush=True)
        rows.append((nodes, [*parts, sum(parts)]))
    return rows


def plot(rows):
    """Seconds by nodes, both axes logarithmic; the grey line is linear growth through the last point."""
    width, height, colours = 420, 300, ("#2563eb", "#15803d", "#b45309", "#111")
    names = ("Graph", "compile", "native code", "all")

    def place(nodes, seconds):
        x = 40 + (math.log10(nodes) - 2) / 3 * (width - 60)
        y = 15 + (2 - math.log10(max(seconds, 1e-3))) / 5 * (height - 45)
        return f"{x:.1f} {y:.1f}"

    last, total = rows[-1][0], rows[-1][1][-1]
    ideal = " L".join(place(n, total * n / last) for n, _ in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-20 0 {width + 50} {height}" '
        f'width="{width + 50}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect x="-20" width="{width + 50}" height="{height}" fill="#fff"/>',
        f'<path d="M{ideal}" stroke="#bbb" stroke-width="4" fill="none"/>',
    ]
    for k, (name, colour) in enumerate(zip(names, colours, strict=True)):
        path = " L".join(place(n, values[k]) for n, values in rows)
        parts.append(f'<path d="M{path}" stroke="{colour}" stroke-width="1.5" fill="none"/>')
        parts.append(f'<text x="50" y="{30 + 14 * k}" fill="{colour}">{name}</text>')
    for power in range(2, 6):
        x, y = place(10**power, 1e-3).split()
        parts.append(f'<text x="{x}" y="{float(y) + 18:.1f}" text-anchor="middle">10^{power} nodes</text>')
    for power in range(-3, 3):
        x, y = place(100, 10.0**power).split()
        parts.append(f'<text x="{float(x) - 6:.1f}" y="{y}" text-anchor="end">{10.0**power:g} s</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    arguments = sys.argv[1:]
    target = arguments[arguments.index("--plot") + 1] if "--plot" in arguments else None
    sizes = [int(a) for a in arguments if a.isdigit()]
    measured = main(sizes or [100, 1000, 10_000, 100_000])
    if target:
        Path(target).write_text(plot(measured), encoding="utf-8")
