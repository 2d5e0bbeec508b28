"""How the symbolic side grows with the graph: time to declare, derive, compile and bind, by number of nodes.

    python tests/benchmarks/scale.py [100 1000 10000 100000]

Processor time of one process, for the chain `s = sin(s)*v + s` with a name and a parameter for every step and
the gradient with respect to all parameters; three nodes a step.
"""

from __future__ import annotations

import itertools
import sys
import time

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
    for nodes in sizes:
        parts, call = measure(nodes)
        shown = " | ".join(f"{p:.2f}" for p in [*parts, sum(parts)])
        print(f"| {nodes:,} | {shown} | {sum(parts) / nodes * 1e6:.0f} | {call * 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main([int(a) for a in sys.argv[1:]] or [100, 1000, 10_000, 100_000])
