"""A cluster of atoms with the potential of Lennard and Jones: forces are the gradient of a formula.

The energy of a pair is one formula of the positions of two atoms. symprop derives its gradient by both, and
one native call gives energies and forces of all pairs. 125 atoms move by the rule of Verlet; their total
energy, which physics keeps, tells whether force and energy belong together.

    python examples/forces.py [--steps 500]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

import symprop

SIDE = 5  # atoms along an edge of the cube that they start from
SPACING = 1.12  # about 2**(1/6), where two atoms pull and push equally
STEP = 0.002
Array = Any


def pair() -> symprop.Graph:
    """Distance and energy of two atoms; lengths and energies in units of the potential."""
    a, b = sp.MatrixSymbol("a", 3, 1), sp.MatrixSymbol("b", 3, 1)
    r, energy = sp.symbols("r E", positive=True)
    return symprop.Graph([(r, sp.sqrt(symprop.scalar((a - b).T * (a - b)))), (energy, 4 * (r**-12 - r**-6))])


def by_hand(a: Array, b: Array) -> tuple[Array, Array]:
    """Energies and gradients by the first atom, with NumPy."""
    apart = a - b
    square = np.einsum("ij,ij->i", apart, apart)
    sixth = 1 / square**3
    return 4 * sixth * (sixth - 1), (24 * sixth * (1 - 2 * sixth) / square)[:, None] * apart


class Cluster:
    """Atoms on a cubic lattice, moving slowly at first."""

    def __init__(self, seed: int = 0) -> None:
        places = np.stack(np.meshgrid(*[np.arange(SIDE) * SPACING] * 3), axis=-1)
        self.positions = places.reshape(-1, 3).copy()
        self.velocities = np.random.default_rng(seed).normal(size=self.positions.shape) * 0.1
        self.velocities -= self.velocities.mean(0)
        self.first, self.second = np.triu_indices(len(self.positions), 1)
        graph = pair()
        function = symprop.compile(graph, args=graph.inputs, batch=graph.inputs, wrt=graph.inputs)
        self.a, self.b = self.positions[self.first], self.positions[self.second]
        self.pairs = function.bind(self.a, self.b)
        self.forces = np.empty_like(self.positions)
        self.update()

    def update(self) -> None:
        """Forces on the atoms where they are."""
        np.take(self.positions, self.first, 0, out=self.a)
        np.take(self.positions, self.second, 0, out=self.b)
        self.pairs()
        d_a, d_b = self.pairs.grads
        for axis in range(3):
            self.forces[:, axis] = -np.bincount(self.first, d_a[:, axis], len(self.forces))
            self.forces[:, axis] -= np.bincount(self.second, d_b[:, axis], len(self.forces))

    def move(self) -> None:
        """One step of velocity Verlet."""
        self.velocities += STEP / 2 * self.forces
        self.positions += STEP * self.velocities
        self.update()
        self.velocities += STEP / 2 * self.forces

    @property
    def energy(self) -> tuple[float, float]:
        """Of the pairs, and of the motion."""
        return float(self.pairs.value.sum()), float(0.5 * np.sum(self.velocities**2))


def fastest(call: Callable[[], Any], seconds: float = 0.3) -> float:
    """The time of one call, the least of many."""
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return float(best)


def main(steps: int = 500) -> tuple[float, float]:
    """Let the atoms move; gives the drift of the total energy and the largest sum of all forces."""
    print(symprop.backprop(pair(), list(pair().inputs)), "\n")
    cluster = Cluster()
    start = sum(cluster.energy)
    drift = still = 0.0
    for step in range(steps + 1):
        energy, motion = cluster.energy
        drift = max(drift, abs((energy + motion) / start - 1))
        still = max(still, float(np.abs(cluster.forces.sum(0)).max()))
        if step % max(1, steps // 5) == 0:
            print(f"step {step:4}: energy of the pairs {energy:9.3f}, of the motion {motion:7.3f}")
        cluster.move()
    print(f"the total energy stays within {drift:.1e} of itself; the forces add up to {still:.1e}")
    count = len(cluster.first)
    ours, theirs = fastest(cluster.pairs), fastest(lambda: by_hand(cluster.a, cluster.b))
    print(
        f"{count} pairs: {1e9 * ours / count:.1f} ns a pair for energy and both gradients, "
        f"NumPy by hand {theirs / ours:.1f} times as long for one"
    )
    return drift, still


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=500)
    main(parser.parse_args().steps)
