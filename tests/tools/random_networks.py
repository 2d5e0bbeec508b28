"""Random valid networks over every operation that a user can reach, for the fuzzing.

A network is grown by choices of small whole numbers, so that hypothesis, a random generator or a list of
recorded choices can make them; smaller numbers are simpler choices, which is what minimising goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import sympy as sp

from symprop.declare import Graph, Intake
from symprop.graph import Node, NodeTable, topological

__all__ = ["MAKERS", "NOT_MADE", "Case", "Choices", "Drawn", "Random", "Recorded", "network"]

SAMPLES = 5


class Choices(Protocol):
    """A source of whole numbers."""

    def integer(self, low: int, high: int) -> int:
        """A number from low to high."""


class Random:
    """Choices of a random generator, with those made so far."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng([seed, 1])
        self.made: list[int] = []

    def integer(self, low: int, high: int) -> int:
        self.made.append(int(self._random.integers(0, high - low + 1)))
        return low + self.made[-1]


class Recorded:
    """Choices from a list, the simplest where it ends or asks for too much."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._rest = iter(numbers)
        self.made: list[int] = []

    def integer(self, low: int, high: int) -> int:
        self.made.append(min(next(self._rest, 0), high - low))
        return low + self.made[-1]


class Drawn:
    """Choices of hypothesis, by the `draw` of a composite strategy and its `integers`."""

    def __init__(self, draw: Callable[[Any], int], integers: Callable[[int, int], Any]) -> None:
        self._draw, self._integers = draw, integers

    def integer(self, low: int, high: int) -> int:
        return self._draw(self._integers(low, high))


@dataclass(frozen=True)
class Case:
    """A network, a point for it, and which inputs are batched, with values for some samples.

    The first sample is the point.
    """

    graph: Graph
    at: dict[Any, Any]
    batch: tuple[Any, ...]
    samples: dict[Any, Any]

    @property
    def args(self) -> tuple[Any, ...]:
        """The inputs."""
        return self.graph.inputs

    @property
    def wrt(self) -> list[Any]:
        """The inputs with a gradient."""
        return [s for s in self.graph.inputs if self.graph.nodes[s].kind == "real"]

    def __str__(self) -> str:
        lines = [str(self.graph), f"outputs {self.graph.outputs}, batch {self.batch}"]
        lines += [f"{s} = {np.asarray(v).tolist()!r}" for s, v in self.at.items()]
        lines += [f"{s} samples {self.samples[s].tolist()!r}" for s in self.batch]
        return "\n".join(lines)


NUMBERS = [1, 2, -1, 3, sp.Rational(1, 2), -2, sp.Rational(2, 3), 0.1, sp.pi, sp.sqrt(2), sp.E, -7, 0, 10]
EXTREME = [
    *(sp.Float(1e-300), sp.Float(1e300), sp.Float(1e16), sp.Integer(10) ** 30, sp.Rational(1, 10**20)),
    *(sp.Float(5e-324), sp.Float(1.7e308), 709, -745, 88, 1 + sp.Rational(1, 2**52), sp.exp(-40), 2**53 + 1),
]
EXPONENTS = [2, 3, -1, sp.Rational(1, 2), -2, sp.Rational(1, 3), sp.Rational(-1, 2), 4, 5, sp.Rational(3, 2)]
EXPONENTS += [sp.Rational(2, 3), -3, 7, sp.Rational(-5, 2), 0.7, 12, sp.pi]
POINTS = [0.0, 1.0, -1.0, 0.5, 2.0, -0.5, 3.0, -3.0, 6.0, 0.25]
FAR = [20.0, -20.0, 1e-8, -1e-8, 1e-30, 40.0, -750.0, 710.0, 1e5, -1e5, 1e10, 100.0, -100.0]


class Twice(sp.Function):  # type: ignore[misc]
    """A function with a value and a derivative of the user's."""

    def doit(self, **hints: Any) -> Any:
        return sp.sin(self.args[0]) * self.args[1]

    def fdiff(self, argindex: int = 1) -> Any:
        x, y = self.args
        return y * sp.cos(x) if argindex == 1 else sp.sin(x)


class Valued(sp.Function):  # type: ignore[misc]
    """A function with a value of the user's, differentiated through it."""

    def doit(self, **hints: Any) -> Any:
        return self.args[0] ** 2 / (1 + self.args[0] ** 2)


