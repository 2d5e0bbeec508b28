"""A few hundred random networks, by hypothesis, and what the generator covers. See docs/fuzzing.md."""

from __future__ import annotations

from typing import Any

import pytest
from fuzz import OUT_OF_TIME, failure
from fuzz_checks import CHECKS, check
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import MAKERS, NOT_MADE, Case, Drawn, Random, Recorded, network, operations

from symprop.graph import OPERATIONS


@st.composite
def networks(draw: Any) -> Case:
    """A random network with values."""
    return network(Drawn(draw, lambda low, high: st.integers(low, high)), 10)


def fuzz(examples: int) -> Any:
    """The settings of a test: the same networks each time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@fuzz(100)
@given(networks())
def test_compiled_values_and_gradients_against_mpmath_and_numpy(case: Case) -> None:
    check(case, ["mpmath", "numpy"])


@fuzz(40)
@given(networks())
def test_single_precision(case: Case) -> None:
    check(case, ["float32"])


@fuzz(40)
@given(networks())
def test_batches_have_the_bits_of_single_calls(case: Case) -> None:
    check(case, ["batch"])


@fuzz(40)
@given(networks())
def test_loops_and_written_out_code(case: Case) -> None:
    check(case, ["loops"])


@fuzz(25)
@given(networks())
def test_reverse_mode_against_forward_mode_and_differences(case: Case) -> None:
    check(case, ["verify"])


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_every_check_runs(name: str) -> None:
    assert any(check(network(Random(seed)), [name]) for seed in range(4))


def test_the_generator_makes_every_operation_of_a_user() -> None:
    made: set[str] = set()
    for seed in range(1500):
        made |= operations(network(Random(seed)))
    users = {name for name, declared in OPERATIONS.items() if not declared.lowered}
    assert set(MAKERS) <= set(OPERATIONS)
    assert users - made <= NOT_MADE


def test_choices_that_are_played_back_make_the_same_network() -> None:
    first = Random(12)
    case = network(first)
    assert str(network(Recorded(first.made))) == str(case)


def test_a_network_that_takes_too_long_is_named() -> None:
    found = failure(network(Random(3)), ["mpmath", "verify"], limit=1e-3)
    assert found is not None and found[1].startswith(OUT_OF_TIME)
    assert failure(network(Random(4)), ["mpmath"]) is None  # the limit ends with the network
