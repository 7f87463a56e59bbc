"""This execution's lineage: raw table → prepare job → curated table → training job → model version.

The two jobs are external-metadata objects, named by the sha256 of their ARN. Every account user can
read them, so they hold digests, ids, versions, times and settings: what is needed to find the
evidence of the execution. The edges to tables relate columns (`governance.column_lineage`).
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from databricks.sdk.service.catalog import ExternalLineageObject

from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import LineageFacts
from steps.governance.names import UcName, execution_id, metadata_name
from steps.governance.unity_catalog import column_lineage
from steps.governance.unity_catalog.column_lineage import Relation
from steps.governance.unity_catalog.lineage import Job, Lineage, job, label, model_version, table
from steps.register.facts import Facts

TUNING = "lora"  # the one method of steps/train

_Edge = tuple[ExternalLineageObject, ExternalLineageObject, Iterable[Relation]]


def draw(
    lineage: Lineage, facts: Facts, *, model: UcName, version: int, guard: Callable[[], None]
) -> LineageFacts:
    """Create both nodes and all four edges where they are missing, and return them.

    Raises:
        AccessDenied: the principal lacks the privilege for a node or an edge.
    """
    both = nodes(facts)
    for node in both:
        guard()
        lineage.ensure_node(node)
    raw = UcName.parse(facts.prepared.source.table)
    edges = _edges(facts, raw_columns=lineage.columns(raw), model=model_version(model, version))
    for source, target, columns in edges:
        guard()
        lineage.ensure_edge(source, target, columns)
    return LineageFacts(
        nodes=[label(job(node.name)) for node in both],
        edges=[(label(source), label(target)) for source, target, _ in edges],
    )


def _edges(facts: Facts, *, raw_columns: list[str], model: ExternalLineageObject) -> list[_Edge]:
    """Return the four edges, each with the columns that it relates."""
    prepare, train = (job(node.name) for node in nodes(facts))
    raw = table(UcName.parse(facts.prepared.source.table))
    curated = table(UcName.parse(facts.prepared.target.table))
    return [
        (raw, prepare, column_lineage.from_raw(raw_columns)),
        (prepare, curated, column_lineage.same(column_lineage.MADE)),
        (curated, train, column_lineage.same(column_lineage.TRAINED_ON)),
        (train, model, ()),
    ]


def nodes(facts: Facts) -> tuple[Job, Job]:
    """Return the prepare job and the training job of an execution."""
    return _prepare(facts), _train(facts)


def _prepare(facts: Facts) -> Job:
    run, prepared = facts.prepare_job, facts.prepared
    properties = _common(facts, prepared) | {
        "job_id": run["jobRunId"],
        "manifest_sha256": facts.prepared_sha256,
        "raw_version": str(prepared.source.version),
        "curated_version": str(prepared.target.version),
        "image_digest": facts.image.digest,
        **_origin(prepared),
        **_times(started=run.get("startedAt"), ended=run.get("endedAt")),
    }
    return Job(metadata_name(run["arn"]), "EMR Serverless job run", properties, column_lineage.MADE)


def _train(facts: Facts) -> Job:
    described, trained = facts.training_job, facts.trained
    properties = _common(facts, trained) | {
        "job_id": described["TrainingJobName"],
        "manifest_sha256": facts.trained_sha256,
        "prepare_manifest_sha256": facts.prepared_sha256,
        "curated_version": str(trained.data.version),
        "base_model_mirror_sha256": trained.base_model.mirror_sha256,
        "instance_type": described["ResourceConfig"]["InstanceType"],
        "tuning_method": TUNING,
        "fp8_mode": trained.fp8.effective,
        **_times(started=described["TrainingStartTime"], ended=described["TrainingEndTime"]),
    }
    return Job(
        metadata_name(described["TrainingJobArn"]),
        "SageMaker training job",
        properties,
        column_lineage.TRAINED_ON,
    )


def _origin(prepared: Prepared) -> dict[str, str]:
    """Return whose examples were used again, which keeps the chain whole without a second job."""
    if prepared.reused is None:
        return {}
    return {
        "curated_from": execution_id(prepared.reused.execution_arn),
        "curated_from_manifest_sha256": prepared.reused.manifest_sha256,
    }


def _common(facts: Facts, manifest: Prepared | Trained) -> dict[str, str]:
    commit = manifest.build and manifest.build.git_commit
    known = {"git_commit": commit} if commit else {}
    return known | {
        "execution_id": execution_id(facts.execution.arn),
        "principal": manifest.principal,
    }


def _times(**moments: Any) -> dict[str, str]:
    """Return `started_at` and `ended_at`, without a time that the service does not state."""
    return {
        f"{name}_at": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name, moment in moments.items()
        if isinstance(moment, datetime)
    }
