"""The documents of one simulated run, complete in the schemas of `steps.governance`."""

import hashlib
from typing import Any

from steps.governance.documents import canonical
from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import Record, effect_key
from steps.register.fact_reader import starter
from tests.steps.register.support.register_environment import ARTIFACTS, CURATED, RAW

BUILD = {"git_commit": "a" * 40, "clean": True, "lock_sha256": "b" * 64}
MADE_AT = "2026-11-28T10:00:00Z"  # also the time of the curated commit

COUNTS = {
    "filings_read": 2,
    "filings_kept": 2,
    "filings_rejected": 0,
    "examples_train": 1,
    "examples_eval": 1,
    "examples_rejected": 0,
    "companies_train": 1,
    "companies_eval": 1,
    "rejected_by_reason": {},
}
PRECISION = {
    "requested": "auto",
    "effective": "storage",
    "dtype": "bfloat16",
    "device": "cpu",
}
METRICS = {
    "eval_loss_before": 7.6,
    "eval_loss": 2.1,
    "eval_tokens": 9,
    "train_tokens": 9,
    "steps": 1,
    "best_step": 1,
    "stopped_early": False,
    "resumed_from": [3],  # a spot interruption
}


def reading(table: str, principal: str) -> dict[str, Any]:
    """Who read a table, and with which rights."""
    grant = {
        "privilege": "SELECT",
        "holder": principal,
        "securable_type": "SCHEMA",
        "securable": table.rsplit(".", 1)[0],
    }
    return {
        "principal": principal,
        "table": table,
        "read_at": MADE_AT,
        "credential": {
            "location": "s3://gf-governed/x",
            "operation": "READ",
            "issued_at": MADE_AT,
            "expires_at": "2026-11-28T11:00:00Z",
            "renewals": 0,
        },
        "grants": [grant],
    }


def dumped(entries: list[FileEntry]) -> list[dict[str, Any]]:
    """Entries as JSON values."""
    return [each.model_dump(exclude_none=True) for each in entries]


def prepared(
    arn: str,
    tables: dict[str, dict[str, Any]],
    files: list[FileEntry],
    raw: list[FileEntry],
    membership: FileEntry,
    first_version: bool,
) -> Prepared:
    """Prepare's manifest."""
    document: dict[str, Any] = {
        "schema": "governed-finetune/prepared/1",
        "execution_arn": arn,
        "created_at": MADE_AT,
        "principal": "prepare",
        **tables,
        "rejected": {"table": f"{CURATED}_rejected", "version": 0},
        "files": dumped(files),
        "schema_sha256": "0" * 64,
        "template": "risk-factor-heading/1",
        "counts": COUNTS,
    }
    if not first_version:
        document |= {
            "schema": "governed-finetune/prepared/2",
            "raw_files": dumped(raw),
            "membership": membership.model_dump(exclude_none=True),
            "reading": reading(RAW, "prepare"),
            "build": BUILD,
            "spark_version": "4.0.0",
        }
    return Prepared.model_validate(document)


def trained(
    arn: str,
    made: Prepared,
    files: list[FileEntry],
    base: dict[str, str],
    first_version: bool,
) -> Trained:
    """Train's manifest."""
    document: dict[str, Any] = {
        "schema": "governed-finetune/trained/1",
        "execution_arn": arn,
        "training_job": f"pipelines-{arn[-12:]}-Train",
        "created_at": MADE_AT,
        "principal": "train",
        "data": {
            "table": CURATED,
            "table_id": made.target.table_id,
            "version": made.target.version,
            "manifest_sha256": made.sha256,
            "examples_train": 1,
            "examples_eval": 1,
        },
        "base_model": base,
        "fp8": PRECISION,
        "metrics": METRICS,
        "files": dumped(files),
    }
    if not first_version:
        document |= {
            "schema": "governed-finetune/trained/2",
            "reading": reading(CURATED, "train"),
            "build": BUILD,
        }
    return Trained.model_validate(document)


