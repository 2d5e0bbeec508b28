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

What the passes `stable forms` and `exact arguments` make of formulas, with any expression for `x`, in sums
and products of other terms, on scalars and entry by entry on matrices, forward and backward alike. `f.report`
names each that fired; `accuracy="as_written"` turns them off. `f.graph` and the printed gradients keep the
formula of the user. Made by `python tests/tools/stable_table.py docs/accuracy.md`.

| before | after | why |
|---|---|---|
{rows}

Seventeen kinds of formulas are no rows of a table:

- With `e = exp(z)` of an array and m its largest exponent, sums, products, powers and entries of `e` are a
  power of `exp(m)` times what they are of `exp(z - m)`. Where these powers cancel, as in a softmax, its
  slopes and the slopes of its logarithm however they are written, every exponential is taken by `exp(-m)`; a
  logarithm of such a value is a multiple of m more. Divisors cancel before:
  `one_hot(y)*p*p[y]**-1 --> one_hot(y)`, `exp(z - log(s)) --> exp(z)*s**-1`, and only the entry that a
  logarithm needs is computed, `log((a*exp(z))[y]) --> z[y] + log(a[y])`.
- `b**x`, b a positive number, is `exp(log(b)*x)` where it is used several times.
- The second derivative of a logarithm of the normal distribution, `x*h + h**2` with h the density over it, is
  `h*(x + h)`, the sum from a polynomial for the Mills ratio in the tail; so is the slope of
  `F = exp(x**2)*erfc(x)`, `2*x*F - 2/sqrt(pi)`.
- Differences of one limited function at two values, the probabilities of ordered logit and probit models,
  agree where both values are in one tail. With d = a - b, `sigmoid(a) - sigmoid(b)` is
  `sigmoid(max(a, b))*sigmoid(-min(a, b))*(1 - exp(-abs(d)))` with the sign of d, `tanh(a) - tanh(b)` twice
  that of 2*a and 2*b, and the error function and the normal distribution are taken in the other tail.
  Differences of `loggamma`, `digamma` and its derivatives at arguments with terms in common are one function
  of both and of what is left, in which no digit is lost for large x; so are `digamma(x) - log(x)` and
  `trigamma(x) - 1/x`.
- Differences of one function at two values near each other are products after the addition theorems; with
  d = a - b, exact there, or what is left where both have terms in common:
  `sqrt(a) - sqrt(b) --> d/(sqrt(a) + sqrt(b))`, `1/a - 1/b --> -(d/a)/b`, `log(a/b) --> log1p(d/b)`,
  `exp(a) - exp(b) --> exp(b)*expm1(d)`, `atan(a) - atan(b) --> atan(d/(1 + a*b))`,
  `a**p - b**p --> b**p*expm1(p*log(a/b))` (whole and half powers without logarithms, `x**n - 1` as well), and
  of `sin`, `cos`, `tan` where d is known; `log(1 + exp(a)) - log(1 + exp(b))`, and differences of distances,
  `sqrt((x - a)**2 + y**2) - sqrt((x - b)**2 + y**2)`. Values that are far from each other keep their
  difference.
- A difference of two fractions is over both denominators where terms of the numerator cancel:
  `p/(1 - p) - q/(1 - q) --> (p - q)/((1 - p)*(1 - q))`, and in the logarithms of `logit(p) - logit(q)`.
- Sums of fractions in one variable, `1/(x + 1) - 2/x + 1/(x - 1) --> 2/(x*(x + 1)*(x - 1))`, where the exact
  numerator over the common denominator gets shorter at one end, and the leading terms for large x.
- Variances and covariances of all entries, `sum(x**2)/n - (sum(x)/n)**2`, `sum(x*y) - sum(x)*sum(y)/n`, and
  their slopes are taken by deviations from the mean, `(x - x[0]) - mean(x - x[0])`.
- `log(sqrt(x**2 + y**2))` and `log(x**2 + y**2)` next to the unit circle are `log1p(x**2 + y**2 - 1)`.
- `p*log(2*p/s) + q*log(2*q/s)`, s = p + q (Jensen and Shannon), is `s/2*(2*d*atanh(d) + log1p(-d**2))` for
  near p and q, d = (p - q)/s.
- Of two sums of opposite signs one is left: `(V + m)/(1 - exp(-(V + m)/k))`, a rate of Hodgkin and Huxley, is
  a function of one value, whose slope is smooth where it is zero.
- The law of cosines, `a**2 + b**2 - 2*a*b*cos(c) --> (a - b)**2 + 4*a*b*sin(c/2)**2`, and slopes of it.
- One less a ratio, `1 - a/b` and `1 - a**2/b**2`, is `(b - a)/b` for a near b.
- Sums of multiples of sums in which terms cancel are opened: `(a - b) - (a + b) --> -2*b`,
  `c*e - c*(1 + s)*e --> -c*s*e`.
- Roots of a quadratic equation: `sqrt(b**2 - 4*a*c) - b --> -4*a*c/(sqrt(b**2 - 4*a*c) + b)` for positive b,
  which may be a sum itself, and `r - sqrt(r**2 - x**2)`.
- The Jacobian of a softmax, `diag(p) - p*p.T`, has `p*(1 - p)` on its diagonal, 1 - p from the sum of the
  other exponentials.
- Products and sums of `exp`, `sinh`, `cosh`, `tanh`, `sigmoid` of multiples of one value are rational
  functions of one exponential. Common factors cancel exactly, and what is left is written with `tanh`,
  `sigmoid` and their slopes, or as a quotient of polynomials in `exp(-abs(x))`, derivatives of any order too:
  `(exp(x) - exp(-x))/(exp(x) + exp(-x)) --> tanh(x)`, `x*exp(x)/(1 + exp(x)) --> x*sigmoid(x)`.
