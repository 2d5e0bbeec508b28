"""Which values are positive whatever the inputs are: a product with their inverse cancels."""

from __future__ import annotations

from symprop.graph import Node
from symprop.rewrite.context import Context

__all__ = ["is_nonnegative", "is_positive"]

_POSITIVE = frozenset(
    [
        *("exp", "sigmoid", "softplus", "cosh", "erfc", "normal_cdf", "sigmoid_prime", "tanh_prime"),
        *("exp_sum", "exp_gap"),
    ]
)
_SAME = frozenset(["broadcast", "reshape", "transpose", "slice", "index", "take", "sum", "maximum"])
DEEPEST = 6
WIDEST = 32


def is_positive(node: Node, context: Context) -> bool:
    """True where the exact value is above zero for all finite inputs."""
    return _sign(node, context, DEEPEST) == 2


def is_nonnegative(node: Node, context: Context) -> bool:
    """True where the exact value is zero or above for all finite inputs."""
    return _sign(node, context, DEEPEST) >= 1


def _sign(node: Node, context: Context, depth: int) -> int:
    """2 positive, 1 zero or positive, 0 unknown; found out once for each node, a few levels deep."""
    key = ("sign", node.serial)
    if key not in context.memo:
        context.memo[key] = _found(node, context, depth)
    found: int = context.memo[key]
    return found


def _found(node: Node, context: Context, depth: int) -> int:
    if node.op == "constant":
        value = context.number(node)
        if value is None:
            exact = node.attrs[0]
            return 2 if getattr(exact, "is_positive", False) else 0
        return 2 if value > 0 else int(value == 0)
    if node.op in _POSITIVE:
        return 2
    if node.op == "abs":
        return 1
    if depth == 0 or len(node.args) > WIDEST:
        return 0
    if node.op == "pow":
        power = context.number(node.args[1])
        base = _sign(node.args[0], context, depth - 1)
        if power is None:
            return 0
        if isinstance(power, int) and power % 2 == 0 and power > 0:
            return max(1, base)
        return base if base == 2 or power > 0 else 0
    if node.op == "add":
        signs = [_sign(a, context, depth - 1) for a in node.args]
        return 0 if min(signs) == 0 else max(signs)
    if node.op == "mul":
        return min(_sign(a, context, depth - 1) for a in node.args)
    if node.op == "maximum":
        signs = [_sign(a, context, depth - 1) for a in node.args]
        return max(signs)
    if node.op in _SAME:
        return _sign(node.args[0], context, depth - 1)
    return 0
