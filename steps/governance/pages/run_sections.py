"""The sections of a run's page: data, lengths, curves, losses, samples, precision, lineage.

    sections = run_sections.sections(OfRun(prepared=…, trained=…, report=…, …))

They are made of the run's documents: both manifests, the record, and Train's report. A document
that is absent has no section; a run that is still training, or failed, has the points of its log.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from steps.governance.pages import run_numbers
from steps.governance.pages.document import (
    Bars,
    Block,
    Drawing,
    Lines,
    OfRun,
    Quote,
    Quotes,
    Section,
    Series,
    Table,
    Text,
)

Document = Mapping[str, Any]
_HISTOGRAM = "histogram_before_cut"
_MOST_CUT = 0.2  # of the training examples, before the page advises a longer sequence
_LENGTHS = (512, 1024, 2048, 4096, 8192)  # SequenceLength, tokens
# The form of Train's report that these sections read; the report names it (steps/train/report)
REPORT_SCHEMA = "governed-finetune/training-report/1"
_POINTS = 1000  # of a curve: no screen shows more


def sections(found: OfRun) -> list[Section]:
    """Return every section that the documents have something for."""
    report = found.report or {}
    training = [*_training(found), *_groups(report), *_sample(report), *_machine(found)]
    measured = training if found.report or found.logged or found.evaluated else []
    return [*_data(found), *_lengths(report), *measured, *_lineage(found)]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], **more: Any) -> Table:
    """Return a table of texts."""
    return Table(kind="table", headings=list(headings), rows=[list(row) for row in rows], **more)


def _data(found: OfRun) -> list[Section]:
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
    blocks: list[Block] = [table((), [(name, str(value)) for name, value in funnel], numbers=[1])]
    reasons = sorted(counts["rejected_by_reason"].items(), key=lambda each: -each[1])
    rows = [(name.replace("_", " "), str(value)) for name, value in reasons]
    if rows:
        blocks.append(table(("rejected for", "number"), rows, numbers=[1]))
    return [Section(title="Data", blocks=[*blocks, *_styles(counts), *_families(counts)])]


def _styles(counts: Document) -> list[Block]:
    """Return kept and rejected examples by how their headings are set."""
    kept, rejected = (counts.get(f"{name}_by_style") or {} for name in ("headings", "rejected"))
    rows = [
        (style.replace("_", " "), *(str(side.get(style, 0)) for side in (kept, rejected)))
        for style in dict.fromkeys((*kept, *rejected))
    ]
    if rows and not rejected:  # a manifest of an earlier build lacks them
        return [table(("headings set as", "kept"), [row[:2] for row in rows], numbers=[1])]
    head = ("headings set as", "kept", "rejected")
    return [table(head, rows, numbers=[1, 2])] if rows else []


def _families(counts: Document) -> list[Block]:
    """Return how many families of risk factors have so many examples."""
    sizes = (counts.get("families_by_size") or {}).items()
    rows = [(size, str(number)) for size, number in sorted(sizes, key=lambda each: _size(each[0]))]
    return [table(("examples of a family", "families"), rows, numbers=[1])] if rows else []


def _size(words: str) -> int:
    return int(words.split()[0])


def _lengths(report: Document) -> list[Section]:
    lengths = report.get("lengths", {})
    histograms = {split: each.get(_HISTOGRAM, {}) for split, each in lengths.items()}
    classes = list(dict.fromkeys(name for each in histograms.values() for name in each))
    if not classes:
        return []
    series = {
        split: [float(each.get(name, 0)) for name in classes] for split, each in histograms.items()
    }
    x = "tokens of an example, before any cut"
    chart = Bars(kind="bars", classes=classes, series=series, x=x, y="examples")
    return [Section(title="Lengths", blocks=[chart, *_cut(report, lengths.get("train", {}))])]


def _cut(report: Document, train: Document) -> list[Text]:
    cut = train.get("affected_documents", {}).get("prompt_cut", 0)
    examples = train.get("documents", 0)
    if not cut or not examples:
        return []
    length = report["parameters"]["sequence_length"]
    text = f"{cut} of {examples} training prompts were cut to fit SequenceLength={length}."
    if cut / examples > _MOST_CUT:
        longest = train.get("longest_before_cut", 0)
        fits = next((each for each in _LENGTHS if each >= longest), _LENGTHS[-1])
        text += f" The longest example has {longest} tokens: SequenceLength={fits} fits it."
    return [Text(kind="text", text=text, bad=cut / examples > _MOST_CUT)]


def _training(found: OfRun) -> list[Section]:
    report = found.report or {}
    steps = report.get("curve") or found.logged
    evaluations = report.get("evaluations") or [each for each in found.evaluated if each["step"]]
    if not steps and not evaluations:
        return []
    label, points = _evaluated(report, evaluations, found.evaluated)
    best = report.get("metrics", {}).get("best_step")
    chart = Lines(
        kind="lines",
        series=[
            Series(label="train loss", points=_points(steps, "train_loss")),
            Series(label=label, points=points, dots=True, ringed=best),
        ],
        x="optimizer step",
        y="nats per target token",
    )
    metrics = {**(found.trained or {}).get("metrics", {}), **report.get("metrics", {})}
    rows = [(name.replace("_", " "), run_numbers.value(each)) for name, each in metrics.items()]
    blocks: list[Block] = [chart, table((), rows, numbers=[1])]
    if not report:
        blocks.append(Text(kind="text", text="from the log: the job has no report"))
    return [Section(title="Training", blocks=blocks)]


def _evaluated(
    report: Document,
    evaluations: Sequence[Mapping[str, float]],
    logged: Sequence[Mapping[str, float]],
) -> tuple[str, list[tuple[float, float]]]:
    """Return name and points of the line that the evaluations are.

    All its losses are of the same examples: a sample's line does not begin with a loss of all.
    """
    sampled = any("eval_sample_loss" in each for each in evaluations)
    key = "eval_sample_loss" if sampled else "eval_loss"
    before = report.get("metrics", {}).get(f"{key}_before")
    if before is None and not sampled:
        first = next((each for each in logged if not each["step"]), {})
        before = first.get("eval_loss_before")
    begin = [(0.0, float(before))] if before is not None else []
    label = "eval loss of the sample" if sampled else "eval loss"
    return label, [*begin, *_points(evaluations, key)]


def _points(entries: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    every = [(float(entry["step"]), float(entry[key])) for entry in entries if key in entry]
    return every[:: max(1, -(-len(every) // _POINTS))]


def _groups(report: Document) -> list[Section]:
    titles = {"by_year": "year of filing", "by_group": "industry"}
    blocks: list[Block] = []
    for key, title in titles.items():
        rows = [
            (
                str(each["name"]),
                str(each["tokens"]),
                run_numbers.loss(each["eval_loss_before"]),
                run_numbers.loss(each["eval_loss"]),
            )
            for each in report.get(key, [])
        ]
        if rows:
            headings = (title, "tokens", "before", "after")
            blocks.append(table(headings, rows, numbers=[1, 2, 3]))
    return [Section(title="Eval loss by year and industry", blocks=blocks)] if blocks else []


def _sample(report: Document) -> list[Section]:
    sample = report.get("sample")
    if not sample:
        return []
    quotes = [
        Quote(title=title, text=sample[key] or "(empty)")
        for key, title in (("base", "base model"), ("tuned", "tuned model"))
    ]
    example = sample["example_id"]
    note = f"Greedy answers to held-out example {example}, which is governed and not quoted."
    blocks: list[Block] = [Text(kind="text", text=note), Quotes(kind="quotes", quotes=quotes)]
    return [Section(title="Base against tuned", blocks=blocks)]


def _machine(found: OfRun) -> list[Section]:
    report = found.report or {}
    memory = [each["memory_gib"] for each in report.get("curve", []) if "memory_gib" in each]
    precision = (found.trained or {}).get("fp8", {})
    rows = [
        (f"precision: {name}", str(value)) for name, value in precision.items() if name != "choice"
    ]
    rows += _choice(precision.get("choice") or {})
    rows += [("peak memory", f"{max(memory):.2f} GiB")] if memory else []
    rows += [
        (f"seconds to {name.replace('_', ' ')}", run_numbers.brief(value))
        for name, value in report.get("seconds", {}).items()
    ]
    title = "Precision, memory and time"
    return [Section(title=title, blocks=[table((), rows)])] if rows else []


def _choice(choice: Document) -> list[tuple[str, str]]:
    """Return why `auto` chose the precision, and what it measured of each mode."""
    rows = [("precision: why", choice["reason"])] if choice.get("reason") else []
    for tried in choice.get("tried", []):
        speed = tried.get("tokens_per_second")
        found = tried.get("fault", "") if speed is None else f"{speed:,.0f} tokens/s"
        rows.append((f"measured: {tried['mode']}", found))
    return rows


def _lineage(found: OfRun) -> list[Section]:
    blocks: list[Block] = []
    if found.drawing:
        blocks.append(Drawing(kind="drawing", svg=found.drawing))
    if rows := run_numbers.digests(found.prepared, found.trained, found.record):
        blocks.append(table(("what", "which", "sha256"), rows))
    return [Section(title="Lineage", blocks=blocks)] if blocks else []
