"""Measure symprop beside NumPy written by hand, and beside its peers where they are installed.

    python tests/benchmarks/run.py [W1 W2 W3 W3b W3c W4 threads products W5] [--core 1] [--turns 9]
        [--peers KIT:ENVIRONMENTS] [--peer-seconds 30] [--output FILE]

Every result is checked against a float64 NumPy reference before it is timed. The contestants of a workload
take turns in one process with one thread (`threads`: two); a ratio is the median over the turns of the ratio
within a turn. What the machine can do at most (multiply-adds, filling of memory) takes turns with them.
Peers (see `peers.py`) run between the turns of ours, each in an environment of its own. Only a run of all
workloads writes the document. `workloads.py` defines the workloads.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import sys
from collections.abc import Iterable
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
    """A measured workload: seconds of each contestant, how many times faster than NumPy ours are, and the
    share of the limit of the machine that the bound call reaches.
    """

    workload: Workload
    seconds: dict[str, float]
    ratios: dict[str, float]
    share: float | None = None
    others: list[peers.PeerResult] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the workload."""
        return self.workload.name

    @property
    def best(self) -> peers.PeerResult | None:
        """The quickest peer; NumPy is one of them in the kit."""
        return min(self.others, key=lambda other: other.seconds, default=None)

    def against(self, other: peers.PeerResult) -> float:
        """How many times faster than a peer ours is."""
        ours = self.seconds.get("bind beside peers", self.seconds["bind"])
        return other.seconds * self.workload.per / ours


def measured(workload: Workload, turns: int, block: float = 0.04) -> Row:
    """Race the contestants of one workload, in blocks of so many seconds."""
    calls, limit = dict(workload.calls), workload.limit
    if limit is not None:
        calls["limit"] = limit.call
    times = race(calls, turns, block)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    ratios = {name: ratio(times, name, "numpy") for name in ("bind", "call") if name in calls}
    if "alone" in calls:
        ratios["alone"] = ratio(times, "bind", "alone")
    share = None
    if limit is not None:
        share = workload.amount / limit.amount * ratio(times, "bind", "limit")
    return Row(workload, seconds, ratios, share)


def with_peers(rows: list[Row], group: str, core: int | None, seconds: float = peers.PATIENCE) -> None:
    """Add what the peers take; our time beside theirs is the mean of one before and one after."""
    if group == "products":
        results = peers.measure_products(core, seconds)
    elif group == "threads":
        first = two_cores(core)[0]
        results = [r for name in ("W3", "W3c") for r in peers.measure(name, first, 2, seconds)]
    else:
        results = peers.measure(group, core, seconds=seconds)
    if not results:
        return
    for row in rows:
        name = row.name.removesuffix(", a scalar per neuron").replace(", 520 samples", "-L2")
        name = name.removesuffix(", 2 threads")
        row.others = [r for r in results if r.workload in (name, f"W5-{name}")]
        if row.others:
            again = race({"bind": row.workload.calls["bind"]}, 3)["bind"]
            row.seconds["bind beside peers"] = (row.seconds["bind"] + statistics.median(again)) / 2


def two_cores(core: int | None) -> list[int]:
    """Two neighbouring cores, of which `core` is one."""
    last = (os.cpu_count() or 2) - 1
    first = max(0, min(core or 0, last - 1))
    return [first, first + 1]


def pin(cores: Iterable[int]) -> None:
    """Run on these cores alone, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(cores))


# -- text ----------------------------------------------------------------------------------------------------


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def speed_table(rows: list[Row]) -> str:
    """Times and ratios of all workloads but the growing expressions."""
    lines = []
    for row in rows:
        work, s, best = row.workload, row.seconds, row.best
        cells = [row.name, work.unit, *(_shown(row, name) for name in ("bind", "call", "numpy"))]
        cells += [f"**{row.ratios['bind']:.2f}**"]
        cells += ["", ""] if best is None else [best.peer, f"**{row.against(best):.2f}**"]
        cells += [f"{work.operations / s['bind'] / 1e9:.0f}" if work.operations else "", _share(row)]
        lines.append(cells)
    head = ["workload", "unit", "`bind`", "call", "NumPy", "NumPy / `bind`"]
    return table([*head, "best peer", "best peer / `bind`", "GFLOP/s", "share of the limit"], lines)


def thread_table(rows: list[Row]) -> str:
    """What two threads gain."""
    lines = []
    for row in rows:
        best = row.best
        cells = [row.name, row.workload.unit, *(_shown(row, name) for name in ("alone", "bind"))]
        cells += [f"**{row.ratios['alone']:.2f}**"]
        cells += ["", ""] if best is None else [best.peer, f"**{row.against(best):.2f}**"]
        lines.append([*cells, _share(row)])
    head = ["workload", "unit", "one thread", "two", "one / two", "best peer with two", "best peer / ours"]
    return table([*head, "share of two peaks"], lines)


def product_table(rows: list[Row]) -> str:
    """Matrix products alone: every contestant's time over ours."""
    names = sorted({other.peer for row in rows for other in row.others})
    lines = []
    for row in rows:
        work = row.workload
        others = {other.peer: f"{row.against(other):.2f}" for other in row.others}
        cells = [row.name, short(work.shown(row.seconds["bind"])), f"**{row.ratios['bind']:.2f}**"]
        cells += [others.get(name, "") for name in names]
        lines.append([*cells, f"{work.operations / row.seconds['bind'] / 1e9:.0f}", _share(row)])
    head = ["product", "`bind`, us", "NumPy / `bind`", *(f"{name} / `bind`" for name in names)]
    return table([*head, "GFLOP/s", "share of the peak"], lines)


