"""Elimination on arrays of float64 or of mpmath numbers: the reference values of the linear algebra.

Every function takes the attributes of a node first, as `Operation.reference` does.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np

__all__ = [
    "cofactor",
    "cofactor_slope",
    "cycles",
    "determinant",
    "inverse",
    "kronecker",
    "log_determinant",
    "lu",
    "lu_determinant",
    "lu_solve",
    "signed_permutations",
]

Array = Any


def _copy(a: Array) -> Array:
    array = np.array(a)
    return array if array.dtype == object else array.astype(float)


def _zeros(shape: tuple[int, ...], like: Array) -> Array:
    zeros = np.zeros(shape)
    return zeros if like.dtype != object else zeros.astype(object) * mp.mpf(0)


def _eye(size: int, like: Array) -> Array:
    result = _zeros((size, size), like)
    for k in range(size):
        result[k, k] = result[k, k] + 1
    return result


def _largest(values: Array) -> int:
    """The place of the first entry of largest magnitude."""
    best = 0
    for k, v in enumerate(values):
        if abs(v) > abs(values[best]):
            best = k
    return best


def lu(attrs: Any, a: Array) -> Array:
    """L (below the diagonal, ones on it) and U in one matrix; in a last row the row exchanged at each."""
    size = len(a)
    result = _zeros((size + 1, size), _copy(a))
    result[:size] = a
    for k in range(size):
        p = k + _largest(result[k:size, k])
        result[size, k] = result[size, k] + p
        if p != k:
            result[[k, p]] = result[[p, k]]
        if result[k, k] != 0:
            result[k + 1 : size, k] = result[k + 1 : size, k] / result[k, k]
            result[k + 1 : size, k + 1 :] -= np.outer(result[k + 1 : size, k], result[k, k + 1 :])
    return result


def lu_solve(attrs: Any, factors: Array, b: Array) -> Array:
    """X with A*X = B, with A.T*X = B where `attrs[0]`; NaN in every entry where A is singular."""
    size, x = factors.shape[1], _copy(b)
    if factors.dtype == object and x.dtype != object:
        x = x.astype(object)
    if any(factors[k, k] == 0 for k in range(size)):
        return x * (mp.nan if x.dtype == object else np.nan)
    turned = bool(attrs[0])
    matrix = factors[:size].T if turned else factors[:size]
    swaps = [(k, int(factors[size, k])) for k in range(size)]
    for k, p in () if turned else swaps:
        x[[k, p]] = x[[p, k]]
    for k in range(size):
        x[k] = x[k] - matrix[k, :k] @ x[:k] if k else x[k]
        if turned:
            x[k] = x[k] / matrix[k, k]
    for k in reversed(range(size)):
        x[k] = x[k] - matrix[k, k + 1 :] @ x[k + 1 :] if k + 1 < size else x[k]
        if not turned:
            x[k] = x[k] / matrix[k, k]
    for k, p in reversed(swaps) if turned else ():
        x[[k, p]] = x[[p, k]]
    return x


def lu_determinant(attrs: Any, factors: Array) -> Array:
    """The determinant from a factorisation; its sign for `attrs[0] == "sign"`."""
    size = factors.shape[1]
    result = factors[0, 0] * 0 + 1
    for k in range(size):
        value = factors[k, k]
        if attrs and attrs[0] == "sign":
            value = value if value != value or value == 0 else (1 if value > 0 else -1)
        result = result * (value if factors[size, k] == k else -value)
    return np.array(result, object if factors.dtype == object else float)


def inverse(attrs: Any, a: Array) -> Array:
    """The inverse; NaN in every entry of that of a singular matrix."""
    return lu_solve((False,), lu((), a), _eye(len(a), _copy(a)))


def determinant(attrs: Any, a: Array) -> Array:
    """The determinant."""
    return lu_determinant((), lu((), a))


def log_determinant(attrs: Any, a: Array) -> Array:
    """The logarithm of the determinant, of its magnitude for `attrs == ("abs",)`."""
    factors = lu((), a)
    exact = factors.dtype == object
    sign = lu_determinant(("sign",), factors)[()]
    total: Any = mp.mpf(0) if exact else 0.0
    for k in range(len(a)):
        value = abs(factors[k, k])
        if value == 0:
            total = total - (mp.inf if exact else np.inf)
        else:
            total = total + (mp.log(value) if exact else np.log(value))
    if sign < 0 and not attrs:
        total = mp.nan if exact else np.nan
    return np.array(total, object if exact else float)


class _Revealed(NamedTuple):
    """A[rows][:, columns] = lower * diag(d) * upper with ones on both diagonals; `sign` of both orders."""

    lower: Array
    d: Array
    upper: Array
    rows: list[int]
    columns: list[int]
    sign: int


def _reveal(a: Array) -> _Revealed:
    """Elimination with the largest entry of what is left as pivot: a rank below the size shows as zeros in
    the last places of d.
    """
    rest = _copy(a)
    size = len(rest)
    lower, upper, d = _eye(size, rest), _eye(size, rest), _zeros((size,), rest)
    rows, columns, sign = list(range(size)), list(range(size)), 1
    for k in range(size):
        p, q = divmod(_largest(rest[k:, k:].ravel()), size - k)
        for at, order, axis in ((p + k, rows, 0), (q + k, columns, 1)):
            if at == k:
                continue
            sign = -sign
            order[k], order[at] = order[at], order[k]
            if axis == 0:
                rest[[k, at]] = rest[[at, k]]
                lower[[k, at], :k] = lower[[at, k], :k]
            else:
                rest[:, [k, at]] = rest[:, [at, k]]
                upper[:k, [k, at]] = upper[:k, [at, k]]
        d[k] = rest[k, k]
        if d[k] == 0:
            break
        lower[k + 1 :, k] = rest[k + 1 :, k] / d[k]
        upper[k, k + 1 :] = rest[k, k + 1 :] / d[k]
        rest[k + 1 :, k + 1 :] -= np.outer(lower[k + 1 :, k], rest[k, k + 1 :])
    return _Revealed(lower, d, upper, rows, columns, sign)


def _others(d: Array, *left_out: int) -> Any:
    """The product of the entries of d but for those."""
    result = d[0] * 0 + 1
    for k, value in enumerate(d):
        if k not in left_out:
            result = result * value
    return result


def _lower_solve(lower: Array, b: Array) -> Array:
    """lower**-1 * b, with ones on the diagonal."""
    x = np.array(b)
    for k in range(1, len(x)):
        x[k] = x[k] - lower[k, :k] @ x[:k]
    return x


def _upper_solve(upper: Array, b: Array) -> Array:
    """upper**-1 * b, with ones on the diagonal."""
    x = np.array(b)
    for k in reversed(range(len(x) - 1)):
        x[k] = x[k] - upper[k, k + 1 :] @ x[k + 1 :]
    return x


def _around(found: _Revealed, middle: Array) -> Array:
    """sign * lower**-T * middle * upper**-T, rows and columns back in their places."""
    inner = _upper_solve(found.lower.T, middle)
    inner = _upper_solve(found.upper, inner.T).T * found.sign
    result = np.array(inner)
    result[np.ix_(found.rows, found.columns)] = inner
    return result


def cofactor(attrs: Any, a: Array) -> Array:
    """The cofactor matrix: cof(A*B) = cof(A)*cof(B), and that of a triangular matrix with ones is its
    inverse transposed.
    """
    found = _reveal(a)
    middle = _zeros((len(found.d),) * 2, found.d)
    for k in range(len(found.d)):
        middle[k, k] = _others(found.d, k)
    return _around(found, middle)


def cofactor_slope(attrs: Any, a: Array, *directions: Array) -> Array:
    """The derivative of the cofactor matrix, once in each direction.

    For a diagonal matrix the coefficient of s*t*...*z in det(D + s*V + t*W + ... + z*Z) takes a row from each
    direction, and the columns of the same numbers in any order; the derivative by an entry of Z is the
    entry of the result. The other rows give their entries of D.
    """
    found = _reveal(a)
    size, count = len(found.d), len(directions)
    inner = []
    for w in directions:
        left = _lower_solve(found.lower, _copy(w)[np.ix_(found.rows, found.columns)])
        inner.append(_lower_solve(found.upper.T, left.T).T)
    middle = _zeros((size, size), found.d)
    for rows in permutations(range(size), count + 1):
        rest = _others(found.d, *rows)
        for sign, order in signed_permutations(count + 1):
            value = rest * sign
            for k in range(count):
                value = value * inner[k][rows[k], rows[order[k]]]
            middle[rows[count], rows[order[count]]] += value
    return _around(found, middle)


def signed_permutations(count: int) -> list[tuple[int, tuple[int, ...]]]:
    """All orders of the numbers below `count`, with their signs."""
    return [((-1) ** (count - len(cycles(order))), order) for order in permutations(range(count))]


def cycles(order: tuple[int, ...]) -> list[list[int]]:
    """The cycles of a permutation, each as k, order[k], ...; the last one begins with the last number."""
    left, found = set(range(len(order))), []
    for start in reversed(range(len(order))):
        cycle, k = [], start
        while k in left:
            left.remove(k)
            cycle.append(k)
            k = order[k]
        if cycle:
            found.append(cycle)
    return found[::-1]


def kronecker(attrs: Any, a: Array, b: Array) -> Array:
    """The blocks a[i, j] * b."""
    (m, n), (p, q) = a.shape, b.shape
    return (a[:, None, :, None] * b[None, :, None, :]).reshape(m * p, n * q)
