"""Options of compile: args, wrt, batch, reduce, ties, and the errors of each, with the culprit's name."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import ArgumentError, ShapeError, SympropError, UnsupportedExpressionError

a, b, c = sp.symbols("alpha beta gamma_")
x, y = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("y", 2, 1)
i = sp.Symbol("i", integer=True)


def test_default_arguments_are_the_inputs_in_order_of_first_use():
    q, r = sp.symbols("q r")
    f = symprop.compile(symprop.Graph([(q, b * c), (r, q + a)]))
    assert f.args == (b, c, a)
    assert f(2, 3, 1) == 7


def test_default_arguments_are_in_the_order_of_the_printed_formula():
    """sympy keeps the terms of these sums in another order: y, x**2 and b, a*x; and factors as y, x**2."""
    f, g, u, v = sp.symbols("f g u v")
    assert symprop.compile(u**2 * v)(3, 1) == 9
    assert symprop.compile(sp.sin(f * sp.sqrt(g) * u / v)).args == (f, g, u, v)
    assert symprop.compile(u**2 + g)(3, 1) == 10
    assert symprop.compile(f * u + g).args == (f, u, g)
    assert symprop.compile(symprop.Graph([(v, 1 / u + g), (c, v * f + u)])).args == (u, g, f)
    assert symprop.compile([g, f * g]).args == (g, f)
    shared = sp.exp(f + u**2)
    assert (
        symprop.compile(shared**2 + 1 / (1 + shared) + g).args
        == symprop.compile(symprop.Graph([(v, shared), (c, v**2 + 1 / (1 + v) + g)])).args
    )


def test_arguments_by_name():
    f = symprop.compile(a * b**2, args=["beta", "alpha"], wrt="beta", batch="alpha", reduce="sum")
    assert f.args == (b, a)
    assert f.grad(3.0, [1.0, 2.0]) == 18.0


def test_wrt():
    target = a * b + c**2
    values = (2.0, 3.0, 4.0)
    grads = symprop.compile(target, args=[a, b, c]).grad(*values)
    assert grads == (3.0, 2.0, 8.0)
    assert symprop.compile(target, args=[a, b, c], wrt=[c, a]).grad(*values) == (8.0, 3.0)
    assert symprop.compile(target, args=[a, b, c], wrt=[b]).grad(*values) == (2.0,)
    assert symprop.compile(target, args=[a, b, c], wrt=b).grad(*values) == 2.0
    alone = symprop.compile(target, args=[a, b, c], wrt=[])
    assert alone.value_and_grad(*values) == (22.0, ())
    assert alone.grad(*values) == ()
    assert alone(*values) == 22.0


def test_the_only_gradient_of_a_function_of_one_argument():
    """A tuple as always, and an array for NumPy."""
    value, grads = symprop.compile(a**2, args=[a]).value_and_grad(3.0)
    assert isinstance(grads, tuple)
    assert grads == (6.0,)
    assert float(grads) == 6.0
    assert np.array_equal(np.asarray([value, grads], float), [9.0, 6.0])
    f = symprop.compile(x.T * x, args=[x])
    (grad,) = f.grad([1.0, 2.0, 3.0])
    assert np.array_equal(grad, [2.0, 4.0, 6.0])
    assert np.array_equal(np.asarray(f.grad([1.0, 2.0, 3.0])), grad)
    assert np.asarray(f.grad([1.0, 2.0, 3.0]), np.float32).dtype == np.float32
    step = f.bind(np.ones(3))
    step()
    assert len(step.grads) == 1
    assert type(symprop.compile(a**2, args=[a], wrt=[a]).grad(3.0)) is tuple


def test_gradients_of_batched_arguments_alone_are_asked_for_by_name():
    """The default leaves nothing: that is said, instead of an empty tuple."""
    f = symprop.compile(a * b, args=[a, b], batch=[a, b])
    assert f([1.0, 2.0], [3.0, 4.0]).tolist() == [3.0, 8.0]
    for call in (f.grad, f.value_and_grad):
        with pytest.raises(ArgumentError, match=r"compile with wrt=\[alpha, beta\]"):
            call([1.0, 2.0], [3.0, 4.0])
    (d_a, d_b) = symprop.compile(a * b, args=[a, b], wrt=[a, b], batch=[a, b]).grad([1.0, 2.0], [3.0, 4.0])
    assert d_a.tolist() == [3.0, 4.0] and d_b.tolist() == [1.0, 2.0]
    assert symprop.compile(a * b, args=[a, b], wrt=[], batch=[a, b]).grad([1.0], [3.0]) == ()


def test_default_wrt_leaves_out_labels_and_batched_arguments():
    f = symprop.compile(a * x[i, 0] + b, args=[a, x, i, b])
    assert f.wrt == (a, x, b)
    assert symprop.compile(a * x[i, 0] + b, args=[a, x, i, b], batch=[x, i]).wrt == (a, b)


def test_an_argument_that_the_target_lacks_has_gradient_zero():
    f = symprop.compile(a**2, args=[x, a, b, i], wrt=[x, b, a])
    value, (d_x, d_b, d_a) = f.value_and_grad([1, 2, 3], 5.0, 1.0, 7)
    assert value == 25.0
    assert np.array_equal(d_x, np.zeros(3))
    assert d_b == 0.0
    assert d_a == 10.0
    batched = symprop.compile(a**2, args=[a, x], batch=[x], wrt=[a, x])
    value, (d_a, d_x) = batched.value_and_grad(3.0, np.ones((4, 3)))
    assert np.array_equal(value, np.full(4, 9.0))
    assert np.array_equal(d_a, np.full(4, 6.0))
    assert np.array_equal(d_x, np.zeros((4, 3)))


def test_a_target_without_symbols():
    f = symprop.compile(sp.Integer(3), args=[a])
    assert f.value_and_grad(2.0) == (3.0, (0.0,))
    assert symprop.compile(sp.pi / 2)() == np.pi / 2


def test_targets_that_are_no_scalar():
    f = symprop.compile(2 * x)
    assert np.array_equal(f([1, 2, 3]), [2, 4, 6])
    for method in (f.grad, f.value_and_grad):
        with pytest.raises(ShapeError, match=r"scalar output, but out has shape \(3, 1\).*vjp.*jacobian"):
            method([1, 2, 3])
    for name in ("backward", "gradient"):
        with pytest.raises(ShapeError, match="scalar output"):
            getattr(f, name)
    assert symprop.compile([2 * x, a]).wrt == (x, a)
    value, grads = symprop.compile(2 * x, wrt=[]).value_and_grad([1, 2, 3])
    assert np.array_equal(value, [2, 4, 6])
    assert grads == ()


def test_two_arguments_of_one_name():
    plain, positive = sp.Symbol("p"), sp.Symbol("p", positive=True)
    f = symprop.compile(a * plain, args=[a, plain, positive])
    assert f(2.0, 3.0, 4.0) == 6.0
    with pytest.raises(ArgumentError, match="2 arguments are named p"):
        f(2.0, p=3.0)


def test_a_one_by_one_matrix_is_a_scalar():
    value, (grad,) = symprop.compile(x.T * x, args=[x]).value_and_grad([1, 2, 3])
    assert value == 14.0
    assert np.array_equal(grad, [2, 4, 6])


def test_ties():
    top = sp.Max(a, b)
    first = symprop.compile(top, args=[a, b]).grad(2.0, 2.0)
    assert sorted(first) == [0.0, 1.0]
    assert symprop.compile(top, args=[a, b], ties="split").grad(2.0, 2.0) == (0.5, 0.5)
    assert symprop.compile(top, args=[a, b], ties="split").grad(3.0, 2.0) == (1.0, 0.0)
    graph = symprop.Graph([(c, sp.Max(a, b) * a)])
    assert symprop.compile(graph, args=[a, b], ties="split").grad(2.0, 2.0) == (3.0, 1.0)


def test_ties_inside_named_functions():
    for unit in (symprop.nn.maxout(a, b), symprop.nn.maximum(a, b), -symprop.nn.minimum(-a, -b)):
        assert symprop.compile(unit, args=[a, b]).grad(2.0, 2.0) == (1.0, 0.0)
        assert symprop.compile(unit, args=[a, b], ties="split").grad(2.0, 2.0) == (0.5, 0.5)
        assert symprop.compile(unit, args=[a, b], ties="split").grad(2.0, 1.0) == (1.0, 0.0)
    top = symprop.scalar(symprop.nn.maxout(x))
    assert np.array_equal(symprop.compile(top, wrt=x).grad([2.0, 1.0, 2.0]), [1.0, 0.0, 0.0])
    assert np.array_equal(symprop.compile(top, wrt=x, ties="split").grad([2.0, 1.0, 2.0]), [0.5, 0.0, 0.5])
    rectifier = symprop.compile(symprop.nn.relu(a), ties="split", wrt=a)
    assert rectifier.grad(0.0) == 0.0


def test_any_name_works_as_keyword():
    names = sp.symbols("self args lambda arrays x.y")
    f = symprop.compile(sum(k * s for k, s in enumerate(names, 1)), args=names)
    values = {"self": 1.0, "args": 2.0, "lambda": 3.0, "arrays": 4.0, "x.y": 5.0}
    assert f(**values) == 55.0
    assert f.grad(**values) == (1.0, 2.0, 3.0, 4.0, 5.0)
    step = f.bind(**values)
    step()
    assert step.value == 55.0


def test_whole_numbers_come_out():
    f = symprop.compile([x[i, 0], i], args=[x, i], wrt=x)
    (value, index), grad = f.value_and_grad([1.0, 2.0, 3.0], 2)
    assert (value, index) == (3.0, 2)
    assert np.array_equal(grad, [0, 0, 1])


def test_accuracy_and_threads_are_accepted():
    for options in ({"accuracy": "fast"}, {"accuracy": "as_written"}, {"threads": 2}, {"threads": "all"}):
        assert symprop.compile(a * b, args=[a, b], **options)(2.0, 3.0) == 6.0


def test_dtypes():
    for dtype in ("float32", np.float32, np.dtype("f4"), "f4"):
        assert symprop.compile(a * b, dtype=dtype).dtype == np.float32
    assert symprop.compile(a * b, dtype=float).dtype == np.float64


class Nameless(sp.Function):
    """A function without value and derivative."""


class OnlyValue(sp.Function):
    """A function with a value and no derivative rule, which its definition gives."""

    def doit(self, **hints):
        return self.args[0] ** 3


MISTAKES = {
    "symbol missing in args": (ArgumentError, "beta", lambda: symprop.compile(a * b, args=[a])),
    "same name, other symbol": (
        ArgumentError,
        "i.*assumptions",
        lambda: symprop.compile(x[i, 0], args=[x, sp.Symbol("i")]),
    ),
    "argument named twice": (ArgumentError, "alpha twice", lambda: symprop.compile(a * b, args=[a, b, a])),
    "an expression as argument": (
        ArgumentError,
        "args holds alpha",
        lambda: symprop.compile(a * b, args=[a + b, b]),
    ),
    "a computed name": (
        ArgumentError,
        "args names gamma_.*equation",
        lambda: symprop.compile(symprop.Graph([(c, a * b), (sp.Symbol("out"), c**2)]), args=[a, b, c]),
    ),
    "batch of no argument": (ArgumentError, "batch names x", lambda: symprop.compile(a * b, batch=[x])),
    "wrt of no argument": (ArgumentError, "wrt names x", lambda: symprop.compile(a * b, wrt=[x])),
    "wrt of an unknown name": (
        ArgumentError,
        "wrt holds 'delta'",
        lambda: symprop.compile(a * b, wrt=["delta"]),
    ),
    "wrt of a label": (ArgumentError, "wrt names i.*integer", lambda: symprop.compile(x[i, 0], wrt=[i])),
    "reduce without batch": (
        ArgumentError,
        "reduce='mean'.*batch",
        lambda: symprop.compile(a * b, reduce="mean"),
    ),
    "batch of a flag": (
        ArgumentError,
        "batch=True names no symbols",
        lambda: symprop.compile(a * b, batch=True),
    ),
    "reduce": (ArgumentError, "reduce='max'", lambda: symprop.compile(a * b, batch=a, reduce="max")),
    "dtype": (ArgumentError, "dtype='int32'", lambda: symprop.compile(a * b, dtype="int32")),
    "dtype None": (ArgumentError, "dtype=None", lambda: symprop.compile(a * b, dtype=None)),
    "threads": (ArgumentError, "threads=0", lambda: symprop.compile(a * b, threads=0)),
    "ties": (ArgumentError, "ties='last'", lambda: symprop.compile(a * b, ties="last")),
    "accuracy": (ArgumentError, "accuracy='exact'", lambda: symprop.compile(a * b, accuracy="exact")),
    "a target that is none": (SympropError, "", lambda: symprop.compile("alpha*beta")),
    "no value": (UnsupportedExpressionError, "Nameless", lambda: symprop.compile(Nameless(a) * a)),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes(kind):
    error, words, action = MISTAKES[kind]
    with pytest.raises(error, match=f"(?s){words}") as caught:
        action()
    assert isinstance(caught.value, ValueError | TypeError)
    assert len(str(caught.value)) >= 25


GOOD = {"x": np.ones(3), "alpha": 2.0, "y": np.ones((2, 1))}
CALLS = {
    "wrong shape": (ShapeError, r"argument x: .*\(3,\) or \(3, 1\), found shape \(4,\)", {"x": np.ones(4)}),
    "transposed": (ShapeError, r"argument x: .*found shape \(1, 3\).*\.T", {"x": np.ones((1, 3))}),
    "many": (ShapeError, r"argument x: .*found shape \(7, 3, 1\).*batch=", {"x": np.ones((7, 3, 1))}),
    "unknown": (ArgumentError, r"unknown argument alpa \(did you mean alpha\?\)", {"alpa": 1.0}),
    "complex": (ArgumentError, "argument x: .*complex.*real part", {"x": np.ones(3) * 1j}),
    "complex number": (ArgumentError, "argument alpha: .*complex", {"alpha": 1j}),
    "objects": (ArgumentError, "argument x: .*objects.*astype", {"x": np.array([1, "two", None], object)}),
    "objects that are numbers": (
        ArgumentError,
        "argument x: .*objects",
        {"x": np.array([1.0, 2.0, 3.0], object)},
    ),
    "text": (ArgumentError, "argument x: .*text", {"x": ["1", "2", "3"]}),
    "nothing": (ArgumentError, "argument alpha: found None", {"alpha": None}),
    "ragged": (ArgumentError, "argument x: .*list", {"x": [[1.0], [2.0, 3.0]]}),
    "masked": (
        ArgumentError,
        "argument x: .*masked.*filled",
        {"x": np.ma.masked_array(np.ones(3), [0, 1, 0])},
    ),
    "dates": (ArgumentError, "argument x: .*dates", {"x": np.zeros(3, "datetime64[s]")}),
    "symbols": (ArgumentError, "argument x: found Symbol .* in entry 0", {"x": [a, b, c]}),
}


@pytest.mark.parametrize("kind", CALLS)
def test_mistakes_at_the_call(kind):
    error, words, changed = CALLS[kind]
    f = symprop.compile(a * symprop.scalar(x.T * x) + symprop.scalar(y.T * y), args=[x, a, y])
    for method in (f, f.value_and_grad, f.grad):
        with pytest.raises(error, match=f"(?s){words}") as caught:
            method(**{**GOOD, **changed})
        assert isinstance(caught.value, ValueError | TypeError)
    assert np.isfinite(f(**GOOD))


def test_mistakes_with_names():
    f = symprop.compile(a * b, args=[a, b])
    with pytest.raises(ArgumentError, match="missing argument beta"):
        f(1.0)
    with pytest.raises(ArgumentError, match="missing arguments alpha, beta"):
        f()
    with pytest.raises(ArgumentError, match="argument alpha is given twice"):
        f(1.0, 2.0, alpha=3.0)
    with pytest.raises(ArgumentError, match="argument alpha is given twice"):
        f(1.0, alpha=3.0)
    with pytest.raises(ArgumentError, match=r"found 3 positional arguments.*takes 2"):
        f(1.0, 2.0, 3.0)
    with pytest.raises(ArgumentError, match="unknown argument gamma_"):
        f(1.0, 2.0, gamma_=3.0)


LABELS = {
    "fraction": (np.array([0, 1, 1.5]), r"1\.5 in row 2.*whole number"),
    "nan": (np.array([0, np.nan, 1]), r"nan in row 1.*whole number"),
    "infinity": (np.array([np.inf, 0, 1]), r"inf in row 0.*whole number"),
    "huge": (np.array([0, 0, 2**63], np.uint64), r"9223372036854775808 in row 2"),
    "too large": (np.array([0, 3, 1]), r" 3 .*row 1.*0 to 2"),
    "negative": (np.array([0, 1, -1]), r" -1 .*row 2.*0 to 2"),
    "far away": (np.array([0, 2**62, 0]), rf" {2**62} .*row 1.*0 to 2"),
    "negative float": (np.array([-1.0, 0, 0]), r" -1 .*row 0.*0 to 2"),
    "complex": (np.array([1j, 0, 0]), "complex"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind):
    labels, words = LABELS[kind]
    f = symprop.compile(x[i, 0] ** 2, args=[x, i], batch=[i])
    for method in (f, f.value_and_grad):
        with pytest.raises(ArgumentError, match=f"argument i: .*{words}"):
            method([1.0, 2.0, 3.0], labels)
    with pytest.raises(ArgumentError, match=r"argument i: .*5.*0 to 2"):
        symprop.compile(x[i, 0] ** 2, args=[x, i])([1.0, 2.0, 3.0], 5)
    with pytest.raises(ArgumentError, match="argument i: "):
        symprop.compile(x[i, 0] ** 2, args=[x, i])([1.0, 2.0, 3.0], 10**30)
