"""The commands that measure accuracy: what they count as an error, their hard points, the parts of a page."""

import math

import adversarial
import float32_sweep
import mpmath
import numpy as np
import pages
import pytest
import ulp_sweep


def test_errors_of_arrays_are_those_of_single_values():
    exact = np.array([1.5, 1e-42, 3e38, -0.1, 1e-50, 2.0**127, 7.25e-39])
    got = np.nextafter(exact.astype(np.float32), np.float32(0))
    found = float32_sweep.errors(got, exact)
    for error, value, right in zip(found, got, exact, strict=True):
        assert error == pytest.approx(ulp_sweep.ulp_error(float(value), mpmath.mpf(right), "float"))


def test_infinities_and_nan_count():
    inf, nan = math.inf, math.nan
    got = np.array([inf, inf, nan, 1.0, -inf, nan], np.float32)
    found = float32_sweep.errors(got, np.array([1e39, 1.0, nan, nan, inf, 2.0]))
    np.testing.assert_array_equal(found, [0, inf, 0, inf, inf, inf])


@pytest.mark.parametrize("name", float32_sweep.REFERENCES)
def test_references_of_float32_are_right(name):
    assert float32_sweep.reference_error(name) < 1e-4


def test_points_next_to_multiples_of_half_pi_are_found():
    points = adversarial.points("sin", "double")
    assert 6381956970095103.0 * 2.0**797 in points  # the double nearest to a multiple of pi/2
    with mpmath.workdps(450):
        nearest = min(abs(mpmath.sin(mpmath.mpf(float(x)))) for x in points if 1e239 < x < 1e256)
    assert nearest < 2.0**-55


def test_a_sweep_finds_a_wrong_function():
    target = ulp_sweep.make_target("host")
    library = ulp_sweep.Library(target, "float", target.lanes("float"), ["sin"])
    count, error, _ = float32_sweep.measure(library, "sin", 1 << 16)
    assert count == 1 << 16 and error < 0.8

    class Off:
        def __call__(self, name, x):
            return np.where(np.abs(x) == 1.0, np.float32(0.8414712), library(name, x))

    assert float32_sweep.measure(Off(), "sin", 1 << 16)[1] > 1.5e7  # sin(-1) with the wrong sign


def test_parts_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n<!-- begin a -->\nold\n<!-- end a -->\nby hand\n<!-- begin b -->\n<!-- end b -->\n"
    )
    pages.replace_part(page, "a", "new | \\1")
    assert pages.part(page, "a") == "new | \\1\n"
    head = "| name | value |\n|---|---:|"
    pages.update_rows(page, "b", head, {"y": ["2"]}, ["x", "y"])
    pages.update_rows(page, "b", head, {"x": ["1"]}, ["x", "y"])
    pages.update_rows(page, "b", head, {"y": ["3"]}, ["x", "y"])
    assert pages.part(page, "b") == head + "\n| x | 1 |\n| y | 3 |\n"
    assert page.read_text().startswith("# Title\n\n<!-- begin a -->") and "by hand" in page.read_text()
    with pytest.raises(ValueError, match="has no part c"):
        pages.replace_part(page, "c", "")
