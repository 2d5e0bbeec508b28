"""How a schedule runs: written out without loops, as a tape, or as loops. Decided by size, with the reason
kept.
"""

from __future__ import annotations

from symprop.schedule.ir import SAMPLES, Buffer, Kernel, Schedule
from symprop.schedule.memory import shorten_lives

__all__ = ["plan"]

# instructions per sample up to which a program with loops is written out: about what the instruction cache
# holds
WRITTEN_OUT = 6000
# the same without samples, where loops of vectors take half of the time from 3,000 steps on: the chain of a
# sample alone no longer hides the number of operations
WRITTEN_OUT_ALONE = 1500
# multiplications per sample in products, from which on loops take no longer for many samples (0.5 to 1.0 of
# the time), and a fifth to a half for few, since straight code works on up to 64 at a time; where less than
# one of OTHERS steps is none of a product, fewer do. More than EACH of them a product: narrow layers, however
# many, leave vectors along their rows half empty
PRODUCTS, PRODUCTS_ALONE, OTHERS, EACH = 900, 200, 10, 100
# longer programs become a tape if loops would not make them this much shorter: machine code for each of their
# steps takes LLVM 40 to 900 us a step and is at most 2 to 3 times quicker to run, not at all from 100,000
# steps on
SHORTER = 2
# the code of so many steps in loops takes LLVM about 8 s: then a tape it is, unless it would be this much
# longer
MANY, MUCH_SHORTER = 20_000, 30


def plan(schedule: Schedule, packs: bool = False) -> Schedule:
    """Choose the mode of a schedule; `packs` says that a sample alone takes less time written out: its equal
    operations share vectors.
    """
    straight = schedule.work()
    written = sum(len(nest.inner) + len(nest.body) for nest in schedule.nests)
    reads_sums = _reads_sums(schedule)
    most = WRITTEN_OUT if schedule.has_samples else WRITTEN_OUT_ALONE
    shortest = (SHORTER if written <= MANY else MUCH_SHORTER) * written  # that loops are worth
    if any(isinstance(nest, Kernel) for nest in schedule.nests):
        schedule.mode = "loops"
        schedule.reasons.append("loops: a kernel works on a whole matrix")
    elif reads_sums:
        schedule.mode = "loops"
        schedule.reasons.append("loops: a sum over the samples is needed for every sample")
    elif straight > shortest and (wide := _wide_products(schedule)):
        schedule.mode = "loops"
        schedule.reasons.append(f"loops: {wide} multiplications per sample in matrix products")
    elif packs or straight <= max(most, shortest):
        schedule.mode = "unrolled" if straight <= WRITTEN_OUT else "tape"
        schedule.reasons.append(f"{schedule.mode}: {straight} steps per sample, samples in lanes")
        for buffer in schedule.outputs:
            buffer.samples_last = buffer.batched
    else:
        schedule.mode = "loops"
        schedule.reasons.append(f"loops: {straight} steps per sample written out, more than {most}")
    if schedule.mode == "loops":
        shorten_lives(schedule)
    return schedule


def _wide_products(schedule: Schedule) -> int:
    """The multiplications per sample in matrix products, if they are better done in loops, else 0."""
    products = others = count = 0
    for nest in schedule.nests:
        over = SAMPLES in nest.axes
        if not over and SAMPLES not in nest.reduce_axes:
            continue
        if nest.product:
            count += 1
            products += nest.points() * nest.inner_points()
        else:
            others += nest.points() * nest.inner_points() * len(nest.inner)
        others += nest.points() * len(nest.body) if over else 0
    alone = (OTHERS - 1) * others < 3 * products
    enough = products >= (PRODUCTS_ALONE if alone else PRODUCTS) and products > EACH * count
    return products if enough else 0


def _reads_sums(schedule: Schedule) -> bool:
    """True where a nest over samples reads a result of a sum over samples."""
    late: set[Buffer | None] = set()
    for nest in schedule.nests:
        loads = {s.buffer for s in [*nest.inner, *nest.body] if s.op == "load"}
        stores = {s.buffer for s in nest.body if s.op == "store"}
        over_samples = SAMPLES in nest.axes or SAMPLES in nest.reduce_axes
        if over_samples and loads & late:
            return True
        if SAMPLES in nest.reduce_axes or loads & late:
            late |= stores
    return False
