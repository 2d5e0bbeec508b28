"""Operations on balls: midpoints with a radius that is proved to cover the true value (python-flint's Arb).

A rule takes arrays of balls and gives one; conditions are True, False or None where the balls do not tell.
Arb: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic" (2017).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import combinations
from math import factorial
from operator import mul
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symprop.errors import MissingExtraError, UnsupportedExpressionError
from symprop.functions.elimination import cycles, signed_permutations
from symprop.graph import OPERATIONS, Node

__all__ = ["REFUSED", "Balls", "flint"]

# operations without a rule, each with the reason
REFUSED = {
    "symbol": "an input without a value",
    "batch_size": "the number of samples is known to a call only",
    "batch_sum": "the samples are known to a call only",
    "lu": "a step of an algorithm with row exchanges; `inverse` and `determinant` have enclosures",
    "lu_solve": "a step of an algorithm with row exchanges; `inverse` has an enclosure",
    "lu_determinant": "a step of an algorithm with row exchanges; `determinant` has an enclosure",
}
_LOWERED = "a form that only compiled programs have"
_WHOLE = 2**64  # exponents of powers up to which they are taken as whole numbers: flint aborts at huge ones
_MINORS = 6  # matrices up to this size have their cofactors as determinants of minors


def flint() -> Any:
    """The module of python-flint; raises `MissingExtraError` where it is not installed."""
    try:
        return importlib.import_module("flint")
    except ImportError as error:
        raise MissingExtraError(
            "verify(certify=True) needs python-flint, which is not installed: pip install 'symprop[certify]'"
        ) from error


class Balls:
    """The rules, at the precision of `flint.ctx`; `vague` tells whether a rule met a case that it could not
    decide.
    """

    def __init__(self) -> None:
        module = flint()
        self.arb, self.acb, self.mat = module.arb, module.acb, module.arb_mat
        self.fmpq, self.fmpz = module.fmpq, module.fmpz
        self.vague = False
        self._nan, self._inf = self.arb.nan(), self.arb.pos_inf()
        self.elementwise = self._elementwise()
        self.arrays = self._arrays()

    # -- numbers -----------------------------------------------------------------------------------------

    def number(self, value: Any) -> Any:
        """A number as a ball: floats, integers and rational numbers as they are."""
        if isinstance(value, self.arb):
            return value
        if isinstance(value, (bool, np.bool_)):
            return value
        if isinstance(value, (int, np.integer)):
            return self.arb(int(value))
        if isinstance(value, mp.mpf):
            return self._mpf(value)
        if isinstance(value, sp.Basic):
            return self.constant(value)
        if hasattr(value, "numerator") and hasattr(value, "denominator"):
            return self.arb(self.fmpq(int(value.numerator), int(value.denominator)))
        return self.arb(float(value))

    def _mpf(self, value: Any) -> Any:
        if not mp.isfinite(value):
            return self._nan if mp.isnan(value) else self._inf * int(mp.sign(value))
        sign, mantissa, exponent, _ = value._mpf_
        whole = self.fmpz(-int(mantissa) if sign else int(mantissa))
        return self.arb((whole, self.fmpz(int(exponent))))

    def constant(self, expression: sp.Basic) -> Any:
        """An exact sympy number as a ball; raises `UnsupportedExpressionError` for one without an
        enclosure.
        """
        done: dict[sp.Basic, Any] = {}
        todo = [expression]
        while todo:
            current = todo[-1]
            missing = (
                [] if current.is_number and not current.args else [a for a in current.args if a not in done]
            )
            if missing:
                todo.extend(missing)
                continue
            todo.pop()
            if current not in done:
                done[current] = self._constant(current, [done[a] for a in current.args])
        return done[expression]

    def _constant(self, e: Any, args: Sequence[Any]) -> Any:
        arb = self.arb
        if isinstance(e, sp.Integer):
            return arb(self.fmpz(int(e)))
        if isinstance(e, sp.Float):
            e = sp.Rational(e) if e.is_finite else sp.nan
        if isinstance(e, sp.Rational):
            return arb(self.fmpz(int(e.p))) / arb(self.fmpz(int(e.q)))
        named = {
            sp.pi: arb.pi,
            sp.E: lambda: arb(1).exp(),
            sp.EulerGamma: arb.const_euler,
            sp.Catalan: arb.const_catalan,
            sp.GoldenRatio: lambda: (1 + arb(5).sqrt()) / 2,
            sp.oo: arb.pos_inf,
            sp.S.NegativeInfinity: arb.neg_inf,
            sp.nan: arb.nan,
            sp.zoo: arb.nan,
        }
        if e in named:
            return named[e]()
        name = e.func.__name__
        rule = self.elementwise.get(_NAMES.get(name, name)) if args else None
        if rule is None:
            raise UnsupportedExpressionError(f"the constant {e} has no enclosure by balls")
        return rule(*args)

    # -- operations --------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether an operation has a rule."""
        return name in self.elementwise or name in self.arrays

    def apply(self, node: Node, args: Sequence[Any]) -> Any:
        """The value of an operation; raises `UnsupportedExpressionError` for one without a rule."""
        rule = self.elementwise.get(node.op)
        shape = tuple(int(d) for d in node.shape)
        if rule is not None:
            takes = node.op in _WITH_ATTRIBUTE
            function = (lambda *v: rule(node.attrs[0], *v)) if takes else rule
            if len(args) > 32:
                value = reduce(np.frompyfunc(function, 2, 1), args)
            else:
                value = np.frompyfunc(function, len(args), 1)(*args)
            return np.broadcast_to(np.array(value, object), shape)
        if node.op not in self.arrays:
            why = REFUSED.get(node.op, _LOWERED if OPERATIONS[node.op].lowered else "there is no rule for it")
            raise UnsupportedExpressionError(f"{node.op} has no enclosure by balls: {why}")
        value = np.asarray(self.arrays[node.op](node, *args), object)
        if node.op in _HOLES:
            value = np.array(np.frompyfunc(self.number, 1, 1)(value), object)
        return np.broadcast_to(value, shape)

    # -- elementwise -------------------------------------------------------------------------------------

    def _elementwise(self) -> dict[str, Callable[..., Any]]:
        arb = self.arb
        rules: dict[str, Callable[..., Any]] = {
            name: getattr(arb, name)
            for name in (
                *(
                    "exp",
                    "expm1",
                    "sin",
                    "cos",
                    "tan",
                    "atan",
                    "sinh",
                    "cosh",
                    "tanh",
                    "asinh",
                    "erf",
                    "erfc",
                    "erfi",
                    "erfinv",
                    "erfcinv",
                ),
                *("asin", "acos", "acosh", "atanh", "sinc", "atan2"),
            )
        }
        rules |= {
            "add": lambda *v: sum(v[1:], v[0]),
            "mul": lambda *v: reduce(lambda a, b: a * b, v),
            "sub": lambda a, b: a - b,
            "neg": lambda a: -a,
            "div": lambda a, b: a / b,
            "fma": lambda a, b, c: a * b + c,
            "sqrt": lambda a: self._power_half(a),
            "pow": self._power,
            "log": lambda x: arb.neg_inf() if x == 0 else x.log(),
            "log1p": lambda x: arb.neg_inf() if x == -1 else x.log1p(),
            "log2": lambda x: arb.neg_inf() if x == 0 else x.log() / arb.const_log2(),
            "log10": lambda x: arb.neg_inf() if x == 0 else x.log() / arb.const_log10(),
            "exp2": lambda x: (
                arb(2) ** int(x.unique_fmpz()) if self._small_whole(x) else (x * arb.const_log2()).exp()
            ),
            "cbrt": self._cbrt,
            "abs": abs,
            "sigmoid": self._sigmoid,
            "softplus": self._softplus,
            "normal_cdf": lambda x: (-x / arb(2).sqrt()).erfc() / 2,
            "hypot": lambda a, b: (a * a + b * b).sqrt(),
            "mod": self._mod,
            "sign": self._sign,
            "floor": lambda x: self._step(x, arb.floor),
            "ceiling": lambda x: self._step(x, arb.ceil),
            "maximum": arb.max,
            "minimum": arb.min,
            "shared_maximum": lambda *v: reduce(arb.max, v),
            "shared_minimum": lambda *v: reduce(arb.min, v),
            "select": self._select,
            "less": lambda a, b: self._decided(a < b, a >= b),
            "less_equal": lambda a, b: self._decided(a <= b, a > b),
            "equal": lambda a, b: self._decided(a == b, a != b),
            "not_equal": lambda a, b: self._decided(a != b, a == b),
            "and": lambda a, b: False if a is False or b is False else (True if a and b else None),
            "or": lambda a, b: True if a or b else (None if a is None or b is None else False),
            "not": lambda a: None if a is None else not a,
            "gamma": arb.gamma,
            "loggamma": self._loggamma,
            "digamma": arb.digamma,
            "beta": lambda a, b: a.gamma() * b.gamma() * (a + b).rgamma(),
            "rising": lambda x, k: (x + k).gamma() * x.rgamma(),
            "j0": lambda x: x.bessel_j(0),
            "j1": lambda x: x.bessel_j(1),
            "spherical_ratio": lambda n, x: self._series(x, arb(2 * n + 3) / 2, _double_factorial(2 * n + 1)),
            "bessel_ratio": lambda n, x: self._series(x, arb(n + 1), 2**n * factorial(n)),
        }
        for order, name in enumerate(("trigamma", "polygamma_2", "polygamma_3", "polygamma_4"), 1):
            rules[name] = lambda x, m=order: self._polygamma(m, x)
        return rules

    def _decided(self, yes: bool, no: bool) -> bool | None:
        if yes or no:
            return bool(yes)
        self.vague = True
        return None

    def _select(self, condition: bool | None, a: Any, b: Any) -> Any:
        if condition is None:
            return a.union(b) if isinstance(a, self.arb) else (a if a == b else None)
        return a if condition else b

    def _power_half(self, x: Any) -> Any:
        return self.arb(0) if x == 0 else x.sqrt()

    def _power(self, x: Any, p: Any) -> Any:
        if p.is_exact() and p.is_integer() and abs(p) < _WHOLE:
            if x == 0 and p < 0:
                return self._inf
            return x ** self.fmpz(p.unique_fmpz())
        if x == 0:
            return self.arb(0) if p > 0 else (self._inf if p < 0 else self._nan)
        if p == self.arb(1) / 2:
            return x.sqrt()
        return x**p if x > 0 else self._nan  # an exponent that is no whole number, or may be none

    def _small_whole(self, x: Any) -> bool:
        return bool(x.is_exact() and x.is_integer() and abs(x) < 10000)

    def _cbrt(self, x: Any) -> Any:
        if x == 0:
            return self.arb(0)
        if x > 0:
            return x.root(3)
        if x < 0:
            return -((-x).root(3))
        ends = [self._cbrt_end(x.lower()), self._cbrt_end(x.upper())]
        return ends[0].union(ends[1])

    def _cbrt_end(self, x: Any) -> Any:
        return -((-x).root(3)) if x < 0 else (x.root(3) if x > 0 else self.arb(0))

    def _sigmoid(self, x: Any) -> Any:
        if x > 0:
            return 1 / (1 + (-x).exp())
        e = x.exp()
        return e / (1 + e)

    def _softplus(self, x: Any) -> Any:
        return x + (-x).exp().log1p() if x > 0 else x.exp().log1p()

    def _mod(self, a: Any, b: Any) -> Any:
        if b == 0:
            return self._nan
        return a - b * self._step(a / b, self.arb.floor)

    def _sign(self, x: Any) -> Any:
        if x > 0 or x < 0 or x == 0:
            return self.arb(0 if x == 0 else (1 if x > 0 else -1))
        self.vague = True
        return x.sgn()

    def _step(self, x: Any, function: Callable[[Any], Any]) -> Any:
        value = function(x)
        self.vague = self.vague or not value.is_exact()
        return value

    def _loggamma(self, x: Any) -> Any:
        if x > 0:
            return x.lgamma()
        if x.is_exact() and x.is_integer():
            return self._inf
        # the reflection formula: |Γ(x) Γ(1 - x) sin(πx)| = π
        return (self.arb.pi() / abs(x.sin_pi())).log() - (1 - x).lgamma()

    def _polygamma(self, order: int, x: Any) -> Any:
        return self.acb(x).polygamma(self.acb(order)).real

    def _series(self, x: Any, start: Any, divisor: int) -> Any:
        """0F1(start; -x**2/4)/divisor"""
        return (-(x * x) / 4).hypgeom_0f1(start) / divisor

    # -- arrays ------------------------------------------------------------------------------------------

    def _arrays(self) -> dict[str, Callable[..., Any]]:
        def moved(node: Node, *args: Any) -> Any:
            reference = OPERATIONS[node.op].reference
            assert reference is not None
            return reference(node.attrs, *args)

        rules: dict[str, Callable[..., Any]] = dict.fromkeys(
            (
                "eye",
                "broadcast",
                "reshape",
                "transpose",
                "slice",
                "pad",
                "index",
                "place",
                "diag",
                "diagonal",
            ),
            moved,
        )
        rules |= {
            "constant": lambda node: np.array(self.constant(node.attrs[0]), object),
            "trace": lambda node, a: sum(a.diagonal()[1:], a[0, 0]),
            "take": lambda node, a, *at: moved(node, a, *[int(i[()].unique_fmpz()) for i in at]),
            "one_hot": lambda node, i: moved(node, int(i[()].unique_fmpz())),
            "sum": lambda node, a: self._reduced(node, a, np.add),
            "reduce_max": lambda node, a: self._reduced(node, a, np.frompyfunc(self.arb.max, 2, 1)),
            "matmul": lambda node, a, b: self._product(a, b),
            "kronecker": moved,
            "inverse": lambda node, a: self._inverse(a),
            "determinant": lambda node, a: self._determinant(a),
            "log_determinant": self._log_determinant,
            "cofactor": lambda node, a: self._cofactor(a),
            "cofactor_slope": lambda node, *args: self._cofactor_slope(*args),
        }
        return rules

    def _reduced(self, node: Node, a: Any, join: Any) -> Any:
        axes: Any
        axes, keep = node.attrs
        for axis in sorted(axes, reverse=True):
            a = np.asarray(join.reduce(a, axis=axis), object)
            if keep:
                a = np.expand_dims(a, axis)
        return a

    def _matrix(self, a: Any) -> Any:
        return self.mat(*a.shape, list(a.flat))

    def _product(self, a: Any, b: Any) -> Any:
        return self._entries((self._matrix(a) * self._matrix(b)).entries(), (a.shape[0], b.shape[1]))

    def _entries(self, values: Sequence[Any], shape: tuple[int, ...]) -> Any:
        result = np.empty(len(values), object)
        result[:] = values
        return result.reshape(shape)

    def _determinant(self, a: Any) -> Any:
        return np.array(self._matrix(a).det(), object) if len(a) else np.array(self.arb(1), object)

    def _inverse(self, a: Any) -> Any:
        try:
            return self._entries(self._matrix(a).inv().entries(), a.shape)
        except ZeroDivisionError:  # the matrix may be singular
            return np.full(a.shape, self._nan, object)

    def _log_determinant(self, node: Node, a: Any) -> Any:
        value = self._determinant(a)[()]
        value = abs(value) if node.attrs else value
        return np.array(self.elementwise["log"](value), object)

    def _cofactor(self, a: Any) -> Any:
        size = len(a)
        if size > _MINORS:
            return self._determinant(a)[()] * self._inverse(a).T
        result = np.empty(a.shape, object)
        for i in range(size):
            for j in range(size):
                minor = np.delete(np.delete(a, i, 0), j, 1)
                result[i, j] = self._determinant(minor)[()] * (-1) ** (i + j)
        return result

    def _cofactor_slope(self, a: Any, *directions: Any) -> Any:
        size, count = len(a), len(directions)
        orders = signed_permutations(count + 1)
        result = np.full(a.shape, self.arb(0), object)
        if size > _MINORS:
            inverse = self._inverse(a)
            inner = [self._product(inverse, w) for w in directions]
            for sign, order in orders:
                *closed, (_, *around) = cycles(order)
                term = reduce(self._product, [inner[k] for k in around] + [inverse]).T
                for cycle in closed:
                    product = reduce(self._product, [inner[k] for k in cycle])
                    term = term * sum(product.diagonal()[1:], product[0, 0])
                result = result + sign * term
            return self._determinant(a)[()] * result
        # the minor without some rows and columns, times a determinant with a row of each direction
        for rows in combinations(range(size), count + 1):
            for columns in combinations(range(size), count + 1):
                minor = np.delete(np.delete(a, rows, 0), columns, 1)
                value = self._determinant(minor)[()] * (-1) ** (sum(rows) + sum(columns))
                for sign, down in orders:
                    for other, across in orders:
                        places = [(rows[i], columns[j]) for i, j in zip(down, across, strict=True)]
                        factors = [w[at] for w, at in zip(directions, places[:-1], strict=True)]
                        result[places[-1]] = result[places[-1]] + sign * other * reduce(mul, factors, value)
        return result


_WITH_ATTRIBUTE = frozenset(["spherical_ratio", "bessel_ratio"])
_HOLES = frozenset(["eye", "pad", "place", "diag", "one_hot"])  # where zeros come that are no balls
_NAMES = {  # of sympy's classes, where the operation has another name
    **{"Abs": "abs", "Mod": "mod", "Add": "add", "Mul": "mul", "Pow": "pow"},
    **{"Max": "shared_maximum", "Min": "shared_minimum"},
}


def _double_factorial(n: int) -> int:
    return reduce(lambda a, b: a * b, range(n, 0, -2), 1)
