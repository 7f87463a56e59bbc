"""The record of one run (record.json) and the tags of its model version.

    record = compose(facts, Done(key=…, artifact=…, model=…, lineage=…, …))

A record needs two manifests of version 2, and jobs that are described with every field that it
repeats; `require_complete` and `require_described` refuse others before any effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from steps.governance import aws
from steps.governance.documents.reading import Reading
from steps.governance.documents.record import (
    ArtifactFacts,
    Billed,
    ExecutionFacts,
    LedgerHead,
    LineageFacts,
    ModelFacts,
    PrepareFacts,
    Principals,
    Record,
    RegisterFacts,
    ReusedFacts,
    TrainFacts,
)
from steps.governance.errors import IntegrityError
from steps.register.delivery.answer_shape import shaped
from steps.register.facts import Facts
from steps.register.package.artifact import Artifact, Unpacked
from steps.register.package.base_model import base_model_uri

KEY_TAG = "key"
RECORD_TAG = "record_sha256"
LEDGER_TAG = "ledger_entry"  # "<number>:<sha256 of the stored entry>"


def tags(facts: Facts, *, key: str, artifact_sha256: str) -> dict[str, str]:
    """Return the version's tags: the training's key figures, and the digests of its evidence."""
    trained = facts.trained
    # The run's id is a tag and not the version's own run_id: for that, mlflow would fetch the run
    # from the tracking server in the middle of a creation. It would need a right to see the
    # experiment, and would leave the link out with a warning where the run or the right is missing.
    run = {"mlflow_run_id": trained.mlflow_run_id} if trained.mlflow_run_id else {}
    return run | {
        KEY_TAG: key,
        "execution_arn": facts.execution.arn,
        "artifact_sha256": artifact_sha256,
        "manifest_sha256": facts.trained_sha256,
        "base_model": f"{trained.base_model.name}@{trained.base_model.revision}",
        # the same names as the tags of the training run
        **trained.fp8.tags,
        "eval_loss": str(trained.metrics.eval_loss),
        "curated_version": str(facts.prepared.target.version),
    }


@dataclass(frozen=True)
class Done:
    """What Register itself did: the effect's key, and the objects it verified and made.

    `worker` is the code that did it; `ledger` is the ledger's head before this record.
    """

    key: str
    artifact: ArtifactFacts
    model: ModelFacts
    lineage: LineageFacts
    principals: Principals
    worker: RegisterFacts
    ledger: LedgerHead


def compose(facts: Facts, done: Done) -> Record:
    """Return the whole record: what was there before, and what Register did."""
    prepared, trained = facts.prepared, facts.trained
    return Record(
        schema="governed-finetune/registered/2",
        key=done.key,
        registered_at=_time(datetime.now(UTC)),
        principals=done.principals,
        execution=_execution_facts(facts),
        prepare=_prepare_facts(facts),
        raw=prepared.source,
        curated=prepared.target,
        train=_train_facts(facts),
        data=trained.data,
        base_model=trained.base_model,
        fp8=trained.fp8,
        metrics=trained.metrics,
        artifact=done.artifact,
        model=done.model,
        lineage=done.lineage,
        register=done.worker,
        readings=_readings(facts),
        membership=prepared.membership,
        ledger=done.ledger,
    )


def require_complete(facts: Facts) -> None:
    """Check that both manifests have what a record repeats of them.

    Raises:
        IntegrityError: one is of version 1, since the image of its job is older than this worker.
    """
    for step, manifest in (("Prepare", facts.prepared), ("Train", facts.trained)):
        if manifest.schema_.endswith("/1"):
            raise IntegrityError(
                f"{step}'s manifest lacks what a record repeats of it, nothing was registered",
                expected=f"{manifest.schema_.removesuffix('1')}2, as the image of this release "
                "writes it",
                got=manifest.schema_,
                do=f"deploy {step}'s image of the worker's release, then start a new execution",
            )


def require_described(facts: Facts) -> None:
    """Check, before any effect, that both jobs are described with every field of a record.

    Raises:
        MalformedAnswer: a field is missing or of another type.
    """
    with shaped(f"describe the jobs of {facts.execution.arn}"):
        _ = _prepare_facts(facts), _train_facts(facts), _execution_facts(facts)
        _ = base_model_uri(facts.training_job)


def artifact_facts(artifact: Artifact, unpacked: Unpacked) -> ArtifactFacts:
    """Describe the archive and its files, sorted by path."""
    files = sorted(unpacked.files, key=lambda entry: entry.path)
    return ArtifactFacts(
        uri=artifact.uri,
        version_id=artifact.version_id,
        size=artifact.size,
        sha256=unpacked.sha256,
        files=files,
    )


def model_facts(
    facts: Facts, *, version: int, source: str, files: dict[str, str] | None
) -> ModelFacts:
    """Describe the model version, its files, and the alias that the parameters ask for."""
    execution = facts.execution
    return ModelFacts(
        name=str(execution.name("ModelName")),
        version=version,
        source=source,
        alias=execution.alias,
        files=files,
    )


def principals(databricks: str, region: str) -> Principals:
    """Return this process's identity in Databricks and in AWS."""
    with aws.translated("ask STS who this process is"):
        return Principals(
            databricks=databricks, aws=aws.client("sts", region).get_caller_identity()["Arn"]
        )


