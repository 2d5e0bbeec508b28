"""Widths against a real font, numbers in short."""

from __future__ import annotations

import math

import pytest

from symprop.show.text import name_line, number_text, pretty, text_width, wrapped


def test_no_text_is_wider_than_its_estimate():
    font_manager = pytest.importorskip("matplotlib.font_manager")
    from matplotlib.textpath import TextPath

    font = font_manager.FontProperties(family="DejaVu Sans", size=100)
    for text in (
        "−12.34",
        "h1 = tanh(W1·x + b1)",
        "norm 0.0532",
        "MMMWWW@@@",
        "αβγδθ ΣΩΨ ≤ ∘ ×",
        "distributes",
    ):
        wide = TextPath((0, 0), text, prop=font).get_extents().width
        assert wide <= text_width(text, 100) <= 1.25 * wide + 20


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (0.1, "0.10"),
        (0.0949999, "0.0950"),
        (0.09999, "0.10"),
        (-0.0012345, "−0.00123"),
        (999.994, "999.99"),
        (999.996, "1.00e3"),
        (-123456789.0, "−1.23e8"),
        (1.5e-7, "1.50e−7"),
        (0.00099999, "0.00100"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "NaN"),
    ],
)
def test_numbers(value, text):
    assert number_text(value) == text


def test_a_number_is_right_to_half_a_unit_of_what_is_shown():
    for k in range(-60, 60):
        value = 1.2345678 * 10 ** (k / 7)
        shown = float(number_text(value).replace("−", "-"))
        allowed = 0.00501 if 0.095 <= value < 1000 else 0.00501 * value
        assert abs(shown - value) <= allowed and shown > 0


def test_names_and_formulas():
    assert [s.text for s in name_line("W12")] == ["W", "12"]
    assert [(s.text, s.style) for s in name_line("d_h")] == [("d", "name"), ("h", "sub")]
    assert [s.text for s in name_line("theta_{ij}^{(k)}")] == ["θ", "ij", "(k)"]
    assert [s.text for s in name_line("x_mu^-1")] == ["x", "μ", "−1"]
    assert [s.text for s in name_line("learning_rate")] == ["learning_rate"]
    assert [s.text for s in name_line("x_of_the_whole_network")] == ["x_of_the_whole_network"]
    assert [s.text for s in name_line("7")] == ["7"]
    assert pretty("x**2*y - x**25") == "x²·y − x^25"
    assert pretty("pi*alpha1 + gamma(x) + alphabet") == "π·α1 + gamma(x) + alphabet"


def test_wrapping():
    text = "y = " + " + ".join(f"a{k}*x{k}" for k in range(30))
    for most, lines in ((10, 2), (30, 3), (12, 100)):
        found = wrapped(text, most, lines)
        assert len(found) <= lines and all(len(line) <= most for line in found)
        assert (found[-1][-1] == "…") == (lines < 100)
    assert wrapped("x" * 25, 10, 5) == ["x" * 10, "x" * 10, "x" * 5]
