"""Drawings of functions: numbers, sums where paths meet, nothing on top of anything, files, errors."""

from __future__ import annotations

import os
import pickle
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from show.pictures import faults, numbers, parsed, texts

import symprop
from symprop import nn
from symprop.show import draw

GOLDEN = Path(__file__).parent / "golden"
x, y, z, w, p, q, m, s, f = sp.symbols("x y z w p q m s f")


def product_of_sum():
    return symprop.compile(symprop.Graph([(q, x + y), (f, q * z)]), args=[x, y, z]), (-2.0, 5.0, -4.0)


def gates():
    """f = (x y + max(z, w)) x: every gate, and two paths back to x."""
    graph = symprop.Graph([(p, x * y), (m, sp.Max(z, w)), (s, p + m), (f, s * x)])
    return symprop.compile(graph, args=[x, y, z, w]), (3.0, -4.0, 2.0, -1.0)


def network(rows=4, **options):
    rng = np.random.default_rng(3)
    a, t = sp.MatrixSymbol("a", 3, 1), sp.MatrixSymbol("t", 2, 1)
    w1, b1 = sp.MatrixSymbol("W1", rows, 3), sp.MatrixSymbol("b1", rows, 1)
    w2, b2 = sp.MatrixSymbol("W2", 2, rows), sp.MatrixSymbol("b2", 2, 1)
    h, o = sp.MatrixSymbol("h", rows, 1), sp.MatrixSymbol("o", 2, 1)
    graph = symprop.Graph(
        [(h, nn.tanh(w1 * a + b1)), (o, w2 * h + b2), (sp.Symbol("L"), nn.squared_error(o, t))]
    )
    args = [w1, b1, w2, b2, a, t]
    return symprop.compile(graph, args=args, **options), [rng.normal(size=v.shape) for v in args]


# -- golden files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [product_of_sum, gates], ids=lambda make: make.__name__)
def test_small_graphs_are_drawn_as_before(make):
    """`SYMPROP_UPDATE_GOLDEN=1 pytest tests/show` writes the files anew; look at them then."""
    function, values = make()
    svg, path = function.draw(*values).svg, GOLDEN / f"{make.__name__}.svg"
    if os.environ.get("SYMPROP_UPDATE_GOLDEN"):
        path.write_text(svg, encoding="utf-8")
    assert svg == path.read_text(encoding="utf-8")


# -- numbers -------------------------------------------------------------------------------------------------


def test_every_value_and_gradient_of_the_lecture_is_there():
    function, values = gates()
    svg = function.draw(*values).svg
    assert sorted(numbers(svg, "value")) == sorted([3, 3, 3, -4, 2, -1, -12, 2, -10, -30])
    # x: at its stem the sum, at its two wires the parts; w is not the larger one
    assert sorted(numbers(svg, "gradient")) == sorted([-22, -12, -10, 9, 3, 0, 3, 3, 3, 1])
    assert "−12.00 − 10.00 = −22.00" in texts(svg, "gradient")


def test_gates_say_how_they_pass_the_gradient_on():
    function, values = gates()
    svg = function.draw(*values).svg
    assert sorted(texts(svg, "sign")) == ["+", "max", "×", "×"]
    assert sorted(texts(svg, "caption")) == ["distributes", "routes", "switches", "switches"]
    off = [e for e in parsed(svg).iter() if e.get("class") == "wire off"]
    assert off  # the wire of w, to which max routes nothing


def test_names_stand_at_their_wires():
    function, values = product_of_sum()
    assert "q = 3.00" in texts(function.draw(*values).svg, "value")


def test_the_sigmoid_neuron_as_one_expression():
    """The lecture's numbers, worked out by hand there: -0.2, -0.39, 0.39, -0.59, 0.2."""
    u, v = sp.symbols("w0:3"), sp.symbols("x0:2")
    expression = 1 / (1 + sp.exp(-(u[0] * v[0] + u[1] * v[1] + u[2])))
    function = symprop.compile(expression, args=[*u, *v])
    svg = function.draw(2.0, -3.0, -3.0, -1.0, -2.0).svg
    found = numbers(svg, "gradient")
    for wanted in (-0.2, -0.39, 0.2, 0.39, -0.59, -0.53, 1.0):
        assert any(abs(wanted - g) < 0.006 for g in found)
    assert any(abs(v - 0.73) < 0.006 for v in numbers(svg, "value"))


