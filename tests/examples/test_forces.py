"""The cluster of atoms: forces against NumPy by hand, conservation, the printed figures."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from numpy.testing import assert_allclose


def total(positions: np.ndarray) -> float:
    """The energy of all pairs, with NumPy alone."""
    first, second = np.triu_indices(len(positions), 1)
    sixth = np.sum((positions[first] - positions[second]) ** 2, axis=1) ** -3
    return float(np.sum(4 * sixth * (sixth - 1)))


def test_forces_are_slopes_of_the_energy(forces: ModuleType) -> None:
    cluster = forces.Cluster()
    for _ in range(5):
        cluster.move()
    assert_allclose(cluster.energy[0], total(cluster.positions), rtol=1e-12)
    for atom, axis in ((0, 0), (62, 1), (124, 2)):
        moved = [cluster.positions.copy() for _ in range(2)]
        moved[0][atom, axis] += 1e-5
        moved[1][atom, axis] -= 1e-5
        slope = (total(moved[0]) - total(moved[1])) / 2e-5
        assert_allclose(cluster.forces[atom, axis], -slope, rtol=1e-6, atol=1e-6)


def test_the_comparison_computes_the_same(forces: ModuleType) -> None:
    cluster = forces.Cluster()
    energies, gradients = forces.by_hand(cluster.a, cluster.b)
    assert_allclose(cluster.pairs.value, energies, rtol=1e-12, atol=1e-15)
    assert_allclose(cluster.pairs.grads[0], gradients, rtol=1e-11, atol=1e-13)


def test_the_energy_stays(forces: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    drift, still = forces.main(steps=100)
    assert drift < 1e-4 and still < 1e-10
    assert "ns a pair" in capsys.readouterr().out
