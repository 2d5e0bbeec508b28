"""Every function of symprop.nn: its definition against the formula of textbooks, derivatives against mpmath.

The derivatives are compared with differences of the definition at 60 digits, the definition with the formula
that `doit` gives, which is written separately.
"""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.declare.intake import Intake
from symprop.differentiate import forward, reverse
from symprop.functions.symbols import named
from symprop.graph import OPERATIONS, NodeTable, topological
from symprop.graph.evaluate import evaluate

A, B, C = sp.symbols("a b c")
D, E = sp.symbols("d e")
Y = sp.Symbol("y", integer=True)
P, Q, R = (sp.MatrixSymbol(name, 3, 1) for name in "pqr")
M = sp.MatrixSymbol("M", 2, 4)
U = sp.MatrixSymbol("U", 3, 1)  # entries in (0, 1)

CASES = {
    "sigmoid": nn.sigmoid(A),
    "tanh": nn.tanh(A),
    "relu": nn.relu(A),
    "relu6": nn.relu6(3 * A),
    "leaky_relu": nn.leaky_relu(A, B),
    "prelu": nn.prelu(P, Q),
    "elu": nn.elu(A, B),
    "celu": nn.celu(A, B),
    "selu": nn.selu(P),
    "silu": nn.silu(A),
    "swish": nn.swish(A, B),
    "gelu": nn.gelu(A),
    "gelu tanh": nn.gelu(A, "tanh"),
    "mish": nn.mish(A),
    "log_sigmoid": nn.log_sigmoid(A),
    "softplus": nn.softplus(A, beta=B),
    "softplus threshold": nn.softplus(5 * A, beta=2, threshold=3),
    "hardtanh": nn.hardtanh(2 * A, B, C),
    "hardsigmoid": nn.hardsigmoid(2 * A),
    "hardswish": nn.hardswish(2 * A),
    "softsign": nn.softsign(A),
    "tanhshrink": nn.tanhshrink(A),
    "hardshrink": nn.hardshrink(A),
    "softshrink": nn.softshrink(A, sp.Rational(1, 3)),
    "srelu": nn.srelu(3 * A),
    "maximum": nn.maximum(A, B),
    "minimum": nn.minimum(P, Q),
    "maxout": nn.maxout(P, Q, R),
    "maxout shared": nn.maxout(P, Q, R, ties="split"),
    "minimum shared": named("shared_minimum", [P, Q, R]),
    "maxout of all": nn.maxout(M, dim=(0, 1)),
    "maxout of all shared": nn.maxout(M, dim=(0, 1), ties="split"),
    "softmax of all": nn.softmax(M, dim=(0, 1)),
    "log_softmax of all": nn.log_softmax(M, dim=(0, 1)),
    "logsumexp of all": nn.logsumexp(M, dim=(0, 1)),
    "sinc": named("sinc", [A]),
    "spherical_ratio": named("spherical_ratio", [2 * A], (2,)),
    "bessel_ratio": named("bessel_ratio", [A], (3,)),
    "beta": named("beta", [A, B]),
    "rising": named("rising", [A, B]),
    "rising_slope": named("rising_slope", [A, B]),
    "acot": named("acot", [A]),
    "hypot": named("hypot", [A, B]),
    "mod": named("mod", [3 * A, B]),
    "maxout of rows": nn.maxout(M, dim=1),
    "maxout of columns": nn.maxout(M, dim=0),
    "at the maximum of rows": named("at_maximum", [M, 2 * M], (1, "first")),
    "at the maximum of all": named("at_maximum", [M, 2 * M], (None, "split")),
    "glu": nn.glu(M),
    "softmax": nn.softmax(P),
    "softmax of rows": nn.softmax(M, dim=1),
    "softmax of columns": nn.softmax(M, dim=0),
    "log_softmax": nn.log_softmax(P),
    "log_softmax of rows": nn.log_softmax(M, dim=-1),
    "logsumexp": nn.logsumexp(P),
    "logsumexp of columns": nn.logsumexp(M, dim=0),
    "squared_error": nn.squared_error(P, Q),
    "mse_loss": nn.mse_loss(P, Q),
    "l1_loss": nn.l1_loss(P, Q),
    "huber_loss": nn.huber_loss(P, Q, delta=B),
    "smooth_l1_loss": nn.smooth_l1_loss(P, Q, beta=B),
    "binary_cross_entropy": nn.binary_cross_entropy(U, Q),
    "binary_cross_entropy weight": nn.binary_cross_entropy(U, Q, weight=R, reduction="sum"),
    "with_logits": nn.binary_cross_entropy_with_logits(A, B),
    "with_logits weight": nn.binary_cross_entropy_with_logits(P, Q, weight=R),
    "with_logits pos_weight": nn.binary_cross_entropy_with_logits(
        P, Q, weight=R, pos_weight=U, reduction="none"
    ),
    "cross_entropy": nn.cross_entropy(P, Y),
    "cross_entropy smoothing": nn.cross_entropy(P, Y, weight=Q, label_smoothing=sp.Rational(1, 5)),
    "cross_entropy ignored": nn.cross_entropy(P, Y, ignore_index=1),
    "cross_entropy ignored other": nn.cross_entropy(P, Y, ignore_index=-100),
    "cross_entropy column": nn.cross_entropy(P, Q, weight=R),
    "cross_entropy column smoothing": nn.cross_entropy(P, Q, label_smoothing=sp.Rational(1, 5)),
    "cross_entropy literal": nn.cross_entropy(P, 2),
    "nll_loss": nn.nll_loss(P, Y, weight=Q),
    "kl_div": nn.kl_div(P, U),
    "kl_div log": nn.kl_div(P, Q, log_target=True, reduction="batchmean"),
    "hinge_loss": nn.hinge_loss(P, Q),
    "poisson_nll_loss": nn.poisson_nll_loss(P, Q),
    "poisson_nll_loss full": nn.poisson_nll_loss(U, 4 * U, log_input=False, full=True),
    "gaussian_nll_loss": nn.gaussian_nll_loss(P, Q, U, full=True),
}
POINTS = {
    A: "0.71828", B: "0.37651", C: "1.61803", D: "-0.41421", E: "0.23606", Y: 1,
    P: ["0.8123", "-1.3717", "0.2911"], Q: ["-0.4442", "1.9131", "0.3777"],
    R: ["1.7723", "0.5511", "-0.6612"],
    U: ["0.3421", "0.6173", "0.4531"],
    M: ["0.12", "-1.31", "0.77", "0.45", "2.21", "-0.63", "0.91", "-0.27"],
}  # fmt: skip