def test_the_numbers_are_those_of_the_function():
    a, b, c = sp.symbols("a b c")
    inner = sp.Symbol("u")
    graph = symprop.Graph([(inner, sp.sin(a * b) + a**2 / c), (f, inner * sp.exp(-inner) + sp.sqrt(c) * b)])
    function = symprop.compile(graph, args=[a, b, c])
    point = (0.7, -1.3, 2.1)
    value, grads = function.value_and_grad(*point)
    shown = numbers(function.draw(*point).svg, "gradient")
    for gradient in grads:
        assert any(abs(gradient - g) < 0.0051 for g in shown)
    assert any(abs(value - v) < 0.0051 for v in numbers(function.draw(*point).svg, "value"))


def test_declared_operations_are_drawn_not_rewritten_ones():
    """log(1 + exp(x)) compiles to another form; the drawing has exp, +1, log."""
    function = symprop.compile(sp.log(1 + sp.exp(x)), args=[x])
    svg = function.draw(0.5).svg
    assert sorted(texts(svg, "sign")) == ["+1", "exp", "log"]
    assert any(abs(v - 1.65) < 0.006 for v in numbers(svg, "value"))  # exp(1/2)


def test_parts_of_a_gradient_add_up():
    """On every stem the sum of the wires' parts is the gradient, for inputs with many uses."""
    from symprop.api.pictures import Plan

    function, values = network()
    squares = symprop.compile(sum((x * y + k) ** 2 * sp.sin(x + k) for k in range(5)), args=[x, y])
    for target, point in ((function, values), (squares, (0.4, 1.1))):
        plan = Plan.of(target._source, True, target._lock)
        found = plan.numbers(point)
        checked = 0
        for k, wires in plan.scene.leaving().items():
            for node in [plan.scene.stems()[k]] if k in plan.scene.stems() else []:
                parts = [c for e in wires for n, c in zip(e.nodes, e.contributions, strict=True) if n is node]
                total = plan.scene.gradients[node.serial]
                if total is not None:
                    summed = sum(found.of(part)[0] for part in parts if part is not None)
                    np.testing.assert_allclose(summed, found.of(total)[0], rtol=1e-10, atol=1e-12)
                    checked += 1
        assert checked > 8


def test_matrices_have_shape_norm_and_heat_map():
    function, values = network()
    svg = function.draw(*values).svg
    assert "4×3" in texts(svg, "shape")
    _, grads = function.value_and_grad(*values)
    for array in values:
        assert any(abs(np.linalg.norm(array) - v) < 0.006 for v in numbers(svg, "value"))
    for array in grads:
        assert any(abs(np.linalg.norm(array) - v) < 0.006 for v in numbers(svg, "gradient"))
    maps = [e for e in parsed(svg).iter() if e.get("class") == "map"]
    assert len(maps) > 20


def test_infinite_and_missing_numbers():
    function = symprop.compile(sp.log(x) * y, args=[x, y])
    svg = function.draw(0.0, 2.0).svg
    assert "−∞" in texts(svg, "value") and "∞" in texts(svg, "gradient")
    assert "NaN" in texts(function.draw(-1.0, 2.0).svg, "value")
    assert faults(svg) == []


# -- batches -------------------------------------------------------------------------------------------------


def batched(reduce):
    function, values = network(batch=["a", "t"], reduce=reduce)
    rng = np.random.default_rng(5)
    return function, [*values[:4], rng.normal(size=(6, 3)), rng.normal(size=(6, 2))]


@pytest.mark.parametrize("reduce", [None, "mean", "sum"])
def test_a_batch_shows_what_becomes_of_its_samples(reduce):
    function, values = batched(reduce)
    svg = function.draw(*values).svg
    assert faults(svg) == []
    value, grads = function.value_and_grad(*values)
    if reduce is not None:
        assert reduce in texts(svg, "sign")
        assert any(abs(value - v) < 0.0051 for v in numbers(svg, "value"))
    for array in grads:
        assert any(abs(np.linalg.norm(array) - v) < 0.006 for v in numbers(svg, "gradient"))


def test_one_sample_of_a_batch():
    function, values = batched("mean")
    alone, _ = network()
    svg = function.draw(*values, sample=4).svg
    value = alone(*values[:4], values[4][4], values[5][4])
    assert any(abs(value - v) < 0.0051 for v in numbers(svg, "value"))
    assert not [t for t in texts(svg) if "samples" in t and t != "over the samples"]
    with pytest.raises(symprop.ArgumentError, match="has 6 samples"):
        function.draw(*values, sample=6)
    with pytest.raises(symprop.ArgumentError, match="no batch"):
        alone.draw(*network()[1], sample=0)


