"""Equations for a page: an `align` block of LaTeX, a table of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from symprop.graph import Shape

__all__ = ["align_block", "html_table", "inline_block", "text_table"]

Line = tuple[str, str]


def align_block(lines: Sequence[Line]) -> str:
    r"""The equations as an `align*` environment, one on a line, aligned at the equals signs.

    >>> print(align_block([("q", "x + y"), ("f", "q z")]))
    \begin{align*}
        q &= x + y \\
        f &= q z
    \end{align*}
    """
    body = " \\\\\n".join(f"    {left} &= {right}" for left, right in lines)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"


def inline_block(rows: Iterable[str]) -> str:
    """Rows with an `&` where they are aligned, as one formula between dollar signs."""
    body = r" \\ ".join(rows)
    return rf"$\displaystyle \begin{{aligned}} {body} \end{{aligned}}$"


def html_table(rows: Sequence[tuple[str, Shape | None]]) -> str:
    """Formulas in math mode with the shapes beside them; a notebook typesets what is between dollar signs."""
    lines = []
    for formula, shape in rows:
        size = "" if shape is None else " × ".join(map(str, shape)) or "scalar"
        lines.append(
            f'<tr><td style="text-align:left">${escape(formula)}$</td>'
            f'<td style="text-align:left">{escape(size)}</td></tr>'
        )
    return f"<table><tbody>{''.join(lines)}</tbody></table>"


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts with a head, aligned at the left."""

    def line(cells: Sequence[str], tag: str) -> str:
        inner = "".join(f'<{tag} style="text-align:left">{escape(c)}</{tag}>' for c in cells)
        return f"<tr>{inner}</tr>"

    body = "".join(line(cells, "td") for cells in rows)
    return f"<table><thead>{line(columns, 'th')}</thead><tbody>{body}</tbody></table>"
