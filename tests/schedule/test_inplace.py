"""Outputs that overwrite inputs: the same bits as without, every input read before it is replaced."""

import numpy as np
import pytest
import sympy as sp
from tools.programs import depends, random_program

import symprop.run.executable as executable_module
from symprop.graph import NodeTable
from symprop.run import build
from symprop.schedule.inplace import overwrite
from symprop.schedule.interpret import interpret
from symprop.schedule.lower import lower
from symprop.schedule.plan import plan
from symprop.schedule.sink import sink


@pytest.fixture(params=["loops", "unrolled"])
def mode(request, monkeypatch):
    """Every program in one mode; what has no form without loops stays in loops."""

    def forced(schedule, *more):
        planned = plan(schedule, *more)
        if request.param == "loops":
            planned.mode = "loops"
            for buffer in planned.outputs:
                buffer.samples_last = False
        elif "a sum over the samples" not in "".join(planned.reasons):
            planned.mode = "unrolled"
            for buffer in planned.outputs:
                buffer.samples_last = buffer.batched
        return planned

    monkeypatch.setattr(executable_module, "plan", forced)
    return request.param


def run(roots, symbols, batched, arrays, samples, pairs):
    """All outputs, and the inputs afterwards, where the outputs named by `pairs` lie in inputs."""
    program = build(roots, symbols, batched=batched, overwrites=pairs)
    own = [np.array(a) for a in arrays]
    buffers, views = [], []
    for k in range(len(roots)):
        buffer, view = program.allocate(k, samples)
        if k in pairs:
            buffer = view = own[symbols.index(pairs[k])]
        buffers.append(buffer)
        views.append(view)
    program.prepare(own, buffers, samples)()
    return views, own, program


def check(roots, symbols, arrays, pairs, batched=(), samples=1):
    """In place as out of place; inputs that nothing overwrites stay."""
    expected, same, _ = run(roots, symbols, batched, arrays, samples, {})
    found, after, program = run(roots, symbols, batched, arrays, samples, pairs)
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, other)
    for symbol, value, other in zip(symbols, after, same, strict=True):
        if symbol not in pairs.values():
            np.testing.assert_array_equal(value, other)
    meaning = interpret(overwrite(sink(lower(roots, symbols, batched)), pairs), arrays, samples)
    for value, other in zip(meaning, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-10, atol=1e-11)
    return program


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed, mode):
    program = random_program(seed)
    t, rng = program.table, np.random.default_rng(seed)
    nodes = [n for n in list(t.nodes) if n.kind == "real" and n.op != "constant"]
    pairs, roots = {}, [r for r in program.roots if r.op == "batch_sum" or depends(r, program.batched)]
    for symbol in program.symbols:
        node = t.symbol(symbol)
        if symbol in program.batched or node.kind != "real":
            continue
        fitting = [n for n in nodes if n.shape == node.shape]
        root = fitting[rng.integers(len(fitting))]
        if depends(root, program.batched):
            root = t.make("batch_sum", (root,))
        pairs[len(roots)] = symbol
        roots.append(root)
    for samples in (1, 11):
        check(roots, program.symbols, program.arguments(seed, samples), pairs, program.batched, samples)


def matrices(size, *names):
    """A table, symbols, their nodes and random values."""
    t, rng = NodeTable(), np.random.default_rng(size)
    symbols = [sp.MatrixSymbol(name, size, size) for name in names]
    return t, symbols, [t.symbol(s) for s in symbols], [rng.normal(size=(size, size)) for _ in names]


SIZES = [3, 11]


@pytest.mark.parametrize("size", SIZES)
def test_two_matrices_change_places(size, mode):
    _, symbols, (a, b), arrays = matrices(size, "A", "B")
    check([b, a], symbols, arrays, dict(enumerate(symbols)))


