"""A report of one execution as a page's document: what was asked, what happened, what came of it.

document = page.composed(config, evidence)      # `pages.write` makes the page of it
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.configuration.config import Config
from pipeline.execution.outcome import StepState
from pipeline.execution.progress import duration, metric, number
from pipeline.inspection import pages
from pipeline.inspection.documents import Document, Documents
from pipeline.inspection.pages import section, table
from pipeline.inspection.run_summary import Summary
from pipeline.inspection.training_log import Curve
from pipeline.report import bill, origin_sections
from pipeline.report.bill import Bill

Section = Mapping[str, Any]
_TONES = {"Succeeded": "good", "Failed": "bad", "Rejected": "bad", "Executing": "running"}


@dataclass(frozen=True)
class Evidence:
    """What was read of one execution. `traced` is trace's answer, `audited` an audit's lines."""

    run: Summary
    documents: Documents
    logged: Curve
    traced: Document | None = None
    audited: list[Mapping[str, Any]] | None = None
    notes: tuple[str, ...] = ()
    bill: Bill | None = None


def composed(config: Config, found: Evidence) -> dict[str, Any]:
    """Return the page's document."""
    run, documents = found.run, found.documents
    sections = [
        *_reason(run),
        _asked(run),
        _steps(run, documents),
        *bill.sections(found.bill),
        pages.of_run(documents, found.logged, drawing=(found.traced or {}).get("drawing")),
        *origin_sections.approvals(found.traced),
        *origin_sections.packages(found.traced),
        *origin_sections.audit(found.audited),
        origin_sections.repetition(config, run, documents),
        *_notes(found),
    ]
    return {
        "title": f"Execution {run.id}: {run.status}",
        "tone": _TONES.get(run.status, "plain"),
        "lead": _lead(run),
        "sections": sections,
    }


def _lead(run: Summary) -> list[str]:
    result = run.result
    when = f"{run.started:%Y-%m-%d %H:%M} UTC"
    lines = [f"started by {run.who}, {when}, {duration(run.seconds)}"]
    if result.eval_loss is not None:
        before, after = number(result.eval_loss_before), number(result.eval_loss)
        bound = run.ran.values.get("MaxEvalLoss", "–")
        lines.append(f"eval loss {before} → {after} nats per target token, bound {bound}")
    if result.model_version:
        alias = f", alias {result.model_alias}" if result.model_alias else ""
        lines.append(f"registered as {result.model_name} version {result.model_version}{alias}")
    elif result.status not in ("Executing", "Stopping"):
        lines.append("nothing was registered")
    return lines


def _reason(run: Summary) -> list[Section]:
    if not run.result.failure:
        return []
    return [section("Why", {"kind": "text", "text": run.result.failure, "bad": True})]


def _asked(run: Summary) -> Section:
    asked = run.ran.differing
    names = [*sorted(asked), *sorted(run.ran.values.keys() - asked.keys())]
    rows = [(name, run.ran.values[name], run.ran.defaults.get(name, "–")) for name in names]
    text = (
        f"{len(asked)} of {len(names)} parameters differ from the defaults"
        if asked
        else ("every parameter has its default")
    )
    marked = list(range(len(asked)))
    parameters = table(("parameter", "value", "default"), rows, marked=marked)
    return section("What was asked", {"kind": "text", "text": text}, parameters)


def _steps(run: Summary, found: Documents) -> Section:
    spans = [
        {
            "name": step.name,
            "begin": max(0.0, (step.started - run.started).total_seconds()),
            "seconds": max(0.0, step.seconds or 0.0),
            "status": step.status,
            "text": duration(step.seconds),
        }
        for step in run.steps
        if step.started is not None
    ]
    rows = [
        (step.name, step.status, duration(step.seconds), _about(step, found)) for step in run.steps
    ]
    headings = ("step", "status", "duration", "what came of it")
    return section("Steps", {"kind": "time-line", "spans": spans}, table(headings, rows))


def _about(step: StepState, found: Documents) -> str:
    facts = (found.record or {}).get(step.name.lower())
    billed = (facts.get("billed") or {}) if isinstance(facts, dict) else {}
    parts = [metric(step)] + ([f"billed {billed['seconds']} s"] if "seconds" in billed else [])
    return " · ".join(part for part in parts if part)


def _notes(found: Evidence) -> list[Section]:
    texts = [*found.documents.notes, *found.notes]
    blocks = [{"kind": "text", "text": text, "bad": True} for text in texts]
    return [section("What could not be read", *blocks)] if blocks else []
