"""The work of the generated code stays what it was: counts for pinned targets beside a committed baseline.

Where a change is meant, renew it with `python tests/emit/counts.py --write` and look at the difference.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from emit.counts import BASELINE, WORKLOADS, counts, of_assembly

TOLERANCE = 0.02
RENEW = "if that is meant: python tests/emit/counts.py --write"


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_more_work_than_before(name: str) -> None:
    before, now = json.loads(BASELINE.read_text())[name], counts(name)
    compare(name, before, now)


def compare(where: str, before: Any, now: Any) -> None:
    """Words are equal, numbers within the tolerance; fewer are a change too, that the baseline should
    know.
    """
    if isinstance(before, dict):
        keys = f"{where}: {list(before)} before, {list(now)} now; {RENEW}"
        assert list(before) == list(now), keys
        for key in before:
            compare(f"{where}, {key}", before[key], now[key])
    elif isinstance(before, (int, float)):
        assert abs(now - before) <= TOLERANCE * before, f"{where}: {before} before, {now} now; {RENEW}"
    elif isinstance(before, list) and before and isinstance(before[0], int):
        for p, q in zip(before, now, strict=True):
            compare(where, p, q)
    else:
        assert before == now, f"{where}: {before} before, {now} now; {RENEW}"


def test_a_loop_is_counted() -> None:
    """Two nested loops by hand: only the inner one counts, with its multiply-add and its access to the
    stack.
    """
    text = """
f:
	xorl	%eax, %eax
.LBB0_1:
	xorl	%ecx, %ecx
.LBB0_2:
	vmovups	8(%rsp), %ymm0
	vfmadd231ps	%ymm1, %ymm0, %ymm2
	incq	%rcx
	jne	.LBB0_2
	incq	%rax
	jne	.LBB0_1
	retq
"""
    assert list(of_assembly(text).values()) == [9, 1, 4, 1, 1]


def test_a_change_is_seen() -> None:
    before = {"a": 100, "b": {"c": "words"}, "d": [10, 20]}
    compare("x", before, {"a": 101, "b": {"c": "words"}, "d": [10, 20]})
    for now in ({"a": 103}, {"a": 97}, {"b": {"c": "word"}}, {"d": [10, 21]}, {"e": 1}):
        with pytest.raises(AssertionError):
            compare("x", before, {**before, **now})
