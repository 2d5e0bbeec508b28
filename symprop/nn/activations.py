"""Activations, for scalars, columns and matrices of any size; inside `applyfunc` too.

Each gives an expression that prints by its name; `.doit()` is its formula in plain sympy. Names, parameters
and defaults are those of `torch.nn.functional` where it has the function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from symprop.errors import ArgumentError
from symprop.functions.symbols import named, shape_of
from symprop.nn.arguments import axis, choice, operand, same_shape

Expression = Any  # of sympy, which has no types

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logsigmoid",
    "logsumexp",
    "maximum",
    "maxout",
    "minimum",
    "mish",
    "one_hot",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softshrink",
    "softsign",
    "srelu",
    "swish",
    "tanh",
    "tanhshrink",
]


def _call(function: str, operands: Mapping[str, Any], attrs: tuple[Any, ...] = ()) -> Expression:
    """The named function of checked operands."""
    given = {name: operand(value, function, name) for name, value in operands.items()}
    same_shape(given, function)
    return named(function, list(given.values()), attrs)


def _parameter(value: Any, default: sp.Expr) -> Any:
    """A number equal to the default as the exact default: 0.01 as 1/100."""
    return default if isinstance(value, int | float) and value == float(default) else value


# -- gates ----------------------------------------------------------------------------------------


def sigmoid(x: Any) -> Expression:
    """`σ(x) = 1/(1 + exp(-x))`; derivative `σ(x) (1 - σ(x))`. torch: `sigmoid`.

    >>> sigmoid(sp.Symbol("x")), sigmoid(sp.Symbol("x")).doit()
    (sigmoid(x), 1/(1 + exp(-x)))
    """
    return _call("sigmoid", {"x": x})


def log_sigmoid(x: Any) -> Expression:
    """`log σ(x) = -log(1 + exp(-x))`, exact for x far below zero; derivative `σ(-x)`. torch: `logsigmoid`.

    >>> log_sigmoid(sp.Symbol("x")).doit()
    -log(1 + exp(-x))
    """
    return _call("log_sigmoid", {"x": x})


logsigmoid = log_sigmoid


def tanh(x: Any) -> Expression:
    """`tanh(x)`; derivative `1 - tanh(x)**2`, which reuses the value. torch: `tanh`.

    >>> W, x = sp.MatrixSymbol("W", 4, 3), sp.MatrixSymbol("x", 3, 1)
    >>> tanh(W * x), tanh(W * x).shape
    (tanh(W*x), (4, 1))
    """
    return _call("tanh", {"x": x})


def silu(x: Any) -> Expression:
    """`y = x σ(x)`; derivative `σ(x) + y (1 - σ(x))`. torch: `silu`. With a slope: `swish`.

    >>> silu(sp.Symbol("x")).doit()
    x/(1 + exp(-x))
    """
    return _call("silu", {"x": x})


def swish(x: Any, beta: Any = 1) -> Expression:
    """`y = x σ(β x)`; derivative `σ(β x) + β y (1 - σ(β x))`. `beta` may be a symbol, to be learned.

    torch: `silu` where β = 1 (Ramachandran, Zoph and Le 2017).

    >>> swish(sp.Symbol("x")), swish(sp.Symbol("x"), beta=2)
    (swish(x), swish(x, 2))
    """
    return _call("swish", {"x": x, "beta": _parameter(beta, sp.S.One)})


def mish(x: Any) -> Expression:
    """`x h` with `h = tanh(log(1 + exp(x)))`; derivative `h + x (1 - h**2) σ(x)`. torch: `mish`.

    >>> mish(sp.Symbol("x"))
    mish(x)
    """
    return _call("mish", {"x": x})


def gelu(x: Any, approximate: str = "none") -> Expression:
    """`x Φ(x)`, Φ the normal distribution; derivative `Φ(x) + x φ(x)`, φ the density. torch: `gelu`.

    `approximate="tanh"` is `x (1 + tanh(sqrt(2/pi) (x + 0.044715 x**3)))/2`.

    >>> x = sp.Symbol("x")
    >>> gelu(x), gelu(x).doit(), gelu(x, approximate="tanh")
    (gelu(x), x*(erf(sqrt(2)*x/2) + 1)/2, gelu(x, approximate='tanh'))
    """
    return _call("gelu", {"x": x}, (choice(approximate, ("none", "tanh"), "gelu", "approximate"),))


def softplus(x: Any, beta: Any = 1, threshold: Any = None) -> Expression:
    """`log(1 + exp(β x))/β`; derivative `σ(β x)`. torch: `softplus`, which is linear above a threshold of 20.

    Exact everywhere by default; a `threshold` gives x where `β x` is above it, as torch does.

    >>> x = sp.Symbol("x")
    >>> softplus(x), softplus(x, beta=2), softplus(x).doit()
    (softplus(x), softplus(2*x)/2, log(exp(x) + 1))
    """
    slope = operand(_parameter(beta, sp.S.One), "softplus", "beta")
    argument = operand(x, "softplus", "x")
    if slope.is_zero:
        raise ArgumentError("nn.softplus: beta is 0; expected a number or symbol that is not zero")
    if threshold is not None:
        return _call("softplus_threshold", {"x": argument, "beta": slope, "threshold": threshold})
    if slope.is_Matrix:
        raise ArgumentError("nn.softplus: beta is a matrix; expected a scalar")
    return (
        _call("softplus", {"x": argument})
        if slope == 1
        else _call("softplus", {"x": slope * argument}) / slope
    )


# -- rectifiers -----------------------------------------------------------------------------------


def relu(x: Any) -> Expression:
    """`max(x, 0)`; derivative 1 for x > 0, else 0 (0 at 0). torch: `relu`.

    >>> relu(sp.Symbol("x")), relu(sp.Symbol("x")).doit()
    (relu(x), Max(0, x))
    """
    return _call("relu", {"x": x})


def relu6(x: Any) -> Expression:
    """`min(max(x, 0), 6)`; derivative 1 for 0 < x < 6, else 0. torch: `relu6`.

    >>> relu6(sp.Symbol("x"))
    relu6(x)
    """
    return _call("relu6", {"x": x})


def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Expression:
    """x for x > 0, else `s x`; derivative 1 or s (s at 0). torch: `leaky_relu`, s is 0.01.

    >>> leaky_relu(sp.Symbol("x")), leaky_relu(sp.Symbol("x"), 0.2)
    (leaky_relu(x), leaky_relu(x, 0.2))
    """
    return _call("leaky_relu", {"x": x, "negative_slope": _parameter(negative_slope, sp.Rational(1, 100))})


def prelu(x: Any, weight: Any) -> Expression:
    """x for x > 0, else `w x`, where the slope w (a scalar, or one per entry) is learned. torch: `prelu`.

    >>> prelu(sp.Symbol("x"), sp.Symbol("a"))
    prelu(x, a)
    """
    return _call("prelu", {"x": x, "weight": weight})


def elu(x: Any, alpha: Any = 1) -> Expression:
    """x for x > 0, else `α (exp(x) - 1)`; derivative 1 or `α exp(x)` (α at 0). torch: `elu`.

    >>> elu(sp.Symbol("x")), elu(sp.Symbol("x")).doit()
    (elu(x), Piecewise((x, x > 0), (exp(x) - 1, True)))
    """
    return _call("elu", {"x": x, "alpha": _parameter(alpha, sp.S.One)})


def celu(x: Any, alpha: Any = 1) -> Expression:
    """x for x > 0, else `α (exp(x/α) - 1)`; derivative 1 or `exp(x/α)`. torch: `celu`.

    >>> celu(sp.Symbol("x"), alpha=2)
    celu(x, 2)
    """
    return _call("celu", {"x": x, "alpha": _parameter(alpha, sp.S.One)})


def selu(x: Any) -> Expression:
    """`λ x` for x > 0, else `λ α (exp(x) - 1)`, with λ = 1.0507..., α = 1.6732.... torch: `selu`.

    >>> selu(sp.Symbol("x"))
    selu(x)
    """
    return _call("selu", {"x": x})


def srelu(x: Any) -> Expression:
    """`max(x, -1)`, the shifted rectifier; derivative 1 for x > -1, else 0. Clevert et al. 2015.

    >>> srelu(sp.Symbol("x")), srelu(sp.Symbol("x")).doit()
    (srelu(x), Max(-1, x))
    """
    return _call("srelu", {"x": x})


def hardtanh(x: Any, min_val: Any = -1, max_val: Any = 1) -> Expression:
    """x limited to [min_val, max_val]; derivative 1 inside, 0 at the ends and outside. torch: `hardtanh`.

    >>> hardtanh(sp.Symbol("x")), hardtanh(sp.Symbol("x"), -2, 3)
    (hardtanh(x), hardtanh(x, -2, 3))
    """
    low, high = _parameter(min_val, sp.Integer(-1)), _parameter(max_val, sp.S.One)
    if isinstance(low, int | float | sp.Number) and isinstance(high, int | float | sp.Number) and low > high:
        raise ArgumentError(f"nn.hardtanh: min_val is {low}, above max_val {high}")
    return _call("hardtanh", {"x": x, "min_val": low, "max_val": high})


def hardsigmoid(x: Any) -> Expression:
    """`min(max(x + 3, 0), 6)/6`; derivative 1/6 for -3 < x < 3, else 0. torch: `hardsigmoid`.

    >>> hardsigmoid(sp.Symbol("x"))
    hardsigmoid(x)
    """
    return _call("hardsigmoid", {"x": x})


def hardswish(x: Any) -> Expression:
    """`x hardsigmoid(x)`; derivative 0 for x <= -3, `x/3 + 1/2` below 3, else 1. torch: `hardswish`.

    >>> hardswish(sp.Symbol("x"))
    hardswish(x)
    """
    return _call("hardswish", {"x": x})


def softsign(x: Any) -> Expression:
    """`x/(1 + |x|)`; derivative `1/(1 + |x|)**2`. torch: `softsign`.

    >>> softsign(sp.Symbol("x")).doit()
    x/(Abs(x) + 1)
    """
    return _call("softsign", {"x": x})


def tanhshrink(x: Any) -> Expression:
    """`x - tanh(x)`; derivative `tanh(x)**2`. torch: `tanhshrink`.

    >>> tanhshrink(sp.Symbol("x")).doit()
    x - tanh(x)
    """
    return _call("tanhshrink", {"x": x})


def hardshrink(x: Any, lambd: Any = sp.S.Half) -> Expression:
    """x where |x| > λ, else 0. torch: `hardshrink`.

    >>> hardshrink(sp.Symbol("x"))
    hardshrink(x)
    """
    return _call("hardshrink", {"x": x, "lambd": _parameter(lambd, sp.S.Half)})


def softshrink(x: Any, lambd: Any = sp.S.Half) -> Expression:
    """x moved by λ towards zero, 0 where |x| <= λ. torch: `softshrink`.

    >>> softshrink(sp.Symbol("x"))
    softshrink(x)
    """
    return _call("softshrink", {"x": x, "lambd": _parameter(lambd, sp.S.Half)})


# -- larger and smaller ---------------------------------------------------------------------------


def maximum(a: Any, b: Any, ties: str = "first") -> Expression:
    """The larger of two, entry by entry; at a tie the gradient goes to `a`, or half to each (`ties="split"`).

    Keeps the order of its arguments, which sympy's `Max` does not. torch: `maximum`, which splits.

    >>> maximum(sp.Symbol("b"), sp.Symbol("a"))
    maximum(b, a)
    """
    return _extreme("maximum", a, b, ties)


def minimum(a: Any, b: Any, ties: str = "first") -> Expression:
    """The smaller of two, entry by entry; ties as in `maximum`. torch: `minimum`.

    >>> minimum(sp.Symbol("b"), 0)
    minimum(b, 0)
    """
    return _extreme("minimum", a, b, ties)


def _extreme(name: str, a: Any, b: Any, ties: str) -> Expression:
    split = choice(ties, ("first", "split"), name, "ties") == "split"
    return _call(name, {"a": a, "b": b}, ("split",) if split else ())


def maxout(*pieces: Any, dim: int | tuple[int, ...] | None = None, ties: str = "first") -> Expression:
    """The maximum of its arguments, entry by entry; of one matrix the maximum along `dim` (1: of each row).

    `dim=(0, 1)` is the largest of all entries, a scalar.

    At a tie the gradient goes to the first, or is shared (`ties="split"`). Goodfellow et al. 2013.

    >>> x, A, B = sp.MatrixSymbol("x", 3, 1), sp.MatrixSymbol("A", 2, 3), sp.MatrixSymbol("B", 2, 3)
    >>> maxout(A * x, B * x), maxout(A, dim=1).shape
    (maximum(A*x, B*x), (2, 1))
    """
    if len(pieces) == 1:
        x = operand(pieces[0], "maxout", "x")
        if not x.is_Matrix:
            raise ArgumentError(
                f"nn.maxout: one scalar, {x}, has no maximum over pieces; give several arguments"
            )
        along = dim if dim is None else axis(dim, x, "maxout")
        shape = shape_of(x)
        if along is None and not isinstance(dim, tuple):
            along = next((k for k in (0, 1) if shape[1 - k] == 1), None) if dim is None else int(dim) % 2
        if along is None and not isinstance(dim, tuple):
            raise ArgumentError("nn.maxout: dim is needed for a matrix; dim=1 is the maximum of each row")
        return named("maxout", [x], (along, choice(ties, ("first", "split"), "maxout", "ties")))
    if not pieces or dim is not None:
        raise ArgumentError(
            "nn.maxout: give several arguments of one shape, or one matrix with dim=0 or dim=1"
        )
    if len(pieces) > 2 and choice(ties, ("first", "split"), "maxout", "ties") == "split":
        return _call("shared_maximum", {f"piece {k + 1}": piece for k, piece in enumerate(pieces)})
    result = pieces[0]
    for piece in pieces[1:]:
        result = maximum(result, piece, ties)
    return result


def glu(x: Any, dim: int = -1) -> Expression:
    """`a∘σ(b)`, a and b the halves of x along `dim` (of a column: of its entries). torch: `glu`.

    >>> glu(sp.MatrixSymbol("x", 6, 1)).shape
    (3, 1)
    """
    argument = operand(x, "glu", "x")
    shape = shape_of(argument)
    if not shape:
        raise ArgumentError(f"nn.glu: x is the scalar {argument}; expected a column or a matrix")
    if dim not in (0, 1, -1, -2) or isinstance(dim, bool):
        raise ArgumentError(f"nn.glu: dim is {dim!r}; expected 0, 1, -1 or -2")
    return named("glu", [argument], (0 if shape[1] == 1 else int(dim) % 2,))


# -- softmax --------------------------------------------------------------------------------------


def softmax(x: Any, dim: int | tuple[int, ...] | None = None) -> Expression:
    """`s = exp(x)/sum(exp(x))` over the entries of a column, or along `dim` (1: each row). torch: `softmax`.

    Over all entries of a matrix with `dim=(0, 1)`.

    Derivative `s∘(u - sum(s∘u))` for an upstream u.

    >>> softmax(sp.MatrixSymbol("z", 3, 1)), softmax(sp.MatrixSymbol("Z", 2, 3), dim=1)
    (softmax(z), softmax(Z, dim=1))
    """
    return _joined("softmax", x, dim)


def log_softmax(x: Any, dim: int | tuple[int, ...] | None = None) -> Expression:
    """`x - log(sum(exp(x)))`, without overflow; derivative `u - softmax(x) sum(u)`. torch: `log_softmax`.

    >>> log_softmax(sp.MatrixSymbol("z", 3, 1))
    log_softmax(z)
    """
    return _joined("log_softmax", x, dim)


def logsumexp(x: Any, dim: int | tuple[int, ...] | None = None) -> Expression:
    """`log(sum(exp(x)))`, without overflow; derivative `softmax(x)`. torch: `logsumexp`.

    A scalar for a column and for `dim=(0, 1)`; along `dim` of a matrix a column (`dim=1`) or a row (`dim=0`).

    >>> logsumexp(sp.MatrixSymbol("z", 3, 1)), logsumexp(sp.MatrixSymbol("Z", 2, 3), dim=1).shape
    (logsumexp(z), (2, 1))
    """
    return _joined("logsumexp", x, dim)


def _joined(name: str, x: Any, dim: int | tuple[int, ...] | None) -> Expression:
    argument = operand(x, name, "x")
    along = axis(dim, argument, name)
    if name == "logsumexp" and isinstance(dim, int):
        along = int(dim) % 2  # it keeps two dimensions where one was named
    return named(name, [argument], (along,))


def one_hot(index: Any, num_classes: int) -> Expression:
    """A column with a one at `index` (an integer symbol) and zeros elsewhere. torch: `one_hot`.

    >>> one_hot(sp.Symbol("y", integer=True), 3).shape
    (3, 1)
    """
    where = operand(index, "one_hot", "index")
    size = operand(num_classes, "one_hot", "num_classes")
    if where.is_Matrix or not where.is_integer:
        raise ArgumentError(
            f"nn.one_hot: index is {where}, which is not declared as an integer; "
            f"write sympy.Symbol('{where}', integer=True)"
        )
    if not size.is_integer or size.is_nonpositive:
        raise ArgumentError(f"nn.one_hot: num_classes is {num_classes}; expected a positive integer")
    if where.is_Integer:
        if where < 0 or (size.is_Integer and where >= size):
            raise ArgumentError(f"nn.one_hot: index is {where}; expected one of 0 to {size - 1}")
        return sp.ImmutableDenseMatrix(size, 1, lambda i, j: int(i == where))
    return named("one_hot", [where], (int(size) if size.is_Integer else size,))
