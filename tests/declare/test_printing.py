"""Golden texts of our printers."""

from __future__ import annotations

import ast

import numpy as np
import pytest
import sympy as sp

from symprop import nn
from symprop.declare import Graph, scalar
from symprop.declare.printing import latex, text
from symprop.functions.symbols import named
from symprop.graph import NodeTable, topological
from symprop.graph.evaluate import evaluate

a, b, c = sp.symbols("a b c")
y = sp.Symbol("y", integer=True)
x = sp.MatrixSymbol("x", 3, 1)
W1, W2 = sp.MatrixSymbol("W1", 4, 3), sp.MatrixSymbol("W2", 4, 4)
b1, h, d = (sp.MatrixSymbol(name, 4, 1) for name in ("b1", "h", "d_h"))
A = sp.MatrixSymbol("A", 3, 3)
power, hadamard, ones = sp.HadamardPower, sp.HadamardProduct, sp.OneMatrix

GOLDEN = [
    (a + b, "a + b", "a + b"),
    (a - b, "a - b", "a - b"),
    (-a - b, "-a - b", "-a - b"),
    (b - a, "b - a", "b - a"),
    (2 * a * b, "2*a*b", "2 a b"),
    (a / b, "a/b", r"\frac{a}{b}"),
    (1 / a, "1/a", r"\frac{1}{a}"),
    (a / (b * c), "a/(b*c)", r"\frac{a}{b c}"),
    (1 - a / 2, "1 - a/2", r"1 - \frac{a}{2}"),
    (a**-2, "1/a**2", r"\frac{1}{a^{2}}"),
    (1 / sp.sqrt(a + b), "1/sqrt(a + b)", r"\frac{1}{\sqrt{a + b}}"),
    (c * (a + b), "c*(a + b)", r"c \left(a + b\right)"),
    ((a - b) / (a + b), "(a - b)/(a + b)", r"\frac{a - b}{a + b}"),
    (
        (a + b) ** 2,
        "(a + b)**2",
        r"\left(a + b\right)^{2}".replace(r"\left(a + b\right)", r"{\left(a + b\right)}"),
    ),
    (a ** (b + 1), "a**(b + 1)", "a^{b + 1}"),
    (2**a, "2**a", "2^{a}"),
    (-a * b, "-a*b", "-a b"),
    (sp.exp(-(a**2) / 2), "exp(-a**2/2)", r"\exp\left(-\frac{a^{2}}{2}\right)"),
    (sp.sqrt(2) * sp.pi * a, "sqrt(2)*pi*a", r"\sqrt{2} \pi a"),
    (0.1 * a, "0.1*a", "0.1 a"),
    (1.5e-7 * a, "1.5e-07*a", r"1.5 \cdot 10^{-7} a"),
    (sp.Max(a, b), "max(a, b)", r"\max\left(a, b\right)"),
    (sp.Abs(a), "abs(a)", r"\left|a\right|"),
    (
        sp.Piecewise((a, a > 0), (b, True)),
        "where(a > 0, a, b)",
        r"\begin{cases}a & \text{if } a > 0 \\ b & \text{otherwise}\end{cases}",
    ),
    (W1 * x + b1, "W1*x + b1", "W_{1} x + b_{1}"),
    (ones(4, 1) - power(h, 2), "1 - h∘h", r"\mathbf{1} - h \circ h"),
    (
        hadamard(d, ones(4, 1) - power(h, 2)),
        "d_h∘(1 - h∘h)",
        r"d_{h} \circ \left(\mathbf{1} - h \circ h\right)",
    ),
    (hadamard(h, W1 * x), "h∘(W1*x)", r"h \circ \left(W_{1} x\right)"),
    (W2 * hadamard(h, b1), "W2*(b1∘h)", r"W_{2} \left(b_{1} \circ h\right)"),
    (hadamard(h, power(d, -1)), "h⊘d_h", r"h \oslash d_{h}"),
    (power(h, -1), "1⊘h", r"\mathbf{1} \oslash h"),
    (power(h + d, 3), "(d_h + h)**∘3", r"{\left(d_{h} + h\right)}^{\circ 3}"),
    (W2.T * h, "W2.T*h", r"W_{2}^{\top} h"),
    ((W1 * x + h).T, "(W1*x + h).T", r"{\left(W_{1} x + h\right)}^{\top}"),  # sympy takes it apart
    (sp.Transpose(W1 * x + h), "(W1*x + h).T", r"{\left(W_{1} x + h\right)}^{\top}"),
    (sp.Trace(A), "trace(A)", r"\operatorname{tr}\left(A\right)"),
    (scalar(x.T * x) * x, "(x.T*x)*x", r"\left(x^{\top} x\right) x"),
    (x / sp.sqrt(x.T * x), None, None),
    (ones(1, 4) * h, "ones(1, 4)*h", r"\mathbf{1}_{1 \times 4} h"),
    (A + sp.Identity(3), "I + A", r"\mathbf{I} + A"),
    (sp.Identity(3) + ones(3, 3), "I + 1", r"\mathbf{I} + \mathbf{1}"),
    (sp.ZeroMatrix(2, 3), "zeros(2, 3)", r"\mathbf{0}_{2 \times 3}"),
    (h - 3 * ones(4, 1), "h - 3", r"h - 3 \mathbf{1}"),
    (A[1, 2], "A[1, 2]", "{A}_{1, 2}"),
    (x[y, 0], "x[y, 0]", "{x}_{y, 0}"),
    (A[y, 2], "A[y, 2]", "{A}_{y, 2}"),
    (A[:2, 1:], "A[:2, 1:]", "{A}_{:2, 1:}"),
    (sp.Matrix([[a, b], [0, c]]), "Matrix([[a, b], [0, c]])", r"\begin{bmatrix}a & b \\ 0 & c\end{bmatrix}"),
    (named("tanh", [W1 * x + b1]), "tanh(W1*x + b1)", r"\tanh\left(W_{1} x + b_{1}\right)"),
    (sp.exp(-x.T * A * x / 2), "exp(-x.T*A*x/2)", r"\exp\left(-\frac{x^{\top} A x}{2}\right)"),
]
GOLDEN = [row for row in GOLDEN if row[1] is not None]


