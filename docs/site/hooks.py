"""What the site adds to plain Markdown: formulas as MathML, links to files of the project."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', flags=re.S)


def on_page_content(content: str, **page: Any) -> str:
    """Formulas as MathML, which browsers show without a script."""

    def formula(found: re.Match[str]) -> str:
        tag, kind, text = found.groups()
        shown = convert(html.unescape(text).strip(), display="block" if kind == "[" else "inline")
        return f'<{tag} class="arithmatex">{shown}</{tag}>'

    return _FORMULA.sub(formula, content)
