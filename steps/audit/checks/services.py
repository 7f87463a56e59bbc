"""Checks of one record against SageMaker, EMR Serverless and the registry, as they are now."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from steps.audit.case import Case
from steps.audit.checks import reuse
from steps.audit.findings import Comparison, Differs, Note
from steps.governance.documents import canonical
from steps.governance.documents.record import WITHDRAWN_TAG
from steps.governance.errors import GovernanceError

# What SageMaker states of a step whose work another execution did
_REUSED = {"SelectiveExecutionResult", "CacheHitResult"}
_OWNER = "OWNER"  # how a reading records ownership, which is not a grant
_LOSS_TOLERANCE = 1e-3  # nats per token; SageMaker reads the loss from a line with fewer digits


def definition_digest(case: Case) -> Comparison:
    """The definition that the execution ran has the recorded digest."""
    return Comparison(
        f"the definition of {case.record.execution.arn}",
        [
            (
                "sha256",
                case.record.execution.definition_sha256,
                canonical.sha256(case.execution.definition.encode()),
            )
        ],
    )


def execution_parameters(case: Case) -> Comparison:
    """The resolved parameters are the recorded ones, and the record follows them."""
    record, found = case.record, dict(case.execution.parameters)
    given = record.execution.parameters
    return Comparison(
        record.execution.arn,
        [
            *((name, given.get(name), found.get(name)) for name in sorted(given | found)),
            ("RawTable as read", given.get("RawTable"), record.raw.table),
            ("CuratedTable as written", given.get("CuratedTable"), record.curated.table),
            ("ModelName as registered", given.get("ModelName"), record.model.name),
            ("ModelAlias as requested", given.get("ModelAlias"), record.model.alias),
        ],
        summary=f"{len(given)} parameters",
    )


def execution_identity(case: Case) -> Comparison:
    """The execution is of the recorded pipeline and time, and was started by the recorded one.

    It ran every step itself, and no condition failed: AWS cannot refuse selective execution.
    """
    facts, described = case.record.execution, case.execution.described
    pairs: list[tuple[str, object, object]] = [
        ("pipeline", facts.pipeline_arn, described["PipelineArn"]),
        ("start", facts.started_at, time(described["CreationTime"])),
    ]
    if facts.started_by is not None:
        started = described.get("CreatedBy", {})
        arn = started.get("IamIdentity", {}).get("Arn")
        pairs.append(("who started it", facts.started_by.arn, arn))
        pairs.append(("user profile", facts.started_by.user_profile, started.get("UserProfileArn")))
    if facts.pipeline_version_id is not None:
        found = described.get("PipelineVersionId")
        pairs.append(("pipeline version", facts.pipeline_version_id, found))
    steps = case.context.services.jobs.steps(facts.arn)
    reused = [step["StepName"] for step in steps if step.keys() & _REUSED]
    pairs.append(("steps of another execution", [], reused))
    pairs.append(("conditions that did not hold", [], list(filter(None, map(_closed, steps)))))
    return Comparison(facts.arn, pairs)


def _closed(step: Mapping[str, Any]) -> str | None:
    """Return the name of a Condition step that did not hold."""
    condition = step.get("Metadata", {}).get("Condition")
    return step["StepName"] if condition and condition.get("Outcome") != "True" else None


def training_job(case: Case) -> Comparison:
    """The training job is the recorded one: code, role, hardware, times, input and result."""
    facts, job = case.record.train, case.training_job
    resources = job["ResourceConfig"]
    pairs: list[tuple[str, object, object]] = [
        ("job", facts.job_arn, job["TrainingJobArn"]),
        ("status", "Completed", job["TrainingJobStatus"]),
        ("role", facts.role_arn, job["RoleArn"]),
        ("image", facts.image, job["AlgorithmSpecification"].get("TrainingImage")),
        ("instance type", facts.instance_type, resources.get("InstanceType")),
        ("instance count", facts.instance_count, resources.get("InstanceCount")),
        ("start", facts.started_at, time(job["TrainingStartTime"])),
        ("end", facts.ended_at, time(job["TrainingEndTime"])),
        ("hyperparameters", facts.hyperparameters, dict(job["HyperParameters"])),
        ("archive", case.record.artifact.uri, job["ModelArtifacts"]["S3ModelArtifacts"]),
        ("loss", True, _has_loss(job, case.record.metrics.eval_loss)),
    ]
    if facts.billed is not None:
        pairs.append(("billed seconds", facts.billed.seconds, job.get("BillableTimeInSeconds")))
    return Comparison(facts.job_arn, pairs)


def prepare_job(case: Case) -> Comparison:
    """The Prepare job is the recorded one: role, code and state; so is one that was used again."""
    facts = case.record.prepare
    run = case.context.services.jobs.job_run(facts.job_run_arn)
    entry_point = run.get("jobDriver", {}).get("sparkSubmit", {}).get("entryPoint")
    pairs: list[tuple[str, object, object]] = [
        ("job run", facts.job_run_arn, run["arn"]),
        ("state", "SUCCESS", run["state"]),
        ("role", facts.role_arn, run["executionRole"]),
        ("release", facts.release_label, run["releaseLabel"]),
        ("entry point", facts.entry_point, entry_point),
    ]
    if facts.billed is not None:
        pairs.append(
            ("billed seconds", facts.billed.seconds, run.get("totalExecutionDurationSeconds"))
        )
    applied = run.get("imageConfiguration", {})
    if facts.image is not None and "resolvedImageDigest" in applied:
        digest = facts.image.rpartition("@")[2]
        pairs.append(("image", digest, applied["resolvedImageDigest"]))
    return reuse.with_earlier_job(case, Comparison(facts.job_run_arn, pairs))


def version_source(case: Case) -> Comparison:
    """The model version exists, is READY and is made from the recorded object version."""
    model, artifact = case.record.model, case.record.artifact
    source = f"{artifact.uri}?versionId={artifact.version_id}"
    return Comparison(
        f"{model.name} version {model.version}",
        [
            ("source", model.source, case.version.source),
            ("source of the archive", source, model.source),
            ("status", True, case.version.status in ("READY", "ready")),
        ],
    )


def version_tags(case: Case) -> Comparison | Note:
    """The version's tags repeat the record: key, digests, base model, precision, loss."""
    record, found = case.record, case.version.tags
    where = f"tags of {record.model.name} version {record.model.version}"
    if "record_sha256" not in found and case.incomplete:
        return Note(f"not published: {case.incomplete}", where)
    expected = {
        "key": record.key,
        "execution_arn": record.execution.arn,
        "artifact_sha256": record.artifact.sha256,
        "manifest_sha256": record.train.manifest_sha256,
        "base_model": f"{record.base_model.name}@{record.base_model.revision}",
        "eval_loss": str(record.metrics.eval_loss),
        "curated_version": str(record.curated.version),
        "record_sha256": canonical.sha256(case.content),
        **record.fp8.tags,
        **{
            f"file_{number}": f"{sha256}  {path}"
            for number, (path, sha256) in enumerate(sorted((record.model.files or {}).items()), 1)
        },
    }
    pairs: list[tuple[str, object, object]] = [
        (name, value, found.get(name)) for name, value in sorted(expected.items())
    ]
    pairs.append((WITHDRAWN_TAG, case.withdrawn, WITHDRAWN_TAG in found))
    return Comparison(where, pairs, summary=f"{len(expected)} tags")


