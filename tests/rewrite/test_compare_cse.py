"""The table of `docs/cse.md` is what the passes do today, and symprop needs no more operations than
`sympy.cse`."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("compare_cse", ROOT / "tests" / "tools" / "compare_cse.py")
compare_cse = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = compare_cse  # dataclasses look their module up
SPEC.loader.exec_module(compare_cse)


def rows():
    for line in (ROOT / "docs" / "cse.md").read_text().splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) == 5 and re.fullmatch(r"\d+ \+ \d+", cells[2]):
            yield cells[0], cells[2], cells[3:]


def test_every_case_has_a_row():
    assert [name for name, _, _ in rows()] == list(compare_cse.cases())


@pytest.mark.parametrize(("name", "theirs", "ours"), list(rows()))
def test_the_table_is_what_the_passes_do(name, theirs, ours):
    assert compare_cse.cells_of_symprop(name) == ours
    assert sum(map(int, ours[0].split(" + "))) <= sum(map(int, theirs.split(" + ")))
