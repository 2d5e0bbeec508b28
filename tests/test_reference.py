"""The reference: every public name stands in it, and all but errors have an example."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import symprop
from symprop import nn, optim, show

PAGES = Path(__file__).parents[1] / "docs" / "reference"
LISTED = {name for page in PAGES.glob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.M)}
INNER = {
    "arrange",
    "Numbers",
    "Scene",
    "Transformation",
    "Equations",
    "starts",
    "updates",
}  # between packages


def public(module):
    for name in module.__all__:
        member = getattr(module, name)
        if inspect.isclass(member) or inspect.isfunction(member):
            yield name, member


@pytest.mark.parametrize("module", [symprop, nn, optim, show], ids=lambda m: m.__name__)
def test_every_public_name_is_documented_with_an_example(module):
    for name, member in public(module):
        if name in INNER:
            continue
        assert {module.__name__, f"{module.__name__}.{name}"} & LISTED, name
        text = inspect.getdoc(member) or ""
        assert text, name
        if not (inspect.isclass(member) and issubclass(member, Exception)):
            assert ">>>" in text, name


def test_methods_of_a_function_have_examples():
    for name, member in inspect.getmembers(symprop.Function, inspect.isfunction):
        if not name.startswith("_"):
            assert ">>>" in (inspect.getdoc(member) or ""), name