def tables(case: Case) -> Comparison:
    """Both tables are the same objects of the catalog, at the same places."""
    record = case.record
    pairs: list[tuple[str, object, object]] = []
    for what, recorded in (("raw", record.raw), ("curated", record.curated)):
        now = case.context.services.registry.table(recorded.table)
        pairs.append((f"id of the {what} table", recorded.table_id, now.table_id))
        pairs.append((f"place of the {what} table", recorded.location.rstrip("/"), now.location))
    return Comparison(f"{record.raw.table}, {record.curated.table}", pairs)


def grants_now(case: Case) -> Note:
    """Each reading principal's own grants then, against now. Both are information.

    What everybody holds and what the principal owns is not in the answer about now, so it is not
    compared.
    """
    if case.record.readings is None:
        return Note("not recorded (version 1)")
    changes, unseen = [], []
    for reading in case.record.readings:
        if reading.grants is None:
            unseen.append(f"{reading.table} then: {reading.grants_unknown}")
            continue
        then = {
            (grant.privilege, grant.securable)
            for grant in reading.grants
            if grant.holder == reading.principal and grant.privilege != _OWNER
        }
        try:
            now = case.context.services.registry.grants(reading.table, reading.principal)
        except GovernanceError as error:
            unseen.append(f"{reading.table} now: {error.what}")
            continue
        changes += [f"+{privilege} on {name}" for privilege, name in sorted(now - then)]
        changes += [f"-{privilege} on {name}" for privilege, name in sorted(then - now)]
    found = "; ".join(changes) or "no change"
    return Note(
        "; ".join([found, *(f"not seen: {each}" for each in unseen)]),
        ", ".join(reading.table for reading in case.record.readings),
        "grants as they were",
    )


def time(moment: Any) -> str:
    """Format a service's time as the record does: RFC 3339 in UTC, to the second."""
    if not isinstance(moment, datetime):
        raise Differs("a time", str(moment), "")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _has_loss(job: Mapping[str, Any], recorded: float) -> bool:
    listed = job.get("FinalMetricDataList", [])
    found = {entry["MetricName"]: float(entry["Value"]) for entry in listed}
    return math.isclose(found.get("eval:loss", math.nan), recorded, abs_tol=_LOSS_TOLERANCE)
