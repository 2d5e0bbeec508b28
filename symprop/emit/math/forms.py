"""Native code of the forms that keep digits (`symprop.functions.forms`).

`exp_product` and `exp_sum` keep the rounding error of the exponent: at an exponent of 700 it is worth 350
units in the last place of the result. So do the functions whose name ends in `_near`, of which it is a second
operand. The polynomial: `tests/tools/fit_forms.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from symprop.emit.builder import Builder, Value
from symprop.emit.math.common import (
    INF,
    at_least,
    at_most,
    has_native,
    is_double,
    mul_add,
    number,
    polynomial,
    scaled,
)
from symprop.emit.math.doubledouble import (
    Pair,
    add_pairs,
    divide_pairs,
    fast_two_sum,
    multiply_pair,
    remainder,
    two_product,
    two_sum,
)
from symprop.emit.math.exponential import exp_pair, expm1, expm1_pair, near, power, small_rest
from symprop.emit.math.gauss import bell_of, erfc, normal_cdf
from symprop.emit.math.hyperbolic import cosh, sinh
from symprop.emit.math.logistic import sigmoid, sigmoid_prime, softplus, tanh, tanh_prime

__all__ = ["FORMS", "VARIADIC", "exp_gap", "exp_near", "exp_product", "exp_rest", "exp_sum"]
__all__ += ["root_of_squares", "tanh_gap"]

# (x - tanh(x))/x**3 = 1/3 + x**2 TANH_GAP(x**2), |x| <= 0.6
TANH_GAP = {
    "double": (
        -0.13333333333333328,
        0.053968253968245485,
        -0.021869488535608425,
        0.0088632355121954,
        -0.00359212769967614,
        0.0014558302926270296,
        -0.0005899941076041254,
        0.00023894270216832461,
        -9.619344015036443e-05,
        3.735728276972609e-05,
        -1.2497392107865937e-05,
        2.569623349838324e-06,
    ),
    "float": (
        -0.13333317637443542,
        0.05396205559372902,
        -0.02178986370563507,
        0.008409673348069191,
        -0.0023656708654016256,
    ),
}


def exp_of_pair(b: Builder, exponent: Pair) -> Value:
    """exp(high + low), below 1 ULP; the low part is left out where the result is 0 or infinite anyway."""
    x, low = exponent
    top, bottom = (710.0, -746.0) if is_double(x) else (89.0, -104.0)
    low = b.select(b.fcmp("olt", b.fabs(x), number(b, x, -bottom)), low, number(b, x, 0.0))
    x = at_least(b, at_most(b, x, top), bottom)
    return power(b, x, low)


def exp_product(b: Builder, extra: Value, x: Value, y: Value, *more: Value) -> Value:
    """exp((1 + extra) x y ...): the product as a pair; below 1 ULP. `extra` is what a constant among the
    factors lost when it was rounded."""
    if extra.name == number(b, x, 0.0).name:  # exp(-y^2/2) and exp(-y^2): shared with what is under them
        if x.name == number(b, x, -0.5).name and [v.name for v in more] == [y.name]:
            return bell_of(b, y, True)
        if b.signed.get(x.name) == y and not more:
            return bell_of(b, y, False)
    pair = two_product(b, x, y)
    plain = pair[0]
    for factor in more:
        pair, plain = multiply_pair(b, pair, factor), b.fmul(plain, factor)
    if more:  # an overflow on the way leaves NaN in the pair
        finite = b.fcmp("olt", b.fabs(plain), number(b, x, 1e30))
        pair = b.select(finite, pair[0], plain), b.select(finite, pair[1], number(b, x, 0.0))
    if extra.name != number(b, x, 0.0).name:
        pair = pair[0], mul_add(b, pair[0], extra, pair[1])
    return exp_of_pair(b, pair)


def exp_sum(b: Builder, x: Value, y: Value) -> Value:
    """exp(x + y): the sum as a pair; below 1 ULP."""
    return exp_of_pair(b, two_sum(b, x, y))


def exp_gap(b: Builder, x: Value, y: Value) -> Value:
    """exp(-|x - y|), the difference as a pair; 1 where both are equal, infinite too; below 1 ULP."""
    total, rest = two_sum(b, x, b.fneg(y))
    size, bottom = b.fabs(total), -746.0 if is_double(x) else -104.0
    zero = number(b, x, 0.0)
    # what |x - y| has beyond the rounded difference; nothing where the result is 0 anyway, or NaN
    more = b.select(b.fcmp("olt", size, number(b, x, -bottom)), rest_of_size(b, rest, total), zero)
    exponent = at_least(b, b.select(b.fcmp("une", x, y), b.fneg(size), zero), bottom)
    if not has_native(b):
        return power(b, exponent, b.fneg(more))
    high, low, r, square, series, n = near(b, exponent, more)
    # nothing but two operations and the power of two waits for the series
    part = mul_add(b, b.fmul(high, square), series, mul_add(b, high, r, low))
    return scaled(b, b.fadd(high, part), n)


def rest_of_size(b: Builder, rest: Value, x: Value) -> Value:
    """What |x| lost, of what x lost."""
    kind = x.type.integer
    sign = b.and_(b.bitcast(x, kind), b.const(-1 << (kind.bits - 1), kind))
    return b.bitcast(b.xor(b.bitcast(rest, kind), sign), x.type)


def exp_near(b: Builder, x: Value, rest: Value) -> Value:
    """exp(x + rest), rest what x lost when it was rounded; below 1 ULP."""
    return exp_of_pair(b, (x, small_rest(b, rest)))


def exp_rest(b: Builder, x: Value, rest: Value) -> Value:
    """What `exp_near` of the same operands lost, to a few digits; where the exponential overflows no small
    number."""
    value = exp_near(b, x, rest)
    top, bottom = (710.0, -746.0) if is_double(x) else (89.0, -104.0)
    (high, low), exponent = exp_pair(b, at_least(b, at_most(b, x, top), bottom), small_rest(b, rest))
    return b.fadd(b.fsub(scaled(b, high, exponent), value), scaled(b, low, exponent))


def tanh_gap(b: Builder, x: Value) -> Value:
    """x - tanh(x): a polynomial up to 0.6, beyond it tanh as a pair; below 1.5 ULP."""
    size = b.fabs(x)
    square = b.fmul(x, x)
    third = number(b, x, 1 / 3)
    series = mul_add(b, square, polynomial(b, square, TANH_GAP[x.type.element]), third)
    cube = multiply_pair(b, two_product(b, x, x), size)
    near = mul_add(b, cube[0], series, b.fmul(cube[1], series))
    t = expm1_pair(b, at_least(b, b.fmul(size, number(b, x, -2.0)), -45.0 if is_double(x) else -20.0))
    below = fast_two_sum(b, number(b, x, 2.0), t[0])
    h = divide_pairs(b, (b.fneg(t[0]), b.fneg(t[1])), (below[0], b.fadd(below[1], t[1])))
    total = b.fsub(size, h[0])
    # the error of the difference: tanh is the smaller one
    far = b.fadd(total, b.fsub(b.fsub(b.fsub(size, total), h[0]), h[1]))
    far = b.select(b.fcmp("olt", total, number(b, x, 1e30)), far, size)
    value = b.select(b.fcmp("olt", size, number(b, x, 0.6)), near, far)
    return b.copysign(b.select(b.fcmp("uno", x, x), x, value), x)


def root_of_squares(b: Builder, *items: Value) -> Value:
    """sqrt(x^2 + y^2 + ...): scaled by a power of two where a square would overflow or underflow; the
    squares are summed as pairs; below 1 ULP."""
    sizes = [b.fabs(x) for x in items]
    top = sizes[0]
    for size in sizes[1:]:
        top = b.select(b.fcmp("olt", top, size), size, top)
    far = 2.0**500 if is_double(top) else 2.0**60
    large = b.fcmp("ogt", top, number(b, top, far))
    small = b.fcmp("olt", top, number(b, top, 1 / far))
    # subnormal numbers too: the square of the smallest one, scaled, is a normal number
    one, steps = number(b, top, 1.0), 600 if is_double(top) else 110
    down, up = (number(b, top, 2.0**k) for k in (-600 if is_double(top) else -70, steps))
    scale = b.select(large, down, b.select(small, up, one))
    inverse = b.select(large, number(b, top, 2.0 ** (600 if is_double(top) else 70)), one)
    inverse = b.select(small, number(b, top, 2.0**-steps), inverse)
    total: Pair | None = None
    for size in sizes:
        scaled = b.fmul(size, scale)
        square = two_product(b, scaled, scaled)
        total = square if total is None else add_pairs(b, total, square)
    assert total is not None
    root = b.sqrt(total[0])
    # half of the rest of the sum over the root
    rest = b.fsub(total[1], remainder(b, root, root, total[0]))
    better = b.fadd(root, b.fdiv(b.fmul(rest, number(b, root, 0.5)), root))
    plain = b.fcmp("olt", b.fabs(better), number(b, top, INF))
    value = b.fmul(b.select(plain, better, root), inverse)
    # an infinite operand wins against NaN of the differences
    value = b.select(b.fcmp("oeq", top, number(b, top, INF)), top, value)
    for x in items:
        value = b.select(b.fcmp("uno", x, x), x, value)
    return value


FORMS: dict[str, Callable[..., Value]] = {
    "tanh_gap": tanh_gap,
    "exp_product": exp_product,
    "exp_sum": exp_sum,
    "exp_gap": exp_gap,
    "root_of_squares": root_of_squares,
    "exp_near": exp_near,
    "exp_rest": exp_rest,
    "expm1_near": expm1,
    "sinh_near": sinh,
    "cosh_near": cosh,
    "tanh_near": tanh,
    "tanh_prime_near": tanh_prime,
    "sigmoid_near": sigmoid,
    "sigmoid_prime_near": sigmoid_prime,
    "softplus_near": softplus,
    "normal_cdf_near": normal_cdf,
    "erfc_near": erfc,
}

# of any number of operands: calls of them do not go side by side
VARIADIC = frozenset({"exp_product", "root_of_squares"})