@pytest.mark.parametrize("size", SIZES)
def test_two_matrices_change_places_transposed(size, mode):
    t, symbols, (a, b), arrays = matrices(size, "A", "B")
    check([t.transpose(b), t.transpose(a)], symbols, arrays, dict(enumerate(symbols)))


@pytest.mark.parametrize("size", SIZES)
def test_a_matrix_becomes_its_transpose(size, mode):
    t, symbols, (a,), arrays = matrices(size, "A")
    check([t.transpose(a)], symbols, arrays, {0: symbols[0]})


@pytest.mark.parametrize("size", SIZES)
def test_a_matrix_becomes_its_square(size, mode):
    t, symbols, (a,), arrays = matrices(size, "A")
    check([t.matmul(a, a)], symbols, arrays, {0: symbols[0]})


@pytest.mark.parametrize("size", SIZES)
def test_products_of_each_other(size, mode):
    """Each product reads both matrices: one of them has to wait in a temporary buffer."""
    t, symbols, (a, b), arrays = matrices(size, "A", "B")
    program = check([t.matmul(a, b), t.matmul(b, a)], symbols, arrays, dict(enumerate(symbols)))
    assert len(program.schedule.temporaries) == 2


@pytest.mark.parametrize("size", SIZES)
def test_a_reader_that_was_scheduled_late_comes_first(size, mode):
    """B*A*A reads A in nests after the one that computes 2*A."""
    t, symbols, (a, b), arrays = matrices(size, "A", "B")
    roots = [t.make("mul", (t.constant(2), a)), t.matmul(t.matmul(b, a), a)]
    program = check(roots, symbols, arrays, {0: symbols[0]})
    assert not any(buffer.name == "A_new" for buffer in program.schedule.temporaries)


@pytest.mark.parametrize("size", SIZES)
def test_a_column_divided_by_its_norm(size, mode):
    t, symbol = NodeTable(), sp.MatrixSymbol("x", size, 1)
    x = t.symbol(symbol)
    norm = t.make("sqrt", (t.sum(t.make("mul", (x, x))),))
    array = np.random.default_rng(1).normal(size=(size, 1))
    check([t.make("div", (x, norm)), norm], [symbol], [array], {0: symbol})


def test_what_does_not_fit_is_refused():
    t, symbols, (a,), _ = matrices(3, "A")
    schedule = lower([t.sum(a)], symbols, ())
    with pytest.raises(ValueError, match="does not fit the memory of A"):
        overwrite(schedule, {0: symbols[0]})
    batched = lower([t.make("exp", (a,))], symbols, symbols)
    with pytest.raises(ValueError, match="sample axis"):
        overwrite(batched, {0: symbols[0]})


# -- values that move to their reader ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_sinking_changes_no_value(seed):
    program = random_program(seed)
    arrays = program.arguments(seed, 3)
    schedule = sink(lower(program.roots, program.symbols, program.batched))
    for found, expected in zip(interpret(schedule, arrays, 3), program.reference(arrays, 3), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def late(cheap):
    """A*B + f(C): f(C) is placed in a nest before the product, which alone reads it."""
    t, symbols, (a, b, c), _ = matrices(9, "A", "B", "C")
    early = t.make("mul", (t.constant(3), c)) if cheap else t.make("exp", (c,))
    before = t.make("add", (early, t.matmul(a, b)))
    return lower([before], symbols, ())


def test_a_cheap_value_moves_and_an_expensive_one_stays():
    before, after = late(True), sink(late(True))
    assert (len(before.nests), len(before.temporaries)) == (2, 1)
    assert (len(after.nests), len(after.temporaries)) == (1, 0)
    assert len(sink(late(False)).temporaries) == 1


def test_a_value_with_two_readers_stays():
    t, symbols, (a, b, c), _ = matrices(9, "A", "B", "C")
    early = t.make("mul", (t.constant(3), c))
    roots = [t.make("add", (early, t.matmul(a, b))), t.make("add", (early, t.matmul(b, a)))]
    assert len(sink(lower(roots, symbols, ())).temporaries) == 1
