"""The command of the benchmarks: its page, and peers from a kit that is made up here."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import limits, peers, run, timing
from benchmarks.workloads import Workload

ROW = {"workload": "W1", "peer": "other", "variant": "fast", "median": 3.0, "unit": "us", "compile_s": 0.5}


def workload(name: str, **more: Any) -> Workload:
    calls = {"bind": lambda: None, "call": lambda: sum(range(50)), "numpy": lambda: sum(range(500))}
    return Workload(name, "us", calls, **more)


def groups() -> dict[str, list[run.Row]]:
    names = {"W1": ["W1"], "W3": ["W3-64"], "products": ["A B"], "W5": ["chain-10"]}
    limit = limits.Limit("multiply-adds", lambda: sum(range(100)), 1e6)
    found = {
        group: [
            run.measured(
                workload(name, derive=0.25, ready=0.5, operations=1e6, limit=limit, amount=5e5), 2, block=1e-4
            )
            for name in listed
        ]
        for group, listed in names.items()
    }
    two = workload("W3-64, 2 threads", limit=limit, amount=1e6)
    two.calls["alone"] = lambda: sum(range(100))
    return {**found, "threads": [run.measured(two, 2, block=1e-4)]}


def kit(folder: Path) -> None:
    (folder / "kit").mkdir()
    (folder / "kit" / "run").write_text(
        f"import sys\nif sys.argv[2] == 'W1' and sys.argv[3] == 'other': print({json.dumps(ROW)!r})\n"
    )
    python = folder / "other" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")


def test_ratios_come_from_each_turn() -> None:
    times = {"bind": [1.0, 2.0, 1.0], "numpy": [3.0, 8.0, 5.0]}
    assert timing.ratio(times, "bind", "numpy") == 4.0
    assert len(timing.race({"bind": lambda: None}, turns=3, block=1e-5)["bind"]) == 3


def test_the_share_of_a_limit_and_the_best_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"bind": [2.0, 2.0], "numpy": [6.0, 6.0], "alone": [3.0, 3.0], "limit": [1.0, 1.0]}
    monkeypatch.setattr(run, "race", lambda calls, turns, block: {name: times[name] for name in calls})
    two = workload("it", limit=limits.Limit("multiply-adds", lambda: None, 100.0), amount=150.0, per=10)
    two.calls = dict.fromkeys(("bind", "numpy", "alone"), lambda: None)
    row = run.measured(two, 2)
    assert row.share == 0.75 and row.ratios == {"bind": 3.0, "alone": 1.5}
    row.others = [peers.PeerResult("it", name, "", s, None) for name, s in (("a", 0.8), ("b", 0.4))]
    assert row.best is not None and row.best.peer == "b"
    assert row.against(row.best) == 2.0


def test_limits_do_what_they_say() -> None:
    limit = limits.fill(4096)
    limit.call()
    assert limit.amount == 4096
    limits.multiply_adds("float64").call()


def test_the_page_without_and_with_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(peers.VARIABLE, raising=False)
    found = groups()
    run.with_peers(found["W1"], "W1", None)
    page = run.document(found, argparse.Namespace(turns=2))
    assert "Not measured here." in page
    assert "| W1 | us |" in page and "| chain-10 | 0.25 | 0.5 |" in page
    assert "| W3-64, 2 threads | us |" in page and "| A B | " in page
    assert "derived in 0.250 s and ready in 0.500 s" in page

    kit(tmp_path)
    monkeypatch.setenv(peers.VARIABLE, str(tmp_path))
    assert peers.measure("W1", None) == [peers.PeerResult("W1", "other", "fast", 3e-6, 0.5)]
    for name, rows in found.items():
        run.with_peers(rows, name, None)
    page = run.document(found, argparse.Namespace(turns=2))
    assert "| W1 | other (fast) | us |" in page and "Not measured" not in page


def test_a_folder_without_a_kit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(peers.VARIABLE, str(tmp_path))
    with pytest.raises(SystemExit, match="no script `run`"):
        peers.folders()
    (tmp_path / "run").write_text("")
    with pytest.raises(SystemExit, match="no <peer>/bin/python"):
        peers.folders()
