"""The sections of a report about data and training: funnel, lengths, curves, losses, samples."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.compare.differences import written
from pipeline.execution.progress import number
from pipeline.inspection.documents import Document, Documents
from pipeline.inspection.pages import Block, section, table
from pipeline.inspection.training_log import Curve

Section = Mapping[str, Any]
_HISTOGRAM = "histogram_before_cut"
_MOST_CUT = 0.2  # of the training examples, before the page advises a longer sequence
_POINTS = 1000  # of a curve: no screen shows more


def data(found: Documents) -> list[Section]:
    """Return what Prepare read, kept and rejected, and how long the examples are."""
    if found.prepared is None:
        return []
    counts = found.prepared["counts"]
    funnel = [
        ("filings read", counts["filings_read"]),
        ("filings kept", counts["filings_kept"]),
        ("filings rejected", counts["filings_rejected"]),
        ("examples to train on", counts["examples_train"]),
        ("examples held out", counts["examples_eval"]),
        ("examples rejected", counts["examples_rejected"]),
        (
            "companies to train on, held out",
            f"{counts['companies_train']}, {counts['companies_eval']}",
        ),
    ]
    blocks = [table((), [(name, str(value)) for name, value in funnel], numbers=[1])]
    reasons = counts["rejected_by_reason"]
    if reasons:
        ordered = sorted(reasons.items(), key=lambda each: -each[1])
        rows = [(name.replace("_", " "), str(value)) for name, value in ordered]
        blocks.append(table(("rejected for", "number"), rows, numbers=[1]))
    styles = counts.get("headings_by_style") or {}
    if styles:
        rows = [(name.replace("_", " "), str(value)) for name, value in styles.items()]
        blocks.append(table(("headings set as", "number"), rows, numbers=[1]))
    return [section("Data", *blocks), *_lengths(found.report)]


def _lengths(report: Document | None) -> list[Section]:
    lengths = (report or {}).get("lengths", {})
    histograms = {split: each.get(_HISTOGRAM, {}) for split, each in lengths.items()}
    classes = list(dict.fromkeys(name for each in histograms.values() for name in each))
    if not classes:
        return []
    series = {
        split: [float(each.get(name, 0)) for name in classes] for split, each in histograms.items()
    }
    chart = {"kind": "bars", "classes": classes, "series": series}
    chart |= {"x": "tokens of an example, before any cut", "y": "examples"}
    return [section("Lengths", chart, *_cut(report or {}, lengths.get("train", {})))]


def _cut(report: Document, train: Mapping[str, Any]) -> list[Block]:
    cut = train.get("affected_documents", {}).get("prompt_cut", 0)
    examples = train.get("documents", 0)
    if not cut or not examples:
        return []
    length = report["parameters"]["sequence_length"]
    text = f"{cut} of {examples} training prompts were cut to fit SequenceLength={length}."
    if cut / examples > _MOST_CUT:
        longest = train.get("longest_before_cut", 0)
        fits = next((each for each in (512, 1024, 2048, 4096, 8192) if each >= longest), 8192)
        text += f" The longest example has {longest} tokens: SequenceLength={fits} fits it."
    return [{"kind": "text", "text": text, "bad": cut / examples > _MOST_CUT}]


def training(found: Documents, logged: Curve) -> list[Section]:
    """Return curves, metrics, losses by group, samples, precision and memory."""
    report = found.report or {}
    steps = report.get("curve") or list(logged.steps.values())
    evaluations = report.get("evaluations") or [
        each for step, each in sorted(logged.evaluations.items()) if step
    ]
    if not steps and not evaluations:
        return []
    losses = [
        {"label": "train loss", "points": _points(steps, "train_loss")},
        {
            **_evaluated(report, evaluations, logged),
            "dots": True,
            "ringed": report.get("metrics", {}).get("best_step"),
        },
    ]
    chart = {"kind": "lines", "series": losses, "x": "optimizer step", "y": "nats per target token"}
    rows = [(name.replace("_", " "), _value(value)) for name, value in _metrics(found).items()]
    blocks: list[Block] = [chart, table((), rows, numbers=[1])]
    if not report:
        blocks.append({"kind": "text", "text": "from the log: the job has no report"})
    return [section("Training", *blocks), *_groups(report), *_sample(report), *_machine(found)]


def _evaluated(
    report: Document, evaluations: Sequence[Mapping[str, float]], logged: Curve
) -> Mapping[str, Any]:
    """Return name and points of the line that the evaluations are.

    All its losses are of the same examples: a sample's line does not begin with a loss of all.
    """
    sampled = any("eval_sample_loss" in each for each in evaluations)
    key = "eval_sample_loss" if sampled else "eval_loss"
    before = report.get("metrics", {}).get(f"{key}_before")
    if before is None and not sampled:
        before = logged.evaluations.get(0, {}).get("eval_loss_before")
    first = [(0.0, before)] if before is not None else []
    label = "eval loss of the sample" if sampled else "eval loss"
    return {"label": label, "points": [*first, *_points(evaluations, key)]}


def _points(entries: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    every = [(float(entry["step"]), float(entry[key])) for entry in entries if key in entry]
    return every[:: max(1, -(-len(every) // _POINTS))]


def _metrics(found: Documents) -> Mapping[str, Any]:
    manifest = (found.trained or {}).get("metrics", {})
    return {**manifest, **(found.report or {}).get("metrics", {})}


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return written(value) if isinstance(value, int | float) else "–"


def _groups(report: Document) -> list[Section]:
    titles = {"by_year": "year of filing", "by_group": "industry"}
    blocks = []
    for key, title in titles.items():
        rows = [
            (
                each["name"],
                str(each["tokens"]),
                number(each["eval_loss_before"]),
                number(each["eval_loss"]),
            )
            for each in report.get(key, [])
        ]
        if rows:
            headings = (title, "tokens", "before", "after")
            blocks.append(table(headings, rows, numbers=[1, 2, 3]))
    return [section("Eval loss by year and industry", *blocks)] if blocks else []


def _sample(report: Document) -> list[Section]:
    sample = report.get("sample")
    if not sample:
        return []
    quotes = [
        {"title": title, "text": sample[key] or "(empty)"}
        for key, title in (("base", "base model"), ("tuned", "tuned model"))
    ]
    example = sample["example_id"]
    note = f"Greedy answers to held-out example {example}, which is governed and not quoted."
    return [
        section(
            "Base against tuned",
            {"kind": "text", "text": note},
            {"kind": "quotes", "quotes": quotes},
        )
    ]


def _machine(found: Documents) -> list[Section]:
    precision = (found.trained or {}).get("fp8", {})
    report = found.report or {}
    memory = [each["memory_gib"] for each in report.get("curve", []) if "memory_gib" in each]
    rows = [(f"precision: {name}", value) for name, value in precision.items() if name != "choice"]
    choice = precision.get("choice") or {"reason": "", "tried": []}
    rows += [("precision: why", choice["reason"])] if choice["reason"] else []
    rows += [
        (
            f"measured: {tried['mode']}",
            f"{tried['tokens_per_second']:,.0f} tokens/s"
            if "tokens_per_second" in tried
            else tried.get("fault", ""),
        )
        for tried in choice["tried"]
    ]
    rows += [("peak memory", f"{max(memory):.2f} GiB")] if memory else []
    rows += [
        (f"seconds to {k.replace('_', ' ')}", written(v))
        for k, v in report.get("seconds", {}).items()
    ]
    return [section("Precision, memory and time", table((), rows))] if rows else []
