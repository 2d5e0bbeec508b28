"""Equal operations of a sample alone side by side in vectors.

The units of a layer do the same with different numbers, and so do the entries of a gradient; where a formula
names each of them the code has as many scalar operations. A pass of LLVM (superword-level parallelism) finds
those whose operands or results lie next to each other and makes vectors of them. It neither reorders a sum
nor contracts a product, so that the bits stay. Half of the operations are left, and more of the next call
begins while this one ends.
"""

from __future__ import annotations

from collections import Counter

import llvmlite.binding as llvm

from symprop.emit.builder import BARRIER, Target
from symprop.emit.math import CALLS
from symprop.emit.target import machine
from symprop.schedule.ir import Buffer, Schedule

__all__ = ["fits", "packs", "side_by_side"]

LONGEST = 3000  # lines up to which it pays; longer code calls its elementary functions
MOST_STEPS = 2500  # steps up to which it pays: half of the time of loops, and more
MOST_CALLS = 24  # vectors of elementary functions that are written out
CALL = 90  # lines of the longest of them; five steps take four lines


def packs(schedule: Schedule, target: Target, element: str) -> bool:
    """True for a sample alone whose functions may all be written out: by an estimate the code `fits`."""
    steps = schedule.work()
    if schedule.has_samples or steps > MOST_STEPS or not target.fma:
        return False
    calls = _vectors_of_calls(schedule, target.lanes(element))
    return calls <= MOST_CALLS and steps * 4 // 5 + calls * CALL <= LONGEST


def fits(text: str) -> bool:
    """True for a module of one function that is not too long."""
    return text.count("\n") <= LONGEST and text.count("\ndefine ") == 1


def _vectors_of_calls(schedule: Schedule, lanes: int) -> int:
    """Vectors of elementary functions that a sample alone computes: those of one name that wait for equally
    many others share them (`Packing`).
    """
    found: Counter[tuple[str, int]] = Counter()
    stored: dict[Buffer, int] = {}
    for nest in schedule.nests:
        reduced = 0
        for steps, times in ((nest.inner, nest.points() * nest.inner_points()), (nest.body, nest.points())):
            depths: list[int] = []
            for step in steps:
                depth = max((depths[a] for a in step.args), default=0)
                if step.op == "load" and step.buffer is not None:
                    depth = max(depth, stored.get(step.buffer, 0))
                elif step.op == "reduced":
                    depth = reduced
                elif step.op in CALLS:
                    found[step.op, depth] += times
                    depth += 1
                elif step.op == "store" and step.buffer is not None:
                    stored[step.buffer] = max(depth, stored.get(step.buffer, 0))
                depths.append(depth)
            reduced = max(depths, default=0)
    return sum(-(-times // lanes) for times in found.values())


def side_by_side(text: str, target: Target) -> str:
    """The module of one function with its scalar operations packed; a longer one, or of several, as it is."""
    if not fits(text):
        return text
    # the order stays, but not what keeps it: the pass would pack nothing across
    module = llvm.parse_assembly(text.replace(BARRIER + "\n", ""), llvm.create_context())
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    options.slp_vectorization = True
    options.loop_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine(target, 2), options)
    builder.getModulePassManager().run(module, builder)
    return str(module)