- In a product in which an exponential overflows while another factor vanishes, whatever the coefficients are,
  every factor and every term of a sum is taken by what it grows like, a power of `exp(abs(x))` at either end:
  `a*exp(x)/(1 + a*exp(x))**2 --> a*z*where(x > 0, z + a, 1 + a*z)**-2` with `z = exp(-abs(x))`; so is a sum
  whose power is not whole, `sqrt(1 + a*exp(x))`.
- Sums of fractions over sums of exponentials with coefficients come over one denominator where an exponential
  vanishes from the numerator: the slope of `(a*exp(x) + b*exp(y))/(u*exp(x) + v*exp(y))` is
  `(a*v - b*u)*exp(x)*exp(y)` over the square, where its two terms agree in all digits for large x.
- A root less its limit is a quotient: `c*sqrt(x**2 + k**2) - c*k --> c*x*(x/(sqrt(x**2 + k**2) + k))`, powers
  of the root times that (`1 - 1/sqrt(1 + x**2)`), and `sqrt(x**2 + y**2) - x` for positive x.
- Where a sum, product or logarithm is a function of one value, a product of powers such as `x`, `x/m` or
  `p*log(x)`, times powers of others, and is smooth at a place where its formula loses digits or overflows, it
  is a power of the distance times a polynomial there: `x - atan(x)`, `cos(x)/x - sin(x)/x**2` and the next
  slopes of sin(x)/x, `(1 - cos(x))/x**2` where x**2 underflows, `log(sinh(x)/x)` at 0; `x*log(x/m) - (x - m)`
  at x = m; `(x**p - 1)/p` at p = 0; `log(x)/(x - 1)` at 1. The roundings of the form that the rows above make
  are added up next to the place; polynomials, interpolants of exact values, are used as far as they matter:
  one next to the place and up to two further out on each side. At the place itself the value is the limit.
  Of 48 formulas of this kind 46 have second slopes within 46 ULP, most within 10, where one polynomial left
  up to 1,600; those of `(exp(x) - exp(y))/(x - y)` and `j1(x)/x` still lose all digits.
- Sums of fractions over powers of one positive sum come over a common denominator where their numerator gets
  shorter (`1/(1 + a) - a/(1 + a)**2 --> 1/(1 + a)**2`); divisors that underflow are taken into a sum
  (`p*(a*p**-1 + b) --> a + b*p`).
- Beyond a power of two from which on lower powers are lost beside the leading one, polynomials of degree two
  and more in a logarithm, a root or a quotient are their leading terms: `log(1 + x**2) --> 2*log(abs(x))`,
  `x/(1 + x**2) --> 1/x`, `(1 - x**2)/(1 + x**2)**2 --> -1/x**2`, `sqrt(x**2 - 1) --> abs(x)`, with
  `(x - m)/s` for x as well: a comparison and a choice or two, 6 to 15% of the time of such a formula alone.
  Powers whose exponent is not known are such a variable as well: of `d + (a - d)/(1 + (x/c)**b)`, of
  `log(1 + (x/c)**b)` and their slopes there are values where the power overflows.
- A logarithm of a sum of exponentials less one of the exponents meets its maximum first:
  `m + log1p(rest) - z --> (m - z) + log1p(rest)`, and a temperature stays outside: `(z - m)/T`.

The rounding of an exponent of size n is worth up to n/2 units in the last place of the result. So the
exponents of `exp(a*b)` and `exp(a - b)` are not rounded, and where the argument of `exp`, `sigmoid`,
`softplus`, `sinh`, `cosh`, `expm1`, `erfc`, the normal distribution or a slope is a short formula of inputs
and numbers (`3*x`, `(x - 1)/7`, `3*x + 2`; of `exp` any three terms), it comes with what its operations lost:
one fused multiply-add for a product, six additions for a sum. Values inside a network and neurons `w*x + b`
stay as they are. In -760 ... 760 `1/(1 + exp(-1.702*x))` and its slope have at most 1.5 units where they had
523, `log(1 + exp(3*x))/3` and `tanh(2*x/3)` with their slopes 2 where they had 60 and 605. With
`accuracy="fast"` only the exponents of `exp` are kept.

What such an argument of `sin`, `cos` or `tan` lost is added by the first terms of a series,
`sin(p) + r*cos(p) - ...`: `sin(pi*x)` is right next to whole x, `cos(w*t + p)` and `sin(k*x - w*t)` after
many periods, where a million units were lost at a phase of 28,000. A power of a sum with an exponent that is
not known, `(1 + x/n)**n`, is that of the rounded sum times `exp(n*r)`, r what it lost, relative to it.

A difference of products or quotients of inputs, `a*d - b*c`, `b**2 - 4*a*c`, `w*L - 1/(w*C)`,
`1 - x**2 - y**2`, of up to three terms, comes with what its operations lost (as Kahan has it):
the slopes of `(-b + sqrt(b**2 - 4*a*c))/(2*a)` next to a double root had five digits, and have all.

Sums of n terms stay within the bound of blocked summation: |error| <= g(d) times the sum of the sizes of the
terms, g(d) = d u/(1 - d u), u = 2^-53 (2^-24), d = min(n, 1024) + ceil(n/512) + 16, tested against exact
rational sums in `tests/pipeline/test_sums.py`: over features, samples and in matrix products chains of at
most 1,024 additions are added to each other. Where code for samples in lanes adds more than four blocks, what
these additions lose is added at the end, and the error does not grow with n: the float32 mean of ten million
times 0.1 is 6e-7 off.
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
