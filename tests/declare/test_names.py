"""Names as a textbook writes them, in parts and as LaTeX."""

from __future__ import annotations

import pytest
import sympy as sp

import symprop
from symprop.declare.names import latex_of, parts


@pytest.mark.parametrize(
    ("name", "base", "scripts"),
    [
        ("x", "x", []),
        ("W12", "W", [("12", "sub")]),
        ("theta_1", "theta", [("1", "sub")]),
        ("x_i^2", "x", [("i", "sub"), ("2", "sup")]),
        ("theta_{ij}^{(k)}", "theta", [("ij", "sub"), ("(k)", "sup")]),
        ("w1_old", "w", [("1", "sub"), ("old", "sub")]),
        ("φ₂", "φ", [("2", "sub")]),
        ("learning_rate", "learning_rate", []),
        ("x_of_the_whole_network", "x_of_the_whole_network", []),
        ("_", "_", []),
        ("7", "7", []),
    ],
)
def test_parts(name, base, scripts):
    assert parts(name) == (base, tuple(scripts))


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("x", "x"),
        ("W1", "W_{1}"),
        ("d_W1", "d_{W_{1}}"),
        ("d_d_x", "d_{d_{x}}"),
        ("d_gamma^2", r"d_{\gamma^{2}}"),
        ("lambda_max", r"\lambda_{\mathit{max}}"),
        ("x_alpha_1", r"x_{\alpha 1}"),
        ("φ₂", r"\phi_{2}"),
        ("xhat", r"\hat{x}"),
        ("w'", "w'"),
        ("loss", r"\mathit{loss}"),
        ("learning_rate", r"\mathit{learning\_rate}"),
        ("50% of a&b #1", r"\mathit{50\% of a\&b \#1}"),
    ],
)
def test_latex(name, latex):
    assert latex_of(sp.Symbol(name)) == latex
    if name.isidentifier():
        assert latex_of(sp.MatrixSymbol(name, 2, 3)) == latex


def test_a_backward_pass_uses_them():
    gamma, rate, x = sp.symbols("gamma^2 learning_rate x")
    text = symprop.backprop(gamma * rate * x, [gamma, rate]).latex()
    assert r"d_{\gamma^{2}} &=" in text and r"d_{\mathit{learning\_rate}} &=" in text
