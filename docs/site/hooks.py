"""What the site adds to plain Markdown: formulas as MathML, and nothing that is fetched from elsewhere."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_SHIM = "https://unpkg.com/iframe-worker/shim"  # of the plugin `offline`
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', flags=re.S)


# a named operator of several letters, and one that was taken apart, as `log\\_softmax` is
_OPERATOR = re.compile(r"<mo>([A-Za-z]\w+)</mo>")
_LETTERS = re.compile(r"(?:<mo ?/>)<mrow>((?:<mi>[^<]*</mi>|<mn>[^<]*</mn>)+)</mrow>")


# a named function, what stands before it, and what it is applied to without parentheses
_NAMED = re.compile(
    r"(</(?:mi|mn|msup|msub)>|&#x00029;</mo>)?(<mi>[A-Za-z_]{3,}</mi>)(?=(<(?:mi|mn|msub|msup)>)?)"
)
_THIN = '<mspace width="0.17em"/>'


def _spaced(found: re.Match[str]) -> str:
    before, name, after = found.groups()
    return (before + _THIN if before else "") + name + (_THIN if after else "")


def _word(found: re.Match[str]) -> str:
    return f"<mi>{re.sub('<[^>]*>', '', found[1])}</mi>"


def on_page_content(content: str, **page: Any) -> str:
    """Formulas as MathML, which browsers show without a script."""

    def formula(found: re.Match[str]) -> str:
        tag, kind, text = found.groups()
        shown = convert(html.unescape(text).strip(), display="block" if kind == "[" else "inline")
        shown = _LETTERS.sub(_word, _OPERATOR.sub(r"<mi>\1</mi>", shown))
        shown = _NAMED.sub(_spaced, shown)
        shown = shown.replace('fence="true"', 'fence="true" lspace="0" rspace="0"')
        return f'<{tag} class="arithmatex">{shown}</{tag}>'

    return _FORMULA.sub(formula, content)


def on_post_page(output: str, page: Any, **site: Any) -> str:
    """The search of pages on a disk works with a script of the site."""
    return output.replace(_SHIM, "../" * page.url.count("/") + "site/worker.js")


def on_post_template(output: str, **site: Any) -> str:
    """The same for the page of an address that is not there."""
    return output.replace(_SHIM, "site/worker.js")
