"""Targets of very many arguments: what is verified one by one and what together, within the budget."""

import pytest
import sympy as sp

import symprop
from symprop.verify import exact


def chain(count):
    weights, here, equations = sp.symbols(f"v:{count + 1}"), sp.Symbol("x"), []
    for k, name in enumerate(sp.symbols(f"s:{count}")):
        equations.append((name, sp.sin(here, evaluate=False) * weights[k] + here))
        here = name
    values = {w: 0.1 + 0.001 * k for k, w in enumerate(weights[:count])}
    return symprop.Graph(equations), {sp.Symbol("x"): 0.3, **values}, weights


def computed(count, monkeypatch):
    """Values of nodes that a verification computes with many digits."""
    graph, values, _ = chain(count)
    counted, compute = [], exact.Exact._compute

    def counting(self, node, new):
        counted.append(node)
        return compute(self, node, new)

    monkeypatch.setattr(exact.Exact, "_compute", counting)
    report = symprop.verify(graph, at=values, budget=2e4)
    monkeypatch.undo()
    return len(counted), report


def test_the_work_grows_with_the_nodes_and_not_with_nodes_times_gradients(monkeypatch):
    (few, first), (many, second) = (computed(n, monkeypatch) for n in (60, 240))
    assert first.passed and second.passed
    assert many < 4 * 1.3 * few


def test_the_report_says_what_was_sampled(monkeypatch):
    _, report = computed(60, monkeypatch)
    joined = [row for row in report.rows if row.name.startswith("all 61 gradients")]
    assert {row.method for row in joined} == {"finite differences", "forward mode"}
    assert "together in" in joined[0].note and "of them one by one (budget=20000)" in joined[0].note
    single = [r for r in report.rows if r.method == "finite differences" and r not in joined]
    assert 1 <= len(single) < 61


@pytest.mark.parametrize("wrong", [0, 23, 49])
def test_a_wrong_gradient_among_many_is_found(wrong):
    graph, values, weights = chain(50)
    right = symprop.grad(sp.Symbol("z") ** 2, sp.Symbol("z"))  # 2*z: any expression of the wrong value
    report = symprop.verify(
        graph, at=values, gradients={weights[wrong]: right.subs(sp.Symbol("z"), weights[wrong])}, budget=1e4
    )
    failed = {(row.method, row.name) for row in report.rows if not row.passed}
    assert ("finite differences", f"d/dv{wrong}") in failed
    assert any(name.startswith("all 51 gradients") for _, name in failed)


def test_few_arguments_are_verified_one_by_one_whatever_the_budget():
    graph, values, _ = chain(12)
    report = symprop.verify(graph, at=values, budget=1)
    assert sum(row.method == "finite differences" for row in report.rows) == 13
    assert not any("together" in row.note for row in report.rows)
