"""The pages of the lecture: every block prints what stands below it, every picture is what it draws."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from show.pictures import faults  # noqa: E402

from tests.tools import make_lecture  # noqa: E402
from tests.tools.make_lecture import PICTURES, alike, blocks, examples, pages, run  # noqa: E402

PAGES = pages()
CHAPTERS = PAGES[1:-1]
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
ids = {"ids": lambda p: p.stem}


@pytest.mark.parametrize("page", PAGES[1:], **ids)
def test_a_page_prints_and_draws_what_it_shows(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    printed, pictures = run(text)
    for (code, shown), output in zip(examples(text), printed, strict=True):
        assert output == (shown or ""), f"{code}\nrun python -m tests.tools.make_lecture"
    assert set(pictures) == {Path(path).name for _, path in IMAGE.findall(text)}
    for name, svg in pictures.items():
        kept = (PICTURES / name).read_text(encoding="utf-8")
        assert alike(svg, kept), f"{name} is drawn otherwise; run python -m tests.tools.make_lecture"


def test_every_picture_belongs_to_a_page() -> None:
    named = [path for page in PAGES for _, path in IMAGE.findall(page.read_text(encoding="utf-8"))]
    assert len(named) == len(set(named))
    assert {f"pictures/{p.name}" for p in PICTURES.iterdir()} == set(named)


@pytest.mark.parametrize("picture", sorted(PICTURES.glob("*.svg")), **ids)
def test_pictures_are_sound_and_small(picture: Path) -> None:
    svg = picture.read_text(encoding="utf-8")
    root = ET.fromstring(svg)
    assert "prefers-color-scheme: dark" in svg
    assert 200 < float(root.get("width", 0)) <= 1450 and len(svg) < 150_000
    if "symprop-auto" in svg:
        assert faults(svg) == []
    else:
        assert not re.search(r"<dc:date>|<!DOCTYPE", svg)


@pytest.mark.parametrize("page", PAGES, **ids)
def test_blocks_are_of_kinds_that_are_tested(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    listed = blocks(text)
    assert {language for language, _ in listed} <= {"python", "text", "sh"}
    assert len(re.findall("^```", text, flags=re.M)) == 2 * len(listed)
    assert sum(language == "text" for language, _ in listed) == sum(
        shown is not None for _, shown in examples(text)
    )
    for language, code in listed:
        assert max(map(len, code.splitlines()), default=0) <= 110, code
        if language == "sh":
            for name in re.findall(r"(?:examples|docs)/[\w./-]+", code):
                assert (ROOT / name).exists(), name
            for name in re.findall(r"-m (tests[\w.]+)", code):
                assert (ROOT / (name.replace(".", "/") + ".py")).exists(), name


@pytest.mark.parametrize("page", PAGES, **ids)
def test_links_and_formulas(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    assert prose.count("$$") % 2 == 0
    inline = re.sub(r"\$\$.*?\$\$", "", prose, flags=re.S)
    for paragraph in inline.split("\n\n"):
        assert paragraph.count("$") % 2 == 0, paragraph
    for formula in re.findall(r"\$([^$]+)\$", inline):
        assert formula.strip() == formula, f"no space next to the dollar: {formula!r}"
    for formula in re.findall(r"\$+([^$]+)\$+", prose):
        assert formula.count("{") == formula.count("}") and not re.search(r"\\[{},;!]\s*$", formula)


def test_the_index_names_every_page_in_order() -> None:
    listed = re.findall(r"\]\((\d\d-[\w-]+\.md)\)", PAGES[0].read_text(encoding="utf-8"))
    assert listed == [p.name for p in CHAPTERS] and len(listed) == 15


@pytest.mark.parametrize("k", range(len(CHAPTERS)), ids=lambda k: CHAPTERS[k].stem)
def test_a_page_leads_on_and_ends_with_what_stays(k: int) -> None:
    text = CHAPTERS[k].read_text(encoding="utf-8")
    title = re.match(rf"# {k + 1}\. (.+)\n", text)
    assert title and f"[{title[1]}]({CHAPTERS[k].name})" in PAGES[0].read_text(encoding="utf-8")
    for other, word in ((k - 1, "before"), (k + 1, "next")):
        if 0 <= other < len(CHAPTERS):
            assert re.search(rf"{word}: \[[^\]]+\]\({CHAPTERS[other].name}\)", text)
    assert "## What stays" in text and "**Try it.**" in text.split("## What stays")[1]


def test_every_question_has_an_answer() -> None:
    heads = re.findall(r"^## (?:(\d+)\. and )?(\d+)\. ", PAGES[-1].read_text(encoding="utf-8"), flags=re.M)
    assert sorted(int(n) for pair in heads for n in pair if n) == list(range(1, len(CHAPTERS) + 1))


def test_outputs_are_written_where_they_belong() -> None:
    page = "```python\nprint(1)\n```\n\n```text\nold\n```\n\n```python\nx = 2\n```\n"
    printed, pictures = run(page)
    assert printed == ["1\n", ""] and pictures == {}
    assert make_lecture.with_outputs(page, printed) == page.replace("old", "1")
    with pytest.raises(ValueError, match="not there once"):
        make_lecture.with_outputs(page + page, printed * 2)


def test_pictures_are_compared_by_their_numbers() -> None:
    one = '<svg><path d="M 1 2 L 30.01 4"/><text>a</text></svg>'
    assert alike(one, one.replace("30.01", "30.02"))
    assert not alike(one, one.replace("30.01", "31.01"))
    assert not alike(one, one.replace(">a<", ">b<"))
    old, new = (f"<!-- matplotlib {v} -->\n{one}" for v in ("3.7.0", "3.11.2"))
    assert alike(old, new.replace("30.01", "99"))
    assert not alike(old, new.replace(">a<", ">b<"))