def _values(sign):
    """The points; `sign` -1 changes the sign of a, p and M."""
    values = {}
    for symbol, texts in POINTS.items():
        if symbol == Y:
            values[symbol] = 1
        elif isinstance(texts, str):
            values[symbol] = mp.mpf(texts) * (sign if symbol == A else 1)
        else:
            factor = sign if symbol in (P, M) else 1
            values[symbol] = np.array([factor * mp.mpf(t) for t in texts], object).reshape(symbol.shape)
    return values


def _symbols(expression):
    return sorted(expression.free_symbols - {Y}, key=str)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sign", [1, -1])
def test_definition_and_formula_agree(name, sign):
    expression, values = CASES[name], _values(sign)
    with mp.workdps(40):
        table = NodeTable()
        found = np.ravel(evaluate([Intake(table, {}).node(expression)], values, True)[0])
        formula = expression.doit()
        assert formula != expression
        replaced = {
            s: v if not s.is_Matrix else sp.Matrix(*s.shape, [sp.Float(str(e), 40) for e in v.ravel()])
            for s, v in ((s, _number(v)) for s, v in values.items())
        }
        formula = formula.subs(replaced).doit()
        right = list(formula.as_explicit()) if formula.is_Matrix else [formula]
        assert len(right) == len(found)
        for a, b in zip(found, right, strict=True):
            assert abs(a - mp.mpf(str(sp.N(b, 35)))) < mp.mpf(10) ** -30 * (1 + abs(a))


def _number(value):
    return value if isinstance(value, np.ndarray | int) else sp.Float(str(value), 40)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sign", [1, -1])
def test_both_modes_against_differences(name, sign):
    """The directional derivative in one random direction: reverse, forward, and central differences."""
    expression, values = CASES[name], _values(sign)
    symbols = _symbols(expression)
    table = NodeTable()
    intake = Intake(table, {})
    target = intake.node(expression)
    nodes = [intake.node(s) for s in symbols]
    rng = np.random.default_rng(len(name))
    direction = {s: rng.normal(size=s.shape if s.is_Matrix else ()) for s in symbols}
    named = {s: sp.MatrixSymbol(f"v_{s}", *s.shape) if s.is_Matrix else sp.Symbol(f"v_{s}") for s in symbols}
    seeds = {n.serial: table.symbol(named[s]) for n, s in zip(nodes, symbols, strict=True)}
    tangent = forward.tangents(table, [target], seeds)[target.serial]
    weights = rng.normal(size=target.shape)
    weight = sp.MatrixSymbol("w_", *target.shape) if target.shape else sp.Symbol("w_")
    adjoints = reverse.adjoints(table, target, nodes, table.symbol(weight))
    known = values | {named[s]: direction[s] for s in symbols} | {weight: weights}
    with mp.workdps(60):
        roots = [tangent, *[adjoints[n.serial] for n in nodes]]
        carried, *gradients = evaluate(roots, known, True)
        by_forward = mp.fsum(np.ravel(carried * weights))
        by_reverse = mp.fsum(
            mp.fsum(np.ravel(g * direction[s])) for g, s in zip(gradients, symbols, strict=True)
        )

        def moved(step):
            at = values | {s: values[s] + step * _exact(direction[s]) for s in symbols}
            return mp.fsum(np.ravel(evaluate([target], at, True)[0] * weights))

        h = mp.mpf(10) ** -18
        right = (moved(h) - moved(-h)) / (2 * h)
        assert abs(by_forward - right) < mp.mpf(10) ** -30 * (1 + abs(right))
        assert abs(by_reverse - right) < mp.mpf(10) ** -30 * (1 + abs(right))


