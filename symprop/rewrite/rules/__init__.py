"""Stable forms: textbook formulas that overflow or lose digits, and forms of the same value that do not.

Each row is data; a new one needs nothing else than a test that fires it and a near-miss. Rules see the
graph after the simplification: constants first and folded, sums and products flat, numbers as scalars
beside arrays.
What is no pattern of a few operations stands beside: polynomials in one function (`factoring.FACTORS`),
factors of products (`products.PRODUCTS`), common denominators (`denominators`).
"""

from symprop.rewrite.matching import Rule
from symprop.rewrite.rules.exponentials import EXPONENTIALS
from symprop.rewrite.rules.inverses import INVERSES
from symprop.rewrite.rules.logarithms import LOGARITHMS
from symprop.rewrite.rules.normal import NORMAL
from symprop.rewrite.rules.roots import ROOTS

__all__ = ["STABLE"]

STABLE: tuple[Rule, ...] = (*INVERSES, *NORMAL, *EXPONENTIALS, *LOGARITHMS, *ROOTS)
