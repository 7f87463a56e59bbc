"""Draw the architecture, and a lineage graph, as SVG files that need nothing else.

    text = architecture()
    text = lineage(drawing)        # of `steps.trace.page.drawing`

A file has its own style, light and dark, and its own background, so it is readable on any page.
"""

import re
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, fromstring, indent, tostring

from scripts.pictures.structure import (
    ARROWS,
    BOXES,
    FRAMES,
    HEIGHT,
    LEGEND,
    WIDTH,
    Arrow,
    Box,
)
from steps.governance.pages import render

_NAMESPACE = "http://www.w3.org/2000/svg"
_PAGES = Path(render.__file__).parent / "style.css.jinja"
_OWN = """
text { font-family: system-ui, sans-serif; fill: var(--ink); font-size: 11.5px; }
.back { fill: var(--paper); }
.frame rect { fill: none; stroke: var(--line); stroke-dasharray: 5 4; }
.frame text { fill: var(--soft); letter-spacing: .04em; }
.box rect { fill: var(--card); stroke: var(--k); stroke-width: 1.6; }
.box text { text-anchor: middle; fill: var(--soft); }
.box .name { fill: var(--ink); font-size: 13px; font-weight: 600; }
.arrow path { fill: none; stroke: var(--k); stroke-width: 1.7; }
.arrow .head { fill: var(--k); stroke: none; }
.arrow text { fill: var(--soft); font-size: 11px; }
.step { --k: var(--running); } .store { --k: var(--good); } .key { --k: var(--alias); }
.person { --k: var(--base); } .read { --k: var(--running); } .write { --k: var(--good); }
.sign { --k: var(--alias); } .control { --k: var(--line); }
"""


def architecture() -> str:
    """Return the picture of the architecture."""
    label = "four steps, the tables and buckets that they read and write, the keys, the people"
    svg = _started(WIDTH, HEIGHT, label, style=_OWN)
    for frame in FRAMES:
        x, y, width, height = frame.at
        group = _rectangle(svg, "frame", (x, y, width, height))
        SubElement(group, "text", {"x": f"{x + 10}", "y": f"{y + 18}"}).text = frame.name
    for arrow in ARROWS:
        _arrow(svg, arrow)
    for box in BOXES:
        _box(svg, box)
    for row, (kind, text) in enumerate(LEGEND):
        y = 440 + 26 * row
        _arrow(svg, Arrow(((1052, y), (1088, y)), kind, text, (1096, y + 4)))
    return _whole(svg)


def lineage(drawing: str) -> str:
    """Return a lineage page's drawing as a file."""
    drawn = fromstring(drawing)  # noqa: S314 - our own
    _, _, width, height = map(float, drawn.attrib["viewBox"].split())
    style = "".join(line for line in _rules() if ".graph" in line or "--c:" in line)
    style += ".back { fill: var(--card); }\ntext { font-family: system-ui, sans-serif; }\n"
    style += "text { fill: var(--ink); font-size: 12px; }\n"
    svg = _started(width, height, drawn.attrib["aria-label"], style=style)
    SubElement(svg, "g", {"class": "graph"}).extend(drawn)
    return _whole(svg)


def _started(width: float, height: float, label: str, *, style: str) -> Element:
    box = f"0 0 {width:g} {height:g}"
    svg = Element("svg", {"xmlns": _NAMESPACE, "viewBox": box, "width": f"{width:g}"})
    svg.attrib |= {"height": f"{height:g}", "role": "img", "aria-label": label}
    colours = "\n".join(re.findall(r"^:root \{.*?^\}|^@media \(prefers.*?^\}", _css(), re.M | re.S))
    SubElement(svg, "style").text = f"\n{colours}\n{style.strip()}\n"
    _rectangle(svg, "back", (0, 0, width, height), rx=12)
    return svg


def _css() -> str:
    return _PAGES.read_text(encoding="utf-8")


def _rules() -> list[str]:
    """Return the rules of the pages' style for drawings, each as one line."""
    flat = re.sub(r"\{\n(.*?)\n\}", lambda found: f"{{{' '.join(found[1].split())}}}", _css())
    return [f"{line}\n" for line in flat.splitlines()]


def _rectangle(
    into: Element, kind: str, at: tuple[float, float, float, float], *, rx: int = 8
) -> Element:
    group = SubElement(into, "g" if kind != "back" else "rect", {"class": kind})
    shape = dict(zip(("x", "y", "width", "height"), (f"{each:g}" for each in at), strict=True))
    if kind == "back":
        group.attrib |= shape | {"rx": f"{rx}"}
    else:
        SubElement(group, "rect", shape | {"rx": f"{rx}"})
    return group


def _box(svg: Element, box: Box) -> None:
    x, y, width, height = box.at
    group = _rectangle(svg, f"box {box.kind}", box.at, rx=18 if box.kind == "person" else 8)
    whole = 15 * len(box.lines) + 16
    top = y + (height - whole) / 2 + 13
    middle = {"x": f"{x + width / 2:g}"}
    SubElement(group, "text", middle | {"y": f"{top:g}", "class": "name"}).text = box.name
    for row, text in enumerate(box.lines, 1):
        SubElement(group, "text", middle | {"y": f"{top + 15 * row:g}"}).text = text


def _arrow(svg: Element, arrow: Arrow) -> None:
    group = SubElement(svg, "g", {"class": f"arrow {arrow.kind}"})
    (x0, y0), (x, y) = arrow.points[-2:]
    dx, dy = _sign(x - x0), _sign(y - y0)
    line = [*arrow.points[:-1], (x - 6 * dx, y - 6 * dy)]
    path = "M" + "L".join(f"{px} {py}" for px, py in line)
    SubElement(group, "path", {"d": path})
    wing = [(x - 8 * dx + 4 * dy * side, y - 8 * dy + 4 * dx * side) for side in (1, -1)]
    head = "M" + "L".join(f"{px} {py}" for px, py in [wing[0], (x, y), wing[1]]) + "Z"
    SubElement(group, "path", {"class": "head", "d": head})
    if arrow.label:
        at = {"x": f"{arrow.label_at[0]}", "y": f"{arrow.label_at[1]}"}
        SubElement(group, "text", at | {"text-anchor": arrow.anchor}).text = arrow.label


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


def _whole(svg: Element) -> str:
    indent(svg, " ")
    return tostring(svg, encoding="unicode") + "\n"