@pytest.mark.parametrize(("expression", "plain", "tex"), GOLDEN, ids=[row[1] for row in GOLDEN])
def test_golden(expression, plain, tex):
    assert text(expression) == plain
    assert latex(expression) == tex


def test_plain_text_of_scalars_means_the_same():
    """What is printed, read by sympy, is the expression: the parentheses are right."""
    expressions = [
        a - (b - c),
        a / (b / c),
        (a / b) / c,
        a / b * c,
        (-a) ** 2 * -b,
        (a**b) ** c,
        a ** (b**c),
        -(a**2),
        (-a) ** c,
        2 ** (-a),
        (a / b) ** c,
        a - (b + c) * (a - c) / (b * (c - a)),
        -(a + b) / 3,
        sp.Rational(-2, 3) * a / b,
        1 / (a + 1 / (b + 1 / c)),
        sp.sqrt(a / b) ** 3,
        (a + b) ** sp.Rational(-3, 2),
        sp.Rational(1, 3) ** a,
        sp.pi**a,
    ]
    for expression in expressions:
        again = sp.sympify(text(expression))
        at = {a: sp.Rational(13, 10), b: sp.Rational(7, 10), c: sp.Rational(21, 10)}
        assert sp.N(again.subs(at) - expression.subs(at), 30) == pytest.approx(0, abs=1e-25), expression


# -- the text of random nodes, read by an interpreter of its grammar -------------------------------------

FUNCTIONS = {
    "exp": np.exp,
    "tanh": np.tanh,
    "sin": np.sin,
    "atan": np.arctan,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "max": np.maximum,
    "where": np.where,
    "sum": lambda x: np.asarray(np.sum(x)),
    "diag": lambda x: np.diag(x[:, 0]),
    "diagonal": lambda x: np.diag(x)[:, None],
    "ones": lambda *shape: np.ones([int(n) for n in shape]),
    "zeros": lambda *shape: np.zeros([int(n) for n in shape]),
}


def times(p, q):
    return p * q if p.ndim == 0 or q.ndim == 0 or p.size == 1 or q.size == 1 else p @ q


OPERATORS = {
    ast.Add: lambda p, q: p + q,
    ast.Sub: lambda p, q: p - q,
    ast.Mult: times,
    ast.MatMult: lambda p, q: p * q,  # written for the Hadamard product
    ast.FloorDiv: lambda p, q: p / q,  # written for its inverse
    ast.Div: lambda p, q: p / q,
    ast.Pow: lambda p, q: p**q,
}


def interpreted(tree, at):
    """The value of a printed formula."""
    match tree:
        case ast.Constant():
            return np.asarray(float(tree.value))
        case ast.Name():
            return np.asarray(at[tree.id])
        case ast.Attribute():
            return interpreted(tree.value, at).T
        case ast.Subscript():
            i, j = (int(interpreted(e, at)) for e in tree.slice.elts)
            return np.asarray(interpreted(tree.value, at)[i, j])
        case ast.UnaryOp():
            return -interpreted(tree.operand, at)
        case ast.Compare():
            assert isinstance(tree.ops[0], ast.Lt | ast.Gt)
            left, right = interpreted(tree.left, at), interpreted(tree.comparators[0], at)
            return left < right if isinstance(tree.ops[0], ast.Lt) else left > right
        case ast.Call():
            return FUNCTIONS[tree.func.id](*[interpreted(e, at) for e in tree.args])
        case ast.BinOp():
            return OPERATORS[type(tree.op)](interpreted(tree.left, at), interpreted(tree.right, at))
    raise AssertionError(ast.dump(tree))


