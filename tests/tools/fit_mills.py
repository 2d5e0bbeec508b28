"""Coefficients of the Mills ratio: (t + K)*M(t) and (t + K)*(1/M(t) - t) as polynomials in
w = (t - K)/(t + K), t >= 0.

python tests/tools/fit_mills.py     print them, and the largest relative error on a fine grid

M(t) = exp(t**2/2) * sqrt(pi/2) * erfc(t/sqrt(2)). The map takes t >= 0 to -1 <= w < 1, where the product is
smooth (Schonfelder, Chebyshev expansions for the error and related functions, 1978, for erfc).
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

K = 5
DEGREE = 30


def mills(t: mp.mpf) -> mp.mpf:
    """The ratio, by the continued fraction of Laplace where the product would need too many digits."""
    if t < 60:
        return mp.exp(t * t / 2) * mp.sqrt(mp.pi / 2) * mp.erfc(t / mp.sqrt(2))
    value = mp.mpf(0)
    for k in range(60, 0, -1):
        value = k / (t + value)
    return 1 / (t + value)


def gap(t: mp.mpf) -> mp.mpf:
    """1/M(t) - t, by the same fraction."""
    if t < 60:
        return 1 / mills(t) - t
    value = mp.mpf(0)
    for k in range(80, 0, -1):
        value = k / (t + value)
    return value


def scaled(w: mp.mpf, function: Callable[[mp.mpf], mp.mpf]) -> mp.mpf:
    """(t + K)*function(t) at w, 1 in the limit."""
    if w >= 1:
        return mp.mpf(1)
    t = K * (1 + w) / (1 - w)
    return (t + K) * function(t)


def main() -> None:
    """Print the coefficients, the constant one first."""
    for name, function in (("MILLS", mills), ("GAP", gap)):
        with mp.workdps(60):
            found = mp.chebyfit(lambda w, f=function: scaled(w, f), [-1, 1], DEGREE + 1)[::-1]
            worst = mp.mpf(0)
            for k in range(2000):
                w = -1 + mp.mpf(2 * k + 1) / 2000
                value = sum(float(c) * w**j for j, c in enumerate(found))
                worst = max(worst, abs(value / scaled(w, function) - 1))
            print(f"{name} = (")
            for c in found:
                print(f"    {float(c)!r},")
            print(f")  # error {mp.nstr(worst, 3)}")


if __name__ == "__main__":
    main()