# -- nothing on top of anything ------------------------------------------------------------------------------


def random_graph(seed):
    """A graph of scalar equations with much sharing, and its point."""
    rng = np.random.default_rng(seed)
    known = list(sp.symbols(f"x0:{rng.integers(1, 6)}"))
    inputs, equations = list(known), []
    for k in range(rng.integers(1, 12)):
        a, b, c = (known[i] for i in rng.integers(0, len(known), 3))
        forms = [a * b, a + b + c, sp.Max(a, b), sp.sin(a) * c, a - b, a**2, sp.exp(-a * a) + b]
        forms += [sp.Piecewise((a, b > 0), (c, True)), nn.relu(a + 1), 1 / (1 + a**2), 3 * a * b * c]
        name = sp.Symbol(("h", "gamma", "long_name", "u")[rng.integers(4)] + f"_{k}")
        equations.append((name, forms[rng.integers(len(forms))]))
        known.append(name)
    graph = symprop.Graph(equations)
    return graph, [v for v in inputs if v in graph.inputs]


@pytest.mark.parametrize("block", range(4))
def test_nothing_overlaps_in_random_graphs(block):
    seen = 0
    for seed in range(12 * block, 12 * block + 12):
        graph, inputs = random_graph(seed)
        function = symprop.compile(graph, args=inputs)
        scale = 10.0 ** (seed % 5 - 2)
        point = np.random.default_rng(seed).normal(size=len(inputs)) * scale
        for expand in (True, False):
            drawing = function.draw(*point, expand=expand)
            assert faults(drawing.svg) == [], (seed, expand)
            seen += len(texts(drawing.svg))
    assert seen > 400


@pytest.mark.parametrize("expand", [None, True, False, ["h"]])
def test_nothing_overlaps_in_networks(expand):
    function, values = network(60)
    assert faults(function.draw(*values, expand=expand).svg) == []


def test_a_wire_through_a_text_is_found():
    function, values = gates()
    svg = function.draw(*values).svg
    assert faults(svg) == []
    wire = re.search(r'class="wire" d="M(\S+) (\S+)H', svg)
    word = re.search(r'<text class="value" x="([^"]*)" y="([^"]*)"', svg)
    across = f"M{float(word[1]) - 30} {float(word[2]) - 4}H{float(word[1]) + 30}"
    assert len(faults(svg.replace(wire[0][:-1], f'class="wire" d="{across}M{wire[1]} {wire[2]}', 1))) == 1


# -- several times the same ----------------------------------------------------------------------------------


def test_an_operand_that_is_there_twice_has_two_wires_and_their_sum():
    product = symprop.compile(symprop.Graph([(p, x + y), (q, x + y), (f, p * q)]), args=[x, y])
    assert "3.00 + 3.00 = 6.00" in texts(product.draw(1.0, 2.0).svg, "gradient")
    angle = symprop.compile(symprop.Graph([(p, 3 * x), (q, 3 * x), (f, sp.atan2(p, q))]), args=[x])
    # d atan2(a, b) = (b da - a db)/(a^2 + b^2), at a = b = 3
    assert "0.17 − 0.17 = 0.00" in texts(angle.draw(1.0).svg, "gradient")
    cube = symprop.compile(sp.Mul(x, x, x, evaluate=False), args=[x])
    svg = cube.draw(2.0).svg
    assert "4.00 + 4.00 + 4.00 = 12.00" in texts(svg, "gradient") and faults(svg) == []
    a = sp.MatrixSymbol("a", 2, 2)
    square = symprop.compile(sp.Trace(sp.MatMul(a, a, evaluate=False)), args=[a])
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    svg = square.draw(matrix).svg
    assert numbers(svg, "gradient").count(round(np.linalg.norm(matrix), 2)) == 2
    assert f"norm {2 * np.linalg.norm(matrix):.2f}" in texts(svg, "gradient")


def test_the_gradient_behind_a_sum_over_the_samples_is_one():
    for reduce, count in (("sum", 3), ("mean", 3), ("sum", 0)):
        function = symprop.compile((x * y - 1) ** 2, args=[x, y], batch=[y], reduce=reduce)
        svg = function.draw(2.0, np.arange(float(count))).svg
        assert numbers(svg, "gradient")[-1] == 1.0 and "1.00" in texts(svg, "gradient")
        assert faults(svg) == []