@pytest.mark.parametrize("seed", range(100, 160))
def test_random_nodes_are_printed_with_the_right_parentheses(seed, random_nodes):
    table = NodeTable()
    numbers = np.random.default_rng(seed)
    for node in random_nodes(table, seed):
        symbols = [n.attrs[0] for n in topological([node]) if n.op == "symbol"]
        at = {s: numbers.uniform(-1, 1, getattr(s, "shape", ())) for s in symbols}
        shown = text(node).replace("**∘", "**").replace("∘", "@").replace("⊘", "//")
        found = interpreted(ast.parse(shown, mode="eval").body, {s.name: value for s, value in at.items()})
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(found, evaluate([node], at)[0], rtol=1e-9, atol=1e-9, err_msg=shown)


def test_lowered_nodes():
    t = NodeTable()
    p, q, r = (t.symbol(s) for s in (a, b, c))
    assert text(t.call("sub", p, t.call("neg", q))) == "a + b"
    assert text(t.call("div", t.call("fma", p, q, r), t.call("sqrt", q))) == "(a*b + c)/sqrt(b)"
    H = t.symbol(h)
    assert text(t.call("div", H, t.symbol(d))) == "h⊘d_h"
    assert text(t.sum(H)) == "sum(h)"
    assert text(t.sum(H, (0,), True)) == "sum(h, axis=0)"


def test_names():
    t = NodeTable()
    inner = t.add(t.symbol(a), t.symbol(b))
    assert text(t.mul(inner, inner), {inner.serial: sp.Symbol("s")}) == "s*s"


def test_nested_products_have_one_number_in_front():
    t = NodeTable()
    x, y, half = t.symbol(a), t.symbol(b), t.constant(sp.Rational(1, 2))
    inner = t.make("mul", (t.constant(-4), x))
    outer = t.make("mul", (t.constant(3), t.make("mul", (inner, t.call("cos", y)))))
    assert text(outer) == "-12*a*cos(b)"
    assert text(t.make("mul", (y, inner))) == "-4*b*a"
    assert text(t.make("mul", (inner, half))) == "-2*a"
    assert text(outer, {inner.serial: sp.Symbol("s")}) == "3*s*cos(b)"
    decimal = t.make("mul", (t.constant(sp.Float(0.1)), t.make("mul", (t.constant(sp.Float(0.3)), x))))
    assert text(decimal) == "0.1*0.3*a"
    root = t.constant(sp.sqrt(2) / 2)
    assert text(t.make("mul", (root, t.make("mul", (half, x))))) == "sqrt(2)*a/4"
    assert text(t.make("mul", (t.make("mul", (t.constant(-2 / sp.sqrt(sp.pi)), x)), y))) == "-2*b*a/sqrt(pi)"


def test_a_graph():
    z, L = sp.MatrixSymbol("z", 4, 1), sp.Symbol("L")
    net = Graph([(h, named("tanh", [W1 * x + b1])), (z, W2 * h), (L, z.T * z)])
    assert str(net) == "h = tanh(W1*x + b1)\nz = W2*h\nL = z.T*z"
    assert net._repr_latex_() == (
        r"$\displaystyle \begin{aligned} h &= \tanh\left(W_{1} x + b_{1}\right) \\ z &= W_{2} h \\ "
        r"L &= z^{\top} z \end{aligned}$"
    )


def test_what_is_long_and_shared_gets_a_line():
    expression = a
    for _ in range(100):
        expression = sp.Add(sp.sin(expression, evaluate=False), expression, evaluate=False)
    shown = str(Graph([(c, expression)]))
    assert len(shown) < 1_000_000
    lines = shown.split("\n")
    assert len(lines) > 2 and lines[-1].startswith("c = ") and lines[0].startswith("_1 = ")


def test_a_large_matrix_is_cut():
    shown = text(sp.Matrix(30, 30, lambda i, j: sp.Symbol(f"m{i}_{j}")))
    assert shown.endswith("...)") and len(shown) < 2_000


def test_a_function_over_all_entries_of_a_matrix_says_so():
    """What is printed is what one types: without dim it would be refused."""
    wide, column = sp.MatrixSymbol("X", 3, 4), sp.MatrixSymbol("x", 3, 1)
    for function in (nn.softmax, nn.log_softmax, nn.logsumexp):
        whole = function(wide, dim=(0, 1))
        assert text(whole) == str(whole) == f"{function.__name__}(X, dim=(0, 1))"
        assert text(function(column)) == str(function(column)) == f"{function.__name__}(x)"
