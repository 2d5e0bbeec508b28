"""Counts of work that do not depend on the machine or its mood, for the workloads W1 to W4.

    python tests/emit/counts.py            # print them
    python tests/emit/counts.py --write    # renew tests/emit/baseline.json

From the schedule: steps, loads, stores and calls of elementary functions of one call (64 samples), bytes of
the workspace for a sample. From the assembly for pinned targets: instructions, the innermost loops with what
one turn of all of them takes, accesses to the stack within them, and the decisions for the matrix products.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sympy as sp
from llvmlite import binding as llvm

import symprop
from symprop import nn
from symprop.emit.builder import Target
from symprop.emit.math import CALLS
from symprop.emit.program import emit
from symprop.run.engine import assembly
from symprop.schedule.ir import Schedule

BASELINE = Path(__file__).with_name("baseline.json")
SAMPLES = 64
TRIPLE = "x86_64-unknown-linux-gnu"
TARGETS = {
    "x86-64-v4": Target(TRIPLE, "x86-64-v4", "", 512, 32, True),
    "x86-64-v3": Target(TRIPLE, "x86-64-v3", "", 256, 16, True),
    "sse2": Target(TRIPLE, "x86-64", "", 128, 16, False),
    "neon": Target("aarch64-unknown-linux-gnu", "generic", "+neon", 128, 32, True),
}
COUNTED = ("x86-64-v4", "x86-64-v3")  # for these the assembly is counted, for all the decisions


def network(sizes: list[int], activation: Any, column: bool = False) -> tuple[Any, list[Any], Any, Any]:
    """Layers of a class, with softmax cross-entropy of a class index or of a column."""
    x = sp.MatrixSymbol("x", sizes[0], 1)
    y = sp.MatrixSymbol("y", sizes[-1], 1) if column else sp.Symbol("y", integer=True)
    params, equations, below = [], [], x
    for k, (a, b) in enumerate(pairwise(sizes)):
        w, c = sp.MatrixSymbol(f"W{k}", b, a), sp.MatrixSymbol(f"b{k}", b, 1)
        h, total = sp.MatrixSymbol(f"h{k}", b, 1), w * below + c
        equations.append((h, total if k == len(sizes) - 2 else activation(total)))
        params += [w, c]
        below = h
    return symprop.Graph([*equations, (sp.Symbol("L"), nn.cross_entropy(below, y))]), params, x, y


def mlp(sizes: list[int], activation: Any, dtype: str, reduce: str | None, column: bool = False) -> Any:
    graph, params, x, y = network(sizes, activation, column)
    batch = [] if reduce == "one" else [x, y]
    options = {} if reduce in (None, "one") else {"reduce": reduce}
    wanted = {"args": [*params, x, y], "wrt": params, "dtype": dtype, **options}
    return symprop.compile(graph, **wanted, **({"batch": batch} if batch else {}))


def activations(dtype: str) -> Any:
    x = sp.Symbol("x")
    value = nn.gelu(x) * nn.sigmoid(sp.Rational(1702, 1000) * x) + nn.softplus(x)
    return symprop.compile(value, args=[x], wrt=[x], batch=[x], dtype=dtype)


WORKLOADS: dict[str, tuple[str, Callable[[], Any]]] = {
    "W1": ("double", lambda: mlp([3, 4, 4, 2], nn.tanh, "float64", "one", column=True)),
    "W2-sum": ("double", lambda: mlp([3, 4, 4, 2], nn.tanh, "float64", "sum", column=True)),
    "W2-persample": ("double", lambda: mlp([3, 4, 4, 2], nn.tanh, "float64", None, column=True)),
    "W3": ("float", lambda: mlp([784, 256, 128, 10], nn.relu, "float32", "mean")),
    "W3b": ("float", lambda: mlp([64, 32, 10], nn.tanh, "float32", "mean")),
    "W3c": ("float", lambda: mlp([784, 1024, 1024, 10], nn.relu, "float32", "mean")),
    "W4-f64": ("double", lambda: activations("float64")),
    "W4-f32": ("float", lambda: activations("float32")),
}


def of_schedule(schedule: Schedule) -> dict[str, int]:
    """What one call does, by the schedule."""
    found = {"steps": 0, "loads": 0, "stores": 0, "calls": 0}
    for nest in schedule.nests:
        points = nest.points(SAMPLES)
        for steps, times in ((nest.inner, points * nest.inner_points(SAMPLES)), (nest.body, points)):
            for step in steps:
                found["steps"] += times
                found["loads"] += times * (step.op == "load")
                found["stores"] += times * (step.op == "store")
                found["calls"] += times * (step.op in CALLS)
    return found


def of_assembly(text: str) -> dict[str, int]:
    """Instructions, and those of innermost loops: from a label to the jump back to it, with no other
    between.
    """
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    code = [x for x in lines if x and (not x.startswith(".") or x.endswith(":")) and x[0] not in '"/']
    labels: dict[str, int] = {}
    loops: list[tuple[int, int]] = []
    for number, line in enumerate(code):
        if line.endswith(":"):
            labels[line[:-1]] = number
            continue
        jump = re.match(r"j\w+\s+(\S+)$", line)
        if jump and jump.group(1) in labels:
            loops.append((labels[jump.group(1)], number))
    innermost = [p for p in loops if not any(q != p and p[0] <= q[0] and q[1] <= p[1] for q in loops)]
    inside = [x for a, b in innermost for x in code[a : b + 1] if not x.endswith(":")]
    return {
        "instructions": sum(not x.endswith(":") for x in code),
        "innermost loops": len(innermost),
        "instructions in them": len(inside),
        "multiply-adds in them": sum(x.startswith(("vfm", "vfnm")) for x in inside),
        "stack accesses in them": sum("%rsp)" in x for x in inside),
    }


def counts(name: str) -> dict[str, Any]:
    """Everything about one workload."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    element, make = WORKLOADS[name]
    schedule = make().schedule
    result: dict[str, Any] = {"mode": schedule.mode, "schedule": of_schedule(schedule)}
    kept = schedule.memory, schedule.kernels
    for level, target in TARGETS.items():
        text, memory = emit(schedule, element, target)
        found: dict[str, Any] = {"decisions": list(schedule.kernels)}
        if level in COUNTED:
            found["workspace"] = [memory.fixed, memory.per_sample]
            found["assembly"] = of_assembly(assembly(text, target, 2))
        result[level] = found
    schedule.memory, schedule.kernels = kept
    return result


def main() -> None:
    """Print the counts, or write them."""
    found = {name: counts(name) for name in WORKLOADS}
    text = json.dumps(found, indent=1) + "\n"
    if "--write" in sys.argv:
        BASELINE.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
