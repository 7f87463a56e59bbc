"""The record as OpenLineage run events: START and COMPLETE of Prepare, Train and Register.

The events have the run ids of those that the steps send live. One event a line, in order of time.
The record has one time of Register, so both of its events have it; where Prepare's reading was not
recorded (version 1), its START has the start of the execution.
"""

import json
from typing import Any

from steps.governance.openlineage import datasets
from steps.governance.openlineage.events import Content, Step, event
from steps.trace.record_evidence import RecordEvidence


def project(evidence: RecordEvidence) -> bytes:
    """Return the six events as JSON lines."""
    lines = (json.dumps(each, sort_keys=True, ensure_ascii=False) for each in events(evidence))
    return "".join(f"{line}\n" for line in lines).encode()


def events(evidence: RecordEvidence) -> list[dict[str, Any]]:
    """Return the six events."""
    return [*_prepare(evidence), *_train(evidence), *_register(evidence)]


def _prepare(evidence: RecordEvidence) -> list[dict[str, Any]]:
    prepared, facts = evidence.prepared, evidence.record.prepare
    started = prepared.reading.read_at if prepared.reading else evidence.record.execution.started_at
    content = Content(
        inputs=[datasets.table(prepared.source)],
        outputs=[datasets.curated(prepared)],
        parameters={
            "raw_table": prepared.source.table,
            "raw_version": prepared.source.version,
            "curated_table": prepared.target.table,
        },
        git_commit=facts.build.git_commit if facts.build else None,
        spark_version=facts.spark_version,
    )
    step = Step(evidence.record.execution.arn, "prepare")
    return _both(step, (started, prepared.created_at), content)


def _train(evidence: RecordEvidence) -> list[dict[str, Any]]:
    trained, facts = evidence.trained, evidence.record.train
    step = Step(evidence.record.execution.arn, "train", trained.training_job)
    base = datasets.base_model(trained.base_model.name, trained.base_model.revision)
    content = Content(
        inputs=[datasets.curated(evidence.prepared), base],
        outputs=[datasets.archive(step, evidence.record.artifact.uri)],
        parameters=facts.hyperparameters,
        git_commit=facts.build.git_commit if facts.build else None,
    )
    return _both(step, (facts.started_at, facts.ended_at), content)


def _register(evidence: RecordEvidence) -> list[dict[str, Any]]:
    record = evidence.record
    training = Step(record.execution.arn, "train", evidence.trained.training_job)
    content = Content(
        inputs=[datasets.archive(training, record.artifact.uri)],
        outputs=[datasets.model_version(record.model.name, record.model.version)],
        git_commit=record.register_.build.git_commit if record.register_ else None,
    )
    times = (record.registered_at, record.registered_at)
    return _both(Step(record.execution.arn, "register"), times, content)


def _both(step: Step, times: tuple[str, str], content: Content) -> list[dict[str, Any]]:
    start, end = times
    return [event(step, "START", start, content), event(step, "COMPLETE", end, content)]
