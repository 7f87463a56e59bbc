"""The lineage graph as one SVG element, built with ElementTree, which escapes every text.

    svg = draw(answer)      # Markup for the page

Colours are CSS variables of the page, so the same drawing is right in light and in dark.
"""

from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from steps.trace.answer import Answer
from steps.trace.history import split
from steps.trace.page.layout import GAP_X, HEIGHT, TOP, WIDTH, Box, Graph, Line, placed
from steps.trace.text import plain

_TITLES = {
    "table": "table version", "prepare": "Prepare job", "train": "Train job",
    "base": "base model", "model": "model version", "alias": "alias",
}  # fmt: skip
_NAME_CHARACTERS = 24  # that fit a box at 13 px
_LABEL_CHARACTERS = 17  # that fit between two columns at 11 px
_MOST_LABELS = 14  # lines with labels in one drawing; more would cover each other


def draw(answer: Answer) -> Markup:
    """Return the drawing of an answer."""
    graph = placed(answer)
    svg = Element(
        "svg",
        {
            "viewBox": f"0 0 {graph.width:g} {graph.height:g}",
            "style": f"--drawn: {graph.width:g}px; --least: {graph.width * 0.62:.0f}px",
            "role": "img",
            "aria-label": "lineage graph, from source tables on the left to aliases on the right",
        },
    )
    labelled = len(graph.lines) <= _MOST_LABELS
    for line in graph.lines:
        _line(svg, line)
    for box in graph.boxes.values():
        _box(svg, box, answer)
    for line in graph.lines if labelled else ():
        _label(svg, line, _label_y(line, graph))
    _column_titles(svg, graph)
    # ElementTree has escaped the text of the drawing
    return Markup(tostring(svg, encoding="unicode", method="html"))  # noqa: S704


def _column_titles(svg: Element, graph: Graph) -> None:
    kinds: dict[int, dict[str, None]] = {}
    for box in graph.boxes.values():
        kinds.setdefault(box.column, {})[_TITLES[box.kind]] = None
    for column, names in kinds.items():
        x = min(box.x for box in graph.boxes.values() if box.column == column)
        attributes = {"x": f"{x + WIDTH / 2:g}", "y": f"{TOP - 20}", "class": "column"}
        SubElement(svg, "text", attributes).text = " · ".join(names)


def _line(svg: Element, line: Line) -> None:
    x1, y1 = line.source.x + WIDTH, line.source.y + HEIGHT / 2
    x2, y2 = line.target.x - 7, line.target.y + HEIGHT / 2
    bend = max(40.0, (x2 - x1) / 2)
    curve = f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    group = SubElement(svg, "g", {"class": "edge"})
    SubElement(group, "title").text = plain(_described(line))
    SubElement(group, "path", {"class": "line", "d": curve})
    head = f"M{x2:g} {y2 - 4:g}L{x2 + 7:g} {y2:g}L{x2:g} {y2 + 4:g}Z"
    SubElement(group, "path", {"class": "head", "d": head})


def _described(line: Line) -> str:
    edge = line.edge
    if line.count > 1:
        return f"{line.count} edges"
    parts = [edge.verb, f"by {edge.principal}" if edge.principal else "", edge.at]
    return "\n".join([" ".join(part for part in parts if part), *edge.grants])


def _label_y(line: Line, graph: Graph) -> float:
    """Return the height of a label: that of the end of the line which has no other line."""
    into = sum(each.target == line.target for each in graph.lines)
    box = line.source if into > 1 else line.target
    return box.y + HEIGHT / 2


def _label(svg: Element, line: Line, y: float) -> None:
    """Write who moved the data and with which privileges, at the line."""
    edge = line.edge
    x = line.target.x - GAP_X / 2
    privileges = dict.fromkeys(grant.split(" on ")[0] for grant in edge.grants)
    texts = [edge.verb if line.count == 1 else f"{line.count} edges"]
    if line.count == 1 and edge.principal:
        texts.append(_end(edge.principal, _LABEL_CHARACTERS))
    if line.count == 1 and privileges:
        names = sorted(privileges, key=lambda name: name != "SELECT")
        more = f" +{len(names) - 1}" if len(names) > 1 else ""
        texts.append(_start(names[0], _LABEL_CHARACTERS - len(more)) + more)
    for row, text in enumerate(texts):
        attributes = {"x": f"{x:g}", "y": f"{y - 6 + 13 * (row - (row == 0)):g}", "class": "label"}
        if row:
            attributes["y"] = f"{y + 1 + 13 * row:g}"
        SubElement(svg, "text", attributes).text = plain(text)


def _box(svg: Element, box: Box, answer: Answer) -> None:
    start = " start" if box.node in answer.starts else ""
    group = SubElement(svg, "g", {"class": f"node {box.kind}{start}"})
    shape = {"x": f"{box.x:g}", "y": f"{box.y:g}", "width": f"{WIDTH}", "height": f"{HEIGHT}"}
    round_ = "27" if box.kind == "alias" else "4" if box.kind in ("table", "base") else "10"
    SubElement(group, "rect", shape | {"rx": round_})
    if box.hidden:
        first, second, title = f"and {box.hidden} more", _TITLES[box.kind] + "s", ""
    else:
        first, second = _texts(box.node)
        details = answer.details.get(box.node, {})
        title = "\n".join(f"{name}: {value}" for name, value in details.items())
    SubElement(group, "title").text = plain(title or first)
    at = {"x": f"{box.x + WIDTH / 2:g}"}
    name = SubElement(group, "text", at | {"y": f"{box.y + 23:g}", "class": "name"})
    name.text = plain(first)
    under = SubElement(group, "text", at | {"y": f"{box.y + 41:g}", "class": "under"})
    under.text = plain(second)


def _texts(node: str) -> tuple[str, str]:
    """Return the two lines of a box."""
    kind, name, version = split(node)
    if kind in ("prepare", "train"):
        return _TITLES[kind], _end(name, _NAME_CHARACTERS + 2)
    schema, _, last = name.rpartition(".")
    if kind == "base":
        return _end(name.rpartition("/")[2], _NAME_CHARACTERS), f"revision {version[:12]}"
    if kind == "alias":
        return f"@{version}", _end(name, _NAME_CHARACTERS + 2)
    number = f"version {version}"
    return _end(last, _NAME_CHARACTERS), f"{_end(schema, 14)} · {number}" if schema else number


def _end(text: str, most: int) -> str:
    return text if len(text) <= most else "…" + text[1 - most :]


def _start(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
