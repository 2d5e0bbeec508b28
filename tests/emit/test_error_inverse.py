"""erfi and the inverses of erf and erfc: errors against mpmath, special values, printing."""

import math
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import adversarial
import ulp_sweep as sweep

import symprop
from symprop.functions.error_inverse import exact_erfcinv, exact_erfi, exact_erfinv

NAMES = ("erfi", "erfinv", "erfcinv")
ELEMENTS = ("double", "float")
X86 = sweep.make_target("host").triple.startswith("x86_64")
TARGETS = ("host", "avx2", "sse2") if X86 and sweep.make_target("host").fma else ("host",)
EXACT = {"erfi": exact_erfi, "erfinv": exact_erfinv, "erfcinv": exact_erfcinv}
x = sp.Symbol("x")


def library(target, element):
    machine = sweep.make_target(target)
    return sweep.Library(machine, element, machine.lanes(element), NAMES)


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("name", NAMES)
def test_accuracy_where_pieces_meet_and_at_the_ends(name, element):
    points = adversarial.points(name, element)
    points = points[[sweep.valid(name, float(p)) for p in points]][::11]
    exact = [sweep.reference(name, float(p)) for p in points]
    for target in TARGETS:
        got = library(target, element)(name, points)
        errors = [sweep.ulp_error(g, e, element) for g, e in zip(got, exact, strict=True)]
        assert max(errors) <= 2, (target, points[int(np.argmax(errors))])


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("target", TARGETS)
def test_special_values(target, element):
    kind = sweep.NUMPY_TYPE[element]
    inf, nan = math.inf, math.nan
    code = library(target, element)
    least = np.finfo(kind).smallest_subnormal
    for name, pairs in {
        "erfi": [(0, 0), (inf, inf), (nan, nan), (least, least), (1e300, inf), (30, inf), (53, inf)],
        "erfinv": [(0, 0), (1, inf), (1.5, nan), (inf, nan), (nan, nan), (least, least)],
    }.items():
        points, values = (np.array(v, np.float64) for v in zip(*pairs, strict=True))
        with np.errstate(over="ignore"):
            points, values = points.astype(kind), values.astype(kind)
        for sign in (1, -1):
            got = code(name, sign * points)
            np.testing.assert_array_equal(got, sign * values)
            known = ~np.isnan(values)
            np.testing.assert_array_equal(np.signbit(got[known]), np.signbit(sign * values[known]))
    points = np.array([0.0, -0.0, 1, 2, -least, np.nextafter(kind(2), kind(3)), inf, -inf, nan], kind)
    got = code("erfcinv", points)
    np.testing.assert_array_equal(got, [inf, inf, 0, -inf, nan, nan, nan, nan, nan])
    assert not np.signbit(got[2])
    most = mp.mpf(float(np.finfo(kind).max))
    end = kind(float(mp.findroot(lambda v: mp.log(mp.erfi(v)) - mp.log(most), 26.7 if most > 1e39 else 9.4)))
    near = np.array([end * (1 + k * np.finfo(kind).eps) for k in range(-4, 5)], kind)
    exact = [sweep.reference("erfi", float(v)) for v in near]
    assert min(exact) < most < max(exact)
    got = code("erfi", near)
    assert max(sweep.ulp_error(g, e, element) for g, e in zip(got, exact, strict=True)) <= 2
    assert np.isfinite(got[0]) and np.isinf(got[-1])


@pytest.mark.parametrize("name", NAMES)
def test_exact_values(name):
    with mp.workdps(30):
        points = [mp.mpf(p) for p in ("1e-330", "1e-9", "0.3", "0.5", "0.51", "0.9", "0.99999999999999999")]
        points += [2 - p for p in points[1:]] if name == "erfcinv" else [-p for p in points]
        points += [mp.mpf(5000), mp.mpf("-4097.5")] if name == "erfi" else []
        for p in points:
            value = EXACT[name](p)
            with mp.workdps(400):
                right = sweep.MP[name](+p)
                assert abs(value - right) <= abs(right) * mp.mpf(10) ** -29, p
    assert mp.isnan(EXACT[name](mp.nan))


@pytest.mark.parametrize("name", NAMES)
def test_printed_derivatives(name):
    function = getattr(sp, name)
    assert symprop.grad(function(x), x) == function(x).diff(x)
    assert sp.latex(function(x)) == rf"\operatorname{{{name}}}{{\left(x \right)}}"
    entries = sp.MatrixSymbol("A", 2, 3)
    graph = symprop.Graph([(sp.Symbol("L"), sp.Trace(entries.applyfunc(function) * entries.T))])
    value, (by_entries,) = symprop.compile(graph, [entries], wrt=[entries]).value_and_grad(
        np.array([[0.1, 0.5, 0.9], [0.25, 0.75, 0.99]])
    )
    with mp.workdps(30):
        at = [mp.mpf(float(v)) for v in (0.1, 0.5, 0.9, 0.25, 0.75, 0.99)]
        exact = sweep.MP[name]
        assert value == pytest.approx(float(sum(v * exact(v) for v in at)), rel=1e-14)
        slopes = [float(exact(v) + v * mp.diff(exact, v)) for v in at]
    np.testing.assert_allclose(np.ravel(by_entries), slopes, rtol=1e-13)


@pytest.mark.parametrize("name", ["erfinv", "erfcinv"])
def test_slopes_keep_their_digits_in_the_tails(name):
    small = np.geomspace(1e-305, 0.45, 60)
    ends = np.concatenate([np.linspace(0.4, 0.9, 30), 1 - np.geomspace(2.0**-53, 0.1, 30)])
    points = np.concatenate([ends, -ends] if name == "erfinv" else [small, 1 - ends, 1 + ends])
    points = points[points < 2]
    function, table = getattr(sp, name), sweep.MP[name]
    first = symprop.compile(function(x), [x], batch=[x], wrt=[x])
    second = symprop.compile(symprop.grad(function(x), x), [x], batch=[x], wrt=[x])
    _, (slopes,) = first.value_and_grad(points)
    _, (curvatures,) = second.value_and_grad(points)
    for p, slope, curvature in zip(points, slopes, curvatures, strict=True):
        with mp.workdps(60):
            y = table(mp.mpf(float(p)))
            right = mp.sqrt(mp.pi) / 2 * mp.exp(y * y) * (1 if name == "erfinv" else -1)
            assert sweep.ulp_error(slope, right, "double") <= 4, p
            if abs(right) < 1e150:
                assert sweep.ulp_error(curvature, 2 * y * right * right, "double") <= 10, p
    edges = np.array([-1.0, 1.0] if name == "erfinv" else [0.0, -0.0, 2.0])
    with np.errstate(all="ignore"):
        _, (slopes,) = first.value_and_grad(edges)
    np.testing.assert_array_equal(slopes, (1 if name == "erfinv" else -1) * np.full(len(edges), math.inf))


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (sp.erfinv(sp.Rational(1, 3)), 0.30457019417398563),
        (sp.erfcinv(sp.Rational(1, 10**300)), 26.209469960516124),
        (sp.erfinv(2), math.nan),
        (sp.erfcinv(-1), math.nan),
    ],
)
def test_inverses_of_numbers(number, value):
    """sympy has no digits of some of them, and an error for others."""
    found = symprop.compile(x * number, [x])(1.0)
    np.testing.assert_allclose(found, value, rtol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_verified(name):
    report = symprop.verify(getattr(sp, name)(x) * x, {x: 0.3})
    assert report.passed and any(name in str(row) for row in report.rows if row.method == "rule")