def record(facts: dict[str, Any], made: Prepared, train: Trained, state: dict[str, Any]) -> Record:
    """The record, with lineage and ledger to be filled in; always of version 2."""
    arn, archive = facts["arn"], facts["archive"]
    uri = state["training_job"]["ModelArtifacts"]["S3ModelArtifacts"]
    none = {"path": "none", "size": 0, "sha256": "0" * 64}  # dropped again in version 1
    listed = made.membership.model_dump(exclude_none=True) if made.membership else none
    return Record.model_validate(
        {
            "schema": "governed-finetune/registered/2",
            "key": effect_key(arn, "register", hashlib.sha256(archive).hexdigest()),
            "registered_at": MADE_AT,
            "principals": {"databricks": "register", "aws": "arn:aws:iam::0:role/register"},
            "execution": _execution(arn, state),
            "prepare": _prepare(state["prepare_job"], made),
            "raw": made.source.model_dump(exclude_none=True),
            "curated": made.target.model_dump(exclude_none=True),
            "train": _train(state["training_job"], train),
            "data": train.data.model_dump(),
            "base_model": train.base_model.model_dump(exclude_none=True),
            "fp8": train.fp8.model_dump(),
            "metrics": train.metrics.model_dump(),
            "artifact": _artifact(facts, train, uri),
            "model": {
                "name": facts["model"],
                "version": facts["version"],
                "source": f"{uri}?versionId={facts['version_id']}",
                "alias": facts["alias"],
                "files": facts["files"],
            },
            "lineage": {"nodes": [], "edges": []},
            "register": {"image": "registry/register@sha256:" + "d" * 64, "build": BUILD},
            "readings": [reading(RAW, "prepare"), reading(CURATED, "train")],
            "membership": listed,
            "ledger": {"number": 0, "sha256": "0" * 64},
        }
    )


def _execution(arn: str, state: dict[str, Any]) -> dict[str, Any]:
    definition = state["definition"]
    defaults = {
        each["Name"]: str(each["DefaultValue"])
        for each in canonical.loads(definition.encode())["Parameters"]
        if "DefaultValue" in each
    }
    return {
        "arn": arn,
        "pipeline_arn": state["pipeline_arn"],
        "definition_sha256": hashlib.sha256(definition.encode()).hexdigest(),
        "started_at": "2026-11-22T05:00:00Z",
        "parameters": defaults | state["parameters"],
        # By Register's own rule, so that the audit is held to what Register writes
        "started_by": starter(state["created_by"]).model_dump(exclude_none=True),
    }


def _prepare(run: dict[str, Any], made: Prepared) -> dict[str, Any]:
    return {
        "job_run_arn": run["arn"],
        "role_arn": run["executionRole"],
        "entry_point": run["jobDriver"]["sparkSubmit"]["entryPoint"],
        "release_label": run["releaseLabel"],
        "manifest_sha256": made.sha256,
        "image": run["imageConfiguration"]["imageUri"],
        "spark_version": "4.0.0",
        "build": BUILD,
        "billed": {"seconds": 60},
    }


def _train(job: dict[str, Any], train: Trained) -> dict[str, Any]:
    return {
        "job_arn": job["TrainingJobArn"],
        "role_arn": job["RoleArn"],
        "image": job["AlgorithmSpecification"]["TrainingImage"],
        "instance_type": "ml.g5.16xlarge",
        "instance_count": 1,
        "started_at": "2026-11-22T05:00:00Z",
        "ended_at": "2026-11-22T05:01:40Z",
        "hyperparameters": job["HyperParameters"],
        "manifest_sha256": train.sha256,
        "build": BUILD,
        "billed": {"seconds": 90},
    }


def _artifact(facts: dict[str, Any], train: Trained, uri: str) -> dict[str, Any]:
    manifest, archive = train.to_bytes(), facts["archive"]
    own = FileEntry(
        path="manifest.json", size=len(manifest), sha256=hashlib.sha256(manifest).hexdigest()
    )
    return {
        "uri": uri,
        "version_id": facts["version_id"],
        "size": len(archive),
        "sha256": hashlib.sha256(archive).hexdigest(),
        "files": dumped(sorted([*train.files, own], key=lambda each: each.path)),
    }


def statement(written: Record, content: bytes) -> bytes:
    """The in-toto statement about a record and its archive."""
    return canonical.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": "https://slsa.dev/provenance/v1",
            "subject": [
                {
                    "name": f"s3://{ARTIFACTS}/model.tar.gz",
                    "digest": {"sha256": written.artifact.sha256},
                },
                {"name": "record.json", "digest": {"sha256": hashlib.sha256(content).hexdigest()}},
            ],
            "predicate": {},
        }
    )
