"""A page as HTML: self-contained, without scripts, fonts or other resources.

    text = html(page)

Every text is escaped, and a policy in the page's head forbids the browser to load or run anything.
`page.html.jinja` is the page; `style.css.jinja` is the style, light and dark and for paper.
"""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement, tostring

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from steps.governance.errors import UsageError
from steps.governance.pages import charts, run_sections
from steps.governance.pages.document import (
    Bars,
    Block,
    Drawing,
    Lines,
    OfRun,
    Page,
    Section,
    TimeLine,
)

# HTML allows none of these characters, not even as references
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_DRAWN = {"svg", "g", "rect", "circle", "line", "polyline", "path", "text", "tspan", "title"}
_SVG = "{http://www.w3.org/2000/svg}"
_ROW, _NAME_WIDTH = 30, 90  # of the time line, in units of the drawing
_ROOM_FOR_TEXT = 110  # right of the last bar


def html(page: Page) -> str:
    """Return the whole page.

    Raises:
        UsageError: a drawing is not SVG, or has elements that are not drawn.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_without_controls,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = environment.get_template("page.html.jinja")
    return template.render(page=page, sections=whole(page), drawn=_drawn)


def whole(page: Page) -> list[Section]:
    """Return the page's sections, with those that are made of a run's documents."""
    return [
        section
        for each in page.sections
        for section in (run_sections.sections(each) if isinstance(each, OfRun) else [each])
    ]


def _drawn(block: Block) -> Markup:
    """Return a block's drawing as markup. ElementTree has escaped its text."""
    if isinstance(block, Lines):
        series = [
            charts.Line(each.label, each.points, dots=each.dots, ringed=each.ringed)
            for each in block.series
        ]
        drawn = [charts.lines(series, x=block.x, y=block.y, size=size) for size in charts.SIZES]
    elif isinstance(block, Bars):
        drawn = [
            charts.bars(block.classes, block.series, x=block.x, y=block.y, size=size)
            for size in charts.SIZES
        ]
    elif isinstance(block, TimeLine):
        drawn = [_time_line(block, size) for size in charts.SIZES]
    elif isinstance(block, Drawing):
        drawn = [_checked(block.svg)]
    else:
        raise TypeError(block.kind)
    text = "".join(tostring(svg, encoding="unicode", method="html") for svg in drawn)
    return Markup(text)  # noqa: S704


def _time_line(block: TimeLine, size: charts.Size) -> Element:
    whole = max((span.begin + span.seconds for span in block.spans), default=0.0) or 1.0
    height = _ROW * len(block.spans) + 6
    box = {"viewBox": f"0 0 {size.width} {height}", "role": "img", "class": f"time {size.name}"}
    svg = Element("svg", box)
    SubElement(svg, "title").text = "the steps on one axis of time"
    scale = (size.width - _NAME_WIDTH - _ROOM_FOR_TEXT) / whole
    for row, span in enumerate(block.spans):
        y = row * _ROW + 4
        x, width = _NAME_WIDTH + span.begin * scale, max(2.0, span.seconds * scale)
        group = SubElement(svg, "g", {"class": span.status.lower()})
        SubElement(group, "title").text = f"{span.name}: {span.status}, {span.text}"
        SubElement(group, "text", {"x": "0", "y": f"{y + 15}"}).text = span.name
        box = {"x": f"{x:.1f}", "y": f"{y}", "width": f"{width:.1f}", "height": "20", "rx": "4"}
        SubElement(group, "rect", box)
        label = {"x": f"{x + width + 6:.1f}", "y": f"{y + 15}", "class": "soft"}
        SubElement(group, "text", label).text = span.text
    return svg


def _checked(text: str) -> Element:
    """Return a drawing that has shapes and text only, without links, styles of others or events."""
    try:
        svg = ElementTree.fromstring(text)  # noqa: S314 - Python's expat bounds entity expansion
    except ElementTree.ParseError as error:
        raise UsageError("a drawing is not SVG", got=str(error)) from None
    for element in svg.iter():
        element.tag = element.tag.removeprefix(_SVG)
        events = [name for name in element.attrib if name.startswith("on") or "href" in name]
        if element.tag not in _DRAWN or events:
            raise UsageError("a drawing has more than shapes", got=f"{element.tag} {events}")
    return svg


def _without_controls(value: object) -> object:
    """Replace the characters that HTML forbids with U+FFFD; leave finished markup as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _CONTROLS.sub("\ufffd", value)
    return value
