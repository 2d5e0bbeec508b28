"""27 problems of nonlinear regression with certified solutions, fitted from both of their starts.

The problems are the Statistical Reference Datasets of NIST. Each model is a formula, its residual the
network; symprop makes the residuals of all observations and their Jacobian, and SciPy's Levenberg-Marquardt
solver (MINPACK's) the fit. The table tells how many digits of the certified values, given to 11, were
found: -log10 of the relative error of the parameter that is worst.

    python examples/nist.py [PROBLEM ...] [--write docs/nist.md]
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import least_squares
from sympy.parsing.sympy_parser import parse_expr

import symprop

DATA = Path(__file__).parent / "data"
CERTIFIED_DIGITS = 11.0
FOUND = 4.0  # fewer digits than that are not the certified minimum: the solver has failed
KNOWN = {"exp": sp.exp, "cos": sp.cos, "sin": sp.sin, "atan": sp.atan, "pi": sp.pi, "Rational": sp.Rational}


@dataclass(frozen=True)
class Problem:
    """A model with its observations, starts and certified parameters."""

    name: str
    difficulty: str
    model: sp.Expr
    params: list[sp.Symbol]
    predictors: list[sp.Symbol]
    X: Any
    y: Any
    starts: list[list[float]]
    certified: list[float]
    certified_rss: float

    def residual(self) -> symprop.Graph:
        """The equations of one observation: the model, and what is left of the observation."""
        y, model, r = sp.symbols("y model r")
        return symprop.Graph([(model, self.model), (r, model - y)])

    def function(self) -> symprop.Function:
        """The compiled residual, one for each observation, with its derivatives by the parameters."""
        y = sp.Symbol("y")
        sampled = [*self.predictors, y]
        return symprop.compile(self.residual(), args=[*self.params, *sampled], batch=sampled, wrt=self.params)

    def data(self) -> dict[str, Any]:
        """The observations by the name of their argument."""
        return {**{str(x): self.X[:, k] for k, x in enumerate(self.predictors)}, "y": self.y}


@dataclass(frozen=True)
class Fit:
    """What the solver found from one start."""

    digits: float
    digits_of_rss: float
    rss: float
    evaluations: int
    message: str

    @property
    def failed(self) -> bool:
        """True where the solver ended elsewhere than at the certified minimum."""
        return self.digits < FOUND


def parsed(text: str, symbols: Sequence[sp.Symbol]) -> sp.Expr:
    """A formula of the file as an expression; every name in it is looked up in a list of few."""
    names = {**KNOWN, **{s.name: s for s in symbols}}
    unknown = set(re.findall(r"[A-Za-z_]\w*", text)) - set(names)
    if unknown or not re.fullmatch(r"[\w\s()+\-*/,.]*", text):
        raise ValueError(f"the formula {text!r} holds {sorted(unknown) or 'characters'} that no model has")
    numbers = {"Integer": sp.Integer, "Float": sp.Float, "__builtins__": {}}
    return parse_expr(text, local_dict=names, global_dict=numbers)


def problems(names: Sequence[str] = ()) -> Iterator[Problem]:
    """The problems of the file, or those that are named."""
    rows = json.loads((DATA / "nist_strd.json").read_text())
    unknown = [n for n in names if n not in rows]
    if unknown:
        raise SystemExit(f"unknown problem {unknown[0]}; there are {', '.join(rows)}")
    with np.load(DATA / "nist_strd.npz") as arrays:
        for name in names or rows:
            row = rows[name]
            params, predictors = ([sp.Symbol(n) for n in row[key]] for key in ("params", "xvars"))
            yield Problem(
                name,
                row["difficulty"],
                parsed(row["model"], [*params, *predictors]),
                params,
                predictors,
                arrays[f"{name}/X"],
                arrays[f"{name}/y"],
                [row["start1"], row["start2"]],
                row["certified"],
                row["certified_rss"],
            )


def digits(found: Any, certified: Any) -> float:
    """The digits that agree, of the worst entry; no more than are certified."""
    found, certified = np.asarray(found), np.asarray(certified)
    with np.errstate(all="ignore"):
        error = float(np.max(np.abs(found - certified) / np.abs(certified)))
    if not np.isfinite(error):
        return 0.0
    return float(np.clip(-np.log10(max(error, 1e-300)), 0.0, CERTIFIED_DIGITS))


def fit(problem: Problem, start: Sequence[float]) -> Fit:
    """Levenberg-Marquardt from a start, with exact Jacobians, until it stops of itself."""
    s = problem.function().as_scipy(**problem.data())
    found = least_squares(
        s.fun, start, jac=s.jac, method="lm", x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=5000
    )
    rss = 2.0 * float(found.cost)
    return Fit(
        digits(found.x, problem.certified),
        digits(rss, problem.certified_rss),
        rss,
        int(found.nfev),
        found.message,
    )


def table(names: Sequence[str] = ()) -> tuple[list[str], list[tuple[Problem, list[Fit]]]]:
    """The table, line by line, and what stands in it."""
    lines = [
        "| problem | difficulty | parameters | observations | digits from start 1 | from start 2 | "
        "digits of the sum of squares | evaluations |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    results = []
    for problem in problems(names):
        fits = [fit(problem, start) for start in problem.starts]
        results.append((problem, fits))
        shown = ["**failed**" if f.failed else f"{f.digits:.1f}" for f in fits]
        best = min((f.digits_of_rss for f in fits if not f.failed), default=0.0)
        counts = ", ".join(str(f.evaluations) for f in fits)
        lines.append(
            f"| {problem.name} | {problem.difficulty.lower()} | {len(problem.params)} | {len(problem.y)} | "
            f"{shown[0]} | {shown[1]} | {best:.1f} | {counts} |"
        )
    return lines, results


def summary(results: Sequence[tuple[Problem, list[Fit]]]) -> list[str]:
    """How many fits reached the certified minimum, and where the others ended."""
    fits = [f for _, both in results for f in both]
    good = [f.digits for f in fits if not f.failed]
    lines = [
        f"{len(good)} of {len(fits)} fits reach the certified minimum, with "
        f"{min(good, default=0.0):.1f} digits at least and "
        f"{np.median(good) if good else 0.0:.1f} in the median."
    ]
    for problem, both in results:
        for k, f in enumerate(both, 1):
            if f.failed:
                lines.append(
                    f"{problem.name} from start {k}: the solver stops with a sum of squares of {f.rss:.6g}, "
                    f"that of the certified minimum is {problem.certified_rss:.6g} ({f.message})"
                )
    return lines


INTRODUCTION = """# Regressions with certified solutions

