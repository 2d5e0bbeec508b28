"""Losses of a column of scores against a class: an index (an integer node) or a column of probabilities.

With q = (1 - ε) onehot(y) + ε/n (label smoothing ε) and class weights w the cross-entropy is
-Σ q w log softmax(z). Its derivative is softmax(z) Σ(q w) - q w: softmax(z) - onehot(y) without weights.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, cast

import sympy as sp

from symprop.errors import ArgumentError, ShapeError
from symprop.functions.composite import gradient_form, where
from symprop.functions.softmax import shifted
from symprop.functions.symbols import define_formula, shape_of
from symprop.graph import Node, NodeTable, Operation, Shape, register
from symprop.graph.nodes import constant_value

__all__: list[str] = []

Attrs = tuple[Hashable, ...]
T = NodeTable
N = Node
TORCH = "torch.nn.functional."


def _check(name: str, args: Sequence[Node], attrs: Attrs, columns: bool) -> tuple[Shape, str]:
    scores, target, *weights = args
    if len(scores.shape) != 2 or scores.shape[1] != 1:
        raise ShapeError(
            f"{name} takes the scores of one sample as a column (n, 1), found shape {scores.shape}"
        )
    if target.shape:
        if not columns or target.shape != scores.shape:
            expected = f"a column of shape {scores.shape}" if columns else "an index"
            raise ShapeError(
                f"{name} of scores of shape {scores.shape} takes a class index (an integer symbol)"
                f"{f' or {expected}' if columns else ''} as target, found shape {target.shape}"
            )
        if attrs[0] is not None:
            raise ArgumentError(f"{name}: ignore_index goes with a class index as target, found a column")
    elif target.op == "constant":
        index, size = cast(sp.Expr, target.attrs[0]), scores.shape[0]
        if not index.is_Integer or index < 0 or (isinstance(size, int) and index >= size):
            raise ArgumentError(f"{name} takes a class index from 0 to {size} - 1 as target, found {index}")
    elif target.kind != "integer":
        shown = target.attrs[0] if target.op == "symbol" else f"the real node {target.op}"
        raise ArgumentError(
            f"{name} takes a class index as target; {shown} is not declared as an integer: "
            f"write sympy.Symbol('{shown}', integer=True), or give a column of probabilities"
        )
    for weight in weights:
        if weight.shape and weight.shape != scores.shape:
            raise ShapeError(
                f"{name} takes one weight per class, of shape {scores.shape}, found {weight.shape}"
            )
    return (), "real"


# -- the target as an index or as a column --------------------------------------------------------


def _weight(node: N) -> N | None:
    return node.args[2] if len(node.args) > 2 else None


def _safe(t: T, node: N) -> N:
    """The class index; where it is the ignored one, which need not be a class, zero."""
    target, ignored = node.args[1], node.attrs[0]
    size = node.args[0].shape[0]
    if ignored is None or (
        isinstance(ignored, int) and ignored >= 0 and isinstance(size, int) and ignored < size
    ):
        return target
    return where(t, t.call("equal", target, t.constant(ignored)), 0, target)


def _pick(t: T, column: N, index: N) -> N:
    number = constant_value(index)
    if number is not None:
        return t.make("index", (column,), ((int(number), 0),))
    return t.make("take", (column, index))


def _one_hot(t: T, node: N) -> N:
    size, index = node.args[0].shape[0], _safe(t, node)
    number = constant_value(index)
    if number is not None:
        return t.make("place", (t.constant(1),), ((size, 1), ((int(number), 0),)))
    return t.make("one_hot", (index,), (size,))


def _kept(t: T, node: N, value: N) -> N:
    """The value, zero where the class is the ignored one."""
    if node.attrs[0] is None:
        return value
    ignored = t.call("equal", node.args[1], t.constant(node.attrs[0]))
    return where(t, ignored, 0, value)


def _probabilities(t: T, node: N) -> N:
    """q, the target as a column."""
    smoothing = sp.sympify(node.attrs[1])
    q = node.args[1] if node.args[1].shape else _one_hot(t, node)
    if smoothing == 0:
        return q
    share = t.full(smoothing / sp.sympify(node.args[0].shape[0]), q.shape)
    return t.add(t.mul(t.constant(1 - smoothing), q), share)


# -- cross-entropy --------------------------------------------------------------------------------


def _cross_entropy(t: T, node: N) -> N:
    z, target = node.args[:2]
    weight, smoothing = _weight(node), sp.sympify(node.attrs[1])
    top, less, total = shifted(t, z, None)
    log_total = t.call("log", total)
    if target.shape:
        q = _probabilities(t, node)
        terms = t.mul(q, t.sub(t.broadcast(log_total, z.shape), less))
        return t.sum(terms if weight is None else t.mul(weight, terms))
    index = _safe(t, node)
    value = t.sub(log_total, t.sub(_pick(t, z, index), top))  # the two large numbers cancel exactly
    if weight is not None:
        value = t.mul(_pick(t, weight, index) if weight.shape else weight, value)
    if smoothing != 0:
        every = t.sub(t.broadcast(log_total, z.shape), less)
        spread = t.sum(every if weight is None else t.mul(weight, every))
        share = smoothing / sp.sympify(z.shape[0])
        value = t.add(t.mul(t.constant(1 - smoothing), value), t.mul(t.constant(share), spread))
    return _kept(t, node, value)


def _cross_entropy_vjp(t: T, node: N, upstream: N) -> list[N | None]:
    z, target = node.args[:2]
    weight, smoothing = _weight(node), sp.sympify(node.attrs[1])
    q, s = _probabilities(t, node), t.make("softmax", (z,), (None,))
    if weight is None and not target.shape:
        by_scores = t.sub(s, q)
    else:
        weighted = q if weight is None else t.mul(weight, q)
        by_scores = t.sub(t.mul(t.sum(weighted), s), weighted)
    logs = t.neg(t.make("log_softmax", (z,), (None,)))
    by_target = None
    if target.shape:
        by_target = t.mul(t.constant(1 - smoothing), logs if weight is None else t.mul(weight, logs))
    slopes: list[N | None] = [by_scores, by_target]
    if weight is not None:
        by_weight = t.mul(q, logs)
        slopes.append(by_weight if weight.shape else t.sum(by_weight))
    return [None if v is None else t.chain(upstream, _kept(t, node, v)) for v in slopes]


def _cross_entropy_formula(
    z: Any, target: Any, weight: Any = 1, ignore_index: Any = None, label_smoothing: Any = 0
) -> Any:
    rows = shape_of(z)[0]
    total = sp.log(_add_up(rows, lambda i: sp.exp(z[i, 0])))

    def factor(i: Any) -> Any:
        return weight[i, 0] if getattr(weight, "is_Matrix", False) else weight

    if target.is_Matrix:
        share = label_smoothing / sp.sympify(rows)
        kept = 1 - label_smoothing
        return _add_up(rows, lambda i: factor(i) * (kept * target[i, 0] + share) * (total - z[i, 0]))
    value = factor(target) * (total - z[target, 0])
    if label_smoothing != 0:
        spread = _add_up(rows, lambda i: factor(i) * (total - z[i, 0]))
        value = (1 - label_smoothing) * value + label_smoothing / sp.sympify(rows) * spread
    return value if ignore_index is None else sp.Piecewise((0, sp.Eq(target, ignore_index)), (value, True))


def _add_up(size: Any, entry: Any) -> Any:
    if isinstance(size, int):
        return sp.Add(*[entry(k) for k in range(size)])
    k = sp.Dummy("k", integer=True)
    return sp.Sum(entry(k), (k, 0, size - 1))


register(
    Operation(
        name="cross_entropy",
        infer=lambda args, attrs: _check("cross_entropy", args, attrs, True),
        vjp=_cross_entropy_vjp,
        jvp=gradient_form,
        expand=_cross_entropy,
        summary="-log softmax(z)[y], or -Σ t log softmax(z); derivative softmax(z) - onehot(y)",
        source=TORCH + "cross_entropy",
    )
)

# -- negative log-likelihood ----------------------------------------------------------------------


def _nll(t: T, node: N) -> N:
    index, weight = _safe(t, node), _weight(node)
    value = t.neg(_pick(t, node.args[0], index))
    if weight is not None:
        value = t.mul(_pick(t, weight, index) if weight.shape else weight, value)
    return _kept(t, node, value)


def _nll_vjp(t: T, node: N, upstream: N) -> list[N | None]:
    hot, weight = _one_hot(t, node), _weight(node)
    slopes: list[N | None] = [t.neg(hot if weight is None else t.mul(weight, hot)), None]
    if weight is not None:
        by_weight = t.neg(t.mul(hot, node.args[0]))
        slopes.append(by_weight if weight.shape else t.sum(by_weight))
    return [None if v is None else t.chain(upstream, _kept(t, node, v)) for v in slopes]


def _nll_formula(logs: Any, target: Any, weight: Any = 1, ignore_index: Any = None) -> Any:
    factor = weight[target, 0] if getattr(weight, "is_Matrix", False) else weight
    value = -factor * logs[target, 0]
    return value if ignore_index is None else sp.Piecewise((0, sp.Eq(target, ignore_index)), (value, True))


register(
    Operation(
        name="nll_loss",
        infer=lambda args, attrs: _check("nll_loss", args, attrs, False),
        vjp=_nll_vjp,
        jvp=gradient_form,
        expand=_nll,
        summary="-x[y] of log-probabilities x; derivative -onehot(y)",
        source=TORCH + "nll_loss",
    )
)


def _weight_apart(formula: Any, attrs: int) -> Any:
    """The formula called with two or three operands, then the attributes."""

    def called(*arguments: Any) -> Any:
        operands, rest = arguments[:-attrs], arguments[-attrs:]
        weight = operands[2] if len(operands) > 2 else sp.S.One
        return formula(operands[0], operands[1], weight, *rest)

    return called


define_formula(
    "cross_entropy",
    _weight_apart(_cross_entropy_formula, 2),
    attrs=[("ignore_index", None), ("label_smoothing", sp.S.Zero)],
)
define_formula("nll_loss", _weight_apart(_nll_formula, 1), attrs=[("ignore_index", None)])


def _one_hot_formula(index: Any, size: Any) -> Any:
    return sp.ImmutableDenseMatrix(size, 1, lambda i, j: sp.KroneckerDelta(index, i))


define_formula("one_hot", _one_hot_formula)
