"""The table of a report, its verdict and its error."""

from __future__ import annotations

import mpmath as mp
import pytest
import sympy as sp

import symprop
import symprop.verify
from symprop.errors import VerificationError
from symprop.verify import Report, Row, verify

GOOD = Row(
    method="finite differences",
    name="d/dW",
    entry="[1, 2]",
    found=mp.mpf(1),
    expected=1,
    error=1e-30,
    bound=1e-20,
)
BAD = Row(
    method="kink",
    name="d/db",
    entry="[0]",
    found=2,
    expected=(0, 1),
    error=1,
    bound=1e-20,
    passed=False,
    note="relu(a)",
)


def test_a_report_prints_as_a_table() -> None:
    lines = str(Report([GOOD, BAD], ["a note"])).splitlines()
    assert lines[0].split() == ["method", "of", "worst", "entry", "found", "expected", "error", "bound"]
    assert lines[2].startswith("finite differences  d/dW  [1, 2]") and lines[2].endswith("passed")
    assert lines[3].endswith("FAILED") and "[0.0, 1.0]" in lines[3]
    assert lines[4:] == ["kink of d/db: relu(a)", "a note", "2 rows, 1 FAILED"]
    assert str(Report([GOOD])).endswith("1 rows, all passed")


def test_a_report_is_html_in_a_notebook() -> None:
    text = Report([BAD])._repr_html_()
    assert text.startswith("<table>") and ">FAILED</td>" in text and "relu(a)" in text


def test_the_worst_row_is_a_failed_one_first() -> None:
    close = Row(method="m", name="n", error=0.9, bound=1)
    assert Report([GOOD, close]).worst is close
    assert Report([close, BAD, GOOD]).worst is BAD
    assert Report([]).worst is None and Report([]).passed


def test_the_error_names_every_failed_row() -> None:
    Report([GOOD]).raise_if_failed()
    with pytest.raises(
        VerificationError, match=r"kink of d/db, \[0\]: found 2.0, expected \[0.0, 1.0\].*relu"
    ):
        Report([GOOD, BAD]).raise_if_failed()


def test_the_package_is_the_function() -> None:
    x = sp.Symbol("x")
    assert symprop.verify(x**2, {x: 3.0}).passed  # type: ignore[operator]
    assert verify(x**2, {x: 3.0}).passed
    assert not verify(x**2, {"x": 3.0}, gradients={"x": 3 * x}).passed
