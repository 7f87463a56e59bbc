"""The page of one registration as a document: what was asked, what happened, what came of it.

    document = composed.page(record, facts, report)      # `steps.governance.pages` makes HTML of it

All of it is from the record, both manifests and Train's report, which hold no secret. It has no
clock, so a second delivery makes the same bytes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from steps.governance.documents.record import Record
from steps.governance.names import execution_id
from steps.governance.pages import run_numbers, run_sections
from steps.governance.pages.document import (
    Block,
    Code,
    OfRun,
    Page,
    Section,
    Span,
    Text,
    TimeLine,
)
from steps.register.facts import Facts


def page(record: Record, facts: Facts, report: Mapping[str, Any] | None) -> Page:
    """Return the whole page."""
    arn, model = record.execution.arn, record.model
    return Page(
        title=f"Execution {execution_id(arn)}: registered",
        tone="good",
        lead=_lead(record, facts),
        sections=[
            _asked(facts),
            _steps(record, facts),
            *_of_run(record, facts, report),
            _repetition(record, f"{model.name}@{model.version}"),
        ],
    )


def _lead(record: Record, facts: Facts) -> list[str]:
    started = record.execution.started_by
    who = (started.user_profile or started.arn or "unknown") if started else "unknown"
    losses = [record.metrics.eval_loss_before, record.metrics.eval_loss]
    before, after = map(run_numbers.loss, losses)
    bound = facts.execution.parameter("MaxEvalLoss")
    model = record.model
    registered = f"registered as {model.name} version {model.version}, alias {model.alias}"
    return [
        f"started by {who.rsplit('/', 1)[-1]}, {record.execution.started_at}",
        f"eval loss {before} → {after} nats per target token, bound {bound}",
        f"{registered}, {record.registered_at}",
    ]


def _asked(facts: Facts) -> Section:
    execution = facts.execution
    defaults = {
        each["Name"]: str(each["DefaultValue"])
        for each in execution.definition.get("Parameters", [])
        if "DefaultValue" in each
    }
    values = execution.parameters
    asked = sorted(name for name in values if values[name] != defaults.get(name))
    names = [*asked, *sorted(values.keys() - set(asked))]
    rows = [(name, values[name], defaults.get(name, run_numbers.UNKNOWN)) for name in names]
    text = (
        f"{len(asked)} of {len(names)} parameters differ from the defaults"
        if asked
        else "every parameter has its default"
    )
    marked = list(range(len(asked)))
    parameters = run_sections.table(("parameter", "value", "default"), rows, marked=marked)
    return Section(title="What was asked", blocks=[Text(kind="text", text=text), parameters])


def _steps(record: Record, facts: Facts) -> Section:
    train, prepare = record.train, facts.prepare_job
    times = {
        "Prepare": (prepare.get("startedAt") or prepare.get("createdAt"), prepare.get("endedAt")),
        "Train": (_moment(train.started_at), _moment(train.ended_at)),
    }
    spans = _spans(facts.execution.started_at, times)
    billed = {
        "Prepare": (record.prepare.billed, record.prepare.job_run_arn),
        "Train": (record.train.billed, train.job_arn),
    }
    rows = [
        (name, f"{cost.seconds} s" if cost else run_numbers.UNKNOWN, job)
        for name, (cost, job) in billed.items()
    ]
    blocks: list[Block] = [TimeLine(kind="time-line", spans=spans)] if spans else []
    blocks.append(run_sections.table(("step", "billed", "job"), rows, numbers=[1]))
    return Section(title="Steps", blocks=blocks)


def _spans(start: datetime, times: Mapping[str, tuple[Any, Any]]) -> list[Span]:
    """Return a bar for each job whose times its service states."""
    known = {name: pair for name, pair in times.items() if all(pair)}
    seconds = {name: (end - begin).total_seconds() for name, (begin, end) in known.items()}
    return [
        Span(
            name=name,
            begin=max(0.0, (known[name][0] - start).total_seconds()),
            seconds=max(0.0, took),
            status="Succeeded",
            text=f"{took:.0f} s",
        )
        for name, took in seconds.items()
    ]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _of_run(
    record: Record, facts: Facts, report: Mapping[str, Any] | None
) -> list[Section | OfRun]:
    documents = OfRun(
        prepared=facts.prepared.model_dump(mode="json", by_alias=True),
        trained=facts.trained.model_dump(mode="json", by_alias=True),
        record=record.model_dump(mode="json", by_alias=True),
    )
    if report is not None and report.get("schema") == run_sections.REPORT_SCHEMA:
        return [documents.model_copy(update={"report": dict(report)})]
    text = "Train's report has a form that this worker does not know"
    note = Text(kind="text", text=text, bad=True)
    return [documents, Section(title="What could not be read", blocks=[note])]


def _repetition(record: Record, version: str) -> Section:
    run = execution_id(record.execution.arn)
    typed = {
        "the same again": f"python -m pipeline.run --follow --from {run}",
        "all that is known of it": f"python -m pipeline.report --execution {run} --open",
        "as an auditor": f"python -m pipeline.audit --deep --model {version}",
    }
    lines = [f"{command}    # {what}" for what, command in typed.items()]
    rows = [("execution", record.execution.arn), ("record's sha256", record.sha256)]
    if record.train.build and record.train.build.git_commit:
        rows.append(("git commit", record.train.build.git_commit))
    code = Code(kind="code", text="\n".join(lines))
    blocks: list[Block] = [code, run_sections.table((), rows)]
    return Section(title="How to repeat it", blocks=blocks)
