"""Measure symprop beside NumPy written by hand, and beside its peers where they are installed.

    python tests/benchmarks/run.py [W1 W2 W3 W3b W3c W4 W5] [--core 1] [--turns 9] [--output FILE]

Every result is checked against a float64 NumPy reference before it is timed. The contestants of a workload
take turns in one process with one thread; a ratio is the median over the turns of the ratio within a turn.
Peers (see `peers.py`) run between the turns of ours, each in an environment of its own. Only a run of all
workloads writes the document. `workloads.py` defines the workloads.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from benchmarks.machine import one_thread  # noqa: E402

one_thread()  # before NumPy is loaded, which reads it once

from benchmarks import machine, peers  # noqa: E402
from benchmarks.timing import race, ratio  # noqa: E402
from benchmarks.workloads import WORKLOADS, Workload  # noqa: E402


@dataclass
class Row:
    """A measured workload: seconds of each contestant, and how many times faster than NumPy ours are."""

    workload: Workload
    seconds: dict[str, float]
    ratios: dict[str, float]
    others: list[peers.PeerResult] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the workload."""
        return self.workload.name


def measured(workload: Workload, turns: int, block: float = 0.04) -> Row:
    """Race the contestants of one workload, in blocks of so many seconds."""
    times = race(workload.calls, turns, block)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    return Row(workload, seconds, {name: ratio(times, name, "numpy") for name in ("bind", "call")})


def with_peers(rows: list[Row], group: str, core: int | None) -> None:
    """Add what the peers take; our time beside theirs is the mean of one before and one after."""
    results = peers.measure(group, core)
    if not results:
        return
    for row in rows:
        name = row.name.removesuffix(", a scalar per neuron").replace(", 520 samples", "-L2")
        row.others = [r for r in results if r.workload in (name, f"W5-{name}")]
        if row.others:
            again = race({"bind": row.workload.calls["bind"]}, 3)["bind"]
            row.seconds["bind beside peers"] = (row.seconds["bind"] + statistics.median(again)) / 2


# -- text ----------------------------------------------------------------------------------------------------


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def speed_table(rows: list[Row], flops: bool = False) -> str:
    """Times and ratios of all workloads but the growing expressions."""
    lines = []
    for row in rows:
        work, s = row.workload, row.seconds
        rate = f"{work.operations / s['bind'] / 1e9:.0f}" if work.operations else ""
        lines.append(
            [
                row.name,
                work.unit,
                *(short(work.shown(s[name])) for name in ("bind", "call", "numpy")),
                f"**{row.ratios['bind']:.2f}**",
                f"{row.ratios['call']:.2f}",
                rate,
            ]
        )
    head = ["workload", "unit", "`bind`", "call", "NumPy", "NumPy / `bind`", "NumPy / call", "GFLOP/s"]
    return table(head, lines)


def growth_table(rows: list[Row]) -> str:
    """Seconds to be ready and microseconds a call of the growing expressions."""
    lines = []
    for row in rows:
        work, s = row.workload, row.seconds
        calls = [short(work.shown(s[name])) for name in ("bind", "call", "numpy")]
        lines.append([row.name, short(work.derive), short(work.ready), *calls, f"{row.ratios['bind']:.2f}"])
    head = ["expression", "derived, s", "derived and ready, s", "`bind`, us", "call, us", "NumPy, us"]
    return table([*head, "NumPy / `bind`"], lines)


def peer_table(rows: list[Row]) -> str:
    """Time of each peer over ours, the best peer first."""
    lines = []
    for row in rows:
        for other in sorted(row.others, key=lambda r: r.seconds):
            ours = row.seconds["bind beside peers"] / row.workload.per
            scale = row.workload.shown(1.0) * row.workload.per
            prepared = "" if other.prepared is None else short(other.prepared)
            cells = [row.name, f"{other.peer} ({other.variant})", row.workload.unit]
            cells += [short(ours * scale), short(other.seconds * scale)]
            lines.append([*cells, f"{other.seconds / ours:.2f}", prepared])
    head = ["workload", "peer", "unit", "symprop, `bind`", "peer", "peer / symprop", "peer ready, s"]
    return table(head, lines)