class Grower:
    """Nodes of every shape, made of each other."""

    def __init__(self, choices: Choices) -> None:
        self.t = NodeTable()
        self.choices = choices
        self.m, self.n = self.integer(1, 4), self.integer(1, 4)
        self.labels: list[Node] = []
        self.pool: list[Node] = []

    # -- choices ---------------------------------------------------------------------------------------------

    def integer(self, low: int, high: int) -> int:
        return self.choices.integer(low, high)

    def pick(self, items: Sequence[Any]) -> Any:
        return items[self.integer(0, len(items) - 1)]

    def chance(self, one_in: int) -> bool:
        return self.integer(0, one_in - 1) == one_in - 1

    # -- nodes -----------------------------------------------------------------------------------------------

    def any(self) -> Node:
        """Any node, the latest more often."""
        last = len(self.pool) - 1
        return self.pool[last - min(self.integer(0, last), self.integer(0, last))]

    def of(self, fits: Callable[[Node], bool]) -> Node | None:
        found = [a for a in reversed(self.pool) if fits(a)]
        return self.pick(found) if found else None

    def scalar(self) -> Node:
        found = self.of(lambda a: not a.shape)
        assert found is not None
        return found

    def matrix(self) -> Node | None:
        return self.of(lambda a: len(a.shape) == 2)

    def square(self) -> Node | None:
        return self.of(lambda a: len(a.shape) == 2 and a.shape[0] == a.shape[1] and a.shape[0] <= 4)

    def column(self) -> Node | None:
        return self.of(lambda a: len(a.shape) == 2 and a.shape[1] == 1)

    def like(self, a: Node) -> Node:
        """A node that goes with a: of its shape, or a scalar."""
        found = self.of(lambda b: b.shape in (a.shape, ()))
        assert found is not None
        return found

    def number(self) -> Node:
        return self.t.constant(self.pick(EXTREME) if self.chance(12) else self.pick(NUMBERS))

    def positive(self, a: Node) -> Node:
        """Something positive made of a; one time in eight a itself."""
        t, kind = self.t, self.integer(0, 7)
        if kind == 7:
            return a
        if kind >= 5:
            return t.add(t.full(1, a.shape), t.pow(a, 2))
        return t.make("exp", (t.make("tanh", (a,)),)) if kind >= 3 else t.make("softplus", (a,))

    def inside(self, a: Node) -> Node:
        """Something between -1 and 1 made of a; one time in six a itself."""
        return a if self.chance(6) else self.t.make("tanh", (a,))

    def condition(self, like: Node) -> Node:
        t = self.t
        name = self.pick(["less", "less_equal", "equal", "not_equal"])
        b = self.like(like) if self.chance(2) else t.constant(0)
        made = t.make(name, (like, b))
        if self.chance(4):
            made = t.make("not", (made,))
        if self.chance(4):
            made = t.make(self.pick(["and", "or"]), (made, t.make("less", (self.like(like), like))))
        return made

    def dim(self) -> int | None:
        return self.pick([None, 0, 1])


Maker = Callable[[Grower], "Node | None"]
MAKERS: dict[str, Maker] = {}
# what the rewriting makes of others, what a call knows, and maxima as parts of softmax and maxout
NOT_MADE = frozenset(
    [
        *("sub", "div", "neg", "sqrt", "fma", "lu", "lu_solve", "lu_determinant"),
        *("batch_sum", "batch_size", "reduce_max", "symbol"),
        *("and", "or", "not", "less", "less_equal", "equal", "not_equal"),  # in conditions of `select`
    ]
)


def _maker(*names: str) -> Callable[[Maker], Maker]:
    def enter(maker: Maker) -> Maker:
        for name in names:
            MAKERS[name] = maker
        return maker

    return enter


def _unary(name: str, *attrs: tuple[Any, ...]) -> None:
    MAKERS[name] = lambda g: g.t.make(name, (g.any(),), g.pick(attrs) if attrs else ())


for _name in (
    *("exp", "expm1", "sin", "cos", "tan", "atan", "acot", "sinh", "cosh", "tanh", "asinh", "erf", "erfc"),
    *("sigmoid", "softplus", "abs", "sign", "floor", "ceiling", "normal_cdf", "relu", "selu", "silu", "mish"),
    *("log_sigmoid", "relu6", "hardsigmoid", "hardswish", "softsign", "tanhshrink", "srelu", "sinc", "j0"),
    *("j1", "exp2", "cbrt", "erfi"),
):
    _unary(_name)
_unary("gelu", ("none",), ("tanh",))
_unary("spherical_ratio", (1,), (2,), (0,), (3,))
_unary("bessel_ratio", (1,), (2,), (3,))


