"""Straight code in another order does the same, and independent chains go side by side."""

import math
import re

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop.emit.builder import BARRIER, F64, I64, PTR, Builder, Module, Value, vector
from symprop.emit.math import CALLS
from symprop.emit.order import SHORT_STAGE, WINDOW, chains_of_samples, in_turns, long_chains_first
from symprop.emit.target import from_features, host

AVX512 = from_features("x86_64-unknown-linux-gnu", "x86-64-v4", "+avx512f,+avx512dq,+avx512vl,+avx512bw,+fma")


def function(*names):
    """A loop over a few functions of one vector, each stored."""
    b = Builder(Module(AVX512))
    kind = vector("double", 16)
    with b.loop(b.const(0, I64), Value("%n", I64), 16) as loop:
        x = b.load(b.element(Value("%x", PTR), loop.index, F64), kind)
        for k, name in enumerate(names):
            b.store(CALLS[name](b, x), b.element(Value(f"%out{k}", PTR), loop.index, F64))
    b.emit("ret void")
    return [part for line in b.lines for part in line.split("\n")]


def defined_and_used(line):
    name, equals, right = line.partition(" = ")
    return (name if equals else None), re.findall(r"%[\w.]+", right if equals else line)


@pytest.mark.parametrize("names", [("tanh", "tanh_prime", "erf"), ("sigmoid", "softplus", "normal_cdf")])
def test_every_value_is_made_before_it_is_used(names):
    before = function(*names)
    after = long_chains_first(before, AVX512)
    assert sorted(after) == sorted(before)
    assert after != before
    own = {name for line in before if (name := defined_and_used(line)[0])}
    made = set()
    for line in after:
        name, used = defined_and_used(line)
        if " = phi " not in line:
            assert made.issuperset(u for u in used if u in own), line
        made.add(name)
    stores = [[line for line in lines if line.startswith("store")] for lines in (before, after)]
    assert stores[0] == stores[1]


def chains(count, length):
    """Chains of products, one written after the other."""
    lines = []
    for c in range(count):
        lines += [f"%c{c}.{k + 1} = fmul <8 x double> %c{c}.{k}, %a" for k in range(length)]
    return lines


def test_chains_go_side_by_side():
    after = long_chains_first(chains(4, 12), AVX512)
    assert {re.match(r"%c\d", line)[0] for line in after[:8]} == {"%c0", "%c1", "%c2", "%c3"}


def test_nothing_goes_far_ahead_and_registers_are_enough():
    lines = chains(200, 6)
    after = long_chains_first(lines[:780], AVX512)
    place = {line: k for k, line in enumerate(after)}
    assert max(abs(place[line] - k) for k, line in enumerate(lines[:780])) <= WINDOW + 6
    alive = most = 0
    for line in after:
        step = int(re.search(r"\.(\d+) =", line)[1])
        alive += (step == 1) - (step == 6)
        most = max(most, alive)
    assert most <= AVX512.registers


def test_a_read_stays_behind_the_write_before_it():
    lines = [f"%p{k} = fadd double %x, {k}.0" for k in range(30)]
    lines += ["store double %p29, ptr %m, align 8", "%l = load double, ptr %m, align 8"]
    lines += [f"%q{k} = fmul double %{f'q{k - 1}' if k else 'l'}, %l" for k in range(9)]
    after = long_chains_first(lines, host())
    assert after.index("%l = load double, ptr %m, align 8") > after.index(
        "store double %p29, ptr %m, align 8"
    )
    apart = long_chains_first(lines, host(), apart=True)
    assert apart.index("%l = load double, ptr %m, align 8") < 4


def test_labels_and_ends_keep_their_places():
    body = chains(3, 10)
    lines = [
        "br label %one",
        "one:",
        "%i = phi i64 [ 0, %entry ]",
        *body,
        "br label %two",
        "two:",
        "ret void",
    ]
    after = long_chains_first(lines, AVX512)
    fixed = [k for k, line in enumerate(lines) if line not in body]
    assert [after[k] for k in fixed] == [lines[k] for k in fixed]
    assert sorted(after) == sorted(lines)


def test_the_order_of_samples_is_kept_with_avx512():
    counts = {}
    for target in (AVX512, from_features("x86_64-unknown-linux-gnu", "x86-64-v3", "+avx2,+fma")):
        b = Builder(Module(target))
        lines = chains(8, 12)
        after = chains_of_samples(b, lines)
        assert sorted(line for line in after if line != BARRIER) == sorted(lines)
        counts[target.vector_bits] = after.count(BARRIER)
    assert counts == {512: len(lines) // SHORT_STAGE, 256: 0}


@pytest.mark.parametrize("features", ["+avx512f,+avx512dq,+avx512vl,+avx512bw,+fma", "+avx2,+fma"])
@pytest.mark.parametrize(("names", "turns"), [(("softplus",), 2), (("tanh", "erf", "log", "sinh"), 1)])
def test_a_chain_takes_two_blocks_a_turn(features, names, turns):
    target = from_features("x86_64-unknown-linux-gnu", "x86-64-v4", features)
    b = Builder(Module(target))
    kind = vector("double", 16)
    starts = []

    def write(start):
        starts.append(start)
        x = b.load(b.element(Value("%x", PTR), start, F64), kind)
        for k, name in enumerate(names):
            b.store(CALLS[name](b, x), b.element(Value(f"%out{k}", PTR), start, F64))

    in_turns(b, Value("%n", I64), 16, write)
    both = turns == 2 and target.vector_bits == 512
    assert len(starts) == (3 if both else 1)
    assert any("and i64 %n, 16" in line for line in b.lines) is both


def test_blocks_in_turns_give_the_bits_of_blocks_alone():
    x = np.random.default_rng(0).normal(size=(7 * 16 + 3) * 4)
    s = sp.Symbol("s")
    f = symprop.compile(sp.log(1 + sp.exp(s)), args=[s], batch=[s], wrt=[s])
    value, (slope,) = f.value_and_grad(x)
    for size in (1, 15, 16, 17, 31, 32, 33, 48, 80, 115):
        part, (below,) = f.value_and_grad(x[:size])
        assert part.tobytes() == value[:size].tobytes()
        assert below.tobytes() == slope[:size].tobytes()
    total = symprop.compile(sp.log(1 + sp.exp(s)), args=[s], batch=[s], reduce="sum")
    for size in (16, 32, 48, 115):
        assert abs(total(x[:size]) - math.fsum(value[:size])) < 1e-13 * size
