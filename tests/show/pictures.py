"""Reading a drawing back: its texts with their boxes, as the SVG places them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from symprop.show.text import SMALL, text_width

SPACE = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    """The root element; raises where the text is no well-formed XML."""
    root = ElementTree.fromstring(svg)
    assert root.tag == SPACE + "svg"
    return root


def texts(svg: str, style: str = "") -> list[str]:
    """What the text elements say, of one class or of all."""
    found = parsed(svg).iter(SPACE + "text")
    return ["".join(e.itertext()) for e in found if style in ("", e.get("class"))]


def numbers(svg: str, style: str) -> list[float]:
    """The numbers in the texts of a class, the last one of each: of `q = 3.00` the 3, of a sum the total."""
    result = []
    for text in texts(svg, style):
        words = re.findall(r"−?\d+\.\d+(?:e−?\d+)?", text)
        if words:
            result.append(float(words[-1].replace("−", "-")))
    return result


def text_boxes(svg: str) -> Iterator[tuple[float, float, float, float, str]]:
    """(left, top, right, bottom, text) of every text, in the coordinates of the drawing's group."""
    for element in parsed(svg).iter(SPACE + "text"):
        text, size = "".join(element.itertext()), float(element.get("font-size"))
        width = text_width(text, size)
        for small in element.findall(SPACE + "tspan[@font-size]"):
            width -= (1 - SMALL) * text_width(small.text, size)
        x, y = float(element.get("x")), float(element.get("y"))
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[element.get("text-anchor")]
        yield left, y - 0.75 * size, left + width, y + 0.22 * size, text


def frames(svg: str) -> Iterator[tuple[float, float, float, float, str]]:
    """The same of the boxes and heat maps."""
    for element in parsed(svg).iter():
        if element.get("class", "").split(" ")[0] not in ("frame", "map"):
            continue
        if element.tag == SPACE + "circle":
            x, y, r = (float(element.get(k)) for k in ("cx", "cy", "r"))
            yield x - r, y - r, x + r, y + r, "circle"
        else:
            x, y, w, h = (float(element.get(k)) for k in ("x", "y", "width", "height"))
            yield x, y, x + w, y + h, "rect"


def overlaps(boxes: list[tuple[float, float, float, float, str]]) -> list[tuple[str, str]]:
    """Pairs of boxes that share more than half a pixel in both directions."""
    found = []
    boxes = sorted(boxes)
    for k, a in enumerate(boxes):
        for b in boxes[k + 1 :]:
            if b[0] > a[2] - 0.5:
                break
            if min(a[2], b[2]) - b[0] > 0.5 and min(a[3], b[3]) - max(a[1], b[1]) > 0.5:
                found.append((a[4], b[4]))
    return found


def wires(svg: str) -> Iterator[list[tuple[float, float]]]:
    """Points of every wire, two pixels apart or less, from its source to its target."""
    for element in parsed(svg).iter(SPACE + "path"):
        if element.get("class", "").split(" ")[0] != "wire":
            continue
        points: list[tuple[float, float]] = []
        for command, rest in re.findall(r"([MHC])([^MHC]*)", element.get("d")):
            numbers = [float(v) for v in rest.split()]
            if command == "M":
                points.append((numbers[0], numbers[1]))
                continue
            (x, y), end = points[-1], (numbers[0], points[-1][1])
            turns = ((x, y), (x, y), end, end)
            if command == "C":
                turns = ((x, y), *((numbers[k], numbers[k + 1]) for k in (0, 2, 4)))
            steps = 1 + int((abs(turns[3][0] - x) + abs(turns[3][1] - y)) / 2)
            for k in range(1, steps + 1):
                t = k / steps
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
                if command == "H":
                    weights = (1 - t, 0.0, 0.0, t)
                points.append(
                    tuple(sum(w * p[i] for w, p in zip(weights, turns, strict=True)) for i in (0, 1))
                )
        yield points


def struck(svg: str) -> list[str]:
    """Texts, heat maps and boxes that a wire goes through; a wire ends at the edge of its boxes."""
    solid = [(x0, y0 + 2, x1, y1 - 1, f"the text {text}") for x0, y0, x1, y1, text in text_boxes(svg)]
    solid += [(x0 + 1, y0 + 1, x1 - 1, y1 - 1, f"a {kind}") for x0, y0, x1, y1, kind in frames(svg)]
    rows: dict[int, list[tuple[float, float, float, float, str]]] = {}
    for box in solid:
        for row in range(int(box[1] // 32), int(box[3] // 32) + 1):
            rows.setdefault(row, []).append(box)
    found = set()
    for points in wires(svg):
        for x, y in points:
            for x0, y0, x1, y1, what in rows.get(int(y // 32), ()):
                if x0 < x < x1 and y0 < y < y1:
                    found.add(f"a wire through {what}")
    return sorted(found)


def faults(svg: str) -> list[str]:
    """Overlapping texts, texts on the frame of another box or under a wire, texts outside of the picture."""
    words, shapes = list(text_boxes(svg)), list(frames(svg))
    result = [f"{a} on {b}" for a, b in overlaps(words)]
    result += [f"{a} beside {b}" for a, b in overlaps(shapes)]
    result += struck(svg)
    for left, top, right, bottom, text in words:
        for x0, y0, x1, y1, kind in shapes:
            inside = left >= x0 - 1 and right <= x1 + 1 and top >= y0 - 1 and bottom <= y1 + 1
            apart = right <= x0 + 0.5 or left >= x1 - 0.5 or bottom <= y0 + 0.5 or top >= y1 - 0.5
            if not inside and not apart:
                result.append(f"{text} on the edge of a {kind}")
    root = parsed(svg)
    width, height = float(root.get("width")) - 14, float(root.get("height")) - 14
    for left, top, right, bottom, text in words:
        if left < -14 or top < -14 or right > width or bottom > height:
            result.append(f"{text} is cut")
    return result
