"""The physics-informed example, with fewer steps; its residual against mpmath."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose


def test_the_residual_falls(burgers: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = burgers.main(epochs=60)
    assert after < before / 2.5
    shown = capsys.readouterr().out
    assert "all passed" in shown
    assert f"residual after training:  {after:.4f}" in shown


def test_the_loss_is_the_squared_residual(burgers: ModuleType) -> None:
    """Derivatives of the network by mpmath's differences at 40 digits."""
    import symprop

    graph, x, t = burgers.equations()
    f = symprop.compile(graph, args=[*burgers.PARAMS, x, t], wrt=[])
    params = burgers.initial()
    W1, b1, W2, b2, W3 = (mp.matrix(p.tolist()) for p in params)

    def u(x: Any, t: Any) -> Any:
        h = (W2 * (W1 * mp.matrix([x, t]) + b1).apply(mp.tanh) + b2).apply(mp.tanh)
        return -mp.sin(mp.pi * x) + t * (1 - x**2) * (W3 * h)[0]

    for at in np.random.default_rng(0).uniform(-1, 1, (3, 2)):
        with mp.workdps(40):
            where = tuple(mp.mpf(float(v)) for v in at)
            u_x, u_t, u_xx = (mp.diff(u, where, order) for order in ((1, 0), (0, 1), (2, 0)))
            right = (u_t + u(*where) * u_x - burgers.VISCOSITY * u_xx) ** 2
        assert_allclose(f(*params, *at), float(right), rtol=1e-12)
