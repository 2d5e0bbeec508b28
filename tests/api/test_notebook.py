"""What a notebook shows of what a user holds: tables that are well formed, texts that are short."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn, optim


@pytest.fixture(scope="module")
def function():
    x, w, b, t = sp.MatrixSymbol("x", 2, 1), sp.MatrixSymbol("w", 2, 1), sp.Symbol("b"), sp.Symbol("t")
    loss = nn.squared_error(nn.sigmoid(symprop.scalar(w.T * x) + b), t)
    return symprop.compile(loss, args=[w, b, x, t], batch=[x, t], reduce="mean")


VALUES = (np.array([1.0, -2.0]), 0.5, np.eye(2), np.array([0.0, 1.0]))


def cells(html):
    return ["".join(e.itertext()) for e in ElementTree.fromstring(f"<p>{html}</p>").iter() if e.tag in "tdth"]


def test_the_report_of_the_passes_is_a_table(function):
    found = cells(function.report._repr_html_())
    assert found[:2] == ["pass", "nodes"] and "simplify" in found and len(found) % 8 == 0
    assert repr(function.report) == str(function.report)


def test_the_schedule_is_its_text(function):
    assert repr(function.schedule) == str(function.schedule)
    assert repr(function.schedule).startswith("mode: ")


def test_a_trace_is_a_table_of_all_nodes(function):
    found = cells(function.trace(*VALUES)._repr_html_())
    assert found[:3] == ["node", "value", "gradient"]
    assert {"w", "b", "x", "t", "out"} <= set(found[::3])
    assert found[found.index("w") + 1] == "[ 1. -2.]"


def test_gradients_are_an_aligned_block(function):
    latex = function.gradient._repr_latex_()
    assert latex.count("&=") == 2 and r"d_{b} &=" in latex and latex[0] == latex[-1] == "$"


def test_words_of_an_optimizer_are_words():
    latex = optim.Adam()._repr_latex_()
    assert r"\mathit{lr} \hat{m}" in latex and r"\mathit{eps}" in latex


def test_drawings_and_verifications_show_themselves(function):
    assert ElementTree.fromstring(function.draw(*VALUES)._repr_svg_()).tag.endswith("svg")
    assert "compiled value" in cells(function.verify(*VALUES, budget=1e4)._repr_html_())
