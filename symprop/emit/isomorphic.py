"""Equal operations of a sample alone side by side in vectors.

The units of a layer do the same with different numbers, and so do the entries of a gradient; where a formula
names each of them the code has as many scalar operations. A pass of LLVM (superword-level parallelism) finds
those whose operands or results lie next to each other and makes vectors of them. It neither reorders a sum
nor contracts a product, so that the bits stay. Half of the operations are left, and more of the next call
begins while this one ends.
"""

from __future__ import annotations

import llvmlite.binding as llvm

from symprop.emit.builder import BARRIER, Target
from symprop.emit.target import machine

__all__ = ["side_by_side"]

LONGEST = 2500  # lines up to which it pays; longer code calls its elementary functions


def side_by_side(text: str, target: Target) -> str:
    """The module of one function with its scalar operations packed; a longer one, or of several, as it is."""
    if text.count("\n") > LONGEST or text.count("\ndefine ") != 1:
        return text
    # the order stays, but not what keeps it: the pass would pack nothing across
    module = llvm.parse_assembly(text.replace(BARRIER + "\n", ""), llvm.create_context())
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.slp_vectorization = True
    options.loop_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine(target, 2), options)
    builder.getModulePassManager().run(module, builder)
    return str(module)
