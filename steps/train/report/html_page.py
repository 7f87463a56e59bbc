"""`report.html`: a fine-tune at a glance, in one file that loads nothing and runs nothing.

    text = render(found)

The page is a tree of elements, so that every text in it, the model's own words too, is escaped as it is written; and a
policy in its head forbids the browser to load or run anything, whatever stands in it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from steps.train.report import svg_charts
from steps.train.report.findings import Findings, Share
from steps.train.report.svg_charts import Line

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HISTOGRAM = "histogram_before_cut"
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]"
)  # no HTML text may hold these
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --faint: #8884; --c0: #0072b2; --c1: #d55e00; --c2: #009e73 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #161616; --c0: #56b4e9; --c1: #ff9d5c; --c2: #4cc9a0 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 52rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid var(--faint) }
table { border-collapse: collapse; margin: .6rem 0; max-width: 100% } th { text-align: left; font-weight: 600 }
td, th { padding: .15rem 1.2rem .15rem 0; vertical-align: top; border-bottom: 1px solid var(--faint); overflow-wrap: anywhere }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--faint); padding-left: .8rem; margin: .4rem 0 }
svg { width: 100%; height: auto; margin: .4rem 0 } svg text { font-size: 12px; fill: currentColor }
.grid { stroke: var(--faint) } .stroke { fill: none; stroke-width: 1.6 } .note { opacity: .75 }
.s0.stroke { stroke: var(--c0) } .s1.stroke { stroke: var(--c1) } .s2.stroke { stroke: var(--c2) }
.s0.fill { fill: var(--c0) } .s1.fill { fill: var(--c1) } .s2.fill { fill: var(--c2) }
"""