def _positive(name: str) -> None:
    MAKERS[name] = lambda g: g.t.make(name, (g.positive(g.any()),))


for _name in ("log", "log1p", "log2", "log10", "gamma", "loggamma", "digamma", "trigamma", "polygamma_2"):
    _positive(_name)
_positive("polygamma_3")
MAKERS["polygamma_4"] = lambda g: g.t.make("polygamma_4", (g.t.full(2, ()),))  # without a derivative
MAKERS["erfcinv"] = lambda g: g.t.make("erfcinv", (g.t.add(g.t.constant(1), g.inside(g.any())),))
MAKERS["acosh"] = lambda g: g.t.make("acosh", (g.t.add(g.t.constant(1), g.positive(g.any())),))


def _inside(name: str) -> None:
    MAKERS[name] = lambda g: g.t.make(name, (g.inside(g.any()),))


for _name in ("asin", "acos", "atanh", "erfinv"):
    _inside(_name)


def _with_parameters(name: str, *parameters: Sequence[Any]) -> None:
    """A function of an operand and parameters: numbers, or nodes of the graph."""

    def make(g: Grower) -> Node:
        a = g.any()
        more = [
            g.t.call("softplus", g.scalar()) if g.chance(4) else g.t.constant(g.pick(p)) for p in parameters
        ]
        return g.t.make(name, (a, *more))

    MAKERS[name] = make


_with_parameters("leaky_relu", [sp.Rational(1, 100), 0.2])
_with_parameters("prelu", [sp.Rational(1, 4)])
_with_parameters("elu", [1, 0.5])
_with_parameters("celu", [1, 2, 0.5])
_with_parameters("swish", [1, 2])
_with_parameters("hardshrink", [sp.Rational(1, 2), 1])
_with_parameters("softshrink", [sp.Rational(1, 2), 1])
_with_parameters("softplus_threshold", [1, 2], [20, 1])
_with_parameters("hardtanh", [-1, -2], [1, 3])


@_maker("constant")
def _constant(g: Grower) -> Node:
    t, a = g.t, g.any()
    return t.mul(g.number(), a) if g.chance(2) else t.add(a, g.number())


@_maker("add", "mul")
def _many(g: Grower) -> Node:
    a = g.any()
    others = [g.like(a) for _ in range(g.integer(1, 3))]
    others = [g.t.neg(b) if g.chance(3) else b for b in others]
    if g.chance(2):
        return g.t.mul(a, *others)
    return g.t.add(a, *others)


@_maker("pow")
def _power(g: Grower) -> Node:
    a, t = g.any(), g.t
    if g.chance(5):
        return t.pow(g.positive(a), g.t.make("tanh", (g.like(a),)))
    exponent = g.pick(EXPONENTS)
    whole = sp.sympify(exponent).is_Integer
    return t.pow(a if whole and exponent > 0 else g.positive(a), exponent)


@_maker("select")
def _select(g: Grower) -> Node:
    a = g.any()
    b = g.like(a)
    return g.t.select(g.condition(a), *((a, b) if g.chance(2) else (b, a)), shape=a.shape)


@_maker("maximum", "minimum")
def _extreme(g: Grower) -> Node:
    a = g.any()
    b = g.t.constant(0) if g.chance(3) else g.like(a)
    return g.t.make(g.pick(["maximum", "minimum"]), (a, b), g.pick([(), ("first",), ("split",)]))


@_maker("shared_maximum", "shared_minimum")
def _shared(g: Grower) -> Node:
    a = g.any()
    others = [g.like(a) for _ in range(g.integer(1, 3))]
    return g.t.make(g.pick(["shared_maximum", "shared_minimum"]), (a, *others))


@_maker("atan2", "hypot", "mod", "beta", "rising", "rising_slope")
def _two(g: Grower) -> Node:
    a = g.any()
    b, name = g.like(a), g.pick(["atan2", "hypot", "mod", "beta", "rising", "rising_slope"])
    if name in ("beta", "rising", "rising_slope"):
        a, b = g.positive(a), g.positive(b)
    return g.t.make(name, (a, b))


@_maker("user", "user_formula")
def _user(g: Grower) -> Node:
    a = g.any()
    x, y = sp.Dummy("x"), sp.Dummy("y")
    call = Twice(x, y) if g.chance(2) else Valued(x)
    scalars = {x: a, y: g.like(a)} if not a.shape else {x: g.scalar(), y: g.scalar()}
    return Intake(g.t, scalars).node(call)