# -- large graphs --------------------------------------------------------------------------------------------


def chain(count):
    v = sp.symbols(f"v0:{count}")
    here, equations = x, []
    for k in range(count):
        equations.append((sp.Symbol(f"s{k}"), sp.sin(here, evaluate=False) * v[k] + here))
        here = equations[-1][0]
    graph = symprop.Graph(equations)
    return symprop.compile(graph, args=[x, *v]), (1.0, *np.linspace(-1, 1, count))


def test_equations_are_closed_and_opened_on_demand():
    function, values = chain(6)
    open_all = texts(function.draw(*values, expand=True).svg, "sign")
    assert open_all.count("sin") == 6
    closed = texts(function.draw(*values, expand=False).svg, "sign")
    assert closed == [
        f"s{k} = v{k}·sin({f's{k - 1}' if k else 'x'}) + {f's{k - 1}' if k else 'x'}" for k in range(6)
    ]
    one = texts(function.draw(*values, expand="s3").svg, "sign")
    assert one.count("sin") == 1 and len(one) == 5 + 3


def test_many_equations_are_drawn_by_layers():
    function, values = chain(120)
    svg = function.draw(*values).svg
    assert faults(svg) == []
    boxes = texts(svg, "sign")
    assert len(boxes) < 60
    _, grads = function.value_and_grad(*values)
    count = len([t for t in texts(svg, "caption") if t.endswith("equations")])
    assert count >= 8
    # the first box of inputs holds x and the first factors
    size = int(next(t for t in texts(svg, "shape") if t.endswith("values")).split()[0])
    norm = np.linalg.norm(np.array(grads)[:size])
    assert any(abs(norm - g) < 0.006 * max(norm, 1) for g in numbers(svg, "gradient"))


def test_a_long_chain_is_drawn_by_layers():
    function, values = chain(40)
    svg = function.draw(*values).svg
    assert len([t for t in texts(svg, "caption") if t.endswith("equations")]) >= 8
    assert faults(svg) == []
    assert texts(function.draw(*values, expand=True).svg, "sign").count("sin") == 40


def test_an_equation_is_opened_among_layers():
    function, values = chain(120)
    svg = function.draw(*values, expand=["s50", "s51", "s90"]).svg
    signs = texts(svg, "sign")
    assert signs.count("sin") == 3 and signs.count("+") == 3 and signs.count("×") == 3
    assert len(signs) < 60
    assert faults(svg) == []
    trace = function.trace(*values)
    for name in ("s49", "s50", "s90"):
        shown = [t for t in texts(svg, "value") if t.startswith(f"{name} = ")]
        assert shown and abs(float(shown[0].split()[-1].replace("−", "-")) / trace[name].value - 1) < 0.006


def test_constants_among_layers():
    names = sp.symbols("c0:70")
    graph = symprop.Graph([(n, sp.Integer(k)) for k, n in enumerate(names[:60])] + [(f, x * y + names[3])])
    assert faults(symprop.compile(graph, args=[x, y]).draw(2.0, 3.0, expand=False).svg) == []
    graph = symprop.Graph([(n, x**2 + k) for k, n in enumerate(names[:60])] + [(f, x * y + 2)])
    function = symprop.compile(graph, args=[x, y])
    assert faults(function.draw(2.0, 3.0, expand=["f"]).svg) == []


def test_symbolic_sizes_float32_and_split_ties():
    n = sp.Symbol("n", integer=True, positive=True)
    u, v = sp.MatrixSymbol("u", n, 1), sp.MatrixSymbol("v", n, 1)
    function = symprop.compile(symprop.scalar(u.T * v), args=[u, v])
    for size in (3, 5):
        svg = function.draw(np.ones(size), 2 * np.ones(size)).svg
        assert f"{size}×1" in texts(svg, "shape") and f"{2 * size:.2f}" in texts(svg, "value")
    mean = symprop.compile(symprop.Graph([(p, n), (f, symprop.scalar(u.T * v) / n + p)]), args=[u, v])
    svg = mean.draw(np.ones(4), 2 * np.ones(4)).svg
    assert "n" in texts(svg, "name") and "6.00" in texts(svg, "value") and faults(svg) == []
    function = symprop.compile(nn.maximum(x, y), args=[x, y], ties="split", dtype="float32")
    assert numbers(function.draw(2.0, 2.0).svg, "gradient") == [0.5, 0.5, 1.0]


