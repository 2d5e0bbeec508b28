"""LaTeX and HTML of whole graphs: every line is valid math, columns of the block fit."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
import sympy as sp

import symprop
from symprop import nn

x, t = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("t", 2, 1)
W, b = sp.MatrixSymbol("W_1", 2, 3), sp.MatrixSymbol("b", 2, 1)
z = sp.MatrixSymbol("z", 2, 1)
GRAPHS = {
    "network": (symprop.Graph([(z, W * x + b), (sp.Symbol("L"), nn.squared_error(nn.tanh(z), t))]), [W, b]),
    "neuron": (symprop.Graph([(sp.Symbol("f"), 1 / (1 + sp.exp(-sp.Symbol("a") * sp.Symbol("w0"))))]), ["a"]),
}


def lines(block):
    head, *body, foot = block.split("\n")
    assert (head, foot) == (r"\begin{align*}", r"\end{align*}")
    assert all(line.endswith(r" \\") for line in body[:-1]) and not body[-1].endswith(r"\\")
    return [line.removesuffix(r" \\").strip() for line in body]


@pytest.mark.parametrize("name", GRAPHS)
def test_a_backward_pass_is_an_align_block(name):
    mathtext = pytest.importorskip("matplotlib.mathtext")
    graph, wrt = GRAPHS[name]
    backward = symprop.backprop(graph, [s for s in graph.inputs if s in wrt or str(s) in wrt])
    assert sp.latex(backward) == backward.latex()
    found = lines(backward.latex())
    assert len(found) == len(backward)
    parser = mathtext.MathTextParser("path")
    for line in found:
        assert line.count("&=") == 1
        assert line.count("{") == line.count("}")
        for side in line.split("&="):
            parser.parse(f"${side}$")


def test_a_function_shows_forward_and_backward():
    graph, wrt = GRAPHS["network"]
    function = symprop.compile(graph, wrt=wrt)
    assert function.latex() == function.backward.latex()
    assert function._repr_latex_() == function.backward._repr_latex_()
    page = ElementTree.fromstring(f"<div>{function._repr_html_()}</div>")
    rows = ["".join(cell.itertext()) for cell in page.iter("td")]
    assert rows[0].startswith("$z = ") and rows[1] == "2 × 1"
    assert len(rows) == 2 * len(function.backward)
    value = symprop.compile(graph, wrt=[])
    assert value.latex() == graph.latex()


def test_less_than_is_escaped_in_html():
    a = sp.Symbol("a")
    graph = symprop.Graph([(sp.Symbol("f"), sp.Piecewise((a, a < 0), (1, True)))])
    page = ElementTree.fromstring(graph._repr_html_())
    assert re.search(r"a\s*<\s*0", "".join(page.itertext()))
