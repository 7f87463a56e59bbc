"""One fixed record of each version with its manifests, as `RecordEvidence`."""

import copy
import json
from typing import Any

from steps.governance.curated_columns import SCHEMA_SHA256
from steps.governance.documents import canonical
from steps.governance.documents.envelope import IN_TOTO, Envelope, Signature
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import Record
from steps.trace.record_evidence import FilingsSummary, RecordEvidence

ARN = "arn:aws:sagemaker:us-east-1:111111111111:pipeline/governed-finetune-dev"
EXECUTION = f"{ARN}/execution/4x7k2m9p1q0z"
ROLE = "arn:aws:iam::111111111111:role/governed-finetune-dev"
EVIDENCE = "s3://governed-finetune-dev-evidence/executions/4x7k2m9p1q0z"
REGISTRY = "111111111111.dkr.ecr.us-east-1.amazonaws.com/governed-finetune-dev"


def sha(text: str) -> str:
    """A digest that differs for each text."""
    return canonical.sha256(text.encode())


RAW = {
    "table": "edgar.raw.filings",
    "table_id": "table-id-raw",
    "location": "s3://governed-finetune-dev-governed/raw/filings",
    "version": 7,
}
CURATED = {
    "table": "edgar.curated.risk_factor_examples",
    "table_id": "table-id-curated",
    "location": "s3://governed-finetune-dev-governed/curated/risk_factor_examples",
    "version": 3,
    "partition": "execution_id=4x7k2m9p1q0z",
}
MEMBERSHIP = {"path": f"membership-{sha('m')}.parquet", "size": 4096, "sha256": sha("m"), "rows": 9}
BASE_MODEL = {
    "name": "mistralai/Ministral-3-3B-Instruct-2512",
    "revision": "c0ffee0000000000000000000000000000000001",
    "mirror_sha256": sha("mirror.json"),
    "licence": "apache-2.0",
}
FP8 = {"requested": "auto", "effective": "storage", "dtype": "bfloat16", "device": "NVIDIA A10G"}
METRICS = {
    "eval_loss_before": 7.63, "eval_loss": 2.25, "eval_tokens": 8123, "train_tokens": 120000,
    "steps": 200, "best_step": 150, "stopped_early": False, "resumed_from": [50],
}  # fmt: skip
COUNTS = {
    "filings_read": 12, "filings_kept": 10, "filings_rejected": 2, "examples_train": 90,
    "examples_eval": 10, "examples_rejected": 4, "companies_train": 8, "companies_eval": 1,
    "rejected_by_reason": {"body_too_short": 4, "no_risk_factors": 2},
    "ignored_fields": {"sic: 1 to 4 digits expected": 1},
}  # fmt: skip

DATA = {
    "table": CURATED["table"],
    "table_id": CURATED["table_id"],
    "version": 3,
    "manifest_sha256": sha("prepared"),
    "examples_train": 90,
    "examples_eval": 10,
}
FIRST_RECORD: dict[str, Any] = {
    "schema": "governed-finetune/registered/1",
    "key": sha("key"),
    "registered_at": "2026-11-28T10:05:00Z",
    "principals": {"databricks": "principal-register", "aws": f"{ROLE}-register/session"},
    "execution": {
        "arn": EXECUTION,
        "pipeline_arn": ARN,
        "definition_sha256": sha("definition"),
        "started_at": "2026-11-28T09:00:00Z",
        "parameters": {"Seed": "17", "RawTable": "edgar.raw.filings", "ModelAlias": "champion"},
    },
    "prepare": {
        "job_run_arn": "arn:aws:emr-serverless:us-east-1:111111111111:/applications/a/b",
        "role_arn": f"{ROLE}-prepare",
        "entry_point": "local:///opt/governed-finetune/steps/prepare/__main__.py",
        "release_label": "emr-spark-8.0.0",
        "manifest_sha256": sha("prepared"),
    },
    "raw": RAW,
    "curated": CURATED,
    "train": {
        "job_arn": "arn:aws:sagemaker:us-east-1:111111111111:training-job/"
        "governed-finetune-dev-train-4x7k",
        "role_arn": f"{ROLE}-train",
        "image": f"{REGISTRY}-train@sha256:{sha('i2')}",
        "instance_type": "ml.g5.16xlarge",
        "instance_count": 1,
        "started_at": "2026-11-28T09:15:00Z",
        "ended_at": "2026-11-28T10:01:00Z",
        "hyperparameters": {
            "seed": "17",
            "learning_rate": "0.0002",
            "lora_rank": "16",
            "databricks_host": "https://dbc-1.cloud.databricks.com",
            "databricks_secret_id": "governed-finetune-dev/databricks/train",
        },
        "manifest_sha256": sha("trained"),
    },
    "data": DATA,
    "base_model": BASE_MODEL,
    "fp8": FP8,
    "metrics": METRICS,
    "artifact": {
        "uri": "s3://governed-finetune-dev-artifacts/executions/4x7k2m9p1q0z/train/"
        "governed-finetune-dev-train-4x7k/output/model.tar.gz",
        "version_id": "object-version",
        "size": 123456,
        "sha256": sha("archive"),
        "files": [{"path": "README.md", "size": 1, "sha256": sha("readme")}],
    },
    "model": {
        "name": "edgar.models.risk_analyst",
        "version": 3,
        "source": "s3://governed-finetune-dev-artifacts/model.tar.gz?versionId=object-version",
        "alias": "champion",
    },
    "lineage": {
        "nodes": ["job:ft_1", "job:ft_2"],
        "edges": [["table:edgar.raw.filings", "job:ft_1"]],
    },
}


