"""`report.html`: the report of a fine-tune as one page without scripts or external resources.

    text = render(found)

`report.html.jinja` is the page. Every value is escaped (`templates`), and a policy in the page's
head forbids the browser to load or run anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, tostring

from markupsafe import Markup

from steps.governance.pages import charts as svg_charts
from steps.governance.pages.charts import Line, Point
from steps.train.report import templates
from steps.train.report.findings import Findings

_HISTOGRAM = "histogram_before_cut"


def render(found: Findings) -> str:
    """Return the whole page."""
    drawn = {"loss": _losses, "rate": _learning_rate, "lengths": _lengths}
    return (
        templates.environment()
        .get_template("report.html.jinja")
        .render(
            found=found,
            # ElementTree has escaped the text of the charts
            charts={
                name: Markup("").join(_markup(draw(found, size)) for size in svg_charts.SIZES)
                for name, draw in drawn.items()
            },
            length_rows=_length_rows(found.lengths),
        )
    )


def _markup(svg: Element) -> Markup:
    return Markup(tostring(svg, encoding="unicode", method="html"))  # noqa: S704


def _losses(found: Findings, size: svg_charts.Size) -> Element:
    metrics, name, key = found.metrics, "eval loss", "eval_loss"
    before = metrics.eval_loss_before
    if metrics.eval_sample_loss_before is not None:  # One line has losses of the same examples
        name, key = "eval loss of the sample", "eval_sample_loss"
        before = metrics.eval_sample_loss_before
    evaluations = [(0.0, before), *_points(found.evaluations, key)]
    return svg_charts.lines(
        [
            Line("train loss", _points(found.curve, "train_loss")),
            Line(name, evaluations, dots=True, ringed=metrics.best_step),
        ],
        x="optimizer step",
        y="nats per target token",
        over=_steps(found),
        size=size,
    )


def _learning_rate(found: Findings, size: svg_charts.Size) -> Element:
    line = Line("learning rate", _points(found.curve, "learning_rate"))
    return svg_charts.lines(
        [line], x="optimizer step", y="learning rate", over=_steps(found), size=size
    )


def _steps(found: Findings) -> tuple[float, float]:
    """Return the range of steps of both charts. The evaluation before training is step 0."""
    return 0.0, float(max(found.metrics.steps, 1))


def _points(entries: Sequence[Mapping[str, float]], key: str) -> list[Point]:
    return [(entry["step"], entry[key]) for entry in entries if key in entry]


def _lengths(found: Findings, size: svg_charts.Size) -> Element:
    """Return a bar chart of document lengths, one series for each split."""
    histograms = {split: lengths.get(_HISTOGRAM, {}) for split, lengths in found.lengths.items()}
    classes = list(dict.fromkeys(name for histogram in histograms.values() for name in histogram))
    series = {
        split: [float(histogram.get(name, 0)) for name in classes]
        for split, histogram in histograms.items()
    }
    x = "tokens of a document, before any cut"
    return svg_charts.bars(classes, series, x=x, y="documents", size=size)


def _length_rows(lengths: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return one row for each number of the splits: its name, then its value in each split."""
    flat = [_flat(each) for each in lengths.values()]
    names = dict.fromkeys(name for each in flat for name in each)
    return [[name.replace("_", " "), *(str(each.get(name, 0)) for each in flat)] for name in names]


def _flat(lengths: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers without the histogram; a nested number is named `outer: inner`."""
    flat: dict[str, Any] = {}
    for name, value in lengths.items():
        if isinstance(value, dict) and name != _HISTOGRAM:
            flat |= {f"{name}: {key}": each for key, each in value.items()}
        elif name != _HISTOGRAM:
            flat[name] = value
    return flat
