"""The colours of drawings, light and dark, as a style sheet inside the SVG."""

from __future__ import annotations

__all__ = ["THEMES", "style_sheet"]

THEMES = ("auto", "light", "dark")

_LIGHT = {
    "paper": "#ffffff",
    "ink": "#0f172a",
    "wire": "#64748b",
    "off": "#cbd5e1",
    "muted": "#475569",
    "frame": "#475569",
    "fill": "#f1f5f9",
    "value": "#166534",
    "gradient": "#b91c1c",
    "add": "#1d4ed8",
    "add_fill": "#dbeafe",
    "multiply": "#92400e",
    "multiply_fill": "#fef3c7",
    "max": "#6d28d9",
    "max_fill": "#ede9fe",
    "plus": "#c2410c",
    "minus": "#1d4ed8",
}
_DARK = {
    "paper": "#0f172a",
    "ink": "#f1f5f9",
    "wire": "#94a3b8",
    "off": "#475569",
    "muted": "#cbd5e1",
    "frame": "#94a3b8",
    "fill": "#1e293b",
    "value": "#4ade80",
    "gradient": "#fca5a5",
    "add": "#93c5fd",
    "add_fill": "#1e3a5f",
    "multiply": "#fcd34d",
    "multiply_fill": "#4a3410",
    "max": "#c4b5fd",
    "max_fill": "#372569",
    "plus": "#fb923c",
    "minus": "#60a5fa",
}


def style_sheet(theme: str) -> str:
    """The rules of a theme; they are bound to its class, so that several drawings in one page keep theirs."""
    root = f".symprop-{theme}"
    if theme != "auto":
        return _rules(root, _DARK if theme == "dark" else _LIGHT)
    return f"{_rules(root, _LIGHT)}\n@media (prefers-color-scheme: dark) {{\n{_rules(root, _DARK)}\n}}"


def _rules(root: str, c: dict[str, str]) -> str:
    rules = [
        (".paper", f"fill:{c['paper']}"),
        (".wire", f"fill:none;stroke:{c['wire']};stroke-width:1.4"),
        (".tip", f"fill:{c['wire']}"),
        (".dot", f"fill:{c['wire']}"),
        (".wire.off", f"stroke:{c['off']};stroke-dasharray:4 3"),
        (".tip.off", f"fill:{c['off']}"),
        (".frame", f"fill:{c['fill']};stroke:{c['frame']};stroke-width:1.4"),
        (".many", "stroke-dasharray:5 3"),
        (".name,.sign,.number", f"fill:{c['ink']}"),
        (".caption,.shape", f"fill:{c['muted']}"),
        (".value", f"fill:{c['value']}"),
        (".gradient", f"fill:{c['gradient']}"),
        (".plus", f"fill:{c['plus']}"),
        (".minus", f"fill:{c['minus']}"),
        (".map", f"fill:none;stroke:{c['wire']};stroke-width:1"),
    ]
    for family in ("add", "multiply", "max"):
        rules += [
            (f".{family} .frame", f"fill:{c[family + '_fill']};stroke:{c[family]}"),
            (f".{family} .sign,.{family} .caption", f"fill:{c[family]}"),
        ]
    lines = []
    for selectors, declarations in rules:
        bound = ",".join(f"{root} {selector}" for selector in selectors.split(","))
        lines.append(f"{bound}{{{declarations}}}")
    return "\n".join(lines)
