"""Write `docs/functions.md`, the catalogue of functions, from their declarations, with a plot of each.

    python -m tests.tools.make_catalogue          write the page and docs/functions/*.svg

A function stands there with its formula, its derivative as symprop derives it, its source, and for functions
of one number a plot of both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

import symprop
from symprop import nn
from symprop.declare.intake import Intake
from symprop.declare.printing import latex
from symprop.differentiate import reverse
from symprop.functions.symbols import named
from symprop.graph import OPERATIONS, NodeTable
from symprop.graph.evaluate import evaluate
from symprop.nn.plots import broken

DOCS = Path(__file__).resolve().parents[2] / "docs"
x, a, b, k = sp.symbols("x a b k")
p, t, v = sp.symbols("p t v")
s, beta, alpha = sp.symbols("s beta alpha")
y = sp.Symbol("y", integer=True)
z, u, w = (sp.MatrixSymbol(name, 3, 1) for name in "zuw")
Z = sp.MatrixSymbol("Z", 2, 4)

ACTIVATIONS = [
    nn.sigmoid(x),
    nn.log_sigmoid(x),
    nn.tanh(x),
    nn.relu(x),
    nn.relu6(x),
    nn.leaky_relu(x, s),
    nn.prelu(x, s),
    nn.elu(x, alpha),
    nn.selu(x),
    nn.celu(x, alpha),
    nn.softplus(x),
    nn.softplus(x, beta, 20),
    nn.silu(x),
    nn.swish(x, beta),
    nn.gelu(x),
    nn.gelu(x, approximate="tanh"),
    nn.mish(x),
    nn.hardtanh(x),
    nn.hardsigmoid(x),
    nn.hardswish(x),
    nn.softsign(x),
    nn.tanhshrink(x),
    nn.hardshrink(x),
    nn.softshrink(x),
    nn.srelu(x),
]
EXTREMES = [nn.maximum(a, b), nn.minimum(a, b), nn.maxout(Z, dim=1), nn.glu(Z)]
ROWS = [nn.softmax(z), nn.log_softmax(z), nn.logsumexp(z), nn.one_hot(y, 3)]
LOSSES = [
    nn.squared_error(p, t),
    nn.mse_loss(p, t),
    nn.l1_loss(p, t),
    nn.huber_loss(p, t),
    nn.smooth_l1_loss(p, t),
    nn.cross_entropy(z, y),
    nn.nll_loss(z, y),
    nn.binary_cross_entropy(p, t),
    nn.binary_cross_entropy_with_logits(p, t),
    nn.kl_div(p, t),
    nn.hinge_loss(p, t),
    nn.poisson_nll_loss(p, t),
    nn.gaussian_nll_loss(p, t, v),
]
ELEMENTARY = [
    sp.exp(x),
    sp.log(x),
    sp.sqrt(x),
    named("cbrt", [x]),
    sp.sin(x),
    sp.cos(x),
    sp.tan(x),
    sp.cot(x),
    sp.sec(x),
    sp.csc(x),
    sp.asin(x),
    sp.acos(x),
    sp.atan(x),
    sp.acot(x),
    sp.asec(x),
    sp.acsc(x),
    sp.sinh(x),
    sp.cosh(x),
    sp.tanh(x),
    sp.coth(x),
    sp.sech(x),
    sp.csch(x),
    sp.asinh(x),
    sp.acosh(x),
    sp.atanh(x),
    sp.acoth(x),
    sp.asech(x),
    sp.acsch(x),
    named("expm1", [x]),
    named("log1p", [x]),
    named("exp2", [x]),
    named("log2", [x]),
    named("log10", [x]),
    sp.atan2(a, b),
    named("hypot", [a, b]),
    sp.Abs(x),
    sp.sign(x),
    sp.Heaviside(x),
    sp.floor(x),
    sp.ceiling(x),
    sp.frac(x),
    sp.Mod(a, b),
    sp.Max(a, b),
    sp.Min(a, b),
]
SPECIAL = [
    sp.erf(x),
    sp.erfc(x),
    sp.erfi(x),
    sp.erfinv(x),
    sp.erfcinv(x),
    named("normal_cdf", [x]),
    sp.gamma(x),
    sp.loggamma(x),
    sp.digamma(x),
    sp.polygamma(1, x),
    sp.polygamma(2, x),
    sp.polygamma(3, x),
    sp.beta(a, b),
    sp.factorial(x),
    sp.binomial(a, b),
    sp.RisingFactorial(x, k),
    sp.FallingFactorial(x, k),
    sp.harmonic(x),
    sp.besselj(0, x),
    sp.besselj(1, x),
    sp.sinc(x),
    named("bessel_ratio", [x], (1,)),
    named("spherical_ratio", [x], (1,)),
]
CHAPTERS: Mapping[str, list[Any]] = {
    "Activations": ACTIVATIONS,
    "Larger and smaller": EXTREMES,
    "Rows, columns and classes": ROWS,
    "Losses of one sample": LOSSES,
    "Elementary functions": ELEMENTARY,
    "Special functions": SPECIAL,
}
_LONGEST = 210  # characters of a derivative that is shown; the summary gives it in words
PARAMETERS = {s: 0.25, alpha: 1.0, beta: 1.0}
# where a function is plotted: from, to
RANGES = {
    "polygamma": (0.1, 5.0),
    "gamma": (-3.95, 5.0),
    "loggamma": (-3.95, 5.0),
    "factorial": (-3.95, 5.0),
    "besselj": (-15.0, 15.0),
    "sinc": (-15.0, 15.0),
    "bessel_ratio": (-15.0, 15.0),
    "spherical_ratio": (-15.0, 15.0),
    "exp": (-3.0, 3.0),
    "exp2": (-3.0, 3.0),
    "erfi": (-2.0, 2.0),
    "erfinv": (-1.1, 1.1),
    "erfcinv": (-0.1, 2.1),
    "asech": (-0.1, 1.1),
    "asin": (-1.1, 1.1),
    "acos": (-1.1, 1.1),
    "atanh": (-1.1, 1.1),
    "harmonic": (-0.95, 5.0),
}


def node_of(expression: Any) -> tuple[NodeTable, Any, Any]:
    """A table with the node of an expression, and the intake that made it."""
    table = NodeTable()
    intake = Intake(table, {})
    return table, intake.node(expression), intake


def title(expression: Any) -> str:
    """The call as the user writes it."""
    ours = hasattr(expression, "operation") and hasattr(nn, expression.operation)
    return f"nn.{expression}" if ours else str(expression)


def derivative(expression: Any) -> tuple[str, str]:
    """The derivative by the first real argument, as text and as LaTeX; of columns the adjoint of an
    upstream u.
    """
    wrt = next((q for q in (x, a, p, z, Z) if q in expression.free_symbols), None)
    if wrt is None:
        return "", ""
    name = sp.MatrixSymbol(f"d_{wrt}", *wrt.shape) if wrt.is_Matrix else sp.Symbol(f"d_{wrt}")
    if not expression.is_Matrix:
        gradient = symprop.grad(expression, wrt, as_graph=True)
    else:
        gradient = symprop.vjp(expression, wrt, sp.MatrixSymbol("u", *expression.shape), as_graph=True)
    node = gradient.nodes[gradient.outputs[-1]]
    shown = symprop.Graph.from_nodes(gradient.table, [(name, node)])
    left = rf"\frac{{\partial f}}{{\partial {wrt}}}" if not wrt.is_Matrix else rf"\bar{{{wrt}}}"
    return str(shown).splitlines()[-1].strip(), f"{left} = {latex(node)}"


def stable(expression: Any) -> str:
    """The program that is compiled for the value, where it is not the formula itself."""
    program = str(symprop.compile(expression, wrt=[]).program).splitlines()
    last = program[-1].split(" = ", 1)[1]
    plain = {formula(expression), str(expression), title(expression)}
    if last in plain or "batch" in last or len(program) > 3 or sum(map(len, program)) > _LONGEST:
        return ""
    return "; ".join(line.strip() for line in [*program[:-1], last])


def formula(expression: Any) -> str:
    """The definition in plain sympy, where the function has one of its own."""
    return str(definition(expression) or "")


def definition(expression: Any) -> Any:
    """The definition as an expression of sympy, None where the function has none of its own."""
    if not hasattr(expression, "operation") or expression.operation in (
        "cross_entropy",
        "nll_loss",
        "one_hot",
    ):
        return None
    if expression.is_Matrix or any(q.is_Matrix for q in expression.operands):
        return None
    written = expression.doit()
    long = {q: sp.Float(q, 17) for q in written.atoms(sp.Rational) if q.q > 10**12}
    return None if written == expression else written.xreplace(long)


def declared(expression: Any) -> Any:
    """The operation that an expression is, of plain arguments; None where it is written with others."""
    _, node, _ = node_of(expression)
    return OPERATIONS[node.op] if all(q.op in ("symbol", "constant") for q in node.args) else None


def curves(expression: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Places, values and slopes of a function of the number x."""
    free = expression.free_symbols
    if x not in free or free - {x, *PARAMETERS} or k in free:
        return None
    table, node, intake = node_of(expression)
    point = intake.node(x)
    slope = reverse.adjoints(table, node, [point])[point.serial] or table.constant(0)
    kind = getattr(expression, "operation", type(expression).__name__)
    low, high = RANGES.get(kind, (-5.0, 5.0))
    places = np.linspace(low, high, 121) + 1e-4  # beside the poles and jumps at whole numbers
    values = [evaluate([node, slope], {x: place, **PARAMETERS}) for place in places]
    pairs = np.array([[float(f), float(g)] for f, g in values])
    return places, pairs[:, 0], pairs[:, 1]