def _shown(row: Row, name: str) -> str:
    return short(row.workload.shown(row.seconds[name])) if name in row.seconds else ""


def _share(row: Row) -> str:
    if row.share is None or row.workload.limit is None:
        return ""
    kind = "" if row.workload.operations else f" ({row.workload.limit.name})"
    return f"{100 * row.share:.0f}%{kind}"


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

A row `-step` is a whole training step in one call (`compile_step`), with Adam, for W3b with gradient
descent. GFLOP/s counts the matrix products of the formulas alone. The limit is what the machine does in the
same turns: multiply-adds of registers (the peak) for rows with matrix products, else filling memory of the
size of the results.

## Two threads

The same networks on two cores, with the same bits.

{threads}

## Matrix products

`N x k x m`: `A B^T` and `A B` are layers `W*x` and `V.T*x` of a batch of N, `A^T B` is the gradient of a sum
of squares with respect to `W`, which takes two products. NumPy and torch write into ready arrays. The share
counts operations in whole vectors along the axis that they fill better.

{products}

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
    apart = ("W5", "threads", "products")
    rows = [row for name, group in groups.items() if name not in apart for row in group]
    everything = [row for group in groups.values() for row in group]
    network = next(row.workload for row in rows if row.name == "W3-64")
    beside = NO_PEERS.format(variable=peers.VARIABLE)
    if any(row.others for row in everything):
        rest = [row for name, group in groups.items() if name != "products" for row in group]
        beside = PEERS + peer_table(rest)
    return TEXT.format(
        command="python tests/benchmarks/run.py",
        date=datetime.datetime.now(tz=datetime.UTC).date(),
        machine=machine.described(),
        turns=options.turns,
        speed=speed_table(rows),
        threads=thread_table(groups["threads"]),
        products=product_table(groups["products"]),
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
    parser.add_argument("--peers", help=f"as the environment variable {peers.VARIABLE}, see peers.py")
    parser.add_argument("--peer-seconds", type=float, default=peers.PATIENCE, help="for a peer and workload")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    options = parser.parse_args()
    if options.peers is not None:
        os.environ[peers.VARIABLE] = options.peers
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    groups: dict[str, list[Row]] = {}
    for name in options.workloads or WORKLOADS:
        groups[name] = []
        if name == "threads":
            pin(two_cores(options.core))
        elif options.core is not None:
            pin([options.core])
        block = 0.01 if name == "products" else 0.04
        for workload in WORKLOADS[name]():
            row = measured(workload, options.turns, block)
            groups[name].append(row)
            print(progress(row), flush=True)
        with_peers(groups[name], name, options.core, options.peer_seconds)
        if any(row.others for row in groups[name]):
            print(product_table(groups[name]) if name == "products" else peer_table(groups[name]), flush=True)
    if set(groups) == set(WORKLOADS):
        options.output.write_text(document(groups, options))
        print(f"written: {options.output}")


def progress(row: Row) -> str:
    """One line while it runs."""
    work = row.workload
    shown = "  ".join(
        f"{name} {short(work.shown(s)):>7}" for name, s in row.seconds.items() if name != "limit"
    )
    more = f"  {row.ratios['alone']:.2f} x one thread" if "alone" in row.ratios else ""
    more += f"  {_share(row)} of the limit" if row.share is not None else ""
    more += f"  ready in {work.ready:.2f} s" if work.ready else ""
    return f"{row.name:36} {work.unit:14} {shown}  {row.ratios['bind']:.2f} x NumPy{more}"


if __name__ == "__main__":
    main()