# -- shapes --------------------------------------------------------------------------------------------------


@_maker("broadcast")
def _broadcast(g: Grower) -> Node | None:
    if g.chance(2):
        a = g.column()
        return None if a is None else g.t.broadcast(a, (a.shape[0], g.n))
    return g.t.broadcast(g.scalar(), (g.m, g.n))


@_maker("reshape")
def _reshape(g: Grower) -> Node | None:
    a = g.matrix()
    if a is None:
        return None
    rows, columns = a.shape
    if rows == columns == 1:
        return g.t.reshape(a, ())
    # no formula of a user makes a column of a matrix, and there is no native code for it
    return g.t.reshape(a, (columns, rows)) if 1 in (rows, columns) else None


@_maker("transpose")
def _transpose(g: Grower) -> Node | None:
    a = g.matrix()
    return None if a is None else g.t.make("transpose", (a,), ((1, 0),))


def _range(g: Grower, size: int) -> tuple[int, int]:
    start = g.integer(0, size - 1)
    return start, g.integer(start + 1, size)


@_maker("slice")
def _slice(g: Grower) -> Node | None:
    a = g.matrix()
    return None if a is None else g.t.make("slice", (a,), (tuple(_range(g, d) for d in a.shape),))


@_maker("pad")
def _pad(g: Grower) -> Node | None:
    a = g.of(lambda a: len(a.shape) == 2 and max(a.shape) <= 6)
    if a is None:
        return None
    before, after = [(g.integer(0, 1), g.integer(0, 2)) for _ in range(2)]
    shape = (a.shape[0] + sum(before), a.shape[1] + sum(after))
    return g.t.make("pad", (a,), (shape, (before[0], after[0])))


@_maker("index")
def _index(g: Grower) -> Node | None:
    a = g.matrix()
    return None if a is None else g.t.index(a, tuple(g.integer(0, d - 1) for d in a.shape))


@_maker("place")
def _place(g: Grower) -> Node:
    cells = [(i, j) for i in range(g.m) for j in range(g.n)]
    places = sorted({g.pick(cells) for _ in range(g.integer(1, 3))})
    return g.t.make("place", [g.scalar() for _ in places], ((g.m, g.n), tuple(places)))


@_maker("take")
def _take(g: Grower) -> Node | None:
    a = g.of(lambda a: len(a.shape) == 2 and min(a.shape) >= 3)
    if a is not None and g.chance(2):
        return g.t.make("take", (a, g.pick(g.labels), g.pick(g.labels)))
    a = g.of(lambda a: len(a.shape) == 2 and a.shape[0] >= 3 and a.shape[1] == 1)
    return None if a is None else g.t.make("take", (a, g.pick(g.labels)))


@_maker("one_hot")
def _one_hot(g: Grower) -> Node:
    return g.t.mul(g.scalar(), g.t.make("one_hot", (g.pick(g.labels),), (g.integer(3, 4),)))


@_maker("diag", "eye")
def _diag(g: Grower) -> Node | None:
    a = g.of(lambda a: len(a.shape) == 2 and a.shape[1] == 1 and a.shape[0] <= 6)
    if a is None or g.chance(3):
        return g.t.mul(g.scalar(), g.t.make("eye", (), (g.m, g.n)))
    return g.t.make("diag", (a,))


@_maker("diagonal", "trace")
def _diagonal(g: Grower) -> Node | None:
    a = g.of(lambda a: len(a.shape) == 2 and a.shape[0] == a.shape[1])
    return None if a is None else g.t.make(g.pick(["diagonal", "trace"]), (a,))


@_maker("sum")
def _sum(g: Grower) -> Node | None:
    a = g.matrix()
    if a is None:
        return None
    axes = g.pick([(0, 1), (0,), (1,)])
    return g.t.sum(a, axes, len(axes) == 1)


@_maker("matmul")
def _matmul(g: Grower) -> Node | None:
    a = g.matrix()
    if a is None:
        return None
    b = g.of(lambda b: len(b.shape) == 2 and b.shape[0] == a.shape[1])
    if b is not None and not g.chance(4):
        return g.t.matmul(a, b)
    return g.t.matmul(a, g.t.transpose(a)) if a.shape[0] <= 6 else None


@_maker("kronecker")
def _kronecker(g: Grower) -> Node | None:
    a, b = g.matrix(), g.matrix()
    if a is None or b is None or a.shape[0] * b.shape[0] > 8 or a.shape[1] * b.shape[1] > 8:
        return None
    return g.t.make("kronecker", (a, b))