@pytest.mark.parametrize("name", CASES)
def test_second_order_against_differences(name):
    """Forward over reverse, reverse over reverse, and differences of the gradient, in random directions."""
    expression, values = CASES[name], _values(1)
    symbols = _symbols(expression)
    table = NodeTable()
    intake = Intake(table, {})
    target = intake.node(expression)
    nodes = [intake.node(s) for s in symbols]
    rng = np.random.default_rng(len(name))
    u, v = ({s: rng.normal(size=s.shape if s.is_Matrix else ()) for s in symbols} for _ in "uv")
    weights = rng.normal(size=target.shape)

    def constants(direction):
        return {n.serial: _constant_matrix(table, direction[s]) for n, s in zip(nodes, symbols, strict=True)}

    seed = _constant_matrix(table, weights)
    adjoints = reverse.adjoints(table, target, nodes, seed)
    in_v = constants(v)
    slope = table.add(*[table.sum(table.mul(adjoints[n.serial], in_v[n.serial])) for n in nodes])
    forward_twice = forward.tangents(table, [slope], constants(u))[slope.serial]
    reverse_twice = reverse.adjoints(table, slope, nodes)
    with mp.workdps(60):
        by_forward = mp.mpf(0) if forward_twice is None else evaluate([forward_twice], values, True)[0].item()
        by_reverse = mp.mpf(0)
        for n, s in zip(nodes, symbols, strict=True):
            if reverse_twice[n.serial] is not None:
                found = evaluate([reverse_twice[n.serial]], values, True)[0]
                by_reverse += mp.fsum(np.ravel(found * _exact(u[s])))
        h = mp.mpf(10) ** -18
        there, back = (
            evaluate([slope], values | {s: values[s] + k * h * _exact(u[s]) for s in symbols}, True)[0].item()
            for k in (1, -1)
        )
        right = (there - back) / (2 * h)
        assert abs(by_forward - right) < mp.mpf(10) ** -28 * (1 + abs(right))
        assert abs(by_reverse - right) < mp.mpf(10) ** -28 * (1 + abs(right))


def _constant_matrix(table, array):
    """The node of an array of numbers."""
    if array.ndim == 0:
        return table.constant(sp.Rational(float(array)))
    places = tuple(np.ndindex(array.shape))
    return table.make(
        "place", [table.constant(sp.Rational(float(array[p]))) for p in places], (array.shape, places)
    )


def _exact(array):
    return np.array(np.frompyfunc(lambda v: mp.mpf(float(v)), 1, 1)(array), object)


def test_every_composite_is_tested_and_described():
    tested = {n.op for e in CASES.values() for n in _nodes(e)}
    elsewhere = (
        "user",
        "trace",
        "log_determinants",
    )  # of matrices: tests/differentiate/test_every_operation.py
    composites = {n for n, o in OPERATIONS.items() if o.expand is not None and not n.startswith(elsewhere)}
    assert composites - tested == set()
    assert all(OPERATIONS[n].summary for n in composites)


def _nodes(expression):
    table = NodeTable()
    Intake(table, {}).node(expression)
    return table.nodes


SHARED = [nn.softmax, nn.log_softmax, nn.logsumexp, lambda z: nn.cross_entropy(z, Y)]


@pytest.mark.parametrize("function", SHARED)
def test_value_and_gradient_share_one_exp(function):
    """After the definitions are written out, forward and backward hold one maximum and one exp."""
    table = NodeTable()
    intake = Intake(table, {})
    target, node = intake.node(function(P)), intake.node(P)
    seed = table.symbol(sp.MatrixSymbol("w", *target.shape)) if target.shape else table.symbol(sp.Symbol("w"))
    roots = [target, reverse.adjoints(table, target, [node], seed)[node.serial]]
    todo = list(roots)
    for _ in range(4):  # composites of composites
        todo = [_written_out(table, root) for root in todo]
    made = {n.serial: n for n in topological(todo)}
    assert sum(n.op == "exp" for n in made.values()) == 1
    assert sum(n.op == "reduce_max" for n in made.values()) == 1


def _written_out(table, root):
    done = {}
    for node in topological([root]):
        args = [done[a.serial] for a in node.args]
        new = node if node.op in ("symbol", "constant") else table.make(node.op, args, node.attrs)
        expand = OPERATIONS[new.op].expand
        done[node.serial] = expand(table, new) if expand else new
    return done[root.serial]


@pytest.mark.parametrize(
    ("base", "exponent", "slopes"),
    [(0.0, 0.0, (0.0, 0.0)), (0.0, 2.0, (0.0, 0.0)), (2.0, 0.0, (0.0, np.log(2.0))), (0.0, 1.0, (1.0, 0.0))],
)
def test_slopes_of_a_power_at_zero(base, exponent, slopes):
    """As in torch: constant where the exponent is 0 and where the base is 0 and the exponent not negative."""
    x, n = sp.symbols("x n")
    assert symprop.compile(x**n, args=[x, n]).grad(base, exponent) == pytest.approx(slopes, rel=1e-15)