The 27 problems of nonlinear regression among NIST's Statistical Reference Datasets, each fitted from its two
starts; the first start is meant to be hard. symprop compiles the residual of one observation and its
derivatives (`as_scipy`: residuals and Jacobian), `scipy.optimize.least_squares(method="lm")` does the rest
with tolerances of 1e-15. Digits are -log10 of the relative error of the worst parameter against the certified
values, which have 11. Fewer than {least:g} count as a failure of the solver: it has stopped elsewhere. (The
sum of squares of Lanczos1, 1.4e-25, lies below what observations in double precision can tell.)

Made by `python examples/nist.py --write docs/nist.md`; the data are in `examples/data`.
"""


def main(names: Sequence[str] = (), write: str | None = None) -> list[tuple[Problem, list[Fit]]]:
    """Fit and print; `write` is the file that the whole page goes to."""
    first = next(problems(names))
    print(f"{first.name}, for one observation:\n\n{first.residual()}\n\nIts derivatives:\n")
    print(symprop.backprop(first.residual(), first.params), "\n")
    report = first.function().verify(*first.starts[1], *[v[:2] for v in first.data().values()])
    report.raise_if_failed()
    print(f"verified at the second start: {len(report.rows)} rows, all passed\n")
    lines, results = table(names)
    told = summary(results)
    print("\n".join([*lines, "", *told]))
    if write is not None:
        page = [INTRODUCTION.format(least=FOUND), *lines, "", *[f"- {line}" for line in told]]
        Path(write).write_text("\n".join(page) + "\n")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("problems", nargs="*")
    parser.add_argument("--write", metavar="FILE")
    given = parser.parse_args()
    main(given.problems, given.write)