@_maker("inverse", "determinant", "log_determinant", "log_determinants", "cofactor", "cofactor_slope")
def _linear_algebra(g: Grower) -> Node | None:
    a = g.square()
    if a is None:
        return None
    name = g.pick(
        ["inverse", "determinant", "log_determinant", "log_determinants", "cofactor", "cofactor_slope"]
    )
    if name == "cofactor_slope":
        return g.t.make(name, (a, a))
    if not g.chance(3):  # a matrix that is regular most of the time
        a = g.t.add(g.t.make("tanh", (a,)), g.t.mul(g.t.constant(2), g.t.make("eye", (), a.shape)))
    if name == "log_determinants":
        return g.t.make(name, (a, g.t.transpose(a)), (g.pick([1, 3]), g.pick([-1, 1])))
    return g.t.make(name, (a,), ("abs",) if name == "log_determinant" and g.chance(2) else ())


@_maker("at_maximum")
def _at_maximum(g: Grower) -> Node | None:
    a = g.matrix()
    if a is None:
        return None
    values = g.t.broadcast(g.like(a), a.shape)
    return g.t.make("at_maximum", (a, values), (g.dim(), g.pick(["first", "split"])))


@_maker("softmax", "log_softmax", "logsumexp", "maxout", "glu")
def _joined(g: Grower) -> Node | None:
    a = g.matrix()
    if a is None:
        return None
    name, dim = g.pick(["softmax", "log_softmax", "logsumexp", "maxout", "glu"]), g.dim()
    if name == "glu":
        axis = 0 if a.shape[0] % 2 == 0 else 1
        return g.t.make("glu", (a,), (axis,)) if a.shape[axis] % 2 == 0 else None
    return g.t.make(name, (a,), (dim, g.pick(["first", "split"])) if name == "maxout" else (dim,))


# -- losses --------------------------------------------------------------------------------------------------


@_maker("cross_entropy", "nll_loss")
def _classes(g: Grower) -> Node | None:
    a = g.of(lambda a: len(a.shape) == 2 and a.shape[0] >= 3 and a.shape[1] == 1)
    if a is None:
        return None
    y = g.pick(g.labels)
    weights = [g.t.make("sigmoid", (g.like(a),))] if g.chance(3) else []
    if g.chance(3):
        return g.t.make("nll_loss", (a, y, *weights), (g.pick([None, 1, -100]),))
    if g.chance(3):
        return g.t.make("cross_entropy", (a, g.t.make("softmax", (a,), (None,)), *weights), (None, sp.S.Zero))
    smoothing = g.pick([sp.S.Zero, sp.Rational(1, 10)])
    return g.t.make("cross_entropy", (a, y, *weights), (g.pick([None, 1, -100]), smoothing))


@_maker("squared_error", "mse_loss", "l1_loss", "hinge_loss", "huber_loss", "smooth_l1_loss")
def _distance(g: Grower) -> Node:
    a, name = g.any(), g.pick(["squared_error", "mse_loss", "l1_loss", "hinge_loss"] + ["huber_loss"] * 2)
    how = (g.pick(["mean", "sum", "none"]),)
    if name == "huber_loss":
        delta = g.pick([1, sp.Rational(1, 2)])
        return g.t.make(g.pick([name, "smooth_l1_loss"]), (a, g.like(a), g.t.constant(delta)), how)
    return g.t.make(name, (a, g.like(a)), how)


@_maker("binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div")
def _entropies(g: Grower) -> Node:
    t, a = g.t, g.any()
    b, how, kind = g.like(a), g.pick(["mean", "sum", "none"]), g.integer(0, 2)
    if kind == 0:
        weights = [t.make("sigmoid", (g.like(a),)) for _ in range(g.integer(0, 2))]
        operands = (a, t.make("sigmoid", (b,)), *weights)
        return t.make("binary_cross_entropy_with_logits", operands, (how,))
    if kind == 1:
        # beyond 1e-12 the derivative is limited, as in torch, and is none
        operands = tuple(t.make("sigmoid", (t.make("tanh", (v,)),)) for v in (a, b))
        return t.make("binary_cross_entropy", operands, (how,))
    log_target = g.chance(2)
    return t.make("kl_div", (a, b if log_target else t.make("sigmoid", (b,))), (how, log_target))


