"""How a schedule runs: written out without loops, or as loops. Decided by size, with the reason kept."""

from __future__ import annotations

from symprop.schedule.ir import SAMPLES, Buffer, Kernel, Schedule

__all__ = ["plan"]

# instructions per sample up to which a program with loops is written out: about what the instruction cache
# holds
WRITTEN_OUT = 6000


def plan(schedule: Schedule) -> Schedule:
    """Choose the mode of a schedule."""
    straight = schedule.work()
    written = sum(len(nest.inner) + len(nest.body) for nest in schedule.nests)
    reads_sums = _reads_sums(schedule)
    if any(isinstance(nest, Kernel) for nest in schedule.nests):
        schedule.mode = "loops"
        schedule.reasons.append("loops: a kernel works on a whole matrix")
    elif reads_sums:
        schedule.mode = "loops"
        schedule.reasons.append("loops: a sum over the samples is needed for every sample")
    elif straight <= max(WRITTEN_OUT, 2 * written):
        schedule.mode = "unrolled"
        schedule.reasons.append(f"unrolled: {straight} steps per sample, samples in lanes")
        for buffer in schedule.outputs:
            buffer.samples_last = buffer.batched
    else:
        schedule.mode = "loops"
        schedule.reasons.append(f"loops: {straight} steps per sample written out, more than {WRITTEN_OUT}")
    return schedule


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
