"""Charts as inline SVG: lines over steps and bars over classes, without scripts, fonts or files.

    losses = [Line("train loss", points), Line("eval loss", others, dots=True)]
    svg = lines(losses, x="optimizer step", y="nats per token")
    svg = lines(losses, x="optimizer step", y="nats per token", size=NARROW)

A page has each chart in both sizes, and its style shows the one that fits: text that is scaled
down with a drawing cannot be read on a telephone.

The functions return trees of elements, so labels are escaped when a tree is serialized. Colours
come from the page's style (classes `s0`, `s1`, …) and follow the reader's light or dark theme.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

_LEFT, _RIGHT, _BOTTOM = 56, 12, 40  # margins for labels, in units of the drawing
_TICKS = 5  # on an axis, approximately
_BAR_GAP = 0.25  # of a class's width
_LETTER = 7  # units of a letter, approximately, in the page's font

Point = tuple[float, float]


@dataclass(frozen=True)
class Size:
    """The units of a drawing, which the page scales; `name` is its class in the page's style.

    `top` is the margin above, and `legend` where the legend's text is in it.
    """

    name: str
    width: int
    height: int
    top: int
    legend: int


WIDE = Size("wide", 720, 260, top=26, legend=13)
NARROW = Size("narrow", 360, 260, top=44, legend=30)  # the legend is below the name of the axis
SIZES = (WIDE, NARROW)


@dataclass(frozen=True)
class Line:
    """One series. `dots` marks each point; `ringed` is the x of a point to mark with a ring."""

    label: str
    points: Sequence[Point]
    dots: bool = False
    ringed: float | None = None


@dataclass(frozen=True)
class _Frame:
    """The range of values that the drawing shows."""

    low: Point
    high: Point
    size: Size

    def place(self, point: Point) -> Point:
        """Return where a point is drawn; y grows downward."""
        spans = [(high - low) or 1.0 for low, high in zip(self.low, self.high, strict=True)]
        x, y = (
            (value - low) / span for value, low, span in zip(point, self.low, spans, strict=True)
        )
        width, height = self.size.width - _LEFT - _RIGHT, self.size.height - _BOTTOM
        return _LEFT + x * width, height - y * (height - self.size.top)

    @property
    def below(self) -> float:
        """Where the text under the axis is."""
        return self.size.height - _BOTTOM + 14


def lines(
    series: Sequence[Line],
    *,
    x: str,
    y: str,
    over: tuple[float, float] | None = None,
    size: Size = WIDE,
) -> Element:
    """Return a line chart. Points with NaN or infinite values are left out.

    `over` is the range of x; left out, it is that of the points. Charts of the same run take the
    same one, so that a reader can compare them.
    """
    kept = [[point for point in line.points if all(map(math.isfinite, point))] for line in series]
    every = [point for points in kept for point in points] or [(0.0, 0.0)]
    y_ticks = ticks(min(p[1] for p in every), max(p[1] for p in every))
    first, last = over or (min(p[0] for p in every), max(p[0] for p in every))
    frame = _Frame((first, y_ticks[0]), (last, y_ticks[-1]), size)
    svg = _canvas(", ".join(line.label for line in series), x, y, size)
    _draw_y_axis(svg, frame, y_ticks)
    for tick in ticks(frame.low[0], frame.high[0]):
        if frame.low[0] <= tick <= frame.high[0]:
            _text(svg, (frame.place((tick, 0))[0], frame.below), written(tick), "middle")
    for at, (line, points) in enumerate(zip(series, kept, strict=True)):
        _draw_line(svg, frame, line, points=points, style=f"s{at}")
    _draw_legend(svg, [line.label for line in series], size)
    return svg


def bars(
    classes: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    x: str,
    y: str,
    size: Size = WIDE,
) -> Element:
    """Return a bar chart: one group of bars for each class, one bar for each series."""
    y_ticks = ticks(
        0.0, max((value for values in series.values() for value in values), default=0.0)
    )
    frame = _Frame((0.0, 0.0), (float(len(classes)), y_ticks[-1]), size)
    svg = _canvas(", ".join(series), x, y, size)
    _draw_y_axis(svg, frame, y_ticks)
    _draw_bars(svg, frame, classes, series)
    for index in named(classes, size):
        _text(svg, (frame.place((index + 0.5, 0))[0], frame.below), classes[index], "middle")
    _draw_legend(svg, list(series), size)
    return svg


def named(classes: Sequence[str], size: Size) -> range:
    """Return the classes whose names have room under the axis: each, each second, each third …"""
    room = (size.width - _LEFT - _RIGHT) / max(1, len(classes))
    longest = max(map(len, classes), default=0) * _LETTER + _LETTER
    return range(0, len(classes), max(1, math.ceil(longest / room)))


def _draw_bars(
    svg: Element, frame: _Frame, classes: Sequence[str], series: Mapping[str, Sequence[float]]
) -> None:
    width = (1 - _BAR_GAP) / max(1, len(series))
    for at, (label, values) in enumerate(series.items()):
        for index, value in enumerate(values):
            left, top = frame.place((index + _BAR_GAP / 2 + at * width, value))
            right, bottom = frame.place((index + _BAR_GAP / 2 + (at + 1) * width, 0))
            place = {
                "x": _at(left),
                "y": _at(top),
                "width": _at(right - left),
                "height": _at(bottom - top),
            }
            bar = SubElement(svg, "rect", place | {"class": f"s{at} fill"})
            SubElement(bar, "title").text = f"{label}, {classes[index]}: {written(value)}"


def ticks(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten that cover `low` to `high`."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= _TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(at * step, 12) for at in range(first, max(last, first + 1) + 1)]


def written(value: float) -> str:
    """Format a number briefly: 2.5, 12000, 2e-05."""
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e7 else f"{value:.4g}"


def _canvas(title: str, x: str, y: str, size: Size) -> Element:
    svg = Element(
        "svg",
        {
            "viewBox": f"0 0 {size.width} {size.height}",
            "class": size.name,
            "role": "img",
            "xmlns": "http://www.w3.org/2000/svg",
        },
    )
    SubElement(svg, "title").text = title
    _text(svg, ((_LEFT + size.width - _RIGHT) / 2, size.height - 8), x, "middle")
    _text(svg, (4, 12), y, "start")
    return svg


def _draw_y_axis(svg: Element, frame: _Frame, values: Sequence[float]) -> None:
    for value in values:
        _, y = frame.place((frame.low[0], value))
        SubElement(
            svg,
            "line",
            {
                "x1": str(_LEFT),
                "x2": str(frame.size.width - _RIGHT),
                "y1": _at(y),
                "y2": _at(y),
                "class": "grid",
            },
        )
        _text(svg, (_LEFT - 6, y + 4), written(value), "end")


def _draw_line(
    svg: Element, frame: _Frame, line: Line, *, points: Sequence[Point], style: str
) -> None:
    placed = [frame.place(point) for point in points]
    path = " ".join(f"{_at(x)},{_at(y)}" for x, y in placed)
    SubElement(svg, "polyline", {"points": path, "class": f"{style} stroke"})
    for (x, y), point in zip(placed, points, strict=True):
        if line.dots or len(points) == 1:
            dot = SubElement(
                svg, "circle", {"cx": _at(x), "cy": _at(y), "r": "3", "class": f"{style} fill"}
            )
            SubElement(dot, "title").text = f"{line.label} at {written(point[0])}: {point[1]:.6g}"
        if point[0] == line.ringed:
            SubElement(
                svg, "circle", {"cx": _at(x), "cy": _at(y), "r": "7", "class": f"{style} stroke"}
            )


def _draw_legend(svg: Element, labels: Sequence[str], size: Size) -> None:
    """Draw which colour is which series. A single series needs no legend: the axis names it."""
    if len(labels) < 2:
        return
    x: float = size.width - _RIGHT - sum(24 + _LETTER * len(label) for label in labels)
    for at, label in enumerate(labels):
        place = {"x": _at(x), "y": _at(size.legend - 9), "width": "10", "height": "10"}
        SubElement(svg, "rect", place | {"class": f"s{at} fill"})
        _text(svg, (x + 14, size.legend), label, "start")
        x += 24 + _LETTER * len(label)


def _text(svg: Element, place: Point, text: str, anchor: str) -> None:
    SubElement(
        svg, "text", {"x": _at(place[0]), "y": _at(place[1]), "text-anchor": anchor}
    ).text = text


def _at(place: float) -> str:
    return f"{place:.1f}"