@_maker("poisson_nll_loss", "gaussian_nll_loss")
def _likelihood(g: Grower) -> Node:
    t, a = g.t, g.any()
    b, how, full = g.like(a), g.pick(["mean", "sum", "none"]), g.chance(2)
    if g.chance(2):
        variance = t.make("softplus", (g.like(a),))
        return t.make("gaussian_nll_loss", (a, b, variance), (how, full, sp.Rational(1, 10**6)))
    log_input = not g.chance(3)
    rate = a if log_input else t.make("softplus", (a,))
    attrs = (how, log_input, full, sp.Rational(1, 10**8))
    return t.make("poisson_nll_loss", (rate, t.make("exp", (t.make("tanh", (b,)),))), attrs)


_NAMES = list(MAKERS)
_SIMPLE = ["tanh", "add", "matmul", "pow", "sum", "constant", "select", "index", "exp", "maximum"]


# -- networks ------------------------------------------------------------------------------------------------


def network(choices: Choices, steps: int = 12) -> Case:
    """A network of at most that many steps (most take one operation), and values for its inputs."""
    g = Grower(choices)
    t, m, n = g.t, g.m, g.n
    symbols: list[Any] = [*sp.symbols("x y"), sp.MatrixSymbol("u", m, 1), sp.MatrixSymbol("A", m, n)]
    symbols += [sp.MatrixSymbol("v", n, 1), sp.MatrixSymbol("S", m, m)]
    label = [sp.Symbol("k", integer=True), sp.Symbol("l", integer=True)]
    g.pool = [t.symbol(s) for s in symbols]
    g.labels = [t.symbol(s) for s in label]
    for _ in range(g.integer(1, steps)):
        name = g.pick(_SIMPLE) if g.chance(3) else g.pick(_NAMES)
        made = MAKERS[name](g)
        if made is None or made.kind != "real" or (made.shape and max(made.shape) > 24):
            continue
        if g.chance(4):
            made = t.make(g.pick(["tanh", "sin", "softsign"]), (made,))  # keeps values small
        g.pool.append(made)
    latest = list(dict.fromkeys(reversed(g.pool)))[: g.integer(1, 4)]
    total = t.add(*[t.sum(a) for a in latest])
    named = [(_symbol(f"n{k}", a), a) for k, a in enumerate(g.pool[len(symbols) :]) if g.chance(3)]
    outputs = [sp.Symbol("L")]
    equations = [*{a.serial: (s, a) for s, a in named if a is not total}.values(), (outputs[0], total)]
    if g.chance(3) and latest[0] is not total:
        outputs.append(_symbol("more", latest[0]))
        equations.append((outputs[1], latest[0]))
    graph = Graph.from_nodes(t, equations, outputs)
    return _with_values(g, graph)


def _symbol(name: str, node: Node) -> Any:
    return sp.MatrixSymbol(name, *node.shape) if len(node.shape) == 2 else sp.Symbol(name)


def _with_values(g: Grower, graph: Graph) -> Case:
    spread = g.integer(0, 9)  # all values of moderate size, or a few far ones, or single precision
    numbers = np.random.default_rng(g.integer(0, 10**6))

    def value() -> float:
        kind = g.integer(0, 5)
        if kind <= 1:
            return float(g.pick(POINTS))
        if spread == 9 and kind == 5:
            return float(g.pick(FAR))
        return float(numbers.standard_normal() * (1.5 if kind < 4 else 0.2))

    at: dict[Any, Any] = {}
    for s in graph.inputs:
        node = graph.nodes[s]
        if node.kind == "integer":
            at[s] = g.integer(0, 2)
            continue
        size = int(np.prod(node.shape)) if node.shape else 1
        own = [value() for _ in range(min(size, 3))] + list(numbers.standard_normal(max(size - 3, 0)))
        array = np.asarray(own, np.float32).astype(float)  # the same numbers serve both types
        at[s] = array.reshape(node.shape)
    batch = tuple(s for s in graph.inputs if not g.chance(2))
    samples = {}
    for s in batch:
        rows = [at[s]]
        for _ in range(SAMPLES - 1):
            if graph.nodes[s].kind == "integer":
                rows.append(int(numbers.integers(0, 3)))
            else:
                change = numbers.standard_normal(np.shape(at[s])) * numbers.integers(0, 2)
                rows.append(np.asarray(at[s] + change, np.float32).astype(float))
        samples[s] = np.array(rows)
    return Case(graph, at, batch, samples)


def operations(case: Case) -> set[str]:
    """The operations in a network."""
    return {node.op for node in topological(list(case.graph.nodes.values()))}
