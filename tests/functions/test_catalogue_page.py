"""The page of all functions is made from the declarations: it is current, and no function is missing."""

import re
import sys
from pathlib import Path

import pytest

from symprop import nn
from symprop.graph import OPERATIONS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.tools import make_catalogue  # noqa: E402

PAGE = ROOT / "docs" / "functions.md"
NO_FUNCTIONS = {"mlp", "Network", "plot", "logsigmoid"}
# what is not called by its name: other forms of the same function, structure, linear algebra
OTHER_FORMS = {
    "at_maximum",
    "rising_slope",
    "softplus_threshold",
    "shared_maximum",
    "shared_minimum",
    "polygamma_4",
    "user",
    "user_formula",
}
LINEAR = {
    "inverse",
    "determinant",
    "log_determinant",
    "log_determinants",
    "cofactor",
    "cofactor_slope",
    "kronecker",
}


@pytest.fixture(scope="module")
def made():
    return make_catalogue.catalogue()


def test_the_page_is_current(made):
    page, plots = made
    assert PAGE.read_text(encoding="utf-8") == page, "run python -m tests.tools.make_catalogue"
    assert {p.name for p in (ROOT / "docs" / "functions").glob("*.svg")} == set(plots)


def test_every_plot_holds_both_curves(made):
    for name, text in made[1].items():
        curves = re.findall(r'<path class="(?:value|slope)" d="(M[^"]*)"', text)
        assert len(curves) == 2 and all(len(c.split("L")) > 20 for c in curves), name


def test_no_function_is_missing(made):
    titles = re.findall(r"^### `(?:nn\.)?(\w+)\(", made[0], re.M)
    assert set(nn.__all__) - NO_FUNCTIONS - set(titles) == set()


def test_every_described_operation_is_on_the_page(made):
    described = {n for n, o in OPERATIONS.items() if o.summary and not o.lowered}
    shown = {n for n in described if OPERATIONS[n].summary in made[0]}
    assert described - shown - OTHER_FORMS - LINEAR == set()