def test_deep_graphs_are_drawn_without_recursion():
    count = 3 * sys.getrecursionlimit()
    names = [x, *sp.symbols(f"s0:{count}")]
    graph = symprop.Graph([(b, sp.sin(a)) for a, b in pairwise(names)])
    svg = draw(graph).svg
    assert len(texts(svg, "sign")) <= 30
    assert faults(svg) == []
    assert symprop.compile(sum(sp.symbols("x0:300")) ** 2).draw(*[0.5] * 300).svg


def test_entries_of_a_vector_are_leaves():
    theta = sp.MatrixSymbol("theta", 3, 1)
    function = symprop.compile(theta[0, 0] * x + theta[1, 0] * theta[2, 0], args=[theta, x])
    svg = function.draw([1.0, 2.0, 3.0], 4.0).svg
    assert sorted(texts(svg, "name")) == ["out", "x", "θ0", "θ1", "θ2"]
    assert sorted(numbers(svg, "gradient")) == [1, 1, 1, 1, 2, 3, 4]


# -- files, themes, errors -----------------------------------------------------------------------------------


def test_files(tmp_path):
    function, values = product_of_sum()
    drawing = function.draw(*values, path=tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == drawing.svg == drawing._repr_svg_()
    with pytest.raises(symprop.ArgumentError, match=r"\.svg or \.png"):
        drawing.save(tmp_path / "a.pdf")
    assert pickle.loads(pickle.dumps(drawing)).svg == drawing.svg


def test_png(tmp_path):
    pytest.importorskip("resvg_py")
    function, values = product_of_sum()
    drawing = function.draw(*values, path=str(tmp_path / "a.png"))
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") == round(2 * drawing.width)


def test_png_without_the_extra_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    function, values = product_of_sum()
    with pytest.raises(ImportError, match=r"symprop\[png\]"):
        function.draw(*values).save(tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_themes():
    function, values = product_of_sum()
    light, dark = (function.draw(*values, theme=t).svg for t in ("light", "dark"))
    assert "prefers-color-scheme" in function.draw(*values).svg
    assert "prefers-color-scheme" not in light + dark
    assert texts(light) == texts(dark) and light != dark
    assert function.draw(*values).with_theme("dark").svg == dark
    with pytest.raises(symprop.ArgumentError, match="theme='blue'"):
        function.draw(*values, theme="blue")


def test_errors_of_expand():
    function, values = gates()
    with pytest.raises(symprop.ArgumentError, match="expand names t,"):
        function.draw(*values, expand=["t"])
    with pytest.raises(symprop.ArgumentError, match="expected True, False, None"):
        function.draw(*values, expand=3)


def test_values_alone_where_there_is_no_gradient():
    a = sp.MatrixSymbol("a", 2, 1)
    function = symprop.compile(2 * a, args=[a])
    svg = function.draw([1.0, 2.0]).svg
    assert numbers(svg, "value") and not numbers(svg, "gradient")
    label = sp.Symbol("k", integer=True)
    function = symprop.compile(nn.cross_entropy(a, label), args=[a, label])
    svg = function.draw([1.0, 2.0], 1).svg
    assert "1" in texts(svg, "value")


def test_constants_and_names_for_one_value():
    function = symprop.compile(symprop.Graph([(p, x + y), (q, x + y), (f, p * q + 3)]), args=[x, y])
    svg = function.draw(1.0, 2.0).svg
    assert any(t.startswith("p, q") for t in texts(svg))
    svg = symprop.compile(3 * sp.pi, args=[x]).draw(1.0).svg
    assert texts(svg, "name") == ["3·π", "out"] and texts(svg, "value") == ["9.42", "value, forward (above)"]
    assert symprop.compile(x, args=[x]).draw(1.0).svg
    svg = symprop.compile([x * y, x], args=[x, y]).draw(1.0, 2.0).svg
    assert sorted(texts(svg, "name")) == ["out", "out1", "x", "y"]


def test_long_constants_are_shown_in_three_digits():
    function = symprop.compile(x * 123456789012345678901 + y / 7, args=[x, y])
    assert {"×1.23e20", "×1/7"} < set(texts(function.draw(1.0, 2.0).svg, "sign"))


def test_texts_of_names_are_escaped():
    odd = sp.Symbol("a<b&c")
    function = symprop.compile(odd * x, args=[odd, x])
    assert "a<b&c" in texts(function.draw(2.0, 3.0).svg, "name")
