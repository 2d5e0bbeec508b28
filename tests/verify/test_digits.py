"""The first node at which digits are lost, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

import symprop
from symprop import nn

from .networks import rows

x, y, w, b, a, h, L = sp.symbols("x y w b a h L")


def note(report: Any) -> str:
    """What is said of the compiled values."""
    found = [row.note for row in rows(report, "compiled value") if row.note]
    assert len(found) <= 1
    return found[0] if found else ""


def test_cancellation_is_found_by_name_with_the_value() -> None:
    net = symprop.Graph([(a, w * x + b), (h, sp.tanh(a)), (L, (h - 1) ** 2 * x)])
    f = symprop.compile(net, args=[w, x, b], accuracy="as_written")
    assert note(f.verify(3.7, 3.0, 0.1)) == "`t2 = h - 1`: 9 digits lost to cancellation, h is 1 - 4e-10"


def test_a_loss_that_does_no_harm_is_not_named() -> None:
    f = symprop.compile((x - y) + sp.tanh(w - 1) * 1000, args=[x, y, w], accuracy="as_written")
    assert note(f.verify(1.0, np.nextafter(1.0, 2.0), 0.5)) == ""


def test_nothing_is_said_of_results_with_all_digits() -> None:
    f = symprop.compile(sp.exp(x) * sp.sin(y), args=[x, y])
    assert note(f.verify(0.5, 0.25)) == ""


def test_an_overflow_is_named() -> None:
    f = symprop.compile(sp.log(sp.exp(x) + 1), args=[x], accuracy="as_written")
    report = f.verify(1000.0)
    assert not report.passed
    assert "exp(x)`: overflows, its value is 1.97e+434, x is 1000.0" in note(report)


def test_the_sample_is_named() -> None:
    W, v, p = sp.MatrixSymbol("W", 2, 2), sp.MatrixSymbol("v", 2, 1), sp.MatrixSymbol("p", 2, 1)
    net = symprop.Graph([(p, nn.tanh(W * v)), (L, nn.squared_error(p, sp.OneMatrix(2, 1)))])
    f = symprop.compile(net, args=[W, v], batch=[v], accuracy="as_written")
    text = note(f.verify(np.ones((2, 2)), [[0.1, 0.2], [4.0, 5.0], [0.3, 0.1]]))
    assert text.startswith("sample 1, `d_p = p - 1`") and "p is 1 - 3e-8" in text
