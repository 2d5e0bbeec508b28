"""What the passes did: operations before and after, time, and the rewrites that fired."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import sympy as sp

from symprop.declare.notebook import text_table
from symprop.graph import Node, topological

__all__ = ["OperationCounts", "PassReport", "Report", "count_operations"]

TRANSCENDENTAL = frozenset(
    [
        "exp",
        "expm1",
        "log",
        "log1p",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "erf",
        "erfc",
        "erfi",
        "erfinv",
        "erfcinv",
        "cbrt",
        "sigmoid",
        "softplus",
        "normal_cdf",
        "tanh_prime",
        "sigmoid_prime",
        "tanh_gap",
        "exp_product",
        "exp_sum",
        "exp_gap",
        "atan2",
        "pow",
        "log2",
        "exp2",
        "gamma",
        "loggamma",
        "digamma",
    ]
)
_LEAVES = frozenset(["constant", "symbol", "eye", "batch_size"])
_MOVES = frozenset(
    [
        "broadcast",
        "reshape",
        "transpose",
        "slice",
        "pad",
        "index",
        "place",
        "take",
        "one_hot",
        "diag",
        "diagonal",
    ]
)
_COMPARISONS = frozenset(
    [
        "less",
        "less_equal",
        "equal",
        "not_equal",
        "and",
        "or",
        "not",
        "select",
        "maximum",
        "minimum",
        "reduce_max",
    ]
)


@dataclass(frozen=True)
class OperationCounts:
    """Operations of a graph by kind: a node of an array is one operation (`weighted=False`) or one per entry.

    A sum of n terms is n - 1 additions, `fma` an addition and a multiplication (the sign of an operand is
    free). `other` holds what has none of these kinds (sign, floor, ...), `moves` what only moves entries.
    """

    nodes: int = 0
    additions: int = 0
    multiplications: int = 0
    divisions: int = 0
    negations: int = 0
    roots: int = 0
    transcendental: int = 0
    comparisons: int = 0
    matrix_products: int = 0
    moves: int = 0
    other: int = 0

    @property
    def arithmetic(self) -> int:
        """Additions, multiplications, divisions, negations and square roots."""
        return self.additions + self.multiplications + self.divisions + self.negations + self.roots

    @property
    def total(self) -> int:
        """All operations that compute something."""
        return self.arithmetic + self.transcendental + self.comparisons + self.other


def count_operations(nodes: Iterable[Node], weighted: bool = False) -> OperationCounts:
    """The operations of these nodes, each node once.

    With `weighted` each counts once for every entry that it computes, a matrix product (m, k) times (k, n)
    as m*n*k multiplications and additions; without, a matrix product counts in `matrix_products` only.
    Symbolic sizes count as 1.
    """
    counts = dict.fromkeys(OperationCounts.__dataclass_fields__, 0)
    nodes = list(nodes)
    free = _signs_of_fma(nodes)
    for node in nodes:
        op = node.op
        if op in _LEAVES or node.serial in free:
            continue
        counts["nodes"] += 1
        size = _entries(node) if weighted else 1
        if op in ("add", "mul"):
            times = len(node.args) - 1
            if op == "mul" and node.args[0].op == "constant" and node.args[0].attrs[0] == -1:
                counts["negations"] += size
                times -= 1
            counts["additions" if op == "add" else "multiplications"] += times * size
        elif op == "pow" and node.args[1].op == "constant":
            _count_power(node.args[1].attrs[0], size, counts)
        elif op in _MOVES:
            counts["moves"] += size
        elif op == "matmul":
            counts["matrix_products"] += 1
            if weighted:
                inner = node.args[0].shape[1]
                work = size * (inner if isinstance(inner, int) else 1)
                counts["multiplications"] += work
                counts["additions"] += work - size
        elif op in ("sum", "batch_sum", "trace", "reduce_max"):
            work = max(_entries(node.args[0]) - (size if op != "batch_sum" else 0), 1) if weighted else 1
            counts["comparisons" if op == "reduce_max" else "additions"] += work
        elif op in ("lu", "lu_solve", "cofactor", "cofactor_slope"):
            products, quotients = _elimination(node) if weighted else (1, 0)
            counts["additions"] += products
            counts["multiplications"] += products
            counts["divisions"] += quotients
        elif op == "root_of_squares":
            counts["multiplications"] += size * len(node.args)
            counts["additions"] += size * (len(node.args) - 1)
            counts["roots"] += size
        elif op == "fma":
            counts["additions"] += size
            counts["multiplications"] += size
        else:
            counts[_KIND.get(op, "other")] += size
    return OperationCounts(**counts)


_KIND = {
    **dict.fromkeys(_COMPARISONS, "comparisons"),
    **dict.fromkeys(TRANSCENDENTAL, "transcendental"),
    "sub": "additions",
    "div": "divisions",
    "neg": "negations",
    "sqrt": "roots",
}


def _signs_of_fma(nodes: Sequence[Node]) -> set[int]:
    """The negations that only `fma` uses: machines have it with either sign."""
    free: set[int] = set()
    used: set[int] = set()
    for node in nodes:
        (free if node.op == "fma" else used).update(a.serial for a in node.args if a.op == "neg")
    return free - used


def _elimination(node: Node) -> tuple[int, int]:
    """Multiplications with an addition, and divisions, of a factorisation or of solves with one."""
    rows, columns = (d if isinstance(d, int) else 1 for d in node.shape)
    if node.op == "lu":
        return (columns**3 - columns) // 3, columns * (columns - 1) // 2
    if node.op == "lu_solve":
        return rows * (rows - 1) * columns, rows * columns
    return (2 if node.op == "cofactor" else 4) * rows**3, rows * (rows - 1)


def _count_power(exponent: object, size: int, counts: dict[str, int]) -> None:
    """A constant power as what it becomes: products by squaring, a root, a division; any other is a call."""
    if isinstance(exponent, sp.Rational) and exponent.q in (1, 2) and abs(exponent) <= 16:
        whole = int(abs(exponent) // 1)
        products = max(whole.bit_length() - 1 + bin(whole).count("1") - 1, 0)
        counts["roots"] += size * (exponent.q == 2)
        counts["multiplications"] += size * (products + (exponent.q == 2 and whole > 0))
        counts["divisions"] += size * bool(exponent < 0)
    else:
        counts["transcendental"] += size


def _entries(node: Node) -> int:
    return math.prod(n if isinstance(n, int) else 1 for n in node.shape)


@dataclass(frozen=True)
class PassReport:
    """One pass: its name, the roots before and after, seconds, and how often each of its rewrites fired."""

    name: str
    roots_before: tuple[Node, ...]
    roots_after: tuple[Node, ...]
    seconds: float
    fired: dict[str, int] = field(default_factory=dict)

    @cached_property
    def before(self) -> OperationCounts:
        """Operations before the pass, one per node."""
        return count_operations(topological(self.roots_before))

    @cached_property
    def after(self) -> OperationCounts:
        """Operations after the pass, one per node."""
        return count_operations(topological(self.roots_after))


_COLUMNS = ("pass", "nodes", "add", "mul", "div", "calls", "ms", "rewrites")


@dataclass(frozen=True)
class Report:
    """The passes in order; prints as a table. Counts are made when they are read."""

    passes: Sequence[PassReport]

    @property
    def seconds(self) -> float:
        """The time of all passes."""
        return sum(p.seconds for p in self.passes)

    @property
    def fired(self) -> dict[str, int]:
        """Every rewrite that fired, over all passes."""
        total: dict[str, int] = {}
        for p in self.passes:
            for name, count in p.fired.items():
                total[name] = total.get(name, 0) + count
        return total

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for p in self.passes:
            a, b = p.before, p.after
            fired = ", ".join(
                f"{name} {count}" for name, count in sorted(p.fired.items(), key=lambda x: (-x[1], x[0]))
            )
            pairs = [
                (a.nodes, b.nodes),
                (a.additions, b.additions),
                (a.multiplications, b.multiplications),
                (a.divisions, b.divisions),
                (a.transcendental, b.transcendental),
            ]
            cells = [str(x) if x == y else f"{x} > {y}" for x, y in pairs]
            rows.append((p.name, *cells, f"{1e3 * p.seconds:.1f}", fired))
        return rows

    def __str__(self) -> str:
        rows = [_COLUMNS, *self._rows()]
        widths = [max(len(row[k]) for row in rows) for k in range(len(_COLUMNS) - 1)]
        lines = []
        for row in rows:
            left = row[0].ljust(widths[0])
            middle = "  ".join(cell.rjust(w) for cell, w in zip(row[1:-1], widths[1:], strict=True))
            lines.append(f"{left}  {middle}  {row[-1]}".rstrip())
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return text_table(_COLUMNS, self._rows())