TEXT = """# Benchmarks

Written by `{command}` on {date}; do not edit by hand.

{machine}

One thread. Every result was first checked against a float64 NumPy reference (`|found - right| / (1 +
|right|)` at most 1e-10 in float64, 1e-4 in float32). The contestants take turns, {turns} turns of blocks of
40 ms; a time is the median, a ratio is the median of the ratios within a turn: ratios can be compared
between machines and days, times cannot. `bind` is `f.bind(...)()`, the call with its buffers bound once;
`call` is `f.value_and_grad(...)`, which checks its arguments and allocates its results. Both give value and
all gradients. NumPy is `tests/benchmarks/byhand.py`: forward and backward formulas written by hand over
whole arrays. The workloads are defined in `tests/benchmarks/workloads.py`.

{speed}

GFLOP/s counts the matrix products of the formulas alone.

## Growing expressions

Scalars only, every one an argument of its own. Seconds are processor time, nothing cached: `derived` from
no equations to the rewritten program of value and all derivatives, `derived and ready` to the first result.
`mlp-n` is a network n-n-n-1 with an equation for every neuron (mlp-32 has 2,145 parameters), `chain-n`
repeats `s = sin(s) v[k] + s`, `prod-n` is a product of n variables. A call passes every number by itself,
which is why `bind` exists.

{growth}

The network 784-256-128-10 (batch 64, float32) is derived in {derive:.3f} s and ready in {ready:.3f} s, as
matrices.

## Peers

{peers}
"""

PEERS = """Each in an environment of its own, between two measurements of ours, each in its strongest variant.
`peer / symprop` over 1 means that symprop is faster. Peers choose the layout of their arrays, several use
fast-math, and none checks class indices. `ready` is their time to derive and compile, where it is known.

"""

NO_PEERS = """Not measured here. With the environment variable `{variable}` the same command measures casadi,
gcc, heyoka, jax, numba, pytensor, symengine and torch in the same run: see `tests/benchmarks/peers.py`."""


def document(groups: dict[str, list[Row]], options: argparse.Namespace) -> str:
    """The whole page."""
    rows = [row for name, group in groups.items() if name != "W5" for row in group]
    everything = [row for group in groups.values() for row in group]
    network = next(row.workload for row in rows if row.name == "W3-64")
    beside = NO_PEERS.format(variable=peers.VARIABLE)
    if any(row.others for row in everything):
        beside = PEERS + peer_table(everything)
    return TEXT.format(
        command="python tests/benchmarks/run.py",
        date=datetime.datetime.now(tz=datetime.UTC).date(),
        machine=machine.described(),
        turns=options.turns,
        speed=speed_table(rows),
        growth=growth_table(groups["W5"]),
        derive=network.derive,
        ready=network.ready,
        peers=beside,
    )


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="default: all")
    parser.add_argument("--core", type=int, help="run on this core alone")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    options = parser.parse_args()
    if options.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core})
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    groups: dict[str, list[Row]] = {}
    for name in options.workloads or WORKLOADS:
        groups[name] = []
        for workload in WORKLOADS[name]():
            row = measured(workload, options.turns)
            groups[name].append(row)
            print(progress(row), flush=True)
        with_peers(groups[name], name, options.core)
    if any(row.others for group in groups.values() for row in group):
        print(peer_table([row for group in groups.values() for row in group]))
    if set(groups) == set(WORKLOADS):
        options.output.write_text(document(groups, options))
        print(f"written: {options.output}")


def progress(row: Row) -> str:
    """One line while it runs."""
    work = row.workload
    shown = "  ".join(f"{name} {short(work.shown(s)):>7}" for name, s in row.seconds.items())
    ready = f"  ready in {work.ready:.2f} s" if work.ready else ""
    return f"{row.name:26} {work.unit:14} {shown}  {row.ratios['bind']:.2f} x NumPy{ready}"


if __name__ == "__main__":
    main()
