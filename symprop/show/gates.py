"""The sign of an operation, and how it passes the gradient on."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from symprop.declare import printing
from symprop.graph import Node
from symprop.graph.nodes import constant_value
from symprop.show.text import number_text, pretty, shortened

__all__ = ["Gate", "constant_text", "gate_of"]

DISTRIBUTES, SWITCHES, ROUTES, SCALES = "distributes", "switches", "routes", "scales"
_LABEL = 22  # characters
_DIGITS = 9  # characters of a constant that is written out


@dataclass(frozen=True)
class Gate:
    """`label` in the box; `family` (add, multiply, max or none) for its colour; `passes` is how it passes the
    gradient on; `round` for a sign in a circle; `absorbs` where the label holds the constant operands.
    """

    label: str
    family: str = ""
    passes: str = ""
    round: bool = False
    absorbs: bool = True


def gate_of(node: Node, operands: int) -> Gate:
    """The gate of an operation with that many operands that are no constants."""
    numbers = [a for a in node.args if constant_value(a) is not None]
    number = constant_text(numbers[0]) if len(numbers) == 1 else ""
    single = bool(number) and operands == 1
    op = node.op
    if op == "add":
        if single:
            return Gate(number if number[0] == "−" else f"+{number}", "add", DISTRIBUTES, len(number) < 3)
        return Gate("+", "add", DISTRIBUTES, True, False)
    if op == "mul":
        if single:
            return Gate(f"×{number}", "multiply", SCALES, len(number) < 3)
        return Gate("×", "multiply", SWITCHES, True, False)
    if op == "matmul":
        return Gate("@", "multiply", SWITCHES, True, False)
    if op in ("maximum", "minimum"):
        sign = op[:3]
        return Gate(f"{sign}(·, {number})" if single else sign, "max", ROUTES, not single, False)
    if op in ("relu", "reduce_max", "relu6", "hardtanh", "maxout"):
        return Gate("max" if op == "reduce_max" else op, "max", ROUTES)
    if op == "select":
        return Gate("where", "max", ROUTES)
    if op == "pow":
        return _power(node, single)
    return Gate(_named(node))


def _power(node: Node, single: bool) -> Gate:
    exponent = constant_value(node.args[1])
    if exponent is not None and single:
        known = {-1: "1/x", 2: "x²", 3: "x³", sp.Rational(1, 2): "√x", -2: "1/x²"}
        shown = constant_text(node.args[1])
        return Gate(known.get(exponent) or f"x^{shown if exponent.is_Integer else f'({shown})'}")
    if constant_value(node.args[0]) is not None and single:
        return Gate(f"{constant_text(node.args[0])}^x")
    return Gate("x^y", "", "", False, False)


def _named(node: Node) -> str:
    op, attrs = node.op, node.attrs
    if op in ("user", "user_formula"):
        return shortened(str(attrs[0]), _LABEL)
    if op == "index":
        return pretty(f"[{', '.join(map(str, attrs[0]))}]")  # type: ignore[call-overload]
    if op == "slice":
        return f"[{', '.join(f'{a}:{b}' for a, b in attrs[0])}]"  # type: ignore[attr-defined]
    return {
        "place": "matrix",
        "take": "[ ]",
        "sum": "Σ",
        "trace": "tr",
        "abs": "|x|",
        "transpose": "transpose",
    }.get(op, shortened(op, _LABEL))


def constant_text(node: Node) -> str:
    """A constant as it is written, or three digits of a number that is long."""
    value = constant_value(node)
    while node.op == "broadcast":
        node = node.args[0]
    text = pretty(printing.text(node))
    if value is not None and value.is_Number and len(text) > _DIGITS:
        return number_text(float(value))
    return text
