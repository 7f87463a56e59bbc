"""The manifests of Prepare and Train that the tests of Register start from, version 2."""

from typing import Any

from steps.governance.documents.manifest import Prepared, Trained
from tests.steps.register.support import archives
from tests.steps.register.support.register_environment import CURATED, GOVERNED, RAW

PREPARE_BUILD = {"git_commit": "a" * 40, "clean": True, "lock_sha256": "b" * 64}
TRAIN_BUILD = {"git_commit": "c" * 40, "clean": True, "lock_sha256": "d" * 64}
MEMBERSHIP = {"path": f"membership-{'e' * 64}.parquet", "size": 9, "sha256": "e" * 64, "rows": 1}
COUNTS: dict[str, Any] = {
    "filings_read": 2,
    "filings_kept": 1,
    "filings_rejected": 1,
    "examples_train": 1,
    "examples_eval": 1,
    "examples_rejected": 0,
    "companies_train": 1,
    "companies_eval": 1,
    "rejected_by_reason": {},
}
METRICS: dict[str, Any] = {
    "eval_loss_before": 7.6,
    "eval_loss": 2.1,
    "eval_tokens": 9,
    "train_tokens": 9,
    "steps": 1,
    "best_step": 1,
    "stopped_early": False,
    "resumed_from": [],
}


def reading(principal: str, table: str, location: str) -> dict[str, Any]:
    """Return a reading with one grant and its credential."""
    grant = {
        "privilege": "SELECT",
        "holder": principal,
        "securable_type": "SCHEMA",
        "securable": table.rpartition(".")[0],
    }
    credential = {
        "location": location,
        "operation": "READ",
        "issued_at": "2026-11-22T04:59:00Z",
        "expires_at": "2026-11-22T05:59:00Z",
        "renewals": 0,
    }
    return {
        "principal": principal,
        "table": table,
        "read_at": "2026-11-22T04:59:30Z",
        "credential": credential,
        "grants": [grant],
    }


def prepared(arn: str, **changes: Any) -> Prepared:
    """Return Prepare's manifest of an execution."""
    return Prepared.model_validate(
        {
            "schema": "governed-finetune/prepared/2",
            "execution_arn": arn,
            "created_at": "2026-11-22T05:00:00Z",
            "principal": "prepare",
            "source": {
                "table": RAW,
                "table_id": "raw-id",
                "location": f"s3://{GOVERNED}/raw/filings",
                "version": 0,
            },
            "target": {
                "table": CURATED,
                "table_id": "curated-id",
                "location": f"s3://{GOVERNED}/curated/risk_factor_examples",
                "version": 3,
                "partition": f"execution_id={arn.rsplit('/', 1)[-1]}",
            },
            "rejected": {"table": f"{CURATED}_rejected", "version": 3},
            "files": [],
            "schema_sha256": "0" * 64,
            "template": "risk-factor-heading/1",
            "counts": COUNTS,
            "raw_files": [{"path": "part-0.parquet", "size": 7, "sha256": "f" * 64, "rows": 2}],
            "membership": MEMBERSHIP,
            "reading": reading("prepare", RAW, f"s3://{GOVERNED}/raw/filings"),
            "build": PREPARE_BUILD,
            "spark_version": "4.0.1",
        }
        | changes
    )


def trained(
    arn: str, job: str, prepared: Prepared, files: dict[str, bytes], mirror_sha256: str
) -> Trained:
    """Return Train's manifest of an execution."""
    return Trained.model_validate(
        {
            "schema": "governed-finetune/trained/2",
            "execution_arn": arn,
            "training_job": job,
            "created_at": "2026-11-22T05:10:00Z",
            "principal": "train",
            "data": {
                "table": CURATED,
                "table_id": "curated-id",
                "version": 3,
                "manifest_sha256": prepared.sha256,
                "examples_train": 1,
                "examples_eval": 1,
            },
            "base_model": {"name": "tiny", "revision": "0" * 40, "mirror_sha256": mirror_sha256},
            "fp8": {
                "requested": "auto",
                "effective": "storage",
                "dtype": "bfloat16",
                "device": "cpu",
            },
            "metrics": METRICS,
            "files": [entry.model_dump(exclude_none=True) for entry in archives.entries(files)],
            "mlflow_run_id": "0123456789abcdef",
            "mlflow_experiment_id": "17",
            "reading": reading("train", CURATED, f"s3://{GOVERNED}/curated/risk_factor_examples"),
            "build": TRAIN_BUILD,
        }
    )