def _build(name: str) -> dict[str, Any]:
    return {"git_commit": sha(name)[:40], "clean": True, "lock_sha256": sha(f"{name} lock")}


def _reading(principal: str, table: str) -> dict[str, Any]:
    return {
        "principal": principal,
        "table": table,
        "read_at": "2026-11-28T09:02:00Z",
        "credential": {
            "location": "s3://governed-finetune-dev-governed/scope",
            "operation": "READ",
            "issued_at": "2026-11-28T09:01:00Z",
            "expires_at": "2026-11-28T10:01:00Z",
            "renewals": 0,
        },
        "grants": [
            {
                "privilege": "SELECT",
                "holder": "granted-group",
                "securable_type": "SCHEMA",
                "securable": "edgar.raw",
            }
        ],
    }


def prepared(version: int) -> dict[str, Any]:
    """Prepare's manifest as a document."""
    document: dict[str, Any] = {
        "schema": f"governed-finetune/prepared/{version}",
        "execution_arn": EXECUTION,
        "created_at": "2026-11-28T09:10:00Z",
        "principal": "principal-prepare",
        "source": RAW,
        "target": CURATED,
        "rejected": {"table": "edgar.curated.risk_factor_examples_rejected", "version": 2},
        "files": [
            {
                "path": f"execution_id=4x7k2m9p1q0z/part-{number}.parquet",
                "size": 1000 + number,
                "sha256": sha(f"part-{number}"),
                "rows": 50,
            }
            for number in range(2)
        ],
        "schema_sha256": SCHEMA_SHA256,
        "template": "risk-factor-heading/1",
        "counts": COUNTS,
    }
    if version == 2:
        document |= {
            "raw_files": [{"path": "raw-0.parquet", "size": 9, "sha256": sha("raw"), "rows": 12}],
            "membership": MEMBERSHIP,
            "reading": _reading("principal-prepare", RAW["table"]),
            "build": _build("prepare"),
            "spark_version": "4.0.1",
        }
    return document


def trained(version: int) -> dict[str, Any]:
    """Train's manifest as a document."""
    document = {
        "schema": f"governed-finetune/trained/{version}",
        "execution_arn": EXECUTION,
        "training_job": "governed-finetune-dev-train-4x7k",
        "created_at": "2026-11-28T10:00:00Z",
        "principal": "principal-train",
        "data": DATA,
        "base_model": BASE_MODEL,
        "fp8": FP8,
        "metrics": METRICS,
        "files": [{"path": "adapter_model.safetensors", "size": 5, "sha256": sha("adapter")}],
        "mlflow_run_id": "mlflow-run",
    }
    if version == 2:
        reading = _reading("principal-train", CURATED["table"])
        document |= {"reading": reading, "build": _build("train")}
    return document


def record(version: int) -> dict[str, Any]:
    """The record as a document."""
    document = copy.deepcopy(FIRST_RECORD)
    if version == 1:
        return document
    document |= {
        "schema": "governed-finetune/registered/2",
        "register": {"image": f"{REGISTRY}-register@sha256:{sha('i3')}", "build": _build("reg")},
        "readings": [
            _reading("principal-prepare", RAW["table"]),
            _reading("principal-train", CURATED["table"]),
        ],
        "membership": MEMBERSHIP,
        "ledger": {"number": 4, "sha256": sha("ledger")},
    }
    document["execution"] |= {"started_by": {"arn": f"{ROLE}-scientist", "user_profile": "person"}}
    document["prepare"] |= {
        "image": f"{REGISTRY}-prepare@sha256:{sha('i1')}",
        "spark_version": "4.0.1",
        "build": _build("prepare"),
        "billed": {"seconds": 300, "vcpu_hours": 0.5},
    }
    document["train"] |= {"build": _build("train"), "billed": {"seconds": 2400}}
    return document


def evidence(version: int) -> RecordEvidence:
    """The evidence of a record of this version; that of version 2 has an envelope."""
    return parsed(record(version), prepared(version), trained(version))


def parsed(
    record_: dict[str, Any], prepared_: dict[str, Any], trained_: dict[str, Any]
) -> RecordEvidence:
    """Parse three documents. The envelope's payload only has to be recognised."""
    second = record_["schema"].endswith("/2")
    content = canonical.dumps(record_)
    signature = Signature(keyid=sha("public key"), sig="MEUCIQ==")
    return RecordEvidence(
        record=Record.from_bytes(content, origin="test"),
        prepared=Prepared.from_bytes(json.dumps(prepared_).encode(), origin="test"),
        trained=Trained.from_bytes(json.dumps(trained_).encode(), origin="test"),
        record_uri=f"{EVIDENCE}/register/record.json",
        record_bytes=content,
        envelope=Envelope.of(b'{"_type":"signed"}', IN_TOTO, signature) if second else None,
        filings=FilingsSummary(9, 9, 8, 1, 90, 10) if second else None,
    )