def render(found: Findings) -> str:
    """The whole page."""
    name = found.lineage.base_model.name
    page = Element("html", {"lang": "en"})
    head = SubElement(page, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width"})
    _add(head, "title", f"Fine-tune of {name}")
    SubElement(head, "style").text = _STYLE  # ours; the one text that is not escaped
    body = SubElement(page, "body")
    _add(body, "h1", f"LoRA fine-tune of {name}")
    _add(body, "p", f"{found.lineage.training_job} · {found.lineage.execution_arn}", kind="note")
    for part in (_results, _loss, _shares, _data, _sample, _making):
        part(body, found)
    return "<!DOCTYPE html>\n" + tostring(page, encoding="unicode", method="html") + "\n"


def _results(body: Element, found: Findings) -> None:
    metrics = found.metrics
    rows = [
        [
            "eval loss, nats per target token",
            _number(metrics.eval_loss_before),
            _number(metrics.eval_loss),
        ],
        [
            "eval perplexity",
            _number(metrics.eval_perplexity_before),
            _number(metrics.eval_perplexity),
        ],
    ]
    _table(
        body,
        [
            f"{metrics.eval_tokens} tokens of {metrics.eval_examples} held-out examples",
            "before",
            "after",
        ],
        rows,
    )


def _loss(body: Element, found: Findings) -> None:
    _add(body, "h2", "Training")
    train = Line("train loss", _points(found.curve, "train_loss"))
    measured = [(0.0, found.metrics.eval_loss_before), *_points(found.evaluations, "eval_loss")]
    held_out = Line("eval loss", measured, dots=True, ringed=found.metrics.best_step)
    body.append(svg_charts.lines([train, held_out], x="optimizer step", y="nats per target token"))
    body.append(
        svg_charts.lines(
            [Line("learning rate", _points(found.curve, "learning_rate"))],
            x="optimizer step",
            y="learning rate",
        )
    )
    metrics, mean = found.metrics, found.curve_steps_per_point
    told = [
        f"{metrics.steps} steps, {metrics.train_tokens} tokens, {metrics.tokens_per_second:.0f} tokens/s."
    ]
    told += [f"The adapter is that of step {metrics.best_step} (ringed)."]
    told += (
        ["Training ended early: the eval loss had stopped falling."]
        if metrics.stopped_early
        else []
    )
    told += (
        [f"Resumed at step {', '.join(map(str, metrics.resumed_from))}."]
        if metrics.resumed_from
        else []
    )
    told += [f"Each point is the mean of {mean} steps."] if mean > 1 else []
    _add(body, "p", " ".join(told), kind="note")


def _shares(body: Element, found: Findings) -> None:
    for title, shares in (
        ("Year of filing", found.by_year),
        ("Group of companies", found.by_group),
    ):
        if shares:
            _add(body, "h2", f"Eval loss by {title.lower()}")
            _table(
                body,
                [title, "tokens", "before", "after", "change"],
                [_share(share) for share in shares],
            )


def _share(share: Share) -> list[str]:
    change = None if share.eval_loss_before is None else share.eval_loss - share.eval_loss_before
    return [
        share.name,
        str(share.tokens),
        _number(share.eval_loss_before),
        _number(share.eval_loss),
        "–" if change is None else f"{change:+.4f}",
    ]


def _data(body: Element, found: Findings) -> None:
    data, counts = found.data, found.data.counts
    _add(body, "h2", "Data")
    facts = {
        "curated table": f"{data.curated.table}, version {data.curated.version}",
        "raw table": f"{data.raw.table}, version {data.raw.version}",
        "template": data.template,
        "filings": f"{counts.filings_read} read, {counts.filings_kept} kept, {counts.filings_rejected} rejected",
        "companies": f"{counts.companies_train} train, {counts.companies_eval} eval; none in both",
    }
    _facts(
        body,
        facts | {f"rejected: {reason}": str(n) for reason, n in counts.rejected_by_reason.items()},
    )
    histograms = {
        split: _counts(lengths.get(_HISTOGRAM)) for split, lengths in found.lengths.items()
    }
    classes = list(dict.fromkeys(name for histogram in histograms.values() for name in histogram))
    series = {
        split: [float(histogram.get(name, 0)) for name in classes]
        for split, histogram in histograms.items()
    }
    body.append(
        svg_charts.bars(classes, series, x="tokens of a document, before any cut", y="documents")
    )
    _table(body, ["documents and tokens", *found.lengths], _length_rows(found.lengths))


def _length_rows(lengths: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """One row for each number, those of a nested object too, one column for each split."""
    flat = [_flat(each) for each in lengths.values()]
    names = dict.fromkeys(name for each in flat for name in each)
    return [[name.replace("_", " "), *(str(each.get(name, 0)) for each in flat)] for name in names]


def _flat(lengths: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in lengths.items():
        if name != _HISTOGRAM:
            inner = value if isinstance(value, dict) else None
            found |= (
                {name: value}
                if inner is None
                else {f"{name}: {key}": each for key, each in inner.items()}
            )
    return found


def _counts(histogram: Any) -> dict[str, float]:
    return (
        {name: float(str(n)) for name, n in histogram.items()}
        if isinstance(histogram, dict)
        else {}
    )


def _sample(body: Element, found: Findings) -> None:
    _add(body, "h2", f"Answers to held-out example {found.sample.example_id}")
    _add(
        body,
        "p",
        "Greedy. The question is governed text and is not quoted; one example is a glance, not a measure.",
        kind="note",
    )
    for name, text in (("base", found.sample.base), ("tuned", found.sample.tuned)):
        _add(body, "h3", name)
        _add(body, "pre", text or "(nothing)")


def _making(body: Element, found: Findings) -> None:
    lineage, precision = found.lineage, found.precision
    _add(body, "h2", "How it was made")
    facts = {
        "precision": f"{precision.effective} (asked for {precision.requested}), {precision.dtype}, {precision.device}",
        "base model": f"{lineage.base_model.name} at {lineage.base_model.revision}",
        "base model's mirror": f"sha256 {lineage.base_model.mirror_sha256}",
        "base model's licence": lineage.base_model.licence or "not stated by its mirror",
        "Prepare's manifest": f"sha256 {lineage.prepare_manifest_sha256}",
        "tables": f"raw {found.data.raw.table_id}, curated {found.data.curated.table_id}",
        "principal": lineage.principal,
        "git commit": lineage.git_commit or "not stated",
    }
    if found.merged is not None:
        facts["merged model"] = (
            f"logits differ by {found.merged.difference:.2g} of their norm from the tuned model's (accepted: "
            f"{found.merged.tolerance}), by {found.merged.difference_from_base:.2g} from the base's"
        )
    _facts(body, facts)
    for title, values in (
        ("Parameters", found.parameters),
        ("Seconds", found.seconds),
        ("Versions", found.versions),
    ):
        _add(body, "h3", title)
        _facts(body, {name: str(value) for name, value in values.items()})


def _points(entries: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    return [(entry["step"], entry[key]) for entry in entries if key in entry]


def _facts(body: Element, facts: Mapping[str, str]) -> None:
    table = SubElement(body, "table")
    for name, value in facts.items():
        row = SubElement(table, "tr")
        _add(row, "th", name)
        _add(row, "td", value)


def _table(body: Element, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column is text, the others are numbers."""
    table = SubElement(body, "table")
    for tag, cells in (("th", names), *(("td", row) for row in rows)):
        row = SubElement(table, "tr")
        for at, text in enumerate(cells):
            _add(row, tag, text, kind="number" if at else "")


def _add(parent: Element, tag: str, text: str, *, kind: str = "") -> None:
    SubElement(parent, tag, {"class": kind} if kind else {}).text = _CONTROLS.sub("\ufffd", text)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
