"""The section "Stabilised forms" of docs/accuracy.md, from the tables of the rewriting.

python tests/tools/stable_table.py [docs/accuracy.md]     print it, or put it at the end of the page
"""

from __future__ import annotations

import sys
from pathlib import Path

from symprop.rewrite.factoring import FACTORS
from symprop.rewrite.products import PRODUCTS
from symprop.rewrite.rules import STABLE

HEAD = "## Stabilised forms"
TEXT = """{head}

What the passes `stable forms` and `exact exponents` make of formulas, with any expression for `x`, in sums
and products of other terms, on scalars and entry by entry on matrices, forward and backward alike. `f.report`
names each that fired; `accuracy="as_written"` turns them off. `f.graph` and the printed gradients keep the
formula of the user. Made by `python tests/tools/stable_table.py docs/accuracy.md`.

| before | after | why |
|---|---|---|
{rows}

Sums of fractions over powers of one positive sum come over a common denominator where their numerator gets
shorter (`1/(1 + a) - a/(1 + a)**2 --> 1/(1 + a)**2`); divisors that underflow are taken into a sum
(`p*(a*p**-1 + b) --> a + b*p`); `c*exp(x) - c*exp(-x)` is `2*c*sinh(x)`. The exponents of `exp(a*b)` and
`exp(a - b)` are not rounded.

Sums of n terms stay within the bound of blocked summation: |error| <= g(d) times the sum of the sizes of the
terms, g(d) = d u/(1 - d u), u = 2^-53 (2^-24), d = min(n, 1024) + ceil(n/512) + 16, tested against exact
rational sums in `tests/pipeline/test_sums.py`.
"""


def section() -> str:
    """The text of the section."""
    rows = []
    for rule in (*STABLE, *FACTORS, *PRODUCTS):
        before, after = str(rule).split(" --> ", 1)
        rows.append(f"| `{before}` | `{after}` | {rule.why} |")
    return TEXT.format(head=HEAD, rows="\n".join(rows))


def main() -> None:
    if len(sys.argv) == 1:
        print(section())
        return
    path = Path(sys.argv[1])
    before = path.read_text(encoding="utf-8").split(f"\n{HEAD}")[0].rstrip()
    path.write_text(f"{before}\n\n{section()}", encoding="utf-8")


if __name__ == "__main__":
    main()
