"""`Drawing`: a picture that shows itself in a notebook and saves itself as SVG or PNG."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from symprop.declare.network import Graph
from symprop.errors import ArgumentError, MissingExtraError
from symprop.show.labels import Numbers
from symprop.show.scene import Scene, arrange
from symprop.show.style import THEMES, style_sheet
from symprop.show.svg import Picture, picture

__all__ = ["Drawing", "draw"]


class Drawing:
    """A drawn graph: `.svg` is the text, `.save(path)` writes a file; a notebook shows it.

    `theme` is "light", "dark", or "auto": the one that the reader's system prefers.

    >>> import symprop, sympy as sp
    >>> x = sp.Symbol("x")
    >>> drawing = symprop.compile(sp.exp(x)).draw(1.0)
    >>> drawing.svg.startswith("<svg"), drawing.width > 100
    (True, True)
    """

    def __init__(self, content: Picture, theme: str = "auto") -> None:
        self._content = content
        self._theme = _checked(theme)

    @property
    def svg(self) -> str:
        """The picture as SVG."""
        return self._written(self._theme)

    @property
    def width(self) -> float:
        """In pixels."""
        return self._content.width

    @property
    def height(self) -> float:
        """In pixels."""
        return self._content.height

    def with_theme(self, theme: str) -> Drawing:
        """The same drawing, "light", "dark" or "auto"."""
        return Drawing(self._content, theme)

    def save(self, path: Any, *, scale: float = 2.0) -> None:
        """Write the picture to a file: SVG, or PNG by the extra `png`, with `scale` pixels for one.

        In a PNG the theme "auto" is the light one. Raises `ArgumentError` for any other ending,
        `MissingExtraError` where the extra is not installed.
        """
        place = Path(path)
        ending = place.suffix.lower()
        if ending == ".svg":
            place.write_text(self.svg, encoding="utf-8")
        elif ending == ".png":
            place.write_bytes(self._png(scale))
        else:
            raise ArgumentError(f"a drawing is saved as .svg or .png, found {str(path)!r}")

    def _png(self, scale: float) -> bytes:
        try:
            resvg: Any = importlib.import_module("resvg_py")
        except ImportError as error:
            raise MissingExtraError(
                "a drawing as .png needs resvg-py, which is not installed: pip install 'symprop[png]'; .svg "
                "needs nothing"
            ) from error
        theme = "dark" if self._theme == "dark" else "light"
        text = self._written(theme)
        return bytes(resvg.svg_to_bytes(svg_string=text, width=max(round(self.width * scale), 1)))

    def _written(self, theme: str) -> str:
        content = self._content
        width, height = f"{content.width:.0f}", f"{content.height:.0f}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="symprop-{theme}" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{content.description}" '
            'font-family="DejaVu Sans, Verdana, Helvetica, Arial, sans-serif">\n'
            f"<style>{style_sheet(theme)}</style>\n"
            f'<rect class="paper" width="{width}" height="{height}"/>\n'
            f'<g transform="translate(14,14)">\n{content.body}\n</g>\n</svg>\n'
        )

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Drawing: {self._content.description}>"


def draw(
    scene: Scene | Graph, numbers: Numbers | None = None, theme: str = "auto", legend: bool = True
) -> Drawing:
    """The drawing of a scene with its numbers; of a `Graph`, its structure without numbers.

    >>> import sympy as sp
    >>> x, y, z, q, f = sp.symbols("x y z q f")
    >>> draw(Graph([(q, x + y), (f, q * z)]), theme="dark")
    <Drawing: computational graph of 2 boxes with forward values and gradients>
    """
    _checked(theme)
    if isinstance(scene, Graph):
        scene = arrange(scene, scene.table, scene.nodes, None)
    return Drawing(picture(scene, numbers, legend), theme)


def _checked(theme: str) -> str:
    if theme not in THEMES:
        raise ArgumentError(f"theme={theme!r} is unknown; expected {', '.join(map(repr, THEMES))}")
    return theme