def line(
    places: np.ndarray, values: np.ndarray, scale: Callable[[float, float], str], bottom: float, top: float
) -> str:
    """The path of a curve; it is broken where the values jump, leave the frame or have no number."""
    places, values = broken(places, values)
    parts, pen = [], False
    for place, value in zip(places, values, strict=True):
        inside = np.isfinite(value) and bottom <= value <= top
        if inside:
            parts.append(("L" if pen else "M") + scale(place, value))
        pen = inside
    return "".join(parts)


def colours(paper: str, axis: str, mark: str, value: str, slope: str) -> str:
    """A style sheet of a plot."""
    return (
        f".paper{{fill:{paper}}}text{{fill:{mark}}}.axis{{stroke:{axis}}}.mark{{stroke:{mark}}}"
        f".value{{stroke:{value}}}.slope{{stroke:{slope}}}"
    )


LIGHT, DARK = (  # the colours of symprop/show/style.py
    colours("#ffffff", "#cbd5e1", "#475569", "#166534", "#b91c1c"),
    colours("#0f172a", "#475569", "#cbd5e1", "#4ade80", "#fca5a5"),
)
STYLE = (
    "path{fill:none}.value{stroke-width:2}.slope{stroke-width:1.5;stroke-dasharray:5 3}"
    f"{LIGHT}@media (prefers-color-scheme:dark){{{DARK}}}"
)


def ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers from low to high."""
    step = next(s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if (high - low) / s < 5.5)
    return [step * n for n in range(math.ceil(low / step - 0.01), math.floor(high / step + 0.01) + 1)]


def shown(tick: float) -> str:
    """A number at an axis."""
    return f"{tick:.1f}".removesuffix(".0").replace("-", "−")


def svg(expression: Any) -> str | None:
    """The plot of a function (solid) and its derivative (dashed)."""
    found = curves(expression)
    if found is None:
        return None
    places, values, slopes = found
    width, height, left, below = 290, 160, 34, 20
    both = np.concatenate([values, slopes])
    both = both[np.isfinite(both) & (np.abs(both) < 6)]
    bottom, top = min(float(both.min()), 0.0) - 0.1, max(float(both.max()), 0.0) + 0.1

    def scale(place: float, value: float) -> str:
        across = left + (place - places[0]) / (places[-1] - places[0]) * (width - left - 8)
        return f"{across:.1f} {4 + (top - value) / (top - bottom) * (height - below - 4):.1f}"

    zero = scale(0.0, 0.0).split()
    axes = f"M{left} {zero[1]}H{width - 8}"
    axes += f"M{zero[0]} 4V{height - below}" if places[0] <= 0 <= places[-1] else ""
    marks, labels = "", ""
    for tick in ticks(places[0], places[-1]):
        at = scale(tick, 0.0).split()[0]
        marks += f"M{at} {height - below}v3"
        labels += f'<text x="{at}" y="{height - below + 14}" text-anchor="middle">{shown(tick)}</text>'
    for tick in ticks(bottom, top):
        at = scale(0.0, tick).split()[1]
        marks += f"M{left} {at}h-3"
        labels += f'<text x="{left - 6}" y="{float(at) + 3.5:.1f}" text-anchor="end">{shown(tick)}</text>'
    solid, dashed = (line(places, c, scale, bottom, top) for c in (values, slopes))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">\n<style>{STYLE}</style>\n'
        f'<rect class="paper" width="{width}" height="{height}"/>\n'
        f'<path class="axis" d="{axes}"/><path class="mark" d="{marks}"/>\n'
        f'<path class="value" d="{solid}"/>\n<path class="slope" d="{dashed}"/>\n'
        f'<g font-family="sans-serif" font-size="10">{labels}</g>\n'
        "</svg>\n"
    )


def file_name(expression: Any) -> str:
    """A name for the plot, from the call."""
    kept = "".join(c if c.isalnum() else "_" for c in str(expression))
    return "_".join(part for part in kept.split("_") if part) + ".svg"


def section(expression: Any) -> tuple[str, dict[str, str]]:
    """The section of a function, and its plot by file name."""
    operation = declared(expression)
    lines = [f"### `{title(expression)}`", ""]
    if operation is not None and operation.summary:
        lines += [f"{operation.summary}.", ""]
    written, (text, slope) = definition(expression), derivative(expression)
    short = text if len(text) < _LONGEST else ""
    forms = dict.fromkeys(latex(form) for form in (expression, written) if form is not None)
    value = " = ".join(forms)
    beside = rf" \qquad {slope}" if short else ""
    lines += [f"$$f = {value}{beside}$$", ""]
    lines += [f"- formula: `{written}`"] if written is not None else []
    lines += [f"- derivative: `{short}`"] if short else []
    program = stable(expression)
    lines += [f"- compiled as: `{program}`"] if program else []
    if operation is not None and operation.source:
        lines += [f"- source: {operation.source}"]
    plot = svg(expression)
    plots = {}
    if plot is not None:
        plots[file_name(expression)] = plot
        lines += ["", f"![{title(expression)} and its derivative](functions/{file_name(expression)})"]
    return "\n".join(lines) + "\n", plots


HEAD = """# Functions

Written by `python -m tests.tools.make_catalogue` from the declarations of the functions. Each stands with
its formula in plain sympy, its derivative as symprop derives it (`u` is an upstream adjoint, a bar marks
the adjoint of a column or matrix), the stable form that is compiled where it differs, and its source; in the
plots the function is solid and its derivative dashed. Names, parameters, defaults and conventions at kinks
are those of `torch.nn.functional` where it has the function. All of sympy's functions below are compiled;
what has no native code (`erf2inv`, `Ei`, `LambertW` ...) is refused by name.
"""


def catalogue() -> tuple[str, dict[str, str]]:
    """The page, and the plots by file name."""
    parts, plots = [HEAD], {}
    for chapter, expressions in CHAPTERS.items():
        parts.append(f"## {chapter}\n")
        for expression in expressions:
            text, found = section(expression)
            parts.append(text)
            plots.update(found)
    return "\n".join(parts), plots


def main() -> None:
    """Write the page and the plots."""
    page, plots = catalogue()
    (DOCS / "functions.md").write_text(page, encoding="utf-8")
    folder = DOCS / "functions"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for name, text in plots.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