def _execution_facts(facts: Facts) -> ExecutionFacts:
    execution = facts.execution
    return ExecutionFacts(
        arn=execution.arn,
        pipeline_arn=execution.pipeline_arn,
        definition_sha256=execution.definition_sha256,
        started_at=_time(execution.started_at),
        parameters=dict(execution.parameters),
        started_by=execution.started_by,
        pipeline_version_id=execution.pipeline_version_id,
    )


def _readings(facts: Facts) -> list[Reading]:
    """Return the reading of the raw table by Prepare and of the curated one by Train."""
    both = (facts.prepared.reading, facts.trained.reading)
    return [reading for reading in both if reading is not None]


def _prepare_facts(facts: Facts) -> PrepareFacts:
    job = facts.prepare_job
    return PrepareFacts(
        job_run_arn=job["arn"],
        role_arn=job["executionRole"],
        entry_point=job["jobDriver"]["sparkSubmit"]["entryPoint"],
        release_label=job["releaseLabel"],
        manifest_sha256=facts.prepared_sha256,
        image=facts.image.pinned,
        spark_version=facts.prepared.spark_version,
        build=facts.prepared.build,
        billed=_billed_by_emr(job),
        reused=_reused(facts),
    )


def _reused(facts: Facts) -> ReusedFacts | None:
    origin = facts.origin
    if origin is None:
        return None
    job = origin.prepare_job
    return ReusedFacts(
        execution_arn=origin.execution.arn,
        definition_sha256=origin.execution.definition_sha256,
        manifest_sha256=origin.prepared_sha256,
        job_run_arn=job["arn"],
        entry_point=job["jobDriver"]["sparkSubmit"]["entryPoint"],
        release_label=job["releaseLabel"],
        image=origin.image.pinned,
        pipeline_version_id=origin.execution.pipeline_version_id,
    )


def _billed_by_emr(job: Mapping[str, Any]) -> Billed:
    """Return the job run's bill; its resources are None as long as EMR does not state them."""
    resources = job.get("billedResourceUtilization", {})
    return Billed(
        seconds=job["totalExecutionDurationSeconds"],
        vcpu_hours=resources.get("vCPUHour"),
        memory_gb_hours=resources.get("memoryGBHour"),
        storage_gb_hours=resources.get("storageGBHour"),
    )


def _train_facts(facts: Facts) -> TrainFacts:
    job = facts.training_job
    resources: dict[str, Any] = job["ResourceConfig"]
    return TrainFacts(
        job_arn=job["TrainingJobArn"],
        role_arn=job["RoleArn"],
        image=job["AlgorithmSpecification"]["TrainingImage"],
        instance_type=resources["InstanceType"],
        instance_count=resources["InstanceCount"],
        started_at=_time(job["TrainingStartTime"]),
        ended_at=_time(job["TrainingEndTime"]),
        hyperparameters=dict(job["HyperParameters"]),
        manifest_sha256=facts.trained_sha256,
        build=facts.trained.build,
        billed=Billed(seconds=job["BillableTimeInSeconds"]),
    )


def _time(moment: datetime) -> str:
    """Format a time as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
