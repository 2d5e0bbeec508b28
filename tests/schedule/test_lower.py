"""Lowered programs mean what the nodes mean."""

import numpy as np
import pytest
from tools.programs import random_program

from symprop.schedule.interpret import interpret
from symprop.schedule.lower import lower


@pytest.mark.parametrize("seed", range(60))
def test_schedule_means_the_same_as_its_nodes(seed):
    program = random_program(seed)
    arrays = program.arguments(seed, 3)
    schedule = lower(program.roots, program.symbols, program.batched)
    for found, expected in zip(interpret(schedule, arrays, 3), program.reference(arrays, 3), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
